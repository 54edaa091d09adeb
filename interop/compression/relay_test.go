package compression

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A relay passes the bytes of one connection on between a client and a server, and keeps
// them. So both have a TCP connection of their own.
type relay struct {
	t        *testing.T
	listener net.Listener
	ended    chan struct{}

	fromClient, fromServer bytes.Buffer // complete when ended is closed
}

// newRelay returns a relay to the server at the address.
func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, listener: l, ended: make(chan struct{})}
	go r.run(server) // ends with the connection, or when the listener is closed
	t.Cleanup(func() {
		l.Close()
		r.wait()
	})
	return r
}

func (r *relay) url() string { return "ws://" + r.listener.Addr().String() + "/" }

func (r *relay) run(server string) {
	defer close(r.ended)
	client, err := r.listener.Accept()
	r.listener.Close()
	if err != nil {
		return
	}
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	late := time.Now().Add(2 * patience)
	client.SetDeadline(late)
	upstream.SetDeadline(late)

	var both sync.WaitGroup
	both.Go(func() { pass(upstream, client, &r.fromClient) })
	both.Go(func() { pass(client, upstream, &r.fromServer) })
	both.Wait()
}

// pass copies bytes until one side has no more, and passes that on, too.
func pass(to, from net.Conn, kept *bytes.Buffer) {
	if _, err := io.Copy(to, io.TeeReader(from, kept)); err != nil {
		to.Close()
		from.Close()
		return
	}
	to.(*net.TCPConn).CloseWrite()
}

// wait returns when the connection has ended.
func (r *relay) wait() {
	select {
	case <-r.ended:
	case <-time.After(2 * patience):
		r.t.Error("the connection does not end")
	}
}
