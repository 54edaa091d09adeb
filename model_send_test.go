//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
	testing.TB
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
	return &interrupted{TB: t, c: c, s: NewStream(c, BinaryMessage), wire: wire, ctx: ctx}
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
	i.Helper()
	p := i.payload(size)
	before := bytes.Clone(p)
	ctx := context.Background()
	if direct {
		ctx = i.ctx
	}
	i.limit(room)
	err := i.c.WriteMessageContext(ctx, BinaryMessage, p)
	if !bytes.Equal(p, before) {
		i.Fatal("the caller's data was changed")
	}
	f := peerFrame{true, opBinary, string(p)}
	switch {
	case i.err != nil:
		if err != i.err {
			i.Fatalf("got %v, want the error that has failed the connection, %v", err, i.err)
		}
	case err == nil:
		i.waiting = append(i.waiting, f)
	case err == errWriteTimeout:
		// Nothing of it has left, and nothing will.
	case errors.Is(err, os.ErrDeadlineExceeded):
		i.err = err
		i.check(f)
		return
	default:
		i.Fatalf("a message of %d bytes with room for %d: got %v, want a timeout", size, room, err)
	}
	i.check()
}

// flush flushes corked frames, for which there is so much room.
func (i *interrupted) flush(room int) {
	i.Helper()
	i.limit(room)
	i.corked = false
	if err := i.c.Flush(); err != i.err && err != errWriteTimeout {
		i.Fatalf("Flush with room for %d: got %v, want %v or a write timeout", room, err, i.err)
	}
	i.check()
}

func (i *interrupted) cork() {
	i.c.Cork()
	i.corked = true
}

// pong posts a pong.
func (i *interrupted) pong() {
	i.Helper()
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
	i.Helper()
	p := i.payload(size)
	n, err := i.s.Write(p)
	if err != i.err && size > 0 || err == nil && n != size {
		i.Fatalf("the stream: got %d, %v, want %d, %v", n, err, size, i.err)
	}
	for part := range slices.Chunk(p[:n], maxStreamPayload) {
		i.waiting = append(i.waiting, peerFrame{true, opBinary, string(part)})
	}
	i.check()
}

// check waits for the flusher, and checks that the peer has all frames, unless they are corked. If the
// connection fails now, the peer has a part of torn, too; if it has failed before, nothing more.
func (i *interrupted) check(torn ...peerFrame) {
	i.Helper()
	i.c.send.acquireFlushed()
	defer i.c.send.unlock()
	i.wire.mu.Lock()
	defer i.wire.mu.Unlock()
	for {
		frame, rest := cutFrame(i.wire.wire)
		if frame == "" {
			break
		}
		if len(i.waiting) == 0 || frame != fmt.Sprintf("%d %s", i.waiting[0].op, i.waiting[0].payload) {
			i.Fatalf("the peer has the frame %.40q, which is not the next of the %d that wait", frame, len(i.waiting))
		}
		i.waiting, i.wire.wire = i.waiting[1:], rest
	}
	begun, next := i.wire.wire, append(i.waiting, torn...)
	switch {
	case torn != nil && (len(i.waiting) > 0 || len(begun) == 0):
		i.Fatalf("the connection has failed with %d bytes of a frame and without %d before it", len(begun), len(i.waiting))
	case torn == nil && i.err != nil && len(begun) > 0:
		i.Fatalf("the peer has %d more bytes of a connection that has failed", len(begun))
	case i.err == nil && !i.corked && len(i.waiting) > 0:
		i.Fatalf("the peer lacks %d frames", len(i.waiting))
	case len(begun) > 0 && len(next) == 0:
		i.Fatalf("the peer has %d bytes of a frame that was not sent", len(begun))
	case len(begun) > 0:
		i.checkBegun(begun, next[0])
	}
	if torn != nil {
		i.wire.wire = nil
	}
}

// checkBegun compares the beginning of a frame.
func (i *interrupted) checkBegun(b []byte, f peerFrame) {
	i.Helper()
	h, n, err := parseHeader(b)
	if err != nil {
		i.Fatalf("a frame's header is wrong: %v", err)
	}
	if n == 0 {
		return
	}
	want := header{fin: true, opcode: f.op, masked: !i.c.recv.server, key: h.key, length: int64(len(f.payload))}
	if h != want {
		i.Fatalf("got header %+v, want %+v", h, want)
	}
	payload := bytes.Clone(b[n:])
	maskEach(payload, h.key, 0)
	if string(payload) != f.payload[:len(payload)] {
		i.Fatalf("the peer has %d bytes of a frame that are not those that were written", len(payload))
	}
}

// plenty is room for everything.
const plenty = 1 << 30

// A deadline that passes at any byte of a frame, or of those that leave before it, loses and repeats nothing: before
// the first byte of its own frame a call has done nothing, and behind it the connection has failed. Of large frames
// this is played at the bytes where they begin and end, and where a client's is cut into pieces.
func TestWriteInterruptedAtEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		play := func(t *testing.T, size, corked, room int) {
			i := newInterrupted(t, server)
			for range corked {
				i.cork()
				i.write(min(size, 150), plenty, false)
				i.pong()
			}
			i.write(size, room, true)
			i.write(1, plenty, false)
			i.flush(room % 5)
			i.write(1, plenty, false)
		}
		for _, size := range []int{
			0, 1, 125, 126, 150,
			maxCopied - maxHeaderSize, maxCopied - maxHeaderSize + 1, 64 << 10, 100_000, 200_000,
		} {
			synctest.Test(t, func(t *testing.T) {
				for corked := range 3 {
					if size > 150 && corked > 1 {
						break
					}
					every := maxHeaderSize
					if size <= 150 {
						every = (size+maxHeaderSize)*(2*corked+1) + 1
					}
					for room := 0; room < every; room += unlessRace(1, 11) {
						play(t, size, corked, room)
					}
					frame := len((&header{masked: !server, length: int64(size)}).append(nil)) + size
					for _, around := range []int{segmentSize, maxBufferSize, frame} {
						for _, room := range []int{around - 3, around - 2, around - 1, around, around + 1, around + 4} {
							play(t, size, corked, max(room, 0))
						}
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
