package main

import (
	"errors"
	"net/http"

	"github.com/switching-protocols/websocket"
)

// websocketQueued serves connections that have a queue and a goroutine that writes what is in it.
func websocketQueued[M any](
	u *websocket.Upgrader, write func(c *websocket.Conn, m M) error, serve func(q queue[M], read reader),
) http.HandlerFunc {
	return u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		q := newQueue[M]()
		defer close(q)
		go websocketWriteQueued(c, q, write)
		serve(q, websocketReader(c))
	})
}

// websocketWriteQueued writes what is in the queue, until that is closed: together what has come together.
func websocketWriteQueued[M any](c *websocket.Conn, q queue[M], write func(c *websocket.Conn, m M) error) {
	for m := range q {
		c.SetWriteDeadline(writeDeadline())
		if err := websocketWriteTogether(c, m, q, write); err != nil {
			c.Close() // ends the reading, and so the queue
		}
	}
}

// websocketWriteTogether writes m, and what is in the queue behind it.
func websocketWriteTogether[M any](c *websocket.Conn, m M, q queue[M], write func(c *websocket.Conn, m M) error) error {
	more := len(q)
	if more == 0 {
		return write(c, m)
	}
	c.Cork()
	err := write(c, m)
	for range more {
		err = errors.Join(err, write(c, <-q))
	}
	return errors.Join(err, c.Flush())
}

// websocketReader returns a function that reads messages into memory that is used again.
func websocketReader(c *websocket.Conn) reader {
	var buf []byte
	return func() ([]byte, error) {
		_, p, err := c.AppendMessage(buf[:0])
		buf = p
		return p, err
	}
}

func websocketPrepare(messageType int) func(p []byte) (*websocket.PreparedMessage, error) {
	return func(p []byte) (*websocket.PreparedMessage, error) {
		return websocket.NewPreparedMessage(messageType, p)
	}
}

func websocketChat(u *websocket.Upgrader) http.HandlerFunc {
	c := chat[*websocket.PreparedMessage]{prepare: websocketPrepare(websocket.TextMessage)}
	return websocketQueued(u, (*websocket.Conn).WritePreparedMessage, c.serve)
}

func websocketMarket() http.HandlerFunc {
	m := marketOf[*websocket.PreparedMessage]{prepare: websocketPrepare(websocket.BinaryMessage)}
	return websocketQueued(new(websocket.Upgrader), (*websocket.Conn).WritePreparedMessage, m.serve)
}

func websocketGame() http.HandlerFunc {
	var g game
	write := func(c *websocket.Conn, p []byte) error { return c.WriteMessage(websocket.BinaryMessage, p) }
	return websocketQueued(new(websocket.Upgrader), write, func(q queue[[]byte], read reader) {
		g.serve(q.post, read)
	})
}

func websocketRPC() http.HandlerFunc {
	return new(websocket.Upgrader).HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		serveRPC(websocketReader(c), func(p []byte) error { return c.WriteMessage(websocket.BinaryMessage, p) })
	})
}

func websocketUpload() http.HandlerFunc {
	return new(websocket.Upgrader).HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
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
			if err := c.WriteMessage(websocket.BinaryMessage, answer[:]); err != nil {
				return
			}
		}
	})
}
