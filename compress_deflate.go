package websocket

import (
	"compress/flate"
	"encoding/binary"
	"math/bits"
	"sync"
)

// effort says how matches are searched for. Each level stands for one.
type effort uint8

const (
	huffmanOnly effort = iota // no search
	fast                      // one candidate, with the same hash of five bytes
	middle                    // also one with the same hash of eight bytes; then again at the next byte
	best                      // all recent positions with the same hash of four bytes, at every byte
)

// effortOf returns the effort that a level of compress/flate stands for.
func effortOf(level int) effort {
	switch {
	case level == flate.HuffmanOnly:
		return huffmanOnly
	case level == flate.DefaultCompression, level >= 6:
		return best
	case level >= takeoverLevel:
		return middle
	}
	return fast
}

const (
	hashBits      = 12
	chainHashBits = 13
	hashedBytes   = 5 // with fewer bytes left, no match is searched for

	// The multipliers of the hashes of four, five and eight bytes.
	hash4, hash5, hash8 = 2654435761, 889523592379 << 24, 0xcf1bbcdcb7a56463

	longEnough  = 64 // a match of this length ends the search for a better one
	goodLength  = 8  // with a match of this length, a quarter of a chain is tried for a better one
	chainLength = 24 // candidates tried in a chain
)

// lazyLengths are for each effort from which length on a match is taken without a search at the next byte.
var lazyLengths = [...]int{middle: 12, best: 24}

const (
	// defaultCompressionLevel is gorilla/websocket's.
	defaultCompressionLevel = flate.BestSpeed

	// takeoverLevel is the default with context takeover.
	takeoverLevel = 2
)

func validCompressionLevel(level int) bool {
	return flate.HuffmanOnly <= level && level <= flate.BestCompression
}

// deflater compresses messages, one after the other (RFC 1951).
//
// A position is the number of a byte, counted over all messages, modulo 1<<16. The tables are never
// cleared: their entries are only candidates, and a match is used if it lies within the window and its
// bytes are equal.
type deflater struct {
	loan   loan
	effort effort
	window window  // of the messages sent in compressed form
	base   uint16  // position of the next byte
	recent *recent // for the fast and middle efforts
	chains *chains // for the best effort

	w bitWriter // of the current message
}

var (
	deflaterPool = sync.Pool{New: func() any { return &deflater{recent: new(recent)} }}
	chainsPool   = sync.Pool{New: func() any { return new(chains) }}
)

// acquireDeflater returns a deflater with an empty window.
func acquireDeflater(level, bits int) *deflater {
	d := deflaterPool.Get().(*deflater)
	d.loan.begin()
	d.window.size = 1 << bits
	d.setLevel(level)
	return d
}

// setLevel sets the effort for the next message.
func (d *deflater) setLevel(level int) {
	d.effort = effortOf(level)
	if d.effort == best && d.chains == nil {
		d.chains = chainsPool.Get().(*chains)
	}
}

func releaseDeflater(d *deflater) {
	d.loan.end()
	d.restart()
	if d.chains != nil {
		chainsPool.Put(d.chains)
		d.chains = nil
	}
	deflaterPool.Put(d)
}

// restart forgets what was sent.
func (d *deflater) restart() {
	d.window.drop()
	d.w = bitWriter{}
}

// sent adds p, which has been sent in compressed form, to the window.
func (d *deflater) sent(p []byte) {
	d.window.put(p)
	d.base += uint16(len(p))
}

// message compresses a whole message. It appends the result to out, unless that would not be shorter
// than the message: then ok is false. What comes next refers to the message only after sent.
func (d *deflater) message(out, p []byte) (b []byte, ok bool) {
	b = d.end(d.compress(out, p))
	return b, len(b)-len(out) < len(p)
}

// part compresses a part of a message, appends the result to out, and adds p to the window.
func (d *deflater) part(out, p []byte) []byte {
	out = d.compress(out, p)
	d.sent(p)
	return out
}

// end ends the message with the beginning of an empty block without compression. The rest of the block
// is deflateTail, which the receiver appends (RFC 7692, 7.2.1 and 7.2.2).
func (d *deflater) end(out []byte) []byte {
	d.w.out = out
	d.w.grow(16)
	d.w.add(0, 3)
	d.w.align()
	out = d.w.out
	d.w = bitWriter{}
	return out
}

// compress appends p to out as blocks.
func (d *deflater) compress(out, p []byte) []byte {
	b := blockPool.Get().(*block)
	d.w.out = out
	for at := 0; at < len(p); {
		b.clear()
		end := d.findMatches(b, p, at)
		b.encode(&d.w, p[at:end])
		at = end
	}
	out, d.w.out = d.w.out, nil
	blockPool.Put(b)
	return out
}

// findMatches fills b with the sequences of a block that begins at p[at], and returns where it ends.
func (d *deflater) findMatches(b *block, p []byte, at int) int {
	end := min(len(p), at+maxBlockSize)
	done := at // p[at:done] is in b
	if d.effort == huffmanOnly {
		done = end
		b.add(p[at:end], 0, 0)
	}
	for i := done; i+hashedBytes <= end; {
		var length, distance int
		switch d.effort {
		case fast:
			i, length, distance = d.nextFast(p, i, end)
		case middle:
			i, length, distance = d.nextMiddle(p, i, end)
		case best:
			length, distance = d.find(p, i, end, minMatch-1)
		}
		if length == 0 {
			i += 1 + (i-done)>>6
			continue
		}
		noted := i + 1
		for length < lazyLengths[d.effort] && noted+hashedBytes <= end {
			l, dist := d.find(p, noted, end, length)
			noted++
			if l == 0 {
				break
			}
			i, length, distance = noted-1, l, dist
			if d.effort == middle {
				break
			}
		}
		for i > done && distance < i && length < maxMatch && p[i-1] == p[i-1-distance] {
			i--
			length++
		}
		b.add(p[done:i], length, distance)
		i += length
		done = i
		d.note(p, noted, min(i, end-hashedBytes))
		if len(b.sequences) == maxSequences-1 {
			return done
		}
	}
	if done < end {
		b.add(p[done:end], 0, 0)
	}
	return end
}

// recent holds the most recent position of each hash: of five bytes, and of eight.
type recent struct{ short, long [1 << hashBits]uint16 }

// load returns the eight bytes at p[i], with zeros for those beyond the end of p.
func load(p []byte, i int) uint64 {
	if i+8 <= len(p) {
		return binary.LittleEndian.Uint64(p[i:])
	}
	var b [8]byte
	copy(b[:], p[i:])
	return binary.LittleEndian.Uint64(b[:])
}

// farthest returns the largest distance of a match at p[i].
func (d *deflater) farthest(i int) uint16 { return uint16(min(d.window.len()+i, d.window.size)) }

// find searches for a match for p[i:end] that is longer than least, and records position i in the tables.
func (d *deflater) find(p []byte, i, end, least int) (length, distance int) {
	if d.effort == best {
		return d.findInChain(p, i, end, least)
	}
	v := load(p, i)
	position, farthest := d.base+uint16(i), d.farthest(i)
	if d.effort == middle {
		long := &d.recent.long[v*hash8>>(64-hashBits)]
		if back := position - *long; back-1 < farthest && d.equal(p, i, int(back)) {
			if l := d.matchLen(p, i, end, int(back)); l > least {
				length, distance = l, int(back)
				least = l
			}
		}
		*long = position
	}
	short := &d.recent.short[v*hash5>>(64-hashBits)]
	if back := position - *short; back-1 < farthest && length < longEnough && d.equal(p, i, int(back)) {
		if l := d.matchLen(p, i, end, int(back)); l > least {
			length, distance = l, int(back)
		}
	}
	*short = position
	return length, distance
}

// nextFast is find for the fast effort, at the next position from i on that has a match. It skips more and
// more positions where there is none.
func (d *deflater) nextFast(p []byte, i, end int) (at, length, distance int) {
	recent, base, before, size := &d.recent.short, d.base, d.window.len(), d.window.size
	p = p[:end]
	for from := i; i+8 <= len(p); i += 1 + (i-from)>>5 {
		v := binary.LittleEndian.Uint64(p[i:])
		last := &recent[v*hash5>>(64-hashBits)]
		position := base + uint16(i)
		back := int(position - *last)
		*last = position
		if back == 0 || back > min(before+i, size) || back <= i && binary.LittleEndian.Uint32(p[i-back:]) != uint32(v) {
			continue
		}
		if length = d.matchLen(p, i, end, back); length > 0 {
			return i, length, back
		}
	}
	return d.nextInTail(p, i, end)
}

// nextMiddle is nextFast for the middle effort.
func (d *deflater) nextMiddle(p []byte, i, end int) (at, length, distance int) {
	recent, base, before, size := d.recent, d.base, d.window.len(), d.window.size
	p = p[:end]
	for from := i; i+8 <= len(p); i += 1 + (i-from)>>5 {
		v := binary.LittleEndian.Uint64(p[i:])
		position, farthest := base+uint16(i), min(before+i, size)
		last := &recent.long[v*hash8>>(64-hashBits)]
		back := int(position - *last)
		*last = position
		if back > 0 && back <= farthest && d.equal(p, i, back) {
			length, distance = d.matchLen(p, i, end, back), back
		}
		last = &recent.short[v*hash5>>(64-hashBits)]
		back = int(position - *last)
		*last = position
		if back > 0 && back <= farthest && back != distance && length < longEnough && d.equal(p, i, back) {
			if l := d.matchLen(p, i, end, back); l > length {
				length, distance = l, back
			}
		}
		if length > 0 {
			return i, length, distance
		}
	}
	return d.nextInTail(p, i, end)
}

// nextInTail is nextFast for the last bytes of p, which are no whole word.
func (d *deflater) nextInTail(p []byte, i, end int) (at, length, distance int) {
	for ; i+hashedBytes <= end; i++ {
		if length, distance = d.find(p, i, end, minMatch-1); length > 0 {
			return i, length, distance
		}
	}
	return i, 0, 0
}

// note records the positions from first up to last in the tables.
func (d *deflater) note(p []byte, first, last int) {
	switch d.effort {
	case best:
		for i := first; i < last; i++ {
			d.chains.note(load(p, i), d.base+uint16(i))
		}
	case middle:
		for i := first; i < last; i += 4 {
			v := load(p, i)
			d.recent.short[v*hash5>>(64-hashBits)] = d.base + uint16(i)
			d.recent.long[v*hash8>>(64-hashBits)] = d.base + uint16(i)
		}
	case fast:
		for i := max(first, last-2); i < last; i++ {
			d.recent.short[load(p, i)*hash5>>(64-hashBits)] = d.base + uint16(i)
		}
	}
}

// chains link the positions with the same hash of four bytes, the most recent first.
type chains struct {
	last   [1 << chainHashBits]uint16
	before [1 << maxWindowBits]uint16 // by position
}

// note records the position of v, and returns the most recent one with the same hash before it.
func (c *chains) note(v uint64, position uint16) uint16 {
	last := &c.last[uint32(v)*hash4>>(32-chainHashBits)]
	before := *last
	c.before[position&(1<<maxWindowBits-1)] = before
	*last = position
	return before
}

// findInChain is find with chains.
func (d *deflater) findInChain(p []byte, i, end, least int) (length, distance int) {
	position, farthest := d.base+uint16(i), d.farthest(i)
	candidate := d.chains.note(load(p, i), position)
	tries := chainLength
	if least >= goodLength {
		tries /= 4
	}
	most := min(end-i, maxMatch)
	for nearer := uint16(0); tries > 0 && least < most; tries-- {
		back := position - candidate
		if back <= nearer || back > farthest {
			break
		}
		nearer = back
		// A longer match has the last four bytes of the length to beat, and the next one.
		at := i + least - 3
		if d.equal(p, at, int(back)) {
			if l := d.matchLen(p, i, end, int(back)); l > least {
				length, distance, least = l, int(back), l
				if l >= longEnough {
					break
				}
			}
		}
		candidate = d.chains.before[candidate&(1<<maxWindowBits-1)]
	}
	return length, distance
}

// equal reports whether the four bytes at p[i] may be equal to those at the distance before.
func (d *deflater) equal(p []byte, i, distance int) bool {
	b := p
	if distance <= i {
		b = p[i-distance:]
	} else if b = d.window.from(distance - i); len(b) < 4 {
		return true
	}
	return binary.LittleEndian.Uint32(b) == binary.LittleEndian.Uint32(p[i:])
}

// matchLen returns the length of the match for p[i:end] at the distance, or 0 if it is too short to be
// one. A match ends where the memory that it is compared with does.
func (d *deflater) matchLen(p []byte, i, end, distance int) int {
	a := p[i:min(end, i+maxMatch)]
	var b []byte
	if distance <= i {
		b = p[i-distance:]
	} else {
		b = d.window.from(distance - i)
	}
	if len(b) < len(a) {
		a = a[:len(b)]
	}
	b = b[:len(a)]
	n := 0
	for n+8 <= len(a) {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			n += bits.TrailingZeros64(x) >> 3
			if n < minMatch {
				return 0
			}
			return n
		}
		n += 8
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	if n < minMatch {
		return 0
	}
	return n
}
