package main

import (
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const example = `package p

const limit = 125

func check(n int, ok bool) (int, error) {
	if n > limit && !ok {
		log("long")
		return 0, errLong
	}
	if n < 0 {
		panic("websocket: BUG: negative")
	}
	switch {
	case n == 3:
		n++
	}
	for n < 7 {
		n -= 2
	}
	return n, nil
}

func (*T) unnamed(_ int, rest ...string) {
	log(rest...)
}

func generic[K any](k K) { use(k) }
`

var exampleMutants = []string{
	"3 limit: `125` -> `126`",
	"6 check: `if n > limit && !ok` negated",
	"6 check: `if n > limit && !ok` never",
	"6 check: `n > limit && !ok` -> `n > limit || !ok`",
	"6 check: `n > limit && !ok` -> `n >= limit && !ok`",
	"6 check: `n > limit && !ok` -> `n > limit && ok`",
	"7 check: without `log(\"long\")`",
	// The case counts as the switch, where coverage records it.
	"13 check: `n == 3` -> `n != 3`",
	"13 check: `n == 3` -> `n == 4`",
	"15 check: `n++` -> `n--`",
	"17 check: `for n < 7` negated",
	"17 check: `n < 7` -> `n <= 7`",
	"17 check: `n < 7` -> `n < 8`",
	"18 check: `n -= 2` -> `n += 2`",
	"18 check: `n -= 2` -> `n -= 3`",
	"24 T.unnamed: without `log(rest...)`",
	"27 generic: without `use(k)`",
}

func TestMutants(t *testing.T) {
	s, err := parse("p.go", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	mutants := s.mutants()
	var got []string
	for i, m := range mutants {
		m.id = i
		got = append(got, fmt.Sprintf("%d %s: %s", m.at.Line, m.name, m.change))
	}
	if g, w := strings.Join(got, "\n"), strings.Join(exampleMutants, "\n"); g != w {
		t.Fatalf("got\n%s\nwant\n%s", g, w)
	}

	text, where := instrument(s, mutants[1:])
	if _, err := parse("p.go", text); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for i, want := range map[int]string{
		3:  "\nfunc mutant3_check(n int, ok bool) (int, error) {\n\tif n > limit || !ok {\n",
		15: "\nfunc (mutantArg1 *T) mutant15_unnamed(mutantArg2 int, rest ...string) {\n\tif false { log(rest...) }\n}",
		16: "\nfunc mutant16_generic[K any](k K) { if false { use(k) } }",
	} {
		r := where[mutants[i]]
		if got := string(text[r[0]:r[1]]); !strings.HasPrefix(got, want) {
			t.Errorf("mutant %d: got %q, want %q", i, got, want)
		}
	}
	for _, want := range []string{
		"func check(n int, ok bool) (int, error) { if mutantID >= 1 && mutantID <= 14 { switch mutantID { " +
			"case 1: return mutant1_check(n, ok); ",
		"{ if mutantID >= 15 && mutantID <= 15 { switch mutantID { case 15: mutantArg1.mutant15_unnamed(mutantArg2, rest...); return; }}; ",
		"case 16: mutant16_generic[K](k); return; ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got\n%s\nwant %q in it", text, want)
		}
	}
}

func TestRepeatedChangesAreNumbered(t *testing.T) {
	s, err := parse("p.go", []byte("package p\n\nfunc f() {\n\tg()\n\tg()\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range s.mutants() {
		got = append(got, m.key())
	}
	if want := []string{"f: without `g()`", "f: without `g()` (2)"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAccepted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "SURVIVORS.md")
	document := "# Survivors\n\n- no mutant\n\n## Only speed\n\nWhy it survives.\n\n- f: without `g()`\n- h: `a` ->\n  `b`\n"
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := accepted(path)
	if err != nil || len(got) != 2 || !got["f: without `g()`"] || !got["h: `a` -> `b`"] {
		t.Errorf("got %v, %v, want the two mutants", got, err)
	}
}

// Of two blocks that meet at a brace the later one has the statement behind it.
func TestCoverage(t *testing.T) {
	outer := &test{Name: "outer", Blocks: []string{"p.go:3.10,5.8"}}
	inner := &test{Name: "inner", Seconds: 1, Blocks: []string{"p.go:3.10,5.8", "p.go:5.8,7.2"}}
	c := newCoverage([]*test{inner, outer})
	for _, tt := range []struct {
		line, column int
		want         []*test
	}{
		{3, 9, nil},
		{3, 10, []*test{outer, inner}},
		{5, 7, []*test{outer, inner}},
		{5, 8, []*test{inner}},
		{7, 3, nil},
	} {
		p := token.Position{Filename: "p.go", Line: tt.line, Column: tt.column}
		if got := c.of(p); !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %d tests, want %d", p, len(got), len(tt.want))
		}
	}
}
