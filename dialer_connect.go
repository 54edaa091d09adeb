package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
)

var errNoConnection = errors.New("websocket: the Dialer's dial function returned no connection and no error")

// connect makes the network connection for the request, TLS included.
func (d *Dialer) connect(ctx context.Context, req *http.Request) (net.Conn, error) {
	trace := httptrace.ContextClientTrace(ctx)
	target := hostPort(req.URL)
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(target)
	}
	nc, err := d.connectVia(ctx, req, target)
	if err == nil && trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: nc})
	}
	return nc, err
}

// connectVia is connect for a target, host and port, directly or through the request's proxy.
func (d *Dialer) connectVia(ctx context.Context, req *http.Request, target string) (net.Conn, error) {
	var proxy *url.URL
	if d.Proxy != nil {
		var err error
		if proxy, err = d.Proxy(req); err != nil {
			return nil, err
		}
	}
	if proxy == nil {
		return d.dialURL(ctx, req.URL.Scheme, target, d.serverName(req.URL))
	}

	addr, err := proxyAddr(proxy)
	if err != nil {
		return nil, err
	}
	nc, err := d.dialURL(ctx, proxy.Scheme, addr, proxy.Hostname())
	if err != nil {
		return nil, err
	}
	err = interruptible(ctx, nc, func() error { return proxyTunnel(nc, proxy, target) })
	if err != nil {
		abort(nc)
		return nil, err
	}
	if req.URL.Scheme == "https" {
		return d.startTLS(ctx, nc, d.serverName(req.URL))
	}
	return nc, nil
}

// serverName returns the name that the server's certificate must have.
func (d *Dialer) serverName(u *url.URL) string {
	if d.TLSClientConfig != nil && d.TLSClientConfig.ServerName != "" {
		return d.TLSClientConfig.ServerName
	}
	return u.Hostname()
}

// dialURL connects to addr. If the scheme is https, it starts TLS with a server of the given name.
func (d *Dialer) dialURL(ctx context.Context, scheme, addr, serverName string) (net.Conn, error) {
	if scheme == "https" && d.NetDialTLSContext != nil {
		return dialWithin(ctx, addr, d.NetDialTLSContext)
	}
	var nc net.Conn
	var err error
	switch {
	case d.NetDialContext != nil:
		nc, err = dialWithin(ctx, addr, d.NetDialContext)
	case d.NetDial != nil:
		nc, err = dialWithin(ctx, addr, func(_ context.Context, network, addr string) (net.Conn, error) {
			return d.NetDial(network, addr)
		})
	default:
		nc, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	if err != nil || scheme != "https" {
		return nc, err
	}
	return d.startTLS(ctx, nc, serverName)
}

// dialWithin calls the program's dial function, which may ignore the context. If the context ends
// first, a connection that dial returns later is closed.
func dialWithin(ctx context.Context, addr string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	type result struct {
		nc  net.Conn
		err error
	}
	dialed := make(chan result, 1)
	call := func() {
		r := result{err: errNoConnection}
		defer func() { dialed <- r }() // even if dial calls runtime.Goexit, as Fatal in a test does
		if nc, err := dial(ctx, "tcp", addr); nc != nil || err != nil {
			r = result{nc, err}
		}
	}
	if ctx.Done() == nil {
		call()
	} else {
		go call()
	}
	select {
	case r := <-dialed:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-dialed; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, contextError(ctx)
	}
}

// startTLS starts TLS on nc with a server of the given name. If that fails, it closes nc.
func (d *Dialer) startTLS(ctx context.Context, nc net.Conn, serverName string) (net.Conn, error) {
	config := d.TLSClientConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	config.ServerName = serverName
	// A configuration shared with an http.Transport offers HTTP/2, and the server would choose
	// it.
	config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(p string) bool { return p == "h2" })

	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	tc := tls.Client(nc, config)
	err := tc.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(tc.ConnectionState(), err)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// hostPort returns the host and port of a URL. The default port is that of the scheme.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// responseError says what is wrong with the answer of a server or a proxy. Its text has no prefix "websocket: ".
type responseError struct{ error }

func (e responseError) Unwrap() error { return e.error }

// responseReader reads the response of a server or of a proxy.
type responseReader struct {
	*bufio.Reader
	head responseHead
}

// responseHead reads from the connection no more bytes than the head of a response may have.
type responseHead struct {
	conn io.Reader
	left int
	err  error // of conn
}

func (h *responseHead) Read(p []byte) (n int, err error) {
	if h.left == 0 {
		return 0, io.EOF
	}
	n, h.err = h.conn.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, h.err
}

func newResponseReader(conn io.Reader) *responseReader {
	r := &responseReader{head: responseHead{conn: conn, left: maxResponseHead}}
	r.Reader = bufio.NewReader(&r.head)
	return r
}

// response reads the final response to a request. "A client MUST be able to parse one or more 1xx
// responses received prior to a final response, even if the client does not expect one" (RFC 9110,
// 15.2). A 101 is final.
func (r *responseReader) response(req *http.Request) (*http.Response, error) {
	for range maxInterimResponses + 1 {
		resp, err := http.ReadResponse(r.Reader, req)
		switch {
		case err != nil:
			return nil, r.explain(err)
		case resp.StatusCode < 100:
			return nil, responseError{fmt.Errorf("malformed HTTP status code %q", resp.Status[:3])}
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil
		}
	}
	return nil, responseError{fmt.Errorf("more than %d interim responses", maxInterimResponses)}
}

// explain returns the reason for an error of http.ReadResponse, which reports what is wrong with the bytes received
// before the end or an error of the connection.
func (r *responseReader) explain(err error) error {
	switch {
	case r.head.err != nil && r.head.err != io.EOF:
		return r.head.err
	case r.head.left == 0:
		return responseError{fmt.Errorf("the header of the response is longer than %d bytes", maxResponseHead)}
	case err == io.ErrUnexpectedEOF:
		return err
	}
	if text := err.Error(); len(text) > maxQuoted {
		err = responseError{errors.New(text[:maxQuoted] + " (and more)")}
	}
	if r.head.err == io.EOF {
		err = fmt.Errorf("%w: %w", err, io.ErrUnexpectedEOF)
	}
	return err
}

const (
	// maxResponseHead bounds the memory for an answer: the size of its head, and of the interim
	// responses before it.
	maxResponseHead = 64 << 10
	// maxInterimResponses is how many 1xx responses are skipped.
	maxInterimResponses = 5
	// maxQuoted is about how many bytes of an answer an error quotes.
	maxQuoted = 200
)
