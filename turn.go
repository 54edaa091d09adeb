package websocket

import (
	"sync"
	"sync/atomic"
	"time"
)

// turn is whose turn it is to read: one at a time. The program's reads come before
// those of Shutdown, which reads only where nobody else does.
type turn struct {
	state atomic.Uint32            // turnTaken and turnAwaited
	line  atomic.Pointer[turnLine] // made for the first who waits
}

const (
	turnTaken   = 1 << iota
	turnAwaited // somebody waits: every change is made under the line's mu
)

// turnLine is those who wait for a turn.
type turnLine struct {
	mu       sync.Mutex
	programs uint32        // reads of the program
	waits    uint32        // all of them
	reads    uint32        // turns that the program has had while somebody waited
	change   chan struct{} // closed at the next change; nil while nobody waits for one
}

// ownLine returns the line, allocating it on first use.
func (t *turn) ownLine() *turnLine { return own(&t.line) }

// take waits for the turn of a read of the program, and reports whether it came
// within the limit.
func (t *turn) take(lim limit) bool {
	if t.tryTake() {
		return true
	}
	l := t.ownLine()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.programs++
	l.changed()
	defer func() { l.programs-- }()
	return t.waitLocked(lim, func() bool { return t.takeLocked(true) })
}

// tryTake takes the turn for the program if it is free.
func (t *turn) tryTake() bool {
	if t.state.CompareAndSwap(0, turnTaken) {
		return true
	}
	if t.state.Load()&turnAwaited == 0 {
		return false
	}
	l := t.line.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.takeLocked(true)
}

func (t *turn) takeLocked(program bool) bool {
	for {
		s := t.state.Load()
		if s&turnTaken != 0 {
			return false
		}
		if t.state.CompareAndSwap(s, s|turnTaken) {
			l := t.line.Load()
			if program {
				l.reads++
			}
			l.changed()
			return true
		}
	}
}

// takeIdle waits until the program neither reads nor waits for its turn, and takes it.
func (t *turn) takeIdle(lim limit) bool {
	l := t.ownLine()
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.waitLocked(lim, func() bool { return l.programs == 0 && t.takeLocked(false) })
}

// giveToProgram ends a turn, and reports whether the program has read within the limit.
func (t *turn) giveToProgram(lim limit) bool {
	l := t.ownLine()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.await()
	defer t.awaited()
	reads := l.reads
	t.giveLocked()
	return t.waitLocked(lim, func() bool { return l.programs > 0 || l.reads != reads })
}

// give ends a turn.
func (t *turn) give() {
	if t.state.CompareAndSwap(turnTaken, 0) {
		return
	}
	l := t.line.Load()
	l.mu.Lock()
	t.giveLocked()
	l.mu.Unlock()
}

func (t *turn) giveLocked() {
	t.state.And(^uint32(turnTaken))
	t.line.Load().changed()
}

// changed wakes those that wait for a change.
func (l *turnLine) changed() {
	if l.change != nil {
		close(l.change)
		l.change = nil
	}
}

// await and awaited stand around a wait.
func (t *turn) await() {
	t.line.Load().waits++
	t.state.Or(turnAwaited)
}

func (t *turn) awaited() {
	l := t.line.Load()
	if l.waits--; l.waits == 0 {
		t.state.And(^uint32(turnAwaited))
	}
}

// waitLocked waits, without the lock, until the condition is true.
func (t *turn) waitLocked(lim limit, condition func() bool) bool {
	l := t.line.Load()
	t.await()
	defer t.awaited()
	var timeout <-chan time.Time
	for !condition() {
		if timeout == nil && !lim.deadline.IsZero() {
			timer := time.NewTimer(time.Until(lim.deadline))
			defer timer.Stop()
			timeout = timer.C
		}
		if l.change == nil {
			l.change = make(chan struct{})
		}
		change := l.change
		l.mu.Unlock()
		ended := false
		select {
		case <-change:
		case <-timeout:
			ended = true
		case <-lim.done():
			ended = true
		}
		l.mu.Lock()
		if ended {
			return condition()
		}
	}
	return true
}
