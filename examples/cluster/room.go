package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"github.com/switching-protocols/websocket"
)

const (
	maxRecent = 256 // messages of a room that a node keeps in memory
	maxFirst  = 50  // messages for a client that is new in a room

	// Reading older messages for a client. A client that has not got all in this time comes back for the rest.
	olderTimeout = time.Minute
)

// rooms are those in which this node has clients. Any goroutine may call its methods.
type rooms struct {
	store *store

	mu   sync.Mutex // may be held while that of a room is taken
	open map[string]*room
}

func newRooms(s *store) *rooms { return &rooms{store: s, open: make(map[string]*room)} }

// enter returns the room with the name, when its newest messages are in memory. A call of leave must follow, unless
// there is an error.
func (rs *rooms) enter(ctx context.Context, name string) (*room, error) {
	rs.mu.Lock()
	r := rs.open[name]
	if r == nil {
		life, stop := context.WithCancel(context.Background())
		r = &room{name: name, store: rs.store, stop: stop, ready: make(chan struct{}), clients: make(map[*client]bool)}
		rs.open[name] = r
		go r.follow(life) // ends with the last call of leave
	}
	r.users++
	rs.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, electionTimeout)
	defer cancel()
	select {
	case <-r.ready:
		return r, nil
	case <-ctx.Done():
		rs.leave(r, nil)
		return nil, fmt.Errorf("%w: room %s: %v", errUnavailable, name, ctx.Err())
	}
}

// leave removes a client from a room, and closes the room after the last one.
func (rs *rooms) leave(r *room, c *client) {
	r.mu.Lock()
	delete(r.clients, c)
	r.mu.Unlock()

	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.users--; r.users == 0 {
		delete(rs.open, r.name)
		r.stop()
	}
}

// sendAll sends an event to all clients of this node.
func (rs *rooms) sendAll(e event) {
	event := prepare(e)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.open {
		r.sendAll(event)
	}
}

// room sends the messages of a room to the clients of this node. It reads each message from the stream once, and
// encodes it once.
type room struct {
	name  string
	store *store
	stop  func()
	users int           // calls of enter without leave; guarded by the mutex of rooms
	ready chan struct{} // closed when the messages that were stored before have been read

	mu      sync.Mutex
	clients map[*client]bool
	recent  []said // the newest messages, at most maxRecent
	floor   uint64 // the number of the last message that was removed from recent, or 0
	last    uint64 // the number of the newest message
}

// said is a message as it is sent to clients.
type said struct {
	number uint64
	event  *websocket.PreparedMessage
}

// follow reads the stream until ctx ends. When a cursor has failed, another one continues after the last message.
func (r *room) follow(ctx context.Context) {
	for {
		err := r.read(ctx)
		if !sleep(ctx, retryDelay) {
			return
		}
		log.Printf("room %s: %v; reading on after message %d", r.name, err, r.last)
	}
}

func (r *room) read(ctx context.Context) error {
	c, err := r.store.open(ctx, r.name, r.last+1) // only this goroutine changes r.last
	if err != nil {
		return err
	}
	defer c.close()
	for left := c.pending; ; left-- {
		if left == 0 {
			r.setReady()
		}
		m, err := c.next(ctx)
		if err != nil {
			return err
		}
		r.deliver(m)
	}
}

func (r *room) setReady() {
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
}

// deliver sends a message to all clients, and keeps it for those that join later.
func (r *room) deliver(m stored) {
	event := m.event()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.recent) == maxRecent {
		r.floor = r.recent[0].number
		r.recent = slices.Delete(r.recent, 0, 1)
	}
	r.recent = append(r.recent, said{m.number, event})
	r.last = m.number
	for c := range r.clients {
		c.send(event)
	}
}

func (r *room) sendAll(event *websocket.PreparedMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.clients {
		c.send(event)
	}
}

func (m stored) event() *websocket.PreparedMessage {
	return prepare(event{Type: "said", Number: m.number, Message: m.data})
}

// join sends c a welcome, the messages after a number, and from then on all new messages. A client that names the
// number 0 gets the newest messages. What is not in memory is read from the stream, by this goroutine, at the speed
// of the client; each time the room may have moved on.
func (r *room) join(ctx context.Context, c *client, after uint64, welcome event) error {
	if after > 0 && r.empty() {
		first, err := r.store.first(ctx)
		if err != nil {
			return fmt.Errorf("%w: %v", errUnavailable, err)
		}
		welcome.Complete = welcome.Complete && first <= after // else all messages were too old
	}
	for {
		floor, ok := r.joinRecent(c, after, welcome)
		if ok {
			return nil
		}
		last, err := r.sendOlder(ctx, c, after, floor, welcome)
		if err != nil {
			return err
		}
		after, welcome = last, event{}
	}
}

func (r *room) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last == 0
}

// joinRecent makes c a client of the room if all messages after a number are in memory. Otherwise it returns the
// number of the last message that is not.
func (r *room) joinRecent(c *client, after uint64, welcome event) (floor uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if after > 0 && after < r.floor {
		return r.floor, false
	}
	at, found := slices.BinarySearchFunc(r.recent, after, func(m said, number uint64) int { return cmp.Compare(m.number, number) })
	switch {
	case after == 0:
		at = max(0, len(r.recent)-maxFirst)
	case found:
		at++
	case after != r.floor && after < r.last:
		welcome.Complete = false // the message was removed from the stream, and perhaps others after it
	}
	var events []*websocket.PreparedMessage
	if welcome.Type != "" {
		events = append(events, prepare(welcome))
	}
	for _, m := range r.recent[at:] {
		events = append(events, m.event)
	}
	c.send(events...)
	r.clients[c] = true
	return 0, true
}

// sendOlder sends c the stored messages after a number, up to that of floor, and returns the number of the last one.
func (r *room) sendOlder(ctx context.Context, c *client, after, floor uint64, welcome event) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, olderTimeout)
	defer cancel()
	select {
	case r.store.older <- struct{}{}:
		defer func() { <-r.store.older }()
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: others are waiting for older messages", errUnavailable)
	}
	cursor, err := r.store.open(ctx, r.name, after)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", errUnavailable, err)
	}
	defer cursor.close()
	for after < floor {
		m, err := cursor.next(ctx)
		if err != nil {
			return 0, fmt.Errorf("%w: %v", errUnavailable, err)
		}
		var events []*websocket.PreparedMessage
		if welcome.Type != "" {
			welcome.Complete = welcome.Complete && m.number == after
			events = append(events, prepare(welcome))
			welcome = event{}
		}
		if m.number > after {
			events = append(events, m.event())
		}
		if err := c.writeAll(events); err != nil {
			return 0, err
		}
		after = m.number
	}
	return after, nil
}
