package websocket

import (
	"context"
	"io"
)

// noMessage is the message type that is returned with an error.
const noMessage = -1

// ReadMessage reads the next message. It blocks until the whole message was
// received, or until the read deadline. One goroutine at a time may read. The
// memory of p is the caller's.
//
// A read that timed out has lost nothing: call it again, and it continues where it
// was, even in the middle of a message. Every other error is final, and every later
// read returns it. It is a *CloseError if the peer has closed the connection or
// the connection has ended. With a final error messageType and p are the received part
// of an unfinished message, if there is one. A peer that breaks the protocol is sent a
// Close frame with the reason. In every case the connection must still be closed with Close.
func (c *Conn) ReadMessage() (messageType int, p []byte, err error) {
	if err := c.awaitMessage(); err != nil {
		return noMessage, nil, err
	}
	return c.readMessage(nil)
}

// ReadMessageContext is ReadMessage, but also returns when the context ends. The error then
// wraps the context's error and its cause, and nothing is lost: the next read, of any kind,
// continues at the same byte. (A network connection that ignores deadlines is closed
// instead.) Successive calls with the same context allocate nothing for it.
func (c *Conn) ReadMessageContext(ctx context.Context) (messageType int, p []byte, err error) {
	if ctx.Done() == nil {
		return c.ReadMessage()
	}
	if err := c.beginReadContext(ctx); err != nil {
		return noMessage, nil, err
	}
	messageType, p, err = c.appendMessage(nil)
	return messageType, p, c.endReadContext(ctx, err)
}

// AppendMessage is ReadMessage into the caller's memory: it appends the message to
// dst, growing it if it is too small, and returns the extended slice. A program that
// passes the slice sliced to length 0 each time reads messages without allocating. After a
// timeout p is dst, unchanged. The capacity of dst beyond its length may be overwritten in
// any case.
func (c *Conn) AppendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err := c.awaitMessage(); err != nil {
		return noMessage, dst, err
	}
	return c.readMessage(dst)
}

// readMessage appends a message to dst, and ends the read.
func (c *Conn) readMessage(dst []byte) (messageType int, p []byte, err error) {
	messageType, p, err = c.appendMessage(dst)
	c.unlockRead()
	return messageType, p, err
}

// awaitMessage begins a read, and waits until bytes were received. An idle connection waits here,
// where the library has few frames on the stack.
func (c *Conn) awaitMessage() error {
	if err := c.lockRead(&noLimit); err != nil {
		return err
	}
	if c.message.state == messageNone && len(c.recv.b) == 0 {
		if err := c.wait(); err != nil {
			c.unlockRead()
			return err
		}
	}
	return nil
}

func (c *Conn) appendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err := c.nextMessage(); err != nil {
		return noMessage, dst, err
	}
	m := &c.message
	messageType = int(m.kind)
	switch all := dst == nil && m.keptBytes() == nil && c.recv.hasAll(); {
	case all && m.inflater != nil:
		p, err = c.takeInflated()
	case all:
		if p, err = c.recv.take(); err != nil {
			c.failReading(err)
		}
	default:
		p, err = c.appendPayload(dst)
	}
	switch {
	case err == nil:
		c.finishMessage()
		if p == nil {
			p = []byte{}
		}
	case !c.readLock.has(stateEnded): // the next read can complete the message
		return noMessage, dst, err
	default:
		err = c.readLock.err() // not an earlier timeout
	}
	return messageType, p, err
}

// appendPayload appends the current message to dst. If it is interrupted, it keeps the part that it has for
// the next call.
func (c *Conn) appendPayload(dst []byte) (p []byte, err error) {
	p, base := dst, len(dst)
	compressed := c.message.inflater != nil
	kept := c.message.keptBytes()
	if kept != nil {
		p, base = kept, 0
	}
	for err == nil && c.messageUnfinished() {
		var n int
		if compressed {
			p = c.growInflated(p, base)
		} else {
			p = c.recv.grow(p, base)
		}
		n, err = c.readSome(p[base:cap(p)], len(p)-base)
		p = p[:len(p)+n]
	}
	if compressed && err == nil {
		c.remember(p[base:])
	}
	switch {
	case err != nil && !c.readLock.has(stateEnded):
		if kept == nil && dst != nil && len(p) > base {
			p = append(make([]byte, 0, c.recv.credit(len(p)-base)), p[base:]...)
			base = 0
		}
		c.message.keep(p[base:])
	case kept != nil:
		c.message.dropKept()
		if dst != nil {
			p = append(dst, p...)
		}
	}
	return p, err
}

// takeInflated decompresses the current message, all of which was received, into new memory: of exactly
// its size, up to the size of a buffer.
func (c *Conn) takeInflated() ([]byte, error) {
	buf := acquireBuffer(maxBufferSize)
	defer releaseBuffer(buf)
	p, err := c.appendPayload(buf.b[:0])
	if len(p) <= len(buf.b) {
		p = append(make([]byte, 0, len(p)), p...)
	}
	return p, err
}

// finishMessage ends the current message, which was delivered.
func (c *Conn) finishMessage() {
	c.message.state, c.message.reader = messageNone, nil
	c.setMoreInput()
}

// readSome reads some of the current message into p[have:], or does a step towards that, which may be
// to wait for the network. p[:have] is the part of the message before it.
func (c *Conn) readSome(p []byte, have int) (n int, err error) {
	r := &c.recv
	rest := p[have:]
	switch {
	case c.canInflate():
		return c.inflate(p, have)
	case r.remaining == 0:
		return 0, c.advance()
	case len(r.b) > 0:
		n, err = r.read(rest)
	case c.send.link.descriptor.conn != nil || c.message.inflater != nil || !r.direct(len(rest)):
		return 0, c.wait()
	default:
		if err := c.beforeWaiting(); err != nil {
			return 0, err
		}
		if n, err = r.readDirect(c.send.link, rest); err != nil {
			return 0, c.readFailed(err)
		}
		c.heard()
		err = r.acceptDirect(rest[:n])
	}
	if err != nil {
		return 0, c.failReading(err)
	}
	return n, nil
}

// wait waits until bytes were received. Waiting for a descriptor, it holds no buffer, and it uses little
// stack.
func (c *Conn) wait() error {
	if err := c.beforeWaiting(); err != nil {
		return err
	}
	r := &c.recv
	raw := &c.send.link.descriptor
	if raw.conn == nil {
		if err := r.fill(c.send.link); err != nil {
			return c.readFailed(err)
		}
		c.heard()
		return nil
	}
	err := raw.conn.Read(raw.read)
	if err == nil {
		err = raw.err()
	}
	if err != nil {
		return c.readFailed(c.send.link.rawError("read", err))
	}
	c.heard()
	return nil
}

// advance reads up to the payload of the next data frame, and delivers the control frames before
// it.
func (c *Conn) advance() error {
	for {
		op, payload, ok, err := c.recv.next()
		switch {
		case err != nil:
			return c.failReading(err)
		case !ok:
			err = c.wait()
		case op.isControl():
			err = c.control(op, payload)
		default:
			if op != opContinuation {
				m := &c.message
				m.state, m.kind = messageBegun, op
				if c.recv.deflated {
					m.inflater = acquireInflater(&c.compression.window)
				}
			}
			if c.send.lock.has(statePosted) {
				c.send.tryFlush() // pongs do not wait until the program has handled the message
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// setMoreInput sets or clears stateMoreInput when a message was delivered.
func (c *Conn) setMoreInput() {
	if c.burst.delivered(c.recv.hasFrame()) {
		c.send.lock.state.Or(stateMoreInput)
	} else {
		c.send.lock.clear(stateMoreInput)
	}
}

// beforeWaiting ends a burst: it writes replies and corked frames, and releases memory of the read
// buffer that is not needed.
func (c *Conn) beforeWaiting() error {
	c.recv.shrink()
	c.burst.end()
	c.send.lock.clear(stateMoreInput)
	c.send.tryFlush()
	if err := c.send.lock.lost(); err != nil {
		return c.stopReading(phaseFailed, finalError("messages that waited to be sent are lost", err))
	}
	return nil
}

// messageUnfinished reports whether the rest of the current message is still to be received or decompressed.
func (c *Conn) messageUnfinished() bool { return c.recv.open() || c.message.inflater != nil }

// nextMessage waits for the next message that the program has not claimed. An interrupted call can be
// repeated.
func (c *Conn) nextMessage() error {
	if c.message.reader != nil {
		c.message.reader = nil
		c.discardMessage()
	}
	for c.message.state == messageDiscarded {
		if err := c.skip(); err != nil {
			return err
		}
	}
	if c.message.state == messageBegun {
		return nil
	}
	return c.advance()
}

// discardMessage discards the current message. If later messages may refer to it, skip still
// decompresses it.
func (c *Conn) discardMessage() {
	m := &c.message
	m.state = messageDiscarded
	if m.inflater != nil {
		if c.compression.recvTakeover {
			c.compression.window.put(m.keptBytes())
		} else {
			c.dropInflater()
		}
	}
	m.dropKept()
}

// skip discards some of the current message.
func (c *Conn) skip() error {
	switch {
	case c.canInflate():
		buf := acquireBuffer(maxBufferSize)
		n, err := c.inflate(buf.b, 0)
		c.remember(buf.b[:n])
		releaseBuffer(buf)
		return err
	case !c.messageUnfinished():
		c.message.state = messageNone
		return nil
	case c.recv.remaining == 0:
		return c.advance()
	case len(c.recv.b) == 0:
		return c.wait()
	}
	if err := c.recv.skip(); err != nil {
		return c.failReading(err)
	}
	return nil
}

// NextReader waits for the next message and returns a reader for it, which returns
// io.EOF at its end. One goroutine at a time may read.
//
// The unread rest of the previous message is discarded, and its reader returns
// io.EOF. Errors, including those of the reader, are as for ReadMessage: after a timeout,
// call the same method again.
func (c *Conn) NextReader() (messageType int, r io.Reader, err error) {
	if err := c.awaitMessage(); err != nil {
		return noMessage, nil, err
	}
	return c.claimMessage()
}

// claimMessage makes a reader of the next message, and ends the read.
func (c *Conn) claimMessage() (messageType int, r io.Reader, err error) {
	if err = c.nextMessage(); err != nil {
		messageType = noMessage
	} else {
		m := &c.message
		m.reader = &messageReader{c}
		messageType, r = int(m.kind), m.reader
		if c.message.inflater == nil { // else decompression begins with the first Read
			c.finishIfRead()
		}
	}
	c.unlockRead()
	return messageType, r, err
}

// messageReader reads a claimed message. Each message has a new one, so that one kept by the program never
// reads from a later message.
type messageReader struct{ c *Conn }

func (r *messageReader) Read(p []byte) (n int, err error) {
	c := r.c
	if r != c.message.reader { // the message was read to its end, or the next one was asked for
		return 0, io.EOF
	}
	if err := c.lockRead(&noLimit); err != nil {
		return 0, err
	}
	n, err = c.readPiece(p)
	c.unlockRead()
	return n, err
}

// readPiece reads from the claimed message.
func (c *Conn) readPiece(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	m := &c.message
	compressed := m.inflater != nil
	if kept := m.keptBytes(); kept != nil {
		n = copy(p, kept)
		if m.dropKept(); n < len(kept) {
			m.keep(kept[n:])
		}
	}
	for n == 0 && err == nil && c.messageUnfinished() {
		n, err = c.readSome(p, 0)
	}
	if compressed {
		c.remember(p[:n])
	}
	if err == nil && c.finishIfRead() && n == 0 {
		err = io.EOF
	}
	return n, err
}

// finishIfRead ends the current message if all its bytes were delivered, and reports whether it did, so that
// a program that knows where a message ends need not read on to io.EOF. It does not block. An error
// in the rest of the message ends the reading, and is returned by the next call.
func (c *Conn) finishIfRead() bool {
	for err := error(nil); err == nil && c.message.keptBytes() == nil; {
		switch z := c.message.inflater; {
		case !c.messageUnfinished():
			c.finishMessage()
			return true
		case z != nil && z.full:
			return false
		case c.canInflate():
			_, err = c.inflate(nil, 0)
		case c.recv.hasFragment():
			err = c.advance()
		default:
			return false
		}
	}
	return false
}
