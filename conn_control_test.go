//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Handlers may set deadlines, and replace the answer. The default ones come back by nil, and can be had and wrapped.
// TestBehaviourHandlersRunInsideTheRead has their errors.
func TestPingAndPongHandlers(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		c := b.c
		var got []string
		read := func() {
			b.send(pingFrame("a"), peerFrame{true, opPong, "b"}, textFrame(""))
			wantRead(b, c, "")
		}
		defaultPing, defaultPong := c.PingHandler(), c.PongHandler()
		c.SetPingHandler(func(s string) error {
			got = append(got, "ping "+s)
			return c.SetReadDeadline(time.Now().Add(time.Minute))
		})
		c.SetPongHandler(func(s string) error {
			got = append(got, "pong "+s)
			return defaultPong(s)
		})
		read()
		b.want("the handler replaces the answer")
		if fmt.Sprint(got) != "[ping a pong b]" {
			b.Errorf("got %q, want ping a, pong b", got)
		}
		c.SetPingHandler(nil)
		c.SetPongHandler(nil)
		read()
		b.want("the default handler is back", "10 a")
		c.SetPingHandler(func(s string) error { return defaultPing(s + "!") })
		read()
		b.want("the handler has changed the answer", "10 a!")
	})
}

// A close handler that returns nil still gets the reader the *CloseError, and answers itself.
func TestCloseHandler(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		var got CloseError
		b.c.SetCloseHandler(func(code int, text string) error {
			got = CloseError{code, text}
			return nil
		})
		b.send(peerFrame{true, opClose, "\x0f\xa0bye"})
		_, _, err := b.c.ReadMessage()
		if e, ok := err.(*CloseError); !ok || *e != (CloseError{4000, "bye"}) || got != *e {
			b.Errorf("got %v, and %v in the handler, want close 4000 bye", err, got)
		}
		b.want("the handler answers")
	})
}

// The default handler can be had, wrapped and put back.
func TestCloseHandlerDefault(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		h, called := b.c.CloseHandler(), false
		b.c.SetCloseHandler(func(code int, text string) error {
			called = true
			return h(code, text)
		})
		b.send(peerClose)
		b.c.ReadMessage()
		b.want("the default handler answers", "8 \x03\xe8")
		b.c.SetCloseHandler(nil)
		if !called || b.c.CloseHandler() == nil {
			b.Errorf("got called %t, then %t a handler, want both", called, b.c.CloseHandler() != nil)
		}
	})
}

// A handler's panic within a message that ReadMessage has in part ends the reading: the part is lost.
func TestHandlerPanicWithinAMessage(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.c.SetPingHandler(func(string) error { panic(errMine) })
		b.send(peerFrame{false, opBinary, strings.Repeat("part", 2000)}, pingFrame(""))
		b.send(peerFrame{true, opContinuation, "the rest"})
		func() {
			defer func() { recover() }()
			b.c.ReadMessage()
		}()
		_, p, err := b.c.ReadMessage()
		if err != errHandlerPanic || err.Error() != "websocket: a handler has panicked within a message" {
			b.Errorf("got %d bytes, %v, want errHandlerPanic", len(p), err)
		}
	})
}

// pingScript is a connection that is being read, and the peer's end of it.
type pingScript struct {
	*testing.T
	a     attack
	c     *Conn
	wire  *pipeConn
	pongs []string // that the handler was called with
}

func pingTest(t *testing.T, name string, script func(tc *pingScript)) {
	t.Run(name, func(t *testing.T) { attack{}.pingTest(t, script) })
}

// pingTest runs the script with the connection.
func (a attack) pingTest(t *testing.T, script func(tc *pingScript)) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := a.pipe(t, connOptions{})
		tc := &pingScript{T: t, a: a, c: c, wire: wire}
		c.SetPongHandler(func(s string) error {
			tc.pongs = append(tc.pongs, s)
			return nil
		})
		go func() {
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					return // the test's end closes the connection
				}
			}
		}()
		synctest.Wait()
		script(tc)
	})
}

// pinger is a call of Ping.
type pinger struct {
	payload string // of its frame
	over    bool
	rtt     time.Duration
	err     error
}

func (tc *pingScript) ping(ctx context.Context) *pinger {
	tc.Helper()
	p := new(pinger)
	go func() {
		p.rtt, p.err = tc.c.Ping(ctx)
		p.over = true
	}()
	synctest.Wait()
	b := tc.wire.take()
	h, n, err := parseHeader(b)
	if err != nil || h.opcode != opPing || !h.fin || len(b) != n+16 {
		tc.Fatalf("got % x, %v, want a ping of 16 bytes", b, err)
	}
	maskEach(b[n:], h.key, 0)
	p.payload = string(b[n:])
	return p
}

func (tc *pingScript) pong(payload string) {
	tc.wire.Write(tc.a.frame(0x8a, payload))
	synctest.Wait()
}

func (tc *pingScript) want(reason string, p *pinger, over bool, rtt time.Duration) {
	tc.Helper()
	synctest.Wait()
	if p.over != over || p.rtt != rtt || p.err != nil {
		tc.Errorf("%s: got over %t, %v, %v, want %t, %v, nil", reason, p.over, p.rtt, p.err, over, rtt)
	}
}

func TestPing(t *testing.T) {
	// RFC 6455, 5.5.3: a peer "MAY elect to send a Pong frame for only the most
	// recently processed Ping frame".
	pingTest(t, "several, told apart", func(tc *pingScript) {
		var list []*pinger
		for range 4 {
			list = append(list, tc.ping(tc.Context()))
			time.Sleep(time.Second)
		}
		tc.pong(list[0].payload)
		tc.want("its pong is here", list[0], true, 4*time.Second)
		tc.want("its pong is not here", list[1], false, 0)
		tc.pong(list[2].payload)
		tc.want("it was sent before the one that is answered", list[1], true, 3*time.Second)
		tc.want("its pong is here", list[2], true, 2*time.Second)
		tc.want("it was sent later", list[3], false, 0)
		tc.pong(list[3].payload)
		tc.want("its pong is here", list[3], true, time.Second)
		if len(tc.pongs) != 3 || tc.pongs[0] != list[0].payload {
			tc.Errorf("got %q, want the pong handler called for each", tc.pongs)
		}
	})

	pingTest(t, "a message writer is open", func(tc *pingScript) {
		w, _ := tc.c.NextWriter(BinaryMessage)
		w.Write(make([]byte, 10_000))
		tc.wire.take()
		p := tc.ping(tc.Context())
		tc.pong(p.payload)
		tc.want("its ping passed between the fragments", p, true, 0)
		if err := w.Close(); err != nil {
			tc.Error(err)
		}
		wantFrames(tc, tc.wire, `fin=true op=0 masked=true ""`)
	})
}

// The time is that from sending on, not from the call; and the order is that of sending.
func TestPingBehindABlockedWrite(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		go b.c.ReadMessage()
		go b.c.WriteMessage(TextMessage, []byte("a"))
		synctest.Wait()
		var rtt time.Duration
		var err error
		go func() { rtt, err = b.c.Ping(b.Context()) }()
		time.Sleep(time.Minute)
		if n := len(b.c.ownExtras().pings.waiting); n > 0 {
			b.Errorf("got %d pings in the list, want none: it was not sent", n)
		}
		b.open()
		list := b.take()
		if len(list) != 2 || list[0].frame != "1 a" || !strings.HasPrefix(list[1].frame, "9 ") {
			b.Fatalf("got %q, want the message and the ping", join(list))
		}
		time.Sleep(time.Second)
		b.send(peerFrame{true, opPong, list[1].frame[2:]})
		synctest.Wait()
		if rtt != time.Second || err != nil {
			b.Errorf("got %v, %v, want 1s, nil", rtt, err)
		}
	})
}

// What ends the reading ends all pings that wait for a pong, and later ones, also the first of all, fail at once.
func TestPingAndTheEndOfTheReading(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(tc *pingScript)
		want func(error) bool
	}{
		{"Close", func(tc *pingScript) { tc.c.Close() },
			func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		{"the peer's close", func(tc *pingScript) { tc.wire.Write(peerFrames(false, peerClose)) },
			func(err error) bool { return IsCloseError(err, CloseNormalClosure) }},
		{"end of file", func(tc *pingScript) { tc.wire.Close() },
			func(err error) bool { return IsCloseError(err, CloseAbnormalClosure) }},
		{"a broken rule", func(tc *pingScript) { tc.wire.Write([]byte{0x83, 0}) },
			func(err error) bool { return errors.As(err, new(*protocolError)) }},
		{"an error of a handler", func(tc *pingScript) {
			tc.c.SetPongHandler(func(string) error { return errMine })
			tc.pong("")
		}, func(err error) bool { return err == errMine }},
	} {
		for waiting := range 3 {
			pingTest(t, tt.name, func(tc *pingScript) {
				var list []*pinger
				for range waiting {
					list = append(list, tc.ping(tc.Context()))
				}
				tt.end(tc)
				synctest.Wait()
				for _, p := range list {
					if !p.over || p.rtt != 0 || !tt.want(p.err) {
						tc.Errorf("got over %t, %v, %v, want the error that ended the reading", p.over, p.rtt, p.err)
					}
				}
				tc.wire.take() // a Close frame
				var err error
				if d := took(func() { _, err = tc.c.Ping(tc.Context()) }); d != 0 || err != ErrCloseSent && !tt.want(err) {
					tc.Errorf("later: got %v after %v, want an error at once", err, d)
				}
				tc.c.wantNothingSent(tc, tc.wire, "no pong can come")
			})
		}
	}
}

// The context bounds a Ping, and the write deadline does not. Before the ping has left nothing has happened.
func TestPingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 100)
		c := newConn(a, false, nil, connOptions{})
		wantCancelled(t, "cancelled before", second(c.Ping(cancelled(errMine))))
		c.wantNothingSent(t, wire, "cancelled before")
		ping := func(reason, want string) {
			t.Helper()
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errMine)
			defer cancel()
			var err error
			if d := took(func() { _, err = c.Ping(ctx) }); d != time.Second || err == nil || err.Error() != want {
				t.Errorf("%s: got %v after %v, want %s after 1s", reason, err, d, want)
			}
			if err := c.send.lock.err(); err != nil {
				t.Errorf("%s: got %v, want a good connection", reason, err)
			}
		}
		const want = "websocket: context deadline exceeded: mine"
		ping("nobody reads", want)
		c.SetWriteDeadline(time.Now().Add(-time.Hour)) // of an earlier write
		ping("the write deadline is not for Ping", want)
		c.SetWriteDeadline(time.Time{})
		wire.take()
		go c.WriteMessage(BinaryMessage, make([]byte, 1000))
		synctest.Wait()
		ping("in turn", want)
		wire.Close()
		synctest.Wait()
		if _, err := c.Ping(t.Context()); err != io.ErrClosedPipe {
			t.Errorf("got %v, want that of the write", err)
		}
		if n := len(c.ownExtras().pings.waiting); n != 0 {
			t.Errorf("got %d pings that wait, want none", n)
		}
	})
}
