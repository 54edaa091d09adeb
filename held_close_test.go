//go:build go1.25

package websocket

import (
	"context"
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
			wire.wantWrites(t, "all of it has come at once", "1 a|10 p|1 b|10 q|10 r|1 c")
			c.wantNothingHeld(t)
		})
	})
}

// RFC 6455, 5.5.2: a ping must be answered; 5.5.3: that may be the last one only. So
// however many come behind a message whose answer is held, the last is answered.
func TestLastOfManyPingsIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		came := texts("a")
		for range 1000 {
			came = append(came, peerFrame{true, opPing, strings.Repeat("x", 125)})
		}
		came = append(came, peerFrame{true, opPing, "last"})
		c, wire := newLoggedConn(t, true, connOptions{}, append(came, texts("b")...)...)
		answer(t, c, 2, writeBack)
		time.Sleep(heldTime)
		synctest.Wait()
		got := strings.Join(wire.take(t), "|")
		if !strings.HasPrefix(got, "1 a|10 ") || !strings.HasSuffix(got, "|10 last|1 b") {
			t.Errorf("got %d bytes that end in %q, want the pong of the last ping before b", len(got), got[max(0, len(got)-100):])
		}
	})
}

// The answers to messages before the peer's Close frame go out before the answer to that.
func TestHeldFramesBeforeTheAnswerToClose(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{}, append(texts("a", "b"), peerClose)...)
			start := time.Now()
			answer(t, c, 2, writeBack)
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
				t.Errorf("got %v, want close 1000", err)
			}
			if d := time.Since(start); d != 0 {
				t.Errorf("got a wait of %v, want none", d)
			}
			if got := strings.Join(wire.take(t), "|"); got != "1 a|1 b|8 \x03\xe8" {
				t.Errorf("got %q, want a, b and the answer", got)
			}
			if err := c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
				t.Errorf("got %v, want ErrCloseSent", err)
			}
			c.wantNothingHeld(t)
		})
	})
}

// So they do before a Close frame that says which rule the peer has broken.
func TestHeldFramesBeforeAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newLoggedConn(t, true, connOptions{}, append(texts("a", "b"), peerFrame{true, opText, "\xff"})...)
		answer(t, c, 2, writeBack)
		if _, _, err := c.ReadMessage(); err == nil {
			t.Error("got none, want the verdict")
		}
		if got := strings.Join(wire.take(t), "|"); !strings.HasPrefix(got, "1 a|1 b|8 ") {
			t.Errorf("got %q, want a, b and a Close frame", got)
		}
	})
}

// However a connection is closed, what is held is sent before.
func TestClosingSendsWhatIsHeld(t *testing.T) {
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
					c.wantNothingHeld(t)
					c.Close()
					time.Sleep(time.Second)
					wire.wantWrites(t, name+", later")
				})
			})
		}
	}
}

// Where the network takes nothing, Close gives up after a second.
func TestCloseWithHeldFramesIsBounded(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, writing := range []time.Duration{0, heldTime} { // by Close, or already by the timer's goroutine
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
				c.wantNothingHeld(t)
			})
		}
	})
}

// The frames of a stream come behind what was held, and are not held themselves.
func TestHeldFramesAndAStream(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{}, texts("a", "y")...)
			answer(t, c, 1, writeBack)
			s := NewStream(c, TextMessage)
			if n, err := s.Write([]byte("stream")); n != 6 || err != nil {
				t.Errorf("got %d, %v, want 6, nil", n, err)
			}
			wire.wantWrites(t, "in order", "1 a", "1 stream")
			c.wantNothingHeld(t)
		})
	})
}

// A write deadline of a stream that passes while what was held is being sent loses nothing.
func TestStreamDeadlineWhileHeldFramesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newFullConn(t, true, texts("x", "y")...)
		s := NewStream(c, TextMessage)
		s.SetWriteDeadline(time.Now().Add(heldTime / 2))
		if n, err := s.Write([]byte("late")); n != 0 || !isTimeout(err) {
			t.Errorf("got %d, %v, want 0 and a timeout", n, err)
		}
		s.SetWriteDeadline(time.Time{})
		go s.Write([]byte("stream"))
		if got := drainFrames(t, wire, 2); got != "1 0123456789|1 stream" {
			t.Errorf("got %q, want what was held and then the stream's", got)
		}
		c.Close()
	})
}

// The ping of the keepalive goes out behind what is held, whether that waits or not.
func TestHeldFramesAndKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := connOptions{pingInterval: time.Second, pongTimeout: time.Minute}
		c, wire := newLoggedConn(t, true, o, texts("a", "y")...)
		time.Sleep(time.Second - heldTime/2)
		answer(t, c, 1, writeBack)
		time.Sleep(time.Second + heldTime)
		synctest.Wait()
		if got := strings.Join(wire.take(t), "|"); got != "1 a|9 " {
			t.Errorf("got %q, want the answer and then the ping", got)
		}
		c.Close()
	})
}
