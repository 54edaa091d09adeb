package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/switching-protocols/websocket/examples/cluster/internal/process"
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

// startProcesses starts nodes, each in a process of its own.
func startProcesses(t *testing.T, names ...string) []*process.Node {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := process.New(t.TempDir(), exe, []string{"CLUSTER_TEST_NODE=1"}, names...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		t.Cleanup(n.Kill)
	}
	if err := process.Start(nodes...); err != nil {
		t.Fatal(err)
	}
	return nodes
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
	nodes := startProcesses(t, "a", "b", "c")
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.URL)
	}

	const perNode, progress = 4, 20
	var all []*talker
	for i := range perNode * len(nodes) {
		// Each has its node first in the list.
		all = append(all, newTalker(t, fmt.Sprint("talker ", i), append(slices.Clone(urls[i%3:]), urls[:i%3]...)))
	}
	for i, c := range all {
		eventually(t, c.name+" in the room", func() bool { return c.node() == nodes[i%3].Name })
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
	killed.Kill()
	wantProgress("after node a was killed")
	if err := process.Start(killed); err != nil {
		t.Fatal(err)
	}

	leader := status(t, killed.URL).Leader
	at := slices.IndexFunc(nodes, func(n *process.Node) bool { return n.Name == leader })
	if at < 0 {
		t.Fatalf("got leader %q, want one of the nodes", leader)
	}
	nodes[at].Kill()
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
		if err := n.Stop(); err != nil {
			t.Error(err)
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
