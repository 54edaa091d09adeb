package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/rpc"
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

// A read that ends with a context has lost nothing: the next one gets the message.
func ExampleConn_ReadMessageContext() {
	asked := make(chan bool)
	c, stop := dial(func(c *Conn, r *http.Request) {
		<-asked
		if err := c.WriteMessage(TextMessage, []byte("at last")); err != nil {
			log.Print(err)
			return
		}
		c.ReadMessage() // until the client closes the connection
	})
	defer stop()

	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, errors.New("patience is over"))
	defer cancel()
	if _, _, err := c.ReadMessageContext(ctx); err != nil {
		fmt.Println(err)
		fmt.Println(errors.Is(err, context.DeadlineExceeded))
	}

	close(asked)
	ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, p, err := c.ReadMessageContext(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", p)
	// Output:
	// websocket: context deadline exceeded: patience is over
	// true
	// at last
}

// A write that waits for its turn, and is given up: the connection is as good as before.
func ExampleConn_WriteMessageContext() {
	c, stop := dial(echo)
	defer stop()

	w, err := c.NextWriter(TextMessage)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := fmt.Fprint(w, "a message that "); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.WriteMessageContext(ctx, TextMessage, []byte("another")); err != nil {
		fmt.Println(err)
	}

	if _, err := fmt.Fprint(w, "takes its time"); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	if err := c.WriteMessageContext(context.Background(), TextMessage, []byte("another")); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		_, p, err := c.ReadMessage()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", p)
	}
	// Output:
	// context deadline exceeded
	// a message that takes its time
	// another
}

// The time to the peer and back, while another goroutine reads.
func ExampleConn_Ping() {
	c, stop := dial(echo)
	defer stop()

	go func() {
		for {
			_, p, err := c.ReadMessage() // sees the pong
			if err != nil {
				return // c is closed
			}
			fmt.Printf("%s\n", p)
		}
	}()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rtt, err := c.Ping(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rtt > 0)
	// Output: true
}

// A server finds out that a client is gone, here one that does not read and so does not answer pings.
func ExampleUpgrader_keepalive() {
	found := make(chan error)
	upgrader := Upgrader{
		PingInterval: 20 * time.Millisecond, // some 30 s in earnest
		PongTimeout:  10 * time.Millisecond,
	}
	server := httptest.NewServer(upgrader.HandlerFunc(func(c *Conn, r *http.Request) {
		for {
			_, p, err := c.ReadMessage()
			if err != nil {
				found <- err
				return
			}
			if err := c.WriteMessage(TextMessage, p); err != nil {
				found <- err
				return
			}
		}
	}))
	defer server.Close()

	c, _, err := DefaultDialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	err = <-found
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		fmt.Println(err)
	}
	// Output: websocket: nothing came for 10ms after a ping
}

// A program that has many small messages to send at once, here the lines of a log, sends
// them in a few system calls.
func ExampleConn_Flush() {
	lines := []string{"starting", "listening", "ready"}
	c, stop := dial(func(c *Conn, r *http.Request) {
		c.Cork()
		for _, line := range lines {
			if err := c.WriteMessage(TextMessage, []byte(line)); err != nil {
				return
			}
		}
		if err := c.Flush(); err != nil {
			return
		}
		c.ReadMessage() // until the client closes
	})
	defer stop()

	for range lines {
		_, p, err := c.ReadMessage()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", p)
	}
	// Output:
	// starting
	// listening
	// ready
}

// Closing from another goroutine than the one that reads, which gets all that the peer
// has sent before its own Close frame.
func ExampleConn_Shutdown() {
	c, stop := dial(echo)
	defer stop()
	read := make(chan struct{})
	go func() { // ends with the connection
		defer close(read)
		for {
			_, p, err := c.ReadMessage()
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("%s\n", p)
		}
	}()
	if err := c.WriteMessage(TextMessage, []byte("the last words")); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Shutdown(ctx, CloseNormalClosure, "bye"); err != nil {
		log.Fatal(err)
	}
	<-read
	// Output:
	// the last words
	// websocket: close 1000 (normal)
}

// A server closes all connections before it ends. See examples/shutdown for a program
// that does so when it is told to stop.
func ExampleGroup() {
	var group Group
	upgrader := Upgrader{Group: &group}
	server := httptest.NewServer(upgrader.HandlerFunc(echo))
	defer server.Close()

	c, _, err := DefaultDialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	closed := make(chan error, 1)
	go func() { // ends with the connection
		_, _, err := c.ReadMessage()
		closed <- err
	}()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := group.Shutdown(ctx); err != nil {
		log.Fatal(err) // some clients have not answered in time
	}
	fmt.Println("the client:", <-closed)

	_, resp, err := DefaultDialer.Dial(server.URL, nil)
	fmt.Println("another one:", err, resp.Status)
	// Output:
	// the client: websocket: close 1001 (going away)
	// another one: websocket: bad handshake 503 Service Unavailable
}

// A server that only sends learns from the context that the client has left.
func ExampleConn_CloseRead() {
	var upgrader Upgrader
	left := make(chan error, 1)
	server := httptest.NewServer(upgrader.HandlerFunc(func(c *Conn, r *http.Request) {
		ctx := c.CloseRead(r.Context())
		ticks := time.NewTicker(time.Millisecond)
		defer ticks.Stop()
		for n := 1; ; n++ {
			select {
			case <-ticks.C:
				c.WriteJSON(n)
			case <-ctx.Done():
				left <- ctx.Err()
				return
			}
		}
	}))
	defer server.Close()

	c, _, err := DefaultDialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		_, p, err := c.ReadMessage()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s", p)
	}
	c.Close()
	fmt.Println(<-left)
	// Output:
	// 1
	// 2
	// 3
	// context canceled
}

// A server and a client that compress what they send, and remember the messages before.
func ExampleCompressionOptions() {
	options := CompressionOptions{
		ContextTakeover: true, // each message may refer to those before it
		WindowBits:      12,   // within 4 KiB, which is what a connection then keeps
		PeerWindowBits:  12,   // likewise in the other direction
		Threshold:       64,   // it is not worth it for shorter ones
	}
	upgrader := Upgrader{EnableCompression: true, Compression: options}
	server := httptest.NewServer(upgrader.HandlerFunc(func(c *Conn, r *http.Request) {
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			// A picture is compressed already: to try once more would be work for nothing.
			c.EnableWriteCompression(messageType == TextMessage)
			if err := c.WriteMessage(messageType, p); err != nil {
				return
			}
		}
	}))
	defer server.Close()

	dialer := Dialer{EnableCompression: true, Compression: options}
	c, _, err := dialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	agreed := c.CompressionState()
	fmt.Println(agreed.Enabled, agreed.SendTakeover, agreed.SendWindowBits, agreed.ReceiveWindowBits)

	if err := c.WriteMessage(TextMessage, []byte(strings.Repeat("much the same ", 1000))); err != nil {
		log.Fatal(err)
	}
	_, p, err := c.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(p), "bytes")
	// Output:
	// true true 12 12
	// 14000 bytes
}

// Words is a service of net/rpc.
type Words struct{}

// Count answers with the number of words.
func (Words) Count(words []string, n *int) error {
	*n = len(words)
	return nil
}

// Any protocol that wants a net.Conn can go through a stream: here net/rpc, between a
// server and a client that talk over one WebSocket connection.
func ExampleNewStream() {
	service := rpc.NewServer()
	if err := service.Register(Words{}); err != nil {
		log.Fatal(err)
	}
	c, stop := dial(func(c *Conn, r *http.Request) {
		service.ServeConn(NewStream(c, BinaryMessage)) // until the client closes
	})
	defer stop()

	client := rpc.NewClient(NewStream(c, BinaryMessage))
	var n int
	if err := client.Call("Words.Count", []string{"one", "two", "three"}, &n); err != nil {
		log.Fatal(err)
	}
	if err := client.Close(); err != nil { // closes the stream, and that the connection
		log.Fatal(err)
	}
	fmt.Println(n)
	// Output: 3
}
