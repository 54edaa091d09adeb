package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// maskBytes masks or unmasks b in place with key (RFC 6455, 5.3), beginning at
// the key's byte pos & 3. It returns the position at which the bytes that follow
// continue.
func maskBytes(b []byte, key [4]byte, pos int) int {
	next := (pos + len(b)) & 3
	if len(b) < 8 {
		for i := range b {
			b[i] ^= key[(pos+i)&3]
		}
		return next
	}

	// The key, turned so that its first byte is the one for b[0], twice in a word.
	k32 := binary.LittleEndian.Uint32(key[:])
	turn := uint(pos&3) * 8
	k32 = k32>>turn | k32<<(32-turn)
	k := uint64(k32)<<32 | uint64(k32)

	for len(b) >= 64 {
		w := b[:64:64]
		binary.LittleEndian.PutUint64(w[0:], binary.LittleEndian.Uint64(w[0:])^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		binary.LittleEndian.PutUint64(w[32:], binary.LittleEndian.Uint64(w[32:])^k)
		binary.LittleEndian.PutUint64(w[40:], binary.LittleEndian.Uint64(w[40:])^k)
		binary.LittleEndian.PutUint64(w[48:], binary.LittleEndian.Uint64(w[48:])^k)
		binary.LittleEndian.PutUint64(w[56:], binary.LittleEndian.Uint64(w[56:])^k)
		b = b[64:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	// The steps above are multiples of the key's size, so k is still in turn.
	for i := range b {
		b[i] ^= byte(k >> (uint(i) * 8))
	}
	return next
}

// maskKeys is a batch of bytes from the system's random source, spent four at a
// time. "The masking key needs to be unpredictable; thus, the masking key MUST be
// derived from a strong source of entropy" (RFC 6455, 5.3); one call to the source
// for every frame would cost more than the rest of a small frame.
type maskKeys struct {
	batch [512]byte
	used  int
}

var maskKeyPool = sync.Pool{New: func() any {
	m := new(maskKeys)
	m.used = len(m.batch)
	return m
}}

// newMaskKey returns a fresh masking key. Any goroutine may call it.
func newMaskKey() (key [4]byte) {
	m := maskKeyPool.Get().(*maskKeys)
	if m.used == len(m.batch) {
		rand.Read(m.batch[:]) // never fails: it crashes the program rather
		m.used = 0
	}
	spent := m.batch[m.used : m.used+4]
	m.used += 4
	key = [4]byte(spent)
	clear(spent)
	maskKeyPool.Put(m)
	return key
}
