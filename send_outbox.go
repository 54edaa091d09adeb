package websocket

// maxCopied is the size of the largest frame that is copied into the outbox. A larger one is written
// from the caller's memory or, by a client, masked piece by piece. It is also the largest number of
// bytes that are corked.
const maxCopied = 16 << 10

// fitsBatch reports whether the lock holder may write the frame on behalf of a waiting caller. A
// Close frame ends the direction, so its caller writes it.
func (f *frame) fitsBatch() bool { return f.size() <= maxCopied && f.opcode != opClose }

// outbox holds encoded frames that the transport has not accepted yet. It belongs to the holder
// of the write lock. While the lock is free, the outbox is empty or corked.
type outbox struct {
	buf        *buffer // nil where the outbox is empty
	start, end int32   // of the frames in buf; 0 where that is nil

	// reported is the end of the last frame that was reported as written. If the transport
	// fails before it has accepted this much, frames are lost.
	reported int32

	client bool // frames are masked; a constant

	// For yieldForBatch.
	tries  uint8  // the number of further writes for which a writer yields first
	writes uint16 // the number of writes
}

func (o *outbox) len() int { return int(o.end - o.start) }

// bytes returns the bytes to be written next.
func (o *outbox) bytes() []byte { return o.buf.b[o.start:o.end] }

// fits reports whether the outbox may grow by n bytes.
func (o *outbox) fits(n int) bool { return o.len()+n <= maxBufferSize }

// reserve makes room for n more bytes. The caller has checked that they fit.
func (o *outbox) reserve(n int) {
	if o.buf != nil && int(o.end)+n <= len(o.buf.b) {
		return
	}
	o.buf = growBuffer(o.buf, int(o.start), int(o.end), n)
	o.start, o.end, o.reported = 0, o.end-o.start, max(o.reported-o.start, 0)
}

// add appends a frame that fits, and returns its start.
func (o *outbox) add(f *frame) (begin int32) {
	o.reserve(f.size())
	begin = o.end
	o.end = int32(len(f.append(o.buf.b[:begin], o.client)))
	return begin
}

// take appends the first n bytes of buf, which fit; the first reported bytes of them were reported
// as written. It takes over the buffer.
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
