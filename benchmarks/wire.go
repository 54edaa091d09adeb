package main

import (
	"encoding/binary"
	"math/bits"
)

// The wire format (RFC 6455, 5.2), as little of it as the load and the limits need.

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10

	finBit  = 0x80
	rsv1Bit = 0x40
	maskBit = 0x80

	maxHeader = 14
)

// frameHeader is the header of a frame.
type frameHeader struct {
	first  byte // FIN, RSV, opcode
	masked bool
	key    [4]byte
	length uint64
}

func (h *frameHeader) fin() bool   { return h.first&finBit != 0 }
func (h *frameHeader) opcode() int { return int(h.first & 0xf) }

// parseFrameHeader reads the header that b begins with, of size bytes; 0 where it is not complete.
func parseFrameHeader(b []byte) (h frameHeader, size int) {
	if len(b) < 2 {
		return h, 0
	}
	h.first, h.masked, h.length, size = b[0], b[1]&maskBit != 0, uint64(b[1]&0x7f), 2
	switch h.length {
	case 126:
		if size = 4; len(b) < size {
			return h, 0
		}
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if size = 10; len(b) < size {
			return h, 0
		}
		h.length = binary.BigEndian.Uint64(b[2:])
	}
	if h.masked {
		if len(b) < size+4 {
			return h, 0
		}
		h.key = [4]byte(b[size:])
		size += 4
	}
	return h, size
}

// serverHeaderSize is the size of the header of an unmasked frame.
func serverHeaderSize(length uint64) int {
	switch {
	case length < 126:
		return 2
	case length < 1<<16:
		return 4
	}
	return 10
}

// appendHeader appends a header without a masking key.
func appendHeader(b []byte, first byte, length uint64, mask byte) []byte {
	switch {
	case length < 126:
		return append(b, first, mask|byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, first, mask|126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, first, mask|127), length)
}

// appendClientFrame appends a masked frame.
func appendClientFrame(b []byte, first byte, payload []byte) []byte {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(appendHeader(b, first, uint64(len(payload)), maskBit), key[:]...)
	n := len(b)
	b = append(b, payload...)
	maskWords(b[n:], key)
	return b
}

// maskWords masks or unmasks b: 8 bytes a step, unrolled to 64. It is the loop of
// the limits, and the plain one that others are compared with.
func maskWords(b []byte, key [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	for len(b) >= 64 {
		p := (*[64]byte)(b)
		xorWord(p[0:8], word)
		xorWord(p[8:16], word)
		xorWord(p[16:24], word)
		xorWord(p[24:32], word)
		xorWord(p[32:40], word)
		xorWord(p[40:48], word)
		xorWord(p[48:56], word)
		xorWord(p[56:64], word)
		b = b[64:]
	}
	for len(b) >= 8 {
		xorWord(b[:8], word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(word)
		word = bits.RotateLeft64(word, -8)
	}
}

func xorWord(p []byte, word uint64) {
	binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
}

// frameCounter counts the messages in a stream of frames from a server, of which
// it reads no more than the headers.
type frameCounter struct {
	skip   uint64 // payload bytes of the current frame that are to come
	ends   bool   // the message ends with it
	part   [maxHeader]byte
	parts  int   // bytes in part, of a header that is not complete
	closed bool  // a Close frame was seen
	bytes  int64 // all bytes
}

// count takes in b and returns how many messages have ended in it.
func (c *frameCounter) count(b []byte) (messages int) {
	c.bytes += int64(len(b))
	for {
		if n := min(c.skip, uint64(len(b))); n > 0 {
			c.skip -= n
			b = b[n:]
		}
		if c.skip > 0 {
			return messages
		}
		if c.ends {
			messages++
			c.ends = false
		}
		if len(b) == 0 {
			return messages
		}
		var h frameHeader
		var size int
		if c.parts == 0 {
			h, size = parseFrameHeader(b)
			if size == 0 {
				c.parts = copy(c.part[:], b)
				return messages
			}
			b = b[size:]
		} else {
			c.part[c.parts] = b[0]
			c.parts++
			b = b[1:]
			if h, size = parseFrameHeader(c.part[:c.parts]); size == 0 {
				continue
			}
			c.parts = 0
		}
		c.skip, c.ends = h.length, h.fin() && h.opcode() < opClose
		c.closed = c.closed || h.opcode() == opClose
	}
}
