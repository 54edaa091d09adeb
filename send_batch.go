package websocket

import (
	"math"
	"runtime"
	"time"
)

const (
	// batchTries is the number of writes after a batch for which a writer yields first.
	batchTries = 16

	// batchInterval is the number of writes after which a writer yields in any case.
	batchInterval = 1024
)

// yieldForBatch reports whether other goroutines wait to write. It yields once if others have
// written recently, so that their frames can join this write: on one processor they would never
// meet, because no goroutine is preempted between taking and releasing the lock.
func (s *send) yieldForBatch() bool {
	if !s.lock.has(stateQueued) {
		if s.outbox.writes++; s.outbox.tries == 0 && s.outbox.writes%batchInterval != 0 {
			return false
		}
		runtime.Gosched()
	}
	if s.lock.has(stateQueued) {
		s.outbox.tries = batchTries
		return true
	}
	if s.outbox.tries > 0 {
		s.outbox.tries--
	}
	return false
}

// writeBatch writes a small frame together with the frames of waiting callers. If the limit ends
// first, a frame that was written in part is left to the flusher, unless it is f, which fails the
// connection; the callers of the frames behind it wait on.
func (s *send) writeBatch(f *frame, l *limit) error {
	o := &s.outbox
	o.reserve(maxBufferSize - o.len()) // for all that fits, so that the offsets of the waiting callers' frames stay valid
	begin := o.add(f)
	end := o.end
	s.lock.takeBatch(l.deadline, s.addToBatch)
	timedOut, err := s.flush(l)
	written := o.start
	switch {
	case err == nil:
		written = math.MaxInt32 // the outbox, now empty, has forgotten its offsets
	case !timedOut:
		written = 0
	case begin < written && written < end:
		err = s.fail(err)
		timedOut, written = false, 0
	}
	partialEnd := s.lock.finishBatch(end, written)
	if !timedOut {
		return err
	}
	if written <= begin {
		s.truncate(begin)
		return l.err()
	}
	if s.truncate(partialEnd); o.len() > 0 {
		s.lock.state.Or(stateUnsent)
		o.reported = partialEnd
	}
	return nil
}

// addToBatch appends a frame to the outbox and returns its end, or 0 if there is no room.
func (s *send) addToBatch(f *frame) (end int32) {
	if !s.outbox.fits(f.size()) {
		return 0
	}
	s.outbox.add(f)
	return s.outbox.end
}

// takeBatch calls add for the frames of waiting callers that may be written together with a frame that
// has the deadline, in their order. add returns the end of the frame in the outbox, or 0 if there is no
// room, which ends the batch. The lock holder calls takeBatch, and then finishBatch.
func (k *lock) takeBatch(deadline time.Time, add func(f *frame) (end int32)) {
	q := k.queue.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := q.first; w != nil; w = w.next {
		early := !w.deadline.IsZero() && (deadline.IsZero() || w.deadline.Before(deadline))
		if !w.batchable || w.state != waiterWaiting || early || k.has(modeRules[w.mode].blockedBy&^stateLocked) {
			continue
		}
		if w.end = add(&w.frame); w.end == 0 {
			return
		}
		w.state = waiterInBatch
	}
}

// finishBatch ends the calls in the batch whose frames were written, at least in part. The batch begins at the
// offset start in the outbox, and the bytes before the offset written were written. The calls of the remaining
// frames fail if the direction has ended; else they wait on. finishBatch returns the end of the frame that was
// written in part, or written if there is none.
func (k *lock) finishBatch(start, written int32) (partialEnd int32) {
	q := k.queue.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	err := k.err()
	partialEnd = written
	k.filter(q, func(w *waiter) (keep bool) {
		if w.state != waiterInBatch {
			return true
		}
		begin := start
		start = w.end
		switch {
		case w.end <= written:
			w.finish(nil)
		case begin < written:
			partialEnd = w.end
			w.finish(nil)
		case err != nil:
			w.finish(err)
		default:
			w.state = waiterWaiting
			w.change.Signal() // the limit may have ended
			return true
		}
		return false
	})
	return partialEnd
}
