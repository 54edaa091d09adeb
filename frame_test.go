package websocket

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// unhex reads hex digits with spaces between the fields.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("bad hex %q in the test: %v", s, err)
	}
	return b
}

var headerTests = []struct {
	name string
	in   string
	want header
}{
	{"text", "81 05", header{fin: true, opcode: opText, length: 5}},
	{"masked text", "81 85 37fa213d",
		header{fin: true, opcode: opText, masked: true, key: [4]byte{0x37, 0xfa, 0x21, 0x3d}, length: 5}},
	{"first fragment", "01 03", header{opcode: opText, length: 3}},
	{"last fragment", "80 02", header{fin: true, opcode: opContinuation, length: 2}},
	{"empty", "82 00", header{fin: true, opcode: opBinary}},
	{"largest 7-bit length", "82 7d", header{fin: true, opcode: opBinary, length: 125}},
	{"smallest 16-bit length", "82 7e 007e", header{fin: true, opcode: opBinary, length: 126}},
	{"256 bytes", "82 7e 0100", header{fin: true, opcode: opBinary, length: 256}},
	{"largest 16-bit length", "82 7e ffff", header{fin: true, opcode: opBinary, length: 65535}},
	{"smallest 64-bit length", "82 7f 0000000000010000", header{fin: true, opcode: opBinary, length: 65536}},
	{"largest length", "82 ff 7fffffffffffffff 01020304",
		header{fin: true, opcode: opBinary, masked: true, key: [4]byte{1, 2, 3, 4}, length: 1<<63 - 1}},
	{"reserved bits", "f1 00", header{fin: true, rsv1: true, rsv2: true, rsv3: true, opcode: opText}},
	{"RSV1", "c1 00", header{fin: true, rsv1: true, opcode: opText}},
	{"RSV2", "a2 00", header{fin: true, rsv2: true, opcode: opBinary}},
	{"RSV3", "92 00", header{fin: true, rsv3: true, opcode: opBinary}},
	{"unknown opcode", "8f 00", header{fin: true, opcode: 15}},
	{"close", "88 02", header{fin: true, opcode: opClose, length: 2}},
	{"ping", "89 80 00000000", header{fin: true, opcode: opPing, masked: true}},
	{"pong", "8a 7d", header{fin: true, opcode: opPong, length: 125}},
}

// RFC 6455, 5.2: the layout of a header.
func TestParseHeader(t *testing.T) {
	for _, tt := range headerTests {
		in := unhex(t, tt.in)
		h, n, err := parseHeader(append(in, "payload"...))
		if h != tt.want || n != len(in) || err != nil {
			t.Errorf("%s: got %+v, %d, %v, want %+v, %d, nil", tt.name, h, n, err, tt.want, len(in))
		}
		for cut := range in {
			if _, n, err := parseHeader(in[:cut]); n != 0 || err != nil {
				t.Errorf("%s: of the first %d bytes: got %d, %v, want 0, nil", tt.name, cut, n, err)
			}
		}
	}

	// The first two bytes are enough for header.check.
	h, n, err := parseHeader(unhex(t, "f9 fe"))
	want := header{fin: true, rsv1: true, rsv2: true, rsv3: true, opcode: opPing, masked: true, length: 126}
	if h != want || n != 0 || err != nil {
		t.Errorf("got %+v, %d, %v, want %+v, 0, nil", h, n, err, want)
	}
}

func TestAppendHeader(t *testing.T) {
	for _, tt := range headerTests {
		got := tt.want.append([]byte("before"))
		if want := append([]byte("before"), unhex(t, tt.in)...); !bytes.Equal(got, want) {
			t.Errorf("%s: got % x, want % x", tt.name, got, want)
		}
	}
}

// RFC 6455, 5.2: the minimal number of bytes, and no sign bit.
func TestParseHeaderRefusesLengths(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"0 in 16 bits", "82 7e 0000", "length 0 is not encoded in the fewest bytes"},
		{"125 in 16 bits", "82 7e 007d", "length 125 is not encoded in the fewest bytes"},
		{"0 in 64 bits", "82 7f 0000000000000000", "length 0 is not encoded in the fewest bytes"},
		{"65535 in 64 bits", "82 7f 000000000000ffff", "length 65535 is not encoded in the fewest bytes"},
		{"2^63", "82 7f 8000000000000000", "the most significant bit of the length 0x8000000000000000 is set"},
		{"2^64-1", "82 7f ffffffffffffffff", "the most significant bit of the length 0xffffffffffffffff is set"},
		{"masked, without its key", "82 fe 0000", "length 0 is not encoded in the fewest bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parseHeader(unhex(t, tt.in))
			wantProtocolError(t, err, CloseProtocolError, "websocket: "+tt.want)
		})
	}
}

func wantProtocolError(t *testing.T, err error, code int, text string) {
	t.Helper()
	p, ok := err.(*protocolError)
	if !ok {
		t.Fatalf("got %T (%v), want a *protocolError", err, err)
	}
	if p.code != code || p.Error() != text {
		t.Errorf("got %d %q, want %d %q", p.code, p.Error(), code, text)
	}
	if len(p.reason) > maxCloseReason {
		t.Errorf("got a reason of %d bytes, want at most %d", len(p.reason), maxCloseReason)
	}
}

// The rules for a frame's first two bytes, which stand in testdata/wire and testdata/rfc7692 with an example each.
func TestHeaderCheck(t *testing.T) {
	for b0 := range 256 {
		for _, b1 := range []byte{0, 5, 125, 126, 127, 0x80, 0x85, 0x80 | 125, 0x80 | 126, 0x80 | 127} {
			for flags := range 8 {
				c := frameContext{server: flags&1 != 0, inMessage: flags&2 != 0, compression: flags&4 != 0}
				b := [2]byte{byte(b0), b1}
				h, _, _ := parseHeader(b[:])
				want, err := brokenRule(b, c.server, c.inMessage, c.compression), h.check(c)
				if want != "" {
					wantProtocolError(t, err, CloseProtocolError, "websocket: "+want)
				}
				if t.Failed() || want == "" && err != nil {
					t.Fatalf("% x, %+v: got %v, want %q", b, c, err, want)
				}
			}
		}
	}
}

// Which frame a message type stands for: a program may pass any number.
func TestMessageTypes(t *testing.T) {
	for messageType := -2; messageType < 20; messageType++ {
		wantData := messageType == 1 || messageType == 2
		wantControl := messageType == 8 || messageType == 9 || messageType == 10
		if data, control := isData(messageType), isControl(messageType); data != wantData || control != wantControl {
			t.Errorf("%d: got data %v, control %v, want %v, %v", messageType, data, control, wantData, wantControl)
		}
	}
}

// What parses can be written again, and gives the same bytes: there is one
// encoding of each header.
func FuzzParseHeader(f *testing.F) {
	for _, tt := range headerTests {
		f.Add(unhex(f, tt.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := parseHeader(b)
		switch {
		case n < 0 || n > len(b) || n > maxHeaderSize || h.length < 0:
			t.Fatalf("got size %d of %d bytes, and length %d", n, len(b), h.length)
		case err != nil && n != 0:
			t.Fatalf("got size %d with the error %v", n, err)
		case err == nil && n == 0 && len(b) >= maxHeaderSize:
			t.Fatalf("found no header in %d bytes", len(b))
		case n > 0 && !bytes.Equal(h.append(nil), b[:n]):
			t.Fatalf("got % x for % x", h.append(nil), b[:n])
		}
	})
}

// What frame.append has encoded is what parseHeader and maskBytes read.
func TestFrameAppend(t *testing.T) {
	for _, payload := range []string{"", "Hello", strings.Repeat("a", 125), strings.Repeat("b", 126), strings.Repeat("c", 1<<16)} {
		for _, client := range []bool{false, true} {
			f := frame{fin: true, rsv1: true, opcode: opBinary, payload: []byte(payload)}
			p := f.append(make([]byte, 1, 1+f.size()), client)[1:]
			h, n, err := parseHeader(p)
			want := header{fin: true, rsv1: true, opcode: opBinary, masked: client, key: h.key, length: int64(len(payload))}
			if maskBytes(p[n:], h.key, 0); err != nil || h != want || string(p[n:]) != payload {
				t.Errorf("client %v, %d bytes: got %+v and %d bytes, %v, want %+v", client, len(payload), h, len(p)-n, err, want)
			}
			if string(f.payload) != payload {
				t.Error("the caller's payload was changed")
			}
		}
	}
	prepared := frame{payload: []byte("Hello"), encoded: []byte("encoded before")}
	if got := prepared.append(make([]byte, 0, prepared.size()), false); string(got) != "encoded before" {
		t.Errorf("a prepared frame: got %q, want its bytes", got)
	}
}
