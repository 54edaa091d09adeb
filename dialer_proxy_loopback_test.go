//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxyServe runs handle for every connection to a loopback listener, and ends with the test.
func proxyServe(t *testing.T, handle func(net.Conn) error) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				if err := handle(conn); err != nil {
					t.Errorf("server: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// proxyRelay is the tunnel inside a proxy.
func proxyRelay(client net.Conn, addr string) error {
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer far.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(far, client)
		far.(*net.TCPConn).CloseWrite()
	})
	_, err = io.Copy(client, far)
	wg.Wait()
	return err
}

// proxyServeHTTP is one connection of an HTTP proxy that calls the echo server echo.test.
func proxyServeHTTP(conn net.Conn, echo string) error {
	br := bufio.NewReader(conn)
	req, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	if got, want := req.Header.Get("Proxy-Authorization"), "Basic dXNlcjpwYXNz"; got != want {
		return fmt.Errorf("got authorization %q, want %q", got, want)
	}
	if req.Method != http.MethodConnect || req.Host != req.RequestURI || br.Buffered() > 0 {
		return fmt.Errorf("got %s %s for %s with %d bytes behind it, want a plain CONNECT", req.Method, req.RequestURI, req.Host, br.Buffered())
	}
	if _, err := io.WriteString(conn, proxyOK); err != nil {
		return err
	}
	return proxyRelay(conn, strings.Replace(req.RequestURI, "echo.test:7", echo, 1))
}

// proxyServeSOCKS is one connection of a SOCKS proxy that calls the echo server echo.test.
func proxyServeSOCKS(conn net.Conn, echo string) error {
	block := func() []byte { // a length and so many bytes
		var n [1]byte
		io.ReadFull(conn, n[:])
		b := make([]byte, n[0])
		io.ReadFull(conn, b)
		return b
	}
	var b [4]byte
	io.ReadFull(conn, b[:1])
	if methods := block(); b[0] != 5 || !bytes.Contains(methods, []byte{2}) {
		return fmt.Errorf("got version %d and methods %x, want 5 and 2 among them", b[0], methods)
	}
	conn.Write([]byte{5, 2})
	io.ReadFull(conn, b[:1])
	if user, password := block(), block(); b[0] != 1 || string(user) != "user" || string(password) != "pass" {
		return fmt.Errorf("got version %d, user %q, password %q, want 1, user, pass", b[0], user, password)
	}
	conn.Write([]byte{1, 0})
	io.ReadFull(conn, b[:4])
	var host string
	switch b {
	case [4]byte{5, 1, 0, 1}:
		var ip [4]byte
		io.ReadFull(conn, ip[:])
		host = netip.AddrFrom4(ip).String()
	case [4]byte{5, 1, 0, 3}:
		host = string(block())
	default:
		return fmt.Errorf("got request %x, want a CONNECT to a name or an IPv4 address", b)
	}
	io.ReadFull(conn, b[:2])
	addr := fmt.Sprintf("%s:%d", host, binary.BigEndian.Uint16(b[:]))
	if _, err := io.WriteString(conn, "\x05\x00\x00\x03\x05bound\x00\x07"); err != nil {
		return err
	}
	return proxyRelay(conn, strings.Replace(addr, "echo.test:7", echo, 1))
}

// Real proxies on loopback: what is written after proxyTunnel reaches the echo server, whose
// name only the proxy can resolve, and the connection is still the one that was dialed.
func TestProxyTunnelLoopback(t *testing.T) {
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	defer certified.Close()
	echo := proxyServe(t, func(conn net.Conn) error {
		_, err := io.Copy(conn, conn)
		return err
	})
	servers := map[string]string{
		"http":   proxyServe(t, func(conn net.Conn) error { return proxyServeHTTP(conn, echo) }),
		"socks5": proxyServe(t, func(conn net.Conn) error { return proxyServeSOCKS(conn, echo) }),
		"https": proxyServe(t, func(conn net.Conn) error {
			secure := tls.Server(conn, certified.TLS)
			defer secure.Close()
			return proxyServeHTTP(secure, echo)
		}),
	}
	for scheme, server := range servers {
		for _, addr := range []string{echo, "echo.test:7"} {
			t.Run(scheme+" to "+addr, func(t *testing.T) {
				u := proxyURL(t, scheme+"://user:pass@"+server)
				dial, err := proxyAddr(u)
				if err != nil {
					t.Fatal(err)
				}
				tcp, err := net.Dial("tcp", dial)
				if err != nil {
					t.Fatal(err)
				}
				defer tcp.Close()
				tcp.SetDeadline(time.Now().Add(20 * time.Second))
				var conn interface {
					net.Conn
					CloseWrite() error
				} = tcp.(*net.TCPConn)
				if scheme == "https" {
					config := certified.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
					config.ServerName = "example.com"
					conn = tls.Client(tcp, config)
				}
				if err := proxyTunnel(conn, u, addr); err != nil {
					t.Fatal(err)
				}
				want := strings.Repeat("through the tunnel ", 100)
				if _, err := io.WriteString(conn, want); err != nil {
					t.Fatal(err)
				}
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(conn); err != nil || string(got) != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			})
		}
	}
}
