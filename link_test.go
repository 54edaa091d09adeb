//go:build go1.25

package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// noDeadlineConn is a connection without deadlines, such as a channel of SSH: setting one returns the
// error or, if that is nil, does nothing.
type noDeadlineConn struct {
	net.Conn
	err error
}

func (c noDeadlineConn) SetDeadline(time.Time) error      { return c.err }
func (c noDeadlineConn) SetReadDeadline(time.Time) error  { return c.err }
func (c noDeadlineConn) SetWriteDeadline(time.Time) error { return c.err }

// Every call that a context or a deadline bounds returns in time, on a network that takes nothing and
// brings nothing, though it has no deadlines.
func TestLinkWithoutDeadlines(t *testing.T) {
	large := make([]byte, 100_000)
	for _, tt := range []struct {
		name    string
		call    func(c *Conn, ctx context.Context) error
		refuses bool // the transport says that it has no deadlines; else it keeps quiet
		takes   time.Duration
	}{
		{"ReadMessageContext", func(c *Conn, ctx context.Context) error { return second3(c.ReadMessageContext(ctx)) }, true, time.Second},
		{"ReadMessageContext", func(c *Conn, ctx context.Context) error { return second3(c.ReadMessageContext(ctx)) }, false, time.Second + abortTime},
		{"WriteMessageContext", func(c *Conn, ctx context.Context) error { return c.WriteMessageContext(ctx, BinaryMessage, large) }, true, time.Second},
		{"WriteMessageContext", func(c *Conn, ctx context.Context) error { return c.WriteMessageContext(ctx, BinaryMessage, large) }, false, time.Second + abortTime},
		{"small WriteMessageContext", func(c *Conn, ctx context.Context) error {
			return c.WriteMessageContext(ctx, BinaryMessage, large[:1000])
		}, true, time.Second},
		{"small WriteMessageContext", func(c *Conn, ctx context.Context) error {
			return c.WriteMessageContext(ctx, BinaryMessage, large[:1000])
		}, false, time.Second + abortTime},
		{"WriteControl", func(c *Conn, _ context.Context) error {
			return c.WriteControl(PingMessage, large[:100], time.Now().Add(time.Second))
		}, true, time.Second},
		{"WriteMessage", func(c *Conn, _ context.Context) error {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			return c.WriteMessage(BinaryMessage, large)
		}, true, time.Second},
		{"Ping", func(c *Conn, ctx context.Context) error { _, err := c.Ping(ctx); return err }, true, time.Second},
		{"Ping", func(c *Conn, ctx context.Context) error { _, err := c.Ping(ctx); return err }, false, time.Second + abortTime},
		{"Shutdown", func(c *Conn, ctx context.Context) error { return c.Shutdown(ctx, CloseNormalClosure, "") }, true, time.Second},
		{"Shutdown", func(c *Conn, ctx context.Context) error { return c.Shutdown(ctx, CloseNormalClosure, "") }, false, time.Second},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				near, _ := newPipe(t, 10)
				refusal := errMine
				if !tt.refuses {
					refusal = nil
				}
				c := newConn(noDeadlineConn{near, refusal}, server, nil, connOptions{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				err := tt.call(c, ctx)
				if took := time.Since(start); took != tt.takes || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, refuses %t: got %v after %v, want a timeout after %v", tt.name, tt.refuses, err, took, tt.takes)
				}
				if _, err := near.Write(nil); err != net.ErrClosed {
					t.Errorf("%s, refuses %t: got an open connection, want it closed: nothing else ends its operations", tt.name, tt.refuses)
				}
				c.Close()
			})
		})
	}
}

// The methods that set deadlines return the transport's error, and change nothing.
func TestLinkReturnsTheErrorOfDeadlines(t *testing.T) {
	for _, want := range []error{nil, errMine} {
		a, b := newPipe(t, 1000)
		c, peer := newConn(noDeadlineConn{a, want}, true, nil, connOptions{}), newConn(b, false, nil, connOptions{})
		if read, write := c.SetReadDeadline(time.Now()), c.SetWriteDeadline(time.Time{}); read != want || write != want {
			t.Errorf("got %v and %v, want %v", read, write, want)
		}
		for _, pair := range [][2]*Conn{{c, peer}, {peer, c}} {
			if err := pair[0].WriteMessage(TextMessage, []byte("a")); err != nil {
				t.Error(err)
			}
			if _, p, err := pair[1].ReadMessage(); string(p) != "a" || err != nil {
				t.Errorf("got %q, %v, want a", p, err)
			}
		}
	}
}

// A deadline that the transport has from before, of whoever has made it, means nothing to the connection.
func TestLinkClearsDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(t, 1000)
		a.SetDeadline(time.Now().Add(time.Second))
		c, peer := newConn(a, true, nil, connOptions{}), newConn(b, false, nil, connOptions{})
		time.Sleep(time.Minute)
		if err := c.WriteMessage(TextMessage, nil); err != nil {
			t.Error(err)
		}
		peer.WriteMessage(TextMessage, nil)
		if _, _, err := c.ReadMessage(); err != nil {
			t.Error(err)
		}
	})
}

// Close and Shutdown do not wait for crypto/tls, which gives a peer that reads nothing five seconds,
// though a wrapper hides it, and whether or not a write has failed before.
func TestLinkCloseOverTLS(t *testing.T) {
	tlsTestConfigs() // outside
	for name, wrap := range map[string]func(c *tls.Conn) net.Conn{
		"TLS":    func(c *tls.Conn) net.Conn { return c },
		"hidden": func(c *tls.Conn) net.Conn { return struct{ net.Conn }{c} },
	} {
		for _, tt := range []struct {
			before string
			end    func(c *Conn, ctx context.Context)
			most   time.Duration
		}{
			{"nothing", func(c *Conn, _ context.Context) { c.Close() }, closeTimeout},
			{"a write that timed out", func(c *Conn, _ context.Context) { c.Close() }, 0},
			{"a ping to answer", func(c *Conn, _ context.Context) { c.Close() }, closeTimeout},
			{"nothing", func(c *Conn, ctx context.Context) { c.Shutdown(ctx, CloseNormalClosure, "") }, 500 * time.Millisecond},
		} {
			synctest.Test(t, func(t *testing.T) {
				near, far := newPipe(t, 1<<20)
				server, _ := overTLS(t, near, far)
				synctest.Wait()
				room(far, 0)
				c := newConn(wrap(server), true, nil, connOptions{})
				switch tt.before {
				case "a write that timed out":
					c.SetWriteDeadline(time.Now().Add(time.Second))
					if err := c.WriteMessage(BinaryMessage, nil); err == nil {
						t.Fatal("got a message written, want the network full")
					}
				case "a ping to answer":
					c.send.reply(opPong, nil)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				start := time.Now()
				most := tt.most
				if name == "hidden" {
					most += closeTimeout // the connection below cannot be closed
				}
				if tt.end(c, ctx); time.Since(start) > most {
					t.Errorf("%s, %s: got the end after %v, want it after %v at most", name, tt.before, time.Since(start), most)
				}
				time.Sleep(time.Minute)
			})
		}
	}
}
