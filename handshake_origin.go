package websocket

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// origin is the scheme and the host, with a port that is not the scheme's own, of a serialised origin (RFC
// 6454, 6.2), in lower case. It is nullOrigin for "null", and empty for what is no origin.
type origin struct{ scheme, host string }

var nullOrigin = origin{host: "null"}

func parseOrigin(s string) origin {
	if s == nullOrigin.host {
		return nullOrigin
	}
	u, err := url.Parse(s)
	// No serialised origin has user information: it is a host made to look like another.
	if err != nil || u.User != nil {
		return origin{}
	}
	return origin{u.Scheme, canonicalHost(u.Host, u.Scheme)}
}

// checkOrigin reports whether the request comes from a page of the request's own
// host, of an origin that matches one of the patterns, or from no page at all (RFC
// 6455, 10.2).
func checkOrigin(r *http.Request, patterns []string) (ok bool, refused *refusal) {
	var o origin
	switch fields := r.Header["Origin"]; len(fields) {
	case 0:
		ok = true // not a browser
	case 1:
		o = parseOrigin(fields[0])
		ok = o != nullOrigin && o.host != "" && o.host == canonicalHost(r.Host, o.scheme)
	}
	for _, s := range patterns {
		pattern, problem := parseOriginPattern(s)
		if problem != "" {
			return false, &refusal{http.StatusInternalServerError, fmt.Sprintf("Upgrader.OriginPatterns has %q, which %s", s, problem), ""}
		}
		ok = ok || pattern.match(o)
	}
	return ok, nil
}

// originPattern is a pattern for each part of an origin. Without a scheme it is for all of them.
type originPattern origin

// parseOriginPattern returns the pattern, or what is wrong with it.
func parseOriginPattern(s string) (p originPattern, problem string) {
	scheme, host, hasScheme := strings.Cut(toLowerASCII(s), "://")
	if !hasScheme {
		scheme, host = "", scheme
	}
	_, badScheme := path.Match(scheme, "")
	host = escapeIPv6(canonicalHost(host, scheme))
	_, badHost := path.Match(host, "")
	switch {
	case badScheme != nil || badHost != nil:
		return p, "is malformed"
	case hasScheme && scheme == "", scheme == "ws", scheme == "wss":
		return p, "matches no origin: the scheme of a page is http or https, or that of an application"
	case host == "" && (!hasScheme || scheme == "http" || scheme == "https"):
		return p, "matches no origin: it has no host"
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return p, "matches no origin: an international name is written in punycode there"
	case strings.ContainsAny(host, "/#@") || strings.HasSuffix(host, ":"):
		return p, "matches no origin: it has more than a scheme, a host and a port"
	}
	return originPattern{scheme, host}, ""
}

func (p originPattern) match(o origin) bool {
	if o == nullOrigin || origin(p) == nullOrigin || o == (origin{}) {
		return o == origin(p)
	}
	// A pattern for hosts is not for origins that have none.
	return (p.scheme == "" && o.host != "" || matches(p.scheme, o.scheme)) && matches(p.host, o.host)
}

// matches reports whether s matches the pattern, which is well-formed.
func matches(pattern, s string) bool {
	ok, _ := path.Match(pattern, s)
	return ok
}

// canonicalHost returns the host in lower case, without the port that the scheme implies.
func canonicalHost(host, scheme string) string {
	host = toLowerASCII(host)
	if h, port, err := net.SplitHostPort(host); err == nil {
		if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
			if strings.Contains(h, ":") {
				return "[" + h + "]"
			}
			return h
		}
	}
	return host
}

// escapeIPv6 makes the brackets of an IPv6 address, which are a character class in
// a pattern, stand for themselves.
func escapeIPv6(pattern string) string {
	if rest, ok := strings.CutPrefix(pattern, "["); ok {
		if addr, port, ok := strings.Cut(rest, "]"); ok && strings.Contains(addr, ":") {
			return `\[` + addr + `\]` + port
		}
	}
	return pattern
}
