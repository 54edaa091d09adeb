//go:build go1.25

package websocket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// heldBytes returns the bytes that live on the heap.
func heldBytes() int {
	runtime.GC()
	runtime.GC() // pools forget what they had before
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// waitConn calls waits before each Read behind which nothing has come yet.
type waitConn struct {
	net.Conn
	got   int
	marks [2]int // what has come when the test looks
	waits func()
}

func (c *waitConn) Read(p []byte) (int, error) {
	if slices.Contains(c.marks[:], c.got) {
		c.waits()
	}
	n, err := c.Conn.Read(p)
	c.got += n
	return n, err
}

// tlsWaitConn is a waitConn that passes for one of crypto/tls.
type tlsWaitConn struct{ *waitConn }

func (c tlsWaitConn) ConnectionState() (s tls.ConnectionState) { return s }

// What a connection holds is at most sixteen times what has come and was not delivered, and a kilobyte:
// while it waits in the middle of a message, and while the program's code runs between two reads. In the
// middle of a compressed one it also holds an inflater, the message so far and, without takeover, a window.
func TestMemoryFollowsWhatHasCome(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory")
	}
	const many, some, head = 1000, 200, 14
	message := frames(1, 64<<10)
	small := frames(1, 100)
	text := textLike(64<<10, 1)
	d := acquireDeflater(defaultCompressionLevel, maxWindowBits)
	compressed := closingFrame(true, "\xc1"+string(deflate(d, text)))
	releaseDeflater(d)
	readPieces := func(c *Conn) {
		_, r, _ := c.NextReader()
		for p := make([]byte, 512); r != nil; {
			if _, err := r.Read(p); err != nil {
				return
			}
		}
	}
	plain, own, takeover := (*CompressionOptions)(nil), &CompressionOptions{}, &CompressionOptions{ContextTakeover: true}
	for _, kind := range []string{"a descriptor", "a wrapper", "TLS"} {
		for _, tt := range []struct {
			name        string
			conns       int
			wire        []byte
			read        func(c *Conn) // of what comes
			most        int           // bytes that are held while the program waits or runs
			compression *CompressionOptions
		}{
			{"a header", some, message[:head], func(c *Conn) { c.ReadMessage() }, 1 << 10, plain},
			{"ReadMessage, 100 bytes", some, message[:head+100], func(c *Conn) { c.ReadMessage() }, 16*100 + 1<<10, plain},
			{"ReadMessage, 1,000 bytes", some, message[:head+1000], func(c *Conn) { c.ReadMessage() }, 16*1000 + 1<<10, plain},
			{"ReadMessage, 60,000 bytes", many, message[:head+60000], func(c *Conn) { c.ReadMessage() }, 16*60000 + 1<<10, plain},
			{"NextReader", some, message[:head+60000], func(c *Conn) {
				_, r, _ := c.NextReader()
				io.CopyN(io.Discard, r, 60000)
				r.Read(make([]byte, 1))
			}, 1 << 10, plain},
			{"a program that has a message", many, small, func(c *Conn) { c.AppendMessage(nil) }, 16*100 + 1<<10, plain},
			{"a program that has a message of a burst", some, bytes.Repeat(small, 20), func(c *Conn) { c.AppendMessage(nil) }, 16*20*len(small) + 1<<10, plain},
			{"a program that has the beginning of a message", some, message, func(c *Conn) { c.NextReader() }, 16*len(message) + 1<<10, plain},
			{"a compressed message", some, compressed[:100], func(c *Conn) { c.ReadMessage() }, 10 << 10, own},
			{"with takeover", some, compressed[:100], func(c *Conn) { c.ReadMessage() }, 10 << 10, takeover},
			{"pieces of a compressed message", some, compressed[:10000], readPieces, 40 << 10, own},
			{"pieces of one with takeover", some, compressed[:10000], readPieces, 10 << 10, takeover},
		} {
			t.Run(kind+", "+tt.name, func(t *testing.T) {
				if kind != "a descriptor" {
					tt.conns = 100 // these take longer
				}
				first, o := small, connOptions{}
				if tt.compression != nil {
					answer := negotiate(t, *tt.compression, *tt.compression)
					first, o = compressed, connOptions{agreed: agreement{deflate: &answer}, compression: *tt.compression}
				}
				var idle atomic.Int32 // connections that wait, or whose program runs
				ended := make(chan struct{})
				defer close(ended)
				all, fars := make([]*Conn, tt.conns), make([]io.Writer, tt.conns)
				for i := range all {
					near, far := tcpPair(t)
					waits := func() { idle.Add(1) }
					wrapped := &waitConn{near, 0, [2]int{len(first), len(first) + len(tt.wire)}, waits}
					switch kind {
					case "a wrapper":
						near = wrapped
					case "TLS":
						near = tlsWaitConn{wrapped}
					}
					c := newConn(near, true, nil, o)
					descriptor := &c.send.link.descriptor
					if descriptor.conn == nil && kind == "a descriptor" {
						t.Skip("descriptors are not read here")
					}
					all[i], fars[i] = c, far
					far.Write(first)
					c.AppendMessage(nil) // whatever is made once is there
					read := descriptor.read
					descriptor.read = func(fd uintptr) bool {
						done := read(fd)
						if !done {
							waits()
						}
						return done
					}
					go func() {
						tt.read(c)
						idle.Add(1)
						<-ended
					}()
				}
				wait := func(n int32) {
					for start := time.Now(); idle.Load() < n; time.Sleep(100 * time.Microsecond) {
						if time.Since(start) > patience {
							t.Fatalf("got %d reads that wait, want %d", idle.Load(), n)
						}
					}
				}
				wait(int32(tt.conns))
				before := heldBytes()
				for _, far := range fars {
					far.Write(tt.wire)
				}
				wait(2 * int32(tt.conns))
				if got := (heldBytes() - before) / tt.conns; got > tt.most {
					t.Errorf("got %d bytes for a connection, want at most %d", got, tt.most)
				}
				runtime.KeepAlive(all)
			})
		}
	}
}

// A read that is interrupted again and again takes memory for the message once.
func TestInterruptedReadsTakeNoMemory(t *testing.T) {
	const came, size = 8 << 20, 9 << 20
	for name, read := range map[string]func(c *Conn, dst []byte) ([]byte, error){
		"ReadMessage":   func(c *Conn, _ []byte) ([]byte, error) { _, p, err := c.ReadMessage(); return p, err },
		"AppendMessage": func(c *Conn, dst []byte) ([]byte, error) { _, p, err := c.AppendMessage(dst); return p, err },
		"ReadJSON":      func(c *Conn, _ []byte) ([]byte, error) { var v any; return nil, c.ReadJSON(&v) },
	} {
		bothSides(t, func(t *testing.T, server bool) {
			near, far := newPipe(t, size+1000)
			c := newConn(near, server, nil, connOptions{})
			wire := peerFrames(server, peerFrame{true, opText, string(bytes.Repeat([]byte("1"), size))})
			far.Write(wire[:came])
			dst := make([]byte, 0, size)
			poll := func() {
				near.SetReadDeadline(time.Now().Add(time.Millisecond / 2))
				if _, err := read(c, dst); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("%s: got %v, want a timeout", name, err)
				}
			}
			for len(c.message.bytes()) < came-100 { // the first ones, which find it
				poll()
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 50 {
				poll()
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("%s: got %d bytes for 50 calls, want none for the message", name, n)
			}
			near.SetReadDeadline(time.Time{})
			far.Write(wire[came:])
			if p, err := read(c, dst); name != "ReadJSON" && (err != nil || len(p) != size) {
				t.Errorf("%s: got %d bytes, %v, want all %d", name, len(p), err, size)
			}
		})
	}
}
