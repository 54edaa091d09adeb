//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// None of Conn's methods hides one of what a program embeds beside it: those of either are promoted as long as only
// one of both has them, else this does not compile.
func TestBehaviourConnIsEmbedded(t *testing.T) {
	type both interface {
		io.ReadWriter
		context.Context
	}
	var _ both = struct {
		*Conn
		both
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
	server, client := newConnPair(t)
	var got point
	if err := errors.Join(WriteJSON(server, point{X: 2}), ReadJSON(client, &got)); err != nil || got.X != 2 {
		t.Errorf("got %v and error %v, want 2", got, err)
	}
	if err := WriteJSON(server, make(chan int)); !errors.As(err, new(*json.UnsupportedTypeError)) {
		t.Errorf("got %v for a channel, want the error of encoding/json", err)
	}
	wantWrite(t, server, "")
	if err := ReadJSON(client, &got); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v for an empty message, want io.ErrUnexpectedEOF", err)
	}
}

// The package's Upgrade checks no origin, and leaves the answer of a request that it refuses to its caller.
func TestPackageLevelUpgrade(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	r := sampleRequest()
	r.Header.Set("Origin", "http://evil.example")
	w := &hijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
	c, err := Upgrade(w, r, http.Header{"Set-Cookie": {"a=1"}}, 10_000, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(far.take()), answer101+"Set-Cookie: a=1\r\n\r\n"; got != want {
		t.Errorf("got answer %q, want %q", got, want)
	}
	wantBufferSizes(t, c)
	w.Header().Set("Connection", "close") // for the caller's answer
	for name, spoil := range map[string]func(r *http.Request){
		"another method": func(r *http.Request) { r.Method = http.MethodPost },
		"no upgrade":     func(r *http.Request) { r.Header.Del("Upgrade") },
	} {
		r := sampleRequest()
		spoil(r)
		_, err := Upgrade(w, r, nil, 0, 0)
		if err == nil || w.Code != http.StatusOK || w.Body.Len() > 0 {
			t.Errorf("%s: got %v with status %d and body %q, want a refusal without an answer", name, err, w.Code, w.Body)
		}
		if h := w.Header(); len(h) != 1 || h.Get("Connection") != "close" {
			t.Errorf("%s: got the fields %v, want the caller's", name, h)
		}
	}
}

// wantBufferSizes checks those of a connection that was asked for 10,000 and 20,000 bytes.
func wantBufferSizes(t *testing.T, c *Conn) {
	t.Helper()
	if c.recv.restSize != 10_000 || c.writeBufferSize() != 32<<10 {
		t.Errorf("got buffers of %d and %d bytes, want 10,000 and 32,768", c.recv.restSize, c.writeBufferSize())
	}
}

// answerHandshake plays a server that gives the answer to one handshake, and returns the
// request when that has been done.
func answerHandshake(far net.Conn, answer func(key string) string) (request func() string) {
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

func TestNewClient(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	request := answerHandshake(far, func(key string) string { return accept101(key, "Set-Cookie: a=1\r\n") + "\x81\x05Hello" })
	u := &url.URL{Scheme: "ws", Host: "server.example.com", Path: "/chat", RawQuery: "a=b"}
	c, resp, err := NewClient(near, u, http.Header{"Origin": {"http://example.com"}}, 10_000, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	sent := request()
	origin := slices.Equal(fieldLines(sent, "Origin"), []string{"Origin: http://example.com"})
	if !strings.HasPrefix(sent, "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\n") || !origin {
		t.Errorf("got %q, want a request for the URL with the program's Origin", sent)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Set-Cookie") != "a=1" {
		t.Errorf("got answer %d %q, want 101 with a cookie", resp.StatusCode, resp.Header)
	}
	if c.NetConn() != net.Conn(near) || c.UnderlyingConn() != net.Conn(near) || u.Scheme != "ws" {
		t.Errorf("got NetConn %v, UnderlyingConn %v and URL %v, want what was given", c.NetConn(), c.UnderlyingConn(), u)
	}
	wantBufferSizes(t, c)
	wantRead(t, c, "Hello") // from behind the answer
}

// Where NewClient fails, it closes the connection, also if nothing could be sent. A refusal is returned with the
// answer. For a wss URL it starts TLS.
func TestNewClientFails(t *testing.T) {
	for _, tt := range []struct{ scheme, sent, want, answer string }{
		{"ws", "GET / HTTP/1.1\r\n", "websocket: bad handshake", "403 no <nil>"},
		{"wss", "\x16", "first record does not look like a TLS handshake", ""}, // the type of a record (RFC 8446, 5.1)
		{"ftp", "", "malformed ws or wss URL", ""},
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
		if tt.answer != "" {
			body, bodyErr := io.ReadAll(resp.Body)
			if got := fmt.Sprintf("%d %s %v", resp.StatusCode, body, bodyErr); got != tt.answer || err != ErrBadHandshake {
				t.Errorf("got answer %q and error %v, want %q and ErrBadHandshake", got, err, tt.answer)
			}
		}
	}
}

// "DefaultDialer: proxy from the environment, 45 s. Dialer{} has neither": it waits for an answer however long.
func TestBehaviourDefaultDialer(t *testing.T) {
	proxy, environment := reflect.ValueOf(DefaultDialer.Proxy), reflect.ValueOf(http.ProxyFromEnvironment)
	if proxy.Pointer() != environment.Pointer() {
		t.Error("got another Proxy, want http.ProxyFromEnvironment")
	}
	rest := *DefaultDialer
	if rest.Proxy = nil; !reflect.DeepEqual(rest, Dialer{HandshakeTimeout: 45 * time.Second}) {
		t.Errorf("got %+v, want HandshakeTimeout and nothing else to be set", rest)
	}
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 1<<20)
		answerHandshake(far, func(key string) string {
			time.Sleep(45 * time.Hour)
			return accept101(key, "")
		})
		d := Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		if _, _, err := d.Dial("ws://a.example/", nil); err != nil {
			t.Errorf("got error %v, want a connection after 45 hours", err)
		}
	})
}

// "After Close the error satisfies errors.Is(err, net.ErrClosed) and says 'use of closed network connection'." "Close
// closes the network connection, sends nothing, and wakes blocked readers." TestCloseWakesReader has it in memory.
func TestBehaviourReadAfterClose(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for _, waits := range []bool{true, false} {
			c, peer := l.conn(t, connOptions{})
			errs, inRead := make(chan error, 1), make(chan struct{})
			c.SetPingHandler(func(string) error {
				close(inRead)
				return nil
			})
			if waits {
				peer.send(t, pingFrame(""))
				go func() { errs <- second3(c.ReadMessage()) }()
				<-inRead // from now on it waits, or is about to
			} else {
				peer.send(t, textFrame("unread"))
			}
			if err := c.Close(); err != nil {
				t.Errorf("got error %v from Close, want none", err)
			}
			if !waits {
				errs <- second3(c.ReadMessage())
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

// goroutineNumber is that of the goroutine that calls it.
func goroutineNumber() string {
	var b [64]byte
	return strings.Fields(string(b[:runtime.Stack(b[:], false)]))[1]
}

// "Handlers run on the reading goroutine, inside NextReader, ReadMessage or Read. A handler's error becomes the read's
// error."
func TestBehaviourHandlersRunInsideTheRead(t *testing.T) {
	me := goroutineNumber()
	for _, frame := range []string{"\x89p", "\x8ap", closeFrame(1000, "p")} {
		for within, read := range map[string]func(c *Conn, begun io.Reader) (string, error){
			"Read": func(_ *Conn, r io.Reader) (string, error) {
				p, err := io.ReadAll(r)
				return string(p), err
			},
			"ReadMessage": func(c *Conn, _ io.Reader) (string, error) {
				_, p, err := c.ReadMessage()
				return string(p), err
			},
			"NextReader that discards": func(c *Conn, _ io.Reader) (string, error) { return "", second3(c.NextReader()) },
		} {
			what := fmt.Sprintf("%q in %s", frame, within)
			c, wire := newTestConn(t, true)
			calls, inside := 0, false
			handler := func(payload string) error {
				calls++
				if got := goroutineNumber(); got != me || !inside || payload != "p" {
					t.Errorf("%s: got %q on goroutine %s, in the read: %v, want p on %s in it", what, payload, got, inside, me)
				}
				return errMine
			}
			c.SetPingHandler(handler)
			c.SetPongHandler(handler)
			c.SetCloseHandler(func(code int, text string) error { return handler(text) })

			var begun io.Reader
			want := ""
			if within != "ReadMessage" {
				wire.Write(rawFrame(true, "\x01part"))
				_, begun, _ = c.NextReader()
			}
			if within == "Read" {
				want = "part"
			}
			closedBy(wire, true, frame)
			inside = true
			p, err := read(c, begun)
			inside = false
			if _, _, again := c.ReadMessage(); p != want || err != errMine || again != errMine || calls != 1 {
				t.Errorf("%s: got %q, %v, then %v, after %d calls, want %q and the handler's error after 1",
					what, p, err, again, calls, want)
			}
			c.wantNothingSent(t, wire, "the handler has not answered")
		}
	}
}

// writesOf are all ways to write a message of the type, of data or of control.
func writesOf(messageType int) map[string]func(c *Conn) error {
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

// wantWritesReturn checks that each way to write returns the error, again and again, and that nothing leaves.
func wantWritesReturn(t *testing.T, c *Conn, wire *pipeConn, want error, why string) {
	t.Helper()
	for range 2 {
		for _, messageType := range []int{TextMessage, CloseMessage, PingMessage, PongMessage} {
			for name, write := range writesOf(messageType) {
				if err := write(c); err != want {
					t.Errorf("%s: %s of type %d: got %v, want %v", why, name, messageType, err, want)
				}
			}
		}
	}
	c.wantNothingSent(t, wire, why)
}

// "After a Close frame was sent, every write returns ErrCloseSent (==)", whichever way the Close frame was sent, the
// answer to the peer's included, which "echoes the code and drops the text".
func TestBehaviourErrCloseSent(t *testing.T) {
	if ErrCloseSent.Error() != "websocket: close sent" {
		t.Errorf("got %q, want websocket: close sent", ErrCloseSent)
	}
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		wire.Write(rawFrame(server, closeFrame(4000, "bye")))
		if _, _, err := c.ReadMessage(); !IsCloseError(err, 4000) {
			t.Errorf("got %v, want close 4000", err)
		}
		wantFrames(t, wire, "8 \x0f\xa0")
		wantWritesReturn(t, c, wire, ErrCloseSent, "after an answer")
		for how, write := range writesOf(CloseMessage) {
			c, wire := newTestConn(t, server)
			if err := write(c); err != nil {
				t.Fatal(err)
			}
			wantFrames(t, wire, "8 ")
			wantWritesReturn(t, c, wire, ErrCloseSent, "after "+how)
			// The other direction is still open: the peer's messages and answer are to be read.
			for _, frame := range []string{"\x81last words", "\x89ping", "\x88"} {
				wire.Write(rawFrame(server, frame))
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
	for name, write := range writesOf(TextMessage) {
		synctest.Test(t, func(t *testing.T) {
			a, wire := newPipe(t, 2)
			c := newConn(a, true, nil, connOptions{})
			c.SetWriteDeadline(time.Now().Add(3 * time.Second))
			var err error
			d := took(func() { err = write(c) })
			if wantTimeout(t, err); d != 3*time.Second || isWriteTimeout(err) {
				t.Errorf("%s: got %v after %v, want a timeout of the network after 3s", name, err, d)
			}
			c.SetWriteDeadline(time.Time{})
			wire.take()
			wantWritesReturn(t, c, wire, err, "after "+name+" has timed out")
		})
	}
}

// Levels are those of compress/flate: "`websocket: invalid compression level` outside -2..9", and the level stays what
// it was. Where compression was not negotiated, it is the same, and neither method changes what is sent.
func TestSetCompressionLevel(t *testing.T) {
	plain, wire := newTestConn(t, true)
	compressed, _ := newCompressedConn(t, true, CompressionOptions{})
	for level := -3; level <= 10; level++ {
		want := noError
		if level < -2 || level > 9 {
			want = "websocket: invalid compression level"
		}
		plain.EnableWriteCompression(level%2 == 0)
		for _, c := range []*Conn{plain, compressed} {
			if err := c.SetCompressionLevel(level); fmt.Sprint(err) != want {
				t.Errorf("%d: got error %v, want %s", level, err, want)
			}
		}
		wantWrite(t, plain, strings.Repeat("a", 1000))
		wantFrames(t, wire, "1 "+strings.Repeat("a", 1000))
	}
	if got := compressed.compression.level.Load(); got != 9 {
		t.Errorf("got level %d, want 9, the last that was valid", got)
	}
}

// A WriteBufferPool may hold what it likes. *sync.Pool is one.
func TestWriteBufferPoolIsLeftAlone(t *testing.T) {
	pool := &sync.Pool{New: func() any {
		t.Error("got a call of Get, want none")
		return nil
	}}
	addr, _ := serveEcho(t, Upgrader{WriteBufferPool: pool, WriteBufferSize: 1024})
	c := dialServer(t, Dialer{WriteBufferPool: pool, WriteBufferSize: 1024}, "http://"+addr)
	wantEcho(t, c, strings.Repeat("x", 5000))
	if err := c.WriteControl(CloseMessage, nil, time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
}
