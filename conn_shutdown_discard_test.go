//go:build go1.25

package websocket

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// Messages that nobody comes for are discarded after claimTime, all together.
func TestShutdownNobodyReads(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames []string
		took   time.Duration
	}{
		{"no message", nil, 0},
		{"control frames", []string{"\x89ping", "\x8apong"}, 0},
		{"a message", []string{"\x82one"}, claimTime},
		{"an empty message", []string{"\x82"}, claimTime},
		{"many messages", closingMessages, claimTime},
		{"a message in part", []string{"\x02part"}, claimTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
				tc.send(tt.frames...)
				tc.send(closeFrame(CloseNormalClosure, "bye"))
				if tt.took > 0 {
					time.Sleep(tt.took - 1)
					shutdown.wantWaiting("somebody may come")
					time.Sleep(1)
				}
				synctest.Wait()
				tc.wire.Close()
				shutdown.want("nobody came", tt.took, noError)
				tc.read().want("who comes now", 0, "websocket: close 1000 (normal): bye")
			})
		})
	}
}

// One message after another comes: Shutdown waits for somebody once.
func TestShutdownDiscardsAllThatFollows(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		for range 20 {
			tc.send("\x82message", "\x02in", "\x89", "\x80parts")
			time.Sleep(claimTime * 3 / 4)
		}
		tc.send(closeFrame(CloseNormalClosure, ""))
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("the Close frame is behind them", 20*claimTime*3/4, noError)
	})
}

// A read that comes too late, when Shutdown has begun to discard, gets no later message: there
// would be a hole before it.
func TestShutdownLeavesNoHole(t *testing.T) {
	for _, reader := range closingReaders {
		t.Run(reader.name, func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
				tc.send("\x813one")
				time.Sleep(claimTime + 1)
				synctest.Wait() // it is gone
				tc.send("\x813two")
				late := begin(t, func() (string, error) { return reader.next(tc.c, t.Context()) })
				late.want("no message after a hole", 0, errDiscarded.Error())
				tc.send("\x013t", "\x80hree", closeFrame(CloseNormalClosure, "bye"))
				tc.wire.Close()
				<-shutdown.done
				if shutdown.err != nil {
					t.Errorf("Shutdown: got %v, want nil", shutdown.err)
				}
			})
		})
	}
}

// A reader within a message comes back too late, or is the one that shuts down. What it
// has is not the whole message, so the end must not look like io.EOF.
func TestShutdownCutsAMessage(t *testing.T) {
	for _, rest := range [][]string{
		{"\x80 the rest"},
		{"\x00 some", "\x80 the rest", "\x82another message"},
		{"\x80"},
	} {
		inClosing(t, func(t *testing.T, tc *closing) {
			tc.send("\x02part")
			_, r, err := tc.c.NextReader()
			if err != nil {
				t.Fatal(err)
			}
			io.ReadFull(r, make([]byte, 4))
			tc.send(rest...)
			tc.send(closeFrame(CloseNormalClosure, "bye"))
			go func() { // ends with the claim time
				time.Sleep(claimTime)
				synctest.Wait()
				tc.wire.Close()
			}()
			tc.shutdown(t.Context(), CloseNormalClosure, "").want("this goroutine is the one that reads", claimTime, noError)
			for range 2 {
				n, err := r.Read(make([]byte, 10))
				if n != 0 || fmt.Sprint(err) != "websocket: close 1000 (normal): bye" {
					t.Errorf("got %d bytes, %v, want none and the *CloseError", n, err)
				}
			}
		})
	}
}

// A message that the program has given up before is not waited for.
func TestShutdownAfterAbandonedMessage(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.send("\x02part")
		if _, _, err := tc.c.NextReader(); err != nil {
			t.Fatal(err)
		}
		tc.c.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := tc.c.NextReader(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a timeout", err)
		}
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.send("\x80rest", closeFrame(CloseNormalClosure, ""))
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("nobody wants it", 0, noError)
	})
}
