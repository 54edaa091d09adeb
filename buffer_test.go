package websocket

import "testing"

func TestBufferSizes(t *testing.T) {
	for _, tt := range []struct{ ask, want int }{
		{0, 4096}, {1, 4096}, {4096, 4096}, {4097, 8192}, {10000, 16384}, {16385, 32768},
		{32769, maxBufferSize}, {65536, maxBufferSize}, {65537, maxBufferSize}, {1 << 30, maxBufferSize}, {-1, 4096},
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
