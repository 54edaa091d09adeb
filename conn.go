package websocket

import (
	"context"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultReadLimit is the largest message in bytes that is read where the
// Upgrader or Dialer says nothing else.
const DefaultReadLimit = 32 << 20

// Conn is a WebSocket connection, from Upgrader.Upgrade or Dialer.Dial.
//
// One goroutine at a time may call the methods that read: ReadMessage,
// AppendMessage, ReadMessageContext, ReadJSON, NextReader and its reader. Any number of
// goroutines may call all others at any time, except that NextWriter and its writers
// are for one at a time.
//
// A program must read, if only to discard what it reads: pings are answered, and the
// peer's Close frame is seen, by the goroutine that reads. A connection must be
// closed with Close, also after an error.
type Conn struct {
	recv recv
	send send

	compression *compression // nil where none was agreed on
	keepalive   *keepalive   // nil where it is off
	group       *Group       // the one that it belongs to, if any
	deadlines   atomic.Pointer[deadlines]
	extras      atomic.Pointer[extras]

	// Guarded by readLock, as is recv.
	readLock  lock
	message   message
	burst     burst
	readWatch *watch // nil before the first read with a context

	maxFrame int // the largest payload of a data frame that is sent

	// For NextWriter.
	writeClass uint8                         // of the buffers of message writers
	writer     atomic.Pointer[messageWriter] // the last one that was made, if any
}

// extras is what most connections do not need.
type extras struct {
	subprotocol string

	handlers  atomic.Pointer[handlers] // those of the program, or nil
	pings     pings                    // those of Ping
	shutdowns atomic.Int32             // calls of Shutdown that are at work
	readers   atomic.Int32             // reads of the program that wait for the read lock
}

// ownExtras returns c.extras, allocating it on first use.
func (c *Conn) ownExtras() *extras { return own(&c.extras) }

// connOptions is what an Upgrader and a Dialer have in common.
type connOptions struct {
	readBufferSize, writeBufferSize int
	readLimit                       int64
	pingInterval, pongTimeout       time.Duration
	agreed                          agreement
	compression                     CompressionOptions // where it was agreed on
	writeThrough                    bool
	maxFrameSize                    int
	ended                           context.CancelFunc // called when the connection ends; or nil
}

// newConn returns a connection on t, from which the bytes in early were read already.
func newConn(t transport, server bool, early []byte, o connOptions) *Conn {
	if o.readLimit == 0 {
		o.readLimit = DefaultReadLimit
	}
	c := &Conn{
		writeClass: uint8(bufferClass(min(max(o.writeBufferSize, defaultBufferSize), maxBufferSize))),
		maxFrame:   o.maxFrameSize,
	}
	if c.maxFrame <= 0 {
		c.maxFrame = math.MaxInt
	}
	c.send.link, c.send.outbox.client = newLink(t), !server
	c.send.link.ended = o.ended
	c.recv.init(c.send.link, server, early, o.readBufferSize)
	c.recv.limit.Store(o.readLimit)
	if o.agreed.deflate != nil {
		c.recv.deflate = true
		c.compression = newCompression(o.compression, *o.agreed.deflate, server)
	}
	if o.agreed.subprotocol != "" {
		c.ownExtras().subprotocol = o.agreed.subprotocol
	}
	c.burst.never = o.writeThrough
	if o.pingInterval > 0 {
		c.startKeepalive(o.pingInterval, o.pongTimeout)
	}
	return c
}

// Subprotocol returns the subprotocol that was agreed on, or "".
func (c *Conn) Subprotocol() string {
	if x := c.extras.Load(); x != nil {
		return x.subprotocol
	}
	return ""
}

// NetConn returns the network connection below: a *net.TCPConn or *tls.Conn, or
// what the Dialer's functions or the server's listener returned. Reading from it or
// writing to it breaks the WebSocket connection. Frames that are corked are handed to it, without
// waiting for the network.
func (c *Conn) NetConn() net.Conn {
	c.send.handOver()
	return c.send.link.netConn()
}

// LocalAddr returns the local network address.
func (c *Conn) LocalAddr() net.Addr { return c.send.link.netConn().LocalAddr() }

// RemoteAddr returns the remote network address.
func (c *Conn) RemoteAddr() net.Addr { return c.send.link.netConn().RemoteAddr() }

// SetReadLimit sets the largest message in bytes that is read, counted over all of
// its fragments; none where limit is zero or less. A longer message makes reads
// return ErrReadLimit, as soon as a frame announces it, and sends the peer a Close
// frame with CloseMessageTooBig. Any goroutine may call it at any time.
func (c *Conn) SetReadLimit(limit int64) { c.recv.limit.Store(limit) }

// beginRead waits within the limit until no other read is at work. One of Shutdown makes way.
func (c *Conn) beginRead(l *limit) error {
	if !c.readLock.state.CompareAndSwap(0, locked) {
		if err := c.awaitRead(l); err != nil {
			return err
		}
	}
	c.reading(true)
	return nil
}

// awaitRead is beginRead for a lock that is not free, or closed.
func (c *Conn) awaitRead(l *limit) error {
	x := c.ownExtras()
	x.readers.Add(1) // before it is known whether Shutdown reads: see readForShutdown
	c.interruptShutdown()
	_, err := c.readLock.acquire(lockRead, nil, l)
	x.readers.Add(-1)
	c.readLock.wakeYielders()
	return err
}

// endRead ends a read.
func (c *Conn) endRead() {
	c.recv.shrink()
	c.reading(false)
	c.readLock.release(false)
	if c.readLock.has(ended) {
		c.giveBack()
	}
}

// reading tells the keepalive whether what comes would be seen.
func (c *Conn) reading(yes bool) {
	if c.keepalive != nil {
		c.keepalive.reading(yes, time.Now())
	}
}

// heard tells the keepalive that something has come.
func (c *Conn) heard() {
	if c.keepalive != nil {
		c.keepalive.heard(time.Now())
	}
}

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
