// Command hub sends every message of a client to all clients, and shows what to do
// about those that read too slowly:
//
//	go run ./examples/hub -slow drop
//	go run ./examples/hub -slow disconnect
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopTimeout is how long the clients have for the closing handshake in the end.
const stopTimeout = 5 * time.Second

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	slow := flag.String("slow", drop, "what to do with slow clients: drop messages for them, or disconnect them")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("hub: ")
	if *slow != drop && *slow != disconnect {
		log.Fatalf("-slow is %q, want %s or %s", *slow, drop, disconnect)
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("hub: listening on ws://%s/\n", ln.Addr())

	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second Ctrl-C ends the process at once
	if err := run(ctx, ln, newHub(*slow)); err != nil {
		log.Fatal(err)
	}
}

// run serves the hub until ctx ends, and then closes all connections.
func run(ctx context.Context, ln net.Listener, h *hub) error {
	srv := &http.Server{Handler: h.handler(), ReadTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ends when the server is closed

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := h.group.Shutdown(closing); err != nil {
		log.Printf("some clients did not answer: %v", err)
	}
	return srv.Close()
}
