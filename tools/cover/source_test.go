package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPureFiles(t *testing.T) {
	for _, tt := range []struct {
		name, design string
		want         []string // nil for an error
	}{
		{"a table", "text\n\n| pure file | owns |\n|---|---|\n| a.go | b |\n| c.go, d.go | e.go |\n\n| file | owns |\n|---|---|\n| f.go | g |\n", []string{"a.go", "c.go", "d.go"}},
		{"a table at the end", "| pure file |\n|---|\n| a.go |", []string{"a.go"}},
		{"no table", "| file | owns |\n|---|---|\n| f.go | g |\n", nil},
		{"an empty table", "| pure file |\n|---|\n\n| f.go |\n", nil},
		{"only its head", "| pure file |", nil},
	} {
		got, err := pureFiles(tt.design)
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.want == nil) {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestTestsOf(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.go", "package p")
	write(t, dir, "a_test.go", "package p\n\nfunc TestA(t *testing.T) {\n\tfunc TestNot(\n}\n\nfunc FuzzA(f *testing.F) {}\nfunc helper() {}\n")
	write(t, dir, "a_more_test.go", "package p\n\nfunc ExampleA() {}\nfunc BenchmarkA(b *testing.B) {}\n")
	write(t, dir, "ab_test.go", "package p\n\nfunc TestAB(t *testing.T) {}\n")
	write(t, dir, "ab.go", "package p")
	write(t, dir, "c.go", "package p")
	for _, tt := range []struct {
		file string
		want []string // nil for an error
	}{
		{"a.go", []string{"TestA", "FuzzA", "ExampleA"}},
		{"ab.go", []string{"TestAB"}},
		{"c.go", nil},       // without tests
		{"missing.go", nil}, // neither
		{"a", nil},
	} {
		got, err := testsOf(dir, tt.file)
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.want == nil) {
			t.Errorf("%s: got %q, %v, want %q", tt.file, got, err, tt.want)
		}
	}
}

// The blocks of a profile, and which of them count.
func TestProfile(t *testing.T) {
	const source = `package p

func f(ok, other bool) int {
	if !ok {
		panic("websocket: BUG: " + "of the package")
	}
	if !other {
		println()
		panic("websocket: BUG: behind another statement")
	}
	if ok && !other {
		panic("no bug")
	}
	return 1
}
`
	const profile = `mode: set
example.com/p/p.go:3.28,4.9 1 1
example.com/p/p.go:4.9,6.3 1 0
example.com/p/p.go:7.2,7.12 1 1
example.com/p/p.go:7.12,10.3 2 0
example.com/p/p.go:11.2,11.18 1 1
example.com/p/p.go:11.18,13.3 1 0
example.com/p/p.go:14.2,14.10 1 7
`
	dir := t.TempDir()
	write(t, dir, "p.go", source)
	blocks, err := parseProfile(profile)
	if err != nil || len(blocks) != 7 {
		t.Fatalf("got %d blocks, %v, want 7", len(blocks), err)
	}
	if blocks, err = withoutBugs(dir, blocks); err != nil {
		t.Fatal(err)
	}
	c := count(blocks, "p.go")
	var missed []string
	for _, b := range c.missed {
		missed = append(missed, b.String())
	}
	if c.statements != 7 || c.reached != 4 || !slices.Equal(missed, []string{"p.go:7-10", "p.go:11-13"}) {
		t.Errorf("got %d of %d statements, without %q, want 4 of 7, without lines 7 to 10 and 11 to 13", c.reached, c.statements, missed)
	}
	if got, want := c.String(), " 57.1 %, 4 of 7 statements"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if c := count(blocks, "q.go"); c.statements != 0 || c.percent() != 0 {
		t.Errorf("got %s of another file, want none", c)
	}

	for _, text := range []string{"", "mode: set\nexample.com/p/p.go:1.1,2.2 1\n", "example.com/p/p.go:1.1,2.2 1 1\n"} {
		if blocks, err := parseProfile(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, blocks)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
