package compression

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A program is a peer in another language: a process that starts servers and clients as
// the lines of its input say, and tells in its output what comes of them.
type program struct {
	t      *testing.T
	input  io.Writer
	events chan event
}

// A request is a line of a program's input.
type request struct {
	Dial       string         `json:"dial,omitempty"` // the URL for a client; else it is for a server
	Options    map[string]any `json:"options"`        // in the words of the peer
	Fragmented bool           `json:"fragmented"`
}

// An event is a line of a program's output. One of its fields is set.
type event struct {
	Port  int    // of a server that was started
	Code  *int   // with which a connection was closed
	Error string // instead of a connection, or before its end
}

// startProgram runs the command until the test ends. The test is skipped where the check
// of what it needs fails. In CI, which sets WEBSOCKET_REQUIRE_PEERS, that is a failure.
func startProgram(t *testing.T, check []string, command ...string) *program {
	t.Helper()
	if out, err := exec.Command(check[0], check[1:]...).CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("%s: %v\n%s", strings.Join(check, " "), err, out))
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, input: input, events: make(chan event, 100)}
	read := make(chan struct{})
	go func() { // ends with the process
		defer close(read)
		p.read(output)
	}()
	t.Cleanup(func() {
		input.Close() // which ends it
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer late.Stop()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", command[0], err)
		}
	})
	return p
}

// missing ends a test whose peer is not installed.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("WEBSOCKET_REQUIRE_PEERS") != "" {
		t.Fatalf("WEBSOCKET_REQUIRE_PEERS is set, and a peer is not installed: %s", what)
	}
	t.Skipf("a peer is not installed; make interop installs it on Debian: %s", what)
}

func (p *program) read(output io.Reader) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e.Error = fmt.Sprintf("got line %q from the peer: %v", lines.Bytes(), err)
		}
		p.events <- e
	}
}

func (p *program) request(t *testing.T, r request) {
	t.Helper()
	line, err := json.Marshal(r)
	if err == nil {
		_, err = p.input.Write(append(line, '\n'))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *program) event(t *testing.T) event {
	t.Helper()
	select {
	case e := <-p.events:
		return e
	case <-time.After(patience):
		t.Fatal("the peer says nothing")
	}
	panic("not reached")
}

// awaitEnd tells the code with which the next connection is closed.
func (p *program) awaitEnd(t *testing.T, ended chan<- int) {
	done := make(chan struct{})
	go func() { // ends with the connection or the test
		defer close(done)
		select {
		case e := <-p.events:
			if e.Error != "" || e.Code == nil {
				t.Errorf("got event %+v from the peer, want a code", e)
				ended <- 0
				return
			}
			ended <- *e.Code
		case <-t.Context().Done():
		}
	}()
	t.Cleanup(func() { <-done })
}

// server is the program as an echo server.
func (p *program) server(options map[string]any, fragmented bool) peer {
	return peer{serve: func(t *testing.T, ended chan<- int) string {
		t.Helper()
		p.request(t, request{Options: options, Fragmented: fragmented})
		e := p.event(t)
		if e.Port == 0 {
			t.Fatalf("got event %+v from the peer, want a port", e)
		}
		p.awaitEnd(t, ended)
		return fmt.Sprint("127.0.0.1:", e.Port)
	}}
}

// client is the program as an echo client.
func (p *program) client(options map[string]any, fragmented bool) peer {
	return peer{dial: func(t *testing.T, url string, ended chan<- int) {
		t.Helper()
		p.request(t, request{Dial: url, Options: options, Fragmented: fragmented})
		p.awaitEnd(t, ended)
	}}
}
