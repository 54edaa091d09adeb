package proxies

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// patience bounds the waits of a test, which are short unless something is wrong.
const patience = 30 * time.Second

// backend is the server behind a proxy. A request's path chooses what is done with the connection.
type backend struct {
	t       *testing.T
	address string
	server  *http.Server
	group   *websocket.Group
	closed  chan error // what reads have returned at /report
}

func startBackend(t *testing.T) *backend {
	b := &backend{t: t, address: freeAddress(t), closed: make(chan error, 1)}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *backend) start() {
	b.t.Helper()
	ln, err := net.Listen("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.group = new(websocket.Group)
	upgrader := websocket.Upgrader{EnableCompression: true, Group: b.group}
	pinging := upgrader
	pinging.PingInterval = idleTimeout / 2
	mux := http.NewServeMux()
	mux.Handle("/echo", upgrader.HandlerFunc(echo))
	mux.Handle("/pinging", pinging.HandlerFunc(echo))
	mux.Handle("/headers", upgrader.HandlerFunc(func(c *websocket.Conn, r *http.Request) {
		c.WriteJSON(map[string]string{
			"Host": r.Host, "For": r.Header.Get("X-Forwarded-For"), "Proto": r.Header.Get("X-Forwarded-Proto"), "HTTP": r.Proto,
		})
	}))
	mux.Handle("/report", upgrader.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		_, _, err := c.ReadMessage()
		b.closed <- err
	}))
	mux.Handle("/full", upgrader.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c.Shutdown(ctx, websocket.CloseTryAgainLater, "full")
	}))
	b.server = &http.Server{Handler: mux}
	go b.server.Serve(ln)
}

// stop stops the server as DEPLOYING.md says.
func (b *backend) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- b.server.Shutdown(ctx) }()
	if err := errors.Join(b.group.Shutdown(ctx), <-stopped); err != nil {
		b.t.Errorf("stopping the server: %v", err)
	}
}

func echo(c *websocket.Conn, _ *http.Request) {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(messageType, p) != nil {
			return
		}
	}
}

// client connects to a proxy as a page of https://example.com.
type client struct {
	t       *testing.T
	address string
	dialer  websocket.Dialer
}

func newClient(t *testing.T, address string) *client {
	return &client{t, address, websocket.Dialer{
		HandshakeTimeout: patience,
		TLSClientConfig:  clientTLS(),
		NetDialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
}

func (c *client) try(path, origin string) (*websocket.Conn, *http.Response, error) {
	header := http.Header{"Origin": {origin}, "X-Forwarded-For": {"203.0.113.9"}} // which the client makes up
	return c.dialer.Dial("wss://example.com"+path, header)
}

func (c *client) dial(path string) *websocket.Conn {
	c.t.Helper()
	conn, resp, err := c.try(path, "https://example.com")
	if err != nil {
		body := ""
		if resp != nil {
			b, _ := io.ReadAll(resp.Body)
			body = resp.Status + ": " + string(b)
		}
		c.t.Fatalf("got error %v, want a connection; %s", err, body)
	}
	c.t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

func wantEcho(t *testing.T, c *websocket.Conn, p []byte) {
	t.Helper()
	if err := c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.ReadMessage(); !bytes.Equal(got, p) || err != nil {
		t.Fatalf("got %d bytes and error %v, want the %d that were sent", len(got), err, len(p))
	}
}

func wantClose(t *testing.T, err error, code int, text string) {
	t.Helper()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code || closed.Text != text {
		t.Errorf("got error %v, want close %d with %q", err, code, text)
	}
}

func TestProxies(t *testing.T) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			server := startBackend(t)
			address := p.start(t, server.address)
			run := func(name string, f func(t *testing.T, c *client)) {
				t.Run(name, func(t *testing.T) { f(t, newClient(t, address)) })
			}
			run("echo", func(t *testing.T, c *client) {
				conn := c.dial("/echo")
				wantEcho(t, conn, []byte("Hello"))
				wantEcho(t, conn, bytes.Repeat([]byte("0123456789abcdef"), 1<<16)) // 1 MiB
			})
			run("headers", func(t *testing.T, c *client) {
				var got struct{ Host, For, Proto, HTTP string }
				if err := c.dial("/headers").ReadJSON(&got); err != nil {
					t.Fatal(err)
				}
				last := got.For[strings.LastIndex(got.For, " ")+1:]
				if got.Host != "example.com" || last != "127.0.0.1" || got.Proto != "https" || got.HTTP != "HTTP/1.1" {
					t.Errorf("got %+v, want example.com, an address that ends with 127.0.0.1, https and HTTP/1.1", got)
				}
			})
			run("a page of another site", func(t *testing.T, c *client) {
				_, resp, err := c.try("/echo", "https://evil.example")
				if err != websocket.ErrBadHandshake || resp.StatusCode != http.StatusForbidden {
					t.Fatalf("got answer %v and error %v, want 403", resp, err)
				}
				body, _ := io.ReadAll(resp.Body)
				if want := `The page's Origin "https://evil.example" does not match the Host "example.com".`; !strings.Contains(string(body), want) {
					t.Errorf("got body %q, want %q", body, want)
				}
			})
			run("pings", func(t *testing.T, c *client) {
				conn := c.dial("/echo")
				go conn.ReadMessage()
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if _, err := conn.Ping(ctx); err != nil {
					t.Errorf("got error %v, want a pong", err)
				}
			})
			run("close codes", func(t *testing.T, c *client) {
				conn := c.dial("/report")
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := conn.Shutdown(ctx, 4001, "bye"); err != nil {
					t.Errorf("got error %v, want the server's answer", err)
				}
				wantClose(t, <-server.closed, 4001, "bye")
				_, _, err := c.dial("/full").ReadMessage()
				wantClose(t, err, websocket.CloseTryAgainLater, "full")
			})
			run("compression", func(t *testing.T, c *client) {
				c.dialer.EnableCompression = true
				conn := c.dial("/echo")
				if !conn.CompressionState().Enabled {
					t.Error("got no compression")
				}
				wantEcho(t, conn, bytes.Repeat([]byte("compressible "), 1000))
			})
			run("an idle connection with pings", func(t *testing.T, c *client) {
				conn := c.dial("/pinging")
				idle(t, conn, 3*idleTimeout)
				wantEcho(t, conn, []byte("still here"))
			})
			if p.idle != nil {
				run("an idle connection without pings", func(t *testing.T, c *client) {
					_, _, err := c.dial("/echo").ReadMessage()
					// HAProxy and others end TLS in one way or the other.
					if !websocket.IsCloseError(err, websocket.CloseAbnormalClosure) && !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("got error %v, want 1006: the proxy's timeout", err)
					}
				})
			}
			run("a restart of the server", func(t *testing.T, c *client) {
				conn := c.dial("/echo")
				wantEcho(t, conn, []byte("before"))
				stopped := make(chan struct{})
				go func() {
					server.stop()
					close(stopped)
				}()
				_, _, err := conn.ReadMessage()
				wantClose(t, err, websocket.CloseGoingAway, "")
				<-stopped
				if _, resp, err := c.try("/echo", "https://example.com"); err != websocket.ErrBadHandshake ||
					resp.StatusCode != http.StatusBadGateway && resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("got answer %v and error %v while the server is down, want 502 or 503", resp, err)
				}
				server.start()
				// A proxy may take a server for dead for a while.
				deadline := time.Now().Add(patience)
				for {
					conn, _, err := c.try("/echo", "https://example.com")
					if err == nil {
						defer conn.Close()
						wantEcho(t, conn, []byte("after"))
						return
					}
					if time.Now().After(deadline) {
						t.Fatalf("got error %v after the restart", err)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		})
	}
}

// idle reads nothing but control frames for d.
func idle(t *testing.T, c *websocket.Conn, d time.Duration) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(d))
	var timeout net.Error
	if _, _, err := c.ReadMessage(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("got error %v while idle, want the deadline", err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
}
