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

func TestFormatCloseMessage(t *testing.T) {
	for _, tt := range []struct {
		code int
		text string
		want string
	}{
		{CloseNormalClosure, "", "\x03\xe8"},
		{CloseGoingAway, "bye", "\x03\xe9bye"},
		{CloseNoStatusReceived, "ignored", ""},
		{70000, "\xff", "\x11\x70\xff"}, // nothing is validated
	} {
		got := FormatCloseMessage(tt.code, tt.text)
		if got == nil || string(got) != tt.want {
			t.Errorf("%d %q: got %q, want %q, not nil", tt.code, tt.text, got, tt.want)
		}
	}
}

// RFC 6455, 5.5.1, 7.1.5 and 7.4.
func TestParseClosePayload(t *testing.T) {
	long := strings.Repeat("x", maxCloseReason)
	for _, tt := range []struct {
		name, in string
		code     int
		text     string // the reason, or that of the error
		bad      bool
	}{
		{"empty", "", CloseNoStatusReceived, "", false},
		{"code", "\x03\xe8", CloseNormalClosure, "", false},
		{"code and reason", "\x0f\xa0bye", 4000, "bye", false},
		{"longest reason", "\x03\xe8" + long, CloseNormalClosure, long, false},
		{"one byte", "\x03", CloseProtocolError, "websocket: payload of a close frame is 1 byte long", true},
		{"bad code", "\x03\xed", CloseProtocolError, "websocket: bad close code 1005", true},
		{"bad reason", "\x03\xe8\xff", CloseInvalidFramePayloadData,
			"websocket: reason of a close frame is not valid UTF-8", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, text, err := parseClosePayload([]byte(tt.in))
			if tt.bad {
				wantProtocolError(t, err, tt.code, tt.text)
			} else if code != tt.code || text != tt.text || err != nil {
				t.Errorf("got %d %q %v, want %d %q nil", code, text, err, tt.code, tt.text)
			}
		})
	}
}

// RFC 6455, 7.4, and the registry of 11.7.
func TestValidReceivedCloseCodes(t *testing.T) {
	valid := map[int]bool{}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014} {
		valid[code] = true
	}
	for code := 3000; code <= 4999; code++ {
		valid[code] = true
	}
	for code := range 65536 {
		if got := validReceivedCloseCode(code); got != valid[code] {
			t.Errorf("%d: got %v, want %v", code, got, valid[code])
		}
	}
}

// closeWays are the ways to send a Close frame.
var closeWays = map[string]func(c *Conn, payload []byte) error{
	"WriteControl": func(c *Conn, p []byte) error { return c.WriteControl(CloseMessage, p, time.Time{}) },
	"WriteMessage": func(c *Conn, p []byte) error { return c.WriteMessage(CloseMessage, p) },
	"WriteMessageContext": func(c *Conn, p []byte) error {
		return c.WriteMessageContext(context.Background(), CloseMessage, p)
	},
	"WritePreparedMessage": func(c *Conn, p []byte) error {
		pm, err := NewPreparedMessage(CloseMessage, p)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	},
	"NextWriter":            func(c *Conn, p []byte) error { return writePieces(c, CloseMessage, p, len(p)+1) },
	"NextWriter, in pieces": func(c *Conn, p []byte) error { return writePieces(c, CloseMessage, p, 1, 50) },
}

// ws 8.20.1: memory that nobody has written gets into a Close frame. Its bytes are the code and the reason, and
// there is no frame for a reason of more than 123 bytes. The buffers have been in use before.
func TestAttackCloseFrameBytes(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		frame := func(payload string) string { return fmt.Sprintf("fin=true op=8 masked=%v %q", !a.server, payload) }
		for n := range maxCloseReason + 1 {
			payload := "\x03\xe8" + strings.Repeat("reason", n/6+1)[:n]
			for name, write := range closeWays {
				c, wire := a.pipe(t, connOptions{})
				c.WriteMessage(TextMessage, []byte(strings.Repeat("before ", 30)))
				wire.take()
				if err := write(c, []byte(payload)); err != nil {
					t.Errorf("%s, %d bytes: got %v, want nil", name, n, err)
				}
				wantFrames(t, wire, frame(payload))
				c.Close()
			}
			c, wire := a.pipe(t, connOptions{})
			wire.Write(a.frame(0x88, payload))
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) || err.(*CloseError).Text != payload[2:] {
				t.Errorf("got %v, want close 1000 and the reason", err)
			}
			wantFrames(t, wire, frame("\x03\xe8"))
			c.Close()
		}
		for name, write := range closeWays {
			c, wire := a.pipe(t, connOptions{})
			if err := write(c, make([]byte, maxControlPayload+1)); err != errInvalidControlFrame {
				t.Errorf("%s: got %v, want %v", name, err, errInvalidControlFrame)
			}
			c.wantNothingSent(t, wire, name)
			c.Close()
		}
	})
}

// Close wakes what waits at once, though frames that were accepted before still have a second to leave. It sends no
// Close frame.
func TestCloseWakesReader(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int // of the network
		took time.Duration
	}{
		{"nothing is unsent", 1 << 20, 0},
		{"a pong is unsent", 10, closeTimeout},
	} {
		closingOn{size: tt.size}.run(t, func(t *testing.T, tc *closing) {
			c := tc.c
			calls := []*call{tc.read()}
			calls[0].wantWaiting("nothing has come")
			if tt.took > 0 {
				c.send.reply(opPong, make([]byte, 100))
				c.send.tryFlush() // a flusher waits for the network
				synctest.Wait()
			}
			w, err := c.NextWriter(TextMessage)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, "never finished")
			for _, f := range []func() error{
				func() error { return c.WriteMessage(BinaryMessage, nil) },
				func() error { return second(c.Ping(t.Context())) },
			} {
				calls = append(calls, inBackground(t, f))
				calls[len(calls)-1].wantWaiting(tt.name)
			}
			if tt.took == 0 {
				readFrames(t, tc.wire, 1) // the ping
			}
			inBackground(t, c.Close).want(tt.name, tt.took, noError)
			for i, x := range calls {
				x.wantIs(fmt.Sprint("call ", i), 0, net.ErrClosed)
			}
			tc.read().want("a later read", 0, "read pipe pipe->pipe: use of closed network connection")
			wantErrorIs(t, second(io.WriteString(w, "more")), net.ErrClosed)
			if tt.took == 0 {
				c.wantNothingSent(t, tc.wire, "Close sends no Close frame")
			}
		})
	}
}

// RFC 6455, 5.5.1: after a Close frame no frame is sent, not even an answer to the peer's Close frame.
func TestWritesAfterClose(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		c := tc.c
		w, err := c.NextWriter(BinaryMessage)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "not sent")
		if err := c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), time.Time{}); err != nil {
			t.Fatal(err)
		}
		tc.want("the Close frame", closeFrame(CloseNormalClosure, ""))
		for name, write := range map[string]func() error{
			"the message writer": func() error { return w.Close() },
			"its large Write":    func() error { return second(w.Write(make([]byte, 1<<20))) },
			"WriteMessage":       func() error { return c.WriteMessage(TextMessage, nil) },
			"WriteControl":       func() error { return c.WriteControl(PingMessage, nil, time.Time{}) },
			"a second close":     func() error { return c.WriteControl(CloseMessage, nil, time.Time{}) },
			"NextWriter":         func() error { return second(c.NextWriter(TextMessage)) },
			"close as a message": func() error { return c.WriteMessage(CloseMessage, nil) },
		} {
			if err := write(); err != ErrCloseSent {
				t.Errorf("%s: got %v, want ErrCloseSent", name, err)
			}
		}
		tc.send(closeFrame(CloseNormalClosure, ""))
		tc.read().want("the Close frames cross", 0, "websocket: close 1000 (normal)")
		c.wantNothingSent(t, tc.wire, "nothing follows a Close frame")
	})
}

// resetConn is an end of a network connection that is reset, as that of a kernel, if it is closed while what
// has come is unread: then the other end does not get what it has not read yet.
type resetConn struct{ *pipeConn }

func (c resetConn) CloseWrite() error {
	c.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
	return nil
}

func (c resetConn) Close() error {
	reset := false
	c.in.set(func(h *pipeHalf) { reset = len(h.data) > 0 })
	if reset {
		c.out.set(func(h *pipeHalf) { h.data = nil })
	}
	return c.pipeConn.Close()
}

func newResetConn(near *pipeConn) net.Conn { return resetConn{near} }

// The Close frame that says which rule the peer has broken arrives, though the peer is still sending when
// the program closes the connection. The connection is closed when the peer has ended its own direction, or
// a second has passed.
func TestTheLastWordArrives(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sends  int           // bytes behind the message
		closed time.Duration // when the network connection is
	}{
		{"the peer ends", 10_000, 300 * time.Millisecond},
		{"the peer stays", 10_000, closeTimeout},
		{"the peer goes on sending", 10 << 20, closeTimeout},
	} {
		for _, code := range []int{CloseMessageTooBig, CloseNormalClosure} {
			on := closingOn{size: 100_000, wrap: newResetConn, options: connOptions{readLimit: 1000}}
			on.run(t, func(t *testing.T, tc *closing) {
				peer := newConn(tc.wire, !tc.server, nil, connOptions{})
				peer.SetCloseHandler(func(int, string) error { return nil }) // it is still sending
				go func() {
					peer.WriteMessage(BinaryMessage, make([]byte, 2000))
					tc.wire.Write(make([]byte, tt.sends))
				}()
				if code == CloseMessageTooBig {
					tc.read().want("the message is too long", 0, ErrReadLimit.Error())
				} else {
					synctest.Wait()
					tc.c.WriteControl(CloseMessage, FormatCloseMessage(code, ""), time.Time{})
				}
				tc.c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // which is for the program's reads
				inBackground(t, tc.c.Close).want(tt.name, 0, noError)
				closed := time.Now().Add(tt.closed)
				for range 2 { // and the second time while what comes is being discarded
					if err := tc.c.Close(); err == nil {
						t.Error("got nil from another call of Close")
					}
					synctest.Wait()
				}
				time.Sleep(100 * time.Millisecond)
				if _, _, err := peer.ReadMessage(); !IsCloseError(err, code) {
					t.Errorf("got %v, want close %d", err, code)
				}
				if tt.closed < closeTimeout {
					time.AfterFunc(time.Until(closed), func() { tc.wire.Close() })
				}
				tc.wantClosedAt(closed)
				if got := borrowed(tc.c); got != "" {
					t.Errorf("got that %s was not given back", got)
				}
			})
		}
	}
	closingOn{wrap: newResetConn}.run(t, func(t *testing.T, tc *closing) {
		tc.send(closeFrame(CloseNormalClosure, ""))
		tc.read().want("the peer closes first", 0, "websocket: close 1000 (normal)")
		tc.want("the answer", closeFrame(CloseNormalClosure, ""))
		tc.c.Close()
		tc.wantClosed("nothing is waited for behind both Close frames", true)
	})
}

// While a handler of the program runs, nothing is read behind its back: the read lock is the reader's, and the
// network connection is closed when the time is over.
func TestCloseWhileAHandlerRuns(t *testing.T) {
	closingOn{size: 1000, wrap: newResetConn}.run(t, func(t *testing.T, tc *closing) {
		tc.c.SetPingHandler(func(string) error { time.Sleep(time.Minute); return nil })
		tc.send("\x89")
		reader := tc.read()
		synctest.Wait()
		tc.c.WriteControl(CloseMessage, nil, time.Time{})
		inBackground(t, tc.c.Close).want("the rest is done in the background", 0, noError)
		tc.wire.Write(make([]byte, 100))
		tc.wantClosedAt(time.Now().Add(closeTimeout))
		if !tc.c.readLock.has(stateLocked) {
			t.Error("got the read lock released while the handler runs")
		}
		reader.wantIs("the handler has returned", time.Minute, net.ErrClosed)
	})
}

// A direction passes through its phases in their order, and its first error stays, but that frames were
// lost may be found out later.
func TestPhases(t *testing.T) {
	type step struct {
		phase phase
		err   error
		lost  error
	}
	first, second, gone := errors.New("first"), errors.New("second"), errors.New("gone")
	for _, tt := range []struct {
		steps []step
		want  step
	}{
		{nil, step{}},
		{[]step{{phaseDiscarded, first, nil}}, step{phaseDiscarded, first, nil}},
		{[]step{{phaseClosed, first, nil}}, step{phaseClosed, first, nil}},
		{[]step{{phaseFailed, first, gone}}, step{phaseFailed, first, gone}},
		// Only discarding is followed by something else.
		{[]step{{phaseDiscarded, first, nil}, {phaseClosed, second, nil}}, step{phaseClosed, second, nil}},
		{[]step{{phaseDiscarded, first, nil}, {phaseFailed, second, nil}}, step{phaseFailed, second, nil}},
		{[]step{{phaseClosed, first, nil}, {phaseDiscarded, second, nil}}, step{phaseClosed, first, nil}},
		{[]step{{phaseClosed, first, nil}, {phaseClosed, second, nil}}, step{phaseClosed, first, nil}},
		{[]step{{phaseClosed, first, nil}, {phaseFailed, second, nil}}, step{phaseClosed, first, nil}},
		{[]step{{phaseFailed, first, nil}, {phaseClosed, second, nil}}, step{phaseFailed, first, nil}},
		{[]step{{phaseFailed, first, nil}, {phaseFailed, second, nil}}, step{phaseFailed, first, nil}},
		// Frames are lost once, also later, and stay lost.
		{[]step{{phaseClosed, first, nil}, {phaseFailed, second, gone}}, step{phaseClosed, first, gone}},
		{[]step{{phaseFailed, first, gone}, {phaseFailed, second, second}}, step{phaseFailed, first, gone}},
		{[]step{{phaseFailed, first, gone}, {phaseClosed, second, nil}}, step{phaseFailed, first, gone}},
	} {
		var k lock
		for _, s := range tt.steps {
			k.end(s.phase, s.err, s.lost)
		}
		if got := (step{k.phase(), k.err(), k.lost()}); got != tt.want || k.has(stateEnded) != (len(tt.steps) > 0) {
			t.Errorf("%v: got %v, ended %v, want %v", tt.steps, got, k.has(stateEnded), tt.want)
		}
	}
}

// borrowed returns the names of what c, which nothing uses any more, has borrowed and not given back.
func borrowed(c *Conn) string {
	var names []string
	add := func(held bool, name string) {
		if held {
			names = append(names, name)
		}
	}
	watching := func(w *watch) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.stop != nil
	}
	add(c.readLock.has(stateLocked), "the read lock")
	add(c.recv.buf != nil || c.recv.b != nil, "the buffer of what has come")
	add(c.message.bytes() != nil, "the bytes of a message")
	add(c.readWatch != nil && watching(c.readWatch), "the context of reads")
	if k := c.compression; k != nil {
		add(k.deflater != nil, "a deflater")
		add(c.message.inflater != nil, "an inflater")
		add(k.window.b != nil, "a window")
	}
	if w := c.writer.Load(); w != nil {
		w.mu.Lock()
		add(w.buf != nil || w.deflater != nil, "what a message writer has")
		w.mu.Unlock()
	}
	s := &c.send
	add(s.lock.has(stateLocked|stateMessageOpen), "the write lock")
	add(s.outbox.buf != nil, "the outbox")
	if b := s.slot.Load(); b != nil {
		b.mu.Lock()
		add(b.buf != nil, "the slot")
		b.mu.Unlock()
	}
	if d := s.delayed.Load(); d != nil {
		add(watching(&d.watch), "the context of writes")
	}
	return strings.Join(names, ", ")
}

// Close gives back what the connection has borrowed, at once or, if a call is at work, when that ends.
func TestCloseGivesBack(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for _, o := range []*CompressionOptions{nil, {Threshold: 1}, {Threshold: 1, ContextTakeover: true}} {
			for name, atWork := range map[string]func(c *Conn, w io.Writer) error{
				"nobody": func(*Conn, io.Writer) error { return net.ErrClosed },
				"a read": func(c *Conn, _ io.Writer) error { return second3(c.ReadMessage()) },
				"a write": func(_ *Conn, w io.Writer) (err error) {
					for err == nil {
						_, err = w.Write(noise(1<<20, 1))
					}
					return err
				},
			} {
				near, far := l.pair(t)
				options := attack{l.server, o}.options(t, connOptions{})
				c, peer := newConn(near, l.server, nil, options), newConn(far, !l.server, nil, options)
				// A message for whose rest a read has waited in vain, and one that is being written.
				peer.WriteMessage(BinaryMessage, make([]byte, 10))
				if _, p, err := c.ReadMessageContext(newCountedContext()); len(p) != 10 || err != nil {
					t.Fatalf("%s: got %d bytes and %v, want a message", name, len(p), err)
				}
				halves, _ := peer.NextWriter(BinaryMessage)
				halves.Write(noise(10_000, 1))
				c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				if _, _, err := c.ReadMessage(); !isTimeout(err) {
					t.Fatalf("%s: got %v, want a timeout", name, err)
				}
				c.SetReadDeadline(time.Time{})
				c.WriteMessage(BinaryMessage, make([]byte, 10))
				w, _ := c.NextWriter(BinaryMessage)
				w.Write(make([]byte, 100))
				if name == "nobody" { // messages are there that nobody reads
					peer.Cork()
					halves.Close()
					peer.WriteMessage(BinaryMessage, make([]byte, 10))
					peer.Flush()
					c.ReadMessage()
				}

				done := inBackground(t, func() error { return atWork(c, w) })
				for name == "a read" && !c.readLock.has(stateLocked) || name == "a write" && !c.send.lock.has(stateLocked) {
					time.Sleep(time.Millisecond)
				}
				c.Close()
				done.wantIs(name, anyTime, net.ErrClosed)
				if got := borrowed(c); got != "" {
					t.Errorf("%s: got that %s was not given back", name, got)
				}
				peer.Close()
			}
		}
	})
}

// A connection that has only answered a ping is closed at once: no Close frame is on its way.
func TestCloseAfterAPong(t *testing.T) {
	near, far := tcpPair(t)
	c := newConn(near, true, nil, connOptions{})
	far.Write(closingFrame(true, "\x89ping"))
	far.Write(closingFrame(true, "\x81text"))
	wantRead(t, c, "text")
	c.Close()
	if err := near.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v of the network connection after Close, want %v", err, net.ErrClosed)
	}
}
