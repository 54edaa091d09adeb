package websocket

import (
	"bytes"
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
	"strings"
	"time"
	"unicode/utf8"
)

var errMalformedURL = errors.New("malformed ws or wss URL")

// DefaultDialer is a dialer with a proxy from the environment and a timeout of 45 seconds.
var DefaultDialer = &Dialer{
	Proxy:            http.ProxyFromEnvironment,
	HandshakeTimeout: 45 * time.Second,
}

// Dialer connects to WebSocket servers. The zero value is ready for use, and a nil
// *Dialer is DefaultDialer. A Dialer may be copied, and any goroutine may call its
// methods, as long as no field is changed at the same time.
type Dialer struct {
	// NetDial makes the network connection. If it is nil, a net.Dialer is used.
	NetDial func(network, addr string) (net.Conn, error)

	// NetDialContext makes the network connection. If it is nil, NetDial is used.
	NetDialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// NetDialTLSContext makes the network connection, including TLS, to the server of a
	// wss URL or to an https proxy. If it is nil, NetDialContext is used, and then TLS is
	// started with TLSClientConfig.
	NetDialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxy returns the URL of the proxy for a request, whose URL has the scheme http or
	// https. If Proxy is nil, or returns nil, no proxy is used. Its error is returned by Dial.
	// The scheme of the proxy is http, https, socks5 or socks5h; a user and password in its
	// URL are sent to it.
	Proxy func(*http.Request) (*url.URL, error)

	// TLSClientConfig is the configuration for TLS; if it is nil, the default configuration
	// is used. The server's certificate must be for the ServerName or, if that is empty, for
	// the URL's host; that of an https proxy must be for the proxy's host. "h2" in NextProtos
	// is ignored.
	TLSClientConfig *tls.Config

	// HandshakeTimeout bounds Dial as a whole; 0 means no bound.
	HandshakeTimeout time.Duration

	// ReadBufferSize and WriteBufferSize are as in Upgrader.
	ReadBufferSize, WriteBufferSize int

	// WriteBufferPool is not used, as in Upgrader.
	WriteBufferPool BufferPool

	// Subprotocols are the subprotocols to ask for, in the order of preference.
	Subprotocols []string

	// PingInterval and PongTimeout are as in Upgrader.
	PingInterval, PongTimeout time.Duration

	// EnableCompression offers permessage-deflate (RFC 7692) to the server, with the options
	// in Compression.
	EnableCompression bool
	Compression       CompressionOptions

	// Jar, unless it is nil, provides the cookies to send and stores those of the answer. It
	// is called with URLs with the scheme http or https.
	Jar http.CookieJar

	// WriteThrough, ReadLimit and MaxFrameSize are as in Upgrader.
	WriteThrough bool
	ReadLimit    int64
	MaxFrameSize int
}

// Dial is DialContext with the background context.
func (d *Dialer) Dial(urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	return d.DialContext(context.Background(), urlStr, requestHeader)
}

// DialContext connects to the server at a URL with the scheme ws or wss; http and https
// mean the same (RFC 6455, 3 and 4.1). The fields of requestHeader are added to the request,
// for instance Origin, Cookie or Authorization; its Host replaces that of the URL. The context
// bounds the call, and has no effect on the connection afterwards.
//
// A user and password in the URL are sent as Basic authentication (RFC 7617), unless
// requestHeader has Authorization. As in browsers, an international host name is converted to
// punycode, and characters that are not allowed in the query of a request are escaped.
//
// If the server's answer does not complete the handshake, because it is a refusal, a
// redirect or malformed, the error is ErrBadHandshake, and the response is returned with at
// most 1,024 bytes of its body, as far as they are received within a second. If err is nil, the
// response is the one that has started the connection, and its body is empty. No body needs to
// be closed.
func (d *Dialer) DialContext(ctx context.Context, urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	if d == nil {
		d = DefaultDialer
	}
	key := newKey()
	req, protocols, err := d.request(ctx, urlStr, key, requestHeader)
	if err != nil {
		return nil, nil, err
	}
	if d.EnableCompression {
		if reason := d.Compression.invalid(); reason != "" {
			return nil, nil, errors.New("websocket: Dialer." + reason)
		}
		req.Header["Sec-WebSocket-Extensions"] = []string{d.Compression.offers()}
	}
	if d.HandshakeTimeout != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.HandshakeTimeout)
		defer cancel()
	}
	nc, err := d.connect(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	c, resp, err := d.handshake(ctx, nc, req, key, protocols)
	if err != nil {
		abort(nc)
	}
	return c, resp, err
}

// request returns the client's opening handshake, and the subprotocols that it asks for.
func (d *Dialer) request(ctx context.Context, urlStr, key string, header http.Header) (*http.Request, []string, error) {
	u, err := parseURL(urlStr)
	if err != nil {
		return nil, nil, err
	}
	req := &http.Request{
		Method:     http.MethodGet,
		URL:        u,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     make(http.Header),
		Host:       u.Host,
	}
	req = req.WithContext(ctx)
	protocols, err := addRequestHeader(req, header, d.Subprotocols)
	if err != nil {
		return nil, nil, err
	}
	if u.User != nil && headerValue(header, "Authorization") == "" {
		credentials, err := basicCredentials(u.User)
		if err != nil {
			return nil, nil, fmt.Errorf("websocket: %w", err)
		}
		req.Header["Authorization"] = []string{credentials}
	}
	if d.Jar != nil {
		for _, cookie := range d.Jar.Cookies(u) {
			req.AddCookie(cookie)
		}
	}
	// In the spelling of the RFC, for servers that compare the names of fields exactly.
	req.Header["Upgrade"] = []string{"websocket"}
	req.Header["Connection"] = []string{"Upgrade"}
	req.Header["Sec-WebSocket-Key"] = []string{key}
	req.Header["Sec-WebSocket-Version"] = []string{"13"}
	// "The elements that comprise this value MUST be non-empty strings [...] and MUST all be unique
	// strings" (4.1).
	for i, p := range protocols {
		if !isSubprotocol(p) {
			return nil, nil, fmt.Errorf("websocket: subprotocol %q is empty, or has a comma or a character that is not visible ASCII", p)
		}
		if slices.Contains(protocols[:i], p) {
			return nil, nil, fmt.Errorf("websocket: subprotocol %q is asked for twice", p)
		}
	}
	if len(protocols) > 0 {
		req.Header["Sec-WebSocket-Protocol"] = []string{strings.Join(protocols, ", ")}
	}
	return req, protocols, nil
}

// parseURL returns the request's URL for a URL with the scheme ws, wss, http or https (RFC 6455, 3 and 4.1).
// The result has the scheme http or https, an ASCII host without the scheme's default port, and a query that
// is valid in a request line.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, errMalformedURL
	}
	if u.Hostname() == "" {
		return nil, errMalformedURL
	}
	// "An optional ":port" if not using the default port" follows the host (4.1).
	switch port := u.Port(); {
	case port == "", port == "80" && u.Scheme == "http", port == "443" && u.Scheme == "https":
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Host, err = asciiHost(u.Host); err != nil {
		return nil, err
	}
	u.RawQuery = escapeQuery(u.RawQuery)
	return u, nil
}

// asciiHost returns the host of a URL in ASCII: an international name is converted to lower case, and then to
// punycode, as in the Host field that net/http writes.
func asciiHost(host string) (string, error) {
	if !strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return host, nil
	}
	var b bytes.Buffer
	if err := (&http.Request{URL: &url.URL{Scheme: "http", Host: strings.ToLower(host)}}).Write(&b); err != nil {
		return "", fmt.Errorf("websocket: malformed host %q: %w", host, err)
	}
	_, host, _ = strings.Cut(b.String(), "\r\nHost: ")
	host, _, _ = strings.Cut(host, "\r\n")
	return host, nil
}

// escapeQuery escapes the characters in a query that browsers escape.
func escapeQuery(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"#'<>", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// addRequestHeader adds the program's header to the request. It returns the
// subprotocols to ask for: those of the Dialer or, if it has none, those in the header.
func addRequestHeader(req *http.Request, header http.Header, protocols []string) ([]string, error) {
	for name, values := range header {
		if err := checkRequestField(name, values); err != nil {
			return nil, err
		}
		switch canonical := http.CanonicalHeaderKey(name); canonical {
		case "Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions":
			return nil, errors.New("websocket: duplicate header not allowed: " + canonical)
		case "Sec-Websocket-Protocol":
			if len(protocols) > 0 {
				return nil, errors.New("websocket: duplicate header not allowed: " + canonical)
			}
			protocols = slices.Collect(listElements(values)) // without a limit on their number
		case "Host":
			if len(values) > 0 {
				req.Host = values[0]
			}
		case "Content-Length", "Transfer-Encoding", "Trailer":
			// With these the server would take the frames for a body.
		case "User-Agent":
			req.Header[canonical] = values
		case "Cookie":
			// "the user agent MUST NOT attach more than one Cookie header field" (RFC
			// 6265, 5.4).
			if all := append(req.Header[canonical], values...); len(all) > 0 {
				req.Header[canonical] = []string{strings.Join(all, "; ")}
			}
		default:
			req.Header[name] = values
		}
	}
	return protocols, nil
}

// checkRequestField returns an error for a field that net/http would change or not send.
func checkRequestField(name string, values []string) error {
	if !isToken(name) {
		return fmt.Errorf("websocket: malformed name in the request header: %q", name)
	}
	isHost := equalFoldASCII(name, "Host")
	for _, v := range values {
		for i := range len(v) {
			c := v[i]
			if c < ' ' && c != '\t' || c == 0x7f || isHost && strings.IndexByte(" \t\"#/<>?@\\^`{|}", c) >= 0 {
				return fmt.Errorf("websocket: malformed value of %s in the request header: %q", name, v)
			}
		}
	}
	return nil
}

const (
	// maxResponseBody is how many bytes of a refusal's body are kept.
	maxResponseBody = 1024
	// responseBodyTime bounds reading these: the body may be a stream that never ends.
	responseBodyTime = time.Second
)

// handshake sends the request on nc, reads the answer, and returns the connection.
func (d *Dialer) handshake(ctx context.Context, nc net.Conn, req *http.Request, key string, protocols []string) (*Conn, *http.Response, error) {
	reader := newResponseReader(nc)
	var resp *http.Response
	err := interruptible(ctx, nc, func() (err error) {
		resp, err = roundTrip(ctx, nc, reader, req)
		return err
	})
	if malformed, ok := err.(responseError); ok {
		err = fmt.Errorf("websocket: %w", malformed)
	}
	if err != nil {
		return nil, nil, err
	}
	if d.Jar != nil {
		if cookies := resp.Cookies(); len(cookies) > 0 {
			d.Jar.SetCookies(req.URL, cookies)
		}
	}
	agreed, ok := checkResponse(resp, key, protocols, d.EnableCompression)
	if !ok {
		body := make([]byte, maxResponseBody)
		l := limit{time.Now().Add(responseBodyTime), ctx}
		stop := l.afterFunc(func() { abort(nc) })
		n, _ := io.ReadFull(resp.Body, body) // the body may be shorter
		stop()
		resp.Body = io.NopCloser(bytes.NewReader(body[:n]))
		return nil, resp, ErrBadHandshake
	}
	resp.Body = io.NopCloser(bytes.NewReader(nil))

	early, _ := reader.Peek(reader.Buffered())
	return newConn(nc, false, slices.Clone(early), connOptions{
		readBufferSize:  d.ReadBufferSize,
		writeBufferSize: d.WriteBufferSize,
		readLimit:       d.ReadLimit,
		agreed:          agreed,
		compression:     d.Compression,
		writeThrough:    d.WriteThrough,
		maxFrameSize:    d.MaxFrameSize,
		pingInterval:    d.PingInterval,
		pongTimeout:     d.PongTimeout,
	}), resp, nil
}

// roundTrip sends the request in one write, and reads the head of the final answer.
func roundTrip(ctx context.Context, nc net.Conn, r *responseReader, req *http.Request) (*http.Response, error) {
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		return nil, err
	}
	if _, err := nc.Write(b.Bytes()); err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotFirstResponseByte != nil {
		if _, err := r.Peek(1); err == nil {
			trace.GotFirstResponseByte()
		}
	}
	return r.response(req)
}

// interruptible calls f, and closes nc when the context ends, so that reads and writes of f end. It then
// returns the context's error.
func interruptible(ctx context.Context, nc net.Conn, f func() error) error {
	stop := context.AfterFunc(ctx, func() { abort(nc) })
	err := f()
	if !stop() {
		return contextError(ctx)
	}
	return err
}
