package websocket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// hsTLSConfig trusts the certificate of a server of httptest, which is for example.com,
// 127.0.0.1 and ::1.
func hsTLSConfig(srv *httptest.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &tls.Config{RootCAs: roots}
}

// hsTLSServer returns a server with TLS, for HTTP/2 too, that echoes, and a function
// that dials it whatever the address.
func hsTLSServer(t *testing.T) (srv *httptest.Server, dial func(network, addr string) (net.Conn, error)) {
	var u Upgrader
	srv = httptest.NewUnstartedServer(u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) }))
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the client breaks off
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, func(network, _ string) (net.Conn, error) { return net.Dial(network, srv.Listener.Addr().String()) }
}

func TestDialTLS(t *testing.T) {
	srv, dial := hsTLSServer(t)
	for _, url := range []string{"wss://example.com/", "https://example.com/", "wss://example.com:8443/", "wss://127.0.0.1/", "wss://[::1]/", srv.URL} {
		c := hsDial(t, Dialer{TLSClientConfig: hsTLSConfig(srv), NetDial: dial}, url)
		hsWantEcho(t, c, url)
	}
}

// The certificate must be for the host of the URL, or for the name that the program
// gives (CVE-2020-11050, CVE-2020-15133).
func TestAttackHostName(t *testing.T) {
	srv, dial := hsTLSServer(t)
	trusted, trustedName := hsTLSConfig(srv), hsTLSConfig(srv)
	trustedName.ServerName = "other.example"
	for _, tt := range []struct {
		url    string
		config *tls.Config
		name   string // "" where the certificate itself is not trusted
	}{
		{"wss://other.example/", trusted, "other.example"},
		{"wss://example.com.evil.org/", trusted, "example.com.evil.org"},
		{"wss://127.0.0.2/", trusted, "127.0.0.2"},
		{"wss://example.com/", trustedName, "other.example"},
		{"wss://example.com/", nil, ""},
		{"wss://example.com/", &tls.Config{}, ""},
	} {
		var nc net.Conn
		d := Dialer{TLSClientConfig: tt.config, NetDial: func(network, addr string) (_ net.Conn, err error) {
			nc, err = dial(network, addr)
			return nc, err
		}}
		c, resp, err := d.Dial(tt.url, nil)
		if c != nil || resp != nil {
			t.Errorf("%s: got a connection or an answer, want none", tt.url)
		}
		var hostname x509.HostnameError
		var authority x509.UnknownAuthorityError
		switch {
		case tt.name == "" && !errors.As(err, &authority):
			t.Errorf("%s: got error %v, want an x509.UnknownAuthorityError", tt.url, err)
		case tt.name != "" && (!errors.As(err, &hostname) || hostname.Host != tt.name):
			t.Errorf("%s: got error %v, want an x509.HostnameError for %s", tt.url, err, tt.name)
		}
		if _, err := nc.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got error %v of a write, want the connection closed", tt.url, err)
		}
	}
}

// A program may say which name it expects, or that it does not care.
func TestDialTLSServerName(t *testing.T) {
	srv, dial := hsTLSServer(t)
	named := hsTLSConfig(srv)
	named.ServerName = "example.com"
	for _, config := range []*tls.Config{named, {InsecureSkipVerify: true}} {
		c := hsDial(t, Dialer{TLSClientConfig: config, NetDial: dial}, "wss://other.example/")
		hsWantEcho(t, c, "Hello")
	}
}

// A configuration that is shared with an http.Transport offers HTTP/2, in which there is
// no such handshake. It works all the same, and is left as it is. Without one, no protocol is offered.
func TestDialTLSNextProtos(t *testing.T) {
	srv, dial := hsTLSServer(t)
	for _, tt := range []struct {
		protos []string
		want   string
	}{
		{nil, ""}, {[]string{}, ""}, {[]string{"h2"}, ""},
		{[]string{"h2", "http/1.1"}, "http/1.1"}, {[]string{"http/1.1", "h2"}, "http/1.1"}, {[]string{"http/1.1"}, "http/1.1"},
	} {
		protos := tt.protos
		config := hsTLSConfig(srv)
		config.NextProtos = slices.Clone(protos)
		c := hsDial(t, Dialer{TLSClientConfig: config, NetDial: dial}, "wss://example.com/")
		hsWantEcho(t, c, "Hello")
		if got := c.NetConn().(*tls.Conn).ConnectionState().NegotiatedProtocol; got != tt.want {
			t.Errorf("%q: got protocol %q, want %q", protos, got, tt.want)
		}
		if !slices.Equal(config.NextProtos, protos) || config.ServerName != "" {
			t.Errorf("got NextProtos %q and ServerName %q, want %q and none", config.NextProtos, config.ServerName, protos)
		}
	}
}

// A server that speaks TLS for some other protocol only can be reached, as no protocol is offered.
func TestDialTLSOtherProtocol(t *testing.T) {
	var u Upgrader
	srv := httptest.NewUnstartedServer(u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) }))
	srv.TLS = &tls.Config{NextProtos: []string{"x-other"}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	srv.TLS.NextProtos = []string{"x-other"} // StartTLS has added its own
	hsWantEcho(t, hsDial(t, Dialer{TLSClientConfig: hsTLSConfig(srv)}, srv.URL), "Hello")
}

// What NetDialTLSContext returns is TLS already, and used as it is.
func TestDialNetDialTLSContext(t *testing.T) {
	srv, _ := hsTLSServer(t)
	var addrs []string
	d := Dialer{NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		addrs = append(addrs, addr)
		config := hsTLSConfig(srv)
		config.ServerName = "example.com"
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, srv.Listener.Addr().String())
	}}
	hsWantEcho(t, hsDial(t, d, "wss://other.example/"), "Hello")
	if want := []string{"other.example:443"}; !slices.Equal(addrs, want) {
		t.Errorf("got %q, want %q", addrs, want)
	}
}

// hsTrace notes which hooks are called, and for what.
func hsTrace(events *[]string) *httptrace.ClientTrace {
	note := func(s ...string) { *events = append(*events, strings.Join(s, " ")) }
	return &httptrace.ClientTrace{
		GetConn:              func(hostPort string) { note("GetConn", hostPort) },
		GotConn:              func(info httptrace.GotConnInfo) { note("GotConn", info.Conn.RemoteAddr().String()) },
		GotFirstResponseByte: func() { note("GotFirstResponseByte") },
		ConnectStart:         func(_, addr string) { note("ConnectStart", addr) },
		ConnectDone:          func(_, addr string, err error) { note("ConnectDone", addr) },
		TLSHandshakeStart:    func() { note("TLSHandshakeStart") },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err != nil {
				note("TLSHandshakeDone with an error")
				return
			}
			note("TLSHandshakeDone")
		},
	}
}

func TestDialTrace(t *testing.T) {
	srv, _ := hsTLSServer(t)
	plain := httptest.NewServer(srv.Config.Handler)
	defer plain.Close()
	untrusted := &tls.Config{RootCAs: x509.NewCertPool()}
	for _, tt := range []struct {
		name   string
		url    string
		config *tls.Config
		want   string // ADDR is the server's
	}{
		{"plain", plain.URL, nil, "GetConn ADDR, ConnectStart ADDR, ConnectDone ADDR, GotConn ADDR, GotFirstResponseByte"},
		{"TLS", srv.URL, hsTLSConfig(srv), "GetConn ADDR, ConnectStart ADDR, ConnectDone ADDR, TLSHandshakeStart, TLSHandshakeDone, GotConn ADDR, GotFirstResponseByte"},
		{"TLS fails", srv.URL, untrusted, "GetConn ADDR, ConnectStart ADDR, ConnectDone ADDR, TLSHandshakeStart, TLSHandshakeDone with an error"},
	} {
		var events []string
		ctx := httptrace.WithClientTrace(context.Background(), hsTrace(&events))
		d := Dialer{TLSClientConfig: tt.config}
		if c, _, err := d.DialContext(ctx, tt.url, nil); err == nil {
			c.Close()
		}
		u, _ := url.Parse(tt.url)
		if got, want := strings.Join(events, ", "), strings.ReplaceAll(tt.want, "ADDR", u.Host); got != want {
			t.Errorf("%s: got %s, want %s", tt.name, got, want)
		}
	}
}

// A trace need not have all hooks, or any.
func TestDialTraceWithoutHooks(t *testing.T) {
	srv, dial := hsTLSServer(t)
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{})
	d := Dialer{TLSClientConfig: hsTLSConfig(srv), NetDial: dial}
	c, _, err := d.DialContext(ctx, "wss://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
