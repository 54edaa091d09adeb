package websocket

import (
	"math/rand/v2"
	"slices"
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

// The description of the codes of a block is that of these codes, whatever symbols occur, and the number of
// bits is known before it is written.
func TestWriteCodes(t *testing.T) {
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
