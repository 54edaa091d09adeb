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

// transport is what a connection reads from and writes to, usually a net.Conn.
type transport interface {
	io.Reader
	io.Writer
	io.Closer
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// link is a transport together with its abilities, which are determined once: no other file asks
// for a concrete type.
type link struct {
	transport
	descriptor rawReader // of a TCP or Unix connection; else its conn is nil

	// tls: the transport is a connection of crypto/tls, which buffers what it has read ahead.
	tls bool

	reads       atomic.Uint32 // odd while a Read of the transport is in progress
	noDeadlines bool          // the transport's deadlines cannot be set
	closing     atomic.Bool   // closeLater has been called

	cancel context.CancelFunc // of the context of HandlerFunc's request; or nil
}

// newLink returns a link to t, whose deadlines it clears.
func newLink(t transport) *link {
	_, isTLS := t.(interface{ ConnectionState() tls.ConnectionState })
	var err error
	if nc, ok := t.(net.Conn); ok {
		err = nc.SetDeadline(time.Time{})
	}
	return &link{
		transport:  t,
		descriptor: rawReader{conn: rawConn(t)},
		tls:        isTLS,

		noDeadlines: err != nil,
	}
}

// resumable reports whether a write can be continued after a timeout. With crypto/tls every later write
// fails; a transport without deadlines is closed instead of timing out.
func (l *link) resumable() bool { return !l.tls && !l.noDeadlines }

// Read reads from the transport. With a descriptor, only discard uses it.
func (l *link) Read(p []byte) (n int, err error) {
	l.reads.Add(1)
	n, err = l.transport.Read(p)
	l.reads.Add(1)
	return n, err
}

// reading returns a number for the Read in progress, or 0.
func (l *link) reading() uint32 {
	if n := l.reads.Load(); n%2 == 1 {
		return n
	}
	return 0
}

// cancelContext cancels the context of HandlerFunc's request, since the reading has ended or the writing has failed.
func (l *link) cancelContext() {
	if l.cancel != nil {
		l.cancel()
	}
}

// netConn returns the transport if it is a net.Conn, else nil.
func (l *link) netConn() net.Conn {
	nc, _ := l.transport.(net.Conn)
	return nc
}

// opError wraps err as the transport wraps the errors of the operation, "read", "write" or "close".
func (l *link) opError(operation string, err error) error {
	nc := l.netConn()
	if nc == nil || l.tls && operation == "write" || nc.LocalAddr() == nil { // crypto/tls does not get that far
		return err
	}
	local := nc.LocalAddr()
	return &net.OpError{Op: operation, Net: local.Network(), Source: local, Addr: nc.RemoteAddr(), Err: err}
}

// closeWrite ends the outgoing direction of the transport, if it has a CloseWrite.
func (l *link) closeWrite() {
	if t, ok := l.transport.(interface{ CloseWrite() error }); ok {
		t.CloseWrite()
	}
}

// canCloseWrite reports whether closeWrite has an effect.
func (l *link) canCloseWrite() bool {
	_, ok := l.transport.(interface{ CloseWrite() error })
	return ok
}

// discard reads until the end or an error. It returns false if it stops earlier, because n bytes have come or
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

// closeTimeout is how long Close waits until the transport has accepted frames that no caller waits for, and
// has closed itself.
const closeTimeout = time.Second

// Close closes the transport. It blocks for at most closeTimeout.
func (l *link) Close() error {
	if l.descriptor.conn != nil {
		return l.transport.Close()
	}
	return closeBounded(l.transport)
}

// abort closes the transport without waiting for the peer.
func (l *link) abort() error { return abort(l.transport) }

// abort closes t without waiting for the peer. It first closes the connection below t, if t has a method
// NetConn: tls.Conn.Close alone would give a peer that does not read five seconds to take a last record.
func abort(t io.Closer) error {
	closeBelow(t)
	return closeBounded(t)
}

// closeBounded closes t. If t.Close takes longer than closeTimeout, it goes on in the background.
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

// closeBelow closes the connection below t, if t has a method NetConn.
func closeBelow(t io.Closer) error {
	if t, ok := t.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn().Close()
	}
	return nil
}

// rawWriter is a write(2) and its closure, which is allocated once for each buffer.
type rawWriter struct {
	write func(fd uintptr) // writes as many bytes of p as the kernel accepts without blocking
	p     []byte
	n     int
	err   error
}

const (
	// segmentSize is the size of the first piece of a large frame, header included, where that
	// is written on its own: about as much as one packet carries.
	segmentSize = 1400

	// headStart is the size from which the first segment of a frame is written on its own even
	// over TCP: the peer can begin to read while the kernel copies the rest.
	headStart = 256 << 10
)

// writeFrame writes a header of at most maxHeaderSize bytes and a large payload. It copies at most
// the first segment.
func (l *link) writeFrame(head, payload []byte) (n int, err error) {
	if c, ok := l.transport.(*net.TCPConn); ok {
		return writeVector(c, head, payload)
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

// vector is the arguments of a vectored write of a header and a payload.
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

// rawReader reads from a descriptor without holding a buffer while it waits: the runtime's poller
// waits, and calls read whenever there may be something to read. read acquires a buffer, and
// releases it if there is nothing.
type rawReader struct {
	conn syscall.RawConn
	read func(fd uintptr) (done bool)
	n    int // the result of read: a number of bytes, 0 at the end, or a negative error number
}

// receive reads at least one byte from the transport, or returns an error.
func receive(t transport, p []byte) (n int, err error) {
	for range maxEmptyReads {
		if n, err = t.Read(p); n > 0 {
			return n, nil // an error returned together with bytes comes again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// maxEmptyReads is the number of successive reads without a byte or an error after which a transport is
// considered broken.
const maxEmptyReads = 100
