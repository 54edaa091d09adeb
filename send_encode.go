package websocket

// frame is a frame to be sent.
type frame struct {
	opcode  opcode
	fin     bool
	rsv1    bool
	payload []byte
	encoded []byte // the whole frame as a server sends it, if it was prepared; else nil
}

const (
	// maxCopied is the size of the largest frame that is copied into the outbox. A larger one
	// is written from the caller's memory, or a client's masked piece by piece. It is also
	// how many bytes are corked at most.
	maxCopied = 16 << 10

	// maxControlSize is the size of the largest control frame, as frame.size has it.
	maxControlSize = maxHeaderSize + maxControlPayload
)

// size returns how many bytes the frame takes at most.
func (f *frame) size() int { return maxHeaderSize + len(f.payload) }

// fitsBatch reports whether the holder of the write lock may write the frame for its sender. A
// Close frame ends the direction, which its sender has to see.
func (f *frame) fitsBatch() bool { return f.size() <= maxCopied && f.opcode != opClose }

// header returns the header. "A masking key is a 32-bit value chosen at random by the client",
// "a fresh masking key" for each frame (RFC 6455, 5.3).
func (f *frame) header(client bool) header {
	h := header{fin: f.fin, rsv1: f.rsv1, opcode: f.opcode, length: int64(len(f.payload))}
	if client {
		h.masked, h.key = true, newMaskKey()
	}
	return h
}

// append appends the frame to p, which has room for it.
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
