package peers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

var nbio = peer{name: "nbio", version: nbioVersion, pinned: true, serve: serveNbio}

func nbioVersion(t *testing.T) string {
	if raceDetector {
		t.Skip("nbio passes connections to other goroutines by epoll, which the race detector does not know")
	}
	return moduleVersion("github.com/lesismal/nbio")(t)
}

type nbioEndpoint struct {
	*events
	c *websocket.Conn
}

// serveNbio is a server of nbio, with its own HTTP server, which reads in an event loop.
func serveNbio(t *testing.T, reports reports) string {
	logging.SetLevel(logging.LevelNone) // it says when it starts and stops
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp",
		Addrs:   []string{"127.0.0.1:0"},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := strings.TrimPrefix(r.URL.Path, "/")
			if path == refusal {
				http.Error(w, "refused", http.StatusForbidden)
				reports.report(path, pass())
				return
			}
			e, err := upgradeNbio(w, r)
			if err != nil {
				reports.report(path, fail(err.Error()))
				return
			}
			go func() { reports.report(path, playEndpoint(e, path)) }() // ends with the connection
		}),
	})
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := engine.Shutdown(ctx); err != nil {
			t.Errorf("nbio: %v", err)
		}
	})
	return engine.Addrs[0]
}

func upgradeNbio(w http.ResponseWriter, r *http.Request) (endpoint, error) {
	e := &nbioEndpoint{events: newEvents()}
	u := websocket.NewUpgrader()
	u.Subprotocols = []string{subprotocol}
	u.EnableCompression(true)
	u.OnMessage(func(_ *websocket.Conn, messageType websocket.MessageType, data []byte) {
		e.messages <- event{messageType == websocket.TextMessage, bytes.Clone(data)}
	})
	u.SetPongHandler(func(_ *websocket.Conn, payload string) {
		if payload == "from the peer" {
			e.pong <- struct{}{}
		}
	})
	u.SetCloseHandler(func(c *websocket.Conn, code int, reason string) {
		e.finish(&closedError{code, reason})
		c.WriteClose(code, reason)
	})
	u.OnClose(func(_ *websocket.Conn, err error) {
		e.finish(fmt.Errorf("closed without a Close frame: %w", err))
	})
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	e.c = c
	return e, nil
}

func nbioType(text bool) websocket.MessageType {
	if text {
		return websocket.TextMessage
	}
	return websocket.BinaryMessage
}

func (e *nbioEndpoint) write(text bool, p []byte) error {
	return e.c.WriteMessage(nbioType(text), p)
}

func (e *nbioEndpoint) writeParts(text bool, parts [][]byte) error {
	for i, p := range parts {
		if err := e.c.WriteFrame(nbioType(text), i == 0, i == len(parts)-1, p); err != nil {
			return err
		}
	}
	return nil
}

func (e *nbioEndpoint) ping(pong func()) error {
	e.onPong(pong)
	return e.c.WriteMessage(websocket.PingMessage, []byte("from the peer"))
}

func (e *nbioEndpoint) shutdown(code int, reason string) error {
	if err := e.c.WriteClose(code, reason); err != nil {
		return err
	}
	_, _, err := e.read()
	if closed, ok := err.(*closedError); ok && closed.code == code {
		return nil
	}
	return err
}

func (e *nbioEndpoint) subprotocol() string { return e.c.Subprotocol() }
func (e *nbioEndpoint) close()              { e.c.Close() }
