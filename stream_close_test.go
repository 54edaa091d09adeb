//go:build go1.25

package websocket

import (
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

// Close takes a second at most where the network is full, and none where a frame is
// unfinished, in which a Close frame cannot be.
func TestStreamCloseOnAFullNetwork(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written string // before, until a timeout
		blocked bool   // while another write waits
		size    int    // of the network
		want    time.Duration
	}{
		{"between frames", "a", false, 3, time.Second},
		{"within a header", "abcd", false, 1, 0},
		{"within a payload", "abcd", false, 3, 0},
		{"while a write waits", "", true, 3, 0},
		{"while a write waits to go on", "abcd", true, 3, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, _ := tightStream(t, tt.size)
				s.SetWriteDeadline(time.Now().Add(time.Second))
				s.Write([]byte(tt.written))
				s.SetWriteDeadline(time.Time{})
				done := make(chan error, 2)
				if tt.blocked {
					go func() {
						_, err := s.Write([]byte("efgh"))
						done <- err
					}()
				} else {
					done <- net.ErrClosed
				}
				if tt.want == 0 {
					go func() { // it waits for the end of the frame
						_, err := c.Ping(t.Context())
						done <- err
					}()
				} else {
					done <- net.ErrClosed
				}
				synctest.Wait()
				start := time.Now()
				s.Close()
				if got := time.Since(start); got != tt.want {
					t.Errorf("got the end of Close after %v, want %v", got, tt.want)
				}
				for range 2 {
					if err := <-done; !errors.Is(err, net.ErrClosed) {
						t.Errorf("got %v, want net.ErrClosed", err)
					}
				}
				if _, err := c.Ping(t.Context()); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Ping after Close: got %v, want net.ErrClosed", err)
				}
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
