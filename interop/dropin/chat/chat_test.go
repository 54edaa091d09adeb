package chat

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

func room(t *testing.T) (h *Hub, enter func() *websocket.Conn) {
	t.Helper()
	h = NewHub()
	go h.Run() // ends with Stop
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, func() *websocket.Conn {
		t.Helper()
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if got := lines(t, c, 1); got[0] != "welcome" {
			t.Fatalf("got %q, want welcome", got)
		}
		return c
	}
}

// lines reads n lines, of which a message may have several.
func lines(t *testing.T, c *websocket.Conn, n int) (got []string) {
	t.Helper()
	for len(got) < n {
		_, p, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.Split(p, []byte{'\n'}) {
			got = append(got, string(line))
		}
	}
	return got
}

func TestEverybodyHears(t *testing.T) {
	h, enter := room(t)
	defer h.Stop()
	members := []*websocket.Conn{enter(), enter(), enter()}
	for i, c := range members {
		said := fmt.Sprint("I am ", i)
		if err := c.WriteMessage(websocket.TextMessage, []byte(said)); err != nil {
			t.Fatal(err)
		}
		for _, c := range members {
			if got := lines(t, c, 1); got[0] != said {
				t.Errorf("got %q, want %q", got, said)
			}
		}
	}
}

func TestOrderOfMany(t *testing.T) {
	h, enter := room(t)
	defer h.Stop()
	speaker := enter()
	for i := range 100 {
		said := fmt.Sprint(i)
		if err := speaker.WriteMessage(websocket.TextMessage, []byte(said)); err != nil {
			t.Fatal(err)
		}
		if i%10 != 9 {
			continue
		}
		for j, got := range lines(t, speaker, 10) {
			if want := fmt.Sprint(i - 9 + j); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	h, enter := room(t)
	defer h.Stop()
	c := enter()
	if err := c.WriteMessage(websocket.TextMessage, make([]byte, maxMessage+1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
		t.Errorf("got %v, want the close code 1009", err)
	}
}

func TestStop(t *testing.T) {
	h, enter := room(t)
	c := enter()
	h.Stop()
	_, _, err := c.ReadMessage()
	if closed, ok := err.(*websocket.CloseError); !ok || closed.Code != websocket.CloseNoStatusReceived {
		t.Errorf("got %v, want the close code 1005", err)
	}
}

func TestLeave(t *testing.T) {
	h, enter := room(t)
	defer h.Stop()
	stays, leaves := enter(), enter()
	leaves.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	if _, _, err := leaves.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("got %v, want the close code 1000", err)
	}
	stays.WriteMessage(websocket.TextMessage, []byte("alone"))
	if got := lines(t, stays, 1); got[0] != "alone" {
		t.Errorf("got %q, want alone", got)
	}
}
