package transcripts

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// transcript is one transcript of testdata, whose README describes the format.
type transcript struct {
	file, name string
	side       string   // "server", "client", or "" for both
	limit      int64    // the read limit, where it is not 0
	eof        bool     // the stream ends
	lines      [][]byte // as they are in the file, so masked unless side is client
	err        string   // the error that ends the reading, "" if the endpoint waits for more
	want       outcome
}

// outcome is what an endpoint made of a transcript.
type outcome struct {
	messages []message
	pongs    []string // their payloads
	closed   string   // the code of the Close frame it sent, noStatus for an empty one, "" for none
	end      string   // endWaits, endFails, or the Close frame it received: "close CODE REASON"
	err      error    // of the read that failed; in no comparison
}

type message struct {
	binary bool
	data   string
}

const (
	noStatus  = "1005"
	badMask   = "badly masked"
	endWaits  = "waits" // for more, until the stream ends
	endFails  = "fails" // on its own
	endPanics = "panics"
)

func endClose(code any, reason string) string { return fmt.Sprintf("close %v %s", code, reason) }

// readTranscripts reads the transcripts that match the pattern.
func readTranscripts(t *testing.T, pattern string) (list []*transcript) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files for %s (%v)", len(files), pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l, err := parseTranscripts(filepath.Base(file), string(text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, l...)
	}
	return list
}

// parseTranscripts parses a file. It trusts the root package's tests for what a line may
// have where, and returns an error for what it does not know.
func parseTranscripts(file, text string) (list []*transcript, err error) {
	var tr *transcript
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\n+ ", " "), "\n") {
		key, rest, _ := strings.Cut(line, " ")
		if name, ok := strings.CutPrefix(line, "name: "); ok {
			tr = &transcript{file: file, name: name, want: outcome{end: endWaits}}
			list = append(list, tr)
			continue
		}
		switch {
		case line == "" || key == "#":
		case tr == nil:
			err = fmt.Errorf("no name")
		case key == "side:":
			tr.side = rest
		case key == "limit:":
			tr.limit, err = strconv.ParseInt(rest, 10, 64)
		case line == "> eof":
			tr.eof = true
		case key == ">":
			var b []byte
			b, err = parseTokens(rest)
			tr.lines = append(tr.lines, b)
		case key == "<":
			var b []byte
			if b, err = parseTokens(rest); err == nil {
				err = tr.want.add(b)
			}
		case key == "=":
			var m message
			var whole bool
			if m, whole, err = parseMessage(rest); whole {
				tr.want.messages = append(tr.want.messages, m)
			}
		case key == "!":
			tr.err, tr.want.end = rest, parseEnd(rest)
		default:
			err = fmt.Errorf("unknown")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", file, line, err)
		}
	}
	return list, nil
}

// parseMessage parses what the application gets. Where it is a part of a message, whole is
// false: an application that reads whole messages gets none.
func parseMessage(s string) (m message, whole bool, err error) {
	kind, rest, _ := strings.Cut(s, " ")
	switch kind {
	case "part", "upto":
		return m, false, nil
	case "text", "binary":
		b, err := parseTokens(rest)
		return message{binary: kind == "binary", data: string(b)}, true, err
	}
	return m, false, fmt.Errorf("no message type %q", kind)
}

var closeText = regexp.MustCompile(`^websocket: close (\d+)(?: \([^)]*\))?(?:: (.*))?$`)

// parseEnd parses the error of the read.
func parseEnd(text string) string {
	switch f := closeText.FindStringSubmatch(text); {
	case f == nil:
		return endFails
	case f[1] == "1006":
		return endWaits
	default:
		return endClose(f[1], f[2])
	}
}

// parseTokens parses the bytes of a line: hex or "text", either repeated by *N, and
// key:HEX, which masks all that follows.
func parseTokens(s string) (b []byte, err error) {
	var key []byte
	masked := 0
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		var token []byte
		quoted, quotedErr := strconv.QuotedPrefix(s)
		end := strings.IndexAny(s+" ", " *")
		switch hexKey, isKey := strings.CutPrefix(s[:end], "key:"); {
		case quotedErr == nil:
			end = len(quoted)
			text, _ := strconv.Unquote(quoted)
			token = []byte(text)
		case isKey:
			if key, err = hex.DecodeString(hexKey); err != nil || len(key) != 4 {
				return nil, fmt.Errorf("bad key %q", hexKey)
			}
			masked = len(b) + 4
			token = key
		default:
			if token, err = hex.DecodeString(s[:end]); err != nil {
				return nil, err
			}
		}
		n := 1
		if s = s[end:]; strings.HasPrefix(s, "*") {
			count, rest, _ := strings.Cut(s[1:], " ")
			if n, err = strconv.Atoi(count); err != nil {
				return nil, err
			}
			s = rest
		}
		b = append(b, bytes.Repeat(token, n)...)
	}
	for i := range b[masked:] {
		if key != nil {
			b[masked+i] ^= key[i%4]
		}
	}
	return b, nil
}

// frame is a frame, or the beginning of one.
type frame struct {
	first   byte // FIN, the reserved bits and the opcode
	masked  bool
	payload []byte // unmasked
	whole   bool
	size    int // on the wire
}

// nextFrame returns the frame at the beginning of b. Its size is 0 where the header is not
// all there.
func nextFrame(b []byte) (f frame, header []byte) {
	if len(b) < 2 {
		return f, nil
	}
	f.first, f.masked = b[0], b[1]&0x80 != 0
	n, length := 2, uint64(b[1]&0x7f)
	switch {
	case length == 126 && len(b) >= 4:
		n, length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		n, length = 10, binary.BigEndian.Uint64(b[2:])
	case length >= 126:
		return f, nil
	}
	header = slices.Clone(b[:n])
	header[1] &= 0x7f
	var key [4]byte
	if f.masked {
		if len(b) < n+4 {
			return f, nil
		}
		n += copy(key[:], b[n:])
	}
	f.payload = slices.Clone(b[n:][:min(length, uint64(len(b)-n))])
	for i := range f.payload {
		f.payload[i] ^= key[i%4]
	}
	f.whole, f.size = uint64(len(f.payload)) == length, n+len(f.payload)
	return f, header
}

// bytesFor returns the bytes that an endpoint of the side receives. From those of a server
// the masks are taken out for a client, also behind the error: a library that overlooks the
// error finds frames there.
func (tr *transcript) bytesFor(side string) (b []byte) {
	in := bytes.Join(tr.lines, nil)
	if side == "server" || tr.side == "client" {
		return in
	}
	for {
		f, header := nextFrame(in)
		if !f.masked || f.size == 0 { // the last one is cut off, or none
			break
		}
		b = append(append(b, header...), f.payload...)
		in = in[f.size:]
	}
	if len(in) > 1 {
		in[1] &= 0x7f
	}
	return append(b, in...)
}

// atBoundary reports whether b ends with a frame, so that another one may follow.
func atBoundary(b []byte) bool {
	for len(b) > 0 {
		f, _ := nextFrame(b)
		if !f.whole {
			return false
		}
		b = b[f.size:]
	}
	return true
}

// complete returns b with the last message completed by a payload of letters, unless that is
// too long.
func complete(b []byte) []byte {
	b = slices.Clone(b)
	start, fragmented := 0, false
	note := func(first byte) {
		if first&0x08 == 0 {
			fragmented = first&0x80 == 0
		}
	}
	for start < len(b) {
		f, _ := nextFrame(b[start:])
		if !f.whole {
			break
		}
		note(f.first)
		start += f.size
	}
	masked := len(b) > 1 && b[1]&0x80 != 0
	if len(b) > start+1 {
		note(b[start])
		var ok bool
		if b, ok = completeFrame(b, start); !ok {
			return b
		}
	} else if len(b) > start {
		return b
	}
	if fragmented && masked {
		b = append(b, "\x80\x80\x00\x00\x00\x00"...)
	} else if fragmented {
		b = append(b, "\x80\x00"...)
	}
	return b
}

// completeFrame completes the frame that begins at start, and reports whether it is not too
// long for that.
func completeFrame(b []byte, start int) ([]byte, bool) {
	length := map[byte]string{126: "\x00\x7e", 127: "\x00\x00\x00\x00\x00\x01\x00\x00"}[b[start+1]&0x7f]
	if have := len(b) - start - 2; have < len(length) {
		b = append(b, length[have:]...)
	}
	header := start + 2 + len(length)
	var key [4]byte
	if b[start+1]&0x80 != 0 {
		b = append(b, key[:max(0, header+4-len(b))]...)
		copy(key[:], b[header:])
		header += 4
	}
	n := uint64(b[start+1] & 0x7f)
	switch len(length) {
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[start+2:]))
	case 8:
		n = binary.BigEndian.Uint64(b[start+2:])
	}
	if n > 1<<20 {
		return b, false
	}
	for i := len(b) - header; i < int(n); i++ {
		b = append(b, 'a'^key[i%4])
	}
	return b, true
}
