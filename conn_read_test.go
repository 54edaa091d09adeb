//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
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

// CVE-2020-35896: a peer that floods pings and reads nothing costs what fits the outbox and the slot, one
// goroutine and no more memory. It fails nothing: when it reads again, it gets whole frames in
// order, and the answer to the last ping.
func TestAttackPingFlood(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		synctest.Test(t, func(t *testing.T) {
			const network, pings = 4096, 10_000
			near, wire := newPipe(t, network)
			c := newConn(near, a.server, nil, a.options(t, connOptions{}))
			peak := uint64(0)
			send := func(n int) {
				var b []byte
				for i := range n {
					if b = append(b, a.frame(0x89, fmt.Sprintf("%0100d", i))...); len(b) > 2048 || i == n-1 {
						wire.Write(b)
						b = b[:0]
					}
					if i%4000 == 3999 {
						peak = max(peak, heapInUse())
					}
				}
			}
			// The first pings fill the network, the outbox and the slot.
			read := func() {
				c.SetReadDeadline(time.Now().Add(time.Hour))
				if _, _, err := c.ReadMessage(); !isTimeout(err) {
					t.Errorf("got %v, want all pings read and then the deadline", err)
				}
				synctest.Wait()
			}
			goroutines := runtime.NumGoroutine()
			go send(pings / 10)
			read()
			before := heapInUse()
			go send(pings)
			read()
			if n := runtime.NumGoroutine() - goroutines; n > 3 { // NumGoroutine is not exact
				t.Errorf("got %d goroutines more than before, want that of the flusher", n)
			}
			peak = max(peak, heapInUse())
			if peak > before+64<<10 && !raceEnabled {
				t.Errorf("got %d bytes of heap more for the later pings, want none", peak-before)
			}
			done := make(chan error)
			go func() { done <- c.WriteMessage(TextMessage, []byte("x")) }()
			var b []byte
			var got []string
			for !slices.Contains(got, "1 x") {
				synctest.Wait()
				more := wire.take()
				if len(more) == 0 {
					t.Fatalf("got %d frames, want the message behind the pongs", len(got))
				}
				b = append(b, more...)
				for frame, rest := cutFrame(b); frame != ""; frame, rest = cutFrame(b) {
					got, b = append(got, frame), rest
				}
			}
			if err := <-done; err != nil {
				t.Errorf("got %v, want a good connection", err)
			}
			pongs := got[:len(got)-1]
			if most := (network + 3*defaultBufferSize) / 102; len(pongs) > most {
				t.Errorf("got %d pongs, want at most %d", len(pongs), most)
			}
			restarts := 0
			for i, pong := range pongs[1:] {
				if pong <= pongs[i] {
					restarts++
				}
			}
			if restarts > 1 {
				t.Errorf("got the pongs %q, want them in order", pongs)
			}
			if last, want := pongs[len(pongs)-1], fmt.Sprintf("10 %0100d", pings-1); last != want {
				t.Errorf("got %q last, want %q", last, want)
			}
			c.wantNothingUnsent(t)
			c.Close()
		})
	})
}
