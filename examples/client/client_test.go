//go:build go1.25

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switching-protocols/websocket"
)

// TestMain discards the log: net/http writes to it what goes wrong while servers are killed.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// network is where the client dials, and one server at a time may listen.
type network struct {
	mu    sync.Mutex
	conns chan net.Conn // nil where nobody listens
	open  []net.Conn
}

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns == nil {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	n.open = append(n.open, client, server)
	n.conns <- server
	return client, nil
}

// listen starts a server. kill ends it, and cuts its connections.
func (n *network) listen(handler http.Handler) (kill func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = make(chan net.Conn, 10)
	srv := &http.Server{Handler: handler}
	go srv.Serve(listener{n.conns}) // ends when conns is closed
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		close(n.conns)
		n.conns = nil
		for _, nc := range n.open {
			nc.Close()
		}
		n.open = nil
	}
}

type listener struct{ conns chan net.Conn }

func (l listener) Accept() (net.Conn, error) {
	if nc, ok := <-l.conns; ok {
		return nc, nil
	}
	return nil, net.ErrClosed
}

func (l listener) Close() error   { return nil }
func (l listener) Addr() net.Addr { return &net.TCPAddr{} }

func newClient(n *network, got func(message)) *client {
	return &client{
		url:    "ws://a.example/",
		dialer: &websocket.Dialer{NetDialContext: n.dial, PingInterval: 20 * time.Second},
		topics: map[string]uint64{"a": 0, "b": 0},
		got:    got,
		log:    func(string, ...any) {},
		min:    100 * time.Millisecond,
		max:    10 * time.Second,
	}
}

// However often the server is killed, each message of each topic comes once and in order.
func TestServerIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 500
		f, n := newFeed(), &network{}
		got := make(map[string]uint64)
		ctx, cancel := context.WithCancel(t.Context())
		var received atomic.Int64
		c := newClient(n, func(m message) {
			received.Add(1)
			if got[m.Topic]++; m.Number != got[m.Topic] || m.Text != fmt.Sprint(m.Topic, m.Number) {
				t.Errorf("got %+v, want message %d", m, got[m.Topic])
			}
			if got["a"] == messages && got["b"] == messages {
				cancel()
			}
		})
		done := make(chan error)
		go func() { done <- c.run(ctx) }()
		go func() {
			for i := range messages {
				time.Sleep(50 * time.Millisecond)
				f.publish("a", fmt.Sprint("a", i+1))
				f.publish("b", fmt.Sprint("b", i+1))
			}
		}()
		var upgrader websocket.Upgrader
		for range 5 {
			kill := n.listen(upgrader.HandlerFunc(f.serve))
			time.Sleep(3210 * time.Millisecond)
			if n := received.Load(); n == 0 || n == 2*messages {
				t.Errorf("got %d messages before the server is killed, want some", n)
			}
			kill()
			time.Sleep(1500 * time.Millisecond)
		}
		kill := n.listen(upgrader.HandlerFunc(f.serve))
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v after %v, want all messages", err, got)
		}
		kill()
		synctest.Wait()
	})
}

// A server that keeps refusing is asked less and less often, and one that says when is left alone until then.
func TestServerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		var requests, retryAfter atomic.Int64
		kill := n.listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			if s := retryAfter.Load(); s > 0 {
				w.Header().Set("Retry-After", fmt.Sprint(s))
			}
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}))
		count := func(d time.Duration) int64 {
			before := requests.Load()
			time.Sleep(d)
			return requests.Load() - before
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		c := newClient(n, nil)
		go func() { done <- c.run(ctx) }()
		if got := count(time.Second); got < 3 || got > 10 {
			t.Errorf("got %d requests in the first second, want some", got)
		}
		time.Sleep(time.Minute)
		if got := count(time.Minute); got < 6 || got > 12 {
			t.Errorf("got %d requests in a later minute, want one in 5 to 10 s", got)
		}
		retryAfter.Store(300)
		time.Sleep(10 * time.Second)
		if got := count(290 * time.Second); got > 1 {
			t.Errorf("got %d requests in 290 s, want one in 300 s", got)
		}
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		kill()
	})
}

// What ends the client, and what does not.
func TestIsFinal(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{io.ErrUnexpectedEOF, false},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, false},
		{&websocket.CloseError{Code: websocket.CloseAbnormalClosure}, false},
		{&websocket.CloseError{Code: websocket.CloseGoingAway}, false},
		{&websocket.CloseError{Code: websocket.CloseInternalServerErr}, false},
		{&websocket.CloseError{Code: websocket.CloseServiceRestart}, false},
		{&websocket.CloseError{Code: websocket.CloseTryAgainLater}, false},
		{&websocket.CloseError{Code: websocket.CloseNormalClosure}, true},
		{&websocket.CloseError{Code: websocket.ClosePolicyViolation}, true},
		{&websocket.CloseError{Code: websocket.CloseMessageTooBig}, true},
		{&websocket.CloseError{Code: 4001}, true},
		{websocket.ErrReadLimit, true},
		{refusedError{http.StatusServiceUnavailable, websocket.ErrBadHandshake}, false},
		{refusedError{http.StatusBadGateway, websocket.ErrBadHandshake}, false},
		{refusedError{http.StatusTooManyRequests, websocket.ErrBadHandshake}, false},
		{refusedError{http.StatusUnauthorized, websocket.ErrBadHandshake}, true},
		{refusedError{http.StatusNotFound, websocket.ErrBadHandshake}, true},
		{finalError{errors.New("messages are lost")}, true},
	} {
		if got := isFinal(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
			t.Errorf("%v: got final %t, want %t", tt.err, got, tt.want)
		}
	}
}

// Messages that the server no longer has are not passed over in silence.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		var upgrader websocket.Upgrader
		kill := n.listen(upgrader.HandlerFunc(func(c *websocket.Conn, r *http.Request) {
			c.ReadMessage() // the subscriptions: net.Pipe has no buffer
			c.ReadMessage()
			c.WriteJSON(message{"a", 1, ""})
			c.WriteJSON(message{"a", 5, ""})
			c.ReadMessage()
		}))
		err := newClient(n, func(message) {}).run(t.Context())
		if err == nil || err.Error() != "messages 2 to 4 of a are lost" {
			t.Errorf("got %v, want messages 2 to 4 lost", err)
		}
		kill()
	})
}
