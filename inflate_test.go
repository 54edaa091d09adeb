package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
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

// inflate decompresses a message at once, and in pieces, and returns what both must agree on.
func inflate(t testing.TB, payload, window []byte) ([]byte, error) {
	t.Helper()
	z := acquireInflater(payload, window)
	whole, err := inflateAll(z, nil, window, 0)
	releaseInflater(z)

	z = acquireInflater(payload, window)
	defer releaseInflater(z)
	var pieces []byte
	for {
		p := make([]byte, 700)
		n, err2 := z.next(p, pieces, window)
		pieces = append(pieces, p[:n]...)
		if err2 == nil {
			continue
		}
		if err2 == io.EOF {
			err2 = nil
		}
		if err != err2 || err == nil && !bytes.Equal(pieces, whole) {
			t.Fatalf("got %d bytes, %v at once, and %d bytes, %v in pieces", len(whole), err, len(pieces), err2)
		}
		return whole, err
	}
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
	return append(payloads, large, two, []byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), []byte("\xf3\x48\xcd\xc9\xc9\x07\x00"))
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

// There may be many blocks with BFINAL set, but not any number: each costs a new beginning.
func TestInflateManyFinalBlocks(t *testing.T) {
	for _, tt := range []struct {
		n  int
		ok bool
	}{{maxFinalBlocks, true}, {maxFinalBlocks + 1, true}, {maxFinalBlocks + 2, false}, {100_000, false}} {
		for _, block := range []string{"\x03\x00", "\x01\x00\x00\xff\xff"} {
			got, err := inflate(t, []byte(strings.Repeat(block, tt.n)), nil)
			if len(got) > 0 || (err == nil) != tt.ok {
				t.Errorf("%d blocks: got %d bytes, %v, want ok %v", tt.n, len(got), err, tt.ok)
			}
		}
	}
}

// A block with BFINAL set behind a large message costs no more than behind a small one.
func TestInflateFinalBlocksBehindALargeMessage(t *testing.T) {
	large := make([]byte, 8<<20)
	payload := slices.Concat(deflateMessages(9, large)[0], []byte(deflateTail), bytes.Repeat(finalBlocks([]byte("a")), maxFinalBlocks))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	z := acquireInflater(payload, nil)
	defer releaseInflater(z)
	got, err := inflateAll(z, nil, nil, 0)
	runtime.ReadMemStats(&after)
	if len(got) != len(large)+maxFinalBlocks || err != nil {
		t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(large)+maxFinalBlocks)
	}
	if n, want := after.TotalAlloc-before.TotalAlloc, uint64(4*len(large)+2*maxFinalBlocks*maxDistance); n > want {
		t.Errorf("got %d bytes of memory, want at most %d", n, want)
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

// The window is the last bytes of all messages, in memory of no more bytes than it may have.
func TestSlide(t *testing.T) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		size := 1 << bits
		random := rand.New(rand.NewPCG(uint64(bits), 0))
		for range 10 {
			var window, all []byte
			for i := range 40 {
				n := []int{0, 1, random.IntN(100), random.IntN(size), size - 1, size, size + 1, random.IntN(3 * size)}[random.IntN(8)]
				message := noise(min(n, 20_000), uint64(i))
				all = append(all, message...)
				all = all[max(0, len(all)-size):]
				window = slide(window, message, bits)
				if !bytes.Equal(window, all) {
					t.Fatalf("%d bits: got a window of %d bytes, want the last %d", bits, len(window), len(all))
				}
				if cap(window) > size {
					t.Fatalf("%d bits: got a window in %d bytes of memory, want at most %d", bits, cap(window), size)
				}
			}
		}
	}
}

// Many small messages do not each allocate a window.
func TestSlideAllocates(t *testing.T) {
	message := make([]byte, 10)
	n := testing.AllocsPerRun(1, func() {
		var window []byte
		for range 10_000 {
			window = slide(window, message, 15)
		}
	})
	if n > 14 {
		t.Errorf("got %v allocations, want at most one each time that it doubles", n)
	}
}

// lastBytes is the window behind what was decompressed of the current message.
func TestLastBytes(t *testing.T) {
	all := noise(5*maxDistance, 9)
	z := new(inflater)
	sizes := []int{0, 1, 100, maxDistance - 1, maxDistance, maxDistance + 1, 2 * maxDistance}
	for _, a := range sizes {
		for _, b := range sizes {
			for _, c := range sizes[:5] {
				want := all[:a+b+c]
				want = want[max(0, len(want)-maxDistance):]
				if got := z.lastBytes(all[:a], all[a:a+b], all[a+b:a+b+c]); !bytes.Equal(got, want) {
					t.Errorf("%d, %d and %d bytes: got %d bytes, want the last %d", a, b, c, len(got), len(want))
				}
			}
		}
	}
}
