//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
			next := make([]int, writers)
			writes := wire.take(t)
			for _, text := range strings.Split(strings.Join(writes, "|"), "|") {
				var i, j int
				fmt.Sscanf(text, "1 %d %d", &i, &j)
				if next[i] != j {
					t.Fatalf("got message %d of writer %d, want %d", j, i, next[i])
				}
				next[i]++
			}
			if want := slices.Repeat([]int{messages}, writers); !slices.Equal(next, want) {
				t.Errorf("got %d messages of the writers, want %d of each", next, messages)
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

// An error of the network is returned by each call whose frame was to leave, and all later ones.
func TestBatchAndAnError(t *testing.T) {
	for fails := 1; fails <= 2; fails++ { // the first, alone; the second, with the frames of all others
		synctest.Test(t, func(t *testing.T) {
			c, wire := newBusyConn(t, true)
			wire.fails = fails
			for i := range 10 {
				took, want := time.Duration(fails)*time.Millisecond, errMine.Error()
				if i+1 < fails {
					took, want = time.Millisecond, noError
				}
				x := inBackground(t, func() error { return c.WriteMessage(TextMessage, []byte("x")) })
				defer x.want(fmt.Sprint("call ", i), took, want)
				synctest.Wait()
			}
			time.Sleep(time.Second)
			wantWritesFail(t, "later", c, errMine)
		})
	}
}

// beginWrite begins to write a message with a deadline, or with none if the timeout is 0. The calls before have got as
// far as they can.
func (b *bubble) beginWrite(text string, timeout time.Duration) *call {
	b.c.SetWriteDeadline(time.Time{})
	if timeout > 0 {
		b.c.SetWriteDeadline(time.Now().Add(timeout))
	}
	x := inBackground(b.T, func() error { return b.c.WriteMessage(TextMessage, []byte(text)) })
	synctest.Wait()
	return x
}

// Frames that wait to leave together, of which the network has taken n bytes when the time of the first has
// come, whose call writes them, and that of the next. A frame that has begun to leave is sent
// all the same, and the calls of those behind it go on waiting, unless their time has come, too. The connection has
// failed only where the call's own frame has left in part.
func TestDeadlineWithinABatch(t *testing.T) {
	for n := range 4*7 + 1 {
		eachPipe(t, connOptions{}, func(b *bubble) {
			size := len(peerFrames(!b.server, textFrame("a")))
			b.full()
			names := []string{"a", "b", "c", "d", "e"}
			var calls []*call
			for i, timeout := range []time.Duration{0, time.Second, time.Second, 0, 0} { // a is written, the others wait
				calls = append(calls, b.beginWrite(names[i], timeout))
			}
			b.room(size + n)
			time.Sleep(2 * time.Second)
			if torn := n > size && n < 4*size && n%size != 0; torn && !b.c.send.lock.has(stateUnsent) {
				b.Errorf("%d bytes have left: got nothing unsent, want the frame that has begun to leave", n)
			}
			b.open()
			const timeout = "websocket: write timeout"
			errs := []string{noError, noError, noError, noError, noError}
			switch {
			case n == 0: // nothing of the batch has left
				errs[1], errs[2] = timeout, timeout
			case n < size: // some of the call's own frame has
				errs = []string{noError, "i/o timeout", "i/o timeout", "i/o timeout", "i/o timeout"}
			case n == size: // all of that has, and nothing of the next
				errs[2] = timeout
			}
			var frames []string
			for i, x := range calls {
				took := time.Duration(anyTime)
				switch errs[i] {
				case noError:
					frames = append(frames, "1 "+names[i])
				case timeout:
					took = time.Second
				}
				x.want(fmt.Sprint(names[i], ": ", n, " bytes have left in time"), took, errs[i])
			}
			b.want(fmt.Sprint(n, " bytes have left in time"), frames...)
			if len(frames) > 1 {
				b.wantGood()
				b.c.wantNothingUnsent(b)
			}
		})
	}
}

// If the network fails then, the frame that has begun to leave, whose call has returned, is lost.
func TestLossOfATornFrame(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		b.beginWrite("a", 0)
		b.beginWrite("b", time.Second)
		torn := b.beginWrite("c", time.Hour)
		b.room(2*len(peerFrames(!b.server, textFrame("a"))) + 1)
		torn.want("its frame has begun to leave", time.Second, noError)
		b.far.Close()
		synctest.Wait()
		wantLost(b.T, b.c, io.ErrClosedPipe.Error())
	})
}

// The frames of a batch that find no room in the outbox leave later.
func TestBatchOfMoreThanTheOutbox(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		var calls []*call
		var frames []string
		for i := range 10 {
			text := strings.Repeat(fmt.Sprint(i), 10_000)
			calls, frames = append(calls, b.beginWrite(text, 0)), append(frames, "1 "+text)
		}
		b.open()
		for _, x := range calls {
			x.want("the network is free", 0, noError)
		}
		b.want("all of them", frames...)
	})
}

// A frame with an earlier deadline than that of the holder of the lock does not join its batch, and neither does one
// whose context can end: the call ends then, and the connection is good.
func TestBatchAndDeadlines(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		ctx, cancel := context.WithTimeoutCause(b.Context(), 2*time.Second, errMine)
		defer cancel()
		b.full()
		first, next := b.beginWrite("first", 0), b.beginWrite("next", 0)
		given := inBackground(b.T, func() error { return b.c.WriteMessageContext(ctx, TextMessage, []byte("given up")) })
		synctest.Wait()
		late, early := b.beginWrite("late", time.Second), b.beginWrite("early enough", time.Hour)
		b.room(len(peerFrames(!b.server, textFrame("first"))))
		// Now the next one is in the system call, with the frames that may join it.
		time.Sleep(time.Minute)
		first.want("the network has taken it", 0, noError)
		late.want("its deadline has passed", time.Second, "websocket: write timeout")
		given.want("its context has ended", 2*time.Second, "websocket: context deadline exceeded: mine")
		next.wantWaiting("the network is full")
		early.wantWaiting("the network is full")
		b.open()
		b.want("without those that have given up", "1 first", "1 next", "1 early enough")
		next.want("the network is free", time.Minute, noError)
		early.want("the network is free", time.Minute, noError)
	})
}

// RFC 6455, 5.5.1: no data frame after a Close frame, and no control frame, which may be a reply. Calls that wait
// behind one are told so.
func TestNothingFollowsACloseFrame(t *testing.T) {
	for name, sendClose := range map[string]func(c *Conn) error{
		"WriteControl": func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) },
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(CloseMessage, nil) },
		"Shutdown":     func(c *Conn) error { return c.Shutdown(context.Background(), CloseNoStatusReceived, "") },
		"prepared":     func(c *Conn) error { return answers["WritePreparedMessage"](c, CloseMessage, nil) },
	} {
		eachBubble(t, connOptions{}, func(b *bubble) {
			b.full()
			go sendClose(b.c)
			synctest.Wait()
			message := b.beginWrite("b", 0)
			control := inBackground(b.T, func() error { return b.c.WriteControl(PongMessage, nil, time.Time{}) })
			go b.c.NextWriter(TextMessage) // takes its turn before
			b.c.reply(opPong, []byte("late"))
			synctest.Wait()
			b.open()
			b.want(name, "8 ")
			message.want(name, 0, ErrCloseSent.Error())
			control.want(name, 0, ErrCloseSent.Error())
			b.c.wantNothingUnsent(b)
		})
	}
}

// After many goroutines have written to a connection at the same time it needs as little memory as
// before.
func TestMemoryAfterAStorm(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			const conns, most = 100, 1000
			calls := unlessRace(200, 50)
			var list [1 + conns]*Conn
			var fars [1 + conns]*pipeConn
			storm := func(i int) {
				room(fars[i], 0)
				for range calls {
					go func() {
						if err := list[i].WriteMessage(TextMessage, []byte("storm")); err != nil {
							t.Error(err)
						}
					}()
				}
				synctest.Wait() // all of them wait
				room(fars[i], 1<<20)
				synctest.Wait()
				fars[i].take()
			}
			for i := range list {
				list[i], fars[i] = newTestConn(t, server)
				wantWrite(t, list[i], "first")
				fars[i].take()
			}
			storm(conns) // now the runtime has its goroutines
			before := heapInUse()
			for i := range conns {
				storm(i)
			}
			after := heapInUse()
			runtime.KeepAlive(list)
			if per := (int64(after) - int64(before)) / conns; per > most {
				t.Errorf("got %d bytes for each connection, want at most %d", per, most)
			}
		})
	})
}

// takenNothing is the verdict of a write.
const takenNothing = "websocket: the peer has taken nothing for 14s"

// The network may be full, and a call in the middle of a frame.
func TestKeepaliveWhileAWriteIsBlocked(t *testing.T) {
	// begin begins to write a message of which the network has no room for a part.
	begin := func(tc *keepaliveScript, size int) *call {
		return inBackground(tc.T, func() error { return tc.c.WriteMessage(BinaryMessage, make([]byte, size)) })
	}
	for _, reads := range []bool{true, false} {
		name := fmt.Sprint("a peer that is gone, the program reads ", reads)
		keepaliveTest(t, name, keepaliveOptions, func(tc *keepaliveScript) {
			write, verdict := begin(tc, 5000), takenNothing
			if reads { // it finds out, without waiting for the write
				tc.read()
				verdict = "websocket: nothing came for 4s after a ping"
			}
			write.want("the verdict", 14*time.Second, verdict)
			if tc.wait(); reads && tc.err != write.err {
				tc.Errorf("got %v of the read, want the verdict", tc.err)
			}
			wantWritesFail(tc, "the verdict", tc.c, write.err)
		})
	}

	for _, pause := range []time.Duration{14*time.Second - 1, 15 * time.Second} {
		keepaliveTest(t, fmt.Sprint("a peer that reads every ", pause), keepaliveOptions, func(tc *keepaliveScript) {
			// Each piece is twice what the network holds, and the next one waits for all of it.
			const pieces = 20
			write := inBackground(tc.T, func() error {
				return writePieces(tc.c, BinaryMessage, make([]byte, pieces*5000), 5000)
			})
			for range pieces {
				time.Sleep(pause)
				for synctest.Wait(); len(tc.pipe.take()) > 0; synctest.Wait() {
				}
			}
			want := noError // the peer takes something again and again
			if pause > 14*time.Second {
				want = takenNothing
			}
			write.want("all pieces", anyTime, want)
		})
	}

	// A large frame leaves in pieces. Each that the peer takes is a sign, also for the reader.
	const pieces = 4
	for _, taken := range []int{0, 1, pieces - 1, pieces} {
		name := fmt.Sprintf("a peer that takes %d of %d pieces", taken, pieces)
		keepaliveTest(t, name, keepaliveOptions, func(tc *keepaliveScript) {
			room(tc.pipe, maxPiece) // so that with the header a few bytes of each piece wait
			message := noise(pieces*maxPiece+1, 1)
			write := inBackground(tc.T, func() error { return tc.c.WriteMessage(BinaryMessage, message) })
			if taken == pieces {
				tc.read()
			}
			var got []byte
			for range taken {
				time.Sleep(14*time.Second - 1)
				synctest.Wait() // for a verdict
				got = append(got, tc.pipe.take()...)
				synctest.Wait()
			}
			if taken < pieces {
				write.want("the verdict comes 14s after the last piece",
					time.Duration(taken)*(14*time.Second-1)+14*time.Second, takenNothing)
				return
			}
			write.want("all pieces", pieces*(14*time.Second-1), noError)
			got = append(got, tc.pipe.take()...)
			if h, n, _ := parseHeader(got); h.length != int64(len(message)) || !bytes.HasPrefix(got[n:], message) {
				tc.Errorf("got %d bytes, want the message of %d", len(got), len(message))
			}
		})
	}

	// What the network holds proves nothing.
	keepaliveTest(t, "a server that pushes to a peer that is gone", keepaliveOptions, func(tc *keepaliveScript) {
		room(tc.pipe, 1<<20)
		tc.read()
		for range 14 {
			begin(tc, 1000)
			time.Sleep(time.Second)
		}
		tc.wait()
		wantKeepaliveError(tc, "it was asked and has not answered", tc.err, "4s")
	})

	often := connOptions{pingInterval: time.Millisecond, pongTimeout: time.Hour}
	keepaliveTest(t, "pings do not pile up", often, func(tc *keepaliveScript) {
		before := runtime.NumGoroutine()
		begin(tc, 5000)
		time.Sleep(10*time.Second + time.Microsecond)
		if n := runtime.NumGoroutine() - before; n > 100 { // some are of other tests
			tc.Errorf("got %d goroutines more after 10,000 intervals", n)
		}
		if b := tc.c.send.slot.Load(); b == nil || b.n != 2 {
			tc.Error("got more than one ping that waits, or none")
		}
	})

	keepaliveTest(t, "an open message writer", keepaliveOptions, func(tc *keepaliveScript) {
		tc.read()
		w, _ := tc.c.NextWriter(TextMessage)
		io.WriteString(w, "open")
		write := begin(tc, 0)
		time.Sleep(10 * time.Second)
		tc.wantPing("pings pass")
		time.Sleep(4 * time.Second)
		tc.wantDead("and so does the verdict")
		write.want("it waits behind the writer", 14*time.Second, tc.err.Error())
	})
}

// A deadline that passes within a frame while Close runs: the write returns the error that has ended the connection, in a
// batch as alone.
func TestDeadlineWithinAFrameDuringClose(t *testing.T) {
	for _, batch := range []bool{false, true} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan bool)
				writes := 0
				var c *Conn
				c, _ = newWriteFuncConn(t, server, func(p []byte) (int, error) {
					if writes++; writes == 1 {
						<-hold
						return len(p), nil
					}
					time.Sleep(2 * time.Second)
					c.Close()
					return 1, os.ErrDeadlineExceeded
				})
				write := func(text string) *call {
					x := inBackground(t, func() error { return c.WriteMessage(TextMessage, []byte(text)) })
					synctest.Wait()
					return x
				}
				first := write("first")
				c.SetWriteDeadline(time.Now().Add(time.Second))
				within := write("within")
				c.SetWriteDeadline(time.Time{})
				closed := strings.Replace(errClosedPipe, "read", "write", 1)
				if batch {
					defer write("behind it").want("behind it", 2*time.Second, closed)
				}
				close(hold)
				first.want("the first", 0, noError)
				within.want("within its frame", 2*time.Second, closed)
			})
		})
	}
}
