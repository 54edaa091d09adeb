package websocket

// outbox is encoded frames that the transport has not accepted yet. It belongs to the holder of
// the write lock; while the lock is free, it is empty or corked.
type outbox struct {
	buf        *buffer // nil where the outbox is empty
	start, end int32   // of the frames in buf; 0 where that is nil

	// reported is the end of the last frame that was reported as written. If the transport
	// fails before that, frames are lost.
	reported int32

	client bool // frames are masked; a constant
}

func (o *outbox) len() int { return int(o.end - o.start) }

// bytes returns the bytes to be written next.
func (o *outbox) bytes() []byte { return o.buf.b[o.start:o.end] }

// fits reports whether the outbox can have room for n more bytes.
func (o *outbox) fits(n int) bool { return o.len()+n <= maxBufferSize }

// reserve makes room for n more bytes, which fit.
func (o *outbox) reserve(n int) {
	if o.buf != nil && int(o.end)+n <= len(o.buf.b) {
		return
	}
	o.buf = growBuffer(o.buf, int(o.start), int(o.end), n)
	o.start, o.end, o.reported = 0, o.end-o.start, max(o.reported-o.start, 0)
}

// add appends a frame that fits, and returns where it begins.
func (o *outbox) add(f *frame) (begin int32) {
	o.reserve(f.size())
	begin = o.end
	o.end = int32(len(f.append(o.buf.b[:begin], o.client)))
	return begin
}

// take appends the first n bytes of buf, which fit, and of which reported bytes were reported as
// written. The buffer becomes the outbox's.
func (o *outbox) take(buf *buffer, n, reported int32) {
	if o.buf == nil {
		o.buf, o.start, o.end, o.reported = buf, 0, n, reported
		return
	}
	o.reserve(int(n))
	if reported > 0 {
		o.reported = o.end + reported
	}
	o.end += int32(copy(o.buf.b[o.end:], buf.b[:n]))
	releaseBuffer(buf)
}

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

// maxPiece is how much of a large frame is written at once with keepalive, which wants to see progress.
const maxPiece = 256 << 10
