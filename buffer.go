package websocket

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Pooled buffers have a power of two of bytes, and those of a kilobyte or more have room for the
// header of a message of that size, too.
const (
	minBufferSize     = 64
	defaultBufferSize = 4 << 10                 // where neither the program nor a message says how much
	maxBufferSize     = 64<<10 + maxHeaderSize  // for a message
	readBufferSize    = 128<<10 + maxHeaderSize // for what a descriptor has, until that has been read

	bufferClasses = 12
)

// buffer is memory from the pool. Its owner has all of b.
type buffer struct {
	b   []byte
	raw *rawWriter // writes a part of b; made on first use
}

var bufferPools [bufferClasses]sync.Pool

// poisonBuffers makes releaseBuffer overwrite what it takes back. Tests set it, so
// that bytes show that are read from a buffer after its release.
var poisonBuffers = false

// bufferClass returns the pool of the smallest buffers of at least size bytes, if there is one.
func bufferClass(size int) int {
	class := bits.Len(uint(max(size, minBufferSize)-1)) - bits.Len(minBufferSize-1)
	if class > 0 && size <= classSize(class-1) {
		class--
	}
	return min(class, bufferClasses-1)
}

func classSize(class int) int {
	size := minBufferSize << class
	if size >= 1<<10 {
		size += maxHeaderSize
	}
	return size
}

// acquireBuffer returns a buffer of at least size bytes, but never of more than readBufferSize: a
// larger one would stay in the pool long after the one message that wanted it. Its content is
// arbitrary.
func acquireBuffer(size int) *buffer {
	class := bufferClass(size)
	if b, _ := bufferPools[class].Get().(*buffer); b != nil {
		return b
	}
	return &buffer{b: make([]byte, classSize(class))}
}

func releaseBuffer(b *buffer) {
	b.poison()
	bufferPools[bufferClass(len(b.b))].Put(b)
}

// poison overwrites b, which is about to be given back.
func (b *buffer) poison() {
	if poisonBuffers {
		b.b[0] = 0xdb
		for n := 1; n < len(b.b); n *= 2 {
			copy(b.b[n:], b.b[:n])
		}
	}
}

// growBuffer returns a buffer with the bytes of old from start to end and room for n more. Old,
// which may be nil, is returned if it has the room and start is 0, else it is released.
func growBuffer(old *buffer, start, end, n int) *buffer {
	if old == nil {
		return acquireBuffer(max(n, defaultBufferSize))
	}
	if start == 0 && end+n <= len(old.b) {
		return old
	}
	b := acquireBuffer(end - start + n)
	copy(b.b, old.b[start:end])
	releaseBuffer(old)
	return b
}

// own returns what p points to, allocating it on first use. Any goroutine may call it.
func own[T any](p *atomic.Pointer[T]) *T {
	if p.Load() == nil {
		p.CompareAndSwap(nil, new(T))
	}
	return p.Load()
}

// BufferPool is the type of WriteBufferPool. A *sync.Pool is one.
type BufferPool interface {
	// Get gets a value from the pool or returns nil if the pool is empty.
	Get() any
	// Put adds a value to the pool.
	Put(any)
}
