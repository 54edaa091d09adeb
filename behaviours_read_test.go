//go:build go1.25

package websocket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bhReads are the ways to read a message. With an error they return what had come of
// the message, and -1 for its type where there was none.
var bhReads = []struct {
	name string
	read func(*Conn) (messageType int, p []byte, err error)
}{
	{"ReadMessage", (*Conn).ReadMessage},
	{"NextReader and Read", func(c *Conn) (messageType int, p []byte, err error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		p, err = io.ReadAll(r)
		return messageType, p, err
	}},
}

// "End of file anywhere is *CloseError{1006, "unexpected EOF"}, text `websocket: close
// 1006 (abnormal closure): unexpected EOF`, never io.EOF. In the middle of a message
// ReadMessage returns the part, its type and the error."
func TestBehaviourEndOfFile(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		first, second := bhFrame(server, 0x81, "one"), bhFrame(server, 0x02, "two")
		all := append(append([]byte{}, first...), append(second, bhFrame(server, 0x80, "more")...)...)
		header := len(first) - len("one")
		for cut := range all {
			for _, way := range bhReads {
				c, wire := newTestConn(t, server)
				wire.Write(all[:cut])
				wire.Close()
				where := fmt.Sprintf("%s after %d bytes", way.name, cut)
				messageType, p, err := way.read(c)
				wantType, want := noMessage, ""
				if cut >= header {
					wantType, want = TextMessage, "one"[:min(cut-header, len("one"))]
				}
				if cut >= len(first) {
					if messageType != TextMessage || string(p) != "one" || err != nil {
						t.Errorf("%s: got type %d, %q and error %v, want one", where, messageType, p, err)
					}
					messageType, p, err = way.read(c)
					rest := cut - len(first)
					wantType, want = noMessage, ""
					if rest >= header {
						wantType, want = BinaryMessage, "twomore"[:min(rest-header, 3)+min(max(rest-len(second)-header, 0), 4)]
					}
				}
				if messageType != wantType || string(p) != want {
					t.Errorf("%s: got type %d and %q, want %d and %q", where, messageType, p, wantType, want)
				}
				e, ok := err.(*CloseError)
				if !ok || *e != (CloseError{1006, "unexpected EOF"}) || err.Error() != "websocket: close 1006 (abnormal closure): unexpected EOF" {
					t.Errorf("%s: got %T %v, want close 1006", where, err, err)
				}
				if errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: got %v, want io.ErrUnexpectedEOF to be found", where, err)
				}
			}
		}
	})
}

// bhEachConn runs f on a connection over each kind of network connection, with the
// connection that plays its peer.
func bhEachConn(t *testing.T, f func(t *testing.T, c, peer *Conn)) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		f(t, newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{}))
	})
	t.Run("TLS", func(t *testing.T) {
		certified := httptest.NewTLSServer(http.NotFoundHandler())
		defer certified.Close()
		near, far := tcpPair(t)
		config := hsTLSConfig(certified)
		config.ServerName = "example.com"
		client := tls.Client(far, config)
		done := make(chan error)
		go func() { done <- client.Handshake() }()
		server := tls.Server(near, &tls.Config{Certificates: certified.TLS.Certificates})
		if err := errors.Join(server.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		f(t, newConn(server, true, nil, connOptions{}), newConn(client, false, nil, connOptions{}))
	})
}

// "After Close the error satisfies errors.Is(err, net.ErrClosed) and says 'use of closed
// network connection'." "Close closes the network connection, sends nothing, and wakes
// blocked readers."
func TestBehaviourReadAfterClose(t *testing.T) {
	bhEachConn(t, func(t *testing.T, c, peer *Conn) {
		inRead := make(chan struct{})
		c.SetPingHandler(func(string) error {
			close(inRead)
			return nil
		})
		done := make(chan error)
		go func() {
			_, _, err := c.ReadMessage()
			done <- err
		}()
		if err := peer.WriteControl(PingMessage, nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
		<-inRead // from now on it waits, or is about to
		if err := c.Close(); err != nil {
			t.Errorf("got error %v from Close, want none", err)
		}
		first := <-done
		if !errors.Is(first, net.ErrClosed) || !strings.Contains(first.Error(), "use of closed network connection") {
			t.Errorf("got %v, want net.ErrClosed", first)
		}
		for _, way := range bhReads {
			if _, _, err := way.read(c); err != first {
				t.Errorf("%s: got %v, want the same error", way.name, err)
			}
		}
		peer.SetReadDeadline(time.Now().Add(hsPatience))
		if _, _, err := peer.ReadMessage(); !IsCloseError(err, CloseAbnormalClosure) {
			t.Errorf("got %v at the peer, want the end without a Close frame", err)
		}
	})
}

// The same where nobody was reading when Close was called.
func TestBehaviourReadThatBeginsAfterClose(t *testing.T) {
	bhEachConn(t, func(t *testing.T, c, peer *Conn) {
		if err := peer.WriteMessage(TextMessage, []byte("unread")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		_, _, err := c.ReadMessage()
		if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "use of closed network connection") {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
	})
}

// "Read errors stay: every later read returns the same error." Another library panics
// at the 1,000th.
func TestBehaviourReadErrorsStay(t *testing.T) {
	mine := errors.New("mine")
	for _, tt := range []struct {
		name string
		end  func(c *Conn, wire *pipeConn)
		want string
	}{
		{"the peer closes", func(c *Conn, wire *pipeConn) { wire.Write(bhFrame(false, 0x88, "\x03\xe9bye")) }, "websocket: close 1001 (going away): bye"},
		{"end", func(c *Conn, wire *pipeConn) { wire.Close() }, "websocket: close 1006 (abnormal closure): unexpected EOF"},
		{"Close", func(c *Conn, wire *pipeConn) { c.Close() }, "read pipe pipe->pipe: use of closed network connection"},
		{"protocol error", func(c *Conn, wire *pipeConn) { wire.Write(unhex(t, "c1 00")) }, "websocket: reserved bit RSV1 is set"},
		{"limit", func(c *Conn, wire *pipeConn) { c.SetReadLimit(2); wire.Write(bhFrame(false, 0x81, "abc")) }, "websocket: read limit exceeded"},
		{"handler", func(c *Conn, wire *pipeConn) {
			c.SetPongHandler(func(string) error { return mine })
			wire.Write(bhFrame(false, 0x8a, ""))
		}, "mine"},
	} {
		c, wire := newTestConn(t, false)
		tt.end(c, wire)
		wire.Write(bhFrame(false, 0x81, "later"))
		wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
		_, _, err := c.ReadMessage()
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
			continue
		}
		c.send.awaitFlush() // an answer, if any, has left
		wire.take()
		for i := range 1500 {
			for _, way := range bhReads {
				if messageType, p, again := way.read(c); again != err || messageType != noMessage || len(p) > 0 {
					t.Fatalf("%s: read %d with %s: got type %d, %q and error %v, want -1 and the same error", tt.name, i, way.name, messageType, p, again)
				}
			}
		}
		c.wantNothingSent(t, wire, "a read that repeats its error")
	}
}

// bhGoroutine is the number of the goroutine that calls it.
func bhGoroutine() string {
	var b [64]byte
	return strings.Fields(string(b[:runtime.Stack(b[:], false)]))[1]
}

// "Handlers run on the reading goroutine, inside NextReader, ReadMessage or Read. A
// handler's error becomes the read's error."
func TestBehaviourHandlersRunInsideTheRead(t *testing.T) {
	mine := errors.New("mine")
	for name, frame := range map[string]string{"ping": "\x89p", "pong": "\x8ap", "close": "\x88\x03\xe8p"} {
		for _, within := range []string{"ReadMessage", "NextReader", "Read", "NextReader that discards"} {
			c, wire := newTestConn(t, true)
			calls, inside := 0, false
			me := bhGoroutine()
			handler := func(payload string) error {
				calls++
				if got := bhGoroutine(); got != me || !inside {
					t.Errorf("%s in %s: got goroutine %s, inside %v, want %s in the read", name, within, got, inside, me)
				}
				if payload != "p" {
					t.Errorf("%s in %s: got %q, want p", name, within, payload)
				}
				return mine
			}
			c.SetPingHandler(handler)
			c.SetPongHandler(handler)
			c.SetCloseHandler(func(code int, text string) error { return handler(text) })

			var r io.Reader
			if within == "Read" || within == "NextReader that discards" {
				wire.Write(bhFrame(true, 0x01, "part"))
				_, r, _ = c.NextReader()
			}
			wire.Write(bhFrame(true, frame[0], frame[1:]))
			wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
			inside = true
			var err error
			switch within {
			case "ReadMessage":
				_, _, err = c.ReadMessage()
			case "Read":
				var p []byte
				if p, err = io.ReadAll(r); string(p) != "part" {
					t.Errorf("%s in %s: got %q before the error, want part", name, within, p)
				}
			default:
				_, _, err = c.NextReader()
			}
			inside = false
			if err != mine || calls != 1 {
				t.Errorf("%s in %s: got error %v after %d calls, want the handler's after 1", name, within, err, calls)
			}
			if _, _, again := c.ReadMessage(); again != mine || calls != 1 {
				t.Errorf("%s in %s: got error %v after %d calls later, want the handler's, and no call", name, within, again, calls)
			}
			c.wantNothingSent(t, wire, "the handler has not answered")
		}
	}
}

// "Programs call SetReadDeadline inside the pong handler": so does everyone who has
// copied the usual keepalive loop.
func TestBehaviourDeadlineInPongHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := newConnPair(t)
		const pongWait, pingPeriod = 60 * time.Second, 54 * time.Second
		server.SetReadDeadline(time.Now().Add(pongWait))
		server.SetPongHandler(func(string) error {
			return server.SetReadDeadline(time.Now().Add(pongWait))
		})
		go client.ReadMessage() // answers pings
		start := time.Now()
		go func() {
			for range 10 {
				time.Sleep(pingPeriod)
				server.WriteControl(PingMessage, nil, time.Now().Add(time.Second))
			}
		}()
		_, _, err := server.ReadMessage()
		if got, want := time.Since(start), 10*pingPeriod+pongWait; !isTimeout(err) || got != want {
			t.Errorf("got %v after %v, want a timeout after %v", err, got, want)
		}
		client.Close()
	})
}

// "A Close frame received: ... the reply echoes the code and drops the text", and then,
// as after every Close frame that was sent, "every write returns ErrCloseSent (==)".
func TestBehaviourWriteAfterTheAnswerToAClose(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		wire.Write(bhFrame(server, 0x88, "\x0f\xa0bye"))
		_, _, err := c.ReadMessage()
		if e, ok := err.(*CloseError); !ok || *e != (CloseError{4000, "bye"}) {
			t.Errorf("got %T %v, want close 4000 bye", err, err)
		}
		wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=%v %q", !server, "\x0f\xa0"))
		if err := c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
			t.Errorf("got %v, want ErrCloseSent", err)
		}
		if err := c.WriteControl(CloseMessage, nil, time.Time{}); err != ErrCloseSent {
			t.Errorf("got %v, want ErrCloseSent", err)
		}
		c.wantNothingSent(t, wire, "nothing follows a Close frame")
	})
}
