package websocket

import "fmt"

// writeData sends a frame of a data message, or fragments if its payload is larger than maxFrame. The mode is
// lockData for a message of its own, and lockFrame for a part of a message that beginMessage has begun.
func (c *Conn) writeData(f *frame, mode lockMode, l *limit) error {
	if len(f.payload) > c.maxFrame {
		return c.writeFragments(f, mode, l)
	}
	return c.send.write(f, mode, l)
}

// writeFragments is writeData for a payload that is larger than maxFrame.
func (c *Conn) writeFragments(f *frame, mode lockMode, l *limit) error {
	if mode == lockData {
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
		if err := c.send.write(&part, lockFrame, l); err != nil {
			return c.withinMessage(part.opcode, err)
		}
		if len(rest) == 0 {
			return nil
		}
		part.opcode, part.rsv1 = opContinuation, false
	}
}

// withinMessage returns the error of a write of a fragment with the opcode. If others have left before it,
// and this one has not, the connection fails: the peer has the beginning of a message that does not go on.
func (c *Conn) withinMessage(op opcode, err error) error {
	if op == opContinuation && c.send.lock.err() == nil {
		if err == errWriteTimeout {
			err = errMessageTimeout
		} else {
			err = fmt.Errorf("websocket: write interrupted within a message: %w", err)
		}
		c.send.lock.end(phaseFailed, err, nil)
	}
	return err
}
