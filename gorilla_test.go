//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestUnderlyingConnIsNetConn(t *testing.T) {
	near, _ := tcpPair(t)
	c := newConn(near, true, nil, connOptions{})
	if got := c.UnderlyingConn(); got != near || got != c.NetConn() {
		t.Errorf("got %v, want the very connection", got)
	}
}

// The package's ReadJSON and WriteJSON are those of the connection.
func TestPackageLevelJSON(t *testing.T) {
	c, wire := newTestConn(t, true)
	if err := WriteJSON(c, bhPoint{X: 1}); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	wantFrames(t, wire, `fin=true op=1 masked=false "{\"x\":1}\n"`)
	if err := WriteJSON(c, make(chan int)); err == nil {
		t.Error("got no error for a channel, want that of encoding/json")
	}
	wantFrames(t, wire)
	wire.Write(bhFrame(true, 0x82, `{"x":2} `))
	wire.Write(bhFrame(true, 0x81, ``))
	var got bhPoint
	if err := ReadJSON(c, &got); err != nil || got.X != 2 {
		t.Errorf("got %v and error %v, want 2", got, err)
	}
	if err := ReadJSON(c, &got); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v for an empty message, want io.ErrUnexpectedEOF", err)
	}
}

// The package's Upgrade checks no origin.
func TestPackageLevelUpgrade(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	r := hsRequest()
	r.Header.Set("Origin", "http://evil.example")
	r.Header.Set("Sec-Websocket-Protocol", "chat, superchat")
	w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
	c, err := Upgrade(w, r, http.Header{"Sec-Websocket-Protocol": {"superchat"}, "X-A": {"1"}}, 10_000, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	const want = hsAnswer101 + "Sec-WebSocket-Protocol: superchat\r\nX-A: 1\r\n\r\n"
	if got := string(far.take()); got != want || c.Subprotocol() != "superchat" {
		t.Errorf("got subprotocol %q and answer %q, want superchat and %q", c.Subprotocol(), got, want)
	}
	if c.recv.restSize != 10_000 || c.writeBufferSize() != 32<<10 {
		t.Errorf("got buffers of %d and %d bytes, want the next powers of two", c.recv.restSize, c.writeBufferSize())
	}
}

// Where the package's Upgrade refuses, it leaves the answer to its caller.
func TestPackageLevelUpgradeAnswersNothing(t *testing.T) {
	for name, spoil := range map[string]func(*http.Request){
		"no upgrade":  func(r *http.Request) { r.Header = http.Header{} },
		"method":      func(r *http.Request) { r.Method = http.MethodPost },
		"version":     func(r *http.Request) { r.Header.Set("Sec-Websocket-Version", "8") },
		"key":         func(r *http.Request) { r.Header.Del("Sec-Websocket-Key") },
		"no hijacker": func(r *http.Request) {},
	} {
		r := hsRequest()
		spoil(r)
		w := httptest.NewRecorder()
		c, err := Upgrade(w, r, nil, 0, 0)
		if _, ok := err.(HandshakeError); !ok || c != nil {
			t.Errorf("%s: got %v and %T, want a HandshakeError", name, c, err)
		}
		if !w.Flushed && w.Body.Len() == 0 {
			w.WriteHeader(http.StatusTeapot) // is the first, and so the one that counts
		}
		if w.Code != http.StatusTeapot {
			t.Errorf("%s: got status %d and body %q, want the caller's", name, w.Code, w.Body)
		}
	}
}

// bhAnswer plays a server that gives the answer to one handshake, and returns the
// request when that has been done.
func bhAnswer(far net.Conn, answer func(key string) string) (request func() string) {
	var b bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(far, &b)))
		if err == nil {
			io.WriteString(far, answer(r.Header.Get("Sec-Websocket-Key")))
		}
	})
	return func() string {
		wg.Wait()
		return b.String()
	}
}

func TestNewClient(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	request := bhAnswer(far, func(key string) string {
		return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Accept: " + acceptKey(key) + "\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: a=1\r\n\r\n\x81\x05Hello"
	})
	u := &url.URL{Scheme: "ws", Host: "server.example.com", Path: "/chat", RawQuery: "a=b"}
	c, resp, err := NewClient(near, u, http.Header{"Origin": {"http://example.com"}, "Sec-Websocket-Protocol": {"chat"}}, 10_000, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	sent := request()
	if !strings.HasPrefix(sent, "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\n") {
		t.Errorf("got %q, want a request for the URL", sent)
	}
	if got := hsFields(sent, "Origin"); len(got) != 1 || got[0] != "Origin: http://example.com" {
		t.Errorf("got %q, want the program's Origin", got)
	}
	if c.Subprotocol() != "chat" || resp.StatusCode != 101 || resp.Header.Get("Set-Cookie") != "a=1" {
		t.Errorf("got subprotocol %q and answer %d %q, want chat and 101 with a cookie", c.Subprotocol(), resp.StatusCode, resp.Header)
	}
	if c.NetConn() != net.Conn(near) {
		t.Errorf("got NetConn %v, want the one that was given", c.NetConn())
	}
	if c.recv.restSize != 10_000 || c.writeBufferSize() != 32<<10 {
		t.Errorf("got buffers of %d and %d bytes, want the next powers of two", c.recv.restSize, c.writeBufferSize())
	}
	if _, p, err := c.ReadMessage(); string(p) != "Hello" || err != nil {
		t.Errorf("got %q and error %v, want the message behind the answer", p, err)
	}
	if err := c.WriteMessage(TextMessage, []byte("Hello")); err != nil {
		t.Errorf("got error %v of a write, want none", err)
	}
	wantFrames(t, far, `fin=true op=1 masked=true "Hello"`)
	if u.Scheme != "ws" {
		t.Errorf("got %v, want the caller's URL left alone", u)
	}
}

// A refusal is returned with the answer, and the connection is closed.
func TestNewClientRefused(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	bhAnswer(far, func(string) string { return "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno" })
	c, resp, err := NewClient(near, &url.URL{Scheme: "ws", Host: "a.example"}, nil, 0, 0)
	if c != nil || err != ErrBadHandshake || resp == nil || resp.StatusCode != 403 {
		t.Fatalf("got connection %v, answer %v and error %v, want 403 and ErrBadHandshake", c, resp, err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "no" || err != nil {
		t.Errorf("got body %q and error %v, want no", body, err)
	}
	if _, err := near.Write(nil); err != net.ErrClosed {
		t.Errorf("got error %v of a write, want the connection closed", err)
	}
}

// The connection is closed also where nothing could be sent.
func TestNewClientMisuse(t *testing.T) {
	near, _ := newPipe(t, 1<<20)
	c, _, err := NewClient(near, &url.URL{Scheme: "ftp", Host: "a.example"}, nil, 0, 0)
	if c != nil || err != errMalformedURL {
		t.Errorf("got connection %v and error %v, want %v", c, err, errMalformedURL)
	}
	if _, err := near.Write(nil); err != net.ErrClosed {
		t.Errorf("got error %v of a write, want the connection closed", err)
	}
}

// A wss URL means TLS, which NewClient starts.
func TestNewClientTLS(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	got := make(chan byte, 1)
	go func() {
		var b [1]byte
		io.ReadFull(far, b[:])
		far.Close()
		got <- b[0]
	}()
	c, _, err := NewClient(near, &url.URL{Scheme: "wss", Host: "a.example"}, nil, 0, 0)
	if c != nil || err == nil {
		t.Errorf("got connection %v and error %v, want an error", c, err)
	}
	const handshake = 22 // a record of TLS (RFC 8446, 5.1)
	if b := <-got; b != handshake {
		t.Errorf("got %q as the first byte, want the beginning of TLS", b)
	}
	if _, err := near.Write(nil); err != net.ErrClosed {
		t.Errorf("got error %v of a write, want the connection closed", err)
	}
}

// Levels are those of compress/flate.
func TestSetCompressionLevel(t *testing.T) {
	c, _ := newTestConn(t, true)
	for level := -10; level <= 20; level++ {
		err := c.SetCompressionLevel(level)
		if ok := -2 <= level && level <= 9; ok && err != nil {
			t.Errorf("%d: got error %v, want none", level, err)
		} else if !ok && (err == nil || err.Error() != "websocket: invalid compression level") {
			t.Errorf("%d: got error %v, want websocket: invalid compression level", level, err)
		}
	}
}

// Where compression was not negotiated, neither method changes what is sent.
func TestCompressionMethodsWithoutCompression(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		for _, enable := range []bool{true, false, true} {
			c.EnableWriteCompression(enable)
			c.SetCompressionLevel(9)
			text := strings.Repeat("a", 1000)
			if err := c.WriteMessage(TextMessage, []byte(text)); err != nil {
				t.Errorf("got error %v, want none", err)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=1 masked=%v %q", !server, text))
		}
	})
}

// A WriteBufferPool may hold what it likes. *sync.Pool is one.
func TestWriteBufferPoolIsLeftAlone(t *testing.T) {
	pool := &sync.Pool{New: func() any {
		t.Error("got a call of Get, want none")
		return nil
	}}
	u := Upgrader{WriteBufferPool: pool, WriteBufferSize: 1024}
	d := Dialer{WriteBufferPool: pool, WriteBufferSize: 1024}
	addr, _ := hsServe(t, u)
	c := hsDial(t, d, "http://"+addr)
	hsWantEcho(t, c, strings.Repeat("x", 5000))
	if err := c.WriteControl(CloseMessage, nil, time.Now().Add(hsPatience)); err != nil {
		t.Error(err)
	}
}
