package peers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

var gorilla = library("gorilla/websocket", "github.com/gorilla/websocket")

type gorillaEndpoint struct{ *websocket.Conn }

// gorillaBuffer is the size of the write buffer, and so of fragments.
const gorillaBuffer = 4096

func dialGorilla(ctx context.Context, url, path string) (endpoint, int, error) {
	d := websocket.Dialer{WriteBufferSize: gorillaBuffer, EnableCompression: true}
	if path == "subprotocol" {
		d.Subprotocols = offeredSubprotocols
	}
	c, resp, err := d.DialContext(ctx, url, nil)
	if err != nil {
		return nil, statusOf(resp), err
	}
	return newGorilla(c), 0, nil
}

// statusOf returns the status of an answer, or 0 if there is none.
func statusOf(resp *http.Response) int {
	if resp == nil {
		return 0
	}
	return resp.StatusCode
}

func upgradeGorilla(w http.ResponseWriter, r *http.Request, _ string) (endpoint, error) {
	u := websocket.Upgrader{WriteBufferSize: gorillaBuffer, EnableCompression: true}
	u.Subprotocols = []string{subprotocol}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return newGorilla(c), nil
}

func newGorilla(c *websocket.Conn) endpoint {
	c.SetReadDeadline(time.Now().Add(patience))
	c.SetWriteDeadline(time.Now().Add(patience))
	return gorillaEndpoint{c}
}

func (e gorillaEndpoint) read() (text bool, p []byte, err error) {
	messageType, p, err := e.ReadMessage()
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		err = &closedError{closed.Code, closed.Text}
	}
	return messageType == websocket.TextMessage, p, err
}

func gorillaType(text bool) int {
	if text {
		return websocket.TextMessage
	}
	return websocket.BinaryMessage
}

func (e gorillaEndpoint) write(text bool, p []byte) error {
	return e.WriteMessage(gorillaType(text), p)
}

// writeParts sends fragments of the size of the write buffer, whatever the parts are.
func (e gorillaEndpoint) writeParts(text bool, parts [][]byte) error {
	w, err := e.NextWriter(gorillaType(text))
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

func (e gorillaEndpoint) ping(pong func()) error {
	const payload = "from the peer"
	e.SetPongHandler(func(p string) error {
		if p == payload {
			pong()
		}
		return nil
	})
	return e.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(patience))
}

func (e gorillaEndpoint) shutdown(code int, reason string) error {
	bye := websocket.FormatCloseMessage(code, reason)
	err := e.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience))
	if err != nil {
		return err
	}
	if _, _, err = e.ReadMessage(); websocket.IsCloseError(err, code) {
		return nil
	}
	return err
}

func (e gorillaEndpoint) subprotocol() string { return e.Subprotocol() }
func (e gorillaEndpoint) close()              { e.Close() }
