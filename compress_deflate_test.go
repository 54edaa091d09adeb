package websocket

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// deflate compresses a message whether it becomes shorter or not.
func deflate(d *deflater, p []byte) []byte {
	return d.end(d.part(nil, p))
}

// The examples of RFC 7692, 7.2.3, in the other direction. What becomes of "Hello" is the
// vector of 7.2.3.1, and an empty message is that of 7.2.3.6.
func TestDeflateVectors(t *testing.T) {
	const compressed, stored = "f248cdc9c90700", "000500faff48656c6c6f00"
	for _, vector := range []string{compressed, stored} {
		s := strictInflater{bits: 15}
		if got, err := s.message(unhex(t, vector)); string(got) != "Hello" || err != nil {
			t.Errorf("got %q, %v from the decoder for %s", got, err, vector)
		}
	}
	for level := -2; level <= 9; level++ {
		d := acquireDeflater(level, 15)
		if got := hex.EncodeToString(deflate(d, []byte("Hello"))); got != compressed {
			t.Errorf("level %d: got %s, want %s", level, got, compressed)
		}
		releaseDeflater(d)
		d = acquireDeflater(level, 15)
		if got := hex.EncodeToString(deflate(d, nil)); got != "00" {
			t.Errorf("level %d: got %s for an empty message, want 00", level, got)
		}
		releaseDeflater(d)
	}
}

// "The second "Hello" is shorter" where the window is shared (7.2.3.2), and the same where it is not.
func TestDeflateSharesTheWindow(t *testing.T) {
	d := acquireDeflater(1, 15)
	defer releaseDeflater(d)
	first, second := deflate(d, []byte("Hello")), deflate(d, []byte("Hello"))
	if len(second) >= len(first) {
		t.Errorf("got % x and then % x, want fewer bytes", first, second)
	}
	s := strictInflater{bits: 15, takeover: true}
	for _, p := range [][]byte{first, second} {
		if got, err := s.message(p); string(got) != "Hello" || err != nil {
			t.Errorf("got %q, %v from % x", got, err, p)
		}
	}
	d.restart()
	if third := deflate(d, []byte("Hello")); !bytes.Equal(third, first) {
		t.Errorf("without a window: got % x, want % x", third, first)
	}
}

// A deflater from the pool has no window, whatever it has done before, and the bits that
// it is asked for. What its tables say of messages long gone makes no message much longer.
func TestDeflaterFromThePool(t *testing.T) {
	text := textLike(5000, 1)
	for level := -2; level <= 9; level++ {
		var want int
		for i, spoil := range []func(d *deflater){
			func(*deflater) {},
			func(d *deflater) { deflate(d, text) },
			func(d *deflater) { d.message(nil, noise(1000, 1)) }, // does not become shorter
			func(d *deflater) { d.part(nil, text) },              // and no end
			func(d *deflater) { d.window.size = 256; deflate(d, text) },
		} {
			d := acquireDeflater(level, 15)
			spoil(d)
			releaseDeflater(d)
			d = acquireDeflater(level, 15)
			got := deflate(d, text)
			releaseDeflater(d)
			if i == 0 {
				want = len(got)
			}
			s := strictInflater{bits: 15}
			if p, err := s.message(got); err != nil || !bytes.Equal(p, text) || len(got) > want+want/50 {
				t.Errorf("level %d, %d: got %d bytes, %v in %d, want %d in about %d", level, i, len(p), err, len(got), len(text), want)
			}
		}
	}
}

// A message that becomes as long as it was or longer is not compressed, and what comes next
// does not refer to it: the peer has not got it so.
func TestDeflaterMessageThatGrows(t *testing.T) {
	text := textLike(1000, 1)
	for level := -2; level <= 9; level++ {
		if level == 0 {
			continue
		}
		for _, bits := range []int{8, 15} {
			d := acquireDeflater(level, bits)
			s := strictInflater{bits: bits, takeover: true}
			for i, message := range [][]byte{text, noise(1000, 1), text, {1}, noise(70_000, 2), text, []byte("ab"), text} {
				prefix := []byte("before")
				b, ok := d.message(prefix, message)
				if want := bytes.Equal(message, text); ok != want {
					t.Errorf("level %d, %d bits, message %d: got ok %v, want %v", level, bits, i, ok, want)
				}
				if !ok {
					continue
				}
				d.sent(message)
				payload, found := bytes.CutPrefix(b, prefix)
				if len(payload) >= len(message) || !found {
					t.Errorf("got %d bytes for %d", len(payload), len(message))
				}
				if got, err := s.message(payload); err != nil || !bytes.Equal(got, message) {
					t.Errorf("level %d, %d bits, message %d: got %d bytes, %v", level, bits, i, len(got), err)
				}
			}
			releaseDeflater(d)
		}
	}
}

// A message is sent as it is where the compressed one has as many bytes.
func TestDeflaterMessageOfTheSameLength(t *testing.T) {
	d := acquireDeflater(9, 15)
	defer releaseDeflater(d)
	for n := 1; n < 30; n++ {
		message := []byte(fmt.Sprint(textNone(n))[:n])
		d.restart()
		want := deflate(d, message)
		d.restart()
		prefix := make([]byte, maxHeaderSize)
		got, ok := d.message(prefix, message)
		if ok {
			got = got[len(prefix):]
		}
		if ok != (len(want) < n) || ok && !bytes.Equal(got, want) {
			t.Errorf("%d bytes, compressed %d: got %d, %v", n, len(want), len(got), ok)
		}
	}
}

// What is written in pieces can be read as what is written at once, in every window.
func TestDeflaterInPieces(t *testing.T) {
	if raceEnabled {
		t.Skip("it has no second goroutine, and takes half a minute")
	}
	text := textLike(20_000, 1)
	for bits := 8; bits <= 15; bits++ {
		for _, size := range []int{1, 7, 77, 1000, 9999} {
			d := acquireDeflater(6, bits)
			s := &strictInflater{bits: bits, takeover: true}
			for range 2 {
				var out []byte
				for piece := range slices.Chunk(text, size) {
					out = append(out, d.part(nil, piece)...)
				}
				out = d.end(out)
				if got, err := s.message(out); err != nil || !bytes.Equal(got, text) {
					t.Fatalf("%d bits, pieces of %d: got %d bytes, %v, want %d", bits, size, len(got), err, len(text))
				}
			}
			releaseDeflater(d)
		}
	}
}

// A message with more matches than a block may have goes on in another block.
func TestDeflaterManyMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	words := slices.Collect(slices.Chunk(noise(4*256, 1), 4))
	var message []byte
	for len(message) < maxBlockSize {
		message = append(message, words[random.IntN(len(words))]...)
	}
	d := acquireDeflater(9, 15)
	defer releaseDeflater(d)
	b := new(block)
	// The last of the sequences that there is room for are literals, with which a block may end.
	if end := d.findMatches(b, message, 0); end >= len(message) || len(b.sequences) != maxSequences-1 {
		t.Errorf("got a block of %d bytes with %d sequences, want a part of %d bytes with %d", end, len(b.sequences), len(message), maxSequences-1)
	}
	d.restart()
	s := strictInflater{bits: 15}
	if got, err := s.message(deflate(d, message)); err != nil || !bytes.Equal(got, message) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(message))
	}
}

// The levels are those of compress/flate.
func TestValidCompressionLevel(t *testing.T) {
	for level := -4; level < 12; level++ {
		_, err := flate.NewWriter(nil, level)
		if got, want := validCompressionLevel(level), err == nil; got != want {
			t.Errorf("level %d: got %v, want %v", level, got, want)
		}
	}
}
