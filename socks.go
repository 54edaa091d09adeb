package websocket

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
)

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
