package websocket

import (
	"net"
	"sync"
)

// frame is a frame that is to be sent.
type frame struct {
	opcode  opcode
	fin     bool
	rsv1    bool
	atOnce  bool // it is not to be held: its time is measured
	inPlace bool // bytes are maxHeaderSize bytes, then the payload, and may be changed
	payload []byte
	bytes   []byte // else all of it as a server sends it, if it was prepared, or nil
}

// prepared returns all of the frame's bytes as a server sends them, or nil.
func (f *frame) prepared() []byte {
	if f.inPlace {
		return nil
	}
	return f.bytes
}

// size is what the frame takes at most.
func (f *frame) size() int { return maxHeaderSize + len(f.payload) }

// fitsAlong reports whether the frame may be sent together with others.
func (f *frame) fitsAlong() bool { return f.size() <= heldSize && f.opcode != opClose }

// seal completes the header. "A masking key is a 32-bit value chosen at random by the
// client", "a fresh masking key" for each frame (RFC 6455, 5.3).
func (s *send) seal(f *frame) header {
	h := header{fin: f.fin, rsv1: f.rsv1, opcode: f.opcode, length: int64(len(f.payload))}
	if s.client {
		h.masked, h.key = true, newMaskKey()
	}
	return h
}

// append appends the frame's bytes to p.
func (s *send) append(p []byte, f *frame) []byte {
	if prepared := f.prepared(); prepared != nil && !s.client {
		return append(p, prepared...)
	}
	if f.fin && !f.rsv1 {
		return s.appendWhole(p, f.opcode, f.payload)
	}
	h := s.seal(f)
	return h.appendFrame(p, f.payload)
}

// appendWhole appends a frame that is all of a message or the end of one, not compressed.
func (s *send) appendWhole(p []byte, op opcode, payload []byte) []byte {
	if s.client {
		h := header{fin: true, opcode: op, length: int64(len(payload)), masked: true, key: newMaskKey()}
		return h.appendFrame(p, payload)
	}
	p = appendLength(append(p, 0x80|byte(op)), 0, int64(len(payload)))
	return append(p, payload...)
}

// appendFrame appends the header and the payload, masked if the header says so.
func (h *header) appendFrame(p, payload []byte) []byte {
	p = h.append(p)
	if !h.masked {
		return append(p, payload...)
	}
	n := len(p)
	p = p[:n+len(payload)]
	maskCopy(p[n:], payload, h.key, 0)
	return p
}

// finishInPlace puts the header before the payload of a frame that is in place.
func (s *send) finishInPlace(f *frame) []byte {
	h := s.seal(f)
	var space [maxHeaderSize]byte
	head := h.append(space[:0])
	if h.masked {
		maskBytes(f.payload, h.key, 0)
	}
	p := f.bytes[maxHeaderSize-len(head):]
	copy(p, head)
	return p
}

const (
	// segmentSize is how much of a large frame goes with its header where that is written
	// alone, so that no packet is sent for so little.
	segmentSize = 1400

	// headStart is from where on the first segment of a frame is written alone although all of
	// it could be written at once: the peer then begins to read while the kernel still copies.
	headStart = 256 << 10
)

// writeLarge writes a frame that is too large to be copied into one buffer with its
// header, or, by a client, that is masked piece by piece. It returns how many bytes have left.
func (s *send) writeLarge(f *frame) (n int, err error) {
	h, payload := s.seal(f), f.payload
	if tcp, ok := s.t.(*net.TCPConn); ok && !h.masked {
		return writeVector(tcp, h, payload)
	}
	buf := acquireBuffer(maxBufferSize)
	defer releaseBuffer(buf)
	if !h.masked {
		p := h.append(buf.b[:0])
		part := min(len(payload), segmentSize-len(p))
		p = append(p, payload[:part]...)
		if n, err = s.t.Write(p); err == nil {
			var m int
			m, err = s.t.Write(payload[part:])
			n += m
		}
		return n, err
	}
	pos := 0
	for p := h.append(buf.b[:0]); ; p = p[:0] {
		head := len(p)
		p = p[:min(head+len(payload), len(buf.b))]
		part := payload[:len(p)-head]
		payload = payload[len(part):]
		pos = maskCopy(p[head:], part, h.key, pos)
		m, err := s.t.Write(p)
		n += m
		if err != nil || len(payload) == 0 {
			return n, err
		}
	}
}

// vector is a header and a payload on their way into one system call.
type vector struct {
	head  [maxHeaderSize]byte
	parts [2][]byte
	bufs  net.Buffers
}

var vectorPool = sync.Pool{New: func() any { return new(vector) }}

// writeVector writes a frame that is not masked, without a copy of the payload.
func writeVector(c *net.TCPConn, h header, payload []byte) (n int, err error) {
	v := vectorPool.Get().(*vector)
	head := h.append(v.head[:0])
	if len(payload) < headStart {
		n, err = v.write(c, head, payload)
	} else if n, err = v.write(c, head, payload[:segmentSize]); err == nil {
		var m int
		m, err = v.write(c, payload[segmentSize:], nil)
		n += m
	}
	v.parts = [2][]byte{} // the payload is the caller's
	vectorPool.Put(v)
	return n, err
}

func (v *vector) write(c *net.TCPConn, first, second []byte) (n int, err error) {
	v.parts = [2][]byte{first, second}
	v.bufs = v.parts[:]
	n64, err := v.bufs.WriteTo(c)
	return int(n64), err
}
