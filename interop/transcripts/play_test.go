package transcripts

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/switching-protocols/websocket"
)

// row is what the libraries make of a transcript.
type row struct {
	*transcript
	here  string // what this library does, and the transcript says
	cells []string
}

// playAll plays all transcripts to all libraries, in both roles, and returns those from which
// another library than this one diverges. For this library that is an error.
func playAll(t *testing.T) (rows []row) {
	played := 0
	for _, group := range []struct {
		pattern string
		s       settings
	}{
		{"wire/*.txt", settings{}},
		{"rfc7692/vectors.txt", settings{compress: true}},
		{"rfc7692/no-takeover.txt", settings{compress: true}},
		{"rfc7692/takeover.txt", settings{compress: true, takeover: true}},
	} {
		for _, tr := range readTranscripts(t, filepath.Join("../../testdata", group.pattern)) {
			s := group.s
			if s.limit = tr.limit; s.limit == 0 {
				s.limit = websocket.DefaultReadLimit
			}
			r := row{transcript: tr, here: tr.summary()}
			for _, l := range libraries {
				r.cells = append(r.cells, l.playSides(t, tr, s))
				played++
			}
			if slices.ContainsFunc(r.cells, diverges) {
				rows = append(rows, r)
			}
			if r.cells[0] != "" {
				t.Errorf("%s: %s: %s, want %s", tr.file, tr.name, r.cells[0], r.here)
			}
		}
	}
	if played < 500*len(libraries) {
		t.Errorf("played %d transcripts, want all", played/len(libraries))
	}
	return rows
}

// without is the cell of a library that has not what the transcript is about.
const without = "–"

func diverges(cell string) bool { return cell != "" && cell != without }

// playSides plays the transcript to the library, as a server and as a client, and returns
// how the library diverges.
func (l *library) playSides(t *testing.T, tr *transcript, s settings) string {
	t.Helper()
	differences := make(map[string]string)
	for _, side := range []string{"server", "client"} {
		if tr.side != "" && tr.side != side {
			continue
		}
		b, want := tr.ready(side)
		got, err := l.play(side, s, b)
		if err == errNotNegotiated {
			differences[side] = without
			continue
		}
		full := complete(b)
		whole := len(full) == len(b) && atBoundary(b)
		difference := got.difference(want, whole)
		if err == nil && want.end == endFails && got.end == endWaits && !whole {
			difference = "waits"
			if len(got.messages) > len(want.messages) {
				difference = "waits, delivers a part"
			}
			if len(full) > len(b) {
				// Does it fail when the message is complete?
				var later outcome
				later, err = l.play(side, s, full)
				if d := later.difference(want, true); d != "" {
					difference = d
				}
			}
		}
		if err != nil {
			t.Fatalf("%s: %s: %s as a %s: %v", tr.file, tr.name, l.name, side, err)
		}
		differences[side] = difference
		if l == ours && tr.err != "" && got.err.Error() != tr.err {
			t.Errorf("%s: %s: got the error %q, want %q", tr.file, tr.name, got.err, tr.err)
		}
	}
	server, client := differences["server"], differences["client"]
	switch {
	case len(differences) == 1:
		return server + client
	case server == client:
		return server
	case server == "":
		return "as a client: " + client
	case client == "":
		return "as a server: " + server
	}
	return server + "; as a client: " + client
}

// ready returns the bytes that are sent to the side, and what is to come of them. Where the
// transcript leaves the endpoint waiting for another frame, a ping and a Close frame show
// that it is alive.
func (tr *transcript) ready(side string) (b []byte, want outcome) {
	b, want = tr.bytesFor(side), tr.want
	if !tr.alive() {
		return b, want
	}
	want.pongs = append(slices.Clip(want.pongs), "alive?")
	want.closed, want.end = "1000", endClose(1000, "bye")
	if side == "server" {
		return append(b, "\x89\x86\x00\x00\x00\x00alive?\x88\x85\x00\x00\x00\x00\x03\xe8bye"...), want
	}
	return append(b, "\x89\x06alive?\x88\x05\x03\xe8bye"...), want
}

// alive reports whether the endpoint waits for another frame behind the transcript.
func (tr *transcript) alive() bool {
	side := tr.side
	if side == "" {
		side = "server"
	}
	return tr.err == "" && !tr.eof && atBoundary(tr.bytesFor(side))
}

// summary says what the transcript asks for.
func (tr *transcript) summary() string {
	switch {
	case tr.want.end == endFails:
		return "close " + tr.want.closed
	case tr.want.end != endWaits:
		return "answers " + tr.want.closed
	case tr.eof:
		return "ends"
	case tr.alive():
		return "accepts"
	}
	return "waits"
}

// difference says in short how the outcome differs from the one that is wanted, and is empty
// where it does not. Whole is whether the last message that was sent is complete.
func (o outcome) difference(want outcome, whole bool) string {
	if o.end == endPanics {
		return "panics"
	}
	if want.end == endFails {
		switch {
		case len(o.messages) > len(want.messages), len(o.pongs) > len(want.pongs):
			return "accepts"
		case !slices.Equal(o.messages, want.messages):
			return "delivers " + shortened(o.messages)
		case !slices.Equal(o.pongs, want.pongs):
			return "pongs " + quoted(o.pongs)
		case o.end == endFails:
			return o.closing(want)
		case o.end == endWaits && !whole:
			return "waits"
		case o.end == endWaits, o.closed <= "1001", strings.HasPrefix(o.end, "close "+o.closed+" "):
			return "accepts"
		case o.closed == want.closed:
			return "reports the code"
		}
		return o.closing(want) + ", reports the code"
	}
	if o.end == endFails {
		return o.closing(want)
	}
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case slices.Equal(o.messages, want.messages):
	case want.end == endWaits:
		add("delivers a part")
	default:
		add("delivers %s", shortened(o.messages))
	}
	if !slices.Equal(o.pongs, want.pongs) {
		add("pongs %s", quoted(o.pongs))
	}
	if want.end == endWaits && o.closed != "" {
		add("close %s", o.closed)
	} else if o.closed != want.closed {
		add("answers %s", o.closed)
	}
	if o.end != want.end {
		add("reports %s", o.end)
	}
	return strings.Join(parts, ", ")
}

// closing says with which Close frame the endpoint fails, if it is not the one that is wanted.
func (o outcome) closing(want outcome) string {
	switch {
	case o.closed == want.closed && want.end == endFails:
		return ""
	case o.closed == "":
		return "no Close frame"
	case o.closed == badMask:
		return "Close frame without a mask"
	}
	return "close " + o.closed
}

// shortened returns the beginnings of the messages.
func shortened(list []message) string {
	var s []string
	for _, m := range list {
		s = append(s, m.data[:min(len(m.data), 20)])
	}
	return quoted(s)
}

func quoted(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprintf("%q", list), "[]")
}
