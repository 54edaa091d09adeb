package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/switching-protocols/websocket"
)

const (
	// A client that is behind by more than maxQueue messages is slow. Both bound the
	// memory for one client: a message is at most readLimit long, and all queues share it.
	maxQueue  = 64
	readLimit = 4 << 10

	writeTimeout = 5 * time.Second  // for one message: who takes none for so long is gone
	closeTimeout = 2 * time.Second  // after that, for the closing handshake
	pingInterval = 20 * time.Second // without a sign of the client
	pongTimeout  = 10 * time.Second // after a ping
)

// What is done about a slow client.
const (
	drop       = "drop"       // it misses the oldest messages: good where the newest counts
	disconnect = "disconnect" // it has to come back: good where none may be missed
)

type hub struct {
	slow  string
	group websocket.Group

	mu      sync.Mutex
	clients map[*client]bool
}

type client struct {
	conn  *websocket.Conn
	queue chan *websocket.PreparedMessage // filled and closed with hub.mu held
}

func newHub(slow string) *hub { return &hub{slow: slow, clients: make(map[*client]bool)} }

func (h *hub) handler() http.Handler {
	upgrader := websocket.Upgrader{
		ReadLimit:    readLimit,
		PingInterval: pingInterval, // finds the clients that are gone without a word
		PongTimeout:  pongTimeout,
		Group:        &h.group,
	}
	return upgrader.HandlerFunc(h.serve)
}

// serve is the life of one connection. This goroutine reads, and never waits for
// a client that is slow; a second one writes, and may.
func (h *hub) serve(conn *websocket.Conn, r *http.Request) {
	c := &client{conn, make(chan *websocket.PreparedMessage, maxQueue)}
	h.mu.Lock()
	h.clients[c] = true
	h.mu.Unlock()
	go c.write() // ends when the queue is closed, or the connection
	defer h.remove(c)
	for {
		messageType, p, err := conn.ReadMessage()
		if err == nil {
			err = h.broadcast(messageType, p)
		}
		if err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
			return
		}
	}
}

// write sends what is queued. Its deadline bounds every message, so a client that
// takes nothing cannot hold this goroutine for ever.
func (c *client) write() {
	for m := range c.queue {
		c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		err := c.conn.WritePreparedMessage(m)
		if errors.Is(err, websocket.ErrCloseSent) {
			return // the connection is being shut down, and serve reads the answer
		}
		if err != nil {
			c.conn.Close() // ends serve, too
			return
		}
	}
}

// broadcast queues a message for all. It is encoded once, and nobody waits.
func (h *hub) broadcast(messageType int, p []byte) error {
	m, err := websocket.NewPreparedMessage(messageType, p)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		select {
		case c.queue <- m:
			continue
		default:
		}
		if h.slow == disconnect {
			h.removeLocked(c)
			go c.shutdown() // has its time
			continue
		}
		select {
		case <-c.queue: // the oldest makes room
		default: // the writer was quicker
		}
		c.queue <- m // there is room, since only the holder of the lock fills it
	}
	return nil
}

// shutdown tells a slow client why it is disconnected. Where its network takes nothing,
// the write deadline ends the message before.
func (c *client) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout+closeTimeout)
	defer cancel()
	if err := c.conn.Shutdown(ctx, websocket.CloseTryAgainLater, "too slow"); err != nil {
		log.Printf("slow client: %v", err)
	}
}

func (h *hub) remove(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removeLocked(c)
}

func (h *hub) removeLocked(c *client) {
	if h.clients[c] {
		delete(h.clients, c)
		close(c.queue)
	}
}
