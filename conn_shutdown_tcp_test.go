//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// closingContext is for a call that ends long before, unless the test is stuck.
func closingContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), hsPatience)
	t.Cleanup(cancel)
	return ctx
}

// patientConn is a connection of the kernel on which a read is ended by a deadline only if
// that has passed when it is set. So Shutdown waits for the peer as long as it takes.
type patientConn struct{ *net.TCPConn }

func (c patientConn) SetReadDeadline(t time.Time) error {
	if time.Now().Before(t) {
		t = time.Time{}
	}
	return c.TCPConn.SetReadDeadline(t)
}

// On a real network the end of a connection that has unread data in it is a reset, which
// destroys what the peer has not read yet. So whatever the peer is still sending when
// Shutdown closes, and however late it reads: it gets everything up to our Close frame,
// and then a proper end.
func TestShutdownResetsNothing(t *testing.T) {
	const flight = 2 << 20 // more than the kernel holds, so somebody must read it
	for _, tt := range []struct {
		name   string
		first  string // what the peer sends before the flood
		flood  string // of these frames, which then ends with a Close frame
		failed bool   // by the first read of the program
		code   int    // of our Close frame
		err    string // of Shutdown
	}{
		{"handshake", "\x89ping", "\x8a" + string(make([]byte, 125)), false, 4000, noError},
		{"protocol error", "\xf1", "\x82" + string(make([]byte, 1000)), true, 1002, "websocket: reserved bit RSV1 is set"},
		{"read limit", "\x82" + string(make([]byte, 100)), "\x82" + string(make([]byte, 1000)), true, 1009, "websocket: read limit exceeded"},
		{"bad text", "\x81\xff", "\x82" + string(make([]byte, 1000)), true, 1007, "websocket: text is not valid UTF-8"},
		{"protocol error that Shutdown sees", "\xf1", "\x82" + string(make([]byte, 1000)), false, 4000, "websocket: reserved bit RSV1 is set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothSides(t, func(t *testing.T, server bool) {
				near, far := tcpPair(t)
				near.(*net.TCPConn).SetReadBuffer(64 << 10)
				far.(*net.TCPConn).SetWriteBuffer(64 << 10)
				near.(*net.TCPConn).SetWriteBuffer(1 << 20)
				var wire net.Conn = near
				if tt.err != noError { // the flood is read after the connection has failed, for lingerTime at most
					wire = patientConn{near.(*net.TCPConn)}
				}
				c := newConn(wire, server, nil, connOptions{readLimit: 50})
				data := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
				if err := c.WriteMessage(BinaryMessage, data); err != nil {
					t.Fatal(err)
				}
				far.Write(closingFrame(server, tt.first))
				if tt.failed {
					if _, _, err := c.ReadMessage(); fmt.Sprint(err) != tt.err {
						t.Fatalf("got %v, want %s", err, tt.err)
					}
				}
				shutdown := begin(t, func() (string, error) {
					return "", c.Shutdown(closingContext(t), 4000, "")
				})
				frame := closingFrame(server, tt.flood)
				flood := append(bytes.Repeat(frame, flight/len(frame)), closingFrame(server, closeFrame(4001, ""))...)
				if n, err := far.Write(flood); err != nil {
					t.Fatalf("the peer could send %d of %d bytes, %v; want them to be taken", n, len(flood), err)
				}
				if !server && tt.err == noError {
					far.(*net.TCPConn).CloseWrite() // "the server [...] closes the TCP connection first" (RFC 6455, 7.1.1)
				}

				peer := newConn(wrappedConn{far}, !server, nil, connOptions{})
				peer.SetCloseHandler(func(int, string) error { return nil }) // it has sent its Close frame
				if _, p, err := peer.ReadMessage(); !bytes.Equal(p, data) || err != nil {
					t.Fatalf("the peer got %d bytes, %v, want all %d", len(p), err, len(data))
				}
				if _, _, err := peer.ReadMessage(); !IsCloseError(err, tt.code) {
					t.Fatalf("the peer got %v, want close %d", err, tt.code)
				}
				if n, err := far.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("the peer got %d bytes, %v behind the Close frame, want the end", n, err)
				}
				far.Close()
				<-shutdown.done
				if fmt.Sprint(shutdown.err) != tt.err {
					t.Errorf("Shutdown: got %v, want %s", shutdown.err, tt.err)
				}
			})
		})
	}
}

// A peer that resets the connection has not closed it.
func TestShutdownReset(t *testing.T) {
	near, far := tcpPair(t)
	c := newConn(near, true, nil, connOptions{})
	far.(*net.TCPConn).SetLinger(0)
	far.Close()
	err := c.Shutdown(closingContext(t), CloseNormalClosure, "")
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want an error of the network", err)
	}
}

// closingTransports are pairs of connections of every kind that Shutdown meets.
func closingTransports(t *testing.T, f func(t *testing.T, server, client *Conn)) {
	t.Helper()
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		f(t, newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{}))
	})
	t.Run("tls", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(nil)
		srv.StartTLS()
		defer srv.Close()
		config := hsTLSConfig(srv)
		config.ServerName = "example.com"
		near, far := tcpPair(t)
		f(t, newConn(tls.Server(near, srv.TLS), true, nil, connOptions{}), newConn(tls.Client(far, config), false, nil, connOptions{}))
	})
}

// Messages go both ways while one side, or both, shut down: each side gets all that the
// other's writes have reported as sent, and the *CloseError behind it. In the bubble the
// clock stands still while the kernel is waited for, so that no reader comes too late for a
// message, however slow the machine is.
func TestShutdownLosesNothing(t *testing.T) {
	for _, who := range []string{"server", "client", "both"} {
		t.Run(who, func(t *testing.T) {
			closingTransports(t, func(t *testing.T, server, client *Conn) {
				synctest.Test(t, func(t *testing.T) {
					var all sync.WaitGroup
					defer all.Wait()
					type side struct {
						c           *Conn
						sent, got   int
						readErr     error
						shutdownErr error
					}
					sides := map[string]*side{"server": {c: server}, "client": {c: client}}
					for name, s := range sides {
						all.Go(func() {
							for {
								if err := s.c.WriteMessage(TextMessage, fmt.Append(nil, s.sent)); err != nil {
									if err != ErrCloseSent {
										t.Errorf("%s: write: got %v, want ErrCloseSent", name, err)
									}
									return
								}
								s.sent++
							}
						})
						all.Go(func() {
							for ; ; s.got++ {
								_, p, err := s.c.ReadMessage()
								if err != nil {
									s.readErr = err
									break
								}
								if string(p) != fmt.Sprint(s.got) {
									t.Errorf("%s: got message %s, want %d", name, p, s.got)
									break
								}
								if s.got == 100 && (who == name || who == "both") {
									all.Go(func() { s.shutdownErr = s.c.Shutdown(closingContext(t), CloseNormalClosure, name) })
								}
							}
							if err := s.c.Shutdown(closingContext(t), CloseNormalClosure, ""); err != nil {
								t.Errorf("%s: the second Shutdown: got %v, want nil", name, err)
							}
						})
					}
					all.Wait()
					for name, other := range map[string]string{"server": "client", "client": "server"} {
						s, peer := sides[name], sides[other]
						if s.got != peer.sent {
							t.Errorf("%s: got %d messages, want the %d that were sent", name, s.got, peer.sent)
						}
						if s.shutdownErr != nil {
							t.Errorf("%s: Shutdown: got %v, want nil", name, s.shutdownErr)
						}
						if !IsCloseError(s.readErr, CloseNormalClosure) {
							t.Errorf("%s: read: got %v, want close 1000", name, s.readErr)
						}
					}
				})
			})
		})
	}
}

// Everything that closes, and everything that goes on, at the same time: nothing hangs.
func TestShutdownAmongOthers(t *testing.T) {
	for range 5 {
		closingTransports(t, func(t *testing.T, server, client *Conn) {
			var all sync.WaitGroup
			defer all.Wait()
			ctx := closingContext(t)
			for _, c := range []*Conn{server, client} {
				for _, f := range []func(){
					func() { c.Shutdown(ctx, CloseNormalClosure, "") },
					func() { c.Shutdown(ctx, CloseGoingAway, "") },
					func() {
						soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
						defer cancel()
						c.Shutdown(soon, CloseServiceRestart, "")
					},
					func() { c.Ping(ctx) },
					func() {
						for c.WriteMessageContext(ctx, BinaryMessage, make([]byte, 5000)) == nil {
						}
					},
					func() {
						for {
							if _, _, err := c.ReadMessageContext(ctx); err != nil {
								return
							}
						}
					},
				} {
					all.Go(f)
				}
			}
		})
	}
}
