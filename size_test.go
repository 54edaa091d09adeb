//go:build go1.25

package websocket

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// A connection is small, as there may be a million of them.
func TestConnSize(t *testing.T) {
	if strconv.IntSize == 64 {
		if n := unsafe.Sizeof(Conn{}); n > 288 { // a size class of the runtime
			t.Errorf("got a Conn of %d bytes, want at most 288", n)
		}
	}
}

// What a compressed message holds besides its window, from its first byte to its last.
func TestInflaterSize(t *testing.T) {
	if n := unsafe.Sizeof(inflater{}); n > 8<<10 {
		t.Errorf("got an inflater of %d bytes, want at most 8 KiB", n)
	}
}

// What most connections do not use has not been made.
func TestIdleConnHoldsNothing(t *testing.T) {
	near, far := tcpPair(t)
	c := newConn(near, true, nil, connOptions{})
	far.Write(frames(1, 1000))
	answer(t, c, 1, writeBack)
	if c.deadlines.Load() != nil || c.extras.Load() != nil || c.message.reader != nil || c.message.kept != nil || c.writer.Load() != nil || c.readWatch != nil || c.readLock.queue.Load() != nil {
		t.Error("got memory for what was not used")
	}
	if s := &c.send; s.delayed.Load() != nil || s.outbox.buf != nil || s.lock.queue.Load() != nil || s.slot.Load() != nil {
		t.Error("got memory for what was not sent")
	}
	if r := &c.recv; r.buf != nil || len(r.b) > 0 {
		t.Error("got memory for what was not received")
	}
}

// One call of read takes all of a message.
func TestOneReadPerMessage(t *testing.T) {
	const size = 64 << 10
	for name, read := range map[string]func(c *Conn, dst []byte) ([]byte, error){
		"ReadMessage": func(c *Conn, _ []byte) ([]byte, error) {
			_, p, err := c.ReadMessage()
			return p, err
		},
		"AppendMessage": func(c *Conn, dst []byte) ([]byte, error) {
			_, p, err := c.AppendMessage(dst)
			return p, err
		},
		"NextReader": func(c *Conn, dst []byte) ([]byte, error) {
			_, r, err := c.NextReader()
			if err != nil {
				return nil, err
			}
			n, err := io.ReadFull(r, dst[:size])
			return dst[:n], err
		},
	} {
		near, far := tcpPair(t)
		c := newConn(near, true, nil, connOptions{})
		if c.send.link.descriptor.conn == nil {
			t.Skip("descriptors are not read here")
		}
		frame, dst := frames(1, size), make([]byte, 0, size+maxHeaderSize)
		reads, whole := 0, 0
		raw := c.send.link.descriptor.read
		c.send.link.descriptor.read = func(fd uintptr) bool {
			done := raw(fd)
			if done {
				if reads++; len(c.recv.b) == len(frame) {
					whole++
				}
			}
			return done
		}
		const n = 40
		for range n {
			far.Write(frame)
			if p, err := read(c, dst); len(p) != size || err != nil {
				t.Fatalf("%s: got %d bytes, %v, want %d", name, len(p), err, size)
			}
		}
		// The network may have cut one or the other in two.
		if reads > n+3 || whole < n-3 {
			t.Errorf("%s: got %d reads, %d of a whole message, want %d", name, reads, whole, n)
		}
	}
}

// stackVariable names the program that the process of TestIdleStack is to measure.
const stackVariable = "WEBSOCKET_TEST_STACK"

// The goroutine of an idle connection fits into the stack that a goroutine has at first,
// after it has read and written, as one does that only waits in net.Conn.Read.
func TestIdleStack(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs more stack")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("measured on linux/amd64")
	}
	programs := map[string]func(net.Conn) (program func()){
		"net.Conn": func(near net.Conn) func() {
			b := make([]byte, 64)
			return func() {
				for {
					n, err := near.Read(b)
					if err != nil {
						return
					}
					near.Write(b[:n])
				}
			}
		},
		"ReadMessage": func(near net.Conn) func() {
			c := newConn(near, true, nil, connOptions{})
			return func() {
				for {
					messageType, p, err := c.ReadMessage()
					if err != nil || c.WriteMessage(messageType, p) != nil {
						return
					}
				}
			}
		},
		"AppendMessage": func(near net.Conn) func() {
			c := newConn(near, true, nil, connOptions{})
			return func() { echoAll(c) }
		},
		"a program with a frame of its own": func(near net.Conn) func() {
			c := newConn(near, true, nil, connOptions{})
			return func() { echoInFrame(c) }
		},
	}
	if name := os.Getenv(stackVariable); name != "" {
		fmt.Printf("stack %d\n", measureStack(t, programs[name]))
		return
	}
	for name := range programs {
		cmd := exec.Command(os.Args[0], "-test.run=^TestIdleStack$")
		cmd.Env = append(os.Environ(), stackVariable+"="+name, "GODEBUG=adaptivestackstart=0")
		out, err := cmd.CombinedOutput()
		_, after, _ := strings.Cut(string(out), "stack ")
		var n int
		if _, scanErr := fmt.Sscan(after, &n); err != nil || scanErr != nil {
			t.Fatalf("%s: got %v, %s", name, err, out)
		}
		if n > 2200 {
			t.Errorf("%s: got %d bytes of stack for a goroutine, want at most 2,200", name, n)
		}
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

// makeThreads has the runtime make n threads, which it keeps. Each counts as much stack as
// eight goroutines, and more of them are needed where a system call takes long.
func makeThreads(n int) {
	var locked, ended sync.WaitGroup
	locked.Add(n)
	ended.Add(n)
	all := make(chan struct{})
	for range n {
		go func() {
			defer ended.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			locked.Done()
			<-all
		}()
	}
	locked.Wait()
	close(all)
	ended.Wait()
}

// measureStack returns the bytes of stack for each of 500 goroutines that have answered
// one message and wait for the next.
func measureStack(t *testing.T, prepare func(net.Conn) (program func())) uint64 {
	const n = 500
	var programs []func()
	var fars []net.Conn
	for range n {
		near, far := tcpPair(t)
		programs, fars = append(programs, prepare(near)), append(fars, far)
	}
	message := frames(1, 20)
	answer := make([]byte, 22) // or more, of one that echoes the bytes as they are
	makeThreads(50)
	runtime.GC()
	debug.SetGCPercent(-1) // it makes stacks smaller that have grown
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i, program := range programs {
		go program()
		fars[i].Write(message)
		if _, err := io.ReadFull(fars[i], answer); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	return (after.StackInuse - before.StackInuse) / n
}
