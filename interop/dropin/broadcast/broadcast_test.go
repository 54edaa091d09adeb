package broadcast

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// start returns a broadcaster with n subscribers, and how many it has after each change.
func start(t *testing.T, n int) (b *Broadcaster, conns []*websocket.Conn, changed <-chan int) {
	t.Helper()
	changes := make(chan int, 2*n) // each comes and goes
	b = &Broadcaster{Changed: func(subscribers int) { changes <- subscribers }}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	for i := range n {
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		conns = append(conns, c)
		if got := <-changes; got != i+1 {
			t.Fatalf("got %d subscribers, want %d", got, i+1)
		}
	}
	return b, conns, changes
}

func TestAllGetAll(t *testing.T) {
	b, conns, _ := start(t, 5)
	messages := [][]byte{[]byte("hello"), {}, bytes.Repeat([]byte("x"), 10_000)}
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() {
			for _, want := range messages {
				for _, wantType := range []int{websocket.TextMessage, websocket.BinaryMessage} {
					gotType, got, err := c.ReadMessage()
					if err != nil || gotType != wantType || !bytes.Equal(got, want) {
						t.Errorf("got type %d, %d bytes, %v, want type %d, %d bytes", gotType, len(got), err, wantType, len(want))
					}
				}
			}
		})
	}
	for _, message := range messages {
		for _, messageType := range []int{websocket.TextMessage, websocket.BinaryMessage} {
			data := bytes.Clone(message)
			if err := b.Send(messageType, data, time.Minute); err != nil {
				t.Error(err)
			}
			clear(data) // it was copied
		}
	}
	all.Wait()
}

func TestSenders(t *testing.T) {
	b, conns, _ := start(t, 1)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := b.Send(websocket.TextMessage, []byte("hello"), time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	for range 20 {
		if _, got, err := conns[0].ReadMessage(); err != nil || string(got) != "hello" {
			t.Fatalf("got %q, %v, want hello", got, err)
		}
	}
	all.Wait()
}

func TestBadType(t *testing.T) {
	var b Broadcaster
	if err := b.Send(0, nil, time.Minute); err == nil || err.Error() != "websocket: bad write message type" {
		t.Errorf("got %v, want bad write message type", err)
	}
}

func TestSubscriberThatGoes(t *testing.T) {
	_, conns, changed := start(t, 2)
	conns[0].Close()
	if got := <-changed; got != 1 {
		t.Errorf("got %d subscribers, want 1", got)
	}
}

func TestSubscriberThatDoesNotRead(t *testing.T) {
	b, _, changed := start(t, 1)
	for {
		if err := b.Send(websocket.BinaryMessage, make([]byte, 1<<20), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-changed:
			if got != 0 {
				t.Errorf("got %d subscribers, want none", got)
			}
			return
		default:
		}
	}
}
