//go:build go1.25

package websocket

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Pings within a burst are answered in their places.
func TestPongsWithinABurst(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{},
				peerFrame{true, opText, "a"}, peerFrame{true, opPing, "p"},
				peerFrame{true, opText, "b"}, peerFrame{true, opPing, "q"}, peerFrame{true, opPing, "r"},
				peerFrame{true, opText, "c"})
			answer(t, c, 3, writeBack)
			synctest.Wait()
			wire.wantWrites(t, "all of it has come at once", "1 a|10 p|1 b|10 q|10 r|1 c")
			c.wantNothingUnsent(t)
		})
	})
}

// RFC 6455, 5.5.2: a pong is sent "as soon as is practical": it does not wait for the program, which
// may take its time for the message behind the ping. Only where the program is quick does it wait
// for the end of the burst, or 200 microseconds.
func TestPongDoesNotWaitForTheProgram(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, quick := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newLoggedConn(t, server, connOptions{},
					peerFrame{true, opText, "a"}, peerFrame{true, opPing, "p"}, peerFrame{true, opText, "b"})
				c.burst.quick = quick
				answer(t, c, 2, func(*Conn, int, []byte) error { return nil })
				synctest.Wait()
				if quick {
					wire.wantWrites(t, "the program is quick")
					time.Sleep(corkTime)
					synctest.Wait()
				}
				wire.wantWrites(t, "b was delivered", "10 p")
			})
		}
	})
}

// RFC 6455, 5.5.2: a ping must be answered; 5.5.3: that may be the last one only. So
// however many come behind a message whose answer waits, the last is answered.
func TestLastOfManyPingsIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		came := texts("a")
		for range 1000 {
			came = append(came, peerFrame{true, opPing, strings.Repeat("x", 125)})
		}
		came = append(came, peerFrame{true, opPing, "last"})
		c, wire := newLoggedConn(t, true, connOptions{}, append(came, texts("b")...)...)
		answer(t, c, 2, writeBack)
		time.Sleep(corkTime)
		synctest.Wait()
		got := strings.Join(wire.take(t), "|")
		if !strings.HasPrefix(got, "1 a|10 ") || !strings.HasSuffix(got, "|10 last|1 b") {
			t.Errorf("got %d bytes that end in %q, want the pong of the last ping before b", len(got), got[max(0, len(got)-100):])
		}
	})
}

// The answers to messages before the peer's Close frame go out before the answer to that.
func TestBurstLeavesBeforeTheAnswerToClose(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{}, append(texts("a", "b"), peerClose)...)
			start := time.Now()
			answer(t, c, 2, writeBack)
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
				t.Errorf("got %v, want close 1000", err)
			}
			synctest.Wait()
			if d := time.Since(start); d != 0 {
				t.Errorf("got a wait of %v, want none", d)
			}
			wire.wantWrites(t, "a, b and the answer", "1 a|1 b|8 \x03\xe8")
			if err := c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
				t.Errorf("got %v, want ErrCloseSent", err)
			}
			c.wantNothingUnsent(t)
		})
	})
}

// So they do before a Close frame that says which rule the peer has broken.
func TestBurstLeavesBeforeAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newLoggedConn(t, true, connOptions{}, append(texts("a", "b"), peerFrame{true, opText, "\xff"})...)
		answer(t, c, 2, writeBack)
		if _, _, err := c.ReadMessage(); err == nil {
			t.Error("got none, want the verdict")
		}
		synctest.Wait()
		wire.wantWrites(t, "a, b and a Close frame", "1 a|1 b|8 25 bytes")
	})
}

// However a connection is closed, corked frames are sent before.
func TestClosingFlushesABurst(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(c *Conn)
		want string
	}{
		"Close": {func(c *Conn) { c.Close() }, "1 a"},
		"Close by another goroutine": {func(c *Conn) {
			go c.Close()
			synctest.Wait()
		}, "1 a"},
		"Shutdown": {func(c *Conn) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			c.Shutdown(ctx, CloseGoingAway, "")
		}, "1 a|8 \x03\xe9"},
		"Group.Shutdown": {func(c *Conn) {
			var g Group
			g.enter()
			g.join(c)
			g.leave(c)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			g.Shutdown(ctx)
		}, "1 a|8 \x03\xe9"},
		"WriteControl": {func(c *Conn) { c.WriteControl(CloseMessage, nil, time.Time{}) }, "1 a|8 "},
		"WriteMessage": {func(c *Conn) { c.WriteMessage(CloseMessage, nil) }, "1 a|8 "},
		"stream":       {func(c *Conn) { NewStream(c, TextMessage).Close() }, "1 a|8 \x03\xe8"},
	} {
		for _, corking := range []bool{false, true} {
			bothSides(t, func(t *testing.T, server bool) {
				synctest.Test(t, func(t *testing.T) {
					c, wire := newLoggedConn(t, server, connOptions{}, texts("a", "y")...)
					if corking {
						c.Cork()
					}
					answer(t, c, 1, writeBack)
					tt.end(c)
					if got := strings.Join(wire.take(t), "|"); got != tt.want {
						t.Errorf("%s, cork=%v: got %q, want %q", name, corking, got, tt.want)
					}
					c.wantNothingUnsent(t)
					c.Close()
					time.Sleep(time.Second)
					wire.wantWrites(t, name+", later")
				})
			})
		}
	}
}

// Where the network takes nothing, Close gives up after a second.
func TestCloseOfABurstIsBounded(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, writing := range []time.Duration{0, corkTime} { // by Close, or already by the timer
			synctest.Test(t, func(t *testing.T) {
				c, _ := newFullConn(t, server, texts("x", "y")...)
				time.Sleep(writing)
				synctest.Wait()
				start := time.Now()
				done := make(chan error)
				go func() { done <- c.Close() }()
				if err := <-done; err != nil {
					t.Errorf("got %v, want nil", err)
				}
				if d := time.Since(start); d != time.Second {
					t.Errorf("got a wait of %v, want a second", d)
				}
				synctest.Wait()
				c.wantNothingUnsent(t)
			})
		}
	})
}

// The frames of a stream wait with corked ones, and leave behind them.
func TestBurstAndAStream(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{}, texts("a", "y")...)
			answer(t, c, 1, writeBack)
			s := NewStream(c, TextMessage)
			if n, err := s.Write([]byte("stream")); n != 6 || err != nil {
				t.Errorf("got %d, %v, want 6, nil", n, err)
			}
			synctest.Wait()
			wire.wantWrites(t, "y is still to be read")
			time.Sleep(corkTime)
			synctest.Wait()
			wire.wantWrites(t, "in order", "1 a|1 stream")
			c.wantNothingUnsent(t)
		})
	})
}

// The deadline of a stream does not bound the sending: its frames leave behind corked ones when the
// network takes them, though the deadline has passed.
func TestStreamDeadlineWhileABurstLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newFullConn(t, true, texts("x", "y")...)
		s := NewStream(c, TextMessage)
		s.SetWriteDeadline(time.Now().Add(corkTime / 2))
		if n, err := s.Write([]byte("accepted")); n != 8 || err != nil {
			t.Errorf("got %d, %v, want 8, nil", n, err)
		}
		time.Sleep(time.Second)
		if n, err := s.Write([]byte("late")); n != 0 || err != os.ErrDeadlineExceeded {
			t.Errorf("got %d, %v, want 0 and a timeout", n, err)
		}
		s.SetWriteDeadline(time.Time{})
		if n, err := s.Write([]byte("stream")); n != 6 || err != nil {
			t.Errorf("got %d, %v, want 6, nil", n, err)
		}
		if got, want := drainFrames(t, wire, 3), "1 0123456789|1 accepted|1 stream"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		synctest.Wait()
		c.wantNothingUnsent(t)
		c.Close()
	})
}

// The ping of the keepalive leaves behind corked frames.
func TestBurstAndKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := connOptions{pingInterval: time.Second, pongTimeout: time.Minute}
		c, wire := newLoggedConn(t, true, o, texts("a", "y")...)
		time.Sleep(time.Second - corkTime/2)
		answer(t, c, 1, writeBack)
		time.Sleep(time.Second + corkTime)
		synctest.Wait()
		if got := strings.Join(wire.take(t), "|"); got != "1 a|9 " {
			t.Errorf("got %q, want the answer and then the ping", got)
		}
		c.Close()
	})
}
