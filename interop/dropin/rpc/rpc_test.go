package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

func start(t *testing.T, h http.Handler) (url string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func dial(t *testing.T, url string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func square(params json.RawMessage) (any, error) {
	var n int
	if err := json.Unmarshal(params, &n); err != nil {
		return nil, err
	}
	return n * n, nil
}

func TestConcurrentCalls(t *testing.T) {
	c := dial(t, start(t, Server{"square": square}))
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			var got int
			if err := c.Call(t.Context(), "square", i, &got); err != nil || got != i*i {
				t.Errorf("square(%d): got %d, %v, want %d", i, got, err, i*i)
			}
		})
	}
	calls.Wait()
}

func TestAnswersInAnyOrder(t *testing.T) {
	release := make(chan struct{})
	c := dial(t, start(t, Server{
		"slow": func(json.RawMessage) (any, error) { <-release; return "slow", nil },
		"fast": func(json.RawMessage) (any, error) { return "fast", nil },
	}))
	slow := make(chan string)
	go func() {
		var got string
		c.Call(t.Context(), "slow", nil, &got)
		slow <- got
	}()
	var got string
	if err := c.Call(t.Context(), "fast", nil, &got); err != nil || got != "fast" {
		t.Errorf("got %q, %v, want fast", got, err)
	}
	close(release)
	if got := <-slow; got != "slow" {
		t.Errorf("got %q, want slow", got)
	}
}

func TestErrors(t *testing.T) {
	c := dial(t, start(t, Server{"square": square}))
	if err := c.Call(t.Context(), "cube", 2, nil); err == nil || err.Error() != "no method cube" {
		t.Errorf("got %v, want no method cube", err)
	}
	if err := c.Call(t.Context(), "square", "two", nil); err == nil || !strings.Contains(err.Error(), "cannot unmarshal") {
		t.Errorf("got %v, want an error of encoding/json", err)
	}
	var got int
	if err := c.Call(t.Context(), "square", 3, &got); err != nil || got != 9 {
		t.Errorf("got %d, %v, want 9", got, err)
	}
}

func TestNoJSON(t *testing.T) {
	ws, _, err := websocket.DefaultDialer.Dial(start(t, Server{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for range 2 {
		ws.WriteMessage(websocket.TextMessage, []byte("{no"))
		var got response
		if err := ws.ReadJSON(&got); err != nil || got.Error != "no JSON" {
			t.Errorf("got %+v, %v, want no JSON", got, err)
		}
	}
}

func TestCancelledCall(t *testing.T) {
	release := make(chan struct{})
	called := make(chan struct{})
	c := dial(t, start(t, Server{
		"slow": func(json.RawMessage) (any, error) { close(called); <-release; return nil, nil },
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-called; cancel() }()
	if err := c.Call(ctx, "slow", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	close(release)
}

func TestServerGoes(t *testing.T) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"rpc"}}
	c := dial(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		ws.ReadMessage()
		ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseServiceRestart, "restart"))
	})))
	var closed *websocket.CloseError
	if err := c.Call(t.Context(), "any", nil, nil); !errors.As(err, &closed) || closed.Code != websocket.CloseServiceRestart || closed.Text != "restart" {
		t.Errorf("got %v, want the close code 1012", err)
	}
	if err := c.Call(t.Context(), "any", nil, nil); !websocket.IsCloseError(err, 1012) {
		t.Errorf("got %v, want the same error again", err)
	}
}

func TestClosedClient(t *testing.T) {
	c := dial(t, start(t, Server{
		"stuck": func(json.RawMessage) (any, error) { return nil, errors.New("not reached") },
	}))
	c.Close()
	if err := c.Call(t.Context(), "stuck", nil, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

func TestRefused(t *testing.T) {
	_, err := Dial(t.Context(), start(t, http.NotFoundHandler()))
	if err == nil || err.Error() != "websocket: bad handshake: 404 Not Found" {
		t.Errorf("got %v, want bad handshake: 404 Not Found", err)
	}
}
