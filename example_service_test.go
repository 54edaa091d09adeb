package websocket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Examples of what services need around a connection.

// A browser sends cookies with the handshake, which is authenticated as any other request. Upgrader checks that the
// page is the server's own: without that, any page could connect with the user's cookie.
func ExampleUpgrader_cookie() {
	sessions := map[string]string{"5f1d": "alice"} // by the value of the cookie
	upgrader := Upgrader{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil || sessions[cookie.Value] == "" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		user := sessions[cookie.Value]
		upgrader.HandlerFunc(func(c *Conn, _ *http.Request) {
			c.WriteMessage(TextMessage, []byte("Hello "+user))
		})(w, r)
	}))
	defer server.Close()

	_, resp, err := DefaultDialer.Dial(server.URL, nil)
	fmt.Println(err, resp.StatusCode)
	c, _, err := DefaultDialer.Dial(server.URL, http.Header{"Cookie": {"session=5f1d"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, p, err := c.ReadMessage()
	fmt.Println(string(p), err)
	// Output:
	// websocket: bad handshake 401
	// Hello alice <nil>
}

// The only header that a page in a browser can choose is that of the subprotocols: new WebSocket(url, ["chat",
// "token.5f1d"]). The server must select one of them, or the browser fails the connection; it selects the other one.
func ExampleUpgrader_token() {
	users := map[string]string{"5f1d": "alice"} // by token
	upgrader := Upgrader{Subprotocols: []string{"chat"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var user string
		for _, p := range Subprotocols(r) {
			if token, ok := strings.CutPrefix(p, "token."); ok {
				user = users[token]
			}
		}
		if user == "" {
			http.Error(w, "a valid token is missing", http.StatusUnauthorized)
			return
		}
		upgrader.HandlerFunc(func(c *Conn, _ *http.Request) {
			c.WriteMessage(TextMessage, []byte("Hello "+user))
		})(w, r)
	}))
	defer server.Close()

	dialer := Dialer{Subprotocols: []string{"chat", "token.5f1d"}}
	c, _, err := dialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, p, err := c.ReadMessage()
	fmt.Println(c.Subprotocol(), string(p), err)
	// Output: chat Hello alice <nil>
}

// An envelope says what a message is, so that one connection carries JSON of several types.
func ExampleConn_ReadJSON_envelope() {
	type envelope struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	c, stop := dial(func(c *Conn, _ *http.Request) {
		c.WriteJSON(envelope{"joined", json.RawMessage(`{"user":"alice"}`)})
		c.WriteJSON(envelope{"moved", json.RawMessage(`{"x":3,"y":4}`)})
		c.ReadMessage()
	})
	defer stop()
	for range 2 {
		var e envelope
		if err := c.ReadJSON(&e); err != nil {
			log.Fatal(err)
		}
		switch e.Type {
		case "joined":
			var data struct{ User string }
			err := json.Unmarshal(e.Data, &data)
			fmt.Println(data.User, "has joined", err)
		case "moved":
			var data struct{ X, Y int }
			err := json.Unmarshal(e.Data, &data)
			fmt.Println("moved to", data.X, data.Y, err)
		}
	}
	// Output:
	// alice has joined <nil>
	// moved to 3 4 <nil>
}

// A server that listens on a Unix socket, and a client that connects to it.
func ExampleDialer_unixSocket() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	ln, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	var upgrader Upgrader
	go http.Serve(ln, upgrader.HandlerFunc(echo))

	dialer := Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	c, _, err := dialer.Dial("ws://localhost/", nil) // the host of the request
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	c.WriteMessage(TextMessage, []byte("over a socket"))
	_, p, err := c.ReadMessage()
	fmt.Println(string(p), err)
	// Output: over a socket <nil>
}

// A server whose certificate is signed by a private authority. A client certificate would be another field of the
// configuration, Certificates.
func ExampleDialer_certificate() {
	var upgrader Upgrader
	server := httptest.NewTLSServer(upgrader.HandlerFunc(echo))
	defer server.Close()

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate()) // usually roots.AppendCertsFromPEM
	dialer := Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
	c, _, err := dialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.NetConn().(*tls.Conn).ConnectionState().Version == tls.VersionTLS13)
	// Output: true
}

// A test of a handler. It has a deadline, so that it fails where it would hang.
func ExampleUpgrader_test() {
	TestEcho := func(t *testing.T) {
		var upgrader Upgrader
		server := httptest.NewServer(upgrader.HandlerFunc(echo))
		defer server.Close()
		c, _, err := DefaultDialer.Dial(server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if err := c.WriteMessage(TextMessage, []byte("Hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.ReadMessage(); string(p) != "Hello" || err != nil {
			t.Errorf("got %q and error %v, want Hello", p, err)
		}
	}

	t := new(testing.T) // which the go command makes otherwise
	TestEcho(t)
	fmt.Println("failed:", t.Failed())
	// Output: failed: false
}

// Messages for one user, who may have several connections.
func ExampleConn_oneUser() {
	var mu sync.Mutex
	users := make(map[string]map[*Conn]bool)
	here := make(chan bool)
	serve := func(c *Conn, r *http.Request) {
		user := r.URL.Query().Get("user") // of an authenticated request
		mu.Lock()
		if users[user] == nil {
			users[user] = make(map[*Conn]bool)
		}
		users[user][c] = true
		mu.Unlock()
		here <- true
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				break
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if delete(users[user], c); len(users[user]) == 0 {
			delete(users, user)
		}
	}
	send := func(user, text string) (devices int) {
		mu.Lock()
		defer mu.Unlock()
		for c := range users[user] {
			// A slow peer would hold up all others here: see the example SlowConsumer.
			if c.WriteMessage(TextMessage, []byte(text)) == nil {
				devices++
			}
		}
		return devices
	}

	var upgrader Upgrader
	server := httptest.NewServer(upgrader.HandlerFunc(serve))
	defer server.Close()
	for _, user := range []string{"alice", "alice", "bob"} {
		c, _, err := DefaultDialer.Dial(server.URL+"?user="+user, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		<-here
	}
	fmt.Println(send("alice", "for alice only"), send("carol", "nobody"))
	// Output: 2 0
}

// A bounded queue for each connection, which is emptied by a goroutine of its own, so that a consumer that is too slow
// is disconnected, and delays nobody.
func ExampleConn_slowConsumer() {
	gone := make(chan bool)
	_, stop := dial(func(c *Conn, _ *http.Request) {
		defer close(gone)
		queue := make(chan []byte, 100)
		go func() { // ends when the queue is closed, or the connection
			for message := range queue {
				c.SetWriteDeadline(time.Now().Add(10 * time.Second))
				if c.WriteMessage(BinaryMessage, message) != nil {
					return
				}
			}
		}()
		defer close(queue)
		message := make([]byte, 1<<20)
		for published := 0; ; published++ {
			select {
			case queue <- message:
				continue
			default:
			}
			fmt.Println("too slow:", published >= cap(queue))
			break
		}
		// Shutdown waits for the peer: a publisher calls it in a goroutine of its own.
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		c.Shutdown(ctx, CloseTryAgainLater, "too slow")
	})
	defer stop()
	<-gone // the client never reads
	// Output: too slow: true
}
