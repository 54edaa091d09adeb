//go:build go1.25

package websocket

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// What a refused client is told: the status in words, which rule is broken and what to do about it, and the
// version that it should speak.
func TestUpgradeRefusalAnswer(t *testing.T) {
	const passOn = "This resource is for WebSocket: the request must have the fields Connection: Upgrade and Upgrade: websocket (RFC 6455, 4.1). " +
		"A proxy in front of the server must pass them on."
	refuse := func(*http.Request) bool { return false }
	for _, tt := range []struct {
		u      Upgrader
		spoil  func(*http.Request)
		want   int
		advice string
	}{
		{Upgrader{}, func(r *http.Request) { r.ProtoMinor = 0 }, 400, "HTTP/1.0 has no upgrade to WebSocket (RFC 6455, 4.1). If a proxy is in " +
			"front of the server, it must speak HTTP/1.1 to the server; nginx does with proxy_http_version 1.1."},
		{Upgrader{}, func(r *http.Request) { r.ProtoMajor, r.Proto = 2, "HTTP/2.0" }, 505,
			"HTTP/2.0 has no upgrade to WebSocket (RFC 6455, 4.1). Use HTTP/1.1; a proxy in front of the server must speak it to the server."},
		{Upgrader{}, func(r *http.Request) {
			r.ProtoMajor, r.Proto, r.Method = 2, "HTTP/2.0", http.MethodConnect
			r.Header[":protocol"] = []string{"websocket"}
		}, 501, "WebSocket over HTTP/2.0 (RFC 8441, RFC 9220) is not implemented. Use HTTP/1.1."},
		{Upgrader{}, func(r *http.Request) { r.Header.Del("Connection"); r.Header.Del("Upgrade") }, 426, passOn},
		{Upgrader{}, func(r *http.Request) { r.Header.Del("Connection") }, 400, passOn},
		{Upgrader{}, func(r *http.Request) { r.Header.Del("Upgrade") }, 426, passOn},
		{Upgrader{}, func(r *http.Request) { r.Method = http.MethodPut }, 405, "The method of a WebSocket handshake is GET (RFC 6455, 4.1)."},
		{Upgrader{}, func(r *http.Request) { r.Method = http.MethodConnect }, 405, "The method of a WebSocket handshake is GET (RFC 6455, 4.1)."},
		{Upgrader{}, func(r *http.Request) { r.ContentLength = 1 }, 400, "A WebSocket handshake has no body."},
		{Upgrader{}, func(r *http.Request) { r.Header.Set("Sec-Websocket-Version", "8") }, 426, "The Sec-WebSocket-Version must be 13 (RFC 6455, 4.1)."},
		{Upgrader{}, func(r *http.Request) { r.Header.Del("Sec-Websocket-Key") }, 400,
			"The request must have one Sec-WebSocket-Key, which is 16 bytes in base64 (RFC 6455, 4.1)."},
		{Upgrader{}, func(r *http.Request) { r.Header.Set("Sec-Websocket-Extensions", "a b") }, 400,
			"not a websocket handshake: 'Sec-WebSocket-Extensions' header: unexpected 'b' after an extension"},
		{Upgrader{}, func(r *http.Request) {
			r.Header.Set("Origin", "http://evil.example\xff\n<script>"+strings.Repeat("x", 300))
		}, 403,
			`The page's Origin "http://evil.example??<script>` + strings.Repeat("x", 200-len("http://evil.example??<script>")) + `" does not match the Host ` +
				`"server.example.com". If the page is this server's, a proxy in front of the server must pass the Host on; else ` +
				`Upgrader.OriginPatterns must have the Origin.`},
		{Upgrader{CheckOrigin: refuse}, func(r *http.Request) {}, 403,
			`Upgrader.CheckOrigin refuses the page's Origin "" at the Host "server.example.com".`},
		{Upgrader{OriginPatterns: []string{"https://a.example/"}}, func(r *http.Request) {}, 500,
			`Upgrader.OriginPatterns has "https://a.example/", which matches no origin: it has more than a scheme, a host and a port`},
		{Upgrader{}, func(r *http.Request) {}, 500, "The handler's ResponseWriter is a *httptest.ResponseRecorder, which has no Hijack method. " +
			"If it wraps another one, it needs an Unwrap method, which http.ResponseController uses."},
	} {
		r, want := hsRequest(), tt.want
		tt.spoil(r)
		w := httptest.NewRecorder()
		tt.u.Upgrade(w, r, nil)
		if w.Code != want || w.Body.String() != http.StatusText(want)+"\n"+tt.advice+"\n" {
			t.Errorf("got %d with body %q, want %d and %q", w.Code, w.Body, want, tt.advice)
		}
		wantHeader := map[string]string{"Sec-Websocket-Version": "13", "Content-Type": "text/plain; charset=utf-8", "Sec-Websocket-Accept": ""}
		if want == 426 {
			wantHeader["Upgrade"], wantHeader["Connection"] = "websocket", "Upgrade"
		}
		if want == 405 {
			wantHeader["Allow"] = "GET"
		}
		for name, value := range wantHeader {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%d: got %s: %q, want %q", want, name, got, value)
			}
		}
	}
}

// Each rule for the server's answer (RFC 6455, 4.1), and what the handshake has agreed on where none is broken.
// The files of testdata/dial have more of what can be wrong with a field.
func TestCheckResponse(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	deflate := &deflateParams{serverNoContextTakeover: true}
	for _, tt := range []struct {
		name    string
		spoil   func(r *http.Response)
		offered bool
		want    agreement
		ok      bool
	}{
		{"in order", func(r *http.Response) {}, false, agreement{}, true},
		{"HTTP/1.0", func(r *http.Response) { r.ProtoMinor = 0 }, false, agreement{}, true},
		{"a subprotocol", hsField("Sec-Websocket-Protocol", "b"), false, agreement{subprotocol: "b"}, true},
		{"compression", hsField("Sec-Websocket-Extensions", "permessage-deflate; server_no_context_takeover"), true, agreement{deflate: deflate}, true},
		{"no compression", func(r *http.Response) {}, true, agreement{}, true},

		{"HTTP/2", func(r *http.Response) { r.ProtoMajor = 2 }, false, agreement{}, false},
		{"another status", func(r *http.Response) { r.StatusCode = http.StatusOK }, false, agreement{}, false},
		{"no Upgrade", hsField("Upgrade"), false, agreement{}, false},
		{"another protocol", hsField("Upgrade", "h2c"), false, agreement{}, false},
		{"two lines of Upgrade", hsField("Upgrade", "websocket", "websocket"), false, agreement{}, false},
		{"no Connection", hsField("Connection"), false, agreement{}, false},
		{"no Sec-WebSocket-Accept", hsField("Sec-Websocket-Accept"), false, agreement{}, false},
		{"that of another key", hsField("Sec-Websocket-Accept", acceptKey("AAAAAAAAAAAAAAAAAAAAAA==")), false, agreement{}, false},
		{"extensions that are no list", hsField("Sec-Websocket-Extensions", "a b"), false, agreement{}, false},
		{"an extension that was not offered", hsField("Sec-Websocket-Extensions", "permessage-deflate"), false, agreement{}, false},
		{"a subprotocol that was not asked for", hsField("Sec-Websocket-Protocol", "c"), false, agreement{}, false},
		{"two subprotocols", hsField("Sec-Websocket-Protocol", "a", "b"), false, agreement{}, false},
	} {
		r := &http.Response{StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
			"Upgrade": {"WebSocket"}, "Connection": {"keep-alive, upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		}}
		tt.spoil(r)
		got, ok := checkResponse(r, key, []string{"a", "b"}, tt.offered)
		if ok != tt.ok || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

// hsField gives a response the lines of a field, or none.
func hsField(name string, values ...string) func(r *http.Response) {
	return func(r *http.Response) { r.Header[name] = values }
}
