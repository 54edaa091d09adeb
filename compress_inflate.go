package websocket

import (
	"encoding/binary"
	"sync"
)

const (
	// fastInput and fastRoom are the bytes of input and of room that a round of inflater.fast needs:
	// it loads two words, and writes two literals and a match of 258 bytes, in words.
	fastInput = 16
	fastRoom  = 276

	// maxSymbolBits is the size of the largest symbol: a length and a distance, with their extra bits.
	maxSymbolBits = 15 + 5 + 15 + 13
)

// deflateTail is what ends a message that was flushed, and is not sent: an empty block
// without compression (RFC 7692, 7.2.1).
const deflateTail = "\x00\x00\xff\xff"

// inflateTail is deflateTail, which the receiver appends to the message again (7.2.2).
var inflateTail = []byte(deflateTail)

var errCorruptMessage = &protocolError{CloseInvalidFramePayloadData, "compressed message is corrupt"}

// inflater decompresses a message as it arrives (RFC 1951). It can be interrupted at every byte of
// what comes in and of what comes out.
//
// Its whole state between two calls of inflate is here and in the window. A code with its extra bits,
// or a length with its distance, is decoded only once all of its bits have been loaded.
type inflater struct {
	loan  loan
	state blockState
	final bool // BFINAL of the current block
	full  bool // the last call of inflate stopped because p was full

	in   []byte // during inflate, the input that has not been loaded
	bits uint64 // loaded and not decoded, the next one lowest
	n    uint   // number of bits; those above them are zero

	length   int // bytes left of the stored block, or of the match
	distance int // of the match
	window   *window

	// The codes of the current block.
	literals  *literalTable
	distances *distanceTable
	own       tables // of a block with codes of its own

	// The lengths of the codes, while they are being decoded.
	nLengths, nLiterals, nDistances int
	have                            int // number decoded so far
	lengths                         [maxLiterals + maxDistances]uint8
	order                           [fixedLiterals]uint16 // memory for buildTable

	// Of the message.
	total int64  // bytes decompressed
	plain int    // bytes at the beginning of recv.b that are already unmasked
	tail  []byte // the rest of inflateTail
}

// blockState says what of a block comes next.
type blockState uint8

const (
	blockHeader  blockState = iota // of the next block
	blockFinal                     // the same behind a block with BFINAL set, or the end
	storedHeader                   // the length of a stored block
	storedData
	codesHeader // how many codes there are
	codeLengths // the code of the lengths of the codes
	codes       // the lengths of the codes
	symbols     // literals and matches
	match       // the rest of a match
)

var inflaterPool = sync.Pool{New: func() any { return new(inflater) }}

// acquireInflater returns an inflater for a message that may refer to the bytes in w.
func acquireInflater(w *window) *inflater {
	z := inflaterPool.Get().(*inflater)
	z.loan.begin()
	z.window, z.tail = w, inflateTail
	return z
}

func releaseInflater(z *inflater) {
	z.loan.end()
	z.state, z.final, z.full = blockHeader, false, false
	z.bits, z.n = 0, 0
	z.window, z.literals, z.distances = nil, nil, nil
	z.total, z.plain = 0, 0
	inflaterPool.Put(z)
}

// ended reports whether the input so far is a complete message: it stops at the end of a block, after
// the tail or, behind a block with BFINAL set, without it (RFC 7692, 7.2.2 and 7.2.3.4).
func (z *inflater) ended() bool {
	switch z.state {
	case blockHeader:
		return z.n == 0 && len(z.tail) == 0
	case blockFinal:
		return z.n == 0 && (len(z.tail) == 0 || len(z.tail) == len(deflateTail))
	}
	return false
}

// inflate decompresses from in into p[n:]. The history is the window followed by p[:n]. It returns the
// new n and the number of bytes of in that it consumed: all of them unless z.full is set, because p was
// full. An error is final.
func (z *inflater) inflate(p []byte, n int, in []byte) (m, taken int, err error) {
	z.in, z.full = in, false
	for more := true; more && err == nil; {
		switch z.state {
		case blockHeader, blockFinal:
			more, err = z.header()
		case storedHeader:
			more, err = z.storedHeader()
		case storedData:
			n, more = z.stored(p, n)
		case codesHeader:
			more, err = z.codesHeader()
		case codeLengths:
			more, err = z.codeLengths()
		case codes:
			more, err = z.codes()
		case symbols:
			n, more, err = z.symbols(p, n)
		case match:
			n, more = z.match(p, n)
		}
	}
	taken = len(in) - len(z.in)
	z.in = nil
	return n, taken, err
}

// need loads bits until there are at least n, and reports whether there are.
func (z *inflater) need(n uint) bool {
	if z.n < n && len(z.in) >= 8 {
		z.in, z.bits, z.n = refill(z.in, z.bits, z.n)
		z.bits &= 1<<z.n - 1
	}
	for z.n < n {
		if len(z.in) == 0 {
			return false
		}
		z.bits |= uint64(z.in[0]) << z.n
		z.in = z.in[1:]
		z.n += 8
	}
	return true
}

// refill loads bits, of which there are n, from the eight bytes or more of in: as many whole bytes as
// have room. Bits above those counted may be set, to what the bytes behind have there.
func refill(in []byte, b uint64, n uint) ([]byte, uint64, uint) {
	b |= binary.LittleEndian.Uint64(in) << (n & 63)
	return in[(63-n)>>3&7:], b, n | 56
}

// take returns the next n bits, which have been loaded.
func (z *inflater) take(n uint) int {
	v := z.bits & (1<<n - 1)
	z.bits >>= n
	z.n -= n
	return int(v)
}

// header decodes the header of a block (RFC 1951, 3.2.3).
func (z *inflater) header() (more bool, err error) {
	if !z.need(3) {
		return false, nil
	}
	z.final = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.take(z.n & 7)
		z.state = storedHeader
	case 1:
		z.literals, z.distances = fixedTables()
		z.state = symbols
	case 2:
		z.state = codesHeader
	default:
		return false, errCorruptMessage
	}
	return true, nil
}

// endBlock is the end of a block. Behind one with BFINAL set, another begins at a byte.
func (z *inflater) endBlock() {
	z.state = blockHeader
	if z.final {
		z.take(z.n & 7)
		z.state = blockFinal
	}
}

// storedHeader decodes the lengths of a block without compression (3.2.4).
func (z *inflater) storedHeader() (more bool, err error) {
	if !z.need(32) {
		return false, nil
	}
	z.length = z.take(16)
	if z.take(16) != 0xffff&^z.length {
		return false, errCorruptMessage
	}
	z.state = storedData
	if z.length == 0 {
		z.endBlock()
	}
	return true, nil
}

// stored copies data of a block without compression.
func (z *inflater) stored(p []byte, n int) (m int, more bool) {
	for z.n > 0 && n < len(p) && z.length > 0 {
		p[n] = byte(z.take(8))
		n++
		z.length--
	}
	k := copy(p[n:], z.in[:min(len(z.in), z.length)])
	z.in = z.in[k:]
	n += k
	if z.length -= k; z.length == 0 {
		z.endBlock()
		return n, true
	}
	z.full = len(z.in) > 0 || z.n > 0
	return n, false
}

// symbols decodes literals and lengths with distances (3.2.5).
func (z *inflater) symbols(p []byte, n int) (m int, more bool, err error) {
	if len(z.in) >= fastInput && len(p)-n >= fastRoom {
		if n, err = z.fast(p, n); err != nil || z.state != symbols {
			return n, true, err
		}
	}
	z.need(maxSymbolBits)
	e := z.literals.lookup(z.bits)
	used := uint(e & entryBits)
	switch {
	case used > z.n:
		return n, false, nil
	case e&entryLiteral != 0:
		if n == len(p) {
			z.full = true
			return n, false, nil
		}
		z.take(used)
		p[n] = byte(e >> entryValue)
		return n + 1, true, nil
	case e&entryEnd != 0:
		z.take(used)
		z.endBlock()
		return n, true, nil
	case e&entryOther != 0:
		return n, false, errCorruptMessage
	}
	d := z.distances.lookup(z.bits >> used)
	switch {
	case used+uint(d&entryBits) > z.n:
		return n, false, nil
	case d&entryOther != 0:
		return n, false, errCorruptMessage
	}
	z.length = e.value(z.bits)
	z.distance = d.value(z.bits >> used)
	z.take(used + uint(d&entryBits))
	if z.distance > z.reach(n) {
		return n, false, errCorruptMessage
	}
	z.state = match
	return n, true, nil
}

// reach returns the largest valid distance when n bytes follow those in the window.
func (z *inflater) reach(n int) int { return min(z.window.len()+n, z.window.size) }

// match copies the rest of a match.
func (z *inflater) match(p []byte, n int) (m int, more bool) {
	for z.length > 0 && n < len(p) {
		k := 0
		if z.distance > n {
			k = copy(p[n:min(len(p), n+z.length)], z.window.from(z.distance-n))
		} else {
			k = copy(p[n:min(len(p), n+z.length)], p[n-z.distance:n])
		}
		n += k
		z.length -= k
	}
	if z.full = z.length > 0; z.full {
		return n, false
	}
	z.state = symbols
	return n, true
}

// fast does the work of symbols and match while there is plenty of input and room. It checks for both
// once per round, which is up to three literals, or a match after at most two.
func (z *inflater) fast(p []byte, n int) (m int, err error) {
	in, b, count := z.in, z.bits, z.n
	literals, distances := z.literals, z.distances
	for len(in) >= fastInput && len(p)-n >= fastRoom {
		in, b, count = refill(in, b, count)
		e := literals[b&(1<<literalBits-1)]
		if e&entryLiteral != 0 {
			b >>= e & 63
			count -= uint(e & 63)
			p[n] = byte(e >> entryValue)
			n++
			e = literals[b&(1<<literalBits-1)]
			if e&entryLiteral != 0 {
				b >>= e & 63
				count -= uint(e & 63)
				p[n] = byte(e >> entryValue)
				n++
				e = literals[b&(1<<literalBits-1)]
			}
			if count < maxSymbolBits {
				in, b, count = refill(in, b, count)
			}
		}
		if e&entryTable != 0 {
			e = literals[e.at(b>>literalBits)]
		}
		if e&entryLiteral != 0 {
			b >>= e & 63
			count -= uint(e & 63)
			p[n] = byte(e >> entryValue)
			n++
			continue
		}
		if e&entryOther != 0 {
			break // symbols deals with it
		}
		d := distances[b>>(e&63)&(1<<distanceBits-1)]
		if d&entryTable != 0 {
			d = distances[d.at(b>>(e&63)>>distanceBits)]
		}
		if d&entryOther != 0 {
			break
		}
		length := e.value(b)
		b >>= e & 63
		distance := d.value(b)
		b >>= d & 63
		count -= uint(e&63) + uint(d&63)
		if distance > min(n, z.window.size) {
			if distance > z.reach(n) {
				err = errCorruptMessage
				break
			}
			z.length, z.distance = length, distance
			n, _ = z.match(p, n)
			continue
		}
		copyMatch(p[n:], p[n-distance:], distance, length)
		n += length
	}
	z.in, z.bits, z.n = in, b&(1<<count-1), count
	return n, err
}

// copyMatch copies length bytes from src, which lies the distance before dst in the same memory, to
// dst. It may write up to seven bytes behind them.
func copyMatch(dst, src []byte, distance, length int) {
	if distance < 8 {
		// Behind these bytes, words can be copied from eight bytes or more before, a multiple of
		// the distance.
		first := int([...]uint8{1: 7, 6, 6, 4, 5, 6, 7}[distance])
		for i := range first {
			dst[i] = src[i]
		}
		dst = dst[first:]
		length -= first
	}
	for i := 0; i < length; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:]))
	}
}
