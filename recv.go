package websocket

import (
	"math"
	"sync/atomic"
)

const (
	// directSize is from where on payload is read into its destination without
	// passing through a buffer, on a connection that has no descriptor.
	directSize = 2 << 10

	// maxEmptyFragments bounds the fragments of one message that carry nothing:
	// no read limit counts them.
	maxEmptyFragments = 1000
)

// recv is the incoming direction of a connection. It holds everything that must
// survive a read that was interrupted: a header or a control frame is consumed
// when all of it is there, and of a data frame each byte as it is delivered. So a
// call that returned a timeout can be repeated at any byte, and none is lost.
//
// All of it belongs to the goroutine that reads.
type recv struct {
	// The bytes that were received and are not consumed yet. They lie in buf, or in memory of
	// their own. Only fill, tryRead and shrink borrow and return.
	b   []byte
	buf *buffer // borrowed, or nil

	// The message in progress.
	remaining int64        // payload bytes of the current frame that are not consumed
	total     int64        // payload bytes of the message that are consumed
	limit     atomic.Int64 // for total; none where it is not positive
	key       [4]byte
	utf8      utf8Validator
	empty     uint16 // fragments that carried nothing
	pos       uint8  // of the key, for the next payload byte
	open      bool   // it has begun, and not all of it is consumed
	fin       bool   // its current frame is the last
	text      bool   // it is checked for UTF-8 as it comes
	deflated  bool   // it is compressed

	server  bool // frames come from a client
	deflate bool // permessage-deflate was agreed on

	// For fill.
	filled   uint16 // size of the buffer that the last read filled; 0 if there was room left
	restSize int32  // of the buffer for the rest of a frame at most
}

// init prepares r for l, from which the bytes in early were read already. A buffer for the rest of a frame
// has at most bufferSize bytes, or maxBufferSize if that is 0.
func (r *recv) init(l *link, server bool, early []byte, bufferSize int) {
	r.server, r.b = server, early
	r.restSize = maxBufferSize
	if bufferSize > 0 {
		r.restSize = int32(min(bufferSize, maxBufferSize))
	}
	if l.descriptor.conn != nil {
		l.descriptor.read = r.tryRead(&l.descriptor)
	}
}

// next consumes the header of the next data frame, whose payload read then
// delivers, or a whole control frame, if that has come; else ok is false. The payload of
// a control frame is valid until the next call. The frame before must have been read
// to its end.
func (r *recv) next() (op opcode, payload []byte, ok bool, err error) {
	h, n, err := parseHeader(r.b)
	if len(r.b) >= 2 {
		if err := h.check(frameContext{server: r.server, inMessage: r.open, compression: r.deflate}); err != nil {
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

// hasFrame reports whether another frame has come, all of it.
func (r *recv) hasFrame() bool {
	h, n, _ := parseHeader(r.b)
	return n > 0 && h.length <= int64(len(r.b)-n)
}

// hasFragment reports whether the header of the next fragment of the message in progress is what comes next,
// and has come.
func (r *recv) hasFragment() bool {
	h, n, _ := parseHeader(r.b)
	return r.open && r.remaining == 0 && n > 0 && h.opcode == opContinuation
}

// begin makes a data frame the current one.
func (r *recv) begin(h *header) error {
	if h.opcode != opContinuation {
		r.open = true
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
	r.fin, r.key, r.pos, r.remaining = h.fin, h.key, 0, h.length
	return r.endIfComplete()
}

// frameLimit is how many bytes of payload the frames of the current message may have,
// if it is positive. Of a compressed message, that is what the worst of compressors,
// which knows no blocks without compression, makes of a message that is as long as it
// may be.
func (r *recv) frameLimit() int64 {
	limit := r.limit.Load()
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

// read delivers payload of the current frame that has come into p, unmasked and, of a
// text message, checked.
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

// hasAll reports whether all that remains of the current message has come. It is not open if nothing remains.
func (r *recv) hasAll() bool {
	return r.open && r.fin && r.remaining <= int64(len(r.b))
}

// take is read for all of a message that has come, into new memory of just its size, which
// need not be cleared before.
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

// direct reports whether payload of the current frame, of which nothing has come yet, is to
// be read into the program's n bytes without a buffer.
func (r *recv) direct(n int) bool {
	return len(r.b) == 0 && min(int64(n), r.remaining) >= directSize
}

// readDirect waits for payload of the current frame, of which nothing has come yet, and
// reads it into p.
func (r *recv) readDirect(t transport, p []byte) (n int, err error) {
	n, err = receive(t, p[:min(int64(len(p)), r.remaining)])
	r.filled = 0
	if err != nil {
		return 0, err
	}
	r.unmask(p[:n])
	if err := r.accept(p[:n]); err != nil {
		return 0, err
	}
	return n, nil
}

// credit returns how much memory a message may take of which have bytes are delivered. It gives the
// peer's announcement just as much credit as has come of the message: sixteen times that up to
// 64 KiB, four times beyond.
func (r *recv) credit(have int) int {
	came := int64(have) + min(int64(len(r.b)), r.remaining)
	size := max(1<<10, min(16*came, maxBufferSize), 4*came)
	if size-int64(have) >= r.remaining {
		if size = int64(have) + r.remaining; !r.fin {
			size = max(size, int64(2*have)) // more fragments follow
		}
	}
	return int(size)
}

// grow returns p with room for payload of the current frame, where base bytes of p
// are not of the message.
func (r *recv) grow(p []byte, base int) []byte {
	room := int64(cap(p) - len(p))
	have := len(p) - base
	if room >= r.remaining || room > 0 && int64(r.credit(have)-have) < r.remaining {
		return p // with what comes into the room, there is more credit
	}
	grown := make([]byte, len(p), base+r.credit(have))
	copy(grown, p)
	return grown
}

// skip consumes what has come of the payload of the current frame.
func (r *recv) skip() error {
	n := int(min(int64(len(r.b)), r.remaining))
	p := r.b[:n]
	r.unmask(p)
	err := r.accept(p)
	r.consume(n)
	return err
}

// unmask unmasks payload in place. The end of it was received last and is still in the
// processor's first cache, so a large piece is unmasked from there on.
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

// accept takes note of payload of the current frame, which is unmasked, and checks it.
func (r *recv) accept(p []byte) error {
	r.remaining -= int64(len(p))
	r.total += int64(len(p))
	// "When an endpoint is to interpret a byte stream as UTF-8 but finds that the
	// byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail
	// the WebSocket Connection_" (8.1).
	if r.text && !r.utf8.next(p) {
		return errInvalidUTF8
	}
	return r.endIfComplete()
}

// consume takes n bytes off r.b.
func (r *recv) consume(n int) { r.b = r.b[n:] }

// endIfComplete ends the message if nothing of its last frame remains.
func (r *recv) endIfComplete() error {
	if !r.fin || r.remaining > 0 {
		return nil
	}
	r.open = false
	if r.text && !r.utf8.complete() {
		return errInvalidUTF8
	}
	return nil
}

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

// tryRead returns the function that reads from a descriptor once, without waiting, and returns false where
// there is nothing yet. While that is waited for, r has no buffer.
func (r *recv) tryRead(raw *rawReader) func(fd uintptr) (done bool) {
	return func(fd uintptr) bool {
		buf := acquireBuffer(readBufferSize)
		had := copy(buf.b, r.b) // the beginning of a header or a control frame at most
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

// message is the data message that is being received. It belongs to the holder of the read lock.
type message struct {
	state    messageState
	kind     opcode         // opText or opBinary
	kept     *[]byte        // see keep
	inflater *inflater      // of a compressed message, until its end has come out
	reader   *messageReader // of the claimed message, or of the last one that was
}

// messageState says where the current message is.
type messageState uint8

const (
	// betweenMessages: the program has got the last message to its end, and no header of another has come.
	betweenMessages messageState = iota

	// begun: its first header has come. It is for the next call of ReadMessage or NextReader.
	begun

	// claimed: a reader from NextReader has it, message.reader.
	claimed

	// discarded: the rest of it is not wanted.
	discarded
)

// keep keeps p, what ReadMessage had of the current message when it was interrupted.
func (m *message) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if m.kept == nil {
		m.kept = new([]byte)
	}
	*m.kept = p
}

// bytes returns what is kept, or nil.
func (m *message) bytes() []byte {
	if m.kept == nil {
		return nil
	}
	return *m.kept
}

// drop gives up what is kept.
func (m *message) drop() {
	if m.kept != nil {
		*m.kept = nil
	}
}
