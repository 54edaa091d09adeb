package websocket

import (
	"math"
	"sync/atomic"
)

const (
	// directSize is the least payload that is read straight into its destination, without
	// a buffer, from a transport that is not a descriptor.
	directSize = 2 << 10

	// maxEmptyFragments bounds the fragments of one message that have no payload:
	// no read limit counts them.
	maxEmptyFragments = 1000
)

// recv is the incoming direction of a connection. It holds everything that must
// survive an interrupted read: a header or a control frame is consumed once it is
// complete, and the payload of a data frame as it is delivered. So a call that returned
// a timeout can be repeated at any byte, and none is lost.
//
// It belongs to the holder of the read lock, except for readLimit.
type recv struct {
	// The bytes that were received and not consumed yet. They are in buf, or in memory of
	// their own. Only fill, newReadFunc and shrink acquire and release buf.
	b   []byte
	buf *buffer // or nil

	// The message in progress.
	remaining int64         // payload bytes of the current frame not consumed yet
	total     int64         // payload bytes of the message consumed so far
	readLimit atomic.Int64  // the largest total; none if it is not positive
	key       [4]byte       // of the current frame
	utf8      utf8Validator // of a text message, decompressed
	empty     uint16        // number of fragments without payload
	pos       uint8         // in the key, for the next payload byte
	more      bool          // other frames of the message follow the current one
	text      bool          // the payload is checked for UTF-8 as it is received
	deflated  bool          // the message is compressed

	server  bool // frames come from a client
	deflate bool // permessage-deflate was agreed on

	// For fill.
	filled   uint16 // size of the buffer that the last read filled; 0 if it left room
	restSize int32  // largest size of a buffer for the rest of a frame
}

// init initializes r to read from l, from which the bytes in early were read already. A buffer for the rest
// of a frame has at most bufferSize bytes, or maxBufferSize if that is 0.
func (r *recv) init(l *link, server bool, early []byte, bufferSize int) {
	r.server, r.b = server, early
	r.restSize = maxBufferSize
	if bufferSize > 0 {
		r.restSize = int32(min(bufferSize, maxBufferSize))
	}
	if l.descriptor.conn != nil {
		l.descriptor.read = r.newReadFunc(&l.descriptor)
	}
}

// next consumes the header of a data frame, whose payload read then delivers, or a whole
// control frame. If that is not complete yet, ok is false. The payload of a control frame
// is valid until the next call. The frame before must have been consumed.
func (r *recv) next() (op opcode, payload []byte, ok bool, err error) {
	h, n, err := parseHeader(r.b)
	if len(r.b) >= 2 {
		if err := h.check(frameContext{server: r.server, inMessage: r.open(), compression: r.deflate}); err != nil {
			return 0, nil, false, err
		}
	}
	switch {
	case n == 0:
		return 0, nil, false, err
	case !h.opcode.isControl():
		r.consume(n)
		return h.opcode, nil, true, r.begin(&h)
	case len(r.b)-n < int(h.length):
		return 0, nil, false, nil
	}
	payload, r.b = r.b[n:n+int(h.length)], r.b[n+int(h.length):]
	if h.masked {
		maskBytes(payload, h.key, 0)
	}
	return h.opcode, payload, true, nil
}

// open reports whether a message has begun that is not consumed to its end.
func (r *recv) open() bool { return r.more || r.remaining > 0 }

// hasFrame reports whether another complete frame was received.
func (r *recv) hasFrame() bool {
	h, n, _ := parseHeader(r.b)
	return n > 0 && h.length <= int64(len(r.b)-n)
}

// hasFragment reports whether the header of another fragment of the message in progress was received, with no
// control frame before it.
func (r *recv) hasFragment() bool {
	h, n, _ := parseHeader(r.b)
	return r.more && r.remaining == 0 && n > 0 && h.opcode == opContinuation
}

// begin makes a data frame the current frame.
func (r *recv) begin(h *header) error {
	if h.opcode != opContinuation {
		r.text = h.opcode == opText && !h.rsv1
		r.deflated = h.rsv1
		r.total, r.empty, r.utf8 = 0, 0, utf8Validator{}
	}
	if limit := r.frameLimit(); limit > 0 && h.length > limit-r.total {
		return ErrReadLimit
	}
	if h.length == 0 && !h.fin {
		if r.empty++; r.empty > maxEmptyFragments {
			return errEmptyFragments
		}
	}
	r.more, r.key, r.pos, r.remaining = !h.fin, h.key, 0, h.length
	return r.checkEnd()
}

// frameLimit returns the largest payload of all frames of the current message together; none
// if it is not positive. For a compressed message, it is the size to which the worst
// compressor, one without stored blocks, may expand a message as long as the limit.
func (r *recv) frameLimit() int64 {
	limit := r.readLimit.Load()
	if !r.deflated {
		return limit
	}
	if limit > math.MaxInt64/2 {
		return limit
	}
	if limit > 0 {
		limit += limit/4 + 1024
	}
	return limit
}

// read delivers received payload of the current frame into p, unmasked and, in a text message,
// checked.
func (r *recv) read(p []byte) (n int, err error) {
	n = int(min(int64(len(p)), int64(len(r.b)), r.remaining))
	p = p[:n]
	if r.server {
		r.pos = uint8(maskCopy(p, r.b[:n], r.key, int(r.pos)))
	} else {
		copy(p, r.b)
	}
	r.consume(n)
	if err := r.accept(p); err != nil {
		return 0, err
	}
	return n, nil
}

// hasAll reports whether the current message is open and the rest of it was received.
func (r *recv) hasAll() bool {
	return !r.more && 0 < r.remaining && r.remaining <= int64(len(r.b))
}

// take is read for the whole rest of a message, into new memory of exactly its size, which
// append does not clear first.
func (r *recv) take() ([]byte, error) {
	n := int(r.remaining)
	p := append([]byte(nil), r.b[:n]...)[:n:n]
	r.consume(n)
	r.unmask(p)
	if err := r.accept(p); err != nil {
		return nil, err
	}
	return p, nil
}

// direct reports whether payload of the current frame should be read straight into the program's
// n bytes.
func (r *recv) direct(n int) bool {
	return len(r.b) == 0 && min(int64(n), r.remaining) >= directSize
}

// readDirect waits for payload of the current frame and receives it into p, for acceptDirect. None was received
// before.
func (r *recv) readDirect(t transport, p []byte) (n int, err error) {
	r.filled = 0
	return receive(t, p[:min(int64(len(p)), r.remaining)])
}

// acceptDirect unmasks and accepts what readDirect has received.
func (r *recv) acceptDirect(p []byte) error {
	r.unmask(p)
	return r.accept(p)
}

// credit returns how much memory may be allocated for a message of which some bytes, have of them, were
// delivered. The announced length of a frame counts only up to a multiple of the received bytes: sixteen
// times, but at most 64 KiB, or four times if that is more; and always a kilobyte.
func (r *recv) credit(have int) int {
	came := int64(have) + min(int64(len(r.b)), r.remaining)
	size := max(1<<10, min(16*came, maxBufferSize), 4*came)
	if size-int64(have) >= r.remaining {
		if size = int64(have) + r.remaining; r.more {
			size = max(size, int64(2*have)) // more fragments follow
		}
	}
	return int(size)
}

// grow returns p with room for payload of the current frame. The first base bytes of p do not
// belong to the message.
func (r *recv) grow(p []byte, base int) []byte {
	room := int64(cap(p) - len(p))
	have := len(p) - base
	if room >= r.remaining || room > 0 && int64(r.credit(have)-have) < r.remaining {
		return p // the bytes that fill this room will add credit
	}
	grown := make([]byte, len(p), base+r.credit(have))
	copy(grown, p)
	return grown
}

// skip consumes the received payload of the current frame.
func (r *recv) skip() error {
	n := int(min(int64(len(r.b)), r.remaining))
	p := r.b[:n]
	r.unmask(p)
	err := r.accept(p)
	r.consume(n)
	return err
}

// unmask unmasks payload in place. It begins with the end of a large piece, which was received last
// and is still in the processor's first cache.
func (r *recv) unmask(p []byte) {
	if !r.server {
		return
	}
	const step = 16 << 10
	pos := int(r.pos)
	for n := len(p); n > 0; {
		first := max(n-step, 0)
		maskBytes(p[first:n], r.key, pos+first)
		n = first
	}
	r.pos = uint8((pos + len(p)) & 3)
}

// accept counts unmasked payload of the current frame, and checks it.
func (r *recv) accept(p []byte) error {
	r.remaining -= int64(len(p))
	r.total += int64(len(p))
	// "When an endpoint is to interpret a byte stream as UTF-8 but finds that the
	// byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail
	// the WebSocket Connection_" (8.1).
	if r.text && !r.utf8.next(p) {
		return errInvalidUTF8
	}
	return r.checkEnd()
}

// consume removes the first n bytes of r.b.
func (r *recv) consume(n int) { r.b = r.b[n:] }

// checkEnd checks a message that is consumed to its end.
func (r *recv) checkEnd() error {
	if r.text && !r.open() && !r.utf8.complete() {
		return errInvalidUTF8
	}
	return nil
}

// fill waits for bytes and appends them to r.b, which has less than a header or a control frame. It
// is for a transport that cannot be read without blocking (TLS, wrappers), so it waits with a small
// buffer. Only if the last read filled its buffer, and the frame goes on, does fill acquire a buffer
// of sixteen times that size.
func (r *recv) fill(l *link) error {
	size := 1<<10 + maxHeaderSize
	if l.tls {
		// crypto/tls keeps the rest of a record. A buffer smaller than this costs more memory than
		// it saves: it keeps spans alive in which the handshake has left small objects.
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

// newReadFunc returns the function that reads from a descriptor once, without waiting, and returns false where
// there is nothing yet. While that is waited for, r has no buffer.
func (r *recv) newReadFunc(raw *rawReader) func(fd uintptr) (done bool) {
	return func(fd uintptr) bool {
		buf := acquireBuffer(readBufferSize)
		had := copy(buf.b, r.b) // at most the start of a header or a control frame
		var wait bool
		if raw.n, wait = readRaw(fd, buf.b[had:]); raw.n <= 0 {
			releaseBuffer(buf)
			return !wait
		}
		if r.buf != nil {
			releaseBuffer(r.buf)
		}
		r.b, r.buf = buf.b[:had+raw.n], buf
		return true
	}
}

// shrink releases an empty buffer, and replaces a buffer of more than sixteen times the bytes in it plus
// a kilobyte.
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

// message is the data message being received. It belongs to the holder of the read lock.
type message struct {
	state    messageState
	kind     opcode         // opText or opBinary
	kept     *[]byte        // see keep
	inflater *inflater      // of a compressed message, until it is decompressed to its end
	reader   *messageReader // from NextReader, while it may be used; else nil. Only the program's reader uses it
}

// messageState is the state of the current message.
type messageState uint8

const (
	// messageNone: the last message was delivered to its end, and no other has begun.
	messageNone messageState = iota

	// messageBegun: the first header was received. The message is for the reader from NextReader if there is one,
	// else for the next call of ReadMessage or NextReader.
	messageBegun

	// messageDiscarded: the rest of the message is skipped.
	messageDiscarded
)

// keep keeps p, the part of the current message that an interrupted read had received.
func (m *message) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if m.kept == nil {
		m.kept = new([]byte)
	}
	*m.kept = p
}

// keptBytes returns the part of the message that is kept, or nil.
func (m *message) keptBytes() []byte {
	if m.kept == nil {
		return nil
	}
	return *m.kept
}

// dropKept forgets the part of the message that is kept.
func (m *message) dropKept() {
	if m.kept != nil {
		*m.kept = nil
	}
}
