package websocket

import "encoding/binary"

// Message types (RFC 6455, 5.2 and 11.8).
const (
	// TextMessage is a data message of UTF-8 text.
	TextMessage = 1

	// BinaryMessage is a data message of bytes.
	BinaryMessage = 2

	// CloseMessage is a control message that closes the connection. Its payload is
	// empty or made by FormatCloseMessage.
	CloseMessage = 8

	// PingMessage is a control message that the peer answers with a pong of the same payload.
	PingMessage = 9

	// PongMessage is a control message, solicited by a ping or not.
	PongMessage = 10
)

// opcode is the 4-bit interpretation of a frame (RFC 6455, 5.2). Those of data
// and control frames have the values of the public message types.
type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = TextMessage
	opBinary       opcode = BinaryMessage
	opClose        opcode = CloseMessage
	opPing         opcode = PingMessage
	opPong         opcode = PongMessage
)

// isControl reports whether the opcode's most significant bit is set: such
// frames are control frames, also where their meaning is not defined yet (5.5).
func (op opcode) isControl() bool { return op&8 != 0 }

func isData(messageType int) bool {
	return messageType == TextMessage || messageType == BinaryMessage
}

func isControl(messageType int) bool {
	return messageType == CloseMessage || messageType == PingMessage || messageType == PongMessage
}

const (
	// maxHeaderSize is two bytes, an extended length and a masking key.
	maxHeaderSize = 2 + 8 + 4
	// maxControlPayload: "All control frames MUST have a payload length of 125
	// bytes or less" (5.5).
	maxControlPayload = 125

	// maxControlSize is the size of the largest control frame, as frame.size has it.
	maxControlSize = maxHeaderSize + maxControlPayload
)

// header is the header of a frame (RFC 6455, 5.2).
type header struct {
	fin              bool
	rsv1, rsv2, rsv3 bool
	opcode           opcode
	masked           bool
	key              [4]byte // the masking key, where masked
	length           int64   // of the payload
}

// parseHeader reads a header from the start of b. It returns its size, or 0
// where b is too short to hold it or its length is badly encoded. In any case h has
// the fields of the first two bytes if b has these, so that check can refuse a
// frame as early as possible. It returns wherever b may end.
func parseHeader(b []byte) (h header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.fin = b[0]&0x80 != 0
	h.rsv1 = b[0]&0x40 != 0
	h.rsv2 = b[0]&0x20 != 0
	h.rsv3 = b[0]&0x10 != 0
	h.opcode = opcode(b[0] & 0x0f)
	h.masked = b[1]&0x80 != 0
	h.length = int64(b[1] & 0x7f)

	n = 2
	switch h.length {
	case 126:
		if len(b) < 4 {
			return h, 0, nil
		}
		length := binary.BigEndian.Uint16(b[2:])
		// "Note that in all cases, the minimal number of bytes MUST be used to
		// encode the length" (5.2).
		if length < 126 {
			return h, 0, protocolErrorf("length %d is not encoded in the fewest bytes", length)
		}
		h.length = int64(length)
		n = 4
	case 127:
		if len(b) < 10 {
			return h, 0, nil
		}
		length := binary.BigEndian.Uint64(b[2:])
		// "the most significant bit MUST be 0" (5.2).
		if length>>63 != 0 {
			return h, 0, protocolErrorf("the most significant bit of the length %#x is set", length)
		}
		if length < 1<<16 {
			return h, 0, protocolErrorf("length %d is not encoded in the fewest bytes", length)
		}
		h.length = int64(length)
		n = 10
	}
	if h.masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		h.key = [4]byte(b[n:])
		n += 4
	}
	return h, n, nil
}

// append adds the header's bytes to b.
func (h *header) append(b []byte) []byte {
	b0 := firstByte(h.opcode, h.fin, h.rsv1)
	if h.rsv2 {
		b0 |= 0x20
	}
	if h.rsv3 {
		b0 |= 0x10
	}
	if !h.masked {
		return appendLength(append(b, b0), 0, h.length)
	}
	b = appendLength(append(b, b0), 0x80, h.length)
	return append(b, h.key[:]...)
}

// firstByte returns the first byte of a header.
func firstByte(op opcode, fin, rsv1 bool) byte {
	b := byte(op)
	if fin {
		b |= 0x80
	}
	if rsv1 {
		b |= 0x40
	}
	return b
}

// appendLength adds a length in the fewest bytes, with the mask bit.
func appendLength(b []byte, mask byte, length int64) []byte {
	switch {
	case length <= 125:
		return append(b, mask|byte(length))
	case length < 1<<16:
		return append(b, mask|126, byte(length>>8), byte(length))
	}
	return binary.BigEndian.AppendUint64(append(b, mask|127), uint64(length))
}

// frameContext is what a frame is checked against.
type frameContext struct {
	server      bool // the frame comes from a client
	inMessage   bool // a fragmented message has begun and not ended
	compression bool // permessage-deflate was agreed on, which defines RSV1
}

// check applies the rules that a frame's first two bytes can break.
func (h *header) check(c frameContext) error {
	switch {
	// "MUST be 0 unless an extension is negotiated that defines meanings for
	// non-zero values. If a nonzero value is received and none of the negotiated
	// extensions defines the meaning of such a nonzero value, the receiving
	// endpoint MUST _Fail the WebSocket Connection_" (5.2).
	case h.rsv1 && !c.compression:
		return protocolErrorf("reserved bit RSV1 is set")
	case h.rsv2:
		return protocolErrorf("reserved bit RSV2 is set")
	case h.rsv3:
		return protocolErrorf("reserved bit RSV3 is set")

	// "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and
	// non-first fragments of a data message. An endpoint receiving such a frame MUST
	// _Fail the WebSocket Connection_" (RFC 7692, 6).
	case h.rsv1 && h.opcode.isControl():
		return protocolErrorf("control frame is marked as compressed")
	case h.rsv1 && h.opcode == opContinuation:
		return protocolErrorf("continuation frame is marked as compressed")

	// "If an unknown opcode is received, the receiving endpoint MUST _Fail the
	// WebSocket Connection_" (5.2).
	case h.opcode > opBinary && h.opcode < opClose, h.opcode > opPong:
		return protocolErrorf("unknown opcode %d", h.opcode)

	// "The server MUST close the connection upon receiving a frame that is not
	// masked" (5.1).
	case c.server && !h.masked:
		return protocolErrorf("frame from a client is not masked")

	// "A client MUST close a connection if it detects a masked frame" (5.1).
	case !c.server && h.masked:
		return protocolErrorf("frame from a server is masked")

	// "All control frames MUST have a payload length of 125 bytes or less and
	// MUST NOT be fragmented" (5.5).
	case h.opcode.isControl() && !h.fin:
		return protocolErrorf("control frame is fragmented")
	case h.opcode.isControl() && h.length > maxControlPayload:
		return protocolErrorf("control frame is longer than 125 bytes")

	// "A fragmented message consists of a single frame with the FIN bit clear and
	// an opcode other than 0, followed by zero or more frames with the FIN bit
	// clear and the opcode set to 0, and terminated by a single frame with the
	// FIN bit set and an opcode of 0" (5.4).
	case h.opcode == opContinuation && !c.inMessage:
		return protocolErrorf("continuation frame without a message to continue")
	case (h.opcode == opText || h.opcode == opBinary) && c.inMessage:
		return protocolErrorf("new message before the end of the one before")
	}
	return nil
}

// frame is a frame to be sent.
type frame struct {
	opcode  opcode
	fin     bool
	rsv1    bool
	payload []byte
	encoded []byte // the whole frame as a server sends it, if it was prepared; else nil
}

// size returns an upper bound of the frame's encoded size.
func (f *frame) size() int { return maxHeaderSize + len(f.payload) }

// header returns the header. "A masking key is a 32-bit value chosen at random by the client",
// "a fresh masking key" for each frame (RFC 6455, 5.3).
func (f *frame) header(client bool) header {
	h := header{fin: f.fin, rsv1: f.rsv1, opcode: f.opcode, length: int64(len(f.payload))}
	if client {
		h.masked, h.key = true, newMaskKey()
	}
	return h
}

// append encodes the frame to the end of p, which has room for it.
func (f *frame) append(p []byte, client bool) []byte {
	switch {
	case client:
		h := f.header(client)
		p = h.append(p)
		n := len(p)
		p = p[:n+len(f.payload)]
		maskCopy(p[n:], f.payload, h.key, 0)
		return p
	case f.encoded != nil:
		return append(p, f.encoded...)
	}
	p = append(p, firstByte(f.opcode, f.fin, f.rsv1))
	return append(appendLength(p, 0, int64(len(f.payload))), f.payload...)
}
