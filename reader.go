package websocket

import (
	"context"
	"io"
	"time"
)

// noMessage is the message type that is returned with an error.
const noMessage = -1

// replyTimeout bounds how long a read is held up by the writing of a frame that it
// owes the peer, where the network does not take it, and retryTimeout how long when
// that has happened already.
const (
	replyTimeout = 10 * time.Second
	retryTimeout = 10 * time.Millisecond
)

// ReadMessage reads the next message. It blocks until all of the message has
// come, which the read deadline bounds. One goroutine at a time may read. The
// memory of p is the caller's.
//
// A read that timed out has lost nothing: call it again, and it goes on where it
// was, in the middle of a message too. Every other error is final, and every later
// read returns it. It is a *CloseError where the peer has closed the connection or
// the connection has ended; then messageType and p are what had come of an
// unfinished message, if anything. A peer that breaks the protocol is sent a Close
// frame that says how. In every case the connection is still to be closed with Close.
func (c *Conn) ReadMessage() (messageType int, p []byte, err error) {
	return c.AppendMessage(nil)
}

// ReadMessageContext is ReadMessage that the context can end, too. The error then has
// the context's error and its cause, and nothing is lost: the next read, of any
// kind, goes on at the very byte. One call after another with the same context
// allocates nothing for it.
func (c *Conn) ReadMessageContext(ctx context.Context) (messageType int, p []byte, err error) {
	if ctx.Done() == nil {
		return c.AppendMessage(nil)
	}
	b := bound{ctx: ctx}
	if err := b.ended(); err != nil {
		return noMessage, nil, err
	}
	if !c.turn.take(b) {
		return noMessage, nil, b.waitError()
	}
	c.beginRead()
	defer c.endRead()
	if c.readWatch == nil {
		c.readWatch = &watch{interrupt: c.interruptRead}
	}
	c.readWatch.begin(ctx)
	messageType, p, err = c.appendMessage(nil)
	if c.readWatch.end() {
		c.restoreReadDeadline()
		if err != nil && c.recv.err == nil {
			err = contextError(ctx)
		}
	}
	if c.recv.err != nil {
		c.readWatch.forget() // there will be no other read
	}
	return messageType, p, err
}

// AppendMessage is ReadMessage into memory of the caller: it appends the message to
// dst, growing it where it is too small, and returns the extended slice. With dst
// sliced to length 0 it reads message after message without allocating. After a
// timeout the slice is dst as it was.
func (c *Conn) AppendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err := c.takeTurn(); err != nil {
		return noMessage, dst, err
	}
	defer c.endRead() // also where a handler panics
	return c.appendMessage(dst)
}

func (c *Conn) appendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err := c.nextMessage(); err != nil {
		return noMessage, dst, err
	}
	if c.compressed {
		p, err = c.appendInflated(dst)
		if err != nil && c.recv.err == nil {
			c.unclaimed = true
			return noMessage, dst, err
		}
		return c.messageType, p, err
	}
	p = dst
	if p == nil {
		p = c.partial
	} else {
		p = append(p, c.partial...)
	}
	c.partial = nil
	for c.recv.open {
		if c.recv.remaining == 0 {
			err = c.advance()
		} else {
			p = c.recv.grow(p, len(dst))
			var n int
			n, err = c.received(c.recv.read(p[len(p):cap(p)]))
			p = p[:len(p)+n]
		}
		if err == nil {
			continue
		}
		if c.recv.err != nil {
			return c.messageType, p, err
		}
		// A timeout: the message is still to be had.
		c.unclaimed = true
		c.partial = p
		if dst != nil {
			c.partial = append([]byte(nil), p[len(dst):]...)
		}
		return noMessage, dst, err
	}
	if p == nil {
		p = []byte{}
	}
	return c.messageType, p, nil
}

// NextReader waits for the next message and returns a reader for it, which returns
// io.EOF at its end. One goroutine at a time may read.
//
// What was not read of the message before is discarded, and its reader returns
// io.EOF. Errors, of the reader too, are as for ReadMessage: after a timeout call
// the same method again.
func (c *Conn) NextReader() (messageType int, r io.Reader, err error) {
	if err := c.takeTurn(); err != nil {
		return noMessage, nil, err
	}
	defer c.endRead()
	if err := c.nextMessage(); err != nil {
		return noMessage, nil, err
	}
	c.reader = &messageReader{c}
	return c.messageType, c.reader, nil
}

// messageReader reads the current message as long as it is Conn.reader.
type messageReader struct{ c *Conn }

func (r *messageReader) Read(p []byte) (n int, err error) {
	c := r.c
	if err := c.takeTurn(); err != nil {
		return 0, err
	}
	defer c.endRead()
	if c.reader != r {
		return 0, io.EOF
	}
	if c.recv.err != nil {
		return 0, c.recv.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if c.compressed {
		n, err = c.readInflated(p)
		if err == io.EOF {
			c.reader = nil
		}
		return n, err
	}
	if len(c.partial) > 0 {
		n = copy(p, c.partial)
		c.partial = c.partial[n:]
		return n, nil
	}
	c.partial = nil
	for c.recv.open {
		if c.recv.remaining == 0 {
			if err := c.advance(); err != nil {
				return 0, err
			}
			continue
		}
		return c.received(c.recv.read(p))
	}
	c.reader = nil
	return 0, io.EOF
}

// nextMessage makes a new message the current one, unless there is one already that
// nobody has got. It can be interrupted and repeated.
func (c *Conn) nextMessage() error {
	if c.recv.err != nil {
		return c.recv.err
	}
	if c.reader != nil {
		c.reader = nil
		c.partial = nil
		c.discard = true
	}
	for c.discard && c.inMessage() {
		if err := c.skip(); err != nil {
			return err
		}
	}
	c.discard = false
	if !c.unclaimed {
		if err := c.advance(); err != nil {
			return err
		}
	}
	c.unclaimed = false
	return nil
}

// skip discards some of the current message.
func (c *Conn) skip() error {
	if c.compressed {
		return c.skipCompressed()
	}
	return c.skipFrames()
}

// skipFrames discards some of the current message as it comes.
func (c *Conn) skipFrames() error {
	if c.recv.remaining == 0 {
		return c.advance()
	}
	_, err := c.received(0, c.recv.skip())
	return err
}

// received takes note of how reading payload went.
func (c *Conn) received(n int, err error) (int, error) {
	if err != nil {
		return n, c.fail(err)
	}
	if c.keepalive != nil {
		c.keepalive.heard(time.Now())
	}
	return n, nil
}

// advance reads up to the payload of the next data frame, and deals with the
// control frames on the way.
func (c *Conn) advance() error {
	for {
		h, payload, err := c.recv.next()
		if _, err := c.received(0, err); err != nil {
			return err
		}
		if !h.opcode.isControl() {
			if h.opcode != opContinuation {
				c.messageType, c.compressed = int(h.opcode), h.rsv1
			}
			return nil
		}
		if err := c.control(h.opcode, payload); err != nil {
			return err
		}
	}
}

// control delivers a control frame. What the peer is owed is left to send: the
// reader does not wait for a writer.
func (c *Conn) control(op opcode, payload []byte) error {
	switch op {
	case opPing:
		h := c.pingHandler.Load()
		if h == nil {
			c.reply(opPong, payload)
			return nil
		}
		return c.stop(c.handle(*h, payload))
	case opPong:
		if p := c.pings.Load(); p != nil {
			p.received(payload, time.Now())
		}
		if h := c.pongHandler.Load(); h != nil {
			return c.stop(c.handle(*h, payload))
		}
		return nil
	}
	return c.peerClosed(payload)
}

// handle calls a handler of the program, during which nothing is read.
func (c *Conn) handle(h func(string) error, payload []byte) error {
	c.reading(false)
	defer c.reading(true)
	return h(string(payload))
}

// reply sends a control frame that the peer is owed.
func (c *Conn) reply(op opcode, payload []byte) {
	c.send.reply(op, payload, c.replyDeadline())
	c.freeWriters()
}

// replyDeadline is until when a read tries to send what is owed: the network may not
// take it. What has not left then goes out with the next write, or is tried again by
// the next read.
func (c *Conn) replyDeadline() time.Time {
	timeout := replyTimeout
	if c.send.owing.Load() {
		timeout = retryTimeout
	}
	deadline := time.Now().Add(timeout)
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if d := c.readDeadline; !d.IsZero() && d.Before(deadline) && !c.readOverride {
		return d
	}
	return deadline
}
