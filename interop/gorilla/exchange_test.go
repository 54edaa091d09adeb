package gorilla

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	theirs "github.com/gorilla/websocket"
)

// patience is after what time a scenario has failed. None waits for it.
const patience = 30 * time.Second

// exchange is one run of a scenario: a client and a server with a relay between
// them. An end without a library is played by the scenario itself, byte by byte.
type exchange struct {
	t              *testing.T
	client, server *side

	wrapped bool // the libraries do not see that the connections are TCP
	tls     bool // the library's server is one of wss
	stall   *stall

	// What the scenario sets before it connects.
	upgrader       theirs.Upgrader
	dialer         theirs.Dialer
	responseHeader http.Header
	requestHeader  http.Header
	wrap           func(http.ResponseWriter) http.ResponseWriter
	oldUpgrade     bool                         // with the deprecated function
	answer         func(r *http.Request) string // of a raw server

	fragments    bool // the transcript shows where messages are cut
	programsOnly bool // it does not show what goes over the wire

	http       *httptest.Server
	listener   net.Listener // of a raw server
	relay      *relay
	upgraded   chan conn     // by the handler
	answered   chan net.Conn // by a raw server
	done       chan struct{} // closed in the end
	background sync.WaitGroup

	mu      sync.Mutex
	log     map[string][]string // by end
	conns   []io.Closer
	stopped bool
}

func newExchange(t *testing.T, client, server *library) *exchange {
	x := &exchange{
		t:        t,
		upgraded: make(chan conn, 1),
		answered: make(chan net.Conn, 1),
		done:     make(chan struct{}),
		log:      make(map[string][]string),
	}
	x.client = &side{x: x, name: "client", lib: client}
	x.server = &side{x: x, name: "server", lib: server}
	return x
}

// note adds a line to the transcript.
func (x *exchange) note(who, format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.log[who] = append(x.log[who], fmt.Sprintf(format, args...))
}

// fatal is for what can only be the fault of the scenario or the machine.
func (x *exchange) fatal(err error) {
	if err != nil {
		x.t.Helper()
		x.t.Fatal(err)
	}
}

// listen starts the server, unless it runs.
func (x *exchange) listen() {
	if x.relay != nil {
		return
	}
	var target string
	if x.server.lib == nil {
		var err error
		x.listener, err = net.Listen("tcp", "127.0.0.1:0")
		x.fatal(err)
		x.own(x.listener)
		target = x.listener.Addr().String()
	} else {
		x.http = httptest.NewUnstartedServer(http.HandlerFunc(x.serve))
		x.http.Config.ErrorLog = log.New(io.Discard, "", 0)
		if x.wrapped || x.stall != nil {
			x.http.Listener = wrappingListener{x.http.Listener, x.stall}
		}
		if x.tls {
			x.http.StartTLS()
		} else {
			x.http.Start()
		}
		target = x.http.Listener.Addr().String()
	}
	var err error
	x.relay, err = newRelay(target)
	x.fatal(err)
}

// serve is the handler of a library's server.
func (x *exchange) serve(w http.ResponseWriter, r *http.Request) {
	if x.wrap != nil {
		w = x.wrap(w)
	}
	upgrade := x.server.lib.upgrade
	if x.oldUpgrade {
		upgrade = func(_ *theirs.Upgrader, w http.ResponseWriter, r *http.Request, h http.Header) (conn, error) {
			return x.server.lib.oldUpgrade(w, r, h)
		}
	}
	c, err := upgrade(&x.upgrader, w, r, x.responseHeader)
	x.server.note("Upgrade: %s", x.server.lib.describe(err))
	if c != nil {
		x.own(c)
	}
	select {
	case x.upgraded <- c:
	case <-x.done:
	}
}

// wrappedConn is a connection that is not of a type of package net.
type wrappedConn struct{ net.Conn }

type wrappingListener struct {
	net.Listener
	stall *stall
}

func (l wrappingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if l.stall != nil {
		return stalledConn{nc, l.stall}, err
	}
	return wrappedConn{nc}, err
}

// stall holds up a write: its bytes have gone, but it does not return yet.
type stall struct {
	armed   atomic.Bool // the next write is the one
	begun   chan struct{}
	release chan struct{}
}

type stalledConn struct {
	net.Conn
	stall *stall
}

func (c stalledConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.stall.armed.CompareAndSwap(true, false) {
		close(c.stall.begun)
		<-c.stall.release
	}
	return n, err
}

// url is where a client connects to.
func (x *exchange) url() string {
	scheme := "ws"
	if x.tls {
		scheme = "wss"
	}
	return scheme + "://" + x.relay.Addr().String() + "/path?query"
}

// connect connects the two ends, in one of four ways.
func (x *exchange) connect() {
	x.t.Helper()
	if !x.handshake() {
		x.t.Fatalf("no connection: %v", x.log)
	}
}

// handshake is connect for a handshake that may fail.
func (x *exchange) handshake() bool {
	x.t.Helper()
	x.listen()
	if x.client.lib == nil {
		x.rawRequest(request())
		return x.server.conn != nil
	}
	if x.server.lib == nil {
		x.background.Add(1)
		go x.rawAnswer() // ends with the connection, or its listener
		x.dial(x.url())
		if x.client.conn != nil {
			x.awaitAnswer()
		}
		return x.client.conn != nil
	}
	x.background.Add(1)
	go func() { // ends with the handshake
		defer x.background.Done()
		x.server.conn = x.accepted()
	}()
	x.dial(x.url())
	x.background.Wait()
	return x.client.conn != nil && x.server.conn != nil
}

// awaitAnswer waits until the raw server has answered.
func (x *exchange) awaitAnswer() {
	select {
	case x.server.raw = <-x.answered:
	case <-x.done:
	}
}

// own has c closed in the end.
func (x *exchange) own(c io.Closer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.conns = append(x.conns, c)
	if x.stopped {
		c.Close()
	}
}

// dial has the client's library connect.
func (x *exchange) dial(url string) {
	if x.wrapped && x.dialer.NetDial == nil && x.dialer.NetDialContext == nil {
		x.dialer.NetDial = func(network, addr string) (net.Conn, error) {
			nc, err := net.Dial(network, addr)
			return wrappedConn{nc}, err
		}
	}
	lib := x.client.lib
	c, resp, err := lib.dial(context.Background(), &x.dialer, url, x.requestHeader)
	x.client.dialed(c, resp, err)
}

// accepted is the connection that the server's library has made of a request, or nil.
func (x *exchange) accepted() conn {
	select {
	case c := <-x.upgraded:
		if c != nil {
			x.server.note("Subprotocol: %q", c.Subprotocol())
		}
		return c
	case <-x.done:
		return nil
	}
}

// request is a client's opening handshake with further fields.
func request(fields ...string) string {
	r := "GET /path HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	for _, field := range fields {
		r += field + "\r\n"
	}
	return r + "\r\n"
}

// rawRequest sends a request, and what follows it, in one piece, and waits for the answer.
func (x *exchange) rawRequest(request string) {
	x.t.Helper()
	x.listen()
	nc, err := net.Dial("tcp", x.relay.Addr().String())
	x.fatal(err)
	x.own(nc)
	x.client.raw = nc
	x.client.sendRaw(request)
	br := bufio.NewReader(nc)
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		x.note("client", "no response: %s", withoutAddress(err.Error()))
		nc.Close()
	} else if resp.StatusCode != http.StatusSwitchingProtocols {
		_, err := io.Copy(io.Discard, resp.Body)
		x.fatal(err)
		nc.Close() // or the server would wait for another request
	}
	go discard(nc) // ends when one of the ends closes
	x.server.conn = x.accepted()
}

// rawAnswer answers a request with what x.answer returns, and the one behind a CONNECT.
func (x *exchange) rawAnswer() {
	defer x.background.Done()
	nc, err := x.listener.Accept()
	if err != nil {
		return
	}
	x.own(nc)
	br := bufio.NewReader(nc)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			nc.Close()
			return
		}
		answer := switching(r)
		if x.answer != nil {
			answer = x.answer(r)
		}
		_, _ = nc.Write([]byte(answer))
		if strings.Contains(answer, " 101 ") && strings.Contains(answer, "\r\n\r\n") {
			break
		}
		if r.Method != http.MethodConnect {
			_ = nc.(*net.TCPConn).CloseWrite() // the end of the body
			break
		}
	}
	x.answered <- nc
	discard(nc)
}

// switching is a server's answer that completes the handshake.
func switching(r *http.Request) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + accept(r.Header.Get("Sec-Websocket-Key")) + "\r\n\r\n"
}

// stop closes everything.
func (x *exchange) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stopped {
		return
	}
	x.stopped = true
	close(x.done)
	for _, c := range x.conns {
		c.Close()
	}
}

// stopEnds closes the connection, so that the scenario can make another.
func (x *exchange) stopEnds() {
	x.client.conn.Close()
	x.server.conn.Close()
}

// finish stops, and waits for everything to end.
func (x *exchange) finish() {
	x.stop()
	x.background.Wait()
	if x.relay != nil {
		x.relay.wait()
	}
	if x.http != nil {
		x.http.Close()
	}
}

// transcript is all that has happened, end by end, and is for the time after finish.
func (x *exchange) transcript() string {
	var b strings.Builder
	for _, who := range []string{"client", "server"} {
		for _, line := range x.log[who] {
			fmt.Fprintf(&b, "%s: %s\n", who, line)
		}
	}
	if x.relay == nil || x.programsOnly {
		return b.String()
	}
	for _, l := range x.relay.links {
		client, server := l.lines(x.fragments)
		for _, line := range client {
			fmt.Fprintf(&b, "client sends: %s\n", line)
		}
		for _, line := range server {
			fmt.Fprintf(&b, "server sends: %s\n", line)
		}
	}
	return b.String()
}
