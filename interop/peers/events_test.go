package peers

import (
	"errors"
	"sync"
	"time"
)

// Events make an endpoint of a library that calls handlers.
type events struct {
	messages chan event
	ended    chan struct{} // closed when the connection has ended
	end      sync.Once
	err      error // with which it has; set before ended is closed
	pong     chan struct{}
}

// An event is a message.
type event struct {
	text bool
	data []byte
}

func newEvents() *events {
	return &events{messages: make(chan event, 100), ended: make(chan struct{}), pong: make(chan struct{}, 1)}
}

// finish ends the reading with an error.
func (e *events) finish(err error) {
	e.end.Do(func() {
		e.err = err
		close(e.ended)
	})
}

func (e *events) read() (text bool, p []byte, err error) {
	select {
	case m := <-e.messages:
		return m.text, m.data, nil
	case <-e.ended:
		return false, nil, e.err
	case <-time.After(patience):
		return false, nil, errors.New("got nothing")
	}
}

// onPong calls f for the next pong, in a goroutine that ends with it or the connection.
func (e *events) onPong(f func()) {
	go func() {
		select {
		case <-e.pong:
			f()
		case <-e.ended:
		}
	}()
}
