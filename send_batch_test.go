//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
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

// While one call is in the system call the frames of the others collect, and leave in one write.
// Each call returns when its own frame has left.
func TestBatch(t *testing.T) {
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

// On one processor there are batches, too: the holder of the lock yields before it writes.
func TestBatchOnOneProcessor(t *testing.T) {
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
func TestBatchOverTheKernel(t *testing.T) {
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

// An error of the network is returned by each call whose frame was to leave, and all later ones.
func TestBatchAndAnError(t *testing.T) {
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

// A frame with an earlier deadline than that of the holder of the lock does not join its batch: its
// call ends at the deadline, and the connection is good.
func TestBatchAndDeadlines(t *testing.T) {
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
			// Now the next one is in the system call, with the frames that may join it.
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

// If the time of the call that writes a batch ends first, a frame that has begun to leave is sent all
// the same, and the calls of those behind it go on waiting. Only within the call's own frame the
// connection has failed.
func TestBatchAndATimeout(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		size := len(peerFrames(!server, texts("a")...))
		for _, tt := range []struct {
			name string
			room int      // for the batch
			want []string // the results of b, c and d
			sent string
		}{
			{"nothing has left", 0, []string{"b write timeout", "c ok", "d ok"}, "1 a|1 c|1 d"},
			{"some of its own frame", 1, []string{"b network", "c network", "d network"}, ""},
			{"its own frame", size, []string{"b ok", "c ok", "d ok"}, "1 a|1 b|1 c|1 d"},
			{"some of the next", size + 1, []string{"b ok", "c ok", "d ok"}, "1 a|1 b|1 c|1 d"},
			{"all but a byte", 3*size - 1, []string{"b ok", "c ok", "d ok"}, "1 a|1 b|1 c|1 d"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, far := newPipe(t, 0)
					wire := &loggedConn{pipeConn: near}
					c := newConn(wire, server, nil, connOptions{})
					var mu sync.Mutex
					var results []string
					write := func(text string, timeout time.Duration) {
						c.SetWriteDeadline(time.Time{})
						if timeout > 0 {
							c.SetWriteDeadline(time.Now().Add(timeout))
						}
						go func() {
							err := c.WriteMessage(TextMessage, []byte(text))
							mu.Lock()
							defer mu.Unlock()
							switch {
							case err == nil:
								text += " ok"
							case err == errWriteTimeout:
								text += " write timeout"
							case errors.Is(err, os.ErrDeadlineExceeded):
								text += " network"
							}
							results = append(results, text)
						}()
						synctest.Wait()
					}
					write("a", 0)
					write("b", time.Second)
					write("c", 0)
					write("d", 0)
					room(far, size+tt.room) // so that b is written, with those that wait
					time.Sleep(time.Second)
					synctest.Wait()
					room(far, 1<<20)
					synctest.Wait()
					slices.Sort(results)
					if want := append([]string{"a ok"}, tt.want...); !slices.Equal(results, want) {
						t.Errorf("got %q, want %q", results, want)
					}
					if tt.sent != "" {
						wantFrames := strings.Count(tt.sent, "|") + 1
						if got := drainFrames(t, wire, wantFrames); got != tt.sent {
							t.Errorf("got %q, want %q", got, tt.sent)
						}
					}
					c.wantNothingUnsent(t)
				})
			})
		}
	})
}

// A frame whose context can end does not join either, and its call can give up.
func TestBatchAndContexts(t *testing.T) {
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
		if !errors.Is(err, errMine) || c.send.lock.err() != nil {
			t.Errorf("got %v, want the cause, and a good connection", err)
		}
		time.Sleep(time.Second)
		wire.wantWrites(t, "without the one that gave up", "1 a", "1 b|1 d")
	})
}

// RFC 6455, 5.5.1: no data frame after a Close frame. Calls that wait behind one are told so.
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
