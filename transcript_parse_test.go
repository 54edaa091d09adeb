package websocket

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// transcript is one transcript of a file in testdata/wire. testdata/README.md
// describes the format.
type transcript struct {
	where  string // file and line
	name   string
	side   string // "server", "client", or "" for both
	limit  int64  // the read limit, where it is not 0
	lines  [][]byte
	eof    bool // the peer's side ends behind the last line
	events []scriptEvent

	// Of one that is to be played, the same with the lines put together.
	in   []byte
	ends []int         // of the lines
	want []scriptEvent // with the error that ends it
}

// scriptEvent is something that the endpoint does.
type scriptEvent struct {
	at   int    // in a transcript: the number of lines before it; in a log: of bytes
	kind byte   // one of < = !
	what string // the type of a message, or the text of an error
	data []byte // of a frame or message
}

func (e scriptEvent) String() string {
	shown, more := e.data, ""
	if len(shown) > 64 {
		shown, more = shown[:64], fmt.Sprintf("... (%d bytes)", len(shown))
	}
	switch e.kind {
	case '!':
		return "! " + e.what
	case '<':
		head := shown[:min(len(shown), 4)]
		return fmt.Sprintf("< %x %q%s", head, shown[len(head):], more)
	}
	return fmt.Sprintf("= %s %q%s", e.what, shown, more)
}

// diffEvents returns the first difference of got and want.
func diffEvents(got, want []scriptEvent, exact, skip bool) string {
	if skip {
		got, want = skippedEvents(got), skippedEvents(want)
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("got nothing, want %v", want[i])
		case i >= len(want):
			return fmt.Sprintf("got %v, want nothing", got[i])
		}
		g, w := got[i], want[i]
		same := bytes.Equal(g.data, w.data)
		if messageType, ok := strings.CutPrefix(w.what, "upto "); ok && w.kind == '=' {
			w.what = "part " + messageType
			same = same || !exact && bytes.HasPrefix(w.data, g.data)
		}
		if g.kind != w.kind || g.what != w.what || !same {
			return fmt.Sprintf("got %v, want %v", g, want[i])
		}
		if exact && g.at != w.at {
			return fmt.Sprintf("got %v after %d bytes, want it after %d", g, g.at, w.at)
		}
	}
	return ""
}

// skippedEvents is what the application sees of the events that skips all
// payload: first the types of the messages, then all else.
func skippedEvents(list []scriptEvent) (out []scriptEvent) {
	for _, e := range list {
		if e.kind == '=' {
			what := e.what[strings.Index(e.what, " ")+1:]
			out = append(out, scriptEvent{kind: '=', what: what})
		}
	}
	for _, e := range list {
		if e.kind != '=' {
			out = append(out, e)
		}
	}
	return out
}

// framesLast returns the events with the endpoint's frames behind all else, because the answers
// to a burst leave at its end.
func framesLast(list []scriptEvent) (out []scriptEvent) {
	var frames []scriptEvent
	for _, e := range list {
		if e.kind == '<' {
			frames = append(frames, e)
		} else {
			out = append(out, e)
		}
	}
	return append(out, frames...)
}

// parseTranscripts parses the transcripts of a file.
func parseTranscripts(file, text string) (list []*transcript, err error) {
	lines := strings.Split(text, "\n")
	names := make(map[string]bool)
	for i := 0; i < len(lines); i++ {
		where, line := fmt.Sprintf("%s:%d", file, i+1), lines[i]
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "+ ") {
			i++
			line += lines[i][1:]
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "name: "); ok {
			if names[name] {
				return nil, fmt.Errorf("%s: a second transcript %q", where, name)
			}
			names[name] = true
			list = append(list, &transcript{where: where, name: name})
			continue
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("%s: line before the first name", where)
		}
		if err := list[len(list)-1].parseLine(line); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	return list, nil
}

func (tr *transcript) parseLine(line string) (err error) {
	directive, value, ok := strings.Cut(line, ": ")
	if ok && (directive == "side" || directive == "limit") {
		if len(tr.lines) > 0 {
			return fmt.Errorf("%s behind the first bytes", directive)
		}
		if directive == "limit" {
			tr.limit, err = strconv.ParseInt(value, 10, 64)
			return err
		}
		if tr.side = value; value != "server" && value != "client" {
			return fmt.Errorf("no side %q", value)
		}
		return nil
	}

	kind, rest, ok := strings.Cut(line, " ")
	if !ok {
		return fmt.Errorf("bad line %q", line)
	}
	ended := len(tr.events) > 0 && tr.events[len(tr.events)-1].kind == '!'
	e := scriptEvent{at: len(tr.lines), kind: kind[0]}
	switch {
	case kind == ">" && tr.eof:
		return fmt.Errorf("bytes behind eof")
	case kind == ">" && rest == "eof":
		tr.eof = true
		return nil
	case kind == ">":
		b, err := parseTokens(rest, true)
		tr.lines = append(tr.lines, b)
		return err
	case ended:
		return fmt.Errorf("event behind the error")
	case kind == "<":
		e.data, err = parseTokens(rest, false)
	case kind == "=":
		e.what, rest, _ = strings.Cut(rest, " ")
		if e.what == "part" || e.what == "upto" {
			messageType, data, _ := strings.Cut(rest, " ")
			e.what, rest = e.what+" "+messageType, data
		}
		if messageType := e.what[strings.Index(e.what, " ")+1:]; messageType != "text" && messageType != "binary" {
			return fmt.Errorf("no message type %q", messageType)
		}
		e.data, err = parseTokens(rest, false)
	case kind == "!":
		e.what = rest
	default:
		return fmt.Errorf("bad line %q", line)
	}
	tr.events = append(tr.events, e)
	return err
}

// parseTokens parses the bytes of a line: hex, "text", either repeated by *N, and,
// of frames that come in, key:HEX, which masks all that follows.
func parseTokens(s string, in bool) (b []byte, err error) {
	var key []byte
	start := 0 // of what the key masks
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		var token []byte
		if hexKey, ok := strings.CutPrefix(s, "key:"); ok && in && key == nil && len(hexKey) >= 8 {
			if key, err = hex.DecodeString(hexKey[:8]); err != nil {
				return nil, err
			}
			b = append(b, key...)
			start = len(b)
			s = hexKey[8:]
			continue
		}
		if quoted, err := strconv.QuotedPrefix(s); err == nil && s[0] == '"' {
			text, _ := strconv.Unquote(quoted)
			token, s = []byte(text), s[len(quoted):]
		} else {
			end := strings.IndexAny(s+" ", " *")
			if token, err = hex.DecodeString(s[:end]); err != nil || end == 0 {
				return nil, fmt.Errorf("bad token at %q", s)
			}
			s = s[end:]
		}
		n := 1
		if count, ok := strings.CutPrefix(s, "*"); ok {
			count, s, _ = strings.Cut(count, " ")
			if n, err = strconv.Atoi(count); err != nil || n < 0 {
				return nil, fmt.Errorf("bad count %q", count)
			}
		} else if s != "" && s[0] != ' ' {
			return nil, fmt.Errorf("no space before %q", s)
		}
		b = append(b, bytes.Repeat(token, n)...)
	}
	if key != nil {
		for i := range b[start:] {
			b[start+i] ^= key[i%4]
		}
	}
	return b, nil
}

// unmaskFrames takes the masking out of frames, of which the last may be cut off.
func unmaskFrames(b []byte) (out []byte, err error) {
	for len(b) >= 2 {
		size := 2
		length := uint64(b[1] & 0x7f)
		switch {
		case b[1]&0x80 == 0:
			return nil, fmt.Errorf("frame %x... is not masked", b[:2])
		case length == 126:
			size = 4
		case length == 127:
			size = 10
		}
		out = append(out, b[0], b[1]&0x7f)
		if len(b) <= size {
			return append(out, b[2:]...), nil
		}
		if len(b) < size+4 {
			return nil, fmt.Errorf("frame %x... ends within the masking key", b[:2])
		}
		switch size {
		case 4:
			length = uint64(binary.BigEndian.Uint16(b[2:]))
		case 10:
			length = binary.BigEndian.Uint64(b[2:])
		}
		out = append(out, b[2:size]...)
		key, payload := b[size:size+4], b[size+4:]
		length = min(length, uint64(len(payload)))
		for i, c := range payload[:length] {
			out = append(out, c^key[i%4])
		}
		b = payload[length:]
	}
	return append(out, b...), nil
}

// forClient returns the transcript as a client sees it.
func (tr *transcript) forClient() (*transcript, error) {
	c := *tr
	c.side = "client"
	if tr.side == "client" {
		return &c, nil
	}
	end := len(tr.lines)
	if n := len(tr.events); n > 0 && tr.events[n-1].kind == '!' {
		end = tr.events[n-1].at // behind the error no frames are read
	}
	c.lines = append([][]byte(nil), tr.lines...)
	for i, line := range tr.lines[:end] {
		var err error
		if c.lines[i], err = unmaskFrames(line); err != nil {
			return nil, fmt.Errorf("%s: %w, so it needs a side", tr.where, err)
		}
	}
	return &c, nil
}

// prepare sets in, ends and want.
func (tr *transcript) prepare() {
	at := []int{0}
	for _, line := range tr.lines {
		tr.in = append(tr.in, line...)
		at = append(at, len(tr.in))
	}
	tr.ends = at[1:]
	for _, e := range tr.events {
		e.at = at[e.at]
		tr.want = append(tr.want, e)
	}
	if n := len(tr.want); n == 0 || tr.want[n-1].kind != '!' {
		tr.want = append(tr.want, scriptEvent{at: len(tr.in), kind: '!', what: errScriptExhausted.Error()})
	}
}

func TestTranscriptParse(t *testing.T) {
	const text = `# a comment
name: all of the language
side: server
limit: 7
> 81 8_
`
	if _, err := parseTranscripts("f", text); err == nil || !strings.HasPrefix(err.Error(), "f:5: ") {
		t.Errorf("got %v, want an error in f:5", err)
	}
	list, err := parseTranscripts("f", strings.Replace(text, "8_", `86 key:01020304 "ab"*2
+ 00ff
= part text "ab\n"
< 8a 00
! websocket: any text
> 0000`, 1))
	if err != nil || len(list) != 1 {
		t.Fatalf("got %d transcripts, error %v", len(list), err)
	}
	tr := list[0]
	if got, want := fmt.Sprintf("%s %q %s %d %x", tr.where, tr.name, tr.side, tr.limit, tr.lines),
		`f:2 "all of the language" server 7 [8186010203046060626601fd 0000]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(tr.events), `[= part text "ab\n" < 8a00 "" ! websocket: any text]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c, err := tr.forClient()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%q", c.lines), `["\x81\x06abab\x00\xff" "\x00\x00"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	for _, line := range []string{
		"> 8", "> 81*", "> 81*x", `> "a`, `> "a"61`, "> *3", "< key:00000000", "> key:00", "81 80", "= 00", "= part 00",
		"side: both", "limit: x", "? 00", "> eof\n> 81", "! a\n< 81", "> 81\nside: server", "name: a",
	} {
		if _, err := parseTranscripts("f", "name: a\n"+line); err == nil {
			t.Errorf("%q was parsed", line)
		}
	}
}
