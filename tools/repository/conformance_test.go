package repository

import (
	"os"
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
	tests := make(map[string]bool)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			tests[m[1]] = true
		}
	}
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

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
