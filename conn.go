package websocket

import (
	"net"
	"os"
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

	subprotocol string
	compression *compression // nil where none was agreed on

	// Of the goroutine whose turn it is to read.
	turn        turn
	messageType int            // of the current message
	unclaimed   bool           // it has begun, and nobody has got it
	partial     []byte         // what an interrupted AppendMessage has of it, while it is unclaimed
	reader      *messageReader // the one that has the current message, if any
	discard     bool           // the rest of it is not wanted
	discarding  bool           // nor is any that follows: Shutdown is at work
	readWatch   *watch         // of the contexts of reads; nil before the first
	compressed  bool           // the current message is, and has not been read to its end

	// message is held for the time of writing a data message; see send for the order of the locks.
	message         lock
	writer          atomic.Pointer[messageWriter] // the one that is open, if any
	writeBufferSize int

	// Guarded by deadlineMu.
	deadlineMu    sync.Mutex
	writeDeadline time.Time
	readDeadline  time.Time // the program's
	readOverride  bool      // the transport has another one for a while

	// The program's, or nil.
	pingHandler, pongHandler atomic.Pointer[func(appData string) error]
	closeHandler             atomic.Pointer[func(code int, text string) error]

	closeReceived atomic.Bool            // the peer's Close frame is here
	shutdowns     atomic.Int32           // calls of Shutdown that are at work
	pings         atomic.Pointer[pings]  // those of Ping; nil before the first
	keepalive     *keepalive             // nil where it is off
	group         *Group                 // the one that it belongs to, if any
	stream        atomic.Pointer[stream] // the one that writes it, if any
}

// connOptions is what an Upgrader and a Dialer have in common.
type connOptions struct {
	readBufferSize, writeBufferSize int
	readLimit                       int64
	pingInterval, pongTimeout       time.Duration
	agreed                          agreement
	compression                     CompressionOptions // where it was agreed on
}

// newConn returns a connection on t, from which the bytes in early were read already.
func newConn(t transport, server bool, early []byte, o connOptions) *Conn {
	if o.readLimit == 0 {
		o.readLimit = DefaultReadLimit
	}
	c := &Conn{
		subprotocol:     o.agreed.subprotocol,
		writeBufferSize: bufferSize(o.writeBufferSize),
	}
	c.recv.init(t, server, early, bufferSize(o.readBufferSize), o.readLimit)
	if o.agreed.deflate != nil {
		c.recv.deflate = true
		c.compression = newCompression(o.compression, *o.agreed.deflate, server)
	}
	c.send.init(t, !server)
	if o.pingInterval > 0 {
		c.startKeepalive(o.pingInterval, o.pongTimeout)
	}
	return c
}

// Subprotocol returns the subprotocol that was agreed on, or "".
func (c *Conn) Subprotocol() string { return c.subprotocol }

// NetConn returns the network connection below: a *net.TCPConn or *tls.Conn, or
// what the Dialer's functions or the server's listener returned. Reading from it or
// writing to it breaks the WebSocket connection.
func (c *Conn) NetConn() net.Conn {
	nc, _ := c.send.t.(net.Conn)
	return nc
}

// LocalAddr returns the local network address.
func (c *Conn) LocalAddr() net.Addr { return c.NetConn().LocalAddr() }

// RemoteAddr returns the remote network address.
func (c *Conn) RemoteAddr() net.Addr { return c.NetConn().RemoteAddr() }

// SetReadLimit sets the largest message in bytes that is read, counted over all of
// its fragments; none where limit is zero or less. A longer message makes reads
// return ErrReadLimit, as soon as a frame announces it, and sends the peer a Close
// frame with CloseMessageTooBig. Any goroutine may call it at any time.
func (c *Conn) SetReadLimit(limit int64) { c.recv.limit.Store(limit) }

// SetReadDeadline makes reads return a timeout from the time t on, also the one
// that is waiting; a zero t means never. A timeout loses nothing: after a new
// deadline is set, reading goes on where it was. Any goroutine may call it at any time.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	c.readDeadline = t
	if c.readOverride {
		return nil // it comes into force when that is over
	}
	return c.recv.t.SetReadDeadline(t)
}

// overrideReadDeadline gives the transport a read deadline that is not the program's.
func (c *Conn) overrideReadDeadline(t time.Time) {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	c.readOverride = true
	c.recv.t.SetReadDeadline(t)
}

// interruptRead makes a read that waits return a timeout.
func (c *Conn) interruptRead() { c.overrideReadDeadline(past) }

// restoreReadDeadline gives the transport the program's read deadline again.
func (c *Conn) restoreReadDeadline() {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	c.readOverride = false
	c.recv.t.SetReadDeadline(c.readDeadline)
}

// releaseRead gives up what the reading of a connection that was closed still holds, unless
// somebody is reading, who then does it.
func (c *Conn) releaseRead() {
	if c.turn.tryTake() {
		if c.readWatch != nil {
			c.readWatch.forget()
		}
		if c.compressed {
			c.stop(net.ErrClosed) // what was received of the message is gone
		}
		c.turn.give()
	}
}

// takeTurn waits until no other read is going on, at most until the read deadline.
func (c *Conn) takeTurn() error {
	if !c.turn.tryTake() {
		c.deadlineMu.Lock()
		b := until(c.readDeadline)
		c.deadlineMu.Unlock()
		if !c.turn.take(b) {
			return os.ErrDeadlineExceeded
		}
	}
	c.beginRead()
	return nil
}

// beginRead says that a turn begins.
func (c *Conn) beginRead() {
	if c.send.owing.Load() {
		c.send.retry(c.replyDeadline())
	}
	c.reading(true)
}

// endRead ends the turn.
func (c *Conn) endRead() {
	c.reading(false)
	c.turn.give()
	if c.send.closed.Load() {
		c.releaseRead()
	}
}

// reading tells the keepalive whether somebody would see what comes.
func (c *Conn) reading(yes bool) {
	if c.keepalive != nil {
		c.keepalive.reading(yes, time.Now())
	}
}

// SetWriteDeadline bounds the writes that begin after it, except for WriteControl's,
// which has a deadline of its own; a zero t means no bound. After a write that timed
// out within a frame every write returns its error. Any goroutine may call it at any time.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	c.writeDeadline = t
	return nil
}

func (c *Conn) loadWriteDeadline() time.Time {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	return c.writeDeadline
}
