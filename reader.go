package websocket

import (
	"context"
	"time"
)

// noMessage is the message type that is returned with an error.
const noMessage = -1

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
	return c.readWhole(nil)
}

// ReadMessageContext is ReadMessage that the context can end, too. The error then has
// the context's error and its cause, and nothing is lost: the next read, of any
// kind, goes on at the very byte. One call after another with the same context
// allocates nothing for it.
func (c *Conn) ReadMessageContext(ctx context.Context) (messageType int, p []byte, err error) {
	if ctx.Done() == nil {
		return c.readWhole(nil)
	}
	l := limit{ctx: ctx}
	if err := l.ended(); err != nil {
		return noMessage, nil, err
	}
	if !c.turn.take(l) {
		return noMessage, nil, l.err()
	}
	c.beginRead()
	w := &c.ownInterruption().watch
	w.begin(ctx)
	messageType, p, err = c.appendMessage(nil)
	if w.end() {
		c.restoreReadDeadline()
		if err != nil && c.recv.err == nil {
			err = contextError(ctx)
		}
	}
	if c.recv.err != nil {
		w.forget() // there will be no other read
	}
	c.endRead()
	return messageType, p, err
}

// interruption is what a read that was interrupted, by its deadline or by a context, leaves
// to the next one.
type interruption struct {
	watch   watch  // of the contexts
	partial []byte // what AppendMessage had of the message, while that is unclaimed; or nil
}

// ownInterruption returns c.interrupted, allocating it on first use.
func (c *Conn) ownInterruption() *interruption {
	if c.interrupted == nil {
		c.interrupted = &interruption{watch: watch{interrupt: c.interruptRead}}
	}
	return c.interrupted
}

// had returns what an interrupted AppendMessage had of the message, or nil.
func (i *interruption) had() []byte {
	if i == nil {
		return nil
	}
	return i.partial
}

// drop says that this has been delivered, or is not wanted.
func (i *interruption) drop() {
	if i != nil {
		i.partial = nil
	}
}

// AppendMessage is ReadMessage into memory of the caller: it appends the message to
// dst, growing it where it is too small, and returns the extended slice. With dst
// sliced to length 0 it reads message after message without allocating. After a
// timeout the slice is dst as it was. All of dst's capacity behind its length may be
// overwritten in any case.
func (c *Conn) AppendMessage(dst []byte) (messageType int, p []byte, err error) {
	return c.readWhole(dst)
}

// readWhole is AppendMessage.
func (c *Conn) readWhole(dst []byte) (messageType int, p []byte, err error) {
	if err := c.takeTurn(); err != nil {
		return noMessage, dst, err
	}
	if c.recv.isIdle() && !c.unclaimed && !c.compressed {
		if err = c.wait(); err != nil { // here, where the stack is shallow
			c.endRead()
			return noMessage, dst, err
		}
	}
	messageType, p, err = c.appendMessage(dst)
	c.endRead()
	return messageType, p, err
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
		return int(c.messageType), p, err
	}
	p = dst
	if had := c.interrupted.had(); had != nil {
		if p == nil {
			p = had
		} else {
			p = append(p, had...)
		}
		c.interrupted.drop()
	}
	if p == nil && c.recv.hasAll() {
		if p, err = c.recv.take(); err != nil {
			return int(c.messageType), nil, c.fail(err)
		}
		c.received(0, nil)
	}
	for c.recv.open {
		p = c.recv.grow(p, len(dst))
		n, err := c.readSome(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err == nil {
			continue
		}
		if c.recv.err != nil {
			return int(c.messageType), p, err
		}
		// A timeout: the message is still to be had.
		c.unclaimed = true
		if partial := p[len(dst):]; len(partial) > 0 {
			if dst != nil {
				partial = append([]byte(nil), partial...)
			}
			c.ownInterruption().partial = partial
		}
		return noMessage, dst, err
	}
	c.setMoreInput()
	if p == nil {
		p = []byte{}
	}
	return int(c.messageType), p, nil
}

// readSome reads some payload of the current message into p, or does a step towards that,
// which may be a wait for the network.
func (c *Conn) readSome(p []byte) (n int, err error) {
	r := &c.recv
	switch {
	case r.remaining == 0:
		return 0, c.advance()
	case len(r.b) > 0:
		n, err = r.read(p)
	case c.send.link.descriptor.conn != nil || !r.direct(len(p)):
		return 0, c.wait()
	default:
		if err := c.flushBeforeWaiting(); err != nil {
			return 0, err
		}
		n, err = r.readDirect(c.send.link, p)
	}
	return c.received(n, err)
}

// wait waits for something to come.
//
// While it waits it holds no buffer, and the stack is as shallow as can be.
func (c *Conn) wait() error {
	if err := c.flushBeforeWaiting(); err != nil {
		return err
	}
	r := &c.recv
	r.shrink()
	raw := &c.send.link.descriptor
	if raw.conn == nil {
		if err := r.fill(c.send.link); err != nil {
			return c.fail(err)
		}
		return nil
	}
	err := raw.conn.Read(raw.read)
	if err == nil {
		err = raw.err()
	}
	if err != nil {
		return c.fail(c.send.link.rawError("read", err))
	}
	return nil
}

// nextMessage makes a new message the current one, unless there is one already that
// nobody has got. It can be interrupted and repeated.
func (c *Conn) nextMessage() error {
	if c.recv.err != nil {
		return c.recv.err
	}
	if c.readers.current() != nil {
		c.readers.end()
		c.interrupted.drop()
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
	switch {
	case c.recv.remaining == 0:
		return c.advance()
	case len(c.recv.b) == 0:
		return c.wait()
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
		op, payload, ok, err := c.recv.next()
		switch {
		case err != nil:
			return c.fail(err)
		case !ok:
			err = c.wait()
		case op.isControl():
			err = c.control(op, payload)
		default:
			if op != opContinuation {
				c.messageType, c.compressed = int8(op), c.recv.deflated
			}
			if c.send.lock.has(posted) {
				c.send.tryFlush() // pongs do not wait for the program
			}
			_, err = c.received(0, nil)
			return err
		}
		if err != nil {
			return err
		}
	}
}

// control delivers a control frame. Its answer goes into the slot, which is emptied
// before the reader waits or a message is delivered.
func (c *Conn) control(op opcode, payload []byte) error {
	c.received(0, nil)
	switch op {
	case opPing:
		h := handler(c, pingOf)
		if h == nil {
			c.send.reply(opPong, payload)
			return nil
		}
		return c.stop(c.handle(*h, payload))
	case opPong:
		if x := c.extras.Load(); x != nil {
			x.pings.received(payload, time.Now())
		}
		if h := handler(c, pongOf); h != nil {
			return c.stop(c.handle(*h, payload))
		}
		return nil
	}
	return c.peerClosed(payload)
}

// handle calls a handler of the program, during which nothing is read.
func (c *Conn) handle(h func(string) error, payload []byte) error {
	c.send.tryFlush()
	c.reading(false)
	returned := false
	defer func() {
		if !returned {
			c.endRead() // it panics, or ends the goroutine
		}
	}()
	err := h(string(payload))
	returned = true
	c.reading(true)
	return err
}
