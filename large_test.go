package websocket

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"
)

// largeTransport is one end of a pair in memory. What its peer has written is there
// to be read at once, in chunks; nobody waits.
type largeTransport struct {
	in    []byte
	chunk int // the most that a Read returns, where it is not 0
	peer  *largeTransport
}

func (l *largeTransport) Read(p []byte) (n int, err error) {
	if len(l.in) == 0 {
		return 0, io.EOF
	}
	if l.chunk > 0 && len(p) > l.chunk {
		p = p[:l.chunk]
	}
	n = copy(p, l.in)
	l.in = l.in[n:]
	return n, nil
}

func (l *largeTransport) Write(p []byte) (n int, err error) {
	l.peer.in = append(l.peer.in, p...)
	return len(p), nil
}

func (l *largeTransport) Close() error                     { return nil }
func (l *largeTransport) SetReadDeadline(time.Time) error  { return nil }
func (l *largeTransport) SetWriteDeadline(time.Time) error { return nil }

// largePair returns a client and a server without a read limit.
func largePair(chunk int) (client, server *Conn) {
	a, b := &largeTransport{chunk: chunk}, &largeTransport{chunk: chunk}
	a.peer, b.peer = b, a
	o := connOptions{readLimit: -1}
	return newConn(a, false, nil, o), newConn(b, true, nil, o)
}

// largePayload returns a message: text with characters of 1 to 4 bytes, which no size
// of frame or chunk respects, or bytes that are no text.
func largePayload(messageType, size int) []byte {
	unit := "Text is cut anywhere: é, 한 and 😀 are cut too, sooner or later."
	if messageType == BinaryMessage {
		unit = "\xff\x00\xc3\x80\xfe\xed\xa0\x01\x02\x03\x04\x05\x06"
	}
	b := bytes.Repeat([]byte(unit), size/len(unit))
	return append(b, bytes.Repeat([]byte("."), size-len(b))...)
}

// largeSend sends the message in frames of the given size; 0 means one frame.
func largeSend(t *testing.T, c *Conn, messageType int, b []byte, size int) {
	t.Helper()
	if size == 0 {
		if err := c.WriteMessage(messageType, b); err != nil {
			t.Fatal(err)
		}
		return
	}
	h := header{opcode: opcode(messageType)}
	for !h.fin {
		n := min(size, len(b))
		h.fin = n == len(b)
		if err := c.send.write(&frame{opcode: h.opcode, fin: h.fin, payload: b[:n]}, lockFrame, &limit{}); err != nil {
			t.Fatal(err)
		}
		h.opcode = opContinuation
		b = b[n:]
	}
}

// largeEcho sends the message from the client to the server and back, and compares
// it on either side.
func largeEcho(t *testing.T, messageType, size, frame int) {
	t.Helper()
	client, server := largePair(0)
	want := largePayload(messageType, size)
	largeDeliver(t, client, server, messageType, want, frame)
	largeDeliver(t, server, client, messageType, want, frame)
}

func largeDeliver(t *testing.T, from, to *Conn, messageType int, want []byte, frame int) {
	t.Helper()
	largeSend(t, from, messageType, want, frame)
	gotType, got, err := to.ReadMessage()
	if err != nil || gotType != messageType || !bytes.Equal(got, want) {
		t.Fatalf("server %t: got type %d, %d bytes, error %v, want type %d, %d bytes as they were sent",
			to.recv.server, gotType, len(got), err, messageType, len(want))
	}
}

// largeName names sizes in words.
func largeName(messageType, size int, rest ...any) string {
	name := "binary"
	if messageType == TextMessage {
		name = "text"
	}
	return name + fmt.Sprintf(" of %d KiB", size>>10) + fmt.Sprint(rest...)
}

var largeTypes = []int{TextMessage, BinaryMessage}

func TestLargeMessages(t *testing.T) {
	for _, messageType := range largeTypes {
		for _, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20} {
			t.Run(largeName(messageType, size), func(t *testing.T) {
				largeEcho(t, messageType, size, 0)
			})
		}
	}
	if testing.Short() {
		return
	}
	for _, size := range []int{8 << 20, 16 << 20} {
		client, server := largePair(0)
		t.Run(largeName(TextMessage, size), func(t *testing.T) {
			largeDeliver(t, client, server, TextMessage, largePayload(TextMessage, size), 0)
		})
		t.Run(largeName(BinaryMessage, size), func(t *testing.T) {
			largeDeliver(t, server, client, BinaryMessage, largePayload(BinaryMessage, size), 0)
		})
	}
}

func TestLargeFragmented(t *testing.T) {
	for _, messageType := range largeTypes {
		for frame := 64; frame <= 4<<20; frame *= 4 {
			size := max(frame, 256<<10)
			t.Run(largeName(messageType, size, " in frames of ", frame), func(t *testing.T) {
				largeEcho(t, messageType, size, frame)
			})
		}
	}
	t.Run("text of 64 KiB in frames of 1300", func(t *testing.T) {
		largeEcho(t, TextMessage, 64<<10, 1300)
	})
}

func TestLargeInChunks(t *testing.T) {
	const size = 1 << 20
	for _, chunk := range []int{64, 128, 256, 512, 1024, 2048} {
		client, server := largePair(chunk)
		t.Run(largeName(TextMessage, size, " in chunks of ", chunk), func(t *testing.T) {
			largeDeliver(t, client, server, TextMessage, largePayload(TextMessage, size), 0)
		})
		t.Run(largeName(BinaryMessage, size, " in chunks of ", chunk, " and frames of 1000"), func(t *testing.T) {
			largeDeliver(t, server, client, BinaryMessage, largePayload(BinaryMessage, size), 1000)
		})
	}
}

// Messages that a reader takes in small pieces, or leaves.
func TestLargeReaders(t *testing.T) {
	const size = 1 << 20
	for _, messageType := range largeTypes {
		client, server := largePair(1460)
		first, second := largePayload(messageType, size), largePayload(messageType, size/2)
		for i, b := range [][]byte{first, first, second} {
			largeSend(t, client, messageType, b, 1000*(i%2))
		}
		_, r, err := server.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		p := make([]byte, 333)
		if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, p); err != nil || !bytes.Equal(got.Bytes(), first) {
			t.Fatalf("got %d bytes, error %v, want %d as they were sent", got.Len(), err, len(first))
		}
		_, r, err = server.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.ReadFull(r, p); err != nil || !bytes.Equal(p, first[:n]) {
			t.Fatalf("got %q, error %v, want the beginning of the second message", p[:n], err)
		}
		if _, b, err := server.ReadMessage(); err != nil || !bytes.Equal(b, second) {
			t.Fatalf("got %d bytes, error %v, want the %d of the third message", len(b), err, len(second))
		}
	}
}

// Many messages of each size, each of which comes back.
func TestLargeNumbers(t *testing.T) {
	for i, messageType := range largeTypes {
		for _, size := range []int{0, 16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10} {
			t.Run(fmt.Sprintf("%s of %d bytes", []string{"text", "binary"}[i], size), func(t *testing.T) {
				client, server := largePair(0)
				want := largePayload(messageType, size)
				count := min(1000, 1<<20/max(size, 1))
				var p []byte
				for i := range count {
					for _, way := range [][2]*Conn{{client, server}, {server, client}} {
						if err := way[0].WriteMessage(messageType, want); err != nil {
							t.Fatal(err)
						}
						var gotType int
						var err error
						gotType, p, err = way[1].AppendMessage(p[:0])
						if err != nil || gotType != messageType || !bytes.Equal(p, want) {
							t.Fatalf("message %d: got type %d, %d bytes, error %v", i, gotType, len(p), err)
						}
					}
				}
			})
		}
	}
}

// A large frame leaves in one system call or two over TCP, and arrives whole.
func TestLargeFrameOverTCP(t *testing.T) {
	near, far := tcpPair(t)
	server, client := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
	for _, size := range []int{defaultBufferSize, 100_000, headStart - 1, headStart, headStart + 1, 3 << 20} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * i >> 8)
		}
		written := make(chan error)
		go func() { written <- server.WriteMessage(BinaryMessage, want) }()
		if _, p, err := client.ReadMessage(); !bytes.Equal(p, want) || err != nil {
			t.Errorf("%d bytes: got %d others, %v", size, len(p), err)
		}
		if err := <-written; err != nil {
			t.Errorf("%d bytes: got %v, want nil", size, err)
		}
	}
}
