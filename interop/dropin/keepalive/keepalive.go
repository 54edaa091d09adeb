// Package keepalive notices peers that have gone without a word: with pings, pongs
// and deadlines.
package keepalive

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// Server greets its clients, and keeps them as long as they answer pings.
type Server struct {
	PongWait   time.Duration // how long a client may be silent
	PingPeriod time.Duration // less than PongWait
	WriteWait  time.Duration // how long a write may take

	Gone func(error) // called when a client has gone
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{HandshakeTimeout: s.WriteWait}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()

	done := make(chan struct{})
	defer close(done)
	go s.ping(ws, done) // ends with this function

	ws.SetReadDeadline(time.Now().Add(s.PongWait))
	ws.SetPongHandler(func(string) error {
		ws.SetReadDeadline(time.Now().Add(s.PongWait))
		return nil
	})
	for {
		messageType, p, err := ws.ReadMessage()
		if err != nil {
			s.Gone(err)
			return
		}
		ws.SetReadDeadline(time.Now().Add(s.PongWait))
		ws.SetWriteDeadline(time.Now().Add(s.WriteWait))
		if err := ws.WriteMessage(messageType, p); err != nil {
			s.Gone(err)
			return
		}
	}
}

func (s *Server) ping(ws *websocket.Conn, done <-chan struct{}) {
	ticker := time.NewTicker(s.PingPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := ws.WriteControl(websocket.PingMessage, []byte{}, time.Now().Add(s.WriteWait)); err != nil {
				return
			}
		case <-done:
			return
		}
	}
}

// Watch reads until the server is silent for longer than the patience, and calls
// alive for each of its pings.
func Watch(ws *websocket.Conn, patience time.Duration, alive func()) error {
	ws.SetReadDeadline(time.Now().Add(patience))
	ws.SetPingHandler(func(message string) error {
		alive()
		ws.SetReadDeadline(time.Now().Add(patience))
		err := ws.WriteControl(websocket.PongMessage, []byte(message), time.Now().Add(time.Second))
		if err == websocket.ErrCloseSent {
			return nil
		}
		return err
	})
	for {
		if _, _, err := ws.NextReader(); err != nil {
			return err
		}
	}
}
