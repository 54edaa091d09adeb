//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pingScript is a connection that is being read, and the peer's end of it.
type pingScript struct {
	*testing.T
	a     attack
	c     *Conn
	wire  *pipeConn
	pongs []string // that the handler was called with
}

func pingTest(t *testing.T, name string, script func(tc *pingScript)) {
	t.Run(name, func(t *testing.T) { attack{}.pingTest(t, script) })
}

// pingTest runs the script with the connection.
func (a attack) pingTest(t *testing.T, script func(tc *pingScript)) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := a.pipe(t, connOptions{})
		tc := &pingScript{T: t, a: a, c: c, wire: wire}
		c.SetPongHandler(func(s string) error {
			tc.pongs = append(tc.pongs, s)
			return nil
		})
		go func() {
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					return // the test's end closes the connection
				}
			}
		}()
		synctest.Wait()
		script(tc)
	})
}

// pinger is a call of Ping.
type pinger struct {
	payload string // of its frame
	over    bool
	rtt     time.Duration
	err     error
}

func (tc *pingScript) ping(ctx context.Context) *pinger {
	tc.Helper()
	p := new(pinger)
	go func() {
		p.rtt, p.err = tc.c.Ping(ctx)
		p.over = true
	}()
	synctest.Wait()
	b := tc.wire.take()
	h, n, err := parseHeader(b)
	if err != nil || h.opcode != opPing || !h.fin || len(b) != n+16 {
		tc.Fatalf("got % x, %v, want a ping of 16 bytes", b, err)
	}
	maskEach(b[n:], h.key, 0)
	p.payload = string(b[n:])
	return p
}

func (tc *pingScript) pong(payload string) {
	tc.wire.Write(tc.a.frame(0x8a, payload))
	synctest.Wait()
}

func (tc *pingScript) want(reason string, p *pinger, over bool, rtt time.Duration) {
	tc.Helper()
	synctest.Wait()
	if p.over != over || p.rtt != rtt || p.err != nil {
		tc.Errorf("%s: got over %t, %v, %v, want %t, %v, nil", reason, p.over, p.rtt, p.err, over, rtt)
	}
}

func TestPing(t *testing.T) {
	pingTest(t, "one", func(tc *pingScript) {
		p := tc.ping(tc.Context())
		time.Sleep(123 * time.Millisecond)
		tc.want("no pong yet", p, false, 0)
		tc.pong(p.payload)
		tc.want("the pong is here", p, true, 123*time.Millisecond)
		if len(tc.pongs) != 1 || tc.pongs[0] != p.payload {
			tc.Errorf("got %q, want the pong handler called", tc.pongs)
		}
	})

	pingTest(t, "several, told apart", func(tc *pingScript) {
		first := tc.ping(tc.Context())
		time.Sleep(time.Second)
		second := tc.ping(tc.Context())
		if first.payload == second.payload {
			tc.Errorf("got %x twice, want pings that differ", first.payload)
		}
		time.Sleep(time.Second)
		tc.pong(first.payload)
		tc.want("its pong is here", first, true, 2*time.Second)
		tc.want("its pong is not here", second, false, 0)
		time.Sleep(time.Second)
		tc.pong(second.payload)
		tc.want("its pong is here", second, true, 2*time.Second)
	})

	// RFC 6455, 5.5.3: a peer "MAY elect to send a Pong frame for only the most
	// recently processed Ping frame".
	pingTest(t, "one pong for all", func(tc *pingScript) {
		var list []*pinger
		for range 4 {
			list = append(list, tc.ping(tc.Context()))
			time.Sleep(time.Second)
		}
		tc.pong(list[2].payload)
		for i, p := range list[:3] {
			tc.want(fmt.Sprintf("ping %d was sent no later than the one that is answered", i), p, true, time.Duration(4-i)*time.Second)
		}
		tc.want("it was sent later", list[3], false, 0)
		tc.pong(list[3].payload)
		tc.want("its pong is here", list[3], true, time.Second)
	})

	pingTest(t, "a message writer is open", func(tc *pingScript) {
		w, _ := tc.c.NextWriter(BinaryMessage)
		w.Write(make([]byte, 10_000))
		wantFrames(tc, tc.wire, fmt.Sprintf("fin=false op=2 masked=true %q", make([]byte, 10_000)))
		p := tc.ping(tc.Context())
		tc.pong(p.payload)
		tc.want("its ping passed between the fragments", p, true, 0)
		if err := w.Close(); err != nil {
			tc.Error(err)
		}
		wantFrames(tc, tc.wire, `fin=true op=0 masked=true ""`)
	})

	pingTest(t, "a late pong", func(tc *pingScript) {
		ctx, cancel := context.WithCancelCause(tc.Context())
		p, other := tc.ping(ctx), tc.ping(tc.Context())
		cancel(errMine)
		synctest.Wait()
		wantCancelled(tc.T, "the context has ended", p.err)
		tc.pong(p.payload)
		tc.want("nobody waits for this pong", other, false, 0)
		if n := len(tc.c.ownExtras().pings.waiting); n != 1 {
			tc.Errorf("got %d pings that wait, want 1", n)
		}
		tc.pong(other.payload)
		tc.want("its pong is here", other, true, 0)
	})
}

// A pong takes the pings that it answers off the list at once: one that comes again,
// before their goroutines have run, answers nothing.
func TestPingsList(t *testing.T) {
	var a pings
	var list [5]*ping
	for i := range list {
		list[i] = &ping{payload: [16]byte{byte(i)}, done: make(chan struct{})}
		a.add(list[i])
	}
	now := time.Now()
	for _, i := range []int{2, 0, 2, 3} {
		a.received(list[i].payload[:], now.Add(time.Duration(i)))
	}
	for i, want := range []int{2, 2, 2, 3} {
		if got := list[i].pong.Sub(now); got != time.Duration(want) || list[i].err != nil {
			t.Errorf("ping %d: got answered by pong %d, %v, want by %d", i, got, list[i].err, want)
		}
	}
	a.fail(errMine)
	a.fail(io.EOF)
	if err := list[4].err; err != errMine || len(a.waiting) != 0 {
		t.Errorf("got %v, and %d pings that wait, want the first error and none", err, len(a.waiting))
	}
}

// The time is that from sending on, not from the call; and the order is that of sending.
func TestPingBehindABlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 100)
		c := newConn(a, true, nil, connOptions{})
		go c.ReadMessage()
		go c.WriteMessage(BinaryMessage, make([]byte, 196))
		synctest.Wait()
		var rtt time.Duration
		var err error
		go func() { rtt, err = c.Ping(t.Context()) }()
		synctest.Wait()
		if p := &c.ownExtras().pings; len(p.waiting) > 0 {
			t.Error("got a ping in the list that was not sent")
		}
		time.Sleep(time.Minute)
		for range 2 {
			wire.take()
			synctest.Wait()
		}
		b := wire.take()
		time.Sleep(time.Second)
		wire.Write(peerFrames(true, peerFrame{true, opPong, string(b[2:])}))
		synctest.Wait()
		if rtt != time.Second || err != nil {
			t.Errorf("got %v, %v, want 1s, nil", rtt, err)
		}
	})
}

func TestPingErrors(t *testing.T) {
	// While it waits for the pong.
	for _, tt := range []struct {
		name string
		end  func(tc *pingScript)
		want func(error) bool
	}{
		{"Close", func(tc *pingScript) { tc.c.Close() }, func(err error) bool { return errors.Is(err, net.ErrClosed) }},
		{"the peer's close", func(tc *pingScript) { tc.wire.Write(peerFrames(false, peerClose)) },
			func(err error) bool { return IsCloseError(err, CloseNormalClosure) }},
		{"end of file", func(tc *pingScript) { tc.wire.Close() }, func(err error) bool { return IsCloseError(err, CloseAbnormalClosure) }},
		{"a broken rule", func(tc *pingScript) { tc.wire.Write([]byte{0x83, 0}) },
			func(err error) bool { return errors.As(err, new(*protocolError)) }},
	} {
		pingTest(t, tt.name, func(tc *pingScript) {
			list := []*pinger{tc.ping(tc.Context()), tc.ping(tc.Context())}
			tt.end(tc)
			synctest.Wait()
			for _, p := range list {
				if !p.over || p.rtt != 0 || !tt.want(p.err) {
					tc.Errorf("got over %t, %v, %v, want the error that ended the reading", p.over, p.rtt, p.err)
				}
			}
			start := time.Now()
			if _, err := tc.c.Ping(tc.Context()); err == nil || time.Since(start) != 0 {
				tc.Errorf("later: got %v after %v, want an error at once", err, time.Since(start))
			}
		})
	}

	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 100)
		c := newConn(a, false, nil, connOptions{})
		if _, err := c.Ping(cancelled(errMine)); true {
			wantCancelled(t, "cancelled before", err)
		}
		wantFrames(t, wire)

		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Ping(ctx); err != context.DeadlineExceeded || time.Since(start) != time.Second {
			t.Errorf("nobody reads: got %v after %v, want context.DeadlineExceeded after 1s", err, time.Since(start))
		}

		c.SetWriteDeadline(time.Now().Add(-time.Hour)) // of an earlier write
		wire.take()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Ping(ctx); err != context.DeadlineExceeded || c.send.lock.err() != nil {
			t.Errorf("got %v, %v, want context.DeadlineExceeded and a good connection: the write deadline is not for Ping", err, c.send.lock.err())
		}
		c.SetWriteDeadline(time.Time{})

		wire.take()
		go c.WriteMessage(BinaryMessage, make([]byte, 1000))
		synctest.Wait()
		ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, errMine)
		defer cancel()
		if _, err := c.Ping(ctx); err == nil || err.Error() != "websocket: context deadline exceeded: mine" || c.send.lock.err() != nil {
			t.Errorf("in turn: got %v, %v, want the context's error and a good connection", err, c.send.lock.err())
		}
		wire.Close()
		synctest.Wait()
		if _, err := c.Ping(t.Context()); err != io.ErrClosedPipe {
			t.Errorf("got %v, want that of the write", err)
		}
		if n := len(c.ownExtras().pings.waiting); n != 0 {
			t.Errorf("got %d pings that wait, want none", n)
		}
	})
}

// After the end of the reading no pong can come, and the first Ping knows that too.
func TestFirstPingAfterTheEndOfTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		c.SetPongHandler(func(string) error { return errMine })
		wire.Write(peerFrames(false, peerFrame{true, opPong, ""}))
		c.ReadMessage()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := c.Ping(ctx); err != errMine || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want the error that ended the reading, at once", err, time.Since(start))
		}
		wantFrames(t, wire)
	})
}

// Two connections that read, and many goroutines that ping, over a real network.
func TestPingMany(t *testing.T) {
	near, far := tcpPair(t)
	server, client := newConn(near, true, nil, connOptions{}), newConn(far, false, nil, connOptions{})
	goroutines := runtime.NumGoroutine()
	var readers, pingers sync.WaitGroup
	for _, c := range []*Conn{server, client} {
		readers.Go(func() {
			if _, _, err := c.ReadMessage(); err == nil {
				t.Error("got a message, want none")
			}
		})
		for range 8 {
			pingers.Go(func() {
				for range 50 {
					if rtt, err := c.Ping(context.Background()); rtt <= 0 || err != nil {
						t.Errorf("got %v, %v, want a time", rtt, err)
					}
				}
			})
		}
	}
	pingers.Wait()
	if n := runtime.NumGoroutine() - goroutines; n > 2+16 {
		stacks := make([]byte, 1<<20)
		t.Errorf("got %d goroutines more, want those of the test: %s", n, stacks[:runtime.Stack(stacks, true)])
	}
	server.Close()
	client.Close()
	readers.Wait()
}

// Upgrader and Dialer have the options of keepalive.
func TestKeepaliveOptionsOfUpgraderAndDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 10_000)
		conns := make(chan *Conn, 1)
		u := Upgrader{PingInterval: time.Minute, PongTimeout: 2 * time.Second}
		ln := newHSListener()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, nil)
			if err != nil {
				t.Error(err)
			}
			conns <- c
		})}
		go srv.Serve(ln)
		defer srv.Close()
		go func() { ln.conns <- near }()

		d := Dialer{PingInterval: time.Hour, PongTimeout: 3 * time.Second}
		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return far, nil }
		client, _, err := d.DialContext(t.Context(), "ws://server.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server := <-conns
		defer server.Close()
		for name, tt := range map[string]struct {
			k                 *keepalive
			interval, timeout time.Duration
		}{
			"Upgrader": {server.keepalive, time.Minute, 2 * time.Second},
			"Dialer":   {client.keepalive, time.Hour, 3 * time.Second},
		} {
			if tt.k == nil || tt.k.interval != tt.interval || tt.k.timeout != tt.timeout {
				t.Errorf("%s: got %+v, want an interval of %v and a timeout of %v", name, tt.k, tt.interval, tt.timeout)
			}
		}
		// Two libraries that both read keep each other alive.
		go client.ReadMessage()
		ended := make(chan error, 1)
		go func() {
			_, _, err := server.ReadMessage()
			ended <- err
		}()
		time.Sleep(10 * time.Hour)
		select {
		case err := <-ended:
			t.Errorf("got %v, want a connection that lives", err)
		default:
		}
	})
}

// After our Close frame there are no pings, but a peer that does not answer is found out.
func TestKeepaliveAfterCloseSent(t *testing.T) {
	keepaliveTest(t, "silent peer", keepaliveOptions, func(tc *keepaliveScript) {
		tc.c.WriteControl(CloseMessage, nil, time.Time{})
		tc.read()
		time.Sleep(14*time.Second - 1)
		tc.wantSent("interval and timeout are not over", `fin=true op=8 masked=false ""`)
		time.Sleep(1)
		tc.wait()
		wantKeepaliveError(tc, "they are over", tc.err, "4s")
	})
}

// Keepalive is one timer for each connection: no goroutine waits in it, and none is left.
func TestKeepaliveHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		var conns []*Conn
		for range 100 {
			c, _ := newTestConn(t, true)
			c.startKeepalive(time.Minute, 0)
			conns = append(conns, c)
		}
		for range 3 {
			time.Sleep(time.Minute + time.Second) // after pings
			synctest.Wait()
			if n := runtime.NumGoroutine(); n >= before+100 {
				t.Errorf("got %d goroutines for 100 connections, want none", n-before)
			}
		}
		for _, c := range conns {
			c.Close()
		}
	})
}
