package keepalive

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// The tests run in synctest's bubbles, on net.Pipe: hours pass in no time.

// listener hands out one end of a pipe for each dial.
type listener struct{ conns chan net.Conn }

func (l listener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l listener) Close() error   { close(l.conns); return nil }
func (l listener) Addr() net.Addr { return &net.TCPAddr{} }

func (l listener) dial(string, string) (net.Conn, error) {
	near, far := net.Pipe()
	l.conns <- far
	return near, nil
}

// connect starts the server, and returns a connection to it and why it ends.
func connect(t *testing.T, s *Server) (ws *websocket.Conn, gone <-chan error) {
	t.Helper()
	ended := make(chan error, 1)
	s.Gone = func(err error) { ended <- err }
	l := listener{make(chan net.Conn)}
	server := &http.Server{Handler: s}
	go server.Serve(l) // ends with the listener
	t.Cleanup(func() { server.Close() })

	d := websocket.Dialer{NetDial: l.dial, HandshakeTimeout: time.Second}
	ws, _, err := d.Dial("ws://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return ws, ended
}

func server() *Server {
	return &Server{PongWait: 60 * time.Second, PingPeriod: 54 * time.Second, WriteWait: 10 * time.Second}
}

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestClientThatAnswersIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, gone := connect(t, server())
		pings := 0
		watched := make(chan error, 1)
		go func() { watched <- Watch(ws, time.Minute, func() { pings++ }) }()

		time.Sleep(time.Hour)
		synctest.Wait()
		if want := int(time.Hour / (54 * time.Second)); pings != want {
			t.Errorf("got %d pings in an hour, want %d", pings, want)
		}
		select {
		case err := <-gone:
			t.Errorf("the server let it go: %v", err)
		default:
		}

		ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "bye"), time.Now().Add(time.Second))
		if err := <-gone; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("got %v, want the close code 1000", err)
		}
		if err := <-watched; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("got %v, want the close code 1000", err)
		}
	})
}

func TestClientThatDoesNotAnswerIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ws, gone := connect(t, server())
		ws.SetPingHandler(func(string) error { return nil })
		read := make(chan error, 1)
		go func() {
			_, _, err := ws.ReadMessage()
			read <- err
		}()
		wantTimeout(t, <-gone)
		if after := time.Since(start); after != time.Minute {
			t.Errorf("got it after %v, want after a minute", after)
		}
		if err := <-read; !websocket.IsUnexpectedCloseError(err, websocket.CloseGoingAway) {
			t.Errorf("got %v, want the end of the connection", err)
		}
	})
}

func TestClientThatDoesNotReadIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, gone := connect(t, server())
		wantTimeout(t, <-gone) // a ping waits on the pipe meanwhile
		if after := time.Since(start); after != time.Minute {
			t.Errorf("got it after %v, want after a minute", after)
		}
	})
}

func TestMessagesKeepAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server()
		s.PingPeriod = 24 * time.Hour // a pipe takes no ping that nobody reads
		ws, _ := connect(t, s)
		for range 60 {
			time.Sleep(50 * time.Second)
			if err := ws.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, got, err := ws.ReadMessage(); err != nil || string(got) != "hello" {
				t.Fatalf("got %q, %v, want hello", got, err)
			}
		}
	})
}

func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server()
		s.PingPeriod = 10 * time.Minute
		s.PongWait = time.Hour
		ws, _ := connect(t, s)
		start := time.Now()
		wantTimeout(t, Watch(ws, time.Minute, func() { t.Error("a ping came") }))
		if after := time.Since(start); after != time.Minute {
			t.Errorf("got it after %v, want after a minute", after)
		}
	})
}

func TestServerThatDoesNotAnswerTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go io.Copy(io.Discard, far)
		d := websocket.Dialer{
			NetDial:          func(string, string) (net.Conn, error) { return near, nil },
			HandshakeTimeout: 5 * time.Second,
		}
		start := time.Now()
		_, _, err := d.Dial("ws://example.com/", nil)
		wantTimeout(t, err)
		if after := time.Since(start); after != 5*time.Second {
			t.Errorf("got it after %v, want after 5 seconds", after)
		}
	})
}
