package websocket

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A direction passes through its phases in their order, and its first error stays, but that frames were
// lost may be found out later.
func TestPhases(t *testing.T) {
	type step struct {
		phase phase
		err   error
		lost  error
	}
	first, second, gone := errors.New("first"), errors.New("second"), errors.New("gone")
	for _, tt := range []struct {
		name  string
		steps []step
		want  step
	}{
		{"nothing has happened", nil, step{}},
		{"discarded", []step{{phaseDiscarded, first, nil}}, step{phaseDiscarded, first, nil}},
		{"closed", []step{{phaseClosed, first, nil}}, step{phaseClosed, first, nil}},
		{"failed", []step{{phaseFailed, first, gone}}, step{phaseFailed, first, gone}},
		{"closed after discarded", []step{{phaseDiscarded, first, nil}, {phaseClosed, second, nil}}, step{phaseClosed, second, nil}},
		{"failed after discarded", []step{{phaseDiscarded, first, nil}, {phaseFailed, second, nil}}, step{phaseFailed, second, nil}},
		{"discarded after closed", []step{{phaseClosed, first, nil}, {phaseDiscarded, second, nil}}, step{phaseClosed, first, nil}},
		{"failed after closed", []step{{phaseClosed, first, nil}, {phaseFailed, second, nil}}, step{phaseClosed, first, nil}},
		{"closed after failed", []step{{phaseFailed, first, nil}, {phaseClosed, second, nil}}, step{phaseFailed, first, nil}},
		{"failed twice", []step{{phaseFailed, first, nil}, {phaseFailed, second, nil}}, step{phaseFailed, first, nil}},
		{"closed twice", []step{{phaseClosed, first, nil}, {phaseClosed, second, nil}}, step{phaseClosed, first, nil}},
		{"frames are lost later", []step{{phaseClosed, first, nil}, {phaseFailed, second, gone}}, step{phaseClosed, first, gone}},
		{"they are lost once", []step{{phaseFailed, first, gone}, {phaseFailed, second, second}}, step{phaseFailed, first, gone}},
		{"and stay lost", []step{{phaseFailed, first, gone}, {phaseClosed, second, nil}}, step{phaseFailed, first, gone}},
	} {
		var k lock
		for _, s := range tt.steps {
			k.end(s.phase, s.err, s.lost)
		}
		if got := (step{k.phase(), k.err(), k.lost()}); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if got, want := k.has(ended), len(tt.steps) > 0; got != want {
			t.Errorf("%s: got ended %v, want %v", tt.name, got, want)
		}
	}
}

// borrowed returns the names of what c, which nothing uses any more, has borrowed and not given back.
func borrowed(c *Conn) string {
	var names []string
	add := func(held bool, name string) {
		if held {
			names = append(names, name)
		}
	}
	watching := func(w *watch) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.stop != nil
	}
	add(c.readLock.has(locked), "the read lock")
	add(c.recv.buf != nil || c.recv.b != nil, "the buffer of what has come")
	add(c.message.bytes() != nil, "the bytes of a message")
	add(c.readWatch != nil && watching(c.readWatch), "the context of reads")
	if k := c.compression; k != nil {
		add(k.deflater != nil, "a deflater")
		add(c.message.inflater != nil, "an inflater")
		add(k.window.b != nil, "a window")
	}
	if w := c.writer.Load(); w != nil {
		w.mu.Lock()
		add(w.buf != nil || w.deflater != nil, "what a message writer has")
		w.mu.Unlock()
	}
	s := &c.send
	add(s.lock.has(locked|messageOpen), "the write lock")
	add(s.outbox.buf != nil, "the outbox")
	if b := s.slot.Load(); b != nil {
		b.mu.Lock()
		add(b.buf != nil, "the slot")
		b.mu.Unlock()
	}
	if d := s.delayed.Load(); d != nil {
		add(watching(&d.watch), "the context of writes")
	}
	return strings.Join(names, ", ")
}

// Close gives back what the connection has borrowed, at once or, if a call is at work, when that ends.
func TestCloseGivesBack(t *testing.T) {
	eachLink(t, func(t *testing.T, l testLink) {
		for _, busy := range []string{"nobody", "nobody, no writer", "nobody, messages are unread", "a read", "a write"} {
			for _, o := range []*CompressionOptions{nil, {Threshold: 1}, {Threshold: 1, ContextTakeover: true}} {
				near, far := l.pair(t)
				var options connOptions
				if o != nil {
					answer := negotiate(t, *o, *o)
					options = connOptions{agreed: agreement{deflate: &answer}, compression: *o}
				}
				c := newConn(near, l.server, nil, options)
				peer := newConn(far, !l.server, nil, options)
				// A message for whose beginning a read has waited in vain, and one that is being written.
				peer.WriteMessage(BinaryMessage, make([]byte, 10))
				if _, p, err := c.ReadMessageContext(newCountedContext()); len(p) != 10 || err != nil {
					t.Fatalf("%s: got %d bytes and %v, want a message", busy, len(p), err)
				}
				halves, _ := peer.NextWriter(BinaryMessage)
				halves.Write(noise(10_000, 1))
				c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				if _, _, err := c.ReadMessage(); !isTimeout(err) {
					t.Fatalf("%s: got %v, want a timeout", busy, err)
				}
				c.SetReadDeadline(time.Time{})
				c.WriteMessage(BinaryMessage, make([]byte, 10))
				var w io.Writer
				if busy != "nobody, no writer" {
					w, _ = c.NextWriter(BinaryMessage)
					w.Write(make([]byte, 100))
				}

				done := make(chan error, 1)
				switch busy {
				case "nobody", "nobody, no writer":
					done <- net.ErrClosed
				case "nobody, messages are unread":
					peer.Cork()
					halves.Close()
					peer.WriteMessage(BinaryMessage, make([]byte, 10))
					peer.WriteMessage(BinaryMessage, make([]byte, 10))
					peer.Flush()
					if _, p, err := c.ReadMessage(); len(p) != 10_000 || err != nil {
						t.Fatalf("%s: got %d bytes and %v, want a message", busy, len(p), err)
					}
					done <- net.ErrClosed
				case "a read":
					go func() { done <- second3(c.ReadMessage()) }()
				case "a write":
					go func() {
						var err error
						for err == nil {
							_, err = w.Write(noise(1<<20, 1))
						}
						done <- err
					}()
				}
				for busy == "a read" && !c.readLock.has(locked) || busy == "a write" && !c.send.lock.has(locked) {
					time.Sleep(time.Millisecond)
				}
				c.Close()
				if err := <-done; !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: got %v, want net.ErrClosed", busy, err)
				}
				if got := borrowed(c); got != "" {
					t.Errorf("%s: got that %s was not given back", busy, got)
				}
				peer.Close()
			}
		}
	})
}
