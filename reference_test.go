//go:build go1.25

package websocket

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
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

// reference reads the bytes of the transcript.
func (tr *transcript) reference() *reference {
	return &reference{in: tr.in, eof: tr.eof, server: tr.side == "server", limit: tr.limit}
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
	if r.kind != "" {
		what, part := "part ", r.payload
		if r.compressed {
			what = "upto "
			part, _, _ = r.inflate(false)
		}
		r.note('=', what+r.kind, part)
	}
	r.note('!', text, nil)
	return false
}

// starve ends the reading where all bytes are consumed that make a unit.
func (r *reference) starve() bool {
	r.pos = len(r.in)
	text := errScriptExhausted.Error()
	if r.eof {
		text = "websocket: close 1006 (abnormal closure): unexpected EOF"
	}
	return !r.mayFail() && r.end(text)
}

// close sends a Close frame.
func (r *reference) close(code int, reason string) {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	r.reply(0x88, append(payload, reason...))
}

func (r *reference) reply(b0 byte, payload []byte) {
	r.note('<', "", append([]byte{b0, byte(len(payload))}, payload...))
}

// What is wrong with a message.
const (
	wrongUTF8    = "text is not valid UTF-8"
	wrongCorrupt = "compressed message is corrupt"
	wrongTooBig  = "read limit exceeded"
	wrongEmpty   = "too many empty fragments in a message"
	wrongReason  = "reason of a close frame is not valid UTF-8"
)

// referenceCodes are the close codes for what is not a protocol error (RFC 6455, 7.4.1).
var referenceCodes = map[string]int{
	wrongUTF8: 1007, wrongCorrupt: 1007, wrongReason: 1007, wrongEmpty: 1008, wrongTooBig: 1009,
}

// fail fails the connection (RFC 6455, 7.1.7), unless it has failed already because of what has come of a
// compressed message.
func (r *reference) fail(reason string) bool { return !r.mayFail() && r.refuse(reason) }

func (r *reference) refuse(reason string) bool {
	sent := reason
	if reason == wrongTooBig {
		sent = ""
	}
	r.close(cmp.Or(referenceCodes[reason], 1002), sent)
	return r.end("websocket: " + reason)
}

// frame reads a frame, and reports whether another one may follow.
func (r *reference) frame() bool {
	b, ok := r.take(2)
	if !ok {
		return r.starve()
	}
	fin, rsv1, op := b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x0f
	masked, length := b[1]&0x80 != 0, uint64(b[1]&0x7f)
	if broken := brokenRule([2]byte(b), r.server, r.kind != "", r.inflater != nil); broken != "" {
		return r.fail(broken)
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
			return r.fail(fmt.Sprintf("the most significant bit of the length %#x is set", length))
		case length < 126, size == 8 && length <= 0xffff:
			return r.fail(fmt.Sprintf("length %d is not encoded in the fewest bytes", length))
		}
	}
	key := make([]byte, 4)
	if masked {
		if key, ok = r.take(4); !ok {
			return r.starve()
		}
	}
	if op >= 8 {
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

// brokenRule returns the rule that a frame's first two bytes break, or "" (RFC 6455, 5.1, 5.2, 5.4 and 5.5;
// RFC 7692, 6).
func brokenRule(b [2]byte, server, inMessage, compression bool) string {
	fin, rsv1, rsv2, rsv3, op := b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x20 != 0, b[0]&0x10 != 0, b[0]&0x0f
	masked, length := b[1]&0x80 != 0, b[1]&0x7f
	control := op >= 8
	switch {
	case rsv1 && !compression:
		return "reserved bit RSV1 is set"
	case rsv2:
		return "reserved bit RSV2 is set"
	case rsv3:
		return "reserved bit RSV3 is set"
	case rsv1 && control:
		return "control frame is marked as compressed"
	case rsv1 && op == 0:
		return "continuation frame is marked as compressed"
	case !slices.Contains([]byte{0, 1, 2, 8, 9, 10}, op):
		return fmt.Sprintf("unknown opcode %d", op)
	case server && !masked:
		return "frame from a client is not masked"
	case !server && masked:
		return "frame from a server is masked"
	case control && !fin:
		return "control frame is fragmented"
	case control && length > 125:
		return "control frame is longer than 125 bytes"
	case op == 0 && !inMessage:
		return "continuation frame without a message to continue"
	case !control && op != 0 && inMessage:
		return "new message before the end of the one before"
	}
	return ""
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
		return r.fail("payload of a close frame is 1 byte long")
	}
	code, reason := 1005, ""
	if len(payload) > 0 { // 7.4
		code, reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
		valid := slices.Contains([]int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}, code)
		if !valid && (code < 3000 || code > 4999) {
			return r.fail(fmt.Sprintf("bad close code %d", code))
		}
		if !utf8.ValidString(reason) {
			return r.fail(wrongReason)
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
		return r.fail(wrongTooBig)
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
			return r.fail(wrongEmpty)
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
			if r.character = append(r.character, x); firstBad(r.character) < len(r.character) {
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
	r.refuse(wrongUTF8)
	r.events[len(r.events)-2].what = "upto text"
	return false
}

// inflate decompresses what there is of the message, or the whole of it, and returns the reasons for which it may
// be refused.
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
		wrong = append(wrong, wrongCorrupt)
	}
	incomplete := whole && err == nil && limit == len(out) && !utf8.Valid(out)
	if r.kind == "text" && (firstBad(out[:limit]) < limit || incomplete) {
		wrong = append(wrong, wrongUTF8)
	}
	if len(out) > limit {
		wrong = append(wrong, wrongTooBig)
	}
	return out[:limit], wrong, &s
}

// blames reports whether the endpoint has failed here, within the current message, for this reason.
func (r *reference) blames(reason string) bool {
	messages, rest := len(ofKinds(r.seen, "=")), len(ofKinds(r.seen, "<!@"))
	end := func(e scriptEvent) bool { return e.kind == '!' && e.what == "websocket: "+reason }
	return messages == r.number && rest == len(ofKinds(r.events, "<!@"))+2 && slices.ContainsFunc(r.seen, end)
}

// mayFail ends the reading if the compressed message so far is wrong, and the endpoint has seen it.
func (r *reference) mayFail() bool {
	if r.kind == "" || !r.compressed {
		return false
	}
	_, wrong, _ := r.inflate(false)
	i := slices.IndexFunc(wrong, r.blames)
	if i >= 0 {
		r.refuse(wrong[i])
	}
	return i >= 0
}

// endCompressed ends a compressed message (RFC 7692, 7.2.2).
func (r *reference) endCompressed() bool {
	out, wrong, after := r.inflate(true)
	if r.undecided {
		return false
	}
	if i := slices.IndexFunc(wrong, r.blames); i >= 0 {
		return r.refuse(wrong[i])
	}
	// A message that is not read to its end is not decompressed either, unless later ones may refer to it.
	if len(wrong) > 0 && (r.inflater.takeover || !r.unread(r.number)) {
		return r.refuse(wrong[0])
	}
	r.inflater = after
	return r.endMessage(out)
}

// The reference makes of the transcripts' bytes what stands in them.
func TestReference(t *testing.T) {
	skipRace(t)
	for _, file := range wireTranscripts(t) {
		for _, tr := range readTranscripts(t, file) {
			for _, tr := range tr.sides(t) {
				got := tr.reference().read()
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

// conversation is an endpoint of FuzzConversation and what it reads: a transcript with neither lines nor events.
type conversation struct {
	transcript
	delivery scriptDelivery
	options  connOptions
	inflater *strictInflater // the reference's
	handlers bool
	ways     []byte
}

// newConversation is the conversation that the flags stand for.
func newConversation(in []byte, flags uint32, ways []byte) *conversation {
	take := func(bits uint) int {
		v := flags & (1<<bits - 1)
		flags >>= bits
		return int(v)
	}
	c := &conversation{ways: ways}
	c.in = in[:min(len(in), 4000)]
	c.side = []string{"client", "server"}[take(1)]
	compression, bits, limit := take(2), minWindowBits+take(3), take(2)
	c.limit = []int64{0, -1, 10, 1000}[limit]
	if compression > 1 {
		takeover := compression == 3
		c.limit = []int64{70_000, 5000, 10, 1000}[limit]
		c.options.agreed.deflate = &deflateParams{!takeover, !takeover, bits, bits}
		c.inflater = &strictInflater{bits: bits, takeover: takeover}
	}
	chunk := []int{0, 1, 1, 2, 3, 7, 50, 200}[take(3)] // bytes that come at once; 0 means all
	c.delivery.timeouts = take(1) == 1
	early := 20 * take(1) // bytes that come with the handshake
	c.delivery.name = fmt.Sprintf("%d bytes at once behind the first %d", chunk, early)
	c.delivery.exact = chunk == 1 && early == 0
	c.delivery.cut = func(in []byte, _ []int) (int, []int) {
		start := min(early, len(in))
		var breaks []int
		for at := start; at < len(in) && chunk > 0; at += chunk {
			breaks = append(breaks, at)
		}
		return start, breaks
	}
	c.delivery.quick = take(2) == 1
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
		reading(n/3+1, true), reading(0, true), reading(n/3+1, false), scriptSkip.read,
	}[kind-4]
	if !c.delivery.timeouts {
		return scriptMethod{read: rest}
	}
	// A reader has what had come of the message before this was interrupted.
	return scriptMethod{read: func(a *scriptApp) (int, []byte, error) { return a.readMessages(n, rest) }}
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
func (c *conversation) play() (events []scriptEvent, wrong string) {
	a := c.start(c.options, c.delivery)
	defer a.c.Close()
	if c.handlers {
		a.t.noteHandlers()
	}
	end := a.readAll(c.method, 2*len(c.in)+2)
	if events = slices.Clone(a.t.events()); end == nil {
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
	if !some {
		return c.delivery.diff(got, want, c.inflater != nil, false)
	}
	if wrong := diffEvents(gotMessages, messages, false, false); wrong != "" || undecided {
		return wrong
	}
	return diffEvents(framesLast(ofKinds(got, "<!@")), framesLast(ofKinds(want, "<!@")), false, false)
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
		c := newConversation(in, flags, ways)
		r := c.reference()
		r.handlers, r.inflater = c.handlers, c.inflater
		got, wrong := c.play()
		r.seen, r.unread = got, func(number int) bool { return c.abandons(number - 1) }
		want := r.read()
		if wrong == "" {
			wrong = c.compare(got, want, r.undecided)
		}
		if wrong != "" {
			t.Errorf("%s, %s, flags %#x, ways % x: % x: %s\ngot  %v\nwant %v",
				c.side, c.delivery.name, flags, ways, c.in, wrong, got, want)
		}
	})
}
