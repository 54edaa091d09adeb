//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// newTestStream returns a server's stream and the other end of its transport.
func newTestStream(t testing.TB, messageType int) (net.Conn, *Conn, *pipeConn) {
	c, wire := newTestConn(t, true)
	return NewStream(c, messageType), c, wire
}

// tightStream returns a stream on a network that takes so many bytes.
func tightStream(t testing.TB, size int) (net.Conn, *Conn, *pipeConn) {
	near, far := newPipe(t, size)
	room(near, 1000)
	c := newConn(near, true, nil, connOptions{})
	return NewStream(c, BinaryMessage), c, far
}

// wantWritten checks that a stream has taken all of p.
func wantWritten(t testing.TB, s net.Conn, p string) {
	t.Helper()
	if n, err := io.WriteString(s, p); n != len(p) || err != nil {
		t.Errorf("got %d, %v, want %d, nil", n, err, len(p))
	}
}

// fillStream writes frames until the buffer of a stream is full, in a bubble, on a network that
// takes less than the first.
func fillStream(t *testing.T, s net.Conn) (frames []string) {
	t.Helper()
	send, size := &s.(*stream).c.send, 8000
	for room := maxBufferSize; room >= maxHeaderSize+4; {
		p := string(make([]byte, min(size, room-maxHeaderSize)))
		wantWritten(t, s, p)
		frames = append(frames, "2 "+p)
		synctest.Wait()
		room = maxBufferSize - 2*maxControlSize - int(send.slot.Load().n)
	}
	return frames
}

// Bytes that are written in any sizes come out in any sizes, in both directions at a time, with pings beside them, on
// every kind of transport.
func TestStreamCarriesBytes(t *testing.T) {
	sizes := []int{1, 0, 125, 126, 1000, 65521, 65522, 65523, 65535, 65536, 2, 150_000}
	sent := [2]string{fmt.Sprintf("%x", noise(250_000, 0)), fmt.Sprintf("%x", noise(250_000, 1))}
	eachLink(t, func(t *testing.T, l testLink) {
		near, far := l.pair(t)
		messageType := BinaryMessage
		if l.server {
			messageType = TextMessage
		}
		conns := []*Conn{newConn(near, l.server, nil, connOptions{}), newConn(far, !l.server, nil, connOptions{})}
		streams := []net.Conn{NewStream(conns[0], messageType), NewStream(conns[1], messageType)}
		if s := streams[0]; s.LocalAddr() != near.LocalAddr() || s.RemoteAddr() != near.RemoteAddr() {
			t.Errorf("got %v and %v, want the addresses of the transport", s.LocalAddr(), s.RemoteAddr())
		}
		var writers, readers sync.WaitGroup
		for i, c := range conns {
			writers.Go(func() {
				for p, j := sent[i], 0; len(p) > 0; j++ {
					n := min(len(p), sizes[j%len(sizes)])
					wantWritten(t, streams[i], p[:n])
					p = p[n:]
					if _, err := c.Ping(t.Context()); err != nil {
						t.Errorf("Ping: got %v, want nil", err)
					}
				}
			})
			readers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), 1))
				got := make([]byte, 0, len(sent[1-i])+1) // and read on, for the pongs
				for err := error(nil); err == nil; {
					var n int
					n, err = streams[i].Read(got[len(got):min(cap(got), len(got)+random.IntN(40_000))])
					got = got[:len(got)+n]
				}
				if string(got) != sent[1-i] {
					t.Errorf("got %d bytes, want the %d that were written", len(got), len(sent[1-i]))
				}
			})
		}
		writers.Wait() // each has the pong behind its last bytes
		streams[0].Close()
		streams[1].Close()
		readers.Wait()
	})
}

// Messages and fragments may begin and end anywhere and be empty, and control frames be among them. The read limit is
// for messages, so there is none. A deadline that passes at any byte loses nothing.
func TestStreamReadInterruptedAtEveryByte(t *testing.T) {
	eachPipe(t, connOptions{readLimit: 3}, func(b *bubble) {
		s := NewStream(b.c, TextMessage)
		long := strings.Repeat("x", 130)
		var got []byte
		read := func() error {
			p := make([]byte, 100)
			n, err := s.Read(p)
			got = append(got, p[:n]...)
			return err
		}
		b.byBytes(peerFrames(b.server, textFrame(""), peerFrame{false, opText, "on"}, pingFrame("p"),
			peerFrame{false, opContinuation, ""}, peerFrame{true, opContinuation, "e "}, textFrame(""), textFrame(long),
			peerFrame{true, opPong, ""}), read)
		s.SetDeadline(aLongTimeAgo)
		wantTimeout(b.T, read())
		s.SetDeadline(time.Time{})
		b.sendRaw("\x88")
		err := read()
		if want := "one " + long; string(got) != want || err != io.EOF {
			b.Errorf("got %q, %v, want %q and the end", got, err, want)
		}
		b.want("control frames are answered", "10 p", "8 ")
		if _, err := s.Write([]byte("x")); err != ErrCloseSent {
			b.Errorf("got %v of a Write, want ErrCloseSent", err)
		}
	})
}

// A Write is one message, or several where it has more than 64 KiB. An empty one is none.
func TestStreamWriteSendsMessages(t *testing.T) {
	s, _, wire := newTestStream(t, TextMessage)
	for _, tt := range []struct {
		size int
		want []int
	}{{0, nil}, {3, []int{3}}, {64 << 10, []int{64 << 10}}, {140_000, []int{64 << 10, 64 << 10, 140_000 - 128<<10}}} {
		wantWritten(t, s, string(make([]byte, tt.size)))
		var want []string
		for _, n := range tt.want {
			want = append(want, "1 "+string(make([]byte, n)))
		}
		wantFrames(t, wire, want...)
	}
}

// RFC 6455, 7.4.1: 1003 is for "a type of data it cannot accept". The same while Shutdown looks after the connection:
// the race detector sees to it that only one of them does at a time.
func TestStreamWrongMessageType(t *testing.T) {
	const reason = "message of the wrong type in a stream"
	for messageType, in := range map[int]string{TextMessage: "\x82a", BinaryMessage: "\x81"} {
		for shutdown, want := range map[bool]string{false: "\x03\xeb" + reason, true: "\x03\xe8"} {
			synctest.Test(t, func(t *testing.T) {
				s, c, wire := newTestStream(t, messageType)
				defer wire.Close()
				if shutdown {
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					go c.Shutdown(ctx, CloseNormalClosure, "")
				}
				synctest.Wait()
				wire.Write(rawFrame(true, in))
				for range 2 {
					n, err := s.Read(make([]byte, 10))
					if n != 0 {
						t.Errorf("got %d bytes, want none", n)
					}
					wantProtocolError(t, err, CloseUnsupportedData, "websocket: "+reason)
				}
				wantFrames(t, wire, "8 "+want)
			})
		}
	}
}

// The end of the connection, as a byte stream has it.
func TestStreamEnds(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"1000", "88 82 00000000 03e8", io.EOF},
		{"1001 with a reason", "88 85 00000000 03e9 627965", io.EOF},
		{"no code", "88 80 00000000", io.EOF},
		{"no Close frame", "", io.ErrUnexpectedEOF},
		{"no Close frame within a message", "82 83 00000000", io.ErrUnexpectedEOF},
		{"1002", "88 82 00000000 03ea", &CloseError{CloseProtocolError, ""}},
		{"4000 with a reason", "88 85 00000000 0fa0 627965", &CloseError{4000, "bye"}},
		{"a protocol error", "8380", &protocolError{CloseProtocolError, "unknown opcode 3"}},
	} {
		s, _, wire := newTestStream(t, BinaryMessage)
		wire.Write(unhex(t, "82 82 00000000 6162"+tt.in))
		closedBy(wire, true)
		got := make([]byte, 2)
		if n, err := s.Read(nil); n != 0 || err != nil {
			t.Errorf("%s: got %d, %v of an empty Read, want 0, nil", tt.name, n, err)
		}
		if _, err := io.ReadFull(s, got); string(got) != "ab" || err != nil {
			t.Errorf("%s: got %q, %v, want \"ab\", nil", tt.name, got, err)
		}
		for range 2 {
			if n, err := s.Read(got); n != 0 || !reflect.DeepEqual(err, tt.want) {
				t.Errorf("%s: got %d, %v, want 0, %v", tt.name, n, err, tt.want)
			}
		}
	}
}

func TestNewStreamPanics(t *testing.T) {
	c, _ := newTestConn(t, true)
	for _, messageType := range []int{-1, 0, 3, CloseMessage, PingMessage, PongMessage} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.HasPrefix(got, "websocket: NewStream with a message type") {
					t.Errorf("%d: got panic %q, want one that says why", messageType, got)
				}
			}()
			NewStream(c, messageType)
		}()
	}
}

// Writes that wait for room in the buffer end at their deadline, and at one that is set meanwhile,
// and n says what has found room. The deadline bounds nothing else.
func TestStreamWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, far := tightStream(t, 6)
		start := time.Now()
		want := func(p string, n int, after time.Duration, why string) {
			t.Helper()
			got, err := s.Write([]byte(p))
			if n < len(p) {
				wantTimeout(t, err)
			}
			if d := time.Since(start); got != n || n == len(p) && err != nil || d != after {
				t.Errorf("got %d, %v after %v, want %d after %v: %s", got, err, d, n, after, why)
			}
		}
		s.SetWriteDeadline(aLongTimeAgo)
		want("abcdefgh", 0, 0, "the deadline has passed")
		s.SetWriteDeadline(start.Add(time.Second))
		frames := fillStream(t, s)
		want("abcd", 0, time.Second, "the buffer is full")
		s.SetWriteDeadline(start.Add(time.Minute))
		time.AfterFunc(time.Second, func() { s.SetDeadline(time.Now()) })
		want("efgh", 0, 2*time.Second, "another goroutine has set an earlier one")
		s.SetWriteDeadline(start.Add(3 * time.Second))
		time.AfterFunc(time.Second/2, func() { s.SetWriteDeadline(start.Add(time.Minute)) })
		time.AfterFunc(5*time.Second, func() { room(far, 1<<20) })
		want("ijkl", 4, 7*time.Second, "another goroutine has set a later one, before which there was room")
		s.SetDeadline(time.Time{})
		want("mno", 3, 7*time.Second, "there is room")
		wantFrames(t, far, append(frames, "2 ijkl", "2 mno")...)

		// It holds up nothing, and is for nothing else.
		if err := c.WriteControl(PingMessage, nil, time.Time{}); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		wantFrames(t, far, "9 ")
		if n := far.in.writeDeadlines; n != 1 {
			t.Errorf("got %d calls of SetWriteDeadline, want one, at the beginning", n)
		}

		room(far, 6)
		s.SetWriteDeadline(start.Add(10 * time.Second))
		want(string(make([]byte, 1<<20)), maxStreamPayload, 10*time.Second, "the buffer has taken a frame")
		room(far, 1<<20)
		wantFrames(t, far, "2 "+string(make([]byte, maxStreamPayload)))
	})
}

// A deadline ends all writes that wait, for room or for one another.
func TestStreamWriteDeadlineEndsAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, far := tightStream(t, 3)
		go c.Ping(t.Context()) // holds the lock
		synctest.Wait()
		want := fillStream(t, s)
		done := make(chan error)
		for range 3 {
			go func() { done <- second(s.Write([]byte("abc"))) }()
		}
		synctest.Wait()
		s.SetWriteDeadline(time.Now())
		for range 3 {
			wantTimeout(t, <-done)
		}
		room(far, 1<<20)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		wantWritten(t, s, "abc") // nothing has happened
		want = append(want, "2 abc")
		if frames := readFrames(t, far, 1+len(want)); !slices.Equal(frames[1:], want) { // behind the ping
			t.Errorf("got %d frames, want a ping, %d and the last", len(frames), len(want)-1)
		}
	})
}

// Close sends a Close frame, which is the end of the peer's stream, ends what is going on here, and leaves no timer.
func TestStreamClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, far := newTestStream(t, BinaryMessage)
		if err := s.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		blocked := make(chan error)
		go func() { blocked <- second(s.Read(make([]byte, 1))) }()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		for name, err := range map[string]error{
			"blocked Read": <-blocked,
			"Read":         second(s.Read(make([]byte, 1))),
			"Write":        second(s.Write(make([]byte, 1))),
			"SetDeadline":  s.SetDeadline(time.Now().Add(time.Hour)),
			"Close":        s.Close(),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: got %v, want net.ErrClosed", name, err)
			}
		}
		if s.(*stream).timer.Stop() {
			t.Error("got a timer that runs, want it stopped")
		}
		peer := NewStream(newConn(far, false, nil, connOptions{}), BinaryMessage)
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer: got %v, want EOF", err)
		}
	})
}

// Close waits until the write deadline, or five seconds, where the network is full, and not at all where nothing is in
// the buffer but the Close frame, for which there is room. It ends all calls that wait. The goroutine that reads often
// closes the stream, too, when it sees the end, while Close is at work: that one succeeds, and the later one fails.
func TestStreamCloseOnAFullNetwork(t *testing.T) {
	for _, tt := range []struct {
		name     string
		written  int // before; all that has room if negative
		network  int // the bytes that it takes
		blocked  int // of a Write that waits
		deadline time.Duration
		want     time.Duration
	}{
		{"room for the Close frame", 0, 4, 0, 0, 0},
		{"no room for all of the Close frame", 0, 3, 0, 0, 5 * time.Second},
		{"between frames", 1, 3, 0, 0, 5 * time.Second},
		{"within a header", 4, 1, 0, 0, 5 * time.Second},
		{"within a payload", 4, 3, 0, 0, 5 * time.Second},
		{"all of the buffer", -1, 3, 0, 0, 5 * time.Second},
		{"while a Write waits for the network", 0, 3, 1 << 20, 0, 5 * time.Second},
		{"a short deadline", 100, 3, 0, time.Millisecond, time.Millisecond},
		{"a long deadline", 100, 3, 0, time.Minute, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, c, _ := tightStream(t, tt.network)
			if tt.written < 0 {
				fillStream(t, s)
			} else {
				wantWritten(t, s, string(make([]byte, tt.written)))
			}
			waiting := []*call{inBackground(t, func() error { return second(s.Read(make([]byte, 1))) })}
			if tt.blocked > 0 {
				waiting = append(waiting, inBackground(t, func() error { return second(s.Write(make([]byte, tt.blocked))) }))
				synctest.Wait()
				waiting = append(waiting, inBackground(t, func() error { return second(c.Ping(t.Context())) }))
			}
			synctest.Wait()
			if tt.deadline > 0 {
				s.SetWriteDeadline(time.Now().Add(tt.deadline))
			}
			first := inBackground(t, s.Close)
			synctest.Wait()
			wantErrorIs(t, s.Close(), net.ErrClosed)
			first.want(tt.name, tt.want, noError)
			for i, x := range waiting {
				<-x.done
				// The Close frame ends the writes of c before its Close does.
				if !errors.Is(x.err, net.ErrClosed) && (i < 2 || x.err != ErrCloseSent) {
					t.Errorf("%s, call %d: got %v, want net.ErrClosed, or ErrCloseSent of a Ping", tt.name, i, x.err)
				}
			}
			synctest.Wait()
			c.wantNothingUnsent(t)
		})
	}
}

// The connection may be closed while a stream is being made of it, by a Group for instance.
func TestNewStreamWhileTheConnectionIsClosed(t *testing.T) {
	for range 10 {
		c, _ := newTestConn(t, true)
		done := make(chan error)
		go func() { done <- c.Close() }()
		s := NewStream(c, BinaryMessage)
		<-done
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
	}
}

// A write deadline of a stream loses nothing, over TLS too: what a Write that has timed out has reported arrives, and
// nothing else does, and the next Write goes on behind it. TestModel has writes at the same time.
func TestStreamDeadlineLosesNothing(t *testing.T) {
	for _, size := range []int{20, 60_000, 300_000} { // one frame, or several
		all := noise(size, 1)
		eachBubble(t, connOptions{}, func(b *bubble) {
			b.full()
			s := NewStream(b.c, BinaryMessage)
			var got []byte
			sent := 0
			for _, room := range []int{0, 1, 2, 5, 1000, 70_000, -1} {
				p := all[sent:]
				if room >= 0 {
					b.room(room)
					s.SetWriteDeadline(time.Now().Add(time.Second))
				} else {
					p = append(p[:len(p):len(p)], "more"...)
					s.SetWriteDeadline(time.Time{})
				}
				var n int
				var err error
				d := took(func() { n, err = s.Write(p) })
				if n < len(p) {
					wantTimeout(b.T, err)
				}
				if n == len(p) && err != nil || err != nil && d != time.Second {
					b.Errorf("got %d bytes, %v after %v, want all, or a timeout after 1s", n, err, d)
				}
				if sent += n; room >= 0 {
					b.open()
				}
				for _, frame := range b.take() {
					got = append(got, strings.TrimPrefix(frame, "2 ")...)
				}
				if want := append(all[:size:size], "more"...)[:sent]; !bytes.Equal(got, want) {
					b.Fatalf("room for %d: the peer got %d bytes, want %d, or it got other ones", room, len(got), sent)
				}
			}
		})
	}
}

// An error of the transport is none of the peer's, even if the transport is a stream whose own peer has broken a rule: no
// Close frame is sent because of it.
func TestConnOnAStreamThatFails(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		below, far := newTestConn(t, server)
		c := newConn(NewStream(below, BinaryMessage), server, nil, connOptions{})
		far.Write([]byte{0x83, 0})
		err := second3(c.ReadMessage())
		if err == nil || err != below.readLock.err() {
			t.Errorf("got %v, want the error of the connection below, %v", err, below.readLock.err())
		}
		if err := c.send.lock.err(); err != nil {
			t.Errorf("got %v, want a direction that goes on", err)
		}
	})
}
