package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hsExtensions writes a list the way that parseExtensions reads it, so that a test can
// show it.
func hsExtensions(list []extension) string {
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

// The grammar of RFC 6455, 9.1, with the white space and the empty elements of
// RFC 9110, 5.6. testdata/handshake/extensions.txt has what a server says to it.
func TestParseExtensions(t *testing.T) {
	tests := []struct {
		name  string
		in    []string
		want  string
		count int
	}{
		{"no line", nil, "", 0},
		{"an empty line", []string{""}, "", 0},
		{"white space", []string{" \t "}, "", 0},
		{"empty elements", []string{",", " , ,,"}, "", 0},
		{"one", []string{"foo"}, "foo", 1},
		{"two", []string{"foo, bar"}, "foo, bar", 2},
		{"two lines", []string{"foo", "bar"}, "foo, bar", 2},
		{"empty elements around", []string{",,foo,,bar,,"}, "foo, bar", 2},
		{"parameters", []string{"foo; a; b=1;c=x"}, "foo; a; b=1; c=x", 1},
		{"white space within", []string{"\tfoo\t;\ta\t;\tb\t=\t1\t,\tbar\t"}, "foo; a; b=1, bar", 2},
		{"quoted", []string{`foo; a="1"`}, "foo; a=1", 1},
		{"quoted, white space around", []string{`foo; a = "1" ; b`}, "foo; a=1; b", 1},
		{"quoted, escaped", []string{`foo; a="\1\2\3"`}, "foo; a=123", 1},
		{"case is kept", []string{"Foo; A=B"}, "Foo; A=B", 1},
		{"parameters of the same name", []string{"foo; a=1; a; a=2"}, "foo; a=1; a; a=2", 1},
		{"the offer of a browser", []string{"permessage-deflate; client_max_window_bits"}, "permessage-deflate; client_max_window_bits", 1},
		{"RFC 7692, 5.1", []string{"permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits"},
			"permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits", 2},
		{"names of built-in properties", []string{"__proto__; constructor=toString, hasOwnProperty"}, "__proto__; constructor=toString, hasOwnProperty", 2},
	}
	for _, tt := range tests {
		list, err := parseExtensions(tt.in)
		if got := hsExtensions(list); err != nil || got != tt.want || len(list) != tt.count {
			t.Errorf("%s: got %d: %q and error %v, want %d: %q", tt.name, len(list), got, err, tt.count, tt.want)
		}
	}
}

// Of two ways to have no value, only one is a value.
func TestParseExtensionsKeepsNamesAndValuesApart(t *testing.T) {
	list, err := parseExtensions([]string{`foo; a; b=1; c="a=b"`})
	if err == nil {
		t.Errorf("got %v for a quoted value that is no token, want an error", list)
	}
	list, err = parseExtensions([]string{"foo; a; b=1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []extensionParam{{name: "a"}, {name: "b", value: "1", hasValue: true}}
	if got := list[0].params; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseExtensionsRefuses(t *testing.T) {
	tests := []struct{ in, want string }{
		{`foo; a="`, "a quoted value does not end"},
		{`foo; a="1`, "a quoted value does not end"},
		{`foo; a="\`, "a quoted value does not end"},
		{`foo; a="\"`, "a quoted value does not end"},
		{`foo; a=""`, "a quoted value is not a token"},
		{`foo; a=" 1"`, "a quoted value is not a token"},
		{`foo; a="\\"`, "a quoted value is not a token"},
		{`foo; a="1;2"`, "a quoted value is not a token"},
		{"foo; a=\"\x00\"", "a quoted value is not a token"},
		{"foo;", "a name or value is missing at the end"},
		{"foo; a=", "a name or value is missing at the end"},
		{"foo; ,", "unexpected ',' where a name or value begins"},
		{"foo; a=,", "unexpected ',' where a name or value begins"},
		{"foo; a=;b", "unexpected ';' where a name or value begins"},
		{";", "unexpected ';' where a name or value begins"},
		{"=", "unexpected '=' where a name or value begins"},
		{`"foo"`, `unexpected '"' where a name or value begins`},
		{"\x00", `unexpected '\x00' where a name or value begins`},
		{"\u00fc", "unexpected '\u00c3' where a name or value begins"},
		{"foo\u00a0", "unexpected '\u00c2' after an extension"},
		{"foo=1", "unexpected '=' after an extension"},
		{"foo bar", "unexpected 'b' after an extension"},
		{"foo; a b", "unexpected 'b' after an extension"},
		{`foo; a="1"2`, "unexpected '2' after an extension"},
		{`foo; a="1""2"`, `unexpected '"' after an extension`},
		{"foo\r\nbar", `unexpected '\r' after an extension`},
		{"foo\vbar", `unexpected '\v' after an extension`},
	}
	for _, tt := range tests {
		for _, lines := range [][]string{{tt.in}, {"good", tt.in}, {"good, " + tt.in, "good"}} {
			list, err := parseExtensions(lines)
			if list != nil || err == nil || err.Error() != tt.want {
				t.Errorf("%q: got %q and error %v, want error %s", lines, hsExtensions(list), err, tt.want)
			}
		}
	}
}

// Every beginning of a valid header is parsed or refused, and what is parsed is the
// beginning of the list.
func TestParseExtensionsTruncated(t *testing.T) {
	const whole = `foo; a; b=1, bar; c="x\y\z" ,, permessage-deflate; client_max_window_bits; server_max_window_bits="10"`
	all, err := parseExtensions([]string{whole})
	if err != nil {
		t.Fatal(err)
	}
	parsed := 0
	for n := range whole {
		list, err := parseExtensions([]string{whole[:n]})
		if err != nil {
			continue
		}
		parsed++
		if len(list) > 1 && hsExtensions(list[:len(list)-1]) != hsExtensions(all[:len(list)-1]) {
			t.Errorf("%q: got %q, want the beginning of %q", whole[:n], hsExtensions(list), hsExtensions(all))
		}
	}
	if parsed == 0 || parsed == len(whole) {
		t.Errorf("got %d of %d beginnings parsed, want some", parsed, len(whole))
	}
}

// The headers of TestAttackHandshakeHeaders, as long as net/http takes them. No time is measured: a parser that is
// quadratic in the bytes would take a million times as many steps, and longer than the ten minutes after which go
// test gives up.
func TestAttackHeaderParsingIsLinear(t *testing.T) {
	size := 1 << 20
	if raceEnabled {
		size = 1 << 17
	}
	for _, unit := range []string{" ", ",", ", ", ";", "=", `\`, `"`, `\"`, "a", "a ", "a,", "a;", "a;b=", `a;b="`, `a;b="",`, `foo; bar="1"; `} {
		long := strings.Repeat(unit, size/len(unit))
		for _, lines := range [][]string{{long}, {`foo; bar="` + long}} {
			parseExtensions(lines)
			containsToken(lines, "websocket")
		}
	}
	for _, unit := range []string{" ", ",", "a,", "a b,"} {
		Subprotocols(&http.Request{Header: http.Header{"Sec-Websocket-Protocol": {strings.Repeat(unit, size/len(unit))}}})
	}
}

// However many elements the lists of a peer have, 64 are kept, and more are refused.
func TestMaxListElements(t *testing.T) {
	const most, message = 64, "more than 64 extensions and parameters"
	for _, tt := range []struct {
		lines []string
		want  error
	}{
		{[]string{strings.Repeat("a,", most)}, nil},
		{[]string{strings.Repeat("a;b=1,", most/2)}, nil},
		{slices.Repeat([]string{"a"}, most), nil},
		{[]string{strings.Repeat(",", 1000)}, nil},
		{[]string{strings.Repeat("a,", most+1)}, errors.New(message)},
		{[]string{"a" + strings.Repeat(";b", most)}, errors.New(message)},
		{slices.Repeat([]string{"a"}, most+1), errors.New(message)},
		{[]string{strings.Repeat("a;b=1,", most/2), "a"}, errors.New(message)},
	} {
		if _, err := parseExtensions(tt.lines); fmt.Sprint(err) != fmt.Sprint(tt.want) {
			t.Errorf("got %v for %.40q and %d lines more, want %v", err, tt.lines[0], len(tt.lines)-1, tt.want)
		}
	}
	r := hsRequest()
	for _, n := range []int{most, most + 1} {
		r.Header.Set("Sec-WebSocket-Protocol", strings.Repeat("a, ", n))
		if got := len(Subprotocols(r)); got != most {
			t.Errorf("got %d subprotocols of %d, want %d", got, n, most)
		}
		_, _, _, refused := checkRequestFields(r)
		if want := "not a websocket handshake: 'Sec-WebSocket-Protocol' header has more than 64 elements"; n > most &&
			(refused == nil || refused.status != http.StatusBadRequest || refused.reason != want) || n == most && refused != nil {
			t.Errorf("got %v for %d subprotocols, want %d of them allowed", refused, n, most)
		}
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
	for _, s := range []string{"", "foo", "foo; bar", `foo; a; b=1, bar; c="x\y"`, "foo\nbar", ",,", `a;b="`, "a=b", "a b", "a;b=\"\x80\""} {
		f.Add(s)
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
		again, err := parseExtensions([]string{hsExtensions(list)})
		if got, want := hsExtensions(again), hsExtensions(list); err != nil || got != want {
			t.Errorf("got %q and error %v from what was parsed, want %q", got, err, want)
		}
	})
}
