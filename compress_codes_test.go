package websocket

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// huffmanCost returns the number of bits of symbols with these counts in a Huffman code.
func huffmanCost(counts []uint32) (bits int) {
	counts = slices.DeleteFunc(slices.Clone(counts), func(c uint32) bool { return c == 0 })
	for len(counts) > 1 {
		slices.Sort(counts)
		sum := counts[0] + counts[1]
		counts = append(counts[2:], sum)
		bits += int(sum)
	}
	return bits
}

// A code is complete, none of it is longer than it may be, and rarer symbols have no shorter codes. No code is
// better where none is as long as it may be.
func TestMakeCode(t *testing.T) {
	skipRace(t)
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
			room, longest := 1<<limit, uint8(0)
			for i, c := range codes {
				if (c.n > 0) != (counts[i] > 0) || int(c.n) > limit {
					t.Fatalf("counts %v, limit %d: got a code of %d bits for %d", counts, limit, c.n, counts[i])
				}
				if c.n > 0 {
					room -= 1 << (limit - int(c.n))
					longest = max(longest, c.n)
				}
				for j, d := range codes[:i] {
					if counts[i] > 0 && counts[j] > counts[i] && d.n > c.n {
						t.Fatalf("counts %v, limit %d: got %d bits for %d, %d for %d", counts, limit, d.n, counts[j], c.n, counts[i])
					}
				}
			}
			if got, want := cost(counts, codes), huffmanCost(counts); got != want && int(longest) < limit {
				t.Fatalf("counts %v, limit %d: got %d bits, want %d", counts, limit, got, want)
			}
			if room != 0 {
				t.Fatalf("counts %v, limit %d: got a code that is not complete", counts, limit)
			}
		}
	}
}

// The description of the codes of a block is that of these codes, whatever symbols occur, and the number of
// bits is known before it is written.
func TestWriteCodes(t *testing.T) {
	skipRace(t)
	random := rand.New(rand.NewPCG(3, 3))
	b := new(block)
	for round := range 2000 {
		b.clear()
		every, counts := 1+random.IntN(1<<random.IntN(9)), 1+random.IntN(1<<random.IntN(12))
		for i := range b.literalCounts {
			if random.IntN(every) == 0 {
				b.literalCounts[i] = uint32(1 + random.IntN(counts))
			}
		}
		for i := range random.IntN(maxDistances + 1) {
			b.distanceCounts[i] = uint32(random.IntN(2) * random.IntN(counts))
		}
		b.literalCounts[endOfBlock] = 1
		b.literalCounts[0] = max(b.literalCounts[0], 1)
		want := b.makeCodes()
		if used(b.distanceCounts[:]) < 2 || b.lengths[lengthOrder[b.nLengths-1]].n == 0 {
			t.Fatalf("round %d: got %d distances, %d lengths of codes, want at least 2, and no zero at the end",
				round, used(b.distanceCounts[:]), b.nLengths)
		}
		w := new(bitWriter)
		w.grow(want)
		b.writeCodes(w)
		bits := 8*len(w.out) + int(w.n)
		if got := bits + cost(b.literalCounts[:], b.literals[:]) + cost(b.distanceCounts[:], b.distances[:]); got != want {
			t.Fatalf("round %d: got %d bits, want %d", round, got, want)
		}
		w.align()

		s := strictInflater{in: w.out, bit: 3}
		literals, distances, err := s.codes()
		if err != nil || s.bit != bits {
			t.Fatalf("round %d: got %v from the decoder at bit %d, want it at the end, %d", round, err, s.bit, bits)
		}
		for _, tt := range []struct {
			got  strictCode
			want []code
		}{{literals, b.literals[:]}, {distances, b.distances[:]}} {
			lengths := make([]int, len(tt.want))
			for i, c := range tt.want {
				lengths[i] = int(c.n)
			}
			if want := newStrictCode(lengths); tt.got.counts != want.counts || !slices.Equal(tt.got.symbols, want.symbols) {
				t.Fatalf("round %d: got the code %v, want %v", round, tt.got, want)
			}
		}
	}
}

// Lengths that repeat are described by few symbols (3.2.7). A block without a match describes two distance codes.
func TestMakeRepeats(t *testing.T) {
	lengths := func(n int, length uint8) []uint8 { return bytes.Repeat([]byte{length}, n) }
	for _, tt := range []struct {
		lengths []uint8
		want    []repeat
	}{
		{lengths(1, 8), []repeat{{8, 0}}},
		{lengths(3, 8), []repeat{{8, 0}, {8, 0}, {8, 0}}},
		{lengths(4, 8), []repeat{{8, 0}, {repeatLength, 0}}},
		{lengths(7, 8), []repeat{{8, 0}, {repeatLength, 3}}},
		{lengths(10, 8), []repeat{{8, 0}, {repeatLength, 3}, {repeatLength, 0}}},
		{append(lengths(2, 0), 8), []repeat{{0, 0}, {0, 0}, {8, 0}}},
		{append(lengths(3, 0), 8), []repeat{{repeatZero, 0}, {8, 0}}},
		{append(lengths(10, 0), 8), []repeat{{repeatZero, 7}, {8, 0}}},
		{append(lengths(11, 0), 8), []repeat{{repeatManyZeroes, 0}, {8, 0}}},
		{append(lengths(138, 0), 8), []repeat{{repeatManyZeroes, 127}, {8, 0}}},
		{append(lengths(141, 0), 8), []repeat{{repeatManyZeroes, 127}, {repeatZero, 0}, {8, 0}}},
		{append(lengths(5, 7), 8, 8), []repeat{{7, 0}, {repeatLength, 1}, {8, 0}, {8, 0}}},
	} {
		b := new(block)
		for i, n := range tt.lengths {
			b.literals[i].n = n
		}
		b.distances[0].n, b.distances[1].n = 1, 1
		b.makeRepeats()
		if want := append(tt.want, repeat{1, 0}, repeat{1, 0}); !slices.Equal(b.repeats, want) {
			t.Errorf("%d: got %v, want %v", tt.lengths, b.repeats, want)
		}
	}
	b := new(block)
	b.literalCounts[0], b.literalCounts[endOfBlock] = 1, 1
	b.makeCodes()
	if b.nDistances != 2 || b.distances[0].n != 1 || b.distances[1].n != 1 {
		t.Errorf("no distances: got %d with the codes %v, want 2 of one bit", b.nDistances, b.distances[:b.nDistances])
	}
}
