//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
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

// A peer that floods pings and reads nothing costs what fits the outbox and the slot, one
// goroutine and no more memory. It fails nothing: when it reads again, it gets whole frames in
// order, and the answer to the last ping.
func TestAttackPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const network = 4096
		a, wire := newPipe(t, network)
		c := newConn(a, true, nil, connOptions{})
		const pings = 10_000
		go func() {
			for i := range pings {
				wire.Write(peerFrames(true, peerFrame{true, opPing, fmt.Sprintf("%05d", i)}))
			}
		}()
		start := time.Now()
		before := runtime.NumGoroutine()
		c.SetReadDeadline(start.Add(time.Hour))
		if _, _, err := c.ReadMessage(); !isTimeout(err) {
			t.Errorf("got %v, want all pings read and then the deadline", err)
		}
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("got %d goroutines, want that of the flusher in place of the peer's, so %d", n, before)
		}
		done := make(chan error)
		go func() { done <- c.WriteMessage(TextMessage, []byte("x")) }()
		var got string
		for !strings.HasSuffix(got, "\x81\x01x") {
			synctest.Wait()
			more := wire.take()
			if len(more) == 0 {
				t.Fatalf("got %d bytes, want the message behind the pongs", len(got))
			}
			got += string(more)
		}
		if err := <-done; err != nil {
			t.Errorf("got %v, want a good connection", err)
		}
		frames := strings.Split(describeFrames(t, []byte(got)), "|")
		pongs := frames[:len(frames)-1]
		if most := (network + 2*defaultBufferSize) / len("\x8a\x0500000"); len(pongs) > most {
			t.Errorf("got %d pongs, want at most %d", len(pongs), most)
		}
		if !slices.IsSorted(pongs) {
			t.Errorf("got the pongs %q, want them in order", pongs)
		}
		if last, want := pongs[len(pongs)-1], fmt.Sprintf("10 %05d", pings-1); last != want {
			t.Errorf("got %q last, want %q", last, want)
		}
		c.wantNothingUnsent(t)
	})
}
