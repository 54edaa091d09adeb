// Package repository has tests of the repository as a whole: that its documents are right, that the public API
// is the one in testdata/api.txt, and that the files of the package keep to the layers of DESIGN.md.
package repository

import (
	"fmt"
	"os"
	"testing"
)

// The tests are run in the root of the repository.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
