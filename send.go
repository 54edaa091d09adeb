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
// A caller takes the write lock, adds its frame to the outbox, flushes the outbox within its
// limit, and unlocks. Frames that no caller waits for have no limit: unlock writes as many of
// their bytes as the transport accepts without blocking, and hands the lock to a flusher, a
// goroutine that writes the rest.
//
// What can happen to a frame:
//
//   - It is posted: added to the slot without the lock. The lock holder moves it to the outbox.
//   - It is corked: left in the outbox for a later flush.
//   - It is written in a batch: by the lock holder, for a caller that waits for the lock.
//   - It is taken back: removed from the outbox when the limit of its caller ends, before any of its
//     bytes were written.
//   - It is reported as written: its call has returned nil, although the transport has not accepted it.
//   - It is lost: it was reported as written, and the transport has failed. The next call says so.
//
// The order of the locks: stateMessageOpen, then stateLocked, then the slot's mu, then the queue's mu.
type send struct {
	link    *link
	lock    lock
	slot    atomic.Pointer[slot]    // made for the first frame that is posted; else nil
	delayed atomic.Pointer[delayed] // made for the first frame that must wait; else nil
	outbox  outbox                  // belongs to the lock holder
}

// corkTime is the longest time that a frame is corked.
const corkTime = 200 * time.Microsecond

// delayed is the state of a direction whose frames do not always leave at once. It belongs to
// the lock holder, except for the watch.
type delayed struct {
	deadline  time.Time // the write deadline that the transport has
	watch     watch     // of the context of the write that waits for the network
	release   func()    // releases the limit of that write on a transport without deadlines; else nil
	progress  *progress // of writes, for keepalive; nil where that is off
	flushRest func()    // send.flushRest, bound once, so that a flusher allocates nothing
	timer     *time.Timer
	armed     bool // the timer runs
}

// ownDelayed returns s.delayed, allocating it on first use. The caller holds the lock.
func (s *send) ownDelayed() *delayed {
	d := s.delayed.Load()
	if d == nil {
		d = &delayed{flushRest: s.flushRest}
		d.watch.interrupt = func() error { return s.link.SetWriteDeadline(aLongTimeAgo) }
		d.watch.waiting, d.watch.abort = func() uint32 { return 1 }, s.link.abort // always within one Write
		s.delayed.Store(d)
	}
	return d
}

// write sends a frame. It returns when the transport has accepted the frame, or when the frame
// is corked. If the limit ends before any byte of the frame was written, nothing was sent; if it
// ends later, the connection has failed.
func (s *send) write(f *frame, mode lockMode, l *limit) error {
	if written, err := s.lock.acquire(mode, f, l); written || err != nil {
		return err
	}
	err := s.writeLocked(f, l)
	s.unlock()
	return err
}

// writeLocked is write for the lock holder.
func (s *send) writeLocked(f *frame, l *limit) error {
	if f.opcode == opClose {
		return s.writeClose(f, l)
	}
	if s.lock.has(statePosted | stateEnded) {
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
		if err := s.flushOrTakeBack(o.end, l); err != nil {
			return err
		}
	}
	switch {
	case corks:
		s.cork(f)
		return nil
	case mayWait && s.yieldForBatch():
		return s.writeBatch(f, l)
	case small: // as flushOrTakeBack, whose call would outgrow the initial stack of a goroutine
		begin := o.add(f)
		if err := s.flushNow(); err != nil || o.len() == 0 {
			return err
		}
		timedOut, err := s.flushWaiting(l)
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
// NOT send any more data frames after sending a Close frame" (RFC 6455, 5.5.1). Frames posted
// before it go first. Until it has left, or was taken back, the slot accepts only replies.
func (s *send) writeClose(f *frame, l *limit) error {
	b, o := own(&s.slot), &s.outbox
	b.mu.Lock()
	b.accepts = max(b.accepts, acceptsReplies)
	b.mu.Unlock()
	err := s.takePosted()
	if err == nil {
		err = l.ended()
	}
	if err == nil && (s.lock.has(statePosted) || !o.fits(f.size())) {
		if err = s.flushOrTakeBack(o.end, l); err == nil {
			err = s.takePosted()
		}
	}
	if err == nil {
		err = s.flushOrTakeBack(o.add(f), l)
	}
	if err == nil {
		s.lock.end(phaseClosed, ErrCloseSent, nil)
		return nil
	}
	b.mu.Lock()
	if b.accepts == acceptsReplies {
		b.accepts = acceptsAll
	}
	b.mu.Unlock()
	return err
}

// cork adds a frame to the outbox and leaves it to a later flush.
func (s *send) cork(f *frame) {
	s.lock.state.Or(stateUnsent)
	s.outbox.add(f)
	s.outbox.reported = s.outbox.end
}

// flushOrTakeBack is flush, and takeBack of the frame that starts at begin if the limit ends first. If begin
// is the end of the outbox, nothing is taken back.
func (s *send) flushOrTakeBack(begin int32, l *limit) error {
	timedOut, err := s.flush(l)
	if timedOut {
		err = s.takeBack(begin, l, err)
	}
	return err
}

// takeBack removes the last frame of the outbox, which starts at begin, because its caller's
// limit has ended, and returns the limit's error. If part of the frame was written, the
// connection fails with err instead.
func (s *send) takeBack(begin int32, l *limit, err error) error {
	if s.outbox.start > begin {
		return s.fail(err)
	}
	s.truncate(begin)
	return l.err()
}

// flush writes the outbox within the limit. If the limit ends first, timedOut is true, and err is the
// error to fail with if a frame was written in part. Any other error ends the direction.
func (s *send) flush(l *limit) (timedOut bool, err error) {
	if err := s.flushNow(); err != nil || s.outbox.len() == 0 {
		return false, err
	}
	return s.flushWaiting(l)
}

// flushNow writes as much of the outbox as a descriptor accepts without blocking, and nothing to another
// transport. An error ends the direction.
func (s *send) flushNow() error {
	o, descriptor := &s.outbox, s.link.descriptor.conn
	if o.len() == 0 || descriptor == nil {
		return nil
	}
	if o.buf.raw == nil {
		o.buf.raw = newRawWriter()
	}
	w := o.buf.raw
	w.p, w.n, w.err = o.bytes(), 0, nil
	// Control, unlike RawConn.Write, ignores deadlines and does not block.
	err := descriptor.Control(w.write)
	if err == nil {
		err = w.err
	}
	o.start += int32(w.n)
	if err != nil {
		return s.failRaw(err)
	}
	if o.len() == 0 {
		s.truncate(o.end)
	}
	return nil
}

// failRaw is fail for an error of the descriptor.
func (s *send) failRaw(err error) error {
	return s.fail(s.link.rawError("write", err))
}

// flushWaiting is flush of an outbox that is not empty, with a write that blocks.
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

// truncate removes the bytes behind end from the outbox, and releases the buffer of an empty one.
func (s *send) truncate(end int32) {
	o := &s.outbox
	if o.end = end; o.start == end && o.buf != nil {
		releaseBuffer(o.buf)
		o.buf, o.start, o.end, o.reported = nil, 0, 0, 0
		s.lock.clear(stateUnsent)
	}
}

// fail ends the direction because of err, drops all frames waiting to be sent, and returns the
// error of all calls from now on.
func (s *send) fail(err error) error {
	var lost error
	if s.outbox.start < s.outbox.reported || s.hasReported() {
		lost = err
	}
	if s.outbox.len() > 0 && s.lock.phase() == phaseClosed {
		s.lock.replace(phaseFailed, err) // the Close frame, the last in the outbox, was not sent
	}
	s.end(err, lost)
	s.dropPosted()
	s.forgetContext()
	s.truncate(s.outbox.start)
	return s.lock.err()
}

// end makes err the error of all calls from now on.
func (s *send) end(err, lost error) {
	s.lock.end(phaseFailed, err, lost)
	s.link.cancelContext()
}

// unlock releases the lock, after it has written the frames in the outbox and the slot, unless
// they are corked. If the transport does not accept all of them at once, unlock hands the lock
// to a flusher.
func (s *send) unlock() {
	if s.lock.has(statePosted) || s.outbox.len() > 0 {
		s.takePosted()
		if s.lock.corks() && !s.lock.has(statePosted) {
			s.arm()
		} else if s.flushNow(); s.outbox.len() > 0 {
			s.startFlusher() // even if Cork was called meanwhile: these frames are older
			return
		}
	}
	if !s.lock.release(s.outbox.len() > 0) {
		s.startFlusher()
	}
}

// startFlusher hands the lock to a flusher, which ends when all frames have left or the
// connection is closed.
func (s *send) startFlusher() {
	flushRest := s.ownDelayed().flushRest
	go flushRest()
}

// flushRest writes the outbox and the slot, without a limit, and releases the lock.
func (s *send) flushRest() {
	for {
		s.takePosted()
		s.flush(&noLimit) // an error ends the direction
		if s.lock.release(s.outbox.len() > 0) {
			return
		}
	}
}

// arm starts the timer that flushes corked frames after corkTime. A running timer is left alone:
// to stop and start it again costs more than to let it find nothing to do.
func (s *send) arm() {
	d := s.ownDelayed()
	if d.timer == nil {
		d.timer = time.AfterFunc(corkTime, s.flushCorked)
	} else if !d.armed {
		d.timer.Reset(corkTime)
	}
	d.armed = true
}

// flushCorked flushes corked frames when the timer fires. Since the reader is slow, later answers
// of this burst are not held back either; Cork stays in force.
func (s *send) flushCorked() {
	s.lock.acquire(modeFlush, nil, &noLimit)
	s.ownDelayed().armed = false
	s.lock.clear(stateMoreInput)
	s.flushRest()
}

// tryFlush writes posted frames, and frames in the outbox that are no longer corked, unless
// another goroutine holds the write lock; that goroutine will write them. It does not block.
func (s *send) tryFlush() {
	if s.hasUnsent() && s.lock.tryAcquire(modeFlush) {
		s.unlock()
	}
}

// tryFlushCorked is tryFlush that also writes corked frames. Cork stays in force for later ones.
func (s *send) tryFlushCorked() {
	if s.hasUnsent() && s.lock.tryAcquire(modeFlush) {
		s.takePosted()
		if s.flushNow(); s.outbox.len() > 0 {
			s.startFlusher()
			return
		}
		s.unlock()
	}
}

// drain waits within the limit until the transport has accepted all frames in the outbox and the
// slot. If the limit ends first, a flusher goes on.
func (s *send) drain(l *limit) error {
	s.lock.clear(stateCorked | stateMoreInput)
	// A round that leaves bytes behind hands them to a flusher, and the next round waits for it.
	// Three rounds send every frame that was there before the call; later frames may remain.
	for range 3 {
		if _, err := s.lock.acquire(modeFlush, nil, l); err != nil {
			return err
		}
		s.takePosted()
		if s.link.resumable() { // else a flusher writes it: a timeout would fail the connection
			s.flush(l)
		}
		if s.outbox.len() == 0 && !s.lock.has(statePosted) {
			s.unlock()
			break
		}
		s.startFlusher()
	}
	if s.lock.phase() == phaseClosed {
		return s.lock.lost()
	}
	return s.lock.err()
}

// sentClose reports whether a Close frame has left, or is on its way.
func (s *send) sentClose() bool {
	if s.lock.phase() == phaseClosed {
		return true
	}
	b := s.slot.Load()
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accepts == acceptsNothing
}

// hasUnsent reports whether frames are waiting to be sent that no caller waits for.
func (s *send) hasUnsent() bool { return s.lock.has(stateUnsent | statePosted) }

// forgetContext stops watching the context of the last write.
func (s *send) forgetContext() {
	if d := s.delayed.Load(); d != nil {
		d.watch.forget()
	}
}

// setLimit makes the limit end the transport's next Write. Nothing else sets the transport's write
// deadline, except the watch, when a context ends.
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

// clearLimit undoes setLimit after a Write that returned err. timedOut reports whether the limit
// ended that Write and the transport can continue it. Any other timeout is final: crypto/tls,
// which a wrapper may hide, returns its first timeout for ever.
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
