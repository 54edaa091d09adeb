package websocket

import (
	"math"
	"runtime"
)

const (
	// batchTries is the number of writes after a batch before which a writer yields again.
	batchTries = 16

	// batchInterval is the number of writes after which a writer yields in any case.
	batchInterval = 1024
)

// yieldForBatch reports whether other goroutines wait to write. It yields once if others have
// written recently, so that their frames can join this write: on one processor they would never
// meet, because no goroutine is preempted between taking and releasing the lock.
func (s *send) yieldForBatch() bool {
	if !s.lock.has(queued) {
		if s.lock.writes++; s.lock.tries == 0 && s.lock.writes%batchInterval != 0 {
			return false
		}
		runtime.Gosched()
	}
	if s.lock.has(queued) {
		s.lock.tries = batchTries
		return true
	}
	if s.lock.tries > 0 {
		s.lock.tries--
	}
	return false
}

// writeBatch writes a small frame together with the frames of waiting callers. If the limit ends
// first, a frame that was written in part is left to the flusher, unless it is f, which fails the
// connection; the callers of the frames behind it wait on.
func (s *send) writeBatch(f *frame, l *limit) error {
	o := &s.outbox
	o.reserve(maxBufferSize - o.len())
	begin := o.add(f)
	end := o.end
	s.lock.takeBatch(l.deadline, s.addToBatch)
	timedOut, err := s.flush(l)
	left := o.start
	switch {
	case err == nil:
		left = math.MaxInt32
	case !timedOut:
		left = 0
	case begin < left && left < end:
		s.fail(err)
		timedOut, left = false, 0
	}
	rest := s.lock.finishBatch(end, left)
	if !timedOut {
		return err
	}
	if left <= begin {
		s.truncate(begin)
		return l.err()
	}
	if s.truncate(rest); o.len() > 0 {
		s.lock.state.Or(unsent)
		o.reported = rest
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
