package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switching-protocols/websocket"
)

const (
	patience = 2 * time.Minute // for all clients to be connected

	// A room is as fast as it can be when there is always a message on its way to each client.
	talkers = 16
	window  = 64 // messages that have not come to all clients

	// The delay before a client connects again, which is random, grows from minDelay to maxDelay.
	minDelay, maxDelay = 500 * time.Millisecond, 15 * time.Second
)

// clients are those of one room.
type clients struct {
	room   string
	count  int
	stop   func()
	group  sync.WaitGroup
	talked chan struct{} // closed when clients are to talk
	tokens chan struct{} // has an element for each message that has not come to all clients

	complete atomic.Int64 // messages that have come to all clients

	mu       sync.Mutex
	joined   []time.Time    // by client; zero for one that is not connected
	received map[uint64]int // by the number of a message: the clients that have got it
}

// event is what a measurement needs of the protocol.
type event struct {
	Type     string `json:"type"`
	Stream   string `json:"stream"`
	Complete bool   `json:"complete"`
	Number   uint64 `json:"number"`
}

// startClients starts clients, each with a list of URLs, of which it tries one after the other.
func startClients(count int, room string, urls func(i int) []string) *clients {
	ctx, stop := context.WithCancel(context.Background())
	cs := &clients{
		room: room, count: count, stop: stop, joined: make([]time.Time, count), received: make(map[uint64]int),
		talked: make(chan struct{}), tokens: make(chan struct{}, window),
	}
	for i := range count {
		cs.group.Go(func() { cs.run(ctx, i, urls(i)) }) // ends with close
		if i%20 == 19 {
			time.Sleep(10 * time.Millisecond) // the clients of a service do not come all at once either
		}
	}
	return cs
}

func (cs *clients) close() {
	cs.stop()
	cs.group.Wait()
}

// forget has wait count the connections from now on.
func (cs *clients) forget() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	clear(cs.joined)
}

// wait returns when so many clients are connected.
func (cs *clients) wait(want int) error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got := 0
		for _, t := range cs.times() {
			if !t.IsZero() {
				got++
			}
		}
		if got >= want {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d clients are connected, not %d", got, want)
		}
	}
}

func (cs *clients) times() []time.Time {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return append([]time.Time(nil), cs.joined...)
}

func (cs *clients) talk() { close(cs.talked) }

// run connects client i again and again until ctx ends.
func (cs *clients) run(ctx context.Context, i int, urls []string) {
	var stream string
	var last uint64
	failures := 0
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := cs.session(ctx, i, urls[attempt%len(urls)], &stream, &last)
		if ctx.Err() != nil {
			return
		}
		if websocket.IsCloseError(err, websocket.ClosePolicyViolation, websocket.CloseTryAgainLater) {
			log.Printf("client %d: %v", i, err)
		}
		if cs.isJoined(i) {
			failures = 0
		}
		delay := min(maxDelay, minDelay<<min(failures, 10))
		failures++
		select {
		case <-time.After(delay/2 + rand.N(delay/2)):
		case <-ctx.Done():
			return
		}
	}
}

func (cs *clients) isJoined(i int) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return !cs.joined[i].IsZero()
}

// session is one connection of client i, which continues after the last message of the stream.
func (cs *clients) session(ctx context.Context, i int, url string, stream *string, last *uint64) error {
	dialer := websocket.Dialer{HandshakeTimeout: 30 * time.Second}
	conn, _, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	name := fmt.Sprint("client ", i)
	join := map[string]any{"type": "join", "room": cs.room, "name": name, "key": "key", "stream": *stream, "after": *last}
	if err := conn.WriteJSON(join); err != nil {
		return err
	}
	end := context.AfterFunc(ctx, func() { conn.Close() })
	defer end()
	accepted := make(chan struct{}, 1)
	if i < talkers {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cs.group.Go(func() { cs.sayAll(ctx, conn, accepted) }) // ends with the session
	}
	var buf []byte
	for {
		_, buf, err = conn.AppendMessage(buf[:0])
		if err != nil {
			return err
		}
		// Most events are messages, and what is measured is not the time to decode JSON.
		var e event
		if rest, ok := bytes.CutPrefix(buf, []byte(`{"type":"said","number":`)); ok {
			for _, digit := range rest[:bytes.IndexByte(rest, ',')] {
				e.Number = 10*e.Number + uint64(digit-'0')
			}
			if e.Number > *last {
				*last = e.Number
				cs.note(e.Number)
			}
			continue
		}
		if err := json.Unmarshal(buf, &e); err != nil {
			return err
		}
		switch e.Type {
		case "welcome":
			*stream = e.Stream
			cs.mu.Lock()
			cs.joined[i] = time.Now()
			cs.mu.Unlock()
		case "accepted":
			accepted <- struct{}{}
		}
	}
}

// note counts a message that a client has got.
func (cs *clients) note(number uint64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.received[number]++; cs.received[number] == cs.count {
		delete(cs.received, number)
		cs.complete.Add(1)
		<-cs.tokens
	}
}

// sayAll says one message after the other, each when the one before is accepted.
func (cs *clients) sayAll(ctx context.Context, conn *websocket.Conn, accepted <-chan struct{}) {
	select {
	case <-cs.talked:
	case <-ctx.Done():
		return
	}
	text := "A message of a chat has some hundred bytes, so this one has, too; it is neither short nor very long."
	for {
		select {
		case cs.tokens <- struct{}{}:
		case <-ctx.Done():
			return
		}
		say := map[string]string{"type": "say", "id": fmt.Sprint(rand.Uint64()), "text": text}
		if conn.WriteJSON(say) != nil {
			return // the reader will know
		}
		select {
		case <-accepted:
		case <-ctx.Done():
			return
		}
	}
}
