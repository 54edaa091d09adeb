package main

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// coderQueued serves connections that have a queue and a goroutine that writes what is in it.
func coderQueued(
	o *websocket.AcceptOptions, messageType websocket.MessageType, serve func(q queue[[]byte], read reader),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, o)
		if err != nil {
			return
		}
		defer c.CloseNow()
		q := newQueue[[]byte]()
		defer close(q)
		go func() { // ends with the queue
			for p := range q {
				if err := coderWrite(c, messageType, p); err != nil {
					c.CloseNow() // ends the reading, and so the queue
				}
			}
		}()
		serve(q, coderReader(c))
	}
}

func coderWrite(c *websocket.Conn, messageType websocket.MessageType, p []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), serviceWriteTimeout)
	defer cancel()
	return c.Write(ctx, messageType, p)
}

// coderReader returns a function that reads messages into memory that is used again.
func coderReader(c *websocket.Conn) reader {
	var b bytes.Buffer
	return func() ([]byte, error) {
		_, r, err := c.Reader(context.Background())
		if err != nil {
			return nil, err
		}
		b.Reset()
		_, err = b.ReadFrom(r)
		return b.Bytes(), err
	}
}

// unprepared is the message itself, where a library can prepare none.
func unprepared(p []byte) ([]byte, error) { return p, nil }

func coderChat(o *websocket.AcceptOptions) http.HandlerFunc {
	c := chat[[]byte]{prepare: unprepared}
	return coderQueued(o, websocket.MessageText, c.serve)
}

func coderMarket() http.HandlerFunc {
	m := marketOf[[]byte]{prepare: unprepared}
	return coderQueued(nil, websocket.MessageBinary, m.serve)
}

func coderGame() http.HandlerFunc {
	var g game
	return coderQueued(nil, websocket.MessageBinary, func(q queue[[]byte], read reader) {
		g.serve(q.post, read)
	})
}

func coderRPC() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		serveRPC(coderReader(c), func(p []byte) error {
			return c.Write(context.Background(), websocket.MessageBinary, p)
		})
	}
}

func coderUpload() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		ctx := context.Background()
		buf := make([]byte, uploadBuffer)
		for {
			_, r, err := c.Reader(ctx)
			if err != nil {
				return
			}
			answer, err := receiveUpload(r, buf)
			if err != nil {
				return
			}
			if err := c.Write(ctx, websocket.MessageBinary, answer[:]); err != nil {
				return
			}
		}
	}
}
