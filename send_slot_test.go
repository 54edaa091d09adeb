//go:build go1.25

package websocket

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wantFree checks that the lock is free, and that nothing waits to be sent.
func (s *send) wantFree(t *testing.T) {
	t.Helper()
	if s.hasUnsent() || !s.lock.tryAcquire(lockFlush) {
		t.Error("the lock is not free, or something waits to be sent")
		return
	}
	s.unlock()
}

// The holder of the lock writes the replies before it gives the lock back.
func TestHolderOfTheLockWritesReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.send.lock.acquire(lockFrame, nil, &limit{})
		c.reply(opPong, []byte("one"))
		c.reply(opPong, []byte("two"))
		synctest.Wait()
		wantFrames(t, wire)
		c.send.unlock()
		synctest.Wait()
		wantFrames(t, wire, `fin=true op=10 masked=false "one"`, `fin=true op=10 masked=false "two"`)
		c.send.wantFree(t)
	})
}

// Nothing follows a Close frame, and no pong replaces it.
func TestReplyCloseIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.send.lock.acquire(lockFrame, nil, &limit{})
		c.reply(opPong, []byte("one"))
		c.replyClose(CloseGoingAway)
		c.reply(opPong, []byte("two"))
		c.replyClose(CloseNormalClosure)
		c.send.unlock()
		synctest.Wait()
		wantFrames(t, wire, `fin=true op=10 masked=false "one"`, `fin=true op=8 masked=false "\x03\xe9"`)
		if err := c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
			t.Errorf("got %v, want ErrCloseSent", err)
		}
		c.send.wantFree(t)
	})
}

// After a Close frame of ours no reply leaves.
func TestNoReplyAfterACloseFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.WriteControl(CloseMessage, nil, time.Time{})
		c.reply(opPong, []byte("late"))
		synctest.Wait()
		wantFrames(t, wire, `fin=true op=8 masked=false ""`)
		c.send.wantFree(t)
	})
}

// RFC 6455, 5.5.3: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
// response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the
// most recently processed Ping frame." That is done where the slot is full, and a Close frame has
// room in any case.
func TestReplySlotIsFull(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			c.send.lock.acquire(lockFrame, nil, &limit{})
			text := func(i int) string { return fmt.Sprintf("%0125d", i) }
			const n = 100
			for i := range n {
				c.reply(opPong, []byte(text(i)))
			}
			c.replyClose(CloseGoingAway)
			c.send.unlock()
			synctest.Wait()
			got := wire.take(t)
			if len(got) != 1 {
				t.Fatalf("got %d writes, want 1", len(got))
			}
			frames := strings.Split(got[0], "|")
			if len(frames) < 25 || !strings.HasPrefix(frames[len(frames)-1], "8 ") {
				t.Errorf("got %d frames, want some pongs and a Close frame at the end", len(frames))
			}
		})
	})
	c, _ := newTestConn(t, true)
	for i := range 1000 {
		c.send.reply(opPong, []byte(fmt.Sprint(i)))
	}
	b := c.send.slot.Load()
	if last := string(b.buf.b[b.pong+2 : b.n]); last != "999" {
		t.Errorf("got %q last, want the most recent", last)
	}
}

// Any goroutine may reply; the frames of none are torn or lost as long as there is room.
func TestRepliesOfManyGoroutines(t *testing.T) {
	c, peer := newConnPair(t)
	const goroutines, replies = 8, 50
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			for range replies {
				c.PingHandler()(fmt.Sprint(i))
			}
		})
	}
	var seen [goroutines]int
	peer.SetPongHandler(func(appData string) error {
		seen[appData[0]-'0']++
		return nil
	})
	go func() {
		all.Wait()
		c.WriteMessage(TextMessage, nil)
	}()
	if _, _, err := peer.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	for i, n := range seen {
		if n == 0 || n > replies {
			t.Errorf("goroutine %d: got %d pongs, want up to %d", i, n, replies)
		}
	}
}

// A stream that has filled the slot waits for room; a ping that comes then is answered all the
// same, by a pong for the most recent, and a Close frame has room.
func TestRepliesToAFullSlot(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			c.send.lock.acquire(lockFrame, nil, &limit{})
			s := NewStream(c, BinaryMessage)
			frames := fillStream(t, s)
			s.SetWriteDeadline(time.Now().Add(time.Second))
			if n, err := s.Write([]byte("more")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %d, %v, want a timeout: the slot is full", n, err)
			}
			for i := range 3 {
				c.reply(opPong, fmt.Appendf(nil, "%0125d", i))
			}
			c.replyClose(CloseGoingAway)
			c.send.unlock()
			synctest.Wait()
			got := strings.Split(strings.Join(wire.take(t), "|"), "|")
			want := []string{"10 125 bytes", "8 \x03\xe9"}
			if len(got) != len(frames)+2 || !slices.Equal(got[len(frames):], want) {
				t.Errorf("got %q, want %d data frames, then %q", got, len(frames), want)
			}
		})
	})
}

// newTornConn returns a connection of which a pong has left in part.
func newTornConn(t *testing.T) (*Conn, *loggedConn) {
	a, _ := newPipe(t, 4)
	wire := &loggedConn{pipeConn: a}
	c := newConn(wire, true, nil, connOptions{})
	c.reply(opPong, []byte("123456"))
	synctest.Wait()
	return c, wire
}

// The rest of a pong that the network did not take goes out before the next frame.
func TestTornPongGoesOnFirst(t *testing.T) {
	for name, write := range map[string]func(c *Conn) error{
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("next")) },
		"corked": func(c *Conn) error {
			c.Cork()
			if err := c.WriteMessage(TextMessage, []byte("next")); err != nil {
				return err
			}
			return c.Flush()
		},
		"stream": func(c *Conn) error { return second(NewStream(c, TextMessage).Write([]byte("next"))) },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTornConn(t)
			done := make(chan error, 1)
			go func() { done <- write(c) }()
			if got := drainFrames(t, wire, 2); got != "10 123456|1 next" {
				t.Errorf("%s: got %q, want the pong and the message", name, got)
			}
			if err := <-done; err != nil {
				t.Errorf("%s: got %v, want nil", name, err)
			}
			synctest.Wait()
			c.wantNothingUnsent(t)
		})
	}
}

// A write whose deadline passes while the rest of a pong is being sent has not happened.
func TestTornPongAndADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTornConn(t)
		if err := c.WriteControl(PingMessage, nil, time.Now().Add(time.Second)); err != errWriteTimeout {
			t.Errorf("got %v, want write timeout", err)
		}
		go c.WriteMessage(TextMessage, []byte("next"))
		if got := drainFrames(t, wire, 2); got != "10 123456|1 next" {
			t.Errorf("got %q, want the pong and the message", got)
		}
	})
}

// Where the outbox has no room for what is in the slot, that still leaves before any later frame.
func TestSlotBehindACorkedOutbox(t *testing.T) {
	for name, tt := range map[string]struct {
		last func(c *Conn) error
		want string
	}{
		"a Close frame": {func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) }, "8:0"},
		"a posted frame": {func(c *Conn) error {
			return c.send.post(&frame{fin: true, opcode: opText, payload: make([]byte, 7000)}, &noLimit, false)
		}, "1:7000"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, true)
			c.Cork()
			c.WriteMessage(BinaryMessage, make([]byte, 10_000))
			want := []string{"2:10000"}
			for c.send.tryPost(&frame{fin: true, opcode: opBinary, payload: make([]byte, 8000)}) { // and nobody has flushed it yet
				want = append(want, "2:8000")
			}
			if err := tt.last(c); err != nil {
				t.Errorf("%s: got %v, want nil", name, err)
			}
			time.Sleep(corkTime)
			synctest.Wait()
			var got []string
			for rest := wire.take(); len(rest) > 0; {
				h, n, err := parseHeader(rest)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%d:%d", h.opcode, h.length))
				rest = rest[n+int(h.length):]
			}
			if want = append(want, tt.want); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		})
	}
}

// A Close frame whose limit ends before it begins has done nothing: frames are posted as before, without waiting.
func TestCloseFrameThatIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, wire := newPipe(t, 10)
		c := newConn(near, true, nil, connOptions{})
		near.Write(make([]byte, 10))
		if err := c.WriteControl(CloseMessage, nil, time.Now().Add(time.Second)); err != errWriteTimeout {
			t.Errorf("got %v, want %v", err, errWriteTimeout)
		}
		if !c.send.tryPost(&frame{fin: true, opcode: opText, payload: []byte("a")}) {
			t.Error("got no room in the slot")
		}
		c.send.tryFlush()
		synctest.Wait()
		wire.take()
		synctest.Wait()
		wantFrames(t, wire, `fin=true op=1 masked=false "a"`)
	})
}
