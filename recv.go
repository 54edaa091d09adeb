package websocket

import (
	"io"
	"math"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// transport is what a connection runs on. A net.Conn is one.
type transport interface {
	io.Reader
	io.Writer
	io.Closer
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

const (
	// directSize is from where on payload is read into its destination without
	// passing through a buffer.
	directSize = minBufferSize / 2

	// maxEmptyFragments bounds the fragments of one message that carry nothing:
	// no read limit counts them.
	maxEmptyFragments = 1000

	// maxEmptyReads bounds the reads of a transport that return neither bytes nor
	// an error.
	maxEmptyReads = 100
)

// recv is the incoming direction of a connection. It holds everything that must
// survive a read that was interrupted: a header or a control frame is consumed
// when all of it is there, and of a data frame each byte as it is delivered. So a
// call that returned a timeout can be repeated at any byte, and none is lost.
//
// All of it belongs to the goroutine that reads.
type recv struct {
	t       transport
	raw     syscall.RawConn // of a connection of the kernel, see fill; else nil
	tryRaw  func(fd uintptr) bool
	server  bool  // frames come from a client
	deflate bool  // permessage-deflate was agreed on
	err     error // every later read returns it; set by Conn

	// The bytes that were received and are not consumed yet. They lie in scratch,
	// in buf, or in memory of their own. Only fill and drain borrow and return.
	b          []byte
	buf        *buffer // borrowed, or nil
	bufferSize int
	full       bool  // the last read filled its space: there is probably more
	rawErr     error // of tryRaw, for fill
	scratch    [maxUnit]byte

	// The message in progress.
	open      bool // it has begun, and not all of it is consumed
	fin       bool // its current frame is the last
	text      bool // it is checked for UTF-8 as it comes
	deflated  bool // it is compressed
	key       [4]byte
	pos       int          // of the key, for the next payload byte
	remaining int64        // payload bytes of the current frame that are not consumed
	total     int64        // payload bytes of the message that are consumed
	limit     atomic.Int64 // for total; none where it is not positive
	empty     int          // fragments that carried nothing
	utf8      utf8Validator
}

// init prepares r for t, from which the bytes in early were read already.
func (r *recv) init(t transport, server bool, early []byte, bufferSize int, limit int64) {
	r.t, r.server, r.b, r.bufferSize = t, server, early, bufferSize
	r.limit.Store(limit)
	if r.raw = rawConn(t); r.raw != nil {
		r.tryRaw = r.try
	}
}

// next consumes the header of the next data frame, whose payload read then
// delivers, or a whole control frame. The payload of a control frame is valid
// until the next call. The frame before must have been read to its end.
func (r *recv) next() (h header, payload []byte, err error) {
	for {
		h, n, err := parseHeader(r.b)
		if len(r.b) >= 2 {
			if err := h.check(frameContext{server: r.server, inMessage: r.open, compression: r.deflate}); err != nil {
				return h, nil, err
			}
		}
		if err != nil {
			return h, nil, err
		}
		switch {
		case n == 0:
		case !h.opcode.isControl():
			r.consume(n)
			return h, nil, r.begin(h)
		case len(r.b)-n >= int(h.length):
			payload, r.b = r.b[n:n+int(h.length)], r.b[n+int(h.length):]
			if h.masked {
				maskBytes(payload, h.key, 0)
			}
			return h, payload, nil
		}
		if err := r.fill(); err != nil {
			return h, nil, err
		}
	}
}

// begin makes a data frame the current one.
func (r *recv) begin(h header) error {
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
	return r.ended()
}

// noLimitInPieces is a limit of none for messages that are read piece by piece. What is
// compressed is gathered first, so that has one.
const noLimitInPieces = math.MinInt64

// frameLimit is how many bytes of payload the frames of the current message may have,
// if it is positive. Of a compressed message, that is what the worst of compressors,
// which knows no blocks without compression, makes of a message that is as long as it
// may be.
func (r *recv) frameLimit() int64 {
	limit := r.limit.Load()
	if !r.deflated {
		return limit
	}
	if limit == noLimitInPieces {
		limit = DefaultReadLimit
	}
	if limit > math.MaxInt64/2 {
		return limit
	}
	if limit > 0 {
		limit += limit/4 + 1024
	}
	return limit
}

// read delivers payload of the current frame into p, unmasked and, of a text
// message, checked. It returns 0 and no error only where p is empty or nothing of
// the frame remains.
func (r *recv) read(p []byte) (n int, err error) {
	if int64(len(p)) > r.remaining {
		p = p[:r.remaining]
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.b) == 0 && len(p) >= directSize {
		if n, err = r.receive(p); err != nil {
			return 0, err
		}
	} else {
		if len(r.b) == 0 {
			if err := r.fill(); err != nil {
				return 0, err
			}
		}
		n = copy(p, r.b)
		r.consume(n)
	}
	if err := r.accept(p[:n]); err != nil {
		return 0, err
	}
	return n, nil
}

// grow returns p with room for payload of the current frame, where base bytes of p
// are not of the message. It gives the peer's announcement just as much credit as
// has come of the message: sixteen times that up to 64 KiB, four times beyond.
func (r *recv) grow(p []byte, base int) []byte {
	room := int64(cap(p) - len(p))
	if room >= r.remaining {
		return p
	}
	have := int64(len(p) - base)
	came := have + min(int64(len(r.b)), r.remaining)
	size := max(minBufferSize, min(16*came, maxBufferSize), 4*came)
	if size-have >= r.remaining {
		size = have + r.remaining
		if !r.fin {
			size = max(size, 2*have) // more fragments follow
		}
	} else if room > 0 {
		return p // with what comes into that, there is more credit
	}
	grown := make([]byte, len(p), base+int(size))
	copy(grown, p)
	return grown
}

// skip consumes some payload of the current frame, of which there must be some.
func (r *recv) skip() error {
	if len(r.b) == 0 {
		if err := r.fill(); err != nil {
			return err
		}
	}
	n := int(min(int64(len(r.b)), r.remaining))
	err := r.accept(r.b[:n])
	r.consume(n)
	return err
}

// accept unmasks payload of the current frame, and checks it.
func (r *recv) accept(p []byte) error {
	if r.server {
		r.pos = maskBytes(p, r.key, r.pos)
	}
	r.remaining -= int64(len(p))
	r.total += int64(len(p))
	// "When an endpoint is to interpret a byte stream as UTF-8 but finds that the
	// byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail
	// the WebSocket Connection_" (8.1).
	if r.text && !r.utf8.next(p) {
		return errInvalidUTF8
	}
	return r.ended()
}

// consume takes n bytes off r.b, and gives the buffer back when that was the last.
func (r *recv) consume(n int) {
	if r.b = r.b[n:]; len(r.b) == 0 {
		r.drain()
	}
}

// ended closes the message where nothing of its last frame remains.
func (r *recv) ended() error {
	if !r.fin || r.remaining > 0 {
		return nil
	}
	r.open = false
	if r.text && !r.utf8.complete() {
		return errInvalidUTF8
	}
	return nil
}

// fill waits for bytes and appends them to r.b, which is less than a unit.
//
// While it waits it holds no buffer. From the kernel's own connections it reads
// with a buffer that it gives back when there is nothing yet. Other transports
// (TLS, wrappers) cannot be asked without waiting, so they are read into scratch;
// only when that came back full within a frame, and more must follow, is a buffer
// borrowed for the rest.
func (r *recv) fill() error {
	r.drain()
	if r.raw != nil {
		return r.fillRaw()
	}
	space := r.scratch[:]
	if r.full && (len(r.b) > 0 || r.remaining > 0) {
		r.buf = acquireBuffer(r.bufferSize)
		space = r.buf.b
		r.b = space[:copy(space, r.b)]
	}
	n, err := r.receive(space[len(r.b):])
	if err != nil {
		r.drain()
		return err
	}
	r.b = space[:len(r.b)+n]
	r.full = len(r.b) == len(space)
	return nil
}

// drain gives the borrowed buffer back, having moved to scratch what is left of
// r.b: the beginning of a unit at most.
func (r *recv) drain() {
	r.b = r.scratch[:copy(r.scratch[:], r.b)]
	if r.buf != nil {
		releaseBuffer(r.buf)
		r.buf = nil
	}
}

// receive reads from the transport, at least one byte or an error.
func (r *recv) receive(p []byte) (n int, err error) {
	for range maxEmptyReads {
		if n, err = r.t.Read(p); n > 0 {
			return n, nil // an error that came with bytes comes again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// fillRaw is fill for a connection of the kernel: the runtime's poller waits for
// it, and calls try whenever there may be something to read.
func (r *recv) fillRaw() error {
	err := r.raw.Read(r.tryRaw)
	if err == nil {
		err, r.rawErr = r.rawErr, nil
	} else if op, ok := err.(*net.OpError); ok {
		op.Op = "read" // not "raw-read": it reads like any other error of the connection
	}
	return err
}

// try reads once, without waiting. It returns false where there was nothing.
func (r *recv) try(fd uintptr) (done bool) {
	buf := acquireBuffer(r.bufferSize)
	held := copy(buf.b, r.b)
	n, again, err := readDescriptor(fd, buf.b[held:])
	if n <= 0 {
		releaseBuffer(buf)
		r.rawErr = rawError(r.t, err)
		return !again
	}
	r.buf, r.b = buf, buf.b[:held+n]
	return true
}
