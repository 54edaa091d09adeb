package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switching-protocols/websocket"
)

// fleet is all clients.
type fleet struct {
	options *options
	urls    [2][]string // of TCP and TLS
	bodies  *bodies
	ledger  *ledger
	dialers [3]*websocket.Dialer // by the way of compressing
	dialing chan struct{}        // bounds how many dial at the same time

	connected chan struct{}  // closed when each client has connected, or tried to: now the clients send messages
	stop      chan struct{}  // closed when the time is up: half of the clients close their connections
	clients   sync.WaitGroup // all
	leaving   sync.WaitGroup // those that close their connections when stop is closed
	first     sync.WaitGroup // those that have not tried to connect yet

	ids                            atomic.Uint64 // the last ID of a connection
	open                           atomic.Int64  // connections
	opened, openedTLS, compressing atomic.Int64  // connections, so far
	received                       atomic.Int64  // messages, so far
	pings                          atomic.Int64  // answered, so far
}

func newFleet(o *options, b *bodies, l *ledger, plain, overTLS []string) *fleet {
	f := &fleet{
		options: o,
		urls:    [2][]string{plain, overTLS},
		bodies:  b,
		ledger:  l,
		dialing: make(chan struct{}, 100), // the queue of the server's listener is not endless

		connected: make(chan struct{}),
		stop:      make(chan struct{}),
	}
	for i := range f.dialers {
		f.dialers[i] = &websocket.Dialer{
			HandshakeTimeout:  o.patience,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			EnableCompression: i != uncompressed,
			Compression: websocket.CompressionOptions{
				ContextTakeover: i == withTakeover,
				WindowBits:      12,
				PeerWindowBits:  12,
			},
		}
	}
	return f
}

// start starts all clients.
func (f *fleet) start() {
	f.first.Add(f.options.connections)
	for slot := range f.options.connections {
		if f.options.leaves(slot) {
			f.leaving.Add(1)
		}
		f.clients.Go(func() { f.client(slot) }) // ends after f.stop is closed, when its connection is
	}
	go func() { // ends when each client has tried to connect
		f.first.Wait()
		close(f.connected)
	}()
}

// client opens connections, one after the other.
func (f *fleet) client(slot int) {
	if f.options.leaves(slot) {
		defer f.leaving.Done()
	}
	r := rand.New(rand.NewPCG(f.options.seed, uint64(slot)))
	for first := true; ; first = false {
		s, err := f.dial(f.options.newPlan(r, slot), slot, r)
		if first {
			f.first.Done()
		}
		if err != nil {
			f.ledger.fail("dial: %v", err)
			return
		}
		if s.run(); f.stopped() {
			return
		}
	}
}

// stopped reports whether the time is up.
func (f *fleet) stopped() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

// dial opens a connection.
func (f *fleet) dial(p plan, slot int, r *rand.Rand) (*session, error) {
	f.dialing <- struct{}{}
	defer func() { <-f.dialing }()
	urls := f.urls[0]
	if p.tls {
		urls = f.urls[1]
	}
	id := f.ids.Add(1)
	url := urls[slot%len(urls)] + p.reading.path() + "?id=" + strconv.FormatUint(id, 10)
	if p.reading != readsAlways {
		url += "&slow=1"
	}
	c, _, err := f.dialers[p.compression].Dial(url, nil)
	if err != nil {
		return nil, err
	}
	s := &session{
		fleet: f, plan: p, slot: slot, conn: c, random: r,
		record: record{ID: id, stops: p.reading.stops()},
		closes: make(chan struct{}),
		done:   make(chan struct{}),
	}
	if p.reading != readsAlways {
		s.network().SetReadBuffer(slowBuffer)
	}
	f.open.Add(1)
	f.opened.Add(1)
	if p.tls {
		f.openedTLS.Add(1)
	}
	if c.CompressionState() != (websocket.CompressionState{}) {
		f.compressing.Add(1)
	}
	return s, nil
}

// slowBuffer is the size of the kernel's buffer for received data of a slow client. A smaller one is full earlier.
const slowBuffer = 8 << 10

// session is a connection on the client's side.
type session struct {
	*fleet
	plan
	slot   int
	conn   *websocket.Conn
	random *rand.Rand    // of the goroutine that writes
	buf    []byte        // of the goroutine that writes
	closes chan struct{} // closed when the client closes the connection
	done   chan struct{} // closed when the reading has ended
	ended  ending        // the ending that has begun, if any
	record record
}

// run is the life of the connection. One goroutine reads until the end, the caller's writes.
func (s *session) run() {
	var err error
	go func() { // ends with the connection
		defer close(s.done)
		err = s.read()
	}()
	writeErr := s.write()
	if writeErr != nil && !errors.Is(writeErr, websocket.ErrCloseSent) {
		s.conn.Close()
	}
	<-s.done
	if isClosed(err) {
		s.close() // which gives the answer to the peer's Close frame more time than Close does
	}
	s.conn.Close()
	s.open.Add(-1)

	if s.ended == endedEarly && !s.options.leaves(s.slot) && s.stopped() {
		s.ended = closedByGroup // before the goroutine that writes has noticed s.stop
	}
	s.record.End = s.ended.String()
	s.record.Closed = isClosed(err)
	s.record.proper = s.ended < torn
	s.record.Discarded = s.ended == closedByClient && errors.Is(err, net.ErrClosed)
	if problem := s.judge(err, writeErr); s.record.Error == "" && problem != "" {
		s.record.Error = fmt.Sprintf("client, %v: %s", s.ended, problem)
	}
	s.ledger.addClient(&s.record)
}

// judge says what is wrong with the errors that have ended the reading and the writing of a connection that was to be
// closed properly. The ledger judges that of a client that has stopped reading.
func (s *session) judge(err, writeErr error) string {
	if !s.record.proper || s.reading.stops() || s.record.Discarded {
		return ""
	}
	if !s.record.Closed {
		return fmt.Sprintf("reading ended with %v, and writing with %v", plain(err), plain(writeErr))
	}
	code := map[ending]int{
		closedByClient: websocket.CloseNormalClosure,
		closedByServer: requestedCode,
		closedByGroup:  websocket.CloseGoingAway,
	}[s.ended]
	if !websocket.IsCloseError(err, code) && !(s.ended == closedByServer && websocket.IsCloseError(err, websocket.CloseGoingAway)) {
		return fmt.Sprintf("reading ended with %v, and not with the code %d", err, code)
	}
	return ""
}

// read checks the messages that come, until a read fails.
func (s *session) read() error {
	var buf []byte
	for i := 0; ; i++ {
		switch {
		case s.reading == readsSlowly:
			wait(s.stop, s.closes, rand.N(200*time.Millisecond))
		case s.reading.stops() && i == messagesBeforeStop:
			s.stopReading()
		}
		messageType, p, err := readMessage(s.conn, s.record.ID, buf, s.pauseWithin)
		if err != nil {
			return err
		}
		s.received.Add(1)
		s.record.Bytes += uint64(len(p))
		if _, err := s.record.Received.receive(s.record.ID, false, messageType, p); err != nil {
			s.record.Error = "client: " + err.Error()
			s.conn.Close()
			return err
		}
		buf = reuse(p)
	}
}

// pauseWithin pauses a slow client within a message, now and then.
func (s *session) pauseWithin() {
	if s.reading == readsSlowly && rand.N(20) == 0 {
		wait(s.stop, s.closes, rand.N(50*time.Millisecond))
	}
}

const messagesBeforeStop = 3

// stopReading waits until the server has given up the client.
func (s *session) stopReading() {
	limit := time.NewTimer(s.options.patience)
	defer limit.Stop()
	select {
	case <-s.ledger.ended(s.record.ID):
	case <-s.stop:
	case <-limit.C:
		s.record.Error = "client: it has stopped reading, and was not dropped in time"
		s.conn.Close()
	}
}

// write sends messages until it is time to end the connection, and ends it. Nil means that the client has closed or
// torn it, or that the reading has ended.
func (s *session) write() error {
	select {
	case <-s.connected:
	case <-s.done:
		return nil
	}
	end := time.NewTimer(s.after)
	defer end.Stop()
	act := time.NewTimer(pause(s.random, s.options.rate))
	defer act.Stop()
	if s.reading.stops() {
		act.Stop() // the server has to notice by its own messages
	}
	for stop := s.stop; ; {
		var err error
		select {
		case <-s.done:
			return nil
		case <-act.C:
			err = s.act()
			act.Reset(pause(s.random, s.options.rate))
		case <-stop:
			if s.options.leaves(s.slot) {
				return s.end(closedByClient)
			}
			s.ended, stop = closedByGroup, nil
			end.Stop()
		case <-end.C:
			if s.ending != closedByServer {
				return s.end(s.ending)
			}
			s.ended, stop = closedByServer, nil
			err = s.send(kindLast, headerSize)
		}
		if err != nil {
			return err
		}
	}
}

// end closes or tears the connection.
func (s *session) end(how ending) error {
	if s.ended = how; how == closedByClient {
		close(s.closes)
		return s.close()
	}
	return s.tear()
}

// act does one of the things that a client does while it is connected.
func (s *session) act() error {
	switch n := s.random.IntN(20); {
	case n == 0:
		return s.ping()
	case n <= 2:
		return s.burst()
	}
	return s.send(kindRequest, size(s.random))
}

func (s *session) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.patience)
	defer cancel()
	_, err := s.conn.Ping(ctx)
	if err == nil {
		s.pings.Add(1)
	}
	return err
}

// burst sends several small messages at once, and half the time corks them.
func (s *session) burst() (err error) {
	if s.random.IntN(2) == 0 {
		s.conn.Cork()
		defer func() { err = errors.Join(err, s.conn.Flush()) }()
	}
	for range 2 + s.random.IntN(20) {
		if err := s.send(kindRequest, between(s.random, headerSize, 512)); err != nil {
			return err
		}
	}
	return nil
}

// send sends a message, now and then in pieces.
func (s *session) send(kind byte, size int) error {
	messageType, body := s.bodies.take(s.random, size)
	s.buf = appendMessage(s.buf[:0], s.record.ID, kind, s.record.Sent.Requests+1, messageType, body)
	defer func() { s.buf = reuse(s.buf) }()
	var pieces *rand.Rand
	if s.random.IntN(10) == 0 {
		pieces = s.random
	}
	err := writeMessage(s.conn, messageType, s.buf, pieces)
	if err == nil {
		s.record.Sent.Requests++
	}
	return err
}

// close closes the connection properly, while read reads on, if it has not ended.
func (s *session) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.patience)
	defer cancel()
	return s.conn.Shutdown(ctx, websocket.CloseNormalClosure, "")
}

// tear ends the connection without a closing handshake.
func (s *session) tear() error {
	network := s.network()
	switch s.ended {
	case tornByReset:
		network.SetLinger(0)
	case tornInFrame:
		const header = "\x82\xfe\xff\xff" + "mask" // a binary message of 65,535 bytes
		s.conn.NetConn().SetWriteDeadline(time.Now().Add(time.Second))
		s.conn.NetConn().Write(append([]byte(header), s.bodies.binary[:s.random.IntN(2000)]...))
		if s.random.IntN(2) == 0 {
			network.SetLinger(0)
		}
	case tornInMessage:
		if w, err := s.conn.NextWriter(websocket.BinaryMessage); err == nil {
			w.Write(s.bodies.binary[:100_000])
		}
		return s.conn.Close()
	}
	return s.conn.NetConn().Close()
}

// network is the connection below TLS.
func (s *session) network() *net.TCPConn {
	nc := s.conn.NetConn()
	if over, ok := nc.(*tls.Conn); ok {
		nc = over.NetConn()
	}
	return nc.(*net.TCPConn)
}

// plain returns an error of the network without the addresses, so that equal ones can be counted.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}
