package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/switching-protocols/websocket"
)

// patience bounds the waits of a test, which are short unless something is wrong.
const patience = 30 * time.Second

// A scenario is played on a connection of its own. This library leads, whichever side is the server: the peer sends
// every message back, and does what else the scenario is about when a message arrives.
type scenario struct {
	path string                        // of its URL; also its name in the reports of peers
	name string                        // of its column in INTEROP.md
	play func(c *websocket.Conn) error // to the end of the connection
	wire func(w wire) error            // what the frames must have been, if that matters
}

// The subprotocols that a client asks for, of which the server supports the last.
var (
	offeredSubprotocols = []string{"b.example", "a.example"}
	subprotocol         = "a.example"
)

var scenarios = []scenario{
	{path: "echo", name: "echo", play: func(c *websocket.Conn) error {
		return exchange(c,
			message{websocket.TextMessage, []byte("Grüße, 世界 👋")},
			message{websocket.BinaryMessage, allBytes()})
	}},
	{path: "empty", name: "empty messages", play: func(c *websocket.Conn) error {
		return exchange(c,
			message{websocket.TextMessage, nil},
			message{websocket.BinaryMessage, nil},
			message{websocket.TextMessage, []byte("the end")})
	}},
	{path: "large", name: "1 MiB", play: func(c *websocket.Conn) error {
		return exchange(c, message{websocket.BinaryMessage, bytes.Repeat(allBytes(), 1<<12)})
	}},
	{path: "read-fragments", name: "reads fragments", play: sendFragments, wire: func(w wire) error {
		return errors.Join(wantFragments(w.ours), wantPong(w.theirs))
	}},
	{path: "send-fragments", name: "sends fragments", play: func(c *websocket.Conn) error {
		return exchange(c, message{websocket.BinaryMessage, bytes.Repeat(allBytes(), 60)})
	}, wire: func(w wire) error { return wantFragments(w.theirs) }},
	{path: "answer-ping", name: "answers a ping", play: sendPing},
	{path: "send-ping", name: "sends a ping", play: func(c *websocket.Conn) error {
		if err := send(c, message{websocket.TextMessage, []byte("ping")}); err != nil {
			return err
		}
		if err := receive(c, message{websocket.TextMessage, []byte("pong")}); err != nil {
			return err
		}
		return shutdown(c, websocket.CloseNormalClosure, "")
	}, wire: func(w wire) error { return wantPing(w.theirs) }},
	{path: "read-close", name: "reads a close code", play: func(c *websocket.Conn) error {
		return shutdown(c, 4001, "bye")
	}},
	{path: "send-close", name: "sends a close code", play: func(c *websocket.Conn) error {
		if err := send(c, message{websocket.TextMessage, []byte("close")}); err != nil {
			return err
		}
		_, p, err := c.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4002 || closed.Text != "done" {
			return fmt.Errorf("got message %.20q and error %v, want close 4002 with %q", p, err, "done")
		}
		return nil
	}},
	{path: "subprotocol", name: "subprotocol", play: func(c *websocket.Conn) error {
		if got := c.Subprotocol(); got != subprotocol {
			return fmt.Errorf("got subprotocol %q, want %q", got, subprotocol)
		}
		return exchange(c, message{websocket.TextMessage, []byte("Hello")})
	}},
	{path: "read-compressed", name: "reads compressed messages", play: exchangeCompressible, wire: func(w wire) error {
		return wantCompressed(w.ours)
	}},
	{path: "send-compressed", name: "sends compressed messages", play: exchangeCompressible, wire: func(w wire) error {
		if wantCompressed(w.theirs) != nil {
			return errNothingCompressed // which is no mistake (RFC 7692, 6)
		}
		return nil
	}},
	{path: refusal, name: "refusal"},
}

// checkWire checks what both sides have sent, after the closing handshake.
func (s scenario) checkWire(ours, theirs []byte) error {
	if s.wire == nil {
		return nil
	}
	w, err := readWire(ours, theirs)
	if err != nil {
		return err
	}
	return s.wire(w)
}

// compressed reports whether compression is negotiated in the scenario.
func (s scenario) compressed() bool { return strings.HasSuffix(s.path, "-compressed") }

// refusal is the path of the scenario in which the server refuses the request with 403 Forbidden.
const refusal = "refusal"

// A message is a data message.
type message struct {
	messageType int
	data        []byte
}

func allBytes() []byte {
	p := make([]byte, 256)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func send(c *websocket.Conn, m message) error {
	return c.WriteMessage(m.messageType, m.data)
}

func receive(c *websocket.Conn, m message) error {
	messageType, p, err := c.ReadMessage()
	if err != nil || messageType != m.messageType || !bytes.Equal(p, m.data) {
		return fmt.Errorf("got %.20q (type %d, %d bytes) and error %v, want %.20q (type %d, %d bytes)",
			p, messageType, len(p), err, m.data, m.messageType, len(m.data))
	}
	return nil
}

// exchange sends messages, wants all of them back, and closes the connection.
func exchange(c *websocket.Conn, messages ...message) error {
	for _, m := range messages {
		if err := send(c, m); err != nil {
			return err
		}
	}
	for _, m := range messages {
		if err := receive(c, m); err != nil {
			return err
		}
	}
	return shutdown(c, websocket.CloseNormalClosure, "")
}

// shutdown closes the connection, and wants an answer to its Close frame.
func shutdown(c *websocket.Conn, code int, reason string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Shutdown(ctx, code, reason)
}

// exchangeCompressible does so with messages that become shorter by compression.
func exchangeCompressible(c *websocket.Conn) error {
	if !c.CompressionState().Enabled {
		return errNoCompression
	}
	text := message{websocket.TextMessage, bytes.Repeat([]byte("compressible "), 1000)}
	return exchange(c, text, text)
}

// sendFragments sends a message in fragments with a ping between them, and wants it back.
func sendFragments(c *websocket.Conn) error {
	data := bytes.Repeat([]byte("fragment"), 2000)
	w, err := c.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(data, len(data)/2) { // both larger than the write buffer
		if _, err := w.Write(part); err != nil {
			return err
		}
		if err := c.WriteControl(websocket.PingMessage, []byte("between"), time.Now().Add(patience)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := receive(c, message{websocket.TextMessage, data}); err != nil {
		return err
	}
	return shutdown(c, websocket.CloseNormalClosure, "")
}

// sendPing sends a ping and wants its pong.
func sendPing(c *websocket.Conn) error {
	read := make(chan struct{})
	go func() { // ends with the connection
		defer close(read)
		c.ReadMessage()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.Ping(ctx)
	err = errors.Join(err, shutdown(c, websocket.CloseNormalClosure, ""))
	<-read
	return err
}
