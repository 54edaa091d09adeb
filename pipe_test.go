package websocket

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// pipeConn is one end of a network connection in memory. Unlike net.Pipe's it has a
// buffer in each direction, as the kernel's has, so that a peer need not be reading
// for a write to succeed. Under synctest its waits are durably blocked.
type pipeConn struct{ in, out *pipeHalf }

// newPipe returns both ends. Each direction holds up to size bytes.
func newPipe(t testing.TB, size int) (a, b *pipeConn) {
	ab, ba := newPipeHalf(size), newPipeHalf(size)
	a, b = &pipeConn{in: ba, out: ab}, &pipeConn{in: ab, out: ba}
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// pipeHalf is one direction.
type pipeHalf struct {
	mu                sync.Mutex
	change            *sync.Cond
	data              []byte
	size              int
	readEnd, writeEnd pipeEnd
	writes            int // calls of Write
	writeDeadlines    int // calls of SetWriteDeadline
}

type pipeEnd struct {
	closed   bool
	timedOut bool
	timer    *time.Timer
}

// readClosed reports whether the end that reads is closed.
func (h *pipeHalf) readClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readEnd.closed
}

// writeClosed reports whether the end that writes is closed.
func (h *pipeHalf) writeClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writeEnd.closed
}

func newPipeHalf(size int) *pipeHalf {
	h := &pipeHalf{size: size}
	h.change = sync.NewCond(&h.mu)
	return h
}

func (c *pipeConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readEnd.closed:
			return 0, net.ErrClosed
		case h.readEnd.timedOut:
			return 0, os.ErrDeadlineExceeded
		case len(h.data) > 0:
			n := copy(p, h.data)
			h.data = h.data[n:]
			h.change.Broadcast()
			return n, nil
		case h.writeEnd.closed:
			return 0, io.EOF
		}
		h.change.Wait()
	}
}

func (c *pipeConn) Write(p []byte) (n int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes++
	for {
		switch {
		case h.writeEnd.closed:
			return n, net.ErrClosed
		case h.writeEnd.timedOut:
			return n, os.ErrDeadlineExceeded
		case h.readEnd.closed:
			return n, io.ErrClosedPipe
		}
		m := min(len(p), h.size-len(h.data))
		h.data = append(h.data, p[:m]...)
		n += m
		h.change.Broadcast()
		if p = p[m:]; len(p) == 0 {
			return n, nil
		}
		h.change.Wait()
	}
}

func (c *pipeConn) Close() (err error) {
	c.in.set(func(h *pipeHalf) {
		if h.readEnd.closed {
			err = net.ErrClosed
		}
		h.readEnd.closed = true
	})
	c.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
	return err
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.set(func(h *pipeHalf) { h.setDeadline(&h.readEnd, t) })
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func(h *pipeHalf) {
		h.writeDeadlines++
		h.setDeadline(&h.writeEnd, t)
	})
	return nil
}

func (c *pipeConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (h *pipeHalf) set(change func(*pipeHalf)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
	h.change.Broadcast()
}

func (h *pipeHalf) setDeadline(end *pipeEnd, t time.Time) {
	if end.timer != nil {
		end.timer.Stop()
		end.timer = nil // one that runs already is not for this deadline
	}
	end.timedOut = !t.IsZero() && !time.Now().Before(t)
	if t.IsZero() || end.timedOut {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(t), func() {
		h.set(func(h *pipeHalf) { end.timedOut = end.timedOut || end.timer == timer })
	})
	end.timer = timer
}

// take returns the bytes that were written to the other end and not read yet.
func (c *pipeConn) take() []byte {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.data
	h.data = nil
	h.change.Broadcast()
	return b
}

// takeFrames is take that waits until what it returns has n whole frames: those that no caller
// waits for, such as a pong, leave when the flusher has its turn. If they do not come, it returns
// what there is. In a testing/synctest bubble no time passes for frames that are on their way.
func (c *pipeConn) takeFrames(n int) (b []byte) {
	limit := 10 * time.Second
	if inBubble() {
		limit = 1 // passes as soon as nothing else can happen
	}
	over := false
	timer := time.AfterFunc(limit, func() { c.in.set(func(*pipeHalf) { over = true }) })
	defer timer.Stop()
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		b = append(b, h.data...)
		h.data = nil
		h.change.Broadcast()
		if whole, _ := wholeFrames(b); whole >= n || over || h.writeEnd.closed {
			return b
		}
		h.change.Wait()
	}
}

// inBubble reports whether the goroutine is in a testing/synctest bubble, whose clock starts at
// the year 2000.
func inBubble() bool { return time.Now().Before(time.Unix(1_000_000_000, 0)) }

// wholeFrames returns the number of whole frames that b begins with, and what is behind them.
func wholeFrames(b []byte) (n int, rest []byte) {
	for {
		h, head, err := parseHeader(b)
		if err != nil || head == 0 || h.length > int64(len(b)-head) {
			return n, b
		}
		b = b[head+int(h.length):]
		n++
	}
}

// acquireFlushed acquires the lock once it is free, so that frames in the outbox or the slot are
// corked, or have been forgotten.
func (s *send) acquireFlushed() {
	for !s.lock.tryAcquire(lockFlush) {
		s.lock.acquire(lockFlush, nil, &limit{})
		s.unlock() // with the frames in the slot, which the flusher may have left to others
	}
}

// awaitFlush waits until the frames have left that no caller waits for, unless they are corked.
func (s *send) awaitFlush() {
	s.acquireFlushed()
	s.unlock()
}

// wantNothingUnsent checks that nothing waits to be sent, and that there is no memory for it.
func (c *Conn) wantNothingUnsent(t testing.TB) {
	t.Helper()
	s := &c.send
	s.acquireFlushed()
	defer s.unlock()
	if s.hasUnsent() || s.outbox.buf != nil {
		t.Error("something lies in the outbox or the slot, or there is memory for it")
	}
}

// wantNothingSent checks that c has sent nothing since the peer has looked last, and that nothing
// is on its way.
func (c *Conn) wantNothingSent(t testing.TB, peer *pipeConn, why string) {
	t.Helper()
	c.wantNothingUnsent(t)
	if b := peer.take(); len(b) > 0 {
		t.Errorf("got % x, want nothing: %s", b, why)
	}
}

// newConnPair returns two connections with each other.
func newConnPair(t testing.TB) (server, client *Conn) {
	a, b := newPipe(t, 1<<20)
	return newConn(a, true, nil, connOptions{}), newConn(b, false, nil, connOptions{})
}

// newTestConn returns a connection and the other end of its transport.
func newTestConn(t testing.TB, server bool) (*Conn, *pipeConn) {
	a, b := newPipe(t, 1<<20)
	return newConn(a, server, nil, connOptions{}), b
}

// bothSides runs a test for a server and for a client.
func bothSides(t *testing.T, f func(t *testing.T, server bool)) {
	t.Run("server", func(t *testing.T) { f(t, true) })
	t.Run("client", func(t *testing.T) { f(t, false) })
}
