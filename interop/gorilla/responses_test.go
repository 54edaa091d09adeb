package gorilla

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"
)

var _ = scenes(
	scenario{name: "a header in the answer", ends: serverOnly, run: func(x *exchange) {
		x.responseHeader = http.Header{
			"Set-Cookie": {"a=1", "b=2; Path=/"},
			"X-Test":     {"text", ""},
			"x-lower":    {"1"},
		}
		x.rawRequest(request())
	}},
	scenario{name: "control characters in the answer", ends: serverOnly, run: func(x *exchange) {
		x.responseHeader = http.Header{"X-Test": {"a\r\nX-Injected: 1\x00\x1f\tz"}}
		x.rawRequest(request())
	}},
	scenario{name: "the character DEL in the answer", ends: serverOnly, run: func(x *exchange) {
		x.responseHeader = http.Header{"X-Test": {"a\x7fz"}}
		x.rawRequest(request())
	}},
	scenario{name: "a malformed name in the answer", ends: serverOnly, run: func(x *exchange) {
		x.responseHeader = http.Header{"X Test": {"a"}}
		x.noteRefusal()
		x.rawRequest(request())
	}},
	scenario{name: "fields of the handshake in the answer", ends: serverOnly, run: func(x *exchange) {
		x.responseHeader = http.Header{"Upgrade": {"h2c"}, "Connection": {"close"}, "Sec-Websocket-Accept": {"x"}, "Content-Length": {"5"}}
		x.rawRequest(request())
	}},
	scenario{name: "extensions in the answer", ends: serverOnly, run: func(x *exchange) {
		x.responseHeader = http.Header{"Sec-Websocket-Extensions": {"x"}}
		x.rawRequest(request())
	}},
	scenario{name: "HandshakeTimeout of an Upgrader", ends: serverOnly, run: func(x *exchange) {
		x.upgrader.HandshakeTimeout = time.Minute
		x.rawRequest(request())
		x.server.write(textMessage, "hello")
	}},
)

// protocolCases are subprotocols that a client asks for and a server chooses from.
var protocolCases = []struct {
	name      string
	lines     []string // of the request
	supported []string
	answer    http.Header
}{
	{name: "none supported", lines: []string{"a, b"}, supported: []string{}},
	{name: "none asked for", supported: []string{"a"}},
	{name: "one in common", lines: []string{"x, b, y"}, supported: []string{"a", "b"}},
	{name: "none in common", lines: []string{"x"}, supported: []string{"a", "b"}},
	{name: "upper case", lines: []string{"A"}, supported: []string{"a"}},
	{name: "several in common", lines: []string{"b, a"}, supported: []string{"a", "b"}},
	{name: "on several lines", lines: []string{"x", "b"}, supported: []string{"a", "b"}},
	{name: "chosen by the program", lines: []string{"a, b"}, answer: http.Header{"Sec-Websocket-Protocol": {"b"}}},
	{name: "chosen by the program and the Upgrader", lines: []string{"a, b"}, supported: []string{"a"}, answer: http.Header{"Sec-Websocket-Protocol": {"b"}}},
	{name: "chosen by the program with none supported", lines: []string{"a, b"}, supported: []string{}, answer: http.Header{"Sec-Websocket-Protocol": {"b"}}},
	{name: "chosen by the program that nobody asked for", answer: http.Header{"Sec-Websocket-Protocol": {"b"}}},
}

var _ = func() bool {
	for _, c := range protocolCases {
		scenes(scenario{name: "subprotocols, " + c.name, ends: serverOnly, run: func(x *exchange) {
			x.upgrader.Subprotocols = c.supported
			x.responseHeader = c.answer
			var fields []string
			for _, line := range c.lines {
				fields = append(fields, "Sec-WebSocket-Protocol: "+line)
			}
			x.rawRequest(request(fields...))
		}})
	}
	return true
}()

var _ = scenes(
	scenario{name: "subprotocols of both ends", run: func(x *exchange) {
		x.dialer.Subprotocols = []string{"b", "c"}
		x.upgrader.Subprotocols = []string{"a", "b"}
		x.connect()
	}},
	scenario{name: "subprotocols in the request header", run: func(x *exchange) {
		x.requestHeader = http.Header{"Sec-Websocket-Protocol": {"b, c"}}
		x.upgrader.Subprotocols = []string{"c"}
		x.connect()
	}},
	scenario{name: "subprotocols in the request header on two lines", run: func(x *exchange) {
		x.requestHeader = http.Header{"Sec-Websocket-Protocol": {"b", "c"}}
		x.upgrader.Subprotocols = []string{"b"}
		x.connect()
	}},
	scenario{name: "headers both ways", run: func(x *exchange) {
		x.requestHeader = http.Header{
			"Origin":        {"http://" + "example.com"},
			"Host":          {"example.com"},
			"Cookie":        {"user=1"},
			"Authorization": {"Basic eDp5"},
			"User-Agent":    {"test"},
			"x-lower":       {"1", "2"},
		}
		x.responseHeader = http.Header{"X-Test": {"1"}}
		x.connect()
	}},
	scenario{name: "cookies", run: func(x *exchange) {
		jar, err := cookiejar.New(nil)
		x.fatal(err)
		x.dialer.Jar = jar
		x.listen()
		at := &url.URL{Scheme: "http", Host: x.relay.Addr().String(), Path: "/"}
		jar.SetCookies(at, []*http.Cookie{{Name: "first", Value: "1"}})
		x.responseHeader = http.Header{"Set-Cookie": {"second=2; Path=/", "third=3"}}
		x.connect()
		x.client.note("the jar has %v", jar.Cookies(at))
		x.connect()
	}},
	scenario{name: "cookies of a jar and a program", run: func(x *exchange) {
		jar, err := cookiejar.New(nil)
		x.fatal(err)
		x.dialer.Jar = jar
		x.listen()
		jar.SetCookies(&url.URL{Scheme: "http", Host: x.relay.Addr().String(), Path: "/"}, []*http.Cookie{{Name: "jar", Value: "1"}})
		x.requestHeader = http.Header{"Cookie": {"program=1"}}
		x.connect()
	}},
	scenario{name: "a refusal", run: func(x *exchange) {
		x.upgrader.CheckOrigin = func(*http.Request) bool { return false }
		x.handshake()
	}},
)
