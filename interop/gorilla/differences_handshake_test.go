package gorilla

import (
	"fmt"
	"net/http"
	"strings"
)

// minus marks lines as gorilla's, plus as this library's.
func minus(lines string) string { return "\n- " + strings.ReplaceAll(lines, "\n", "\n- ") }
func plus(lines string) string  { return "\n+ " + strings.ReplaceAll(lines, "\n", "\n+ ") }

// upgraded is a handshake that a server completes.
const upgraded = `server: Upgrade: ok
server: Subprotocol: ""
` + switched

const switched = `server sends: HTTP/1.1 101 Switching Protocols
server sends: Connection: Upgrade
server sends: Sec-WebSocket-Accept: ACCEPT
server sends: Upgrade: websocket`

// refused is a handshake that a server refuses.
func refused(status int, reason string) string {
	return fmt.Sprintf("server: Upgrade: error %q (HandshakeError)\n", reason) + answered(status)
}

func answered(status int) string {
	text := http.StatusText(status)
	s := fmt.Sprintf(`server sends: HTTP/1.1 %d %s
server sends: Content-Length: %d
server sends: Content-Type: text/plain; charset=utf-8
server sends: Date: DATE
server sends: Sec-Websocket-Version: 13
server sends: X-Content-Type-Options: nosniff
server sends: body %q`, status, text, len(text)+1, text+"\n")
	if status == http.StatusUpgradeRequired {
		s += "\nserver sends: Connection: Upgrade\nserver sends: Upgrade: websocket"
	}
	return s
}

const (
	badVersion = "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header"
	badOrigin  = "websocket: request origin not allowed by Upgrader.CheckOrigin"
	badKey     = "websocket: not a websocket handshake: 'Sec-WebSocket-Key' header must be Base64 encoded value of 16-byte in length"
	noHijacker = "websocket: response does not implement http.Hijacker"
	notUpgrade = "websocket: the client is not using the websocket protocol: "
)

// Upgrade.

var _ = differ(upgradeRequired, asServer, minus(answered(400))+plus(answered(426)),
	"a request with neither Connection nor Upgrade field", "a request with no Upgrade field", "a request with another Upgrade token",
	"a request with no version", "a request with version 8", "a request with an empty version")

var _ = differ(upgradeRequired, asServer, `
- server: Error: 400, error "websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header" (HandshakeError)
+ server: Error: 426, error "websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header" (HandshakeError)
+ server sends: Sec-Websocket-Version: 13
+ server sends: Upgrade: websocket
- server: Error: 400, error "websocket: the client is not using the websocket protocol: 'websocket' token not found in 'Upgrade' header" (HandshakeError)
+ server: Error: 426, error "websocket: the client is not using the websocket protocol: 'websocket' token not found in 'Upgrade' header" (HandshakeError)
+ server sends: Connection: Upgrade
+ server sends: Sec-Websocket-Version: 13
+ server sends: Upgrade: websocket
- server: Error: 400, error "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header" (HandshakeError)
+ server: Error: 426, error "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header" (HandshakeError)
+ server sends: Connection: Upgrade
+ server sends: Sec-Websocket-Version: 13
+ server sends: Upgrade: websocket`,
	"requests with several faults")

var _ = differ(headerLast, asServer, `
- server: Error: 500, error "websocket: application specific 'Sec-WebSocket-Extensions' headers are unsupported" (HandshakeError)
- server: Upgrade: error "websocket: application specific 'Sec-WebSocket-Extensions' headers are unsupported" (HandshakeError)
+ server: Error: 403, error "websocket: request origin not allowed by Upgrader.CheckOrigin" (HandshakeError)
+ server: Upgrade: error "websocket: request origin not allowed by Upgrader.CheckOrigin" (HandshakeError)`,
	"requests with several faults")

var _ = differ(allowHeader, asServer, plus("server sends: Allow: GET"),
	"a request with the method POST", "a request with the method HEAD", "requests with several faults")

var _ = differ(oneVersion, asServer, minus(upgraded)+plus(refused(426, badVersion)),
	"a request with two versions", "a request with two version lines")

var _ = differ(oneKey, asServer, minus(upgraded)+plus(refused(400, badKey)),
	"a request with two keys")

var _ = differ(malformedRequest, asServer,
	minus(upgraded)+plus(refused(400, "websocket: not a websocket handshake: 'Sec-WebSocket-Protocol' header has a character that is not visible ASCII")),
	"a request with a subprotocol that is no token")

var _ = differ(malformedRequest, asServer,
	minus(upgraded)+plus(refused(400, "websocket: not a websocket handshake: 'Sec-WebSocket-Extensions' header: unexpected ';' where a name or value begins")),
	"a request with extensions that are malformed")

var _ = differ(noBody, asServer, `
- client: no response: unexpected EOF
- server: Upgrade: error "websocket: client sent data before handshake is complete"`+
	plus(refused(400, "websocket: not a websocket handshake: the request has a body")),
	"a request with a body")

var _ = differ(httpVersion, asServer, minus(upgraded)+
	plus(strings.Replace(refused(400, notUpgrade+"the request came over HTTP/1.0, which has no upgrade to other protocols"), "HTTP/1.1", "HTTP/1.0", 1)),
	"a request with the version HTTP/1.0")

var _ = differ(earlyFrames, asServer, `
- client: no response: unexpected EOF
- server: Upgrade: error "websocket: client sent data before handshake is complete"
- client sends: body "\x81\x85\x00\x00\x00\x00early"
+ server: ReadMessage: text "early", ok
+ client sends: text masked "early"`+plus(upgraded),
	"a frame behind the request")

var _ = differ(originOfUser, asServer, minus(upgraded)+plus(refused(403, badOrigin)),
	"two Origin fields", "the Origin http://user:password@example.com", "the Origin http://evil.example@example.com")

var _ = differ(originPort, asServer, minus(refused(403, badOrigin))+plus(upgraded),
	"the Origin http://example.com:80", "the Origin https://example.com:443")

var _ = differ(subprotocolList, asServer, `
- server: Subprotocol: ""
+ server: Subprotocol: "b"
+ server sends: Sec-WebSocket-Protocol: b`,
	"subprotocols, on several lines")

var _ = differ(clientChooses, asServer, `
- server: Subprotocol: "a"
+ server: Subprotocol: "b"
- server sends: Sec-WebSocket-Protocol: a
+ server sends: Sec-WebSocket-Protocol: b`,
	"subprotocols, several in common")

var _ = differ(unwraps, asServer, minus(refused(500, noHijacker))+plus(upgraded),
	"a ResponseWriter that is wrapped")

var _ = differ(wording, asServer, `
- server: Error: 500, error "no hijacking today" (HandshakeError)
- server: Upgrade: error "no hijacking today" (HandshakeError)
+ server: Error: 500, error "websocket: no hijacking today" (HandshakeError)
+ server: Upgrade: error "websocket: no hijacking today" (HandshakeError)`,
	"a ResponseWriter whose Hijack fails")

var _ = differ(safeAnswer, asServer, `
- server sends: Connection: close
- server sends: Content-Length: 5
- server sends: Sec-Websocket-Accept: x
- server sends: Upgrade: h2c`,
	"fields of the handshake in the answer")

var _ = differ(safeAnswer, asServer, minus(`client: no response: malformed MIME header line: "X-Test: a\x7fz"`)+
	minus("server sends: X-Test: a\x7fz")+plus("server sends: X-Test: a z"),
	"the character DEL in the answer")

var _ = differ(safeAnswer, asServer, minus(upgraded)+`
- server sends: X Test: a
+ server: Error: 500, error "websocket: malformed name in the application's response header" (HandshakeError)
+ server: Upgrade: error "websocket: malformed name in the application's response header" (HandshakeError)
+ server sends: HTTP/1.1 418 I'm a teapot
+ server sends: Content-Length: 0
+ server sends: Date: DATE`,
	"a malformed name in the answer")

// Dial.

// dialed is what a client notes of a handshake that succeeds.
const dialed = `client: Dial: ok
client: response 101 Switching Protocols with the body "", read: ok
client: Subprotocol: ""`

// requested is a request without further fields.
const requested = `client sends: GET /path?query HTTP/1.1
client sends: Connection: Upgrade
client sends: Host: ADDR
client sends: Sec-WebSocket-Key: KEY
client sends: Sec-WebSocket-Version: 13
client sends: Upgrade: websocket
client sends: User-Agent: Go-http-client/1.1`

// notSent lists a request that gorilla sends with the field, and this library does
// not send because of the error.
func notSent(field, reason, name string) bool {
	lines := minus(dialed) + minus(requested) + minus(switched) + plus(fmt.Sprintf("client: Dial: error %q", reason))
	if field != "" {
		lines += minus("client sends: " + field)
	}
	return differ(safeRequest, asClient, lines, name)
}

var (
	_ = notSent("Sec-WebSocket-Protocol: a, a", `websocket: subprotocol "a" is asked for twice`, "a subprotocol of the Dialer twice")
	_ = notSent("Sec-WebSocket-Protocol: a b, c", `websocket: subprotocol "a b" is empty, or has a comma or a character that is not visible ASCII`, "a subprotocol of the Dialer that is no token")
	_ = notSent("Sec-WebSocket-Protocol: a b", `websocket: subprotocol "a b" is empty, or has a comma or a character that is not visible ASCII`, "a request header with a subprotocol that is no token")
	_ = notSent("upgrade: h2c", "websocket: duplicate header not allowed: Upgrade", "a request header with lower-case upgrade")
	_ = notSent("sec-websocket-key: x", "websocket: duplicate header not allowed: Sec-Websocket-Key", "a request header with lower-case sec-websocket-key")
	_ = notSent("X-Test: a  X-Injected: 1", `websocket: malformed value of X-Test in the request header: "a\r\nX-Injected: 1"`, "a request header with a malformed value")
	_ = notSent("", `websocket: malformed name in the request header: "X Test"`, "a request header with a malformed name")
)

var _ = differ(safeRequest, asClient, minus(dialed)+minus(strings.Replace(requested, "ADDR", "", 1))+minus(switched)+
	plus(`client: Dial: error "websocket: malformed value of Host in the request header: \"a\\r\\nX: y\""`),
	"a request header with a malformed Host")

var _ = differ(safeRequest, asClient, minus("client sends: content-length: 5"),
	"a request header with lower-case content-length")

var _ = differ(anyHostSpelling, asClient, `
- client: Dial: error "unexpected EOF" (io.ErrUnexpectedEOF)
- client sends: Host: ADDR
- client sends: host: a.example
+ client sends: Host: a.example`+plus(dialed)+plus(switched),
	"a request header with lower-case host")

var _ = differ(oneCookieField, asClient, `
- client sends: Cookie: a=1
- client sends: Cookie: b=2
+ client sends: Cookie: a=1; b=2`,
	"a request header with a Cookie of two")

var _ = differ(oneCookieField, asClient, `
- client sends: Cookie: program=1
+ client sends: Cookie: program=1; jar=1`,
	"cookies of a jar and a program")

var _ = differ(joinedProtocols, asClient, `
- client sends: Sec-WebSocket-Protocol: b
- client sends: Sec-WebSocket-Protocol: c
+ client sends: Sec-WebSocket-Protocol: b, c`,
	"subprotocols in the request header on two lines")

const badHandshake = `client: Dial: error "websocket: bad handshake" (ErrBadHandshake)`

var _ = differ(strictAnswer, asClient, minus("client: Dial: ok\nclient: Subprotocol: \"\"")+plus(badHandshake),
	"an answer with an extension that nobody asked for", "an answer with compression that nobody asked for",
	"an answer with two Accept fields", "an answer with two protocols in Upgrade")

var _ = differ(strictAnswer, asClient, minus("client: Dial: ok\nclient: Subprotocol: \"a\"")+plus(badHandshake),
	"an answer with a subprotocol that nobody asked for")

var _ = differ(strictAnswer, asClient, minus("client: Dial: ok\nclient: Subprotocol: \"c\"")+plus(badHandshake),
	"a subprotocol that was not asked for")

var _ = differ(strictAnswer, asClient, minus(`client: Dial: error "websocket: invalid compression negotiation"`)+plus(badHandshake),
	"an answer with compression of another kind")

var _ = differ(interimAnswers, asClient, minus(badHandshake)+minus(`client: response 103 Early Hints with the body "", read: ok`)+plus(dialed),
	"an answer behind a 103")

var _ = differ(httpURLs, asClient, minus(`client: Dial: error "malformed ws or wss URL"`)+plus(`client: Dial: error "NetDial tcp example.com:80"`),
	`the URL "http://example.com"`)

var _ = differ(httpURLs, asClient, minus(`client: Dial: error "malformed ws or wss URL"`)+plus(`client: Dial: error "NetDial tcp example.com:443"`),
	`the URL "https://example.com"`)

var _ = differ(userInURL, asClient, minus(`client: Dial: error "malformed ws or wss URL"`)+plus(`client: Dial: error "NetDial tcp example.com:80"`),
	`the URL "ws://user@example.com/"`, `the URL "ws://user:password@example.com/"`)

var _ = differ(urlWithoutHost, asClient, minus(`client: Dial: error "NetDial tcp :80"`)+plus(`client: Dial: error "malformed ws or wss URL"`),
	`the URL "ws:opaque"`)

var _ = differ(contextErrors, asClient, `
- client: Dial: error "read tcp ADDR->ADDR: i/o timeout" (is os.ErrDeadlineExceeded, net.Error with Timeout)
+ client: Dial: error "context deadline exceeded" (is context.DeadlineExceeded, net.Error with Timeout)`,
	"a server that does not answer in time")

var _ = differ(contextAnytime, asClient, minus(dialed)+plus(`client: Dial: error "context canceled" (is context.Canceled)`),
	"a context that is cancelled during the handshake")

var _ = differ(traceOfTLS, asClient, `
- client: trace: GetConn ADDR, GotConn true, TLSHandshakeStart, TLSHandshakeDone <nil>, WroteHeaders, WroteRequest <nil>, GotFirstResponseByte
+ client: trace: GetConn ADDR, TLSHandshakeStart, TLSHandshakeDone <nil>, GotConn true, WroteHeaders, WroteRequest <nil>, GotFirstResponseByte`,
	"the trace of Dial over TLS")

// Proxies.

var _ = differ(tlsToServer, asClient, minus(`client: Dial: error "NetDialTLSContext tcp proxy.example:80"`)+plus(`client: Dial: error "NetDial tcp proxy.example:80"`),
	"a proxy and NetDialTLSContext")

var _ = differ(moreProxies, asClient, minus(`client: Dial: error "proxy: unknown scheme: https"`)+plus(`client: Dial: error "NetDial tcp proxy.example:443"`),
	"an https proxy")

var _ = differ(moreProxies, asClient, `
- client: Dial: error "NetDial tcp proxy.example"
- client: Dial: error "NetDial tcp proxy.example"
- client: Dial: error "NetDial tcp [::1]"
- client: Dial: error "NetDial tcp [::1]"
+ client: Dial: error "NetDial tcp proxy.example:1080"
+ client: Dial: error "NetDial tcp proxy.example:1080"
+ client: Dial: error "NetDial tcp [::1]:1080"
+ client: Dial: error "NetDial tcp [::1]:1080"`,
	"the addresses of proxies")

var _ = differ(wording, asClient, minus(`client: Dial: error "proxy: unknown scheme: gopher"`)+
	plus(`client: Dial: error "websocket: proxy scheme \"gopher\" is not supported"`),
	"a proxy of an unknown scheme")

var _ = differ(wording, asClient, minus(`client: Dial: error "Proxy Authentication Required"`)+
	plus(`client: Dial: error "websocket: proxy refused CONNECT: 407 Proxy Authentication Required"`),
	"an http proxy that refuses")
