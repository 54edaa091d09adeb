//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// The tests named TestAttack show that what has broken other implementations does not break this one.
// CONFORMANCE.md lists them.

// attack is the connection that is attacked.
type attack struct {
	server      bool
	compression *CompressionOptions // nil without compression
}

// eachAttack runs f for a server and a client, without compression, with it, and with context takeover.
// What f has begun must have ended then.
func eachAttack(t *testing.T, f func(t *testing.T, a attack)) {
	bothSides(t, func(t *testing.T, server bool) {
		ways := map[string]*CompressionOptions{"plain": nil, "compressed": {}, "takeover": {ContextTakeover: true}}
		for name, o := range ways {
			goroutines, codecs := 0, codecsOnLoan.Load()
			for range 10 { // while others end it may miss some
				runtime.Gosched()
				goroutines = max(goroutines, runtime.NumGoroutine())
			}
			t.Run(name, func(t *testing.T) { f(t, attack{server, o}) })
			for start := time.Now(); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
				if time.Since(start) > patience {
					t.Fatalf("%s: got %d goroutines, want the %d of before", name, runtime.NumGoroutine(), goroutines)
				}
			}
			if n := codecsOnLoan.Load(); n != codecs {
				t.Errorf("%s: got %d codecs that were not returned, want none", name, n-codecs)
			}
		}
	})
}

// options returns o with what was agreed on.
func (a attack) options(t testing.TB, o connOptions) connOptions {
	if a.compression != nil {
		answer := negotiate(t, *a.compression, *a.compression)
		o.agreed.deflate, o.compression = &answer, *a.compression
	}
	return o
}

// pipe returns the connection over memory, and the peer's end.
func (a attack) pipe(t testing.TB, o connOptions) (*Conn, *pipeConn) {
	near, far := newPipe(t, 4<<20)
	c := newConn(near, a.server, nil, a.options(t, o))
	t.Cleanup(func() { c.Close() })
	return c, far
}

// frame returns a frame of the peer with the first byte. That of a message is marked as compressed if
// compression was agreed on.
func (a attack) frame(first byte, payload string) []byte {
	if op := opcode(first & 0x0f); a.compression != nil && (op == opText || op == opBinary) {
		first |= 0x40
	}
	return rawFrame(a.server, string([]byte{first})+payload)
}

// header returns the header of such a frame, with a length as it is on the wire: its first byte has no mask bit.
func (a attack) header(first byte, length []byte) []byte {
	b := append(a.frame(first, "")[:1], length...)
	if a.server {
		b[1] |= 0x80
		b = append(b, 1, 2, 3, 4)
	}
	return b
}

// payload returns the payload of a message, as it is on the wire without masking.
func (a attack) payload(message string) string {
	if a.compression == nil {
		return message
	}
	return string(deflateMessages(1, []byte(message))[0])
}

// byteFragment returns a fragment of one byte. With compression it returns an empty block of DEFLATE in such
// fragments: a message of these becomes no longer, so only the limit of what is compressed ends it.
func (a attack) byteFragment() (b []byte) {
	if a.compression == nil {
		return a.frame(0x00, "a")
	}
	for _, c := range []byte("\x00\x00\x00\xff\xff") {
		b = append(b, a.frame(0x00, string([]byte{c}))...)
	}
	return b
}

// allocated returns the bytes that f allocates, and so no less than the memory that it needs at any time.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// attackTransport is a transport whose peer sends what in has, and then nothing more: a read returns end.
type attackTransport struct {
	*pipeConn
	in           io.Reader
	end          error
	bytes, reads int    // that there were
	waits        func() // called before each read, unless it is nil
}

func (w *attackTransport) Read(p []byte) (int, error) {
	if w.waits != nil {
		w.waits()
	}
	n, err := w.in.Read(p)
	w.reads++
	w.bytes += n
	if err == io.EOF {
		err = w.end
	}
	return n, err
}

// attackStream is what a peer sends, and what is to come of it.
type attackStream struct {
	name   string
	wire   []byte
	limit  int64
	want   error // unless a message of so many bytes comes
	length int
	// At most.
	bytes, reads int
	memory       uint64
}

const attackMemory = 256 << 10 // no less than buffers and codecs take where the pools have none

// play reads the stream in a way. What fails the connection does so for good, and is answered with a Close frame,
// which has the code and the reason, and with nothing else. It returns the memory that has been allocated.
func (s attackStream) play(t testing.TB, a attack, way string, read func(c *Conn) (int, error)) (memory uint64) {
	t.Helper()
	near, far := newPipe(t, 1<<10)
	w := &attackTransport{pipeConn: near, in: bytes.NewReader(s.wire), end: errScriptExhausted}
	c := newConn(w, a.server, nil, a.options(t, connOptions{readLimit: s.limit}))
	defer c.Close()
	var n int
	var err error
	memory = allocated(func() { n, err = read(c) })
	same := fmt.Sprint(err) == fmt.Sprint(s.want) && (err == ErrReadLimit) == (s.want == ErrReadLimit)
	if !same || err == nil && n != s.length {
		t.Errorf("%s, %s: got %d bytes, %v, want %d, %v", s.name, way, n, err, s.length, s.want)
		return memory
	}
	if w.bytes > s.bytes || w.reads > s.reads || memory > s.memory && !raceEnabled {
		t.Errorf("%s, %s: got %d bytes in %d reads, and %d allocated, want at most %d in %d, and %d",
			s.name, way, w.bytes, w.reads, memory, s.bytes, s.reads, s.memory)
	}
	if err == nil {
		return memory
	}
	if _, _, again := c.ReadMessage(); again != err {
		t.Errorf("%s, %s: got error %v of the next read, want the same", s.name, way, again)
	}
	code, reason := closeCodeFor(s.want)
	frame, rest := cutFrame(far.takeFrames(1))
	if want := "8 " + string(FormatCloseMessage(code, reason)); frame != want || len(rest) > 0 {
		t.Errorf("%s, %s: got frame %q and %d bytes, want %q alone", s.name, way, frame, len(rest), want)
	}
	c.wantNothingSent(t, far, "the connection has failed")
	return memory
}

// fails plays the stream in all ways.
func (s attackStream) fails(t testing.TB, a attack) {
	t.Helper()
	for _, m := range limited {
		s.play(t, a, m.name, m.read)
	}
}

// CVE-2020-27813 and CVE-2020-13935: a length that overflows, alone or together with those of the fragments
// before, or is badly encoded. The connection fails on the header: it asks for nothing behind it.
// testdata/wire/length-encoding.txt has more of them, without compression.
func TestAttackBadLength(t *testing.T) {
	const top, long = "the most significant bit of the length 0x%x is set", "length %d is not encoded in the fewest bytes"
	eachAttack(t, func(t *testing.T, a attack) {
		for _, tt := range []struct {
			length string
			limit  int64
			want   error
			behind bool // a first fragment of three bytes only
		}{
			{"7f 8000000000000003", 1<<63 - 1, protocolErrorf(top, uint64(1)<<63+3), false},
			{"7f fffffffffffffffd", -1, protocolErrorf(top, uint64(1<<64-3)), false},
			{"7f 7fffffffffffffff", 0, ErrReadLimit, false},
			{"7f 7fffffffffffffff", 1 << 61, ErrReadLimit, false},
			{"7f 7fffffffffffffff", 1<<63 - 1, ErrReadLimit, true}, // with the fragment before, 2^63+2
			{"7f 7ffffffffffffffd", 1<<63 - 1, ErrReadLimit, true}, // 2^63, or one byte more than the limit
			{"7e 007d", 0, protocolErrorf(long, 125), false},
			{"7f 000000000000ffff", 0, protocolErrorf(long, 65535), false},
		} {
			s := attackStream{name: "length " + tt.length, limit: tt.limit, want: tt.want}
			s.bytes, s.reads, s.memory = 30, 3, attackMemory
			if !tt.behind {
				s.wire = a.header(0x82, unhex(t, tt.length))
				s.fails(t, a)
			}
			s.name += " behind a fragment"
			s.wire = append(a.frame(0x02, "\x00\x03\x00"), a.header(0x80, unhex(t, tt.length))...)
			s.fails(t, a)
		}
	})
}

// CVE-2022-35922: a header announces 2^40 bytes, and few follow. Memory follows what has come.
func TestAttackAnnouncedLength(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory")
	}
	const constant = 48 << 10 // buffers, and an inflater
	zeros := make([]byte, 2<<20)
	peak := uint64(0) // of all, since what tests before have left may be freed meanwhile
	block := append([]byte{0, 0xff, 0xff, 0, 0}, zeros[:1<<16-1]...)
	stored := bytes.Repeat(block, 32)
	eachAttack(t, func(t *testing.T, a attack) {
		header := a.header(0x82, unhex(t, "7f 0000010000000000"))
		payload := bytes.NewReader(zeros)
		if a.compression != nil {
			payload.Reset(stored)
		}
		if a.server {
			clear(header[len(header)-4:]) // the key 0, which masks nothing
		}
		in := []io.Reader{bytes.NewReader(header)}
		for size := int64(1); size <= 1<<20; size *= 4 {
			in = append(in, io.LimitReader(payload, size))
		}
		near, _ := newPipe(t, 1)
		w := &attackTransport{pipeConn: near, in: io.MultiReader(in...), end: os.ErrDeadlineExceeded}
		before := heapInUse()
		c := newConn(w, a.server, nil, a.options(t, connOptions{readLimit: -1}))
		mark := 0
		check := func(times int) {
			came := max(0, w.bytes-len(header))
			most := uint64(max(min(16*came, maxBufferSize), times*came) + constant)
			held := max(heapInUse(), before) - before
			for tries := 0; held > most && tries < 5; tries++ { // others have what they will give back
				runtime.Gosched()
				held = max(heapInUse(), before) - before
			}
			if held > most {
				t.Errorf("after %d bytes: got %d bytes of heap, want at most %d", came, held, most)
			}
			peak = max(peak, held)
		}
		w.waits = func() { // within the read, which also has the memory that its own has grown from
			if w.bytes >= mark {
				check(5)
				mark = 3*w.bytes + 1
			}
		}
		if messageType, p, err := c.ReadMessage(); messageType != noMessage || p != nil || !isTimeout(err) {
			t.Fatalf("got type %d, %d bytes, %v, want a timeout", messageType, len(p), err)
		}
		check(4)
		if n := len(partialOf(c)); n < 1<<20 {
			t.Errorf("got %d bytes of the message, want those that have come", n)
		}
		c.Close()
		c = nil
		if after := heapInUse(); after > before+constant {
			t.Errorf("got %d bytes of heap behind the connection, want none", after-before)
		}
	})
	runtime.KeepAlive(zeros)
	runtime.KeepAlive(stored)
	if peak < 1<<20 {
		t.Errorf("got a peak of %d bytes of heap, want a message measured", peak)
	}
}

// ws 8.21.0, CVE-2026-42786, CVE-2014-0193: a message of fragments without end. It ends at the limit, which all
// fragments count for, or at the 1,001st that is empty, and no byte is read twice.
func TestAttackEndlessFragments(t *testing.T) {
	limit := unlessRace(1<<15, 1<<10)
	eachAttack(t, func(t *testing.T, a attack) {
		for _, tt := range []struct {
			name        string
			first, rest []byte
			fragments   int // that are read at most
			want        error
		}{
			{"of one byte", a.frame(0x02, ""), a.byteFragment(), limit + limit/4 + 1025, ErrReadLimit},
			{"empty", a.frame(0x02, ""), a.frame(0x00, ""), 1001, errEmptyFragments},
			{"empty after a byte", a.frame(0x02, "\x00"), a.frame(0x00, ""), 1001, errEmptyFragments},
		} {
			most := tt.fragments*len(a.frame(0x00, "a")) + maxBufferSize // and no end is seen, which is as far again
			attackStream{
				name:  tt.name,
				wire:  append(tt.first, bytes.Repeat(tt.rest, 2*most/len(tt.rest))...),
				limit: int64(limit),
				want:  tt.want,
				bytes: most, reads: most / 512, memory: 8 * uint64(limit), // the order of the limit
			}.fails(t, a)
		}
	})
}

// A million fragments of a byte take memory in proportion to their bytes, and each of these is read once.
func TestAttackMillionFragments(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		play := func(n int) uint64 {
			first, last, message := a.frame(0x02, "a"), a.frame(0x80, "a"), n+2
			if a.compression != nil {
				n /= 20 // an empty block is of five fragments, and takes long
				first, last, message = a.frame(0x02, ""), a.frame(0x80, "\x00"), 0
			}
			wire := slices.Concat(first, bytes.Repeat(a.byteFragment(), n), last)
			s := attackStream{name: fmt.Sprint(n, " fragments"), wire: wire, limit: -1, length: message}
			s.bytes, s.reads, s.memory = len(wire), len(wire)/512+10, 1<<30
			return s.play(t, a, limited[0].name, limited[0].read)
		}
		n := 500_000
		if raceEnabled {
			n /= 20 // it takes long
		}
		memory := play(n)
		if again := play(2 * n); again > 3*memory+attackMemory {
			t.Errorf("got %d bytes allocated, and %d for twice the fragments, want twice as many", memory, again)
		}
	})
}

// CVE-2021-3859: control frames between all fragments of a message, and around them, change nothing of it.
func TestAttackControlFramesBetweenFragments(t *testing.T) {
	const message = "Hello, H\u00e9llo"
	eachAttack(t, func(t *testing.T, a attack) {
		payload := a.payload(message)
		var fragments [][]byte
		for i := range len(payload) {
			fragments = append(fragments, a.frame(0x00, payload[i:i+1]))
		}
		fragments[0] = a.frame(0x01, payload[:1])
		fragments[len(payload)-1] = a.frame(0x80, payload[len(payload)-1:])
		control := slices.Concat(a.frame(0x89, "ping"), a.frame(0x8a, "pong"), a.frame(0x89, "ping"))
		wire := slices.Concat(control, bytes.Join(fragments, control), control, a.frame(0x88, "\x03\xe8"))
		pings := 2 * (len(fragments) + 1)
		want := strings.Repeat("10 ping|", pings) + "8 \x03\xe8"
		for _, r := range receiveWays {
			c, far := a.pipe(t, connOptions{})
			far.Write(wire)
			if messageType, p, err := r.read(c); messageType != TextMessage || string(p) != message || err != nil {
				t.Errorf("%s: got type %d, %q, %v, want the message", r.name, messageType, p, err)
			}
			if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseNormalClosure) {
				t.Errorf("%s: got %v behind the message, want close 1000", r.name, err)
			}
			if got := describeFrames(t, far.takeFrames(pings+1)); got != want {
				t.Errorf("%s: got the frames %q, want %q", r.name, got, want)
			}
			c.Close()
		}
	})
}

// nhooyr 1.8.7: pongs that are unsolicited, guessed, cut, or come twice answer nothing, and the reading goes on.
func TestAttackPongs(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		a.pingTest(t, func(tc *pingScript) {
			tc.pong("unsolicited")
			tc.pong("")
			p := tc.ping(tc.Context())
			guess := "0123456789abcdef"
			for _, payload := range []string{"", p.payload[:15], p.payload + "x", guess, guess, strings.Repeat("x", 125)} {
				tc.pong(payload)
			}
			tc.want("none of them answers it", p, false, 0)
			tc.wire.Write(bytes.Repeat(a.frame(0x8a, p.payload), 3)) // before its goroutine runs
			tc.want("its pong is here", p, true, 0)
			tc.pong(p.payload)
			later := tc.ping(tc.Context())
			tc.pong(p.payload)
			tc.want("that was the pong of an earlier one", later, false, 0)
			tc.pong(later.payload)
			tc.want("its pong is here", later, true, 0)
			tc.pong(later.payload)
			if len(tc.pongs) != 15 {
				tc.Errorf("got %d pongs in the handler, want all 15", len(tc.pongs))
			}
			tc.wire.Write(a.frame(0x89, "alive"))
			synctest.Wait()
			if got := describeFrames(tc, tc.wire.take()); got != "10 alive" {
				tc.Errorf("got the frames %q, want that the reading goes on, and no other", got)
			}
		})
	})
}

// Buffers go from connection to connection, and what was in them does not: neither is it sent, nor does it lie
// behind a message that the program gets. When one is given back, it is overwritten with 0xdb here.
func TestAttackNoBufferReachesAnotherConnection(t *testing.T) {
	secret := bytes.Repeat([]byte("the secret of a connection, of which no other has a byte"), 200)
	old := func(b []byte) bool {
		return bytes.Contains(b, secret[:8]) || bytes.Contains(b, []byte("\xdb\xdb\xdb\xdb"))
	}
	eachAttack(t, func(t *testing.T, a attack) {
		for _, size := range []int{0, 1, 125, 126, 1000, 5000, 70_000} {
			if raceEnabled && size != 1 && size != 5000 {
				continue // it takes long
			}
			message := textLike(size, 1)
			for i, w := range sendWays {
				r := receiveWays[i%len(receiveWays)]
				c, wire := a.pipe(t, connOptions{})
				w.write(c, TextMessage, secret)
				wire.Write(a.frame(0x81, a.payload(string(secret))))
				if _, p, err := r.read(c); !bytes.Equal(p, secret) || err != nil {
					t.Fatal(err)
				}
				c.Close()

				c, wire = a.pipe(t, connOptions{})
				if err := w.write(c, TextMessage, message); err != nil {
					t.Fatal(err)
				}
				if list := wantSent(t, wire, &strictInflater{bits: 15}, message); old(list[0].payload) {
					t.Errorf("%s, %d bytes: got old bytes sent", w.name, size)
				}
				wire.Write(a.frame(0x81, a.payload(string(message))))
				if _, p, err := r.read(c); !bytes.Equal(p, message) || err != nil || old(p[:cap(p)]) {
					t.Errorf("%s: got %d of %d bytes, %v, want the message of %d and nothing old behind it",
						r.name, len(p), cap(p), err, size)
				}
				c.Close()
			}
		}
	})
}

// attackOffers checks what a server with compression makes of the lines of offers: the extension that it answers
// with, "" for none, or "400" where it refuses them.
func attackOffers(t *testing.T, o CompressionOptions, want string, lines ...string) {
	t.Helper()
	r := sampleRequest()
	r.Header["Sec-Websocket-Extensions"] = lines
	w, far, err := tryUpgrade(t, Upgrader{EnableCompression: true, Compression: o}, r)
	sent := string(far.take())
	got := strings.TrimPrefix(strings.Join(fieldLines(sent, "Sec-WebSocket-Extensions"), "\n"), "Sec-WebSocket-Extensions: ")
	if err != nil && sent == "" {
		got = fmt.Sprint(w.Code)
	}
	if got != want || (err != nil) != (want == "400") {
		t.Errorf("%.80q: got %q and error %v from the server, want %q", lines, got, err, want)
	}
}

// attackAnswer checks that a client with compression fails the handshake if these are the lines of the answer.
func attackAnswer(t *testing.T, o CompressionOptions, lines ...string) {
	t.Helper()
	if _, _, err := dialExtensions(t, Dialer{EnableCompression: true, Compression: o}, lines); err != ErrBadHandshake {
		t.Errorf("%.80q: got error %v from the client, want %v", lines, err, ErrBadHandshake)
	}
}

const attackFlags = "; server_no_context_takeover; client_no_context_takeover"

// CVE-2026-2229: the bits of a window, and all other parameters, that are out of range, not in decimal, there
// twice, without a value or with one. The client fails the handshake. The server declines the offer, and looks
// at the next (RFC 7692, 7.1 and 5.1); what is no list of extensions it refuses.
func TestAttackWindowBits(t *testing.T) {
	const deflate, next = "permessage-deflate", "permessage-deflate; server_max_window_bits=11"
	large := CompressionOptions{ContextTakeover: true, WindowBits: 15, PeerWindowBits: 14}
	for _, o := range []CompressionOptions{{}, {ContextTakeover: true}, large} {
		nextAnswer := next
		if !o.ContextTakeover {
			nextAnswer = deflate + attackFlags + "; server_max_window_bits=11"
		}
		for _, bad := range badParameters {
			line := deflate + "; " + bad
			attackAnswer(t, o, line)
			attackOffers(t, o, "", line)
			attackOffers(t, o, nextAnswer, line+", "+next)
			attackOffers(t, o, nextAnswer, line, next)
			attackOffers(t, o, deflate+attackFlags, deflate+attackFlags, line)
		}
		attackAnswer(t, o, deflate+"; client_max_window_bits") // an offer may have it without a value
		for _, name := range []string{"server_max_window_bits", "client_max_window_bits"} {
			for _, malformed := range []string{`=""`, `="8 "`, `="8`, "=", "=; x", "=8 9", "==8"} {
				line := deflate + "; " + name + malformed
				attackAnswer(t, o, line)
				attackOffers(t, o, "400", line)
				attackOffers(t, o, "400", deflate, line)
			}
		}
	}
}

// ws 3.3.1: names that mean something in other places mean nothing here, as an extension or as a parameter, once,
// twice, or with a quoted value.
func TestAttackExtensionNames(t *testing.T) {
	const deflate = "permessage-deflate"
	var o CompressionOptions
	names := strings.Fields("__proto__ constructor prototype hasOwnProperty toString valueOf __defineGetter__ length " +
		"null undefined true 0 -1 NaN nil self __class__ %s %n $where .. * ! | ~ ^ ` ' '' # & + " +
		"PERMESSAGE-DEFLATE permessage-deflate- x-permessage-deflate Permessage-Deflate " + strings.Repeat("a", 10_000))
	for _, name := range names {
		twice := name + "; " + name
		for _, line := range []string{name, twice, twice + "=" + name, name + `; a="1"; a="\2"; a`, name + ", " + name} {
			attackOffers(t, o, "", line)
			attackOffers(t, o, deflate+attackFlags, line, deflate)
			attackAnswer(t, o, line)
			attackAnswer(t, o, line, deflate)
			attackAnswer(t, o, deflate, line)
		}
		for _, param := range []string{name, name + "=1", name + `="1"`, twice, "server_no_context_takeover; " + name} {
			attackOffers(t, o, "", deflate+"; "+param)
			attackAnswer(t, o, deflate+"; "+param)
		}
	}
	// A quoted value is the token in it, and may have backslashes.
	const quoted = deflate + `; server_max_window_bits="1\2"; client_max_window_bits="1\1"`
	attackOffers(t, o, deflate+attackFlags+"; server_max_window_bits=12; client_max_window_bits=11", quoted)
	o.WindowBits = 15
	c, _, err := dialExtensions(t, Dialer{EnableCompression: true, Compression: o}, []string{quoted})
	if err != nil {
		t.Fatalf("%s: got error %v from the client, want a connection", quoted, err)
	}
	if got := c.CompressionState(); got.SendWindowBits != 11 || got.ReceiveWindowBits != 12 {
		t.Errorf("%s: got %+v of the client, want windows of 11 and 12 bits", quoted, got)
	}
}

// Request smuggling: what a server has sent together with a refusal is not read at all, and so not taken for frames,
// which would be answered. What a client has sent together with a request that is refused is the subject of
// TestHandshakeCases.
func TestAttackFramesBehindARefusal(t *testing.T) {
	const head, upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n", "Upgrade: websocket\r\n"
	const another = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	for name, answer := range map[string]string{
		"200":                            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"400 with a body":                "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
		"101 without Upgrade":            head + "{accept}\r\n",
		"101 with another accept":        head + upgrade + another + "\r\n",
		"101 with what was not asked of": head + upgrade + "{accept}Sec-WebSocket-Protocol: x\r\n\r\n",
		"101 with an extension":          head + upgrade + "{accept}Sec-WebSocket-Extensions: foo\r\n\r\n",
	} {
		near, far := newPipe(t, 1<<20)
		request := answerHandshake(far, func(key string) string {
			accept := "Sec-WebSocket-Accept: " + acceptKey(key) + "\r\n"
			return strings.ReplaceAll(answer, "{accept}", accept) + helloFrame + "\x89\x04ping" + normalCloseFrame
		})
		d := Dialer{EnableCompression: true, NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		c, resp, err := d.Dial("ws://a.example/", nil)
		if c != nil || resp == nil || err != ErrBadHandshake || !near.in.readClosed() {
			t.Errorf("%s: got %v and error %v, want %v and the network connection closed", name, c, err, ErrBadHandshake)
		}
		request()
		if rest := far.take(); len(rest) > 0 {
			t.Errorf("%s: got %q sent behind the request, want nothing", name, rest)
		}
	}
}

// answeringConn answers the request that is written to it.
type answeringConn struct {
	*pipeConn
	answer func(request string) io.Reader
	in     io.Reader
}

func (c *answeringConn) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c *answeringConn) Write(p []byte) (int, error) {
	if c.in == nil {
		c.in = c.answer(string(p))
	}
	return len(p), nil
}

// attackFields has a server get a request with the fields, and a client an answer, in pieces. They replace those of
// the handshake that have the name of the first. It returns the errors, and what server and client allocate.
func attackFields(t *testing.T, fields string, in pieces) (memory [2]uint64, server, client error) {
	t.Helper()
	for _, field := range []string{"Upgrade: websocket\r\n", "Connection: Upgrade\r\n"} {
		if name, _, _ := strings.Cut(field, " "); !strings.HasPrefix(fields, name) {
			fields = field + fields
		}
	}
	with := func(head string) io.Reader {
		return in(io.MultiReader(strings.NewReader(head), strings.NewReader(fields)))
	}
	r, err := http.ReadRequest(bufio.NewReader(with("GET / HTTP/1.1\r\nHost: a.example\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	u := Upgrader{EnableCompression: true, Subprotocols: []string{"chat"}}
	memory[0] = allocated(func() { _, _, server = tryUpgrade(t, u, r) })

	near, _ := newPipe(t, 1<<10)
	nc := &answeringConn{pipeConn: near, answer: func(request string) io.Reader {
		key := strings.TrimPrefix(fieldLines(request, "Sec-WebSocket-Key")[0], "Sec-WebSocket-Key: ")
		return with("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + acceptKey(key) + "\r\n")
	}}
	d := Dialer{EnableCompression: true, Subprotocols: u.Subprotocols}
	d.NetDial = func(string, string) (net.Conn, error) { return nc, nil }
	memory[1] = allocated(func() {
		c, _, err := d.Dial("ws://a.example/", nil)
		if client = err; c != nil {
			c.Close()
		}
	})
	if !near.in.readClosed() {
		t.Errorf("got the network connection open with error %v, want it closed", client)
	}
	return memory, server, client
}

// pieces is a way in which bytes come.
type pieces func(io.Reader) io.Reader

func atOnce(r io.Reader) io.Reader { return r }

// ws CVE-2021-32640 and CVE-2024-37890, websocket-extensions CVE-2020-7662 and 7663, tungstenite CVE-2023-43669:
// headers that made parsers take quadratic or exponential time, in a request and in an answer, at once and one byte at
// a time. What is allocated is in proportion to their size. The parser's own steps are the subject of
// TestAttackHeaderParsingIsLinear.
func TestAttackHandshakeHeaders(t *testing.T) {
	const size = 60_000 // so that an answer is below its limit
	const field, quote = "Sec-WebSocket-Extensions: ", `Sec-WebSocket-Extensions: a;b="`
	const token, open = "a quoted value is not a token", "a quoted value does not end"
	const many = "more than 64 extensions and parameters"
	const prefix = "websocket: not a websocket handshake: 'Sec-WebSocket-Extensions' header: "
	for _, tt := range []struct {
		name, begin, unit, end string // of which the unit is repeated
		refused                string // why a server refuses it, or ""
		client                 bool   // a client accepts it
	}{
		{"spaces", field + "permessage-deflate", " \t", ";server_no_context_takeover", "", true},
		{"commas", field, ",", "", "", true},
		{"commas and spaces", field, ", \t", "permessage-deflate", "", true},
		{"backslashes", quote, `\\`, `"`, token, false},
		{"backslashes, unclosed", quote, `\`, "", open, false},
		{"escaped quotes, unclosed", quote, `\"`, "", open, false},
		{"an unclosed quote", quote, "c", "", open, false},
		{"unclosed quotes on many lines", "", quote + "\r\n", quote, open, false},
		{"a long name", field, "a", "", "", false},
		{"many offers", field, "permessage-deflate, ", "", many, false},
		{"many parameters", field + "permessage-deflate", "; a=1", "", many, false},
		{"many lines", "", field + "a\r\n", field, many, false},
		{"empty lines", "", field + "\r\n", field, "", true},
		{"many headers", "", "X-A: 34567890123456789012345\r\n", field + "permessage-deflate", "", true},
	} {
		fields := tt.begin + strings.Repeat(tt.unit, size/len(tt.unit)) + tt.end + "\r\n\r\n"
		var wantServer, wantClient error
		if tt.refused != "" {
			wantServer = HandshakeError{prefix + tt.refused}
		}
		if !tt.client {
			wantClient = ErrBadHandshake
		}
		for _, in := range []pieces{atOnce, iotest.OneByteReader} {
			memory, server, client := attackFields(t, fields, in)
			if server != wantServer || client != wantClient {
				t.Errorf("%s: got errors %v and %v, want %v and %v", tt.name, server, client, wantServer, wantClient)
			}
			if (memory[0] > uint64(2*len(fields))+64<<10 || memory[1] > uint64(16*len(fields))+64<<10) && !raceEnabled {
				t.Errorf("%s: got %d bytes allocated, want at most 2 times %d, and 16 times", tt.name, memory, len(fields))
			}
		}
	}
}

const errLongResponse = "websocket: the header of the response is longer than 65536 bytes"

// Of what a list has, at most 64 elements are kept, by a server and by a client: one of more subprotocols, or
// extensions and parameters, is refused. In Connection and Upgrade a token is looked for, and nothing kept. What a
// server allocates for a list is no multiple of its size, and a client reads 64 KiB of an answer.
func TestAttackHeaderLists(t *testing.T) {
	for _, tt := range []struct {
		name, element, others string
		each                  int // elements of each other; 0 if nothing is kept
	}{
		{"Connection", "Upgrade", "a%d", 0},
		{"Upgrade", "websocket", "a%d", 0},
		{"Sec-Websocket-Protocol", "chat", "p%d", 1},
		{"Sec-Websocket-Extensions", "permessage-deflate", "a%d", 1},
		{"Sec-Websocket-Extensions", "permessage-deflate", "a%d; b", 2},
		{"Sec-Websocket-Extensions", "permessage-deflate", `a%d; b="c"`, 2},
	} {
		for _, n := range []int{64, 65, 1000, 100_000} {
			if n == 100_000 && raceEnabled {
				continue // it takes long, and memory
			}
			var others []string
			for i := range (n - 1) / max(1, tt.each) {
				others = append(others, fmt.Sprintf(tt.others, i))
			}
			wantClient := ErrBadHandshake.Error() // to which nothing but Connection is a list
			if n == 100_000 {
				wantClient = errLongResponse
			} else if tt.name == "Connection" {
				wantClient = noError
			}
			for _, at := range []int{0, len(others)} {
				value := strings.Join(slices.Insert(slices.Clone(others), at, tt.element), ", ")
				memory, server, client := attackFields(t, tt.name+": "+value+"\r\n\r\n", atOnce)
				if n == 100_000 && (memory[0] > 64<<10 || memory[1] > 8*maxResponseHead) {
					t.Errorf("%s: got %d bytes allocated, want next to none, and the order of 64 KiB", tt.name, memory)
				}
				if accepted := tt.each == 0 || n <= 64; (server == nil) != accepted || fmt.Sprint(client) != wantClient {
					t.Errorf("%s: %.30s... of %d: got errors %v and %v, want a server that accepts it: %t, and a client with %s",
						tt.name, value, n, server, client, accepted, wantClient)
				}
			}
		}
	}
}
