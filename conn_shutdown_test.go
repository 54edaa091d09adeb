//go:build go1.25

package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"
)

func rawFrame(masked bool, f string) []byte {
	b := peerFrames(masked, peerFrame{payload: f[1:]})
	b[0] = f[0]
	return b
}

func closeFrame(code int, text string) string {
	return "\x88" + string(FormatCloseMessage(code, text))
}

// closeSent is a Close frame that has come to the peer, as cutFrame describes it.
func closeSent(code int, text string) string { return "8 " + string(FormatCloseMessage(code, text)) }

// wantClosed says whether c has closed the network connection when everything waits.
func (b *bubble) wantClosed(why string, want bool) {
	b.Helper()
	synctest.Wait()
	if got := b.pipe.out.readClosed(); got != want {
		b.Fatalf("%s: got network connection closed %v, want %v", why, got, want)
	}
}

// wantClosedAt says when c closes the network connection.
func (b *bubble) wantClosedAt(at time.Time) {
	b.Helper()
	time.Sleep(time.Until(at) - 1)
	b.wantClosed("just before", false)
	time.Sleep(1)
	b.wantClosed("in time", true)
}

// call is a call that goes on in a goroutine of its own.
type call struct {
	t      *testing.T
	start  time.Time
	done   chan struct{}
	took   time.Duration
	result string
	err    error
}

// begin calls f. The bubble sees to it that it returns.
func begin(t *testing.T, f func() (string, error)) *call {
	c := &call{t: t, start: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.result, c.err = f()
		c.took = time.Since(c.start)
	}()
	return c
}

// inBackground is begin for a call that has no other result.
func inBackground(t *testing.T, f func() error) *call {
	return begin(t, func() (string, error) { return "", f() })
}

// over reports whether the call has returned when everything waits.
func (c *call) over() bool {
	synctest.Wait()
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *call) wantWaiting(why string) {
	c.t.Helper()
	if c.over() {
		c.t.Fatalf("%s: got %q, %v after %v, want the call to wait", why, c.result, c.err, c.took)
	}
}

// want waits for the call, and says when it returns and with what error; nil as text
// is "<nil>".
func (c *call) want(why string, took time.Duration, err string) {
	c.t.Helper()
	<-c.done
	if fmt.Sprint(c.err) != err || c.took != took && took != anyTime {
		c.t.Fatalf("%s: got %v after %v; want %s after %v", why, c.err, c.took, err, took)
	}
}

// anyTime says that it does not matter when a call returns.
const anyTime = -1

// wantIs is want with an error for errors.Is.
func (c *call) wantIs(why string, took time.Duration, err error) {
	c.t.Helper()
	<-c.done
	if !errors.Is(c.err, err) || c.took != took && took != anyTime {
		c.t.Fatalf("%s: got %v after %v; want %v after %v", why, c.err, c.took, err, took)
	}
}

// wantMessage says what a reading call returns at once.
func (c *call) wantMessage(why, message string) {
	c.t.Helper()
	if !c.over() || c.result != message || c.err != nil {
		c.t.Fatalf("%s: got %q, %v, want message %q at once", why, c.result, c.err, message)
	}
}

const noError = "<nil>"

func (b *bubble) shutdown(ctx context.Context, code int, reason string) *call {
	return inBackground(b.T, func() error { return b.c.Shutdown(ctx, code, reason) })
}

func (b *bubble) read() *call {
	return begin(b.T, func() (string, error) {
		_, p, err := b.c.ReadMessage()
		return string(p), err
	})
}

// handshake calls Shutdown, which sends some frames. The peer answers them, and ends the network connection.
func (b *bubble) handshake(ctx context.Context, name string, sent, answer []string, took time.Duration, err string) {
	b.Helper()
	shutdown := b.shutdown(ctx, CloseGoingAway, "")
	b.want(name, sent...)
	if answer != nil {
		shutdown.wantWaiting("the peer has not answered")
		b.sendRaw(answer...)
		b.want("RFC 6455, 5.5.1: nothing follows a Close frame, no pong and no other Close frame")
	}
	b.hangUp()
	shutdown.want(name, took, err)
	b.wantClosed("Shutdown closes the network connection", true)
}

// hangUp has the peer end the network connection when everything waits.
func (b *bubble) hangUp() {
	synctest.Wait()
	b.pipe.Close()
}

func wantErrorIs(t *testing.T, err error, wants ...error) {
	t.Helper()
	for _, want := range wants {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want errors.Is to find %v", err, want)
		}
	}
}

// errClosedPipe is what reads return after Close.
const errClosedPipe = "read pipe pipe->pipe: use of closed network connection"

// RFC 6455, 7.1.2 and 7.1.1: Shutdown sends a Close frame and waits for the peer's.
// Then the server closes the network connection at once, and the client waits for it.
func TestShutdown(t *testing.T) {
	for _, tt := range []struct {
		code      int
		sent, err string
	}{
		{CloseGoingAway, "8 \x03\xe9bye", noError},
		{-1, closeSent(CloseInternalServerErr, "bye"), "websocket: close code -1 must not be sent"},
	} {
		eachPipe(t, connOptions{}, func(b *bubble) {
			ctx := newCountedContext()
			shutdown := b.shutdown(ctx, tt.code, "bye")
			b.want("Shutdown begins with it", tt.sent)
			time.Sleep(time.Minute)
			shutdown.wantWaiting("the peer has not answered yet")
			b.wantClosed("the peer has not answered yet", false)

			b.sendRaw(closeFrame(CloseGoingAway, ""))
			b.wantClosed("the server closes first", b.server)
			took := time.Minute
			if !b.server {
				shutdown.wantWaiting("the server is to close first")
				time.Sleep(time.Second)
				b.pipe.Close()
				took += time.Second
			}
			shutdown.want("the handshake is complete", took, tt.err)
			b.wantClosed("Shutdown closes the network connection", true)
			b.want("nothing follows a Close frame")
			ctx.want(b.T, "a long-lived context does not keep the connection", 0, ctx.total)
		})
	}
}

// What must not be sent is repaired. RFC 6455, 7.4 and 5.5.
func TestShutdownRepairs(t *testing.T) {
	const notSent = "websocket: close code %d must not be sent"
	long, umlauts := strings.Repeat("x", 123), strings.Repeat("ä", 61)
	for _, tt := range []struct {
		code         int
		reason, sent string
		err          string
	}{
		{1000, "", "\x03\xe8", noError},
		{1014, "", "\x03\xf6", noError},
		{4999, umlauts + "!", "\x13\x87" + umlauts + "!", noError},
		{1005, "no code to go with it", "", noError},
		{1000, long, "\x03\xe8" + long, noError},
		{1000, long + "y", "\x03\xe8" + long, noError},
		{1000, umlauts + "ä", "\x03\xe8" + umlauts, noError},
		{1000, long[1:] + "ä", "\x03\xe8" + long[1:], noError},
		{1000, long[3:] + "\U0001F600", "\x03\xe8" + long[3:], noError},
		{1000, "\xff", "\x03\xe8\uFFFD", noError},
		{1000, "cut \xc3", "\x03\xe8cut \uFFFD", noError},
		{-1, "why", "\x03\xf3why", fmt.Sprintf(notSent, -1)},
		{1006, "", "\x03\xf3", fmt.Sprintf(notSent, 1006)},
		{65536 + 1000, "", "\x03\xf3", fmt.Sprintf(notSent, 65536+1000)},
	} {
		if payload, err := closePayload(tt.code, tt.reason); string(payload) != tt.sent || fmt.Sprint(err) != tt.err {
			t.Errorf("%d %q: got %q, %v, want %q, %s", tt.code, tt.reason, payload, err, tt.sent, tt.err)
		}
	}
}

// What the peer's answer makes of it, RFC 6455, 7.1.5 to 7.1.7. The limits and rules for messages hold for those
// that Shutdown discards. It runs none of the program's handlers: they would run at the same time as the
// program's own code, which a panic of theirs would end.
func TestShutdownAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer []string
		took   time.Duration
		want   string // of Shutdown
		read   string // the error of reads, where it is another one
	}{
		{"a code and a reason", []string{closeFrame(4000, "as you wish")}, 0, noError, "websocket: close 4000: as you wish"},
		{"no code", []string{closeFrame(CloseNoStatusReceived, "")}, 0, noError, "websocket: close 1005 (no status)"},
		{"a ping and a pong", []string{"\x89ping", "\x8apong", closeFrame(4000, "")}, 0, noError, "websocket: close 4000"},
		{"more after it", []string{closeFrame(4000, ""), "\xff what is this"}, 0, noError, "websocket: close 4000"},
		{"half a code", []string{"\x88\x03"}, 0, "websocket: payload of a close frame is 1 byte long", ""},
		{"garbage", []string{"GET / HTTP/1.1"}, 0, "websocket: reserved bit RSV1 is set", ""},
		{"no Close frame", []string{"\x8a"}, 0, "websocket: close 1006 (abnormal closure): unexpected EOF", ""},
		{"a long message", []string{"\x82" + string(make([]byte, 101))}, 0, "websocket: read limit exceeded", ""},
		{"bad text, discarded", []string{"\x81one", "\x81\xff"}, claimTime, "websocket: text is not valid UTF-8", textDiscarded},
		{"a bad fragment, discarded", []string{"\x81one", "\x80"}, claimTime,
			"websocket: continuation frame without a message to continue", textDiscarded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachPipe(t, connOptions{}, func(b *bubble) {
				b.c.SetReadLimit(100)
				b.c.SetPingHandler(func(string) error { panic("ping") })
				b.c.SetPongHandler(func(string) error { panic("pong") })
				b.c.SetCloseHandler(func(int, string) error { panic("close") })
				sent := []string{closeSent(CloseGoingAway, "")}
				b.handshake(b.Context(), tt.name, sent, tt.answer, tt.took, tt.want)
				for range 2 {
					read := b.read()
					read.want("a later read", 0, cmp.Or(tt.read, tt.want))
					closed := (*CloseError)(nil)
					if errors.As(read.err, &closed) != strings.HasPrefix(read.err.Error(), "websocket: close ") {
						b.Errorf("got %T, want a *CloseError where the peer has closed", read.err)
					}
				}
			})
		})
	}
}

// What has happened before leaves Shutdown the rest.
func TestShutdownAfter(t *testing.T) {
	peerCloses := func(b *bubble) {
		b.sendRaw(closeFrame(4000, ""))
		b.read().want("the peer's Close frame", 0, "websocket: close 4000")
		b.want("the answer", closeSent(4000, ""))
	}
	for _, tt := range []struct {
		name         string
		before       func(b *bubble)
		ended        bool     // the context of Shutdown
		sent, answer []string // by Shutdown, and by the peer
		err          string
	}{
		{"the peer has closed: nothing is left to do", peerCloses, false, nil, nil, noError},
		{"a handshake that is complete needs no time", peerCloses, true, nil, nil, noError},
		{"there is no time for a handshake", func(*bubble) {}, true, nil, nil, "websocket: context canceled: mine"},
		{"the peer's Close frame is unread: the two cross", sends(closeFrame(4000, "")), false,
			[]string{closeSent(CloseGoingAway, "")}, nil, noError},
		{"Close", func(b *bubble) { b.c.Close() }, false, nil, nil,
			"write pipe pipe->pipe: use of closed network connection"},
		{"Close in a handler, which is still at work: Shutdown does not wait for it", func(b *bubble) {
			closeDuringHandler(b)
			b.want("the program's Close frame", "8 ")
		}, false, nil, nil, errClosedPipe},
		{"the program's Close frame has left: it is the only one", func(b *bubble) {
			b.c.WriteControl(CloseMessage, FormatCloseMessage(4001, "mine"), time.Time{})
		}, false, []string{closeSent(4001, "mine")}, []string{closeFrame(4001, "")}, noError},
		{"the writing has failed, so that no Close frame can leave", func(b *bubble) {
			b.c.send.lock.end(phaseFailed, errMine, nil)
		}, false, nil, nil, "mine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachPipe(t, connOptions{}, func(b *bubble) {
				tt.before(b)
				ctx := b.Context()
				if tt.ended {
					ctx = cancelled(errMine)
				}
				b.handshake(ctx, tt.name, tt.sent, tt.answer, 0, tt.err)
				b.shutdown(ctx, CloseGoingAway, "").want("again", 0, tt.err)
			})
		})
	}
}

// The peer should end the network connection, but is not waited for long, nor longer than the context goes on,
// whose end changes nothing about the result. A later call waits with the first, and does not begin anew. The program's
// reads know already.
func TestShutdownLingers(t *testing.T) {
	const broken = "websocket: reserved bit RSV1 is set"
	for _, tt := range []struct{ answer, want, read string }{
		{closeFrame(1000, ""), noError, "websocket: close 1000 (normal)"},
		{"\xf2", broken, broken},
	} {
		for _, limit := range []time.Duration{time.Minute, time.Second} {
			eachPipe(t, connOptions{}, func(b *bubble) {
				step := min(limit, lingerTime) / 30
				if b.server && tt.want == noError {
					return // it is to close first
				}
				ctx, cancel := context.WithTimeout(b.Context(), limit)
				defer cancel()
				first := b.shutdown(ctx, CloseNormalClosure, "")
				b.sendRaw(tt.answer)
				var later []*call
				for i := range 29 {
					time.Sleep(step)
					b.sendRaw("\x82 what comes now does not matter")
					if i == 9 || i == 19 {
						later = append(later, b.shutdown(b.Context(), CloseNormalClosure, ""))
						b.read().want("it is over", 0, tt.read)
					}
				}
				b.wantClosed("the time is not over", false)
				first.want("the peer never ends it", min(limit, lingerTime), tt.want)
				later[0].want("a later call", min(limit, lingerTime)-10*step, tt.want)
				later[1].want("another one", min(limit, lingerTime)-20*step, tt.want)
				b.wantClosed("Shutdown closes the network connection", true)
			})
		}
	}
}

// Both sides call Shutdown at once, and neither reads before the other does: on a network with room, on one that
// holds nothing, and on one that is full of messages that nobody reads.
func TestShutdownBothAtOnce(t *testing.T) {
	for _, name := range []string{"room", "no room", "full"} {
		synctest.Test(t, func(t *testing.T) {
			var near, far net.Conn = newPipe(t, 1000)
			if name == "no room" {
				near, far = net.Pipe()
			}
			took := time.Duration(0)
			var calls []*call
			for _, c := range []*Conn{newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})} {
				if name == "full" {
					took = claimTime // in which the program could read the message
					write := func() error { return c.WriteMessage(BinaryMessage, make([]byte, 10_000)) }
					calls = append(calls, inBackground(t, write))
					calls[len(calls)-1].wantWaiting("there is no room for the message")
				}
				shutdown := func() error { return c.Shutdown(t.Context(), CloseNormalClosure, "") }
				calls = append(calls, inBackground(t, shutdown))
			}
			for _, c := range calls {
				c.want(name, took, noError)
			}
		})
	}
}

// failingConn is a connection whose writes fail, having taken some bytes.
type failingConn struct {
	*pipeConn
	takes int
}

func (c failingConn) Write(p []byte) (int, error) {
	n, _ := c.pipeConn.Write(p[:min(c.takes, len(p))])
	return n, errMine
}

// A Close frame that cannot leave has no answer: Shutdown says so at once, whether or not the program reads. The
// peer's Close frame alone is not a handshake.
func TestShutdownCloseFrameCannotLeave(t *testing.T) {
	for name, before := range map[string]func(b *bubble){
		"nobody reads":    func(*bubble) {},
		"the program":     func(b *bubble) { b.read().wantWaiting("nothing has come") },
		"the peer closes": sends(closeFrame(CloseNormalClosure, "")),
	} {
		for _, n := range []int{0, 2} { // bytes that leave
			on := network{manual: true, wrap: func(near *pipeConn) net.Conn { return failingConn{near, n} }}
			on.run(t, func(b *bubble) {
				before(b)
				b.shutdown(b.Context(), CloseNormalClosure, "").want(fmt.Sprint(name, n), 0, "mine")
				if err := b.c.WriteMessage(TextMessage, nil); err != errMine {
					b.Errorf("got %v of a write, want why the Close frame was not sent", err)
				}
			})
		}
	}
	network{manual: true, size: 1}.run(t, func(b *bubble) {
		b.pipe.out.set(func(h *pipeHalf) { h.size = 100 })
		b.sendRaw(closeFrame(CloseNormalClosure, ""))
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		b.shutdown(ctx, CloseNormalClosure, "").want("the network is full", time.Minute, "context deadline exceeded")
	})
}

// In a ping or pong handler Shutdown waits for the read that has called the handler, but not longer than its context.
func TestShutdownInPingHandler(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		b.c.SetPingHandler(func(string) error {
			ctx, cancel := context.WithTimeout(b.Context(), time.Second)
			defer cancel()
			return b.c.Shutdown(ctx, CloseNormalClosure, "")
		})
		read := b.read()
		b.sendRaw("\x89", closeFrame(CloseNormalClosure, ""))
		b.want("Shutdown begins with it", closeSent(CloseNormalClosure, ""))
		read.want("the handler's error", time.Second, "context deadline exceeded")
		b.wantClosed("Shutdown closes the network connection", true)
	})
}

// Shutdown in the close handler answers in place of the default, also that of another goroutine that the handler
// waits for.
func TestShutdownInCloseHandler(t *testing.T) {
	for _, own := range []bool{true, false} {
		eachPipe(t, connOptions{}, func(b *bubble) {
			shutdown := func() error { return b.c.Shutdown(b.Context(), 4001, "from the handler") }
			got := errMine
			b.c.SetCloseHandler(func(code int, text string) error {
				if own {
					got = shutdown()
					return got
				}
				other := inBackground(b.T, shutdown)
				<-other.done
				got = other.err
				return nil
			})
			read := b.read()
			b.sendRaw(closeFrame(4000, ""))
			read.want("the peer's Close frame", 0, "websocket: close 4000")
			if got != nil {
				b.Errorf("got %v, want nil", got)
			}
			b.want("the handler's Close frame is the answer", closeSent(4001, "from the handler"))
			b.wantClosed("Shutdown closes the network connection", true)
		})
	}
}

// sends returns a step of a script in which frames come.
func sends(frames ...string) func(b *bubble) {
	return func(b *bubble) {
		b.sendRaw(frames...)
		synctest.Wait()
	}
}

// play plays a step of a script:
//
//	> FRAME        a frame of the peer comes
//	= TEXT         the program reads a message
//	open N         it begins to read a message by NextReader, and reads so many bytes
//	rest TEXT      it reads the rest
//	interrupted D  a read of it ends after the time, within a message
//	late           its reads fail, since Shutdown has begun to discard messages
//	deadline D     it sets a read deadline
//	wait           the time for which a message waits for the program is almost over
func (b *bubble) play(step string) {
	b.Helper()
	what, arg, _ := strings.Cut(step, " ")
	d, _ := time.ParseDuration(arg)
	switch what {
	case ">":
		b.sendRaw(arg)
		synctest.Wait()
	case "=":
		b.read().wantMessage(step, arg)
	case "open":
		n, _ := strconv.Atoi(arg)
		_, r, err := b.c.NextReader()
		if err == nil {
			_, err = io.ReadFull(r, make([]byte, n))
		}
		if b.r = r; err != nil {
			b.Fatal(err)
		}
	case "rest":
		b.rest().wantMessage(step, arg)
	case "interrupted":
		b.c.SetReadDeadline(time.Now().Add(d))
		b.read().wantIs(step, d, os.ErrDeadlineExceeded)
		b.c.SetReadDeadline(time.Time{})
	case "late":
		for _, way := range receiveWays {
			if _, p, err := way.read(b.c); err != errDiscarded || len(p) > 0 {
				b.Errorf("%s: got %q, %v, want nothing and %v", way.name, p, err, errDiscarded)
			}
			b.sendRaw("\x80wo", "\x02t")
		}
	case "deadline":
		b.c.SetReadDeadline(time.Now().Add(d))
	case "wait":
		time.Sleep(claimTime - 1)
	}
}

// rest reads the rest of the message that the program is reading.
func (b *bubble) rest() *call {
	return begin(b.T, func() (string, error) {
		p, err := io.ReadAll(b.r)
		return string(p), err
	})
}

// textDiscarded is the text of errDiscarded.
const textDiscarded = "websocket: Shutdown has discarded messages: use of closed network connection"

// Messages that nobody comes for are discarded after claimTime, all together, with the one that the program is reading.
// The program's reads get what they come for in time, and nothing behind a gap.
func TestShutdownWithMessages(t *testing.T) {
	const waits = claimTime - 1
	for _, tt := range []struct {
		name           string
		took           time.Duration
		discards       bool
		before, during []string // Shutdown is called, and it waits for the peer's Close frame
	}{
		{"a message", claimTime, true, nil, []string{"> \x82one"}},
		{"an empty message, and many more", claimTime, true, nil, []string{"> \x82", "> \x89", "> \x81one", "> \x01two"}},
		{"many messages, in time", 5 * waits, false, nil, []string{
			"> \x81one", "> \x82", "> \x89ping", "> \x01t", "> \x80wo",
			"> \x02th", "> \x89", "> \x00r", "> \x8aunasked", "> \x00", "> \x80ee", "> \x81four",
			"wait", "= one", "wait", "= ", "wait", "= two", "wait", "= three", "wait", "= four"}},
		{"messages that come while others are discarded", 20 * waits, true, nil,
			slices.Repeat([]string{"> \x82message", "> \x02in", "> \x89", "> \x80parts", "wait"}, 20)},
		{"reads that come too late", 2 * waits, true, nil,
			[]string{"> \x02one", "> \x80", "> \x02t", "wait", "wait", "late", "> \x80wo"}},
		{"reads that come too late for the rest", 2 * waits, true, []string{"> \x02o", "interrupted 0s"},
			[]string{"> \x80ne", "> \x02t", "wait", "wait", "late", "> \x80wo"}},
		{"a read that comes in time for the rest", waits, false, []string{"> \x02o", "interrupted 0s"},
			[]string{"> \x80ne", "wait", "= one"}},
		{"a reader that does not come back", claimTime, true, []string{"> \x02part", "open 4"},
			[]string{"> \x00 some", "> \x80 the rest", "> \x82another"}},
		{"a reader that comes back in time, and takes its time", 4 * waits, false, []string{"> \x02one ", "open 4"},
			[]string{"> \x00message", "> \x80 in parts", "wait", "rest message in parts", "wait", "wait",
				"> \x82the next one has its own time", "wait", "= the next one has its own time"}},
		{"a message that the program has given up", 0, false, []string{"> \x02part", "open 0"},
			[]string{"> \x00more", "interrupted 0s", "> \x80rest"}},
		// The end of a message that was read to its last byte is its end, though the program has not asked for it.
		{"a reader at its end, and another message", 0, false, []string{"> \x82one", "open 3"},
			[]string{"> \x82two", "rest ", "= two"}},
		{"a reader of nothing, and that of another message", 0, false, []string{"> \x82", "open 0"},
			[]string{"> \x82two", "open 1", "rest wo"}},
		// A read deadline is for the program's reads only, also one that is set meanwhile.
		{"deadlines of the program", 2*waits + time.Second, false, []string{"deadline 1s"},
			[]string{"wait", "wait", "deadline -1s", "> \x02part", "interrupted 1s", "> \x80 and rest", "= part and rest"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachPipe(t, connOptions{}, func(b *bubble) {
				w, _ := b.c.NextWriter(TextMessage)
				io.WriteString(w, "a Close frame passes between fragments")
				b.c.SetWriteDeadline(aLongTimeAgo) // and is not for Shutdown
				for _, step := range tt.before {
					b.play(step)
				}
				shutdown := b.shutdown(b.Context(), CloseNormalClosure, "")
				b.want("Shutdown begins with it", closeSent(CloseNormalClosure, ""))
				for _, step := range tt.during {
					b.play(step)
				}
				shutdown.wantWaiting("the peer's Close frame has not come")
				b.sendRaw(closeFrame(CloseNormalClosure, "bye"))
				if rest := tt.took - time.Since(shutdown.start); rest > 0 {
					time.Sleep(rest - 1)
					shutdown.wantWaiting("somebody may come")
					time.Sleep(1)
				}
				b.hangUp()
				shutdown.want("the handshake is complete", tt.took, noError)
				end := "websocket: close 1000 (normal): bye"
				if tt.discards {
					end = textDiscarded // the *CloseError would say that nothing was lost
				}
				b.read().want("it is over", 0, end)
				lost := tt.name == "a reader that does not come back"
				for i := 0; lost && i < 2; i++ {
					// What the program has is not the whole message, so the end must not look like io.EOF.
					rest := b.rest()
					if rest.want("the message is cut", 0, end); rest.result != "" {
						b.Errorf("got %q, want nothing", rest.result)
					}
				}
			})
		})
	}
	wantErrorIs(t, errDiscarded, net.ErrClosed)
}

// A message that was read to its last byte has been read, though the program did not ask for io.EOF:
// Shutdown does not wait for that, and the program gets it.
func TestShutdownBehindTheLastByte(t *testing.T) {
	message := strings.Repeat("text that compresses ", 3)
	compressed := string(deflateMessages(1, []byte(message))[0])
	for name, frames := range map[string][]string{
		"one frame":                     {"\x82" + message},
		"nothing":                       {"\x82"},
		"several empty fragments":       {"\x02" + message, "\x00", "\x00", "\x80"},
		"compressed":                    {"\xc2" + compressed},
		"compressed, with BFINAL":       {"\xc2" + compressed + deflateTail + "\x01\x00\x00\xff\xff"},
		"compressed, in fragments":      {"\x42" + compressed[:9], "\x00" + compressed[9:], "\x00", "\x80"},
		"compressed, the end by itself": {"\x42" + compressed[:len(compressed)-1], "\x80" + compressed[len(compressed)-1:]},
	} {
		for _, o := range []CompressionOptions{{}, {ContextTakeover: true}} {
			eachPipe(t, attack{compression: &o}.options(t, connOptions{}), func(b *bubble) {
				b.sendRaw(frames...)
				if name == "nothing" {
					b.play("open 0")
				} else {
					b.play(fmt.Sprint("open ", len(message)))
				}
				b.sendRaw(closeFrame(CloseNormalClosure, ""))
				b.handshake(b.Context(), name, []string{closeSent(CloseGoingAway, "")}, nil, 0, noError)
				if held := borrowed(b.c); held != "" {
					b.Errorf("%s: got that %s was not given back", name, held)
				}
				b.play("rest ")
			})
		}
	}
}

// timeoutConn is a network connection whose reads fail for ever with an error that passes for a timeout.
type timeoutConn struct {
	net.Conn
	err error
}

func (c timeoutConn) Read([]byte) (int, error) { return 0, c.err }

// Shutdown does not try again and again what fails with a timeout though there is no deadline, and neither
// does a program afterwards that repeats a read which has timed out.
func TestShutdownReadsThatAlwaysTimeOut(t *testing.T) {
	for err, want := range map[error]string{
		os.ErrDeadlineExceeded:              "websocket: a read has timed out without a deadline: i/o timeout",
		&keepaliveError{"the peer is dead"}: "websocket: the peer is dead",
	} {
		on := network{manual: true, wrap: func(near *pipeConn) net.Conn { return timeoutConn{near, err} }}
		on.run(t, func(b *bubble) {
			b.shutdown(b.Context(), CloseNormalClosure, "").want("Shutdown", 0, want)
			if err := second3(b.c.ReadMessage()); err.Error() != want || isTimeout(err) {
				b.Errorf("got %v of a later read, want %s, which does not pass for a timeout", err, want)
			}
		})
	}
}

// slowConn is a connection whose writes take a little longer than half of claimTime.
type slowConn struct{ *pipeConn }

func (c slowConn) Write(p []byte) (int, error) {
	time.Sleep(claimTime/2 + time.Millisecond)
	return c.pipeConn.Write(p)
}

// The context of one Shutdown ends while a message waits for the program, which has time left to come for it.
// The program is not told that the peer has closed the connection cleanly behind what it has not got.
func TestShutdownWhoseContextEndsDiscardsNothing(t *testing.T) {
	for range 50 { // what ends first is a matter of chance
		network{manual: true, wrap: func(near *pipeConn) net.Conn { return slowConn{near} }}.run(t, func(b *bubble) {
			b.sendRaw("\x81message", closeFrame(CloseNormalClosure, "bye"))
			ctx, cancel := context.WithTimeout(b.Context(), claimTime/2)
			defer cancel()
			calls := []*call{b.shutdown(ctx, CloseNormalClosure, ""), b.shutdown(b.Context(), CloseNormalClosure, "")}
			time.Sleep(claimTime * 6 / 10)
			if _, p, err := b.c.ReadMessage(); err == nil || IsCloseError(err, CloseNormalClosure) {
				b.Errorf("got %q, %v, want that the connection was closed by Shutdown", p, err)
			}
			for _, x := range calls {
				<-x.done
			}
		})
	}
}

// contextEnd is a way in which a context ends after a minute, with the error of a call that it has ended.
type contextEnd struct {
	name  string
	make  func(context.Context) (context.Context, context.CancelFunc)
	want  string
	wants []error
}

var closingContexts = []contextEnd{
	{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Minute)
	}, "context deadline exceeded", []error{context.DeadlineExceeded}},
	{"deadline with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, time.Minute, errMine)
	}, "websocket: context deadline exceeded: mine", []error{context.DeadlineExceeded, errMine}},
	{"cancel", func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Minute, cancel)
		return ctx, cancel
	}, "context canceled", []error{context.Canceled}},
	{"cancel with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(time.Minute, func() { cancel(errMine) })
		return ctx, func() { cancel(nil) }
	}, "websocket: context canceled: mine", []error{context.Canceled, errMine}},
}

// A peer that never answers, whatever else it does or does not: Shutdown ends just when its context does, or that of
// another call, or at Close, and so do the calls that are at work.
func TestShutdownSilentPeer(t *testing.T) {
	everySecond := func(frames ...string) func(b *bubble) {
		return func(b *bubble) {
			for range 50 {
				b.sendRaw(frames...)
				time.Sleep(time.Second)
			}
		}
	}
	ends := append([]contextEnd{{"another call", context.WithCancel, "", nil}, {"Close", context.WithCancel, "", nil}},
		closingContexts...)
	for _, peer := range []struct {
		name   string
		size   int                     // of the network
		before func(b *bubble) []*call // returns calls that end with the connection
		during func(b *bubble)
	}{
		{"silent to a reader", 0, func(b *bubble) []*call { return []*call{b.read()} }, nil},
		{"pings", 0, nil, everySecond("\x89ping")},
		{"messages", 0, nil, everySecond("\x82message", "\x82")},
		{"a message without end", 0, func(b *bubble) []*call { b.sendRaw("\x02begin"); return nil }, everySecond("\x00more")},
		{"messages just before the end", 0, nil, func(b *bubble) {
			time.Sleep(time.Minute - claimTime/2)
			b.pipe.Write(append(rawFrame(b.server, "\x82one"), rawFrame(b.server, "\x82two")...))
		}},
		{"half a Close frame", 0, nil, func(b *bubble) {
			frame := rawFrame(b.server, closeFrame(CloseNormalClosure, ""))
			b.pipe.Write(frame[:len(frame)-1])
		}},
		{"reads 1 byte of the Close frame", 1, nil, nil},
		{"reads 3 bytes of the Close frame", 3, nil, nil},
		{"reads nothing of a message before it", 100, func(b *bubble) []*call {
			return []*call{inBackground(b.T, func() error { return b.c.WriteMessage(BinaryMessage, make([]byte, 1000)) })}
		}, nil},
	} {
		for _, tt := range ends {
			t.Run(peer.name+", "+tt.name, func(t *testing.T) {
				network{manual: true, size: peer.size}.run(t, func(b *bubble) {
					var others []*call
					if peer.before != nil {
						others = peer.before(b)
						synctest.Wait()
					}
					ctx, cancel := tt.make(b.Context())
					defer cancel()
					shutdown := b.shutdown(ctx, CloseNormalClosure, "")
					switch tt.name {
					case "another call":
						mine, cancel := context.WithTimeout(b.Context(), time.Minute)
						defer cancel()
						b.shutdown(mine, CloseNormalClosure, "")
					case "Close":
						time.AfterFunc(time.Minute, func() { b.c.Close() })
					}
					if peer.during != nil {
						peer.during(b)
					}
					took := time.Minute
					if tt.name == "Close" && peer.size > 0 {
						took += closeTimeout // frames that were accepted before may leave until then
					}
					if tt.want != "" {
						shutdown.want(tt.name, took, tt.want)
						wantErrorIs(b.T, shutdown.err, tt.wants...)
					} else {
						shutdown.wantIs(tt.name, took, net.ErrClosed)
					}
					for _, x := range others {
						x.wantIs("the connection ends", took, net.ErrClosed)
					}
					b.wantClosed("Shutdown closes the network connection", true)
					for range 2 {
						read := b.read()
						if read.wantIs("a later read", 0, net.ErrClosed); read.result != "" {
							b.Errorf("got %q with the error, want nothing", read.result)
						}
					}
				})
			})
		}
	}
}

// Keepalive goes on: a peer that is silent for too long is dead, and one that sends
// anything is not.
func TestShutdownAndKeepalive(t *testing.T) {
	for _, alive := range []bool{false, true} {
		eachPipe(t, connOptions{pingInterval: 10 * time.Second, pongTimeout: 5 * time.Second}, func(b *bubble) {
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			shutdown := b.shutdown(ctx, CloseNormalClosure, "")
			b.want("Shutdown begins with it", closeSent(CloseNormalClosure, ""))
			if !alive {
				shutdown.want("the verdict", 15*time.Second, "websocket: nothing came for 5s after a ping")
				return
			}
			for range 4 {
				time.Sleep(14 * time.Second)
				b.sendRaw("\x8a")
			}
			b.want("nothing follows a Close frame, no ping either")
			shutdown.want("the context ends", time.Minute, "context deadline exceeded")
		})
	}
}

// Tomcat CVE-2024-23672 and CVE-2021-42340: peers that never finish closing. Shutdown ends
// with its context, and nothing is left of the connections: no goroutine, and neither
// a context that lives on, nor a timer nor anything else holds on to them.
func TestAttackNeverFinishesClosing(t *testing.T) {
	takeover := &CompressionOptions{ContextTakeover: true}
	for _, tt := range []struct {
		name        string
		read        func(c *Conn, ctx context.Context) // goes on
		compression *CompressionOptions
	}{
		{"nobody reads", nil, nil},
		{"a reader", func(c *Conn, _ context.Context) { c.ReadMessage() }, nil},
		{"a reader with a context", func(c *Conn, ctx context.Context) { c.ReadMessageContext(ctx) }, nil},
		{"compressed, nobody reads", nil, takeover},
		{"compressed, a reader", func(c *Conn, _ context.Context) { c.ReadMessage() }, takeover},
		{"without takeover, a reader", func(c *Conn, _ context.Context) { c.ReadMessage() }, &CompressionOptions{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				long, cancel := context.WithCancel(t.Context())
				defer cancel()
				codecs, goroutines := codecsOnLoan.Load(), runtime.NumGoroutine()
				conns := make([]weak.Pointer[Conn], 30)
				for i := range conns {
					conns[i] = neverFinishesClosing(t, long, attack{i%2 == 0, tt.compression}, i%3, tt.read)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := runtime.NumGoroutine(); got >= goroutines+len(conns) {
					t.Errorf("got %d goroutines, want the %d of before", got, goroutines)
				}
				time.Sleep(24 * time.Hour) // the runtime forgets timers that were stopped
				heapInUse()                // collects what nobody uses
				if slices.ContainsFunc(conns, func(c weak.Pointer[Conn]) bool { return c.Value() != nil }) {
					t.Error("got connections in memory, want none")
				}
				if n := codecsOnLoan.Load() - codecs; n != 0 {
					t.Errorf("got %d codecs that were not returned, want none", n)
				}
			})
		})
	}
}

// neverFinishesClosing has Shutdown close a connection whose peer stays silent. With compression the peer has sent a
// first fragment of a message, or most of it.
func neverFinishesClosing(t *testing.T, long context.Context, a attack, missing int,
	read func(*Conn, context.Context)) weak.Pointer[Conn] {
	toPeer, fromPeer := newPipeHalf(4096), newPipeHalf(4096)
	c := newConn(&pipeConn{in: fromPeer, out: toPeer}, a.server, nil, a.options(t, connOptions{pingInterval: time.Hour}))
	if a.compression != nil {
		if err := c.WriteMessage(TextMessage, textLike(1000, 1)); err != nil {
			t.Error(err)
		}
		first := a.frame(0x01, a.payload("a message that does not end"))
		fromPeer.data = append(fromPeer.data, first[:len(first)-missing]...)
	}
	if read != nil {
		go read(c, long)
	}
	go func() {
		ctx, cancel := context.WithTimeout(long, time.Minute)
		defer cancel()
		if err := c.Shutdown(ctx, CloseGoingAway, ""); err != context.DeadlineExceeded {
			t.Errorf("got %v, want the context's error", err)
		}
	}()
	return weak.Make(c)
}

// heapInUse collects what nobody uses, and returns the bytes that are left.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first one has found in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// closingContext is for a call that ends long before, unless the test is stuck.
func closingContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// The end of a network connection that has unread data in it is a reset, which destroys what the peer has not read
// yet. So whatever the peer is still sending when Shutdown closes, and however late it reads: it gets everything up to
// our Close frame, and then a proper end.
func TestShutdownResetsNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first string // what the peer sends before a flood of pongs and a Close frame
		code  int    // of our Close frame: that of Shutdown, or of the program's read, which has failed before
		err   string // of Shutdown
	}{
		{"handshake", "\x89ping", 4000, noError},
		{"protocol error", "\xf1", CloseProtocolError, "websocket: reserved bit RSV1 is set"},
		{"read limit", "\x82" + string(make([]byte, 100)), CloseMessageTooBig, "websocket: read limit exceeded"},
		{"bad text", "\x81\xff", CloseInvalidFramePayloadData, "websocket: text is not valid UTF-8"},
		{"protocol error that Shutdown sees", "\xf1", 4000, "websocket: reserved bit RSV1 is set"},
	} {
		on := network{manual: true, size: 64 << 10, wrap: newResetConn, options: connOptions{readLimit: 50}}
		on.run(t, func(b *bubble) {
			data := strings.Repeat("0123456789abcdef", 2000)
			wantWrite(b.T, b.c, data)
			b.sendRaw(tt.first)
			if tt.code != 4000 {
				b.read().want(tt.name, 0, tt.err)
			}
			shutdown := b.shutdown(b.Context(), 4000, "")
			for range 2000 { // more than the network holds, so somebody must read it
				b.sendRaw("\x8a" + strings.Repeat("x", 125))
			}
			b.sendRaw(closeFrame(4001, ""))
			if !b.server && tt.err == noError { // "the server [...] closes the TCP connection first" (RFC 6455, 7.1.1)
				b.pipe.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
			}
			time.Sleep(lingerTime / 2)
			peer := newConn(b.pipe, !b.server, nil, connOptions{})
			peer.SetCloseHandler(func(int, string) error { return nil }) // it has sent its Close frame
			wantRead(b.T, peer, data)
			wantClose(b.T, peer, tt.code)
			var n int
			var err error
			if d := took(func() { n, err = b.pipe.Read(make([]byte, 1)) }); n != 0 || err != io.EOF || d != 0 {
				b.Errorf("%s: the peer got %d bytes, %v after %v behind the Close frame, want the end", tt.name, n, err, d)
			}
			b.hangUp()
			if <-shutdown.done; fmt.Sprint(shutdown.err) != tt.err {
				b.Errorf("got %v of Shutdown, want %s", shutdown.err, tt.err)
			}
		})
	}
}

// After CloseRead pings are answered, and whatever ends the reading cancels the context.
func TestCloseRead(t *testing.T) {
	const notWanted = "a message came after CloseRead"
	for _, tt := range []struct {
		name string
		end  func(b *bubble)
		sent string // to the peer
	}{
		{"the peer closes", sends(closeFrame(1000, "")), closeSent(1000, "")},
		{"the peer is gone", func(b *bubble) { b.pipe.Close() }, ""},
		{"a message", sends("\x81"), closeSent(1008, notWanted)},
		{"the beginning of a message", sends("\x01a"), closeSent(1008, notWanted)},
		{"a broken rule", sends("\x80"), closeSent(1002, "continuation frame without a message to continue")},
		{"Close", func(b *bubble) { b.c.Close() }, ""},
		{"its context", nil, ""},
		{"a read deadline", func(b *bubble) { b.c.SetReadDeadline(time.Now()) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachPipe(t, connOptions{}, func(b *bubble) {
				ctx, cancel := context.WithCancelCause(b.Context())
				defer cancel(nil)
				ended := b.c.CloseRead(ctx)
				b.sendRaw("\x89one", "\x8aunasked", "\x89two")
				b.want("it reads", "10 one", "10 two")
				time.Sleep(time.Hour)
				if ended.Err() != nil {
					b.Fatal("got the context cancelled, and nothing has ended")
				}
				if tt.end == nil {
					cancel(errMine)
				} else {
					tt.end(b)
				}
				if synctest.Wait(); tt.sent != "" {
					b.want("the peer is told", tt.sent)
				}
				if ended.Err() != context.Canceled || context.Cause(ended) != cmp.Or(context.Cause(ctx), context.Canceled) {
					b.Errorf("got %v and the cause %v, want the context cancelled", ended.Err(), context.Cause(ended))
				}
				if tt.end == nil || tt.name == "a read deadline" {
					wantWrite(b.T, b.c, "the connection is good")
					b.sendRaw("\x81read")
					b.c.SetReadDeadline(time.Now().Add(time.Second))
					wantRead(b.T, b.c, "read")
				}
			})
		})
	}
}

// A read makes Shutdown give up the reading at once, so that its deadline holds.
func TestShutdownMakesWayForADeadline(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		shutdown := b.shutdown(b.Context(), CloseNormalClosure, "")
		b.want("Shutdown reads", closeSent(CloseNormalClosure, ""))
		b.c.SetReadDeadline(time.Now().Add(time.Second))
		b.read().wantIs("the deadline of the program", time.Second, os.ErrDeadlineExceeded)
		b.sendRaw(closeFrame(CloseNormalClosure, ""))
		b.hangUp()
		shutdown.want("the handshake is complete", time.Second, noError)
	})
}
