//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// The network may be full, and somebody in the middle of a frame.
func TestKeepaliveWhileAWriteIsBlocked(t *testing.T) {
	keepaliveTest(t, "a peer that is gone", keepaliveOptions, func(tc *keepaliveScript) {
		done := make(chan error, 1)
		go func() { done <- tc.c.WriteMessage(BinaryMessage, make([]byte, 5000)) }()
		tc.read()
		time.Sleep(14 * time.Second)
		tc.wait()
		wantKeepaliveError(tc, "the verdict does not wait for the write", tc.err, "4s")
		if err := <-done; err == nil {
			tc.Error("got nil, want that the write ends")
		}
		if err := tc.c.WriteMessage(TextMessage, nil); err != tc.err {
			tc.Errorf("got %v, want the verdict", err)
		}
	})

	for _, slow := range []bool{false, true} {
		keepaliveTest(t, fmt.Sprintf("a peer that reads too slowly %t", slow), keepaliveOptions, func(tc *keepaliveScript) {
			pause := 14*time.Second - 1
			if slow {
				pause = 15 * time.Second
			}
			// Each piece is twice what the network holds, and the next one waits for all of it.
			const pieces = 100
			done := make(chan error, 1)
			go func() {
				w, _ := tc.c.NextWriter(BinaryMessage)
				var err error
				for range pieces {
					if _, err = w.Write(make([]byte, 5000)); err != nil {
						break
					}
				}
				done <- err
			}()
			for range pieces {
				time.Sleep(pause)
				for synctest.Wait(); len(tc.wire.take()) > 0; synctest.Wait() {
				}
			}
			switch err := tc.c.send.lock.err(); {
			case !slow && err != nil:
				tc.Errorf("got %v, want a good connection: the peer takes something again and again", err)
			case slow:
				if err := <-done; err == nil || err.Error() != "websocket: the peer has taken nothing for 14s" {
					tc.Errorf("got %v, want the verdict", err)
				}
			}
		})
	}

	// A large frame leaves in pieces. Each that the peer takes is a sign, also for the reader.
	const pieces = 4
	for _, stuck := range []int{0, 1, pieces - 1, pieces} {
		keepaliveTest(t, fmt.Sprintf("a peer that takes %d of %d pieces", stuck, pieces), keepaliveOptions, func(tc *keepaliveScript) {
			room(tc.wire, maxPiece) // so that with the header a few bytes of each piece wait
			message := noise(pieces*maxPiece+1, 1)
			done := make(chan error, 1)
			go func() { done <- tc.c.WriteMessage(BinaryMessage, message) }()
			if stuck == pieces {
				tc.read()
			}
			var got []byte
			for range stuck {
				time.Sleep(14*time.Second - 1)
				synctest.Wait() // for a verdict
				got = append(got, tc.wire.take()...)
				synctest.Wait()
			}
			if stuck < pieces {
				time.Sleep(14*time.Second - 1)
				if synctest.Wait(); tc.c.send.lock.err() != nil {
					tc.Errorf("got %v, want a verdict after 14s", tc.c.send.lock.err())
				}
				time.Sleep(1)
				if err := <-done; err == nil || err.Error() != "websocket: the peer has taken nothing for 14s" {
					tc.Errorf("got %v, want the verdict", err)
				}
				return
			}
			err := <-done
			got = append(got, tc.wire.take()...)
			h, n, _ := parseHeader(got)
			if err != nil || h.length != int64(len(message)) || !bytes.HasPrefix(got[n:], message) {
				tc.Errorf("got %d bytes, %v, want the message of %d", len(got), err, len(message))
			}
		})
	}

	keepaliveTest(t, "a peer that is gone, and nobody reads", keepaliveOptions, func(tc *keepaliveScript) {
		start := time.Now()
		err := tc.c.WriteMessage(BinaryMessage, make([]byte, 5000))
		if err == nil || err.Error() != "websocket: the peer has taken nothing for 14s" || time.Since(start) != 14*time.Second {
			tc.Errorf("got %v after %v, want the verdict after 14s", err, time.Since(start))
		}
	})

	// What the network holds proves nothing.
	keepaliveTest(t, "a server that pushes to a peer that is gone", keepaliveOptions, func(tc *keepaliveScript) {
		room(tc.wire, 1<<20)
		tc.read()
		for range 13 {
			time.Sleep(time.Second)
			tc.c.WriteMessage(BinaryMessage, make([]byte, 1000))
		}
		time.Sleep(time.Second)
		tc.wait()
		wantKeepaliveError(tc, "it was asked and has not answered", tc.err, "4s")
	})

	keepaliveTest(t, "pings do not pile up", connOptions{pingInterval: time.Millisecond, pongTimeout: time.Hour}, func(tc *keepaliveScript) {
		before := runtime.NumGoroutine()
		go tc.c.WriteMessage(BinaryMessage, make([]byte, 5000))
		time.Sleep(time.Minute + time.Microsecond)
		if n := runtime.NumGoroutine() - before; n > 100 { // some are of other tests
			tc.Errorf("got %d goroutines more after 60,000 intervals", n)
		}
		if b := tc.c.send.slot.Load(); b == nil || b.n != 2 {
			tc.Error("got more than one ping that waits, or none")
		}
	})

	keepaliveTest(t, "an open message writer", keepaliveOptions, func(tc *keepaliveScript) {
		tc.read()
		w, _ := tc.c.NextWriter(TextMessage)
		io.WriteString(w, "open")
		done := make(chan error, 1)
		go func() { done <- tc.c.WriteMessage(TextMessage, nil) }()
		time.Sleep(10 * time.Second)
		tc.wantPing("pings pass")
		time.Sleep(4 * time.Second)
		tc.wantDead("and so does the verdict")
		if err := <-done; err != tc.err {
			tc.Errorf("got %v, want the verdict for who waits behind the writer", err)
		}
	})
}
