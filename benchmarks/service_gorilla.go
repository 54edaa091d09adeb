package main

import (
	"bytes"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// gorillaQueued serves connections that have a queue and a goroutine that writes what is in it. The handler returns,
// so that net/http's memory for it can be collected, as in gorilla's example of a chat.
func gorillaQueued[M any](
	u *websocket.Upgrader, write func(c *websocket.Conn, m M) error, serve func(q queue[M], read reader),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		q := newQueue[M]()
		go gorillaWriteQueued(c, q, write)
		go func() { // ends with the connection
			defer c.Close()
			defer close(q)
			serve(q, gorillaReader(c))
		}()
	}
}

// gorillaWriteQueued writes what is in the queue, until that is closed.
func gorillaWriteQueued[M any](c *websocket.Conn, q queue[M], write func(c *websocket.Conn, m M) error) {
	for m := range q {
		c.SetWriteDeadline(writeDeadline())
		if err := write(c, m); err != nil {
			c.Close() // ends the reading, and so the queue
		}
	}
}

// gorillaReader returns a function that reads messages into memory that is used again.
func gorillaReader(c *websocket.Conn) reader {
	var b bytes.Buffer
	return func() ([]byte, error) {
		_, r, err := c.NextReader()
		if err != nil {
			return nil, err
		}
		b.Reset()
		_, err = b.ReadFrom(r)
		return b.Bytes(), err
	}
}

func gorillaPrepare(messageType int) func(p []byte) (*websocket.PreparedMessage, error) {
	return func(p []byte) (*websocket.PreparedMessage, error) {
		return websocket.NewPreparedMessage(messageType, p)
	}
}

func gorillaChat(u *websocket.Upgrader) http.HandlerFunc {
	c := chat[*websocket.PreparedMessage]{prepare: gorillaPrepare(websocket.TextMessage)}
	return gorillaQueued(u, (*websocket.Conn).WritePreparedMessage, c.serve)
}

func gorillaMarket() http.HandlerFunc {
	m := marketOf[*websocket.PreparedMessage]{prepare: gorillaPrepare(websocket.BinaryMessage)}
	return gorillaQueued(new(websocket.Upgrader), (*websocket.Conn).WritePreparedMessage, m.serve)
}

func gorillaGame() http.HandlerFunc {
	var g game
	return gorillaQueued(new(websocket.Upgrader), gorillaWrite, func(q queue[[]byte], read reader) {
		g.serve(q.post, read)
	})
}

func gorillaWrite(c *websocket.Conn, p []byte) error {
	return c.WriteMessage(websocket.BinaryMessage, p)
}

func gorillaRPC() http.HandlerFunc {
	return gorillaHandler(func(c *websocket.Conn) {
		var mu sync.Mutex
		serveRPC(gorillaReader(c), func(p []byte) error {
			mu.Lock()
			defer mu.Unlock()
			return gorillaWrite(c, p)
		})
	})
}

func gorillaUpload() http.HandlerFunc {
	return gorillaHandler(func(c *websocket.Conn) {
		buf := make([]byte, uploadBuffer)
		for {
			_, r, err := c.NextReader()
			if err != nil {
				return
			}
			answer, err := receiveUpload(r, buf)
			if err != nil {
				return
			}
			if err := gorillaWrite(c, answer[:]); err != nil {
				return
			}
		}
	})
}
