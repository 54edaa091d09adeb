package websocket

import (
	"cmp"
	"context"
	"errors"
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
// A program must read, even if it expects no messages: the goroutine that reads also answers
// pings and receives the peer's Close frame. A connection must be closed with Close or Shutdown,
// even after an error.
type Conn struct {
	recv recv
	send send

	compression *compression // nil where none was agreed on
	keepalive   *keepalive   // nil where it is off
	group       *Group       // or nil
	deadlines   atomic.Pointer[deadlines]
	extras      atomic.Pointer[extras]

	// Guarded by readLock, as is recv.
	readLock  lock
	message   message
	burst     burst
	readWatch *watch // nil before the first read with a context

	maxFrame int // the largest payload of a sent data frame

	// For NextWriter.
	writeClass uint8                         // of the buffers of message writers
	writer     atomic.Pointer[messageWriter] // the last one, or nil
}

// extras is the state that most connections do not need.
type extras struct {
	subprotocol string

	handlers  atomic.Pointer[handlers] // set by the program, or nil
	pings     pings                    // sent by Ping
	shutdowns atomic.Int32             // number of calls of Shutdown in progress

	// readers is the number of the program's reads that wait for the read lock. Shutdown makes way for
	// them: a read first adds itself to readers, and then interrupts Shutdown if stateShutdownReads is
	// set; Shutdown first sets stateShutdownReads, and then reads only if readers is 0. So at least one
	// of the two notices the other.
	readers atomic.Int32
}

// ownExtras returns c.extras, allocating it on first use.
func (c *Conn) ownExtras() *extras { return own(&c.extras) }

// connOptions are the options of a connection, from an Upgrader or a Dialer.
type connOptions struct {
	readBufferSize, writeBufferSize int
	readLimit                       int64
	pingInterval, pongTimeout       time.Duration
	locked                          bool // the write lock is held when newConn returns
	agreed                          agreement
	compression                     CompressionOptions // if agreed.deflate is not nil
	writeThrough                    bool
	maxFrameSize                    int
	cancel                          context.CancelFunc // called when the reading ends or the writing fails; or nil
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
	c.send.link.cancel = o.cancel
	c.recv.init(c.send.link, server, early, o.readBufferSize)
	c.recv.readLimit.Store(o.readLimit)
	if o.agreed.deflate != nil {
		c.recv.deflate = true
		c.compression = newCompression(o.compression, *o.agreed.deflate, server)
	}
	if o.agreed.subprotocol != "" {
		c.ownExtras().subprotocol = o.agreed.subprotocol
	}
	c.burst.never = o.writeThrough
	if o.locked {
		c.send.lock.tryAcquire(modeFrame)
	}
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

// NetConn returns the underlying network connection: a *net.TCPConn or *tls.Conn, or
// the one that a dial function of the Dialer or the server's listener returned. Reading from it or
// writing to it breaks the WebSocket connection. NetConn first writes corked frames to it, as far as
// that does not block.
func (c *Conn) NetConn() net.Conn {
	c.send.tryFlushCorked()
	return c.send.link.netConn()
}

// LocalAddr returns the local network address.
func (c *Conn) LocalAddr() net.Addr { return c.send.link.netConn().LocalAddr() }

// RemoteAddr returns the remote network address.
func (c *Conn) RemoteAddr() net.Addr { return c.send.link.netConn().RemoteAddr() }

// SetReadLimit sets the size in bytes of the largest message that is read, counted over all of
// its fragments; there is no limit if it is zero or less. A longer message makes reads
// return ErrReadLimit as soon as a frame announces it, and the peer is sent a Close
// frame with CloseMessageTooBig. Any goroutine may call it at any time.
func (c *Conn) SetReadLimit(limit int64) { c.recv.readLimit.Store(limit) }

// lockRead acquires the read lock within the limit. Shutdown, if it reads, makes way.
func (c *Conn) lockRead(l *limit) error {
	if !c.readLock.state.CompareAndSwap(0, stateLocked) {
		if err := c.awaitReadLock(l); err != nil {
			return err
		}
	}
	c.reading(true)
	return nil
}

// awaitReadLock is the slow path of lockRead.
func (c *Conn) awaitReadLock(l *limit) error {
	x := c.ownExtras()
	x.readers.Add(1)
	c.interruptShutdown()
	_, err := c.readLock.acquire(modeRead, nil, l)
	x.readers.Add(-1)
	c.readLock.wakeYielders()
	if err != nil {
		return cmp.Or(c.readLock.lost(), err) // a *CloseError would say that nothing is lost
	}
	return nil
}

// unlockRead releases the read lock.
func (c *Conn) unlockRead() {
	c.recv.shrink()
	c.reading(false)
	c.readLock.release(false)
	if c.readLock.has(stateEnded) {
		c.giveBack()
	}
}

// beginReadContext is lockRead for a read that the end of the context interrupts.
func (c *Conn) beginReadContext(ctx context.Context) error {
	limit := limit{ctx: ctx}
	if err := limit.ended(); err != nil {
		return err
	}
	if err := c.lockRead(&limit); err != nil {
		return err
	}
	if c.readWatch == nil {
		l := c.send.link
		c.readWatch = &watch{interrupt: c.interruptRead, waiting: l.reading, abort: l.abort}
	}
	c.readWatch.begin(ctx)
	return nil
}

// endReadContext ends a read begun with beginReadContext that returned err, and returns the error for the
// program.
func (c *Conn) endReadContext(ctx context.Context, err error) error {
	if c.readWatch.end() {
		c.restoreReadDeadline()
		if err != nil && (!c.readLock.has(stateEnded) || errors.Is(err, net.ErrClosed)) {
			err = contextError(ctx)
		}
	}
	c.unlockRead()
	return err
}

// reading tells the keepalive whether a read is in progress.
func (c *Conn) reading(yes bool) {
	if c.keepalive != nil {
		c.keepalive.reading(yes, time.Now())
	}
}

// heard tells the keepalive that something was received.
func (c *Conn) heard() {
	if c.keepalive != nil {
		c.keepalive.heard(time.Now())
	}
}

// deadlines are the deadlines set by the program. They are allocated when it first sets one.
type deadlines struct {
	mu       sync.Mutex
	write    time.Time
	read     time.Time
	override *time.Time // the transport's read deadline while it is not the program's, or nil
}

// ownDeadlines returns c.deadlines, allocating it on first use.
func (c *Conn) ownDeadlines() *deadlines { return own(&c.deadlines) }

// SetReadDeadline makes reads return a timeout from the time t on, including one in progress; a
// zero t means never. A timeout loses nothing: once a later deadline is set, reading continues where it
// was. The error is the transport's, which may have no deadlines. Any goroutine may call it at any
// time.
func (c *Conn) SetReadDeadline(t time.Time) error {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read = t
	if d.override != nil {
		return nil // restoreReadDeadline will set it
	}
	return c.send.link.SetReadDeadline(t)
}

// overrideReadDeadline sets a read deadline of the transport instead of the program's.
func (c *Conn) overrideReadDeadline(t time.Time) error {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.override = &t
	return c.send.link.SetReadDeadline(t)
}

// interruptRead makes a read in progress return a timeout.
func (c *Conn) interruptRead() error { return c.overrideReadDeadline(aLongTimeAgo) }

// interruptShutdown is interruptRead for a read by Shutdown, if there is one. Shutdown clears stateShutdownReads before
// it restores the deadline, so the override cannot outlast it.
func (c *Conn) interruptShutdown() {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.readLock.has(stateShutdownReads) && c.readLock.phase() < phaseClosed {
		d.override = &aLongTimeAgo
		c.send.link.SetReadDeadline(aLongTimeAgo)
	}
}

// restoreReadDeadline sets the transport's read deadline to the program's again.
func (c *Conn) restoreReadDeadline() {
	d := c.ownDeadlines()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.override = nil
	c.send.link.SetReadDeadline(d.read)
}

// inForce returns the transport's read deadline.
func (d *deadlines) inForce() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.override != nil {
		return *d.override
	}
	return d.read
}

// SetWriteDeadline bounds the writes that begin after the call, except for WriteControl,
// which has a deadline of its own; a zero t means no bound. After a write has timed
// out within a frame, every write returns its error. If the transport has no deadlines, SetWriteDeadline
// returns the transport's error, and a write that still waits at the time t closes the connection.
// Any goroutine may call it at any time.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	d := c.ownDeadlines()
	d.mu.Lock()
	d.write = t
	d.mu.Unlock()
	if l := c.send.link; l.noDeadlines {
		return l.SetWriteDeadline(t) // for its error
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
