package websocket

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limit is what ends the wait of a call: the deadline, unless it is zero, and the context, unless
// it is nil.
type limit struct {
	deadline time.Time
	ctx      context.Context
}

// noLimit ends no wait.
var noLimit limit

// until returns the limit of a deadline alone.
func until(deadline time.Time) limit { return limit{deadline: deadline} }

// done returns the channel that is closed when the context ends, or nil if that cannot happen.
func (l *limit) done() <-chan struct{} {
	if l.ctx == nil {
		return nil
	}
	return l.ctx.Done()
}

// ended returns err if the limit has ended, else nil.
func (l *limit) ended() error {
	if l.ctx != nil && l.ctx.Err() != nil || !l.deadline.IsZero() && time.Until(l.deadline) <= 0 {
		return l.err()
	}
	return nil
}

// err returns the error of a call whose limit has ended before it has done anything.
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
// context between operations, so that one operation after another with the same
// context costs no allocation.
type watch struct {
	interrupt func() error  // makes the operation return, by a deadline in the past
	waiting   func() uint32 // returns which call of the transport the operation waits for, or 0
	abort     func() error  // closes the transport where its call does not return

	mu     sync.Mutex
	done   <-chan struct{} // of the context that it is registered with
	stop   func() bool
	active bool        // an operation is going on
	fired  bool        // and has been interrupted
	timer  *time.Timer // and is looked at, if this is not nil
	seen   uint32      // what it waited for when it was looked at last
}

// abortTime is how long an operation that was interrupted may wait for the transport: there are transports
// whose deadlines do nothing. It is looked at twice, since on a machine that is busy the first look may come
// before the operation has had a chance to return.
const abortTime = 100 * time.Millisecond

// begin says that an operation begins that ctx, which can end, is to interrupt.
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
	if ctx.Err() != nil { // it may have ended before, when no operation was active
		w.fireLocked()
	}
}

// end says that the operation is over, and reports whether it was interrupted. It
// will not be interrupted later.
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

// fireLocked interrupts the operation that is going on.
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

// abortLocked aborts the operation if it still waits for what it waited for before. What goes on otherwise, such
// as a handler of the program, is waited for.
func (w *watch) abortLocked() (aborted bool) {
	before := w.seen
	w.seen = w.waiting()
	if w.seen == 0 || w.seen != before {
		return false
	}
	w.abort()
	return true
}

// forget takes the watch off the context.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
		w.done, w.stop = nil, nil
	}
}

// aLongTimeAgo is a deadline that interrupts the operation that is going on.
var aLongTimeAgo = time.Unix(1, 0)

// progress is how writes get on that wait for the network. Any goroutine may look at it. A nil one takes
// note of nothing.
type progress struct {
	start       time.Time
	waits, last atomic.Int64 // what now has returned; 0 for never
}

// waitTime is from when on a write has waited for the peer, rather than for the kernel to take a copy.
const waitTime = time.Millisecond

// now returns the nanoseconds since start, and one more.
func (p *progress) now() int64 { return int64(time.Since(p.start)) + 1 }

// begin says that a write begins.
func (p *progress) begin() {
	if p != nil {
		p.waits.Store(p.now())
	}
}

// end says that the write has ended, and that the transport has taken n bytes.
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

// times returns since when a write has waited, or zero, and when one that had to wait ended last.
func (p *progress) times() (waits, last time.Time) {
	at := func(n int64) (t time.Time) {
		if n > 0 {
			t = p.start.Add(time.Duration(n - 1))
		}
		return t
	}
	return at(p.waits.Load()), at(p.last.Load())
}
