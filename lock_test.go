//go:build go1.25

package websocket

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lockTest is a lock and callers that want it, each by a name.
type lockTest struct {
	lock
	t      *testing.T
	events []string // what has happened since they were looked at
	mu     sync.Mutex
}

// playLocks runs a script on a lock, which is to be free and forgotten by all in the end.
func playLocks(t *testing.T, script func(w *lockTest)) {
	synctest.Test(t, func(t *testing.T) {
		w := &lockTest{t: t}
		script(w)
		w.want("at the end")
		if s := w.state.Load(); s != 0 {
			t.Errorf("got state %b, want 0", s)
		}
		if q := w.queue.Load(); q != nil && (q.first != nil || q.last != nil) {
			t.Error("somebody is still in the queue")
		}
	})
}

func (w *lockTest) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

// ask has a caller wait for the lock, and note the result.
func (w *lockTest) ask(name string, mode lockMode, f *frame, l limit) {
	go func() {
		switch written, err := w.acquire(mode, f, &l); {
		case written:
			w.note("%s was written", name)
		case err != nil:
			w.note("%s gave up: %v", name, err)
		default:
			w.note("%s has it", name)
		}
	}()
	synctest.Wait()
}

// unlock gives back what the mode has been granted.
func (w *lockTest) unlock(mode lockMode) {
	if mode == modeMessage {
		w.endMessage()
	} else {
		w.release(false)
	}
}

// want checks what has happened.
func (w *lockTest) want(reason string, want ...string) {
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

// A flush adds no frame, so it goes before those that wait to write one. FuzzLock has the order of the others.
func TestLockFlushGoesFirst(t *testing.T) {
	playLocks(t, func(w *lockTest) {
		w.ask("holder", modeFrame, nil, limit{})
		w.ask("data", modeData, nil, limit{})
		w.ask("flush", modeFlush, nil, limit{})
		w.unlock(modeFrame)
		w.want("first", "holder has it", "flush has it")
		w.unlock(modeFlush)
		w.want("then", "data has it")
		w.unlock(modeData)
	})
}

// batchFrame returns a frame that may be written in a batch.
func batchFrame(op opcode, size int) *frame {
	return &frame{fin: true, opcode: op, payload: make([]byte, size)}
}

// batchSizes calls takeBatch for an outbox with room for a number of bytes, and returns the sizes of
// the payloads. Each frame has ten bytes there.
func (w *lockTest) batchSizes(deadline time.Time, room int) (sizes []int) {
	if !w.has(stateQueued) {
		return nil
	}
	w.takeBatch(deadline, func(f *frame) (end int32) {
		if room -= f.size(); room < 0 {
			return 0
		}
		sizes = append(sizes, len(f.payload))
		return int32(10 * len(sizes))
	})
	return sizes
}

// The holder of the lock writes the frames of those that wait, where that does them no harm. FuzzLock has what
// deadlines and a lack of room make of that.
func TestLockBatch(t *testing.T) {
	playLocks(t, func(w *lockTest) {
		ctx, cancel := context.WithCancel(w.t.Context())
		defer cancel()
		w.ask("holder", modeFrame, nil, limit{})
		w.ask("one", modeData, batchFrame(opText, 1), limit{})
		w.ask("context", modeData, batchFrame(opText, 5), limit{ctx: ctx})
		w.ask("close", modeFrame, batchFrame(opClose, 6), limit{})
		w.ask("large", modeData, batchFrame(opText, maxCopied), limit{})
		w.ask("fragment", modeFrame, nil, limit{})
		w.ask("two", modeFrame, batchFrame(opPing, 2), limit{})
		w.ask("three", modeData, batchFrame(opText, 3), limit{})
		w.want("all wait", "holder has it")

		batch := func(written, begun int32, reason string, sizes []int, want ...string) {
			w.t.Helper()
			if got := w.batchSizes(time.Time{}, 1<<20); !slices.Equal(got, sizes) {
				w.t.Errorf("%s: got a batch of %v, want %v", reason, got, sizes)
			}
			w.want("nobody knows yet")
			if got := w.finishBatch(0, written); got != begun {
				w.t.Errorf("%s: got a frame that has begun until %d, want %d", reason, got, begun)
			}
			w.want(reason, want...)
		}
		batch(10, 10, "the first has left, and none has begun", []int{1, 2, 3}, "one was written")
		batch(1, 10, "the next has begun", []int{2, 3}, "two was written")
		batch(0, 0, "nothing has left", []int{3})
		w.unlock(modeFrame)
		for _, name := range []string{"context", "close", "large", "fragment", "three"} {
			w.want("those that have stayed, in their order", name+" has it")
			w.unlock(modeFrame)
		}
	})
}

// The lock is not released while frames lie in the outbox that are not corked.
func TestLockReleaseWithUnsentFrames(t *testing.T) {
	for _, tt := range []struct {
		state    uint32
		released bool
		why      string
	}{
		{0, false, "frames would lie there for ever"},
		{stateCorked, true, "the frames are corked"},
		{stateMoreInput, true, "the frames wait for the end of a burst"},
		{stateCorked | stateEnded, false, "it is closed"},
		{stateMoreInput | stateEnded, false, "it is closed"},
	} {
		var k lock
		k.state.Store(tt.state | stateLocked)
		if got := k.release(true); got != tt.released || k.has(stateLocked) == got {
			t.Errorf("got the lock released %v, want %v: %s", got, tt.released, tt.why)
		}
	}
}

// A caller whose frame the holder is writing waits for the result, whatever its limit. If the
// frame comes back, the limit ends the wait, and the end of the direction does.
func TestLockBatchOutlastsALimit(t *testing.T) {
	for _, tt := range []struct {
		left  int32
		fails bool
		want  []string
	}{
		{20, false, []string{"one was written", "two was written"}},
		{10, false, []string{"one was written", "two gave up: websocket: write timeout"}},
		{0, false, []string{"one gave up: websocket: write timeout", "two gave up: websocket: write timeout"}},
		{10, true, []string{"one was written", "two gave up: mine"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &lockTest{t: t}
			deadline := time.Now().Add(time.Second)
			w.ask("holder", modeFrame, nil, limit{})
			w.ask("one", modeFrame, batchFrame(opPing, 1), until(deadline))
			w.ask("two", modeFrame, batchFrame(opPing, 2), until(deadline))
			w.batchSizes(deadline.Add(-time.Second), 100)
			time.Sleep(2 * time.Second)
			if tt.fails {
				w.end(phaseFailed, errMine, nil)
			}
			w.want("they are being written", "holder has it")
			w.finishBatch(0, tt.left)
			w.want(fmt.Sprint(tt.left, " bytes have left"), tt.want...)
		})
	}
}

// One goroutine at a time has the lock, also where others give up at that moment. TestBatch and
// TestManyWritersOfACompressedConnection have the order of frames.
func TestLockExcludes(t *testing.T) {
	var k lock
	var holders atomic.Int32
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 500 {
				for _, l := range []limit{until(time.Now()), {}} { // the first gives up at once, or has it
					if _, err := k.acquire(modeFrame, nil, &l); err != nil {
						continue
					}
					if holders.Add(1) != 1 {
						t.Error("got several that have the lock, want one")
					}
					holders.Add(-1)
					k.release(false)
				}
			}
		})
	}
	callers.Wait()
	if s := k.state.Load(); s != 0 {
		t.Errorf("got state %b, want 0", s)
	}
}

// A caller does not yield to one that has given up, or to anybody once the direction has ended.
func TestYieldToNobody(t *testing.T) {
	for _, over := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var k lock
			k.tryAcquire(modeDrain)
			if over {
				k.end(phaseFailed, errMine, nil)
			}
			_, err := k.yield(modeDrain, func() bool { return over }, time.Time{}, &noLimit)
			if err != nil || k.tryAcquire(modeDrain) {
				t.Errorf("got %v, want the lock back at once", err)
			}
		})
	}
}

// modelWaiter is one who waits, in the model.
type modelWaiter struct {
	name      string
	mode      lockMode
	until     time.Time
	size      int
	batchable bool
}

// lockModel says what a lock is to do, in the simplest way.
type lockModel struct {
	busy, open bool
	queue      []modelWaiter
}

// try lets a caller go if it can.
func (m *lockModel) try(mode lockMode) bool {
	message := mode == modeMessage
	if !message && m.busy || m.open && (message || mode == modeData) {
		return false
	}
	m.busy, m.open = m.busy || !message, m.open || message
	return true
}

// step lets those go that can, and those whose time is over.
func (m *lockModel) step(now time.Time) (events []string) {
	m.queue = slices.DeleteFunc(m.queue, func(x modelWaiter) bool {
		switch {
		case m.try(x.mode):
			events = append(events, x.name+" has it")
		case !x.until.IsZero() && !now.Before(x.until):
			events = append(events, x.name+" gave up: websocket: write timeout")
		default:
			return false
		}
		return true
	})
	return events
}

// batch is batchSizes, and finishBatch after a write that went well.
func (m *lockModel) batch(deadline time.Time, room int) (events []string) {
	full := false
	m.queue = slices.DeleteFunc(m.queue, func(x modelWaiter) bool {
		short := !x.until.IsZero() && (deadline.IsZero() || x.until.Before(deadline))
		if full || !x.batchable || m.open && x.mode == modeData || short {
			return false
		}
		room -= maxHeaderSize + x.size
		if full = room < 0; !full {
			events = append(events, x.name+" was written")
		}
		return !full
	})
	return events
}

// play does what the bytes say on a lock and on its model, and compares.
func (w *lockTest) play(script []byte) {
	m := &lockModel{}
	for i, b := range script {
		var expected []string
		arg := int(b >> 3)
		var deadline time.Time
		if arg&8 != 0 {
			deadline = time.Now().Add(time.Duration(arg&3+1) * time.Second)
		}
		what := fmt.Sprintf("step %d, %#x", i, b)
		switch op := b & 7; op {
		case 0, 1, 2, 3: // somebody asks
			mode := []lockMode{modeFrame, modeData, modeData, modeMessage}[op]
			x := modelWaiter{name: fmt.Sprint(i), mode: mode, until: deadline, size: arg}
			var f *frame
			if x.batchable = op != 3 && arg&4 == 0; x.batchable {
				f = batchFrame(opText, x.size)
			}
			m.queue = append(m.queue, x)
			w.ask(x.name, x.mode, f, until(deadline))
		case 4:
			if m.busy {
				m.busy = false
				w.unlock(modeFrame)
			}
		case 5:
			if m.open {
				m.open = false
				w.unlock(modeMessage)
			}
		case 6:
			if m.busy {
				room := 3 * (maxHeaderSize + arg)
				expected = m.batch(deadline, room)
				if w.batchSizes(deadline, room); w.has(stateQueued) {
					w.finishBatch(0, math.MaxInt32)
				}
			}
		case 7:
			time.Sleep(time.Duration(arg&3) * time.Second)
		}
		w.want(what, append(expected, m.step(time.Now())...)...)
		if w.t.Failed() {
			return
		}
	}
	for m.busy || m.open { // nobody is forgotten
		mode := modeMessage
		if m.busy {
			mode = modeFrame
		}
		m.busy, m.open = false, m.open && mode == modeFrame
		w.unlock(mode)
		w.want("at the end", m.step(time.Now())...)
	}
}

// Whatever happens, a lock does what its model does: those who can go do so in the order of their calls. RFC 6455, 5.4:
// control frames may be injected in the middle of a fragmented message, other messages must not.
func FuzzLock(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		script := make([]byte, 60)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		playLocks(t, func(w *lockTest) { w.play(script[:min(len(script), 200)]) })
	})
}
