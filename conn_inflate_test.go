//go:build go1.25

package websocket

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

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
		in := rawFrame(true, "\x41"+string(payloads[0][:200]))
		in = append(in, rawFrame(true, "\x80"+string(payloads[0][200:]))...)
		synctest.Test(t, func(t *testing.T) {
			for k := 100; k < len(in); k += 37 {
				c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: takeover})
				timesOut := func(err error) {
					t.Helper()
					if !isTimeout(err) {
						t.Fatalf("got %v, want a timeout", err)
					}
					c.SetReadDeadline(time.Now().Add(time.Second))
				}
				c.SetReadDeadline(time.Now().Add(time.Second))
				wire.Write(in[:k])
				if kept {
					timesOut(second3(c.ReadMessage()))
				}
				if err := second3(c.NextReader()); err != nil {
					t.Fatal(err)
				}
				timesOut(second3(c.NextReader()))
				timesOut(second3(c.NextReader()))
				wire.Write(in[k:])
				wire.Write(rawFrame(true, "\xc1"+string(second)))
				if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, message) {
					t.Fatalf("takeover %v, %d bytes: got %d bytes, %v, want the message behind", takeover, k, len(got), err)
				}
			}
		})
	}
}
