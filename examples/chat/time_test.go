//go:build go1.25

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switching-protocols/websocket"
)

// The tests in this file let hours pass in no time, in a bubble. It also sees to it
// that no goroutine is left.

// A pipeListener is a network in memory. net.Pipe has no buffer: who does not
// read blocks who writes.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble runs test with a hub whose server is reached through dialer.
func inBubble(t *testing.T, test func(t *testing.T, h *hub, dialer *websocket.Dialer)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		srv := &http.Server{Handler: newHandler(h)}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		t.Cleanup(func() {
			h.close()
			h.wait()
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("Serve: got error %v, want %v", err, http.ErrServerClosed)
			}
		})
		test(t, h, &websocket.Dialer{NetDialContext: l.dial})
	})
}

// deafen reads what the server sends without looking at it, so that no ping is
// answered, and returns when the connection has ended.
func deafen(c client) {
	c.t.Helper()
	if err := c.NetConn().SetReadDeadline(time.Time{}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c.NetConn()); err != nil {
		c.t.Errorf("got error %v, want the end of the connection", err)
	}
}

func wantElapsed(t *testing.T, start time.Time, want time.Duration, why string) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Errorf("got the end after %v, want %v: %s", got, want, why)
	}
}

func TestAnsweringPingsKeepsMember(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, d *websocket.Dialer) {
		c := dial(t, d, "http://chat.test/")
		c.join("Ann")
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.wantClose(websocket.CloseGoingAway)
		}()
		time.Sleep(10 * (pingInterval + pongTimeout))
		synctest.Wait()
		h.mu.Lock()
		got := len(h.people)
		h.mu.Unlock()
		if got != 1 {
			t.Errorf("got %d people after a long silence, want 1: she has answered all pings", got)
		}
		h.close()
		<-closed
	})
}

func TestDeadMemberLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, d *websocket.Dialer) {
		start := time.Now()
		c := dial(t, d, "http://chat.test/")
		c.join("Ann")
		deafen(c)
		wantElapsed(t, start, pingInterval+pongTimeout, "no pong came")
		h.wait()
		if len(h.people) != 0 {
			t.Errorf("got %d people, want none", len(h.people))
		}
	})
}

func TestWhoNeverJoinsIsDisconnected(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, d *websocket.Dialer) {
		start := time.Now()
		c := dial(t, d, "http://chat.test/")
		deafen(c)
		wantElapsed(t, start, joinTimeout+closeTimeout, "no join came, and no answer to the Close frame")
	})
}

// A page that stops reading holds up nobody, and is gone soon.
func TestStuckReader(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, d *websocket.Dialer) {
		stuck := dial(t, d, "http://chat.test/")
		stuck.send(request{Type: "join", Name: "Stuck", Key: "key"})
		ann := dial(t, d, "http://chat.test/")
		synctest.Wait() // the welcome blocks in the pipe
		ann.join("Ann")

		start := time.Now()
		for i := range maxQueue {
			ann.send(request{Type: "say", ID: string(rune('A' + i)), Text: "Hello"})
			ann.want("said")
		}
		ann.want("left")
		wantElapsed(t, start, 0, "nobody waits for a slow member")
		time.Sleep(writeTimeout)
		synctest.Wait() // from here on the pipe is read again
		if _, err := stuck.NetConn().Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got error %v from the connection, want %v", err, io.EOF)
		}
		wantElapsed(t, start, writeTimeout, "the welcome was not taken for so long")
	})
}

// What was said before the server stopped still reaches everyone.
func TestLastWords(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, d *websocket.Dialer) {
		ann := dial(t, d, "http://chat.test/")
		ann.join("Ann")
		bob, _ := enter(t, h, "Bob", "key b")
		ann.want("joined")
		for i := range 10 {
			say(t, h, bob, fmt.Sprint(i), "Hello")
		}
		h.disconnect(bob)
		h.close()
		for range 10 {
			ann.want("said")
		}
		ann.want("left")
		ann.wantClose(websocket.CloseGoingAway)
	})
}
