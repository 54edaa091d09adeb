package websocket

import (
	"encoding/binary"
	"net"
	"time"
	"unicode/utf8"
)

// How a connection ends. Each direction ends in a phase of its own; see lock.go. The network connection
// stays open until the program calls Close or Shutdown, unless the table says something else, or a call has to be
// ended on a transport that ignores deadlines.
//
//	what happens                         incoming   outgoing          Close frame of ours
//	the peer sends a Close frame         closed     closed            the answer, with the same code
//	  and the program handles it         closed     open or closed    the handler's, if it sends one
//	the peer breaks a rule, or a limit   failed     closed            with the reason
//	a read fails                         failed     open              none
//	a write fails                        open       failed            none
//	  and reported frames are lost       failed     failed            none
//	a message cannot be finished         open       failed            none
//	a handler of the program fails       failed     open              none
//	the program writes a Close frame     open       closed            the program's
//	the keepalive's timeout passes       failed     failed            none; the network connection is closed
//	Shutdown                             closed     closed            the caller's; it closes the network connection
//	  and it discards messages           closed     closed            the caller's; before that, incoming is discarded
//	the context of Shutdown ends         failed     closed or failed  the caller's, if it could leave; closed at once
//	Close                                failed     failed            none
//	Close, with frames to be sent        failed     draining          one that is among them
//
// A direction whose phase is final stays as it is, with two exceptions: it is failed if the Close frame in the outbox
// cannot be sent, and the error of a handler of the program takes the place of an earlier one.

// failReading ends the reading because the peer has broken a rule, and sends the peer a Close frame with the reason. It
// returns the error of all reads from now on.
func (c *Conn) failReading(err error) error {
	c.reply(opClose, FormatCloseMessage(closeCodeFor(err)))
	return c.stopReading(phaseFailed, err)
}

// readFailed ends the reading because of an error of the transport, and returns the error of all reads from now on. A
// timeout does not end the reading: readFailed returns it, and the read can be repeated.
func (c *Conn) readFailed(err error) error {
	if !isTimeout(err) {
		return c.stopReading(phaseFailed, readError(err))
	}
	if c.readLock.phase() >= phaseClosed { // Close has interrupted the read
		return c.readLock.err()
	}
	return err
}

// stopReading ends the reading because of err, and returns the error of all reads from now on.
func (c *Conn) stopReading(p phase, err error) error {
	c.readLock.end(p, err, nil)
	err = c.readLock.err()
	c.send.link.cancelContext()
	if c.keepalive != nil {
		c.keepalive.stop()
	}
	if x := c.extras.Load(); x != nil {
		x.pings.fail(err) // nobody sees their pongs
	}
	return err
}

// Close closes the network connection. It sends no Close frame: to close the WebSocket connection in an
// orderly way, use Shutdown. Any goroutine may call Close. Blocked reads and writes, and all later ones,
// return an error that wraps net.ErrClosed, unless an earlier error has ended them.
//
// Close does not wait for the peer, except that it waits up to a second until the network has accepted frames
// that no call waits for: corked messages, answers to pings, Close frames, and the frames of a stream.
//
// If a Close frame was sent and the peer's was not received, closing the network connection could reset it,
// which could destroy the Close frame before the peer has read it. Then Close ends only the outgoing direction,
// and closes the network connection in the background, when the peer has ended its direction, or after a
// second. Meanwhile up to 256 KiB from the peer are read and discarded.
func (c *Conn) Close() error {
	l := until(time.Now().Add(closeTimeout))
	return c.closeWithin(&l)
}

// closeWithin is Close with a limit for writing the frames that no caller waits for.
func (c *Conn) closeWithin(limit *limit) error {
	s, l := &c.send, c.send.link
	closed := c.readLock.phase() == phaseClosed
	c.stopReading(phaseFailed, l.opError("read", net.ErrClosed))
	if c.readLock.has(stateLocked) && !l.closing.Load() { // else closeLater reads
		c.interruptRead()
	}
	if s.hasUnsent() {
		s.lock.end(phaseDraining, l.opError("write", net.ErrClosed), nil)
		if s.drain(limit) == errWriteTimeout {
			return c.close(l.abort)
		}
	}
	switch {
	case s.lock.phase() == phaseFailed:
		return c.close(l.abort)
	case s.sentClose() && !closed && l.canCloseWrite():
		return c.close(c.closeLater)
	}
	return c.close(l.Close)
}

// closeLater ends the outgoing direction of the transport, and closes the transport when the peer has ended
// the other direction, or after closeTimeout.
func (c *Conn) closeLater() error {
	l := c.send.link
	if l.closing.Swap(true) {
		return l.opError("close", net.ErrClosed)
	}
	go func() {
		defer l.Close()
		defer time.AfterFunc(closeTimeout, func() { l.abort() }).Stop()
		l.closeWrite()
		limit := until(time.Now().Add(closeTimeout))
		if _, err := c.readLock.acquire(modeDrain, nil, &limit); err != nil {
			return // a handler of the program is running
		}
		defer c.unlockRead()
		c.overrideReadDeadline(time.Time{})
		if !l.discard(maxDiscarded) {
			time.Sleep(time.Until(limit.deadline)) // time for the peer to read the Close frame
		}
	}()
	return nil
}

// maxDiscarded is how many bytes are read from the peer while the connection is being closed.
const maxDiscarded = 256 << 10

// abort is Close without waiting.
func (c *Conn) abort() { c.close(c.send.link.abort) }

// close ends both directions, and closes the transport by calling closeLink.
func (c *Conn) close(closeLink func() error) error {
	l := c.send.link
	c.stopReading(phaseFailed, l.opError("read", net.ErrClosed))
	c.send.lock.end(phaseFailed, l.opError("write", net.ErrClosed), nil)
	err := closeLink()
	if w := c.writer.Load(); w != nil {
		w.abandon(net.ErrClosed)
	}
	c.giveBack()
	c.send.forgetContext()
	if c.group != nil {
		c.group.remove(c)
	}
	return err
}

// giveBack releases the buffers and codecs of the directions that have ended. If a call holds the lock of a
// direction, it does that when it ends.
func (c *Conn) giveBack() {
	if c.readLock.phase() >= phaseClosed && c.readLock.tryAcquire(modeDrain) {
		if c.readWatch != nil {
			c.readWatch.forget()
		}
		c.message.dropKept()
		c.dropInflater()
		c.recv.b = nil
		c.recv.shrink()
		c.readLock.release(false)
	}
	s := &c.send
	if s.lock.phase() == phaseOpen {
		return
	}
	if c.compression != nil && s.lock.tryAcquire(modeMessage) {
		c.compression.drop()
		s.lock.endMessage()
	}
}

// maxCloseReason is the largest size of the reason in a Close frame.
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
	if !validCloseCode(code) {
		return 0, "", protocolErrorf("bad close code %d", code)
	}
	// "the body MAY contain UTF-8-encoded data" (5.5.1), and 8.1 rules on all that is
	// to be read as UTF-8.
	if !utf8.Valid(p[2:]) {
		return 0, "", &protocolError{CloseInvalidFramePayloadData, "reason of a close frame is not valid UTF-8"}
	}
	return code, string(p[2:]), nil
}

// validCloseCode reports whether a Close frame may carry the code.
func validCloseCode(code int) bool {
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

// replyClose answers a Close frame. "When sending a Close frame in response, the
// endpoint typically echos the status code it received" (5.5.1).
func (c *Conn) replyClose(code int) {
	c.reply(opClose, FormatCloseMessage(code, ""))
}
