//go:build go1.25

package websocket

import (
	"bytes"
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
	in   []peerFrame
	want []string
}{
	{"text", []peerFrame{{true, opText, "héllo"}, {true, opText, ""}, peerClose},
		[]string{`text "héllo"`, `text ""`, "websocket: close 1000 (normal): bye"}},
	{"fragments with pings between", []peerFrame{
		{false, opText, "h\xc3"}, {true, opPing, "one"}, {false, opContinuation, ""}, {true, opPong, "two"},
		{true, opPing, ""}, {false, opContinuation, "\xa9l"}, {true, opContinuation, "lo"}, peerClose},
		[]string{`ping "one"`, `pong "two"`, `ping ""`, `text "héllo"`, "websocket: close 1000 (normal): bye"}},
	{"16-bit length", []peerFrame{{true, opBinary, strings.Repeat("x", 126)}, {true, opClose, ""}},
		[]string{fmt.Sprintf("binary %q", strings.Repeat("x", 126)), "websocket: close 1005 (no status)"}},
}

// interruptedApp notes what it gets.
type interruptedApp struct {
	c      *Conn
	events []string
	end    error // of the reading
}

func newInterruptedApp(c *Conn) *interruptedApp {
	a := &interruptedApp{c: c}
	note := func(kind string) func(string) error {
		return func(s string) error {
			a.events = append(a.events, fmt.Sprintf("%s %q", kind, s))
			return nil
		}
	}
	c.SetPingHandler(note("ping"))
	c.SetPongHandler(note("pong"))
	return a
}

// note takes the result of a read, and reports whether it was interrupted.
func (a *interruptedApp) note(t *testing.T, messageType int, p []byte, err error) (interrupted bool) {
	t.Helper()
	switch {
	case err == nil:
		a.events = append(a.events, fmt.Sprintf("%s %q", scriptMessageType(messageType), p))
	case errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
		if messageType != noMessage || len(p) > 0 {
			t.Errorf("got type %d and %q with %v, want nothing", messageType, p, err)
		}
		return true
	default:
		a.end = err
		a.events = append(a.events, err.Error())
	}
	return false
}

// readUntilInterrupted reads with a context that ends after the time.
func (a *interruptedApp) readUntilInterrupted(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	timer := time.AfterFunc(d, func() { cancel(errMine) })
	defer timer.Stop()
	for a.end == nil {
		messageType, p, err := a.c.ReadMessageContext(ctx)
		if a.note(t, messageType, p, err) {
			wantCancelled(t, "interrupted", err)
			return
		}
	}
}

// readWays are how a read can go on after another one was interrupted.
var readWays = []struct {
	name string
	read func(c *Conn) (messageType int, p []byte, err error)
}{
	{"ReadMessageContext", func(c *Conn) (int, []byte, error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		return c.ReadMessageContext(ctx)
	}},
	{"ReadMessage", (*Conn).ReadMessage},
	{"AppendMessage", func(c *Conn) (int, []byte, error) {
		messageType, p, err := c.AppendMessage([]byte("before"))
		if !bytes.HasPrefix(p, []byte("before")) {
			return messageType, p, fmt.Errorf("got %q, want what was there in front", p)
		}
		return messageType, p[len("before"):], err
	}},
	{"NextReader", func(c *Conn) (int, []byte, error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		p, err := io.ReadAll(r)
		return messageType, p, err
	}},
}

// A read that a context has interrupted at any byte loses nothing, however the
// reading goes on.
func TestReadMessageContextInterruptedAnywhere(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, script := range interruptedScripts {
			t.Run(script.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					in := peerFrames(server, script.in...)
					for k := range len(in) {
						for i := range readWays {
							c, wire := newTestConn(t, server)
							interruptThenRead(t, c, wire, in, k, time.Second, i, script.want)
						}
					}
				})
			})
		}
	})
}

// The same on the connections of the kernel, and on what wraps one.
func TestReadMessageContextInterruptedOnEachTransport(t *testing.T) {
	for _, script := range interruptedScripts[:2] {
		t.Run(script.name, func(t *testing.T) {
			in := peerFrames(true, script.in...)
			for k := 1; k < len(in); k += 2 {
				eachTransport(t, func(t *testing.T, near, far net.Conn) {
					// What was written is there to be read; a millisecond is for reading it.
					interruptThenRead(t, newConn(near, true, nil, connOptions{}), far, in, k, time.Millisecond, k/2, script.want)
				})
			}
		})
	}
}

// interruptThenRead has k bytes come, a read interrupted, and then the rest, which is read in one of the ways.
func interruptThenRead(t *testing.T, c *Conn, far io.Writer, in []byte, k int, d time.Duration, i int, want []string) {
	t.Helper()
	a := newInterruptedApp(c)
	far.Write(in[:k])
	a.readUntilInterrupted(t, d)
	a.readUntilInterrupted(t, d) // in the same place
	far.Write(in[k:])
	way := readWays[i%len(readWays)]
	for a.end == nil {
		messageType, p, err := way.read(c)
		if a.note(t, messageType, p, err) {
			t.Fatalf("%s after %d bytes: got %v, want no interruption", way.name, k, err)
		}
	}
	if !slices.Equal(a.events, want) {
		t.Errorf("%d bytes, then %s: got %q, want %q", k, way.name, a.events, want)
	}
}

// One connection is interrupted behind every byte, by contexts and by deadlines in
// turn, and each call goes on where another kind was.
func TestReadInterruptedBehindEveryByte(t *testing.T) {
	long := interruptedScripts[1]
	long.name = "a long message"
	long.in = []peerFrame{{false, opBinary, strings.Repeat("y", 5000)}, {true, opPing, "p"}, {true, opContinuation, "z"}, peerClose}
	long.want = []string{`ping "p"`, fmt.Sprintf("binary %q", strings.Repeat("y", 5000)+"z"), "websocket: close 1000 (normal): bye"}
	bothSides(t, func(t *testing.T, server bool) {
		for _, script := range append(slices.Clone(interruptedScripts), long) {
			t.Run(script.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, wire := newTestConn(t, server)
					a := newInterruptedApp(c)
					in := peerFrames(server, script.in...)
					for i := 0; len(in) > 0; i++ {
						n := 1
						if len(in) > 200 {
							n = 97
						}
						wire.Write(in[:n])
						in = in[n:]
						switch i % 3 {
						case 0:
							a.readUntilInterrupted(t, time.Second)
						default:
							c.SetReadDeadline(time.Now().Add(time.Second))
							for a.end == nil && !a.step(t, readWays[i%3].read) {
							}
							c.SetReadDeadline(time.Time{})
						}
					}
					if !slices.Equal(a.events, script.want) {
						t.Errorf("got %q, want %q", a.events, script.want)
					}
				})
			})
		}
	})
}

func (a *interruptedApp) step(t *testing.T, read func(*Conn) (int, []byte, error)) (interrupted bool) {
	t.Helper()
	messageType, p, err := read(a.c)
	return a.note(t, messageType, p, err)
}

// A reader of NextReader that a deadline has interrupted goes on, too.
func TestReaderInterruptedBehindEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, server)
			var r io.Reader
			var got []byte
			again := func() (err error) {
				c.SetReadDeadline(time.Now().Add(time.Second))
				if r == nil {
					_, r, err = c.NextReader()
					return err
				}
				p := make([]byte, 2)
				n, err := r.Read(p)
				got = append(got, p[:n]...)
				return err
			}
			in := peerFrames(server, interruptedScripts[1].in[:7]...)
			for i, b := range in {
				wire.Write([]byte{b})
				for {
					err := again()
					if err == io.EOF && i == len(in)-1 {
						break
					}
					if errors.Is(err, os.ErrDeadlineExceeded) {
						break
					}
					if err != nil {
						t.Fatalf("behind byte %d: got %v, want bytes or a timeout", i, err)
					}
				}
			}
			if string(got) != "héllo" {
				t.Errorf("got %q, want héllo", got)
			}
		})
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
		if _, p, err := c.ReadMessage(); string(p) != "a" || err != nil {
			t.Errorf("got %q, %v, want the message", p, err)
		}
		_, _, err = c.ReadMessageContext(cancelled(errMine))
		wantCancelled(t, "cancelled before, another message being in the buffer", err)
	})
}

func TestReadMessageContextDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, _, err := c.ReadMessageContext(ctx)
		var ne net.Error
		if err != context.DeadlineExceeded || !errors.As(err, &ne) || !ne.Timeout() || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v, want context.DeadlineExceeded, a timeout, after 1m0s", err, time.Since(start))
		}
		time.AfterFunc(time.Hour, func() { wire.Write(unhex(t, "81 01 61")) })
		if _, p, err := c.ReadMessage(); string(p) != "a" || err != nil {
			t.Errorf("got %q, %v, want the message: there is no deadline any more", p, err)
		}
	})
}

// The program's read deadline is in force during a read with a context, and again
// after one that was interrupted.
func TestReadMessageContextAndReadDeadline(t *testing.T) {
	type script func(t *testing.T, c *Conn, wantTimeout func(reason string, ctx context.Context, at time.Duration))
	for name, script := range map[string]script{
		"set before": func(t *testing.T, c *Conn, wantTimeout func(string, context.Context, time.Duration)) {
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, _, err := c.ReadMessageContext(ctx); err != context.DeadlineExceeded {
				t.Errorf("got %v, want context.DeadlineExceeded, which is before the read deadline", err)
			}
			wantTimeout("the read deadline is in force again", nil, 5*time.Second)
			wantTimeout("the read deadline has passed", t.Context(), 5*time.Second)
		},
		"set during the read": func(t *testing.T, c *Conn, wantTimeout func(string, context.Context, time.Duration)) {
			time.AfterFunc(time.Second, func() { c.SetReadDeadline(time.Now().Add(2 * time.Second)) })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			wantTimeout("the read deadline passes before the context ends", ctx, 3*time.Second)
		},
		"set to the past during the read": func(t *testing.T, c *Conn, wantTimeout func(string, context.Context, time.Duration)) {
			time.AfterFunc(time.Second, func() { c.SetReadDeadline(time.Unix(1, 0)) })
			wantTimeout("it ends the read", t.Context(), time.Second)
		},
		"taken back during the read": func(t *testing.T, c *Conn, wantTimeout func(string, context.Context, time.Duration)) {
			c.SetReadDeadline(time.Now().Add(2 * time.Second))
			time.AfterFunc(time.Second, func() { c.SetReadDeadline(time.Time{}) })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, _, err := c.ReadMessageContext(ctx); err != context.DeadlineExceeded {
				t.Errorf("got %v, want context.DeadlineExceeded: there is no read deadline any more", err)
			}
		},
		"set while the read is being interrupted": func(t *testing.T, c *Conn, wantTimeout func(string, context.Context, time.Duration)) {
			c.interruptRead()
			c.SetReadDeadline(time.Now().Add(3 * time.Second))
			wantTimeout("the interruption goes on", nil, 0)
			c.restoreReadDeadline()
			wantTimeout("the read deadline comes into force", nil, 3*time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newTestConn(t, false)
				start := time.Now()
				script(t, c, func(reason string, ctx context.Context, at time.Duration) {
					t.Helper()
					read := c.ReadMessage
					if ctx != nil {
						read = func() (int, []byte, error) { return c.ReadMessageContext(ctx) }
					}
					if _, _, err := read(); err != os.ErrDeadlineExceeded || time.Since(start) != at {
						t.Errorf("%s: got %v after %v, want the timeout of the network after %v", reason, err, time.Since(start), at)
					}
				})
			})
		})
	}
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

// What ended the reading comes before the context, and stays.
func TestReadMessageContextFinalErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		ctx, cancel := context.WithCancel(t.Context())
		c.SetCloseHandler(func(int, string) error {
			cancel()
			synctest.Wait()
			return nil
		})
		wire.Write(unhex(t, "88 02 03e8"))
		_, _, err := c.ReadMessageContext(ctx)
		if !IsCloseError(err, CloseNormalClosure) {
			t.Errorf("got %v, want close 1000", err)
		}
		if _, _, again := c.ReadMessageContext(t.Context()); again != err {
			t.Errorf("got %v, want the same error", again)
		}
	})
}

// A handler that panics ends the read with the context, too: the context's end reaches no later read.
func TestReadMessageContextPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.SetPingHandler(func(string) error { panic(errMine) })
		ctx, cancel := context.WithCancel(t.Context())
		wire.Write(closingFrame(true, "\x89"))
		func() {
			defer func() {
				if err := recover(); err != errMine {
					t.Errorf("got %v, want the handler's panic", err)
				}
			}()
			c.ReadMessageContext(ctx)
		}()
		cancel()
		synctest.Wait()
		wire.Write(closingFrame(true, "\x81later"))
		if _, p, err := c.ReadMessage(); string(p) != "later" || err != nil {
			t.Errorf("got %q, %v, want the message", p, err)
		}
	})
}

// A context that ends while a handler is at work loses nothing, however long that takes.
func TestReadMessageContextDuringAHandler(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		ctx, cancel := context.WithCancel(b.Context())
		b.c.SetPongHandler(func(string) error {
			cancel()
			time.Sleep(time.Hour)
			return nil
		})
		b.far.Write(peerFrames(b.server, peerFrame{true, opPong, ""}))
		if _, _, err := b.c.ReadMessageContext(ctx); err != context.Canceled {
			b.Errorf("got %v, want %v", err, context.Canceled)
		}
		b.far.Write(peerFrames(b.server, textFrame("later")))
		wantRead(b, b.c, "later")
	})
}
