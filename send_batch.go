package websocket

import (
	"math"
	"runtime"
)

const (
	// batchTries is for how many writes after a batch a writer yields for another one.
	batchTries = 16

	// batchInterval is after how many writes a writer yields in any case.
	batchInterval = 1024
)

// yieldForBatch reports whether other goroutines wait to write. It yields once if they have
// done so lately: on one processor they would never meet, because nobody stops between taking
// and releasing the lock.
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

// writeBatch is writeCopied when other goroutines wait to write.
func (s *send) writeBatch(f *frame, l *limit) error {
	o := &s.outbox
	o.reserve(maxBufferSize - o.len())
	begin := int(o.end)
	o.append(f)
	end := int(o.end)
	s.lock.batch(l.deadline, s.addToBatch)
	timedOut, err := s.flush(l)
	left := math.MaxInt
	if timedOut {
		left = int(o.start)
	} else if err != nil {
		left = 0
	}
	if left < end {
		if timedOut {
			err = s.takeBack(begin, l, err)
		}
		s.lock.endBatch(end, left)
		return err
	}
	// A frame that has begun to leave is the flusher's; those behind it are their callers'
	// again.
	rest := s.lock.endBatch(end, left)
	if timedOut {
		o.truncate(rest)
		s.emptied()
	}
	if o.len() > 0 {
		s.lock.state.Or(unsent)
		o.reported = o.end
	}
	return nil
}

// addToBatch appends a frame to the outbox and returns its end, or 0 if there is no room.
func (s *send) addToBatch(f *frame) (end int) {
	if s.outbox.room() < f.size() {
		return 0
	}
	s.outbox.append(f)
	return int(s.outbox.end)
}
