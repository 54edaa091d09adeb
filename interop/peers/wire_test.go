package peers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/gobwas/ws"
	"github.com/switching-protocols/websocket"
)

// A recorder is a network connection that keeps what was read from it.
type recorder struct {
	net.Conn
	mu   sync.Mutex
	read []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = append(r.read, p[:n]...)
	return n, err
}

// frames returns the headers of all frames that were received on the connection.
func frames(c *websocket.Conn) (headers []ws.Header, err error) {
	r := c.NetConn().(*recorder)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, rest, ok := bytes.Cut(r.read, []byte("\r\n\r\n")) // behind the handshake
	if !ok {
		return nil, errors.New("got no handshake")
	}
	in := bufio.NewReader(bytes.NewReader(rest))
	for {
		h, err := ws.ReadHeader(in)
		if err == io.EOF {
			return headers, nil
		}
		if err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, in, h.Length); err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
}

// wantFrame wants a frame with the property among those that were received.
func wantFrame(c *websocket.Conn, what string, property func(h ws.Header) bool) error {
	headers, err := frames(c)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(headers, property) {
		return nil
	}
	return fmt.Errorf("got frames %+v, want %s", headers, what)
}

func wantFragments(c *websocket.Conn) error {
	return wantFrame(c, "fragments", func(h ws.Header) bool { return h.OpCode == ws.OpContinuation })
}

func wantPing(c *websocket.Conn) error {
	return wantFrame(c, "a ping", func(h ws.Header) bool { return h.OpCode == ws.OpPing })
}

// wantCompressed wants a compressed message. A peer may send none (RFC 7692, 6), but then it cannot play this scenario.
func wantCompressed(c *websocket.Conn) error {
	headers, err := frames(c)
	if err == nil && !slices.ContainsFunc(headers, func(h ws.Header) bool { return h.OpCode.IsData() && h.Rsv1() }) {
		err = errNothingCompressed
	}
	return err
}

// A recordingListener has recorders.
type recordingListener struct{ net.Listener }

func (l recordingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recorder{Conn: nc}, nil
}
