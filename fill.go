package websocket

import "io"

// maxEmptyReads bounds the reads of a transport that return neither bytes nor an error.
const maxEmptyReads = 100

// fill waits for bytes and appends them to r.b, which is less than a unit. It is for a transport
// that cannot be asked without waiting (TLS, wrappers): a small buffer waits for it. Only if
// that came back full within a frame, and more must follow, is a larger one borrowed for the rest.
func (r *recv) fill(t transport) error {
	size := int(r.waitingSize)
	if r.full && (len(r.b) > 0 || r.remaining > 0) {
		size = int(r.restSize)
	}
	r.move(max(size, len(r.b)+1))
	n, err := receive(t, r.buf.b[len(r.b):])
	r.b = r.buf.b[:len(r.b)+n]
	r.full = len(r.b) == len(r.buf.b)
	return err
}

// shrink gives the buffer back if it is empty. It leaves a buffer of at most sixteen times the bytes
// in it, and a kilobyte.
func (r *recv) shrink() {
	switch {
	case r.buf == nil:
	case len(r.b) == 0:
		releaseBuffer(r.buf)
		r.b, r.buf = nil, nil
	case len(r.buf.b) > 16*len(r.b)+1<<10:
		r.move(len(r.b))
	}
}

// move moves r.b to a buffer of at least size bytes.
func (r *recv) move(size int) {
	buf := acquireBuffer(size)
	r.b = buf.b[:copy(buf.b, r.b)]
	if r.buf != nil {
		releaseBuffer(r.buf)
	}
	r.buf = buf
}

// receive reads from the transport, at least one byte or an error.
func receive(t transport, p []byte) (n int, err error) {
	for range maxEmptyReads {
		if n, err = t.Read(p); n > 0 {
			return n, nil // an error that came with bytes comes again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}
