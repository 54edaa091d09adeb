// Package chat is a chat room: a hub, and for each member a goroutine that reads
// and one that writes.
package chat

import (
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const (
	writeWait  = 10 * time.Second
	pongWait   = 60 * time.Second
	pingPeriod = pongWait * 9 / 10
	maxMessage = 512
	queueSize  = 16
)

var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
}

// Hub knows the members, and sends each message to all of them.
type Hub struct {
	members   map[*member]struct{}
	join      chan *member
	leave     chan *member
	broadcast chan []byte
	stop      chan struct{}
}

type member struct {
	hub  *Hub
	conn *websocket.Conn
	send chan []byte // closed by the hub
}

func NewHub() *Hub {
	return &Hub{
		members:   make(map[*member]struct{}),
		join:      make(chan *member),
		leave:     make(chan *member),
		broadcast: make(chan []byte),
		stop:      make(chan struct{}),
	}
}

// Run runs the hub until Stop.
func (h *Hub) Run() {
	for {
		select {
		case m := <-h.join:
			h.members[m] = struct{}{}
			m.send <- []byte("welcome") // there is room: it is the first
		case m := <-h.leave:
			h.drop(m)
		case message := <-h.broadcast:
			for m := range h.members {
				select {
				case m.send <- message:
				default: // it does not keep up
					h.drop(m)
				}
			}
		case <-h.stop:
			for m := range h.members {
				h.drop(m)
			}
			return
		}
	}
}

func (h *Hub) drop(m *member) {
	if _, ok := h.members[m]; ok {
		delete(h.members, m)
		close(m.send)
	}
}

// Stop sends all members away.
func (h *Hub) Stop() { close(h.stop) }

func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		log.Println(err)
		return
	}
	m := &member{hub: h, conn: conn, send: make(chan []byte, queueSize)}
	select {
	case h.join <- m:
	case <-h.stop:
		conn.Close()
		return
	}
	go m.writePump()
	go m.readPump()
}

func (m *member) readPump() {
	defer func() {
		select {
		case m.hub.leave <- m:
		case <-m.hub.stop:
		}
		m.conn.Close()
	}()
	m.conn.SetReadLimit(maxMessage)
	m.conn.SetReadDeadline(time.Now().Add(pongWait))
	m.conn.SetPongHandler(func(string) error {
		return m.conn.SetReadDeadline(time.Now().Add(pongWait))
	})
	for {
		_, message, err := m.conn.ReadMessage()
		if err != nil {
			if websocket.IsUnexpectedCloseError(err, websocket.CloseGoingAway, websocket.CloseAbnormalClosure) {
				log.Printf("error: %v", err)
			} else if errors.Is(err, websocket.ErrReadLimit) {
				log.Printf("too long: %v", err)
			}
			return
		}
		select {
		case m.hub.broadcast <- message:
		case <-m.hub.stop:
			return
		}
	}
}

func (m *member) writePump() {
	ticker := time.NewTicker(pingPeriod)
	defer func() {
		ticker.Stop()
		m.conn.Close()
	}()
	for {
		select {
		case message, ok := <-m.send:
			m.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if !ok {
				m.conn.WriteMessage(websocket.CloseMessage, []byte{})
				return
			}
			if err := m.write(message); err != nil {
				return
			}
		case <-ticker.C:
			m.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if err := m.conn.WriteMessage(websocket.PingMessage, nil); err != nil {
				return
			}
		}
	}
}

// write sends the message, with what else is queued, as lines of one message.
func (m *member) write(message []byte) error {
	w, err := m.conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	w.Write(message)
	for range len(m.send) {
		w.Write([]byte{'\n'})
		w.Write(<-m.send)
	}
	return w.Close()
}
