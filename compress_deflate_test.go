package websocket

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// deflate compresses a message whether it becomes shorter or not.
func deflate(d *deflater, p []byte) []byte {
	return d.end(d.part(nil, p))
}

// wantStrict checks that the strict decoder makes the message of the payload.
func wantStrict(t *testing.T, what string, s *strictInflater, payload, message []byte) {
	t.Helper()
	if got, err := s.message(payload); err != nil || !bytes.Equal(got, message) {
		t.Fatalf("%s: got %d bytes, %v, want %d", what, len(got), err, len(message))
	}
}

// The examples of RFC 7692, 7.2.3, in the other direction. What becomes of "Hello" is the
// vector of 7.2.3.1, and an empty message is that of 7.2.3.6. Where the window is shared, "the second "Hello" is
// shorter" than in 7.2.3.2: a single match.
func TestDeflateVectors(t *testing.T) {
	const compressed, stored = "f248cdc9c90700", "000500faff48656c6c6f00"
	for _, vector := range []string{compressed, stored} {
		wantStrict(t, vector, &strictInflater{bits: 15}, unhex(t, vector), []byte("Hello"))
	}
	for level := -2; level <= 9; level++ {
		again := "02130000"
		if level == flate.HuffmanOnly {
			again = compressed
		}
		d := acquireDeflater(level, 15)
		for _, tt := range [][2]string{{"", "00"}, {"Hello", compressed}, {"Hello", again}} {
			if got := hex.EncodeToString(deflate(d, []byte(tt[0]))); got != tt[1] {
				t.Errorf("level %d: got %s for %q, want %s", level, got, tt[0], tt[1])
			}
		}
		releaseDeflater(d)
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
			wantStrict(t, fmt.Sprintf("level %d, %d", level, i), &strictInflater{bits: 15}, got, text)
			if len(got) > want+want/50 {
				t.Errorf("level %d, %d: got %d bytes, want about %d", level, i, len(got), want)
			}
		}
	}
}

// A message that becomes as long as it was or longer is not compressed, and what comes next
// does not refer to it: the peer has not got it so.
func TestDeflaterMessageThatGrows(t *testing.T) {
	skipRace(t)
	text := textLike(1000, 1)
	messages := [][]byte{text, noise(1000, 1), text, {1}, noise(70_000, 2), text, []byte("ab"), text}
	const digits = "128129130131132133134135136137" // become as long as they were at some length
	for n := range digits {
		messages = append(messages, []byte(digits[:n+1]))
	}
	for level := -2; level <= 9; level++ {
		for _, bits := range []int{8, 15} {
			d := acquireDeflater(level, bits)
			s := &strictInflater{bits: bits, takeover: true}
			same := false
			for i, message := range messages {
				what := fmt.Sprintf("level %d, %d bits, message %d", level, bits, i)
				before := s.history
				b, ok := d.message([]byte("before"), message)
				payload, found := bytes.CutPrefix(b, []byte("before"))
				if ok != (len(payload) < len(message)) || !found || i < 8 && ok != bytes.Equal(message, text) {
					t.Errorf("%s: got ok %v, %d bytes for %d", what, ok, len(payload), len(message))
				}
				wantStrict(t, what, s, payload, message)
				if ok {
					d.sent(message)
				} else {
					s.history = before
				}
				same = same || len(payload) == len(message)
			}
			if !same {
				t.Errorf("level %d, %d bits: got no message that becomes as long as it was", level, bits)
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
	if end, n := d.findMatches(b, message, 0), len(b.sequences); end >= len(message) || n != maxSequences-1 {
		t.Errorf("got %d of %d bytes in %d sequences, want a part in %d", end, len(message), n, maxSequences-1)
	}
	d.restart()
	wantStrict(t, "many matches", &strictInflater{bits: 15}, deflate(d, message), message)
}

// The sizes of messages, two of each kind with takeover, at the levels that search in different ways. A change of how
// matches are found changes some of them: a size may only become larger for a reason.
func TestDeflateSizes(t *testing.T) {
	skipRace(t)
	for _, tt := range []struct {
		name  string
		make  func(seed uint64) []byte
		sizes [4][2]int // of the first message and the second one, at each level
	}{
		{"a short text", func(seed uint64) []byte { return textLike(200, seed) },
			[4][2]int{{138, 135}, {107, 85}, {108, 84}, {108, 81}}},
		{"a text", func(seed uint64) []byte { return textLike(5000, seed) },
			[4][2]int{{2785, 2786}, {1347, 1298}, {1316, 1276}, {1281, 1214}}},
		{"several blocks", func(seed uint64) []byte { return textLike(100_000, seed) },
			[4][2]int{{55324, 55328}, {24745, 24911}, {24081, 24264}, {22898, 22927}}},
		{"words of four bytes", fourBytes, [4][2]int{{7293, 7300}, {6133, 4891}, {6072, 4689}, {2801, 2748}}},
		{"periods", func(seed uint64) []byte { return bytes.Repeat(noise(300, seed), 20) },
			[4][2]int{{5569, 5630}, {427, 428}, {395, 395}, {381, 381}}},
		{"noise with what was there before", func(seed uint64) []byte {
			return append(noise(2000, seed), noise(1500, 1)...)
		}, [4][2]int{{3506, 3506}, {2204, 2144}, {2204, 2123}, {2109, 2085}}},
		{"matches of 7 and 5 bytes at the end", func(seed uint64) []byte {
			p := append(noise(40, seed), bytes.Repeat([]byte{'a'}, 60)...)
			return append(append(append(p, p[:7]...), '-'), p[10:15]...)
		}, [4][2]int{{94, 97}, {54, 54}, {54, 52}, {53, 53}}},
	} {
		for i, level := range []int{flate.HuffmanOnly, 1, 2, 6} {
			d := &deflater{recent: new(recent), chains: new(chains)} // one from the pool may remember other messages
			d.window.size = 1 << 15
			d.setLevel(level)
			var got [2]int
			for n := range got {
				p := tt.make(uint64(n + 1))
				b, ok := d.message(nil, p)
				if got[n] = len(b); ok {
					d.sent(p)
				}
			}
			d.restart()
			if got != tt.sizes[i] {
				t.Errorf("%s, level %d: got %d bytes, want %d", tt.name, level, got, tt.sizes[i])
			}
		}
	}
}

// fourBytes returns words of four bytes in any order.
func fourBytes(seed uint64) (p []byte) {
	random := rand.New(rand.NewPCG(seed, 1))
	words := slices.Collect(slices.Chunk(noise(4*64, 1), 4))
	for range 2000 {
		p = append(p, words[random.IntN(len(words))]...)
	}
	return p
}

// The levels are those of compress/flate.
func TestValidCompressionLevel(t *testing.T) {
	efforts := map[int]effort{-2: huffmanOnly, -1: best, 0: fast, 1: fast, 2: middle, 5: middle, 6: best, 9: best}
	for level, want := range efforts {
		if got := effortOf(level); got != want {
			t.Errorf("level %d: got the effort %d, want %d", level, got, want)
		}
	}
	for level := -4; level < 12; level++ {
		_, err := flate.NewWriter(nil, level)
		if got, want := validCompressionLevel(level), err == nil; got != want {
			t.Errorf("level %d: got %v, want %v", level, got, want)
		}
	}
}

// FuzzDeflate compresses messages of any content with any effort and window, in pieces and as a whole, some of which
// are not sent in the end. The strict decoder, which has just that window, and compress/flate get them, and none
// becomes much longer than it was.
func FuzzDeflate(f *testing.F) {
	text := textLike(3000, 1)
	for level := range 12 {
		script := []byte{0, 0, 255, 4, 3, 99, 1, 50, 255, 0, 9, 200, 5, 1, 77, 0, 0, 255}
		f.Add(text[:1000], script, uint8(level<<3|level*5&7))
		script = []byte{0, 0, 24, 6, 255, 0, 0, 0, 24, 1, 0, 24, 2, 0, 24, 0, 0, 24}
		f.Add([]byte("abcdefgh01234567abcdefgh"), script, uint8(level*11))
	}
	f.Add(noise(600, 1), []byte{0, 0, 255, 4, 0, 255, 2, 5, 255, 0, 0, 255, 6, 128, 0, 0, 0, 255}, uint8(0x1f))
	filler := noise(1<<16, 2)
	f.Fuzz(func(t *testing.T, content, script []byte, options uint8) {
		bits := minWindowBits + int(options&7)
		d := acquireDeflater(int(options>>3)%12-2, bits)
		defer releaseDeflater(d)
		s := &strictInflater{bits: bits, takeover: true}
		content = content[:min(len(content), 4000)]
		for total := 0; len(script) >= 3 && total < 20_000; {
			kind, at, size := script[0]%8, int(script[1]), int(script[2])
			script = script[3:]
			at = at * len(content) / 256
			message := content[at:][:size*(len(content)-at)/255]
			history := s.history
			var payload []byte
			sent := true
			switch kind {
			case 4: // in pieces
				piece := 1 + size*size%400
				for p := range slices.Chunk(message, piece) {
					payload = append(payload, d.part(nil, p)...)
				}
				payload = d.end(payload)
			case 5: // many times over, in several blocks
				message = bytes.Repeat(message, 1+40_000/(len(message)+1)%(size+1))
				fallthrough
			default:
				const prefix = "before"
				b, shorter := d.message([]byte(prefix), message)
				payload = b[len(prefix):]
				if shorter != (len(payload) < len(message)) || string(b[:len(prefix)]) != prefix {
					t.Fatalf("got %d bytes for %d, and that it is shorter: %v", len(b), len(message), shorter)
				}
				if sent = kind != 1; sent {
					d.sent(message)
				}
			case 6: // positions are counted on
				total += 1000
				d.sent(filler[:size<<8])
				s.history = append(s.history, filler[:size<<8]...)
				continue
			case 7:
				total += 1000
				d.restart()
				d.setLevel(size%12 - 2)
				s.history = nil
				continue
			}
			total += 1000 + len(message)
			got, err := s.message(payload)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("message %q: got %q, %v from % x", message, got, err, payload)
			}
			compareFlate(t, history, payload, got, nil)
			if kind != 4 && len(payload) > len(message)+6*(1+len(message)/maxBlockSize) {
				t.Errorf("got %d bytes for %d", len(payload), len(message))
			}
			if !sent {
				s.history = history
			}
		}
	})
}

// eachBenchmark runs a benchmark for messages of some sizes, with context takeover and without.
func eachBenchmark(b *testing.B, run func(b *testing.B, messages [][]byte, takeover bool)) {
	for _, size := range []int{256, 2 << 10, 32 << 10} {
		messages := benchMessages(size)
		for _, takeover := range []bool{false, true} {
			b.Run(fmt.Sprintf("size=%d/takeover=%t", size, takeover), func(b *testing.B) { run(b, messages, takeover) })
		}
	}
}

// benchMessages are messages of the size that resemble each other.
func benchMessages(size int) (list [][]byte) {
	for i := range 100 {
		list = append(list, textLike(size, uint64(i)))
	}
	return list
}

// benchDeflate compresses messages over and over again.
func benchDeflate(b *testing.B, messages [][]byte, level, bits int, takeover bool) {
	d := acquireDeflater(level, bits)
	defer releaseDeflater(d)
	var out []byte
	for i := range b.N {
		m := messages[i%len(messages)]
		if !takeover {
			d.restart()
		}
		if out, _ = d.message(out[:0], m); takeover {
			d.sent(m)
		}
	}
}

// What compressing takes, and what compress/flate takes for it.
func BenchmarkDeflate(b *testing.B) {
	for _, level := range []int{1, 2, 6} {
		b.Run(fmt.Sprintf("level=%d", level), func(b *testing.B) {
			eachBenchmark(b, func(b *testing.B, messages [][]byte, takeover bool) {
				b.Run("codec=websocket", func(b *testing.B) { benchDeflate(b, messages, level, maxWindowBits, takeover) })
				b.Run("codec=flate", func(b *testing.B) {
					w, _ := flate.NewWriter(io.Discard, level)
					for i := range b.N {
						if !takeover {
							w.Reset(io.Discard)
						}
						w.Write(messages[i%len(messages)])
						w.Flush()
					}
				})
			})
		})
	}
}
