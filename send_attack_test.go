//go:build go1.25

package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// writeFunc is a transport whose writes are the function.
type writeFunc struct {
	*pipeConn
	write func(p []byte) (int, error)
}

func (w writeFunc) Write(p []byte) (int, error) { return w.write(p) }

// newWriteFuncConn returns a connection with such a transport, and the peer's end.
func newWriteFuncConn(t testing.TB, server bool, write func(p []byte) (int, error)) (*Conn, *pipeConn) {
	near, far := newPipe(t, 1<<20)
	return newConn(writeFunc{near, write}, server, nil, connOptions{}), far
}

// A wrapper may return from Write with a part of the bytes written and no error. The frame is torn,
// so nothing may follow it.
func TestWriteThatIsShort(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, size := range []int{1000, maxCopied, 100 << 10, 300 << 10} {
			for short := 1; short <= 2; short++ { // the first or the second write
				writes, after := 0, 0
				c, _ := newWriteFuncConn(t, server, func(p []byte) (int, error) {
					switch writes++; {
					case writes < short:
						return len(p), nil
					case writes == short:
						return len(p) / 2, nil
					}
					after++
					return len(p), nil
				})
				err := c.WriteMessage(BinaryMessage, make([]byte, size))
				if writes < short {
					continue // the frame is written at once
				}
				if err != io.ErrShortWrite {
					t.Errorf("%d bytes, write %d: got %v, want %v", size, short, err, io.ErrShortWrite)
				}
				if err := c.WriteMessage(BinaryMessage, nil); err != io.ErrShortWrite || after > 0 {
					t.Errorf("%d bytes, write %d: later: got %v and %d writes, want %v and none", size, short, err, after, io.ErrShortWrite)
				}
			}
		}
	})
}

// A wrapper may return a negative number of bytes with its timeout: nothing has left.
func TestWriteOfANegativeNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []byte
		c, _ := newWriteFuncConn(t, true, func(p []byte) (int, error) {
			if len(p) == 3 {
				time.Sleep(time.Second)
				return -1, os.ErrDeadlineExceeded
			}
			sent = append(sent, p...)
			return len(p), nil
		})
		c.SetWriteDeadline(time.Now().Add(time.Second))
		wantWriteTimeout(t, "three bytes", c.WriteMessage(TextMessage, []byte("a")))
		c.SetWriteDeadline(time.Time{})
		wantWrite(t, c, "bc")
		if want := "\x81\x02bc"; string(sent) != want {
			t.Errorf("got %q, want %q", sent, want)
		}
	})
}

// If the network fails when a corked message is to leave together with the reply to the peer's
// Close frame, Flush and Shutdown say that the message is lost.
func TestLossBehindTheReplyToAClose(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, peer := newWriteFuncConn(t, server, func([]byte) (int, error) { return 0, errMine })
			c.Cork()
			wantWrite(t, c, "lost")
			peer.Write(peerFrames(server, peerFrame{true, opClose, "\x03\xe8"}))
			var closed *CloseError
			if _, _, err := c.ReadMessage(); !errors.As(err, &closed) {
				t.Errorf("read: got %v, want a *CloseError", err)
			}
			if err := c.Flush(); err != errMine {
				t.Errorf("Flush: got %v, want %v", err, errMine)
			}
			if err := c.Shutdown(t.Context(), CloseNormalClosure, ""); err != errMine {
				t.Errorf("Shutdown: got %v, want %v", err, errMine)
			}
		})
	})
}

// A pong does not wait until a handler of the program returns that runs for a frame behind the
// ping.
func TestPongDoesNotWaitForHandlers(t *testing.T) {
	for name, tt := range map[string]struct {
		op  opcode
		set func(c *Conn, run func() error)
	}{
		"ping": {opPing, func(c *Conn, run func() error) {
			answer, pings := c.PingHandler(), 0
			c.SetPingHandler(func(data string) error {
				if pings++; pings > 1 {
					return run()
				}
				return answer(data)
			})
		}},
		"pong":  {opPong, func(c *Conn, run func() error) { c.SetPongHandler(func(string) error { return run() }) }},
		"close": {opClose, func(c *Conn, run func() error) { c.SetCloseHandler(func(int, string) error { return run() }) }},
	} {
		for what, run := range map[string]func() error{
			"blocks": func() error { time.Sleep(time.Minute); return nil },
			"fails":  func() error { return errMine },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				eachBubble(t, connOptions{}, func(b *bubble) {
					tt.set(b.c, run)
					go b.c.ReadMessage()
					b.send(pingFrame("p"), peerFrame{true, tt.op, ""})
					b.want("the handler is at work, or has failed", "10 p")
				})
			})
		}
	}
}

// A frame that is on its way into the slot when another goroutine begins to send a Close frame goes
// before that.
func TestPostAndCloseTogether(t *testing.T) {
	near, far := newPipe(t, 1<<20)
	c := newConn(near, true, nil, connOptions{})
	slot := own(&c.send.slot)
	slot.mu.Lock() // as post does
	closed := make(chan error)
	go func() { closed <- c.WriteControl(CloseMessage, nil, time.Time{}) }()
	for !c.send.lock.has(locked) {
		runtime.Gosched()
	}
	select { // the Close frame must wait
	case <-closed:
		t.Fatal("got a Close frame that was sent at once")
	case <-time.After(time.Millisecond):
	}
	c.send.addLocked(slot, &frame{fin: true, opcode: opText, payload: []byte("posted")})
	slot.mu.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got, want := string(far.take()), "\x81\x06posted\x88\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// lookedAtContext calls looked when Done is called.
type lookedAtContext struct {
	*countedContext
	looked func()
}

func (c lookedAtContext) Done() <-chan struct{} {
	c.looked()
	return c.countedContext.Done()
}

// Close that comes just before a write registers with its context leaves nothing registered.
func TestCloseBeforeAWriteRegisters(t *testing.T) {
	c, _ := newTestConn(t, true)
	ctx := lookedAtContext{newCountedContext(), func() {
		if c.send.lock.has(locked) && c.send.lock.phase() == phaseOpen {
			c.Close()
		}
	}}
	if err := c.WriteMessageContext(ctx, TextMessage, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
	ctx.want(t, "after Close", 0, ctx.total)
}
