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
