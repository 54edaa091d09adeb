//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"io"
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

// BenchmarkMessages reads or writes messages of several sizes, in each way, as a server and as a client.
func BenchmarkMessages(b *testing.B) {
	for _, bb := range []struct {
		name string
		call func(c *Conn, message, p []byte) error // p has room for the message, and a byte more
	}{
		{"AppendMessage", func(c *Conn, _, p []byte) error {
			_, _, err := c.AppendMessage(p[:0])
			return err
		}},
		{"ReadMessage", func(c *Conn, _, _ []byte) error {
			_, _, err := c.ReadMessage()
			return err
		}},
		{"NextReader", func(c *Conn, _, p []byte) error {
			_, r, err := c.NextReader()
			for err == nil {
				_, err = r.Read(p)
			}
			if err == io.EOF {
				return nil
			}
			return err
		}},
		{"WriteMessage", func(c *Conn, message, _ []byte) error { return c.WriteMessage(BinaryMessage, message) }},
		{"NextWriter", func(c *Conn, message, _ []byte) error {
			w, err := c.NextWriter(BinaryMessage)
			if err != nil {
				return err
			}
			if _, err := w.Write(message); err != nil {
				return err
			}
			return w.Close()
		}},
	} {
		for _, side := range []string{"server", "client"} {
			for _, size := range []int{16, 1 << 10, 16 << 10, 64 << 10} {
				b.Run(fmt.Sprintf("%s/%s/%d", bb.name, side, size), func(b *testing.B) {
					message, p := bytes.Repeat([]byte{'a'}, size), make([]byte, size+1)
					server := side == "server"
					wire := peerFrames(server, peerFrame{true, opBinary, string(message)})
					c := newConn(&loopTransport{bytes: wire}, server, nil, connOptions{})
					b.SetBytes(int64(size))
					b.ReportAllocs()
					for b.Loop() {
						if err := bb.call(c, message, p); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

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
