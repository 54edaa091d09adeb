package websocket

import (
	"fmt"
	"syscall"
	"time"
)

const (
	// heldSize is how many bytes of frames are held at most.
	heldSize = 16 << 10

	// heldTime is how long a frame is held at most.
	heldTime = 200 * time.Microsecond
)

// held are frames that wait to be sent together. A peer that has sent several messages at
// once gets the answers at once: a frame that is written while more of what came lies
// in the receive buffer waits until the reader has dealt with all of it.
//
// All of it belongs to who has the wire.
type held struct {
	buf      *buffer // nil where nothing is held
	n        int
	pong     int         // bytes of the pong at the end
	deadline time.Time   // for sending them
	timer    *time.Timer // armed while something is held
	handed   bool        // to the timer's goroutine, which sends them now

	// To write what the network takes without waiting, see tryFlush.
	raw    syscall.RawConn // or nil
	tryRaw func(fd uintptr) bool
	wrote  int
	rawErr error
}

// Cork has the messages that are written from now on wait, to be sent together: until
// Flush is called, 16 KiB have come together, or 200 microseconds have passed since the
// first of them. A Close frame sends them, too. WriteThrough does not matter. Any
// goroutine may call it, and Flush must follow.
func (c *Conn) Cork() { c.send.flags.put(corked, true) }

// Flush ends the effect of Cork and sends what is waiting, which the write deadline bounds. Its
// error is that of the write. Any goroutine may call it.
func (c *Conn) Flush() error {
	s := &c.send
	s.flags.put(corked, false)
	b := until(c.loadWriteDeadline())
	if err := s.take(wantWire, &b); err != nil {
		return err
	}
	err := s.flush(&b, true)
	if err == nil && s.flags.has(lost) {
		err = s.failed() // of those that were not sent in time
	}
	s.release(&b)
	return err
}

// holds reports whether frames are to be held.
func (s *send) holds() bool { return s.flags.has(more | corked) }

// hold keeps the frame, to be sent with others. Who calls it has the wire.
func (s *send) hold(f *frame, b *bound) error {
	if s.held == nil {
		s.held = s.newHeld()
	}
	if s.held.n+f.size() > heldSize {
		if err := s.flush(b, false); err != nil {
			return err
		}
	}
	s.held.deadline = b.deadline
	s.addHeld(f)
	return nil
}

func (s *send) newHeld() *held {
	h := &held{}
	if s.ofKernel() {
		if h.raw = rawConn(s.t); h.raw != nil {
			h.tryRaw = func(fd uintptr) bool {
				h.wrote, h.rawErr = writeDescriptor(fd, h.buf.b[:h.n])
				return true
			}
		}
	}
	return h
}

// addHeld puts a frame behind those that are held, which leave room for it.
func (s *send) addHeld(f *frame) {
	h := s.held
	if h.buf == nil {
		h.buf = acquireBuffer(heldSize + maxUnit) // with room for what is owed
		s.flags.put(holding, true)
		if h.timer == nil {
			h.timer = time.AfterFunc(heldTime, s.flushLate) // ends when it has sent them
		} else {
			h.timer.Reset(heldTime)
		}
	}
	h.n, h.pong = len(s.append(h.buf.b[:h.n], f)), 0
}

// holdOwed puts the owed frame behind the frames that are held, and reports whether that is
// done: not where these have left. Where there is no room for a pong, it takes the place of
// the one before: "the endpoint MAY elect to send a Pong frame for only the most recently
// processed Ping frame" (RFC 6455, 5.5.3).
func (s *send) holdOwed(o *owed) (done bool) {
	h := s.held
	if o.op == opClose {
		s.fail(ErrCloseSent)
	} else if h.n+2*maxUnit > len(h.buf.b) { // a Close frame has room in any case
		s.tryFlush()
		if !s.flags.has(holding) {
			return false
		}
		if h.n+2*maxUnit > len(h.buf.b) {
			h.n -= h.pong
		}
		if h.n+2*maxUnit > len(h.buf.b) { // the one before has left in part
			return true
		}
	}
	h.pong = copy(h.buf.b[h.n:], o.rest)
	h.n += h.pong
	return true
}

// flush sends what is held. Where the bound ends that, and own says that the caller has
// no part in it, nothing is lost: what has not left is still held. Who calls it has the wire.
func (s *send) flush(b *bound, own bool) error {
	h := s.held
	if !s.flags.has(holding) {
		return nil
	}
	if err := s.failed(); err != nil && err != ErrCloseSent {
		s.sentHeld(h.n)
		return err
	}
	s.applyBound(b)
	n, err := s.t.Write(h.buf.b[:h.n])
	s.endBound(b)
	if err != nil && !own && s.resumable(err) {
		s.sentHeld(n)
		return b.waitError()
	}
	if err != nil {
		s.loseHeld(err)
		return err
	}
	s.sentHeld(n)
	return nil
}

// sentHeld says that n bytes of what is held have left.
func (s *send) sentHeld(n int) {
	h := s.held
	h.pong = 0
	if h.n = copy(h.buf.b, h.buf.b[n:h.n]); h.n > 0 {
		return
	}
	releaseBuffer(h.buf)
	h.buf, h.handed = nil, false
	h.timer.Stop()
	s.flags.put(holding, false)
}

// loseHeld says that what is held cannot be sent. Its senders know nothing of that, so
// the next write and the next read return the error.
func (s *send) loseHeld(err error) {
	s.fail(err)
	s.flags.put(lost, true)
	s.sentHeld(s.held.n)
}

// tryFlush sends of what is held what the network takes without waiting, and has the timer's
// goroutine wait for the rest. So a reader can call it, who has the wire.
func (s *send) tryFlush() {
	h := s.held
	if h.handed {
		return
	}
	if h.raw == nil || s.failed() != nil {
		s.handOver()
		return
	}
	b := until(h.deadline)
	s.applyBound(&b)
	err := h.raw.Write(h.tryRaw)
	if err == nil {
		err = h.rawErr
	}
	if err != nil {
		s.loseHeld(rawError(s.t, "write", err))
		return
	}
	if s.sentHeld(h.wrote); h.n > 0 {
		s.handOver()
	}
}

// handOver has the timer's goroutine send what is held.
func (s *send) handOver() {
	s.held.handed = true
	s.held.timer.Reset(0)
}

// flushLate sends what is held when its time is up. Then the reader takes its time, and
// nothing more is held before it has dealt with the next message.
func (s *send) flushLate() {
	if s.flags.bits.Or(late)&late != 0 {
		return // the one that waits since before sends these, too
	}
	s.take(wantWire, &bound{})
	s.flags.put(late, false)
	s.flags.put(more, false)
	s.held.handed = false
	b := until(s.held.deadline)
	s.flush(&b, true)
	s.release(&b)
}

// flushBeforeWaiting sends what is held, as far as the network takes it, because
// the reader has dealt with all that has come.
func (c *Conn) flushBeforeWaiting() error {
	s := &c.send
	if s.flags.has(more) {
		s.flags.put(more, false)
	}
	if s.flags.has(holding) && !s.flags.has(corked) {
		s.retry(c.replyDeadline())
	}
	if s.flags.has(lost) {
		// It must not look like a read that timed out, which can be repeated.
		return c.stop(fmt.Errorf("websocket: messages that waited to be sent are lost: %v", s.failed()))
	}
	return nil
}
