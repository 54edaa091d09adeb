package websocket

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync"
)

const (
	maxBlockSize = 32 << 10 // bytes of a message in a block
	maxSequences = 4 << 10  // in a block

	minMatch = 4
	maxMatch = 258

	endOfBlock    = 256
	maxLengthBits = 7 // of the code of the lengths of the codes
)

// sequence is a run of literals, and the match behind it, if length is not 0.
type sequence struct{ literals, length, distance uint16 }

// block is a block of a message while it is compressed (RFC 1951, 3.2.3). The literals of its
// sequences are read from the message again.
type block struct {
	sequences []sequence

	literalCounts  [maxLiterals]uint32 // how often the block has each symbol
	distanceCounts [maxDistances]uint32
	extra          int // bits behind the codes of lengths and distances

	// The codes of the block, and how they are written.
	literals      [maxLiterals]code
	distances     [maxDistances]code
	lengths       [len(lengthOrder)]code
	lengthCounts  [len(lengthOrder)]uint32
	repeats       []repeat
	nLiterals     int
	nDistances    int
	nLengths      int
	sorted, depth [maxLiterals]uint32 // for makeCode
}

// code is what stands for a symbol: its bits, the first of them lowest, and how many.
type code struct {
	bits uint16
	n    uint8
}

// repeat is a symbol of the code of the lengths, and its extra bits (3.2.7).
type repeat struct{ symbol, extra uint8 }

var blockPool = sync.Pool{New: func() any {
	return &block{sequences: make([]sequence, 0, maxSequences), repeats: make([]repeat, 0, maxLiterals+maxDistances)}
}}

// clear makes b an empty block.
func (b *block) clear() {
	b.sequences = b.sequences[:0]
	b.extra = 0
	clear(b.literalCounts[:])
	clear(b.distanceCounts[:])
}

// add adds literals and, where length is not 0, a match.
func (b *block) add(literals []byte, length, distance int) {
	for _, c := range literals {
		b.literalCounts[c]++
	}
	b.sequences = append(b.sequences, sequence{uint16(len(literals)), uint16(length), uint16(distance - 1)})
	if length == 0 {
		return
	}
	l, d := lengthSymbol(length), distanceSymbol(distance-1)
	b.literalCounts[l]++
	b.distanceCounts[d]++
	b.extra += int(literalSymbols[l]&entryBits) + int(distanceSymbols[d]&entryBits)
}

// lengthSymbol returns the symbol of a length of a match (3.2.5).
func lengthSymbol(length int) int { return int(lengthToSymbol[length-3]) + 257 }

var lengthToSymbol = func() (t [maxMatch - 2]uint8) {
	for length := range t {
		for s := 257; s < maxLiterals && int(literalSymbols[s]>>entryValue) <= length+3; s++ {
			t[length] = uint8(s - 257)
		}
	}
	return t
}()

// distanceSymbol returns the symbol of a distance that is larger by one.
func distanceSymbol(d int) int {
	if d < 4 {
		return d
	}
	n := bits.Len(uint(d)) - 2
	return 2*n + d>>n
}

// fixedLiteralCodes and fixedDistanceCodes are "the fixed Huffman codes" (3.2.6).
var fixedLiteralCodes, fixedDistanceCodes = func() (l [maxLiterals]code, d [maxDistances]code) {
	var all [fixedLiterals]code
	for i := range all {
		switch {
		case i < 144, i >= 280:
			all[i].n = 8
		case i < 256:
			all[i].n = 9
		default:
			all[i].n = 7
		}
	}
	assignCodes(all[:])
	copy(l[:], all[:])
	for i := range d {
		d[i] = code{bits.Reverse16(uint16(i)) >> 11, 5}
	}
	return l, d
}()

// encode appends the block, whose data is p, in the shortest way.
func (b *block) encode(w *bitWriter, p []byte) {
	b.literalCounts[endOfBlock] = 1
	stored := 3 + 7 + 32 + 8*len(p)
	fixed := 3 + b.extra + cost(b.literalCounts[:], fixedLiteralCodes[:]) + cost(b.distanceCounts[:], fixedDistanceCodes[:])
	least := min(stored, fixed)
	if b.estimate() < least {
		if own := b.makeCodes(); own < least {
			w.grow(own)
			b.writeCodes(w)
			b.writeSequences(w, p, &b.literals, &b.distances)
			return
		}
	}
	w.grow(least)
	if fixed <= stored {
		w.add(1<<1, 3)
		b.writeSequences(w, p, &fixedLiteralCodes, &fixedDistanceCodes)
		return
	}
	w.add(0, 3)
	w.align()
	w.add(uint64(len(p))|uint64(0xffff&^len(p))<<16, 32)
	w.align()
	w.out = append(w.out, p...)
}

// cost returns how many bits the symbols take.
func cost(counts []uint32, codes []code) (n int) {
	for i, count := range counts {
		n += int(count) * int(codes[i].n)
	}
	return n
}

// estimate returns about how many bits the block takes with codes of its own.
func (b *block) estimate() int {
	return 60 + b.extra + entropy(b.literalCounts[:]) + entropy(b.distanceCounts[:])
}

// entropy returns the entropy of symbols that occur so often, in bits, and about what it takes to tell
// their codes: three bits for each.
func entropy(counts []uint32) int {
	total, sum, used := 0, 0, 0
	for _, c := range counts {
		if c > 0 {
			used++
			total += int(c)
			sum += int(c) * log2(c)
		}
	}
	return 3*used + (total*log2(uint32(total))-sum)>>logShift
}

const logShift = 8

// logs are the logarithms of 128 to 255, to the base of 2.
var logs = func() (t [128]uint16) {
	for i := range t {
		t[i] = uint16(math.Round(math.Log2(float64(i+128)) * (1 << logShift)))
	}
	return t
}()

// log2 returns the logarithm of n to the base of 2, times 1<<logShift, or 0 for 0.
func log2(n uint32) int {
	if n < 2 {
		return 0
	}
	shift := bits.Len32(n) - 8
	if shift < 0 {
		return int(logs[n<<-shift&127]) + shift<<logShift
	}
	return int(logs[n>>shift&127]) + shift<<logShift
}

// makeCodes makes the codes of the block, and returns how many bits it takes with them.
func (b *block) makeCodes() int {
	for i := 0; i < 2; i++ { // some decoders want two codes of distances
		if used := len(b.distanceCounts) - count0(b.distanceCounts[:]); used < 2 && b.distanceCounts[i] == 0 {
			b.distanceCounts[i] = 1
		}
	}
	b.makeCode(b.literalCounts[:], b.literals[:], maxCodeBits)
	b.makeCode(b.distanceCounts[:], b.distances[:], maxCodeBits)
	b.makeRepeats()
	b.makeCode(b.lengthCounts[:], b.lengths[:], maxLengthBits)
	b.nLengths = len(lengthOrder)
	for b.nLengths > 4 && b.lengths[lengthOrder[b.nLengths-1]].n == 0 {
		b.nLengths--
	}
	n := 3 + 14 + 3*b.nLengths + b.extra
	n += cost(b.lengthCounts[:], b.lengths[:])
	n += 2*int(b.lengthCounts[repeatLength]) + 3*int(b.lengthCounts[repeatZero]) + 7*int(b.lengthCounts[repeatManyZeroes])
	return n + cost(b.literalCounts[:], b.literals[:]) + cost(b.distanceCounts[:], b.distances[:])
}

// count0 returns how many of the counts are 0.
func count0(counts []uint32) (n int) {
	for _, c := range counts {
		if c == 0 {
			n++
		}
	}
	return n
}

// makeCode makes a code for symbols that occur so often, none longer than most bits. At least two of
// them occur.
func (b *block) makeCode(counts []uint32, codes []code, most int) {
	sorted := b.sorted[:0]
	for symbol, c := range counts {
		codes[symbol] = code{}
		if c > 0 {
			sorted = append(sorted, c<<9|uint32(symbol))
		}
	}
	slices.Sort(sorted)
	depth := b.depth[:len(sorted)]
	for i, s := range sorted {
		depth[i] = s >> 9
	}
	codeDepths(depth)
	var perLength [maxCodeBits + 1]int
	total := 0
	for _, n := range depth {
		n = min(n, uint32(most))
		perLength[n]++
		total += 1 << (uint32(most) - n)
	}
	// Codes that were too long take room of others, of which some become longer.
	for ; total > 1<<most; total-- {
		n := most - 1
		for perLength[n] == 0 {
			n--
		}
		perLength[n]--
		perLength[n+1] += 2
		perLength[most]--
	}
	i := 0
	for n := most; n > 0; n-- { // the rarest have the longest
		for range perLength[n] {
			codes[sorted[i]&(1<<9-1)].n = uint8(n)
			i++
		}
	}
	assignCodes(codes)
}

// codeDepths replaces weights, which are sorted, by the depths of their leaves in a tree of Huffman
// (Moffat and Katajainen, In-Place Calculation of Minimum-Redundancy Codes, 1995).
func codeDepths(a []uint32) {
	n := len(a)
	// Each inner node's weight is put where the leaves have been taken, and then its parent.
	root, leaf := 0, 0
	for next := range n - 1 {
		take := func() (w uint32) {
			if leaf >= n || root < next && a[root] < a[leaf] {
				w, a[root] = a[root], uint32(next)
				root++
			} else {
				w = a[leaf]
				leaf++
			}
			return w
		}
		w := take()
		a[next] = w + take()
	}
	// The parents become depths.
	a[n-2] = 0
	for i := n - 3; i >= 0; i-- {
		a[i] = a[a[i]] + 1
	}
	// The depths of inner nodes become those of leaves.
	nodes, inner, next := 1, n-2, n-1
	for depth := uint32(0); nodes > 0; depth++ {
		used := 0
		for inner >= 0 && a[inner] == depth {
			used++
			inner--
		}
		for ; nodes > used; nodes-- {
			a[next] = depth
			next--
		}
		nodes = 2 * used
	}
}

// assignCodes assigns the codes of the lengths (RFC 1951, 3.2.2).
func assignCodes(codes []code) {
	var next [maxCodeBits + 2]uint16
	for _, c := range codes {
		next[c.n+1]++
	}
	next[1] = 0
	for n := 2; n < len(next); n++ {
		next[n] = (next[n] + next[n-1]) << 1
	}
	for i := range codes {
		if n := codes[i].n; n > 0 {
			codes[i].bits = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// makeRepeats makes what tells the codes to the peer (3.2.7).
func (b *block) makeRepeats() {
	b.repeats = b.repeats[:0]
	clear(b.lengthCounts[:])
	b.nLiterals, b.nDistances = maxLiterals, maxDistances
	for b.literals[b.nLiterals-1].n == 0 {
		b.nLiterals--
	}
	for b.distances[b.nDistances-1].n == 0 {
		b.nDistances--
	}
	for _, codes := range [][]code{b.literals[:b.nLiterals], b.distances[:b.nDistances]} {
		for len(codes) > 0 {
			n := 1
			for n < len(codes) && codes[n].n == codes[0].n {
				n++
			}
			b.repeat(codes[0].n, n)
			codes = codes[n:]
		}
	}
}

// repeat adds n codes of the length.
func (b *block) repeat(length uint8, n int) {
	add := func(symbol uint8, extra int) {
		b.repeats = append(b.repeats, repeat{symbol, uint8(extra)})
		b.lengthCounts[symbol]++
	}
	if length > 0 {
		add(length, 0)
		n--
	}
	for n > 0 {
		switch k := min(n, 138); {
		case length == 0 && n > 10:
			add(repeatManyZeroes, k-11)
			n -= k
		case length == 0 && n > 2:
			add(repeatZero, n-3)
			n = 0
		case n > 2:
			k = min(n, 6)
			add(repeatLength, k-3)
			n -= k
		default:
			add(length, 0)
			n--
		}
	}
}

// writeCodes writes the header of a block with codes of its own, and the codes.
func (b *block) writeCodes(w *bitWriter) {
	w.add(2<<1|uint64(b.nLiterals-257)<<3|uint64(b.nDistances-1)<<8|uint64(b.nLengths-4)<<13, 17)
	for _, symbol := range lengthOrder[:b.nLengths] {
		w.add(uint64(b.lengths[symbol].n), 3)
	}
	for _, r := range b.repeats {
		c := b.lengths[r.symbol]
		w.add(uint64(c.bits), uint(c.n))
		switch r.symbol {
		case repeatLength:
			w.add(uint64(r.extra), 2)
		case repeatZero:
			w.add(uint64(r.extra), 3)
		case repeatManyZeroes:
			w.add(uint64(r.extra), 7)
		}
	}
}

// writeSequences writes the symbols of the block, whose data is p.
func (b *block) writeSequences(w *bitWriter, p []byte, literals *[maxLiterals]code, distances *[maxDistances]code) {
	for _, s := range b.sequences {
		for _, c := range p[:s.literals] {
			w.add(uint64(literals[c].bits), uint(literals[c].n))
		}
		p = p[s.literals:]
		if s.length == 0 {
			continue
		}
		p = p[s.length:]
		l, d := lengthSymbol(int(s.length)), distanceSymbol(int(s.distance))
		e := literalSymbols[l]
		n := uint(literals[l].n)
		w.add(uint64(literals[l].bits)|uint64(entry(s.length)-e>>entryValue)<<n, n+uint(e&entryBits))
		e = distanceSymbols[d]
		n = uint(distances[d].n)
		w.add(uint64(distances[d].bits)|uint64(entry(s.distance)+1-e>>entryValue)<<n, n+uint(e&entryBits))
	}
	w.add(uint64(literals[endOfBlock].bits), uint(literals[endOfBlock].n))
}

// bitWriter appends bits to out.
type bitWriter struct {
	out  []byte
	bits uint64 // that are not in out yet
	n    uint   // fewer than 8 after add
}

// grow makes room for n bits more, and what add writes beyond.
func (w *bitWriter) grow(n int) { w.out = slices.Grow(w.out, n/8+16) }

// add appends up to 56 bits, for which there must be room.
func (w *bitWriter) add(v uint64, n uint) {
	w.bits |= v << (w.n & 63)
	w.n += n
	at := len(w.out)
	binary.LittleEndian.PutUint64(w.out[at:at+8], w.bits)
	w.out = w.out[:at+int(w.n>>3)]
	w.bits >>= w.n &^ 7 & 63
	w.n &= 7
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	if w.n > 0 {
		w.add(0, 8-w.n)
	}
}
