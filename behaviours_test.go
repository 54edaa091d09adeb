//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// None of Conn's methods hides one of what a program embeds beside it: those of either are promoted as long as only
// one of both has them, else this does not compile.
func TestBehaviourConnIsEmbedded(t *testing.T) {
	var _ interface {
		io.ReadWriter
		context.Context
	} = struct {
		*Conn
		io.ReadWriter
		context.Context
	}{}
}

// Nothing in a Dialer or an Upgrader is what go vet would complain about in a program that copies one, at any depth.
func TestBehaviourNothingForbidsCopies(t *testing.T) {
	var check func(path string, typ reflect.Type)
	check = func(path string, typ reflect.Type) {
		if reflect.PointerTo(typ).Implements(reflect.TypeFor[sync.Locker]()) {
			t.Errorf("got a lock at %s, want none", path)
		}
		if typ.Kind() == reflect.Array {
			check(path+"[]", typ.Elem())
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				t.Errorf("got a field %s.%s, want options only, that programs have set", path, f.Name)
			}
			check(path+"."+f.Name, f.Type)
		}
	}
	check("Dialer", reflect.TypeFor[Dialer]())
	check("Upgrader", reflect.TypeFor[Upgrader]())
}

// The package's ReadJSON and WriteJSON are those of the connection.
func TestPackageLevelJSON(t *testing.T) {
	c, wire := newTestConn(t, true)
	if err := WriteJSON(c, bhPoint{X: 1}); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	wantFrames(t, wire, `fin=true op=1 masked=false "{\"x\":1}\n"`)
	if err := WriteJSON(c, make(chan int)); err == nil {
		t.Error("got no error for a channel, want that of encoding/json")
	}
	wantFrames(t, wire)
	wire.Write(bhFrame(true, 0x82, `{"x":2} `))
	wire.Write(bhFrame(true, 0x81, ``))
	var got bhPoint
	if err := ReadJSON(c, &got); err != nil || got.X != 2 {
		t.Errorf("got %v and error %v, want 2", got, err)
	}
	if err := ReadJSON(c, &got); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v for an empty message, want io.ErrUnexpectedEOF", err)
	}
}

// The package's Upgrade checks no origin. The 101 answer: the handshake's own fields, then the responseHeader's.
func TestPackageLevelUpgrade(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	r := hsRequest()
	r.Header.Set("Origin", "http://evil.example")
	r.Header.Set("Sec-Websocket-Protocol", "chat, superchat")
	w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
	header := http.Header{"A": {"1"}, "Sec-Websocket-Protocol": {"superchat"}, "Set-Cookie": {"a=1", "b=2"}}
	c, err := Upgrade(w, r, header, 10_000, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	const want = hsAnswer101 + "Sec-WebSocket-Protocol: superchat\r\nA: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
	if got := string(far.take()); got != want || c.Subprotocol() != "superchat" {
		t.Errorf("got subprotocol %q and answer %q, want superchat and %q", c.Subprotocol(), got, want)
	}
	if c.recv.restSize != 10_000 || c.writeBufferSize() != 32<<10 {
		t.Errorf("got buffers of %d and %d bytes, want the next powers of two", c.recv.restSize, c.writeBufferSize())
	}
}

// Each failure before the hijack is a HandshakeError by value, and has nothing of the responseHeader in its answer.
// "Where Upgrader.Error is set, only it writes"; the package's Upgrade leaves the answer to its caller.
// TestUpgradeChecksInOrder has the statuses and texts.
func TestBehaviourUpgradeFailures(t *testing.T) {
	var reason error
	silent := Upgrader{Error: func(_ http.ResponseWriter, _ *http.Request, _ int, err error) { reason = err }}
	for name, spoil := range map[string]func(r *http.Request, header http.Header){
		"no upgrade":    func(r *http.Request, _ http.Header) { r.Header = http.Header{} },
		"method":        func(r *http.Request, _ http.Header) { r.Method = http.MethodPost },
		"version":       func(r *http.Request, _ http.Header) { r.Header.Set("Sec-Websocket-Version", "8") },
		"key":           func(r *http.Request, _ http.Header) { r.Header.Del("Sec-Websocket-Key") },
		"own extension": func(_ *http.Request, header http.Header) { header.Set("Sec-Websocket-Extensions", "x") },
		"no hijacker":   func(*http.Request, http.Header) {},
	} {
		for how, upgrade := range map[string]func(http.ResponseWriter, *http.Request, http.Header) (*Conn, error){
			"answers": new(Upgrader).Upgrade,
			"Error":   silent.Upgrade,
			"function": func(w http.ResponseWriter, r *http.Request, header http.Header) (*Conn, error) {
				return Upgrade(w, r, header, 0, 0)
			},
		} {
			r, header, w := hsRequest(), http.Header{"Set-Cookie": {"a=1"}}, httptest.NewRecorder()
			spoil(r, header)
			c, err := upgrade(w, r, header)
			if _, ok := err.(HandshakeError); !ok || c != nil {
				t.Errorf("%s, %s: got %v and %T, want a HandshakeError", name, how, c, err)
			}
			if how == "Error" && err != reason {
				t.Errorf("%s: got error %v, want that of Upgrader.Error, %v", name, err, reason)
			}
			body, version, cookie := w.Body.String(), w.Header().Get("Sec-Websocket-Version"), w.Header().Get("Set-Cookie")
			w.WriteHeader(http.StatusTeapot) // if it is the first, it is the one that counts
			answered := w.Code != http.StatusTeapot
			if answered != (how == "answers") || answered != strings.HasPrefix(body, http.StatusText(w.Code)+"\n") {
				t.Errorf("%s, %s: got status %d with body %q, want it only where Upgrade answers", name, how, w.Code, body)
			}
			if answered && version != "13" || cookie != "" {
				t.Errorf("%s, %s: got version %q and cookie %q, want 13 and none", name, how, version, cookie)
			}
		}
	}
}

// bhAnswer plays a server that gives the answer to one handshake, and returns the
// request when that has been done.
func bhAnswer(far net.Conn, answer func(key string) string) (request func() string) {
	var b bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(far, &b)))
		if err == nil {
			io.WriteString(far, answer(r.Header.Get("Sec-Websocket-Key")))
		}
	})
	return func() string {
		wg.Wait()
		return b.String()
	}
}

const bhAnswer101 = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: "

func TestNewClient(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	request := bhAnswer(far, func(key string) string {
		return bhAnswer101 + acceptKey(key) + "\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: a=1\r\n\r\n\x81\x05Hello"
	})
	u := &url.URL{Scheme: "ws", Host: "server.example.com", Path: "/chat", RawQuery: "a=b"}
	header := http.Header{"Origin": {"http://example.com"}, "Sec-Websocket-Protocol": {"chat"}}
	c, resp, err := NewClient(near, u, header, 10_000, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	sent := request()
	if !strings.HasPrefix(sent, "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\n") {
		t.Errorf("got %q, want a request for the URL", sent)
	}
	if got := hsFields(sent, "Origin"); len(got) != 1 || got[0] != "Origin: http://example.com" {
		t.Errorf("got %q, want the program's Origin", got)
	}
	if c.Subprotocol() != "chat" || resp.StatusCode != 101 || resp.Header.Get("Set-Cookie") != "a=1" {
		t.Errorf("got subprotocol %q and answer %d %q, want chat and 101 with a cookie",
			c.Subprotocol(), resp.StatusCode, resp.Header)
	}
	if c.NetConn() != net.Conn(near) || c.UnderlyingConn() != net.Conn(near) || u.Scheme != "ws" {
		t.Errorf("got NetConn %v, UnderlyingConn %v and URL %v, want what was given", c.NetConn(), c.UnderlyingConn(), u)
	}
	if c.recv.restSize != 10_000 || c.writeBufferSize() != 32<<10 {
		t.Errorf("got buffers of %d and %d bytes, want the next powers of two", c.recv.restSize, c.writeBufferSize())
	}
	wantRead(t, c, "Hello") // from behind the answer
	wantWrite(t, c, "Hello")
	wantFrames(t, far, `fin=true op=1 masked=true "Hello"`)
}

// Where NewClient fails, it closes the connection, also if nothing could be sent. A refusal is returned with the
// answer. For a wss URL it starts TLS.
func TestNewClientFails(t *testing.T) {
	for _, tt := range []struct{ scheme, sent, want string }{
		{"ws", "GET / HTTP/1.1\r\n", "websocket: bad handshake"},
		{"wss", "\x16", "first record does not look like a TLS handshake"}, // the type of a record (RFC 8446, 5.1)
		{"ftp", "", "malformed ws or wss URL"},
	} {
		near, far := newPipe(t, 1<<20)
		io.WriteString(far, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		c, resp, err := NewClient(near, &url.URL{Scheme: tt.scheme, Host: "a.example"}, nil, 0, 0)
		if c != nil || err == nil || !strings.HasSuffix(err.Error(), tt.want) || !near.in.readClosed() {
			t.Errorf("%s: got %v and error %v, want %s and the connection closed", tt.scheme, c, err, tt.want)
		}
		if sent := string(far.take()); !strings.HasPrefix(sent, tt.sent) || (sent == "") != (tt.sent == "") {
			t.Errorf("%s: got %q sent, want %q", tt.scheme, sent, tt.sent)
		}
		if tt.scheme != "ws" {
			continue
		}
		if err != ErrBadHandshake || resp == nil || resp.StatusCode != 403 {
			t.Fatalf("got answer %v and error %v, want 403 and ErrBadHandshake", resp, err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "no" || err != nil {
			t.Errorf("got body %q and error %v, want no", body, err)
		}
	}
}

// "DefaultDialer: proxy from the environment, 45 s. Dialer{} has neither."
func TestBehaviourDefaultDialer(t *testing.T) {
	proxy, environment := reflect.ValueOf(DefaultDialer.Proxy), reflect.ValueOf(http.ProxyFromEnvironment)
	if proxy.Pointer() != environment.Pointer() {
		t.Error("got another Proxy, want http.ProxyFromEnvironment")
	}
	rest := *DefaultDialer
	rest.Proxy, rest.HandshakeTimeout = nil, 0
	if !reflect.DeepEqual(rest, Dialer{}) {
		t.Errorf("got %+v, want nothing else to be set", rest)
	}
	for name, tt := range map[string]struct {
		d    Dialer
		wait time.Duration // for the answer, which never comes where want is not nil
		want error
	}{
		"DefaultDialer": {*DefaultDialer, 45 * time.Second, context.DeadlineExceeded},
		"Dialer{}":      {Dialer{}, 45 * time.Hour, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 1<<20)
			tt.d.Proxy = nil // the environment is not the test's
			tt.d.NetDial = func(string, string) (net.Conn, error) { return near, nil }
			bhAnswer(far, func(key string) string {
				if time.Sleep(tt.wait); tt.want != nil {
					return ""
				}
				return bhAnswer101 + acceptKey(key) + "\r\n\r\n"
			})
			start := time.Now()
			c, _, err := tt.d.Dial("ws://a.example/", nil)
			if d := time.Since(start); !errors.Is(err, tt.want) || (c == nil) != (tt.want != nil) || d != tt.wait {
				t.Errorf("%s: got connection %v and error %v after %v, want %v after %v", name, c, err, d, tt.want, tt.wait)
			}
			var ne net.Error
			if err != nil && (!errors.As(err, &ne) || !ne.Timeout()) {
				t.Errorf("%s: got %v, want a net.Error that is a timeout", name, err)
			}
		})
	}
}

// "After Close the error satisfies errors.Is(err, net.ErrClosed) and says 'use of closed network connection'." "Close
// closes the network connection, sends nothing, and wakes blocked readers."
func TestBehaviourReadAfterClose(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for _, waits := range []bool{true, false} {
			c, peer := l.conn(t, connOptions{})
			errs := make(chan error, 1)
			read := func() { errs <- second3(c.ReadMessage()) }
			if waits {
				inRead := make(chan struct{})
				c.SetPingHandler(func(string) error {
					close(inRead)
					return nil
				})
				go read()
				peer.send(t, pingFrame(""))
				<-inRead // from now on it waits, or is about to
			} else {
				peer.send(t, textFrame("unread"))
			}
			if err := c.Close(); err != nil {
				t.Errorf("got error %v from Close, want none", err)
			}
			if !waits {
				read()
			}
			first := <-errs
			if !errors.Is(first, net.ErrClosed) || !strings.Contains(first.Error(), "use of closed network connection") {
				t.Errorf("a reader waits: %v: got %v, want net.ErrClosed", waits, first)
			}
			for _, r := range receiveWays {
				if _, _, err := r.read(c); err != first {
					t.Errorf("%s: got %v, want the same error", r.name, err)
				}
			}
			// TCP resets a connection of which not all has been read.
			if frame, err := peer.next(); frame != "" || isTimeout(err) || waits && err != io.EOF {
				t.Errorf("got %q, %v at the peer, want the end without a Close frame", frame, err)
			}
		}
	})
}

// "Read errors stay: every later read returns the same error." Another library panics at the 1,000th.
func TestBehaviourReadErrorsStay(t *testing.T) {
	for _, tt := range []struct {
		name, frame string
		before      func(c *Conn)
		code        int // of the *CloseError
		want        string
	}{
		{"the peer closes", closeFrame(1001, "bye"), nil, 1001, "websocket: close 1001 (going away): bye"},
		{"end", "", nil, 1006, "websocket: close 1006 (abnormal closure): unexpected EOF"},
		{"Close", "\x81", func(c *Conn) { c.Close() }, 0, "read pipe pipe->pipe: use of closed network connection"},
		{"protocol error", "\xc1", nil, 0, "websocket: reserved bit RSV1 is set"},
		{"limit", "\x81abc", func(c *Conn) { c.SetReadLimit(2) }, 0, "websocket: read limit exceeded"},
		{"handler", "\x8a", func(c *Conn) { c.SetPongHandler(func(string) error { return errMine }) }, 0, errMine.Error()},
	} {
		c, wire := newTestConn(t, false)
		if tt.before != nil {
			tt.before(c)
		}
		if tt.frame != "" {
			wire.Write(closingFrame(false, tt.frame))
			wire.Write(closingFrame(false, "\x81later"))
		}
		wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
		_, _, err := c.ReadMessage()
		e, isClose := err.(*CloseError)
		if err == nil || err.Error() != tt.want || isClose != (tt.code != 0) || isClose && e.Code != tt.code {
			t.Errorf("%s: got %T %v, want %s", tt.name, err, err, tt.want)
			continue
		}
		c.send.awaitFlush() // an answer, if any, has left
		wire.take()
		for i := range 1500 {
			for _, r := range receiveWays {
				if messageType, p, again := r.read(c); again != err || messageType != noMessage || len(p) > 0 {
					t.Fatalf("%s: read %d with %s: got type %d, %q and error %v, want -1 and the same error",
						tt.name, i, r.name, messageType, p, again)
				}
			}
		}
		c.wantNothingSent(t, wire, "a read that repeats its error")
	}
}

// bhGoroutine is the number of the goroutine that calls it.
func bhGoroutine() string {
	var b [64]byte
	return strings.Fields(string(b[:runtime.Stack(b[:], false)]))[1]
}

// "Handlers run on the reading goroutine, inside NextReader, ReadMessage or Read. A handler's error becomes the read's
// error."
func TestBehaviourHandlersRunInsideTheRead(t *testing.T) {
	me := bhGoroutine()
	for _, frame := range []string{"\x89p", "\x8ap", closeFrame(1000, "p")} {
		for _, within := range []string{"ReadMessage", "NextReader", "Read", "NextReader that discards"} {
			what := fmt.Sprintf("%q in %s", frame, within)
			c, wire := newTestConn(t, true)
			calls, inside := 0, false
			handler := func(payload string) error {
				calls++
				if got := bhGoroutine(); got != me || !inside || payload != "p" {
					t.Errorf("%s: got %q on goroutine %s, in the read: %v, want p on %s in it", what, payload, got, inside, me)
				}
				return errMine
			}
			c.SetPingHandler(handler)
			c.SetPongHandler(handler)
			c.SetCloseHandler(func(code int, text string) error { return handler(text) })

			var r io.Reader
			if within == "Read" || within == "NextReader that discards" {
				wire.Write(closingFrame(true, "\x01part"))
				_, r, _ = c.NextReader()
			}
			wire.Write(closingFrame(true, frame))
			wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
			inside = true
			var err error
			switch within {
			case "ReadMessage":
				_, _, err = c.ReadMessage()
			case "Read":
				var p []byte
				if p, err = io.ReadAll(r); string(p) != "part" {
					t.Errorf("%s: got %q before the error, want part", what, p)
				}
			default:
				_, _, err = c.NextReader()
			}
			inside = false
			if _, _, again := c.ReadMessage(); err != errMine || again != errMine || calls != 1 {
				t.Errorf("%s: got error %v, then %v, after %d calls, want the handler's after 1", what, err, again, calls)
			}
			c.wantNothingSent(t, wire, "the handler has not answered")
		}
	}
}

// "Programs call SetReadDeadline inside the pong handler": so does everyone who has copied the usual keepalive loop.
func TestBehaviourDeadlineInPongHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := newConnPair(t)
		const pongWait, pingPeriod = 60 * time.Second, 54 * time.Second
		extend := func(string) error { return server.SetReadDeadline(time.Now().Add(pongWait)) }
		extend("")
		server.SetPongHandler(extend)
		go client.ReadMessage() // answers pings
		go func() {
			for range 10 {
				time.Sleep(pingPeriod)
				server.WriteControl(PingMessage, nil, time.Now().Add(time.Second))
			}
		}()
		wantReadTimeout(t, server, "the last pong is long ago", nil, os.ErrDeadlineExceeded, 10*pingPeriod+pongWait)
		client.Close()
	})
}

// bhWrites are all ways to write a message of the type, of data or of control.
func bhWrites(messageType int) map[string]func(c *Conn) error {
	writes, payload := make(map[string]func(c *Conn) error), ""
	if messageType == TextMessage {
		payload = "1\n"
		writes["WriteJSON"] = func(c *Conn) error { return c.WriteJSON(1) }
	} else {
		writes["WriteControl"] = func(c *Conn) error { return c.WriteControl(messageType, nil, time.Time{}) }
	}
	for _, w := range sendWays {
		writes[w.name] = func(c *Conn) error { return w.write(c, messageType, []byte(payload)) }
	}
	return writes
}

// "After a Close frame was sent, every write returns ErrCloseSent (==)", whichever way the Close frame was sent, the
// answer to the peer's included, which "echoes the code and drops the text".
func TestBehaviourErrCloseSent(t *testing.T) {
	if ErrCloseSent.Error() != "websocket: close sent" {
		t.Errorf("got %q, want websocket: close sent", ErrCloseSent)
	}
	bothSides(t, func(t *testing.T, server bool) {
		closes := bhWrites(CloseMessage)
		closes["an answer"] = nil
		for how, write := range closes {
			c, wire := newTestConn(t, server)
			payload := ""
			if write == nil {
				wire.Write(closingFrame(server, closeFrame(4000, "bye")))
				if _, _, err := c.ReadMessage(); !IsCloseError(err, 4000) {
					t.Errorf("got %v, want close 4000", err)
				}
				payload = "\x0f\xa0"
			} else if err := write(c); err != nil {
				t.Fatal(err)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=%v %q", !server, payload))
			for range 2 {
				for _, messageType := range []int{TextMessage, CloseMessage, PingMessage, PongMessage} {
					for name, write := range bhWrites(messageType) {
						if err := write(c); err != ErrCloseSent {
							t.Errorf("%s of type %d after %s: got %v, want ErrCloseSent", name, messageType, how, err)
						}
					}
				}
			}
			c.wantNothingSent(t, wire, "nothing follows a Close frame")
			if write == nil {
				continue
			}
			// The other direction is still open: the peer's messages and answer are to be read.
			for _, frame := range []string{"\x81last words", "\x89ping", "\x88"} {
				wire.Write(closingFrame(server, frame))
			}
			wantRead(t, c, "last words")
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNoStatusReceived) {
				t.Errorf("got %v, want close 1005", err)
			}
			c.wantNothingSent(t, wire, "nothing follows a Close frame")
		}
	})
}

// "A write that timed out on the network: every later write returns the same error", and it is one of the network: a
// net.Error that is a timeout.
func TestBehaviourWriteTimeoutStays(t *testing.T) {
	for first, write := range bhWrites(TextMessage) {
		synctest.Test(t, func(t *testing.T) {
			a, wire := newPipe(t, 2)
			c := newConn(a, true, nil, connOptions{})
			c.SetWriteDeadline(time.Now().Add(3 * time.Second))
			var err error
			d := took(func() { err = write(c) })
			var ne net.Error
			if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || d != 3*time.Second {
				t.Errorf("%s: got %v after %v, want a timeout of the network after 3s", first, err, d)
			}
			c.SetWriteDeadline(time.Time{})
			wire.take()
			for range 2 {
				for _, messageType := range []int{TextMessage, PingMessage} {
					for name, write := range bhWrites(messageType) {
						if again := write(c); again != err {
							t.Errorf("%s of type %d after %s: got %v, want the same", name, messageType, first, again)
						}
					}
				}
			}
			c.wantNothingSent(t, wire, "the connection has failed")
		})
	}
}

// "WriteControl past its deadline: `websocket: write timeout`, Timeout() true, the connection stays good."
func TestBehaviourWriteControlPastItsDeadline(t *testing.T) {
	c, wire := newTestConn(t, true)
	for _, messageType := range []int{PingMessage, PongMessage, CloseMessage} {
		err := c.WriteControl(messageType, nil, time.Now().Add(-time.Hour))
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() || err.Error() != "websocket: write timeout" {
			t.Errorf("type %d: got %T %v, want websocket: write timeout, a net.Error", messageType, err, err)
		}
	}
	wantWrite(t, c, "good")
	wantFrames(t, wire, `fin=true op=1 masked=false "good"`)
}

// "SetWriteDeadline is applied to the writes that follow it": to each, until another is set, and to none before. A
// message writer looks at it for each of its fragments.
func TestBehaviourSetWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 5000)
		c := newConn(a, true, nil, connOptions{})
		set := func(d time.Duration) { c.SetWriteDeadline(time.Now().Add(d)) }
		time.AfterFunc(time.Second, func() { set(time.Second) })
		time.AfterFunc(10*time.Second, func() { wire.take() })
		if err := c.WriteMessage(BinaryMessage, make([]byte, 5000)); err != nil {
			t.Errorf("got %v, want none: the deadline was set after the write had begun", err)
		}
		wire.take()
		set(time.Second)
		w, err := c.NextWriter(BinaryMessage)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		set(5 * time.Second)
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			t.Errorf("got %v, want the new deadline to count", err)
		}
		time.Sleep(2 * time.Second)
		d := took(func() { _, err = w.Write(make([]byte, 9000)) })
		if !errors.Is(err, os.ErrDeadlineExceeded) || d != 3*time.Second {
			t.Errorf("got %v after %v, want a timeout after what was left, 3s", err, d)
		}
		if again := w.Close(); again != err {
			t.Errorf("got %v from Close, want the same error", again)
		}
	})
}

// "The writer from NextWriter also has WriteString and ReadFrom."
func TestBehaviourMessageWriterMethods(t *testing.T) {
	c, wire := newTestConn(t, true)
	w, err := c.NextWriter(TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	sw, rf := w.(io.StringWriter), w.(io.ReaderFrom)
	if n, err := sw.WriteString("string "); n != 7 || err != nil {
		t.Errorf("got %d and error %v, want 7", n, err)
	}
	if n, err := rf.ReadFrom(strings.NewReader("reader")); n != 6 || err != nil {
		t.Errorf("got %d and error %v, want 6", n, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	wantFrames(t, wire, `fin=true op=1 masked=false "string reader"`)
}

// "Close closes the network connection, sends nothing": not even what a message writer still has, and later writes
// fail as writes to a closed connection.
func TestBehaviourWriteAfterClose(t *testing.T) {
	for name, write := range bhWrites(TextMessage) {
		c, wire := newTestConn(t, true)
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "unsent")
		c.Close()
		if err := w.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("message writer: got %v, want net.ErrClosed", err)
		}
		if err := write(c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %v, want net.ErrClosed", name, err)
		}
		c.wantNothingSent(t, wire, "the connection is closed")
	}
}

// "EnableWriteCompression: true by default where negotiated, level 1": what leaves becomes the message again, each on
// its own, and is about as long as compress/flate makes it, until the program says otherwise.
func TestBehaviourCompressionIsOnAtLevel1(t *testing.T) {
	text := textLike(3000, 1)
	on := func(c *Conn) { c.EnableWriteCompression(true) }
	off := func(c *Conn) { c.EnableWriteCompression(false) }
	set := func(level int) func(*Conn) {
		return func(c *Conn) { c.SetCompressionLevel(level) }
	}
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newCompressedConn(t, server, CompressionOptions{})
		const plain = 0
		for _, step := range []struct {
			name   string
			change func(*Conn)
			level  int
		}{
			{"by default", func(*Conn) {}, 1},
			{"switched off", off, plain},
			{"switched on", on, 1},
			{"at level 9", set(9), 9},
			{"switched off at level 9", off, plain},
			{"switched on again", on, 9},
			{"at level -2", set(-2), -2},
			{"at compress/flate's default level", set(-1), -1},
		} {
			step.change(c)
			want := len(text)
			if step.level != plain {
				want = len(deflateMessages(step.level, text)[0])
			}
			for _, w := range sendWays {
				if err := w.write(c, TextMessage, text); err != nil {
					t.Errorf("%s, %s: got error %v, want none", step.name, w.name, err)
				}
				sent := wantSent(t, wire, &strictInflater{bits: 15}, text)[0]
				n := len(sent.payload)
				if sent.compressed != (step.level != plain) || sent.fragments != 1 || n < want*9/10 || n > want*11/10 {
					t.Errorf("%s, %s: got %d bytes in %d fragments, compressed: %v, want about %d in 1, as at level %d",
						step.name, w.name, n, sent.fragments, sent.compressed, want, step.level)
				}
			}
		}
	})
}

// Levels are those of compress/flate: "`websocket: invalid compression level` outside -2..9", whether compression was
// negotiated or not. The level stays what it was.
func TestSetCompressionLevel(t *testing.T) {
	plain, _ := newTestConn(t, true)
	compressed, _ := newCompressedConn(t, true, CompressionOptions{})
	for _, c := range []*Conn{plain, compressed} {
		for _, level := range []int{-100, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1 << 30} {
			want := noError
			if level < -2 || level > 9 {
				want = "websocket: invalid compression level"
			}
			if err := c.SetCompressionLevel(level); fmt.Sprint(err) != want {
				t.Errorf("%d: got error %v, want %s", level, err, want)
			}
		}
	}
	if got := compressed.compression.level.Load(); got != 9 {
		t.Errorf("got level %d, want 9, the last that was valid", got)
	}
}

// Where compression was not negotiated, neither method changes what is sent.
func TestCompressionMethodsWithoutCompression(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		text := strings.Repeat("a", 1000)
		for _, enable := range []bool{true, false, true} {
			c.EnableWriteCompression(enable)
			c.SetCompressionLevel(9)
			wantWrite(t, c, text)
			wantFrames(t, wire, fmt.Sprintf("fin=true op=1 masked=%v %q", !server, text))
		}
	})
}

// A WriteBufferPool may hold what it likes. *sync.Pool is one.
func TestWriteBufferPoolIsLeftAlone(t *testing.T) {
	pool := &sync.Pool{New: func() any {
		t.Error("got a call of Get, want none")
		return nil
	}}
	addr, _ := hsServe(t, Upgrader{WriteBufferPool: pool, WriteBufferSize: 1024})
	c := hsDial(t, Dialer{WriteBufferPool: pool, WriteBufferSize: 1024}, "http://"+addr)
	hsWantEcho(t, c, strings.Repeat("x", 5000))
	if err := c.WriteControl(CloseMessage, nil, time.Now().Add(hsPatience)); err != nil {
		t.Error(err)
	}
}
