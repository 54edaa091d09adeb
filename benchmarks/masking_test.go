package main

import (
	"testing"

	"github.com/gobwas/ws"
)

// BenchmarkMask compares the loops that can be called: that of the limits, in plain
// Go, and gobwas's, in assembly. This library's own is in the root:
// go test -bench Mask there.
func BenchmarkMask(b *testing.B) {
	loops := []struct {
		name string
		mask func([]byte, [4]byte)
	}{
		{"plain", maskWords},
		{"gobwas", func(p []byte, key [4]byte) { ws.Cipher(p, key, 0) }},
	}
	for _, l := range loops {
		for _, size := range []int{4, 16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20} {
			b.Run("lib="+l.name+"/size="+shortSize(size), func(b *testing.B) {
				p := make([]byte, size)
				b.SetBytes(int64(size))
				for b.Loop() {
					l.mask(p, [4]byte{1, 2, 3, 4})
				}
			})
		}
	}
}

// The limits' loop must be right: RFC 6455, 5.3.
func TestMaskWords(t *testing.T) {
	key := [4]byte{1, 2, 4, 8}
	for size := range 200 {
		p := payload(size)
		want := payload(size)
		for i := range want {
			want[i] ^= key[i%4]
		}
		if maskWords(p, key); string(p) != string(want) {
			t.Fatalf("%d bytes: got %x, want %x", size, p, want)
		}
	}
}
