package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// hsLog is the output of an http.Server's ErrorLog.
type hsLog struct {
	mu    sync.Mutex
	b     bytes.Buffer
	lines chan struct{} // one for each Write
}

func newHSLog() *hsLog { return &hsLog{lines: make(chan struct{}, 100)} }

func (l *hsLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines <- struct{}{}
	return l.b.Write(p)
}

func (l *hsLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// hsHandlerFunc returns the URL of a server with the handler of a zero Upgrader.
func hsHandlerFunc(t *testing.T, wrap func(http.Handler) http.Handler, serve func(*Conn, *http.Request)) (url string, errorLog *hsLog) {
	var u Upgrader
	h := http.Handler(u.HandlerFunc(serve))
	if wrap != nil {
		h = wrap(h)
	}
	errorLog = newHSLog()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(errorLog, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, errorLog
}

// hsWantEnd waits for the end of a connection that came without a Close frame.
func hsWantEnd(t *testing.T, c *Conn) {
	t.Helper()
	hsWantClose(t, c, CloseAbnormalClosure)
}

func hsWantClose(t *testing.T, c *Conn, code int) {
	t.Helper()
	if _, _, err := c.ReadMessage(); !IsCloseError(err, code) {
		t.Errorf("got error %v, want close %d", err, code)
	}
}

// serve runs when the handler has returned: then net/http has freed what it held.
func TestHandlerFuncReturnsAtOnce(t *testing.T) {
	returned := make(chan struct{})
	url, _ := hsHandlerFunc(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			close(returned)
		})
	}, func(c *Conn, _ *http.Request) {
		<-returned
		hsEcho(c)
	})
	hsWantEcho(t, hsDial(t, Dialer{}, url), "Hello")
}

// Routers reuse the values of a request's context when their handler has returned, as chi does with the parameters of
// a route. Until serve returns, the handler does not.
func TestHandlerFuncKeepsValuesOfContexts(t *testing.T) {
	type key struct{}
	type route struct{ room string }
	for name, layer := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"the value":         func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
		"a cancel above it": context.WithCancel,
		"two above it": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			ctx, stop := context.WithCancel(ctx)
			return ctx, func() { stop(); cancel() }
		},
		"a deadline above it": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, patience)
		},
	} {
		t.Run(name, func(t *testing.T) {
			used := make(chan *route, 2) // a pool
			used <- new(route)
			url, _ := hsHandlerFunc(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					var current *route
					select {
					case current = <-used:
					default:
						current = new(route)
					}
					current.room = r.URL.Path
					ctx, cancel := layer(context.WithValue(r.Context(), key{}, current))
					defer cancel()
					h.ServeHTTP(w, r.WithContext(ctx))
					used <- current
				})
			}, func(c *Conn, r *http.Request) {
				c.ReadMessage()
				c.WriteMessage(TextMessage, []byte(r.Context().Value(key{}).(*route).room))
			})
			first := hsDial(t, Dialer{}, url+"/first")
			second := hsDial(t, Dialer{}, url+"/second")
			hsWantEcho(t, first, "/first")
			hsWantEcho(t, second, "/second")
		})
	}
}

// net/http cancels a request's context when its handler returns, but serve still runs. Its context ends with
// the connection.
func TestHandlerFuncContext(t *testing.T) {
	type key struct{}
	ready, cancelled, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	url, _ := hsHandlerFunc(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, "value"))
			go func() {
				<-ready
				cancel()
				close(cancelled)
			}()
			h.ServeHTTP(w, r.WithContext(ctx))
		})
	}, func(c *Conn, r *http.Request) {
		close(ready)
		<-cancelled
		ctx := r.Context()
		if err := ctx.Err(); err != nil {
			t.Errorf("got error %v of the context, want none yet", err)
		}
		if got := ctx.Value(key{}); got != "value" {
			t.Errorf("got value %v, want that of the handler's context", got)
		}
		if _, ok := ctx.Value(http.ServerContextKey).(*http.Server); !ok {
			t.Error("got no http.Server in the context")
		}
		if got, want := ctx.Value(http.LocalAddrContextKey).(net.Addr).String(), c.LocalAddr().String(); got != want {
			t.Errorf("got local address %s, want %s", got, want)
		}
		if r.URL.RawQuery != "a=b" || r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("got %s with header %q, want the request", r.URL, r.Header)
		}
		hsEcho(c)
		<-ctx.Done()
		close(ended)
	})
	client := hsDial(t, Dialer{}, url+"?a=b")
	hsWantEcho(t, client, "Hello")
	client.Close()
	<-ended
}

// The context of a function also ends where a write finds that the peer is gone, and where another goroutine
// closes the connection.
func TestHandlerFuncContextEnds(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"a write":   func(c *Conn) { c.NetConn().(*net.TCPConn).CloseWrite(); c.WriteMessage(TextMessage, nil) },
		"Close":     func(c *Conn) { c.Close() },
		"Shutdown":  func(c *Conn) { c.Shutdown(cancelled(nil), CloseNormalClosure, "") },
		"the limit": func(c *Conn) { c.SetReadLimit(1); c.ReadMessage() },
	} {
		ended := make(chan struct{})
		url, _ := hsHandlerFunc(t, nil, func(c *Conn, r *http.Request) {
			go end(c)
			<-r.Context().Done()
			close(ended)
		})
		c := hsDial(t, Dialer{}, url)
		c.WriteMessage(TextMessage, []byte("longer"))
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("%s: got a context that goes on", name)
		}
	}
}

func TestHandlerFuncClosesAfterServe(t *testing.T) {
	url, errorLog := hsHandlerFunc(t, nil, func(c *Conn, _ *http.Request) {
		if err := c.WriteMessage(TextMessage, []byte("bye")); err != nil {
			t.Error(err)
		}
	})
	c := hsDial(t, Dialer{}, url)
	if _, p, err := c.ReadMessage(); string(p) != "bye" || err != nil {
		t.Errorf("got %q and error %v, want bye", p, err)
	}
	hsWantClose(t, c, CloseNormalClosure)
	if got := errorLog.String(); got != "" {
		t.Errorf("got log %q, want nothing", got)
	}
}

// A goroutine that ends itself is no panic, and its connection is closed all the same.
func TestHandlerFuncGoexit(t *testing.T) {
	url, errorLog := hsHandlerFunc(t, nil, func(*Conn, *http.Request) { runtime.Goexit() })
	hsWantEnd(t, hsDial(t, Dialer{}, url))
	if got := errorLog.String(); got != "" {
		t.Errorf("got log %q, want nothing", got)
	}
}

// A panic ends its own connection, and is logged as net/http logs that of a handler.
func TestHandlerFuncPanic(t *testing.T) {
	url, errorLog := hsHandlerFunc(t, nil, func(c *Conn, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("at the " + "disco")
		}
		hsEcho(c)
	})
	bystander := hsDial(t, Dialer{}, url)
	c := hsDial(t, Dialer{}, url+"/panic")
	hsWantClose(t, c, CloseInternalServerErr)
	<-errorLog.lines
	got := errorLog.String()
	if want := "http: panic serving " + c.LocalAddr().String() + ": at the disco\ngoroutine "; !strings.HasPrefix(got, want) {
		t.Errorf("got log %q, want it to begin with %q", got, want)
	}
	if want := "TestHandlerFuncPanic"; !strings.Contains(got, want) {
		t.Errorf("got log %q, want the stack with %s", got, want)
	}
	hsWantEcho(t, bystander, "still here")
	hsWantEcho(t, hsDial(t, Dialer{}, url), "and open")
}

// The log of our panics differs from the server's own only in the stack.
func TestHandlerFuncPanicLooksLikeNetHTTPs(t *testing.T) {
	for _, value := range []any{"text", errors.New("an error"), 42} {
		ours, ourLog := hsHandlerFunc(t, nil, func(*Conn, *http.Request) { panic(value) })
		theirs, theirLog := hsHandlerFunc(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) })
		}, nil)
		hsWantClose(t, hsDial(t, Dialer{}, ours), CloseInternalServerErr)
		if resp, err := http.Get(theirs); err == nil {
			resp.Body.Close()
		}
		<-ourLog.lines
		<-theirLog.lines
		message := func(l *hsLog) string {
			_, s, _ := strings.Cut(strings.TrimPrefix(l.String(), "http: panic serving 127.0.0.1:"), ": ")
			s, stack, _ := strings.Cut(s, "\n")
			goroutine, _, _ := strings.Cut(stack, " ")
			return s + "\n" + goroutine
		}
		if got, want := message(ourLog), message(theirLog); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// "ErrAbortHandler is a sentinel panic value to abort a handler", without a log.
func TestHandlerFuncAbort(t *testing.T) {
	url, errorLog := hsHandlerFunc(t, nil, func(c *Conn, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		hsEcho(c)
	})
	hsWantEnd(t, hsDial(t, Dialer{}, url+"/abort"))
	hsWantEcho(t, hsDial(t, Dialer{}, url), "still here")
	if got := errorLog.String(); got != "" {
		t.Errorf("got log %q, want nothing", got)
	}
}

// A refused request is answered, and serve does not run.
func TestHandlerFuncRefuses(t *testing.T) {
	url, _ := hsHandlerFunc(t, nil, func(*Conn, *http.Request) { t.Error("serve runs, want it not to") })
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusUpgradeRequired || !strings.HasPrefix(string(body), "Upgrade Required\n") {
		t.Errorf("got %s with body %q, want 426", resp.Status, body)
	}
}

// The fields of the Upgrader count, also those that are set after HandlerFunc.
func TestHandlerFuncUsesItsUpgrader(t *testing.T) {
	var u Upgrader
	h := u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) })
	u.Subprotocols = []string{"chat"}
	srv := httptest.NewServer(h)
	defer srv.Close()
	if got := hsDial(t, Dialer{Subprotocols: []string{"chat"}}, srv.URL).Subprotocol(); got != "chat" {
		t.Errorf("got subprotocol %q, want chat", got)
	}
}

// One URL for a page and its WebSocket, as RFC 6455, 1.7 has it: "the handshake is
// interpreted by HTTP servers as an Upgrade request".
func TestOneURLServesPageAndWebSocket(t *testing.T) {
	var u Upgrader
	connect := u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) })
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsWebSocketUpgrade(r) {
			connect(w, r)
			return
		}
		io.WriteString(w, "a page")
	}))
	defer srv.Close()
	for range 2 {
		resp, err := http.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || string(body) != "a page" {
			t.Errorf("got %s with body %q, want the page", resp.Status, body)
		}
		hsWantEcho(t, hsDial(t, Dialer{}, srv.URL), "a message")
	}
}

// Messages of all sizes around those at which something changes, there and back.
func TestDialAndHandlerFuncEndToEnd(t *testing.T) {
	url, _ := hsHandlerFunc(t, nil, func(c *Conn, _ *http.Request) {
		err := hsEcho(c)
		if want := "websocket: close 1000 (normal): bye"; err.Error() != want {
			t.Errorf("server: got error %v, want %s", err, want)
		}
	})
	c := hsDial(t, Dialer{}, strings.Replace(url, "http", "ws", 1))
	for _, n := range []int{0, 1, 125, 126, 4081, 4082, 4083, 65535, 65536, 1 << 20} {
		hsWantEcho(t, c, strings.Repeat("x", n))
	}
	if err := c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, "bye"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
		t.Errorf("got error %v, want the answer to the Close frame", err)
	}
}

// ResponseHeader is asked once for each request that is upgraded, and only for those. What it returns is treated as
// Upgrade's argument.
func TestHandlerFuncResponseHeader(t *testing.T) {
	asked := 0
	u := Upgrader{ResponseHeader: func(r *http.Request) http.Header {
		asked++
		return http.Header{"Set-Cookie": {"for=" + r.URL.Path}, "Upgrade": {"h2c"}, "Sec-Websocket-Protocol": {"chat"}}
	}}
	srv := httptest.NewServer(u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) }))
	t.Cleanup(srv.Close)
	d := Dialer{Subprotocols: []string{"chat"}}
	c, resp, err := d.Dial(srv.URL+"/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hsWantEcho(t, c, "Hello")
	if got := resp.Header["Set-Cookie"]; asked != 1 || len(got) != 1 || got[0] != "for=/me" || c.Subprotocol() != "chat" {
		t.Errorf("got cookies %q, subprotocol %q after %d calls, want those of one call", got, c.Subprotocol(), asked)
	}
	if _, _, err := d.Dial(srv.URL, http.Header{"Origin": {"http://evil.example"}}); err != ErrBadHandshake || asked != 1 {
		t.Errorf("got error %v and %d calls, want a refusal without one", err, asked)
	}

	u.ResponseHeader = func(*http.Request) http.Header { return http.Header{"Sec-Websocket-Extensions": {"x"}} }
	_, resp, err = d.Dial(srv.URL, nil)
	if err != ErrBadHandshake || resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %v, %v, want 500", resp, err)
	}
}
