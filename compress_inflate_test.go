//go:build go1.25

package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// noise returns n bytes that nothing makes shorter.
func noise(n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// inflated is what an inflater makes of a message behind the window, where it gets in pieces of most
// takes bytes, and puts out pieces of most gives bytes. Each is forgotten but for the window.
func inflated(payload, before []byte, takes, gives int) ([]byte, error) {
	w := window{size: 1 << 15}
	w.put(before)
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
func inflate(t testing.TB, payload, before []byte) ([]byte, error) {
	t.Helper()
	whole, err := inflated(payload, before, 1<<30, 1<<20)
	for _, pieces := range [][2]int{{1 << 30, 700}, {700, 1 << 16}, {1, 1}, {1, 300}, {3, 2}, {17, 277}} {
		got, err2 := inflated(payload, before, pieces[0], pieces[1])
		if err != err2 || !bytes.Equal(got, whole) {
			t.Fatalf("got %d bytes, %v at once, and %d bytes, %v in pieces of %d and %d", len(whole), err, len(got), err2, pieces[0], pieces[1])
		}
	}
	return whole, err
}

// wantAsStrict says that the payload is decompressed as the strict decoder does it, or
// refused as it does.
func wantAsStrict(t testing.TB, payload []byte) {
	t.Helper()
	s := strictInflater{bits: 15}
	want, wantErr := s.message(payload)
	got, err := inflate(t, payload, nil)
	if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
		t.Errorf("% x: got %q, %v, want %q, %v", payload, got, err, want, wantErr)
	}
	if err != nil && err != error(errCorruptMessage) {
		t.Errorf("% x: got %v, want that it is corrupt", payload, err)
	}
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
	noSymbol := []byte("\x4a\x1c\x03\x00\x00") // "a", and the fixed code of 286, which stands for nothing
	return append(payloads, large, two, noSymbol, []byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), []byte("\xf3\x48\xcd\xc9\xc9\x07\x00"))
}

// Every message that is cut short, or has a bit that is wrong, is refused where it is not
// another message (RFC 7692, 7.2.2).
func TestInflateDamaged(t *testing.T) {
	for _, payload := range damaged() {
		for n := range len(payload) + 1 {
			if n > 0 { // see TestInflateNothing
				wantAsStrict(t, payload[:n])
			}
		}
		for bit := range 8 * len(payload) {
			p := bytes.Clone(payload)
			p[bit/8] ^= 1 << (bit % 8)
			wantAsStrict(t, p)
		}
	}
}

// No data at all is no message: an empty one is 00 (7.2.3.6).
func TestInflateNothing(t *testing.T) {
	if got, err := inflate(t, nil, nil); err != error(errCorruptMessage) {
		t.Errorf("got %q, %v, want that it is corrupt", got, err)
	}
}

// What is put behind a message is not data of it, but for the four bytes that the sender
// has taken away (7.2.2).
func TestInflateTailIsNoData(t *testing.T) {
	for length := range 12 {
		for _, first := range []byte{0, 1} {
			payload := []byte{first, byte(length), 0, ^byte(length), 0xff}
			got, err := inflate(t, payload, nil)
			if length > len(deflateTail) && err == nil {
				t.Errorf("% x: got %q, want that it is corrupt", payload, got)
			}
			if strings.Contains(string(got), "\x01") {
				t.Errorf("% x: got %q, which nobody has sent", payload, got)
			}
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
	for _, size := range []int{0, 10, 300, 699, 700, 701, 5000, 32767, 32768, 32769, 70_000} {
		text := textLike(size, 1)
		want := slices.Concat(text, text, text, []byte("end"))
		payload := finalBlocks(text, text, text, []byte("end"))
		for _, end := range []string{"", "\x00"} {
			got, err := inflate(t, append(payload, end...), nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: got %d bytes, %v, want %d", size, len(got), err, len(want))
			}
		}
	}
}

// There may be any number of blocks with BFINAL set.
func TestInflateManyFinalBlocks(t *testing.T) {
	for _, block := range []string{"\x03\x00", "\x01\x00\x00\xff\xff"} {
		if got, err := inflate(t, []byte(strings.Repeat(block, 20_000)), nil); len(got) > 0 || err != nil {
			t.Errorf("% x: got %d bytes, %v, want an empty message", block, len(got), err)
		}
	}
}

// There may be any number of empty blocks.
func TestInflateManyEmptyBlocks(t *testing.T) {
	payload := strings.Repeat("\x00\x00\x00\xff\xff", 20_000)
	got, err := inflate(t, []byte(payload+"\x00"), nil)
	if len(got) > 0 || err != nil {
		t.Errorf("got %d bytes, %v, want an empty message", len(got), err)
	}
}

// The window of the messages before is there, and nothing else: a distance may reach to its
// beginning, and not beyond.
func TestInflateWindow(t *testing.T) {
	marker := []byte("a text that comes again")
	payload := deflateMessages(9, marker, marker)[1]
	if got, err := inflate(t, payload, marker); err != nil || !bytes.Equal(got, marker) {
		t.Errorf("got %q, %v, want %q", got, err, marker)
	}
	if got, err := inflate(t, payload, marker[1:]); !errors.Is(err, errCorruptMessage) {
		t.Errorf("with a window that is a byte shorter: got %q, %v, want that it is corrupt", got, err)
	}
}

// What comes out does not depend on how much room there is for it, or on where the input is cut.
func TestInflateInPieces(t *testing.T) {
	message := slices.Concat(textLike(3000, 1), noise(500, 1), make([]byte, 3000), []byte("ab"), textLike(700, 2))
	for _, level := range []int{0, -2, 1, 6} {
		payload := deflateMessages(level, message)[0]
		for size := 1; size <= 300; size++ {
			for _, pieces := range [][2]int{{len(payload), size}, {size, len(message)}, {size, 301 - size}} {
				got, err := inflated(payload, nil, pieces[0], pieces[1])
				if err != nil || !bytes.Equal(got, message) {
					t.Fatalf("level %d, pieces of %d and %d: got %d bytes, %v, want %d", level, pieces[0], pieces[1], len(got), err, len(message))
				}
			}
		}
	}
}

// A distance may be as long as the window that was agreed on, in a message and from one to the next,
// and no longer, however much lies in the memory that the program reads into.
func TestReceivedWithinTheWindow(t *testing.T) {
	marker := []byte("a text that comes again")
	for bits := minWindowBits; bits < maxWindowBits; bits++ {
		for _, beyond := range []int{0, 1} {
			gap := textNone(1<<bits + beyond - len(marker))
			for name, payloads := range map[string][][]byte{
				"in a message": deflateMessages(9, slices.Concat(marker, gap, marker)),
				"in the next":  deflateMessages(9, slices.Concat(marker, gap), marker),
			} {
				for _, r := range receiveWays {
					c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true, WindowBits: maxWindowBits, PeerWindowBits: bits})
					var err error
					for _, p := range payloads {
						wire.Write(closingFrame(true, "\xc2"+string(p)))
						if _, _, err = r.read(c); err != nil {
							break
						}
					}
					if refused := errors.Is(err, errCorruptMessage); refused != (beyond > 0) || err != nil && !refused {
						t.Errorf("%d bits, %d beyond, %s, %s: got %v", bits, beyond, name, r.name, err)
					}
				}
			}
		}
	}
}
