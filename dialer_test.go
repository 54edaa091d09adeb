//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// hsDialed is what a Dialer did for one URL.
type hsDialed struct {
	how     string // which function dialed; "" where nothing was dialed
	addr    string
	request string // as it is on the wire
	c       *Conn
	resp    *http.Response
	err     error
}

// dial returns a function that dials, and notes how.
func (got *hsDialed) dial(how string, nc net.Conn, err error) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		got.how, got.addr = how+" "+network, addr
		return nc, err
	}
}

// hsAccept is the answer to a request with the key, with more fields, each with its line end.
func hsAccept(key, fields string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(key) + "\r\n" + fields + "\r\n"
}

// hsDialPipe dials with a server at the other end of a connection in memory, which gives the answer, or
// answers any request with 101 where that is nil.
func hsDialPipe(t *testing.T, d Dialer, url string, header http.Header, answer func(key string) string) (got hsDialed) {
	t.Helper()
	near, far := newPipe(t, 1<<20)
	far.SetDeadline(time.Now().Add(hsPatience))
	if answer == nil {
		answer = func(key string) string { return hsAccept(key, "") }
	}
	sent := bhAnswer(far, answer)
	d.NetDialContext, d.NetDialTLSContext = got.dial("plain", near, nil), got.dial("TLS", near, nil)
	got.c, got.resp, got.err = d.Dial(url, header)
	switch {
	case got.c != nil:
		t.Cleanup(func() { got.c.Close() })
	case got.how == "":
		near.Close() // for the server, which waits
	case !near.in.readClosed():
		t.Errorf("%s: got an open network connection with error %v, want it closed", url, got.err)
	}
	if (got.c == nil) == (got.err == nil) {
		t.Errorf("%s: got connection %v and error %v, want one of them", url, got.c, got.err)
	}
	got.request = sent()
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

// hsSentFields returns what a request has of a field when the program gives Dial the header, which stays as
// it is.
func hsSentFields(t *testing.T, d Dialer, url string, header http.Header, name string) []string {
	t.Helper()
	before := header.Clone()
	got := hsDialPipe(t, d, url, header, nil)
	if got.err != nil || !reflect.DeepEqual(header, before) {
		t.Errorf("%q: got error %v and header %q, want none, and the header as it was", before, got.err, header)
	}
	return hsFields(got.request, name)
}

// hsWantNoDial checks that Dial returns the error, of which it need not have what "..." stands for, before
// anything is dialed.
func hsWantNoDial(t *testing.T, d Dialer, url string, header http.Header, want string) {
	t.Helper()
	got := hsDialPipe(t, d, url, header, nil)
	prefix, open := strings.CutSuffix(want, "...")
	text := fmt.Sprint(got.err)
	if got.how != "" || got.resp != nil || text != want && !(open && strings.HasPrefix(text, prefix)) {
		t.Errorf("%s with %q: got error %v after dialing %q, want %s before", url, header, got.err, got.how, want)
	}
}

// The client's opening handshake, as it is on the wire.
func TestDialRequest(t *testing.T) {
	d := Dialer{Subprotocols: []string{"chat", "superchat"}}
	got := hsDialPipe(t, d, "ws://server.example.com/chat?a=b", http.Header{"Origin": {"http://example.com"}}, nil)
	if got.err != nil {
		t.Fatal(got.err)
	}
	head, body, _ := strings.Cut(got.request, "\r\n\r\n")
	if !strings.HasPrefix(head, "GET /chat?a=b HTTP/1.1\r\n") || body != "" {
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
}

// A key is for one connection (RFC 6455, 4.1).
func TestDialMakesANewKeyEachTime(t *testing.T) {
	var keys [2]string
	for i := range keys {
		fields := hsSentFields(t, Dialer{}, "ws://a.example/", nil, "Sec-WebSocket-Key")
		keys[i] = strings.TrimPrefix(strings.Join(fields, "\n"), "Sec-WebSocket-Key: ")
	}
	if !validKey(keys[0]) || !validKey(keys[1]) || keys[0] == keys[1] {
		t.Errorf("got %q, want two keys of 16 bytes", keys)
	}
}

// RFC 6455, 3: ws has the port 80 and wss 443, and TLS.
func TestDialURL(t *testing.T) {
	for _, tt := range []struct{ url, how, addr, path, host string }{
		{"ws://a.example", "plain", "a.example:80", "/", "a.example"},
		{"ws://a.example:8080/x", "plain", "a.example:8080", "/x", "a.example:8080"},
		{"wss://a.example/", "TLS", "a.example:443", "/", "a.example"},
		{"wss://a.example:80/", "TLS", "a.example:80", "/", "a.example:80"},
		{"http://a.example/", "plain", "a.example:80", "/", "a.example"},
		{"https://a.example/", "TLS", "a.example:443", "/", "a.example"},
		{"WS://a.example/", "plain", "a.example:80", "/", "a.example"},
		{"ws://a.example?a=b", "plain", "a.example:80", "/?a=b", "a.example"},
		{"ws://a.example/?", "plain", "a.example:80", "/?", "a.example"},
		{"ws://a.example/x%20y/%2F?q=%3F", "plain", "a.example:80", "/x%20y/%2F?q=%3F", "a.example"},
		{"ws://a.example/x y", "plain", "a.example:80", "/x%20y", "a.example"},
		{"ws://a.example//b.example/", "plain", "a.example:80", "//b.example/", "a.example"},
		{"ws://a.example/#fragment", "plain", "a.example:80", "/", "a.example"},
		{"ws://127.0.0.1/", "plain", "127.0.0.1:80", "/", "127.0.0.1"},
		{"ws://[2001:db8::1]/", "plain", "[2001:db8::1]:80", "/", "[2001:db8::1]"},
		{"wss://[2001:db8::1]:8443/", "TLS", "[2001:db8::1]:8443", "/", "[2001:db8::1]:8443"},
		{"ws://[fe80::1%25eth0]/", "plain", "[fe80::1%eth0]:80", "/", "[fe80::1]"},

		// "an optional ":port" if not using the default port" (4.1)
		{"ws://a.example:/", "plain", "a.example:80", "/", "a.example"},
		{"ws://a.example:80/", "plain", "a.example:80", "/", "a.example"},
		{"ws://a.example:443/", "plain", "a.example:443", "/", "a.example:443"},
		{"wss://a.example:443/", "TLS", "a.example:443", "/", "a.example"},
		{"ws://[2001:db8::1]:80/", "plain", "[2001:db8::1]:80", "/", "[2001:db8::1]"},
		{"ws://[2001:db8::1]:/", "plain", "[2001:db8::1]:80", "/", "[2001:db8::1]"},

		// International names are punycode on the wire (RFC 5891, 4.4).
		{"ws://b\u00fccher.example/", "plain", "xn--bcher-kva.example:80", "/", "xn--bcher-kva.example"},
		{"wss://B\u00dcCHER.example:8443/", "TLS", "xn--bcher-kva.example:8443", "/", "xn--bcher-kva.example:8443"},
		{"ws://b%C3%BCcher.example/", "plain", "xn--bcher-kva.example:80", "/", "xn--bcher-kva.example"},

		// A query is escaped as by browsers, and what is escaped already is left alone.
		{"ws://a.example/?a b=\u00e4&c=\"<'>%20%zz+[]{}|\\^`", "plain", "a.example:80",
			"/?a%20b=%C3%A4&c=%22%3C%27%3E%20%zz+[]{}|\\^`", "a.example"},
		{"ws://a.example/\u00e4?\xff", "plain", "a.example:80", "/%C3%A4?%FF", "a.example"},
	} {
		got := hsDialPipe(t, Dialer{}, tt.url, nil, nil)
		line, _, _ := strings.Cut(got.request, "\r\n")
		host := strings.Join(hsFields(got.request, "Host"), "\n")
		if got.err != nil || got.how != tt.how+" tcp" || got.addr != tt.addr {
			t.Errorf("%s: got %s %s and error %v, want %s tcp %s", tt.url, got.how, got.addr, got.err, tt.how, tt.addr)
		}
		if line != "GET "+tt.path+" HTTP/1.1" || host != "Host: "+tt.host {
			t.Errorf("%s: got %q for %q, want %q for %q", tt.url, line, host, tt.path, tt.host)
		}
	}
}

// What is no WebSocket URL is refused before anything is dialed.
func TestDialMalformedURL(t *testing.T) {
	const malformed = "malformed ws or wss URL"
	for url, want := range map[string]string{
		"":                   malformed,
		"a.example":          malformed,
		"/chat":              malformed,
		"//a.example/chat":   malformed,
		"ftp://a.example/":   malformed,
		"wsss://a.example/":  malformed,
		"ws:a.example":       malformed,
		"ws:///chat":         malformed,
		"ws://":              malformed,
		"ws://:80/":          malformed,
		"ws://xn--\u00e4/":   "websocket: malformed host \"xn--\u00e4\": idna: invalid label \"\u00e4\"",
		"ws://a.example:p/":  `parse "ws://a.example:p/": invalid port ":p" after host`,
		"ws://a.example/%zz": `parse "ws://a.example/%zz": invalid URL escape "%zz"`,
		"ws://a b/":          `parse "ws://a b/": invalid character " " in host name`,
		"ws://a/\r\nX: y":    `parse "ws://a/\r\nX: y": net/url: invalid control character in URL`,
		"ws://[::1/":         `parse "ws://[::1/": missing ']' in host`,

		"ws://a%3Ab:c@a.example/": "websocket: user name has a colon, which Basic authentication does not allow",
		"ws://a:b%0A@a.example/": "websocket: user name or password has a control character, " +
			"which Basic authentication does not allow",
	} {
		hsWantNoDial(t, Dialer{}, url, nil, want)
	}
}

// The fields of the handshake are the library's, in any spelling, and even empty.
func TestDialDuplicateHeader(t *testing.T) {
	d := Dialer{Subprotocols: []string{"chat"}, EnableCompression: true}
	for want, spellings := range map[string][]string{
		"Upgrade":                  {"Upgrade", "upgrade", "UPGRADE"},
		"Connection":               {"Connection", "connection"},
		"Sec-Websocket-Key":        {"Sec-Websocket-Key", "Sec-WebSocket-Key", "sec-websocket-key"},
		"Sec-Websocket-Version":    {"Sec-Websocket-Version", "Sec-WebSocket-Version"},
		"Sec-Websocket-Extensions": {"Sec-Websocket-Extensions", "Sec-WebSocket-Extensions"},
		"Sec-Websocket-Protocol":   {"Sec-Websocket-Protocol", "Sec-WebSocket-Protocol", "sec-websocket-protocol"},
	} {
		for _, name := range spellings {
			for _, values := range [][]string{{"x"}, nil} {
				hsWantNoDial(t, d, "ws://a.example/", http.Header{name: values}, "websocket: duplicate header not allowed: "+want)
			}
		}
	}
}

func TestDialHeader(t *testing.T) {
	for _, tt := range []struct {
		name   string
		url    string // ws://a.example/ where it is ""
		in     http.Header
		fields string // the name of those that are compared
		want   []string
	}{
		{"Origin", "", http.Header{"Origin": {"http://a.example"}}, "Origin", []string{"Origin: http://a.example"}},
		{"several values", "", http.Header{"X-A": {"1", "2"}}, "X-A", []string{"X-A: 1", "X-A: 2"}},
		{"the program's spelling", "", http.Header{"x-A": {"1"}}, "X-A", []string{"x-A: 1"}},
		{"a tab", "", http.Header{"X-A": {"1\t2"}}, "X-A", []string{"X-A: 1\t2"}},
		{"outside of ASCII", "", http.Header{"X-A": {"\u00e4\xff"}}, "X-A", []string{"X-A: \u00e4\xff"}},
		{"User-Agent", "", http.Header{"User-Agent": {"me"}}, "User-Agent", []string{"User-Agent: me"}},
		{"another spelling", "", http.Header{"user-agent": {"me"}}, "User-Agent", []string{"User-Agent: me"}},
		{"no User-Agent", "", http.Header{"User-Agent": {""}}, "User-Agent", nil},

		{"Host", "", http.Header{"Host": {"b.example"}}, "Host", []string{"Host: b.example"}},
		{"another spelling", "", http.Header{"host": {"b.example:81"}}, "Host", []string{"Host: b.example:81"}},
		{"an IPv6 Host", "", http.Header{"Host": {"[2001:db8::1]:81"}}, "Host", []string{"Host: [2001:db8::1]:81"}},
		{"an empty Host", "", http.Header{"Host": {""}}, "Host", []string{"Host: a.example"}},
		{"no value of Host", "", http.Header{"Host": nil}, "Host", []string{"Host: a.example"}},

		// A handshake has no body, and nobody on the way is to think that it has one.
		{"a length", "", http.Header{"Content-Length": {"5"}}, "Content-Length", nil},
		{"another spelling", "", http.Header{"content-length": {"5"}}, "Content-Length", nil},
		{"an encoding", "", http.Header{"Transfer-Encoding": {"chunked"}}, "Transfer-Encoding", nil},
		{"another spelling", "", http.Header{"transfer-ENCODING": {"chunked"}}, "Transfer-Encoding", nil},
		{"another spelling", "", http.Header{"trailer": {"X"}}, "Trailer", nil},

		{"a subprotocol", "", http.Header{"Sec-Websocket-Protocol": {"chat"}},
			"Sec-WebSocket-Protocol", []string{"Sec-WebSocket-Protocol: chat"}},
		{"subprotocols on several lines", "", http.Header{"sec-websocket-protocol": {"a,b", " c ,"}},
			"Sec-WebSocket-Protocol", []string{"Sec-WebSocket-Protocol: a, b, c"}},
		{"no subprotocol", "", http.Header{"Sec-Websocket-Protocol": {"", ","}}, "Sec-WebSocket-Protocol", nil},

		// User and password of the URL are for Basic authentication (RFC 7617), unless the header has the field.
		{"a user and a password", "ws://Aladdin:open%20sesame@a.example/", nil,
			"Authorization", []string{"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}},
		{"a user", "wss://me@a.example/", nil, "Authorization", []string{"Authorization: Basic bWU6"}},
		{"the program's own", "ws://me@a.example/", http.Header{"Authorization": {"Bearer x"}},
			"Authorization", []string{"Authorization: Bearer x"}},
		{"another spelling", "ws://me@a.example/", http.Header{"authorization": {"Bearer x"}},
			"Authorization", []string{"authorization: Bearer x"}},
		{"no value", "ws://me@a.example/", http.Header{"Authorization": nil},
			"Authorization", []string{"Authorization: Basic bWU6"}},
		{"no user", "", nil, "Authorization", nil},
		{"the user is not in the Host", "ws://me@a.example/", nil, "Host", []string{"Host: a.example"}},
	} {
		url := "ws://a.example/"
		if tt.url != "" {
			url = tt.url
		}
		if got := hsSentFields(t, Dialer{}, url, tt.in, tt.fields); !slices.Equal(got, tt.want) {
			t.Errorf("%s, %s: got %q, want %q", tt.fields, tt.name, got, tt.want)
		}
	}
}

// Each byte of a Host reaches the server, or the program is told that it cannot.
func TestDialHostBytes(t *testing.T) {
	accepted := 0
	for b := range 0x80 { // beyond, it is a name in another script
		host := "a" + string([]byte{byte(b)}) + "b"
		got := hsDialPipe(t, Dialer{}, "ws://a.example/", http.Header{"Host": {host}}, nil)
		fields := strings.Join(hsFields(got.request, "Host"), "\n")
		if got.err == nil {
			accepted++
		}
		if got.err == nil && fields != "Host: "+host || got.err != nil && got.how != "" {
			t.Errorf("%q: got %q, or error %v after dialing %q, want it or an error before", host, fields, got.err, got.how)
		}
	}
	if accepted < 26+26+10+len("-._") {
		t.Errorf("got %d bytes accepted, want letters, digits and some more", accepted)
	}
}

// Header injection: what is malformed is refused before anything is dialed.
func TestAttackDialHeader(t *testing.T) {
	refused := func(d Dialer, header http.Header, want string) {
		t.Helper()
		hsWantNoDial(t, d, "ws://a.example/", header, "websocket: "+want)
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		if b < ' ' && b != '\t' || b == 0x7f {
			for _, value := range []string{c, "a" + c + "b", c + "b", "a" + c} {
				refused(Dialer{}, http.Header{"X-A": {"fine", value}}, "malformed value of X-A in the request header: ...")
				refused(Dialer{}, http.Header{"Cookie": {value}}, "malformed value of Cookie in the request header: ...")
				refused(Dialer{}, http.Header{"Host": {value}}, "malformed value of Host in the request header: ...")
			}
		}
		if !isToken(c) {
			refused(Dialer{}, http.Header{"X" + c + "Y": {"1"}}, "malformed name in the request header: ...")
		}
		if !isSubprotocol(c) {
			refused(Dialer{Subprotocols: []string{"chat", "a" + c + "b"}}, nil, "subprotocol ...")
		}
		if b == ' ' || b > 0x7f {
			refused(Dialer{}, http.Header{"Sec-Websocket-Protocol": {"a" + c + "b"}}, "subprotocol ...")
		}
	}
	refused(Dialer{}, http.Header{"": {"1"}}, `malformed name in the request header: ""`)
	refused(Dialer{}, http.Header{"X": {"1\r\nA: b"}}, `malformed value of X in the request header: "1\r\nA: b"`)
	refused(Dialer{}, http.Header{"X\r\nUpgrade": {"h2c"}}, `malformed name in the request header: "X\r\nUpgrade"`)
}

// RFC 6455, 4.1: non-empty tokens, all different.
func TestDialMalformedSubprotocols(t *testing.T) {
	const reason = " is empty, or has a comma or a character that is not visible ASCII"
	for _, tt := range []struct {
		in   []string
		want string
	}{
		{[]string{""}, `""` + reason},
		{[]string{"a b"}, `"a b"` + reason},
		{[]string{"chat\x7f"}, `"chat\x7f"` + reason},
		{[]string{"chat", "a,b"}, `"a,b"` + reason},
		{[]string{"chat\r\nX: y"}, `"chat\r\nX: y"` + reason},
		{[]string{"chat", "superchat", "chat"}, `"chat" is asked for twice`},
	} {
		hsWantNoDial(t, Dialer{Subprotocols: tt.in}, "ws://a.example/", nil, "websocket: subprotocol "+tt.want)
	}
	hsWantNoDial(t, Dialer{}, "ws://a.example/", http.Header{"Sec-Websocket-Protocol": {"chat", "superchat, chat"}},
		`websocket: subprotocol "chat" is asked for twice`)
	if got := hsDialPipe(t, Dialer{Subprotocols: []string{"chat", "Chat"}}, "ws://a.example/", nil, nil); got.err != nil {
		t.Errorf("got error %v for names that differ by case, want none", got.err)
	}
}

// One Cookie field (RFC 6265, 5.4) has the program's cookies and those of the jar.
func TestDialCookies(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(&url.URL{Scheme: "http", Host: "a.example"}, []*http.Cookie{{Name: "jar", Value: "1"}, {Name: "other", Value: "2"}})
	roomy := append(make([]string, 0, 10), "mine=3") // nothing is to be appended to it
	for _, tt := range []struct {
		name   string
		jar    http.CookieJar
		header http.Header
		want   string // sorted
	}{
		{"of the program", nil, http.Header{"Cookie": {"mine=3"}}, "mine=3"},
		{"of the program, two lines", nil, http.Header{"Cookie": {"mine=3", "too=4"}}, "mine=3 too=4"},
		{"of the jar", jar, nil, "jar=1 other=2"},
		{"of both", jar, http.Header{"Cookie": roomy}, "jar=1 mine=3 other=2"},
		{"of both, in another spelling", jar, http.Header{"cookie": {"mine=3"}}, "jar=1 mine=3 other=2"},
		{"in two spellings", jar, http.Header{"cookie": {"mine=3"}, "Cookie": {"too=4"}}, "jar=1 mine=3 other=2 too=4"},
		{"two lines and the jar", jar, http.Header{"Cookie": {"mine=3", "too=4"}}, "jar=1 mine=3 other=2 too=4"},
		{"no value", nil, http.Header{"Cookie": nil}, ""},
		{"no value and the jar", jar, http.Header{"Cookie": {}}, "jar=1 other=2"},
	} {
		fields := hsSentFields(t, Dialer{Jar: tt.jar}, "ws://a.example/", tt.header, "Cookie")
		cookies := strings.Split(strings.TrimPrefix(strings.Join(fields, "\n"), "Cookie: "), "; ")
		slices.Sort(cookies)
		if got := strings.Join(cookies, " "); got != tt.want {
			t.Errorf("%s: got %q, want one field with %q", tt.name, fields, tt.want)
		}
	}
	if got := roomy[:2][1]; got != "" {
		t.Errorf("got %q behind the program's cookies, want nothing", got)
	}
}

// hsJar notes which URLs it is asked for, and which cookies it gets.
type hsJar struct{ calls []string }

func (j *hsJar) Cookies(u *url.URL) []*http.Cookie {
	j.calls = append(j.calls, "get "+u.String())
	return nil
}

func (j *hsJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.calls = append(j.calls, fmt.Sprintf("set %s %v", u, cookies))
}

// The jar learns the cookies of an answer, be it a connection or a refusal, and sees
// http and https URLs, which is what jars know.
func TestDialJar(t *testing.T) {
	for dialed, seen := range map[string]string{"ws": "http", "wss": "https", "http": "http", "https": "https"} {
		jar := new(hsJar)
		for _, answer := range []func(string) string{
			func(string) string {
				return "HTTP/1.1 403 Forbidden\r\nSet-Cookie: refused=1\r\nContent-Length: 0\r\n\r\n"
			},
			func(key string) string { return hsAccept(key, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n") },
			func(key string) string { return hsAccept(key, "") },
		} {
			hsDialPipe(t, Dialer{Jar: jar}, dialed+"://a.example/x", nil, answer)
		}
		u := seen + "://a.example/x"
		want := []string{"get " + u, "set " + u + " [refused=1]", "get " + u, "set " + u + " [a=1 b=2]", "get " + u}
		if !slices.Equal(jar.calls, want) {
			t.Errorf("%s: got %q, want %q", dialed, jar.calls, want)
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
}

// A copy of a Dialer is another one.
func TestDialCopiedDialer(t *testing.T) {
	a := Dialer{Subprotocols: []string{"a"}}
	b := a
	b.Subprotocols = []string{"b"}
	for want, d := range map[string]Dialer{"a": a, "b": b} {
		got := hsSentFields(t, d, "ws://a.example/", nil, "Sec-WebSocket-Protocol")
		if !slices.Equal(got, []string{"Sec-WebSocket-Protocol: " + want}) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
}

// ngDial dials a server that answers with the lines of extensions. It returns the lines of the request.
func ngDial(t *testing.T, d Dialer, answer []string) (c *Conn, request []string, err error) {
	t.Helper()
	fields := ""
	for _, line := range answer {
		fields += "Sec-WebSocket-Extensions: " + line + "\r\n"
	}
	got := hsDialPipe(t, d, "ws://a.example/", nil, func(key string) string { return hsAccept(key, fields) })
	if got.resp == nil {
		t.Errorf("%q: got no response with error %v, want that of the server", answer, got.err)
	}
	return got.c, hsFields(got.request, "Sec-WebSocket-Extensions"), got.err
}

// The table of negotiations, from the request on the wire to what the connection then
// does. Each answer that is not right is ErrBadHandshake.
func TestDialNegotiationTable(t *testing.T) {
	for _, tc := range ngClientCases(t) {
		for _, a := range tc.answers {
			c, request, err := ngDial(t, Dialer{EnableCompression: true, Compression: tc.options}, a.lines)
			if got, want := strings.Join(request, "\n"), "Sec-WebSocket-Extensions: "+tc.offers; got != want {
				t.Errorf("%s: got request %q, want %q", tc.name, got, want)
			}
			switch {
			case a.reason != "":
				if err != ErrBadHandshake {
					t.Errorf("%s, %q: got error %v, want %v", tc.name, a.lines, err, ErrBadHandshake)
				}
			case err != nil:
				t.Errorf("%s, %q: got error %v, want a connection", tc.name, a.lines, err)
			case ngDescribe(c.compression) != a.want:
				t.Errorf("%s, %q: got a connection that %s, want %s", tc.name, a.lines, ngDescribe(c.compression), a.want)
			}
		}
	}
}

// Without EnableCompression nothing is offered, whatever Compression says, and so
// nothing is accepted.
func TestDialWithoutEnableCompression(t *testing.T) {
	for _, o := range []CompressionOptions{{}, {ContextTakeover: true, PeerWindowBits: 10}, {WindowBits: 77, Level: 100, Threshold: -1}} {
		c, request, err := ngDial(t, Dialer{Compression: o}, nil)
		if err != nil || request != nil || c.compression != nil {
			t.Errorf("%+v: got error %v after request %q, want a connection without compression", o, err, request)
		}
		if _, _, err := ngDial(t, Dialer{Compression: o}, []string{"permessage-deflate"}); err != ErrBadHandshake {
			t.Errorf("%+v: got error %v, want %v", o, err, ErrBadHandshake)
		}
	}
}

// Options that are a mistake are an error before anything is dialed.
func TestDialInvalidCompressionOptions(t *testing.T) {
	for _, tt := range ngInvalid {
		d := Dialer{EnableCompression: true, Compression: tt.options}
		hsWantNoDial(t, d, "ws://a.example/", nil, "websocket: Dialer."+tt.want)
	}
	for _, o := range ngValid {
		c, _, err := ngDial(t, Dialer{EnableCompression: true, Compression: o}, []string{"permessage-deflate"})
		if err != nil || c.compression == nil {
			t.Errorf("%+v: got error %v, want a connection with compression", o, err)
		}
	}
}

// Over the network: the answer is what both sides have asked for, and messages pass.
func TestDialCompressionOverLoopback(t *testing.T) {
	const flags = "server_no_context_takeover; client_no_context_takeover"
	for want, options := range map[string]struct{ server, client CompressionOptions }{
		flags:                                {},
		flags + "; client_max_window_bits=9": {CompressionOptions{PeerWindowBits: 9}, CompressionOptions{WindowBits: 15}},
		"server_max_window_bits=8": {CompressionOptions{ContextTakeover: true, WindowBits: 9},
			CompressionOptions{ContextTakeover: true, PeerWindowBits: 8}},
		flags + "; client_max_window_bits=8": {CompressionOptions{ContextTakeover: true}, CompressionOptions{WindowBits: 8}},
	} {
		addr, _ := hsServe(t, Upgrader{EnableCompression: true, Compression: options.server})
		d := Dialer{EnableCompression: true, Compression: options.client}
		c, resp, err := d.Dial("ws://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetReadDeadline(time.Now().Add(hsPatience))
		got := strings.Join(resp.Header["Sec-Websocket-Extensions"], "\n")
		if got != "permessage-deflate; "+want || c.compression == nil {
			t.Errorf("got answer %q, want %q", got, want)
		}
		for i := range 3 {
			hsWantEcho(t, c, string(textLike(2000, uint64(i))))
		}
	}
}
