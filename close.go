package websocket

import (
	"encoding/binary"
	"net"
	"time"
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
	c.send.lock.state.Or(closeReceived)
	closed := &CloseError{Code: code, Text: text}
	if h := handler(c, closeOf); h != nil && mayHandle {
		c.recv.err = closed // if the handler panics
		if err := c.handle(func() error { return (*h)(code, text) }); err != nil {
			return c.stop(err)
		}
	} else {
		c.replyClose(code)
	}
	return c.stop(closed)
}

// replyClose answers a Close frame. "When sending a Close frame in response, the
// endpoint typically echos the status code it received" (5.5.1).
func (c *Conn) replyClose(code int) {
	c.reply(opClose, FormatCloseMessage(code, ""))
}

// closeTimeout is how long Close waits for the network to take frames that no caller waits for.
const closeTimeout = time.Second

// fail ends the reading because of err, and returns the error that all reads
// return from now on. Where err is our verdict that the peer has broken a rule, the
// peer is sent it in a Close frame. A timeout ends nothing.
func (c *Conn) fail(err error) error {
	if c.keepalive != nil {
		if dead := c.keepalive.verdict(); dead != nil {
			return c.stop(dead) // that is why the read failed
		}
	}
	if isTimeout(err) {
		return err
	}
	if code, reason := closeCodeFor(err); code != 0 {
		c.reply(opClose, FormatCloseMessage(code, reason))
	}
	return c.stop(readError(err))
}

// stop makes err, if it is not nil, the error of all reads, and returns it.
func (c *Conn) stop(err error) error {
	if err != nil {
		c.recv.err = err
		c.dropCompressed()
		c.endWaits(err)
	}
	return err
}

// endWaits ends what only goes on while something reads: the timer and the pings
// that wait for an answer.
func (c *Conn) endWaits(err error) {
	if c.keepalive != nil {
		c.keepalive.stop()
	}
	c.ownExtras().pings.fail(err)
}

// Close closes the network connection at once. It sends no Close frame and waits for
// nothing, except that frames that no call waits for any more, corked ones, answers to pings and
// Close frames, and those of a stream, have a second to leave: to close the WebSocket
// connection in an orderly way, use Shutdown. Any goroutine may call it. Reads and writes that
// are blocked return an error that is net.ErrClosed for errors.Is.
func (c *Conn) Close() error {
	l := until(time.Now().Add(closeTimeout))
	if c.send.hasUnsent() && c.send.drain(&l) == errWriteTimeout {
		return c.close(c.send.link.abort)
	}
	return c.close(c.send.link.Close)
}

// abort is Close that waits for nothing.
func (c *Conn) abort() { c.close(c.send.link.abort) }

// close closes the transport by the function, and gives up what the connection holds.
func (c *Conn) close(closeLink func() error) error {
	c.send.lock.state.Or(connClosed)
	err := closeLink()
	c.send.close()
	if w := c.writer.Load(); w != nil {
		w.abandon(net.ErrClosed)
	}
	c.endWaits(net.ErrClosed)
	c.releaseRead()
	c.dropDeflater()
	if c.group != nil {
		c.group.remove(c)
	}
	return err
}
