//go:build go1.25

package websocket

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// socketPair returns both ends of a connection of the kernel.
func socketPair(t testing.TB, network, addr string) (server, client net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Close()
		client.Close()
	})
	return server, client
}

func tcpPair(t testing.TB) (server, client net.Conn) { return socketPair(t, "tcp", "127.0.0.1:0") }

func unixPair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ws") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return socketPair(t, "unix", filepath.Join(dir, "s"))
}

// wrappedConn hides the type of a connection of the kernel.
type wrappedConn struct{ net.Conn }

// eachTransport runs f on each kind of transport that is read in a way of its own.
func eachTransport(t *testing.T, f func(t *testing.T, near, far net.Conn)) {
	t.Run("tcp", func(t *testing.T) {
		near, far := tcpPair(t)
		f(t, near, far)
	})
	t.Run("unix", func(t *testing.T) {
		near, far := unixPair(t)
		f(t, near, far)
	})
	t.Run("wrapped", func(t *testing.T) {
		near, far := tcpPair(t)
		f(t, wrappedConn{near}, far)
	})
}

// frames returns n masked binary frames of size bytes each.
func frames(n, size int) []byte {
	var list []peerFrame
	for i := range n {
		list = append(list, peerFrame{true, opBinary, string(bytes.Repeat([]byte{byte(i)}, size))})
	}
	return peerFrames(true, list...)
}

// partialOf is what an interrupted read has left.
func partialOf(c *Conn) []byte { return c.message.keptBytes() }

// wantSmallBuffer checks that of what has come and was not delivered there is a buffer of at most sixteen times
// its size, and a kilobyte, or none.
func (c *Conn) wantSmallBuffer(t testing.TB) {
	t.Helper()
	if r := &c.recv; r.buf != nil && (len(r.b) == 0 || len(r.buf.b) > 16*len(r.b)+1<<10) {
		t.Errorf("got a buffer of %d bytes for %d", len(r.buf.b), len(r.b))
	}
}

// A burst of messages of every size comes out the same on every kind of transport, also where the network holds a
// part of it only, into new memory and into the program's, behind what is there. What has come with a message and is
// not of it is not lost, and not left in the program's memory.
func TestReadBurst(t *testing.T) {
	const n, prefix = 10, "before "
	sizes := []int{0, 1, 100, 125, 126, 133, 134, 1000, 2047, 2048, 4090, 4096, 5000, 65535, 65536, 200_000}
	sizes = sizes[:unlessRace(len(sizes), 13)]
	burst := func(t *testing.T, near, far net.Conn) {
		c := newConn(near, true, nil, connOptions{})
		p := []byte(prefix)
		for _, size := range sizes {
			go far.Write(frames(n, size))
			for i := range n {
				var got []byte
				var err error
				if i%3 == 0 {
					_, got, err = c.ReadMessage()
				} else {
					_, p, err = c.AppendMessage(p[:len(prefix)])
					got = bytes.Clone(bytes.TrimPrefix(p, []byte(prefix)))
					clear(p[len(prefix):cap(p)]) // it is the caller's
				}
				if err != nil || len(got) != size || bytes.Count(got, []byte{byte(i)}) != size {
					t.Fatalf("message %d of %d bytes: got %d bytes, %v, or other ones", i, size, len(got), err)
				}
			}
			if c.recv.buf != nil || len(c.recv.b) > 0 {
				t.Fatalf("after messages of %d bytes a buffer is still held", size)
			}
		}
	}
	eachTransport(t, burst)
	for _, size := range []int{1000, 5000, 1 << 20} {
		t.Run("memory "+strconv.Itoa(size), func(t *testing.T) {
			near, far := newPipe(t, size)
			burst(t, near, far)
		})
	}
}

// wantOpError checks that err is one of the network connection, and reads like a net.Conn's.
func wantOpError(t testing.TB, err error, op string, nc net.Conn, why string) {
	t.Helper()
	var e *net.OpError
	network := nc.LocalAddr().Network()
	if !errors.As(err, &e) || e.Op != op || e.Net != network ||
		!strings.HasPrefix(err.Error(), op+" "+network) || !strings.HasSuffix(err.Error(), ": "+why) {
		t.Errorf("got %v, want %s %s ...: %s", err, op, network, why)
	}
}

// Read errors look like those of a net.Conn.
func TestReadErrorsAreThoseOfTheNetwork(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c := newConn(near, true, nil, connOptions{})
		near.SetReadDeadline(time.Now().Add(-time.Second))
		_, _, err := c.ReadMessage()
		wantOpError(t, err, "read", near, "i/o timeout")
		wantTimeout(t, err)
		near.SetReadDeadline(time.Time{})
		far.Write(peerFrames(true, texts("after the timeout")...))
		wantRead(t, c, "after the timeout")

		near.Close()
		_, _, err = c.ReadMessage()
		if wantOpError(t, err, "read", near, net.ErrClosed.Error()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
	})
	t.Run("reset by the peer", func(t *testing.T) {
		near, far := tcpPair(t)
		c := newConn(near, true, nil, connOptions{})
		far.(*net.TCPConn).SetLinger(0)
		far.Close()
		_, _, err := c.ReadMessage()
		wantOpError(t, err, "read", near, "connection reset by peer")
	})
}

// A connection that ends within a record of TLS ends with the error of crypto/tls, which is no CloseError, as with
// gorilla/websocket; behind a record it is close 1006.
func TestEndOfFileOverTLS(t *testing.T) {
	for record, want := range map[string]error{"": errUnexpectedEOF, "\x17\x03": io.ErrUnexpectedEOF} {
		near, far := tcpPair(t)
		server, client := overTLS(t, near, far)
		c := newConn(client, false, nil, connOptions{})
		if _, err := server.NetConn().Write([]byte(record)); err != nil {
			t.Fatal(err)
		}
		server.NetConn().Close()
		for range 2 {
			if _, _, err := c.ReadMessage(); err != want {
				t.Errorf("%q before the end: got %v, want %v", record, err, want)
			}
		}
	}
}

type emptyTransport struct{ nullTransport }

func (emptyTransport) Read([]byte) (int, error) { return 0, nil }

// A transport that returns neither bytes nor an error cannot keep a read busy for ever.
func TestReadNoProgress(t *testing.T) {
	c := newConn(emptyTransport{}, true, nil, connOptions{})
	if _, _, err := c.ReadMessage(); err != io.ErrNoProgress {
		t.Errorf("got %v, want io.ErrNoProgress", err)
	}
}

// Memory is credited for what has come, up to the end of the frame.
func TestCredit(t *testing.T) {
	for _, tt := range []struct {
		name      string
		have      int // of the message, delivered
		came      int // behind that
		remaining int64
		more      bool // fragments follow
		want      int
	}{
		{"nothing has come", 0, 0, 1 << 40, false, 1 << 10},
		{"sixteen times", 0, 100, 1 << 40, false, 1600},
		{"sixteen times of both", 50, 50, 1 << 40, false, 1600},
		{"a buffer", 0, 10_000, 1 << 40, false, maxBufferSize},
		{"four times", 0, 100_000, 1 << 40, false, 400_000},
		{"less than all that remains", 1000, 0, 16_500, false, 16_000},
		{"all that remains", 1000, 0, 14_999, false, 15_999},
		{"bytes behind the frame", 10, 1000, 20, false, 30},
		{"more fragments follow", 1000, 0, 10, true, 2000},
		{"more fragments follow a large one", 1000, 0, 14_999, true, 15_999},
	} {
		r := recv{b: make([]byte, tt.came), remaining: tt.remaining, more: tt.more}
		if got := r.credit(tt.have); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Room is used up first, unless the rest of the frame can have its room at once.
func TestGrow(t *testing.T) {
	const before, have = 40, 10
	for _, tt := range []struct {
		name      string
		room      int
		remaining int64
		want      int // the capacity; before and have are a part of it
	}{
		{"room for all", 100, 100, before + have + 100},
		{"room for some, and no credit for all", 1, 1 << 40, before + have + 1},
		{"room for some, and just no credit for all", 1, 1751, before + have + 1},
		{"room for some, and credit for all", 1, 1750, before + have + 1750},
		{"no room", 0, 1 << 40, before + 1760},
	} {
		p := make([]byte, before+have, before+have+tt.room)
		copy(p, "whatever")
		r := recv{b: make([]byte, 100), remaining: tt.remaining}
		if got := r.grow(p, before); cap(got) != tt.want || !bytes.Equal(got, p) {
			t.Errorf("%s: got %q of %d bytes, want the same of %d", tt.name, got, cap(got), tt.want)
		}
	}
}

// A frame may announce as much as the limit says. What is compressed may have a quarter more, and a kilobyte.
func TestFrameLimit(t *testing.T) {
	for _, tt := range []struct {
		limit    int64
		deflated bool
		most     int64
	}{
		{1000, false, 1000},
		{1000, true, 2274},
		{1, false, 1},
		{1, true, 1025},
		{0, false, math.MaxInt64},
		{0, true, math.MaxInt64},
		{-1, true, math.MaxInt64},
		{math.MaxInt64, true, math.MaxInt64},
		{math.MaxInt64 / 2, true, math.MaxInt64/2 + math.MaxInt64/8 + 1024},
	} {
		wantBegin := func(length int64, want error) {
			r := recv{deflate: true}
			r.readLimit.Store(tt.limit)
			if err := r.begin(&header{opcode: opBinary, rsv1: tt.deflated, length: length}); err != want {
				t.Errorf("limit %d, compressed %v, %d bytes: got %v, want %v", tt.limit, tt.deflated, length, err, want)
			}
		}
		wantBegin(tt.most, nil)
		if tt.most < math.MaxInt64 {
			wantBegin(tt.most+1, ErrReadLimit)
		}
	}
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
	ping := func(payload string) []byte { return peerFrames(true, pingFrame(payload)) }
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

// A connection that waits to read straight into the program's memory holds no buffer that is empty.
func TestReadsDirectlyWithoutABuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := newTestConn(t, false)
		go c.AppendMessage(make([]byte, 0, 1<<20))
		far.Write((&header{fin: true, opcode: opBinary, length: 1 << 20}).append(nil))
		synctest.Wait()
		if !c.recv.direct(1 << 20) {
			t.Fatal("got a read into a buffer, want one into the program's memory")
		}
		c.wantSmallBuffer(t)
	})
}

// A byte that a descriptor brings alone is received like any other.
func TestReadByteByByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		near, far := tcpPair(t)
		c := newConn(near, server, nil, connOptions{})
		defer c.Close()
		for _, b := range peerFrames(server, textFrame("Hello")) {
			far.Write([]byte{b})
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, p, err := c.ReadMessage(); err == nil && string(p) == "Hello" {
				return
			} else if !isTimeout(err) {
				t.Fatalf("got %q, %v, want Hello or a timeout", p, err)
			}
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second)) // the last byte may have taken more than a millisecond
		wantRead(t, c, "Hello")
	})
}
