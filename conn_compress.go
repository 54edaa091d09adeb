package websocket

import "errors"

// CompressionState is what the handshake has agreed on about compression. Takeover says that messages of that
// direction may refer to those before, and WindowBits is the base-2 logarithm of how far back in bytes (RFC 7692,
// 7.1).
type CompressionState struct {
	Enabled                           bool // else the other fields are zero
	SendTakeover, ReceiveTakeover     bool
	SendWindowBits, ReceiveWindowBits int
}

// CompressionState returns what was agreed on.
func (c *Conn) CompressionState() CompressionState {
	k := c.compression
	if k == nil {
		return CompressionState{}
	}
	return CompressionState{true, k.sendTakeover, k.recvTakeover, k.sendBits, k.recvBits}
}

// EnableWriteCompression turns the compression of the messages that are written from
// now on off and on again. It is on where compression was negotiated; else the call
// has no effect. Any goroutine may call it at any time.
func (c *Conn) EnableWriteCompression(enable bool) {
	if c.compression != nil {
		c.compression.off.Store(!enable)
	}
}

// SetCompressionLevel sets the level, -2 to 9, at which the messages are compressed that
// are written from now on; at 0 they are sent as they are. The others are those of
// [CompressionOptions.Level]. Where no compression was negotiated, the level is only checked.
// Any goroutine may call it at any time.
func (c *Conn) SetCompressionLevel(level int) error {
	if !validCompressionLevel(level) {
		return errInvalidCompressionLevel
	}
	if c.compression != nil {
		c.compression.level.Store(int32(level))
	}
	return nil
}

// compresses reports whether a message of the length is to be compressed.
func (c *Conn) compresses(length int) bool {
	k := c.compression
	return k != nil && length >= k.threshold && length > 0 && !k.off.Load() && k.level.Load() != 0
}

// writeCompressed sends a message of one frame, compressed if that makes it shorter.
func (c *Conn) writeCompressed(f *frame, l *limit) error {
	if !c.compression.sendTakeover {
		return c.deflateAndWrite(f, lockData, l)
	}
	// The messages must leave in the order in which they were compressed.
	if err := c.beginMessage(l); err != nil {
		return err
	}
	err := c.deflateAndWrite(f, lockFrame, l)
	c.endMessage()
	return err
}

// deflateAndWrite sends a frame, compressed if that makes it shorter.
func (c *Conn) deflateAndWrite(f *frame, mode lockMode, l *limit) error {
	buf := acquireBuffer(len(f.payload) + len(deflateTail))
	defer releaseBuffer(buf)
	k := c.compression
	d := k.acquire()
	p, ok := d.message(buf.b[:0], f.payload)
	if d != k.deflater {
		k.release(d, true) // before the network is waited for
	}
	if !ok {
		return c.writeData(f, mode, l)
	}
	compressed := frame{fin: true, rsv1: true, opcode: f.opcode, payload: p}
	err := c.writeData(&compressed, mode, l)
	if err == nil && k.sendTakeover {
		d.sent(f.payload)
	}
	return err
}

var errInvalidCompressionLevel = errors.New("websocket: invalid compression level")
