package websocket

// outbox is encoded frames that the transport has not accepted yet. It belongs to the holder of
// the write lock; while the lock is free, it is empty or corked.
type outbox struct {
	buf        *buffer // nil where the outbox is empty
	start, end int32   // of the frames in buf

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

// room returns the number of bytes for which there is room without moving what is there.
func (o *outbox) room() int { return len(o.buf.b) - int(o.end) }

// append appends a frame, for which there is room.
func (o *outbox) append(f *frame) {
	o.end = int32(len(f.append(o.buf.b[:o.end], o.client)))
}

// add appends the first n bytes of buf, of which reported bytes were reported as written. The
// buffer becomes the outbox's.
func (o *outbox) add(buf *buffer, n, reported int32) {
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

// sent says that the transport has accepted n bytes.
func (o *outbox) sent(n int) {
	if o.start += int32(n); o.start == o.end {
		o.release()
	}
}

// truncate takes back what lies behind end.
func (o *outbox) truncate(end int) {
	if o.end = int32(end); o.start == o.end {
		o.release()
	}
}

// release gives the buffer of an empty outbox back.
func (o *outbox) release() {
	if o.buf != nil {
		releaseBuffer(o.buf)
		o.buf, o.start, o.end, o.reported = nil, 0, 0, 0
	}
}
