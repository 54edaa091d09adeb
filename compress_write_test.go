//go:build go1.25

package websocket

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wantCompressed says which of the messages that have left are compressed.
func wantCompressed(t testing.TB, what string, wire *pipeConn, s *strictInflater, messages [][]byte, want ...bool) {
	t.Helper()
	for i, m := range wantSent(t, wire, s, messages...) {
		if m.compressed != want[i] {
			t.Errorf("%s, message %d of %d bytes: got compressed %v, want %v", what, i, len(messages[i]), m.compressed, want[i])
		}
	}
}

// "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first
// fragments of a data message" (RFC 7692, 6), which sentMessages looks for.
func TestRSV1IsOfTheFirstFrame(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newCompressedConn(t, server, CompressionOptions{})
		text := textLike(100_000, 1)
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		for rest := text; len(rest) > 0; rest = rest[10_000:] {
			w.Write(rest[:10_000])
			c.WriteControl(PingMessage, bytes.Repeat([]byte("p"), 100), time.Time{})
		}
		w.Close()
		c.WriteJSON(string(text[:3000]))
		c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, strings.Repeat("bye", 40)), time.Time{})
		list := sentMessages(t, wire)
		if len(list) != 2 || !list[0].compressed || !list[1].compressed || list[0].fragments < 2 {
			t.Errorf("got %d messages, want two compressed ones, the first in fragments", len(list))
		}
	})
}

// What is shorter than the threshold is sent as it is.
func TestThreshold(t *testing.T) {
	text := []byte(strings.Repeat("text", 1000))
	for _, threshold := range []int{0, 1, 200, 3000} {
		for _, w := range sendWays[:3] { // of the others the write buffer counts
			c, wire := newCompressedConn(t, true, CompressionOptions{Threshold: threshold, ContextTakeover: true})
			s := &strictInflater{bits: 15, takeover: true}
			messages := [][]byte{text, text[:max(threshold-1, 0)], text[:threshold], text}
			for _, message := range messages {
				w.write(c, TextMessage, message)
			}
			long := threshold > 10 // else it becomes no shorter
			wantCompressed(t, w.name, wire, s, messages, true, false, long, true)
		}
	}
	// A message of NextWriter that does not fit into the buffer is longer than that, at least.
	c, wire := newCompressedConn(t, true, CompressionOptions{Threshold: 3000})
	s := &strictInflater{bits: 15}
	for _, n := range []int{2999, 3000} {
		writePieces(c, TextMessage, text[:n], 100)
	}
	c.compression.threshold = 4097
	long := bytes.Repeat(text, 5)
	for _, size := range []int{100, 5000, 9000} {
		writePieces(c, TextMessage, long, size)
	}
	wantCompressed(t, "NextWriter", wire, s, [][]byte{text[:2999], text[:3000], long, long, long}, false, true, false, false, true)
}

// What would become longer is sent as it is, and what comes behind it can be read.
func TestWhatWouldGrowIsNotCompressed(t *testing.T) {
	text := textLike(500, 1)
	for _, takeover := range []bool{false, true} {
		for level := -2; level <= 9; level++ {
			bothSides(t, func(t *testing.T, server bool) {
				o := CompressionOptions{Level: level, ContextTakeover: takeover}
				c, wire := newCompressedConn(t, server, o)
				s := &strictInflater{bits: 15, takeover: takeover}
				messages := [][]byte{text, {}, text, []byte("a"), text, noise(2000, 1), text, noise(100_000, 2), text}
				for _, w := range sendWays[:4] {
					for _, message := range messages {
						if w.name == "NextWriter" && len(message) > 5000 {
							message = nil // goes out in fragments, before it is known
						}
						w.write(c, BinaryMessage, message)
					}
					sent := messages
					if w.name == "NextWriter" {
						sent = append([][]byte(nil), messages...)
						sent[7] = nil
					}
					wantCompressed(t, w.name, wire, s, sent, true, false, true, false, true, false, true, false, true)
				}
			})
		}
	}
}

// EnableWriteCompression and level 0 are for the messages that begin after them.
func TestCompressionIsTurnedOffAndOn(t *testing.T) {
	text := textLike(3000, 1)
	off := map[string]func(c *Conn, on bool){
		"EnableWriteCompression": (*Conn).EnableWriteCompression,
		"SetCompressionLevel": func(c *Conn, on bool) {
			level := 0
			if on {
				level = 5
			}
			if err := c.SetCompressionLevel(level); err != nil {
				t.Error(err)
			}
		},
	}
	for name, set := range off {
		for _, takeover := range []bool{false, true} {
			bothSides(t, func(t *testing.T, server bool) {
				for _, w := range sendWays {
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
					s := &strictInflater{bits: 15, takeover: takeover}
					for _, on := range []bool{true, false, false, true, true} {
						set(c, on)
						w.write(c, TextMessage, text)
					}
					wantCompressed(t, name+", "+w.name, wire, s, [][]byte{text, text, text, text, text}, true, false, false, true, true)
				}
			})
		}
	}
}

// All of a message is compressed or nothing is, whatever is set while it is written.
func TestSettingsWithinAMessage(t *testing.T) {
	large := textLike(60_000, 1)
	for _, takeover := range []bool{false, true} {
		c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: takeover, WindowBits: 10})
		s := &strictInflater{bits: 10, takeover: takeover}
		var messages [][]byte
		for _, begunWith := range []bool{true, false} {
			for level := -2; level <= 9; level++ {
				c.SetCompressionLevel(1)
				c.EnableWriteCompression(begunWith)
				w, err := c.NextWriter(BinaryMessage)
				if err != nil {
					t.Fatal(err)
				}
				w.Write(large[:10_000])
				c.SetCompressionLevel(level)
				w.Write(large[10_000:30_000])
				c.EnableWriteCompression(!begunWith)
				w.Write(large[30_000:])
				w.Close()
				c.EnableWriteCompression(true)
				c.WriteMessage(TextMessage, large[:3000])
				messages = append(messages, large, large[:3000])
			}
		}
		list := wantSent(t, wire, s, messages...)
		for i, m := range list {
			level := i/2%12 - 2
			want := i%2 == 1 && level != 0 || i%2 == 0 && i < len(list)/2
			if m.compressed != want {
				t.Errorf("takeover %v, message %d: got compressed %v, want %v", takeover, i, m.compressed, want)
			}
		}
	}
}

// The levels are those of compress/flate, also where no compression is.
func TestSetCompressionLevelWithAndWithout(t *testing.T) {
	plain, _ := newTestConn(t, true)
	compressed, _ := newCompressedConn(t, true, CompressionOptions{})
	for _, c := range []*Conn{plain, compressed} {
		for level := -5; level < 15; level++ {
			var want error
			if level < -2 || level > 9 {
				want = errInvalidCompressionLevel
			}
			if err := c.SetCompressionLevel(level); err != want {
				t.Errorf("level %d: got %v, want %v", level, err, want)
			}
		}
		c.EnableWriteCompression(false)
		c.EnableWriteCompression(true)
	}
}

// The level is that of the next message that is compressed on its own.
func TestLevelIsOfTheNextMessage(t *testing.T) {
	text := bytes.Repeat([]byte("always the same "), 200)
	c, wire := newCompressedConn(t, true, CompressionOptions{Level: 9})
	s := &strictInflater{bits: 15}
	for _, level := range []int{9, -2, 6, -2} {
		c.SetCompressionLevel(level)
		c.WriteMessage(TextMessage, text)
		n := len(wantSent(t, wire, s, text)[0].payload)
		// -2 knows of nothing that comes again.
		if few := n < len(text)/10; few != (level != -2) {
			t.Errorf("level %d: got %d bytes for %d", level, n, len(text))
		}
	}
}

// The window outlasts every change of the level. What was sent at another one is looked for no more,
// but each message can be read, and refers to those of its own level.
func TestLevelDoesNotEndTheWindow(t *testing.T) {
	text := textLike(100, 1)
	c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true})
	s := &strictInflater{bits: 15, takeover: true}
	c.WriteMessage(TextMessage, text)
	wantSent(t, wire, s, text)
	for level := -2; level <= 9; level++ {
		c.SetCompressionLevel(level)
		c.WriteMessage(TextMessage, text)
		c.WriteMessage(TextMessage, text)
		m := wantSent(t, wire, s, text, text)[1]
		if few := len(m.payload) < 15; few != (level != 0 && level != -2) || m.compressed != (level != 0) {
			t.Errorf("level %d: got %d bytes for %d", level, len(m.payload), len(text))
		}
	}
}

// A message that did not leave in time, because a control frame was on its way, is not in the
// peer's window: what comes next does not refer to it.
func TestMessageThatDidNotLeaveIsForgotten(t *testing.T) {
	text := textLike(3000, 1)
	for name, write := range map[string]func(c *Conn) error{
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(TextMessage, text) },
		"NextWriter":   func(c *Conn) error { return writePieces(c, TextMessage, text, len(text)) },
		"NextWriter, a fragment": func(c *Conn) error {
			return writePieces(c, TextMessage, bytes.Repeat(text, 30), 20_000)
		},
	} {
		for _, takeover := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				near, wire := newPipe(t, 100)
				o := CompressionOptions{ContextTakeover: takeover, Level: 6}
				answer := negotiate(t, o, o)
				c := newConn(near, true, nil, connOptions{agreed: agreement{deflate: &answer}, compression: o})
				ping := begin(t, func() (string, error) {
					return "", c.WriteControl(PingMessage, bytes.Repeat([]byte("p"), 125), time.Time{})
				})
				ping.wantWaiting("the network takes no more")
				c.SetWriteDeadline(time.Now().Add(time.Second))
				if err := write(c); !isTimeout(err) {
					t.Fatalf("%s: got %v, want a timeout", name, err)
				}
				c.SetWriteDeadline(time.Time{})
				near.out.set(func(h *pipeHalf) { h.size = 1 << 20 })
				<-ping.done
				for range 2 {
					if err := c.WriteMessage(TextMessage, text); err != nil {
						t.Fatalf("%s: got %v, want a connection as good as before", name, err)
					}
				}
				s := &strictInflater{bits: 15, takeover: takeover}
				wantSent(t, wire, s, text, text)
			})
		}
	}
}

// Any goroutine may change the settings at any time.
func TestSettingsWhileOthersWrite(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		o := CompressionOptions{ContextTakeover: takeover, WindowBits: 12}
		s, c := compressedPair(t, o, o)
		done := make(chan struct{})
		var setters sync.WaitGroup
		for i := range 2 {
			setters.Go(func() {
				for n := i; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					s.SetCompressionLevel(n%12 - 2)
					s.EnableWriteCompression(n%3 > 0)
					c.SetReadLimit(int64(1<<20 + n))
				}
			})
		}
		go func() {
			for i := range 200 {
				sendWays[i%len(sendWays)].write(s, TextMessage, textLike(i*50, 1))
			}
		}()
		for i := range 200 {
			if _, p, err := receiveWays[i%len(receiveWays)].read(c); err != nil || !bytes.Equal(p, textLike(i*50, 1)) {
				t.Errorf("takeover %v, message %d: got %d bytes, %v, want %d", takeover, i, len(p), err, i*50)
				break
			}
		}
		close(done)
		setters.Wait()
	}
}

// After a message of NextWriter that was never finished the next message is a whole one: the
// one before was ended by NextWriter.
func TestCompressedWriterLeftOpen(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: takeover})
		s := &strictInflater{bits: 15, takeover: takeover}
		text := textLike(10_000, 1)
		for range 3 {
			w, err := c.NextWriter(TextMessage)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(text)
		}
		w, _ := c.NextWriter(TextMessage)
		w.Close()
		io.WriteString(w, "closed")
		wantSent(t, wire, s, text, text, text, nil)
	}
}
