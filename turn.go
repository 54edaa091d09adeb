package websocket

import (
	"sync"
	"time"
)

// turn is whose turn it is to read: one at a time. The program's reads come before
// those of Shutdown, which reads only where nobody else does.
type turn struct {
	mu       sync.Mutex
	taken    bool
	programs int           // reads of the program that wait
	reads    int           // turns that the program has had
	change   chan struct{} // closed at the next change; nil while nobody waits for one
}

// take waits for the turn of a read of the program, and reports whether it came
// within the bound.
func (t *turn) take(b bound) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	if !t.taken {
		return t.setTaken()
	}
	t.programs++
	t.changed()
	defer func() { t.programs-- }()
	return t.waitLocked(b, func() bool { return !t.taken }) && t.setTaken()
}

// tryTake takes the turn for the program if it is free.
func (t *turn) tryTake() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken {
		return false
	}
	t.reads++
	return t.setTaken()
}

// takeIdle waits until the program neither reads nor waits for its turn, and takes it.
func (t *turn) takeIdle(b bound) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waitLocked(b, func() bool { return !t.taken && t.programs == 0 }) && t.setTaken()
}

// giveToProgram ends a turn, and reports whether the program has read within the bound.
func (t *turn) giveToProgram(b bound) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = false
	t.changed()
	reads := t.reads
	return t.waitLocked(b, func() bool { return t.programs > 0 || t.reads != reads })
}

// give ends a turn.
func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = false
	t.changed()
}

func (t *turn) setTaken() bool {
	t.taken = true
	t.changed()
	return true
}

// changed wakes those that wait for a change.
func (t *turn) changed() {
	if t.change != nil {
		close(t.change)
		t.change = nil
	}
}

// waitLocked waits, without the lock, until the condition is true.
func (t *turn) waitLocked(b bound, condition func() bool) bool {
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
