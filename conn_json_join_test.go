//go:build go1.25

package websocket

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// bhJoin is what a joined reader returns of the frames, with the error at its end.
func bhJoin(t *testing.T, server bool, term string, size int, frames ...string) (string, error) {
	t.Helper()
	c, wire := newTestConn(t, server)
	for _, f := range frames {
		wire.Write(bhFrame(server, f[0], f[1:]))
	}
	wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
	r := JoinMessages(c, term)
	var got []byte
	for {
		p := make([]byte, size)
		n, err := r.Read(p)
		got = append(got, p[:n]...)
		if n > 0 && err != nil || n == 0 && err == nil {
			t.Fatalf("got %d bytes and error %v from one Read, want either", n, err)
		}
		if err == nil {
			continue
		}
		if n, again := r.Read(p); n != 0 || again != err {
			t.Errorf("got %d bytes and error %v after the error %v, want it again", n, again, err)
		}
		return string(got), err
	}
}

// Every message is followed by the term, whatever its fragments and the size of the
// reads. Then comes the connection's error, which is never io.EOF.
func TestJoinMessages(t *testing.T) {
	end := "websocket: close 1006 (abnormal closure): unexpected EOF"
	bothSides(t, func(t *testing.T, server bool) {
		for _, tt := range []struct {
			name, term, want, err string
			frames                []string
		}{
			{"no message", "\n", "", end, nil},
			{"one", "\n", "one\n", end, []string{"\x81one"}},
			{"several, of both types", "\n", "one\ntwo\nthree\n", end, []string{"\x81one", "\x82two", "\x81three"}},
			{"no term", "", "onetwothree", end, []string{"\x81one", "\x82two", "\x81three"}},
			{"long term", "-END-", "one-END-two-END-", end, []string{"\x81one", "\x81two"}},
			{"empty messages", "\n", "\n\none\n\n", end, []string{"\x81", "\x82", "\x81one", "\x81"}},
			{"empty messages, no term", "", "one", end, []string{"\x81", "\x82", "\x81one", "\x81"}},
			{"fragments", "\n", "onetwo\nthree\n", end, []string{"\x01one", "\x80two", "\x02three", "\x00", "\x80"}},
			{"control frames", "\n", "onetwo\nthree\n", end, []string{"\x89a", "\x01one", "\x89b", "\x80two", "\x8ac", "\x81three", "\x89d"}},
			{"the peer closes", "\n", "one\n", "websocket: close 1000 (normal): bye", []string{"\x81one", "\x88\x03\xe8bye"}},
			{"the end in a message", "\n", "one\ntwo", end, []string{"\x81one", "\x01two"}},
			{"the peer breaks a rule in a message", "\n", "one\ntwo", "websocket: new message before the end of the one before", []string{"\x81one", "\x01two", "\x81three"}},
		} {
			for _, size := range []int{1, 2, 3, 100, 4096} {
				got, err := bhJoin(t, server, tt.term, size, tt.frames...)
				if got != tt.want || err.Error() != tt.err {
					t.Errorf("%s, %d bytes at a time: got %q and error %v, want %q and %s", tt.name, size, got, err, tt.want, tt.err)
				}
			}
		}
	})
}

// The error is the very one of the connection, for programs that look at its code.
func TestJoinMessagesError(t *testing.T) {
	_, err := bhJoin(t, false, "", 100, "\x81one", "\x88\x03\xe9")
	if !IsCloseError(err, CloseGoingAway) {
		t.Errorf("got %v, want close 1001", err)
	}
}

// An empty read waits for nothing.
func TestJoinMessagesEmptyRead(t *testing.T) {
	c, wire := newTestConn(t, false)
	r := JoinMessages(c, "\n")
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("got %d and error %v, want 0 and none", n, err)
	}
	c.SetReadDeadline(time.Time{})
	wire.Write(bhFrame(false, 0x81, "one"))
	p := make([]byte, 4)
	if n, err := r.Read(p[:1]); n != 1 || err != nil {
		t.Fatalf("got %d and error %v, want 1 and none", n, err)
	}
	if n, err := r.Read(p[:0]); n != 0 || err != nil {
		t.Errorf("got %d and error %v in a message, want 0 and none", n, err)
	}
	if n, err := io.ReadFull(r, p[:3]); string(p[:n]) != "ne\n" || err != nil {
		t.Errorf("got %q and error %v, want the rest", p[:n], err)
	}
}

// A deadline, wherever it passes, loses and repeats nothing.
func TestJoinMessagesIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		in := append(bhFrame(true, 0x01, "one"), bhFrame(true, 0x80, "two")...)
		in = append(in, bhFrame(true, 0x82, "three")...)
		r := JoinMessages(c, "--")
		var got []byte
		for _, b := range in {
			wire.Write([]byte{b})
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			for {
				p := make([]byte, 3)
				n, err := r.Read(p)
				got = append(got, p[:n]...)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if want := "onetwo--three--"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// What the reader is for: messages as lines, or as one stream.
func TestJoinMessagesFeedsReaders(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(bhFrame(false, 0x81, "one"))
	wire.Write(bhFrame(false, 0x81, ""))
	wire.Write(bhFrame(false, 0x81, "two"))
	wire.Close()
	s := bufio.NewScanner(iotest.OneByteReader(JoinMessages(c, "\n")))
	var lines []string
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if got := strings.Join(lines, "|"); got != "one||two" || !IsCloseError(s.Err(), CloseAbnormalClosure) {
		t.Errorf("got %q and error %v, want one||two and close 1006", got, s.Err())
	}

	c, wire = newTestConn(t, false)
	wire.Write(bhFrame(false, 0x81, `{"x":1}{"x"`))
	wire.Write(bhFrame(false, 0x82, `:2} 3`))
	wire.Write(bhFrame(false, 0x81, `4`))
	wire.Close()
	d := json.NewDecoder(JoinMessages(c, ""))
	var a, b bhPoint
	var n int
	if err := errors.Join(d.Decode(&a), d.Decode(&b)); err != nil || a.X != 1 || b.X != 2 {
		t.Errorf("got %v, %v and error %v, want 1 and 2", a, b, err)
	}
	if err := d.Decode(&n); !IsCloseError(err, CloseAbnormalClosure) {
		t.Errorf("got %d and error %v, want close 1006: nobody knows that the number is complete", n, err)
	}
}

// Whoever reads a message in between discards the rest of the one before.
func TestJoinMessagesAfterAnotherRead(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(bhFrame(false, 0x81, "one"))
	wire.Write(bhFrame(false, 0x81, "two"))
	r := JoinMessages(c, "\n")
	io.ReadFull(r, make([]byte, 2))
	if _, p, err := c.ReadMessage(); string(p) != "two" || err != nil {
		t.Errorf("got %q and error %v from ReadMessage, want the next message", p, err)
	}
	p := make([]byte, 10)
	if n, err := r.Read(p); string(p[:n]) != "\n" || err != nil {
		t.Errorf("got %q and error %v, want the term: the rest is discarded", p[:n], err)
	}
}
