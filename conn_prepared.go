package websocket

import "sync"

// PreparedMessage is a message for any number of connections, encoded once for each form that
// they need, plain or compressed. It never changes, so any number of goroutines may use it.
type PreparedMessage struct {
	plain frame

	mu       sync.Mutex
	deflated map[deflateForm]*frame // &plain where compression does not make it shorter
}

// deflateForm is the parameters of a compressed form.
type deflateForm struct{ level, bits int }

// NewPreparedMessage prepares a message of any type. It keeps a copy of data. Its errors are those of
// WriteMessage for a bad type and for a control message that is too long.
func NewPreparedMessage(messageType int, data []byte) (*PreparedMessage, error) {
	op := messageOpcode(messageType)
	switch {
	case op == 0:
		return nil, errBadMessageType
	case op.isControl() && len(data) > maxControlPayload:
		return nil, errInvalidControlFrame
	}
	return &PreparedMessage{plain: prepareFrame(header{fin: true, opcode: op}, data)}, nil
}

// prepareFrame returns a frame with its bytes as a server sends them; the payload is the end
// of these bytes.
func prepareFrame(h header, payload []byte) frame {
	h.length = int64(len(payload))
	encoded := h.append(make([]byte, 0, maxHeaderSize+len(payload)))
	head := len(encoded)
	encoded = append(encoded, payload...)
	return frame{fin: h.fin, rsv1: h.rsv1, opcode: h.opcode, payload: encoded[head:], encoded: encoded}
}

// deflate returns the compressed form, which refers to no earlier message.
func (pm *PreparedMessage) deflate(form deflateForm) *frame {
	pm.mu.Lock()
	defer pm.mu.Unlock()
	if f := pm.deflated[form]; f != nil {
		return f
	}
	if pm.deflated == nil {
		pm.deflated = make(map[deflateForm]*frame)
	}
	f := &pm.plain
	d := acquireDeflater(form.level, form.bits)
	if p, ok := d.message(nil, pm.plain.payload); ok {
		compressed := prepareFrame(header{fin: true, rsv1: true, opcode: pm.plain.opcode}, p)
		f = &compressed
	}
	releaseDeflater(d)
	pm.deflated[form] = f
	return f
}

// WritePreparedMessage sends the message as WriteMessage does. A server sends the
// prepared bytes themselves; a client masks a copy of them with a fresh key. Even with
// context takeover the message refers to no earlier message.
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	l := until(c.loadWriteDeadline())
	f := &pm.plain
	if f.opcode == 0 {
		return errBadMessageType // pm was not made by NewPreparedMessage
	}
	if f.opcode.isControl() {
		return c.send.write(f, modeFrame, &l)
	}
	if !c.compresses(len(f.payload)) {
		return c.writeData(f, modeData, &l)
	}
	k := c.compression
	f = pm.deflate(deflateForm{int(k.level.Load()), k.sendBits})
	if f == &pm.plain || !k.sendTakeover {
		return c.writeData(f, modeData, &l)
	}
	if err := c.beginMessage(&l); err != nil {
		return err
	}
	err := c.writeData(f, modeFrame, &l)
	if err == nil && k.deflater != nil { // so that later messages may refer to this one
		k.deflater.sent(pm.plain.payload)
	}
	c.endMessage()
	return err
}
