//go:build go1.25

package websocket

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"
)

// maskEach is RFC 6455, 5.3, word for word: "octet i of the transformed data is the
// XOR of octet i of the original data with octet at index i modulo 4 of the masking key".
func maskEach(b []byte, key [4]byte, pos int) int {
	for i := range b {
		b[i] ^= key[(pos+i)%4]
	}
	return (pos + len(b)) % 4
}

// Masking is right for each length, position and alignment, in place and from one place into another. Copying
// leaves the source as it was, unless the two overlap: the copy may begin before it.
func TestMask(t *testing.T) {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	src := noise(300, 1)
	for n := range len(src) {
		for pos := range 8 {
			want := append(bytes.Clone(src[:n]), 0xdb) // the byte behind it stays as it was
			wantPos := maskEach(want[:n], key, pos)
			check := func(what string, offset int, got []byte, gotPos int) {
				if !bytes.Equal(got, want) || gotPos != wantPos {
					t.Fatalf("%s, %d bytes from position %d, offset %d: got % x, %d, want % x, %d",
						what, n, pos, offset, got, gotPos, want, wantPos)
				}
			}
			for offset := range 8 {
				memory := append(make([]byte, offset), src[:n]...)
				memory = append(memory, 0xdb)
				gotPos := maskBytes(memory[offset:][:n], key, pos)
				check("in place", offset, memory[offset:], gotPos)
			}
			in, got := bytes.Clone(src), append(make([]byte, n), 0xdb)
			gotPos := maskCopy(got[:n], in[:n], key, pos)
			if check("copy", 0, got, gotPos); !bytes.Equal(in, src) {
				t.Fatalf("%d bytes from position %d: got another source, want that of before", n, pos)
			}
			for _, ahead := range []int{0, 1, 5, 8, 14, 64} {
				in := append(make([]byte, ahead), src[:n]...)
				gotPos := maskCopy(in[:n], in[ahead:], key, pos)
				check("copy forward", ahead, append(in[:n:n], 0xdb), gotPos)
			}
		}
	}
}

// Masking in pieces is masking as a whole, wherever it is cut.
func FuzzMaskBytes(f *testing.F) {
	f.Add([]byte("Hello"), []byte{0x37, 0xfa, 0x21, 0x3d}, uint(2), uint(3))
	f.Fuzz(func(t *testing.T, b, k []byte, cut1, cut2 uint) {
		var key [4]byte
		copy(key[:], k)
		want := bytes.Clone(b)
		maskEach(want, key, 0)
		i, j := cut1%uint(len(b)+1), cut2%uint(len(b)+1)
		i, j = min(i, j), max(i, j)
		pos := maskBytes(b[:i], key, 0)
		pos = maskBytes(b[i:j], key, pos)
		maskBytes(b[j:], key, pos)
		if !bytes.Equal(b, want) {
			t.Errorf("cut at %d and %d: got % x, want % x", i, j, b, want)
		}
	})
}

// countedRandom stands for the system's random source, with the number of words that were read. Each is another one.
type countedRandom uint32

func (r *countedRandom) Read(p []byte) (int, error) {
	for i := 0; i+4 <= len(p); i += 4 {
		binary.BigEndian.PutUint32(p[i:], randomWord(*r))
		*r++
	}
	return len(p), nil
}

func randomWord(i countedRandom) uint32 { return uint32(i+1) * 2654435761 }

// RFC 6455, 10.3: keys that cannot be predicted, and a fresh one for each frame, whatever sends it: each is a word
// of the system's cryptographic random source, which is used once.
func TestAttackMaskKeys(t *testing.T) {
	source := new(countedRandom)
	replace := func(r io.Reader) {
		rand.Reader = r
		runtime.GC() // pools forget the batches
		runtime.GC()
	}
	defer replace(rand.Reader)
	replace(source)

	seen := make(map[uint32]bool)
	for _, o := range []*CompressionOptions{nil, {}, {ContextTakeover: true}} {
		a := attack{false, o}
		c, wire := a.pipe(t, connOptions{maxFrameSize: 100})
		pm := prepare(t, TextMessage, "prepared once")
		for range 50 {
			for _, w := range sendWays {
				w.write(c, TextMessage, textLike(1000, 1))
			}
			c.WritePreparedMessage(pm)
			c.WriteControl(PingMessage, nil, time.Time{})
			c.WriteControl(PongMessage, []byte("pong"), time.Time{})
			c.WriteJSON("json")
			wire.Write(slices.Concat(a.frame(0x89, "ping"), a.frame(0x81, a.payload("message"))))
			c.ReadMessage()
			c.send.awaitFlush()
		}
		c.WriteControl(CloseMessage, nil, time.Time{})
		frames := 0
		eachFrame(t, wire.take(), func(h header, _ []byte) {
			key := binary.BigEndian.Uint32(h.key[:])
			if frames++; seen[key] || !h.masked {
				t.Errorf("got the key %x twice, or a frame that is not masked, want each for one frame", key)
			}
			seen[key] = true
		})
		if frames < 50*8 {
			t.Errorf("got %d frames, want those of all ways to send", frames)
		}
	}
	for i := range *source {
		delete(seen, randomWord(i))
	}
	if len(seen) > 0 {
		t.Errorf("got %d keys that are not of the random source, want none", len(seen))
	}
}

func BenchmarkMaskBytes(b *testing.B) {
	for _, size := range []int{4, 16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		for _, offset := range []int{0, 3} {
			b.Run(fmt.Sprintf("size=%d/offset=%d", size, offset), func(b *testing.B) {
				memory := make([]byte, size+offset)[offset:]
				key := newMaskKey()
				b.SetBytes(int64(size))
				for b.Loop() {
					maskBytes(memory, key, 1)
				}
			})
		}
	}
}
