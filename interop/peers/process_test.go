package peers

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// missing ends a test whose peer is not installed. In CI, which sets WEBSOCKET_REQUIRE_PEERS, it fails.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("WEBSOCKET_REQUIRE_PEERS") != "" {
		t.Fatalf("WEBSOCKET_REQUIRE_PEERS is set, and a peer is not installed: %v", err)
	}
	t.Skipf("a peer is not installed: %v; INTEROP.md says how to install it", err)
}

// versionOf returns the word of a command's output that is the version of a program. It ends the
// test if the program is missing.
func versionOf(t *testing.T, word int, command ...string) string {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		missing(t, fmt.Errorf("%s: %w", strings.Join(command, " "), err))
	}
	fields := strings.Fields(string(out))
	if word >= len(fields) {
		t.Fatalf("%s: got output %q, want a version", strings.Join(command, " "), out)
	}
	return strings.TrimPrefix(fields[word], "v")
}

// A process is a peer, with all processes that it starts.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // of its output; closed at its end
}

// start starts a process, which is killed at the end of the test.
func start(t *testing.T, command ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(command[0], command[1:]...), lines: make(chan string, 100)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to kill its children, too
	p.cmd.Stderr = t.Output()
	p.cmd.WaitDelay = patience
	if _, err := p.cmd.StdinPipe(); err != nil { // a server ends with its input, whatever ends this process
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.lines)
		in := bufio.NewScanner(stdout)
		for in.Scan() {
			p.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		p.kill()
		for range p.lines {
		}
		p.cmd.Wait()
	})
	return p
}

// kill ends the process and those that it has started.
func (p *process) kill() { syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// line returns the next line of the output; ok is false at its end.
func (p *process) line() (line string, ok bool) {
	p.t.Helper()
	select {
	case line, ok = <-p.lines:
		return line, ok
	case <-time.After(2 * patience): // it may have to be compiled first
		p.t.Errorf("%s says nothing", p.cmd.Path)
		return "", false
	}
}

// report adds all lines of the process to the reports, until it ends.
func (p *process) report(r reports) {
	p.t.Helper()
	for line, ok := p.line(); ok; line, ok = p.line() {
		if !r.add(line) {
			p.t.Errorf("got line %q from %s, want a report", line, p.cmd.Path)
		}
	}
}
