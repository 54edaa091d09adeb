// Package api uses the names of gorilla/websocket in the ways in which they can be
// used: what is here has to compile.
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// The constants are untyped.
const (
	goingAway int64   = websocket.CloseGoingAway
	small     uint16  = websocket.CloseTLSHandshake
	sum               = websocket.CloseNormalClosure + websocket.TextMessage
	float     float32 = websocket.BinaryMessage
)

var (
	textByte   byte = websocket.TextMessage
	controls        = [...]int8{websocket.CloseMessage, websocket.PingMessage, websocket.PongMessage}
	closeCodes      = map[int]string{
		websocket.CloseNormalClosure:           "normal closure",
		websocket.CloseGoingAway:               "going away",
		websocket.CloseProtocolError:           "protocol error",
		websocket.CloseUnsupportedData:         "unsupported data",
		websocket.CloseNoStatusReceived:        "no status",
		websocket.CloseAbnormalClosure:         "abnormal closure",
		websocket.CloseInvalidFramePayloadData: "invalid payload",
		websocket.ClosePolicyViolation:         "policy violation",
		websocket.CloseMessageTooBig:           "message too big",
		websocket.CloseMandatoryExtension:      "mandatory extension",
		websocket.CloseInternalServerErr:       "internal error",
		websocket.CloseServiceRestart:          "service restart",
		websocket.CloseTryAgainLater:           "try again later",
		websocket.CloseTLSHandshake:            "TLS handshake",
	}
)

// closeError has the shape of a CloseError: nothing but these two, in this order.
// So a CloseError without field names compiles, too; go vet forbids to write one.
type closeError struct {
	Code int
	Text string
}

var normal = toCloseError(closeError{1000, "x"})

func toCloseError(e closeError) *websocket.CloseError { return (*websocket.CloseError)(&e) }

// everyField has all fields that an Upgrader and a Dialer have.
var everyField = websocket.Upgrader{
	HandshakeTimeout: time.Second,
	ReadBufferSize:   1024,
	WriteBufferSize:  1024,
	WriteBufferPool:  &sync.Pool{},
	Subprotocols:     []string{"chat"},
	Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
		http.Error(w, reason.Error(), status)
	},
	CheckOrigin:       func(r *http.Request) bool { return r.Header.Get("Origin") != "http://evil.example" },
	EnableCompression: true,
}

func everyDialerField() websocket.Dialer {
	return websocket.Dialer{
		NetDial:           net.Dial,
		NetDialContext:    new(net.Dialer).DialContext,
		NetDialTLSContext: new(tls.Dialer).DialContext,
		Proxy:             func(*http.Request) (*url.URL, error) { return nil, nil },
		TLSClientConfig:   &tls.Config{},
		HandshakeTimeout:  time.Second,
		ReadBufferSize:    1024,
		WriteBufferSize:   1024,
		WriteBufferPool:   &sync.Pool{},
		Subprotocols:      []string{"chat"},
		EnableCompression: true,
		Jar:               nil,
	}
}

// Functions and methods as values.
var (
	_ func(closeCode int, text string) []byte                                        = websocket.FormatCloseMessage
	_ func(error, ...int) bool                                                       = websocket.IsCloseError
	_ func(error, ...int) bool                                                       = websocket.IsUnexpectedCloseError
	_ func(*http.Request) bool                                                       = websocket.IsWebSocketUpgrade
	_ func(*http.Request) []string                                                   = websocket.Subprotocols
	_ func(int, []byte) (*websocket.PreparedMessage, error)                          = websocket.NewPreparedMessage
	_ func(*websocket.Conn, int, []byte) error                                       = (*websocket.Conn).WriteMessage
	_ func(*websocket.Conn) (int, []byte, error)                                     = (*websocket.Conn).ReadMessage
	_ func(string, http.Header) (*websocket.Conn, *http.Response, error)             = websocket.DefaultDialer.Dial
	_ func(http.ResponseWriter, *http.Request, http.Header) (*websocket.Conn, error) = everyField.Upgrade
)

// shortDialer is a copy of the default dialer with another timeout.
func shortDialer() *websocket.Dialer {
	d := *websocket.DefaultDialer
	d.HandshakeTimeout = 5 * time.Second
	return &d
}

// Why says in a word why a connection has ended.
func Why(err error) string {
	switch err {
	case nil:
		return "it has not"
	case websocket.ErrCloseSent:
		return "we have closed"
	case websocket.ErrReadLimit:
		return "too much"
	case websocket.ErrBadHandshake:
		return "it never began"
	}
	switch e := err.(type) {
	case *websocket.CloseError:
		if name, ok := closeCodes[e.Code]; ok {
			return name
		}
		return e.Text
	case websocket.HandshakeError:
		return "refused: " + e.Error()
	case net.Error:
		if e.Timeout() {
			return "timeout"
		}
	}
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return "wrapped: " + closed.Text
	}
	return err.Error()
}

// dialer is a nil *Dialer, which is as good as the default one.
var dialer *websocket.Dialer

// Dial dials with a nil Dialer.
func Dial(ctx context.Context, url string) (*websocket.Conn, *http.Response, error) {
	return dialer.DialContext(ctx, url, nil)
}
