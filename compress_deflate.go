package websocket

import (
	"compress/flate"
	"encoding/binary"
	"math/bits"
	"sync"
)

// effort is how matches are looked for: what the levels come down to.
type effort uint8

const (
	huffmanOnly effort = iota // not at all
	fast                      // where five bytes were last
	middle                    // and where eight were, and from the next byte on
	best                      // in chains of all that has the same hash
)

// effortOf returns what a level of compress/flate comes down to.
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
	hashedBytes   = 5 // where fewer are left, no match is looked for

	// The multipliers of the hashes of four, five and eight bytes.
	hash4, hash5, hash8 = 2654435761, 889523592379 << 24, 0xcf1bbcdcb7a56463

	longEnough  = 64 // a match of that length is taken without a look at others
	chainLength = 32 // how many candidates are tried
)

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
// cleared: what they say is only where it is worth looking, and a match counts if it lies within the
// window and its bytes are there.
type deflater struct {
	loan   loan
	effort effort
	window window  // what the peer has got in compressed form, as much as a distance may reach
	base   uint16  // position of the next byte
	recent *recent // for the fast effort
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

// sent notes that the peer has got p in compressed form.
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

// part compresses a part of a message, appends what comes of it to out, and takes it for sent.
func (d *deflater) part(out, p []byte) []byte {
	out = d.compress(out, p)
	d.sent(p)
	return out
}

// end ends the message: with an empty block without compression, of which the receiver puts the rest
// there again (RFC 7692, 7.2.1).
func (d *deflater) end(out []byte) []byte {
	d.w.out = out
	d.w.grow(16)
	d.w.add(0, 3)
	d.w.align()
	out = d.w.out
	d.w = bitWriter{}
	return out
}

// compress appends blocks that become p to out.
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
	done := at // what is before that is in b
	if d.effort == huffmanOnly {
		done = end
		b.add(p[at:end], 0, 0)
	}
	for i := done; i+hashedBytes <= end; {
		length, distance := d.find(p, i, end)
		if length == 0 {
			i += 1 + (i-done)>>6
			continue
		}
		noted := i + 1
		for d.effort > fast && length < longEnough && noted+hashedBytes <= end {
			l, dist := d.find(p, noted, end)
			if l > length {
				i, length, distance = noted, l, dist
			}
			noted++
			if l < length || d.effort == middle {
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

// recent has the last position of something with each hash: of five bytes, and of eight.
type recent struct{ short, long [1 << hashBits]uint16 }

// load returns the eight bytes at p[i], where zeros stand for those that are missing.
func load(p []byte, i int) uint64 {
	if i+8 <= len(p) {
		return binary.LittleEndian.Uint64(p[i:])
	}
	var b [8]byte
	copy(b[:], p[i:])
	return binary.LittleEndian.Uint64(b[:])
}

// farthest returns how far back a match at p[i] may be.
func (d *deflater) farthest(i int) uint16 { return uint16(min(d.window.len()+i, d.window.size)) }

// find looks for a match for p[i:end], and notes where those bytes are.
func (d *deflater) find(p []byte, i, end int) (length, distance int) {
	if d.effort == best {
		return d.findInChain(p, i, end)
	}
	v := load(p, i)
	position, farthest := d.base+uint16(i), d.farthest(i)
	if d.effort == middle {
		long := &d.recent.long[v*hash8>>(64-hashBits)]
		if back := position - *long; back-1 < farthest && begins(p, i, int(back), v) {
			length, distance = d.matchLen(p, i, end, int(back)), int(back)
		}
		*long = position
	}
	short := &d.recent.short[v*hash5>>(64-hashBits)]
	if back := position - *short; back-1 < farthest && length < longEnough && begins(p, i, int(back), v) {
		if l := d.matchLen(p, i, end, int(back)); l > length {
			length, distance = l, int(back)
		}
	}
	*short = position
	return length, distance
}

// begins reports whether a match for p[i:], which begins with v, may be at the distance before: if that
// is in p, whether its first bytes are the same.
func begins(p []byte, i, distance int, v uint64) bool {
	return distance > i || binary.LittleEndian.Uint32(p[i-distance:]) == uint32(v)
}

// note notes where the bytes between first and last are.
func (d *deflater) note(p []byte, first, last int) {
	switch d.effort {
	case best:
		for i := first; i < last; i++ {
			d.chains.note(load(p, i), d.base+uint16(i))
		}
	case middle:
		for i := first; i < last; i += 2 {
			v := load(p, i)
			d.recent.short[v*hash5>>(64-hashBits)] = d.base + uint16(i)
			d.recent.long[v*hash8>>(64-hashBits)] = d.base + uint16(i)
		}
	case fast:
		for i := first; i < last; i += 4 {
			d.recent.short[load(p, i)*hash5>>(64-hashBits)] = d.base + uint16(i)
		}
	}
}

// chains are all positions in the window, for each hash of four bytes from the last one on back.
type chains struct {
	last   [1 << chainHashBits]uint16
	before [1 << maxWindowBits]uint16 // by position
}

// note notes where v is, and returns where something with the same hash was before.
func (c *chains) note(v uint64, position uint16) uint16 {
	last := &c.last[uint32(v)*hash4>>(32-chainHashBits)]
	before := *last
	c.before[position&(1<<maxWindowBits-1)] = before
	*last = position
	return before
}

// findInChain is find with chains.
func (d *deflater) findInChain(p []byte, i, end int) (length, distance int) {
	position, farthest := d.base+uint16(i), d.farthest(i)
	candidate := d.chains.note(load(p, i), position)
	for n, nearer := 0, uint16(0); n < chainLength && length < longEnough; n++ {
		back := position - candidate
		if back <= nearer || back > farthest {
			break
		}
		nearer = back
		if l := d.matchLen(p, i, end, int(back)); l > length {
			length, distance = l, int(back)
		}
		candidate = d.chains.before[candidate&(1<<maxWindowBits-1)]
	}
	return length, distance
}

// matchLen returns how many bytes at p[i:end] are those at the distance before, as many as a match may
// have and as lie together in memory, or 0 if they are fewer than a match must have.
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
