//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answers are all ways to answer a message.
var answers = func() map[string]func(c *Conn, messageType int, p []byte) error {
	m := map[string]func(c *Conn, messageType int, p []byte) error{
		"WriteJSON": func(c *Conn, _ int, p []byte) error { return c.WriteJSON(len(p)) },
		"WriteControl": func(c *Conn, _ int, p []byte) error {
			return c.WriteControl(PingMessage, p, time.Now().Add(time.Hour))
		},
	}
	for _, w := range sendWays {
		m[w.name] = w.write
	}
	return m
}()

// readOn is an answer that says nothing.
func readOn(*Conn, int, []byte) error { return nil }

// numbered returns n short messages.
func numbered(n int) (payloads []string) {
	for i := range n {
		payloads = append(payloads, fmt.Sprint("m", i))
	}
	return payloads
}

// eachLogged runs f for a server and a client to which the frames have come at once, in a bubble.
func eachLogged(t *testing.T, o connOptions, came []peerFrame, f func(t *testing.T, c *Conn, wire *loggedConn)) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, o, came...)
			f(t, c, wire)
		})
	})
}

// The answers to messages that have come at once leave at once, in order, in whichever
// way they are written, and no time passes. "WriteThrough sends each message when it is written."
func TestBurstIsAnsweredInOneWrite(t *testing.T) {
	const n = 20
	for name, way := range answers {
		var want []string
		for _, p := range numbered(n) {
			switch name {
			case "WriteJSON":
				want = append(want, fmt.Sprintf("1 %d\n", len(p)))
			case "WriteControl":
				want = append(want, "9 "+p)
			default:
				want = append(want, "1 "+p)
			}
		}
		for _, through := range []bool{true, false} {
			if !through {
				want = []string{strings.Join(want, "|")}
			}
			o := connOptions{writeThrough: through}
			eachLogged(t, o, texts(numbered(n)...), func(t *testing.T, c *Conn, wire *loggedConn) {
				if d := took(func() { answer(t, c, n, way) }); d != 0 {
					t.Errorf("%s: got a wait of %v, want none", name, d)
				}
				synctest.Wait()
				wire.wantWrites(t, name, want...)
				c.wantNothingUnsent(t)
				c.Close()
			})
		}
	}
}

// Over the kernel's connections it is the same, and over TLS it is one record: one read of the peer brings what
// one write has sent. In the bubble the clock stands still while the kernel is waited for, so that no answer is
// held too long, however slow the machine is.
func TestBurstOverTheKernel(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		near, far := l.pair(t)
		synctest.Test(t, func(t *testing.T) {
			c := newQuickConn(near, l.server, nil, connOptions{})
			const n = 8
			go answer(t, c, n, writeBack)
			far.Write(peerFrames(l.server, texts(numbered(n)...)...))
			b := make([]byte, 4096)
			m, err := far.Read(b)
			if want := "1 " + strings.Join(numbered(n), "|1 "); err != nil || describeFrames(t, b[:m]) != want {
				t.Errorf("got %q at once, %v, want %q", describeFrames(t, b[:m]), err, want)
			}
		})
	})
}

// Compressed answers wait, too, with context takeover and without.
func TestBurstCompressed(t *testing.T) {
	const n = 20
	var messages [][]byte
	var came []peerFrame
	for i := range n {
		messages = append(messages, textLike(1000, uint64(i)))
		came = append(came, textFrame(string(messages[i])))
	}
	for _, takeover := range []bool{false, true} {
		o := attack{compression: &CompressionOptions{ContextTakeover: takeover}}.options(t, connOptions{})
		eachLogged(t, o, came, func(t *testing.T, c *Conn, wire *loggedConn) {
			answer(t, c, n, writeBack)
			if got := len(wire.log); got != 1 {
				t.Errorf("takeover=%v: got %d writes for %d messages, want 1", takeover, got, n)
			}
			wantSent(t, wire.peer(), &strictInflater{bits: maxWindowBits, takeover: takeover}, messages...)
		})
	}
}

// That the answers wait is earned: a connection whose last burst was not handled quickly, and a new
// one, send each answer when it is written.
func TestBurstIsEarned(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			c.burst = burst{} // as that of a new one
			var pause time.Duration
			go answer(t, c, 6*3, func(c *Conn, messageType int, p []byte) error {
				time.Sleep(pause)
				return c.WriteMessage(messageType, p)
			})
			each, together := []string{"1 a", "1 b", "1 c"}, []string{"1 a|1 b|1 c"}
			const limit = quickMessage * time.Microsecond
			for _, tt := range []struct {
				name  string
				pause time.Duration
				want  []string
			}{
				{"the first of a new connection", 0, each},
				{"the first was handled quickly", limit, together},
				{"the second, too, just in time", limit + time.Microsecond, together},
				{"the third was not", 0, each},
				{"the fourth was again", 0, together},
				{"and so was the fifth", 0, together},
			} {
				synctest.Wait()
				pause = tt.pause
				wire.peer().Write(peerFrames(server, texts("a", "b", "c")...))
				time.Sleep(time.Second)
				wire.wantWrites(t, tt.name, tt.want...)
			}
		})
	})
}

// At most 16 KiB wait. The last answer of a burst, which does not wait, leaves with those that do, also where they
// have 16 KiB only together.
func TestBurstSize(t *testing.T) {
	for _, tt := range []struct {
		n, size     int
		later       bool // they come to a read that waits
		writes, max int  // at most, and the bytes of the largest
	}{
		{16, 1 << 10, false, 1, 16 * (1<<10 + maxHeaderSize)},
		{3, maxCopied/2 - maxHeaderSize, false, 1, 2 * maxCopied},
		{2, maxCopied - maxHeaderSize, false, 1, 2 * maxCopied},
		{100, 1000, false, 100*1014/(maxCopied-1000-maxHeaderSize) + 1, maxCopied},
		{20, 300, true, 5, maxCopied}, // a larger buffer is read behind one that came back full
	} {
		payloads := texts(slices.Repeat([]string{strings.Repeat("x", tt.size)}, tt.n)...)
		early := payloads
		if tt.later {
			early = nil
		}
		eachLogged(t, connOptions{readBufferSize: 64 << 10}, early, func(t *testing.T, c *Conn, wire *loggedConn) {
			if tt.later {
				wire.peer().Write(peerFrames(c.recv.server, payloads...))
			}
			answer(t, c, tt.n, writeBack)
			for _, b := range wire.log {
				if len(b) > tt.max {
					t.Errorf("%d of %d bytes: got a write of %d bytes, want at most %d", tt.n, tt.size, len(b), tt.max)
				}
			}
			writes := wire.take(t)
			each := fmt.Sprintf("1 %d bytes", tt.size)
			if got := strings.Join(writes, "|"); got != strings.Join(slices.Repeat([]string{each}, tt.n), "|") {
				t.Errorf("got %q, want %d messages", got, tt.n)
			}
			if len(writes) > tt.writes {
				t.Errorf("%d of %d bytes: got %d writes, want at most %d", tt.n, tt.size, len(writes), tt.writes)
			}
		})
	}
}

// A frame that does not wait leaves behind the frames that do, a small one in the same write. However a connection is
// closed, corked frames are sent before, and so they are before a reader waits that has answered some of a burst only.
func TestBurstEndsEarly(t *testing.T) {
	type ending struct {
		call       func(c *Conn) error
		first, all string // the writes, the first only if it matters
	}
	endings := map[string]ending{
		"large message": {func(c *Conn) error { return c.WriteMessage(BinaryMessage, make([]byte, 17<<10)) },
			"1 a", "1 a|2 17408 bytes"},
		"large fragment": {func(c *Conn) error {
			w, _ := c.NextWriter(BinaryMessage)
			return second(w.Write(make([]byte, 20<<10)))
		}, "1 a", "1 a|2 20480 bytes"},
		"context": {func(c *Conn) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			return c.WriteMessageContext(ctx, TextMessage, []byte("b"))
		}, "1 a|1 b", "1 a|1 b"},
		"Flush":        {(*Conn).Flush, "", "1 a"},
		"Close":        {(*Conn).Close, "", "1 a"},
		"stream":       {func(c *Conn) error { return NewStream(c, TextMessage).Close() }, "", "1 a|8 \x03\xe8"},
		"WriteMessage": {func(c *Conn) error { return c.WriteMessage(CloseMessage, nil) }, "1 a|8 ", "1 a|8 "},
		"WriteControl": {func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) }, "1 a|8 ", "1 a|8 "},
		"Shutdown": {func(c *Conn) error {
			c.Shutdown(context.Background(), CloseGoingAway, "")
			return nil
		}, "", "1 a|8 \x03\xe9"},
		"Group.Shutdown": {func(c *Conn) error {
			var g Group
			g.enter()
			g.join(c)
			g.leave(c)
			g.Shutdown(context.Background())
			return nil
		}, "", "1 a|8 \x03\xe9"},
		"ReadJSON": {func(c *Conn) error { return c.ReadJSON(new(any)) }, "", "1 a"},
	}
	for _, way := range receiveWays {
		endings[way.name] = ending{func(c *Conn) error { return second3(way.read(c)) }, "", "1 a"}
	}
	for name, tt := range endings {
		eachLogged(t, connOptions{}, texts("a", "y"), func(t *testing.T, c *Conn, wire *loggedConn) {
			answer(t, c, 1, writeBack)
			if strings.Contains(name, "Read") || strings.HasPrefix(name, "Append") {
				answer(t, c, 1, readOn)
			}
			wire.wantWrites(t, name+" is still to be called")
			var err error
			go func() { err = tt.call(c) }()
			synctest.Wait() // no time passes
			if err != nil {
				t.Errorf("%s: got %v, want nil", name, err)
			}
			first, all := describeFrames(t, wire.log[0]), describeFrames(t, slices.Concat(wire.log...))
			if wire.log = nil; all != tt.all || tt.first != "" && first != tt.first {
				t.Errorf("%s: got %q, of which %q first, want %q, and %q", name, all, first, tt.all, tt.first)
			}
			c.wantNothingUnsent(t)
			c.Close()
			time.Sleep(time.Second)
			wire.wantWrites(t, name+", later")
		})
	}
}

// What others write in the meantime, and the frames of a stream, leave behind the frames that wait.
func TestBurstAndOthers(t *testing.T) {
	eachLogged(t, connOptions{}, texts("x", "y"), func(t *testing.T, c *Conn, wire *loggedConn) {
		answer(t, c, 1, writeBack)
		go func() {
			wantWrite(t, c, "other")
			c.WriteControl(PongMessage, []byte("its"), time.Time{})
			if n, err := NewStream(c, TextMessage).Write([]byte("stream")); n != 6 || err != nil {
				t.Errorf("got %d, %v, want 6, nil", n, err)
			}
		}()
		synctest.Wait()
		wire.wantWrites(t, "y is still to be read")
		time.Sleep(corkTime)
		synctest.Wait()
		wire.wantWrites(t, "in order", "1 x|1 other|10 its|1 stream")
		c.wantNothingUnsent(t)
	})
}

// A message of which only a part has come may take its time: nothing waits for it.
func TestNothingWaitsForAnIncompleteFrame(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		all := peerFrames(server, texts("one", "two")...)
		for cut := len(all) / 2; cut < len(all); cut++ {
			a, _ := newPipe(t, 1<<20)
			wire := &loggedConn{pipeConn: a}
			answer(t, newQuickConn(wire, server, all[:cut], connOptions{}), 1, writeBack)
			wire.wantWrites(t, fmt.Sprintf("with %d of %d bytes", cut, len(all)), "1 one")
		}
	})
}

// A program that does not read the messages that have come delays its own by 200
// microseconds, from the first that is corked, and once: then it reads no burst.
func TestBurstTime(t *testing.T) {
	eachLogged(t, connOptions{}, texts("x", "y", "z"), func(t *testing.T, c *Conn, wire *loggedConn) {
		for _, next := range []string{"x", "y"} {
			answer(t, c, 1, writeBack)
			time.Sleep(150 * time.Microsecond)
			wantWrite(t, c, "later")
			time.Sleep(50*time.Microsecond - 1)
			wire.wantWrites(t, next+", before the time is up")
			time.Sleep(1)
			synctest.Wait()
			wire.wantWrites(t, next+", when it is up", "1 "+next+"|1 later")
			c.wantNothingUnsent(t)
			wantWrite(t, c, "at once")
			wire.wantWrites(t, next+", afterwards", "1 at once")
		}
	})
}

// What comes between the messages of a burst is answered in its place: pings, and at the end the peer's Close
// frame, or a frame that breaks a rule.
func TestControlFramesWithinABurst(t *testing.T) {
	for name, tt := range map[string]struct {
		came []peerFrame
		end  string // of the reading; none if ""
		want string
	}{
		"pings": {[]peerFrame{textFrame("a"), pingFrame("p"), textFrame("b"), pingFrame("q"), pingFrame("r"), textFrame("c")},
			"", "1 a|10 p|1 b|10 q|10 r|1 c"},
		"a Close frame": {append(texts("a", "b", "c"), peerClose), "websocket: close 1000 (normal): bye",
			"1 a|1 b|1 c|8 \x03\xe8"},
		"a verdict": {append(texts("a", "b", "c"), textFrame("\xff")), errInvalidUTF8.Error(), "1 a|1 b|1 c|8 25 bytes"},
	} {
		eachLogged(t, connOptions{}, tt.came, func(t *testing.T, c *Conn, wire *loggedConn) {
			start := time.Now()
			answer(t, c, 3, writeBack)
			if tt.end != "" {
				if _, _, err := c.ReadMessage(); err == nil || err.Error() != tt.end {
					t.Errorf("%s: got %v, want %s", name, err, tt.end)
				}
			}
			synctest.Wait()
			wire.wantWrites(t, name, tt.want)
			if d := time.Since(start); d != 0 {
				t.Errorf("%s: got a wait of %v, want none", name, d)
			}
			if err := c.WriteMessage(TextMessage, nil); tt.end != "" && err != ErrCloseSent {
				t.Errorf("%s: got %v, want ErrCloseSent", name, err)
			}
			c.wantNothingUnsent(t)
		})
	}
}

// RFC 6455, 5.5.2: a ping must be answered; 5.5.3: that may be the last one only. So
// however many come behind a message whose answer waits, the last is answered.
func TestLastOfManyPingsIsAnswered(t *testing.T) {
	came := append(texts("a"), slices.Repeat([]peerFrame{pingFrame(strings.Repeat("x", 125))}, 1000)...)
	came = append(came, pingFrame("last"), textFrame("b"))
	eachLogged(t, connOptions{}, came, func(t *testing.T, c *Conn, wire *loggedConn) {
		answer(t, c, 2, writeBack)
		time.Sleep(corkTime)
		synctest.Wait()
		got := strings.Join(wire.take(t), "|")
		if !strings.HasPrefix(got, "1 a|10 ") || !strings.HasSuffix(got, "|10 last|1 b") {
			t.Errorf("got %d bytes that end in %q, want the pong of the last ping before b",
				len(got), got[max(0, len(got)-100):])
		}
	})
}

// A read does not wait for a network that does not take the answers. They leave when it
// does, in order, though the reader reads on.
func TestReaderDoesNotWaitForABurst(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		c.burst.quick = true
		peer.send(t, texts("x", "y")...)
		answer(t, c, 1, writeBack)
		answer(t, c, 1, readOn)
		for _, text := range []string{"a", "b", "c"} {
			for _, b := range peerFrames(peer.server, textFrame(text)) {
				peer.Write([]byte{b})
			}
			wantRead(t, c, text) // though nothing can leave
		}
		write := make(chan error)
		go func() { write <- c.WriteMessage(TextMessage, []byte("later")) }()
		peer.drain(t)
		peer.want(t, "the network takes them again", "1 x", "1 later")
		if err := <-write; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		c.wantNothingUnsent(t)
	})
}

// wantLost checks that reads say that corked messages are lost, which is final: it is no timeout.
func wantLost(t *testing.T, c *Conn, why string) {
	t.Helper()
	_, _, err := c.ReadMessage()
	const text = "websocket: messages that waited to be sent are lost: "
	var ne net.Error
	// Package net puts the addresses before the reason.
	lost, isLost := strings.CutPrefix(fmt.Sprint(err), text)
	if !isLost || lost != why && !strings.HasSuffix(lost, ": "+why) || errors.As(err, &ne) && ne.Timeout() {
		t.Fatalf("got %v, want %s%s, and no timeout", err, text, why)
	}
	if _, _, again := c.NextReader(); again != err {
		t.Errorf("got %v, want the same error", again)
	}
}

// An error of the network that ends the sending of a burst looks like any other.
func TestBurstAndABrokenNetwork(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c := newQuickConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
		answer(t, c, 1, writeBack)
		near.Close()
		answer(t, c, 1, readOn)
		var err error
		for err == nil { // the first may come before the error is known
			_, _, err = c.ReadMessage()
		}
		wantOpError(t, c.WriteMessage(TextMessage, nil), "write", near, net.ErrClosed.Error())
	})
	t.Run("reset by the peer", func(t *testing.T) { // the reader finds out when it flushes
		near, far := tcpPair(t)
		c := newQuickConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
		far.(*net.TCPConn).SetLinger(0)
		far.Close()
		io.ReadFull(near, make([]byte, 1)) // now the reset is here
		answer(t, c, 1, writeBack)
		answer(t, c, 1, readOn)
		wantLost(t, c, "broken pipe")
		wantOpError(t, c.WriteMessage(TextMessage, nil), "write", near, "broken pipe")
	})
}

// While the network is slow and many goroutines wait for the lock, frames are corked and flushed again and again
// before the lock is granted to the timer. There is one goroutine at most that flushes in place of a caller.
func TestOneFlusher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newBusyConn(t, true)
		c.send.lock.state.Or(stateMoreInput) // as if the reader had a burst in hand all the time
		c.send.lock.acquire(modeFrame, nil, &limit{})
		const n = 20
		for range n {
			begin(t, func() (string, error) { return "", c.WriteMessage(TextMessage, []byte("corked")) })
			synctest.Wait()
			begin(t, func() (string, error) { return "", c.Flush() })
			synctest.Wait()
		}
		c.send.unlock()
		stacks := make([]byte, 1<<20)
		for range n {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			all := string(stacks[:runtime.Stack(stacks, true)])
			flushers := 0
			for _, stack := range strings.Split(all, "\n\n") {
				if strings.Contains(stack, ".flushRest(") || strings.Contains(stack, ".flushCorked(") {
					flushers++
				}
			}
			if flushers > 1 {
				t.Fatalf("got %d goroutines that flush, want 1 at most", flushers)
			}
		}
		c.send.lock.clear(stateMoreInput)
	})
}

// A message that comes alone is no burst, and says nothing of how quickly messages are handled.
func TestBurstCountsItsMessages(t *testing.T) {
	var b burst
	for i, tt := range []struct {
		more bool // of the burst has come
		want uint16
	}{{false, 0}, {true, 1}, {false, 2}} {
		if b.delivered(tt.more); b.messages != tt.want {
			t.Errorf("message %d: got a burst of %d, want %d", i, b.messages, tt.want)
		}
	}
	b.end()
	if b.delivered(true); b.messages != 1 {
		t.Errorf("got a burst of %d, want 1", b.messages)
	}
	if b.end(); b.messages != 0 || !b.quick {
		t.Errorf("got %+v after the end, want a quick burst of nothing", b)
	}
}
