//go:build go1.25

package websocket

import (
	"io"
	"testing"
)

// Compressed messages of 1 KiB are written and read without allocating, with and without takeover.
func TestCompressionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	message := textLike(1<<10, 1)
	payload := deflateMessages(1, message)[0] // refers to no other, so that it may come again and again
	for _, server := range []bool{true, false} {
		for _, o := range []CompressionOptions{{}, {ContextTakeover: true}, {ContextTakeover: true, WindowBits: 10, PeerWindowBits: 10, Level: 6}} {
			answer := negotiate(t, o, o)
			c := newConn(&loopTransport{bytes: closingFrame(server, "\xc1"+string(payload))}, server, nil,
				connOptions{agreed: agreement{deflate: &answer}, compression: o})
			pm := prepare(t, TextMessage, message)
			buf, p := make([]byte, 0, 2<<10), make([]byte, 2<<10)
			for name, f := range map[string]func() error{
				"WriteMessage":         func() error { return c.WriteMessage(TextMessage, message) },
				"WritePreparedMessage": func() error { return c.WritePreparedMessage(pm) },
				"AppendMessage":        func() error { return second3(c.AppendMessage(buf)) },
				"NextWriter": func() error {
					w, err := c.NextWriter(TextMessage)
					if err != nil {
						return err
					}
					w.Write(message)
					return w.Close()
				},
				"NextReader": func() error {
					_, r, err := c.NextReader()
					if err != nil {
						return err
					}
					_, err = io.ReadFull(r, p[:len(message)])
					return err
				},
				"discarding": func() error { return second3(c.NextReader()) },
			} {
				n := testing.AllocsPerRun(300, func() {
					if err := f(); err != nil {
						t.Fatal(err)
					}
				})
				want := 0.0
				if name == "NextWriter" || name == "NextReader" || name == "discarding" {
					want = 1 // the writer or the reader
				}
				if n >= want+1 {
					t.Errorf("server %v, %+v: %s: got %v allocations, want %v", server, o, name, n, want)
				}
			}
			if n := testing.AllocsPerRun(300, func() { c.ReadMessage() }); n > 1 {
				t.Errorf("server %v, %+v: ReadMessage: got %v allocations, want the message", server, o, n)
			}
			c.Close()
		}
	}
}

func second3[A, B any](_ A, _ B, err error) error { return err }
