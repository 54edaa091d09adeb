package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"
)

// benchMessages are messages of the size that resemble each other.
func benchMessages(size int) (list [][]byte) {
	for i := range 100 {
		list = append(list, textLike(size, uint64(i)))
	}
	return list
}

// eachBenchmark runs a benchmark for messages of some sizes, with context takeover and without.
func eachBenchmark(b *testing.B, run func(b *testing.B, messages [][]byte, takeover bool)) {
	for _, size := range []int{256, 2 << 10, 32 << 10} {
		messages := benchMessages(size)
		for _, takeover := range []bool{false, true} {
			b.Run(fmt.Sprintf("size=%d/takeover=%t", size, takeover), func(b *testing.B) { run(b, messages, takeover) })
		}
	}
}

// What compressing takes, and what compress/flate takes for it.
func BenchmarkDeflate(b *testing.B) {
	for _, level := range []int{1, 2, 6} {
		b.Run(fmt.Sprintf("level=%d", level), func(b *testing.B) {
			eachBenchmark(b, func(b *testing.B, messages [][]byte, takeover bool) {
				b.Run("codec=websocket", func(b *testing.B) {
					d := acquireDeflater(level, maxWindowBits)
					defer releaseDeflater(d)
					var out []byte
					for i := range b.N {
						m := messages[i%len(messages)]
						if !takeover {
							d.restart()
						}
						if out, _ = d.message(out[:0], m); takeover {
							d.sent(m)
						}
					}
				})
				b.Run("codec=flate", func(b *testing.B) {
					w, _ := flate.NewWriter(io.Discard, level)
					for i := range b.N {
						if !takeover {
							w.Reset(io.Discard)
						}
						w.Write(messages[i%len(messages)])
						w.Flush()
					}
				})
			})
		})
	}
}

// What decompressing takes, and what compress/flate takes for it.
func BenchmarkInflate(b *testing.B) {
	eachBenchmark(b, func(b *testing.B, messages [][]byte, takeover bool) {
		var payloads [][]byte
		var compressed bytes.Buffer
		flater, _ := flate.NewWriter(&compressed, 6)
		for _, m := range messages {
			if !takeover {
				flater.Reset(&compressed)
			}
			compressed.Reset()
			flater.Write(m)
			flater.Flush()
			payloads = append(payloads, bytes.Clone(compressed.Bytes()[:compressed.Len()-len(deflateTail)]))
		}
		out := make([]byte, 64<<10)
		b.Run("codec=websocket", func(b *testing.B) {
			w := &window{size: 1 << maxWindowBits}
			for i := range b.N {
				if i%len(payloads) == 0 {
					w.drop()
				}
				z := acquireInflater(w)
				n, _, _ := z.inflate(out, 0, payloads[i%len(payloads)])
				if n, _, _ = z.inflate(out, n, inflateTail); n != len(messages[0]) {
					b.Fatalf("got %d bytes", n)
				}
				if releaseInflater(z); takeover {
					w.put(out[:n])
				}
			}
		})
		b.Run("codec=flate", func(b *testing.B) {
			r := flate.NewReader(nil)
			var before []byte
			for i := range b.N {
				if i%len(payloads) == 0 {
					before = before[:0]
				}
				in := io.MultiReader(bytes.NewReader(payloads[i%len(payloads)]), strings.NewReader(deflateTail+"\x01\x00\x00\xff\xff"))
				r.(flate.Resetter).Reset(in, before)
				n, err := io.ReadFull(r, out[:len(messages[0])+1])
				if n != len(messages[0]) {
					b.Fatalf("got %d bytes, %v", n, err)
				}
				if takeover {
					before = append(before, out[:n]...)
					before = before[max(0, len(before)-1<<maxWindowBits):]
				}
			}
		})
	})
}

// What windows of each size cost, in both directions.
func BenchmarkWindow(b *testing.B) {
	for _, size := range []int{2 << 10, 64 << 10} {
		messages := benchMessages(size)
		for bits := minWindowBits; bits <= maxWindowBits; bits++ {
			name := fmt.Sprintf("size=%d/bits=%d", size, bits)
			var payloads [][]byte
			b.Run("deflate/"+name, func(b *testing.B) {
				d := acquireDeflater(takeoverLevel, bits)
				defer releaseDeflater(d)
				var out []byte
				for i := range b.N {
					m := messages[i%len(messages)]
					out, _ = d.message(out[:0], m)
					d.sent(m)
				}
			})
			d := acquireDeflater(takeoverLevel, bits)
			for _, m := range messages {
				p, _ := d.message(nil, m)
				d.sent(m)
				payloads = append(payloads, p)
			}
			releaseDeflater(d)
			b.Run("inflate/"+name, func(b *testing.B) {
				w := &window{size: 1 << bits}
				out := make([]byte, size)
				for i := range b.N {
					if i%len(payloads) == 0 {
						w.drop()
					}
					z := acquireInflater(w)
					n, _, _ := z.inflate(out, 0, payloads[i%len(payloads)])
					if n, _, _ = z.inflate(out, n, inflateTail); n != size {
						b.Fatalf("got %d bytes", n)
					}
					releaseInflater(z)
					w.put(out)
				}
			})
		}
	}
}
