package websocket

import (
	"errors"
	"sync/atomic"
)

// compression is the state of permessage-deflate on a connection (RFC 7692): the negotiated
// parameters, and the state that lasts from one message to the next.
type compression struct {
	sendTakeover, recvTakeover bool
	sendBits, recvBits         int
	threshold                  int

	off   atomic.Bool  // EnableWriteCompression(false)
	level atomic.Int32 // at 0 no message is compressed

	// deflater is the connection's own deflater if sendTakeover is set, from the first
	// compressed message on. It belongs to the data message being written.
	deflater *deflater

	// window belongs to the holder of the read lock. It holds the last bytes of the messages received
	// or, unless recvTakeover is set, of the part of the current message that NextReader has delivered.
	window window
}

// newCompression returns the compression of one side of a connection.
func newCompression(o CompressionOptions, agreed deflateParams, server bool) *compression {
	o = o.withDefaults()
	k := &compression{threshold: o.Threshold}
	k.level.Store(int32(o.Level))
	ofServer := !agreed.serverNoContextTakeover
	ofClient := !agreed.clientNoContextTakeover
	serverBits, clientBits := orMax(agreed.serverMaxWindowBits), orMax(agreed.clientMaxWindowBits)
	if server {
		k.sendTakeover, k.sendBits = ofServer, serverBits
		k.recvTakeover, k.recvBits = ofClient, clientBits
	} else {
		k.sendTakeover, k.sendBits = ofClient && o.ContextTakeover, min(clientBits, o.WindowBits)
		k.recvTakeover, k.recvBits = ofServer, serverBits
	}
	k.window.size = 1 << k.recvBits
	return k
}

// acquire returns the deflater for a message, to be released by k.release. If
// sendTakeover is set, the caller has called beginMessage.
func (k *compression) acquire() *deflater {
	level := int(k.level.Load())
	if !k.sendTakeover {
		return acquireDeflater(level, k.sendBits)
	}
	if k.deflater == nil {
		k.deflater = acquireDeflater(level, k.sendBits)
	}
	k.deflater.setLevel(level)
	return k.deflater
}

// release releases a deflater. If the message was not sent completely, later messages must not refer to
// it.
func (k *compression) release(d *deflater, sent bool) {
	if d != k.deflater {
		releaseDeflater(d)
	} else if !sent {
		d.restart()
	}
}

// drop releases the connection's own deflater.
func (k *compression) drop() {
	if k.deflater != nil {
		releaseDeflater(k.deflater)
		k.deflater = nil
	}
}

// CompressionState is the result of negotiating compression (RFC 7692, 7.1). Takeover says whether messages of
// a direction may refer to earlier ones, and WindowBits is the base-2 logarithm of the distance in bytes up to
// which they may.
type CompressionState struct {
	Enabled                           bool // else the other fields are zero
	SendTakeover, ReceiveTakeover     bool
	SendWindowBits, ReceiveWindowBits int
}

// CompressionState returns the result of negotiating compression. Any goroutine may call it at any time.
func (c *Conn) CompressionState() CompressionState {
	k := c.compression
	if k == nil {
		return CompressionState{}
	}
	return CompressionState{true, k.sendTakeover, k.recvTakeover, k.sendBits, k.recvBits}
}

// EnableWriteCompression turns the compression of the messages written from now on off, or on
// again. It is on by default. If no compression was negotiated, the call has no effect. Any
// goroutine may call it at any time.
func (c *Conn) EnableWriteCompression(enable bool) {
	if c.compression != nil {
		c.compression.off.Store(!enable)
	}
}

// SetCompressionLevel sets the level, -2 to 9, for the messages written from now on. At level 0
// they are not compressed; [CompressionOptions.Level] describes the others. If no compression was
// negotiated, the level is only checked. Any goroutine may call it at any time.
func (c *Conn) SetCompressionLevel(level int) error {
	if !validCompressionLevel(level) {
		return errInvalidCompressionLevel
	}
	if c.compression != nil {
		c.compression.level.Store(int32(level))
	}
	return nil
}

// compresses reports whether a message of the given length is compressed.
func (c *Conn) compresses(length int) bool {
	k := c.compression
	return k != nil && length >= k.threshold && length > 0 && !k.off.Load() && k.level.Load() != 0
}

// writeCompressed sends a message of one frame, compressed if that makes it shorter.
func (c *Conn) writeCompressed(f *frame, l *limit) error {
	if !c.compression.sendTakeover {
		return c.deflateAndWrite(f, modeData, l)
	}
	// Messages must be sent in the order in which they are compressed.
	if err := c.beginMessage(l); err != nil {
		return err
	}
	err := c.deflateAndWrite(f, modeFrame, l)
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
		k.release(d, true) // before waiting for the network
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
