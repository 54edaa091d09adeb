//go:build go1.25

package websocket

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// After CloseRead pings are answered, and whatever ends the reading cancels the context.
func TestCloseRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(tc *closing)
		sent []string // to the peer
		good bool     // the connection is open afterwards
	}{
		{"the peer closes", func(tc *closing) { tc.send(closeFrame(1000, "")) }, []string{closeFrame(1000, "")}, false},
		{"the peer is gone", func(tc *closing) { tc.wire.Close() }, nil, false},
		{"a message", func(tc *closing) { tc.send("\x81") }, []string{closeFrame(1008, "a message came after CloseRead")}, false},
		{"the beginning of a message", func(tc *closing) { tc.send("\x01a") }, []string{closeFrame(1008, "a message came after CloseRead")}, false},
		{"a broken rule", func(tc *closing) { tc.send("\x80") }, []string{closeFrame(1002, "continuation frame without a message to continue")}, false},
		{"Close", func(tc *closing) { tc.c.Close() }, nil, false},
		{"its context", nil, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				ended := tc.c.CloseRead(ctx)
				tc.send("\x89one", "\x8aunasked", "\x89two")
				tc.want("it reads", "\x8aone", "\x8atwo")
				time.Sleep(time.Hour)
				if ended.Err() != nil {
					t.Fatal("got the context cancelled, and nothing has ended")
				}
				if tt.end == nil {
					cancel(errMine)
				} else {
					tt.end(tc)
				}
				synctest.Wait()
				if ended.Err() != context.Canceled {
					t.Errorf("got %v, want the context cancelled", ended.Err())
				}
				if tt.sent != nil {
					tc.want("the peer is told", tt.sent...)
				}
				if tt.good {
					if err := tc.c.WriteMessage(TextMessage, nil); err != nil || context.Cause(ended) != errMine {
						t.Errorf("got %v and the cause %v, want a good connection and the cause", err, context.Cause(ended))
					}
					tc.send("\x81read")
					tc.c.SetReadDeadline(time.Now().Add(time.Second))
					if _, p, err := tc.c.ReadMessage(); err != nil || string(p) != "read" {
						t.Errorf("got %q, %v, want that the program can read", p, err)
					}
				}
				tc.c.Close()
			})
		})
	}
}

// A read deadline that passes ends the reading, and not the connection.
func TestCloseReadDeadline(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.c.SetReadDeadline(time.Now().Add(time.Second))
		ended := tc.c.CloseRead(t.Context())
		time.Sleep(time.Second)
		synctest.Wait()
		if ended.Err() != context.Canceled {
			t.Errorf("got %v, want the context cancelled", ended.Err())
		}
		tc.c.SetReadDeadline(time.Time{})
		tc.send("\x81read")
		wantRead(t, tc.c, "read")
	})
}
