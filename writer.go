package websocket

import (
	"context"
	"io"
	"sync"
	"time"
)

// Message types (RFC 6455, 5.2 and 11.8).
const (
	// TextMessage is a data message of UTF-8 text.
	TextMessage = 1

	// BinaryMessage is a data message of bytes.
	BinaryMessage = 2

	// CloseMessage is a control message that closes the connection. Its payload is
	// empty or made by FormatCloseMessage.
	CloseMessage = 8

	// PingMessage is a control message that the peer answers with a pong of the same payload.
	PingMessage = 9

	// PongMessage is a control message, solicited by a ping or not.
	PongMessage = 10
)

// WriteMessage sends a message of one frame. It returns when the network
// connection has taken all of it, which the write deadline bounds. Any number of
// goroutines may call it; it waits for its turn behind other messages and behind a
// writer from NextWriter that is open. Data is not changed and not kept.
//
// Where the peer has sent several messages at once, the answers leave at once, too: a
// message of up to 16 KiB that is written while further ones that have come completely
// are still to be read is only put aside, in a copy. It is sent, with the others, before
// a read waits for the network, with the next message that is not put aside, by Flush,
// Shutdown and Close, or after 200 microseconds. An error of that is returned by the
// next write and the next read. WriteThrough of Upgrader and Dialer prevents it; with a
// context that can be cancelled WriteMessageContext puts nothing aside.
//
// The text of a TextMessage must be UTF-8; that is not checked. The types of
// control messages are sent as by WriteControl.
//
// After an error that came from the network, every write returns this error. After
// "websocket: write timeout", which is a net.Error, nothing of the message was sent
// and the connection is as good as before.
func (c *Conn) WriteMessage(messageType int, data []byte) error {
	deadline := c.loadWriteDeadline()
	if isData(messageType) && c.compression == nil {
		if done, err := c.send.writePlain(opcode(messageType), data, wantData, deadline); done {
			return err
		}
	}
	b := until(deadline)
	return c.writeMessage(messageType, data, &b)
}

// WriteMessageContext is WriteMessage that the context can end, too. The error then
// has the context's error and its cause. Where it was cancelled while the call waited
// for its turn, or before the network has taken any of the message, nothing has
// happened, and the connection is as good as before. Within the message the
// connection has failed, the error says so, and every later write returns it. What a
// network connection other than TCP's or a Unix socket's has taken cannot be known:
// there a write that has begun is within the message.
func (c *Conn) WriteMessageContext(ctx context.Context, messageType int, data []byte) error {
	return c.writeMessage(messageType, data, &bound{deadline: c.loadWriteDeadline(), ctx: ctx})
}

func (c *Conn) writeMessage(messageType int, data []byte, b *bound) error {
	if isControl(messageType) {
		return c.writeControl(messageType, data, b)
	}
	if !isData(messageType) {
		return errBadMessageType
	}
	if err := c.send.failed(); err != nil {
		return err // rather than wait behind a writer that nobody will close
	}
	if c.compresses(len(data)) {
		return c.writeCompressed(opcode(messageType), data, b)
	}
	f := frame{fin: true, opcode: opcode(messageType), payload: data}
	return c.send.write(&f, wantData, b)
}

// freeWriters ends a message writer that is open where no frame can be sent any
// more, so that nobody waits for it in vain.
func (c *Conn) freeWriters() {
	if w := c.writer.Load(); w != nil {
		if err := c.send.failed(); err != nil {
			w.abandon(err)
		}
	}
}

// beginMessage waits for the turn of data messages, for one that takes several frames or
// steps.
func (c *Conn) beginMessage(b *bound) error {
	if err := c.send.failed(); err != nil {
		return err
	}
	return c.send.take(wantOpen, b)
}

// endMessage ends the turn.
func (c *Conn) endMessage() {
	c.send.wire.giveBack(wantOpen)
	if c.send.flags.has(closed) {
		c.dropDeflater()
	}
}

// WriteControl sends a control message: CloseMessage, PingMessage or PongMessage,
// with at most 125 bytes of payload. Any number of goroutines may call it at any
// time, also while a message is being written: a control message passes between
// the frames of a message, but not within one.
//
// The deadline bounds the call; a zero deadline does not. Where it passes before
// anything was sent, the error is "websocket: write timeout", a net.Error, and the
// connection is as good as before.
//
// After a CloseMessage every write returns ErrCloseSent. Go on reading until a read
// returns the peer's answer as a *CloseError, then Close.
func (c *Conn) WriteControl(messageType int, data []byte, deadline time.Time) error {
	if !isControl(messageType) {
		return errBadMessageType
	}
	if len(data) > maxControlPayload {
		return errInvalidControlFrame
	}
	if !deadline.IsZero() && !deadline.After(time.Now()) {
		return errWriteTimeout
	}
	b := until(deadline)
	return c.writeControl(messageType, data, &b)
}

func (c *Conn) writeControl(messageType int, data []byte, b *bound) error {
	if len(data) > maxControlPayload {
		return errInvalidControlFrame
	}
	done, err := false, error(nil)
	if messageType != CloseMessage && b.ctx == nil {
		done, err = c.send.writePlain(opcode(messageType), data, wantWire, b.deadline)
	}
	if !done {
		f := frame{fin: true, opcode: opcode(messageType), payload: data}
		err = c.send.write(&f, wantWire, b)
	}
	c.freeWriters()
	return err
}

// NextWriter returns a writer for a message that is sent in fragments as it is
// written, each as large as the WriteBufferSize of the Upgrader or Dialer, or
// larger. Close sends the rest and ends the message. The writer has the methods
// WriteString and ReadFrom, too.
//
// The writer has the connection's turn until it is closed: WriteMessage waits for
// it in other goroutines; control messages do not. One goroutine at a time may use
// NextWriter and its writers. NextWriter first closes a writer that was left open.
func (c *Conn) NextWriter(messageType int) (io.WriteCloser, error) {
	if !isData(messageType) && !isControl(messageType) {
		return nil, errBadMessageType
	}
	if w := c.writer.Load(); w != nil {
		w.Close() // its error, if any, is the connection's
	}
	if err := c.send.failed(); err != nil {
		return nil, err
	}
	control := isControl(messageType)
	if !control {
		b := until(c.loadWriteDeadline())
		if err := c.beginMessage(&b); err != nil {
			return nil, err
		}
	}
	w := c.newWriter()
	w.opcode, w.control = opcode(messageType), control
	c.writer.Store(w)
	return w, nil
}

// writeBufferSize is the size of the fragments of a message writer, with their headers.
func (c *Conn) writeBufferSize() int { return minBufferSize << c.writeClass }

// newWriter returns a writer. They are made several at once: each message has one of its own,
// lest one that a program has kept writes into another message.
func (c *Conn) newWriter() *messageWriter {
	if last := c.writer.Load(); last != nil && last.next != nil {
		return last.next
	}
	made := new([4]messageWriter)
	for i := range made {
		made[i].c = c
		if i > 0 {
			made[i-1].next = &made[i]
		}
	}
	return &made[0]
}

// messageWriter is a message that is being written. One of a data message has the turn
// of data messages until it is closed or has failed.
type messageWriter struct {
	c       *Conn
	next    *messageWriter // the one that was made with it, and has not been used
	control bool

	mu     sync.Mutex // NextWriter or Conn.Close may end it behind its owner's back
	opcode opcode     // of the next fragment
	buf    *buffer    // room for a header, then what is to be sent; nil before the first write
	n      int        // the end of that
	size   int32      // how much of buf is used
	err    error      // errWriteClosed, or why it failed

	deflater *deflater // nil where the message is not compressed, or nothing was yet
}

func (w *messageWriter) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// What would fill the buffer several times is a fragment of its own and not copied.
	if len(p) >= 2*w.c.writeBufferSize() && !w.control && w.err == nil {
		if w.n > maxHeaderSize {
			if err := w.flush(false); err != nil {
				return 0, err
			}
		}
		if err := w.send(p, nil, false); err != nil {
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

// fillBuffer puts p into the buffer, and sends it as a fragment each time that it is
// full and there is more.
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

// ReadFrom writes what r returns until its end.
func (w *messageWriter) ReadFrom(r io.Reader) (n int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf == nil && w.err == nil && !w.control { // who copies wants few fragments
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

// room returns the space in the buffer, having sent a fragment where there was none.
func (w *messageWriter) room() ([]byte, error) {
	if err := w.open(); err != nil {
		return nil, err
	}
	end := int(w.size)
	if w.control {
		end = maxHeaderSize + maxControlPayload + 1 // one more shows that it is too long
	}
	if w.n == end {
		if w.control {
			return nil, w.end(errInvalidControlFrame)
		}
		if err := w.flush(false); err != nil {
			return nil, err
		}
	}
	return w.buf.b[w.n:end], nil
}

// open has the buffer borrowed, unless the writer is closed.
func (w *messageWriter) open() error {
	if w.err == nil && w.buf == nil {
		w.borrow(w.c.writeBufferSize())
	}
	return w.err
}

// borrow has a buffer, of which fragments take up to size bytes.
func (w *messageWriter) borrow(size int) {
	w.buf = acquireBuffer(size)
	w.n, w.size = maxHeaderSize, int32(size)
}

// flush sends what is in the buffer as a fragment.
func (w *messageWriter) flush(fin bool) error {
	n := w.n
	w.n = maxHeaderSize
	return w.send(w.buf.b[maxHeaderSize:n], w.buf.b[:n], fin)
}

// send sends p as a fragment, in its space if that is not nil.
func (w *messageWriter) send(p, space []byte, fin bool) error {
	b := until(w.c.loadWriteDeadline())
	switch {
	case !w.deflates(len(p), fin):
		f := frame{fin: fin, opcode: w.opcode, payload: p, bytes: space, inPlace: space != nil}
		return w.sent(w.c.send.write(&f, wantWire, &b))
	case fin && w.deflater == nil:
		return w.sent(w.c.deflateAndWrite(w.opcode, p, wantWire, &b))
	}
	return w.deflate(p, fin, &b)
}

// deflates reports whether p, of length bytes, is to be compressed, as all of the
// message is or nothing.
func (w *messageWriter) deflates(length int, fin bool) bool {
	if w.control || w.opcode == opContinuation || w.deflater != nil {
		return w.deflater != nil
	}
	if fin {
		return w.c.compresses(length)
	}
	return w.c.compresses(max(length, w.c.writeBufferSize()))
}

// deflate compresses p as a part of the message, and sends what comes of it as a fragment.
func (w *messageWriter) deflate(p []byte, fin bool, b *bound) error {
	buf := acquireBuffer(maxHeaderSize + len(p))
	defer releaseBuffer(buf)
	d := w.deflater
	if d == nil {
		d = w.c.compression.acquire()
		w.deflater = d
	}
	d.begin(buf.b[:maxHeaderSize], 0, 0)
	d.write(p) // it has room for all
	if fin {
		d.end()
	}
	out := d.out
	d.out = nil
	if len(out) == maxHeaderSize && !fin {
		return nil
	}
	f := frame{fin: fin, rsv1: w.opcode != opContinuation, opcode: w.opcode,
		payload: out[maxHeaderSize:],
		bytes:   out, inPlace: true,
	}
	return w.sent(w.c.send.write(&f, wantWire, b))
}

// sent takes note of how sending a fragment went.
func (w *messageWriter) sent(err error) error {
	if err != nil {
		if w.opcode == opContinuation {
			w.c.send.fail(err) // the peer has the beginning of a message that does not go on
		}
		return w.end(err)
	}
	w.opcode = opContinuation
	return nil
}

// Close sends the last fragment.
func (w *messageWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.open(); err != nil {
		return err
	}
	if w.control && w.n > maxHeaderSize+maxControlPayload {
		return w.end(errInvalidControlFrame)
	}
	if err := w.flush(true); err != nil {
		return err
	}
	w.end(errWriteClosed)
	return nil
}

// abandon ends the writer without sending anything, unless it is at work: then it
// sees for itself that the connection is closed.
func (w *messageWriter) abandon(err error) {
	if w.mu.TryLock() {
		defer w.mu.Unlock()
		if w.err == nil {
			w.end(err)
		}
	}
}

// end makes err the writer's error, and gives up all that it holds.
func (w *messageWriter) end(err error) error {
	w.err = err
	if w.buf != nil {
		releaseBuffer(w.buf)
		w.buf = nil
	}
	if !w.control {
		if w.deflater != nil {
			w.c.compression.release(w.deflater, err == errWriteClosed)
			w.deflater = nil
		}
		w.c.endMessage()
	}
	return err
}
