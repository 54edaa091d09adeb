//go:build go1.25

package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bhWrites are all ways to write a data message.
func bhWrites(t *testing.T) map[string]func(*Conn) error {
	pm := bhPrepare(t, TextMessage, "1\n")
	return map[string]func(*Conn) error{
		"WriteMessage":         func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("1\n")) },
		"WriteJSON":            func(c *Conn) error { return c.WriteJSON(1) },
		"WritePreparedMessage": func(c *Conn) error { return c.WritePreparedMessage(pm) },
		"NextWriter": func(c *Conn) error {
			w, err := c.NextWriter(TextMessage)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, "1\n"); err != nil {
				return err
			}
			return w.Close()
		},
	}
}

// bhControls are all ways to write a control message.
func bhControls(t *testing.T, messageType int) map[string]func(*Conn) error {
	pm := bhPrepare(t, messageType, "")
	return map[string]func(*Conn) error{
		"WriteControl":         func(c *Conn) error { return c.WriteControl(messageType, nil, time.Time{}) },
		"WriteMessage":         func(c *Conn) error { return c.WriteMessage(messageType, nil) },
		"WritePreparedMessage": func(c *Conn) error { return c.WritePreparedMessage(pm) },
		"NextWriter": func(c *Conn) error {
			w, err := c.NextWriter(messageType)
			if err != nil {
				return err
			}
			return w.Close()
		},
	}
}

// "After a Close frame was sent, every write returns ErrCloseSent (==)", whichever way
// the Close frame was sent.
func TestBehaviourErrCloseSent(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for how, sendClose := range bhControls(t, CloseMessage) {
			c, wire := newTestConn(t, server)
			if err := sendClose(c); err != nil {
				t.Fatal(err)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=%v %q", !server, ""))
			for range 2 {
				for name, write := range bhWrites(t) {
					if err := write(c); err != ErrCloseSent {
						t.Errorf("%s after %s: got %v, want ErrCloseSent", name, how, err)
					}
				}
				for _, messageType := range []int{CloseMessage, PingMessage, PongMessage} {
					for name, write := range bhControls(t, messageType) {
						if err := write(c); err != ErrCloseSent {
							t.Errorf("%s of type %d after %s: got %v, want ErrCloseSent", name, messageType, how, err)
						}
					}
				}
			}
			c.wantNothingSent(t, wire, "nothing follows a Close frame")
			if ErrCloseSent.Error() != "websocket: close sent" {
				t.Errorf("got %q, want websocket: close sent", ErrCloseSent)
			}
			// The other direction is still open: the peer's messages and answer are to be read.
			wire.Write(bhFrame(server, 0x81, "last words"))
			wire.Write(bhFrame(server, 0x89, "ping"))
			wire.Write(bhFrame(server, 0x88, ""))
			if _, p, err := c.ReadMessage(); string(p) != "last words" || err != nil {
				t.Errorf("got %q and error %v, want last words", p, err)
			}
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNoStatusReceived) {
				t.Errorf("got %v, want close 1005", err)
			}
			c.wantNothingSent(t, wire, "nothing follows a Close frame")
		}
	})
}

// "A write that timed out on the network: every later write returns the same error",
// and it is one of the network: a net.Error that is a timeout.
func TestBehaviourWriteTimeoutStays(t *testing.T) {
	for first, write := range bhWrites(t) {
		synctest.Test(t, func(t *testing.T) {
			a, wire := newPipe(t, 2)
			c := newConn(a, true, nil, connOptions{})
			start := time.Now()
			c.SetWriteDeadline(start.Add(3 * time.Second))
			err := write(c)
			var ne net.Error
			if d := time.Since(start); !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || d != 3*time.Second {
				t.Errorf("%s: got %v after %v, want a timeout of the network after 3s", first, err, d)
			}
			c.SetWriteDeadline(time.Time{})
			wire.take()
			for range 2 {
				for name, write := range bhWrites(t) {
					if again := write(c); again != err {
						t.Errorf("%s after %s: got %v, want the same error", name, first, again)
					}
				}
				for name, write := range bhControls(t, PingMessage) {
					if again := write(c); again != err {
						t.Errorf("%s of a ping after %s: got %v, want the same error", name, first, again)
					}
				}
			}
			c.wantNothingSent(t, wire, "the connection has failed")
		})
	}
}

// "WriteControl past its deadline: `websocket: write timeout`, Timeout() true, the
// connection stays good."
func TestBehaviourWriteControlPastItsDeadline(t *testing.T) {
	c, wire := newTestConn(t, true)
	for _, messageType := range []int{PingMessage, PongMessage, CloseMessage} {
		err := c.WriteControl(messageType, nil, time.Now().Add(-time.Hour))
		ne, ok := err.(net.Error)
		if !ok || !ne.Timeout() || err.Error() != "websocket: write timeout" {
			t.Errorf("type %d: got %T %v, want websocket: write timeout, a net.Error", messageType, err, err)
		}
	}
	wantFrames(t, wire)
	if err := c.WriteMessage(TextMessage, []byte("good")); err != nil {
		t.Errorf("got error %v, want a good connection", err)
	}
	wantFrames(t, wire, `fin=true op=1 masked=false "good"`)
}

// "SetWriteDeadline is applied to the writes that follow it": it neither reaches one that
// is at work, nor is it forgotten after one.
func TestBehaviourSetWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 100)
		c := newConn(a, true, nil, connOptions{})
		start := time.Now()
		done := make(chan error)
		go func() { done <- c.WriteMessage(BinaryMessage, make([]byte, 150)) }()
		synctest.Wait()
		if err := c.SetWriteDeadline(start.Add(time.Second)); err != nil {
			t.Errorf("got error %v, want none", err)
		}
		time.Sleep(10 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("got %v, want the write before the deadline was set to wait", err)
		default:
		}
		wire.take()
		if err := <-done; err != nil {
			t.Errorf("got %v, want none", err)
		}
		wire.take()

		// It applies to each that follows, until another is set.
		c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		for range 2 {
			if err := c.WriteMessage(TextMessage, nil); err != nil {
				t.Errorf("got %v, want none before the deadline", err)
			}
			time.Sleep(time.Second)
		}
		start = time.Now()
		err := c.WriteMessage(BinaryMessage, make([]byte, 150))
		if d := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || d != 3*time.Second {
			t.Errorf("got %v after %v, want a timeout after what was left, 3s", err, d)
		}
	})
}

// A message writer looks at the deadline for each of its fragments.
func TestBehaviourSetWriteDeadlineInMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 5000)
		c := newConn(a, false, nil, connOptions{})
		c.SetWriteDeadline(time.Now().Add(time.Second))
		w, err := c.NextWriter(BinaryMessage)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			t.Errorf("got %v, want the new deadline to count", err)
		}
		wire.take()
		time.Sleep(time.Hour)
		_, err = w.Write(make([]byte, 4096))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v after the deadline, want a timeout", err)
		}
		if again := w.Close(); again != err {
			t.Errorf("got %v from Close, want the same error", again)
		}
	})
}

// "The writer from NextWriter also has WriteString and ReadFrom."
func TestBehaviourMessageWriterMethods(t *testing.T) {
	c, wire := newTestConn(t, true)
	w, err := c.NextWriter(TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	sw, ok := w.(io.StringWriter)
	if !ok {
		t.Fatalf("got %T, want an io.StringWriter", w)
	}
	rf, ok := w.(io.ReaderFrom)
	if !ok {
		t.Fatalf("got %T, want an io.ReaderFrom", w)
	}
	if n, err := sw.WriteString("string "); n != 7 || err != nil {
		t.Errorf("got %d and error %v, want 7", n, err)
	}
	if n, err := rf.ReadFrom(strings.NewReader("reader")); n != 6 || err != nil {
		t.Errorf("got %d and error %v, want 6", n, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	wantFrames(t, wire, `fin=true op=1 masked=false "string reader"`)
	for name, err := range map[string]error{
		"Write":       second(w.Write([]byte("x"))),
		"WriteString": second(sw.WriteString("x")),
		"ReadFrom":    second(rf.ReadFrom(strings.NewReader("x"))),
		"Close":       w.Close(),
	} {
		if err == nil || err.Error() != "websocket: write closed" {
			t.Errorf("%s after Close: got %v, want websocket: write closed", name, err)
		}
	}
	wantFrames(t, wire)
}

// "Close closes the network connection, sends nothing": not even what a message writer
// still has, and later writes fail as writes to a closed connection.
func TestBehaviourWriteAfterClose(t *testing.T) {
	for name, write := range bhWrites(t) {
		c, wire := newTestConn(t, true)
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "unsent")
		if err := c.Close(); err != nil {
			t.Errorf("got error %v, want none", err)
		}
		if err := w.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("message writer: got %v, want net.ErrClosed", err)
		}
		if err := write(c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %v, want net.ErrClosed", name, err)
		}
		c.wantNothingSent(t, wire, "the connection is closed")
	}
}
