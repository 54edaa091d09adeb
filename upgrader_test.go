//go:build go1.25

package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const answer101 = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: " + sampleAccept + "\r\n"

// sampleRequest returns the handshake of RFC 6455, 1.2, as net/http hands it to a handler.
func sampleRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://server.example.com/chat", nil)
	r.Header = http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {sampleKey},
	}
	return r
}

// hijacker is a ResponseWriter whose connection is one of the test's.
type hijacker struct {
	*httptest.ResponseRecorder
	conn net.Conn
	rw   *bufio.ReadWriter // nil for a new one
	err  error
}

func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.rw == nil {
		w.rw = bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn))
	}
	return w.conn, w.rw, w.err
}

// upgradePipe upgrades a request over one end of a connection in memory. It returns the ResponseWriter, which has
// the answer to a request that is refused, and the other end. Neither header may be changed: net/http has handed
// out the one, and the program the other.
func upgradePipe(t *testing.T, u Upgrader, r *http.Request, h http.Header) (*hijacker, *pipeConn, *Conn, error) {
	t.Helper()
	near, far := newPipe(t, 4<<20)
	w := &hijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
	requestBefore, before := r.Header.Clone(), h.Clone()
	c, err := u.Upgrade(w, r, h)
	if (c == nil) == (err == nil) {
		t.Errorf("got connection %v and error %v, want one of them", c, err)
	}
	if c != nil {
		t.Cleanup(func() { c.Close() })
	}
	if !reflect.DeepEqual(r.Header, requestBefore) || !reflect.DeepEqual(h, before) {
		t.Errorf("got %q and %q, want the headers as they were: %q and %q", r.Header, h, requestBefore, before)
	}
	return w, far, c, err
}

func tryUpgrade(t *testing.T, u Upgrader, r *http.Request) (w *hijacker, far *pipeConn, err error) {
	t.Helper()
	w, far, _, err = upgradePipe(t, u, r, nil)
	return w, far, err
}

// wantAnswer checks the answer to a request that is upgraded, in which the fields follow those that are always there.
// It must come in one write: half of one is of no use to anybody. The connection must do what it says.
func wantAnswer(t *testing.T, u Upgrader, r *http.Request, header http.Header, fields string) {
	t.Helper()
	_, far, c, err := upgradePipe(t, u, r, header)
	got, want := string(far.take()), answer101+fields+"\r\n"
	if err != nil || got != want || far.in.writes != 1 {
		t.Fatalf("%q: got %q in %d writes and error %v, want %q in one", header, got, far.in.writes, err, want)
	}
	chosen := strings.Join(fieldLines(got, "Sec-WebSocket-Protocol"), "\n")
	if protocol := strings.TrimPrefix(chosen, "Sec-WebSocket-Protocol: "); c.Subprotocol() != protocol {
		t.Errorf("%q: got subprotocol %q, want %q", header, c.Subprotocol(), protocol)
	}
	if answered := strings.Contains(fields, "permessage-deflate"); answered != (c.compression != nil) {
		t.Errorf("%q: got compression %v, want what the answer has", header, c.compression)
	}
}

// wantRefused checks that a request is answered with the status, not on the connection, and what Upgrade returns.
func wantRefused(t *testing.T, u Upgrader, r *http.Request, header http.Header, status int, want string) {
	t.Helper()
	w, far, _, err := upgradePipe(t, u, r, header)
	if sent := far.take(); err != (HandshakeError{want}) || w.Code != status || len(sent) > 0 {
		t.Errorf("%q: got %d, %q sent, and error %#v, want %d and %s", header, w.Code, sent, err, status, want)
	}
}

// upgradeResult is what came out of one call of Upgrade.
type upgradeResult struct {
	subprotocol string
	err         error
}

// serveEcho returns the address of a server that upgrades every request and echoes its
// messages, and what came of each.
func serveEcho(t *testing.T, u Upgrader) (addr string, upgrades <-chan upgradeResult) {
	results := make(chan upgradeResult, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			results <- upgradeResult{err: err}
			return
		}
		defer c.Close()
		results <- upgradeResult{subprotocol: c.Subprotocol()}
		echoAll(c)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), results
}

var echoHandler = new(Upgrader).HandlerFunc(func(c *Conn, _ *http.Request) { echoAll(c) })

// wantEcho sends a message to a server that sends it back.
func wantEcho(t *testing.T, c *Conn, text string) {
	t.Helper()
	err := c.WriteMessage(TextMessage, []byte(text))
	if err == nil {
		err = readText(c, text)
	}
	if err != nil {
		t.Errorf("%v, want %.100q back", err, text)
	}
}

// The answer of RFC 6455, 1.2, byte for byte, with the extension of RFC 7692, and the program's header behind it.
func TestUpgradeAnswer(t *testing.T) {
	const deflate = "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10"
	const fields = "Sec-WebSocket-Protocol: chat\r\n"
	u := Upgrader{Subprotocols: []string{"chat", "superchat"}}
	r := sampleRequest()
	r.Header.Set("Sec-Websocket-Protocol", "chat, superchat")
	r.Header.Set("Sec-Websocket-Extensions", "permessage-deflate; client_max_window_bits; client_no_context_takeover")
	wantAnswer(t, u, r, nil, fields)
	u.EnableCompression = true
	u.Compression = CompressionOptions{ContextTakeover: true, WindowBits: 9, PeerWindowBits: 10}
	wantAnswer(t, u, r, http.Header{"Set-Cookie": {"a=1"}},
		fields+"Sec-WebSocket-Extensions: "+deflate+"\r\nSet-Cookie: a=1\r\n")
}

// The program's header follows the handshake's own, sorted by name so that equal answers are equal, in the program's
// spelling. A Sec-WebSocket-Protocol in it counts where Upgrader.Subprotocols is nil: then the program has chosen by
// itself.
func TestUpgradeResponseHeader(t *testing.T) {
	const protocol, chosen = "Sec-Websocket-Protocol", "Sec-WebSocket-Protocol: "
	long := strings.Repeat("x", 3*defaultBufferSize) // longer than the buffer that the answer is made in
	for _, tt := range []struct {
		supported []string
		in        http.Header
		want      string
	}{
		{nil, nil, ""},
		{nil, http.Header{}, ""},
		{nil, http.Header{"Set-Cookie": {"a=1; Path=/; HttpOnly"}}, "Set-Cookie: a=1; Path=/; HttpOnly\r\n"},
		{nil, http.Header{"Set-Cookie": {"b=2", "a=1"}}, "Set-Cookie: b=2\r\nSet-Cookie: a=1\r\n"},
		{nil, http.Header{"X-C": {"3"}, "X-A": {"1"}, "X-B": {"2"}}, "X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"},
		{nil, http.Header{"X-A": nil, "X-B": {}, "X-C": {""}}, "X-C: \r\n"},
		{nil, http.Header{"set-cookie": {"a=1"}, "SERVER": {"x"}}, "SERVER: x\r\nset-cookie: a=1\r\n"},
		{nil, http.Header{"X-A": {"\u00e4\xff"}}, "X-A: \u00e4\xff\r\n"},
		{nil, http.Header{"X!#$%&'*+-.^_`|~9": {"1"}}, "X!#$%&'*+-.^_`|~9: 1\r\n"},
		{nil, http.Header{"X-A": {long}}, "X-A: " + long + "\r\n"},
		// The handshake's own, in any spelling.
		{nil, http.Header{"Upgrade": {"x"}, "Connection": {"x"}, "Sec-Websocket-Accept": {"x"},
			"Sec-Websocket-Key": {"x"}, "Sec-Websocket-Version": {"x"}, "Content-Length": {"x"}, "Transfer-Encoding": {""}}, ""},
		{nil, http.Header{"upgrade": {"x"}, "CONNECTION": {"x"}, "Sec-WebSocket-Accept": {"x"},
			"sec-websocket-key": {"x"}, "Sec-WebSocket-Version": {"x"}, "content-length": {""}, "TRANSFER-ENCODING": {""}}, ""},
		{nil, http.Header{protocol: {"superchat"}}, chosen + "superchat\r\n"},
		{nil, http.Header{"sec-websocket-protocol": {"superchat"}}, chosen + "superchat\r\n"},
		{nil, http.Header{"Sec-WebSocket-Protocol": {"superchat"}}, chosen + "superchat\r\n"},
		{nil, http.Header{protocol: {"superchat", "chat"}}, chosen + "superchat\r\n"},
		{nil, http.Header{protocol: {""}}, ""},
		{nil, http.Header{protocol: {}}, ""},
		{[]string{"chat"}, http.Header{protocol: {"superchat"}}, chosen + "chat\r\n"},
		{[]string{"soap"}, http.Header{protocol: {"superchat"}}, ""},
		{[]string{}, http.Header{protocol: {"superchat"}}, ""},
	} {
		r := sampleRequest()
		r.Header.Set(protocol, "chat, superchat")
		wantAnswer(t, Upgrader{Subprotocols: tt.supported}, r, tt.in, tt.want)
	}
}

// Header injection (CVE-2020-35678): what would end a line becomes a space in values.
func TestAttackResponseHeaderValue(t *testing.T) {
	for b := range 256 {
		c := string([]byte{byte(b)})
		want := c
		if b < ' ' || b == 0x7f {
			want = " "
		}
		header := http.Header{"X-A": {c + "1" + c + "2" + c}}
		wantAnswer(t, Upgrader{}, sampleRequest(), header, "X-A: "+want+"1"+want+"2"+want+"\r\n")
	}
	header := http.Header{"Set-Cookie": {"a=1\r\nSet-Cookie: admin=1\r\n\r\n\x81 Hello"}}
	wantAnswer(t, Upgrader{}, sampleRequest(), header, "Set-Cookie: a=1  Set-Cookie: admin=1    \x81 Hello\r\n")
}

// A malformed name is the program's mistake, or an attack that got so far: there is no harmless form of it. No value
// gets into the answer as a subprotocol that is none. Extensions are the library's to negotiate, whatever the
// spelling and the value.
func TestAttackResponseHeaderName(t *testing.T) {
	refused := func(header http.Header, want string) {
		t.Helper()
		wantRefused(t, Upgrader{}, sampleRequest(), header, 500, "websocket: "+want)
	}
	names := []string{"", "X A", "X\r\nSet-Cookie", "X\u212a"}
	for b := range 256 {
		if c := string([]byte{byte(b)}); !isToken(c) {
			names = append(names, "X"+c, c+"X")
		}
	}
	for _, name := range names {
		refused(http.Header{name: {"1"}}, "malformed name in the application's response header")
	}
	for _, value := range []string{"a\r\nSet-Cookie: admin=1", "a b", "a, b", "\x00", "\u00e4", " a", "a\t"} {
		for name, values := range map[string][]string{
			"Sec-Websocket-Protocol": {value}, "sec-websocket-protocol": {value}, "Sec-WebSocket-Protocol": {"chat", value},
		} {
			refused(http.Header{name: values}, "application specific 'Sec-WebSocket-Protocol' header has a comma, "+
				"or a character that is not visible ASCII")
		}
	}
	for name, values := range map[string][]string{
		"Sec-Websocket-Extensions": {"foo"}, "Sec-WebSocket-Extensions": {"foo"}, "sec-websocket-extensions": nil,
	} {
		refused(http.Header{name: values}, "application specific 'Sec-WebSocket-Extensions' headers are unsupported")
	}
}

// Without EnableCompression nothing is offered, answered or accepted, whatever Compression says.
func TestWithoutEnableCompression(t *testing.T) {
	o := CompressionOptions{ContextTakeover: true, WindowBits: 77, PeerWindowBits: 10, Level: 100, Threshold: -1}
	r := sampleRequest()
	r.Header.Set("Sec-Websocket-Extensions", "permessage-deflate; client_max_window_bits")
	wantAnswer(t, Upgrader{Compression: o}, r, nil, "")
	c, request, err := dialExtensions(t, Dialer{Compression: o}, nil)
	if err != nil || request != nil || c.compression != nil {
		t.Errorf("got error %v after request %q, want a connection without compression", err, request)
	}
	if _, _, err := dialExtensions(t, Dialer{Compression: o}, []string{"permessage-deflate"}); err != ErrBadHandshake {
		t.Errorf("got error %v, want %v", err, ErrBadHandshake)
	}
}

// Compression comes to the connection, what is negotiated of it and what is not.
func TestCompressionOfUpgraderAndDialer(t *testing.T) {
	const deflate = "permessage-deflate"
	const none = "; server_no_context_takeover; client_no_context_takeover"
	const offer9 = "; server_max_window_bits=10; client_max_window_bits=9, permessage-deflate; client_max_window_bits=9"
	const answer9 = "; server_max_window_bits=9; client_max_window_bits=9"
	for _, tt := range []struct {
		options             CompressionOptions
		offer, answer, want string // of a Dialer, of an Upgrader that gets the offer, and what both connections do
		level, threshold    int
	}{
		{CompressionOptions{}, none, none, "sends 15, receives 15", 1, 0},
		{CompressionOptions{ContextTakeover: true, WindowBits: 9, PeerWindowBits: 10}, offer9, answer9,
			"sends 9 with takeover, receives 9 with takeover", 2, 0},
		{CompressionOptions{Level: 9, Threshold: 100}, none, none, "sends 15, receives 15", 9, 100},
		{CompressionOptions{Level: -2, ContextTakeover: true}, "", "",
			"sends 15 with takeover, receives 15 with takeover", -2, 0},
	} {
		u := Upgrader{EnableCompression: true, Compression: tt.options}
		r := sampleRequest()
		r.Header.Set("Sec-Websocket-Extensions", deflate+tt.offer)
		_, far, server, err := upgradePipe(t, u, r, nil)
		answer := string(far.take())
		d := Dialer{EnableCompression: true, Compression: tt.options}
		client, request, err2 := dialExtensions(t, d, []string{deflate + tt.answer})
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		const name = "Sec-WebSocket-Extensions: " + deflate
		if !strings.Contains(answer, name+tt.answer+"\r\n") || !slices.Equal(request, []string{name + tt.offer}) {
			t.Errorf("%+v: got request %q and answer %q, want %q and %q", tt.options, request, answer, tt.offer, tt.answer)
		}
		for _, c := range []*Conn{server, client} {
			level, threshold := int(c.compression.level.Load()), c.compression.threshold
			if got := describeCompression(c.compression); got != tt.want || level != tt.level || threshold != tt.threshold {
				t.Errorf("%+v: got a connection that %s, at level %d from %d bytes on, want one that %s, %d, %d",
					tt.options, got, level, threshold, tt.want, tt.level, tt.threshold)
			}
		}
	}
}

// Options that are a mistake are refused with 500, since the client is not to blame, whether it offers compression
// or not, and are an error of Dial before anything is dialed.
func TestInvalidCompressionOptions(t *testing.T) {
	r := sampleRequest()
	for _, tt := range invalidOptions {
		for _, offers := range [][]string{nil, {"permessage-deflate"}} {
			r.Header["Sec-Websocket-Extensions"] = offers
			u := Upgrader{EnableCompression: true, Compression: tt.options}
			wantRefused(t, u, r, nil, http.StatusInternalServerError, "websocket: Upgrader."+tt.want)
		}
		d := Dialer{EnableCompression: true, Compression: tt.options}
		wantNoDial(t, d, "ws://a.example/", nil, "websocket: Dialer."+tt.want)
	}
}

// wrappedWriter is what a middleware makes of a ResponseWriter: it offers nothing but Unwrap.
type wrappedWriter struct{ w http.ResponseWriter }

func (w wrappedWriter) Header() http.Header         { return w.w.Header() }
func (w wrappedWriter) Write(p []byte) (int, error) { return w.w.Write(p) }
func (w wrappedWriter) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w wrappedWriter) Unwrap() http.ResponseWriter { return w.w }

// A ResponseWriter is unwrapped. One that cannot give up its connection is answered with 500, whatever it
// is wrapped in, and says why: a second Upgrade, for instance, since net/http has no connection then.
func TestUpgradeUnwraps(t *testing.T) {
	near, _ := newPipe(t, 1000)
	for _, tt := range []struct {
		err          error
		want, advice string
	}{
		{nil, "", ""},
		{errMine, "mine", "mine\n"},
		{http.ErrHijacked, http.ErrHijacked.Error(), http.ErrHijacked.Error() + "\n"},
		{http.ErrNotSupported, "response does not implement http.Hijacker",
			"The handler's ResponseWriter is a *websocket.hijacker, which has no Hijack method."},
	} {
		w := &hijacker{ResponseRecorder: httptest.NewRecorder(), conn: near, err: tt.err}
		c, err := new(Upgrader).Upgrade(wrappedWriter{wrappedWriter{w}}, sampleRequest(), nil)
		if tt.err == nil {
			if c == nil || err != nil {
				t.Errorf("got error %v, want a connection", err)
			}
			continue
		}
		body := w.Body.String()
		if err != (HandshakeError{"websocket: " + tt.want}) || w.Code != 500 || !strings.Contains(body, "\n"+tt.advice) {
			t.Errorf("got %d %q and error %v, want 500, %q and %s", w.Code, body, err, tt.advice, tt.want)
		}
	}
}

// A client may send frames before it has the answer. What is left of them in the hijacked reader is the beginning of
// the stream, and a copy: net/http and middlewares use their buffers again.
func TestUpgradeKeepsEarlyFrames(t *testing.T) {
	const frames = maskedHello + maskedHello
	for n := range len(frames) + 1 {
		near, far := newPipe(t, 1<<20)
		io.WriteString(far, frames[:n])
		br := bufio.NewReaderSize(near, len(frames))
		held, _ := br.Peek(n)
		c, err := new(Upgrader).Upgrade(&hijacker{conn: near, rw: bufio.NewReadWriter(br, nil)}, sampleRequest(), nil)
		if err != nil {
			t.Fatal(err)
		}
		clear(held)
		io.WriteString(far, frames[n:])
		wantRead(t, c, "Hello")
		wantRead(t, c, "Hello")
	}
}

// Whatever deadlines a connection has when it is hijacked, it has none afterwards, nor while the answer is written,
// but for HandshakeTimeout: a client that takes the answer after 59 seconds can go on in an hour. One that does not
// read its answer is left after HandshakeTimeout, with its connection closed; the error is the network's.
func TestAttackUnreadAnswer(t *testing.T) {
	for _, timeout := range []time.Duration{0, 7 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 10)
			near.SetDeadline(time.Now().Add(time.Second))
			time.AfterFunc(59*time.Second, func() { room(far, 1000) })
			u := Upgrader{HandshakeTimeout: timeout}
			w := &hijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
			start := time.Now()
			c, err := u.Upgrade(w, sampleRequest(), nil)
			if timeout == 7*time.Second {
				var he HandshakeError
				if c != nil || !errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &he) || time.Since(start) != timeout {
					t.Errorf("got connection %v and error %v after %v, want a timeout, which is no HandshakeError, after %v",
						c, err, time.Since(start), timeout)
				}
				if !far.in.writeClosed() || w.Body.Len() > 0 {
					t.Errorf("got %q written to the ResponseWriter, want nothing but the end of the connection", w.Body)
				}
				return
			}
			if err != nil {
				t.Fatalf("HandshakeTimeout %v: got error %v, want a connection", timeout, err)
			}
			time.Sleep(time.Hour)
			far.take()
			room(near, 1000)
			io.WriteString(far, maskedHello)
			wantRead(t, c, "Hello")
			wantWrite(t, c, "Hello")
			if got := string(far.take()); got != helloFrame {
				t.Errorf("got %q, want %q", got, helloFrame)
			}
		})
	}
}

// pipeListener hands out connections of the test's.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

// servePipe returns the client's end of a connection to a server, in a bubble.
func servePipe(t *testing.T, srv *http.Server) *pipeConn {
	l := newPipeListener()
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	near, far := newPipe(t, 1<<20)
	l.conns <- near
	return far
}

// The server's timeouts are for requests. A connection outlives them all.
func TestUpgradeOutlivesServerTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := servePipe(t, &http.Server{
			ReadTimeout: 5 * time.Second, ReadHeaderTimeout: 4 * time.Second,
			WriteTimeout: 6 * time.Second, IdleTimeout: 3 * time.Second,
			Handler: echoHandler,
		})
		c := dialServer(t, Dialer{NetDial: func(string, string) (net.Conn, error) { return far, nil }}, "ws://a.example/")
		c.SetReadDeadline(time.Time{})
		for range 3 {
			time.Sleep(time.Hour)
			wantEcho(t, c, "Hello")
		}
	})
}

// A request that comes one byte a second is net/http's to end, and it does where the server has a ReadHeaderTimeout:
// the handler is not reached, and nothing is left.
func TestAttackSlowRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := servePipe(t, &http.Server{
			ReadHeaderTimeout: 10 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				t.Error("the handler was reached, want the request to be cut off")
			}),
		})
		start := time.Now()
		for c := range strings.SplitSeq("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n", "") {
			if _, err := io.WriteString(far, c); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(start).Round(time.Second); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("got an end after %v, want one after 10s", d)
		}
	})
}

// The tests of HandlerFunc begin here.

// logLines is the output of an http.Server's ErrorLog.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// serveFunc returns the URL of a server with the handler of a zero Upgrader.
func serveFunc(t *testing.T, wrap func(http.Handler) http.Handler, f func(*Conn, *http.Request)) (string, logLines) {
	h := http.Handler(new(Upgrader).HandlerFunc(f))
	if wrap != nil {
		h = wrap(h)
	}
	errorLog := make(logLines, 100)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(errorLog, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, errorLog
}

func wantClose(t *testing.T, c *Conn, code int) {
	t.Helper()
	if _, _, err := c.ReadMessage(); !IsCloseError(err, code) {
		t.Errorf("got error %v, want close %d", err, code)
	}
}

// serve runs when the handler has returned: then net/http has freed what it held.
func TestHandlerFuncReturnsAtOnce(t *testing.T) {
	returned := make(chan struct{})
	url, _ := serveFunc(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			close(returned)
		})
	}, func(c *Conn, _ *http.Request) {
		<-returned
		echoAll(c)
	})
	wantEcho(t, dialServer(t, Dialer{}, url), "Hello")
}

// Routers reuse the values of a request's context when their handler has returned, as chi does with the parameters of
// a route. Until serve returns, the handler does not, whatever is above the value.
func TestHandlerFuncKeepsValuesOfContexts(t *testing.T) {
	type key struct{}
	for layers := range 3 {
		url, _ := serveFunc(t, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				room := r.URL.Path
				ctx := context.WithValue(r.Context(), key{}, &room)
				for range layers { // net/http has two of its own
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					defer cancel()
				}
				h.ServeHTTP(w, r.WithContext(ctx))
				room = "used for another request"
			})
		}, func(c *Conn, r *http.Request) {
			c.ReadMessage()
			c.WriteMessage(TextMessage, []byte(*r.Context().Value(key{}).(*string)))
		})
		wantEcho(t, dialServer(t, Dialer{}, url+"/first"), "/first")
	}
}

// net/http cancels a request's context when its handler returns, but serve still runs, with its values.
func TestHandlerFuncContext(t *testing.T) {
	type key struct{}
	url, _ := serveFunc(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			h.ServeHTTP(w, r.WithContext(context.WithValue(ctx, key{}, cancel)))
		})
	}, func(c *Conn, r *http.Request) {
		ctx := r.Context()
		ctx.Value(key{}).(context.CancelFunc)()
		if err := ctx.Err(); err != nil {
			t.Errorf("got error %v of the context, want none yet", err)
		}
		if r.URL.RawQuery != "a=b" || r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("got %s with header %q, want the request", r.URL, r.Header)
		}
		echoAll(c)
	})
	wantEcho(t, dialServer(t, Dialer{}, url+"?a=b"), "Hello")
}

// The context of a function ends where a read or a write finds that the peer is gone, and where another goroutine
// closes the connection.
func TestHandlerFuncContextEnds(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"a read":    func(c *Conn) { echoAll(c) },
		"a write":   func(c *Conn) { c.NetConn().(*net.TCPConn).CloseWrite(); c.WriteMessage(TextMessage, nil) },
		"Close":     func(c *Conn) { c.Close() },
		"Shutdown":  func(c *Conn) { c.Shutdown(cancelled(nil), CloseNormalClosure, "") },
		"the limit": func(c *Conn) { c.SetReadLimit(1); c.ReadMessage() },
	} {
		ended := make(chan error)
		url, _ := serveFunc(t, nil, func(c *Conn, r *http.Request) {
			go end(c)
			<-r.Context().Done()
			close(ended)
		})
		c := dialServer(t, Dialer{}, url)
		c.WriteMessage(TextMessage, []byte("longer"))
		if name == "a read" {
			c.Close()
		}
		within(t, name+" ends the context", func() error { return <-ended })
	}
}

// The connection ends with the function, however that ends. A panic is logged as net/http logs that of a handler.
func TestHandlerFuncClosesAfterServe(t *testing.T) {
	for _, tt := range []struct {
		end    func()
		code   int
		logged bool
	}{
		{func() {}, CloseNormalClosure, false},
		{runtime.Goexit, CloseAbnormalClosure, false},
		// "ErrAbortHandler is a sentinel panic value to abort a handler", without a log.
		{func() { panic(http.ErrAbortHandler) }, CloseAbnormalClosure, false},
		{func() { panic("at the disco") }, CloseInternalServerErr, true},
		{func() { panic(errMine) }, CloseInternalServerErr, true},
		{func() { panic(42) }, CloseInternalServerErr, true},
	} {
		url, ours := serveFunc(t, nil, func(c *Conn, r *http.Request) {
			if r.URL.Path == "/end" {
				c.WriteMessage(TextMessage, []byte("bye"))
				tt.end()
				return
			}
			echoAll(c)
		})
		bystander, c := dialServer(t, Dialer{}, url), dialServer(t, Dialer{}, url+"/end")
		wantRead(t, c, "bye")
		wantClose(t, c, tt.code)
		wantEcho(t, bystander, "still here")
		wantEcho(t, dialServer(t, Dialer{}, url), "and open")
		if !tt.logged {
			if len(ours) > 0 {
				t.Errorf("got log %q, want nothing", <-ours)
			}
			continue
		}
		theirURL, theirs := serveFunc(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { tt.end() })
		}, nil)
		if resp, err := http.Get(theirURL); err == nil {
			resp.Body.Close()
		}
		addresses := regexp.MustCompile(`127\.0\.0\.1:\d+`)
		want, _, _ := strings.Cut(addresses.ReplaceAllString(<-theirs, c.LocalAddr().String()), "\ngoroutine ")
		got := <-ours
		if !strings.HasPrefix(got, want+"\ngoroutine ") || !strings.Contains(got, "TestHandlerFuncClosesAfterServe") {
			t.Errorf("got log %q, want it to begin with %q, and the stack with the function", got, want)
		}
	}
}

// ResponseHeader is asked once for each request that is upgraded, and only for those. What it returns is treated as
// Upgrade's argument. It counts, too, where it is set after HandlerFunc.
func TestHandlerFuncResponseHeader(t *testing.T) {
	var u Upgrader
	srv := httptest.NewServer(u.HandlerFunc(func(c *Conn, _ *http.Request) { echoAll(c) }))
	defer srv.Close()
	asked := 0
	u.ResponseHeader = func(r *http.Request) http.Header {
		asked++
		if r.URL.Path != "/me" {
			return http.Header{"Sec-Websocket-Extensions": {"x"}}
		}
		return http.Header{"Set-Cookie": {"a=1"}, "Upgrade": {"h2c"}, "Sec-Websocket-Protocol": {"chat"}}
	}
	d := Dialer{Subprotocols: []string{"chat"}}
	c, resp, err := d.Dial(srv.URL+"/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantEcho(t, c, "Hello")
	if got := resp.Header["Set-Cookie"]; asked != 1 || !slices.Equal(got, []string{"a=1"}) || c.Subprotocol() != "chat" {
		t.Errorf("got cookies %q, subprotocol %q after %d calls, want those of one call", got, c.Subprotocol(), asked)
	}
	_, _, err = d.Dial(srv.URL+"/me", http.Header{"Origin": {"http://evil.example"}})
	if err != ErrBadHandshake || asked != 1 {
		t.Errorf("got error %v and %d calls, want a refusal without one", err, asked)
	}
	if _, resp, err = d.Dial(srv.URL, nil); err != ErrBadHandshake || resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %v, %v, want 500", resp, err)
	}
}
