package repository

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// structure is how the files of the package are layered, as DESIGN.md has it.
type structure struct {
	place     map[string]int      // of a file: the highest is at 0
	forbidden map[string][]string // by file: packages, files and declarations
	layers    int
}

func readStructure(t *testing.T) structure {
	t.Helper()
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	s := structure{place: make(map[string]int), forbidden: make(map[string][]string)}
	quoted, layer := regexp.MustCompile("`([^`]+)`"), regexp.MustCompile(`^### \d`)
	_, section, _ := strings.Cut(string(text), "\n## Layers\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, line := range strings.Split(section, "\n") {
		if layer.MatchString(line) {
			s.layers++
		}
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || !strings.Contains(cells[0], ".go") {
			continue
		}
		for _, file := range strings.Split(strings.TrimPrefix(cells[0], "| "), ", ") {
			s.place[file] = len(s.place)
			for _, m := range quoted.FindAllStringSubmatch(cells[2], -1) {
				s.forbidden[file] = append(s.forbidden[file], m[1])
			}
		}
	}
	return s
}

// fileReference is the use of something in a file that is declared elsewhere.
type fileReference struct {
	from, to string // files; to is a path where that is a package
	name     string
	position token.Position
}

// references returns those of all files of the package: to functions, methods, types, fields, variables and constants.
func references(t *testing.T) (files []string, list []fileReference) {
	t.Helper()
	goList := func(args ...string) []string {
		var stderr bytes.Buffer
		cmd := exec.Command("go", append([]string{"list"}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list %q: %v\n%s", args, err, stderr.Bytes())
		}
		return strings.Fields(string(out))
	}
	exports := make(map[string]string)
	for _, line := range goList("-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", ".") {
		path, file, _ := strings.Cut(line, "=")
		exports[path] = file
	}
	files = goList("-f", `{{join .GoFiles "\n"}}`, ".")
	var (
		parsed  []*ast.File
		fileSet = token.NewFileSet()
		info    = &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	)
	for _, file := range files {
		f, err := parser.ParseFile(fileSet, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		for _, spec := range f.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			list = append(list, fileReference{file, path, path, fileSet.Position(spec.Pos())})
		}
	}
	config := types.Config{Importer: importer.ForCompiler(fileSet, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })}
	pkg, err := config.Check("websocket", fileSet, parsed, info)
	if err != nil {
		t.Fatal(err)
	}
	for id, object := range info.Uses {
		v, isVar := object.(*types.Var)
		local := object.Parent() != nil && object.Parent() != pkg.Scope()
		if object.Pkg() != pkg || local || isVar && !v.IsField() && object.Parent() == nil {
			continue
		}
		use := fileSet.Position(id.Pos())
		if to := fileSet.Position(object.Pos()).Filename; to != use.Filename {
			list = append(list, fileReference{use.Filename, to, object.Name(), use})
		}
	}
	return files, list
}

// DESIGN.md lists all files, layer by layer; few references point up, and none to what a file must never know.
func TestStructure(t *testing.T) {
	const maxLayers, maxUp = 9, 10 // percent
	s := readStructure(t)
	if s.layers > maxLayers {
		t.Errorf("got %d layers, want at most %d", s.layers, maxLayers)
	}
	files, list := references(t)
	for _, file := range files {
		if _, ok := s.place[file]; !ok && file != "doc.go" {
			t.Errorf("got nothing in DESIGN.md about %s", file)
		}
	}
	for file := range s.place {
		if !exists(file) {
			t.Errorf("got %s in DESIGN.md, which there is not", file)
		}
	}
	names := make(map[string]bool)
	all, up := make(map[string]bool), make(map[string][]string)
	for _, r := range list {
		names[r.name], names[r.to] = true, true
		if slices.Contains(s.forbidden[r.from], r.to) || slices.Contains(s.forbidden[r.from], r.name) {
			t.Errorf("%v: got a use of %s (%s), which %s must never know", r.position, r.name, r.to, r.from)
		}
		if !strings.HasSuffix(r.to, ".go") {
			continue
		}
		pair := r.from + " -> " + r.to
		all[pair] = true
		if s.place[r.to] < s.place[r.from] && !slices.Contains(up[pair], r.name) {
			up[pair] = append(up[pair], r.name)
		}
	}
	for file, forbidden := range s.forbidden {
		for _, name := range forbidden {
			if !names[name] {
				t.Errorf("DESIGN.md forbids %s to use %s, which no file does", file, name)
			}
		}
	}
	if len(up)*100 > len(all)*maxUp {
		t.Errorf("got %d of %d references between files that point up, want at most %d %%", len(up), len(all), maxUp)
	}
	var lines []string
	for pair, names := range up {
		slices.Sort(names)
		lines = append(lines, fmt.Sprintf("%s: %s", pair, strings.Join(names, ", ")))
	}
	slices.Sort(lines)
	t.Logf("%d of %d references between files point up:\n%s", len(up), len(all), strings.Join(lines, "\n"))
}
