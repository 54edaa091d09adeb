package peers

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of INTEROP.md")

// documentFile is in the root of the repository.
const documentFile = "../../INTEROP.md"

// The tables of INTEROP.md, and the list of notes on their cells.
const (
	clientsTable = "clients"
	serversTable = "servers"
	notesList    = "notes"
)

// knownFailures are reasons for failures that are the peer's, by its name and the path of the scenario. Any other
// failure fails the test.
var knownFailures = map[string]string{
	"nbio empty": "The peer does not pass empty messages to the program.",
}

// A row has the results of a peer, in the order of the scenarios.
type row struct {
	peer    peer
	version string
	results []result
}

// A document is INTEROP.md, and what was seen.
type document struct {
	text string

	mu   sync.Mutex
	rows map[string][]row // by table
}

func readDocument(t *testing.T) *document {
	t.Helper()
	text, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	return &document{text: string(text), rows: make(map[string][]row)}
}

// check checks a row against that of the document, and adds it to the rows.
func (d *document) check(t *testing.T, table string, r row) {
	t.Helper()
	for i, sc := range scenarios {
		res := &r.results[i]
		if res.outcome != "fails" {
			continue
		}
		t.Logf("%s: %s", sc.path, res.reason)
		if res.reason = knownFailures[r.peer.name+" "+sc.path]; res.reason == "" {
			t.Errorf("%s: fails", sc.path)
		}
	}
	if !*update {
		d.compare(t, table, r)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows[table] = append(d.rows[table], r)
}

// compare compares a row with that of the document. Another version of a peer may do more, and not less.
func (d *document) compare(t *testing.T, table string, r row) {
	t.Helper()
	want := d.row(table, r.peer.name)
	if len(want) != 2+len(scenarios) {
		t.Errorf("got row %q in INTEROP.md, want one of %d cells; go test -update . writes it", want, 2+len(scenarios))
		return
	}
	same := want[1] == r.version
	if r.peer.pinned && !same {
		t.Errorf("got version %s in INTEROP.md, want %s", want[1], r.version)
	}
	for i, sc := range scenarios {
		outcome, _, _ := strings.Cut(want[2+i], " ")
		switch got := r.results[i]; {
		case got.outcome == outcome:
		case got.outcome == "passes" && !same:
			t.Logf("%s: passes with version %s, and %s in INTEROP.md with %s", sc.path, r.version, outcome, want[1])
		default:
			t.Errorf("%s: got %q, want %s as in INTEROP.md", sc.path, strings.TrimSpace(got.outcome+" "+got.reason), outcome)
		}
	}
}

// row returns the cells of a peer's row in the document.
func (d *document) row(table, peer string) (cells []string) {
	_, rest, _ := strings.Cut(d.text, "<!-- "+table+" -->\n")
	rest, _, _ = strings.Cut(rest, "<!-- end -->")
	for line := range strings.Lines(rest) {
		line, ok := strings.CutPrefix(line, "| "+peer+" | ")
		if !ok {
			continue
		}
		for cell := range strings.SplitSeq(peer+" | "+strings.TrimSpace(line), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		return cells[:len(cells)-1] // nothing is behind the last bar
	}
	return nil
}

// finish writes the document, or compares it as a whole where all peers have the versions in it.
func (d *document) finish(t *testing.T) {
	complete := len(d.rows[clientsTable]) == len(clients) && len(d.rows[serversTable]) == len(servers)
	if *update && !complete {
		t.Fatal("INTEROP.md needs the results of all peers, and some are missing")
	}
	for table, rows := range d.rows {
		for _, r := range rows {
			cells := d.row(table, r.peer.name)
			complete = complete && (*update || cells[1] == r.version)
		}
	}
	if !complete {
		t.Log("INTEROP.md is not compared as a whole: some peers are missing, or have other versions")
		return
	}
	switch got := d.render(); {
	case *update:
		if err := os.WriteFile(documentFile, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	case got != d.text:
		t.Error("INTEROP.md does not have the results that were seen; go test -update . writes it")
	}
}

// places matches where the document has its tables and its notes.
var places = regexp.MustCompile(`(?s)<!-- (clients|servers|notes) -->\n.*?<!-- end -->`)

// render returns the document with what was seen. The notes are numbered in their order in the tables.
func (d *document) render() string {
	var notes []string
	return places.ReplaceAllStringFunc(d.text, func(s string) string {
		name := places.FindStringSubmatch(s)[1]
		var content string
		switch name {
		case clientsTable:
			content = d.table(name, clients, &notes)
		case serversTable:
			content = d.table(name, servers, &notes)
		case notesList:
			for i, note := range notes {
				content += fmt.Sprintf("%d. %s\n", i+1, note)
			}
		}
		return fmt.Sprintf("<!-- %s -->\n%s<!-- end -->", name, content)
	})
}

// table returns a table with the rows in the order of the peers, and adds to the notes.
func (d *document) table(name string, peers []peer, notes *[]string) string {
	head := []string{"peer", "version"}
	for _, sc := range scenarios {
		head = append(head, sc.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n%s|\n", strings.Join(head, " | "), strings.Repeat("|---", len(head)))
	for _, p := range peers {
		i := slices.IndexFunc(d.rows[name], func(r row) bool { return r.peer.name == p.name })
		r := d.rows[name][i]
		fmt.Fprintf(&b, "| %s | %s", p.name, r.version)
		for _, res := range r.results {
			b.WriteString(" | " + cell(res, notes))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// cell returns the cell of a result, with the number of its note.
func cell(res result, notes *[]string) string {
	if res.reason == "" {
		return res.outcome
	}
	i := slices.Index(*notes, res.reason)
	if i < 0 {
		i = len(*notes)
		*notes = append(*notes, res.reason)
	}
	return fmt.Sprintf("%s (%d)", res.outcome, i+1)
}
