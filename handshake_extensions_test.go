//go:build go1.25

package websocket

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// formatExtensions writes a list the way that parseExtensions reads it, so that a test can
// show it.
func formatExtensions(list []extension) string {
	var elements []string
	for _, e := range list {
		s := e.name
		for _, p := range e.params {
			s += "; " + p.name
			if p.hasValue {
				s += "=" + p.value
			}
		}
		elements = append(elements, s)
	}
	return strings.Join(elements, ", ")
}

// Each extension of a list, as testdata/extensions.txt has it. What is no list is none at the end and in the middle of
// another one, either.
func TestParseExtensions(t *testing.T) {
	refused := 0
	for _, c := range parseCases(t, "testdata/extensions.txt") {
		in := c.lines(t, "header")
		for _, want := range c.lines(t, "error") {
			refused++
			for _, lines := range [][]string{in, {"good", in[0]}, {"good, " + in[0], "good"}} {
				list, err := parseExtensions(lines)
				if list != nil || err == nil || err.Error() != want {
					t.Errorf("%q: got %q and error %v, want error %s", lines, formatExtensions(list), err, want)
				}
			}
		}
		if c.sections["error"] != nil {
			continue
		}
		list, err := parseExtensions(in)
		want := c.lines(t, "list")
		if got := formatExtensions(list); err != nil || got != strings.Join(want, ", ") || len(list) != len(want) {
			t.Errorf("%s: got %d: %q and error %v, want %q", c.name, len(list), got, err, want)
		}
	}
	if refused < 20 {
		t.Errorf("got %d headers that are no list, want all of them", refused)
	}
}

// The headers of TestAttackHandshakeHeaders, as long as net/http takes them. A parser that is quadratic in the bytes
// would take a million times as many steps. They are counted by TestHeaderParsingIsLinear in tools/repository, which
// sets the size.
func TestAttackHeaderParsingIsLinear(t *testing.T) {
	size := unlessRace(1<<20, 1<<17)
	if s := os.Getenv("WEBSOCKET_TEST_HEADER_SIZE"); s != "" {
		var err error
		if size, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range []string{" ", ",", ", ", ";", "=", `\`, `"`, `\"`, "a", "a ", "a,", "a;", "a;b=", `a;b="`,
		`a;b="",`, `foo; bar="1"; `, "a b,"} {
		long := strings.Repeat(unit, size/len(unit))
		for _, lines := range [][]string{{long}, {`foo; bar="` + long}} {
			parseExtensions(lines)
			containsToken(lines, "websocket")
		}
		Subprotocols(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": {long}}})
	}
}

// However many elements the lists of a peer have, 64 are kept, and more are refused.
func TestMaxListElements(t *testing.T) {
	const most = 64
	for _, tt := range []struct {
		lines []string
		ok    bool
	}{
		{[]string{strings.Repeat("a,", most)}, true},
		{[]string{strings.Repeat("a;b=1,", most/2)}, true},
		{slices.Repeat([]string{"a"}, most), true},
		{[]string{strings.Repeat(",", 1000)}, true},
		{[]string{strings.Repeat("a,", most+1)}, false},
		{[]string{"a" + strings.Repeat(";b", most)}, false},
		{slices.Repeat([]string{"a"}, most+1), false},
		{[]string{strings.Repeat("a;b=1,", most/2), "a"}, false},
	} {
		if _, err := parseExtensions(tt.lines); tt.ok != (fmt.Sprint(err) != "more than 64 extensions and parameters") {
			t.Errorf("got %v for %.40q and %d lines more, want it accepted: %v", err, tt.lines[0], len(tt.lines)-1, tt.ok)
		}
	}
	r := sampleRequest()
	for _, want := range []*refusal{
		nil, {400, "not a websocket handshake: 'Sec-WebSocket-Protocol' header has more than 64 elements", ""},
	} {
		r.Header.Add("Sec-WebSocket-Protocol", "a")
		if want == nil {
			r.Header.Set("Sec-WebSocket-Protocol", strings.Repeat("a, ", most))
		}
		if _, _, _, got := checkRequestFields(r); len(Subprotocols(r)) != most || !reflect.DeepEqual(got, want) {
			t.Errorf("got %d subprotocols, and %v, want %d and %v", len(Subprotocols(r)), got, most, want)
		}
	}
}

// A token, in any ASCII case, of the lists in all lines of a header. testdata/handshake/connection.txt and upgrade.txt
// have more of what is one; here is what net/http does not let through, too.
func TestContainsToken(t *testing.T) {
	for want, list := range map[bool][]string{
		true: {"kEePs", "x,keeps,y", " \t keeps \t , x"},
		// Unicode has letters that fold to those of ASCII.
		false: {"", "keepsx", "ke eps", "ke\neps", "x keeps", "x;keeps", `"keeps"`, "\vkeeps", "keeps\r", "\u00a0keeps",
			"keeps\x00", "\u212aeeps", "keep\u017f", "\u212aEEP\u017f"},
	} {
		for _, in := range list {
			if got := containsToken([]string{"x", in}, "keeps"); got != want {
				t.Errorf("got %v for %q, want %v", got, in, want)
			}
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
			s, u := string([]byte{byte(a)}), string([]byte{byte(b)})
			if got := equalFoldASCII(s, u); got != want {
				t.Errorf("got %v for %#x and %#x, want %v", got, a, b, want)
			}
			if got := toLowerASCII(s) == toLowerASCII(u); got != want {
				t.Errorf("got %v for %#x and %#x in lower case, want %v", got, a, b, want)
			}
		}
	}
	if equalFoldASCII("abc", "ab") || equalFoldASCII("ab", "abc") || !equalFoldASCII("", "") {
		t.Error("length is not compared")
	}
}

// RFC 9110, 5.6.2: any visible character but the delimiters. A subprotocol may have these, but for the comma.
func TestIsToken(t *testing.T) {
	for b := range 256 {
		visible := b > ' ' && b < 0x7f
		isDelimiter := strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(b))
		for _, s := range []string{string([]byte{byte(b)}), "a" + string([]byte{byte(b)}) + "z"} {
			if got, want := isToken(s), visible && !isDelimiter; got != want {
				t.Errorf("got %v for %q, want %v", got, s, want)
			}
			if got, want := isSubprotocol(s), visible && b != ','; got != want {
				t.Errorf("got %v for the subprotocol %q, want %v", got, s, want)
			}
		}
	}
	if isToken("") || isSubprotocol("") {
		t.Error("got true for the empty string, want false")
	}
}

func TestListElements(t *testing.T) {
	for _, tt := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"", " ", ",", "\t,\t"}, nil},
		{[]string{"a"}, []string{"a"}},
		{[]string{"a,b", " c ,\td\t,"}, []string{"a", "b", "c", "d"}},
		{[]string{",,a b,,"}, []string{"a b"}},
	} {
		got := slices.Collect(listElements(tt.in))
		asked := Subprotocols(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": tt.in}})
		if !slices.Equal(got, tt.want) || !slices.Equal(asked, tt.want) {
			t.Errorf("got %q and subprotocols %q for %q, want %q", got, asked, tt.in, tt.want)
		}
	}
	for element := range listElements([]string{"a,b", "c"}) {
		if element != "a" {
			t.Errorf("got %q after a break, want the end", element)
		}
		break
	}
	if !only([]string{"a"}, "a") || only([]string{"b"}, "a") || only([]string{"a", "a"}, "a") || only(nil, "a") {
		t.Error("only is not about one value that is the one wanted")
	}
}

// extensionLine is the grammar of RFC 6455, 9.1, as a regular expression, with the empty elements and the white
// space of RFC 9110, 5.6.1.2 and 5.6.3.
var extensionLine = func() *regexp.Regexp {
	const (
		space  = "[ \t]*"
		token  = "[-!#$%&'*+.^_`|~0-9A-Za-z]+"
		quoted = `"(?:\\?[-!#$%&'*+.^_` + "`" + `|~0-9A-Za-z])+"`
		param  = space + ";" + space + token + "(?:" + space + "=" + space + "(?:" + token + "|" + quoted + "))?"
		one    = "(?:" + space + token + "(?:" + param + ")*)?" + space
	)
	return regexp.MustCompile("^" + one + "(?:," + one + ")*$")
}()

// What is accepted is the list that the grammar allows, and stays what it is when it is written and parsed again.
func FuzzParseExtensions(f *testing.F) {
	for _, s := range []string{"foo\nbar", ",,", `a;b="`, "a=b", "a b", "a;b=\"\x80\""} {
		f.Add(s)
	}
	const whole = `foo; a; b=1, bar; c="x\y\z" ,, permessage-deflate; client_max_window_bits; server_max_window_bits="10"`
	for n := range len(whole) + 1 {
		f.Add(whole[:n])
	}
	f.Fuzz(func(t *testing.T, s string) {
		lines := strings.Split(s, "\n")
		list, err := parseExtensions(lines)
		follows := !slices.ContainsFunc(lines, func(line string) bool { return !extensionLine.MatchString(line) })
		many := strings.Count(s, ",")+strings.Count(s, ";")+strings.Count(s, "\n") >= maxListElements
		if (err == nil) != follows && !(follows && many) {
			t.Errorf("got error %v, and that the grammar allows it: %v", err, follows)
		}
		if err != nil {
			if list != nil {
				t.Errorf("got a list together with error %v", err)
			}
			return
		}
		for _, e := range list {
			if !isToken(e.name) {
				t.Errorf("got name %q, want a token", e.name)
			}
			for _, p := range e.params {
				if !isToken(p.name) || p.hasValue && !isToken(p.value) || !p.hasValue && p.value != "" {
					t.Errorf("got parameter %+v, want tokens", p)
				}
			}
		}
		again, err := parseExtensions([]string{formatExtensions(list)})
		if got, want := formatExtensions(again), formatExtensions(list); err != nil || got != want {
			t.Errorf("got %q and error %v from what was parsed, want %q", got, err, want)
		}
	})
}
