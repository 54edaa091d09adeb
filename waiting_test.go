//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A read that waits for its turn can be ended by its context, and a second reader,
// which is a mistake, harms nothing.
func TestReadMessageContextWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		first := make(chan string)
		go func() {
			_, p, err := c.ReadMessage()
			first <- string(p)
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()

		start := time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errMine) })
		_, p, err := c.ReadMessageContext(ctx)
		wantCancelled(t, "while another read goes on", err)
		if d := time.Since(start); p != nil || d != time.Second {
			t.Errorf("got %q after %v, want nothing after 1s", p, d)
		}
		expired, cancelExpired := context.WithTimeout(t.Context(), time.Second)
		defer cancelExpired()
		if _, _, err := c.ReadMessageContext(expired); err != context.DeadlineExceeded {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}

		wire.Write(unhex(t, "81 01 61 81 01 62"))
		if got := <-first; got != "a" {
			t.Errorf("got %q, want the first message for the first reader", got)
		}
		if _, p, err := c.ReadMessageContext(t.Context()); string(p) != "b" || err != nil {
			t.Errorf("got %q, %v, want the second message", p, err)
		}
	})
}

// SetReadDeadline ends the read that goes on, and the one that waits for its turn then has its.
func TestReadDeadlineEndsReadsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, false)
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, _, err := c.ReadMessage()
				errs <- err
			}()
		}
		synctest.Wait()
		c.SetReadDeadline(time.Now().Add(time.Second))
		for range 2 {
			if err := <-errs; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a timeout", err)
			}
		}
		c.SetReadDeadline(time.Time{})
		wire.Write(unhex(t, "81 01 61"))
		if _, p, err := c.ReadMessage(); string(p) != "a" || err != nil {
			t.Errorf("got %q, %v, want a", p, err)
		}
	})
}

// A write that its context ends while it waits for its turn has not happened.
func TestWriteMessageContextInterruptedInTurn(t *testing.T) {
	small := []byte("small")
	for _, tt := range []struct {
		name  string
		block func(c *Conn) (unblock func(wire *pipeConn))
		want  []string // on the wire in the end
	}{
		{"a message writer is open", func(c *Conn) func(*pipeConn) {
			w, _ := c.NextWriter(BinaryMessage)
			w.Write([]byte("open"))
			return func(*pipeConn) { w.Close() }
		}, []string{`fin=true op=2 masked=false "open"`, `fin=true op=1 masked=false "small"`}},
		{"a message is being written", func(c *Conn) func(*pipeConn) {
			go c.WriteMessage(BinaryMessage, make([]byte, 1000))
			return nil
		}, []string{fmt.Sprintf("fin=true op=2 masked=false %q", make([]byte, 1000)), `fin=true op=1 masked=false "small"`}},
		{"a control frame is being written", func(c *Conn) func(*pipeConn) {
			go c.WriteControl(PingMessage, make([]byte, 125), time.Time{})
			return nil
		}, []string{fmt.Sprintf("fin=true op=9 masked=false %q", make([]byte, 125)), `fin=true op=1 masked=false "small"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, wire := newPipe(t, 100)
				c := newConn(a, true, nil, connOptions{})
				unblock := tt.block(c)
				synctest.Wait()
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(errMine) })
				start := time.Now()
				wantCancelled(t, "in turn", c.WriteMessageContext(ctx, TextMessage, []byte("not sent")))
				if d := time.Since(start); d != time.Second {
					t.Errorf("got a wait of %v, want 1s", d)
				}
				wantCancelled(t, "cancelled before", c.WriteMessageContext(ctx, TextMessage, []byte("not sent")))

				expired, cancelExpired := context.WithTimeout(t.Context(), time.Second)
				defer cancelExpired()
				if err := c.WriteMessageContext(expired, TextMessage, small); err != context.DeadlineExceeded {
					t.Errorf("got %v, want context.DeadlineExceeded", err)
				}
				c.SetWriteDeadline(time.Now().Add(time.Second))
				if err := c.WriteMessageContext(t.Context(), TextMessage, small); err != errWriteTimeout {
					t.Errorf("the deadline is before the end of the context: got %v, want write timeout", err)
				}
				c.SetWriteDeadline(time.Time{})

				if unblock != nil {
					unblock(wire)
				}
				done := make(chan error)
				go func() { done <- c.WriteMessageContext(t.Context(), TextMessage, small) }()
				var all bytes.Buffer
				for synctest.Wait(); len(wire.in.data) > 0; synctest.Wait() {
					all.Write(wire.take())
				}
				if err := <-done; err != nil {
					t.Errorf("got %v, want a good connection", err)
				}
				wire.in.data = all.Bytes()
				wantFrames(t, wire, tt.want...)
				c.send.wantFree(t)
			})
		})
	}
}

// A call that waits behind a message writer that nobody closes ends when no frame can be sent any
// more. The message writer finds out when it sends its next fragment.
func TestWritersInTurnAreFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		w, _ := c.NextWriter(TextMessage)
		done := make(chan error, 1)
		go func() { done <- c.WriteMessageContext(t.Context(), TextMessage, nil) }()
		synctest.Wait()
		if err := c.WriteControl(CloseMessage, nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-done:
			if err != ErrCloseSent {
				t.Errorf("got %v, want ErrCloseSent", err)
			}
		default:
			t.Error("got a wait that goes on behind the message writer, want its end")
		}
		w.Write([]byte("x"))
		for what, err := range map[string]error{
			"the message writer":                w.Close(),
			"a large Write to a message writer": second(w.Write(make([]byte, 1<<20))),
			"another one":                       second(c.NextWriter(TextMessage)),
		} {
			if err != ErrCloseSent {
				t.Errorf("%s: got %v, want ErrCloseSent", what, err)
			}
		}
		wantFrames(t, wire, `fin=true op=8 masked=false ""`)
		c.Close()
	})
}

// heldConn keeps back the end of what is written.
type heldConn struct {
	net.Conn
	keep int
	held []byte
}

func (h *heldConn) Write(p []byte) (int, error) {
	cut := len(p) - min(h.keep, len(p))
	h.held = append(h.held, p[cut:]...)
	_, err := h.Conn.Write(p[:cut])
	return len(p), err
}

func (h *heldConn) letGo() {
	h.Conn.Write(h.held)
	h.held, h.keep = nil, 0
}

// Over TLS a read is interrupted within a record, at every byte of it.
func TestReadMessageContextInterruptedWithinATLSRecord(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	srv.Close()
	synctest.Test(t, func(t *testing.T) {
		near, far := newPipe(t, 10_000)
		held := &heldConn{Conn: far}
		client := tls.Client(held, &tls.Config{InsecureSkipVerify: true})
		c := newConn(tls.Server(near, srv.TLS), true, nil, connOptions{})
		go client.Handshake() // the first read is the server's part
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.ReadMessage()
		c.SetReadDeadline(time.Time{})
		in := peerFrames(true, peerFrame{true, opText, "héllo"})
		for keep := 1; keep < 5+len(in)+17; keep++ { // a record's header, its type and its tag
			held.keep = keep
			client.Write(in)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, _, err := c.ReadMessageContext(ctx); err != context.DeadlineExceeded {
				t.Fatalf("without the last %d bytes: got %v, want context.DeadlineExceeded", keep, err)
			}
			cancel()
			held.letGo()
			if _, p, err := c.ReadMessage(); string(p) != "héllo" || err != nil {
				t.Fatalf("with them: got %q, %v, want the message", p, err)
			}
		}
	})
}
