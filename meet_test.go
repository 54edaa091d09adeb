//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// busyConn is a network connection of which each Write takes a millisecond, and fails from
// the one on that is given.
type busyConn struct {
	*loggedConn
	fails int
	count int
}

func newBusyConn(t *testing.T, server bool) (*Conn, *busyConn) {
	a, _ := newPipe(t, 1<<20)
	wire := &busyConn{loggedConn: &loggedConn{pipeConn: a}}
	return newConn(wire, server, nil, connOptions{}), wire
}

func (b *busyConn) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	if b.count++; b.count == b.fails {
		return 0, errMine
	}
	return b.loggedConn.Write(p)
}

// While one is in the system call the frames of the others collect, and leave in one write.
// Each call returns when its own frame has left.
func TestMeetingWriters(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newBusyConn(t, server)
			const writers, messages = 64, 10
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() {
					for j := range messages {
						text := fmt.Sprint(i, " ", j)
						if err := c.WriteMessage(TextMessage, []byte(text)); err != nil {
							t.Errorf("got %v, want nil", err)
						}
						wire.mu.Lock()
						last := describeFrames(t, wire.log[len(wire.log)-1])
						wire.mu.Unlock()
						if !strings.Contains("|"+last+"|", "|1 "+text+"|") {
							t.Errorf("the call for %q has returned at another write than its own", text)
						}
					}
				})
			}
			all.Wait()
			var next [writers]int
			writes := wire.take(t)
			for _, text := range strings.Split(strings.Join(writes, "|"), "|") {
				var i, j int
				fmt.Sscanf(text, "1 %d %d", &i, &j)
				if next[i] != j {
					t.Fatalf("got message %d of writer %d, want %d", j, i, next[i])
				}
				next[i]++
			}
			for i, n := range next {
				if n != messages {
					t.Errorf("writer %d: got %d messages, want %d", i, n, messages)
				}
			}
			if most := writers * messages / 20; len(writes) > most {
				t.Errorf("got %d writes, want at most %d", len(writes), most)
			}
		})
	})
}

// On one processor writers meet, too: who writes lets the others run first.
func TestMeetingWritersOnOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c, wire := newTestConn(t, true)
	const writers, messages = 64, 300 // more than until it is tried first
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range messages {
				c.WriteMessage(TextMessage, []byte("x"))
			}
		})
	}
	all.Wait()
	if n := len(wire.take()); n != 3*writers*messages {
		t.Errorf("got %d bytes, want %d", n, 3*writers*messages)
	}
	if n := wire.in.writes; n > writers*messages/4 {
		t.Errorf("got %d writes for %d messages, want fewer", n, writers*messages)
	}
}

// Over the kernel's connections nothing is lost or mixed up.
func TestMeetingWritersOverTheKernel(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		server, client := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
		for _, pair := range [][2]*Conn{{server, client}, {client, server}} {
			const writers, messages = 64, 20
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() {
					for j := range messages {
						if err := pair[0].WriteMessage(BinaryMessage, bytes.Repeat([]byte{byte(i), byte(j)}, 1+i*j)); err != nil {
							t.Errorf("got %v, want nil", err)
						}
					}
				})
			}
			var next [writers]int
			for range writers * messages {
				_, p, err := pair[1].ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				i, j := int(p[0]), int(p[1])
				if next[i] != j || !bytes.Equal(p, bytes.Repeat([]byte{byte(i), byte(j)}, 1+i*j)) {
					t.Fatalf("got message %d of writer %d, or a part of it, want message %d", j, i, next[i])
				}
				next[i]++
			}
			all.Wait()
		}
	})
}

// An error of the network reaches each whose frame was to leave, and all who come later.
func TestMeetingWritersAndAnError(t *testing.T) {
	for fails := 1; fails <= 2; fails++ { // the first, alone; the second, with the frames of all others
		synctest.Test(t, func(t *testing.T) {
			c, wire := newBusyConn(t, true)
			wire.fails = fails
			const writers = 10
			errs := make([]error, writers)
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() { errs[i] = c.WriteMessage(TextMessage, []byte("x")) })
			}
			all.Wait()
			good := 0
			for _, err := range errs {
				if err == nil {
					good++
				} else if err != errMine {
					t.Errorf("got %v, want the network's error", err)
				}
			}
			if good != fails-1 {
				t.Errorf("got %d calls without an error, want %d", good, fails-1)
			}
			if err := c.WriteMessage(TextMessage, nil); err != errMine {
				t.Errorf("later: got %v, want the same", err)
			}
		})
	}
}

// Who has an earlier deadline than the one that writes is not sent along with it: his wait
// ends at his time, and the connection is good.
func TestDeadlinesOfMeetingWriters(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newPipe(t, 10)
			wire := &loggedConn{pipeConn: a}
			c := newConn(wire, server, nil, connOptions{})
			type result struct {
				text string
				err  error
				at   time.Duration
			}
			results := make(chan result, 10)
			start := time.Now()
			write := func(text string, timeout time.Duration) {
				var deadline time.Time
				if timeout > 0 {
					deadline = start.Add(timeout)
				}
				c.SetWriteDeadline(deadline)
				go func() {
					err := c.WriteMessage(TextMessage, []byte(text))
					results <- result{text, err, time.Since(start)}
				}()
				synctest.Wait()
			}
			write("the first, which fills", 0)
			write("the next, without any", 0)
			write("late", time.Second)
			write("early enough", time.Hour)
			// Now the next one is in the system call, with the frames that may come along.
			if got := drainFrames(t, wire, 1); got != "1 22 bytes" {
				t.Errorf("got %q, want the first", got)
			}
			if r := <-results; r.err != nil {
				t.Errorf("%q: got %v, want nil", r.text, r.err)
			}
			if r := <-results; r.text != "late" || r.err != errWriteTimeout || r.at != time.Second {
				t.Errorf("got %v for %q at %v, want a write timeout for the one that is late", r.err, r.text, r.at)
			}
			if got, want := drainFrames(t, wire, 2), "1 21 bytes|1 early enough"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			for range 2 {
				if r := <-results; r.err != nil {
					t.Errorf("%q: got %v, want nil", r.text, r.err)
				}
			}
		})
	})
}

// Who has a context that can end is not sent along either, and can give up.
func TestContextsOfMeetingWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newBusyConn(t, true)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Microsecond, errMine)
		defer cancel()
		go c.WriteMessage(TextMessage, []byte("a"))
		synctest.Wait()
		go c.WriteMessage(TextMessage, []byte("b"))
		synctest.Wait()
		given := make(chan error)
		go func() { given <- c.WriteMessageContext(ctx, TextMessage, []byte("c")) }()
		synctest.Wait()
		go c.WriteMessage(TextMessage, []byte("d"))
		err := <-given
		if !errors.Is(err, errMine) || c.send.failed() != nil {
			t.Errorf("got %v, want the cause, and a good connection", err)
		}
		time.Sleep(time.Second)
		wire.wantWrites(t, "without the one that gave up", "1 a", "1 b|1 d")
	})
}

// RFC 6455, 5.5.1: no data frame after a Close frame. Those who meet one that is waiting
// are told so, and get along with one before it.
func TestNothingFollowsACloseFrame(t *testing.T) {
	for name, sendClose := range map[string]func(c *Conn) error{
		"WriteControl": func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) },
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(CloseMessage, nil) },
		"Shutdown":     func(c *Conn) error { return c.Shutdown(context.Background(), CloseNoStatusReceived, "") },
		"prepared": func(c *Conn) error {
			pm, _ := NewPreparedMessage(CloseMessage, nil)
			return c.WritePreparedMessage(pm)
		},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newBusyConn(t, server)
				go c.WriteMessage(TextMessage, []byte("a"))
				synctest.Wait()
				go sendClose(c)
				synctest.Wait()
				errs := make(chan error, 3)
				go func() { errs <- c.WriteMessage(TextMessage, []byte("b")) }()
				go func() { errs <- c.WriteControl(PongMessage, nil, time.Time{}) }()
				go func() { errs <- second(c.NextWriter(TextMessage)) }()
				time.Sleep(time.Second)
				for range cap(errs) - 1 { // NextWriter takes its turn before
					if err := <-errs; err != nil && err != ErrCloseSent {
						t.Errorf("%s: got %v, want ErrCloseSent", name, err)
					}
				}
				wire.wantWrites(t, name, "1 a", "8 ")
				wire.peer().Close()
				c.Close()
			})
		})
	}
}
