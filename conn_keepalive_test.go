//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The rules without a connection: an interval of 10, a timeout of 4 or of 25.
func TestKeepaliveStep(t *testing.T) {
	zero := time.Unix(1_000_000, 0)
	const never = -1
	at := func(n time.Duration) time.Time {
		if n == never {
			return time.Time{}
		}
		return zero.Add(n)
	}
	for _, tt := range []struct {
		name                                              string
		timeout, last, asked, pinged, reader, waited, now time.Duration
		ping, dead                                        bool
		next                                              time.Duration
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

// keepaliveScript is a server's connection with keepalive: a ping after 10 s, the verdict 4 s later.
type keepaliveScript struct {
	*bubble
	ended chan error
	err   error // that ended the reading, as far as the script knows
}

var keepaliveOptions = connOptions{pingInterval: 10 * time.Second, pongTimeout: 4 * time.Second}

// read reads in a goroutine that ends with the reading.
func (tc *keepaliveScript) read() {
	go func() {
		var err error
		for err == nil {
			err = second3(tc.c.ReadMessage())
		}
		tc.ended <- err
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
	tc.send(list...)
	synctest.Wait()
}

func (tc *keepaliveScript) wantSent(reason string, want ...string) {
	tc.Helper()
	tc.want(reason, want...)
	if tc.wait(); tc.err != nil {
		tc.Errorf("%s: got %v, want a connection that lives", reason, tc.err)
	}
}

func (tc *keepaliveScript) wantIdle(reason string) { tc.Helper(); tc.wantSent(reason) }

func (tc *keepaliveScript) wantPing(reason string) {
	tc.Helper()
	tc.wantSent(reason, "9 ")
}

// wantPingAfter checks that a ping leaves after the time, and nothing before.
func (tc *keepaliveScript) wantPingAfter(d time.Duration, reason string) {
	tc.Helper()
	time.Sleep(d - 1)
	tc.wantIdle("not yet: " + reason)
	time.Sleep(1)
	tc.wantPing(reason)
}

func (tc *keepaliveScript) wantDead(reason string) {
	tc.Helper()
	tc.wait()
	wantKeepaliveError(tc, reason, tc.err, tc.c.keepalive.timeout.String())
	if err := second3(tc.c.ReadMessage()); err != tc.err {
		tc.Errorf("%s: got %v of the next read, want the same error", reason, err)
	}
	wantWritesFail(tc, reason, tc.c, tc.err)
	if _, err := tc.pipe.Write(nil); err != io.ErrClosedPipe {
		tc.Errorf("%s: got %v at the peer, want that the network connection is closed", reason, err)
	}
}

// wantDeadAfter checks that the verdict comes after the time, and nothing before.
func (tc *keepaliveScript) wantDeadAfter(d time.Duration, reason string) {
	tc.Helper()
	time.Sleep(d - 1)
	tc.wantIdle("not yet: " + reason)
	time.Sleep(1)
	tc.wantDead(reason)
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
		network{size: 1000, manual: true, options: o}.runSide(t, true, func(b *bubble) {
			script(&keepaliveScript{bubble: b, ended: make(chan error, 1)})
		})
	})
}

func TestKeepalive(t *testing.T) {
	for name, timeout := range map[string]time.Duration{
		"PongTimeout": 4 * time.Second, "no PongTimeout": 0, "PongTimeout longer than PingInterval": time.Minute,
	} {
		o := connOptions{pingInterval: 10 * time.Second, pongTimeout: timeout}
		if timeout == 0 {
			timeout = 10 * time.Second // the interval
		}
		keepaliveTest(t, name, o, func(tc *keepaliveScript) {
			tc.read()
			for range 5 {
				tc.wantPingAfter(10*time.Second, "the interval since the beginning or the pong is over")
				time.Sleep(timeout - 1)
				tc.wantIdle("one ping is enough, and the timeout is not over")
				tc.receive(peerFrame{true, opPong, ""})
			}
			tc.wantPingAfter(10*time.Second, "the interval is over")
			tc.wantDeadAfter(timeout, "no pong this time")
		})
	}

	o := connOptions{pingInterval: 7 * time.Second, pongTimeout: 4 * time.Second} // not at the write deadline of a pong
	for name, f := range map[string]string{
		"text": "\x81x", "binary": "\x82", "a first fragment": "\x01x", "a ping": "\x89p", "an unsolicited pong": "\x8aq",
	} {
		keepaliveTest(t, name+" is a sign", o, func(tc *keepaliveScript) {
			f := f
			tc.read()
			time.Sleep(6 * time.Second)
			for _, reason := range []string{"it is a sign", "it is an answer, too"} {
				tc.pipe.Write(rawFrame(true, f))
				if f[0]&0x80 == 0 {
					f = "\x00" + f[1:]
				}
				tc.take() // the pong, if it is a ping
				tc.wantPingAfter(7*time.Second, reason)
				time.Sleep(3 * time.Second)
			}
		})
	}

	compressed := keepaliveOptions
	compressed.agreed.deflate = &deflateParams{}
	for _, tt := range []struct {
		name    string
		o       connOptions
		frame   string
		discard bool
	}{
		{"a message", keepaliveOptions, "\x820123456789", false},
		{"a compressed message", compressed, "\xc2\x00\x0a\x00\xf5\xff0123456789\x00", false}, // a block that is stored
		{"a message that is discarded", keepaliveOptions, "\x820123456789", true},
	} {
		keepaliveTest(t, "payload of "+tt.name+" that trickles is a sign", tt.o, func(tc *keepaliveScript) {
			in := rawFrame(true, tt.frame)
			tc.pipe.Write(in[:6])
			if tt.discard {
				if _, _, err := tc.c.NextReader(); err != nil {
					tc.Fatal(err)
				}
			}
			tc.read()
			for _, b := range in[6:] {
				time.Sleep(9 * time.Second)
				tc.pipe.Write([]byte{b})
				tc.wantIdle("a byte came every 9 s")
			}
		})
	}
}

// A program that does not read sees nothing come, so it must not judge.
func TestKeepaliveWhileNobodyReads(t *testing.T) {
	keepaliveTest(t, "for hours", keepaliveOptions, func(tc *keepaliveScript) {
		for range 1000 {
			tc.wantPingAfter(10*time.Second, "a ping every interval keeps the path open")
		}
		tc.receive(peerFrame{true, opPong, ""})
		tc.wantPingAfter(10*time.Second, "the pong has not been read")
		tc.read()
		tc.wantIdle("it is being read, and the pong is there")
		tc.wantPingAfter(10*time.Second, "the interval since the pong is over")
		tc.wantDeadAfter(4*time.Second, "the timeout is over")
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
		tc.take() // pings
		tc.wantIdle("while a handler runs nobody reads")
	})

	keepaliveTest(t, "an empty Read", keepaliveOptions, func(tc *keepaliveScript) {
		tc.pipe.Write(peerFrames(true, peerFrame{true, opText, "x"})[:6])
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
		"end of file":   func(tc *keepaliveScript) { tc.pipe.Close() },
		"a broken rule": func(tc *keepaliveScript) { tc.pipe.Write(unhex(tc, "ff ff")) },
	} {
		keepaliveTest(t, name, keepaliveOptions, func(tc *keepaliveScript) {
			tc.read()
			end(tc)
			tc.wait()
			tc.take()
			time.Sleep(time.Hour)
			tc.c.look(tc.c.keepalive) // the timer's function, run late
			if !tc.c.keepalive.stopped || tc.c.keepalive.timer.Stop() {
				tc.Error("got a timer that goes on, want none")
			}
			tc.c.wantNothingSent(tc, tc.pipe, "the connection has ended")
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

// Keepalive is one timer for each connection: no goroutine waits in it.
func TestKeepaliveHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		for range 100 {
			a, _ := newPipe(t, 1000)
			defer newConn(a, true, nil, connOptions{pingInterval: time.Minute}).Close()
		}
		for range 3 {
			time.Sleep(time.Minute + time.Second) // after pings
			synctest.Wait()
			if n := runtime.NumGoroutine() - before; n >= 100 {
				t.Errorf("got %d goroutines for 100 connections, want none", n)
			}
		}
	})
}

// Upgrader and Dialer have the options of keepalive and the limit for frames. Two connections that are both read keep
// each other alive.
func TestConnOptionsOfUpgraderAndDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan *Conn, 1)
		u := Upgrader{PingInterval: time.Minute, PongTimeout: 2 * time.Second, MaxFrameSize: 2, ReadLimit: 22,
			WriteThrough: true, ReadBufferSize: 222, WriteBufferSize: 8192}
		far := servePipe(t, &http.Server{Handler: u.HandlerFunc(func(c *Conn, _ *http.Request) {
			conns <- c
			c.ReadMessage()
		})})
		d := Dialer{PingInterval: time.Hour, PongTimeout: 3 * time.Second, MaxFrameSize: 3, ReadLimit: 33,
			WriteThrough: true, ReadBufferSize: 333, WriteBufferSize: 16384}
		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return far, nil }
		client, _, err := d.DialContext(t.Context(), "ws://server.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		type options struct {
			interval, timeout time.Duration
			maxFrame          int
			readLimit         int64
			readBuffer        int32
			writeThrough      bool
		}
		server := <-conns
		for _, tt := range []struct {
			c           *Conn
			want        options
			writeBuffer int
		}{
			{server, options{time.Minute, 2 * time.Second, 2, 22, 222, true}, 8192},
			{client, options{time.Hour, 3 * time.Second, 3, 33, 333, true}, 16384},
		} {
			k, r := tt.c.keepalive, &tt.c.recv
			got := options{k.interval, k.timeout, tt.c.maxFrame, r.readLimit.Load(), r.restSize, tt.c.burst.never}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if size := classSize(int(tt.c.writeClass)); size < tt.writeBuffer || size > tt.writeBuffer+maxHeaderSize {
				t.Errorf("got a write buffer of %d, want %d", size, tt.writeBuffer)
			}
		}
		go client.ReadMessage()
		time.Sleep(10 * time.Hour)
		if server, client := server.readLock.err(), client.readLock.err(); server != nil || client != nil {
			t.Errorf("got %v and %v, want connections that live", server, client)
		}
		client.Close()
	})
}

// No ping precedes the answer to the opening handshake, however long that takes.
func TestKeepaliveBehindTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 1000)
		c := newConn(near, true, nil, connOptions{locked: true, pingInterval: time.Second, pongTimeout: time.Hour})
		defer c.Close()
		time.Sleep(time.Minute + time.Second/2) // between two pings
		if sent := far.take(); len(sent) > 0 {
			t.Errorf("got %q, want nothing while the answer is being written", sent)
		}
		c.send.unlock()
		if sent := far.takeFrames(1); string(sent) != "\x89\x00" {
			t.Errorf("got %q, want a ping", sent)
		}
	})
}

// A message that comes slowly is a sign of the peer, also where it is read straight into the program's memory; and so
// is what a handler was called for, behind which the timeout runs again.
func TestKeepaliveSigns(t *testing.T) {
	o := connOptions{pingInterval: time.Second, pongTimeout: time.Second}
	eachPipe(t, o, func(b *bubble) {
		payload := make([]byte, 10*2*directSize)
		all := peerFrames(b.server, peerFrame{true, opBinary, string(payload)})
		read := inBackground(b.T, func() error { return second3(b.c.ReadMessage()) })
		step := len(all)/10 + 1
		for at := 0; at < len(all); at += step {
			b.far.Write(all[at:min(at+step, len(all))])
			time.Sleep(1900 * time.Millisecond)
		}
		read.want("a message in ten pieces", 9*1900*time.Millisecond, noError)
	})
	eachPipe(t, o, func(b *bubble) {
		b.c.SetPingHandler(func(string) error { return nil })
		b.send(pingFrame(""))
		inBackground(b.T, func() error { return second3(b.c.ReadMessage()) }).
			want("silence behind a ping", 2*time.Second, "websocket: nothing came for 1s after a ping")
	})
}
