//go:build go1.25

package websocket

import (
	"testing"
	"testing/synctest"
	"time"
)

// Whoever has the wire writes what the reader owes, before it gives the wire back.
func TestOwedFramesAreWrittenByWhoHasTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.send.take(wantWire, &bound{})
		c.reply(opPong, []byte("one"))
		c.reply(opPong, []byte("two"))
		wantFrames(t, wire)
		c.send.release(&bound{})
		// RFC 6455, 5.5.3: for only the most recently processed ping.
		wantFrames(t, wire, `fin=true op=10 masked=false "two"`)
		c.send.wantFree(t)
	})
}

// wantFree checks that nothing is pending and that the wire is free.
func (s *send) wantFree(t *testing.T) {
	t.Helper()
	if s.wire.pending.Load() != nil || !s.wire.tryTake(wantWire) {
		t.Error("the wire is not free, or something is still owed")
		return
	}
	s.wire.giveBack(wantWire)
}

// A close that is owed beats pongs, before and after it.
func TestOwedCloseBeatsPongs(t *testing.T) {
	c, wire := newTestConn(t, true)
	c.send.take(wantWire, &bound{})
	c.reply(opPong, []byte("one"))
	c.replyClose(CloseGoingAway)
	c.reply(opPong, []byte("two"))
	c.send.release(&bound{})
	wantFrames(t, wire, `fin=true op=8 masked=false "\x03\xe9"`)
	if err := c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
		t.Errorf("got %v, want ErrCloseSent", err)
	}
	c.send.wantFree(t)
}

// The reader does not wait for a writer that the peer keeps waiting.
func TestReaderDoesNotWaitForWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 100)
		c := newConn(a, true, nil, connOptions{})
		done := make(chan error)
		go func() { done <- c.WriteMessage(BinaryMessage, make([]byte, 1000)) }()
		synctest.Wait()
		wire.Write(unhex(t, "89 81 00000000 61 81 81 00000000 62"))
		start := time.Now()
		if _, p, err := c.ReadMessage(); string(p) != "b" || err != nil {
			t.Fatalf("got %q, %v, want b", p, err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("got a wait of %v, want none", d)
		}
		var got []byte
		for len(got) < 4+1000+3 {
			got = append(got, wire.take()...)
			synctest.Wait()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s := string(got[4+1000:]); s != "\x8a\x01a" {
			t.Errorf("got %q behind the message, want the pong", s)
		}
	})
}

// A writer that just meets its deadline does not make the pong that it writes for
// the reader fail with it.
func TestOwedFrameHasADeadlineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 4)
		c := newConn(a, true, nil, connOptions{})
		done := make(chan error)
		go func() { done <- c.WriteControl(PingMessage, []byte("12345"), time.Now().Add(time.Second)) }()
		synctest.Wait()
		c.reply(opPong, []byte("6"))
		time.Sleep(time.Second - 1)
		wire.take() // the ping goes through, and fills the network again
		time.Sleep(2 * time.Second)
		wire.take()
		if err := <-done; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if err := c.send.failed(); err != nil {
			t.Errorf("got %v, want a good connection", err)
		}
	})
}

// The answer to a Close frame waits for a writer that is at work: the program closes
// the connection as soon as the read returns.
func TestLastFrameWaitsForWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 100)
		c := newConn(a, true, nil, connOptions{})
		go c.WriteMessage(BinaryMessage, make([]byte, 150))
		synctest.Wait()
		wire.Write(unhex(t, "88 82 00000000 03e8"))
		read := make(chan error)
		go func() {
			_, _, err := c.ReadMessage()
			c.Close()
			read <- err
		}()
		time.Sleep(closeTimeout / 2)
		got := wire.take()
		if err := <-read; !IsCloseError(err, CloseNormalClosure) {
			t.Errorf("got %v, want close 1000", err)
		}
		got = append(got, wire.take()...)
		if want := "\x88\x02\x03\xe8"; len(got) != 4+150+4 || string(got[4+150:]) != want {
			t.Errorf("got %d bytes that end in %q, want the message and %q", len(got), got[min(len(got), 154):], want)
		}
	})
}
