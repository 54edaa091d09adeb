package websocket

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// After a timeout in the middle of a message, NextReader gives all of it: what an
// interrupted ReadMessage had taken is not lost.
func TestNextReaderAfterInterruptedReadMessage(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "01 02 4865"))
	c.SetReadDeadline(time.Now())
	if _, _, err := c.ReadMessage(); !isTimeout(err) {
		t.Fatalf("got %v, want a timeout", err)
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if mt, p, err := c.ReadMessage(); !isTimeout(err) || mt != noMessage || p != nil {
		t.Fatalf("got %d, %q, %v, want -1, nil and a timeout", mt, p, err)
	}
	c.SetReadDeadline(time.Time{})
	wire.Write(unhex(t, "80 03 6c6c6f 82 01 21"))
	mt, r, err := c.NextReader()
	if mt != TextMessage || err != nil {
		t.Fatalf("got %d, %v, want text", mt, err)
	}
	if p, err := io.ReadAll(r); string(p) != "Hello" || err != nil {
		t.Errorf("got %q, %v, want Hello", p, err)
	}
	if mt, p, err := c.ReadMessage(); mt != BinaryMessage || string(p) != "!" || err != nil {
		t.Errorf("got %d %q %v, want the next message", mt, p, err)
	}
}

// What an interrupted ReadMessage had taken is gone with the message, when that is discarded.
func TestDiscardedMessageLeavesNothing(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "01 02 4865"))
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, _, err := c.ReadMessage(); !isTimeout(err) {
		t.Fatalf("got %v, want a timeout", err)
	}
	c.SetReadDeadline(time.Time{})
	wire.Write(unhex(t, "80 03 6c6c6f 82 01 21"))
	if _, _, err := c.NextReader(); err != nil {
		t.Fatal(err)
	}
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := io.ReadAll(r); string(p) != "!" || err != nil {
		t.Errorf("got %q, %v, want the second message only", p, err)
	}
}

// NextReader discards the rest of the message before, whose reader then returns io.EOF.
func TestNextReaderDiscards(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "01 02 4865 00 01 6c 89 00 80 02 6c6f"))
	wire.Write(unhex(t, "82 03 010203"))
	_, old, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(old, make([]byte, 1))
	mt, r, err := c.NextReader()
	if mt != BinaryMessage || err != nil {
		t.Fatalf("got %d, %v, want binary", mt, err)
	}
	if n, err := old.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("old reader: got %d, %v, want 0, EOF", n, err)
	}
	if p, err := io.ReadAll(r); !bytes.Equal(p, []byte{1, 2, 3}) || err != nil {
		t.Errorf("got % x, %v, want 01 02 03", p, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: got %d, %v, want 0, EOF", n, err)
	}
	if b := wire.takeFrames(1); len(b) != 6 || b[0] != 0x8a {
		t.Errorf("got % x, want the pong for a ping among what was discarded", b)
	}
}

// Discarding, too, can be interrupted at any byte.
func TestDiscardingIsResumed(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "01 02 4865"))
	if _, _, err := c.NextReader(); err != nil {
		t.Fatal(err)
	}
	for _, b := range unhex(t, "00 03 6c6c6c 80 01 6f 82") {
		c.SetReadDeadline(time.Now().Add(-time.Second))
		if _, _, err := c.NextReader(); !isTimeout(err) {
			t.Fatalf("got %v, want a timeout", err)
		}
		c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		wire.Write([]byte{b})
		if _, _, err := c.NextReader(); !isTimeout(err) {
			t.Fatalf("got %v, want a timeout", err)
		}
	}
	c.SetReadDeadline(time.Time{})
	wire.Write([]byte{1, '!'})
	if mt, p, err := c.ReadMessage(); mt != BinaryMessage || string(p) != "!" || err != nil {
		t.Errorf("got %d %q %v, want the second message", mt, p, err)
	}
}

// A message reader that failed keeps its error.
func TestMessageReaderKeepsItsError(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(unhex(t, "01 02 4865 83 00"))
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(r)
	if string(p) != "He" {
		t.Errorf("got %q, want He", p)
	}
	wantProtocolError(t, err, CloseProtocolError, "websocket: unknown opcode 3")
	if _, again := r.Read(make([]byte, 1)); again != err {
		t.Errorf("reader: got %v, want the same error", again)
	}
	if _, _, again := c.NextReader(); again != err {
		t.Errorf("NextReader: got %v, want the same error", again)
	}
}
