// Programs has public Go modules that use gorilla/websocket run their own tests, once with gorilla/websocket and
// once with this library in its place, and reports every test that passes with the former and not with the latter.
//
//	go run .             # all of them, some ten minutes the first time
//	go run . -short      # the smallest ones
//	go run . -only NAME  # one of them
//
// The second run differs from the first by the replace line of MIGRATING.md and go mod tidy alone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

const gorilla = "github.com/gorilla/websocket"

func main() {
	log.SetFlags(0)
	short := flag.Bool("short", false, "only the smallest programs")
	only := flag.String("only", "", "only the program of this `name`")
	verbose := flag.Bool("v", false, "print what the tests of both runs print")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !run(ctx, *short, *only, *verbose) {
		os.Exit(1)
	}
}

// run compares the programs that are asked for, prints a table, and reports whether no test fails here only.
func run(ctx context.Context, short bool, only string, verbose bool) (ok bool) {
	root, err := filepath.Abs("../..")
	if err != nil {
		log.Print(err)
		return false
	}
	fmt.Println("| program | kind | tests | pass with gorilla | pass here |")
	fmt.Println("|---|---|---|---|---|")
	ok, found := true, false
	for _, p := range programs {
		if only != "" && p.name != only || short && !p.short {
			continue
		}
		found = true
		r, err := p.compare(ctx, root, verbose)
		if err != nil {
			log.Printf("%s: %v", p.name, err)
			ok = false
			continue
		}
		fmt.Printf("| %s %s | %s | %d | %d | %d |\n", p.name, p.version, p.kind, r.tests, r.passGorilla, r.passHere)
		for _, test := range r.failHere {
			fmt.Printf("\n%s passes with gorilla, and fails twice here.\n\n", test)
			ok = false
		}
	}
	if !found {
		log.Printf("no program is called %q", only)
	}
	return ok && found
}

// program is a module with tests of its own.
type program struct {
	name, module, version string
	kind                  string
	packages              []string
	skip                  string // tests that are not run, as a regular expression: see the comment there
	short                 bool   // its tests take a few seconds
}

// result is what came of the tests of a program.
type result struct {
	tests, passGorilla, passHere int
	failHere                     []string // tests that pass with gorilla only
}

// compare runs the tests of the program twice.
func (p *program) compare(ctx context.Context, root string, verbose bool) (result, error) {
	dir, err := os.MkdirTemp("", "programs-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	if err := p.fetch(ctx, dir); err != nil {
		return result{}, err
	}
	if err := tool(ctx, dir, "get", gorilla+"@v1.5.3"); err != nil {
		return result{}, err
	}
	with, err := p.test(ctx, dir, verbose)
	if err != nil {
		return result{}, err
	}
	if err := tool(ctx, dir, "mod", "edit", "-replace", gorilla+"="+root); err != nil {
		return result{}, err
	}
	if err := tool(ctx, dir, "mod", "tidy"); err != nil {
		return result{}, err
	}
	here, err := p.test(ctx, dir, verbose)
	if err != nil {
		return result{}, err
	}
	r := compareOutcomes(with, here)
	if len(r.failHere) > 0 { // a test may fail now and then with either
		again, err := p.test(ctx, dir, verbose)
		if err != nil {
			return result{}, err
		}
		for test, outcome := range again {
			if outcome == pass {
				here[test] = pass
			}
		}
		r = compareOutcomes(with, here)
	}
	return r, nil
}

// fetch copies the module to dir.
func (p *program) fetch(ctx context.Context, dir string) error {
	// There is no go.mod yet in dir.
	out, err := command(ctx, dir, "mod", "download", "-json", p.module+"@"+p.version).Output()
	var m struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); jsonErr != nil && err == nil {
		err = jsonErr
	}
	if m.Error != "" {
		err = errors.New(m.Error)
	}
	if err != nil {
		return fmt.Errorf("go mod download: %w", err)
	}
	// The files of the module cache are read-only.
	return fs.WalkDir(os.DirFS(m.Dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, path)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := os.ReadFile(filepath.Join(m.Dir, path))
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
}

// command is the go command in the module, whatever workspace that may have.
func command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off")
	return c
}

// tool runs the go command in the module.
func tool(ctx context.Context, dir string, args ...string) error {
	c := command(ctx, dir, args...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

const testTimeout = 2 * time.Minute

// test runs the tests of the program, and returns the outcome of each.
func (p *program) test(ctx context.Context, dir string, verbose bool) (outcomes, error) {
	args := []string{"test", "-json", "-mod=mod", "-count=1", "-timeout", testTimeout.String()}
	if p.skip != "" {
		args = append(args, "-skip", p.skip)
	}
	c := command(ctx, dir, append(args, p.packages...)...)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	var printed io.Writer = io.Discard
	if verbose {
		printed = os.Stderr
	}
	list, err := readOutcomes(out, printed)
	waitErr := c.Wait()
	var exit *exec.ExitError
	switch {
	case err != nil:
		return nil, err
	case waitErr != nil && !errors.As(waitErr, &exit): // a test that fails is no error
		return nil, waitErr
	case len(list) == 0:
		return nil, fmt.Errorf("no test has run: %v\n%s", waitErr, stderr.String())
	}
	return list, nil
}
