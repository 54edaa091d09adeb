//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnAccessors(t *testing.T) {
	near, _ := tcpPair(t)
	c := newConn(near, true, nil, connOptions{agreed: agreement{subprotocol: "chat"}})
	if got := c.Subprotocol(); got != "chat" {
		t.Errorf("Subprotocol: got %q, want chat", got)
	}
	if got, ok := c.NetConn().(*net.TCPConn); !ok || net.Conn(got) != near {
		t.Errorf("NetConn: got %T, want the very connection", c.NetConn())
	}
	if c.LocalAddr() != near.LocalAddr() || c.RemoteAddr() != near.RemoteAddr() {
		t.Errorf("got %v and %v, want %v and %v", c.LocalAddr(), c.RemoteAddr(), near.LocalAddr(), near.RemoteAddr())
	}
}

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
		wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
		if _, _, err := c.ReadMessage(); err != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == ErrReadLimit {
			wantFrames(t, wire, `fin=true op=8 masked=true "\x03\xf1"`)
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

// interruptedScripts are what comes, and what the application has of it in the end.
var interruptedScripts = []struct {
	name string
	in   func(server bool) []byte
	want []string
}{
	{"fragments with pings between", func(server bool) []byte {
		return peerFrames(server, peerFrame{false, opText, "h\xc3"}, pingFrame("one"), peerFrame{false, opContinuation, ""},
			peerFrame{true, opPong, "two"}, pingFrame(""), peerFrame{false, opContinuation, "\xa9l"},
			peerFrame{true, opContinuation, "lo"}, textFrame(""), peerClose)
	}, []string{`ping "one"`, `pong "two"`, `ping ""`, `text "héllo"`, `text ""`, "websocket: close 1000 (normal): bye"}},
	{"16-bit length", func(server bool) []byte {
		return peerFrames(server, peerFrame{true, opBinary, strings.Repeat("x", 126)}, peerFrame{true, opClose, ""})
	}, []string{fmt.Sprintf("binary %q", strings.Repeat("x", 126)), "websocket: close 1005 (no status)"}},
	// Compressed messages, a plain one, and one that refers to the first.
	{"context takeover", func(server bool) (in []byte) {
		payloads := deflateMessages(9, []byte("héllo, a message that comes twice"), []byte("héllo, a message that comes twice!"))
		p, q := string(payloads[0]), string(payloads[1])
		for _, f := range []string{"\x41" + p[:5], "\x89one", "\x00", "\x00" + p[5:6], "\x8atwo", "\x80" + p[6:],
			"\x81plain", "\xc2" + q, "\xc1\x00", closeFrame(CloseNormalClosure, "bye")} {
			in = append(in, closingFrame(server, f)...)
		}
		return in
	}, []string{`ping "one"`, `pong "two"`, `text "héllo, a message that comes twice"`, `text "plain"`,
		`binary "héllo, a message that comes twice!"`, `text ""`, "websocket: close 1000 (normal): bye"}},
}

// interruptedApp notes what it gets.
type interruptedApp struct {
	*testing.T
	c      *Conn
	events []string
	end    error // of the reading
}

// read reads until it is interrupted, or to the end.
func (a *interruptedApp) read(way func(*Conn) (int, []byte, error)) (interruption error) {
	a.Helper()
	for a.end == nil {
		messageType, p, err := way(a.c)
		switch {
		case err == nil:
			a.events = append(a.events, fmt.Sprintf("%s %q", scriptMessageType(messageType), p))
		case errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
			if messageType != noMessage || len(p) > 0 {
				a.Errorf("got type %d and %q with %v, want nothing", messageType, p, err)
			}
			a.c.wantSmallBuffer(a)
			return err
		default:
			a.end = err
			a.events = append(a.events, err.Error())
		}
	}
	return nil
}

// playInterrupted has the bytes come in pieces that begin at the cuts. At each a context ends a read after d, and then
// a deadline does, in the same place. Behind the last the rest is read in one of the ways.
func playInterrupted(t *testing.T, c *Conn, far io.Writer, in []byte, cuts []int, d time.Duration, way int, want []string) {
	t.Helper()
	a := &interruptedApp{T: t, c: c}
	note := func(kind string) func(string) error {
		return func(s string) error {
			a.events = append(a.events, fmt.Sprintf("%s %q", kind, s))
			return nil
		}
	}
	c.SetPingHandler(note("ping"))
	c.SetPongHandler(note("pong"))
	begin := 0
	for i, cut := range cuts {
		far.Write(in[begin:cut])
		begin = cut
		ctx, cancel := context.WithCancelCause(context.Background())
		timer := time.AfterFunc(d, func() { cancel(errMine) })
		wantCancelled(t, "context", a.read(func(c *Conn) (int, []byte, error) { return c.ReadMessageContext(ctx) }))
		timer.Stop()
		c.SetReadDeadline(time.Now().Add(d))
		a.read(receiveWays[i%2].read) // ReadMessage or AppendMessage
		c.SetReadDeadline(time.Time{})
	}
	far.Write(in[begin:])
	if err := a.read(receiveWays[way].read); err != nil || !slices.Equal(a.events, want) {
		t.Fatalf("interrupted at %v, then %s: got %q, %v, want %q", cuts, receiveWays[way].name, a.events, err, want)
	}
}

// A read that a context or a deadline has interrupted at any byte, or behind every byte, loses nothing, however the
// reading goes on.
func TestReadInterruptedAnywhere(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, script := range interruptedScripts {
			t.Run(script.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					in := script.in(server)
					play := func(cuts []int, way int) {
						c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
						playInterrupted(t, c, wire, in, cuts, time.Second, way, script.want)
					}
					var all []int
					for k := range len(in) {
						all = append(all, k)
						for way := range receiveWays {
							play([]int{k}, way)
						}
					}
					play(all, 0)
				})
			})
		}
	})
}

// The same on the connections of the kernel, and on what wraps one.
func TestReadInterruptedOnEachTransport(t *testing.T) {
	for _, script := range interruptedScripts[:1] {
		in := script.in(true)
		for k := 1; k < len(in); k += 2 {
			eachTransport(t, func(t *testing.T, near, far net.Conn) {
				// What was written is there to be read; a millisecond is for reading it.
				c := newConn(near, true, nil, connOptions{})
				playInterrupted(t, c, far, in, []int{k}, time.Millisecond, k/2%len(receiveWays), script.want)
			})
		}
	}
}

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

// A context that has ended reads nothing, not even what is there.
func TestReadMessageContextCancelledBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		wire.Write(unhex(t, "81 01 61"))
		start := time.Now()
		_, p, err := c.ReadMessageContext(cancelled(errMine))
		wantCancelled(t, "cancelled before", err)
		if p != nil || !time.Now().Equal(start) || len(wire.out.data) != 3 {
			t.Errorf("got %q after %v, and %d of 3 bytes left, want nothing at once", p, time.Since(start), len(wire.out.data))
		}
		wire.Write(unhex(t, "81 01 62"))
		wantRead(t, c, "a")
		_, _, err = c.ReadMessageContext(cancelled(errMine))
		wantCancelled(t, "cancelled before, another message being in the buffer", err)
	})
}

// A context that ends after its read is no matter for the next one.
func TestReadMessageContextEndsBetweenReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		read := func(reason string, read func() (int, []byte, error), meanwhile func()) {
			t.Helper()
			time.AfterFunc(time.Second, meanwhile)
			time.AfterFunc(2*time.Second, func() { wire.Write(unhex(t, "81 01 61")) })
			if _, p, err := read(); string(p) != "a" || err != nil {
				t.Errorf("%s: got %q, %v, want the message", reason, p, err)
			}
		}
		with := func(ctx context.Context) func() (int, []byte, error) {
			return func() (int, []byte, error) { return c.ReadMessageContext(ctx) }
		}
		for _, later := range []func() (int, []byte, error){c.ReadMessage, with(t.Context()), with(context.Background())} {
			ctx, cancel := context.WithCancel(t.Context())
			read("the context goes on", with(ctx), func() {})
			cancel()
			synctest.Wait()
			read("the context of the read before has ended", later, func() {})

			ctx, cancel = context.WithCancel(t.Context())
			read("another context goes on", with(ctx), func() {})
			read("the context of the read before ends now", later, cancel)
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
		b.c.SetPingHandler(func(string) error { panic(errMine) })
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

		func() {
			defer func() {
				if err := recover(); err != errMine {
					b.Errorf("got %v, want the handler's panic", err)
				}
			}()
			read(pingFrame(""))
		}()
		cancel()
		synctest.Wait()
		b.send(textFrame("behind a panic"))
		wantRead(b, b.c, "behind a panic")

		err := read(peerClose)
		if !IsCloseError(err, CloseNormalClosure) {
			b.Errorf("got %v, want close 1000", err)
		}
		if _, _, again := b.c.ReadMessageContext(b.Context()); again != err {
			b.Errorf("got %v, want the same error", again)
		}
	})
}

// A write deadline that was set before a write begins bounds it; one that is set
// meanwhile does not, and a past one ends the next before any of it has left.
func TestWriteDeadlineBeforeDuringAndAfter(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.full()
		b.c.SetWriteDeadline(time.Now().Add(time.Minute))
		write := begin(b.T, func() (string, error) { return "", b.c.WriteMessage(TextMessage, []byte("a")) })
		write.wantWaiting("the network takes nothing")
		b.c.SetWriteDeadline(time.Now().Add(time.Second))
		time.Sleep(30 * time.Second)
		b.open()
		write.want("the deadline is for the next", 30*time.Second, noError)
		d := took(func() { wantWriteTimeout(b, "past", b.c.WriteMessage(TextMessage, []byte("x"))) })
		if b.want("the past one has left nothing", "1 a"); d != 0 {
			b.Errorf("got a wait of %v, want none", d)
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
