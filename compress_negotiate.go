package websocket

import (
	"fmt"
	"strconv"
)

// CompressionOptions are the options for negotiating and using permessage-deflate (RFC
// 7692), if EnableCompression is set. The zero value is the behaviour of gorilla/websocket:
// each message is compressed on its own, at level 1.
type CompressionOptions struct {
	// ContextTakeover keeps the window from one message to the next, in each direction in
	// which the peer agrees. Messages that resemble each other become much smaller. For its
	// cost in memory, see the package's documentation.
	ContextTakeover bool

	// WindowBits is the base-2 logarithm of the largest window for sent messages, 8 to
	// 15; 0 means 15. A smaller window saves memory on both sides and compresses less. A Dialer
	// lets the server choose a smaller window only if WindowBits is not 0, since some servers
	// refuse the parameter client_max_window_bits.
	WindowBits int

	// PeerWindowBits is the base-2 logarithm of the largest window that the peer is asked to
	// use, 8 to 15; 0 means 15. With ContextTakeover a connection keeps a window of that size.
	// Not all peers can use a smaller window than 15.
	PeerWindowBits int

	// Level is a level of compress/flate, -2 to 9, except that 0 means 1, or 2 with
	// ContextTakeover. Several levels are the same: 1 is the fastest, 2 to 5 make messages
	// some 10 % shorter, 6 to 9 and -1 search for repetitions much longer, and -2 does not
	// search for them, so that ContextTakeover has no effect. SetCompressionLevel changes the
	// level of a connection.
	Level int

	// Threshold is the length in bytes below which a message is not compressed. The length of a
	// message from NextWriter counts only up to the size of the write buffer.
	Threshold int
}

// withDefaults returns the options with the default values instead of zeros.
func (o CompressionOptions) withDefaults() CompressionOptions {
	if o.WindowBits == 0 {
		o.WindowBits = maxWindowBits
	}
	if o.PeerWindowBits == 0 {
		o.PeerWindowBits = maxWindowBits
	}
	if o.Level == 0 {
		o.Level = defaultCompressionLevel
		if o.ContextTakeover {
			o.Level = takeoverLevel
		}
	}
	return o
}

// invalid returns a description of what is wrong with the options, or "".
func (o CompressionOptions) invalid() string {
	o = o.withDefaults()
	switch {
	case !validWindowBits(o.WindowBits):
		return fmt.Sprintf("Compression.WindowBits is %d, which is not from 8 to 15", o.WindowBits)
	case !validWindowBits(o.PeerWindowBits):
		return fmt.Sprintf("Compression.PeerWindowBits is %d, which is not from 8 to 15", o.PeerWindowBits)
	case !validCompressionLevel(o.Level):
		return fmt.Sprintf("Compression.Level is %d, which is not from -2 to 9", o.Level)
	case o.Threshold < 0:
		return fmt.Sprintf("Compression.Threshold is %d", o.Threshold)
	}
	return ""
}

func validWindowBits(bits int) bool { return minWindowBits <= bits && bits <= maxWindowBits }

// The names of RFC 7692, 7 and 7.1.
const (
	permessageDeflate       = "permessage-deflate"
	serverNoContextTakeover = "server_no_context_takeover"
	clientNoContextTakeover = "client_no_context_takeover"
	serverMaxWindowBits     = "server_max_window_bits"
	clientMaxWindowBits     = "client_max_window_bits"
)

// deflateParams are the parameters of permessage-deflate in an offer or an answer.
type deflateParams struct {
	serverNoContextTakeover bool
	clientNoContextTakeover bool
	serverMaxWindowBits     int // 0 if the parameter is absent
	clientMaxWindowBits     int // likewise; anyWindowBits if it has no value
}

// anyWindowBits stands for client_max_window_bits without a value, which says only that the
// client understands the parameter.
const anyWindowBits = -1

// orMax returns the value of a window parameter, or the default.
func orMax(bits int) int {
	if bits <= 0 {
		return maxWindowBits
	}
	return bits
}

// parseDeflateParams parses the parameters of an offer or an answer. Its errors are those in RFC
// 7692, 7.1: an unknown parameter, an invalid value, or a parameter that occurs twice.
func parseDeflateParams(e extension, offer bool) (p deflateParams, err error) {
	for _, param := range e.params {
		var ok bool
		switch param.name {
		case serverNoContextTakeover:
			ok = setFlag(&p.serverNoContextTakeover, param)
		case clientNoContextTakeover:
			ok = setFlag(&p.clientNoContextTakeover, param)
		case serverMaxWindowBits:
			ok = setWindowBits(&p.serverMaxWindowBits, param)
		case clientMaxWindowBits:
			if offer && !param.hasValue && p.clientMaxWindowBits == 0 {
				p.clientMaxWindowBits, ok = anyWindowBits, true
			} else {
				ok = setWindowBits(&p.clientMaxWindowBits, param)
			}
		}
		if !ok {
			return p, fmt.Errorf("bad parameter %s of %s", param.name, permessageDeflate)
		}
	}
	return p, nil
}

// setFlag sets a parameter without a value. It returns false if the parameter is invalid.
func setFlag(flag *bool, param extensionParam) bool {
	if *flag || param.hasValue {
		return false
	}
	*flag = true
	return true
}

// setWindowBits sets a parameter with "a decimal integer value without leading zeroes between
// 8 to 15, inclusive" (7.1.2). It returns false if the parameter is invalid.
func setWindowBits(bits *int, param extensionParam) bool {
	if *bits != 0 || !param.hasValue {
		return false
	}
	for n := minWindowBits; n <= maxWindowBits; n++ {
		if param.value == strconv.Itoa(n) {
			*bits = n
		}
	}
	return *bits != 0
}

// append appends the extension with its parameters to b, as in a header.
func (p deflateParams) append(b []byte) []byte {
	b = append(b, permessageDeflate...)
	if p.serverNoContextTakeover {
		b = append(b, "; "+serverNoContextTakeover...)
	}
	if p.clientNoContextTakeover {
		b = append(b, "; "+clientNoContextTakeover...)
	}
	if p.serverMaxWindowBits != 0 {
		b = append(b, "; "+serverMaxWindowBits+"="...)
		b = strconv.AppendInt(b, int64(p.serverMaxWindowBits), 10)
	}
	switch p.clientMaxWindowBits {
	case 0:
	case anyWindowBits:
		b = append(b, "; "+clientMaxWindowBits...)
	default:
		b = append(b, "; "+clientMaxWindowBits+"="...)
		b = strconv.AppendInt(b, int64(p.clientMaxWindowBits), 10)
	}
	return b
}

// answerOffers returns a server's answer to the first valid offer of a client. If there is none, ok
// is false.
func (o CompressionOptions) answerOffers(offers []extension) (answer deflateParams, ok bool) {
	for _, e := range offers {
		if e.name != permessageDeflate {
			continue
		}
		if offer, err := parseDeflateParams(e, true); err == nil {
			return o.withDefaults().answer(offer), true
		}
	}
	return deflateParams{}, false
}

// answer returns the answer to an offer. Every valid offer can be accepted.
func (o CompressionOptions) answer(offer deflateParams) (answer deflateParams) {
	answer.serverNoContextTakeover = offer.serverNoContextTakeover || !o.ContextTakeover
	answer.clientNoContextTakeover = offer.clientNoContextTakeover || !o.ContextTakeover
	// "with the same or smaller value as the offer"; "even if the [...] offer [...]
	// didn't include the "server_max_window_bits" extension parameter" (7.1.2.1).
	bits := min(o.WindowBits, orMax(offer.serverMaxWindowBits))
	if offer.serverMaxWindowBits != 0 || bits < maxWindowBits {
		answer.serverMaxWindowBits = bits
	}
	// "If a received extension negotiation offer doesn't have the
	// "client_max_window_bits" extension parameter, the corresponding extension
	// negotiation response to the offer MUST NOT include" it (7.1.2.2).
	bits = min(o.PeerWindowBits, orMax(offer.clientMaxWindowBits))
	if offer.clientMaxWindowBits != 0 && bits < maxWindowBits {
		answer.clientMaxWindowBits = bits
	}
	return answer
}

// offers returns a client's offers in the order of preference, as in a header.
func (o CompressionOptions) offers() string {
	offer := deflateParams{
		serverNoContextTakeover: !o.ContextTakeover,
		clientNoContextTakeover: !o.ContextTakeover,
	}
	// Some servers refuse client_max_window_bits, so it is offered only if the program asks for it.
	switch o.WindowBits {
	case 0:
	case maxWindowBits:
		offer.clientMaxWindowBits = anyWindowBits
	default:
		offer.clientMaxWindowBits = o.WindowBits
	}
	last := string(offer.append(nil))
	if bits := o.PeerWindowBits; bits != 0 && bits != maxWindowBits {
		// "A server declines an extension negotiation offer with this parameter if the
		// server doesn't support it" (7.1.2.1), so another offer is without it.
		offer.serverMaxWindowBits = bits
		return string(offer.append(nil)) + ", " + last
	}
	return last
}

// checkAnswer parses the server's answer to a client that has offered permessage-deflate, if offered is set.
// agreed is false if the server has chosen no extension. After an error the connection must fail (7.1).
//
// Every valid answer fits the last offer, which does not limit the server's window. An answer without a parameter of
// the offer is accepted, although it needs more memory here, and so is client_max_window_bits, which a server "MUST
// NOT include" if the offer does not have it (7.1.2.2).
func checkAnswer(offered bool, extensions []extension) (answer deflateParams, agreed bool, err error) {
	if len(extensions) == 0 {
		return answer, false, nil
	}
	if !offered || len(extensions) > 1 || extensions[0].name != permessageDeflate {
		return answer, false, fmt.Errorf("extension %s was not offered", extensions[len(extensions)-1].name)
	}
	answer, err = parseDeflateParams(extensions[0], false)
	return answer, err == nil, err
}
