//go:build go1.25

package websocket

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// wireTest is a wire and those who want it, each by a name.
type wireTest struct {
	wire
	t      *testing.T
	start  time.Time
	events []string // what has happened since they were looked at
	mu     sync.Mutex
}

func newWireTest(t *testing.T) *wireTest { return &wireTest{t: t, start: time.Now()} }

func (w *wireTest) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

// ask has somebody wait for what he wants, and note how that went.
func (w *wireTest) ask(name string, what want, f *frame, b bound) {
	if w.tryTake(what) {
		w.note("%s has it", name)
		return
	}
	go func() {
		done, late, err := w.wait(what, f, &b)
		if late {
			w.giveBack(what)
		}
		switch {
		case done && err != nil:
			w.note("%s was sent: %v", name, err)
		case done:
			w.note("%s was sent", name)
		case err != nil:
			w.note("%s gave up: %v", name, err)
		default:
			w.note("%s has it", name)
		}
	}()
	synctest.Wait()
}

// want checks what has happened.
func (w *wireTest) want(reason string, want ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.events)
	slices.Sort(want)
	if !slices.Equal(w.events, want) {
		w.t.Errorf("%s: got %q, want %q", reason, w.events, want)
	}
	w.events = nil
}

// wantIdle checks that nobody has anything and nobody waits.
func (w *wireTest) wantIdle() {
	w.t.Helper()
	w.want("at the end")
	if s := w.state.Load(); s != 0 {
		w.t.Errorf("got state %b, want 0", s)
	}
	if n := w.wire.along.Load(); n != 0 {
		w.t.Errorf("got %d that may be sent along, want none", n)
	}
	if q := w.queue.Load(); q != nil && (q.first != nil || q.last != nil) {
		w.t.Error("somebody is still in the queue")
	}
}

// Those who can go do so in the order in which they have asked. RFC 6455, 5.4: control
// frames may be injected in the middle of a fragmented message, other messages must not.
func TestWireOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWireTest(t)
		w.ask("writer", wantOpen, nil, bound{})
		w.want("the turn is free", "writer has it")
		w.ask("fragment", wantWire, nil, bound{})
		w.want("the wire is not taken by the turn", "fragment has it")
		w.ask("data 1", wantData, nil, bound{})
		w.ask("ping 1", wantWire, nil, bound{})
		w.ask("writer 2", wantOpen, nil, bound{})
		w.ask("ping 2", wantWire, nil, bound{})
		w.ask("data 2", wantData, nil, bound{})
		w.want("all is taken")

		w.giveBack(wantWire)
		w.want("control passes while a message is open", "ping 1 has it")
		w.giveBack(wantWire)
		w.want("in order", "ping 2 has it")
		w.giveBack(wantOpen)
		w.want("data 1 has asked before, but a frame is being written", "writer 2 has it")
		w.giveBack(wantWire)
		w.want("a message is open")
		w.giveBack(wantOpen)
		w.want("the first of the two", "data 1 has it")
		w.giveBack(wantData)
		w.want("then the second", "data 2 has it")
		w.giveBack(wantData)
		w.wantIdle()
	})
}

// The turn of data messages and the wire can be free at once: both are given.
func TestWireTurnNeedsNoWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWireTest(t)
		w.ask("ping", wantWire, nil, bound{})
		w.ask("writer", wantOpen, nil, bound{})
		w.want("a frame is being written", "ping has it", "writer has it")
		w.giveBack(wantWire)
		w.giveBack(wantOpen)
		w.wantIdle()
	})
}

// What bounds a wait ends it, and the others do not notice.
func TestWireBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWireTest(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		wake := make(chan struct{})
		w.ask("holder", wantWire, nil, bound{})
		w.ask("deadline", wantWire, nil, until(w.start.Add(time.Second)))
		w.ask("context", wantData, nil, bound{ctx: ctx})
		w.ask("patient", wantWire, nil, bound{})
		w.ask("woken", wantWire, nil, bound{wake: wake})
		w.ask("late", wantWire, nil, until(w.start.Add(-time.Second)))
		w.want("all wait, except for who is late", "holder has it", "late gave up: websocket: write timeout")
		time.Sleep(time.Second - 1)
		w.want("the deadline has not passed")
		time.Sleep(1)
		w.want("now it has", "deadline gave up: websocket: write timeout")
		cancel(errMine)
		w.want("the context ends", "context gave up: websocket: context canceled: mine")
		close(wake)
		w.want("wake is closed", "woken gave up: websocket: write timeout")
		w.giveBack(wantWire)
		w.want("who has no bound gets it", "patient has it")
		w.giveBack(wantWire)
		w.wantIdle()
	})
}

// Who is granted the wire at the moment at which his time is up is told, to give it on;
// nothing else has happened.
func TestWireGrantedTooLate(t *testing.T) {
	for _, what := range []want{wantWire, wantData, wantOpen} {
		synctest.Test(t, func(t *testing.T) {
			w := newWireTest(t)
			w.ask("holder", what, nil, bound{})
			w.ask("late", what, nil, until(w.start.Add(time.Second)))
			w.ask("next", what, nil, bound{})
			w.want("both wait", "holder has it")
			w.ownQueue().mu.Lock() // so that the one whose time is up cannot say so yet
			time.Sleep(time.Second)
			w.state.And(^what.bit())
			w.grant()
			w.ownQueue().mu.Unlock()
			w.want("given on", "late gave up: websocket: write timeout", "next has it")
			w.giveBack(what)
			w.wantIdle()
		})
	}
}

// along returns a frame for takeAlong.
func alongFrame(op opcode, size int) *frame {
	return &frame{fin: true, opcode: op, payload: make([]byte, size)}
}

// Others' frames leave with one that is sent, where their senders agree.
func TestWireTakeAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWireTest(t)
		at := func(d time.Duration) bound { return until(w.start.Add(d)) }
		w.ask("holder", wantWire, nil, bound{})
		w.ask("none", wantData, alongFrame(opText, 1), bound{})
		w.ask("earlier", wantData, alongFrame(opText, 2), at(time.Second))
		w.ask("same", wantWire, alongFrame(opPing, 3), at(time.Minute))
		w.ask("later", wantData, alongFrame(opText, 4), at(time.Hour))
		w.ask("context", wantData, alongFrame(opText, 5), bound{ctx: ctx})
		w.ask("close", wantWire, alongFrame(opClose, 6), bound{})
		w.ask("large", wantData, alongFrame(opText, heldSize), bound{})
		w.ask("fragment", wantWire, nil, bound{})
		w.ask("last", wantData, alongFrame(opText, 7), bound{})
		w.want("all wait", "holder has it")

		wantAlong := func(reason string, list *request, want ...int) {
			t.Helper()
			var got []int
			for x := list; x != nil; x = x.next {
				got = append(got, len(x.frame.payload))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", reason, got, want)
			}
		}
		none := w.takeAlong(time.Time{}, 10)
		wantAlong("there is no room", none)
		first := w.takeAlong(w.start.Add(time.Minute), 3*maxHeaderSize+1+3+4)
		wantAlong("those that need not wait longer than they want", first, 1, 3, 4)
		w.want("nobody knows yet")
		w.sentAlong(first, errMine)
		w.want("how that went", "none was sent: mine", "same was sent: mine", "later was sent: mine")

		w.ask("writer", wantOpen, nil, bound{})
		w.want("the turn is free", "writer has it")
		wantAlong("a message is open", w.takeAlong(w.start, 1<<20))
		w.giveBack(wantOpen)
		second := w.takeAlong(time.Time{}, 1<<20)
		wantAlong("a frame without a deadline may wait for ever", second, 7)
		w.sentAlong(second, nil)
		w.want("the last", "last was sent")

		w.giveBack(wantWire)
		for _, name := range []string{"earlier", "context", "close", "large", "fragment"} {
			w.want("those that have stayed, in their order", name+" has it")
			w.giveBack(wantWire)
		}
		w.wantIdle()
	})
}

// Whose frame somebody else is sending waits for the result, whatever bounds his own wait.
func TestWireTakenAlongWaitsForTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWireTest(t)
		w.ask("holder", wantWire, nil, bound{})
		w.ask("along", wantWire, alongFrame(opPing, 1), until(w.start.Add(time.Second)))
		list := w.takeAlong(w.start, 100)
		time.Sleep(2 * time.Second)
		w.want("it is being sent", "holder has it")
		w.sentAlong(list, nil)
		w.want("it has left", "along was sent")
		w.giveBack(wantWire)
		w.wantIdle()
	})
}

// One at a time has the wire, and one the turn; each frame is sent once, by its sender
// or by another, in each sender's order.
func TestWireExcludes(t *testing.T) {
	var w wire
	var senders sync.WaitGroup
	var holders, openers atomic.Int32
	next := make([]int, 16) // guarded by the wire
	send := func(p []byte) {
		if next[p[0]] != int(p[1]) {
			t.Errorf("sender %d: got frame %d, want %d", p[0], p[1], next[p[0]])
		}
		next[p[0]] = int(p[1]) + 1
	}
	for i := range next {
		senders.Go(func() {
			for j := range 200 {
				what, b := []want{wantWire, wantData, wantData, wantOpen}[(i+j)%4], bound{}
				if what == wantOpen {
					if !w.tryTake(wantOpen) {
						w.wait(wantOpen, nil, &b)
					}
					if n := openers.Add(1); n != 1 {
						t.Errorf("got %d who have the turn, want 1", n)
					}
					openers.Add(-1)
					w.giveBack(wantOpen)
					what = wantWire
				}
				f := frame{fin: true, opcode: opBinary, payload: []byte{byte(i), byte(j)}}
				if j%8 == 0 { // gives up at once, or has it
					late := until(time.Now())
					if _, granted, err := w.wait(what, nil, &late); err == nil || granted {
						w.giveBack(what)
					}
				}
				if !w.tryTake(what) {
					if done, _, err := w.wait(what, &f, &b); done || err != nil {
						continue
					}
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("got %d who have the wire, want 1", n)
				}
				send(f.payload)
				list := w.takeAlong(time.Time{}, 1000)
				for x := list; x != nil; x = x.next {
					send(x.frame.payload)
				}
				w.sentAlong(list, nil)
				holders.Add(-1)
				w.giveBack(what)
			}
		})
	}
	senders.Wait()
	for i, n := range next {
		if n != 200 {
			t.Errorf("sender %d: got %d frames, want 200", i, n)
		}
	}
	if s := w.state.Load(); s != 0 || w.along.Load() != 0 {
		t.Errorf("got state %b and %d to be sent along, want 0 and 0", s, w.along.Load())
	}
	if n := w.ownQueue().spares; n > maxSpares {
		t.Errorf("got %d spare requests, want at most %d", n, maxSpares)
	}
}
