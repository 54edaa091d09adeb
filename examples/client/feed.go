package main

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/switching-protocols/websocket"
)

// feed is the messages of all topics. It outlives the servers that send them, as a database would.
type feed struct {
	mu     sync.Mutex
	topics map[string][]message
	more   chan struct{} // closed when there is another one
}

func newFeed() *feed { return &feed{topics: make(map[string][]message), more: make(chan struct{})} }

func (f *feed) publish(topic, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	number := uint64(len(f.topics[topic]) + 1)
	f.topics[topic] = append(f.topics[topic], message{topic, number, text})
	close(f.more)
	f.more = make(chan struct{})
}

// since returns the messages of the topic behind a number, and a channel that is closed when there are more.
func (f *feed) since(topic string, number uint64) ([]message, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.topics[topic]
	return list[min(number, uint64(len(list))):], f.more
}

// serve sends a client the messages that it subscribes to.
func (f *feed) serve(c *websocket.Conn, r *http.Request) {
	for {
		var s subscription
		if err := c.ReadJSON(&s); err != nil {
			return
		}
		go func() { // which ends when the connection does
			for {
				list, more := f.since(s.Topic, s.After)
				for _, m := range list {
					if c.WriteJSON(m) != nil {
						return
					}
					s.After = m.Number
				}
				select {
				case <-more:
				case <-r.Context().Done():
					return
				}
			}
		}()
	}
}

func parseMessage(p []byte) (m message, err error) {
	err = json.Unmarshal(p, &m)
	return m, err
}
