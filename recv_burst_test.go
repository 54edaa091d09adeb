//go:build go1.25

package websocket

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answers are all ways to answer a message.
var answers = map[string]func(c *Conn, messageType int, p []byte) error{
	"WriteMessage": writeBack,
	"WriteMessageContext": func(c *Conn, messageType int, p []byte) error {
		return c.WriteMessageContext(context.Background(), messageType, p)
	},
	"NextWriter": func(c *Conn, messageType int, p []byte) error {
		w, err := c.NextWriter(messageType)
		if err != nil {
			return err
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		return w.Close()
	},
	"WritePreparedMessage": func(c *Conn, messageType int, p []byte) error {
		pm, err := NewPreparedMessage(messageType, p)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	},
	"WriteJSON": func(c *Conn, _ int, p []byte) error { return c.WriteJSON(len(p)) },
	"WriteControl": func(c *Conn, _ int, p []byte) error {
		return c.WriteControl(PingMessage, p, time.Now().Add(time.Hour))
	},
}

// numbered returns n short messages.
func numbered(n int) (payloads []string) {
	for i := range n {
		payloads = append(payloads, fmt.Sprint("m", i))
	}
	return payloads
}

// The answers to messages that have come at once leave at once, in order, in whichever
// way they are written, and no time passes.
func TestBurstIsAnsweredInOneWrite(t *testing.T) {
	for name, way := range answers {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				const n = 20
				payloads := numbered(n)
				c, wire := newLoggedConn(t, server, connOptions{}, texts(payloads...)...)
				start := time.Now()
				go answer(t, c, n, way)
				synctest.Wait()
				var want []string
				for _, p := range payloads {
					switch name {
					case "WriteJSON":
						want = append(want, fmt.Sprintf("1 %d\n", len(p)))
					case "WriteControl":
						want = append(want, "9 "+p)
					default:
						want = append(want, "1 "+p)
					}
				}
				wire.wantWrites(t, name, strings.Join(want, "|"))
				if d := time.Since(start); d != 0 {
					t.Errorf("%s: got a wait of %v, want none", name, d)
				}
				c.wantNothingUnsent(t)
			})
		})
	}
}

// One burst after another is answered so: one that has come between reads, and one that comes to a
// read that is waiting.
func TestBurstAfterBurst(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			go answer(t, c, 12, writeBack)
			for range 3 {
				synctest.Wait()
				wire.peer().Write(peerFrames(server, texts("a", "b", "c", "d")...))
				synctest.Wait()
				wire.wantWrites(t, "four messages", "1 a|1 b|1 c|1 d")
				c.wantNothingUnsent(t)
			}
		})
	})
}

// That the answers wait is earned: a connection whose last burst was not handled quickly, and a new
// one, send each answer when it is written.
func TestBurstIsEarned(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newPipe(t, 1<<20)
			wire := &loggedConn{pipeConn: a}
			c := newConn(wire, server, nil, connOptions{})
			var pause time.Duration
			go answer(t, c, 6*3, func(c *Conn, messageType int, p []byte) error {
				time.Sleep(pause)
				return c.WriteMessage(messageType, p)
			})
			each, together := []string{"1 a", "1 b", "1 c"}, []string{"1 a|1 b|1 c"}
			const limit = quickMessage * time.Microsecond
			for _, tt := range []struct {
				name  string
				pause time.Duration
				want  []string
			}{
				{"the first of a new connection", 0, each},
				{"the first was handled quickly", limit, together},
				{"the second, too, just in time", limit + time.Microsecond, together},
				{"the third was not", 0, each},
				{"the fourth was again", 0, together},
				{"and so was the fifth", 0, together},
			} {
				synctest.Wait()
				pause = tt.pause
				wire.peer().Write(peerFrames(server, texts("a", "b", "c")...))
				time.Sleep(time.Second)
				wire.wantWrites(t, tt.name, tt.want...)
			}
		})
	})
}

// Over the kernel's connections it is the same. What one write has sent is read at once. In
// the bubble the clock stands still while the kernel is waited for, so that no answer is held
// too long, however slow the machine is.
func TestBurstOverTheKernel(t *testing.T) {
	eachTransport(t, func(t *testing.T, near, far net.Conn) {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				c := newQuickConn(near, server, nil, connOptions{})
				const n = 8
				go answer(t, c, n, writeBack)
				far.Write(peerFrames(server, texts(numbered(n)...)...))
				b := make([]byte, 4096)
				m, err := far.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				got := describeFrames(t, b[:m])
				if want := "1 " + strings.Join(numbered(n), "|1 "); got != want {
					t.Errorf("got %q at once, want %q", got, want)
				}
			})
		})
	})
}

// Where the network is waited for with scratch alone, a buffer is read behind one that
// came back full, so that a burst of larger messages is answered in few writes, too.
func TestBurstBehindAFullScratch(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{})
			const n = 20
			wire.peer().Write(peerFrames(server, texts(slices.Repeat([]string{strings.Repeat("x", 300)}, n)...)...))
			go answer(t, c, n, writeBack)
			synctest.Wait()
			writes := wire.take(t)
			if got := strings.Join(writes, "|"); strings.Count(got, "1 300 bytes") != n {
				t.Errorf("got %q, want %d messages", got, n)
			}
			if len(writes) > n/4 {
				t.Errorf("got %d writes for %d messages, want at most %d", len(writes), n, n/4)
			}
		})
	})
}

// Over TLS the answers are one record.
func TestBurstOverTLS(t *testing.T) {
	serverConfig, clientConfig := tlsConfigs()
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(t, 1<<20)
		below := &loggedConn{pipeConn: a}
		server, client := tlsPair(t, below, b, serverConfig, clientConfig)
		below.log = nil
		c := newQuickConn(server, true, nil, connOptions{})
		go answer(t, c, 5, writeBack)
		client.Write(peerFrames(true, texts(numbered(5)...)...))
		p := make([]byte, 4096)
		n, err := client.Read(p)
		if got, want := describeFrames(t, p[:n]), "1 m0|1 m1|1 m2|1 m3|1 m4"; err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		synctest.Wait()
		if n := len(below.log); n != 1 {
			t.Errorf("got %d writes below TLS, want 1", n)
		}
	})
}

// Compressed answers wait, too, with context takeover and without.
func TestBurstCompressed(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := CompressionOptions{ContextTakeover: takeover}
			params := negotiate(t, o, o)
			options := connOptions{agreed: agreement{deflate: &params}, compression: o}
			a, b := newPipe(t, 1<<20)
			client := newQuickConn(b, false, nil, options)
			const n = 20
			for i := range n {
				client.WriteMessage(TextMessage, textLike(1000, uint64(i)))
			}
			wire := &loggedConn{pipeConn: a}
			server := newQuickConn(wire, true, a.take(), options)
			go answer(t, server, n, writeBack)
			synctest.Wait()
			if got := len(wire.log); got != 1 {
				t.Errorf("takeover=%v: got %d writes for %d messages, want 1", takeover, got, n)
			}
			for i := range n {
				if _, p, err := client.ReadMessage(); string(p) != string(textLike(1000, uint64(i))) || err != nil {
					t.Fatalf("message %d: got %d bytes, %v, or other ones", i, len(p), err)
				}
			}
		})
	}
}

// At most 16 KiB wait.
func TestBurstSize(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			const n = 100
			c, wire := newLoggedConn(t, server, connOptions{}, texts(slices.Repeat([]string{strings.Repeat("x", 1000)}, n)...)...)
			go answer(t, c, n, writeBack)
			synctest.Wait()
			wire.mu.Lock()
			defer wire.mu.Unlock()
			total := 0
			for _, b := range wire.log {
				if total += len(b); len(b) > maxCopied {
					t.Errorf("got a write of %d bytes, want at most %d", len(b), maxCopied)
				}
			}
			if most := total/(maxCopied-1000-maxHeaderSize) + 1; len(wire.log) > most {
				t.Errorf("got %d writes of %d bytes in all, want at most %d", len(wire.log), total, most)
			}
		})
	})
}

// The last answer of a burst, which does not wait, leaves with those that do, also where they
// have 16 KiB only together.
func TestLastOfABurst(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			for n, size := range map[int]int{16: 1 << 10, 3: maxCopied/2 - maxHeaderSize, 2: maxCopied - maxHeaderSize} {
				payloads := slices.Repeat([]string{strings.Repeat("x", size)}, n)
				c, wire := newLoggedConn(t, server, connOptions{readBufferSize: 64 << 10}, texts(payloads...)...)
				go answer(t, c, n, writeBack)
				synctest.Wait()
				each := fmt.Sprintf("1 %d bytes", size)
				wire.wantWrites(t, "the answers", strings.Join(slices.Repeat([]string{each}, n), "|"))
			}
		})
	})
}

// A frame that does not wait leaves behind the frames that do, a small one in the same write.
func TestFrameThatIsNotCorked(t *testing.T) {
	for _, tt := range []struct {
		name       string
		write      func(c *Conn) error
		first, all string
	}{
		{"large", func(c *Conn) error { return c.WriteMessage(BinaryMessage, make([]byte, 17<<10)) }, "1 a", "1 a|2 17408 bytes"},
		{"context", func(c *Conn) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			return c.WriteMessageContext(ctx, TextMessage, []byte("b"))
		}, "1 a|1 b", "1 a|1 b"},
		{"Close frame", func(c *Conn) error { return c.WriteControl(CloseMessage, nil, time.Time{}) }, "1 a|8 ", "1 a|8 "},
		{"Flush", (*Conn).Flush, "1 a", "1 a"},
		{"large fragment", func(c *Conn) error {
			w, err := c.NextWriter(BinaryMessage)
			if err != nil {
				return err
			}
			_, err = w.Write(make([]byte, 20<<10))
			return err
		}, "1 a", "1 a|2 20480 bytes"},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newLoggedConn(t, server, connOptions{}, texts("x", "y")...)
				c.ReadMessage()
				if err := c.WriteMessage(TextMessage, []byte("a")); err != nil {
					t.Errorf("%s: got %v, want nil", tt.name, err)
				}
				wire.wantWrites(t, tt.name+": y is still to be read")
				if err := tt.write(c); err != nil {
					t.Errorf("%s: got %v, want nil", tt.name, err)
				}
				if got := describeFrames(t, wire.log[0]); got != tt.first {
					t.Errorf("%s: got %q first, want %q", tt.name, got, tt.first)
				}
				if got := describeFrames(t, slices.Concat(wire.log...)); got != tt.all {
					t.Errorf("%s: got %q, want %q", tt.name, got, tt.all)
				}
				c.wantNothingUnsent(t)
			})
		})
	}
}

// A ping of Ping does not wait, since its time is measured.
func TestPingFlushesABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newLoggedConn(t, true, connOptions{}, texts("x", "y")...)
		answer(t, c, 1, writeBack)
		ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
		defer cancel()
		c.Ping(ctx)
		got := strings.Join(wire.take(t), "|")
		if !strings.HasPrefix(got, "1 x|9 ") {
			t.Errorf("got %q, want x and a ping", got)
		}
	})
}

// A message of which only a part has come may take its time: nothing waits for it.
func TestNothingWaitsForAnIncompleteFrame(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		all := peerFrames(server, texts("one", "two")...)
		for cut := len(all) / 2; cut < len(all); cut++ {
			a, _ := newPipe(t, 1<<20)
			wire := &loggedConn{pipeConn: a}
			c := newQuickConn(wire, server, all[:cut], connOptions{})
			answer(t, c, 1, writeBack)
			wire.wantWrites(t, fmt.Sprintf("with %d of %d bytes", cut, len(all)), "1 one")
		}
	})
}

// "WriteThrough sends each message when it is written."
func TestWriteThrough(t *testing.T) {
	for name, way := range answers {
		bothSides(t, func(t *testing.T, server bool) {
			synctest.Test(t, func(t *testing.T) {
				c, wire := newLoggedConn(t, server, connOptions{writeThrough: true}, texts("a", "b", "c")...)
				for i := range 3 {
					answer(t, c, 1, way)
					if n := len(wire.take(t)); n != 1 {
						t.Errorf("%s: message %d: got %d writes, want 1", name, i, n)
					}
				}
			})
		})
	}
}

// A program that does not read the messages that have come delays its own by 200
// microseconds, from the first that is corked, and once: then it reads no burst.
func TestBurstTime(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newLoggedConn(t, server, connOptions{}, texts("x", "y", "z")...)
			for _, next := range []string{"x", "y"} {
				answer(t, c, 1, writeBack)
				time.Sleep(150 * time.Microsecond)
				c.WriteMessage(TextMessage, []byte("later"))
				time.Sleep(50*time.Microsecond - 1)
				wire.wantWrites(t, next+", before the time is up")
				time.Sleep(1)
				synctest.Wait()
				wire.wantWrites(t, next+", when it is up", "1 "+next+"|1 later")
				c.wantNothingUnsent(t)
				c.WriteMessage(TextMessage, []byte("at once"))
				wire.wantWrites(t, next+", afterwards", "1 at once")
			}
		})
	})
}

// The frames of one goroutine stay in front of those that another writes later.
func TestBurstAndOtherGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newLoggedConn(t, true, connOptions{}, texts("x", "y")...)
		answer(t, c, 1, writeBack)
		go func() {
			c.WriteMessage(TextMessage, []byte("other"))
			c.WriteControl(PongMessage, []byte("its"), time.Time{})
		}()
		synctest.Wait()
		wire.wantWrites(t, "y is still to be read")
		answer(t, c, 1, writeBack)
		wire.wantWrites(t, "y was read", "1 x|1 other|10 its|1 y")
	})
}

// Where the program answers only some of a burst, the answers leave when it reads on.
func TestBurstLeavesBeforeTheReaderWaits(t *testing.T) {
	for name, read := range map[string]func(c *Conn) error{
		"ReadMessage": func(c *Conn) error { _, _, err := c.ReadMessage(); return err },
		"NextReader":  func(c *Conn) error { _, _, err := c.NextReader(); return err },
		"ReadMessageContext": func(c *Conn) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			_, _, err := c.ReadMessageContext(ctx)
			return err
		},
		"ReadJSON": func(c *Conn) error { return c.ReadJSON(new(any)) },
		"Shutdown": func(c *Conn) error { return c.Shutdown(context.Background(), CloseNormalClosure, "") },
	} {
		eachTransport(t, func(t *testing.T, near, far net.Conn) {
			c := newQuickConn(near, true, peerFrames(true, texts("x", "y")...), connOptions{})
			answer(t, c, 1, writeBack)
			c.ReadMessage()
			go read(c)
			b := make([]byte, 3)
			far.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.ReadFull(far, b); err != nil || string(b) != "\x81\x01x" {
				t.Errorf("%s: got %q, %v, want the answer", name, b, err)
			}
			far.Close()
		})
	}
}
