//go:build go1.25

package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hsStage is a place at which a server or a proxy stops answering.
type hsStage struct {
	name string
	url  string // wss://a.example/ or ws://a.example/
	// proxy is the URL of one, if any.
	proxy string
	// peer talks until it has nothing more to say; the connection stays open.
	peer func(far net.Conn)
	// size of the buffers between the two
	size int
	// refused: what has come of the answer is a refusal.
	refused bool
}

func hsReadHead(far net.Conn) {
	http.ReadRequest(bufio.NewReader(far))
}

// hsSay answers what was asked.
func hsSay(answer string) func(net.Conn) {
	return func(far net.Conn) {
		hsReadHead(far)
		io.WriteString(far, answer)
	}
}

// hsDrip answers one byte a second, until nobody listens.
func hsDrip(answer string) func(net.Conn) {
	return func(far net.Conn) {
		hsReadHead(far)
		for c := range strings.SplitSeq(answer+strings.Repeat("x", 1000), "") {
			if _, err := io.WriteString(far, c); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
}

func hsSilence(net.Conn) {}

var hsStages = []hsStage{
	{name: "request", url: "ws://a.example/", peer: hsSilence, size: 10},
	{name: "answer", url: "ws://a.example/", peer: hsSilence, size: 1 << 20},
	{name: "a part of the answer", url: "ws://a.example/", peer: hsSay("HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso"), size: 1 << 20},
	{name: "behind an interim answer", url: "ws://a.example/", peer: hsSay("HTTP/1.1 100 Continue\r\n\r\n"), size: 1 << 20},
	{name: "answer of one byte a second", url: "ws://a.example/", peer: hsDrip("HTTP/1.1 101 Switching Protocols\r\nX: "), size: 1 << 20},
	{name: "status line of one byte a second", url: "ws://a.example/", peer: hsDrip("HTTP/1.1 101 "), size: 1 << 20},
	{name: "body of a refusal", url: "ws://a.example/", peer: hsSay("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno, "), size: 1 << 20, refused: true},
	{name: "body of a refusal up to the end", url: "ws://a.example/", peer: hsSay("HTTP/1.1 403 Forbidden\r\n\r\nno, "), size: 1 << 20, refused: true},
	{name: "TLS", url: "wss://a.example/", peer: hsSilence, size: 1 << 20},
	{name: "TLS, unread", url: "wss://a.example/", peer: hsSilence, size: 10},
	{name: "CONNECT", url: "ws://a.example/", proxy: "http://proxy.example", peer: hsSilence, size: 1 << 20},
	{name: "CONNECT, unread", url: "ws://a.example/", proxy: "http://proxy.example", peer: hsSilence, size: 10},
	{name: "CONNECT answered one byte a second", url: "ws://a.example/", proxy: "http://proxy.example", peer: hsDrip("HTTP/1.1 200 OK\r\nX: "), size: 1 << 20},
	{name: "SOCKS", url: "ws://a.example/", proxy: "socks5://proxy.example", peer: hsSilence, size: 1 << 20},
	{name: "TLS to a proxy", url: "ws://a.example/", proxy: "https://proxy.example", peer: hsSilence, size: 1 << 20},
	{name: "TLS through a proxy", url: "wss://a.example/", proxy: "http://proxy.example", peer: hsSay("HTTP/1.1 200 OK\r\n\r\n"), size: 1 << 20},
	{name: "answer through a proxy", url: "ws://a.example/", proxy: "http://proxy.example", peer: hsSay("HTTP/1.1 200 OK\r\n\r\n"), size: 1 << 20},
}

// hsStop is a way to end a call of Dial after ten seconds.
type hsStop struct {
	name    string
	timeout time.Duration // HandshakeTimeout
	ctx     func() (context.Context, context.CancelFunc)
	want    []error
	isNet   bool // a net.Error that is a timeout
}

var errHSCause = errors.New("the cause")

var hsStops = []hsStop{
	{"HandshakeTimeout", 10 * time.Second, func() (context.Context, context.CancelFunc) { return context.Background(), func() {} },
		[]error{context.DeadlineExceeded}, true},
	{"HandshakeTimeout before the context's deadline", 10 * time.Second, func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), time.Minute)
	}, []error{context.DeadlineExceeded}, true},
	{"deadline", time.Minute, func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), 10*time.Second)
	}, []error{context.DeadlineExceeded}, true},
	{"cancelled", 0, func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(10*time.Second, cancel)
		return ctx, cancel
	}, []error{context.Canceled}, false},
	{"cancelled for a cause", time.Minute, func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(10*time.Second, func() { cancel(errHSCause) })
		return ctx, func() { cancel(nil) }
	}, []error{context.Canceled}, false},
}

// Wherever the other side stops answering, Dial ends in time with the context's error,
// the connection is closed, and no goroutine is left: the bubble waits for all of them.
func TestAttackSlowServer(t *testing.T) {
	for _, stage := range hsStages {
		for _, stop := range hsStops {
			t.Run(stage.name+"/"+stop.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { hsInterrupt(t, stage, stop) })
			})
		}
	}
}

func hsInterrupt(t *testing.T, stage hsStage, stop hsStop) {
	near, far := newPipe(t, stage.size)
	d := Dialer{HandshakeTimeout: stop.timeout, NetDial: func(string, string) (net.Conn, error) { return near, nil }}
	if stage.proxy != "" {
		d.Proxy = http.ProxyURL(proxyURL(t, stage.proxy))
	}
	var wg sync.WaitGroup
	wg.Go(func() { stage.peer(far) })
	defer wg.Wait()
	ctx, cancel := stop.ctx()
	defer cancel()
	start := time.Now()
	c, resp, err := d.DialContext(ctx, stage.url, nil)
	took := 10 * time.Second
	if stage.refused {
		took = time.Second // for the body
	}
	if got := time.Since(start); got != took {
		t.Errorf("got an end after %v, want one after %v", got, took)
	}
	if c != nil {
		t.Error("got a connection, want none")
	}
	if _, err := near.Write([]byte("x")); err != net.ErrClosed {
		t.Errorf("got error %v of a write, want the connection closed", err)
	}
	if stage.refused {
		// The refusal has come, so it is the answer; the body is as much as there is.
		body := ""
		if resp != nil {
			b, _ := io.ReadAll(resp.Body)
			body = string(b)
		}
		if err != ErrBadHandshake || body != "no, " {
			t.Errorf("got error %v and body %q, want %v and what has come", err, body, ErrBadHandshake)
		}
		return
	}
	if resp != nil {
		t.Errorf("got an answer with status %s, want none", resp.Status)
	}
	for _, want := range stop.want {
		if !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
	var ne net.Error
	if got := errors.As(err, &ne) && ne.Timeout(); got != stop.isNet {
		t.Errorf("got error %v that is a timeout: %v, want %v", err, got, stop.isNet)
	}
}

// The functions of the program are given a context that ends in time.
func TestDialInterruptedWhileDialing(t *testing.T) {
	wait := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, stop := range hsStops {
		for url, d := range map[string]Dialer{"ws://a.example/": {NetDialContext: wait}, "wss://a.example/": {NetDialTLSContext: wait}} {
			synctest.Test(t, func(t *testing.T) {
				d.HandshakeTimeout = stop.timeout
				ctx, cancel := stop.ctx()
				defer cancel()
				start := time.Now()
				_, _, err := d.DialContext(ctx, url, nil)
				if got := time.Since(start); got != 10*time.Second || !errors.Is(err, stop.want[0]) {
					t.Errorf("%s, %s: got error %v after %v, want %v after 10s", url, stop.name, err, got, stop.want[0])
				}
			})
		}
	}
}

// The cause of a cancelled context is in the error.
func TestDialInterruptedForACause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := newPipe(t, 1<<20)
		d := Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(errHSCause) })
		_, _, err := d.DialContext(ctx, "ws://a.example/", nil)
		if !errors.Is(err, errHSCause) || !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v and %v", err, errHSCause, context.Canceled)
		}
	})
}

// A context that has ended already ends Dial at once, also with functions that do not
// look at it.
func TestDialWithEndedContext(t *testing.T) {
	u := hsScript(t, func(key string) string { return "" })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if c, _, err := new(Dialer).DialContext(ctx, u, nil); c != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	for _, stage := range hsStages {
		d := Dialer{NetDial: func(string, string) (net.Conn, error) {
			t.Errorf("%s: got the function called that dials", stage.name)
			return nil, io.EOF
		}}
		if stage.proxy != "" {
			d.Proxy = http.ProxyURL(proxyURL(t, stage.proxy))
		}
		if c, _, err := d.DialContext(ctx, stage.url, nil); c != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want %v", stage.name, err, context.Canceled)
		}
	}
}

// A function that dials and does not heed the context is not waited for. Its connection, if one comes, is
// closed.
func TestDialFunctionsThatHeedNothing(t *testing.T) {
	for _, comes := range []bool{true, false} {
		for name, with := range map[string]func(d *Dialer, dial func() (net.Conn, error)){
			"NetDial": func(d *Dialer, dial func() (net.Conn, error)) {
				d.NetDial = func(string, string) (net.Conn, error) { return dial() }
			},
			"NetDialContext": func(d *Dialer, dial func() (net.Conn, error)) {
				d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
			},
			"NetDialTLSContext": func(d *Dialer, dial func() (net.Conn, error)) {
				d.NetDialTLSContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
			},
		} {
			synctest.Test(t, func(t *testing.T) {
				near, _ := newPipe(t, 1000)
				d := Dialer{HandshakeTimeout: time.Second}
				with(&d, func() (net.Conn, error) {
					time.Sleep(time.Minute)
					if comes {
						return near, nil
					}
					return nil, io.EOF
				})
				start := time.Now()
				if _, _, err := d.Dial("wss://a.example/", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
					t.Errorf("%s: got %v after %v, want context.DeadlineExceeded after 1s", name, err, time.Since(start))
				}
				time.Sleep(time.Hour)
				if _, err := near.Write([]byte("x")); comes != (err == net.ErrClosed) {
					t.Errorf("%s: got error %v of a write to what came late, want it closed", name, err)
				}
			})
		}
	}
}

// The same over the kernel's connections, with and without TLS.
func TestDialInterruptedOnTCP(t *testing.T) {
	for _, scheme := range []string{"ws", "wss"} {
		ctx, cancel := context.WithCancel(context.Background())
		addr := proxyServe(t, func(nc net.Conn) error {
			if _, err := nc.Read(make([]byte, 1)); err != nil {
				return err
			}
			cancel()
			_, err := io.Copy(io.Discard, nc)
			return err
		})
		if c, _, err := new(Dialer).DialContext(ctx, scheme+"://"+addr, nil); c != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want %v", scheme, err, context.Canceled)
		}
	}
}

// After Dial neither the context nor HandshakeTimeout means anything.
func TestDialContextEndsWithDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 1<<20)
		d := Dialer{HandshakeTimeout: 10 * time.Second, NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		go func() {
			req, _ := http.ReadRequest(bufio.NewReader(far))
			time.Sleep(9 * time.Second)
			io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: "+acceptKey(req.Header.Get("Sec-Websocket-Key"))+"\r\n\r\n")
		}()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		c, _, err := d.DialContext(ctx, "ws://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		cancel()
		time.Sleep(time.Hour)
		io.WriteString(far, hsHello)
		if _, p, err := c.ReadMessage(); string(p) != "Hello" || err != nil {
			t.Errorf("got %q and error %v, want Hello", p, err)
		}
		if err := c.WriteMessage(TextMessage, nil); err != nil {
			t.Errorf("got error %v of a write, want none", err)
		}
	})
}

// With TLS too, whose handshake watches the context on its own.
func TestDialTLSContextEndsWithDial(t *testing.T) {
	var u Upgrader
	srv := httptest.NewTLSServer(u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) }))
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	d := Dialer{TLSClientConfig: hsTLSConfig(srv)}
	c, _, err := d.DialContext(ctx, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	hsWantEcho(t, c, "Hello")
	if _, ok := c.NetConn().(*tls.Conn); !ok {
		t.Errorf("got %T, want TLS", c.NetConn())
	}
}

// The network's own errors are returned as they are.
func TestDialNetworkErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	var op *net.OpError
	if _, _, err := new(Dialer).Dial("ws://"+addr, nil); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("got error %v, want that of dialing", err)
	}
	near, far := newPipe(t, 1<<20)
	far.Close()
	d := Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
	if _, _, err := d.Dial((&url.URL{Scheme: "ws", Host: addr}).String(), nil); err != io.ErrClosedPipe {
		t.Errorf("got error %v, want that of writing the request", err)
	}
}

// A Dial over TLS that is cancelled does not wait for a server that reads nothing, which crypto/tls would
// give five seconds to take its last record.
func TestDialCancelledOverTLS(t *testing.T) {
	serverConfig, clientConfig := tlsTestConfigs()
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 1<<20)
		server := tls.Server(far, serverConfig)
		d := Dialer{TLSClientConfig: clientConfig, NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		go func() {
			server.Handshake()
			room(far, 0) // and reads nothing more
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, _, err := d.DialContext(ctx, "wss://example.com/", nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want the context's error after 1s", err, time.Since(start))
		}
	})
}

// A dial function that ends its goroutine has dialed nothing; a timeout that is over ends Dial before it dials.
func TestDialFunctionThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := Dialer{HandshakeTimeout: time.Minute, NetDial: func(string, string) (net.Conn, error) {
			runtime.Goexit()
			return nil, nil
		}}
		if _, _, err := d.Dial("ws://a.example/", nil); err != errNoConnection || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want %v at once", err, time.Since(start), errNoConnection)
		}
		d.HandshakeTimeout = -1
		if _, _, err := d.Dial("ws://a.example/", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v with a negative timeout, want %v", err, context.DeadlineExceeded)
		}
	})
}
