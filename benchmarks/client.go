package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const clientKey = "dGhlIHNhbXBsZSBub25jZQ==" // of RFC 6455, 1.3

const deflateOffer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

var (
	errNotNegotiated = errors.New("does not offer permessage-deflate")
	errBadHandshake  = errors.New("the server does not complete the handshake")
)

// setup bounds what is done before a measurement.
const setup = 20 * time.Second

// request is the opening handshake of the load.
func request(deflate bool) []byte {
	b := []byte("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + clientKey + "\r\nSec-WebSocket-Version: 13\r\n")
	if deflate {
		b = append(b, "Sec-WebSocket-Extensions: "+deflateOffer+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

// dial opens a WebSocket connection, and returns what is below it.
func dial(address string, overTLS, deflate bool) (net.Conn, error) {
	return dialWith(net.Dialer{Timeout: setup}, address, overTLS, deflate)
}

func dialWith(d net.Dialer, address string, overTLS, deflate bool) (net.Conn, error) {
	nc, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if overTLS {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	}
	nc.SetDeadline(time.Now().Add(setup))
	response, err := shake(nc, request(deflate), make([]byte, 4<<10))
	if err == nil && !strings.Contains(string(response), acceptKey(clientKey)) {
		err = errBadHandshake
	}
	if err == nil && deflate && !strings.Contains(strings.ToLower(string(response)), "permessage-deflate") {
		err = errNotNegotiated
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	nc.SetDeadline(time.Time{})
	return nc, nil
}

var (
	endOfHeader = []byte("\r\n\r\n")
	switching   = []byte("HTTP/1.1 101 ")
)

// shake sends the request and reads the answer into b. A server of the benchmark
// sends nothing behind it, before it gets a message.
func shake(nc net.Conn, request, b []byte) ([]byte, error) {
	if _, err := nc.Write(request); err != nil {
		return nil, err
	}
	n := 0
	for n < len(b) {
		k, err := nc.Read(b[n:])
		if err != nil {
			return nil, err
		}
		if n += k; bytes.HasSuffix(b[:n], endOfHeader) {
			break
		}
	}
	if !bytes.HasPrefix(b[:n], switching) {
		line, _, _ := bytes.Cut(b[:n], []byte("\r\n"))
		return nil, fmt.Errorf("%w: %s", errBadHandshake, line)
	}
	return b[:n], nil
}

// dialAll opens so many connections, several at a time.
func dialAll(address string, n int, overTLS, deflate bool) ([]net.Conn, error) {
	conns := make([]net.Conn, n)
	errs := make(chan error, n)
	slots := make(chan struct{}, 16)
	for i := range conns {
		slots <- struct{}{}
		go func() {
			nc, err := dial(address, overTLS, deflate)
			conns[i] = nc
			errs <- err
			<-slots
		}()
	}
	var failed error
	for range conns {
		if err := <-errs; err != nil && failed == nil {
			failed = err
		}
	}
	if failed != nil {
		closeAll(conns)
	}
	return conns, failed
}

func closeAll(conns []net.Conn) {
	for _, nc := range conns {
		if nc != nil {
			nc.Close()
		}
	}
}
