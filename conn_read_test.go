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
			flood := func(n int) {
				go func() {
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
				}()
				c.SetReadDeadline(time.Now().Add(time.Hour))
				if _, _, err := c.ReadMessage(); !isTimeout(err) {
					t.Errorf("got %v, want all pings read and then the deadline", err)
				}
				synctest.Wait()
			}
			flushers := func() int { // of all tests
				stacks := make([]byte, 8<<20)
				return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte(".(*send).flushRest("))
			}
			others := flushers()
			flood(pings / 10) // which fills the network, the outbox and the slot
			before := heapInUse()
			flood(pings)
			if n := flushers() - others; n > 1 {
				t.Errorf("got %d flushers more than before, want one", n)
			}
			peak = max(peak, heapInUse())
			if peak > before+64<<10 && !raceEnabled {
				t.Errorf("got %d bytes of heap more for the later pings, want none", peak-before)
			}

			write := begin(t, func() (string, error) { return "", c.WriteMessage(TextMessage, []byte("x")) })
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
			write.want("the connection is good", 0, noError)
			pongs := got[:len(got)-1]
			if most := (network + 3*defaultBufferSize) / 102; len(pongs) > most {
				t.Errorf("got %d pongs, want at most %d", len(pongs), most)
			}
			// The second flood begins at 0 again.
			second := 1 + slices.IndexFunc(pongs[1:], func(pong string) bool { return pong <= pongs[0] })
			if !slices.IsSorted(pongs[:second]) || !slices.IsSorted(pongs[second:]) {
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

// NextReader discards the rest of the message before, in whichever way some of that was read, and its reader then
// returns io.EOF. Discarding can be interrupted at any byte, and answers pings.
func TestNextReaderDiscards(t *testing.T) {
	for name, interrupted := range map[string]bool{"a part was read": false, "ReadMessage was interrupted": true} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, false)
			wantTimeouts := func() { // two, since the first may find what came before
				for range 2 {
					c.SetReadDeadline(time.Now().Add(time.Second))
					if messageType, r, err := c.NextReader(); messageType != noMessage || r != nil || !isTimeout(err) {
						t.Fatalf("%s: got %d, %v, %v, want -1, nil and a timeout", name, messageType, r, err)
					}
				}
				c.SetReadDeadline(time.Time{})
			}
			wire.Write(unhex(t, "01 02 4865"))
			if interrupted {
				c.SetReadDeadline(time.Now().Add(time.Second))
				if messageType, p, err := c.ReadMessage(); messageType != noMessage || p != nil || !isTimeout(err) {
					t.Fatalf("got %d, %q, %v, want -1, nil and a timeout", messageType, p, err)
				}
			}
			_, old, err := c.NextReader()
			if err != nil {
				t.Fatal(err)
			}
			io.ReadFull(old, make([]byte, 1))
			for _, b := range unhex(t, "00 01 6c 89 00 80 02 6c6f 82") {
				wantTimeouts()
				wire.Write([]byte{b})
			}
			wantTimeouts()
			wire.Write(unhex(t, "03 010203"))
			messageType, r, err := c.NextReader()
			if messageType != BinaryMessage || err != nil {
				t.Fatalf("%s: got %d, %v, want binary", name, messageType, err)
			}
			if n, err := old.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%s: old reader: got %d, %v, want 0, EOF", name, n, err)
			}
			if p, err := io.ReadAll(r); string(p) != "\x01\x02\x03" || err != nil {
				t.Errorf("%s: got % x, %v, want 01 02 03", name, p, err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%s: after the end: got %d, %v, want 0, EOF", name, n, err)
			}
			wantFrames(t, wire, `fin=true op=10 masked=true ""`)
		})
	}
}
