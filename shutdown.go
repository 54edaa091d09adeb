package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
	"unicode/utf8"
)

const (
	// claimTime is how long a message that comes during Shutdown waits for the
	// program to read it.
	claimTime = time.Second

	// lingerTime is how long Shutdown waits for the peer to end the network connection.
	lingerTime = 3 * time.Second
)

// Shutdown closes the connection in an orderly way (RFC 6455, 7): it sends a Close
// frame with the code and the reason, waits for the peer's, and closes the network
// connection, so that nothing is lost that either side has sent before its Close
// frame. CloseNoStatusReceived sends an empty frame.
//
// Messages that still come are for the goroutine that reads, which gets the
// *CloseError in the end. Where nobody comes for a message within a second, Shutdown
// discards it and all that follow.
//
// The context bounds all of it, and should have a deadline: a peer may never answer.
// The connection is closed when Shutdown returns. The result is nil where the peer's
// Close frame has come; else it is the context's error with its cause, or the error
// that has ended the connection. Only for a code or a reason that must not be sent
// nothing happens: the error says why, and the connection is as good as before.
//
// Any goroutine may call it, several may at once, and the one that reads may,
// but not a ping or pong handler, which would wait for itself.
func (c *Conn) Shutdown(ctx context.Context, code int, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	shutdowns := &c.ownExtras().shutdowns
	shutdowns.Add(1)
	defer shutdowns.Add(-1)
	l := limit{ctx: ctx}
	err := c.writeMessage(CloseMessage, FormatCloseMessage(code, reason), &l)
	if err == ErrCloseSent {
		err = c.send.drain(&l) // the answer to the peer's may not have left
	}
	if err == nil {
		err = c.awaitClose(ctx)
	}
	if c.send.lock.has(closeReceived) && !c.send.hasUnsent() && c.send.lock.lost() == nil {
		c.Close()
		return nil // the handshake is complete, whatever came after
	}
	if ctx.Err() != nil {
		c.abort()
	} else {
		c.Close()
	}
	return err
}

// shuttingDown reports whether Shutdown is at work.
func (c *Conn) shuttingDown() bool {
	x := c.extras.Load()
	return x != nil && x.shutdowns.Load() > 0
}

// checkClose refuses what a Close frame must not carry.
func checkClose(code int, reason string) error {
	switch {
	case code == CloseNoStatusReceived && reason != "":
		return errors.New("websocket: a close reason needs a close code")
	case code != CloseNoStatusReceived && !validReceivedCloseCode(code):
		return fmt.Errorf("websocket: close code %d must not be sent", code)
	case len(reason) > maxCloseReason:
		return fmt.Errorf("websocket: close reason of %d bytes is longer than %d", len(reason), maxCloseReason)
	case !utf8.ValidString(reason):
		return errors.New("websocket: close reason is not valid UTF-8")
	}
	return nil
}

// awaitClose reads until the reading has ended, and returns its error. Then it waits
// for the peer to end the network connection, where it should.
func (c *Conn) awaitClose(ctx context.Context) error {
	l := limit{ctx: ctx}
	idle := l
	if c.send.lock.has(closeReceived) {
		idle.deadline = time.Now() // the program's close handler may be waiting for Shutdown
	}
	w := &watch{interrupt: c.interruptRead}
	defer w.forget()
	for {
		if !c.turn.takeIdle(idle) {
			if c.send.lock.has(closeReceived) {
				return nil
			}
			return l.err()
		}
		if c.recv.err == nil && c.wanted() {
			claim := limit{deadline: time.Now().Add(claimTime), ctx: ctx}
			if c.turn.giveToProgram(claim) || !c.turn.takeIdle(limit{deadline: time.Now()}) {
				continue
			}
			// Nobody comes for it. From here on the turn is not given back before the
			// end: a program that reads later gets no messages with a gap before them.
			c.discardAll()
		}
		for c.recv.err == nil && !c.wanted() {
			c.beginRead()
			c.overrideReadDeadline(time.Time{})
			interrupted := w.during(ctx, c.readForShutdown)
			c.restoreReadDeadline()
			if interrupted && c.recv.err == nil {
				c.stop(net.ErrClosed) // as it will be at once
				c.endRead()
				return l.err()
			}
		}
		if err := c.recv.err; err != nil {
			c.endRead()
			c.linger(ctx, w, err)
			return err
		}
		c.endRead()
	}
}

// discardAll gives up the current message and all that follow. A reader of the
// message gets an error, lest its program takes a part of it for the whole.
func (c *Conn) discardAll() {
	if !c.inMessage() {
		c.readers.end()
	}
	c.interrupted.drop()
	c.unclaimed = false
	c.discard, c.discarding = true, true
}

// wanted reports whether there is a message that the program may still read.
func (c *Conn) wanted() bool {
	return !c.discarding && (c.unclaimed || c.inMessage() && !c.discard)
}

// readForShutdown reads some of a message that nobody wants, or else up to the next
// message, which is then to be claimed. Its error is that of the connection.
func (c *Conn) readForShutdown() {
	if c.discard && c.inMessage() {
		c.skip()
		return
	}
	if c.discarding {
		c.advance()
		return
	}
	c.readers.end()
	c.interrupted.drop()
	c.discard = false
	c.unclaimed = c.advance() == nil
}

// linger waits for the end of the network connection, where closing it now could
// reset it and so destroy what the peer has not read yet: after a handshake "the
// server [...] closes the TCP connection first" (RFC 6455, 7.1.1), and a peer that was
// failed may still be sending. The reading has ended, so nobody else reads.
func (c *Conn) linger(ctx context.Context, w *watch, readErr error) {
	switch code, _ := closeCodeFor(readErr); {
	case code != 0:
		c.send.link.closeWrite()
	case c.send.lock.has(closeReceived) && !c.recv.server:
	default:
		return
	}
	c.overrideReadDeadline(time.Now().Add(lingerTime))
	w.during(ctx, func() {
		for discarded := make([]byte, 512); ; {
			if _, err := receive(c.send.link, discarded); err != nil {
				return
			}
		}
	})
}
