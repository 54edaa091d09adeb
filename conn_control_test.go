package websocket

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// Handlers run in the goroutine that reads, and may set deadlines.
func TestPingAndPongHandlers(t *testing.T) {
	c, wire := newTestConn(t, false)
	var got []string
	c.SetPingHandler(func(s string) error {
		got = append(got, "ping "+s)
		return c.SetReadDeadline(time.Now().Add(time.Minute))
	})
	c.SetPongHandler(func(s string) error {
		got = append(got, "pong "+s)
		return nil
	})
	wire.Write(unhex(t, "89 01 61 8a 01 62 81 00"))
	if _, _, err := c.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != "ping a" || got[1] != "pong b" {
		t.Errorf("got %q, want ping a, pong b", got)
	}
	c.wantNothingSent(t, wire, "the handler replaces the answer")

	c.SetPingHandler(nil)
	c.SetPongHandler(nil)
	wire.Write(unhex(t, "89 01 61 8a 01 62 81 00"))
	if _, _, err := c.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	if b := wire.takeFrames(1); len(b) != 7 {
		t.Errorf("got % x, want a pong again", b)
	}
	if err := c.PongHandler()("x"); err != nil {
		t.Errorf("default pong handler: got %v, want nil", err)
	}
}

// The default ping handler, called by the program, answers.
func TestDefaultPingHandlerCanBeWrapped(t *testing.T) {
	c, wire := newTestConn(t, true)
	h := c.PingHandler()
	c.SetPingHandler(func(s string) error { return h(s + "!") })
	wire.Write(unhex(t, "89 81 00000000 61 81 80 00000000"))
	if _, _, err := c.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	if got, want := wire.takeFrames(1), unhex(t, "8a 02 6121"); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestHandlerErrorIsTheReadError(t *testing.T) {
	for name, frame := range map[string]string{"ping": "89 00", "pong": "8a 00"} {
		t.Run(name, func(t *testing.T) {
			c, wire := newTestConn(t, false)
			mine := errors.New("mine")
			c.SetPingHandler(func(string) error { return mine })
			c.SetPongHandler(func(string) error { return mine })
			wire.Write(unhex(t, frame+" 81 00"))
			for range 2 {
				if _, _, err := c.ReadMessage(); err != mine {
					t.Errorf("got %v, want the handler's error", err)
				}
			}
			c.wantNothingSent(t, wire, "the handler has not answered")
		})
	}
}

// A close handler that returns nil still gets the reader the *CloseError, and answers itself.
func TestCloseHandler(t *testing.T) {
	c, wire := newTestConn(t, false)
	var gotCode int
	var gotText string
	c.SetCloseHandler(func(code int, text string) error {
		gotCode, gotText = code, text
		return nil
	})
	wire.Write(unhex(t, "88 05 0fa0 627965"))
	_, _, err := c.ReadMessage()
	if e, ok := err.(*CloseError); !ok || *e != (CloseError{4000, "bye"}) {
		t.Errorf("got %v, want close 4000 bye", err)
	}
	if gotCode != 4000 || gotText != "bye" {
		t.Errorf("handler: got %d %q, want 4000 bye", gotCode, gotText)
	}
	c.wantNothingSent(t, wire, "the handler answers")
}

func TestCloseHandlerErrorIsTheReadError(t *testing.T) {
	c, wire := newTestConn(t, false)
	mine := errors.New("mine")
	c.SetCloseHandler(func(int, string) error { return mine })
	wire.Write(unhex(t, "88 00"))
	for range 2 {
		if _, _, err := c.ReadMessage(); err != mine {
			t.Errorf("got %v, want the handler's error", err)
		}
	}
}

// The default handler can be had, wrapped and put back.
func TestCloseHandlerDefault(t *testing.T) {
	c, wire := newTestConn(t, true)
	h := c.CloseHandler()
	called := false
	c.SetCloseHandler(func(code int, text string) error {
		called = true
		return h(code, text)
	})
	wire.Write(unhex(t, "88 82 00000000 03e8"))
	c.ReadMessage()
	if got, want := wire.takeFrames(1), unhex(t, "88 02 03e8"); !called || !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	c.SetCloseHandler(nil)
	if c.CloseHandler() == nil {
		t.Error("got nil, want the default")
	}
}

// A handler's panic within a message that ReadMessage has in part ends the reading: the part is lost.
func TestHandlerPanicWithinAMessage(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		c.SetPingHandler(func(string) error { panic(errMine) })
		for _, f := range []string{"\x02" + strings.Repeat("part", 2000), "\x89", "\x80the rest"} {
			wire.Write(closingFrame(server, f))
		}
		func() {
			defer func() { recover() }()
			c.ReadMessage()
		}()
		_, p, err := c.ReadMessage()
		if err != errHandlerPanic || err.Error() != "websocket: a handler has panicked within a message" {
			t.Errorf("got %d bytes, %v, want errHandlerPanic", len(p), err)
		}
	})
}
