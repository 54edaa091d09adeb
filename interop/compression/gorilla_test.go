package compression

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// gorilla/websocket compresses each message on its own, and offers and answers that
// alone.
const gorillaExtensions = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

func gorillaServer(fragmented bool) peer {
	u := gorilla.Upgrader{EnableCompression: true, WriteBufferSize: bufferSize}
	return peer{serve: func(t *testing.T, ended chan<- int) string {
		return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			if c, err := u.Upgrade(w, r, nil); err == nil {
				ended <- gorillaEcho(c, fragmented)
			}
		})
	}}
}

func gorillaClient(fragmented bool) peer {
	d := gorilla.Dialer{EnableCompression: true, WriteBufferSize: bufferSize}
	return peer{dial: func(t *testing.T, url string, ended chan<- int) {
		c, _, err := d.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- gorillaEcho(c, fragmented) }() // ends with the connection
	}}
}

// serveHTTP returns the address of a server with the handler.
func serveHTTP(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func gorillaEcho(c *gorilla.Conn, fragmented bool) int {
	defer c.Close()
	for {
		messageType, p, err := c.ReadMessage()
		switch {
		case err != nil:
			if closed, ok := err.(*gorilla.CloseError); ok {
				return closed.Code
			}
			return 0
		case string(p) == "close":
			err = c.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(1000, "done"))
		case fragmented:
			err = gorillaParts(c, messageType, p)
		default:
			err = c.WriteMessage(messageType, p)
		}
		if err != nil {
			return 0
		}
	}
}

// gorillaParts writes the message through a small buffer, with a ping in the middle.
func gorillaParts(c *gorilla.Conn, messageType int, p []byte) error {
	w, err := c.NextWriter(messageType)
	if err != nil {
		return err
	}
	if _, err = w.Write(p[:len(p)/2]); err != nil {
		return err
	}
	if err = c.WriteControl(gorilla.PingMessage, []byte("between"), time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err = w.Write(p[len(p)/2:]); err != nil {
		return err
	}
	return w.Close()
}

// RFC 7692, 7.1: gorilla does not read the parameters. A server_max_window_bits that it
// leaves out of its answer makes our window for receiving larger, and is no error.
func TestGorilla(t *testing.T) {
	for _, n := range []negotiation{
		{name: "server", large: true, peer: gorillaServer(false), offer: ourNone, answer: gorillaExtensions},
		{name: "fragmenting server", peer: gorillaServer(true), fragmented: true, offer: ourNone, answer: gorillaExtensions},
		{name: "server and takeover", peer: gorillaServer(false), options: takeover, offer: ourTakeover, answer: gorillaExtensions},
		{
			name: "server and windows", peer: gorillaServer(false), options: windows(10),
			offer:  "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10, permessage-deflate; client_max_window_bits=10",
			answer: gorillaExtensions,
		},
		{name: "client", large: true, peer: gorillaClient(false), offer: gorillaExtensions, answer: gorillaExtensions},
		{name: "fragmenting client", peer: gorillaClient(true), fragmented: true, offer: gorillaExtensions, answer: gorillaExtensions},
		{name: "client and takeover", peer: gorillaClient(false), options: takeover, offer: gorillaExtensions, answer: gorillaExtensions},
		{
			name: "client and windows", peer: gorillaClient(false), options: windows(10),
			offer: gorillaExtensions, answer: gorillaExtensions + "; server_max_window_bits=10",
		},
	} {
		n.messages = exchangeOf(n.large)
		t.Run(n.name, n.run)
	}
}
