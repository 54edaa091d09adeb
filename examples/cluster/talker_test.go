package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// talker is a client that says something again and again, and connects to another node when its connection ends.
type talker struct {
	name string
	urls []string

	stop    func()
	stopped chan struct{} // closed when run has ended; err is set then
	err     error
	start   chan struct{} // closed when the talker is to talk
	quiet   chan struct{} // closed when the talker is to talk no more
	silent  chan struct{} // closed when it does not talk any more, and all that it said is accepted

	mu       sync.Mutex
	at       string // the name of the node, or ""
	stream   string
	entries  []entry
	pending  string            // the id of the message that is not accepted yet, or ""
	said     int               // messages
	accepted map[string]uint64 // numbers by author and id
	answer   chan struct{}     // closed when pending is accepted
	you      string
}

// entry is a message that was received.
type entry struct {
	number uint64
	id     string // with the author's
}

func newTalker(t *testing.T, name string, urls []string) *talker {
	ctx, stop := context.WithCancel(context.Background())
	c := &talker{
		name: name, urls: urls, stop: stop, stopped: make(chan struct{}), accepted: make(map[string]uint64),
		start: make(chan struct{}), quiet: make(chan struct{}), silent: make(chan struct{}),
	}
	go c.run(ctx) // ends with close
	t.Cleanup(func() { c.close() })
	return c
}

func (c *talker) talk() { close(c.start) }

// stopTalking returns the numbers of the messages that were accepted.
func (c *talker) stopTalking() map[string]uint64 {
	close(c.quiet)
	select {
	case <-c.silent:
	case <-c.stopped: // close returns why
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted
}

// close ends the talker, and returns what went wrong.
func (c *talker) close() error {
	c.stop()
	<-c.stopped
	return c.err
}

// node returns the name of the node that the talker is connected to, or "".
func (c *talker) node() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *talker) log() []entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries
}

// run connects to one node after the other until ctx ends, or a node breaks the protocol.
func (c *talker) run(ctx context.Context) {
	defer close(c.stopped)
	for attempt := 0; ; attempt++ {
		err := c.session(ctx, c.urls[attempt%len(c.urls)])
		c.mu.Lock()
		c.at = ""
		c.mu.Unlock()
		var broken protocolError
		if errors.As(err, &broken) {
			c.err = err
			return
		}
		if !sleep(ctx, 50*time.Millisecond+rand.N(200*time.Millisecond)) {
			return
		}
	}
}

type protocolError struct{ error }

var errIncomplete = errors.New("some messages are no longer stored")

// session is one connection. It returns why that has ended.
func (c *talker) session(ctx context.Context, url string) error {
	dialer := websocket.Dialer{HandshakeTimeout: 20 * time.Second, PingInterval: 5 * time.Second}
	conn, _, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	c.mu.Lock()
	join := request{Type: "join", Room: "test", Name: c.name, Key: "key", Stream: c.stream, After: c.after()}
	c.mu.Unlock()
	if err := conn.WriteJSON(join); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	talked := make(chan struct{})
	defer func() {
		cancel()
		conn.Close()
		<-talked
	}()
	welcomed := make(chan struct{})
	go func() {
		defer close(talked)
		select {
		case <-welcomed:
			c.sayAll(ctx, conn)
		case <-ctx.Done():
		}
	}()
	for {
		_, p, err := conn.ReadMessageContext(ctx)
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(p, &e); err != nil {
			return protocolError{err}
		}
		if err := c.receive(e); err != nil {
			return protocolError{err}
		}
		if e.Type == "welcome" {
			close(welcomed)
		}
	}
}

// after returns the number of the last message that was received. c.mu is held.
func (c *talker) after() uint64 {
	if len(c.entries) == 0 {
		return 0
	}
	return c.entries[len(c.entries)-1].number
}

func (c *talker) receive(e event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Type {
	case "welcome":
		if !e.Complete || c.stream != "" && c.stream != e.Stream {
			return errIncomplete
		}
		c.at, c.stream, c.you = e.Node, e.Stream, e.You
	case "said":
		var m message
		if err := json.Unmarshal(e.Message, &m); err != nil {
			return err
		}
		if e.Number > c.after() {
			c.entries = append(c.entries, entry{e.Number, m.From + "/" + m.ID})
		}
	case "accepted":
		if id := c.you + "/" + e.ID; e.ID == c.pending {
			c.accepted[id] = e.Number
			c.pending = ""
			close(c.answer)
		} else if c.accepted[id] != e.Number {
			return fmt.Errorf("got message %s accepted as %d, and before as %d", e.ID, e.Number, c.accepted[id])
		}
	case "nodes": // the talker knows them
	default:
		return fmt.Errorf("got an event of the type %q", e.Type)
	}
	return nil
}

// sayAll says one message after the other, each when the one before is accepted.
func (c *talker) sayAll(ctx context.Context, conn *websocket.Conn) {
	select {
	case <-c.start:
	case <-ctx.Done():
		return
	}
	for {
		c.mu.Lock()
		if c.pending == "" {
			select {
			case <-c.quiet:
				c.mu.Unlock()
				closeOnce(c.silent)
				return
			default:
			}
			c.said++
			c.pending, c.answer = fmt.Sprint("m", c.said), make(chan struct{})
		}
		say := request{Type: "say", ID: c.pending, Text: "Hello"}
		answer := c.answer
		c.mu.Unlock()
		if conn.WriteJSON(say) != nil {
			return // the reader will know
		}
		select {
		case <-answer:
		case <-ctx.Done():
			return
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// closeOnce closes a channel that one goroutine at a time closes.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}
