package websocket

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Bounds of what is taken from an HTTP proxy.
const (
	maxProxyHead    = 64 << 10 // bytes of the response head and of the interim responses before it
	maxProxyInterim = 8        // interim responses
	maxProxyReason  = 128      // bytes of the reason phrase that an error repeats
)

// proxyAddr returns the host:port to dial for a proxy URL, with the default port of its
// scheme where the URL has none.
func proxyAddr(proxy *url.URL) (string, error) {
	var port string
	switch proxy.Scheme {
	case "http":
		port = "80"
	case "https":
		port = "443"
	case "socks5", "socks5h":
		port = "1080"
	default:
		return "", fmt.Errorf("websocket: proxy scheme %q is not supported", proxy.Scheme)
	}
	if proxy.Hostname() == "" {
		return "", errors.New("websocket: proxy URL has no host")
	}
	if p := proxy.Port(); p != "" {
		port = p
	}
	return net.JoinHostPort(proxy.Hostname(), port), nil
}

// proxyTunnel asks the proxy at the other end of conn for a tunnel to addr, which is
// host:port with an IPv6 address in brackets. For an https proxy, conn is the TLS
// connection to the proxy.
//
// After it returns nil, the next byte written to conn goes to addr, and nothing that came
// through the tunnel has been read. After an error conn is of no more use. It blocks as long
// as conn does; the caller interrupts it with a deadline of conn, and errors.Is then finds
// os.ErrDeadlineExceeded. A proxy that hangs up early is io.ErrUnexpectedEOF.
func proxyTunnel(conn net.Conn, proxy *url.URL, addr string) error {
	if _, err := proxyAddr(proxy); err != nil {
		return err
	}
	open := proxyConnect
	if strings.HasPrefix(proxy.Scheme, "socks5") {
		open = proxySOCKS
	}
	target, err := parseProxyTarget(addr)
	if err == nil {
		err = open(conn, proxy.User, target)
	}
	if err != nil {
		return fmt.Errorf("websocket: %w", err)
	}
	return nil
}

// proxyTarget is the far end of the tunnel.
type proxyTarget struct {
	host string
	ip   netip.Addr // valid where host is an IP literal
	port uint16
}

// String is the target in the authority form of RFC 9112, section 3.2.3.
func (t proxyTarget) String() string {
	return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

// parseProxyTarget accepts only what can stand in a request line: addr comes from a URL
// that the application may have from anywhere. Each rule has a return.
func parseProxyTarget(addr string) (proxyTarget, error) {
	for i := range len(addr) {
		if c := addr[i]; c <= ' ' || c >= 0x7f {
			return proxyTarget{}, fmt.Errorf("proxy target %q has a byte that is not visible ASCII", addr)
		}
	}
	host, service, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return proxyTarget{}, fmt.Errorf("proxy target %q is not host:port", addr)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return proxyTarget{}, fmt.Errorf("proxy target %q has no valid port", addr)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && strings.Contains(host, ":") {
		return proxyTarget{}, fmt.Errorf("proxy target %q has no valid IP address in its brackets", addr)
	}
	// "An HTTP client, proxy, or other intermediary MUST remove any ZoneID attached to an
	// outgoing URI, as it has only local significance at the sending host." (RFC 6874, 4)
	// Without its zone such an address leads nowhere, or worse, elsewhere.
	if ip.Zone() != "" {
		return proxyTarget{}, fmt.Errorf("proxy target %q has a zone, which means nothing to a proxy", addr)
	}
	return proxyTarget{host: host, ip: ip, port: uint16(port)}, nil
}

// proxyConnect opens a tunnel with the CONNECT method of RFC 9110, section 9.3.6. It is one
// exchange from its first byte to its last.
func proxyConnect(conn net.Conn, user *url.Userinfo, target proxyTarget) error {
	authority := target.String()
	req := "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n"
	if user != nil {
		credentials, err := proxyBasic(user)
		if err != nil {
			return err
		}
		req += "Proxy-Authorization: Basic " + credentials + "\r\n"
	}
	if err := proxyExchange(conn, []byte(req+"\r\n"), nil); err != nil {
		return err
	}

	resp := proxyResponses{r: conn, left: maxProxyHead}
	for range maxProxyInterim + 1 {
		head, err := resp.next()
		if err != nil {
			return err
		}
		line, fields, _ := bytes.Cut(head, []byte("\n"))
		status, ok := parseProxyStatus(string(bytes.TrimSuffix(line, []byte("\r"))))
		if !ok {
			return errors.New("proxy answered CONNECT with something that is not HTTP/1")
		}
		// "A client MUST be able to parse one or more 1xx responses received prior to a final
		// response, even if the client does not expect one." (RFC 9110, 15.2) But a 101 is
		// final for HTTP, and we asked for no other protocol.
		if status.code/100 == 1 && status.code != http.StatusSwitchingProtocols {
			continue
		}
		// "Any response other than a successful response indicates that the tunnel has not yet
		// been formed." (RFC 9110, 9.3.6)
		if status.code/100 != 2 {
			return fmt.Errorf("proxy refused CONNECT: %v", status)
		}
		// The fields are checked, but none of them matters: "A client MUST ignore any
		// Content-Length or Transfer-Encoding header fields received in a successful response
		// to CONNECT." (RFC 9110, 9.3.6)
		if _, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(fields))).ReadMIMEHeader(); err != nil {
			return errors.New("proxy answered CONNECT with a malformed header field")
		}
		// The client speaks first in TLS and in HTTP, so nobody can have an answer for us yet.
		// These bytes are no longer in conn, and dropping them would hide that.
		if len(resp.buf) > 0 {
			return errors.New("proxy sent data before the tunnel was used")
		}
		return nil
	}
	return fmt.Errorf("proxy sent more than %d interim responses to CONNECT", maxProxyInterim)
}

// proxyBasic returns the credentials of RFC 7617, section 2.
func proxyBasic(user *url.Userinfo) (string, error) {
	password, _ := user.Password()
	// "a user-id containing a colon character is invalid" (RFC 7617, 2)
	if strings.Contains(user.Username(), ":") {
		return "", errors.New("proxy user name has a colon, which Basic authentication does not allow")
	}
	// "The user-id and password MUST NOT contain any control characters" (RFC 7617, 2)
	if strings.ContainsFunc(user.Username()+password, unicode.IsControl) {
		return "", errors.New("proxy user name or password has a control character, which Basic authentication does not allow")
	}
	return base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password)), nil
}

// proxyResponses cuts what the proxy sends into response heads.
type proxyResponses struct {
	r    io.Reader
	left int    // how many bytes may still be read
	buf  []byte // received, beyond the heads that next has returned
}

// next returns a response head with the blank line that ends it.
func (s *proxyResponses) next() ([]byte, error) {
	searched := 0
	for {
		if end := proxyHeadEnd(s.buf, searched); end > 0 {
			head := s.buf[:end]
			s.buf = s.buf[end:]
			return head, nil
		}
		searched = max(0, len(s.buf)-len("\n\r"))
		if s.left == 0 {
			return nil, fmt.Errorf("proxy answered CONNECT with a head of more than %d bytes", maxProxyHead)
		}
		if len(s.buf) == cap(s.buf) {
			s.buf = slices.Grow(s.buf, 512)
		}
		have := len(s.buf)
		n, err := io.ReadAtLeast(s.r, s.buf[have:min(cap(s.buf), have+s.left)], 1)
		if err != nil {
			return nil, errProxyIO(err)
		}
		s.buf = s.buf[:have+n]
		s.left -= n
	}
}

// proxyHeadEnd returns the index after the first blank line of b, or 0 if there is none. The
// search for the line end before it begins at from.
func proxyHeadEnd(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		// "a recipient MAY recognize a single LF as a line terminator and ignore any
		// preceding CR" (RFC 9112, 2.2)
		switch rest := b[from:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return from + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return from + 2
		}
	}
}

type proxyStatus struct {
	code   int
	reason string
}

// String is the status as an error can show it: the reason phrase is the proxy's, and may be
// long or made to disturb a terminal.
func (s proxyStatus) String() string {
	reason := s.reason[:min(len(s.reason), maxProxyReason)]
	reason = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, reason))
	return strings.TrimSpace(fmt.Sprintf("%03d %s", s.code, cmp.Or(reason, http.StatusText(s.code))))
}

// parseProxyStatus parses a status-line (RFC 9112, section 4) of HTTP/1.0 or HTTP/1.1, or of
// a later minor version. The space before an absent reason phrase may be absent too.
func parseProxyStatus(line string) (proxyStatus, bool) {
	version, rest, ok := strings.Cut(line, " ")
	minor, isHTTP1 := strings.CutPrefix(version, "HTTP/1.")
	if !ok || !isHTTP1 || len(minor) != 1 || minor[0] < '0' || minor[0] > '9' {
		return proxyStatus{}, false
	}
	digits, reason, _ := strings.Cut(rest, " ")
	code, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) != 3 {
		return proxyStatus{}, false
	}
	return proxyStatus{code: int(code), reason: reason}, true
}

// proxyExchange sends a request and reads as many bytes as answer holds.
func proxyExchange(conn net.Conn, request, answer []byte) error {
	if _, err := conn.Write(request); err != nil {
		return errProxyIO(err)
	}
	return proxyRead(conn, answer)
}

func proxyRead(conn net.Conn, b []byte) error {
	if _, err := io.ReadFull(conn, b); err != nil {
		return errProxyIO(err)
	}
	return nil
}

// errProxyIO names the proxy in an error of conn. The proxy always owes an answer while we
// read, so an end of the stream is never a clean one.
func errProxyIO(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("proxy: %w", err)
}
