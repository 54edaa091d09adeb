package websocket

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// send is the outgoing direction of a connection: whole frames, one after the other. Any
// goroutine may use it.
//
// A call takes the write lock, puts its frame into the outbox, flushes the outbox under its
// limit, and unlocks. What nobody waits for has no limit: unlock writes as much of it as the
// network takes at once, and hands the lock to a flusher, a goroutine that writes the rest.
//
// The order of the locks: messageOpen, then locked, then the slot's mu, then the queue's mu.
type send struct {
	link *link
	lock writeLock
	slot atomic.Pointer[slot] // made for the first frame that is posted; else nil

	// The rest belongs to the holder of the lock.
	outbox outbox
	late   *late // made for the first frame that must wait; else nil
}

// The states of a connection, which are bits of the lock's state, but for late.armed.
const (
	// locked: a goroutine holds the lock.
	locked = 1 << iota

	// messageOpen: a message of several frames has begun and has not ended.
	messageOpen

	// queued: callers wait in the lock's queue.
	queued

	// closed: no frame may be written or posted any more; lock.end says why, or is nil while a
	// caller's Close frame is being written, when only replies may still be posted. What is in
	// the outbox leaves all the same after a Close frame, but not after an error.
	closed

	// posted: there are frames in the slot.
	posted

	// unsent: there are frames in the outbox that no caller waits for, corked or posted.
	// Close gives these, and those in the slot, a second.
	unsent

	// corked: Conn.Cork was called, and Conn.Flush was not.
	corked

	// moreInput: the reader has a further message of a burst in hand, and handles them
	// quickly, so frames wait for the end of the burst.
	moreInput

	// closeReceived: the peer's Close frame is here.
	closeReceived

	// connClosed: Conn.Close was called.
	connClosed

	// late.armed: the timer runs that flushes what is corked for too long.
)

// corkTime is how long a frame is corked at most.
const corkTime = 200 * time.Microsecond

// late is what is needed when frames do not leave at once.
type late struct {
	deadline  time.Time // the write deadline that the transport has
	watch     watch     // of the contexts of calls that wait for the network
	flushRest func()    // send.flushRest
	timer     *time.Timer
	armed     bool
}

// ownLate returns s.late, allocating it on first use.
func (s *send) ownLate() *late {
	if s.late == nil {
		s.late = &late{
			flushRest: s.flushRest,
			watch:     watch{interrupt: func() { s.link.SetWriteDeadline(aLongTimeAgo) }},
		}
	}
	return s.late
}

// write sends a frame. It returns when the transport has accepted it, or when it is corked. If
// the limit ends before any of the frame has left, nothing has happened; if it ends later, the
// connection has failed.
func (s *send) write(f *frame, mode lockMode, l *limit) error {
	if written, err := s.lock.acquire(mode, f, l); written || err != nil {
		return err
	}
	err := s.writeLocked(f, l, l.done() == nil)
	s.unlock()
	return err
}

// writeLocked is write for the holder of the lock. Where mayWait is set, the frame may be corked,
// and share its way with those of others.
func (s *send) writeLocked(f *frame, l *limit, mayWait bool) error {
	if f.opcode == opClose {
		return s.writeClose(f, l)
	}
	s.takePosted()
	if err := s.mayWrite(l); err != nil {
		return err
	}
	small := f.size() <= maxCopied
	mayWait = mayWait && small
	corks := mayWait && s.lock.corks()
	if !small || corks && s.outbox.len()+f.size() > maxCopied || !s.outbox.fits(f.size()) {
		if timedOut, err := s.flush(l); timedOut {
			return l.err()
		} else if err != nil {
			return err
		}
	}
	switch {
	case corks:
		s.cork(f)
		return nil
	case small:
		return s.writeCopied(f, l, mayWait)
	case s.outbox.client:
		return s.writeMasked(f, l)
	}
	return s.writeLarge(f, l)
}

// writeClose is writeLocked for a Close frame, behind which nothing leaves: "The application MUST
// NOT send any more data frames after sending a Close frame" (RFC 6455, 5.5.1). What was posted
// before goes first. Until the frame has left, or was taken back, only replies are posted.
func (s *send) writeClose(f *frame, l *limit) (err error) {
	b := own(&s.slot)
	b.mu.Lock() // so that what was posted before is there
	s.lock.state.Or(closed)
	b.mu.Unlock()
	s.takePosted()
	if err = s.mayWrite(l); err == nil && (s.lock.has(posted) || !s.outbox.fits(f.size())) {
		var timedOut bool
		if timedOut, err = s.flush(l); timedOut {
			err = l.err()
		}
		s.takePosted()
	}
	if err == nil {
		err = s.lock.err() // there was a Close frame in the slot
	}
	if err == nil {
		err = s.writeCopied(f, l, false)
	}
	if err == nil {
		s.lock.close(ErrCloseSent, nil)
	} else {
		s.lock.reopen()
	}
	return err
}

// mayWrite returns the reason why the holder of the lock must not begin a frame, or nil.
func (s *send) mayWrite(l *limit) error {
	if err := s.lock.err(); err != nil {
		return err
	}
	return l.ended()
}

// cork puts a frame into the outbox, to leave with a later flush.
func (s *send) cork(f *frame) {
	s.lock.state.Or(unsent)
	s.outbox.reserve(f.size())
	s.outbox.append(f)
	s.outbox.reported = s.outbox.end
}

// writeCopied writes a small frame, and with it those of callers that wait.
func (s *send) writeCopied(f *frame, l *limit, mayBatch bool) error {
	if mayBatch && s.yieldForBatch() {
		return s.writeBatch(f, l)
	}
	s.outbox.reserve(f.size())
	begin := int(s.outbox.end)
	s.outbox.append(f)
	timedOut, err := s.flush(l)
	if timedOut {
		return s.takeBack(begin, l, err)
	}
	return err
}

// takeBack takes the frame from begin to the end of the outbox back after the limit has ended
// and returns the error of its caller: err if a part of it has left, as the connection has failed
// then.
func (s *send) takeBack(begin int, l *limit, err error) error {
	if int(s.outbox.start) > begin {
		s.fail(err)
		return err
	}
	s.outbox.truncate(begin)
	s.emptied()
	return l.err()
}

// writeMasked masks a large frame piece by piece in the outbox, which is empty, and writes it.
func (s *send) writeMasked(f *frame, l *limit) error {
	o, h, payload := &s.outbox, f.header(true), f.payload
	for pos := 0; ; {
		first := len(payload) == len(f.payload)
		o.reserve(maxBufferSize)
		if first {
			o.end = int32(len(h.append(o.buf.b[:0])))
		}
		space := o.buf.b[o.end:]
		part := payload[:min(len(payload), len(space))]
		pos = maskCopy(space[:len(part)], part, h.key, pos)
		o.end += int32(len(part))
		payload = payload[len(part):]
		timedOut, err := s.flush(l)
		switch {
		case timedOut && first && o.start == 0:
			o.truncate(0)
			return l.err()
		case timedOut:
			s.fail(err)
			return err
		case err != nil || len(payload) == 0:
			return err
		}
	}
}

// writeLarge writes a large frame from the caller's memory; the outbox is empty.
func (s *send) writeLarge(f *frame, l *limit) error {
	var space [maxHeaderSize]byte
	head, payload := space[:0], f.encoded
	if payload == nil {
		h := f.header(false)
		head, payload = h.append(head), f.payload
	}
	s.setLimit(l)
	n, err := s.link.writeFrame(head, payload)
	timedOut, err := s.clearLimit(l, err)
	if timedOut && n == 0 {
		return l.err()
	}
	if err != nil {
		s.fail(err)
	}
	return err
}

// flush writes the outbox within the limit. If that ends before all has left, timedOut is true,
// and err is the error for a frame of which a part has left. Any other error closes the lock.
func (s *send) flush(l *limit) (timedOut bool, err error) {
	if err := s.flushNow(); err != nil || s.outbox.len() == 0 {
		return false, err
	}
	return s.flushWaiting(l)
}

// flushWaiting is flush for what the network does not take at once.
func (s *send) flushWaiting(l *limit) (timedOut bool, err error) {
	o := &s.outbox
	s.setLimit(l)
	n, err := s.link.Write(o.bytes())
	timedOut, err = s.clearLimit(l, err)
	o.sent(min(max(n, 0), o.len())) // a wrapper may break the rules of io.Writer
	switch {
	case o.len() == 0:
		timedOut, err = false, nil
	case err == nil:
		err = io.ErrShortWrite
	}
	if err != nil && !timedOut {
		s.fail(err)
	}
	s.emptied()
	return timedOut, err
}

// flushNow writes of the outbox what the network takes without waiting. After an error nothing
// of it may leave.
func (s *send) flushNow() error {
	o := &s.outbox
	if o.len() == 0 {
		return nil
	}
	if err := s.lock.err(); err != nil && err != ErrCloseSent {
		s.fail(err)
		return err
	}
	n, err := s.link.tryWrite(o.bytes())
	if o.sent(n); err != nil {
		s.fail(err)
		return err
	}
	s.emptied()
	return nil
}

// fail closes the lock because of err, and drops what is in the outbox.
func (s *send) fail(err error) {
	var lost error
	if s.outbox.start < s.outbox.reported || s.hasReported() {
		lost = err
	}
	s.lock.close(err, lost)
	s.outbox.truncate(int(s.outbox.start))
	s.emptied()
}

// emptied clears unsent if the outbox is empty.
func (s *send) emptied() {
	if s.outbox.len() == 0 {
		s.lock.clear(unsent)
	}
}

// unlock gives the lock back. What is in the outbox and the slot leaves, unless it is corked: if
// the network does not take it at once, the lock goes to a flusher.
func (s *send) unlock() {
	s.takePosted()
	if s.outbox.len() > 0 {
		if s.lock.corks() && !s.lock.has(posted) {
			s.arm()
		} else if s.flushNow(); s.outbox.len() > 0 {
			s.startFlusher()
			return
		}
	}
	if !s.release() {
		s.startFlusher()
	}
}

// release is writeLock.release. Once the lock is closed, it also takes the watch off the context
// of the last write that waited for the network.
func (s *send) release() bool {
	late := s.late
	released := s.lock.release(s.outbox.len() > 0)
	if released && late != nil && s.lock.has(closed) && s.lock.tryAcquire(lockFlush) {
		late.watch.forget()
		return s.lock.release(s.outbox.len() > 0)
	}
	return released
}

// startFlusher hands the lock to a flusher, which ends when all has left, or the connection is
// closed.
func (s *send) startFlusher() {
	flushRest := s.ownLate().flushRest
	go flushRest()
}

// flushRest writes the outbox and the slot, without a limit, and gives the lock back.
func (s *send) flushRest() {
	for {
		s.takePosted()
		s.flush(&limit{}) // an error closes the lock
		if s.release() {
			return
		}
	}
}

// arm has what is corked flushed when its time is over. A timer that is armed is left alone,
// since stopping and arming it again costs more than one that finds nothing to do.
func (s *send) arm() {
	late := s.ownLate()
	switch {
	case late.armed:
		return
	case late.timer == nil:
		late.timer = time.AfterFunc(corkTime, s.flushCorked)
	default:
		late.timer.Reset(corkTime)
	}
	late.armed = true
}

// flushCorked is what the timer runs. The reader is slow, so the answers of this burst wait no
// longer; Cork stays in force.
func (s *send) flushCorked() {
	s.lock.acquire(lockFlush, nil, &limit{})
	s.late.armed = false
	s.lock.clear(moreInput)
	s.flushRest()
}

// tryFlush has posted and corked frames leave, unless another goroutine holds the lock, which
// then does that. It waits for nothing.
func (s *send) tryFlush() {
	if s.hasUnsent() && s.lock.tryAcquire(lockFlush) {
		s.unlock()
	}
}

// drain waits within the limit until the transport has accepted all that lies in the outbox and
// the slot. If the limit ends, the flusher goes on.
func (s *send) drain(l *limit) error {
	s.lock.clear(corked | moreInput)
	// A round that leaves bytes hands them to a flusher, for which the next one waits. Three
	// send every frame that was there before the call; later ones are not waited for.
	for range 3 {
		if _, err := s.lock.acquire(lockFlush, nil, l); err != nil {
			return err
		}
		s.takePosted()
		if s.link.resumable {
			s.flush(l)
		} else {
			s.flushNow() // a timeout would fail the connection
		}
		if s.outbox.len() == 0 && !s.lock.has(posted) {
			s.unlock()
			break
		}
		s.startFlusher()
	}
	if err := s.lock.err(); err != ErrCloseSent {
		return err
	}
	return s.lock.lost()
}

// hasUnsent reports whether there are frames that no caller waits for.
func (s *send) hasUnsent() bool { return s.lock.has(unsent | posted) }

// close closes the lock of a connection whose transport is closed.
func (s *send) close() {
	s.lock.close(s.link.closedError(), nil)
	if s.lock.tryAcquire(lockFlush) { // else the goroutine that holds the lock cleans up
		s.unlock()
	}
}

// setLimit has the transport's write that follows end with the limit. Nothing else sets the
// write deadline, except for the end of the context.
func (s *send) setLimit(l *limit) {
	if s.late == nil && l.deadline.IsZero() && l.done() == nil {
		return
	}
	late := s.ownLate()
	if l.deadline != late.deadline && s.link.SetWriteDeadline(l.deadline) == nil { // else Write returns the error
		late.deadline = l.deadline
	}
	if l.done() != nil {
		late.watch.begin(l.ctx)
	}
}

// clearLimit ends what setLimit has begun, after the write has returned err. It reports whether
// the limit has ended the write, which can be continued. A timeout without that is final:
// crypto/tls, which a wrapper may hide, returns its first one for ever.
func (s *send) clearLimit(l *limit, err error) (timedOut bool, _ error) {
	timedOut = err != nil && s.link.resumable && isTimeout(err) && l.ended() != nil
	if l.done() != nil && s.late.watch.end() {
		s.late.deadline = aLongTimeAgo
		if err != nil {
			err = fmt.Errorf("websocket: write interrupted within a frame: %w", contextCause(l.ctx))
		}
	}
	return timedOut, err
}
