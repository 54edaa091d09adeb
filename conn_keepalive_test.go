//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The rules without a connection: an interval of 10, a timeout of 4 or of 25.
func TestKeepaliveStep(t *testing.T) {
	zero := time.Unix(1_000_000, 0)
	const never = -1
	at := func(n int) time.Time {
		if n == never {
			return time.Time{}
		}
		return zero.Add(time.Duration(n))
	}
	for _, tt := range []struct {
		name                        string
		timeout                     time.Duration
		last, asked, pinged, reader int
		waited                      time.Duration
		now                         int
		ping, dead                  bool
		next                        int
	}{
		{"quiet for less than the interval", 4, 0, never, never, 0, 0, 9, false, false, 10},
		{"something came meanwhile", 4, 7, never, never, 0, 0, 10, false, false, 17},
		{"quiet for the interval", 4, 0, never, never, 0, 0, 10, true, false, 14},
		{"quiet, and nobody reads", 4, 0, never, never, never, 0, 10, true, false, 14},
		{"a timeout longer than the interval", 25, 0, never, never, 0, 0, 10, true, false, 20},
		{"asked a moment ago", 4, 0, 10, 10, 0, 0, 13, false, false, 14},
		{"asked for the timeout", 4, 0, 10, 10, 0, 0, 14, false, true, never},
		{"asked for less than a long timeout", 25, 0, 10, 10, 0, 0, 20, false, false, 30},
		{"asked for almost a long timeout", 25, 0, 10, 10, 0, 0, 30, false, false, 35},
		{"asked for a long timeout", 25, 0, 10, 10, 0, 0, 35, false, true, never},
		{"answered, then quiet for less than the interval", 25, 11, never, 10, 0, 0, 20, false, false, 21},
		{"asked, and nobody reads", 4, 0, 10, 10, never, 0, 14, false, false, 20},
		{"asked an interval ago, and nobody reads", 4, 0, 10, 10, never, 0, 20, true, false, 30},
		{"asked long ago, and nobody reads", 4, 0, 10, 90, never, 0, 100, true, false, 110},
		{"asked long ago, and just began to read", 4, 0, 10, 100, 101, 0, 101, false, false, 105},
		{"asked long ago, and reads for less than the timeout", 4, 0, 10, 100, 101, 0, 104, false, false, 105},
		{"asked long ago, and reads for the timeout", 4, 0, 10, 100, 101, 0, 105, false, true, never},
		{"reads again and again, in all for less than the timeout", 4, 0, 10, 10, 50, 2, 51, false, false, 52},
		{"reads again and again, in all for the timeout", 4, 0, 10, 10, 50, 2, 52, false, true, never},
	} {
		k := &keepalive{
			interval: 10, timeout: tt.timeout,
			last: at(tt.last), asked: at(tt.asked), pinged: at(tt.pinged), reader: at(tt.reader), waited: tt.waited,
		}
		ping, next, dead := k.step(at(tt.now), time.Time{})
		if ping != tt.ping || (dead != nil) != tt.dead || !next.Equal(at(tt.next)) {
			t.Errorf("%s: got ping %t, dead %v, next %v, want %t, %t, %v",
				tt.name, ping, dead, next.Sub(zero), tt.ping, tt.dead, at(tt.next).Sub(zero))
		}
		if ping && (!k.pinged.Equal(at(tt.now)) || k.asked.IsZero()) {
			t.Errorf("%s: got asked %v, pinged %v, want the ping noted", tt.name, k.asked, k.pinged)
		}
	}
}

// The time for which somebody reads is counted from the ping on, and until something comes.
func TestKeepaliveReading(t *testing.T) {
	zero := time.Unix(1_000_000, 0)
	k := &keepalive{interval: 10, timeout: 4, last: zero}
	want := func(reason string, want time.Duration) {
		t.Helper()
		if k.waited != want {
			t.Errorf("%s: got %d, want %d", reason, k.waited, want)
		}
	}
	k.reading(true, zero)
	k.reading(false, zero.Add(9))
	want("nothing was asked", 0)
	k.reading(true, zero.Add(9))
	k.step(zero.Add(10), time.Time{})
	k.reading(false, zero.Add(12))
	want("read since 9, asked at 10", 2)
	k.reading(true, zero.Add(100))
	k.reading(false, zero.Add(101))
	want("and read for 1 more", 3)
	k.heard(zero.Add(101))
	want("something came", 0)
}

// keepaliveScript is a connection with keepalive: a ping after 10 s, the verdict 4 s later.
type keepaliveScript struct {
	*testing.T
	c     *Conn
	wire  *pipeConn
	ended chan error
	err   error // that ended the reading, as far as the script knows
}

func startKeepaliveScript(t *testing.T, o connOptions) *keepaliveScript {
	a, wire := newPipe(t, 1000)
	tc := &keepaliveScript{T: t, c: newConn(a, true, nil, o), wire: wire, ended: make(chan error, 1)}
	t.Cleanup(func() { tc.c.Close() })
	return tc
}

var keepaliveOptions = connOptions{pingInterval: 10 * time.Second, pongTimeout: 4 * time.Second}

// read reads in a goroutine that ends with the reading.
func (tc *keepaliveScript) read() {
	go func() {
		for {
			if _, _, err := tc.c.ReadMessage(); err != nil {
				tc.ended <- err
				return
			}
		}
	}()
	tc.wait()
}

func (tc *keepaliveScript) wait() {
	synctest.Wait()
	select {
	case tc.err = <-tc.ended:
	default:
	}
}

func (tc *keepaliveScript) receive(list ...peerFrame) {
	tc.wire.Write(peerFrames(true, list...))
	synctest.Wait()
}

func (tc *keepaliveScript) wantSent(reason string, want ...string) {
	tc.Helper()
	tc.wait()
	if got := readFrames(tc, tc.wire, len(want)); !slices.Equal(got, want) || tc.err != nil {
		tc.Errorf("%s: got %q and %v, want %q", reason, got, tc.err, want)
	}
}

func (tc *keepaliveScript) wantIdle(reason string) { tc.Helper(); tc.wantSent(reason) }

func (tc *keepaliveScript) wantPing(reason string) {
	tc.Helper()
	tc.wantSent(reason, `fin=true op=9 masked=false ""`)
}

func (tc *keepaliveScript) wantDead(reason string) {
	tc.Helper()
	tc.wait()
	wantKeepaliveError(tc, reason, tc.err, "4s")
	_, _, again := tc.c.ReadMessage()
	for name, err := range map[string]error{
		"ReadMessage":  again,
		"WriteMessage": tc.c.WriteMessage(TextMessage, nil),
		"WriteControl": tc.c.WriteControl(CloseMessage, nil, time.Time{}),
		"NextWriter":   second(tc.c.NextWriter(TextMessage)),
		"Ping":         second(tc.c.Ping(context.Background())),
	} {
		if err != tc.err {
			tc.Errorf("%s: %s: got %v, want the same error", reason, name, err)
		}
	}
	if _, err := tc.wire.Write(nil); err != io.ErrClosedPipe {
		tc.Errorf("%s: got %v at the peer, want that the network connection is closed", reason, err)
	}
}

func wantKeepaliveError(t testing.TB, reason string, err error, timeout string) {
	t.Helper()
	want := "websocket: nothing came for " + timeout + " after a ping"
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() || err.Error() != want || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: got %v, want %q, a timeout, but no deadline: the read cannot be repeated", reason, err, want)
	}
}

func keepaliveTest(t *testing.T, name string, o connOptions, script func(tc *keepaliveScript)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { script(startKeepaliveScript(t, o)) })
	})
}

func TestKeepalive(t *testing.T) {
	keepaliveTest(t, "a peer that is gone", keepaliveOptions, func(tc *keepaliveScript) {
		tc.read()
		time.Sleep(10*time.Second - 1)
		tc.wantIdle("the interval is not over")
		time.Sleep(1)
		tc.wantPing("the interval is over")
		time.Sleep(4*time.Second - 1)
		tc.wantIdle("the timeout is not over")
		time.Sleep(1)
		tc.wantDead("the timeout is over")
	})

	keepaliveTest(t, "a peer that answers", keepaliveOptions, func(tc *keepaliveScript) {
		tc.read()
		time.Sleep(10 * time.Second)
		for range 5 {
			tc.wantPing("the interval is over")
			time.Sleep(4*time.Second - 1)
			tc.receive(peerFrame{true, opPong, ""})
			time.Sleep(10*time.Second - 1)
			tc.wantIdle("the interval since the pong is not over")
			time.Sleep(1)
		}
		tc.wantPing("the interval is over")
		time.Sleep(4 * time.Second)
		tc.wantDead("no pong this time")
	})

	o := connOptions{pingInterval: 7 * time.Second, pongTimeout: 4 * time.Second} // not at the write deadline of a pong
	for name, f := range map[string]peerFrame{
		"text": {true, opText, "x"}, "binary": {true, opBinary, ""}, "a first fragment": {false, opText, "x"},
		"a ping": {true, opPing, "p"}, "an unsolicited pong": {true, opPong, "q"},
	} {
		keepaliveTest(t, name+" is a sign", o, func(tc *keepaliveScript) {
			tc.read()
			time.Sleep(6 * time.Second)
			tc.receive(f)
			readFrames(tc, tc.wire, 0) // the pong, if it is a ping
			time.Sleep(7*time.Second - 1)
			tc.wantIdle("the interval since then is not over")
			time.Sleep(1)
			tc.wantPing("the interval since then is over")
			time.Sleep(3 * time.Second)
			f := f
			if !f.fin {
				f.op = opContinuation
			}
			tc.receive(f)
			readFrames(tc, tc.wire, 0)
			time.Sleep(7*time.Second - 1)
			tc.wantIdle("it is an answer, too")
			time.Sleep(1)
			tc.wantPing("and then the interval is over again")
		})
	}

	keepaliveTest(t, "payload that trickles is a sign", keepaliveOptions, func(tc *keepaliveScript) {
		tc.read()
		in := peerFrames(true, peerFrame{true, opBinary, "0123456789"})
		tc.wire.Write(in[:6])
		for _, b := range in[6:] {
			time.Sleep(9 * time.Second)
			tc.wire.Write([]byte{b})
			tc.wantIdle("a byte came every 9 s")
		}
	})

	o = keepaliveOptions
	o.agreed.deflate = &deflateParams{}
	keepaliveTest(t, "payload of a compressed message is a sign", o, func(tc *keepaliveScript) {
		tc.read()
		in := peerFrames(true, peerFrame{true, opBinary, "\x00\x0a\x00\xf5\xff0123456789\x00"}) // a block that is stored
		in[0] |= 0x40
		tc.wire.Write(in[:6])
		for _, b := range in[6:] {
			time.Sleep(9 * time.Second)
			tc.wire.Write([]byte{b})
			tc.wantIdle("a byte came every 9 s")
		}
	})

	keepaliveTest(t, "payload of a message that is discarded is a sign", keepaliveOptions, func(tc *keepaliveScript) {
		in := peerFrames(true, peerFrame{true, opBinary, "0123456789"})
		tc.wire.Write(in[:6])
		if _, _, err := tc.c.NextReader(); err != nil {
			tc.Fatal(err)
		}
		tc.read()
		for _, b := range in[6:] {
			time.Sleep(9 * time.Second)
			tc.wire.Write([]byte{b})
			tc.wantIdle("a byte came every 9 s")
		}
	})

	keepaliveTest(t, "no PongTimeout", connOptions{pingInterval: 10 * time.Second}, func(tc *keepaliveScript) {
		tc.read()
		time.Sleep(10 * time.Second)
		tc.wantPing("the interval is over")
		time.Sleep(10*time.Second - 1)
		tc.wantIdle("the timeout is the interval, and not over")
		time.Sleep(1)
		tc.wait()
		wantKeepaliveError(tc, "the timeout is over", tc.err, "10s")
	})

	keepaliveTest(t, "PongTimeout longer than PingInterval", connOptions{pingInterval: 10 * time.Second, pongTimeout: time.Minute},
		func(tc *keepaliveScript) {
			tc.read()
			time.Sleep(10 * time.Second)
			tc.wantPing("the interval is over")
			time.Sleep(25 * time.Second)
			tc.receive(peerFrame{true, opPong, ""})
			time.Sleep(10*time.Second - 1)
			tc.wantIdle("one ping is enough, and it was answered")
			time.Sleep(1)
			tc.wantPing("the interval since the pong is over")
			time.Sleep(time.Minute - 1)
			tc.wantIdle("the timeout is not over")
			time.Sleep(1)
			tc.wait()
			wantKeepaliveError(tc, "the timeout is over", tc.err, "1m0s")
		})

	keepaliveTest(t, "none", connOptions{}, func(tc *keepaliveScript) {
		if tc.c.keepalive != nil {
			tc.Error("got a timer, want none")
		}
		tc.read()
		time.Sleep(1000 * time.Hour)
		tc.wantIdle("there is no keepalive")
	})
}

// A program that does not read sees nothing come, so it must not judge.
func TestKeepaliveWhileNobodyReads(t *testing.T) {
	keepaliveTest(t, "for hours", keepaliveOptions, func(tc *keepaliveScript) {
		time.Sleep(10 * time.Second)
		for range 1000 {
			tc.wantPing("a ping every interval keeps the path open")
			time.Sleep(10*time.Second - 1)
			tc.wantIdle("no more than that")
			time.Sleep(1)
		}
		tc.receive(peerFrame{true, opPong, ""})
		tc.wantPing("the pong has not been read")
		tc.read()
		tc.wantIdle("it is being read, and the pong is there")
		time.Sleep(10 * time.Second)
		tc.wantPing("the interval since the pong is over")
		time.Sleep(4 * time.Second)
		tc.wantDead("the timeout is over")
	})

	keepaliveTest(t, "then reads", keepaliveOptions, func(tc *keepaliveScript) {
		time.Sleep(10 * time.Second)
		tc.wantPing("the interval is over")
		time.Sleep(9 * time.Second)
		tc.read()
		time.Sleep(4*time.Second - 1)
		tc.wantIdle("it has read for less than the timeout")
		time.Sleep(1)
		tc.wantDead("it has read for the timeout")
	})

	keepaliveTest(t, "short reads", keepaliveOptions, func(tc *keepaliveScript) {
		start := time.Now()
		for tc.err == nil && time.Since(start) < time.Hour { // 900 ms of reading, 317 ms of something else
			ctx, cancel := context.WithTimeout(tc.Context(), 900*time.Millisecond)
			_, _, err := tc.c.ReadMessageContext(ctx)
			cancel()
			if err != context.DeadlineExceeded {
				tc.err = err
			}
			time.Sleep(317 * time.Millisecond)
		}
		tc.wantDead("its reads have taken long enough together")
		if d := time.Since(start); d < 14*time.Second || d > 30*time.Second {
			tc.Errorf("got the verdict after %v, want it not before 14s, but soon", d)
		}
	})

	keepaliveTest(t, "a handler that takes its time", keepaliveOptions, func(tc *keepaliveScript) {
		tc.c.SetPongHandler(func(string) error {
			time.Sleep(time.Hour)
			return nil
		})
		tc.read()
		tc.receive(peerFrame{true, opPong, ""})
		time.Sleep(time.Hour - time.Second)
		tc.receive(peerFrame{true, opText, "x"})
		time.Sleep(2 * time.Second)
		tc.wire.take() // pings
		tc.wantIdle("while a handler runs nobody reads")
	})

	keepaliveTest(t, "an empty Read", keepaliveOptions, func(tc *keepaliveScript) {
		tc.wire.Write(peerFrames(true, peerFrame{true, opText, "x"})[:6])
		_, r, _ := tc.c.NextReader()
		time.Sleep(9 * time.Second)
		r.Read(nil)
		time.Sleep(time.Second)
		tc.wantPing("nothing came by the Read of nothing")
	})
}

// The timer ends with the connection. A bubble in which it went on would not end in time 0.
func TestKeepaliveEnds(t *testing.T) {
	for name, end := range map[string]func(tc *keepaliveScript){
		"Close":         func(tc *keepaliveScript) { tc.c.Close() },
		"peer's close":  func(tc *keepaliveScript) { tc.receive(peerClose) },
		"end of file":   func(tc *keepaliveScript) { tc.wire.Close() },
		"a broken rule": func(tc *keepaliveScript) { tc.wire.Write(unhex(tc, "ff ff")) },
	} {
		keepaliveTest(t, name, keepaliveOptions, func(tc *keepaliveScript) {
			tc.read()
			end(tc)
			tc.wait()
			if !tc.c.keepalive.stopped || tc.c.keepalive.timer.Stop() {
				tc.Error("got a timer that goes on, want none")
			}
			tc.wire.take()
			time.Sleep(time.Hour)
			tc.c.look(tc.c.keepalive) // the timer's function, run late
			tc.c.wantNothingSent(tc, tc.wire, "the connection has ended")
			if err := tc.err; err == nil || strings.Contains(err.Error(), "nothing came") {
				tc.Errorf("got %v, want the error that ended the reading", err)
			}
		})
	}
}

// A timeout as long as can be is none.
func TestKeepaliveLongestTimeout(t *testing.T) {
	eachPipe(t, connOptions{pingInterval: time.Second, pongTimeout: math.MaxInt64}, func(b *bubble) {
		b.full()
		b.c.SetWriteDeadline(time.Now().Add(time.Hour))
		wantWriteTimeout(b, "a write", b.c.WriteMessage(TextMessage, []byte("a")))
	})
}
