//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The context or the write deadline, whichever is first, ends a write. Within a frame that has ended the writing, and
// all writes say so; the reading goes on.
func TestWriteMessageContextInterruptedWithinAFrame(t *testing.T) {
	const within = "websocket: write interrupted within a frame: "
	for _, tt := range []struct {
		cancel, timeout, deadline time.Duration
		want                      error
		text                      string
	}{
		{time.Second, time.Minute, time.Minute, context.Canceled, within + "context canceled: mine"},
		{time.Minute, time.Second, time.Minute, context.DeadlineExceeded, within + "context deadline exceeded"},
		{time.Minute, time.Minute, time.Second, os.ErrDeadlineExceeded, "i/o timeout"},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				a, wire := newPipe(t, 100)
				c := newConn(a, server, nil, connOptions{})
				cancelled, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(tt.cancel, func() { cancel(errMine) })
				ctx, stop := context.WithTimeout(cancelled, tt.timeout)
				defer stop()
				c.SetWriteDeadline(time.Now().Add(tt.deadline))
				var err error
				d := took(func() { err = c.WriteMessageContext(ctx, BinaryMessage, make([]byte, 1000)) })
				if !errors.Is(err, tt.want) || err.Error() != tt.text || d != time.Second {
					t.Errorf("got %v after %v, want %s after 1s", err, d, tt.text)
				}
				if tt.want == context.Canceled && !errors.Is(err, errMine) {
					t.Errorf("got %v, want the cause", err)
				}
				c.SetWriteDeadline(time.Time{})
				wire.take()
				wantWritesFail(t, "a frame has left in part", c, err)
				c.wantNothingSent(t, wire, "the writing has ended")
				wire.Write(peerFrames(server, textFrame("still")))
				wantRead(t, c, "still")
			})
		})
	}
}

// lateWrites is a transport whose Write succeeds just after it was interrupted.
type lateWrites struct {
	nullTransport
	cancel      func()
	interrupted chan struct{}
	deadlines   []time.Time
}

func (l *lateWrites) SetWriteDeadline(t time.Time) error {
	l.deadlines = append(l.deadlines, t)
	if t.Equal(aLongTimeAgo) {
		close(l.interrupted)
	}
	return nil
}

func (l *lateWrites) Write(p []byte) (int, error) {
	if l.cancel != nil {
		l.cancel()
		<-l.interrupted
		l.cancel = nil
	}
	return len(p), nil
}

// A write that was done when its context interrupted it is a success, and the
// deadline by which it was interrupted is not that of the next one.
func TestWriteMessageContextInterruptedTooLate(t *testing.T) {
	for _, next := range []time.Time{{}, time.Now().Add(time.Hour)} {
		ctx, cancel := context.WithCancel(context.Background())
		l := &lateWrites{cancel: cancel, interrupted: make(chan struct{})}
		c := newConn(l, true, nil, connOptions{})
		if err := c.WriteMessageContext(ctx, TextMessage, nil); err != nil {
			t.Errorf("got %v, want nil: the message has left", err)
		}
		if !next.IsZero() {
			c.SetWriteDeadline(next)
		}
		wantWrite(t, c, "the next")
		if n := len(l.deadlines); n != 2 || !l.deadlines[1].Equal(next) {
			t.Errorf("got the deadlines %v, want one in the past and %v", l.deadlines, next)
		}
	}
}

// Where the network has taken nothing of a frame, nothing has happened, also where a wrapper says so. A frame of more
// than 16 KiB takes another path.
func TestWriteMessageContextNothingTaken(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		for _, size := range []int{10, 100_000} {
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Millisecond, func() { cancel(errMine) })
			wantCancelled(t, "the network is full", c.WriteMessageContext(ctx, BinaryMessage, make([]byte, size)))
			if err := c.send.lock.err(); err != nil {
				t.Errorf("got %v, want a good connection", err)
			}
		}
		c.send.link.SetWriteDeadline(aLongTimeAgo) // as it may be: the next write gives it its own
		written := make(chan error)
		go func() { written <- c.WriteMessage(TextMessage, []byte("sent")) }()
		peer.drain(t)
		peer.want(t, "the network is free", "1 sent")
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// A context that ends just when a message leaves or comes: each message that was reported as written comes once, in
// order, and no other; no connection is lost, since a frame leaves at once.
func TestContextsRaceWithMessages(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c, peer := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
		racing := func() context.Context {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			return ctx
		}
		var sent, got []string
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := range 3000 {
				text := fmt.Sprint(i)
				err := c.WriteMessageContext(racing(), TextMessage, []byte(text))
				if err == nil {
					sent = append(sent, text)
				} else if err != context.Canceled {
					t.Errorf("message %d: got %v, want nil or context.Canceled: the network is not full", i, err)
				}
			}
			c.WriteControl(CloseMessage, nil, time.Time{})
		})
		for interrupted := 0; ; {
			_, p, err := peer.ReadMessageContext(racing())
			if err == context.Canceled && p == nil {
				if interrupted++; interrupted%2 == 0 {
					continue
				}
				_, p, err = peer.ReadMessage() // is not disturbed
			}
			if err != nil {
				if !IsCloseError(err, CloseNoStatusReceived) {
					t.Errorf("got %v, want close 1005", err)
				}
				break
			}
			got = append(got, string(p))
		}
		writing.Wait()
		if !slices.Equal(got, sent) {
			t.Errorf("got %d messages, want the %d that were reported as written", len(got), len(sent))
		}
	})
}
