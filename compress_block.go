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

// sequence is a run of literals followed, if length is not 0, by a match.
type sequence struct{ literals, length, distance uint16 }

// block is a block that is being compressed (RFC 1951, 3.2.3). The literals of its sequences are not
// copied but read from the message again.
type block struct {
	sequences []sequence

	literalCounts  [maxLiterals]uint32 // occurrences of each symbol
	distanceCounts [maxDistances]uint32
	extra          int // number of extra bits of lengths and distances

	// The codes of the block, and their description in its header.
	literals      [maxLiterals]code
	distances     [maxDistances]code
	lengths       [len(lengthOrder)]code
	lengthCounts  [len(lengthOrder)]uint32
	repeats       []repeat
	nLiterals     int
	nDistances    int
	nLengths      int
	sorted, depth [maxLiterals]uint32 // for makeCode
	places        [256]uint16         // for sortByCount
}

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

// distanceSymbol returns the symbol of the distance d+1.
func distanceSymbol(d int) int {
	if d < 4 {
		return d
	}
	n := bits.Len(uint(d)) - 2
	return 2*n + d>>n
}

// encode appends the block, whose data is p, in the shortest form: stored, with the fixed codes, or with
// codes of its own.
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
	w.out = append(w.out, p...)
}

// cost returns the number of bits of the symbols.
func cost(counts []uint32, codes []code) (n int) {
	for i, count := range counts {
		n += int(count) * int(codes[i].n)
	}
	return n
}

// estimate estimates the number of bits of the block with codes of its own. What describes the codes is
// estimated by what describes those of messages of several kinds.
func (b *block) estimate() int {
	literals, used, runs := entropy(b.literalCounts[:])
	n := 100 + 7*used/4 + 4*runs
	distances, used, runs := entropy(b.distanceCounts[:])
	n += 11*used/2 + 7*runs
	return n + b.extra + (literals+distances)*129/128
}

// entropy returns the entropy, in bits, of symbols with these counts, how many of them are used, and how
// many runs of used ones there are.
func entropy(counts []uint32) (bits, used, runs int) {
	total, sum := 0, 0
	before := uint32(0)
	for _, c := range counts {
		if c > 0 {
			used++
			total += int(c)
			sum += int(c) * log2(c)
			if before == 0 {
				runs++
			}
		}
		before = c
	}
	return (total*log2(uint32(total)) - sum) >> logShift, used, runs
}

const logShift = 8

// logs are the base-2 logarithms of 128 to 255, times 1<<logShift.
var logs = func() (t [128]uint16) {
	for i := range t {
		t[i] = uint16(math.Round(math.Log2(float64(i+128)) * (1 << logShift)))
	}
	return t
}()

// log2 returns the base-2 logarithm of n times 1<<logShift, or 0 for 0.
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

// writeSequences writes the symbols of the block, whose data is p.
func (b *block) writeSequences(w *bitWriter, p []byte, literals *[maxLiterals]code, distances *[maxDistances]code) {
	acc, n := w.bits, w.n // of w, which is brought up to date where they have no room
	for _, s := range b.sequences {
		for _, c := range p[:s.literals] {
			if n > 63-maxCodeBits {
				acc, n = w.flush(acc, n)
			}
			acc |= uint64(literals[c].bits) << (n & 63)
			n += uint(literals[c].n)
		}
		p = p[s.literals:]
		if s.length == 0 {
			continue
		}
		p = p[s.length:]
		acc, n = w.flush(acc, n)
		l, d := lengthSymbol(int(s.length)), distanceSymbol(int(s.distance))
		e := literalSymbols[l]
		acc |= uint64(literals[l].bits) << (n & 63)
		n += uint(literals[l].n)
		acc |= uint64(entry(s.length)-e>>entryValue) << (n & 63)
		n += uint(e & entryBits)
		e = distanceSymbols[d]
		acc |= uint64(distances[d].bits) << (n & 63)
		n += uint(distances[d].n)
		acc |= uint64(entry(s.distance)+1-e>>entryValue) << (n & 63)
		n += uint(e & entryBits)
	}
	w.bits, w.n = w.flush(acc, n)
	w.add(uint64(literals[endOfBlock].bits), uint(literals[endOfBlock].n))
}

// bitWriter appends bits to out.
type bitWriter struct {
	out  []byte
	bits uint64 // not in out yet
	n    uint   // number of bits, fewer than 8 between calls
}

// grow makes room for n more bits, and for the word that add writes beyond them.
func (w *bitWriter) grow(n int) { w.out = slices.Grow(w.out, n/8+16) }

// add appends up to 56 bits, for which there must be room.
func (w *bitWriter) add(v uint64, n uint) {
	w.bits, w.n = w.flush(w.bits|v<<(w.n&63), w.n+n)
}

// flush appends the whole bytes of n bits, for which there must be room, and returns the rest.
func (w *bitWriter) flush(bits uint64, n uint) (rest uint64, left uint) {
	at := len(w.out)
	binary.LittleEndian.PutUint64(w.out[at:at+8], bits)
	w.out = w.out[:at+int(n>>3)]
	return bits >> (n &^ 7 & 63), n & 7
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	if w.n > 0 {
		w.add(0, 8-w.n)
	}
}
