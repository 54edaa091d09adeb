package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// server is a server process that this one has started.
type server struct {
	library *library
	pattern string
	address string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	log     *strings.Builder
}

// startServer starts a server on a core of its own, with one P unless procs says more.
func startServer(l *library, pattern string, overTLS bool, procs int) (*server, error) {
	cmd, err := l.command(pattern, overTLS)
	if err != nil {
		return nil, err
	}
	s := &server{library: l, pattern: pattern, cmd: cmd, log: new(strings.Builder)}
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", max(procs, 1)))
	cmd.Stderr = s.log
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if procs > 1 {
		err = cores.unpinned(cmd.Start)
	} else {
		err = cores.onServerCore(cmd.Start)
	}
	if err != nil {
		return nil, err
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s does not start: %v %s", l.name, err, s.log)
	}
	s.address = strings.TrimSpace(line)
	return s, nil
}

// command is the server's command line.
func (l *library) command(pattern string, overTLS bool) (*exec.Cmd, error) {
	args := []string{"-library", l.name, "-pattern", pattern}
	if overTLS {
		args = append(args, "-tls")
	}
	if l.script != "" {
		return l.scriptCommand(args)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(self, append([]string{"serve"}, args...)...), nil
}

// stop ends the process and waits for it.
func (s *server) stop() {
	s.in.Close() // it ends with its input
	ended := time.AfterFunc(2*time.Second, func() { s.cmd.Process.Kill() })
	s.cmd.Wait()
	ended.Stop()
}

// cpu is the time for which the process has run, in user and system mode.
func (s *server) cpu() (time.Duration, error) { return processCPU(s.cmd.Process.Pid) }

// memory makes the server collect its garbage, and returns what remains.
func (s *server) memory() (m memory, resident uint64, err error) {
	if _, err := io.WriteString(s.in, "memory\n"); err != nil {
		return m, 0, err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return m, 0, err
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return m, 0, err
	}
	resident, err = s.status("VmRSS")
	return m, resident, err
}

// status is a size in bytes from /proc/<pid>/status.
func (s *server) status(field string) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(b), field+":")
	if !found {
		return 0, fmt.Errorf("no %s in /proc", field)
	}
	var kb uint64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, err
	}
	return kb << 10, nil
}
