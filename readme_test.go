package websocket

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every Go block of the README is a program that compiles, vetted, in a module that
// uses this one as the README says.
func TestReadmePrograms(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
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
	write("go.mod", fmt.Sprintf("module readme\n\ngo 1.23\n\nrequire %s v0.0.0\n\nreplace %[1]s => %q\n", module, root))

	blocks := goBlocks(string(readme))
	if len(blocks) < 2 {
		t.Fatalf("got %d Go blocks, want the server and the client at least", len(blocks))
	}
	for i, block := range blocks {
		write(fmt.Sprintf("block%d/main.go", i+1), block)
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
