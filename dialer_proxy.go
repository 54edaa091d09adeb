package websocket

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// maxProxyReason is how many bytes of a reason phrase an error repeats.
const maxProxyReason = 128

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
// that the application may have from anywhere.
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
		credentials, err := basicCredentials(user)
		if err != nil {
			return fmt.Errorf("proxy %w", err)
		}
		req += "Proxy-Authorization: " + credentials + "\r\n"
	}
	if err := proxyExchange(conn, []byte(req+"\r\n"), nil); err != nil {
		return err
	}

	r := newResponseReader(conn)
	resp, err := r.response(&http.Request{Method: http.MethodConnect})
	if err != nil {
		return errProxyIO(err)
	}
	if resp.ProtoMajor != 1 {
		return fmt.Errorf("proxy answered CONNECT with %s", resp.Proto)
	}
	// "Any response other than a successful response indicates that the tunnel has not yet
	// been formed." (RFC 9110, 9.3.6) A 101 is final for HTTP, and no other protocol was asked for.
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("proxy refused CONNECT: %s", proxyStatus(resp))
	}
	// There is no body: "A client MUST ignore any Content-Length or Transfer-Encoding header
	// fields received in a successful response to CONNECT." (RFC 9110, 9.3.6)
	//
	// The client speaks first in TLS and in HTTP, so that nothing can have come through the tunnel yet.
	// These bytes are no longer in conn, and dropping them would hide that.
	if r.Buffered() > 0 {
		return errors.New("proxy sent data before the tunnel was used")
	}
	return nil
}

// proxyStatus returns a status as an error can show it: the reason phrase is the proxy's, and may be
// long or made to disturb a terminal.
func proxyStatus(resp *http.Response) string {
	_, reason, _ := strings.Cut(resp.Status, " ")
	reason = reason[:min(len(reason), maxProxyReason)]
	reason = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, reason))
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, cmp.Or(reason, http.StatusText(resp.StatusCode))))
}

// basicCredentials returns the credentials of RFC 7617, section 2, of a URL.
func basicCredentials(user *url.Userinfo) (string, error) {
	password, _ := user.Password()
	// "a user-id containing a colon character is invalid" (RFC 7617, 2)
	if strings.Contains(user.Username(), ":") {
		return "", errors.New("user name has a colon, which Basic authentication does not allow")
	}
	// "The user-id and password MUST NOT contain any control characters" (RFC 7617, 2)
	if strings.ContainsFunc(user.Username()+password, unicode.IsControl) {
		return "", errors.New("user name or password has a control character, which Basic authentication does not allow")
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)), nil
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

// The numbers of RFC 1928 and RFC 1929.
const (
	socksVersion     = 5
	socksAuthVersion = 1
	socksNoAuth      = 0x00
	socksPassword    = 0x02
	socksNoMethod    = 0xff
	socksConnect     = 1
	socksIPv4        = 1
	socksDomain      = 3
	socksIPv6        = 4
)

// socksReplies are the reply codes of RFC 1928, section 6.
var socksReplies = map[byte]string{
	1: "general SOCKS server failure",
	2: "connection not allowed by ruleset",
	3: "network unreachable",
	4: "host unreachable",
	5: "connection refused",
	6: "TTL expired",
	7: "command not supported",
	8: "address type not supported",
}

// proxySOCKS opens a tunnel with the CONNECT command of RFC 1928. A host name is resolved
// by the proxy: socks5 and socks5h mean the same here, as they do in net/http. It is one
// exchange from its first byte to its last.
func proxySOCKS(conn net.Conn, user *url.Userinfo, target proxyTarget) error {
	// What cannot be said is found before anything is said.
	request, err := appendSOCKSRequest(nil, target)
	if err != nil {
		return err
	}
	var password []byte
	methods := []byte{socksNoAuth}
	if user != nil {
		if password, err = appendSOCKSPassword(nil, user); err != nil {
			return err
		}
		methods = append(methods, socksPassword)
	}

	greeting := append([]byte{socksVersion, byte(len(methods))}, methods...)
	var b [4]byte
	if err := proxyExchange(conn, greeting, b[:2]); err != nil {
		return err
	}
	if b[0] != socksVersion {
		return fmt.Errorf("proxy answered with SOCKS version %d, want %d", b[0], socksVersion)
	}
	method := b[1]
	// "If the selected METHOD is X'FF', none of the methods listed by the client are
	// acceptable, and the client MUST close the connection." (RFC 1928, 3)
	switch {
	case method == socksNoMethod && user == nil:
		return errors.New("proxy requires authentication, and its URL has no user name and password")
	case method == socksNoMethod:
		return errors.New("proxy accepts neither user name and password nor no authentication")
	case bytes.IndexByte(methods, method) < 0:
		return fmt.Errorf("proxy chose SOCKS authentication method 0x%02x, which was not offered", method)
	}

	if method == socksPassword {
		if err := proxyExchange(conn, password, b[:2]); err != nil {
			return err
		}
		if b[0] != socksAuthVersion {
			return fmt.Errorf("proxy answered with SOCKS authentication version %d, want %d", b[0], socksAuthVersion)
		}
		// "A STATUS field of X'00' indicates success. If the server returns a `failure'
		// (STATUS value other than X'00') status, it MUST close the connection." (RFC 1929, 2)
		if b[1] != 0 {
			return fmt.Errorf("proxy refused the user name and password (SOCKS status %d)", b[1])
		}
	}

	if err := proxyExchange(conn, request, b[:4]); err != nil {
		return err
	}
	if b[0] != socksVersion {
		return fmt.Errorf("proxy replied with SOCKS version %d, want %d", b[0], socksVersion)
	}
	if reply := b[1]; reply != 0 {
		text := cmp.Or(socksReplies[reply], "unassigned reply code")
		return fmt.Errorf("proxy refused to connect: %s (SOCKS reply %d)", text, reply)
	}
	// "Fields marked RESERVED (RSV) must be set to X'00'." (RFC 1928, 6)
	if b[2] != 0 {
		return fmt.Errorf("proxy replied with 0x%02x in the reserved field of SOCKS", b[2])
	}
	return discardSOCKSBound(conn, b[3])
}

// discardSOCKSBound reads the address and port from which the proxy connected. Nobody here
// needs them, but the tunnel begins right behind them.
func discardSOCKSBound(conn net.Conn, addressType byte) error {
	var b [255 + 2]byte
	n := 0
	switch addressType {
	case socksIPv4:
		n = 4
	case socksIPv6:
		n = 16
	case socksDomain:
		if err := proxyRead(conn, b[:1]); err != nil {
			return err
		}
		n = int(b[0])
	default:
		return fmt.Errorf("proxy replied with SOCKS address type %d, which is unknown", addressType)
	}
	return proxyRead(conn, b[:n+2])
}

// appendSOCKSRequest appends the CONNECT request of RFC 1928, section 4.
func appendSOCKSRequest(b []byte, target proxyTarget) ([]byte, error) {
	b = append(b, socksVersion, socksConnect, 0)
	// An IPv4 address in IPv6 clothes (::ffff:a.b.c.d) is dialed as IPv4 by package net too.
	switch ip := target.ip.Unmap(); {
	case ip.Is4():
		b = append(b, socksIPv4)
		b = append(b, ip.AsSlice()...)
	case ip.Is6():
		b = append(b, socksIPv6)
		b = append(b, ip.AsSlice()...)
	case len(target.host) > 255:
		return nil, fmt.Errorf("proxy target has a host name of %d bytes, SOCKS allows 255", len(target.host))
	default:
		b = append(b, socksDomain, byte(len(target.host)))
		b = append(b, target.host...)
	}
	return binary.BigEndian.AppendUint16(b, target.port), nil
}

// appendSOCKSPassword appends the request of RFC 1929, section 2, whose fields are 1 to 255
// bytes long. An empty password is let through: proxies that know a user by the name alone take it.
func appendSOCKSPassword(b []byte, user *url.Userinfo) ([]byte, error) {
	name := user.Username()
	password, _ := user.Password()
	if n := len(name); n < 1 || n > 255 {
		return nil, fmt.Errorf("proxy user name has %d bytes, SOCKS requires 1 to 255", n)
	}
	if n := len(password); n > 255 {
		return nil, fmt.Errorf("proxy password has %d bytes, SOCKS allows 255", n)
	}
	b = append(b, socksAuthVersion, byte(len(name)))
	b = append(b, name...)
	b = append(b, byte(len(password)))
	return append(b, password...), nil
}
