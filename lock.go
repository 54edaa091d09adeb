package websocket

import (
	"sync/atomic"
	"time"
)

// lock is a mutual exclusion whose wait can be bounded. Its zero value is unlocked.
// It is not fair: a goroutine that comes just when it is released may get it before
// those that wait.
type lock struct {
	state atomic.Int32
	wake  atomic.Pointer[chan struct{}] // made for the first who waits
}

const (
	lockFree      = 0
	lockHeld      = 1
	lockContended = 2 // held, and somebody may be waiting
)

func (l *lock) tryAcquire() bool { return l.state.CompareAndSwap(lockFree, lockHeld) }

// acquire waits for the lock within the bound, and reports whether it got it. A free
// lock is got whatever the bound.
func (l *lock) acquire(b *bound) bool {
	if l.tryAcquire() {
		return true
	}
	wake := l.waiters()
	var timeout <-chan time.Time
	if !b.deadline.IsZero() {
		t := time.NewTimer(time.Until(b.deadline))
		defer t.Stop()
		timeout = t.C
	}
	// Who waits sets the state to lockContended, again each time that it was
	// woken, so that every release wakes one as long as there are any.
	for l.state.Swap(lockContended) != lockFree {
		select {
		case <-wake:
		case <-timeout:
			return false
		case <-b.done():
			return false
		case <-b.wake:
			return false
		}
	}
	return true
}

func (l *lock) release() {
	switch l.state.Swap(lockFree) {
	case lockFree:
		panic("websocket: BUG: release of a lock that is not held")
	case lockContended:
		select {
		case l.waiters() <- struct{}{}:
		default: // one is being woken already
		}
	}
}

// waiters is the channel, with room for one, by which a release wakes one of those that wait.
func (l *lock) waiters() chan struct{} {
	if c := l.wake.Load(); c != nil {
		return *c
	}
	c := make(chan struct{}, 1)
	if l.wake.CompareAndSwap(nil, &c) {
		return c
	}
	return *l.wake.Load()
}
