package websocket

import "testing"

func TestBufferSizes(t *testing.T) {
	for _, tt := range []struct{ ask, want int }{
		{-1, 64}, {0, 64}, {1, 64}, {64, 64}, {65, 128}, {512, 512}, {513, 1024 + 14}, {1024, 1024 + 14}, {1024 + 14, 1024 + 14},
		{1024 + 15, 2048 + 14}, {4096, 4096 + 14}, {4097 + 14, 8192 + 14}, {10000, 16384 + 14}, {65536, maxBufferSize},
		{maxBufferSize, maxBufferSize}, {maxBufferSize + 1, readBufferSize}, {readBufferSize, readBufferSize}, {1 << 30, readBufferSize},
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
