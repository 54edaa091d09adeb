package websocket

import "math"

// canInflate reports whether the current message is compressed and more of it can be decompressed without
// waiting for the network.
func (c *Conn) canInflate() bool {
	z, r := c.message.inflater, &c.recv
	return z != nil && (z.full || !r.open() || r.remaining > 0 && len(r.b) > 0)
}

// inflate decompresses some of the current message into p[have:]. p[:have] is the part of the message
// before it that is not in the window yet.
func (c *Conn) inflate(p []byte, have int) (n int, err error) {
	r, z := &c.recv, c.message.inflater
	text := c.message.kind == opText
	if limit := r.readLimit.Load(); limit > 0 {
		left := max(0, limit-z.total)
		if left == 0 && z.full {
			return 0, c.failReading(ErrReadLimit)
		}
		p = p[:min(int64(len(p)), int64(have)+left)]
	}
	end, err := r.inflate(z, p, have)
	n = end - have
	z.total += int64(n)
	switch {
	case err != nil:
	case text && !r.utf8.next(p[have:end]):
		err = errInvalidUTF8
	case r.open() || z.full:
	case z.ended():
		if text && !r.utf8.complete() {
			err = errInvalidUTF8
			break
		}
		releaseInflater(z)
		c.message.inflater = nil
		if !c.compression.recvTakeover {
			c.compression.window.drop()
		}
	case len(z.tail) == 0:
		err = errCorruptMessage
	}
	if err != nil {
		return 0, c.failReading(err)
	}
	return n, nil
}

// inflate has z decompress the received payload of the current frame or, once the whole message has
// been received, its tail.
func (r *recv) inflate(z *inflater, p []byte, have int) (end int, err error) {
	if !r.open() {
		in := z.tail
		switch {
		case z.full || z.ended():
			in = nil
		case z.state == storedData && z.length > len(in):
			return have, errCorruptMessage // the tail is not data of the message
		}
		end, taken, err := z.inflate(p, have, in)
		z.tail = z.tail[taken:]
		return end, err
	}
	in := r.b[:min(int64(len(r.b)), r.remaining)]
	r.unmask(in[z.plain:])
	end, taken, err := z.inflate(p, have, in)
	z.plain = len(in) - taken
	r.consume(taken)
	if err == nil {
		err = r.accept(in[:taken])
	}
	return end, err
}

// growInflated returns p, in which the message begins at base, with room for twice as much of the
// message if the inflater needs room, within the read limit.
func (c *Conn) growInflated(p []byte, base int) []byte {
	limit := c.recv.readLimit.Load()
	if limit <= 0 {
		limit = math.MaxInt64
	}
	have := len(p) - base
	if len(p) < cap(p) || !c.message.inflater.full || int64(have) >= limit {
		return p
	}
	size := min(int64(max(2*have, 1<<10)), limit)
	grown := make([]byte, len(p), base+int(size))
	copy(grown, p)
	return grown
}

// remember is called with each decompressed part of a message. It adds the part to the window if the rest of
// the message, or later messages, may refer to it.
func (c *Conn) remember(p []byte) {
	if k := c.compression; k.recvTakeover || c.message.inflater != nil {
		k.window.put(p)
	}
}

// dropInflater releases the inflater and the window.
func (c *Conn) dropInflater() {
	if c.message.inflater != nil {
		releaseInflater(c.message.inflater)
		c.message.inflater = nil
	}
	if c.compression != nil {
		c.compression.window.drop()
	}
}
