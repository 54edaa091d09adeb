//go:build go1.25

package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// bhCompressed returns a connection as gorilla/websocket would have negotiated it, and the
// other end of its transport.
func bhCompressed(t *testing.T, server bool) (*Conn, *pipeConn) {
	a, b := newPipe(t, 1<<20)
	answer := deflateParams{serverNoContextTakeover: true, clientNoContextTakeover: true}
	c := newConn(a, server, nil, connOptions{agreed: agreement{deflate: &answer}})
	c.SetReadDeadline(time.Now().Add(hsPatience))
	return c, b
}

// bhDeflate compresses messages with compress/flate at the level, each with the window of
// those before, and returns the last one (RFC 7692, 7.2.1).
func bhDeflate(level int, messages ...[]byte) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, level)
	for _, m := range messages {
		b.Reset()
		w.Write(m)
		w.Flush()
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// bhRSV1 are the frames on the wire, unmasked, each with whether RSV1 is set.
func bhRSV1(t *testing.T, wire *pipeConn) (frames []string) {
	t.Helper()
	for b := wire.take(); len(b) > 0; {
		h, n, err := parseHeader(b)
		if err != nil || n == 0 || int(h.length) > len(b)-n {
			t.Fatalf("not a whole frame: % x, %v", b, err)
		}
		payload := b[n : n+int(h.length)]
		if h.masked {
			maskEach(payload, h.key, 0)
		}
		frames = append(frames, fmt.Sprintf("fin=%v rsv1=%v op=%d %x", h.fin, h.rsv1, h.opcode, payload))
		b = b[n+int(h.length):]
	}
	return frames
}

// "EnableWriteCompression: true by default where negotiated, level 1": what leaves becomes the message
// again, each on its own, and is about as long as compress/flate makes it, until the program says
// otherwise.
func TestBehaviourCompressionIsOnAtLevel1(t *testing.T) {
	text := textLike(3000, 1)
	const plain = 0
	setLevel := func(level int) func(*Conn) {
		return func(c *Conn) {
			if err := c.SetCompressionLevel(level); err != nil {
				t.Error(err)
			}
		}
	}
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := bhCompressed(t, server)
		for _, step := range []struct {
			name   string
			change func(*Conn)
			level  int
		}{
			{"by default", func(*Conn) {}, 1},
			{"a second time", func(*Conn) {}, 1},
			{"switched off", func(c *Conn) { c.EnableWriteCompression(false) }, plain},
			{"switched on", func(c *Conn) { c.EnableWriteCompression(true) }, 1},
			{"at level 9", setLevel(9), 9},
			{"switched off at level 9", func(c *Conn) { c.EnableWriteCompression(false) }, plain},
			{"switched on again", func(c *Conn) { c.EnableWriteCompression(true) }, 9},
			{"at level -2", setLevel(-2), -2},
			{"at compress/flate's default level", setLevel(-1), -1},
		} {
			step.change(c)
			for name, write := range bhWritesOf(t, text) {
				if err := write(c); err != nil {
					t.Errorf("%s, %s: got error %v, want none", step.name, name, err)
				}
				bhWantLevel(t, step.name+", "+name, bhRSV1(t, wire), text, step.level)
			}
		}
	})
}

// bhWantLevel says that one frame has left, which becomes the text again and is about as long as
// compress/flate makes it at the level, or is the text where the level is 0.
func bhWantLevel(t *testing.T, what string, frames []string, text []byte, level int) {
	t.Helper()
	if level == 0 {
		if want := fmt.Sprintf("fin=true rsv1=false op=1 %x", text); len(frames) != 1 || frames[0] != want {
			t.Errorf("%s: got %.100q, want %.100q", what, frames, want)
		}
		return
	}
	if len(frames) != 1 {
		t.Errorf("%s: got %d frames, want 1", what, len(frames))
		return
	}
	payload, compressed := strings.CutPrefix(frames[0], "fin=true rsv1=true op=1 ")
	s := strictInflater{bits: 15}
	got, err := s.message(unhex(t, payload))
	if !compressed || err != nil || !bytes.Equal(got, text) {
		t.Errorf("%s: got %.100q, %d bytes, %v, want a compressed frame of %d", what, frames, len(got), err, len(text))
	}
	if n, want := len(payload)/2, len(bhDeflate(level, text)); n < want*9/10 || n > want*11/10 {
		t.Errorf("%s: got %d bytes, want about %d as at level %d", what, n, want, level)
	}
}

// bhWritesOf are the ways to write a text.
func bhWritesOf(t *testing.T, text []byte) map[string]func(*Conn) error {
	pm, err := NewPreparedMessage(TextMessage, text)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(*Conn) error{
		"WriteMessage":         func(c *Conn) error { return c.WriteMessage(TextMessage, text) },
		"WritePreparedMessage": func(c *Conn) error { return c.WritePreparedMessage(pm) },
		"NextWriter": func(c *Conn) error {
			w, err := c.NextWriter(TextMessage)
			if err != nil {
				return err
			}
			w.Write(text)
			return w.Close()
		},
	}
}

// "`websocket: invalid compression level` outside -2..9", also where compression was
// negotiated; the level stays what it was.
func TestBehaviourInvalidCompressionLevel(t *testing.T) {
	text := textLike(3000, 1)
	c, wire := bhCompressed(t, true)
	for _, level := range []int{-100, -3, 10, 11, 1 << 30} {
		if err := c.SetCompressionLevel(level); err == nil || err.Error() != "websocket: invalid compression level" {
			t.Errorf("%d: got error %v, want websocket: invalid compression level", level, err)
		}
	}
	if err := c.WriteMessage(TextMessage, text); err != nil {
		t.Error(err)
	}
	bhWantLevel(t, "after bad levels", bhRSV1(t, wire), text, 1)
}

// "EnableCompression alone negotiates no context takeover, both ways." The client obeys client_max_window_bits
// without having offered it, since some servers answer it to everybody.
func TestBehaviourEnableCompressionAlone(t *testing.T) {
	const field = "Sec-WebSocket-Extensions: "
	const want = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, tt := range []struct{ answer, want string }{
		{want, "sends 15, receives 15"},
		{want + "; server_max_window_bits=12; client_max_window_bits=12", "sends 12, receives 12"},
	} {
		c, request, err := ngDial(t, Dialer{EnableCompression: true}, []string{tt.answer})
		if err != nil || len(request) != 1 || request[0] != field+want {
			t.Fatalf("%s: got request %q and error %v, want %s", tt.answer, request, err, want)
		}
		if got := ngDescribe(c.compression); got != tt.want {
			t.Errorf("%s: got a client that %s, want that it %s", tt.answer, got, tt.want)
		}
	}
	for _, offer := range []string{want + "; client_max_window_bits", want, "permessage-deflate", "permessage-deflate; client_max_window_bits"} {
		c, answer, err := ngUpgrade(t, Upgrader{EnableCompression: true}, []string{offer})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(hsFields(answer, "Sec-WebSocket-Extensions"), "\n"); got != field+want {
			t.Errorf("%s: got %q, want %s", offer, got, want)
		}
		if got := ngDescribe(c.compression); got != "sends 15, receives 15" {
			t.Errorf("%s: got a server that %s, want no takeover", offer, got)
		}
	}
}

// "The limit counts inflated bytes": a message that is short on the wire is refused, and
// one is accepted that is longer on the wire than the limit.
func TestBehaviourLimitCountsInflatedBytes(t *testing.T) {
	zeros := make([]byte, 5000)
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	if stored := bhDeflate(0, noise); len(stored) <= len(noise) {
		t.Fatalf("got %d bytes, want more than %d", len(stored), len(noise))
	}
	for _, tt := range []struct {
		name    string
		payload string
		limit   int64
		want    error
	}{
		{"at the limit", bhDeflate(1, zeros), 5000, nil},
		{"over it", bhDeflate(1, zeros), 4999, ErrReadLimit},
		{"far over it", bhDeflate(1, zeros), 1, ErrReadLimit},
		{"no limit", bhDeflate(1, zeros), -1, nil},
		{"longer on the wire, at the limit", bhDeflate(0, noise), 5000, nil},
		{"longer on the wire, over it", bhDeflate(0, noise), 4999, ErrReadLimit},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			for _, by := range bhReads {
				c, wire := bhCompressed(t, server)
				c.SetReadLimit(tt.limit)
				wire.Write(bhFrame(server, 0xc2, tt.payload))
				_, p, err := by.read(c)
				if err != tt.want || err == nil && len(p) != 5000 {
					t.Errorf("%s, %s: got %d bytes and error %v, want error %v", tt.name, by.name, len(p), err, tt.want)
				}
				if tt.want == nil {
					continue
				}
				wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=%v %q", !server, "\x03\xf1"))
				bhFailedWith(t, c, tt.name+", "+by.name, ErrReadLimit.Error())
			}
		})
	}
}

// bhFailedWith checks that the connection returns the error for ever, and sends nothing.
func bhFailedWith(t *testing.T, c *Conn, name, want string) {
	t.Helper()
	for range 3 {
		for _, by := range bhReads {
			if messageType, p, err := by.read(c); messageType != -1 || len(p) > 0 || err == nil || err.Error() != want {
				t.Errorf("%s, again with %s: got type %d, %d bytes and error %v, want error %s", name, by.name, messageType, len(p), err, want)
			}
		}
	}
	if err := c.WriteMessage(TextMessage, []byte("x")); err != ErrCloseSent {
		t.Errorf("%s: got error %v of a write, want %v", name, err, ErrCloseSent)
	}
}

// "A corrupt compressed message fails the connection (1007)", for good. What the messages
// before have left is kept by nobody, and cannot be referred to.
func TestBehaviourCorruptCompressedMessage(t *testing.T) {
	const reason = "compressed message is corrupt"
	text := textLike(1000, 1)
	good := bhDeflate(1, text)
	for _, tt := range []struct{ name, payload string }{
		{"an empty payload", ""},
		{"a block of no type", "\x06"},
		{"a last block of no type", "\x07"},
		{"a length without its complement", "\x00\x05\x00\x05\x00hello"},
		{"a block that ends too soon", "\x00\x64\x00\x9b\xffhello"},
		{"a reference to the message before", bhDeflate(1, text, text)},
		{"a message that ends too soon", good[:len(good)/2]},
		{"no deflate at all", "hello, world"},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			for _, by := range bhReads {
				c, wire := bhCompressed(t, server)
				wire.Write(bhFrame(server, 0xc2, good))
				wire.Write(bhFrame(server, 0xc2, tt.payload))
				wire.Write(bhFrame(server, 0xc2, good))
				if _, p, err := by.read(c); err != nil || !bytes.Equal(p, text) {
					t.Fatalf("got %d bytes and error %v, want the good message", len(p), err)
				}
				if _, p, err := by.read(c); err == nil || err.Error() != "websocket: "+reason {
					t.Errorf("%s, %s: got %.50q and error %v, want websocket: %s", tt.name, by.name, p, err, reason)
					continue
				}
				wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=%v %q", !server, "\x03\xef"+reason))
				bhFailedWith(t, c, tt.name+", "+by.name, "websocket: "+reason)
			}
		})
	}
}
