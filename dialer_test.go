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
	"strings"
	"testing"
	"time"
)

// hsDialed is what a Dialer did for one URL.
type hsDialed struct {
	how     string // which function dialed
	addr    string
	request string // as it is on the wire
	err     error
}

// hsDialPipe dials with a server at the other end of a connection in memory that
// answers any request with 101. The Dialer's functions that are nil stay nil, as long
// as there is one.
func hsDialPipe(t *testing.T, d Dialer, url string, header http.Header) (got hsDialed) {
	t.Helper()
	near, far := newPipe(t, 1<<20)
	far.SetDeadline(time.Now().Add(hsPatience))
	if d.NetDial == nil && d.NetDialContext == nil && d.NetDialTLSContext == nil {
		dial := func(how string) func(context.Context, string, string) (net.Conn, error) {
			return func(_ context.Context, network, addr string) (net.Conn, error) {
				got.how, got.addr = how+" "+network, addr
				return near, nil
			}
		}
		d.NetDialContext, d.NetDialTLSContext = dial("plain"), dial("TLS")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var request strings.Builder
		br := bufio.NewReader(io.TeeReader(far, &request))
		if req, err := http.ReadRequest(br); err == nil {
			io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: "+acceptKey(req.Header.Get("Sec-Websocket-Key"))+"\r\n\r\n")
		}
		got.request = request.String()
	}()
	c, _, err := d.Dial(url, header)
	got.err = err
	if err == nil {
		c.Close()
	}
	near.Close() // also where nobody has dialed
	<-done
	return got
}

// hsFields returns the values of a field of a request on the wire, each after the name
// as it was written.
func hsFields(request, name string) []string {
	var fields []string
	for _, line := range strings.Split(request, "\r\n") {
		if n, _, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			fields = append(fields, line)
		}
	}
	return fields
}

// The client's opening handshake, as it is on the wire.
func TestDialRequest(t *testing.T) {
	got := hsDialPipe(t, Dialer{Subprotocols: []string{"chat", "superchat"}}, "ws://server.example.com/chat?a=b", http.Header{"Origin": {"http://example.com"}})
	if got.err != nil {
		t.Fatal(got.err)
	}
	if !strings.HasPrefix(got.request, "GET /chat?a=b HTTP/1.1\r\n") || !strings.HasSuffix(got.request, "\r\n\r\n") || strings.Count(got.request, "\r\n\r\n") != 1 {
		t.Errorf("got %q, want a GET without a body", got.request)
	}
	for name, want := range map[string]string{
		"Host":                   "Host: server.example.com",
		"Upgrade":                "Upgrade: websocket",
		"Connection":             "Connection: Upgrade",
		"Sec-WebSocket-Version":  "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Protocol": "Sec-WebSocket-Protocol: chat, superchat",
		"Origin":                 "Origin: http://example.com",
		"Content-Length":         "",
		"Transfer-Encoding":      "",
		"Cookie":                 "",
	} {
		if fields := strings.Join(hsFields(got.request, name), "\n"); fields != want {
			t.Errorf("got %q, want %q", fields, want)
		}
	}
	keys := hsFields(got.request, "Sec-WebSocket-Key")
	if len(keys) != 1 || !validKey(strings.TrimPrefix(keys[0], "Sec-WebSocket-Key: ")) {
		t.Errorf("got %q, want one key of 16 bytes", keys)
	}
}

// A key is for one connection (RFC 6455, 4.1).
func TestDialMakesANewKeyEachTime(t *testing.T) {
	a := hsDialPipe(t, Dialer{}, "ws://a.example/", nil)
	b := hsDialPipe(t, Dialer{}, "ws://a.example/", nil)
	if a.err != nil || b.err != nil || hsFields(a.request, "Sec-WebSocket-Key")[0] == hsFields(b.request, "Sec-WebSocket-Key")[0] {
		t.Errorf("got %q and %q, want requests with different keys", a.request, b.request)
	}
}

// RFC 6455, 3: ws has the port 80 and wss 443, and TLS.
func TestDialURL(t *testing.T) {
	tests := []struct{ url, how, addr, line, host string }{
		{"ws://a.example", "plain tcp", "a.example:80", "GET / HTTP/1.1", "a.example"},
		{"ws://a.example/", "plain tcp", "a.example:80", "GET / HTTP/1.1", "a.example"},
		{"ws://a.example:8080/x", "plain tcp", "a.example:8080", "GET /x HTTP/1.1", "a.example:8080"},
		{"wss://a.example/", "TLS tcp", "a.example:443", "GET / HTTP/1.1", "a.example"},
		{"wss://a.example:80/", "TLS tcp", "a.example:80", "GET / HTTP/1.1", "a.example:80"},
		{"http://a.example/", "plain tcp", "a.example:80", "GET / HTTP/1.1", "a.example"},
		{"https://a.example/", "TLS tcp", "a.example:443", "GET / HTTP/1.1", "a.example"},
		{"WS://a.example/", "plain tcp", "a.example:80", "GET / HTTP/1.1", "a.example"},
		{"ws://a.example?a=b", "plain tcp", "a.example:80", "GET /?a=b HTTP/1.1", "a.example"},
		{"ws://a.example/?", "plain tcp", "a.example:80", "GET /? HTTP/1.1", "a.example"},
		{"ws://a.example/x%20y/%2F?q=%3F", "plain tcp", "a.example:80", "GET /x%20y/%2F?q=%3F HTTP/1.1", "a.example"},
		{"ws://a.example/x y", "plain tcp", "a.example:80", "GET /x%20y HTTP/1.1", "a.example"},
		{"ws://a.example//b.example/", "plain tcp", "a.example:80", "GET //b.example/ HTTP/1.1", "a.example"},
		{"ws://a.example/#fragment", "plain tcp", "a.example:80", "GET / HTTP/1.1", "a.example"},
		{"ws://127.0.0.1/", "plain tcp", "127.0.0.1:80", "GET / HTTP/1.1", "127.0.0.1"},
		{"ws://[2001:db8::1]/", "plain tcp", "[2001:db8::1]:80", "GET / HTTP/1.1", "[2001:db8::1]"},
		{"wss://[2001:db8::1]:8443/", "TLS tcp", "[2001:db8::1]:8443", "GET / HTTP/1.1", "[2001:db8::1]:8443"},
		{"ws://[fe80::1%25eth0]/", "plain tcp", "[fe80::1%eth0]:80", "GET / HTTP/1.1", "[fe80::1]"},

		// "an optional ":port" if not using the default port" (4.1)
		{"ws://a.example:/", "plain tcp", "a.example:80", "GET / HTTP/1.1", "a.example"},
		{"ws://a.example:80/", "plain tcp", "a.example:80", "GET / HTTP/1.1", "a.example"},
		{"ws://a.example:443/", "plain tcp", "a.example:443", "GET / HTTP/1.1", "a.example:443"},
		{"wss://a.example:443/", "TLS tcp", "a.example:443", "GET / HTTP/1.1", "a.example"},
		{"ws://[2001:db8::1]:80/", "plain tcp", "[2001:db8::1]:80", "GET / HTTP/1.1", "[2001:db8::1]"},
		{"ws://[2001:db8::1]:/", "plain tcp", "[2001:db8::1]:80", "GET / HTTP/1.1", "[2001:db8::1]"},

		// International names are punycode on the wire (RFC 5891, 4.4).
		{"ws://b\u00fccher.example/", "plain tcp", "xn--bcher-kva.example:80", "GET / HTTP/1.1", "xn--bcher-kva.example"},
		{"wss://B\u00dcCHER.example:8443/", "TLS tcp", "xn--bcher-kva.example:8443", "GET / HTTP/1.1", "xn--bcher-kva.example:8443"},
		{"ws://b%C3%BCcher.example/", "plain tcp", "xn--bcher-kva.example:80", "GET / HTTP/1.1", "xn--bcher-kva.example"},

		// A query is escaped as by browsers, and what is escaped already is left alone.
		{"ws://a.example/?a b=\u00e4&c=\"<'>%20%zz+[]{}|\\^`", "plain tcp", "a.example:80", "GET /?a%20b=%C3%A4&c=%22%3C%27%3E%20%zz+[]{}|\\^` HTTP/1.1", "a.example"},
		{"ws://a.example/\u00e4?\xff", "plain tcp", "a.example:80", "GET /%C3%A4?%FF HTTP/1.1", "a.example"},
	}
	for _, tt := range tests {
		got := hsDialPipe(t, Dialer{}, tt.url, nil)
		line, _, _ := strings.Cut(got.request, "\r\n")
		host := strings.TrimPrefix(strings.Join(hsFields(got.request, "Host"), "\n"), "Host: ")
		if got.err != nil || got.how != tt.how || got.addr != tt.addr || line != tt.line || host != tt.host {
			t.Errorf("%s: got %s %s, %q for %q and error %v, want %s %s, %q for %q", tt.url, got.how, got.addr, line, host, got.err, tt.how, tt.addr, tt.line, tt.host)
		}
	}
}

// What is no WebSocket URL is refused before anything is dialed.
func TestDialMalformedURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"", "malformed ws or wss URL"},
		{"a.example", "malformed ws or wss URL"},
		{"/chat", "malformed ws or wss URL"},
		{"//a.example/chat", "malformed ws or wss URL"},
		{"ftp://a.example/", "malformed ws or wss URL"},
		{"wsss://a.example/", "malformed ws or wss URL"},
		{"ws:a.example", "malformed ws or wss URL"},
		{"ws:///chat", "malformed ws or wss URL"},
		{"ws://", "malformed ws or wss URL"},
		{"ws://:80/", "malformed ws or wss URL"},
		{"ws://a%3Ab:c@a.example/", "websocket: user name has a colon, which Basic authentication does not allow"},
		{"ws://a:b%0A@a.example/", "websocket: user name or password has a control character, which Basic authentication does not allow"},
		{"ws://xn--\u00e4/", "websocket: malformed host \"xn--\u00e4\": idna: invalid label \"\u00e4\""},
		{"ws://a.example:port/", `parse "ws://a.example:port/": invalid port ":port" after host`},
		{"ws://a.example/%zz", `parse "ws://a.example/%zz": invalid URL escape "%zz"`},
		{"ws://a b/", `parse "ws://a b/": invalid character " " in host name`},
		{"ws://a.example/\r\nX: y", `parse "ws://a.example/\r\nX: y": net/url: invalid control character in URL`},
		{"ws://[::1/", `parse "ws://[::1/": missing ']' in host`},
	} {
		d := Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%s: dialed, want it refused before", tt.url)
			return nil, net.ErrClosed
		}}
		c, resp, err := d.Dial(tt.url, nil)
		if c != nil || resp != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s: got error %v, want %s", tt.url, err, tt.want)
		}
	}
}

// A dial function that returns nothing is a mistake, and told to be one.
func TestDialFunctionReturnsNothing(t *testing.T) {
	nothing := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	for name, d := range map[string]Dialer{
		"NetDial":           {NetDial: func(string, string) (net.Conn, error) { return nil, nil }},
		"NetDialContext":    {NetDialContext: nothing},
		"NetDialTLSContext": {NetDialTLSContext: nothing},
	} {
		for _, timeout := range []time.Duration{0, hsPatience} {
			d.HandshakeTimeout = timeout
			c, _, err := d.Dial("wss://a.example/", nil)
			if want := "websocket: the Dialer's dial function returned no connection and no error"; c != nil || err == nil || err.Error() != want {
				t.Errorf("%s: got error %v, want %s", name, err, want)
			}
		}
	}
}

// User and password of the URL are for Basic authentication (RFC 7617), unless the program's header has the
// field.
func TestDialBasicAuthentication(t *testing.T) {
	for _, tt := range []struct {
		url    string
		header http.Header
		want   string
	}{
		{"ws://Aladdin:open%20sesame@a.example/", nil, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		{"wss://me@a.example/", nil, "Authorization: Basic bWU6"},
		{"ws://me@a.example/", http.Header{"Authorization": {"Bearer x"}}, "Authorization: Bearer x"},
		{"ws://me@a.example/", http.Header{"authorization": {"Bearer x"}}, "authorization: Bearer x"},
		{"ws://me@a.example/", http.Header{"Authorization": nil}, "Authorization: Basic bWU6"},
		{"ws://a.example/", nil, ""},
	} {
		got := hsDialPipe(t, Dialer{}, tt.url, tt.header)
		if fields := strings.Join(hsFields(got.request, "Authorization"), "\n"); got.err != nil || fields != tt.want {
			t.Errorf("%s: got %q and error %v, want %q", tt.url, fields, got.err, tt.want)
		}
		if line, _, _ := strings.Cut(got.request, "\r\n"); line != "GET / HTTP/1.1" {
			t.Errorf("%s: got %q, want no user in the request line", tt.url, line)
		}
	}
}

// The function for TLS comes before the one with a context, and that before the one without.
func TestDialFunctions(t *testing.T) {
	type dial = func(context.Context, string, string) (net.Conn, error)
	errs := map[string]error{"NetDial": errors.New("NetDial"), "NetDialContext": errors.New("NetDialContext"), "NetDialTLSContext": errors.New("NetDialTLSContext")}
	named := func(name string) dial {
		return func(context.Context, string, string) (net.Conn, error) { return nil, errs[name] }
	}
	for _, tt := range []struct {
		url, functions, want string
	}{
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
		var d Dialer
		for _, name := range strings.Fields(tt.functions) {
			switch name {
			case "NetDial":
				d.NetDial = func(network, addr string) (net.Conn, error) { return named("NetDial")(nil, network, addr) }
			case "NetDialContext":
				d.NetDialContext = named(name)
			case "NetDialTLSContext":
				d.NetDialTLSContext = named(name)
			}
		}
		if c, _, err := d.Dial(tt.url, nil); c != nil || err != errs[tt.want] {
			t.Errorf("%s with %s: got error %v, want that of %s", tt.url, tt.functions, err, tt.want)
		}
	}
}

// The functions get the context of the call, with its values.
func TestDialFunctionsGetTheContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "value")
	check := func(ctx context.Context) {
		if got := ctx.Value(key{}); got != "value" {
			t.Errorf("got value %v, want that of the caller's context", got)
		}
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Minute {
			t.Errorf("got deadline %v, %v, want that of HandshakeTimeout", deadline, ok)
		}
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		check(ctx)
		return nil, net.ErrClosed
	}
	for _, d := range []Dialer{{NetDialContext: dial}, {NetDialTLSContext: dial}} {
		d.HandshakeTimeout = time.Minute
		scheme := "ws"
		if d.NetDialTLSContext != nil {
			scheme = "wss"
		}
		if _, _, err := d.DialContext(ctx, scheme+"://a.example/", nil); err != net.ErrClosed {
			t.Errorf("got error %v, want %v", err, net.ErrClosed)
		}
	}
}

// A nil *Dialer is DefaultDialer, which has a proxy from the environment and a timeout.
func TestDialNilDialer(t *testing.T) {
	if DefaultDialer.Proxy == nil || DefaultDialer.HandshakeTimeout != 45*time.Second {
		t.Errorf("got DefaultDialer %+v, want a proxy and 45s", DefaultDialer)
	}
	kept := *DefaultDialer
	defer func() { *DefaultDialer = kept }()
	used := errors.New("DefaultDialer")
	DefaultDialer.Proxy = func(*http.Request) (*url.URL, error) { return nil, used }
	var d *Dialer
	if _, _, err := d.Dial("ws://a.example/", nil); err != used {
		t.Errorf("got error %v, want that of DefaultDialer", err)
	}
	if _, _, err := d.DialContext(context.Background(), "ws://a.example/", nil); err != used {
		t.Errorf("got error %v, want that of DefaultDialer", err)
	}
}

// A copy of a Dialer is another one.
func TestDialCopiedDialer(t *testing.T) {
	a := Dialer{Subprotocols: []string{"a"}}
	b := a
	b.Subprotocols = []string{"b"}
	for want, d := range map[string]Dialer{"a": a, "b": b} {
		got := hsDialPipe(t, d, "ws://a.example/", nil)
		if fields := hsFields(got.request, "Sec-WebSocket-Protocol"); len(fields) != 1 || fields[0] != "Sec-WebSocket-Protocol: "+want {
			t.Errorf("got %q, want %s", fields, want)
		}
	}
}

// With a connection comes the answer, whose body is there and empty.
func TestDialResponse(t *testing.T) {
	u := hsScript(t, func(key string) string {
		return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: test\r\n" +
			"Sec-WebSocket-Accept: " + acceptKey(key) + "\r\n\r\n\x81\x05Hello"
	})
	c, resp, err := new(Dialer).Dial(u, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Server") != "test" {
		t.Errorf("got %s with header %q, want the answer", resp.Status, resp.Header)
	}
	if body, err := io.ReadAll(resp.Body); len(body) > 0 || err != nil {
		t.Errorf("got body %q and error %v, want an empty one", body, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Errorf("got error %v from closing the body, want none", err)
	}
	if got := cap(c.recv.b); got >= 1024 {
		t.Errorf("got %d bytes held for the frame that came with the answer, want about as many as it has", got)
	}
	if _, p, err := c.ReadMessage(); string(p) != "Hello" || err != nil {
		t.Errorf("got %q and error %v, want Hello", p, err)
	}
}

// NetConn is the very connection that was dialed.
func TestDialNetConn(t *testing.T) {
	var u Upgrader
	h := u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) })
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	defer plain.Close()
	defer secure.Close()
	if nc, ok := hsDial(t, Dialer{}, plain.URL).NetConn().(*net.TCPConn); !ok {
		t.Errorf("got %T, want a *net.TCPConn", nc)
	}
	if nc, ok := hsDial(t, Dialer{TLSClientConfig: hsTLSConfig(secure)}, secure.URL).NetConn().(*tls.Conn); !ok {
		t.Errorf("got %T, want a *tls.Conn", nc)
	}
	mine := make(chan net.Conn, 1)
	c := hsDial(t, Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		nc, err := net.Dial(network, addr)
		mine <- struct{ net.Conn }{nc}
		return struct{ net.Conn }{nc}, err
	}}, plain.URL)
	if want := <-mine; c.NetConn() != want {
		t.Errorf("got %v, want the connection that NetDial returned", c.NetConn())
	}
}
