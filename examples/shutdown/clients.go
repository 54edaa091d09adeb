package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/switching-protocols/websocket"
)

// count opens n connections, waits until all have ended, and says how.
func count(url string, n int, stdout io.Writer) error {
	opened := make(chan error, n)
	ended := make(chan error, n)
	dialing := make(chan struct{}, 50) // the queue of the server's listener is not endless
	for range n {
		go func() { // ends with the connection
			dialing <- struct{}{}
			c, _, err := websocket.DefaultDialer.Dial(url, nil)
			<-dialing
			opened <- err
			if err == nil {
				defer c.Close()
				ended <- hello(c)
			}
		}()
	}
	for i := range n {
		if err := <-opened; err != nil {
			return fmt.Errorf("after %d connections: %w", i, err)
		}
	}
	fmt.Fprintf(stdout, "%d connections are open\n", n)

	codes := map[int]int{}
	for range n {
		codes[closeCode(<-ended)]++
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(stdout, "%d connections ended with close code %d\n", codes[code], code)
	}
	return nil
}

// hello says hello, and returns why the connection has ended. The server's Close frame is
// answered within the read that returns it.
func hello(c *websocket.Conn) error {
	err := c.WriteMessage(websocket.TextMessage, []byte("hello"))
	for err == nil {
		_, _, err = c.ReadMessage()
	}
	return err
}

// closeCode is 1006 where the connection ended without a Close frame (RFC 6455, 7.1.5).
func closeCode(err error) int {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return closed.Code
	}
	return websocket.CloseAbnormalClosure
}
