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
	link    *link
	lock    lock
	slot    atomic.Pointer[slot]    // made for the first frame that is posted; else nil
	delayed atomic.Pointer[delayed] // made for the first frame that must wait; else nil
	outbox  outbox                  // belongs to the holder of the lock
}

// corkTime is how long a frame is corked at most.
const corkTime = 200 * time.Microsecond

// delayed is what is needed when frames do not leave at once. It belongs to the holder of the
// lock, but for the watch.
type delayed struct {
	deadline  time.Time // the write deadline that the transport has
	watch     watch     // of the contexts of calls that wait for the network
	release   func()    // ends the limit of the call that waits, where the transport has no deadlines; else nil
	progress  *progress // of writes, for keepalive; nil where that is off
	flushRest func()    // send.flushRest
	timer     *time.Timer
	armed     bool // the timer runs
}

// ownDelayed returns s.delayed, allocating it on first use. The caller holds the lock.
func (s *send) ownDelayed() *delayed {
	d := s.delayed.Load()
	if d == nil {
		d = &delayed{flushRest: s.flushRest}
		d.watch.interrupt = func() error { return s.link.SetWriteDeadline(aLongTimeAgo) }
		d.watch.waiting, d.watch.abort = func() uint32 { return 1 }, s.link.abort // it is for a Write only
		s.delayed.Store(d)
	}
	return d
}

// write sends a frame. It returns when the transport has accepted it, or when it is corked. If
// the limit ends before any of the frame has left, nothing has happened; if it ends later, the
// connection has failed.
func (s *send) write(f *frame, mode lockMode, l *limit) error {
	if written, err := s.lock.acquire(mode, f, l); written || err != nil {
		return err
	}
	err := s.writeLocked(f, l)
	s.unlock()
	return err
}

// writeLocked is write for the holder of the lock. It has a return for each way to write.
func (s *send) writeLocked(f *frame, l *limit) error {
	if f.opcode == opClose {
		return s.writeClose(f, l)
	}
	if s.lock.has(posted | ended) {
		if err := s.takePosted(); err != nil {
			return err
		}
	}
	if err := l.ended(); err != nil {
		return err
	}
	o, small := &s.outbox, f.size() <= maxCopied
	mayWait := small && l.done() == nil
	corks := mayWait && s.lock.corks()
	if o.len() > 0 && (!small || !o.fits(f.size()) || corks && o.len()+f.size() > maxCopied) {
		if err := s.flushFrom(o.end, l); err != nil {
			return err
		}
	}
	switch {
	case corks:
		s.cork(f)
		return nil
	case mayWait && s.yieldForBatch():
		return s.writeBatch(f, l)
	case small: // flushFrom, whose frame would not fit into the stack that a goroutine begins with
		begin := o.add(f)
		timedOut, err := s.flush(l)
		if timedOut {
			err = s.takeBack(begin, l, err)
		}
		return err
	case o.client:
		return s.writeMasked(f, l)
	}
	return s.writeLarge(f, l)
}

// writeClose is writeLocked for a Close frame, behind which nothing leaves: "The application MUST
// NOT send any more data frames after sending a Close frame" (RFC 6455, 5.5.1). What was posted
// before goes first. Until the frame has left, or was taken back, only replies are posted.
func (s *send) writeClose(f *frame, l *limit) error {
	b, o := own(&s.slot), &s.outbox
	b.mu.Lock()
	b.accepts = max(b.accepts, replies)
	b.mu.Unlock()
	err := s.takePosted()
	if err == nil {
		err = l.ended()
	}
	if err == nil && (s.lock.has(posted) || !o.fits(f.size())) {
		if err = s.flushFrom(o.end, l); err == nil {
			err = s.takePosted()
		}
	}
	if err == nil {
		err = s.flushFrom(o.add(f), l)
	}
	if err == nil {
		s.lock.end(phaseClosed, ErrCloseSent, nil)
		return nil
	}
	b.mu.Lock()
	if b.accepts == replies {
		b.accepts = allFrames
	}
	b.mu.Unlock()
	return err
}

// cork puts a frame into the outbox, to leave with a later flush.
func (s *send) cork(f *frame) {
	s.lock.state.Or(unsent)
	s.outbox.add(f)
	s.outbox.reported = s.outbox.end
}

// flushFrom is flush, and takeBack if the limit ends first.
func (s *send) flushFrom(begin int32, l *limit) error {
	timedOut, err := s.flush(l)
	if timedOut {
		err = s.takeBack(begin, l, err)
	}
	return err
}

// takeBack takes the frame at the end of the outbox back, which begins at begin, and returns the
// error of its caller. If a part of the frame has left, the connection fails with err instead.
func (s *send) takeBack(begin int32, l *limit, err error) error {
	if s.outbox.start > begin {
		return s.fail(err)
	}
	s.truncate(begin)
	return l.err()
}

// flush writes the outbox within the limit, or, if that is nil, as much of it as the network takes
// without waiting. If the limit ends before all has left, timedOut is true, and err is the error
// for a frame of which a part has left. Any other error ends the direction.
func (s *send) flush(l *limit) (timedOut bool, err error) {
	o := &s.outbox
	if o.len() == 0 {
		return false, nil
	}
	if descriptor := s.link.descriptor.conn; descriptor != nil {
		if o.buf.raw == nil {
			o.buf.raw = newRawWriter()
		}
		w := o.buf.raw
		w.p, w.n, w.err = o.bytes(), 0, nil
		// Control, unlike RawConn.Write, heeds no deadline and waits for nobody.
		if err = descriptor.Control(w.write); err == nil {
			err = w.err
		}
		o.start += int32(w.n)
		if err != nil {
			return false, s.failRaw(err)
		}
		if o.len() == 0 {
			s.truncate(o.end)
			return false, nil
		}
	}
	if l == nil {
		return false, nil
	}
	return s.flushWaiting(l)
}

// failRaw is fail for the error of a descriptor, which it returns as the program sees it.
func (s *send) failRaw(err error) error {
	return s.fail(s.link.rawError("write", err))
}

// flushWaiting is flush by a call that waits for the network.
func (s *send) flushWaiting(l *limit) (timedOut bool, err error) {
	o := &s.outbox
	s.setLimit(l)
	p := s.progress()
	p.begin()
	n, err := s.link.Write(o.bytes())
	p.end(n)
	if err != nil || l.ctx != nil || s.link.noDeadlines {
		timedOut, err = s.clearLimit(l, err)
	}
	o.start += int32(min(max(n, 0), o.len())) // a wrapper may break the rules of io.Writer
	if o.len() == 0 {
		timedOut, err = false, nil
	} else if err == nil {
		err = io.ErrShortWrite
	}
	if err != nil && !timedOut {
		err = s.fail(err)
	}
	s.truncate(o.end)
	return timedOut, err
}

// truncate takes back what lies behind end in the outbox. If that is empty then, its buffer
// goes back.
func (s *send) truncate(end int32) {
	o := &s.outbox
	if o.end = end; o.start == end && o.buf != nil {
		releaseBuffer(o.buf)
		o.buf, o.start, o.end, o.reported = nil, 0, 0, 0
		s.lock.clear(unsent)
	}
}

// fail ends the direction because of err, drops what is in the outbox, and returns the error of all calls
// from now on.
func (s *send) fail(err error) error {
	var lost error
	if s.outbox.start < s.outbox.reported || s.hasReported() {
		lost = err
	}
	if s.outbox.len() > 0 && s.lock.err() == ErrCloseSent {
		s.lock.replaceErr(err) // the Close frame, which is the last in the outbox, was not sent
	}
	s.lock.end(phaseFailed, err, lost)
	s.dropPosted()
	s.forgetContext()
	s.link.end()
	s.truncate(s.outbox.start)
	return s.lock.err()
}

// unlock gives the lock back. What is in the outbox and the slot leaves, unless it is corked: if
// the network does not take it at once, the lock goes to a flusher.
func (s *send) unlock() {
	if s.lock.has(posted) || s.outbox.len() > 0 {
		s.takePosted()
		if s.lock.corks() && !s.lock.has(posted) {
			s.arm()
		} else if s.flush(nil); s.outbox.len() > 0 {
			s.startFlusher() // also if frames are corked from now on: these are not
			return
		}
	}
	if !s.lock.release(s.outbox.len() > 0) {
		s.startFlusher()
	}
}

// startFlusher hands the lock to a flusher, which ends when all has left, or the connection is
// closed.
func (s *send) startFlusher() {
	flushRest := s.ownDelayed().flushRest
	go flushRest()
}

// flushRest writes the outbox and the slot, without a limit, and gives the lock back.
func (s *send) flushRest() {
	for {
		s.takePosted()
		s.flush(&noLimit) // an error ends the direction
		if s.lock.release(s.outbox.len() > 0) {
			return
		}
	}
}

// arm has what is corked flushed when its time is over. A timer that is armed is left alone,
// since stopping and arming it again costs more than one that finds nothing to do.
func (s *send) arm() {
	d := s.ownDelayed()
	if d.timer == nil {
		d.timer = time.AfterFunc(corkTime, s.flushCorked)
	} else if !d.armed {
		d.timer.Reset(corkTime)
	}
	d.armed = true
}

// flushCorked is what the timer runs. The reader is slow, so the answers of this burst wait no
// longer; Cork stays in force.
func (s *send) flushCorked() {
	s.lock.acquire(lockFlush, nil, &noLimit)
	s.ownDelayed().armed = false
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

// handOver hands posted and corked frames to the transport, unless another goroutine holds the
// lock. It waits for nothing, and Cork stays in force.
func (s *send) handOver() {
	if s.hasUnsent() && s.lock.tryAcquire(lockFlush) {
		s.takePosted()
		if s.flush(nil); s.outbox.len() > 0 {
			s.startFlusher()
			return
		}
		s.unlock()
	}
}

// drain waits within the limit until the transport has accepted all that lies in the outbox and
// the slot. If the limit ends, the flusher goes on.
func (s *send) drain(l *limit) error {
	s.lock.clear(corked | moreInput)
	flushLimit := l
	if !s.link.resumable() {
		flushLimit = nil // a timeout would fail the connection
	}
	// A round that leaves bytes hands them to a flusher, for which the next one waits. Three
	// send every frame that was there before the call; later ones are not waited for.
	for range 3 {
		if _, err := s.lock.acquire(lockFlush, nil, l); err != nil {
			return err
		}
		s.takePosted()
		s.flush(flushLimit)
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

// sentClose reports whether a Close frame has left, or is on its way.
func (s *send) sentClose() bool {
	if s.lock.err() == ErrCloseSent {
		return true
	}
	b := s.slot.Load()
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepts == noFrames
}

// hasUnsent reports whether there are frames that no caller waits for.
func (s *send) hasUnsent() bool { return s.lock.has(unsent | posted) }

// forgetContext takes the watch off the context that a write had last.
func (s *send) forgetContext() {
	if d := s.delayed.Load(); d != nil {
		d.watch.forget()
	}
}

// setLimit has the transport's write that follows end with the limit. Nothing else sets the
// write deadline, except for the end of the context.
func (s *send) setLimit(l *limit) {
	d := s.delayed.Load()
	if d == nil && l.deadline.IsZero() && l.done() == nil {
		return
	}
	if d == nil {
		d = s.ownDelayed()
	}
	if s.link.noDeadlines {
		d.release = l.afterFunc(func() { s.link.abort() })
		return
	}
	if l.deadline != d.deadline && s.link.SetWriteDeadline(l.deadline) == nil { // else Write returns the error
		d.deadline = l.deadline
	}
	if l.done() != nil {
		d.watch.begin(l.ctx)
	}
}

// clearLimit ends what setLimit has begun, after the write has returned err. It reports whether
// the limit has ended the write, which can be continued. A timeout without that is final:
// crypto/tls, which a wrapper may hide, returns its first one for ever.
func (s *send) clearLimit(l *limit, err error) (timedOut bool, _ error) {
	timedOut = err != nil && s.link.resumable() && isTimeout(err) && l.ended() != nil
	d := s.delayed.Load()
	if d != nil && d.release != nil {
		d.release()
		d.release = nil
		if err != nil && l.ended() != nil {
			err = fmt.Errorf("websocket: write interrupted within a frame: %w", l.err())
		}
	} else if l.done() != nil && d.watch.end() {
		d.deadline = aLongTimeAgo
		if err != nil {
			err = fmt.Errorf("websocket: write interrupted within a frame: %w", contextCause(l.ctx))
		}
	}
	return timedOut, err
}
