package websocket

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// hsCase is one named exchange of a file in testdata. Such a file looks like this:
//
//	# A comment.
//	== the name of the case
//	setting: value
//	-- section
//	lines
//	-- another section
//	lines
//
// Braces stand for what a text file cannot show well: {"\x81\x00"} for a Go string,
// {1000*"x"} for a repeated one, {key} for the Sec-WebSocket-Key of the request, and
// {accept} for the Sec-WebSocket-Accept that is due. A line that is nothing but
// braces has no line end.
type hsCase struct {
	name     string
	settings map[string]string
	sections map[string][]string
}

var hsBraces = regexp.MustCompile(`\{(?:key|accept|(?:([0-9]+)\*)?("(?:[^"\\]|\\.)*"))\}`)

// hsExpand puts in what the braces of a line stand for.
func hsExpand(t testing.TB, line, key string) string {
	return hsBraces.ReplaceAllStringFunc(line, func(braces string) string {
		switch braces {
		case "{key}":
			return key
		case "{accept}":
			return acceptKey(key)
		}
		m := hsBraces.FindStringSubmatch(braces)
		s, err := strconv.Unquote(m[2])
		if err != nil {
			t.Fatalf("%s: %v", braces, err)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			n = 1
		}
		return strings.Repeat(s, n)
	})
}

// wire returns a section's bytes as they are sent: each line ends in CRLF.
func (c *hsCase) wire(t testing.TB, section, key string) string {
	var b strings.Builder
	for _, line := range c.sections[section] {
		b.WriteString(hsExpand(t, line, key))
		if line == "" || hsBraces.ReplaceAllString(line, "") != "" {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

// text returns a section that is one line.
func (c *hsCase) text(section string) string {
	return strings.TrimSpace(strings.Join(c.sections[section], "\n"))
}

// setting returns one value of a setting that is a list of key=value, and whether it is there.
func (c *hsCase) setting(name, key string) (string, bool) {
	for _, field := range strings.Fields(c.settings[name]) {
		if k, v, _ := strings.Cut(field, "="); k == key {
			return v, true
		}
	}
	return "", false
}

// hsList splits a list of a setting; an empty one is not nil.
func hsList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

// hsReadCases runs f as a subtest for every case of every file in the folder.
func hsReadCases(t *testing.T, folder string, f func(t *testing.T, c *hsCase)) {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files and error %v, want some files", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for _, c := range hsParseCases(t, file) {
				t.Run(c.name, func(t *testing.T) { f(t, c) })
			}
		})
	}
}

func hsParseCases(t testing.TB, file string) []*hsCase {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*hsCase
	var c *hsCase
	section := ""
	names := make(map[string]bool)
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		name, isCase := strings.CutPrefix(line, "== ")
		head, isSection := strings.CutPrefix(line, "-- ")
		switch {
		case isCase:
			if names[name] {
				t.Fatalf("%s:%d: two cases are named %q", file, i+1, name)
			}
			names[name] = true
			c, section = &hsCase{name, make(map[string]string), make(map[string][]string)}, ""
			cases = append(cases, c)
		case isSection && c != nil:
			section = head
			c.sections[section] = []string{}
		case section != "":
			c.sections[section] = append(c.sections[section], line)
		case line == "" || strings.HasPrefix(line, "#"):
		default:
			key, value, ok := strings.Cut(line, ": ")
			if !ok || c == nil {
				t.Fatalf("%s:%d: %q is no setting", file, i+1, line)
			}
			c.settings[key] = value
		}
	}
	return cases
}
