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
	c, response, err := dialer.Dial(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(response.Header.Get("Sec-WebSocket-Extensions"))

	if err := c.WriteMessage(TextMessage, []byte(strings.Repeat("much the same ", 1000))); err != nil {
		log.Fatal(err)
	}
	_, p, err := c.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(p), "bytes")
	// Output:
	// permessage-deflate; server_max_window_bits=12; client_max_window_bits=12
	// 14000 bytes
}
