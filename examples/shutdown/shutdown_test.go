//go:build go1.25 && unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// asProgram in the environment makes the test binary the program.
const asProgram = "SHUTDOWN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is the program at work in a process of its own.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Reader
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // where it has not ended by itself
		cmd.Wait()
	})
	return &process{t, cmd, bufio.NewReader(out)}
}

func (p *process) line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("got %q, %v, want a line", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (p *process) wantLine(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("got %q, want %q", got, want)
	}
}

// wantEnd waits for the end of the process, which says nothing more.
func (p *process) wantEnd() {
	p.t.Helper()
	rest, err := io.ReadAll(p.out)
	if err != nil || len(rest) > 0 {
		p.t.Errorf("got %q, %v, want nothing more", rest, err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("got %v, want success", err)
	}
}

// clientCount is how many clients the test has: 1,000, or what SHUTDOWN_CLIENTS says, or as
// many as there may be files. Go itself raises the soft limit to the hard one.
func clientCount(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("SHUTDOWN_CLIENTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("got SHUTDOWN_CLIENTS=%s, want a number of clients", s)
		}
		return n
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const n, others = 1000, 100
	if limit.Cur < n+others {
		return int(limit.Cur) - others
	}
	return n
}

// Every client sees 1001 and none 1006, also those that are talking all the time. With
// SHUTDOWN_CLIENTS=10000 in the environment there are that many.
func TestEveryClientSeesGoingAway(t *testing.T) {
	begin := time.Now()
	n := clientCount(t)
	server := start(t, "-addr", "127.0.0.1:0", "-timeout", "1m")
	url, ok := strings.CutPrefix(server.line(), "listening on ")
	if !ok {
		t.Fatal("the server does not say where it listens")
	}
	clients := start(t, "-clients", fmt.Sprint(n), "-url", url)
	clients.wantLine(fmt.Sprint(n, " connections are open"))

	const talkers = 10
	var talking sync.WaitGroup
	defer talking.Wait()
	for range talkers {
		c, _, err := websocket.DefaultDialer.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		talking.Go(func() {
			defer c.Close()
			if err := talk(c); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("a client that talks: got %v, want close 1001", err)
			}
		})
	}

	opened := time.Since(begin)
	begin = time.Now()
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	server.wantLine(fmt.Sprint("closing ", n+talkers, " connections"))
	clients.wantLine(fmt.Sprint(n, " connections ended with close code 1001"))
	clients.wantEnd()
	server.wantEnd()
	t.Logf("%d connections: open after %v, closed after %v more", n, opened, time.Since(begin))
	if _, _, err := websocket.DefaultDialer.Dial(url, nil); err == nil {
		t.Error("dialing again: got a connection, want none")
	}
}

// talk has messages on their way in both directions until the connection ends. It returns
// why reading has ended.
func talk(c *websocket.Conn) error {
	written := make(chan struct{})
	go func() { // ends with the connection
		defer close(written)
		for c.WriteMessage(websocket.BinaryMessage, make([]byte, 1000)) == nil {
		}
	}()
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			<-written
			return err
		}
	}
}

// A client that never answers does not hold up the end longer than the timeout.
func TestSilentClient(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- serve(ctx, "127.0.0.1:0", 100*time.Millisecond, w) }()
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := websocket.DefaultDialer.Dial(strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stop()
	go io.Copy(io.Discard, out) // ends with r
	if err := <-served; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	r.Close()
}

func TestServeReturnsTheErrorOfListen(t *testing.T) {
	if err := serve(t.Context(), "127.0.0.1:-1", time.Second, io.Discard); err == nil {
		t.Error("got no error, want one")
	}
}
