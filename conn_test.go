//go:build go1.25

package websocket

import (
	"net"
	"testing"
	"time"
)

func TestConnAccessors(t *testing.T) {
	near, _ := tcpPair(t)
	c := newConn(near, true, nil, connOptions{agreed: agreement{subprotocol: "chat"}})
	if got := c.Subprotocol(); got != "chat" {
		t.Errorf("Subprotocol: got %q, want chat", got)
	}
	if got, ok := c.NetConn().(*net.TCPConn); !ok || net.Conn(got) != near {
		t.Errorf("NetConn: got %T, want the very connection", c.NetConn())
	}
	if c.LocalAddr() != near.LocalAddr() || c.RemoteAddr() != near.RemoteAddr() {
		t.Errorf("got %v and %v, want %v and %v", c.LocalAddr(), c.RemoteAddr(), near.LocalAddr(), near.RemoteAddr())
	}
}

// The limit counts all fragments, and is checked when a frame announces its length.
func TestReadLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit int64 // of the Upgrader or Dialer
		set   int64 // of SetReadLimit, unless it is 1
		in    string
		want  error
	}{
		{"at the limit", 5, 1, "82 05 0102030405", nil},
		{"over it", 5, 1, "82 06", ErrReadLimit},
		{"fragments at the limit", 5, 1, "02 03 010203 80 02 0405", nil},
		{"fragments over it", 5, 1, "02 03 010203 80 03", ErrReadLimit},
		{"the default", 0, 1, "82 7f 0000000002000001", ErrReadLimit},
		{"the default, not over it", 0, 1, "82 7f 0000000002000000", errUnexpectedEOF},
		{"none", -1, 1, "82 7f 7fffffffffffffff", errUnexpectedEOF},
		{"set", -1, 5, "82 06", ErrReadLimit},
		{"set to none", 5, 0, "82 06", errUnexpectedEOF},
		{"set to less", 5, -7, "82 06", errUnexpectedEOF},
		{"sum that overflows", 10, 1, "02 05 0102030405 80 7f 7fffffffffffffff", ErrReadLimit},
		{"sum that overflows, without a limit", -1, 1, "02 05 0102030405 80 7f 7fffffffffffffff", errUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, wire := newPipe(t, 1000)
			c := newConn(a, false, nil, connOptions{readLimit: tt.limit})
			if tt.set != 1 {
				c.SetReadLimit(tt.set)
			}
			wire.Write(unhex(t, tt.in))
			wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
			_, _, err := c.ReadMessage()
			if err != tt.want {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want == ErrReadLimit {
				wantFrames(t, wire, `fin=true op=8 masked=true "\x03\xf1"`)
				if _, _, again := c.ReadMessage(); again != err {
					t.Errorf("later: got %v, want the same", again)
				}
			}
		})
	}
}

// The write deadline is given to the network once, not for every write.
func TestWriteDeadlineIsAppliedOnce(t *testing.T) {
	c, wire := newTestConn(t, true)
	for range 3 {
		c.WriteMessage(TextMessage, nil)
	}
	c.SetWriteDeadline(time.Now().Add(time.Hour))
	for range 3 {
		c.WriteMessage(TextMessage, nil)
	}
	c.WriteControl(PingMessage, nil, time.Time{})
	if got := wire.in.writeDeadlines; got != 3 {
		t.Errorf("got %d calls of SetWriteDeadline, want 3: cleared at first, set and taken back", got)
	}
}
