// Command shutdown is a server that stops in an orderly way: on Ctrl-C or SIGTERM it lets
// nobody in any more, sends every client a Close frame with 1001 (going away), and ends
// when all of them have answered, or when the time is up. Its client mode opens
// many connections and counts with which close code they end:
//
//	go run ./examples/shutdown
//	go run ./examples/shutdown -clients 10000
//
// When the second one says that they are open, press Ctrl-C in the first one's window. Each process has a descriptor
// for each connection, so ulimit -Hn must print more than 10000, or fewer clients must do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/switching-protocols/websocket"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on; port 0 chooses a free one")
	timeout := flag.Duration("timeout", 10*time.Second, "how long clients may take to answer the Close frame")
	clients := flag.Int("clients", 0, "be this many clients instead of the server")
	url := flag.String("url", "ws://127.0.0.1:8080/", "address of the server, for clients")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("shutdown: ")

	if *clients > 0 {
		if err := count(*url, *clients, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second Ctrl-C ends the process at once
	if err := serve(ctx, *addr, *timeout, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// serve echoes messages until ctx ends, and then closes all connections.
func serve(ctx context.Context, addr string, timeout time.Duration, stdout io.Writer) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "listening on ws://%s/\n", ln.Addr())

	var group websocket.Group
	upgrader := websocket.Upgrader{Group: &group, ReadLimit: 1 << 20}
	srv := &http.Server{Handler: upgrader.HandlerFunc(echo), ReadTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ends with srv.Shutdown
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}

	fmt.Fprintf(stdout, "closing %d connections\n", group.Len())
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	// srv knows of the connections that are not upgraded, group of those that are.
	// Neither waits for the other, so that a slow request takes no time from the clients.
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Shutdown(ctx) }() // nobody new gets in
	err = group.Shutdown(ctx)
	return errors.Join(err, <-stopped)
}

func echo(c *websocket.Conn, r *http.Request) {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return // HandlerFunc closes the connection
		}
		// Behind our Close frame nothing can be sent, but what the client has sent
		// before its own is still to be read.
		if err := c.WriteMessage(messageType, p); err != nil && err != websocket.ErrCloseSent {
			return
		}
	}
}
