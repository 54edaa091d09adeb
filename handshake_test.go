package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hsPatience is how long a test waits for what comes at once unless the library is wrong.
const hsPatience = 20 * time.Second

// Frames of a client, as in the examples of RFC 6455, 5.7, and of a server.
const (
	hsMaskedHello = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
	hsMaskedPing  = "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
	hsMaskedClose = "\x88\x82\x37\xfa\x21\x3d\x34\x12" // 1000
	hsHello       = "\x81\x05Hello"
	hsClose       = "\x88\x02\x03\xe8"
)

// hsUpgrade is what came out of one call of Upgrade.
type hsUpgrade struct {
	subprotocol string
	err         error
}

// hsServe returns the address of a server that upgrades every request and echoes its
// messages, and what came of each.
func hsServe(t *testing.T, u Upgrader) (addr string, upgrades <-chan hsUpgrade) {
	results := make(chan hsUpgrade, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			results <- hsUpgrade{err: err}
			return
		}
		defer c.Close()
		results <- hsUpgrade{subprotocol: c.Subprotocol()}
		hsEcho(c)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), results
}

// hsEcho sends back every message until there are no more, and returns why.
func hsEcho(c *Conn) error {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			return err
		}
	}
}

// hsDial returns a connection to the server at a URL with the scheme http or https. It
// is closed with the test, and has a deadline by which a test is done unless it is stuck.
func hsDial(t *testing.T, d Dialer, url string) *Conn {
	t.Helper()
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatalf("got error %v, want a connection", err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(hsPatience))
	return c
}

// hsWantEcho sends a message to a server that sends it back.
func hsWantEcho(t *testing.T, c *Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(TextMessage, []byte(text)); err != nil {
		t.Errorf("got error %v of a write, want none", err)
		return
	}
	if messageType, p, err := c.ReadMessage(); messageType != TextMessage || string(p) != text || err != nil {
		t.Errorf("got type %d, %.100q and error %v, want %d and %.100q", messageType, p, err, TextMessage, text)
	}
}

// hsAnswer is the head of an answer, as it is on the wire.
type hsAnswer struct {
	status string
	fields []string
}

// get returns the values of a field's lines.
func (a hsAnswer) get(name string) []string {
	var values []string
	for _, field := range a.fields {
		if n, v, _ := strings.Cut(field, ":"); strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// hsReadAnswer reads the head of an answer, and the body if its length is known.
func hsReadAnswer(t *testing.T, br *bufio.Reader, method string) (a hsAnswer) {
	t.Helper()
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatalf("got %q and error %v in the head of the answer, want a line", line, err)
		}
		line, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			t.Errorf("got line %q, want it to end in CRLF", line)
		}
		switch {
		case line == "":
			for _, length := range a.get("Content-Length") {
				if n, err := strconv.Atoi(length); err != nil {
					t.Errorf("got Content-Length %q, want a number", length)
				} else if method != http.MethodHead {
					br.Discard(n)
				}
			}
			return a
		case a.status == "":
			a.status = line
		default:
			a.fields = append(a.fields, line)
		}
	}
}

// compare checks the status and the fields that the lines name: "Name: value" with
// all of its lines, or "no Name". What net/http adds to the reason phrase is its own affair.
func (a hsAnswer) compare(t *testing.T, lines []string) {
	t.Helper()
	want := make(map[string][]string)
	for i, line := range lines {
		absent, isAbsent := strings.CutPrefix(line, "no ")
		switch name, value, ok := strings.Cut(line, ": "); {
		case i == 0:
			if !strings.HasPrefix(a.status, line) {
				t.Errorf("got status %q, want %q", a.status, line)
			}
		case line == "":
		case isAbsent:
			if got := a.get(absent); got != nil {
				t.Errorf("got %s: %q, want none", absent, got)
			}
		case ok:
			want[name] = append(want[name], value)
		default:
			t.Fatalf("%q is no line of an answer", line)
		}
	}
	for name, values := range want {
		if got := a.get(name); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", values) {
			t.Errorf("got %s: %q, want %q", name, got, values)
		}
	}
}

// The requests of testdata/handshake, played to a net/http server byte for byte, at once
// and one at a time. Behind every answer the client sends frames: a connection answers
// them, and after a refusal nothing of them is parsed, nor is the handler called again
// (request smuggling).
func TestHandshakeCases(t *testing.T) {
	hsReadCases(t, "handshake", func(t *testing.T, c *hsCase) {
		request := c.wire(t, "request", "")
		hsPlayRequest(t, c, func(nc net.Conn) { io.WriteString(nc, request) })
		if len(request) > 1024 {
			return
		}
		t.Run("byte by byte", func(t *testing.T) {
			hsPlayRequest(t, c, func(nc net.Conn) {
				for i := range len(request) {
					io.WriteString(nc, request[i:i+1])
				}
			})
		})
	})
}

func hsPlayRequest(t *testing.T, c *hsCase, send func(net.Conn)) {
	var u Upgrader
	if list, ok := c.setting("upgrader", "subprotocols"); ok {
		u.Subprotocols = hsList(list)
	}
	if list, ok := c.setting("upgrader", "origins"); ok {
		u.OriginPatterns = hsList(list)
	}
	if answer, ok := c.setting("upgrader", "checkorigin"); ok {
		u.CheckOrigin = func(*http.Request) bool { return answer == "yes" }
	}
	addr, upgrades := hsServe(t, u)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hsPatience))

	send(nc)
	br := bufio.NewReader(nc)
	method, _, _ := strings.Cut(c.sections["request"][0], " ")
	answer := hsReadAnswer(t, br, method)
	answer.compare(t, c.sections["answer"])
	accepted := strings.HasPrefix(answer.status, "HTTP/1.1 101 ")
	wantError := c.text("error")
	if accepted || wantError != "" {
		hsCompareUpgrade(t, <-upgrades, wantError, answer)
	}

	io.WriteString(nc, hsMaskedHello+hsMaskedPing+hsMaskedClose)
	if !accepted {
		io.WriteString(nc, "\r\n\r\n") // so that an HTTP server has something to refuse
		nc.(*net.TCPConn).CloseWrite()
	}
	rest, err := io.ReadAll(br)
	// A server that closes without having read all resets the connection.
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got error %v after %q, want the end", err, rest)
	}
	switch {
	case accepted:
		if want := hsHello + "\x8a\x05Hello" + hsClose; string(rest) != want {
			t.Errorf("got %q behind the answer, want %q", rest, want)
		}
		return
	case wantError == "":
		if bytes.ContainsFunc(rest, func(r rune) bool { return r >= 0x80 }) {
			t.Errorf("got %q behind net/http's refusal, want text at most", rest)
		}
	case len(rest) > 0 && !strings.HasPrefix(string(rest), "HTTP/1.1 400 Bad Request\r\n"):
		t.Errorf("got %q for frames after a refusal, want nothing or HTTP's 400", rest)
	}
	select {
	case again := <-upgrades:
		t.Errorf("got another call of the handler with error %v, want none", again.err)
	default:
	}
}

func hsCompareUpgrade(t *testing.T, got hsUpgrade, wantError string, answer hsAnswer) {
	t.Helper()
	if wantError == "" {
		if got.err != nil {
			t.Errorf("got error %v, want a connection", got.err)
		}
		if protocols := answer.get("Sec-WebSocket-Protocol"); got.subprotocol != strings.Join(protocols, "+") {
			t.Errorf("got Conn.Subprotocol %q, want that of the answer: %q", got.subprotocol, protocols)
		}
		return
	}
	if _, ok := got.err.(HandshakeError); !ok || got.err.Error() != wantError {
		t.Errorf("got %T %q, want a HandshakeError %q", got.err, got.err, wantError)
	}
}
