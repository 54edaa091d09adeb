//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wireMessages are messages of the payloads, each in two frames, of which the first has n bytes, or a half of them
// if n is 0.
func wireMessages(server bool, n int, payloads ...[]byte) (b []byte) {
	for _, p := range payloads {
		first := n
		if n == 0 {
			first = len(p) / 2
		}
		b = append(b, closingFrame(server, "\x41"+string(p[:first]))...)
		b = append(b, closingFrame(server, "\x80"+string(p[first:]))...)
	}
	return b
}

// The memory for a message doubles from a kilobyte on, up to the limit, when the inflater needs more.
func TestGrowInflated(t *testing.T) {
	const base = 7
	for _, tt := range []struct {
		name       string
		limit      int64
		full       bool
		have, room int
		want       int // the room then
	}{
		{"the first", 0, true, 0, 0, 1 << 10},
		{"half a kilobyte", -1, true, 512, 0, 1024 - 512},
		{"more", 0, true, 600, 0, 600},
		{"a limit", 1000, true, 600, 0, 400},
		{"a limit of 1", 1, true, 0, 0, 1},
		{"the limit is reached", 600, true, 600, 0, 0},
		{"there is room", 0, true, 600, 1, 1},
		{"nothing has come", 0, false, 600, 0, 0},
	} {
		c := &Conn{message: message{inflater: &inflater{full: tt.full}}}
		c.recv.readLimit.Store(tt.limit)
		p := noise(base+tt.have+tt.room, 1)[:base+tt.have]
		got := c.growInflated(p[:len(p):len(p)+tt.room], base)
		if room := cap(got) - len(got); room != tt.want || !bytes.Equal(got, p) {
			t.Errorf("%s: got room for %d bytes behind %d, want for %d behind %d", tt.name, room, len(got), tt.want, len(p))
		}
	}
}

// What is discarded of a message, all or a part, is in the window for the next.
func TestDiscardKeepsTheWindow(t *testing.T) {
	for _, size := range []int{10, 5000, 70_000, 150_000} {
		var messages [][]byte
		for i := range 3 {
			messages = append(messages, append([]byte(fmt.Sprint(i)), textLike(size, 1)...))
		}
		payloads := deflateMessages(4, messages...)
		bothSides(t, func(t *testing.T, server bool) {
			for _, read := range []int{0, 1, 100, 32 << 10, 64 << 10, 70_000, 149_999, 150_000} {
				c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
				wire.Write(wireMessages(server, 0, payloads...))
				for range 2 {
					_, r, err := c.NextReader()
					if err != nil {
						t.Fatal(err)
					}
					io.ReadFull(r, make([]byte, read))
				}
				if _, p, err := c.ReadMessage(); err != nil || !bytes.Equal(p, messages[2]) {
					t.Fatalf("%d of %d bytes: got %d bytes, %v, want the message behind", read, size, len(p), err)
				}
			}
		})
	}
}

// A discard that was interrupted goes on, and what a ReadMessage had before is in the window, too.
func TestDiscardInterrupted(t *testing.T) {
	message := textLike(3000, 1)
	payloads := deflateMessages(9, message, message)
	for i := range 4 {
		takeover, kept := i < 2, i%2 == 0
		second := payloads[1]
		if !takeover {
			second = payloads[0]
		}
		in := wireMessages(true, 200, payloads[0])
		synctest.Test(t, func(t *testing.T) {
			for k := 100; k < len(in); k += 37 {
				c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: takeover})
				timesOut := func(read func() error) {
					c.SetReadDeadline(time.Now().Add(time.Second))
					if err := read(); !isTimeout(err) {
						t.Fatalf("got %v, want a timeout", err)
					}
					c.SetReadDeadline(time.Time{})
				}
				readMessage := func() error { _, _, err := c.ReadMessage(); return err }
				nextReader := func() error { _, _, err := c.NextReader(); return err }
				wire.Write(in[:k])
				if kept {
					timesOut(readMessage)
				}
				if err := nextReader(); err != nil {
					t.Fatal(err)
				}
				timesOut(nextReader)
				timesOut(nextReader)
				wire.Write(in[k:])
				wire.Write(wireMessages(true, 0, second))
				if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, message) {
					t.Fatalf("takeover %v, %d bytes: got %d bytes, %v, want the message behind", takeover, k, len(got), err)
				}
			}
		})
	}
}

// A character may be cut by fragments and by Reads; what is no UTF-8 is refused with 1007
// where it comes (RFC 6455, 8.1), as a reader gets it.
func TestCompressedUTF8InPieces(t *testing.T) {
	text := strings.Repeat("é한😀", 30_000) // cut at every place, by what is decompressed at a time too
	for _, way := range receiveWays {
		for _, tt := range []struct {
			message string
			want    error
		}{
			{text, nil},
			{"x" + text, nil},
			{"\xff", errInvalidUTF8},
			{"é\xc3", errInvalidUTF8},
			{"\xed\xa0\x80", errInvalidUTF8},
			{text + "\xf0\x9f\x98", errInvalidUTF8},
			{"\xc3" + text, errInvalidUTF8},
		} {
			c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true})
			wire.Write(wireMessages(true, 0, deflateMessages(6, []byte(tt.message))...))
			_, p, err := way.read(c)
			if err != tt.want || err == nil && string(p) != tt.message {
				t.Errorf("%s: got %d bytes, %v, want %d, %v", way.name, len(p), err, len(tt.message), tt.want)
			}
			if tt.want != nil {
				wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=false %q", "\x03\xeftext is not valid UTF-8"))
			}
		}
	}
}

// A limit of 0 is none, also for compressed messages, and one of a byte lets a byte through.
func TestSmallReadLimitsOfCompressedMessages(t *testing.T) {
	for limit, want := range map[int64]error{0: nil, 1: ErrReadLimit, 2: nil} {
		c, wire := newCompressedConn(t, true, CompressionOptions{})
		c.SetReadLimit(limit)
		wire.Write(wireMessages(true, 0, deflateMessages(6, []byte("ab"))...))
		if _, p, err := c.ReadMessage(); err != want || err == nil && string(p) != "ab" {
			t.Errorf("a limit of %d: got %q and error %v, want %v", limit, p, err, want)
		}
	}
}
