package websocket

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// transcript is one transcript of a file in testdata. testdata/README.md
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
	switch e.kind {
	case '!':
		return "! " + e.what
	case '<':
		return fmt.Sprintf("< %.100q of %d bytes", e.data, len(e.data))
	}
	return fmt.Sprintf("%c %s %.100q of %d bytes", e.kind, e.what, e.data, len(e.data))
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

// ofKinds returns the events of these kinds.
func ofKinds(list []scriptEvent, kinds string) (out []scriptEvent) {
	for _, e := range list {
		if strings.IndexByte(kinds, e.kind) >= 0 {
			out = append(out, e)
		}
	}
	return out
}

// skippedEvents is what the application sees of the events that skips all
// payload: first the types of the messages, then all else.
func skippedEvents(list []scriptEvent) (out []scriptEvent) {
	for _, e := range ofKinds(list, "=") {
		out = append(out, scriptEvent{kind: '=', what: lastWord(e.what)})
	}
	return append(out, ofKinds(list, "<!@")...)
}

func lastWord(s string) string { return s[strings.LastIndexByte(s, ' ')+1:] }

// framesLast returns the events with the endpoint's frames behind all else, because the answers
// to a burst leave at its end.
func framesLast(list []scriptEvent) []scriptEvent {
	return append(ofKinds(list, "=!@"), ofKinds(list, "<")...)
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

var (
	scriptMessage = regexp.MustCompile(`^((?:part |upto )?(?:text|binary))(?: (.*))?$`)
	scriptToken   = regexp.MustCompile(`^(key:)?(?:([0-9a-f]+)|("(?:[^"\\]|\\.)*"))(?:\*([0-9]+))?(?: +|$)`)
)

func (tr *transcript) parseLine(line string) (err error) {
	switch directive, value, _ := strings.Cut(line, ": "); {
	case directive != "side" && directive != "limit":
	case len(tr.lines) > 0:
		return fmt.Errorf("%s behind the first bytes", directive)
	case directive == "limit":
		tr.limit, err = strconv.ParseInt(value, 10, 64)
		return err
	case value == "server", value == "client":
		tr.side = value
		return nil
	}

	kind, rest, _ := strings.Cut(line, " ")
	_, ended := tr.end()
	e := scriptEvent{at: len(tr.lines), kind: line[0]}
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
		m := scriptMessage.FindStringSubmatch(rest)
		if m == nil {
			return fmt.Errorf("no message type in %q", line)
		}
		e.what = m[1]
		e.data, err = parseTokens(m[2], false)
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
	for s = strings.TrimSpace(s); s != ""; {
		m := scriptToken.FindStringSubmatch(s)
		if m == nil {
			return nil, fmt.Errorf("bad token at %q", s)
		}
		s = s[len(m[0]):]
		token, err := hex.DecodeString(m[2])
		if m[3] != "" {
			var text string
			text, err = strconv.Unquote(m[3])
			token = []byte(text)
		}
		isKey := m[1] != ""
		if err != nil || isKey && (!in || key != nil || len(token) != 4) {
			return nil, fmt.Errorf("bad token %q", m[0])
		}
		times := 1
		if m[4] != "" {
			if times, err = strconv.Atoi(m[4]); err != nil {
				return nil, err
			}
		}
		b = append(b, bytes.Repeat(token, times)...)
		if isKey {
			key, start = token, len(b)
		}
	}
	if key != nil {
		maskEach(b[start:], [4]byte(key), 0)
	}
	return b, nil
}

// unmaskFrames takes the masking out of frames, of which the last may be cut off.
func unmaskFrames(b []byte) (out []byte, err error) {
	for len(b) >= 2 {
		size, length := 2, uint64(b[1]&0x7f)
		switch {
		case b[1]&0x80 == 0:
			return nil, fmt.Errorf("frame %x... is not masked", b[:2])
		case length == 126:
			size = 4
		case length == 127:
			size = 10
		}
		out = append(append(out, b[0], b[1]&0x7f), b[2:min(size, len(b))]...)
		if len(b) <= size {
			return out, nil
		}
		if len(b) < size+4 {
			return nil, fmt.Errorf("frame %x... ends within the masking key", b[:2])
		}
		if size > 2 {
			length = 0
			for _, x := range b[2:size] {
				length = length<<8 | uint64(x)
			}
		}
		key, payload := [4]byte(b[size:]), b[size+4:]
		length = min(length, uint64(len(payload)))
		out = append(out, payload[:length]...)
		maskEach(out[len(out)-int(length):], key, 0)
		b = payload[length:]
	}
	return append(out, b...), nil
}

// end returns the number of lines before the error, or of all if there is none.
func (tr *transcript) end() (lines int, ended bool) {
	if n := len(tr.events); n > 0 && tr.events[n-1].kind == '!' {
		return tr.events[n-1].at, true
	}
	return len(tr.lines), false
}

// sides returns the transcript, prepared, for each side on which it is to be played.
func (tr *transcript) sides(t testing.TB) (list []*transcript) {
	t.Helper()
	for _, side := range []string{"server", "client"} {
		if tr.side != "" && tr.side != side {
			continue
		}
		c := *tr
		c.side = side
		if err := c.prepare(tr.side == "" && side == "client"); err != nil {
			t.Fatalf("%s: %v, so it needs a side", tr.where, err)
		}
		list = append(list, &c)
	}
	return list
}

// prepare sets in, ends and want. The lines may be those of a client, to be unmasked for a server's.
func (tr *transcript) prepare(unmask bool) (err error) {
	end, ended := tr.end()
	at := []int{0}
	for i, line := range tr.lines {
		if unmask && i < end { // behind the error no frames are read
			if line, err = unmaskFrames(line); err != nil {
				return err
			}
		}
		tr.in = append(tr.in, line...)
		at = append(at, len(tr.in))
	}
	tr.ends = at[1:]
	for _, e := range tr.events {
		e.at = at[e.at]
		tr.want = append(tr.want, e)
	}
	if !ended {
		tr.want = append(tr.want, scriptEvent{at: len(tr.in), kind: '!', what: errScriptExhausted.Error()})
	}
	return nil
}

// readTranscripts returns the transcripts of a file in testdata.
func readTranscripts(t testing.TB, file string) []*transcript {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseTranscripts(filepath.Base(file), string(text))
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: got %d transcripts (%v)", file, len(list), err)
	}
	return list
}

// wireTranscripts returns the files of transcripts without compression.
func wireTranscripts(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files of transcripts (%v)", len(files), err)
	}
	return files
}

// What the transcripts say is seen when they are played, but not what is lost of a line that is wrong.
func TestTranscriptParse(t *testing.T) {
	for _, line := range []string{
		"> 8", "> 81 8_", "> 81*", "> 81*x", `> "a`, `> "a"61`, "> *3", "< key:00000000", "> key:00", "81 80", "= 00",
		"= part 00", "side: both", "limit: x", "? 00", "> eof\n> 81", "! a\n< 81", "> 81\nside: server", "name: a",
	} {
		const where = "f:3: "
		if _, err := parseTranscripts("f", "# a comment\nname: a\n"+line); err == nil ||
			!strings.HasPrefix(err.Error(), where) && !strings.Contains(line, "\n") {
			t.Errorf("%q: got %v, want an error in %s", line, err, where)
		}
	}
}
