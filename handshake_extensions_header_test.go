//go:build go1.25

package websocket

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A token, in any ASCII case, of the lists in all lines of a header.
func TestContainsToken(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want bool
	}{
		{"alone", []string{"upgrade"}, true},
		{"case", []string{"uPgRaDe"}, true},
		{"first", []string{"upgrade, x"}, true},
		{"last", []string{"x, upgrade"}, true},
		{"no space", []string{"x,upgrade,y"}, true},
		{"spaces and tabs", []string{" \t upgrade \t , x"}, true},
		{"empty elements", []string{",,upgrade,,"}, true},
		{"second line", []string{"x", "upgrade"}, true},
		{"no line", nil, false},
		{"empty line", []string{""}, false},
		{"longer", []string{"upgraded"}, false},
		{"shorter", []string{"upgrad"}, false},
		{"part of a name", []string{"x-upgrade", "upgrade-x"}, false},
		{"space within", []string{"up grade"}, false},
		{"no comma", []string{"x upgrade"}, false},
		{"another separator", []string{"x;upgrade"}, false},
		{"quoted", []string{`"upgrade"`}, false},
		{"over two lines", []string{"up", "grade"}, false},
		{"other white space", []string{"\vupgrade", "upgrade\r", "\u00a0upgrade"}, false},
		{"NUL", []string{"upgrade\x00"}, false},
		{"bits that ASCII's case does not have", []string{"\x15pgrade", "\xd5pgrade", "upg\u0155ade"}, false},
	}
	for _, tt := range tests {
		if got := containsToken(tt.in, "upgrade"); got != tt.want {
			t.Errorf("%s: got %v for %q, want %v", tt.name, got, tt.in, tt.want)
		}
	}
	// Unicode has letters that fold to those of ASCII.
	for _, s := range []string{"websoc\u212aet", "web\u017focket", "WEB\u017fOC\u212aET"} {
		if containsToken([]string{s}, "websocket") {
			t.Errorf("got true for %q, want false", s)
		}
	}
}

// Of two bytes, exactly the letters of ASCII that differ by case are equal, and each
// byte to itself.
func TestEqualFoldASCII(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			isLetter := 'a' <= a|0x20 && a|0x20 <= 'z'
			want := a == b || isLetter && a|0x20 == b|0x20
			if got := equalFoldASCII(string([]byte{byte(a)}), string([]byte{byte(b)})); got != want {
				t.Errorf("got %v for %#x and %#x, want %v", got, a, b, want)
			}
		}
	}
	if equalFoldASCII("abc", "ab") || equalFoldASCII("ab", "abc") || !equalFoldASCII("", "") {
		t.Error("length is not compared")
	}
}

// RFC 9110, 5.6.2: any visible character but the delimiters.
func TestIsToken(t *testing.T) {
	for b := range 256 {
		want := b > ' ' && b < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(b))
		for _, s := range []string{string([]byte{byte(b)}), "a" + string([]byte{byte(b)}) + "z"} {
			if got := isToken(s); got != want {
				t.Errorf("got %v for %q, want %v", got, s, want)
			}
		}
	}
	if isToken("") {
		t.Error("got true for the empty string, want false")
	}
}

func TestListElements(t *testing.T) {
	tests := []struct{ in, want []string }{
		{nil, nil},
		{[]string{"", " ", ",", "\t,\t"}, nil},
		{[]string{"a"}, []string{"a"}},
		{[]string{"a,b", " c ,\td\t,"}, []string{"a", "b", "c", "d"}},
		{[]string{",,a b,,"}, []string{"a b"}},
	}
	for _, tt := range tests {
		if got := slices.Collect(listElements(tt.in)); !slices.Equal(got, tt.want) {
			t.Errorf("got %q for %q, want %q", got, tt.in, tt.want)
		}
	}
	for element := range listElements([]string{"a,b", "c"}) {
		if element != "a" {
			t.Errorf("got %q after a break, want the end", element)
		}
		break
	}
}

// It looks at the two fields that ask for the upgrade, and at nothing that may be
// wrong with it: that is for Upgrade to answer.
func TestIsWebSocketUpgrade(t *testing.T) {
	tests := []struct {
		name                string
		connection, upgrade []string
		want                bool
	}{
		{"a handshake", []string{"Upgrade"}, []string{"websocket"}, true},
		{"case", []string{"upgrade"}, []string{"WebSocket"}, true},
		{"company", []string{"keep-alive, Upgrade"}, []string{"h2c, websocket"}, true},
		{"lines", []string{"keep-alive", "Upgrade"}, []string{"h2c", "websocket"}, true},
		{"a plain request", nil, nil, false},
		{"no Connection", nil, []string{"websocket"}, false},
		{"no Upgrade", []string{"Upgrade"}, nil, false},
		{"another protocol", []string{"Upgrade"}, []string{"h2c"}, false},
		{"another option", []string{"keep-alive"}, []string{"websocket"}, false},
		{"exchanged", []string{"websocket"}, []string{"Upgrade"}, false},
	}
	for _, tt := range tests {
		r := &http.Request{Header: http.Header{"Connection": tt.connection, "Upgrade": tt.upgrade}}
		if got := IsWebSocketUpgrade(r); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if IsWebSocketUpgrade(&http.Request{}) {
		t.Error("got true for a request without a header, want false")
	}
}

func TestSubprotocols(t *testing.T) {
	tests := []struct{ in, want []string }{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"chat"}, []string{"chat"}},
		{[]string{"chat, superchat"}, []string{"chat", "superchat"}},
		{[]string{"superchat,chat"}, []string{"superchat", "chat"}},
		{[]string{" b\t,\ta ,, ", "c"}, []string{"b", "a", "c"}},
	}
	for _, tt := range tests {
		r := &http.Request{Header: http.Header{"Sec-Websocket-Protocol": tt.in}}
		if got := Subprotocols(r); !slices.Equal(got, tt.want) {
			t.Errorf("got %q for %q, want %q", got, tt.in, tt.want)
		}
	}
}

func TestChooseSubprotocol(t *testing.T) {
	tests := []struct {
		wanted, supported []string
		want              string
	}{
		{[]string{"b", "a"}, []string{"a", "b"}, "b"},
		{[]string{"c", "a"}, []string{"a", "b"}, "a"},
		{[]string{"A"}, []string{"a"}, ""},
		{[]string{"c"}, []string{"a", "b"}, ""},
		{nil, []string{"a"}, ""},
		{[]string{"a"}, nil, ""},
	}
	for _, tt := range tests {
		if got := chooseSubprotocol(tt.wanted, tt.supported); got != tt.want {
			t.Errorf("got %q of %q for %q, want %q", got, tt.supported, tt.wanted, tt.want)
		}
	}
}

// Whatever the header, a request is accepted if and only if it is a handshake by another reading of RFC 6455,
// 4.2.1.
func FuzzUpgradeRequest(f *testing.F) {
	const good = "Connection: Upgrade\nUpgrade: websocket\nSec-Websocket-Version: 13\nSec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
	f.Add(http.MethodGet, int64(0), good)
	f.Add(http.MethodGet, int64(0), good+"Origin: http://a.example\nSec-Websocket-Protocol: chat, superchat\nSec-Websocket-Extensions: foo; bar=\"1\", baz")
	f.Add(http.MethodGet, int64(0), good+"Sec-Websocket-Protocol: a b\nSec-Websocket-Extensions: foo; bar=\"1")
	f.Add(http.MethodGet, int64(-1), good+"Connection: close")
	f.Add(http.MethodPost, int64(5), good+"Upgrade: h2c")
	f.Add(http.MethodGet, int64(0), "Upgrade: web\u017foc\u212aet\n"+good)
	f.Add(http.MethodGet, int64(0), strings.Replace(good, "Key: d", "Key: \n", 1))
	f.Fuzz(func(t *testing.T, method string, length int64, lines string) {
		r := &http.Request{Method: method, ProtoMajor: 1, ProtoMinor: 1, Host: "a.example", ContentLength: length, Header: make(http.Header)}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ":")
			name = http.CanonicalHeaderKey(name)
			r.Header[name] = append(r.Header[name], strings.Trim(value, " \t"))
		}
		checkOrigin(r, []string{"*.example"})
		refused := checkRequest(r)
		key, protocols, _, refusedFields := checkRequestFields(r)
		for _, refusal := range []*refusal{refused, refusedFields} {
			if refusal != nil && (refusal.status < 400 || refusal.reason == "") {
				t.Errorf("got refusal %+v, want a status and a reason", refusal)
			}
		}
		list := func(name string) (elements []string) {
			for _, element := range strings.Split(strings.Join(r.Header[name], ","), ",") {
				if element = strings.Trim(element, " \t"); element != "" {
					elements = append(elements, element)
				}
			}
			return elements
		}
		has := func(name, token string) bool {
			return slices.ContainsFunc(list(name), func(s string) bool { return len(s) == len(token) && strings.EqualFold(s, token) })
		}
		wantRefused := ""
		switch {
		case method != "GET" || length != 0:
			wantRefused = "the method, or a body"
		case !has("Connection", "upgrade") || !has("Upgrade", "websocket"):
			wantRefused = "no upgrade to websocket"
		case !slices.Equal(r.Header["Sec-Websocket-Version"], []string{"13"}):
			wantRefused = "the version"
		}
		if (refused != nil) != (wantRefused != "") {
			t.Errorf("got refusal %+v, want one for %q", refused, wantRefused)
		}

		wantRefused = ""
		keys := r.Header["Sec-Websocket-Key"]
		wantProtocols := list("Sec-Websocket-Protocol")
		if len(keys) != 1 || !regexp.MustCompile("^[A-Za-z0-9+/]{22}==$").MatchString(keys[0]) {
			wantRefused = "the key"
		}
		if len(wantProtocols) > 64 || regexp.MustCompile(`[^!-~]`).MatchString(strings.Join(wantProtocols, "")) {
			wantRefused = "the subprotocols"
		}
		if _, err := parseExtensions(r.Header["Sec-Websocket-Extensions"]); err != nil { // see FuzzParseExtensions
			wantRefused = "the extensions"
		}
		if (refusedFields != nil) != (wantRefused != "") {
			t.Errorf("got refusal %+v, want one for %q", refusedFields, wantRefused)
		}
		if refusedFields == nil && (key != keys[0] || !slices.Equal(protocols, wantProtocols)) {
			t.Errorf("got key %q and subprotocols %q, want %q and %q", key, protocols, keys[0], wantProtocols)
		}
	})
}
