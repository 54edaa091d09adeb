package websocket

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// utf8Line is a line of testdata/utf8.txt.
type utf8Line struct {
	where string
	b     []byte
	valid bool
	bad   int // the first byte that no text can have there; len(b) where b only is incomplete
}

func readUTF8Table(t *testing.T) (table []utf8Line) {
	t.Helper()
	text, err := os.ReadFile("testdata/utf8.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		l := utf8Line{where: fmt.Sprintf("utf8.txt:%d", i+1), valid: f[0] == "valid"}
		ok := l.valid && len(f) == 2 || f[0] == "invalid" && len(f) == 3
		if ok {
			l.b, err = hex.DecodeString(f[1])
		}
		if ok && err == nil && !l.valid {
			l.bad, err = strconv.Atoi(f[2])
		}
		if !ok || err != nil || l.bad > len(l.b) {
			t.Fatalf("%s: bad line %q (%v)", l.where, line, err)
		}
		table = append(table, l)
	}
	return table
}

// scriptFrame returns a frame, masked, whose header announces more bytes than it has.
func scriptFrame(first byte, payload []byte, more int) []byte {
	h := []byte{first, 0x80 | byte(len(payload)+more), 0x37, 0xfa, 0x21, 0x3d}
	for i, c := range payload {
		h = append(h, c^h[2+i%4])
	}
	return h
}

// scriptClose returns a Close frame as an endpoint sends it.
func scriptClose(code int, reason string) []byte {
	p := binary.BigEndian.AppendUint16([]byte{0x88, byte(2 + len(reason))}, uint16(code))
	return append(p, reason...)
}

// transcript returns one in which the text comes in fragments that end at the
// splits, with a ping behind each. Where the text is invalid, it ends at the first
// bad byte, in a frame that is to be longer.
func (l utf8Line) transcript(splits ...int) *transcript {
	tr := &transcript{where: fmt.Sprintf("%s split at %d", l.where, splits)}
	first, start := byte(0x01), 0
	for _, split := range splits {
		if !l.valid && split > l.bad {
			break
		}
		tr.lines = append(tr.lines, scriptFrame(first, l.b[start:split], 0), scriptFrame(0x89, nil, 0))
		tr.events = append(tr.events, scriptEvent{at: len(tr.lines), kind: '<', data: []byte{0x8a, 0}})
		first, start = 0x00, split
	}
	if !l.valid && l.bad < len(l.b) {
		tr.lines = append(tr.lines, scriptFrame(first, l.b[start:l.bad+1], 100))
	} else {
		tr.lines = append(tr.lines, scriptFrame(first|0x80, l.b[start:], 0))
	}
	message := scriptEvent{at: len(tr.lines), kind: '=', what: "text", data: l.b}
	if l.valid {
		tr.events = append(tr.events, message)
		return tr
	}
	message.what = "upto text"
	switch {
	case l.bad < len(l.b):
		message.data = l.b[:l.bad]
	case start < l.bad:
		message.data = l.b[:l.bad-1] // the error comes with the last byte, and instead of it
	}
	tr.events = append(tr.events,
		scriptEvent{at: len(tr.lines), kind: '<', data: scriptClose(1007, "text is not valid UTF-8")},
		message,
		scriptEvent{at: len(tr.lines), kind: '!', what: "websocket: text is not valid UTF-8"})
	return tr
}

// playBriefly plays the transcript in some of the ways, which differ with its lines.
func (tr *transcript) playBriefly(t *testing.T) {
	t.Helper()
	for i, tr := range tr.sides(t) {
		for _, d := range []scriptDelivery{scriptDeliveries[0], scriptDeliveries[3]} {
			i++
			m := scriptMethods[(i+len(tr.lines))%len(scriptMethods)]
			if wrong := tr.play(d, m, 1); wrong != "" {
				t.Errorf("%s: %s, %s, %s: %s", tr.where, tr.side, d.name, m.name, wrong)
			}
		}
	}
}

// Text is checked byte by byte, wherever it is cut into frames (RFC 6455, 8.1).
func TestTranscriptUTF8Table(t *testing.T) {
	for _, l := range readUTF8Table(t) {
		var all []int
		l.transcript().playBriefly(t)
		for i := range len(l.b) + 1 {
			l.transcript(i).playBriefly(t)
			all = append(all, i)
		}
		l.transcript(all...).playBriefly(t)
	}
}

func TestTranscriptUTF8Validator(t *testing.T) {
	for _, l := range readUTF8Table(t) {
		if got := utf8.Valid(l.b); got != l.valid {
			t.Fatalf("%s: the table says valid %t, package utf8 %t", l.where, l.valid, got)
		}
		for i := range len(l.b) + 1 {
			for j := i; j <= len(l.b); j++ {
				l.validate(t, l.b[:i], l.b[i:j], l.b[j:])
			}
		}
		l.validate(t, slices.Collect(slices.Chunk(l.b, 1))...)
	}
}

// validate checks the text in pieces.
func (l utf8Line) validate(t *testing.T, pieces ...[]byte) {
	t.Helper()
	var v utf8Validator
	checked := 0
	for _, piece := range pieces {
		checked += len(piece)
		want := l.valid || checked <= l.bad
		if got := v.next(piece); got != want {
			t.Errorf("%s: in pieces %x: got %t after %d bytes, want %t", l.where, pieces, got, checked, want)
		}
		if !want {
			return
		}
	}
	if got := v.complete(); got != l.valid {
		t.Errorf("%s: in pieces %x: got complete %t, want %t", l.where, pieces, got, l.valid)
	}
}

// What the code of a Close frame may be (RFC 6455, 7.4, and its registry), and what
// the answer to it is.
func TestTranscriptCloseCodes(t *testing.T) {
	valid := func(code int) bool {
		return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
	}
	play := func(code int) {
		tr := &transcript{where: fmt.Sprint("close code ", code)}
		tr.lines = [][]byte{scriptFrame(0x88, []byte{byte(code >> 8), byte(code), 'b', 'y', 'e'}, 0)}
		answer, text := scriptClose(code, ""), (&CloseError{Code: code, Text: "bye"}).Error()
		if !valid(code) {
			reason := fmt.Sprintf("bad close code %d", code)
			answer, text = scriptClose(1002, reason), "websocket: "+reason
		}
		tr.events = []scriptEvent{{at: 1, kind: '<', data: answer}, {at: 1, kind: '!', what: text}}
		tr.playBriefly(t)
	}
	for code := range 5001 {
		play(code)
	}
	play(65535)
}
