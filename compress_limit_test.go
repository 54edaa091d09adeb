//go:build go1.25

package websocket

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

// limited are the ways of reading, with how many bytes they got of a message.
var limited = []struct {
	name string
	read func(c *Conn) (n int, err error)
	// inPieces: it needs no more memory for a message that is longer.
	inPieces bool
}{
	{"ReadMessage", func(c *Conn) (int, error) {
		_, p, err := c.ReadMessage()
		return len(p), err
	}, false},
	{"AppendMessage", func(c *Conn) (int, error) {
		_, p, err := c.AppendMessage([]byte("x"))
		return len(p) - 1, err
	}, false},
	{"ReadMessageContext", func(c *Conn) (int, error) {
		_, p, err := receiveWays[2].read(c)
		return len(p), err
	}, false},
	{"ReadJSON", func(c *Conn) (int, error) {
		var v json.RawMessage
		err := c.ReadJSON(&v)
		return len(v), err
	}, false},
	{"NextReader", func(c *Conn) (int, error) {
		_, r, err := c.NextReader()
		if err != nil {
			return 0, err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 4096))
		return int(n), err
	}, true},
	{"JoinMessages", func(c *Conn) (n int, err error) {
		r := JoinMessages(c, "\n")
		p := make([]byte, 4096)
		for {
			m, err := r.Read(p)
			n += m
			if err != nil {
				return n, err
			}
			if p[m-1] == '\n' {
				return n - 1, nil
			}
		}
	}, true},
	// The next message tells that there was nothing wrong with this one.
	{"discarding", func(c *Conn) (n int, err error) {
		if _, _, err := c.NextReader(); err != nil {
			return 0, err
		}
		_, p, err := c.ReadMessage()
		if string(p) == "next" {
			p = []byte(strings.Repeat("x", int(c.recv.limit.Load()))) // it had the limit
		}
		return len(p), err
	}, true},
}

// A message may have as many bytes as the limit says, and not one more, however it is read.
// One that has more is answered with 1009 (RFC 6455, 7.4.1).
func TestReadLimitCountsInflatedBytes(t *testing.T) {
	for _, limit := range []int{10, 4095, 4096, 4097, 65535, 65536, 65537, 100_000} {
		for _, m := range limited {
			for _, more := range []int{0, 1} {
				bothSides(t, func(t *testing.T, server bool) {
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
					c.SetReadLimit(int64(limit))
					message := []byte(`"` + strings.Repeat("a", limit+more-2) + `"`)
					payloads := deflateMessages(1, message, []byte("next"))
					for _, p := range payloads {
						wire.Write(closingFrame(server, "\xc1"+string(p)))
					}
					n, err := m.read(c)
					wantLimit(t, fmt.Sprintf("%s, limit %d and %d", m.name, limit, more), c, wire, n, err, limit, more > 0)
				})
			}
		}
	}
}

// wantLimit says whether a read was refused, with a Close frame and for good.
func wantLimit(t *testing.T, what string, c *Conn, wire *pipeConn, n int, err error, limit int, refused bool) {
	t.Helper()
	if !refused {
		if n != limit || err != nil {
			t.Errorf("%s: got %d bytes, %v, want %d", what, n, err, limit)
		}
		return
	}
	if err != ErrReadLimit || n > limit {
		t.Errorf("%s: got %d bytes, %v, want ErrReadLimit and no more than the limit", what, n, err)
	}
	wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=%v %q", !c.recv.server, "\x03\xf1"))
	if _, _, again := c.ReadMessage(); again != ErrReadLimit {
		t.Errorf("%s: got %v from the next read, want ErrReadLimit again", what, again)
	}
}

// bomb is a message that becomes n MiB of zeros.
func bomb(n int) []byte {
	chunks := deflateMessages(9, make([]byte, 1<<20), make([]byte, 1<<20))
	var b bytes.Buffer
	b.Write(chunks[0])
	for range n - 1 {
		b.WriteString(deflateTail)
		b.Write(chunks[1])
	}
	return b.Bytes()
}

var largestBomb = sync.OnceValue(func() []byte { return bomb(1 << 10) }) // 1 GiB

// CVE-2018-1000518, GHSA-frh3-6pv6-rc8j, centrifuge's issue 584: a message of a megabyte that becomes a gigabyte. It
// is decompressed up to the limit, and not more of it is read. It costs no more memory than the limit, for the
// message and while it grows, and a constant for the compressed message and the codec.
func TestAttackBomb(t *testing.T) {
	shapes := map[string]func(server bool, payload []byte) []byte{
		"a frame": func(server bool, payload []byte) []byte {
			return closingFrame(server, "\xc2"+string(payload))
		},
		"fragments": func(server bool, payload []byte) (b []byte) {
			first := "\x42"
			for piece := range slices.Chunk(payload, 1000) {
				b = append(b, closingFrame(server, first+string(piece))...)
				first = "\x00"
			}
			return append(b, closingFrame(server, "\x80")...)
		},
		"behind a message": func(server bool, payload []byte) []byte {
			return append(closingFrame(server, "\xc1\x00"), closingFrame(server, "\xc2"+string(payload))...)
		},
	}
	for _, tt := range []struct {
		limit int64
		bomb  func() []byte
		every bool // by every way of reading, in every shape
	}{
		{64 << 10, func() []byte { return bomb(300) }, true},
		{1 << 20, largestBomb, false},
		{DefaultReadLimit, largestBomb, false},
	} {
		payload := tt.bomb()
		bothSides(t, func(t *testing.T, server bool) {
			for _, takeover := range []bool{false, true} {
				for shape, frames := range shapes {
					for i, m := range limited {
						if !tt.every && (i > 0 || shape != "fragments" || tt.limit == DefaultReadLimit && takeover) {
							continue // it takes long
						}
						if m.name == "discarding" && !takeover {
							continue // see TestDiscardedWithoutTakeover
						}
						before := uint64(math.MaxUint64)
						if !tt.every {
							before = heapInUse()
						}
						c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
						c.SetReadLimit(tt.limit)
						wire.Write(frames(server, payload))
						if shape == "behind a message" {
							if _, _, err := c.ReadMessage(); err != nil {
								t.Fatal(err)
							}
						}
						what := fmt.Sprintf("%s, limit %d, takeover %t, %s", m.name, tt.limit, takeover, shape)
						var n int
						var err error
						memory := allocated(func() { n, err = m.read(c) })
						left := len(wire.out.data)
						wantLimit(t, what, c, wire, n, err, int(tt.limit), true)
						want := uint64(1 << 20)
						if !m.inPieces {
							want += 2 * uint64(tt.limit)
						}
						if memory > want {
							t.Errorf("%s: got %d bytes of memory, want at most %d", what, memory, want)
						}
						// A byte becomes 1,000, and a buffer of 64 KiB may have come beyond the limit.
						if read := len(payload) - left; int64(read) > tt.limit/1000+2*maxBufferSize {
							t.Errorf("%s: got %d of %d bytes read, want no more than become the limit", what, read, len(payload))
						}
						c.Close()
						wire.out.data = nil // the rest of the bomb
						if !tt.every {
							c = nil
							if after := heapInUse(); after > before+64<<10 {
								t.Errorf("%s: got %d bytes of heap behind the connection, want none", what, after-before)
							}
						}
					}
				}
			}
		})
	}
}

// A message that is longer when it is compressed than any of the limit can be is refused as
// a frame announces it.
func TestReadLimitOfTheCompressedMessage(t *testing.T) {
	const limit, most = 1000, 1000 + 250 + 1024
	for _, m := range limited {
		bothSides(t, func(t *testing.T, server bool) {
			for _, fragments := range [][]int64{{most + 1}, {most, 1}, {1, most}, {700, 700, 900}, {1 << 30}, {1, 1 << 62}} {
				c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
				c.SetReadLimit(limit)
				stream := bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), most) // empty blocks
				for i, n := range fragments {
					h := header{opcode: opText, rsv1: true, masked: server, length: n}
					if i > 0 {
						h.opcode, h.rsv1 = opContinuation, false
					}
					b := h.append(nil)
					if i < len(fragments)-1 {
						b, stream = append(b, stream[:n]...), stream[n:]
					}
					wire.Write(b) // of the last one just the header
				}
				n, err := m.read(c)
				wantLimit(t, fmt.Sprintf("%s, %v", m.name, fragments), c, wire, n, err, 0, true)
			}
		})
	}
}

// Random bytes, which compressors make longer, are within the limit.
func TestReadLimitOfWhatDoesNotCompress(t *testing.T) {
	random := noise(100_000, 1)
	for level := -2; level <= 9; level++ {
		for _, size := range []int{1, 100, 1000, 65536, 100_000} {
			c, wire := newCompressedConn(t, true, CompressionOptions{})
			c.SetReadLimit(int64(size))
			wire.Write(closingFrame(true, "\xc2"+string(deflateMessages(level, random[:size])[0])))
			if _, p, err := c.ReadMessage(); err != nil || !bytes.Equal(p, random[:size]) {
				t.Errorf("level %d, %d bytes: got %d bytes, %v", level, size, len(p), err)
			}
		}
	}
}

// The limit can be changed at any time, and none is none.
func TestReadLimitChanges(t *testing.T) {
	c, wire := newCompressedConn(t, true, CompressionOptions{})
	payload := deflateMessages(1, make([]byte, 100_000))[0]
	for _, limit := range []int64{0, -1, 100_000, 1 << 62, 1<<63 - 1} {
		c.SetReadLimit(limit)
		for _, r := range receiveWays {
			wire.Write(closingFrame(true, "\xc2"+string(payload)))
			if _, p, err := r.read(c); len(p) != 100_000 || err != nil {
				t.Errorf("limit %d, %s: got %d bytes, %v, want all", limit, r.name, len(p), err)
			}
		}
	}
	wire.Write(closingFrame(true, "\xc2"+string(payload)))
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(r, make([]byte, 1000))
	c.SetReadLimit(70_000)
	if n, err := io.Copy(io.Discard, r); err != ErrReadLimit || n > 69_000 {
		t.Errorf("got %d bytes more, %v, want ErrReadLimit", n, err)
	}
}

// What is not decompressed is not limited: without takeover a message that is discarded.
func TestDiscardedWithoutTakeover(t *testing.T) {
	c, wire := newCompressedConn(t, true, CompressionOptions{})
	c.SetReadLimit(1000)
	for _, payload := range []string{string(bomb(1)), "\x06corrupt"} {
		wire.Write(closingFrame(true, "\xc1"+payload))
		if _, _, err := c.NextReader(); err != nil {
			t.Fatal(err)
		}
	}
	wire.Write(closingFrame(true, "\x81next"))
	if _, p, err := c.ReadMessage(); string(p) != "next" || err != nil {
		t.Errorf("got %q, %v, want the message behind", p, err)
	}
}
