package websocket

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limit bounds the wait of a call, by a deadline unless that is zero, and by a context unless that
// is nil.
type limit struct {
	deadline time.Time
	ctx      context.Context
}

// noLimit does not bound a wait.
var noLimit limit

// until returns the limit of a deadline alone.
func until(deadline time.Time) limit { return limit{deadline: deadline} }

// done returns a channel that is closed when the context ends, or nil if it cannot end.
func (l *limit) done() <-chan struct{} {
	if l.ctx == nil {
		return nil
	}
	return l.ctx.Done()
}

// ended returns l.err() if the limit has ended, else nil.
func (l *limit) ended() error {
	if l.ctx != nil && l.ctx.Err() != nil || !l.deadline.IsZero() && time.Until(l.deadline) <= 0 {
		return l.err()
	}
	return nil
}

// err returns the error of a call whose limit ended before the call had any effect.
func (l *limit) err() error {
	if l.ctx != nil && l.ctx.Err() != nil {
		return contextError(l.ctx)
	}
	return errWriteTimeout
}

// afterFunc runs f in a goroutine of its own when the limit ends, unless stop is called before.
func (l *limit) afterFunc(f func()) (stop func()) {
	var timer *time.Timer
	if !l.deadline.IsZero() {
		timer = time.AfterFunc(time.Until(l.deadline), f)
	}
	stopWaiting := func() bool { return true }
	if l.done() != nil {
		stopWaiting = context.AfterFunc(l.ctx, f)
	}
	return func() {
		stopWaiting()
		if timer != nil {
			timer.Stop()
		}
	}
}

// watch interrupts an operation of a transport when its context ends. It stays registered with the
// context between operations, so that successive operations with the same context allocate
// nothing.
type watch struct {
	interrupt func() error  // makes the operation return, by a deadline in the past
	waiting   func() uint32 // returns a number for the transport's call in progress, or 0
	abort     func() error  // closes a transport whose call does not return

	mu     sync.Mutex
	done   <-chan struct{} // of the context that the watch is registered with
	stop   func() bool     // undoes that
	active bool            // an operation is in progress
	fired  bool            // the operation was interrupted
	timer  *time.Timer     // for the next look at an interrupted operation, or nil
	seen   uint32          // what waiting returned at the last look
}

// abortTime is how long the transport's call may go on after the operation was interrupted: some transports
// ignore deadlines, and a Read of crypto/tls waits, without a deadline, behind a blocked Write if it has to answer a
// KeyUpdate. It is long, because a call that heeds them also returns late on a busy machine, and the watch
// looks twice, because a machine that was suspended may be late with the first look itself.
const abortTime = 5 * time.Second

// begin starts an operation that the end of ctx interrupts.
func (w *watch) begin(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if done := ctx.Done(); w.done != done {
		if w.stop != nil {
			w.stop()
		}
		w.done = done
		w.stop = context.AfterFunc(ctx, func() { w.fire(done) })
	}
	w.active, w.fired = true, false
	if ctx.Err() != nil { // fire may have run before, when no operation was active
		w.fireLocked()
	}
}

// end ends the operation and reports whether it was interrupted. It will not be interrupted later.
func (w *watch) end() (interrupted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active = false
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	return w.fired
}

func (w *watch) fire(done <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active && !w.fired && w.done == done {
		w.fireLocked()
	}
}

// fireLocked interrupts the operation in progress.
func (w *watch) fireLocked() {
	w.fired, w.seen = true, 0
	if w.interrupt() != nil {
		w.seen = w.waiting()
		if w.abortLocked() {
			return
		}
	}
	var timer *time.Timer
	timer = time.AfterFunc(abortTime/2, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.timer == timer && !w.abortLocked() {
			timer.Reset(abortTime / 2)
		}
	})
	w.timer = timer
}

// abortLocked closes the transport if the operation is still in the call in which the last look found it. If the
// operation is busy elsewhere, for instance in a handler of the program, it is left alone.
func (w *watch) abortLocked() (aborted bool) {
	before := w.seen
	w.seen = w.waiting()
	if w.seen == 0 || w.seen != before {
		return false
	}
	w.abort()
	return true
}

// forget stops watching the context.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
		w.done, w.stop = nil, nil
	}
}

// aLongTimeAgo is a deadline that interrupts the operation in progress.
var aLongTimeAgo = time.Unix(1, 0)

// progress records writes that wait for the network. Any goroutine may read it. A nil progress records
// nothing.
type progress struct {
	start       time.Time
	waits, last atomic.Int64 // values of now, or 0: see times
}

// waitTime is how long a write must take to count as having waited for the peer: copying into the kernel's
// buffers takes less.
const waitTime = time.Millisecond

// now returns the nanoseconds since start plus one, so that it is never 0.
func (p *progress) now() int64 { return int64(time.Since(p.start)) + 1 }

// begin records the start of a write.
func (p *progress) begin() {
	if p != nil {
		p.waits.Store(p.now())
	}
}

// end records the end of a write, of which the transport has accepted n bytes.
func (p *progress) end(n int) {
	if p == nil {
		return
	}
	now := p.now()
	if n > 0 && now-p.waits.Load() >= int64(waitTime) {
		p.last.Store(now)
	}
	p.waits.Store(0)
}

// times returns the start of the write in progress, and the end of the last write that had to wait. Each is
// zero if there is none.
func (p *progress) times() (waits, last time.Time) {
	at := func(n int64) (t time.Time) {
		if n > 0 {
			t = p.start.Add(time.Duration(n - 1))
		}
		return t
	}
	return at(p.waits.Load()), at(p.last.Load())
}
