package websocket

import (
	"flag"
	"os"
	"testing"
)

// TestMain has every buffer overwritten that is given back to its pool, so that
// bytes show which somebody still uses then.
func TestMain(m *testing.M) {
	flag.Parse()
	poisonBuffers = flag.Lookup("test.bench").Value.String() == "" // else it would be measured, too
	os.Exit(m.Run())
}
