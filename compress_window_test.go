//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// eachWindow runs f for each size of the window, with and without context takeover. Under the race detector and
// in emulators, where all takes ten times as long, some sizes are enough.
func eachWindow(f func(o CompressionOptions)) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		if (raceEnabled || testing.Short()) && bits != 8 && bits != 12 && bits != 15 {
			continue
		}
		f(CompressionOptions{WindowBits: bits, PeerWindowBits: bits})
		f(CompressionOptions{WindowBits: bits, PeerWindowBits: bits, ContextTakeover: true})
	}
}

// windowMessages are messages in which something comes again just beyond the window, in
// the message and in the next, and others that are alike. The messages of "again " are
// such that each level of every release of Go makes them shorter.
func windowMessages(bits int) [][]byte {
	beyond := textNone(1<<bits + 1)
	again := bytes.Repeat([]byte("again "), 1<<bits/6)
	return [][]byte{
		textLike(20, 1), textLike(20, 1), textLike(200, 1),
		again,
		slices.Concat(beyond, beyond),
		beyond[:100],
		beyond[:1<<bits],
		textNone(1 << bits),
		textLike(300, 1), {}, textLike(20, 1),
		again,
		textLike(1<<bits/2, 2), textLike(1<<bits/2, 2), textLike(1<<bits/2+1, 2),
		bytes.Repeat(again, 3),
	}
}

// "an LZ77 sliding window of the size [...] 2^X" is all that the peer needs for what is
// sent (RFC 7692, 7.1.2), by every way of sending, at every level.
func TestSentWithinTheWindow(t *testing.T) {
	if raceEnabled {
		t.Skip("it has no second goroutine, and takes half a minute")
	}
	eachWindow(func(o CompressionOptions) {
		messages := windowMessages(o.WindowBits)
		for level := -2; level <= 9; level++ {
			if level == 0 {
				continue
			}
			bothSides(t, func(t *testing.T, server bool) {
				o.Level = level
				c, wire := newCompressedConn(t, server, o)
				s := &strictInflater{bits: o.WindowBits, takeover: o.ContextTakeover}
				for i, message := range messages {
					w := sendWays[(i+level+o.WindowBits)%len(sendWays)]
					if err := w.write(c, BinaryMessage, message); err != nil {
						t.Fatal(err)
					}
				}
				for i, m := range wantSent(t, wire, s, messages...) {
					if !m.compressed && bytes.HasPrefix(messages[i], []byte("again ")) {
						t.Errorf("%+v: message %d was not compressed", o, i)
					}
				}
			})
		}
	})
}

// A window of 8 bits, which the peer has negotiated, takes at most twice the work of the default: of the side that sends
// a message, which looks at its bytes, and finds and encodes its symbols, and of the one that receives it, which decodes
// them. Each block has codes to be made, so there must not be one for each window.
func TestAttackSmallWindow(t *testing.T) {
	steps := func(t *testing.T, server bool, o CompressionOptions, size int) (steps int) {
		from, wire := newCompressedConn(t, server, o)
		to, in := newCompressedConn(t, !server, o)
		var messages [][]byte
		for i := range 10 {
			messages = append(messages, textLike(size, uint64(i)))
			if err := from.WriteMessage(TextMessage, messages[i]); err != nil {
				t.Fatal(err)
			}
		}
		sent := wire.take()
		in.Write(sent)
		for i, m := range messages {
			if _, p, err := to.ReadMessage(); err != nil || !bytes.Equal(p, m) {
				t.Errorf("message %d: got %d bytes, %v, want %d", i, len(p), err, size)
			}
		}
		near, far := newPipe(t, 4<<20)
		near.Write(sent)
		s := &strictInflater{bits: o.WindowBits, takeover: o.ContextTakeover}
		for i, m := range wantSent(t, far, s, messages...) {
			if !m.compressed {
				t.Errorf("message %d: got it as it is, want it compressed", i)
			}
			steps += size + len(m.payload)
		}
		return steps + s.symbols + s.blocks*(maxLiterals+maxDistances)
	}
	for _, takeover := range []bool{false, true} {
		for _, size := range []int{2 << 10, 64 << 10} {
			bothSides(t, func(t *testing.T, server bool) {
				small := steps(t, server, CompressionOptions{ContextTakeover: takeover, WindowBits: 8, PeerWindowBits: 8}, size)
				usual := steps(t, server, CompressionOptions{ContextTakeover: takeover, WindowBits: 15, PeerWindowBits: 15}, size)
				if small > 2*usual {
					t.Errorf("%d bytes, takeover %t: got %d steps, want at most twice %d", size, takeover, small, usual)
				}
			})
		}
	}
}

// With each way alone, and a small window that a message fills many times.
func TestSentWithinTheWindowByEachWay(t *testing.T) {
	message := slices.Concat(textLike(30_000, 1), textNone(300), textLike(10_000, 1))
	for _, w := range sendWays {
		for _, bits := range []int{8, 10, 15} {
			o := CompressionOptions{WindowBits: bits, ContextTakeover: true, Level: 6}
			c, wire := newCompressedConn(t, true, o)
			s := &strictInflater{bits: bits, takeover: true}
			for range 3 {
				if err := w.write(c, TextMessage, message); err != nil {
					t.Fatal(err)
				}
			}
			for i, m := range wantSent(t, wire, s, message, message, message) {
				if !m.compressed {
					t.Errorf("%s, %d bits: message %d was not compressed", w.name, bits, i)
				}
			}
		}
	}
}

// Context takeover is used where it is agreed on, at every level that looks for matches: the same
// message a second time is much shorter, also one of a few bytes.
func TestTakeoverIsUsed(t *testing.T) {
	for level := -1; level <= 9; level++ {
		for _, bits := range []int{10, 12, 15} {
			for _, size := range []int{60, 127, 400} {
				c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true, WindowBits: bits, Level: level})
				message := textLike(size, 1)
				c.WriteMessage(TextMessage, message)
				c.WriteMessage(TextMessage, message)
				list := sentMessages(t, wire)
				if first, second := len(list[0].payload), len(list[1].payload); second > min(first/4, 15) {
					t.Errorf("level %d, %d bits, %d bytes: got %d bytes and then %d, want far fewer", level, bits, size, first, second)
				}
			}
		}
	}
}

// Messages of every class of size arrive, at every level, with every window.
func TestCompressedSizes(t *testing.T) {
	if raceEnabled {
		t.Skip("it has no second goroutine, and takes half a minute")
	}
	sizes := []int{0, 1, 2, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 65537}
	text := textLike(1<<20, 3)
	n := 0
	eachWindow(func(o CompressionOptions) {
		for level := -2; level <= 9; level++ {
			if level == 0 {
				continue
			}
			o.Level = level
			s, c := compressedPair(t, o, o)
			ends := [][2]*Conn{{s, c}, {c, s}}
			for i, size := range sizes {
				if size > 5000 && (i+n)%4 != 0 {
					continue
				}
				n++
				end := ends[n%2]
				transfer(t, fmt.Sprintf("%+v, %d bytes", o, size), end[0], end[1], n, text[:size])
			}
			if o.WindowBits == 8+(level+2)%8 {
				transfer(t, fmt.Sprintf("%+v, 1 MiB", o), s, c, level+2, text)
			}
		}
	})
}

// transfer sends a message in one of the ways and receives it in another.
func transfer(t *testing.T, what string, from, to *Conn, n int, message []byte) {
	t.Helper()
	w, r := sendWays[n%len(sendWays)], receiveWays[n/2%len(receiveWays)]
	messageType := TextMessage + n%2
	if err := w.write(from, messageType, message); err != nil {
		t.Fatalf("%s, %s: %v", what, w.name, err)
	}
	got, p, err := r.read(to)
	if got != messageType || !bytes.Equal(p, message) || err != nil {
		t.Fatalf("%s, %s, %s: got type %d, %d bytes, %v, want type %d, %d bytes", what, w.name, r.name, got, len(p), err, messageType, len(message))
	}
}

// A peer may send its messages at any level of compression, in frames of any size.
func TestReceivedInFragments(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, takeover := range []bool{true, false} {
			message := []byte("héllo, a message; héllo, another; " + string(textLike(20, 1)))
			payloads := deflateMessages(6, message, message)
			if !takeover {
				payloads[1] = payloads[0]
			}
			for cut := range len(payloads[0]) + 1 {
				for size := range 4 {
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
					for _, p := range payloads {
						i, j := min(cut, len(p)), min(cut+size, len(p))
						for _, f := range []string{"\x41" + string(p[:i]), "\x89ping", "\x00" + string(p[i:j]), "\x8a", "\x80" + string(p[j:])} {
							wire.Write(closingFrame(server, f))
						}
						r := receiveWays[(cut+size)%len(receiveWays)]
						if _, got, err := r.read(c); err != nil || !bytes.Equal(got, message) {
							t.Fatalf("cut at %d and %d: got %q, %v, want %q", i, j, got, err, message)
						}
					}
				}
			}
		}
	})
}

// One byte in each frame, of a message that is larger than all windows.
func TestReceivedInSmallFragments(t *testing.T) {
	message := textLike(100_000, 4)
	for i, r := range receiveWays {
		c, wire := newCompressedConn(t, i%2 == 0, CompressionOptions{ContextTakeover: true})
		for _, p := range deflateMessages(9, message, message) {
			first := byte(0x41)
			for len(p) > 0 {
				n := min(len(p), 1+i*50)
				wire.Write(closingFrame(i%2 == 0, string(first)+string(p[:n])))
				first, p = 0x00, p[n:]
			}
			wire.Write(closingFrame(i%2 == 0, "\x80"))
			if _, got, err := r.read(c); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%s: got %d bytes, %v, want %d", r.name, len(got), err, len(message))
			}
		}
	}
}

// A window is the last bytes of all that was put there, in memory of no more bytes than it may have.
func TestWindow(t *testing.T) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		size := 1 << bits
		random := rand.New(rand.NewPCG(uint64(bits), 0))
		for range 10 {
			w := window{size: size}
			var all []byte
			for i := range 40 {
				n := []int{0, 1, random.IntN(100), random.IntN(size), size - 1, size, size + 1, random.IntN(3 * size)}[random.IntN(8)]
				p := noise(min(n, 20_000), uint64(i))
				all = append(all, p...)
				all = all[max(0, len(all)-size):]
				w.put(p)
				var got []byte
				for back := w.len(); back > 0; back = len(all) - len(got) {
					got = append(got, w.from(back)...)
				}
				if !bytes.Equal(got, all) {
					t.Fatalf("%d bits: got a window of %d bytes, want the last %d", bits, len(got), len(all))
				}
				if cap(w.b) > size {
					t.Fatalf("%d bits: got a window in %d bytes of memory, want at most %d", bits, cap(w.b), size)
				}
			}
			if w.drop(); w.len() > 0 || w.buf != nil {
				t.Errorf("got %d bytes of a window that was given up", w.len())
			}
		}
	}
}

// Many small messages do not each allocate a window.
func TestWindowAllocates(t *testing.T) {
	p := make([]byte, 10)
	n := testing.AllocsPerRun(1, func() {
		w := window{size: 1 << 15}
		for range 10_000 {
			w.put(p)
		}
	})
	if n > 16 {
		t.Errorf("got %v allocations, want at most two each time that it doubles", n)
	}
}
