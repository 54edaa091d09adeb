//go:build go1.25

package websocket

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who is granted the wire too late still writes what the reader owes meanwhile.
func TestOwedFrameAndALateGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		s := &c.send
		s.take(wantWire, &bound{})
		late := make(chan error)
		deadline := time.Now().Add(time.Second)
		go func() { late <- c.WriteControl(PingMessage, nil, deadline) }()
		synctest.Wait()
		s.wire.ownQueue().mu.Lock() // so that the one whose time is up cannot say so yet
		time.Sleep(time.Second)
		s.wire.state.And(^uint32(wireBusy))
		s.wire.grant()
		s.wire.pending.Store(&owed{op: opPong, rest: []byte("\x8a\x00")})
		s.retry(time.Time{}) // in vain
		s.wire.ownQueue().mu.Unlock()
		if err := <-late; err != errWriteTimeout {
			t.Errorf("got %v, want write timeout", err)
		}
		synctest.Wait()
		wantFrames(t, wire, `fin=true op=10 masked=false ""`)
		s.wantFree(t)
	})
}

// newTornConn returns a connection of which a pong has left in part.
func newTornConn(t *testing.T) (*Conn, *loggedConn) {
	a, _ := newPipe(t, 4)
	wire := &loggedConn{pipeConn: a}
	c := newConn(wire, true, nil, connOptions{})
	c.send.reply(opPong, []byte("123456"), time.Now().Add(time.Second))
	if !c.send.flags.has(owing) || c.send.bounds.torn == nil {
		t.Fatal("got no torn frame")
	}
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
			if c.send.flags.has(owing) || c.send.bounds.torn != nil {
				t.Errorf("%s: the pong is still owed", name)
			}
		})
	}
}

// While somebody tries again to send the rest of a pong, a reader that comes by does not wait for
// it as long as for the first attempt.
func TestTornPongStaysOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTornConn(t)
		go c.WriteMessage(TextMessage, []byte("next"))
		synctest.Wait()
		if wait := time.Until(c.replyDeadline()); wait != retryTimeout {
			t.Errorf("got a wait of %v, want %v", wait, retryTimeout)
		}
		if got := drainFrames(t, wire, 2); got != "10 123456|1 next" {
			t.Errorf("got %q, want the pong and the message", got)
		}
	})
}

// A write whose deadline passes while it sends the rest of a pong has not happened.
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

// After a Close frame of ours nothing more is owed.
func TestNoPongAfterACloseFrame(t *testing.T) {
	c, wire := newTestConn(t, true)
	c.WriteControl(CloseMessage, nil, time.Time{})
	c.reply(opPong, []byte("late"))
	wantFrames(t, wire, `fin=true op=8 masked=false ""`)
	c.send.wantFree(t)
}
