//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tightTransport has room for some bytes of writes that have a deadline, and then waits for it. A
// write without one finds room for everything.
type tightTransport struct {
	nullTransport
	mu       sync.Mutex
	deadline time.Time
	room     int
	wire     []byte
}

func (t *tightTransport) Write(p []byte) (n int, err error) {
	t.mu.Lock()
	n = len(p)
	if !t.deadline.IsZero() && n > t.room {
		n, err = max(t.room, 0), os.ErrDeadlineExceeded
	}
	t.room -= n
	t.wire = append(t.wire, p[:n]...)
	wait := time.Until(t.deadline)
	t.mu.Unlock()
	if err != nil {
		time.Sleep(wait)
	}
	return n, err
}

func (t *tightTransport) SetWriteDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline = d
	return nil
}

// interrupted writes to a connection with deadlines that pass at any byte, and looks after every
// step at what the peer has, in a bubble.
type interrupted struct {
	t       testing.TB
	server  bool
	c       *Conn
	s       io.Writer // a stream of c
	wire    *tightTransport
	ctx     context.Context // can be cancelled
	next    byte
	pongs   int
	corked  bool
	waiting []peerFrame // that the peer is to have, and has not
	err     error       // of the write that has failed the connection
}

func newInterrupted(t testing.TB, server bool) *interrupted {
	wire := &tightTransport{}
	c := newConn(wire, server, nil, connOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &interrupted{t: t, server: server, c: c, s: NewStream(c, BinaryMessage), wire: wire, ctx: ctx}
}

// payload returns bytes of which no masking key hides a shift.
func (i *interrupted) payload(size int) []byte {
	p := make([]byte, size)
	for j := range p {
		i.next = i.next*5 + 1
		p[j] = i.next
	}
	return p
}

// limit has writes find room for so many bytes before their deadline.
func (i *interrupted) limit(room int) {
	i.c.SetWriteDeadline(time.Now().Add(time.Microsecond))
	i.wire.mu.Lock()
	defer i.wire.mu.Unlock()
	i.wire.room = room
}

// write writes a message for which there is so much room, with all that leaves before it. A
// direct one is not corked.
func (i *interrupted) write(size, room int, direct bool) {
	i.t.Helper()
	p := i.payload(size)
	before := bytes.Clone(p)
	ctx := context.Background()
	if direct {
		ctx = i.ctx
	}
	i.limit(room)
	err := i.c.WriteMessageContext(ctx, BinaryMessage, p)
	if !bytes.Equal(p, before) {
		i.t.Fatal("the caller's data was changed")
	}
	f := peerFrame{true, opBinary, string(p)}
	switch {
	case i.err != nil:
		if err != i.err {
			i.t.Fatalf("got %v, want the error that has failed the connection, %v", err, i.err)
		}
	case err == nil:
		i.waiting = append(i.waiting, f)
	case err == errWriteTimeout:
		// Nothing of it has left, and nothing will.
	case errors.Is(err, os.ErrDeadlineExceeded):
		i.err = err
		i.checkBegun(f)
		return
	default:
		i.t.Fatalf("a message of %d bytes with room for %d: got %v, want a timeout", size, room, err)
	}
	i.check()
}

// flush flushes corked frames, for which there is so much room.
func (i *interrupted) flush(room int) {
	i.t.Helper()
	i.limit(room)
	i.corked = false
	if err := i.c.Flush(); err != i.err && err != errWriteTimeout {
		i.t.Fatalf("Flush with room for %d: got %v, want %v or a write timeout", room, err, i.err)
	}
	i.check()
}

func (i *interrupted) cork() {
	i.c.Cork()
	i.corked = true
}

// pong posts a pong.
func (i *interrupted) pong() {
	i.t.Helper()
	i.pongs++
	f := peerFrame{true, opPong, fmt.Sprint("pong ", i.pongs)}
	i.c.reply(opPong, []byte(f.payload))
	if i.err == nil {
		i.waiting = append(i.waiting, f)
	}
	i.check()
}

// post writes to the stream.
func (i *interrupted) post(size int) {
	i.t.Helper()
	p := i.payload(size)
	n, err := i.s.Write(p)
	if err != i.err && size > 0 || err == nil && n != size {
		i.t.Fatalf("the stream: got %d, %v, want %d, %v", n, err, size, i.err)
	}
	for p = p[:n]; len(p) > 0; {
		part := p[:min(len(p), maxStreamPayload)]
		i.waiting = append(i.waiting, peerFrame{true, opBinary, string(part)})
		p = p[len(part):]
	}
	i.check()
}

// take waits for the flusher, and takes the whole frames off that the peer has. They must be those
// that are waiting. It returns what is behind them.
func (i *interrupted) take() (begun []byte) {
	i.t.Helper()
	i.c.send.acquireFlushed()
	defer i.c.send.unlock()
	i.wire.mu.Lock()
	defer i.wire.mu.Unlock()
	n, begun := wholeFrames(i.wire.wire)
	if n > len(i.waiting) {
		i.t.Fatalf("the peer has %d frames, want %d", n, len(i.waiting))
	}
	for _, f := range i.waiting[:n] {
		b := i.wire.wire
		h, head, _ := parseHeader(b)
		i.wire.wire = b[head+int(h.length):]
		i.compare(b[:head+int(h.length)], f)
	}
	i.waiting = i.waiting[n:]
	return begun
}

// compare compares a frame, or the beginning of one.
func (i *interrupted) compare(b []byte, f peerFrame) {
	i.t.Helper()
	h, n, err := parseHeader(b)
	if err != nil {
		i.t.Fatalf("a frame's header is wrong: %v", err)
	}
	if n == 0 {
		return // it has begun
	}
	if want := (header{fin: true, opcode: f.op, masked: !i.server, key: h.key, length: int64(len(f.payload))}); h != want {
		i.t.Fatalf("got header %+v, want %+v", h, want)
	}
	payload := bytes.Clone(b[n:])
	maskEach(payload, h.key, 0)
	if string(payload) != f.payload[:len(payload)] {
		i.t.Fatalf("the peer has %d bytes of a frame that are not those that were written", len(payload))
	}
}

// check checks that the peer has all frames, unless they are corked or the connection has failed.
func (i *interrupted) check() {
	i.t.Helper()
	begun := i.take()
	switch {
	case i.err != nil:
		if len(begun) > 0 {
			i.t.Fatalf("the peer has %d more bytes of a connection that has failed", len(begun))
		}
	case !i.corked && len(i.waiting) > 0:
		i.t.Fatalf("the peer lacks %d frames", len(i.waiting))
	case len(begun) > 0 && len(i.waiting) == 0:
		i.t.Fatalf("the peer has %d bytes of a frame that was not sent", len(begun))
	case len(begun) > 0:
		i.compare(begun, i.waiting[0])
	}
}

// checkBegun checks that the peer has the frames before f and the beginning of f.
func (i *interrupted) checkBegun(f peerFrame) {
	i.t.Helper()
	begun := i.take()
	if len(i.waiting) > 0 || len(begun) == 0 {
		i.t.Fatalf("the connection has failed with %d bytes of a frame and without %d before it", len(begun), len(i.waiting))
	}
	i.compare(begun, f)
	i.wire.wire = nil
}

// plenty is room for everything.
const plenty = 1 << 30

// A deadline that passes at any byte of a frame, or of those that leave before it, loses and repeats
// nothing: before the first byte of its own frame a call has done nothing, and behind it the
// connection has failed.
func TestWriteInterruptedAtEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, size := range []int{0, 1, 125, 126, 150} {
			for _, corked := range []int{0, 1, 2} {
				synctest.Test(t, func(t *testing.T) {
					for room := range (size+maxHeaderSize)*(2*corked+1) + 1 {
						i := newInterrupted(t, server)
						for range corked {
							i.cork()
							i.write(size, plenty, false)
							i.pong()
						}
						i.write(size, room, true)
						i.write(size, plenty, false)
						i.flush(room % 5)
						i.write(size, plenty, false)
					}
				})
			}
		}
	})
}

// The same with large frames, at the bytes where they begin and end.
func TestLargeWriteInterrupted(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, size := range []int{maxCopied - maxHeaderSize, maxCopied - maxHeaderSize + 1, 64 << 10, 100_000, 200_000} {
			frame := len((&header{masked: !server, length: int64(size)}).append(nil)) + size
			rooms := []int{segmentSize - 1, segmentSize, segmentSize + 1, maxBufferSize - 1, maxBufferSize, maxBufferSize + 1}
			for room := range maxHeaderSize {
				rooms = append(rooms, room)
			}
			for around := range 4 {
				rooms = append(rooms, frame-around, frame+1+around)
			}
			synctest.Test(t, func(t *testing.T) {
				for _, room := range rooms {
					for _, corked := range []bool{false, true} {
						i := newInterrupted(t, server)
						if corked {
							i.cork()
							i.write(1, plenty, false)
						}
						i.write(size, room, true)
						i.flush(plenty)
						i.write(10, plenty, false)
					}
				}
			})
		}
	})
}

// FuzzSendInterrupted: each three bytes of the script are a call, with a size and the room for it.
// Corked frames leave when their time is over.
func FuzzSendInterrupted(f *testing.F) {
	f.Add(true, []byte{0, 3, 1, 0, 3, 0, 0, 3, 9})
	f.Add(true, []byte{5, 0, 0, 0, 9, 0, 3, 0, 0, 7, 4, 12, 4, 3, 0, 6, 0, 3, 0, 7, 99})
	f.Add(false, []byte{0, 200, 7, 3, 0, 0, 1, 5, 1, 2, 255, 254, 2, 255, 0})
	f.Add(true, []byte("%00$\xfb0000$\xeb0+\xdb0$\xdb0")) // corked, and large frames of a stream
	f.Fuzz(func(t *testing.T, server bool, script []byte) {
		synctest.Test(t, func(t *testing.T) {
			i := newInterrupted(t, server)
			for ; len(script) >= 3; script = script[3:] {
				size, room := int(script[1]), int(script[2])
				switch script[0] & 15 {
				case 0, 8:
					i.write(size, room, false)
				case 1:
					i.write(size<<9, room<<9, false)
				case 2, 9:
					i.write(size<<9, size<<9+room-128, true)
				case 3, 10:
					i.pong()
				case 4, 11:
					i.post(size << 9)
				case 5, 12:
					i.cork()
				case 6, 13:
					i.flush(room)
				case 7, 14:
					i.write(size, room, true)
				case 15:
					time.Sleep(corkTime)
				}
			}
			i.flush(plenty)
		})
	})
}
