//go:build go1.25

package websocket

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// bhPrepare prepares a message that can be prepared.
func bhPrepare(t testing.TB, messageType int, data string) *PreparedMessage {
	t.Helper()
	pm, err := NewPreparedMessage(messageType, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return pm
}

func TestNewPreparedMessageErrors(t *testing.T) {
	want := func(messageType, size int, want string) {
		t.Helper()
		pm, err := NewPreparedMessage(messageType, make([]byte, size))
		if pm != nil || err == nil || err.Error() != want {
			t.Errorf("type %d, %d bytes: got %v and error %v, want %s", messageType, size, pm, err, want)
		}
	}
	for _, messageType := range badMessageTypes {
		want(messageType, 200, "websocket: bad write message type")
	}
	for _, messageType := range []int{CloseMessage, PingMessage, PongMessage} {
		want(messageType, 126, "websocket: invalid control frame")
		want(messageType, 70_000, "websocket: invalid control frame")
	}
	c, wire := newTestConn(t, true)
	if err := c.WritePreparedMessage(new(PreparedMessage)); err != errBadMessageType {
		t.Errorf("what NewPreparedMessage has not made: got %v, want %v", err, errBadMessageType)
	}
	c.wantNothingSent(t, wire, "it is no message")
}

// What was prepared is a copy, and sending does not change it.
func TestPreparedMessageKeepsACopy(t *testing.T) {
	want := strings.Repeat("hello", 25)
	for _, messageType := range []int{TextMessage, BinaryMessage, PingMessage, PongMessage, CloseMessage} {
		data := []byte(want)
		pm, err := NewPreparedMessage(messageType, data)
		if err != nil {
			t.Fatal(err)
		}
		clear(data)
		for range 2 {
			bothSides(t, func(t *testing.T, server bool) {
				c, wire := newTestConn(t, server)
				if err := c.WritePreparedMessage(pm); err != nil {
					t.Error(err)
				}
				wantFrames(t, wire, fmt.Sprint(messageType, " ", want))
			})
		}
	}
}

// A message is for any number of connections of both sides, by any number of goroutines.
func TestPreparedMessageConcurrently(t *testing.T) {
	for _, size := range []int{100, 10_000} {
		data := strings.Repeat("x", size)
		message, ping := bhPrepare(t, TextMessage, data), bhPrepare(t, PingMessage, "ping")
		bye := bhPrepare(t, CloseMessage, string(FormatCloseMessage(CloseNormalClosure, "")))
		var all sync.WaitGroup
		for i := range 50 {
			c, peer := newConnPair(t)
			if i%2 == 0 {
				c, peer = peer, c
			}
			errs := make(chan error, 3)
			for range cap(errs) {
				go func() { errs <- errors.Join(c.WritePreparedMessage(message), c.WritePreparedMessage(ping)) }()
			}
			all.Go(func() {
				if err := errors.Join(<-errs, <-errs, <-errs, c.WritePreparedMessage(bye)); err != nil {
					t.Errorf("got error %v, want none", err)
				}
			})
			pings := ""
			peer.SetPingHandler(func(payload string) error {
				pings += payload
				return nil
			})
			all.Go(func() {
				err := errors.Join(readText(peer, data), readText(peer, data), readText(peer, data))
				end := second3(peer.ReadMessage())
				if err != nil || !IsCloseError(end, CloseNormalClosure) || pings != "pingpingping" {
					t.Errorf("got pings %q and errors %v, %v, want 3 and close 1000", pings, err, end)
				}
			})
		}
		all.Wait()
	}
}
