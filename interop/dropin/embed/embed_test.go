package embed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// pair returns the two ends of a connection.
func pair(t *testing.T) (client, server *websocket.Conn) {
	t.Helper()
	upgraded := make(chan *websocket.Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		upgraded <- c
	}))
	t.Cleanup(s.Close)
	client, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	server = <-upgraded
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

func TestSession(t *testing.T) {
	client, server := pair(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s := &Session{server, ctx}
	shutdown := errors.New("the server shuts down")
	got := make(chan string, 2)
	served := make(chan error)
	go func() { served <- s.Serve(func(m string) { got <- m }) }()

	client.WriteMessage(websocket.TextMessage, []byte("hello"))
	if m := <-got; m != "hello" {
		t.Errorf("got %q, want hello", m)
	}
	cancel(shutdown)
	if err := <-served; err != shutdown {
		t.Errorf("got %v, want %v", err, shutdown)
	}
	if s.Value("no such key") != nil || s.Err() != context.Canceled {
		t.Errorf("the context is not that of the session")
	}
}

func TestLocked(t *testing.T) {
	client, server := pair(t)
	l := &Locked{Conn: server}
	var writers sync.WaitGroup
	for range 10 {
		writers.Go(func() {
			for range 10 {
				if err := l.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		if _, got, err := client.ReadMessage(); err != nil || string(got) != "hello" {
			t.Fatalf("got %q, %v, want hello", got, err)
		}
	}
	writers.Wait()
}

func TestStream(t *testing.T) {
	client, server := pair(t)
	near, far := NewStream(client), NewStream(server)
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	go func() {
		near.Write(nil)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 7777)
			near.Write(rest[:n])
			rest = rest[n:]
		}
		near.Close()
	}()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v, want %d bytes", len(got), err, len(data))
	}
	if got, want := far.LocalAddr(), server.LocalAddr(); got != want {
		t.Errorf("LocalAddr: got %v, want %v", got, want)
	}
}

func TestLines(t *testing.T) {
	client, server := pair(t)
	for _, m := range []string{"one", "", "three"} {
		client.WriteMessage(websocket.TextMessage, []byte(m))
	}
	client.WriteMessage(websocket.CloseMessage, nil)
	var got bytes.Buffer
	l := &Lines{server, &got}
	if err := l.Copy(); err != nil || got.String() != "one\n\nthree\n" {
		t.Errorf("got %q, %v, want three lines", got.String(), err)
	}
}
