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
	"testing/synctest"
	"time"
)

// room gives the network from the other end to far space for so many bytes.
func room(far *pipeConn, size int) {
	far.in.set(func(h *pipeHalf) { h.size = size })
}

// tightStream returns a stream on a network that takes so many bytes.
func tightStream(t testing.TB, size int) (net.Conn, *Conn, *pipeConn) {
	near, far := newPipe(t, size)
	room(near, 1000)
	c := newConn(near, true, nil, connOptions{})
	return NewStream(c, BinaryMessage), c, far
}

// fillStream writes frames until the buffer of a stream is full, in a bubble, on a network that
// takes less than the first.
func fillStream(t *testing.T, s net.Conn) (frames []string) {
	t.Helper()
	send, size := &s.(*stream).c.send, 8000
	for room := maxBufferSize; room >= maxHeaderSize+4; {
		p := make([]byte, min(size, room-maxHeaderSize))
		if n, err := s.Write(p); n != len(p) || err != nil {
			t.Fatalf("got %d, %v, want %d, nil: the buffer has room", n, err, len(p))
		}
		frames = append(frames, fmt.Sprintf("fin=true op=2 masked=false %q", p))
		synctest.Wait()
		room = maxBufferSize - 2*maxControlSize - int(send.slot.Load().n)
	}
	return frames
}

// Writes that wait for room in the buffer end at their deadline, and at one that is set meanwhile,
// and n says what has found room. The deadline bounds nothing else.
func TestStreamWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, far := tightStream(t, 6)
		start := time.Now()
		want := func(p string, n int, after time.Duration, why string) {
			t.Helper()
			got, err := s.Write([]byte(p))
			if got != n {
				t.Errorf("got %d, want %d: %s", got, n, why)
			}
			if n < len(p) {
				wantTimeout(t, err)
			} else if err != nil {
				t.Errorf("got %v, want nil: %s", err, why)
			}
			if got := time.Since(start); got != after {
				t.Errorf("got the end after %v, want %v: %s", got, after, why)
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
		wantFrames(t, far, append(frames, `fin=true op=2 masked=false "ijkl"`, `fin=true op=2 masked=false "mno"`)...)
	})
}

// A large Write whose deadline passes says how much the buffer has taken, and that arrives.
func TestStreamWriteDeadlineWithinAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, far := tightStream(t, 6)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := s.Write(make([]byte, 1<<20))
		wantTimeout(t, err)
		if n != maxStreamPayload {
			t.Errorf("got %d, want %d", n, maxStreamPayload)
		}
		room(far, 1<<20)
		wantFrames(t, far, fmt.Sprintf("fin=true op=2 masked=false %q", make([]byte, maxStreamPayload)))
	})
}

// A deadline ends all writes that wait, for room or for one another.
func TestStreamWriteDeadlineEndsAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, far := tightStream(t, 3)
		go c.Ping(t.Context()) // holds the lock
		synctest.Wait()
		before := fillStream(t, s)
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
		if n, err := s.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("got %d, %v, want 3, nil: nothing has happened", n, err)
		}
		frames := readFrames(t, far, len(before)+2)
		if len(frames) != len(before)+2 || frames[len(frames)-1] != `fin=true op=2 masked=false "abc"` {
			t.Errorf("got %d frames, want a ping, %d and the last", len(frames), len(before))
		}
	})
}

// A Write that timed out holds up nothing, and its deadline is for nothing else.
func TestStreamWriteDeadlineIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, far := tightStream(t, 0)
		frames := fillStream(t, s)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		_, err := s.Write([]byte("abc"))
		wantTimeout(t, err)
		room(far, 1<<20)
		const ping, a = `fin=true op=9 masked=false ""`, `fin=true op=2 masked=false "a"`
		for range 2 {
			if err := c.WriteControl(PingMessage, nil, time.Time{}); err != nil {
				t.Errorf("got %v, want nil", err)
			}
			s.SetWriteDeadline(time.Now().Add(time.Second))
			s.Write([]byte("a"))
			time.Sleep(2 * time.Second)
			frames = append(frames, ping, a)
		}
		wantFrames(t, far, frames...)
		if n := far.in.writeDeadlines; n != 1 {
			t.Errorf("got %d calls of SetWriteDeadline, want one, at the beginning", n)
		}
	})
}

// A pong and the frames of the stream leave in the order in which they came to be, and no Write
// waits for the network because of a pong that this does not take.
func TestStreamWriteBehindAPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, far := tightStream(t, 3)
		start := time.Now()
		s.SetWriteDeadline(start.Add(time.Second))
		write := func(p string) {
			t.Helper()
			if n, err := s.Write([]byte(p)); n != len(p) || err != nil {
				t.Errorf("got %d, %v, want %d, nil", n, err, len(p))
			}
		}
		write("abc")
		go s.Read(make([]byte, 1))
		synctest.Wait()
		far.Write(unhex(t, "89 81 00000000 41")) // a ping
		synctest.Wait()
		write("de")
		room(far, 7) // for the rest of the frame, and two bytes of the pong
		synctest.Wait()
		write("f")
		if d := time.Since(start); d != 0 {
			t.Errorf("got a wait of %v, want none", d)
		}
		time.Sleep(time.Hour)
		room(far, 1000)
		const frame = "fin=true op=2 masked=false "
		wantFrames(t, far, frame+`"abc"`, `fin=true op=10 masked=false "A"`, frame+`"de"`, frame+`"f"`)
	})
}

// A ping that comes while the network is full does not hold up reads beyond their deadline.
func TestStreamReadDeadlineWithinAPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, far := tightStream(t, 4)
		far.Write(unhex(t, "89 82 00000000 4142")) // its pong takes 4 bytes
		far.Write(unhex(t, "89 81 00000000 43"))   // and its pong 3
		start := time.Now()
		s.SetReadDeadline(start.Add(time.Second))
		_, err := s.Read(make([]byte, 1))
		wantTimeout(t, err)
		if got := time.Since(start); got != time.Second {
			t.Errorf("got the end after %v, want 1s", got)
		}
		room(far, 1000)
		if n, err := s.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("got %d, %v, want 3, nil: the stream goes on", n, err)
		}
		wantFrames(t, far, `fin=true op=10 masked=false "AB"`, `fin=true op=10 masked=false "C"`, `fin=true op=2 masked=false "abc"`)
	})
}

// Over TLS, too, a deadline that passes loses nothing.
func TestStreamWriteDeadlineOverTLS(t *testing.T) {
	serverConfig, clientConfig := tlsConfigs()
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(t, 10_000)
		near, far := tlsPair(t, a, b, serverConfig, clientConfig)
		c := newConn(near, true, nil, connOptions{})
		s, peer := NewStream(c, BinaryMessage), NewStream(newConn(far, false, nil, connOptions{}), BinaryMessage)
		sent := make([]byte, 1<<20)
		for i := range sent {
			sent[i] = byte(i * i >> 3)
		}
		s.SetWriteDeadline(aLongTimeAgo)
		_, err := s.Write(sent)
		wantTimeout(t, err)
		got := make([]byte, len(sent))
		timeouts := 0
		for written, read := 0, 0; read < len(sent); read = written {
			s.SetWriteDeadline(time.Now().Add(time.Second))
			n, err := s.Write(sent[written:])
			if written += n; err != nil {
				wantTimeout(t, err)
				timeouts++
			}
			if _, err := io.ReadFull(peer, got[read:written]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Error("got other bytes than those that were written")
		}
		if timeouts < 5 {
			t.Errorf("got %d timeouts, want some", timeouts)
		}
		go s.Read(make([]byte, 1))
		go peer.Read(make([]byte, 1))
		if _, err := c.Ping(t.Context()); err != nil {
			t.Errorf("Ping: got %v, want a good connection", err)
		}
		s.Close()
		peer.Close()
	})
}

// The verdict on a silent peer does not wait for the frames that the network does not take.
func TestStreamKeepaliveOnAFullNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 4)
		room(near, 1000)
		c := newConn(near, true, nil, connOptions{pingInterval: 10 * time.Second, pongTimeout: 4 * time.Second})
		s := NewStream(c, BinaryMessage)
		defer s.Close()
		start := time.Now()
		s.Write([]byte("abc"))
		far.Write(unhex(t, "82 81 00000000 61"))
		s.Read(make([]byte, 1))
		_, err := s.Read(make([]byte, 1))
		wantKeepaliveError(t, "it has read nothing and sent nothing", err, "4s")
		if d := time.Since(start); d != 14*time.Second {
			t.Errorf("got it after %v, want 14s", d)
		}
		if _, again := s.Write([]byte("a")); again != err {
			t.Errorf("Write: got %v, want the verdict", again)
		}
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
