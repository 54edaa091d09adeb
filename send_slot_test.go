//go:build go1.25

package websocket

import (
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

// The holder of the lock writes the replies before it gives the lock back. Nothing follows a Close frame,
// whoever sends it, and no pong replaces it.
func TestHolderOfTheLockWritesReplies(t *testing.T) {
	pong := func(c *Conn, payload string) { c.reply(opPong, []byte(payload)) }
	for _, tt := range []struct {
		reply     func(c *Conn)
		now, then []string // what leaves before the lock is free, and then
		err       error    // of the next write
	}{
		{func(c *Conn) {
			pong(c, "one")
			pong(c, "two")
		}, nil, []string{"10 one|10 two"}, nil},
		{func(c *Conn) {
			pong(c, "one")
			c.replyClose(CloseGoingAway)
			pong(c, "two")
			c.replyClose(CloseNormalClosure)
		}, nil, []string{"10 one|8 \x03\xe9"}, ErrCloseSent},
		{func(c *Conn) {
			c.send.writeLocked(&frame{fin: true, opcode: opClose}, &limit{})
			pong(c, "late")
		}, []string{"8 "}, nil, ErrCloseSent},
	} {
		eachLogged(t, connOptions{}, nil, func(t *testing.T, c *Conn, wire *loggedConn) {
			c.send.lock.acquire(modeFrame, nil, &limit{})
			tt.reply(c)
			synctest.Wait()
			wire.wantWrites(t, "the lock is held", tt.now...)
			c.send.unlock()
			synctest.Wait()
			wire.wantWrites(t, "the lock is free", tt.then...)
			c.wantNothingUnsent(t)
			if err := c.WriteMessage(TextMessage, nil); err != tt.err {
				t.Errorf("got %v, want %v", err, tt.err)
			}
		})
	}
}

// RFC 6455, 5.5.3: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
// response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the
// most recently processed Ping frame." That is done where the slot is full, of pongs or of what a stream
// has posted, which itself waits for room then. A Close frame has room in any case.
func TestReplySlotIsFull(t *testing.T) {
	for _, full := range []bool{false, true} {
		eachLogged(t, connOptions{}, nil, func(t *testing.T, c *Conn, wire *loggedConn) {
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
		eachPipe(t, connOptions{}, func(b *bubble) {
			b.room(4)
			b.c.reply(opPong, []byte("123456"))
			synctest.Wait()
			done := inBackground(b.T, func() error { return write(b.c) })
			time.Sleep(time.Minute)
			b.open()
			b.want(name+": the pong and the message", "10 123456", "1 next")
			done.want(name, anyTime, noError)
			b.c.wantNothingUnsent(b)
		})
	}
}

// Where the outbox has no room for what is in the slot, that still leaves before any later frame.
func TestSlotBehindACorkedOutbox(t *testing.T) {
	for want, last := range map[string]func(c *Conn) error{
		"8 ": func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) },
		"1 7000 bytes": func(c *Conn) error {
			return c.send.post(&frame{fin: true, opcode: opText, payload: make([]byte, 7000)}, &noLimit, false)
		},
	} {
		eachLogged(t, connOptions{}, nil, func(t *testing.T, c *Conn, wire *loggedConn) {
			c.Cork()
			c.WriteMessage(BinaryMessage, make([]byte, 10_000))
			all := []string{"2 10000 bytes"}
			for c.send.tryPost(batchFrame(opBinary, 8000)) { // nothing has flushed the slot yet
				all = append(all, "2 8000 bytes")
			}
			if err := last(c); err != nil {
				t.Errorf("%s: got %v, want nil", want, err)
			}
			time.Sleep(corkTime)
			synctest.Wait()
			if got := strings.Join(wire.take(t), "|"); got != strings.Join(append(all, want), "|") {
				t.Errorf("got %q, want %q, and then %q", got, all, want)
			}
		})
	}
}

// A Close frame whose limit ends before it begins has done nothing: frames are posted as before, without waiting.
func TestCloseFrameThatIsTakenBack(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		wantWriteTimeout(b, "Close frame", b.c.WriteControl(CloseMessage, nil, time.Now().Add(time.Second)))
		if !b.c.send.tryPost(batchFrame(opText, 1)) {
			b.Error("got no room in the slot")
		}
		b.c.send.tryFlush()
		b.open()
		b.want("what was posted", "1 \x00")
	})
}

// A frame that is on its way into the slot when another goroutine begins to send a Close frame goes
// before that.
func TestPostAndCloseTogether(t *testing.T) {
	c, far := newTestConn(t, true)
	slot := own(&c.send.slot)
	slot.mu.Lock() // as post does
	closed := make(chan error, 1)
	go func() { closed <- c.WriteControl(CloseMessage, nil, time.Time{}) }()
	for !c.send.lock.has(stateLocked) {
		runtime.Gosched()
	}
	if time.Sleep(time.Millisecond); len(closed) > 0 {
		t.Fatal("got a Close frame that was sent at once, want it to wait")
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
			go func() {
				for range 2000 {
					post(c, s)
					time.Sleep(time.Millisecond / 2)
				}
			}()
			time.Sleep(10 * time.Millisecond)
			d := took(func() { wantWrite(t, c, "a") })
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
		write := b.beginWrite("1", time.Second)
		b.c.reply(opPong, []byte("2"))
		time.Sleep(time.Second - 1)
		b.room(len(peerFrames(!b.server, textFrame("1")))) // the message goes through, and fills the network again
		time.Sleep(time.Hour)
		write.want("it has met its deadline", time.Second-1, noError)
		b.open()
		b.want("the message, and the pong, which has no deadline", "1 1", "10 2")
		b.wantGood()
	})
}

// A read deadline is for reads: what replies to a frame leaves also where the frame is handled by a read whose
// deadline has passed, and the connection is good.
func TestRepliesAfterTheReadDeadline(t *testing.T) {
	for _, tt := range endings[:2] {
		eachBubble(t, connOptions{}, func(b *bubble) {
			b.send(textFrame("a"), pingFrame("p")) // the read of the message brings the ping
			wantRead(b, b.c, "a")
			b.c.SetReadDeadline(time.Unix(1, 0))
			wantTimeout(b.T, second3(b.c.ReadMessage()))
			b.want("the ping was read", "10 p")
			b.c.SetReadDeadline(time.Time{})
			b.send(textFrame("b"), tt.frame)
			wantRead(b, b.c, "b")
			wantWrite(b, b.c, "later")
			b.c.SetReadDeadline(time.Unix(1, 0))
			b.wantReadNow("", tt.err)
			b.want("the reading has ended", "1 later", tt.reply)
		})
	}
}

// A peer that sends pings and does not read what they are answered with holds up no read. The
// last of the pings is answered in the end (RFC 6455, 5.5.3), and the connection is good.
func TestPingFloodHoldsUpNoRead(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.room(1000)
		b.send(slices.Repeat([]peerFrame{pingFrame(strings.Repeat("x", 125))}, 2000)...)
		b.send(pingFrame("last"), textFrame("a"))
		b.wantReadNow("a", noError)
		later := b.beginWrite("later", 0)
		b.open()
		later.want("the network is free", 0, noError)
		if got := join(b.take()); !strings.HasSuffix(got, "|10 last|1 later") || len(got) > 200_000 {
			b.Errorf("got %d bytes that end in %q, want fewer, and the last pong", len(got), got[max(0, len(got)-100):])
		}
		b.wantGood()
	})
}

// A pong does not wait until a handler of the program returns that runs for a frame behind the
// ping.
func TestPongDoesNotWaitForHandlers(t *testing.T) {
	for op, set := range map[opcode]func(c *Conn, run func() error){
		opPing: func(c *Conn, run func() error) {
			answer, pings := c.PingHandler(), 0
			c.SetPingHandler(func(data string) error {
				if pings++; pings > 1 {
					return run()
				}
				return answer(data)
			})
		},
		opPong:  func(c *Conn, run func() error) { c.SetPongHandler(func(string) error { return run() }) },
		opClose: func(c *Conn, run func() error) { c.SetCloseHandler(func(int, string) error { return run() }) },
	} {
		for what, run := range map[string]func() error{
			"blocks": func() error { time.Sleep(time.Minute); return nil },
			"fails":  func() error { return errMine },
		} {
			eachBubble(t, connOptions{}, func(b *bubble) {
				set(b.c, run)
				go b.c.ReadMessage()
				b.send(pingFrame("p"), peerFrame{true, op, ""})
				b.want(fmt.Sprintf("the handler of opcode %d %s", op, what), "10 p")
			})
		}
	}
}

// A pong does not wait for a handler that takes long, also where it seemed worth while to wait.
func TestPongsDoNotWaitForAHandler(t *testing.T) {
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
		for _, quick := range []bool{true, false} {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.c.burst.quick = quick
				b.send(tt.in...)
				answer(b, b.c, len(tt.want)-1, writeBack)
				if err := second3(b.c.ReadMessage()); err != nil {
					b.Fatal(err)
				}
				time.Sleep(time.Millisecond) // much less than what the handler takes
				b.want(name+": the handler is at work", tt.want...)
			})
		}
	}
}

// A Close frame that is posted while a caller has the lock, and has not written yet, is the last frame all the same.
func TestCloseFramePostedBeforeAWrite(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		s := &b.c.send
		s.lock.tryAcquire(modeFrame)
		s.postReply(opClose, nil)
		if err := s.writeLocked(&frame{fin: true, opcode: opText}, &noLimit); err != ErrCloseSent {
			b.Errorf("got %v, want ErrCloseSent", err)
		}
		s.unlock()
		b.want("the Close frame alone", "8 ")
	})
}
