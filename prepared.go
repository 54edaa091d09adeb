package websocket

import "sync"

// PreparedMessage is a message that is encoded once for each form in which a
// connection may want it, plain or compressed, to be sent to any number of
// connections. It never changes, so any number of goroutines may use it.
type PreparedMessage struct {
	plain preparedFrame

	mu       sync.Mutex
	deflated map[deflateForm]*preparedFrame // plain where it does not become shorter
}

// deflateForm is what a compressed form depends on.
type deflateForm struct{ level, bits int }

// preparedFrame is a frame as a server sends it.
type preparedFrame struct {
	header header
	frame  []byte
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
	return &PreparedMessage{plain: prepareFrame(header{fin: true, opcode: opcode(messageType)}, data)}, nil
}

func prepareFrame(h header, payload []byte) preparedFrame {
	h.length = int64(len(payload))
	frame := h.append(make([]byte, 0, maxHeaderSize+len(payload)))
	return preparedFrame{header: h, frame: append(frame, payload...)}
}

// payload is the end of the frame.
func (f *preparedFrame) payload() []byte {
	return f.frame[int64(len(f.frame))-f.header.length:]
}

// deflate returns the compressed form, which refers to no message before it.
func (pm *PreparedMessage) deflate(form deflateForm) *preparedFrame {
	pm.mu.Lock()
	defer pm.mu.Unlock()
	if f := pm.deflated[form]; f != nil {
		return f
	}
	if pm.deflated == nil {
		pm.deflated = make(map[deflateForm]*preparedFrame)
	}
	f := &pm.plain
	d := acquireDeflater(form.level, form.bits)
	if p, ok := d.message(nil, pm.plain.payload()); ok {
		compressed := prepareFrame(header{fin: true, rsv1: true, opcode: pm.plain.header.opcode}, p)
		f = &compressed
	}
	releaseDeflater(d)
	pm.deflated[form] = f
	return f
}

// WritePreparedMessage sends the message as WriteMessage does. A server sends the
// very bytes that were prepared; a client masks a copy of them with a fresh key. With
// context takeover the message refers to none before it, and none after it to it.
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	b := until(c.loadWriteDeadline())
	f := &pm.plain
	if f.header.opcode.isControl() {
		return c.send.writePrepared(f, b)
	}
	if err := c.acquireMessage(b); err != nil {
		return err
	}
	if c.compresses(int(f.header.length)) {
		f = pm.deflate(deflateForm{int(c.compression.level.Load()), c.compression.sendBits})
		if f != &pm.plain {
			c.compression.forgetSent()
		}
	}
	err := c.send.writePrepared(f, b)
	c.releaseMessage()
	return err
}

// writePrepared is write for a frame that was prepared.
func (s *send) writePrepared(f *preparedFrame, b bound) error {
	if s.client {
		return s.write(f.header, f.payload(), b)
	}
	if err := s.acquire(b); err != nil {
		return err
	}
	h := f.header
	err := s.begin(&h, int(h.length), b)
	if err == nil {
		var n int
		n, err = s.t.Write(f.frame)
		err = s.end(h, n, err, b)
	}
	s.release(b)
	return err
}
