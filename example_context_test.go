package websocket

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"
)

// A read that ends with a context has lost nothing: the next one gets the message.
func ExampleConn_ReadMessageContext() {
	asked := make(chan bool)
	var upgrader Upgrader
	server := httptest.NewServer(upgrader.HandlerFunc(func(c *Conn, r *http.Request) {
		<-asked
		if err := c.WriteMessage(TextMessage, []byte("at last")); err != nil {
			log.Print(err)
			return
		}
		c.ReadMessage() // until the client closes the connection
	}))
	defer server.Close()

	c, _, err := DefaultDialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

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
	var upgrader Upgrader
	server := httptest.NewServer(upgrader.HandlerFunc(echo))
	defer server.Close()

	c, _, err := DefaultDialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

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
	var upgrader Upgrader
	server := httptest.NewServer(upgrader.HandlerFunc(echo))
	defer server.Close()

	c, _, err := DefaultDialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

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
