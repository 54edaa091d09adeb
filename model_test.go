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
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// endModel is a run in which a connection ends in some way, or in several at once, while messages with numbers go
// in both directions. Each goroutine has its own source of random numbers, so that a seed repeats what it does.
type endModel struct {
	*testing.T
	c, peer *Conn
	unit    time.Duration // of the pauses and deadlines
	busy    bool          // a read of the program is at work
	handler *rand.Rand    // of the handlers

	next, sent int  // messages that the program has read, and that the peer has sent
	begun      int  // 1 if the peer has begun another one
	slow       bool // the program has not read for claimTime, so that Shutdown may have discarded messages

	clock  atomic.Int64
	mu     sync.Mutex
	writes []*endWrite // of the program; that of message i is writes[i]
	closed error       // what the peer's reads have ended with
}

// endWrite is a message of the program.
type endWrite struct {
	start, end int64 // of the call, by the model's clock
	err        error // of the call
	arrived    bool
}

// However a connection ends, and whatever else goes on, every call returns; handlers run in the
// program's reads only, one at a time; messages arrive whole, once and in order, in both directions, and all of
// them before a Close frame, unless the program did not read them in time for Shutdown; what was reported as not
// sent does not arrive; Shutdown returns nil only if the peer's Close frame has come; after Close no call succeeds, and
// nothing is held.
func TestEndModel(t *testing.T) {
	tlsTestConfigs() // outside of bubbles
	rounds := modelNumber("WEBSOCKET_TEST_ROUNDS", 100)
	eachEnd(t, rounds, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		synctest.Test(t, func(t *testing.T) {
			var near, far net.Conn
			near, far = newPipe(t, 50+r.IntN(1<<r.IntN(17)))
			switch r.IntN(4) {
			case 0, 1:
				near = wrappedConn{near}
			case 2:
				if !raceEnabled { // as for TestSendModel
					near, far = overTLS(t, near, far)
				}
			}
			m := &endModel{T: t, unit: time.Millisecond}
			m.play(seed, near, far, r.IntN(2) == 0)
			synctest.Wait()
			if got := borrowed(m.c); got != "" {
				t.Errorf("got that %s was not given back", got)
			}
		})
	})

	// The same over sockets, where time passes.
	eachLink(t, func(t *testing.T, l testLink) {
		eachEnd(t, (rounds+99)/100, func(t *testing.T, seed uint64) {
			t.Parallel()
			near, far := l.pair(t)
			smallBuffer(near)
			m := &endModel{T: t, unit: 10 * time.Microsecond}
			m.play(seed, near, far, l.server)
		})
	})
}

// eachEnd plays rounds, each with a seed of its own, which is its name.
func eachEnd(t *testing.T, rounds uint64, play func(t *testing.T, seed uint64)) {
	first := modelNumber("WEBSOCKET_TEST_SEED", uint64(time.Now().UnixNano()%1e6))
	for seed := first; seed < first+rounds; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { play(t, seed) })
	}
}

// some returns up to n units.
func (m *endModel) some(r *rand.Rand, n int) time.Duration { return time.Duration(r.IntN(n)) * m.unit }

func (m *endModel) context(r *rand.Rand) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), m.some(r, 4000))
}

// play plays the run of the seed.
func (m *endModel) play(seed uint64, near, far net.Conn, server bool) {
	source := func(goroutine uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, goroutine)) }
	r, o := source(1), connOptions{}
	if r.IntN(2) == 0 {
		options := CompressionOptions{ContextTakeover: r.IntN(2) == 0, Threshold: 1}
		answer := negotiate(m.T, options, options)
		o.agreed.deflate, o.compression = &answer, options
	}
	m.peer = newConn(far, !server, nil, o)
	if r.IntN(3) == 0 {
		o.pingInterval, o.pongTimeout = time.Millisecond+m.some(r, 2000), time.Millisecond+m.some(r, 2000)
	}
	m.c = newConn(near, server, nil, o)
	m.handler = source(2)
	if r.IntN(2) == 0 {
		m.c.SetPingHandler(func(string) error { return m.handle() })
		m.c.SetPongHandler(func(string) error { return m.handle() })
	}
	if r.IntN(2) == 0 {
		m.c.SetCloseHandler(func(int, string) error { return m.handle() })
	}
	var others sync.WaitGroup
	others.Go(func() { m.send(source(3)) })
	others.Go(func() { m.answer(source(4)) })
	for i := range r.IntN(4) {
		others.Go(func() { m.disturb(source(5 + uint64(i))) })
	}
	end := time.AfterFunc(30_000*m.unit, func() { m.c.Close() }) // for a run that has no end of its own
	defer end.Stop()
	var err error
	for goesOn := true; goesOn; {
		goesOn, err = m.read(r)
	}
	m.c.Close()
	m.peer.Close()
	others.Wait()
	if closeError := (*CloseError)(nil); errors.As(err, &closeError) && closeError.Code != CloseAbnormalClosure &&
		!m.slow && m.next != m.sent && m.next != m.sent+m.begun {
		m.Errorf("got %v behind %d messages, want %d", err, m.next, m.sent)
	}
	m.check()
}

// check checks what holds after the run.
func (m *endModel) check() {
	if _, _, err := m.c.ReadMessage(); err == nil {
		m.Error("got a message after Close")
	}
	if err := m.c.WriteMessage(TextMessage, nil); err == nil {
		m.Error("got a message sent after Close")
	}
	var closeError *CloseError
	orderly := errors.As(m.closed, &closeError) && closeError.Code != CloseAbnormalClosure
	for id, x := range m.writes {
		if x.err == nil && !x.arrived && orderly {
			m.Errorf("got the Close frame at the peer, and not message %d, which was written before", id)
		}
		if x.arrived && nothingSent(x.err) {
			m.Errorf("got message %d at the peer, though its write returned %v", id, x.err)
		}
	}
}

// handle is a handler, which does what handlers do.
func (m *endModel) handle() error {
	if !m.busy {
		m.Error("got a handler called where no read is at work, or another handler is")
	}
	m.busy = false
	defer func() { m.busy = true }()
	r := m.handler
	switch r.IntN(12) {
	case 0:
		m.c.Close()
	case 1:
		m.shutdown(r)
	case 2:
		panic(errMine)
	case 3:
		time.Sleep(m.some(r, 1500))
	case 4:
		return errMine
	case 5:
		m.write(r, 3000, m.c.WriteMessage)
	}
	return nil
}

func (m *endModel) shutdown(r *rand.Rand) {
	ctx, cancel := m.context(r)
	defer cancel()
	if err := m.c.Shutdown(ctx, CloseNormalClosure, ""); err == nil && m.c.readLock.phase() != phaseClosed {
		m.Error("got nil of Shutdown, and no Close frame has come")
	}
}

// write writes a message of the program, which begins with its number.
func (m *endModel) write(r *rand.Rand, most int, write func(messageType int, p []byte) error) {
	x := &endWrite{start: m.clock.Add(1)}
	m.mu.Lock()
	id := len(m.writes)
	m.writes = append(m.writes, x)
	m.mu.Unlock()
	err := write(BinaryMessage, withNumber(id, r.IntN(most)))
	m.mu.Lock()
	x.err, x.end = err, m.clock.Add(1)
	m.mu.Unlock()
}

// send sends the peer's messages and control frames, and may end the connection.
func (m *endModel) send(r *rand.Rand) {
	for range r.IntN(30) {
		m.peer.SetWriteDeadline(time.Now().Add(m.some(r, 500)))
		switch r.IntN(6) {
		case 0:
			m.peer.WriteControl(PingMessage, nil, time.Now().Add(m.some(r, 100)))
		case 1:
			m.peer.WriteControl(PongMessage, nil, time.Now().Add(m.some(r, 100)))
		case 2:
			time.Sleep(m.some(r, 800))
		case 3:
			if w, err := m.peer.NextWriter(BinaryMessage); err == nil {
				_, err = w.Write(withNumber(m.sent, r.IntN(20_000)))
				time.Sleep(m.some(r, 50))
				if w.Close() != nil || err != nil {
					m.begun = 1
					return // it cannot go on
				}
				m.sent++
			}
		default:
			if m.peer.WriteMessage(BinaryMessage, withNumber(m.sent, r.IntN(1<<r.IntN(16)))) == nil {
				m.sent++ // else the next one has its number
			}
		}
	}
	m.peer.SetWriteDeadline(time.Time{})
	switch r.IntN(4) {
	case 0:
		m.peer.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), time.Now().Add(m.some(r, 500)))
	case 1:
		m.peer.NetConn().Close()
	}
}

// answer reads what the peer gets, sometimes nothing for a while.
func (m *endModel) answer(r *rand.Rand) {
	if r.IntN(4) == 0 {
		time.Sleep(m.some(r, 3000))
	}
	var latest int64
	for {
		_, p, err := m.peer.ReadMessage()
		m.mu.Lock()
		if err != nil {
			m.closed = err
			m.mu.Unlock()
			break
		}
		id := numberOf(p)
		if id < 0 || id >= len(m.writes) || m.writes[id].arrived {
			m.Errorf("got %d bytes %.20q at the peer, want a message that is expected", len(p), p)
			id = 0
		}
		x := m.writes[id]
		if x.end > 0 && x.end < latest {
			m.Errorf("got message %d at the peer behind one that was written later", id)
		}
		latest, x.arrived = max(latest, x.start), true
		m.mu.Unlock()
		if r.IntN(10) == 0 {
			time.Sleep(m.some(r, 300))
		}
	}
	time.Sleep(m.some(r, 300))
	m.peer.Close()
}

// disturb does what goes on beside the reads.
func (m *endModel) disturb(r *rand.Rand) {
	time.Sleep(m.some(r, 2000))
	switch r.IntN(8) {
	case 0, 1:
		m.shutdown(r)
	case 2:
		m.c.Close()
	case 3:
		for range r.IntN(30) {
			m.c.SetReadDeadline(time.Now().Add(m.some(r, 100) - 20*m.unit))
			time.Sleep(m.some(r, 30))
		}
		m.c.SetReadDeadline(time.Time{})
	case 4, 5:
		for range r.IntN(20) {
			ctx, cancel := m.context(r)
			m.c.SetWriteDeadline(time.Now().Add(m.some(r, 200)))
			m.write(r, 30_000, m.c.WriteMessage)
			m.write(r, 30_000, func(messageType int, p []byte) error { return m.c.WriteMessageContext(ctx, messageType, p) })
			m.c.Ping(ctx)
			cancel()
		}
	case 6:
		for range r.IntN(20) {
			m.c.Cork()
			for range r.IntN(4) {
				m.write(r, 2000, m.c.WriteMessage)
			}
			time.Sleep(m.some(r, 20))
			m.c.Flush()
		}
	case 7: // each Write of a stream is a message
		s := NewStream(m.c, BinaryMessage)
		for range r.IntN(20) {
			m.write(r, 5000, func(_ int, p []byte) error {
				n, err := s.Write(p)
				if (err == nil) != (n == len(p)) {
					m.Errorf("got %d, %v of a stream's Write of %d bytes", n, err, len(p))
				}
				return err
			})
		}
	}
}

// read calls a function that reads, and reports whether the program goes on reading.
func (m *endModel) read(r *rand.Rand) (goesOn bool, err error) {
	if r.IntN(10) == 0 {
		pause := m.some(r, 1500)
		time.Sleep(pause)
		m.slow = m.slow || pause >= claimTime
	}
	m.busy = true
	defer func() {
		m.busy = false
		if err := recover(); err != nil {
			if goesOn = true; err != errMine {
				panic(err)
			}
		}
	}()
	var p []byte
	switch r.IntN(4) {
	case 0:
		_, p, err = m.c.ReadMessage()
	case 1:
		_, p, err = m.c.AppendMessage(make([]byte, 3, 100))
		p = p[3:]
	case 2:
		ctx, cancel := m.context(r)
		defer cancel()
		_, p, err = m.c.ReadMessageContext(ctx)
	case 3:
		var message io.Reader
		if _, message, err = m.c.NextReader(); err == nil {
			m.next++ // the rest of it is skipped
			message.Read(make([]byte, 1+r.IntN(5000)))
			return true, nil
		}
	}
	if err == nil {
		if id := numberOf(p); id != m.next {
			m.Errorf("got %d bytes %.20q, want message %d", len(p), p, m.next)
		}
		m.next++
		return true, nil
	}
	switch {
	case err == errDiscarded && !m.slow:
		m.Errorf("got %v, and the program has not paused", err)
	case m.c.readLock.phase() != phaseOpen:
		return false, err
	case !isTimeout(err) && !errors.Is(err, context.DeadlineExceeded):
		m.Errorf("got %v, and the reading has not ended", err)
	}
	m.c.SetReadDeadline(time.Time{})
	return true, err
}

// withNumber returns a message that begins with its number, with size more bytes.
func withNumber(id, size int) []byte {
	return append(fmt.Appendf(nil, "%d ", id), noise(size, uint64(id))...)
}

// numberOf returns the number of a message, or -1 if it is not as withNumber has made it.
func numberOf(p []byte) int {
	head, tail, _ := bytes.Cut(p, []byte(" "))
	id, err := strconv.Atoi(string(head))
	if err != nil || !bytes.Equal(p, withNumber(id, len(tail))) {
		return -1
	}
	return id
}

// readModel is a run in which a peer sends numbered messages, and the program reads them in all ways,
// interrupted by deadlines and contexts, while goroutines call Shutdown.
type readModel struct {
	*testing.T
	rand *rand.Rand // of the program
	c    *Conn
	next int           // the number of the message that the program reads next
	open io.Reader     // the reader of a message that is not read to its end
	got  []byte        // of that message
	last time.Time     // when the program has read last
	slow time.Duration // the longest time that it has not read for
	busy bool          // a read of the program is at work
}

// Whatever interrupts its reads, the program gets each message once, whole, and in order, and then the
// peer's Close frame, though Shutdown is at work. Only if it does not read for claimTime may a read
// fail with errDiscarded instead; no message comes behind those that were discarded.
func TestReadModel(t *testing.T) {
	tlsTestConfigs() // outside
	first := modelNumber("WEBSOCKET_TEST_SEED", uint64(time.Now().UnixNano()%1e6))
	for i := range modelNumber("WEBSOCKET_TEST_ROUNDS", 100) {
		seed := first + i
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			synctest.Test(t, func(t *testing.T) {
				var near, far net.Conn
				near, far = newPipe(t, 100+random.IntN(1<<18))
				switch random.IntN(3) {
				case 0:
					if !raceEnabled { // as for TestSendModel
						near, far = overTLS(t, near, far)
					}
				case 1:
					near = wrappedConn{near}
				}
				playReads(t, seed, near, far, random.IntN(2) == 0, 20+random.IntN(60))
			})
		})
	}
}

// The same over sockets, where time passes.
func TestReadModelOfSockets(t *testing.T) {
	first := modelNumber("WEBSOCKET_TEST_SEED", uint64(time.Now().UnixNano()%1e6))
	eachLink(t, func(t *testing.T, l testLink) {
		t.Parallel()
		for i := range (modelNumber("WEBSOCKET_TEST_ROUNDS", 100) + 99) / 100 {
			seed := first + i
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				near, far := l.pair(t)
				playReads(t, seed, near, far, l.server, 5)
			})
		}
	})
}

// playReads plays a run in which the peer sends count messages.
func playReads(t *testing.T, seed uint64, near, far net.Conn, server bool, count int) {
	random := rand.New(rand.NewPCG(seed, 2))
	o := connOptions{}
	if random.IntN(2) == 0 {
		options := CompressionOptions{ContextTakeover: random.IntN(2) == 0, Threshold: 1}
		answer := negotiate(t, options, options)
		o.agreed.deflate, o.compression = &answer, options
	}
	peer := newConn(far, !server, nil, o)
	m := &readModel{T: t, rand: random, c: newConn(near, server, nil, o), last: time.Now()}
	sent := make(chan struct{})
	go sendNumbered(peer, rand.New(rand.NewPCG(seed, 1)), count, sent)
	go func() { // which answers the Close frame behind the last message
		peer.SetCloseHandler(func(code int, _ string) error {
			<-sent
			return peer.WriteControl(CloseMessage, FormatCloseMessage(code, ""), time.Time{})
		})
		for _, _, err := peer.ReadMessage(); err == nil; _, _, err = peer.ReadMessage() {
		}
		peer.Close()
	}()
	shutdowns := make(chan error, 3)
	calls := 1 + random.IntN(3)
	start := time.Duration(random.IntN(300)) * time.Millisecond
	for range calls {
		go func() {
			time.Sleep(start)
			shutdowns <- m.c.Shutdown(context.Background(), CloseNormalClosure, "")
		}()
	}
	m.handle()
	m.readAll(count)
	for range calls {
		if err := <-shutdowns; err != nil {
			t.Errorf("Shutdown: got %v, want nil", err)
		}
	}
	if got := borrowed(m.c); got != "" {
		t.Errorf("got that %s was not given back", got)
	}
}

// messageOf returns a message that begins with its number, or an empty one.
func messageOf(i int, random *rand.Rand) []byte {
	if isEmpty(i) {
		return nil
	}
	return append(fmt.Appendf(nil, "%d ", i), noise(random.IntN(1<<random.IntN(17)), uint64(i))...)
}

// isEmpty reports whether the message with the number is empty.
func isEmpty(i int) bool { return i%7 == 3 }

// sendNumbered sends messages in various ways.
func sendNumbered(peer *Conn, random *rand.Rand, count int, sent chan<- struct{}) {
	defer close(sent)
	for i := range count {
		message := messageOf(i, random)
		switch random.IntN(4) {
		case 0:
			peer.WriteControl(PingMessage, []byte("between"), time.Time{})
			peer.WriteControl(PongMessage, []byte("between"), time.Time{})
			fallthrough
		case 1:
			peer.WriteMessage(BinaryMessage, message)
		default:
			w, _ := peer.NextWriter(BinaryMessage)
			for len(message) > 0 {
				n := min(len(message), 1+random.IntN(20_000))
				w.Write(message[:n])
				message = message[n:]
				if random.IntN(4) == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			w.Close()
		}
		if random.IntN(4) == 0 {
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		}
	}
}

// handle sets handlers, which must run in the program's reads only: the race detector sees that, too.
func (m *readModel) handle() {
	called := func(what string) {
		if !m.busy {
			m.Errorf("got the %s handler called by Shutdown", what)
		}
	}
	m.c.SetPingHandler(func(text string) error {
		called("ping")
		m.c.WriteControl(PongMessage, []byte(text), time.Time{})
		return nil
	})
	m.c.SetPongHandler(func(string) error {
		called("pong")
		return nil
	})
	m.c.SetCloseHandler(func(code int, _ string) error {
		called("close")
		m.c.WriteControl(CloseMessage, FormatCloseMessage(code, ""), time.Time{})
		return nil
	})
}

// readAll reads until the end.
func (m *readModel) readAll(count int) {
	for {
		switch m.rand.IntN(20) {
		case 0:
			time.Sleep(time.Duration(m.rand.IntN(1200)) * time.Millisecond)
		case 1, 2:
			m.c.SetReadDeadline(time.Time{})
		case 3, 4, 5:
			m.c.SetReadDeadline(time.Now().Add(time.Duration(m.rand.IntN(5)-1) * time.Millisecond))
		case 6: // while it waits
			at := time.Now().Add(time.Duration(m.rand.IntN(20)) * time.Millisecond)
			time.AfterFunc(time.Millisecond, func() { m.c.SetReadDeadline(at) })
		}
		m.slow = max(m.slow, time.Since(m.last))
		m.busy = true
		err := m.read()
		m.busy = false
		m.last = time.Now()
		switch {
		case err == nil, isTimeout(err), errors.Is(err, context.DeadlineExceeded):
			continue
		case err == errDiscarded && m.slow >= claimTime:
			time.Sleep(time.Second)
			continue
		case IsCloseError(err, CloseNormalClosure):
			if m.next != count && m.slow < claimTime {
				m.Errorf("got the end behind %d messages, want %d", m.next, count)
			}
		default:
			m.Errorf("got %v behind %d messages", err, m.next)
		}
		return
	}
}

// read calls a function that reads, once.
func (m *readModel) read() (err error) {
	if m.open != nil && m.rand.IntN(50) > 0 { // else the rest of it is discarded
		p := make([]byte, 1+m.rand.IntN(30_000))
		n, err := m.open.Read(p)
		if m.got = append(m.got, p[:n]...); err == io.EOF {
			m.open = nil
			m.check(m.got, true)
			return m.read() // a pause that follows io.EOF would count from the read before
		}
		return err
	}
	if m.open != nil {
		m.open = nil
		m.check(m.got, false)
	}
	var p []byte
	switch m.rand.IntN(4) {
	case 0:
		_, p, err = m.c.ReadMessage()
	case 1:
		_, p, err = m.c.AppendMessage([]byte("before"))
		if string(p[:6]) != "before" {
			m.Fatalf("got %q, want what was there before", p[:6])
		}
		p = p[6:]
	case 2:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+m.rand.IntN(20))*time.Millisecond)
		_, p, err = m.c.ReadMessageContext(ctx)
		cancel()
	case 3:
		_, m.open, err = m.c.NextReader()
		m.got = nil
		return err
	}
	if err == nil {
		m.check(p, true)
	}
	return err
}

// check checks a message, or its beginning.
func (m *readModel) check(p []byte, whole bool) {
	number := m.next
	m.next++
	head := fmt.Sprintf("%d ", number)
	if isEmpty(number) {
		head = ""
	}
	if len(p) < len(head) && !whole {
		return
	}
	if isEmpty(number) && len(p) > 0 {
		m.Fatalf("got %d bytes, want message %d, which is empty", len(p), number)
	}
	if len(p) < len(head) || string(p[:len(head)]) != head ||
		string(p[len(head):]) != string(noise(len(p)-len(head), uint64(number))) {
		m.Fatalf("got %d bytes %.20q, want message %d", len(p), p, number)
	}
}
