//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Close sends a Close frame, which is the end of the peer's stream, and ends what is
// going on here.
func TestStreamClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, far := newTestStream(t, BinaryMessage)
		done := make(chan error)
		go func() {
			_, err := s.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		_, read := s.Read(make([]byte, 1))
		_, write := s.Write(make([]byte, 1))
		for name, err := range map[string]error{"blocked Read": <-done, "Read": read, "Write": write} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: got %v, want net.ErrClosed", name, err)
			}
		}
		peer := NewStream(newConn(far, false, nil, connOptions{}), BinaryMessage)
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer: got %v, want EOF", err)
		}
	})
}

// Close sends what was written before, over TLS too, and the peer's stream ends behind it.
func TestStreamCloseSendsTheBuffer(t *testing.T) {
	serverConfig, clientConfig := tlsConfigs()
	for name, overTLS := range map[string]bool{"pipe": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newPipe(t, 10_000)
				near, far := net.Conn(a), net.Conn(b)
				if overTLS {
					near, far = tlsPair(t, a, b, serverConfig, clientConfig)
				}
				s, peer := streamPair(near, far, BinaryMessage)
				part := bytes.Repeat([]byte("0123456789abcdef"), 12_000/16)
				const parts = 4 // more than the network takes
				sent := bytes.Repeat(part, parts)
				for range parts {
					if n, err := s.Write(part); n != len(part) || err != nil {
						t.Errorf("got %d, %v, want %d, nil", n, err, len(part))
					}
				}
				done := make(chan error)
				go func() { done <- s.Close() }()
				synctest.Wait()
				if got, err := io.ReadAll(peer); !bytes.Equal(got, sent) || err != nil {
					t.Errorf("got %d bytes, %v, want the %d that were written, and the end", len(got), err, len(sent))
				}
				if err := <-done; err != nil {
					t.Errorf("got %v, want nil", err)
				}
			})
		})
	}
}

// Close waits until the write deadline, or five seconds, where the network is full, and not at all where nothing is in the
// buffer but the Close frame, for which there is room. It ends all calls that wait.
func TestStreamCloseOnAFullNetwork(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written int // before; all that has room if negative
		network int // the bytes that it takes
		blocked int // of a Write that waits
		want    time.Duration
	}{
		{"room for the Close frame", 0, 4, 0, 0},
		{"no room for all of the Close frame", 0, 3, 0, 5 * time.Second},
		{"between frames", 1, 3, 0, 5 * time.Second},
		{"within a header", 4, 1, 0, 5 * time.Second},
		{"within a payload", 4, 3, 0, 5 * time.Second},
		{"all of the buffer", -1, 3, 0, 5 * time.Second},
		{"while a Write waits for the network", 0, 3, 1 << 20, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, _ := tightStream(t, tt.network)
				if tt.written < 0 {
					fillStream(t, s)
					tt.written = 0
				}
				if n, err := s.Write(make([]byte, tt.written)); n != tt.written || err != nil {
					t.Errorf("got %d, %v, want %d, nil", n, err, tt.written)
				}
				streamEnds, pingEnds := make(chan error, 2), make(chan error, 1)
				go func() { streamEnds <- second(s.Read(make([]byte, 1))) }()
				go func() {
					if tt.blocked > 0 {
						streamEnds <- second(s.Write(make([]byte, tt.blocked)))
					} else {
						streamEnds <- net.ErrClosed
					}
				}()
				synctest.Wait()
				if tt.blocked > 0 {
					go func() { pingEnds <- second(c.Ping(t.Context())) }()
				} else {
					pingEnds <- net.ErrClosed
				}
				synctest.Wait()
				start := time.Now()
				s.Close()
				if got := time.Since(start); got != tt.want {
					t.Errorf("got the end of Close after %v, want %v", got, tt.want)
				}
				for range 2 {
					if err := <-streamEnds; !errors.Is(err, net.ErrClosed) {
						t.Errorf("got %v, want net.ErrClosed", err)
					}
				}
				// The Close frame ends the writes of c before its Close does.
				for name, err := range map[string]error{"waiting": <-pingEnds, "later": second(c.Ping(t.Context()))} {
					if !errors.Is(err, net.ErrClosed) && err != ErrCloseSent {
						t.Errorf("Ping %s: got %v, want net.ErrClosed or ErrCloseSent", name, err)
					}
				}
				synctest.Wait()
				c.wantNothingUnsent(t)
			})
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

// Shutdown in place of Close loses nothing that was written before.
func TestStreamShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 100)
		c := newConn(near, true, nil, connOptions{})
		s := NewStream(c, BinaryMessage)
		peer := NewStream(newConn(far, false, nil, connOptions{}), BinaryMessage)
		type result struct {
			data string
			err  error
		}
		read := func(s net.Conn, done chan<- result) {
			data, err := io.ReadAll(s)
			done <- result{string(data), err}
		}
		here, there := make(chan result, 1), make(chan result, 1)
		go read(s, here)
		s.Write([]byte("from here"))
		peer.Write([]byte("from there"))
		shutdown := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			shutdown <- c.Shutdown(ctx, CloseNormalClosure, "")
		}()
		synctest.Wait()
		if _, err := s.Write([]byte("x")); err != ErrCloseSent {
			t.Errorf("Write: got %v, want ErrCloseSent", err)
		}
		peer.Write([]byte(", later"))
		go read(peer, there)
		if got, want := <-there, (result{"from here", nil}); got != want {
			t.Errorf("the peer: got %v, want %v", got, want)
		}
		peer.Close()
		if err := <-shutdown; err != nil {
			t.Errorf("Shutdown: got %v, want nil", err)
		}
		if got, want := <-here, (result{"from there, later", nil}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// What Shutdown discards, as nobody reads, leaves no hole in the stream.
func TestStreamShutdownLeavesNoHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, wire := newTestStream(t, BinaryMessage)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wire.Write(unhex(t, "82 83 00000000 6f6e65")) // "one"
		go c.Shutdown(ctx, CloseNormalClosure, "")
		time.Sleep(2 * claimTime)
		done := make(chan int)
		go func() {
			n, _ := s.Read(make([]byte, 10))
			done <- n
		}()
		synctest.Wait()
		wire.Write(unhex(t, "82 83 00000000 74776f")) // "two"
		wire.Write(unhex(t, "88 80 00000000"))
		if n := <-done; n != 0 {
			t.Errorf("got %d bytes of what came later, want none", n)
		}
	})
}

// Ping works beside the stream in both directions, with writes that fill the network.
func TestStreamPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 1000)
		server, client := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
		a, b := NewStream(server, BinaryMessage), NewStream(client, BinaryMessage)
		var all sync.WaitGroup
		all.Go(func() { io.Copy(io.Discard, a) })
		all.Go(func() {
			for buf := make([]byte, 100); ; time.Sleep(time.Millisecond) {
				if _, err := b.Read(buf); err != nil {
					return
				}
			}
		})
		all.Go(func() { a.Write(make([]byte, 100_000)) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 5 {
			for _, c := range []*Conn{server, client} {
				if _, err := c.Ping(ctx); err != nil {
					t.Errorf("got %v, want nil", err)
				}
			}
		}
		a.Close()
		b.Close()
		all.Wait()
	})
}

// The goroutine that reads often closes the stream when it sees the end, which may be
// the answer to a Close that is at work: that one succeeds, and the later one fails.
func TestStreamCloseTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := tightStream(t, 3)
		s.Write([]byte("a"))
		first := make(chan error)
		go func() { first <- s.Close() }() // waits for the network to take the Close frame
		synctest.Wait()
		if err := s.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: got %v, want net.ErrClosed", err)
		}
		if err := <-first; err != nil {
			t.Errorf("first Close: got %v, want nil", err)
		}
	})
}

// The write deadline is also that of what Writes have left in the buffer.
func TestStreamCloseHeedsTheWriteDeadline(t *testing.T) {
	for _, within := range []time.Duration{time.Millisecond, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := tightStream(t, 3)
			s.Write(make([]byte, 100))
			start := time.Now()
			s.SetWriteDeadline(start.Add(within))
			if s.Close(); time.Since(start) != within {
				t.Errorf("got the end of Close after %v, want %v", time.Since(start), within)
			}
		})
	}
}

// Close leaves no timer behind.
func TestStreamCloseStopsItsTimer(t *testing.T) {
	near, _ := newPipe(t, 1000)
	s := NewStream(newConn(near, true, nil, connOptions{}), BinaryMessage).(*stream)
	if err := s.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s.timer.Stop() {
		t.Error("got a timer that runs, want it stopped")
	}
	if err := s.SetDeadline(time.Now().Add(time.Hour)); !errors.Is(err, net.ErrClosed) || s.timer.Stop() {
		t.Errorf("after Close: got %v, or a timer that runs, want net.ErrClosed", err)
	}
}
