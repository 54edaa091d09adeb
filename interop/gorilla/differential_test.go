package gorilla

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	theirs "github.com/gorilla/websocket"
	ours "github.com/switching-protocols/websocket"
)

// fedConn is a network connection on which the input comes, and then its end. To a client's request it answers
// with the handshake first.
type fedConn struct {
	in      io.Reader
	written bytes.Buffer
	client  bool
}

func (c *fedConn) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c *fedConn) Write(p []byte) (int, error) {
	c.written.Write(p)
	if c.client && bytes.HasSuffix(c.written.Bytes(), []byte("\r\n\r\n")) {
		c.client = false
		req, err := http.ReadRequest(bufio.NewReader(&c.written))
		if err != nil {
			return 0, err
		}
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
			accept(req.Header.Get("Sec-Websocket-Key")) + "\r\n\r\n"
		c.in = io.MultiReader(bytes.NewReader([]byte(answer)), c.in)
		c.written.Reset()
	}
	return len(p), nil
}

func (c *fedConn) Close() error                     { return nil }
func (c *fedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *fedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *fedConn) SetDeadline(time.Time) error      { return nil }
func (c *fedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *fedConn) SetWriteDeadline(time.Time) error { return nil }

// fedHijacker gives the connection to an Upgrader.
type fedHijacker struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (w fedHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.nc, bufio.NewReadWriter(bufio.NewReader(bytes.NewReader(nil)), bufio.NewWriter(w.nc)), nil
}

// fed returns a connection of the library that reads the input.
func (l *library) fed(t *testing.T, input []byte, server bool) conn {
	nc := &fedConn{in: bytes.NewReader(input), client: !server}
	var c conn
	var err error
	if server {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		c, err = l.upgrade(&theirs.Upgrader{}, fedHijacker{httptest.NewRecorder(), nc}, r, nil)
	} else {
		c, _, err = l.oldNewClient(nc, &url.URL{Scheme: "ws", Host: "example.com"}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// readFed returns the messages and the control frames that come, and the error behind them.
func readFed(c conn) (events []string, err error) {
	note := func(what, payload string) { events = append(events, fmt.Sprintf("%s %q", what, payload)) }
	ping, pong := c.PingHandler(), c.PongHandler()
	c.SetPingHandler(func(s string) error { note("ping", s); return ping(s) })
	c.SetPongHandler(func(s string) error { note("pong", s); return pong(s) })
	c.SetReadLimit(1 << 16)
	for len(events) < 500 {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return events, err
		}
		note(fmt.Sprint(messageType), string(p))
	}
	return events, nil
}

// FuzzDifferential has both libraries read the same bytes. This one may be stricter, and then gives what comes before,
// and a verdict of its own; else both see the same messages and the same end.
func FuzzDifferential(f *testing.F) {
	for _, s := range []string{
		"", "\x81\x05Hello", "\x01\x03Hel\x80\x02lo", "\x89\x01p\x81\x00", "\x88\x02\x03\xe8", "\x88\x00", "\x82\x7e\x01\x00",
		"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", "\x8a\x01x\x82\x02\xff\xfe", "\x01\x01a\x89\x00\x80\x01b", "\x81\x02\xc3\x28",
		"\x91\x00", "\x83\x00", "\x80\x00", "\x01\x00\x01\x00", "\x09\x00", "\x89\x7e\x00\x7e",
	} {
		f.Add([]byte(s), false)
		masked := []byte(s)
		if len(masked) >= 2 {
			masked[1] |= 0x80
			masked = slices.Insert(masked, 2, 0, 0, 0, 0)
		}
		f.Add(masked, true)
	}
	f.Fuzz(func(t *testing.T, input []byte, server bool) {
		want, wantErr := readFed(gorilla.fed(t, input, server))
		got, err := readFed(here.fed(t, input, server))
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("got %q, and gorilla %q", got, want)
		}
		var closed *ours.CloseError
		var theirClosed *theirs.CloseError
		ended := errors.As(err, &closed)
		if len(got) < len(want) {
			if ended || err == nil {
				t.Fatalf("got %q and %v, and gorilla %q", got, err, want)
			}
			return // a verdict on what gorilla accepts
		}
		switch {
		case !ended:
		case !errors.As(wantErr, &theirClosed):
			t.Errorf("got %v, and gorilla %v", err, wantErr)
		case closed.Code != theirClosed.Code || closed.Text != theirClosed.Text:
			t.Errorf("got %v, and gorilla %v", err, wantErr)
		}
	})
}
