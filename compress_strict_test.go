package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"slices"
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
	if nLiterals > 286 || nDistances > 30 {
		return literals, distances, errStrictCode
	}
	lengths := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:n] {
		lengths[i] = s.take(3)
	}
	code := newStrictCode(lengths)
	if !code.complete() {
		return literals, distances, errStrictCode
	}
	lengths = nil
	for len(lengths) < nLiterals+nDistances {
		symbol, err := code.next(s)
		if err != nil {
			return literals, distances, err
		}
		length, repeat := symbol, 1
		switch symbol {
		case 16:
			if len(lengths) == 0 {
				return literals, distances, errStrictCode
			}
			length, repeat = lengths[len(lengths)-1], 3+s.take(2)
		case 17:
			length, repeat = 0, 3+s.take(3)
		case 18:
			length, repeat = 0, 11+s.take(7)
		}
		lengths = append(lengths, slices.Repeat([]int{length}, repeat)...)
	}
	if len(lengths) > nLiterals+nDistances {
		return literals, distances, errStrictCode
	}
	literals, distances = newStrictCode(lengths[:nLiterals]), newStrictCode(lengths[nLiterals:])
	if !literals.complete() || !distances.complete() {
		return literals, distances, errStrictCode
	}
	return literals, distances, nil
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
	strictLengths    = []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
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

// The decoder agrees with compress/flate where the window is the largest.
func TestStrictInflater(t *testing.T) {
	for level := -2; level <= 9; level++ {
		messages := [][]byte{textLike(70_000, 1), textLike(100, 2), {}, textLike(40_000, 1), make([]byte, 3000)}
		s := strictInflater{bits: 15, takeover: true}
		for i, payload := range deflateMessages(level, messages...) {
			if got, err := s.message(payload); err != nil || !bytes.Equal(got, messages[i]) {
				t.Errorf("level %d, message %d: got %d bytes, %v, want %d", level, i, len(got), err, len(messages[i]))
			}
		}
	}
}

// The decoder notices a distance that is too large by one byte, in a message or beyond
// it, and a context that has ended.
func TestStrictInflaterIsStrict(t *testing.T) {
	marker := []byte("a text that comes again")
	for bits := minWindowBits; bits < maxWindowBits; bits++ {
		for _, distance := range []int{1 << bits, 1<<bits + 1} {
			gap := textNone(distance - len(marker))
			want := error(nil)
			if distance > 1<<bits {
				want = errStrictWindow
			}
			whole := slices.Concat(marker, gap, marker)
			s := strictInflater{bits: bits}
			if _, err := s.message(deflateMessages(9, whole)[0]); !errors.Is(err, want) {
				t.Errorf("%d bits, distance %d: got %v, want %v", bits, distance, err, want)
			}
			payloads := deflateMessages(9, slices.Concat(marker, gap), marker)
			for _, takeover := range []bool{true, false} {
				s = strictInflater{bits: bits, takeover: takeover}
				if _, err := s.message(payloads[0]); err != nil {
					t.Errorf("%d bits: got %v, want no error from the first message", bits, err)
				}
				wantSecond := want
				if !takeover && want == nil {
					wantSecond = errStrictContext
				}
				if _, err := s.message(payloads[1]); !errors.Is(err, wantSecond) {
					t.Errorf("%d bits, takeover %v, distance %d: got %v, want %v", bits, takeover, distance, err, wantSecond)
				}
			}
		}
	}
}

// textNone returns n bytes in which nothing comes again, and nothing of a text.
func textNone(n int) []byte {
	b := make([]byte, 0, n+4)
	for i := 0; len(b) < n; i++ {
		b = append(b, byte(i)|0x80, byte(i>>7)|0x80, byte(i*7>>4)|0x80)
	}
	return b[:n]
}
