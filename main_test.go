package websocket

import (
	"os"
	"testing"
)

// TestMain has every buffer overwritten that is given back to its pool, so that
// bytes show which somebody still uses then.
func TestMain(m *testing.M) {
	poisonBuffers = true
	os.Exit(m.Run())
}
