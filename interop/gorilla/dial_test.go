package gorilla

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// answers are what a server says to the opening handshake; ACCEPT in them becomes
// the right Sec-WebSocket-Accept.
var answers = []struct{ name, text string }{
	{"that is right", good},
	{"in other upper and lower case", "HTTP/1.1 101 x\r\nupgrade: WebSocket\r\nCONNECTION: upgrade\r\nsec-websocket-accept: ACCEPT\r\n\r\n"},
	{"with another reason phrase", strings.Replace(good, "Switching Protocols", "", 1)},
	{"with further fields", strings.Replace(good, "\r\n\r\n", "\r\nSet-Cookie: a=1\r\nX-Test: b\r\n\r\n", 1)},
	{"with a list of Connection tokens", strings.Replace(good, "Connection: Upgrade", "Connection: keep-alive, Upgrade", 1)},
	{"without an Upgrade field", strings.Replace(good, "Upgrade: websocket\r\n", "", 1)},
	{"with another Upgrade", strings.Replace(good, "websocket", "h2c", 1)},
	{"with two protocols in Upgrade", strings.Replace(good, "websocket", "websocket, h2c", 1)},
	{"without a Connection field", strings.Replace(good, "Connection: Upgrade\r\n", "", 1)},
	{"with another Connection token", strings.Replace(good, "Connection: Upgrade", "Connection: keep-alive", 1)},
	{"without an Accept field", strings.Replace(good, "Sec-WebSocket-Accept: ACCEPT\r\n", "", 1)},
	{"with a wrong Accept field", strings.Replace(good, "ACCEPT", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1)},
	{"with two Accept fields", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Accept: x\r\n\r\n", 1)},
	{"with the version HTTP/1.0", strings.Replace(good, "1.1", "1.0", 1)},
	{"with a subprotocol that nobody asked for", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: a\r\n\r\n", 1)},
	{"with an extension that nobody asked for", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: x-test\r\n\r\n", 1)},
	{"with compression that nobody asked for", strings.Replace(good, "\r\n\r\n",
		"\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n", 1)},
	{"with compression of another kind", strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1)},
	{"behind a 103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + good},
	{"that is 200 with a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
	{"that is 200 without a length", "HTTP/1.1 200 OK\r\n\r\nhello"},
	{"that is 200 in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{"with a body of 1024 bytes", "HTTP/1.1 403 Forbidden\r\nContent-Length: 1024\r\n\r\n" + filler(1024)},
	{"with a body of 2000 bytes", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2000\r\n\r\n" + filler(2000)},
	{"with a body that is cut", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2000\r\n\r\nhello"},
	{"that redirects", "HTTP/1.1 301 Moved Permanently\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"},
	{"that asks for a password", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno"},
	{"that is 404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
	{"that is 500", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"},
	{"that is 204", "HTTP/1.1 204 No Content\r\n\r\n"},
	{"that is no HTTP", "SSH-2.0-test\r\n\r\n"},
	{"that is empty", ""},
	{"that is cut", "HTTP/1.1 101 Switching Proto"},
	{"that is cut in a field", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web"},
	{"with a malformed field", "HTTP/1.1 101 Switching Protocols\r\nno field\r\n\r\n"},
}

const good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"

// answerWith makes the server give the answer.
func (x *exchange) answerWith(answer string) {
	x.answer = func(r *http.Request) string {
		return strings.Replace(answer, "ACCEPT", accept(r.Header.Get("Sec-Websocket-Key")), 1)
	}
}

var _ = func() bool {
	for _, a := range answers {
		scenes(scenario{name: "an answer " + a.name, ends: clientOnly, run: func(x *exchange) {
			x.answerWith(a.text)
			x.handshake()
		}})
	}
	return scenes(
		scenario{name: "an answer and a frame behind it", ends: clientOnly, run: func(x *exchange) {
			x.answerWith(good + "\x81\x05early")
			x.connect()
			x.client.read()
		}},
		scenario{name: "a subprotocol that was asked for", ends: clientOnly, run: func(x *exchange) {
			x.dialer.Subprotocols = []string{"a", "b"}
			x.answerWith(strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: b\r\n\r\n", 1))
			x.connect()
		}},
		scenario{name: "a subprotocol that was not asked for", ends: clientOnly, run: func(x *exchange) {
			x.dialer.Subprotocols = []string{"a", "b"}
			x.answerWith(strings.Replace(good, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: c\r\n\r\n", 1))
			x.handshake()
		}},
		scenario{name: "cookies of a refusal", ends: clientOnly, run: func(x *exchange) {
			jar, err := cookiejar.New(nil)
			x.fatal(err)
			x.dialer.Jar = jar
			x.answerWith("HTTP/1.1 401 Unauthorized\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n")
			x.handshake()
			x.client.note("the jar has %v", jar.Cookies(&url.URL{Scheme: "http", Host: x.relay.Addr().String(), Path: "/"}))
		}},
		scenario{name: "a server that does not answer in time", ends: clientOnly, run: func(x *exchange) {
			x.dialer.HandshakeTimeout = 200 * time.Millisecond
			x.answer = func(*http.Request) string {
				<-x.done
				return ""
			}
			x.handshake()
		}},
		scenario{name: "HandshakeTimeout and what comes after the handshake", ends: clientOnly, run: func(x *exchange) {
			x.dialer.HandshakeTimeout = time.Hour
			var c *deadlineConn
			x.dialer.NetDial = func(network, addr string) (net.Conn, error) {
				nc, err := net.Dial(network, addr)
				c = &deadlineConn{Conn: nc}
				return c, err
			}
			x.connect()
			x.client.note("no deadline is left: %v", c.read.IsZero() && c.write.IsZero())
		}},
		scenario{name: "a nil Dialer", ends: clientOnly, run: func(x *exchange) {
			x.listen()
			x.background.Add(1)
			go x.rawAnswer()
			x.client.dialed(x.client.lib.dial(context.Background(), nil, x.url(), nil))
			x.awaitAnswer()
			x.server.sendRaw(x.server.frame(0x81, "hello"))
			x.client.read()
		}},
		scenario{name: "the deprecated NewClient", ends: clientOnly, run: func(x *exchange) {
			x.listen()
			x.background.Add(1)
			go x.rawAnswer()
			nc, err := net.Dial("tcp", x.relay.Addr().String())
			x.fatal(err)
			u, err := url.Parse("ws://example.com/path?query#fragment")
			x.fatal(err)
			x.client.dialed(x.client.lib.oldNewClient(nc, u, http.Header{"Origin": {"http://example.com"}}))
			x.awaitAnswer()
			x.server.sendRaw(x.server.frame(0x81, "hello"))
			x.client.read()
		}},
	)
}()

// deadlineConn knows its deadlines.
type deadlineConn struct {
	net.Conn
	read, write time.Time
}

func (c *deadlineConn) SetReadDeadline(t time.Time) error {
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *deadlineConn) SetWriteDeadline(t time.Time) error {
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *deadlineConn) SetDeadline(t time.Time) error {
	c.read, c.write = t, t
	return c.Conn.SetDeadline(t)
}

// noNetwork makes Dial fail at the address that it would connect to.
func (x *exchange) noNetwork() {
	x.dialer.NetDial = func(network, addr string) (net.Conn, error) {
		return nil, fmt.Errorf("NetDial %s %s", network, addr)
	}
}

var urls = []string{
	"ws://example.com", "wss://example.com", "ws://example.com:8080/path?query", "WS://EXAMPLE.com/", "ws://[::1]", "wss://[::1]:8443/",
	"http://example.com", "https://example.com", "ftp://example.com", "example.com", "/path", "", "ws:opaque", "ws://user@example.com/",
	"ws://user:password@example.com/", "ws://example.com:port/", "ws://exa mple.com/", "ws://%zz/", "://", "\x7f", "ws://example.com/#fragment",
}

var _ = func() bool {
	for _, u := range urls {
		scenes(scenario{name: fmt.Sprintf("the URL %q", u), ends: clientOnly, run: func(x *exchange) {
			x.noNetwork()
			x.dial(u)
		}})
	}
	for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol"} {
		scenes(scenario{name: "the request field " + name, ends: clientOnly, run: func(x *exchange) {
			x.dialer.Subprotocols = []string{"a"}
			x.noNetwork()
			x.requestHeader = http.Header{name: {"x"}}
			x.dial("ws://example.com/")
		}})
	}
	return true
}()

// requestHeaders are some that have something special.
var requestHeaders = []struct {
	name   string
	header http.Header
}{
	{"an empty Host", http.Header{"Host": {}}},
	{"a Host of two", http.Header{"Host": {"a.example", "b.example"}}},
	{"a malformed Host", http.Header{"Host": {"a\r\nX: y"}}},
	{"a malformed name", http.Header{"X Test": {"a"}}},
	{"a malformed value", http.Header{"X-Test": {"a\r\nX-Injected: 1"}}},
	{"lower-case upgrade", http.Header{"upgrade": {"h2c"}}},
	{"lower-case sec-websocket-key", http.Header{"sec-websocket-key": {"x"}}},
	{"lower-case host", http.Header{"host": {"a.example"}}},
	{"Content-Length", http.Header{"Content-Length": {"5"}}},
	{"lower-case content-length", http.Header{"content-length": {"5"}}},
	{"a subprotocol that is no token", http.Header{"Sec-Websocket-Protocol": {"a b"}}},
	{"no values", http.Header{"X-Test": {}}},
	{"a Cookie of two", http.Header{"Cookie": {"a=1", "b=2"}}},
}

var _ = func() bool {
	for _, h := range requestHeaders {
		scenes(scenario{name: "a request header with " + h.name, ends: clientOnly, run: func(x *exchange) {
			x.requestHeader = h.header
			x.handshake()
		}})
	}
	return scenes(
		scenario{name: "a subprotocol of the Dialer that is no token", ends: clientOnly, run: func(x *exchange) {
			x.dialer.Subprotocols = []string{"a b", "c"}
			x.handshake()
		}},
		scenario{name: "a subprotocol of the Dialer twice", ends: clientOnly, run: func(x *exchange) {
			x.dialer.Subprotocols = []string{"a", "a"}
			x.handshake()
		}},
		scenario{name: "NetDialContext before NetDial", ends: clientOnly, run: func(x *exchange) {
			x.noNetwork()
			x.dialer.NetDialContext = func(_ context.Context, network, addr string) (net.Conn, error) {
				return nil, fmt.Errorf("NetDialContext %s %s", network, addr)
			}
			x.dial("ws://example.com/")
			x.dial("wss://example.com/")
			x.dialer.NetDialTLSContext = func(_ context.Context, network, addr string) (net.Conn, error) {
				return nil, fmt.Errorf("NetDialTLSContext %s %s", network, addr)
			}
			x.dial("ws://example.com/")
			x.dial("wss://example.com/")
		}},
		scenario{name: "the context of NetDialContext", ends: clientOnly, run: func(x *exchange) {
			type key struct{}
			x.dialer.HandshakeTimeout = time.Hour
			x.dialer.NetDialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				_, bounded := ctx.Deadline()
				return nil, fmt.Errorf("the value %v, with a deadline: %v", ctx.Value(key{}), bounded)
			}
			ctx := context.WithValue(context.Background(), key{}, "inherited")
			x.client.dialed(x.client.lib.dial(ctx, &x.dialer, "ws://example.com/", nil))
		}},
		scenario{name: "a context that was cancelled", ends: clientOnly, run: func(x *exchange) {
			x.listen()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			x.client.dialed(x.client.lib.dial(ctx, &x.dialer, x.url(), nil))
		}},
		scenario{name: "a context that is cancelled during the handshake", ends: clientOnly, run: func(x *exchange) {
			x.listen()
			ctx, cancel := context.WithCancel(context.Background())
			given := make(chan struct{})
			x.answer = func(r *http.Request) string {
				cancel()
				select { // a client that cares has gone by then
				case <-given:
				case <-time.After(200 * time.Millisecond):
				}
				return switching(r)
			}
			x.background.Add(1)
			go x.rawAnswer()
			x.programsOnly = true
			x.client.dialed(x.client.lib.dial(ctx, &x.dialer, x.url(), nil))
			close(given)
		}},
		scenario{name: "a server that refuses connections", ends: clientOnly, run: func(x *exchange) {
			x.listen()
			at := x.url()
			x.relay.Close()
			x.dial(at)
		}},
	)
}()

// viaProxy makes Dial use a proxy.
func (x *exchange) viaProxy(proxy *url.URL, err error) {
	x.dialer.Proxy = func(r *http.Request) (*url.URL, error) {
		x.client.note("Proxy for %s %s", r.Method, withoutAddress(r.URL.String()))
		return proxy, err
	}
}

var _ = scenes(
	scenario{name: "no proxy for the request", ends: clientOnly, run: func(x *exchange) {
		x.viaProxy(nil, nil)
		x.connect()
	}},
	scenario{name: "a proxy function's error", ends: clientOnly, run: func(x *exchange) {
		x.viaProxy(nil, errors.New("no proxy today"))
		x.noNetwork()
		x.dial("wss://example.com/")
	}},
	scenario{name: "the addresses of proxies", ends: clientOnly, run: func(x *exchange) {
		x.noNetwork()
		for _, scheme := range []string{"http", "socks5"} {
			for _, host := range []string{"proxy.example", "proxy.example:3128", "[::1]"} {
				x.viaProxy(&url.URL{Scheme: scheme, Host: host}, nil)
				x.dial("ws://example.com/")
				x.dial("wss://example.com/")
			}
		}
	}},
	scenario{name: "an https proxy", ends: clientOnly, run: func(x *exchange) {
		x.noNetwork()
		x.viaProxy(&url.URL{Scheme: "https", Host: "proxy.example"}, nil)
		x.dial("ws://example.com/")
	}},
	scenario{name: "a proxy of an unknown scheme", ends: clientOnly, run: func(x *exchange) {
		x.noNetwork()
		x.viaProxy(&url.URL{Scheme: "gopher", Host: "proxy.example"}, nil)
		x.dial("ws://example.com/")
	}},
	scenario{name: "a proxy and NetDialTLSContext", ends: clientOnly, run: func(x *exchange) {
		x.noNetwork()
		x.dialer.NetDialTLSContext = func(_ context.Context, network, addr string) (net.Conn, error) {
			return nil, fmt.Errorf("NetDialTLSContext %s %s", network, addr)
		}
		x.viaProxy(&url.URL{Scheme: "http", Host: "proxy.example"}, nil)
		x.dial("ws://example.com/")
		x.dial("wss://example.com/")
	}},
	scenario{name: "an http proxy", ends: clientOnly, run: func(x *exchange) {
		x.listen()
		x.viaProxy(&url.URL{Scheme: "http", Host: x.relay.Addr().String(), User: url.UserPassword("user", "password")}, nil)
		x.throughProxy("HTTP/1.1 200 Connection established\r\n\r\n")
	}},
	scenario{name: "an http proxy that refuses", ends: clientOnly, run: func(x *exchange) {
		x.listen()
		x.viaProxy(&url.URL{Scheme: "http", Host: x.relay.Addr().String()}, nil)
		x.throughProxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
	}},
)

// throughProxy dials by way of the raw server, which gives the answer to CONNECT.
func (x *exchange) throughProxy(answer string) {
	x.answer = func(r *http.Request) string {
		x.server.note("%s %s, Host %s, Proxy-Authorization %q", r.Method, r.RequestURI, r.Host, r.Header.Get("Proxy-Authorization"))
		if r.Method == http.MethodConnect {
			return answer
		}
		return switching(r)
	}
	x.programsOnly = true // the relay's record begins with what is for the proxy
	x.background.Add(1)
	go x.rawAnswer()
	x.dial("ws://example.com/path")
	if x.client.conn != nil {
		x.awaitAnswer()
		x.server.sendRaw(x.server.frame(0x81, "hello"))
		x.client.read()
	}
}
