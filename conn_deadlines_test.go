//go:build go1.25

package websocket

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A connection whose program sets no deadline has none, and takes no memory for any.
func TestNoDeadlines(t *testing.T) {
	server, client := newConnPair(t)
	for _, pair := range [][2]*Conn{{server, client}, {client, server}} {
		pair[0].WriteMessage(TextMessage, []byte("a"))
		pair[0].WriteControl(PongMessage, nil, time.Time{}) // a ping's answer would have one
		pair[0].WriteMessage(TextMessage, []byte("b"))
		for range 2 {
			if _, _, err := pair[1].ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]*Conn{"server": server, "client": client} {
		if c.deadlines.Load() != nil || c.send.delayed.Load() != nil {
			t.Errorf("%s: got memory for deadlines, want none", name)
		}
		if n := c.NetConn().(*pipeConn).out.writeDeadlines; n != 1 {
			t.Errorf("%s: got %d calls of SetWriteDeadline, want one, at the beginning", name, n)
		}
	}
}

// wantReadTimeout reads until a timeout, which is to come after the time.
func wantReadTimeout(t *testing.T, c *Conn, reason string, want time.Duration) {
	t.Helper()
	start := time.Now()
	_, p, err := c.ReadMessage()
	if d := time.Since(start); !isTimeout(err) || d != want {
		t.Errorf("%s: got %q, %v after %v, want a timeout after %v", reason, p, err, d, want)
	}
}

// A read deadline is in force from when it is set, for the read that waits, too, until
// another is set.
func TestReadDeadlineBeforeDuringAndAfter(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, server)
			set := func(d time.Duration) { c.SetReadDeadline(time.Now().Add(d)) }
			set(time.Second)
			wantReadTimeout(t, c, "set before", time.Second)
			wantReadTimeout(t, c, "it stays", 0)

			set(time.Hour)
			time.AfterFunc(time.Second, func() { set(time.Second) })
			wantReadTimeout(t, c, "made shorter", 2*time.Second)
			set(2 * time.Second)
			time.AfterFunc(time.Second, func() { set(time.Minute) })
			wantReadTimeout(t, c, "made longer", time.Second+time.Minute)
			c.SetReadDeadline(time.Time{})
			time.AfterFunc(time.Second, func() { c.SetReadDeadline(time.Unix(1, 0)) })
			wantReadTimeout(t, c, "the past", time.Second)

			set(time.Second)
			time.AfterFunc(500*time.Millisecond, func() { c.SetReadDeadline(time.Time{}) })
			time.AfterFunc(time.Hour, func() { wire.Write(peerFrames(server, texts("late")...)) })
			if _, p, err := c.ReadMessage(); string(p) != "late" || err != nil {
				t.Errorf("taken back: got %q, %v, want late", p, err)
			}
		})
	})
}

// Within a message, too, a read deadline loses nothing.
func TestReadDeadlineWithinAMessage(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		c := newConn(near, true, nil, connOptions{})
		b := peerFrames(true, texts("in pieces")...)
		for i := range b {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, p, err := c.ReadMessage(); !isTimeout(err) {
				t.Fatalf("after %d bytes: got %q, %v, want a timeout", i, p, err)
			}
			far.Write(b[i : i+1])
		}
		c.SetReadDeadline(time.Time{})
		if _, p, err := c.ReadMessage(); string(p) != "in pieces" || err != nil {
			t.Errorf("got %q, %v, want the message", p, err)
		}
	})
}

// A read deadline that is set while Shutdown reads, which has another, comes into force
// for the program's next read.
func TestOverriddenReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.overrideReadDeadline(time.Now().Add(time.Second))
		c.SetReadDeadline(time.Now().Add(time.Minute))
		wantReadTimeout(t, c, "overridden", time.Second)
		if d := c.ownDeadlines().inForce(); time.Until(d) != 0 {
			t.Errorf("got a deadline in %v in force, want the other one", time.Until(d))
		}
		c.restoreReadDeadline()
		wantReadTimeout(t, c, "restored", time.Minute-time.Second)
		c.SetReadDeadline(time.Time{})
		wire.Write(peerFrames(true, texts("a")...))
		if _, p, err := c.ReadMessage(); string(p) != "a" || err != nil {
			t.Errorf("got %q, %v, want a", p, err)
		}
	})
}

// A write deadline that was set before a write begins bounds it; one that is set
// meanwhile does not, and a past one ends the next before any of it has left.
func TestWriteDeadlineBeforeDuringAndAfter(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newPipe(t, 4)
			wire := &loggedConn{pipeConn: a}
			c := newConn(wire, server, nil, connOptions{})
			c.SetWriteDeadline(time.Now().Add(time.Minute))
			done := make(chan error)
			go func() { done <- c.WriteMessage(TextMessage, []byte("0123456789")) }()
			synctest.Wait()
			c.SetWriteDeadline(time.Now().Add(time.Second))
			time.Sleep(30 * time.Second)
			if got := drainFrames(t, wire, 1); got != "1 0123456789" {
				t.Errorf("got %q, want the message", got)
			}
			if err := <-done; err != nil {
				t.Errorf("got %v, want nil: the deadline is for the next", err)
			}
			start := time.Now()
			if err := c.WriteMessage(TextMessage, []byte("x")); !isTimeout(err) || time.Since(start) != 0 {
				t.Errorf("past: got %v after %v, want a timeout at once", err, time.Since(start))
			}
			c.wantNothingSent(t, wire.peer(), "the deadline has passed")
		})
	})
}

// The deadline of WriteControl is its own: the program's write deadline is not for it,
// and it is not that of the messages.
func TestWriteControlHasADeadlineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		if err := c.WriteControl(PingMessage, nil, time.Now().Add(time.Hour)); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		time.Sleep(2 * time.Second) // now the write deadline has passed
		if err := c.WriteControl(PongMessage, nil, time.Time{}); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		wantFrames(t, wire, `fin=true op=9 masked=false ""`, `fin=true op=10 masked=false ""`)
		c.SetWriteDeadline(time.Time{})
		c.WriteControl(PingMessage, nil, time.Now().Add(time.Second))
		time.Sleep(time.Hour)
		if err := c.WriteMessage(TextMessage, nil); err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}
