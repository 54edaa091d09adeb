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

// dialed is what a Dialer did for one URL.
type dialed struct {
	how     string // which function dialed; "" where nothing was dialed
	addr    string
	request string // as it is on the wire
	c       *Conn
	resp    *http.Response
	err     error
}

// dial returns a function that dials, and notes how.
func (got *dialed) dial(how string, nc net.Conn, err error) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		got.how, got.addr = how+" "+network, addr
		return nc, err
	}
}

// accept101 is the answer to a request with the key, with more fields, each with its line end.
func accept101(key, fields string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(key) + "\r\n" + fields + "\r\n"
}

// dialPipe dials with a server at the other end of a connection in memory, which gives the answer, or
// answers any request with 101 where that is nil.
func dialPipe(t *testing.T, d Dialer, url string, header http.Header, answer func(key string) string) (got dialed) {
	t.Helper()
	near, far := newPipe(t, 1<<20)
	far.SetDeadline(time.Now().Add(patience))
	if answer == nil {
		answer = func(key string) string { return accept101(key, "") }
	}
	sent := answerHandshake(far, answer)
	d.NetDialContext, d.NetDialTLSContext = got.dial("plain", near, nil), got.dial("TLS", near, nil)
	got.c, got.resp, got.err = d.Dial(url, header)
	switch {
	case got.c != nil:
		t.Cleanup(func() { got.c.Close() })
		if got.c.NetConn() != net.Conn(near) {
			t.Errorf("%s: got NetConn %v, want the very connection that was dialed", url, got.c.NetConn())
		}
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

// fieldLines returns the values of a field of a request on the wire, each after the name
// as it was written.
func fieldLines(request, name string) []string {
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
	got := dialPipe(t, d, url, header, nil)
	prefix, open := strings.CutSuffix(want, "...")
	text := fmt.Sprint(got.err)
	if got.how != "" || got.resp != nil || text != want && !(open && strings.HasPrefix(text, prefix)) {
		t.Errorf("%s with %q: got error %v after dialing %q, want %s before", url, header, got.err, got.how, want)
	}
}

// playRequests dials as the cases of a file of testdata/request say: to a url, or else to ws://a.example/, with
// a header of the program, in which a name alone has no value. They have what is dialed, and of the request the
// first line, and the lines of the fields that they name, or "no Name"; or the error, before anything is dialed.
// Each request must have a key of its own (RFC 6455, 4.1).
func playRequests(t *testing.T, file string) {
	jar, _ := cookiejar.New(nil)
	cookies := []*http.Cookie{{Name: "jar", Value: "1"}, {Name: "other", Value: "2"}}
	jar.SetCookies(&url.URL{Scheme: "http", Host: "a.example"}, cookies)
	keys := make(map[string]bool)
	for _, c := range parseCases(t, "testdata/request/"+file) {
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
		got := dialPipe(t, d, expandBraces(t, url, ""), header, nil)
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
		head, body, ok := strings.Cut(got.request, "\r\n\r\n")
		key := strings.TrimPrefix(strings.Join(fieldLines(head, "Sec-WebSocket-Key"), "\n"), "Sec-WebSocket-Key: ")
		if !ok || body != "" || !validKey(key) || keys[key] {
			t.Errorf("%s: got %q, want a head with a new key, and nothing behind it", c.name, got.request)
		}
		keys[key] = true
		wantHead(t, c.name, head, c.lines(t, "request"))
	}
}

func TestDialRequest(t *testing.T)      { playRequests(t, "handshake.txt") }
func TestDialURL(t *testing.T)          { playRequests(t, "url.txt") }
func TestDialMalformedURL(t *testing.T) { playRequests(t, "malformed-url.txt") }
func TestDialHeader(t *testing.T)       { playRequests(t, "header.txt") }
func TestDialCookies(t *testing.T)      { playRequests(t, "cookies.txt") }

// The fields of the handshake are the library's, in any spelling, and even empty.
func TestDialDuplicateHeader(t *testing.T) {
	d := Dialer{Subprotocols: []string{"chat"}, EnableCompression: true}
	for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version",
		"Sec-Websocket-Extensions", "Sec-Websocket-Protocol"} {
		want := "websocket: duplicate header not allowed: " + name
		for _, spelling := range []string{name, strings.ToLower(name), strings.Replace(name, "socket", "Socket", 1)} {
			wantNoDial(t, d, "ws://a.example/", http.Header{spelling: {"x"}}, want)
			wantNoDial(t, d, "ws://a.example/", http.Header{spelling: nil}, want)
		}
	}
}

// Header injection: what is malformed is refused before anything is dialed. A Host that is not reaches the server as
// it is.
func TestAttackDialHeader(t *testing.T) {
	refused := func(d Dialer, header http.Header, want string) {
		t.Helper()
		wantNoDial(t, d, "ws://a.example/", header, "websocket: "+want)
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		control := b < ' ' && b != '\t' || b == 0x7f
		if control {
			for _, value := range []string{c, "a" + c + "b", c + "b", "a" + c} {
				refused(Dialer{}, http.Header{"X-A": {"fine", value}}, "malformed value of X-A in the request header: ...")
				refused(Dialer{}, http.Header{"Cookie": {value}}, "malformed value of Cookie in the request header: ...")
			}
		}
		host := http.Header{"Host": {"a" + c + "b"}}
		switch {
		case control || strings.Contains(" \t\"#/<>?@\\^`{|}", c):
			refused(Dialer{}, host, "malformed value of Host in the request header: ...")
		case b < 0x80: // beyond, it is a name in another script
			got := dialPipe(t, Dialer{}, "ws://a.example/", host, nil)
			if fields := fieldLines(got.request, "Host"); got.err != nil || fields[0] != "Host: a"+c+"b" {
				t.Errorf("%q: got %q and error %v, want it as it is", host, fields, got.err)
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

	// RFC 6455, 4.1: non-empty tokens, all different. Names that differ by case are.
	const reason = " is empty, or has a comma or a character that is not visible ASCII"
	refused(Dialer{Subprotocols: []string{""}}, nil, `subprotocol ""`+reason)
	refused(Dialer{Subprotocols: []string{"chat", "a,b\r\nX: y"}}, nil, `subprotocol "a,b\r\nX: y"`+reason)
	const twice = `subprotocol "chat" is asked for twice`
	refused(Dialer{Subprotocols: []string{"chat", "superchat", "chat"}}, nil, twice)
	refused(Dialer{}, http.Header{"Sec-Websocket-Protocol": {"chat", "superchat, chat"}}, twice)
	if got := dialPipe(t, Dialer{Subprotocols: []string{"chat", "Chat"}}, "ws://a.example/", nil, nil); got.err != nil {
		t.Errorf("got error %v for names that differ by case, want none", got.err)
	}
}

// noteJar notes which URLs it is asked for, and which cookies it gets.
type noteJar struct{ calls []string }

func (j *noteJar) Cookies(u *url.URL) []*http.Cookie {
	j.calls = append(j.calls, "get "+u.String())
	return nil
}

func (j *noteJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.calls = append(j.calls, fmt.Sprintf("set %s %v", u, cookies))
}

// The jar learns the cookies of an answer, be it a connection or a refusal. It sees http and https URLs, which is what
// jars know, and so does Proxy, with the program's header. Where Proxy returns nothing, there is no proxy; its error is
// Dial's.
func TestDialJar(t *testing.T) {
	for scheme, seen := range map[string]string{"ws": "http", "wss": "https", "http": "http", "https": "https"} {
		jar := new(noteJar)
		d := Dialer{Jar: jar, Proxy: func(r *http.Request) (*url.URL, error) {
			jar.calls = append(jar.calls, "proxy for "+r.URL.String()+r.Header.Get("X-A"))
			return nil, nil
		}}
		for _, answer := range []func(string) string{
			func(string) string {
				return "HTTP/1.1 403 Forbidden\r\nSet-Cookie: refused=1\r\nContent-Length: 0\r\n\r\n"
			},
			func(key string) string { return accept101(key, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n") },
			func(key string) string { return accept101(key, "") },
		} {
			got := dialPipe(t, d, scheme+"://a.example/x", http.Header{"X-A": {"1"}}, answer)
			if !strings.HasPrefix(got.request, "GET /x ") {
				t.Errorf("%s: got request %q, want one without a proxy", scheme, got.request)
			}
		}
		get, proxy, set := "get "+seen+"://a.example/x", "proxy for "+seen+"://a.example/x1", "set "+seen+"://a.example/x "
		want := []string{get, proxy, set + "[refused=1]", get, proxy, set + "[a=1 b=2]", get, proxy}
		if !slices.Equal(jar.calls, want) {
			t.Errorf("%s: got %q, want %q", scheme, jar.calls, want)
		}
	}
	d := Dialer{Proxy: func(*http.Request) (*url.URL, error) { return nil, errMine }}
	wantNoDial(t, d, "ws://a.example/x", nil, errMine.Error())
}

// A nil *Dialer is DefaultDialer.
func TestDialNilDialer(t *testing.T) {
	kept := *DefaultDialer
	defer func() { *DefaultDialer = kept }()
	used := errors.New("DefaultDialer")
	DefaultDialer.Proxy = func(*http.Request) (*url.URL, error) { return nil, used }
	var d *Dialer
	if _, _, err := d.Dial("ws://a.example/", nil); err != used {
		t.Errorf("got error %v, want that of DefaultDialer", err)
	}
}

// dialExtensions dials a server that answers with the lines of extensions. It returns the lines of the request.
func dialExtensions(t *testing.T, d Dialer, answer []string) (c *Conn, request []string, err error) {
	t.Helper()
	fields := ""
	for _, line := range answer {
		fields += "Sec-WebSocket-Extensions: " + line + "\r\n"
	}
	got := dialPipe(t, d, "ws://a.example/", nil, func(key string) string { return accept101(key, fields) })
	if got.resp == nil {
		t.Errorf("%q: got no response with error %v, want that of the server", answer, got.err)
	}
	return got.c, fieldLines(got.request, "Sec-WebSocket-Extensions"), got.err
}
