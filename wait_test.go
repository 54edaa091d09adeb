//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// countedContext is a context that knows what is registered with it.
type countedContext struct {
	context.Context // its values, and no deadline
	done            chan struct{}

	mu    sync.Mutex
	err   error
	funcs map[int]func()
	total int // how many there have been
}

func newCountedContext() *countedContext {
	return &countedContext{Context: context.Background(), done: make(chan struct{}), funcs: map[int]func(){}}
}

func (c *countedContext) Done() <-chan struct{} { return c.done }

func (c *countedContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc is what context.AfterFunc calls.
func (c *countedContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.total
	c.total++
	c.funcs[id] = f
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.funcs[id]
		delete(c.funcs, id)
		return ok
	}
}

func (c *countedContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = context.Canceled
	close(c.done)
	for id, f := range c.funcs {
		go f()
		delete(c.funcs, id)
	}
}

func (c *countedContext) want(t *testing.T, when string, registered, total int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.funcs) != registered || c.total != total {
		t.Errorf("%s: got %d functions registered with the context, of %d in all, want %d of %d",
			when, len(c.funcs), c.total, registered, total)
	}
}

var errMine = errors.New("mine")

// cancelled returns a context that was cancelled, with the cause if that is not nil.
func cancelled(cause error) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ctx
}

// wantCancelled checks the error of a call that a context ended with errMine as the cause.
func wantCancelled(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || err.Error() != "websocket: context canceled: mine" ||
		!errors.Is(err, context.Canceled) || !errors.Is(err, errMine) {
		t.Errorf("%s: got %v, want that the context was cancelled with its cause", what, err)
	}
}

func TestLimit(t *testing.T) {
	if b := (limit{}); b.done() != nil || b.ended() != nil {
		t.Error("got an end of a limit without a context")
	}
	if b := (limit{ctx: context.Background()}); b.done() != nil || b.ended() != nil {
		t.Error("got an end of a context that has none")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	b := limit{deadline: time.Now().Add(-time.Hour), ctx: ctx}
	if b.done() == nil || b.ended() != errWriteTimeout || b.err() != errWriteTimeout {
		t.Errorf("the context goes on: got %v and %v, want write timeout", b.ended(), b.err())
	}
	cancel(errMine)
	<-b.done()
	wantCancelled(t, "ended", b.ended())
	wantCancelled(t, "err, the deadline having passed too", b.err())
}

// The context's error and its cause can be found, and the prefix is there once.
func TestContextError(t *testing.T) {
	for _, tt := range closingContexts {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := tt.make(t.Context())
			defer cancel()
			time.Sleep(time.Minute)
			synctest.Wait()
			err := contextError(ctx)
			if wantErrorIs(t, err, tt.wants...); err.Error() != tt.want {
				t.Errorf("%s: got %q, want %q", tt.name, err, tt.want)
			}
			var ne net.Error
			timeout, want := errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded)
			if timeout != want || errors.Is(err, os.ErrDeadlineExceeded) { // that is for deadlines of the network
				t.Errorf("%s: got a timeout %t, want %t", tt.name, timeout, want)
			}
		})
	}
}

// countingWatch returns a watch that counts its interrupts, and must not abort.
func countingWatch(t *testing.T, interrupts *int) *watch {
	return &watch{
		interrupt: func() error { *interrupts++; return nil },
		waiting:   func() uint32 { return 1 },
		abort:     func() error { t.Error("got an operation aborted, want it interrupted only"); return nil },
	}
}

// The context interrupts the operation that is going on, once, and none before or after it.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupts := 0
		w := countingWatch(t, &interrupts)
		during := func(ctx context.Context, operation func()) (interrupted bool) {
			w.begin(ctx)
			operation()
			return w.end()
		}
		want := func(reason string, interrupted, want bool, n int) {
			t.Helper()
			synctest.Wait()
			if interrupted != want || interrupts != n {
				t.Fatalf("%s: got %t and %d interrupts, want %t and %d", reason, interrupted, interrupts, want, n)
			}
		}
		first, second, third := newCountedContext(), newCountedContext(), newCountedContext()

		want("nothing has ended", during(first, func() {}), false, 0)
		want("nothing has ended, again", during(first, func() {}), false, 0)
		first.want(t, "after two operations", 1, 1)

		first.cancel()
		want("the context ended between two operations", false, false, 0)
		want("of a context that goes on", during(second, func() {}), false, 0)
		want("the context ended before the operation", during(first, func() { interrupts *= 10 }), true, 10)

		want("the context ends during the operation", during(second, func() {
			second.cancel()
			synctest.Wait()
		}), true, 11)
		second.want(t, "having ended", 0, 2)

		during(third, func() {})
		other := newCountedContext()
		want("the context of an earlier operation ends", during(other, func() {
			third.want(t, "in an operation with another context", 0, 1)
			third.cancel()
			synctest.Wait()
		}), false, 11)

		w.forget()
		other.want(t, "after forget", 0, 1)
		w.forget() // is harmless
		want("after forget", during(other, func() {
			other.cancel()
			synctest.Wait()
		}), true, 12)
	})
}

// The function of a context that has ended may run late: then it is about an
// operation that is over, and must not interrupt the one that goes on.
func TestWatchLateFunction(t *testing.T) {
	interrupts := 0
	w := countingWatch(t, &interrupts)
	old, ctx := newCountedContext(), newCountedContext()
	operation := func(ctx *countedContext, late ...*countedContext) (interrupted bool) {
		w.begin(ctx)
		for _, other := range late {
			w.fire(other.done)
		}
		return w.end()
	}
	operation(old)
	if operation(ctx, old) || interrupts != 0 {
		t.Errorf("of another context: got %d interrupts, want none", interrupts)
	}
	if w.fire(ctx.done); interrupts != 0 {
		t.Errorf("between operations: got %d interrupts, want none", interrupts)
	}
	if !operation(ctx, ctx, ctx) || interrupts != 1 {
		t.Errorf("of its own context, twice: got %d interrupts, want one", interrupts)
	}
}

// A connection that was closed, or whose direction has ended, is on no context: a long-lived one would keep it for
// ever.
func TestCloseTakesTheConnectionOffContexts(t *testing.T) {
	type ends struct {
		*testing.T
		c    *Conn
		wire *pipeConn
		ctx  *countedContext
		near *slowWrites
	}
	message := "81 01 61"
	read := func(e ends) {
		e.wire.Write(unhex(e, message))
		if _, _, err := e.c.ReadMessageContext(e.ctx); err != nil {
			e.Fatal(err)
		}
	}
	write := func(e ends) {
		if err := e.c.WriteMessageContext(e.ctx, TextMessage, nil); err != nil {
			e.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name       string
		before     func(e ends)
		registered int // before Close
		total      int // and later
		after      func(e ends)
	}{
		{"during a read", func(e ends) { go e.c.ReadMessageContext(e.ctx) }, 1, 1, nil},
		{"during a write", func(e ends) { go e.c.WriteMessageContext(e.ctx, TextMessage, make([]byte, 1000)) }, 1, 1, nil},
		{"a write that is done just now", func(e ends) {
			e.near.before = func() { e.c.Close() }
			go e.c.WriteMessageContext(e.ctx, TextMessage, nil)
		}, 0, 1, nil},
		{"during Ping", func(e ends) { go e.c.Ping(e.ctx) }, 1, 1, nil},
		{"after both", func(e ends) {
			read(e)
			write(e)
		}, 2, 2, nil},
		{"the peer has closed", func(e ends) {
			read(e)
			e.ctx.want(e.T, "after a message", 1, 1)
			e.wire.Write(unhex(e, "88 00"))
			e.c.ReadMessageContext(e.ctx)
		}, 0, 1, nil},
		{"the writing has failed", func(e ends) {
			e.wire.Close()
			e.c.WriteMessageContext(e.ctx, TextMessage, nil)
		}, 0, 1, nil},
		{"a read of what had come before", func(e ends) {
			e.wire.Write(unhex(e, message+message))
			e.c.ReadMessage()
		}, 0, 0, func(e ends) { e.c.ReadMessageContext(e.ctx) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, wire := newPipe(t, 500)
				near := &slowWrites{pipeConn: a}
				e := ends{t, newConn(near, false, nil, connOptions{}), wire, newCountedContext(), near}
				tt.before(e)
				synctest.Wait()
				e.ctx.want(t, "before Close", tt.registered, tt.total)
				e.c.Close()
				if tt.after != nil {
					tt.after(e)
				}
				synctest.Wait()
				e.ctx.want(t, "after Close", 0, tt.total)
			})
		})
	}
}

// slowWrites has something happen before each Write, which then succeeds.
type slowWrites struct {
	*pipeConn
	before func()
}

func (s *slowWrites) Write(p []byte) (int, error) {
	if s.before == nil {
		return s.pipeConn.Write(p)
	}
	s.before()
	return len(p), nil
}

// repeatTransport has the same bytes to read for ever, and takes whatever is written.
type repeatTransport struct {
	nullTransport
	in  []byte
	pos int
}

func (r *repeatTransport) Read(p []byte) (n int, err error) {
	n = copy(p, r.in[r.pos:])
	r.pos = (r.pos + n) % len(r.in)
	return n, nil
}

// One call after another with the same context costs nothing more than without one.
func TestContextsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	deadline, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	for _, size := range []int{16, 3000} {
		c := newConn(&repeatTransport{in: frames(1, size)}, true, nil, connOptions{})
		plain := testing.AllocsPerRun(100, func() { c.ReadMessage() })
		if plain < 1 {
			t.Fatalf("got %v allocations for ReadMessage, want its memory at least", plain)
		}
		data := make([]byte, size)
		for name, ctx := range map[string]context.Context{
			"Background": context.Background(), "cancellable": ctx, "with a deadline": deadline,
		} {
			for _, tt := range []struct {
				method string
				call   func() error
				want   float64
			}{
				{"ReadMessageContext", func() error { return second3(c.ReadMessageContext(ctx)) }, plain},
				{"WriteMessageContext", func() error { return c.WriteMessageContext(ctx, BinaryMessage, data) }, 0},
			} {
				var err error
				n := testing.AllocsPerRun(100, func() { err = errors.Join(err, tt.call()) })
				if n != tt.want || err != nil {
					t.Errorf("%d bytes, %s: got %v allocations and %v for %s, want %v", size, name, n, err, tt.method, tt.want)
				}
			}
		}
	}
}

// What cannot be interrupted, or waits for the transport for abortTime all the same, is aborted; what does
// something else meanwhile is not.
func TestWatchAborts(t *testing.T) {
	always := func(time.Duration) uint32 { return 7 }
	never := func(time.Duration) uint32 { return 0 }
	oneAfterTheOther := func(since time.Duration) uint32 { return uint32(since/time.Millisecond) | 1 }
	later := func(since time.Duration) uint32 { return uint32(since / (10 * abortTime)) }
	for _, tt := range []struct {
		interrupt error
		waiting   func(since time.Duration) uint32
		takes     time.Duration
		aborted   time.Duration // after the context has ended; -1 if it is not
	}{
		{nil, always, abortTime - 1, -1},
		{nil, always, time.Second, abortTime},
		{errMine, always, time.Second, 0},
		{nil, never, time.Hour, -1},
		{errMine, never, time.Hour, -1},
		{nil, oneAfterTheOther, time.Hour, -1},
		{nil, later, time.Hour, 10*abortTime + abortTime/2},
		{errMine, later, time.Hour, 10*abortTime + abortTime/2},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, aborted := time.Now(), time.Duration(-1)
			w := &watch{
				interrupt: func() error { return tt.interrupt },
				waiting:   func() uint32 { return tt.waiting(time.Since(start)) },
				abort: func() error {
					if aborted >= 0 {
						t.Error("got it aborted twice")
					}
					aborted = time.Since(start)
					return nil
				},
			}
			ctx := newCountedContext()
			w.begin(ctx)
			ctx.cancel()
			time.Sleep(tt.takes)
			if !w.end() {
				t.Error("got an operation that was not interrupted")
			}
			time.Sleep(time.Hour)
			if aborted != tt.aborted {
				t.Errorf("%+v: got it aborted after %v", tt, aborted)
			}
		})
	}
}

// A read that waits for its turn can be ended by its context, and by a deadline when it has its turn. A second reader,
// which is a mistake, harms nothing.
func TestReadsWaitForTheirTurn(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		read := func(ctx context.Context) *call {
			return begin(t, func() (string, error) {
				_, p, err := tc.c.ReadMessageContext(ctx)
				return string(p), err
			})
		}
		for _, tt := range closingContexts {
			first := tc.read()
			first.wantWaiting("nothing has come")
			ctx, cancel := tt.make(t.Context())
			second := read(ctx)
			second.want(tt.name, time.Minute, tt.want)
			if cancel(); second.result != "" {
				t.Errorf("got %q, want nothing", second.result)
			}
			tc.send("\x81a", "\x81b")
			first.wantMessage("the first message is the first reader's", "a")
			read(t.Context()).wantMessage("the second one", "b")
		}

		both := []*call{tc.read(), read(t.Context())}
		synctest.Wait()
		tc.c.SetReadDeadline(time.Now().Add(time.Second))
		for _, x := range both {
			x.wantIs("the deadline", time.Second, os.ErrDeadlineExceeded)
		}
		tc.c.SetReadDeadline(time.Time{})
		tc.send("\x81a")
		tc.read().wantMessage("the connection is good", "a")
	})
}

// A write that its context ends while it waits for its turn has not happened.
func TestWriteMessageContextInterruptedInTurn(t *testing.T) {
	large := make([]byte, 1000)
	for name, block := range map[string]func(c *Conn) (unblock func()){
		"a message writer is open": func(c *Conn) func() {
			w, _ := c.NextWriter(BinaryMessage)
			w.Write(large[:99])
			return func() {
				w.Write(large[99:])
				w.Close()
			}
		},
		"a message is being written": func(c *Conn) func() {
			go c.WriteMessage(BinaryMessage, large)
			return func() {}
		},
	} {
		closingOn{size: 100}.run(t, func(t *testing.T, tc *closing) {
			unblock := block(tc.c)
			write := func(ctx context.Context, text string) *call {
				synctest.Wait()
				return inBackground(t, func() error { return tc.c.WriteMessageContext(ctx, TextMessage, []byte(text)) })
			}
			for _, tt := range closingContexts {
				ctx, cancel := tt.make(t.Context())
				write(ctx, "not sent").want(name, time.Minute, tt.want)
				write(ctx, "not sent").want("ended before", 0, tt.want)
				cancel()
			}
			tc.c.SetWriteDeadline(time.Now().Add(time.Second))
			write(t.Context(), "not sent").wantIs("the deadline is before the end of the context", time.Second, errWriteTimeout)
			tc.c.SetWriteDeadline(time.Time{})

			go unblock()
			sent := write(t.Context(), "small")
			var all bytes.Buffer
			for synctest.Wait(); len(tc.wire.in.data) > 0; synctest.Wait() {
				all.Write(tc.wire.take())
			}
			sent.want("the connection is good", 0, noError)
			tc.wire.in.data = all.Bytes()
			tc.want("nothing else was sent", "\x82"+string(large), "\x81small")
			tc.c.wantNothingUnsent(t)
		})
	}
}

// heldConn keeps back the end of what is written.
type heldConn struct {
	net.Conn
	keep int
	held []byte
}

func (h *heldConn) Write(p []byte) (int, error) {
	cut := len(p) - min(h.keep, len(p))
	h.held = append(h.held, p[cut:]...)
	_, err := h.Conn.Write(p[:cut])
	return len(p), err
}

func (h *heldConn) letGo() {
	h.Conn.Write(h.held)
	h.held, h.keep = nil, 0
}

// Over TLS a read is interrupted within a record, at every byte of it.
func TestReadMessageContextInterruptedWithinATLSRecord(t *testing.T) {
	tlsTestConfigs() // outside
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 10_000)
		held := &heldConn{Conn: far}
		server, client := overTLS(t, near, held)
		c := newConn(server, true, nil, connOptions{})
		in := peerFrames(true, peerFrame{true, opText, "héllo"})
		for keep := 1; keep < 5+len(in)+17; keep++ { // a record's header, its type and its tag
			held.keep = keep
			client.Write(in)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, _, err := c.ReadMessageContext(ctx); err != context.DeadlineExceeded {
				t.Fatalf("without the last %d bytes: got %v, want context.DeadlineExceeded", keep, err)
			}
			cancel()
			held.letGo()
			wantRead(t, c, "héllo")
		}
	})
}
