//go:build go1.25

package websocket

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// streamReader is the peer of a stream.
type streamReader struct {
	net.Conn
	mu  sync.Mutex
	got []byte
	err error
}

// read reads until there is an error.
func (r *streamReader) read() {
	p := make([]byte, 10_000)
	for {
		n, err := r.Conn.Read(p)
		r.mu.Lock()
		r.got, r.err = append(r.got, p[:n]...), err
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wantGot checks that the peer has exactly these bytes.
func (r *streamReader) wantGot(t testing.TB, reason string, want []byte) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !bytes.Equal(r.got, want) {
		t.Fatalf("%s: the peer got %d bytes and %v, want %d, or it got other ones", reason, len(r.got), r.err, len(want))
	}
}

// A write deadline of a stream loses nothing, over TLS too: what a Write that has timed out has
// reported arrives, and nothing else does, and the next Write goes on behind it.
func TestStreamDeadlineLosesNothing(t *testing.T) {
	for name, size := range map[string]int{"small": 20, "one frame": 60_000, "several frames": 300_000} {
		t.Run(name, func(t *testing.T) {
			eachBubble(t, connOptions{}, func(b *bubble) {
				b.full()
				s := NewStream(b.c, BinaryMessage)
				peer := &streamReader{Conn: NewStream(newConn(b.far, !b.server, nil, connOptions{}), BinaryMessage)}
				b.reader = peer.read
				p, sent := noise(size, 1), 0
				for _, limit := range []int{0, 1, 2, 5, 1000, 70_000} {
					b.room(limit)
					s.SetWriteDeadline(time.Now().Add(time.Second))
					start := time.Now()
					n, err := s.Write(p[sent:])
					if sent += n; sent < len(p) {
						wantTimeout(b.T, err)
						if d := time.Since(start); d != time.Second {
							b.Errorf("got a wait of %v, want 1s", d)
						}
					} else if err != nil {
						b.Errorf("got %v, want nil", err)
					}
					time.Sleep(time.Minute)
					b.open()
					synctest.Wait()
					peer.wantGot(b, "after a timeout", p[:sent])
				}
				s.SetWriteDeadline(time.Time{})
				if n, err := s.Write(p[sent:]); n != len(p)-sent || err != nil {
					b.Errorf("got %d, %v, want %d, nil", n, err, len(p)-sent)
				}
				if n, err := s.Write([]byte("more")); n != 4 || err != nil {
					b.Errorf("got %d, %v, want 4, nil", n, err)
				}
				synctest.Wait()
				peer.wantGot(b, "without a deadline", append(p, "more"...))
			})
		})
	}
}

// The same over the kernel's transports and TLS, with a peer that begins to read late.
func TestStreamDeadlineOverTheKernel(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		near, far := l.pair(t)
		smallBuffer(near)
		s := NewStream(newConn(near, l.server, nil, connOptions{}), BinaryMessage)
		peer := NewStream(newConn(far, !l.server, nil, connOptions{}), BinaryMessage)
		p := noise(4<<20, 1)
		s.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		sent, err := s.Write(p)
		if sent == len(p) {
			t.Fatal("the network has taken everything")
		}
		wantTimeout(t, err)
		got := make(chan []byte, 1)
		go func() {
			peer.SetReadDeadline(time.Now().Add(2 * patience))
			b, _ := io.ReadAll(peer)
			got <- b
		}()
		for range 20 {
			s.SetWriteDeadline(time.Now().Add(time.Millisecond))
			n, err := s.Write(p[sent:])
			if sent += n; sent < len(p) {
				wantTimeout(t, err)
			}
		}
		s.SetWriteDeadline(time.Now().Add(patience))
		n, err := s.Write(p[sent:])
		if sent += n; err != nil {
			t.Errorf("got %v, want nil: the peer reads", err)
		}
		s.Close()
		if b := <-got; !bytes.Equal(b, p[:sent]) {
			t.Errorf("the peer got %d bytes, want %d, or it got other ones", len(b), sent)
		}
	})
}
