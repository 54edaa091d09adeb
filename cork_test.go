//go:build go1.25

package websocket

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writeCorked corks and writes three messages.
func writeCorked(t *testing.T, c *Conn) {
	t.Helper()
	c.Cork()
	for _, p := range []string{"a", "b", "c"} {
		if err := c.WriteMessage(TextMessage, []byte(p)); err != nil {
			t.Errorf("got %v, want nil", err)
		}
	}
}

// "Cork has the messages that are written from now on wait [...] until Flush is called",
// which ends its effect. "WriteThrough does not matter."
func TestCorkAndFlush(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, through := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newLoggedConn(t, server, connOptions{writeThrough: through})
				for range 2 {
					writeCorked(t, c)
					wire.wantWrites(t, "corked")
					if err := c.Flush(); err != nil {
						t.Errorf("got %v, want nil", err)
					}
					wire.wantWrites(t, "flushed", "1 a|1 b|1 c")
					c.wantNothingUnsent(t)
					c.WriteMessage(TextMessage, []byte("d"))
					wire.wantWrites(t, "not corked any more", "1 d")
				}
				time.Sleep(time.Second)
				wire.wantWrites(t, "the timer finds nothing")
			})
		}
	})
}

// All ways of writing are corked, control frames too.
func TestCorkAllFrames(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for name, way := range answers {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newLoggedConn(t, server, connOptions{})
				c.Cork()
				for range 3 {
					if err := way(c, TextMessage, []byte("x")); err != nil {
						t.Errorf("%s: got %v, want nil", name, err)
					}
				}
				wire.wantWrites(t, name)
				c.Flush()
				if got := wire.take(t); len(got) != 1 || strings.Count(got[0], "|") != 2 {
					t.Errorf("%s: got the writes %q, want one of three frames", name, got)
				}
			})
		}
	})
}

// "or 200 microseconds have passed since the first of them": that does not end the cork.
func TestCorkTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newLoggedConn(t, true, connOptions{})
		for range 2 {
			writeCorked(t, c)
			time.Sleep(corkTime - 1)
			synctest.Wait()
			wire.wantWrites(t, "before the time is up")
			time.Sleep(1)
			synctest.Wait()
			wire.wantWrites(t, "when it is up", "1 a|1 b|1 c")
			c.wantNothingUnsent(t)
		}
		c.WriteMessage(TextMessage, []byte("d"))
		wire.wantWrites(t, "still corked")
		c.Flush()
		wire.wantWrites(t, "flushed", "1 d")
	})
}

// "16 KiB have come together"
func TestCorkSize(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			c.Cork()
			for range 17 {
				c.WriteMessage(BinaryMessage, make([]byte, 1000))
			}
			wire.wantWrites(t, "before the last", strings.TrimSuffix(strings.Repeat("2 1000 bytes|", 16), "|"))
			c.WriteMessage(BinaryMessage, make([]byte, maxCopied-maxHeaderSize))
			wire.wantWrites(t, "as many as have room", "2 1000 bytes")
			c.Flush()
			wire.wantWrites(t, "the largest that is corked", fmt.Sprintf("2 %d bytes", maxCopied-maxHeaderSize))
		})
	})
}

// Pongs wait with what is corked, in order; a read does not end the cork.
func TestCorkAndReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newLoggedConn(t, true, connOptions{})
		writeCorked(t, c)
		go c.ReadMessage()
		synctest.Wait()
		wire.peer().Write(peerFrames(true, peerFrame{true, opPing, "p"}))
		synctest.Wait()
		wire.wantWrites(t, "still corked")
		c.Flush()
		wire.wantWrites(t, "flushed", "1 a|1 b|1 c|10 p")
		c.Close()
	})
}

// Flush without Cork, and Cork twice, do no harm.
func TestFlushWithoutCork(t *testing.T) {
	c, wire := newLoggedConn(t, true, connOptions{})
	if err := c.Flush(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	c.Cork()
	c.Cork()
	if err := c.Flush(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	c.WriteMessage(TextMessage, []byte("a"))
	wire.wantWrites(t, "the first Flush ends it", "1 a")
}

// Flush returns the error of the write, whether it is its own or that of the timer before.
func TestFlushError(t *testing.T) {
	for _, wait := range []time.Duration{0, corkTime} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, true, connOptions{})
			writeCorked(t, c)
			wire.peer().Close()
			time.Sleep(wait)
			synctest.Wait()
			for range 2 {
				if err := c.Flush(); err != io.ErrClosedPipe {
					t.Errorf("after %v: got %v, want the network's error", wait, err)
				}
			}
			if err := c.WriteMessage(TextMessage, nil); err != io.ErrClosedPipe {
				t.Errorf("after %v: got %v, want the same of a write", wait, err)
			}
			wantLost(t, c, io.ErrClosedPipe.Error())
			c.wantNothingUnsent(t)
		})
	}
}

// "which the write deadline bounds: if it passes, the rest leaves later", in the middle of a frame,
// too, and over TLS.
func TestFlushDeadline(t *testing.T) {
	serverConfig, clientConfig := tlsConfigs()
	for name, pair := range map[string]func(near, far *pipeConn) (*Conn, *Conn){
		"pipe": func(near, far *pipeConn) (*Conn, *Conn) {
			return newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
		},
		"tls": func(near, far *pipeConn) (*Conn, *Conn) {
			server, client := tlsPair(t, near, far, serverConfig, clientConfig)
			return newConn(server, true, nil, connOptions{}), newConn(client, false, nil, connOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := newPipe(t, 1<<20)
				c, peer := pair(near, far)
				room(far, 4)
				writeCorked(t, c)
				start := time.Now()
				c.SetWriteDeadline(start.Add(time.Second))
				if err := c.Flush(); err != errWriteTimeout || time.Since(start) != time.Second {
					t.Errorf("got %v after %v, want a write timeout after 1s", err, time.Since(start))
				}
				if err := c.Flush(); err != errWriteTimeout {
					t.Errorf("again: got %v, want a write timeout", err)
				}
				c.SetWriteDeadline(time.Time{})
				done := make(chan error)
				go func() { done <- c.WriteMessage(TextMessage, []byte("d")) }()
				for _, want := range []string{"a", "b", "c", "d"} {
					if _, p, err := peer.ReadMessage(); string(p) != want || err != nil {
						t.Errorf("got %q, %v, want %q", p, err, want)
					}
				}
				if err := <-done; err != nil {
					t.Errorf("got %v, want a good connection", err)
				}
				c.wantNothingUnsent(t)
			})
		})
	}
}

// Any goroutine may cork, flush and write: nothing is lost, and each goroutine's messages
// are in order.
func TestCorkFromManyGoroutines(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		a, b := newPipe(t, 1<<20)
		c, peer := newQuickConn(a, server, nil, connOptions{}), newQuickConn(b, !server, nil, connOptions{})
		const writers, messages = 16, 60
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for j := range messages {
					if j%7 == i%7 {
						c.Cork()
					}
					if err := c.WriteMessage(BinaryMessage, []byte{byte(i), byte(j)}); err != nil {
						t.Errorf("got %v, want nil", err)
					}
					if j%5 == i%5 {
						if err := c.Flush(); err != nil {
							t.Errorf("got %v, want nil", err)
						}
					}
				}
			})
		}
		var next [writers]int
		for range writers * messages {
			_, p, err := peer.ReadMessage()
			if err != nil || len(p) != 2 || int(p[1]) != next[p[0]] {
				t.Fatalf("got % x, %v, want the next of its writer", p, err)
			}
			next[p[0]]++
		}
		all.Wait()
		c.wantNothingUnsent(t)
	})
}

// While one goroutine flushes to a slow network, the context of another is heeded.
func TestCorkAndContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 4)
		c := newQuickConn(a, true, nil, connOptions{})
		writeCorked(t, c)
		flushed := make(chan error)
		go func() { flushed <- c.Flush() }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.WriteMessageContext(ctx, TextMessage, nil); err != context.DeadlineExceeded {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}
		l := &loggedConn{pipeConn: &pipeConn{in: wire.out, out: wire.in}}
		if got := drainFrames(t, l, 3); got != "1 a|1 b|1 c" {
			t.Errorf("got %q, want a, b and c", got)
		}
		if err := <-flushed; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}

// A ping of Ping is not corked: its time is measured.
func TestPingIsNotCorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newConnPair(t)
		for _, end := range []*Conn{s, c} {
			go func() {
				for {
					if _, _, err := end.ReadMessage(); err != nil {
						return
					}
				}
			}()
		}
		s.Cork()
		if err := s.WriteMessage(TextMessage, []byte("before")); err != nil {
			t.Fatal(err)
		}
		rtt, err := s.Ping(t.Context())
		if rtt != 0 || err != nil {
			t.Errorf("got %v, %v, want no time at all", rtt, err)
		}
		s.Close()
		c.Close()
	})
}

// NetConn hands what is corked to the transport, and Cork stays in force. Addresses are read without that.
func TestNetConnFlushesCorked(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			for range 2 {
				writeCorked(t, c)
				c.LocalAddr()
				c.RemoteAddr()
				synctest.Wait()
				wire.wantWrites(t, "corked")
				c.NetConn()
				synctest.Wait()
				wire.wantWrites(t, "NetConn", "1 a|1 b|1 c")
			}
			writeCorked(t, c)
			c.UnderlyingConn()
			synctest.Wait()
			wire.wantWrites(t, "UnderlyingConn", "1 a|1 b|1 c")
			c.NetConn()
			wire.wantWrites(t, "nothing is corked")
		})
	})
}

// It waits for nothing, on no link, also where the network takes nothing.
func TestNetConnDoesNotWait(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		c.Cork()
		wantWrite(t, c, "corked")
		within(t, "NetConn", func() error { c.NetConn(); return nil })
		if !c.send.hasUnsent() {
			t.Error("got nothing unsent, want what the network does not take")
		}
		peer.drain(t)
	})
}
