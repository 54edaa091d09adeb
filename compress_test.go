//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// negotiate returns the answer of a server to a client, by way of their headers.
func negotiate(t testing.TB, server, client CompressionOptions) deflateParams {
	t.Helper()
	offers, err := parseExtensions([]string{client.offers()})
	if err != nil {
		t.Fatal(err)
	}
	answer, ok := server.answerOffers(offers)
	if !ok {
		t.Fatalf("got no answer to %v", offers)
	}
	wantAccepted(t, answer)
	return answer
}

// compressedPair returns the ends of a connection in memory whose sides have negotiated
// compression with the options.
func compressedPair(t testing.TB, server, client CompressionOptions) (s, c *Conn) {
	t.Helper()
	near, far := newPipe(t, 1<<20)
	answer := negotiate(t, server, client)
	s = newConn(near, true, nil, connOptions{agreed: agreement{deflate: &answer}, compression: server})
	c = newConn(far, false, nil, connOptions{agreed: agreement{deflate: &answer}, compression: client})
	return s, c
}

// compressedOptions are those of a connection that has negotiated compression with a peer of the same options.
func compressedOptions(t testing.TB, o CompressionOptions) connOptions {
	t.Helper()
	answer := negotiate(t, o, o)
	return connOptions{agreed: agreement{deflate: &answer}, compression: o}
}

// newCompressedConn returns such a connection, and the other end of its transport.
func newCompressedConn(t testing.TB, server bool, o CompressionOptions) (*Conn, *pipeConn) {
	t.Helper()
	near, far := newPipe(t, 4<<20)
	return newConn(near, server, nil, compressedOptions(t, o)), far
}

// textLike returns n bytes that compress well, but not to nothing, and differ with the seed.
func textLike(n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	words := []string{"frame", "message", "masking key", "payload", "window", "the", "of", "connection", "\n"}
	b := make([]byte, 0, n+20)
	for len(b) < n {
		b = append(b, words[random.IntN(len(words))]+" "...)
		b = append(strconv.AppendInt(b, int64(random.IntN(100)), 16), ' ')
	}
	return b[:n]
}

// eachWindow runs f for each size of the window, with and without context takeover. Under the race detector and
// in emulators, where all takes ten times as long, some sizes are enough.
func eachWindow(f func(o CompressionOptions)) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		if (raceEnabled || testing.Short()) && bits != 8 && bits != 12 && bits != 15 {
			continue
		}
		f(CompressionOptions{WindowBits: bits, PeerWindowBits: bits})
		f(CompressionOptions{WindowBits: bits, PeerWindowBits: bits, ContextTakeover: true})
	}
}

// sentMessage is a data message as it has left.
type sentMessage struct {
	compressed bool // RSV1 of its first frame
	payload    []byte
	fragments  int
}

// wantSent takes the data messages off the wire, decoded by the decoder where they are compressed, and says which
// they are. It returns them as they were on the wire. The only frame that may have RSV1 is the first of one: "An
// endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first fragments of a data message"
// (RFC 7692, 6).
func wantSent(t testing.TB, wire *pipeConn, s *strictInflater, want ...[]byte) (list []sentMessage) {
	t.Helper()
	open := false
	eachFrame(t, wire.take(), func(h header, payload []byte) {
		if broken := brokenRule([2]byte(h.append(nil)), h.masked, open, true); broken != "" || int(h.length) > len(payload) {
			t.Fatalf("got %d of %d bytes of a frame that breaks the rule: %s", len(payload), h.length, broken)
		}
		if h.opcode.isControl() {
			return
		}
		if !open {
			list = append(list, sentMessage{compressed: h.rsv1})
		}
		m := &list[len(list)-1]
		m.payload = append(m.payload, payload...)
		m.fragments++
		open = !h.fin
	})
	if len(list) != len(want) || open {
		t.Fatalf("got %d messages, the last open: %v, want %d", len(list), open, len(want))
	}
	for i, m := range list {
		got, err := m.payload, error(nil)
		if m.compressed {
			got, err = s.message(m.payload)
		}
		if err != nil || !bytes.Equal(got, want[i]) {
			t.Fatalf("message %d of %d bytes: got %d bytes and %v", i, len(want[i]), len(got), err)
		}
	}
	return list
}

// sendFunc is a way of sending a message.
type sendFunc = func(c *Conn, messageType int, p []byte) error

// sendWays are the ways of sending a message.
var sendWays = []struct {
	name  string
	write sendFunc
}{
	{"WriteMessage", (*Conn).WriteMessage},
	{"WriteMessageContext", func(c *Conn, messageType int, p []byte) error {
		return c.WriteMessageContext(context.Background(), messageType, p)
	}},
	{"WritePreparedMessage", func(c *Conn, messageType int, p []byte) error {
		pm, err := NewPreparedMessage(messageType, p)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	}},
	{"NextWriter", inPieces(math.MaxInt)},
	{"NextWriter, odd pieces", inPieces(1, 7, 300, 5000, 13, 9000, 70_000)},
	{"ReadFrom", func(c *Conn, messageType int, p []byte) error {
		w, err := c.NextWriter(messageType)
		if err != nil {
			return err
		}
		if _, err := w.(io.ReaderFrom).ReadFrom(bytes.NewReader(p)); err != nil {
			return err
		}
		return w.Close()
	}},
}

// inPieces is writePieces as a way of sending.
func inPieces(sizes ...int) sendFunc {
	return func(c *Conn, messageType int, p []byte) error { return writePieces(c, messageType, p, sizes...) }
}

// writePieces sends a message by a writer, in pieces of the sizes in turn.
func writePieces(c *Conn, messageType int, p []byte, sizes ...int) error {
	w, err := c.NextWriter(messageType)
	if err != nil {
		return err
	}
	for i := 0; len(p) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(p))
		if _, err := w.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return w.Close()
}

// receiveWays are the ways of getting a message.
var receiveWays = []struct {
	name string
	read func(c *Conn) (messageType int, p []byte, err error)
}{
	{"ReadMessage", (*Conn).ReadMessage},
	{"AppendMessage", func(c *Conn) (int, []byte, error) { return c.AppendMessage(make([]byte, 0, 300)) }},
	{"ReadMessageContext", func(c *Conn) (int, []byte, error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		return c.ReadMessageContext(ctx)
	}},
	{"io.ReadAll", func(c *Conn) (int, []byte, error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		p, err := io.ReadAll(r)
		return messageType, p, err
	}},
	{"Read of 7 bytes", func(c *Conn) (int, []byte, error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		var b bytes.Buffer
		_, err = io.CopyBuffer(struct{ io.Writer }{&b}, r, make([]byte, 7))
		return messageType, b.Bytes(), err
	}},
}

// compressing is a connection that compresses, and its peer, a decoder with just the window that was agreed on.
type compressing struct {
	testing.TB
	c    *Conn
	wire *pipeConn
	s    *strictInflater
}

func newCompressing(t testing.TB, server bool, o CompressionOptions) *compressing {
	t.Helper()
	c, wire := newCompressedConn(t, server, o)
	agreed := c.CompressionState()
	return &compressing{t, c, wire, &strictInflater{bits: agreed.SendWindowBits, takeover: agreed.SendTakeover}}
}

// write has the connection send a message, and returns it as it has left.
func (x *compressing) write(write sendFunc, message []byte) sentMessage {
	x.Helper()
	if err := write(x.c, BinaryMessage, message); err != nil {
		x.Fatal(err)
	}
	return wantSent(x, x.wire, x.s, message)[0]
}

// want has the connection send a message, compressed or as it is, and returns the length of its payload.
func (x *compressing) want(reason string, write sendFunc, message []byte, compressed bool) int {
	x.Helper()
	m := x.write(write, message)
	if m.compressed != compressed {
		x.Errorf("%s: got compressed %v for %d bytes, want %v", reason, m.compressed, len(message), compressed)
	}
	return len(m.payload)
}

// The transcripts of testdata/rfc7692 are right however the bytes come and the messages are
// read. Each file is played with the options for which it is true.
func TestDeflateTranscripts(t *testing.T) {
	skipRace(t)
	plain, takeover := CompressionOptions{}, CompressionOptions{ContextTakeover: true}
	small := CompressionOptions{ContextTakeover: true, WindowBits: 8, PeerWindowBits: 8}
	play := func(t *testing.T, tr *transcript, o connOptions, methods ...scriptMethod) {
		deliveries := slices.Clone(scriptDeliveries)
		for k := range tr.in[:min(len(tr.in), 64)] {
			deliveries = append(deliveries, scriptCut(k, k%2 == 0))
		}
		for _, d := range deliveries {
			for _, m := range methods {
				if wrong := tr.playTo(o, d, m, 1); wrong != "" {
					t.Fatalf("%s: %s, %s, %s: %s", tr.where, tr.side, d.name, m.name, wrong)
				}
			}
		}
	}
	for file, options := range map[string][]CompressionOptions{
		"vectors":     {plain, takeover, small},
		"takeover":    {takeover, small},
		"no-takeover": {plain, {WindowBits: 15, PeerWindowBits: 8}},
	} {
		for _, tr := range readTranscripts(t, "testdata/rfc7692/"+file+".txt") {
			t.Run(file+"/"+tr.name, func(t *testing.T) {
				for _, o := range options {
					for _, side := range tr.sides(t) {
						play(t, side, compressedOptions(t, o), scriptMethods...)
						if file == "vectors" { // these can be read by who takes no payload, too
							play(t, side, compressedOptions(t, o), scriptSkip)
						}
					}
				}
			})
		}
	}
}

// FuzzCompressedRoundTrip sends messages of any sequence of sizes and kinds, both ways, with
// any options. All arrive.
func FuzzCompressedRoundTrip(f *testing.F) {
	seeds := rand.New(rand.NewPCG(1, 1))
	for flags := range uint32(16 * 12) { // each window with and without takeover, at each level
		if raceEnabled && flags%48 > 1 {
			continue // it takes long
		}
		var script []byte
		for range 20 {
			script = binary.LittleEndian.AppendUint32(script, seeds.Uint32())
		}
		f.Add(script, flags%16|flags/16<<7|flags%2<<21|seeds.Uint32()&^0x3fff8f) // both with takeover, or neither
	}
	text := textLike(200_000, 1)
	random := noise(200_000, 1)
	f.Fuzz(func(t *testing.T, script []byte, flags uint32) {
		o := CompressionOptions{
			ContextTakeover: flags&1 != 0,
			WindowBits:      8 + int(flags>>1&7),
			PeerWindowBits:  8 + int(flags>>4&7),
			Level:           int(flags>>7&15)%12 - 2,
			Threshold:       int(flags >> 11 & 0x3ff),
		}
		client := CompressionOptions{ContextTakeover: flags&(1<<21) != 0, WindowBits: 8 + int(flags>>22&7)}
		s, c := compressedPair(t, o, client)
		defer s.Close()
		defer c.Close()
		for len(script) >= 4 && len(script) < 200 {
			v := binary.LittleEndian.Uint32(script)
			script = script[4:]
			from, to := s, c
			if v&1 != 0 {
				from, to = c, s
			}
			size := int(v>>1&0xff) << (v >> 9 % 10)
			message := text[v>>13%1000:][:size]
			if v&(1<<10) != 0 {
				message = random[:size]
			}
			from.EnableWriteCompression(v>>11&3 > 0)
			if v>>20&7 == 0 {
				from.SetCompressionLevel(int(v>>23)%12 - 2)
			}
			w, r := sendWays[v>>16%uint32(len(sendWays))], receiveWays[v>>19%uint32(len(receiveWays))]
			if err := w.write(from, BinaryMessage, message); err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
			if v>>27&7 == 0 { // some of it is read, or nothing, or all
				if _, part, err := to.NextReader(); err == nil {
					io.CopyN(io.Discard, part, int64(size)*int64(v>>25&3)/3)
				}
				continue
			}
			if got, p, err := r.read(to); got != BinaryMessage || !bytes.Equal(p, message) || err != nil {
				t.Fatalf("%s, %s: got type %d, %d bytes, %v, want %d", w.name, r.name, got, len(p), err, len(message))
			}
		}
	})
}

// "An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first
// fragments of a data message" (RFC 7692, 6), which wantSent looks for. NextWriter ends a message left open.
func TestRSV1IsOfTheFirstFrame(t *testing.T) {
	text, ping := textLike(100_000, 1), strings.Repeat("p", 125)
	for _, takeover := range []bool{false, true} {
		bothSides(t, func(t *testing.T, server bool) {
			x := newCompressing(t, server, CompressionOptions{ContextTakeover: takeover})
			for range 2 {
				w, err := x.c.NextWriter(TextMessage)
				if err != nil {
					t.Fatal(err)
				}
				for piece := range slices.Chunk(text, 10_000) {
					w.Write(piece)
					x.c.WriteControl(PingMessage, []byte(ping), time.Time{})
				}
			}
			writePieces(x.c, TextMessage, text, len(text))
			x.c.WritePreparedMessage(prepare(t, PingMessage, ping))
			x.c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, strings.Repeat("bye", 40)), time.Time{})
			for i, m := range wantSent(t, x.wire, x.s, text, text, text) {
				if !m.compressed || m.fragments < 2 {
					t.Errorf("message %d: got compressed %v in %d fragments", i, m.compressed, m.fragments)
				}
			}
		})
	}
}

// What is shorter than the threshold is sent as it is.
func TestThreshold(t *testing.T) {
	text := bytes.Repeat([]byte("text"), 5000)
	for _, threshold := range []int{0, 1, 200, 3000} {
		for _, w := range sendWays[:3] { // of the others the write buffer counts
			x := newCompressing(t, true, CompressionOptions{Threshold: threshold, ContextTakeover: true})
			x.want(w.name+", longer", w.write, text, true)
			x.want(w.name+", a byte shorter", w.write, text[:max(threshold-1, 0)], false)
			x.want(w.name+", as long", w.write, text[:threshold], threshold > 10) // else it becomes no shorter
			x.want(w.name+", longer again", w.write, text, true)
		}
	}
	for _, tt := range []struct {
		threshold, length, pieces int
		compressed                bool
	}{
		{3000, 2999, 100, false},
		{3000, 3000, 100, true},
		{4097, 20_000, 100, false}, // it does not fit into the buffer of 4096 bytes, and is longer than that, at least
		{4097, 20_000, 5000, false},
		{4097, 20_000, 9000, true},
	} {
		x := newCompressing(t, true, CompressionOptions{Threshold: tt.threshold})
		x.want(fmt.Sprintf("NextWriter, %+v", tt), inPieces(tt.pieces), text[:tt.length], tt.compressed)
	}
}

// EnableWriteCompression and level 0 are for the messages that begin after them: all of a message is compressed or
// nothing is, whatever is set while it is written. A message that is sent as it is changes no window.
func TestCompressionIsTurnedOffAndOn(t *testing.T) {
	skipRace(t)
	text := textLike(20_000, 1)
	level := map[bool]int{true: 5, false: 0}
	for name, set := range map[string]func(c *Conn, on bool){
		"EnableWriteCompression": (*Conn).EnableWriteCompression,
		"SetCompressionLevel":    func(c *Conn, on bool) { c.SetCompressionLevel(level[on]) },
	} {
		for _, takeover := range []bool{false, true} {
			bothSides(t, func(t *testing.T, server bool) {
				x := newCompressing(t, server, CompressionOptions{ContextTakeover: takeover, WindowBits: 10})
				for i, on := range []bool{true, false, false, true, true, false, true} {
					set(x.c, on)
					x.want(name, sendWays[i%len(sendWays)].write, text, on)
					x.want(name+", within a message", func(c *Conn, messageType int, p []byte) error {
						w, err := c.NextWriter(messageType)
						if err != nil {
							return err
						}
						w.Write(p[:10_000])
						set(c, !on)
						w.Write(p[10_000:])
						return w.Close()
					}, text, on)
				}
			})
		}
	}
}

// The level is that of the next message. Context takeover is used where it is agreed on, at every level that looks for
// matches: the same message a second time is much shorter, also one of a few bytes. The window outlasts every change
// of the level: what was sent at another one is looked for no more, but each message can be read.
func TestLevelIsOfTheNextMessage(t *testing.T) {
	again := bytes.Repeat([]byte("always the same "), 60)
	for _, o := range []CompressionOptions{{}, {ContextTakeover: true, WindowBits: 10}, {ContextTakeover: true}} {
		x := newCompressing(t, true, o)
		for _, level := range []int{9, -2, 6, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9} {
			x.c.SetCompressionLevel(level)
			matches := level != -2 && level != 0 // -2 knows of nothing that comes again
			n := x.want("at a level", (*Conn).WriteMessage, again, level != 0)
			if few := n < len(again)/10; few != matches {
				t.Errorf("level %d, %+v: got %d bytes for %d", level, o, n, len(again))
			}
			for _, size := range []int{60, 127, 400} {
				text := textLike(size, uint64(level+size))
				x.write((*Conn).WriteMessage, text)
				n := len(x.write((*Conn).WriteMessage, text).payload)
				if few := n <= min(size/5, 15); few != (matches && o.ContextTakeover) {
					t.Errorf("level %d, %+v: got %d bytes for the same %d again", level, o, n, size)
				}
			}
		}
	}
}

// A message that did not leave in time, because a control frame was on its way, is not in the
// peer's window: what comes next does not refer to it.
func TestMessageThatDidNotLeaveIsForgotten(t *testing.T) {
	text := textLike(3000, 1)
	fragment := func(c *Conn, messageType int, p []byte) error {
		return writePieces(c, messageType, bytes.Repeat(p, 30), 20_000)
	}
	for _, write := range []sendFunc{(*Conn).WriteMessage, inPieces(math.MaxInt), fragment} {
		for _, takeover := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				near, wire := newPipe(t, 100)
				c := newConn(near, true, nil, compressedOptions(t, CompressionOptions{ContextTakeover: takeover, Level: 6}))
				go c.WriteControl(PingMessage, bytes.Repeat([]byte("p"), 125), time.Time{})
				synctest.Wait() // the network takes no more
				c.SetWriteDeadline(time.Now().Add(time.Second))
				if err := write(c, TextMessage, text); !isTimeout(err) {
					t.Fatalf("got %v, want a timeout", err)
				}
				c.SetWriteDeadline(time.Time{})
				room(wire, 1<<20)
				for range 2 {
					wantWrite(t, c, string(text)) // on a connection that is as good as before
				}
				wantSent(t, wire, &strictInflater{bits: 15, takeover: takeover}, text, text)
			})
		}
	}
}

// windowMessages are messages in which something comes again just beyond the window, in the message and in the next,
// and others that are alike. Each level makes those shorter that are marked as '+', and those that are marked as '-'
// would become longer.
func windowMessages(bits int) (messages [][]byte, marks string) {
	beyond := textNone(1<<bits + 1)
	again := bytes.Repeat([]byte("again "), 1<<bits/6)
	return [][]byte{
		textLike(20, 1), textLike(20, 1), textLike(200, 1),
		again,
		slices.Concat(beyond, beyond),
		beyond[:100],
		beyond[:1<<bits],
		textNone(1 << bits),
		textLike(300, 1), {}, textLike(20, 1),
		again,
		[]byte("a"), noise(2000, 1),
		textLike(1<<bits/2, 2), textLike(1<<bits/2, 2), textLike(1<<bits/2+1, 2),
		bytes.Repeat(again, 3), noise(10_000, 2),
		slices.Concat(again, textLike(30_000, 1), textNone(300), textLike(10_000, 1)), // fills small windows many times
	}, "   +     - +--   +- "
}

// "an LZ77 sliding window of the size [...] 2^X" is all that the peer needs for what is sent (RFC 7692, 7.1.2), by
// every way of sending, at every level. A message that would become longer is sent as it is, unless a part of it has
// left before that is known.
func TestSentWithinTheWindow(t *testing.T) {
	if raceEnabled {
		t.Skip("it has no second goroutine, and takes half a minute")
	}
	eachWindow(func(o CompressionOptions) {
		messages, marks := windowMessages(o.WindowBits)
		for _, o.Level = range []int{-2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9} {
			bothSides(t, func(t *testing.T, server bool) {
				x := newCompressing(t, server, o)
				for i, message := range messages {
					w := sendWays[(i+o.Level+o.WindowBits)%len(sendWays)]
					m := x.write(w.write, message)
					if marks[i] == '+' && !m.compressed || marks[i] == '-' && m.compressed && m.fragments == 1 {
						t.Errorf("%+v: message %d, %s: got compressed %v", o, i, w.name, m.compressed)
					}
				}
			})
		}
	})
}

// A window of 8 bits, which the peer has negotiated, takes at most twice the work of the default: of the side that
// sends a message, which looks at its bytes, and finds and encodes its symbols, and of the one that receives it, which
// decodes them. Each block has codes to be made, so there must not be one for each window.
func TestAttackSmallWindow(t *testing.T) {
	skipRace(t)
	steps := func(t *testing.T, server bool, o CompressionOptions, size int) (steps int) {
		x := newCompressing(t, server, o)
		to, in := newCompressedConn(t, !server, o)
		for i := range 10 {
			message := textLike(size, uint64(i))
			x.s.symbols, x.s.blocks = 0, 0
			m := x.write((*Conn).WriteMessage, message)
			if !m.compressed {
				t.Errorf("message %d: got it as it is, want it compressed", i)
			}
			in.Write(rawFrame(!server, "\xc2"+string(m.payload)))
			if _, p, err := to.ReadMessage(); err != nil || !bytes.Equal(p, message) {
				t.Errorf("message %d: got %d bytes, %v, want %d", i, len(p), err, size)
			}
			steps += size + len(m.payload) + x.s.symbols + x.s.blocks*(maxLiterals+maxDistances)
		}
		return steps
	}
	for _, takeover := range []bool{false, true} {
		for _, size := range []int{2 << 10, 64 << 10} {
			bothSides(t, func(t *testing.T, server bool) {
				o := CompressionOptions{ContextTakeover: takeover, WindowBits: 8, PeerWindowBits: 8}
				small := steps(t, server, o, size)
				o.WindowBits, o.PeerWindowBits = 15, 15
				if usual := steps(t, server, o, size); small > 2*usual {
					t.Errorf("%d bytes, takeover %t: got %d steps, want at most twice %d", size, takeover, small, usual)
				}
			})
		}
	}
}

// A distance may be as long as the window that was agreed on, in a message and, with context takeover, from one to the
// next, and no longer, however much lies in the memory that the program reads into. The strict decoder agrees.
func TestReceivedWithinTheWindow(t *testing.T) {
	marker := []byte("a text that comes again")
	for bits := minWindowBits; bits < maxWindowBits; bits += unlessRace(1, 3) {
		near := append(marker[:len(marker):len(marker)], textNone(1<<bits-len(marker))...) // as long as the window
		far := append(near[:len(near):len(near)], 'x')
		tail := textLike(200, 1) // so much that the match before it is decoded by inflater.fast
		for _, tt := range []struct {
			name     string
			messages [][]byte
			takeover bool
			want     error // of the strict decoder, for the last message
		}{
			{"in a message", [][]byte{slices.Concat(near, marker)}, false, nil},
			{"in a message, a byte too far", [][]byte{slices.Concat(far, marker)}, false, errStrictWindow},
			{"within a message", [][]byte{slices.Concat(near, marker, tail)}, false, nil},
			{"within a message, a byte too far", [][]byte{slices.Concat(far, marker, tail)}, false, errStrictWindow},
			{"in the next", [][]byte{near, marker}, true, nil},
			{"in the next, a byte too far", [][]byte{far, marker}, true, errStrictWindow},
			{"in the next, a byte too far, and more", [][]byte{far, slices.Concat(marker, tail)}, true, errStrictWindow},
			{"in the next, without takeover", [][]byte{near, marker}, false, errStrictContext},
		} {
			payloads := deflateMessages(9, tt.messages...)
			s := strictInflater{bits: bits, takeover: tt.takeover}
			var err error
			for _, p := range payloads {
				_, err = s.message(p)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%d bits, %s: got %v from the strict decoder, want %v", bits, tt.name, err, tt.want)
			}
			for i, r := range receiveWays {
				server := i%2 == 0
				o := CompressionOptions{ContextTakeover: tt.takeover, WindowBits: maxWindowBits, PeerWindowBits: bits}
				c, wire := newCompressedConn(t, server, o)
				for _, p := range payloads {
					wire.Write(rawFrame(server, "\xc2"+string(p)))
					_, _, err = r.read(c)
				}
				if (err != nil) != (tt.want != nil) || err != nil && !errors.Is(err, errCorruptMessage) {
					t.Errorf("%d bits, %s, %s, server %t: got %v", bits, tt.name, r.name, server, err)
				}
			}
		}
	}
}

// A message that is larger than all windows, in frames of one byte and more. Characters are cut by fragments, by what
// is decompressed at a time, and by Reads.
func TestReceivedInSmallFragments(t *testing.T) {
	skipRace(t)
	message := slices.Concat(textLike(30_000, 4), bytes.Repeat([]byte("é한😀"), 5000), textLike(10_000, 5))
	for i, r := range receiveWays {
		server := i%2 == 0
		c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: true})
		for _, payload := range deflateMessages(9, message, message) {
			first := "\x41"
			for p := range slices.Chunk(payload, 1+i*50) {
				wire.Write(rawFrame(server, first+string(p)))
				first = "\x00"
			}
			wire.Write(rawFrame(server, "\x80"))
			if _, got, err := r.read(c); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%s: got %d bytes, %v, want %d", r.name, len(got), err, len(message))
			}
		}
	}
}

// limited are the ways of reading, with how many bytes they got of a message.
var limited = []struct {
	name string
	read func(c *Conn) (n int, err error)
	// inPieces: it needs no more memory for a message that is longer.
	inPieces bool
}{
	{"ReadMessage", func(c *Conn) (int, error) { return lengthOf(c.ReadMessage()) }, false},
	{"AppendMessage", func(c *Conn) (int, error) {
		n, err := lengthOf(c.AppendMessage([]byte("x")))
		return n - 1, err
	}, false},
	{"ReadMessageContext", func(c *Conn) (int, error) { return lengthOf(receiveWays[2].read(c)) }, false},
	{"ReadJSON", func(c *Conn) (int, error) {
		var v json.RawMessage
		err := c.ReadJSON(&v)
		return len(v), err
	}, false},
	{"NextReader", func(c *Conn) (int, error) {
		_, r, err := c.NextReader()
		if err != nil {
			return 0, err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 4096))
		return int(n), err
	}, true},
	{"JoinMessages", func(c *Conn) (n int, err error) {
		r := JoinMessages(c, "\n")
		p := make([]byte, 4096)
		for {
			m, err := r.Read(p)
			n += m
			if err != nil {
				return n, err
			}
			if p[m-1] == '\n' {
				return n - 1, nil
			}
		}
	}, true},
	// The next message tells that there was nothing wrong with this one.
	{"discarding", func(c *Conn) (n int, err error) {
		if _, _, err := c.NextReader(); err != nil {
			return 0, err
		}
		_, p, err := c.ReadMessage()
		if string(p) == "next" {
			return int(c.recv.readLimit.Load()), err // it had the limit
		}
		return len(p), err
	}, true},
}

func lengthOf(_ int, p []byte, err error) (int, error) { return len(p), err }

func second3[A, B any](_ A, _ B, err error) error { return err }

// Data that is no DEFLATE, and text that is not UTF-8, fails the connection with 1007 (RFC 6455, 7.4.1 and 8.1), by
// each way of reading, for good; writing has ended with the Close frame.
func TestCorruptMessageByEachWayOfReading(t *testing.T) {
	text := strings.Repeat("é한😀", 10_000)
	for _, tt := range []struct {
		payload string
		want    error
	}{
		{"", errCorruptMessage},
		{"\xf2\x48\xcd", errCorruptMessage},                             // it is cut short
		{"\x06\x00", errCorruptMessage},                                 // a block of type 3
		{"\x02\x13\x00\x00", errCorruptMessage},                         // a distance beyond all
		{"\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff", errCorruptMessage},     // something behind a block with BFINAL set
		{string(deflateMessages(6, []byte("\xff"))[0]), errInvalidUTF8}, // where it comes
		{string(deflateMessages(6, []byte("\xed\xa0\x80"))[0]), errInvalidUTF8},
		{string(deflateMessages(6, []byte("\xc3"+text))[0]), errInvalidUTF8},
		{string(deflateMessages(6, []byte(text+"\xf0\x9f\x98"))[0]), errInvalidUTF8},
	} {
		for i, m := range limited {
			for _, takeover := range []bool{true, false} {
				if m.name == "discarding" && !takeover {
					continue // nobody looks at it
				}
				bothSides(t, func(t *testing.T, server bool) {
					what := fmt.Sprintf("%.20q, %s", tt.payload, m.name)
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
					k := len(tt.payload) / 3
					wire.Write(rawFrame(server, "\x41"+tt.payload[:k]))
					wire.Write(rawFrame(server, "\x80"+tt.payload[k:]))
					// What a reader gets that sees nothing wrong.
					wire.Write(rawFrame(server, closeFrame(CloseNormalClosure, "")))
					_, err := m.read(c)
					reason := map[error]string{
						errCorruptMessage: "compressed message is corrupt", errInvalidUTF8: "text is not valid UTF-8",
					}[tt.want]
					if !errors.Is(err, tt.want) || err.Error() != "websocket: "+reason {
						t.Fatalf("%s: got %v, want %v", what, err, tt.want)
					}
					wantFrames(t, wire, "8 \x03\xef"+reason)
					for j := range limited {
						again := limited[(i+j)%len(limited)]
						if _, err2 := again.read(c); err2 != err {
							t.Errorf("%s, then %s: got %v, want the same error", what, again.name, err2)
						}
					}
					if err := c.WriteMessage(TextMessage, textLike(300, 1)); err != ErrCloseSent {
						t.Errorf("%s: got %v from a write, want ErrCloseSent", what, err)
					}
				})
			}
		}
	}
}

// A message may have as many bytes as the limit says, and not one more, however it is read. One that has more is
// answered with 1009 (RFC 6455, 7.4.1). What is not decompressed is not limited, nor looked at: without takeover a
// message that is discarded.
func TestReadLimitCountsInflatedBytes(t *testing.T) {
	for _, limit := range []int{4, 10, 4095, 4096, 4097, 65535, 65536, 65537, 100_000} {
		for more := range 2 {
			payload := deflateMessages(1, []byte(`"`+strings.Repeat("a", limit+more-2)+`"`))[0]
			for i, m := range limited {
				bothSides(t, func(t *testing.T, server bool) {
					takeover := (limit+i)%2 == 0
					c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
					c.SetReadLimit(int64(limit))
					wire.Write(rawFrame(server, "\xc1"+string(payload)))
					wire.Write(rawFrame(server, "\x81next"))
					n, err := m.read(c)
					if more > 0 && (takeover || m.name != "discarding") {
						wantLimit(t, fmt.Sprintf("%s, limit %d", m.name, limit), c, wire, n, err, limit)
					} else if n != limit || err != nil {
						t.Errorf("%s, limit %d: got %d bytes, %v, want all", m.name, limit, n, err)
					}
				})
			}
		}
	}
}

// wantLimit says that a read was refused, with a Close frame and for good.
func wantLimit(t *testing.T, what string, c *Conn, wire *pipeConn, n int, err error, limit int) {
	t.Helper()
	if err != ErrReadLimit || n > limit {
		t.Errorf("%s: got %d bytes, %v, want ErrReadLimit and no more than the limit", what, n, err)
	}
	wantFrames(t, wire, "8 \x03\xf1")
	if _, _, again := c.ReadMessage(); again != ErrReadLimit {
		t.Errorf("%s: got %v from the next read, want ErrReadLimit again", what, again)
	}
}

// bomb is a message that becomes n MiB of zeros.
func bomb(n int) []byte {
	chunks := deflateMessages(9, make([]byte, 1<<20), make([]byte, 1<<20))
	return slices.Concat(chunks[0], bytes.Repeat(append([]byte(deflateTail), chunks[1]...), n-1))
}

// CVE-2018-1000518, GHSA-frh3-6pv6-rc8j, centrifuge's issue 584: a message of a megabyte that becomes a gigabyte. It
// is decompressed up to the limit, and not more of it is read. It costs no more memory than the limit, for the
// message and while it grows, and a constant for the compressed message and the codec.
func TestAttackBomb(t *testing.T) {
	attack := func(t *testing.T, server, takeover bool, limit int64, payload []byte, fragment, way int) {
		m := limited[way]
		what := fmt.Sprintf("%s, limit %d, takeover %t, fragments of %d", m.name, limit, takeover, fragment)
		c, wire := newCompressedConn(t, server, CompressionOptions{ContextTakeover: takeover})
		c.SetReadLimit(limit)
		first := "\x42"
		for piece := range slices.Chunk(payload, fragment) {
			wire.Write(rawFrame(server, first+string(piece)))
			first = "\x00"
		}
		wire.Write(rawFrame(server, "\x80"))
		var n int
		var err error
		memory := allocated(func() { n, err = m.read(c) })
		left := len(wire.out.data)
		wantLimit(t, what, c, wire, n, err, int(limit))
		want := uint64(1 << 20)
		if !m.inPieces {
			want += 2 * uint64(limit)
		}
		if memory > want {
			t.Errorf("%s: got %d bytes of memory, want at most %d", what, memory, want)
		}
		// A byte becomes 1,000, and a buffer of 64 KiB may have come beyond the limit.
		if read := len(payload) - left; int64(read) > limit/1000+2*maxBufferSize {
			t.Errorf("%s: got %d of %d bytes read, want no more than become the limit", what, read, len(payload))
		}
		c.Close()
		wire.out.data = nil // the rest of the bomb
	}
	small, large := bomb(unlessRace(300, 50)), bomb(unlessRace(1<<10, 100)) // 1 GiB
	bothSides(t, func(t *testing.T, server bool) {
		for i, fragment := range []int{1000, len(small)} {
			for way, m := range limited {
				takeover := (way+i)%2 == 0
				if m.name != "discarding" || takeover { // without takeover it is not decompressed
					attack(t, server, takeover, 64<<10, small, fragment, way)
				}
			}
		}
		limit, before := map[bool]int64{true: 1 << 20, false: DefaultReadLimit}[server || raceEnabled], heapInUse()
		attack(t, server, server, limit, large, 1000, 0)
		if after := heapInUse(); after > before+64<<10 {
			t.Errorf("limit %d: got %d bytes of heap behind the connection, want none", limit, after-before)
		}
	})
}

// The limit can be changed within a message. 0 is none.
func TestReadLimitChanges(t *testing.T) {
	c, wire := newCompressedConn(t, true, CompressionOptions{})
	c.SetReadLimit(0)
	wire.Write(rawFrame(true, "\xc2"+string(deflateMessages(1, make([]byte, 100_000))[0])))
	_, r, err := c.NextReader()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatalf("got %d bytes, %v, want 1000 of a message without a limit", n, err)
	}
	c.SetReadLimit(70_000)
	if n, err := io.Copy(io.Discard, r); err != ErrReadLimit || n > 69_000 {
		t.Errorf("got %d bytes more, %v, want ErrReadLimit", n, err)
	}
}

// pooled is a connection that holds codecs.
type pooled struct {
	*bubble
	open bool           // the peer's message has not ended
	w    io.WriteCloser // of a message that was written in part
}

// pooledText is more than the network takes, also when it is compressed.
var pooledText = sync.OnceValue(func() []byte { return textLike(60_000, 1) })

var pooledPayload = sync.OnceValue(func() string { return string(deflateMessages(1, pooledText()[:5000])[0]) })

// sendMessage has compressed data come: a message, or the end of the one that is open.
func (p *pooled) sendMessage(payload string) {
	first := map[bool]string{false: "\xc2", true: "\x80"}[p.open]
	p.open = false
	p.sendRaw(first + payload)
}

// write writes a message that the network does not take, or some more of the one that is open.
func (p *pooled) write() {
	if p.w != nil {
		p.w.Write(pooledText())
	} else {
		p.c.WriteMessage(BinaryMessage, pooledText())
	}
}

// readUntilError reads as a program does whose connection ends, or whose handler panics.
func (p *pooled) readUntilError() {
	defer func() {
		if err := recover(); err != nil && err != errMine {
			panic(err)
		}
	}()
	for second3(p.c.ReadMessage()) == nil {
	}
}

// closeWhile closes the connection while calls wait.
func (p *pooled) closeWhile(calls ...func()) {
	for _, call := range calls {
		go call()
	}
	synctest.Wait()
	p.c.Close()
	synctest.Wait()
}

// pooledStates are what a connection may be doing when it ends.
var pooledStates = map[string]func(p *pooled){
	"after messages": (*pooled).exchange,
	"a message has come in part": func(p *pooled) {
		p.sendRaw("\x42" + pooledPayload()[:200])
		p.c.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := p.c.ReadMessage(); !isTimeout(err) {
			p.Fatalf("got %v, want a timeout", err)
		}
		p.c.SetReadDeadline(time.Time{})
		p.open = true
	},
	"messages were read and written in part": func(p *pooled) {
		p.exchange()
		p.sendMessage(pooledPayload())
		_, r, err := p.c.NextReader()
		w, err2 := p.c.NextWriter(TextMessage)
		if err = errors.Join(err, err2); err == nil {
			_, err = io.ReadFull(r, make([]byte, 100))
			_, err2 = w.Write(pooledText()[:10_000])
		}
		if err = errors.Join(err, err2); err != nil {
			p.Fatal(err)
		}
		p.r, p.w = r, w
	},
}

func (p *pooled) exchange() {
	p.sendMessage(pooledPayload())
	wantWrite(p, p.c, string(pooledText()[:5000]))
	wantRead(p, p.c, string(pooledText()[:5000]))
}

// pooledEnds are ways for a connection to end. The program may then read, and calls Close where that is not a part
// of it. TestFaults has the ends of the network and of calls, and TestModel has others.
var pooledEnds = []struct {
	name string
	read bool
	end  func(p *pooled)
}{
	{"Close", false, func(*pooled) {}},
	{"the peer's Close frame", true, func(p *pooled) { p.sendRaw(closeFrame(CloseNormalClosure, "")) }},
	{"corrupt data", true, func(p *pooled) { p.sendMessage("\x06\xff\xff\xff") }},
	{"the read limit", true, func(p *pooled) {
		p.c.SetReadLimit(50)
		p.sendMessage(pooledPayload())
	}},
	{"keepalive", true, func(p *pooled) { p.c.startKeepalive(time.Minute, time.Second) }},
	{"a handler that panics", true, func(p *pooled) {
		p.c.SetPingHandler(func(string) error { panic(errMine) })
		p.sendRaw("\x89")
	}},
	{"a write deadline", false, func(p *pooled) {
		p.c.SetWriteDeadline(time.Now().Add(time.Second))
		p.write()
	}},
	{"Close while others read and write", false, func(p *pooled) { p.closeWhile(p.readUntilError, p.write) }},
	{"Close while others wait for their turn to write", false, func(p *pooled) {
		write := func() { p.c.WriteMessage(TextMessage, pooledText()) }
		p.closeWhile(write, write, func() { NewStream(p.c, BinaryMessage).Write(pooledText()) })
	}},
	{"everything after Close", true, func(p *pooled) {
		p.c.Close()
		p.write()
		writePieces(p.c, TextMessage, pooledText()[:10_000], 5000)
		if p.r != nil {
			p.r.Read(make([]byte, 1))
		}
	}},
}

// Every way for a connection to end returns each codec. That none is returned twice, release itself sees to.
func TestAttackEveryEndReturnsTheCodecs(t *testing.T) {
	pooledPayload() // outside the bubbles
	for state, enter := range pooledStates {
		for _, takeover := range []bool{false, true} {
			for _, end := range pooledEnds {
				options := compressedOptions(t, CompressionOptions{ContextTakeover: takeover})
				network{size: 8 << 10, manual: true, options: options}.run(t, func(b *bubble) {
					before := codecsOnLoan.Load()
					p := &pooled{bubble: b}
					enter(p)
					if end.end(p); end.read {
						p.readUntilError()
					}
					if !b.pipe.out.readClosed() {
						b.c.Close()
					}
					synctest.Wait()
					if n, got := codecsOnLoan.Load()-before, borrowed(b.c); n != 0 || got != "" {
						b.Errorf("takeover %v, %s, %s: got %d codecs and %q that were not given back",
							takeover, state, end.name, n, got)
					}
				})
			}
		}
	}
}

// A connection that waits holds the windows that were agreed on, and the tables of what it sends, from the first
// compressed message on; without takeover it holds nothing.
func TestCompressionMemory(t *testing.T) {
	skipRace(t)
	const connections = 50
	large := textLike(60_000, 1)
	for _, tt := range []struct {
		sendBits, recvBits, level, most int
		takeover                        bool
	}{
		{15, 15, 1, 600, false},
		{15, 15, 1, 88 << 10, true},
		{14, 15, 1, 66 << 10, true},
		{12, 12, 1, 30 << 10, true},
		{15, 15, 6, 168 << 10, true},
	} {
		o := connOptions{compression: CompressionOptions{Level: tt.level, Threshold: 1000}}
		o.agreed.deflate = &deflateParams{!tt.takeover, !tt.takeover, tt.sendBits, tt.recvBits}
		d := acquireDeflater(1, tt.recvBits)
		frame := rawFrame(true, "\xc1"+string(deflate(d, large)))
		releaseDeflater(d)
		codecs := map[bool]int64{true: 1}[tt.takeover] // of a connection that waits
		got := tt.most + 1
		for i := 0; i < 5 && got > tt.most; i++ { // what other tests have left may be freed meanwhile
			conns := make([]*Conn, connections)
			for i := range conns {
				near, far := newPipe(t, 1<<20)
				c := newConn(near, true, nil, o)
				before := codecsOnLoan.Load()
				wantWrite(t, c, "short")
				first := codecsOnLoan.Load() - before
				c.WriteMessage(TextMessage, large)
				far.Write(frame)
				wantRead(t, c, string(large))
				if n := codecsOnLoan.Load() - before; first != 0 || n != codecs {
					t.Errorf("%+v: got %d codecs before the first compressed message, want none, and then %d", tt, first, n)
				}
				far.Close()
				far.take()
				conns[i] = c
			}
			heapInUse() // the pools keep what was given back for two collections
			with := heapInUse()
			for _, c := range conns {
				c.dropInflater()
				c.compression.drop()
				c.compression = nil
			}
			heapInUse()
			got = (int(with) - int(heapInUse())) / connections
			runtime.KeepAlive(conns)
		}
		if got > tt.most {
			t.Errorf("%+v: got %d bytes of heap, want at most %d", tt, got, tt.most)
		}
	}
}

// Compressed messages of 1 KiB are written and read without allocating, with and without takeover.
func TestCompressionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	message := textLike(1<<10, 1)
	payload := deflateMessages(1, message)[0] // refers to no other, so that it may come again and again
	pm := prepare(t, TextMessage, string(message))
	for _, o := range []CompressionOptions{
		{},
		{ContextTakeover: true},
		{ContextTakeover: true, WindowBits: 10, PeerWindowBits: 10, Level: 6},
	} {
		bothSides(t, func(t *testing.T, server bool) {
			loop := &loopTransport{bytes: rawFrame(server, "\xc1"+string(payload))}
			c := newConn(loop, server, nil, compressedOptions(t, o))
			defer c.Close()
			buf := make([]byte, 0, 2<<10)
			for _, tt := range []struct {
				name string
				want float64
				call func() error
			}{
				{"WriteMessage", 0, func() error { return c.WriteMessage(TextMessage, message) }},
				{"WritePreparedMessage", 0, func() error { return c.WritePreparedMessage(pm) }},
				{"AppendMessage", 0, func() error { return second3(c.AppendMessage(buf)) }},
				{"NextWriter", 1, func() error { return writePieces(c, TextMessage, message, len(message)) }}, // the writer
				{"NextReader", 1, func() error { // the reader
					_, r, err := c.NextReader()
					return errors.Join(err, second(io.ReadFull(r, buf[:len(message)])))
				}},
				{"discarding", 1, func() error { return second3(c.NextReader()) }},
				{"ReadMessage", 1, func() error { return second3(c.ReadMessage()) }}, // the message
			} {
				n := testing.AllocsPerRun(300, func() {
					if err := tt.call(); err != nil {
						t.Fatal(err)
					}
				})
				if n >= tt.want+1 {
					t.Errorf("%+v: %s: got %v allocations, want %v", o, tt.name, n, tt.want)
				}
			}
		})
	}
}

// What a connection has sent or received, another's codecs know nothing of: what another one sends can be read without
// that, and a message that refers to it gets nothing of it.
func TestAttackNoWindowReachesAnotherConnection(t *testing.T) {
	secret := []byte("the secret of a connection, of which no other has a byte")
	for i, gap := range []int{0, 1021, 5000, 10_000, 20_000, 1<<15 - len(secret)} { // that a distance may reach beyond
		message := append(secret[:len(secret):len(secret)], textNone(gap)...)
		payloads := deflateMessages(9, message, secret)
		for _, level := range []int{1, 6, -2, -1, 2, 4, 9}[:unlessRace(7, 2)] {
			bothSides(t, func(t *testing.T, server bool) {
				o := CompressionOptions{ContextTakeover: true, Level: level}
				r := receiveWays[(i+level+2)%len(receiveWays)]
				victim, wire := newCompressedConn(t, server, o)
				wire.Write(rawFrame(server, "\xc2"+string(payloads[0])))
				if _, _, err := r.read(victim); err != nil {
					t.Fatal(err)
				}
				for _, w := range sendWays {
					w.write(victim, TextMessage, message)
				}
				victim.Close() // with its deflater and its window

				o.ContextTakeover = i%2 == 0
				x := newCompressing(t, server, o)
				defer x.c.Close()
				for _, w := range sendWays {
					x.write(w.write, secret)
				}
				x.wire.Write(rawFrame(server, "\xc2"+string(payloads[1])))
				_, got, err := r.read(x.c)
				if !errors.Is(err, errCorruptMessage) || strings.Contains(string(secret), string(got)) && len(got) > 2 {
					t.Fatalf("%s, gap %d: got %q, %v, want that the message is corrupt", r.name, gap, got, err)
				}
			})
		}
	}
}

// A message that is prepared once is right for connections of all kinds in every state. It is encoded once for each
// form: it is the same bytes on all connections of a server, and there is one form for each level and window, none
// where nobody wants it compressed. With takeover, it refers to no message before it, and those behind it to it as to
// any other: the receiver's window has moved on by it.
func TestPreparedMessageOnEveryConnection(t *testing.T) {
	text := textLike(3000, 1)
	bothSides(t, func(t *testing.T, server bool) {
		pm := prepare(t, BinaryMessage, string(text))
		prepared := func(c *Conn, _ int, _ []byte) error { return c.WritePreparedMessage(pm) }
		forms := make(map[deflateForm]*frame)
		eachWindow(func(o CompressionOptions) {
			for _, o.Level = range []int{-2, 1, 6} {
				x := newCompressing(t, server, o)
				x.c.EnableWriteCompression(false)
				x.want("switched off", prepared, text, false)
				if len(pm.deflated) != len(forms) {
					t.Errorf("%+v: got a form that nobody wants", o)
				}
				x.c.EnableWriteCompression(true)
				form := deflateForm{o.Level, o.WindowBits}
				for i := range 3 {
					m, f := x.write(prepared, text), pm.deflated[form]
					wantStrict(t, "it refers to no other", &strictInflater{bits: o.WindowBits}, m.payload, text)
					if f == nil || forms[form] != nil && f != forms[form] || !bytes.Equal(f.payload, m.payload) {
						t.Errorf("%+v: got another form than before, or none", o)
					}
					forms[form] = f
					n := x.want("behind", (*Conn).WriteMessage, text, true)
					if i > 0 && o.ContextTakeover && o.Level == 6 && o.WindowBits == 15 && n > len(m.payload)/4 {
						t.Errorf("%+v: got %d bytes for the same text again, want few", o, n)
					}
					x.want("a part, in pieces", inPieces(100), text[:i*1000+500], true)
				}
			}
		})
		if len(pm.deflated) != len(forms) {
			t.Errorf("got %d forms, want %d", len(pm.deflated), len(forms))
		}
	})
}

// Many goroutines write to one connection, with and without takeover, while others send control frames, and both
// sides read: every message is whole, and those of a goroutine in order. Any goroutine may change the settings at any
// time, and a prepared message is for any number of connections.
func TestManyWritersOfACompressedConnection(t *testing.T) {
	const writers, messages = 16, 9
	text := textLike(21_000, 1) // of which messages have much in common
	var all [writers][messages + 1][]byte
	var prepared [messages]*PreparedMessage // of writer 1
	for i := range all {
		for j := range messages {
			all[i][j] = bytes.Clone(text[j%3*300:][:[]int{2, 3, 50, 125, 300, 1000, 4096, 9000, 20_000}[(i*4+j)%9]])
			all[i][j][0], all[i][j][1] = byte(i), byte(j)
		}
	}
	for j := range prepared {
		prepared[j] = prepare(t, BinaryMessage, string(all[1][j]))
	}
	write := func(c *Conn, i, j int) error {
		switch i {
		case 0: // NextWriter is for one goroutine
			return sendWays[j%len(sendWays)].write(c, BinaryMessage, all[i][j])
		case 1:
			return c.WritePreparedMessage(prepared[j])
		}
		return sendWays[j%3].write(c, BinaryMessage, all[i][j])
	}
	turns := unlessRace(messages, 2)
	var calls sync.WaitGroup
	for k, o := range []CompressionOptions{
		{},
		{ContextTakeover: true},
		{ContextTakeover: true, WindowBits: 9, PeerWindowBits: 10, Level: 4, Threshold: 100},
		{WindowBits: 12},                        // of which the settings are changed
		{ContextTakeover: true, WindowBits: 12}, // likewise
	} {
		s, c := compressedPair(t, o, o)
		for from, to := range map[*Conn]*Conn{s: c, c: s} {
			for i := range writers {
				calls.Go(func() {
					for j := range turns {
						if k > 2 {
							from.SetCompressionLevel((i+j)%12 - 2)
							from.EnableWriteCompression((i+j)%3 > 0)
							from.SetReadLimit(int64(1<<20 + i))
						}
						err := write(from, i, j)
						if err = errors.Join(err, from.WriteControl(PongMessage, nil, time.Time{})); err != nil {
							t.Errorf("writer %d, message %d: %v", i, j, err)
							from.Close() // the peer waits
						}
					}
				})
			}
			calls.Go(func() {
				var next [writers]int
				for n := range writers * turns {
					_, p, err := receiveWays[n%len(receiveWays)].read(to)
					if err != nil || len(p) < 2 || int(p[0]) >= writers || !bytes.Equal(p, all[p[0]][next[p[0]]]) {
						t.Errorf("after %d messages: got %d bytes, %v, want the next of a writer", n, len(p), err)
						to.Close()
						return
					}
					next[p[0]]++
				}
			})
		}
	}
	calls.Wait()
}
