package compression

import (
	"fmt"
	"testing"

	"github.com/switching-protocols/websocket"
)

// startPython starts Debian's Python, for which Debian has the package, and not another
// one that may come first in the path.
func startPython(t *testing.T) *program {
	const python = "/usr/bin/python3"
	return startProgram(t, []string{python, "-c", "import websockets"}, python, "testdata/peer.py")
}

// clientOffer is what a client of Python's websockets offers unless it is told otherwise.
var clientOffer = map[string]any{"client_max_window_bits": true}

// TestWebsockets is Python's websockets.
func TestWebsockets(t *testing.T) {
	p := startPython(t)
	const (
		none   = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		twelve = "; server_max_window_bits=12; client_max_window_bits=12"
	)
	open := map[string]any{"server_max_window_bits": nil}
	twelves := map[string]any{"server_max_window_bits": 12, "client_max_window_bits": 12} // the default of serve
	for _, n := range []negotiation{
		{name: "server", large: true, peer: p.server(open, false), offer: ourNone, answer: none},
		{name: "fragmenting server", peer: p.server(open, true), fragmented: true, offer: ourNone, answer: none},
		{name: "server, its windows", peer: p.server(twelves, false), offer: ourNone, answer: none + "; server_max_window_bits=12"},
		{name: "server, takeover", peer: p.server(open, false), options: takeover, offer: ourTakeover, answer: "permessage-deflate"},
		{name: "server, takeover, its windows", peer: p.server(twelves, false), options: windows(15), offer: windowsOffer, answer: "permessage-deflate" + twelve},
		{name: "fragmenting server, takeover", peer: p.server(open, true), fragmented: true, options: takeover, offer: ourTakeover, answer: "permessage-deflate"},
		{name: "client", large: true, peer: p.client(clientOffer, false), offer: windowsOffer, answer: none},
		{name: "fragmenting client", peer: p.client(clientOffer, true), fragmented: true, offer: windowsOffer, answer: none},
		{name: "client, takeover", peer: p.client(clientOffer, false), options: takeover, offer: windowsOffer, answer: "permessage-deflate"},
		{name: "client, takeover, its windows", peer: p.client(twelves, false), options: takeover, offer: "permessage-deflate" + twelve, answer: "permessage-deflate" + twelve},
		{name: "fragmenting client, takeover", peer: p.client(clientOffer, true), fragmented: true, options: takeover, offer: windowsOffer, answer: "permessage-deflate"},
	} {
		n.messages = exchangeOf(n.large)
		t.Run(n.name, n.run)
	}
}

// Every window (RFC 7692, 7.1.2) that zlib can compress with. zlib, which has just the agreed
// one, decompresses what we send.
func TestWebsocketsWindows(t *testing.T) {
	p := startPython(t)
	for bits := 9; bits <= 15; bits++ {
		for _, n := range windowNegotiations(bits, p.server(map[string]any{"server_max_window_bits": nil}, false), p.client(clientOffer, false)) {
			t.Run(fmt.Sprint(n.name, " ", bits), n.run)
		}
	}
	// 8 bits in our direction alone.
	n := windowNegotiations(8, peer{}, p.client(clientOffer, false))[1]
	n.options.PeerWindowBits = 15
	n.answer = "permessage-deflate; server_max_window_bits=8"
	t.Run("client, its window only", n.run)
}

// Python's websockets agrees on a window of 8 bits for itself, and then fails, since zlib has
// no raw compressor with that window.
func TestWebsocketsCannotSendInEightBits(t *testing.T) {
	p := startPython(t)
	o := takeover
	o.PeerWindowBits = 8
	r := newRelay(t, p.server(map[string]any{"server_max_window_bits": nil}, false).serve(t, make(chan int, 1)))
	_, resp, err := ourDialer(o).Dial(r.url(), nil)
	if err != websocket.ErrBadHandshake || resp == nil || resp.StatusCode != 500 {
		t.Errorf("got error %v and response %v, want %v and the status 500", err, resp, websocket.ErrBadHandshake)
	}
}
