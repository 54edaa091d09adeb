package websocket

// PreparedMessage is a message that is encoded once, to be sent to any number of
// connections. It never changes, so any number of goroutines may use it.
type PreparedMessage struct {
	header header
	frame  []byte // as a server sends it
}

// NewPreparedMessage prepares a message of any type, of which it keeps a copy.
// Its errors are those of WriteMessage for a bad type and a control message that is too long.
func NewPreparedMessage(messageType int, data []byte) (*PreparedMessage, error) {
	switch {
	case isControl(messageType) && len(data) > maxControlPayload:
		return nil, errInvalidControlFrame
	case !isControl(messageType) && !isData(messageType):
		return nil, errBadMessageType
	}
	h := header{fin: true, opcode: opcode(messageType), length: int64(len(data))}
	frame := h.append(make([]byte, 0, maxHeaderSize+len(data)))
	return &PreparedMessage{header: h, frame: append(frame, data...)}, nil
}

// payload is the end of the frame.
func (m *PreparedMessage) payload() []byte {
	return m.frame[int64(len(m.frame))-m.header.length:]
}

// WritePreparedMessage sends the message as WriteMessage does. A server sends the
// very bytes that were prepared; a client masks a copy of them with a fresh key.
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	b := until(c.loadWriteDeadline())
	if pm.header.opcode.isControl() {
		return c.send.writePrepared(pm, b)
	}
	if err := c.acquireMessage(b); err != nil {
		return err
	}
	err := c.send.writePrepared(pm, b)
	c.message.release()
	return err
}

// writePrepared is write for a prepared message.
func (s *send) writePrepared(pm *PreparedMessage, b bound) error {
	if s.client {
		return s.write(pm.header, pm.payload(), b)
	}
	if err := s.acquire(b); err != nil {
		return err
	}
	h := pm.header
	err := s.begin(&h, int(h.length), b)
	if err == nil {
		var n int
		n, err = s.t.Write(pm.frame)
		err = s.end(h, n, err, b)
	}
	s.release(b)
	return err
}
