//go:build go1.25

package websocket

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lockTest is a lock and callers that want it, each by a name.
type lockTest struct {
	lock
	t      *testing.T
	start  time.Time
	events []string // what has happened since they were looked at
	mu     sync.Mutex
}

func newLockTest(t *testing.T) *lockTest { return &lockTest{t: t, start: time.Now()} }

func (k *lockTest) note(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, fmt.Sprintf(format, args...))
}

// ask has a caller wait for the lock, and note the result.
func (k *lockTest) ask(name string, mode lockMode, f *frame, l limit) {
	go func() {
		switch written, err := k.acquire(mode, f, &l); {
		case written:
			k.note("%s was written", name)
		case err != nil:
			k.note("%s gave up: %v", name, err)
		default:
			k.note("%s has it", name)
		}
	}()
	synctest.Wait()
}

// unlock gives back what the mode has been granted.
func (k *lockTest) unlock(mode lockMode) {
	if mode == lockMessage {
		k.endMessage()
	} else {
		k.release(false)
	}
}

// want checks what has happened.
func (w *lockTest) want(reason string, want ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.events)
	slices.Sort(want)
	if !slices.Equal(w.events, want) {
		w.t.Errorf("%s: got %q, want %q", reason, w.events, want)
	}
	w.events = nil
}

// wantIdle checks that the lock is free and nobody waits.
func (w *lockTest) wantIdle() {
	w.t.Helper()
	w.want("at the end")
	if s := w.state.Load(); s != 0 {
		w.t.Errorf("got state %b, want 0", s)
	}
	if q := w.queue.Load(); q != nil && (q.first != nil || q.last != nil) {
		w.t.Error("somebody is still in the queue")
	}
}

// Those who can go do so in the order of their calls. RFC 6455, 5.4: control
// frames may be injected in the middle of a fragmented message, other messages must not.
func TestLockOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLockTest(t)
		w.ask("writer", lockMessage, nil, limit{})
		w.want("no message is open", "writer has it")
		w.ask("fragment", lockFrame, nil, limit{})
		w.want("an open message does not take the lock", "fragment has it")
		w.ask("data 1", lockData, nil, limit{})
		w.ask("ping 1", lockFrame, nil, limit{})
		w.ask("writer 2", lockMessage, nil, limit{})
		w.ask("ping 2", lockFrame, nil, limit{})
		w.ask("data 2", lockData, nil, limit{})
		w.want("all is taken")

		w.unlock(lockFrame)
		w.want("control passes while a message is open", "ping 1 has it")
		w.unlock(lockFrame)
		w.want("in order", "ping 2 has it")
		w.unlock(lockMessage)
		w.want("data 1 has asked before, but a frame is being written", "writer 2 has it")
		w.unlock(lockFrame)
		w.want("a message is open")
		w.unlock(lockMessage)
		w.want("the first of the two", "data 1 has it")
		w.unlock(lockData)
		w.want("then the second", "data 2 has it")
		w.unlock(lockData)
		w.wantIdle()
	})
}

// A message may be opened while a frame is being written.
func TestOpeningAMessageNeedsNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLockTest(t)
		w.ask("ping", lockFrame, nil, limit{})
		w.ask("writer", lockMessage, nil, limit{})
		w.want("a frame is being written", "ping has it", "writer has it")
		w.unlock(lockFrame)
		w.unlock(lockMessage)
		w.wantIdle()
	})
}

// The limit of a caller ends its wait, and the others do not notice.
func TestLockLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLockTest(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		stream, expire := context.WithCancel(context.Background())
		w.ask("holder", lockFrame, nil, limit{})
		w.ask("deadline", lockFrame, nil, until(w.start.Add(time.Second)))
		w.ask("context", lockData, nil, limit{ctx: ctx})
		w.ask("patient", lockFrame, nil, limit{})
		w.ask("woken", lockFrame, nil, limit{ctx: stream})
		w.ask("late", lockFrame, nil, until(w.start.Add(-time.Second)))
		w.want("all wait, except for the one that is late", "holder has it", "late gave up: websocket: write timeout")
		time.Sleep(time.Second - 1)
		w.want("the deadline has not passed")
		time.Sleep(1)
		w.want("now it has", "deadline gave up: websocket: write timeout")
		cancel(errMine)
		w.want("the context ends", "context gave up: websocket: context canceled: mine")
		expire()
		w.want("a stream's deadline passes", "woken gave up: context canceled")
		w.unlock(lockFrame)
		w.want("the caller without a limit gets it", "patient has it")
		w.unlock(lockFrame)
		w.wantIdle()
	})
}

// The end of the direction ends the wait of all callers but those that flush, and lets no other one in.
func TestLockClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLockTest(t)
		w.ask("writer", lockMessage, nil, limit{})
		w.ask("holder", lockFrame, nil, limit{})
		w.ask("data", lockData, nil, limit{})
		w.ask("frame", lockFrame, nil, until(w.start.Add(time.Second)))
		w.ask("message", lockMessage, nil, limit{})
		w.ask("flush", lockFlush, nil, limit{})
		w.want("all wait", "writer has it", "holder has it")
		w.end(phaseFailed, errMine, nil)
		w.want("closed", "data gave up: mine", "frame gave up: mine", "message gave up: mine")
		w.end(phaseClosed, ErrCloseSent, nil)
		if err := w.err(); err != errMine || w.lost() != nil {
			t.Errorf("got %v, %v, want the first reason", err, w.lost())
		}
		w.ask("later", lockFrame, nil, limit{})
		w.ask("later message", lockMessage, nil, limit{})
		w.want("it stays closed", "later gave up: mine", "later message gave up: mine")
		w.unlock(lockFrame)
		w.want("what is in the outbox may still leave", "flush has it")
		w.unlock(lockFlush)
		w.unlock(lockMessage)
		w.state.And(^uint32(ended))
		w.wantIdle()
	})
}

// A flush adds no frame, so it goes before those that wait to write one.
func TestLockFlushGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLockTest(t)
		w.ask("holder", lockFrame, nil, limit{})
		w.ask("data", lockData, nil, limit{})
		w.ask("flush", lockFlush, nil, limit{})
		w.unlock(lockFrame)
		w.want("first", "holder has it", "flush has it")
		w.unlock(lockFlush)
		w.want("then", "data has it")
		w.unlock(lockData)
		w.wantIdle()
	})
}

// The lock is not released while frames lie in the outbox that are not corked.
func TestLockReleaseWithUnsentFrames(t *testing.T) {
	var k lock
	for _, bit := range []uint32{corked, moreInput} {
		k.tryAcquire(lockFrame)
		if k.release(true) {
			t.Error("got the lock released, want it held: frames would lie there for ever")
		}
		k.state.Or(bit)
		if !k.release(true) {
			t.Error("got the lock held, want it released: the frames are corked")
		}
		k.tryAcquire(lockFrame)
		k.state.Or(ended)
		if k.release(true) {
			t.Error("got the lock released, want it held: it is closed")
		}
		k.state.And(^(bit | ended))
		k.release(false)
	}
}

// batchFrame returns a frame that may be written in a batch.
func batchFrame(op opcode, size int) *frame {
	return &frame{fin: true, opcode: op, payload: make([]byte, size)}
}

// batchSizes calls takeBatch for an outbox with room for a number of bytes, and returns the sizes of
// the payloads. Each frame has ten bytes there.
func (k *lockTest) batchSizes(deadline time.Time, room int) (sizes []int) {
	if !k.has(queued) {
		return nil
	}
	k.takeBatch(deadline, func(f *frame) (end int32) {
		if room -= f.size(); room < 0 {
			return 0
		}
		sizes = append(sizes, len(f.payload))
		return int32(10 * len(sizes))
	})
	return sizes
}

// The holder of the lock writes the frames of those that wait, where that does them no harm.
func TestLockBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newLockTest(t)
		at := func(d time.Duration) limit { return until(w.start.Add(d)) }
		w.ask("holder", lockFrame, nil, limit{})
		w.ask("none", lockData, batchFrame(opText, 1), limit{})
		w.ask("earlier", lockData, batchFrame(opText, 2), at(time.Second))
		w.ask("same", lockFrame, batchFrame(opPing, 3), at(time.Minute))
		w.ask("later", lockData, batchFrame(opText, 4), at(time.Hour))
		w.ask("context", lockData, batchFrame(opText, 5), limit{ctx: ctx})
		w.ask("close", lockFrame, batchFrame(opClose, 6), limit{})
		w.ask("large", lockData, batchFrame(opText, maxCopied), limit{})
		w.ask("fragment", lockFrame, nil, limit{})
		w.ask("last", lockData, batchFrame(opText, 7), limit{})
		w.want("all wait", "holder has it")

		wantBatch := func(reason string, got []int, want ...int) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", reason, got, want)
			}
		}
		wantBatch("there is no room", w.batchSizes(time.Time{}, 10))
		wantBatch("those that need not wait longer than they want", w.batchSizes(w.start.Add(time.Minute), 3*maxHeaderSize+1+3+4), 1, 3, 4)
		w.want("nobody knows yet")
		if begun := w.finishBatch(0, 10); begun != 10 {
			t.Errorf("got a frame that has begun until %d, want none", begun)
		}
		w.want("the first has left", "none was written")
		wantBatch("the others wait on", w.batchSizes(w.start.Add(time.Minute), 1000), 3, 4, 7)
		if begun := w.finishBatch(0, 11); begun != 20 {
			t.Errorf("got a frame that has begun until %d, want 20", begun)
		}
		w.want("one has left, and one has begun", "same was written", "later was written")

		w.ask("writer", lockMessage, nil, limit{})
		w.want("no message is open", "writer has it")
		wantBatch("a message is open", w.batchSizes(w.start, 1<<20))
		w.unlock(lockMessage)
		wantBatch("a frame without a deadline may wait for ever", w.batchSizes(time.Time{}, 1<<20), 7)
		w.finishBatch(0, math.MaxInt32)
		w.want("the last", "last was written")

		w.unlock(lockFrame)
		for _, name := range []string{"earlier", "context", "close", "large", "fragment"} {
			w.want("those that have stayed, in their order", name+" has it")
			w.unlock(lockFrame)
		}
		w.wantIdle()
	})
}

// A caller whose frame the holder is writing waits for the result, whatever its limit. If the
// frame comes back, the limit ends the wait.
func TestLockBatchOutlastsALimit(t *testing.T) {
	for _, left := range []int32{10, 0} {
		synctest.Test(t, func(t *testing.T) {
			w := newLockTest(t)
			w.ask("holder", lockFrame, nil, limit{})
			w.ask("batched", lockFrame, batchFrame(opPing, 1), until(w.start.Add(time.Second)))
			w.batchSizes(w.start, 100)
			time.Sleep(2 * time.Second)
			w.want("it is being written", "holder has it")
			w.finishBatch(0, left)
			if left > 0 {
				w.want("it has left", "batched was written")
			} else {
				w.want("it has not begun", "batched gave up: websocket: write timeout")
			}
			w.unlock(lockFrame)
			w.wantIdle()
		})
	}
}

// If the direction has ended, the frames of a batch that have not left fail.
func TestLockBatchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLockTest(t)
		w.ask("holder", lockFrame, nil, limit{})
		w.ask("one", lockFrame, batchFrame(opPing, 1), limit{})
		w.ask("two", lockFrame, batchFrame(opPing, 2), limit{})
		w.batchSizes(w.start, 100)
		w.end(phaseFailed, errMine, nil)
		w.want("they are being written", "holder has it")
		w.finishBatch(0, 10)
		w.want("the first had left", "one was written", "two gave up: mine")
	})
}

// One goroutine at a time has the lock, and one the message; each frame is written once, by its
// sender or in a batch, in each sender's order.
func TestLockExcludes(t *testing.T) {
	var k lock
	var senders sync.WaitGroup
	var holders, openers atomic.Int32
	next := make([]int, 16) // guarded by the lock
	write := func(p []byte) {
		if next[p[0]] != int(p[1]) {
			t.Errorf("sender %d: got frame %d, want %d", p[0], p[1], next[p[0]])
		}
		next[p[0]] = int(p[1]) + 1
	}
	for i := range next {
		senders.Go(func() {
			for j := range 200 {
				mode := []lockMode{lockFrame, lockData, lockData, lockMessage}[(i+j)%4]
				if mode == lockMessage {
					k.acquire(lockMessage, nil, &limit{})
					if n := openers.Add(1); n != 1 {
						t.Errorf("got %d open messages, want 1", n)
					}
					openers.Add(-1)
					k.endMessage()
					mode = lockFrame
				}
				f := frame{fin: true, opcode: opBinary, payload: []byte{byte(i), byte(j)}}
				if j%8 == 0 { // gives up at once, or has it
					late := until(time.Now())
					if _, err := k.acquire(mode, nil, &late); err == nil {
						k.release(false)
					}
				}
				if written, err := k.acquire(mode, &f, &limit{}); written || err != nil {
					continue
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("got %d that have the lock, want 1", n)
				}
				write(f.payload)
				if k.has(queued) {
					n := int32(0)
					k.takeBatch(time.Time{}, func(f *frame) (end int32) {
						n++
						write(f.payload)
						return n
					})
					k.finishBatch(0, n)
				}
				holders.Add(-1)
				k.release(false)
			}
		})
	}
	senders.Wait()
	for i, n := range next {
		if n != 200 {
			t.Errorf("sender %d: got %d frames, want 200", i, n)
		}
	}
	if s := k.state.Load(); s != 0 {
		t.Errorf("got state %b, want 0", s)
	}
}

// A caller does not yield to one that has given up, or to anybody once the direction has ended.
func TestYieldToNobody(t *testing.T) {
	for _, over := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newLockTest(t)
			w.tryAcquire(lockDrain)
			if over {
				w.end(phaseFailed, errMine, nil)
			}
			_, err := w.yield(lockDrain, func() bool { return over }, time.Time{}, &noLimit)
			if err != nil || w.tryAcquire(lockDrain) {
				t.Errorf("got %v, want the lock back at once", err)
			}
			w.release(false)
		})
	}
}
