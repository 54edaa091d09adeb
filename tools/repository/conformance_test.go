package repository

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each test and each file that CONFORMANCE.md names exists, and each rule that is kept has one.
func TestConformance(t *testing.T) {
	document, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := declaredTests(t)
	test, file := regexp.MustCompile("`(Test\\w+)`"), regexp.MustCompile(`testdata/[\w./-]*\w`)
	rules := 0
	for i, line := range strings.Split(string(document), "\n") {
		named := 0
		for _, m := range test.FindAllStringSubmatch(line, -1) {
			if named++; !tests[m[1]] {
				t.Errorf("line %d: got %s, which there is not", i+1, m[1])
			}
		}
		for _, name := range file.FindAllString(line, -1) {
			if named++; !exists(name) {
				t.Errorf("line %d: got %s, which there is not", i+1, name)
			}
		}
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| section") {
			continue
		}
		rules++
		if kept := !strings.HasPrefix(strings.TrimSpace(cells[3]), "not "); kept != (named > 0) {
			t.Errorf("line %d: got %d tests and files, want some if, and only if, the rule is kept", i+1, named)
		}
	}
	if rules < 70 {
		t.Errorf("got %d rules, want all of them", rules)
	}
}

// declaredTests returns the names of the package's tests, and of those here.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, pattern := range []string{"*_test.go", "tools/repository/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
				names[m[1]] = true
			}
		}
	}
	return names
}

// Each behaviour in testdata/behaviours.txt has a test, and each test of behaviours its line.
func TestBehaviours(t *testing.T) {
	table, err := os.ReadFile("testdata/behaviours.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests, rules := declaredTests(t), 0
	for _, line := range strings.Split(string(table), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		rule, named, _ := strings.Cut(line, " | ")
		if rules++; named == "" {
			t.Errorf("got no test for %q, want one", rule)
		}
		for _, name := range strings.Fields(named) {
			if !tests[name] {
				t.Errorf("got %s for %q, which there is not", name, rule)
			}
		}
	}
	if rules < 60 {
		t.Errorf("got %d behaviours, want all of them", rules)
	}
	for name := range tests {
		if strings.HasPrefix(name, "TestBehaviour") && name != "TestBehaviours" && !strings.Contains(string(table), name) {
			t.Errorf("got no line for %s, want one", name)
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
