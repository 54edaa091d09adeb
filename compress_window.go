package websocket

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// window holds the last bytes of all messages in one direction, as many as a distance may reach back.
type window struct {
	size int     // bytes that it may hold, a power of two
	b    []byte  // grows up to size; then it is a ring
	next int     // where in the ring the next byte goes
	buf  *buffer // that b lies in, or nil
}

// windowPools are the pools of memory for windows, by the base-2 logarithm of its size.
var windowPools [maxWindowBits + 1]sync.Pool

func (w *window) len() int { return len(w.b) }

// put adds p at the end.
func (w *window) put(p []byte) {
	p = p[max(0, len(p)-w.size):]
	if n := min(len(p), w.size-len(w.b)); n > 0 {
		if len(w.b)+n > cap(w.b) {
			w.grow(len(w.b) + n)
		}
		w.b = append(w.b, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(w.b[w.next:], p)
		w.next = (w.next + n) & (w.size - 1)
		p = p[n:]
	}
}

// grow makes room for n bytes in all, which are size at most.
func (w *window) grow(n int) {
	class := max(bits.Len(uint(n-1)), minWindowBits)
	buf, _ := windowPools[class].Get().(*buffer)
	if buf == nil {
		buf = &buffer{b: make([]byte, 1<<class)}
	}
	b := buf.b[:copy(buf.b, w.b)]
	w.drop()
	w.b, w.buf = b, buf
}

// from returns bytes that begin back bytes before the end: those up to the end, or up to where the
// memory ends.
func (w *window) from(back int) []byte {
	end := w.next
	if end == 0 {
		end = len(w.b)
	}
	if back <= end {
		return w.b[end-back : end]
	}
	return w.b[end-back+len(w.b):]
}

// drop empties w and gives its memory back.
func (w *window) drop() {
	if w.buf != nil {
		w.buf.poison()
		windowPools[bits.Len(uint(len(w.buf.b)-1))].Put(w.buf)
		w.b, w.next, w.buf = nil, 0, nil
	}
}

// loan makes sure that a codec is given back once, and counts those that are not.
type loan bool

// codecsOnLoan is the number of codecs that were acquired and not released.
var codecsOnLoan atomic.Int64

func (l *loan) begin() {
	*l = true
	codecsOnLoan.Add(1)
}

func (l *loan) end() {
	if !*l {
		panic("websocket: BUG: release of a codec that was released before")
	}
	*l = false
	codecsOnLoan.Add(-1)
}

const (
	minWindowBits = 8
	maxWindowBits = 15
)
