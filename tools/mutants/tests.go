package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// test is a test, an Example or a fuzz target with its seed corpus, and what was found when it was run alone.
type test struct {
	Name    string
	Key     string // of the sources that it was run with
	Seconds float64
	Failed  bool
	Blocks  []string // what it covers: "file.go:12.34,15.2"
}

// runner runs tests, at most so many processes at once.
type runner struct {
	root, work string
	workers    int
	timeout    time.Duration // beside ten times what the tests take
	megabytes  int           // of address space

	mu     sync.Mutex
	caught map[string]map[string]int // how many mutants of a function each test has caught
}

// hang is the output of a run that was ended.
const hang = "hang"

func (r *runner) limit(seconds float64) time.Duration {
	return r.timeout + time.Duration(10*seconds*float64(time.Second))
}

// run runs the tests with a mutant, and reports whether they pass.
func (r *runner) run(binary string, id int, seconds float64, args ...string) (ok bool, out string) {
	for range 3 {
		var killed bool
		if ok, killed, out = r.runOnce(binary, id, seconds, args...); !killed {
			break // else by somebody else, who has no interest in this mutant
		}
	}
	return ok, out
}

func (r *runner) runOnce(binary string, id int, seconds float64, args ...string) (ok, killed bool, out string) {
	ctx, cancel := context.WithTimeout(context.Background(), r.limit(seconds))
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, r.megabytes<<10)
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, binary, "-test.timeout=0"}, args...)...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", environment, id), "TMPDIR="+r.work)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	b, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return false, false, hang
	}
	if cmd.ProcessState == nil {
		panic(err) // the binary does not start
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		killed = status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGTERM
	}
	return err == nil, killed, string(b)
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// caughtBy returns the test that fails with the mutant, or "hang", or another sign that it was noticed, or "". It
// tries first what has caught other mutants of the function, then the fastest tests, then the rest.
func (r *runner) caughtBy(binary string, id int, function string, tests []*test) string {
	r.mu.Lock()
	caught := maps.Clone(r.caught[function])
	r.mu.Unlock()
	tests = slices.Clone(tests)
	slices.SortStableFunc(tests, func(a, b *test) int { return cmp.Compare(caught[b.Name], caught[a.Name]) })
	for limit := 0.2; len(tests) > 0; limit *= 5 {
		n, seconds := 0, 0.0
		for n < len(tests) && (n < 5 || seconds < limit) {
			seconds += tests[n].Seconds
			n++
		}
		args := []string{"-test.failfast", "-test.run", pattern(tests[:n])}
		ok, out := r.run(binary, id, seconds, args...)
		if out == hang {
			// Not if the machine is just busy.
			begin := time.Now()
			if r.run(binary, 0, seconds, args...); time.Since(begin) > r.limit(seconds)/4 {
				ok, out = r.run(binary, id, 10*seconds, args...)
			}
		}
		if !ok {
			by := strings.SplitN(out, "\n", 2)[0]
			if i := strings.Index(out, "panic: "); i >= 0 {
				by = strings.SplitN(out[i:], "\n", 2)[0]
			}
			if m := failed.FindStringSubmatch(out); m != nil {
				by = m[1]
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.caught[function] == nil {
					r.caught[function] = map[string]int{}
				}
				r.caught[function][by]++
			}
			return by
		}
		tests = tests[n:]
	}
	return ""
}

func pattern(tests []*test) string {
	var names []string
	for _, t := range tests {
		names = append(names, t.Name)
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// each calls f with 0 to n-1, in as many goroutines as there are workers.
func (r *runner) each(n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range r.workers {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// keys returns the key of each test: a hash of the package without its tests, and of the file that has the test. What
// its helpers in other files change does not count: at worst a test is run in vain.
func keys(root string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		return nil, err
	}
	all := sha256.New()
	fmt.Fprintln(all, runtime.Version())
	tests := map[string][]byte{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, "_test.go") {
			tests[name] = b
		} else {
			all.Write(b)
		}
	}
	keys := map[string]string{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	for _, b := range tests {
		h := sha256.Sum256(append(all.Sum(nil), b...))
		for _, m := range function.FindAllSubmatch(b, -1) {
			keys[string(m[1])] = hex.EncodeToString(h[:8])
		}
	}
	return keys, nil
}

// measure returns all tests with their coverage, from the cache or by running each alone.
func (r *runner) measure() ([]*test, error) {
	keys, err := keys(r.root)
	if err != nil {
		return nil, err
	}
	cacheDir, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(cacheDir, "websocket-mutants", "coverage.json")
	known := map[string]*test{}
	if b, err := os.ReadFile(cache); err == nil {
		var tests []*test
		if err := json.Unmarshal(b, &tests); err != nil {
			return nil, err
		}
		for _, t := range tests {
			if t.Key == keys[t.Name] {
				known[t.Name] = t
			}
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var tests, missing []*test
	for name, key := range keys {
		t := known[name]
		if t == nil {
			t = &test{Name: name, Key: key}
			missing = append(missing, t)
		}
		tests = append(tests, t)
	}
	slices.SortFunc(tests, func(a, b *test) int { return cmp.Compare(a.Name, b.Name) })
	if len(missing) == 0 {
		return tests, nil
	}
	fmt.Printf("running %d tests, each alone, for its coverage\n", len(missing))
	binary := filepath.Join(r.work, "cover.test")
	if out, err := command(r.root, "go", "test", "-c", "-vet=off", "-cover", "-o", binary, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	r.each(len(missing), func(i int) {
		t := missing[i]
		profile := filepath.Join(r.work, t.Name+".cover")
		begin := time.Now()
		ok, _ := r.run(binary, 0, 30, "-test.run", "^"+t.Name+"$", "-test.coverprofile", profile)
		t.Seconds, t.Failed = time.Since(begin).Seconds(), !ok
		b, _ := os.ReadFile(profile)
		for line := range bytes.Lines(b) {
			if s := strings.Fields(string(line)); len(s) == 3 && s[2] != "0" {
				t.Blocks = append(t.Blocks, filepath.Base(s[0]))
			}
		}
		os.Remove(profile)
	})
	os.Remove(binary)
	b, err := json.Marshal(tests)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(cache), 0o700); err != nil {
		return nil, err
	}
	return tests, os.WriteFile(cache, b, 0o600)
}

// coverage says which tests run a statement.
type coverage struct {
	blocks map[string][]*block // by file
}

type block struct {
	fromLine, fromCol, toLine, toCol int
	tests                            []*test
}

// newCoverage sorts the tests by what they cover, fastest first.
func newCoverage(tests []*test) *coverage {
	slices.SortFunc(tests, func(a, b *test) int { return cmp.Compare(a.Seconds, b.Seconds) })
	c := &coverage{map[string][]*block{}}
	known := map[string]*block{}
	for _, t := range tests {
		for _, text := range t.Blocks {
			b := known[text]
			if b == nil {
				b = &block{}
				known[text] = b
				file, span, _ := strings.Cut(text, ":")
				fmt.Sscanf(span, "%d.%d,%d.%d", &b.fromLine, &b.fromCol, &b.toLine, &b.toCol)
				c.blocks[file] = append(c.blocks[file], b)
			}
			b.tests = append(b.tests, t)
		}
	}
	return c
}

// of returns the tests that run the statement at p.
func (c *coverage) of(p token.Position) []*test {
	var found *block
	for _, b := range c.blocks[filepath.Base(p.Filename)] {
		begins := b.fromLine < p.Line || b.fromLine == p.Line && b.fromCol <= p.Column
		ends := b.toLine > p.Line || b.toLine == p.Line && b.toCol >= p.Column
		// Blocks meet at braces: the later one is it.
		if begins && ends && (found == nil || b.fromLine > found.fromLine || b.fromLine == found.fromLine && b.fromCol > found.fromCol) {
			found = b
		}
	}
	if found == nil {
		return nil
	}
	return found.tests
}
