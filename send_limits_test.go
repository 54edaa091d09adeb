//go:build go1.25

package websocket

import (
	"testing"
	"testing/synctest"
	"time"
)

// limitedWrites are the ways to write that a deadline bounds.
var limitedWrites = []struct {
	name  string
	write func(c *Conn, deadline time.Time) error
}{
	{"WriteControl", func(c *Conn, deadline time.Time) error {
		return c.WriteControl(PingMessage, []byte("never"), deadline)
	}},
	{"WriteControl, close", func(c *Conn, deadline time.Time) error {
		return c.WriteControl(CloseMessage, nil, deadline)
	}},
	{"WriteMessage", func(c *Conn, deadline time.Time) error {
		c.SetWriteDeadline(deadline)
		return c.WriteMessage(TextMessage, []byte("never"))
	}},
	{"WriteMessage, 100 KB", func(c *Conn, deadline time.Time) error {
		c.SetWriteDeadline(deadline)
		return c.WriteMessage(BinaryMessage, make([]byte, 100_000))
	}},
	{"WriteMessage, close", func(c *Conn, deadline time.Time) error {
		c.SetWriteDeadline(deadline)
		return c.WriteMessage(CloseMessage, nil)
	}},
	{"NextWriter", func(c *Conn, deadline time.Time) error {
		c.SetWriteDeadline(deadline)
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte("never")); err != nil {
			return err
		}
		return w.Close()
	}},
	{"WriteJSON", func(c *Conn, deadline time.Time) error {
		c.SetWriteDeadline(deadline)
		return c.WriteJSON("never")
	}},
	{"WritePreparedMessage", func(c *Conn, deadline time.Time) error {
		c.SetWriteDeadline(deadline)
		pm, err := NewPreparedMessage(TextMessage, []byte("never"))
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	}},
}

// A write whose deadline has passed before does nothing, over every transport.
func TestDeadlineInThePast(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		c, peer := l.conn(t, connOptions{})
		for _, w := range limitedWrites {
			wantWriteTimeout(t, w.name, w.write(c, time.Unix(1, 0)))
		}
		c.SetWriteDeadline(time.Time{})
		wantWrite(t, c, "later")
		peer.want(t, "the connection is as good as before", "1 later")
	})
}

// A write whose deadline passes before the network has taken a byte has done nothing: the
// connection is as good as before, also where the frame was a Close frame.
func TestDeadlineOnAFullNetwork(t *testing.T) {
	eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
		for _, w := range limitedWrites {
			wantWriteTimeout(t, w.name, w.write(c, time.Now().Add(2*time.Millisecond)))
		}
		c.SetWriteDeadline(time.Time{})
		peer.drain(t)
		wantWrite(t, c, "later")
		peer.want(t, "the network is free", "1 later")
		peer.send(t, textFrame("a"))
		wantRead(t, c, "a")
	})
}

// A peer that never reads: the same in simulated time, where each write ends at its deadline. Over TLS that cannot
// be told from a frame that has left in part.
func TestAttackPeerNeverReads(t *testing.T) {
	for _, o := range []*CompressionOptions{nil, {}, {ContextTakeover: true}} {
		eachPipe(t, attack{compression: o}.options(t, connOptions{}), func(b *bubble) {
			b.full()
			for _, w := range limitedWrites {
				if d := took(func() {
					wantWriteTimeout(b, w.name, w.write(b.c, time.Now().Add(time.Second)))
				}); d != time.Second {
					b.Errorf("%s: got a wait of %v, want 1s", w.name, d)
				}
			}
			b.c.SetWriteDeadline(time.Time{})
			b.open()
			b.c.EnableWriteCompression(false)
			wantWrite(b, b.c, "later")
			b.want("the network is free", "1 later")
		})
	}
}

// A write whose deadline passes while it waits for another one has done nothing, over TLS too.
func TestDeadlineBehindAnotherWriter(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.full()
		first := make(chan error, 1)
		go func() { first <- b.c.WriteMessage(TextMessage, []byte("first")) }()
		synctest.Wait()
		for _, w := range limitedWrites {
			if d := took(func() {
				wantWriteTimeout(b, w.name, w.write(b.c, time.Now().Add(time.Second)))
			}); d != time.Second {
				b.Errorf("%s: got a wait of %v, want 1s", w.name, d)
			}
		}
		b.c.SetWriteDeadline(time.Time{})
		b.open()
		if err := <-first; err != nil {
			b.Errorf("the first: got %v, want nil", err)
		}
		wantWrite(b, b.c, "later")
		b.want("the network is free", "1 first", "1 later")
	})
}
