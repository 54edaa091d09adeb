//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// countedContext is a context that knows what is registered with it.
type countedContext struct {
	context.Context // its values, and no deadline
	done            chan struct{}
	looked          func() // what Done does before it returns; nothing if it is nil

	mu    sync.Mutex
	err   error
	funcs map[int]func()
	total int // how many there have been
}

func newCountedContext() *countedContext {
	return &countedContext{Context: context.Background(), done: make(chan struct{}), funcs: map[int]func(){}}
}

func (c *countedContext) Done() <-chan struct{} {
	if c.looked != nil {
		c.looked()
	}
	return c.done
}

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
	for _, b := range []limit{{}, {ctx: context.Background()}} {
		if b.done() != nil || b.ended() != nil {
			t.Errorf("got an end of %+v, which has none", b)
		}
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

// The context interrupts the operation that is going on, once, and none before or after it, also where the function of
// a context that has ended runs late.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupts := 0
		w := &watch{
			interrupt: func() error { interrupts++; return nil },
			waiting:   func() uint32 { return 1 },
			abort:     func() error { t.Error("got an operation aborted, want it interrupted only"); return nil },
		}
		want := func(reason string, ctx context.Context, operation func(), want bool, n int) {
			t.Helper()
			w.begin(ctx)
			operation()
			synctest.Wait()
			if interrupted := w.end(); interrupted != want || interrupts != n {
				t.Fatalf("%s: got %t and %d interrupts, want %t and %d", reason, interrupted, interrupts, want, n)
			}
		}
		nothing := func() {}
		first, second, third, last := newCountedContext(), newCountedContext(), newCountedContext(), newCountedContext()

		want("nothing has ended", first, nothing, false, 0)
		want("nothing has ended, again", first, nothing, false, 0)
		first.want(t, "after two operations", 1, 1)

		first.cancel()
		synctest.Wait()
		want("the context of the operation before has ended", second, nothing, false, 0)
		want("the context ended before the operation", first, func() {
			if interrupts != 1 {
				t.Error("got an operation that begins, want it interrupted at once")
			}
		}, true, 1)
		want("the context ends during the operation", second, second.cancel, true, 2)
		second.want(t, "having ended", 0, 2)

		want("nothing has ended", third, nothing, false, 2)
		want("the context of an earlier operation ends", last, func() {
			third.want(t, "in an operation with another context", 0, 1)
			third.cancel()
		}, false, 2)
		want("late, of another context", last, func() { w.fire(third.done) }, false, 2)
		w.fire(last.done)
		want("late, between two operations", last, nothing, false, 2)
		want("of its own context, twice", last, func() {
			w.fire(last.done)
			w.fire(last.done)
		}, true, 3)

		w.forget()
		last.want(t, "after forget", 0, 1)
		w.forget() // is harmless
		want("after forget", last, last.cancel, true, 4)
	})
}

// A connection that was closed, or whose direction has ended, is on no context: a long-lived one would keep it for
// ever.
func TestCloseTakesTheConnectionOffContexts(t *testing.T) {
	type ends struct {
		*testing.T
		c    *Conn
		near *writeFunc
		wire *pipeConn
		ctx  *countedContext
	}
	read := func(e ends) error { return second3(e.c.ReadMessageContext(e.ctx)) }
	write := func(e ends) error { return e.c.WriteMessageContext(e.ctx, TextMessage, make([]byte, 1000)) }
	send := func(e ends, list ...peerFrame) { e.wire.Write(peerFrames(false, list...)) }
	for _, tt := range []struct {
		name       string
		before     func(e ends)
		registered int // before Close
		total      int // and later
		after      func(e ends)
	}{
		{"during a read", func(e ends) { go read(e) }, 1, 1, nil},
		{"during a write", func(e ends) { go write(e) }, 1, 1, nil},
		{"a write that is done just now", func(e ends) {
			e.near.write = func(p []byte) (int, error) {
				e.c.Close()
				return len(p), nil
			}
			go write(e)
		}, 0, 1, nil},
		{"a write that registers just now", func(e ends) {
			e.ctx.looked = func() {
				if e.c.send.lock.has(stateLocked) && e.c.send.lock.phase() == phaseOpen {
					e.c.Close()
				}
			}
			if err := write(e); !errors.Is(err, net.ErrClosed) {
				e.Errorf("got %v, want net.ErrClosed", err)
			}
		}, 0, 1, nil},
		{"during Ping", func(e ends) { go e.c.Ping(e.ctx) }, 1, 1, nil},
		{"after both", func(e ends) {
			send(e, textFrame("a"))
			room(e.wire, 1<<20)
			if err := errors.Join(read(e), write(e)); err != nil {
				e.Fatal(err)
			}
		}, 2, 2, nil},
		{"the peer has closed", func(e ends) {
			send(e, textFrame("a"))
			if err := read(e); err != nil {
				e.Fatal(err)
			}
			e.ctx.want(e.T, "after a message", 1, 1)
			send(e, peerClose)
			read(e)
		}, 0, 1, nil},
		{"the writing has failed", func(e ends) {
			e.wire.Close()
			write(e)
		}, 0, 1, nil},
		{"a read of what had come before", func(e ends) {
			send(e, texts("a", "b")...)
			e.c.ReadMessage()
		}, 0, 0, func(e ends) { read(e) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, wire := newPipe(t, 500)
			near := &writeFunc{a, a.Write}
			e := ends{t, newConn(near, false, nil, connOptions{}), near, wire, newCountedContext()}
			tt.before(e)
			synctest.Wait()
			e.ctx.want(t, tt.name+": before Close", tt.registered, tt.total)
			e.c.Close()
			if tt.after != nil {
				tt.after(e)
			}
			synctest.Wait()
			e.ctx.want(t, tt.name+": after Close", 0, tt.total)
		})
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
		{nil, always, time.Minute, abortTime},
		{errMine, always, time.Minute, 0},
		{nil, never, time.Minute, -1},
		{errMine, never, time.Minute, -1},
		{nil, oneAfterTheOther, time.Minute, -1},
		{nil, later, time.Minute, 10*abortTime + abortTime/2},
		{errMine, later, time.Minute, 10*abortTime + abortTime/2},
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
			time.Sleep(time.Minute)
			if aborted != tt.aborted {
				t.Errorf("%+v: got it aborted after %v", tt, aborted)
			}
		})
	}
}

// busyConn is a connection on a machine so busy that the goroutine whose operation a deadline has ended gets to run
// seconds later.
type busyConn struct{ *pipeConn }

func (c busyConn) Read(p []byte) (n int, err error) {
	n, err = c.pipeConn.Read(p)
	c.wait(err)
	return n, err
}

func (c busyConn) Write(p []byte) (n int, err error) {
	n, err = c.pipeConn.Write(p)
	c.wait(err)
	return n, err
}

func (busyConn) wait(err error) {
	if isTimeout(err) {
		time.Sleep(3 * time.Second)
	}
}

// A context that ends on a busy machine costs no connection that heeds deadlines.
func TestContextsOnABusyMachine(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 1000)
			room(far, 0)
			c := newConn(busyConn{near}, server, nil, connOptions{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			write := inBackground(t, func() error { return c.WriteMessageContext(ctx, TextMessage, []byte("late")) })
			read := inBackground(t, func() error { return second3(c.ReadMessageContext(ctx)) })
			time.Sleep(time.Minute)
			write.wantIs("nothing was written", 4*time.Second, context.DeadlineExceeded)
			read.wantIs("nothing has come", 4*time.Second, context.DeadlineExceeded)
			room(far, 1000)
			if err := c.WriteMessage(TextMessage, []byte("x")); err != nil {
				t.Errorf("got %v, want a connection that can be written to", err)
			}
			far.Write(peerFrames(server, textFrame("y")))
			if _, p, err := c.ReadMessage(); err != nil || string(p) != "y" {
				t.Errorf("got %q, %v, want y", p, err)
			}
		})
	})
}

// A read that waits for its turn can be ended by its context, and by a deadline when it has its turn. A second reader,
// which is a mistake, harms nothing.
func TestReadsWaitForTheirTurn(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		read := func(ctx context.Context) *call {
			return begin(b.T, func() (string, error) {
				_, p, err := b.c.ReadMessageContext(ctx)
				return string(p), err
			})
		}
		for _, tt := range closingContexts {
			first := b.read()
			first.wantWaiting("nothing has come")
			ctx, cancel := tt.make(b.Context())
			second := read(ctx)
			second.want(tt.name, time.Minute, tt.want)
			if cancel(); second.result != "" {
				b.Errorf("got %q, want nothing", second.result)
			}
			b.sendRaw("\x81a", "\x81b")
			first.wantMessage("the first message is the first reader's", "a")
			read(b.Context()).wantMessage("the second one", "b")
		}

		both := []*call{b.read(), read(b.Context())}
		synctest.Wait()
		b.c.SetReadDeadline(time.Now().Add(time.Second))
		for _, x := range both {
			x.wantIs("the deadline", time.Second, os.ErrDeadlineExceeded)
		}
		b.c.SetReadDeadline(time.Time{})
		b.sendRaw("\x81a")
		b.read().wantMessage("the connection is good", "a")
	})
}

// A write that its context ends while it waits for its turn has not happened.
func TestWriteMessageContextInterruptedInTurn(t *testing.T) {
	for name, block := range map[string]func(b *bubble) (unblock func()){
		"a message writer is open": func(b *bubble) func() {
			w, _ := b.c.NextWriter(TextMessage)
			io.WriteString(w, "first")
			return func() { w.Close() }
		},
		"a message is being written": func(b *bubble) func() {
			b.beginWrite("first", 0)
			return func() {}
		},
		"corked messages are being flushed": func(b *bubble) func() {
			b.c.Cork()
			wantWrite(b, b.c, "first")
			go b.c.Flush()
			return func() {}
		},
	} {
		eachPipe(t, connOptions{}, func(b *bubble) {
			b.full()
			unblock := block(b)
			write := func(ctx context.Context, text string) *call {
				synctest.Wait()
				return inBackground(b.T, func() error { return b.c.WriteMessageContext(ctx, TextMessage, []byte(text)) })
			}
			for _, tt := range closingContexts {
				ctx, cancel := tt.make(b.Context())
				write(ctx, "not sent").want(name, time.Minute, tt.want)
				write(ctx, "not sent").want("ended before", 0, tt.want)
				cancel()
			}
			b.c.SetWriteDeadline(time.Now().Add(time.Second))
			late := write(b.Context(), "not sent")
			late.wantIs("the deadline is before the end of the context", time.Second, errWriteTimeout)
			b.c.SetWriteDeadline(time.Time{})
			sent := write(b.Context(), "small")
			synctest.Wait()
			b.open()
			unblock()
			sent.want("the connection is good", 0, noError)
			b.want("nothing else was sent", "1 first", "1 small")
			b.wantGood()
			b.c.wantNothingUnsent(b)
		})
	}
}

// Over TLS a read is interrupted within a record, at every byte of it.
func TestReadMessageContextInterruptedWithinATLSRecord(t *testing.T) {
	tlsTestConfigs() // outside
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 10_000)
		keep, held := 0, []byte(nil) // the end of what is written
		server, client := overTLS(t, near, writeFunc{far, func(p []byte) (int, error) {
			cut := len(p) - min(keep, len(p))
			held = slices.Clone(p[cut:])
			_, err := far.Write(p[:cut])
			return len(p), err
		}})
		c := newConn(server, true, nil, connOptions{})
		in := peerFrames(true, textFrame("héllo"))
		for keep = 1; keep < 5+len(in)+17; keep++ { // a record's header, its type and its tag
			client.Write(in)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, _, err := c.ReadMessageContext(ctx); err != context.DeadlineExceeded {
				t.Fatalf("without the last %d bytes: got %v, want context.DeadlineExceeded", keep, err)
			}
			cancel()
			far.Write(held)
			wantRead(t, c, "héllo")
		}
	})
}
