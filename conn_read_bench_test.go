//go:build go1.25 && unix

package websocket

import (
	"fmt"
	"io"
	"testing"
)

// echoes are ways to answer each message with itself, until the connection ends.
var echoes = map[string]func(c *Conn){
	"AppendMessage": func(c *Conn) { echoAll(c) },
	"ReadMessage": func(c *Conn) {
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(messageType, p) != nil {
				return
			}
		}
	},
	"NextReader": func(c *Conn) {
		var buf []byte
		for {
			messageType, r, err := c.NextReader()
			if err != nil {
				return
			}
			for buf = buf[:0]; err == nil; {
				if len(buf) == cap(buf) {
					buf = append(buf, 0)[:len(buf)]
				}
				var n int
				n, err = r.Read(buf[len(buf):cap(buf)])
				buf = buf[:len(buf)+n]
			}
			if err != io.EOF || c.WriteMessage(messageType, buf) != nil {
				return
			}
		}
	},
}

// BenchmarkRead has a server answer messages, one after the other, and reports the CPU time of both
// sides.
func BenchmarkRead(b *testing.B) {
	for _, transport := range sendTransports {
		for _, size := range []int{16, 125, 1 << 10, 16 << 10, 32 << 10, 64 << 10, 65 << 10, 128 << 10, 1 << 20} {
			for _, name := range []string{"AppendMessage", "ReadMessage", "NextReader"} {
				b.Run(fmt.Sprintf("%s/%dB/%s", transport, size, name), func(b *testing.B) {
					near, far := tcpPair(b)
					near, far = secureOrWrap(b, transport, near, far)
					go echoes[name](newConn(near, true, nil, connOptions{})) // until far is closed
					request, answer := sendFrame(opBinary, true, size), make([]byte, len(sendFrame(opBinary, false, size)))
					reportCPU := startSending(b)
					for b.Loop() {
						if _, err := far.Write(request); err != nil { // which a read of all of it follows
							b.Fatal(err)
						}
						if _, err := io.ReadFull(far, answer); err != nil {
							b.Fatal(err)
						}
					}
					reportCPU()
				})
			}
		}
	}
}
