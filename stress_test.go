//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"encoding/json"
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

const stressWriters = 64

// stressMessage is message j of writer i: 1 byte to 200 KiB that nobody else sends.
// Its first byte is i.
func stressMessage(i, j int) []byte {
	size := []int{1, 7, 125, 126, 1000, 4082, 5000, 70_000, 2, 300, 200 << 10}[(i*3+j)%11]
	p := noise(size, uint64(i<<8|j))
	p[0] = byte(i)
	return p
}

// stressWrite sends a message in one of all ways there are.
func stressWrite(ctx context.Context, c *Conn, i, j int) error {
	p := stressMessage(i, j)
	switch (i + j) % 5 {
	case 0:
		return c.WriteMessage(BinaryMessage, p)
	case 1:
		return c.WriteMessageContext(ctx, BinaryMessage, p)
	case 2:
		return c.WriteJSON(p)
	case 3:
		return answers["WritePreparedMessage"](c, BinaryMessage, p)
	}
	if i != 0 { // NextWriter is for one goroutine
		return c.WriteMessage(BinaryMessage, p)
	}
	w, err := c.NextWriter(BinaryMessage)
	if err != nil {
		return err
	}
	for ; err == nil && len(p) > 0; p = p[min(len(p), 3000):] {
		_, err = w.Write(p[:min(len(p), 3000)])
	}
	return errors.Join(err, w.Close())
}

// stressSend sends all messages of all writers, with control frames between.
func stressSend(t *testing.T, c *Conn, messages int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var writers sync.WaitGroup
	for i := range stressWriters {
		writers.Go(func() {
			for j := range messages {
				if err := stressWrite(ctx, c, i, j); err != nil {
					t.Errorf("writer %d, message %d: got %v", i, j, err)
					c.Close() // the peer waits
					return
				}
			}
		})
	}
	for i := range 4 {
		writers.Go(func() {
			for j := range messages {
				err := c.WriteControl(PongMessage, []byte{byte(i), byte(j)}, time.Time{})
				if err := errors.Join(err, second(c.Ping(ctx))); err != nil {
					t.Errorf("pong or ping %d of sender %d: got %v", j, i, err)
				}
			}
		})
	}
	writers.Wait()
}

// stressReceive checks that each message comes once, whole, and in its writer's order.
func stressReceive(t *testing.T, c *Conn, messages int) {
	var next [stressWriters]int
	var pongs [4]int
	c.SetPongHandler(func(s string) error {
		if len(s) == 2 { // else it is a Ping's
			if int(s[1]) != pongs[s[0]] {
				t.Errorf("sender %d: got pong %d, want %d", s[0], s[1], pongs[s[0]])
			}
			pongs[s[0]]++
		}
		return nil
	})
	for n := 0; n < stressWriters*messages; n++ {
		messageType, p, err := c.ReadMessage()
		if err == nil && messageType == TextMessage {
			err = json.Unmarshal(p, &p) // of WriteJSON
		}
		if err != nil {
			t.Errorf("got %v after %d messages", err, n)
			c.Close() // the peer waits
			return
		}
		if i := int(p[0]); i >= stressWriters || !bytes.Equal(p, stressMessage(i, next[i])) {
			t.Errorf("got %d bytes, not message %d of writer %d", len(p), next[i], i)
		} else {
			next[i]++
		}
	}
	all := [4]int{messages, messages, messages, messages}
	if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNoStatusReceived) || pongs != all {
		t.Errorf("got %v and the pongs %d, want the end, and %d of each sender", err, pongs, messages)
	}
}

// Any number of goroutines write in all ways at once, in both directions.
func TestStressWriters(t *testing.T) {
	const messages = 3
	near, far := tcpPair(t)
	conns := []*Conn{newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})}
	var senders, receivers sync.WaitGroup
	for _, c := range conns {
		senders.Go(func() { stressSend(t, c, messages) })
		receivers.Go(func() { stressReceive(t, c, messages) })
	}
	senders.Wait()
	for _, c := range conns {
		if err := c.WriteControl(CloseMessage, nil, time.Time{}); err != nil && err != ErrCloseSent {
			t.Error(err)
		}
	}
	receivers.Wait()
}
