package websocket

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// claimTime is how long a message received during Shutdown waits for the program to
	// read it.
	claimTime = time.Second

	// lingerTime is how long Shutdown waits for the peer to end the network connection.
	lingerTime = 3 * time.Second
)

// Shutdown closes the connection in an orderly way (RFC 6455, 7): it sends a Close
// frame with the code and the reason, waits for the peer's, and closes the network
// connection, so that everything that either side sent before its Close frame is
// received. CloseNoStatusReceived sends an empty frame. A reason of more than 123 bytes
// is truncated, and bytes in it that are not UTF-8 are replaced by U+FFFD. Writes that have
// not begun when Shutdown is called, or that wait for other writes, return ErrCloseSent, and
// so does a write within a message of several fragments.
//
// Further messages are for the goroutine that reads, which gets the *CloseError in the end.
// If the program does not read a message within a second, Shutdown discards it and all
// later ones, and from then on reads return an error that wraps net.ErrClosed.
//
// While no read of the program is in progress, Shutdown reads, even before its Close frame
// was sent, since the peer may be waiting for that. It does not call the program's handlers:
// code that must see the end belongs after the loop that reads.
//
// The context bounds all of this, and should have a deadline: a peer may never answer.
// The connection is closed when Shutdown returns. The result is nil if a Close frame was
// sent and the peer's was received; else it is the context's error with its cause, or the
// error that has ended the connection. If the code must not be sent, the peer is sent
// CloseInternalServerErr, and the error says so.
//
// Any goroutine may call Shutdown, several at the same time, and even the one that reads,
// but not a ping or pong handler, which would wait for itself.
func (c *Conn) Shutdown(ctx context.Context, code int, reason string) error {
	payload, badCode := closePayload(code, reason)
	err := c.shutdown(ctx, payload)
	if badCode != nil {
		return badCode
	}
	return err
}

// shutdown is Shutdown with the payload of the Close frame.
func (c *Conn) shutdown(ctx context.Context, payload []byte) error {
	shutdowns := &c.ownExtras().shutdowns
	shutdowns.Add(1)
	defer shutdowns.Add(-1)
	l := limit{ctx: ctx}
	err := l.ended()
	if err == nil {
		stop := context.AfterFunc(ctx, c.abort) // ends every wait, even of a transport without deadlines
		c.reply(opClose, payload)               // without effect if a Close frame was sent before
		err = c.finishClosing(&l)
		stop()
	}
	closed := c.readLock.phase() == phaseClosed && c.send.lock.phase() == phaseClosed
	if closed && !c.send.hasUnsent() && c.send.lock.lost() == nil {
		c.Close()
		return nil // the closing handshake is complete, whatever err is
	}
	if ctx.Err() == nil {
		c.close(c.send.link.Close) // finishClosing has given the peer time to read
		return err
	}
	if c.abort(); errors.Is(err, net.ErrClosed) {
		err = contextError(ctx)
	}
	return err
}

// shuttingDown reports whether a call of Shutdown is in progress.
func (c *Conn) shuttingDown() bool {
	x := c.extras.Load()
	return x != nil && x.shutdowns.Load() > 0
}

// closePayload returns the payload of a Close frame with the code and as much of the reason as fits. If the
// code must not be sent, the frame has CloseInternalServerErr, and err says so.
func closePayload(code int, reason string) (payload []byte, err error) {
	if code != CloseNoStatusReceived && !validCloseCode(code) {
		err = fmt.Errorf("websocket: close code %d must not be sent", code)
		code = CloseInternalServerErr
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) > maxCloseReason {
		n := maxCloseReason
		for !utf8.RuneStart(reason[n]) {
			n--
		}
		reason = reason[:n]
	}
	return FormatCloseMessage(code, reason), err
}

// errDiscarded is the error of the program's reads after Shutdown has discarded a message.
var errDiscarded = fmt.Errorf("websocket: Shutdown has discarded messages: %w", net.ErrClosed)

// finishClosing waits until the Close frame was sent and the peer's was received. It reads even before the
// frame was sent, since the peer may be waiting for that.
func (c *Conn) finishClosing(l *limit) error {
	sent := make(chan error, 1)
	go func() {
		err := c.send.drain(l)
		if err != nil {
			c.abort() // there will be no answer
		}
		sent <- err
	}()
	err := c.awaitClose(l)
	if err := <-sent; err != nil {
		return err
	}
	c.linger(l)
	return err
}

// awaitClose reads until the reading has ended, and returns its error.
func (c *Conn) awaitClose(l *limit) error {
	if c.readLock.phase() >= phaseClosed {
		return c.readLock.err()
	}
	if _, err := c.readLock.acquire(modeDrain, nil, l); err != nil {
		return err
	}
	for c.readLock.phase() < phaseClosed {
		var woken bool
		err := l.ended()
		switch {
		case err != nil:
			c.unlockRead()
		case c.messageWaits():
			woken, err = c.readLock.yield(modeDrain, func() bool { return true }, time.Now().Add(claimTime), l)
			if !woken && err == nil && l.ended() == nil && c.messageWaits() { // else another Shutdown has read
				// The program must not read messages after a gap.
				c.readLock.end(phaseDiscarded, errDiscarded, errDiscarded)
			}
		case c.readersWait():
			_, err = c.readLock.yield(modeDrain, c.readersWait, time.Time{}, l)
		default:
			c.readForShutdown()
		}
		if err != nil {
			return err
		}
	}
	c.unlockRead()
	return c.readLock.err()
}

// readersWait reports whether reads of the program wait for the read lock, or are about to.
func (c *Conn) readersWait() bool { return c.extras.Load().readers.Load() > 0 }

// messageWaits reports whether a message, or the rest of one, waits for the program.
func (c *Conn) messageWaits() bool {
	return c.readLock.phase() == phaseOpen && c.message.state == messageBegun
}

// readForShutdown reads frames up to the next message, unless the program reads.
func (c *Conn) readForShutdown() {
	c.reading(true)
	c.readLock.state.Or(stateShutdownReads) // before readersWait looks: see extras.readers
	c.overrideReadDeadline(time.Time{})
	if !c.readersWait() {
		if c.message.state == messageBegun {
			c.discardMessage()
		}
		var err error
		if c.message.state == messageDiscarded {
			err = c.skip()
		} else {
			err = c.advance()
		}
		if err != nil && c.ownDeadlines().inForce().IsZero() {
			// The next read would time out, too.
			c.stopReading(phaseFailed, finalError("a read has timed out without a deadline", err))
		}
	}
	c.readLock.clear(stateShutdownReads)
	c.restoreReadDeadline()
	c.reading(false)
	c.recv.shrink()
}

// linger waits for the end of the network connection if closing it now could reset it, and
// so destroy data that the peer has not read yet: after a closing handshake "the server
// [...] closes the TCP connection first" (RFC 6455, 7.1.1), and a peer that broke the protocol
// may still be sending. The reading has ended, so no read of the program is in progress.
func (c *Conn) linger(l *limit) {
	if !c.readLock.tryAcquire(modeDrain) {
		// Another Shutdown lingers, or a handler of the program is running, which may wait for this Shutdown.
		if c.readLock.has(stateShutdownReads) {
			if _, err := c.readLock.acquire(modeDrain, nil, l); err == nil {
				c.unlockRead()
			}
		}
		return
	}
	c.readLock.state.Or(stateShutdownReads)
	defer c.unlockRead()
	defer c.readLock.clear(stateShutdownReads)
	switch code, _ := closeCodeFor(c.readLock.err()); {
	case code != 0:
		c.send.link.closeWrite()
	case c.readLock.phase() == phaseClosed && !c.recv.server:
	default:
		return
	}
	c.overrideReadDeadline(time.Now().Add(lingerTime))
	c.send.link.discard(math.MaxInt)
}

// CloseRead is for a program that only sends and expects no messages. It reads in a goroutine, so that pings are
// answered and the end of the connection is noticed, and returns a context that is cancelled when the reading ends.
// A message of the peer fails the connection with ClosePolicyViolation. A program calls CloseRead once, and no other
// method that reads.
//
// The reading also ends with ctx and at the read deadline. The connection can then still be used, but pings are no
// longer answered.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	ended, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		c.readNothing(ctx)
	}()
	return ended
}

// readNothing reads until the reading or the context has ended, or until the read deadline.
func (c *Conn) readNothing(ctx context.Context) {
	for c.readLock.phase() < phaseClosed {
		if c.beginReadContext(ctx) != nil { // the context has ended, or the reading
			return
		}
		err := c.nextMessage()
		if err == nil {
			err = c.failReading(&protocolError{ClosePolicyViolation, "a message came after CloseRead"})
		}
		if isTimeout(c.endReadContext(ctx, err)) {
			return
		}
	}
}
