//go:build go1.25

package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// The answers of testdata/dial, played by a scripted server: what the Dialer makes of
// each, when it arrives at once and when it arrives byte by byte.
func TestDialAnswerCases(t *testing.T) {
	hsReadCases(t, "dial", func(t *testing.T, c *hsCase) {
		hsPlayAnswer(t, c, net.Dial)
		t.Run("byte by byte", func(t *testing.T) {
			chunk := 1
			if len(c.wire(t, "answer", "")) > 1<<17 {
				chunk = 997 // so that the race detector is done in time
			}
			hsPlayAnswer(t, c, func(network, addr string) (net.Conn, error) {
				nc, err := net.Dial(network, addr)
				return &hsDripConn{nc, bufio.NewReader(nc), chunk}, err
			})
		})
	})
}

// hsDripConn is a connection of which each Read returns at most chunk bytes.
type hsDripConn struct {
	net.Conn
	br    *bufio.Reader
	chunk int
}

func (c *hsDripConn) Read(p []byte) (int, error) { return c.br.Read(p[:min(c.chunk, len(p))]) }

// hsScript runs a server on loopback that answers each request with what answer
// makes of its key, and then sends nothing more. It ends with the test.
func hsScript(t *testing.T, answer func(key string) string) (url string) {
	return "ws://" + proxyServe(t, func(nc net.Conn) error {
		req, err := http.ReadRequest(bufio.NewReader(nc))
		if err != nil {
			return err
		}
		io.WriteString(nc, answer(req.Header.Get("Sec-Websocket-Key"))) // the client may have gone
		nc.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("the client has not closed its connection")
		}
		return nil
	}) + "/"
}

// hsResult is a result section.
type hsResult struct {
	err, status, subprotocol, body string
	messages                       []string
	count                          string // of messages that are not given
	end                            string // the error of the read behind them
}

func hsParseResult(t *testing.T, c *hsCase) hsResult {
	r := hsResult{end: errUnexpectedEOF.Error()}
	for _, line := range c.sections["result"] {
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		value = hsExpand(t, value, "")
		switch {
		case !ok:
			t.Fatalf("%q is no line of a result", line)
		case key == "message":
			r.messages = append(r.messages, value)
		default:
			field, ok := map[string]*string{"error": &r.err, "status": &r.status, "subprotocol": &r.subprotocol,
				"body": &r.body, "messages": &r.count, "end": &r.end}[key]
			if !ok {
				t.Fatalf("%q is no line of a result", line)
			}
			*field = value
		}
	}
	return r
}

func hsPlayAnswer(t *testing.T, c *hsCase, dial func(network, addr string) (net.Conn, error)) {
	want := hsParseResult(t, c)
	url := hsScript(t, func(key string) string { return c.wire(t, "answer", key) })
	d := Dialer{NetDial: dial, HandshakeTimeout: hsPatience}
	if list, ok := c.setting("dialer", "subprotocols"); ok {
		d.Subprotocols = hsList(list)
	}
	conn, resp, err := d.Dial(url, nil)
	if conn != nil {
		defer conn.Close()
	}
	if (conn == nil) != (err != nil) {
		t.Fatalf("got connection %v and error %v, want one of them", conn, err)
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if prefix, open := strings.CutSuffix(want.err, "..."); open && strings.HasPrefix(text, prefix) {
		text = want.err // the rest of it is net/http's
	}
	if text != want.err {
		t.Fatalf("got error %q, want %q", text, want.err)
	}

	status, body := "", ""
	if resp != nil {
		status = fmt.Sprint(resp.StatusCode)
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("got error %v of the response's body, want none", err)
		}
		body = string(b)
	}
	if status != want.status || body != want.body {
		t.Errorf("got status %q and body %.50q, want %q and %.50q", status, body, want.status, want.body)
	}
	if conn == nil {
		if want.status != "" && err != ErrBadHandshake {
			t.Errorf("got error %#v, want ErrBadHandshake itself", err)
		}
		return
	}
	if got := conn.Subprotocol(); got != want.subprotocol {
		t.Errorf("got subprotocol %q, want %q", got, want.subprotocol)
	}
	hsCompareMessages(t, conn, want)
}

func hsCompareMessages(t *testing.T, conn *Conn, want hsResult) {
	conn.SetReadDeadline(time.Now().Add(hsPatience))
	var messages []string
	for {
		messageType, p, err := conn.ReadMessage()
		if err == nil || messageType != noMessage {
			messages = append(messages, string(p))
		}
		if err != nil {
			if err.Error() != want.end {
				t.Errorf("got error %q behind the messages, want %q", err, want.end)
			}
			break
		}
	}
	if want.count != "" {
		if got := fmt.Sprint(len(messages)); got != want.count {
			t.Errorf("got %s messages, want %s", got, want.count)
		}
		return
	}
	if len(messages) != len(want.messages) {
		t.Fatalf("got %d messages, want %d", len(messages), len(want.messages))
	}
	for i, got := range messages {
		if got != want.messages[i] {
			t.Errorf("got message %.50q, want %.50q", got, want.messages[i])
		}
	}
}

// What a server sends does not fill the logs.
func TestDialErrorIsShort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 4096))
		io.WriteString(c, strings.Repeat("x", 50_000)+"\r\n\r\n")
	}()
	_, _, err = DefaultDialer.Dial("ws://"+ln.Addr().String(), nil)
	if err == nil || len(err.Error()) > 300 || !strings.HasPrefix(err.Error(), "websocket: malformed HTTP") {
		t.Errorf("got %v, want a short error", err)
	}
}
