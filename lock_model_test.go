//go:build go1.25

package websocket

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// modelWaiter is one who waits, in the model.
type modelWaiter struct {
	name    string
	mode    lockMode
	until   time.Time
	size    int
	batched bool
}

// lockModel says what a lock is to do, in the simplest way.
type lockModel struct {
	busy, open bool
	queue      []modelWaiter
}

func (m *lockModel) free(mode lockMode) bool {
	return !(mode != lockMessage && m.busy || (mode == lockData || mode == lockMessage) && m.open)
}

func (m *lockModel) take(mode lockMode) {
	if mode == lockMessage {
		m.open = true
	} else {
		m.busy = true
	}
}

// step lets those go that can, and those whose time is over.
func (m *lockModel) step(now time.Time) (events []string) {
	m.queue = slices.DeleteFunc(m.queue, func(x modelWaiter) bool {
		switch {
		case m.free(x.mode):
			m.take(x.mode)
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
		if full || !x.batched || m.open && x.mode == lockData || short {
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

// playLock does what the bytes say on a lock and on its model, and compares.
func playLock(t *testing.T, script []byte) {
	w, m := newLockTest(t), &lockModel{}
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
			x := modelWaiter{name: fmt.Sprint(i), mode: []lockMode{lockFrame, lockData, lockData, lockMessage}[op], until: deadline, size: arg}
			var f *frame
			if x.batched = op != 3 && arg&4 == 0; x.batched {
				f = batchFrame(opText, x.size)
			}
			m.queue = append(m.queue, x)
			w.ask(x.name, x.mode, f, until(deadline))
		case 4:
			if m.busy {
				m.busy = false
				w.unlock(lockFrame)
			}
		case 5:
			if m.open {
				m.open = false
				w.unlock(lockMessage)
			}
		case 6:
			if m.busy {
				room := 3 * (maxHeaderSize + arg)
				expected = m.batch(deadline, room)
				if w.batchSizes(deadline, room); w.has(queued) {
					w.finishBatch(0, math.MaxInt32)
				}
			}
		case 7:
			time.Sleep(time.Duration(arg&3) * time.Second)
		}
		w.want(what, append(expected, m.step(time.Now())...)...)
		if t.Failed() {
			return
		}
	}
	for m.busy || m.open { // nobody is forgotten
		if m.busy {
			m.busy = false
			w.unlock(lockFrame)
			w.want("lock", m.step(time.Now())...)
		}
		if m.open {
			m.open = false
			w.unlock(lockMessage)
			w.want("message", m.step(time.Now())...)
		}
	}
	w.wantIdle()
}

// Whatever happens, a lock does what its model does.
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
		synctest.Test(t, func(t *testing.T) { playLock(t, script[:min(len(script), 200)]) })
	})
}
