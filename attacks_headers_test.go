//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// attackHeaders are headers that made parsers take quadratic or exponential time, each with about n bytes: lines of
// Sec-WebSocket-Extensions, or of fields that are named.
var attackHeaders = []struct {
	name   string
	lines  func(n int) []string
	server string // the reason for which a server refuses it, or ""
	client bool   // a client accepts it
}{
	{"spaces", func(n int) []string {
		return []string{"permessage-deflate" + strings.Repeat(" ", n/2) + ";" + strings.Repeat("\t", n/2) + "server_no_context_takeover"}
	}, "", true},
	{"commas", func(n int) []string { return []string{strings.Repeat(",", n)} }, "", true},
	{"commas and spaces", func(n int) []string { return []string{strings.Repeat(", \t", n/3) + "permessage-deflate"} }, "", true},
	{"backslashes", func(n int) []string { return []string{`a;b="` + strings.Repeat(`\`, n/2*2) + `"`} }, "a quoted value is not a token", false},
	{"backslashes, unclosed", func(n int) []string { return []string{`a;b="` + strings.Repeat(`\`, n)} }, "a quoted value does not end", false},
	{"escaped quotes, unclosed", func(n int) []string { return []string{`a;b="` + strings.Repeat(`\"`, n/2)} }, "a quoted value does not end", false},
	{"an unclosed quote", func(n int) []string { return []string{`a;b="` + strings.Repeat("c", n)} }, "a quoted value does not end", false},
	{"unclosed quotes on many lines", func(n int) []string { return slices.Repeat([]string{`a;b="`}, n/35) }, "a quoted value does not end", false},
	{"a long name", func(n int) []string { return []string{strings.Repeat("a", n)} }, "", false},
	{"many offers", func(n int) []string { return []string{strings.Repeat("permessage-deflate, ", n/20)} }, "more than 64 extensions and parameters", false},
	{"many parameters", func(n int) []string { return []string{"permessage-deflate" + strings.Repeat("; a=1", n/5)} }, "more than 64 extensions and parameters", false},
	{"many lines", func(n int) []string { return slices.Repeat([]string{"a"}, n/30) }, "more than 64 extensions and parameters", false},
	{"empty lines", func(n int) []string { return slices.Repeat([]string{""}, n/28) }, "", true},
	{"many headers", func(n int) []string { return append(slices.Repeat([]string{"X-A: b"}, n/30), "permessage-deflate") }, "", true},
}

// attackFields returns the lines as fields.
func attackFields(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		if !strings.Contains(line, ": ") {
			b.WriteString("Sec-WebSocket-Extensions: ")
		}
		b.WriteString(line + "\r\n")
	}
	return b.String()
}

// ws CVE-2021-32640 and CVE-2024-37890, websocket-extensions CVE-2020-7662 and 7663, tungstenite CVE-2023-43669: such
// headers in a request and in an answer, at once and one byte at a time. What is allocated grows with their size. The
// parser's own steps are the subject of TestAttackHeaderParsingIsLinear.
func TestAttackHandshakeHeaders(t *testing.T) {
	const n = 60_000 // so that an answer is below its limit
	// measure shakes hands with each of the headers in half the size and in full.
	measure := func(name string, lines func(n int) []string, shake func(fields string, chunk int)) {
		for _, chunk := range []int{1, 1 << 20} {
			var memory [2]uint64
			for i, n := range []int{n / 2, n} {
				fields := attackFields(lines(n)) + "\r\n"
				memory[i] = allocated(func() { shake(fields, chunk) })
				if most := uint64(16*len(fields)) + 64<<10; memory[i] > most && !raceEnabled {
					t.Errorf("%s: got %d bytes allocated for %d, want at most %d", name, memory[i], len(fields), most)
				}
			}
			if most := 5*memory[0]/2 + 32<<10; memory[1] > most && !raceEnabled {
				t.Errorf("%s: got %d bytes allocated, and %d for twice the size, want at most %d", name, memory[0], memory[1], most)
			}
		}
	}
	for _, tt := range attackHeaders {
		measure("server, "+tt.name, tt.lines, func(fields string, chunk int) {
			in := &piecesReader{strings.NewReader("GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + fields), chunk}
			r, err := http.ReadRequest(bufio.NewReader(in))
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			w, _, err := hsTryUpgrade(t, Upgrader{EnableCompression: true}, r)
			want := HandshakeError{"websocket: not a websocket handshake: 'Sec-WebSocket-Extensions' header: " + tt.server}
			if tt.server == "" && err != nil || tt.server != "" && (err != want || w.Code != http.StatusBadRequest) {
				t.Errorf("%s: got status %d and error %v from the server, want %q", tt.name, w.Code, err, tt.server)
			}
		})
		measure("client, "+tt.name, tt.lines, func(fields string, chunk int) {
			if err := attackDial(t, fields, chunk); tt.client && err != nil || !tt.client && err != ErrBadHandshake {
				t.Errorf("%s: got error %v from the client, want a connection: %t", tt.name, err, tt.client)
			}
		})
	}
}

// piecesReader reads at most chunk bytes at a time.
type piecesReader struct {
	in    io.Reader
	chunk int
}

func (r piecesReader) Read(p []byte) (int, error) { return r.in.Read(p[:min(len(p), r.chunk)]) }

// answeringConn answers the request that is written to it with 101 and the fields, which replace those of the
// handshake that have the name of the first.
type answeringConn struct {
	*pipeConn
	fields string
	answer piecesReader
}

func (c *answeringConn) Read(p []byte) (int, error) { return c.answer.Read(p) }

func (c *answeringConn) Write(p []byte) (int, error) {
	if c.answer.in == nil {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p)))
		if err != nil {
			return 0, err
		}
		head := "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + acceptKey(r.Header.Get("Sec-Websocket-Key")) + "\r\n"
		for _, field := range []string{"Upgrade: websocket\r\n", "Connection: Upgrade\r\n"} {
			if name, _, _ := strings.Cut(field, " "); !strings.HasPrefix(c.fields, name) {
				head += field
			}
		}
		c.answer.in = io.MultiReader(strings.NewReader(head), strings.NewReader(c.fields))
	}
	return len(p), nil
}

// attackDial dials a server that answers with the fields, in pieces of chunk bytes.
func attackDial(t *testing.T, fields string, chunk int) error {
	t.Helper()
	near, _ := newPipe(t, 1<<10)
	nc := &answeringConn{near, fields, piecesReader{chunk: chunk}}
	d := Dialer{EnableCompression: true, Subprotocols: []string{"chat"}, NetDial: func(string, string) (net.Conn, error) { return nc, nil }}
	c, _, err := d.Dial("ws://a.example/", nil)
	if c != nil {
		c.Close()
	}
	if !near.in.readClosed() {
		t.Errorf("got the network connection open with error %v, want it closed", err)
	}
	return err
}

// A list of a million elements: what the lists of a handshake allocate is no multiple of their size, in a request and
// in an answer, of which 64 KiB are read.
func TestAttackHeaderListsTakeNoMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	names := []string{"Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "Connection", "Upgrade"}
	for _, unit := range []string{"a,", "a;", "a;b=\"c\",", ",", " ", "permessage-deflate,", "a;b=\""} {
		list := func(size int) string {
			if strings.HasSuffix(unit, "\"") {
				return unit + strings.Repeat("c", size)
			}
			return strings.Repeat(unit, size/len(unit))
		}
		for _, name := range names {
			r, value := hsRequest(), list(1<<20)
			r.Header[name] = []string{value}
			if n := allocated(func() { hsTryUpgrade(t, Upgrader{EnableCompression: true}, r) }); n > 64<<10 {
				t.Errorf("%s: %.10s...: got %d bytes allocated by the server, want next to none", name, value, n)
			}
			fields := name + ": " + value + "\r\n\r\n"
			var err error
			if n := allocated(func() { err = attackDial(t, fields, 1<<20) }); n > 8*maxResponseHead {
				t.Errorf("%s: %.10s...: got %d bytes allocated by the client, want the order of 64 KiB", name, value, n)
			}
			if want := "websocket: the header of the response is longer than 65536 bytes"; err == nil || err.Error() != want {
				t.Errorf("%s: %.10s...: got error %v from the client, want %s", name, value, err, want)
			}
		}
	}
}

// Of what a list has, at most 64 elements are kept, by a server and by a client: one of more subprotocols, or extensions
// and parameters, is refused. In Connection and Upgrade a token is looked for, and nothing kept.
func TestAttackHeaderLists(t *testing.T) {
	for _, tt := range []struct {
		name, element, unit string
		bounded             bool
	}{
		{"Connection", "Upgrade", "a", false},
		{"Upgrade", "websocket", "a", false},
		{"Sec-Websocket-Protocol", "chat", "p%d", true},
		{"Sec-Websocket-Extensions", "permessage-deflate", "a", true},
		{"Sec-Websocket-Extensions", "permessage-deflate", "a; b", true},
	} {
		for _, first := range []bool{true, false} {
			for _, n := range []int{64, 65, 1000, 100_000} {
				var elements []string
				for i := 1; i < n; i++ {
					elements = append(elements, strings.ReplaceAll(tt.unit, "%d", strconv.Itoa(i)))
				}
				if tt.unit == "a; b" { // two elements each
					elements = elements[:n/2]
				}
				if first {
					elements = slices.Insert(elements, 0, tt.element)
				} else {
					elements = append(elements, tt.element)
				}
				value := strings.Join(elements, ", ")
				what := fmt.Sprintf("%s: %.30s... of %d", tt.name, value, n)
				r := hsRequest()
				r.Header[tt.name] = []string{value}
				w, far, err := hsTryUpgrade(t, Upgrader{EnableCompression: true, Subprotocols: []string{"chat"}}, r)
				want := http.StatusBadRequest
				if !tt.bounded || n == 64 && tt.unit != "a; b" {
					want = http.StatusOK // which the recorder has without an answer
				}
				if accepted := strings.HasPrefix(string(far.take()), "HTTP/1.1 101 "); w.Code != want || accepted != (err == nil) || accepted != (want == http.StatusOK) {
					t.Errorf("%s: got status %d and error %v from the server, want %d", what, w.Code, err, want)
				}
				// To a client nothing but Connection is a list.
				fields := tt.name + ": " + value + "\r\n\r\n"
				wantErr := ErrBadHandshake.Error()
				switch {
				case n == 100_000:
					wantErr = "websocket: the header of the response is longer than 65536 bytes"
				case tt.name == "Connection":
					wantErr = noError
				}
				if err := attackDial(t, fields, 1<<20); fmt.Sprint(err) != wantErr {
					t.Errorf("%s: got error %v from the client, want %s", what, err, wantErr)
				}
			}
		}
	}
}
