//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// maskEach is RFC 6455, 5.3, word for word: "octet i of the transformed data is the
// XOR of octet i of the original data with octet at index i modulo 4 of the masking key".
func maskEach(b []byte, key [4]byte, pos int) int {
	for i := range b {
		b[i] ^= key[(pos+i)%4]
	}
	return (pos + len(b)) % 4
}

func TestMaskBytes(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	memory := make([]byte, 600)
	for i := range memory {
		memory[i] = byte(rand.Uint32())
	}
	for offset := range 8 {
		for n := range 300 {
			for pos := range 8 {
				got, want := bytes.Clone(memory), bytes.Clone(memory)
				gotPos := maskBytes(got[offset:offset+n], key, pos)
				wantPos := maskEach(want[offset:offset+n], key, pos)
				if !bytes.Equal(got, want) || gotPos != wantPos {
					t.Fatalf("%d bytes at offset %d from position %d: got % x, %d, want % x, %d", n, offset, pos, got, gotPos, want, wantPos)
				}
			}
		}
	}
}

// Copying leaves the source as it was, unless the two overlap: the copy may begin before it.
func TestMaskCopy(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	src := make([]byte, 300)
	for i := range src {
		src[i] = byte(rand.Uint32())
	}
	for n := range len(src) {
		for pos := range 4 {
			want := bytes.Clone(src[:n])
			wantPos := maskEach(want, key, pos)
			in, got := bytes.Clone(src), make([]byte, n+1)
			if gotPos := maskCopy(got[:n], in[:n], key, pos); !bytes.Equal(got[:n], want) || gotPos != wantPos || got[n] != 0 || !bytes.Equal(in, src) {
				t.Fatalf("%d bytes from position %d: got % x, %d, want % x, %d", n, pos, got, gotPos, want, wantPos)
			}
			for _, ahead := range []int{0, 1, 5, 8, 14, 64} {
				in := append(make([]byte, ahead), src[:n]...)
				if maskCopy(in[:n], in[ahead:], key, pos); !bytes.Equal(in[:n], want) {
					t.Fatalf("%d bytes, %d forward, from position %d: got % x, want % x", n, ahead, pos, in[:n], want)
				}
			}
		}
	}
}

// Masking in pieces is masking as a whole, wherever it is cut.
func FuzzMaskBytes(f *testing.F) {
	f.Add([]byte("Hello"), []byte{0x37, 0xfa, 0x21, 0x3d}, uint(2), uint(3))
	f.Fuzz(func(t *testing.T, b, k []byte, cut1, cut2 uint) {
		var key [4]byte
		copy(key[:], k)
		want := bytes.Clone(b)
		maskEach(want, key, 0)
		cut1 %= uint(len(b) + 1)
		cut2 %= uint(len(b) + 1)
		cut1, cut2 = min(cut1, cut2), max(cut1, cut2)
		pos := maskBytes(b[:cut1], key, 0)
		pos = maskBytes(b[cut1:cut2], key, pos)
		maskBytes(b[cut2:], key, pos)
		if !bytes.Equal(b, want) {
			t.Errorf("cut at %d and %d: got % x, want % x", cut1, cut2, b, want)
		}
	})
}

// RFC 6455, 10.3: keys that cannot be predicted, and a fresh one for each frame. A
// repeat among a thousand has a chance of one in 8,000; three have none.
func TestAttackMaskKeys(t *testing.T) {
	seen := make(map[[4]byte]bool)
	repeats := 0
	for range 1000 {
		key := newMaskKey()
		if seen[key] {
			repeats++
		}
		seen[key] = true
	}
	if repeats > 2 {
		t.Errorf("got %d repeated keys among 1000", repeats)
	}
}

func TestMaskingAllocatesNothing(t *testing.T) {
	b := make([]byte, 1024)
	if n := testing.AllocsPerRun(1000, func() { maskBytes(b, newMaskKey(), 0) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkMaskBytes(b *testing.B) {
	for _, size := range []int{4, 16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		for _, offset := range []int{0, 3} {
			b.Run(fmt.Sprintf("size=%d/offset=%d", size, offset), func(b *testing.B) {
				memory := make([]byte, size+offset)[offset:]
				key := newMaskKey()
				b.SetBytes(int64(size))
				for b.Loop() {
					maskBytes(memory, key, 1)
				}
			})
		}
	}
}
