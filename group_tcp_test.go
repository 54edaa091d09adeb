//go:build go1.25

package websocket

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// Clients come, talk and go while the server is shut down. Each is refused, or goes by
// itself, or sees 1001.
func TestGroupShutdownAmongComingAndGoing(t *testing.T) {
	var group Group
	u := Upgrader{Group: &group, ReadBufferSize: 4096}
	serve := func(c *Conn, r *http.Request) {
		// What programs set after Upgrade, when the group has the connection already.
		c.SetReadLimit(1 << 20)
		c.SetPingHandler(c.PingHandler())
		c.SetPongHandler(func(string) error { return nil })
		c.SetCloseHandler(nil)
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			if err := c.WriteMessage(messageType, p); err != nil && err != ErrCloseSent {
				t.Errorf("the server's write: got %v, want nil or ErrCloseSent", err)
			}
		}
	}
	handler := u.HandlerFunc(serve)
	plain := func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		serve(c, r)
		if err := c.Shutdown(closingContext(t), CloseNormalClosure, ""); err != nil {
			t.Errorf("the handler's own Shutdown: got %v, want nil", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/func", handler)
	mux.HandleFunc("/plain", plain)
	server := httptest.NewServer(mux)
	defer server.Close()

	// client is the life of one client. It returns whether there may be another.
	client := func(path string, messages int) bool {
		c, resp, err := (&Dialer{}).Dial(server.URL+path, nil)
		if err == ErrBadHandshake && resp.StatusCode == http.StatusServiceUnavailable {
			return false
		}
		if err != nil {
			t.Errorf("dial: got %v, want a connection or 503", err)
			return false
		}
		defer c.Close()
		for i := range messages {
			text := fmt.Sprint(i)
			if err := c.WriteMessage(TextMessage, []byte(text)); err != nil {
				t.Errorf("the client's write: got %v, want nil", err)
				return false
			}
			_, p, err := c.ReadMessage()
			if IsCloseError(err, CloseGoingAway) {
				return false
			}
			if err != nil || string(p) != text {
				t.Errorf("the client's read: got %q, %v, want %q, or close 1001", p, err, text)
				return false
			}
		}
		if err := c.Shutdown(closingContext(t), CloseNormalClosure, ""); err != nil {
			t.Errorf("the client's Shutdown: got %v, want nil", err)
		}
		return true
	}

	var clients sync.WaitGroup
	var lives atomic.Int32
	enough := make(chan struct{})
	for i := range 16 {
		clients.Go(func() {
			path := []string{"/func", "/plain"}[i%2]
			for n := 0; client(path, n%7*i); n++ {
				if lives.Add(1) == 200 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := group.Shutdown(closingContext(t)); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	clients.Wait()
	if got := group.Len(); got != 0 {
		t.Errorf("got %d connections in the end, want none", got)
	}
}
