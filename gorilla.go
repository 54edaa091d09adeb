package websocket

import (
	"maps"
	"net"
	"net/http"
	"net/url"
)

// What is here only so that programs written for gorilla/websocket compile.

// UnderlyingConn returns NetConn.
//
// Deprecated: Use NetConn.
func (c *Conn) UnderlyingConn() net.Conn { return c.NetConn() }

// Upgrade upgrades the request without a check of its origin, so that a page of any
// site can connect on behalf of its visitors. It answers no request that it refuses:
// the caller does.
//
// Deprecated: Use Upgrader.
func Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header, readBufSize, writeBufSize int) (*Conn, error) {
	before := maps.Clone(w.Header())
	u := Upgrader{
		ReadBufferSize:  readBufSize,
		WriteBufferSize: writeBufSize,
		Error: func(w http.ResponseWriter, _ *http.Request, _ int, _ error) {
			h := w.Header() // which has fields for an answer of the Upgrader
			clear(h)
			maps.Copy(h, before)
		},
		CheckOrigin: func(*http.Request) bool { return true },
	}
	return u.Upgrade(w, r, responseHeader)
}

// NewClient makes the client's opening handshake on netConn, which it closes where
// that fails. For a wss URL it starts TLS first.
//
// Deprecated: Use Dialer with NetDial.
func NewClient(netConn net.Conn, u *url.URL, requestHeader http.Header, readBufSize, writeBufSize int) (c *Conn, response *http.Response, err error) {
	d := Dialer{
		ReadBufferSize:  readBufSize,
		WriteBufferSize: writeBufSize,
		NetDial:         func(string, string) (net.Conn, error) { return netConn, nil },
	}
	c, response, err = d.Dial(u.String(), requestHeader)
	if err != nil {
		netConn.Close() // which has not been done where nothing was dialed
	}
	return c, response, err
}
