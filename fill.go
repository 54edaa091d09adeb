package websocket

import (
	"io"
	"math"
)

// maxEmptyReads bounds the reads of a transport that return neither bytes nor an error.
const maxEmptyReads = 100

// fill waits for bytes and appends them to r.b, which is less than a header or a control frame. It
// is for a transport that cannot be asked without waiting (TLS, wrappers): a small buffer waits for
// it. Only if that came back full within a frame, and more must follow, is a buffer of sixteen times
// its size borrowed for the rest.
func (r *recv) fill(l *link) error {
	size := 1<<10 + maxHeaderSize
	if l.tls {
		// crypto/tls keeps the rest. A smaller one costs more than it saves: it lies where the
		// handshake has left small objects and, when these are gone, holes.
		size = 256
	}
	if len(r.b) > 0 || r.remaining > 0 {
		size = max(size, min(16*(int(r.filled)-maxHeaderSize), int(r.restSize)))
	}
	r.move(max(size, len(r.b)+1))
	n, err := receive(l, r.buf.b[len(r.b):])
	r.b = r.buf.b[:len(r.b)+n]
	if r.filled = 0; len(r.b) == len(r.buf.b) {
		r.filled = uint16(min(len(r.b), math.MaxUint16))
	}
	return err
}

// shrink gives the buffer back if it is empty. It leaves a buffer of at most sixteen times the bytes
// in it, and a kilobyte.
func (r *recv) shrink() {
	switch {
	case len(r.b) == 0:
		if r.buf != nil {
			releaseBuffer(r.buf)
		}
		r.b, r.buf = nil, nil
	case r.buf == nil:
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
