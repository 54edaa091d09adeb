package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

// source is a file of the package, parsed.
type source struct {
	name string // without the directory
	src  []byte
	fset *token.FileSet
	ast  *ast.File
}

func parse(path string, src []byte) (*source, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	return &source{filepath.Base(path), src, fset, f}, err
}

func (s *source) offset(p token.Pos) int { return s.fset.PositionFor(p, false).Offset }

func (s *source) text(n ast.Node) string { return string(s.src[s.offset(n.Pos()):s.offset(n.End())]) }

// mutant is one change of the source.
type mutant struct {
	id         int // from 1
	file       *source
	decl       ast.Decl // what it is in
	name       string   // of the function, or of the constant or variable
	start, end int      // offsets of what is replaced
	with       string
	at         token.Position // of the statement whose coverage counts, and of the line that is reported
	change     string         // the change as it is reported, and accepted: "`old` -> `new`"
}

// key names the mutant independently of lines and files.
func (m *mutant) key() string { return m.name + ": " + m.change }

// swaps has the operators and what they are replaced with.
var swaps = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
	token.LAND: "||", token.LOR: "&&",
	token.ADD: "-", token.SUB: "+", token.SHL: ">>", token.SHR: "<<", token.AND: "|", token.OR: "&", token.XOR: "&",
	token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+=", token.SHL_ASSIGN: ">>=", token.SHR_ASSIGN: "<<=",
	token.AND_ASSIGN: "|=", token.OR_ASSIGN: "&=", token.XOR_ASSIGN: "&=",
	token.INC: "--", token.DEC: "++",
}

// mutants returns all mutants of the file, in order. They need not compile.
func (s *source) mutants() (all []*mutant) {
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Body != nil && d.Name.Name != "init" {
				all = append(all, s.within(d, funcName(d), d.Body)...)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, value := range v.Values {
						all = append(all, s.within(d, v.Names[0].Name, value)...)
					}
				}
			}
		}
	}
	seen := map[string]int{}
	for _, m := range all {
		k := m.key()
		if seen[k]++; seen[k] > 1 {
			m.change += fmt.Sprintf(" (%d)", seen[k])
		}
	}
	return all
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + d.Name.Name
		default:
			return d.Name.Name
		}
	}
}

// within returns the mutants of root, which is a function's body or the value of a constant or variable.
func (s *source) within(d ast.Decl, name string, root ast.Node) (all []*mutant) {
	var path []ast.Node
	add := func(start, end token.Pos, with, change string) {
		m := &mutant{file: s, decl: d, name: name, start: s.offset(start), end: s.offset(end), with: with, change: change}
		m.at = s.fset.PositionFor(covering(path, start), false)
		all = append(all, m)
	}
	// replace is add where the change is shown with what is around it.
	replace := func(start, end token.Pos, with string) {
		around := path[len(path)-1]
		for i := len(path) - 2; i >= 0 && showable(path[i]); i-- {
			if t := s.text(path[i]); len(t) > 80 || strings.Contains(t, "\n") {
				break
			}
			around = path[i]
		}
		old := s.text(around)
		from := s.offset(around.Pos())
		changed := old[:s.offset(start)-from] + with + old[s.offset(end)-from:]
		add(start, end, with, code(old)+" -> "+code(changed))
	}
	operator := func(pos token.Pos, op token.Token) {
		if with, ok := swaps[op]; ok {
			replace(pos, pos+token.Pos(len(op.String())), with)
		}
	}
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			path = path[:len(path)-1]
			return true
		}
		if isBug(s, n) {
			return false
		}
		path = append(path, n)
		switch n := n.(type) {
		case *ast.BinaryExpr:
			operator(n.OpPos, n.Op)
		case *ast.AssignStmt:
			operator(n.TokPos, n.Tok)
		case *ast.IncDecStmt:
			operator(n.TokPos, n.Tok)
		case *ast.UnaryExpr:
			if n.Op == token.NOT {
				replace(n.OpPos, n.OpPos+1, "")
			}
		case *ast.BasicLit:
			if v, err := strconv.ParseUint(n.Value, 0, 64); n.Kind == token.INT && err == nil && !besideError(path) {
				with := strconv.FormatUint(v+1, 10)
				if v == 1 {
					with = "0"
				}
				replace(n.Pos(), n.End(), with)
			}
		case *ast.ExprStmt, *ast.DeferStmt, *ast.GoStmt:
			switch parent := path[len(path)-2].(type) {
			case *ast.BlockStmt, *ast.CaseClause:
			case *ast.CommClause:
				if parent.Comm == n {
					return true
				}
			default: // part of an if, a switch or a for
				return true
			}
			add(n.Pos(), n.End(), "if false { "+s.text(n)+" }", "without "+code(s.text(n)))
		case *ast.IfStmt:
			cond := s.text(n.Cond)
			if !negatedAnyhow(n.Cond) {
				add(n.Cond.Pos(), n.Cond.End(), "!("+cond+")", code("if "+cond)+" negated")
			}
			if n.Else == nil && leaves(n.Body) {
				add(n.Cond.Pos(), n.Cond.End(), "false && ("+cond+")", code("if "+cond)+" never")
			}
		case *ast.ForStmt:
			if n.Cond != nil && !negatedAnyhow(n.Cond) {
				add(n.Cond.Pos(), n.Cond.End(), "!("+s.text(n.Cond)+")", code("for "+s.text(n.Cond))+" negated")
			}
		}
		return true
	})
	return all
}

// code formats Go source as code in a line of Markdown.
func code(s string) string {
	s = strings.Join(strings.Fields(strings.ReplaceAll(s, "`", "'")), " ")
	if len(s) > 110 {
		s = s[:110] + "..."
	}
	return "`" + s + "`"
}

func showable(n ast.Node) bool {
	switch n.(type) {
	case *ast.AssignStmt, *ast.ReturnStmt, *ast.IncDecStmt, *ast.SendStmt:
		return true
	}
	_, ok := n.(ast.Expr)
	return ok
}

// covering returns the position of the innermost statement of the path that is in a block of the coverage, or else
// start. What stands in the cases of a switch or a select is in none, and counts as the switch.
func covering(path []ast.Node, start token.Pos) token.Pos {
	for i := len(path) - 1; i > 0; i-- {
		switch n := path[i].(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
		case ast.Stmt:
			if clause, ok := path[i-1].(*ast.CommClause); !ok || clause.Comm != n {
				return n.Pos()
			}
		}
	}
	return start
}

// isBug reports whether n is a panic of an impossible state, or an if with nothing else: such states are not tested.
func isBug(s *source, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		return len(n.Body.List) == 1 && n.Else == nil && isBug(s, n.Body.List[0])
	case *ast.ExprStmt:
		return bytes.HasPrefix(s.src[s.offset(n.Pos()):], []byte(`panic("websocket: BUG`))
	}
	return false
}

// besideError reports whether the path ends with a value that is returned with an error, so that nobody looks at it.
func besideError(path []ast.Node) bool {
	if len(path) < 2 {
		return false
	}
	r, ok := path[len(path)-2].(*ast.ReturnStmt)
	if !ok || len(r.Results) < 2 {
		return false
	}
	switch last := r.Results[len(r.Results)-1].(type) {
	case *ast.CallExpr, *ast.UnaryExpr:
		return true
	case *ast.Ident:
		return strings.HasPrefix(last.Name, "err")
	}
	return false
}

// negatedAnyhow reports whether another mutant negates the condition.
func negatedAnyhow(cond ast.Expr) bool {
	switch c := cond.(type) {
	case *ast.BinaryExpr:
		return c.Op == token.EQL || c.Op == token.NEQ
	case *ast.UnaryExpr:
		return c.Op == token.NOT
	}
	return false
}

// leaves reports whether a block ends by leaving the one around it.
func leaves(b *ast.BlockStmt) bool {
	if len(b.List) == 0 {
		return false
	}
	switch b.List[len(b.List)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	}
	return false
}
