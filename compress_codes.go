package websocket

import (
	"math/bits"
	"slices"
)

// code is the code of a symbol: n bits, the first one lowest.
type code struct {
	bits uint16
	n    uint8
}

// repeat is a symbol of the code of the lengths, and its extra bits (3.2.7).
type repeat struct{ symbol, extra uint8 }

// fixedLiteralCodes and fixedDistanceCodes are "the fixed Huffman codes" (3.2.6).
var fixedLiteralCodes, fixedDistanceCodes = func() (l [maxLiterals]code, d [maxDistances]code) {
	var all [fixedLiterals]code
	perLength := [maxCodeBits + 1]int{7: 24, 8: 152, 9: 112}
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
	assignCodes(all[:], &perLength)
	copy(l[:], all[:])
	for i := range d {
		d[i] = code{bits.Reverse16(uint16(i)) >> 11, 5}
	}
	return l, d
}()

// makeCodes makes the codes of the block, and returns the number of bits of the block with them.
func (b *block) makeCodes() int {
	for i := 0; used(b.distanceCounts[:]) < 2; i++ { // some decoders require two distance codes
		b.distanceCounts[i] = max(b.distanceCounts[i], 1)
	}
	b.makeCode(b.literalCounts[:], b.literals[:], maxCodeBits)
	b.makeCode(b.distanceCounts[:], b.distances[:], maxCodeBits)
	b.makeRepeats()
	b.makeCode(b.lengthCounts[:], b.lengths[:], maxLengthBits)
	b.nLengths = len(lengthOrder)
	for b.lengths[lengthOrder[b.nLengths-1]].n == 0 { // ends in time: some code has a length, which is not 0
		b.nLengths--
	}
	n := 3 + 14 + 3*b.nLengths + b.extra
	n += cost(b.lengthCounts[:], b.lengths[:])
	n += 2*int(b.lengthCounts[repeatLength]) + 3*int(b.lengthCounts[repeatZero]) + 7*int(b.lengthCounts[repeatManyZeroes])
	return n + cost(b.literalCounts[:], b.literals[:]) + cost(b.distanceCounts[:], b.distances[:])
}

// used returns the number of symbols that occur.
func used(counts []uint32) (n int) {
	for _, c := range counts {
		if c > 0 {
			n++
		}
	}
	return n
}

// makeCode makes a Huffman code for symbols with these counts, of which at least two are not 0. No code
// is longer than most bits.
func (b *block) makeCode(counts []uint32, codes []code, most int) {
	sorted := b.sorted[:0]
	for symbol, c := range counts {
		codes[symbol] = code{}
		if c > 0 {
			sorted = append(sorted, c<<9|uint32(symbol))
		}
	}
	b.sortByCount(sorted)
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
	// Codes that were too long have been cut off, so that the code is oversubscribed: lengthen others.
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
	for n := most; n > 0; n-- { // the rarest symbols get the longest codes
		for range perLength[n] {
			codes[sorted[i]&(1<<9-1)].n = uint8(n)
			i++
		}
	}
	assignCodes(codes, &perLength)
}

// sortByCount sorts what makeCode has made of the symbols, by their counts.
func (b *block) sortByCount(symbols []uint32) {
	most := uint32(0)
	for _, s := range symbols {
		most = max(most, s>>9)
	}
	if most >= uint32(len(b.places)) || len(symbols) < 12 {
		slices.Sort(symbols)
		return
	}
	places := b.places[:most+1]
	clear(places)
	for _, s := range symbols {
		places[s>>9]++
	}
	next := uint16(0)
	for count, n := range places {
		places[count] = next
		next += n
	}
	unsorted := b.depth[:copy(b.depth[:], symbols)] // which is free until then
	for _, s := range unsorted {
		symbols[places[s>>9]] = s
		places[s>>9]++
	}
}

// codeDepths replaces weights, which are sorted, by the depths of their leaves in a Huffman tree
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

// assignCodes assigns the codes of the lengths, of which there are so many of each (RFC 1951, 3.2.2).
func assignCodes(codes []code, perLength *[maxCodeBits + 1]int) {
	var next [maxCodeBits + 1]uint16
	for n := 2; n < len(next); n++ {
		next[n] = (next[n-1] + uint16(perLength[n-1])) << 1
	}
	for i := range codes {
		c := &codes[i]
		if n := c.n & maxCodeBits; n > 0 {
			c.bits = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// makeRepeats encodes the lengths of the codes for the header of the block (3.2.7).
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
	for _, codes := range [...][]code{b.literals[:b.nLiterals], b.distances[:b.nDistances]} {
		for len(codes) > 0 {
			length, n := codes[0].n, 1
			for n < len(codes) && codes[n].n == length {
				n++
			}
			codes = codes[n:]
			if length > 0 {
				b.addRepeat(length, 0)
				n--
			}
			if n > 2 {
				n = b.repeat(length, n)
			}
			for ; n > 0; n-- {
				b.addRepeat(length, 0)
			}
		}
	}
}

// repeat adds up to n codes of the length, which follow one of that length if it is not 0. It returns how
// many are left, which are less than 3.
func (b *block) repeat(length uint8, n int) int {
	for n > 2 {
		k := min(n, 6)
		switch {
		case length > 0:
			b.addRepeat(repeatLength, k-3)
		case n > 10:
			k = min(n, 138)
			b.addRepeat(repeatManyZeroes, k-11)
		default:
			k = n
			b.addRepeat(repeatZero, k-3)
		}
		n -= k
	}
	return n
}

func (b *block) addRepeat(symbol uint8, extra int) {
	b.repeats = append(b.repeats, repeat{symbol, uint8(extra)})
	b.lengthCounts[symbol]++
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
