//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// TestModel plays runs of random traffic between a connection and its peer, which is a Conn, too. In a run, messages
// and pings with numbers go in both directions:
//
//   - Up to six goroutines of the program write in all ways, with deadlines and contexts that end before a call, during
//     it, or not at all. Some of them call Shutdown or Close instead, or set deadlines of the reader. (disturb)
//   - One goroutine reads in all ways, and so calls handlers, which write, fail, panic, or end the connection. (read)
//   - The peer sends messages and control frames (send), and receives, now and then slowly (answer), over a network
//     that is full most of the time. A wire looks at each frame that it receives.
//
// A run ends in some way or in several at once: with a closing handshake, Close, Shutdown, an error of a handler or a
// write, keepalive's timeout, or the end of the network. A third of the runs are calm: a closing handshake ends the
// connection, or Close after all writes, and nothing ends a write. However a run ends, and whatever interrupts its
// calls:
//
//   - Every call returns. After Close none succeeds, and the connection holds nothing.
//   - Messages arrive whole, once, and in order, in both directions, and no frame breaks a rule of the protocol.
//   - What was reported as not sent does not arrive. What was reported as sent arrives before a Close frame, and before
//     what was sent later; if the connection fails, only messages that were put aside may be missing.
//   - The program reads all messages before the peer's Close frame, unless it was slow and Shutdown has discarded them.
//   - The writing fails only if a limit ends a call within a frame of its own or within its message, and for good.
//   - Shutdown returns nil only if the peer's Close frame has come. Handlers run in the program's reads, one at a time.
//   - In a calm run all messages arrive, also those that Close has to send. Unless Close ends it, both sides get a
//     Close frame.
//
// The model does not say how long a call takes, what a peer gets that breaks rules, or what happens at each byte of a
// frame: for that there are other tests, and transcripts.
//
// WEBSOCKET_TEST_SEED is the seed of the first run, which a failure names, and WEBSOCKET_TEST_ROUNDS the number of runs
// over memory. Each goroutine has a source of random numbers of its own, so that a seed repeats what it does.
func TestModel(t *testing.T) {
	tlsTestConfigs() // outside of bubbles
	rounds := modelNumber("WEBSOCKET_TEST_ROUNDS", 100)
	if raceEnabled {
		rounds = (rounds + 9) / 10 // they take ten times as long
	}
	eachSeed(t, rounds, func(t *testing.T, m *model) {
		r := m.source(0)
		synctest.Test(t, func(t *testing.T) {
			size := 50 + r.IntN(1<<r.IntN(15))
			pipe, far := newPipe(t, size)
			near, peer := net.Conn(&fullConn{pipeConn: pipe, size: size, rand: m.source(20)}), net.Conn(far)
			m.unit, m.memory = time.Millisecond, true
			if r.IntN(4) == 0 && !raceEnabled { // the race detector of Go 1.26 crashes now and then with so many timers
				near, peer = overTLS(t, near, peer)
				m.tls = true
			}
			m.play(t, near, peer, r.IntN(2) == 0)
			synctest.Wait()
			if got := borrowed(m.c); got != "" {
				t.Errorf("got that %s was not given back", got)
			}
		})
	})

	// The same over sockets, where time passes.
	eachLink(t, func(t *testing.T, l testLink) {
		eachSeed(t, (rounds+49)/50, func(t *testing.T, m *model) {
			t.Parallel()
			near, far := l.pair(t)
			smallBuffer(near)
			m.unit = 10 * time.Microsecond
			m.play(t, near, far, l.server)
		})
	})
}

// model is one run.
type model struct {
	seed        uint64
	c, peer     *Conn
	wire        *wire         // what the peer receives
	memory, tls bool          // the network is a pipe; there is TLS over it
	unit        time.Duration // of the pauses and deadlines
	calm        bool          // a closing handshake or, if closes is set, Close ends the connection; nothing ends a write
	closes      bool          // Close is called when all is written
	closing     atomic.Bool   // Close waits a second for the peer, which makes no pauses
	stream      net.Conn      // which alone writes, or nil
	writer      sync.Mutex    // of the goroutine that uses NextWriter, which is for one at a time
	busy        bool          // a read of the program is at work
	handler     *rand.Rand    // of the handlers

	next, sent int       // messages of which the program has read at least a part, and that the peer has sent
	begun      int       // 1 if the peer has begun another one
	lastRead   time.Time // when a read has ended for which Shutdown makes way: not at io.EOF, nor if its limit was over
	slow       bool      // the program has not read for claimTime, so that Shutdown may have discarded messages
	open       io.Reader // of a message that the program has not read to its end
	got        []byte    // of that message; nil after another call

	clock     atomic.Int64
	mu        sync.Mutex
	writes    []*modelWrite // of the program; that of message i is writes[i]
	latest    int64         // the start of the last one whose message has arrived
	flushed   int64         // the start of the last Flush that has returned nil
	ended     int64         // when something has begun that may end the connection, or 0
	cut       bool          // the network has lost bytes
	shutdowns []error       // what Shutdown has returned
	closed    error         // what the peer's reads have ended with
	problems  []string
}

// modelWrite is a message or ping of the program.
type modelWrite struct {
	start, end int64 // of the call, by the model's clock
	direct     bool  // it is not put aside: the network has it all when the call returns nil
	err        error // of the call
	arrived    bool
}

// eachSeed plays rounds, each with a seed of its own, which is its name.
func eachSeed(t *testing.T, rounds uint64, play func(t *testing.T, m *model)) {
	first := modelNumber("WEBSOCKET_TEST_SEED", uint64(time.Now().UnixNano()%1e6))
	for seed := first; seed < first+rounds; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			m := &model{seed: seed}
			play(t, m)
			for _, problem := range m.problems[:min(len(m.problems), 5)] {
				t.Errorf("calm %t: %s", m.calm, problem)
			}
		})
	}
}

func modelNumber(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

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

// The model notices writes that are lost, repeated or cut off, in most runs: some lose an answer to a ping only.
func TestModelNoticesFaults(t *testing.T) {
	runs := uint64(10)
	if raceEnabled {
		runs = 4
	}
	for name, fault := range map[string]func(p []byte) []byte{
		"lost":     func([]byte) []byte { return nil },
		"repeated": func(p []byte) []byte { return append(p[:len(p):len(p)], p...) },
		"cut off":  func(p []byte) []byte { return p[:len(p)-1] },
	} {
		noticed := uint64(0)
		for seed := range runs {
			synctest.Test(t, func(t *testing.T) {
				near, far := newPipe(t, 1000)
				writes := 0
				m := &model{seed: seed, unit: time.Millisecond, calm: true}
				m.play(t, writeFunc{near, func(p []byte) (int, error) {
					if writes++; writes%5 != 0 {
						return near.Write(p)
					}
					_, err := near.Write(fault(p))
					return len(p), err
				}}, far, seed%2 == 0)
				if len(m.problems) > 0 {
					noticed++
				}
			})
		}
		if noticed < runs/3 {
			t.Errorf("%s: got problems in %d of %d runs, want them in most", name, noticed, runs)
		}
	}
}

func (m *model) problem(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problems = append(m.problems, fmt.Sprintf(format, args...))
}

func (m *model) source(goroutine uint64) *rand.Rand { return rand.New(rand.NewPCG(m.seed, goroutine)) }

// some returns up to n units.
func (m *model) some(r *rand.Rand, n int) time.Duration { return time.Duration(r.IntN(n)) * m.unit }

// moment is a deadline of a write within n units, or none.
func (m *model) moment(r *rand.Rand, n int) time.Time {
	if m.calm {
		return time.Time{}
	}
	return time.Now().Add(m.some(r, n))
}

// context is one that ends before a call, during it, or not; never during a write if the run is calm.
func (m *model) context(r *rand.Rand, write bool) (context.Context, context.CancelFunc) {
	d := m.some(r, 1<<r.IntN(13))
	if m.calm && write {
		d = time.Hour
	}
	return context.WithTimeout(context.Background(), d)
}

// play plays the run of the seed.
func (m *model) play(t testing.TB, near, far net.Conn, server bool) {
	r, o := m.source(1), connOptions{}
	m.calm = m.calm || r.IntN(3) == 0
	m.closes = m.calm && m.memory && r.IntN(4) == 0
	if r.IntN(2) == 0 {
		o = compressedOptions(t, CompressionOptions{ContextTakeover: r.IntN(2) == 0, Threshold: 1})
	}
	m.wire = &wire{Conn: far, m: m}
	m.peer = newConn(m.wire, !server, nil, o)
	m.peer.SetReadLimit(largestMessage)
	o.writeThrough = r.IntN(4) == 0
	if r.IntN(3) == 0 && !m.calm {
		o.pingInterval, o.pongTimeout = time.Millisecond+m.some(r, 2000), time.Millisecond+m.some(r, 2000)
		m.ending() // if the peer is silent
	}
	m.c = newConn(near, server, nil, o)
	m.c.SetReadLimit(largestMessage)
	m.handler, m.lastRead = m.source(2), time.Now()
	if r.IntN(6) == 0 {
		m.stream = NewStream(m.c, BinaryMessage)
	}
	if r.IntN(2) == 0 {
		m.c.SetPingHandler(func(string) error { return m.handle() })
		m.c.SetPongHandler(func(string) error { return m.handle() })
	}
	if r.IntN(2) == 0 && !m.calm {
		m.c.SetCloseHandler(func(int, string) error { return m.handle() })
	}
	var writers, others sync.WaitGroup
	sent := make(chan struct{})
	if m.calm || r.IntN(2) == 0 { // else the peer may end before its answer has left
		m.peer.SetCloseHandler(func(code int, _ string) error {
			<-sent // what comes behind the program's Close frame counts, too
			m.peer.WriteControl(CloseMessage, FormatCloseMessage(code, ""), time.Time{})
			return nil
		})
	}
	others.Go(func() {
		defer close(sent)
		m.send(m.source(3))
	})
	others.Go(func() { m.answer(m.source(4)) })
	m.write(0, func(p []byte) error { return m.c.WriteMessage(BinaryMessage, p) }) // some ways send no empty messages
	for i := range 1 + r.IntN(6) {
		writers.Go(func() { m.disturb(m.source(5 + uint64(i))) })
	}
	others.Go(func() {
		if writers.Wait(); m.closes {
			m.closeCorked()
		}
	})
	limit := 30_000 * m.unit
	if m.calm {
		limit = 10 * time.Minute
	}
	end := time.AfterFunc(limit, func() { // for a run that has no end of its own
		m.cutOff()
		m.c.Close()
		m.peer.Close()
	})
	defer end.Stop()
	var err error
	for goesOn := true; goesOn; {
		goesOn, err = m.read(r)
	}
	if m.calm {
		others.Wait()
	}
	m.ending()
	m.c.Close()
	others.Wait() // the peer receives what is left
	m.check(err)
}

// closeCorked calls Close, which sends what is corked.
func (m *model) closeCorked() {
	m.closing.Store(true)
	m.flush()
	m.c.Cork()
	m.write(100, func(p []byte) error { return m.c.WriteMessage(BinaryMessage, p) })
	m.ending()
	m.c.Close()
}

// ending notes that something begins which may end the connection.
func (m *model) ending() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == 0 {
		m.ended = m.clock.Add(1)
	}
}

// cutOff is ending, where the network loses bytes.
func (m *model) cutOff() {
	m.ending()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = true
}

// receivedAll reports whether the peer has received all that the network has taken.
func (m *model) receivedAll() bool {
	closeError := (*CloseError)(nil)
	return m.memory && !m.cut && errors.As(m.closed, &closeError)
}

// isOrderly reports whether reads have ended with a Close frame.
func isOrderly(err error) bool {
	var closeError *CloseError
	return errors.As(err, &closeError) && closeError.Code != CloseAbnormalClosure
}

// breaksRules reports whether reads have ended because one side has found that the other breaks rules.
func breaksRules(err error) bool {
	violation := (*protocolError)(nil)
	return errors.As(err, &violation) || err == ErrReadLimit || IsCloseError(err,
		CloseProtocolError, CloseUnsupportedData, CloseInvalidFramePayloadData, ClosePolicyViolation, CloseMessageTooBig)
}

// check checks what holds after the run, of which the program's reads have ended with err.
func (m *model) check(err error) {
	if breaksRules(err) || breaksRules(m.closed) {
		m.problem("got %v, and %v at the peer, and nobody has broken a rule", err, m.closed)
	}
	if isOrderly(err) && !m.slow && m.next != m.sent && m.next != m.sent+m.begun {
		m.problem("got %v behind %d messages, want %d", err, m.next, m.sent)
	}
	failed := slices.ContainsFunc(m.shutdowns, func(err error) bool { return err != nil && err != ErrCloseSent })
	if m.calm && !m.closes && !m.slow && (failed || !isOrderly(err) || !isOrderly(m.closed)) {
		m.problem("got %v, %v at the peer, and %v of Shutdown, want an orderly end", err, m.closed, m.shutdowns)
	}
	if _, _, err := m.c.ReadMessage(); err == nil {
		m.problem("got a message after Close")
	}
	if err := m.c.WriteMessage(TextMessage, nil); err == nil {
		m.problem("got a message sent after Close")
	}
	m.checkWrites()
}

// nothingSent reports whether the error says that nothing has happened.
func nothingSent(err error) bool {
	interrupted := errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "within a frame")
	return err == ErrCloseSent || err == errWriteTimeout || interrupted
}

// checkWrites compares what was reported with what has arrived.
func (m *model) checkWrites() {
	failed := &modelWrite{end: 1 << 62} // the first that has reported that the connection has failed
	for _, x := range m.writes {
		if x.err != nil && !nothingSent(x.err) && x.end < failed.end {
			failed = x
		}
	}
	if failed.end < m.ended {
		m.checkFailure(failed.err)
	}
	for id, x := range m.writes {
		switch {
		case x.err == nil && x.start > failed.end:
			m.problem("message %d was written after a write has returned %v", id, failed.err)
		case x.arrived && (nothingSent(x.err) || x.start > failed.end):
			m.problem("got message %d at the peer, though its write returned %v", id, x.err)
		case x.err == nil && !x.arrived && (isOrderly(m.closed) || x.end < m.latest):
			m.problem("got the Close frame or a later message at the peer, and not message %d", id)
		case x.err == nil && !x.arrived && m.receivedAll() && (x.direct || m.closes || x.end < m.flushed):
			m.problem("got no message %d at the peer, though it was sent and the network works", id)
		}
	}
}

// checkFailure checks that the writing has failed because a limit has ended a call within its message or frame, and
// that the peer has received a part of that frame. Over TLS it cannot tell.
func (m *model) checkFailure(err error) {
	if !isTimeout(err) && !errors.Is(err, context.DeadlineExceeded) {
		m.problem("the writing has failed, and no call was ended by its deadline or context: %v", err)
	}
	if m.tls || !m.receivedAll() || strings.Contains(err.Error(), "within a message") {
		return
	}
	if len(m.wire.rest) == 0 {
		m.problem("the writing has failed between two frames: %v", err)
	}
	if id := m.wire.torn(); id > 0 && (m.writes[id].err == nil || nothingSent(m.writes[id].err)) {
		m.problem("the peer has a part of message %d, whose write returned %v", id, m.writes[id].err)
	}
}

// handle is a handler, which does what handlers do.
func (m *model) handle() error {
	if !m.busy {
		m.problem("got a handler called where no read is at work, or another handler is")
	}
	m.busy = false
	defer func() { m.busy = true }()
	r := m.handler
	switch k := r.IntN(12); {
	case k == 0:
		time.Sleep(m.some(r, 1500))
	case m.calm:
	case k == 1:
		m.ending()
		m.c.Close()
	case k == 2:
		m.shutdown(r)
	case k == 3:
		panic(errMine)
	case k == 4:
		return errMine
	case k == 5 && m.stream == nil:
		m.write(r.IntN(3000), func(p []byte) error { return m.c.WriteMessage(BinaryMessage, p) })
	}
	return nil
}

func (m *model) shutdown(r *rand.Rand) {
	ctx, cancel := m.context(r, true)
	defer cancel()
	m.ending()
	err := m.c.Shutdown(ctx, CloseNormalClosure, "")
	if err == nil && m.c.readLock.phase() != phaseClosed {
		m.problem("got nil of Shutdown, and no Close frame has come")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shutdowns = append(m.shutdowns, err)
}

// write writes a message of the program, which begins with its number.
func (m *model) write(size int, by func(p []byte) error) { m.writeAs(modelWrite{}, size, by) }

// writeDirect is write, for a message that is not put aside.
func (m *model) writeDirect(size int, by func(p []byte) error) {
	m.writeAs(modelWrite{direct: true}, size, by)
}

func (m *model) writeAs(x modelWrite, size int, by func(p []byte) error) {
	x.start = m.clock.Add(1)
	m.mu.Lock()
	id := len(m.writes)
	m.writes = append(m.writes, &x)
	m.mu.Unlock()
	p := withNumber(id, size)
	err := by(p)
	if !bytes.Equal(p, withNumber(id, size)) {
		m.problem("a write has changed message %d", id)
	}
	m.mu.Lock()
	x.err, x.end = err, m.clock.Add(1)
	m.mu.Unlock()
}

// send sends the peer's messages and control frames, and may end the connection.
func (m *model) send(r *rand.Rand) {
	ping := 0
	for range r.IntN(60) {
		m.peer.SetWriteDeadline(m.moment(r, 500))
		p := withNumber(m.sent, r.IntN(1<<r.IntN(18)))
		switch r.IntN(6) {
		case 0:
			for range 1 + r.IntN(8) {
				ping++
				m.peer.WriteControl(PingMessage, strconv.AppendInt(nil, int64(ping), 10), m.moment(r, 100))
			}
		case 1:
			m.peer.WriteControl(PongMessage, nil, m.moment(r, 100))
		case 2:
			time.Sleep(m.some(r, 800))
		case 3:
			if w, err := m.peer.NextWriter(BinaryMessage); err == nil {
				if m.writeFragments(r, w, p) != nil {
					m.begun = 1
					return // it cannot go on
				}
				m.sent++
			}
		default:
			if m.peer.WriteMessage(BinaryMessage, p) == nil {
				m.sent++ // else the next one has its number
			}
		}
	}
	m.peer.SetWriteDeadline(time.Time{})
	switch k := r.IntN(4); {
	case m.closes:
	case k == 0 || m.calm:
		code := []int{CloseNormalClosure, CloseNoStatusReceived}[r.IntN(2)] // the latter without a payload
		m.peer.WriteControl(CloseMessage, FormatCloseMessage(code, ""), m.moment(r, 500))
	case k == 1:
		m.cutOff()
		m.peer.NetConn().Close()
	}
}

// writeFragments writes a message piece by piece.
func (m *model) writeFragments(r *rand.Rand, w io.WriteCloser, p []byte) error {
	for len(p) > 0 {
		n, err := w.Write(p[:min(len(p), 1+r.IntN(20_000))])
		if err != nil {
			if w.Close() == nil {
				m.problem("Close sends a message although Write has returned %v", err)
			}
			return err
		}
		if p = p[n:]; r.IntN(4) == 0 {
			time.Sleep(m.some(r, 50))
		}
	}
	return w.Close()
}

// answer reads what the peer gets, sometimes nothing for a while.
func (m *model) answer(r *rand.Rand) {
	pong := 0
	m.peer.SetPongHandler(func(s string) error {
		n, _ := strconv.Atoi(s)
		if n <= pong {
			m.problem("got pong %q at the peer behind pong %d", s, pong)
		}
		pong = n
		return nil
	})
	m.peer.SetPingHandler(func(s string) error {
		if id, _ := numberOf([]byte(s)); id > 0 { // else it is a ping of Conn.Ping or of keepalive
			m.arrive([]byte(s))
		}
		m.peer.reply(opPong, []byte(s))
		return nil
	})
	if r.IntN(4) == 0 && !m.closes {
		time.Sleep(m.some(r, 3000))
	}
	for {
		_, p, err := m.peer.ReadMessage()
		if err != nil {
			m.closed = err
			break
		}
		m.arrive(p)
		if r.IntN(4) == 0 && !m.closing.Load() { // so that deadlines pass within frames, and in batches of several
			time.Sleep(m.some(r, 1<<r.IntN(9)))
		}
	}
	m.wire.SetReadDeadline(time.Now().Add(m.some(r, 300)))
	io.Copy(io.Discard, m.wire) // what the wire should not see
	m.ending()
	m.peer.Close()
}

// arrive notes a message or ping that has come to the peer.
func (m *model) arrive(p []byte) {
	m.mu.Lock()
	id, whole := numberOf(p)
	wrong := !whole || id >= len(m.writes) || m.writes[id].arrived
	late := false
	if !wrong {
		x := m.writes[id]
		late = x.end > 0 && x.end < m.latest
		m.latest, x.arrived = max(m.latest, x.start), true
	}
	m.mu.Unlock()
	if wrong {
		m.problem("got %d bytes %.20q at the peer, want a message that is expected", len(p), p)
	} else if late {
		m.problem("got message %d at the peer behind one that was written later", id)
	}
}

// disturb does what goes on beside the reads.
func (m *model) disturb(r *rand.Rand) {
	k := r.IntN(12)
	if k < 4 { // else several write from the beginning
		time.Sleep(m.some(r, 1<<r.IntN(12)))
	}
	switch {
	case k < 2 && !m.closes:
		m.shutdown(r)
	case k == 2 && !m.calm:
		m.ending()
		m.c.Close()
	case k == 3:
		for range r.IntN(30) {
			m.c.SetReadDeadline(time.Now().Add(m.some(r, 100) - 20*m.unit))
			time.Sleep(m.some(r, 30))
		}
		m.c.SetReadDeadline(time.Time{})
	default:
		for range r.IntN(100) {
			m.writeSome(r)
		}
	}
}

// writeSome writes in one of all ways.
func (m *model) writeSome(r *rand.Rand) {
	ctx, cancel := m.context(r, true)
	defer cancel()
	size := r.IntN(1 << (5 + r.IntN(11)))
	if r.IntN(100) == 0 {
		size = 150_000 // a client masks it in three pieces
	}
	plain := func(p []byte) error { return m.c.WriteMessage(BinaryMessage, p) }
	switch k := r.IntN(16); {
	case k < 3:
		m.c.SetWriteDeadline(m.moment(r, 1<<(6+r.IntN(8)))) // one in the past fails all writes
	case k == 3:
		time.Sleep(m.some(r, 100))
	case k == 4:
		m.c.Ping(ctx)
	case m.stream != nil: // each Write is a message
		m.stream.SetWriteDeadline(m.moment(r, 1<<r.IntN(12)))
		m.write(min(size, maxStreamPayload-100), m.writeStream)
	case k < 7:
		m.writeDirect(size, func(p []byte) error { return m.c.WriteMessageContext(ctx, TextMessage, p) })
	case k == 7:
		m.write(size%100, func(p []byte) error { return m.c.WriteControl(PingMessage, p, m.moment(r, 1<<r.IntN(12))) })
	case k == 8:
		m.write(size, func(p []byte) error { return answers["WritePreparedMessage"](m.c, TextMessage, p) })
	case k < 11 && m.writer.TryLock():
		defer m.writer.Unlock()
		m.write(size, func(p []byte) error {
			w, err := m.c.NextWriter(TextMessage)
			if err != nil {
				return err
			}
			return m.writeFragments(r, w, p)
		})
	case k == 11:
		m.c.Cork()
		for range r.IntN(6) {
			m.write(r.IntN(2000), plain)
		}
		time.Sleep(m.some(r, 20))
		m.flush()
	default:
		m.write(size, plain)
	}
}

func (m *model) flush() {
	start := m.clock.Add(1)
	if m.c.Flush() == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.flushed = max(m.flushed, start)
	}
}

func (m *model) writeStream(p []byte) error {
	n, err := m.stream.Write(p)
	if (err == nil) != (n == len(p)) || n > 0 && n < len(p) {
		m.problem("got %d, %v of a stream's Write of %d bytes", n, err, len(p))
	}
	if err == os.ErrDeadlineExceeded {
		return errWriteTimeout // it has done nothing
	}
	return err
}

// read calls a function that reads, and reports whether the program goes on reading.
func (m *model) read(r *rand.Rand) (goesOn bool, err error) {
	if r.IntN(10) == 0 {
		time.Sleep(m.some(r, 1500))
	}
	start := time.Now()
	m.slow = m.slow || start.Sub(m.lastRead) >= claimTime
	m.busy = true
	defer func() {
		m.busy = false
		if err := recover(); err != nil {
			if goesOn = true; err != errMine {
				panic(err)
			}
		}
	}()
	p, complete, err := m.readSome(r)
	interrupted := isTimeout(err) || errors.Is(err, context.DeadlineExceeded)
	ended := m.open != nil && complete // with io.EOF
	if !ended && (!interrupted || time.Now().After(start)) {
		m.lastRead = time.Now()
	}
	switch {
	case err == nil && complete:
		m.open = nil
		if id, whole := numberOf(p); id != m.next-1 || !whole {
			m.problem("got %d bytes %.20q, want message %d", len(p), p, m.next-1)
		}
		return true, nil
	case err == nil:
		return true, nil
	case err == errDiscarded && !m.slow:
		m.problem("got %v, and the program has not paused", err)
		return false, err
	case m.c.readLock.phase() != phaseOpen && !(m.calm && interrupted): // else the end follows
		return false, err
	case !interrupted:
		m.problem("got %v, and the reading has not ended", err)
	}
	m.c.SetReadDeadline(time.Time{})
	return true, nil
}

// readSome reads a message, or some of it.
func (m *model) readSome(r *rand.Rand) (p []byte, complete bool, err error) {
	if m.open != nil && r.IntN(20) > 0 { // else the rest of it is discarded
		p = make([]byte, 1+r.IntN(30_000))
		n, err := m.open.Read(p)
		if m.got = append(m.got, p[:n]...); err == io.EOF {
			return m.got, true, nil
		}
		return nil, false, err
	}
	if id, _ := numberOf(m.got); m.open != nil && id != m.next-1 && len(m.got) > 16 {
		m.problem("got %d bytes %.20q, want some of message %d", len(m.got), m.got, m.next-1)
	}
	m.open, m.got = nil, nil
	const before = "before"
	switch r.IntN(4) {
	case 0:
		_, p, err = m.c.ReadMessage()
	case 1:
		if _, p, err = m.c.AppendMessage(append(make([]byte, 0, 100), before...)); !bytes.HasPrefix(p, []byte(before)) {
			m.problem("got %.20q, want what was there before", p)
		}
		p = bytes.TrimPrefix(p, []byte(before))
	case 2:
		ctx, cancel := m.context(r, false)
		_, p, err = m.c.ReadMessageContext(ctx)
		cancel()
	case 3:
		var message io.Reader
		if _, message, err = m.c.NextReader(); err == nil {
			m.open, m.got = message, []byte{}
			m.next++
		}
		return nil, false, err
	}
	if err == nil {
		m.next++
	}
	return p, true, err
}

// largestMessage is the size of the largest message.
const largestMessage = 150_100

// modelText is what messages are made of: characters of two bytes, which repeat, so that messages can be compressed.
var modelText = func() (text []byte) {
	for _, b := range noise(largestMessage, 1) {
		text = utf8.AppendRune(text, 'Ā'+rune(b%16))
	}
	return text
}()

// withNumber returns a message with a number: the number, the size of the text behind it, and the text. Message 0 is
// empty.
func withNumber(id, size int) []byte {
	if id == 0 {
		return []byte{}
	}
	size += size % 2 // for whole characters
	return append(fmt.Appendf(nil, "%d %d ", id, size), textOf(id)[:size]...)
}

// textOf returns what the text of a message begins with.
func textOf(id int) []byte { return modelText[id%1000*2:] }

// numberOf returns the number of a message, and whether all of it is there. The number is -1 if the message is not as
// withNumber has made it, or too much of it is missing.
func numberOf(p []byte) (id int, whole bool) {
	if len(p) == 0 {
		return 0, true
	}
	parts := bytes.SplitN(p, []byte(" "), 3)
	if len(parts) < 3 {
		return -1, false
	}
	id, err := strconv.Atoi(string(parts[0]))
	if err != nil || id < 0 || !bytes.HasPrefix(textOf(id), parts[2]) {
		return -1, false
	}
	return id, string(parts[1]) == strconv.Itoa(len(parts[2]))
}

// wire is the peer's end of the network, which looks at each frame that the peer receives. It knows no more of the
// protocol than where a frame ends, and what a Close frame is.
type wire struct {
	net.Conn
	m      *model
	rest   []byte // the beginning of a frame, the rest of which has not come
	closed bool   // a Close frame has come
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.rest = append(w.rest, p[:n]...)
	for {
		h, head, err := parseHeader(w.rest)
		if err != nil {
			w.m.problem("got a header at the peer: %v", err)
		}
		if w.closed && len(w.rest) > 0 {
			w.m.problem("got % .20x at the peer behind a Close frame", w.rest)
		}
		if head == 0 || int64(len(w.rest)-head) < h.length {
			break
		}
		w.closed = w.closed || h.opcode == opClose
		w.rest = w.rest[head+int(h.length):]
	}
	return n, err
}

// torn returns the number of the message in the last frame, of which a part is missing, or -1 if that cannot be read.
func (w *wire) torn() int {
	h, n, _ := parseHeader(w.rest)
	payload := bytes.Clone(w.rest[n:])
	if h.masked {
		maskEach(payload, h.key, 0)
	}
	id, _ := numberOf(payload)
	if h.rsv1 || h.opcode == opContinuation {
		return -1
	}
	return id
}
