//go:build go1.25

package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// readFrames waits until the peer has n frames, and returns what it has, unmasked. In a bubble it
// returns those that are on their way, too.
func readFrames(t testing.TB, peer *pipeConn, n int) (frames []string) {
	t.Helper()
	b := peer.takeFrames(n)
	if inBubble() {
		synctest.Wait()
		b = append(b, peer.take()...)
	}
	for len(b) > 0 {
		h, n, err := parseHeader(b)
		if err != nil || n == 0 || int(h.length) > len(b)-n {
			t.Fatalf("not a whole frame: % x, %v", b, err)
		}
		payload := b[n : n+int(h.length)]
		if h.masked {
			maskEach(payload, h.key, 0)
		}
		frames = append(frames, fmt.Sprintf("fin=%v op=%d masked=%v %q", h.fin, h.opcode, h.masked, payload))
		b = b[n+int(h.length):]
	}
	return frames
}

// wantFrames checks the frames that the peer has got since they were looked at last. It waits for
// as many as are wanted; where there may be more, outside a bubble, wantNothingSent must follow.
func wantFrames(t testing.TB, peer *pipeConn, want ...string) {
	t.Helper()
	got := readFrames(t, peer, len(want))
	if slices.Equal(got, want) {
		return
	}
	for _, list := range [][]string{got, want} {
		for i, s := range list {
			list[i] = s[:min(len(s), 200)]
		}
	}
	t.Errorf("got frames\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
}

// A message of WriteMessage is one frame of any size; a client's is masked, and the
// caller's data stays as it is.
func TestWriteMessageIsOneFrame(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		for _, size := range []int{0, 1, 125, 126, 4081, 4082, 4083, 4096, 65521, 65522, 65535, 65536, 65537, 200000} {
			data := bytes.Repeat([]byte("abc"), size/3+1)[:size]
			before := bytes.Clone(data)
			if err := c.WriteMessage(BinaryMessage, data); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(data, before) {
				t.Fatalf("%d bytes: the caller's data was changed", size)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=2 masked=%v %q", !server, data))
		}
	})
}

// A large message leaves a TCP connection in one system call, and any other in as few writes as can be.
func TestWritesPerMessage(t *testing.T) {
	for _, tt := range []struct {
		size           int
		server, client int
	}{{0, 1, 1}, {4092, 1, 1}, {4093, 1, 1}, {60000, 2, 1}, {200000, 2, 4}} {
		bothSides(t, func(t *testing.T, server bool) {
			c, wire := newTestConn(t, server)
			c.WriteMessage(BinaryMessage, make([]byte, tt.size))
			want := tt.client
			if server {
				want = tt.server
			}
			if got := wire.in.writes; got != want {
				t.Errorf("%d bytes: got %d writes, want %d", tt.size, got, want)
			}
		})
	}
}

func TestWriteLargeOverTCP(t *testing.T) {
	near, far := tcpPair(t)
	server, client := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
	for _, size := range []int{4083, 100000, 5 << 20} {
		data := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		for _, pair := range [][2]*Conn{{server, client}, {client, server}} {
			go pair[0].WriteMessage(BinaryMessage, data)
			if _, p, err := pair[1].ReadMessage(); !bytes.Equal(p, data) || err != nil {
				t.Fatalf("%d bytes: got %d, %v, or other bytes", size, len(p), err)
			}
		}
	}
}

func TestWriteBadTypes(t *testing.T) {
	c, wire := newTestConn(t, true)
	for _, mt := range []int{-1, 0, 3, 7, 11, 257} {
		_, err := c.NextWriter(mt)
		for name, err := range map[string]error{
			"WriteMessage": c.WriteMessage(mt, nil),
			"WriteControl": c.WriteControl(mt, nil, time.Time{}),
			"NextWriter":   err,
		} {
			if err != errBadMessageType || err.Error() != "websocket: bad write message type" {
				t.Errorf("%s(%d): got %v, want bad write message type", name, mt, err)
			}
		}
	}
	if err := c.WriteControl(TextMessage, nil, time.Time{}); err != errBadMessageType {
		t.Errorf("WriteControl(text): got %v, want bad write message type", err)
	}
	wantFrames(t, wire)
}

// RFC 6455, 5.5: at most 125 bytes.
func TestWriteControl(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		long := make([]byte, 126)
		for name, err := range map[string]error{
			"WriteControl": c.WriteControl(PingMessage, long, time.Time{}),
			"WriteMessage": c.WriteMessage(PongMessage, long),
		} {
			if err != errInvalidControlFrame || err.Error() != "websocket: invalid control frame" {
				t.Errorf("%s: got %v, want invalid control frame", name, err)
			}
		}
		c.WriteControl(PingMessage, []byte("a"), time.Now().Add(time.Minute))
		c.WriteMessage(PongMessage, long[:125])
		c.WriteMessage(CloseMessage, nil)
		wantFrames(t, wire,
			fmt.Sprintf("fin=true op=9 masked=%v %q", !server, "a"),
			fmt.Sprintf("fin=true op=10 masked=%v %q", !server, long[:125]),
			fmt.Sprintf("fin=true op=8 masked=%v %q", !server, ""))
	})
}

// Past its deadline WriteControl sends nothing, and the connection stays good.
func TestWriteControlTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		if err := c.WriteControl(PingMessage, nil, time.Now()); err != errWriteTimeout {
			t.Errorf("past deadline: got %v, want write timeout", err)
		}
		c.send.lock.acquire(lockFrame, nil, &limit{}) // somebody is writing
		start := time.Now()
		if err := c.WriteControl(PingMessage, nil, start.Add(time.Second)); err != errWriteTimeout {
			t.Errorf("the lock is held: got %v, want write timeout", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("got a wait of %v, want 1s", d)
		}
		c.send.unlock()
		if err := c.WriteControl(PingMessage, nil, time.Now().Add(time.Second)); err != nil {
			t.Errorf("later: got %v, want nil", err)
		}
		wantFrames(t, wire, `fin=true op=9 masked=false ""`)
	})
}

func TestNextWriter(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("one "))
		io.WriteString(w, "two ")
		if n, err := w.(io.ReaderFrom).ReadFrom(iotest.OneByteReader(strings.NewReader("three"))); n != 5 || err != nil {
			t.Errorf("ReadFrom: got %d, %v, want 5, nil", n, err)
		}
		wantFrames(t, wire) // nothing before the buffer is full
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		wantFrames(t, wire, fmt.Sprintf("fin=true op=1 masked=%v %q", !server, "one two three"))
		for name, err := range map[string]error{
			"Write":       second(w.Write([]byte("x"))),
			"large Write": second(w.Write(make([]byte, 10000))),
			"WriteString": second(io.WriteString(w, "x")),
			"Close":       w.Close(),
		} {
			if err != errWriteClosed || err.Error() != "websocket: write closed" {
				t.Errorf("%s: got %v, want write closed", name, err)
			}
		}
		if _, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")); err != errWriteClosed {
			t.Errorf("ReadFrom: got %v, want write closed", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Whatever the sizes of the writes, the fragments add up to the message.
func TestNextWriterFragments(t *testing.T) {
	server, client := newConnPair(t)
	for _, sizes := range [][]int{{}, {0}, {4081}, {4082}, {4083}, {4096}, {1, 4096}, {10000, 1}, {5, 5000, 5, 5000}, {4000, 4000, 4000}, {65536}} {
		var want []byte
		for _, pair := range [][2]*Conn{{server, client}, {client, server}} {
			w, err := pair[0].NextWriter(BinaryMessage)
			if err != nil {
				t.Fatal(err)
			}
			want = nil
			for i, size := range sizes {
				p := bytes.Repeat([]byte{byte('a' + i)}, size)
				want = append(want, p...)
				if n, err := w.Write(p); n != size || err != nil {
					t.Fatalf("got %d, %v, want %d, nil", n, err, size)
				}
				for j := range p {
					if p[j] != byte('a'+i) {
						t.Fatal("the caller's data was changed")
					}
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if mt, p, err := pair[1].ReadMessage(); mt != BinaryMessage || !bytes.Equal(p, want) || err != nil {
				t.Errorf("%v: got %d, %d bytes, %v, want %d bytes", sizes, mt, len(p), err, len(want))
			}
		}
	}
}

// A full buffer is kept until there is more, so that no empty frame follows.
func TestNextWriterFullBuffer(t *testing.T) {
	c, wire := newTestConn(t, true)
	w, _ := c.NextWriter(BinaryMessage)
	full := make([]byte, defaultBufferSize-maxHeaderSize)
	if n, err := w.Write(full); n != len(full) || err != nil {
		t.Fatalf("got %d, %v, want %d, nil", n, err, len(full))
	}
	w.Close()
	wantFrames(t, wire, fmt.Sprintf("fin=true op=2 masked=false %q", full))
}

// A Write that failed has written nothing.
func TestMessageWriterCountsNothingOfAFailedWrite(t *testing.T) {
	c, wire := newTestConn(t, true)
	w, _ := c.NextWriter(BinaryMessage)
	wire.Close()
	if n, err := w.Write(make([]byte, 100_000)); n != 0 || err == nil {
		t.Errorf("got %d, %v, want 0 and the error", n, err)
	}
}

// The WriteBufferSize is that of the fragments.
func TestWriteBufferSize(t *testing.T) {
	for _, tt := range []struct{ size, want int }{{0, 4096}, {1024, 4096}, {5000, 8192}, {1 << 20, 65536}} {
		a, wire := newPipe(t, 1<<20)
		c := newConn(a, true, nil, connOptions{writeBufferSize: tt.size})
		w, _ := c.NextWriter(TextMessage)
		for range 70000 {
			w.Write([]byte("x"))
		}
		h, n, _ := parseHeader(wire.take())
		if got := int(h.length) + maxHeaderSize; got != tt.want || h.fin {
			t.Errorf("%d: got a first fragment of %d bytes with %d of header, want %d in all", tt.size, h.length, n, tt.want)
		}
	}
}

// NextWriter finishes a message writer that was forgotten open.
func TestNextWriterFinishesTheOneBefore(t *testing.T) {
	c, wire := newTestConn(t, true)
	w1, _ := c.NextWriter(TextMessage)
	io.WriteString(w1, "forgotten")
	w2, err := c.NextWriter(TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w1, "x"); err != errWriteClosed {
		t.Errorf("old writer: got %v, want write closed", err)
	}
	io.WriteString(w2, "second")
	w2.Close()
	wantFrames(t, wire, `fin=true op=1 masked=false "forgotten"`, `fin=true op=1 masked=false "second"`)
}

// Control messages can be written with NextWriter, up to 125 bytes.
func TestNextWriterControl(t *testing.T) {
	c, wire := newTestConn(t, true)
	w, err := c.NextWriter(PingMessage)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, 100))
	w.Write(make([]byte, 25))
	if err := w.Close(); err != nil {
		t.Errorf("125 bytes: got %v, want nil", err)
	}
	wantFrames(t, wire, fmt.Sprintf("fin=true op=9 masked=false %q", make([]byte, 125)))

	w, _ = c.NextWriter(PongMessage)
	w.Write(make([]byte, 126))
	if err := w.Close(); err != errInvalidControlFrame {
		t.Errorf("126 bytes: got %v, want invalid control frame", err)
	}
	w, _ = c.NextWriter(PongMessage)
	if n, err := w.Write(make([]byte, 5000)); err != errInvalidControlFrame {
		t.Errorf("5000 bytes: got %d, %v, want invalid control frame", n, err)
	}
	wantFrames(t, wire)
	if err := c.WriteMessage(TextMessage, []byte("good")); err != nil {
		t.Errorf("got %v, want a good connection", err)
	}
}

// Control frames pass between the fragments of a message; data messages wait for its end.
func TestOpenMessageWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		w, _ := c.NextWriter(BinaryMessage)
		w.Write(make([]byte, 10_000))
		take := func() int { return len(readFrames(t, wire, 1)) }
		if n := take(); n != 1 {
			t.Fatalf("got %d frames, want the first fragment", n)
		}
		if err := c.WriteControl(PingMessage, []byte("now"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantFrames(t, wire, `fin=true op=9 masked=false "now"`)
		done := make(chan error)
		go func() { done <- c.WriteMessage(TextMessage, []byte("later")) }()
		synctest.Wait()
		wantFrames(t, wire)
		io.WriteString(w, "end")
		w.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantFrames(t, wire, `fin=true op=0 masked=false "end"`, `fin=true op=1 masked=false "later"`)

		// The wait is bounded by the write deadline, and then nothing has happened.
		w, _ = c.NextWriter(BinaryMessage)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		if err := c.WriteMessage(TextMessage, nil); err != errWriteTimeout {
			t.Errorf("got %v, want write timeout", err)
		}
		c.SetWriteDeadline(time.Time{})
		if err := w.Close(); err != nil {
			t.Errorf("got %v, want a good connection", err)
		}
	})
}

// A write that timed out on the network stays: a part of the frame may have left.
func TestWriteTimeoutOnTheNetworkStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 100)
		c := newConn(a, true, nil, connOptions{})
		c.SetWriteDeadline(time.Now().Add(time.Second))
		err := c.WriteMessage(BinaryMessage, make([]byte, 1000))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a timeout", err)
		}
		c.SetWriteDeadline(time.Time{})
		wire.take()
		for range 2 {
			if again := c.WriteMessage(TextMessage, nil); again != err {
				t.Errorf("got %v, want the same error", again)
			}
		}
		if again := c.WriteControl(PingMessage, nil, time.Time{}); again != err {
			t.Errorf("got %v, want the same error", again)
		}
		if _, again := c.NextWriter(TextMessage); again != err {
			t.Errorf("got %v, want the same error", again)
		}
		wantFrames(t, wire)
	})
}

// A message writer that failed keeps its error, and gives the connection's turn back.
func TestMessageWriterKeepsItsError(t *testing.T) {
	a, wire := newPipe(t, 1<<20)
	c := newConn(a, true, nil, connOptions{})
	w, _ := c.NextWriter(TextMessage)
	wire.Close()
	n, err := w.Write(make([]byte, 10000))
	if err != io.ErrClosedPipe {
		t.Fatalf("got %d, %v, want the network's error", n, err)
	}
	if err := w.Close(); err != io.ErrClosedPipe {
		t.Errorf("Close: got %v, want the same", err)
	}
	if err := c.WriteMessage(TextMessage, nil); err != io.ErrClosedPipe {
		t.Errorf("WriteMessage: got %v, want the same", err)
	}
}

// ReadFrom returns the reader's error, and the message can go on.
func TestReadFromErrors(t *testing.T) {
	c, wire := newTestConn(t, true)
	w, _ := c.NextWriter(TextMessage)
	mine := errors.New("mine")
	r := io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(mine))
	if n, err := w.(io.ReaderFrom).ReadFrom(r); n != 3 || err != mine {
		t.Errorf("got %d, %v, want 3 and the reader's error", n, err)
	}
	if _, err := w.(io.ReaderFrom).ReadFrom(emptyTransport{}); err != io.ErrNoProgress {
		t.Errorf("got %v, want io.ErrNoProgress", err)
	}
	io.WriteString(w, "def")
	w.Close()
	wantFrames(t, wire, `fin=true op=1 masked=false "abcdef"`)
}

func TestWritingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for _, server := range []bool{true, false} {
		c := newConn(nullTransport{}, server, nil, connOptions{})
		for _, size := range []int{16, 1000, 100_000} {
			data := make([]byte, size)
			if n := testing.AllocsPerRun(200, func() { c.WriteMessage(BinaryMessage, data) }); n >= 1 {
				t.Errorf("server=%v: WriteMessage of %d bytes: got %v allocations, want 0", server, size, n)
			}
		}
		payload := []byte("x")
		if n := testing.AllocsPerRun(200, func() { c.WriteControl(PingMessage, payload, time.Time{}) }); n >= 1 {
			t.Errorf("server=%v: WriteControl: got %v allocations, want 0", server, n)
		}
	}
}

// nullTransport takes whatever is written, and has no use for deadlines.
type nullTransport struct{ transport }

func (nullTransport) Write(p []byte) (int, error)      { return len(p), nil }
func (nullTransport) SetReadDeadline(time.Time) error  { return nil }
func (nullTransport) SetWriteDeadline(time.Time) error { return nil }
