package websocket

import "sync"

// Numbers of literal and length codes, and of distance codes: in a block with codes of its own, and of
// the fixed codes (RFC 1951, 3.2.6 and 3.2.7).
const (
	maxLiterals    = 286
	maxDistances   = 30
	fixedLiterals  = 288
	fixedDistances = 32
	maxCodeBits    = 15
)

// entry is the entry of a table for the bits that come next.
//
//	bits 0 to 7    number of bits of the code and its extra bits
//	bits 8 to 11   number of bits of the code; of an entryTable, number of bits that select the entry
//	bits 12 to 15  flags
//	bits 16 to 31  the literal; the length or distance less the extra bits; the index of the table
type entry uint32

const (
	entryBits  = 0xff
	entryCode  = 8
	entryValue = 16

	entryEnd     entry = 1 << 12 // of the block
	entryTable   entry = 1 << 13 // the code is longer, and in another table
	entryOther   entry = 1 << 14 // the end of the block, or no code
	entryLiteral entry = 1 << 15
)

// value returns the length or the distance, where b begins with the code.
func (e entry) value(b uint64) int {
	return int(e>>entryValue) + int(b&(1<<(e&63)-1)>>(e>>entryCode&15))
}

// at returns the index of the entry for b, which lies behind the bits that have led to e.
func (e entry) at(b uint64) int {
	return int(e>>entryValue) + int(b&(1<<(e>>entryCode&15)-1))
}

// The first bits of a code select an entry; for a longer code, that is an entryTable. The tables are
// large enough for every complete code.
const (
	literalBits  = 9
	distanceBits = 7
)

type (
	literalTable  [852]entry
	distanceTable [402]entry
)

func (t *literalTable) lookup(b uint64) entry {
	e := t[b&(1<<literalBits-1)]
	if e&entryTable != 0 {
		e = t[e.at(b>>literalBits)]
	}
	return e
}

func (t *distanceTable) lookup(b uint64) entry {
	e := t[b&(1<<distanceBits-1)]
	if e&entryTable != 0 {
		e = t[e.at(b>>distanceBits)]
	}
	return e
}

// The symbols of the codes, as entries without the lengths of their codes.
var (
	literalSymbols  = makeLiteralSymbols()
	distanceSymbols = makeDistanceSymbols()
)

// makeLiteralSymbols makes "the literals and lengths" (3.2.5). The last two stand for nothing.
func makeLiteralSymbols() (s [fixedLiterals]entry) {
	for i := range 256 {
		s[i] = entryLiteral | entry(i)<<entryValue
	}
	s[256] = entryOther | entryEnd
	length := entry(3)
	for i := 257; i < 285; i++ {
		extra := entry(max(0, (i-261)/4))
		s[i] = length<<entryValue | extra
		length += 1 << extra
	}
	s[285] = 258 << entryValue
	s[286], s[287] = entryOther, entryOther
	return s
}

// makeDistanceSymbols makes "the distances" (3.2.5). The last two stand for nothing.
func makeDistanceSymbols() (s [fixedDistances]entry) {
	distance := entry(1)
	for i := range 30 {
		extra := entry(max(0, i/2-1))
		s[i] = distance<<entryValue | extra
		distance += 1 << extra
	}
	s[30], s[31] = entryOther, entryOther
	return s
}

// fixedTables returns the tables of the fixed codes (3.2.6).
func fixedTables() (*literalTable, *distanceTable) {
	t := madeFixedTables()
	return &t.literals, &t.distances
}

type tables struct {
	literals  literalTable
	distances distanceTable
}

var madeFixedTables = sync.OnceValue(func() *tables {
	t := new(tables)
	var order [fixedLiterals]uint16
	var lengths [fixedLiterals]uint8
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	buildTable(t.literals[:], literalBits, lengths[:], literalSymbols[:], &order)
	for i := range fixedDistances {
		lengths[i] = 5
	}
	buildTable(t.distances[:], distanceBits, lengths[:fixedDistances], distanceSymbols[:], &order)
	return t
})

// buildTable makes the table of the code that the lengths define (3.2.2), and reports whether they
// define one: it must be neither oversubscribed nor incomplete, except that a code may have a single
// symbol, of one bit, or none (3.2.7). Order is memory for its use.
func buildTable(t []entry, root int, lengths []uint8, symbols []entry, order *[fixedLiterals]uint16) bool {
	var count [maxCodeBits + 1]int
	used, left := 0, 1
	for _, n := range lengths {
		if n > 0 {
			count[n]++
			used++
		}
	}
	var next [maxCodeBits + 1]int // where the symbols of each length begin in order
	for n := 1; n <= maxCodeBits; n++ {
		if left = left<<1 - count[n]; left < 0 {
			return false
		}
		next[n] = next[n-1] + count[n-1]
	}
	if left > 0 {
		if used > 1 || used != count[1] {
			return false
		}
		t[0] = entryOther | 1<<entryCode | 1
		t[1] = t[0]
	}
	for symbol, n := range lengths {
		if n > 0 {
			order[next[n]] = uint16(symbol)
			next[n]++
		}
	}
	fillTable(t, root, order[:used], lengths, symbols, &count)
	return true
}

// fillTable fills t for the symbols in order, which are sorted by the lengths of their codes; count has
// the number of codes of each length.
func fillTable(t []entry, root int, order []uint16, lengths []uint8, symbols []entry, count *[maxCodeBits + 1]int) {
	code := 0   // "packed starting from the most-significant bit" (3.1.1): the first bit is the lowest
	filled := 2 // entries for the codes so far
	at, size, prefix := 0, 1<<root, -1
	for _, symbol := range order {
		n := int(lengths[symbol])
		e := symbols[symbol] + entry(n|n<<entryCode)
		for ; filled < 1<<min(n, root); filled *= 2 {
			copy(t[filled:2*filled], t) // the codes so far, with one more bit behind them
		}
		if n <= root {
			t[code] = e
		} else {
			if code&(1<<root-1) != prefix {
				prefix = code & (1<<root - 1)
				at += size
				bits := tableBits(n, root, count)
				size = 1 << bits
				t[prefix] = entryTable | entry(at)<<entryValue | entry(bits)<<entryCode | entryBits
			}
			for i := code >> root; i < size; i += 1 << (n - root) {
				t[at+i] = e
			}
		}
		count[n]--
		bit := 1 << (n - 1)
		for code&bit != 0 {
			code ^= bit
			bit >>= 1
		}
		code |= bit
	}
	for ; filled < 1<<root; filled *= 2 {
		copy(t[filled:2*filled], t)
	}
}

// tableBits returns the number of bits that select an entry in the table for codes longer than root
// with the same first bits, the shortest of n bits; count has the codes of each length that are left.
func tableBits(n, root int, count *[maxCodeBits + 1]int) int {
	bits := n - root
	for left := 1 << bits; ; left <<= 1 {
		if left -= count[bits+root]; left <= 0 || bits+root == maxCodeBits {
			return bits
		}
		bits++
	}
}

// lengthOrder is the order in which the lengths of the codes of the lengths come (3.2.7).
var lengthOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// The lengths of the codes are coded, too: as themselves up to 15, and from 16 on as repetitions.
const (
	lengthBits       = 7
	repeatLength     = 16
	repeatZero       = 17
	repeatManyZeroes = 18
)

// lengthSymbols are the entries of the code of the lengths: the symbol is the value.
var lengthSymbols = func() (s [len(lengthOrder)]entry) {
	for i := range s {
		s[i] = entry(i) << entryValue
	}
	return s
}()

// codesHeader decodes how many codes there are (3.2.7).
func (z *inflater) codesHeader() (more bool, err error) {
	if !z.need(14) {
		return false, nil
	}
	z.nLiterals = 257 + z.take(5)
	z.nDistances = 1 + z.take(5)
	z.nLengths = 4 + z.take(4)
	if z.nLiterals > maxLiterals || z.nDistances > maxDistances {
		return false, errCorruptMessage
	}
	clear(z.lengths[:len(lengthOrder)])
	z.have = 0
	z.state = codeLengths
	return true, nil
}

// codeLengths decodes the code of the lengths. Its table lies where that of the distances will be.
func (z *inflater) codeLengths() (more bool, err error) {
	for z.have < z.nLengths {
		if !z.need(3) {
			return false, nil
		}
		z.lengths[lengthOrder[z.have]] = uint8(z.take(3))
		z.have++
	}
	if !buildTable(z.own.distances[:], lengthBits, z.lengths[:len(lengthOrder)], lengthSymbols[:], &z.order) {
		return false, errCorruptMessage
	}
	z.have = 0
	z.state = codes
	return true, nil
}

// codes decodes the lengths of the codes, and makes their tables.
func (z *inflater) codes() (more bool, err error) {
	for n := z.nLiterals + z.nDistances; z.have < n; {
		z.need(lengthBits + 7)
		e := z.own.distances[z.bits&(1<<lengthBits-1)]
		used := uint(e & entryBits)
		symbol := uint8(e >> entryValue)
		value, times, extra := symbol, 1, uint(0)
		switch symbol {
		case repeatLength:
			times, extra = 3, 2
		case repeatZero:
			value, times, extra = 0, 3, 3
		case repeatManyZeroes:
			value, times, extra = 0, 11, 7
		}
		if used+extra > z.n {
			return false, nil
		}
		z.take(used)
		times += z.take(extra)
		if symbol == repeatLength {
			if z.have == 0 {
				return false, errCorruptMessage
			}
			value = z.lengths[z.have-1]
		}
		if e&entryOther != 0 || times > n-z.have {
			return false, errCorruptMessage
		}
		run := z.lengths[z.have:][:times]
		for i := range run {
			run[i] = value
		}
		z.have += times
	}
	literals, distances := z.lengths[:z.nLiterals], z.lengths[z.nLiterals:z.have]
	if literals[256] == 0 ||
		!buildTable(z.own.literals[:], literalBits, literals, literalSymbols[:], &z.order) ||
		!buildTable(z.own.distances[:], distanceBits, distances, distanceSymbols[:], &z.order) {
		return false, errCorruptMessage
	}
	z.literals, z.distances = &z.own.literals, &z.own.distances
	z.state = symbols
	return true, nil
}
