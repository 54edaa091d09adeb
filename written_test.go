//go:build go1.25

package websocket

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// loggedConn is one end of a network connection in memory that keeps apart what each
// Write was given.
type loggedConn struct {
	*pipeConn
	mu  sync.Mutex
	log [][]byte

	unread []byte // what drainFrames has beyond whole frames
}

func (l *loggedConn) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.log = append(l.log, slices.Clone(p))
	l.mu.Unlock()
	return l.pipeConn.Write(p)
}

// newLoggedConn returns a connection to which the frames have come at once.
func newLoggedConn(t testing.TB, server bool, o connOptions, came ...peerFrame) (*Conn, *loggedConn) {
	a, _ := newPipe(t, 1<<20)
	l := &loggedConn{pipeConn: a}
	return newQuickConn(l, server, peerFrames(server, came...), o), l
}

// newQuickConn returns a connection that has handled a burst quickly, so that the answers to the
// next one wait for its end.
func newQuickConn(t transport, server bool, early []byte, o connOptions) *Conn {
	c := newConn(t, server, early, o)
	c.burst.quick = true
	return c
}

// peer is the other end.
func (l *loggedConn) peer() *pipeConn { return &pipeConn{in: l.out, out: l.in} }

// texts are messages of the peer.
func texts(payloads ...string) (list []peerFrame) {
	for _, p := range payloads {
		list = append(list, peerFrame{true, opText, p})
	}
	return list
}

// take returns the writes since the last call, each as its frames: "1 a|9 b" is a text
// frame and a ping.
func (l *loggedConn) take(t testing.TB) (writes []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.log {
		writes = append(writes, describeFrames(t, b))
	}
	l.log = nil
	return writes
}

// describeFrames is what loggedConn.take says of one write.
func describeFrames(t testing.TB, b []byte) string {
	t.Helper()
	var list []string
	for len(b) > 0 {
		h, n, err := parseHeader(b)
		if err != nil || n == 0 {
			t.Fatalf("not a frame: % x, %v", b[:min(len(b), 20)], err)
		}
		payload := slices.Clone(b[n:min(int64(len(b)), int64(n)+h.length)])
		if h.masked {
			maskEach(payload, h.key, 0)
		}
		b = b[n+len(payload):]
		if len(payload) > 20 {
			payload = fmt.Appendf(nil, "%d bytes", h.length)
		}
		list = append(list, fmt.Sprintf("%d %s", h.opcode, payload))
	}
	return strings.Join(list, "|")
}

// wantWrites checks the writes since they were looked at last.
func (l *loggedConn) wantWrites(t testing.TB, reason string, want ...string) {
	t.Helper()
	if got := l.take(t); !slices.Equal(got, want) {
		t.Errorf("%s: got the writes %q, want %q", reason, got, want)
	}
}

// answer answers n messages in a way, and fails the test where something else happens.
func answer(t testing.TB, c *Conn, n int, way func(*Conn, int, []byte) error) {
	t.Helper()
	for range n {
		messageType, p, err := c.ReadMessage()
		if err == nil {
			err = way(c, messageType, p)
		}
		if err != nil {
			t.Errorf("got %v, want none", err)
			return
		}
	}
}

// writeBack is the plainest answer.
func writeBack(c *Conn, messageType int, p []byte) error { return c.WriteMessage(messageType, p) }
