package websocket

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
)

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
