package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// tableHead begins the table of the pure files in DESIGN.md.
const tableHead = "| pure file |"

// pureFiles returns the files of the table of the pure files.
func pureFiles(design string) (files []string, err error) {
	_, table, ok := strings.Cut("\n"+design, "\n"+tableHead)
	if !ok {
		return nil, fmt.Errorf("DESIGN.md has no table that begins with %q", tableHead)
	}
	rows := strings.Split(table, "\n")
	for _, row := range rows[min(2, len(rows)):] { // behind the head and the line under it
		row, ok := strings.CutPrefix(row, "| ")
		if !ok {
			break
		}
		cell, _, _ := strings.Cut(row, "|")
		for file := range strings.SplitSeq(cell, ",") {
			files = append(files, strings.TrimSpace(file))
		}
	}
	if len(files) == 0 {
		return nil, errors.New("DESIGN.md's table of the pure files is empty")
	}
	return files, nil
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)

// testsOf returns the names of a file's own tests, its fuzz targets and examples among them.
func testsOf(dir, file string) (tests []string, err error) {
	name, ok := strings.CutSuffix(file, ".go")
	if !ok {
		return nil, fmt.Errorf("DESIGN.md's table of the pure files has %q, which is no Go file", file)
	}
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		return nil, err
	}
	for _, glob := range []string{name + "_test.go", name + "_*_test.go"} {
		sources, err := filepath.Glob(filepath.Join(dir, glob))
		if err != nil {
			return nil, err
		}
		for _, source := range sources {
			text, err := os.ReadFile(source)
			if err != nil {
				return nil, err
			}
			for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
				tests = append(tests, m[1])
			}
		}
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("%s has no tests of its own: there are none in %s_test.go or %s_*_test.go", file, name, name)
	}
	return tests, nil
}

// block is a block of a profile.
type block struct {
	file                   string // without its folder
	startLine, startColumn int
	endLine, endColumn     int
	statements             int
	reached                bool
}

func (b block) String() string {
	if b.startLine == b.endLine {
		return fmt.Sprintf("%s:%d", b.file, b.endLine)
	}
	return fmt.Sprintf("%s:%d-%d", b.file, b.startLine, b.endLine)
}

var profileLine = regexp.MustCompile(`^(.+):(\d+)\.(\d+),(\d+)\.(\d+) (\d+) (\d+)$`)

// parseProfile reads a profile of one package, as -coverprofile writes it.
func parseProfile(text string) (blocks []block, err error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if !strings.HasPrefix(lines[0], "mode: ") {
		return nil, fmt.Errorf("a profile begins with %q, which is no mode", lines[0])
	}
	for _, line := range lines[1:] {
		m := profileLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%q is no line of a profile", line)
		}
		var n [6]int
		for i := range n {
			if n[i], err = strconv.Atoi(m[i+2]); err != nil {
				return nil, err
			}
		}
		blocks = append(blocks, block{path.Base(m[1]), n[0], n[1], n[2], n[3], n[4], n[5] > 0})
	}
	return blocks, nil
}

// withoutBugs returns the blocks but for those that consist of a panic for a bug.
func withoutBugs(dir string, blocks []block) (rest []block, err error) {
	bugs := make(map[string][]token.Position)
	for _, b := range blocks {
		if _, ok := bugs[b.file]; !ok {
			text, err := os.ReadFile(filepath.Join(dir, b.file))
			if err != nil {
				return nil, err
			}
			if bugs[b.file], err = bugPanics(b.file, text); err != nil {
				return nil, err
			}
		}
		if !isBug(b, bugs[b.file]) {
			rest = append(rest, b)
		}
	}
	return rest, nil
}

// isBug reports whether the block is one statement, which begins at one of the positions.
func isBug(b block, bugs []token.Position) bool {
	for _, p := range bugs {
		after := p.Line > b.startLine || p.Line == b.startLine && p.Column >= b.startColumn
		before := p.Line < b.endLine || p.Line == b.endLine && p.Column <= b.endColumn
		if b.statements == 1 && after && before {
			return true
		}
	}
	return false
}

// bugPanics returns where the statements panic("websocket: BUG...") of a source file begin.
func bugPanics(name string, text []byte) (bugs []token.Position, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, 0)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "panic" && isBugText(call.Args[0]) {
			bugs = append(bugs, set.Position(call.Pos()))
		}
		return true
	})
	return bugs, nil
}

// isBugText reports whether the expression is a string that begins with "websocket: BUG", or such a string with
// more behind it.
func isBugText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return err == nil && strings.HasPrefix(s, "websocket: BUG")
	case *ast.BinaryExpr:
		return isBugText(e.X)
	}
	return false
}
