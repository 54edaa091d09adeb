// Package broadcast sends each message to all subscribers, encoded once.
package broadcast

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Broadcaster is a handler that subscribes whoever connects.
type Broadcaster struct {
	Changed func(subscribers int) // called when one has come or gone

	mu   sync.Mutex
	subs map[*subscriber]struct{}
}

// subscriber has a mutex, since a connection has one writer at a time.
type subscriber struct {
	*websocket.Conn
	sync.Mutex
}

var upgrader = websocket.Upgrader{
	EnableCompression: true,
	WriteBufferPool:   &sync.Pool{},
	CheckOrigin:       func(*http.Request) bool { return true },
}

func (b *Broadcaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s := &subscriber{Conn: conn}
	s.EnableWriteCompression(false)
	if err := s.SetCompressionLevel(1); err != nil {
		panic(err)
	}
	b.mu.Lock()
	if b.subs == nil {
		b.subs = make(map[*subscriber]struct{})
	}
	b.subs[s] = struct{}{}
	b.Changed(len(b.subs))
	b.mu.Unlock()

	for { // a subscriber has nothing to say
		if _, _, err := s.NextReader(); err != nil {
			break
		}
	}
	b.mu.Lock()
	delete(b.subs, s)
	b.Changed(len(b.subs))
	b.mu.Unlock()
	s.Close()
}

// Send sends a message to all subscribers. Those that cannot take it within the
// timeout are dropped.
func (b *Broadcaster) Send(messageType int, data []byte, timeout time.Duration) error {
	message, err := websocket.NewPreparedMessage(messageType, data)
	if err != nil {
		return err
	}
	b.mu.Lock()
	subs := slices.Collect(maps.Keys(b.subs))
	b.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range subs {
		all.Go(func() {
			s.Lock()
			defer s.Unlock()
			s.SetWriteDeadline(time.Now().Add(timeout))
			if err := s.WritePreparedMessage(message); err != nil {
				s.Close()
			}
		})
	}
	all.Wait()
	return nil
}
