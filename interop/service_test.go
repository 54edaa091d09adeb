package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A service that imports gorilla/websocket works with the replace line, with the lowest
// go line that is promised, and without the network or a module from a cache. In
// particular, go mod tidy loads the tests of the packages that it finds: if a test of
// this library imported the library by its path, tidy would look for that module.
func TestService(t *testing.T) {
	library, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/service")); err != nil {
		t.Fatal(err)
	}
	goMod := fmt.Sprintf(`module example.com/service

go 1.23

require github.com/gorilla/websocket v1.5.3

replace github.com/gorilla/websocket => %s
`, library)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o666); err != nil {
		t.Fatal(err)
	}

	env := append(os.Environ(),
		"GOENV=off", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local",
		"GOPROXY=off", "GOPRIVATE=", "GONOPROXY=", "GOMODCACHE="+t.TempDir())
	for _, command := range []string{
		"go build ./...",
		"go vet ./...",
		"go test ./...",
		"go mod tidy",
		"go mod vendor",
		"go build -mod=vendor ./...",
	} {
		words := strings.Fields(command)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		// A higher go line of the library, or a module that it required, would get in here.
		got, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != goMod {
			t.Fatalf("%s: got the go.mod\n%s\nwant it unchanged", command, got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "go.sum")); err == nil {
		t.Error("got a go.sum, want none: the library requires no module")
	}
}
