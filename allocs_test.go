//go:build go1.25

package websocket

import (
	"context"
	"io"
	"testing"
	"time"
)

// allocsConn is a connection and what its peer does, none of which allocates.
type allocsConn struct {
	c    *Conn
	send func(b []byte) // what the connection reads next
	recv func()         // takes what it has written
}

// eachAllocsConn runs f for both sides, in memory and over TCP.
func eachAllocsConn(t *testing.T, f func(t *testing.T, server bool, a allocsConn)) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	bothSides(t, func(t *testing.T, server bool) {
		t.Run("memory", func(t *testing.T) {
			m := &loopTransport{}
			f(t, server, allocsConn{
				c:    newConn(m, server, nil, connOptions{}),
				send: func(b []byte) { m.bytes, m.pos = b, 0 },
				recv: func() {},
			})
		})
		t.Run("tcp", func(t *testing.T) {
			near, far := tcpPair(t)
			b := make([]byte, 256<<10)
			f(t, server, allocsConn{
				c: newConn(near, server, nil, connOptions{}),
				send: func(b []byte) {
					if _, err := far.Write(b); err != nil {
						t.Fatal(err)
					}
				},
				recv: func() {
					if _, err := far.Read(b); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	})
}

func wantAllocs(t *testing.T, name string, want float64, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != want {
		t.Errorf("%s: got %v allocations, want %v", name, n, want)
	}
}

// Reading takes no memory but the message's own, and none where that is the caller's.
// NextReader makes a reader.
func TestReadingAllocates(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	eachAllocsConn(t, func(t *testing.T, server bool, a allocsConn) {
		for _, size := range []int{0, 16, 1000, 16 << 10} {
			frame := peerFrames(server, peerFrame{true, opBinary, string(make([]byte, size))})
			dst := make([]byte, 0, size+100)
			own := min(float64(size), 1) // an empty message takes no memory
			check := func(p []byte, err error) {
				if len(p) != size || err != nil {
					t.Fatalf("got %d bytes, %v, want %d", len(p), err, size)
				}
			}
			wantAllocs(t, "AppendMessage", 0, func() {
				a.send(frame)
				_, p, err := a.c.AppendMessage(dst)
				check(p, err)
			})
			wantAllocs(t, "ReadMessage", own, func() {
				a.send(frame)
				_, p, err := a.c.ReadMessage()
				check(p, err)
				if cap(p) != size {
					t.Fatalf("got memory of %d bytes, want %d", cap(p), size)
				}
			})
			wantAllocs(t, "ReadMessageContext", own, func() {
				a.send(frame)
				_, p, err := a.c.ReadMessageContext(ctx)
				check(p, err)
			})
			wantAllocs(t, "NextReader", 1, func() {
				a.send(frame)
				_, r, err := a.c.NextReader()
				n := 0
				for err == nil {
					var m int
					m, err = r.Read(dst[n:cap(dst)])
					n += m
				}
				if err != io.EOF {
					t.Fatal(err)
				}
				check(dst[:n], nil)
			})
			deadline := time.Now().Add(time.Hour)
			wantAllocs(t, "with a deadline", 0, func() {
				deadline = deadline.Add(1)
				a.c.SetReadDeadline(deadline)
				a.send(frame)
				_, p, err := a.c.AppendMessage(dst)
				check(p, err)
			})
		}
	})
}

// Writing takes no memory. NextWriter makes a writer.
func TestWritingAllocates(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	eachAllocsConn(t, func(t *testing.T, server bool, a allocsConn) {
		deadline := time.Now().Add(time.Hour)
		for _, size := range []int{0, 16, 1000, 16 << 10} {
			data := make([]byte, size)
			pm := bhPrepare(t, BinaryMessage, string(data))
			for name, write := range map[string]func() error{
				"WriteMessage":         func() error { return a.c.WriteMessage(BinaryMessage, data) },
				"WriteMessageContext":  func() error { return a.c.WriteMessageContext(ctx, BinaryMessage, data) },
				"WritePreparedMessage": func() error { return a.c.WritePreparedMessage(pm) },
				"WriteControl":         func() error { return a.c.WriteControl(PingMessage, data[:min(size, 125)], deadline) },
				"with a deadline": func() error {
					deadline = deadline.Add(1)
					a.c.SetWriteDeadline(deadline)
					return a.c.WriteMessage(BinaryMessage, data)
				},
				"NextWriter": func() error {
					w, err := a.c.NextWriter(BinaryMessage)
					if err != nil {
						return err
					}
					if _, err := w.Write(data); err != nil {
						return err
					}
					return w.Close()
				},
				"Cork": func() error {
					a.c.Cork()
					if err := a.c.WriteMessage(BinaryMessage, data); err != nil {
						return err
					}
					return a.c.Flush()
				},
			} {
				want := 0.0
				if name == "NextWriter" {
					want = 1
				}
				wantAllocs(t, name, want, func() {
					if err := write(); err != nil {
						t.Fatal(err)
					}
					a.recv()
				})
			}
		}
	})
}

// Answering takes no memory: pings, and messages that have come at once.
func TestAnsweringAllocates(t *testing.T) {
	eachAllocsConn(t, func(t *testing.T, server bool, a allocsConn) {
		came := peerFrames(server,
			peerFrame{true, opPing, "p"}, peerFrame{true, opPong, "q"}, peerFrame{true, opText, "a"},
			peerFrame{true, opPing, "r"}, peerFrame{true, opText, "b"})
		dst := make([]byte, 0, 100)
		wantAllocs(t, "echo", 0, func() {
			a.send(came)
			for range 2 {
				messageType, p, err := a.c.AppendMessage(dst)
				if err == nil {
					err = a.c.WriteMessage(messageType, p)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			a.recv()
		})
	})
}
