package websocket

import (
	"math/rand/v2"
	"testing"
)

// A code is complete, none of it is longer than it may be, and rarer symbols have no shorter codes.
func TestMakeCode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	b := new(block)
	for round := range 2000 {
		counts := make([]uint32, 2+random.IntN(maxLiterals-1))
		a, next := uint32(1), uint32(1)
		for i := range counts {
			switch round % 4 {
			case 0: // the counts of Fibonacci make the longest codes
				counts[i] = min(a, maxBlockSize)
				a, next = next, min(a+next, maxBlockSize)
			case 1:
				counts[i] = uint32(random.IntN(3))
			case 2:
				counts[i] = 1 << random.IntN(15)
			case 3:
				counts[i] = 1
			}
		}
		counts[0], counts[len(counts)-1] = max(counts[0], 1), max(counts[len(counts)-1], 1)
		limits := []int{maxCodeBits, 9}
		if used(counts) <= 19 {
			limits = append(limits, maxLengthBits)
		}
		for _, limit := range limits {
			codes := make([]code, len(counts))
			b.makeCode(counts, codes, limit)
			room := 1 << limit
			for i, c := range codes {
				if (c.n > 0) != (counts[i] > 0) || int(c.n) > limit {
					t.Fatalf("counts %v, limit %d: got a code of %d bits for %d", counts, limit, c.n, counts[i])
				}
				if c.n > 0 {
					room -= 1 << (limit - int(c.n))
				}
				for j, d := range codes[:i] {
					if counts[i] > 0 && counts[j] > counts[i] && d.n > c.n {
						t.Fatalf("counts %v, limit %d: got %d bits for %d, %d for %d", counts, limit, d.n, counts[j], c.n, counts[i])
					}
				}
			}
			if room != 0 {
				t.Fatalf("counts %v, limit %d: got a code that is not complete", counts, limit)
			}
		}
	}
}

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
