package websocket

import (
	"errors"
	"fmt"
	"strings"
)

// extension is one element of a Sec-WebSocket-Extensions header (RFC 6455, 9.1).
type extension struct {
	name   string
	params []extensionParam
}

type extensionParam struct {
	name     string
	value    string // unquoted; a token
	hasValue bool
}

// parseExtensions parses the lines of a Sec-WebSocket-Extensions header, which form one list, of at most
// maxListElements extensions and parameters. The texts of its errors are meant to end a sentence.
//
//	extension-list  = 1#extension
//	extension       = extension-token *( ";" extension-param )
//	extension-param = token [ "=" (token | quoted-string) ]
func parseExtensions(lines []string) ([]extension, error) {
	var list []extension
	s := extensionScanner{left: maxListElements}
	for _, line := range lines {
		s.rest = line
		for !s.done() {
			if s.take(',') {
				continue // an empty element (RFC 9110, 5.6.1.2)
			}
			e, err := s.extension()
			if err != nil {
				return nil, err
			}
			if !s.done() && !s.take(',') {
				return nil, fmt.Errorf("unexpected %q after an extension", s.rest[0])
			}
			list = append(list, e)
		}
	}
	return list, nil
}

// extensionScanner scans a line.
type extensionScanner struct {
	rest string
	left int // how many more extensions and parameters are allowed
}

// done skips white space and reports whether the line ends there.
func (s *extensionScanner) done() bool {
	s.rest = strings.TrimLeft(s.rest, " \t")
	return s.rest == ""
}

// take skips white space and then c, and reports whether c was there.
func (s *extensionScanner) take(c byte) bool {
	if s.done() || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *extensionScanner) extension() (e extension, err error) {
	if e.name, err = s.name(); err != nil {
		return e, err
	}
	for s.take(';') {
		var p extensionParam
		if p.name, err = s.name(); err != nil {
			return e, err
		}
		if p.hasValue = s.take('='); p.hasValue {
			if p.value, err = s.value(); err != nil {
				return e, err
			}
		}
		e.params = append(e.params, p)
	}
	return e, nil
}

// name scans the name of an extension or of a parameter.
func (s *extensionScanner) name() (string, error) {
	if s.left--; s.left < 0 {
		return "", fmt.Errorf("more than %d extensions and parameters", maxListElements)
	}
	return s.token()
}

func (s *extensionScanner) token() (string, error) {
	s.done()
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	if n == 0 {
		if s.rest == "" {
			return "", errors.New("a name or value is missing at the end")
		}
		return "", fmt.Errorf("unexpected %q where a name or value begins", s.rest[0])
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token, nil
}

// value scans a token or a quoted-string. "When using the quoted-string syntax
// variant, the value after quoted-string unescaping MUST conform to the 'token'
// ABNF" (RFC 6455, 9.1).
func (s *extensionScanner) value() (string, error) {
	if !s.take('"') {
		return s.token()
	}
	for i := 0; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			value := unescape(s.rest[:i])
			s.rest = s.rest[i+1:]
			if !isToken(value) {
				return "", errors.New("a quoted value is not a token")
			}
			return value, nil
		case '\\':
			i++
		}
	}
	return "", errors.New("a quoted value does not end")
}

// unescape returns the value of a quoted-string, given without the quotes (RFC 9110, 5.6.4).
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	value := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		value = append(value, s[i])
	}
	return string(value)
}

// only reports whether want is the only value of a header.
func only(values []string, want string) bool {
	return len(values) == 1 && values[0] == want
}

// containsToken reports whether the comma-separated lists in the lines of a header
// have the token, in any ASCII case.
func containsToken(lines []string, token string) bool {
	for element := range listElements(lines) {
		if equalFoldASCII(element, token) {
			return true
		}
	}
	return false
}

// listElements iterates over the elements of the comma-separated lists in the lines of a
// header, which form one list (RFC 9110, 5.6.1), without the empty elements.
func listElements(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for more := true; more; {
				var element string
				element, line, more = strings.Cut(line, ",")
				if element = strings.Trim(element, " \t"); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// maxListElements is the largest number of elements that are accepted in a list of the peer.
const maxListElements = 64

// firstElements returns the first elements of the list in the lines of a header, at most maxListElements, and whether
// these are all.
func firstElements(lines []string) (elements []string, all bool) {
	for element := range listElements(lines) {
		if len(elements) == maxListElements {
			return elements, false
		}
		elements = append(elements, element)
	}
	return elements, true
}

// isSubprotocol reports whether s is accepted as a subprotocol: characters "in the range U+0021 to U+007E not
// including separator characters" (RFC 6455, 4.1), except that separators other than the comma are accepted,
// since existing programs use them.
func isSubprotocol(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == ',' {
			return false
		}
	}
	return s != ""
}

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// equalFoldASCII is strings.EqualFold, except that only ASCII letters are folded.
func equalFoldASCII(s, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if lowerASCII(s[i]) != lowerASCII(t[i]) {
			return false
		}
	}
	return true
}

// toLowerASCII is strings.ToLower, except that only ASCII letters are mapped.
func toLowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lowerASCII(c)
	}
	return string(b)
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
