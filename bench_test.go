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

// benchmarkSizes runs a benchmark for a server and a client, with messages of several sizes.
func benchmarkSizes(b *testing.B, f func(b *testing.B, c *Conn, message []byte)) {
	for _, server := range []bool{true, false} {
		for _, size := range []int{16, 1 << 10, 16 << 10, 64 << 10} {
			name := fmt.Sprintf("client/%d", size)
			if server {
				name = fmt.Sprintf("server/%d", size)
			}
			b.Run(name, func(b *testing.B) {
				message := bytes.Repeat([]byte{'a'}, size)
				h := header{fin: true, opcode: opBinary, masked: server, key: [4]byte{1, 2, 3, 4}, length: int64(size)}
				wire := append(h.append(nil), message...)
				if h.masked {
					maskBytes(wire[len(wire)-size:], h.key, 0)
				}
				c := newConn(&loopTransport{bytes: wire}, server, nil, connOptions{})
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, c, message)
			})
		}
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *Conn, _ []byte) {
		var p []byte
		for b.Loop() {
			var err error
			if _, p, err = c.AppendMessage(p[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReadMessage(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *Conn, _ []byte) {
		for b.Loop() {
			if _, _, err := c.ReadMessage(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkNextReader(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *Conn, message []byte) {
		p := make([]byte, len(message)+1)
		for b.Loop() {
			_, r, err := c.NextReader()
			if err != nil {
				b.Fatal(err)
			}
			for err == nil {
				_, err = r.Read(p)
			}
			if err != io.EOF {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkWriteMessage(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *Conn, message []byte) {
		for b.Loop() {
			if err := c.WriteMessage(BinaryMessage, message); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkNextWriter(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, c *Conn, message []byte) {
		for b.Loop() {
			w, err := c.NextWriter(BinaryMessage)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := w.Write(message); err != nil {
				b.Fatal(err)
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
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

// BenchmarkEcho is a server over TCP that answers a number of messages that come at once.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{125, 1 << 10, 16 << 10} {
		for _, burst := range []int{1, 16} {
			b.Run(fmt.Sprintf("%d/burst=%d", size, burst), func(b *testing.B) {
				near, far := tcpPair(b)
				go echoAll(newConn(near, true, nil, connOptions{}))
				h := header{fin: true, opcode: opBinary, masked: true, length: int64(size)}
				request := bytes.Repeat(append(h.append(nil), make([]byte, size)...), burst)
				h.masked = false
				answer := make([]byte, burst*(size+len(h.append(nil))))
				b.SetBytes(int64(size * burst))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := far.Write(request); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(far, answer); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

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
