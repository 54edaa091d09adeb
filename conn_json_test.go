//go:build go1.25

package websocket

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bhFrame is a frame as the peer of a server or client sends it.
func bhFrame(toServer bool, first byte, payload string) []byte {
	var mask byte
	if toServer {
		mask = 0x80
	}
	var b []byte
	switch n := len(payload); {
	case n <= 125:
		b = append(b, first, mask|byte(n))
	case n < 1<<16:
		b = append(b, first, mask|126, byte(n>>8), byte(n))
	default:
		b = append(b, first, mask|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if !toServer {
		return append(b, payload...)
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// bhPoint is a value with a JSON form.
type bhPoint struct {
	X int    `json:"x"`
	S string `json:"s,omitempty"`
}

// The bytes are those of json.Encoder, which escapes what HTML minds and ends with a newline.
func TestWriteJSON(t *testing.T) {
	// Bytes that are no UTF-8 become U+FFFD, which is escaped before Go 1.27.
	var invalid strings.Builder
	json.NewEncoder(&invalid).Encode("a\xff")
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		for _, tt := range []struct {
			v    any
			want string
		}{
			{bhPoint{X: 1}, `{"x":1}` + "\n"},
			{&bhPoint{1, "a"}, `{"x":1,"s":"a"}` + "\n"},
			{nil, "null\n"},
			{"<a&b>\u2028", `"\u003ca\u0026b\u003e\u2028"` + "\n"},
			{"a\xff", invalid.String()},
			{[]int{}, "[]\n"},
			{json.RawMessage(` {"a" : 1} `), `{"a":1}` + "\n"},
			{strings.Repeat("x", 200_000), `"` + strings.Repeat("x", 200_000) + `"` + "\n"},
			{map[string]int{"b": 2, "a": 1}, `{"a":1,"b":2}` + "\n"},
		} {
			if err := c.WriteJSON(tt.v); err != nil {
				t.Errorf("%.20q: got error %v, want none", tt.want, err)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=1 masked=%v %q", !server, tt.want))
		}
	})
}

// bhMarshaler encodes itself by calling a function.
type bhMarshaler func() ([]byte, error)

func (m bhMarshaler) MarshalJSON() ([]byte, error) { return m() }

// A value that cannot be encoded sends nothing, not even where the beginning of it
// could be, and leaves the connection as it was.
func TestWriteJSONOfWhatHasNoEncoding(t *testing.T) {
	mine := errors.New("mine")
	var unsupportedType *json.UnsupportedTypeError
	var unsupportedValue *json.UnsupportedValueError
	var marshaler *json.MarshalerError
	cycle := map[string]any{}
	cycle["me"] = cycle
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		for _, tt := range []struct {
			name string
			v    any
			is   func(error) bool
		}{
			{"channel", make(chan int), func(err error) bool { return errors.As(err, &unsupportedType) }},
			{"function", func() {}, func(err error) bool { return errors.As(err, &unsupportedType) }},
			{"channel at the end", []any{strings.Repeat("x", 100_000), make(chan int)}, func(err error) bool { return errors.As(err, &unsupportedType) }},
			{"NaN", math.NaN(), func(err error) bool { return errors.As(err, &unsupportedValue) }},
			{"cycle", cycle, func(err error) bool { return errors.As(err, &unsupportedValue) }},
			{"error of MarshalJSON", bhMarshaler(func() ([]byte, error) { return nil, mine }), func(err error) bool { return errors.As(err, &marshaler) && errors.Is(err, mine) }},
			{"malformed", bhMarshaler(func() ([]byte, error) { return []byte("{"), nil }), func(err error) bool { return errors.As(err, &marshaler) }},
		} {
			if err := c.WriteJSON(tt.v); err == nil || !tt.is(err) {
				t.Errorf("%s: got %T %v, want the error of encoding/json", tt.name, err, err)
			}
			wantFrames(t, wire)
			if err := c.WriteJSON(1); err != nil {
				t.Errorf("%s: got error %v of the next WriteJSON, want none", tt.name, err)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=1 masked=%v %q", !server, "1\n"))
		}
	})
}

// A value is encoded before the connection's turn is taken, so that its methods may
// write messages of their own.
func TestWriteJSONHoldsNothingWhileItEncodes(t *testing.T) {
	c, wire := newTestConn(t, true)
	c.SetWriteDeadline(time.Now().Add(hsPatience))
	err := c.WriteJSON(bhMarshaler(func() ([]byte, error) {
		return []byte("2"), c.WriteJSON(1)
	}))
	if err != nil {
		t.Errorf("got error %v, want none", err)
	}
	wantFrames(t, wire, `fin=true op=1 masked=false "1\n"`, `fin=true op=1 masked=false "2\n"`)
}

// The errors of writing are those of WriteMessage.
func TestWriteJSONErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wire := newPipe(t, 10)
		c := newConn(a, true, nil, connOptions{})
		c.SetWriteDeadline(time.Now().Add(time.Second))
		start := time.Now()
		err := c.WriteJSON("longer than the network takes")
		if d := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || d != time.Second {
			t.Errorf("got %v after %v, want a timeout after 1s", err, d)
		}
		c.SetWriteDeadline(time.Time{})
		wire.take()
		if again := c.WriteJSON(1); again != err {
			t.Errorf("got %v, want the same error", again)
		}
		wantFrames(t, wire)
	})
	c, wire := newTestConn(t, false)
	if err := c.WriteControl(CloseMessage, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	wire.take()
	if err := c.WriteJSON(1); err != ErrCloseSent {
		t.Errorf("got %v, want ErrCloseSent", err)
	}
	wantFrames(t, wire)
}

// Whatever is wrong with a message as JSON, the one after it can be read.
func TestReadJSON(t *testing.T) {
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	isSyntax := func(err error) bool { return errors.As(err, &syntax) }
	isUnexpectedEOF := func(err error) bool { return err == io.ErrUnexpectedEOF }
	isNil := func(err error) bool { return err == nil }
	bothSides(t, func(t *testing.T, server bool) {
		for _, tt := range []struct {
			name     string
			messages string // first byte of each frame and its payload
			want     bhPoint
			is       func(error) bool
		}{
			{"value", "\x81" + `{"x":1}`, bhPoint{1, "before"}, isNil},
			{"binary", "\x82" + `{"x":1}`, bhPoint{1, "before"}, isNil},
			{"newline", "\x81" + "{\"x\":1}\n", bhPoint{1, "before"}, isNil},
			{"white space in front", "\x81" + " \t\r\n{\"x\":1}", bhPoint{1, "before"}, isNil},
			{"another value behind", "\x81" + `{"x":1}{"x":2}`, bhPoint{1, "before"}, isNil},
			{"no JSON behind", "\x81" + `{"x":1}]oops`, bhPoint{1, "before"}, isNil},
			{"fragments", "\x01" + `{"x"` + "|\x00" + `:1,"s":` + "|\x00|\x80" + `"é"}`, bhPoint{1, "é"}, isNil},
			{"control frames in between", "\x01" + `{"x"` + "|\x89ping|\x8apong|\x80" + `:1}`, bhPoint{1, "before"}, isNil},
			{"null", "\x81null", bhPoint{0, "before"}, isNil},
			{"empty", "\x81", bhPoint{0, "before"}, isUnexpectedEOF},
			{"empty binary", "\x82", bhPoint{0, "before"}, isUnexpectedEOF},
			{"empty fragments", "\x01|\x00|\x80", bhPoint{0, "before"}, isUnexpectedEOF},
			{"white space only", "\x81 \n", bhPoint{0, "before"}, isUnexpectedEOF},
			{"unfinished object", "\x81" + `{"x":1`, bhPoint{0, "before"}, isUnexpectedEOF},
			{"unfinished string", "\x81" + `"a`, bhPoint{0, "before"}, isUnexpectedEOF},
			{"syntax error", "\x81" + `{"x":1,}`, bhPoint{0, "before"}, isSyntax},
			{"not JSON", "\x81" + `hello`, bhPoint{0, "before"}, isSyntax},
			{"another type", "\x81" + `{"s":"after","x":"one"}`, bhPoint{0, "after"}, func(err error) bool { return errors.As(err, &mistyped) }},
			{"too large", "\x81" + `{"x":1e99}`, bhPoint{0, "before"}, func(err error) bool { return errors.As(err, &mistyped) }},
		} {
			c, wire := newTestConn(t, server)
			for frame := range strings.SplitSeq(tt.messages+"|\x81"+`{"x":7}`, "|") {
				wire.Write(bhFrame(server, frame[0], frame[1:]))
			}
			got := bhPoint{0, "before"}
			if err := c.ReadJSON(&got); !tt.is(err) || got != tt.want {
				t.Errorf("%s: got %v and %T %v, want %v", tt.name, got, err, err, tt.want)
			}
			var next bhPoint
			if err := c.ReadJSON(&next); err != nil || next.X != 7 {
				t.Errorf("%s: got %v and error %v of the next message, want 7", tt.name, next, err)
			}
		}
	})
}

// ReadJSON takes a long message, and what was read before it is gone.
func TestReadJSONLong(t *testing.T) {
	for _, size := range []int{1, 4096, 64 << 10, 70_000, 1_000_000, 1} {
		c, wire := newTestConn(t, true)
		want := strings.Repeat("x", size)
		wire.Write(bhFrame(true, 0x81, `"`+want+`"`))
		var got string
		if err := c.ReadJSON(&got); got != want || err != nil {
			t.Errorf("got %d bytes and error %v, want %d", len(got), err, size)
		}
	}
}

// A value that cannot be decoded into is the program's mistake; the message is read all the same.
func TestReadJSONIntoNoPointer(t *testing.T) {
	c, wire := newTestConn(t, false)
	wire.Write(bhFrame(false, 0x81, "1"))
	wire.Write(bhFrame(false, 0x81, "2"))
	var invalid *json.InvalidUnmarshalError
	if err := c.ReadJSON(5); !errors.As(err, &invalid) {
		t.Errorf("got %v, want json.InvalidUnmarshalError", err)
	}
	var n int
	if err := c.ReadJSON(&n); err != nil || n != 2 {
		t.Errorf("got %d and error %v, want 2", n, err)
	}
}

// A deadline in the middle of a message loses nothing of it, at whichever byte, even
// where other connections have used the buffer meanwhile.
func TestReadJSONIsResumed(t *testing.T) {
	for _, server := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, wire := newTestConn(t, server)
			other, otherWire := newTestConn(t, server)
			in := bhFrame(server, 0x01, `{"s":"`)
			in = append(in, bhFrame(server, 0x89, "ping")...)
			in = append(in, bhFrame(server, 0x00, strings.Repeat("é", 20))...)
			in = append(in, bhFrame(server, 0x80, `","x":12}`)...)
			got := bhPoint{-1, "before"}
			for i, b := range in {
				c.SetReadDeadline(time.Now().Add(time.Millisecond))
				if err := c.ReadJSON(&got); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("after %d bytes: got %v, want a timeout", i, err)
				}
				if got != (bhPoint{-1, "before"}) {
					t.Fatalf("after %d bytes: got %v, want what was there", i, got)
				}
				var text string
				otherWire.Write(bhFrame(server, 0x81, `"`+strings.Repeat("#", 200)+`"`))
				if err := other.ReadJSON(&text); err != nil {
					t.Fatal(err)
				}
				wire.Write([]byte{b})
			}
			c.SetReadDeadline(time.Time{})
			if err := c.ReadJSON(&got); err != nil || got != (bhPoint{12, strings.Repeat("é", 20)}) {
				t.Errorf("got %v and error %v, want all of the message", got, err)
			}
			wantFrames(t, wire, fmt.Sprintf("fin=true op=10 masked=%v %q", !server, "ping"))
		})
	}
}

// What ends the connection is returned as by ReadMessage, and nothing is decoded.
func TestReadJSONErrors(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		limit    int64
		want     string
		reply    []string
	}{
		{"the peer closes", "88 02 03e9", 0, "websocket: close 1001 (going away)", []string{`fin=true op=8 masked=true "\x03\xe9"`}},
		{"the end", "", 0, "websocket: close 1006 (abnormal closure): unexpected EOF", nil},
		{"the end in a value", "01 01 31", 0, "websocket: close 1006 (abnormal closure): unexpected EOF", nil},
		{"the end behind a value", "01 02 7b7d", 0, "websocket: close 1006 (abnormal closure): unexpected EOF", nil},
		{"over the limit", "81 05", 4, "websocket: read limit exceeded", []string{`fin=true op=8 masked=true "\x03\xf1"`}},
		{"not UTF-8", "81 03 22ff22", 0, "websocket: text is not valid UTF-8", []string{`fin=true op=8 masked=true "\x03\xeftext is not valid UTF-8"`}},
	} {
		a, wire := newPipe(t, 1000)
		c := newConn(a, false, nil, connOptions{readLimit: tt.limit})
		wire.Write(unhex(t, tt.in))
		wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
		v := any("before")
		err := c.ReadJSON(&v)
		if err == nil || err.Error() != tt.want || v != "before" {
			t.Errorf("%s: got %v and error %v, want %s", tt.name, v, err, tt.want)
		}
		wantFrames(t, wire, tt.reply...)
		if again := c.ReadJSON(&v); again != err {
			t.Errorf("%s: got %v the second time, want the same error", tt.name, again)
		}
	}
}

// Buffers that a rare long message has made large are not kept.
func TestLargeJSONBuffersAreNotPooled(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	c, wire := newTestConn(t, false)
	for _, use := range []func() error{
		func() error { return c.WriteJSON(long) },
		func() error { return c.WriteJSON([]any{long, make(chan int)}) },
		func() error {
			var s string
			wire.Write(bhFrame(false, 0x81, `"`+long+`"`))
			return c.ReadJSON(&s)
		},
	} {
		use()
		for range 20 {
			if b := jsonPool.Get().(interface{ Cap() int }); b.Cap() > maxBufferSize {
				t.Fatalf("got a buffer of %d bytes from the pool, want at most %d", b.Cap(), maxBufferSize)
			}
		}
		wire.take()
	}
}

// What goes out of one side comes into the other.
func TestJSONRoundTrip(t *testing.T) {
	server, client := newConnPair(t)
	want := map[string]any{"list": []any{1.0, "two", nil, true}, "text": "\u2028 <é>\x00"}
	for _, pair := range [][2]*Conn{{server, client}, {client, server}} {
		if err := pair[0].WriteJSON(want); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := pair[1].ReadJSON(&got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v and error %v, want %v", got, err, want)
		}
	}
}
