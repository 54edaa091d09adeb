//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFormatCloseMessage(t *testing.T) {
	for _, tt := range []struct {
		code int
		text string
		want string
	}{
		{CloseNormalClosure, "", "\x03\xe8"},
		{CloseGoingAway, "bye", "\x03\xe9bye"},
		{CloseNoStatusReceived, "ignored", ""},
		{70000, "\xff", "\x11\x70\xff"}, // nothing is validated
	} {
		got := FormatCloseMessage(tt.code, tt.text)
		if got == nil || string(got) != tt.want {
			t.Errorf("%d %q: got %q, want %q, not nil", tt.code, tt.text, got, tt.want)
		}
	}
}

// RFC 6455, 5.5.1, 7.1.5 and 7.4.
func TestParseClosePayload(t *testing.T) {
	long := strings.Repeat("x", maxCloseReason)
	for _, tt := range []struct {
		name, in string
		code     int
		text     string
	}{
		{"empty", "", CloseNoStatusReceived, ""},
		{"code", "\x03\xe8", CloseNormalClosure, ""},
		{"code and reason", "\x0f\xa0bye", 4000, "bye"},
		{"longest reason", "\x03\xe8" + long, CloseNormalClosure, long},
	} {
		code, text, err := parseClosePayload([]byte(tt.in))
		if code != tt.code || text != tt.text || err != nil {
			t.Errorf("%s: got %d %q %v, want %d %q nil", tt.name, code, text, err, tt.code, tt.text)
		}
	}
	for _, tt := range []struct {
		name, in string
		code     int
		want     string
	}{
		{"one byte", "\x03", CloseProtocolError, "websocket: payload of a close frame is 1 byte long"},
		{"bad code", "\x03\xed", CloseProtocolError, "websocket: bad close code 1005"},
		{"bad reason", "\x03\xe8\xff", CloseInvalidFramePayloadData, "websocket: reason of a close frame is not valid UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parseClosePayload([]byte(tt.in))
			wantProtocolError(t, err, tt.code, tt.want)
		})
	}
}

// closeWays are the ways to send a Close frame.
var closeWays = map[string]func(c *Conn, payload []byte) error{
	"WriteControl": func(c *Conn, p []byte) error { return c.WriteControl(CloseMessage, p, time.Time{}) },
	"WriteMessage": func(c *Conn, p []byte) error { return c.WriteMessage(CloseMessage, p) },
	"WriteMessageContext": func(c *Conn, p []byte) error {
		return c.WriteMessageContext(context.Background(), CloseMessage, p)
	},
	"WritePreparedMessage": func(c *Conn, p []byte) error {
		pm, err := NewPreparedMessage(CloseMessage, p)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	},
	"NextWriter":            func(c *Conn, p []byte) error { return writePieces(c, CloseMessage, p, len(p)+1) },
	"NextWriter, in pieces": func(c *Conn, p []byte) error { return writePieces(c, CloseMessage, p, 1, 50) },
}

// ws 8.20.1: memory that nobody has written gets into a Close frame. Its bytes are the code and the reason, and
// there is no frame for a reason of more than 123 bytes, which Shutdown cuts. The buffers have been in use before.
func TestAttackCloseFrameBytes(t *testing.T) {
	wantClose := func(t *testing.T, a attack, wire *pipeConn, what, payload string) {
		t.Helper()
		got := wire.takeFrames(1)
		want := append([]byte{0x88, byte(len(payload))}, payload...)
		if !a.server {
			if len(got) < 6 || got[1] != want[1]|0x80 {
				t.Errorf("%s: got % x, want a masked frame", what, got)
				return
			}
			key := [4]byte(got[2:])
			maskEach(got[6:], key, 0)
			got = slices.Concat([]byte{got[0], got[1] &^ 0x80}, got[6:])
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got % x, want % x", what, got, want)
		}
	}
	eachAttack(t, func(t *testing.T, a attack) {
		for n := range maxCloseReason + 2 {
			reason := strings.Repeat("reason", n/6+1)[:n]
			payload := "\x03\xe8" + reason
			for name, write := range closeWays {
				c, wire := a.pipe(t, connOptions{})
				c.WriteMessage(TextMessage, []byte(strings.Repeat("before ", 30)))
				wire.take()
				err := write(c, []byte(payload))
				what := fmt.Sprintf("%s, %d bytes", name, n)
				if n > maxCloseReason {
					if err != errInvalidControlFrame {
						t.Errorf("%s: got %v, want %v", what, err, errInvalidControlFrame)
					}
					c.wantNothingSent(t, wire, what)
				} else if wantClose(t, a, wire, what, payload); err != nil {
					t.Errorf("%s: got %v, want nil", what, err)
				}
				c.Close()
			}

			c, wire := a.pipe(t, connOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			shutdown := make(chan error, 1)
			go func() { shutdown <- c.Shutdown(ctx, CloseNormalClosure, reason) }()
			wantClose(t, a, wire, fmt.Sprintf("Shutdown, %d bytes", n), payload[:min(len(payload), maxControlPayload)])
			cancel()
			if err := <-shutdown; err != context.Canceled {
				t.Errorf("Shutdown: got %v, want %v", err, context.Canceled)
			}

			if n > maxCloseReason {
				continue
			}
			c, wire = a.pipe(t, connOptions{})
			wire.Write(a.frame(0x88, payload))
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) || err.(*CloseError).Text != reason {
				t.Errorf("got %v, want close 1000 and the reason", err)
			}
			wantClose(t, a, wire, fmt.Sprintf("answer to %d bytes", n), "\x03\xe8")
			c.Close()
		}
	})
}

// RFC 6455, 7.4, and the registry of 11.7.
func TestValidReceivedCloseCodes(t *testing.T) {
	valid := map[int]bool{}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014} {
		valid[code] = true
	}
	for code := 3000; code <= 4999; code++ {
		valid[code] = true
	}
	for code := range 65536 {
		if got := validReceivedCloseCode(code); got != valid[code] {
			t.Errorf("%d: got %v, want %v", code, got, valid[code])
		}
	}
}

// Close sends nothing, and wakes a reader with net.ErrClosed.
func TestCloseWakesReader(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, server)
			done := make(chan error)
			go func() {
				_, _, err := c.ReadMessage()
				done <- err
			}()
			synctest.Wait()
			if err := c.Close(); err != nil {
				t.Errorf("Close: got %v, want nil", err)
			}
			if err := <-done; !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "use of closed network connection") {
				t.Errorf("got %v, want net.ErrClosed", err)
			}
			if _, _, err := c.ReadMessage(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("later: got %v, want net.ErrClosed", err)
			}
			c.wantNothingSent(t, wire, "Close sends no Close frame")
		})
	})
}

// A writer that waits behind a message writer that nobody will close is freed by Close.
func TestCloseWakesWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestConn(t, true)
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "never finished")
		done := make(chan error)
		go func() { done <- c.WriteMessage(TextMessage, []byte("waits")) }()
		time.Sleep(time.Hour)
		c.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
		if _, err := io.WriteString(w, "more"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the message writer: got %v, want net.ErrClosed", err)
		}
	})
}

// RFC 6455, 5.5.1: after a Close frame no frame is sent.
func TestWritesAfterClose(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		w, err := c.NextWriter(BinaryMessage)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), time.Time{}); err != nil {
			t.Fatal(err)
		}
		wire.take()
		if err := w.Close(); err != ErrCloseSent {
			t.Errorf("message writer: got %v, want ErrCloseSent", err)
		}
		for name, write := range map[string]func() error{
			"WriteMessage":    func() error { return c.WriteMessage(TextMessage, nil) },
			"WriteControl":    func() error { return c.WriteControl(PingMessage, nil, time.Time{}) },
			"a second close":  func() error { return c.WriteControl(CloseMessage, nil, time.Time{}) },
			"NextWriter":      func() error { _, err := c.NextWriter(TextMessage); return err },
			"close as a data": func() error { return c.WriteMessage(CloseMessage, nil) },
		} {
			if err := write(); err != ErrCloseSent {
				t.Errorf("%s: got %v, want ErrCloseSent", name, err)
			}
		}
		c.wantNothingSent(t, wire, "nothing follows a Close frame")
	})
}

// Both sides close at the same time: neither answers the other's Close frame.
func TestCloseMeetsClose(t *testing.T) {
	server, client := newConnPair(t)
	for _, c := range []*Conn{server, client} {
		if err := c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*Conn{server, client} {
		if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
			t.Errorf("got %v, want close 1000", err)
		}
	}
	server.wantNothingSent(t, client.NetConn().(*pipeConn), "no answer")
	client.wantNothingSent(t, server.NetConn().(*pipeConn), "no answer")
}
