//go:build go1.25

package websocket

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
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

// RFC 6455, 7.4, and the registry of 11.7.
func TestValidReceivedCloseCodes(t *testing.T) {
	registered := []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
	for code := range 65536 {
		want := slices.Contains(registered, code) || code >= 3000 && code <= 4999
		if got := validCloseCode(code); got != want {
			t.Errorf("%d: got %v, want %v", code, got, want)
		}
	}
}

// ws 8.20.1: memory that nobody has written gets into a Close frame. Its bytes are the code and the reason, and
// there is no frame for a reason of more than 123 bytes. The buffers have been in use before.
func TestAttackCloseFrameBytes(t *testing.T) {
	control := func(c *Conn, op int, p []byte) error { return c.WriteControl(op, p, time.Time{}) }
	ways := append(slices.Clone(sendWays), struct {
		name  string
		write sendFunc
	}{"WriteControl", control})
	bothSides(t, func(t *testing.T, server bool) {
		for n := range maxCloseReason + 1 {
			payload := "\x03\xe8" + strings.Repeat("reason", n/6+1)[:n]
			for _, way := range ways {
				c, wire := newTestConn(t, server)
				c.WriteMessage(TextMessage, []byte(strings.Repeat("before ", 30)))
				wire.take()
				if err := way.write(c, CloseMessage, []byte(payload)); err != nil {
					t.Errorf("%s, %d bytes: got %v, want nil", way.name, n, err)
				}
				wantFrames(t, wire, "8 "+payload)
				c.Close()
			}
			c, wire := newTestConn(t, server)
			wire.Write(rawFrame(server, "\x88"+payload))
			if err := second3(c.ReadMessage()); !IsCloseError(err, CloseNormalClosure) || err.(*CloseError).Text != payload[2:] {
				t.Errorf("got %v, want close 1000 and the reason", err)
			}
			wantFrames(t, wire, "8 \x03\xe8")
			c.Close()
		}
		for _, op := range []int{CloseMessage, PingMessage, PongMessage} { // and the others: at most 125 bytes (RFC 6455, 5.5)
			for _, way := range ways {
				c, wire := newTestConn(t, server)
				if err := way.write(c, op, make([]byte, maxControlPayload+1)); err != errInvalidControlFrame {
					t.Errorf("%s: got %v, want %v", way.name, err, errInvalidControlFrame)
				}
				c.wantNothingSent(t, wire, way.name)
				c.Close()
			}
		}
	})
}

// Close wakes what waits at once, though frames that were accepted before still have a second to leave. It sends no
// Close frame.
func TestCloseWakesReader(t *testing.T) {
	for name, tt := range map[string]struct {
		size int // of the network
		took time.Duration
	}{
		"nothing is unsent": {1 << 20, 0},
		"a pong is unsent":  {10, closeTimeout},
	} {
		network{manual: true, size: tt.size}.run(t, func(b *bubble) {
			c := b.c
			calls := []*call{b.read()}
			calls[0].wantWaiting("nothing has come")
			if tt.took > 0 {
				c.send.postReply(opPong, make([]byte, 100))
				c.send.tryFlush() // a flusher waits for the network
				synctest.Wait()
			}
			w, err := c.NextWriter(TextMessage)
			if err != nil {
				b.Fatal(err)
			}
			io.WriteString(w, "never finished")
			calls = append(calls, beginPing(b.T, c, b.Context()))
			calls = append(calls, inBackground(b.T, func() error { return c.WriteMessage(BinaryMessage, nil) }))
			for _, x := range calls {
				x.wantWaiting(name)
			}
			if tt.took == 0 && len(readFrames(b.T, b.pipe, 1)) != 1 {
				b.Error("got no ping, want that it passes between fragments")
			}
			inBackground(b.T, c.Close).want(name, tt.took, noError)
			for i, x := range calls {
				x.wantIs(fmt.Sprint("call ", i), 0, net.ErrClosed)
			}
			b.read().want("a later read", 0, errClosedPipe)
			wantErrorIs(b.T, second(io.WriteString(w, "more")), net.ErrClosed)
			if tt.took == 0 {
				c.wantNothingSent(b.T, b.pipe, "Close sends no Close frame")
			}
		})
	}
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
			on := network{manual: true, size: 100_000, wrap: newResetConn, options: connOptions{readLimit: 1000}}
			on.run(t, func(b *bubble) {
				peer := newConn(b.pipe, !b.server, nil, connOptions{})
				peer.SetCloseHandler(func(int, string) error { return nil }) // it is still sending
				go func() {
					peer.WriteMessage(BinaryMessage, make([]byte, 2000))
					b.pipe.Write(make([]byte, tt.sends))
				}()
				if code == CloseMessageTooBig {
					b.read().want("the message is too long", 0, ErrReadLimit.Error())
				} else {
					synctest.Wait()
					b.c.WriteControl(CloseMessage, FormatCloseMessage(code, ""), time.Time{})
				}
				b.c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // which is for the program's reads
				inBackground(b.T, b.c.Close).want(tt.name, 0, noError)
				closed := time.Now().Add(tt.closed)
				for range 2 { // and the second time while what comes is being discarded
					if err := b.c.Close(); err == nil {
						b.Error("got nil from another call of Close")
					}
					synctest.Wait()
				}
				time.Sleep(100 * time.Millisecond)
				if _, _, err := peer.ReadMessage(); !IsCloseError(err, code) {
					b.Errorf("got %v, want close %d", err, code)
				}
				if tt.closed < closeTimeout {
					time.AfterFunc(time.Until(closed), func() { b.pipe.Close() })
				}
				b.wantClosedAt(closed)
				if got := borrowed(b.c); got != "" {
					b.Errorf("got that %s was not given back", got)
				}
			})
		}
	}
	for frame, answer := range map[string]string{"\x88\x03\xe8": "8 \x03\xe8", "\x89": "10 "} {
		network{manual: true, wrap: newResetConn}.run(t, func(b *bubble) {
			read := b.read()
			b.sendRaw(frame)
			b.want("the answer", answer)
			b.c.Close()
			b.wantClosed("nothing is waited for behind both Close frames, or behind none", true)
			<-read.done
		})
	}
}

// A second call of Close waits, too, for the frames that have still to leave, and does not cut them off.
func TestCloseTwiceWhileDraining(t *testing.T) {
	network{manual: true, size: 1000, wrap: newResetConn}.run(t, func(b *bubble) {
		room(b.pipe, 0)
		write := inBackground(b.T, func() error { return b.c.WriteMessage(TextMessage, []byte("a")) })
		write.wantWaiting("the network is full")
		b.c.reply(opClose, FormatCloseMessage(CloseGoingAway, "")) // behind the message
		b.sendRaw("\x82\x01x")                                     // which nobody reads
		first, second := inBackground(b.T, b.c.Close), inBackground(b.T, b.c.Close)
		first.wantWaiting("the Close frame has to leave")
		second.wantWaiting("the Close frame has to leave")
		room(b.pipe, 1000)
		write.want("a message that had begun", 0, noError)
		b.want("both frames", "1 a", "8 \x03\xe9")
		wantErrorIs(b.T, b.c.WriteMessage(TextMessage, nil), net.ErrClosed) // and not ErrCloseSent
	})
}

// closeDuringHandler has the program send a Close frame and call Close during a handler, which goes on for a minute.
func closeDuringHandler(b *bubble) (reader *call) {
	b.c.SetPingHandler(func(string) error {
		time.Sleep(time.Minute)
		return nil
	})
	reader = b.read()
	b.sendRaw("\x89")
	synctest.Wait()
	b.c.WriteControl(CloseMessage, nil, time.Time{})
	inBackground(b.T, b.c.Close).want("the rest is done in the background", 0, noError)
	return reader
}

// While a handler of the program runs, nothing is read behind its back: the read lock is the reader's, and the
// network connection is closed when the time is over.
func TestCloseWhileAHandlerRuns(t *testing.T) {
	network{manual: true, size: 1000, wrap: newResetConn}.run(t, func(b *bubble) {
		reader := closeDuringHandler(b)
		b.pipe.Write(make([]byte, 100))
		b.wantClosedAt(time.Now().Add(closeTimeout))
		if !b.c.readLock.has(stateLocked) {
			b.Error("got the read lock released while the handler runs")
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
	discarded, closed := step{phaseDiscarded, first, nil}, step{phaseClosed, first, nil}
	failed, lost := step{phaseFailed, first, nil}, step{phaseFailed, first, gone}
	thenClosed, thenFailed := step{phaseClosed, second, nil}, step{phaseFailed, second, nil}
	for _, tt := range []struct{ first, second, want step }{
		// Only discarding is followed by something else.
		{discarded, thenClosed, thenClosed},
		{discarded, thenFailed, thenFailed},
		{closed, step{phaseDiscarded, second, nil}, closed},
		{closed, thenClosed, closed},
		{closed, thenFailed, closed},
		{failed, thenClosed, failed},
		{failed, thenFailed, failed},
		// Frames are lost once, also later, and stay lost.
		{closed, step{phaseFailed, second, gone}, step{phaseClosed, first, gone}},
		{lost, step{phaseFailed, second, second}, lost},
		{lost, thenClosed, lost},
	} {
		var k lock
		got := func() step { return step{k.phase(), k.err(), k.lost()} }
		if got() != (step{}) || k.has(stateEnded) {
			t.Errorf("got %v in the beginning, want an open direction", got())
		}
		k.end(tt.first.phase, tt.first.err, tt.first.lost)
		if got() != tt.first || !k.has(stateEnded) {
			t.Errorf("%v: got %v", tt.first, got())
		}
		k.end(tt.second.phase, tt.second.err, tt.second.lost)
		if got() != tt.want {
			t.Errorf("%v, %v: got %v, want %v", tt.first, tt.second, got(), tt.want)
		}
	}
}

// borrowed returns the names of what c, which nothing uses any more, has borrowed and not given back.
func borrowed(c *Conn) string {
	watching := func(w *watch) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.stop != nil
	}
	s := &c.send
	held := map[string]bool{
		"the read lock":               c.readLock.has(stateLocked),
		"the buffer of what has come": c.recv.buf != nil || c.recv.b != nil,
		"the bytes of a message":      c.message.keptBytes() != nil,
		"the context of reads":        c.readWatch != nil && watching(c.readWatch),
		"the write lock":              s.lock.has(stateLocked | stateMessageOpen),
		"the outbox":                  s.outbox.buf != nil,
	}
	if k := c.compression; k != nil {
		held["a deflater"] = k.deflater != nil
		held["an inflater"] = c.message.inflater != nil
		held["a window"] = k.window.b != nil
	}
	if w := c.writer.Load(); w != nil {
		w.mu.Lock()
		held["what a message writer has"] = w.buf != nil || w.deflater != nil
		w.mu.Unlock()
	}
	if b := s.slot.Load(); b != nil {
		b.mu.Lock()
		held["the slot"] = b.buf != nil
		b.mu.Unlock()
	}
	if d := s.delayed.Load(); d != nil {
		held["the context of writes"] = watching(&d.watch)
	}
	maps.DeleteFunc(held, func(_ string, held bool) bool { return !held })
	return strings.Join(slices.Sorted(maps.Keys(held)), ", ")
}
