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
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newFullConn returns a connection on a network that takes a few bytes, to which the frames
// have come, and which holds a message that the network does not take.
func newFullConn(t testing.TB, server bool, came ...peerFrame) (*Conn, *loggedConn) {
	a, _ := newPipe(t, 4)
	l := &loggedConn{pipeConn: a}
	c := newConn(l, server, peerFrames(server, came...), connOptions{})
	answer(t, c, 1, func(c *Conn, _ int, _ []byte) error {
		return c.WriteMessage(TextMessage, []byte("0123456789"))
	})
	return c, l
}

// drainFrames reads all that is written until the peer has n frames.
func drainFrames(t testing.TB, l *loggedConn, n int) string {
	t.Helper()
	all := l.unread
	for range 1000 {
		all = append(all, l.peer().take()...)
		whole, rest := 0, all
		for {
			h, head, err := parseHeader(rest)
			if err != nil || head == 0 || int(h.length) > len(rest)-head {
				break
			}
			rest = rest[head+int(h.length):]
			whole++
		}
		if whole >= n {
			l.unread = rest
			return describeFrames(t, all[:len(all)-len(rest)])
		}
		time.Sleep(heldTime / 10)
	}
	t.Fatalf("got % x, want %d frames", all, n)
	return ""
}

// A read does not wait for a network that does not take the answers. They leave when it
// does, in order.
func TestReaderDoesNotWaitForHeldFrames(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newFullConn(t, server, texts("x", "y")...)
			answer(t, c, 1, func(*Conn, int, []byte) error { return nil })
			got := make(chan string, 3)
			start := time.Now()
			go func() {
				for {
					_, p, err := c.ReadMessage()
					if err != nil {
						return
					}
					got <- string(p)
				}
			}()
			// Small enough for the network, so that this does not wait either.
			for _, text := range []string{"a", "b", "c"} {
				for _, b := range peerFrames(server, texts(text)...) {
					wire.peer().Write([]byte{b})
					synctest.Wait()
				}
			}
			for _, want := range []string{"a", "b", "c"} {
				if p := <-got; p != want {
					t.Errorf("got %q, want %q", p, want)
				}
			}
			if d := time.Since(start); d > heldTime {
				t.Errorf("got a wait of %v, want none", d)
			}
			go c.WriteMessage(TextMessage, []byte("later"))
			if got := drainFrames(t, wire, 2); got != "1 0123456789|1 later" {
				t.Errorf("got %q, want the answer, then what was written later", got)
			}
			synctest.Wait()
			c.wantNothingHeld(t)
			c.Close()
		})
	})
}

// While the held frames wait for the network, the deadlines of other writers hold, and
// their connection stays good.
func TestDeadlinesWhileHeldFramesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newFullConn(t, true, texts("x", "y")...)
		time.Sleep(heldTime) // now they are being written
		synctest.Wait()
		start := time.Now()
		if err := c.WriteControl(PingMessage, nil, start.Add(time.Second)); err != errWriteTimeout || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want a write timeout after 1s", err, time.Since(start))
		}
		start = time.Now()
		c.SetWriteDeadline(start.Add(time.Second))
		if err := c.WriteMessage(TextMessage, nil); err != errWriteTimeout || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want a write timeout after 1s", err, time.Since(start))
		}
		if err := c.Flush(); err != errWriteTimeout {
			t.Errorf("got %v, want a write timeout", err)
		}
		c.SetWriteDeadline(time.Time{})
		go c.WriteMessage(TextMessage, []byte("good"))
		if got := drainFrames(t, wire, 2); got != "1 0123456789|1 good" {
			t.Errorf("got %q, want the message that was held and the next", got)
		}
	})
}

// The write deadline that a message was written with bounds its sending, too. The error is
// that of each write, and ends the reading.
func TestHeldFrameMeetsItsDeadline(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newPipe(t, 4)
			wire := &loggedConn{pipeConn: a}
			c := newConn(wire, server, peerFrames(server, texts("x", "y", "z")...), connOptions{})
			c.SetWriteDeadline(time.Now().Add(time.Second))
			answer(t, c, 1, func(c *Conn, _ int, _ []byte) error {
				return c.WriteMessage(TextMessage, []byte("0123456789"))
			})
			c.SetWriteDeadline(time.Time{}) // for others
			time.Sleep(time.Second - 1)
			synctest.Wait()
			if err := c.send.failed(); err != nil {
				t.Errorf("before the deadline: got %v, want none", err)
			}
			time.Sleep(1)
			synctest.Wait()
			for name, err := range map[string]error{
				"WriteMessage": c.WriteMessage(TextMessage, nil),
				"WriteControl": c.WriteControl(PingMessage, nil, time.Time{}),
				"NextWriter":   second(c.NextWriter(TextMessage)),
				"Flush":        c.Flush(),
			} {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: got %v, want the network's timeout", name, err)
				}
			}
			c.wantNothingHeld(t)

			// What has come is still to be had.
			answer(t, c, 2, func(*Conn, int, []byte) error { return nil })
			wantLost(t, c, "i/o timeout")
		})
	})
}

// wantLost checks that reads say that held messages are lost, which is final: it is no timeout.
func wantLost(t *testing.T, c *Conn, why string) {
	t.Helper()
	_, _, err := c.ReadMessage()
	const text = "websocket: messages that waited to be sent are lost: "
	var ne net.Error
	if err == nil || !strings.HasPrefix(err.Error(), text) || !strings.Contains(err.Error(), why) || errors.As(err, &ne) && ne.Timeout() {
		t.Fatalf("got %v, want %s%s, and no timeout", err, text, why)
	}
	if _, _, again := c.NextReader(); again != err {
		t.Errorf("got %v, want the same error", again)
	}
}

// What the kernel has not taken without waiting is sent when the peer reads, and the
// reader does not wait for that.
func TestHeldFramesOnFullKernelBuffers(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		const length = 1 << 20
		b := (&header{fin: true, opcode: opBinary, length: length}).append(nil)
		rest := append(b, make([]byte, length)...)
		fillNetwork(t, near, far, &rest)

		c := newConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
		answer(t, c, 1, writeBack)
		answer(t, c, 1, func(*Conn, int, []byte) error { return nil })
		go far.Write(peerFrames(true, texts("z")...))
		answer(t, c, 1, func(_ *Conn, _ int, p []byte) error { // though nothing can leave
			if string(p) != "z" {
				return fmt.Errorf("got %q, want z", p)
			}
			return nil
		})
		// The rest of the first frame belongs in front of what was held; it is not part of the test.
		got := make([]byte, 3)
		if _, err := io.CopyN(io.Discard, far, int64(len(b)+length-len(rest))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, got); err != nil || string(got) != "\x81\x01x" {
			t.Errorf("got %q, %v, want the answer", got, err)
		}
	})
}

// A large burst of answers, over a network that takes a part at a time, comes in order.
func TestHeldFramesOverATightNetwork(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		if w, ok := near.(wrappedConn); ok {
			w.Conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
		} else {
			near.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(16 << 10)
		}
		const n, size = 600, 1000
		c, peer := newConn(near, true, frames(n, size), connOptions{}), newConn(far, false, nil, connOptions{})
		go func() {
			answer(t, c, n, func(c *Conn, messageType int, p []byte) error {
				if p[0]%3 == 0 { // so that it is the reader that sends what is held
					return nil
				}
				return c.WriteMessage(messageType, p)
			})
			c.ReadMessage()
		}()
		for i := range n {
			if byte(i)%3 == 0 {
				continue
			}
			_, p, err := peer.ReadMessage()
			if want := bytes.Repeat([]byte{byte(i)}, size); err != nil || !bytes.Equal(p, want) {
				t.Fatalf("answer %d: got %d bytes, %v, or other ones", i, len(p), err)
			}
		}
	})
}

// An error of the network that ends the sending of what was held looks like any other.
func TestHeldFramesAndABrokenNetwork(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c := newConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
		answer(t, c, 1, writeBack)
		near.Close()
		answer(t, c, 1, func(*Conn, int, []byte) error { return nil })
		var err error
		for err == nil { // the first may find nobody who has noticed yet
			_, _, err = c.ReadMessage()
		}
		err = c.WriteMessage(TextMessage, nil)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "write" || op.Net != near.LocalAddr().Network() || !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed of a write", err)
		}
	})
}

// A connection that the peer has reset: the reader finds out when it sends what is held.
func TestHeldFramesAndAReset(t *testing.T) {
	near, far := tcpPair(t)
	c := newConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
	far.(*net.TCPConn).SetLinger(0)
	far.Close()
	near.SetReadDeadline(time.Now().Add(10 * time.Second))
	near.Read(make([]byte, 1)) // now the reset is here
	near.SetReadDeadline(time.Time{})
	answer(t, c, 1, writeBack)
	answer(t, c, 1, func(*Conn, int, []byte) error { return nil })
	wantLost(t, c, "broken pipe")
	var op *net.OpError
	err := c.WriteMessage(TextMessage, nil)
	if !errors.As(err, &op) || op.Op != "write" || op.Net != "tcp" || !strings.HasPrefix(err.Error(), "write tcp 127.0.0.1:") {
		t.Errorf("got %v, want the error of a write over TCP", err)
	}
}

// A context that ends while its call sends what others have written loses nothing of
// that: what has not left is still held.
func TestContextEndsWhileHeldFramesLeave(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newFullConn(t, server, texts("x", "y")...)
			ctx, cancel := context.WithTimeout(t.Context(), heldTime/2)
			defer cancel()
			if err := c.WriteMessageContext(ctx, TextMessage, []byte("not sent")); err != context.DeadlineExceeded {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
			if err := c.send.failed(); err != nil {
				t.Errorf("got %v, want a good connection", err)
			}
			go c.WriteMessage(TextMessage, []byte("later"))
			if got := drainFrames(t, wire, 2); got != "1 0123456789|1 later" {
				t.Errorf("got %q, want what was held and what was written later", got)
			}
		})
	})
}

// While the network is slow and many wait for the wire, frames are held and sent again and again
// before it is the turn of the timer's goroutine. There is one of these at most.
func TestOneGoroutineSendsHeldFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newBusyConn(t, true)
		c.send.flags.put(more, true) // as if the reader had a burst in hand all the time
		before := runtime.NumGoroutine()
		c.send.take(wantWire, &bound{})
		const n = 20
		var own atomic.Int32
		begin := func(f func()) {
			own.Add(1)
			go func() { f(); own.Add(-1) }()
			synctest.Wait()
		}
		for range n {
			begin(func() { c.WriteMessage(TextMessage, []byte("held")) })
			begin(func() { c.Flush() })
		}
		c.send.release(&bound{})
		for range n {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if got := runtime.NumGoroutine() - before - int(own.Load()); got > 1 {
				t.Fatalf("got %d goroutines that send what is held, want 1 at most", got)
			}
		}
		c.send.flags.put(more, false)
	})
}
