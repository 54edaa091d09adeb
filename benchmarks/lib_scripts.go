package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// jsPatterns are what the servers in js/ can do.
var jsPatterns = []string{patternEcho, patternIdle, patternHandshake, patternDeflate, patternBroadcast}

var libBun = &library{
	name:     "bun",
	about:    "uWebSockets in Bun: Bun.serve, ws.send, and publish for broadcasts",
	script:   "bun.js",
	runtime:  "bun",
	patterns: jsPatterns,
}

var libNode = &library{
	name:     "node-ws",
	about:    "the package ws on node",
	script:   "node.js",
	runtime:  "node",
	args:     []string{"--expose-gc"},
	needs:    "ws",
	patterns: jsPatterns,
}

// jsDir is where the scripts are: beside the source, since they need what npm has
// installed there.
func jsDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "js")
}

// program is where the runtime of the scripts is, on the path or installed in js/.
func (l *library) program() (string, error) {
	if l.needs != "" {
		if _, err := os.Stat(filepath.Join(jsDir(), "node_modules", l.needs)); err != nil {
			return "", fmt.Errorf("%s is not installed for %s: npm install in js/ does it", l.needs, l.runtime)
		}
	}
	if path, err := exec.LookPath(l.runtime); err == nil {
		return path, nil
	}
	path := filepath.Join(jsDir(), "node_modules", ".bin", l.runtime)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed: npm install in js/ does it", l.runtime)
	}
	return path, nil
}

// scriptCommand is the command line of a server that is not written in Go.
func (l *library) scriptCommand(args []string) (*exec.Cmd, error) {
	program, err := l.program()
	if err != nil {
		return nil, err
	}
	args = slices.Concat(l.args, []string{filepath.Join(jsDir(), l.script)}, args)
	return exec.Command(program, args...), nil
}

// scriptVersion is the version of the runtime, and of the package that it needs.
func (l *library) scriptVersion() (string, error) {
	program, err := l.program()
	if err != nil {
		return "", err
	}
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s does not run: %w", l.runtime, err)
	}
	version := l.runtime + " " + strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
	if l.needs == "" {
		return version, nil
	}
	b, err := os.ReadFile(filepath.Join(jsDir(), "node_modules", l.needs, "package.json"))
	if err != nil {
		return "", err
	}
	var p struct{ Version string }
	err = json.Unmarshal(b, &p)
	return l.needs + " " + p.Version + ", " + version, err
}
