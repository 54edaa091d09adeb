//go:build go1.25

package websocket

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// loggedConn is one end of a network connection in memory that keeps apart what each
// Write was given.
type loggedConn struct {
	*pipeConn
	takes time.Duration // what a Write takes
	fails int           // the number of the Write that fails; none does if it is 0
	mu    sync.Mutex
	log   [][]byte
}

func (l *loggedConn) Write(p []byte) (int, error) {
	time.Sleep(l.takes)
	if l.fails--; l.fails == 0 {
		return 0, errMine
	}
	l.mu.Lock()
	l.log = append(l.log, slices.Clone(p))
	l.mu.Unlock()
	return l.pipeConn.Write(p)
}

// newLoggedConn returns a connection to which the frames have come at once.
func newLoggedConn(t testing.TB, server bool, o connOptions, came ...peerFrame) (*Conn, *loggedConn) {
	a, _ := newPipe(t, 1<<20)
	l := &loggedConn{pipeConn: a}
	return newQuickConn(l, server, peerFrames(server, came...), o), l
}

// newQuickConn returns a connection that has handled a burst quickly, so that the answers to the
// next one wait for its end.
func newQuickConn(t transport, server bool, early []byte, o connOptions) *Conn {
	c := newConn(t, server, early, o)
	c.burst.quick = true
	return c
}

// newBusyConn returns a connection of which each Write takes a millisecond.
func newBusyConn(t *testing.T, server bool) (*Conn, *loggedConn) {
	c, wire := newLoggedConn(t, server, connOptions{})
	wire.takes = time.Millisecond
	return c, wire
}

// peer is the other end.
func (l *loggedConn) peer() *pipeConn { return &pipeConn{in: l.out, out: l.in} }

// texts are messages of the peer.
func texts(payloads ...string) (list []peerFrame) {
	for _, p := range payloads {
		list = append(list, textFrame(p))
	}
	return list
}

// take returns the writes since the last call, each as its frames: "1 a|9 b" is a text
// frame and a ping.
func (l *loggedConn) take(t testing.TB) (writes []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.log {
		writes = append(writes, describeFrames(t, b))
	}
	l.log = nil
	return writes
}

// eachFrame calls f for each frame of b with its payload, unmasked. The last frame may be cut off.
func eachFrame(t testing.TB, b []byte, f func(h header, payload []byte)) {
	t.Helper()
	for len(b) > 0 {
		h, n, err := parseHeader(b)
		if err != nil || n == 0 {
			t.Fatalf("not a frame: % x, %v", b[:min(len(b), 20)], err)
		}
		payload := slices.Clone(b[n:min(int64(len(b)), int64(n)+h.length)])
		if h.masked {
			maskEach(payload, h.key, 0)
		}
		b = b[n+len(payload):]
		f(h, payload)
	}
}

// describeFrames is what loggedConn.take says of one write.
func describeFrames(t testing.TB, b []byte) string {
	t.Helper()
	var list []string
	eachFrame(t, b, func(h header, payload []byte) {
		if len(payload) > 20 {
			payload = fmt.Appendf(nil, "%d bytes", h.length)
		}
		list = append(list, fmt.Sprintf("%d %s", h.opcode, payload))
	})
	return strings.Join(list, "|")
}

// wantWrites checks the writes since they were looked at last.
func (l *loggedConn) wantWrites(t testing.TB, reason string, want ...string) {
	t.Helper()
	if got := l.take(t); !slices.Equal(got, want) {
		t.Errorf("%s: got the writes %q, want %q", reason, got, want)
	}
}

// answer answers n messages in a way, and fails the test where something else happens.
func answer(t testing.TB, c *Conn, n int, way func(*Conn, int, []byte) error) {
	t.Helper()
	for range n {
		messageType, p, err := c.ReadMessage()
		if err == nil {
			err = way(c, messageType, p)
		}
		if err != nil {
			t.Errorf("got %v, want none", err)
			return
		}
	}
}

// writeBack is the plainest answer.
func writeBack(c *Conn, messageType int, p []byte) error { return c.WriteMessage(messageType, p) }

// writeCorked corks, twice, which does no harm, and writes three messages.
func writeCorked(t *testing.T, c *Conn) {
	t.Helper()
	c.Cork()
	c.Cork()
	for _, p := range []string{"a", "b", "c"} {
		wantWrite(t, c, p)
	}
}

// Corked messages are sent "when Flush is called", which ends Cork's effect, "or 200 microseconds after the first",
// which does not end it. "WriteThrough has no effect on it." NetConn also writes them, and reading addresses does not.
func TestCork(t *testing.T) {
	for name, tt := range map[string]struct {
		leave func(c *Conn)
		ends  bool // the effect of Cork
	}{
		"Flush":            {func(c *Conn) { c.Flush() }, true},
		"NetConn":          {func(c *Conn) { c.NetConn() }, false},
		"UnderlyingConn":   {func(c *Conn) { c.UnderlyingConn() }, false},
		"200 microseconds": {func(*Conn) { time.Sleep(1) }, false},
	} {
		for _, through := range []bool{false, true} {
			eachLogged(t, connOptions{writeThrough: through}, nil, func(t *testing.T, c *Conn, wire *loggedConn) {
				if err := c.Flush(); err != nil {
					t.Errorf("Flush without Cork: got %v, want nil", err)
				}
				for range 2 {
					writeCorked(t, c)
					c.LocalAddr()
					c.RemoteAddr()
					time.Sleep(corkTime - 1)
					wire.wantWrites(t, "corked")
					tt.leave(c)
					synctest.Wait()
					wire.wantWrites(t, name, "1 a|1 b|1 c")
					c.wantNothingUnsent(t)
					time.Sleep(time.Second)
					wire.wantWrites(t, "the timer finds nothing")
				}
				wantWrite(t, c, "d")
				if !tt.ends {
					wire.wantWrites(t, "still corked")
					c.Flush()
				}
				wire.wantWrites(t, "not corked any more", "1 d")
				c.NetConn()
				wire.wantWrites(t, "nothing is corked")
			})
		}
	}
}

// All ways of writing are corked, control frames too, and pongs, in order. A read does not end the cork.
func TestCorkAllFrames(t *testing.T) {
	for name, way := range answers {
		eachLogged(t, connOptions{}, []peerFrame{pingFrame("p")}, func(t *testing.T, c *Conn, wire *loggedConn) {
			defer c.Close()
			c.Cork()
			for range 2 {
				if err := way(c, TextMessage, []byte("x")); err != nil {
					t.Errorf("%s: got %v, want nil", name, err)
				}
			}
			go c.ReadMessage()
			synctest.Wait()
			wire.wantWrites(t, name)
			c.Flush()
			if got := wire.take(t); len(got) != 1 || strings.Count(got[0], "|") != 2 || !strings.HasSuffix(got[0], "|10 p") {
				t.Errorf("%s: got the writes %q, want one of two frames and the pong", name, got)
			}
		})
	}
}

// A ping of Ping is not corked: its time is measured.
func TestPingIsNotCorked(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.c.Cork()
		wantWrite(b, b.c, "before")
		go b.c.Ping(b.Context())
		if got := join(b.take()); !strings.HasPrefix(got, "1 before|9 ") || time.Since(b.start) != 0 {
			b.Errorf("got %q after %v, want the message and the ping at once", got, time.Since(b.start))
		}
	})
}

// endings are what ends the reading, and the Close frame that the peer is sent for it.
var endings = []struct {
	name  string
	frame peerFrame
	err   string // of the read
	reply string
}{
	{"close", peerClose, "websocket: close 1000 (normal): bye", "8 \x03\xe8"},
	{
		"broken rule", peerFrame{false, opPing, ""},
		"websocket: control frame is fragmented", "8 \x03\xeacontrol frame is fragmented",
	},
	{"empty close", peerFrame{true, opClose, ""}, "websocket: close 1005 (no status)", "8 "},
	{"bad text", textFrame("\xff"), "websocket: text is not valid UTF-8", "8 \x03\xeftext is not valid UTF-8"},
}

// unsentCase is a way in which a connection comes to have frames to send that the network does not take.
type unsentCase struct {
	name   string
	begin  func(b *bubble)
	frames []string
	lost   bool   // one of them, which was reported as written, if the network fails
	closes bool   // the last of them is a Close frame
	broken string // the error of the read, where the peer has broken a rule
	corked bool   // their time is not over
}

func unsentCases() []unsentCase {
	cork := func(b *bubble) {
		b.c.Cork()
		wantWrite(b, b.c, "a")
	}
	list := []unsentCase{
		{name: "corked", begin: cork, frames: []string{"1 a"}, lost: true, corked: true},
		// A write deadline ends with the call that it bounds.
		{name: "corked, its time is over, and so is its deadline", begin: func(b *bubble) {
			b.c.SetWriteDeadline(time.Now().Add(time.Microsecond))
			cork(b)
			time.Sleep(time.Minute)
			b.c.SetWriteDeadline(time.Time{})
		}, frames: []string{"1 a"}, lost: true},
		{name: "corked, close", begin: func(b *bubble) {
			cork(b)
			b.send(peerClose)
			b.wantReadNow("", endings[0].err)
		}, frames: []string{"1 a", endings[0].reply}, lost: true, closes: true},
	}
	for _, behind := range []string{"", " behind a writer that waits"} {
		add := func(u unsentCase) {
			if behind != "" {
				begin := u.begin
				u.begin = func(b *bubble) {
					go b.c.WriteMessage(TextMessage, []byte("first"))
					synctest.Wait()
					begin(b)
				}
				u.name, u.frames = u.name+behind, append([]string{"1 first"}, u.frames...)
			}
			list = append(list, u)
		}
		add(unsentCase{name: "stream", begin: func(b *bubble) {
			if n, err := NewStream(b.c, BinaryMessage).Write([]byte("abc")); n != 3 || err != nil {
				b.Errorf("got %d, %v, want 3: the slot has room", n, err)
			}
		}, frames: []string{"2 abc"}, lost: true})
		add(unsentCase{name: "pong", begin: func(b *bubble) {
			b.send(pingFrame("p"), textFrame("b"))
			b.wantReadNow("b", noError)
		}, frames: []string{"10 p"}})
		for _, e := range endings {
			u := unsentCase{name: e.name, frames: []string{e.reply}, closes: true, begin: func(b *bubble) {
				b.send(e.frame)
				b.wantReadNow("", e.err)
			}}
			if !strings.HasPrefix(e.err, "websocket: close ") {
				u.broken = e.err
			}
			add(u)
		}
	}
	return list
}

// wantReadNow checks what the next read returns: it waits neither for replies that the network does not
// take, nor for a writer.
func (b *bubble) wantReadNow(want, wantErr string) {
	b.Helper()
	var p []byte
	var err error
	d := took(func() { _, p, err = b.c.ReadMessage() })
	if d != 0 || string(p) != want || fmt.Sprint(err) != wantErr {
		b.Errorf("got %q, %v after %v, want %q, %s at once", p, err, d, want, wantErr)
	}
}

// wantGood checks that messages go both ways.
func (b *bubble) wantGood() {
	b.Helper()
	b.c.SetWriteDeadline(time.Time{})
	if err := b.c.Flush(); err != nil {
		b.Fatalf("Flush: got %v, want nil", err)
	}
	wantWrite(b, b.c, "good")
	b.want("messages to the peer", "1 good")
	b.send(textFrame("good"))
	wantRead(b, b.c, "good")
}

// eachUnsent runs f in all these cases.
func eachUnsent(t *testing.T, f func(b *bubble, u unsentCase)) {
	for _, u := range unsentCases() {
		t.Run(u.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				u.begin(b)
				f(b, u)
			})
		})
	}
}

// They leave when the network takes them, however late that is, and the connection is good.
func TestUnsentFramesLeaveLate(t *testing.T) {
	eachUnsent(t, func(b *bubble, u unsentCase) {
		if d := took(func() { b.c.NetConn() }); d != 0 {
			b.Errorf("NetConn: got a wait of %v, want none", d)
		}
		time.Sleep(time.Minute)
		b.open()
		b.want("the network is free", u.frames...)
		if !u.closes {
			b.wantGood()
		} else if err := b.c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
			b.Errorf("got %v, want ErrCloseSent", err)
		}
	})
}

// If the network fails, Flush, writes and Shutdown return its error, and reads say that what was reported as written is
// lost, unless they say how the reading has ended.
func TestLossOfUnsentFrames(t *testing.T) {
	eachUnsent(t, func(b *bubble, u unsentCase) {
		b.pipe.Close()
		for range 2 {
			if err := b.c.Flush(); err != io.ErrClosedPipe {
				b.Errorf("Flush: got %v, want that of the network", err)
			}
		}
		if err := b.c.WriteMessage(TextMessage, nil); err != io.ErrClosedPipe {
			b.Errorf("write: got %v, want the same", err)
		}
		if u.lost && !u.closes {
			wantLost(b.T, b.c, io.ErrClosedPipe.Error())
		}
		if err := b.c.Shutdown(b.Context(), CloseNormalClosure, ""); err != io.ErrClosedPipe {
			b.Errorf("Shutdown: got %v, want the same", err)
		}
		b.c.wantNothingUnsent(b)
	})
}

// Close gives them a second at most, against a peer that reads nothing. One that reads within the second gets all of
// them, and then the end.
func TestCloseAndUnsentFrames(t *testing.T) {
	for _, reads := range []time.Duration{time.Hour, 900 * time.Millisecond} {
		eachUnsent(t, func(b *bubble, u unsentCase) {
			time.AfterFunc(reads, b.open)
			d := took(func() {
				if err := b.c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
					b.Errorf("got %v, want nil", err)
				}
			})
			switch {
			case reads > time.Second && d > time.Second:
				b.Errorf("got a wait of %v, want at most 1s", d)
			case reads < time.Second:
				if d != reads {
					b.Errorf("got a wait of %v, want %v", d, reads)
				}
				b.want("sent before the end", u.frames...)
				b.wantEnd()
			}
		})
	}
}

// Flush waits "until the write deadline; the rest is then sent later", even in the middle of a frame. Without a
// deadline it waits as long as it takes, and when it returns nil, the network has everything.
func TestFlushUnsentFrames(t *testing.T) {
	eachUnsent(t, func(b *bubble, u unsentCase) {
		if u.closes {
			return
		}
		flush := func(wait time.Duration, want error) {
			b.Helper()
			var err error
			if d := took(func() { err = b.c.Flush() }); err != want || d != wait {
				b.Errorf("got %v after %v, want %v after %v", err, d, want, wait)
			}
		}
		b.room(2)
		for range 2 {
			b.c.SetWriteDeadline(time.Now().Add(time.Second))
			flush(time.Second, errWriteTimeout)
		}
		b.open()
		b.want("the network is free", u.frames...)
		b.wantGood()
		b.c.wantNothingUnsent(b)

		b.full()
		u.begin(b)
		time.AfterFunc(time.Minute, b.open)
		flush(time.Minute, nil)
		b.c.NetConn().Close()
		b.want("flushed", u.frames...)
	})
}

// Shutdown sends everything before its Close frame, as long as its context allows, and returns nil when
// the peer has answered, unless that has broken a rule. Its context bounds it against a peer that reads nothing.
func TestShutdownAndUnsentFrames(t *testing.T) {
	eachUnsent(t, func(b *bubble, u unsentCase) {
		shutdown := inBackground(b.T, func() error { return b.c.Shutdown(b.Context(), CloseGoingAway, "") })
		time.Sleep(time.Minute)
		b.open()
		if u.closes {
			b.want("everything", u.frames...)
		} else {
			b.want("everything, and the Close frame", append(u.frames, "8 \x03\xe9")...)
			b.send(peerClose)
		}
		synctest.Wait()
		b.far.Close()
		shutdown.want("the handshake is over", anyTime, cmp.Or(u.broken, noError))
	})
	eachUnsent(t, func(b *bubble, u unsentCase) {
		if u.closes { // then Shutdown need not wait
			return
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		shutdown := inBackground(b.T, func() error { return b.c.Shutdown(ctx, CloseGoingAway, "") })
		shutdown.wantIs("its context ends", time.Minute, context.DeadlineExceeded)
	})
}

// A write whose deadline passes behind them has done nothing, over TLS too, unless it has what is corked leave:
// of that a part may have left then.
func TestDeadlineBehindUnsentFrames(t *testing.T) {
	eachUnsent(t, func(b *bubble, u unsentCase) {
		if u.closes || u.corked && b.tls {
			return
		}
		wantWriteTimeouts(b, b.c, time.Second)
		b.open()
		b.want("the network is free", u.frames...)
		b.wantGood()
	})
}

// takeoverTexts are messages that resemble each other.
var takeoverTexts = [][]byte{textLike(1000, 1), textLike(1000, 2), textLike(1000, 3), textLike(3000, 2)}

// wantWriteTimeouts makes every call that a write deadline bounds, with one after the timeout. Each call ends then, in
// simulated time to the nanosecond, and has done nothing.
func wantWriteTimeouts(t testing.TB, c *Conn, timeout time.Duration) {
	t.Helper()
	want := func(name string, size int, write func(deadline time.Time) error) {
		t.Helper()
		deadline := time.Now().Add(timeout)
		c.SetWriteDeadline(deadline)
		var err error
		d := took(func() { err = write(deadline) })
		if !isWriteTimeout(err) || inBubble() && d != max(timeout, 0) {
			t.Errorf("%s, %d bytes: got %v after %v, want a write timeout after %v", name, size, err, d, timeout)
		}
	}
	for _, messageType := range []int{CloseMessage, PingMessage} { // the Close frame first: it is not corked
		want("WriteControl", 0, func(d time.Time) error { return c.WriteControl(messageType, nil, d) })
		want("WriteMessage", 0, func(time.Time) error { return c.WriteMessage(messageType, nil) })
	}
	for name, way := range answers {
		if name == "WriteControl" { // has a deadline of its own
			continue
		}
		for _, p := range slices.Concat(takeoverTexts, [][]byte{nil, make([]byte, 100_000)}) {
			want(name, len(p), func(time.Time) error { return way(c, TextMessage, p) })
		}
	}
	c.SetWriteDeadline(time.Time{})
}

// wantInflated writes the messages, and checks that the peer gets them.
func wantInflated(t testing.TB, c, peer *Conn, messages ...[]byte) {
	t.Helper()
	for _, w := range sendWays {
		for i, want := range messages {
			if err := w.write(c, TextMessage, want); err != nil {
				t.Fatalf("%s: message %d: got %v, want nil", w.name, i, err)
			}
			if _, p, err := peer.ReadMessage(); !bytes.Equal(p, want) || err != nil {
				t.Fatalf("%s: message %d: got %d bytes, %v, want %d", w.name, i, len(p), err, len(want))
			}
		}
	}
}

// A peer that never reads: a write ends at its deadline, and if that passes before the network has taken a
// byte, the connection is as good as before, also where the frame was a Close frame. With context takeover
// the message leaves no trace in those that follow: the peer, who has not got it, can inflate them. Over TLS
// that cannot be told from a frame that has left in part.
func TestAttackPeerNeverReads(t *testing.T) {
	for _, o := range []*CompressionOptions{nil, {}, {ContextTakeover: true}} {
		options := attack{compression: o}.options(t, connOptions{})
		eachPipe(t, options, func(b *bubble) {
			b.full() // so that its own peer reads nothing
			b.pipe.SetReadDeadline(time.Time{})
			peer := newConn(b.far, !b.server, nil, options)
			for range 2 { // the second time with the window of earlier messages
				room(b.pipe, 0)
				wantWriteTimeouts(b, b.c, time.Second)
				room(b.pipe, 1<<20)
				wantInflated(b, b.c, peer, takeoverTexts...)
			}
		})
	}
}

// A write whose deadline has passed before does nothing, over every transport.
func TestDeadlineInThePast(t *testing.T) {
	options := attack{compression: &CompressionOptions{ContextTakeover: true}}.options(t, connOptions{})
	for _, o := range []connOptions{{}, options} {
		eachLink(t, func(t *testing.T, l testLink) {
			c, far := l.conn(t, o)
			peer := newConn(far.Conn, !far.server, nil, o)
			wantInflated(t, c, peer, takeoverTexts[:2]...)
			wantWriteTimeouts(t, c, -time.Second)
			wantInflated(t, c, peer, takeoverTexts...)
		})
	}
}

// A network of the kernel that is full: writes time out and have done nothing, and neither NetConn nor a read waits for
// the network to take what is corked, and replies.
func TestFullKernel(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		wantWriteTimeouts(t, c, time.Millisecond)
		c.Cork()
		wantWrite(t, c, "corked")
		within(t, "NetConn", func() error { c.NetConn(); return nil })
		if !c.send.hasUnsent() {
			t.Error("got nothing unsent, want what the network does not take")
		}
		tt := endings[1]
		peer.send(t, pingFrame("p"), textFrame("a"), tt.frame)
		if err := within(t, "the read", func() error { return readText(c, "a") }); err != nil {
			t.Fatalf("got %v, want the message behind the ping", err)
		}
		if err := within(t, "the read", func() error { return second3(c.ReadMessage()) }); fmt.Sprint(err) != tt.err {
			t.Errorf("got %v, want %s", err, tt.err)
		}
		peer.drain(t)
		peer.want(t, "the network is free", "1 corked", "10 p", tt.reply)
	})
}

// Close wakes writers that wait for the network, and is bounded then, too.
func TestCloseDuringAWrite(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.full()
		writes := []*call{b.beginWrite("a", 0), b.beginWrite("b", 0), b.beginWrite("c", 0)}
		if d := took(func() { b.c.Close() }); d > time.Second {
			b.Errorf("got a wait of %v, want at most 1s", d)
		}
		for _, w := range writes {
			if w.wantIs("Close", anyTime, net.ErrClosed); w.took > time.Second {
				b.Errorf("got the end of a write after %v, want it after at most 1s", w.took)
			}
		}
	})
}

// What is corked, and replies, arrive though the program calls Close at once, or ends the network connection
// when Flush has returned: then the network has everything.
func TestCorkedFramesArrive(t *testing.T) {
	for name, end := range map[string]func(c *Conn) error{
		"Close": (*Conn).Close,
		"Flush": func(c *Conn) error { return errors.Join(c.Flush(), c.NetConn().Close()) },
	} {
		eachLink(t, func(t *testing.T, l testLink) {
			for range 3 {
				c, peer := l.conn(t, connOptions{})
				peer.send(t, pingFrame("p"), textFrame("a"))
				var want []string
				c.Cork()
				for i := range 10 {
					text := strings.Repeat("x", i*200)
					wantWrite(t, c, text)
					want = append(want, "1 "+text)
				}
				wantRead(t, c, "a")
				if err := end(c); err != nil {
					t.Fatalf("%s: got %v, want nil", name, err)
				}
				peer.want(t, name, append(want, "10 p")...)
				if frame, err := peer.next(); err != io.EOF {
					t.Fatalf("%s: got %q, %v, want the end", name, frame, err)
				}
				peer.Close()
			}
		})
	}
}

// The Close frame that ended a read arrives though the program calls Close at once, whoever is
// writing meanwhile. One that is lost now and then shows in the number of rounds.
func TestCloseWaitsForTheReadersCloseFrame(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for i := range unlessRace(12, 6) {
			c, peer := l.conn(t, connOptions{})
			tt := endings[i%len(endings)]
			peer.send(t, tt.frame)
			var all sync.WaitGroup
			for range i % 3 { // so many goroutines write
				all.Go(func() {
					for c.WriteMessage(TextMessage, []byte("x")) == nil {
					}
				})
			}
			all.Go(func() {
				c.ReadMessage()
				c.Close()
			})
			frame, err := "1 x", error(nil)
			for frame == "1 x" {
				frame, err = peer.next()
			}
			if frame != tt.reply {
				t.Fatalf("round %d: got %q, %v, want %q", i, frame, err, tt.reply)
			}
			if frame, err := peer.next(); err != io.EOF {
				t.Fatalf("round %d: got %q, %v behind the Close frame, want the end", i, frame, err)
			}
			all.Wait()
			peer.Close()
		}
	})
}

// Whatever ends the writing, the writers that wait behind a message that is open are told so at
// once, nothing more of that message is sent, and no writer can be had any more.
func TestEndWakesWaitingWriters(t *testing.T) {
	closed, closeSent := "write pipe pipe->pipe: use of closed network connection", ErrCloseSent.Error()
	for name, tt := range map[string]struct {
		end   func(b *bubble)
		want  string
		after time.Duration
	}{
		"Close":                  {func(b *bubble) { b.c.Close() }, closed, 0},
		"the peer's Close frame": {func(b *bubble) { b.send(peerClose) }, closeSent, 0},
		"a rule that is broken":  {func(b *bubble) { b.send(endings[1].frame) }, closeSent, 0},
		"keepalive":              {func(*bubble) {}, "websocket: nothing came for 4s after a ping", 14 * time.Second},
		"a Close frame":          {func(b *bubble) { b.c.WriteMessage(CloseMessage, nil) }, closeSent, 0},
		"Shutdown":               {func(b *bubble) { go b.c.Shutdown(b.Context(), CloseNormalClosure, "") }, closeSent, 0},
	} {
		for _, source := range []bool{false, true} { // the writer reads from one that blocks
			t.Run(fmt.Sprintf("%s, source %t", name, source), func(t *testing.T) {
				eachPipe(t, keepaliveOptions, func(b *bubble) {
					go b.c.ReadMessage()
					w, err := b.c.NextWriter(TextMessage)
					if err != nil {
						b.Fatal(err)
					}
					blocked, release := io.Pipe()
					defer release.Close()
					if source {
						go w.(io.ReaderFrom).ReadFrom(blocked)
					} else {
						w.Write([]byte("not sent"))
					}
					synctest.Wait()
					calls := map[string]*call{}
					for name, way := range answers {
						if name == "WriteControl" || name == "ReadFrom" || strings.HasPrefix(name, "NextWriter") {
							continue // it does not wait, or finishes the open message
						}
						for _, size := range []int{0, 1 << 20} {
							write := func() error { return way(b.c, TextMessage, make([]byte, size)) }
							calls[fmt.Sprint(name, " ", size)] = inBackground(b.T, write)
						}
					}
					synctest.Wait()
					tt.end(b)
					for name, x := range calls {
						x.want(name, tt.after, tt.want)
					}
					if source { // NextWriter would wait for it
						return
					}
					for _, err := range []error{second(w.Write(make([]byte, 1<<20))), w.Close()} {
						if err == nil || tt.want == closeSent && err != ErrCloseSent {
							b.Errorf("the open message: got %v, want %s", err, tt.want)
						}
					}
					if _, err := b.c.NextWriter(TextMessage); fmt.Sprint(err) != tt.want {
						b.Errorf("NextWriter: got %v, want %s", err, tt.want)
					}
				})
			})
		}
	}
}

// After Close nothing can be written, over every transport.
func TestEveryWriteAfterClose(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		c, _ := l.conn(t, connOptions{})
		c.Close()
		err := c.WriteControl(PingMessage, nil, time.Now().Add(time.Hour))
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
		wantWritesFail(t, "Close", c, err)
	})
}

// writeFunc is a transport whose writes are the function.
type writeFunc struct {
	*pipeConn
	write func(p []byte) (int, error)
}

func (w writeFunc) Write(p []byte) (int, error) { return w.write(p) }

// newWriteFuncConn returns a connection with such a transport, and the peer's end.
func newWriteFuncConn(t testing.TB, server bool, write func(p []byte) (int, error)) (*Conn, *pipeConn) {
	near, far := newPipe(t, 1<<20)
	return newConn(writeFunc{near, write}, server, nil, connOptions{}), far
}

// A wrapper may return from Write with a part of the bytes written and no error. The frame is torn,
// so nothing may follow it.
func TestWriteThatIsShort(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, size := range []int{1000, maxCopied, 100 << 10, 300 << 10} {
			for short := 1; short <= 2; short++ { // the first or the second write
				writes := 0
				c, _ := newWriteFuncConn(t, server, func(p []byte) (int, error) {
					if writes++; writes == short {
						return len(p) / 2, nil
					}
					return len(p), nil
				})
				err := c.WriteMessage(BinaryMessage, make([]byte, size))
				if writes < short {
					continue // the frame is written at once
				}
				if err != io.ErrShortWrite {
					t.Errorf("%d bytes, write %d: got %v, want %v", size, short, err, io.ErrShortWrite)
				}
				if wantWritesFail(t, "a short write", c, io.ErrShortWrite); writes != short {
					t.Errorf("%d bytes, write %d: got %d writes, want none behind it", size, short, writes)
				}
			}
		}
	})
}

// A wrapper may return a negative number of bytes with its timeout: nothing has left.
func TestWriteOfANegativeNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newWriteFuncConn(t, true, func([]byte) (int, error) {
			time.Sleep(time.Second)
			return -1, os.ErrDeadlineExceeded
		})
		c.SetWriteDeadline(time.Now().Add(time.Second))
		if wantWriteTimeout(t, "the write", c.WriteMessage(TextMessage, nil)); c.send.lock.err() != nil {
			t.Errorf("got %v, want a good connection", c.send.lock.err())
		}
		c.wantNothingUnsent(t)
	})
}

// After a write has failed, the reader still waits for what the peer sends: nothing that was reported as written is
// lost.
func TestReadingGoesOnAfterAFailedWrite(t *testing.T) {
	for _, takes := range []int{0, 1} { // of the frame that fails
		synctest.Test(t, func(t *testing.T) {
			fails := false
			c, far := newWriteFuncConn(t, true, func(p []byte) (int, error) {
				if fails {
					return takes, errMine
				}
				return len(p), nil
			})
			wantWrite(t, c, "sent")
			fails = true
			if err := c.WriteMessage(TextMessage, []byte("not sent")); err != errMine {
				t.Errorf("got %v, want that of the network", err)
			}
			read := inBackground(t, func() error { return readText(c, "later") })
			read.wantWaiting("nothing has come")
			far.Write(peerFrames(true, textFrame("later")))
			read.want(fmt.Sprint(takes, " bytes have left"), 0, noError)
		})
	}
}
