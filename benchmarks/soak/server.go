package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/switching-protocols/websocket"
)

// The server is a process of its own. It reads commands from its standard input, one in a line, and writes reports
// to its standard output.
const (
	commandSample = "sample" // report what the process uses now
	commandFinish = "finish" // shut down, and report what the process then uses
)

// serverReport is a line of the server's output. Only one of the fields is set, except at the end.
type serverReport struct {
	Plain, TLS  []string `json:",omitempty"` // at the start: the URLs
	Used        *usage   `json:",omitempty"` // at the start, for each sample and at the end
	Connections int      `json:",omitempty"` // of the group
	Record      *record  `json:",omitempty"` // of a connection that has ended
	Shutdown    string   `json:",omitempty"` // at the end: the error of the Group's Shutdown
}

// The paths. A client that is going to stop reading chooses what the server notices that by.
const (
	pathNormal    = "/"
	pathDeadline  = "/deadline"
	pathKeepalive = "/keepalive"
)

const (
	// normalInterval is the ping interval for clients that read.
	normalInterval = 20 * time.Second

	// floodSize and floodRate are the size of the messages that a slow client is sent, and how many it is sent each
	// second.
	floodSize = 16 << 10
	floodRate = 10

	// sendBuffer is the size of the kernel's buffers for sent data. A smaller one is full earlier.
	sendBuffer = 32 << 10
)

// handlerEnded and writeEcho are replaced by tests, which show that every check finds what it is for.
var (
	handlerEnded = func(*websocket.Conn) {}
	writeEcho    = writeMessage
)

// serve is the process of the server.
func serve(args []string, in io.Reader, out io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if err := raiseDescriptorLimit(o.connections); err != nil {
		return err
	}
	bodies := newBodies(o.seed)
	commands := bufio.NewScanner(in)
	reports := &reporter{encoder: json.NewEncoder(out)}
	if err := warmUp(o.connections); err != nil {
		return err
	}
	start := measureUsage()

	s, err := newServer(o, bodies, reports)
	if err != nil {
		return err
	}
	reports.send(serverReport{Plain: s.plain, TLS: s.overTLS, Used: &start})
	for commands.Scan() && commands.Text() == commandSample {
		now := sampleUsage()
		reports.send(serverReport{Used: &now, Connections: s.group.Len()})
	}
	if commands.Text() != commandFinish {
		return errors.New("the server's input has ended")
	}
	var last serverReport
	if err := s.shutdown(); err != nil {
		last.Shutdown = err.Error()
	}
	s = nil // and its maps, which do not shrink
	end := awaitUsage(start, o.patience)
	last.Used = &end
	reports.send(last)
	runtime.KeepAlive(bodies)
	return nil
}

// reporter writes reports. Any goroutine may call it.
type reporter struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (r *reporter) send(report serverReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.encoder.Encode(report) // if it fails, the other process has ended, and so will this one
}

// server serves WebSocket connections over TCP and TLS.
type server struct {
	options        *options
	bodies         *bodies
	reports        *reporter
	group          websocket.Group
	http           http.Server
	plain, overTLS []string
}

// newServer starts a server, with so many addresses that there are ports for all clients.
func newServer(o *options, b *bodies, reports *reporter) (*server, error) {
	s := &server{options: o, bodies: b, reports: reports}
	config, err := selfSigned()
	if err != nil {
		return nil, err
	}
	normal := websocket.Upgrader{
		Group:             &s.group,
		PingInterval:      normalInterval,
		EnableCompression: true,
		Compression:       websocket.CompressionOptions{ContextTakeover: true},
	}
	keepalive := normal
	keepalive.PingInterval = o.pingInterval
	mux := http.NewServeMux()
	mux.HandleFunc(pathNormal, normal.HandlerFunc(s.handle))
	mux.HandleFunc(pathDeadline, normal.HandlerFunc(s.handle))
	mux.HandleFunc(pathKeepalive, keepalive.HandlerFunc(s.handle))
	s.http.Handler = mux

	const perAddress = 10_000
	for i := range 1 + o.connections/perAddress {
		for _, over := range []struct {
			scheme string
			urls   *[]string
		}{{"ws", &s.plain}, {"wss", &s.overTLS}} {
			ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", 1+i))
			if err != nil {
				return nil, err
			}
			*over.urls = append(*over.urls, over.scheme+"://"+ln.Addr().String())
			ln = smallBuffers{ln}
			if over.scheme == "wss" {
				ln = tls.NewListener(ln, config)
			}
			go s.http.Serve(ln) // ends with shutdown
		}
	}
	return s, nil
}

// smallBuffers is a listener whose connections have small buffers for sent data.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return nc, nc.(*net.TCPConn).SetWriteBuffer(sendBuffer)
}

// shutdown closes all connections, and waits for the handlers.
func (s *server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.patience)
	defer cancel()
	err := s.group.Shutdown(ctx)
	return errors.Join(err, s.http.Shutdown(ctx))
}

// visit is a connection on the server's side.
type visit struct {
	*server
	conn   *websocket.Conn
	record record
	random *rand.Rand     // of the handler
	others sync.WaitGroup // goroutines that write

	closeError error // of close
}

// handle is the life of a connection. It reports what it knows about it when all its goroutines have ended.
func (s *server) handle(c *websocket.Conn, r *http.Request) {
	id, _ := strconv.ParseUint(r.FormValue("id"), 10, 64)
	v := &visit{server: s, conn: c, record: record{ID: id}, random: rand.New(rand.NewPCG(s.options.seed, id))}
	slow := r.FormValue("slow") != ""
	v.others.Go(func() { v.push(r, slow) })
	err := v.answer()
	if !isClosed(err) {
		c.Close() // ends the goroutine that pushes
	}
	v.others.Wait()
	v.record.Closed, v.record.End = isClosed(err), plain(err).Error()
	v.record.Discarded = v.record.Error == "" && errors.Is(err, net.ErrClosed)
	if v.closeError != nil && v.record.Error == "" && !v.record.Discarded {
		v.record.Error = "server: Shutdown: " + v.closeError.Error()
	}
	if r.URL.Path == pathKeepalive && isTimeout(err) {
		v.record.Dropped = "keepalive"
	}
	s.reports.send(serverReport{Record: &v.record})
	handlerEnded(c)
}

// answer sends requests back until a read fails, and returns the error.
func (v *visit) answer() error {
	var buf []byte
	for {
		messageType, p, err := readMessage(v.conn, v.record.ID, buf, func() {})
		if err != nil {
			return err
		}
		v.record.Bytes += uint64(len(p))
		kind, err := v.record.Received.receive(v.record.ID, true, messageType, p)
		if err != nil {
			v.record.Error = "server: " + err.Error()
			return err
		}
		var pieces *rand.Rand
		if v.random.IntN(10) == 0 {
			pieces = v.random
		}
		if writeEcho(v.conn, messageType, p, pieces) == nil { // if it fails, a read will, too
			v.record.Sent.Echoes++
		}
		if kind == kindLast {
			v.others.Go(v.close)
		}
		buf = reuse(p)
	}
}

// The Close frame for a client that has asked for it.
const (
	requestedCode   = websocket.CloseServiceRestart
	requestedReason = "as requested"
)

// close closes the connection, while answer reads on.
func (v *visit) close() {
	ctx, cancel := context.WithTimeout(context.Background(), v.options.patience)
	defer cancel()
	v.closeError = v.conn.Shutdown(ctx, requestedCode, requestedReason)
}

// push sends messages until the connection ends. A slow client gets more and larger ones. If it has stopped reading, a
// write will exceed its deadline, and the connection is closed.
func (v *visit) push(r *http.Request, slow bool) {
	rate := v.options.pushes
	if slow {
		rate = floodRate
	}
	random := rand.New(rand.NewPCG(v.record.ID, v.options.seed))
	var buf []byte
	for wait(r.Context().Done(), nil, pause(random, rate)) {
		n := floodSize
		if !slow {
			n = size(random)
		}
		messageType, body := v.bodies.take(random, n)
		buf = appendMessage(buf[:0], v.record.ID, kindPush, v.record.Sent.Pushes+1, messageType, body)
		if r.URL.Path == pathDeadline {
			v.conn.SetWriteDeadline(time.Now().Add(v.options.writeTimeout))
		}
		if err := v.conn.WriteMessage(messageType, buf); err != nil {
			if r.URL.Path == pathDeadline && isTimeout(err) {
				v.record.Dropped = "write deadline"
				v.conn.Close()
			}
			return
		}
		v.record.Sent.Pushes++
		buf = reuse(buf)
	}
}

func isClosed(err error) bool {
	var closed *websocket.CloseError
	return errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
