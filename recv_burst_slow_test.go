//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newFullConn returns a connection on a network that takes a few bytes, to which the frames
// have come, with a corked message for which the network has no room.
func newFullConn(t testing.TB, server bool, came ...peerFrame) (*Conn, *loggedConn) {
	a, _ := newPipe(t, 4)
	l := &loggedConn{pipeConn: a}
	c := newQuickConn(l, server, peerFrames(server, came...), connOptions{})
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
		if whole, rest := wholeFrames(all); whole >= n {
			l.unread = rest
			return describeFrames(t, all[:len(all)-len(rest)])
		}
		time.Sleep(corkTime / 10)
	}
	t.Fatalf("got % x, want %d frames", all, n)
	return ""
}

// A read does not wait for a network that does not take the answers. They leave when it
// does, in order.
func TestReaderDoesNotWaitForABurst(t *testing.T) {
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
			if d := time.Since(start); d > corkTime {
				t.Errorf("got a wait of %v, want none", d)
			}
			go c.WriteMessage(TextMessage, []byte("later"))
			if got := drainFrames(t, wire, 2); got != "1 0123456789|1 later" {
				t.Errorf("got %q, want the answer, then what was written later", got)
			}
			synctest.Wait()
			c.wantNothingUnsent(t)
			c.Close()
		})
	})
}

// While corked frames wait for the network, the deadlines of writes hold, and the connection stays
// good.
func TestDeadlinesWhileABurstWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newFullConn(t, true, texts("x", "y")...)
		time.Sleep(corkTime) // now they are being written
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
			t.Errorf("Flush: got %v, want a write timeout", err)
		}
		c.SetWriteDeadline(time.Time{})
		go c.WriteMessage(TextMessage, []byte("good"))
		if got := drainFrames(t, wire, 2); got != "1 0123456789|1 good" {
			t.Errorf("got %q, want the corked message and the next", got)
		}
	})
}

// A frame that no caller waits for borrows no deadline: the one that its message was corked with
// bounds nothing any more, and the frame leaves when the network takes it.
func TestCorkedFrameBorrowsNoDeadline(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newPipe(t, 4)
			wire := &loggedConn{pipeConn: a}
			c := newQuickConn(wire, server, peerFrames(server, texts("x", "y", "z")...), connOptions{})
			c.SetWriteDeadline(time.Now().Add(time.Second))
			answer(t, c, 1, func(c *Conn, _ int, _ []byte) error {
				return c.WriteMessage(TextMessage, []byte("0123456789"))
			})
			time.Sleep(time.Hour)
			synctest.Wait()
			if err := c.send.lock.err(); err != nil {
				t.Errorf("after the deadline: got %v, want a good connection", err)
			}
			for name, err := range map[string]error{ // after their deadline they do nothing
				"WriteMessage": c.WriteMessage(TextMessage, nil),
				"Flush":        c.Flush(),
			} {
				if err != errWriteTimeout {
					t.Errorf("%s: got %v, want a write timeout", name, err)
				}
			}
			answer(t, c, 2, func(*Conn, int, []byte) error { return nil })
			c.SetWriteDeadline(time.Time{})
			go c.WriteMessage(TextMessage, []byte("later"))
			if got := drainFrames(t, wire, 2); got != "1 0123456789|1 later" {
				t.Errorf("got %q, want the corked message and the later one", got)
			}
			synctest.Wait()
			c.wantNothingUnsent(t)
		})
	})
}

// wantLost checks that reads say that corked messages are lost, which is final: it is no timeout.
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

// Frames that the kernel has not taken without waiting leave when the peer reads, and the
// reader does not wait for that.
func TestBurstOnFullKernelBuffers(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		const length = 1 << 20
		b := (&header{fin: true, opcode: opBinary, length: length}).append(nil)
		rest := append(b, make([]byte, length)...)
		fillNetwork(t, near, far, &rest)

		c := newQuickConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
		answer(t, c, 1, writeBack)
		answer(t, c, 1, func(*Conn, int, []byte) error { return nil })
		go far.Write(peerFrames(true, texts("z")...))
		answer(t, c, 1, func(_ *Conn, _ int, p []byte) error { // though nothing can leave
			if string(p) != "z" {
				return fmt.Errorf("got %q, want z", p)
			}
			return nil
		})
		// The rest of the first frame belongs in front of the answer; it is not part of the test.
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
func TestBurstOverATightNetwork(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		if w, ok := near.(wrappedConn); ok {
			w.Conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
		} else {
			near.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(16 << 10)
		}
		const n, size = 600, 1000
		c, peer := newQuickConn(near, true, frames(n, size), connOptions{}), newQuickConn(far, false, nil, connOptions{})
		go func() {
			answer(t, c, n, func(c *Conn, messageType int, p []byte) error {
				if p[0]%3 == 0 { // so that it is the reader that flushes
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

// An error of the network that ends the sending of a burst looks like any other.
func TestBurstAndABrokenNetwork(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c := newQuickConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
		answer(t, c, 1, writeBack)
		near.Close()
		answer(t, c, 1, func(*Conn, int, []byte) error { return nil })
		var err error
		for err == nil { // the first may come before the error is known
			_, _, err = c.ReadMessage()
		}
		err = c.WriteMessage(TextMessage, nil)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "write" || op.Net != near.LocalAddr().Network() || !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed of a write", err)
		}
	})
}

// A connection that the peer has reset: the reader finds out when it flushes.
func TestBurstAndAReset(t *testing.T) {
	near, far := tcpPair(t)
	c := newQuickConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
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

// A context that ends while its call flushes corked frames loses nothing of them: they leave later.
func TestContextEndsWhileABurstLeaves(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newFullConn(t, server, texts("x", "y")...)
			ctx, cancel := context.WithTimeout(t.Context(), corkTime/2)
			defer cancel()
			if err := c.WriteMessageContext(ctx, TextMessage, []byte("not sent")); err != context.DeadlineExceeded {
				t.Errorf("got %v, want context.DeadlineExceeded", err)
			}
			if err := c.send.lock.err(); err != nil {
				t.Errorf("got %v, want a good connection", err)
			}
			go c.WriteMessage(TextMessage, []byte("later"))
			if got := drainFrames(t, wire, 2); got != "1 0123456789|1 later" {
				t.Errorf("got %q, want the corked message and the later one", got)
			}
		})
	})
}

// flushers returns the number of goroutines that flush in place of a caller.
func flushers() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, ".flushRest(") || strings.Contains(stack, ".flushCorked(") {
			n++
		}
	}
	return n
}

// While the network is slow and many goroutines wait for the lock, frames are corked and flushed
// again and again before the lock is granted to the timer. There is one flusher at most.
func TestOneFlusher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newBusyConn(t, true)
		c.send.lock.state.Or(moreInput) // as if the reader had a burst in hand all the time
		c.send.lock.acquire(lockFrame, nil, &limit{})
		const n = 20
		begin := func(f func()) {
			go f()
			synctest.Wait()
		}
		for range n {
			begin(func() { c.WriteMessage(TextMessage, []byte("corked")) })
			begin(func() { c.Flush() })
		}
		c.send.unlock()
		for range n {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if got := flushers(); got > 1 {
				t.Fatalf("got %d goroutines that flush, want 1 at most", got)
			}
		}
		c.send.lock.clear(moreInput)
	})
}
