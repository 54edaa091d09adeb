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
			const network, pings = 4096, 2000
			near, wire := newPipe(t, network)
			c := newConn(near, a.server, nil, a.options(t, connOptions{}))
			number, peak := 0, uint64(0)
			flood := func() {
				go func() {
					for range pings {
						wire.Write(a.frame(0x89, fmt.Sprintf("%0100d", number)))
						if number++; number%500 == 0 {
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
			flood() // which fills the network, the outbox and the slot
			before := heapInUse()
			flood()
			if n := flushers() - others; n > 1 {
				t.Errorf("got %d flushers more than before, want one", n)
			}
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
			if most := (network + 3*defaultBufferSize) / 102; len(pongs) > most || !slices.IsSorted(pongs) {
				t.Errorf("got the pongs %q, want at most %d, in order", pongs, most)
			}
			if last, want := pongs[len(pongs)-1], fmt.Sprintf("10 %0100d", number-1); last != want {
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
	for _, interrupted := range []bool{false, true} { // a ReadMessage; else a reader has read some
		eachPipe(t, connOptions{}, func(b *bubble) {
			in := peerFrames(b.server, peerFrame{false, opText, "He"}, peerFrame{false, opContinuation, "l"}, pingFrame(""),
				peerFrame{true, opContinuation, "lo"}, peerFrame{true, opBinary, "next"})
			begun := len(peerFrames(b.server, peerFrame{false, opText, "He"}))
			wantTimedOut := func(messageType int, something bool, err error) {
				b.Helper()
				if wantTimeout(b.T, err); messageType != noMessage || something {
					b.Fatalf("got type %d with the timeout, a message: %v, want -1 and none", messageType, something)
				}
			}
			b.far.Write(in[:begun])
			if interrupted {
				b.c.SetReadDeadline(time.Now().Add(time.Second))
				messageType, p, err := b.c.ReadMessage()
				wantTimedOut(messageType, p != nil, err)
			}
			b.c.SetReadDeadline(time.Time{})
			_, old, err := b.c.NextReader()
			if err != nil {
				b.Fatal(err)
			}
			io.ReadFull(old, make([]byte, 1))
			for _, x := range in[begun : len(in)-len("next")-1] { // the header is not complete
				for range 2 { // since the first may find what came before
					b.c.SetReadDeadline(time.Now().Add(time.Second))
					messageType, r, err := b.c.NextReader()
					wantTimedOut(messageType, r != nil, err)
				}
				b.far.Write([]byte{x})
			}
			b.c.SetReadDeadline(time.Time{})
			b.far.Write(in[len(in)-len("next")-1:])
			messageType, r, err := b.c.NextReader()
			if messageType != BinaryMessage || err != nil {
				b.Fatalf("got %d, %v, want binary", messageType, err)
			}
			wantEOF := func(name string, r io.Reader) {
				b.Helper()
				if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					b.Errorf("%s: got %d, %v, want 0, EOF", name, n, err)
				}
			}
			wantEOF("the old reader, before the next message is read", old)
			if n, err := r.Read(nil); n != 0 || err != nil {
				b.Errorf("got %d, %v of an empty Read, want 0, nil", n, err)
			}
			if p, err := io.ReadAll(r); string(p) != "next" || err != nil {
				b.Errorf("got %q, %v, want next", p, err)
			}
			wantEOF("the old reader", old)
			wantEOF("the new one at its end", r)
			b.want("the ping is answered", "10 ")
		})
	}
}
