// Package rpc is JSON RPC over a WebSocket: calls have ids, so that any number can
// be under way.
package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

type request struct {
	ID     uint64          `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

type response struct {
	ID     uint64          `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// Server calls methods for clients, those of one client at the same time.
type Server map[string]func(params json.RawMessage) (any, error)

func (s Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"rpc"}}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	var (
		calls sync.WaitGroup
		mu    sync.Mutex // for writing
	)
	defer calls.Wait()
	for {
		var req request
		if err := ws.ReadJSON(&req); err != nil {
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				mu.Lock()
				ws.WriteJSON(response{Error: "no JSON"})
				mu.Unlock()
				continue
			}
			return
		}
		calls.Add(1)
		go func() {
			defer calls.Done()
			resp := s.call(req)
			mu.Lock()
			defer mu.Unlock()
			ws.WriteJSON(resp)
		}()
	}
}

func (s Server) call(req request) response {
	method, ok := s[req.Method]
	if !ok {
		return response{ID: req.ID, Error: "no method " + req.Method}
	}
	result, err := method(req.Params)
	if err != nil {
		return response{ID: req.ID, Error: err.Error()}
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		return response{ID: req.ID, Error: err.Error()}
	}
	return response{ID: req.ID, Result: encoded}
}

// Client calls the methods of a Server.
type Client struct {
	ws *websocket.Conn

	writeMu sync.Mutex

	mu      sync.Mutex
	last    uint64
	pending map[uint64]chan response
	err     error // why there are no more answers
}

// Dial connects to the Server at the URL.
func Dial(ctx context.Context, url string) (*Client, error) {
	d := websocket.Dialer{Subprotocols: []string{"rpc"}}
	ws, resp, err := d.DialContext(ctx, url, nil)
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, fmt.Errorf("%w: %s", err, resp.Status)
	}
	if err != nil {
		return nil, err
	}
	c := &Client{ws: ws, pending: make(map[uint64]chan response)}
	go c.read() // ends with the connection
	return c, nil
}

func (c *Client) read() {
	for {
		var resp response
		err := c.ws.ReadJSON(&resp)
		c.mu.Lock()
		if err != nil {
			c.err = err
			for _, ch := range c.pending {
				close(ch)
			}
			c.mu.Unlock()
			return
		}
		ch := c.pending[resp.ID]
		delete(c.pending, resp.ID)
		c.mu.Unlock()
		if ch != nil {
			ch <- resp
		}
	}
}

// Call calls a method and stores its result.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	encoded, err := json.Marshal(params)
	if err != nil {
		return err
	}
	ch := make(chan response, 1)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return c.err
	}
	c.last++
	id := c.last
	c.pending[id] = ch
	c.mu.Unlock()

	c.writeMu.Lock()
	deadline, _ := ctx.Deadline()
	c.ws.SetWriteDeadline(deadline)
	err = c.ws.WriteJSON(request{ID: id, Method: method, Params: encoded})
	c.writeMu.Unlock()
	if err != nil {
		return err
	}

	select {
	case resp, ok := <-ch:
		switch {
		case !ok:
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.err
		case resp.Error != "":
			return errors.New(resp.Error)
		}
		return json.Unmarshal(resp.Result, result)
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
		return ctx.Err()
	}
}

// Close ends the connection.
func (c *Client) Close() error { return c.ws.Close() }
