package compression

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

func coderServer(mode websocket.CompressionMode, fragmented bool) peer {
	o := websocket.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1}
	return peer{serve: func(t *testing.T, ended chan<- int) string {
		return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			if c, err := websocket.Accept(w, r, &o); err == nil {
				ended <- coderEcho(c, fragmented)
			}
		})
	}}
}

func coderClient(mode websocket.CompressionMode, fragmented bool) peer {
	o := websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1}
	return peer{dial: func(t *testing.T, url string, ended chan<- int) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, _, err := websocket.Dial(ctx, url, &o)
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- coderEcho(c, fragmented) }() // ends with the connection
	}}
}

func coderEcho(c *websocket.Conn, fragmented bool) int {
	defer c.CloseNow()
	c.SetReadLimit(-1)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for {
		messageType, p, err := c.Read(ctx)
		switch {
		case err != nil:
			return max(0, int(websocket.CloseStatus(err)))
		case string(p) == "close":
			if c.Close(websocket.StatusNormalClosure, "done") != nil {
				return 0
			}
			return int(websocket.StatusNormalClosure)
		case fragmented:
			err = coderParts(ctx, c, messageType, p)
		default:
			err = c.Write(ctx, messageType, p)
		}
		if err != nil {
			return 0
		}
	}
}

// coderParts writes the message in pieces. Its pings wait for their pongs, and so cannot
// be sent from here.
func coderParts(ctx context.Context, c *websocket.Conn, messageType websocket.MessageType, p []byte) error {
	w, err := c.Writer(ctx, messageType)
	if err != nil {
		return err
	}
	if _, err = w.Write(p[:len(p)/2]); err != nil {
		return err
	}
	if _, err = w.Write(p[len(p)/2:]); err != nil {
		return err
	}
	return w.Close()
}

// coder/websocket declines an offer with a server_max_window_bits other than 15 and takes
// the one behind it. A client_max_window_bits it leaves without an answer, and we keep it.
func TestCoder(t *testing.T) {
	const (
		off, on    = websocket.CompressionNoContextTakeover, websocket.CompressionContextTakeover
		plain      = "permessage-deflate"
		none       = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		theirNone  = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
		ourWindows = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10, permessage-deflate; client_max_window_bits=10"
	)
	for _, n := range []negotiation{
		{name: "server", large: true, peer: coderServer(off, false), offer: ourNone, answer: theirNone},
		{name: "fragmenting server", peer: coderServer(off, true), fragmented: true, offer: ourNone, answer: theirNone},
		{name: "server, its takeover", peer: coderServer(on, false), offer: ourNone, answer: theirNone},
		{name: "server, our takeover", peer: coderServer(off, false), options: takeover, offer: ourTakeover, answer: theirNone},
		{name: "server, takeover", peer: coderServer(on, false), options: takeover, offer: ourTakeover, answer: plain},
		{name: "fragmenting server, takeover", peer: coderServer(on, true), fragmented: true, options: takeover, offer: ourTakeover, answer: plain},
		{name: "server, windows", peer: coderServer(on, false), options: windows(10), offer: ourWindows, answer: plain},

		{name: "client", large: true, peer: coderClient(off, false), offer: theirNone, answer: none},
		{name: "fragmenting client", peer: coderClient(off, true), fragmented: true, offer: theirNone, answer: none},
		{name: "client, its takeover", peer: coderClient(on, false), offer: plain, answer: none},
		{name: "client, our takeover", peer: coderClient(off, false), options: takeover, offer: theirNone, answer: none},
		{name: "client, takeover", peer: coderClient(on, false), options: takeover, offer: plain, answer: plain},
		{name: "fragmenting client, takeover", peer: coderClient(on, true), fragmented: true, options: takeover, offer: plain, answer: plain},
		{name: "client, windows", peer: coderClient(on, false), options: windows(10), offer: plain, answer: plain + "; server_max_window_bits=10"},
	} {
		n.quiet = true
		n.messages = exchangeOf(n.large)
		t.Run(n.name, n.run)
	}
}
