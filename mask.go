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
		w := (*[64]byte)(b)
		maskWords(part(w[0:]), part(w[0:]), k)
		maskWords(part(w[32:]), part(w[32:]), k)
		b = b[64:]
	}
	if len(b) >= 32 {
		maskWords(part(b), part(b), k)
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

// part is what maskWords masks at once. The loops take several parts in a step, since to advance a
// slice costs about as much as to mask one.
type part = *[32]byte

// maskWords masks the words of src, by the key twice in a word, into dst.
func maskWords(dst, src part, k uint64) {
	binary.LittleEndian.PutUint64(dst[0:], binary.LittleEndian.Uint64(src[0:])^k)
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:])^k)
	binary.LittleEndian.PutUint64(dst[16:], binary.LittleEndian.Uint64(src[16:])^k)
	binary.LittleEndian.PutUint64(dst[24:], binary.LittleEndian.Uint64(src[24:])^k)
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
	for len(src) >= 128 && len(dst) >= 128 {
		d, w := (*[128]byte)(dst), (*[128]byte)(src)
		maskWords(part(d[0:]), part(w[0:]), k)
		maskWords(part(d[32:]), part(w[32:]), k)
		maskWords(part(d[64:]), part(w[64:]), k)
		maskWords(part(d[96:]), part(w[96:]), k)
		dst, src = dst[128:], src[128:]
	}
	if len(src) >= 64 && len(dst) >= 64 {
		d, w := (*[64]byte)(dst), (*[64]byte)(src)
		maskWords(part(d[0:]), part(w[0:]), k)
		maskWords(part(d[32:]), part(w[32:]), k)
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
