//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// endModel is a run in which a connection ends in some way, or in several at once.
type endModel struct {
	*testing.T
	c, peer *Conn
	busy    bool // a read of the program is at work

	mu   sync.Mutex
	rand *rand.Rand
}

// However a connection ends, and whatever else goes on, every call returns; handlers run in the
// program's reads only, one at a time; Shutdown returns nil only if the peer's Close frame has come; after
// Close no call succeeds, and nothing is held.
func TestEndModel(t *testing.T) {
	first := modelNumber("WEBSOCKET_TEST_SEED", uint64(time.Now().UnixNano()%1e6))
	for i := range modelNumber("WEBSOCKET_TEST_ROUNDS", 100) {
		seed := first + i
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				(&endModel{T: t, rand: rand.New(rand.NewPCG(seed, 0))}).play()
			})
		})
	}
}

func (m *endModel) n(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rand.IntN(n)
}

// ms returns up to n milliseconds.
func (m *endModel) ms(n int) time.Duration { return time.Duration(m.n(n)) * time.Millisecond }

func (m *endModel) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), m.ms(4000))
}

func (m *endModel) play() {
	var near, far net.Conn
	near, far = newPipe(m, 50+m.n(1<<m.n(17)))
	if m.n(2) == 0 {
		near = wrappedConn{near}
	}
	server, o := m.n(2) == 0, connOptions{}
	if m.n(2) == 0 {
		options := CompressionOptions{ContextTakeover: m.n(2) == 0, Threshold: 1}
		answer := negotiate(m.T, options, options)
		o.agreed.deflate, o.compression = &answer, options
	}
	m.peer = newConn(far, !server, nil, o)
	if m.n(3) == 0 {
		o.pingInterval, o.pongTimeout = time.Millisecond+m.ms(2000), time.Millisecond+m.ms(2000)
	}
	m.c = newConn(near, server, nil, o)
	if m.n(2) == 0 {
		m.c.SetPingHandler(func(string) error { return m.handle() })
		m.c.SetPongHandler(func(string) error { return m.handle() })
	}
	if m.n(2) == 0 {
		m.c.SetCloseHandler(func(int, string) error { return m.handle() })
	}
	var others sync.WaitGroup
	others.Go(m.send)
	others.Go(m.answer)
	for range m.n(4) {
		others.Go(m.disturb)
	}
	net := time.AfterFunc(30*time.Second, func() { m.c.Close() }) // for a run that has no end of its own
	defer net.Stop()
	for m.read() {
	}
	m.c.Close()
	m.peer.Close()
	others.Wait()
	if _, _, err := m.c.ReadMessage(); err == nil {
		m.Error("got a message after Close")
	}
	if err := m.c.WriteMessage(TextMessage, nil); err == nil {
		m.Error("got a message sent after Close")
	}
	synctest.Wait()
	if got := borrowed(m.c); got != "" {
		m.Errorf("got that %s was not given back", got)
	}
}

// handle is a handler, which does what handlers do.
func (m *endModel) handle() error {
	if !m.busy {
		m.Error("got a handler called where no read is at work, or another handler is")
	}
	m.busy = false
	defer func() { m.busy = true }()
	switch m.n(12) {
	case 0:
		m.c.Close()
	case 1:
		m.shutdown()
	case 2:
		panic(errMine)
	case 3:
		time.Sleep(m.ms(1500))
	case 4:
		return errMine
	case 5:
		m.c.WriteMessage(TextMessage, make([]byte, m.n(3000)))
	}
	return nil
}

func (m *endModel) shutdown() {
	ctx, cancel := m.context()
	defer cancel()
	if err := m.c.Shutdown(ctx, CloseNormalClosure, ""); err == nil && m.c.readLock.phase() != phaseClosed {
		m.Error("got nil of Shutdown, and no Close frame has come")
	}
}

// send sends messages and control frames, and may end the connection.
func (m *endModel) send() {
	for range m.n(30) {
		m.peer.SetWriteDeadline(time.Now().Add(m.ms(500)))
		switch m.n(6) {
		case 0:
			m.peer.WriteControl(PingMessage, nil, time.Now().Add(m.ms(100)))
		case 1:
			m.peer.WriteControl(PongMessage, nil, time.Now().Add(m.ms(100)))
		case 2:
			time.Sleep(m.ms(800))
		case 3:
			if w, err := m.peer.NextWriter(BinaryMessage); err == nil {
				w.Write(make([]byte, m.n(20_000)))
				time.Sleep(m.ms(50))
				w.Close()
			}
		default:
			m.peer.WriteMessage(BinaryMessage, noise(m.n(1<<m.n(16)), 1))
		}
	}
	switch m.n(4) {
	case 0:
		m.peer.WriteControl(CloseMessage, nil, time.Now().Add(m.ms(500)))
	case 1:
		m.peer.NetConn().Close()
	}
}

// answer reads what the peer gets, perhaps after a while.
func (m *endModel) answer() {
	if m.n(4) == 0 {
		time.Sleep(m.ms(3000))
	}
	for _, _, err := m.peer.ReadMessage(); err == nil; _, _, err = m.peer.ReadMessage() {
	}
	time.Sleep(m.ms(300))
	m.peer.Close()
}

// disturb does what goes on beside the reads.
func (m *endModel) disturb() {
	time.Sleep(m.ms(2000))
	switch m.n(6) {
	case 0, 1, 2:
		m.shutdown()
	case 3:
		m.c.Close()
	case 4:
		for range m.n(30) {
			m.c.SetReadDeadline(time.Now().Add(m.ms(100) - 20*time.Millisecond))
			time.Sleep(m.ms(30))
		}
		m.c.SetReadDeadline(time.Time{})
	case 5:
		for range m.n(20) {
			ctx, cancel := m.context()
			m.c.SetWriteDeadline(time.Now().Add(m.ms(200)))
			m.c.WriteMessage(TextMessage, make([]byte, m.n(30_000)))
			m.c.WriteMessageContext(ctx, TextMessage, make([]byte, m.n(30_000)))
			m.c.Ping(ctx)
			cancel()
		}
	}
}

// read calls a function that reads, and reports whether the program goes on reading.
func (m *endModel) read() (goesOn bool) {
	if m.n(10) == 0 {
		time.Sleep(m.ms(1500))
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
	var err error
	switch m.n(4) {
	case 0:
		_, _, err = m.c.ReadMessage()
	case 1:
		_, _, err = m.c.AppendMessage(make([]byte, 3, 100))
	case 2:
		ctx, cancel := m.context()
		defer cancel()
		_, _, err = m.c.ReadMessageContext(ctx)
	case 3:
		var r io.Reader
		if _, r, err = m.c.NextReader(); err == nil {
			r.Read(make([]byte, 1+m.n(5000)))
		}
	}
	switch {
	case err == nil:
		return true
	case m.c.readLock.phase() != phaseOpen:
		return false
	case !isTimeout(err) && !errors.Is(err, context.DeadlineExceeded):
		m.Errorf("got %v, and the reading has not ended", err)
	}
	m.c.SetReadDeadline(time.Time{})
	return true
}
