//go:build go1.25

package websocket

import (
	"bytes"
	"context"
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

// A large frame leaves whole, in the ways that each link has for its size.
func TestLinkLargeFrames(t *testing.T) {
	all := noise(unlessRace(5<<20, 1<<20), 1)
	eachLink(t, func(t *testing.T, l testLink) {
		near, far := l.pair(t)
		c := newConn(near, l.server, nil, connOptions{})
		peer := newConn(far, !l.server, nil, connOptions{readLimit: -1})
		for _, size := range []int{defaultBufferSize, maxCopied + 1, headStart - 1, headStart, headStart + 1, len(all)} {
			data := all[:size]
			written := make(chan error)
			go func() { written <- c.WriteMessage(BinaryMessage, data) }()
			if _, p, err := peer.ReadMessage(); !bytes.Equal(p, data) || err != nil {
				t.Fatalf("%d bytes: got %d, %v, or other bytes", size, len(p), err)
			}
			if err := <-written; err != nil {
				t.Errorf("%d bytes: got %v, want nil", size, err)
			}
		}
	})
}

// Every call that a context or a deadline bounds returns in time, on a network that takes nothing and
// brings nothing, though it has no deadlines.
func TestLinkWithoutDeadlines(t *testing.T) {
	large := make([]byte, 100_000)
	write := func(size int) func(*Conn, context.Context) error {
		return func(c *Conn, ctx context.Context) error {
			return c.WriteMessageContext(ctx, BinaryMessage, large[:size])
		}
	}
	const quiet, never = time.Second + abortTime, 0
	for _, tt := range []struct {
		name  string
		call  func(c *Conn, ctx context.Context) error
		quiet time.Duration // what it takes if the transport does not say that it has no deadlines, or never
	}{
		{"ReadMessageContext", func(c *Conn, ctx context.Context) error {
			return second3(c.ReadMessageContext(ctx))
		}, quiet},
		{"WriteMessageContext", write(len(large)), quiet},
		{"small WriteMessageContext", write(1000), quiet},
		{"Ping", func(c *Conn, ctx context.Context) error { return second(c.Ping(ctx)) }, quiet},
		{"Shutdown", func(c *Conn, ctx context.Context) error { return c.Shutdown(ctx, CloseNormalClosure, "") }, time.Second},
		{"WriteControl", func(c *Conn, _ context.Context) error {
			return c.WriteControl(PingMessage, large[:100], time.Now().Add(time.Second))
		}, never},
		{"WriteMessage", func(c *Conn, _ context.Context) error {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			return c.WriteMessage(BinaryMessage, large)
		}, never},
	} {
		for refusal, want := range map[error]time.Duration{errMine: time.Second, nil: tt.quiet} {
			if want == never {
				continue
			}
			bothSides(t, func(t *testing.T, server bool) {
				synctest.Test(t, func(t *testing.T) {
					near, _ := newPipe(t, 10)
					c := newConn(noDeadlineConn{near, refusal}, server, nil, connOptions{})
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					var err error
					d := took(func() { err = tt.call(c, ctx) })
					if d != want || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%s, refusal %v: got %v after %v, want a timeout after %v", tt.name, refusal, err, d, want)
					}
					if _, err := near.Write(nil); err != net.ErrClosed { // nothing else ends its operations
						t.Errorf("%s, refusal %v: got an open connection, want it closed", tt.name, refusal)
					}
					c.Close()
				})
			})
		}
	}
}

// The methods that set deadlines return the error of a transport without deadlines, and change nothing. A write that is
// done in time leaves nothing behind that closes the connection later. A deadline that the transport has from before
// means nothing.
func TestLinkDeadlinesThatMeanNothing(t *testing.T) {
	for _, tt := range []struct {
		none bool  // there are no deadlines
		want error // of setting them
	}{{true, nil}, {true, errMine}, {false, nil}} {
		synctest.Test(t, func(t *testing.T) {
			pipe, far := newPipe(t, 1000)
			inTime, near := time.Now().Add(time.Second), net.Conn(noDeadlineConn{pipe, tt.want})
			if !tt.none {
				pipe.SetDeadline(inTime)
				near = pipe
			}
			c, peer := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
			if read, write := c.SetReadDeadline(time.Now()), c.SetWriteDeadline(inTime); read != tt.want || write != tt.want {
				t.Errorf("got %v and %v, want %v", read, write, tt.want)
			}
			ctx, cancel := context.WithDeadline(t.Context(), inTime)
			defer cancel()
			wantWrite(t, c, "in time")
			if err := c.WriteMessageContext(ctx, TextMessage, []byte("in time, too")); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			c.SetReadDeadline(time.Time{})
			c.SetWriteDeadline(time.Time{})
			wantWrite(t, c, "later")
			for _, text := range []string{"in time", "in time, too", "later"} {
				wantRead(t, peer, text)
			}
			wantWrite(t, peer, "b")
			wantRead(t, c, "b")
		})
	}
}

// Close and Shutdown do not wait for crypto/tls, which gives a peer that reads nothing five seconds,
// though a wrapper hides it, and whether or not a write has failed before.
func TestLinkCloseOverTLS(t *testing.T) {
	tlsTestConfigs() // outside
	nothing := func(*testing.T, *Conn) {}
	closes := func(c *Conn, _ context.Context) { c.Close() }
	shutsDown := func(c *Conn, ctx context.Context) { c.Shutdown(ctx, CloseNormalClosure, "") }
	for _, tt := range []struct {
		name   string
		before func(t *testing.T, c *Conn)
		end    func(c *Conn, ctx context.Context)
		most   time.Duration
	}{
		{"Close", nothing, closes, closeTimeout},
		{"Close after a write that timed out", func(t *testing.T, c *Conn) {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			if err := c.WriteMessage(BinaryMessage, nil); err == nil {
				t.Fatal("got a message written, want the network full")
			}
		}, closes, 0},
		{"Close with a ping to answer", func(_ *testing.T, c *Conn) { c.send.postReply(opPong, nil) }, closes, closeTimeout},
		{"Shutdown", nothing, shutsDown, 500 * time.Millisecond},
	} {
		for _, hidden := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				below, far := newPipe(t, 1<<20)
				server, _ := overTLS(t, below, far)
				synctest.Wait()
				room(far, 0)
				near, most := net.Conn(server), tt.most
				if hidden {
					near = struct{ net.Conn }{server}
					most += closeTimeout // the connection below cannot be closed
				}
				c := newConn(near, true, nil, connOptions{})
				tt.before(t, c)
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				if d := took(func() { tt.end(c, ctx) }); d > most {
					t.Errorf("%s, hidden %t: got the end after %v, want it after %v at most", tt.name, hidden, d, most)
				}
				time.Sleep(time.Minute)
			})
		}
	}
}
