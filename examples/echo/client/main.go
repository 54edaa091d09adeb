// Command client sends the lines of its standard input to the echo server and
// prints what comes back. At the end of the input (Ctrl-D) it says goodbye.
//
// Start the server first:
//
//	go run ./examples/echo/server
//	go run ./examples/echo/client
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/switching-protocols/websocket"
)

func main() {
	url := flag.String("url", "ws://127.0.0.1:8080/", "address of the echo server")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("echo: ")
	if err := talk(*url, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func talk(url string, in io.Reader, out io.Writer) error {
	c, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return err
	}
	defer c.Close()

	lines := bufio.NewScanner(in)
	for lines.Scan() {
		// A text message must be UTF-8; standard input may hold anything.
		line := bytes.ToValidUTF8(lines.Bytes(), []byte("\uFFFD"))
		if err := c.WriteMessage(websocket.TextMessage, line); err != nil {
			return err
		}
		_, echo, err := c.ReadMessage()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", echo); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return goodbye(c)
}

// goodbye sends a Close frame and waits until the server has answered it, so
// that both sides know that nothing was lost.
func goodbye(c *websocket.Conn) error {
	deadline := time.Now().Add(5 * time.Second)
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "goodbye")
	if err := c.WriteControl(websocket.CloseMessage, bye, deadline); err != nil {
		return err
	}
	if err := c.SetReadDeadline(deadline); err != nil {
		return err
	}
	_, _, err := c.ReadMessage()
	if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return nil
	}
	if err == nil {
		return errors.New("a message came where the answer to the goodbye was expected")
	}
	return err
}
