package compression

import (
	"fmt"

	"github.com/switching-protocols/websocket"
)

// ourNone is what our client offers without options.
const ourNone = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// ourTakeover is what it offers with the option takeover.
const ourTakeover = "permessage-deflate"

// windowsOffer is what clients offer that understand client_max_window_bits.
const windowsOffer = "permessage-deflate; client_max_window_bits"

// takeover has the windows kept from message to message.
var takeover = websocket.CompressionOptions{ContextTakeover: true}

// windows has small windows in both directions, and keeps them.
func windows(bits int) websocket.CompressionOptions {
	return websocket.CompressionOptions{ContextTakeover: true, WindowBits: bits, PeerWindowBits: bits}
}

// windowNegotiations are for the same window in both directions, with a server and with a
// client that understand both parameters.
func windowNegotiations(bits int, server, client peer) []negotiation {
	answer := "permessage-deflate"
	ourOffer := windowsOffer
	if bits < 15 {
		answer = fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%[1]d", bits)
		ourOffer = fmt.Sprintf("%s, permessage-deflate; client_max_window_bits=%d", answer, bits)
	}
	messages := distant()
	if bits > 8 { // the repeated messages do not fit into the window of 8 bits
		messages = append(messages, repeats()...)
	}
	return []negotiation{
		{name: "server", peer: server, options: windows(bits), offer: ourOffer, answer: answer, messages: messages},
		{name: "client", peer: client, options: windows(bits), offer: windowsOffer, answer: answer, messages: messages},
	}
}
