// Package embed has structs that embed a *websocket.Conn beside other things, so
// that the names of its methods matter.
package embed

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Session is a connection and a context, which has Deadline, Done, Err and Value.
type Session struct {
	*websocket.Conn
	context.Context
}

var _ context.Context = (*Session)(nil)

// Serve reads messages until the connection or the context ends.
func (s *Session) Serve(got func(string)) error {
	stop := context.AfterFunc(s, func() { s.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		_, p, err := s.ReadMessage()
		if s.Err() != nil {
			return context.Cause(s)
		}
		if err != nil {
			return err
		}
		got(string(p))
	}
}

// Locked is a connection and the mutex for its writers.
type Locked struct {
	*websocket.Conn
	sync.Mutex
}

var _ sync.Locker = (*Locked)(nil)

func (l *Locked) WriteMessage(messageType int, data []byte) error {
	l.Lock()
	defer l.Unlock()
	return l.Conn.WriteMessage(messageType, data)
}

// netConn gives net.Conn another name, so that both can be embedded.
type netConn interface{ net.Conn }

// Stream is a net.Conn over binary messages. Read and Write are its own, and of
// what both embedded fields have it takes the WebSocket's.
type Stream struct {
	*websocket.Conn
	netConn

	reader io.Reader
}

var _ net.Conn = (*Stream)(nil)

// NewStream returns a net.Conn over ws.
func NewStream(ws *websocket.Conn) *Stream {
	return &Stream{Conn: ws, netConn: ws.UnderlyingConn()}
}

func (s *Stream) Read(p []byte) (int, error) {
	for {
		if s.reader == nil {
			_, r, err := s.NextReader()
			if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				return 0, io.EOF
			}
			if err != nil {
				return 0, err
			}
			s.reader = r
		}
		n, err := s.reader.Read(p)
		if err == io.EOF {
			s.reader, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *Stream) Write(p []byte) (int, error) {
	if err := s.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *Stream) Close() error {
	s.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	return s.Conn.Close()
}

func (s *Stream) LocalAddr() net.Addr  { return s.Conn.LocalAddr() }
func (s *Stream) RemoteAddr() net.Addr { return s.Conn.RemoteAddr() }

func (s *Stream) SetDeadline(t time.Time) error {
	if err := s.Conn.SetReadDeadline(t); err != nil {
		return err
	}
	return s.Conn.SetWriteDeadline(t)
}
func (s *Stream) SetReadDeadline(t time.Time) error  { return s.Conn.SetReadDeadline(t) }
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.Conn.SetWriteDeadline(t) }

// Lines is a connection and what it writes to: io.Writer's Write is promoted.
type Lines struct {
	*websocket.Conn
	io.Writer
}

var _ io.WriteCloser = (*Lines)(nil)

// Copy writes all messages as lines.
func (l *Lines) Copy() error {
	_, err := io.Copy(l, websocket.JoinMessages(l.Conn, "\n"))
	if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseNoStatusReceived) {
		return nil
	}
	return err
}
