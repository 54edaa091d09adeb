package websocket

import (
	"sync"
	"sync/atomic"
	"time"
)

// lock decides who may write, or who may read: one goroutine at a time, in the order of their calls.
// While a message of several frames is open, no other data message may begin; control frames pass
// between its frames. Its zero value is free.
type lock struct {
	state atomic.Uint32

	// For yieldForBatch. They belong to the holder of the lock, and fill a gap here.
	tries  uint8  // how often a writer will still yield
	writes uint16 // counts

	ending atomic.Pointer[ending]    // set when the direction has ended
	queue  atomic.Pointer[lockQueue] // made for the first caller that waits
}

// The bits of lock.state.
const (
	// locked: a goroutine holds the lock.
	locked = 1 << iota

	// queued: callers wait in the lock's queue.
	queued

	// ended: the direction has ended; lock.ending says how. What is in the outbox leaves all the
	// same after a Close frame, but not after an error.
	ended

	// Of the write lock only.

	// messageOpen: a message of several frames has begun and has not ended.
	messageOpen

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

	// Of the read lock only.

	// draining: Shutdown reads.
	draining
)

// lockMode is what a caller wants to do with the lock.
type lockMode uint8

const (
	lockFrame   lockMode = iota // write a control frame, or a frame of the open message
	lockData                    // write a data message of one frame
	lockMessage                 // open a message of several frames, each written with lockFrame
	lockFlush                   // write what lies in the outbox, also when the direction has ended

	// Of the lock of the reading half.
	lockRead  = lockFrame // read for the program
	lockDrain = lockFlush // read for Shutdown, or give up what reads have borrowed
)

// lockModes has for each mode the bits that must be clear before it is granted, the one that is set
// then, and whether it is also granted when the direction has ended, and before the other modes.
var lockModes = [...]struct {
	blockedBy, sets uint32
	always          bool
}{
	lockFrame:   {locked, locked, false},
	lockData:    {locked | messageOpen, locked, false},
	lockMessage: {messageOpen, messageOpen, false},
	lockFlush:   {locked, locked, true},
}

// lockQueue is the callers that wait for a lock.
type lockQueue struct {
	mu          sync.Mutex
	first, last *waiter
}

// waiter is a caller that waits for a lock.
type waiter struct {
	mode     lockMode
	batched  bool      // the frame may be written by the holder of the lock
	frame    frame     // where batched is set
	deadline time.Time // of the caller

	// Guarded by lockQueue.mu.
	next    *waiter
	state   waitState
	end     int32     // of the frame in the outbox, where inBatch
	err     error     // where finished
	expired bool      // the caller's limit has ended
	change  sync.Cond // of state or expired
}

type waitState uint8

const (
	waiting  waitState = iota
	yields             // another caller must have had the lock
	granted            // the caller has the lock
	inBatch            // the holder of the lock is writing the frame
	finished           // the holder has written it, or the direction has ended, or the caller's limit has
)

// waiterPool has waiters whose callers had no limit: a timer may still refer to another one.
var waiterPool = sync.Pool{New: func() any { return new(waiter) }}

// has reports whether any of the bits is set.
func (k *lock) has(bits uint32) bool { return k.state.Load()&bits != 0 }

// clear clears the bits, where any of them is set.
func (k *lock) clear(bits uint32) {
	if k.has(bits) {
		k.state.And(^bits)
	}
}

// corks reports whether frames are to stay in the outbox.
func (k *lock) corks() bool { return corks(k.state.Load()) }

func corks(state uint32) bool { return state&(corked|moreInput) != 0 && state&ended == 0 }

// tryAcquire takes the lock if it is free, even if the direction has ended.
func (k *lock) tryAcquire(mode lockMode) bool {
	m := &lockModes[mode]
	for {
		s := k.state.Load()
		if s&m.blockedBy != 0 {
			return false
		}
		if k.state.CompareAndSwap(s, s|m.sets) {
			return true
		}
	}
}

// acquire waits for the lock within the limit. If f is not nil, the holder of the lock may
// write it meanwhile: then written is true, or err is the reason why it could not. If the
// limit ends or the direction ends first, nothing has happened. The limit may have ended just when
// the lock is granted: the caller must look.
func (k *lock) acquire(mode lockMode, f *frame, l *limit) (written bool, err error) {
	if err := k.err(); err != nil && !lockModes[mode].always {
		return false, err
	}
	if k.tryAcquire(mode) {
		return false, nil
	}
	return k.wait(mode, f, l)
}

// wait is acquire for a lock that is not free.
func (k *lock) wait(mode lockMode, f *frame, l *limit) (written bool, err error) {
	q := own(&k.queue)
	q.mu.Lock()
	defer q.mu.Unlock()
	limited := !l.deadline.IsZero() || l.done() != nil
	var w *waiter
	if limited {
		w = new(waiter)
	} else {
		w = waiterPool.Get().(*waiter)
		defer waiterPool.Put(w)
	}
	*w = waiter{mode: mode, deadline: l.deadline}
	w.change.L = &q.mu
	if limited {
		defer l.afterFunc(w.expire)()
	}
	if w.batched = f != nil && l.done() == nil && f.fitsBatch(); w.batched {
		w.frame = *f
	}
	q.push(w)
	if s := k.state.Or(queued); s&lockModes[mode].blockedBy == 0 || s&ended != 0 {
		k.grantLocked(q) // it has become free, or the direction has ended
	}

	for w.state == waiting || w.state == inBatch {
		if w.state == waiting && w.expired {
			k.filter(q, func(other *waiter) (keep bool) { return other != w })
			w.finish(l.err())
		} else {
			w.change.Wait() // with its frame in a batch, whatever the limit
		}
	}
	w.frame = frame{} // the payload is the caller's
	return w.state == finished && w.err == nil, w.err
}

// release gives the lock back, unless frames lie in the outbox and are not corked, or in the
// slot: then it returns false. Callers that wait go before the frames in the slot, and write these
// with their own.
func (k *lock) release(unsent bool) bool {
	for {
		s := k.state.Load()
		if unsent && !corks(s) || s&(posted|queued) == posted {
			return false
		}
		if !k.state.CompareAndSwap(s, s&^locked) {
			continue
		}
		if s&queued != 0 {
			k.grant()
		}
		return !k.has(posted) || !k.tryAcquire(lockFlush)
	}
}

// yield gives the lock back, and acquires it again when another caller has called wakeYielders, or the
// deadline, unless it is zero, has passed. It does not wait if none is expected, which is asked once
// the lock is free. It reports whether it was woken before the deadline. If err is not nil, the caller
// does not hold the lock.
func (k *lock) yield(mode lockMode, expected func() bool, deadline time.Time, l *limit) (woken bool, err error) {
	q := own(&k.queue)
	q.mu.Lock()
	w := &waiter{mode: mode, state: yields}
	w.change.L = &q.mu
	stop := (&limit{deadline, l.ctx}).afterFunc(w.expire)
	q.push(w)
	k.state.Or(queued)
	k.state.And(^uint32(locked))
	k.grantLocked(q)
	if w.state == yields && (k.has(ended) || !expected()) { // its call of wakeYielders may have been too early
		w.state = waiting
		k.grantLocked(q)
	}
	for w.state != granted && !w.expired {
		w.change.Wait()
	}
	woken = w.state != yields
	has := w.state == granted
	if !has {
		k.filter(q, func(other *waiter) (keep bool) { return other != w })
		has = !woken && k.tryAcquire(mode)
	}
	q.mu.Unlock()
	stop()
	if !has {
		_, err = k.acquire(mode, nil, l)
	}
	return woken, err
}

// wakeYielders ends the waits of callers that yield: one that they have yielded to has the lock, or has
// given up, or the direction has ended.
func (k *lock) wakeYielders() {
	q := k.queue.Load()
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := q.first; w != nil; w = w.next {
		if w.state == yields {
			w.state = waiting
		}
	}
	k.grantLocked(q)
}

// endMessage says that the message of several frames is over.
func (k *lock) endMessage() {
	k.state.And(^uint32(messageOpen))
	k.grant()
}

// grant gives the callers that wait what is free, in their order. If the direction has ended, their
// wait ends.
func (k *lock) grant() {
	if !k.has(queued) {
		return
	}
	q := k.queue.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	k.grantLocked(q)
}

func (k *lock) grantLocked(q *lockQueue) {
	err := k.err()
	k.filter(q, func(w *waiter) (keep bool) {
		switch {
		case w.state != waiting:
			return true
		case err != nil && !lockModes[w.mode].always:
			w.finish(err)
		case k.tryAcquire(w.mode):
			w.state = granted
			w.change.Signal()
		default:
			return true
		}
		return false
	})
}

// takeBatch calls add for the frames of the callers that wait and that may be written together
// with a frame that has the deadline, in their order, until it returns 0; else it returns the end
// of the frame in the outbox. The holder of the lock may call it, and then finishBatch.
func (k *lock) takeBatch(deadline time.Time, add func(f *frame) (end int32)) {
	q := k.queue.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := q.first; w != nil; w = w.next {
		early := !w.deadline.IsZero() && (deadline.IsZero() || w.deadline.Before(deadline))
		if !w.batched || w.state != waiting || early || k.has(lockModes[w.mode].blockedBy&^locked) {
			continue
		}
		if w.end = add(&w.frame); w.end == 0 {
			return
		}
		w.state = inBatch
	}
}

// finishBatch ends the calls whose frames have left, or have begun to: everything before left has.
// They lie behind end in the outbox. It returns the end of the one that has only begun, or left.
// The calls of the other frames fail if the direction has ended, else they wait on.
func (k *lock) finishBatch(end, left int32) (begun int32) {
	q := k.queue.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	err := k.err()
	begun = left
	k.filter(q, func(w *waiter) (keep bool) {
		if w.state != inBatch {
			return true
		}
		begin := end
		end = w.end
		switch {
		case w.end <= left:
			w.finish(nil)
		case begin < left:
			begun = w.end
			w.finish(nil)
		case err != nil:
			w.finish(err)
		default:
			w.state = waiting
			w.change.Signal() // the limit may have ended
			return true
		}
		return false
	})
	return begun
}

// push appends w, or puts it first if its mode is always granted: it adds no frame.
func (q *lockQueue) push(w *waiter) {
	switch {
	case q.first == nil:
		q.first, q.last = w, w
	case lockModes[w.mode].always:
		w.next, q.first = q.first, w
	default:
		q.last.next, q.last = w, w
	}
}

// filter takes out the waiters for which keep returns false. The caller holds q.mu.
func (k *lock) filter(q *lockQueue, keep func(*waiter) bool) {
	link := &q.first
	q.last = nil
	for w := q.first; w != nil; {
		next := w.next // a waiter that was woken is its caller's
		if keep(w) {
			*link, q.last = w, w
			link = &w.next
		}
		w = next
	}
	if *link = nil; q.first == nil {
		k.state.And(^uint32(queued))
	}
}

// finish ends the wait of the caller with err.
func (w *waiter) finish(err error) {
	w.state, w.err = finished, err
	w.change.Signal()
}

// expire is what runs when the limit of the caller ends.
func (w *waiter) expire() {
	w.change.L.Lock()
	defer w.change.L.Unlock()
	w.expired = true
	w.change.Signal()
}
