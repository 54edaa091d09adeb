package websocket

import "context"

// CloseRead is for a program that sends and expects no messages: it reads in a goroutine until the reading
// ends, so that pings are answered and the end of the connection is seen. Then the context that it returns
// is cancelled. A message of the peer fails the connection with ClosePolicyViolation. Call it once, and
// nothing else that reads.
//
// The reading also ends with ctx, without harm to the connection; nobody answers pings then.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	ended, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		c.readNothing(ctx)
	}()
	return ended
}

// readNothing reads until the reading has ended or the context ends.
func (c *Conn) readNothing(ctx context.Context) {
	for ctx.Err() == nil && c.readLock.phase() < phaseClosed {
		if c.beginReadContext(ctx) != nil {
			return
		}
		err := c.nextMessage()
		if err == nil {
			err = c.fail(&protocolError{ClosePolicyViolation, "a message came after CloseRead"})
		}
		c.endReadContext(ctx, err)
	}
}
