//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// The limit is that of the Upgrader or Dialer, or the last that was set. testdata/wire/limits.txt has what it counts.
func TestReadLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit int64 // of the Upgrader or Dialer
		set   int64 // of SetReadLimit, unless it is 1
		in    string
		want  error
	}{
		{"of the Dialer", 5, 1, "82 06", ErrReadLimit},
		{"the default", 0, 1, "82 7f 0000000002000001", ErrReadLimit},
		{"the default, not over it", 0, 1, "82 7f 0000000002000000", errUnexpectedEOF},
		{"none", -1, 1, "82 7f 7fffffffffffffff", errUnexpectedEOF},
		{"set", -1, 5, "82 06", ErrReadLimit},
		{"set to none", 5, 0, "82 06", errUnexpectedEOF},
		{"set to less", 5, -7, "82 06", errUnexpectedEOF},
		{"sum that overflows", 10, 1, "02 05 0102030405 80 7f 7fffffffffffffff", ErrReadLimit},
		{"sum that overflows, without a limit", -1, 1, "02 05 0102030405 80 7f 7fffffffffffffff", errUnexpectedEOF},
	} {
		a, wire := newPipe(t, 1000)
		c := newConn(a, false, nil, connOptions{readLimit: tt.limit})
		if tt.set != 1 {
			c.SetReadLimit(tt.set)
		}
		wire.Write(unhex(t, tt.in))
		closedBy(wire, false)
		if _, _, err := c.ReadMessage(); err != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == ErrReadLimit {
			wantFrames(t, wire, "8 \x03\xf1")
		}
	}
}

// peerFrame is a frame that the peer sends.
type peerFrame struct {
	fin     bool
	op      opcode
	payload string
}

// peerFrames encodes frames as the peer of a server or of a client sends them.
func peerFrames(toServer bool, list ...peerFrame) (b []byte) {
	for i, f := range list {
		h := header{fin: f.fin, opcode: f.op, length: int64(len(f.payload)), masked: toServer}
		if toServer {
			h.key = [4]byte{0x37, 0xfa, 0x21, byte(i)}
		}
		b = h.append(b)
		payload := []byte(f.payload)
		maskEach(payload, h.key, 0)
		b = append(b, payload...)
	}
	return b
}

var peerClose = peerFrame{true, opClose, "\x03\xe8bye"}

// wantReadTimeout reads with the context, or without if that is nil, until it or a deadline ends that, which is to be
// after the time.
func wantReadTimeout(t *testing.T, c *Conn, reason string, ctx context.Context, want error, after time.Duration) {
	t.Helper()
	read := c.ReadMessage
	if ctx != nil {
		read = func() (int, []byte, error) { return c.ReadMessageContext(ctx) }
	}
	start := time.Now()
	_, p, err := read()
	var ne net.Error
	if d := time.Since(start); err != want || !errors.As(err, &ne) || !ne.Timeout() || d != after {
		t.Errorf("%s: got %q, %v after %v, want %v after %v", reason, p, err, d, want, after)
	}
}

// A read deadline is in force from when it is set, for the read that waits, too, until another is set: during a read
// with a context, and again after that has ended one.
func TestReadDeadlineBeforeDuringAndAfter(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, server)
			set := func(d time.Duration) { c.SetReadDeadline(time.Now().Add(d)) }
			withTimeout := func(d time.Duration) context.Context {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				t.Cleanup(cancel)
				return ctx
			}
			passed, ended := os.ErrDeadlineExceeded, context.DeadlineExceeded
			for _, ctx := range []func() context.Context{
				func() context.Context { return nil },
				func() context.Context { return withTimeout(24 * time.Hour) },
			} {
				set(time.Second)
				wantReadTimeout(t, c, "set before", ctx(), passed, time.Second)
				wantReadTimeout(t, c, "it stays", ctx(), passed, 0)
				set(time.Hour)
				time.AfterFunc(time.Second, func() { set(time.Second) })
				wantReadTimeout(t, c, "made shorter", ctx(), passed, 2*time.Second)
				set(2 * time.Second)
				time.AfterFunc(time.Second, func() { set(time.Minute) })
				wantReadTimeout(t, c, "made longer", ctx(), passed, time.Second+time.Minute)
				c.SetReadDeadline(time.Time{})
				time.AfterFunc(time.Second, func() { c.SetReadDeadline(time.Unix(1, 0)) })
				wantReadTimeout(t, c, "the past", ctx(), passed, time.Second)
			}
			set(5 * time.Second)
			wantReadTimeout(t, c, "the context ends first", withTimeout(time.Second), ended, time.Second)
			wantReadTimeout(t, c, "the read deadline is in force again", nil, passed, 4*time.Second)
			set(2 * time.Second)
			time.AfterFunc(time.Second, func() { c.SetReadDeadline(time.Time{}) })
			wantReadTimeout(t, c, "the read deadline is taken back", withTimeout(time.Minute), ended, time.Minute)
			time.AfterFunc(time.Hour, func() { wire.Write(peerFrames(server, texts("late")...)) })
			wantRead(t, c, "late") // there is no deadline any more
		})
	})
}

// A read deadline that is set while the network connection has another one, as for a context that has ended or for
// Shutdown, comes into force when that is over.
func TestOverriddenReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.overrideReadDeadline(time.Now().Add(time.Second))
		c.SetReadDeadline(time.Now().Add(time.Minute))
		wantReadTimeout(t, c, "overridden", nil, os.ErrDeadlineExceeded, time.Second)
		if d := c.ownDeadlines().inForce(); time.Until(d) != 0 {
			t.Errorf("got a deadline in %v in force, want the other one", time.Until(d))
		}
		c.restoreReadDeadline()
		wantReadTimeout(t, c, "restored", nil, os.ErrDeadlineExceeded, time.Minute-time.Second)
		c.SetReadDeadline(time.Time{})
		wire.Write(peerFrames(true, texts("a")...))
		wantRead(t, c, "a")
	})
}

// A context that has ended reads nothing, not even what is there, in the network or in the buffer. One that cannot end
// is none.
func TestReadMessageContextCancelledBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		wire.Write(peerFrames(false, texts("a", "b")...))
		start := time.Now()
		for _, text := range []string{"a", "b"} {
			_, p, err := c.ReadMessageContext(cancelled(errMine))
			wantCancelled(t, "before "+text, err)
			if took := time.Since(start); p != nil || took != 0 || text == "a" && len(wire.out.data) != 6 {
				t.Errorf("got %q after %v, and %d of 6 bytes left, want nothing at once", p, took, len(wire.out.data))
			}
			if _, p, err := c.ReadMessageContext(context.Background()); string(p) != text || err != nil {
				t.Errorf("got %q, %v with a context that cannot end, want %s", p, err, text)
			}
		}
	})
}

// A context that ends while a handler is at work, however long that takes, loses nothing. What has ended the reading
// comes before the context, and stays. If the handler panics, the context reaches no later read.
func TestReadMessageContextDuringAHandler(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		var cancel context.CancelFunc
		slow := func() error {
			cancel()
			time.Sleep(time.Hour)
			return nil
		}
		b.c.SetPongHandler(func(string) error { return slow() })
		b.c.SetPingHandler(func(payload string) error {
			if payload == "cancelled" {
				cancel()
				synctest.Wait()
			}
			panic(errMine)
		})
		b.c.SetCloseHandler(func(int, string) error { return slow() })
		read := func(f peerFrame) error {
			var ctx context.Context
			ctx, cancel = context.WithCancel(b.Context())
			b.send(f)
			_, _, err := b.c.ReadMessageContext(ctx)
			return err
		}
		if err := read(peerFrame{true, opPong, ""}); err != context.Canceled {
			b.Errorf("got %v, want %v", err, context.Canceled)
		}
		b.send(textFrame("behind a pong"))
		wantRead(b, b.c, "behind a pong")

		for _, payload := range []string{"cancelled", "cancelled later"} {
			func() {
				defer func() {
					if err := recover(); err != errMine {
						b.Errorf("got %v, want the handler's panic", err)
					}
				}()
				read(pingFrame(payload))
			}()
			cancel()
			synctest.Wait()
			b.send(textFrame("behind a panic"))
			wantRead(b, b.c, "behind a panic")
		}

		err := read(peerClose)
		if !IsCloseError(err, CloseNormalClosure) {
			b.Errorf("got %v, want close 1000", err)
		}
		if _, _, again := b.c.ReadMessageContext(b.Context()); again != err {
			b.Errorf("got %v, want the same error", again)
		}
	})
}

// A write deadline that was set before a write begins bounds it; one that is set meanwhile does not, and a past one
// ends the next before any of it has left. A message writer looks at it for each of its fragments.
func TestWriteDeadlineBeforeDuringAndAfter(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		set := func(d time.Duration) { b.c.SetWriteDeadline(time.Now().Add(d)) }
		b.full()
		set(time.Minute)
		write := begin(b.T, func() (string, error) { return "", b.c.WriteMessage(TextMessage, []byte("a")) })
		write.wantWaiting("the network takes nothing")
		set(time.Second)
		time.Sleep(30 * time.Second)
		b.open()
		write.want("the deadline is for the next", 30*time.Second, noError)
		d := took(func() { wantWriteTimeout(b, "past", b.c.WriteMessage(TextMessage, []byte("x"))) })
		if b.want("the past one has left nothing", "1 a"); d != 0 {
			b.Errorf("got a wait of %v, want none", d)
		}

		set(time.Second)
		w, err := b.c.NextWriter(BinaryMessage)
		if err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Hour)
		set(5 * time.Second)
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			b.Errorf("got %v, want the new deadline to count", err)
		}
		b.full()
		if d := took(func() { _, err = w.Write(make([]byte, 9000)) }); !isTimeout(err) || d != 5*time.Second {
			b.Errorf("got %v after %v, want a timeout at the new deadline, 5s", err, d)
		}
		if again := w.Close(); again != err {
			b.Errorf("got %v from Close, want the same error", again)
		}
	})
}

// The deadline of WriteControl is its own: the program's write deadline is not for it,
// and it is not that of the messages.
func TestWriteControlHasADeadlineOfItsOwn(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		control := func(deadline time.Time) {
			b.Helper()
			if err := b.c.WriteControl(PingMessage, nil, deadline); err != nil {
				b.Errorf("got %v, want nil", err)
			}
			b.want("a ping has left", "9 ")
		}
		b.c.SetWriteDeadline(time.Now().Add(time.Second))
		control(time.Now().Add(time.Hour))
		time.Sleep(2 * time.Second) // now the write deadline has passed
		control(time.Time{})
		b.c.SetWriteDeadline(time.Time{})
		control(time.Now().Add(time.Second))
		time.Sleep(time.Hour)
		wantWrite(b, b.c, "a")
	})
}

// A connection whose program sets no deadline has none, and takes no memory for any. One is given to the network
// once, not for every write.
func TestNoDeadlines(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		write := func(reason string, want int) {
			t.Helper()
			for range 3 {
				wantWrite(t, c, "a")
			}
			c.WriteControl(PongMessage, nil, time.Time{}) // a ping's answer would have one
			if got := wire.in.writeDeadlines; got != want {
				t.Errorf("%s: got %d calls of SetWriteDeadline, want %d", reason, got, want)
			}
		}
		wire.Write(peerFrames(server, texts("a")...))
		wantRead(t, c, "a")
		write("none is set: cleared at first", 1)
		if c.deadlines.Load() != nil || c.send.delayed.Load() != nil {
			t.Error("got memory for deadlines, want none")
		}
		c.SetWriteDeadline(time.Now().Add(time.Hour))
		write("one is set: and set, and taken back for WriteControl", 3)
	})
}
