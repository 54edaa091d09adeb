package websocket

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// WriteMessage sends a message of one frame. It returns when the network connection has
// accepted the whole message, or at the write deadline. Any number of goroutines may call
// it; it waits for other messages being written, and for an open writer from NextWriter. It
// does not change data, and does not keep it.
//
// If the peer has sent several messages at once, and the program has handled the last such
// burst quickly, the answers are sent together, too: a message of up to 16 KiB that is written
// while further received messages wait to be read is copied and corked. Corked messages are
// sent before a read waits for the network, together with the next message that is not corked, by
// Flush, Shutdown and Close, or after 200 microseconds. The write deadline does not apply to them;
// the next write and the next read return an error. WriteThrough of Upgrader and Dialer prevents
// corking, and so does a context that can be cancelled.
//
// The text of a TextMessage must be UTF-8; that is not checked. Messages of the types of
// control messages are sent as by WriteControl.
//
// After "websocket: write timeout", which is a net.Error, nothing of the message was sent,
// and the connection can still be used. After any other error of the network, every write
// returns this error.
func (c *Conn) WriteMessage(messageType int, data []byte) error {
	l := until(c.loadWriteDeadline())
	op := messageOpcode(messageType)
	return c.writeMessage(&frame{fin: true, opcode: op, payload: data}, &l)
}

// WriteMessageContext is WriteMessage, but also returns when the context ends. The error then
// wraps the context's error and its cause. If the context ends while the call waits for another
// message, or before the network has accepted any byte of this one, nothing was sent, and the
// connection can still be used. If it ends later, or while a write over TLS waits for the network,
// the connection has failed: the error says so, and every later write returns it.
func (c *Conn) WriteMessageContext(ctx context.Context, messageType int, data []byte) error {
	l := limit{deadline: c.loadWriteDeadline(), ctx: ctx}
	op := messageOpcode(messageType)
	return c.writeMessage(&frame{fin: true, opcode: op, payload: data}, &l)
}

// messageOpcode returns the opcode of a message type, or 0 if that is bad.
func messageOpcode(messageType int) opcode {
	if isData(messageType) || isControl(messageType) {
		return opcode(messageType)
	}
	return 0
}

// writeMessage sends a message. Its caller makes the frame, and it does what writeData does without calling it, because
// each byte of stack used between the program and the system call may be the one that makes the stack grow (TestStack).
func (c *Conn) writeMessage(f *frame, l *limit) error {
	mode := modeFrame
	switch {
	case f.opcode == 0:
		return errBadMessageType
	case !f.opcode.isControl():
		if c.compresses(len(f.payload)) {
			return c.writeCompressed(f, l)
		}
		if len(f.payload) > c.maxFrame {
			return c.writeFragments(f, modeData, l)
		}
		mode = modeData
	case len(f.payload) > maxControlPayload:
		return errInvalidControlFrame
	}
	return c.send.write(f, mode, l)
}

// beginMessage waits until a message of several frames or steps may begin.
func (c *Conn) beginMessage(l *limit) error {
	_, err := c.send.lock.acquire(modeMessage, nil, l)
	return err
}

// endMessage ends what beginMessage has begun.
func (c *Conn) endMessage() {
	c.send.lock.endMessage()
	if c.send.lock.has(stateEnded) {
		c.giveBack()
	}
}

// WriteControl sends a control message: CloseMessage, PingMessage or PongMessage,
// with at most 125 bytes of payload. Any number of goroutines may call it at any
// time, even while a message is being written: a control message is sent between
// the frames of a message.
//
// The deadline bounds the call; a zero deadline does not. If it passes before
// any byte was sent, the error is "websocket: write timeout", a net.Error, and the
// connection can still be used.
//
// After a CloseMessage every write returns ErrCloseSent. Go on reading until a read
// returns the peer's answer as a *CloseError, then Close.
func (c *Conn) WriteControl(messageType int, data []byte, deadline time.Time) error {
	if !isControl(messageType) {
		return errBadMessageType
	}
	l := until(deadline)
	return c.writeMessage(&frame{fin: true, opcode: opcode(messageType), payload: data}, &l)
}

// Cork makes the messages written from now on wait, so that they are sent together: when
// Flush is called, when there are 16 KiB of them, or 200 microseconds after the first.
// A Close frame also sends them. WriteThrough has no effect on it. Any goroutine may call
// Cork, and a call of Flush must follow.
func (c *Conn) Cork() { c.send.lock.state.Or(stateCorked) }

// Flush ends the effect of Cork, and waits until the network has accepted everything written,
// or until the write deadline; the rest is then sent later. The error may be that of an earlier
// message that was corked. Any goroutine may call Flush.
func (c *Conn) Flush() error {
	l := until(c.loadWriteDeadline())
	return c.send.drain(&l)
}

// NextWriter returns a writer for a message that is sent in fragments as it is
// written, each at least as large as the WriteBufferSize of the Upgrader or Dialer.
// Close sends the rest and ends the message. The writer also has the methods
// WriteString and ReadFrom.
//
// Until the writer is closed, WriteMessage in other goroutines waits for it; control
// messages do not. One goroutine at a time may use NextWriter and its writers.
// NextWriter first closes a writer that was left open.
func (c *Conn) NextWriter(messageType int) (io.WriteCloser, error) {
	if !isData(messageType) && !isControl(messageType) {
		return nil, errBadMessageType
	}
	if w := c.writer.Load(); w != nil {
		w.Close() // its error, if any, is the connection's
	}
	if isControl(messageType) {
		if err := c.send.lock.err(); err != nil {
			return nil, err
		}
	} else {
		l := until(c.loadWriteDeadline())
		if err := c.beginMessage(&l); err != nil {
			return nil, err
		}
	}
	w := &messageWriter{c: c, opcode: opcode(messageType)}
	c.writer.Store(w)
	return w, nil
}

// writeBufferSize returns the size of a message writer's fragments, headers included.
func (c *Conn) writeBufferSize() int { return minBufferSize << c.writeClass }

// messageWriter writes a message. No other data message begins until it is closed or has failed.
// Each message has a new one, so that one kept by the program never writes into a later
// message.
type messageWriter struct {
	c *Conn

	mu     sync.Mutex // since NextWriter and Conn.Close may end the writer
	opcode opcode     // of the next fragment
	buf    *buffer    // of the next fragment's payload; nil before the first write
	n      int        // the size of that payload
	size   int32      // the largest payload of a fragment
	err    error      // errWriteClosed, or the reason why it failed

	deflater *deflater // nil before the first fragment, or if the message is not compressed
}

func (w *messageWriter) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A p that would fill the buffer several times is sent as a fragment of its own, without a copy.
	if len(p) >= 2*w.c.writeBufferSize() && !w.opcode.isControl() && w.err == nil {
		if w.n > 0 {
			if err := w.flush(false); err != nil {
				return 0, err
			}
		}
		if err := w.send(p, false); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return fillBuffer(w, p)
}

// WriteString is Write for a string, without a copy of it.
func (w *messageWriter) WriteString(s string) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fillBuffer(w, s)
}

// fillBuffer copies p to the buffer, and sends the buffer as a fragment whenever it is
// full and p is not empty.
func fillBuffer[T string | []byte](w *messageWriter, p T) (n int, err error) {
	for len(p) > 0 {
		space, err := w.room()
		if err != nil {
			return n, err
		}
		m := copy(space, p)
		p = p[m:]
		w.n += m
		n += m
	}
	return n, w.err
}

// ReadFrom writes all bytes of r.
func (w *messageWriter) ReadFrom(r io.Reader) (n int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf == nil && w.err == nil && !w.opcode.isControl() { // so that a copy takes few fragments
		w.borrow(maxBufferSize)
	}
	for empty := 0; empty < maxEmptyReads; empty++ {
		space, err := w.room()
		if err != nil {
			return n, err
		}
		m, err := r.Read(space)
		w.n += m
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if m > 0 {
			empty = 0
		}
	}
	return n, io.ErrNoProgress
}

// room returns the free space in the buffer. If there is none, it first sends a fragment.
func (w *messageWriter) room() ([]byte, error) {
	if err := w.ensureBuffer(); err != nil {
		return nil, err
	}
	end := int(w.size)
	if w.opcode.isControl() {
		end = maxControlPayload + 1 // the last byte is for a message that is too long
	}
	if w.n == end {
		if w.opcode.isControl() {
			return nil, w.end(errInvalidControlFrame)
		}
		if err := w.flush(false); err != nil {
			return nil, err
		}
	}
	return w.buf.b[w.n:end], nil
}

// ensureBuffer acquires the buffer on first use. It returns an error if the writer is closed or has failed.
func (w *messageWriter) ensureBuffer() error {
	if w.err == nil && w.buf == nil {
		w.borrow(w.c.writeBufferSize())
	}
	return w.err
}

// borrow acquires a buffer for fragments of up to size bytes, headers included.
func (w *messageWriter) borrow(size int) {
	w.buf = acquireBuffer(size)
	w.n, w.size = 0, int32(size-maxHeaderSize)
}

// flush sends the contents of the buffer as a fragment.
func (w *messageWriter) flush(fin bool) error {
	n := w.n
	w.n = 0
	return w.send(w.buf.b[:n], fin)
}

// send sends p as a fragment.
func (w *messageWriter) send(p []byte, fin bool) error {
	l := until(w.c.loadWriteDeadline())
	switch {
	case w.opcode.isControl():
		if err := w.c.send.write(&frame{fin: fin, opcode: w.opcode, payload: p}, modeFrame, &l); err != nil {
			return w.end(err)
		}
		return nil
	case !w.deflates(len(p), fin):
		return w.sent(w.c.writeData(&frame{fin: fin, opcode: w.opcode, payload: p}, modeFrame, &l))
	case fin && w.deflater == nil:
		return w.sent(w.c.deflateAndWrite(&frame{fin: true, opcode: w.opcode, payload: p}, modeFrame, &l))
	}
	return w.deflate(p, fin, &l)
}

// deflates reports whether a fragment with length bytes of payload is compressed. The first
// fragment decides that for the whole message.
func (w *messageWriter) deflates(length int, fin bool) bool {
	if w.opcode.isControl() || w.opcode == opContinuation || w.deflater != nil {
		return w.deflater != nil
	}
	if fin {
		return w.c.compresses(length)
	}
	return w.c.compresses(max(length, w.c.writeBufferSize()))
}

// deflate compresses p as a part of the message, and sends the result as a fragment.
func (w *messageWriter) deflate(p []byte, fin bool, l *limit) error {
	buf := acquireBuffer(len(p))
	defer releaseBuffer(buf)
	d := w.deflater
	if d == nil {
		d = w.c.compression.acquire()
		w.deflater = d
	}
	out := d.part(buf.b[:0], p)
	if fin {
		out = d.end(out)
	}
	if len(out) == 0 && !fin {
		return nil
	}
	f := frame{fin: fin, rsv1: w.opcode != opContinuation, opcode: w.opcode, payload: out}
	return w.sent(w.c.writeData(&f, modeFrame, l))
}

// sent handles the result of sending a fragment of a data message.
func (w *messageWriter) sent(err error) error {
	if err != nil {
		return w.end(w.c.withinMessage(w.opcode, err))
	}
	w.opcode = opContinuation
	return nil
}

// Close sends the last fragment.
func (w *messageWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.ensureBuffer(); err != nil {
		return err
	}
	if w.opcode.isControl() && w.n > maxControlPayload {
		return w.end(errInvalidControlFrame)
	}
	if err := w.flush(true); err != nil {
		return err
	}
	w.end(errWriteClosed)
	return nil
}

// abandon ends the writer without sending anything, unless a call of it is in progress:
// that call will find the connection closed.
func (w *messageWriter) abandon(err error) {
	if w.mu.TryLock() {
		defer w.mu.Unlock()
		if w.err == nil {
			w.end(err)
		}
	}
}

// end makes err the writer's error, and releases its buffer, its deflater and the message.
func (w *messageWriter) end(err error) error {
	w.err = err
	if w.buf != nil {
		releaseBuffer(w.buf)
		w.buf = nil
	}
	if !w.opcode.isControl() {
		if w.deflater != nil {
			w.c.compression.release(w.deflater, err == errWriteClosed)
			w.deflater = nil
		}
		w.c.endMessage()
	}
	return err
}

// writeData sends a frame of a data message, or several if its payload is larger than maxFrame. The mode is
// modeData for a whole message, and modeFrame for a part of a message that beginMessage has begun.
func (c *Conn) writeData(f *frame, mode lockMode, l *limit) error {
	if len(f.payload) > c.maxFrame {
		return c.writeFragments(f, mode, l)
	}
	return c.send.write(f, mode, l)
}

// writeFragments is writeData for a payload that is larger than maxFrame.
func (c *Conn) writeFragments(f *frame, mode lockMode, l *limit) error {
	if mode == modeData {
		if err := c.beginMessage(l); err != nil {
			return err
		}
		defer c.endMessage()
	}
	part := frame{opcode: f.opcode, rsv1: f.rsv1}
	for rest := f.payload; ; {
		n := min(len(rest), c.maxFrame)
		part.payload, rest = rest[:n], rest[n:]
		part.fin = f.fin && len(rest) == 0
		if err := c.send.write(&part, modeFrame, l); err != nil {
			return c.withinMessage(part.opcode, err)
		}
		if len(rest) == 0 {
			return nil
		}
		part.opcode, part.rsv1 = opContinuation, false
	}
}

// withinMessage returns the error for err, the result of writing a fragment with the opcode. If it is not
// the first fragment, the connection fails: the peer has received the start of a message that will not end.
func (c *Conn) withinMessage(op opcode, err error) error {
	if op == opContinuation && c.send.lock.err() == nil {
		if err == errWriteTimeout {
			err = errMessageTimeout
		} else {
			err = fmt.Errorf("websocket: write interrupted within a message: %w", err)
		}
		c.send.end(err, nil)
	}
	return err
}
