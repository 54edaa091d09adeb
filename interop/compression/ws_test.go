package compression

import (
	"fmt"
	"maps"
	"testing"
)

func startNode(t *testing.T) *program {
	return startProgram(t, []string{"node", "-e", "require('ws')"}, "node", "testdata/peer.js")
}

// wsOptions returns options of ws. Its inflater's output is cut into short pieces, so that zlib
// sees each distance that is larger than the window, also within a message.
func wsOptions(o map[string]any) map[string]any {
	all := map[string]any{"threshold": 0, "zlibInflateOptions": map[string]any{"chunkSize": 64}}
	maps.Copy(all, o)
	return all
}

// whole has pieces of the usual size, for large messages.
var whole = map[string]any{"zlibInflateOptions": map[string]any{}}

// TestWs is the npm package ws, whose offer is client_max_window_bits and which takes every offer
// as it is.
func TestWs(t *testing.T) {
	p := startNode(t)
	const (
		none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	)
	o := wsOptions(whole)
	for _, n := range []negotiation{
		{name: "server", large: true, peer: p.server(o, false), offer: ourNone, answer: none},
		{name: "fragmenting server", peer: p.server(o, true), fragmented: true, offer: ourNone, answer: none},
		{name: "server, takeover", peer: p.server(o, false), options: takeover, offer: ourTakeover, answer: "permessage-deflate"},
		{name: "fragmenting server, takeover", peer: p.server(o, true), fragmented: true, options: takeover, offer: ourTakeover, answer: "permessage-deflate"},
		{name: "client", large: true, peer: p.client(o, false), offer: windowsOffer, answer: none},
		{name: "fragmenting client", peer: p.client(o, true), fragmented: true, offer: windowsOffer, answer: none},
		{name: "client, takeover", peer: p.client(o, false), options: takeover, offer: windowsOffer, answer: "permessage-deflate"},
		{name: "fragmenting client, takeover", peer: p.client(o, true), fragmented: true, options: takeover, offer: windowsOffer, answer: "permessage-deflate"},
	} {
		n.messages = exchangeOf(n.large)
		t.Run(n.name, n.run)
	}
}

// Every window (RFC 7692, 7.1.2). zlib, which has just the agreed one, decompresses what we
// send. Its compressor has none of 8 bits: node takes one of 9 then, of which zlib
// uses less than 256 bytes.
func TestWsWindows(t *testing.T) {
	p := startNode(t)
	for bits := 8; bits <= 15; bits++ {
		for _, n := range windowNegotiations(bits, p.server(wsOptions(nil), false), p.client(wsOptions(nil), false)) {
			t.Run(fmt.Sprint(n.name, " ", bits), n.run)
		}
	}
}
