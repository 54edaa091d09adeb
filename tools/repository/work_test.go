package repository

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The parsers of headers take steps in proportion to the bytes, whatever these are: twice as many for headers that are
// twice as long. The steps are the statements that are run, in the package and in package strings.
func TestHeaderParsingIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute to compile the tests with counters")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "tests")
	build := exec.Command("go", "test", "-c", "-vet=off", "-covermode", "count", "-coverpkg", ".,strings", "-o", bin, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	steps := func(size int) (n float64) {
		profile := filepath.Join(dir, "profile")
		cmd := exec.Command(bin, "-test.run", "^TestAttackHeaderParsingIsLinear$", "-test.coverprofile", profile)
		cmd.Env = append(os.Environ(), fmt.Sprint("WEBSOCKET_TEST_HEADER_SIZE=", size))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			file, counts, _ := strings.Cut(line, ":")
			if !strings.HasPrefix(file, "strings/") && !strings.Contains(filepath.Base(file), "handshake") {
				continue
			}
			var position string
			var statements, count float64
			if _, err := fmt.Sscan(counts, &position, &statements, &count); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			n += statements * count
		}
		return n
	}
	const size = 1 << 15
	once, twice := steps(size), steps(2*size)
	t.Logf("%.0f steps for headers of %d bytes, %.0f for %d", once, size, twice, 2*size)
	if once < size || twice > 2.1*once {
		t.Errorf("got %.0f steps for headers of %d bytes and %.0f for twice as many, want twice as many", once, size, twice)
	}
}
