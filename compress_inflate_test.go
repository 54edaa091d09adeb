package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// strictInflater is a decoder of DEFLATE (RFC 1951) of our own, with just the window that
// was agreed on: a distance beyond it, or beyond the beginning of the context, is an
// error, where other decoders have more and do not notice.
type strictInflater struct {
	bits     int    // of the window
	takeover bool   // the context lasts beyond a message
	history  []byte // what was decoded in this context
	most     int    // bytes that a message may have; 0 means any number

	in    []byte
	bit   int // position in it
	start int // of the message in history

	blocks, symbols int // that were decoded
}

var (
	errStrictShort    = errors.New("the data ends within a block")
	errStrictCode     = errors.New("a code that stands for nothing")
	errStrictWindow   = errors.New("a distance beyond the agreed window")
	errStrictContext  = errors.New("a distance beyond the beginning of the context")
	errStrictBlock    = errors.New("a block of type 3")
	errStrictStored   = errors.New("a stored block whose lengths disagree")
	errStrictLong     = errors.New("a message that is too long")
	errStrictNoMarker = errors.New("the message does not end with the end of a block")
)

// message decodes a message "with DEFLATE", after "4 octets of 0x00 0x00 0xff 0xff" were
// put "to the tail end of the payload" (RFC 7692, 7.2.2).
func (s *strictInflater) message(payload []byte) ([]byte, error) {
	if !s.takeover {
		s.history = nil
	}
	s.start = len(s.history)
	s.in, s.bit = append(bytes.Clone(payload), 0, 0, 0xff, 0xff), 0
	for s.bit < 8*len(s.in) {
		final, err := s.block()
		if err != nil {
			return s.history[s.start:], fmt.Errorf("%w, at bit %d", err, s.bit)
		}
		if final && s.bit == 8*len(payload) {
			break // it has ended without what was put behind it
		}
	}
	return s.history[s.start:], nil
}

func (s *strictInflater) take(n int) (v int) {
	for i := range n {
		if at := s.bit / 8; at < len(s.in) {
			v |= int(s.in[at]>>(s.bit%8)&1) << i
		}
		s.bit++ // beyond the end too, which block sees
	}
	return v
}

func (s *strictInflater) short() bool { return s.bit > 8*len(s.in) }

// block decodes a block. Behind one with BFINAL set, the next begins at a byte.
func (s *strictInflater) block() (final bool, err error) {
	final = s.take(1) == 1
	s.blocks++
	switch s.take(2) {
	case 0:
		err = s.stored()
	case 1:
		err = s.compressed(strictFixed, strictFixedDistances)
	case 2:
		var literals, distances strictCode
		if literals, distances, err = s.codes(); err == nil {
			err = s.compressed(literals, distances)
		}
	case 3:
		err = errStrictBlock
	}
	if err == nil && s.short() {
		err = errStrictShort
	}
	if final {
		s.bit = (s.bit + 7) &^ 7
	}
	if err == nil && s.bit+8 > 8*len(s.in) && s.bit != 8*len(s.in) {
		err = errStrictNoMarker
	}
	return final, err
}

func (s *strictInflater) stored() error {
	s.bit = (s.bit + 7) &^ 7
	length, complement := s.take(16), s.take(16)
	if s.short() {
		return errStrictShort
	}
	if length^complement != 0xffff {
		return errStrictStored
	}
	for range length {
		s.history = append(s.history, byte(s.take(8)))
	}
	return nil
}

func (s *strictInflater) compressed(literals, distances strictCode) error {
	for {
		symbol, err := literals.next(s)
		s.symbols++
		switch {
		case err != nil:
			return err
		case symbol < 256:
			s.history = append(s.history, byte(symbol))
			continue
		case symbol == 256:
			return nil
		case symbol > 285:
			return errStrictCode
		}
		length := strictLengths[symbol-257] + s.take(strictLengthBits[symbol-257])
		code, err := distances.next(s)
		if err != nil {
			return err
		}
		if code > 29 {
			return errStrictCode
		}
		distance := 1 + code
		if code >= 4 { // "5 ... 1 extra bit", and so on (RFC 1951, 3.2.5)
			extra := code/2 - 1
			distance = 1 + (2+code%2)<<extra + s.take(extra)
		}
		switch {
		case s.short():
			return errStrictShort
		case distance > 1<<s.bits:
			return errStrictWindow
		case distance > len(s.history):
			return errStrictContext
		}
		for range length {
			s.history = append(s.history, s.history[len(s.history)-distance])
		}
		if s.most > 0 && len(s.history)-s.start > s.most {
			return errStrictLong
		}
	}
}

// codes reads the codes of a block with codes of its own (RFC 1951, 3.2.7).
func (s *strictInflater) codes() (literals, distances strictCode, err error) {
	nLiterals, nDistances, n := 257+s.take(5), 1+s.take(5), 4+s.take(4)
	lengths := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:n] {
		lengths[i] = s.take(3)
	}
	code := newStrictCode(lengths)
	if nLiterals > 286 || nDistances > 30 || !code.complete() {
		return literals, distances, errStrictCode
	}
	lengths = nil
	for len(lengths) < nLiterals+nDistances {
		symbol, err := code.next(s)
		if err == nil && symbol == 16 && len(lengths) == 0 {
			err = errStrictCode
		}
		if err != nil {
			return literals, distances, err
		}
		length, repeat := symbol, 1
		switch symbol {
		case 16:
			length, repeat = lengths[len(lengths)-1], 3+s.take(2)
		case 17:
			length, repeat = 0, 3+s.take(3)
		case 18:
			length, repeat = 0, 11+s.take(7)
		}
		lengths = append(lengths, slices.Repeat([]int{length}, repeat)...)
	}
	literals, distances = newStrictCode(lengths[:nLiterals]), newStrictCode(lengths[nLiterals:])
	if len(lengths) > nLiterals+nDistances || !literals.complete() || !distances.complete() {
		err = errStrictCode
	}
	return literals, distances, err
}

// strictCode is a prefix code: how many codes there are of each length, and the symbols
// in the order of their codes.
type strictCode struct {
	counts  [16]int
	symbols []int
}

func newStrictCode(lengths []int) (c strictCode) {
	for length := 1; length < 16; length++ {
		for symbol, l := range lengths {
			if l == length {
				c.counts[length]++
				c.symbols = append(c.symbols, symbol)
			}
		}
	}
	return c
}

// complete reports whether no bits are without a meaning or have two. A code of no symbols
// is complete, and one of a single symbol of one bit (RFC 1951, 3.2.7).
func (c *strictCode) complete() bool {
	left := 1
	for _, count := range c.counts[1:] {
		left = left<<1 - count
		if left < 0 {
			return false
		}
	}
	return left == 0 || len(c.symbols) == 0 || len(c.symbols) == 1 && c.counts[1] == 1
}

func (c *strictCode) next(s *strictInflater) (symbol int, err error) {
	code, first, index := 0, 0, 0
	for length := 1; length < 16 && index < len(c.symbols); length++ {
		code |= s.take(1)
		if s.short() {
			return 0, errStrictShort
		}
		count := c.counts[length]
		if code-first < count {
			return c.symbols[index+code-first], nil
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, errStrictCode
}

var (
	strictLengths = []int{
		3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
	}
	strictLengthBits = []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}

	strictFixed = newStrictCode(slices.Concat(slices.Repeat([]int{8}, 144), slices.Repeat([]int{9}, 112),
		slices.Repeat([]int{7}, 24), slices.Repeat([]int{8}, 8)))
	strictFixedDistances = newStrictCode(slices.Repeat([]int{5}, 32)) // of which two stand for nothing
)

// deflateMessages compresses messages with compress/flate alone, as a peer does that
// keeps its context, at a level, and returns the payloads.
func deflateMessages(level int, messages ...[]byte) (payloads [][]byte) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err)
	}
	for _, message := range messages {
		w.Write(message)
		w.Flush()
		payloads = append(payloads, bytes.Clone(b.Bytes()[:b.Len()-len(deflateTail)]))
		b.Reset()
	}
	return payloads
}

// textNone returns n bytes in which nothing comes again, and nothing of a text.
func textNone(n int) []byte {
	b := make([]byte, 0, n+4)
	for i := 0; len(b) < n; i++ {
		b = append(b, byte(i)|0x80, byte(i>>7)|0x80, byte(i*7>>4)|0x80)
	}
	return b[:n]
}

// noise returns n bytes that nothing makes shorter.
func noise(n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// inflated is what an inflater makes of a message behind the history, with a window of the bits, where it gets in
// pieces of most takes bytes, and puts out pieces of most gives bytes. Each is forgotten but for the window.
func inflated(payload, history []byte, bits, takes, gives int) ([]byte, error) {
	w := window{size: 1 << bits}
	w.put(history)
	z := acquireInflater(&w)
	defer releaseInflater(z)
	var out []byte
	p := make([]byte, gives+8)
	for _, in := range [][]byte{payload, inflateTail} {
		if len(in) > 0 && &in[0] == &inflateTail[0] && z.ended() {
			break
		}
		for len(in) > 0 || z.full {
			n, taken, err := z.inflate(p[:gives:gives], 0, in[:min(len(in), takes)])
			if err != nil {
				return nil, err
			}
			if string(p[gives:]) != "\x00\x00\x00\x00\x00\x00\x00\x00" {
				panic("wrote beyond its memory")
			}
			out = append(out, p[:n]...)
			w.put(p[:n])
			in = in[taken:]
		}
	}
	z.tail = nil
	if !z.ended() {
		return nil, errCorruptMessage
	}
	return out, nil
}

// inflate decompresses a message at once, and in pieces, and returns what all agree on.
func inflate(t testing.TB, payload, history []byte, bits int) ([]byte, error) {
	t.Helper()
	whole, err := inflated(payload, history, bits, 1<<30, 1<<18)
	for _, pieces := range [][2]int{{1 << 30, 700}, {700, 1 << 16}, {1, 1}, {1, 300}, {3, 2}, {17, 277}} {
		got, err2 := inflated(payload, history, bits, pieces[0], pieces[1])
		if err != err2 || !bytes.Equal(got, whole) {
			t.Fatalf("got %d bytes, %v at once, and %d bytes, %v in pieces of %d", len(whole), err, len(got), err2, pieces)
		}
	}
	return whole, err
}

// wantInflate checks what a message becomes behind the history.
func wantInflate(t *testing.T, payload, history, want []byte) {
	t.Helper()
	if got, err := inflate(t, payload, history, 15); err != nil || !bytes.Equal(got, want) {
		t.Errorf("% x: got %d bytes, %v, want %d", payload[:min(len(payload), 20)], len(got), err, len(want))
	}
}

// wantAsStrict says that the payload is decompressed as the strict decoder and compress/flate do it, or refused as
// they do. It returns the error of the strict decoder.
func wantAsStrict(t *testing.T, s *strictInflater, payload []byte) error {
	t.Helper()
	history := s.history
	if !s.takeover {
		history = nil
	}
	got, err := inflate(t, payload, history, s.bits)
	want, wantErr := s.message(payload)
	if len(payload) == 0 {
		wantErr = errCorruptMessage // an empty message is 00 (7.2.3.6)
	}
	if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
		t.Errorf("% x: got %q, %v, want %q, %v", payload, got, err, want, wantErr)
	}
	if err != nil && err != error(errCorruptMessage) {
		t.Errorf("% x: got %v, want that it is corrupt", payload, err)
	}
	compareFlate(t, history, payload, want, wantErr)
	return wantErr
}

// damaged are messages of all types of blocks, small enough that all that can be wrong with
// a bit of them is tried.
func damaged() (payloads [][]byte) {
	text := []byte("Hello, Hello; the window")
	for _, level := range []int{0, -2, 1, 9} {
		payloads = append(payloads, deflateMessages(level, text)[0])
	}
	large := deflateMessages(6, textLike(600, 1))[0] // with codes of its own
	two := slices.Concat(payloads[3], []byte(deflateTail), payloads[2])
	noSymbol := []byte("\x4a\x1c\x03\x00\x00")          // "a", and the fixed code of 286, which stands for nothing
	final := []byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00") // with BFINAL set
	return append(payloads, large, two, noSymbol, final, final[:7:7])
}

// Every message that is cut short, or has a bit that is wrong, is refused where it is not
// another message (RFC 7692, 7.2.2).
func TestInflateDamaged(t *testing.T) {
	skipRace(t)
	for _, payload := range damaged() {
		for n := range len(payload) + 1 {
			wantAsStrict(t, &strictInflater{bits: 15}, payload[:n])
		}
		for bit := range 8 * len(payload) {
			p := bytes.Clone(payload)
			p[bit/8] ^= 1 << (bit % 8)
			wantAsStrict(t, &strictInflater{bits: 15}, p)
		}
	}
	// A stored block that is longer than the message: no data is left but for the four bytes of the tail, which the
	// sender has taken away (7.2.2).
	for length := range byte(12) {
		for _, first := range []byte{0, 1} {
			wantAsStrict(t, &strictInflater{bits: 15}, []byte{first, length, 0, ^length, 0xff})
		}
	}
}

// finalBlocks compresses texts so that each ends with BFINAL set, and refers to those before it.
func finalBlocks(texts ...[]byte) []byte {
	var b bytes.Buffer
	var before []byte
	for _, text := range texts {
		w, _ := flate.NewWriterDict(&b, 9, before)
		w.Write(text)
		w.Close()
		before = append(before, text...)
	}
	return b.Bytes()
}

// Blocks behind one with BFINAL set refer to those before it, as long as the window lasts
// (7.2.3.4).
func TestInflateFinalBlocks(t *testing.T) {
	skipRace(t)
	for _, size := range []int{0, 10, 300, 699, 700, 701, 5000, 32767, 32768, 32769, 70_000} {
		text := textLike(size, 1)
		want := slices.Concat(text, text, text, []byte("end"))
		payload := finalBlocks(text, text, text, []byte("end"))
		for _, end := range []string{"", "\x00"} {
			wantInflate(t, append(payload, end...), nil, want)
		}
	}
}

// There may be any number of empty blocks, also with BFINAL set.
func TestInflateManyEmptyBlocks(t *testing.T) {
	skipRace(t)
	for _, tt := range [][2]string{{"\x00\x00\x00\xff\xff", "\x00"}, {"\x01\x00\x00\xff\xff", ""}, {"\x03\x00", ""}} {
		wantInflate(t, []byte(strings.Repeat(tt[0], 20_000)+tt[1]), nil, nil)
	}
}

// Messages of every level of compress/flate refer to those before them. What comes out does not depend on how much
// room there is for it, or on where the input is cut.
func TestInflateInPieces(t *testing.T) {
	skipRace(t)
	messages := [][]byte{textLike(70_000, 1), textLike(100, 2), {}, textLike(40_000, 1), make([]byte, 3000)}
	mixed := slices.Concat(textLike(3000, 1), noise(500, 1), make([]byte, 3000), []byte("ab"), textLike(700, 2))
	for level := -2; level <= 9; level++ {
		s := strictInflater{bits: 15, takeover: true}
		for i, payload := range deflateMessages(level, messages...) {
			wantInflate(t, payload, s.history, messages[i])
			wantStrict(t, fmt.Sprintf("level %d, message %d", level, i), &s, payload, messages[i])
		}
		if level > 1 && level != 6 {
			continue
		}
		payload := deflateMessages(level, mixed)[0]
		for size := 1; size <= 300; size++ {
			for _, pieces := range [][2]int{{len(payload), size}, {size, len(mixed)}, {size, 301 - size}} {
				got, err := inflated(payload, nil, 15, pieces[0], pieces[1])
				if err != nil || !bytes.Equal(got, mixed) {
					t.Fatalf("level %d, pieces of %d: got %d bytes, %v, want %d", level, pieces, len(got), err, len(mixed))
				}
			}
		}
	}
}

// FuzzCompressedPayload decompresses three messages of any payload, the third of which is the first again. What is
// accepted, or refused, is what the strict decoder accepts or refuses, and compress/flate.
func FuzzCompressedPayload(f *testing.F) {
	text := textLike(300, 1)
	payloads := deflateMessages(6, text, text)
	f.Add(payloads[0], payloads[1], uint8(0))
	f.Add(payloads[0], payloads[1], uint8(0xff))
	for i, p := range damaged() {
		f.Add(p, []byte{0}, uint8(i*77))
		f.Add([]byte{0, 5, 0, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0}, p, uint8(i*101))
	}
	f.Add(deflateMessages(9, make([]byte, 50_000))[0], []byte("\x03\x00\x03\x00"), uint8(5))
	f.Add(finalBlocks(text, text), []byte("\x01\x09\x00\xf6\xff"), uint8(9))
	f.Fuzz(func(t *testing.T, first, second []byte, flags uint8) {
		s := &strictInflater{bits: maxWindowBits - int(flags>>1&7), takeover: flags&1 != 0}
		for _, payload := range [][]byte{first, second, first} {
			if wantAsStrict(t, s, payload[:min(len(payload), 1000)]) != nil {
				break
			}
		}
	})
}

// compareFlate compares what the strict decoder has made of a message with what compress/flate makes of it. That
// knows no window of less than 32 KiB, and stops behind a block with BFINAL set.
func compareFlate(t *testing.T, history, payload, want []byte, wantErr error) {
	t.Helper()
	const lastBlock = "\x01\x00\x00\xff\xff"
	r := bytes.NewReader([]byte(string(payload) + deflateTail + lastBlock))
	z := flate.NewReaderDict(r, history[max(0, len(history)-1<<15):])
	got, err := io.ReadAll(io.LimitReader(z, int64(len(want)+1)))
	stopped, same := err == nil && r.Len() > 0, true
	switch {
	case wantErr == nil:
		same = err == nil && bytes.HasPrefix(want, got) && (len(got) == len(want) || stopped)
	case errors.Is(wantErr, errStrictWindow), errors.Is(wantErr, errStrictShort), errors.Is(wantErr, errStrictNoMarker),
		len(payload) == 0:
	default:
		same = err != nil || stopped
	}
	if !same {
		t.Fatalf("% x: got %d bytes, %v, and %d bytes, %v from compress/flate", payload, len(want), wantErr, len(got), err)
	}
}

// benchInflate decompresses messages of the size over and over again.
func benchInflate(b *testing.B, payloads [][]byte, size, bits int, takeover bool) {
	w := &window{size: 1 << bits}
	out := make([]byte, size+fastRoom)
	for i := range b.N {
		if i%len(payloads) == 0 {
			w.drop()
		}
		z := acquireInflater(w)
		n, _, _ := z.inflate(out, 0, payloads[i%len(payloads)])
		if n, _, _ = z.inflate(out, n, inflateTail); n != size {
			b.Fatalf("got %d bytes, want %d", n, size)
		}
		if releaseInflater(z); takeover {
			w.put(out[:n])
		}
	}
}

// What decompressing takes, and what compress/flate takes for it.
func BenchmarkInflate(b *testing.B) {
	eachBenchmark(b, func(b *testing.B, messages [][]byte, takeover bool) {
		size := len(messages[0])
		payloads := deflateMessages(6, messages...)
		if !takeover {
			for i, m := range messages {
				payloads[i] = deflateMessages(6, m)[0]
			}
		}
		b.Run("codec=websocket", func(b *testing.B) { benchInflate(b, payloads, size, maxWindowBits, takeover) })
		stream := append(bytes.Join(payloads, inflateTail), inflateTail...)
		b.Run("codec=flate", func(b *testing.B) {
			r := flate.NewReader(nil)
			out := make([]byte, size)
			for i := range b.N {
				switch k := i % len(payloads); {
				case !takeover:
					in := io.MultiReader(bytes.NewReader(payloads[k]), bytes.NewReader(inflateTail))
					r.(flate.Resetter).Reset(in, nil)
				case k == 0:
					r.(flate.Resetter).Reset(bytes.NewReader(stream), nil)
				}
				if n, err := io.ReadFull(r, out); n != size {
					b.Fatalf("got %d bytes, %v, want %d", n, err, size)
				}
			}
		})
	})
}
