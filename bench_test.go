//go:build go1.25 && unix

package websocket

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

func BenchmarkParseHeader(b *testing.B) {
	frame := (&header{fin: true, opcode: opBinary, masked: true, key: [4]byte{1, 2, 3, 4}, length: 1000}).append(nil)
	for b.Loop() {
		h, n, err := parseHeader(frame)
		if n == 0 || err != nil || h.check(frameContext{server: true}) != nil {
			b.Fatal(err)
		}
	}
}

// sendCase is a benchmark that writes to connections. One operation is one message to each.
//
// The same goroutine reads what has arrived, after 8 messages or 32 KiB: waking another costs as
// much as sending, and chance decides how often it happens. More messages would exceed TCP's first
// congestion window, and wait for an acknowledgment.
type sendCase struct {
	sizes  []int // of the payload
	conns  int
	client bool
	// start returns the function that sends a message. It may keep state for the connections.
	start func(conns []*Conn, message []byte) (send func(c *Conn) error)
}

func (s sendCase) run(b *testing.B) {
	for _, transport := range sendTransports {
		for _, size := range s.sizes {
			b.Run(fmt.Sprintf("%s/%dB", transport, size), func(b *testing.B) { s.runSize(b, transport, size) })
		}
	}
}

func (s sendCase) runSize(b *testing.B, transport string, size int) {
	conns, peers := make([]*Conn, s.conns), make([]net.Conn, s.conns)
	for i := range conns {
		near, far := tcpPair(b)
		near, peers[i] = secureOrWrap(b, transport, near, newUnpolledConn(b, far.(*net.TCPConn)))
		conns[i] = newConn(near, !s.client, nil, connOptions{})
	}
	frameSize := len(sendFrame(opBinary, s.client, size))
	arrived := make([]byte, frameSize*min(8, max(1, 32<<10/size)))
	send := s.start(conns, make([]byte, size))
	unread := 0 // of each connection
	reportCPU := startSending(b)
	for b.Loop() {
		for _, c := range conns {
			if err := send(c); err != nil {
				b.Fatal(err)
			}
		}
		if unread += frameSize; unread < len(arrived) {
			continue
		}
		for _, peer := range peers {
			if _, err := io.ReadFull(peer, arrived); err != nil {
				b.Fatal(err)
			}
		}
		unread = 0
	}
	reportCPU()
}

// unpolledConn is unknown to Go's poller, in which every segment that arrives would wake a thread.
type unpolledConn struct {
	net.Conn
	file *os.File
}

func (c unpolledConn) Read(p []byte) (int, error)  { return c.file.Read(p) }
func (c unpolledConn) Write(p []byte) (int, error) { return c.file.Write(p) }

// newUnpolledConn takes over the socket of tcp.
func newUnpolledConn(b *testing.B, tcp *net.TCPConn) net.Conn {
	raw, err := tcp.SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	var socket int
	raw.Control(func(fd uintptr) { socket, err = syscall.Dup(int(fd)) })
	if err != nil {
		b.Fatal(err)
	}
	tcp.Close()
	syscall.SetNonblock(socket, false) // which os.NewFile takes into account
	file := os.NewFile(uintptr(socket), "socket")
	b.Cleanup(func() { file.Close() })
	return unpolledConn{tcp, file}
}

// sendTransports are the kinds of transport that are written to in a way of their own.
var sendTransports = []string{"tcp", "tls", "wrapper"}

// secureOrWrap makes a connection over the transport out of one over TCP.
func secureOrWrap(b *testing.B, transport string, near, far net.Conn) (net.Conn, net.Conn) {
	switch transport {
	case "tls":
		near, far = overTLS(b, near, far)
	case "wrapper":
		near = wrappedConn{near}
	}
	return near, far
}

// sendFrame returns a frame of zeros.
func sendFrame(op opcode, masked bool, size int) []byte {
	return peerFrames(masked, peerFrame{true, op, string(make([]byte, size))})
}

// startSending has b report allocations, and returns a function that reports the CPU time since, of
// both sides of the connections. It depends less than ns/op on what else the machine does.
func startSending(b *testing.B) (reportCPU func()) {
	b.ReportAllocs()
	var start, end syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &start)
	return func() {
		syscall.Getrusage(syscall.RUSAGE_SELF, &end)
		used := end.Utime.Nano() - start.Utime.Nano() + end.Stime.Nano() - start.Stime.Nano()
		b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
	}
}

func sendMessages(_ []*Conn, message []byte) func(c *Conn) error {
	return func(c *Conn) error { return c.WriteMessage(BinaryMessage, message) }
}

func BenchmarkSend(b *testing.B) {
	sendCase{conns: 1, sizes: []int{16, 1 << 10, 16 << 10}, start: sendMessages}.run(b)
}

func BenchmarkSendClient(b *testing.B) {
	sendCase{conns: 1, sizes: []int{16, 16 << 10}, client: true, start: sendMessages}.run(b)
}

// BenchmarkSendDeadline sets a new deadline before each message, as most servers do.
func BenchmarkSendDeadline(b *testing.B) {
	sendCase{conns: 1, sizes: []int{16, 1 << 10, 16 << 10}, start: func(_ []*Conn, message []byte) func(c *Conn) error {
		return func(c *Conn) error {
			c.SetWriteDeadline(time.Now().Add(10 * time.Second))
			return c.WriteMessage(BinaryMessage, message)
		}
	}}.run(b)
}

func BenchmarkSendPing(b *testing.B) {
	sendCase{conns: 1, sizes: []int{8}, start: func(_ []*Conn, payload []byte) func(c *Conn) error {
		return func(c *Conn) error { return c.WriteControl(PingMessage, payload, time.Now().Add(10*time.Second)) }
	}}.run(b)
}

func BenchmarkSendStream(b *testing.B) {
	sendCase{conns: 1, sizes: []int{100, 32 << 10}, start: func(conns []*Conn, p []byte) func(c *Conn) error {
		s := NewStream(conns[0], BinaryMessage)
		return func(*Conn) error { _, err := s.Write(p); return err }
	}}.run(b)
}

func BenchmarkSendBroadcast(b *testing.B) {
	sendCase{conns: 100, sizes: []int{100, 1 << 10}, start: func(_ []*Conn, message []byte) func(c *Conn) error {
		prepared, err := NewPreparedMessage(BinaryMessage, message)
		if err != nil {
			b.Fatal(err)
		}
		return func(c *Conn) error { return c.WritePreparedMessage(prepared) }
	}}.run(b)
}

// BenchmarkSendParallel has goroutines write to one connection, whose peer is a goroutine too:
// many write small messages, or a few write large ones and wait until the peer makes room.
func BenchmarkSendParallel(b *testing.B) {
	for _, transport := range sendTransports {
		b.Run(transport+"/64x100B", func(b *testing.B) { benchmarkSendParallel(b, transport, 64, 100) })
		b.Run(transport+"/2x16384B", func(b *testing.B) { benchmarkSendParallel(b, transport, 2, 16<<10) })
	}
}

func benchmarkSendParallel(b *testing.B, transport string, goroutines, size int) {
	near, far := tcpPair(b)
	near, far = secureOrWrap(b, transport, near, far)
	c := newConn(near, true, nil, connOptions{})
	var peer sync.WaitGroup
	peer.Go(func() { io.CopyBuffer(struct{ io.Writer }{io.Discard}, far, make([]byte, 64<<10)) }) // until c is closed
	message := make([]byte, size)
	b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	reportCPU := startSending(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := c.WriteMessage(BinaryMessage, message); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	c.Close()
	peer.Wait()
	reportCPU()
}

// BenchmarkSendEcho has a server answer messages, one after the other. With a ping, the message follows the
// ping in the same segment; in a burst, 16 messages arrive at once.
func BenchmarkSendEcho(b *testing.B) {
	for _, transport := range sendTransports {
		for _, size := range []int{16, 125, 1 << 10, 16 << 10, 64 << 10, 65 << 10, 1 << 20} {
			request, answer := sendFrame(opBinary, true, size), sendFrame(opBinary, false, size)
			benchmarkSendEcho(b, transport, fmt.Sprintf("%dB", size), request, len(answer))
		}
	}
	request, answer := sendFrame(opBinary, true, 50), sendFrame(opBinary, false, 50)
	ping, pong := sendFrame(opPing, true, 0), sendFrame(opPong, false, 0)
	benchmarkSendEcho(b, "tcp", "50B-ping", slices.Concat(ping, request), len(pong)+len(answer))
	benchmarkSendEcho(b, "tcp", "16x50B", slices.Repeat(request, 16), 16*len(answer))
}

func benchmarkSendEcho(b *testing.B, transport, name string, request []byte, answerSize int) {
	b.Run(transport+"/"+name, func(b *testing.B) {
		near, far := tcpPair(b)
		near, far = secureOrWrap(b, transport, near, far)
		go echoAll(newConn(near, true, nil, connOptions{})) // until far is closed
		answer := make([]byte, answerSize)
		reportCPU := startSending(b)
		for b.Loop() {
			if _, err := far.Write(request); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(far, answer); err != nil {
				b.Fatal(err)
			}
		}
		reportCPU()
	})
}
