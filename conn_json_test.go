//go:build go1.25

package websocket

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// closedBy has the peer send the frames, as for rawFrame, and end its direction.
func closedBy(wire *pipeConn, toServer bool, frames ...string) {
	for _, f := range frames {
		wire.Write(rawFrame(toServer, f))
	}
	wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
}

// point is a value with a JSON form.
type point struct {
	X int    `json:"x"`
	S string `json:"s,omitempty"`
}

// marshaler encodes itself by calling a function.
type marshaler func() ([]byte, error)

func (m marshaler) MarshalJSON() ([]byte, error) { return m() }

// The bytes are those of json.Encoder, which escapes what HTML minds and ends with a newline. A value that cannot be
// encoded sends nothing, not even where the beginning of it could be, and leaves the connection as it was. A value is
// encoded before the connection's turn is taken, so that its methods may write messages of their own.
func TestWriteJSON(t *testing.T) {
	cycle := map[string]any{}
	cycle["me"] = cycle
	long := strings.Repeat("x", 200_000)
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		c.SetWriteDeadline(time.Now().Add(patience))
		marshal := func(text string, err error) marshaler {
			return func() ([]byte, error) { return []byte(text), errors.Join(err, c.WriteJSON("inner")) }
		}
		for _, tt := range []struct {
			name string
			v    any
			want []string // messages
			as   any      // the type of the error
		}{
			{"struct", point{X: 1}, []string{`{"x":1}`}, nil},
			{"pointer", &point{1, "a"}, []string{`{"x":1,"s":"a"}`}, nil},
			{"nil", nil, []string{"null"}, nil},
			{"HTML", "<a&b>\u2028", []string{`"\u003ca\u0026b\u003e\u2028"`}, nil},
			{"slice", []int{}, []string{"[]"}, nil},
			{"raw", json.RawMessage(` {"a" : 1} `), []string{`{"a":1}`}, nil},
			{"long", long, []string{`"` + long + `"`}, nil},
			{"map", map[string]int{"b": 2, "a": 1}, []string{`{"a":1,"b":2}`}, nil},
			{"a writer of messages", marshal("2", nil), []string{`"inner"`, "2"}, nil},
			{"channel", make(chan int), nil, new(*json.UnsupportedTypeError)},
			{"function", func() {}, nil, new(*json.UnsupportedTypeError)},
			{"channel at the end", []any{long, make(chan int)}, nil, new(*json.UnsupportedTypeError)},
			{"NaN", math.NaN(), nil, new(*json.UnsupportedValueError)},
			{"cycle", cycle, nil, new(*json.UnsupportedValueError)},
			{"malformed", marshal("{", nil), []string{`"inner"`}, new(*json.MarshalerError)},
			{"error of MarshalJSON", marshal("", errMine), []string{`"inner"`}, new(*json.MarshalerError)},
		} {
			err := c.WriteJSON(tt.v)
			if tt.as == nil && err != nil || tt.as != nil && !errors.As(err, tt.as) ||
				errors.Is(err, errMine) != strings.HasPrefix(tt.name, "error of") {
				t.Errorf("%s: got %T %v, want the error of encoding/json", tt.name, err, err)
			}
			var want []string
			for _, message := range tt.want {
				want = append(want, "1 "+message+"\n")
			}
			wantFrames(t, wire, want...)
		}
		c.wantNothingSent(t, wire, "what cannot be encoded sends nothing")
	})
}

// Whatever is wrong with a message as JSON, or with what it is read into, the one after it can be read. What ends the
// connection is returned as by ReadMessage, and nothing is decoded.
func TestReadJSON(t *testing.T) {
	before := point{0, "before"}
	isNil := func(err error) bool { return err == nil }
	isUnexpectedEOF := func(err error) bool { return err == io.ErrUnexpectedEOF }
	isSyntax := func(err error) bool { return errors.As(err, new(*json.SyntaxError)) }
	isMistyped := func(err error) bool { return errors.As(err, new(*json.UnmarshalTypeError)) }
	isEnd := func(err error) bool { return IsCloseError(err, CloseAbnormalClosure) }
	bothSides(t, func(t *testing.T, server bool) {
		for _, tt := range []struct {
			name     string
			messages string // first byte of each frame and its payload
			want     point
			is       func(error) bool
		}{
			{"value", "\x81" + `{"x":1}`, point{1, "before"}, isNil},
			{"binary", "\x82" + `{"x":1}`, point{1, "before"}, isNil},
			{"newline", "\x81" + "{\"x\":1}\n", point{1, "before"}, isNil},
			{"white space in front", "\x81" + " \t\r\n{\"x\":1}", point{1, "before"}, isNil},
			{"another value behind", "\x81" + `{"x":1}{"x":2}`, point{1, "before"}, isNil},
			{"no JSON behind", "\x81" + `{"x":1}]oops`, point{1, "before"}, isNil},
			{"fragments", "\x01" + `{"x"` + "|\x00" + `:1,"s":` + "|\x00|\x80" + `"é"}`, point{1, "é"}, isNil},
			{"control frames in between", "\x01" + `{"x"` + "|\x89ping|\x8apong|\x80" + `:1}`, point{1, "before"}, isNil},
			{"null", "\x81null", before, isNil},
			{"empty", "\x81", before, isUnexpectedEOF},
			{"empty binary", "\x82", before, isUnexpectedEOF},
			{"empty fragments", "\x01|\x00|\x80", before, isUnexpectedEOF},
			{"white space only", "\x81 \n", before, isUnexpectedEOF},
			{"unfinished object", "\x81" + `{"x":1`, before, isUnexpectedEOF},
			{"unfinished string", "\x81" + `"a`, before, isUnexpectedEOF},
			{"syntax error", "\x81" + `{"x":1,}`, before, isSyntax},
			{"not JSON", "\x81" + `hello`, before, isSyntax},
			{"another type", "\x81" + `{"s":"after","x":"one"}`, point{0, "after"}, isMistyped},
			{"too large", "\x81" + `{"x":1e99}`, before, isMistyped},
			{"the end in a value", "\x01" + `{"x"`, before, isEnd},
			{"the end behind a value", "\x01" + `{"x":1}`, before, isEnd},
			{"the peer closes", "\x88\x03\xe9", before, func(err error) bool { return IsCloseError(err, CloseGoingAway) }},
			{"not UTF-8", "\x81" + "\"\xff\"", before, func(err error) bool { return errors.As(err, new(*protocolError)) }},
			{"over the limit", "\x81" + strings.Repeat(" ", 101), before, func(err error) bool { return err == ErrReadLimit }},
		} {
			c, wire := newTestConn(t, server)
			c.SetReadLimit(100)
			got, frames := before, strings.Split(tt.messages, "|")
			if !strings.HasPrefix(tt.name, "the end") {
				frames = append(frames, "\x81"+`{"x":7}`, "\x81"+`{"x":8}`)
			}
			closedBy(wire, server, frames...)
			err := c.ReadJSON(&got)
			if !tt.is(err) || got != tt.want {
				t.Errorf("%s: got %v and %T %v, want %v", tt.name, got, err, err, tt.want)
			}
			if ended := c.readLock.err(); ended != nil {
				if again := c.ReadJSON(&got); again != err || ended != err || got != before {
					t.Errorf("%s: got %v the second time, want the same error", tt.name, again)
				}
				continue
			}
			if err := c.ReadJSON(got); !errors.As(err, new(*json.InvalidUnmarshalError)) {
				t.Errorf("%s: got %v without a pointer, want json.InvalidUnmarshalError", tt.name, err)
			}
			if err := c.ReadJSON(&got); err != nil || got.X != 8 {
				t.Errorf("%s: got %v and error %v of the last message, want 8", tt.name, got, err)
			}
		}
	})
}

// A deadline in the middle of a message loses nothing of it, at whichever byte, even
// where other connections have used the buffer meanwhile.
func TestReadJSONIsResumed(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		other, otherWire := newTestConn(b, b.server)
		long := strings.Repeat("é", 20)
		in := peerFrames(b.server, peerFrame{false, opText, `{"s":"`}, pingFrame("ping"),
			peerFrame{false, opContinuation, long}, peerFrame{true, opContinuation, `","x":12}`})
		got := point{-1, "before"}
		b.byBytes(in[:len(in)-1], func() error {
			err := b.c.ReadJSON(&got)
			if err == nil || got != (point{-1, "before"}) {
				b.Fatalf("got %v, %v, want what was there", got, err)
			}
			var text string
			otherWire.Write(peerFrames(b.server, textFrame(`"`+strings.Repeat("#", 200)+`"`)))
			return errors.Join(err, other.ReadJSON(&text))
		})
		b.far.Write(in[len(in)-1:])
		if err := b.c.ReadJSON(&got); err != nil || got != (point{12, long}) {
			b.Errorf("got %v and error %v, want all of the message", got, err)
		}
		b.want("the ping is answered", "10 ping")
	})
}

// Messages of any length come through, and buffers that a rare long one has made large are not kept.
func TestLargeJSONBuffersAreNotPooled(t *testing.T) {
	for _, size := range []int{1, 4096, 64 << 10, 70_000, 1_000_000, 1} {
		server, client := newConnPair(t)
		long, got := strings.Repeat("x", size), ""
		for i, use := range []func() error{
			func() error { return server.WriteJSON(long) },
			func() error { return client.ReadJSON(&got) },
			func() error { return server.WriteJSON([]any{long, make(chan int)}) },
		} {
			if err := use(); (err != nil) != (i == 2) {
				t.Errorf("%d bytes, use %d: got %v, want an error only where it cannot be encoded", size, i, err)
			}
			for range 20 {
				if b := jsonPool.Get().(interface{ Cap() int }); b.Cap() > maxBufferSize {
					t.Fatalf("use %d: got a buffer of %d bytes from the pool, want at most %d", i, b.Cap(), maxBufferSize)
				}
			}
		}
		if got != long {
			t.Errorf("got %d bytes, want %d", len(got), size)
		}
	}
}

// Every message is followed by the term, whatever its fragments and the size of the
// reads. Then comes the connection's error, which is never io.EOF.
func TestJoinMessages(t *testing.T) {
	end := &CloseError{CloseAbnormalClosure, io.ErrUnexpectedEOF.Error()}
	broken := errors.New("websocket: new message before the end of the one before")
	bothSides(t, func(t *testing.T, server bool) {
		for _, tt := range []struct {
			name, term, want string
			err              error
			frames           []string
		}{
			{"no message", "\n", "", end, nil},
			{"one", "\n", "one\n", end, []string{"\x81one"}},
			{"several, of both types", "\n", "one\ntwo\nthree\n", end, []string{"\x81one", "\x82two", "\x81three"}},
			{"no term", "", "onetwothree", end, []string{"\x81one", "\x82two", "\x81three"}},
			{"long term", "-END-", "one-END-two-END-", end, []string{"\x81one", "\x81two"}},
			{"empty messages", "\n", "\n\none\n\n", end, []string{"\x81", "\x82", "\x81one", "\x81"}},
			{"empty messages, no term", "", "one", end, []string{"\x81", "\x82", "\x81one", "\x81"}},
			{"fragments", "\n", "onetwo\nthree\n", end, []string{"\x01one", "\x80two", "\x02three", "\x00", "\x80"}},
			{"control frames", "\n", "onetwo\nthree\n", end,
				[]string{"\x89a", "\x01one", "\x89b", "\x80two", "\x8ac", "\x81three", "\x89d"}},
			{"the peer closes", "\n", "one\n", &CloseError{CloseNormalClosure, "bye"}, []string{"\x81one", "\x88\x03\xe8bye"}},
			{"the end in a message", "\n", "one\ntwo", end, []string{"\x81one", "\x01two"}},
			{"the peer breaks a rule in a message", "\n", "one\ntwo", broken, []string{"\x81one", "\x01two", "\x81three"}},
		} {
			for _, size := range []int{1, 2, 3, 100, 4096} {
				c, wire := newTestConn(t, server)
				closedBy(wire, server, tt.frames...)
				r := JoinMessages(c, tt.term)
				var got []byte
				var err error
				for err == nil {
					p := make([]byte, size)
					var n int
					n, err = r.Read(p)
					got = append(got, p[:n]...)
					if n > 0 == (err != nil) {
						t.Fatalf("%s: got %d bytes and error %v from one Read, want either", tt.name, n, err)
					}
				}
				_, isClose := err.(*CloseError) // for programs that look at its code
				if string(got) != tt.want || err.Error() != tt.err.Error() || isClose != (tt.err != broken) {
					t.Errorf("%s, %d bytes at a time: got %q and error %T %v, want %q and %v",
						tt.name, size, got, err, err, tt.want, tt.err)
				}
				if n, again := r.Read(make([]byte, size)); n != 0 || again != err {
					t.Errorf("%s: got %d bytes and error %v after the error %v, want it again", tt.name, n, again, err)
				}
			}
		}
	})
}

// A deadline, wherever it passes, loses and repeats nothing, and an empty read waits for nothing. Whoever reads a
// message in between discards the rest of the one before.
func TestJoinMessagesIsResumed(t *testing.T) {
	eachPipe(t, connOptions{}, func(b *bubble) {
		r := JoinMessages(b.c, "--")
		var got []byte
		in := peerFrames(b.server, peerFrame{false, opText, "one"}, peerFrame{true, opContinuation, "two"},
			peerFrame{true, opBinary, "three"})
		b.byBytes(in, func() error {
			p := make([]byte, 3)
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if n, err := r.Read(nil); n != 0 || err != nil {
				b.Errorf("got %d and error %v of an empty read behind %q, want 0 and none", n, err, got)
			}
			return err
		})
		if want := "onetwo--three--"; string(got) != want {
			b.Errorf("got %q, want %q", got, want)
		}

		b.send(texts("four", "five")...)
		io.ReadFull(r, make([]byte, 2))
		wantRead(b, b.c, "five")
		p := make([]byte, 10)
		if n, err := r.Read(p); string(p[:n]) != "--" || err != nil {
			b.Errorf("got %q and error %v, want the term: the rest is discarded", p[:n], err)
		}
	})
}
