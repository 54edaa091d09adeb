//go:build go1.25

package websocket

import (
	"fmt"
	"strings"
	"testing"
)

// prepare prepares a message that can be prepared.
func prepare(t testing.TB, messageType int, data string) *PreparedMessage {
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
