package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// patience bounds the waits of a test, which are short unless something is wrong.
const patience = time.Minute

// start starts a server with small limits.
func start(t *testing.T, set func(r *room)) *httptest.Server {
	h, provider, err := newHandler(false)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(h.room)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		h.room.group.Shutdown(ctx)
		srv.Close()
		provider.Shutdown(ctx)
	})
	return srv
}

func dial(t *testing.T, srv *httptest.Server) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(srv.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	return c
}

// wantMetrics waits until Prometheus would scrape all of these lines.
func wantMetrics(t *testing.T, srv *httptest.Server, want ...string) {
	t.Helper()
	var text string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(srv.URL + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		text = string(body)
		missing := 0
		for _, line := range want {
			if !strings.Contains(text, line) {
				missing++
			}
		}
		if missing == 0 {
			return
		}
	}
	for _, line := range want {
		if !strings.Contains(text, line) {
			t.Errorf("got no %s in\n%s", line, text)
		}
	}
}

func TestMetrics(t *testing.T) {
	srv := start(t, func(r *room) { r.pingEvery = time.Millisecond })
	a, b := dial(t, srv), dial(t, srv)
	wantMetrics(t, srv, "websocket_connections 2") // both are in the room
	if err := a.WriteMessage(websocket.TextMessage, []byte("Hello")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*websocket.Conn{a, b} {
		if _, p, err := c.ReadMessage(); string(p) != "Hello" || err != nil {
			t.Errorf("got %q and error %v, want Hello", p, err)
		}
	}
	go b.ReadMessage() // answers pings
	wantMetrics(t, srv,
		"websocket_connections 2",
		`websocket_messages_total{direction="in"} 1`,
		`websocket_messages_total{direction="out"} 2`,
		`websocket_payload_bytes_total{direction="in"} 5`,
		`websocket_payload_bytes_total{direction="out"} 10`,
		`websocket_ping_seconds_bucket{le="3"}`,
	)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.Shutdown(ctx, 4001, "bye"); err != nil {
		t.Error(err)
	}
	b.NetConn().(*net.TCPConn).CloseWrite() // Close could reset the connection, which is another error
	wantMetrics(t, srv, "websocket_connections 0", `websocket_closes_total{code="4001"} 1`, `websocket_closes_total{code="1006"} 1`)
}

func TestRefusals(t *testing.T) {
	srv := start(t, nil)
	for range 2 {
		resp, err := http.Get(srv.URL + "/ws")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	websocket.DefaultDialer.Dial(srv.URL+"/ws", http.Header{"Origin": {"https://evil.example"}})
	wantMetrics(t, srv,
		`websocket_refusals_total{reason="websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header",status="426"} 2`,
		`websocket_refusals_total{reason="websocket: request origin not allowed by Upgrader.CheckOrigin",status="403"} 1`,
	)
}

// A client that sends faster than it may waits, and loses nothing.
func TestRateLimit(t *testing.T) {
	srv := start(t, func(r *room) { r.perSecond, r.burst, r.pingEvery = 200, 1, time.Hour })
	c := dial(t, srv)
	const n = 20
	for i := range n {
		if err := c.WriteMessage(websocket.TextMessage, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if _, p, err := c.ReadMessage(); string(p) != fmt.Sprint(i) || err != nil {
			t.Fatalf("got %q and error %v, want %d", p, err, i)
		}
	}
	wantMetrics(t, srv, `websocket_messages_total{direction="in"} 20`, "websocket_rate_limited_total")
}

// A client that does not read is disconnected, and nobody else.
func TestSlowConsumer(t *testing.T) {
	srv := start(t, func(r *room) { r.perSecond, r.burst, r.pingEvery = 1e6, 1e6, time.Hour })
	dial(t, srv) // reads nothing
	talker := dial(t, srv)
	message := []byte(strings.Repeat("x", 60_000))
	for range 500 { // more than the kernel and the queue hold; the talker reads each before the next
		if err := talker.WriteMessage(websocket.TextMessage, message); err != nil {
			t.Fatal(err)
		}
		if _, _, err := talker.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	wantMetrics(t, srv, "websocket_slow_consumers_total 1", "websocket_connections 1", `websocket_messages_total{direction="in"} 500`)
}
