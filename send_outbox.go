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
