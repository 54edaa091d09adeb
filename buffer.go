package websocket

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// The size of a pooled buffer is a power of two; a buffer of a kilobyte or more also has room for
// the header of a message of that size.
const (
	minBufferSize     = 64
	defaultBufferSize = 4 << 10
	maxBufferSize     = 64<<10 + maxHeaderSize  // for a message
	readBufferSize    = 128<<10 + maxHeaderSize // for one read from a descriptor

	bufferClasses = 12
)

// buffer is memory from a pool. Its owner may use all of b.
type buffer struct {
	b   []byte
	raw *rawWriter // for writing a part of b; made on first use
}

var bufferPools [bufferClasses]sync.Pool

// poisonBuffers makes releaseBuffer overwrite released buffers. Tests set it to detect
// reads from a buffer after its release.
var poisonBuffers = false

// bufferClass returns the class of the smallest buffers of at least size bytes, or the largest class.
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
// larger one would stay in the pool long after the message that needed it. Its content is
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

// poison overwrites b before its release.
func (b *buffer) poison() {
	if poisonBuffers {
		b.b[0] = 0xdb
		for n := 1; n < len(b.b); n *= 2 {
			copy(b.b[n:], b.b[:n])
		}
	}
}

// growBuffer returns a buffer with the bytes old.b[start:end] and room for n more. It returns old,
// which may be nil, if that has the room and start is 0; else it releases old.
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
