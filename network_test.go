//go:build go1.25

package websocket

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipeConn is one end of a network connection in memory. Unlike net.Pipe's it has a
// buffer in each direction, as the kernel's has, so that a peer need not be reading
// for a write to succeed. Under synctest its waits are durably blocked.
type pipeConn struct{ in, out *pipeHalf }

// newPipe returns both ends. Each direction holds up to size bytes.
func newPipe(t testing.TB, size int) (a, b *pipeConn) {
	ab, ba := newPipeHalf(size), newPipeHalf(size)
	a, b = &pipeConn{in: ba, out: ab}, &pipeConn{in: ab, out: ba}
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// pipeHalf is one direction.
type pipeHalf struct {
	mu                sync.Mutex
	change            *sync.Cond
	data              []byte
	size              int
	readEnd, writeEnd pipeEnd
	writes            int // calls of Write
	writeDeadlines    int // calls of SetWriteDeadline
}

type pipeEnd struct {
	closed   bool
	timedOut bool
	timer    *time.Timer
}

// readClosed reports whether the end that reads is closed.
func (h *pipeHalf) readClosed() (closed bool) {
	h.set(func(h *pipeHalf) { closed = h.readEnd.closed })
	return closed
}

// writeClosed reports whether the end that writes is closed.
func (h *pipeHalf) writeClosed() (closed bool) {
	h.set(func(h *pipeHalf) { closed = h.writeEnd.closed })
	return closed
}

func newPipeHalf(size int) *pipeHalf {
	h := &pipeHalf{size: size}
	h.change = sync.NewCond(&h.mu)
	return h
}

func (c *pipeConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readEnd.closed:
			return 0, net.ErrClosed
		case h.readEnd.timedOut:
			return 0, os.ErrDeadlineExceeded
		case len(h.data) > 0:
			n := copy(p, h.data)
			h.data = h.data[n:]
			h.change.Broadcast()
			return n, nil
		case h.writeEnd.closed:
			return 0, io.EOF
		}
		h.change.Wait()
	}
}

func (c *pipeConn) Write(p []byte) (n int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes++
	for {
		switch {
		case h.writeEnd.closed:
			return n, net.ErrClosed
		case h.writeEnd.timedOut:
			return n, os.ErrDeadlineExceeded
		case h.readEnd.closed:
			return n, io.ErrClosedPipe
		}
		m := min(len(p), h.size-len(h.data))
		h.data = append(h.data, p[:m]...)
		n += m
		h.change.Broadcast()
		if p = p[m:]; len(p) == 0 {
			return n, nil
		}
		h.change.Wait()
	}
}

func (c *pipeConn) Close() (err error) {
	c.in.set(func(h *pipeHalf) {
		if h.readEnd.closed {
			err = net.ErrClosed
		}
		h.readEnd.closed = true
	})
	c.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
	return err
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.set(func(h *pipeHalf) { h.setDeadline(&h.readEnd, t) })
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func(h *pipeHalf) {
		h.writeDeadlines++
		h.setDeadline(&h.writeEnd, t)
	})
	return nil
}

func (c *pipeConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (h *pipeHalf) set(change func(*pipeHalf)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
	h.change.Broadcast()
}

func (h *pipeHalf) setDeadline(end *pipeEnd, t time.Time) {
	if end.timer != nil {
		end.timer.Stop()
		end.timer = nil // one that runs already is not for this deadline
	}
	end.timedOut = !t.IsZero() && !time.Now().Before(t)
	if t.IsZero() || end.timedOut {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(t), func() {
		h.set(func(h *pipeHalf) { end.timedOut = end.timedOut || end.timer == timer })
	})
	end.timer = timer
}

// room gives the network from the other end to far space for so many bytes.
func room(far *pipeConn, size int) {
	far.in.set(func(h *pipeHalf) { h.size = size })
}

// take returns the bytes that were written to the other end and not read yet.
func (c *pipeConn) take() (b []byte) {
	c.in.set(func(h *pipeHalf) { b, h.data = h.data, nil })
	return b
}

// takeFrames is take that waits until what it returns has n whole frames: those that no caller
// waits for, such as a pong, leave when the flusher has its turn. If they do not come, it returns
// what there is. In a testing/synctest bubble no time passes for frames that are on their way.
func (c *pipeConn) takeFrames(n int) (b []byte) {
	limit := 10 * time.Second
	if inBubble() {
		limit = 1 // passes as soon as nothing else can happen
	}
	over := false
	timer := time.AfterFunc(limit, func() { c.in.set(func(*pipeHalf) { over = true }) })
	defer timer.Stop()
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		b = append(b, h.data...)
		h.data = nil
		h.change.Broadcast()
		if frames, _ := cutFrames(b); len(frames) >= n || over || h.writeEnd.closed {
			return b
		}
		h.change.Wait()
	}
}

// inBubble reports whether the goroutine is in a testing/synctest bubble, whose clock starts at
// the year 2000.
func inBubble() bool { return time.Now().Before(time.Unix(1_000_000_000, 0)) }

// acquireFlushed acquires the lock once it is free, so that frames in the outbox or the slot are
// corked, or have been forgotten.
func (s *send) acquireFlushed() {
	for !s.lock.tryAcquire(modeFlush) {
		s.lock.acquire(modeFlush, nil, &limit{})
		s.unlock() // with the frames in the slot, which the flusher may have left to others
	}
}

// awaitFlush waits until the frames have left that no caller waits for, unless they are corked.
func (s *send) awaitFlush() {
	s.acquireFlushed()
	s.unlock()
}

// wantNothingUnsent checks that nothing waits to be sent, and that there is no memory for it.
func (c *Conn) wantNothingUnsent(t testing.TB) {
	t.Helper()
	s := &c.send
	s.acquireFlushed()
	defer s.unlock()
	if s.hasUnsent() || s.outbox.buf != nil {
		t.Error("something lies in the outbox or the slot, or there is memory for it")
	}
}

// wantNothingSent checks that c has sent nothing since the peer has looked last, and that nothing
// is on its way.
func (c *Conn) wantNothingSent(t testing.TB, peer *pipeConn, why string) {
	t.Helper()
	c.wantNothingUnsent(t)
	if b := peer.take(); len(b) > 0 {
		t.Errorf("got % x, want nothing: %s", b, why)
	}
}

// newConnPair returns two connections with each other.
func newConnPair(t testing.TB) (server, client *Conn) {
	a, b := newPipe(t, 1<<20)
	return newConn(a, true, nil, connOptions{}), newConn(b, false, nil, connOptions{})
}

// newTestConn returns a connection and the other end of its transport.
func newTestConn(t testing.TB, server bool) (*Conn, *pipeConn) {
	a, b := newPipe(t, 1<<20)
	return newConn(a, server, nil, connOptions{}), b
}

// bothSides runs a test for a server and for a client.
func bothSides(t *testing.T, f func(t *testing.T, server bool)) {
	t.Run("server", func(t *testing.T) { f(t, true) })
	t.Run("client", func(t *testing.T) { f(t, false) })
}

// network is what a connection is on, in memory and in simulated time.
type network struct {
	size    int                           // what it takes before the peer reads, in each direction; 1 GiB if it is zero
	wrap    func(near *pipeConn) net.Conn // unless it is nil
	tls     bool
	manual  bool // the peer reads what the test looks at, and else all that comes, at once
	options connOptions
}

// bubble is a connection on a network, and the peer's end. What the network does not take stays with the connection.
type bubble struct {
	*testing.T
	network
	c      *Conn
	server bool // c is one
	start  time.Time
	far    net.Conn  // the peer's end
	pipe   *pipeConn // below TLS, or the same
	r      io.Reader // of a message that the program is reading

	mu       sync.Mutex
	arrivals []string // frames that have come to the peer, as cutFrame describes them
	b        []byte   // that have come and are no whole frame yet
	end      error    // of what comes
}

// eachBubble runs f for a server and a client over memory, without and with TLS.
func eachBubble(t *testing.T, o connOptions, f func(b *bubble)) {
	tlsTestConfigs() // outside
	bothSides(t, func(t *testing.T, server bool) {
		t.Run("pipe", func(t *testing.T) { network{options: o}.runSide(t, server, f) })
		t.Run("tls", func(t *testing.T) { network{options: o, tls: true}.runSide(t, server, f) })
	})
}

// eachPipe runs f for a server and a client over memory, where it can be told how much of a write
// has left: not over TLS.
func eachPipe(t *testing.T, o connOptions, f func(b *bubble)) { network{options: o}.run(t, f) }

// run runs f for a server and a client.
func (n network) run(t *testing.T, f func(b *bubble)) {
	bothSides(t, func(t *testing.T, server bool) { n.runSide(t, server, f) })
}

func (n network) runSide(t *testing.T, server bool, f func(b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Hour) }) // in the end, for goroutines of a test that has failed
		pipe, far := newPipe(t, cmp.Or(n.size, 1<<30))
		b := &bubble{T: t, network: n, server: server, start: time.Now(), far: far, pipe: far}
		var near net.Conn = pipe
		if n.wrap != nil {
			near = n.wrap(pipe)
		}
		if n.tls {
			near, b.far = overTLS(t, near, far)
		}
		b.c = newConn(near, server, nil, n.options)
		t.Cleanup(func() { b.c.Close() })
		if !n.manual {
			go b.receive()
		}
		f(b)
	})
}

// receive takes what comes, until the network connection ends or the peer is to read nothing.
func (b *bubble) receive() {
	p := make([]byte, 64<<10)
	for {
		n, err := b.far.Read(p)
		b.came(p[:n], err)
		if err != nil {
			return
		}
	}
}

// came notes what has come, and the error behind it.
func (b *bubble) came(p []byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	frames, rest := cutFrames(append(b.b, p...))
	b.arrivals, b.b = append(b.arrivals, frames...), rest
	if err != nil && !isTimeout(err) {
		b.end = err
	}
}

// take returns the frames that have come since the last call.
func (b *bubble) take() []string {
	synctest.Wait()
	for b.manual {
		p := b.pipe.take()
		if len(p) == 0 {
			break
		}
		b.came(p, nil)
		synctest.Wait() // there is room for more
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.arrivals
	b.arrivals = nil
	return list
}

// want checks the frames that have come since they were looked at last.
func (b *bubble) want(reason string, want ...string) {
	b.Helper()
	if got := b.take(); !slices.Equal(got, want) {
		b.Fatalf("%s: got the frames %.300q, want %.300q", reason, got, want)
	}
}

// wantEnd checks that the network connection ends behind the last frame.
func (b *bubble) wantEnd() {
	b.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end != io.EOF || len(b.b) > 0 {
		b.Errorf("got %d bytes behind the frames, and then %v, want the end", len(b.b), b.end)
	}
}

// send has frames of the peer come.
func (b *bubble) send(list ...peerFrame) {
	b.Helper()
	if _, err := b.far.Write(peerFrames(b.server, list...)); err != nil {
		b.Fatal(err)
	}
}

// sendRaw has frames of the peer come, each of which is a first byte and a payload.
func (b *bubble) sendRaw(frames ...string) {
	b.Helper()
	for _, f := range frames {
		if _, err := b.far.Write(rawFrame(b.server, f)); err != nil {
			b.Fatal(err)
		}
	}
}

// byBytes has bytes of the peer come one by one. Before each of them and behind the last, read is called with a
// deadline until it returns an error, which is to be the timeout.
func (b *bubble) byBytes(in []byte, read func() error) {
	b.Helper()
	for i := range len(in) + 1 {
		b.c.SetReadDeadline(time.Now().Add(time.Millisecond))
		err := read()
		for err == nil {
			err = read()
		}
		wantTimeout(b.T, err)
		b.far.Write(in[i:min(i+1, len(in))])
	}
	b.c.SetReadDeadline(time.Time{})
}

// room lets the network take so many bytes more, and the peer read nothing until open.
func (b *bubble) room(n int) {
	synctest.Wait() // the peer has read all
	b.pipe.SetReadDeadline(time.Unix(1, 0))
	synctest.Wait()
	b.pipe.in.set(func(h *pipeHalf) { h.size = len(h.data) + n })
}

// full has the network take nothing.
func (b *bubble) full() { b.room(0) }

// open has it take everything, and the peer read again.
func (b *bubble) open() {
	b.pipe.SetReadDeadline(time.Time{})
	b.pipe.in.set(func(h *pipeHalf) { h.size = 1 << 30 })
	go b.receive()
}

// took returns the simulated time that a call takes.
func took(call func()) time.Duration {
	start := time.Now()
	call()
	return time.Since(start)
}

// join describes frames in one line.
func join(list []string) string { return strings.Join(list, "|") }

// testLink is a kind of transport, and the side that the connection under test has.
type testLink struct {
	pair   func(t testing.TB) (near, far net.Conn)
	server bool // the connection under test is one
}

// eachLink runs f for a server and a client over each kind of transport that is written to in a way
// of its own.
func eachLink(t *testing.T, f func(t *testing.T, l testLink)) {
	pairs := map[string]func(t testing.TB) (near, far net.Conn){
		"tcp": tcpPair, "unix": unixPair,
		"wrapped": func(t testing.TB) (near, far net.Conn) {
			near, far = tcpPair(t)
			return wrappedConn{near}, far
		},
		"tls": func(t testing.TB) (near, far net.Conn) {
			near, far = tcpPair(t)
			return overTLS(t, near, far)
		},
	}
	bothSides(t, func(t *testing.T, server bool) {
		for name, pair := range pairs {
			t.Run(name, func(t *testing.T) { f(t, testLink{pair, server}) })
		}
	})
}

// eachFull runs f for a server and a client on a network of the kernel that takes nothing, as it
// is full of bytes that the peer's drain discards. TLS cannot be filled so; for that there is bubble.
func eachFull(t *testing.T, o connOptions, f func(t *testing.T, c *Conn, peer *farEnd)) {
	bothSides(t, func(t *testing.T, server bool) {
		run := func(name string, pair func(t testing.TB) (near, far net.Conn), wrap func(net.Conn) net.Conn) {
			t.Run(name, func(t *testing.T) {
				near, far := pair(t)
				smallBuffer(near)
				far.(interface{ SetReadBuffer(int) error }).SetReadBuffer(4 << 10) // else TCP goes on, in small pieces
				filling := fillKernel(t, near)
				f(t, newConn(wrap(near), server, nil, o), &farEnd{Conn: far, server: server, filling: filling})
			})
		}
		plain := func(c net.Conn) net.Conn { return c }
		if server { // once: TCP takes a second to recover
			run("tcp", tcpPair, plain)
		}
		run("unix", unixPair, plain)
		run("wrapped", unixPair, func(c net.Conn) net.Conn { return wrappedConn{c} }) // it is filled faster than TCP
	})
}

// tlsTestConfigs returns those of a server and a client that trusts it.
var tlsTestConfigs = sync.OnceValues(func() (server, client *tls.Config) {
	srv := httptest.NewTLSServer(nil) // for its certificate
	defer srv.Close()
	client = trusting(srv)
	client.ServerName = "example.com"
	return &tls.Config{Certificates: srv.TLS.Certificates}, client
})

// tlsPair returns two connections with each other over TLS, on near and far. The handshake is over.
func tlsPair(t testing.TB, near, far net.Conn, serverConfig, clientConfig *tls.Config) (server, client *tls.Conn) {
	t.Helper()
	server, client = tls.Server(near, serverConfig), tls.Client(far, clientConfig)
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// overTLS is tlsPair with the configurations of tlsTestConfigs, where nothing follows the handshake.
func overTLS(t testing.TB, near, far net.Conn) (server, client *tls.Conn) {
	t.Helper()
	serverConfig, clientConfig := tlsTestConfigs()
	serverConfig = serverConfig.Clone()
	serverConfig.SessionTicketsDisabled = true
	return tlsPair(t, near, far, serverConfig, clientConfig)
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

// patience is how long a test waits for what comes at once, unless the library is wrong or the machine is busy.
const patience = 20 * time.Second

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
	p := make([]byte, 64<<10)
	for {
		frame, rest := cutFrame(f.b)
		if frame != "" {
			f.b = rest
			return frame, nil
		}
		n, err := f.Read(p)
		f.b = append(f.b, p[:n]...)
		if err == io.EOF && len(f.b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && n == 0 {
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

// cutFrames takes all whole frames off b.
func cutFrames(b []byte) (frames []string, rest []byte) {
	for rest = b; ; {
		frame, behind := cutFrame(rest)
		if frame == "" {
			return frames, rest
		}
		frames, rest = append(frames, frame), behind
	}
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

// wantTimeout checks that err is a timeout in both forms that programs look for.
func wantTimeout(t *testing.T, err error) {
	t.Helper()
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
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

// loopTransport is a network connection that delivers the same bytes again and again, and
// forgets what is written to it.
type loopTransport struct {
	nullTransport
	bytes []byte
	pos   int
}

func (t *loopTransport) Read(p []byte) (int, error) {
	n := copy(p, t.bytes[t.pos:])
	if t.pos += n; t.pos == len(t.bytes) {
		t.pos = 0
	}
	return n, nil
}

func (*loopTransport) LocalAddr() net.Addr         { return nil }
func (*loopTransport) RemoteAddr() net.Addr        { return nil }
func (*loopTransport) Close() error                { return nil }
func (*loopTransport) SetDeadline(time.Time) error { return nil }

// echoAll answers each message with itself, until the connection ends.
func echoAll(c *Conn) {
	var p []byte
	for {
		var messageType int
		var err error
		if messageType, p, err = c.AppendMessage(p[:0]); err != nil {
			return
		}
		if err = c.WriteMessage(messageType, p); err != nil {
			return
		}
	}
}
