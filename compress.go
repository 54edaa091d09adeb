package websocket

import (
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
