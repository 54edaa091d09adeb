package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/switching-protocols/websocket"
)

// message is what the server sends: the messages of a topic are numbered from 1 on.
type message struct {
	Topic  string `json:"topic"`
	Number uint64 `json:"number"`
	Text   string `json:"text"`
}

// subscription is what the client sends: it wants the messages of the topic behind a number.
type subscription struct {
	Topic string `json:"topic"`
	After uint64 `json:"after"`
}

// client receives the messages of its topics, each once and in order, although connections come and go.
type client struct {
	url    string
	dialer *websocket.Dialer
	topics map[string]uint64 // the number of the last message that was received
	got    func(message)
	log    func(format string, args ...any)

	// The delay before a connection is tried again grows from min to max.
	min, max time.Duration
}

// run connects again and again until ctx ends, or the server says that there is no use in it.
func (c *client) run(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		received, after, err := c.session(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isFinal(err):
			return err
		case received:
			attempt = 0 // the server works, so begin with short delays
		}
		delay := max(c.delay(attempt), after)
		c.log("%v; again in %v", err, delay.Round(time.Millisecond))
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// delay returns how long to wait after an attempt: up to min, doubled for each attempt before, but no longer than
// max. It is random, so that the clients of a server that starts again do not all come at once.
func (c *client) delay(attempt int) time.Duration {
	most := c.max
	if attempt < 20 {
		most = min(most, c.min<<attempt)
	}
	return most/2 + rand.N(most/2+1)
}

// session receives messages over one connection. It returns why that has ended, whether anything was received,
// and how long the server wants to be left alone.
func (c *client) session(ctx context.Context) (received bool, after time.Duration, err error) {
	conn, resp, err := c.dialer.DialContext(ctx, c.url, nil)
	if err != nil {
		if resp != nil {
			seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			return false, time.Duration(seconds) * time.Second, refusedError{resp.StatusCode, err}
		}
		return false, 0, err
	}
	defer conn.Close()
	for topic, number := range c.topics {
		if err := conn.WriteJSON(subscription{topic, number}); err != nil {
			return false, 0, err
		}
	}
	for {
		_, p, err := conn.ReadMessageContext(ctx)
		if ctx.Err() != nil {
			closing, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return received, 0, conn.Shutdown(closing, websocket.CloseNormalClosure, "")
		}
		if err != nil {
			return received, 0, err
		}
		m, err := parseMessage(p)
		if err != nil {
			return received, 0, finalError{err}
		}
		switch last := c.topics[m.Topic]; {
		case m.Number <= last: // it has come over an earlier connection, too
		case m.Number > last+1:
			return received, 0, finalError{fmt.Errorf("messages %d to %d of %s are lost", last+1, m.Number-1, m.Topic)}
		default:
			received = true
			c.topics[m.Topic] = m.Number
			c.got(m)
		}
	}
}

// refusedError is the status with which a server refuses a connection.
type refusedError struct {
	status int
	error
}

func (e refusedError) Error() string { return fmt.Sprintf("%v: status %d", e.error, e.status) }
func (e refusedError) Unwrap() error { return e.error }

// finalError is an error that another connection would not mend.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// isFinal reports whether there is no use in connecting again after err.
func isFinal(err error) bool {
	var (
		final   finalError
		refused refusedError
		closed  *websocket.CloseError
	)
	switch {
	case errors.As(err, &final), errors.Is(err, websocket.ErrReadLimit):
		return true
	case errors.As(err, &refused):
		switch refused.status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return false
		}
		return refused.status < 500
	case errors.As(err, &closed):
		switch closed.Code {
		case websocket.CloseGoingAway, websocket.CloseAbnormalClosure, websocket.CloseInternalServerErr,
			websocket.CloseServiceRestart, websocket.CloseTryAgainLater:
			return false
		}
		return true // the server has nothing more to say, or does not want this client
	}
	return false // the network
}
