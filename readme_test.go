package websocket

import (
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every Go block of the README, and every whole program in the package's documentation,
// compiles, and passes go vet and gofmt, in a module that uses this one as the README says.
func TestDocumentedPrograms(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	fromREADME := goBlocks(string(readme))
	if len(fromREADME) < 2 {
		t.Fatalf("got %d Go blocks in README.md, want the server and the client at least", len(fromREADME))
	}
	fromDoc := docPrograms(t, "doc.go")
	if len(fromDoc) == 0 {
		t.Fatal("got no whole program in doc.go, want the server at least")
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

	for i, program := range fromREADME {
		write(fmt.Sprintf("readme%d/main.go", i+1), program)
	}
	for i, program := range fromDoc {
		write(fmt.Sprintf("doc%d/main.go", i+1), program)
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

// The files that the README names are there.
func TestReadmeLinks(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	links := strings.Split(string(readme), "](")[1:]
	if len(links) == 0 {
		t.Fatal("found no links")
	}
	for _, link := range links {
		target, _, _ := strings.Cut(link, ")")
		target, _, _ = strings.Cut(target, "#")
		if _, err := os.Stat(target); err != nil {
			t.Errorf("link to %q: %v", target, err)
		}
	}
}
