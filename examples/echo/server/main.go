// Command server sends every message back to the client that sent it.
//
// Start it, then talk to it with the client beside it:
//
//	go run ./examples/echo/server
//	go run ./examples/echo/client
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/switching-protocols/websocket"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("echo: ")

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("echo: listening on ws://%s/\n", ln.Addr())

	upgrader := websocket.Upgrader{ReadLimit: 1 << 20}
	srv := &http.Server{
		Handler:     upgrader.HandlerFunc(echo),
		ReadTimeout: 5 * time.Second,
	}
	log.Fatal(srv.Serve(ln))
}

// echo returns when the connection is over; HandlerFunc then closes it.
func echo(c *websocket.Conn, r *http.Request) {
	for {
		messageType, p, err := c.ReadMessage()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
			return // the client said goodbye, and the library has answered
		}
		if err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
			return
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
			return
		}
	}
}
