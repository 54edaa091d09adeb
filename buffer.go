package websocket

import (
	"math/bits"
	"sync"
)

// Pooled buffers have a power of two of bytes between these. What asks for more
// gets the largest: a larger one would stay in the pool long after the one message
// that wanted it.
const (
	minBufferSize = 4 << 10
	maxBufferSize = 64<<10 + maxHeaderSize // for a message of 64 KiB with its header

	maxBufferClass = 4
)

// buffer is memory from the pool. Its owner has all of b.
type buffer struct {
	b   []byte
	raw rawWriter // writes a part of b
}

var bufferPools [maxBufferClass + 1]sync.Pool // 4, 8, 16, 32 and 64 KiB

// poisonBuffers makes releaseBuffer overwrite what it takes back. Tests set it, so
// that bytes show that are read from a buffer after its release.
var poisonBuffers = false

// bufferClass is the pool of the buffers of at least size bytes, as far as there is one.
func bufferClass(size int) int {
	size = min(max(size, minBufferSize), minBufferSize<<maxBufferClass)
	return bits.Len(uint(size-1)) - bits.Len(minBufferSize-1)
}

// bufferSize is the size of the buffer that acquireBuffer returns for size.
func bufferSize(size int) int { return classSize(bufferClass(size)) }

func classSize(class int) int {
	if class == maxBufferClass {
		return maxBufferSize
	}
	return minBufferSize << class
}

// acquireBuffer returns a buffer of at least size bytes, but never of more than
// maxBufferSize. Its content is arbitrary.
func acquireBuffer(size int) *buffer {
	return acquireClass(uint8(bufferClass(size)))
}

func acquireClass(class uint8) *buffer {
	if b, _ := bufferPools[class].Get().(*buffer); b != nil {
		return b
	}
	return &buffer{b: make([]byte, classSize(int(class)))}
}

func releaseBuffer(b *buffer) {
	if poisonBuffers {
		b.b[0] = 0xdb
		for n := 1; n < len(b.b); n *= 2 {
			copy(b.b[n:], b.b[:n])
		}
	}
	bufferPools[bufferClass(len(b.b))].Put(b)
}

// growBuffer returns a buffer with the bytes of old from start to end and room for n more. Old,
// which may be nil, is returned if it has the room and start is 0, else it is released.
func growBuffer(old *buffer, start, end, n int) *buffer {
	if old == nil {
		return acquireBuffer(n)
	}
	if start == 0 && end+n <= len(old.b) {
		return old
	}
	b := acquireBuffer(end - start + n)
	copy(b.b, old.b[start:end])
	releaseBuffer(old)
	return b
}
