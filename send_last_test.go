//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The Close frame that ended a read arrives though the program calls Close at once, whoever is
// writing meanwhile. One that is lost now and then shows in the number of rounds.
func TestCloseWaitsForTheReadersCloseFrame(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for i := range 60 {
			near, far := l.pair(t)
			c, peer := newConn(near, l.server, nil, connOptions{}), &farEnd{Conn: far, server: l.server}
			var all sync.WaitGroup
			for range i % 3 { // so many goroutines write
				all.Go(func() {
					for c.WriteMessage(TextMessage, []byte("x")) == nil {
					}
				})
			}
			all.Go(func() {
				c.ReadMessage()
				c.Close()
			})
			tt := endings[i%len(endings)]
			peer.send(t, tt.frame)
			frame, err := "1 x", error(nil)
			for frame == "1 x" {
				frame, err = peer.next()
			}
			if frame != tt.reply {
				t.Fatalf("round %d: got %q, %v, want %q", i, frame, err, tt.reply)
			}
			if frame, err := peer.next(); err != io.EOF {
				t.Fatalf("round %d: got %q, %v behind the Close frame, want the end", i, frame, err)
			}
			all.Wait()
			far.Close()
		}
	})
}

// What was put aside arrives though the program calls Close at once.
func TestCloseSendsWhatIsCorked(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for range 20 {
			c, peer := l.conn(t, connOptions{})
			texts := corkTexts(t, c)
			c.Close()
			peer.want(t, "corked before Close", texts...)
			if frame, err := peer.next(); err != io.EOF {
				t.Fatalf("got %q, %v, want the end", frame, err)
			}
			peer.Close()
		}
	})
}

// corkTexts corks messages, of which each is larger than the one before, and returns their frames.
func corkTexts(t testing.TB, c *Conn) (frames []string) {
	t.Helper()
	c.Cork()
	for i := range 10 {
		text := strings.Repeat("x", i*200)
		wantWrite(t, c, text)
		frames = append(frames, "1 "+text)
	}
	return frames
}

// So does what a stream has taken.
func TestCloseSendsWhatAStreamHasTaken(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		near, far := l.pair(t)
		s := NewStream(newConn(near, l.server, nil, connOptions{}), BinaryMessage)
		peer := NewStream(newConn(far, !l.server, nil, connOptions{}), BinaryMessage)
		p := noise(300_000, 1)
		go func() {
			if n, err := s.Write(p); n != len(p) || err != nil {
				t.Errorf("got %d, %v, want %d, nil", n, err, len(p))
			}
			s.Close()
		}()
		peer.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(peer); !bytes.Equal(got, p) || err != nil {
			t.Errorf("got %d bytes, %v, want all %d", len(got), err, len(p))
		}
	})
}

// unsentCases are the ways in which a connection comes to have something to send that the network does not
// take.
var unsentCases = []struct {
	name   string
	unsent func(b *bubble)
	frames []string
}{
	{"corked", func(b *bubble) {
		b.c.Cork()
		wantWrite(b, b.c, "a")
	}, []string{"1 a"}},
	{"corked, its time is over", func(b *bubble) {
		b.c.Cork()
		wantWrite(b, b.c, "a")
		time.Sleep(time.Minute)
	}, []string{"1 a"}},
	{"pong", func(b *bubble) {
		b.send(pingFrame("p"), textFrame("b"))
		wantRead(b, b.c, "b")
	}, []string{"10 p"}},
	{"close", func(b *bubble) {
		b.send(peerClose)
		b.c.ReadMessage()
	}, []string{"8 \x03\xe8"}},
	{"corked, close", func(b *bubble) {
		b.c.Cork()
		wantWrite(b, b.c, "a")
		b.send(peerClose)
		b.c.ReadMessage()
	}, []string{"1 a", "8 \x03\xe8"}},
	{"a writer that waits, close", func(b *bubble) {
		go b.c.WriteMessage(TextMessage, []byte("first"))
		synctest.Wait()
		b.send(peerClose)
		b.c.ReadMessage()
	}, []string{"1 first", "8 \x03\xe8"}},
	{"stream", func(b *bubble) {
		s := NewStream(b.c, BinaryMessage)
		s.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := s.Write([]byte("abc")); err == nil && n == 3 {
			return
		}
		b.c.Cork() // it has taken nothing
		b.c.WriteMessage(BinaryMessage, []byte("abc"))
	}, []string{"2 abc"}},
}

// Close gives what is still to be sent a second at most, against a peer that reads nothing, and
// over TLS too.
func TestCloseIsBounded(t *testing.T) {
	for _, tt := range unsentCases {
		t.Run(tt.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				tt.unsent(b)
				d := took(func() {
					if err := b.c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
						b.Errorf("got %v, want nil", err)
					}
				})
				if d > time.Second {
					b.Errorf("got a wait of %v, want at most 1s", d)
				}
			})
		})
	}
}

// Close wakes a writer that waits for the network, and is bounded then, too.
func TestCloseDuringAWrite(t *testing.T) {
	eachBubble(t, connOptions{}, func(b *bubble) {
		b.full()
		results := make(chan error, 3)
		for range cap(results) {
			go func() { results <- b.c.WriteMessage(TextMessage, make([]byte, 1000)) }()
		}
		synctest.Wait()
		d := took(func() {
			b.c.Close()
			for range cap(results) {
				if err := <-results; !errors.Is(err, net.ErrClosed) {
					b.Errorf("got %v, want net.ErrClosed", err)
				}
			}
		})
		if d > time.Second {
			b.Errorf("got a wait of %v, want at most 1s", d)
		}
	})
}

// A peer that reads within the second gets all of it, and then the end.
func TestCloseSendsWhatIsUnsent(t *testing.T) {
	for _, tt := range unsentCases {
		t.Run(tt.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				tt.unsent(b)
				time.AfterFunc(900*time.Millisecond, b.open)
				if d := took(func() { b.c.Close() }); d != 900*time.Millisecond {
					b.Errorf("got a wait of %v, want 900ms", d)
				}
				b.want("sent before the end", tt.frames...)
				b.wantEnd()
			})
		})
	}
}

// Over the kernel's transports and TLS it is bounded, too, in real time.
func TestCloseIsBoundedOverTheKernel(t *testing.T) {
	var all sync.WaitGroup
	defer all.Wait()
	for name, pair := range map[string]func(testing.TB) (near, far net.Conn){
		"tcp":  tcpPair,
		"unix": unixPair,
		"wrapped": func(t testing.TB) (near, far net.Conn) {
			near, far = tcpPair(t)
			return wrappedConn{near}, far
		},
		"tls": func(t testing.TB) (near, far net.Conn) {
			near, far = tcpPair(t)
			return overTLS(t, near, far)
		},
	} {
		near, _ := pair(t)
		smallBuffer(near)
		c := newConn(near, true, nil, connOptions{})
		s := NewStream(c, BinaryMessage)
		s.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := s.Write(make([]byte, 16<<20)); err == nil {
			t.Fatalf("%s: the network has taken %d bytes", name, n)
		}
		all.Go(func() {
			start := time.Now()
			c.Close()
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("%s: got a wait of %v, want 1s", name, d)
			}
		})
	}
}

// When Flush returns nil, the network has everything: the peer gets it, whatever happens next.
func TestFlushMeansThatAllHasLeft(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for range 10 {
			c, peer := l.conn(t, connOptions{})
			peer.send(t, pingFrame("p"), textFrame("a"))
			texts := corkTexts(t, c)
			wantRead(t, c, "a")
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
			c.NetConn().Close()
			peer.want(t, "flushed", append(texts, "10 p")...)
			if frame, err := peer.next(); err != io.EOF {
				t.Fatalf("got %q, %v, want the end", frame, err)
			}
			peer.Close()
		}
	})
}

// It waits for that as long as the network takes.
func TestFlushWaitsForTheNetwork(t *testing.T) {
	for _, tt := range unsentCases {
		if tt.name == "stream" || strings.Contains(tt.name, "close") {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				tt.unsent(b)
				time.AfterFunc(time.Minute, b.open)
				if d := took(func() {
					if err := b.c.Flush(); err != nil {
						b.Errorf("got %v, want nil", err)
					}
				}); d != time.Minute {
					b.Errorf("got a wait of %v, want 1m", d)
				}
				b.c.NetConn().Close()
				b.want("flushed", tt.frames...)
			})
		})
	}
}

// Shutdown sends everything before its Close frame, as long as its context allows, and returns nil when
// the peer has answered.
func TestShutdownSendsWhatIsUnsent(t *testing.T) {
	for _, tt := range unsentCases {
		t.Run(tt.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				tt.unsent(b)
				ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
				defer cancel()
				result := make(chan error, 1)
				go func() { result <- b.c.Shutdown(ctx, CloseGoingAway, "") }()
				time.Sleep(time.Minute)
				b.open()
				want := slices.Clone(tt.frames)
				if !strings.Contains(tt.name, "close") {
					want = append(want, "8 \x03\xe9")
				}
				b.want("everything, and the Close frame", want...)
				if !strings.Contains(tt.name, "close") {
					b.send(peerClose)
				}
				synctest.Wait()
				b.far.Close()
				if err := <-result; err != nil {
					b.Errorf("got %v, want nil", err)
				}
			})
		})
	}
}

// Its context bounds it against a peer that reads nothing, over TLS too.
func TestShutdownIsBounded(t *testing.T) {
	for _, tt := range unsentCases {
		if strings.Contains(tt.name, "close") {
			continue // the peer has closed, so that Shutdown need not wait
		}
		t.Run(tt.name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				tt.unsent(b)
				ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
				defer cancel()
				d := took(func() {
					if err := b.c.Shutdown(ctx, CloseGoingAway, ""); !errors.Is(err, context.DeadlineExceeded) {
						b.Errorf("got %v, want context.DeadlineExceeded", err)
					}
				})
				if d != time.Minute {
					b.Errorf("got a wait of %v, want 1m", d)
				}
			})
		})
	}
}
