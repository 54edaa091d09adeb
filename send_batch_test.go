//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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

// Over the kernel's connections nothing is lost or mixed up, of small messages and of large ones.
func TestBatchOverTheKernel(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		server, client := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{readLimit: -1})
		for _, pair := range [][2]*Conn{{server, client}, {client, server}} {
			const writers, messages = 64, 20
			payload := func(i, j int) []byte { return bytes.Repeat([]byte{byte(i), byte(j)}, 1+i*j) }
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() {
					for j := range messages {
						if err := pair[0].WriteMessage(BinaryMessage, payload(i, j)); err != nil {
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
				if next[i] != j || !bytes.Equal(p, payload(i, j)) {
					t.Fatalf("got message %d of writer %d, or a part of it, want message %d", j, i, next[i])
				}
				next[i]++
			}
			all.Wait()
		}
		for _, size := range []int{defaultBufferSize, 100_000, headStart - 1, headStart, headStart + 1, 3 << 20} {
			want := noise(size, 1)
			written := make(chan error)
			go func() { written <- server.WriteMessage(BinaryMessage, want) }()
			if _, p, err := client.ReadMessage(); !bytes.Equal(p, want) || err != nil {
				t.Errorf("%d bytes: got %d others, %v", size, len(p), err)
			}
			if err := <-written; err != nil {
				t.Errorf("%d bytes: got %v, want nil", size, err)
			}
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
			errs := make(chan error, writers)
			for range writers {
				go func() { errs <- c.WriteMessage(TextMessage, []byte("x")) }()
			}
			good := 0
			for range writers {
				if err := <-errs; err == nil {
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

// writers are calls of WriteMessage, each in a goroutine, and how they have ended.
type writers struct {
	b       *bubble
	results map[string]string // by message: the error, and when
	mu      sync.Mutex
}

// begin begins to write a message with a deadline, or with none if timeout is 0. The calls before have got as
// far as they can.
func (w *writers) begin(text string, timeout time.Duration) {
	w.b.c.SetWriteDeadline(time.Time{})
	if timeout > 0 {
		w.b.c.SetWriteDeadline(time.Now().Add(timeout))
	}
	go func() {
		err := w.b.c.WriteMessage(TextMessage, []byte(text))
		result := fmt.Sprint(err)
		if err == errWriteTimeout {
			result = fmt.Sprint("timeout at ", time.Since(w.b.start))
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			result = "network"
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.results[text] = result
	}()
	synctest.Wait()
}

// want checks how the calls for the messages have ended.
func (w *writers) want(results map[string]string) {
	w.b.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for text, want := range results {
		if got := w.results[text]; got != want {
			w.b.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// Frames that wait to leave together, of which the network has taken n bytes when the time of the first has
// come, whose call writes them, and a second later that of the next. A frame that has begun to leave is sent
// all the same, and the calls of those behind it go on waiting. The connection has failed only where the
// call's own frame has left in part.
func TestDeadlineWithinABatch(t *testing.T) {
	for n := range 4*7 + 1 {
		eachPipe(t, connOptions{}, func(b *bubble) {
			size := len(peerFrames(!b.server, textFrame("a")))
			b.full()
			w := &writers{b: b, results: map[string]string{}}
			w.begin("a", 0) // the others wait meanwhile
			w.begin("b", time.Second)
			w.begin("c", 2*time.Second)
			w.begin("d", 0)
			w.begin("e", 0)
			b.room(size + n)
			time.Sleep(3 * time.Second)
			if torn := n > size && n < 4*size && n%size != 0; torn && !b.c.send.lock.has(stateUnsent) {
				b.Errorf("%d bytes have left: got nothing unsent, want the frame that has begun to leave", n)
			}
			b.open()
			results := map[string]string{"a": noError, "b": noError, "c": noError, "d": noError, "e": noError}
			frames := []string{"1 a", "1 b", "1 c", "1 d", "1 e"}
			switch {
			case n == 0: // nothing of the batch has left
				results["b"], results["c"] = "timeout at 1s", "timeout at 2s"
				frames = []string{"1 a", "1 d", "1 e"}
			case n < size: // some of the call's own frame has
				frames = frames[:1]
				for text := range results {
					results[text] = "network"
				}
				results["a"] = noError
			case n == size: // all of that has, and nothing of the next
				results["c"] = "timeout at 2s"
				frames = []string{"1 a", "1 b", "1 d", "1 e"}
			}
			w.want(results)
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
		size := len(peerFrames(!b.server, textFrame("a")))
		b.full()
		w := &writers{b: b, results: map[string]string{}}
		w.begin("a", 0)
		w.begin("b", time.Second)
		w.begin("c", time.Hour)
		b.room(2*size + 1)
		time.Sleep(2 * time.Second)
		w.want(map[string]string{"a": noError, "b": noError, "c": noError})
		b.far.Close()
		synctest.Wait()
		if err := b.c.send.lock.lost(); err == nil {
			b.Error("got nothing lost, want the end of c")
		}
	})
}

// The frames of a batch that find no room in the outbox leave later.
func TestBatchOfMoreThanTheOutbox(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		const n, size = 10, 10_000
		results := make(chan error, n)
		for i := range n {
			go func() { results <- b.c.WriteMessage(BinaryMessage, noise(size, uint64(i))) }()
			synctest.Wait()
		}
		b.open()
		synctest.Wait()
		got := 0
		for _, frame := range b.take() {
			if len(frame.frame) >= size {
				got++
			}
		}
		for range n {
			if err := <-results; err != nil {
				b.Error(err)
			}
		}
		if got != n {
			b.Errorf("got %d frames, want %d", got, n)
		}
	})
}

// A frame with an earlier deadline than that of the holder of the lock does not join its batch: its
// call ends at the deadline, and the connection is good.
func TestBatchAndDeadlines(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		w := &writers{b: b, results: map[string]string{}}
		w.begin("first", 0)
		w.begin("next", 0)
		w.begin("late", time.Second)
		w.begin("early enough", time.Hour)
		b.room(len(peerFrames(!b.server, textFrame("first"))))
		// Now the next one is in the system call, with the frames that may join it.
		time.Sleep(time.Minute)
		w.want(map[string]string{"first": noError, "next": "", "late": "timeout at 1s", "early enough": ""})
		b.open()
		b.want("without the one that is late", "1 first", "1 next", "1 early enough")
		w.want(map[string]string{"next": noError, "early enough": noError})
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
		if err := <-given; !errors.Is(err, errMine) || c.send.lock.err() != nil {
			t.Errorf("got %v, want the cause, and a good connection", err)
		}
		time.Sleep(time.Second)
		wire.wantWrites(t, "without the one that gave up", "1 a", "1 b|1 d")
	})
}

// Goroutines that write to a full network at the same time, with different deadlines: the
// messages of those whose time has passed never arrive, and all others do.
func TestDeadlinesOfManyWriters(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.full()
		w := &writers{b: b, results: map[string]string{}}
		results := map[string]string{}
		var frames []string
		const n = 100
		for i := range n {
			text, timeout := fmt.Sprint("message ", i), time.Duration(0)
			if i%2 == 0 {
				timeout = time.Duration(1+i*37%n) * time.Second
				results[text] = fmt.Sprint("timeout at ", timeout)
			} else {
				results[text] = noError
				frames = append(frames, "1 "+text)
			}
			w.begin(text, timeout)
		}
		time.Sleep(n * time.Second)
		b.open()
		w.want(results)
		b.want("without those whose time has passed", frames...)
	})
}

// RFC 6455, 5.5.1: no data frame after a Close frame. Calls that wait behind one are told so.
func TestNothingFollowsACloseFrame(t *testing.T) {
	for name, sendClose := range map[string]func(c *Conn) error{
		"WriteControl": func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) },
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(CloseMessage, nil) },
		"Shutdown":     func(c *Conn) error { return c.Shutdown(context.Background(), CloseNoStatusReceived, "") },
		"prepared":     func(c *Conn) error { return answers["WritePreparedMessage"](c, CloseMessage, nil) },
	} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newBusyConn(t, server)
				go c.WriteMessage(TextMessage, []byte("a"))
				synctest.Wait()
				go sendClose(c)
				synctest.Wait()
				errs := make(chan error, 2)
				go func() { errs <- c.WriteMessage(TextMessage, []byte("b")) }()
				go func() { errs <- c.WriteControl(PongMessage, nil, time.Time{}) }()
				go c.NextWriter(TextMessage) // takes its turn before
				time.Sleep(time.Second)
				for range cap(errs) {
					if err := <-errs; err != ErrCloseSent {
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

// After many goroutines have written to a connection at the same time it needs as little memory as
// before.
func TestMemoryAfterAStorm(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			const conns, calls, most = 100, 200, 1000
			storm := func(c *Conn, far *pipeConn) {
				room(far, 0)
				for range calls {
					go func() {
						if err := c.WriteMessage(TextMessage, []byte("storm")); err != nil {
							t.Error(err)
						}
					}()
				}
				synctest.Wait() // all of them wait
				room(far, 1<<20)
				synctest.Wait()
				far.take()
			}
			var list []*Conn
			var fars []*pipeConn
			for range 1 + conns {
				c, far := newTestConn(t, server)
				wantWrite(t, c, "first")
				far.take()
				list, fars = append(list, c), append(fars, far)
			}
			storm(list[conns], fars[conns]) // now the runtime has its goroutines
			before := heapInUse()
			for i, c := range list[:conns] {
				storm(c, fars[i])
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

// The network may be full, and somebody in the middle of a frame.
func TestKeepaliveWhileAWriteIsBlocked(t *testing.T) {
	keepaliveTest(t, "a peer that is gone", keepaliveOptions, func(tc *keepaliveScript) {
		done := make(chan error, 1)
		go func() { done <- tc.c.WriteMessage(BinaryMessage, make([]byte, 5000)) }()
		tc.read()
		time.Sleep(14 * time.Second)
		tc.wait()
		wantKeepaliveError(tc, "the verdict does not wait for the write", tc.err, "4s")
		if err := <-done; err == nil {
			tc.Error("got nil, want that the write ends")
		}
		if err := tc.c.WriteMessage(TextMessage, nil); err != tc.err {
			tc.Errorf("got %v, want the verdict", err)
		}
	})

	for _, pause := range []time.Duration{14*time.Second - 1, 15 * time.Second} {
		keepaliveTest(t, fmt.Sprint("a peer that reads every ", pause), keepaliveOptions, func(tc *keepaliveScript) {
			// Each piece is twice what the network holds, and the next one waits for all of it.
			const pieces = 100
			done := make(chan error, 1)
			go func() {
				w, err := tc.c.NextWriter(BinaryMessage)
				for range pieces {
					if err == nil {
						_, err = w.Write(make([]byte, 5000))
					}
				}
				done <- err
			}()
			for range pieces {
				time.Sleep(pause)
				for synctest.Wait(); len(tc.wire.take()) > 0; synctest.Wait() {
				}
			}
			want := noError // the peer takes something again and again
			if pause > 14*time.Second {
				want = takenNothing
			}
			if err := <-done; fmt.Sprint(err) != want {
				tc.Errorf("got %v, want %s", err, want)
			}
		})
	}

	// A large frame leaves in pieces. Each that the peer takes is a sign, also for the reader.
	const pieces = 4
	for _, stuck := range []int{0, 1, pieces - 1, pieces} {
		name := fmt.Sprintf("a peer that takes %d of %d pieces", stuck, pieces)
		keepaliveTest(t, name, keepaliveOptions, func(tc *keepaliveScript) {
			room(tc.wire, maxPiece) // so that with the header a few bytes of each piece wait
			message := noise(pieces*maxPiece+1, 1)
			done := make(chan error, 1)
			go func() { done <- tc.c.WriteMessage(BinaryMessage, message) }()
			if stuck == pieces {
				tc.read()
			}
			var got []byte
			for range stuck {
				time.Sleep(14*time.Second - 1)
				synctest.Wait() // for a verdict
				got = append(got, tc.wire.take()...)
				synctest.Wait()
			}
			if stuck < pieces {
				time.Sleep(14*time.Second - 1)
				if synctest.Wait(); tc.c.send.lock.err() != nil {
					tc.Errorf("got %v, want a verdict after 14s", tc.c.send.lock.err())
				}
				time.Sleep(1)
				if err := <-done; fmt.Sprint(err) != takenNothing {
					tc.Errorf("got %v, want the verdict", err)
				}
				return
			}
			err := <-done
			got = append(got, tc.wire.take()...)
			h, n, _ := parseHeader(got)
			if err != nil || h.length != int64(len(message)) || !bytes.HasPrefix(got[n:], message) {
				tc.Errorf("got %d bytes, %v, want the message of %d", len(got), err, len(message))
			}
		})
	}

	keepaliveTest(t, "a peer that is gone, and nobody reads", keepaliveOptions, func(tc *keepaliveScript) {
		var err error
		d := took(func() { err = tc.c.WriteMessage(BinaryMessage, make([]byte, 5000)) })
		if fmt.Sprint(err) != takenNothing || d != 14*time.Second {
			tc.Errorf("got %v after %v, want the verdict after 14s", err, d)
		}
	})

	// What the network holds proves nothing.
	keepaliveTest(t, "a server that pushes to a peer that is gone", keepaliveOptions, func(tc *keepaliveScript) {
		room(tc.wire, 1<<20)
		tc.read()
		for range 13 {
			time.Sleep(time.Second)
			tc.c.WriteMessage(BinaryMessage, make([]byte, 1000))
		}
		time.Sleep(time.Second)
		tc.wait()
		wantKeepaliveError(tc, "it was asked and has not answered", tc.err, "4s")
	})

	often := connOptions{pingInterval: time.Millisecond, pongTimeout: time.Hour}
	keepaliveTest(t, "pings do not pile up", often, func(tc *keepaliveScript) {
		before := runtime.NumGoroutine()
		go tc.c.WriteMessage(BinaryMessage, make([]byte, 5000))
		time.Sleep(time.Minute + time.Microsecond)
		if n := runtime.NumGoroutine() - before; n > 100 { // some are of other tests
			tc.Errorf("got %d goroutines more after 60,000 intervals", n)
		}
		if b := tc.c.send.slot.Load(); b == nil || b.n != 2 {
			tc.Error("got more than one ping that waits, or none")
		}
	})

	keepaliveTest(t, "an open message writer", keepaliveOptions, func(tc *keepaliveScript) {
		tc.read()
		w, _ := tc.c.NextWriter(TextMessage)
		io.WriteString(w, "open")
		done := make(chan error, 1)
		go func() { done <- tc.c.WriteMessage(TextMessage, nil) }()
		time.Sleep(10 * time.Second)
		tc.wantPing("pings pass")
		time.Sleep(4 * time.Second)
		tc.wantDead("and so does the verdict")
		if err := <-done; err != tc.err {
			tc.Errorf("got %v, want the verdict for who waits behind the writer", err)
		}
	})
}

// chunkConn reads in chunks.
type chunkConn struct {
	*pipeConn
	chunk int
}

func (c chunkConn) Read(p []byte) (int, error) { return c.pipeConn.Read(p[:min(len(p), c.chunk)]) }

// largePair returns a client and a server without a read limit, which read in chunks.
func largePair(t testing.TB, chunk int) (client, server *Conn) {
	a, b := newPipe(t, 1<<30)
	o := connOptions{readLimit: -1}
	return newConn(chunkConn{a, chunk}, false, nil, o), newConn(chunkConn{b, chunk}, true, nil, o)
}

// largePayload returns a message: text with characters of 1 to 4 bytes, which no size
// of frame or chunk respects, or bytes that are no text.
func largePayload(messageType, size int) []byte {
	unit := "Text is cut anywhere: é, 한 and 😀 are cut too, sooner or later."
	if messageType == BinaryMessage {
		unit = "\xff\x00\xc3\x80\xfe\xed\xa0\x01\x02\x03\x04\x05\x06"
	}
	b := bytes.Repeat([]byte(unit), size/len(unit))
	return append(b, bytes.Repeat([]byte("."), size-len(b))...)
}

// largeSend sends the message in frames of the given size; 0 means one frame.
func largeSend(t *testing.T, c *Conn, messageType int, b []byte, size int) {
	t.Helper()
	if size == 0 {
		size = max(len(b), 1)
	}
	h := header{opcode: opcode(messageType)}
	for !h.fin {
		n := min(size, len(b))
		h.fin = n == len(b)
		if err := c.send.write(&frame{opcode: h.opcode, fin: h.fin, payload: b[:n]}, modeFrame, &limit{}); err != nil {
			t.Fatal(err)
		}
		h.opcode = opContinuation
		b = b[n:]
	}
}

// Large messages arrive as they were sent, whole and in frames of any size, to a reader that gets all at once
// or chunks.
func TestLargeMessages(t *testing.T) {
	skipRace(t)
	type size struct{ message, frame, chunk int }
	const all = 1 << 30
	sizes := []size{{64 << 10, 0, all}, {256 << 10, 0, all}, {1 << 20, 0, all}, {4 << 20, 0, all}, {64 << 10, 1300, all}}
	for frame := 64; frame <= 4<<20; frame *= 4 {
		sizes = append(sizes, size{max(frame, 256<<10), frame, all})
	}
	for chunk := 64; chunk <= 2048; chunk *= 2 {
		sizes = append(sizes, size{1 << 20, 0, chunk}, size{1 << 20, 1000, chunk})
	}
	if !testing.Short() {
		sizes = append(sizes, size{16 << 20, 0, all})
	}
	for _, s := range sizes {
		client, server := largePair(t, s.chunk)
		for _, messageType := range []int{TextMessage, BinaryMessage} {
			want := largePayload(messageType, s.message)
			for _, way := range [][2]*Conn{{client, server}, {server, client}} {
				largeSend(t, way[0], messageType, want, s.frame)
				gotType, got, err := way[1].ReadMessage()
				if err != nil || gotType != messageType || !bytes.Equal(got, want) {
					t.Fatalf("%+v, server %t: got type %d, %d bytes, %v, want type %d, the bytes as they were sent",
						s, way[0] == server, gotType, len(got), err, messageType)
				}
			}
		}
	}
}
