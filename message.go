package websocket

// message is the data message that is being received. It belongs to the holder of the read lock.
type message struct {
	state      messageState
	kind       opcode // opText or opBinary
	compressed bool
	kept       *keptBytes // nil before the first message that is kept
	reader     *messageReader
}

// messageState says where the current message is.
type messageState uint8

const (
	// betweenMessages: none has begun whose end the program has not got.
	betweenMessages messageState = iota

	// begun: its first header has come. It is for the next call of ReadMessage or NextReader.
	begun

	// claimed: message.reader has it.
	claimed

	// discarded: the rest of it is not wanted.
	discarded
)

// keptBytes is what the connection keeps of the current message until the program gets it: of a
// compressed message all that has come, of another one what ReadMessage had when it was interrupted.
type keptBytes struct {
	b   []byte
	buf *buffer // that b lies in, or nil
}

// keep returns m.kept, allocating it on first use.
func (m *message) keep() *keptBytes {
	if m.kept == nil {
		m.kept = new(keptBytes)
	}
	return m.kept
}

// bytes returns what is kept.
func (m *message) bytes() []byte {
	if m.kept == nil {
		return nil
	}
	return m.kept.b
}

// drop gives up what is kept.
func (m *message) drop() {
	if k := m.kept; k != nil {
		if k.buf != nil {
			releaseBuffer(k.buf)
		}
		*k = keptBytes{}
	}
}

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

// discardMessage gives up the current message.
func (c *Conn) discardMessage() {
	if !c.message.compressed {
		c.message.drop()
	}
	c.message.state = discarded
}

// skip discards some of the current message.
func (c *Conn) skip() error {
	switch {
	case c.message.compressed && (c.compression.recvTakeover || !c.recv.open):
		return c.skipCompressed()
	case !c.recv.open:
		c.message.state = betweenMessages
		return nil
	case c.recv.remaining == 0:
		return c.advance()
	case len(c.recv.b) == 0:
		return c.wait()
	}
	_, err := c.received(0, c.recv.skip())
	return err
}
