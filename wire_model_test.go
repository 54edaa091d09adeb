//go:build go1.25

package websocket

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// modelWaiter is one who waits, in the model.
type modelWaiter struct {
	name  string
	want  want
	until time.Time
	size  int
	along bool
}

// wireModel says what a wire is to do, in the simplest way.
type wireModel struct {
	busy, open bool
	queue      []modelWaiter
}

func (m *wireModel) free(what want) bool {
	return !(what != wantOpen && m.busy || what != wantWire && m.open)
}

func (m *wireModel) take(what want) {
	if what == wantOpen {
		m.open = true
	} else {
		m.busy = true
	}
}

// step lets those go who can, and those whose time is up.
func (m *wireModel) step(now time.Time) (events []string) {
	m.queue = slices.DeleteFunc(m.queue, func(x modelWaiter) bool {
		switch {
		case m.free(x.want):
			m.take(x.want)
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

// along is takeAlong.
func (m *wireModel) along(deadline time.Time, room int) (events []string) {
	full := false
	m.queue = slices.DeleteFunc(m.queue, func(x modelWaiter) bool {
		short := !x.until.IsZero() && (deadline.IsZero() || x.until.Before(deadline))
		if full || !x.along || m.open && x.want == wantData || short {
			return false
		}
		room -= maxHeaderSize + x.size
		if full = room < 0; !full {
			events = append(events, x.name+" was sent")
		}
		return !full
	})
	return events
}

// playWire does what the bytes say on a wire and on its model, and compares.
func playWire(t *testing.T, script []byte) {
	w, m := newWireTest(t), &wireModel{}
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
			x := modelWaiter{name: fmt.Sprint(i), want: []want{wantWire, wantData, wantData, wantOpen}[op], until: deadline, size: arg}
			var f *frame
			if x.along = op != 3 && arg&4 == 0; x.along {
				f = alongFrame(opText, x.size)
			}
			m.queue = append(m.queue, x)
			w.ask(x.name, x.want, f, until(deadline))
		case 4:
			if m.busy {
				m.busy = false
				w.giveBack(wantWire)
			}
		case 5:
			if m.open {
				m.open = false
				w.giveBack(wantOpen)
			}
		case 6:
			if m.busy {
				room := 3 * (maxHeaderSize + arg)
				expected = m.along(deadline, room)
				w.sentAlong(w.takeAlong(deadline, room), nil)
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
			w.giveBack(wantWire)
			w.want("wire", m.step(time.Now())...)
		}
		if m.open {
			m.open = false
			w.giveBack(wantOpen)
			w.want("turn", m.step(time.Now())...)
		}
	}
	w.wantIdle()
}

// Whatever happens, a wire does what its model does.
func FuzzWire(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		script := make([]byte, 60)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) { playWire(t, script[:min(len(script), 200)]) })
	})
}
