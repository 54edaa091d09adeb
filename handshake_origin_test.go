//go:build go1.25

package websocket

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func hsOriginRequest(host string, origins ...string) *http.Request {
	r := &http.Request{Host: host, Header: make(http.Header)}
	for _, o := range origins {
		r.Header.Add("Origin", o)
	}
	return r
}

// The rule where Upgrader.CheckOrigin is nil. testdata/handshake/origin.txt has more of
// it, as it is on the wire.
func TestCheckOrigin(t *testing.T) {
	tests := []struct {
		name, host, origin string
		patterns           []string
		want               bool
	}{
		{"the same host", "a.example", "http://a.example", nil, true},
		{"the same host over TLS", "a.example", "https://a.example", nil, true},
		{"the same port", "a.example:8080", "http://a.example:8080", nil, true},
		{"case of the origin", "a.example", "http://A.eXample", nil, true},
		{"case of the host", "A.eXample", "http://a.example", nil, true},
		{"the port of http", "a.example", "http://a.example:80", nil, true},
		{"the port of http in Host", "a.example:80", "http://a.example", nil, true},
		{"the port of https", "a.example", "https://a.example:443", nil, true},
		{"the port of https in Host", "a.example:443", "https://a.example", nil, true},
		{"IPv6", "[::1]:8080", "http://[::1]:8080", nil, true},
		{"IPv6 and the port of http", "[::1]", "http://[::1]:80", nil, true},
		{"IPv6 and the port of http in Host", "[::1]:80", "http://[::1]", nil, true},

		{"another host", "a.example", "http://b.example", nil, false},
		{"the host as a prefix", "a.example", "http://a.example.evil.org", nil, false},
		{"the host as a suffix", "a.example", "http://evila.example", nil, false},
		{"another port", "a.example", "http://a.example:8080", nil, false},
		{"no port", "a.example:8080", "http://a.example", nil, false},
		{"the port of https over http", "a.example", "http://a.example:443", nil, false},
		{"the port of http over https", "a.example", "https://a.example:80", nil, false},
		{"the port of http in Host over https", "a.example:80", "https://a.example", nil, false},
		{"null", "a.example", "null", nil, false},
		{"null for a host of that name", "null", "null", nil, false},
		{"empty", "a.example", "", nil, false},
		{"empty for an empty host", "", "", nil, false},
		{"no host", "", "http://", nil, false},
		{"user information", "a.example", "http://evil.example@a.example", nil, false},
		{"user and password", "a.example", "http://a:b@a.example", nil, false},
		{"malformed", "a.example", "http://a.example:port", nil, false},
		{"a control character", "a.example", "http://a.example\x7f", nil, false},
		{"opaque", "a.example", "http:a.example", nil, false},
		{"the Kelvin sign", "kelvin.example", "http://\u212aelvin.example", nil, false},
		{"the long s", "s.example", "http://\u017f.example", nil, false},
		{"the dotted I", "i.example", "http://\u0130.example", nil, false},

		{"a pattern", "a.example", "https://example.com", []string{"example.com"}, true},
		{"a star", "a.example", "https://www.example.com", []string{"*.example.com"}, true},
		{"a question mark", "a.example", "https://w1.example.com", []string{"w?.example.com"}, true},
		{"a class", "a.example", "https://w1.example.com", []string{"w[0-9].example.com"}, true},
		{"case of a pattern", "a.example", "https://WWW.example.com", []string{"*.EXAMPLE.com"}, true},
		{"a port in a pattern", "a.example", "https://example.com:8443", []string{"example.com:8443"}, true},
		{"any port", "a.example", "http://localhost:3000", []string{"localhost:*"}, true},
		{"the scheme's own port and a pattern", "a.example", "https://example.com:443", []string{"example.com"}, true},
		{"IPv6 pattern", "a.example", "http://[2001:db8::1]:3000", []string{"[2001:db8::1]:3000"}, true},
		{"IPv6 pattern and any port", "a.example", "http://[::1]:3000", []string{"[::1]:*"}, true},
		{"IPv6 pattern without a port", "a.example", "http://[2001:db8::1]", []string{"[2001:DB8::1]"}, true},
		{"the last pattern", "a.example", "https://c", []string{"a", "b", "c"}, true},

		{"a pattern as a prefix", "a.example", "https://example.com.evil.org", []string{"example.com"}, false},
		{"a star's pattern as a prefix", "a.example", "https://www.example.com.evil.org", []string{"*.example.com"}, false},
		{"the domain of a star as a prefix", "a.example", "https://example.com.evil.org", []string{"*.example.com"}, false},
		{"a pattern as a suffix", "a.example", "https://evilexample.com", []string{"example.com", "*.example.com"}, false},
		{"the domain of a star", "a.example", "https://example.com", []string{"*.example.com"}, false},
		{"a star and a port", "a.example", "https://evil.org:8443", []string{"*.example.com:8443"}, false},
		{"a port that hides in a star", "a.example", "https://evil.org:80.example.com", []string{"*.example.com"}, false},
		{"a user that hides in a star", "a.example", "https://evil.org@www.example.com", []string{"*.example.com"}, false},
		{"a path that hides in a star", "a.example", "https://evil.org/.example.com", []string{"*.example.com"}, false},
		{"a query that hides in a star", "a.example", "https://evil.org?.example.com", []string{"*.example.com"}, false},
		{"a fragment that hides in a star", "a.example", "https://evil.org#.example.com", []string{"*.example.com"}, false},
		{"the brackets of an IPv6 pattern are no class", "a.example", "http://1", []string{"[::1]"}, false},
		{"another address than the IPv6 pattern", "a.example", "http://[::2]", []string{"[::1]", "[::1]:*"}, false},
		{"null and a star", "a.example", "null", []string{"*"}, false},

		{"a scheme", "a.example", "https://example.com", []string{"https://example.com"}, true},
		{"a scheme in another case", "a.example", "HTTPS://www.Example.com", []string{"Https://*.EXAMPLE.com"}, true},
		{"another scheme", "a.example", "http://example.com", []string{"https://example.com"}, false},
		{"a scheme and its own port", "a.example", "https://example.com", []string{"https://example.com:443"}, true},
		{"a scheme and a port", "a.example", "https://example.com:8443", []string{"https://example.com:*"}, true},
		{"any scheme", "a.example", "app://example.com", []string{"*://example.com"}, true},
		{"an extension", "a.example", "chrome-extension://abcdefghijklmnop", []string{"chrome-extension://*"}, true},
		{"an extension of another browser", "a.example", "moz-extension://abcdefghijklmnop", []string{"chrome-extension://*"}, false},
		{"an application", "a.example", "capacitor://localhost", []string{"localhost"}, true},
		{"files", "a.example", "file://", []string{"file://"}, true},
		{"files and a star", "a.example", "file://", []string{"*"}, false},
		{"files and the star of a scheme", "a.example", "file://", []string{"https://*"}, false},
		{"null", "a.example", "null", []string{"null"}, true},
		{"null in another case", "a.example", "NULL", []string{"null"}, false},
		{"a host named null", "a.example", "http://null", []string{"null"}, false},
		{"no origin and null", "a.example", "x", []string{"null", "*", "*://*"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := checkOrigin(hsOriginRequest(tt.host, tt.origin), tt.patterns)
			if got != tt.want || err != nil {
				t.Errorf("got %v and error %v for %q at %q with %q, want %v", got, err, tt.origin, tt.host, tt.patterns, tt.want)
			}
		})
	}
}

// Who sends no Origin is no browser, or asks on behalf of no page.
func TestCheckOriginAbsent(t *testing.T) {
	if ok, err := checkOrigin(hsOriginRequest("a.example"), nil); !ok || err != nil {
		t.Errorf("got %v, %v for a request without Origin, want true", ok, err)
	}
}

// No browser sends several: which of them is meant is anybody's guess.
func TestCheckOriginSeveral(t *testing.T) {
	for _, origins := range [][]string{
		{"http://a.example", "http://a.example"},
		{"http://a.example", "http://evil.example"},
		{"http://evil.example", "http://a.example"},
		{"http://a.example", ""},
	} {
		if ok, err := checkOrigin(hsOriginRequest("a.example", origins...), []string{"*"}); ok || err != nil {
			t.Errorf("got %v, %v for %q, want false", ok, err, origins)
		}
	}
}

// A pattern that is malformed or can match no origin is the program's mistake, whatever the origin: it is not to
// pass for one that does not match.
func TestCheckOriginMalformedPattern(t *testing.T) {
	const no = "matches no origin: "
	const noHost, tooMuch, name = no + "it has no host", no + "it has more than a scheme, a host and a port", no + "an international name is written in punycode there"
	const scheme = no + "the scheme of a page is http or https, or that of an application"
	for _, tt := range []struct{ pattern, want string }{
		{"[", "is malformed"}, {"[]", "is malformed"}, {"[a", "is malformed"}, {"[a-", "is malformed"}, {"[-a]", "is malformed"},
		{`\`, "is malformed"}, {`example.com\`, "is malformed"}, {"*.example.com[", "is malformed"}, {"[://a", "is malformed"},
		{"https://[", "is malformed"},
		{"", noHost}, {"http://", noHost}, {"https://", noHost},
		{"https://example.com/", tooMuch}, {"example.com/chat", tooMuch}, {"user@example.com", tooMuch}, {"example.com#a", tooMuch},
		{"example.com:", tooMuch}, {"file:///", tooMuch},
		{"b\u00fccher.example", name}, {" example.com", name}, {"example.com\x7f", name},
		{"://example.com", scheme}, {"ws://example.com", scheme}, {"WSS://example.com", scheme},
	} {
		for _, origins := range [][]string{nil, {"https://www.example.com"}, {"https://a.example"}} {
			ok, refused := checkOrigin(hsOriginRequest("a.example", origins...), []string{"*.example.com", tt.pattern})
			want := fmt.Sprintf("Upgrader.OriginPatterns has %q, which %s", tt.pattern, tt.want)
			if ok || refused == nil || refused.status != 500 || refused.reason != want {
				t.Errorf("%q: got %v, %+v, want %s", tt.pattern, ok, refused, want)
			}
		}
	}
}

// Cross-site hijacking, of pages that other servers let in (CVE-2018-14732, CVE-2025-24010, CVE-2023-0957): the
// upgrade is refused with 403, and net/http keeps the connection. testdata/handshake/origin.txt has some of it as it
// is on the wire.
func TestAttackCrossSiteOrigin(t *testing.T) {
	const host = "dev.example.com"
	upgrade := func(host string, origins, patterns []string) (*hsHijacker, *pipeConn, error) {
		r := hsRequest()
		r.Host = host
		r.Header["Origin"] = origins
		return hsTryUpgrade(t, Upgrader{OriginPatterns: patterns}, r)
	}
	for _, tt := range []struct{ host, origin, pattern string }{
		{host, "http://evil.example", ""}, {host, "https://evil.example", ""}, {host, "null", ""}, {host, "", ""}, {host, "file://", ""},
		{host, "http://localhost", ""}, {host, "http://127.0.0.1", ""}, {host, "http://[::1]", ""},
		{host, "http://dev.example.com.evil.example", ""}, {host, "http://evil.example/dev.example.com", ""},
		{host, "http://dev.example.com@evil.example", ""}, {host, "http://evil.example@dev.example.com", ""},
		{host, "http://evil.example#dev.example.com", ""}, {host, "http://evil.example?dev.example.com", ""},
		{host, "http://evil.example\\dev.example.com", ""}, {host, "http://dev.example.com%00.evil.example", ""},
		{host, "http://dev.example.com%2eevil.example", ""}, {host, "http://dev.example.com http://evil.example", ""},
		{host, "http://dev.example.com:1234", ""}, {host, "http://dev.example.com:443", ""}, {host + ":8080", "http://dev.example.com", ""},
		{host, "http://dev.example.com.", ""}, {host, "http://dev.example.co", ""}, {host, "http://ev.example.com", ""},
		{host, "http://xdev.example.com", ""}, {host, "http://example.com", ""}, {host, "chrome-extension://abcdefghijklmnop", ""},
		{host, "data:text/html,x", ""}, {host, "javascript:alert(1)", ""}, {host, "blob:http://dev.example.com/1", ""},
		{"[2001:db8::1]:80", "http://[2001:db8::2]", ""}, {"[2001:db8::1]", "http://[2001:db8::1]:81", ""}, {"[2001:db8::1]", "http://2001:db8::1", ""},
		{host, "https://example.com.evil.org", "example.com"}, {host, "https://www.example.com.evil.org", "*.example.com"},
		{host, "https://example.com.evil.org", "*.example.com"}, {host, "https://evilexample.com", "*.example.com"},
		{host, "https://evil.org/.example.com", "*.example.com"}, {host, "https://wwwxexample.com", "www.example.com"},
		{host, "https://www.example.com:8443", "*.example.com"}, {host, "null", "*"}, {host, "http://1", "[::1]"},
	} {
		var patterns []string
		if tt.pattern != "" {
			patterns = []string{tt.pattern}
		}
		w, far, err := upgrade(tt.host, []string{tt.origin}, patterns)
		want := HandshakeError{"websocket: request origin not allowed by Upgrader.CheckOrigin"}
		if err != want || w.Code != http.StatusForbidden || len(far.take()) > 0 {
			t.Errorf("%q at %s with %q: got status %d and error %v, want 403 and %v", tt.origin, tt.host, patterns, w.Code, err, want)
		}
	}
	for _, origins := range [][]string{{"http://dev.example.com", "http://evil.example"}, {"http://dev.example.com", "http://dev.example.com"}} {
		if w, _, err := upgrade(host, origins, nil); err == nil || w.Code != http.StatusForbidden {
			t.Errorf("%q: got status %d and error %v, want 403", origins, w.Code, err)
		}
	}
	for _, tt := range []struct {
		host    string
		origins []string // one or none
	}{
		{host, nil}, {host, []string{"http://dev.example.com"}}, {host, []string{"https://dev.example.com"}},
		{host, []string{"HTTP://Dev.EXAMPLE.com"}}, {"DEV.example.com", []string{"http://dev.example.com:80"}},
		{"[2001:DB8::1]:8080", []string{"http://[2001:db8::1]:8080"}},
	} {
		if _, far, err := upgrade(tt.host, tt.origins, nil); err != nil || !strings.HasPrefix(string(far.take()), hsAnswer101) {
			t.Errorf("%q at %s: got error %v, want a connection", tt.origins, tt.host, err)
		}
	}
}
