package websocket

import (
	"context"
	"sync"
	"time"
)

// bound is what ends a wait: the deadline, if it is not zero, the context, if there
// is one, and the closing of wake.
type bound struct {
	deadline time.Time
	ctx      context.Context
	wake     <-chan struct{}
	applied  bool // the transport has the deadline already
}

// until is the bound of a deadline alone.
func until(deadline time.Time) bound { return bound{deadline: deadline} }

// done is closed when the context ends; nil where that cannot happen.
func (b *bound) done() <-chan struct{} {
	if b.ctx == nil {
		return nil
	}
	return b.ctx.Done()
}

// ended returns the context's error where it has ended, else nil.
func (b *bound) ended() error {
	if b.ctx == nil || b.ctx.Err() == nil {
		return nil
	}
	return contextError(b.ctx)
}

// waitError is why a wait with the bound has ended before its time.
func (b *bound) waitError() error {
	if err := b.ended(); err != nil {
		return err
	}
	return errWriteTimeout
}

// watch interrupts an operation when its context ends. It stays registered with the
// context between operations, so that one operation after another with the same
// context costs no allocation.
type watch struct {
	interrupt func() // makes the operation return

	mu     sync.Mutex
	done   <-chan struct{} // of the context that it is registered with
	stop   func() bool
	active bool // an operation is going on
	fired  bool // and has been interrupted
}

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
	if ctx.Err() != nil { // since before, when there was nothing to interrupt
		w.fired = true
		w.interrupt()
	}
}

// end says that the operation is over, and reports whether it was interrupted. It
// will not be interrupted later.
func (w *watch) end() (interrupted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active = false
	return w.fired
}

// during runs an operation that ctx is to interrupt, and reports whether it did.
func (w *watch) during(ctx context.Context, operation func()) (interrupted bool) {
	if ctx.Done() == nil {
		operation()
		return false
	}
	w.begin(ctx)
	operation()
	return w.end()
}

func (w *watch) fire(done <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active && !w.fired && w.done == done {
		w.fired = true
		w.interrupt()
	}
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

// past is a deadline that interrupts what is going on.
var past = time.Unix(1, 0)

// bounds is what bounds the writes to the transport.
type bounds struct {
	deadline time.Time // the one that the transport has
	watch    watch     // of the contexts
	torn     *owed     // an owed frame that has left in part, and goes on first
}

// ownBounds returns the bounds, which there are from now on.
func (s *send) ownBounds() *bounds {
	if s.bounds == nil {
		s.bounds = &bounds{watch: watch{interrupt: func() { s.t.SetWriteDeadline(past) }}}
	}
	return s.bounds
}

// applyBound gives the transport the bound for a write that begins.
func (s *send) applyBound(b *bound) {
	if b.applied {
		return
	}
	s.applyDeadline(b.deadline)
	if b.done() != nil {
		s.ownBounds().watch.begin(b.ctx)
	}
}

// applyDeadline is applyBound for a deadline alone.
func (s *send) applyDeadline(deadline time.Time) {
	if s.bounds == nil && deadline.IsZero() {
		return
	}
	if own := s.ownBounds(); deadline != own.deadline {
		if s.t.SetWriteDeadline(deadline) == nil { // else the write says why
			own.deadline = deadline
		}
	}
}

// endBound says that the write is over, and reports whether the context has
// interrupted it.
func (s *send) endBound(b *bound) (interrupted bool) {
	if b.done() == nil || !s.bounds.watch.end() {
		return false
	}
	s.bounds.deadline = past
	return true
}
