//go:build go1.25

package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// reference is an endpoint that reads, written to be compared with the RFCs, and for nothing else. It has all
// bytes that come, and makes of them the events of a transcript.
type reference struct {
	in       []byte
	eof      bool // the stream ends behind in
	server   bool
	limit    int64           // of a message; 0 is 32 MiB, and none if it is negative, which it is not with compression
	handlers bool            // the program has handlers, which note what they are called with
	inflater *strictInflater // nil without compression

	// Where a compressed message is wrong, an endpoint may see it early or late, and may see one fault or the
	// other: seen are the events of the endpoint under test. unread reports whether its program may not have read
	// all of the message of that number.
	seen   []scriptEvent
	unread func(number int) bool

	pos       int // in in
	events    []scriptEvent
	undecided bool // the last message has no meaning that RFC 7692 gives it; nothing is known of it and behind it

	// The message that has begun.
	number     int    // counted from 1
	kind       string // "text" or "binary", or "" between messages
	compressed bool
	payload    []byte
	character  []byte // the beginning of one at the end of a text's payload
	empty      int    // fragments that carried nothing
}

// read returns the events.
func (r *reference) read() []scriptEvent {
	if r.limit == 0 {
		r.limit = 32 << 20
	}
	for r.frame() {
	}
	return r.events
}

// take returns the next n bytes, unless fewer come.
func (r *reference) take(n int) (b []byte, ok bool) {
	if n > len(r.in)-r.pos {
		return nil, false
	}
	b = r.in[r.pos:][:n]
	r.pos += n
	return b, true
}

func (r *reference) note(kind byte, what string, data []byte) {
	r.events = append(r.events, scriptEvent{at: r.pos, kind: kind, what: what, data: slices.Clone(data)})
}

// end ends the reading with an error.
func (r *reference) end(text string) bool {
	switch {
	case r.kind == "":
	case r.compressed:
		out, _, _ := r.inflate(false)
		r.note('=', "upto "+r.kind, out)
	default:
		r.note('=', "part "+r.kind, r.payload)
	}
	r.note('!', text, nil)
	return false
}

// starve ends the reading where all bytes are consumed that make a unit.
func (r *reference) starve() bool {
	r.pos = len(r.in)
	if r.mayFail() {
		return false
	}
	if r.eof {
		return r.end("websocket: close 1006 (abnormal closure): unexpected EOF")
	}
	return r.end(errScriptExhausted.Error())
}

// close sends a Close frame.
func (r *reference) close(code int, reason string) {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	r.reply(0x88, append(payload, reason...))
}

func (r *reference) reply(b0 byte, payload []byte) {
	r.note('<', "", append([]byte{b0, byte(len(payload))}, payload...))
}

// fail fails the connection (RFC 6455, 7.1.7).
func (r *reference) fail(code int, reason string) bool {
	r.close(code, reason)
	return r.end("websocket: " + reason)
}

func (r *reference) failTooBig() bool {
	r.close(1009, "")
	return r.end("websocket: read limit exceeded")
}

// frame reads a frame, and reports whether another one may follow.
func (r *reference) frame() bool {
	b, ok := r.take(2)
	if !ok {
		return r.starve()
	}
	fin, rsv1, rsv2, rsv3, op := b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x20 != 0, b[0]&0x10 != 0, b[0]&0x0f
	masked, length := b[1]&0x80 != 0, uint64(b[1]&0x7f)
	known := slices.Contains([]byte{0, 1, 2, 8, 9, 10}, op)
	control := op >= 8
	broken := ""
	switch { // RFC 6455, 5.1, 5.2, 5.4 and 5.5; RFC 7692, 6
	case rsv1 && r.inflater == nil:
		broken = "reserved bit RSV1 is set"
	case rsv2:
		broken = "reserved bit RSV2 is set"
	case rsv3:
		broken = "reserved bit RSV3 is set"
	case rsv1 && control:
		broken = "control frame is marked as compressed"
	case rsv1 && op == 0:
		broken = "continuation frame is marked as compressed"
	case !known:
		broken = fmt.Sprintf("unknown opcode %d", op)
	case r.server && !masked:
		broken = "frame from a client is not masked"
	case !r.server && masked:
		broken = "frame from a server is masked"
	case control && !fin:
		broken = "control frame is fragmented"
	case control && length > 125:
		broken = "control frame is longer than 125 bytes"
	case op == 0 && r.kind == "":
		broken = "continuation frame without a message to continue"
	case !control && op != 0 && r.kind != "":
		broken = "new message before the end of the one before"
	}
	if broken != "" {
		return !r.mayFail() && r.fail(1002, broken)
	}

	if length >= 126 { // RFC 6455, 5.2
		size := 2
		if length == 127 {
			size = 8
		}
		b, ok := r.take(size)
		if !ok {
			return r.starve()
		}
		length = 0
		for _, x := range b {
			length = length<<8 | uint64(x)
		}
		switch {
		case length>>63 == 1:
			return !r.mayFail() && r.fail(1002, fmt.Sprintf("the most significant bit of the length %#x is set", length))
		case length < 126, size == 8 && length <= 0xffff:
			return !r.mayFail() && r.fail(1002, fmt.Sprintf("length %d is not encoded in the fewest bytes", length))
		}
	}
	key := make([]byte, 4)
	if masked {
		if key, ok = r.take(4); !ok {
			return r.starve()
		}
	}
	if control {
		payload, ok := r.take(int(length))
		if !ok {
			return r.starve()
		}
		payload = slices.Clone(payload)
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		return r.control(op, payload)
	}
	return r.data(op, rsv1, fin, length, key)
}

// control deals with a control frame (RFC 6455, 5.5).
func (r *reference) control(op byte, payload []byte) bool {
	if r.mayFail() {
		return false
	}
	if op != 8 {
		if r.handlers {
			r.note('@', map[byte]string{9: "ping", 10: "pong"}[op], payload)
		}
		if op == 9 {
			r.reply(0x8a, payload)
		}
		return true
	}
	if len(payload) == 1 {
		return r.fail(1002, "payload of a close frame is 1 byte long")
	}
	code, reason := 1005, ""
	if len(payload) > 0 { // 7.4
		code, reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		valid := slices.Contains([]int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}, code)
		if !valid && (code < 3000 || code > 4999) {
			return r.fail(1002, fmt.Sprintf("bad close code %d", code))
		}
		if !utf8.ValidString(reason) {
			return r.fail(1007, "reason of a close frame is not valid UTF-8")
		}
	}
	if r.handlers {
		r.note('@', fmt.Sprint("close ", code), []byte(reason))
	}
	if code == 1005 {
		r.reply(0x88, nil)
	} else {
		r.close(code, "")
	}
	return r.end((&CloseError{code, reason}).Error())
}

// data deals with a data frame (RFC 6455, 5.4 and 5.6).
func (r *reference) data(op byte, compressed, fin bool, length uint64, key []byte) bool {
	most := r.limit
	if r.compressed && op == 0 || compressed {
		most += r.limit/4 + 1024 // what a bad compressor makes of a message that is as long as it may be
	}
	have := 0
	if op == 0 {
		have = len(r.payload)
	}
	if r.limit > 0 && length > uint64(most)-uint64(have) {
		return !r.mayFail() && r.failTooBig()
	}
	if op != 0 {
		r.number++
		r.kind, r.compressed, r.payload, r.character, r.empty = "text", compressed, nil, nil, 0
		if op == 2 {
			r.kind = "binary"
		}
	}
	if length == 0 && !fin {
		if r.empty++; r.empty > 1000 {
			return !r.mayFail() && r.fail(1008, "too many empty fragments in a message")
		}
	}
	text := r.kind == "text" && !r.compressed
	for i := range length {
		b, ok := r.take(1)
		if !ok {
			return r.starve()
		}
		x := b[0] ^ key[i%4]
		if text {
			if r.character = append(r.character, x); !canBecomeValid(r.character) {
				return r.failText()
			}
			if utf8.Valid(r.character) {
				r.character = nil
			}
			if fin && i == length-1 && len(r.character) > 0 {
				return r.failText()
			}
		}
		r.payload = append(r.payload, x)
	}
	switch {
	case !fin:
		return true
	case r.compressed:
		return r.endCompressed()
	case len(r.character) > 0:
		return r.failText()
	}
	return r.endMessage(r.payload)
}

func (r *reference) endMessage(message []byte) bool {
	r.note('=', r.kind, message)
	r.kind = ""
	return true
}

// failText fails the connection because of a text's last byte, and what there is of that message may be
// with the program or not.
func (r *reference) failText() bool {
	r.fail(1007, "text is not valid UTF-8")
	r.events[len(r.events)-2].what = "upto text"
	return false
}

// The errors of a compressed message that is wrong.
const (
	textCorrupt = "websocket: compressed message is corrupt"
	textUTF8    = "websocket: text is not valid UTF-8"
	textTooBig  = "websocket: read limit exceeded"
)

// inflate decompresses what there is of the message, or the whole of it, and returns the errors that may be
// found in it.
func (r *reference) inflate(whole bool) (out []byte, wrong []string, after *strictInflater) {
	s := *r.inflater
	s.history = slices.Clip(s.history)
	s.most = int(r.limit) + 1000
	out, err := s.message(r.payload)
	limit := min(len(out), int(r.limit))
	switch {
	case errors.Is(err, errStrictLong), err == nil:
	case errors.Is(err, errStrictShort), errors.Is(err, errStrictNoMarker):
		r.undecided = r.undecided || whole
	case whole, s.bit <= 8*len(r.payload): // and not in what message appends
		wrong = append(wrong, textCorrupt)
	}
	if r.kind == "text" && (!canBecomeValid(out[:limit]) || whole && err == nil && limit == len(out) && !utf8.Valid(out)) {
		wrong = append(wrong, textUTF8)
	}
	if len(out) > limit {
		wrong = append(wrong, textTooBig)
	}
	return out[:limit], wrong, &s
}

// blames reports whether the endpoint has failed here, within the current message, with the error.
func (r *reference) blames(text string) bool {
	messages, rest := len(ofKinds(r.seen, "=")), len(ofKinds(r.seen, "<!@"))
	end := func(e scriptEvent) bool { return e.kind == '!' && e.what == text }
	return messages == r.number && rest == len(ofKinds(r.events, "<!@"))+2 && slices.ContainsFunc(r.seen, end)
}

// mayFail ends the reading if the compressed message so far is wrong, and the endpoint has seen it.
func (r *reference) mayFail() bool {
	if r.kind == "" || !r.compressed {
		return false
	}
	_, wrong, _ := r.inflate(false)
	for _, text := range wrong {
		if r.blames(text) {
			r.failInflate(text)
			return true
		}
	}
	return false
}

func (r *reference) failInflate(text string) bool {
	if text == textTooBig {
		return r.failTooBig()
	}
	return r.fail(1007, strings.TrimPrefix(text, "websocket: "))
}

// endCompressed ends a compressed message (RFC 7692, 7.2.2).
func (r *reference) endCompressed() bool {
	out, wrong, after := r.inflate(true)
	if r.undecided {
		return false
	}
	for _, text := range wrong {
		if r.blames(text) {
			return r.failInflate(text)
		}
	}
	// A message that is not read to its end is not decompressed either, unless later ones may refer to it.
	if len(wrong) > 0 && (r.inflater.takeover || !r.unread(r.number)) {
		return r.failInflate(wrong[0])
	}
	r.inflater = after
	return r.endMessage(out)
}

// The reference makes of the transcripts' bytes what stands in them.
func TestReference(t *testing.T) {
	for _, file := range wireTranscripts(t) {
		for _, tr := range readTranscripts(t, file) {
			for _, tr := range tr.sides(t) {
				r := &reference{in: tr.in, eof: tr.eof, server: tr.side == "server", limit: tr.limit}
				got := r.read()
				for i := range got {
					got[i].what = strings.Replace(got[i].what, "upto ", "part ", 1)
				}
				if wrong := diffEvents(got, tr.want, true, false); wrong != "" {
					t.Errorf("%s: %s", tr.where, wrong)
				}
			}
		}
	}
}

// conversation is how the bytes of FuzzConversation come, and what the endpoint is that reads them.
type conversation struct {
	server, eof, handlers bool
	compressed, takeover  bool
	bits                  int // of the peer's window
	limit                 int64
	chunk                 int  // bytes that come at once; 0 means all
	early                 int  // bytes that come with the handshake
	timeouts              bool // one comes before each chunk
	quick                 bool // replies wait for the end of a burst
	ways                  []byte
}

// newConversation is the conversation that the flags stand for.
func newConversation(flags uint32, ways []byte) (c conversation) {
	take := func(bits uint) int {
		v := flags & (1<<bits - 1)
		flags >>= bits
		return int(v)
	}
	c.ways = ways
	c.server = take(1) == 1
	compression := take(2)
	c.compressed, c.takeover = compression > 1, compression == 3
	c.bits = minWindowBits + take(3)
	limit := take(2)
	c.limit = []int64{0, -1, 10, 1000}[limit]
	if c.compressed {
		c.limit = []int64{70_000, 5000, 10, 1000}[limit]
	}
	c.chunk = []int{0, 1, 1, 2, 3, 7, 50, 200}[take(3)]
	c.timeouts = take(1) == 1
	c.early = 20 * take(1)
	c.quick = take(2) == 1
	c.eof = take(1) == 1
	c.handlers = take(1) == 1
	return c
}

// way is how the program reads a message: the kind in the lowest three bits, and a number.
func (c *conversation) way(number int) byte {
	if len(c.ways) == 0 {
		return 0
	}
	return c.ways[number%len(c.ways)]
}

// abandons reports whether the program may read a part of a message only.
func (c *conversation) abandons(number int) bool { return c.way(number)&7 >= 6 }

// method returns a message, or a part of it.
func (c *conversation) method(number int) scriptMethod {
	way := c.way(number)
	kind, n := way&7, int(way>>3)
	if kind < 4 {
		return scriptMethods[kind]
	}
	rest := []func(a *scriptApp) (int, []byte, error){
		reading(n/3 + 1), reading(0), readingOnce(n/3 + 1), scriptSkip.read,
	}[kind-4]
	if !c.timeouts {
		return scriptMethod{read: rest}
	}
	// A reader has what had come of the message before this was interrupted.
	return scriptMethod{read: func(a *scriptApp) (int, []byte, error) { return a.readMessages(n, rest) }}
}

// readingOnce reads a message's first bytes, up to size.
func readingOnce(size int) func(a *scriptApp) (messageType int, data []byte, err error) {
	return func(a *scriptApp) (messageType int, data []byte, err error) {
		messageType, r, err := a.next()
		for r != nil {
			var n int
			data = make([]byte, size)
			n, err = r.Read(data)
			data = data[:n]
			if err == io.EOF {
				err = nil
			}
			if !a.again(err) {
				break
			}
		}
		return messageType, data, err
	}
}

// noteHandlers sets handlers that note what they are called with, and do what the default ones do.
func (s *scriptTransport) noteHandlers() {
	note := func(what, data string) {
		s.events() // the replies before it have left
		s.note(scriptEvent{kind: '@', what: what, data: []byte(data)})
	}
	ping, pong, closed := s.c.PingHandler(), s.c.PongHandler(), s.c.CloseHandler()
	s.c.SetPingHandler(func(data string) error {
		note("ping", data)
		return ping(data)
	})
	s.c.SetPongHandler(func(data string) error {
		note("pong", data)
		return pong(data)
	})
	s.c.SetCloseHandler(func(code int, text string) error {
		note(fmt.Sprint("close ", code), text)
		return closed(code, text)
	})
}

// play has a connection read the bytes, and returns the events and what is wrong whatever they are.
func (c *conversation) play(in []byte, o connOptions) (events []scriptEvent, wrong string) {
	s := &scriptTransport{in: in, pos: min(c.early, len(in)), interrupt: c.timeouts, eof: c.eof}
	if c.chunk > 0 {
		for at := s.pos; at < len(in); at += c.chunk {
			s.breaks = append(s.breaks, at)
		}
	}
	o.readLimit = c.limit
	a := newScriptApp(s, c.server, c.quick, o)
	defer a.c.Close()
	if c.handlers {
		s.noteHandlers()
	}
	end := a.readAll(c.method, 2*len(in)+2)
	if events = slices.Clone(s.events()); end == nil {
		return events, "got more events than bytes"
	}
	a.afterError(end, 1)
	return events, a.wrong
}

// compare returns the first difference of the events and the reference's.
func (c *conversation) compare(got, want []scriptEvent, undecided bool) string {
	gotMessages, messages := ofKinds(got, "="), ofKinds(want, "=")
	if undecided {
		gotMessages = gotMessages[:min(len(gotMessages), len(messages))]
	}
	some := undecided
	for i := range messages {
		if i < len(gotMessages) && c.abandons(i) {
			some = true
			g, w := &gotMessages[i], &messages[i]
			g.what, w.what = lastWord(g.what), lastWord(w.what)
			if bytes.HasPrefix(w.data, g.data) {
				w.data = g.data
			}
		}
	}
	switch {
	case some:
		if wrong := diffEvents(gotMessages, messages, false, false); wrong != "" || undecided {
			return wrong
		}
		return diffEvents(framesLast(ofKinds(got, "<!@")), framesLast(ofKinds(want, "<!@")), false, false)
	case c.quick:
		return diffEvents(framesLast(got), framesLast(want), false, false)
	}
	fault := slices.ContainsFunc(want, func(e scriptEvent) bool { return strings.HasPrefix(e.what, "upto ") })
	return diffEvents(got, want, c.chunk == 1 && c.early == 0 && !(fault && c.compressed), false)
}

// Whatever comes, in whatever pieces, and however the program reads: the messages, the replies and the error
// are those of the reference.
func FuzzConversation(f *testing.F) {
	flags := uint32(0)
	add := func(file string, compression uint32) {
		for _, tr := range readTranscripts(f, file) {
			for _, tr := range tr.sides(f) {
				flags += 0x9e3779b1 // for any
				if flags>>31 == 1 || len(tr.in) > 100 {
					continue // the fuzzer plays half of them at the beginning
				}
				side := uint32(0)
				if tr.side == "server" {
					side = 1
				}
				f.Add(tr.in, flags&^7|compression<<1|side, []byte{byte(flags >> 24)})
			}
		}
	}
	for _, file := range wireTranscripts(f) {
		add(file, 0)
	}
	for range 4 {
		add("testdata/rfc7692/no-takeover.txt", 2)
		add("testdata/rfc7692/takeover.txt", 3)
		add("testdata/rfc7692/vectors.txt", 3)
	}
	text := textLike(600, 1)
	var in []byte
	for _, payload := range deflateMessages(9, text, text[:100], text) {
		h := header{fin: true, rsv1: true, opcode: opText, length: int64(len(payload))}
		in = append(h.append(in), payload...)
	}
	in = append(in, "\x88\x7b\x03\xe8"+strings.Repeat("b", 121)...)
	for bits := range uint32(8) {
		f.Add(in, 3<<1|bits<<3, []byte{byte(bits)})
	}
	f.Fuzz(func(t *testing.T, in []byte, flags uint32, ways []byte) {
		in = in[:min(len(in), 4000)]
		c := newConversation(flags, ways)
		r := &reference{in: in, eof: c.eof, server: c.server, limit: c.limit, handlers: c.handlers}
		var o connOptions
		if c.compressed {
			o.agreed.deflate = &deflateParams{!c.takeover, !c.takeover, c.bits, c.bits}
			r.inflater = &strictInflater{bits: c.bits, takeover: c.takeover}
		}
		got, wrong := c.play(in, o)
		if wrong != "" {
			t.Fatalf("%+v: % x: %s", c, in, wrong)
		}
		r.seen, r.unread = got, func(number int) bool { return c.abandons(number - 1) }
		want := r.read()
		if wrong := c.compare(got, want, r.undecided); wrong != "" {
			t.Errorf("%+v: % x: %s\ngot  %v\nwant %v", c, in, wrong, got, want)
		}
	})
}
