package websocket

import (
	"net"
	"time"
)

// phase says how far one direction of a connection has come. Each ends on its own: after a Close
// frame was sent, what the peer still sends is read, and after a write has failed, what it had sent
// before. A phase is followed by later ones only.
type phase uint8

const (
	// phaseOpen: frames are read, or written.
	phaseOpen phase = iota

	// phaseDiscarded: Shutdown has discarded a message. It goes on reading; the program does not.
	phaseDiscarded

	// phaseClosed: a Close frame has come, or is in the outbox or has left. It is the last frame of
	// its direction (RFC 6455, 5.5.1). When both are closed, so is the connection, and cleanly (7.1.4).
	phaseClosed

	// phaseFailed: an error has ended the direction without a Close frame (7.1.7), or Close has.
	phaseFailed
)

// ending is how a direction has ended.
type ending struct {
	phase phase
	err   error // of every later call
	lost  error // why frames that were reported as written have not left, or nil
}

// end moves the direction of the lock to a later phase, in which calls return err, also those that
// wait for the lock. If it is closed or has failed already, all that can be new is that frames are
// lost.
func (k *lock) end(p phase, err, lost error) {
	for {
		old, e := k.ending.Load(), ending{p, err, lost}
		if old != nil && old.phase >= phaseClosed {
			e.phase, e.err = old.phase, old.err
			if old.lost != nil {
				e.lost = old.lost
			}
		}
		if k.ending.CompareAndSwap(old, &e) {
			break
		}
	}
	k.state.Or(ended)
	k.wakeYielders()
}

// replaceErr gives a direction that has ended another error.
func (k *lock) replaceErr(err error) {
	for {
		old := k.ending.Load()
		e := *old
		e.err = err
		if k.ending.CompareAndSwap(old, &e) {
			return
		}
	}
}

// phase returns how far the direction has come.
func (k *lock) phase() phase {
	if e := k.ending.Load(); e != nil {
		return e.phase
	}
	return phaseOpen
}

// err returns the error of all calls from now on, or nil.
func (k *lock) err() error {
	if e := k.ending.Load(); e != nil {
		return e.err
	}
	return nil
}

// lost returns the error because of which frames that were reported as written have not left,
// or nil.
func (k *lock) lost() error {
	if e := k.ending.Load(); e != nil {
		return e.lost
	}
	return nil
}

// fail ends the reading because of err, and returns the error of all reads from now on. Where err
// is our verdict that the peer has broken a rule, the peer is sent it in a Close frame. A deadline that
// has passed ends nothing: whether a read can be repeated is what the lock says after it.
func (c *Conn) fail(err error) error {
	if isTimeout(err) {
		if c.readLock.phase() >= phaseClosed { // Close has interrupted it
			return c.readLock.err()
		}
		return err
	}
	if code, reason := closeCodeFor(err); code != 0 {
		c.reply(opClose, FormatCloseMessage(code, reason))
	}
	return c.stop(phaseFailed, readError(err))
}

// stop ends the reading because of err, and returns the error of all reads from now on.
func (c *Conn) stop(p phase, err error) error {
	c.readLock.end(p, err, nil)
	err = c.readLock.err()
	c.send.link.end()
	if c.keepalive != nil {
		c.keepalive.stop()
	}
	if x := c.extras.Load(); x != nil {
		x.pings.fail(err) // nobody sees their pongs
	}
	return err
}

// Close closes the network connection. It sends no Close frame: to close the WebSocket connection in an
// orderly way, use Shutdown. Any goroutine may call it. Reads and writes that are blocked, and all later
// ones, return an error that is net.ErrClosed for errors.Is, unless they had another one before.
//
// It waits for nothing, except that frames that no call waits for any more, corked ones, answers to pings,
// Close frames, and those of a stream, have a second to leave.
//
// If a Close frame was sent and the peer's has not come, closing the network connection could reset it, and
// so destroy the frame before the peer has read it. Then only the outgoing direction is ended at once, and
// the rest in the background: when the peer has ended its own, and at the latest after a second. Up to 256
// KiB of what it still sends are read meanwhile, and discarded.
func (c *Conn) Close() error {
	l := until(time.Now().Add(closeTimeout))
	return c.closeWithin(&l)
}

// closeWithin is Close that has until the limit to send what nobody waits for.
func (c *Conn) closeWithin(limit *limit) error {
	s, l := &c.send, c.send.link
	closed := c.readLock.phase() == phaseClosed
	c.stop(phaseFailed, l.opError("read", net.ErrClosed))
	if c.readLock.has(locked) && !l.closing.Load() { // else closeLater reads
		c.interruptRead()
	}
	if s.hasUnsent() {
		if s.lock.phase() == phaseOpen {
			s.lock.end(phaseClosed, l.opError("write", net.ErrClosed), nil)
		}
		if s.drain(limit) == errWriteTimeout {
			return c.close(l.abort)
		}
	}
	switch {
	case s.lock.phase() == phaseFailed:
		return c.close(l.abort)
	case s.sentClose() && !closed && l.canCloseWrite():
		return c.close(c.closeLater)
	}
	return c.close(l.Close)
}

// closeLater ends the outgoing direction of the transport, and closes it when the peer has ended its own,
// or closeTimeout has passed.
func (c *Conn) closeLater() error {
	l := c.send.link
	if l.closing.Swap(true) {
		return l.opError("close", net.ErrClosed)
	}
	go func() {
		defer l.Close()
		defer time.AfterFunc(closeTimeout, func() { l.abort() }).Stop()
		l.closeWrite()
		limit := until(time.Now().Add(closeTimeout))
		if _, err := c.readLock.acquire(lockDrain, nil, &limit); err != nil {
			return // a handler of the program is at work
		}
		defer c.endRead()
		c.overrideReadDeadline(time.Time{})
		if !l.discard(maxDiscarded) {
			time.Sleep(time.Until(limit.deadline)) // the peer has that time to read the Close frame
		}
	}()
	return nil
}

// maxDiscarded is how much of what the peer still sends is read while the connection is being closed.
const maxDiscarded = 256 << 10

// abort is Close that waits for nothing.
func (c *Conn) abort() { c.close(c.send.link.abort) }

// close ends both directions, and closes the transport by the function.
func (c *Conn) close(closeLink func() error) error {
	l := c.send.link
	c.stop(phaseFailed, l.opError("read", net.ErrClosed))
	c.send.lock.end(phaseFailed, l.opError("write", net.ErrClosed), nil)
	err := closeLink()
	if w := c.writer.Load(); w != nil {
		w.abandon(net.ErrClosed)
	}
	c.giveBack()
	c.send.forgetContext()
	if c.group != nil {
		c.group.remove(c)
	}
	return err
}

// giveBack gives back what has been borrowed for a direction that has ended. A call that is at work
// there does it when it ends.
func (c *Conn) giveBack() {
	if c.readLock.phase() >= phaseClosed && c.readLock.tryAcquire(lockDrain) {
		if c.readWatch != nil {
			c.readWatch.forget()
		}
		c.message.drop()
		c.dropInflater()
		c.recv.b = nil
		c.recv.shrink()
		c.readLock.release(false)
	}
	s := &c.send
	if s.lock.phase() == phaseOpen {
		return
	}
	if c.compression != nil && s.lock.tryAcquire(lockMessage) {
		c.compression.drop()
		s.lock.endMessage()
	}
}
