package peers

import (
	"context"
	"errors"
	"net/http"

	"github.com/coder/websocket"
)

var coder = library("coder/websocket", "github.com/coder/websocket")

type coderEndpoint struct {
	c *websocket.Conn
	// The context ends reads and writes, and with it the connection.
	ctx    context.Context
	cancel context.CancelFunc
}

func dialCoder(ctx context.Context, url, path string) (endpoint, int, error) {
	o := websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover}
	if path == "subprotocol" {
		o.Subprotocols = offeredSubprotocols
	}
	c, resp, err := websocket.Dial(ctx, url, &o)
	if err != nil {
		return nil, statusOf(resp), err
	}
	return newCoder(c), 0, nil
}

func upgradeCoder(w http.ResponseWriter, r *http.Request, _ string) (endpoint, error) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionContextTakeover,
		Subprotocols:    []string{subprotocol},
	})
	if err != nil {
		return nil, err
	}
	return newCoder(c), nil
}

func newCoder(c *websocket.Conn) endpoint {
	c.SetReadLimit(-1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	return &coderEndpoint{c, ctx, cancel}
}

func (e *coderEndpoint) read() (text bool, p []byte, err error) {
	messageType, p, err := e.c.Read(e.ctx)
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		err = &closedError{int(closed.Code), closed.Reason}
	}
	return messageType == websocket.MessageText, p, err
}

func coderType(text bool) websocket.MessageType {
	if text {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}

func (e *coderEndpoint) write(text bool, p []byte) error {
	return e.c.Write(e.ctx, coderType(text), p)
}

// writeParts sends each part in a fragment.
func (e *coderEndpoint) writeParts(text bool, parts [][]byte) error {
	w, err := e.c.Writer(e.ctx, coderType(text))
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return w.Close()
}

func (e *coderEndpoint) ping(pong func()) error {
	go func() { // ends with the pong or the connection
		if e.c.Ping(e.ctx) == nil {
			pong()
		}
	}()
	return nil
}

// shutdown does not tell the code of the answer.
func (e *coderEndpoint) shutdown(code int, reason string) error {
	return e.c.Close(websocket.StatusCode(code), reason)
}

func (e *coderEndpoint) subprotocol() string { return e.c.Subprotocol() }

func (e *coderEndpoint) close() {
	e.cancel()
	e.c.CloseNow()
}
