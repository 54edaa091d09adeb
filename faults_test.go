//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fault is what goes wrong at a call of a transport's Read or Write.
type fault struct {
	name  string
	write bool // of Write, else of Read
	// call is the call itself; done is how many bytes of p were transferred by the network.
	call func(c *faultConn, p []byte) (done int, err error)
	// every says that it happens at each call from the n-th on.
	every bool
	// anywhere says that it is also played behind every byte.
	anywhere bool
	// harmless says that the connection goes on as if nothing had been.
	harmless bool
}

var errFault = errors.New("the network is broken")

var faults = []fault{
	{name: "read fails", anywhere: true, call: func(*faultConn, []byte) (int, error) { return 0, errFault }},
	{name: "read ends", anywhere: true, call: func(*faultConn, []byte) (int, error) { return 0, io.EOF }},
	{name: "read ends within a record", call: func(*faultConn, []byte) (int, error) { return 0, io.ErrUnexpectedEOF }},
	{name: "read fails with a byte", call: func(c *faultConn, p []byte) (int, error) {
		n, _ := c.pipeConn.Read(p[:1])
		return n, errFault
	}},
	{name: "read is torn", every: true, harmless: true, call: func(c *faultConn, p []byte) (int, error) { return c.pipeConn.Read(p[:1]) }},
	{name: "read gives nothing", harmless: true, call: func(*faultConn, []byte) (int, error) { return 0, nil }},
	{name: "read is late", harmless: true, call: func(c *faultConn, p []byte) (int, error) {
		time.Sleep(time.Second)
		return c.pipeConn.Read(p)
	}},
	{name: "read stalls", every: true, anywhere: true, call: func(c *faultConn, p []byte) (int, error) { return c.void.Read(p) }},

	{name: "write fails", write: true, anywhere: true, call: func(*faultConn, []byte) (int, error) { return 0, errFault }},
	{name: "write fails with a byte", write: true, call: func(c *faultConn, p []byte) (int, error) {
		n, _ := c.pipeConn.Write(p[:1])
		return n, errFault
	}},
	{name: "write fails at its end", write: true, call: func(c *faultConn, p []byte) (int, error) {
		n, _ := c.pipeConn.Write(p)
		return n, errFault
	}},
	{name: "write is short", write: true, call: func(c *faultConn, p []byte) (int, error) { return c.pipeConn.Write(p[:len(p)/2]) }},
	{name: "write is late", write: true, harmless: true, call: func(c *faultConn, p []byte) (int, error) {
		time.Sleep(time.Second)
		return c.pipeConn.Write(p)
	}},
	{name: "write stalls", write: true, every: true, anywhere: true, call: func(c *faultConn, p []byte) (int, error) { return c.void.Write(p) }},
	{name: "the peer's direction ends", write: true, call: func(c *faultConn, p []byte) (int, error) {
		c.in.set(func(h *pipeHalf) { h.writeEnd.closed = true })
		return c.pipeConn.Write(p)
	}},
}

// faultConn is a transport with a fault at one of its calls, or behind one of its bytes.
type faultConn struct {
	*pipeConn
	void          *pipeConn // a network on which nothing comes, and nothing leaves
	fault         fault
	at            int  // the number of the call, or of bytes before the fault
	bytes         bool // it is of bytes
	struck        bool
	reads, writes progressOf
}

// progressOf is what has been done in one direction.
type progressOf struct{ calls, bytes int }

// strikes reports whether the fault happens now, in the direction of which p is the progress. Before that
// up to room bytes may be transferred.
func (c *faultConn) strikes(p *progressOf, write bool) (now bool, room int) {
	n := p.calls
	if p.calls++; c.fault.call == nil || c.fault.write != write {
		return false, maxFault
	}
	if c.bytes {
		if n = p.bytes; n < c.at {
			return false, c.at - n
		}
		c.at = min(c.at, n)
	}
	now = n == c.at || c.fault.every && n > c.at
	c.struck = c.struck || now
	return now, maxFault
}

const maxFault = 1 << 30

func (c *faultConn) Read(p []byte) (n int, err error) {
	now, room := c.strikes(&c.reads, false)
	if now {
		return c.fault.call(c, p)
	}
	n, err = c.pipeConn.Read(p[:min(len(p), room)])
	c.reads.bytes += n
	return n, err
}

func (c *faultConn) Write(p []byte) (n int, err error) {
	now, room := c.strikes(&c.writes, true)
	if now {
		return c.fault.call(c, p)
	}
	n, err = c.pipeConn.Write(p[:min(len(p), room)])
	if c.writes.bytes += n; err == nil && n < len(p) {
		c.struck = true
		var m int
		m, err = c.fault.call(c, p[n:])
		n += m
	}
	return n, err
}

func (c *faultConn) SetReadDeadline(t time.Time) error {
	c.void.SetReadDeadline(t)
	return c.pipeConn.SetReadDeadline(t)
}

func (c *faultConn) SetWriteDeadline(t time.Time) error {
	c.void.SetWriteDeadline(t)
	return c.pipeConn.SetWriteDeadline(t)
}

func (c *faultConn) Close() error {
	c.void.Close()
	return c.pipeConn.Close()
}

var _ net.Conn = (*faultConn)(nil)

// faultRun is what came of the scenario.
type faultRun struct {
	reads, writes progressOf
	struck        bool
	err           error    // the first of a call
	attempted     []string // messages, in their order
	reported      int      // how many of them were reported as written, at least
	received      []string // by the peer
	echoed        int      // how many have come back
	slowest       time.Duration
	borrowed      string
}

const faultTime = 10 * time.Second // the deadline of each call of the scenario

// playFault has messages of all kinds go to a peer that sends them back, and closes the connection. The fault is
// at a call or, with messages that are 50 times smaller, behind a byte.
func playFault(t *testing.T, server bool, options *CompressionOptions, f fault, at int, bytes bool) (run faultRun) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 2000)
		void, _ := newPipe(t, 1)
		void.Write([]byte{0}) // it is full
		link := &faultConn{pipeConn: near, void: void, fault: f, at: at, bytes: bytes}
		var o connOptions
		if options != nil {
			agreed := negotiate(t, *options, *options)
			o = connOptions{agreed: agreement{deflate: &agreed}, compression: *options}
		}
		c := newConn(link, server, nil, o)
		o.writeThrough = true // else a read of the peer may return the error of its answers
		peer := newConn(far, !server, nil, o)
		gone := make(chan bool)
		go func() {
			defer close(gone)
			defer peer.Close()
			for {
				messageType, p, err := peer.ReadMessage()
				if err != nil {
					return
				}
				run.received = append(run.received, string(p))
				peer.SetWriteDeadline(time.Now().Add(faultTime))
				peer.WriteMessage(messageType, p) // it goes on reading whatever comes of that
			}
		}()
		s := faultScenario{c: c, run: &run, scale: 1}
		if bytes {
			s.scale = 50
		}
		s.play()
		<-gone
		synctest.Wait()
		run.borrowed = borrowed(c) + borrowed(peer)
		run.reads, run.writes, run.struck = link.reads, link.writes, link.struck
	})
	return run
}

type faultScenario struct {
	c       *Conn
	run     *faultRun
	pending []string // to be read back
	broken  bool     // a write has failed
	scale   int      // how much smaller messages are
}

// do makes a call, which is to end within the limit.
func (s *faultScenario) do(within time.Duration, call func() error) error {
	s.c.SetReadDeadline(time.Now().Add(faultTime))
	s.c.SetWriteDeadline(time.Now().Add(faultTime))
	start := time.Now()
	err := call()
	if took := time.Since(start) - within; took > s.run.slowest {
		s.run.slowest = took
	}
	if err != nil && s.run.err == nil {
		s.run.err = err
	}
	return err
}

// write sends a message by the function.
func (s *faultScenario) write(text string, by func(c *Conn, text string) error) {
	s.run.attempted = append(s.run.attempted, text)
	if s.do(faultTime, func() error { return by(s.c, text) }) != nil {
		s.broken = true
	} else if !s.broken {
		s.run.reported = len(s.run.attempted)
		s.pending = append(s.pending, text)
	}
}

// read reads what has been written back.
func (s *faultScenario) read(by func(c *Conn) (string, error)) {
	for range s.pending {
		s.do(faultTime, func() error {
			p, err := by(s.c)
			if err == nil && p != s.pending[0] {
				return fmt.Errorf("got %d bytes back, want the %d of the message", len(p), len(s.pending[0]))
			}
			if err == nil {
				s.run.echoed++
				s.pending = s.pending[1:]
			}
			return err
		})
	}
	s.pending = nil
}

func readAll(c *Conn) (string, error) {
	_, r, err := c.NextReader()
	if err != nil {
		return "", err
	}
	p, err := io.ReadAll(r)
	return string(p), err
}

func readWhole(c *Conn) (string, error) {
	_, p, err := c.ReadMessage()
	return string(p), err
}

func (s *faultScenario) play() {
	c, plain := s.c, fragmentWays["WriteMessage"]
	text := func(n int, seed uint64) string { return string(textLike(n/s.scale, seed)) }
	s.write("Hello", plain)
	s.read(readWhole)
	s.write(text(3000, 1), plain)
	s.read(readAll)
	s.do(faultTime, func() error { return c.WriteControl(PingMessage, []byte("p"), time.Now().Add(faultTime)) })
	s.write(text(9000, 2), fragmentWays["NextWriter, by 100"])
	s.read(readAll)
	s.write(text(20_000, 3), fragmentWays["WriteMessageContext"])
	s.read(readWhole)

	reported := s.run.reported
	c.Cork()
	for i := range 3 {
		s.write(text(100, uint64(4+i)), plain)
	}
	if s.do(faultTime, c.Flush) != nil {
		s.run.reported, s.broken, s.pending = reported, true, nil // they are lost, and that has been said
	}
	s.read(readWhole)
	s.write(text(500, 7), fragmentWays["WritePreparedMessage"])
	s.read(readWhole)

	reported = s.run.reported
	stream := NewStream(c, BinaryMessage)
	s.write(text(5000, 8), func(_ *Conn, text string) error {
		_, err := io.WriteString(stream, text)
		time.Sleep(time.Millisecond) // what was accepted fails before the next call, not during it
		return err
	})
	s.read(func(*Conn) (string, error) {
		p := make([]byte, len(text(5000, 8)))
		_, err := io.ReadFull(stream, p)
		return string(p), err
	})
	if s.run.err != nil {
		s.run.reported = min(s.run.reported, reported) // the same
	}

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.do(5*time.Second, func() error { return c.Shutdown(ctx, CloseNormalClosure, "") })
	s.do(closeTimeout, func() error { c.Close(); return nil })
}

// Under every fault at every call of the transport, and behind every byte, every call returns in its time, the first error is the fault's, what the peer
// gets is what was sent, in its order, and nothing that was reported as written is missing, unless the network has
// broken in between; nothing stays borrowed, and no goroutine is left, which the bubble sees.
func TestFaults(t *testing.T) {
	played := 0
	defer func() { t.Logf("%d faults played", played) }()
	for _, server := range []bool{true, false} {
		for _, options := range []*CompressionOptions{nil, {}, {ContextTakeover: true}} {
			for _, bytes := range []bool{false, true} {
				none := playFault(t, server, options, fault{}, 0, bytes)
				if none.err != nil || none.echoed != len(none.attempted) {
					t.Fatalf("without a fault: got %v, and %d of %d messages back", none.err, none.echoed, len(none.attempted))
				}
				for _, f := range faults {
					if bytes && !f.anywhere {
						continue
					}
					direction := none.reads
					if f.write {
						direction = none.writes
					}
					first, step, times := 0, 1, direction.calls
					if bytes { // every other one, which takes half of the time
						step, times = 2, direction.bytes
						if server {
							first = 1
						}
					}
					if raceEnabled {
						step *= 7 // they take ten times as long
					}
					for at := first; at < times; at += step {
						played++
						codecs := codecsOnLoan.Load()
						run := playFault(t, server, options, f, at, bytes)
						where := fmt.Sprintf("%s, at %d (of bytes: %v), server %v, %+v", f.name, at, bytes, server, options)
						if n := codecsOnLoan.Load() - codecs; n != 0 {
							t.Errorf("%s: got %d codecs that were not given back", where, n)
						}
						run.check(t, f, where)
					}
				}
			}
		}
	}
}

func (run *faultRun) check(t *testing.T, f fault, where string) {
	t.Helper()
	if run.borrowed != "" {
		t.Errorf("%s: got that %s was not given back", where, run.borrowed)
	}
	if run.slowest > time.Millisecond {
		t.Errorf("%s: got a call that took %v longer than it may", where, run.slowest)
	}
	if n := len(run.received); n > len(run.attempted) || !slices.Equal(run.received, run.attempted[:n]) {
		t.Errorf("%s: got %d messages at the peer that are not the first of those that were sent", where, n)
	}
	if len(run.received) < run.reported {
		t.Errorf("%s: got %d messages at the peer, want the %d that were reported as written", where, len(run.received), run.reported)
	}
	want := map[string]error{"read ends within a record": io.ErrUnexpectedEOF, "write is short": io.ErrShortWrite}[f.name]
	if want == nil {
		want = errFault
	}
	switch {
	case f.harmless && (run.err != nil || run.echoed != len(run.attempted)):
		t.Errorf("%s: got %v, and %d of %d messages back, want all", where, run.err, run.echoed, len(run.attempted))
	case f.harmless || !run.struck || run.err == nil && run.echoed == len(run.attempted):
	case run.err == nil:
		t.Errorf("%s: got no error, and %d of %d messages back", where, run.echoed, len(run.attempted))
	case strings.HasSuffix(f.name, "stalls"):
		if !isTimeout(run.err) && !errors.Is(run.err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want a timeout", where, run.err)
		}
	case f.name == "read ends" || f.name == "the peer's direction ends":
		if !IsCloseError(run.err, CloseAbnormalClosure) && run.err != io.ErrUnexpectedEOF { // of a stream
			t.Errorf("%s: got %v, want close 1006", where, run.err)
		}
	case run.err.Error() == "websocket: messages that waited to be sent are lost: "+want.Error():
	case !errors.Is(run.err, want):
		t.Errorf("%s: got %v, want %v", where, run.err, want)
	}
}
