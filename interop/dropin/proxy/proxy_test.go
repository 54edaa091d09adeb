package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// echo is a backend: it echoes messages, and closes with the code that one asks for.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "bad" {
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	upgrader := websocket.Upgrader{
		Subprotocols: []string{"echo"},
		CheckOrigin:  func(r *http.Request) bool { return r.Header.Get("Origin") != "http://evil.example" },
	}
	c, err := upgrader.Upgrade(w, r, http.Header{"Set-Cookie": {"seen=" + r.Header.Get("Cookie")}})
	if err != nil {
		return
	}
	defer c.Close()
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		switch string(p) {
		case "close":
			c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4321, "as asked"))
		case "vanish":
			return
		default:
			c.WriteMessage(messageType, p)
		}
	}
}

func start(t *testing.T, backend http.Handler) (proxyURL string) {
	t.Helper()
	b := httptest.NewServer(backend)
	t.Cleanup(b.Close)
	u, err := url.Parse("ws" + strings.TrimPrefix(b.URL, "http"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&Proxy{Backend: u})
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func dial(t *testing.T, url string, header http.Header) (*websocket.Conn, *http.Response) {
	t.Helper()
	c, resp, err := websocket.DefaultDialer.Dial(url, header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, resp
}

func TestMessagesPass(t *testing.T) {
	c, _ := dial(t, start(t, http.HandlerFunc(echo)), nil)
	for _, size := range []int{0, 1, 1000, 100_000} {
		for _, messageType := range []int{websocket.TextMessage, websocket.BinaryMessage} {
			want := strings.Repeat("x", size)
			if err := c.WriteMessage(messageType, []byte(want)); err != nil {
				t.Fatal(err)
			}
			gotType, got, err := c.ReadMessage()
			if err != nil || gotType != messageType || string(got) != want {
				t.Fatalf("got type %d, %d bytes, %v, want type %d, %d bytes", gotType, len(got), err, messageType, size)
			}
		}
	}
}

func TestHeadersPass(t *testing.T) {
	c, resp := dial(t, start(t, http.HandlerFunc(echo)), http.Header{
		"Sec-Websocket-Protocol": {"other, echo"},
		"Cookie":                 {"me"},
		"Origin":                 {"http://good.example"},
	})
	if got := c.Subprotocol(); got != "echo" {
		t.Errorf("got the subprotocol %q, want echo", got)
	}
	if got := resp.Header.Get("Set-Cookie"); got != "seen=me" {
		t.Errorf("got the cookie %q, want seen=me", got)
	}
}

func TestRefusalsPass(t *testing.T) {
	url := start(t, http.HandlerFunc(echo))
	for _, test := range []struct {
		header http.Header
		status int
		body   string // its first line
	}{
		{http.Header{"Authorization": {"bad"}}, 401, "who are you?\n"},
		{http.Header{"Origin": {"http://evil.example"}}, 403, "Forbidden\n"},
	} {
		_, resp, err := websocket.DefaultDialer.Dial(url, test.header)
		if err != websocket.ErrBadHandshake || resp == nil {
			t.Fatalf("got %v, want ErrBadHandshake and a response", err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != test.status || !strings.HasPrefix(string(body), test.body) {
			t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, test.status, test.body)
		}
	}
}

func TestNoBackend(t *testing.T) {
	s := httptest.NewServer(&Proxy{Backend: &url.URL{Scheme: "ws", Host: "127.0.0.1:1"}, Dialer: &websocket.Dialer{}})
	defer s.Close()
	_, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != websocket.ErrBadHandshake || resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %v, want ErrBadHandshake and 502", err)
	}
}

func TestNoUpgrade(t *testing.T) {
	resp, err := http.Get("http" + strings.TrimPrefix(start(t, http.HandlerFunc(echo)), "ws"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("got %v, want 400", resp.Status)
	}
}

func TestCloseOfBackend(t *testing.T) {
	c, _ := dial(t, start(t, http.HandlerFunc(echo)), nil)
	c.WriteMessage(websocket.TextMessage, []byte("close"))
	_, _, err := c.ReadMessage()
	if e, ok := err.(*websocket.CloseError); !ok || *e != (websocket.CloseError{Code: 4321, Text: "as asked"}) {
		t.Errorf("got %v, want close 4321: as asked", err)
	}
}

func TestCloseOfClient(t *testing.T) {
	closed := make(chan error, 1)
	url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		_, _, err = c.ReadMessage()
		closed <- err
	}))
	for _, want := range []websocket.CloseError{
		{Code: websocket.CloseNormalClosure, Text: "bye"},
		{Code: websocket.CloseGoingAway},
		{Code: websocket.CloseNoStatusReceived},
		{Code: 3000, Text: "of our own"},
	} {
		c, _ := dial(t, url, nil)
		c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(want.Code, want.Text))
		if e, ok := (<-closed).(*websocket.CloseError); !ok || *e != want {
			t.Errorf("the backend got %v, want %v", e, want)
		}
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, want.Code) {
			t.Errorf("the client got %v, want the code %d", err, want.Code)
		}
	}
}

func TestBackendVanishes(t *testing.T) {
	c, _ := dial(t, start(t, http.HandlerFunc(echo)), nil)
	c.WriteMessage(websocket.TextMessage, []byte("vanish"))
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseAbnormalClosure) {
		t.Errorf("got %v, want the code 1006", err)
	}
}

func TestPingsPass(t *testing.T) {
	c, _ := dial(t, start(t, http.HandlerFunc(echo)), nil)
	pong := ""
	c.SetPongHandler(func(data string) error { pong = data; return nil })
	c.WriteMessage(websocket.PingMessage, []byte("are you there?"))
	c.WriteMessage(websocket.TextMessage, []byte("hello"))
	c.ReadMessage() // the echo comes behind the pong
	if pong != "are you there?" {
		t.Errorf("got the pong %q, want are you there?", pong)
	}
}
