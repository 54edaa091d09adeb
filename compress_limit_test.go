//go:build go1.25

package websocket

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
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

// A bomb costs no more than the limit, for the message and while it grows, and a constant
// for the compressed message and the codec.
func TestAttackBomb(t *testing.T) {
	for _, tt := range []struct {
		limit int64
		bomb  func() []byte
	}{
		{64 << 10, func() []byte { return bomb(70) }},
		{1 << 20, largestBomb},
		{DefaultReadLimit, largestBomb},
	} {
		for _, m := range limited {
			if tt.limit == DefaultReadLimit && (raceEnabled || testing.Short()) && m.name != "ReadMessage" {
				continue // it takes long
			}
			c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true})
			c.SetReadLimit(tt.limit)
			wire.Write(closingFrame(true, "\xc2"+string(tt.bomb())))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, err := m.read(c)
			runtime.ReadMemStats(&after)
			wantLimit(t, m.name, c, wire, n, err, int(tt.limit), true)
			want := uint64(6 << 20)
			if !m.inPieces {
				want += 2 * uint64(tt.limit)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > want {
				t.Errorf("%s, limit %d: got %d bytes of memory, want at most %d", m.name, tt.limit, got, want)
			}
		}
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
