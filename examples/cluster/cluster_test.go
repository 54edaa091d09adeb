package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds the waits of the tests, which are short unless something is wrong.
const patience = 2 * time.Minute

// The test binary is also the program: a node that is killed must be a process.
func TestMain(m *testing.M) {
	if os.Getenv("CLUSTER_TEST_NODE") == "" {
		os.Exit(m.Run())
	}
	go func() { // ends the node when the test has ended, however that was
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	main()
}

// process is a node that can be killed and started again.
type process struct {
	t      *testing.T
	name   string
	url    string
	args   []string
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

func newProcesses(t *testing.T, names ...string) []*process {
	ports := freePorts(t, 2*len(names))
	var all []*process
	for i, name := range names {
		var routes []string
		for j := range names {
			if j != i {
				routes = append(routes, address(ports[2*j]))
			}
		}
		listen := address(ports[2*i+1])
		all = append(all, &process{t: t, name: name, url: "http://" + listen, args: []string{
			"-name", name, "-data", t.TempDir(), "-listen", listen,
			"-cluster", address(ports[2*i]), "-routes", strings.Join(routes, ","),
		}})
	}
	return all
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// freePorts returns ports outside the range from which systems take those of clients: a node that is started again
// must find its ports free.
func freePorts(t *testing.T, n int) (ports []int) {
	for attempts := 0; len(ports) < n && attempts < 1000; attempts++ {
		port := 20_000 + rand.N(12_000)
		ln, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		defer ln.Close() // all at the end, so that no port is chosen twice
		ports = append(ports, port)
	}
	if len(ports) < n {
		t.Fatal("got no free ports")
	}
	return ports
}

// start starts the node; wait returns when it serves.
func (p *process) start() (wait func()) {
	p.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(exe, p.args...)
	p.cmd.Env = append(os.Environ(), "CLUSTER_TEST_NODE=1")
	p.cmd.Stderr = &p.stderr
	if _, err := p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.kill)
	return func() {
		p.t.Helper()
		timer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
		defer timer.Stop()
		if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
			p.kill()
			p.t.Fatalf("node %s does not serve: %q, %v\n%s", p.name, line, err, p.stderr.Bytes())
		}
	}
}

// kill ends the process at once, if it has not ended yet.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func status(t *testing.T, url string) state {
	t.Helper()
	var s state
	eventually(t, "the status of "+url, func() bool {
		resp, err := http.Get(url + "/status")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		s = state{}
		return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&s) == nil && s.Leader != ""
	})
	return s
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("got no %s in %v", what, patience)
		}
	}
}

// A node is killed and started again, and then that which leads the stream is killed. Clients go on at other nodes.
// In the end each client has received all messages, in the same order, once.
func TestNodesAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes most of a minute, in which the cluster elects leaders")
	}
	nodes := newProcesses(t, "a", "b", "c")
	var waits []func()
	var urls []string
	for _, n := range nodes {
		waits = append(waits, n.start())
		urls = append(urls, n.url)
	}
	for _, wait := range waits {
		wait()
	}

	const perNode, progress = 4, 20
	var all []*talker
	for i := range perNode * len(nodes) {
		// Each has its node first in the list.
		all = append(all, newTalker(t, fmt.Sprint("talker ", i), append(slices.Clone(urls[i%3:]), urls[:i%3]...)))
	}
	for i, c := range all {
		eventually(t, c.name+" in the room", func() bool { return c.node() == nodes[i%3].name })
	}
	for _, c := range all {
		c.talk()
	}
	wantProgress := func(what string) {
		t.Helper()
		start := time.Now()
		want := make([]int, len(all))
		for i, c := range all {
			want[i] = len(c.log()) + progress
		}
		for i, c := range all {
			eventually(t, fmt.Sprintf("%d messages for %s %s", want[i], c.name, what), func() bool { return len(c.log()) >= want[i] })
		}
		t.Logf("%v until all clients have got %d messages %s", time.Since(start).Round(time.Millisecond), progress, what)
	}
	wantProgress("at the beginning")

	killed := nodes[0]
	killed.kill()
	wantProgress("after node a was killed")
	killed.start()()

	leader := status(t, killed.url).Leader
	at := slices.IndexFunc(nodes, func(p *process) bool { return p.name == leader })
	if at < 0 {
		t.Fatalf("got leader %q, want one of the nodes", leader)
	}
	nodes[at].kill()
	wantProgress("after node " + leader + ", the leader, was killed")
	for _, c := range all {
		if c.node() == leader {
			t.Errorf("%s is still at node %s, which was killed", c.name, leader)
		}
	}

	want := finish(t, all)
	t.Logf("%d messages of %d clients", len(want), len(all))
	for i, n := range nodes {
		if i == at {
			continue
		}
		if err := n.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := n.cmd.Wait(); err != nil {
			t.Errorf("node %s ends with %v\n%s", n.name, err, n.stderr.Bytes())
		}
	}
}

// finish has all talkers stop, and returns the messages, which must be the same for all.
func finish(t *testing.T, all []*talker) []entry {
	t.Helper()
	accepted := make(map[string]uint64)
	var last uint64
	for _, c := range all {
		for id, number := range c.stopTalking() {
			accepted[id] = number
			last = max(last, number)
		}
	}
	for _, c := range all {
		eventually(t, fmt.Sprintf("message %d for %s", last, c.name), func() bool {
			log := c.log()
			return len(log) > 0 && log[len(log)-1].number >= last
		})
	}
	want := all[0].log()
	times := make(map[string]int)
	for _, e := range want {
		times[e.id]++
		if number, ok := accepted[e.id]; !ok || number != e.number {
			t.Errorf("got message %q with number %d, accepted as %d (%t)", e.id, e.number, number, ok)
		}
	}
	for id, number := range accepted {
		if times[id] != 1 {
			t.Errorf("got message %q, accepted as %d, %d times", id, number, times[id])
		}
	}
	for _, c := range all {
		if got := c.log(); !slices.Equal(got, want) {
			t.Errorf("%s: got %d messages, want the %d that %s has got", c.name, len(got), len(want), all[0].name)
		}
		if err := c.close(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	return want
}

var errIncomplete = errors.New("some messages are no longer stored")
