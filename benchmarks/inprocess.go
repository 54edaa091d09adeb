package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/switching-protocols/websocket"
)

// benchmarks are the in-process scenarios of a library by its name.
type benchmarks map[string]func(*testing.B)

// inProcess are the scenarios without a network: what a library itself takes.
var inProcess = slices.Concat(
	[]*scenario{{name: "upgrade", title: "Upgrade alone, in process, on a ResponseWriter that is hijacked", limit: "gorilla", quick: true, bench: upgrades}},
	bySize("read", "Read of one %s frame in process, from a connection in memory", readBenchmarks),
	bySize("write", "Write of one %s message in process, by a server, to a connection in memory", writeBenchmarks),
)

func bySize(name, title string, of func(size int) benchmarks) (list []*scenario) {
	for _, size := range []int{16, 1 << 10, 64 << 10} {
		list = append(list, &scenario{
			name:  name + "-" + shortSize(size),
			title: fmt.Sprintf(title, longSize(size)),
			limit: "gobwas",
			bench: of(size),
		})
	}
	return list
}

// measureInProcess is one run of a Go benchmark.
func measureInProcess(f func(*testing.B), p plan) (sample, error) {
	if flag.Lookup("test.benchtime") == nil {
		testing.Init()
	}
	if err := flag.Set("test.benchtime", p.window.String()); err != nil {
		return sample{}, err
	}
	failed := true
	r := testing.Benchmark(func(b *testing.B) {
		f(b)
		failed = b.Failed()
	})
	if failed || r.N == 0 {
		return sample{}, fmt.Errorf("the benchmark has failed")
	}
	return sample{
		CPU:        float64(r.T.Nanoseconds()) / float64(r.N),
		Allocs:     float64(r.AllocsPerOp()),
		AllocBytes: float64(r.AllocedBytesPerOp()),
	}, nil
}

// memoryConn is a connection from which the same frame is read again and again, a
// frame at most at once, and which takes all that is written.
type memoryConn struct {
	frame  []byte
	at     int
	frames int // how many are left; negative: no end
}

func (c *memoryConn) Read(p []byte) (int, error) {
	if c.frames == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.frame[c.at:])
	if c.at += n; c.at == len(c.frame) {
		c.at = 0
		c.frames--
	}
	return n, nil
}

func (c *memoryConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *memoryConn) Close() error                     { return nil }
func (c *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// hijacked is a ResponseWriter of a connection in memory. Its buffers are made
// once, since they are net/http's.
type hijacked struct {
	nc     net.Conn
	rw     *bufio.ReadWriter
	header http.Header
}

func newHijacked(nc net.Conn) *hijacked {
	return &hijacked{nc, bufio.NewReadWriter(bufio.NewReader(nc), bufio.NewWriter(nc)), http.Header{}}
}

func (h *hijacked) Header() http.Header                          { return h.header }
func (h *hijacked) Write(p []byte) (int, error)                  { return len(p), nil }
func (h *hijacked) WriteHeader(int)                              {}
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.nc, h.rw, nil }
func (h *hijacked) reset()                                       { clear(h.header) }

func upgradeRequest() *http.Request {
	return &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/"}, Host: "localhost",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Key": {clientKey}, "Sec-Websocket-Version": {"13"},
		},
	}
}

// The upgraders of the benchmarks in process.
var (
	websocketUpgrader websocket.Upgrader
	gorillaUpgrader   gorilla.Upgrader
	gwsUpgrader       = gws.NewUpgrader(gws.BuiltinEventHandler{}, gwsOption())
)

var upgrades = benchmarks{
	"websocket": upgrade(func(h *hijacked, r *http.Request) error { _, err := websocketUpgrader.Upgrade(h, r, nil); return err }),
	"gorilla":   upgrade(func(h *hijacked, r *http.Request) error { _, err := gorillaUpgrader.Upgrade(h, r, nil); return err }),
	"gobwas":    upgrade(func(h *hijacked, r *http.Request) error { _, _, _, err := ws.UpgradeHTTP(r, h); return err }),
	"gws":       upgrade(func(h *hijacked, r *http.Request) error { _, err := gwsUpgrader.Upgrade(h, r); return err }),
	"coder": upgrade(func(h *hijacked, r *http.Request) error {
		c, err := coder.Accept(h, r, nil)
		if err == nil {
			c.CloseNow() // it would stay otherwise
		}
		return err
	}),
}

func upgrade(f func(*hijacked, *http.Request) error) func(*testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		h, r := newHijacked(&memoryConn{}), upgradeRequest()
		for b.Loop() {
			h.reset()
			if err := f(h, r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// loop is a benchmark of the function that start makes with a connection.
func loop(size int, start func(*memoryConn) (func() error, error)) func(*testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(size))
		next, err := start(&memoryConn{frame: appendClientFrame(nil, finBit|opBinary, payload(size)), frames: -1})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func readBenchmarks(size int) benchmarks {
	return benchmarks{
		"websocket": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := websocketUpgrader.Upgrade(newHijacked(nc), upgradeRequest(), nil)
			var buf []byte
			return func() (err error) { _, buf, err = c.AppendMessage(buf[:0]); return err }, err
		}),
		"websocket-readmessage": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := websocketUpgrader.Upgrade(newHijacked(nc), upgradeRequest(), nil)
			return func() error { _, _, err := c.ReadMessage(); return err }, err
		}),
		"websocket-nextreader": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := websocketUpgrader.Upgrade(newHijacked(nc), upgradeRequest(), nil)
			var buf bytes.Buffer
			return func() error { _, r, err := c.NextReader(); return readInto(&buf, r, err) }, err
		}),
		"gorilla": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := gorillaUpgrader.Upgrade(newHijacked(nc), upgradeRequest(), nil)
			var buf bytes.Buffer
			return func() error { _, r, err := c.NextReader(); return readInto(&buf, r, err) }, err
		}),
		"coder": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := coder.Accept(newHijacked(nc), upgradeRequest(), nil)
			if err != nil {
				return nil, err
			}
			c.SetReadLimit(-1)
			var buf bytes.Buffer
			return func() error {
				_, r, err := c.Reader(context.Background())
				return readInto(&buf, r, err)
			}, nil
		}),
		"gobwas": loop(size, func(nc *memoryConn) (func() error, error) {
			e := newGobwasEchoer(nc, bufio.NewReaderSize(nc, 4<<10))
			return func() error { _, err := e.read(); return err }, nil
		}),
		"gws": func(b *testing.B) { readGws(b, size) },
	}
}

// readInto reads a message into a buffer that is used again.
func readInto(buf *bytes.Buffer, r io.Reader, err error) error {
	if err != nil {
		return err
	}
	buf.Reset()
	_, err = buf.ReadFrom(r)
	return err
}

// readGws runs gws's loop, which cannot be entered for one message.
func readGws(b *testing.B, size int) {
	b.ReportAllocs()
	b.SetBytes(int64(size))
	nc := &memoryConn{frame: appendClientFrame(nil, finBit|opBinary, payload(size)), frames: b.N}
	c, err := gws.NewUpgrader(gwsDiscard{}, gwsOption()).Upgrade(newHijacked(nc), upgradeRequest())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	c.ReadLoop()
	if nc.frames != 0 {
		b.Fatalf("%d frames were not read", nc.frames)
	}
}

type gwsDiscard struct{ gws.BuiltinEventHandler }

func (gwsDiscard) OnMessage(_ *gws.Conn, m *gws.Message) { m.Close() }

func writeBenchmarks(size int) benchmarks {
	p := payload(size)
	return benchmarks{
		"websocket": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := websocketUpgrader.Upgrade(newHijacked(nc), upgradeRequest(), nil)
			return func() error { return c.WriteMessage(websocket.BinaryMessage, p) }, err
		}),
		"gorilla": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := gorillaUpgrader.Upgrade(newHijacked(nc), upgradeRequest(), nil)
			return func() error { return c.WriteMessage(gorilla.BinaryMessage, p) }, err
		}),
		"coder": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := coder.Accept(newHijacked(nc), upgradeRequest(), nil)
			return func() error { return c.Write(context.Background(), coder.MessageBinary, p) }, err
		}),
		"gobwas": loop(size, func(nc *memoryConn) (func() error, error) {
			e := newGobwasEchoer(nc, nc)
			h := ws.Header{Fin: true, OpCode: ws.OpBinary, Length: int64(size)}
			e.room(size)
			return func() error { return e.write(h) }, nil
		}),
		"gws": loop(size, func(nc *memoryConn) (func() error, error) {
			c, err := gwsUpgrader.Upgrade(newHijacked(nc), upgradeRequest())
			return func() error { return c.WriteMessage(gws.OpcodeBinary, p) }, err
		}),
	}
}
