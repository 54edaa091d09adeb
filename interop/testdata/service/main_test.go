package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestServe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()
	c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	for text, want := range map[string]int{"": 0, "one": 1, "one two  three": 3} {
		if err := c.WriteJSON(question{Text: text}); err != nil {
			t.Fatal(err)
		}
		var got answer
		if err := c.ReadJSON(&got); err != nil {
			t.Fatal(err)
		}
		if got.Words != want {
			t.Errorf("%q: got %d words, want %d", text, got.Words, want)
		}
	}

	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := c.WriteMessage(websocket.CloseMessage, bye); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("got error %v, want the server's Close frame", err)
	}
}
