package websocket

import (
	"sync"
	"sync/atomic"
	"time"
)

// turn is whose turn it is to read: one at a time. The program's reads come before
// those of Shutdown, which reads only where nobody else does.
type turn struct {
	state atomic.Uint32 // turnTaken and turnAwaited

	mu       sync.Mutex
	programs uint32        // reads of the program that wait
	waits    uint32        // those who wait, for whatever
	reads    uint32        // turns that the program has had while somebody waited
	change   chan struct{} // closed at the next change; nil while nobody waits for one
}

const (
	turnTaken   = 1 << iota
	turnAwaited // somebody waits: every change is made under mu
)

// take waits for the turn of a read of the program, and reports whether it came
// within the bound.
func (t *turn) take(b bound) bool {
	if t.tryTake() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.programs++
	t.changed()
	defer func() { t.programs-- }()
	return t.waitLocked(b, func() bool { return t.takeLocked(true) })
}

// tryTake takes the turn for the program if it is free.
func (t *turn) tryTake() bool {
	if t.state.CompareAndSwap(0, turnTaken) {
		return true
	}
	if t.state.Load()&turnAwaited == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.takeLocked(true)
}

func (t *turn) takeLocked(program bool) bool {
	for {
		s := t.state.Load()
		if s&turnTaken != 0 {
			return false
		}
		if t.state.CompareAndSwap(s, s|turnTaken) {
			if program {
				t.reads++
			}
			t.changed()
			return true
		}
	}
}

// takeIdle waits until the program neither reads nor waits for its turn, and takes it.
func (t *turn) takeIdle(b bound) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waitLocked(b, func() bool { return t.programs == 0 && t.takeLocked(false) })
}

// giveToProgram ends a turn, and reports whether the program has read within the bound.
func (t *turn) giveToProgram(b bound) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.await()
	defer t.awaited()
	reads := t.reads
	t.giveLocked()
	return t.waitLocked(b, func() bool { return t.programs > 0 || t.reads != reads })
}

// give ends a turn.
func (t *turn) give() {
	if t.state.CompareAndSwap(turnTaken, 0) {
		return
	}
	t.mu.Lock()
	t.giveLocked()
	t.mu.Unlock()
}

func (t *turn) giveLocked() {
	t.state.And(^uint32(turnTaken))
	t.changed()
}

// changed wakes those that wait for a change.
func (t *turn) changed() {
	if t.change != nil {
		close(t.change)
		t.change = nil
	}
}

// await and awaited stand around a wait.
func (t *turn) await() {
	t.waits++
	t.state.Or(turnAwaited)
}

func (t *turn) awaited() {
	if t.waits--; t.waits == 0 {
		t.state.And(^uint32(turnAwaited))
	}
}

// waitLocked waits, without the lock, until the condition is true.
func (t *turn) waitLocked(b bound, condition func() bool) bool {
	t.await()
	defer t.awaited()
	var timeout <-chan time.Time
	for !condition() {
		if timeout == nil && !b.deadline.IsZero() {
			timer := time.NewTimer(time.Until(b.deadline))
			defer timer.Stop()
			timeout = timer.C
		}
		if t.change == nil {
			t.change = make(chan struct{})
		}
		change := t.change
		t.mu.Unlock()
		ended := false
		select {
		case <-change:
		case <-timeout:
			ended = true
		case <-b.done():
			ended = true
		}
		t.mu.Lock()
		if ended {
			return condition()
		}
	}
	return true
}
