//go:build go1.25

package websocket

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Close wakes what waits at once, though frames that were accepted before still have a second to leave.
func TestCloseWakesAtOnce(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			near, _ := newPipe(t, 10)
			c := newConn(near, server, nil, connOptions{})
			calls := make(map[string]*call)
			ends := func(name string, f func() error) {
				calls[name] = begin(t, func() (string, error) { return "", f() })
				synctest.Wait()
			}
			ends("a read", func() error { return second3(c.ReadMessage()) })
			c.send.reply(opPong, make([]byte, 100))
			c.send.tryFlush() // a flusher waits for the network
			synctest.Wait()
			ends("a write", func() error { return c.WriteMessage(BinaryMessage, nil) })
			ends("a ping", func() error { return second(c.Ping(t.Context())) })
			start := time.Now()
			c.Close()
			if took := time.Since(start); took != closeTimeout {
				t.Errorf("got the end of Close after %v, want %v", took, closeTimeout)
			}
			for name, x := range calls {
				<-x.done
				if x.took != 0 || !errors.Is(x.err, net.ErrClosed) {
					t.Errorf("%s: got %v after %v, want net.ErrClosed at once", name, x.err, x.took)
				}
			}
		})
	})
}

// resetConn is an end of a network connection that is reset, as that of a kernel, if it is closed while what
// has come is unread: then the other end does not get what it has not read yet.
type resetConn struct{ *pipeConn }

func (c resetConn) CloseWrite() error {
	c.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
	return nil
}

func (c resetConn) Close() error {
	reset := false
	c.in.set(func(h *pipeHalf) { reset = len(h.data) > 0 })
	if reset {
		c.out.set(func(h *pipeHalf) { h.data = nil })
	}
	return c.pipeConn.Close()
}

// The Close frame that says which rule the peer has broken arrives, though the peer is still sending when
// the program closes the connection. The connection is closed when the peer has ended its own direction, or
// a second has passed.
func TestTheLastWordArrives(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sends  int // bytes behind the message
		leaves time.Duration
		closed time.Duration // when the network connection is
	}{
		{"the peer ends", 10_000, 300 * time.Millisecond, 300 * time.Millisecond},
		{"the peer stays", 10_000, time.Hour, closeTimeout},
		{"the peer goes on sending", 10 << 20, time.Hour, closeTimeout},
	} {
		for _, code := range []int{CloseMessageTooBig, CloseNormalClosure} {
			bothSides(t, func(t *testing.T, server bool) {
				synctest.Test(t, func(t *testing.T) {
					near, far := newPipe(t, 100_000)
					c := newConn(resetConn{near}, server, nil, connOptions{readLimit: 1000})
					peer := newConn(far, !server, nil, connOptions{})
					peer.SetCloseHandler(func(int, string) error { return nil }) // it is still sending
					go func() {
						peer.WriteMessage(BinaryMessage, make([]byte, 2000))
						far.Write(make([]byte, tt.sends))
					}()
					if code == CloseMessageTooBig {
						if _, _, err := c.ReadMessage(); err != ErrReadLimit {
							t.Fatalf("got %v, want ErrReadLimit", err)
						}
					} else {
						synctest.Wait()
						c.WriteControl(CloseMessage, FormatCloseMessage(code, ""), time.Time{})
					}
					start := time.Now()
					c.SetReadDeadline(start.Add(200 * time.Millisecond)) // which is for the program's reads
					if err := c.Close(); err != nil || time.Since(start) > 0 {
						t.Errorf("got %v after %v, want nil at once", err, time.Since(start))
					}
					if err := c.Close(); err == nil {
						t.Error("got nil from the second call of Close")
					}
					synctest.Wait()
					if err := c.Close(); err == nil { // while what comes is being discarded
						t.Error("got nil from the third call of Close")
					}
					synctest.Wait()
					time.Sleep(100 * time.Millisecond)
					if _, _, err := peer.ReadMessage(); !IsCloseError(err, code) {
						t.Errorf("got %v, want close %d", err, code)
					}
					time.AfterFunc(tt.leaves-100*time.Millisecond, func() { far.Close() })
					time.Sleep(time.Until(start.Add(tt.closed - 1)))
					if synctest.Wait(); near.in.readClosed() {
						t.Errorf("got the connection closed before %v", tt.closed)
					}
					time.Sleep(1)
					if synctest.Wait(); !near.in.readClosed() {
						t.Errorf("got an open connection %v after Close", time.Since(start))
					}
					if got := borrowed(c); got != "" {
						t.Errorf("got that %s was not given back", got)
					}
				})
			})
		}
	}
}

// While a handler of the program runs, nothing is read behind its back: the read lock is the reader's, and the
// network connection is closed when the time is over.
func TestCloseWhileAHandlerRuns(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			near, far := newPipe(t, 1000)
			c := newConn(resetConn{near}, server, nil, connOptions{})
			c.SetPingHandler(func(string) error { time.Sleep(time.Minute); return nil })
			far.Write(closingFrame(server, "\x89"))
			reader := begin(t, func() (string, error) { return "", second3(c.ReadMessage()) })
			synctest.Wait()
			c.WriteControl(CloseMessage, nil, time.Time{})
			if err := c.Close(); err != nil {
				t.Errorf("got %v, want nil", err)
			}
			far.Write(make([]byte, 100))
			time.Sleep(closeTimeout - 1)
			if synctest.Wait(); near.in.readClosed() {
				t.Errorf("got the connection closed before %v", closeTimeout)
			}
			time.Sleep(1)
			if synctest.Wait(); !near.in.readClosed() || !c.readLock.has(locked) {
				t.Errorf("closed %v, the lock the reader's %v, want both", near.in.readClosed(), c.readLock.has(locked))
			}
			if <-reader.done; !errors.Is(reader.err, net.ErrClosed) || reader.took != time.Minute {
				t.Errorf("got %v after %v, want net.ErrClosed when the handler has returned", reader.err, reader.took)
			}
		})
	})
}
