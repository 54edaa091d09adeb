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

// wantNoDial checks that Dial returns the error, of which it need not have what "..." stands for, before
// anything is dialed.
func wantNoDial(t *testing.T, d Dialer, url string, header http.Header, want string) {
	t.Helper()
	got := hsDialPipe(t, d, url, header, nil)
	prefix, open := strings.CutSuffix(want, "...")
	text := fmt.Sprint(got.err)
	if got.how != "" || got.resp != nil || text != want && !(open && strings.HasPrefix(text, prefix)) {
		t.Errorf("%s with %q: got error %v after dialing %q, want %s before", url, header, got.err, got.how, want)
	}
}

// hsPlayRequests dials as the cases of a file of testdata/request say: to a url, or else to ws://a.example/, with
// a header of the program, in which a name alone has no value. They have what is dialed, and of the request the
// first line, and the lines of the fields that they name, or "no Name"; or the error, before anything is dialed.
func hsPlayRequests(t *testing.T, file string) {
	jar, _ := cookiejar.New(nil)
	cookies := []*http.Cookie{{Name: "jar", Value: "1"}, {Name: "other", Value: "2"}}
	jar.SetCookies(&url.URL{Scheme: "http", Host: "a.example"}, cookies)
	for _, c := range hsParseCases(t, "testdata/request/"+file) {
		d := Dialer{Subprotocols: c.setting("dialer", "subprotocols")}
		if c.setting("dialer", "jar") != nil {
			d.Jar = jar
		}
		header := make(http.Header)
		for _, line := range c.lines(t, "header") {
			name, value, ok := strings.Cut(line, ": ")
			header[name] = slices.Grow(header[name], 8) // room that is not to be used
			if ok {
				header[name] = append(header[name], value)
			}
		}
		url, ok := c.settings["url"]
		if !ok {
			url = "ws://a.example/"
		}
		before := header.Clone()
		got := hsDialPipe(t, d, hsExpand(t, url, ""), header, nil)
		for name, values := range header {
			if !slices.Equal(values, before[name]) || strings.Join(values[len(values):cap(values)], "") != "" {
				t.Errorf("%s: got header %q, want it as it was, and nothing behind it", c.name, values[:cap(values)])
			}
		}
		if want := strings.Join(c.lines(t, "error"), "\n"); want != "" {
			if got.how != "" || fmt.Sprint(got.err) != want {
				t.Errorf("%s: got error %v after dialing %q, want %s before", c.name, got.err, got.how, want)
			}
			continue
		}
		if dials := strings.Join(c.lines(t, "dials"), "\n"); got.err != nil || dials != "" && got.how+" "+got.addr != dials {
			t.Errorf("%s: got %s %s and error %v, want %s", c.name, got.how, got.addr, got.err, dials)
		}
		hsCompareRequest(t, c, got.request)
	}
}

func hsCompareRequest(t *testing.T, c *hsCase, request string) {
	head, body, ok := strings.Cut(request, "\r\n\r\n")
	if !ok || body != "" {
		t.Errorf("%s: got %q, want a head and nothing behind it", c.name, request)
	}
	want := make(map[string][]string)
	for _, line := range c.lines(t, "request") {
		absent, isAbsent := strings.CutPrefix(line, "no ")
		name, _, isField := strings.Cut(line, ": ")
		switch {
		case isAbsent:
			want[absent] = nil
		case isField:
			want[name] = append(want[name], line)
		case !strings.HasPrefix(head, line+"\r\n"):
			t.Errorf("%s: got %q, want it to begin with %q", c.name, head, line)
		}
	}
	for name, fields := range want {
		sent := hsFields(head, name)
		if name == "Cookie" && len(sent) == 1 { // the order is that of a map
			cookies := strings.Split(strings.TrimPrefix(sent[0], "Cookie: "), "; ")
			slices.Sort(cookies)
			sent[0] = "Cookie: " + strings.Join(cookies, "; ")
		}
		if !slices.Equal(sent, fields) {
			t.Errorf("%s: got %q, want %q", c.name, sent, fields)
		}
	}
}

func TestDialRequest(t *testing.T)      { hsPlayRequests(t, "handshake.txt") }
func TestDialURL(t *testing.T)          { hsPlayRequests(t, "url.txt") }
func TestDialMalformedURL(t *testing.T) { hsPlayRequests(t, "malformed-url.txt") }
func TestDialHeader(t *testing.T)       { hsPlayRequests(t, "header.txt") }
func TestDialCookies(t *testing.T)      { hsPlayRequests(t, "cookies.txt") }

// A key is for one connection (RFC 6455, 4.1).
func TestDialMakesANewKeyEachTime(t *testing.T) {
	var keys [2]string
	for i := range keys {
		got := hsDialPipe(t, Dialer{}, "ws://a.example/", nil, nil)
		fields := hsFields(got.request, "Sec-WebSocket-Key")
		keys[i] = strings.TrimPrefix(strings.Join(fields, "\n"), "Sec-WebSocket-Key: ")
	}
	if !validKey(keys[0]) || !validKey(keys[1]) || keys[0] == keys[1] {
		t.Errorf("got %q, want two keys of 16 bytes", keys)
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
				wantNoDial(t, d, "ws://a.example/", http.Header{name: values}, "websocket: duplicate header not allowed: "+want)
			}
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
		wantNoDial(t, d, "ws://a.example/", header, "websocket: "+want)
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
		wantNoDial(t, Dialer{Subprotocols: tt.in}, "ws://a.example/", nil, "websocket: subprotocol "+tt.want)
	}
	wantNoDial(t, Dialer{}, "ws://a.example/", http.Header{"Sec-Websocket-Protocol": {"chat", "superchat, chat"}},
		`websocket: subprotocol "chat" is asked for twice`)
	if got := hsDialPipe(t, Dialer{Subprotocols: []string{"chat", "Chat"}}, "ws://a.example/", nil, nil); got.err != nil {
		t.Errorf("got error %v for names that differ by case, want none", got.err)
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
