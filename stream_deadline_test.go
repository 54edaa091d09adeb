//go:build go1.25

package websocket

import (
	"context"
	"crypto/tls"
	"errors"
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

// Writes end at their deadline, and at one that is set meanwhile; what is written
// then goes on where they ended.
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
		s.SetWriteDeadline(past)
		want("abcdefgh", 0, 0, "the deadline has passed")
		s.SetWriteDeadline(start.Add(time.Second))
		want("abcdefgh", 4, time.Second, "the header and four bytes have room")
		s.SetWriteDeadline(start.Add(time.Minute))
		time.AfterFunc(time.Second, func() { s.SetDeadline(time.Now()) })
		want("efgh", 0, 2*time.Second, "another goroutine has set an earlier one")
		s.SetWriteDeadline(start.Add(3 * time.Second))
		time.AfterFunc(time.Second/2, func() { s.SetWriteDeadline(start.Add(time.Minute)) })
		time.AfterFunc(5*time.Second, func() { room(far, 1000) })
		want("efgh", 4, 7*time.Second, "another goroutine has set a later one, before which there was room")
		s.SetDeadline(time.Time{})
		want("ijk", 3, 7*time.Second, "there is room")
		wantFrames(t, far, `fin=true op=2 masked=false "abcdefgh"`, `fin=true op=2 masked=false "ijk"`)
	})
}

// A deadline ends all writes that wait, for the network or for others.
func TestStreamWriteDeadlineEndsAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, far := tightStream(t, 3)
		go c.Ping(t.Context()) // holds the wire
		synctest.Wait()
		done := make(chan error)
		for range 3 {
			go func() {
				_, err := s.Write([]byte("abc"))
				done <- err
			}()
		}
		synctest.Wait()
		s.SetWriteDeadline(time.Now())
		for range 3 {
			wantTimeout(t, <-done)
		}
		room(far, 1000)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := s.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("got %d, %v, want 3, nil: nothing has happened", n, err)
		}
	})
}

// A write that timed out before its first byte holds up nobody, and its deadline is
// for nobody else.
func TestStreamWriteDeadlineIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, far := tightStream(t, 0)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		_, err := s.Write([]byte("abc"))
		wantTimeout(t, err)
		room(far, 1000)
		for range 2 {
			if err := c.WriteControl(PingMessage, nil, time.Time{}); err != nil {
				t.Errorf("got %v, want nil: no frame is unfinished", err)
			}
			s.SetWriteDeadline(time.Now().Add(time.Second))
			s.Write([]byte("a"))
			time.Sleep(2 * time.Second)
		}
		const ping, a = `fin=true op=9 masked=false ""`, `fin=true op=2 masked=false "a"`
		wantFrames(t, far, ping, a, ping, a)
	})
}

// A pong that the network does not take holds up no write beyond its deadline, and
// goes on with the next.
func TestStreamWriteDeadlineWithinAPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, far := tightStream(t, 3)
		done := make(chan error)
		go func() {
			n, err := s.Write([]byte("abc"))
			if n != 3 {
				t.Errorf("got %d, want 3", n)
			}
			done <- err
		}()
		go s.Read(make([]byte, 1))
		synctest.Wait()
		far.Write(unhex(t, "89 81 00000000 41")) // a ping
		synctest.Wait()
		room(far, 7) // for the rest of the frame, and two bytes of the pong
		time.Sleep(time.Second)
		s.SetWriteDeadline(time.Now())
		if err := <-done; err != nil {
			t.Errorf("got %v, want nil: all has left", err)
		}
		s.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := s.Write([]byte("de"))
		if n != 0 {
			t.Errorf("got %d, want 0: the pong comes first", n)
		}
		wantTimeout(t, err)
		room(far, 1000)
		s.SetWriteDeadline(time.Time{})
		s.Write([]byte("def"))
		wantFrames(t, far, `fin=true op=2 masked=false "abc"`, `fin=true op=10 masked=false "A"`, `fin=true op=2 masked=false "def"`)
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

// Over TLS a write that timed out has ended the writing; reading goes on.
func TestStreamWriteDeadlineOverTLS(t *testing.T) {
	serverConfig, clientConfig := tlsConfigs()
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 10_000)
		c := newConn(tls.Server(near, serverConfig), true, nil, connOptions{})
		s := NewStream(c, BinaryMessage)
		peer := NewStream(newConn(tls.Client(far, clientConfig), false, nil, connOptions{}), BinaryMessage)
		wantRead := func(text string) {
			t.Helper()
			go peer.Write([]byte(text)) // the first does the handshake
			b := make([]byte, len(text))
			if _, err := io.ReadFull(s, b); string(b) != text || err != nil {
				t.Errorf("got %q, %v, want %q, nil", b, err, text)
			}
		}
		wantRead("abc")
		s.SetWriteDeadline(past)
		_, err := s.Write([]byte("a"))
		wantTimeout(t, err)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := s.Write([]byte("a")); err != nil {
			t.Errorf("got %v, want nil: before, nothing was tried", err)
		}
		_, err = s.Write(make([]byte, 100_000))
		wantTimeout(t, err)
		s.SetWriteDeadline(time.Time{})
		for range 2 {
			if _, err := s.Write([]byte("x")); err == nil {
				t.Error("got nil, want an error")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Ping(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("Ping: got %v, want an error, and no waiting", err)
		}
		wantRead("def")
	})
}

// A ping that cannot be sent, as the program pauses within a frame, is no reason to
// give up the peer.
func TestStreamKeepaliveWithinAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 4)
		room(near, 1000)
		c := newConn(near, true, nil, connOptions{pingInterval: time.Second})
		s := NewStream(c, BinaryMessage)
		defer s.Close()
		s.SetWriteDeadline(time.Now().Add(time.Millisecond))
		n, err := s.Write([]byte("abc"))
		if n != 2 {
			t.Errorf("got %d, want 2", n)
		}
		wantTimeout(t, err)
		room(far, 1000)
		s.SetReadDeadline(time.Now().Add(time.Minute))
		_, err = s.Read(make([]byte, 1))
		wantTimeout(t, err)
		s.SetWriteDeadline(time.Time{})
		s.Write([]byte("c"))
		s.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = s.Read(make([]byte, 1))
		if errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
			t.Errorf("got %v, want the verdict: now the ping was sent, and is not answered", err)
		}
		frames := readFrames(t, far)
		if len(frames) != 2 || frames[0] != `fin=true op=2 masked=false "abc"` || frames[1] != `fin=true op=9 masked=false ""` {
			t.Errorf("got %q, want the frame and a ping", frames)
		}
	})
}
