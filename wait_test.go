//go:build go1.25

package websocket

import (
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
	if err == nil || err.Error() != "websocket: context canceled: mine" || !errors.Is(err, context.Canceled) || !errors.Is(err, errMine) {
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
	expired, cancel := context.WithTimeout(context.Background(), -1)
	defer cancel()
	because, cancel := context.WithTimeoutCause(context.Background(), -1, errMine)
	defer cancel()
	for _, tt := range []struct {
		ctx     context.Context
		want    error
		text    string
		cause   bool
		timeout bool
	}{
		{cancelled(nil), context.Canceled, "context canceled", false, false},
		{cancelled(errMine), context.Canceled, "websocket: context canceled: mine", true, false},
		{expired, context.DeadlineExceeded, "context deadline exceeded", false, true},
		{because, context.DeadlineExceeded, "websocket: context deadline exceeded: mine", true, true},
	} {
		err := contextError(tt.ctx)
		if err.Error() != tt.text || !errors.Is(err, tt.want) || errors.Is(err, errMine) != tt.cause {
			t.Errorf("got %q, is %v: %t, is its cause: %t, want %q, true, %t",
				err, tt.want, errors.Is(err, tt.want), errors.Is(err, errMine), tt.text, tt.cause)
		}
		var ne net.Error
		if timeout := errors.As(err, &ne) && ne.Timeout(); timeout != tt.timeout {
			t.Errorf("%q: got a timeout: %t, want %t", err, timeout, tt.timeout)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: got an error that is os.ErrDeadlineExceeded; no deadline of the network has passed", err)
		}
	}
}

// neverAborts returns a function that a watch must not call.
func neverAborts(t *testing.T) func() error {
	return func() error {
		t.Error("got an operation aborted, want it interrupted only")
		return nil
	}
}

// The context interrupts the operation that is going on, once, and none before or after it.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupts := 0
		w := &watch{interrupt: func() error { interrupts++; return nil }, waiting: func() uint32 { return 1 }, abort: neverAborts(t)}
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
	w := &watch{interrupt: func() error { interrupts++; return nil }, waiting: func() uint32 { return 1 }, abort: neverAborts(t)}
	old, ctx := newCountedContext(), newCountedContext()
	w.begin(old)
	w.end()
	w.begin(ctx)
	w.fire(old.done)
	if interrupted := w.end(); interrupted || interrupts != 0 {
		t.Errorf("late function of another context: got %t and %d interrupts, want none", interrupted, interrupts)
	}
	w.fire(ctx.done)
	if interrupts != 0 {
		t.Errorf("late function between operations: got %d interrupts, want none", interrupts)
	}
	w.begin(ctx)
	w.fire(ctx.done)
	w.fire(ctx.done)
	if interrupted := w.end(); !interrupted || interrupts != 1 {
		t.Errorf("got %t and %d interrupts, want true and one", interrupted, interrupts)
	}
}

// A connection that was closed is on no context: a long-lived one would keep it for ever.
func TestCloseTakesTheConnectionOffContexts(t *testing.T) {
	type ends struct {
		c    *Conn
		wire *pipeConn
		ctx  *countedContext
		near *slowWrites
	}
	message := "81 01 61"
	read := func(t *testing.T, e ends) {
		e.wire.Write(unhex(t, message))
		if _, _, err := e.c.ReadMessageContext(e.ctx); err != nil {
			t.Fatal(err)
		}
	}
	write := func(t *testing.T, e ends) {
		if err := e.c.WriteMessageContext(e.ctx, TextMessage, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name       string
		before     func(t *testing.T, e ends)
		registered int // before Close
	}{
		{"after a read", read, 1},
		{"during a read", func(t *testing.T, e ends) { go e.c.ReadMessageContext(e.ctx) }, 1},
		{"during a read without a context", func(t *testing.T, e ends) {
			read(t, e)
			go e.c.ReadMessage()
		}, 1},
		{"during NextReader", func(t *testing.T, e ends) {
			read(t, e)
			go e.c.NextReader()
		}, 1},
		{"during Read", func(t *testing.T, e ends) {
			read(t, e)
			e.wire.Write(unhex(t, "81 05"))
			_, r, _ := e.c.NextReader()
			go r.Read(make([]byte, 5))
		}, 1},
		{"after a write", write, 1},
		{"during a write", func(t *testing.T, e ends) {
			go e.c.WriteMessageContext(e.ctx, TextMessage, make([]byte, 1000))
		}, 1},
		{"during a write without a context", func(t *testing.T, e ends) {
			write(t, e)
			go e.c.WriteMessage(TextMessage, make([]byte, 1000))
		}, 1},
		{"a write that is done just now", func(t *testing.T, e ends) {
			e.near.before = func() { e.c.Close() }
			go e.c.WriteMessageContext(e.ctx, TextMessage, nil)
		}, 0},
		{"during Ping", func(t *testing.T, e ends) { go e.c.Ping(e.ctx) }, 1},
		{"after both", func(t *testing.T, e ends) {
			read(t, e)
			write(t, e)
		}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, wire := newPipe(t, 500)
				near := &slowWrites{pipeConn: a}
				e := ends{newConn(near, false, nil, connOptions{}), wire, newCountedContext(), near}
				tt.before(t, e)
				synctest.Wait()
				if got := len(e.ctx.funcs); got != tt.registered {
					t.Errorf("before Close: got %d functions registered with the context, want %d", got, tt.registered)
				}
				e.c.Close()
				synctest.Wait()
				if got := len(e.ctx.funcs); got != 0 {
					t.Errorf("after Close: got %d functions registered with the context, want none", got)
				}
			})
		})
	}

	t.Run("a read of what had come before", func(t *testing.T) {
		c, wire := newTestConn(t, false)
		wire.Write(unhex(t, message+message))
		c.ReadMessage()
		c.Close()
		ctx := newCountedContext()
		c.ReadMessageContext(ctx)
		ctx.want(t, "after Close", 0, ctx.total)
	})
	t.Run("the reading has ended", func(t *testing.T) {
		c, wire := newTestConn(t, false)
		ctx := newCountedContext()
		wire.Write(unhex(t, message+"88 00"))
		c.ReadMessageContext(ctx)
		ctx.want(t, "after a message", 1, 1)
		c.ReadMessageContext(ctx)
		ctx.want(t, "after the peer's Close frame", 0, 1)
	})
	t.Run("the writing has failed", func(t *testing.T) {
		c, wire := newTestConn(t, false)
		ctx := newCountedContext()
		wire.Close()
		c.WriteMessageContext(ctx, TextMessage, nil)
		ctx.want(t, "after an error of the network", 0, 1)
	})
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
			read := func() {
				if _, p, err := c.ReadMessageContext(ctx); len(p) != size || err != nil {
					t.Fatalf("got %d bytes, %v", len(p), err)
				}
			}
			if n := testing.AllocsPerRun(100, read); n != plain {
				t.Errorf("%d bytes, %s: got %v allocations for ReadMessageContext, want the %v of ReadMessage", size, name, n, plain)
			}
			write := func() {
				if err := c.WriteMessageContext(ctx, BinaryMessage, data); err != nil {
					t.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(100, write); n != 0 {
				t.Errorf("%d bytes, %s: got %v allocations for WriteMessageContext, want none", size, name, n)
			}
		}
	}
}

// One registration serves all calls with the same context.
func TestContextsAreRegisteredOnce(t *testing.T) {
	c := newConn(&repeatTransport{in: frames(1, 5)}, true, nil, connOptions{})
	ctx := newCountedContext()
	for range 100 {
		c.ReadMessageContext(ctx)
		c.ReadMessage()
	}
	ctx.want(t, "after reads", 1, 1)
	for range 100 {
		c.WriteMessageContext(ctx, TextMessage, nil)
		c.WriteMessage(TextMessage, nil)
	}
	ctx.want(t, "after writes", 2, 2)
}

// What cannot be interrupted, or waits for the transport for abortTime all the same, is aborted; what does
// something else meanwhile is not.
func TestWatchAborts(t *testing.T) {
	always := func(time.Duration) uint32 { return 7 }
	for _, tt := range []struct {
		interrupt error
		waiting   func(since time.Duration) uint32
		takes     time.Duration
		aborted   time.Duration // after the context has ended; -1 if it is not
	}{
		{nil, always, abortTime - 1, -1},
		{nil, always, time.Second, abortTime},
		{errMine, always, time.Second, 0},
		{nil, func(time.Duration) uint32 { return 0 }, time.Hour, -1},
		{errMine, func(time.Duration) uint32 { return 0 }, time.Hour, -1},
		{nil, func(since time.Duration) uint32 { return uint32(since/time.Millisecond) | 1 }, time.Hour, -1}, // one after the other
		{nil, func(since time.Duration) uint32 { return uint32(since / (10 * abortTime)) }, time.Hour, 10*abortTime + abortTime/2},
		{errMine, func(since time.Duration) uint32 { return uint32(since / (10 * abortTime)) }, time.Hour, 10*abortTime + abortTime/2},
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
