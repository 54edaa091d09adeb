//go:build go1.25

package websocket

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// NextReader discards the rest of the message before, in whichever way some of that was read, and its reader then
// returns io.EOF. Discarding can be interrupted at any byte, and answers pings.
func TestNextReaderDiscards(t *testing.T) {
	for name, interrupted := range map[string]bool{"a part was read": false, "ReadMessage was interrupted": true} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, false)
			wantTimeouts := func() { // two, since the first may find what came before
				for range 2 {
					c.SetReadDeadline(time.Now().Add(time.Second))
					if messageType, r, err := c.NextReader(); messageType != noMessage || r != nil || !isTimeout(err) {
						t.Fatalf("%s: got %d, %v, %v, want -1, nil and a timeout", name, messageType, r, err)
					}
				}
				c.SetReadDeadline(time.Time{})
			}
			wire.Write(unhex(t, "01 02 4865"))
			if interrupted {
				c.SetReadDeadline(time.Now().Add(time.Second))
				if messageType, p, err := c.ReadMessage(); messageType != noMessage || p != nil || !isTimeout(err) {
					t.Fatalf("got %d, %q, %v, want -1, nil and a timeout", messageType, p, err)
				}
			}
			_, old, err := c.NextReader()
			if err != nil {
				t.Fatal(err)
			}
			io.ReadFull(old, make([]byte, 1))
			for _, b := range unhex(t, "00 01 6c 89 00 80 02 6c6f 82") {
				wantTimeouts()
				wire.Write([]byte{b})
			}
			wantTimeouts()
			wire.Write(unhex(t, "03 010203"))
			messageType, r, err := c.NextReader()
			if messageType != BinaryMessage || err != nil {
				t.Fatalf("%s: got %d, %v, want binary", name, messageType, err)
			}
			if n, err := old.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%s: old reader: got %d, %v, want 0, EOF", name, n, err)
			}
			if p, err := io.ReadAll(r); string(p) != "\x01\x02\x03" || err != nil {
				t.Errorf("%s: got % x, %v, want 01 02 03", name, p, err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%s: after the end: got %d, %v, want 0, EOF", name, n, err)
			}
			wantFrames(t, wire, `fin=true op=10 masked=true ""`)
		})
	}
}
