package websocket

import (
	"bytes"
	"compress/flate"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// testBlock is a block of literals, except that half of it repeats the other half if match is set.
func testBlock(p []byte, match bool) *block {
	b := blockPool.Get().(*block)
	b.clear()
	if !match {
		b.add(p, 0, 0)
		return b
	}
	half := len(p) / 2
	b.add(p[:half], min(half, maxMatch), half)
	b.add(p[half+min(half, maxMatch):], 0, 0)
	return b
}

// A block has the shortest form (RFC 1951, 3.2.4 to 3.2.6), and begins at whatever bit the one before has ended.
func TestBlockForms(t *testing.T) {
	const stored, fixed, own = 0, 1, 2
	repeated := bytes.Repeat(noise(200, 2), 2)
	var rare []byte // with the fixed codes, each of these takes a bit more than stored (3.2.6)
	for i := range 33 {
		rare = append(rare, byte(144+3*i))
	}
	w := new(bitWriter)
	var all []byte
	for _, tt := range []struct {
		name  string
		p     []byte
		match bool
		want  int
	}{
		{"a few letters", []byte("Hello"), false, fixed},
		{"nothing", nil, false, fixed},
		{"noise", noise(1000, 1), false, stored},
		{"a byte that is rare in text", []byte{0xff}, false, fixed},
		{"as short with the fixed codes as stored", rare[:32], false, fixed},
		{"shorter stored, by one bit", rare, false, stored},
		{"text", textLike(3000, 1), false, own},
		{"noise that comes again", repeated, true, fixed},
		{"letters that come again", []byte("HelloHello"), true, fixed},
		{"zeroes", make([]byte, maxBlockSize), false, own},
		{"much noise", noise(maxBlockSize, 3), false, stored},
		{"the longest match", bytes.Repeat([]byte("a"), 2*maxMatch), true, own},
	} {
		before := 8*len(w.out) + int(w.n)
		b := testBlock(tt.p, tt.match)
		b.encode(w, tt.p)
		blockPool.Put(b)
		all = append(all, tt.p...)
		if bits := 8*len(w.out) + int(w.n) - before; bits > 3+7+32+8*len(tt.p) {
			t.Errorf("%s: got %d bits, want at most those of a stored block", tt.name, bits)
		}
		padded := append(bytes.Clone(w.out), byte(w.bits), byte(w.bits>>8))
		s := strictInflater{in: padded, bit: before}
		if final, form := s.take(1), s.take(2); final != 0 || form != tt.want {
			t.Errorf("%s: got final %d, form %d, want 0, %d", tt.name, final, form, tt.want)
		}
	}
	w.grow(16)
	w.add(0, 3)
	w.align()
	s := strictInflater{bits: maxWindowBits}
	if got, err := s.message(w.out); err != nil || !bytes.Equal(got, all) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(all))
	}
}

// Each length and each distance has the symbol of 3.2.5.
func TestMatchSymbols(t *testing.T) {
	for length := 3; length <= maxMatch; length++ {
		s := lengthSymbol(length)
		first, n := strictLengths[s-257], 1<<strictLengthBits[s-257]
		if length < first || length >= first+n || length == 258 && s != 285 {
			t.Errorf("length %d: got the symbol %d, which is for %d and %d more", length, s, first, n-1)
		}
	}
	next := 1
	for s := range maxDistances {
		for range 1 << max(0, s/2-1) {
			if got := distanceSymbol(next - 1); got != s {
				t.Fatalf("distance %d: got the symbol %d, want %d", next, got, s)
			}
			next++
		}
	}
	if next != 1<<maxWindowBits+1 {
		t.Errorf("got %d distances, want %d", next-1, 1<<maxWindowBits)
	}
}

// The estimate of what codes of its own cost a block is near enough to choose the form by.
func TestEstimate(t *testing.T) {
	for n := range uint32(1 << 16) {
		want := 0.0
		if n > 1 {
			want = math.Log2(float64(n)) * (1 << logShift)
		}
		if got := log2(n); math.Abs(float64(got)-want) > 3.5 { // eight bits of n are looked at
			t.Fatalf("log2(%d): got %d, want %.1f", n, got, want)
		}
	}
	for _, tt := range []struct {
		counts           []uint32
		bits, used, runs int
	}{
		{nil, 0, 0, 0},
		{[]uint32{0, 0}, 0, 0, 0},
		{[]uint32{5}, 0, 1, 1},
		{[]uint32{1, 1, 1, 1}, 8, 4, 1},
		{[]uint32{0, 4, 0, 0, 2, 2}, 12, 3, 2},
	} {
		if bits, used, runs := entropy(tt.counts); bits != tt.bits || used != tt.used || runs != tt.runs {
			t.Errorf("%d: got %d bits, %d used, %d runs, want %+v", tt.counts, bits, used, runs, tt)
		}
	}
	for _, p := range [][]byte{
		textLike(500, 1), textLike(3000, 2), textLike(30_000, 3), noise(3000, 1), bytes.Repeat([]byte("abcdefgh"), 300),
	} {
		b := testBlock(p, false)
		b.literalCounts[endOfBlock] = 1
		estimate, want := b.estimate(), b.makeCodes()
		if math.Abs(float64(estimate-want)) > float64(want)/10 {
			t.Errorf("%d bytes of %.10q: got %d bits, want about %d", len(p), p, estimate, want)
		}
	}
}

// 16 literals in three runs take 4 bits each, 4 distances in two runs 2 bits each.
func TestEstimateFormula(t *testing.T) {
	b := new(block)
	for _, first := range []int{10, 40, 100} {
		for i := range 5 {
			b.literalCounts[first+i] = 64
		}
	}
	b.literalCounts[105] = 64
	b.distanceCounts = [maxDistances]uint32{3: 64, 4: 64, 10: 64, 11: 64}
	b.extra = 1000
	const (
		literals  = 100 + 7*16/4 + 4*3
		distances = 11*4/2 + 7*2
		symbols   = (16*64*4 + 4*64*2) * 129 / 128
	)
	if got, want := b.estimate(), literals+distances+b.extra+symbols; got != want {
		t.Errorf("got %d bits, want %d", got, want)
	}
}

// Codes of up to 15 bits follow each other in any order.
func TestWriteSequences(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	b := new(block)
	counts := make([]uint32, endOfBlock+1)
	for i := range 17 { // each occurs as often as all before it together
		counts[i] = 1 << i
	}
	counts[endOfBlock] = 1
	b.makeCode(counts, b.literals[:], maxCodeBits)
	lengths := make([]int, len(counts))
	for i := range lengths {
		lengths[i] = int(b.literals[i].n)
	}
	if slices.Max(lengths) != maxCodeBits {
		t.Fatalf("got %d, want a code of %d bits", lengths, maxCodeBits)
	}
	code := newStrictCode(lengths)
	p := make([]byte, 20_000)
	for i := range p {
		p[i] = byte(random.IntN(17))
	}
	b.add(p, 0, 0)
	w := new(bitWriter)
	w.grow(maxCodeBits * (len(p) + 1))
	b.writeSequences(w, p, &b.literals, &b.distances)
	w.align()
	s := strictInflater{in: w.out}
	for i, want := range append(bytes.Clone(p), 0) {
		got, err := code.next(&s)
		if i == len(p) && got == endOfBlock {
			return
		}
		if err != nil || got != int(want) {
			t.Fatalf("symbol %d: got %d, %v, want %d", i, got, err, want)
		}
	}
	t.Error("got no end of the block")
}

// Bits are appended from the lowest on (3.1.1), and the last byte is filled with zeros.
func TestBitWriter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	w := new(bitWriter)
	s := strictInflater{}
	type field struct {
		value uint64
		n     uint
	}
	var fields []field
	for i := 0; i < 1000 || w.n == 0; i++ { // the last byte is not full
		n := uint(random.IntN(57))
		f := field{random.Uint64() & (1<<n - 1), n}
		fields = append(fields, f)
		w.grow(int(n))
		w.add(f.value, n)
	}
	w.align()
	w.align() // nothing is left to fill
	s.in = w.out
	for i, f := range fields {
		low := min(f.n, 28) // so that each half is an int of 32 bits
		if got := uint64(s.take(int(low))) | uint64(s.take(int(f.n-low)))<<low; got != f.value {
			t.Fatalf("field %d, of %d bits: got %#x, want %#x", i, f.n, got, f.value)
		}
	}
	if left := 8*len(w.out) - s.bit; left > 7 || s.take(left) != 0 {
		t.Errorf("got %d bits behind the last, want zeros up to the end of its byte", left)
	}
}

// "Any bits of input up to the next byte boundary are ignored" before the lengths of a stored block (RFC 1951, 3.2.4),
// wherever the block begins.
func TestStoredBlockAtEveryBit(t *testing.T) {
	for nines := range 8 {
		p := noise(1000, 1)
		w := new(bitWriter)
		w.grow(64)
		// A block of fixed codes, with literals of 9 bits, ends at each bit in turn (3.2.6).
		w.add(1<<1, 3)
		want := bytes.Repeat([]byte{200}, nines)
		for range nines {
			w.add(uint64(fixedLiteralCodes[200].bits), uint(fixedLiteralCodes[200].n))
		}
		w.add(uint64(fixedLiteralCodes[endOfBlock].bits), uint(fixedLiteralCodes[endOfBlock].n))
		if w.n != (3+7+uint(nines)*9)%8 {
			t.Fatalf("got %d bits, want those of %d literals", w.n, nines)
		}
		b := testBlock(p, false)
		b.encode(w, p)
		blockPool.Put(b)
		got, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(w.out), strings.NewReader("\x01\x00\x00\xff\xff"))))
		if !bytes.Equal(got, append(want, p...)) || err != nil {
			t.Errorf("after %d literals of 9 bits: got %d bytes and error %v, want %d", nines, len(got), err, nines+len(p))
		}
	}
}
