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

// parseExtensions reads the lines of a Sec-WebSocket-Extensions header, which are
// one list. Its errors are for the end of a sentence.
//
//	extension-list  = 1#extension
//	extension       = extension-token *( ";" extension-param )
//	extension-param = token [ "=" (token | quoted-string) ]
func parseExtensions(lines []string) ([]extension, error) {
	var list []extension
	for _, line := range lines {
		s := extensionScanner{line}
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

// extensionScanner is what is left of a line.
type extensionScanner struct{ rest string }

// done passes over white space and reports whether nothing is left.
func (s *extensionScanner) done() bool {
	s.rest = strings.TrimLeft(s.rest, " \t")
	return s.rest == ""
}

// take passes over c, and white space before it.
func (s *extensionScanner) take(c byte) bool {
	if s.done() || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *extensionScanner) extension() (e extension, err error) {
	if e.name, err = s.token(); err != nil {
		return e, err
	}
	for s.take(';') {
		var p extensionParam
		if p.name, err = s.token(); err != nil {
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

// value reads a token or a quoted-string. "When using the quoted-string syntax
// variant, the value after quoted-string unescaping MUST conform to the 'token'
// ABNF" (RFC 6455, 9.1).
func (s *extensionScanner) value() (string, error) {
	if !s.take('"') {
		return s.token()
	}
	var value strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; c {
		case '"':
			s.rest = s.rest[i+1:]
			if !isToken(value.String()) {
				return "", errors.New("a quoted value is not a token")
			}
			return value.String(), nil
		case '\\':
			if i++; i < len(s.rest) {
				value.WriteByte(s.rest[i])
			}
		default:
			value.WriteByte(c)
		}
	}
	return "", errors.New("a quoted value does not end")
}
