package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switching-protocols/websocket"
)

// pipeListener is a network in memory that has no buffer: who does not read blocks who writes.
type pipeListener struct{ conns chan net.Conn }

func (l pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// withSlowClient runs a test with a client whose queue is one event too long, and the other end of its connection,
// which has not been read. Time passes when everything waits.
func withSlowClient(t *testing.T, test func(t *testing.T, peer *websocket.Conn, ended <-chan struct{})) {
	output := log.Writer()
	log.SetOutput(io.Discard)
	defer log.SetOutput(output)
	synctest.Test(t, func(t *testing.T) {
		clients, ended := make(chan *client, 1), make(chan struct{})
		var upgrader websocket.Upgrader
		ln := pipeListener{make(chan net.Conn)}
		srv := &http.Server{Handler: upgrader.HandlerFunc(func(conn *websocket.Conn, r *http.Request) {
			defer close(ended)
			c := &client{conn: conn}
			clients <- c
			for {
				if _, err := c.read(); err != nil {
					return
				}
			}
		})}
		go srv.Serve(ln) // ends with the listener
		defer close(ln.conns)
		dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) {
			near, far := net.Pipe()
			ln.conns <- far
			return near, nil
		}}
		peer, _, err := dialer.Dial("ws://cluster.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()

		c := <-clients
		start := time.Now()
		alive := prepare(event{Type: "alive"})
		c.send(alive)
		synctest.Wait() // until it is being written
		for range maxQueue {
			c.send(alive)
		}
		if c.isClosing() {
			t.Fatal("the client is being closed, want it not to be: the queue is full, but holds everything")
		}
		c.send(alive)
		if got := time.Since(start); got != 0 || !c.isClosing() {
			t.Fatalf("got closing %t after %v, want true after 0s", c.isClosing(), got)
		}
		test(t, peer, ended)
	})
}

func (c *client) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// A client that reads again in time learns why it is closed, and that it may come back.
func TestSlowClientIsTold(t *testing.T) {
	withSlowClient(t, func(t *testing.T, peer *websocket.Conn, ended <-chan struct{}) {
		time.Sleep(writeTimeout / 2)
		for {
			_, _, err := peer.ReadMessage()
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				if closed.Code != websocket.CloseTryAgainLater {
					t.Errorf("got %v, want close code 1013", err)
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		<-ended
	})
}

// A client that never reads again is gone after a while.
func TestDeadClient(t *testing.T) {
	withSlowClient(t, func(t *testing.T, peer *websocket.Conn, ended <-chan struct{}) {
		start := time.Now()
		<-ended
		if got := time.Since(start); got > writeTimeout+closeTimeout {
			t.Errorf("the connection ended after %v, want at most %v", got, writeTimeout+closeTimeout)
		}
	})
}
