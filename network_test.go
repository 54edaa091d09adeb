//go:build go1.25

package websocket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// testLink is a kind of transport, and the side that the connection under test has.
type testLink struct {
	pair   func(t testing.TB) (near, far net.Conn)
	server bool // the connection under test is one
}

// eachLink runs f for a server and a client over each kind of transport that is written to in a way
// of its own.
func eachLink(t *testing.T, f func(t *testing.T, l testLink)) {
	bothSides(t, func(t *testing.T, server bool) {
		t.Run("tcp", func(t *testing.T) { f(t, testLink{tcpPair, server}) })
		t.Run("unix", func(t *testing.T) { f(t, testLink{unixPair, server}) })
		t.Run("wrapped", func(t *testing.T) {
			f(t, testLink{func(t testing.TB) (near, far net.Conn) {
				near, far = tcpPair(t)
				return wrappedConn{near}, far
			}, server})
		})
		t.Run("tls", func(t *testing.T) {
			f(t, testLink{func(t testing.TB) (near, far net.Conn) {
				near, far = tcpPair(t)
				return overTLS(t, near, far)
			}, server})
		})
	})
}

// eachFull runs f for a server and a client on a network of the kernel that takes nothing, as it
// is full of bytes that the peer's drain discards. TLS cannot be filled so; for that there is bubble.
func eachFull(t *testing.T, o connOptions, f func(t *testing.T, c *Conn, peer *farEnd)) {
	bothSides(t, func(t *testing.T, server bool) {
		run := func(t *testing.T, near, far net.Conn, link net.Conn) {
			smallBuffer(near)
			far.(interface{ SetReadBuffer(int) error }).SetReadBuffer(4 << 10) // else TCP goes on, in small pieces
			filling := fillKernel(t, near)
			f(t, newConn(link, server, nil, o), &farEnd{Conn: far, server: server, filling: filling})
		}
		if server { // once: TCP takes a second to recover
			t.Run("tcp", func(t *testing.T) {
				near, far := tcpPair(t)
				run(t, near, far, near)
			})
		}
		t.Run("unix", func(t *testing.T) {
			near, far := unixPair(t)
			run(t, near, far, near)
		})
		t.Run("wrapped", func(t *testing.T) {
			near, far := unixPair(t) // which is filled faster than TCP
			run(t, near, far, wrappedConn{near})
		})
	})
}

var tlsTestConfigs = sync.OnceValues(tlsConfigs)

// overTLS returns near as a TLS server and far as its client. The handshake is over.
func overTLS(t testing.TB, near, far net.Conn) (server, client *tls.Conn) {
	t.Helper()
	serverConfig, clientConfig := tlsTestConfigs()
	serverConfig = serverConfig.Clone()
	serverConfig.SessionTicketsDisabled = true // nothing follows the handshake
	server, client = tls.Server(near, serverConfig), tls.Client(far, clientConfig)
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// conn returns a connection and its peer, who has the other end.
func (l testLink) conn(t testing.TB, o connOptions) (*Conn, *farEnd) {
	t.Helper()
	near, far := l.pair(t)
	return newConn(near, l.server, nil, o), &farEnd{Conn: far, server: l.server}
}

// fillKernel writes until the kernel has not taken a single byte for a while, since TCP
// sends at its own pace. It returns how many bytes it has taken.
func fillKernel(t testing.TB, near net.Conn) (filling int64) {
	t.Helper()
	for empty, size := 0, 1<<20; empty < 6; {
		near.SetWriteDeadline(time.Now().Add(4 * time.Millisecond))
		n, err := near.Write(make([]byte, size))
		filling += int64(n)
		switch {
		case err != nil && !isTimeout(err):
			t.Fatal(err)
		case n > 0:
			empty = 0
		case size > 1:
			size /= 32
		default:
			empty++
		}
	}
	near.SetWriteDeadline(time.Time{})
	return filling
}

// smallBuffer has the kernel hold little of what is written to nc.
func smallBuffer(nc net.Conn) {
	switch below := nc.(type) {
	case wrappedConn:
		nc = below.Conn
	case *tls.Conn:
		nc = below.NetConn()
	}
	nc.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(16 << 10)
}

// patience is how long the network may take for anything on a machine that is busy.
const patience = 5 * time.Second

// farEnd is the peer of a connection, which speaks frames.
type farEnd struct {
	net.Conn
	server  bool   // the connection, not its peer
	filling int64  // bytes before the first frame
	b       []byte // that have come and are no whole frame yet
}

func (f *farEnd) send(t testing.TB, list ...peerFrame) {
	t.Helper()
	if _, err := f.Write(peerFrames(f.server, list...)); err != nil {
		t.Fatal(err)
	}
}

// drain discards the filling.
func (f *farEnd) drain(t testing.TB) {
	t.Helper()
	f.Conn.(interface{ SetReadBuffer(int) error }).SetReadBuffer(1 << 20)
	f.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.CopyN(io.Discard, f.Conn, f.filling); err != nil {
		t.Fatalf("got %d bytes, %v, want %d that fill the network", n, err, f.filling)
	}
	f.filling = 0
}

// next returns the next frame as cutFrame does, or the error of the network.
func (f *farEnd) next() (string, error) {
	f.SetReadDeadline(time.Now().Add(patience))
	for {
		frame, rest := cutFrame(f.b)
		if frame != "" {
			f.b = rest
			return frame, nil
		}
		if f.b == nil {
			f.b = make([]byte, 0, 64<<10)
		}
		f.b = slices.Grow(f.b, 4096)
		n, err := f.Read(f.b[len(f.b):cap(f.b)])
		f.b = f.b[:len(f.b)+n]
		if err != nil && n == 0 {
			if err == io.EOF && len(f.b) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
}

// want checks that these are the next frames.
func (f *farEnd) want(t testing.TB, reason string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got, err := f.next(); got != w {
			t.Fatalf("%s: got frame %.40q, %v, want %.40q of %.200q", reason, got, err, w, want)
		}
	}
}

// wantAll checks that these are the next frames in any order.
func (f *farEnd) wantAll(t testing.TB, reason string, want ...string) {
	t.Helper()
	missing := slices.Clone(want)
	for len(missing) > 0 {
		got, err := f.next()
		i := slices.Index(missing, got)
		if i < 0 {
			t.Fatalf("%s: got frame %.40q, %v, want one of %.200q", reason, got, err, missing)
		}
		missing = slices.Delete(missing, i, i+1)
	}
}

// cutFrame takes a frame off b, and describes it: "1 a" is a text message; fragments are "01 a"
// and "00 b". It returns "" where there is no whole frame.
func cutFrame(b []byte) (frame string, rest []byte) {
	h, n, err := parseHeader(b)
	if err != nil {
		return fmt.Sprintf("no frame: %v", err), nil
	}
	if n == 0 || int64(len(b)-n) < h.length {
		return "", b
	}
	payload := slices.Clone(b[n : n+int(h.length)])
	if h.masked {
		maskEach(payload, h.key, 0)
	}
	frame = fmt.Sprintf("%d %s", h.opcode, payload)
	if !h.fin {
		frame = "0" + frame
	}
	return frame, b[n+int(h.length):]
}

func textFrame(s string) peerFrame { return peerFrame{true, opText, s} }
func pingFrame(s string) peerFrame { return peerFrame{true, opPing, s} }

// readText reads the next message, and returns an error unless it is the one that is wanted.
func readText(c *Conn, want string) error {
	_, p, err := c.ReadMessage()
	if err == nil && string(p) != want {
		err = fmt.Errorf("got the message %.40q", p)
	}
	return err
}

// wantRead checks the next message of a connection.
func wantRead(t testing.TB, c *Conn, want string) {
	t.Helper()
	if err := readText(c, want); err != nil {
		t.Fatalf("%v, want message %q", err, want)
	}
}

// wantWrite writes a message.
func wantWrite(t testing.TB, c *Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(TextMessage, []byte(text)); err != nil {
		t.Fatalf("message %q: got %v, want nil", text, err)
	}
}

// isWriteTimeout reports whether err is that of a write that has timed out and has done nothing.
func isWriteTimeout(err error) bool {
	var ne net.Error
	return err != nil && err.Error() == "websocket: write timeout" && errors.As(err, &ne) && ne.Timeout()
}

func wantWriteTimeout(t testing.TB, what string, err error) {
	t.Helper()
	if !isWriteTimeout(err) {
		t.Errorf("%s: got %v, want a write timeout", what, err)
	}
}

// within makes a call that must not wait for the network, and returns its error. A call that
// waits is given up.
func within(t testing.TB, what string, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("%s: got no end within %v", what, patience)
		return nil
	}
}
