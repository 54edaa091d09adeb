package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// One test binary has many mutants, since compiling takes longer than testing: each function that is mutated is
// there once more for each of its mutants, and begins by calling the one whose number is in the environment.

const environment = "WEBSOCKET_MUTANT"

const switchFile = "mutants_switch.go"

const switchSource = `package websocket

import (
	"os"
	"strconv"
)

var mutantID = func() int {
	id, _ := strconv.Atoi(os.Getenv("` + environment + `"))
	return id
}()
`

// instrument returns the file with the mutants, all of them in functions, and where in it each of them is.
func instrument(s *source, mutants []*mutant) (text []byte, where map[*mutant][2]int) {
	byDecl := map[*ast.FuncDecl][]*mutant{}
	for _, m := range mutants {
		d := m.decl.(*ast.FuncDecl)
		byDecl[d] = append(byDecl[d], m)
	}
	var out, copies bytes.Buffer
	done := 0
	for _, decl := range s.ast.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok || byDecl[d] == nil {
			continue
		}
		brace := s.offset(d.Body.Lbrace)
		head, args, recv := signature(s, d)
		out.Write(s.src[done:s.offset(d.Pos())])
		out.WriteString(head(d.Name.Name))
		of := byDecl[d]
		fmt.Fprintf(&out, "{ if mutantID >= %d && mutantID <= %d { switch mutantID { ", of[0].id, of[len(of)-1].id)
		for _, m := range of {
			call := fmt.Sprintf("%smutant%d_%s%s", recv, m.id, d.Name.Name, args)
			if d.Type.Results != nil {
				fmt.Fprintf(&out, "case %d: return %s; ", m.id, call)
			} else {
				fmt.Fprintf(&out, "case %d: %s; return; ", m.id, call)
			}
		}
		out.WriteString("}}; ")
		done = brace + 1
	}
	out.Write(s.src[done:])
	where = map[*mutant][2]int{}
	for _, m := range mutants {
		d := m.decl.(*ast.FuncDecl)
		head, _, _ := signature(s, d)
		from := out.Len() + copies.Len()
		fmt.Fprintf(&copies, "\n%s", head(fmt.Sprintf("mutant%d_%s", m.id, d.Name.Name)))
		copies.Write(s.src[s.offset(d.Body.Lbrace):m.start])
		copies.WriteString(m.with)
		copies.Write(s.src[m.end:s.offset(d.End())])
		where[m] = [2]int{from, out.Len() + copies.Len()}
	}
	return append(out.Bytes(), copies.Bytes()...), where
}

// signature returns a function's text up to its body, with another name and a name for each parameter, and what calls
// it with the same arguments.
func signature(s *source, d *ast.FuncDecl) (head func(name string) string, args, recv string) {
	type edit struct {
		start, end int
		with       string
	}
	var edits []edit
	n := 0
	names := func(list *ast.FieldList) (all []string) {
		if list == nil {
			return nil
		}
		for _, f := range list.List {
			dots := ""
			if _, ok := f.Type.(*ast.Ellipsis); ok {
				dots = "..."
			}
			if len(f.Names) == 0 {
				n++
				name := fmt.Sprintf("mutantArg%d", n)
				edits = append(edits, edit{s.offset(f.Type.Pos()), s.offset(f.Type.Pos()), name + " "})
				all = append(all, name+dots)
			}
			for _, id := range f.Names {
				name := id.Name
				if name == "_" {
					n++
					name = fmt.Sprintf("mutantArg%d", n)
					edits = append(edits, edit{s.offset(id.Pos()), s.offset(id.End()), name})
				}
				all = append(all, name+dots)
			}
		}
		return all
	}
	if r := names(d.Recv); r != nil {
		recv = r[0] + "."
	}
	edits = append(edits, edit{s.offset(d.Name.Pos()), s.offset(d.Name.End()), "\x00"})
	var typeArgs string
	if list := names(d.Type.TypeParams); list != nil {
		typeArgs = "[" + strings.Join(list, ", ") + "]"
	}
	args = typeArgs + "(" + strings.Join(names(d.Type.Params), ", ") + ")"
	return func(name string) string {
		var b strings.Builder
		at := s.offset(d.Pos())
		for _, e := range edits {
			b.Write(s.src[at:e.start])
			b.WriteString(strings.ReplaceAll(e.with, "\x00", name))
			at = e.end
		}
		b.Write(s.src[at:s.offset(d.Body.Lbrace)])
		return b.String()
	}, args, recv
}

// apply returns the file with one mutant in place.
func apply(m *mutant) []byte {
	return slices.Concat(m.file.src[:m.start], []byte(m.with), m.file.src[m.end:])
}

// checker finds out which mutants compile.
type checker struct {
	root    string
	files   []string // of the package, without tests
	exports map[string]string
}

func newChecker(root string) (*checker, error) {
	c := &checker{root: root, exports: map[string]string{}}
	out, err := command(root, "go", "list", "-f", `{{join .GoFiles "\n"}}`, ".").Output()
	if err != nil {
		return nil, err
	}
	c.files = strings.Fields(string(out))
	out, err = command(root, "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".").Output()
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(out), "\n") {
		if path, file, ok := strings.Cut(line, " "); ok {
			c.exports[path] = file
		}
	}
	return c, nil
}

// errors returns the positions of the package's type errors, with some files replaced.
func (c *checker) errors(replaced map[string][]byte) (all []types.Error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range append([]string{switchFile}, c.files...) {
		var src any
		if b, ok := replaced[name]; ok {
			src = b
		}
		f, err := parser.ParseFile(fset, filepath.Join(c.root, name), src, parser.SkipObjectResolution)
		if err != nil {
			panic(err) // no mutant breaks the syntax
		}
		files = append(files, f)
	}
	config := types.Config{
		Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(c.exports[path]) }),
		Error:    func(err error) { all = append(all, err.(types.Error)) },
	}
	config.Check("websocket", fset, files, nil)
	return all
}

// compilable returns those of the mutants that compile, and the files that have them all.
func (c *checker) compilable(mutants []*mutant) ([]*mutant, map[string][]byte, error) {
	for {
		replaced := map[string][]byte{switchFile: []byte(switchSource)}
		byFile := map[*source][]*mutant{}
		for _, m := range mutants {
			byFile[m.file] = append(byFile[m.file], m)
		}
		ranges := map[string]map[*mutant][2]int{}
		for s, of := range byFile {
			replaced[s.name], ranges[s.name] = instrument(s, of)
		}
		errs := c.errors(replaced)
		if len(errs) == 0 {
			return mutants, replaced, nil
		}
		bad := map[*mutant]bool{}
		for _, err := range errs {
			p := err.Fset.PositionFor(err.Pos, false)
			for m, r := range ranges[filepath.Base(p.Filename)] {
				if r[0] <= p.Offset && p.Offset < r[1] {
					bad[m] = true
				}
			}
		}
		if len(bad) == 0 {
			return nil, nil, errs[0]
		}
		mutants = slices.DeleteFunc(mutants, func(m *mutant) bool { return bad[m] })
	}
}

// build compiles the tests into a binary in the directory work, with some files replaced.
func build(root, work, name string, replaced map[string][]byte) (binary string, err error) {
	dir, err := os.MkdirTemp(work, "overlay")
	if err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, b := range replaced {
		overlay.Replace[filepath.Join(root, file)] = filepath.Join(dir, file)
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(work, name)
	out, err := command(root, "go", "test", "-c", "-vet=off", "-overlay", list, "-o", binary, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
}

func command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd
}
