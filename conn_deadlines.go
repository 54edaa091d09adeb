package websocket

import (
	"sync"
	"time"
)

// deadlines are those that the program has set. A connection has them when it sets one
// first.
type deadlines struct {
	mu       sync.Mutex
	write    time.Time
	read     time.Time
	override *time.Time // that the transport has for reading instead for a while, or nil
}

// ownDeadlines returns c.deadlines, allocating it on first use.
func (c *Conn) ownDeadlines() *deadlines { return own(&c.deadlines) }

// SetReadDeadline makes reads return a timeout from the time t on, also the one
// that is waiting; a zero t means never. A timeout loses nothing: after a new
// deadline is set, reading goes on where it was. The error is that of the transport, which may
// have no deadlines. Any goroutine may call it at any time.
func (c *Conn) SetReadDeadline(t time.Time) error {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read = t
	if d.override != nil {
		return nil // it comes into force when that is over
	}
	return c.send.link.SetReadDeadline(t)
}

// overrideReadDeadline gives the transport a read deadline that is not the program's.
func (c *Conn) overrideReadDeadline(t time.Time) error {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.override = &t
	return c.send.link.SetReadDeadline(t)
}

// interruptRead makes a read that waits return a timeout.
func (c *Conn) interruptRead() error { return c.overrideReadDeadline(aLongTimeAgo) }

// interruptShutdown is interruptRead for a read of Shutdown, if there is one. It is not too late then:
// Shutdown restores the deadline after it has cleared draining.
func (c *Conn) interruptShutdown() {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.readLock.has(draining) && c.readLock.phase() < phaseClosed {
		d.override = &aLongTimeAgo
		c.send.link.SetReadDeadline(aLongTimeAgo)
	}
}

// restoreReadDeadline gives the transport the program's read deadline again.
func (c *Conn) restoreReadDeadline() {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.override = nil
	c.send.link.SetReadDeadline(d.read)
}

// inForce returns the read deadline that the transport has.
func (d *deadlines) inForce() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.override != nil {
		return *d.override
	}
	return d.read
}

// SetWriteDeadline bounds the writes that begin after it, except for WriteControl's,
// which has a deadline of its own; a zero t means no bound. After a write that timed
// out within a frame every write returns its error. If the transport has no deadlines, SetWriteDeadline
// returns the transport's error, and a write that is still waiting at the time t closes the connection.
// Any goroutine may call it at any time.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	d := c.ownDeadlines()
	d.mu.Lock()
	d.write = t
	d.mu.Unlock()
	if l := c.send.link; l.noDeadlines {
		return l.SetWriteDeadline(t) // and say why
	}
	return nil
}

func (c *Conn) loadWriteDeadline() time.Time {
	d := c.deadlines.Load()
	if d == nil {
		return time.Time{}
	}
	d.mu.Lock()
	t := d.write
	d.mu.Unlock()
	return t
}
