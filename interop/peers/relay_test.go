package peers

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// A relay stands between a client and a server, and keeps what both send. The connections of this library are those of
// a program, without a wrapper.
type relay struct {
	url    string
	target string // the address of the server
	done   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	streams []*stream // two for each connection, the client's first
	open    []net.Conn
}

// A stream is what one side of a connection has sent.
type stream struct {
	mu   sync.Mutex
	data []byte
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = append(s.data, p...)
	return len(p), nil
}

func (s *stream) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.data)
}

// newRelay starts a relay to the server at the address, which ends with the test.
func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{url: "http://" + ln.Addr().String(), target: target}
	r.done.Go(func() { r.accept(ln) })
	t.Cleanup(func() {
		ln.Close()
		r.close()
		r.done.Wait()
	})
	return r
}

// accept accepts connections until the listener is closed.
func (r *relay) accept(ln net.Listener) {
	for {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.target)
		if err != nil {
			client.Close()
			continue
		}
		fromClient, fromServer := new(stream), new(stream)
		r.mu.Lock()
		if r.closed { // while this connection was made
			client.Close()
			server.Close()
		}
		r.streams = append(r.streams, fromClient, fromServer)
		r.open = append(r.open, client, server)
		r.mu.Unlock()
		r.done.Go(func() { relayHalf(server, client, fromClient) })
		r.done.Go(func() { relayHalf(client, server, fromServer) })
	}
}

// relayHalf keeps what it reads from one side before it sends it to the other, until the end.
func relayHalf(to, from net.Conn, keep *stream) {
	io.Copy(io.MultiWriter(keep, to), from)
	to.(*net.TCPConn).CloseWrite()
}

func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, nc := range r.open {
		nc.Close()
	}
}

// connection returns what client and server have sent on the connection with a request for the path.
func (r *relay) connection(path string) (fromClient, fromServer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; i < len(r.streams); i += 2 {
		fromClient = r.streams[i].bytes()
		target, _, _ := bytes.Cut(bytes.TrimPrefix(fromClient, []byte("GET /")), []byte(" "))
		if string(target) == path {
			return fromClient, r.streams[i+1].bytes()
		}
	}
	return nil, nil
}
