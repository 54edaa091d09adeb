//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// closing is a script of a connection that is closed, in a bubble: the test plays the
// peer at the other end of the wire.
type closing struct {
	t      *testing.T
	c      *Conn
	wire   *pipeConn
	server bool // c is one
}

// inClosing runs a script for a server and for a client.
func inClosing(t *testing.T, script func(t *testing.T, tc *closing)) {
	t.Helper()
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, server)
			script(t, &closing{t, c, wire, server})
		})
	})
}

// send writes frames of the peer, each of which is a first byte and a payload.
func (tc *closing) send(frames ...string) {
	tc.t.Helper()
	for _, f := range frames {
		if _, err := tc.wire.Write(closingFrame(tc.server, f)); err != nil {
			tc.t.Fatal(err)
		}
	}
}

func closingFrame(masked bool, f string) []byte {
	h := header{masked: masked, key: [4]byte{1, 2, 3, 4}, length: int64(len(f) - 1)}
	b := h.append(nil)
	b[0] = f[0]
	b = append(b, f[1:]...)
	if masked {
		maskEach(b[len(b)-len(f)+1:], h.key, 0)
	}
	return b
}

func closeFrame(code int, text string) string {
	return "\x88" + string(FormatCloseMessage(code, text))
}

// want says which frames have been sent to the peer when everything waits.
func (tc *closing) want(why string, frames ...string) {
	tc.t.Helper()
	synctest.Wait()
	var want []string
	for _, f := range frames {
		want = append(want, fmt.Sprintf("fin=%v op=%d masked=%v %q", f[0]&0x80 != 0, f[0]&0x0f, !tc.server, f[1:]))
	}
	if got := readFrames(tc.t, tc.wire, len(want)); !slices.Equal(got, want) {
		tc.t.Fatalf("%s: got frames %q, want %q", why, got, want)
	}
}

// closed reports whether c has closed the network connection.
func (tc *closing) closed() bool {
	h := tc.wire.in
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writeEnd.closed
}

func (tc *closing) wantClosed(why string, want bool) {
	tc.t.Helper()
	synctest.Wait()
	if got := tc.closed(); got != want {
		tc.t.Fatalf("%s: got network connection closed %v, want %v", why, got, want)
	}
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

// wantWaiting says that the call has not returned when everything waits.
func (c *call) wantWaiting(why string) {
	c.t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
		c.t.Fatalf("%s: got %q, %v after %v, want the call to wait", why, c.result, c.err, c.took)
	default:
	}
}

// want waits for the call, and says when it returns and with what error; nil as text
// is "<nil>".
func (c *call) want(why string, took time.Duration, err string) {
	c.t.Helper()
	<-c.done
	if fmt.Sprint(c.err) != err || c.took != took {
		c.t.Fatalf("%s: got %v after %v; want %s after %v", why, c.err, c.took, err, took)
	}
}

// wantMessage says what a reading call returns at once.
func (c *call) wantMessage(why, message string) {
	c.t.Helper()
	synctest.Wait()
	select {
	case <-c.done:
	default:
		c.t.Fatalf("%s: got nothing yet, want message %q", why, message)
	}
	if c.result != message || c.err != nil {
		c.t.Fatalf("%s: got %q, %v, want message %q", why, c.result, c.err, message)
	}
}

const noError = "<nil>"

func (tc *closing) shutdown(ctx context.Context, code int, reason string) *call {
	return begin(tc.t, func() (string, error) { return "", tc.c.Shutdown(ctx, code, reason) })
}

func (tc *closing) read() *call {
	return begin(tc.t, func() (string, error) {
		_, p, err := tc.c.ReadMessage()
		return string(p), err
	})
}

// RFC 6455, 7.1.2 and 7.1.1: Shutdown sends a Close frame and waits for the peer's.
// Then the server closes the network connection at once, and the client waits for it.
func TestShutdown(t *testing.T) {
	for _, tt := range []struct {
		code   int
		reason string
		frame  string
	}{
		{CloseNormalClosure, "", "\x88\x03\xe8"},
		{CloseGoingAway, "bye", "\x88\x03\xe9bye"},
		{CloseNoStatusReceived, "", "\x88"},
		{CloseBadGateway, "", "\x88\x03\xf6"},
		{3000, "", "\x88\x0b\xb8"},
		{4999, strings.Repeat("ä", 61) + "!", "\x88\x13\x87" + strings.Repeat("ä", 61) + "!"},
	} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				shutdown := tc.shutdown(t.Context(), tt.code, tt.reason)
				tc.want("Shutdown begins with it", tt.frame)
				time.Sleep(time.Minute)
				shutdown.wantWaiting("the peer has not answered yet")
				tc.wantClosed("the peer has not answered yet", false)

				tc.send(closeFrame(tt.code, ""))
				tc.wantClosed("the server closes first", tc.server)
				took := time.Minute
				if !tc.server {
					shutdown.wantWaiting("the server is to close first")
					time.Sleep(time.Second)
					tc.wire.Close()
					took += time.Second
				}
				shutdown.want("the handshake is complete", took, noError)
				tc.wantClosed("Shutdown closes the network connection", true)
				tc.want("nothing follows a Close frame")
			})
		})
	}
}

// What the peer's answer makes of it. RFC 6455, 7.1.5 to 7.1.7.
func TestShutdownAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer []string
		want   string
	}{
		{"same code", []string{closeFrame(1001, "")}, noError},
		{"another code", []string{closeFrame(4000, "as you wish")}, noError},
		{"no code", []string{closeFrame(CloseNoStatusReceived, "")}, noError},
		{"a ping and a pong before", []string{"\x89ping", "\x8apong", closeFrame(1001, "")}, noError},
		{"more after it", []string{closeFrame(1001, ""), "\xff what is this"}, noError},
		{"half a code", []string{"\x88\x03"}, "websocket: payload of a close frame is 1 byte long"},
		{"a code that is never sent", []string{"\x88\x03\xee"}, "websocket: bad close code 1006"},
		{"a reason that is no text", []string{"\x88\x03\xe8\xff"}, "websocket: reason of a close frame is not valid UTF-8"},
		{"a fragmented close", []string{"\x08\x03\xe8"}, "websocket: control frame is fragmented"},
		{"garbage", []string{"GET / HTTP/1.1"}, "websocket: reserved bit RSV1 is set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				shutdown := tc.shutdown(t.Context(), CloseGoingAway, "")
				tc.want("Shutdown begins with it", closeFrame(CloseGoingAway, ""))
				tc.send(tt.answer...)
				tc.want("RFC 6455, 5.5.1: nothing follows a Close frame, no pong and no other Close frame")
				var took time.Duration
				if !tc.server || tt.want != noError {
					shutdown.wantWaiting("the peer's end is still to come")
					took = time.Second
					time.Sleep(took)
					tc.wire.Close()
				}
				shutdown.want(tt.name, took, tt.want)
				for range 2 {
					_, _, err := tc.c.ReadMessage()
					if closed := (*CloseError)(nil); tt.want == noError && !errors.As(err, &closed) || tt.want != noError && err.Error() != tt.want {
						t.Errorf("a later read: got %v, want the *CloseError, or the error of Shutdown", err)
					}
				}
			})
		})
	}
}

// A peer that hangs up without a Close frame has not closed.
func TestShutdownPeerHangsUp(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		synctest.Wait()
		tc.wire.Close()
		shutdown.want("the end comes at once", 0, "websocket: close 1006 (abnormal closure): unexpected EOF")
		if !IsCloseError(shutdown.err, CloseAbnormalClosure) {
			t.Errorf("got %T, want a *CloseError", shutdown.err)
		}
	})
}

// The peer should end the network connection, but is not waited for long.
func TestShutdownLingers(t *testing.T) {
	for _, tt := range []struct {
		name, answer, want string
		serverToo          bool
	}{
		{"after the handshake", closeFrame(1000, ""), noError, false},
		{"after a protocol error", "\xf2", "websocket: reserved bit RSV1 is set", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				if tc.server && !tt.serverToo {
					return
				}
				shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
				tc.send(tt.answer)
				for range 29 {
					time.Sleep(lingerTime / 30)
					tc.send("\x82 what comes now does not matter")
				}
				tc.wantClosed("the time is not over", false)
				shutdown.want("the peer never ends it", lingerTime, tt.want)
				tc.wantClosed("Shutdown closes the network connection", true)
			})
			inClosing(t, func(t *testing.T, tc *closing) {
				if tc.server && !tt.serverToo {
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				shutdown := tc.shutdown(ctx, CloseNormalClosure, "")
				tc.send(tt.answer)
				shutdown.want("the context ends first, which changes nothing about the result", time.Second, tt.want)
			})
		})
	}
}

// While Shutdown waits for the server to end the network connection, the reader knows
// already.
func TestShutdownLingersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		tc := &closing{t, c, wire, false}
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		shutdown.wantWaiting("the peer has not answered")
		read := tc.read()
		tc.send(closeFrame(CloseNormalClosure, ""))
		read.want("the peer's Close frame", 0, "websocket: close 1000 (normal)")
		tc.read().want("again", 0, "websocket: close 1000 (normal)")
		shutdown.want("the peer never ends the network connection", lingerTime, noError)
	})
}

// What must not be sent is repaired, and the connection is closed in any case. RFC 6455, 7.4 and 5.5.
func TestShutdownRepairs(t *testing.T) {
	const notSent = "websocket: close code %d must not be sent"
	long := strings.Repeat("x", 123)
	for _, tt := range []struct {
		code         int
		reason, sent string
		err          string
	}{
		{0, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 0)},
		{-1, "why", closeFrame(1011, "why"), fmt.Sprintf(notSent, -1)},
		{999, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 999)},
		{1004, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 1004)},
		{1006, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 1006)},
		{1015, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 1015)},
		{1016, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 1016)},
		{2999, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 2999)},
		{5000, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 5000)},
		{65536 + 1000, "", closeFrame(1011, ""), fmt.Sprintf(notSent, 66536)},
		{1005, "no code to go with it", "\x88", noError},
		{1000, long, closeFrame(1000, long), noError},
		{1000, long + "y", closeFrame(1000, long), noError},
		{1000, strings.Repeat("ä", 62), closeFrame(1000, strings.Repeat("ä", 61)), noError},
		{1000, long[1:] + "ä", closeFrame(1000, long[1:]), noError},
		{1000, long[3:] + "\U0001F600", closeFrame(1000, long[3:]), noError},
		{1000, "\xff", closeFrame(1000, "\uFFFD"), noError},
		{1000, "cut \xc3", closeFrame(1000, "cut \uFFFD"), noError},
	} {
		t.Run(fmt.Sprint(tt.code, " ", len(tt.reason)), func(t *testing.T) {
			inClosing(t, func(t *testing.T, tc *closing) {
				shutdown := tc.shutdown(t.Context(), tt.code, tt.reason)
				tc.want("the Close frame", tt.sent)
				tc.send(closeFrame(1000, ""))
				synctest.Wait()
				tc.wire.Close()
				shutdown.want("the handshake is complete", 0, tt.err)
				tc.wantClosed("in any case", true)
			})
		})
	}
}

// The peer has closed first: the handshake needs nothing more.
func TestShutdownAfterThePeer(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.send(closeFrame(4000, ""))
		tc.read().want("the peer's Close frame", 0, "websocket: close 4000")
		tc.want("the answer", closeFrame(4000, ""))
		if !tc.server {
			tc.wire.Close()
		}
		tc.shutdown(t.Context(), CloseNormalClosure, "").want("all is done", 0, noError)
		tc.wantClosed("Shutdown closes the network connection", true)
	})
}

// Its Close frame lies there unread: the two cross.
func TestShutdownCrosses(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.send(closeFrame(4000, ""))
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.want("one Close frame, not the echo", closeFrame(CloseNormalClosure, ""))
		tc.wire.Close()
		shutdown.want("the handshake is complete", 0, noError)
	})
}

// Both sides at once, with each other.
func TestShutdownBothAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := newConnPair(t)
		both := []*call{
			begin(t, func() (string, error) { return "", server.Shutdown(t.Context(), CloseNormalClosure, "") }),
			begin(t, func() (string, error) { return "", client.Shutdown(t.Context(), CloseNormalClosure, "") }),
		}
		for _, c := range both {
			c.want("neither waits for more than the other", 0, noError)
		}
	})
}

func TestShutdownAfterClose(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		tc.c.Close()
		err := tc.c.Shutdown(t.Context(), CloseNormalClosure, "")
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
		tc.want("nothing is sent")
	})
}

// Our Close frame has left already: Shutdown does the rest.
func TestShutdownAfterWriteControl(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		if err := tc.c.WriteControl(CloseMessage, FormatCloseMessage(4001, "mine"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		shutdown := tc.shutdown(t.Context(), CloseNormalClosure, "")
		tc.want("there is one Close frame", closeFrame(4001, "mine"))
		shutdown.wantWaiting("the peer has not answered")
		tc.send(closeFrame(4001, ""))
		tc.wire.Close()
		shutdown.want("the handshake is complete", 0, noError)
	})
}

// The writing has failed before: no Close frame can leave.
func TestShutdownAfterFailedWrite(t *testing.T) {
	inClosing(t, func(t *testing.T, tc *closing) {
		mine := errors.New("mine")
		tc.c.send.lock.end(phaseFailed, mine, nil)
		tc.shutdown(t.Context(), CloseNormalClosure, "").want("why no Close frame was sent", 0, "mine")
		tc.wantClosed("Shutdown closes the network connection", true)
	})
}

// Both sides call Shutdown at once, and neither reads before the other does: on a network that holds
// nothing, and on one that is full of messages that nobody reads.
func TestShutdownBothOnAFullNetwork(t *testing.T) {
	for name, message := range map[string]int{"no room": 0, "full": 10_000} {
		synctest.Test(t, func(t *testing.T) {
			var near, far net.Conn
			if near, far = net.Pipe(); message > 0 {
				near, far = newPipe(t, 1000)
			}
			one, two := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
			var calls []*call
			for _, c := range []*Conn{one, two} {
				if message > 0 {
					go c.WriteMessage(BinaryMessage, make([]byte, message))
					synctest.Wait()
				}
				calls = append(calls, begin(t, func() (string, error) {
					return "", c.Shutdown(t.Context(), CloseNormalClosure, "")
				}))
			}
			took := time.Duration(0)
			if message > 0 {
				took = claimTime // in which the program could read the message
			}
			for _, c := range calls {
				c.want(name, took, noError)
			}
		})
	}
}

// failingConn is a connection whose writes fail, having taken n bytes.
type failingConn struct {
	*pipeConn
	n int
}

func (c failingConn) Write(p []byte) (int, error) {
	n, _ := c.pipeConn.Write(p[:min(c.n, len(p))])
	return n, errMine
}

// A Close frame that cannot leave has no answer: Shutdown says so at once, whether or not the program reads.
func TestShutdownCloseFrameCannotLeave(t *testing.T) {
	for _, n := range []int{0, 2} {
		for _, reads := range []bool{false, true} {
			bothSides(t, func(t *testing.T, server bool) {
				synctest.Test(t, func(t *testing.T) {
					near, _ := newPipe(t, 1000)
					c := newConn(failingConn{near, n}, server, nil, connOptions{})
					defer c.Close()
					if reads {
						go c.ReadMessage()
						synctest.Wait()
					}
					shutdown := begin(t, func() (string, error) { return "", c.Shutdown(t.Context(), CloseNormalClosure, "") })
					shutdown.want(fmt.Sprint(n, " bytes have left"), 0, errMine.Error())
					if err := c.WriteMessage(TextMessage, nil); err != errMine {
						t.Errorf("got %v of a write, want why the Close frame was not sent", err)
					}
				})
			})
		}
	}
}

// overlappingReads is a connection that counts the reads that are at work, and knows the most at a time.
type overlappingReads struct {
	*pipeConn
	mu      sync.Mutex
	n, most int
}

func (c *overlappingReads) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.n++
	c.most = max(c.most, c.n)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.n--
		c.mu.Unlock()
	}()
	return c.pipeConn.Read(p)
}

// Several calls of Shutdown wait together for the end of the network connection: one of them reads, and a
// later one does not begin anew.
func TestShutdownLingersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 1000)
		counted := &overlappingReads{pipeConn: near}
		c := newConn(counted, false, nil, connOptions{})
		far.Write(peerFrames(false, peerClose))
		var calls []*call
		for range 3 {
			calls = append(calls, begin(t, func() (string, error) { return "", c.Shutdown(t.Context(), CloseNormalClosure, "") }))
			time.Sleep(time.Second)
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
				t.Errorf("got %v, want close 1000", err)
			}
		}
		for i, x := range calls {
			x.want(fmt.Sprint("call ", i), lingerTime-time.Duration(i)*time.Second, noError)
		}
		if counted.most != 1 {
			t.Errorf("got %d reads at a time, want one", counted.most)
		}
	})
}
