// Package compression tests permessage-deflate (RFC 7692) against other
// implementations, in both roles, with a look at the bytes between the two.
package compression

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// patience bounds every wait. What is waited for comes within a second or two; a busy
// machine may take much longer.
const patience = 30 * time.Second

// A peer is another implementation, which sends every message back. At the text "close"
// it closes the connection with 1000. It tells ended the code that it has seen in the
// end. One of the two is nil.
type peer struct {
	serve func(t *testing.T, ended chan<- int) (address string)
	dial  func(t *testing.T, url string, ended chan<- int)
}

// A negotiation is one between the library and a peer.
type negotiation struct {
	name    string
	options websocket.CompressionOptions // ours
	peer    peer
	offer   string // the client's Sec-WebSocket-Extensions
	answer  string // the server's

	messages   []message
	large      bool // with messages of 1 MiB
	fragmented bool // the peer sends fragments, with a ping between them
	quiet      bool // the peer sends no pings
	emptyPings bool // our pings have no payload
	overlooks  bool // the peer's compressor does not find the repeats
}

func (n negotiation) run(t *testing.T) {
	t.Helper()
	c, r, ended := n.connect(t)
	pings := 0
	for i, m := range n.messages {
		if !echoed(t, c, i, m, n.ping()) {
			break
		}
		if m.fragmented {
			pings++
		}
	}
	n.close(t, c, ended)
	if !t.Failed() {
		n.checkWire(t, r, pings)
	}
}

// ping is the payload of our pings.
func (n negotiation) ping() string {
	if n.emptyPings {
		return ""
	}
	return "ours"
}

// connect returns our side of a connection to the peer.
func (n negotiation) connect(t *testing.T) (*websocket.Conn, *relay, <-chan int) {
	t.Helper()
	ended := make(chan int, 1)
	if n.peer.serve != nil {
		r := newRelay(t, n.peer.serve(t, ended))
		c, resp, err := ourDialer(n.options).Dial(r.url(), nil)
		if err != nil {
			t.Fatalf("got error %v (%v), want a connection", err, resp)
		}
		t.Cleanup(func() { c.Close() })
		return c, r, ended
	}
	address, conns := ourServer(t, n.options)
	r := newRelay(t, address)
	n.peer.dial(t, r.url(), ended)
	select {
	case c := <-conns:
		return c, r, ended
	case <-time.After(patience):
		t.Fatal("the peer does not connect")
	}
	panic("not reached")
}

// bufferSize is small, so that there are many fragments.
const bufferSize = 4096

func ourDialer(o websocket.CompressionOptions) *websocket.Dialer {
	return &websocket.Dialer{
		EnableCompression: true, Compression: o, WriteBufferSize: bufferSize, HandshakeTimeout: patience,
	}
}

// ourServer returns the address of our server, and the connections that it accepts.
func ourServer(t *testing.T, o websocket.CompressionOptions) (address string, conns <-chan *websocket.Conn) {
	u := websocket.Upgrader{
		EnableCompression: true, Compression: o, WriteBufferSize: bufferSize,
		CheckOrigin: func(*http.Request) bool { return true },
	}
	accepted := make(chan *websocket.Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := u.Upgrade(w, r, nil); err == nil {
			t.Cleanup(func() { c.Close() })
			accepted <- c
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), accepted
}

// echoed sends the message and reports whether it comes back.
func echoed(t *testing.T, c *websocket.Conn, i int, m message, ping string) bool {
	t.Helper()
	late := time.Now().Add(patience)
	c.SetReadDeadline(late)
	c.SetWriteDeadline(late)
	if err := send(c, m, ping); err != nil {
		t.Errorf("message %d of %d bytes: %v", i, len(m.data), err)
		return false
	}
	messageType, p, err := c.ReadMessage()
	switch {
	case err != nil:
		t.Errorf("the echo of message %d of %d bytes: %v", i, len(m.data), err)
	case messageType != m.messageType:
		t.Errorf("got type %d of message %d, want %d", messageType, i, m.messageType)
	case !bytes.Equal(p, m.data):
		t.Errorf("got %d other bytes for message %d, want the %d that were sent", len(p), i, len(m.data))
	default:
		return true
	}
	return false
}

// send sends the message, in fragments with a ping between them where it says so.
func send(c *websocket.Conn, m message, ping string) error {
	if !m.fragmented {
		return c.WriteMessage(m.messageType, m.data)
	}
	w, err := c.NextWriter(m.messageType)
	if err != nil {
		return err
	}
	half := len(m.data) / 2
	if _, err = w.Write(m.data[:half]); err != nil {
		return err
	}
	if err = c.WriteControl(websocket.PingMessage, []byte(ping), time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err = w.Write(m.data[half:]); err != nil {
		return err
	}
	return w.Close()
}

// close ends the connection: a server is closed by us, and a client closes us.
func (n negotiation) close(t *testing.T, c *websocket.Conn, ended <-chan int) {
	t.Helper()
	if n.peer.serve != nil {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := c.Shutdown(ctx, websocket.CloseNormalClosure, "done"); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	} else {
		if err := c.WriteMessage(websocket.TextMessage, []byte("close")); err != nil {
			t.Errorf("asking the peer to close: %v", err)
		}
		_, _, err := c.ReadMessage()
		if closed := new(websocket.CloseError); !errors.As(err, &closed) || closed.Code != websocket.CloseNormalClosure {
			t.Errorf("got error %v at the end, want a CloseError with 1000", err)
		}
		c.Close()
	}
	select {
	case code := <-ended:
		if code != websocket.CloseNormalClosure {
			t.Errorf("got code %d at the peer, want 1000", code)
		}
	case <-time.After(patience):
		t.Error("the peer does not see the end")
	}
}

// checkWire looks at what was between the two sides.
func (n negotiation) checkWire(t *testing.T, r *relay, pings int) {
	t.Helper()
	r.wait()
	client, err := readWire(r.fromClient.Bytes(), true)
	if err != nil {
		t.Fatalf("the client's bytes: %v", err)
	}
	server, err := readWire(r.fromServer.Bytes(), false)
	if err != nil {
		t.Fatalf("the server's bytes: %v", err)
	}
	if client.extensions != n.offer {
		t.Errorf("got offer\n%q, want\n%q", client.extensions, n.offer)
	}
	if server.extensions != n.answer {
		t.Errorf("got answer\n%q, want\n%q", server.extensions, n.answer)
	}

	clientTakes := !strings.Contains(n.answer, "client_no_context_takeover") && !strings.Contains(n.offer, "client_no_context_takeover")
	serverTakes := !strings.Contains(n.answer, "server_no_context_takeover")
	ours, theirs, weTake, theyTake := &client, &server, clientTakes, serverTakes
	if n.peer.dial != nil {
		ours, theirs, weTake, theyTake = &server, &client, serverTakes, clientTakes
	}
	n.checkHalf(t, "we", ours, weTake)
	n.checkHalf(t, "the peer", theirs, theyTake)
	if got := theirs.count(opPong, n.ping()); got != pings {
		t.Errorf("got %d pongs from the peer, want %d", got, pings)
	}
	if got, want := ours.count(opPong, "between"), theirs.count(opPing, "between"); got != want || (n.fragmented && !n.quiet) != (want > 0) {
		t.Errorf("got %d pongs from us to %d pings of the peer", got, want)
	}
}
