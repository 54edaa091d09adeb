//go:build go1.25

package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Proxy is asked with the URL of the request, whose scheme is http or https, and its
// error is Dial's. Where it returns nothing, there is no proxy.
func TestDialProxyFunction(t *testing.T) {
	refused := errors.New("no proxy for you")
	for dialed, want := range map[string]string{
		"ws://a.example/x":    "http://a.example/x",
		"wss://a.example/x":   "https://a.example/x",
		"http://a.example/x":  "http://a.example/x",
		"https://a.example/x": "https://a.example/x",
	} {
		asked := 0
		d := Dialer{Proxy: func(r *http.Request) (*url.URL, error) {
			asked++
			if got := r.URL.String(); got != want || r.Header.Get("X-A") != "1" {
				t.Errorf("%s: got a request for %s with header %q, want %s", dialed, got, r.Header, want)
			}
			return nil, nil
		}}
		got := hsDialPipe(t, d, dialed, http.Header{"X-A": {"1"}})
		if got.err != nil || asked != 1 || !strings.HasPrefix(got.request, "GET /x ") {
			t.Errorf("%s: got error %v, %d questions, request %q, want it without a proxy", dialed, got.err, asked, got.request)
		}
		d.Proxy = func(*http.Request) (*url.URL, error) { return nil, refused }
		if got := hsDialPipe(t, d, dialed, nil); got.err != refused || got.how != "" {
			t.Errorf("%s: got error %v after dialing %q, want %v before", dialed, got.err, got.how, refused)
		}
	}
}

// The proxy is dialed in place of the server, with TLS where its scheme says so.
func TestDialProxyAddress(t *testing.T) {
	for _, tt := range []struct{ proxy, how, addr string }{
		{"http://proxy.example", "plain tcp", "proxy.example:80"},
		{"http://proxy.example:3128", "plain tcp", "proxy.example:3128"},
		{"https://proxy.example", "TLS tcp", "proxy.example:443"},
		{"socks5://proxy.example", "plain tcp", "proxy.example:1080"},
		{"socks5h://proxy.example:9", "plain tcp", "proxy.example:9"},
	} {
		for _, scheme := range []string{"ws", "wss"} {
			how, addr := "", ""
			d := Dialer{
				Proxy: http.ProxyURL(proxyURL(t, tt.proxy)),
				NetDialContext: func(_ context.Context, network, a string) (net.Conn, error) {
					how, addr = "plain "+network, a
					return nil, net.ErrClosed
				},
				NetDialTLSContext: func(_ context.Context, network, a string) (net.Conn, error) {
					how, addr = "TLS "+network, a
					return nil, net.ErrClosed
				},
			}
			_, _, err := d.Dial(scheme+"://a.example/", nil)
			if how != tt.how || addr != tt.addr || err != net.ErrClosed {
				t.Errorf("%s via %s: got %s %s and error %v, want %s %s and %v", scheme, tt.proxy, how, addr, err, tt.how, tt.addr, net.ErrClosed)
			}
		}
	}
	d := Dialer{Proxy: http.ProxyURL(&url.URL{Scheme: "ftp", Host: "proxy.example"})}
	got := hsDialPipe(t, d, "ws://a.example/", nil)
	if want := `websocket: proxy scheme "ftp" is not supported`; got.err == nil || got.err.Error() != want || got.how != "" {
		t.Errorf("got error %v after dialing %q, want %s before", got.err, got.how, want)
	}
}

// hsProxies returns a function that dials through a proxy of each scheme to a server
// that only the proxy knows, as echo.test:7.
func hsProxies(t *testing.T, server *httptest.Server) map[string]Dialer {
	echo := server.Listener.Addr().String()
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certified.Close)
	addrs := map[string]string{
		"http":   proxyServe(t, func(nc net.Conn) error { return proxyServeHTTP(nc, echo) }),
		"socks5": proxyServe(t, func(nc net.Conn) error { return proxyServeSOCKS(nc, echo) }),
		"https": proxyServe(t, func(nc net.Conn) error {
			secure := tls.Server(nc, &tls.Config{Certificates: certified.TLS.Certificates})
			defer secure.Close()
			return proxyServeHTTP(secure, echo)
		}),
	}
	dialers := make(map[string]Dialer)
	for scheme, addr := range addrs {
		dialers[scheme] = Dialer{
			Proxy:           http.ProxyURL(proxyURL(t, scheme+"://user:pass@"+addr)),
			TLSClientConfig: hsTLSConfig(certified),
		}
	}
	return dialers
}

func TestDialThroughProxies(t *testing.T) {
	srv := httptest.NewServer(new(Upgrader).HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) }))
	t.Cleanup(srv.Close)
	for scheme, d := range hsProxies(t, srv) {
		c := hsDial(t, d, "ws://echo.test:7/")
		hsWantEcho(t, c, strings.Repeat(scheme, 10_000))
		_, isTLS := c.NetConn().(*tls.Conn)
		if isTLS != (scheme == "https") {
			t.Errorf("%s: got %T, want the connection to the proxy", scheme, c.NetConn())
		}
		c.Close()
	}
}

// TLS goes through the tunnel, to the name of the server. The certificate of httptest is
// for example.com, so for echo.test it takes a ServerName.
func TestDialTLSThroughProxies(t *testing.T) {
	srv, _ := hsTLSServer(t)
	for scheme, d := range hsProxies(t, srv) {
		d.TLSClientConfig.ServerName = "example.com"
		c := hsDial(t, d, "wss://echo.test:7/")
		hsWantEcho(t, c, strings.Repeat(scheme, 10_000))
		if _, ok := c.NetConn().(*tls.Conn); !ok {
			t.Errorf("%s: got %T, want TLS", scheme, c.NetConn())
		}
		c.Close()
	}
}

// The certificate is verified for the server, not for the proxy, through which it came
// (CVE-2020-11050, CVE-2020-15133).
func TestAttackHostNameThroughProxy(t *testing.T) {
	srv, _ := hsTLSServer(t)
	for scheme, d := range hsProxies(t, srv) {
		c, _, err := d.Dial("wss://echo.test:7/", nil)
		var hostname x509.HostnameError
		if c != nil || !errors.As(err, &hostname) || hostname.Host != "echo.test" {
			t.Errorf("%s: got error %v, want an x509.HostnameError for echo.test", scheme, err)
		}
	}
}

// The certificate of an https proxy is verified too, for the proxy's name. TLSClientConfig.ServerName is the
// server's.
func TestAttackHostNameOfProxy(t *testing.T) {
	certified, _ := hsTLSServer(t)
	for _, serverName := range []string{"", "example.com"} {
		var dialed string
		config := hsTLSConfig(certified)
		config.ServerName = serverName
		d := Dialer{
			Proxy:           http.ProxyURL(proxyURL(t, "https://proxy.test")),
			TLSClientConfig: config,
			NetDial: func(network, addr string) (net.Conn, error) {
				dialed = addr
				return net.Dial(network, certified.Listener.Addr().String())
			},
		}
		c, _, err := d.Dial("ws://example.com/", nil)
		var hostname x509.HostnameError
		if c != nil || !errors.As(err, &hostname) || hostname.Host != "proxy.test" || dialed != "proxy.test:443" {
			t.Errorf("got error %v after dialing %s, want an x509.HostnameError for proxy.test", err, dialed)
		}
	}
}

// What the proxy refuses is not taken for the server's answer.
func TestDialProxyRefuses(t *testing.T) {
	addr := proxyServe(t, func(nc net.Conn) error {
		hsSay("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno")(nc)
		return nil
	})
	d := Dialer{Proxy: http.ProxyURL(proxyURL(t, "http://"+addr))}
	c, resp, err := d.Dial("ws://a.example/", nil)
	if want := "websocket: proxy refused CONNECT: 407 Proxy Authentication Required"; c != nil || resp != nil || err == nil || err.Error() != want {
		t.Errorf("got answer %v and error %v, want %s", resp, err, want)
	}
}

// A proxy and the server's TLS get an international name as DNS would.
func TestDialInternationalName(t *testing.T) {
	const url, name = "wss://b\u00fccher.example/", "xn--bcher-kva.example"
	srv, dial := hsTLSServer(t)
	config := hsTLSConfig(srv)
	config.InsecureSkipVerify = true
	var verified string
	config.VerifyConnection = func(state tls.ConnectionState) error {
		verified = state.ServerName
		return nil
	}
	hsWantEcho(t, hsDial(t, Dialer{TLSClientConfig: config, NetDial: dial}, url), "Hello")
	if verified != name {
		t.Errorf("got the name %q for TLS, want %q", verified, name)
	}

	asked := make(chan string, 1)
	addr := proxyServe(t, func(nc net.Conn) error {
		req, err := http.ReadRequest(bufio.NewReader(nc))
		if err == nil {
			asked <- req.RequestURI + " " + req.Host
		}
		return err
	})
	d := Dialer{Proxy: http.ProxyURL(proxyURL(t, "http://"+addr))}
	if _, _, err := d.Dial(url, nil); err == nil {
		t.Error("got a connection from a proxy that hangs up, want an error")
	}
	if got, want := <-asked, name+":443 "+name+":443"; got != want {
		t.Errorf("got %q at the proxy, want %q", got, want)
	}
}
