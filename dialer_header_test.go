//go:build go1.25

package websocket

import (
	"context"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The fields of the handshake are the library's, in any spelling, and even empty.
func TestDialDuplicateHeader(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"Upgrade", "Upgrade"}, {"upgrade", "Upgrade"}, {"UPGRADE", "Upgrade"},
		{"Connection", "Connection"}, {"connection", "Connection"},
		{"Sec-Websocket-Key", "Sec-Websocket-Key"}, {"Sec-WebSocket-Key", "Sec-Websocket-Key"}, {"sec-websocket-key", "Sec-Websocket-Key"},
		{"Sec-Websocket-Version", "Sec-Websocket-Version"}, {"Sec-WebSocket-Version", "Sec-Websocket-Version"},
		{"Sec-Websocket-Extensions", "Sec-Websocket-Extensions"}, {"Sec-WebSocket-Extensions", "Sec-Websocket-Extensions"},
		{"Sec-Websocket-Protocol", "Sec-Websocket-Protocol"}, {"Sec-WebSocket-Protocol", "Sec-Websocket-Protocol"}, {"sec-websocket-protocol", "Sec-Websocket-Protocol"},
	} {
		for _, values := range [][]string{{"x"}, nil} {
			got := hsDialPipe(t, Dialer{Subprotocols: []string{"chat"}}, "ws://a.example/", http.Header{tt.name: values})
			if want := "websocket: duplicate header not allowed: " + tt.want; got.err == nil || got.err.Error() != want || got.how != "" {
				t.Errorf("%s: got error %v after dialing %q, want %s before", tt.name, got.err, got.how, want)
			}
		}
	}
}

func TestDialHeader(t *testing.T) {
	tests := []struct {
		name   string
		in     http.Header
		fields string // the name of those that are compared
		want   []string
	}{
		{"Origin", http.Header{"Origin": {"http://a.example"}}, "Origin", []string{"Origin: http://a.example"}},
		{"several values", http.Header{"X-A": {"1", "2"}}, "X-A", []string{"X-A: 1", "X-A: 2"}},
		{"the program's spelling", http.Header{"x-A": {"1"}}, "X-A", []string{"x-A: 1"}},
		{"a tab", http.Header{"X-A": {"1\t2"}}, "X-A", []string{"X-A: 1\t2"}},
		{"outside of ASCII", http.Header{"X-A": {"\u00e4\xff"}}, "X-A", []string{"X-A: \u00e4\xff"}},
		{"User-Agent", http.Header{"User-Agent": {"me"}}, "User-Agent", []string{"User-Agent: me"}},
		{"User-Agent in another spelling", http.Header{"user-agent": {"me"}}, "User-Agent", []string{"User-Agent: me"}},
		{"no User-Agent", http.Header{"User-Agent": {""}}, "User-Agent", nil},

		{"Host", http.Header{"Host": {"b.example"}}, "Host", []string{"Host: b.example"}},
		{"Host in another spelling", http.Header{"host": {"b.example:81"}}, "Host", []string{"Host: b.example:81"}},
		{"an IPv6 Host", http.Header{"Host": {"[2001:db8::1]:81"}}, "Host", []string{"Host: [2001:db8::1]:81"}},
		{"an empty Host", http.Header{"Host": {""}}, "Host", []string{"Host: a.example"}},
		{"no value of Host", http.Header{"Host": nil}, "Host", []string{"Host: a.example"}},

		// A handshake has no body, and nobody on the way is to think that it has one.
		{"Content-Length", http.Header{"Content-Length": {"5"}}, "Content-Length", nil},
		{"Content-Length in another spelling", http.Header{"content-length": {"5"}}, "Content-Length", nil},
		{"Transfer-Encoding", http.Header{"Transfer-Encoding": {"chunked"}}, "Transfer-Encoding", nil},
		{"Transfer-Encoding in another spelling", http.Header{"transfer-ENCODING": {"chunked"}}, "Transfer-Encoding", nil},
		{"Trailer in another spelling", http.Header{"trailer": {"X"}}, "Trailer", nil},

		{"a subprotocol", http.Header{"Sec-Websocket-Protocol": {"chat"}}, "Sec-WebSocket-Protocol", []string{"Sec-WebSocket-Protocol: chat"}},
		{"subprotocols on several lines", http.Header{"sec-websocket-protocol": {"a,b", " c ,"}}, "Sec-WebSocket-Protocol", []string{"Sec-WebSocket-Protocol: a, b, c"}},
		{"no subprotocol", http.Header{"Sec-Websocket-Protocol": {"", ","}}, "Sec-WebSocket-Protocol", nil},
	}
	for _, tt := range tests {
		got := hsDialPipe(t, Dialer{}, "ws://a.example/", tt.in)
		if fields := hsFields(got.request, tt.fields); got.err != nil || !slices.Equal(fields, tt.want) {
			t.Errorf("%s: got %q and error %v, want %q", tt.name, fields, got.err, tt.want)
		}
	}
}

// Each byte of a Host reaches the server, or the program is told that it cannot.
func TestDialHostBytes(t *testing.T) {
	accepted := 0
	for b := range 0x80 { // beyond, it is a name in another script
		host := "a" + string([]byte{byte(b)}) + "b"
		got := hsDialPipe(t, Dialer{}, "ws://a.example/", http.Header{"Host": {host}})
		if got.err != nil {
			if got.how != "" {
				t.Errorf("%q: dialed, want error %v before", host, got.err)
			}
			continue
		}
		accepted++
		if fields := hsFields(got.request, "Host"); len(fields) != 1 || fields[0] != "Host: "+host {
			t.Errorf("%q: got %q, want it or an error", host, fields)
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
		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%q: dialed, want it refused before", header)
			return nil, net.ErrClosed
		}
		if c, _, err := d.Dial("ws://a.example/", header); c != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got error %v, want %s", header, err, want)
		}
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		if b < ' ' && b != '\t' || b == 0x7f {
			for _, value := range []string{c, "a" + c + "b", c + "b", "a" + c} {
				refused(Dialer{}, http.Header{"X-A": {"fine", value}}, "websocket: malformed value of X-A in the request header: ")
				refused(Dialer{}, http.Header{"Cookie": {value}}, "websocket: malformed value of Cookie in the request header: ")
				refused(Dialer{}, http.Header{"Host": {value}}, "websocket: malformed value of Host in the request header: ")
			}
		}
		if !isToken(c) {
			refused(Dialer{}, http.Header{"X" + c + "Y": {"1"}}, "websocket: malformed name in the request header: ")
		}
		if !isSubprotocol(c) {
			refused(Dialer{Subprotocols: []string{"chat", "a" + c + "b"}}, nil, "websocket: subprotocol ")
		}
		if !isSubprotocol(c) && c != "," && b >= ' ' && b != 0x7f {
			refused(Dialer{}, http.Header{"Sec-Websocket-Protocol": {"a" + c + "b"}}, "websocket: subprotocol ")
		}
	}
	refused(Dialer{}, http.Header{"": {"1"}}, `websocket: malformed name in the request header: ""`)
	refused(Dialer{}, http.Header{"X": {"1\r\nUpgrade: h2c"}}, `websocket: malformed value of X in the request header: "1\r\nUpgrade: h2c"`)
	refused(Dialer{}, http.Header{"X\r\nUpgrade": {"h2c"}}, `websocket: malformed name in the request header: "X\r\nUpgrade"`)
}

// RFC 6455, 4.1: non-empty tokens, all different.
func TestDialMalformedSubprotocols(t *testing.T) {
	for _, tt := range []struct {
		in   []string
		want string
	}{
		{[]string{""}, `websocket: subprotocol "" is empty, or has a comma or a character that is not visible ASCII`},
		{[]string{"a b"}, `websocket: subprotocol "a b" is empty, or has a comma or a character that is not visible ASCII`},
		{[]string{"chat\x7f"}, `websocket: subprotocol "chat\x7f" is empty, or has a comma or a character that is not visible ASCII`},
		{[]string{"chat", "a,b"}, `websocket: subprotocol "a,b" is empty, or has a comma or a character that is not visible ASCII`},
		{[]string{"chat\r\nX: y"}, `websocket: subprotocol "chat\r\nX: y" is empty, or has a comma or a character that is not visible ASCII`},
		{[]string{"chat", "superchat", "chat"}, `websocket: subprotocol "chat" is asked for twice`},
	} {
		got := hsDialPipe(t, Dialer{Subprotocols: tt.in}, "ws://a.example/", nil)
		if got.err == nil || got.err.Error() != tt.want || got.how != "" {
			t.Errorf("got error %v after dialing %q, want %s before", got.err, got.how, tt.want)
		}
	}
	got := hsDialPipe(t, Dialer{}, "ws://a.example/", http.Header{"Sec-Websocket-Protocol": {"chat", "superchat, chat"}})
	if want := `websocket: subprotocol "chat" is asked for twice`; got.err == nil || got.err.Error() != want {
		t.Errorf("got error %v, want %s", got.err, want)
	}
	got = hsDialPipe(t, Dialer{Subprotocols: []string{"chat", "Chat"}}, "ws://a.example/", nil)
	if got.err != nil {
		t.Errorf("got error %v for names that differ by case, want none", got.err)
	}
}

// The program's header is its own.
func TestDialLeavesTheHeaderAlone(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	u := &url.URL{Scheme: "http", Host: "a.example"}
	jar.SetCookies(u, []*http.Cookie{{Name: "jar", Value: "1"}})
	cookies := make([]string, 1, 10)
	cookies[0] = "mine=1"
	header := http.Header{"Cookie": cookies, "X-A": {"1"}, "host": {"b.example"}}
	before := header.Clone()
	for range 2 {
		if got := hsDialPipe(t, Dialer{Jar: jar}, "ws://a.example/", header); got.err != nil {
			t.Fatal(got.err)
		}
	}
	for name, values := range before {
		if !slices.Equal(header[name], values) {
			t.Errorf("got %s: %q, want %q", name, header[name], values)
		}
	}
	if len(header) != len(before) || cookies[:2][1] != "" {
		t.Errorf("got %q and %q behind it, want nothing added", header, cookies[:2][1])
	}
}

// One Cookie field (RFC 6265, 5.4) has the program's cookies and those of the jar.
func TestDialCookies(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(&url.URL{Scheme: "http", Host: "a.example"}, []*http.Cookie{{Name: "jar", Value: "1"}, {Name: "other", Value: "2"}})
	tests := []struct {
		name   string
		jar    http.CookieJar
		header http.Header
		want   []string // sorted
	}{
		{"none", nil, nil, nil},
		{"of the program", nil, http.Header{"Cookie": {"mine=3"}}, []string{"mine=3"}},
		{"of the program, two lines", nil, http.Header{"Cookie": {"mine=3", "too=4"}}, []string{"mine=3", "too=4"}},
		{"of the jar", jar, nil, []string{"jar=1", "other=2"}},
		{"of both", jar, http.Header{"Cookie": {"mine=3"}}, []string{"jar=1", "mine=3", "other=2"}},
		{"of both, in another spelling", jar, http.Header{"cookie": {"mine=3"}}, []string{"jar=1", "mine=3", "other=2"}},
		{"in two spellings", jar, http.Header{"cookie": {"mine=3"}, "Cookie": {"too=4"}}, []string{"jar=1", "mine=3", "other=2", "too=4"}},
		{"two lines and the jar", jar, http.Header{"Cookie": {"mine=3", "too=4"}}, []string{"jar=1", "mine=3", "other=2", "too=4"}},
		{"no value", nil, http.Header{"Cookie": nil}, nil},
		{"no value and the jar", jar, http.Header{"Cookie": {}}, []string{"jar=1", "other=2"}},
	}
	for _, tt := range tests {
		got := hsDialPipe(t, Dialer{Jar: tt.jar}, "ws://a.example/", tt.header)
		fields := hsFields(got.request, "Cookie")
		var cookies []string
		if len(fields) == 1 {
			cookies = strings.Split(strings.TrimPrefix(fields[0], "Cookie: "), "; ")
		}
		slices.Sort(cookies)
		if got.err != nil || len(fields) > 1 || !slices.Equal(cookies, tt.want) {
			t.Errorf("%s: got %q and error %v, want one field with %q", tt.name, fields, got.err, tt.want)
		}
	}
}

// hsJar notes which URLs it is asked for.
type hsJar struct {
	http.CookieJar
	urls []string
}

func (j *hsJar) Cookies(u *url.URL) []*http.Cookie {
	j.urls = append(j.urls, "get "+u.String())
	return j.CookieJar.Cookies(u)
}

func (j *hsJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.urls = append(j.urls, "set "+u.String())
	j.CookieJar.SetCookies(u, cookies)
}

// The jar learns the cookies of an answer, be it a connection or a refusal, and sees
// http and https URLs, which is what jars know.
func TestDialJar(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			http.SetCookie(w, &http.Cookie{Name: "refused", Value: "1", Path: "/", Secure: r.TLS != nil})
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		seen := r.Header.Get("Cookie")
		cookie := http.Cookie{Name: "connected", Value: "1", Path: "/", Secure: r.TLS != nil}
		c, err := new(Upgrader).Upgrade(w, r, http.Header{"Set-Cookie": {cookie.String()}, "X-Seen": {seen}})
		if err == nil {
			c.Close()
		}
	})
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	defer plain.Close()
	defer secure.Close()
	for _, srv := range []*httptest.Server{plain, secure} {
		kept, _ := cookiejar.New(nil)
		jar := &hsJar{CookieJar: kept}
		d := Dialer{Jar: jar}
		if srv == secure {
			d.TLSClientConfig = hsTLSConfig(srv)
		}
		base := "ws" + strings.TrimPrefix(srv.URL, "http")
		if _, _, err := d.Dial(base+"/refuse", nil); err != ErrBadHandshake {
			t.Errorf("got error %v, want %v", err, ErrBadHandshake)
		}
		for _, want := range []string{"refused=1", "refused=1; connected=1"} {
			c, resp, err := d.Dial(base+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if got := resp.Header.Get("X-Seen"); got != want {
				t.Errorf("got cookies %q at the server, want %q", got, want)
			}
		}
		want := []string{"get " + srv.URL + "/refuse", "set " + srv.URL + "/refuse", "get " + srv.URL + "/", "set " + srv.URL + "/", "get " + srv.URL + "/", "set " + srv.URL + "/"}
		if !slices.Equal(jar.urls, want) {
			t.Errorf("got %q, want %q", jar.urls, want)
		}
	}
}
