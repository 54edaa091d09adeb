//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// sourceOf is what a message writer reads from: it blocks until it is released.
type sourceOf struct{ released chan struct{} }

func (s *sourceOf) Read([]byte) (int, error) {
	<-s.released
	return 0, io.EOF
}

// openMessages are the ways in which a message of several frames holds up others.
var openMessages = map[string]func(b *bubble){
	"an open writer": func(b *bubble) {
		w, err := b.c.NextWriter(TextMessage)
		if err != nil {
			b.Fatal(err)
		}
		w.Write([]byte("not sent"))
		b.Cleanup(func() { w.Close() })
	},
	"a source that blocks": func(b *bubble) {
		w, err := b.c.NextWriter(TextMessage)
		if err != nil {
			b.Fatal(err)
		}
		source := &sourceOf{make(chan struct{})}
		go w.(io.ReaderFrom).ReadFrom(source)
		b.Cleanup(func() {
			close(source.released)
			w.Close()
		})
	},
}

// waitingWrites are the calls that wait behind an open message.
var waitingWrites = map[string]func(c *Conn) error{
	"WriteMessage":        func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("waits")) },
	"WriteMessage, 1 MB":  func(c *Conn) error { return c.WriteMessage(TextMessage, make([]byte, 1<<20)) },
	"WriteMessageContext": func(c *Conn) error { return c.WriteMessageContext(context.Background(), TextMessage, nil) },
	"WriteJSON":           func(c *Conn) error { return c.WriteJSON(1) },
	"WritePreparedMessage": func(c *Conn) error {
		pm, err := NewPreparedMessage(TextMessage, nil)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	},
}

// ends are the ways in which the writing ends, at once or in the time that is given.
var ends = map[string]struct {
	end   func(b *bubble)
	after time.Duration
	want  func(err, readErr error) bool
	text  string
}{
	"Close": {
		func(b *bubble) { b.c.Close() }, 0,
		func(err, _ error) bool { return errors.Is(err, net.ErrClosed) }, "net.ErrClosed",
	},
	"the peer's Close frame": {
		func(b *bubble) { b.send(peerClose) }, 0,
		func(err, _ error) bool { return err == ErrCloseSent }, "ErrCloseSent",
	},
	"a rule that the peer breaks": {
		func(b *bubble) { b.send(peerFrame{false, opPing, ""}) }, 0,
		func(err, _ error) bool { return err == ErrCloseSent }, "ErrCloseSent",
	},
	"keepalive": {
		func(b *bubble) {}, keepaliveOptions.pingInterval + keepaliveOptions.pongTimeout,
		func(err, readErr error) bool { return err == readErr }, "that of the keepalive",
	},
	"WriteControl": {
		func(b *bubble) { b.c.WriteControl(CloseMessage, nil, time.Time{}) }, 0,
		func(err, _ error) bool { return err == ErrCloseSent }, "ErrCloseSent",
	},
	"WriteMessage": {
		func(b *bubble) { b.c.WriteMessage(CloseMessage, nil) }, 0,
		func(err, _ error) bool { return err == ErrCloseSent }, "ErrCloseSent",
	},
	"WritePreparedMessage": {
		func(b *bubble) {
			pm, err := NewPreparedMessage(CloseMessage, nil)
			if err == nil {
				err = b.c.WritePreparedMessage(pm)
			}
			if err != nil {
				b.Error(err)
			}
		}, 0,
		func(err, _ error) bool { return err == ErrCloseSent }, "ErrCloseSent",
	},
	"Shutdown": {
		func(b *bubble) { go b.c.Shutdown(b.Context(), CloseNormalClosure, "") }, 0,
		func(err, _ error) bool { return err == ErrCloseSent }, "ErrCloseSent",
	},
}

// Whatever ends the writing, the writers that wait behind a message that is open are told so at
// once, and no writer can be had any more.
func TestEndWakesWaitingWriters(t *testing.T) {
	for blocker, block := range openMessages {
		for name, tt := range ends {
			t.Run(blocker+", "+name, func(t *testing.T) {
				options := connOptions{}
				if name == "keepalive" {
					options = keepaliveOptions
				}
				eachPipe(t, options, func(b *bubble) {
					readErr := make(chan error, 1)
					go func() {
						_, _, err := b.c.ReadMessage()
						readErr <- err
					}()
					block(b)
					synctest.Wait()
					type result struct {
						name string
						err  error
						at   time.Duration
					}
					results := make(chan result, len(waitingWrites))
					for name, write := range waitingWrites {
						go func() {
							err := write(b.c)
							results <- result{name, err, time.Since(b.start)}
						}()
					}
					synctest.Wait()
					tt.end(b)
					time.Sleep(tt.after)
					synctest.Wait()
					var ended error
					if name == "keepalive" {
						ended = <-readErr
						wantKeepaliveError(b, "the reading", ended, "4s")
					}
					for range waitingWrites {
						select {
						case r := <-results:
							if !tt.want(r.err, ended) || r.at != tt.after {
								b.Errorf("%s: got %v after %v, want %s after %v", r.name, r.err, r.at, tt.text, tt.after)
							}
						default:
							b.Error("got a write that waits still")
						}
					}
					if blocker == "an open writer" {
						if _, err := b.c.NextWriter(TextMessage); !tt.want(err, ended) {
							b.Errorf("NextWriter: got %v, want %s", err, tt.text)
						}
					}
				})
			})
		}
	}
}

// After Close nothing can be written, whichever call is the first to find out.
func TestEveryWriteAfterClose(t *testing.T) {
	calls := map[string]func(c *Conn) error{
		"NextWriter":          func(c *Conn) error { return second(c.NextWriter(TextMessage)) },
		"NextWriter, ping":    func(c *Conn) error { return second(c.NextWriter(PingMessage)) },
		"WriteControl":        func(c *Conn) error { return c.WriteControl(PingMessage, nil, time.Time{}) },
		"WriteControl, close": func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Now().Add(time.Hour)) },
		"Ping":                func(c *Conn) error { return second(c.Ping(context.Background())) },
	}
	maps.Copy(calls, waitingWrites)
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			eachLink(t, func(t *testing.T, l testLink) {
				c, _ := l.conn(t, connOptions{})
				c.Close()
				for range 2 {
					if err := call(c); !errors.Is(err, net.ErrClosed) {
						t.Errorf("got %v, want net.ErrClosed", err)
					}
				}
			})
		})
	}
}
