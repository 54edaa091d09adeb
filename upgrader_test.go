//go:build go1.25

package websocket

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// hsRequest returns the handshake of RFC 6455, 1.2, as net/http hands it to a handler.
func hsRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://server.example.com/chat", nil)
	r.Header = http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	return r
}

// hsHijacker is a ResponseWriter whose connection is one of the test's.
type hsHijacker struct {
	*httptest.ResponseRecorder
	conn net.Conn
	br   *bufio.Reader
	err  error
}

func (w *hsHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	br := w.br
	if br == nil {
		br = bufio.NewReader(w.conn)
	}
	return w.conn, bufio.NewReadWriter(br, bufio.NewWriter(w.conn)), w.err
}

// hsUpgradeOver upgrades the handshake over one end of a connection in memory, and
// returns the answer as it came out of the other end.
func hsUpgradeOver(t *testing.T, u Upgrader, r *http.Request, header http.Header) (answer string) {
	t.Helper()
	near, far := newPipe(t, 1<<20)
	c, err := u.Upgrade(&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, r, header)
	if err != nil {
		t.Fatalf("got error %v, want a connection", err)
	}
	t.Cleanup(func() { c.Close() })
	return string(far.take())
}

// hsTryUpgrade upgrades a request over one end of a connection in memory. It returns the ResponseWriter, which has
// the answer to a request that is refused, and the other end.
func hsTryUpgrade(t *testing.T, u Upgrader, r *http.Request) (w *hsHijacker, far *pipeConn, err error) {
	t.Helper()
	near, far := newPipe(t, 4<<20)
	w = &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
	c, err := u.Upgrade(w, r, nil)
	if (c == nil) == (err == nil) {
		t.Errorf("got connection %v and error %v, want one of them", c, err)
	}
	if c != nil {
		t.Cleanup(func() { c.Close() })
	}
	return w, far, err
}

// A request that is wrong in every way is refused for the first of them. Mended step
// by step it fails on each check in turn, and ends at the ResponseWriter.
func TestUpgradeChecksInOrder(t *testing.T) {
	var u Upgrader
	r := hsRequest()
	header := http.Header{"Sec-Websocket-Extensions": {"foo"}}
	r.ProtoMajor, r.ProtoMinor = 1, 0
	r.Method = http.MethodPost
	r.ContentLength = 5
	r.Header = http.Header{
		"Sec-Websocket-Key":        {"x"},
		"Sec-Websocket-Version":    {"8"},
		"Sec-Websocket-Protocol":   {"a b"},
		"Sec-Websocket-Extensions": {"a b"},
		"Origin":                   {"http://evil.example"},
	}
	const no = "websocket: the client is not using the websocket protocol: "
	const bad = "websocket: not a websocket handshake: "
	steps := []struct {
		status int
		text   string
		mend   func()
	}{
		{400, no + "the request came over HTTP/1.0, which has no upgrade to other protocols", func() { r.ProtoMajor = 2; r.Proto = "HTTP/2.0" }},
		{505, no + "the request came over HTTP/2.0, which has no upgrade to other protocols", func() { r.ProtoMajor, r.ProtoMinor = 1, 1 }},
		{426, no + "'upgrade' token not found in 'Connection' header", func() { r.Header.Set("Upgrade", "websocket") }},
		{400, no + "'upgrade' token not found in 'Connection' header", func() { r.Header.Del("Upgrade"); r.Header.Set("Connection", "Upgrade") }},
		{426, no + "'websocket' token not found in 'Upgrade' header", func() { r.Header.Set("Upgrade", "websocket") }},
		{405, no + "request method is not GET", func() { r.Method = http.MethodGet }},
		{400, bad + "the request has a body", func() { r.ContentLength = -1 }},
		{400, bad + "the request has a body", func() { r.ContentLength = 0 }},
		{426, "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header", func() { r.Header.Set("Sec-Websocket-Version", "13") }},
		{403, "websocket: request origin not allowed by Upgrader.CheckOrigin", func() { u.OriginPatterns = []string{"["} }},
		{500, "websocket: Upgrader.OriginPatterns has \"[\", which is malformed", func() { u.OriginPatterns = []string{"evil.example"} }},
		{400, bad + "'Sec-WebSocket-Key' header must be Base64 encoded value of 16-byte in length", func() { r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==") }},
		{400, bad + "'Sec-WebSocket-Protocol' header has a character that is not visible ASCII", func() { r.Header.Set("Sec-Websocket-Protocol", "a, b") }},
		{400, bad + "'Sec-WebSocket-Extensions' header: unexpected 'b' after an extension", func() { r.Header.Set("Sec-Websocket-Extensions", "a, b") }},
		{500, "websocket: application specific 'Sec-WebSocket-Extensions' headers are unsupported", func() { header = nil }},
		{500, "websocket: response does not implement http.Hijacker", func() {}},
	}
	for _, step := range steps {
		w := httptest.NewRecorder()
		c, err := u.Upgrade(w, r, header)
		if c != nil || err == nil || err.Error() != step.text || w.Code != step.status {
			t.Fatalf("got status %d and error %v, want %d and %s", w.Code, err, step.status, step.text)
		}
		step.mend()
	}
}

// Where Upgrader.Error is set, it has the status and the error that Upgrade returns,
// and nobody else writes.
func TestUpgradeErrorIsTheOnlyWriter(t *testing.T) {
	var gotStatus int
	var gotReason error
	w, r := httptest.NewRecorder(), hsRequest()
	r.Header.Set("Origin", "http://evil.example")
	u := Upgrader{Error: func(w2 http.ResponseWriter, r2 *http.Request, status int, reason error) {
		if w2 != w || r2 != r {
			t.Errorf("got another writer or request, want those of Upgrade")
		}
		gotStatus, gotReason = status, reason
		w2.WriteHeader(http.StatusTeapot)
		io.WriteString(w2, "mine")
	}}
	_, err := u.Upgrade(w, r, nil)
	if gotStatus != http.StatusForbidden || gotReason != err || err == nil {
		t.Errorf("got status %d and reason %v, want 403 and %v", gotStatus, gotReason, err)
	}
	if w.Code != http.StatusTeapot || w.Body.String() != "mine" {
		t.Errorf("got %d with body %q, want 418 and mine", w.Code, w.Body)
	}

	w = httptest.NewRecorder()
	u.Error = func(http.ResponseWriter, *http.Request, int, error) {}
	u.Upgrade(w, r, nil)
	if w.Body.Len() > 0 || w.Result().StatusCode != http.StatusOK {
		t.Errorf("got %d with body %q from an Error that writes nothing, want nothing", w.Code, w.Body)
	}
}

// Programs compare and convert it as a value.
func TestUpgradeErrorIsAHandshakeError(t *testing.T) {
	r := hsRequest()
	r.Method = http.MethodPut
	_, err := new(Upgrader).Upgrade(httptest.NewRecorder(), r, nil)
	if _, ok := err.(HandshakeError); !ok {
		t.Errorf("got %T, want a HandshakeError", err)
	}
	var he HandshakeError
	if !errors.As(err, &he) || he.Error() != err.Error() {
		t.Errorf("got %v from errors.As, want %v", he, err)
	}
	if _, again := new(Upgrader).Upgrade(httptest.NewRecorder(), r, nil); again != err {
		t.Errorf("got %v, want a value that equals %v", again, err)
	}
}

// The answer of RFC 6455, 1.2, byte for byte.
func TestUpgradeAnswer(t *testing.T) {
	u := Upgrader{Subprotocols: []string{"chat", "superchat"}}
	r := hsRequest()
	r.Header.Set("Sec-Websocket-Protocol", "chat, superchat")
	const want = "HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Protocol: chat\r\n" +
		"\r\n"
	if got := hsUpgradeOver(t, u, r, nil); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// hsWrapped is what a middleware makes of a ResponseWriter: it offers nothing but Unwrap.
type hsWrapped struct{ w http.ResponseWriter }

func (w hsWrapped) Header() http.Header         { return w.w.Header() }
func (w hsWrapped) Write(p []byte) (int, error) { return w.w.Write(p) }
func (w hsWrapped) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w hsWrapped) Unwrap() http.ResponseWriter { return w.w }

func TestUpgradeUnwraps(t *testing.T) {
	var u Upgrader
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(hsWrapped{hsWrapped{w}}, r, nil)
		if err != nil {
			t.Errorf("got error %v, want a connection", err)
			return
		}
		defer c.Close()
		hsEcho(c)
	}))
	defer srv.Close()
	c := hsDial(t, Dialer{}, srv.URL)
	hsWantEcho(t, c, "Hello")
}

// A ResponseWriter that cannot give up its connection is answered with 500, whatever it
// is wrapped in.
func TestUpgradeWithoutHijacker(t *testing.T) {
	for _, wrap := range []func(http.ResponseWriter) http.ResponseWriter{
		func(w http.ResponseWriter) http.ResponseWriter { return w },
		func(w http.ResponseWriter) http.ResponseWriter { return hsWrapped{w} },
	} {
		rec := httptest.NewRecorder()
		_, err := new(Upgrader).Upgrade(wrap(rec), hsRequest(), nil)
		if want := "websocket: response does not implement http.Hijacker"; err == nil || err.Error() != want || rec.Code != 500 {
			t.Errorf("got %d and error %v, want 500 and %s", rec.Code, err, want)
		}
	}
}

// A Hijack that fails says why.
func TestUpgradeHijackFails(t *testing.T) {
	rec := httptest.NewRecorder()
	_, err := new(Upgrader).Upgrade(&hsHijacker{ResponseRecorder: rec, err: http.ErrHijacked}, hsRequest(), nil)
	if _, ok := err.(HandshakeError); !ok || err.Error() != "websocket: "+http.ErrHijacked.Error() || rec.Code != 500 {
		t.Errorf("got %d and %T %v, want 500 and a HandshakeError: websocket: %v", rec.Code, err, err, http.ErrHijacked)
	}
}

// A second Upgrade fails, and the connection of the first is as good as before.
func TestUpgradeTwice(t *testing.T) {
	var u Upgrader
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("got error %v, want a connection", err)
			return
		}
		defer c.Close()
		if _, err := u.Upgrade(w, r, nil); err == nil || err.Error() != "websocket: "+http.ErrHijacked.Error() {
			t.Errorf("got error %v, want websocket: %v", err, http.ErrHijacked)
		}
		hsEcho(c)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of an answer behind the hijack
	srv.Start()
	defer srv.Close()
	hsWantEcho(t, hsDial(t, Dialer{}, srv.URL), "Hello")
}

// HTTP/2 has no Upgrade (RFC 9113, 8.6), and a plain GET over it is told so.
func TestUpgradeOverHTTP2(t *testing.T) {
	errs := make(chan error, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := new(Upgrader).Upgrade(w, r, nil)
		errs <- err
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("got %s %s, want HTTP/2.0 505", resp.Proto, resp.Status)
	}
	const want = "websocket: the client is not using the websocket protocol: the request came over HTTP/2.0, which has no upgrade to other protocols"
	if err := <-errs; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

// A copy of an Upgrader is another one, and either may be used by many handlers at a time.
func TestUpgradeConcurrently(t *testing.T) {
	shared := Upgrader{Subprotocols: []string{"a"}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := &shared
		if r.URL.Path == "/copy" {
			copied := shared
			copied.Subprotocols = []string{"b"}
			u = &copied
		}
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("got error %v, want a connection", err)
			return
		}
		defer c.Close()
		hsEcho(c)
	}))
	defer srv.Close()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			path, want := "/", "a"
			if i%2 == 1 {
				path, want = "/copy", "b"
			}
			d := Dialer{Subprotocols: []string{"b", "a"}}
			c, _, err := d.Dial("ws"+strings.TrimPrefix(srv.URL, "http")+path, nil)
			if err != nil {
				t.Errorf("got error %v, want a connection", err)
				return
			}
			defer c.Close()
			if got := c.Subprotocol(); got != want {
				t.Errorf("got subprotocol %q, want %q", got, want)
			}
			hsWantEcho(t, c, want)
		})
	}
	wg.Wait()
}
