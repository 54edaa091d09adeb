//go:build go1.25

package websocket

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// bhWriteCounter notes whether anybody has answered.
type bhWriteCounter struct {
	*httptest.ResponseRecorder
	calls int
}

func (w *bhWriteCounter) Write(p []byte) (int, error) {
	w.calls++
	return w.ResponseRecorder.Write(p)
}

func (w *bhWriteCounter) WriteHeader(status int) {
	w.calls++
	w.ResponseRecorder.WriteHeader(status)
}

// bhFailures are the ways in which Upgrade fails before the hijack.
var bhFailures = []struct {
	name   string
	status int
	text   string
	spoil  func(u *Upgrader, r *http.Request, header http.Header)
}{
	{"Connection", 400, "websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header",
		func(_ *Upgrader, r *http.Request, _ http.Header) { r.Header.Set("Connection", "keep-alive") }},
	{"Upgrade", 426, "websocket: the client is not using the websocket protocol: 'websocket' token not found in 'Upgrade' header",
		func(_ *Upgrader, r *http.Request, _ http.Header) { r.Header.Set("Upgrade", "h2c") }},
	{"method", 405, "websocket: the client is not using the websocket protocol: request method is not GET",
		func(_ *Upgrader, r *http.Request, _ http.Header) { r.Method = http.MethodHead }},
	{"version", 426, "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header",
		func(_ *Upgrader, r *http.Request, _ http.Header) { r.Header.Set("Sec-Websocket-Version", "8") }},
	{"extensions", 500, "websocket: application specific 'Sec-WebSocket-Extensions' headers are unsupported",
		func(_ *Upgrader, _ *http.Request, h http.Header) { h.Set("Sec-Websocket-Extensions", "x") }},
	{"own host", 403, "websocket: request origin not allowed by Upgrader.CheckOrigin",
		func(_ *Upgrader, r *http.Request, _ http.Header) { r.Header.Set("Origin", "http://evil.example") }},
	{"CheckOrigin", 403, "websocket: request origin not allowed by Upgrader.CheckOrigin",
		func(u *Upgrader, _ *http.Request, _ http.Header) {
			u.CheckOrigin = func(*http.Request) bool { return false }
		}},
	{"key", 400, "websocket: not a websocket handshake: 'Sec-WebSocket-Key' header must be Base64 encoded value of 16-byte in length",
		func(_ *Upgrader, r *http.Request, _ http.Header) { r.Header.Set("Sec-Websocket-Key", "c2hvcnQ=") }},
	{"hijacker", 500, "websocket: response does not implement http.Hijacker",
		func(*Upgrader, *http.Request, http.Header) {}},
}

// "Each failure before the hijack sets `Sec-Websocket-Version: 13` and sends http.Error
// with the status text", and with one line more, and nothing of the responseHeader.
func TestBehaviourUpgradeFailures(t *testing.T) {
	for _, tt := range bhFailures {
		var u Upgrader
		r, header, w := hsRequest(), http.Header{"Set-Cookie": {"a=1"}}, httptest.NewRecorder()
		tt.spoil(&u, r, header)
		c, err := u.Upgrade(w, r, header)
		if _, ok := err.(HandshakeError); !ok || c != nil || err.Error() != tt.text {
			t.Errorf("%s: got connection %v and %T %v, want a HandshakeError: %s", tt.name, c, err, err, tt.text)
		}
		if lines := strings.Split(w.Body.String(), "\n"); w.Code != tt.status || len(lines) != 3 || lines[0] != http.StatusText(tt.status) {
			t.Errorf("%s: got %d with body %q, want %d, its text, and a line", tt.name, w.Code, w.Body, tt.status)
		}
		if got := w.Header().Get("Sec-Websocket-Version"); got != "13" {
			t.Errorf("%s: got Sec-Websocket-Version %q, want 13", tt.name, got)
		}
		if got := w.Header().Get("Set-Cookie"); got != "" {
			t.Errorf("%s: got cookie %q with a refusal, want none", tt.name, got)
		}
	}
}

// "where Upgrader.Error is set, only it writes."
func TestBehaviourUpgraderErrorWritesAlone(t *testing.T) {
	for _, tt := range bhFailures {
		calls := 0
		w := &bhWriteCounter{ResponseRecorder: httptest.NewRecorder()}
		var reason error
		u := Upgrader{Error: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			calls++
			reason = err
			if status != tt.status || err.Error() != tt.text {
				t.Errorf("%s: got %d and %v, want %d and %s", tt.name, status, err, tt.status, tt.text)
			}
		}}
		r, header := hsRequest(), http.Header{}
		tt.spoil(&u, r, header)
		if _, err := u.Upgrade(w, r, header); calls != 1 || err != reason {
			t.Errorf("%s: got %d calls of Error with %v, and error %v, want 1 with the same", tt.name, calls, reason, err)
		}
		if w.calls != 0 {
			t.Errorf("%s: got %d writes besides those of Error, want none", tt.name, w.calls)
		}
	}
}

// "The 101 answer: Upgrade, Connection, Sec-WebSocket-Accept, then Sec-WebSocket-Protocol
// ..., then the responseHeader's."
func TestBehaviourUpgradeOrderOfTheAnswer(t *testing.T) {
	r := hsRequest()
	r.Header.Set("Sec-Websocket-Protocol", "chat")
	u := Upgrader{Subprotocols: []string{"chat"}}
	got := hsUpgradeOver(t, u, r, http.Header{"A": {"1"}, "Set-Cookie": {"a=1", "b=2"}, "Sec-Websocket-Protocol": {"other"}})
	if want := hsAnswer101 + "Sec-WebSocket-Protocol: chat\r\nA: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// "HandshakeError is returned by value": it can be compared and found by errors.As.
func TestBehaviourHandshakeErrorIsAValue(t *testing.T) {
	_, err := new(Upgrader).Upgrade(httptest.NewRecorder(), hsRequest(), nil)
	var value HandshakeError
	var pointer *HandshakeError
	if !errors.As(err, &value) || errors.As(err, &pointer) {
		t.Errorf("got %T, want a HandshakeError, not a pointer to one", err)
	}
}
