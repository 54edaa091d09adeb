package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"sync"
)

// maskBytes masks or unmasks b in place with key (RFC 6455, 5.3), beginning at
// the key's byte pos & 3. It returns the position at which the bytes that follow
// continue.
func maskBytes(b []byte, key [4]byte, pos int) int {
	next := (pos + len(b)) & 3
	k := maskWord(key, pos)
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
	if len(b) >= 32 {
		w := b[:32:32]
		binary.LittleEndian.PutUint64(w[0:], binary.LittleEndian.Uint64(w[0:])^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	// The steps above are multiples of the key's size, so k is still in turn.
	if len(b) >= 4 {
		binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)^uint32(k))
		b = b[4:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k >>= 8
	}
	return next
}

// maskWord is the key, turned so that its first byte is the one at pos, twice in a word.
func maskWord(key [4]byte, pos int) uint64 {
	k := binary.LittleEndian.Uint32(key[:])
	k = bits.RotateLeft32(k, -8*(pos&3))
	return uint64(k)<<32 | uint64(k)
}

// maskCopy is maskBytes from src into dst, which has the same length, and does not overlap
// src or begins before it.
func maskCopy(dst, src []byte, key [4]byte, pos int) int {
	next := (pos + len(src)) & 3
	dst = dst[:len(src)]
	k := maskWord(key, pos)
	for len(src) >= 64 && len(dst) >= 64 {
		d, s := dst[:64:64], src[:64:64]
		binary.LittleEndian.PutUint64(d[0:], binary.LittleEndian.Uint64(s[0:])^k)
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(s[8:])^k)
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(s[16:])^k)
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(s[24:])^k)
		binary.LittleEndian.PutUint64(d[32:], binary.LittleEndian.Uint64(s[32:])^k)
		binary.LittleEndian.PutUint64(d[40:], binary.LittleEndian.Uint64(s[40:])^k)
		binary.LittleEndian.PutUint64(d[48:], binary.LittleEndian.Uint64(s[48:])^k)
		binary.LittleEndian.PutUint64(d[56:], binary.LittleEndian.Uint64(s[56:])^k)
		dst, src = dst[64:], src[64:]
	}
	for len(src) >= 8 && len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^k)
		dst, src = dst[8:], src[8:]
	}
	if len(src) >= 4 && len(dst) >= 4 {
		binary.LittleEndian.PutUint32(dst, binary.LittleEndian.Uint32(src)^uint32(k))
		dst, src = dst[4:], src[4:]
	}
	for i := range src {
		dst[i] = src[i] ^ byte(k)
		k >>= 8
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
