package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// NewStream returns a net.Conn whose bytes go over c as messages of the type, for
// protocols that want a byte stream: a tunnel for SSH, TLS or net/rpc. Where one
// message ends and the next begins means nothing, so that the read limit is lifted,
// except that a compressed message may have DefaultReadLimit bytes.
// A message of the other type fails the connection with CloseUnsupportedData.
// TextMessage is for protocols of which each Write is UTF-8, such as those in ASCII.
//
// Its methods may be called by any goroutine at any time. A deadline that passes
// loses nothing, neither for reading nor for writing: after a new one is set, the
// stream goes on. Over TLS a write that timed out has ended the writing, as
// crypto/tls has it. The peer's Close frame with CloseNormalClosure, CloseGoingAway
// or no code is io.EOF; the end of the network connection without one is
// io.ErrUnexpectedEOF; other errors are those of c. Close sends a Close frame with
// CloseNormalClosure, for which it waits a second at most, and closes c.
//
// The stream reads and writes c on its own. Nothing else may use c meanwhile, except
// for Ping, and for Shutdown instead of Close.
func NewStream(c *Conn, messageType int) net.Conn {
	if !isData(messageType) {
		panic("websocket: NewStream with a message type that is neither TextMessage nor BinaryMessage")
	}
	s := &stream{c: c, messageType: messageType, changed: make(chan struct{})}
	c.SetReadLimit(noLimitInPieces)
	c.ownExtras().stream.Store(s)
	return s
}

// openStream returns the stream that writes the connection, or nil.
func (c *Conn) openStream() *stream {
	if x := c.extras.Load(); x != nil {
		return x.stream.Load()
	}
	return nil
}

type stream struct {
	c           *Conn
	messageType int
	closed      atomic.Bool

	readMu  sync.Mutex
	message io.Reader // being read; nil between messages

	// The frame that is being written. A timeout may leave it unfinished: then it has
	// the turn of its connection, and the bytes that are written next go into it.
	writeMu wire
	held    bool // the connection's locks
	header  header
	space   [maxHeaderSize]byte
	head    []byte // of the header, what has not left yet; in space
	left    int    // payload bytes that have not left yet
	pos     int    // of the masking key
	begun   bool   // some of the frame has left

	deadlineMu sync.Mutex
	deadline   time.Time     // of writes
	changed    chan struct{} // closed when the deadline changes
	writing    bool          // the transport is being written to, so a deadline is for it
}

func (s *stream) Read(p []byte) (int, error) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if s.message == nil {
			messageType, message, err := s.c.NextReader()
			if err != nil {
				return 0, streamError(err)
			}
			if messageType != s.messageType {
				return 0, s.refuse()
			}
			s.message = message
		}
		n, err := s.message.Read(p)
		if err == io.EOF {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, streamError(err)
		}
	}
}

// refuse fails the connection because of the type of a message.
func (s *stream) refuse() error {
	if err := s.c.takeTurn(); err != nil {
		return err
	}
	defer s.c.endRead()
	if err := s.c.recv.err; err != nil {
		return streamError(err)
	}
	return s.c.fail(&protocolError{CloseUnsupportedData, "message of the wrong type in a stream"})
}

// streamError gives a read error of a Conn the form that it has in a byte stream.
func streamError(err error) error {
	var closed *CloseError
	if errors.As(err, &closed) {
		switch closed.Code {
		case CloseNormalClosure, CloseGoingAway, CloseNoStatusReceived:
			return io.EOF
		case CloseAbnormalClosure:
			return io.ErrUnexpectedEOF
		}
	}
	return err
}

func (s *stream) Write(p []byte) (n int, err error) {
	if !s.writeMu.tryTake(wantWire) && !s.acquire(s.waitForTurn) {
		return 0, os.ErrDeadlineExceeded
	}
	defer s.doneWriting()
	for len(p) > 0 {
		if s.closed.Load() {
			return n, net.ErrClosed
		}
		if s.late() {
			return n, os.ErrDeadlineExceeded // before any of it has left
		}
		if !s.held {
			if err := s.beginFrame(len(p)); err != nil {
				return n, err
			}
		}
		m, err := s.writeFrame(p)
		n += m
		p = p[m:]
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// waitForTurn waits for the turn of this Write.
func (s *stream) waitForTurn(b *bound) bool {
	_, late, err := s.writeMu.wait(wantWire, nil, b)
	if late {
		s.writeMu.giveBack(wantWire)
	}
	return err == nil
}

// take is send.take until the deadline.
func (s *stream) take(what want) bool {
	send := &s.c.send
	return send.wire.tryTake(what) || s.acquire(func(b *bound) bool { return send.take(what, b) == nil })
}

// acquire waits for something until the deadline, also one that is set meanwhile.
func (s *stream) acquire(wait func(*bound) bool) bool {
	for {
		s.deadlineMu.Lock()
		b := bound{deadline: s.deadline, wake: s.changed}
		s.deadlineMu.Unlock()
		if wait(&b) {
			return true
		}
		if s.late() {
			return false
		}
	}
}

// late reports whether the write deadline has passed.
func (s *stream) late() bool {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	return !s.deadline.IsZero() && !time.Now().Before(s.deadline)
}

// maxStreamPayload is what has room in a buffer together with the header.
const maxStreamPayload = 64<<10 - maxHeaderSize

// applied is the bound of a write between startWriting and stopWriting.
var applied = &bound{applied: true}

// beginFrame takes the connection's locks for a message of at most n bytes.
func (s *stream) beginFrame(n int) error {
	send := &s.c.send
	if err := send.failed(); err != nil {
		return err
	}
	if !s.take(wantOpen) {
		return os.ErrDeadlineExceeded
	}
	if !s.take(wantWire) {
		s.c.endMessage()
		return os.ErrDeadlineExceeded
	}
	s.held, s.begun = true, false
	s.left, s.pos = min(n, maxStreamPayload), 0
	s.startWriting()
	err := send.clear(applied)
	s.stopWriting()
	if err != nil {
		s.endFrame()
		if err == errWriteTimeout {
			err = os.ErrDeadlineExceeded
		}
		return err
	}
	s.header = send.seal(&frame{fin: true, opcode: opcode(s.messageType)})
	s.header.length = int64(s.left)
	s.head = s.header.append(s.space[:0])
	return nil
}

// writeFrame writes as much of p as goes into the frame, and ends the frame when it
// is full. It returns how many bytes of p have left.
func (s *stream) writeFrame(p []byte) (n int, err error) {
	p = p[:min(len(p), s.left)]
	buf := acquireBuffer(len(s.head) + len(p))
	b := append(append(buf.b[:0], s.head...), p...)
	if s.header.masked {
		maskBytes(b[len(s.head):], s.header.key, s.pos)
	}
	s.startWriting()
	n, err = s.c.send.t.Write(b)
	s.stopWriting()
	releaseBuffer(buf)

	s.begun = s.begun || n > 0
	head := min(n, len(s.head))
	s.head = s.head[head:]
	n -= head
	s.left -= n
	s.pos = (s.pos + n) & 3
	if err != nil && (!s.c.send.resumable(err) || s.closed.Load()) {
		s.c.send.fail(err)
		s.endFrame()
	} else if err == nil && s.left == 0 || !s.begun {
		s.endFrame()
	}
	return n, err
}

// endFrame writes what is owed, and gives the locks back.
func (s *stream) endFrame() {
	s.held = false
	s.startWriting()
	s.c.send.settle(applied) // what does not leave goes out with the next write
	s.stopWriting()
	s.deadlineMu.Lock()
	b := until(s.deadline)
	s.deadlineMu.Unlock()
	s.c.send.release(&b)
	s.c.endMessage()
}

// pausing reports whether a frame is unfinished, and it is not the network that it
// waits for.
func (s *stream) pausing() bool {
	if !s.writeMu.tryTake(wantWire) {
		return false
	}
	defer s.doneWriting()
	return s.held
}

// doneWriting gives the write lock back.
func (s *stream) doneWriting() {
	s.writeMu.giveBack(wantWire)
	if s.closed.Load() {
		s.abandon() // what Close could not
	}
}

// abandon gives up an unfinished frame of a connection that was closed, unless the
// stream is at work: then it sees for itself.
func (s *stream) abandon() {
	s.closed.Store(true)
	if s.writeMu.tryTake(wantWire) {
		if s.held {
			s.c.send.fail(net.ErrClosed)
			s.endFrame()
		}
		s.writeMu.giveBack(wantWire)
	}
}

// startWriting gives the transport the stream's deadline, and those that are set
// while it is being written to. The wire must be held.
func (s *stream) startWriting() {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	s.writing = true
	s.c.send.t.SetWriteDeadline(s.deadline)
	s.c.send.ownBounds().deadline = past // none that it knows of
}

func (s *stream) stopWriting() {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	s.writing = false
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	s.deadline = t
	close(s.changed)
	s.changed = make(chan struct{})
	if s.writing {
		return s.c.send.t.SetWriteDeadline(t)
	}
	return nil
}

func (s *stream) SetReadDeadline(t time.Time) error { return s.c.SetReadDeadline(t) }

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) Close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	s.c.send.reply(opClose, FormatCloseMessage(CloseNormalClosure, ""), time.Now().Add(closeTimeout))
	return s.c.Close()
}

func (s *stream) LocalAddr() net.Addr  { return s.c.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.c.RemoteAddr() }
