//go:build go1.25

package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fault is what goes wrong at a call of a transport's Read or Write.
type fault struct {
	name   string
	write  bool          // of Write, else of Read
	late   time.Duration // the call takes so long
	stalls bool          // nothing comes, and nothing leaves
	ends   bool          // the peer's direction ends
	most   int           // how many bytes are transferred, at most
	half   bool          // half of the bytes are
	err    error         // what the call returns behind these
	want   error         // what the program gets, if it is not err
	// every says that it happens at each call from the n-th on.
	every bool
	// anywhere says that it is also played behind every byte.
	anywhere bool
	// harmless says that the connection goes on as if nothing had been.
	harmless bool
}

const anyBytes = 1 << 30

var errFault = errors.New("the network is broken")

var faults = []fault{
	{name: "read fails", err: errFault, anywhere: true},
	{name: "read ends", err: io.EOF, anywhere: true},
	{name: "read ends within a record", err: io.ErrUnexpectedEOF},
	{name: "read fails with a byte", most: 1, err: errFault},
	{name: "read is torn", most: 1, every: true, harmless: true},
	{name: "read gives nothing", harmless: true},
	{name: "read is late", late: time.Second, most: anyBytes, harmless: true},
	{name: "read stalls", stalls: true, most: anyBytes, every: true, anywhere: true},

	{name: "write fails", write: true, err: errFault, anywhere: true},
	{name: "write fails with a byte", write: true, most: 1, err: errFault},
	{name: "write fails at its end", write: true, most: anyBytes, err: errFault},
	{name: "write is short", write: true, half: true, want: io.ErrShortWrite},
	{name: "write is late", write: true, late: time.Second, most: anyBytes, harmless: true},
	{name: "write stalls", write: true, stalls: true, most: anyBytes, every: true, anywhere: true},
	{name: "the peer's direction ends", write: true, ends: true, most: anyBytes},
}

// faultConn is a transport with a fault at one of its calls, or behind one of its bytes.
type faultConn struct {
	*pipeConn
	fault         fault
	left          int  // how many calls or bytes there are before the fault
	bytes         bool // it is bytes
	struck        bool
	reads, writes faultProgress
}

// faultProgress is what has been done in one direction.
type faultProgress struct{ calls, bytes int }

// strikes reports whether the fault happens now, in the direction of which p is the progress. Before that
// up to room bytes may be transferred.
func (c *faultConn) strikes(p *faultProgress, write bool) (now bool, room int) {
	p.calls++
	switch {
	case c.fault.name == "" || c.fault.write != write:
		return false, anyBytes
	case c.bytes:
		room := c.left - p.bytes
		return room <= 0, room
	}
	c.left--
	return c.left == -1 || c.fault.every && c.left < 0, anyBytes
}

// strike is a call with the fault, which transfers bytes by a call of the network below.
func (c *faultConn) strike(p []byte, by func(p []byte) (int, error)) (n int, err error) {
	c.struck = true
	f := c.fault
	time.Sleep(f.late)
	if f.stalls {
		h, end := c.in, &c.in.readEnd
		if f.write {
			h, end = c.out, &c.out.writeEnd
		}
		h.mu.Lock()
		for !end.closed && !end.timedOut {
			h.change.Wait()
		}
		h.mu.Unlock()
	}
	if f.ends {
		c.in.set(func(h *pipeHalf) { h.writeEnd.closed = true })
	}
	if n = min(f.most, len(p)); f.half {
		n = len(p) / 2
	}
	if n > 0 {
		n, err = by(p[:n])
	}
	if f.err != nil {
		err = f.err
	}
	return n, err
}

func (c *faultConn) Read(p []byte) (n int, err error) {
	now, room := c.strikes(&c.reads, false)
	if now {
		return c.strike(p, c.pipeConn.Read)
	}
	n, err = c.pipeConn.Read(p[:min(len(p), room)])
	c.reads.bytes += n
	return n, err
}

func (c *faultConn) Write(p []byte) (n int, err error) {
	now, room := c.strikes(&c.writes, true)
	if !now {
		n, err = c.pipeConn.Write(p[:min(len(p), room)])
		c.writes.bytes += n
	}
	if now || err == nil && n < len(p) {
		var m int
		m, err = c.strike(p[n:], c.pipeConn.Write)
		n += m
	}
	return n, err
}

// faultRun is a run of the scenario, and what came of it.
type faultRun struct {
	c       *Conn
	scale   int      // how much smaller messages are
	pending []string // to be read back
	broken  bool     // a write has failed

	reads, writes faultProgress
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
func playFault(t *testing.T, server bool, options *CompressionOptions, f fault, at int, bytes bool) *faultRun {
	run := &faultRun{scale: 1}
	if bytes {
		run.scale = 50
	}
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 2000)
		link := &faultConn{pipeConn: near, fault: f, left: at, bytes: bytes}
		var o connOptions
		if options != nil {
			o = compressedOptions(t, *options)
		}
		run.c = newConn(link, server, nil, o)
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
		run.play()
		<-gone
		synctest.Wait()
		run.borrowed = borrowed(run.c) + borrowed(peer)
		run.reads, run.writes, run.struck = link.reads, link.writes, link.struck
	})
	return run
}

// do makes a call, which is to end within the limit.
func (run *faultRun) do(within time.Duration, call func() error) error {
	run.c.SetReadDeadline(time.Now().Add(faultTime))
	run.c.SetWriteDeadline(time.Now().Add(faultTime))
	var err error
	run.slowest = max(run.slowest, took(func() { err = call() })-within)
	if run.err == nil {
		run.err = err
	}
	return err
}

// write sends a message by the function.
func (run *faultRun) write(text string, by func(c *Conn, text string) error) {
	run.attempted = append(run.attempted, text)
	if run.do(faultTime, func() error { return by(run.c, text) }) != nil {
		run.broken = true
	} else if !run.broken {
		run.reported = len(run.attempted)
		run.pending = append(run.pending, text)
	}
}

// read reads what has been written back.
func (run *faultRun) read(by func(c *Conn) (messageType int, p []byte, err error)) {
	for range run.pending {
		run.do(faultTime, func() error {
			_, p, err := by(run.c)
			if err != nil {
				return err
			}
			if want := run.pending[0]; string(p) != want {
				return fmt.Errorf("got %d bytes back, want the %d of the message", len(p), len(want))
			}
			run.echoed++
			run.pending = run.pending[1:]
			return nil
		})
	}
	run.pending = nil
}

func (run *faultRun) play() {
	c, plain := run.c, fragmentWays["WriteMessage"]
	text := func(n int, seed uint64) string { return string(textLike(n/run.scale, seed)) }
	run.write("Hello", plain)
	run.read((*Conn).ReadMessage)
	run.write(text(3000, 1), plain)
	run.read(receiveWays[3].read) // io.ReadAll
	run.do(faultTime, func() error {
		return c.WriteControl(PingMessage, []byte("p"), time.Now().Add(faultTime))
	})
	run.write(text(9000, 2), fragmentWays["NextWriter, by 100"])
	run.read(receiveWays[3].read) // io.ReadAll
	run.write(text(20_000, 3), fragmentWays["WriteMessageContext"])
	run.read((*Conn).ReadMessage)

	reported := run.reported
	c.Cork()
	for i := range 3 {
		run.write(text(100, uint64(4+i)), plain)
	}
	if run.do(faultTime, c.Flush) != nil {
		run.reported, run.broken, run.pending = reported, true, nil // they are lost, and that has been said
	}
	run.read((*Conn).ReadMessage)
	run.write(text(500, 7), fragmentWays["WritePreparedMessage"])
	run.read((*Conn).ReadMessage)

	reported = run.reported
	stream := NewStream(c, BinaryMessage)
	run.write(text(5000, 8), func(_ *Conn, text string) error {
		_, err := io.WriteString(stream, text)
		time.Sleep(time.Millisecond) // what was accepted fails before the next call, not during it
		return err
	})
	run.read(func(*Conn) (int, []byte, error) {
		p := make([]byte, len(text(5000, 8)))
		_, err := io.ReadFull(stream, p)
		return BinaryMessage, p, err
	})
	if run.err != nil {
		run.reported = min(run.reported, reported) // the same
	}

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	run.do(5*time.Second, func() error { return c.Shutdown(ctx, CloseNormalClosure, "") })
	run.do(closeTimeout, func() error { c.Close(); return nil })
}

// Under every fault at every call of the transport, and behind every byte, every call returns in its time, the
// first error is the fault's, what the peer gets is what was sent, in its order, and nothing that was reported as
// written is missing, unless the network has broken in between; nothing stays borrowed, and no goroutine is left,
// which the bubble sees.
func TestFaults(t *testing.T) {
	played := 0
	bothSides(t, func(t *testing.T, server bool) {
		for _, options := range []*CompressionOptions{nil, {}, {ContextTakeover: true}} {
			for _, bytes := range []bool{false, true} {
				none := playFault(t, server, options, fault{}, 0, bytes)
				none.check(t, fault{harmless: true}, "without a fault")
				step := 1
				if bytes { // every other one, which takes half of the time
					step = 2
				}
				step *= unlessRace(1, 50)
				for i, f := range faults {
					for at := i % step; at < none.places(f, bytes); at += step {
						played++
						codecs := codecsOnLoan.Load()
						run := playFault(t, server, options, f, at, bytes)
						where := fmt.Sprintf("%s, at %d (of bytes: %v), %+v", f.name, at, bytes, options)
						if n := codecsOnLoan.Load() - codecs; n != 0 {
							t.Errorf("%s: got %d codecs that were not given back", where, n)
						}
						run.check(t, f, where)
					}
				}
			}
		}
	})
	t.Logf("%d faults played", played)
}

// places returns at how many calls or behind how many bytes the fault may happen.
func (run *faultRun) places(f fault, bytes bool) int {
	p := run.reads
	if f.write {
		p = run.writes
	}
	switch {
	case !bytes:
		return p.calls
	case f.anywhere:
		return p.bytes
	}
	return 0
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
	if n := len(run.received); n < run.reported {
		t.Errorf("%s: got %d messages at the peer, want the %d that were reported as written", where, n, run.reported)
	}
	want, right := cmp.Or(f.want, f.err), false
	switch {
	case f.harmless, run.err == nil:
		right = run.err == nil && run.echoed == len(run.attempted)
	case f.stalls:
		right = isTimeout(run.err) || errors.Is(run.err, context.DeadlineExceeded)
	case f.ends, f.err == io.EOF:
		right = IsCloseError(run.err, CloseAbnormalClosure) || run.err == io.ErrUnexpectedEOF // of a stream
	default:
		lost := "websocket: messages that waited to be sent are lost: " + want.Error()
		right = errors.Is(run.err, want) || run.err.Error() == lost
	}
	if !right && (f.harmless || run.struck) {
		t.Errorf("%s: got %v, and %d of %d messages back", where, run.err, run.echoed, len(run.attempted))
	}
}
