package websocket

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// IsWebSocketUpgrade reports whether the request asks for an upgrade to WebSocket. With
// it, one handler can serve a page and a WebSocket at the same URL.
func IsWebSocketUpgrade(r *http.Request) bool {
	return containsToken(r.Header["Connection"], "upgrade") &&
		containsToken(r.Header["Upgrade"], "websocket")
}

// Subprotocols returns the subprotocols that the client asks for, in the order of its
// preference, and at most 64: Upgrade refuses a request with more.
func Subprotocols(r *http.Request) []string {
	protocols, _ := firstElements(r.Header["Sec-Websocket-Protocol"])
	return protocols
}

// refusal is the reason why a request is refused, and the status of the answer.
type refusal struct {
	status int
	reason string // the text of the HandshakeError, without the prefix
	advice string // the text of the answer, or "" for the reason
}

const (
	notWebSocket = "the client is not using the websocket protocol: "
	notHandshake = "not a websocket handshake: "
)

// checkRequest applies the rules for the client's opening handshake (RFC 6455,
// 4.2.1) that come before the origin's. The method and the version of HTTP are
// those of the request line.
func checkRequest(r *http.Request) *refusal {
	connection := containsToken(r.Header["Connection"], "upgrade")
	upgrade := containsToken(r.Header["Upgrade"], "websocket")
	switch {
	// "The method of the request MUST be GET, and the HTTP version MUST be at least
	// 1.1" (4.1). "HTTP/2 does not support the 101 (Switching Protocols)
	// informational status code" (RFC 9113, 8.6).
	case r.ProtoMajor == 1 && r.ProtoMinor < 1:
		return &refusal{http.StatusBadRequest, notWebSocket + "the request came over HTTP/1.0, which has no upgrade to other protocols",
			"HTTP/1.0 has no upgrade to WebSocket (RFC 6455, 4.1). If a proxy is in front of the server, it must speak HTTP/1.1 to the server; nginx does with proxy_http_version 1.1."}
	case r.Method == http.MethodConnect && len(r.Header[":protocol"]) > 0:
		return &refusal{http.StatusNotImplemented, notWebSocket + "the request is an extended CONNECT over " + r.Proto,
			"WebSocket over " + visible(r.Proto) + " (RFC 8441, RFC 9220) is not implemented. Use HTTP/1.1."}
	case r.ProtoMajor > 1:
		return &refusal{http.StatusHTTPVersionNotSupported, notWebSocket + "the request came over " + r.Proto + ", which has no upgrade to other protocols",
			visible(r.Proto) + " has no upgrade to WebSocket (RFC 6455, 4.1). Use HTTP/1.1; a proxy in front of the server must speak it to the server."}

	// "A |Connection| header field that includes the token "Upgrade", treated as an
	// ASCII case-insensitive value." Without an |Upgrade| header field either, the
	// request asks for no upgrade, and is told that this resource wants one.
	case !connection && !upgrade:
		return &refusal{http.StatusUpgradeRequired, notWebSocket + "'upgrade' token not found in 'Connection' header", passUpgradeOn}
	case !connection:
		return &refusal{http.StatusBadRequest, notWebSocket + "'upgrade' token not found in 'Connection' header", passUpgradeOn}
	// "An |Upgrade| header field containing the value "websocket", treated as an
	// ASCII case-insensitive value."
	case !upgrade:
		return &refusal{http.StatusUpgradeRequired, notWebSocket + "'websocket' token not found in 'Upgrade' header", passUpgradeOn}

	case r.Method != http.MethodGet:
		return &refusal{http.StatusMethodNotAllowed, notWebSocket + "request method is not GET",
			"The method of a WebSocket handshake is GET (RFC 6455, 4.1)."}
	// net/http would leave the body unread, and its bytes would be taken for frames.
	case r.ContentLength != 0:
		return &refusal{http.StatusBadRequest, notHandshake + "the request has a body", "A WebSocket handshake has no body."}

	// "A |Sec-WebSocket-Version| header field, with a value of 13." "If this version
	// does not match a version understood by the server, the server MUST abort the
	// WebSocket handshake" (4.2.2).
	case !only(r.Header["Sec-Websocket-Version"], "13"):
		return &refusal{http.StatusUpgradeRequired, "unsupported version: 13 not found in 'Sec-Websocket-Version' header",
			"The Sec-WebSocket-Version must be 13 (RFC 6455, 4.1)."}
	}
	return nil
}

// passUpgradeOn is the advice if the request does not ask for an upgrade.
const passUpgradeOn = "This resource is for WebSocket: the request must have the fields Connection: Upgrade and Upgrade: websocket (RFC 6455, 4.1). " +
	"A proxy in front of the server must pass them on."

// checkRequestFields applies the rules of 4.2.1 that come after the origin's, and
// returns the key, and the subprotocols and extensions that the client asks for.
func checkRequestFields(r *http.Request) (key string, protocols []string, extensions []extension, refused *refusal) {
	keys := r.Header["Sec-Websocket-Key"]
	// "A |Sec-WebSocket-Key| header field with a base64-encoded value that, when
	// decoded, is 16 bytes in length." It "MUST NOT appear more than once" (11.3.1).
	if len(keys) != 1 || !validKey(keys[0]) {
		return "", nil, nil, &refusal{http.StatusBadRequest, notHandshake + "'Sec-WebSocket-Key' header must be Base64 encoded value of 16-byte in length",
			"The request must have one Sec-WebSocket-Key, which is 16 bytes in base64 (RFC 6455, 4.1)."}
	}
	// "including but not limited to any violations of the ABNF grammar specified for
	// the components of the handshake, the server MUST stop processing the client's
	// handshake and return an HTTP response with an appropriate error code" (4.2.1).
	protocols, all := firstElements(r.Header["Sec-Websocket-Protocol"])
	if !all {
		return "", nil, nil, &refusal{http.StatusBadRequest, notHandshake + "'Sec-WebSocket-Protocol' header has more than 64 elements", ""}
	}
	for _, p := range protocols {
		if !isSubprotocol(p) {
			return "", nil, nil, &refusal{http.StatusBadRequest, notHandshake + "'Sec-WebSocket-Protocol' header has a character that is not visible ASCII", ""}
		}
	}
	extensions, err := parseExtensions(r.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return "", nil, nil, &refusal{http.StatusBadRequest, notHandshake + "'Sec-WebSocket-Extensions' header: " + err.Error(), ""}
	}
	return keys[0], protocols, extensions, nil
}

// agreement is the result of the negotiations in a handshake.
type agreement struct {
	subprotocol string         // or ""
	deflate     *deflateParams // nil without compression
}

// chooseSubprotocol returns the first subprotocol in the client's list that the server
// supports, or "".
func chooseSubprotocol(wanted, supported []string) string {
	for _, p := range wanted {
		if slices.Contains(supported, p) {
			return p
		}
	}
	return ""
}

// checkResponse applies the rules for the server's opening handshake (RFC 6455,
// 4.1) to the answer to a request with the key and the subprotocols, and with offers of compression if
// offered is set.
func checkResponse(resp *http.Response, key string, protocols []string, offered bool) (a agreement, ok bool) {
	// "If the status code received from the server is not 101, the client handles the
	// response per HTTP procedures."
	// "HTTP/1.0 101", the answer of some servers, is accepted.
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.ProtoMajor != 1 {
		return a, false
	}
	// "If the response lacks an |Upgrade| header field or the |Upgrade| header field
	// contains a value that is not an ASCII case-insensitive match for the value
	// "websocket", the client MUST _Fail the WebSocket Connection_."
	upgrade := resp.Header["Upgrade"]
	if len(upgrade) != 1 || !equalFoldASCII(upgrade[0], "websocket") {
		return a, false
	}
	// "... doesn't contain a token that is an ASCII case-insensitive match for the
	// value "Upgrade" ..."
	if !containsToken(resp.Header["Connection"], "upgrade") {
		return a, false
	}
	if !only(resp.Header["Sec-Websocket-Accept"], acceptKey(key)) {
		return a, false
	}
	// "... indicates the use of an extension that was not present in the client's
	// handshake ..."
	extensions, err := parseExtensions(resp.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return a, false
	}
	switch answer, agreed, err := checkAnswer(offered, extensions); {
	case err != nil:
		return a, false
	case agreed:
		a.deflate = &answer
	}
	// "... indicates the use of a subprotocol that was not present in the client's
	// handshake ..." It "MUST NOT appear more than once in an HTTP response" (11.3.4).
	switch chosen := resp.Header["Sec-Websocket-Protocol"]; {
	case len(chosen) == 0:
		return a, true
	case len(chosen) == 1 && slices.Contains(protocols, chosen[0]):
		a.subprotocol = chosen[0]
		return a, true
	}
	return a, false
}

// visible returns s, a text of the peer, in a form that is safe in an answer.
func visible(s string) string {
	const most = 200
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s[:min(len(s), most)])
}

// acceptGUID is appended to the key before it is hashed (RFC 6455, 1.3).
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// keySize is the size in bytes of a decoded Sec-WebSocket-Key.
const keySize = 16

// acceptKey returns the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key
// (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	var accept [28]byte
	return string(appendAcceptKey(accept[:0], key))
}

func appendAcceptKey(b []byte, key string) []byte {
	var challenge [24 + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(challenge[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// newKey returns a Sec-WebSocket-Key: "a nonce consisting of a randomly selected
// 16-byte value that has been base64-encoded" (RFC 6455, 4.1).
func newKey() string {
	var nonce [keySize]byte
	rand.Read(nonce[:]) // never fails: it crashes the program rather
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// validKey reports whether key is the base64 encoding of 16 bytes.
func validKey(key string) bool {
	const encodedSize = (keySize + 2) / 3 * 4
	if len(key) != encodedSize {
		return false // the decoder ignores line breaks, so that its result does not tell
	}
	var nonce [encodedSize]byte
	n, err := base64.StdEncoding.Decode(nonce[:], []byte(key))
	return err == nil && n == keySize
}

// origin is a parsed origin (RFC 6454, 6.2): its scheme and its host, in lower case, with the port unless that is
// the scheme's default. It is nullOrigin for "null", and empty if it is malformed.
type origin struct{ scheme, host string }

var nullOrigin = origin{host: "null"}

func parseOrigin(s string) origin {
	if s == nullOrigin.host {
		return nullOrigin
	}
	u, err := url.Parse(s)
	// An origin has no user information: with it, a host could be made to look like another.
	if err != nil || u.User != nil {
		return origin{}
	}
	return origin{u.Scheme, canonicalHost(u.Host, u.Scheme)}
}

// checkOrigin reports whether the request comes from a page of the request's own host, from a page
// whose origin matches one of the patterns, or from a client that is not a browser (RFC 6455, 10.2).
func checkOrigin(r *http.Request, patterns []string) (ok bool, refused *refusal) {
	var o origin
	switch fields := r.Header["Origin"]; len(fields) {
	case 0:
		ok = true // not a browser
	case 1:
		o = parseOrigin(fields[0])
		ok = o != nullOrigin && o.host != "" && o.host == canonicalHost(r.Host, o.scheme)
	}
	for _, s := range patterns {
		pattern, problem := parseOriginPattern(s)
		if problem != "" {
			return false, &refusal{http.StatusInternalServerError, fmt.Sprintf("Upgrader.OriginPatterns has %q, which %s", s, problem), ""}
		}
		ok = ok || pattern.match(o)
	}
	return ok, nil
}

// originPattern is a pattern for each part of an origin. One without a scheme matches any scheme.
type originPattern origin

// parseOriginPattern returns the pattern, or a description of what is wrong with it.
func parseOriginPattern(s string) (p originPattern, problem string) {
	scheme, host, hasScheme := strings.Cut(toLowerASCII(s), "://")
	if !hasScheme {
		scheme, host = "", scheme
	}
	_, badScheme := path.Match(scheme, "")
	host = escapeIPv6(canonicalHost(host, scheme))
	_, badHost := path.Match(host, "")
	switch {
	case badScheme != nil || badHost != nil:
		return p, "is malformed"
	case hasScheme && scheme == "", scheme == "ws", scheme == "wss":
		return p, "matches no origin: the scheme of a page is http or https, or that of an application"
	case host == "" && (!hasScheme || scheme == "http" || scheme == "https"):
		return p, "matches no origin: it has no host"
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return p, "matches no origin: an international name is written in punycode there"
	case strings.ContainsAny(host, "/#@") || strings.HasSuffix(host, ":"):
		return p, "matches no origin: it has more than a scheme, a host and a port"
	}
	return originPattern{scheme, host}, ""
}

func (p originPattern) match(o origin) bool {
	if o == nullOrigin || origin(p) == nullOrigin || o == (origin{}) {
		return o == origin(p)
	}
	// A pattern without a scheme does not match an origin without a host.
	return (p.scheme == "" && o.host != "" || matches(p.scheme, o.scheme)) && matches(p.host, o.host)
}

// matches reports whether s matches the pattern, which is well-formed.
func matches(pattern, s string) bool {
	ok, _ := path.Match(pattern, s)
	return ok
}

// canonicalHost returns the host in lower case, without the scheme's default port.
func canonicalHost(host, scheme string) string {
	host = toLowerASCII(host)
	if h, port, err := net.SplitHostPort(host); err == nil {
		if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
			if strings.Contains(h, ":") {
				return "[" + h + "]"
			}
			return h
		}
	}
	return host
}

// escapeIPv6 escapes the brackets of an IPv6 address, which would be a character class in a
// pattern.
func escapeIPv6(pattern string) string {
	if rest, ok := strings.CutPrefix(pattern, "["); ok {
		if addr, port, ok := strings.Cut(rest, "]"); ok && strings.Contains(addr, ":") {
			return `\[` + addr + `\]` + port
		}
	}
	return pattern
}
