package transcripts

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of README.md")

// README.md says what the other libraries make of the transcripts, and this library makes of
// them what they say.
func TestTranscripts(t *testing.T) {
	rows := playAll(t)
	if t.Failed() {
		return
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	got := withTables(t, string(text), rows)
	if *update {
		if err := os.WriteFile("README.md", []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if !*update && got != string(text) {
		t.Errorf("README.md does not have what was seen: %s\ngo test -run TestTranscripts -update . writes it", firstDifference(string(text), got))
	}
	checkExplained(t, got, rows)
	checkVersions(t, got)
}

// tableOf matches the place of a file's table.
var tableOf = regexp.MustCompile(`(?s)<!-- table of (\S+) -->\n.*?<!-- end -->`)

// withTables returns the text with the tables of the rows, of which each file has its place.
func withTables(t *testing.T, text string, rows []row) string {
	t.Helper()
	tables := make(map[string]string)
	for _, r := range rows {
		tables[r.file] = ""
	}
	for file := range tables {
		tables[file] = tableFor(file, rows)
		if !strings.Contains(text, "<!-- table of "+file+" -->\n") {
			t.Errorf("README.md has no place for the table of %s", file)
		}
	}
	return tableOf.ReplaceAllStringFunc(text, func(s string) string {
		file := tableOf.FindStringSubmatch(s)[1]
		if tables[file] == "" {
			t.Errorf("README.md has a place for the table of %s, from which nothing diverges", file)
		}
		return "<!-- table of " + file + " -->\n" + tables[file] + "<!-- end -->"
	})
}

// tableFor returns the table of a file. Transcripts of which all libraries make the same share
// a row.
func tableFor(file string, rows []row) string {
	var b strings.Builder
	line := func(first string, cells []string) string {
		for _, cell := range cells {
			first += strings.TrimRight(" | "+cell, " ")
		}
		return first + " |\n"
	}
	var head []string
	for _, l := range libraries {
		head = append(head, l.name)
	}
	b.WriteString(line("| transcript", head))
	b.WriteString("|" + strings.Repeat("---|", 1+len(libraries)) + "\n")
	names := make(map[string][]string)
	var order []string
	for _, r := range rows {
		if r.file != file {
			continue
		}
		rest := line("", append([]string{r.here}, r.cells[1:]...))
		if names[rest] == nil {
			order = append(order, rest)
		}
		names[rest] = append(names[rest], r.name)
	}
	for _, rest := range order {
		b.WriteString("| " + strings.Join(names[rest], "; ") + rest)
	}
	return b.String()
}

// checkExplained checks that README.md explains what is in the cells of its tables.
func checkExplained(t *testing.T, text string, rows []row) {
	t.Helper()
	some := regexp.MustCompile(`\d+|"[^"]*"`)
	explained, _, _ := strings.Cut(text, "<!-- table of ")
	for _, r := range rows {
		for _, cell := range r.cells {
			for part := range strings.SplitSeq(strings.ReplaceAll(cell, "as a client: ", ""), "; ") {
				for part := range strings.SplitSeq(strings.TrimPrefix(part, "as a server: "), ", ") {
					if part = some.ReplaceAllString(part, "..."); part != "" && !strings.Contains(explained, "| `"+part+"` |") {
						t.Errorf("%s: %s: README.md does not explain %q", r.file, r.name, part)
					}
				}
			}
		}
	}
}

// checkVersions checks that README.md names the versions of the libraries.
func checkVersions(t *testing.T, text string) {
	t.Helper()
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	required := regexp.MustCompile(`github\.com/(gorilla/websocket|coder/websocket|gobwas/ws|lxzan/gws) v(\S+)`).FindAllSubmatch(mod, -1)
	if len(required) != len(libraries)-1 {
		t.Errorf("go.mod requires %d of the libraries, want %d", len(required), len(libraries)-1)
	}
	for _, m := range required {
		if name := strings.TrimPrefix(string(m[1]), "lxzan/") + " " + string(m[2]); !strings.Contains(strings.ReplaceAll(text, "\n", " "), name) {
			t.Errorf("README.md does not say %s", name)
		}
	}
}

// firstDifference returns the first line in which b differs from a.
func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d is\n%s\nand should be\n%s", i+1, x[i], y[i])
		}
	}
	return fmt.Sprintf("it has %d lines, want %d", len(x), len(y))
}
