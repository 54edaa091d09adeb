package websocket

import (
	"sync"
	"sync/atomic"
	"time"
)

// lock is the right to write, or to read: one goroutine at a time has it, in the order of their calls,
// except that small frames may be written in a batch, ahead of other calls, and that a call that finds the
// lock free need not queue.
//
// While a message of several frames is open, no other data message may begin; control frames may be
// written between its frames. The zero value is a free lock.
type lock struct {
	state  atomic.Uint32
	ending atomic.Pointer[ending]    // set when the direction has ended
	queue  atomic.Pointer[lockQueue] // made for the first caller that waits
}

// The bits of lock.state.
const (
	// stateLocked: a goroutine holds the lock.
	stateLocked = 1 << iota

	// stateQueued: callers wait in the lock's queue.
	stateQueued

	// stateEnded: calls of the program fail; lock.ending says why. The outbox is still written, unless the
	// transport has failed, which empties it.
	stateEnded

	// Of the write lock only.

	// stateMessageOpen: a message of several frames has begun and has not ended.
	stateMessageOpen

	// statePosted: the slot is not empty.
	statePosted

	// stateUnsent: the outbox holds frames that no caller waits for, corked or posted. Close waits
	// for these and those in the slot, for at most closeTimeout.
	stateUnsent

	// stateCorked: Conn.Cork was called, and Conn.Flush was not.
	stateCorked

	// stateMoreInput: the reader has received another complete frame of a burst, and the program
	// handles messages quickly, so frames wait for the end of the burst.
	stateMoreInput

	// Of the read lock only.

	// stateShutdownReads: Shutdown reads, or waits for the end of the network connection.
	stateShutdownReads
)

// lockMode is the purpose for which a caller acquires the lock.
type lockMode uint8

const (
	modeFrame   lockMode = iota // write a control frame, or a frame of the open message
	modeData                    // write a data message of one frame
	modeMessage                 // open a message of several frames, each written with modeFrame
	modeFlush                   // write the outbox, even when the direction has ended

	// Of the read lock.
	modeRead  = modeFrame // read for the program
	modeDrain = modeFlush // read for Shutdown, or release what reads have acquired
)

// modeRules has for each mode the bits that must be clear for the lock to be granted, the bit that is
// set then, and whether it is granted even when the direction has ended, and ahead of other modes.
var modeRules = [...]struct {
	blockedBy, sets uint32
	evenEnded       bool
}{
	modeFrame:   {stateLocked, stateLocked, false},
	modeData:    {stateLocked | stateMessageOpen, stateLocked, false},
	modeMessage: {stateMessageOpen, stateMessageOpen, false},
	modeFlush:   {stateLocked, stateLocked, true},
}

// lockQueue is the queue of callers that wait for a lock.
type lockQueue struct {
	mu          sync.Mutex
	first, last *waiter
}

// waiter is a caller that waits for a lock.
type waiter struct {
	mode      lockMode
	batchable bool      // the lock holder may write the frame
	frame     frame     // where batchable is set
	deadline  time.Time // of the caller

	// Guarded by lockQueue.mu.
	next    *waiter
	state   waitState
	end     int32     // of the frame in the outbox, where the state is waiterInBatch
	err     error     // where the state is waiterFinished; nil if the frame was written
	expired bool      // the caller's limit has ended
	change  sync.Cond // of state or expired
}

type waitState uint8

const (
	waiterWaiting  waitState = iota
	waiterYielding           // the caller waits for wakeYielders
	waiterGranted            // the caller has the lock
	waiterInBatch            // the lock holder is writing the frame
	waiterFinished           // the lock holder has written the frame, or err is set
)

// waiterPool is for waiters without a limit: a timer may still refer to one that has a limit.
var waiterPool = sync.Pool{New: func() any { return new(waiter) }}

// has reports whether any of the bits is set.
func (k *lock) has(bits uint32) bool { return k.state.Load()&bits != 0 }

// clear clears the bits, where any of them is set.
func (k *lock) clear(bits uint32) {
	if k.has(bits) {
		k.state.And(^bits)
	}
}

// corks reports whether frames stay in the outbox for now.
func (k *lock) corks() bool { return corks(k.state.Load()) }

func corks(state uint32) bool {
	return state&(stateCorked|stateMoreInput) != 0 && state&stateEnded == 0
}

// tryAcquire acquires the lock if it is free, even if the direction has ended.
func (k *lock) tryAcquire(mode lockMode) bool {
	m := &modeRules[mode]
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

// acquire waits for the lock within the limit. If f is not nil, the lock holder may write f
// meanwhile: then written is true, or err is the error of that write, and the caller does not get
// the lock. If the limit or the direction ends first, nothing was written. The limit may end just as
// the lock is granted: the caller must check it.
func (k *lock) acquire(mode lockMode, f *frame, l *limit) (written bool, err error) {
	if err := k.err(); err != nil && !modeRules[mode].evenEnded {
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
	if w.batchable = f != nil && l.done() == nil && f.fitsBatch(); w.batchable {
		w.frame = *f
	}
	q.push(w)
	if s := k.state.Or(stateQueued); s&modeRules[mode].blockedBy == 0 || s&stateEnded != 0 {
		k.grantLocked(q) // the lock has become free, or the direction has ended
	}

	for w.state == waiterWaiting || w.state == waiterInBatch {
		if w.state == waiterWaiting && w.expired {
			k.filter(q, func(other *waiter) (keep bool) { return other != w })
			w.finish(l.err())
		} else {
			w.change.Wait() // while its frame is in a batch, regardless of the limit
		}
	}
	w.frame = frame{} // the payload is the caller's
	return w.state == waiterFinished && w.err == nil, w.err
}

// release releases the lock. It returns false, and the caller keeps the lock, if frames are waiting
// to be sent: in the outbox, which is not empty if hasFrames is set, unless they are corked, or in the
// slot. If callers are waiting, the next lock holder writes the frames in the slot.
func (k *lock) release(hasFrames bool) bool {
	for {
		s := k.state.Load()
		if hasFrames && !corks(s) || s&(statePosted|stateQueued) == statePosted {
			return false
		}
		if !k.state.CompareAndSwap(s, s&^stateLocked) {
			continue
		}
		if s&stateQueued != 0 {
			k.grant()
		}
		return !k.has(statePosted) || !k.tryAcquire(modeFlush)
	}
}

// yield releases the lock, and acquires it again after a call of wakeYielders or, unless it is zero,
// at the deadline. It does not wait if expected, called once the lock is free, returns false: no other
// caller is about to acquire the lock. woken reports whether wakeYielders was called before the
// deadline. If err is not nil, the caller does not hold the lock.
func (k *lock) yield(mode lockMode, expected func() bool, deadline time.Time, l *limit) (woken bool, err error) {
	q := own(&k.queue)
	q.mu.Lock()
	w := &waiter{mode: mode, state: waiterYielding}
	w.change.L = &q.mu
	stop := (&limit{deadline, l.ctx}).afterFunc(w.expire)
	q.push(w)
	k.state.Or(stateQueued)
	k.state.And(^uint32(stateLocked))
	k.grantLocked(q)
	if w.state == waiterYielding && (k.has(stateEnded) || !expected()) { // wakeYielders may have been called before the push
		w.state = waiterWaiting
		k.grantLocked(q)
	}
	for w.state != waiterGranted && !w.expired {
		w.change.Wait()
	}
	woken = w.state != waiterYielding
	has := w.state == waiterGranted
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

// wakeYielders ends the wait of callers in yield. It is called when a caller that they made way for has
// acquired the lock or has given up, and when the direction has ended.
func (k *lock) wakeYielders() {
	q := k.queue.Load()
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := q.first; w != nil; w = w.next {
		if w.state == waiterYielding {
			w.state = waiterWaiting
		}
	}
	k.grantLocked(q)
}

// endMessage ends the message of several frames.
func (k *lock) endMessage() {
	k.state.And(^uint32(stateMessageOpen))
	k.grant()
}

// grant grants the lock to waiting callers as far as it is free, in their order. If the direction has
// ended, their wait ends.
func (k *lock) grant() {
	if !k.has(stateQueued) {
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
		case w.state != waiterWaiting:
			return true
		case err != nil && !modeRules[w.mode].evenEnded:
			w.finish(err)
		case k.tryAcquire(w.mode):
			w.state = waiterGranted
			w.change.Signal()
		default:
			return true
		}
		return false
	})
}

// push appends w. A waiter whose mode is evenEnded granted goes first, since it adds no frame.
func (q *lockQueue) push(w *waiter) {
	switch {
	case q.first == nil:
		q.first, q.last = w, w
	case modeRules[w.mode].evenEnded:
		w.next, q.first = q.first, w
	default:
		q.last.next, q.last = w, w
	}
}

// filter removes the waiters for which keep returns false. The caller holds q.mu.
func (k *lock) filter(q *lockQueue, keep func(*waiter) bool) {
	link := &q.first
	q.last = nil
	for w := q.first; w != nil; {
		next := w.next // w may be reused once keep has woken its caller
		if keep(w) {
			*link, q.last = w, w
			link = &w.next
		}
		w = next
	}
	if *link = nil; q.first == nil {
		k.state.And(^uint32(stateQueued))
	}
}

// finish ends the wait of the caller with err.
func (w *waiter) finish(err error) {
	w.state, w.err = waiterFinished, err
	w.change.Signal()
}

// expire is called when the limit of the caller ends.
func (w *waiter) expire() {
	w.change.L.Lock()
	defer w.change.L.Unlock()
	w.expired = true
	w.change.Signal()
}

// phase is the progress of one direction of a connection. Each direction ends on its own: after
// a Close frame was sent, or a write has failed, frames of the peer can still be read. The last three
// phases are final.
type phase uint8

const (
	// phaseOpen: frames are read, or written.
	phaseOpen phase = iota

	// phaseDiscarded, of the incoming direction: Shutdown has discarded a message. It goes on reading; the
	// program's reads fail.
	phaseDiscarded

	// phaseDraining, of the outgoing direction: the program has called Close, which sends the frames that
	// were accepted before.
	phaseDraining

	// phaseClosed: a Close frame was received, or is in the outbox, or was sent. It is the last frame of
	// its direction (RFC 6455, 5.5.1). When both directions are closed, so is the connection, and
	// cleanly (7.1.4).
	phaseClosed

	// phaseFailed: an error has ended the direction without a Close frame (7.1.7), or Close has.
	phaseFailed
)

// ending describes how a direction has ended.
type ending struct {
	phase phase
	err   error // of every later call
	lost  error // the reason why frames that were reported as written have not left, or messages are not read; or nil
}

// end moves the direction to a phase in which all calls return err, including those that wait for
// the lock. If the phase is final already, only lost is recorded.
func (k *lock) end(p phase, err, lost error) {
	for {
		old, e := k.ending.Load(), ending{p, err, lost}
		if old != nil && old.lost != nil {
			e.lost = old.lost
		}
		if old != nil && old.phase >= phaseDraining {
			e.phase, e.err = old.phase, old.err
		}
		if k.ending.CompareAndSwap(old, &e) {
			break
		}
	}
	k.state.Or(stateEnded)
	k.wakeYielders()
}

// replace changes the phase and the error of a direction that has ended.
func (k *lock) replace(p phase, err error) {
	for {
		old := k.ending.Load()
		e := *old
		e.phase, e.err = p, err
		if k.ending.CompareAndSwap(old, &e) {
			return
		}
	}
}

// phase returns the phase of the direction.
func (k *lock) phase() phase {
	if e := k.ending.Load(); e != nil {
		return e.phase
	}
	return phaseOpen
}

// err returns the error of all calls from now on, or nil.
func (k *lock) err() error {
	if e := k.ending.Load(); e != nil {
		return e.err
	}
	return nil
}

// lost returns the reason why frames that were reported as written have not left, or messages are not read; or nil.
func (k *lock) lost() error {
	if e := k.ending.Load(); e != nil {
		return e.lost
	}
	return nil
}
