package websocket

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// transport is what a connection runs on. A net.Conn is one.
type transport interface {
	io.Reader
	io.Writer
	io.Closer
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// link is a transport and what it can do, found out once: no other file asks for a concrete
// type.
type link struct {
	transport
	descriptor rawReader    // of a connection of the kernel; else its conn is nil
	tcp        *net.TCPConn // writes a header and a payload in one system call; or nil

	// tls says that it is a connection of crypto/tls, which keeps what it has read and was not asked for.
	tls bool

	reads       atomic.Uint32 // odd while a Read of the transport is going on
	noDeadlines bool          // they cannot be set
	closing     atomic.Bool   // closeLater has been called

	ended context.CancelFunc // of what goes on as long as the connection; or nil
}

// newLink returns the link on t, and clears the deadlines that t has from before.
func newLink(t transport) *link {
	_, isTLS := t.(interface{ ConnectionState() tls.ConnectionState })
	tcp, _ := t.(*net.TCPConn)
	var err error
	if nc, ok := t.(net.Conn); ok {
		err = nc.SetDeadline(time.Time{})
	}
	return &link{
		transport:  t,
		descriptor: rawReader{conn: rawConn(t)},
		tcp:        tcp,
		tls:        isTLS,

		noDeadlines: err != nil,
	}
}

// resumable reports whether a write that has timed out can be continued: crypto/tls fails every later
// one, and where there are no deadlines the transport is closed instead.
func (l *link) resumable() bool { return !l.tls && !l.noDeadlines }

// Read reads from the transport. Descriptors are not read by it.
func (l *link) Read(p []byte) (n int, err error) {
	l.reads.Add(1)
	n, err = l.transport.Read(p)
	l.reads.Add(1)
	return n, err
}

// reading returns a number for the Read that is going on, or 0.
func (l *link) reading() uint32 {
	if n := l.reads.Load(); n%2 == 1 {
		return n
	}
	return 0
}

// end says that the connection has ended, in one direction at least.
func (l *link) end() {
	if l.ended != nil {
		l.ended()
	}
}

// netConn returns the transport if it is a net.Conn, else nil.
func (l *link) netConn() net.Conn {
	nc, _ := l.transport.(net.Conn)
	return nc
}

// opError returns an error of an operation in the form in which the transport returns its own.
func (l *link) opError(operation string, err error) error {
	nc := l.netConn()
	if nc == nil || l.tls && operation == "write" || nc.LocalAddr() == nil { // crypto/tls does not get that far
		return err
	}
	local := nc.LocalAddr()
	return &net.OpError{Op: operation, Net: local.Network(), Source: local, Addr: nc.RemoteAddr(), Err: err}
}

// closeWrite ends the outgoing direction where the transport can do that.
func (l *link) closeWrite() {
	if t, ok := l.transport.(interface{ CloseWrite() error }); ok {
		t.CloseWrite()
	}
}

// canCloseWrite reports whether closeWrite does anything.
func (l *link) canCloseWrite() bool {
	_, ok := l.transport.(interface{ CloseWrite() error })
	return ok
}

// discard reads until the end or an error. It returns false if it stops before: n bytes or more have come, or
// a deadline has passed.
func (l *link) discard(n int) (ended bool) {
	buf := acquireBuffer(defaultBufferSize)
	defer releaseBuffer(buf)
	for n > 0 {
		m, err := receive(l, buf.b)
		if err != nil {
			return !isTimeout(err)
		}
		n -= m
	}
	return false
}

// closeTimeout is how long Close waits for the network to take frames that no caller waits for, and what a
// transport still sends itself.
const closeTimeout = time.Second

// Close closes the transport. It waits for closeTimeout at most.
func (l *link) Close() error {
	if l.descriptor.conn != nil {
		return l.transport.Close()
	}
	return closeBounded(l.transport)
}

// abort closes the transport without waiting for the peer.
func (l *link) abort() error { return abort(l.transport) }

// abort closes t, which is a net.Conn or another transport. It begins with what t runs on, as far as t
// shows that: tls.Conn.Close gives a peer that does not read five seconds to take a last record.
func abort(t io.Closer) error {
	closeBelow(t)
	return closeBounded(t)
}

// closeBounded closes t. If Close takes longer than closeTimeout, it goes on in the background.
func closeBounded(t io.Closer) error {
	closed := make(chan error, 1)
	go func() { closed <- t.Close() }()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case err := <-closed:
		return err
	case <-timer.C:
		return closeBelow(t)
	}
}

// closeBelow closes what t runs on, if it shows that.
func closeBelow(t io.Closer) error {
	if t, ok := t.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn().Close()
	}
	return nil
}

// rawWriter is one write(2), with its closure, so that the closure is allocated once for a buffer.
type rawWriter struct {
	write func(fd uintptr) // writes the bytes of p that the kernel takes without waiting, which may be none
	p     []byte
	n     int
	err   error
}

const (
	// segmentSize is how much of a large frame is written with its header where that is
	// written alone, so that no packet is sent for so little.
	segmentSize = 1400

	// headStart is the size from which on the first segment of a frame is written alone
	// although all of it could be written at once: the peer then begins to read while the
	// kernel still copies the rest.
	headStart = 256 << 10
)

// writeFrame writes a header of at most maxHeaderSize bytes and a large payload, without a copy
// of most of the payload.
func (l *link) writeFrame(head, payload []byte) (n int, err error) {
	if l.tcp != nil {
		return writeVector(l.tcp, head, payload)
	}
	buf := acquireBuffer(segmentSize)
	p := append(buf.b[:0], head...)
	first := min(len(payload), segmentSize-len(p))
	p = append(p, payload[:first]...)
	n, err = l.Write(p)
	releaseBuffer(buf)
	if err == nil && n == len(p) && len(payload) > first {
		var m int
		m, err = l.Write(payload[first:])
		n += m
	}
	if err == nil && n != len(head)+len(payload) {
		err = io.ErrShortWrite
	}
	return n, err
}

// vector is a header and a payload on their way into one system call.
type vector struct {
	head  [maxHeaderSize]byte
	parts [2][]byte
	bufs  net.Buffers
}

var vectorPool = sync.Pool{New: func() any { return new(vector) }}

// writeVector is link.writeFrame over TCP.
func writeVector(c *net.TCPConn, head, payload []byte) (n int, err error) {
	v := vectorPool.Get().(*vector)
	h := v.head[:copy(v.head[:], head)]
	if len(payload) < headStart {
		n, err = v.write(c, h, payload)
	} else if n, err = v.write(c, h, payload[:segmentSize]); err == nil {
		var m int
		m, err = v.write(c, payload[segmentSize:], nil)
		n += m
	}
	v.parts = [2][]byte{} // the payload is the caller's
	vectorPool.Put(v)
	return n, err
}

func (v *vector) write(c *net.TCPConn, first, second []byte) (n int, err error) {
	v.parts = [2][]byte{first, second}
	v.bufs = v.parts[:]
	if len(second) == 0 {
		v.bufs = v.parts[:1]
	}
	n64, err := v.bufs.WriteTo(c)
	return int(n64), err
}

// rawReader reads a connection of the kernel without holding a buffer: the runtime's poller
// waits for it, and calls read whenever there may be something to read. That borrows a buffer,
// which it gives back where there is nothing.
type rawReader struct {
	conn syscall.RawConn
	read func(fd uintptr) (done bool)
	n    int // of what read has read; 0 at the end, and a negative error number
}

// receive reads from the transport, at least one byte or an error.
func receive(t transport, p []byte) (n int, err error) {
	for range maxEmptyReads {
		if n, err = t.Read(p); n > 0 {
			return n, nil // an error that came with bytes comes again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// maxEmptyReads bounds the reads of a transport that return neither bytes nor an error.
const maxEmptyReads = 100
