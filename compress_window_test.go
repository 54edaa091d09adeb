package websocket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A window is the last bytes of all that was put there, in memory of no more bytes than it may have.
func TestWindow(t *testing.T) {
	skipRace(t)
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		size := 1 << bits
		random := rand.New(rand.NewPCG(uint64(bits), 0))
		for range 10 {
			w := window{size: size}
			var all []byte
			for i := range 40 {
				sizes := []int{0, 1, random.IntN(100), random.IntN(size), size - 1, size, size + 1, random.IntN(3 * size)}
				p := noise(min(sizes[random.IntN(8)], 20_000), uint64(i))
				all = append(all, p...)
				all = all[max(0, len(all)-size):]
				w.put(p)
				var got []byte
				for back := w.len(); back > 0; back = len(all) - len(got) {
					got = append(got, w.from(back)...)
				}
				if !bytes.Equal(got, all) {
					t.Fatalf("%d bits: got a window of %d bytes, want the last %d", bits, len(got), len(all))
				}
				if cap(w.b) > size {
					t.Fatalf("%d bits: got a window in %d bytes of memory, want at most %d", bits, cap(w.b), size)
				}
			}
			if w.drop(); w.len() > 0 || w.buf != nil {
				t.Errorf("got %d bytes of a window that was given up", w.len())
			}
		}
	}
}

// Many small messages do not each allocate a window.
func TestWindowAllocates(t *testing.T) {
	p := make([]byte, 10)
	n := testing.AllocsPerRun(1, func() {
		w := window{size: 1 << 15}
		for range 10_000 {
			w.put(p)
		}
	})
	if n > 16 {
		t.Errorf("got %v allocations, want at most two each time that it doubles", n)
	}
}

// What is released twice would have two owners.
func TestSecondReleaseOfACodecPanics(t *testing.T) {
	for name, release := range map[string]func(){
		"deflater": func() { d := acquireDeflater(1, 15); releaseDeflater(d); releaseDeflater(d) },
		"inflater": func() { z := acquireInflater(nil); releaseInflater(z); releaseInflater(z) },
	} {
		func() {
			before := codecsOnLoan.Load()
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "BUG") {
					t.Errorf("%s: got %q, want a panic that says BUG", name, text)
				}
				if n := codecsOnLoan.Load(); n != before {
					t.Errorf("%s: got %d codecs on loan, want %d", name, n, before)
				}
			}()
			release()
		}()
	}
}

// What windows of each size cost, in both directions.
func BenchmarkWindow(b *testing.B) {
	for _, size := range []int{2 << 10, 64 << 10} {
		messages := benchMessages(size)
		for bits := minWindowBits; bits <= maxWindowBits; bits++ {
			name := fmt.Sprintf("size=%d/bits=%d", size, bits)
			b.Run("deflate/"+name, func(b *testing.B) { benchDeflate(b, messages, takeoverLevel, bits, true) })
			d := acquireDeflater(takeoverLevel, bits)
			var payloads [][]byte
			for _, m := range messages {
				p, _ := d.message(nil, m)
				d.sent(m)
				payloads = append(payloads, p)
			}
			releaseDeflater(d)
			b.Run("inflate/"+name, func(b *testing.B) { benchInflate(b, payloads, size, bits, true) })
		}
	}
}
