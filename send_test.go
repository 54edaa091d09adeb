//go:build go1.25

package websocket

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

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

// The deadline of a write that just meets it is not that of the reply behind it, which has none.
func TestReplyBorrowsNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 4)
		c := newConn(a, true, nil, connOptions{})
		done := make(chan error)
		go func() { done <- c.WriteControl(PingMessage, []byte("12345"), time.Now().Add(time.Second)) }()
		synctest.Wait()
		c.reply(opPong, []byte("6"))
		time.Sleep(time.Second - 1)
		got := wire.take() // the ping goes through, and fills the network again
		time.Sleep(time.Hour)
		if err := <-done; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if err := c.send.lock.err(); err != nil {
			t.Errorf("got %v, want a good connection", err)
		}
		got = append(got, wire.takeFrames(1)...)
		if frames := describeFrames(t, got); frames != "9 12345|10 6" {
			t.Errorf("got %q, want the ping and the pong", frames)
		}
	})
}

// Close waits for the answer to the peer's Close frame, also behind a write that is going on: the
// program closes the connection as soon as the read returns.
func TestCloseWaitsForTheAnswerBehindAWrite(t *testing.T) {
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
			start := time.Now()
			if err := c.WriteControl(PingMessage, nil, start.Add(time.Minute)); err != nil {
				t.Errorf("%s: got %v, want nil", name, err)
			}
			if d := time.Since(start); d > 10*time.Millisecond {
				t.Errorf("%s: got a wait of %v behind a network that takes a frame each millisecond, want little", name, d)
			}
			time.Sleep(2 * time.Second)
			c.wantNothingUnsent(t)
		})
	}
}
