package mocks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// fakeConn embeds the interface, and has only what a test needs.
type fakeConn struct {
	Conn
	results []error
	written []any
	closed  bool
}

func (f *fakeConn) SetWriteDeadline(time.Time) error { return nil }
func (f *fakeConn) Close() error                     { f.closed = true; return nil }
func (f *fakeConn) WriteJSON(v interface{}) error {
	f.written = append(f.written, v)
	err := f.results[0]
	f.results = f.results[1:]
	return err
}

type timeout struct{ error }

func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

func TestPublish(t *testing.T) {
	late := timeout{errors.New("too late")}
	for _, test := range []struct {
		results []error
		event   Event
		err     error
		closed  bool
	}{
		{[]error{nil}, Event{Name: "works"}, nil, false},
		{[]error{late, nil}, Event{Name: "works at the second try", Retry: true}, nil, false},
		{[]error{late}, Event{Name: "is late"}, late, true},
		{[]error{websocket.ErrCloseSent}, Event{Name: "is closed", Retry: true}, websocket.ErrCloseSent, true},
	} {
		f := &fakeConn{results: test.results}
		if err := Publish(f, test.event); err != test.err || f.closed != test.closed || len(f.results) != 0 {
			t.Errorf("%s: got %v, closed %v, %d writes, want %v, %v, %d", test.event.Name, err, f.closed, len(f.written), test.err, test.closed, len(test.results))
		}
	}
}

// fakeReader returns messages, and then an error.
type fakeReader struct {
	messages []string
	err      error
}

func (f *fakeReader) ReadMessage() (int, []byte, error) {
	if len(f.messages) == 0 {
		return -1, nil, f.err
	}
	m := f.messages[0]
	f.messages = f.messages[1:]
	return websocket.TextMessage, []byte(m), nil
}

func TestLast(t *testing.T) {
	gone := &websocket.CloseError{Code: websocket.CloseGoingAway, Text: "gone"}
	for _, test := range []struct {
		reader fakeReader
		last   string
		err    error
	}{
		{fakeReader{[]string{"a", "b"}, &websocket.CloseError{Code: 1000}}, "b", nil},
		{fakeReader{[]string{"a"}, gone}, "a", gone},
		{fakeReader{nil, websocket.ErrReadLimit}, "", websocket.ErrReadLimit},
	} {
		last, err := Last(&test.reader)
		if last != test.last || err != test.err {
			t.Errorf("got %q, %v, want %q, %v", last, err, test.last, test.err)
		}
	}
}

// fakeDialer fails some times, and then dials.
type fakeDialer struct {
	*websocket.Dialer
	failures int
}

func (d *fakeDialer) Dial(url string, h http.Header) (*websocket.Conn, *http.Response, error) {
	if d.failures > 0 {
		d.failures--
		return nil, &http.Response{StatusCode: 503}, websocket.ErrBadHandshake
	}
	return d.Dialer.DialContext(context.Background(), url, h)
}

// TestRealOnes runs the same functions with connections of the library.
func TestRealOnes(t *testing.T) {
	var up Upgrader = &websocket.Upgrader{WriteBufferPool: pool{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for i := range 3 {
			if err := Publish(c, Event{Name: fmt.Sprint("event ", i)}); err != nil {
				t.Error(err)
			}
		}
		c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
		c.ReadMessage()
	}))
	defer s.Close()
	url := "ws" + strings.TrimPrefix(s.URL, "http")

	if _, err := Connect(&fakeDialer{Dialer: websocket.DefaultDialer, failures: 3}, url, 3); err != websocket.ErrBadHandshake {
		t.Errorf("got %v, want ErrBadHandshake", err)
	}
	c, err := Connect(&fakeDialer{Dialer: websocket.DefaultDialer, failures: 2}, url, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	last, err := Last(c)
	if want := `{"name":"event 2","at":"0001-01-01T00:00:00Z"}` + "\n"; last != want || err != nil {
		t.Errorf("got %q, %v, want %q", last, err, want)
	}
}
