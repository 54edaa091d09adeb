//go:build go1.25

package websocket

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble is a connection over memory, in simulated time. What the network does not take stays with the
// connection; the peer reads all that it takes, at once.
type bubble struct {
	*testing.T
	c      *Conn
	server bool // c is one
	tls    bool
	start  time.Time
	far    net.Conn  // the peer's end
	pipe   *pipeConn // below TLS, or the same
	reader func()    // reads far until it has an error; receive

	mu       sync.Mutex
	arrivals []arrival
	b        []byte // that have come and are no whole frame yet
	end      error  // of what comes
}

// arrival is a frame that has come to the peer, as cutFrame describes it.
type arrival struct {
	frame string
	at    time.Duration // since the start
}

// eachBubble runs f for a server and a client over memory, without and with TLS.
func eachBubble(t *testing.T, o connOptions, f func(b *bubble)) {
	tlsTestConfigs() // outside
	bothSides(t, func(t *testing.T, server bool) {
		t.Run("pipe", func(t *testing.T) { runBubble(t, &bubble{server: server}, o, f) })
		t.Run("tls", func(t *testing.T) { runBubble(t, &bubble{server: server, tls: true}, o, f) })
	})
}

// eachPipe runs f for a server and a client over memory, where it can be told how much of a write
// has left: not over TLS.
func eachPipe(t *testing.T, o connOptions, f func(b *bubble)) {
	bothSides(t, func(t *testing.T, server bool) { runBubble(t, &bubble{server: server}, o, f) })
}

func runBubble(t *testing.T, b *bubble, o connOptions, f func(b *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		b.T, b.start = t, time.Now()
		t.Cleanup(func() { time.Sleep(time.Hour) }) // in the end, for goroutines of a test that has failed
		var near net.Conn
		near, b.pipe = newPipe(t, 1<<30)
		b.far, b.reader = b.pipe, b.receive
		if b.tls {
			near, b.far = overTLS(t, near, b.far)
		}
		b.c = newConn(near, b.server, nil, o)
		t.Cleanup(func() { b.c.Close() })
		go b.reader()
		f(b)
	})
}

// receive takes what comes, until the network connection ends or the peer is to read nothing.
func (b *bubble) receive() {
	p := make([]byte, 64<<10)
	for {
		n, err := b.far.Read(p)
		b.mu.Lock()
		b.b = append(b.b, p[:n]...)
		for {
			frame, rest := cutFrame(b.b)
			if frame == "" {
				break
			}
			b.arrivals, b.b = append(b.arrivals, arrival{frame, time.Since(b.start)}), rest
		}
		if err != nil && !isTimeout(err) {
			b.end = err
		}
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// take returns the frames that have come since the last call.
func (b *bubble) take() []arrival {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.arrivals
	b.arrivals = nil
	return list
}

// want checks the frames that have come since they were looked at last.
func (b *bubble) want(reason string, want ...string) {
	b.Helper()
	var got []string
	for _, a := range b.take() {
		got = append(got, a.frame)
	}
	if !slices.Equal(got, want) {
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
	go b.reader()
}

// writes returns how many writes to the network there have been.
func (b *bubble) writes() int {
	synctest.Wait()
	h := b.pipe.in
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writes
}

// took returns the simulated time that a call takes.
func took(call func()) time.Duration {
	start := time.Now()
	call()
	return time.Since(start)
}

// join describes frames in one line.
func join(list []arrival) string {
	var frames []string
	for _, a := range list {
		frames = append(frames, a.frame)
	}
	return strings.Join(frames, "|")
}
