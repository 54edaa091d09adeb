package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// maxCloseReason is what a Close frame has room for behind the code.
const maxCloseReason = maxControlPayload - 2

// FormatCloseMessage returns the payload of a Close frame with the code and the
// reason in text. It is empty for CloseNoStatusReceived, which no frame may carry.
// Nothing else is checked: a code must be one that may be sent, and text be UTF-8
// of at most 123 bytes.
func FormatCloseMessage(closeCode int, text string) []byte {
	if closeCode == CloseNoStatusReceived {
		return []byte{}
	}
	p := make([]byte, 0, 2+len(text))
	p = binary.BigEndian.AppendUint16(p, uint16(closeCode))
	return append(p, text...)
}

// parseClosePayload reads the payload of a Close frame (RFC 6455, 5.5.1 and 7.4).
func parseClosePayload(p []byte) (code int, text string, err error) {
	// "If this Close control frame contains no status code, _The WebSocket
	// Connection Close Code_ is considered to be 1005" (7.1.5).
	if len(p) == 0 {
		return CloseNoStatusReceived, "", nil
	}
	// "If there is a body, the first two bytes of the body MUST be a 2-byte
	// unsigned integer" (5.5.1).
	if len(p) == 1 {
		return 0, "", protocolErrorf("payload of a close frame is 1 byte long")
	}
	code = int(binary.BigEndian.Uint16(p))
	if !validReceivedCloseCode(code) {
		return 0, "", protocolErrorf("bad close code %d", code)
	}
	// "the body MAY contain UTF-8-encoded data" (5.5.1), and 8.1 rules on all that is
	// to be read as UTF-8.
	if !utf8.Valid(p[2:]) {
		return 0, "", &protocolError{CloseInvalidFramePayloadData, "reason of a close frame is not valid UTF-8"}
	}
	return code, string(p[2:]), nil
}

// validReceivedCloseCode reports whether a Close frame may carry the code.
func validReceivedCloseCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		// "Status codes in the range 3000-3999 are reserved for use by libraries,
		// frameworks, and applications", "4000-4999 for private use" (7.4.2).
		return true
	case code == 1004, code == CloseNoStatusReceived, code == CloseAbnormalClosure:
		// "is a reserved value and MUST NOT be set as a status code in a Close
		// control frame by an endpoint" (7.4.1).
		return false
	}
	return code >= CloseNormalClosure && code <= CloseBadGateway
}

// peerClosed answers the peer's Close frame, by the program's handler if that may run, and ends the
// reading.
func (c *Conn) peerClosed(payload []byte, mayHandle bool) error {
	code, text, err := parseClosePayload(payload)
	if err != nil {
		return c.fail(err)
	}
	closed := c.stop(phaseClosed, &CloseError{Code: code, Text: text})
	if h := c.handlers().close; h != nil && mayHandle {
		if err := c.handle(phaseClosed, func() error { return h(code, text) }); err != nil {
			return err
		}
	} else {
		c.replyClose(code)
	}
	return closed
}

// replyClose answers a Close frame. "When sending a Close frame in response, the
// endpoint typically echos the status code it received" (5.5.1).
func (c *Conn) replyClose(code int) {
	c.reply(opClose, FormatCloseMessage(code, ""))
}
