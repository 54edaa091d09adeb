//go:build go1.25

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switching-protocols/websocket"
)

// The tests let time pass in no time, in a bubble, which also sees to it that no
// goroutine is left in the end.

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

// A room is a hub that is running.
type room struct {
	t   *testing.T
	hub *hub
	ln  *pipeListener
}

func inRoom(t *testing.T, slow string, test func(t *testing.T, r *room)) {
	output := log.Writer()
	log.SetOutput(io.Discard)
	defer log.SetOutput(output)
	synctest.Test(t, func(t *testing.T) {
		r := &room{t, newHub(slow), &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx, r.ln, r.hub) }()
		test(t, r)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: got %v, want nil", err)
		}
		synctest.Wait()
		if got := r.hub.group.Len(); got != 0 {
			t.Errorf("got %d connections in the end, want none", got)
		}
	})
}

func (r *room) dial() *websocket.Conn {
	r.t.Helper()
	dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		near, far := net.Pipe()
		r.ln.conns <- far
		return near, nil
	}}
	c, _, err := dialer.Dial("ws://hub.test/", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	synctest.Wait() // it is a member now
	return c
}

// A fast client reads all the time.
type fast struct {
	*websocket.Conn
	got chan string
	end chan error
}

func (r *room) dialFast() *fast {
	c := &fast{r.dial(), make(chan string, 1), make(chan error, 1)}
	go func() { // ends with the connection
		for {
			_, p, err := c.ReadMessage()
			if err != nil {
				c.end <- err
				return
			}
			c.got <- string(p)
		}
	}()
	return c
}

// say has a client send messages, each when all fast ones have got the one before.
func (r *room) say(from *fast, all []*fast, first, n int, filler string) {
	r.t.Helper()
	start := time.Now()
	for i := first; i < first+n; i++ {
		text := fmt.Sprint(i, filler)
		if err := from.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			r.t.Fatal(err)
		}
		for _, c := range all {
			if got := <-c.got; got != text {
				r.t.Fatalf("got message %.10q, want %.10q", got, text)
			}
		}
	}
	if got := time.Since(start); got != 0 {
		r.t.Errorf("the fast clients got their messages after %v, want at once", got)
	}
}

func (r *room) wantClients(n int, why string) {
	r.t.Helper()
	synctest.Wait()
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	if got := len(r.hub.clients); got != n {
		r.t.Errorf("got %d clients, want %d: %s", got, n, why)
	}
}

// A client that never reads costs the others nothing, and neither memory nor
// goroutines grow with what it does not take. In the end it is disconnected.
func TestClientThatNeverReads(t *testing.T) {
	for _, slow := range []string{drop, disconnect} {
		t.Run(slow, func(t *testing.T) {
			inRoom(t, slow, func(t *testing.T, r *room) {
				all := []*fast{r.dialFast(), r.dialFast(), r.dialFast()}
				r.dial() // and never reads
				r.wantClients(4, "all are there")
				filler := string(bytes.Repeat([]byte("x"), readLimit-10))

				r.say(all[0], all, 0, maxQueue+1, filler)
				r.wantClients(4, "the queue is full, but holds everything")
				memory, goroutines := heap(), runtime.NumGoroutine()
				r.say(all[0], all, maxQueue+1, 1000, filler) // 4 MB
				want := 4
				if slow == disconnect {
					want = 3
				}
				r.wantClients(want, "the queue of one was full")
				if got := heap() - memory; got > 1<<20 {
					t.Errorf("got %d bytes more memory, want less than 1 MiB", got)
				}
				if got := runtime.NumGoroutine() - goroutines; got > 2 { // client.shutdown, and one of Conn.Shutdown
					t.Errorf("got %d goroutines more, want 2 at most", got)
				}

				time.Sleep(writeTimeout)
				r.wantClients(3, "a message was not taken for so long")
				time.Sleep(closeTimeout)
				synctest.Wait()
				if got := r.hub.group.Len(); got != 3 {
					t.Errorf("got %d connections, want those of the fast clients", got)
				}
				r.say(all[1], all, 5000, 10, "") // the others go on
			})
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A client that reads again in time has missed the messages in the middle.
func TestDropForSlowClient(t *testing.T) {
	inRoom(t, drop, func(t *testing.T, r *room) {
		all := []*fast{r.dialFast(), r.dialFast()}
		slow := r.dial()
		const n = 3 * maxQueue
		r.say(all[0], all, 0, n, "")
		time.Sleep(writeTimeout / 2)
		want := []int{0} // the writer was at it
		for i := n - maxQueue; i < n; i++ {
			want = append(want, i)
		}
		for _, i := range want {
			if _, p, err := slow.ReadMessage(); string(p) != fmt.Sprint(i) || err != nil {
				t.Fatalf("got %q, %v, want %d, nil", p, err, i)
			}
		}
		r.wantClients(3, "it is as good as the others now")
	})
}

// A client that reads again in time learns why it was disconnected, and that it may
// come back.
func TestDisconnectSlowClient(t *testing.T) {
	inRoom(t, disconnect, func(t *testing.T, r *room) {
		all := []*fast{r.dialFast(), r.dialFast()}
		slow := r.dial()
		r.say(all[0], all, 0, 3*maxQueue, "")
		r.wantClients(2, "the queue was full")
		time.Sleep(writeTimeout / 2)
		for i := 0; ; i++ {
			_, p, err := slow.ReadMessage()
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				if *closed != (websocket.CloseError{Code: websocket.CloseTryAgainLater, Text: "too slow"}) {
					t.Errorf("got %v, want 1013, too slow", err)
				}
				break
			}
			if string(p) != fmt.Sprint(i) || err != nil {
				t.Fatalf("got %q, %v, want %d, without a gap", p, err, i)
			}
		}
	})
}

// A client that is gone without a word is found, though nobody says anything.
func TestDeadClient(t *testing.T) {
	inRoom(t, drop, func(t *testing.T, r *room) {
		r.dialFast()
		r.dial() // answers no ping
		time.Sleep(pingInterval + pongTimeout - 1)
		r.wantClients(2, "the time is not over")
		time.Sleep(1)
		r.wantClients(1, "only one has answered")
	})
}

// When the server stops, everybody is told.
func TestStop(t *testing.T) {
	var c *fast
	inRoom(t, drop, func(t *testing.T, r *room) {
		c = r.dialFast()
		r.t.Cleanup(func() {
			if err := <-c.end; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("got %v, want close 1001", err)
			}
		})
	})
}
