//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// model is one run: what a connection was asked to send, and what its peer has got.
type model struct {
	seed                  uint64
	rand                  *rand.Rand // of the goroutine that runs the model
	near, far, below      net.Conn   // below is near without a wrapper or TLS
	memory, kernel, tls   bool       // the kind of near
	server, deflate, calm bool       // calm: no deadline or context ends a call
	short                 bool       // they may end a call within its frame
	stream                bool       // see streamModel
	ending                string     // close, shutdown, peer or cut
	cut, failed           bool       // the network may lose bytes; the connection has failed
	c                     *Conn
	peer                  *modelPeer
	clock, pings          atomic.Int64
	hurry                 atomic.Bool   // the peer reads without pauses
	last                  chan struct{} // closed when the peer is to send its last message
	writer                chan struct{} // has an element while NextWriter is in use

	mu       sync.Mutex
	calls    []*modelCall // that of message i is calls[i]
	limits   []modelCall  // of SetWriteDeadline
	problems []string
}

// modelCall is a call, and how it went.
type modelCall struct {
	what         string
	id, size     int       // of the message or ping; its payload follows from them
	start, end   int64     // of the model's clock
	began, ended time.Time // the same
	deadline     time.Time // of WriteControl and SetWriteDeadline
	ctx          context.Context
	interrupted  bool // the context ended during the call
	err          error
}

func (x *modelCall) String() string {
	return fmt.Sprintf("%s of message %d, %d bytes, at %d to %d: %v", x.what, x.id, x.size, x.start, x.end, x.err)
}

func (m *model) problem(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.problems) < 5 {
		m.problems = append(m.problems, fmt.Sprintf(format, args...))
	}
}

// call makes a call that sends a payload, and notes how it went.
func (m *model) call(x *modelCall, write func(p []byte) error) error {
	m.mu.Lock()
	if x.id = len(m.calls); x.id == 0 {
		x.size = 0 // the empty message
	}
	m.calls = append(m.calls, x)
	m.mu.Unlock()
	p := modelPayload(x.id, x.size)
	ended := x.ctx != nil && x.ctx.Err() != nil
	x.began, x.start = time.Now(), m.clock.Add(1)
	x.err = write(p)
	x.end, x.ended = m.clock.Add(1), time.Now()
	x.interrupted = x.ctx != nil && x.ctx.Err() != nil && !ended
	if !bytes.Equal(p, modelPayload(x.id, x.size)) {
		m.problem("%v has changed the data", x)
	}
	return x.err
}

func (m *model) writeMessage(what string, size int) error {
	return m.call(&modelCall{what: what, size: size}, func(p []byte) error { return m.c.WriteMessage(BinaryMessage, p) })
}

func (m *model) ping(size int, deadline time.Time) error {
	x := &modelCall{what: "WriteControl", size: size, deadline: deadline}
	return m.call(x, func(p []byte) error { return m.c.WriteControl(PingMessage, p, deadline) })
}

func (m *model) flush() error {
	return m.call(&modelCall{what: "Flush", size: 8}, func([]byte) error { return m.c.Flush() })
}

func (m *model) setWriteDeadline(t time.Time) {
	l := modelCall{start: m.clock.Add(1), deadline: t}
	m.c.SetWriteDeadline(t)
	l.end = m.clock.Add(1)
	m.mu.Lock()
	m.limits = append(m.limits, l)
	m.mu.Unlock()
}

// run has several goroutines write, and ends the connection.
func (m *model) run() {
	var peer, reader, writers sync.WaitGroup
	defer m.start(&peer).Stop()
	var readErr error
	reader.Go(func() { readErr = m.read(m.source(3)) })
	for i := range uint64(1 + m.rand.IntN(4)) {
		writers.Go(func() { m.write(m.source(10 + i)) })
	}
	err := m.end(&writers)
	writers.Wait()
	reader.Wait()
	if m.ending != "shutdown" {
		m.setWriteDeadline(time.Time{})
		if err = m.flush(); err == nil {
			err = m.ping(100, time.Time{})
		}
	}
	m.failed = err != nil && err != ErrCloseSent
	switch {
	case m.failed && m.ending == "shutdown":
		m.cut = !m.memory // the kernel may have thrown away what it had
	case m.failed && !m.cut:
		m.closeWrite()
		<-m.peer.end // the peer has all that the network has taken
	case m.ending == "close" && m.memory:
		m.c.Cork()
		m.writeMessage("WriteMessage", 100) // Close sends it
	case m.ending == "peer" && err == nil:
		m.problem("after the peer's Close frame a write returns nil")
	}
	discarded := m.ending == "shutdown" && readErr == errDiscarded // the program was slow
	if !m.failed && !m.cut && readErr != nil && !discarded && !IsCloseError(readErr, CloseNormalClosure) {
		m.problem("the connection is good, and a read returns %v", readErr)
	}
	m.c.Close()
	peer.Wait()
	m.checkCalls()
	if m.failed && !m.cut {
		m.checkFailure(err)
	} else if !m.cut {
		m.checkEnd()
	}
}

// start lets the peer begin. The timer ends the test if the run does not end.
func (m *model) start(peer *sync.WaitGroup) (watchdog *time.Timer) {
	peer.Go(func() { m.peer.read(m.source(1)) })
	peer.Go(func() { m.peer.send(m.source(2)) })
	return time.AfterFunc(time.Minute, func() {
		stacks := make([]byte, 1<<20)
		panic(fmt.Sprintf("seed %d does not end:\n%s", m.seed, stacks[:runtime.Stack(stacks, true)]))
	})
}

// end ends the traffic in one of the ways. It returns the error of Shutdown.
func (m *model) end(writers *sync.WaitGroup) (err error) {
	time.Sleep(modelPause(m.rand) * 10)
	switch m.ending {
	case "close":
		writers.Wait()
		close(m.last)
	case "shutdown":
		close(m.last)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = m.c.Shutdown(ctx, CloseNormalClosure, "")
	case "peer":
		close(m.last)
	case "cut":
		m.cut = true
		[]func() error{m.c.Close, m.below.Close, m.far.Close}[m.rand.IntN(3)]()
	}
	m.hurry.Store(true)
	return err
}

// closeWrite lets the peer read to the end what the network has taken.
func (m *model) closeWrite() {
	if p, ok := m.below.(*pipeConn); ok {
		p.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
		return
	}
	m.below.(interface{ CloseWrite() error }).CloseWrite()
}

// nothingSent reports whether the error says that nothing has happened.
func nothingSent(err error) bool {
	interrupted := errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "within a frame")
	return err == ErrCloseSent || interrupted || err != nil && err.Error() == "websocket: write timeout"
}

// checkCalls compares what was reported with what has arrived.
func (m *model) checkCalls() {
	failed := &modelCall{end: 1 << 62} // the first call that has reported that the connection has failed
	for _, x := range m.calls {
		if x.err != nil && !nothingSent(x.err) && x.end < failed.end {
			failed = x
		}
	}
	arrived := make(map[int]bool)
	var latest int64 // the start of the last call whose message has arrived
	for _, id := range m.peer.arrived {
		x := m.calls[id]
		if arrived[id] {
			m.problem("%v has arrived twice", x)
		}
		if x.end < latest {
			m.problem("%v has arrived after the message of a later call", x)
		}
		arrived[id], latest = true, max(latest, x.start)
	}
	for id, x := range m.calls {
		switch {
		case x.what == "Flush":
		case x.err == nil && x.start > failed.end:
			m.problem("%v, after %v", x, failed)
		case x.err != nil && arrived[id] && (nothingSent(x.err) || x.start > failed.end):
			m.problem("%v has arrived", x)
		case x.err == nil && !arrived[id] && (!m.mayLose(x) || x.end < latest):
			m.problem("%v has not arrived", x)
		}
	}
}

// mayLose reports whether the message of a call that returned nil may be lost: because the network was cut, or the
// connection has failed and the message was only put aside.
func (m *model) mayLose(x *modelCall) bool {
	if m.cut || !m.failed {
		return m.cut
	}
	putAside := x.ctx == nil && (x.size <= 16<<10 || x.what == "NextWriter" || m.deflate)
	return putAside && !slices.ContainsFunc(m.calls, func(y *modelCall) bool {
		return y.what == "Flush" && y.err == nil && y.start > x.end
	})
}

// checkFailure checks that the connection has failed because a call was ended within its frame.
func (m *model) checkFailure(err error) {
	ended, blind := false, m.tls // blind: the frame may be whole
	for _, x := range m.calls {
		switch {
		case x.what == "NextWriter" && x.err == errMessageTimeout:
			ended, blind = true, true // its message has begun, and cannot go on
		case x.err != nil && !nothingSent(x.err) && m.limited(x) && (x.what != "Flush" || m.tls):
			ended, blind = true, blind || x.interrupted && !m.kernel
		}
	}
	if !ended {
		m.problem("the connection has failed, and no call was ended by its deadline or context: %v", err)
	}
	if nothingSent(err) {
		m.problem("the connection has failed, and every write says that nothing has happened: %v", err)
	}
	switch h, payload, _ := m.peer.frame(); {
	case blind:
	case len(m.peer.rest) == 0:
		m.problem("the connection has failed between two frames: %v", err)
	case len(payload) >= 8 && !h.rsv1 && (h.opcode == opPing || isData(int(h.opcode))):
		id, _ := strconv.Atoi(string(payload[:7]))
		if x := m.calls[id]; x.err == nil || nothingSent(x.err) && x.what != "NextWriter" {
			m.problem("the connection has failed within %v: %v", x, err)
		}
	}
}

// limited reports whether the call's context ended or a deadline passed during the call.
func (m *model) limited(x *modelCall) bool {
	passed := func(t time.Time) bool { return t.After(x.began) && !t.After(x.ended) }
	if x.interrupted || x.what == "WriteControl" {
		return x.interrupted || passed(x.deadline)
	}
	return slices.ContainsFunc(m.limits, func(l modelCall) bool {
		replaced := func(o modelCall) bool { return o.start > l.end && o.end < x.start }
		return passed(l.deadline) && l.start < x.end && !slices.ContainsFunc(m.limits, replaced)
	})
}

// checkEnd checks the end of a good connection.
func (m *model) checkEnd() {
	p := m.peer
	if len(p.rest) > 0 {
		m.problem("the peer's last frame is cut off")
	}
	if m.ending != "close" && !p.isClosed() {
		m.problem("the peer has got no Close frame")
	}
	if m.ending == "close" && p.pong != int(m.pings.Load()) {
		m.problem("the peer has got pong %d, want %d", p.pong, m.pings.Load())
	}
}

// newModel returns a run over a network.
func newModel(t testing.TB, seed uint64, near, far net.Conn) *model {
	m := &model{seed: seed, near: near, far: far, last: make(chan struct{}), writer: make(chan struct{}, 1)}
	m.rand = m.source(0)
	m.server, m.short, m.deflate = m.rand.IntN(2) == 0, m.rand.IntN(2) == 0, m.rand.IntN(4) == 0
	m.ending = []string{"close", "close", "shutdown", "shutdown", "peer", "cut"}[m.rand.IntN(6)]
	m.peer = &modelPeer{m: m, closed: make(chan struct{}), end: make(chan struct{})}
	m.below = withoutLayers(near)
	_, m.memory = m.below.(*pipeConn)
	_, m.tls = near.(*tls.Conn)
	m.kernel = near == m.below && !m.memory
	if !m.memory { // so small that a pause fills it, but not so small that TCP stalls
		m.below.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(4 << 10)
		withoutLayers(far).(interface{ SetReadBuffer(int) error }).SetReadBuffer(32 << 10)
	}
	o := connOptions{writeThrough: m.rand.IntN(4) == 0}
	if m.deflate {
		o.compression = CompressionOptions{ContextTakeover: true, Threshold: 50}
		agreed := negotiate(t, o.compression, o.compression)
		o.agreed.deflate = &agreed
	}
	m.c = newConn(near, m.server, nil, o)
	return m
}

// withoutLayers returns the network below a wrapper or TLS.
func withoutLayers(c net.Conn) net.Conn {
	switch c := c.(type) {
	case wrappedConn:
		return c.Conn
	case *fullConn:
		return c.pipeConn
	case *faultyConn:
		return c.Conn
	case *tls.Conn:
		return c.NetConn()
	}
	return c
}

func modelNumber(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// eachModel runs models over every kind of network, most of them in memory. WEBSOCKET_TEST_SEED is the seed of the
// first run, which a failure names, and WEBSOCKET_TEST_ROUNDS the number of runs.
func eachModel(t *testing.T, run func(m *model)) {
	first := modelNumber("WEBSOCKET_TEST_SEED", uint64(time.Now().UnixNano()%1e6))
	serverTLS, clientTLS := tlsConfigs()
	for i := range modelNumber("WEBSOCKET_TEST_ROUNDS", 100) {
		seed := first + i
		each := func(t *testing.T, near, far net.Conn) {
			m := newModel(t, seed, near, far)
			run(m)
			for _, problem := range m.problems {
				t.Errorf("server %v, deflate %v, short %v, %s: %s", m.server, m.deflate, m.short, m.ending, problem)
			}
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			goroutines, codecs := runtime.NumGoroutine(), codecsOnLoan.Load()
			t.Run("memory", func(t *testing.T) {
				if raceEnabled {
					t.Skip("the race detector of Go 1.26 crashes now and then in bubbles with so many timers")
				}
				synctest.Test(t, func(t *testing.T) {
					size := []int{30, 1000, 5000, 50_000}[seed%4]
					near, far := newPipe(t, size)
					each(t, &fullConn{pipeConn: near, size: size, rand: rand.New(rand.NewPCG(seed, 4))}, far)
				})
			})
			if i%10 == 0 {
				eachTransport(t, each)
				t.Run("tls", func(t *testing.T) {
					a, b := tcpPair(t)
					near, far := tls.Server(a, serverTLS), tls.Client(b, clientTLS)
					go far.Handshake()
					if err := near.Handshake(); err != nil {
						t.Fatal(err)
					}
					each(t, near, far)
				})
			}
			for wait := 0; runtime.NumGoroutine() > goroutines || codecsOnLoan.Load() != codecs; wait++ {
				if time.Sleep(time.Millisecond); wait == 2000 {
					t.Fatalf("got %d goroutines and %d codecs on loan, want %d and %d",
						runtime.NumGoroutine(), codecsOnLoan.Load(), goroutines, codecs)
				}
			}
		})
	}
}

// Whatever several goroutines send, and whenever they are interrupted: what was reported as sent arrives, what was
// reported as not sent does not, and a connection fails only within a frame.
func TestSendModel(t *testing.T) { eachModel(t, (*model).run) }

// fullConn has no room left after some of its writes, so that the next one waits before its first byte.
type fullConn struct {
	*pipeConn
	size int
	rand *rand.Rand
}

func (f *fullConn) Write(p []byte) (int, error) {
	n, err := f.pipeConn.Write(p)
	f.out.set(func(h *pipeHalf) {
		if h.size = f.size; len(h.data) > f.size/4 && f.rand.IntN(2) == 0 {
			h.size = len(h.data)
		}
	})
	return n, err
}

// faultyConn does something else for every fifth write.
type faultyConn struct {
	net.Conn
	writes int
	fault  func(p []byte) []byte
}

func (f *faultyConn) Write(p []byte) (int, error) {
	if f.writes++; f.writes%5 != 0 {
		return f.Conn.Write(p)
	}
	_, err := f.Conn.Write(f.fault(p))
	return len(p), err
}

// The model notices writes that are lost, repeated or cut off.
func TestSendModelNoticesFaults(t *testing.T) {
	for name, fault := range map[string]func(p []byte) []byte{
		"lost":     func([]byte) []byte { return nil },
		"repeated": func(p []byte) []byte { return append(p[:len(p):len(p)], p...) },
		"cut off":  func(p []byte) []byte { return p[:len(p)-1] },
	} {
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) {
				near, far := newPipe(t, 1000)
				m := newModel(t, seed, &faultyConn{Conn: near, fault: fault}, far)
				m.calm, m.short, m.ending = true, false, "close"
				if m.run(); len(m.problems) == 0 {
					t.Errorf("%s, seed %d: got no problem", name, seed)
				}
			})
		}
	}
}
