//go:build go1.25

package websocket

import (
	"net"
	"testing"
	"time"
)

// loopTransport is a network connection that delivers the same bytes again and again, and
// forgets what is written to it.
type loopTransport struct {
	net.Conn
	bytes []byte
	pos   int
}

func (t *loopTransport) Read(p []byte) (int, error) {
	n := copy(p, t.bytes[t.pos:])
	if t.pos += n; t.pos == len(t.bytes) {
		t.pos = 0
	}
	return n, nil
}

func (t *loopTransport) Write(p []byte) (int, error)      { return len(p), nil }
func (*loopTransport) LocalAddr() net.Addr                { return nil }
func (t *loopTransport) Close() error                     { return nil }
func (t *loopTransport) SetDeadline(time.Time) error      { return nil }
func (t *loopTransport) SetReadDeadline(time.Time) error  { return nil }
func (t *loopTransport) SetWriteDeadline(time.Time) error { return nil }

func BenchmarkParseHeader(b *testing.B) {
	frame := (&header{fin: true, opcode: opBinary, masked: true, key: [4]byte{1, 2, 3, 4}, length: 1000}).append(nil)
	for b.Loop() {
		h, n, err := parseHeader(frame)
		if n == 0 || err != nil || h.check(frameContext{server: true}) != nil {
			b.Fatal(err)
		}
	}
}

// echoAll answers each message with itself, until the connection ends.
func echoAll(c *Conn) {
	var p []byte
	for {
		var messageType int
		var err error
		if messageType, p, err = c.AppendMessage(p[:0]); err != nil {
			return
		}
		if err = c.WriteMessage(messageType, p); err != nil {
			return
		}
	}
}
