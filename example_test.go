package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"
)

// The examples are in package websocket and use its names unqualified, since an import of
// this module by its path would break go mod tidy in services with a replace line. See
// the package's documentation and examples/ for whole programs.

// echo sends every message back until the connection ends.
func echo(c *Conn, r *http.Request) {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			return
		}
	}
}

// dial connects to a server that runs serve for the connection.
func dial(serve func(*Conn, *http.Request)) (c *Conn, stop func()) {
	var upgrader Upgrader
	server := httptest.NewServer(upgrader.HandlerFunc(serve))
	c, _, err := DefaultDialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	return c, func() {
		c.Close()
		server.Close()
	}
}

// A server that chooses a subprotocol, and a client that asks for two.
func Example() {
	upgrader := Upgrader{Subprotocols: []string{"chat.v1", "chat.v2"}}
	server := httptest.NewServer(upgrader.HandlerFunc(echo))
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dialer := Dialer{Subprotocols: []string{"chat.v2", "chat.v1"}}
	c, _, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	if err := c.WriteMessage(TextMessage, []byte("Hello")); err != nil {
		log.Fatal(err)
	}
	_, p, err := c.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", c.Subprotocol(), p)
	// Output: chat.v2: Hello
}

// A page and its WebSocket on the same URL.
func ExampleIsWebSocketUpgrade() {
	var upgrader Upgrader
	room := upgrader.HandlerFunc(echo)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if IsWebSocketUpgrade(r) {
			room(w, r)
			return
		}
		io.WriteString(w, "<!doctype html><title>Room</title> ...")
	})
}

// Pages of other hosts than the server's own may connect, if they are named.
func ExampleUpgrader_originPatterns() {
	upgrader := Upgrader{
		OriginPatterns: []string{"example.com", "*.example.com", "localhost:*"},
	}
	http.Handle("/ws", upgrader.HandlerFunc(echo))
}

// Error sees every refusal: a service logs them, and answers as it likes.
func ExampleUpgrader_error() {
	upgrader := Upgrader{
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			log.Printf("%s asks for %s, and gets %d: %v", r.RemoteAddr, r.URL, status, reason)
			http.Error(w, reason.Error(), status)
		},
		// A cookie for each client that is let in.
		ResponseHeader: func(r *http.Request) http.Header {
			cookie := http.Cookie{Name: "room", Value: r.URL.Query().Get("room"), HttpOnly: true}
			return http.Header{"Set-Cookie": {cookie.String()}}
		},
	}
	http.Handle("/chat", upgrader.HandlerFunc(echo))
}

// Upgrade, for a handler that has to look at the request first.
func ExampleUpgrader_Upgrade() {
	var upgrader Upgrader
	http.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("token") == "" {
			http.Error(w, "a token is missing", http.StatusUnauthorized)
			return
		}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err) // and has been answered
			return
		}
		// The handler returns, so that net/http frees what it holds for the request.
		go func() {
			defer c.Close()
			echo(c, r)
		}()
	})
}

// A refused handshake comes with the server's answer.
func ExampleDialer_DialContext_refused() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	_, resp, err := DefaultDialer.DialContext(context.Background(), server.URL, nil)
	if errors.Is(err, ErrBadHandshake) {
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%v: %s: %s", err, resp.Status, body)
	}
	// Output: websocket: bad handshake: 404 Not Found: 404 page not found
}

// Message after message into the same memory.
func ExampleConn_AppendMessage() {
	c, stop := dial(func(c *Conn, r *http.Request) {
		for _, s := range []string{"one", "two", "three"} {
			if err := c.WriteMessage(TextMessage, []byte(s)); err != nil {
				return
			}
		}
		c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, "done"), time.Time{})
		c.ReadMessage() // the answer
	})
	defer stop()

	buf := make([]byte, 0, 4096)
	for {
		_, p, err := c.AppendMessage(buf[:0])
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", p)
		buf = p // larger, where a message was
	}
	// Output:
	// one
	// two
	// three
	// websocket: close 1000 (normal): done
}

// Messages as streams: neither side holds all of one in memory.
func ExampleConn_NextWriter() {
	c, stop := dial(func(c *Conn, r *http.Request) {
		for {
			messageType, message, err := c.NextReader()
			if err != nil {
				return
			}
			w, err := c.NextWriter(messageType)
			if err != nil {
				return
			}
			if _, err := io.Copy(w, message); err != nil {
				return
			}
			if err := w.Close(); err != nil {
				return
			}
		}
	})
	defer stop()

	w, err := c.NextWriter(BinaryMessage)
	if err != nil {
		log.Fatal(err)
	}
	for i := range 100_000 {
		if _, err := fmt.Fprintln(w, i); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	_, message, err := c.NextReader()
	if err != nil {
		log.Fatal(err)
	}
	n, err := io.Copy(io.Discard, message)
	fmt.Println(n, err)
	// Output: 588890 <nil>
}

// A read that timed out has lost nothing.
func ExampleConn_SetReadDeadline() {
	half := make(chan bool)
	c, stop := dial(func(c *Conn, r *http.Request) {
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			return
		}
		w.Write(make([]byte, 5000)) // the first fragment
		<-half
		w.Close()
		c.ReadMessage()
	})
	defer stop()

	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, _, err := c.ReadMessage()
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))

	close(half)
	c.SetReadDeadline(time.Now().Add(time.Minute))
	_, p, err := c.ReadMessage()
	fmt.Println(len(p), err)
	// Output:
	// true
	// 5000 <nil>
}

// Closing in an orderly way: all that the peer has sent is read, and both sides
// know that nothing was lost.
func ExampleConn_WriteControl() {
	c, stop := dial(echo)
	defer stop()
	c.WriteMessage(TextMessage, []byte("the last words"))

	deadline := time.Now().Add(5 * time.Second)
	bye := FormatCloseMessage(CloseNormalClosure, "bye")
	if err := c.WriteControl(CloseMessage, bye, deadline); err != nil {
		log.Fatal(err)
	}
	c.SetReadDeadline(deadline)
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", p)
	}
	// Output:
	// the last words
	// websocket: close 1000 (normal)
}
