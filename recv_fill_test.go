//go:build go1.25

package websocket

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Messages of mixed sizes, whole and in fragments, several at once and with pings between, are
// read into one slice of the caller, behind what it has already. What came with a message
// and is not of it is not lost, and not left in that slice.
func TestAppendMessageIntoTheSameMemory(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		readIntoTheSameMemory(t, 20, func(t *testing.T) (near, far net.Conn) { return tcpPair(t) })
	})
	for _, size := range []int{1000, 5000, 1 << 20} { // of what lies in the network
		t.Run("memory "+strconv.Itoa(size), func(t *testing.T) {
			readIntoTheSameMemory(t, 2, func(t *testing.T) (near, far net.Conn) { return newPipe(t, size) })
		})
	}
}

func readIntoTheSameMemory(t *testing.T, rounds int, pair func(*testing.T) (near, far net.Conn)) {
	bothSides(t, func(t *testing.T, server bool) {
		near, far := pair(t)
		c := newConn(near, server, nil, connOptions{})
		peer := newConn(far, !server, nil, connOptions{})
		random := rand.New(rand.NewPCG(1, 2))
		sizes := []int{16 << 10, 16 << 10, 20_000, 64 << 10, 64 << 10, 1, 100, 200_000, 5000, 0, 9000, 16 << 10, 30_000}
		var messages [][]byte
		for range rounds {
			for _, size := range sizes {
				message := make([]byte, size+random.IntN(100))
				for i := range message {
					message[i] = byte(random.Uint32())
				}
				messages = append(messages, message)
			}
		}
		go func() {
			for i, message := range messages {
				if i%5 == 0 {
					peer.Cork()
				}
				switch i % 3 {
				case 0:
					peer.WriteMessage(BinaryMessage, message)
				case 1:
					largeSend(t, peer, BinaryMessage, message, 1+len(message)/3)
				case 2:
					peer.WriteControl(PingMessage, []byte("between"), time.Time{})
					peer.WriteMessage(BinaryMessage, message)
				}
				if i%5 == 4 {
					peer.Flush()
				}
			}
			peer.Flush()
		}()
		prefix := []byte("before ")
		p := append([]byte(nil), prefix...)
		for i, message := range messages {
			var err error
			if i%7 == 0 { // interrupted somewhere, unless all of it is there
				c.SetReadDeadline(aLongTimeAgo)
				_, p, err = c.AppendMessage(p[:len(prefix)])
				c.SetReadDeadline(time.Time{})
			}
			if i%7 != 0 || errors.Is(err, os.ErrDeadlineExceeded) && len(p) == len(prefix) {
				_, p, err = c.AppendMessage(p[:len(prefix)])
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(p, prefix) || !bytes.Equal(p[len(prefix):], message) {
				t.Fatalf("message %d of %d bytes: got %d others behind %q", i, len(message), len(p)-len(prefix), p[:len(prefix)])
			}
			clear(p[len(prefix):cap(p)]) // it is the caller's
		}
	})
}

// countedReads is a wrapper of a network connection that counts the reads.
type countedReads struct {
	net.Conn
	n int
}

func (c *countedReads) Read(p []byte) (int, error) {
	c.n++
	return c.Conn.Read(p)
}

// One read of a wrapper brings a message of a kilobyte, and small ones that come together.
func TestReadsOfAWrapper(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	wrapper := &countedReads{Conn: near}
	c := newConn(wrapper, true, nil, connOptions{})
	ping := func(payload string) []byte { return peerFrames(true, peerFrame{true, opPing, payload}) }
	for _, tt := range []struct {
		name  string
		wire  []byte
		sizes []int
		reads int
	}{
		{"one message", frames(1, 1024), []int{1024}, 1},
		{"a large one", frames(1, 16<<10), []int{16 << 10}, 2},
		{"a burst", frames(16, 50), slices.Repeat([]int{50}, 16), 1},
		{"a large burst", frames(160, 50), slices.Repeat([]int{50}, 160), 2},
		{"a ping before it", append(ping("p"), frames(1, 1000)...), []int{1000}, 1},
		{"pings before it", append(bytes.Repeat(ping(strings.Repeat("p", 122)), 32), frames(1, 50)...), []int{50}, 2},
	} {
		wrapper.n = 0
		far.Write(tt.wire)
		for _, size := range tt.sizes {
			_, p, err := c.AppendMessage(nil)
			if err != nil || len(p) != size {
				t.Fatalf("%s: got %d bytes, %v, want %d", tt.name, len(p), err, size)
			}
		}
		if wrapper.n != tt.reads {
			t.Errorf("%s: got %d reads, want %d", tt.name, wrapper.n, tt.reads)
		}
		if r := &c.recv; r.buf != nil || len(r.b) > 0 {
			t.Errorf("%s: got memory for what has been read", tt.name)
		}
	}
}

// Invariant: while a connection waits for data it holds no buffer but for what has come of a header
// or of a control frame.
func TestWaitingHoldsNoBuffer(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c := newConn(near, true, nil, connOptions{})
		for _, sent := range []string{"", "82", "fe 1000 01", "020304", "05"} {
			far.Write(unhex(t, sent))
			near.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, _, err := c.ReadMessage(); !isTimeout(err) {
				t.Fatalf("got %v, want a timeout", err)
			}
			if r := &c.recv; r.buf != nil && (len(r.b) == 0 || len(r.buf.b) > 16*len(r.b)+1<<10) {
				t.Errorf("after % q: got a buffer of %d bytes for %d", sent, len(r.buf.b), len(r.b))
			}
		}
	})
}

// A transport that returns neither bytes nor an error cannot keep a read busy for ever.
func TestReadNoProgress(t *testing.T) {
	c := newConn(emptyTransport{}, true, nil, connOptions{})
	if _, _, err := c.ReadMessage(); err != io.ErrNoProgress {
		t.Errorf("got %v, want io.ErrNoProgress", err)
	}
}

// However what comes over TLS is cut into records, nothing of it is lost.
func TestRecordsOfTLS(t *testing.T) {
	serverConfig, clientConfig := tlsConfigs()
	ping := strings.Repeat("p", maxControlPayload)
	wire := peerFrames(true, peerFrame{true, opPing, ping}, peerFrame{true, opText, strings.Repeat("t", 100)}, peerFrame{true, opBinary, "b"})
	for cut := 1; cut < len(wire); cut++ {
		a, b := newPipe(t, 1<<20)
		near, far := tlsPair(t, a, b, serverConfig, clientConfig)
		c := newConn(near, true, nil, connOptions{})
		var pinged string
		c.SetPingHandler(func(data string) error { pinged = data; return nil })
		go func() {
			far.Write(wire[:cut])
			far.Write(wire[cut:])
		}()
		for _, want := range []int{100, 1} {
			if _, p, err := c.ReadMessage(); len(p) != want || err != nil {
				t.Fatalf("cut at %d: got %d bytes, %v, want %d", cut, len(p), err, want)
			}
		}
		if pinged != ping {
			t.Fatalf("cut at %d: got a ping of %d bytes, want %d", cut, len(pinged), len(ping))
		}
		if c.recv.buf != nil {
			t.Errorf("cut at %d: got a buffer though all has been read", cut)
		}
	}
}

// A connection that waits to read straight into the program's memory holds no buffer that is empty.
func TestReadsDirectlyWithoutABuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 1<<20)
		c := newConn(wrappedConn{near}, false, nil, connOptions{})
		defer c.Close()
		large := header{opcode: opBinary, length: 2000}
		small := header{opcode: opContinuation, length: 120}
		first := append(large.append(nil), make([]byte, classSize(bufferClass(1<<10))-4)...) // fills a kilobyte
		rest := make([]byte, 2000-len(first)+4)
		last := header{opcode: opContinuation, fin: true, length: 1 << 20}
		size := classSize(bufferClass(32<<10)) - len(last.append(nil)) // fills 32 KiB
		for len(rest)+2*122 <= size {
			rest = append(small.append(rest), make([]byte, small.length)...)
		}
		small.length = int64(size-len(rest)-2) / 2
		rest = append(small.append(rest), make([]byte, small.length)...)
		small.length = int64(size - len(rest) - 2)
		rest = append(small.append(rest), make([]byte, small.length)...)
		go c.ReadMessage()
		far.Write(first)
		time.Sleep(time.Second)
		far.Write(last.append(rest))
		synctest.Wait()
		if c.recv.remaining != last.length {
			t.Fatalf("got %d bytes that remain, want that it waits for all %d of the last frame", c.recv.remaining, last.length)
		}
		if c.recv.buf != nil && len(c.recv.b) == 0 {
			t.Errorf("got a buffer of %d bytes with nothing in it", len(c.recv.buf.b))
		}
	})
}

// What came with the handshake is not held once it has been read.
func TestEarlyBytesAreGivenUp(t *testing.T) {
	near, _ := newPipe(t, 1000)
	c := newConn(near, true, peerFrames(true, texts("a", "b")...), connOptions{})
	for range 2 {
		c.ReadMessage()
	}
	if c.recv.b != nil {
		t.Errorf("got a slice of %d bytes held, want none", cap(c.recv.b))
	}
}
