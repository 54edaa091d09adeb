package main

import "testing"

// Frames are counted alike however their bytes are cut.
func TestFrameCounter(t *testing.T) {
	var stream []byte
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		stream = append(appendHeader(stream, finBit|opBinary, uint64(size), 0), make([]byte, size)...)
	}
	stream = append(appendHeader(stream, opText, 3, 0), "abc"...)                // a fragment
	stream = append(appendHeader(stream, finBit|opPing, 2, 0), "hi"...)          // a ping
	stream = append(appendHeader(stream, finBit|opContinuation, 3, 0), "def"...) // the end
	stream = appendClientFrame(stream, finBit|opText, []byte("masked"))          // as raw echoes it
	const want = 8
	for _, step := range []int{1, 2, 3, 7, 100, len(stream)} {
		var c frameCounter
		got := 0
		for b := stream; len(b) > 0; b = b[min(step, len(b)):] {
			got += c.count(b[:min(step, len(b))])
		}
		if got != want || c.bytes != int64(len(stream)) || c.closed {
			t.Errorf("%d bytes at a time: got %d messages, %d bytes, closed %v, want %d, %d, false", step, got, c.bytes, c.closed, want, len(stream))
		}
	}
	var c frameCounter
	if c.count([]byte{finBit | opClose, 0}); !c.closed {
		t.Error("a Close frame was not seen")
	}
}
