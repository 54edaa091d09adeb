//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// dialServer returns a connection to the server at a URL. It is closed with the test, and has a deadline by which
// a test is done unless it is stuck.
func dialServer(t *testing.T, d Dialer, url string) *Conn {
	t.Helper()
	c, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatalf("got error %v, want a connection", err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	return c
}

// setDial makes dial one of the functions of a Dialer that dial. NetDial has no context.
func setDial(d *Dialer, name string, dial func(context.Context) (net.Conn, error)) {
	withContext := func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	switch name {
	case "NetDial":
		d.NetDial = func(string, string) (net.Conn, error) { return dial(nil) }
	case "NetDialContext":
		d.NetDialContext = withContext
	case "NetDialTLSContext":
		d.NetDialTLSContext = withContext
	}
}

// The function for TLS comes before the one with a context, and that before the one without. They get the
// context of the call, with its values and the timeout.
func TestDialFunctions(t *testing.T) {
	type key struct{}
	caller := context.WithValue(context.Background(), key{}, "value")
	for _, tt := range []struct{ url, functions, want string }{
		{"ws://a.example/", "NetDial", "NetDial"},
		{"ws://a.example/", "NetDialContext", "NetDialContext"},
		{"ws://a.example/", "NetDial NetDialContext", "NetDialContext"},
		{"ws://a.example/", "NetDial NetDialContext NetDialTLSContext", "NetDialContext"},
		{"ws://a.example/", "NetDial NetDialTLSContext", "NetDial"},
		{"wss://a.example/", "NetDial", "NetDial"},
		{"wss://a.example/", "NetDial NetDialContext", "NetDialContext"},
		{"wss://a.example/", "NetDialTLSContext", "NetDialTLSContext"},
		{"wss://a.example/", "NetDial NetDialContext NetDialTLSContext", "NetDialTLSContext"},
	} {
		errCalled := errors.New("called")
		d := Dialer{HandshakeTimeout: time.Minute}
		var called string
		for _, name := range strings.Fields(tt.functions) {
			setDial(&d, name, func(ctx context.Context) (net.Conn, error) {
				called += name
				if ctx != nil {
					if deadline, ok := ctx.Deadline(); ctx.Value(key{}) != "value" || !ok || time.Until(deadline) > time.Minute {
						t.Errorf("%s: got the context %v, want that of the call", name, ctx)
					}
				}
				return nil, errCalled
			})
		}
		if c, _, err := d.DialContext(caller, tt.url, nil); c != nil || err != errCalled || called != tt.want {
			t.Errorf("%s with %s: got error %v and %s called, want %s", tt.url, tt.functions, err, called, tt.want)
		}
	}
}

// A dial function that returns nothing is a mistake, and told to be one, and one that heeds no time is not
// waited for.
func TestDialFunctionReturnsNothing(t *testing.T) {
	const text = "websocket: the Dialer's dial function returned no connection and no error"
	nothing := func() (net.Conn, error) { return nil, nil }
	for _, tt := range []struct {
		what    string
		dial    func() (net.Conn, error)
		timeout time.Duration
		want    string
		after   time.Duration
	}{
		{"nothing", nothing, 0, text, 0},
		{"nothing in time", nothing, time.Minute, text, 0},
		{"the end of its goroutine, as by a test's Fatal", func() (net.Conn, error) {
			runtime.Goexit()
			return nil, nil
		}, time.Minute, text, 0},
		{"an error too late", func() (net.Conn, error) {
			time.Sleep(time.Hour)
			return nil, io.EOF
		}, time.Minute, context.DeadlineExceeded.Error(), time.Minute},
		{"no call, as the time is over", nil, -1, context.DeadlineExceeded.Error(), 0},
	} {
		for _, name := range []string{"NetDial", "NetDialContext", "NetDialTLSContext"} {
			synctest.Test(t, func(t *testing.T) {
				d := Dialer{HandshakeTimeout: tt.timeout}
				setDial(&d, name, func(context.Context) (net.Conn, error) { return tt.dial() })
				var c *Conn
				var err error
				got := took(func() { c, _, err = d.Dial("wss://a.example/", nil) })
				if c != nil || fmt.Sprint(err) != tt.want || got != tt.after {
					t.Errorf("%s from %s: got error %v after %v, want %v after %v", tt.what, name, err, got, tt.want, tt.after)
				}
				time.Sleep(time.Hour) // for the function
			})
		}
	}
}

// stage is a place at which a server or a proxy stops answering.
type stage struct {
	name    string
	url     string         // ws://a.example/ where it is ""
	proxy   string         // the URL of one, if any
	peer    func(net.Conn) // talks until it has nothing more to say; the connection stays open
	unread  bool           // the network takes no more than ten bytes
	refused bool           // what has come of the answer is a refusal
	dial    string         // the name of a function that takes too long
	tls     bool           // crypto/tls returns the context's error, without its cause
}

// reply returns a peer that answers what was asked.
func reply(answer string) func(net.Conn) {
	return func(far net.Conn) {
		http.ReadRequest(bufio.NewReader(far))
		io.WriteString(far, answer)
	}
}

// dripping returns a peer that answers one byte a second, until nobody listens.
func dripping(answer string) func(net.Conn) {
	return func(far net.Conn) {
		http.ReadRequest(bufio.NewReader(far))
		for c := range strings.SplitSeq(answer+strings.Repeat("x", 1000), "") {
			if _, err := io.WriteString(far, c); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
}

func silent(net.Conn) {}

// readsNoMore makes the handshake of TLS, and then reads nothing more: crypto/tls would give it five seconds
// to take the last record.
func readsNoMore(far net.Conn) {
	config, _ := tlsTestConfigs()
	tls.Server(far, config).Handshake()
	room(far.(*pipeConn), 0)
}

var stages = []stage{
	{name: "NetDial", dial: "NetDial", peer: silent},
	{name: "NetDialContext", dial: "NetDialContext", peer: silent},
	{name: "NetDialTLSContext", url: "wss://a.example/", dial: "NetDialTLSContext", peer: silent},
	{name: "request", peer: silent, unread: true},
	{name: "answer", peer: silent},
	{name: "a part of the answer", peer: reply("HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso")},
	{name: "behind an interim answer", peer: reply("HTTP/1.1 100 Continue\r\n\r\n")},
	{name: "answer of one byte a second", peer: dripping("HTTP/1.1 101 Switching Protocols\r\nX: ")},
	{name: "status line of one byte a second", peer: dripping("HTTP/1.1 101 ")},
	{name: "body of a refusal", peer: reply("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno, "), refused: true},
	{name: "body of a refusal up to the end", peer: reply("HTTP/1.1 403 Forbidden\r\n\r\nno, "), refused: true},
	{name: "TLS", url: "wss://a.example/", peer: silent, tls: true},
	{name: "TLS, unread", url: "wss://a.example/", peer: silent, unread: true, tls: true},
	{name: "answer over TLS, unread", url: "wss://example.com/", peer: readsNoMore},
	{name: "CONNECT", proxy: "http://proxy.example", peer: silent},
	{name: "CONNECT, unread", proxy: "http://proxy.example", peer: silent, unread: true},
	{name: "CONNECT, one byte a second", proxy: "http://proxy.example", peer: dripping("HTTP/1.1 200 OK\r\nX: ")},
	{name: "SOCKS", proxy: "socks5://proxy.example", peer: silent},
	{name: "TLS to a proxy", proxy: "https://proxy.example", peer: silent, tls: true},
	{name: "TLS through a proxy", url: "wss://a.example/", proxy: "http://proxy.example", peer: reply(proxyOK), tls: true},
	{name: "answer through a proxy", proxy: "http://proxy.example", peer: reply(proxyOK)},
}

// dialer returns a Dialer for a stage, and the URL to be dialed.
func (s stage) dialer(t *testing.T, dial func(context.Context) (net.Conn, error)) (d Dialer, url string) {
	_, d.TLSClientConfig = tlsTestConfigs()
	if s.proxy != "" {
		d.Proxy = http.ProxyURL(proxyURL(t, s.proxy))
		d.TLSClientConfig = nil // its ServerName is not the proxy's
	}
	setDial(&d, cmp.Or(s.dial, "NetDialContext"), dial)
	return d, cmp.Or(s.url, "ws://a.example/")
}

// stop is a way to end a call of Dial after ten seconds.
type stop struct {
	name              string
	timeout, deadline time.Duration // HandshakeTimeout, and the time until the context's deadline
	cancelled         bool          // the context is cancelled after ten seconds
	cause             error
}

var stops = []stop{
	{name: "HandshakeTimeout", timeout: 10 * time.Second},
	{name: "HandshakeTimeout before the context's deadline", timeout: 10 * time.Second, deadline: time.Minute},
	{name: "deadline", timeout: time.Minute, deadline: 10 * time.Second},
	{name: "cancelled", cancelled: true},
	{name: "cancelled for a cause", timeout: time.Minute, cancelled: true, cause: errMine},
}

func (s stop) context() (context.Context, context.CancelFunc) {
	if s.deadline > 0 {
		return context.WithTimeout(context.Background(), s.deadline)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	if s.cancelled {
		time.AfterFunc(10*time.Second, func() { cancel(s.cause) })
	}
	return ctx, func() { cancel(nil) }
}

// Wherever the other side stops answering, Dial ends in time with the context's error,
// the connection is closed, and no goroutine is left: the bubble waits for all of them.
func TestAttackSlowServer(t *testing.T) {
	tlsTestConfigs() // outside of bubbles
	for _, stage := range stages {
		for _, stop := range stops {
			t.Run(stage.name+"/"+stop.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { dialSlowly(t, stage, stop) })
			})
		}
	}
}

func dialSlowly(t *testing.T, stage stage, stop stop) {
	size := 1 << 20
	if stage.unread {
		size = 10
	}
	near, far := newPipe(t, size)
	d, url := stage.dialer(t, func(context.Context) (net.Conn, error) {
		if stage.dial != "" {
			time.Sleep(20 * time.Second)
		}
		return near, nil
	})
	d.HandshakeTimeout = stop.timeout
	var wg sync.WaitGroup
	wg.Go(func() { stage.peer(far) })
	defer wg.Wait()
	ctx, cancel := stop.context()
	defer cancel()
	start := time.Now()
	c, resp, err := d.DialContext(ctx, url, nil)
	took := 10 * time.Second
	if stage.refused {
		took = time.Second // for the body
	}
	if got := time.Since(start); c != nil || got != took {
		t.Errorf("got connection %v after %v, want none after %v", c, got, took)
	}
	time.Sleep(20 * time.Second) // for what dials
	if _, err := near.Write([]byte("x")); err != net.ErrClosed {
		t.Errorf("got error %v of a write, want the connection closed", err)
	}
	if stage.refused {
		// The refusal has come, so it is the answer; the body is as much as there is.
		if err != ErrBadHandshake || resp == nil {
			t.Fatalf("got answer %v and error %v, want the refusal and %v", resp, err, ErrBadHandshake)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != "no, " {
			t.Errorf("got body %q, want what has come", body)
		}
		return
	}
	want := context.DeadlineExceeded
	if stop.cancelled {
		want = context.Canceled
	}
	caused := stop.cause == nil || stage.tls || errors.Is(err, stop.cause)
	if resp != nil || !errors.Is(err, want) || !caused {
		t.Errorf("got answer %v and error %v, want none, and %v because of %v", resp, err, want, stop.cause)
	}
	var ne net.Error
	if got := errors.As(err, &ne) && ne.Timeout(); got == stop.cancelled {
		t.Errorf("got error %v that is a timeout: %v, want %v", err, got, !got)
	}
}

// A context that has ended already ends Dial at once, also with functions that do not
// look at it.
func TestDialWithEndedContext(t *testing.T) {
	for _, stage := range stages {
		d, url := stage.dialer(t, func(context.Context) (net.Conn, error) {
			t.Errorf("%s: got the function called that dials", stage.name)
			return nil, io.EOF
		})
		if c, _, err := d.DialContext(cancelled(nil), url, nil); c != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want %v", stage.name, err, context.Canceled)
		}
	}
}

// After Dial neither the context nor HandshakeTimeout means anything, not to TLS either, whose handshake watches
// the context on its own.
func TestDialContextEndsWithDial(t *testing.T) {
	serverConfig, clientConfig := tlsTestConfigs()
	for _, scheme := range []string{"ws", "wss"} {
		synctest.Test(t, func(t *testing.T) {
			near, pipe := newPipe(t, 1<<20)
			var far net.Conn = pipe
			if scheme == "wss" {
				far = tls.Server(pipe, serverConfig)
			}
			d := Dialer{HandshakeTimeout: 10 * time.Second, TLSClientConfig: clientConfig}
			setDial(&d, "NetDial", func(context.Context) (net.Conn, error) { return near, nil })
			go func() {
				req, _ := http.ReadRequest(bufio.NewReader(far))
				time.Sleep(9 * time.Second)
				io.WriteString(far, accept101(req.Header.Get("Sec-Websocket-Key"), ""))
			}()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			c, _, err := d.DialContext(ctx, scheme+"://example.com/", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			cancel()
			time.Sleep(time.Hour)
			io.WriteString(far, helloFrame)
			wantRead(t, c, "Hello")
			wantWrite(t, c, "Hello")
		})
	}
}

// The network's own errors are returned as they are.
func TestDialNetworkErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	var op *net.OpError
	if _, _, err := new(Dialer).Dial("ws://"+ln.Addr().String(), nil); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("got error %v, want that of dialing", err)
	}
	near, far := newPipe(t, 1<<20)
	far.Close()
	d := Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
	if _, _, err := d.Dial("ws://a.example/", nil); err != io.ErrClosedPipe {
		t.Errorf("got error %v, want that of writing the request", err)
	}
}

// trusting trusts the certificate of a server of httptest, which is for example.com,
// 127.0.0.1 and ::1.
func trusting(srv *httptest.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &tls.Config{RootCAs: roots}
}

// tlsServer returns a server with TLS, for HTTP/2 too, that echoes, and a function
// that dials it whatever the address.
func tlsServer(t *testing.T) (srv *httptest.Server, dial func(network, addr string) (net.Conn, error)) {
	srv = httptest.NewUnstartedServer(echoHandler)
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the client breaks off
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, func(network, _ string) (net.Conn, error) { return net.Dial(network, srv.Listener.Addr().String()) }
}

// A program may say which name it expects, or that it does not care.
func TestDialTLS(t *testing.T) {
	srv, dial := tlsServer(t)
	trusted, named, any := trusting(srv), trusting(srv), &tls.Config{InsecureSkipVerify: true}
	named.ServerName = "example.com"
	names := make(chan string, 1)
	srv.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		names <- hello.ServerName
		return nil, nil
	}
	for _, tt := range []struct {
		config    *tls.Config
		url, name string // "the Server Name Indication extension" (RFC 6455, 4.1) has no addresses
	}{
		{trusted, "wss://example.com/", "example.com"},
		{trusted, "https://example.com/", "example.com"},
		{trusted, "wss://example.com:8443/", "example.com"},
		{trusted, "wss://127.0.0.1/", ""},
		{trusted, "wss://[::1]/", ""},
		{trusted, srv.URL, ""},
		{named, "wss://other.example/", "example.com"},
		{any, "wss://other.example/", "other.example"},
		{any, "wss://b\u00fccher.example/", "xn--bcher-kva.example"},
	} {
		wantEcho(t, dialServer(t, Dialer{TLSClientConfig: tt.config, NetDial: dial}, tt.url), tt.url)
		if got := <-names; got != tt.name {
			t.Errorf("%s: got the server name %q, want %q", tt.url, got, tt.name)
		}
	}
}

// wantNoTrust checks that Dial fails because the certificate is not for the name or, without one, because it is not
// trusted, and that the network connection is closed.
func wantNoTrust(t *testing.T, d Dialer, url, name string) {
	t.Helper()
	var nc net.Conn
	dial := d.NetDial
	if dial == nil {
		dial = net.Dial
	}
	d.NetDial = func(network, addr string) (_ net.Conn, err error) {
		nc, err = dial(network, addr)
		return nc, err
	}
	c, resp, err := d.Dial(url, nil)
	var hostname x509.HostnameError
	var authority x509.UnknownAuthorityError
	if ok := errors.As(err, &hostname) && hostname.Host == name || name == "" && errors.As(err, &authority); !ok {
		t.Errorf("%s: got error %v, want one of the certificate for %q", url, err, name)
	}
	if _, err := nc.Write([]byte("x")); c != nil || resp != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%s: got connection %v, answer %v, and error %v of a write, want the connection closed", url, c, resp, err)
	}
}

// The certificate must be for the host of the URL, or for the name that the program
// gives (CVE-2020-11050, CVE-2020-15133).
func TestAttackHostName(t *testing.T) {
	srv, dial := tlsServer(t)
	trusted, trustedName := trusting(srv), trusting(srv)
	trustedName.ServerName = "other.example"
	for _, tt := range []struct {
		url    string
		config *tls.Config
		name   string // "" where the certificate itself is not trusted
	}{
		{"wss://other.example/", trusted, "other.example"},
		{"wss://example.com.evil.org/", trusted, "example.com.evil.org"},
		{"wss://127.0.0.2/", trusted, "127.0.0.2"},
		{"wss://b\u00fccher.example/", trusted, "xn--bcher-kva.example"},
		{"wss://example.com/", trustedName, "other.example"},
		{"wss://example.com/", nil, ""},
		{"wss://example.com/", &tls.Config{}, ""},
	} {
		wantNoTrust(t, Dialer{TLSClientConfig: tt.config, NetDial: dial}, tt.url, tt.name)
	}
}

// A configuration that is shared with an http.Transport offers HTTP/2, in which there is
// no such handshake. It works all the same, and is left as it is. Without one, no protocol is offered.
func TestDialTLSNextProtos(t *testing.T) {
	srv, dial := tlsServer(t)
	for _, tt := range []struct {
		protos []string
		want   string
	}{
		{nil, ""}, {[]string{}, ""}, {[]string{"h2"}, ""}, {[]string{"http/1.1"}, "http/1.1"},
		{[]string{"h2", "http/1.1"}, "http/1.1"}, {[]string{"http/1.1", "h2"}, "http/1.1"},
	} {
		config := trusting(srv)
		config.NextProtos = slices.Clone(tt.protos)
		c := dialServer(t, Dialer{TLSClientConfig: config, NetDial: dial}, "wss://example.com/")
		wantEcho(t, c, "Hello")
		if got := c.NetConn().(*tls.Conn).ConnectionState().NegotiatedProtocol; got != tt.want {
			t.Errorf("%q: got protocol %q, want %q", tt.protos, got, tt.want)
		}
		if !slices.Equal(config.NextProtos, tt.protos) || config.ServerName != "" {
			t.Errorf("got NextProtos %q and ServerName %q, want %q and none", config.NextProtos, config.ServerName, tt.protos)
		}
	}
}

func TestDialTrace(t *testing.T) {
	srv, _ := tlsServer(t)
	plain := httptest.NewServer(echoHandler)
	defer plain.Close()
	const connected = "GetConn ADDR, ConnectStart ADDR, ConnectDone ADDR, " // to the server
	const answered = "GotConn ADDR, GotFirstResponseByte "
	for _, tt := range []struct {
		url    string
		config *tls.Config
		want   string
	}{
		{plain.URL, nil, connected + answered},
		{srv.URL, trusting(srv), connected + "TLSHandshakeStart , TLSHandshakeDone <nil>, " + answered},
		{srv.URL, &tls.Config{RootCAs: x509.NewCertPool()},
			connected + "TLSHandshakeStart , TLSHandshakeDone x509: certificate signed by unknown authority"},
	} {
		var events []string
		note := func(hook string, about any) { events = append(events, fmt.Sprintf("%s %v", hook, about)) }
		trace := &httptrace.ClientTrace{
			GetConn:              func(hostPort string) { note("GetConn", hostPort) },
			GotConn:              func(info httptrace.GotConnInfo) { note("GotConn", info.Conn.RemoteAddr()) },
			GotFirstResponseByte: func() { note("GotFirstResponseByte", "") },
			ConnectStart:         func(_, addr string) { note("ConnectStart", addr) },
			ConnectDone:          func(_, addr string, err error) { note("ConnectDone", addr) },
			TLSHandshakeStart:    func() { note("TLSHandshakeStart", "") },
			TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
				note("TLSHandshakeDone", errors.Unwrap(err))
			},
		}
		d := Dialer{TLSClientConfig: tt.config}
		for _, trace := range []*httptrace.ClientTrace{trace, {}} { // a trace need not have hooks
			if c, _, err := d.DialContext(httptrace.WithClientTrace(t.Context(), trace), tt.url, nil); err == nil {
				c.Close()
			}
		}
		u, _ := url.Parse(tt.url)
		if got, want := strings.Join(events, ", "), strings.ReplaceAll(tt.want, "ADDR", u.Host); got != want {
			t.Errorf("%s: got %s, want %s", tt.url, got, want)
		}
	}
}

// answeredConn is a client's connection to a server whose answer, and what follows it, is there at once.
type answeredConn struct {
	proxyConn
	as     string // the key in sent, until that of the request is known
	key    string
	sent   string // by the server
	closed bool
}

// newAnsweredConn has the server's answer to a key, which becomes that to the client's.
func newAnsweredConn(answer, key string, chunk int) *answeredConn {
	return &answeredConn{proxyConn: proxyConn{Conn: &loopTransport{}, chunk: chunk, end: io.EOF}, as: key, sent: answer}
}

func (c *answeredConn) dial(string, string) (net.Conn, error) { return c, nil }

func (c *answeredConn) Write(p []byte) (int, error) {
	if c.key != "" {
		return len(p), nil
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p)))
	if err != nil {
		return 0, err
	}
	c.key = req.Header.Get("Sec-Websocket-Key")
	c.sent = strings.NewReplacer(acceptKey(c.as), acceptKey(c.key), c.as, c.key).Replace(c.sent)
	c.answer = c.sent
	return len(p), nil
}

func (c *answeredConn) Close() error {
	c.closed = true
	return nil
}

// referenceAnswer is another reading of RFC 6455, 4.1, on top of net/http.
type referenceAnswer struct {
	err         error // there is no answer in the bytes
	status      int
	body        []byte // at most 1,024 bytes of it
	accepted    bool
	extensions  bool // there is such a field, so that accepted says only that the rest is right
	subprotocol string
	rest        []byte // behind the head
}

func readReferenceAnswer(b []byte, accept string, subprotocols []string) (a referenceAnswer) {
	r := bufio.NewReader(bytes.NewReader(b[:min(len(b), 64<<10)]))
	var resp *http.Response
	for interim := 0; ; interim++ {
		if resp, a.err = http.ReadResponse(r, nil); a.err != nil {
			return a
		}
		if resp.StatusCode < 100 || interim == 6 {
			a.err = errors.New("no answer")
			return a
		}
		if resp.StatusCode >= 200 || resp.StatusCode == 101 {
			break
		}
	}
	a.status = resp.StatusCode
	a.body = make([]byte, 1024)
	n, _ := io.ReadFull(resp.Body, a.body)
	a.body = a.body[:n]
	if a.status == 101 {
		rest, _ := io.ReadAll(r)
		a.rest = b[min(len(b), 64<<10)-len(rest):]
	}

	one := func(name string) string { // the value of a field that is there once
		if values := resp.Header.Values(name); len(values) == 1 {
			return values[0]
		}
		return ""
	}
	protocols := resp.Header.Values("Sec-WebSocket-Protocol")
	a.subprotocol = one("Sec-WebSocket-Protocol")
	a.accepted = a.status == 101 && resp.ProtoMajor == 1 && hasToken(resp.Header.Values("Connection"), "upgrade") &&
		len(one("Upgrade")) == len("websocket") && strings.EqualFold(one("Upgrade"), "websocket") &&
		one("Sec-WebSocket-Accept") == accept && (len(protocols) == 0 || slices.Contains(subprotocols, a.subprotocol))
	a.extensions = len(elements(resp.Header.Values("Sec-WebSocket-Extensions"))) > 0
	return a
}

// Whatever a server answers, in whatever pieces: the Dialer makes of it what another reading of the RFC does,
// in bounded memory, and what follows the head is left for frames.
func FuzzDialResponse(f *testing.F) {
	f.Add([]byte(answer101+"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"+
		"\xc1\x07\xf2H\xcd\xc9\xc9\x07\x00"), true, uint(0))
	f.Add([]byte(answer101+"Sec-WebSocket-Protocol: chat\r\n\r\n\x89\x04ping"+helloFrame+normalCloseFrame), false, uint(5))
	f.Add([]byte(answer101+strings.Repeat("a:\n", 2000)+"\r\n"), false, uint(0))
	for _, file := range caseFiles(f, "dial") {
		for i, c := range parseCases(f, file) {
			if b := c.wire(f, "answer", sampleKey); len(b) < 2000 {
				f.Add([]byte(b), i%2 == 0, uint(i%4))
			}
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte, compression bool, chunk uint) {
		if len(answer) > 20_000 {
			chunk = 0
		}
		nc := newAnsweredConn(string(answer), sampleKey, int(chunk%1000))
		d := Dialer{
			NetDial:           nc.dial,
			Subprotocols:      []string{"chat", "superchat"},
			EnableCompression: compression,
			Compression:       CompressionOptions{ContextTakeover: true},
		}
		var c *Conn
		var resp *http.Response
		var err error
		call := func() { c, resp, err = d.Dial("ws://example.com/", nil) }
		if len(answer) <= 2000 {
			call()
		} else if n := allocated(call); n > uint64(128<<10+64*len(answer)) {
			t.Errorf("got %d bytes allocated for an answer of %d", n, len(answer))
		}
		if nc.read > maxResponseHead {
			t.Errorf("got %d bytes read, want at most %d", nc.read, maxResponseHead)
		}
		want := readReferenceAnswer([]byte(nc.sent), acceptKey(nc.key), d.Subprotocols)
		switch {
		case want.err != nil:
			if c != nil || resp != nil || err == nil || len(err.Error()) > 300 {
				t.Errorf("got connection %v, response %v and error %v, want an error like %v", c, resp, err, want.err)
			}
			if ended := nc.read == len(nc.sent) && nc.read < maxResponseHead; errors.Is(err, io.ErrUnexpectedEOF) && !ended {
				t.Errorf("got error %v, want no end of %d bytes, of which %d were read", err, len(nc.sent), nc.read)
			}
			return
		case resp == nil:
			t.Fatalf("got error %v, want the response with status %d", err, want.status)
		case want.extensions && want.accepted && compression: // whether it is right, FuzzNegotiation checks
			want.accepted = err == nil && c.CompressionState().Enabled
		case want.extensions:
			want.accepted = false
		}
		body, bodyErr := io.ReadAll(resp.Body)
		if c != nil {
			want.body = nil
		}
		if bodyErr != nil || !bytes.Equal(body, want.body) || resp.StatusCode != want.status {
			t.Errorf("got %d and body %.50q, %v, want %d and %.50q", resp.StatusCode, body, bodyErr, want.status, want.body)
		}
		if (c != nil) != want.accepted || (err == ErrBadHandshake) == want.accepted || c == nil && err == nil {
			t.Fatalf("got a connection: %v, and error %v, want %v", c != nil, err, want.accepted)
		}
		if c != nil {
			defer c.Close()
			if c.Subprotocol() != want.subprotocol {
				t.Errorf("got subprotocol %q, want %q", c.Subprotocol(), want.subprotocol)
			}
			if rest := string(c.recv.b) + nc.answer; rest != string(want.rest) {
				t.Errorf("got %.50q for frames, want %.50q", rest, want.rest)
			}
		}
	})
}
