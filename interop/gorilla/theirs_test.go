package gorilla

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"

	theirs "github.com/gorilla/websocket"
)

var _ conn = (*theirs.Conn)(nil)

// gorilla is github.com/gorilla/websocket.
var gorilla = &library{
	upgrade: func(o *theirs.Upgrader, w http.ResponseWriter, r *http.Request, h http.Header) (conn, error) {
		return theirConn(o.Upgrade(w, r, h))
	},
	dial: func(ctx context.Context, o *theirs.Dialer, url string, h http.Header) (conn, *http.Response, error) {
		c, resp, err := o.DialContext(ctx, url, h)
		nc, err := theirConn(c, err)
		return nc, resp, err
	},
	oldUpgrade: func(w http.ResponseWriter, r *http.Request, h http.Header) (conn, error) {
		//lint:ignore SA1019 programs use it
		return theirConn(theirs.Upgrade(w, r, h, 1024, 1024))
	},
	oldNewClient: func(nc net.Conn, u *url.URL, h http.Header) (conn, *http.Response, error) {
		//lint:ignore SA1019 programs use it
		c, resp, err := theirs.NewClient(nc, u, h, 1024, 1024)
		wc, err := theirConn(c, err)
		return wc, resp, err
	},
	//lint:ignore SA1019 programs use it
	oldWriteJSON: func(c conn, v any) error { return theirs.WriteJSON(c.(*theirs.Conn), v) },
	//lint:ignore SA1019 programs use it
	oldReadJSON: func(c conn, v any) error { return theirs.ReadJSON(c.(*theirs.Conn), v) },
	prepare: func(messageType int, data []byte) (any, error) {
		return theirs.NewPreparedMessage(messageType, data)
	},
	send: func(c conn, prepared any) error {
		return c.(*theirs.Conn).WritePreparedMessage(prepared.(*theirs.PreparedMessage))
	},
	join: func(c conn, term string) io.Reader { return theirs.JoinMessages(c.(*theirs.Conn), term) },
	asClose: func(err error) (int, string, bool) {
		e, ok := err.(*theirs.CloseError)
		if !ok {
			return 0, "", false
		}
		return e.Code, e.Text, true
	},
	newClose: func(code int, text string) error { return &theirs.CloseError{Code: code, Text: text} },
	isHandshakeError: func(err error) bool {
		_, ok := err.(theirs.HandshakeError)
		return ok
	},
	formatClose:       theirs.FormatCloseMessage,
	isClose:           theirs.IsCloseError,
	isUnexpectedClose: theirs.IsUnexpectedCloseError,
	subprotocols:      theirs.Subprotocols,
	isUpgrade:         theirs.IsWebSocketUpgrade,
	errCloseSent:      theirs.ErrCloseSent,
	errReadLimit:      theirs.ErrReadLimit,
	errBadHandshake:   theirs.ErrBadHandshake,
}

// theirConn keeps a nil *Conn from becoming a conn that is not nil.
func theirConn(c *theirs.Conn, err error) (conn, error) {
	if c == nil {
		return nil, err
	}
	return c, err
}
