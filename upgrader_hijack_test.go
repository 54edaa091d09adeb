//go:build go1.25

package websocket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hsListener hands out connections of the test's.
type hsListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newHSListener() *hsListener {
	return &hsListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *hsListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *hsListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *hsListener) Addr() net.Addr { return pipeAddr{} }

// hsWriteLog is a connection that keeps what each Write was given.
type hsWriteLog struct {
	net.Conn
	mu     sync.Mutex
	writes []string
}

func (c *hsWriteLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, string(p))
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// hsWriteLogListener wraps every connection in an hsWriteLog.
type hsWriteLogListener struct {
	net.Listener
	conns chan *hsWriteLog
}

func (l hsWriteLogListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &hsWriteLog{Conn: nc}
	l.conns <- c
	return c, nil
}

// The answer leaves in one piece, however long: half of one is of no use to anybody.
func TestUpgradeAnswersInOneWrite(t *testing.T) {
	for _, size := range []int{0, 10_000} {
		var u Upgrader
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, http.Header{"X": {strings.Repeat("x", size)}})
			if err != nil {
				t.Errorf("got error %v, want a connection", err)
				return
			}
			c.Close()
		}))
		conns := make(chan *hsWriteLog, 1)
		srv.Listener = hsWriteLogListener{srv.Listener, conns}
		srv.Start()
		hsDial(t, Dialer{}, srv.URL)
		srv.Close()
		c := <-conns
		c.mu.Lock()
		if len(c.writes) != 1 || !strings.HasPrefix(c.writes[0], "HTTP/1.1 101 ") || !strings.HasSuffix(c.writes[0], "\r\n\r\n") {
			t.Errorf("got writes %.100q, want the answer in one", c.writes)
		}
		c.mu.Unlock()
	}
}

// A client may send frames before it has the answer. They are not lost, wherever
// net/http has cut them.
func TestUpgradeKeepsEarlyFrames(t *testing.T) {
	request := "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	early := strings.Repeat(hsMaskedHello, 1000) // more than net/http's buffer holds
	for _, n := range []int{1, 2, 6, len(hsMaskedHello), 2*len(hsMaskedHello) + 3, len(early)} {
		addr, _ := hsServe(t, Upgrader{})
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(hsPatience))
		go func() {
			io.WriteString(nc, request+early[:n])
			io.WriteString(nc, early[n:]+hsMaskedClose)
		}()
		br := bufio.NewReader(nc)
		hsReadAnswer(t, br, http.MethodGet)
		want := strings.Repeat(hsHello, 1000) + hsClose
		if rest, err := io.ReadAll(br); string(rest) != want || err != nil {
			t.Errorf("%d bytes with the request: got %d bytes %.20q and error %v, want %d", n, len(rest), rest, err, len(want))
		}
	}
}

// What is left in the hijacked reader is the beginning of the first message, and a
// copy: net/http and middlewares use their buffers again.
func TestUpgradeCopiesEarlyBytes(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	buffered := []byte(hsMaskedHello[:7])
	far.Write(buffered)
	br := bufio.NewReaderSize(near, 16)
	held, _ := br.Peek(len(buffered))
	c, err := new(Upgrader).Upgrade(&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near, br: br}, hsRequest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(held)
	io.WriteString(far, hsMaskedHello[7:])
	if _, p, err := c.ReadMessage(); string(p) != "Hello" || err != nil {
		t.Errorf("got %q and error %v, want Hello", p, err)
	}
}

// hsDeadlines is a connection that keeps which deadlines it was given.
type hsDeadlines struct {
	net.Conn
	read, write []time.Time
	writing     time.Time // the write deadline at the first Write
	wrote       bool
}

func (c *hsDeadlines) SetDeadline(t time.Time) error {
	c.read, c.write = append(c.read, t), append(c.write, t)
	return c.Conn.SetDeadline(t)
}

func (c *hsDeadlines) SetReadDeadline(t time.Time) error {
	c.read = append(c.read, t)
	return c.Conn.SetReadDeadline(t)
}

func (c *hsDeadlines) SetWriteDeadline(t time.Time) error {
	c.write = append(c.write, t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *hsDeadlines) Write(p []byte) (int, error) {
	if !c.wrote {
		c.writing, c.wrote = hsLast(c.write), true
	}
	return c.Conn.Write(p)
}

// hsLast returns the deadline that was set last; one that is not zero if there is none.
func hsLast(deadlines []time.Time) time.Time {
	if len(deadlines) == 0 {
		return time.Unix(1, 0)
	}
	return deadlines[len(deadlines)-1]
}

// Whatever deadlines a connection has when it is hijacked, it has none afterwards.
func TestUpgradeClearsDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, timeout := range []time.Duration{0, time.Minute} {
			near, far := newPipe(t, 1<<20)
			c := &hsDeadlines{Conn: near}
			near.SetDeadline(time.Now().Add(time.Second))
			u := Upgrader{HandshakeTimeout: timeout}
			conn, err := u.Upgrade(&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: c}, hsRequest(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var want time.Time
			if timeout > 0 {
				want = time.Now().Add(timeout)
			}
			if !c.writing.Equal(want) {
				t.Errorf("got deadline %v for writing the answer, want %v", c.writing, want)
			}
			if r, w := hsLast(c.read), hsLast(c.write); !r.IsZero() || !w.IsZero() {
				t.Errorf("got read deadline %v and write deadline %v after the handshake, want none", r, w)
			}
			time.Sleep(time.Hour)
			far.take()
			io.WriteString(far, hsMaskedHello)
			if _, p, err := conn.ReadMessage(); string(p) != "Hello" || err != nil {
				t.Errorf("got %q and error %v after an hour, want Hello", p, err)
			}
			if err := conn.WriteMessage(TextMessage, []byte("Hello")); err != nil {
				t.Errorf("got error %v of a write after an hour, want none", err)
			}
			if got := string(far.take()); got != hsHello {
				t.Errorf("got %q, want %q", got, hsHello)
			}
		}
	})
}

// The server's timeouts are for requests. A connection outlives them all.
func TestUpgradeOutlivesServerTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u Upgrader
		srv := &http.Server{
			ReadTimeout: 5 * time.Second, ReadHeaderTimeout: 4 * time.Second, WriteTimeout: 6 * time.Second, IdleTimeout: 3 * time.Second,
			Handler: u.HandlerFunc(func(c *Conn, _ *http.Request) { hsEcho(c) }),
		}
		l := newHSListener()
		go srv.Serve(l)
		defer srv.Close()
		near, far := newPipe(t, 1<<20)
		l.conns <- near
		d := Dialer{NetDial: func(string, string) (net.Conn, error) { return far, nil }}
		c, _, err := d.Dial("ws://a.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 3 {
			time.Sleep(time.Hour)
			hsWantEcho(t, c, "Hello")
		}
	})
}

// A client that does not read its answer is left after HandshakeTimeout, with its
// connection closed; the error is the network's.
func TestAttackUnreadAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 10)
		u := Upgrader{HandshakeTimeout: 7 * time.Second}
		start := time.Now()
		rec := httptest.NewRecorder()
		c, err := u.Upgrade(&hsHijacker{ResponseRecorder: rec, conn: near}, hsRequest(), nil)
		if c != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got connection %v and error %v, want a timeout", c, err)
		}
		if _, ok := err.(HandshakeError); ok {
			t.Error("got a HandshakeError, want one of the network")
		}
		if d := time.Since(start); d != u.HandshakeTimeout {
			t.Errorf("got %v of waiting, want %v", d, u.HandshakeTimeout)
		}
		far.take()
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got error %v at the client, want the end", err)
		}
		if rec.Body.Len() > 0 {
			t.Errorf("got %q written to the ResponseWriter behind the hijack, want nothing", rec.Body)
		}
	})
}

// An answer that cannot be written ends the connection.
func TestUpgradeWriteError(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	far.Close()
	c, err := new(Upgrader).Upgrade(&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, hsRequest(), nil)
	if c != nil || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got connection %v and error %v, want %v", c, err, io.ErrClosedPipe)
	}
	if _, err := near.Read(make([]byte, 1)); err != net.ErrClosed {
		t.Errorf("got error %v of a read, want the connection closed", err)
	}
}

// A request that comes one byte a second is net/http's to end, and it does where the
// server has a ReadHeaderTimeout: the handler is not reached, and nothing is left.
func TestAttackSlowRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &http.Server{
			ReadHeaderTimeout: 10 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				t.Error("the handler was reached, want the request to be cut off")
			}),
		}
		l := newHSListener()
		go srv.Serve(l)
		defer srv.Close()
		near, far := newPipe(t, 1<<20)
		l.conns <- near
		start := time.Now()
		for c := range strings.SplitSeq("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n", "") {
			if _, err := io.WriteString(far, c); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(start).Round(time.Second); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("got an end after %v, want one after 10s", d)
		}
	})
}

// The header that net/http hands out is not changed by the handshake.
func TestUpgradeLeavesTheRequestAlone(t *testing.T) {
	r := hsRequest()
	r.Header["Sec-Websocket-Protocol"] = []string{"a, b"}
	before := r.Header.Clone()
	spelled := "set-cookie" // by the program
	header := http.Header{spelled: {"a=b\r\n"}}
	hsUpgradeOver(t, Upgrader{}, r, header)
	for name, values := range before {
		if !slices.Equal(r.Header[name], values) {
			t.Errorf("got %s: %q, want %q", name, r.Header[name], values)
		}
	}
	if len(r.Header) != len(before) || len(header) != 1 || header[spelled][0] != "a=b\r\n" {
		t.Errorf("got %q and %q, want nothing added", r.Header, header)
	}
}
