package websocket

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// A table decodes each code that is made, whatever bits follow it.
func TestTablesDecodeCodes(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	b := new(block)
	var order [fixedLiterals]uint16
	var literals literalTable
	var distances distanceTable
	for _, tt := range []struct {
		table   []entry
		root    int
		symbols []entry
		lookup  func(b uint64) entry
	}{
		{literals[:], literalBits, literalSymbols[:maxLiterals], literals.lookup},
		{distances[:], distanceBits, distanceSymbols[:maxDistances], distances.lookup},
	} {
		for range 500 {
			counts, lengths := make([]uint32, len(tt.symbols)), make([]uint8, len(tt.symbols))
			for i := range counts {
				counts[i] = 1 << random.IntN(1+random.IntN(15)) >> random.IntN(2)
			}
			counts[0], counts[1] = 1, 1
			codes := make([]code, len(tt.symbols))
			b.makeCode(counts, codes, maxCodeBits)
			for i, c := range codes {
				lengths[i] = c.n
			}
			clear(tt.table)
			if !buildTable(tt.table, tt.root, lengths, tt.symbols, &order) {
				t.Fatalf("lengths %v: got that they are no code", lengths)
			}
			for symbol, c := range codes {
				if c.n == 0 {
					continue
				}
				e, n := tt.lookup(uint64(c.bits)|random.Uint64()<<c.n), entry(c.n)
				if want := tt.symbols[symbol] + n + n<<entryCode; e != want {
					t.Fatalf("symbol %d of %d, %d bits: got the entry %x, want %x", symbol, len(codes), n, e, want)
				}
			}
		}
	}
}

// The tables of the fixed codes (3.2.6) give each literal, each length and each distance, and nothing else.
func TestFixedTables(t *testing.T) {
	literals, distances := fixedTables()
	for c := range 256 {
		code := fixedLiteralCodes[c]
		e := literals.lookup(uint64(code.bits))
		if e&entryLiteral == 0 || int(e>>entryValue) != c || e&entryBits != entry(code.n) {
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
		got, bits := e.value(b), int(code.n)+strictLengthBits[s-257]
		if got != length || e&(entryLiteral|entryOther) != 0 || int(e&entryBits) != bits {
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
	for _, e := range []entry{
		literals.lookup(0b011_00011), literals.lookup(0b111_00011), distances.lookup(0b01111), distances.lookup(0b11111),
	} {
		if e&entryOther == 0 || e&entryEnd != 0 {
			t.Errorf("got the entry %x, want one for no symbol", e)
		}
	}
}

// lengthsCode is a code of the lengths, of three bits each: of the lengths 0, 1, 2, 8 and 9, and the repetitions.
var lengthsCode = [len(lengthOrder)]uint8{
	0: 3, 1: 3, 2: 3, 8: 3, 9: 3, repeatLength: 3, repeatZero: 3, repeatManyZeroes: 3,
}

// parseRepeats reads the lengths of codes: z138 is 138 times the length 0, and =3 three times the length before.
func parseRepeats(s string) (list []repeat) {
	for _, word := range strings.Fields(s) {
		n, _ := strconv.Atoi(strings.TrimLeft(word, "z="))
		switch {
		case word[0] == '=':
			list = append(list, repeat{repeatLength, uint8(n - 3)})
		case word[0] == 'z' && n < 11:
			list = append(list, repeat{repeatZero, uint8(n - 3)})
		case word[0] == 'z':
			list = append(list, repeat{repeatManyZeroes, uint8(n - 11)})
		default:
			list = append(list, repeat{uint8(n), 0})
		}
	}
	return list
}

// The codes of a block must be codes (3.2.7), and nothing else is wrong with their description. It may be cut
// anywhere.
func TestBlockCodes(t *testing.T) {
	for _, tt := range []struct {
		name                string
		literals, distances int
		code                [len(lengthOrder)]uint8
		lengths             string
		ok                  bool
	}{
		{"two literals, two distances", 257, 2, lengthsCode, "1 z138 z117 1 1 1", true},
		{"one distance", 257, 1, lengthsCode, "1 z138 z117 1 1", true},
		{"no distance", 257, 1, lengthsCode, "1 z138 z117 1 0", true},
		{"the end of the block alone", 257, 1, lengthsCode, "z138 z118 1 0", true},
		{"repetitions", 260, 3, lengthsCode, "z138 z115 z3 2 =3 0 2 2", false},
		{"repetitions of 2 bits", 260, 4, lengthsCode, "z138 z115 z3 2 =3 2 =3", true},
		{"a repetition from the literals into the distances", 260, 4, lengthsCode, "z138 z118 2 =6 2", true},

		{"287 literals", 287, 1, lengthsCode, "1 z138 z117 1 z30 1", false},
		{"31 distances", 257, 31, lengthsCode, "1 z138 z117 1 1 1 z29", false},
		{"too many codes for the lengths", 257, 1, [len(lengthOrder)]uint8{0: 1, 1: 1, 2: 1}, "", false},
		{"too few codes for the lengths", 257, 1, [len(lengthOrder)]uint8{0: 1, 1: 2}, "", false},
		{"a code for the lengths that is none", 257, 1, [len(lengthOrder)]uint8{0: 1}, "1", false},
		{"a repetition of nothing", 257, 1, lengthsCode, "=3", false},
		{"a repetition beyond the last", 257, 1, lengthsCode, "1 z138 z117 1 z3", false},
		{"no end of the block", 257, 1, lengthsCode, "1 1 z138 z117 1", false},
		{"too many literals", 257, 1, lengthsCode, "1 1 z138 z116 1 1", false},
		{"too few literals", 257, 1, lengthsCode, "2 z138 z117 1 1", false},
		{"one literal of two bits", 257, 1, lengthsCode, "z138 z118 2 1", false},
		{"too many distances", 257, 3, lengthsCode, "1 z138 z117 1 1 1 1", false},
		{"too few distances", 257, 2, lengthsCode, "1 z138 z117 1 1 2", false},
	} {
		b := &block{nLiterals: tt.literals, nDistances: tt.distances, nLengths: len(lengthOrder)}
		b.repeats = parseRepeats(tt.lengths)
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

// The codes that need the most entries, as a search of all complete codes has found, fit into the tables.
func TestLargestTables(t *testing.T) {
	lengths := func(counts map[int]int) (list []uint8) {
		for n := 1; n <= maxCodeBits; n++ {
			list = append(list, bytes.Repeat([]byte{uint8(n)}, counts[n])...)
		}
		return list
	}
	literals := lengths(map[int]int{1: 1, 2: 1, 3: 1, 10: 1, 11: 229, 12: 49, 13: 1, 14: 1, 15: 2})
	distances := lengths(map[int]int{1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 8: 1, 9: 9, 10: 9, 11: 1, 12: 1, 13: 1, 14: 1, 15: 2})
	z := new(inflater)
	if len(literals) != maxLiterals || !buildTable(z.own.literals[:], literalBits, literals, literalSymbols[:], &z.order) ||
		len(distances) != maxDistances || !buildTable(z.own.distances[:], distanceBits, distances, distanceSymbols[:], &z.order) {
		t.Fatalf("got no tables for %d and %d symbols", len(literals), len(distances))
	}
	for _, tt := range []struct {
		lengths []uint8
		symbols []entry
		lookup  func(b uint64) entry
	}{
		{literals, literalSymbols[:], z.own.literals.lookup},
		{distances, distanceSymbols[:], z.own.distances.lookup},
	} {
		codes := make([]code, len(tt.lengths))
		var perLength [maxCodeBits + 1]int
		for i, n := range tt.lengths {
			codes[i].n = n
			perLength[n]++
		}
		assignCodes(codes, &perLength)
		for i, c := range codes {
			want := tt.symbols[i] + entry(c.n) + entry(c.n)<<entryCode
			if got := tt.lookup(uint64(c.bits)); got != want {
				t.Errorf("symbol %d: got the entry %#x, want %#x", i, got, want)
			}
		}
	}
}
