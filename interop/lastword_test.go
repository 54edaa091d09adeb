package interop

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/switching-protocols/websocket"
)

// The Close frame that says that a message is too large arrives at every client, though each is still
// sending when the server has closed its connection: directly, and through a reverse proxy.
func TestTheLastWordArrives(t *testing.T) {
	const clients = 40
	upgrader := websocket.Upgrader{ReadLimit: 64 << 10, CheckOrigin: func(*http.Request) bool { return true }}
	server := httptest.NewServer(upgrader.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(httputil.NewSingleHostReverseProxy(target))
	defer proxy.Close()
	for name, address := range map[string]string{"directly": server.URL, "through a proxy": proxy.URL} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			ends := make(chan error, clients)
			for range clients {
				wg.Go(func() { ends <- sendTooMuch(address) })
			}
			wg.Wait()
			close(ends)
			for err := range ends {
				if !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
					t.Errorf("got %v, want close 1009", err)
				}
			}
		})
	}
}

// sendTooMuch sends fragments of a message until that fails, and returns how the reading has ended.
func sendTooMuch(address string) error {
	c, _, err := websocket.DefaultDialer.Dial(address, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	end := make(chan error, 1)
	go func() {
		_, _, err := c.ReadMessage()
		end <- err
	}()
	w, err := c.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return fmt.Errorf("NextWriter: %w", err)
	}
	for fragment := make([]byte, 20_000); err == nil; {
		_, err = w.Write(fragment)
	}
	return <-end
}
