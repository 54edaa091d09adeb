package gorilla

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"

	theirs "github.com/gorilla/websocket"
	ours "github.com/switching-protocols/websocket"
)

var _ conn = (*ours.Conn)(nil)

// here is this library.
var here = &library{
	upgrade: func(o *theirs.Upgrader, w http.ResponseWriter, r *http.Request, h http.Header) (conn, error) {
		return ourConn(ourUpgrader(o).Upgrade(w, r, h))
	},
	dial: func(ctx context.Context, o *theirs.Dialer, url string, h http.Header) (conn, *http.Response, error) {
		c, resp, err := ourDialer(o).DialContext(ctx, url, h)
		nc, err := ourConn(c, err)
		return nc, resp, err
	},
	oldUpgrade: func(w http.ResponseWriter, r *http.Request, h http.Header) (conn, error) {
		//lint:ignore SA1019 programs use it
		return ourConn(ours.Upgrade(w, r, h, 1024, 1024))
	},
	oldNewClient: func(nc net.Conn, u *url.URL, h http.Header) (conn, *http.Response, error) {
		//lint:ignore SA1019 programs use it
		c, resp, err := ours.NewClient(nc, u, h, 1024, 1024)
		wc, err := ourConn(c, err)
		return wc, resp, err
	},
	//lint:ignore SA1019 programs use it
	oldWriteJSON: func(c conn, v any) error { return ours.WriteJSON(c.(*ours.Conn), v) },
	//lint:ignore SA1019 programs use it
	oldReadJSON: func(c conn, v any) error { return ours.ReadJSON(c.(*ours.Conn), v) },
	prepare: func(messageType int, data []byte) (any, error) {
		return ours.NewPreparedMessage(messageType, data)
	},
	send: func(c conn, prepared any) error {
		return c.(*ours.Conn).WritePreparedMessage(prepared.(*ours.PreparedMessage))
	},
	join: func(c conn, term string) io.Reader { return ours.JoinMessages(c.(*ours.Conn), term) },
	asClose: func(err error) (int, string, bool) {
		e, ok := err.(*ours.CloseError)
		if !ok {
			return 0, "", false
		}
		return e.Code, e.Text, true
	},
	newClose: func(code int, text string) error { return &ours.CloseError{Code: code, Text: text} },
	isHandshakeError: func(err error) bool {
		_, ok := err.(ours.HandshakeError)
		return ok
	},
	formatClose:       ours.FormatCloseMessage,
	isClose:           ours.IsCloseError,
	isUnexpectedClose: ours.IsUnexpectedCloseError,
	subprotocols:      ours.Subprotocols,
	isUpgrade:         ours.IsWebSocketUpgrade,
	errCloseSent:      ours.ErrCloseSent,
	errReadLimit:      ours.ErrReadLimit,
	errBadHandshake:   ours.ErrBadHandshake,
}

// ourConn keeps a nil *Conn from becoming a conn that is not nil.
func ourConn(c *ours.Conn, err error) (conn, error) {
	if c == nil {
		return nil, err
	}
	return c, err
}

func ourUpgrader(o *theirs.Upgrader) *ours.Upgrader {
	return &ours.Upgrader{
		HandshakeTimeout:  o.HandshakeTimeout,
		ReadBufferSize:    o.ReadBufferSize,
		WriteBufferSize:   o.WriteBufferSize,
		WriteBufferPool:   o.WriteBufferPool,
		Subprotocols:      o.Subprotocols,
		Error:             o.Error,
		CheckOrigin:       o.CheckOrigin,
		EnableCompression: o.EnableCompression,
	}
}

// ourDialer returns nil for nil: the methods of a nil *Dialer work.
func ourDialer(o *theirs.Dialer) *ours.Dialer {
	if o == nil {
		return nil
	}
	return &ours.Dialer{
		NetDial:           o.NetDial,
		NetDialContext:    o.NetDialContext,
		NetDialTLSContext: o.NetDialTLSContext,
		Proxy:             o.Proxy,
		TLSClientConfig:   o.TLSClientConfig,
		HandshakeTimeout:  o.HandshakeTimeout,
		ReadBufferSize:    o.ReadBufferSize,
		WriteBufferSize:   o.WriteBufferSize,
		WriteBufferPool:   o.WriteBufferPool,
		Subprotocols:      o.Subprotocols,
		EnableCompression: o.EnableCompression,
		Jar:               o.Jar,
	}
}
