//go:build go1.25

package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// tightTransport has room for some bytes. What does not fit meets the deadline, where
// that is the one of the stream: other frames have deadlines of their own.
type tightTransport struct {
	transport
	tight    time.Time // the stream's
	deadline time.Time
	room     int
	wire     []byte
}

func (t *tightTransport) Write(p []byte) (n int, err error) {
	n = len(p)
	if t.deadline.Equal(t.tight) && n > t.room {
		n, err = max(t.room, 0), os.ErrDeadlineExceeded
	}
	t.room -= n
	t.wire = append(t.wire, p[:n]...)
	return n, err
}

func (t *tightTransport) SetWriteDeadline(d time.Time) error {
	t.deadline = d
	return nil
}

// interrupted writes to a stream whose deadlines pass at any byte, and looks after
// every step at what is on the wire.
type interrupted struct {
	t        testing.TB
	server   bool
	s        *stream
	wire     *tightTransport
	reported []byte // what Write said that it has written
	rest     int    // payload bytes that the last frame lacks
	pongs    int    // owed to the peer
	lastPong string // that came
	next     byte
}

func newInterrupted(t testing.TB, server bool) *interrupted {
	// It comes before that of a pong, and does not pass as long as the test runs.
	wire := &tightTransport{tight: time.Now().Add(time.Minute)}
	s := NewStream(newConn(wire, server, nil, connOptions{}), BinaryMessage)
	s.SetWriteDeadline(wire.tight)
	return &interrupted{t: t, server: server, s: s.(*stream), wire: wire}
}

// write writes size bytes, of which some have room.
func (i *interrupted) write(size, room int) {
	i.t.Helper()
	p := make([]byte, size)
	for j := range p {
		i.next = i.next*5 + 1 // no masking key hides a shift of it
		p[j] = i.next
	}
	before := bytes.Clone(p)
	i.wire.room = room
	n, err := i.s.Write(p)
	if n < 0 || n > size || (err == nil) != (n == size) {
		i.t.Fatalf("Write of %d bytes with room for %d: got %d, %v", size, room, n, err)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		i.t.Fatalf("Write of %d bytes with room for %d: got %v, want a timeout", size, room, err)
	}
	if !bytes.Equal(p, before) {
		i.t.Fatal("the caller's data was changed")
	}
	i.reported = append(i.reported, p[:n]...)
	i.check()
}

// pong has the reader owe the peer a pong.
func (i *interrupted) pong() {
	i.pongs++
	i.s.c.send.reply(opPong, fmt.Append(nil, "pong ", i.pongs), time.Now().Add(time.Hour))
	i.check()
}

// finish writes on until a frame ends.
func (i *interrupted) finish() {
	i.t.Helper()
	const plenty = 4 * maxBufferSize
	i.write(1, plenty) // the rest of a header, too
	if i.rest > 0 {
		i.write(i.rest, plenty)
	}
	if len(i.reported) > 0 || len(i.wire.wire) > 0 {
		i.t.Fatalf("got %d bytes on the wire that are no whole frame, want none", len(i.wire.wire))
	}
	// The newest pong replaces those that wait.
	if i.pongs > 0 && i.lastPong != fmt.Sprint("pong ", i.pongs) {
		i.t.Fatalf("got %q as the last of %d pongs", i.lastPong, i.pongs)
	}
}

// check compares what is on the wire, an unfinished frame too, with what Write has
// reported. It takes whole frames off both.
func (i *interrupted) check() {
	i.t.Helper()
	for i.rest = 0; len(i.wire.wire) > 0; {
		b := i.wire.wire
		h, n, err := parseHeader(b)
		if err != nil {
			i.t.Fatalf("a frame's header is wrong: %v", err)
		}
		if n == 0 {
			break
		}
		payload := bytes.Clone(b[n:min(len(b), n+int(h.length))])
		i.rest = int(h.length) - len(payload)
		if h.masked {
			maskEach(payload, h.key, 0)
		}
		if want := (header{fin: true, opcode: h.opcode, masked: !i.server, key: h.key, length: h.length}); h != want {
			i.t.Fatalf("got header %+v, want %+v", h, want)
		}
		switch {
		case h.opcode == opBinary && h.length > 0 && h.length <= maxStreamPayload:
			if !bytes.HasPrefix(i.reported, payload) {
				i.t.Fatalf("the peer got %d bytes of a frame that are not those that Write has reported", len(payload))
			}
		case h.opcode == opPong:
			i.lastPong, payload = string(payload), nil
		default:
			i.t.Fatalf("got a frame with opcode %d and %d bytes", h.opcode, h.length)
		}
		if i.rest > 0 {
			if len(payload) != len(i.reported) {
				i.t.Fatalf("the peer got %d bytes, want the %d that Write has reported", len(payload), len(i.reported))
			}
			return
		}
		i.reported = i.reported[len(payload):]
		i.wire.wire = b[n+int(h.length):]
	}
	if len(i.reported) > 0 {
		i.t.Fatalf("%d bytes that Write has reported have not left", len(i.reported))
	}
}

// A write deadline that passes at any byte of a frame, and again soon after, loses
// nothing and repeats nothing. What is written next may be the rest, or other data.
func TestStreamWriteInterruptedAtEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, size := range []int{1, 3, 125, 126, 150} {
			for first := range size + maxHeaderSize + 1 {
				for _, second := range []int{0, 1, 5, 1000} {
					for _, next := range []int{1, 2*size + 1} {
						i := newInterrupted(t, server)
						i.write(size, first)
						i.write(next, second)
						i.write(next, 0)
						i.finish()
					}
				}
			}
		}
	})
}

// The same with what takes several frames, at the bytes around their borders.
func TestStreamLargeWriteInterrupted(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, size := range []int{maxStreamPayload, maxStreamPayload + 1, 100_000} {
			frame := len((&header{masked: !server, length: int64(min(size, maxStreamPayload))}).append(nil)) + min(size, maxStreamPayload)
			var rooms []int
			for room := range maxHeaderSize {
				rooms = append(rooms, room)
			}
			for around := range 4 {
				rooms = append(rooms, frame-around, frame+1+around)
			}
			for _, room := range rooms {
				i := newInterrupted(t, server)
				i.write(size, room)
				i.write(10, room%5)
				i.finish()
			}
		}
	})
}

// A pong that is owed waits for the end of the frame, and no longer.
func TestStreamPongBetweenFrames(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for room := 1; room < 12; room++ {
			i := newInterrupted(t, server)
			i.write(10, room)
			before := len(i.wire.wire)
			i.pong()
			i.pong()
			if len(i.wire.wire) != before {
				t.Fatalf("got a pong within a frame, after %d bytes of it", room)
			}
			i.finish()
			if i.lastPong != "pong 2" {
				t.Fatalf("after %d bytes of a frame and its end: got %q, want pong 2", room, i.lastPong)
			}
		}
	})
}

// FuzzStreamInterrupted: each three bytes of the script are a write, with a size and
// the room for it, or a pong.
func FuzzStreamInterrupted(f *testing.F) {
	f.Add(true, []byte{0, 3, 1, 0, 3, 0, 0, 3, 9})
	f.Add(false, []byte{0, 200, 7, 3, 0, 0, 1, 5, 1, 2, 255, 254, 2, 255, 0})
	f.Fuzz(func(t *testing.T, server bool, script []byte) {
		i := newInterrupted(t, server)
		for ; len(script) >= 3 && len(i.wire.wire) < 1<<20; script = script[3:] {
			size, room := int(script[1]), int(script[2])
			switch script[0] & 3 {
			case 0:
				i.write(size, room)
			case 1:
				i.write(size<<8, room<<8)
			case 2:
				i.write(size<<8, size<<8+room-128)
			case 3:
				i.pong()
			}
		}
		i.finish()
	})
}

// The deadlines of a connection of the kernel, which is full again and again. What
// Write has reported arrives without anything else being written.
func TestStreamWriteDeadlinesOverTCP(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"tcp":     func(c net.Conn) net.Conn { return c },
		"wrapped": func(c net.Conn) net.Conn { return wrappedConn{c} },
	} {
		t.Run(name, func(t *testing.T) {
			bothSides(t, func(t *testing.T, server bool) {
				near, far := tcpPair(t)
				near.(*net.TCPConn).SetWriteBuffer(64 << 10)
				far.(*net.TCPConn).SetReadBuffer(64 << 10)
				s := NewStream(newConn(wrap(near), server, nil, connOptions{}), BinaryMessage)
				peer := NewStream(newConn(wrap(far), !server, nil, connOptions{}), BinaryMessage)
				sent := make([]byte, 1<<20)
				for i := range sent {
					sent[i] = byte(i * i >> 3)
				}
				got := make([]byte, len(sent))
				written, read, timeouts := 0, 0, 0
				for read < len(sent) {
					s.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
					n, err := s.Write(sent[written:min(len(sent), written+150_000)])
					written += n
					if err == nil && written < len(sent) {
						continue
					}
					if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatalf("got %v, want a timeout", err)
					}
					timeouts++
					if _, err := io.ReadFull(peer, got[read:written]); err != nil {
						t.Fatal(err)
					}
					read = written
				}
				if timeouts < 2 {
					t.Errorf("got %d timeouts, want some", timeouts-1)
				}
				if !bytes.Equal(got, sent) {
					t.Error("got other bytes than those that were written")
				}
			})
		})
	}
}

// A Write takes no memory of its own.
func TestStreamWriteAllocatesNothing(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		wire := &tightTransport{}
		s := NewStream(newConn(wire, server, nil, connOptions{}), BinaryMessage)
		p := make([]byte, 1000)
		allocs := testing.AllocsPerRun(100, func() {
			s.Write(p)
			wire.wire = wire.wire[:0]
		})
		if allocs >= 1 && !raceEnabled {
			t.Errorf("got %v allocations, want 0", allocs)
		}
	})
}
