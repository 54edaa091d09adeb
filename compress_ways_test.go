//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// newCompressedConn returns a connection that has negotiated compression with a peer of
// the same options, and the other end of its transport.
func newCompressedConn(t testing.TB, server bool, o CompressionOptions) (*Conn, *pipeConn) {
	t.Helper()
	near, far := newPipe(t, 4<<20)
	answer := negotiate(t, o, o)
	return newConn(near, server, nil, connOptions{agreed: agreement{deflate: &answer}, compression: o}), far
}

// sentMessage is a data message as it has left.
type sentMessage struct {
	op         opcode
	compressed bool // RSV1 of its first frame
	payload    []byte
	fragments  int
}

// sentMessages takes the data messages off the wire. The only frame that may have RSV1 is
// the first of one: "An endpoint MUST NOT set the "Per-Message Compressed" bit of control
// frames and non-first fragments of a data message" (RFC 7692, 6).
func sentMessages(t testing.TB, wire *pipeConn) (list []sentMessage) {
	t.Helper()
	open := false
	for b := wire.take(); len(b) > 0; {
		h, n, err := parseHeader(b)
		if err != nil || n == 0 || int(h.length) > len(b)-n {
			t.Fatalf("not a whole frame: % x, %v", b[:min(len(b), 20)], err)
		}
		payload := b[n : n+int(h.length)]
		b = b[n+int(h.length):]
		if h.masked {
			maskEach(payload, h.key, 0)
		}
		switch {
		case h.opcode.isControl():
			if h.rsv1 {
				t.Errorf("got RSV1 on a control frame")
			}
			continue
		case h.opcode != opContinuation:
			if open {
				t.Fatal("got a message within another")
			}
			list = append(list, sentMessage{op: h.opcode, compressed: h.rsv1})
		case h.rsv1:
			t.Errorf("got RSV1 on a continuation frame")
		case !open:
			t.Fatal("got a continuation of nothing")
		}
		m := &list[len(list)-1]
		m.payload = append(m.payload, payload...)
		m.fragments++
		open = !h.fin
	}
	if open {
		t.Error("got a message without an end")
	}
	return list
}

// wantSent says which messages have left, decoded by the decoder where they are compressed.
// It returns them as they were on the wire.
func wantSent(t testing.TB, wire *pipeConn, s *strictInflater, want ...[]byte) []sentMessage {
	t.Helper()
	list := sentMessages(t, wire)
	if len(list) != len(want) {
		t.Fatalf("got %d messages, want %d", len(list), len(want))
	}
	for i, m := range list {
		got, err := m.payload, error(nil)
		if m.compressed {
			got, err = s.message(m.payload)
		}
		if err != nil || !bytes.Equal(got, want[i]) {
			t.Fatalf("message %d of %d bytes: got %d bytes and %v", i, len(want[i]), len(got), err)
		}
	}
	return list
}

// sendWays are the ways of sending a message.
var sendWays = []struct {
	name  string
	write func(c *Conn, messageType int, p []byte) error
}{
	{"WriteMessage", (*Conn).WriteMessage},
	{"WriteMessageContext", func(c *Conn, messageType int, p []byte) error {
		return c.WriteMessageContext(context.Background(), messageType, p)
	}},
	{"WritePreparedMessage", func(c *Conn, messageType int, p []byte) error {
		pm, err := NewPreparedMessage(messageType, p)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	}},
	{"NextWriter", func(c *Conn, messageType int, p []byte) error { return writePieces(c, messageType, p, len(p)+1) }},
	{"NextWriter, odd pieces", func(c *Conn, messageType int, p []byte) error {
		return writePieces(c, messageType, p, 1, 7, 300, 5000, 13, 9000, 70_000)
	}},
	{"ReadFrom", func(c *Conn, messageType int, p []byte) error {
		w, err := c.NextWriter(messageType)
		if err != nil {
			return err
		}
		if _, err := w.(io.ReaderFrom).ReadFrom(bytes.NewReader(p)); err != nil {
			return err
		}
		return w.Close()
	}},
}

// writePieces sends a message by a writer, in pieces of the sizes in turn.
func writePieces(c *Conn, messageType int, p []byte, sizes ...int) error {
	w, err := c.NextWriter(messageType)
	if err != nil {
		return err
	}
	for i := 0; len(p) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(p))
		if _, err := w.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return w.Close()
}

// receiveWays are the ways of getting a message.
var receiveWays = []struct {
	name string
	read func(c *Conn) (messageType int, p []byte, err error)
}{
	{"ReadMessage", (*Conn).ReadMessage},
	{"AppendMessage", func(c *Conn) (int, []byte, error) { return c.AppendMessage(make([]byte, 0, 300)) }},
	{"ReadMessageContext", func(c *Conn) (int, []byte, error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		return c.ReadMessageContext(ctx)
	}},
	{"io.ReadAll", func(c *Conn) (int, []byte, error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		p, err := io.ReadAll(r)
		return messageType, p, err
	}},
	{"Read of 7 bytes", func(c *Conn) (int, []byte, error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		var b bytes.Buffer
		_, err = io.CopyBuffer(struct{ io.Writer }{&b}, r, make([]byte, 7))
		return messageType, b.Bytes(), err
	}},
}
