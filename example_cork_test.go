package websocket

import (
	"fmt"
	"log"
	"net/http"
)

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
