package websocket

import (
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// checkOrigin reports whether the request comes from a page of the request's own
// host, of a host that matches one of the patterns, or from no page at all (RFC
// 6455, 10.2). Its error says that a pattern is malformed. Each case has a return.
func checkOrigin(r *http.Request, patterns []string) (ok bool, err error) {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true, nil // not a browser
	}
	if len(origins) > 1 {
		return false, nil
	}
	u, err := url.Parse(origins[0])
	// No serialised origin has user information (RFC 6454, 6.2): it is a host made
	// to look like another. "null" has no host.
	if err != nil || u.Host == "" || u.User != nil {
		return false, nil
	}
	host := canonicalHost(u.Host, u.Scheme)
	if host == canonicalHost(r.Host, u.Scheme) {
		return true, nil
	}
	for _, pattern := range patterns {
		match, err := path.Match(escapeIPv6(toLowerASCII(pattern)), host)
		if match || err != nil {
			return match, err
		}
	}
	return false, nil
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
