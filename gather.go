package websocket

import (
	"io"
	"math"
	"unicode/utf8"
)

// incoming is a compressed message while the program reads it piece by piece. All of it is
// gathered before it is decompressed, since an error of compress/flate is final: a read
// deadline must not reach it.
type incoming struct {
	z       *inflater
	history *buffer
	out     []byte // in history: the end of what was decompressed, at least maxDistance bytes
	unread  []byte // the end of out
	total   int64  // bytes that were decompressed
	utf8    utf8Validator
	ended   bool // all of it was decompressed
}

// gather receives what has not come yet of the current message, which is compressed. It can
// be interrupted and repeated.
func (c *Conn) gather() error {
	k := c.message.keep()
	for c.recv.open {
		k.makeRoom(&c.recv)
		n, err := c.readSome(k.b[len(k.b):cap(k.b)])
		k.b = k.b[:len(k.b)+n]
		if err != nil {
			return err
		}
	}
	return nil
}

// makeRoom makes room behind b: in borrowed buffers as long as one is large enough.
func (k *keptBytes) makeRoom(r *recv) {
	if len(k.b) < cap(k.b) || r.remaining == 0 {
		return
	}
	var larger *buffer
	if cap(k.b) < maxBufferSize {
		larger = acquireBuffer(int(min(r.remaining+int64(len(k.b)), 16*int64(len(k.b)+len(r.b)))))
		k.b = append(larger.b[:0], k.b...)
	} else {
		k.b = r.grow(k.b, 0)
	}
	if k.buf != nil {
		releaseBuffer(k.buf)
	}
	k.buf = larger
}

// appendInflated appends the current message, which is compressed, to dst.
func (c *Conn) appendInflated(dst []byte) ([]byte, error) {
	if err := c.gather(); err != nil {
		return dst, err
	}
	k := c.compression
	z := acquireInflater(c.message.bytes(), k.window)
	p := dst
	var scratch *buffer
	if dst == nil {
		scratch = acquireBuffer(maxBufferSize)
		p = scratch.b[:0]
	}
	p, err := inflateAll(z, p, k.window, c.recv.limit.Load())
	releaseInflater(z)
	message := p[len(dst):]
	if err == nil && c.message.kind == opText && !utf8.Valid(message) {
		err = errInvalidUTF8
	}
	if err == nil {
		c.delivered(message)
	}
	if scratch != nil {
		if len(p) <= len(scratch.b) {
			p = append(make([]byte, 0, len(p)), p...)
		}
		releaseBuffer(scratch)
	}
	if err != nil {
		return dst, c.fail(err)
	}
	return p, nil
}

// inflateAll appends what z decompresses to dst, at most limit bytes where there is one.
func inflateAll(z *inflater, dst, window []byte, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = math.MaxInt64
	}
	start := len(dst)
	for p := dst; ; {
		space := p[len(p):cap(p)]
		full := len(space) == 0
		if full {
			space = z.spill[:]
		}
		left := limit - int64(len(p)-start)
		if left < int64(len(space)) {
			space = space[:left+1]
		}
		n, err := z.next(space, p[start:], window)
		if int64(n) > left {
			return dst, ErrReadLimit
		}
		if full && n > 0 {
			p = growInflated(p, start, n, limit)
			copy(p[len(p):cap(p)], z.spill[:n])
		}
		p = p[:len(p)+n]
		switch {
		case err == io.EOF:
			return p, nil
		case err != nil:
			return dst, err
		}
	}
}

// growInflated returns p with twice the memory for the message that begins at start, as
// far as the limit allows, and with room for n bytes.
func growInflated(p []byte, start, n int, limit int64) []byte {
	have := len(p) - start
	size := max(2*have, defaultBufferSize)
	size = max(int(min(int64(size), limit)), have+n)
	grown := make([]byte, len(p), start+size)
	copy(grown, p)
	return grown
}

// readInflated reads from the current message, which is compressed.
func (c *Conn) readInflated(p []byte) (int, error) {
	if err := c.gather(); err != nil {
		return 0, err
	}
	m := &c.compression.incoming
	for len(m.unread) == 0 {
		if m.ended {
			c.delivered(m.out)
			c.endMessageRead()
			return 0, io.EOF
		}
		if err := c.inflateMore(); err != nil {
			return 0, c.fail(err)
		}
	}
	n := copy(p, m.unread)
	m.unread = m.unread[n:]
	return n, nil
}

// inflateMore decompresses some more of the current message, all of which was gathered.
func (c *Conn) inflateMore() error {
	k := c.compression
	m := &k.incoming
	if m.z == nil {
		m.z = acquireInflater(c.message.bytes(), k.window)
		m.history = acquireBuffer(maxBufferSize)
		m.out = m.history.b[:0]
	}
	if len(m.out) == cap(m.out) {
		m.out = m.out[:copy(m.out, m.out[len(m.out)-maxDistance:])]
	}
	had := len(m.out)
	n, err := m.z.next(m.out[had:cap(m.out)], m.out, k.window)
	m.out = m.out[:had+n]
	m.unread = m.out[had:]
	m.total += int64(len(m.unread))
	m.ended = err == io.EOF
	switch limit := c.recv.limit.Load(); {
	case limit > 0 && m.total > limit:
		return ErrReadLimit
	case err != nil && err != io.EOF:
		return err
	case c.message.kind == opText && !(m.utf8.next(m.unread) && (!m.ended || m.utf8.complete())):
		return errInvalidUTF8
	}
	return nil
}

// skipCompressed discards some of the current message, which is compressed, and whose end the window
// needs, if that is not here only to be dropped.
func (c *Conn) skipCompressed() error {
	if !c.compression.recvTakeover {
		c.dropCompressed()
		c.message.state = betweenMessages
		return nil
	}
	if err := c.gather(); err != nil {
		return err
	}
	m := &c.compression.incoming
	if m.unread = nil; m.ended {
		c.delivered(m.out)
		c.message.state = betweenMessages
		return nil
	}
	if err := c.inflateMore(); err != nil {
		return c.fail(err)
	}
	return nil
}

// delivered says that the current message was decompressed; message is its end.
func (c *Conn) delivered(message []byte) {
	if k := c.compression; k.recvTakeover {
		k.window = slide(k.window, message, k.recvBits)
	}
	c.dropCompressed()
}

// dropCompressed gives up what is held for the current message.
func (c *Conn) dropCompressed() {
	c.message.drop()
	if c.compression == nil {
		return
	}
	m := &c.compression.incoming
	if m.z != nil {
		releaseInflater(m.z)
		releaseBuffer(m.history)
	}
	*m = incoming{}
}
