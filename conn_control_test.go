//go:build go1.25

package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
		if err := errors.Join(c.PingHandler()("c"), c.PongHandler()("d")); fmt.Sprint(got, err) != "[ping a pong b ping c pong d] <nil>" {
			b.Errorf("got %q and error %v, want what came, and two calls of the handlers that were set", got, err)
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

// A close handler replaces the answer, and its nil still gets the reader the *CloseError. The default handler can be
// had and wrapped, and comes back by nil.
func TestCloseHandler(t *testing.T) {
	for name, answer := range map[string][]string{"replaced": nil, "wrapped": {"8 \x0f\xa0"}, "back": {"8 \x0f\xa0"}} {
		eachPipe(t, connOptions{}, func(b *bubble) {
			want := CloseError{4000, "bye"}
			var got CloseError
			byDefault := b.c.CloseHandler()
			b.c.SetCloseHandler(func(code int, text string) error {
				if got = (CloseError{code, text}); name == "wrapped" {
					return byDefault(code, text)
				}
				return nil
			})
			if name == "back" {
				b.c.SetCloseHandler(nil)
				got = want // by nobody
			}
			b.send(peerFrame{true, opClose, "\x0f\xa0bye"})
			err := second3(b.c.ReadMessage())
			if e, ok := err.(*CloseError); !ok || *e != want || got != want {
				b.Errorf("%s: got %v, and %v in the handler, want close 4000 bye", name, err, got)
			}
			b.want(name, answer...)
			if name == "replaced" {
				got = CloseError{}
				if err := b.c.CloseHandler()(want.Code, want.Text); err != nil || got != want {
					b.Errorf("got %v and error %v of CloseHandler, want the handler that was set", got, err)
				}
			}
		})
	}
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

// A timeout that a handler returns, of a write of its own, ends the reading, but is not a timeout of the read: a
// program that repeats such a read would do so for ever.
func TestHandlerTimeout(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errWriteTimeout, "websocket: a handler has failed: websocket: write timeout"},
		{context.DeadlineExceeded, "context deadline exceeded"},
		{errMine, "mine"},
	} {
		for _, frame := range []peerFrame{pingFrame(""), {true, opPong, ""}, {true, opClose, ""}} {
			eachPipe(t, connOptions{}, func(b *bubble) {
				b.c.SetPingHandler(func(string) error { return tt.err })
				b.c.SetPongHandler(func(string) error { return tt.err })
				b.c.SetCloseHandler(func(int, string) error { return tt.err })
				b.send(frame)
				for range 2 {
					err := second3(b.c.ReadMessage())
					if err == nil || err.Error() != tt.want || errors.Is(err, os.ErrDeadlineExceeded) {
						b.Errorf("opcode %d: got %v, want %s", frame.op, err, tt.want)
					}
				}
			})
		}
	}
}

// The error of a handler is that of all reads, even if the handler has closed the connection itself.
func TestHandlerClosesAndFails(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.c.SetPingHandler(func(string) error {
			b.c.Close()
			return errMine
		})
		b.send(pingFrame(""))
		for range 2 {
			if err := second3(b.c.ReadMessage()); err != errMine {
				b.Errorf("got %v, want the handler's error", err)
			}
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
		go func() { // ends with the test, which closes the connection
			for second3(c.ReadMessage()) == nil {
			}
		}()
		synctest.Wait()
		script(tc)
	})
}

// pinger is a call of Ping, and the payload of its frame.
type pinger struct {
	*call
	payload string
}

func (tc *pingScript) ping(ctx context.Context) *pinger {
	tc.Helper()
	ping := beginPing(tc.T, tc.c, ctx)
	synctest.Wait()
	frame, rest := cutFrame(tc.wire.take())
	if !strings.HasPrefix(frame, "9 ") || len(frame) != 2+16 || len(rest) > 0 {
		tc.Fatalf("got %q and %d bytes, want a ping of 16 bytes", frame, len(rest))
	}
	return &pinger{ping, frame[2:]}
}

// beginPing calls Ping, whose result is the time as text.
func beginPing(t *testing.T, c *Conn, ctx context.Context) *call {
	return begin(t, func() (string, error) {
		rtt, err := c.Ping(ctx)
		return rtt.String(), err
	})
}

func (tc *pingScript) pong(payload string) {
	tc.wire.Write(tc.a.frame(0x8a, payload))
	synctest.Wait()
}

func (tc *pingScript) want(reason string, p *pinger, over bool, rtt time.Duration) {
	tc.Helper()
	if over {
		p.wantMessage(reason, rtt.String())
	} else {
		p.wantWaiting(reason)
	}
}

// RFC 6455, 5.5.3: a peer "MAY elect to send a Pong frame for only the most recently processed Ping frame".
func TestPing(t *testing.T) {
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
}

// The time is that from sending on, not from the call; and the order is that of sending.
func TestPingBehindABlockedWrite(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		go b.c.ReadMessage()
		go b.c.WriteMessage(TextMessage, []byte("a"))
		synctest.Wait()
		ping := beginPing(b.T, b.c, b.Context())
		time.Sleep(time.Minute)
		if n := len(b.c.ownExtras().pings.waiting); n > 0 {
			b.Errorf("got %d pings in the list, want none: it was not sent", n)
		}
		b.open()
		list := b.take()
		if len(list) != 2 || list[0] != "1 a" || !strings.HasPrefix(list[1], "9 ") {
			b.Fatalf("got %q, want the message and the ping", join(list))
		}
		time.Sleep(time.Second)
		b.send(peerFrame{true, opPong, list[1][2:]})
		ping.wantMessage("it was sent a second ago", "1s")
	})
}

// What ends the reading ends all pings that wait for a pong, and later ones, also the first of all, fail at once.
func TestPingAndTheEndOfTheReading(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(tc *pingScript)
		want  string
		later string // the error of a later Ping, where it is another one
	}{
		{"Close", func(tc *pingScript) { tc.c.Close() }, errClosedPipe, strings.Replace(errClosedPipe, "read", "write", 1)},
		{"the peer's close", func(tc *pingScript) { tc.wire.Write(peerFrames(false, peerClose)) },
			"websocket: close 1000 (normal): bye", "websocket: close sent"},
		{"end of file", func(tc *pingScript) { tc.wire.Close() },
			"websocket: close 1006 (abnormal closure): unexpected EOF", ""},
		{"a broken rule", func(tc *pingScript) { tc.wire.Write([]byte{0x83, 0}) },
			"websocket: unknown opcode 3", "websocket: close sent"},
		{"an error of a handler", func(tc *pingScript) {
			tc.c.SetPongHandler(func(string) error { return errMine })
			tc.pong("")
		}, "mine", ""},
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
					if p.want("the error that ended the reading", 0, tt.want); p.result != "0s" {
						tc.Errorf("got the time %s with the error, want none", p.result)
					}
				}
				tc.wire.take() // a Close frame
				later := beginPing(tc.T, tc.c, tc.Context())
				later.want("a later one", 0, cmp.Or(tt.later, tt.want))
				tc.c.wantNothingSent(tc, tc.wire, "no pong can come")
			})
		}
	}
}

// The context bounds a Ping, and the write deadline does not. Before the ping has left nothing has happened.
func TestPingErrors(t *testing.T) {
	network{manual: true, size: 100}.run(t, func(b *bubble) {
		c := b.c
		wantCancelled(b.T, "cancelled before", second(c.Ping(cancelled(errMine))))
		b.want("cancelled before")
		ping := func(reason string) {
			b.Helper()
			ctx, cancel := context.WithTimeoutCause(b.Context(), time.Second, errMine)
			defer cancel()
			inBackground(b.T, func() error { return second(c.Ping(ctx)) }).
				want(reason, time.Second, "websocket: context deadline exceeded: mine")
			if err := c.send.lock.err(); err != nil {
				b.Errorf("%s: got %v, want a good connection", reason, err)
			}
		}
		ping("nobody reads")
		c.SetWriteDeadline(time.Now().Add(-time.Hour)) // of an earlier write
		ping("the write deadline is not for Ping")
		c.SetWriteDeadline(time.Time{})
		b.pipe.take()
		go c.WriteMessage(BinaryMessage, make([]byte, 1000))
		synctest.Wait()
		ping("in turn")
		b.hangUp()
		synctest.Wait()
		if err := second(c.Ping(b.Context())); err != io.ErrClosedPipe {
			b.Errorf("got %v, want that of the write", err)
		}
		if n := len(c.ownExtras().pings.waiting); n != 0 {
			b.Errorf("got %d pings that wait, want none", n)
		}
	})
}
