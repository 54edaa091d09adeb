package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"sync"
	"time"

	"github.com/switching-protocols/websocket"
)

const (
	// A client that is behind by more than maxQueue events is slow. It is more than maxRecent, with which a queue
	// may begin.
	maxQueue = 512

	writeTimeout = 10 * time.Second // for one event
	closeTimeout = 2 * time.Second  // after that, for the closing handshake
)

// client is one connection. Whoever sends to it never waits for it.
type client struct {
	conn *websocket.Conn

	mu      sync.Mutex
	queue   []*websocket.PreparedMessage // events are shared by all clients of a room
	writing bool                         // there is a goroutine that empties the queue
	closing bool                         // nothing is queued any more
}

// read returns the next request.
func (c *client) read() (req request, err error) {
	_, p, err := c.conn.ReadMessage()
	if err != nil {
		return request{}, err
	}
	if err := json.Unmarshal(p, &req); err != nil {
		return request{}, ruleError("the request is not JSON")
	}
	return req, nil
}

// send queues events. If too many wait already, the client is told to come back, and will get them then.
func (c *client) send(events ...*websocket.PreparedMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	if len(c.queue) >= maxQueue {
		c.closing = true
		go c.shutdown(websocket.CloseTryAgainLater, "reads too slowly") // ends after writeTimeout and closeTimeout
		return
	}
	c.queue = append(c.queue, events...)
	if !c.writing && len(c.queue) > 0 {
		c.writing = true
		go c.write() // ends when the queue is empty, or the connection has failed
	}
}

// write sends what is queued. An idle client has no such goroutine.
func (c *client) write() {
	for {
		c.mu.Lock()
		batch := c.queue
		c.queue = nil
		c.writing = len(batch) > 0
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if err := c.writeBatch(batch); err != nil {
			c.mu.Lock()
			c.closing = true
			c.queue = nil
			c.mu.Unlock()
			if !errors.Is(err, websocket.ErrCloseSent) { // else the connection is being shut down
				c.conn.Close() // ends serve, too
			}
			return
		}
	}
}

// writeBatch sends events together, in few system calls.
func (c *client) writeBatch(batch []*websocket.PreparedMessage) error {
	if len(batch) == 1 {
		return c.writeAll(batch)
	}
	c.conn.Cork()
	return errors.Join(c.writeAll(batch), c.conn.Flush())
}

func (c *client) writeAll(events []*websocket.PreparedMessage) error {
	for _, m := range events {
		if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if err := c.conn.WritePreparedMessage(m); err != nil {
			return err
		}
	}
	return nil
}

// shutdown closes the connection with a code. It ends the reading in serve, if that is not the caller.
func (c *client) shutdown(code int, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout+closeTimeout)
	defer cancel()
	log.Printf("%v: closed with %d: %s", c.conn.RemoteAddr(), code, reason)
	if err := c.conn.Shutdown(ctx, code, reason); err != nil {
		log.Printf("%v: %v", c.conn.RemoteAddr(), err)
	}
}
