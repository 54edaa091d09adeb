//go:build go1.25

// The tests run with the settings of Go 1.25, as those of a service with such a go line
// do, and not with those of the go line of this module: TCP listeners offer MPTCP then,
// for instance.
//
//go:debug default=go1.25

package websocket

import (
	"flag"
	"os"
	"runtime/debug"
	"slices"
	"testing"
)

// raceEnabled: under the race detector sync.Pool forgets on purpose, so that
// allocations cannot be counted.
var raceEnabled = func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// TestMain has every buffer overwritten that is given back to its pool, so that
// bytes show which somebody still uses then.
func TestMain(m *testing.M) {
	flag.Parse()
	poisonBuffers = flag.Lookup("test.bench").Value.String() == "" // else it would be measured, too
	os.Exit(m.Run())
}

// unlessRace returns n, or few under the race detector, which makes everything take ten times as long.
func unlessRace(n, few int) int {
	if raceEnabled {
		return few
	}
	return n
}

// skipRace skips a test that takes long and has one goroutine: the race detector would find nothing in it.
func skipRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("one goroutine")
	}
}
