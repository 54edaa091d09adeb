package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/switching-protocols/websocket"
	"golang.org/x/net/nettest"
)

// wrapped hides the type of a network connection, so that nothing is done to it but
// what net.Conn has.
type wrapped struct{ net.Conn }

// A wrappedListener wraps the connections that it accepts, in TLS for instance.
type wrappedListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l wrappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

// transports are the kinds of network connections that the library treats differently.
var transports = map[string]func(net.Conn) net.Conn{
	"tcp":     func(c net.Conn) net.Conn { return c },
	"wrapped": func(c net.Conn) net.Conn { return wrapped{c} },
}

// newStreams connects to a server of its own over the loopback interface, and returns
// the streams of both sides. Stop closes them, and the server.
func newStreams(messageType int, wrap func(net.Conn) net.Conn) (server, client net.Conn, stop func(), err error) {
	accepted := make(chan *websocket.Conn, 1)
	var upgrader websocket.Upgrader
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			c = nil // Upgrade has answered, and the client knows
		}
		accepted <- c
	}))
	srv.Listener = wrappedListener{srv.Listener, wrap}
	srv.Start()
	dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		if err != nil {
			return nil, err
		}
		return wrap(c), nil
	}}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		srv.Close()
		return nil, nil, nil, err
	}
	s := <-accepted
	if s == nil {
		c.Close()
		srv.Close()
		return nil, nil, nil, fmt.Errorf("the server has not upgraded")
	}
	server, client = websocket.NewStream(s, messageType), websocket.NewStream(c, messageType)
	return server, client, func() {
		server.Close()
		client.Close()
		srv.Close()
	}, nil
}

// testStreams is newStreams for a test.
func testStreams(t *testing.T, messageType int) (server, client net.Conn) {
	t.Helper()
	server, client, stop, err := newStreams(messageType, transports["tcp"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return server, client
}

// A stream is a net.Conn in all that nettest looks at, both ways round. It sends any
// bytes, so the messages are binary: a text message must be UTF-8.
func TestStreamIsANetConn(t *testing.T) {
	for name, wrap := range transports {
		t.Run(name, func(t *testing.T) {
			t.Run("server first", func(t *testing.T) {
				nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
					return newStreams(websocket.BinaryMessage, wrap)
				})
			})
			t.Run("client first", func(t *testing.T) {
				nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
					server, client, stop, err := newStreams(websocket.BinaryMessage, wrap)
					return client, server, stop, err
				})
			})
		})
	}
}

// A protocol of ASCII lines goes over text messages, in which other programs, in
// browsers too, see it as text.
func TestStreamOfText(t *testing.T) {
	for name, wrap := range transports {
		t.Run(name, func(t *testing.T) {
			server, client, stop, err := newStreams(websocket.TextMessage, wrap)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			var serving sync.WaitGroup
			serving.Go(func() { // answers lines in capitals, until the client is gone
				lines := bufio.NewScanner(server)
				for lines.Scan() {
					if _, err := fmt.Fprintf(server, "%s\r\n", strings.ToUpper(lines.Text())); err != nil {
						t.Error(err)
					}
				}
				if err := lines.Err(); err != nil {
					t.Errorf("server: got %v, want the end", err)
				}
			})
			answers := bufio.NewReader(client)
			for i := range 1000 {
				line := strings.Repeat("helo ", i%50) + fmt.Sprint(i)
				if _, err := io.WriteString(client, line+"\r\n"); err != nil {
					t.Fatal(err)
				}
				got, err := answers.ReadString('\n')
				if want := strings.ToUpper(line) + "\r\n"; got != want || err != nil {
					t.Fatalf("got %q, %v, want %q, nil", got, err, want)
				}
			}
			client.Close()
			serving.Wait()
		})
	}
}
