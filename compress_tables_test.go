package websocket

import (
	"math/rand/v2"
	"testing"
)

// A table decodes each code that is made, whatever bits follow it.
func TestTablesDecodeCodes(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	b := new(block)
	var order [fixedLiterals]uint16
	for range 500 {
		counts := make([]uint32, maxLiterals)
		for i := range counts {
			counts[i] = 1 << random.IntN(1+random.IntN(15)) >> random.IntN(2)
		}
		counts[endOfBlock], counts[0] = 1, 1
		codes := make([]code, maxLiterals)
		b.makeCode(counts, codes, maxCodeBits)
		lengths := make([]uint8, maxLiterals)
		for i, c := range codes {
			lengths[i] = c.n
		}
		var table literalTable
		if !buildTable(table[:], literalBits, lengths, literalSymbols[:], &order) {
			t.Fatalf("lengths %v: got that they are no code", lengths)
		}
		for symbol, c := range codes {
			if c.n == 0 {
				continue
			}
			e := table.lookup(uint64(c.bits) | random.Uint64()<<c.n)
			n := entry(c.n)
			if want := literalSymbols[symbol] + n + n<<entryCode; e != want {
				t.Fatalf("symbol %d, %d bits: got the entry %x, want %x", symbol, c.n, e, want)
			}
		}
	}
}

// The same for the distances.
func TestTablesDecodeDistances(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	b := new(block)
	var order [fixedLiterals]uint16
	for range 500 {
		counts := make([]uint32, maxDistances)
		for i := range counts {
			counts[i] = 1 << random.IntN(1+random.IntN(15)) >> random.IntN(2)
		}
		counts[0], counts[1] = 1, 1
		codes := make([]code, maxDistances)
		b.makeCode(counts, codes, maxCodeBits)
		lengths := make([]uint8, maxDistances)
		for i, c := range codes {
			lengths[i] = c.n
		}
		var table distanceTable
		if !buildTable(table[:], distanceBits, lengths, distanceSymbols[:], &order) {
			t.Fatalf("lengths %v: got that they are no code", lengths)
		}
		for symbol, c := range codes {
			if c.n == 0 {
				continue
			}
			e := table.lookup(uint64(c.bits) | random.Uint64()<<c.n)
			n := entry(c.n)
			if want := distanceSymbols[symbol] + n + n<<entryCode; e != want {
				t.Fatalf("symbol %d, %d bits: got the entry %x, want %x", symbol, c.n, e, want)
			}
		}
	}
}

// The tables of the fixed codes (3.2.6) give each literal, each length and each distance, and nothing else.
func TestFixedTables(t *testing.T) {
	literals, distances := fixedTables()
	for c := range 256 {
		code := fixedLiteralCodes[c]
		if e := literals.lookup(uint64(code.bits)); e&entryLiteral == 0 || int(e>>entryValue) != c || e&entryBits != entry(code.n) {
			t.Errorf("literal %d: got the entry %x", c, e)
		}
	}
	if e := literals.lookup(uint64(fixedLiteralCodes[endOfBlock].bits)); e&entryEnd == 0 {
		t.Errorf("end of the block: got the entry %x", e)
	}
	for length := 3; length <= maxMatch; length++ {
		s := lengthSymbol(length)
		code := fixedLiteralCodes[s]
		b := uint64(code.bits) | uint64(length-strictLengths[s-257])<<code.n | 1<<40
		e := literals.lookup(b)
		if got, bits := e.value(b), int(code.n)+strictLengthBits[s-257]; got != length || e&(entryLiteral|entryOther) != 0 || int(e&entryBits) != bits {
			t.Errorf("length %d: got %d, the entry %x, want %d bits", length, got, e, bits)
		}
	}
	for distance := 1; distance <= 1<<maxWindowBits; distance++ {
		s := distanceSymbol(distance - 1)
		first := int(distanceSymbols[s] >> entryValue)
		b := uint64(fixedDistanceCodes[s].bits) | uint64(distance-first)<<5 | 1<<40
		e := distances.lookup(b)
		if got := e.value(b); got != distance || e&entryOther != 0 {
			t.Fatalf("distance %d: got %d, the entry %x", distance, got, e)
		}
	}
	// "literal/length values 286-287 will never actually occur", and "distance codes 30-31" neither.
	for _, e := range []entry{literals.lookup(0b011_00011), literals.lookup(0b111_00011), distances.lookup(0b01111), distances.lookup(0b11111)} {
		if e&entryOther == 0 || e&entryEnd != 0 {
			t.Errorf("got the entry %x, want one for no symbol", e)
		}
	}
}

// lengthsCode is a code of the lengths, of three bits each: of the lengths 0, 1, 2, 8 and 9, and the repetitions.
var lengthsCode = [len(lengthOrder)]uint8{0: 3, 1: 3, 2: 3, 8: 3, 9: 3, repeatLength: 3, repeatZero: 3, repeatManyZeroes: 3}

// The codes of a block must be codes (3.2.7), and nothing else is wrong with their description. It may be cut
// anywhere.
func TestBlockCodes(t *testing.T) {
	zeroes := func(n int) repeat { return repeat{repeatManyZeroes, uint8(n - 11)} }
	for _, tt := range []struct {
		name                string
		literals, distances int
		code                [len(lengthOrder)]uint8
		lengths             []repeat
		ok                  bool
	}{
		{"two literals, two distances", 257, 2, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, {1, 0}, {1, 0}}, true},
		{"one distance", 257, 1, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, {1, 0}}, true},
		{"no distance", 257, 1, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, {0, 0}}, true},
		{"the end of the block alone", 257, 1, lengthsCode, []repeat{zeroes(138), zeroes(118), {1, 0}, {0, 0}}, true},
		{"repetitions", 260, 3, lengthsCode, []repeat{zeroes(138), zeroes(115), {repeatZero, 0}, {2, 0}, {repeatLength, 0}, {0, 0}, {2, 0}, {2, 0}}, false},
		{"repetitions of 2 bits", 260, 4, lengthsCode, []repeat{zeroes(138), zeroes(115), {repeatZero, 0}, {2, 0}, {repeatLength, 0}, {2, 0}, {repeatLength, 0}}, true},
		{"a repetition from the literals into the distances", 260, 4, lengthsCode, []repeat{zeroes(138), zeroes(118), {2, 0}, {repeatLength, 3}, {2, 0}}, true},

		{"287 literals", 287, 1, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, zeroes(30), {1, 0}}, false},
		{"31 distances", 257, 31, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, {1, 0}, {1, 0}, zeroes(29)}, false},
		{"too many codes for the lengths", 257, 1, [len(lengthOrder)]uint8{0: 1, 1: 1, 2: 1}, nil, false},
		{"too few codes for the lengths", 257, 1, [len(lengthOrder)]uint8{0: 1, 1: 2}, nil, false},
		{"a code for the lengths that is none", 257, 1, [len(lengthOrder)]uint8{0: 1}, []repeat{{1, 0}}, false},
		{"a repetition of nothing", 257, 1, lengthsCode, []repeat{{repeatLength, 0}}, false},
		{"a repetition beyond the last", 257, 1, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, {repeatZero, 0}}, false},
		{"no end of the block", 257, 1, lengthsCode, []repeat{{1, 0}, {1, 0}, zeroes(138), zeroes(117), {1, 0}}, false},
		{"too many literals", 257, 1, lengthsCode, []repeat{{1, 0}, {1, 0}, zeroes(138), zeroes(116), {1, 0}, {1, 0}}, false},
		{"too few literals", 257, 1, lengthsCode, []repeat{{2, 0}, zeroes(138), zeroes(117), {1, 0}, {1, 0}}, false},
		{"one literal of two bits", 257, 1, lengthsCode, []repeat{zeroes(138), zeroes(118), {2, 0}, {1, 0}}, false},
		{"too many distances", 257, 3, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, {1, 0}, {1, 0}, {1, 0}}, false},
		{"too few distances", 257, 2, lengthsCode, []repeat{{1, 0}, zeroes(138), zeroes(117), {1, 0}, {1, 0}, {2, 0}}, false},
	} {
		b := &block{nLiterals: tt.literals, nDistances: tt.distances, nLengths: len(lengthOrder), repeats: tt.lengths}
		var perLength [maxCodeBits + 1]int
		for i, n := range tt.code {
			b.lengths[i].n = n
			if n > 0 {
				perLength[n]++
			}
		}
		assignCodes(b.lengths[:], &perLength)
		w := new(bitWriter)
		w.grow(1000)
		b.writeCodes(w)
		bits := 8*len(w.out) + int(w.n)
		w.add(0xffff, 16) // belongs to the codes where they are short of bits
		w.align()

		z := acquireInflater(&window{size: 1 << maxWindowBits})
		var err error
		taken := 0
		for ; taken < len(w.out) && err == nil && z.literals == nil; taken++ {
			_, _, err = z.inflate(nil, 0, w.out[taken:taken+1])
		}
		switch ok := z.literals != nil; {
		case ok != tt.ok, ok && taken != (bits+7)/8:
			t.Errorf("%s: got codes %v after %d bytes, want %v after %d", tt.name, ok, taken, tt.ok, (bits+7)/8)
		case !ok && err != error(errCorruptMessage):
			t.Errorf("%s: got %v, want that it is corrupt", tt.name, err)
		}
		releaseInflater(z)

		s := strictInflater{in: w.out, bit: 3}
		// That decoder lets a block without an end through, up to where the data ends.
		if _, _, err := s.codes(); (err == nil) != tt.ok && tt.name != "no end of the block" {
			t.Errorf("%s: got %v from the strict decoder, want it accepted: %v", tt.name, err, tt.ok)
		}
	}
}
