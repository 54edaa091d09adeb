//go:build go1.25

package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wantFree checks that the lock is free, and that nothing waits to be sent.
func (s *send) wantFree(t *testing.T) {
	t.Helper()
	if s.hasUnsent() || !s.lock.tryAcquire(modeFlush) {
		t.Error("the lock is not free, or something waits to be sent")
		return
	}
	s.unlock()
}

// The holder of the lock writes the replies before it gives the lock back. Nothing follows a Close frame,
// whoever sends it, and no pong replaces it.
func TestHolderOfTheLockWritesReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		reply func(c *Conn)
		now   string // what leaves before the lock is free
		then  string
		err   error // of the next write
	}{
		"pongs": {func(c *Conn) {
			c.reply(opPong, []byte("one"))
			c.reply(opPong, []byte("two"))
		}, "", "10 one|10 two", nil},
		"Close frames and pongs": {func(c *Conn) {
			c.reply(opPong, []byte("one"))
			c.replyClose(CloseGoingAway)
			c.reply(opPong, []byte("two"))
			c.replyClose(CloseNormalClosure)
		}, "", "10 one|8 \x03\xe9", ErrCloseSent},
		"a Close frame of a caller": {func(c *Conn) {
			c.send.writeLocked(&frame{fin: true, opcode: opClose}, &limit{})
			c.reply(opPong, []byte("late"))
		}, "8 ", "", ErrCloseSent},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, true)
			c.send.lock.acquire(modeFrame, nil, &limit{})
			tt.reply(c)
			synctest.Wait()
			now := describeFrames(t, wire.take())
			c.send.unlock()
			synctest.Wait()
			if then := describeFrames(t, wire.take()); now != tt.now || then != tt.then {
				t.Errorf("%s: got %q, and then %q, want %q, %q", name, now, then, tt.now, tt.then)
			}
			c.send.wantFree(t)
			if err := c.WriteMessage(TextMessage, nil); err != tt.err {
				t.Errorf("%s: got %v, want %v", name, err, tt.err)
			}
		})
	}
}

// RFC 6455, 5.5.3: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
// response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the
// most recently processed Ping frame." That is done where the slot is full, of pongs or of what a stream
// has posted, which itself waits for room then. A Close frame has room in any case.
func TestReplySlotIsFull(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, full := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newLoggedConn(t, server, connOptions{})
				c.send.lock.acquire(modeFrame, nil, &limit{})
				least, most := 25, 300
				if full {
					s := NewStream(c, BinaryMessage)
					least = len(fillStream(t, s)) + 2
					most = least
					s.SetWriteDeadline(time.Now().Add(time.Second))
					if n, err := s.Write([]byte("more")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got %d, %v, want a timeout: the slot is full", n, err)
					}
				}
				for i := range 1000 {
					c.reply(opPong, fmt.Appendf(nil, "%020d", i))
				}
				c.replyClose(CloseGoingAway)
				c.send.unlock()
				synctest.Wait()
				got := strings.Split(strings.Join(wire.take(t), "|"), "|")
				last := []string{fmt.Sprintf("10 %020d", 999), "8 \x03\xe9"}
				if len(got) < least || len(got) > most || !slices.Equal(got[len(got)-2:], last) {
					t.Errorf("got %d frames, at the end %q, want %d to %d, and then %q", len(got), got[len(got)-2:], least, most, last)
				}
			})
		}
	})
}

// The rest of a pong that the network did not take goes out before the next frame. A write whose deadline
// passes meanwhile has not happened.
func TestTornPongGoesOnFirst(t *testing.T) {
	next := []byte("next")
	for name, write := range map[string]func(c *Conn) error{
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(TextMessage, next) },
		"corked": func(c *Conn) error {
			c.Cork()
			return errors.Join(c.WriteMessage(TextMessage, next), c.Flush())
		},
		"stream": func(c *Conn) error { return second(NewStream(c, TextMessage).Write(next)) },
		"deadline": func(c *Conn) error {
			err := c.WriteControl(PingMessage, nil, time.Now().Add(time.Second))
			if err != errWriteTimeout {
				return fmt.Errorf("got %v, want a write timeout", err)
			}
			return c.WriteMessage(TextMessage, next)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, wire := newPipe(t, 4)
			c := newConn(a, true, nil, connOptions{})
			c.reply(opPong, []byte("123456"))
			synctest.Wait()
			done := make(chan error, 1)
			go func() { done <- write(c) }()
			time.Sleep(time.Minute)
			room(wire, 1<<20)
			if got := describeFrames(t, wire.takeFrames(2)); got != "10 123456|1 next" {
				t.Errorf("%s: got %q, want the pong and the message", name, got)
			}
			if err := <-done; err != nil {
				t.Errorf("%s: got %v, want nil", name, err)
			}
			c.wantNothingUnsent(t)
		})
	}
}

// Where the outbox has no room for what is in the slot, that still leaves before any later frame.
func TestSlotBehindACorkedOutbox(t *testing.T) {
	for name, tt := range map[string]struct {
		last func(c *Conn) error
		want string
	}{
		"a Close frame": {func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) }, "8 "},
		"a posted frame": {func(c *Conn) error {
			return c.send.post(&frame{fin: true, opcode: opText, payload: make([]byte, 7000)}, &noLimit, false)
		}, "1 7000 bytes"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, true)
			c.Cork()
			c.WriteMessage(BinaryMessage, make([]byte, 10_000))
			want := []string{"2 10000 bytes"}
			// Nobody has flushed the slot yet.
			for c.send.tryPost(&frame{fin: true, opcode: opBinary, payload: make([]byte, 8000)}) {
				want = append(want, "2 8000 bytes")
			}
			if err := tt.last(c); err != nil {
				t.Errorf("%s: got %v, want nil", name, err)
			}
			time.Sleep(corkTime)
			synctest.Wait()
			want = append(want, tt.want)
			if got := describeFrames(t, wire.take()); got != strings.Join(want, "|") {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		})
	}
}

// A Close frame whose limit ends before it begins has done nothing: frames are posted as before, without waiting.
func TestCloseFrameThatIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, wire := newPipe(t, 0)
		c := newConn(near, true, nil, connOptions{})
		if err := c.WriteControl(CloseMessage, nil, time.Now().Add(time.Second)); err != errWriteTimeout {
			t.Errorf("got %v, want %v", err, errWriteTimeout)
		}
		if !c.send.tryPost(&frame{fin: true, opcode: opText, payload: []byte("a")}) {
			t.Error("got no room in the slot")
		}
		c.send.tryFlush()
		room(wire, 1<<20)
		if got := describeFrames(t, wire.takeFrames(1)); got != "1 a" {
			t.Errorf("got %q, want what was posted", got)
		}
	})
}

// A frame that is on its way into the slot when another goroutine begins to send a Close frame goes
// before that.
func TestPostAndCloseTogether(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	c := newConn(near, true, nil, connOptions{})
	slot := own(&c.send.slot)
	slot.mu.Lock() // as post does
	closed := make(chan error)
	go func() { closed <- c.WriteControl(CloseMessage, nil, time.Time{}) }()
	for !c.send.lock.has(stateLocked) {
		runtime.Gosched()
	}
	select { // the Close frame must wait
	case <-closed:
		t.Fatal("got a Close frame that was sent at once")
	case <-time.After(time.Millisecond):
	}
	c.send.addLocked(slot, &frame{fin: true, opcode: opText, payload: []byte("posted")})
	slot.mu.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got, want := string(far.take()), "\x81\x06posted\x88\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Replies and the frames of a stream that come again and again hold up no write: the flusher gives
// the lock back to those that wait for it.
func TestPostedFramesHoldUpNoWrite(t *testing.T) {
	for name, post := range map[string]func(c *Conn, s io.Writer){
		"pongs":  func(c *Conn, _ io.Writer) { c.reply(opPong, nil) },
		"stream": func(_ *Conn, s io.Writer) { s.Write([]byte("x")) },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newBusyConn(t, true)
			s := NewStream(c, BinaryMessage)
			stop := time.Now().Add(time.Second)
			go func() {
				for time.Now().Before(stop) {
					post(c, s)
					time.Sleep(time.Millisecond / 2)
				}
			}()
			time.Sleep(10 * time.Millisecond)
			d := took(func() {
				if err := c.WriteControl(PingMessage, nil, time.Now().Add(time.Minute)); err != nil {
					t.Errorf("%s: got %v, want nil", name, err)
				}
			})
			if d > 10*time.Millisecond {
				t.Errorf("%s: got a wait of %v behind a network that takes a frame each millisecond, want little", name, d)
			}
			time.Sleep(2 * time.Second)
			c.wantNothingUnsent(t)
		})
	}
}

// The deadline of a write that just meets it is not that of the reply behind it, which has none.
func TestReplyBorrowsNoDeadline(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		done := make(chan error)
		go func() { done <- b.c.WriteControl(PingMessage, []byte("1"), time.Now().Add(time.Second)) }()
		synctest.Wait()
		b.c.reply(opPong, []byte("2"))
		time.Sleep(time.Second - 1)
		b.room(len(peerFrames(!b.server, pingFrame("1")))) // the ping goes through, and fills the network again
		time.Sleep(time.Hour)
		if err := <-done; err != nil {
			b.Errorf("got %v, want nil", err)
		}
		b.open()
		b.want("the ping, and the pong, which has no deadline", "9 1", "10 2")
		b.wantGood()
	})
}

// A reply that is made while a Close frame waits for the network does not follow it.
func TestReplyDuringACloseFrame(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.full()
		go b.c.WriteControl(CloseMessage, nil, time.Time{})
		synctest.Wait()
		b.c.reply(opPong, []byte("late"))
		b.open()
		b.want("nothing follows a Close frame", "8 ")
		b.c.wantNothingUnsent(b)
	})
}

// What a stream has posted is lost if the network fails while another frame is being written: the reads say so.
func TestLossOfPostedFrames(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		go b.c.WriteMessage(TextMessage, []byte("first"))
		synctest.Wait()
		if _, err := NewStream(b.c, BinaryMessage).Write([]byte("lost")); err != nil {
			b.Errorf("got %v, want nil: the slot has room", err)
		}
		b.far.Close()
		synctest.Wait()
		wantLost(b.T, b.c, io.ErrClosedPipe.Error())
	})
}

// A read deadline is for reads: what replies to a frame leaves also where the frame is handled by a read whose
// deadline has passed, and the connection is good.
func TestRepliesAfterTheReadDeadline(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for _, tt := range endings[:2] {
			c, peer := l.conn(t, connOptions{})
			peer.send(t, textFrame("a"), pingFrame("p")) // the read of the message brings the ping
			wantRead(t, c, "a")
			c.SetReadDeadline(time.Unix(1, 0))
			if err := third(c.ReadMessage()); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("got %v, want a timeout", err)
			}
			c.SetReadDeadline(time.Time{})
			peer.send(t, textFrame("b"), tt.frame)
			wantRead(t, c, "b")
			wantWrite(t, c, "later")
			c.SetReadDeadline(time.Unix(1, 0))
			err := third(c.ReadMessage())
			if errors.Is(err, os.ErrDeadlineExceeded) { // the frame was not here yet
				c.SetReadDeadline(time.Time{})
				err = third(c.ReadMessage())
			}
			if err == nil || err.Error() != tt.err {
				t.Errorf("got %v, want %s", err, tt.err)
			}
			peer.wantAll(t, "the ping was read", "10 p", "1 later")
			peer.want(t, "the reading has ended", tt.reply)
		}
	})
}

// A peer that sends pings and does not read what they are answered with holds up no read. The
// last of the pings is answered in the end (RFC 6455, 5.5.3), and the connection is good.
func TestPingFloodHoldsUpNoRead(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		near, far := l.pair(t)
		smallBuffer(near)
		c, peer := newConn(near, l.server, nil, connOptions{}), &farEnd{Conn: far, server: l.server}
		flood := bytes.Repeat(peerFrames(l.server, pingFrame(strings.Repeat("x", 125))), 20_000)
		go peer.Write(append(flood, peerFrames(l.server, pingFrame("last"), textFrame("a"))...))
		if err := within(t, "the read", func() error { return readText(c, "a") }); err != nil {
			t.Fatalf("got %v, want the message behind the pings", err)
		}
		written := make(chan error, 1)
		go func() { written <- c.WriteMessage(TextMessage, []byte("later")) }()
		for last, later := false, false; !last || !later; {
			switch frame, err := peer.next(); {
			case err != nil:
				t.Fatalf("got %v, want the pong of the last ping: got it %t; and what was written later: %t", err, last, later)
			case frame == "1 later":
				later = true
			default:
				last = frame == "10 last"
			}
		}
		if err := <-written; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}

// A pong does not wait until a handler of the program returns that runs for a frame behind the
// ping.
func TestPongDoesNotWaitForHandlers(t *testing.T) {
	for name, tt := range map[string]struct {
		op  opcode
		set func(c *Conn, run func() error)
	}{
		"ping": {opPing, func(c *Conn, run func() error) {
			answer, pings := c.PingHandler(), 0
			c.SetPingHandler(func(data string) error {
				if pings++; pings > 1 {
					return run()
				}
				return answer(data)
			})
		}},
		"pong":  {opPong, func(c *Conn, run func() error) { c.SetPongHandler(func(string) error { return run() }) }},
		"close": {opClose, func(c *Conn, run func() error) { c.SetCloseHandler(func(int, string) error { return run() }) }},
	} {
		for what, run := range map[string]func() error{
			"blocks": func() error { time.Sleep(time.Minute); return nil },
			"fails":  func() error { return errMine },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				eachBubble(t, connOptions{}, func(b *bubble) {
					tt.set(b.c, run)
					go b.c.ReadMessage()
					b.send(pingFrame("p"), peerFrame{true, tt.op, ""})
					b.want("the handler is at work, or has failed", "10 p")
				})
			})
		}
	}
}

// A pong does not wait for a handler that takes long, also where it seemed worth while to wait.
func TestPongsDoNotWaitForAHandler(t *testing.T) {
	quick := texts("1", "2", "3", "4", "5", "6", "7", "8")
	for name, tt := range map[string]struct {
		in   []peerFrame
		want []string // when the program has got the message at the ping, and has answered those before
	}{
		"before the only message": {[]peerFrame{pingFrame("p"), textFrame("a")}, []string{"10 p"}},
		"before several messages": {[]peerFrame{pingFrame("p"), textFrame("a"), textFrame("b")}, []string{"10 p"}},
		"between several messages": {
			[]peerFrame{textFrame("a"), pingFrame("p"), textFrame("b"), textFrame("c")}, []string{"1 a", "10 p"},
		},
		"between fragments": {
			[]peerFrame{{false, opText, "a"}, pingFrame("p"), {true, opContinuation, "b"}, textFrame("c")}, []string{"10 p"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				for range 3 {
					b.send(quick...)
					answer(b, b.c, len(quick), writeBack)
				}
				time.Sleep(time.Second)
				b.take()
				b.send(tt.in...)
				answer(b, b.c, len(tt.want)-1, writeBack)
				if err := third(b.c.ReadMessage()); err != nil {
					b.Fatal(err)
				}
				time.Sleep(time.Millisecond) // much less than what the handler takes
				b.want("the handler is at work", tt.want...)
			})
		})
	}
}
