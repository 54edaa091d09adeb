package repository

import (
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateAPI = flag.Bool("update", false, "TestAPI writes testdata/api.txt instead of comparing it")

// api are the exported declarations of the package, one a line, as in the files of
// testdata. They are those of the source, so an import that changes its name shows.
type api struct {
	lines []string
	info  *types.Package // its constants only: no import is followed
}

func readAPI(t *testing.T, dir string) []string {
	t.Helper()
	pkg, err := build.Default.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range pkg.GoFiles {
		f, err := parser.ParseFile(fset, dir+"/"+name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	var a api
	config := types.Config{Error: func(error) {}} // that imports are not found
	a.info, _ = config.Check("websocket", fset, files, nil)
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				a.addFunc(d)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					a.addSpec(d.Tok, spec)
				}
			}
		}
	}
	slices.Sort(a.lines)
	return a.lines
}

func (a *api) add(format string, args ...any) {
	a.lines = append(a.lines, fmt.Sprintf(format, args...))
}

func (a *api) addFunc(d *ast.FuncDecl) {
	if !d.Name.IsExported() {
		return
	}
	signature := strings.TrimPrefix(typeString(d.Type), "func")
	if d.Recv == nil {
		a.add("func %s%s", d.Name, signature)
		return
	}
	recv := typeString(d.Recv.List[0].Type)
	if ast.IsExported(strings.TrimPrefix(recv, "*")) {
		a.add("method (%s) %s%s", recv, d.Name, signature)
	}
}

func (a *api) addSpec(tok token.Token, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			a.addType(spec)
		}
	case *ast.ValueSpec:
		for i, name := range spec.Names {
			switch {
			case !name.IsExported():
			case tok == token.CONST:
				a.addConst(name.Name)
			case i < len(spec.Values):
				a.add("var %s %s", name, varType(spec.Type, spec.Values[i]))
			default:
				a.add("var %s %s", name, varType(spec.Type, nil))
			}
		}
	}
}

// addConst shows the type of a constant that has one: programs pass gorilla's, which
// have none, as int, uint16 and what they like.
func (a *api) addConst(name string) {
	c, ok := a.info.Scope().Lookup(name).(*types.Const)
	switch {
	case !ok:
		a.add("const %s unknown", name)
	case c.Type().(*types.Basic).Info()&types.IsUntyped != 0:
		a.add("const %s = %s", name, c.Val())
	default:
		a.add("const %s %s = %s", name, c.Type(), c.Val())
	}
}

func (a *api) addType(spec *ast.TypeSpec) {
	st, ok := spec.Type.(*ast.StructType)
	switch {
	case spec.Assign.IsValid():
		a.add("type %s = %s", spec.Name, typeString(spec.Type))
		return
	case !ok:
		a.add("type %s %s", spec.Name, typeString(spec.Type))
		return
	case isPlain(st):
		a.add("type %s %s", spec.Name, typeString(st))
		return
	}
	a.add("type %s struct", spec.Name)
	for _, f := range st.Fields.List {
		for _, name := range f.Names {
			if name.IsExported() {
				a.add("type %s struct, %s %s", spec.Name, name, typeString(f.Type))
			}
		}
		if f.Names == nil {
			a.add("type %s struct, embedded %s", spec.Name, typeString(f.Type))
		}
	}
}

// isPlain reports whether a struct has fields of basic types only, all exported:
// programs compare such a struct, and convert others to it.
func isPlain(st *ast.StructType) bool {
	for _, f := range st.Fields.List {
		basic, ok := f.Type.(*ast.Ident)
		if !ok || types.Universe.Lookup(basic.Name) == nil || f.Names == nil {
			return false
		}
		for _, name := range f.Names {
			if !name.IsExported() {
				return false
			}
		}
	}
	return true
}

// varType is the type of a variable, as far as the source says it.
func varType(declared, value ast.Expr) string {
	if declared != nil {
		return typeString(declared)
	}
	switch v := value.(type) {
	case *ast.UnaryExpr:
		if lit, ok := v.X.(*ast.CompositeLit); ok && v.Op == token.AND {
			return "*" + typeString(lit.Type)
		}
	case *ast.CompositeLit:
		return typeString(v.Type)
	case *ast.CallExpr:
		if f := types.ExprString(v.Fun); f == "errors.New" || f == "fmt.Errorf" {
			return "error"
		}
	}
	return "of the type of " + types.ExprString(value)
}

// typeString prints a type. It takes away the names of parameters and results, and
// changes the tree for it.
func typeString(e ast.Expr) string {
	ast.Inspect(e, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncType); ok {
			dropNames(f.Params)
			dropNames(f.Results)
		}
		return true
	})
	return strings.ReplaceAll(types.ExprString(e), "interface{}", "any")
}

func dropNames(list *ast.FieldList) {
	if list == nil {
		return
	}
	var fields []*ast.Field
	for _, f := range list.List {
		for range max(1, len(f.Names)) {
			fields = append(fields, &ast.Field{Type: f.Type})
		}
	}
	list.List = fields
}

// readLines are the lines of a file that are neither empty nor a comment.
func readLines(t *testing.T, file string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// All that gorilla/websocket v1.5.3 exports is here, with the same types and values.
func TestAPIHasAllOfGorilla(t *testing.T) {
	name := regexp.MustCompile(`^(const|var|func|type|method \([^)]*\)) \w+( struct, \w+)?`)
	got := readAPI(t, ".")
	lines := readLines(t, "testdata/gorilla-api.txt")
	if len(lines) != 91 {
		t.Errorf("got a list of %d names, want 91: it is closed", len(lines))
	}
	for _, want := range lines {
		if slices.Contains(got, want) {
			continue
		}
		t.Errorf("got nothing that is %q, want it", want)
		for _, line := range got {
			if name.FindString(line) == name.FindString(want) {
				t.Errorf("\tthere is %q", line)
			}
		}
	}
}

// The package exports what testdata/api.txt lists, so that no change of it goes
// unseen. After one that is meant:
//
//	go -C tools test -run TestAPI ./repository -update
func TestAPI(t *testing.T) {
	const file = "testdata/api.txt"
	got := readAPI(t, ".")
	if *updateAPI {
		if err := os.WriteFile(file, []byte("# Written by go -C tools test -run TestAPI ./repository -update.\n\n"+strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := readLines(t, file)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("got %q, which %s has not", line, file)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("got nothing that is %q, which %s has", line, file)
		}
	}
}
