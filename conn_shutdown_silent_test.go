//go:build go1.25

package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"weak"
)

var errClosingCause = errors.New("the server is restarting")

// closingContexts are the ways in which a context ends after a minute, with the error
// of a call that it has ended.
var closingContexts = []struct {
	name  string
	make  func(context.Context) (context.Context, context.CancelFunc)
	want  string
	wants []error
}{
	{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Minute)
	}, "context deadline exceeded", []error{context.DeadlineExceeded}},
	{"deadline with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, time.Minute, errClosingCause)
	}, "websocket: context deadline exceeded: the server is restarting", []error{context.DeadlineExceeded, errClosingCause}},
	{"cancel", func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Minute, cancel)
		return ctx, cancel
	}, "context canceled", []error{context.Canceled}},
	{"cancel with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(time.Minute, func() { cancel(errClosingCause) })
		return ctx, func() { cancel(nil) }
	}, "websocket: context canceled: the server is restarting", []error{context.Canceled, errClosingCause}},
}

func wantErrorIs(t *testing.T, err error, wants ...error) {
	t.Helper()
	for _, want := range wants {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want errors.Is to find %v", err, want)
		}
	}
}

// A peer that never answers, whatever else it does: Shutdown ends just when the context does.
func TestShutdownSilentPeer(t *testing.T) {
	for _, tt := range closingContexts {
		for name, peer := range map[string]func(tc *closing){
			"silent": func(tc *closing) {},
			"pings": func(tc *closing) {
				for range 50 {
					tc.send("\x89ping")
					time.Sleep(time.Second)
				}
			},
			"messages": func(tc *closing) {
				for range 50 {
					tc.send("\x82message", "\x82")
					time.Sleep(time.Second)
				}
			},
			"a message without end": func(tc *closing) {
				tc.send("\x02begin")
				for range 50 {
					tc.send("\x00more")
					time.Sleep(time.Second)
				}
			},
			"half a Close frame": func(tc *closing) {
				b := closingFrame(tc.server, closeFrame(CloseNormalClosure, ""))
				tc.wire.Write(b[:len(b)-1])
			},
		} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				inClosing(t, func(t *testing.T, tc *closing) {
					ctx, cancel := tt.make(t.Context())
					defer cancel()
					shutdown := tc.shutdown(ctx, CloseNormalClosure, "")
					peer(tc)
					shutdown.want("the context ends", time.Minute, tt.want)
					wantErrorIs(t, shutdown.err, tt.wants...)
					tc.wantClosed("Shutdown closes the network connection", true)
				})
			})
		}
	}
}

// The same with a reader at work: it is woken by the end of the connection.
func TestShutdownSilentPeerAndReader(t *testing.T) {
	for _, tt := range closingContexts {
		t.Run(tt.name, func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				read := tc.read()
				synctest.Wait()
				ctx, cancel := tt.make(t.Context())
				defer cancel()
				shutdown := tc.shutdown(ctx, CloseNormalClosure, "")
				late := tc.read()
				shutdown.want("the context ends", time.Minute, tt.want)
				for _, read := range []*call{read, late} {
					<-read.done
					if !errors.Is(read.err, net.ErrClosed) || read.took != time.Minute {
						t.Errorf("the reader: got %v after %v, want net.ErrClosed after 1m", read.err, read.took)
					}
				}
			})
		})
	}
}

// A context that has ended before: nothing is sent, and the connection is closed.
func TestShutdownEndedContext(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errClosingCause)
		shutdown := tc.shutdown(ctx, CloseNormalClosure, "")
		shutdown.want("there is no time", 0, "websocket: context canceled: the server is restarting")
		tc.want("there is no time")
		tc.wantClosed("all the same", true)
	})
}

// A closing handshake that is complete needs no time.
func TestShutdownEndedContextAfterThePeer(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.send(closeFrame(CloseNormalClosure, ""))
		tc.read().want("the peer's Close frame", 0, "websocket: close 1000 (normal)")
		synctest.Wait() // until the answer has left
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tc.shutdown(ctx, CloseNormalClosure, "").want("the peer's Close frame has come", 0, noError)
	})
}

// A peer that reads nothing: the Close frame, or a message before it, does not leave.
func TestShutdownPeerNeverReads(t *testing.T) {
	for _, tt := range closingContexts {
		for _, room := range []int{0, 1, 3} {
			t.Run(fmt.Sprint(tt.name, ", room for ", room), func(t *testing.T) {
				bothSides(t, func(t *testing.T, server bool) {
					synctest.Test(t, func(t *testing.T) {
						near, _ := newPipe(t, room)
						c := newConn(near, server, nil, connOptions{})
						tc := &closing{t: t, c: c, server: server}
						ctx, cancel := tt.make(t.Context())
						defer cancel()
						shutdown := tc.shutdown(ctx, CloseNormalClosure, "")
						shutdown.wantWaiting("there is no room for the Close frame")
						<-shutdown.done
						wantErrorIs(t, shutdown.err, tt.wants...)
						if shutdown.took != time.Minute {
							t.Errorf("got the end after %v, want 1m", shutdown.took)
						}
					})
				})
			})
		}
		t.Run(tt.name+", behind a message", func(t *testing.T) {
			bothSides(t, func(t *testing.T, server bool) {
				synctest.Test(t, func(t *testing.T) {
					near, _ := newPipe(t, 100)
					c := newConn(near, server, nil, connOptions{})
					tc := &closing{t: t, c: c, server: server}
					write := begin(t, func() (string, error) {
						return "", c.WriteMessage(BinaryMessage, make([]byte, 1000))
					})
					write.wantWaiting("there is no room for the message")
					ctx, cancel := tt.make(t.Context())
					defer cancel()
					shutdown := tc.shutdown(ctx, CloseNormalClosure, "")
					shutdown.want("the context ends", time.Minute, tt.want)
					<-write.done
					wantErrorIs(t, write.err, net.ErrClosed)
				})
			})
		})
	}
}

// TLS says goodbye when it is closed, which must not hold up the end, either.
func TestShutdownPeerNeverReadsTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	config := hsTLSConfig(srv)
	config.ServerName = "example.com"
	config.Time = func() time.Time { return srv.Certificate().NotBefore.Add(time.Hour) }
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 4096)
		server, client := tls.Server(near, srv.TLS), tls.Client(far, config.Clone())
		go client.Handshake()
		if err := server.Handshake(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		near.Write(make([]byte, 4096-len(far.in.data)))
		c := newConn(server, true, nil, connOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		shutdown := begin(t, func() (string, error) { return "", c.Shutdown(ctx, CloseNormalClosure, "") })
		<-shutdown.done
		if !errors.Is(shutdown.err, context.DeadlineExceeded) || shutdown.took != time.Minute {
			t.Errorf("got %v after %v, want the context's error after 1m", shutdown.err, shutdown.took)
		}
	})
}

// A peer that reads late, but in time.
func TestShutdownPeerReadsLate(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 100)
			c := newConn(near, server, nil, connOptions{})
			tc := &closing{t, c, far, server}
			write := begin(t, func() (string, error) {
				return "", c.WriteMessage(BinaryMessage, make([]byte, 1000))
			})
			write.wantWaiting("there is no room for the message")
			shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
			shutdown.wantWaiting("a message is on its way")
			time.Sleep(time.Hour)
			peer := newConn(far, !server, nil, connOptions{})
			if _, p, err := peer.ReadMessage(); len(p) != 1000 || err != nil {
				t.Errorf("got %d bytes, %v, want all 1,000", len(p), err)
			}
			if _, _, err := peer.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
				t.Errorf("got %v, want the Close frame behind it", err)
			}
			peer.Close()
			write.want("the message has left", time.Hour, noError)
			shutdown.want("the handshake is complete", time.Hour, noError)
		})
	})
}

// The Close frame with our verdict is stuck, as a whole or in part, because the peer does not
// read. When it does, in time, it gets all of it.
func TestShutdownOwesACloseFrame(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for room := range 26 { // the Close frame is longer
			synctest.Test(t, func(t *testing.T) {
				const size = 200
				near, far := newPipe(t, size)
				c := newConn(near, server, nil, connOptions{})
				tc := &closing{t, c, far, server}
				n := size - room - 4 // 4 for a server's header, 8 for a client's
				if !server {
					n -= 4
				}
				if err := c.WriteMessage(BinaryMessage, make([]byte, n)); err != nil {
					t.Fatal(err)
				}
				tc.send("\xf1")
				if _, _, err := c.ReadMessage(); err == nil || err.Error() != "websocket: reserved bit RSV1 is set" {
					t.Fatalf("got %v, want our verdict", err)
				}
				shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
				time.Sleep(time.Hour)
				shutdown.wantWaiting("the peer has not read anything")

				peer := newConn(wrappedConn{far}, !server, nil, connOptions{})
				if _, p, err := peer.ReadMessage(); len(p) != n || err != nil {
					t.Errorf("room for %d: got %d bytes, %v, want %d", room, len(p), err, n)
				}
				if _, _, err := peer.ReadMessage(); !IsCloseError(err, CloseProtocolError) {
					t.Errorf("room for %d: got %v, want close 1002", room, err)
				}
				far.Close()
				shutdown.want("the peer has it", time.Hour, "websocket: reserved bit RSV1 is set")
			})
		}
	})
}

// Keepalive goes on: a peer that is silent for too long is dead, and one that sends
// anything is not.
func TestShutdownAndKeepalive(t *testing.T) {
	for _, alive := range []bool{false, true} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				near, far := newPipe(t, 1000)
				c := newConn(near, server, nil, connOptions{pingInterval: 10 * time.Second, pongTimeout: 5 * time.Second})
				tc := &closing{t, c, far, server}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				shutdown := tc.shutdown(ctx, CloseNormalClosure, "")
				tc.want("Shutdown begins with it", closeFrame(CloseNormalClosure, ""))
				if !alive {
					shutdown.want("the verdict", 15*time.Second, "websocket: nothing came for 5s after a ping")
					return
				}
				for range 4 {
					time.Sleep(14 * time.Second)
					tc.send("\x8a")
				}
				tc.want("nothing follows a Close frame, no ping either")
				shutdown.want("the context ends", time.Minute, "context deadline exceeded")
			})
		})
	}
}

// Tomcat CVE-2024-23672 and CVE-2021-42340: peers that never finish closing. Shutdown ends
// with its context, and nothing is left of the connections: no goroutine, and neither
// a context that lives on, nor a timer nor anything else holds on to them.
func TestAttackNeverFinishesClosing(t *testing.T) {
	takeover := &CompressionOptions{ContextTakeover: true}
	for _, tt := range []struct {
		name        string
		read        func(c *Conn, ctx context.Context)
		compression *CompressionOptions
	}{
		{"nobody reads", func(c *Conn, ctx context.Context) {}, nil},
		{"a reader", func(c *Conn, ctx context.Context) { c.ReadMessage() }, nil},
		{"a reader with a context", func(c *Conn, ctx context.Context) { c.ReadMessageContext(ctx) }, nil},
		{"compressed, nobody reads", func(c *Conn, ctx context.Context) {}, takeover},
		{"compressed, a reader", func(c *Conn, ctx context.Context) { c.ReadMessage() }, takeover},
		{"without takeover, a reader", func(c *Conn, ctx context.Context) { c.ReadMessage() }, &CompressionOptions{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 1000
				if tt.compression != nil {
					n = 100 // each takes much memory for a while
				}
				long, cancel := context.WithCancel(t.Context())
				defer cancel()
				neverFinishClosing(t, long, n, tt.read, tt.compression) // what the runtime allocates once
				codecs := codecsOnLoan.Load()
				var got int64
				for range 5 { // which it keeps for as many goroutines as there have been at a time
					goroutines, heap := runtime.NumGoroutine(), heapInUse()
					conns := neverFinishClosing(t, long, n, tt.read, tt.compression)
					if got := runtime.NumGoroutine(); got >= goroutines+n {
						t.Errorf("got %d goroutines, want the %d of before", got, goroutines)
					}
					time.Sleep(24 * time.Hour) // the runtime forgets timers that were stopped
					got = int64(heapInUse()) - int64(heap)
					if slices.ContainsFunc(conns, func(c weak.Pointer[Conn]) bool { return c.Value() != nil }) {
						t.Error("got connections in memory, want none")
					}
					if n := codecsOnLoan.Load() - codecs; n != 0 {
						t.Errorf("got %d codecs that were not returned, want none", n)
					}
					if got <= int64(n*100) {
						break
					}
				}
				if got > int64(n*100) {
					t.Errorf("got %d bytes more than before, want none", got)
				}
			})
		})
	}
}

// neverFinishClosing closes n connections whose peers have sent a message, or the beginning of one, and stay silent.
// It returns when that is over.
func neverFinishClosing(t *testing.T, long context.Context, n int, read func(*Conn, context.Context), o *CompressionOptions) []weak.Pointer[Conn] {
	ctx, cancel := context.WithTimeout(long, time.Minute)
	defer cancel()
	conns := make([]weak.Pointer[Conn], n)
	for i := range n {
		toPeer, fromPeer := newPipeHalf(4096), newPipeHalf(4096)
		a := attack{i%2 == 0, o}
		c := newConn(&pipeConn{in: fromPeer, out: toPeer}, a.server, nil, a.options(t, connOptions{pingInterval: time.Hour}))
		conns[i] = weak.Make(c)
		if o != nil {
			if err := c.WriteMessage(TextMessage, textLike(1000, 1)); err != nil {
				t.Error(err)
			}
			first := a.frame(0x01, a.payload("a message that does not end"))
			fromPeer.data = append(fromPeer.data, first[:len(first)-i%3]...)
		}
		go read(c, long)
		go func() {
			if err := c.Shutdown(ctx, CloseGoingAway, ""); err != context.DeadlineExceeded {
				t.Errorf("got %v, want the context's error", err)
			}
			if !toPeer.writeClosed() {
				t.Error("the network connection is open")
			}
			if err := c.WriteMessageContext(long, TextMessage, nil); err == nil {
				t.Error("got no error from a write afterwards")
			}
			if _, _, err := c.ReadMessageContext(long); err == nil {
				t.Error("got no error from a read afterwards")
			}
		}()
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	return conns
}

// Nor does a connection that was closed as it should be leave anything on its context.
func TestShutdownLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long, cancel := context.WithCancel(t.Context())
		defer cancel()
		var conns []weak.Pointer[Conn]
		for i := range 10 {
			toPeer, fromPeer := newPipeHalf(4096), newPipeHalf(4096)
			c := newConn(&pipeConn{in: fromPeer, out: toPeer}, true, nil, connOptions{})
			conns = append(conns, weak.Make(c))
			peer := newConn(&pipeConn{in: toPeer, out: fromPeer}, false, nil, connOptions{})
			read := begin(t, func() (string, error) {
				_, _, err := peer.ReadMessageContext(long)
				return "", err
			})
			if err := peer.WriteMessageContext(long, TextMessage, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.ReadMessageContext(long); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				go c.ReadMessageContext(long)
				synctest.Wait()
			}
			if err := c.Shutdown(long, CloseNormalClosure, ""); err != nil {
				t.Errorf("got %v, want nil", err)
			}
			read.want("the Close frame", 0, "websocket: close 1000 (normal)")
		}
		synctest.Wait()
		heapInUse()
		for i, c := range conns {
			if c.Value() != nil {
				t.Errorf("connection %d is in memory still", i)
			}
		}
	})
}

// heapInUse collects what nobody uses, and returns the bytes that are left.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first one has found in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
