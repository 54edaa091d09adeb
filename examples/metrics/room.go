package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/switching-protocols/websocket"
	"golang.org/x/time/rate"
)

// room sends each message to all clients.
type room struct {
	metrics *metrics
	group   websocket.Group

	perSecond rate.Limit // messages of a client
	burst     int
	queue     int // messages that wait for a client
	pingEvery time.Duration
	pongTime  time.Duration // a client without a pong for this long is gone

	mu      sync.Mutex
	clients map[*client]bool
}

type client struct {
	conn  *websocket.Conn
	queue chan []byte // closed by remove
	slow  sync.Once
}

func newRoom(m *metrics) *room {
	return &room{metrics: m, perSecond: 20, burst: 40, queue: 64, pingEvery: 15 * time.Second, pongTime: 15 * time.Second,
		clients: make(map[*client]bool)}
}

func (r *room) handler() http.Handler {
	upgrader := websocket.Upgrader{
		Group:     &r.group,
		ReadLimit: 64 << 10,
		Error: func(w http.ResponseWriter, req *http.Request, status int, reason error) {
			r.metrics.refused(req.Context(), status, reason)
			http.Error(w, reason.Error(), status)
		},
	}
	return upgrader.HandlerFunc(r.serve)
}

// serve reads from a client until its connection ends.
func (r *room) serve(conn *websocket.Conn, req *http.Request) {
	ctx := req.Context() // ends with the connection
	c := &client{conn: conn, queue: make(chan []byte, r.queue)}
	r.add(c)
	defer r.remove(c)
	r.metrics.connections.Add(ctx, 1)
	defer r.metrics.connections.Add(ctx, -1)
	go r.write(ctx, c) // ends when the queue is closed
	go r.ping(ctx, c)  // ends with ctx

	limiter := rate.NewLimiter(r.perSecond, r.burst)
	for {
		// A client that is too fast waits here, and then in its own TCP connection.
		if !limiter.Allow() {
			r.metrics.limited.Add(ctx, 1)
			if limiter.Wait(ctx) != nil {
				return
			}
		}
		_, p, err := conn.ReadMessage()
		if err != nil {
			r.metrics.ended(ctx, err)
			return
		}
		r.metrics.received(ctx, p)
		r.publish(ctx, p)
	}
}

func (r *room) add(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[c] = true
}

func (r *room) remove(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, c)
	close(c.queue)
}

// publish puts a message into all queues. It waits for nobody: a client whose queue is full is disconnected.
func (r *room) publish(ctx context.Context, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.clients {
		select {
		case c.queue <- p:
		default:
			c.slow.Do(func() {
				r.metrics.dropped.Add(ctx, 1)
				go func() { // Shutdown waits for the client
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					defer cancel()
					c.conn.Shutdown(ctx, websocket.CloseTryAgainLater, "too slow")
				}()
			})
		}
	}
}

// write sends what is in the queue.
func (r *room) write(ctx context.Context, c *client) {
	for p := range c.queue {
		c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if err := c.conn.WriteMessage(websocket.TextMessage, p); err != nil {
			c.conn.Close()
			return
		}
		r.metrics.sent(ctx, p)
	}
}

// ping measures the round-trip time. A client that does not answer is disconnected.
func (r *room) ping(ctx context.Context, c *client) {
	ticker := time.NewTicker(r.pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		bounded, cancel := context.WithTimeout(ctx, r.pongTime)
		rtt, err := c.conn.Ping(bounded)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			c.conn.Close()
		}
		if err != nil {
			return
		}
		r.metrics.ping(ctx, rtt)
	}
}
