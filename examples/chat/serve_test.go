//go:build go1.25

package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// A client is a page without a browser.
type client struct {
	*websocket.Conn
	t *testing.T
}

func dial(t *testing.T, d *websocket.Dialer, url string) client {
	t.Helper()
	c, _, err := d.Dial("ws"+strings.TrimPrefix(url, "http"), nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return client{c, t}
}

func (c client) send(req request) {
	c.t.Helper()
	data, err := json.Marshal(req)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.WriteMessage(websocket.TextMessage, data); err != nil {
		c.t.Fatalf("send %s: %v", data, err)
	}
}

func (c client) want(wantType string) event {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	_, data, err := c.ReadMessage()
	if err != nil {
		c.t.Fatalf("got error %v, want an event of type %q", err, wantType)
	}
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		c.t.Fatalf("event %s: %v", data, err)
	}
	if e.Type != wantType {
		c.t.Fatalf("got event %s, want type %q", data, wantType)
	}
	return e
}

// wantClose reads until the connection ends, and checks how.
func (c client) wantClose(code int) {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		c.t.Fatal(err)
	}
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		if !websocket.IsCloseError(err, code) {
			c.t.Fatalf("got error %v, want close code %d", err, code)
		}
		return
	}
}

func (c client) join(name string) event {
	c.t.Helper()
	c.send(request{Type: "join", Name: name, Key: "key of " + name})
	return c.want("welcome")
}

// newServer serves a room on a loopback port and ends it with the test.
func newServer(t *testing.T) string {
	h := newHub()
	srv := httptest.NewServer(newHandler(h))
	t.Cleanup(func() {
		h.close()
		srv.Close()
		h.wait()
	})
	return srv.URL
}

func TestConversation(t *testing.T) {
	url := newServer(t)
	ann := dial(t, websocket.DefaultDialer, url)
	ann.join("Ann")
	bob := dial(t, websocket.DefaultDialer, url)
	bob.join("Bob")
	if got := ann.want("joined").Person.Name; got != "Bob" {
		t.Errorf("got %q joining, want Bob", got)
	}

	for _, tt := range []struct {
		author client
		name   string
		text   string
	}{
		{ann, "Ann", "Hello, is anybody there?"},
		{bob, "Bob", "Yes. 👋"},
	} {
		tt.author.send(request{Type: "say", ID: "id", Text: tt.text})
		for _, reader := range []client{ann, bob} {
			got := reader.want("said").Message
			if got.Name != tt.name || got.Text != tt.text {
				t.Errorf("got %q by %q, want %q by %q", got.Text, got.Name, tt.text, tt.name)
			}
		}
	}

	ann.send(request{Type: "probe"})
	ann.want("alive")

	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := bob.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)); err != nil {
		t.Fatalf("close: %v", err)
	}
	bob.wantClose(websocket.CloseNormalClosure)
	if got := ann.want("left").Person.Name; got != "Bob" {
		t.Errorf("got %q leaving, want Bob", got)
	}
}

// A connection that breaks off without a goodbye is a member that leaves.
func TestConnectionBreaks(t *testing.T) {
	url := newServer(t)
	ann := dial(t, websocket.DefaultDialer, url)
	ann.join("Ann")
	bob := dial(t, websocket.DefaultDialer, url)
	bob.join("Bob")
	ann.want("joined")
	if err := bob.Close(); err != nil {
		t.Fatal(err)
	}
	ann.want("left")
}

func TestRulesOfTheProtocol(t *testing.T) {
	url := newServer(t)
	tests := []struct {
		name string
		send string
		code int
	}{
		{"not JSON", `hello`, websocket.ClosePolicyViolation},
		{"no type", `{}`, websocket.ClosePolicyViolation},
		{"says before it joins", `{"type":"say","id":"1","text":"a"}`, websocket.ClosePolicyViolation},
		{"no name", `{"type":"join","key":"k"}`, websocket.ClosePolicyViolation},
		{"long name", `{"type":"join","key":"k","name":"` + strings.Repeat("n", maxName+1) + `"}`, websocket.ClosePolicyViolation},
		{"too large", `{"type":"join","key":"` + strings.Repeat("k", readLimit) + `"}`, websocket.CloseMessageTooBig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, websocket.DefaultDialer, url)
			if err := c.WriteMessage(websocket.TextMessage, []byte(tt.send)); err != nil {
				t.Fatal(err)
			}
			c.wantClose(tt.code)
		})
	}
}

// The longest text that the page sends passes the read limit.
func TestLongestRequest(t *testing.T) {
	c := dial(t, websocket.DefaultDialer, newServer(t))
	c.join("Ann")
	text := strings.Repeat("\x01", maxText) // JSON needs six bytes for it
	c.send(request{Type: "say", ID: "id", Text: text})
	if got := c.want("said").Message.Text; got != text {
		t.Errorf("got a text of %d bytes, want the %d bytes that were sent", len(got), len(text))
	}
}

func TestPageAndRoomHaveOneAddress(t *testing.T) {
	url := newServer(t)
	for path, status := range map[string]int{"/": 200, "/elsewhere": 404} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status {
			t.Errorf("GET %s: got status %d, want %d", path, res.StatusCode, status)
		}
		if isPage := string(body) == page; isPage != (status == 200) {
			t.Errorf("GET %s: got the page: %t, want %t", path, isPage, status == 200)
		}
	}

	foreign := http.Header{"Origin": {"http://example.com"}}
	_, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http"), foreign)
	if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("dial from a foreign page: got response %v and error %v, want status 403", res, err)
	}
}

// run prints its address, and says goodbye to everyone when its context ends.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", w) }()

	line := make([]byte, 100)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url, ok := strings.CutPrefix(strings.TrimSuffix(string(line[:n]), "\n"), "chat: open ")
	if !ok || !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("got line %q, want the address", line[:n])
	}
	c := dial(t, websocket.DefaultDialer, url)
	c.join("Ann")
	cancel()
	c.wantClose(websocket.CloseGoingAway)
	if err := <-done; err != nil {
		t.Errorf("run: got error %v, want none", err)
	}
	if _, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")); err == nil {
		t.Error("the server still listens")
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080/",
		"[::]:8080":      "http://127.0.0.1:8080/",
		"0.0.0.0:80":     "http://127.0.0.1:80/",
		"[::1]:8080":     "http://[::1]:8080/",
	} {
		a, err := net.ResolveTCPAddr("tcp", in)
		if err != nil {
			t.Fatal(err)
		}
		if got := address(a); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// The page is one file that loads nothing, and writes what others wrote as
// text only.
func TestPageIsSelfContained(t *testing.T) {
	for _, banned := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "src=", "@import", "https://"} {
		if i := strings.Index(page, banned); i >= 0 {
			t.Errorf("the page has %q: %s", banned, page[i:min(i+60, len(page))])
		}
	}
}
