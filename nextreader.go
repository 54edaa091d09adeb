package websocket

import "io"

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
	if err = c.nextMessage(); err != nil {
		messageType = noMessage
	} else {
		messageType, r = int(c.messageType), c.newReader()
	}
	c.endRead()
	return messageType, r, err
}

// readers are made several at once: each message has one of its own, lest one that a
// program has kept reads from the next message.
type readers struct {
	made int32
	open bool // the last one that was made has the current message
	of   [15]messageReader
}

// newReader returns the reader of the current message.
func (c *Conn) newReader() *messageReader {
	rs := c.readers
	if rs == nil || int(rs.made) == len(rs.of) {
		rs = new(readers)
		c.readers = rs
	}
	r := &rs.of[rs.made]
	r.c = c
	rs.made++
	rs.open = true
	return r
}

// current returns the reader that has the current message, or nil.
func (rs *readers) current() *messageReader {
	if rs == nil || !rs.open {
		return nil
	}
	return &rs.of[rs.made-1]
}

// end takes the current message away from its reader, if it has one.
func (rs *readers) end() {
	if rs != nil {
		rs.open = false
	}
}

// messageReader reads the current message as long as it is the current one of readers.
type messageReader struct{ c *Conn }

func (r *messageReader) Read(p []byte) (n int, err error) {
	c := r.c
	if err := c.takeTurn(); err != nil {
		return 0, err
	}
	n, err = c.readMessage(r, p)
	c.endRead()
	return n, err
}

// readMessage reads from the current message, if r is its reader.
func (c *Conn) readMessage(r *messageReader, p []byte) (n int, err error) {
	if c.readers.current() != r {
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
			c.readers.end()
		}
		return n, err
	}
	if had := c.interrupted.had(); had != nil {
		n = copy(p, had)
		if c.interrupted.partial = had[n:]; n == len(had) {
			c.interrupted.drop()
		}
		return n, nil
	}
	for c.recv.open {
		if n, err = c.readSome(p); n > 0 || err != nil {
			if !c.recv.open {
				c.setMoreInput()
			}
			return n, err
		}
	}
	c.readers.end()
	c.setMoreInput()
	return 0, io.EOF
}
