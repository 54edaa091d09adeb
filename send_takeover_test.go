//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// takeoverOptions are those of both sides of a connection with context takeover.
func takeoverOptions(t *testing.T) connOptions {
	o := CompressionOptions{ContextTakeover: true}
	params := negotiate(t, o, o)
	return connOptions{agreed: agreement{deflate: &params}, compression: o}
}

// takeoverWrites are the ways to write a message that is compressed.
var takeoverWrites = map[string]func(c *Conn, p []byte) error{
	"WriteMessage": func(c *Conn, p []byte) error { return c.WriteMessage(TextMessage, p) },
	"NextWriter": func(c *Conn, p []byte) error {
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			return err
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		return w.Close()
	},
	"WritePreparedMessage": func(c *Conn, p []byte) error {
		pm, err := NewPreparedMessage(TextMessage, p)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	},
}

// takeoverTexts are messages that resemble each other.
var takeoverTexts = [][]byte{textLike(1000, 1), textLike(1000, 2), textLike(1000, 3), textLike(3000, 2)}

// wantInflated writes the messages, and checks that the peer gets them.
func wantInflated(t testing.TB, c, peer *Conn, write func(c *Conn, p []byte) error, messages ...[]byte) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		var err error
		for _, p := range messages {
			if err == nil {
				err = write(c, p)
			}
		}
		written <- err
	}()
	for i, want := range messages {
		select {
		case err := <-written:
			if err != nil {
				t.Fatalf("got %v, want nil", err)
			}
		default:
		}
		if _, p, err := peer.ReadMessage(); !bytes.Equal(p, want) || err != nil {
			t.Fatalf("message %d: got %d bytes, %v, want %d", i, len(p), err, len(want))
		}
	}
}

// With context takeover a message that a deadline has taken back leaves no trace in those that
// follow: the peer, who has not got it, can inflate them.
func TestDeadlineAndContextTakeover(t *testing.T) {
	o, write := takeoverOptions(t), takeoverWrites["WriteMessage"]
	eachFull(t, o, func(t *testing.T, c *Conn, far *farEnd) {
		for i, p := range takeoverTexts {
			c.SetWriteDeadline(time.Now().Add(2 * time.Millisecond))
			wantWriteTimeout(t, fmt.Sprint("message ", i), write(c, p))
		}
		c.SetWriteDeadline(time.Time{})
		if t.Failed() {
			return
		}
		far.drain(t)
		peer := newConn(far.Conn, !far.server, nil, o)
		wantInflated(t, c, peer, write, append(takeoverTexts, takeoverTexts...)...)
	})
}

// So it is where the peer has the window of earlier messages.
func TestDeadlineWithinAWindow(t *testing.T) {
	o := takeoverOptions(t)
	for name, write := range takeoverWrites {
		t.Run(name, func(t *testing.T) {
			eachPipe(t, o, func(b *bubble) {
				b.full() // so that its own peer reads nothing
				room(b.pipe, 1<<20)
				b.pipe.SetReadDeadline(time.Time{})
				peer := newConn(b.far, !b.server, nil, o)
				wantInflated(b, b.c, peer, write, takeoverTexts[:2]...)
				room(b.pipe, 0)
				for i, p := range takeoverTexts {
					b.c.SetWriteDeadline(time.Now().Add(time.Second))
					wantWriteTimeout(b, fmt.Sprint("message ", i), write(b.c, p))
				}
				b.c.SetWriteDeadline(time.Time{})
				room(b.pipe, 1<<20)
				if !b.Failed() {
					wantInflated(b, b.c, peer, write, append(takeoverTexts, takeoverTexts...)...)
				}
			})
		})
	}
}

// So it is where the deadline had passed before, over every transport.
func TestDeadlineInThePastAndContextTakeover(t *testing.T) {
	o := takeoverOptions(t)
	for name, write := range takeoverWrites {
		t.Run(name, func(t *testing.T) {
			eachLink(t, func(t *testing.T, l testLink) {
				c, far := l.conn(t, o)
				peer := newConn(far.Conn, !far.server, nil, o)
				wantInflated(t, c, peer, write, takeoverTexts[:2]...)
				c.SetWriteDeadline(time.Unix(1, 0))
				for i, p := range takeoverTexts {
					wantWriteTimeout(t, fmt.Sprint("message ", i), write(c, p))
				}
				c.SetWriteDeadline(time.Time{})
				if !t.Failed() {
					wantInflated(t, c, peer, write, append(takeoverTexts, takeoverTexts...)...)
				}
			})
		})
	}
}
