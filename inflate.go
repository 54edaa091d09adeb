package websocket

import (
	"compress/flate"
	"io"
	"sync"
)

const (
	// maxDistance is how far deflate can refer back (RFC 1951, 2).
	maxDistance = 1 << maxWindowBits

	// maxFinalBlocks bounds the blocks with BFINAL set in one message: each may be two
	// bytes long, and after each the decompressor starts anew.
	maxFinalBlocks = 1000
)

// deflateTail is what ends a message that was flushed, and is not sent: an empty block
// without compression (RFC 7692, 7.2.1).
const deflateTail = "\x00\x00\xff\xff"

// inflateTail is what is put behind a message that was received: deflateTail, and an
// empty block with BFINAL set, so that the decompressor sees the end.
const inflateTail = deflateTail + "\x01\x00\x00\xff\xff"

var errCorruptMessage = &protocolError{CloseInvalidFramePayloadData, "compressed message is corrupt"}

// inflater decompresses one message, all of which has been received.
type inflater struct {
	loan   loan
	r      io.ReadCloser // of compress/flate
	source inflateSource
	finals int // blocks with BFINAL set that have ended

	last  []byte   // see lastBytes
	spill [64]byte // for what shows that the memory for the message is too small
}

// inflateSource is what of the message and of the tail behind it is not read yet. It
// has ReadByte, so that compress/flate takes no more than it needs.
type inflateSource struct {
	message []byte
	tail    string
}

// ended reports whether all of the message was read, and all of the tail or, behind a
// block with BFINAL set, nothing.
func (s *inflateSource) ended() bool {
	return len(s.message) == 0 && (s.tail == "" || s.tail == inflateTail)
}

func (s *inflateSource) ReadByte() (byte, error) {
	if len(s.message) > 0 {
		c := s.message[0]
		s.message = s.message[1:]
		return c, nil
	}
	if len(s.tail) > 0 {
		c := s.tail[0]
		s.tail = s.tail[1:]
		return c, nil
	}
	return 0, io.EOF
}

func (s *inflateSource) Read(p []byte) (n int, err error) {
	if len(s.message) > 0 {
		n = copy(p, s.message)
		s.message = s.message[n:]
		return n, nil
	}
	if len(p) > len(deflateTail) {
		return 0, io.EOF // the tail holds lengths of blocks, and no data
	}
	if n = copy(p, s.tail); n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	s.tail = s.tail[n:]
	return n, nil
}

var inflaterPool = sync.Pool{New: func() any {
	z := new(inflater)
	z.r = flate.NewReader(&z.source)
	return z
}}

// acquireInflater returns an inflater for the message, which it does not copy. The
// window has what the messages before it have left.
func acquireInflater(message, window []byte) *inflater {
	z := inflaterPool.Get().(*inflater)
	z.loan.begin()
	z.source = inflateSource{message, inflateTail}
	z.finals = 0
	z.reset(window)
	return z
}

func releaseInflater(z *inflater) {
	z.loan.end()
	z.source = inflateSource{}
	inflaterPool.Put(z)
}

func (z *inflater) reset(window []byte) {
	z.r.(flate.Resetter).Reset(&z.source, window) // never fails
}

// next decompresses into p, at least some, and returns io.EOF at the end of the message.
// Done, or at least its last maxDistance bytes, is what was decompressed before, and the
// window what came before that.
func (z *inflater) next(p, done, window []byte) (n int, err error) {
	for {
		m, err := z.r.Read(p[n:])
		n += m
		switch {
		case err == io.EOF && z.source.ended():
			return n, io.EOF
		case err == io.EOF && z.finals < maxFinalBlocks:
			// A block with BFINAL set, and others behind it (7.2.3.4).
			z.finals++
			z.reset(z.lastBytes(window, done, p[:n]))
		case err != nil:
			return n, errCorruptMessage
		case n > 0:
			return n, nil
		}
	}
}

// lastBytes returns the last maxDistance bytes of what lies in several places, one behind
// the other. They are valid until the next call.
func (z *inflater) lastBytes(places ...[]byte) []byte {
	excess := -maxDistance
	for _, p := range places {
		excess += len(p)
	}
	z.last = z.last[:0]
	for _, p := range places {
		skip := min(max(excess, 0), len(p))
		z.last = append(z.last, p[skip:]...)
		excess -= skip
	}
	return z.last
}

// slide returns the window after the message, or the end of it, was received: the last
// bytes, as many as the window may have. Its memory grows up to that.
func slide(window, message []byte, bits int) []byte {
	size := 1 << bits
	message = message[max(0, len(message)-size):]
	keep := window[max(0, len(window)+len(message)-size):]
	if need := len(keep) + len(message); need > cap(window) {
		window = make([]byte, 0, min(2*need, size))
	}
	n := copy(window[:cap(window)], keep)
	return append(window[:n], message...)
}
