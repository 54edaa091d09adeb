package websocket

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// send is the outgoing direction of a connection: whole frames, one after the
// other. Any goroutine may use it.
//
// Lock order: Conn.message, then wire, then pendingMu. A control frame takes only
// the wire, so it passes between the fragments of a message.
type send struct {
	t      transport
	client bool // frames are masked
	kernel bool // t is the kernel's own connection: what it has not taken has not left
	secure bool // t is TLS, which no write survives that was interrupted

	// err is the first error of a write, or ErrCloseSent. Every later write
	// returns it: a part of a frame may have left.
	err atomic.Pointer[error]

	// wire is held for the time of writing a frame.
	wire     lock
	deadline time.Time   // the one that t has; guarded by wire
	watch    *watch      // of the contexts of writes; nil before the first; guarded by wire
	closed   atomic.Bool // nothing more is to be registered with a context

	// pending is the control frame that the reader owes the peer. The reader never
	// waits for the wire: where that is busy, whoever holds it writes this frame too.
	pendingMu sync.Mutex // for changing pending
	pending   atomic.Pointer[owed]
	torn      *owed       // an owed frame that has left in part, and goes on first; guarded by wire
	owing     atomic.Bool // there is a torn one
}

// owed is a control frame that waits for the wire, or the rest of one.
type owed struct {
	op    opcode
	frame [maxUnit]byte
	rest  []byte // of frame, what has not left
}

var owedPool = sync.Pool{New: func() any { return new(owed) }}

func (s *send) init(t transport, client bool) {
	s.t, s.client = t, client
	switch t.(type) {
	case *net.TCPConn, *net.UnixConn:
		s.kernel = true
	case interface{ ConnectionState() tls.ConnectionState }:
		s.secure = true
	}
}

// resumable reports whether err is a timeout after which the transport takes the
// rest of what was being written.
func (s *send) resumable(err error) bool { return isTimeout(err) && !s.secure }

// failed returns the error that every write returns from now on, or nil.
func (s *send) failed() error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}

// fail makes err the error of every write, unless there is one already.
func (s *send) fail(err error) { s.err.CompareAndSwap(nil, &err) }

// write sends a frame. It does not change payload. The bound ends the wait for the
// wire, after which nothing has happened, and then the write to the network, after
// which the connection has failed.
func (s *send) write(h header, payload []byte, b bound) error {
	if err := s.acquire(b); err != nil {
		return err
	}
	err := s.writeLocked(h, payload, b)
	s.release(b)
	return err
}

// writeInPlace is write for a payload that lies in p behind maxHeaderSize bytes of
// room for the header. It may change p.
func (s *send) writeInPlace(h header, p []byte, b bound) error {
	if err := s.acquire(b); err != nil {
		return err
	}
	err := s.begin(&h, len(p)-maxHeaderSize, b)
	if err == nil {
		var space [maxHeaderSize]byte
		head := h.append(space[:0])
		if h.masked {
			maskBytes(p[maxHeaderSize:], h.key, 0)
		}
		p = p[maxHeaderSize-len(head):]
		copy(p, head)
		var n int
		n, err = s.t.Write(p)
		err = s.end(h, n, err, b)
	}
	s.release(b)
	return err
}

// acquire waits for the wire.
func (s *send) acquire(b bound) error {
	if !s.wire.acquire(b) {
		return b.waitError()
	}
	if err := b.ended(); err != nil {
		s.release(b)
		return err
	}
	return nil
}

// reply has the control frame written as soon as the wire is free, by this or
// another goroutine. It never waits for another writer. A newer pong replaces one
// that waits: "the endpoint MAY elect to send a Pong frame for only the most
// recently processed Ping frame" (RFC 6455, 5.5.3). Nothing replaces a close.
func (s *send) reply(op opcode, payload []byte, deadline time.Time) {
	o := owedPool.Get().(*owed)
	o.op = op
	h := header{fin: true, opcode: op, length: int64(len(payload))}
	if s.client {
		h.masked, h.key = true, newMaskKey()
	}
	head := h.append(o.frame[:0])
	n := len(head) + copy(o.frame[len(head):], payload)
	if h.masked {
		maskBytes(o.frame[len(head):n], h.key, 0)
	}
	o.rest = o.frame[:n]

	s.pendingMu.Lock()
	old := s.pending.Load()
	if old != nil && old.op == opClose {
		old = o
	} else {
		s.pending.Store(o)
	}
	s.pendingMu.Unlock()
	if old != nil {
		owedPool.Put(old)
	}

	s.retry(deadline)
}

// retry has what is owed written, unless somebody is writing anyhow.
func (s *send) retry(deadline time.Time) {
	if s.wire.tryAcquire() {
		s.release(until(deadline))
	}
}

// flush waits until what is owed has been written, or the deadline has passed.
func (s *send) flush(deadline time.Time) {
	b := until(deadline)
	if s.pending.Load() != nil && s.wire.acquire(b) {
		s.release(b)
	}
}

// release writes what is owed and gives the wire back. What became pending since it
// looked is written by who gets the wire next, which may be itself.
func (s *send) release(b bound) {
	for {
		settled := s.settle(b) == nil
		s.wire.release()
		if s.closed.Load() {
			s.forgetContext()
		}
		if !settled || s.pending.Load() == nil || !s.wire.tryAcquire() {
			return
		}
	}
}

// close says that the connection is closed.
func (s *send) close() {
	s.closed.Store(true)
	s.forgetContext()
}

// forgetContext takes the watch off its context, unless somebody is writing, who
// then does it.
func (s *send) forgetContext() {
	if s.wire.tryAcquire() {
		if s.watch != nil {
			s.watch.forget()
		}
		s.wire.release()
	}
}

// settle writes what is owed. Where the bound ends that within a frame, nothing is
// lost: the rest goes out before anything else. So a pong that a slow peer does not
// take fails nobody's connection. The wire must be held.
func (s *send) settle(b bound) error {
	for {
		if s.torn == nil {
			if s.pending.Load() == nil {
				return nil
			}
			s.pendingMu.Lock()
			s.torn = s.pending.Swap(nil)
			s.pendingMu.Unlock()
			if s.failed() != nil { // nothing more is to leave
				s.settled()
				continue
			}
			if s.torn.op == opClose {
				s.fail(ErrCloseSent)
			}
		}
		s.applyBound(b)
		n, err := s.t.Write(s.torn.rest)
		s.endBound(b)
		if err != nil && s.resumable(err) {
			s.torn.rest = s.torn.rest[n:]
			s.owing.Store(true)
			return b.waitError()
		}
		if err != nil {
			s.fail(err)
		}
		s.settled()
	}
}

// settled gives up the owed frame.
func (s *send) settled() {
	owedPool.Put(s.torn)
	s.torn = nil
	s.owing.Store(false)
}

// applyBound gives the transport the bound for a write that begins.
func (s *send) applyBound(b bound) {
	if b.applied {
		return
	}
	if b.deadline != s.deadline {
		if s.t.SetWriteDeadline(b.deadline) == nil { // else the write says why
			s.deadline = b.deadline
		}
	}
	if b.done() != nil {
		if s.watch == nil {
			s.watch = &watch{interrupt: func() { s.t.SetWriteDeadline(past) }}
		}
		s.watch.begin(b.ctx)
	}
}

// endBound says that the write is over, and reports whether the context has
// interrupted it.
func (s *send) endBound(b bound) (interrupted bool) {
	if b.done() == nil || !s.watch.end() {
		return false
	}
	s.deadline = past
	return true
}

// begin completes the header of a frame that is about to be written, and applies
// the bound to the transport. The wire must be held.
func (s *send) begin(h *header, length int, b bound) error {
	if s.torn != nil {
		if err := s.settle(b); err != nil {
			return err // nothing has happened
		}
	}
	if err := s.failed(); err != nil {
		return err
	}
	s.applyBound(b)
	h.length = int64(length)
	if s.client {
		// "A masking key is a 32-bit value chosen at random by the client", "a fresh
		// masking key" for each frame (5.3).
		h.masked, h.key = true, newMaskKey()
	}
	return nil
}

// end takes note of how writing the frame went: n bytes of it have left.
func (s *send) end(h header, n int, err error, b bound) error {
	if s.endBound(b) && err != nil {
		if n == 0 && s.kernel {
			return contextError(b.ctx) // nothing has happened
		}
		err = fmt.Errorf("websocket: write interrupted within a frame: %w", contextCause(b.ctx))
	}
	if err != nil && s.watch != nil {
		s.watch.forget() // there will be no other write
	}
	switch {
	case err != nil:
		s.fail(err)
	case h.opcode == opClose:
		// "The application MUST NOT send any more data frames after sending a Close
		// frame" (5.5.1).
		s.fail(ErrCloseSent)
	}
	return err
}

func (s *send) writeLocked(h header, payload []byte, b bound) error {
	if err := s.begin(&h, len(payload), b); err != nil {
		return err
	}
	n, err := s.writeFrame(h, payload)
	return s.end(h, n, err, b)
}

// writeFrame writes the frame, in one write where it can. It returns how many bytes
// of it have left.
func (s *send) writeFrame(h header, payload []byte) (n int, err error) {
	if len(payload) > minBufferSize-maxHeaderSize && !h.masked {
		if tcp, ok := s.t.(*net.TCPConn); ok {
			return writeVector(tcp, h, payload)
		}
	}
	size := minBufferSize
	if h.masked {
		size = maxHeaderSize + len(payload)
	}
	buf := acquireBuffer(size)
	defer releaseBuffer(buf)

	p := h.append(buf.b[:0])
	pos := 0
	for {
		head := len(p)
		p = append(p, payload[:min(len(payload), len(buf.b)-head)]...)
		payload = payload[len(p)-head:]
		if h.masked {
			pos = maskBytes(p[head:], h.key, pos)
		}
		m, err := s.t.Write(p)
		n += m
		if err != nil || len(payload) == 0 {
			return n, err
		}
		if !h.masked {
			m, err := s.t.Write(payload)
			return n + m, err
		}
		p = p[:0]
	}
}

// vector is a header and a payload on their way into one system call.
type vector struct {
	head  [maxHeaderSize]byte
	parts [2][]byte
	bufs  net.Buffers
}

var vectorPool = sync.Pool{New: func() any { return new(vector) }}

func writeVector(c *net.TCPConn, h header, payload []byte) (n int, err error) {
	v := vectorPool.Get().(*vector)
	v.parts = [2][]byte{h.append(v.head[:0]), payload}
	v.bufs = v.parts[:]
	n64, err := v.bufs.WriteTo(c)
	v.parts = [2][]byte{} // the payload is the caller's
	vectorPool.Put(v)
	return int(n64), err
}
