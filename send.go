package websocket

import (
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// send is the outgoing direction of a connection: whole frames, one after the
// other. Any goroutine may use it.
//
// The order of what is waited for: the turn of data messages, then the wire, then
// the queue's mu. A control frame takes only the wire, so it passes between the fragments of a
// message.
type send struct {
	t      transport
	client bool // frames are masked

	// Of who has the wire, as are bounds and held.
	meeting uint8  // how probable it is that others write at the same time
	writes  uint16 // counts

	flags flags

	// err is the first error of a write, or ErrCloseSent. Every later write
	// returns it: a part of a frame may have left.
	err atomic.Pointer[error]

	wire wire

	bounds *bounds // nil before the first write with a deadline or a context
	held   *held   // nil before the first frame that was held
}

// flags are what any goroutine may look at.
type flags struct{ bits atomic.Uint32 }

const (
	closed   = 1 << iota // nothing more is to be registered with a context
	owing                // there is a torn frame
	more                 // further frames lie in the receive buffer; set by the reader
	corked               // by Cork
	holding              // there are held frames
	lost                 // held frames could not be sent
	late                 // flushLate waits for the wire
	peerLeft             // the peer's Close frame is here
	through              // no frame is held because the reader has more
)

// has reports whether any of the flags is set.
func (f *flags) has(flags uint32) bool { return f.bits.Load()&flags != 0 }

func (f *flags) put(flag uint32, value bool) {
	if value {
		f.bits.Or(flag)
	} else {
		f.bits.And(^flag)
	}
}

// ofKernel reports whether the transport is the kernel's own connection: what that has
// not taken has not left.
func (s *send) ofKernel() bool {
	switch s.t.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// resumable reports whether err is a timeout after which the transport takes the
// rest of what was being written, as TLS does not.
func (s *send) resumable(err error) bool { return isTimeout(err) && !isTLS(s.t) }

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
func (s *send) write(f *frame, what want, b *bound) error {
	if done, err := s.obtain(what, f, b); done || err != nil {
		return err
	}
	err := b.ended()
	if err == nil {
		err = s.put(f, b)
	}
	s.release(b)
	return err
}

// writePlain is write for what nearly all frames are: all of a small message, not compressed, or
// a ping or a pong, while nobody else writes and nothing is held or owed. Else it does nothing
// and returns false. The way from here to the system call fits into the stack that a
// goroutine begins with.
func (s *send) writePlain(op opcode, payload []byte, what want, deadline time.Time) (done bool, err error) {
	if maxHeaderSize+len(payload) > minBufferSize || s.flags.has(more|corked|holding|owing) || s.err.Load() != nil ||
		!s.wire.tryTake(what) {
		return false, nil
	}
	if s.flags.has(holding|owing) || s.err.Load() != nil || s.meets() {
		return true, s.putAndRelease(op, payload, deadline)
	}
	s.applyDeadline(deadline)
	buf := acquireClass(0)
	n, err := s.t.Write(s.appendWhole(buf.b[:0], op, payload))
	releaseBuffer(buf)
	if err != nil {
		err = s.end(op, n, err, &bound{})
	}
	if s.wire.pending.Load() != nil || s.flags.has(closed) {
		s.releaseWithin(deadline)
		return true, err
	}
	s.wire.giveBack(wantWire)
	if s.wire.pending.Load() != nil || s.flags.has(closed) { // since it looked
		s.retry(deadline)
	}
	return true, err
}

// putAndRelease sends the frame of writePlain where that, having the wire, has found something
// to do before it or with it.
func (s *send) putAndRelease(op opcode, payload []byte, deadline time.Time) error {
	b := until(deadline)
	err := s.put(&frame{fin: true, opcode: op, payload: payload}, &b)
	s.release(&b)
	return err
}

func (s *send) releaseWithin(deadline time.Time) {
	b := until(deadline)
	s.release(&b)
}

// take waits for the wire, or the turn of data messages.
func (s *send) take(what want, b *bound) error {
	if _, err := s.obtain(what, nil, b); err != nil {
		return err
	}
	if err := b.ended(); err != nil {
		s.letGo(what, b)
		return err
	}
	return nil
}

// obtain waits for what is wanted, or until somebody else has sent the frame: then done is true.
func (s *send) obtain(what want, f *frame, b *bound) (done bool, err error) {
	if s.wire.tryTake(what) {
		return false, nil
	}
	done, late, err := s.wire.wait(what, f, b)
	if late {
		own := until(time.Now().Add(retryTimeout)) // b is over
		s.letGo(what, &own)
	}
	return done, err
}

// letGo gives back what is not wanted any more.
func (s *send) letGo(what want, b *bound) {
	if what == wantOpen {
		s.wire.giveBack(wantOpen)
	} else {
		s.release(b)
	}
}

// put sends a frame, or holds it. Who calls it has the wire.
func (s *send) put(f *frame, b *bound) error {
	if s.flags.has(owing) {
		if err := s.settle(b); err != nil {
			return err // nothing has happened
		}
	}
	if err := s.failed(); err != nil {
		return err
	}
	small := f.size() <= heldSize
	if small && s.holds() && !f.atOnce && f.opcode != opClose && b.done() == nil {
		return s.hold(f, b)
	}
	if s.flags.has(holding) {
		// The last of them, which is not held, may take what room the buffer has beyond heldSize.
		if small && b.done() == nil && s.held.n+f.size() <= len(s.held.buf.b) {
			s.addHeld(f)
			err := s.flush(b, true)
			return s.end(f.opcode, 0, err, &bound{})
		}
		if err := s.flush(b, false); err != nil {
			return err
		}
	}
	if small && f.opcode != opClose && b.done() == nil && s.wire.along.Load() > 0 {
		return s.putTogether(f, b)
	}

	s.applyBound(b)
	var n int
	var err error
	switch {
	case f.prepared() != nil && !s.client:
		n, err = s.t.Write(f.bytes)
	case f.inPlace:
		n, err = s.t.Write(s.finishInPlace(f))
	case f.size() <= minBufferSize || small && s.copies():
		buf := acquireBuffer(f.size())
		n, err = s.t.Write(s.append(buf.b[:0], f))
		releaseBuffer(buf)
	default:
		n, err = s.writeLarge(f)
	}
	return s.end(f.opcode, n, err, b)
}

// copies reports whether a frame of some kilobytes is better copied behind its header.
func (s *send) copies() bool {
	_, vectors := s.t.(*net.TCPConn)
	return s.client || !vectors
}

const (
	// meetings is how many writes long it is assumed that others write at the same
	// time, after they did.
	meetings = 16

	// meetingInterval is after how many writes it is tried whether others do.
	meetingInterval = 1024
)

// meets reports whether others may be about to write, and then has let them run.
func (s *send) meets() bool {
	if s.wire.along.Load() > 0 {
		return true
	}
	s.writes++
	if s.meeting == 0 && s.writes%meetingInterval != 0 {
		return false
	}
	runtime.Gosched()
	if s.wire.along.Load() > 0 {
		return true
	}
	if s.meeting > 0 {
		s.meeting--
	}
	return false
}

// putTogether sends a frame, and those of others that wait, in one write. Their calls
// return when it is done.
func (s *send) putTogether(f *frame, b *bound) error {
	s.meeting = meetings
	buf := acquireBuffer(maxBufferSize)
	p := s.append(buf.b[:0], f)
	others := s.wire.takeAlong(b.deadline, len(buf.b)-len(p))
	for x := others; x != nil; x = x.next {
		p = s.append(p, &x.frame)
	}
	s.applyBound(b)
	n, err := s.t.Write(p)
	releaseBuffer(buf)
	err = s.end(f.opcode, n, err, b)
	s.wire.sentAlong(others, err)
	return err
}

// clear sends what goes before any other frame. Who calls it has the wire.
func (s *send) clear(b *bound) error {
	if err := s.settle(b); err != nil {
		return err
	}
	if err := s.failed(); err != nil {
		return err
	}
	return s.flush(b, false)
}

// end takes note of how writing a frame went: n bytes of it have left.
func (s *send) end(op opcode, n int, err error, b *bound) error {
	if s.endBound(b) && err != nil {
		if n == 0 && s.ofKernel() {
			return contextError(b.ctx) // nothing has happened
		}
		err = fmt.Errorf("websocket: write interrupted within a frame: %w", contextCause(b.ctx))
	}
	if err != nil {
		s.fail(err)
		if s.bounds != nil {
			s.bounds.watch.forget() // there will be no other write
		}
	} else if op == opClose {
		// "The application MUST NOT send any more data frames after sending a Close
		// frame" (5.5.1).
		s.fail(ErrCloseSent)
	}
	return err
}

// release gives the wire back, having written what is owed, within the bound, and what
// is not to be held any more. What became pending since it looked is written by who gets
// the wire next, which may be itself.
func (s *send) release(b *bound) {
	for {
		settled := true
		if s.flags.has(owing) || s.wire.pending.Load() != nil {
			settled = s.settle(b) == nil
		}
		if s.flags.has(holding) && (!s.holds() || s.held.n > heldSize) {
			s.tryFlush()
		}
		s.wire.giveBack(wantWire)
		if s.flags.has(closed) {
			s.forgetContext()
		}
		if !settled || s.wire.pending.Load() == nil || !s.wire.tryTake(wantWire) {
			return
		}
	}
}

// close says that the connection is closed.
func (s *send) close() {
	// A timer that is still armed finds that there is nothing to send.
	s.flags.put(closed, true)
	s.forgetContext()
}

// forgetContext takes the watch off its context, unless somebody is writing, who
// then does it.
func (s *send) forgetContext() {
	if s.wire.tryTake(wantWire) {
		if s.bounds != nil {
			s.bounds.watch.forget()
		}
		s.wire.giveBack(wantWire)
	}
}
