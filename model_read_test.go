//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

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
