//go:build go1.25

package websocket

import (
	"errors"
	"fmt"
	"testing"
)

// Data that is no DEFLATE fails the connection with 1007 (RFC 6455, 7.4.1), by each way of
// reading, for good; writing has ended with the Close frame.
func TestCorruptMessageByEachWayOfReading(t *testing.T) {
	whole := deflateMessages(6, textLike(300, 1))[0]
	for name, payload := range map[string][]byte{
		"nothing":                {},
		"cut short":              whole[:len(whole)/2],
		"block of type 3":        {0x06, 0x00},
		"lengths that disagree":  {0, 5, 0, 0xfb, 0xff, 'H', 'e', 'l', 'l', 'o', 0},
		"distance beyond all":    {0x02, 0x13, 0, 0},
		"garbage behind a block": append([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00"), 0xff, 0xff),
	} {
		for _, m := range limited {
			for _, takeover := range []bool{true, false} {
				if m.name == "discarding" && !takeover {
					continue // nobody looks at it
				}
				bothSides(t, func(t *testing.T, server bool) {
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
					k := len(payload) / 3
					wire.Write(closingFrame(server, "\x42"+string(payload[:k])))
					wire.Write(closingFrame(server, "\x80"+string(payload[k:])))
					wire.Write(closingFrame(server, closeFrame(CloseNormalClosure, ""))) // what a reader gets that sees nothing
					_, err := m.read(c)
					if !errors.Is(err, errCorruptMessage) || err.Error() != "websocket: compressed message is corrupt" {
						t.Errorf("%s, %s: got %v, want that the message is corrupt", name, m.name, err)
					}
					wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=%v %q", !server, "\x03\xefcompressed message is corrupt"))
					for _, again := range limited {
						if _, err2 := again.read(c); err2 != err {
							t.Errorf("%s, %s: got %v, want the same error", name, again.name, err2)
						}
					}
					if err := c.WriteMessage(TextMessage, textLike(300, 1)); err != ErrCloseSent {
						t.Errorf("%s: got %v from a write, want ErrCloseSent", name, err)
					}
				})
			}
		}
	}
}
