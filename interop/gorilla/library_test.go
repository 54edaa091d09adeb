// Package gorilla compares this library with gorilla/websocket v1.5.3. Each
// scenario is written once, and runs with each of the two as the client and as
// the server. What their programs see and what goes over the wire must be what two
// ends of gorilla/websocket see and send, except for the differences on purpose,
// which are listed in the differences_*_test.go files.
package gorilla

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	theirs "github.com/gorilla/websocket"
)

// conn is what the Conn types of both libraries have, method for method, except
// for WritePreparedMessage, whose argument has a type of the library.
type conn interface {
	Close() error
	CloseHandler() func(code int, text string) error
	EnableWriteCompression(enable bool)
	LocalAddr() net.Addr
	NetConn() net.Conn
	NextReader() (messageType int, r io.Reader, err error)
	NextWriter(messageType int) (io.WriteCloser, error)
	PingHandler() func(appData string) error
	PongHandler() func(appData string) error
	ReadJSON(v any) error
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
	WriteJSON(v any) error
	WriteMessage(messageType int, data []byte) error
}

// library is one of the two, behind functions without its types. The options are
// gorilla's Upgrader and Dialer for both: this library has all of their fields.
type library struct {
	upgrade func(o *theirs.Upgrader, w http.ResponseWriter, r *http.Request, h http.Header) (conn, error)
	dial    func(ctx context.Context, o *theirs.Dialer, url string, h http.Header) (conn, *http.Response, error)

	// Of the deprecated functions.
	oldUpgrade   func(w http.ResponseWriter, r *http.Request, h http.Header) (conn, error)
	oldNewClient func(nc net.Conn, u *url.URL, h http.Header) (conn, *http.Response, error)
	oldWriteJSON func(c conn, v any) error
	oldReadJSON  func(c conn, v any) error

	prepare  func(messageType int, data []byte) (prepared any, err error)
	send     func(c conn, prepared any) error
	join     func(c conn, term string) io.Reader
	asClose  func(err error) (code int, text string, ok bool)
	newClose func(code int, text string) error

	isHandshakeError func(err error) bool

	formatClose       func(code int, text string) []byte
	isClose           func(err error, codes ...int) bool
	isUnexpectedClose func(err error, codes ...int) bool
	subprotocols      func(r *http.Request) []string
	isUpgrade         func(r *http.Request) bool

	errCloseSent, errReadLimit, errBadHandshake error
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// withoutAddress replaces the addresses in s, which differ from run to run.
func withoutAddress(s string) string { return address.ReplaceAllString(s, "ADDR") }

// describe returns all that a program can find out about an error.
func (l *library) describe(err error) string {
	if err == nil {
		return "ok"
	}
	var facts []string
	fact := func(is bool, name string) {
		if is {
			facts = append(facts, name)
		}
	}
	if code, text, ok := l.asClose(err); ok {
		facts = append(facts, fmt.Sprintf("CloseError %d %q", code, text))
		fact(!l.isClose(err, 1, code), "but not IsCloseError")
		fact(l.isUnexpectedClose(err, 1, code), "but IsUnexpectedCloseError")
	} else {
		fact(l.isClose(err, 1000) || l.isUnexpectedClose(err), "taken for a CloseError")
	}
	fact(l.isHandshakeError(err), "HandshakeError")
	fact(err == l.errCloseSent, "ErrCloseSent")
	fact(err == l.errReadLimit, "ErrReadLimit")
	fact(err == l.errBadHandshake, "ErrBadHandshake")
	fact(err == io.EOF, "io.EOF")
	fact(err == io.ErrUnexpectedEOF, "io.ErrUnexpectedEOF")
	fact(errors.Is(err, net.ErrClosed), "is net.ErrClosed")
	fact(errors.Is(err, os.ErrDeadlineExceeded), "is os.ErrDeadlineExceeded")
	fact(errors.Is(err, context.Canceled), "is context.Canceled")
	fact(errors.Is(err, context.DeadlineExceeded), "is context.DeadlineExceeded")
	if e, ok := err.(net.Error); ok {
		fact(e.Timeout(), "net.Error with Timeout")
		fact(!e.Timeout(), "net.Error")
	}
	s := fmt.Sprintf("error %q", withoutAddress(err.Error()))
	if len(facts) > 0 {
		s += " (" + strings.Join(facts, ", ") + ")"
	}
	return s
}
