package websocket

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"
)

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
