package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/switching-protocols/websocket"
)

const (
	// The longest request is a message of 2,000 runes, and JSON takes at most
	// six bytes for each.
	readLimit = 16 << 10

	joinTimeout  = 10 * time.Second // from the upgrade to the join
	pingInterval = 20 * time.Second // without a sign of the page
	pongTimeout  = 10 * time.Second // after a ping
	writeTimeout = 5 * time.Second  // for one event
	closeTimeout = 2 * time.Second  // for the last events, and again for the closing handshake
)

// serve is the life of one connection: this goroutine reads, and a second one,
// which has ended when serve returns, writes.
func (h *hub) serve(c *websocket.Conn, r *http.Request) {
	m, err := h.connect()
	if err != nil {
		if err := shutdown(c, websocket.CloseGoingAway, err.Error()); err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
		}
		return
	}

	written := make(chan struct{})
	go func() {
		defer close(written)
		if err := m.write(c); err != nil {
			c.Close() // ends the reading, whose error says the rest
		}
	}()
	err = h.read(c, m)
	h.disconnect(m)
	<-written

	var closed *websocket.CloseError
	switch {
	case m.code == websocket.ClosePolicyViolation || m.code == websocket.CloseTryAgainLater:
		log.Printf("%s: disconnected: %s", r.RemoteAddr, m.reason)
	case !errors.As(err, &closed):
		log.Printf("%s: %v", r.RemoteAddr, err)
	}
}

// read hands the page's requests to the hub until the connection ends, and
// returns why it ended. It reads on when the hub has let m go, because the
// answer to the Close frame is still to come.
func (h *hub) read(c *websocket.Conn, m *member) error {
	if err := c.SetReadDeadline(time.Now().Add(joinTimeout)); err != nil {
		return err
	}
	for {
		_, data, err := c.ReadMessage()
		if err != nil {
			return err
		}
		var req request
		if err := json.Unmarshal(data, &req); err != nil {
			h.reject(m, "the request is not JSON")
			continue
		}
		if err := h.do(m, req); err != nil {
			h.reject(m, err.Error())
			continue
		}
		if req.Type != "join" {
			continue
		}
		// From now on m stays as long as the page answers pings.
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
	}
}

// do carries out one request. Its error is for a page that breaks the protocol.
func (h *hub) do(m *member, req request) error {
	switch req.Type {
	case "join":
		return h.join(m, req.Name, req.Key)
	case "say":
		return h.say(m, req.ID, req.Text)
	case "probe":
		h.probe(m)
		return nil
	}
	return errors.New("unknown type of request")
}

// write sends what the hub queues for m until the hub lets m go. After an error the
// connection is of no more use.
func (m *member) write(c *websocket.Conn) error {
	for {
		select {
		case data := <-m.queue:
			if err := writeEvent(c, data, writeTimeout); err != nil {
				return err
			}
		case <-m.gone:
			return m.leave(c)
		}
	}
}

// leave sends the events that are still queued, for they may be messages that
// their authors believe delivered, and then does the closing handshake.
func (m *member) leave(c *websocket.Conn) error {
	for end := time.Now().Add(closeTimeout); len(m.queue) > 0; {
		if err := writeEvent(c, <-m.queue, time.Until(end)); err != nil {
			return err
		}
	}
	return shutdown(c, m.code, m.reason)
}

func writeEvent(c *websocket.Conn, data []byte, timeout time.Duration) error {
	if err := c.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	return c.WriteMessage(websocket.TextMessage, data)
}

func shutdown(c *websocket.Conn, code int, reason string) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return c.Shutdown(ctx, code, reason)
}
