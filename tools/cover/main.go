// Cover measures how much of the package the tests reach, and fails if that is less than it must be.
//
// The pure files, those of the first table of DESIGN.md, are covered completely, each by the tests of its own:
// x.go by those in x_test.go and in the files x_*_test.go. The package is covered to 95 % by all tests. A block
// that is nothing but a panic for a bug of the package does not count.
//
// It is run in the folder of this module, with `go run ./cover`.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	root       = ".."
	leastTotal = 95 // percent
)

func main() {
	listTests := flag.Bool("tests", false, "print a pattern for go test's -run that selects the tests of the pure files, and do no more")
	flag.Parse()
	err := run(os.Stdout, *listTests)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, listTests bool) error {
	design, err := os.ReadFile(filepath.Join(root, "DESIGN.md"))
	if err != nil {
		return err
	}
	files, err := pureFiles(string(design))
	if err != nil {
		return err
	}
	own := make([][]string, len(files))
	var all []string
	for i, file := range files {
		if own[i], err = testsOf(root, file); err != nil {
			return err
		}
		all = append(all, own[i]...)
	}
	if listTests {
		fmt.Fprintln(w, pattern(all))
		return nil
	}
	return measure(w, files, own)
}

// measure prints the coverage of each file by its own tests, and that of the package by all.
func measure(w io.Writer, files []string, own [][]string) error {
	dir, err := os.MkdirTemp("", "cover")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "tests")
	build := exec.Command("go", "test", "-c", "-cover", "-o", bin, ".")
	build.Dir, build.Stdout, build.Stderr = root, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the tests: %w", err)
	}

	short := 0
	for i, file := range files {
		blocks, err := profile(bin, dir, pattern(own[i]))
		if err != nil {
			return fmt.Errorf("the tests of %s: %w", file, err)
		}
		c := count(blocks, file)
		fmt.Fprintf(w, "%-24s %s by its own tests\n", file, c)
		if len(c.missed) > 0 || c.statements == 0 {
			short++
			for _, b := range c.missed {
				fmt.Fprintf(w, "\t%s is not reached\n", b)
			}
		}
	}

	blocks, err := profile(bin, dir, ".")
	if err != nil {
		return fmt.Errorf("all tests: %w", err)
	}
	c := count(blocks, "")
	fmt.Fprintf(w, "%-24s %s by all tests\n", "the package", c)
	for _, b := range c.missed {
		fmt.Fprintf(w, "\t%s is not reached\n", b)
	}
	switch {
	case short > 0:
		return fmt.Errorf("%d pure files are not covered by their own tests", short)
	case c.percent() < leastTotal:
		return fmt.Errorf("the tests cover %.1f %% of the package, which is less than %d %%", c.percent(), leastTotal)
	}
	return nil
}

// profile runs the tests that the pattern selects, and returns the blocks that count, each with what it was
// reached. What the tests print is shown only if they fail.
func profile(bin, dir, pattern string) ([]block, error) {
	out := filepath.Join(dir, "profile")
	tests := exec.Command(bin, "-test.run", pattern, "-test.coverprofile", out, "-test.timeout", "5m")
	tests.Dir = root
	if text, err := tests.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	blocks, err := parseProfile(string(text))
	if err != nil {
		return nil, err
	}
	return withoutBugs(root, blocks)
}

// coverage is how many statements there are, how many of them were reached, and the blocks that were not.
type coverage struct {
	statements, reached int
	missed              []block
}

// count counts the statements of a file, or of all files if it is "".
func count(blocks []block, file string) (c coverage) {
	for _, b := range blocks {
		if file != "" && b.file != file {
			continue
		}
		c.statements += b.statements
		if b.reached {
			c.reached += b.statements
		} else {
			c.missed = append(c.missed, b)
		}
	}
	return c
}

// percent is 100 only if all was reached, and 0 if there is nothing.
func (c coverage) percent() float64 { return 100 * float64(c.reached) / float64(max(c.statements, 1)) }

func (c coverage) String() string {
	return fmt.Sprintf("%5.1f %%, %d of %d statements", c.percent(), c.reached, c.statements)
}

// pattern returns a pattern that selects the tests.
func pattern(tests []string) string { return "^(" + strings.Join(tests, "|") + ")$" }
