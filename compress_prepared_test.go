//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

func prepare(t testing.TB, messageType int, p []byte) *PreparedMessage {
	t.Helper()
	pm, err := NewPreparedMessage(messageType, p)
	if err != nil {
		t.Fatal(err)
	}
	return pm
}

// A message that is prepared once is right for connections of all kinds in every state, and
// the messages behind it, too.
func TestPreparedMessageOnEveryConnection(t *testing.T) {
	text := textLike(3000, 1)
	pm := prepare(t, TextMessage, text)
	var options []CompressionOptions
	eachWindow(func(o CompressionOptions) {
		for _, level := range []int{-2, 1, 6} {
			o.Level = level
			options = append(options, o)
		}
	})
	for _, o := range options {
		bothSides(t, func(t *testing.T, server bool) {
			c, wire := newCompressedConn(t, server, o)
			s := &strictInflater{bits: o.WindowBits, takeover: o.ContextTakeover}
			var want [][]byte
			prepared := func() {
				if err := c.WritePreparedMessage(pm); err != nil {
					t.Fatal(err)
				}
				want = append(want, text)
			}
			write := func(p []byte) {
				if err := c.WriteMessage(TextMessage, p); err != nil {
					t.Fatal(err)
				}
				want = append(want, p)
			}
			prepared() // the first message of all
			prepared()
			write(text)
			write(text[:1000])
			prepared()
			write(text)
			c.SetCompressionLevel(5)
			prepared()
			write(text)
			c.EnableWriteCompression(false)
			prepared()
			c.EnableWriteCompression(true)
			writePieces(c, TextMessage, text, 100)
			want = append(want, text)
			prepared()
			for i, m := range wantSent(t, wire, s, want...) {
				if m.compressed != (i != 8) {
					t.Errorf("%+v, message %d: got compressed %v", o, i, m.compressed)
				}
			}
		})
	}
}

// With takeover, a prepared message refers to none before it, and those behind it to it as to any
// other: the receiver's window has moved on by it.
func TestPreparedMessageJoinsTheContext(t *testing.T) {
	text := textLike(3000, 1)
	c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true, Level: 6})
	pm := prepare(t, TextMessage, text)
	c.WriteMessage(TextMessage, text)
	c.WritePreparedMessage(pm)
	c.WriteMessage(TextMessage, text)
	c.WriteMessage(TextMessage, text)
	c.WriteMessage(TextMessage, text)
	alone := strictInflater{bits: 15}
	context := strictInflater{bits: 15, takeover: true}
	list := sentMessages(t, wire)
	if got, err := alone.message(list[1].payload); err != nil || !bytes.Equal(got, text) {
		t.Errorf("got %d bytes, %v from the prepared message, want one that refers to no other", len(got), err)
	}
	for i, m := range list {
		if got, err := context.message(m.payload); err != nil || !bytes.Equal(got, text) {
			t.Errorf("message %d: got %d bytes, %v, want %d", i, len(got), err, len(text))
		}
		if n := len(m.payload); i > 1 && n > len(list[0].payload)/4 {
			t.Errorf("message %d: got %d bytes for the same text again, want few", i, n)
		}
	}
}

// The message is encoded once for each form: it is the same bytes on all connections of a
// server, and there is one form for each level and window.
func TestPreparedMessageIsEncodedOnce(t *testing.T) {
	text := textLike(3000, 1)
	pm := prepare(t, TextMessage, text)
	forms := 0
	for _, o := range []CompressionOptions{{Level: 1}, {Level: 9}, {Level: 1, WindowBits: 9}} {
		forms++
		var first []byte
		var once *frame
		for i, takeover := range []bool{false, true, false, true} {
			o.ContextTakeover = takeover
			c, wire := newCompressedConn(t, true, o)
			c.WriteMessage(TextMessage, text[:i*500])
			wire.take()
			c.WritePreparedMessage(pm)
			b := wire.take()
			form := pm.deflated[deflateForm{o.withDefaults().Level, o.withDefaults().WindowBits}]
			if form == nil {
				t.Fatalf("%+v: got no form of it", o)
			}
			if i == 0 {
				first, once = b, form
			}
			if !bytes.Equal(b, first) || form != once {
				t.Errorf("%+v: got another frame the second time", o)
			}
		}
		if len(pm.deflated) != forms {
			t.Errorf("got %d forms, want %d", len(pm.deflated), forms)
		}
	}
}

// A connection without compression, or with level 0, or with a threshold that the message
// does not reach, gets the plain form; and so does every connection if the other is no shorter.
func TestPreparedMessagePlain(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		text := textLike(3000, 1)
		plain, plainWire := newTestConn(t, server)
		off, offWire := newCompressedConn(t, server, CompressionOptions{})
		off.EnableWriteCompression(false)
		zero, zeroWire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
		zero.SetCompressionLevel(0)
		short, shortWire := newCompressedConn(t, server, CompressionOptions{Threshold: 3001})
		pm := prepare(t, TextMessage, text)
		for _, tt := range []struct {
			c    *Conn
			wire *pipeConn
		}{{plain, plainWire}, {off, offWire}, {zero, zeroWire}, {short, shortWire}} {
			tt.c.WritePreparedMessage(pm)
			wantCompressed(t, "plain", tt.wire, nil, [][]byte{text}, false)
		}
		if len(pm.deflated) > 0 {
			t.Errorf("got %d compressed forms that nobody wants", len(pm.deflated))
		}
		for _, p := range [][]byte{{}, []byte("a"), noise(1000, 1)} {
			c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
			s := &strictInflater{bits: 15, takeover: true}
			c.WriteMessage(BinaryMessage, text)
			c.WritePreparedMessage(prepare(t, BinaryMessage, p))
			c.WriteMessage(BinaryMessage, text)
			wantCompressed(t, "no shorter", wire, s, [][]byte{text, p, text}, true, false, true)
		}
		c, wire := newCompressedConn(t, server, CompressionOptions{})
		c.WritePreparedMessage(prepare(t, PingMessage, bytes.Repeat([]byte("p"), 125)))
		wantFrames(t, wire, fmt.Sprintf("fin=true op=9 masked=%v %q", !server, bytes.Repeat([]byte("p"), 125)))
	})
}

// Any number of goroutines may send it to any number of connections.
func TestPreparedMessageDeflatedConcurrently(t *testing.T) {
	text := textLike(5000, 1)
	pm := prepare(t, TextMessage, text)
	var all sync.WaitGroup
	for i := range 8 {
		o := CompressionOptions{ContextTakeover: i%2 == 0, WindowBits: 8 + i%3*3, Level: 1 + i%4}
		s, c := compressedPair(t, o, o)
		for range 2 {
			all.Go(func() {
				for range 10 {
					if err := s.WritePreparedMessage(pm); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			for j := range 20 {
				if _, p, err := receiveWays[j%len(receiveWays)].read(c); err != nil || !bytes.Equal(p, text) {
					t.Errorf("connection %d: got %d bytes, %v", i, len(p), err)
					return
				}
			}
		})
	}
	all.Wait()
}
