package gorilla

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strings"
)

// noteRefusal makes the server answer refusals itself.
func (x *exchange) noteRefusal() {
	x.upgrader.Error = func(w http.ResponseWriter, r *http.Request, status int, reason error) {
		x.server.note("Error: %d, %s", status, x.server.lib.describe(reason))
		w.WriteHeader(http.StatusTeapot)
	}
}

// refusedRequests are requests, of which each has something wrong.
var refusedRequests = []struct{ name, old, new string }{
	{"no Connection field", "Connection: Upgrade\r\n", ""},
	{"no Upgrade field", "Upgrade: websocket\r\n", ""},
	{"neither Connection nor Upgrade field", "Upgrade: websocket\r\nConnection: Upgrade\r\n", ""},
	{"another Connection token", "Connection: Upgrade", "Connection: keep-alive"},
	{"another Upgrade token", "Upgrade: websocket", "Upgrade: h2c"},
	{"the method POST", "GET", "POST"},
	{"the method HEAD", "GET", "HEAD"},
	{"no version", "Sec-WebSocket-Version: 13\r\n", ""},
	{"version 8", "Version: 13", "Version: 8"},
	{"an empty version", "Version: 13", "Version: "},
	{"an Origin of another host", "\r\n\r\n", "\r\nOrigin: http://other.example\r\n\r\n"},
	{"no key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""},
	{"an empty key", "dGhlIHNhbXBsZSBub25jZQ==", ""},
	{"a short key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"},
	{"a long key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZXM="},
	{"a key that is no base64", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="},
	{"a key without padding", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"},
	{"the version HTTP/1.0", "HTTP/1.1", "HTTP/1.0"},
	{"a body", "\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody"},
	{"two versions", "Version: 13", "Version: 13, 8"},
	{"two version lines", "\r\n\r\n", "\r\nSec-WebSocket-Version: 8\r\n\r\n"},
	{"two keys", "\r\n\r\n", "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"},
	{"a subprotocol that is no token", "\r\n\r\n", "\r\nSec-WebSocket-Protocol: a b\r\n\r\n"},
	{"extensions that are malformed", "\r\n\r\n", "\r\nSec-WebSocket-Extensions: a;;\r\n\r\n"},
}

var _ = func() bool {
	for _, r := range refusedRequests {
		text := strings.Replace(request(), r.old, r.new, 1)
		scenes(scenario{name: "a request with " + r.name, ends: serverOnly, run: func(x *exchange) { x.rawRequest(text) }})
	}
	return true
}()

var acceptedRequests = []struct{ name, old, new string }{
	{"other upper and lower case", "Upgrade: websocket\r\nConnection: Upgrade", "upgrade: WebSocket\r\nCONNECTION: upgrade"},
	{"lists of tokens", "Upgrade: websocket\r\nConnection: Upgrade", "Upgrade: h2c, websocket\r\nConnection: keep-alive,Upgrade"},
	{"lists on several lines", "Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: h2c"},
	{"an extension that is unknown", "\r\n\r\n", "\r\nSec-WebSocket-Extensions: x-unknown; a=1\r\n\r\n"},
	{"subprotocols that nobody supports", "\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, b\r\n\r\n"},
	{"an Origin of the same host", "\r\n\r\n", "\r\nOrigin: http://example.com\r\n\r\n"},
	{"an Origin of the same host over https", "\r\n\r\n", "\r\nOrigin: https://EXAMPLE.com\r\n\r\n"},
}

var _ = func() bool {
	for _, r := range acceptedRequests {
		scenes(scenario{name: "a request with " + r.name, ends: serverOnly, run: func(x *exchange) {
			x.rawRequest(strings.Replace(request(), r.old, r.new, 1))
		}})
	}
	return true
}()

// origins are Origin fields of requests for example.com.
var origins = []string{
	"null", "", "file://", "http://", "http://example.com:80", "https://example.com:443", "http://example.com:8080", "http://www.example.com",
	"http://example.com.evil.example", "http://example.com@evil.example", "http://evil.example@example.com",
	"http://user:password@example.com", "//example.com", "example.com", "http://example.com/path", "http://exa%6dple.com", "http://example.com.",
	"http://%zz", "chrome-extension://example.com",
}

var _ = func() bool {
	for _, origin := range origins {
		scenes(scenario{name: "the Origin " + origin, ends: serverOnly, run: func(x *exchange) {
			x.rawRequest(request("Origin: " + origin))
		}})
	}
	return scenes(
		scenario{name: "two Origin fields", ends: serverOnly, run: func(x *exchange) {
			x.rawRequest(request("Origin: http://example.com", "Origin: http://evil.example"))
		}},
		scenario{name: "CheckOrigin that allows", ends: serverOnly, run: func(x *exchange) {
			x.upgrader.CheckOrigin = func(r *http.Request) bool {
				x.server.note("CheckOrigin: %s", r.Header.Get("Origin"))
				return true
			}
			x.rawRequest(request("Origin: http://evil.example"))
		}},
		scenario{name: "CheckOrigin that forbids", ends: serverOnly, run: func(x *exchange) {
			x.upgrader.CheckOrigin = func(r *http.Request) bool { return false }
			x.rawRequest(request())
		}},
		scenario{name: "the deprecated Upgrade and an Origin of another host", ends: serverOnly, run: func(x *exchange) {
			x.oldUpgrade = true
			x.rawRequest(request("Origin: http://evil.example"))
		}},
		scenario{name: "the deprecated Upgrade and a request without a key", ends: serverOnly, run: func(x *exchange) {
			x.oldUpgrade = true
			x.rawRequest(strings.Replace(request(), "Sec-WebSocket-Key", "X-Key", 1))
		}},
	)
}()

var _ = func() bool {
	// What is wrong with a request, in the order in which it is found.
	wrong := [][2]string{
		{"Connection: Upgrade", "Connection: close"},
		{"Upgrade: websocket", "Upgrade: h2c"},
		{"GET", "DELETE"},
		{"Version: 13", "Version: 12"},
		{"\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n"},
		{"dGhlIHNhbXBsZSBub25jZQ==", "key"},
	}
	return scenes(scenario{name: "requests with several faults", ends: serverOnly, run: func(x *exchange) {
		x.noteRefusal()
		for i := range wrong {
			text := request()
			for _, w := range wrong[i:] {
				text = strings.Replace(text, w[0], w[1], 1)
			}
			x.rawRequest(text)
		}
		x.responseHeader = http.Header{"Sec-Websocket-Extensions": {"x"}}
		x.rawRequest(request("Origin: http://evil.example"))
	}})
}()

// unwrapper is a ResponseWriter as middleware makes them.
type unwrapper struct{ http.ResponseWriter }

func (w unwrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type failingHijacker struct{ http.ResponseWriter }

func (failingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("no hijacking today")
}

var _ = scenes(
	scenario{name: "a ResponseWriter that cannot be hijacked", ends: serverOnly, run: func(x *exchange) {
		x.wrap = func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} }
		x.rawRequest(request())
	}},
	scenario{name: "a ResponseWriter that is wrapped", ends: serverOnly, run: func(x *exchange) {
		x.wrap = func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{w} }
		x.rawRequest(request())
	}},
	scenario{name: "a ResponseWriter whose Hijack fails", ends: serverOnly, run: func(x *exchange) {
		x.wrap = func(w http.ResponseWriter) http.ResponseWriter { return failingHijacker{w} }
		x.noteRefusal()
		x.rawRequest(request())
	}},
	scenario{name: "a frame behind the request", ends: serverOnly, run: func(x *exchange) {
		x.rawRequest(request() + x.client.frame(0x81, "early"))
		if x.server.conn != nil {
			x.server.read()
		}
	}},
)
