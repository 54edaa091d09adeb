package websocket

// message is the data message that is being received. It belongs to the holder of the read lock.
type message struct {
	state    messageState
	kind     opcode         // opText or opBinary
	kept     *[]byte        // see keep
	inflater *inflater      // of a compressed message, until its end has come out
	reader   *messageReader // of the claimed message, or of the last one that was
}

// messageState says where the current message is.
type messageState uint8

const (
	// betweenMessages: the program has got the last message to its end, and no header of another has come.
	betweenMessages messageState = iota

	// begun: its first header has come. It is for the next call of ReadMessage or NextReader.
	begun

	// claimed: a reader from NextReader has it, message.reader.
	claimed

	// discarded: the rest of it is not wanted.
	discarded
)

// keep keeps p, what ReadMessage had of the current message when it was interrupted.
func (m *message) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if m.kept == nil {
		m.kept = new([]byte)
	}
	*m.kept = p
}

// bytes returns what is kept, or nil.
func (m *message) bytes() []byte {
	if m.kept == nil {
		return nil
	}
	return *m.kept
}

// drop gives up what is kept.
func (m *message) drop() {
	if m.kept != nil {
		*m.kept = nil
	}
}

// messageOpen reports whether more of the current message is to be received or decompressed.
func (c *Conn) messageOpen() bool { return c.recv.open || c.message.inflater != nil }

// nextMessage waits for a message that the program has not got, which is then the current one. It can be
// interrupted and repeated.
func (c *Conn) nextMessage() error {
	if c.message.state == claimed {
		c.message.reader.c = nil
		c.discardMessage()
	}
	for c.message.state == discarded {
		if err := c.skip(); err != nil {
			return err
		}
	}
	if c.message.state == begun {
		return nil
	}
	return c.advance()
}

// discardMessage gives up the current message. If later messages may refer to it, it is still
// decompressed.
func (c *Conn) discardMessage() {
	m := &c.message
	m.state = discarded
	if m.inflater != nil {
		if c.compression.recvTakeover {
			c.compression.window.put(m.bytes())
		} else {
			c.dropInflater()
		}
	}
	m.drop()
}

// skip discards some of the current message.
func (c *Conn) skip() error {
	switch {
	case c.canInflate():
		buf := acquireBuffer(maxBufferSize)
		n, err := c.inflate(buf.b, 0)
		c.remember(buf.b[:n])
		releaseBuffer(buf)
		return err
	case !c.messageOpen():
		c.message.state = betweenMessages
		return nil
	case c.recv.remaining == 0:
		return c.advance()
	case len(c.recv.b) == 0:
		return c.wait()
	}
	if err := c.recv.skip(); err != nil {
		return c.fail(err)
	}
	c.heard()
	return nil
}
