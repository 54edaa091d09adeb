// Package mocks uses WebSockets behind interfaces of its own, which its tests
// implement without a network.
package mocks

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// Conn is all of *websocket.Conn, as a generator of mocks writes it.
type Conn interface {
	Close() error
	CloseHandler() func(code int, text string) error
	EnableWriteCompression(enable bool)
	LocalAddr() net.Addr
	NetConn() net.Conn
	NextReader() (messageType int, r io.Reader, err error)
	NextWriter(messageType int) (io.WriteCloser, error)
	PingHandler() func(appData string) error
	PongHandler() func(appData string) error
	ReadJSON(v interface{}) error
	ReadMessage() (messageType int, p []byte, err error)
	RemoteAddr() net.Addr
	SetCloseHandler(h func(code int, text string) error)
	SetCompressionLevel(level int) error
	SetPingHandler(h func(appData string) error)
	SetPongHandler(h func(appData string) error)
	SetReadDeadline(t time.Time) error
	SetReadLimit(limit int64)
	SetWriteDeadline(t time.Time) error
	Subprotocol() string
	UnderlyingConn() net.Conn
	WriteControl(messageType int, data []byte, deadline time.Time) error
	WriteJSON(v interface{}) error
	WriteMessage(messageType int, data []byte) error
	WritePreparedMessage(pm *websocket.PreparedMessage) error
}

// Upgrader and Dialer are the interfaces of the two types that make connections.
type (
	Upgrader interface {
		Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header) (*websocket.Conn, error)
	}
	Dialer interface {
		Dial(urlStr string, requestHeader http.Header) (*websocket.Conn, *http.Response, error)
		DialContext(ctx context.Context, urlStr string, requestHeader http.Header) (*websocket.Conn, *http.Response, error)
	}
)

var (
	_ Conn                 = (*websocket.Conn)(nil)
	_ Upgrader             = (*websocket.Upgrader)(nil)
	_ Dialer               = (*websocket.Dialer)(nil)
	_ Dialer               = websocket.DefaultDialer
	_ error                = (*websocket.CloseError)(nil)
	_ error                = websocket.HandshakeError{}
	_ websocket.BufferPool = pool{}

	_ func(conn Conn, event Event) error = Publish
)

// pool is a BufferPool of the program's own.
type pool struct{}

func (pool) Get() interface{}  { return nil }
func (pool) Put(v interface{}) {}

// Writer is as much of Conn as Publish needs.
type Writer interface {
	SetWriteDeadline(t time.Time) error
	WriteJSON(v interface{}) error
	Close() error
}

// Event is what is published.
type Event struct {
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
	Retry bool      `json:"-"`
}

// Publish sends an event, twice if need be.
func publish(w Writer, event Event) error {
	for tries := 0; ; tries++ {
		w.SetWriteDeadline(time.Now().Add(time.Second))
		err := w.WriteJSON(event)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && event.Retry && tries == 0 {
			continue
		}
		if err != nil {
			w.Close()
		}
		return err
	}
}

// Publish sends an event.
func Publish(conn Conn, event Event) error { return publish(conn, event) }

// Last reads messages until the peer closes, and returns the last one.
func Last(r interface {
	ReadMessage() (messageType int, p []byte, err error)
}) (last string, err error) {
	for {
		_, p, err := r.ReadMessage()
		switch e := err.(type) {
		case nil:
			last = string(p)
		case *websocket.CloseError:
			if e.Code == websocket.CloseNormalClosure {
				return last, nil
			}
			return last, e
		default:
			return last, err
		}
	}
}

// Connect dials until it works, as often as tries says.
func Connect(d Dialer, url string, tries int) (conn *websocket.Conn, err error) {
	for range tries {
		if conn, _, err = d.Dial(url, nil); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
