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
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// readFrames waits until the peer has n frames, and returns what it has, as cutFrame describes it. In a bubble it
// returns those that are on their way, too.
func readFrames(t testing.TB, peer *pipeConn, n int) []string {
	t.Helper()
	b := peer.takeFrames(n)
	if inBubble() {
		synctest.Wait()
		b = append(b, peer.take()...)
	}
	frames, rest := cutFrames(b)
	if len(rest) > 0 {
		t.Fatalf("got the frames %.200q and % x, want whole frames", frames, rest)
	}
	return frames
}

// wantFrames checks the frames that the peer has got since they were looked at last. It waits for
// as many as are wanted; where there may be more, outside a bubble, wantNothingSent must follow.
func wantFrames(t testing.TB, peer *pipeConn, want ...string) {
	t.Helper()
	if got := readFrames(t, peer, len(want)); !slices.Equal(got, want) {
		t.Errorf("got the frames %.200q, want %.200q", got, want)
	}
}

// wantWritesFail checks that every way to write returns the error that has ended the writing.
func wantWritesFail(t testing.TB, reason string, c *Conn, want error) {
	t.Helper()
	for name, err := range map[string]error{
		"WriteMessage":         c.WriteMessage(TextMessage, nil),
		"WriteMessageContext":  c.WriteMessageContext(context.Background(), TextMessage, nil),
		"WriteControl":         c.WriteControl(CloseMessage, nil, time.Time{}),
		"WriteJSON":            c.WriteJSON(1),
		"WritePreparedMessage": c.WritePreparedMessage(prepare(t, TextMessage, "")),
		"NextWriter":           second(c.NextWriter(TextMessage)),
		"NextWriter, ping":     second(c.NextWriter(PingMessage)),
		"Ping":                 second(c.Ping(context.Background())),
	} {
		if err != want {
			t.Errorf("%s: %s: got %v, want %v, which has ended the writing", reason, name, err, want)
		}
	}
}

// second returns the error of a call with another result.
func second[T any](_ T, err error) error { return err }

// nullTransport takes whatever is written, and has no use for deadlines.
type nullTransport struct{ transport }

func (nullTransport) Write(p []byte) (int, error)      { return len(p), nil }
func (nullTransport) SetReadDeadline(time.Time) error  { return nil }
func (nullTransport) SetWriteDeadline(time.Time) error { return nil }

// A message of WriteMessage or WritePreparedMessage is one frame of any size; a client's is masked, and the
// caller's data stays as it is. It leaves in as few writes as can be: a server's large message is not copied but for
// its first segment, and a client's is masked in pieces.
func TestWriteMessageIsOneFrame(t *testing.T) {
	for _, tt := range []struct {
		size           int
		server, client int // writes
	}{
		{0, 1, 1}, {1, 1, 1}, {125, 1, 1}, {126, 1, 1}, {4082, 1, 1}, {4083, 1, 1}, {16 << 10, 2, 1}, {60_000, 2, 1},
		{65_521, 2, 1}, {65_522, 2, 1}, {65_535, 2, 1}, {65_536, 2, 1}, {65_537, 2, 2}, {200_000, 2, 4},
	} {
		data := bytes.Repeat([]byte("abc"), tt.size/3+1)[:tt.size]
		before := bytes.Clone(data)
		pm := prepare(t, BinaryMessage, string(data))
		bothSides(t, func(t *testing.T, server bool) {
			c, wire := newTestConn(t, server)
			want := map[bool]int{false: tt.client, true: tt.server}[server]
			prepared := func() error { return c.WritePreparedMessage(pm) } // the same frame each time
			plain := func() error { return c.WriteMessage(BinaryMessage, data) }
			for i, write := range []func() error{plain, prepared, prepared} {
				writes := wire.in.writes
				if err := write(); err != nil {
					t.Fatal(err)
				}
				if writes = wire.in.writes - writes; writes != want {
					t.Errorf("%d bytes, way %d: got %d writes, want %d", tt.size, i, writes, want)
				}
				wantFrames(t, wire, "2 "+string(before))
			}
			if !bytes.Equal(data, before) {
				t.Errorf("%d bytes: the caller's data was changed", tt.size)
			}
		})
	}
}

var badMessageTypes = []int{-1, 0, 3, 7, 11, 257}

func TestWriteBadTypes(t *testing.T) {
	c, wire := newTestConn(t, true)
	for _, mt := range badMessageTypes {
		for name, err := range map[string]error{
			"WriteMessage":       c.WriteMessage(mt, nil),
			"WriteControl":       c.WriteControl(mt, nil, time.Time{}),
			"WriteControl, text": c.WriteControl(TextMessage, nil, time.Time{}),
			"NextWriter":         second(c.NextWriter(mt)),
		} {
			if err != errBadMessageType || err.Error() != "websocket: bad write message type" {
				t.Errorf("%s(%d): got %v, want bad write message type", name, mt, err)
			}
		}
	}
	wantFrames(t, wire)
}

// A fragment with its header is as large as the WriteBufferSize, and a Write of twice that is a fragment of its own,
// which is not copied. A full buffer is kept until there is more, so that no empty fragment follows.
func TestNextWriterFragments(t *testing.T) {
	for _, tt := range []struct {
		buffer    int
		writes    []int
		fragments []int
	}{
		{0, nil, []int{0}}, {0, []int{0}, []int{0}}, {0, []int{4081}, []int{4081}}, {0, []int{4082}, []int{4082}},
		{0, []int{4081, 1}, []int{4082}}, {0, []int{4083}, []int{4082, 1}}, {0, []int{1, 4096}, []int{4082, 15}},
		{0, []int{4000, 4000, 4000}, []int{4082, 4082, 3836}},
		{0, []int{5, 5000, 5, 5000}, []int{4082, 4082, 1846}},
		{0, []int{8191}, []int{4082, 4082, 27}}, {0, []int{8192}, []int{8192, 0}},
		{0, []int{10_000, 1}, []int{10_000, 1}}, {0, []int{5, 65_536, 7}, []int{5, 65_536, 7}},
		{1024, []int{4083}, []int{4082, 1}}, // no buffer is smaller than the default
		{5000, []int{9000}, []int{8178, 822}}, {1 << 20, []int{70_000}, []int{65_522, 4478}},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			a, wire := newPipe(t, 1<<20)
			c := newConn(a, server, nil, connOptions{writeBufferSize: tt.buffer})
			w, err := c.NextWriter(BinaryMessage)
			if err != nil {
				t.Fatal(err)
			}
			var all []byte
			for i, size := range tt.writes {
				p := bytes.Repeat([]byte{byte('a' + i)}, size)
				all = append(all, p...)
				if n, err := w.Write(p); n != size || err != nil {
					t.Fatalf("got %d, %v, want %d, nil", n, err, size)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			var want []string
			for i, n := range tt.fragments {
				op := "00 "
				switch last := i == len(tt.fragments)-1; {
				case i == 0 && last:
					op = "2 "
				case i == 0:
					op = "02 "
				case last:
					op = "0 "
				}
				want = append(want, op+string(all[:n]))
				all = all[n:]
			}
			wantFrames(t, wire, want...)
		})
	}
}

// NextWriter finishes a message writer that was forgotten open.
func TestNextWriterFinishesTheOneBefore(t *testing.T) {
	c, wire := newTestConn(t, true)
	open := func(text string) *messageWriter {
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
		return w.(*messageWriter)
	}
	wantClosed := func(when string, w *messageWriter) {
		for name, err := range map[string]error{
			"WriteString": second(w.WriteString("x")),
			"large Write": second(w.Write(make([]byte, 10_000))),
			"ReadFrom":    second(w.ReadFrom(strings.NewReader("x"))),
			"Close":       w.Close(),
		} {
			if fmt.Sprint(err) != "websocket: write closed" {
				t.Errorf("%s %s: got %v, want write closed", name, when, err)
			}
		}
	}
	forgotten, last := open("forgotten"), open("second")
	wantClosed("of the one before", forgotten)
	last.Close()
	wantClosed("after Close", last)
	wantFrames(t, wire, "1 forgotten", "1 second")
}

// Control messages can be written with NextWriter, up to 125 bytes.
func TestNextWriterControl(t *testing.T) {
	c, wire := newTestConn(t, true)
	for _, tt := range []struct {
		writes      []int
		write, last error // of the last Write, and of Close
	}{
		{[]int{100, 25}, nil, nil},
		{[]int{126}, nil, errInvalidControlFrame},
		{[]int{5000}, errInvalidControlFrame, errInvalidControlFrame},
	} {
		w, err := c.NextWriter(PingMessage)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range tt.writes {
			_, err = w.Write(make([]byte, size))
		}
		if last := w.Close(); err != tt.write || last != tt.last {
			t.Errorf("%d bytes: got %v and %v, want %v and %v", tt.writes, err, last, tt.write, tt.last)
		}
	}
	wantWrite(t, c, "the connection is good")
	wantFrames(t, wire, "9 "+string(make([]byte, 125)),
		"1 the connection is good")
}

// Control frames pass between the fragments of a message; data messages, in fragments or not, wait for its end. The
// wait is bounded by the write deadline, and then nothing has happened.
func TestOpenMessageWriter(t *testing.T) {
	for _, way := range []string{"WriteMessage", "WriteMessageContext", "WritePreparedMessage"} {
		for most, later := range map[int][]string{-1: {"1 later"}, 0: {"1 later"}, 3: {"01 lat", "0 er"}} {
			eachPipe(t, connOptions{maxFrameSize: most}, func(b *bubble) {
				write := func() *call {
					return inBackground(b.T, func() error { return answers[way](b.c, TextMessage, []byte("later")) })
				}
				w, _ := b.c.NextWriter(BinaryMessage)
				io.WriteString(w, "a")
				for _, control := range []string{"WriteControl", "WritePreparedMessage"} {
					if err := answers[control](b.c, PingMessage, []byte("now")); err != nil {
						b.Errorf("%s: got %v, want nil", control, err)
					}
				}
				b.want("control frames pass", "9 now", "9 now")
				b.c.SetWriteDeadline(time.Now().Add(time.Second))
				write().want(way, time.Second, "websocket: write timeout")
				b.c.SetWriteDeadline(time.Time{})
				message := write()
				b.want("the message is open")
				if err := w.Close(); err != nil {
					b.Errorf("got %v, want a good connection", err)
				}
				message.want(way, 0, noError)
				b.want("the message has ended", append([]string{"2 a"}, later...)...)
			})
		}
	}
}

// A message writer that failed keeps its error, which is the connection's, whichever frame did not leave.
func TestMessageWriterKeepsItsError(t *testing.T) {
	for _, tt := range []struct {
		name                string
		messageType         int
		first, second, want int // bytes of two calls of Write, and what the second one returns
		err                 error
	}{
		{"a fragment of its own", TextMessage, 0, 100_000, 0, io.ErrClosedPipe},
		{"what is in the buffer before it", TextMessage, 5, 100_000, 0, io.ErrClosedPipe},
		{"the buffer, when it is full", TextMessage, 5, 5000, 4077, io.ErrClosedPipe},
		{"the last fragment", TextMessage, 5, 5, 5, nil},
		{"a control frame", PingMessage, 5, 5, 5, nil},
	} {
		c, wire := newTestConn(t, true)
		w, _ := c.NextWriter(tt.messageType)
		w.Write(make([]byte, tt.first))
		wire.Close()
		if n, err := w.Write(make([]byte, tt.second)); n != tt.want || err != tt.err {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.name, n, err, tt.want, tt.err)
		}
		for range 2 {
			if err := w.Close(); err != io.ErrClosedPipe {
				t.Errorf("%s: got %v from Close, want the network's error", tt.name, err)
			}
		}
		wantWritesFail(t, tt.name, c, io.ErrClosedPipe)
	}
}

// ReadFrom returns the reader's error, and the message can go on.
func TestReadFromErrors(t *testing.T) {
	c, wire := newTestConn(t, true)
	w, _ := c.NextWriter(TextMessage)
	r := io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errMine))
	if n, err := w.(io.ReaderFrom).ReadFrom(r); n != 3 || err != errMine {
		t.Errorf("got %d, %v, want 3 and the reader's error", n, err)
	}
	if _, err := w.(io.ReaderFrom).ReadFrom(emptyTransport{}); err != io.ErrNoProgress {
		t.Errorf("got %v, want io.ErrNoProgress", err)
	}
	io.WriteString(w, "def")
	w.Close()
	wantFrames(t, wire, "1 abcdef")
}

// Large messages, prepared messages and writes to a stream take no memory of their own either. For the others there is
// TestWritingAllocates.
func TestWritingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	large := make([]byte, 100_000)
	pm, ping := prepare(t, BinaryMessage, string(large)), prepare(t, PingMessage, "x")
	bothSides(t, func(t *testing.T, server bool) {
		c := newConn(nullTransport{}, server, nil, connOptions{})
		s := NewStream(newConn(nullTransport{}, server, nil, connOptions{}), BinaryMessage)
		for name, write := range map[string]func() error{
			"a large message":          func() error { return c.WriteMessage(BinaryMessage, large) },
			"a large prepared message": func() error { return c.WritePreparedMessage(pm) },
			"a prepared ping":          func() error { return c.WritePreparedMessage(ping) },
			"a stream":                 func() error { return second(s.Write(large[:1000])) },
		} {
			if n := testing.AllocsPerRun(200, func() { write() }); n >= 1 {
				t.Errorf("%s: got %v allocations, want 0", name, n)
			}
		}
	})
}

// fragmentWays are the ways to send a text message that MaxFrameSize holds for.
var fragmentWays = func() map[string]func(c *Conn, text string) error {
	ways := map[string]func(c *Conn, text string) error{
		"NextWriter, WriteString": func(c *Conn, text string) error {
			w, err := c.NextWriter(TextMessage)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			return w.Close()
		},
		"NextWriter, by 100": func(c *Conn, text string) error { return writePieces(c, TextMessage, []byte(text), 100) },
	}
	for _, way := range sendWays {
		ways[way.name] = func(c *Conn, text string) error { return way.write(c, TextMessage, []byte(text)) }
	}
	return ways
}()

// No frame of a data message is larger, whatever it is sent with, and the message arrives.
func TestMaxFrameSize(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		for _, most := range []int{125, 4000, 1, 20_000}[:unlessRace(4, 2)] {
			c, wire := a.pipe(t, connOptions{maxFrameSize: most})
			peer, far := attack{!a.server, a.compression}.pipe(t, connOptions{})
			for name, write := range fragmentWays {
				for _, length := range []int{0, 1, most, most + 1, 2 * most, min(9000, 200*most)} {
					text := fmt.Sprintf("%x", noise(length, 7))[:length] // UTF-8, which compresses to a half
					if err := write(c, text); err != nil {
						t.Fatal(err)
					}
					sent := wire.take()
					eachFrame(t, sent, func(h header, _ []byte) {
						if h.length > int64(most) {
							t.Fatalf("%s of %d bytes: got a frame of %d bytes, want at most %d", name, length, h.length, most)
						}
					})
					far.Write(sent)
					if _, p, err := peer.ReadMessage(); err != nil || string(p) != text {
						t.Fatalf("%s of %d bytes, frames of %d: got %d bytes, %v", name, length, most, len(p), err)
					}
				}
			}
			c.Close()
			peer.Close()
		}
	})
}

// WriteJSON, a stream, of which each message is a frame, and control messages, which are never fragmented.
func TestMaxFrameSizeOfOtherMessages(t *testing.T) {
	eachPipe(t, connOptions{maxFrameSize: 3}, func(b *bubble) {
		b.c.WriteJSON("abc")
		b.want("in fragments", `01 "ab`, "0 c\"\n")
		b.c.WriteControl(PingMessage, []byte("12345"), time.Time{})
		answers["NextWriter"](b.c, PingMessage, []byte("67890"))
		b.want("control frames are whole", "9 12345", "9 67890")
		if n, err := NewStream(b.c, BinaryMessage).Write([]byte("abcdefg")); n != 7 || err != nil {
			b.Errorf("got %d, %v, want 7", n, err)
		}
		b.want("messages of their own", "2 abc", "2 def", "2 g")
	})
}

// A limit that ends between two fragments fails the connection: the peer has the beginning of a message that
// does not go on. One that ends before the first has done nothing.
func TestMaxFrameSizeTimeout(t *testing.T) {
	const within = "websocket: write timeout within a message"
	for _, tt := range []struct {
		fragments int // that the network has room for
		way       string
		want      string
	}{
		{0, "WriteMessage", "websocket: write timeout"},
		{1, "WriteMessage", within},
		{2, "WriteMessage", within},
		{1, "WriteMessageContext", "websocket: write interrupted within a message: context deadline exceeded"},
	} {
		eachPipe(t, connOptions{maxFrameSize: 100}, func(b *bubble) {
			b.room(tt.fragments * len(peerFrames(!b.server, textFrame(string(make([]byte, 100))))))
			ctx := context.Background()
			if tt.way == "WriteMessage" {
				b.c.SetWriteDeadline(time.Now().Add(time.Second))
			} else {
				limited, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				ctx = limited
			}
			x := inBackground(b.T, func() error { return b.c.WriteMessageContext(ctx, BinaryMessage, make([]byte, 1000)) })
			x.want(fmt.Sprint(tt.fragments, " fragments have left"), time.Second, tt.want)
			if !isTimeout(x.err) || ctx.Done() != nil && !errors.Is(x.err, context.DeadlineExceeded) {
				b.Errorf("got %v, want a timeout, and that of the context", x.err)
			}
			if tt.fragments > 0 {
				wantWritesFail(b, "within a message", b.c, x.err)
			} else if err := b.c.send.lock.err(); err != nil {
				b.Errorf("got %v, want a timeout that has done nothing", err)
			}
		})
	}
}

// "Control frames MAY be injected in the middle of a fragmented message" (RFC 6455, 5.4); other messages are not. A
// Close frame ends the message, and its sender learns that.
func TestMaxFrameSizeBesideOtherWrites(t *testing.T) {
	for _, tt := range []struct {
		control int
		want    []string
		err     string // of both messages
	}{
		{PingMessage, []string{"01 ab", "00 cd", "9 ", "0 ef", "1 z"}, noError},
		{CloseMessage, []string{"01 ab", "00 cd", "8 "}, ErrCloseSent.Error()},
	} {
		eachPipe(t, connOptions{maxFrameSize: 2}, func(b *bubble) {
			b.room(len(peerFrames(!b.server, textFrame("ab"))) + 1) // the second fragment finds no room
			first, next := b.beginWrite("abcdef", 0), b.beginWrite("z", 0)
			control := inBackground(b.T, func() error { return b.c.WriteControl(tt.control, nil, time.Time{}) })
			synctest.Wait()
			b.open()
			b.want("all of it", tt.want...)
			first.want("the fragments", 0, tt.err)
			next.want("the next message", 0, tt.err)
			control.want("the control frame", 0, noError)
		})
	}
}

// A deadline that passes between two fragments fails the connection, which ends the context of HandlerFunc, as any
// error of a write does.
func TestDeadlineBetweenFragmentsEndsTheContext(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		ctx, cancel := context.WithCancel(b.Context())
		b.c.send.link.cancel = cancel
		w, err := b.c.NextWriter(BinaryMessage)
		if err != nil {
			b.Fatal(err)
		}
		fragment := make([]byte, 2*b.c.writeBufferSize())
		w.Write(fragment)
		b.full()
		b.c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := w.Write(fragment); err != errMessageTimeout || ctx.Err() == nil {
			b.Errorf("got %v, and the context's error %v, want a timeout within a message, and a context that has ended", err, ctx.Err())
		}
	})
}

// The context or the write deadline, whichever is first, ends a write. Within a frame that has ended the writing, and
// all writes say so; the reading goes on.
func TestWriteMessageContextInterruptedWithinAFrame(t *testing.T) {
	const within = "websocket: write interrupted within a frame: "
	for _, tt := range []struct {
		cancel, timeout, deadline time.Duration
		want                      error
		text                      string
	}{
		{time.Second, time.Minute, time.Minute, context.Canceled, within + "context canceled: mine"},
		{time.Minute, time.Second, time.Minute, context.DeadlineExceeded, within + "context deadline exceeded"},
		{time.Minute, time.Minute, time.Second, os.ErrDeadlineExceeded, "i/o timeout"},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				a, wire := newPipe(t, 100)
				c := newConn(a, server, nil, connOptions{})
				cancelled, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(tt.cancel, func() { cancel(errMine) })
				ctx, stop := context.WithTimeout(cancelled, tt.timeout)
				defer stop()
				c.SetWriteDeadline(time.Now().Add(tt.deadline))
				var err error
				d := took(func() { err = c.WriteMessageContext(ctx, BinaryMessage, make([]byte, 1000)) })
				if !errors.Is(err, tt.want) || err.Error() != tt.text || d != time.Second {
					t.Errorf("got %v after %v, want %s after 1s", err, d, tt.text)
				}
				if tt.want == context.Canceled && !errors.Is(err, errMine) {
					t.Errorf("got %v, want the cause", err)
				}
				c.SetWriteDeadline(time.Time{})
				wire.take()
				wantWritesFail(t, "a frame has left in part", c, err)
				c.wantNothingSent(t, wire, "the writing has ended")
				wire.Write(peerFrames(server, textFrame("still")))
				wantRead(t, c, "still")
			})
		})
	}
}

// lateWrites is a transport whose Write succeeds just after it was interrupted.
type lateWrites struct {
	nullTransport
	cancel      func()
	interrupted chan struct{}
	deadlines   []time.Time
}

func (l *lateWrites) SetWriteDeadline(t time.Time) error {
	l.deadlines = append(l.deadlines, t)
	if t.Equal(aLongTimeAgo) {
		close(l.interrupted)
	}
	return nil
}

func (l *lateWrites) Write(p []byte) (int, error) {
	if l.cancel != nil {
		l.cancel()
		<-l.interrupted
		l.cancel = nil
	}
	return len(p), nil
}

// A write that was done when its context interrupted it is a success, and the
// deadline by which it was interrupted is not that of the next one.
func TestWriteMessageContextInterruptedTooLate(t *testing.T) {
	for _, next := range []time.Time{{}, time.Now().Add(time.Hour)} {
		ctx, cancel := context.WithCancel(context.Background())
		l := &lateWrites{cancel: cancel, interrupted: make(chan struct{})}
		c := newConn(l, true, nil, connOptions{})
		if err := c.WriteMessageContext(ctx, TextMessage, nil); err != nil {
			t.Errorf("got %v, want nil: the message has left", err)
		}
		if !next.IsZero() {
			c.SetWriteDeadline(next)
		}
		wantWrite(t, c, "the next")
		if n := len(l.deadlines); n != 2 || !l.deadlines[1].Equal(next) {
			t.Errorf("got the deadlines %v, want one in the past and %v", l.deadlines, next)
		}
	}
}

// Where the network has taken nothing of a frame, nothing has happened, also where a wrapper says so. A frame of more
// than 16 KiB takes another path.
func TestWriteMessageContextNothingTaken(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		for _, size := range []int{10, 100_000} {
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Millisecond, func() { cancel(errMine) })
			wantCancelled(t, "the network is full", c.WriteMessageContext(ctx, BinaryMessage, make([]byte, size)))
			if err := c.send.lock.err(); err != nil {
				t.Errorf("got %v, want a good connection", err)
			}
		}
		c.send.link.SetWriteDeadline(aLongTimeAgo) // as it may be: the next write gives it its own
		written := make(chan error)
		go func() { written <- c.WriteMessage(TextMessage, []byte("sent")) }()
		peer.drain(t)
		peer.want(t, "the network is free", "1 sent")
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// A context that ends just when a message leaves or comes: each message that was reported as written comes once, in
// order, and no other; no connection is lost, since a frame leaves at once.
func TestContextsRaceWithMessages(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c, peer := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
		racing := func() context.Context {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			return ctx
		}
		var sent, got []string
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := range unlessRace(3000, 800) {
				text := fmt.Sprint(i)
				err := c.WriteMessageContext(racing(), TextMessage, []byte(text))
				if err == nil {
					sent = append(sent, text)
				} else if err != context.Canceled {
					t.Errorf("message %d: got %v, want nil or context.Canceled: the network is not full", i, err)
				}
			}
			c.WriteControl(CloseMessage, nil, time.Time{})
		})
		for interrupted := 0; ; {
			_, p, err := peer.ReadMessageContext(racing())
			if err == context.Canceled && p == nil {
				if interrupted++; interrupted%2 == 0 {
					continue
				}
				_, p, err = peer.ReadMessage() // is not disturbed
			}
			if err != nil {
				if !IsCloseError(err, CloseNoStatusReceived) {
					t.Errorf("got %v, want close 1005", err)
				}
				break
			}
			got = append(got, string(p))
		}
		writing.Wait()
		if !slices.Equal(got, sent) {
			t.Errorf("got %d messages, want the %d that were reported as written", len(got), len(sent))
		}
	})
}
