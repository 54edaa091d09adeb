//go:build go1.25

package websocket

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const hsAnswer101 = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

// The program's header follows the handshake's own, sorted by name so that equal
// answers are equal, in the program's spelling.
func TestUpgradeResponseHeader(t *testing.T) {
	tests := []struct {
		name string
		in   http.Header
		want string
	}{
		{"none", nil, ""},
		{"empty", http.Header{}, ""},
		{"a cookie", http.Header{"Set-Cookie": {"a=1; Path=/; HttpOnly"}}, "Set-Cookie: a=1; Path=/; HttpOnly\r\n"},
		{"several values", http.Header{"Set-Cookie": {"b=2", "a=1"}}, "Set-Cookie: b=2\r\nSet-Cookie: a=1\r\n"},
		{"order", http.Header{"X-C": {"3"}, "X-A": {"1"}, "X-B": {"2"}}, "X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n"},
		{"no values", http.Header{"X-A": nil, "X-B": {}}, ""},
		{"an empty value", http.Header{"X-A": {""}}, "X-A: \r\n"},
		{"non-canonical names", http.Header{"set-cookie": {"a=1"}, "SERVER": {"x"}}, "SERVER: x\r\nset-cookie: a=1\r\n"},
		{"outside of ASCII", http.Header{"X-A": {"\u00e4\xff"}}, "X-A: \u00e4\xff\r\n"},
		{"odd names that are tokens", http.Header{"X!#$%&'*+-.^_`|~9": {"1"}}, "X!#$%&'*+-.^_`|~9: 1\r\n"},
		{"what belongs to the handshake", http.Header{"Upgrade": {"h2c"}, "Connection": {"close"}, "Sec-Websocket-Accept": {"x"},
			"Sec-Websocket-Key": {"x"}, "Sec-Websocket-Version": {"8"}, "Content-Length": {"5"}, "Transfer-Encoding": {"chunked"}}, ""},
		{"what belongs to the handshake, in other spellings", http.Header{"upgrade": {"h2c"}, "CONNECTION": {"close"}, "Sec-WebSocket-Accept": {"x"},
			"sec-websocket-key": {"x"}, "Sec-WebSocket-Version": {"8"}, "content-length": {"5"}, "TRANSFER-ENCODING": {"chunked"}}, ""},
	}
	for _, tt := range tests {
		if got, want := hsUpgradeOver(t, Upgrader{}, hsRequest(), tt.in), hsAnswer101+tt.want+"\r\n"; got != want {
			t.Errorf("%s: got %q, want %q", tt.name, got, want)
		}
	}
}

// A long header grows beyond the buffer that the answer is made in.
func TestUpgradeLongResponseHeader(t *testing.T) {
	long := strings.Repeat("x", 3*defaultBufferSize)
	got := hsUpgradeOver(t, Upgrader{}, hsRequest(), http.Header{"X-A": {long}})
	if want := hsAnswer101 + "X-A: " + long + "\r\n\r\n"; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

// Header injection (CVE-2020-35678): what would end a line becomes a space in values.
func TestAttackResponseHeaderValue(t *testing.T) {
	for b := range 256 {
		c := string([]byte{byte(b)})
		want := c
		if b < ' ' || b == 0x7f {
			want = " "
		}
		got := hsUpgradeOver(t, Upgrader{}, hsRequest(), http.Header{"X-A": {c + "1" + c + "2" + c}})
		if want := hsAnswer101 + "X-A: " + want + "1" + want + "2" + want + "\r\n\r\n"; got != want {
			t.Errorf("got %q for %#x, want %q", got, b, want)
		}
	}
	got := hsUpgradeOver(t, Upgrader{}, hsRequest(), http.Header{"Set-Cookie": {"a=1\r\nSet-Cookie: admin=1\r\n\r\n\x81 Hello"}})
	if want := hsAnswer101 + "Set-Cookie: a=1  Set-Cookie: admin=1    \x81 Hello\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A malformed name is the program's mistake, or an attack that got so far: there is no
// harmless form of it.
func TestAttackResponseHeaderName(t *testing.T) {
	names := []string{"", "X A", "X:", "X\r\nSet-Cookie", "\u00e4", "X\u212a", "X\t", " X", "(X)", "X\x00", "X\x7f"}
	for b := range 256 {
		if c := string([]byte{byte(b)}); !isToken(c) {
			names = append(names, "X"+c, c+"X")
		}
	}
	for _, name := range names {
		near, far := newPipe(t, 1<<20)
		w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
		_, err := new(Upgrader).Upgrade(w, hsRequest(), http.Header{name: {"1"}})
		if want := "websocket: malformed name in the application's response header"; err == nil || err.Error() != want || w.Code != 500 {
			t.Errorf("%q: got %d and error %v, want 500 and %s", name, w.Code, err, want)
		}
		if got := far.take(); len(got) > 0 {
			t.Errorf("%q: got %q on the connection, want nothing", name, got)
		}
	}
}

// Extensions are the library's to negotiate, whatever the spelling and the value.
func TestUpgradeResponseHeaderWithExtensions(t *testing.T) {
	for _, header := range []http.Header{
		{"Sec-Websocket-Extensions": {"foo"}},
		{"Sec-WebSocket-Extensions": {"foo"}},
		{"sec-websocket-extensions": nil},
	} {
		rec := httptest.NewRecorder()
		_, err := new(Upgrader).Upgrade(rec, hsRequest(), header)
		if want := "websocket: application specific 'Sec-WebSocket-Extensions' headers are unsupported"; err == nil || err.Error() != want || rec.Code != 500 {
			t.Errorf("%q: got %d and error %v, want 500 and %s", header, rec.Code, err, want)
		}
	}
}

// A Sec-WebSocket-Protocol in the program's header counts where Upgrader.Subprotocols
// is nil: then the program has chosen by itself.
func TestUpgradeResponseHeaderWithSubprotocol(t *testing.T) {
	tests := []struct {
		name      string
		supported []string
		header    http.Header
		want      string
	}{
		{"nil, chosen", nil, http.Header{"Sec-Websocket-Protocol": {"superchat"}}, "superchat"},
		{"nil, chosen in another spelling", nil, http.Header{"sec-websocket-protocol": {"superchat"}}, "superchat"},
		{"nil, chosen in the standard's spelling", nil, http.Header{"Sec-WebSocket-Protocol": {"superchat"}}, "superchat"},
		{"nil, the first of two counts", nil, http.Header{"Sec-Websocket-Protocol": {"superchat", "chat"}}, "superchat"},
		{"nil, empty", nil, http.Header{"Sec-Websocket-Protocol": {""}}, ""},
		{"nil, no value", nil, http.Header{"Sec-Websocket-Protocol": {}}, ""},
		{"nil, not chosen", nil, nil, ""},
		{"set, chosen", []string{"chat"}, http.Header{"Sec-Websocket-Protocol": {"superchat"}}, "chat"},
		{"set, none in common", []string{"soap"}, http.Header{"Sec-Websocket-Protocol": {"superchat"}}, ""},
		{"set and empty", []string{}, http.Header{"Sec-Websocket-Protocol": {"superchat"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near, far := newPipe(t, 1<<20)
			r := hsRequest()
			r.Header.Set("Sec-Websocket-Protocol", "chat, superchat")
			u := Upgrader{Subprotocols: tt.supported}
			c, err := u.Upgrade(&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, r, tt.header)
			if err != nil {
				t.Fatal(err)
			}
			want := hsAnswer101
			if tt.want != "" {
				want += "Sec-WebSocket-Protocol: " + tt.want + "\r\n"
			}
			if got := string(far.take()); got != want+"\r\n" || c.Subprotocol() != tt.want {
				t.Errorf("got subprotocol %q and answer %q, want %q and %q", c.Subprotocol(), got, tt.want, want+"\r\n")
			}
		})
	}
}

// No value gets into the answer as a subprotocol that is none.
func TestAttackResponseHeaderSubprotocol(t *testing.T) {
	for _, value := range []string{"a\r\nSet-Cookie: admin=1", "a b", "a, b", "\x00", "\u00e4", " a", "a\t"} {
		for _, header := range []http.Header{{"Sec-Websocket-Protocol": {value}}, {"sec-websocket-protocol": {value}}, {"Sec-Websocket-Protocol": {"chat", value}}} {
			near, far := newPipe(t, 1<<20)
			w := &hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}
			_, err := new(Upgrader).Upgrade(w, hsRequest(), header)
			if want := "websocket: application specific 'Sec-WebSocket-Protocol' header has a comma, or a character that is not visible ASCII"; err == nil || err.Error() != want || w.Code != 500 {
				t.Errorf("%q: got %d and error %v, want 500 and %s", header, w.Code, err, want)
			}
			if got := far.take(); len(got) > 0 {
				t.Errorf("%q: got %q on the connection, want nothing", header, got)
			}
		}
	}
}
