package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Upgrader upgrades HTTP requests to WebSocket connections. The zero value is ready for
// use. An Upgrader may be copied, and any goroutine may call its methods, as long as no
// field is changed at the same time.
type Upgrader struct {
	// HandshakeTimeout bounds writing the answer; 0 means no bound. Reading the request
	// is bounded by the http.Server's ReadTimeout, which ends with the upgrade.
	HandshakeTimeout time.Duration

	// ReadBufferSize and WriteBufferSize are the sizes in bytes of the buffers that a
	// connection borrows while it reads and while a message is written with NextWriter;
	// they limit no message. WriteBufferSize is rounded up to a power of two from 4,096
	// (also for 0) to 65,536. ReadBufferSize, of at most 65,536 (also for 0), matters only
	// over TLS and wrappers, for the rest of a message whose beginning has come: a
	// *net.TCPConn or *net.UnixConn is always read with 128 KiB, which is given back as
	// soon as nothing is left in it.
	ReadBufferSize, WriteBufferSize int

	// WriteBufferPool is not used: all connections borrow their buffers from pools of
	// the package. It is here for programs that set it.
	WriteBufferPool BufferPool

	// Subprotocols are the subprotocols that the server supports. If it is not nil,
	// Upgrade chooses the first subprotocol in the client's list that is among them, or none.
	Subprotocols []string

	// Error answers a request that is refused, by Upgrade or by the handler of HandlerFunc. If it
	// is nil, the answer is the status's text and a line that says which rule is broken and what
	// to do about it. The reason is a HandshakeError.
	Error func(w http.ResponseWriter, r *http.Request, status int, reason error)

	// ResponseHeader returns the header that is added to the answer to a request, when the handler
	// of HandlerFunc upgrades it; see Upgrade. It is called after the request has been checked. If
	// it is nil, there is none.
	ResponseHeader func(r *http.Request) http.Header

	// CheckOrigin reports whether the request's Origin header is acceptable. Browsers
	// connect to any server on behalf of any page, with the user's cookies, so this
	// check is what keeps foreign pages out (RFC 6455, 10.2).
	//
	// If it is nil, a request is accepted if it has no Origin header, or if the host in that
	// header is the request's own Host or matches one of OriginPatterns.
	CheckOrigin func(r *http.Request) bool

	// OriginPatterns are the origins whose pages may connect in addition to the server's own
	// pages, if CheckOrigin is nil. A pattern is as in path.Match, for the host and for a port
	// that is not the scheme's default: "example.com", "*.example.com", "localhost:*". A pattern
	// with a scheme matches that scheme only: "https://*.example.com", "chrome-extension://*",
	// "file://". "null" is the origin of pages without one, such as files in most browsers and
	// sandboxed frames. Case does not matter. If a pattern is malformed, or can match no origin,
	// every request is refused with 500.
	OriginPatterns []string

	// PingInterval is the time without a sign of the peer after which a ping is sent; 0 means
	// never. PongTimeout is the additional time without a sign after which the connection fails;
	// 0 means PingInterval. A sign is anything received, and any progress of a write that waits
	// for the network. The connection must be read: PongTimeout does not run while no read is in
	// progress, unless a write waits without progress for both times together. The error of reads
	// and writes is then final, and a net.Error whose Timeout method returns true.
	PingInterval, PongTimeout time.Duration

	// Group, unless it is nil, gets the connections, so that they can be closed together.
	Group *Group

	// EnableCompression accepts permessage-deflate (RFC 7692) if the client offers it, with the
	// options in Compression.
	EnableCompression bool
	Compression       CompressionOptions

	// WriteThrough sends each message when it is written. Otherwise a message written while
	// received messages still wait to be read may wait until these have been handled, for at most
	// 200 microseconds; see Conn.WriteMessage.
	WriteThrough bool

	// ReadLimit is the size in bytes of the largest message that a connection reads; 0 means
	// DefaultReadLimit, a negative value no limit. See Conn.SetReadLimit.
	ReadLimit int64

	// MaxFrameSize is the largest payload in bytes of a sent data frame, for peers and gateways
	// that do not accept larger frames; 0 means no limit. A longer message is sent in fragments
	// (RFC 6455, 5.4), and a longer Write of a stream as several messages.
	MaxFrameSize int
}

// Upgrade answers the request with 101 Switching Protocols and returns the
// connection (RFC 6455, 4.2). The request's ResponseWriter may be wrapped by types
// with an Unwrap method. It must not be used after Upgrade has returned.
//
// The fields of responseHeader are added to the answer, for instance cookies. If
// Subprotocols is nil, a Sec-WebSocket-Protocol among them is the subprotocol of the
// connection. Fields that belong to the handshake itself are ignored: Upgrade, Connection,
// the other Sec-WebSocket fields, Content-Length and Transfer-Encoding.
//
// If the request is not a WebSocket handshake, or not an acceptable one, Upgrade answers
// it with an error and returns a HandshakeError. Any other error is an error of the network
// connection, which was closed.
//
// A handler that returns early, while another goroutine uses the connection, saves several
// kilobytes of memory; HandlerFunc does that if it can.
func (u *Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header) (*Conn, error) {
	key, agreed, refused := u.check(r)
	if refused != nil {
		return nil, u.refuse(w, r, refused)
	}
	return u.upgrade(w, r, key, agreed, responseHeader, nil)
}

// check returns the request's key and the result of the negotiation, or the reason why the request is refused.
func (u *Upgrader) check(r *http.Request) (key string, agreed agreement, refused *refusal) {
	if refused := checkRequest(r); refused != nil {
		return "", agreed, refused
	}
	if reason := u.Compression.invalid(); reason != "" && u.EnableCompression {
		return "", agreed, &refusal{http.StatusInternalServerError, "Upgrader." + reason, ""}
	}
	if refused := u.checkOrigin(r); refused != nil {
		return "", agreed, refused
	}
	key, wanted, extensions, refused := checkRequestFields(r)
	if refused != nil {
		return "", agreed, refused
	}
	if u.Subprotocols != nil {
		agreed.subprotocol = chooseSubprotocol(wanted, u.Subprotocols)
	}
	if u.EnableCompression {
		if answer, ok := u.Compression.answerOffers(extensions); ok {
			agreed.deflate = &answer
		}
	}
	return key, agreed, nil
}

// upgrade takes the connection from net/http and answers the request, which has been checked. When the
// connection ends, it calls cancel, unless that is nil.
func (u *Upgrader) upgrade(w http.ResponseWriter, r *http.Request, key string, agreed agreement, header http.Header, cancel context.CancelFunc) (c *Conn, err error) {
	fields, subprotocol, refused := responseFields(header)
	if refused != nil {
		return nil, u.refuse(w, r, refused)
	}
	if u.Subprotocols == nil {
		agreed.subprotocol = subprotocol
	}
	if !u.Group.enter() {
		return nil, u.refuse(w, r, &refusal{http.StatusServiceUnavailable, errGroupShutdown, ""})
	}
	defer func() { u.Group.leave(c) }() // even if the program's ResponseWriter panics
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, u.refuse(w, r, hijackRefusal(w, err))
	}

	// The buffers belong to net/http. Bytes that the client has sent after its request,
	// without waiting for the answer, are copied.
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	early = slices.Clone(early)

	// The connection joins the group before the client can receive the answer. The lock
	// holds back Shutdown's Close frame and keepalive's pings until the answer was written.
	c = newConn(nc, true, early, connOptions{
		locked:          true,
		readBufferSize:  u.ReadBufferSize,
		writeBufferSize: u.WriteBufferSize,
		readLimit:       u.ReadLimit,
		agreed:          agreed,
		compression:     u.Compression,
		writeThrough:    u.WriteThrough,
		maxFrameSize:    u.MaxFrameSize,
		pingInterval:    u.PingInterval,
		pongTimeout:     u.PongTimeout,
		cancel:          cancel,
	})
	u.Group.join(c)
	err = u.answer(nc, key, agreed, fields)
	if err != nil {
		c.send.fail(err)
	}
	c.send.unlock()
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// answer writes the 101 answer, with the program's fields.
func (u *Upgrader) answer(nc net.Conn, key string, agreed agreement, fields []byte) error {
	buf := acquireBuffer(defaultBufferSize)
	defer releaseBuffer(buf)
	if u.HandshakeTimeout > 0 {
		nc.SetWriteDeadline(time.Now().Add(u.HandshakeTimeout))
		defer nc.SetWriteDeadline(time.Time{})
	}
	_, err := nc.Write(appendResponse(buf.b[:0], key, agreed, fields))
	return err
}

// refuse answers the request with an error and returns the error.
func (u *Upgrader) refuse(w http.ResponseWriter, r *http.Request, refused *refusal) error {
	err := HandshakeError{"websocket: " + refused.reason}
	h := w.Header()
	switch refused.status {
	case http.StatusUpgradeRequired:
		// "A server that sends a 426 response MUST send an Upgrade header field" (RFC
		// 9110, 15.5.22), and "a |Sec-WebSocket-Version| header field indicating the
		// version(s) the server is capable of understanding" (RFC 6455, 4.2.2).
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		h.Set("Sec-Websocket-Version", "13")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet) // RFC 9110, 15.5.6
	}
	if u.Error != nil {
		u.Error(w, r, refused.status, err)
		return err
	}
	h.Set("Sec-Websocket-Version", "13")
	http.Error(w, http.StatusText(refused.status)+"\n"+cmp.Or(refused.advice, refused.reason), refused.status)
	return err
}

func (u *Upgrader) checkOrigin(r *http.Request) *refusal {
	const reason = "request origin not allowed by Upgrader.CheckOrigin"
	var ok bool
	var refused *refusal
	advice := "The page's Origin %q does not match the Host %q. If the page is this server's, a proxy in front of the server must pass " +
		"the Host on; else Upgrader.OriginPatterns must have the Origin."
	if u.CheckOrigin != nil {
		ok = u.CheckOrigin(r)
		advice = "Upgrader.CheckOrigin refuses the page's Origin %q at the Host %q."
	} else {
		ok, refused = checkOrigin(r, u.OriginPatterns)
	}
	if !ok && refused == nil {
		refused = &refusal{http.StatusForbidden, reason, fmt.Sprintf(advice, visible(r.Header.Get("Origin")), visible(r.Host))}
	}
	return refused
}

// hijackRefusal explains why the connection cannot be taken over from net/http.
func hijackRefusal(w http.ResponseWriter, err error) *refusal {
	if !errors.Is(err, http.ErrNotSupported) {
		return &refusal{http.StatusInternalServerError, err.Error(), ""}
	}
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = wrapper.Unwrap()
	}
	return &refusal{http.StatusInternalServerError, "response does not implement http.Hijacker",
		fmt.Sprintf("The handler's ResponseWriter is a %T, which has no Hijack method. If it wraps another one, "+
			"it needs an Unwrap method, which http.ResponseController uses.", w)}
}

// responseFields returns the program's fields as they are written in the answer, without those that belong to
// the handshake itself, and the program's choice of a subprotocol.
func responseFields(header http.Header) (fields []byte, subprotocol string, refused *refusal) {
	if len(header) == 0 {
		return nil, "", nil
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !isToken(name) {
			return nil, "", &refusal{http.StatusInternalServerError, "malformed name in the application's response header", ""}
		}
		switch http.CanonicalHeaderKey(name) {
		case "Sec-Websocket-Extensions":
			return nil, "", &refusal{http.StatusInternalServerError, "application specific 'Sec-WebSocket-Extensions' headers are unsupported", ""}
		case "Sec-Websocket-Protocol":
			for i, value := range header[name] {
				if value != "" && !isSubprotocol(value) {
					return nil, "", &refusal{http.StatusInternalServerError, "application specific 'Sec-WebSocket-Protocol' header has a comma, or a character that is not visible ASCII", ""}
				}
				if i == 0 {
					subprotocol = value
				}
			}
			continue
		case "Upgrade", "Connection", "Sec-Websocket-Accept", "Sec-Websocket-Version", "Sec-Websocket-Key", "Content-Length", "Transfer-Encoding":
			continue
		}
		for _, value := range header[name] {
			fields = append(fields, name+": "...)
			for i := range len(value) {
				c := value[i]
				if c < ' ' || c == 0x7f {
					c = ' ' // not a line break, which would start another field
				}
				fields = append(fields, c)
			}
			fields = append(fields, "\r\n"...)
		}
	}
	return fields, subprotocol, nil
}

// appendResponse appends the server's answer to a handshake with the key (4.2.2).
func appendResponse(b []byte, key string, agreed agreement, fields []byte) []byte {
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = appendAcceptKey(b, key)
	b = append(b, "\r\n"...)
	if agreed.subprotocol != "" {
		b = append(b, "Sec-WebSocket-Protocol: "...)
		b = append(b, agreed.subprotocol...)
		b = append(b, "\r\n"...)
	}
	if agreed.deflate != nil {
		b = append(b, "Sec-WebSocket-Extensions: "...)
		b = agreed.deflate.append(b)
		b = append(b, "\r\n"...)
	}
	b = append(b, fields...)
	return append(b, "\r\n"...)
}

// headerValue returns the first value of a field, in whatever case the program wrote its name.
func headerValue(h http.Header, canonicalName string) string {
	for name, values := range h {
		if http.CanonicalHeaderKey(name) == canonicalName && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// HandlerFunc returns a handler that upgrades each request, with the header returned by ResponseHeader, and runs serve
// with the connection. When serve returns, the peer is sent a Close frame with CloseNormalClosure, unless a Close frame
// was sent before, and the connection is closed as by Close. A panic of serve is logged as net/http logs a panic of a
// handler, and closes only this connection, with CloseInternalServerErr. After a panic with http.ErrAbortHandler, or
// runtime.Goexit, no Close frame is sent.
//
// The context of the request passed to serve has the values of the original context. It is cancelled when the
// connection ends: when it was closed, or when a read or a write has found that the peer is gone. A function that does
// not read needs PingInterval or Conn.CloseRead to notice that.
//
// If net/http alone has set the values of the request's context, serve runs in a goroutine of its own, and the handler
// returns at once, so that net/http frees its memory for the request: measured on linux/amd64, an idle connection then
// takes 3.3 KB of heap and stack instead of 20 KB. If a router or middleware has added values, as chi does for
// the parameters of a route, serve runs in the handler, because such values may be reused for another request when the
// handler has returned. r.PathValue of http.ServeMux needs no such value.
//
// A function literal passed as serve must not use other values that end with the handler, such as a gin.Context.
func (u *Upgrader) HandlerFunc(serve func(*Conn, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.Background())
		u.Group.run(1)
		runs := false
		defer func() {
			if !runs { // the request was refused, or the program's code has panicked
				u.Group.run(-1)
				cancel()
			}
		}()
		key, agreed, refused := u.check(r)
		if refused != nil {
			u.refuse(w, r, refused)
			return
		}
		var header http.Header
		if u.ResponseHeader != nil {
			header = u.ResponseHeader(r)
		}
		c, err := u.upgrade(w, r, key, agreed, header, cancel)
		if runs = err == nil; !runs {
			return
		}
		bare := hasBareContext(r)
		r = r.WithContext(connContext{ctx, r.Context()})
		if !bare {
			u.run(serve, c, r)
			return
		}
		go u.run(serve, c, r) // ends when serve returns, which closing c brings about
	}
}

// hasBareContext reports whether a request's context is as net/http has made it. Its innermost layers are then a value
// with the local address, and two cancellations, for the connection and for the request; the context's String shows
// them. If a release of Go should make the context in another way, all handlers will wait for their functions.
func hasBareContext(r *http.Request) bool {
	addr := r.Context().Value(http.LocalAddrContextKey)
	bare := fmt.Sprintf(".WithValue(%v, %v).WithCancel.WithCancel", http.LocalAddrContextKey, addr)
	return strings.HasSuffix(fmt.Sprint(r.Context()), bare)
}

// connContext is a context that ends with a connection, and has the values of another context. The connection refers
// to the first only, so that the memory of the request can be freed before the connection ends.
type connContext struct {
	context.Context
	values context.Context
}

func (c connContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v // internal to package context
	}
	return c.values.Value(key)
}

// run runs serve, and closes the connection afterwards.
func (u *Upgrader) run(serve func(*Conn, *http.Request), c *Conn, r *http.Request) {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	defer u.Group.run(-1)
	code := 0 // of the Close frame, if any
	defer func() {
		if c.shuttingDown() {
			return // Shutdown closes the connection in time
		}
		if code != 0 && c.readLock.phase() != phaseFailed { // else the peer is gone, or was sent another code
			c.reply(opClose, FormatCloseMessage(code, ""))
		}
		c.Close()
	}()
	defer func() {
		if err := recover(); err != nil && err != http.ErrAbortHandler {
			code = CloseInternalServerErr
			logPanic(server, c, err)
		}
	}()
	serve(c, r)
	code = CloseNormalClosure
}

// logPanic logs a panic as net/http does.
func logPanic(server *http.Server, c *Conn, err any) {
	logf := log.Printf
	if server != nil && server.ErrorLog != nil {
		logf = server.ErrorLog.Printf
	}
	logf("http: panic serving %v: %v\n%s", c.RemoteAddr(), err, debug.Stack())
}
