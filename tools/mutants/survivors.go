package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// accepted reads the document of the survivors that are known, and returns their keys: the items "- KEY" of its
// sections. A line that begins with two spaces continues the one before.
func accepted(path string) (map[string]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []string
	section := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		section = section || strings.HasPrefix(line, "## ")
		if key, ok := strings.CutPrefix(line, "- "); ok && section {
			list = append(list, key)
		} else if more, ok := strings.CutPrefix(line, "  "); ok && len(list) > 0 {
			list[len(list)-1] += " " + more
		}
	}
	keys := map[string]bool{}
	for _, key := range list {
		if keys[key] {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		keys[key] = true
	}
	return keys, lines.Err()
}

// result is what became of a mutant.
type result struct {
	*mutant
	tests    int    // how many run what is changed
	by       string // what has caught it, or ""
	accepted bool
	err      error
}

func (r *result) String() string {
	s := fmt.Sprintf("%s:%d: %s: %s", r.file.name, r.at.Line, r.name, r.change)
	switch {
	case r.err != nil:
		return fmt.Sprintf("%s: %v", s, r.err)
	case r.by != "":
		return fmt.Sprintf("%s: caught by %s", s, r.by)
	case r.tests == 0:
		return s + ": no test runs it"
	}
	return fmt.Sprintf("%s: survives %d tests", s, r.tests)
}

// report prints the survivors and a line for each file, and reports whether all is well.
func report(results []result) (ok bool) {
	type sum struct{ all, caught, hangs, accepted, survivors int }
	var files []string
	sums := map[string]*sum{"in all": {}}
	ok = true
	fmt.Println("\nSurvivors:")
	for i := range results {
		r := &results[i]
		if sums[r.file.name] == nil {
			sums[r.file.name] = &sum{}
			files = append(files, r.file.name)
		}
		for _, s := range []*sum{sums[r.file.name], sums["in all"]} {
			s.all++
			switch {
			case r.by != "":
				s.caught++
				if r.by == hang {
					s.hangs++
				}
			case r.accepted:
				s.accepted++
			default:
				s.survivors++
			}
		}
		switch {
		case r.by != "" && r.accepted:
			fmt.Printf("accepted, but %s\n", r)
		case r.by == "" && !r.accepted:
			ok = false
			fmt.Println(r)
		}
	}
	slices.Sort(files)
	fmt.Printf("\n%-24s %8s %8s %8s %9s %10s %8s\n", "", "mutants", "caught", "by hang", "accepted", "survivors", "caught")
	for _, name := range append(files, "in all") {
		s := sums[name]
		fmt.Printf("%-24s %8d %8d %8d %9d %10d %7.1f%%\n", name, s.all, s.caught, s.hangs, s.accepted, s.survivors,
			100*float64(s.caught)/float64(max(s.all, 1)))
	}
	return ok
}
