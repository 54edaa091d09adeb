// Mutants changes the library in small ways, one at a time, and reports the changes that no test notices.
//
//	go run ./mutants [flags] [file ...]
//
// It is run in the directory tools, and takes the files in defaultFiles if none is named. A mutant is one comparison,
// boolean or arithmetic operator replaced, one integer constant replaced, one call, defer or go statement left out, one
// condition negated, or one `if` that never returns early. Only tests that run the changed statement are run, fastest
// first. A test that fails, a panic and a hang all catch the mutant. Where the tests are for impossible states
// (a panic with "BUG"), there are no mutants.
//
// SURVIVORS.md has the survivors that are accepted, with the reasons. They are not run, but count as not caught. The
// exit status is 1 if there are others, or if a mutant of the document does not exist.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"hash/fnv"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"
)

// defaultFiles are the files without clock and I/O, and those of both directions and their end.
var defaultFiles = []string{
	"buffer.go", "compress*.go", "errors.go", "frame.go", "handshake*.go", "mask.go", "utf8.go",
	"conn_close.go", "conn_inflate.go", "conn_json.go", "conn_shutdown.go", "lock.go", "recv*.go", "send*.go",
}

var (
	root     = flag.String("root", "..", "the directory of the library")
	seed     = flag.Int("seed", 1, "which sample of -sample")
	sample   = flag.Float64("sample", 100, "the share of all mutants that are taken, in percent")
	decls    = flag.Float64("decls", 100, "the share of mutants outside functions, of those of -sample; each is compiled alone")
	workers  = flag.Int("workers", 2, "how many test processes at once")
	slow     = flag.Duration("slow", 5*time.Second, "tests that take longer are run only where no other runs the statement")
	skip     = flag.String("skip", "Stack$", "tests that match this do not count; by default those that see calls of mutants on the stack")
	timeout  = flag.Duration("timeout", 10*time.Second, "the limit of a run, and ten times what its tests take")
	memory   = flag.Int("memory", 4096, "the address space of a test process, in MiB")
	document = flag.String("survivors", "mutants/SURVIVORS.md", "the document of accepted survivors")
	again    = flag.Bool("again", false, "run accepted survivors, too")
	list     = flag.Bool("list", false, "list the mutants and run nothing")
	verbose  = flag.Bool("v", false, "print each mutant with what has caught it")
	only     = flag.String("only", "", "only mutants whose key matches this regular expression")
)

func main() {
	flag.Parse()
	ok, err := run(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(patterns []string) (ok bool, err error) {
	dir, err := filepath.Abs(*root)
	if err != nil {
		return false, err
	}
	knownKeys, err := accepted(*document)
	if err != nil {
		return false, err
	}
	checker, err := newChecker(dir)
	if err != nil {
		return false, err
	}
	if len(patterns) == 0 {
		patterns = defaultFiles
	}
	all, err := candidates(checker, patterns, knownKeys)
	if err != nil {
		return false, err
	}
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() { // for the life of the process
		<-interrupted
		os.RemoveAll(work)
		os.Exit(2)
	}()
	r := &runner{root: dir, work: work, workers: *workers, timeout: *timeout, megabytes: *memory, caught: map[string]map[string]int{}}

	// Most are in functions, and share one binary.
	var within, outside []*mutant
	for i, m := range all {
		m.id = i + 1
		if _, ok := m.decl.(*ast.FuncDecl); ok {
			within = append(within, m)
		} else {
			outside = append(outside, m)
		}
	}
	within, replaced, err := checker.compilable(within)
	if err != nil {
		return false, err
	}
	outside = slices.DeleteFunc(outside, func(m *mutant) bool {
		return len(checker.errors(map[string][]byte{switchFile: []byte(switchSource), m.file.name: apply(m)})) > 0
	})
	fmt.Printf("%d mutants in functions, %d outside, %d that do not compile\n",
		len(within), len(outside), len(all)-len(within)-len(outside))
	all = append(within, outside...)
	if *list {
		for _, m := range all {
			fmt.Printf("%s:%d: %s: %s\n", m.file.name, m.at.Line, m.name, m.change)
		}
		return true, nil
	}

	skipped, err := regexp.Compile(*skip)
	if err != nil {
		return false, err
	}
	tests, err := r.measure()
	if err != nil {
		return false, err
	}
	tests = slices.DeleteFunc(tests, func(t *test) bool { return skipped.MatchString(t.Name) })
	binary, err := build(dir, work, "mutants.test", replaced)
	if err != nil {
		return false, err
	}
	tests = r.usable(binary, tests)
	cover := newCoverage(tests)
	results := make([]result, len(all))
	var mu sync.Mutex
	n := 0
	r.each(len(all), func(i int) {
		m := all[i]
		res := &results[i]
		res.mutant = m
		res.accepted = knownKeys[m.key()]
		if res.accepted && !*again {
			return
		}
		bin, id := binary, m.id
		covering := cover.of(m.at)
		if i >= len(within) {
			id, covering = 0, checker.users(m, cover)
		}
		covering = fast(covering)
		res.tests = len(covering)
		if i >= len(within) && len(covering) > 0 {
			bin, res.err = build(dir, work, fmt.Sprintf("mutant%d.test", m.id), map[string][]byte{m.file.name: apply(m)})
			defer os.Remove(bin)
		}
		if res.err == nil {
			res.by = r.caughtBy(bin, id, m.name, covering)
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		if *verbose || res.by == "" && !res.accepted || res.err != nil {
			fmt.Printf("[%d/%d] %s\n", n, len(all), res)
		}
	})
	return report(results), nil
}

// candidates returns the mutants of the files that are in the sample.
func candidates(c *checker, patterns []string, known map[string]bool) (all []*mutant, err error) {
	match, err := regexp.Compile(*only)
	if err != nil {
		return nil, err
	}
	exist := map[string]bool{}
	for _, name := range c.files {
		src, err := os.ReadFile(filepath.Join(c.root, name))
		if err != nil {
			return nil, err
		}
		s, err := parse(filepath.Join(c.root, name), src)
		if err != nil {
			return nil, err
		}
		wanted := slices.ContainsFunc(patterns, func(p string) bool { ok, _ := filepath.Match(p, name); return ok })
		for _, m := range s.mutants() {
			exist[m.key()] = true
			share := *sample
			if _, ok := m.decl.(*ast.FuncDecl); !ok {
				share *= *decls / 100
			}
			// By the text, so that a change elsewhere does not draw another sample.
			h := fnv.New64a()
			fmt.Fprintf(h, "%d %s", *seed, m.key())
			if wanted && float64(h.Sum64()%1e6) < share*1e4 && match.MatchString(m.key()) {
				all = append(all, m)
			}
		}
	}
	for key := range known {
		if !exist[key] {
			return nil, fmt.Errorf("%s has what is no mutant: %s", *document, key)
		}
	}
	return all, nil
}

// usable returns those of the tests that pass alone and in the binary with the mutants, with none of them at work: a
// function that calls its mutants is not inlined, which tests of allocations and of stacks notice.
func (r *runner) usable(binary string, tests []*test) []*test {
	tests = slices.DeleteFunc(tests, func(t *test) bool { return t.Failed })
	for begin := 0; begin < len(tests); begin += 50 {
		some := fast(tests[begin:min(begin+50, len(tests))])
		if ok, out := r.run(binary, 0, 60, "-test.run", pattern(some)); !ok {
			all := failed.FindAllStringSubmatch(out, -1)
			for _, m := range all {
				fmt.Printf("not used, since it fails without a mutant: %s\n", m[1])
				for _, t := range some {
					t.Failed = t.Failed || t.Name == m[1]
				}
			}
			if len(all) == 0 {
				fmt.Printf("a run without a mutant fails: %s\n", out)
			}
		}
	}
	return slices.DeleteFunc(tests, func(t *test) bool { return t.Failed })
}

// fast returns those of the tests that are not slow, or all if all are.
func fast(tests []*test) []*test {
	isSlow := func(t *test) bool { return t.Seconds > slow.Seconds() }
	if !slices.ContainsFunc(tests, func(t *test) bool { return !isSlow(t) }) {
		return tests
	}
	return slices.DeleteFunc(slices.Clone(tests), isSlow)
}

// users returns the tests that run a statement which names the constant or variable.
func (c *checker) users(m *mutant, cover *coverage) (all []*test) {
	found := map[*test]bool{}
	for _, name := range c.files {
		src, err := os.ReadFile(filepath.Join(c.root, name))
		if err != nil {
			continue
		}
		s, err := parse(filepath.Join(c.root, name), src)
		if err != nil {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Name == m.name {
				for _, t := range cover.of(s.fset.Position(id.Pos())) {
					found[t] = true
				}
			}
			return true
		})
	}
	for t := range found {
		all = append(all, t)
	}
	if len(all) == 0 { // another declaration uses it
		for _, blocks := range cover.blocks {
			for _, b := range blocks {
				for _, t := range b.tests {
					if !found[t] {
						found[t] = true
						all = append(all, t)
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b *test) int { return cmp.Compare(a.Seconds, b.Seconds) })
	return all
}
