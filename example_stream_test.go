package websocket

import (
	"fmt"
	"log"
	"net/http"
	"net/rpc"
)

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
