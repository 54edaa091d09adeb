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
	mu  sync.Mutex
	log [][]byte

	unread []byte // what drainFrames has beyond whole frames
}

func (l *loggedConn) Write(p []byte) (int, error) {
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

// describeFrames is what loggedConn.take says of one write.
func describeFrames(t testing.TB, b []byte) string {
	t.Helper()
	var list []string
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
		if len(payload) > 20 {
			payload = fmt.Appendf(nil, "%d bytes", h.length)
		}
		list = append(list, fmt.Sprintf("%d %s", h.opcode, payload))
	}
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
			bothSides(t, func(t *testing.T, server bool) {
				synctest.Test(t, func(t *testing.T) {
					c, wire := newLoggedConn(t, server, connOptions{writeThrough: through})
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
			})
		}
	}
}

// All ways of writing are corked, control frames too, and pongs, in order. A read does not end the cork.
func TestCorkAllFrames(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for name, way := range answers {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newLoggedConn(t, server, connOptions{})
				c.Cork()
				for range 2 {
					if err := way(c, TextMessage, []byte("x")); err != nil {
						t.Errorf("%s: got %v, want nil", name, err)
					}
				}
				go c.ReadMessage()
				wire.peer().Write(peerFrames(server, pingFrame("p")))
				synctest.Wait()
				wire.wantWrites(t, name)
				c.Flush()
				if got := wire.take(t); len(got) != 1 || strings.Count(got[0], "|") != 2 || !strings.HasSuffix(got[0], "|10 p") {
					t.Errorf("%s: got the writes %q, want one of two frames and the pong", name, got)
				}
				c.Close()
			})
		}
	})
}

// Corked messages are sent "when there are 16 KiB of them".
func TestCorkSize(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			c.Cork()
			for range 17 {
				c.WriteMessage(BinaryMessage, make([]byte, 1000))
			}
			wire.wantWrites(t, "before the last", strings.TrimSuffix(strings.Repeat("2 1000 bytes|", 16), "|"))
			c.WriteMessage(BinaryMessage, make([]byte, maxCopied-maxHeaderSize))
			wire.wantWrites(t, "as many as have room", "2 1000 bytes")
			c.Flush()
			wire.wantWrites(t, "the largest that is corked", fmt.Sprintf("2 %d bytes", maxCopied-maxHeaderSize))
		})
	})
}

// Flush returns the error of the write, whether it is its own or that of the timer before.
func TestFlushError(t *testing.T) {
	for _, wait := range []time.Duration{0, corkTime} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, true, connOptions{})
			writeCorked(t, c)
			wire.peer().Close()
			time.Sleep(wait)
			synctest.Wait()
			for range 2 {
				if err := c.Flush(); err != io.ErrClosedPipe {
					t.Errorf("after %v: got %v, want the network's error", wait, err)
				}
			}
			if err := c.WriteMessage(TextMessage, nil); err != io.ErrClosedPipe {
				t.Errorf("after %v: got %v, want the same of a write", wait, err)
			}
			wantLost(t, c, io.ErrClosedPipe.Error())
			c.wantNothingUnsent(t)
		})
	}
}

// A ping of Ping is not corked: its time is measured.
func TestPingIsNotCorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := newConnPair(t)
		go s.ReadMessage() // which gets the pong
		go func() {
			c.ReadMessage() // which gets the message
			c.ReadMessage() // which gets the ping
		}()
		s.Cork()
		wantWrite(t, s, "before")
		if rtt, err := s.Ping(t.Context()); rtt != 0 || err != nil {
			t.Errorf("got %v, %v, want no time at all", rtt, err)
		}
		s.Close()
		c.Close()
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

// unsentCase is a way in which a connection comes to have something to send that the network does not
// take.
type unsentCase struct {
	name   string
	begin  func(b *bubble)
	frames []string
	closes bool   // the last of them is a Close frame
	broken string // the error of the read, where the peer has broken a rule
	corked bool   // their time is not over
	stream bool
}

func unsentCases() []unsentCase {
	cork := func(b *bubble) {
		b.c.Cork()
		wantWrite(b, b.c, "a")
	}
	list := []unsentCase{
		{name: "corked", begin: cork, frames: []string{"1 a"}, corked: true},
		// A write deadline ends with the call that it bounds.
		{name: "corked, its time is over, and so is its deadline", begin: func(b *bubble) {
			b.c.SetWriteDeadline(time.Now().Add(time.Microsecond))
			cork(b)
			time.Sleep(time.Minute)
			b.c.SetWriteDeadline(time.Time{})
		}, frames: []string{"1 a"}},
		{name: "corked, close", begin: func(b *bubble) {
			cork(b)
			b.send(peerClose)
			b.wantReadNow("", endings[0].err)
		}, frames: []string{"1 a", endings[0].reply}, closes: true},
		{name: "stream", begin: func(b *bubble) {
			s := NewStream(b.c, BinaryMessage)
			s.SetWriteDeadline(time.Now().Add(time.Second))
			if n, err := s.Write([]byte("abc")); err == nil && n == 3 {
				return
			}
			b.c.Cork() // it has taken nothing
			b.c.WriteMessage(BinaryMessage, []byte("abc"))
		}, frames: []string{"2 abc"}, stream: true},
	}
	for _, behind := range []bool{false, true} {
		add := func(name string, closes bool, in []peerFrame, p, err, reply string) {
			u := unsentCase{name: name, frames: []string{reply}, closes: closes}
			u.begin = func(b *bubble) {
				if behind {
					go b.c.WriteMessage(TextMessage, []byte("first"))
					synctest.Wait()
				}
				b.send(in...)
				b.wantReadNow(p, err)
			}
			if closes && !strings.HasPrefix(err, "websocket: close ") {
				u.broken = err
			}
			if behind {
				u.name, u.frames = name+" behind a writer that waits", []string{"1 first", reply}
			}
			list = append(list, u)
		}
		add("pong", false, []peerFrame{pingFrame("p"), textFrame("b")}, "b", noError, "10 p")
		for _, e := range endings {
			add(e.name, true, []peerFrame{e.frame}, "", e.err, e.reply)
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

// eachUnsent runs f in all these cases but those that skip names.
func eachUnsent(t *testing.T, skip func(u unsentCase) bool, f func(b *bubble, u unsentCase)) {
	for _, u := range unsentCases() {
		if skip(u) {
			continue
		}
		t.Run(u.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				u.begin(b)
				f(b, u)
			})
		})
	}
}

func noUnsent(unsentCase) bool          { return false }
func closingUnsent(u unsentCase) bool   { return u.closes }
func unflushedUnsent(u unsentCase) bool { return u.closes || u.stream }

// It leaves when the network takes it, however late that is, and the connection is good.
func TestUnsentFramesLeaveLate(t *testing.T) {
	eachUnsent(t, noUnsent, func(b *bubble, u unsentCase) {
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

// Close gives it a second at most, against a peer that reads nothing. One that reads within the second
// gets all of it, and then the end.
func TestCloseAndUnsentFrames(t *testing.T) {
	for _, reads := range []time.Duration{time.Hour, 900 * time.Millisecond} {
		eachUnsent(t, noUnsent, func(b *bubble, u unsentCase) {
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

// Flush waits for the network as long as that takes. When it returns nil, the network has everything.
func TestFlushWaitsForTheNetwork(t *testing.T) {
	eachUnsent(t, unflushedUnsent, func(b *bubble, u unsentCase) {
		time.AfterFunc(time.Minute, b.open)
		if d := took(func() {
			if err := b.c.Flush(); err != nil {
				b.Errorf("got %v, want nil", err)
			}
		}); d != time.Minute {
			b.Errorf("got a wait of %v, want 1m", d)
		}
		b.c.NetConn().Close()
		b.want("flushed", u.frames...)
	})
}

// Flush waits "until the write deadline; the rest is then sent later", even in the middle of a frame.
func TestFlushDeadline(t *testing.T) {
	eachUnsent(t, unflushedUnsent, func(b *bubble, u unsentCase) {
		b.room(2)
		for range 2 {
			b.c.SetWriteDeadline(time.Now().Add(time.Second))
			var err error
			if d := took(func() { err = b.c.Flush() }); err != errWriteTimeout || d != time.Second {
				b.Errorf("got %v after %v, want a write timeout after 1s", err, d)
			}
		}
		b.open()
		b.want("the network is free", u.frames...)
		b.wantGood()
		b.c.wantNothingUnsent(b)
	})
}

// Shutdown sends everything before its Close frame, as long as its context allows, and returns nil when
// the peer has answered, unless that has broken a rule. Its context bounds it against a peer that reads nothing.
func TestShutdownAndUnsentFrames(t *testing.T) {
	eachUnsent(t, noUnsent, func(b *bubble, u unsentCase) {
		result := make(chan error, 1)
		go func() { result <- b.c.Shutdown(b.Context(), CloseGoingAway, "") }()
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
		if err := <-result; err != nil && err.Error() != u.broken || err == nil && u.broken != "" {
			b.Errorf("got %v, want nil or %q", err, u.broken)
		}
	})
	// If the peer has closed, Shutdown need not wait.
	eachUnsent(t, closingUnsent, func(b *bubble, u unsentCase) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		var err error
		d := took(func() { err = b.c.Shutdown(ctx, CloseGoingAway, "") })
		if !errors.Is(err, context.DeadlineExceeded) || d != time.Minute {
			b.Errorf("got %v after %v, want context.DeadlineExceeded after 1m", err, d)
		}
	})
}

// A write whose deadline passes behind it has done nothing, over TLS too, unless it has what is corked leave:
// of that a part may have left then.
func TestDeadlineBehindUnsentFrames(t *testing.T) {
	eachUnsent(t, closingUnsent, func(b *bubble, u unsentCase) {
		if u.corked && b.tls {
			return
		}
		wantWriteTimeouts(b)
		b.open()
		b.want("the network is free", u.frames...)
		b.wantGood()
	})
}

// limitedWrites are the ways to write that a deadline bounds. The first is not corked.
var limitedWrites = []struct {
	name  string
	write func(c *Conn, deadline time.Time) error
}{
	{"WriteControl, close", func(c *Conn, d time.Time) error { return c.WriteControl(CloseMessage, nil, d) }},
	{"WriteControl", func(c *Conn, d time.Time) error { return c.WriteControl(PingMessage, []byte("never"), d) }},
	{"WriteMessage", limitedWrite("WriteMessage", TextMessage, []byte("never"))},
	{"WriteMessage, 100 KB", limitedWrite("WriteMessage", BinaryMessage, make([]byte, 100_000))},
	{"WriteMessage, close", limitedWrite("WriteMessage", CloseMessage, nil)},
	{"NextWriter", limitedWrite("NextWriter", TextMessage, []byte("never"))},
	{"WriteJSON", limitedWrite("WriteJSON", TextMessage, []byte("never"))},
	{"WritePreparedMessage", limitedWrite("WritePreparedMessage", TextMessage, []byte("never"))},
}

func limitedWrite(way string, messageType int, p []byte) func(c *Conn, deadline time.Time) error {
	return func(c *Conn, deadline time.Time) error {
		c.SetWriteDeadline(deadline)
		return answers[way](c, messageType, p)
	}
}

// wantWriteTimeouts makes each of these writes, which end at their deadlines.
func wantWriteTimeouts(b *bubble) {
	b.Helper()
	for _, w := range limitedWrites {
		var err error
		if d := took(func() { err = w.write(b.c, time.Now().Add(time.Second)) }); !isWriteTimeout(err) || d != time.Second {
			b.Errorf("%s: got %v after %v, want a write timeout after 1s", w.name, err, d)
		}
	}
	b.c.SetWriteDeadline(time.Time{})
}

// takeoverTexts are messages that resemble each other.
var takeoverTexts = [][]byte{textLike(1000, 1), textLike(1000, 2), textLike(1000, 3), textLike(3000, 2)}

// wantInflated writes the messages, and checks that the peer gets them.
func wantInflated(t testing.TB, c, peer *Conn, messages ...[]byte) {
	t.Helper()
	for _, way := range []string{"WriteMessage", "NextWriter", "WritePreparedMessage"} {
		for i, want := range messages {
			if err := answers[way](c, TextMessage, want); err != nil {
				t.Fatalf("%s: message %d: got %v, want nil", way, i, err)
			}
			if _, p, err := peer.ReadMessage(); !bytes.Equal(p, want) || err != nil {
				t.Fatalf("%s: message %d: got %d bytes, %v, want %d", way, i, len(p), err, len(want))
			}
		}
	}
}

// wantTimeoutsWithin has the writes of these messages time out.
func wantTimeoutsWithin(t testing.TB, c *Conn, timeout time.Duration) {
	t.Helper()
	for _, way := range []string{"WriteMessage", "NextWriter", "WritePreparedMessage"} {
		for _, p := range takeoverTexts {
			wantWriteTimeout(t, way, limitedWrite(way, TextMessage, p)(c, time.Now().Add(timeout)))
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
				wantWriteTimeouts(b)
				wantTimeoutsWithin(b, b.c, time.Second)
				b.c.SetWriteDeadline(time.Time{})
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
			for _, w := range limitedWrites {
				wantWriteTimeout(t, w.name, w.write(c, time.Unix(1, 0)))
			}
			wantTimeoutsWithin(t, c, -time.Second)
			c.SetWriteDeadline(time.Time{})
			wantInflated(t, c, peer, takeoverTexts...)
		})
	}
}

// A network of the kernel that is full: writes time out and have done nothing, and neither a read nor NetConn
// waits. Of goroutines that write at the same time, the messages of those whose time passes never arrive, and
// all others do.
func TestFullKernel(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		for _, w := range limitedWrites {
			wantWriteTimeout(t, w.name, w.write(c, time.Now().Add(2*time.Millisecond)))
		}
		c.SetWriteDeadline(time.Time{})
		c.Cork()
		wantWrite(t, c, "corked")
		within(t, "NetConn", func() error { c.NetConn(); return nil })
		if !c.send.hasUnsent() {
			t.Error("got nothing unsent, want what the network does not take")
		}

		const n = 20
		want := []string{"1 corked"}
		late, others := make(chan error, n), make(chan error, n)
		for i := range n {
			text := fmt.Sprint("message ", i)
			deadline := time.Now().Add(time.Duration(1+i*7%n) * time.Millisecond)
			go func() { late <- c.WriteControl(PingMessage, []byte(text), deadline) }()
			go func() { others <- c.WriteMessage(TextMessage, []byte(text)) }()
			want = append(want, "1 "+text)
		}
		for range n {
			wantWriteTimeout(t, "a call whose time passes", <-late)
		}
		peer.drain(t)
		for range n {
			if err := <-others; err != nil {
				t.Fatalf("got %v, want nil", err)
			}
		}
		if err := c.Flush(); err != nil {
			t.Errorf("Flush: got %v, want nil", err)
		}
		peer.wantAll(t, "without those whose time has passed", want...)
		wantWrite(t, c, "later")
		peer.want(t, "the connection is good", "1 later")
	})
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		tt := endings[1]
		peer.send(t, pingFrame("p"), textFrame("a"), tt.frame)
		if err := within(t, "the read", func() error { return readText(c, "a") }); err != nil {
			t.Fatalf("got %v, want the message behind the ping", err)
		}
		err := within(t, "the read", func() error { return third(c.ReadMessage()) })
		if err == nil || err.Error() != tt.err {
			t.Errorf("got %v, want %s", err, tt.err)
		}
		peer.drain(t)
		peer.want(t, "the network is free", "10 p", tt.reply)
	})
}

func third(_ int, _ []byte, err error) error { return err }

// Close wakes writers that wait for the network, and is bounded then, too.
func TestCloseDuringAWrite(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.full()
		results := make(chan error, 3)
		for range cap(results) {
			go func() { results <- b.c.WriteMessage(TextMessage, make([]byte, 1000)) }()
		}
		synctest.Wait()
		if d := took(func() {
			b.c.Close()
			for range cap(results) {
				if err := <-results; !errors.Is(err, net.ErrClosed) {
					b.Errorf("got %v, want net.ErrClosed", err)
				}
			}
		}); d > time.Second {
			b.Errorf("got a wait of %v, want at most 1s", d)
		}
	})
}

// Over the kernel's transports and TLS it is bounded, too, in real time, which passes for all of them at once.
func TestCloseIsBoundedOverTheKernel(t *testing.T) {
	var all sync.WaitGroup
	defer all.Wait()
	for name, wrap := range map[string]func(near, far net.Conn) net.Conn{
		"tcp":     func(near, _ net.Conn) net.Conn { return near },
		"wrapped": func(near, _ net.Conn) net.Conn { return wrappedConn{near} },
		"tls":     func(near, far net.Conn) net.Conn { near, _ = overTLS(t, near, far); return near },
	} {
		near := wrap(tcpPair(t))
		smallBuffer(near)
		c := newConn(near, true, nil, connOptions{})
		s := NewStream(c, BinaryMessage)
		s.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := s.Write(make([]byte, 16<<20)); err == nil {
			t.Fatalf("%s: the network has taken %d bytes", name, n)
		}
		all.Go(func() {
			start := time.Now()
			c.Close()
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("%s: got a wait of %v, want 1s", name, d)
			}
		})
	}
}

// What is corked, and replies, arrive though the program calls Close at once, or ends the network connection
// when Flush has returned: then the network has everything.
func TestCorkedFramesArrive(t *testing.T) {
	for name, end := range map[string]func(c *Conn) error{
		"Close": (*Conn).Close,
		"Flush": func(c *Conn) error { return errors.Join(c.Flush(), c.NetConn().Close()) },
	} {
		eachLink(t, func(t *testing.T, l testLink) {
			for range 10 {
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
		for i := range 12 {
			c, peer := l.conn(t, connOptions{})
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
			tt := endings[i%len(endings)]
			peer.send(t, tt.frame)
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

// messageWrites are the calls that wait behind an open message: those without NextWriter, which would finish that.
func messageWrites() map[string]func(c *Conn) error {
	calls := map[string]func(c *Conn) error{
		"WriteMessage, 1 MB": func(c *Conn) error { return c.WriteMessage(TextMessage, make([]byte, 1<<20)) },
	}
	for name, way := range answers {
		if name != "WriteControl" && name != "ReadFrom" && !strings.HasPrefix(name, "NextWriter") {
			calls[name] = func(c *Conn) error { return way(c, TextMessage, nil) }
		}
	}
	return calls
}

// Whatever ends the writing, the writers that wait behind a message that is open are told so at
// once, and no writer can be had any more.
func TestEndWakesWaitingWriters(t *testing.T) {
	shutdown := func(b *bubble) { go b.c.Shutdown(b.Context(), CloseNormalClosure, "") }
	writeClose := func(way string) func(b *bubble) {
		return func(b *bubble) { answers[way](b.c, CloseMessage, nil) }
	}
	for name, tt := range map[string]struct {
		end  func(b *bubble)
		want error
	}{
		"Close":                       {func(b *bubble) { b.c.Close() }, net.ErrClosed},
		"the peer's Close frame":      {func(b *bubble) { b.send(peerClose) }, ErrCloseSent},
		"a rule that the peer breaks": {func(b *bubble) { b.send(endings[1].frame) }, ErrCloseSent},
		"keepalive":                   {func(*bubble) { time.Sleep(14 * time.Second) }, nil}, // the error of the read
		"WriteControl":                {func(b *bubble) { b.c.WriteControl(CloseMessage, nil, time.Time{}) }, ErrCloseSent},
		"WriteMessage":                {writeClose("WriteMessage"), ErrCloseSent},
		"WritePreparedMessage":        {writeClose("WritePreparedMessage"), ErrCloseSent},
		"Shutdown":                    {shutdown, ErrCloseSent},
	} {
		for _, source := range []bool{false, true} { // the writer reads from one that blocks
			t.Run(fmt.Sprintf("%s, source %t", name, source), func(t *testing.T) {
				eachPipe(t, keepaliveOptions, func(b *bubble) {
					readErr := make(chan error, 1)
					go func() { readErr <- third(b.c.ReadMessage()) }()
					w, err := b.c.NextWriter(TextMessage)
					if err != nil {
						b.Fatal(err)
					}
					blocked, release := io.Pipe()
					if source {
						go w.(io.ReaderFrom).ReadFrom(blocked)
					} else {
						w.Write([]byte("not sent"))
					}
					b.Cleanup(func() { release.Close() })
					synctest.Wait()
					calls := messageWrites()
					results := make(chan func(), len(calls)) // each checks one
					want := tt.want
					for call, write := range calls {
						go func() {
							err := write(b.c)
							at := time.Since(b.start)
							results <- func() {
								ok := err == want || want == net.ErrClosed && errors.Is(err, want)
								if !ok || at > 0 && tt.want != nil || at != 14*time.Second && tt.want == nil {
									b.Errorf("%s: got %v after %v, want %v", call, err, at, want)
								}
							}
						}()
					}
					synctest.Wait()
					tt.end(b)
					synctest.Wait()
					if want == nil {
						want = <-readErr
						wantKeepaliveError(b, "the reading", want, "4s")
					}
					if n := len(results); n != len(calls) {
						b.Fatalf("got %d writes that wait still, want none", len(calls)-n)
					}
					for range calls {
						(<-results)()
					}
					if source {
						return
					}
					if _, err := b.c.NextWriter(TextMessage); !errors.Is(err, want) {
						b.Errorf("NextWriter: got %v, want %v", err, want)
					}
				})
			})
		}
	}
}

// After Close nothing can be written, whichever call is the first to find out.
func TestEveryWriteAfterClose(t *testing.T) {
	calls := messageWrites()
	calls["NextWriter"] = func(c *Conn) error { return second(c.NextWriter(TextMessage)) }
	calls["NextWriter, ping"] = func(c *Conn) error { return second(c.NextWriter(PingMessage)) }
	calls["WriteControl"] = func(c *Conn) error { return c.WriteControl(PingMessage, nil, time.Time{}) }
	calls["WriteControl, close"] = func(c *Conn) error {
		return c.WriteControl(CloseMessage, nil, time.Now().Add(time.Hour))
	}
	calls["Ping"] = func(c *Conn) error { return second(c.Ping(context.Background())) }
	eachLink(t, func(t *testing.T, l testLink) {
		for name, call := range calls {
			c, _ := l.conn(t, connOptions{})
			c.Close()
			for range 2 {
				if err := call(c); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: got %v, want net.ErrClosed", name, err)
				}
			}
		}
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
				later := c.WriteMessage(BinaryMessage, nil)
				if err != io.ErrShortWrite || later != io.ErrShortWrite || writes != short {
					t.Errorf("%d bytes, write %d: got %v, later %v, and %d writes, want %v twice, and none behind it",
						size, short, err, later, writes, io.ErrShortWrite)
				}
			}
		}
	})
}

// A wrapper may return a negative number of bytes with its timeout: nothing has left.
func TestWriteOfANegativeNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []byte
		c, _ := newWriteFuncConn(t, true, func(p []byte) (int, error) {
			if len(p) == 3 {
				time.Sleep(time.Second)
				return -1, os.ErrDeadlineExceeded
			}
			sent = append(sent, p...)
			return len(p), nil
		})
		c.SetWriteDeadline(time.Now().Add(time.Second))
		wantWriteTimeout(t, "three bytes", c.WriteMessage(TextMessage, []byte("a")))
		c.SetWriteDeadline(time.Time{})
		wantWrite(t, c, "bc")
		if want := "\x81\x02bc"; string(sent) != want {
			t.Errorf("got %q, want %q", sent, want)
		}
	})
}

// If the network fails when a corked message is to leave together with the reply to the peer's
// Close frame, Flush and Shutdown say that the message is lost.
func TestLossBehindTheReplyToAClose(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, peer := newWriteFuncConn(t, server, func([]byte) (int, error) { return 0, errMine })
			c.Cork()
			wantWrite(t, c, "lost")
			peer.Write(peerFrames(server, peerClose))
			var closed *CloseError
			if _, _, err := c.ReadMessage(); !errors.As(err, &closed) {
				t.Errorf("read: got %v, want a *CloseError", err)
			}
			if err := c.Flush(); err != errMine {
				t.Errorf("Flush: got %v, want %v", err, errMine)
			}
			if err := c.Shutdown(t.Context(), CloseNormalClosure, ""); err != errMine {
				t.Errorf("Shutdown: got %v, want %v", err, errMine)
			}
		})
	})
}

// lookedAtContext calls looked when Done is called.
type lookedAtContext struct {
	*countedContext
	looked func()
}

func (c lookedAtContext) Done() <-chan struct{} {
	c.looked()
	return c.countedContext.Done()
}

// Close that comes just before a write registers with its context leaves nothing registered.
func TestCloseBeforeAWriteRegisters(t *testing.T) {
	c, _ := newTestConn(t, true)
	ctx := lookedAtContext{newCountedContext(), func() {
		if c.send.lock.has(stateLocked) && c.send.lock.phase() == phaseOpen {
			c.Close()
		}
	}}
	if err := c.WriteMessageContext(ctx, TextMessage, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
	ctx.want(t, "after Close", 0, ctx.total)
}

// While one goroutine flushes to a slow network, the context of another is heeded.
func TestCorkAndContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 4)
		c := newQuickConn(a, true, nil, connOptions{})
		writeCorked(t, c)
		flushed := make(chan error)
		go func() { flushed <- c.Flush() }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.WriteMessageContext(ctx, TextMessage, nil); err != context.DeadlineExceeded {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}
		l := &loggedConn{pipeConn: &pipeConn{in: wire.out, out: wire.in}}
		if got := drainFrames(t, l, 3); got != "1 a|1 b|1 c" {
			t.Errorf("got %q, want a, b and c", got)
		}
		if err := <-flushed; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}

// After a write has failed, the reader still waits for what the peer sends: nothing that was reported as written is
// lost.
func TestReadingGoesOnAfterAFailedWrite(t *testing.T) {
	for _, takes := range []int{0, 1} { // of the frame that fails
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 1<<10)
			failing := &failsLater{pipeConn: near, takes: takes}
			c := newConn(failing, true, nil, connOptions{})
			if err := c.WriteMessage(TextMessage, []byte("sent")); err != nil {
				t.Fatal(err)
			}
			failing.fails = true
			if err := c.WriteMessage(TextMessage, []byte("lost")); err != errMine {
				t.Errorf("got %v, want that of the network", err)
			}
			read := begin(t, func() (string, error) {
				_, p, err := c.ReadMessage()
				return string(p), err
			})
			synctest.Wait()
			far.Write(closingFrame(true, "\x81later"))
			if synctest.Wait(); read.err != nil || read.result != "later" {
				t.Errorf("%d bytes have left: got %q, %v, want later", takes, read.result, read.err)
			}
		})
	}
}

// failsLater is a connection whose writes fail once fails is set, having taken some bytes.
type failsLater struct {
	*pipeConn
	takes int
	fails bool
}

func (c *failsLater) Write(p []byte) (int, error) {
	if !c.fails {
		return c.pipeConn.Write(p)
	}
	n, _ := c.pipeConn.Write(p[:min(c.takes, len(p))])
	return n, errMine
}
