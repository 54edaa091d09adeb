package websocket

import (
	"sync"
	"sync/atomic"
	"time"
)

// wire is whose turn it is to write: one at a time, in the order in which they have
// asked. While a message of several frames is open, no other data message may begin;
// control frames pass between its frames. Its zero value is free.
type wire struct {
	state atomic.Uint32 // wireBusy and so on
	along atomic.Int32  // those in the queue whose frames somebody else may send

	queue atomic.Pointer[queue] // made for the first who waits

	// pending is the control frame that the reader owes the peer. The reader never
	// waits for the wire: who has it writes this frame before it gives the wire back.
	pending atomic.Pointer[owed]
}

const (
	wireBusy   = 1 << iota // somebody has the wire
	wireOpen               // somebody has the turn of data messages
	wireQueued             // somebody waits; set and cleared under the queue's mu
)

// maxSpares is how many requests a connection keeps.
const maxSpares = 64

// queue is those who wait for a wire.
type queue struct {
	mu          sync.Mutex
	first, last *request
	spare       *request // to be used again, linked by next
	spares      int
}

// want is what somebody wants of the wire.
type want int8

const (
	wantWire want = iota // for a control frame, or a frame of the message that is open
	wantData             // for a data message of one frame
	wantOpen             // the turn of data messages, and not the wire
)

// request is one who waits for his turn.
type request struct {
	want  want
	frame frame         // what is to be sent, where somebody else may send it along
	along bool          // somebody else may
	until time.Time     // his write deadline
	wake  chan struct{} // gets an element when state is no longer waiting or taken

	// Guarded by queue.mu.
	next  *request
	state waitState
	err   error // of sent
}

type waitState int8

const (
	waiting waitState = iota
	granted           // he has what he wants
	taken             // somebody else is sending his frame
	sent              // and has done so, or failed
)

// tryTake takes what is wanted if it is free.
func (w *wire) tryTake(what want) bool {
	for {
		s := w.state.Load()
		if s&what.blockedBy() != 0 {
			return false
		}
		if w.state.CompareAndSwap(s, s|what.bit()) {
			return true
		}
	}
}

// giveBack gives back what was taken.
func (w *wire) giveBack(what want) {
	for {
		s := w.state.Load()
		if s&wireQueued != 0 {
			q := w.queue.Load()
			q.mu.Lock()
			w.state.And(^what.bit())
			w.grant()
			q.mu.Unlock()
			return
		}
		if w.state.CompareAndSwap(s, s&^what.bit()) {
			return
		}
	}
}

func (what want) blockedBy() uint32 {
	switch what {
	case wantOpen:
		return wireOpen
	case wantData:
		return wireBusy | wireOpen
	}
	return wireBusy
}

func (what want) bit() uint32 {
	if what == wantOpen {
		return wireOpen
	}
	return wireBusy
}

// wait waits within the bound for what is wanted. Where f is not nil, somebody else may
// send it meanwhile: then done is true, and err says how that went. Otherwise an error
// means that the bound has ended the wait, and that nothing has happened; except that it
// was granted all the same where late is true.
func (w *wire) wait(what want, f *frame, b *bound) (done, late bool, err error) {
	q := w.ownQueue()
	q.mu.Lock()
	x := q.newRequest()
	x.want, x.until, x.state = what, b.deadline, waiting
	if x.along = f != nil && b.done() == nil && f.fitsAlong(); x.along {
		x.frame = *f
	}
	w.enqueue(x)
	w.grant()
	q.mu.Unlock()

	inTime := x.sleep(b)
	q.mu.Lock()
	if !inTime {
		if x.state == waiting {
			w.remove(x)
			q.recycle(x)
			q.mu.Unlock()
			return false, false, b.waitError()
		}
		q.mu.Unlock()
		<-x.wake
		q.mu.Lock()
	}
	done, err = x.state == sent, x.err
	q.recycle(x)
	q.mu.Unlock()
	if !inTime && !done {
		return false, true, b.waitError()
	}
	return done, false, err
}

// ownQueue returns the queue, which there is from now on.
func (w *wire) ownQueue() *queue { return own(&w.queue) }

func (q *queue) newRequest() *request {
	x := q.spare
	if x == nil {
		return &request{wake: make(chan struct{}, 1)}
	}
	q.spare = x.next
	q.spares--
	return x
}

func (q *queue) recycle(x *request) {
	if q.spares < maxSpares {
		*x = request{wake: x.wake, next: q.spare}
		q.spare = x
		q.spares++
	}
}

// sleep waits until the state has changed, and reports whether that was within the bound.
func (x *request) sleep(b *bound) bool {
	if b.deadline.IsZero() && b.wake == nil && b.done() == nil {
		<-x.wake
		return true
	}
	var timeout <-chan time.Time
	if !b.deadline.IsZero() {
		t := time.NewTimer(time.Until(b.deadline))
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-x.wake:
		return true
	case <-timeout:
	case <-b.done():
	case <-b.wake:
	}
	return false
}

func (w *wire) enqueue(x *request) {
	q := w.queue.Load()
	x.next = nil
	if q.last == nil {
		q.first = x
	} else {
		q.last.next = x
	}
	q.last = x
	w.state.Or(wireQueued)
	if x.along {
		w.along.Add(1)
	}
}

func (w *wire) remove(x *request) {
	var before *request
	for y := w.queue.Load().first; y != x; y = y.next {
		before = y
	}
	w.unlink(before, x)
}

// unlink removes x, which is behind before, or the first where that is nil.
func (w *wire) unlink(before, x *request) {
	q := w.queue.Load()
	if before == nil {
		q.first = x.next
	} else {
		before.next = x.next
	}
	if q.last == x {
		q.last = before
	}
	if q.first == nil {
		w.state.And(^uint32(wireQueued))
	}
	if x.along {
		w.along.Add(-1)
	}
}

// grant gives those who wait what is free, in their order.
func (w *wire) grant() {
	var before *request
	for x := w.queue.Load().first; x != nil; {
		next := x.next
		if w.tryTake(x.want) {
			w.unlink(before, x)
			x.state = granted
			x.wake <- struct{}{}
		} else {
			before = x
		}
		x = next
	}
}

// takeAlong removes from the queue those whose frames may leave with one that has the
// deadline, as far as there is room for them, and returns them in their order, linked
// by next. Who has the wire may call it, and ends it with sentAlong.
func (w *wire) takeAlong(deadline time.Time, room int) (list *request) {
	if w.along.Load() == 0 {
		return nil
	}
	end := &list
	q := w.queue.Load()
	q.mu.Lock()
	var before, next *request
	for x := q.first; x != nil; x = next {
		next = x.next
		if !x.along || x.want == wantData && w.state.Load()&wireOpen != 0 || x.endsBefore(deadline) {
			before = x
			continue
		}
		if room -= maxHeaderSize + len(x.frame.payload); room < 0 {
			break
		}
		w.unlink(before, x)
		x.state, x.next = taken, nil
		*end = x
		end = &x.next
	}
	q.mu.Unlock()
	return list
}

// endsBefore reports whether x waits for less time than a write with the deadline may take.
func (x *request) endsBefore(deadline time.Time) bool {
	return !x.until.IsZero() && (deadline.IsZero() || x.until.Before(deadline))
}

// sentAlong tells those in the list how sending their frames went.
func (w *wire) sentAlong(list *request, err error) {
	if list == nil {
		return
	}
	q := w.queue.Load()
	q.mu.Lock()
	defer q.mu.Unlock()
	for x := list; x != nil; {
		next := x.next
		x.state, x.err = sent, err
		x.wake <- struct{}{}
		x = next
	}
}
