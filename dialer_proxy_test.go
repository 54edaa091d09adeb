//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxyServe runs handle for every connection to a loopback listener, and ends with the test.
func proxyServe(t *testing.T, handle func(net.Conn) error) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(hsPatience))
				if err := handle(conn); err != nil {
					t.Errorf("server: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// proxyRelay is the tunnel inside a proxy.
func proxyRelay(client net.Conn, addr string) error {
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer far.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(far, client)
		far.(*net.TCPConn).CloseWrite()
	})
	_, err = io.Copy(client, far)
	wg.Wait()
	return err
}

// proxyServeHTTP is one connection of an HTTP proxy that knows the echo server as echo.test.
func proxyServeHTTP(conn net.Conn, echo string) error {
	br := bufio.NewReader(conn)
	req, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	if got, want := req.Header.Get("Proxy-Authorization"), "Basic dXNlcjpwYXNz"; got != want {
		return fmt.Errorf("got authorization %q, want %q", got, want)
	}
	if req.Method != http.MethodConnect || req.RequestURI != "echo.test:7" || br.Buffered() > 0 {
		return fmt.Errorf("got %s %s with %d bytes behind it, want a plain CONNECT", req.Method, req.RequestURI, br.Buffered())
	}
	if _, err := io.WriteString(conn, proxyOK); err != nil {
		return err
	}
	return proxyRelay(conn, echo)
}

// proxyServeSOCKS is one connection of a SOCKS proxy that knows the echo server as echo.test.
func proxyServeSOCKS(conn net.Conn, echo string) error {
	for _, step := range []proxyStep{
		{"\x05\x02\x00\x02", "\x05\x02"},
		{"\x01\x04user\x04pass", "\x01\x00"},
		{"\x05\x01\x00\x03\x09echo.test\x00\x07", "\x05\x00\x00\x03\x05bound\x00\x07"},
	} {
		b := make([]byte, len(step.want))
		if _, err := io.ReadFull(conn, b); err != nil || string(b) != step.want {
			return fmt.Errorf("got %q and error %v, want %q", b, err, step.want)
		}
		if _, err := io.WriteString(conn, step.answer); err != nil {
			return err
		}
	}
	return proxyRelay(conn, echo)
}

// eachProxy runs f with a Dialer for a proxy of each scheme on loopback, which alone knows the server, as echo.test:7.
func eachProxy(t *testing.T, server *httptest.Server, f func(t *testing.T, d Dialer)) {
	echo := server.Listener.Addr().String()
	certified := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certified.Close)
	for scheme, serve := range map[string]func(net.Conn) error{
		"http":   func(nc net.Conn) error { return proxyServeHTTP(nc, echo) },
		"socks5": func(nc net.Conn) error { return proxyServeSOCKS(nc, echo) },
		"https": func(nc net.Conn) error {
			secure := tls.Server(nc, &tls.Config{Certificates: certified.TLS.Certificates})
			defer secure.Close()
			return proxyServeHTTP(secure, echo)
		},
	} {
		t.Run(scheme, func(t *testing.T) {
			f(t, Dialer{
				Proxy:           http.ProxyURL(proxyURL(t, scheme+"://user:pass@"+proxyServe(t, serve))),
				TLSClientConfig: hsTLSConfig(certified),
			})
		})
	}
}

// TLS goes through the tunnel, to the name of the server. The certificate of httptest is
// for example.com, so for echo.test it takes a ServerName.
func TestDialThroughProxies(t *testing.T) {
	plain := httptest.NewServer(hsEchoHandler)
	t.Cleanup(plain.Close)
	eachProxy(t, plain, func(t *testing.T, d Dialer) {
		c := hsDial(t, d, "ws://echo.test:7/")
		hsWantEcho(t, c, strings.Repeat("x", 10_000))
		if _, isTLS := c.NetConn().(*tls.Conn); isTLS != strings.HasSuffix(t.Name(), "https") {
			t.Errorf("got %T, want the connection to the proxy", c.NetConn())
		}
	})
	secure, _ := hsTLSServer(t)
	eachProxy(t, secure, func(t *testing.T, d Dialer) {
		d.TLSClientConfig.ServerName = "example.com"
		c := hsDial(t, d, "wss://echo.test:7/")
		hsWantEcho(t, c, strings.Repeat("x", 10_000))
		if _, ok := c.NetConn().(*tls.Conn); !ok {
			t.Errorf("got %T, want TLS", c.NetConn())
		}
	})
}

// hsWantHostname checks that Dial fails because the certificate is not for the name.
func hsWantHostname(t *testing.T, d Dialer, url, name string) {
	t.Helper()
	c, _, err := d.Dial(url, nil)
	var hostname x509.HostnameError
	if c != nil || !errors.As(err, &hostname) || hostname.Host != name {
		t.Errorf("got error %v, want an x509.HostnameError for %s", err, name)
	}
}

// The certificate is verified for the server, not for the proxy, through which it came
// (CVE-2020-11050, CVE-2020-15133).
func TestAttackHostNameThroughProxy(t *testing.T) {
	srv, _ := hsTLSServer(t)
	eachProxy(t, srv, func(t *testing.T, d Dialer) { hsWantHostname(t, d, "wss://echo.test:7/", "echo.test") })
}

// The certificate of an https proxy is verified too, for the proxy's name. TLSClientConfig.ServerName is the
// server's.
func TestAttackHostNameOfProxy(t *testing.T) {
	certified, dial := hsTLSServer(t)
	for _, serverName := range []string{"", "example.com"} {
		d := Dialer{Proxy: http.ProxyURL(proxyURL(t, "https://proxy.test")), TLSClientConfig: hsTLSConfig(certified), NetDial: dial}
		d.TLSClientConfig.ServerName = serverName
		hsWantHostname(t, d, "ws://example.com/", "proxy.test")
	}
}

// Proxy is asked with the URL of the request, whose scheme is http or https, and its
// error is Dial's. Where it returns nothing, there is no proxy.
func TestDialProxyFunction(t *testing.T) {
	for dialed, want := range map[string]string{"ws": "http", "wss": "https", "http": "http", "https": "https"} {
		var asked []string
		d := Dialer{Proxy: func(r *http.Request) (*url.URL, error) {
			asked = append(asked, r.URL.String()+r.Header.Get("X-A"))
			return nil, nil
		}}
		got := hsDialPipe(t, d, dialed+"://a.example/x", http.Header{"X-A": {"1"}}, nil)
		if want += "://a.example/x1"; len(asked) != 1 || asked[0] != want || !strings.HasPrefix(got.request, "GET /x ") {
			t.Errorf("%s: got Proxy asked for %q, and request %q, want %q, and no proxy", dialed, asked, got.request, want)
		}
		d.Proxy = func(*http.Request) (*url.URL, error) { return nil, errMine }
		hsWantNoDial(t, d, dialed+"://a.example/x", nil, errMine.Error())
	}
}

// The proxy is dialed in place of the server, with TLS where its scheme says so, or refused before.
func TestDialProxyAddress(t *testing.T) {
	for _, tt := range []struct{ proxy, how, addr, err string }{
		{"http://p", "plain tcp", "p:80", ""},
		{"https://p", "TLS tcp", "p:443", ""},
		{"socks5://p", "plain tcp", "p:1080", ""},
		{"socks5h://p", "plain tcp", "p:1080", ""},
		{"http://u:secret@p:3128/x?y", "plain tcp", "p:3128", ""},
		{"http://p:", "plain tcp", "p:80", ""},
		{"https://[2001:db8::1]", "TLS tcp", "[2001:db8::1]:443", ""},
		{"socks5://[fe80::1%25eth0]:9", "plain tcp", "[fe80::1%eth0]:9", ""},
		{"socks4://u:secret@p", "", "", `websocket: proxy scheme "socks4" is not supported`},
		{"//p", "", "", `websocket: proxy scheme "" is not supported`},
		{"http://:3128", "", "", "websocket: proxy URL has no host"},
		{"http:p", "", "", "websocket: proxy URL has no host"},
	} {
		for _, url := range []string{"ws://a.example/", "wss://a.example/"} {
			var got hsDialed
			d := Dialer{
				Proxy:             http.ProxyURL(proxyURL(t, tt.proxy)),
				NetDialContext:    got.dial("plain", nil, errMine),
				NetDialTLSContext: got.dial("TLS", nil, errMine),
			}
			_, _, err := d.Dial(url, nil)
			if want := cmp.Or(tt.err, errMine.Error()); got.how != tt.how || got.addr != tt.addr || err.Error() != want {
				t.Errorf("%s via %s: got %s %s and error %v, want %s %s and %s", url, tt.proxy, got.how, got.addr, err, tt.how, tt.addr, want)
			}
		}
	}
}

// A proxy and the server's TLS get an international name as DNS would.
func TestDialInternationalName(t *testing.T) {
	const url, name = "wss://b\u00fccher.example/", "xn--bcher-kva.example"
	srv, dial := hsTLSServer(t)
	hsWantHostname(t, Dialer{TLSClientConfig: hsTLSConfig(srv), NetDial: dial}, url, name)

	// What the proxy refuses is not taken for the server's answer.
	d := Dialer{Proxy: http.ProxyURL(proxyURL(t, "http://p"))}
	got := hsDialPipe(t, d, url, nil, func(string) string { return "HTTP/1.1 407 \r\nContent-Length: 2\r\n\r\nno" })
	if want := "CONNECT " + name + ":443 HTTP/1.1\r\nHost: " + name + ":443\r\n\r\n"; got.request != want {
		t.Errorf("got %q at the proxy, want %q", got.request, want)
	}
	if want := "websocket: proxy refused CONNECT: 407 Proxy Authentication Required"; got.resp != nil || got.err.Error() != want {
		t.Errorf("got answer %v and error %v, want %s", got.resp, got.err, want)
	}
}

// proxyStep is one exchange: what the client must have written, in one Write, when it reads
// the answer.
type proxyStep struct{ want, answer string }

// proxyConn is the client's end of a scripted proxy. It never blocks: when the script is
// over, Read returns end.
type proxyConn struct {
	net.Conn // nil: nothing but Read and Write may be used
	steps    []proxyStep
	chunk    int   // most bytes that one Read returns; 0 means no limit
	end      error // of the last Read
	writeErr error

	wrote  []string // since the last answer
	wrong  error    // the first departure from the script
	answer string   // what is left of the current one
	read   int
}

func (c *proxyConn) Write(p []byte) (int, error) {
	if c.writeErr != nil {
		return 0, c.writeErr
	}
	c.wrote = append(c.wrote, string(p))
	return len(p), nil
}

func (c *proxyConn) Read(p []byte) (int, error) {
	if c.answer == "" && len(c.steps) > 0 {
		step := c.steps[0]
		if got := fmt.Sprintf("%q", c.wrote); c.wrong == nil && got != fmt.Sprintf("%q", []string{step.want}) {
			c.wrong = fmt.Errorf("wrote %s, want one write of %q", got, step.want)
		}
		c.wrote, c.answer, c.steps = nil, step.answer, c.steps[1:]
	}
	if c.answer == "" {
		return 0, c.end
	}
	if c.chunk > 0 {
		p = p[:min(len(p), c.chunk)]
	}
	n := copy(p, c.answer)
	c.answer = c.answer[n:]
	c.read += n
	return n, nil
}

func proxyURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const (
	proxyOK        = "HTTP/1.1 200 Connection established\r\n\r\n"
	proxyRequest   = "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n"
	proxySOCKSHost = "\x05\x01\x00\x03\x0bexample.com\x00\x50"
	proxySOCKSDone = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
)

func proxyHello(answer string) proxyStep   { return proxyStep{"\x05\x01\x00", answer} }
func proxyHelloPW(answer string) proxyStep { return proxyStep{"\x05\x02\x00\x02", answer} }

// The tunnels that open, byte for byte.
var proxyOpens = []struct {
	name, proxy, addr string
	steps             []proxyStep
}{
	{"http", "http://p", "example.com:80", []proxyStep{{proxyRequest, proxyOK}}},
	{"https", "https://p", "example.com:80", []proxyStep{{proxyRequest, proxyOK}}},
	{"IPv6 target", "http://p", "[2001:db8::1]:443", []proxyStep{{
		"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n", proxyOK}}},
	{"user and password", "http://Aladdin:open%20sesame@p", "example.com:80", []proxyStep{{
		"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n" +
			"Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n", proxyOK}}},
	{"user without password", "http://me@p", "example.com:80", []proxyStep{{
		"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\nProxy-Authorization: Basic bWU6\r\n\r\n", proxyOK}}},
	{"colon in password", "http://a:b%3Ac@p", "example.com:80", []proxyStep{{
		"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\nProxy-Authorization: Basic YTpiOmM=\r\n\r\n", proxyOK}}},
	{"HTTP/1.0", "http://p", "example.com:80", []proxyStep{{proxyRequest, "HTTP/1.0 200 OK\r\nVia: x\r\n\r\n"}}},
	{"any 2xx", "http://p", "example.com:80", []proxyStep{{proxyRequest, "HTTP/1.1 299 Whatever\r\n\r\n"}}},
	{"no reason phrase", "http://p", "example.com:80", []proxyStep{{proxyRequest, "HTTP/1.1 200\r\n\r\n"}}},
	{"line feeds alone", "http://p", "example.com:80", []proxyStep{{proxyRequest, "HTTP/1.1 200 OK\nVia: x\n\n"}}},
	{"length ignored", "http://p", "example.com:80", []proxyStep{{proxyRequest,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"}}},
	{"interim responses", "http://p", "example.com:80", []proxyStep{{proxyRequest,
		strings.Repeat("HTTP/1.1 102 Processing\r\nA: b\r\n\r\n", maxInterimResponses) + proxyOK}}},
	{"head of the greatest length", "http://p", "example.com:80", []proxyStep{{proxyRequest,
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", maxResponseHead-24) + "\r\n\r\n"}}},

	{"socks5", "socks5://p", "example.com:80", []proxyStep{
		proxyHello("\x05\x00"), {proxySOCKSHost, proxySOCKSDone}}},
	{"socks5h", "socks5h://p", "example.com:80", []proxyStep{
		proxyHello("\x05\x00"), {proxySOCKSHost, proxySOCKSDone}}},
	{"SOCKS to IPv4", "socks5://p", "192.0.2.1:8080", []proxyStep{
		proxyHello("\x05\x00"), {"\x05\x01\x00\x01\xc0\x00\x02\x01\x1f\x90", proxySOCKSDone}}},
	{"SOCKS to IPv6", "socks5://p", "[2001:db8::1]:443", []proxyStep{
		proxyHello("\x05\x00"), {"\x05\x01\x00\x04\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x01\xbb", proxySOCKSDone}}},
	{"SOCKS to mapped IPv4", "socks5://p", "[::ffff:192.0.2.1]:8080", []proxyStep{
		proxyHello("\x05\x00"), {"\x05\x01\x00\x01\xc0\x00\x02\x01\x1f\x90", proxySOCKSDone}}},
	{"SOCKS longest name", "socks5://p", strings.Repeat("a", 255) + ":80", []proxyStep{
		proxyHello("\x05\x00"), {"\x05\x01\x00\x03\xff" + strings.Repeat("a", 255) + "\x00\x50", proxySOCKSDone}}},
	{"SOCKS password", "socks5://us%65r:pa%3Ass@p", "example.com:80", []proxyStep{
		proxyHelloPW("\x05\x02"), {"\x01\x04user\x05pa:ss", "\x01\x00"}, {proxySOCKSHost, proxySOCKSDone}}},
	{"SOCKS user without password", "socks5://user@p", "example.com:80", []proxyStep{
		proxyHelloPW("\x05\x02"), {"\x01\x04user\x00", "\x01\x00"}, {proxySOCKSHost, proxySOCKSDone}}},
	{"SOCKS password not wanted", "socks5://user:pass@p", "example.com:80", []proxyStep{
		proxyHelloPW("\x05\x00"), {proxySOCKSHost, proxySOCKSDone}}},
	{"SOCKS longest password", "socks5://" + strings.Repeat("u", 255) + ":" + strings.Repeat("p", 255) + "@p", "example.com:80", []proxyStep{
		proxyHelloPW("\x05\x02"),
		{"\x01\xff" + strings.Repeat("u", 255) + "\xff" + strings.Repeat("p", 255), "\x01\x00"},
		{proxySOCKSHost, proxySOCKSDone}}},
	{"SOCKS bound to a name", "socks5://p", "example.com:80", []proxyStep{
		proxyHello("\x05\x00"), {proxySOCKSHost, "\x05\x00\x00\x03\xff" + strings.Repeat("n", 255) + "\x00\x00"}}},
	{"SOCKS bound to no name", "socks5://p", "example.com:80", []proxyStep{
		proxyHello("\x05\x00"), {proxySOCKSHost, "\x05\x00\x00\x03\x00\x00\x00"}}},
	{"SOCKS bound to IPv6", "socks5://p", "example.com:80", []proxyStep{
		proxyHello("\x05\x00"), {proxySOCKSHost, "\x05\x00\x00\x04" + strings.Repeat("x", 18)}}},
}

func TestProxyTunnelOpens(t *testing.T) {
	for _, tt := range proxyOpens {
		for _, chunk := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/chunk=%d", tt.name, chunk), func(t *testing.T) {
				c := &proxyConn{steps: tt.steps, chunk: chunk, end: io.EOF}
				if err := proxyTunnel(c, proxyURL(t, tt.proxy), tt.addr); err != nil {
					t.Fatalf("got %v, want a tunnel", err)
				}
				if c.wrong != nil {
					t.Error(c.wrong)
				}
				if len(c.steps) > 0 || c.answer != "" || len(c.wrote) > 0 {
					t.Errorf("got %d steps and %q left, %q written after them, want nothing", len(c.steps), c.answer, c.wrote)
				}
			})
		}
	}
}

// A proxy that stops at any byte, by hanging up or by falling silent until the deadline, which may pass in a
// Write as well.
func TestProxyTunnelTruncated(t *testing.T) {
	check := func(name string, c *proxyConn, proxy, addr string, want error) {
		t.Helper()
		err := proxyTunnel(c, proxyURL(t, proxy), addr)
		if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "websocket: proxy: ") {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	for _, tt := range proxyOpens {
		check(tt.name, &proxyConn{writeErr: os.ErrDeadlineExceeded}, tt.proxy, tt.addr, os.ErrDeadlineExceeded)
		for i, step := range tt.steps {
			for n := range step.answer {
				if n >= 300 && n < len(step.answer)-5 {
					continue // all of a long answer is the same in the middle
				}
				name := fmt.Sprintf("%s: step %d cut at %d", tt.name, i, n)
				steps := append(slices.Clone(tt.steps[:i]), proxyStep{step.want, step.answer[:n]})
				check(name, &proxyConn{steps: steps, end: io.EOF}, tt.proxy, tt.addr, io.ErrUnexpectedEOF)
				check(name, &proxyConn{steps: steps, end: os.ErrDeadlineExceeded}, tt.proxy, tt.addr, os.ErrDeadlineExceeded)
			}
		}
	}
}

// Every verdict on what the proxy said, with its text.
func TestProxyTunnelRefused(t *testing.T) {
	type test struct{ name, proxy, answers, want string } // answers are parted by |
	tests := []test{
		{"authentication", "http://p", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno",
			"proxy refused CONNECT: 407 Proxy Authentication Required"},
		{"no reason phrase", "http://p", "HTTP/1.1 403\r\n\r\n", "proxy refused CONNECT: 403 Forbidden"},
		{"blank reason phrase", "http://p", "HTTP/1.1 403   \r\n\r\n", "proxy refused CONNECT: 403 Forbidden"},
		{"unknown status", "http://p", "HTTP/1.1 999 \r\n\r\n", "proxy refused CONNECT: 999"},
		{"redirect", "http://p", "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "proxy refused CONNECT: 302 Found"},
		{"status below 100", "http://p", "HTTP/1.1 020 OK\r\n\r\n", `proxy: malformed HTTP status code "020"`},
		{"HTTP/2", "http://p", "HTTP/2.0 200 OK\n\n", "proxy answered CONNECT with HTTP/2.0"},
		{"a long line", "http://p", strings.Repeat("x", 1000) + "\n\n", `proxy: malformed HTTP response "` + strings.Repeat("x", maxQuoted-len(`malformed HTTP response "`)) + " (and more)"},
		{"101 is not interim", "http://p", "HTTP/1.1 101 Switching Protocols\r\n\r\n" + proxyOK,
			"proxy refused CONNECT: 101 Switching Protocols"},
		{"refused after interim", "http://p", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 Bad Gateway\r\n\r\n",
			"proxy refused CONNECT: 502 Bad Gateway"},
		{"controls in reason", "http://p", "HTTP/1.1 403 \x1b[2J\x00a\rb\xff\u202ec\r\n\r\n", "proxy refused CONNECT: 403 [2Jabc"},
		{"long reason", "http://p", "HTTP/1.1 403 " + strings.Repeat("x", 1000) + "\r\n\r\n",
			"proxy refused CONNECT: 403 " + strings.Repeat("x", maxProxyReason)},
		{"interim responses", "http://p", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", maxInterimResponses+1) + proxyOK,
			"proxy: more than 5 interim responses"},
		{"malformed field", "http://p", "HTTP/1.1 200 OK\r\nnothing\r\n\r\n", "proxy: malformed MIME header..."},
		{"early data", "http://p", proxyOK + "x", "proxy sent data before the tunnel was used"},
		{"body in 2xx", "http://p", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "proxy sent data before the tunnel was used"},
		{"head too long by one", "http://p", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", maxResponseHead-23) + "\r\n\r\n",
			"proxy: the header of the response is longer than 65536 bytes"},

		{"no method", "socks5://p", "\x05\xff", "proxy requires authentication, and its URL has no user name and password"},
		{"no method with user", "socks5://u:p@p", "\x05\xff", "proxy accepts neither user name and password nor no authentication"},
		{"password not offered", "socks5://p", "\x05\x02", "proxy chose SOCKS authentication method 0x02, which was not offered"},
		{"GSSAPI", "socks5://u:p@p", "\x05\x01", "proxy chose SOCKS authentication method 0x01, which was not offered"},
		{"SOCKS4", "socks5://p", "\x04\x00", "proxy answered with SOCKS version 4, want 5"},
		{"HTTP", "socks5://p", "HTTP/1.1 400 Bad Request\r\n\r\n", "proxy answered with SOCKS version 72, want 5"},
		{"authentication version", "socks5://u:p@p", "\x05\x02|\x05\x00", "proxy answered with SOCKS authentication version 5, want 1"},
		{"wrong password", "socks5://u:p@p", "\x05\x02|\x01\x01", "proxy refused the user name and password (SOCKS status 1)"},
		{"reply version", "socks5://p", "\x05\x00|\x04\x00\x00\x01", "proxy replied with SOCKS version 4, want 5"},
		{"reserved field", "socks5://p", "\x05\x00|\x05\x00\x01\x01", "proxy replied with 0x01 in the reserved field of SOCKS"},
		{"address type", "socks5://p", "\x05\x00|\x05\x00\x00\x02", "proxy replied with SOCKS address type 2, which is unknown"},
		{"address type 0", "socks5://p", "\x05\x00|\x05\x00\x00\x00", "proxy replied with SOCKS address type 0, which is unknown"},
	}
	for _, answer := range []string{"SSH-2.0-x\r\n\r\n", "\n\n", "HTTP/2 200 OK\n\n", "HTTP/1.10 200 OK\n\n", "HTTP/1.x 200 OK\n\n",
		"http/1.1 200 OK\n\n", "HTTP/1.1\n\n", "HTTP/1.1 \n\n", "HTTP/1.1 20 OK\n\n", "HTTP/1.1 2000 OK\n\n", "HTTP/1.1 +20 OK\n\n",
		"HTTP/1.1 200\tOK\n\n", "HTTP/1.1 2\r00 OK\n\n", " HTTP/1.1 200 OK\n\n", "\r\nHTTP/1.1 200 OK\r\n\r\n"} {
		tests = append(tests, test{fmt.Sprintf("%q", answer), "http://p", answer, "proxy: malformed HTTP..."})
	}
	for i, text := range []string{"general SOCKS server failure", "connection not allowed by ruleset", "network unreachable",
		"host unreachable", "connection refused", "TTL expired", "command not supported", "address type not supported", "unassigned reply code"} {
		tests = append(tests, test{text, "socks5://p", "\x05\x00|\x05" + string(byte(i+1)) + "\x00\x01",
			fmt.Sprintf("proxy refused to connect: %s (SOCKS reply %d)", text, i+1)})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &proxyConn{end: io.EOF}
			for _, answer := range strings.Split(tt.answers, "|") {
				c.steps = append(c.steps, proxyStep{answer: answer})
			}
			err := proxyTunnel(c, proxyURL(t, tt.proxy), "example.com:80")
			want, open := strings.CutSuffix("websocket: "+tt.want, "...") // the rest is net/http's
			if err == nil || err.Error() != want && !(open && strings.HasPrefix(err.Error(), want)) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

// What cannot be asked is refused before anything is written.
func TestProxyTunnelUnsayable(t *testing.T) {
	long := strings.Repeat("x", 256)
	tests := []struct{ proxy, addr, want string }{
		{"ftp://p", "example.com:80", `proxy scheme "ftp" is not supported`},
		{"http://p", "example.com", `proxy target "example.com" is not host:port`},
		{"http://p", "::1:80", `proxy target "::1:80" is not host:port`},
		{"http://p", ":80", `proxy target ":80" is not host:port`},
		{"http://p", "", `proxy target "" is not host:port`},
		{"http://p", "[a:b]:80", `proxy target "[a:b]:80" has no valid IP address in its brackets`},
		{"http://p", "example.com:", `proxy target "example.com:" has no valid port`},
		{"http://p", "example.com:0", `proxy target "example.com:0" has no valid port`},
		{"http://p", "example.com:65536", `proxy target "example.com:65536" has no valid port`},
		{"http://p", "example.com:http", `proxy target "example.com:http" has no valid port`},
		{"http://p", "[fe80::1%eth0]:80", `proxy target "[fe80::1%eth0]:80" has a zone, which means nothing to a proxy`},
		{"socks5://p", "[fe80::1%eth0]:80", `proxy target "[fe80::1%eth0]:80" has a zone, which means nothing to a proxy`},
		{"http://a%3Ab:c@p", "example.com:80", "proxy user name has a colon, which Basic authentication does not allow"},
		{"http://a%0A:b@p", "example.com:80", "proxy user name or password has a control character, which Basic authentication does not allow"},
		{"http://a:b%7F@p", "example.com:80", "proxy user name or password has a control character, which Basic authentication does not allow"},
		{"socks5://p", long + ":80", "proxy target has a host name of 256 bytes, SOCKS allows 255"},
		{"socks5://:p@p", "example.com:80", "proxy user name has 0 bytes, SOCKS requires 1 to 255"},
		{"socks5://" + long + ":p@p", "example.com:80", "proxy user name has 256 bytes, SOCKS requires 1 to 255"},
		{"socks5://u:" + long + "@p", "example.com:80", "proxy password has 256 bytes, SOCKS allows 255"},
	}
	for _, tt := range tests {
		c := &proxyConn{end: io.EOF}
		err := proxyTunnel(c, proxyURL(t, tt.proxy), tt.addr)
		if want := "websocket: " + tt.want; err == nil || err.Error() != want {
			t.Errorf("%s to %q: got %v, want %v", tt.proxy, tt.addr, err, want)
		}
		if len(c.wrote) > 0 {
			t.Errorf("%s to %q: wrote %q, want nothing", tt.proxy, tt.addr, c.wrote)
		}
	}
}

// No byte but visible ASCII gets from a target into the request.
func TestAttackProxyTarget(t *testing.T) {
	for b := range 256 {
		if b > ' ' && b < 0x7f {
			continue
		}
		for _, proxy := range []string{"http://p", "socks5://p"} {
			for _, addr := range []string{"a" + string([]byte{byte(b)}) + "b:80", "[fe80::1%" + string([]byte{byte(b)}) + "]:80", "a:8" + string([]byte{byte(b)}) + "0"} {
				c := &proxyConn{end: io.EOF}
				err := proxyTunnel(c, proxyURL(t, proxy), addr)
				if err == nil || !strings.HasSuffix(err.Error(), "has a byte that is not visible ASCII") || len(c.wrote) > 0 {
					t.Errorf("%s to %q: got %v after %q, want a refusal after nothing", proxy, addr, err, c.wrote)
				}
			}
		}
	}
}

// A hostile proxy whose head never ends is left after maxResponseHead bytes.
func TestProxyTunnelEndlessHead(t *testing.T) {
	const size = 1 << 20
	for name, answer := range map[string]string{
		"status line": "HTTP/1.1 200 " + strings.Repeat("x", size),
		"one field":   "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", size),
		"many fields": "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", size/6),
		"long interim": strings.Repeat("HTTP/1.1 100 Continue\r\nA: "+strings.Repeat("x", maxResponseHead/4)+
			"\r\n\r\n", size/maxResponseHead),
	} {
		for _, chunk := range []int{0, 1, 1000} {
			c := &proxyConn{steps: []proxyStep{{proxyRequest, answer}}, chunk: chunk, end: io.EOF}
			err := proxyTunnel(c, proxyURL(t, "http://p"), "example.com:80")
			const want = "websocket: proxy: the header of the response is longer than 65536 bytes"
			if err == nil || err.Error() != want || c.read != maxResponseHead {
				t.Errorf("%s by %d: got %v after %d bytes, want %v after %d", name, chunk, err, c.read, want, maxResponseHead)
			}
		}
	}
}

// referenceTunnel is another reading of RFC 1928, 1929 and 9110: whether the answers open a tunnel, and where it
// begins in them.
func referenceTunnel(socks, user bool, answers []byte) (size int, open bool) {
	r := bytes.NewReader(answers)
	if socks {
		next := func(n int) string {
			b := make([]byte, n)
			if _, err := io.ReadFull(r, b); err != nil {
				return ""
			}
			return string(b)
		}
		switch method := next(2); {
		case method == "\x05\x02" && user:
			if next(2) != "\x01\x00" {
				return 0, false
			}
		case method != "\x05\x00":
			return 0, false
		}
		length := 0
		switch next(4) {
		case "\x05\x00\x00\x01":
			length = 4
		case "\x05\x00\x00\x04":
			length = 16
		case "\x05\x00\x00\x03":
			if b := next(1); b != "" {
				length = int(b[0])
				break
			}
			return 0, false
		default:
			return 0, false
		}
		open = next(length+2) != ""
		return len(answers) - r.Len(), open
	}
	br := bufio.NewReader(r)
	for range maxInterimResponses + 1 {
		resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
		switch {
		case err != nil:
			return 0, false
		case resp.StatusCode < 200 && resp.StatusCode >= 100 && resp.StatusCode != 101:
			continue
		}
		size = len(answers) - r.Len() - br.Buffered()
		return size, resp.ProtoMajor == 1 && resp.StatusCode/100 == 2 && size <= maxResponseHead
	}
	return 0, false
}

// Whatever the proxy sends, and however it arrives, the tunnel opens where another reading of the RFCs has it
// open; it takes nothing that is not its own, and reads no more than its bound.
func FuzzProxyTunnel(f *testing.F) {
	for _, tt := range proxyOpens {
		var answers string
		for _, step := range tt.steps {
			answers += step.answer
		}
		if len(answers) > 1024 {
			continue // the fuzzer would spend its time on shortening it
		}
		f.Add(tt.proxy[0] == 's', strings.Contains(tt.proxy, "@"), []byte(answers))
		f.Add(tt.proxy[0] == 's', strings.Contains(tt.proxy, "@"), []byte(answers+"x"))
	}
	f.Fuzz(func(t *testing.T, socks, user bool, answers []byte) {
		u := &url.URL{Scheme: "http", Host: "p"}
		if socks {
			u.Scheme = "socks5"
		}
		if user {
			u.User = url.UserPassword("user", "pass")
		}
		var errs [2]error
		var taken [2]int
		for i, chunk := range []int{0, 1} {
			c := &proxyConn{answer: string(answers), chunk: chunk, end: io.EOF}
			errs[i] = proxyTunnel(c, u, "example.com:80")
			taken[i] = c.read
			if err := errs[i]; err != nil && !strings.HasPrefix(err.Error(), "websocket: proxy") {
				t.Errorf("got error %q, want one of the proxy", err)
			}
			if c.read > maxResponseHead {
				t.Errorf("read %d bytes, want at most %d", c.read, maxResponseHead)
			}
		}
		size, open := referenceTunnel(socks, user, answers)
		if (errs[1] == nil) != open || open && taken[1] != size {
			t.Errorf("got error %v and %d bytes taken, want a tunnel: %v, behind %d bytes", errs[1], taken[1], open, size)
		}
		early := !socks && errs[0] != nil && errs[1] == nil && taken[1] < len(answers)
		if early && errs[0].Error() == "websocket: proxy sent data before the tunnel was used" {
			return
		}
		if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
			t.Errorf("got %v at once and %v byte by byte, want the same", errs[0], errs[1])
		}
		if errs[0] == nil && taken[0] != taken[1] {
			t.Errorf("took %d bytes at once and %d byte by byte, want the same", taken[0], taken[1])
		}
	})
}
