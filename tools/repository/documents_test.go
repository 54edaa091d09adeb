package repository

import (
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents returns the Markdown files of the module and of those nested in it, without interop's data.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if err == nil && filepath.Ext(path) == ".md" {
			text, err := os.ReadFile(path)
			texts[filepath.ToSlash(path)] = string(text)
			return err
		}
		return err
	})
	if err != nil || texts["README.md"] == "" {
		t.Fatalf("got %d documents (%v), want README.md and others", len(texts), err)
	}
	return texts
}

// Every Go block of a document, and every whole program in the package's documentation,
// compiles, and passes go vet and gofmt, in a module that uses this one as the README says.
func TestDocumentedPrograms(t *testing.T) {
	programs := make(map[string]string)
	for name, text := range documents(t) {
		for i, program := range goBlocks(text) {
			programs[fmt.Sprintf("%s/%d", strings.ReplaceAll(name, "/", "-"), i+1)] = program
		}
	}
	for i, program := range docPrograms(t, "doc.go") {
		programs[fmt.Sprintf("doc.go/%d", i+1)] = program
	}
	for _, name := range []string{"README.md/1", "doc.go/1"} {
		if programs[name] == "" {
			t.Fatalf("got no program %s, want the server at least", name)
		}
	}

	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const module = "github.com/switching-protocols/websocket"
	write("go.mod", fmt.Sprintf("module programs\n\ngo 1.23\n\nrequire %s v0.0.0\n\nreplace %[1]s => %q\n", module, root))

	for name, program := range programs {
		write(name+"/main.go", program)
	}
	cmd := exec.Command("go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
	cmd = exec.Command("gofmt", "-l", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt -l: %v\n%s", err, out)
	}
}

// goBlocks returns the fenced blocks of Go in a Markdown text.
func goBlocks(text string) (blocks []string) {
	for {
		_, rest, ok := strings.Cut(text, "\n```go\n")
		if !ok {
			return blocks
		}
		var block string
		if block, text, ok = strings.Cut(rest, "\n```\n"); !ok {
			return blocks
		}
		blocks = append(blocks, block+"\n")
	}
}

// docPrograms returns the code blocks in the package comment of a Go file that are whole
// files: those that begin with a package clause.
func docPrograms(t *testing.T, file string) (programs []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var p comment.Parser
	for _, block := range p.Parse(f.Doc.Text()).Content {
		if code, ok := block.(*comment.Code); ok && strings.HasPrefix(code.Text, "package ") {
			programs = append(programs, code.Text)
		}
	}
	return programs
}

// Links of documents lead to files that are there, and to headings that they have.
func TestDocumentedLinks(t *testing.T) {
	texts := documents(t)
	links := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notWords := regexp.MustCompile(`[^\w -]`)
	for name, text := range texts {
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link to %s: %v", name, m[1], err)
			}
			found := anchor == ""
			for _, line := range strings.Split(texts[target], "\n") {
				heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
				heading = strings.ToLower(strings.TrimSpace(notWords.ReplaceAllString(heading, "")))
				found = found || ok && line[0] == '#' && strings.ReplaceAll(heading, " ", "-") == anchor
			}
			if !found {
				t.Errorf("%s: link to %s: got no such heading", name, m[1])
			}
		}
	}
}

// Lines of documents end at 120 characters, except those of tables; the README fits on two pages.
func TestDocumentedInShort(t *testing.T) {
	for name, text := range documents(t) {
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			if len([]rune(line)) > 120 && !strings.HasPrefix(line, "|") {
				t.Errorf("%s:%d: got a line of more than 120 characters", name, i+1)
			}
		}
		if n := len(lines) - 1; name == "README.md" && n > 120 {
			t.Errorf("%s: got %d lines, want at most 120", name, n)
		}
	}
}

// Examples and tests that documents name exist.
func TestDocumentedExamples(t *testing.T) {
	declared := make(map[string]bool)
	functions := regexp.MustCompile(`(?m)^func ((?:Example|Test|Fuzz|Benchmark)\w*)\(`)
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files with tests (%v)", len(files), err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range functions.FindAllStringSubmatch(string(source), -1) {
			declared[m[1]] = true
		}
	}
	named := regexp.MustCompile("`((?:Example|Fuzz)\\w*)`")
	count := 0
	for name, text := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if count++; !declared[m[1]] && !strings.Contains(name, "/") {
				t.Errorf("%s: got %s, which there is not", name, m[1])
			}
		}
	}
	if count == 0 {
		t.Error("got no names, want some")
	}
}
