package websocket

import "io"

// NextReader waits for the next message and returns a reader for it, which returns
// io.EOF at its end. One goroutine at a time may read.
//
// What was not read of the message before is discarded, and its reader returns
// io.EOF. Errors, of the reader too, are as for ReadMessage: after a timeout call
// the same method again.
func (c *Conn) NextReader() (messageType int, r io.Reader, err error) {
	if err := c.awaitMessage(); err != nil {
		return noMessage, nil, err
	}
	return c.claimMessage()
}

// claimMessage makes a reader of the next message, and ends the read.
func (c *Conn) claimMessage() (messageType int, r io.Reader, err error) {
	if err = c.nextMessage(); err != nil {
		messageType = noMessage
	} else {
		messageType, r = int(c.message.kind), c.message.claim(c)
		if c.message.inflater == nil { // else it is not looked at before it is read
			c.endIfRead()
		}
	}
	c.endRead()
	return messageType, r, err
}

// messageReader reads a message that the program has claimed. Each message has one of its own, lest one that
// a program has kept reads from the next message.
type messageReader struct {
	c *Conn // nil once the message has ended, or another one was asked for
}

// claim returns a reader of the current message.
func (m *message) claim(c *Conn) *messageReader {
	m.state = claimed
	m.reader = &messageReader{c}
	return m.reader
}

func (r *messageReader) Read(p []byte) (n int, err error) {
	c := r.c
	if c == nil {
		return 0, io.EOF
	}
	if err := c.beginRead(&noLimit); err != nil {
		return 0, err
	}
	n, err = c.readPiece(p)
	c.endRead()
	return n, err
}

// readPiece reads from the current message, which has been claimed.
func (c *Conn) readPiece(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	m := &c.message
	compressed := m.inflater != nil
	if kept := m.bytes(); kept != nil {
		n = copy(p, kept)
		if m.drop(); n < len(kept) {
			m.keep(kept[n:])
		}
	}
	for n == 0 && err == nil && c.messageOpen() {
		n, err = c.readSome(p, 0)
	}
	if compressed {
		c.remember(p[:n])
	}
	if err == nil && c.endIfRead() && n == 0 {
		err = io.EOF
	}
	return n, err
}

// endIfRead ends the current message if the program has got all bytes of it, and reports whether it has:
// a program that knows where a message ends need not ask for io.EOF. It waits for nothing. An error
// that it comes upon ends the reading, and is returned by the next call.
func (c *Conn) endIfRead() bool {
	for err := error(nil); err == nil && c.message.bytes() == nil; {
		switch z := c.message.inflater; {
		case !c.messageOpen():
			c.endMessageRead()
			return true
		case z != nil && z.full:
			return false
		case c.canInflate():
			_, err = c.inflate(nil, 0)
		case c.recv.hasFragment():
			err = c.advance()
		default:
			return false
		}
	}
	return false
}
