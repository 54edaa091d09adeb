//go:build go1.25

package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// endings are what ends the reading, and the Close frame that the peer is sent for it.
var endings = []struct {
	name  string
	frame peerFrame
	err   string // of the read
	reply string
}{
	{"close", peerFrame{true, opClose, "\x03\xe8bye"}, "websocket: close 1000 (normal): bye", "8 \x03\xe8"},
	{"broken rule", peerFrame{false, opPing, ""}, "websocket: control frame is fragmented", "8 \x03\xeacontrol frame is fragmented"},
	{"empty close", peerFrame{true, opClose, ""}, "websocket: close 1005 (no status)", "8 "},
	{"bad text", textFrame("\xff"), "websocket: text is not valid UTF-8", "8 \x03\xeftext is not valid UTF-8"},
}

// A read deadline is for reads: a pong that falls due after it leaves all the same, and the
// connection is good.
func TestPongAfterTheReadDeadline(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		c, peer := l.conn(t, connOptions{})
		peer.send(t, textFrame("a"), pingFrame("p")) // the read of the message brings the ping
		wantRead(t, c, "a")
		c.SetReadDeadline(time.Unix(1, 0))
		if _, _, err := c.ReadMessage(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a timeout", err)
		}
		c.SetReadDeadline(time.Time{})
		peer.send(t, textFrame("b"))
		wantRead(t, c, "b")
		wantWrite(t, c, "later")
		peer.wantAll(t, "the ping was read", "10 p", "1 later")
	})
}

// So does the Close frame that ends the reading.
func TestCloseFrameAfterTheReadDeadline(t *testing.T) {
	for _, tt := range endings[:2] {
		t.Run(tt.name, func(t *testing.T) {
			eachLink(t, func(t *testing.T, l testLink) {
				c, peer := l.conn(t, connOptions{})
				peer.send(t, textFrame("a"), tt.frame)
				wantRead(t, c, "a")
				c.SetReadDeadline(time.Unix(1, 0))
				_, _, err := c.ReadMessage()
				if errors.Is(err, os.ErrDeadlineExceeded) { // the frame was not here yet
					c.SetReadDeadline(time.Time{})
					_, _, err = c.ReadMessage()
				}
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				peer.want(t, "the reading has ended", tt.reply)
			})
		})
	}
}

// A read does not wait until the network takes the replies that it makes, however full that is.
// They leave when it does.
func TestReadDoesNotWaitForReplies(t *testing.T) {
	t.Run("ping", func(t *testing.T) {
		eachBubble(t, connOptions{}, func(b *bubble) {
			b.full()
			b.send(pingFrame("p"), textFrame("a"))
			if d := took(func() { wantRead(b, b.c, "a") }); d != 0 {
				b.Errorf("got a wait of %v, want none", d)
			}
			time.Sleep(time.Minute)
			b.open()
			b.want("the network is free", "10 p")
			wantWrite(b, b.c, "later")
			b.want("the connection is good", "1 later")
		})
	})
	for _, tt := range endings {
		t.Run(tt.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				b.send(tt.frame)
				d := took(func() {
					if _, _, err := b.c.ReadMessage(); err == nil || err.Error() != tt.err {
						b.Errorf("got %v, want %s", err, tt.err)
					}
				})
				if d != 0 {
					b.Errorf("got a wait of %v, want none", d)
				}
				time.Sleep(time.Minute)
				b.open()
				b.want("the network is free", tt.reply)
				if err := b.c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
					b.Errorf("got %v, want ErrCloseSent", err)
				}
			})
		})
	}
}

// Nor does it wait for a writer who waits for the network.
func TestReadDoesNotWaitForWriters(t *testing.T) {
	run := func(t *testing.T, in []peerFrame, readErr, reply string) {
		eachBubble(t, connOptions{}, func(b *bubble) {
			b.full()
			first := make(chan error, 1)
			go func() { first <- b.c.WriteMessage(TextMessage, []byte("first")) }()
			synctest.Wait()
			b.send(in...)
			d := took(func() {
				if _, _, err := b.c.ReadMessage(); fmt.Sprint(err) != readErr {
					b.Errorf("got %v, want %s", err, readErr)
				}
			})
			if d != 0 {
				b.Errorf("got a wait of %v, want none", d)
			}
			time.Sleep(time.Minute)
			b.open()
			b.want("the network is free", "1 first", reply)
			if err := <-first; err != nil {
				b.Errorf("got %v, want nil", err)
			}
		})
	}
	t.Run("ping", func(t *testing.T) { run(t, []peerFrame{pingFrame("p"), textFrame("a")}, noError, "10 p") })
	for _, tt := range endings {
		t.Run(tt.name, func(t *testing.T) { run(t, []peerFrame{tt.frame}, tt.err, tt.reply) })
	}
}

// The kernel's buffers may be full, too.
func TestReadDoesNotWaitForTheKernel(t *testing.T) {
	t.Run("ping", func(t *testing.T) {
		eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
			peer.send(t, pingFrame("p"), textFrame("a"))
			if err := within(t, "the read", func() error { return readText(c, "a") }); err != nil {
				t.Fatalf("got %v, want the message behind the ping", err)
			}
			peer.drain(t)
			wantWrite(t, c, "later")
			peer.wantAll(t, "the network is free", "10 p", "1 later")
		})
	})
	for _, tt := range endings[1:2] {
		t.Run(tt.name, func(t *testing.T) {
			eachFull(t, connOptions{}, func(t *testing.T, c *Conn, peer *farEnd) {
				peer.send(t, tt.frame)
				err := within(t, "the read", func() error {
					_, _, err := c.ReadMessage()
					return err
				})
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				peer.drain(t)
				peer.want(t, "the network is free", tt.reply)
			})
		})
	}
}

// A peer that sends pings and does not read what they are answered with holds up no read. The
// last of the pings is answered in the end (RFC 6455, 5.5.3), and the connection is good.
func TestPingFloodHoldsUpNoRead(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		near, far := l.pair(t)
		smallBuffer(near)
		c, peer := newConn(near, l.server, nil, connOptions{}), &farEnd{Conn: far, server: l.server}
		flood := bytes.Repeat(peerFrames(l.server, pingFrame(strings.Repeat("x", 125))), 20_000)
		go peer.Write(append(flood, peerFrames(l.server, pingFrame("last"), textFrame("a"))...))
		if err := within(t, "the read", func() error { return readText(c, "a") }); err != nil {
			t.Fatalf("got %v, want the message behind the pings", err)
		}
		written := make(chan error, 1)
		go func() { written <- c.WriteMessage(TextMessage, []byte("later")) }()
		for last, later := false, false; !last || !later; {
			switch frame, err := peer.next(); {
			case err != nil:
				t.Fatalf("got %v, want the pong of the last ping: got it %t; and what was written later: %t", err, last, later)
			case frame == "1 later":
				later = true
			default:
				last = frame == "10 last"
			}
		}
		if err := <-written; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}
