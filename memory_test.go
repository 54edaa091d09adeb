//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A connection is small, as there may be a million of them: its size is a size class of the runtime. So is what a
// compressed message holds besides its window, from its first byte to its last.
func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); strconv.IntSize == 64 && n > 288 {
		t.Errorf("got a Conn of %d bytes, want at most 288", n)
	}
	if n := unsafe.Sizeof(inflater{}); n > 8<<10 {
		t.Errorf("got an inflater of %d bytes, want at most 8 KiB", n)
	}
}

// What most connections do not use has not been made.
func TestIdleConnHoldsNothing(t *testing.T) {
	near, far := tcpPair(t)
	c := newConn(near, true, frames(2, 10), connOptions{}) // which came with the handshake
	far.Write(frames(1, 1000))
	answer(t, c, 3, writeBack)
	if c.deadlines.Load() != nil || c.extras.Load() != nil || c.message.kept != nil ||
		c.writer.Load() != nil || c.readWatch != nil || c.readLock.queue.Load() != nil {
		t.Error("got memory for what was not used")
	}
	if s := &c.send; s.delayed.Load() != nil || s.outbox.buf != nil || s.lock.queue.Load() != nil || s.slot.Load() != nil {
		t.Error("got memory for what was not sent")
	}
	if c.recv.buf != nil || c.recv.b != nil {
		t.Error("got memory for what was not received")
	}
}

// One call of read takes all of a message.
func TestOneReadPerMessage(t *testing.T) {
	const n, size = 40, 64 << 10
	for _, way := range receiveWays[:4] {
		near, far := tcpPair(t)
		c := newConn(near, true, nil, connOptions{})
		descriptor := &c.send.link.descriptor
		if descriptor.conn == nil {
			t.Skip("descriptors are not read here")
		}
		frame := frames(1, size)
		reads, whole := 0, 0
		raw := descriptor.read
		descriptor.read = func(fd uintptr) bool {
			done := raw(fd)
			if done {
				if reads++; len(c.recv.b) == len(frame) {
					whole++
				}
			}
			return done
		}
		for range n {
			far.Write(frame)
			if _, p, err := way.read(c); len(p) != size || err != nil {
				t.Fatalf("%s: got %d bytes, %v, want %d", way.name, len(p), err, size)
			}
		}
		// The network may have cut one or the other in two.
		if reads > n+3 || whole < n-3 {
			t.Errorf("%s: got %d reads, %d of a whole message, want %d", way.name, reads, whole, n)
		}
	}
}

// stackVariable is set in the process in which TestIdleStack measures.
const stackVariable = "WEBSOCKET_TEST_STACK"

// The goroutine of an idle connection fits into the stack that a goroutine has at first, after it has read and written,
// as one does that only waits in net.Conn.Read, with a frame as ordinary programs have one.
func TestIdleStack(t *testing.T) {
	if raceEnabled || runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("measured on linux/amd64, without the race detector, which needs more stack")
	}
	if os.Getenv(stackVariable) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestIdleStack$")
		cmd.Env = append(os.Environ(), stackVariable+"=1", "GODEBUG=adaptivestackstart=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("got %v, %s", err, out)
		}
		return
	}
	const n = 500
	var conns []*Conn
	var fars []net.Conn
	for range n {
		near, far := tcpPair(t)
		conns, fars = append(conns, newConn(near, true, nil, connOptions{})), append(fars, far)
	}
	message, answer := frames(1, 20), make([]byte, 22)
	makeThreads(50)
	runtime.GC()
	debug.SetGCPercent(-1) // it makes stacks smaller that have grown
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i, c := range conns {
		go echoInFrame(c)
		fars[i].Write(message)
		if _, err := io.ReadFull(fars[i], answer); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.StackInuse - before.StackInuse) / n; got > 2200 {
		t.Errorf("got %d bytes of stack for a goroutine, want at most 2,200", got)
	}
}

// echoInFrame is echoAll with a frame as ordinary programs have one.
//
//go:noinline
func echoInFrame(c *Conn) byte {
	var local [128]byte
	echoAll(c)
	return local[len(os.Args)%len(local)]
}

// makeThreads has the runtime make n threads, which it keeps. Each counts as much stack as
// eight goroutines, and more of them are needed where a system call takes long.
func makeThreads(n int) {
	var locked, ended sync.WaitGroup
	locked.Add(n)
	for range n {
		ended.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			locked.Done()
			locked.Wait()
		})
	}
	ended.Wait()
}

// All ways of reading wait with few frames of the library on the stack, and a message is written with
// few: the next larger frame of a program doubles the stack that a goroutine begins with.
func TestStack(t *testing.T) {
	if raceEnabled || runtime.GOARCH != "amd64" {
		t.Skip("the frames have other sizes")
	}
	for name, tt := range map[string]struct {
		call func(c *Conn)
		most uintptr
	}{
		"ReadMessage":   {func(c *Conn) { c.ReadMessage() }, 200},
		"AppendMessage": {func(c *Conn) { c.AppendMessage(nil) }, 200},
		"NextReader":    {func(c *Conn) { c.NextReader() }, 200},
		"ReadJSON":      {func(c *Conn) { c.ReadJSON(nil) }, 200},
		"WriteMessage":  {func(c *Conn) { c.WriteMessage(BinaryMessage, nil) }, 500},
	} {
		near, _ := tcpPair(t)
		c := newConn(near, true, nil, connOptions{})
		descriptor := &c.send.link.descriptor
		if descriptor.conn == nil {
			t.Skip("there is no descriptor here")
		}
		deep := &deepConn{}
		descriptor.conn = deep
		measure := func(call func()) uintptr {
			done := make(chan uintptr)
			go func() { // whose stack does not move
				var here byte
				growStack(16 << 10)
				call()
				done <- uintptr(unsafe.Pointer(&here)) - deep.end
			}()
			return <-done
		}
		bare := measure(func() { deep.Read(nil) })
		if n := measure(func() { tt.call(c) }) - bare; n > tt.most {
			t.Errorf("%s: got %d bytes of stack between the caller and package net, want at most %d", name, n, tt.most)
		}
	}
}

// deepConn is a descriptor that finds out how far the stack reaches, and has nothing to read.
type deepConn struct {
	syscall.RawConn
	end uintptr // of the stack in the last call
}

//go:noinline
func (c *deepConn) Read(func(uintptr) bool) error {
	var here byte
	c.end = uintptr(unsafe.Pointer(&here))
	return io.EOF
}

//go:noinline
func (c *deepConn) Control(func(uintptr)) error { return c.Read(nil) }

// growStack has the stack of the goroutine grow to more than n bytes.
func growStack(n int) byte {
	var b [256]byte
	if n > 0 {
		return growStack(n-len(b)) + b[n%len(b)]
	}
	return b[0]
}

// waitConn calls waits before each Read behind which nothing has come yet.
type waitConn struct {
	net.Conn
	got   int
	marks [2]int // what has come when the test looks
	waits func()
}

func (c *waitConn) Read(p []byte) (int, error) {
	if slices.Contains(c.marks[:], c.got) {
		c.waits()
	}
	n, err := c.Conn.Read(p)
	c.got += n
	return n, err
}

// tlsWaitConn is a waitConn that passes for one of crypto/tls.
type tlsWaitConn struct{ *waitConn }

func (c tlsWaitConn) ConnectionState() (s tls.ConnectionState) { return s }

// What a connection holds is at most sixteen times what has come and was not delivered, and a kilobyte:
// while it waits in the middle of a message, and while the program's code runs between two reads. In the
// middle of a compressed one it also holds an inflater, the message so far and, without takeover, a window.
func TestMemoryFollowsWhatHasCome(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory")
	}
	const many, some, head = 1000, 200, 14
	message, small := frames(1, 64<<10), frames(1, 100)
	compressed := rawFrame(true, "\xc1"+string(deflateMessages(defaultCompressionLevel, textLike(64<<10, 1))[0]))
	readMessage := func(c *Conn) { c.ReadMessage() }
	readPieces := func(c *Conn) {
		if _, r, err := c.NextReader(); err == nil {
			io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 512))
		}
	}
	plain, own, takeover := (*CompressionOptions)(nil), &CompressionOptions{}, &CompressionOptions{ContextTakeover: true}
	for _, kind := range []string{"a descriptor", "a wrapper", "TLS"} {
		for _, tt := range []struct {
			name        string
			conns       int
			wire        []byte
			read        func(c *Conn) // of what comes
			most        int           // bytes that are held while the program waits or runs
			compression *CompressionOptions
		}{
			{"a header", some, message[:head], readMessage, 1 << 10, plain},
			{"ReadMessage, 100 bytes", some, message[:head+100], readMessage, 16*100 + 1<<10, plain},
			{"ReadMessage, 1,000 bytes", some, message[:head+1000], readMessage, 16*1000 + 1<<10, plain},
			{"ReadMessage, 60,000 bytes", many, message[:head+60000], readMessage, 16*60000 + 1<<10, plain},
			{"NextReader", some, message[:head+60000], readPieces, 1 << 10, plain},
			{"a program that has a message", many, small, func(c *Conn) { c.AppendMessage(nil) }, 16*100 + 1<<10, plain},
			{"a program that has a message of a burst", some, bytes.Repeat(small, 20), func(c *Conn) { c.AppendMessage(nil) },
				16*20*len(small) + 1<<10, plain},
			{"a program that has the beginning of a message", some, message, func(c *Conn) { c.NextReader() },
				16*len(message) + 1<<10, plain},
			{"a compressed message", some, compressed[:100], readMessage, 10 << 10, own},
			{"with takeover", some, compressed[:100], readMessage, 10 << 10, takeover},
			{"pieces of a compressed message", some, compressed[:10000], readPieces, 40 << 10, own},
			{"pieces of one with takeover", some, compressed[:10000], readPieces, 10 << 10, takeover},
		} {
			t.Run(kind+", "+tt.name, func(t *testing.T) {
				if kind != "a descriptor" {
					tt.conns = 100 // these take longer
				}
				first, o := small, attack{server: true, compression: tt.compression}.options(t, connOptions{})
				if tt.compression != nil {
					first = compressed
				}
				var idle atomic.Int32 // connections that wait, or whose program runs
				waits := func() { idle.Add(1) }
				ended := make(chan struct{})
				defer close(ended)
				all, fars := make([]*Conn, tt.conns), make([]io.Writer, tt.conns)
				for i := range all {
					near, far := tcpPair(t)
					wrapped := &waitConn{near, 0, [2]int{len(first), len(first) + len(tt.wire)}, waits}
					switch kind {
					case "a wrapper":
						near = wrapped
					case "TLS":
						near = tlsWaitConn{wrapped}
					}
					c := newConn(near, true, nil, o)
					descriptor := &c.send.link.descriptor
					if descriptor.conn == nil && kind == "a descriptor" {
						t.Skip("descriptors are not read here")
					}
					all[i], fars[i] = c, far
					far.Write(first)
					c.AppendMessage(nil) // whatever is made once is there
					read := descriptor.read
					descriptor.read = func(fd uintptr) bool {
						done := read(fd)
						if !done {
							waits()
						}
						return done
					}
					go func() {
						tt.read(c)
						waits()
						<-ended
					}()
				}
				wait := func(n int32) {
					for start := time.Now(); idle.Load() < n; time.Sleep(100 * time.Microsecond) {
						if time.Since(start) > patience {
							t.Fatalf("got %d reads that wait, want %d", idle.Load(), n)
						}
					}
				}
				wait(int32(tt.conns))
				before := int(heapInUse())
				for _, far := range fars {
					far.Write(tt.wire)
				}
				wait(2 * int32(tt.conns))
				// A message that comes in several parts makes a connection wait more than once, so that
				// some may not have come to their last wait.
				got := (int(heapInUse()) - before) / tt.conns
				for start := time.Now(); got > tt.most && time.Since(start) < patience; time.Sleep(time.Millisecond) {
					got = (int(heapInUse()) - before) / tt.conns
				}
				if got > tt.most {
					t.Errorf("got %d bytes for a connection, want at most %d", got, tt.most)
				}
				runtime.KeepAlive(all)
			})
		}
	}
}

// A read that is interrupted again and again takes memory for the message once.
func TestInterruptedReadsTakeNoMemory(t *testing.T) {
	const came, size = 1 << 18, 9 << 15
	for name, read := range map[string]func(c *Conn, dst []byte) ([]byte, error){
		"ReadMessage":   func(c *Conn, _ []byte) ([]byte, error) { _, p, err := c.ReadMessage(); return p, err },
		"AppendMessage": func(c *Conn, dst []byte) ([]byte, error) { _, p, err := c.AppendMessage(dst); return p, err },
		"ReadJSON": func(c *Conn, _ []byte) (p []byte, err error) {
			err = c.ReadJSON((*json.RawMessage)(&p))
			return p, err
		},
	} {
		eachPipe(t, connOptions{}, func(b *bubble) {
			wire := peerFrames(b.server, textFrame(strings.Repeat("1", size)))
			b.pipe.Write(wire[:came])
			dst := make([]byte, 0, size)
			poll := func() {
				b.c.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, err := read(b.c, dst)
				wantTimeout(b.T, err)
			}
			poll() // the first one, which finds it
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 50 {
				poll()
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > came/4 {
				b.Errorf("%s: got %d bytes for 50 calls, want none for the message", name, n)
			}
			b.c.SetReadDeadline(time.Time{})
			b.pipe.Write(wire[came:])
			if p, err := read(b.c, dst); err != nil || len(p) != size {
				b.Errorf("%s: got %d bytes, %v, want all %d", name, len(p), err, size)
			}
		})
	}
}

// allocsConn is a connection and what its peer does, none of which allocates.
type allocsConn struct {
	*testing.T
	c      *Conn
	server bool           // c is one
	send   func(b []byte) // what the connection reads next
	recv   func()         // takes what it has written
}

// eachAllocsConn runs f for both sides, in memory and over TCP.
func eachAllocsConn(t *testing.T, f func(a allocsConn)) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	bothSides(t, func(t *testing.T, server bool) {
		m := &loopTransport{}
		f(allocsConn{t, newConn(m, server, nil, connOptions{}), server, func(b []byte) { m.bytes, m.pos = b, 0 }, func() {}})

		near, far := tcpPair(t)
		p := make([]byte, 256<<10)
		must := func(_ int, err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		f(allocsConn{t, newConn(near, server, nil, connOptions{}), server,
			func(b []byte) { must(far.Write(b)) }, func() { must(far.Read(p)) }})
	})
}

// want checks what a call allocates that returns no error.
func (a allocsConn) want(name string, want float64, f func() error) {
	a.Helper()
	n := testing.AllocsPerRun(100, func() {
		if err := f(); err != nil {
			a.Fatalf("%s: got %v, want nil", name, err)
		}
	})
	if n != want {
		a.Errorf("%s: got %v allocations, want %v", name, n, want)
	}
}

// Reading takes no memory but the message's own, which is just of its size, and none where that is the caller's.
// NextReader makes a reader.
func TestReadingAllocates(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	eachAllocsConn(t, func(a allocsConn) {
		for _, size := range []int{0, 16, 1000, 16 << 10} {
			frame := peerFrames(a.server, peerFrame{true, opBinary, string(make([]byte, size))})
			dst := make([]byte, size+1)
			deadline := time.Now().Add(time.Hour)
			own := min(float64(size), 1) // an empty message takes no memory
			for name, tt := range map[string]struct {
				allocs float64
				read   func() ([]byte, error)
			}{
				"AppendMessage":      {0, func() ([]byte, error) { _, p, err := a.c.AppendMessage(dst[:0]); return p, err }},
				"ReadMessage":        {own, func() ([]byte, error) { _, p, err := a.c.ReadMessage(); return p, err }},
				"ReadMessageContext": {own, func() ([]byte, error) { _, p, err := a.c.ReadMessageContext(ctx); return p, err }},
				"NextReader": {1, func() ([]byte, error) {
					_, r, err := a.c.NextReader()
					if err != nil {
						return nil, err
					}
					n, err := io.ReadFull(r, dst)
					if err == io.EOF || err == io.ErrUnexpectedEOF {
						err = nil
					}
					return dst[:n], err
				}},
				"with a deadline": {0, func() ([]byte, error) {
					deadline = deadline.Add(1)
					a.c.SetReadDeadline(deadline)
					_, p, err := a.c.AppendMessage(dst[:0])
					return p, err
				}},
			} {
				a.want(name, tt.allocs, func() error {
					a.send(frame)
					p, err := tt.read()
					if len(p) != size || name == "ReadMessage" && cap(p) != size {
						err = fmt.Errorf("%d bytes in memory of %d, want %d, and %w", len(p), cap(p), size, err)
					}
					return err
				})
			}
		}
	})
}

// Writing takes no memory. NextWriter makes a writer.
func TestWritingAllocates(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	eachAllocsConn(t, func(a allocsConn) {
		c, deadline := a.c, time.Now().Add(time.Hour)
		for _, size := range []int{0, 16, 1000, 16 << 10} {
			data := make([]byte, size)
			pm := prepare(t, BinaryMessage, string(data))
			for name, write := range map[string]func() error{
				"WriteMessage":         func() error { return c.WriteMessage(BinaryMessage, data) },
				"WriteMessageContext":  func() error { return c.WriteMessageContext(ctx, BinaryMessage, data) },
				"WritePreparedMessage": func() error { return c.WritePreparedMessage(pm) },
				"WriteControl":         func() error { return c.WriteControl(PingMessage, data[:min(size, 125)], deadline) },
				"with a deadline": func() error {
					deadline = deadline.Add(1)
					c.SetWriteDeadline(deadline)
					return c.WriteMessage(BinaryMessage, data)
				},
				"NextWriter": func() error { return writePieces(c, BinaryMessage, data, max(1, size)) },
				"Cork": func() error {
					c.Cork()
					return errors.Join(c.WriteMessage(BinaryMessage, data), c.Flush())
				},
			} {
				allocs := 0.0
				if name == "NextWriter" {
					allocs = 1
				}
				a.want(name, allocs, func() error {
					err := write()
					a.recv()
					return err
				})
			}
		}
	})
}

// Answering takes no memory: pings, and messages that have come at once.
func TestAnsweringAllocates(t *testing.T) {
	eachAllocsConn(t, func(a allocsConn) {
		came := peerFrames(a.server,
			pingFrame("p"), peerFrame{true, opPong, "q"}, textFrame("a"), pingFrame("r"), textFrame("b"))
		dst := make([]byte, 0, 100)
		a.want("echo", 0, func() error {
			a.send(came)
			for range 2 {
				messageType, p, err := a.c.AppendMessage(dst)
				if err = errors.Join(err, a.c.WriteMessage(messageType, p)); err != nil {
					return err
				}
			}
			a.recv()
			return nil
		})
	})
}
