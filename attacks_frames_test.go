//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// CVE-2020-27813 and CVE-2020-13935: a length that overflows, alone or together with those of the fragments
// before, or is badly encoded. The connection fails on the header: it asks for nothing behind it.
func TestAttackBadLength(t *testing.T) {
	const top, long = "the most significant bit of the length 0x%x is set", "length %d is not encoded in the fewest bytes"
	tests := []struct {
		length string
		limit  int64
		want   error
		behind bool // a first fragment of three bytes only
	}{
		{"7f 8000000000000000", 0, protocolErrorf(top, uint64(1)<<63), false},
		{"7f 8000000000000003", 1<<63 - 1, protocolErrorf(top, uint64(1)<<63+3), false},
		{"7f fffffffffffffffd", -1, protocolErrorf(top, uint64(1<<64-3)), false},
		{"7f ffffffffffffffff", -1, protocolErrorf(top, uint64(1<<64-1)), false},
		{"7f 7fffffffffffffff", 0, ErrReadLimit, false},
		{"7f 7fffffffffffffff", 1 << 61, ErrReadLimit, false},
		{"7f 7fffffffffffffff", 1<<63 - 1, ErrReadLimit, true}, // with the fragment before, 2^63+2
		{"7f 7ffffffffffffffd", 1<<63 - 1, ErrReadLimit, true}, // 2^63, or one byte more than the limit
		{"7e 0000", 0, protocolErrorf(long, 0), false},
		{"7e 007d", 0, protocolErrorf(long, 125), false},
		{"7f 0000000000000000", 0, protocolErrorf(long, 0), false},
		{"7f 000000000000007d", 0, protocolErrorf(long, 125), false},
		{"7f 000000000000007e", 0, protocolErrorf(long, 126), false},
		{"7f 000000000000ffff", 0, protocolErrorf(long, 65535), false},
	}
	eachAttack(t, func(t *testing.T, a attack) {
		for _, tt := range tests {
			for _, behind := range []bool{false, true} {
				if tt.behind && !behind {
					continue
				}
				for _, m := range limited {
					if m.name == "ReadJSON" || m.name == "JoinMessages" {
						continue // they are built on the others
					}
					what := fmt.Sprintf("length %s, limit %d, behind a fragment %t, %s", tt.length, tt.limit, behind, m.name)
					wire := a.header(0x82, unhex(t, tt.length))
					if behind {
						wire = append(a.frame(0x02, "\x00\x03\x00"), a.header(0x80, unhex(t, tt.length))...)
					}
					w := newAttackTransport(bytes.NewReader(wire))
					limit := tt.limit
					if limit == 0 {
						limit = DefaultReadLimit
					}
					c := newConn(w, a.server, nil, a.options(t, connOptions{readLimit: limit}))
					_, err := m.read(c)
					w.wantFailed(t, what, c, err, tt.want)
					if w.reads > 3 {
						t.Errorf("%s: got %d reads, want the header's and its fragment's", what, w.reads)
					}
					c.Close()
				}
			}
		}
	})
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// CVE-2022-35922: a header announces 2^40 bytes, and few follow. Memory follows what has come.
func TestAttackAnnouncedLength(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory")
	}
	const constant = 48 << 10 // buffers, and an inflater
	length := unhex(t, "7f 0000010000000000")
	// A stored block of 64 KiB less one. The peer masks nothing, with the key 0.
	stored := append([]byte{0, 0xff, 0xff, 0, 0}, make([]byte, 1<<16-1)...)
	eachAttack(t, func(t *testing.T, a attack) {
		wire := a.header(0x82, length)
		var payload io.Reader = zeros{}
		if a.server {
			clear(wire[len(wire)-4:])
		}
		if a.compression != nil {
			blocks := make([]io.Reader, 100)
			for i := range blocks {
				blocks[i] = bytes.NewReader(stored)
			}
			payload = io.MultiReader(blocks...)
		}
		w := &attackTransport{in: bytes.NewReader(wire), end: os.ErrDeadlineExceeded}
		before := heapInUse()
		c := newConn(w, a.server, nil, a.options(t, connOptions{readLimit: -1}))
		peak, mark := uint64(0), 0
		check := func(times int) {
			came := max(0, w.bytes-len(wire))
			held := max(heapInUse(), before) - before
			if most := uint64(max(min(16*came, maxBufferSize), times*came) + constant); held > most {
				t.Errorf("after %d bytes: got %d bytes of heap, want at most %d", came, held, most)
			}
			peak = max(peak, held)
		}
		w.waits = func() { // within a read, which also has the memory that its own has grown from
			if w.bytes >= mark {
				check(5)
				mark = 4*w.bytes + 1
			}
		}
		for _, size := range []int64{0, 1, 1000, 3000, 100_000, 1 << 20} {
			w.in = io.MultiReader(w.in, io.LimitReader(payload, size))
			if messageType, p, err := c.ReadMessage(); messageType != noMessage || p != nil || !isTimeout(err) {
				t.Fatalf("got type %d, %d bytes, %v, want a timeout", messageType, len(p), err)
			}
			check(4)
		}
		if want := len(partialOf(c)); peak < uint64(want) || want < 1<<20 {
			t.Errorf("got a peak of %d bytes with %d bytes of the message, want them measured", peak, want)
		}
		c.Close()
		c = nil
		if after := heapInUse(); after > before+constant {
			t.Errorf("got %d bytes of heap behind the connection, want none", after-before)
		}
		runtime.KeepAlive(stored)
	})
}

// CVE-2026-19204: a frame of an unknown kind, however long it says it is, is refused at its second byte.
func TestAttackUnknownOpcode(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
			for _, m := range limited {
				wire := a.header(0x80|op, unhex(t, "7f 0000010000000000"))
				w := newAttackTransport(io.MultiReader(bytes.NewReader(wire[:2]), zeros{}))
				c := newConn(w, a.server, nil, a.options(t, connOptions{readLimit: -1}))
				_, err := m.read(c)
				w.wantFailed(t, fmt.Sprintf("opcode %d, %s", op, m.name), c, err, protocolErrorf("unknown opcode %d", op))
				if w.reads != 1 || w.bytes != 2 {
					t.Errorf("opcode %d, %s: got %d bytes in %d reads, want two bytes in one", op, m.name, w.bytes, w.reads)
				}
				c.Close()
			}
		}
	})
}

// repeated reads as the bytes of unit again and again, n times if that is not negative.
type repeated struct {
	unit []byte
	n    int
	at   int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) && r.n != 0 {
		m := copy(p[n:], r.unit[r.at:])
		n += m
		if r.at += m; r.at == len(r.unit) {
			r.at = 0
			r.n--
		}
	}
	if n == 0 && r.n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// ws 8.21.0, CVE-2026-42786, CVE-2014-0193: a message of fragments without end. It ends at the limit, which all
// fragments count for, or at the 1,001st that is empty, and no byte is read twice.
func TestAttackEndlessFragments(t *testing.T) {
	limit := 1 << 15
	if raceEnabled {
		limit = 1 << 11 // which takes long, and memory
	}
	discard := func(c *Conn) error {
		if _, _, err := c.NextReader(); err != nil {
			return err
		}
		return second3(c.NextReader())
	}
	eachAttack(t, func(t *testing.T, a attack) {
		one := a.frame(0x00, "a")
		if a.compression != nil {
			one = a.emptyBlock()
		}
		for _, tt := range []struct {
			name        string
			first, rest []byte
			fragments   int // that are read at most
			want        error
		}{
			{"of one byte", a.frame(0x02, ""), one, limit + limit/4 + 1025, ErrReadLimit},
			{"empty", a.frame(0x02, ""), a.frame(0x00, ""), 1001, errEmptyFragments},
			{"empty after a byte", a.frame(0x02, "\x00"), a.frame(0x00, ""), 1001, errEmptyFragments},
		} {
			for name, read := range map[string]func(c *Conn) error{
				"ReadMessage": func(c *Conn) error { return second3(c.ReadMessage()) },
				"discarding":  discard,
			} {
				what := tt.name + ", " + name
				w := newAttackTransport(io.MultiReader(bytes.NewReader(tt.first), &repeated{unit: tt.rest, n: -1}))
				c := newConn(w, a.server, nil, a.options(t, connOptions{readLimit: int64(limit)}))
				var err error
				memory := allocated(func() { err = read(c) })
				w.wantFailed(t, what, c, err, tt.want)
				if most := tt.fragments*len(a.frame(0x00, "a")) + maxBufferSize; w.bytes > most || w.reads > most/512 {
					t.Errorf("%s: got %d bytes in %d reads, want at most %d", what, w.bytes, w.reads, most)
				}
				if memory > 8*uint64(limit) && !raceEnabled {
					t.Errorf("%s: got %d bytes allocated, want the order of the limit of %d", what, memory, limit)
				}
				c.Close()
			}
		}
	})
}

// A million fragments of a byte take memory in proportion to their bytes, and each of these is read once.
func TestAttackMillionFragments(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		var memory [2]uint64
		for i, n := range []int{500_000, 1_000_000} {
			if raceEnabled {
				n /= 20 // it takes long
			}
			first, rest, last, want := a.frame(0x02, "a"), a.frame(0x00, "a"), a.frame(0x80, "a"), n+2
			if a.compression != nil {
				first, rest, last, want, n = a.frame(0x02, ""), a.emptyBlock(), a.frame(0x80, "\x00"), 0, n/20
			}
			w := newAttackTransport(io.MultiReader(bytes.NewReader(first), &repeated{unit: rest, n: n}, bytes.NewReader(last)))
			c := newConn(w, a.server, nil, a.options(t, connOptions{readLimit: -1}))
			memory[i] = allocated(func() {
				if _, p, err := c.ReadMessage(); len(p) != want || err != nil {
					t.Errorf("%d fragments: got %d bytes, %v, want %d", n, len(p), err, want)
				}
			})
			if total := len(first) + n*len(rest) + len(last); w.bytes != total || w.reads > total/512+10 {
				t.Errorf("%d fragments: got %d bytes in %d reads, want %d", n, w.bytes, w.reads, total)
			}
			c.Close()
		}
		if most := 3*memory[0] + 64<<10; memory[1] > most {
			t.Errorf("got %d bytes allocated, and %d for twice the fragments, want twice as many", memory[0], memory[1])
		}
	})
}

// CVE-2021-3859: control frames between the fragments of a message, at every position, change nothing of it.
func TestAttackControlFramesBetweenFragments(t *testing.T) {
	const message = "Hello, H\u00e9llo"
	eachAttack(t, func(t *testing.T, a attack) {
		payload := a.payload(message)
		fragment := func(i int) []byte {
			first := byte(0x00)
			if i == 0 {
				first = 0x01
			}
			if i == len(payload)-1 {
				first |= 0x80
			}
			return a.frame(first, payload[i:i+1])
		}
		ping, pong, bye := a.frame(0x89, "ping"), a.frame(0x8a, "pong"), a.frame(0x88, "\x03\xe8")
		for _, r := range receiveWays {
			for position := 0; position <= len(payload)+1; position++ {
				everywhere := position > len(payload)
				c, wire := a.pipe(t, connOptions{})
				var want []string
				for i := range len(payload) + 1 {
					if i == position || everywhere {
						wire.Write(slices.Concat(ping, pong, ping))
						want = append(want, "10 ping", "10 ping")
					}
					if i < len(payload) {
						wire.Write(fragment(i))
					}
				}
				wire.Write(bye)
				what := fmt.Sprintf("%s, position %d", r.name, position)
				if messageType, p, err := r.read(c); messageType != TextMessage || string(p) != message || err != nil {
					t.Errorf("%s: got type %d, %q, %v, want the message", what, messageType, p, err)
				}
				if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
					t.Errorf("%s: got %v behind the message, want close 1000", what, err)
				}
				want = append(want, "8 \x03\xe8")
				if got := describeFrames(t, wire.takeFrames(len(want))); got != strings.Join(want, "|") {
					t.Errorf("%s: got the frames %q, want %q", what, got, want)
				}
				c.Close()
			}

			// A Close frame ends the message wherever it stands.
			for position := range len(payload) {
				c, wire := a.pipe(t, connOptions{})
				for i := range position {
					wire.Write(fragment(i))
				}
				wire.Write(slices.Concat(bye, fragment(position)))
				_, p, err := r.read(c)
				if !IsCloseError(err, CloseNormalClosure) || !strings.HasPrefix(message, string(p)) {
					t.Errorf("%s, Close frame at %d: got %q, %v, want close 1000", r.name, position, p, err)
				}
				if got := describeFrames(t, wire.takeFrames(1)); got != "8 \x03\xe8" {
					t.Errorf("%s, Close frame at %d: got the frames %q, want its answer", r.name, position, got)
				}
				c.Close()
			}
		}
	})
}
