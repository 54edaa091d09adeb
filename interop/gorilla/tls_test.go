package gorilla

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptrace"
	"strings"
	"time"
)

// overTLS makes the server one of wss, which the client trusts.
func (x *exchange) overTLS() {
	x.tls = true
	x.programsOnly = true
	x.listen()
	roots := x509.NewCertPool()
	roots.AddCert(x.http.Certificate())
	x.dialer.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

var _ = scenes(
	scenario{name: "messages over TLS", run: func(x *exchange) {
		x.overTLS()
		x.connect()
		for _, size := range []int{0, 1, 125, 126, 4096, 65536, 1 << 20} {
			exchanged(x, textMessage, filler(size))
		}
		for _, way := range x.ways() {
			w := way[0].writer(binaryMessage)
			w.write(filler(6000))
			w.readFrom(strings.NewReader(filler(60000)))
			w.close()
			r := way[1].reader()
			r.read(1000)
			r.all()
		}
	}},
	scenario{name: "closing over TLS", run: func(x *exchange) {
		x.overTLS()
		x.connect()
		x.client.showHandlers()
		x.client.control(pingMessage, "hello", time.Time{})
		x.client.closing(1000, "bye")
		x.server.readAll()
		x.client.readAll()
		x.server.close()
		x.client.close()
		x.server.readAll()
		x.client.write(textMessage, "x")
	}},
	scenario{name: "Close without a Close frame over TLS", run: func(x *exchange) {
		x.overTLS()
		x.connect()
		x.server.close()
		x.client.readAll()
		x.client.close()
		x.client.readAll()
		x.server.readAll()
		x.server.write(textMessage, "x")
	}},
	scenario{name: "deadlines over TLS", run: func(x *exchange) {
		x.overTLS()
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			s.readDeadline(past)
			s.readAll()
			s.writeDeadline(past)
			s.write(textMessage, "x")
			s.writeDeadline(time.Time{})
			s.write(textMessage, "x")
		}
	}},
	scenario{name: "a certificate that is not trusted", tcpOnly: true, run: func(x *exchange) {
		x.overTLS()
		x.dialer.TLSClientConfig.RootCAs = x509.NewCertPool()
		x.dial(x.url())
	}},
	scenario{name: "a certificate for another name", tcpOnly: true, run: func(x *exchange) {
		x.overTLS()
		x.dialer.TLSClientConfig.ServerName = "other.example"
		x.dial(x.url())
	}},
	scenario{name: "the connection under TLS", tcpOnly: true, run: func(x *exchange) {
		x.overTLS()
		x.dialer.TLSClientConfig.ServerName = "" // the URL's host
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			c, ok := s.NetConn().(*tls.Conn)
			s.note("NetConn is a %T", s.NetConn())
			if ok {
				state := c.ConnectionState()
				s.note("ServerName %q, the protocol %q, the handshake complete: %v", state.ServerName, state.NegotiatedProtocol, state.HandshakeComplete)
			}
		}
	}},
	scenario{name: "TLS that the program makes", tcpOnly: true, run: func(x *exchange) {
		x.overTLS()
		config := x.dialer.TLSClientConfig
		x.dialer.TLSClientConfig = &tls.Config{ServerName: "not looked at"}
		x.dialer.NetDialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			x.client.note("NetDialTLSContext %s %s", network, withoutAddress(addr))
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		}
		x.connect()
		exchanged(x, textMessage, "hello")
	}},
	scenario{name: "the trace of Dial over TLS", run: func(x *exchange) {
		x.overTLS()
		x.client.traced()
	}},
	scenario{name: "the trace of Dial", run: func(x *exchange) {
		x.listen()
		x.client.traced()
	}},
)

// traced dials and notes the order in which net/http/httptrace tells of it.
func (s *side) traced() {
	var events []string
	event := func(format string, args ...any) { events = append(events, fmt.Sprintf(format, args...)) }
	trace := &httptrace.ClientTrace{
		GetConn:              func(hostPort string) { event("GetConn %s", withoutAddress(hostPort)) },
		GotConn:              func(info httptrace.GotConnInfo) { event("GotConn %v", info.Conn != nil) },
		TLSHandshakeStart:    func() { event("TLSHandshakeStart") },
		TLSHandshakeDone:     func(_ tls.ConnectionState, err error) { event("TLSHandshakeDone %v", err) },
		GotFirstResponseByte: func() { event("GotFirstResponseByte") },
		WroteHeaders:         func() { event("WroteHeaders") },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { event("WroteRequest %v", info.Err) },
	}
	ctx := httptrace.WithClientTrace(context.Background(), trace)
	s.dialed(s.lib.dial(ctx, &s.x.dialer, s.x.url(), nil))
	s.note("trace: %s", strings.Join(events, ", "))
	s.x.accepted()
}
