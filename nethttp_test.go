//go:build go1.25

package websocket

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"
)

// echoHandler sends every message back.
func echoHandler() http.Handler {
	var u Upgrader
	return u.HandlerFunc(func(c *Conn, r *http.Request) {
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(messageType, p) != nil {
				return
			}
		}
	})
}

// bodyTransport is what net/http's client gives to who has switched protocols.
type bodyTransport struct{ io.ReadWriteCloser }

func (bodyTransport) SetReadDeadline(time.Time) error  { return nil }
func (bodyTransport) SetWriteDeadline(time.Time) error { return nil }

// net/http's own client makes the handshake with an Upgrader, and is spoken to.
func TestUpgradeForNetHTTPClient(t *testing.T) {
	server := httptest.NewServer(echoHandler())
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey()
	req.Header.Set("Connection", "keep-alive, Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := checkResponse(resp, key, nil, false); !ok {
		t.Fatalf("got %s with %v, want a complete handshake", resp.Status, resp.Header)
	}
	c := newConn(bodyTransport{resp.Body.(io.ReadWriteCloser)}, false, nil, connOptions{})
	defer c.Close()
	wantEcho(t, c)
}

// net/http's reverse proxy stands between a Dialer and an Upgrader, as it does in
// front of many services.
func TestThroughNetHTTPReverseProxy(t *testing.T) {
	server := httptest.NewServer(echoHandler())
	defer server.Close()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(httputil.NewSingleHostReverseProxy(target))
	defer proxy.Close()
	c, _, err := DefaultDialer.Dial(proxy.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantEcho(t, c)
	if err := c.Shutdown(t.Context(), CloseNormalClosure, ""); err != nil {
		t.Errorf("Shutdown: got %v, want nil", err)
	}
}

func wantEcho(t *testing.T, c *Conn) {
	t.Helper()
	for _, size := range []int{0, 5, 200, 70_000} {
		m := make([]byte, size)
		if err := c.WriteMessage(BinaryMessage, m); err != nil {
			t.Fatal(err)
		}
		if mt, p, err := c.ReadMessage(); mt != BinaryMessage || len(p) != size || err != nil {
			t.Fatalf("got %d, %d bytes, %v, want %d, %d bytes, nil", mt, len(p), err, BinaryMessage, size)
		}
	}
}
