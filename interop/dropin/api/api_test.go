package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func start(t *testing.T, h http.Handler) (url string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func TestConstants(t *testing.T) {
	if goingAway != 1001 || small != 1015 || sum != 1001 || float != 2 || textByte != 1 || controls != [...]int8{8, 9, 10} {
		t.Errorf("got %d %d %d %v %d %v", goingAway, small, sum, float, textByte, controls)
	}
}

func TestCloseErrorShape(t *testing.T) {
	if got, want := normal.Error(), "websocket: close 1000 (normal): x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := *toCloseError(closeError{1001, "y"}); got != (websocket.CloseError{Code: 1001, Text: "y"}) {
		t.Errorf("got %+v", got)
	}
}

func TestWhy(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, "it has not"},
		{websocket.ErrCloseSent, "we have closed"},
		{websocket.ErrReadLimit, "too much"},
		{websocket.ErrBadHandshake, "it never began"},
		{&websocket.CloseError{Code: 1001}, "going away"},
		{&websocket.CloseError{Code: 4000, Text: "mine"}, "mine"},
		{websocket.HandshakeError{}, "refused: "},
		{fmt.Errorf("wrapped: %w", normal), "wrapped: x"},
		{os.ErrDeadlineExceeded, "timeout"},
		{io.EOF, "EOF"},
	} {
		if got := Why(test.err); got != test.want {
			t.Errorf("%v: got %q, want %q", test.err, got, test.want)
		}
	}
}

// TestWhyOfRealErrors has the same for errors that connections return.
func TestWhyOfRealErrors(t *testing.T) {
	url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := everyField.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		if _, _, err := c.ReadMessage(); err != nil {
			return
		}
		c.WriteMessage(websocket.TextMessage, []byte("a message"))
		c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseTryAgainLater, ""))
		c.ReadMessage()
	}))
	for _, test := range []struct {
		name string
		run  func(c *websocket.Conn) error
		want string
	}{
		{"a Close frame", func(c *websocket.Conn) error {
			c.WriteMessage(websocket.TextMessage, nil)
			c.ReadMessage()
			_, _, err := c.ReadMessage()
			return err
		}, "try again later"},
		{"the read limit", func(c *websocket.Conn) error {
			c.WriteMessage(websocket.TextMessage, nil)
			c.SetReadLimit(5)
			_, _, err := c.ReadMessage()
			return err
		}, "too much"},
		{"a deadline", func(c *websocket.Conn) error {
			c.SetReadDeadline(time.Unix(1, 0))
			_, _, err := c.ReadMessage()
			return err
		}, "timeout"},
		{"a deadline of WriteControl", func(c *websocket.Conn) error {
			return c.WriteControl(websocket.PingMessage, nil, time.Unix(1, 0))
		}, "timeout"},
		{"our Close frame", func(c *websocket.Conn) error {
			c.WriteMessage(websocket.CloseMessage, nil)
			return c.WriteMessage(websocket.TextMessage, nil)
		}, "we have closed"},
	} {
		c, _, err := Dial(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if got := Why(test.run(c)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		c.Close()
		if _, _, err := c.ReadMessage(); err == nil {
			t.Errorf("%s: a read after Close has succeeded", test.name)
		}
	}
	if _, _, err := Dial(t.Context(), start(t, http.NotFoundHandler())); Why(err) != "it never began" {
		t.Errorf("got %v, want ErrBadHandshake", err)
	}
}

func TestHandshakeError(t *testing.T) {
	upgraded := make(chan error, 1)
	url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := everyField.Upgrade(w, r, nil)
		upgraded <- err
	}))
	d := websocket.Dialer{}
	_, resp, err := d.Dial(url, http.Header{"Origin": {"http://evil.example"}})
	if err != websocket.ErrBadHandshake {
		t.Fatalf("got %v, want ErrBadHandshake", err)
	}
	const want = "websocket: request origin not allowed by Upgrader.CheckOrigin"
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusForbidden || string(body) != want+"\n" {
		t.Errorf("got %s %q, want 403 with the reason", resp.Status, body)
	}
	err = <-upgraded
	var refused websocket.HandshakeError
	if !errors.As(err, &refused) || refused.Error() != want || Why(err) != "refused: "+want {
		t.Errorf("got %v, want the HandshakeError %q", err, want)
	}
}

func TestCopies(t *testing.T) {
	short := shortDialer()
	if short.HandshakeTimeout != 5*time.Second || websocket.DefaultDialer.HandshakeTimeout != 45*time.Second {
		t.Errorf("got %v and %v, want 5s and 45s", short.HandshakeTimeout, websocket.DefaultDialer.HandshakeTimeout)
	}
	if short.Proxy == nil {
		t.Error("the copy has no Proxy")
	}
	upgrader := everyField
	upgrader.Subprotocols = nil
	if reflect.DeepEqual(upgrader.Subprotocols, everyField.Subprotocols) {
		t.Error("the copy is the original")
	}
	c, _, err := short.Dial(start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r, nil); err == nil {
			c.Close()
		}
	})), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestEveryDialerField(t *testing.T) {
	d := everyDialerField()
	c, resp, err := d.Dial(start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := everyField.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.EnableWriteCompression(true)
		c.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("hello ", 1000)))
	})), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Subprotocol() != "chat" || resp.Header.Get("Sec-Websocket-Protocol") != "chat" {
		t.Errorf("got the subprotocol %q, want chat", c.Subprotocol())
	}
	if _, got, err := c.ReadMessage(); err != nil || len(got) != 6000 {
		t.Errorf("got %d bytes, %v, want 6000", len(got), err)
	}
}

func TestDeprecated(t *testing.T) {
	url := start(t, http.HandlerFunc(echoJSON))
	c, resp, err := connect(url, http.Header{"Origin": {"http://good.example"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("got %s, want 101", resp.Status)
	}
	if _, ok := c.NetConn().(*net.TCPConn); !ok {
		t.Errorf("NetConn: got a %T, want a *net.TCPConn", c.NetConn())
	}
	for range 3 {
		if err := c.WriteJSON(message{"hello"}); err != nil {
			t.Fatal(err)
		}
		var got message
		if err := c.ReadJSON(&got); err != nil || got.Text != "hello" {
			t.Errorf("got %+v, %v, want hello", got, err)
		}
	}

	if _, resp, err := connect(url, http.Header{"Origin": {"http://evil.example"}}); err != websocket.ErrBadHandshake || resp.StatusCode != 403 {
		t.Errorf("got %v, want ErrBadHandshake and 403", err)
	}
	resp, err = http.Get("http" + strings.TrimPrefix(url, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || string(body) != "not a websocket handshake\n" {
		t.Errorf("got %s %q, want 400 and the handler's own text", resp.Status, body)
	}
}
