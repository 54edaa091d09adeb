package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// NewStream returns a net.Conn whose bytes are sent over c in messages of the given type, for
// protocols that need a byte stream, such as a tunnel for SSH, TLS or net/rpc. The boundaries of
// messages have no meaning, so there is no read limit. A message of the other type fails the
// connection with CloseUnsupportedData. TextMessage is for protocols in which each Write is
// UTF-8, such as those in ASCII.
//
// Any goroutine may call its methods at any time. A Write returns when its bytes are in a
// buffer of 64 KiB, which is sent as fast as the network accepts it, like the buffer of a TCP
// connection; if it cannot be sent, a later Write or Read returns the error. A Write of more
// than 16 KiB also waits for the network, at most until its deadline.
//
// After a deadline has passed, nothing is lost, neither for reading nor for writing: once a later
// one is set, the stream continues. There is one exception: over TLS, a Write of more than 16 KiB
// that was waiting for the network when the first deadline was set continues until it is done.
//
// Read returns io.EOF for the peer's Close frame with CloseNormalClosure, CloseGoingAway or no code,
// io.ErrUnexpectedEOF if the network connection ends without a Close frame, and other errors of c as
// they are. Close sends the buffer and a Close frame with CloseNormalClosure, waits for that until the
// write deadline or, if there is none, for five seconds, and closes c.
//
// Nothing else may use c while the stream does, except for Ping, and for Shutdown instead of
// Close.
func NewStream(c *Conn, messageType int) net.Conn {
	if !isData(messageType) {
		panic("websocket: NewStream with a message type that is neither TextMessage nor BinaryMessage")
	}
	c.SetReadLimit(0)
	s := &stream{c: c, messageType: messageType, writing: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

type stream struct {
	c           *Conn
	messageType int
	closed      atomic.Bool

	readMu  sync.Mutex
	message io.Reader // the message being read; nil between messages

	writing chan struct{} // full while a Write is in progress

	// The deadline may change while a Write waits, so a context ends the wait.
	deadlineMu sync.Mutex
	deadline   time.Time
	timer      *time.Timer     // calls expire; made for the first deadline
	ctx        context.Context // cancelled when the deadline has passed
	cancel     context.CancelFunc
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

// refuse fails the connection because a message has the wrong type.
func (s *stream) refuse() error {
	if err := s.c.lockRead(&noLimit); err != nil {
		return streamError(err)
	}
	defer s.c.unlockRead()
	return s.c.failReading(&protocolError{CloseUnsupportedData, "message of the wrong type in a stream"})
}

// streamError translates a read error of a Conn to one of a byte stream.
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

// maxStreamPayload is the largest payload of a stream's frame, for which the outbox has room.
const maxStreamPayload = 64 << 10

func (s *stream) Write(p []byte) (n int, err error) {
	s.deadlineMu.Lock()
	l := limit{ctx: s.ctx}
	// If a write cannot be continued after a timeout, Write does not wait for the network.
	wait := s.c.send.link.resumable() || s.deadline.IsZero()
	s.deadlineMu.Unlock()
	select {
	case s.writing <- struct{}{}:
	case <-l.ctx.Done():
		return 0, s.writeError(l.ctx.Err())
	}
	defer func() { <-s.writing }()
	for len(p) > 0 {
		part := p[:min(len(p), maxStreamPayload, s.c.maxFrame)]
		f := frame{fin: true, opcode: opcode(s.messageType), payload: part}
		if err := s.c.send.post(&f, &l, wait); err != nil {
			return n, s.writeError(err)
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

// writeError translates an error of post to one of a byte stream.
func (s *stream) writeError(err error) error {
	switch {
	case s.closed.Load():
		return net.ErrClosed
	case err == context.Canceled:
		return os.ErrDeadlineExceeded
	}
	return err
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	if s.closed.Load() {
		return net.ErrClosed
	}
	s.deadline = t
	if s.ctx.Err() != nil {
		s.ctx, s.cancel = context.WithCancel(context.Background())
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Until(t), s.expire)
	} else {
		s.timer.Reset(time.Until(t))
	}
	s.expireLocked() // if t has passed
	return nil
}

// expire is called by the timer.
func (s *stream) expire() {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	s.expireLocked()
}

func (s *stream) expireLocked() {
	if !s.deadline.IsZero() && !time.Now().Before(s.deadline) {
		s.cancel()
	}
}

func (s *stream) SetReadDeadline(t time.Time) error { return s.c.SetReadDeadline(t) }

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// streamCloseTime is how long Close waits if there is no write deadline.
const streamCloseTime = 5 * time.Second

func (s *stream) Close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	s.deadlineMu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	l := until(s.deadline)
	if s.deadline.IsZero() {
		l = until(time.Now().Add(streamCloseTime))
	}
	s.cancel()
	s.deadlineMu.Unlock()
	s.c.send.postReply(opClose, FormatCloseMessage(CloseNormalClosure, ""))
	return s.c.closeWithin(&l)
}

func (s *stream) LocalAddr() net.Addr  { return s.c.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.c.RemoteAddr() }
