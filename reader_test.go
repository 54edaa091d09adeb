//go:build go1.25

package websocket

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// In the middle of a message the end of the connection gives the part, its type and the error.
func TestReadMessageGivesThePartBeforeAnError(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "02 02 0102 80 05 0304"))
	wire.Close()
	mt, p, err := c.ReadMessage()
	if mt != BinaryMessage || !bytes.Equal(p, []byte{1, 2, 3, 4}) || !IsCloseError(err, CloseAbnormalClosure) {
		t.Errorf("got %d, % x, %v, want 2, 01 02 03 04 and close 1006", mt, p, err)
	}
	if mt, p, again := c.ReadMessage(); mt != noMessage || p != nil || again != err {
		t.Errorf("later: got %d, % x, %v, want -1, nil and the same error", mt, p, again)
	}
}

// An empty message is an empty slice, not nil.
func TestReadEmptyMessage(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "81 00 82 00"))
	if mt, p, err := c.ReadMessage(); mt != TextMessage || p == nil || len(p) != 0 || err != nil {
		t.Errorf("got %d, %v, %v, want 1, an empty slice, nil", mt, p, err)
	}
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v, want 0, EOF", n, err)
	}
}

func TestAppendMessageAppends(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "01 03 646566 80 01 67"))
	dst := append(make([]byte, 0, 100), "abc"...)
	mt, p, err := c.AppendMessage(dst)
	if mt != TextMessage || string(p) != "abcdefg" || err != nil {
		t.Errorf("got %d, %q, %v, want abcdefg", mt, p, err)
	}
	if &p[0] != &dst[0] {
		t.Error("got other memory, want dst's: it was large enough")
	}
}

// A peer that floods pings and reads nothing costs one waiting pong, and no more
// goroutines or memory. It fails nothing: when it reads again, it gets whole frames.
func TestPingFloodFromAPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 4096)
		c := newConn(a, true, nil, connOptions{})
		const pings = 10_000
		go func() {
			ping := unhex(t, "89 85 00000000 6162636465")
			for range pings {
				wire.Write(ping)
			}
		}()
		start := time.Now()
		c.SetReadDeadline(start.Add(time.Hour))
		if _, _, err := c.ReadMessage(); !isTimeout(err) {
			t.Errorf("got %v, want all pings read and then the deadline", err)
		}
		const pong = "\x8a\x05abcde"
		got := string(wire.take())
		if len(got) != 4096 {
			t.Errorf("got %d bytes of pongs, want the 4096 that the network took", len(got))
		}
		if err := c.WriteMessage(TextMessage, []byte("x")); err != nil {
			t.Errorf("got %v, want a good connection", err)
		}
		got += string(wire.take())
		// The rest of one pong, the newest, and the message.
		if want := strings.Repeat(pong, 4096/len(pong)+2) + "\x81\x01x"; got != want {
			t.Errorf("got %q at the end, want %q", got[4096:], want[4096:])
		}
	})
}
