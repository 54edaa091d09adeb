//go:build go1.25

package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	seen, seenRest := splitEvents(r.seen)
	_, rest := splitEvents(r.events)
	end := func(e scriptEvent) bool { return e.kind == '!' && e.what == text }
	return len(seen) == r.number && len(seenRest) == len(rest)+2 && slices.ContainsFunc(seenRest, end)
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

// splitEvents returns the messages, and all else.
func splitEvents(list []scriptEvent) (messages, rest []scriptEvent) {
	for _, e := range framesLast(list) {
		if e.kind == '=' {
			messages = append(messages, e)
		} else {
			rest = append(rest, e)
		}
	}
	return messages, rest
}

// eachTranscript calls f for each transcript of the files in testdata, on each side on which it is played.
func eachTranscript(t testing.TB, pattern string, f func(tr *transcript)) {
	t.Helper()
	files, err := filepath.Glob("testdata/" + pattern + ".txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files of transcripts (%v)", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, err := parseTranscripts(filepath.Base(file), string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range list {
			for _, tr := range tr.sides(t) {
				f(tr)
			}
		}
	}
}

// The reference makes of the transcripts' bytes what stands in them.
func TestReference(t *testing.T) {
	eachTranscript(t, "wire/*", func(tr *transcript) {
		r := &reference{in: tr.in, eof: tr.eof, server: tr.side == "server", limit: tr.limit}
		got := r.read()
		for i := range got {
			got[i].what = strings.Replace(got[i].what, "upto ", "part ", 1)
		}
		if wrong := diffEvents(got, tr.want, true, false); wrong != "" {
			t.Errorf("%s: %s", tr.where, wrong)
		}
	})
}
