package websocket

import (
	"bytes"
	"sync/atomic"
	"testing"
)

func TestBufferSizes(t *testing.T) {
	for _, tt := range []struct{ ask, want int }{
		{-1, 64}, {0, 64}, {1, 64}, {64, 64}, {65, 128}, {512, 512},
		{513, 1024 + 14}, {1024, 1024 + 14}, {1024 + 14, 1024 + 14}, {1024 + 15, 2048 + 14},
		{4096, 4096 + 14}, {4097 + 14, 8192 + 14}, {10000, 16384 + 14},
		{65536, maxBufferSize}, {maxBufferSize, maxBufferSize},
		{maxBufferSize + 1, readBufferSize}, {readBufferSize, readBufferSize}, {1 << 30, readBufferSize},
	} {
		for range 2 { // made, then from the pool
			b := acquireBuffer(tt.ask)
			if len(b.b) != tt.want || cap(b.b) != tt.want {
				t.Errorf("for %d: got %d of %d bytes, want %d", tt.ask, len(b.b), cap(b.b), tt.want)
			}
			releaseBuffer(b)
		}
	}
}

// A buffer that grows keeps the bytes between start and end, and is the same one if there is room behind them.
func TestGrowBuffer(t *testing.T) {
	for _, tt := range []struct {
		name               string
		old, start, end, n int
		want               int // the size
		same               bool
	}{
		{"the first, for little", 0, 0, 0, 10, 4096 + 14, false},
		{"the first, for much", 0, 0, 0, 5000, 8192 + 14, false},
		{"just enough room", 64, 0, 60, 4, 64, true},
		{"a byte too few", 64, 0, 60, 5, 128, false},
		{"bytes at the beginning that are done with", 64, 50, 60, 4, 64, false},
		{"room where all of them were kept", 64, 40, 60, 44, 64, false},
		{"all of them are done with", 128, 100, 100, 10, 64, false},
	} {
		var old *buffer
		var kept []byte
		if tt.old > 0 {
			old = acquireBuffer(tt.old)
			copy(old.b, textLike(tt.old, 1))
			kept = bytes.Clone(old.b[tt.start:tt.end])
		}
		b := growBuffer(old, tt.start, tt.end, tt.n)
		if got := b.b[:len(kept)]; len(b.b) != tt.want || (b == old) != tt.same || !bytes.Equal(got, kept) {
			t.Errorf("%s: got %d bytes, the same %v, which begin with %q, want %d, %v, %q",
				tt.name, len(b.b), b == old, got, tt.want, tt.same, kept)
		}
		releaseBuffer(b)
	}
}

func TestOwn(t *testing.T) {
	var p atomic.Pointer[int]
	if first := own(&p); first == nil || own(&p) != first {
		t.Errorf("got %p and then %p, want the same both times", first, own(&p))
	}
}

// Tests rely on it that what is given back is overwritten, to the last byte.
func TestBuffersArePoisoned(t *testing.T) {
	if !poisonBuffers {
		t.Skip("benchmarks")
	}
	b := &buffer{b: make([]byte, 100)}
	if b.poison(); !bytes.Equal(b.b, bytes.Repeat([]byte{0xdb}, 100)) {
		t.Errorf("got % x, want 0xdb everywhere", b.b)
	}
}
