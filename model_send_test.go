//go:build go1.25

package websocket

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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
	case writeFunc:
		return c.pipeConn
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
					near, far := tcpPair(t)
					near, far = overTLS(t, near, far)
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
				writes := 0
				m := newModel(t, seed, writeFunc{near, func(p []byte) (int, error) {
					if writes++; writes%5 != 0 {
						return near.Write(p)
					}
					_, err := near.Write(fault(p))
					return len(p), err
				}}, far)
				m.calm, m.short, m.ending = true, false, "close"
				if m.run(); len(m.problems) == 0 {
					t.Errorf("%s, seed %d: got no problem", name, seed)
				}
			})
		}
	}
}

var modelText = strings.Repeat("what the messages have in common, so that they can be compressed, ", 2000)

// modelPayload is a number and some text.
func modelPayload(id, size int) []byte {
	if size == 0 {
		return []byte{}
	}
	return append(fmt.Appendf(nil, "%07d ", id), modelText[id%1000:][:size-8]...)
}

func (m *model) source(goroutine uint64) *rand.Rand { return rand.New(rand.NewPCG(m.seed, goroutine)) }

func modelPause(r *rand.Rand) time.Duration {
	return time.Duration(r.Int64N(int64([]time.Duration{300 * time.Microsecond, 2 * time.Millisecond}[r.IntN(2)])))
}

func modelSize(r *rand.Rand) int {
	if r.IntN(40) == 0 {
		return []int{4082, 16<<10 - 14, 16<<10 - 13, 64<<10 - 1, 100_000}[r.IntN(5)]
	}
	return 8 + r.IntN([]int{100, 100, 100, 300, 300, 5000, 20_000, 50_000}[r.IntN(8)])
}

// moment is a deadline: none, a far one, one in the past, or a near one.
func (m *model) moment(r *rand.Rand) time.Time {
	switch k := r.IntN(10); {
	case k < 4 || m.calm:
		return time.Time{}
	case k < 7:
		return time.Now().Add(24 * time.Hour)
	case k < 8 || !m.short:
		return time.Now().Add(-modelPause(r) - 1)
	}
	return time.Now().Add(modelPause(r))
}

// context is one that ends before a call, during it, or not.
func (m *model) context(r *rand.Rand) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if k := r.IntN(6); k < 2 && m.short {
		time.AfterFunc(modelPause(r), cancel)
	} else if k < 3 && !m.calm {
		cancel()
	}
	return ctx, cancel
}

// write makes calls, and when the connection has failed or was closed a few more.
func (m *model) write(r *rand.Rand) {
	final := 0
	for n := 0; n < 40 && final < 3; n++ {
		if err := m.writeSome(r); err == ErrCloseSent || err != nil && !nothingSent(err) {
			final++
		}
	}
}

func (m *model) writeSome(r *rand.Rand) error {
	size := modelSize(r)
	switch k := r.IntN(100); {
	case k < 12:
		m.setWriteDeadline(m.moment(r))
	case k < 22:
		time.Sleep(modelPause(r))
	case k < 37:
		ctx, cancel := m.context(r)
		defer cancel()
		return m.call(&modelCall{what: "WriteMessageContext", size: size, ctx: ctx},
			func(p []byte) error { return m.c.WriteMessageContext(ctx, TextMessage, p) })
	case k < 50:
		return m.ping(min(size, maxControlPayload), m.moment(r))
	case k < 56:
		return m.call(&modelCall{what: "WritePreparedMessage", size: size}, func(p []byte) error {
			pm, err := NewPreparedMessage(TextMessage, p)
			if err != nil {
				return err
			}
			return m.c.WritePreparedMessage(pm)
		})
	case k < 60:
		select {
		case m.writer <- struct{}{}:
			defer func() { <-m.writer }()
			return m.call(&modelCall{what: "NextWriter", size: size}, func(p []byte) error { return m.writeFragments(r, p) })
		default:
		}
	case k < 66:
		m.c.Cork()
		for range r.IntN(6) {
			m.writeMessage("WriteMessage", 8+r.IntN(1000))
		}
		return m.flush()
	default:
		return m.writeMessage("WriteMessage", size)
	}
	return nil
}

func (m *model) writeFragments(r *rand.Rand, p []byte) error {
	w, err := m.c.NextWriter(TextMessage)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		n, err := w.Write(p[:min(len(p), 1+r.IntN(6000))])
		if err != nil {
			if w.Close() == nil {
				m.problem("Close sends a message although Write has returned %v", err)
			}
			return err
		}
		if p = p[n:]; r.IntN(4) == 0 {
			time.Sleep(modelPause(r))
		}
	}
	return w.Close()
}

// read reads what the peer sends up to its last message, and answers some of it.
func (m *model) read(r *rand.Rand) error {
	for next := 0; ; {
		if r.IntN(4) == 0 {
			m.c.SetReadDeadline(m.moment(r))
		}
		var p []byte
		var err error
		if r.IntN(2) == 0 {
			_, p, err = m.c.AppendMessage(make([]byte, 0, r.IntN(1000)))
		} else {
			ctx, cancel := m.context(r)
			_, p, err = m.c.ReadMessageContext(ctx)
			cancel()
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.Canceled):
			continue
		case err != nil:
			return err
		case string(p) == "last":
			return nil
		case !bytes.Equal(p, modelPayload(next, len(p))):
			m.problem("read %.20q and so on, want message %d", p, next)
		}
		if next++; r.IntN(2) == 0 {
			m.writeMessage("answer", 8+r.IntN(500))
		}
	}
}

// modelPeer is the peer in a model. It takes the bytes apart on its own.
type modelPeer struct {
	m       *model
	rest    []byte // not a whole frame yet
	message []byte // the fragments that have come
	open    bool   // the message goes on
	deflate bool   // it is compressed
	window  []byte
	arrived []int         // the numbers of messages and pings
	bytes   [2]int        // the numbers of a stream's bytes, by writer
	pong    int           // the last one
	closed  chan struct{} // closed when a Close frame has come
	end     chan struct{} // closed when no more comes
}

// read reads, sometimes nothing for a while.
func (p *modelPeer) read(r *rand.Rand) {
	defer close(p.end)
	for buf := make([]byte, 64<<10); ; {
		if k := r.IntN(20); k < 8 && !p.m.hurry.Load() {
			time.Sleep(modelPause(r) * time.Duration(1+k/7*10))
		}
		n, err := p.m.far.Read(buf[:1+r.IntN(len(buf))])
		p.rest = append(p.rest, buf[:n]...)
		for p.next() {
		}
		if err != nil {
			return
		}
	}
}

// frame returns the first frame of rest: its header, what has come of its payload, and its size.
func (p *modelPeer) frame() (h header, payload []byte, size int) {
	h, n, err := parseHeader(p.rest)
	if err == nil && len(p.rest) >= 2 {
		err = h.check(frameContext{server: !p.m.server, inMessage: p.open, compression: p.m.deflate})
	}
	if err != nil {
		p.m.problem("the peer got a bad frame: %v", err)
	}
	if n == 0 {
		return h, nil, 0
	}
	size = n + int(min(h.length, 1<<30)) // where bytes are missing, any may be the length
	payload = p.rest[n:min(size, len(p.rest))]
	if h.masked {
		payload = slices.Clone(payload)
		maskEach(payload, h.key, 0)
	}
	return h, payload, size
}

// next takes a frame, if all of it has come.
func (p *modelPeer) next() bool {
	h, payload, size := p.frame()
	if size == 0 || size > len(p.rest) {
		return false
	}
	p.rest = p.rest[size:]
	switch {
	case p.isClosed():
		p.m.problem("the peer got a frame with opcode %d after a Close frame", h.opcode)
	case h.opcode == opClose:
		close(p.closed)
	case h.opcode == opPing:
		p.take(payload)
	case h.opcode == opPong:
		id, _ := strconv.Atoi(string(payload))
		if id <= p.pong || id > int(p.m.pings.Load()) {
			p.m.problem("the peer got pong %q after %d", payload, p.pong)
		}
		p.pong = id
	default:
		if !p.open {
			p.message, p.deflate = nil, h.rsv1
		}
		p.message, p.open = append(p.message, payload...), !h.fin
		if p.open {
			break
		}
		if p.deflate {
			p.inflate()
		}
		if p.m.stream {
			p.takeBytes(p.message)
		} else {
			p.take(p.message)
		}
	}
	return true
}

func (p *modelPeer) inflate() {
	const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff" // RFC 7692, 7.2.2, and an empty block that ends it
	r := io.MultiReader(bytes.NewReader(p.message), strings.NewReader(tail))
	b, err := io.ReadAll(flate.NewReaderDict(r, p.window))
	if err != nil {
		p.m.problem("the peer cannot inflate a message: %v", err)
	}
	p.message = b
	p.window = append(p.window, b...)
	p.window = p.window[max(0, len(p.window)-32<<10):]
}

// take takes a message or a ping.
func (p *modelPeer) take(b []byte) {
	id, _ := strconv.Atoi(string(b[:min(len(b), 7)]))
	switch {
	case len(b) == 0 || len(b) >= 8 && bytes.Equal(b, modelPayload(id, len(b))):
		p.arrived = append(p.arrived, id)
	case !p.m.stream: // else it is a ping of Conn.Ping
		p.m.problem("the peer got %d bytes, %.20q and so on, which nobody has sent", len(b), b)
	}
}

func (p *modelPeer) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// send sends bursts of messages and pings, a last message, and a Close frame.
func (p *modelPeer) send(r *rand.Rand) {
	m, last, sent, closing := p.m, p.m.last, 0, false
	write := func(list ...peerFrame) { m.far.Write(peerFrames(m.server, list...)) }
	ping := func() peerFrame { return peerFrame{true, opPing, fmt.Sprint(m.pings.Add(1))} }
	for !p.isClosed() {
		select {
		case <-p.end:
			return
		case <-p.closed:
		case <-last:
			last = nil
			if closing = m.ending == "peer"; closing {
				write(peerClose)
			} else {
				write(ping(), peerFrame{true, opBinary, "last"})
			}
		case <-time.After(modelPause(r)):
			if last == nil {
				continue
			}
			var burst []peerFrame
			for range r.IntN(8) {
				if r.IntN(3) == 0 {
					burst = append(burst, ping())
				} else {
					burst = append(burst, peerFrame{true, opBinary, string(modelPayload(sent, 8+r.IntN(300)))})
					sent++
				}
			}
			write(burst...)
		}
	}
	if !closing {
		write(peerClose)
	}
	if !m.server {
		m.far.Close() // "the server [...] closes the TCP connection first" (RFC 6455, 7.1.1)
	}
}

// streamModel is a run in which two goroutines write to a stream.
type streamModel struct {
	*model
	s    net.Conn
	sent [2]int   // by writer
	errs [2]error // by writer
	torn bool     // a ping was ended within its frame, so that the connection has failed
}

// modelByte is byte i of a writer.
func modelByte(writer, i int) byte { return byte(writer<<7 | i%127) }

// takeBytes takes bytes of both writers.
func (p *modelPeer) takeBytes(b []byte) {
	for _, x := range b {
		i := &p.bytes[x>>7]
		if want := modelByte(int(x>>7), *i); x != want {
			p.m.problem("byte %d of writer %d is %#x, want %#x", *i, x>>7, x, want)
			return
		}
		*i++
	}
}

// write writes until the stream has ended.
func (m *streamModel) write(r *rand.Rand, writer int) {
	for n := 0; n < 40 && m.errs[writer] == nil; n++ {
		err := m.writeBytes(writer, modelSize(r))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			m.errs[writer] = err
		}
		if err != nil || r.IntN(4) == 0 {
			time.Sleep(modelPause(r))
		}
	}
}

func (m *streamModel) writeBytes(writer, size int) error {
	b := make([]byte, size)
	for i := range b {
		b[i] = modelByte(writer, m.sent[writer]+i)
	}
	n, err := m.s.Write(b)
	if m.sent[writer] += n; (err == nil) != (n == size) {
		m.problem("Write of %d bytes: %d, %v", size, n, err)
	}
	return err
}

func (m *streamModel) read() {
	for buf := make([]byte, 5000); ; {
		if _, err := m.s.Read(buf); errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(100 * time.Microsecond)
		} else if err != nil {
			return
		}
	}
}

// disturb sets deadlines and sends pings until done is closed.
func (m *streamModel) disturb(r *rand.Rand, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(modelPause(r)):
		}
		switch r.IntN(5) {
		case 0, 1:
			m.s.SetWriteDeadline(m.moment(r))
		case 2:
			m.s.SetDeadline(m.moment(r))
		case 3:
			m.s.SetReadDeadline(m.moment(r))
		case 4:
			ctx, cancel := context.WithTimeout(context.Background(), modelPause(r))
			_, err := m.c.Ping(ctx)
			cancel()
			m.torn = m.torn || err != nil && strings.Contains(err.Error(), "within a frame")
		}
	}
}

// run has two goroutines write, and ends the connection.
func (m *streamModel) run() {
	var peer, reader, writers, disturber sync.WaitGroup
	defer m.start(&peer).Stop()
	done := make(chan struct{})
	reader.Go(m.read)
	disturber.Go(func() { m.disturb(m.source(3), done) })
	for i := range m.sent {
		writers.Go(func() { m.write(m.source(10+uint64(i)), i) })
	}
	errs := []error{m.end(&writers)}
	writers.Wait()
	close(done)
	disturber.Wait()
	m.s.SetDeadline(time.Time{})
	switch m.ending {
	case "close":
		errs = append(errs, m.writeBytes(0, 1))
	case "peer":
		reader.Wait()
	}
	m.s.Close()
	reader.Wait()
	peer.Wait()
	m.check(append(errs, m.errs[:]...))
}

// check compares what was counted with what has arrived.
func (m *streamModel) check(errs []error) {
	p := m.peer
	for _, err := range errs {
		closed := err == ErrCloseSent || errors.Is(err, net.ErrClosed)
		if m.cut || err == nil || closed && m.ending != "close" {
			continue
		}
		if m.failed = true; !m.torn {
			m.problem("the stream has failed: %v", err)
		}
	}
	if h, payload, _ := p.frame(); isData(int(h.opcode)) && !h.rsv1 {
		p.takeBytes(payload) // of a frame that is cut off
	}
	lossy := m.cut || m.failed || m.ending == "close" && !m.memory // Close waits for a second
	for i, n := range m.sent {
		if p.bytes[i] > n || p.bytes[i] < n && !lossy {
			m.problem("got %d bytes of writer %d, want %d", p.bytes[i], i, n)
		}
	}
	if !lossy && !p.isClosed() {
		m.problem("the peer has got no Close frame")
	}
}

// Whatever deadlines pass, the bytes of a stream arrive as Write has counted them.
func TestStreamModel(t *testing.T) {
	eachModel(t, func(m *model) {
		m.stream, m.short = true, true
		(&streamModel{model: m, s: NewStream(m.c, BinaryMessage)}).run()
	})
}

// tightTransport has room for some bytes of writes that have a deadline, and then waits for it. A
// write without one finds room for everything.
type tightTransport struct {
	nullTransport
	mu       sync.Mutex
	deadline time.Time
	room     int
	wire     []byte
}

func (t *tightTransport) Write(p []byte) (n int, err error) {
	t.mu.Lock()
	n = len(p)
	if !t.deadline.IsZero() && n > t.room {
		n, err = max(t.room, 0), os.ErrDeadlineExceeded
	}
	t.room -= n
	t.wire = append(t.wire, p[:n]...)
	wait := time.Until(t.deadline)
	t.mu.Unlock()
	if err != nil {
		time.Sleep(wait)
	}
	return n, err
}

func (t *tightTransport) SetWriteDeadline(d time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline = d
	return nil
}

// interrupted writes to a connection with deadlines that pass at any byte, and looks after every
// step at what the peer has, in a bubble.
type interrupted struct {
	testing.TB
	c       *Conn
	s       io.Writer // a stream of c
	wire    *tightTransport
	ctx     context.Context // can be cancelled
	next    byte
	pongs   int
	corked  bool
	waiting []peerFrame // that the peer is to have, and has not
	err     error       // of the write that has failed the connection
}

func newInterrupted(t testing.TB, server bool) *interrupted {
	wire := &tightTransport{}
	c := newConn(wire, server, nil, connOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &interrupted{TB: t, c: c, s: NewStream(c, BinaryMessage), wire: wire, ctx: ctx}
}

// payload returns bytes of which no masking key hides a shift.
func (i *interrupted) payload(size int) []byte {
	p := make([]byte, size)
	for j := range p {
		i.next = i.next*5 + 1
		p[j] = i.next
	}
	return p
}

// limit has writes find room for so many bytes before their deadline.
func (i *interrupted) limit(room int) {
	i.c.SetWriteDeadline(time.Now().Add(time.Microsecond))
	i.wire.mu.Lock()
	defer i.wire.mu.Unlock()
	i.wire.room = room
}

// write writes a message for which there is so much room, with all that leaves before it. A
// direct one is not corked.
func (i *interrupted) write(size, room int, direct bool) {
	i.Helper()
	p := i.payload(size)
	before := bytes.Clone(p)
	ctx := context.Background()
	if direct {
		ctx = i.ctx
	}
	i.limit(room)
	err := i.c.WriteMessageContext(ctx, BinaryMessage, p)
	if !bytes.Equal(p, before) {
		i.Fatal("the caller's data was changed")
	}
	f := peerFrame{true, opBinary, string(p)}
	switch {
	case i.err != nil:
		if err != i.err {
			i.Fatalf("got %v, want the error that has failed the connection, %v", err, i.err)
		}
	case err == nil:
		i.waiting = append(i.waiting, f)
	case err == errWriteTimeout:
		// Nothing of it has left, and nothing will.
	case errors.Is(err, os.ErrDeadlineExceeded):
		i.err = err
		i.check(f)
		return
	default:
		i.Fatalf("a message of %d bytes with room for %d: got %v, want a timeout", size, room, err)
	}
	i.check()
}

// flush flushes corked frames, for which there is so much room.
func (i *interrupted) flush(room int) {
	i.Helper()
	i.limit(room)
	i.corked = false
	if err := i.c.Flush(); err != i.err && err != errWriteTimeout {
		i.Fatalf("Flush with room for %d: got %v, want %v or a write timeout", room, err, i.err)
	}
	i.check()
}

func (i *interrupted) cork() {
	i.c.Cork()
	i.corked = true
}

// pong posts a pong.
func (i *interrupted) pong() {
	i.Helper()
	i.pongs++
	f := peerFrame{true, opPong, fmt.Sprint("pong ", i.pongs)}
	i.c.reply(opPong, []byte(f.payload))
	if i.err == nil {
		i.waiting = append(i.waiting, f)
	}
	i.check()
}

// post writes to the stream.
func (i *interrupted) post(size int) {
	i.Helper()
	p := i.payload(size)
	n, err := i.s.Write(p)
	if err != i.err && size > 0 || err == nil && n != size {
		i.Fatalf("the stream: got %d, %v, want %d, %v", n, err, size, i.err)
	}
	for part := range slices.Chunk(p[:n], maxStreamPayload) {
		i.waiting = append(i.waiting, peerFrame{true, opBinary, string(part)})
	}
	i.check()
}

// check waits for the flusher, and checks that the peer has all frames, unless they are corked. If the
// connection fails now, the peer has a part of torn, too; if it has failed before, nothing more.
func (i *interrupted) check(torn ...peerFrame) {
	i.Helper()
	i.c.send.acquireFlushed()
	defer i.c.send.unlock()
	i.wire.mu.Lock()
	defer i.wire.mu.Unlock()
	for {
		frame, rest := cutFrame(i.wire.wire)
		if frame == "" {
			break
		}
		if len(i.waiting) == 0 || frame != fmt.Sprintf("%d %s", i.waiting[0].op, i.waiting[0].payload) {
			i.Fatalf("the peer has the frame %.40q, which is not the next of the %d that wait", frame, len(i.waiting))
		}
		i.waiting, i.wire.wire = i.waiting[1:], rest
	}
	begun, next := i.wire.wire, append(i.waiting, torn...)
	switch {
	case torn != nil && (len(i.waiting) > 0 || len(begun) == 0):
		i.Fatalf("the connection has failed with %d bytes of a frame and without %d before it", len(begun), len(i.waiting))
	case torn == nil && i.err != nil && len(begun) > 0:
		i.Fatalf("the peer has %d more bytes of a connection that has failed", len(begun))
	case i.err == nil && !i.corked && len(i.waiting) > 0:
		i.Fatalf("the peer lacks %d frames", len(i.waiting))
	case len(begun) > 0 && len(next) == 0:
		i.Fatalf("the peer has %d bytes of a frame that was not sent", len(begun))
	case len(begun) > 0:
		i.checkBegun(begun, next[0])
	}
	if torn != nil {
		i.wire.wire = nil
	}
}

// checkBegun compares the beginning of a frame.
func (i *interrupted) checkBegun(b []byte, f peerFrame) {
	i.Helper()
	h, n, err := parseHeader(b)
	if err != nil {
		i.Fatalf("a frame's header is wrong: %v", err)
	}
	if n == 0 {
		return
	}
	want := header{fin: true, opcode: f.op, masked: !i.c.recv.server, key: h.key, length: int64(len(f.payload))}
	if h != want {
		i.Fatalf("got header %+v, want %+v", h, want)
	}
	payload := bytes.Clone(b[n:])
	maskEach(payload, h.key, 0)
	if string(payload) != f.payload[:len(payload)] {
		i.Fatalf("the peer has %d bytes of a frame that are not those that were written", len(payload))
	}
}

// plenty is room for everything.
const plenty = 1 << 30

// A deadline that passes at any byte of a frame, or of those that leave before it, loses and repeats nothing: before the
// first byte of its own frame a call has done nothing, and behind it the connection has failed. Of large frames this is
// played at the bytes where they begin and end, and where a client's is cut into pieces.
func TestWriteInterruptedAtEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		play := func(t *testing.T, size, corked, room int) {
			i := newInterrupted(t, server)
			for range corked {
				i.cork()
				i.write(min(size, 150), plenty, false)
				i.pong()
			}
			i.write(size, room, true)
			i.write(1, plenty, false)
			i.flush(room % 5)
			i.write(1, plenty, false)
		}
		for _, size := range []int{
			0, 1, 125, 126, 150,
			maxCopied - maxHeaderSize, maxCopied - maxHeaderSize + 1, 64 << 10, 100_000, 200_000,
		} {
			synctest.Test(t, func(t *testing.T) {
				for corked := range 3 {
					every := maxHeaderSize
					if size <= 150 {
						every = (size+maxHeaderSize)*(2*corked+1) + 1
					}
					step := 1
					if raceEnabled {
						step = 4 // they take ten times as long
					}
					for room := 0; room < every; room += step {
						play(t, size, corked, room)
					}
					frame := len((&header{masked: !server, length: int64(size)}).append(nil)) + size
					for _, around := range []int{segmentSize, maxBufferSize, frame} {
						for _, room := range []int{around - 3, around - 2, around - 1, around, around + 1, around + 4} {
							play(t, size, corked, max(room, 0))
						}
					}
				}
			})
		}
	})
}

// FuzzSendInterrupted: each three bytes of the script are a call, with a size and the room for it.
// Corked frames leave when their time is over.
func FuzzSendInterrupted(f *testing.F) {
	f.Add(true, []byte{0, 3, 1, 0, 3, 0, 0, 3, 9})
	f.Add(true, []byte{5, 0, 0, 0, 9, 0, 3, 0, 0, 7, 4, 12, 4, 3, 0, 6, 0, 3, 0, 7, 99})
	f.Add(false, []byte{0, 200, 7, 3, 0, 0, 1, 5, 1, 2, 255, 254, 2, 255, 0})
	f.Add(true, []byte("%00$\xfb0000$\xeb0+\xdb0$\xdb0")) // corked, and large frames of a stream
	f.Fuzz(func(t *testing.T, server bool, script []byte) {
		synctest.Test(t, func(t *testing.T) {
			i := newInterrupted(t, server)
			for ; len(script) >= 3; script = script[3:] {
				size, room := int(script[1]), int(script[2])
				switch script[0] & 15 {
				case 0, 8:
					i.write(size, room, false)
				case 1:
					i.write(size<<9, room<<9, false)
				case 2, 9:
					i.write(size<<9, size<<9+room-128, true)
				case 3, 10:
					i.pong()
				case 4, 11:
					i.post(size << 9)
				case 5, 12:
					i.cork()
				case 6, 13:
					i.flush(room)
				case 7, 14:
					i.write(size, room, true)
				case 15:
					time.Sleep(corkTime)
				}
			}
			i.flush(plenty)
		})
	})
}
