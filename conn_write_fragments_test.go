//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fragmentWays are the ways to send a text message that MaxFrameSize holds for.
var fragmentWays = map[string]func(c *Conn, text string) error{
	"WriteMessage":        func(c *Conn, text string) error { return c.WriteMessage(TextMessage, []byte(text)) },
	"WriteMessageContext": func(c *Conn, text string) error { return answers["WriteMessageContext"](c, TextMessage, []byte(text)) },
	"WritePreparedMessage": func(c *Conn, text string) error {
		return answers["WritePreparedMessage"](c, TextMessage, []byte(text))
	},
	"NextWriter, Write":       func(c *Conn, text string) error { return answers["NextWriter"](c, TextMessage, []byte(text)) },
	"NextWriter, WriteString": func(c *Conn, text string) error { return writeWith(c, text, (*messageWriter).WriteString) },
	"NextWriter, ReadFrom": func(c *Conn, text string) error {
		return writeWith(c, text, func(w *messageWriter, s string) (int, error) {
			n, err := w.ReadFrom(strings.NewReader(s))
			return int(n), err
		})
	},
	"NextWriter, by 100": func(c *Conn, text string) error {
		return writeWith(c, text, func(w *messageWriter, s string) (n int, err error) {
			for ; err == nil && n < len(s); n += 100 {
				_, err = w.WriteString(s[n:min(n+100, len(s))])
			}
			return n, err
		})
	},
}

func writeWith(c *Conn, text string, write func(*messageWriter, string) (int, error)) error {
	w, err := c.NextWriter(TextMessage)
	if err != nil {
		return err
	}
	if _, err := write(w.(*messageWriter), text); err != nil {
		return err
	}
	return w.Close()
}

// No frame of a data message is larger, whatever it is sent with, and the message arrives.
func TestMaxFrameSize(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		for _, options := range []*CompressionOptions{nil, {}, {ContextTakeover: true}} {
			for _, most := range []int{1, 125, 126, 4000} {
				a, wire := newPipe(t, 1<<20)
				far, b := newPipe(t, 1<<20)
				mine, theirs := connOptions{maxFrameSize: most}, connOptions{}
				if options != nil {
					agreed := negotiate(t, *options, *options)
					mine.agreed.deflate, mine.compression = &agreed, *options
					theirs.agreed.deflate, theirs.compression = &agreed, *options
				}
				c, peer := newConn(a, server, nil, mine), newConn(b, !server, nil, theirs)
				for name, write := range fragmentWays {
					for _, length := range []int{0, 1, most, most + 1, 2 * most, min(9000, 200*most)} {
						text := string(noise(length, 7))
						text = fmt.Sprintf("%x", text)[:length] // UTF-8, which compresses to a half
						if err := write(c, text); err != nil {
							t.Fatal(err)
						}
						sent := wire.take()
						for rest := sent; len(rest) > 0; {
							h, n, err := parseHeader(rest)
							if err != nil || h.length > int64(most) {
								t.Fatalf("%s of %d bytes: got a frame of %d bytes, %v, want at most %d", name, length, h.length, err, most)
							}
							rest = rest[n+int(h.length):]
						}
						far.Write(sent)
						if _, p, err := peer.ReadMessage(); err != nil || string(p) != text {
							t.Fatalf("%s of %d bytes, frames of %d: got %d bytes, %v", name, length, most, len(p), err)
						}
					}
				}
			}
		}
	})
}

// WriteJSON, a stream, of which each message is a frame, and control messages, which are never fragmented.
func TestMaxFrameSizeOfOtherMessages(t *testing.T) {
	a, wire := newPipe(t, 1<<20)
	c := newConn(a, true, nil, connOptions{maxFrameSize: 3})
	c.WriteJSON("abc")
	wantFrames(t, wire, `fin=false op=1 masked=false "\"ab"`, `fin=true op=0 masked=false "c\"\n"`)
	c.WriteControl(PingMessage, []byte("12345"), time.Time{})
	wantFrames(t, wire, `fin=true op=9 masked=false "12345"`)
	answers["NextWriter"](c, PingMessage, []byte("12345"))
	wantFrames(t, wire, `fin=true op=9 masked=false "12345"`)
	if n, err := NewStream(c, BinaryMessage).Write([]byte("abcdefg")); n != 7 || err != nil {
		t.Errorf("got %d, %v, want 7", n, err)
	}
	wantFrames(t, wire, `fin=true op=2 masked=false "abc"`, `fin=true op=2 masked=false "def"`, `fin=true op=2 masked=false "g"`)
}

// Both an Upgrader and a Dialer have the option; zero and less are no limit.
func TestMaxFrameSizeOptions(t *testing.T) {
	for most, want := range map[int]string{2: "1 ab|0 c", 0: "1 abc", -1: "1 abc"} {
		near, wire := newPipe(t, 1<<20)
		u := Upgrader{MaxFrameSize: most}
		c, err := u.Upgrade(&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, hsRequest(), nil)
		if err != nil {
			t.Fatal(err)
		}
		wire.take()
		c.WriteMessage(TextMessage, []byte("abc"))
		if got := describeFrames(t, wire.take()); got != want {
			t.Errorf("Upgrader, %d: got %s, want %s", most, got, want)
		}

		near, wire = newPipe(t, 1<<20)
		bhAnswer(wire, func(key string) string {
			return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(key) + "\r\n\r\n"
		})
		d := Dialer{MaxFrameSize: most, NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		if c, _, err = d.Dial("ws://a.example", nil); err != nil {
			t.Fatal(err)
		}
		c.WriteMessage(TextMessage, []byte("abc"))
		if got := describeFrames(t, wire.take()); got != want {
			t.Errorf("Dialer, %d: got %s, want %s", most, got, want)
		}
	}
}

// A limit that ends between two fragments fails the connection: the peer has the beginning of a message that
// does not go on. One that ends before the first has done nothing.
func TestMaxFrameSizeTimeout(t *testing.T) {
	const fragment = 2 + 100
	for room, want := range map[int]string{0: "", fragment: "websocket: write timeout within a message", 2 * fragment: "websocket: write timeout within a message"} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newPipe(t, room+1)
			c := newConn(a, true, nil, connOptions{maxFrameSize: 100})
			a.Write(make([]byte, 1))
			c.SetWriteDeadline(time.Now().Add(time.Second))
			err := c.WriteMessage(BinaryMessage, make([]byte, 1000))
			if !isTimeout(err) || want != "" && err.Error() != want {
				t.Errorf("%d bytes of room: got %v, want a timeout: %s", room, err, want)
			}
			wantNext := err
			if want == "" {
				wantNext = nil
			}
			if next := c.send.lock.err(); next != wantNext {
				t.Errorf("%d bytes of room: got %v for the next write, want %v", room, next, wantNext)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		a, _ := newPipe(t, fragment)
		c := newConn(a, true, nil, connOptions{maxFrameSize: 100})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.WriteMessageContext(ctx, BinaryMessage, make([]byte, 1000))
		const want = "websocket: write interrupted within a message: context deadline exceeded"
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if next := c.WriteMessage(TextMessage, []byte("a")); next != err {
			t.Errorf("got %v from the next write, want %v", next, err)
		}
	})
}

// A message in fragments waits for the end of an open one, like any message. If its limit ends before, nothing has
// happened.
func TestMaxFrameSizeBehindAnOpenMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 1<<20)
		c := newConn(a, true, nil, connOptions{maxFrameSize: 2})
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		c.SetWriteDeadline(time.Now().Add(time.Second))
		if err := c.WriteMessage(TextMessage, []byte("abcdef")); err != errWriteTimeout {
			t.Errorf("got %v, want %v", err, errWriteTimeout)
		}
		c.SetWriteDeadline(time.Time{})
		other := begin(t, func() (string, error) { return "", c.WriteMessage(TextMessage, []byte("y")) })
		synctest.Wait()
		c.wantNothingSent(t, wire, "the message is open")
		io.WriteString(w, "z")
		if err := w.Close(); err != nil {
			t.Errorf("got %v, want the open message finished", err)
		}
		other.want("the message has ended", 0, noError)
		if frames := describeFrames(t, wire.take()); frames != "1 z|1 y" {
			t.Errorf("got %s, want the open message and the one behind it", frames)
		}
	})
}

// "Control frames MAY be injected in the middle of a fragmented message" (RFC 6455, 5.4); other messages are not.
func TestMaxFrameSizeBesideOtherWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 5)
		c := newConn(a, true, nil, connOptions{maxFrameSize: 2})
		writes := make(chan error, 3)
		go func() { writes <- c.WriteMessage(TextMessage, []byte("abcdef")) }()
		synctest.Wait()
		go func() { writes <- c.WriteMessage(TextMessage, []byte("z")) }()
		go func() { writes <- c.WriteControl(PingMessage, []byte("p"), time.Time{}) }()
		synctest.Wait()
		var got bytes.Buffer
		for range 20 {
			got.Write(wire.take())
			synctest.Wait()
		}
		for range 3 {
			if err := <-writes; err != nil {
				t.Error(err)
			}
		}
		if frames := describeFrames(t, got.Bytes()); frames != "1 ab|0 cd|9 p|0 ef|1 z" {
			t.Errorf("got %s, want the ping within the message and the other message behind it", frames)
		}
	})
}

// A Close frame ends a message that is being sent in fragments, and its sender learns that.
func TestMaxFrameSizeAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 5)
		c := newConn(a, true, nil, connOptions{maxFrameSize: 2})
		write := make(chan error, 1)
		go func() { write <- c.WriteMessage(TextMessage, []byte("abcdef")) }()
		synctest.Wait()
		go c.WriteControl(CloseMessage, nil, time.Time{})
		synctest.Wait()
		var got bytes.Buffer
		for range 20 {
			got.Write(wire.take())
			synctest.Wait()
		}
		if err := <-write; err != ErrCloseSent {
			t.Errorf("got %v, want %v", err, ErrCloseSent)
		}
		if frames := describeFrames(t, got.Bytes()); frames != "1 ab|0 cd|8 " {
			t.Errorf("got %s, want the Close frame within the message", frames)
		}
	})
}
