//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// compressedScript is what a peer with context takeover sends: compressed messages in
// fragments with control frames between, a plain one, and one that refers to the first.
func compressedScript(server bool) (in []byte, want []string) {
	first, second := "héllo, a message that comes twice", "héllo, a message that comes twice!"
	payloads := deflateMessages(9, []byte(first), []byte(second))
	p, q := string(payloads[0]), string(payloads[1])
	for _, f := range []string{
		"\x41" + p[:5], "\x89one", "\x00", "\x00" + p[5:6], "\x8atwo", "\x80" + p[6:],
		"\x81plain", "\xc2" + q, "\xc1\x00", closeFrame(CloseNormalClosure, "bye"),
	} {
		in = append(in, closingFrame(server, f)...)
	}
	return in, []string{
		`ping "one"`, `pong "two"`, fmt.Sprintf("text %q", first), `text "plain"`, fmt.Sprintf("binary %q", second), `text ""`,
		"websocket: close 1000 (normal): bye",
	}
}

// A read that a context or a deadline has interrupted at any byte loses nothing of a
// compressed message, however the reading goes on.
func TestCompressedReadInterruptedAnywhere(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			in, want := compressedScript(server)
			for k := range len(in) {
				for i := range readWays {
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
					interruptThenRead(t, c, wire, in, k, time.Second, i, want)
				}
			}
		})
	})
}

// One connection is interrupted behind every byte, by contexts and by deadlines in turn.
func TestCompressedReadInterruptedBehindEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
			a := newInterruptedApp(c)
			in, want := compressedScript(server)
			for i, b := range in {
				wire.Write([]byte{b})
				if i%3 == 0 {
					a.readUntilInterrupted(t, time.Second)
					continue
				}
				c.SetReadDeadline(time.Now().Add(time.Second))
				for a.end == nil && !a.step(t, readWays[i%3].read) {
				}
				c.SetReadDeadline(time.Time{})
			}
			if !slices.Equal(a.events, want) {
				t.Errorf("got %q, want %q", a.events, want)
			}
		})
	})
}

// A reader of NextReader goes on where a deadline has interrupted it, and so does NextReader.
func TestCompressedReaderInterruptedBehindEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
			message := textLike(300, 1)
			var r io.Reader
			var got []byte
			step := func() (err error) {
				if r == nil {
					_, r, err = c.NextReader()
					return err
				}
				p := make([]byte, 7)
				n, err := r.Read(p)
				got = append(got, p[:n]...)
				if err == io.EOF {
					r = nil
				}
				return err
			}
			var in []byte
			for _, p := range deflateMessages(6, message, message) {
				in = append(in, closingFrame(server, "\x41"+string(p[:len(p)/2]))...)
				in = append(in, closingFrame(server, "\x80"+string(p[len(p)/2:]))...)
			}
			for _, b := range in {
				wire.Write([]byte{b})
				c.SetReadDeadline(time.Now().Add(time.Second))
				var err error
				for err == nil || err == io.EOF {
					err = step()
				}
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("got %v, want a timeout", err)
				}
			}
			if want := slices.Concat(message, message); !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, want %d", len(got), len(want))
			}
		})
	})
}

// A reader that is within a compressed message when Shutdown begins loses nothing of it,
// nor of the one behind it, which refers to it.
func TestShutdownWithinACompressedMessage(t *testing.T) {
	for _, takeover := range []bool{true, false} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
				message := textLike(200_000, 1) // more than is decompressed at a time
				payloads := deflateMessages(1, message, message)
				if !takeover {
					payloads[1] = payloads[0]
				}
				first := string(payloads[0])
				wire.Write(closingFrame(server, "\x41"+first[:100]))
				wire.Write(closingFrame(server, "\x80"+first[100:]))
				_, r, err := c.NextReader()
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 50_000)
				io.ReadFull(r, got)

				shutdown := begin(t, func() (string, error) { return "", c.Shutdown(t.Context(), CloseNormalClosure, "") })
				shutdown.wantWaiting("the program is reading a message")
				wire.Write(closingFrame(server, "\xc1"+string(payloads[1])))
				wire.Write(closingFrame(server, closeFrame(CloseNormalClosure, "")))
				rest, err := io.ReadAll(r)
				if got = append(got, rest...); err != nil || !bytes.Equal(got, message) {
					t.Errorf("got %d bytes, %v, want all of the message", len(got), err)
				}
				if _, p, err := c.ReadMessage(); err != nil || !bytes.Equal(p, message) {
					t.Errorf("got %d bytes, %v, want the message behind", len(p), err)
				}
				wire.Close()
				if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
					t.Errorf("got %v, want the peer's Close frame", err)
				}
				<-shutdown.done
				if shutdown.err != nil {
					t.Errorf("Shutdown: got %v, want nil", shutdown.err)
				}
			})
		})
	}
}

// The memory for a message doubles from a kilobyte on, up to the limit, when the inflater needs more.
func TestGrowInflated(t *testing.T) {
	const base = 7
	for _, tt := range []struct {
		name       string
		limit      int64
		full       bool
		have, room int
		want       int // the room then
	}{
		{"the first", 0, true, 0, 0, 1 << 10},
		{"half a kilobyte", -1, true, 512, 0, 1024 - 512},
		{"more", 0, true, 600, 0, 600},
		{"a limit", 1000, true, 600, 0, 400},
		{"a limit of 1", 1, true, 0, 0, 1},
		{"the limit is reached", 600, true, 600, 0, 0},
		{"there is room", 0, true, 600, 1, 1},
		{"nothing has come", 0, false, 600, 0, 0},
	} {
		c := &Conn{message: message{inflater: &inflater{full: tt.full}}}
		c.recv.limit.Store(tt.limit)
		p := noise(base+tt.have+tt.room, 1)[:base+tt.have]
		got := c.growInflated(p[:len(p):len(p)+tt.room], base)
		if room := cap(got) - len(got); room != tt.want || !bytes.Equal(got, p) {
			t.Errorf("%s: got room for %d bytes behind %d, want for %d behind %d", tt.name, room, len(got), tt.want, len(p))
		}
	}
}

// Shutdown discards compressed messages that nobody comes for, up to the Close frame, also
// one that the program has read in part.
func TestShutdownDiscardsCompressedMessages(t *testing.T) {
	message := textLike(200_000, 1)
	payloads := deflateMessages(1, message, message)
	for _, takeover := range []bool{true, false} {
		for _, part := range []int{-1, 0, 10, 100_000, 200_000} {
			bothSides(t, func(t *testing.T, server bool) {
				synctest.Test(t, func(t *testing.T) {
					before := codecsOnLoan.Load()
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
					for _, p := range payloads {
						wire.Write(closingFrame(server, "\x41"+string(p[:len(p)/2])))
						wire.Write(closingFrame(server, "\x80"+string(p[len(p)/2:])))
					}
					wire.Write(closingFrame(server, closeFrame(CloseNormalClosure, "")))
					if part >= 0 {
						_, r, err := c.NextReader()
						if err == nil {
							_, err = io.ReadFull(r, make([]byte, part))
						}
						if err != nil {
							t.Fatal(err)
						}
					}
					shutdown := begin(t, func() (string, error) { return "", c.Shutdown(t.Context(), CloseNormalClosure, "") })
					time.Sleep(claimTime)
					synctest.Wait()
					wire.Close()
					shutdown.want("nobody comes", claimTime, noError)
					if n := codecsOnLoan.Load() - before; n != 0 {
						t.Errorf("got %d codecs that were not returned, want none", n)
					}
				})
			})
		}
	}
}

// What is discarded of a message, all or a part, is in the window for the next.
func TestDiscardKeepsTheWindow(t *testing.T) {
	for _, size := range []int{10, 5000, 70_000, 150_000} {
		var messages [][]byte
		for i := range 3 {
			messages = append(messages, append([]byte(fmt.Sprint(i)), textLike(size, 1)...))
		}
		payloads := deflateMessages(4, messages...)
		bothSides(t, func(t *testing.T, server bool) {
			for _, read := range []int{0, 1, 100, 32 << 10, 64 << 10, 70_000, 149_999, 150_000} {
				c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
				for _, p := range payloads {
					wire.Write(closingFrame(server, "\x41"+string(p[:len(p)/3])))
					wire.Write(closingFrame(server, "\x80"+string(p[len(p)/3:])))
				}
				for range 2 {
					_, r, err := c.NextReader()
					if err != nil {
						t.Fatal(err)
					}
					io.ReadFull(r, make([]byte, read))
				}
				if _, p, err := c.ReadMessage(); err != nil || !bytes.Equal(p, messages[2]) {
					t.Fatalf("%d of %d bytes: got %d bytes, %v, want the message behind", read, size, len(p), err)
				}
			}
		})
	}
}

// A discard that was interrupted goes on, and what a ReadMessage had before is in the window, too.
func TestDiscardInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 4 {
			takeover, kept := i < 2, i%2 == 0
			message := textLike(3000, 1)
			payloads := deflateMessages(9, message, message)
			if !takeover {
				payloads[1] = payloads[0]
			}
			p := string(payloads[0])
			in := closingFrame(true, "\x41"+p[:200])
			in = append(in, closingFrame(true, "\x80"+p[200:])...)
			for k := 100; k < len(in); k += 37 {
				c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: takeover})
				wire.Write(in[:k])
				if kept {
					c.SetReadDeadline(time.Now().Add(time.Second))
					if _, _, err := c.ReadMessage(); !isTimeout(err) {
						t.Fatalf("got %v, want a timeout", err)
					}
				}
				if _, _, err := c.NextReader(); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					c.SetReadDeadline(time.Now().Add(time.Second))
					if _, _, err := c.NextReader(); !isTimeout(err) {
						t.Fatalf("got %v, want a timeout", err)
					}
				}
				c.SetReadDeadline(time.Time{})
				wire.Write(in[k:])
				wire.Write(closingFrame(true, "\xc1"+string(payloads[1])))
				if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, message) {
					t.Fatalf("takeover %v, %d bytes: got %d bytes, %v, want the message behind", takeover, k, len(got), err)
				}
			}
		}
	})
}

// A character may be cut by fragments and by Reads; what is no UTF-8 is refused with 1007
// where it comes (RFC 6455, 8.1), as a reader gets it.
func TestCompressedUTF8InPieces(t *testing.T) {
	text := strings.Repeat("é한😀", 30_000) // cut at every place, by what is decompressed at a time too
	for size := 1; size < 6; size++ {
		c, wire := newCompressedConn(t, true, CompressionOptions{})
		wire.Write(closingFrame(true, "\xc1"+string(deflateMessages(6, []byte("x"[:size%2]+text))[0])))
		_, r, err := c.NextReader()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := io.CopyBuffer(struct{ io.Writer }{&b}, r, make([]byte, size)); err != nil || b.String() != "x"[:size%2]+text {
			t.Errorf("got %d bytes, %v, want %d", b.Len(), err, len(text))
		}
	}
	for _, r := range receiveWays {
		for _, bad := range []string{"\xff", "é\xc3", "\xed\xa0\x80", text + "\xf0\x9f\x98", "\xc3" + text} {
			c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true})
			wire.Write(closingFrame(true, "\xc1"+string(deflateMessages(6, []byte(bad))[0])))
			_, _, err := r.read(c)
			if err != error(errInvalidUTF8) {
				t.Errorf("%s: got %v, want that the text is not valid", r.name, err)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=8 masked=false %q", "\x03\xeftext is not valid UTF-8"))
		}
	}
}

// A context that ends while a compressed message waits to be written has done nothing: the
// next message is read as if that one had never been.
func TestCompressedWriteThatWasNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newCompressedConn(t, true, CompressionOptions{ContextTakeover: true})
		s := &strictInflater{bits: 15, takeover: true}
		message := textLike(3000, 1)
		c.WriteMessage(TextMessage, message)
		w, err := c.NextWriter(TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := c.WriteMessageContext(ctx, TextMessage, textLike(3000, 2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		w.Write(message)
		w.Close()
		c.WriteMessage(TextMessage, textLike(3000, 2))
		c.WriteMessage(TextMessage, message)
		wantSent(t, wire, s, message, message, textLike(3000, 2), message)
	})
}
