// Command measure shows what the cluster can do on this machine, which runs the nodes and the clients:
//
//	go run ./measure
//
// in the directory of examples/cluster. It needs Linux, which says how much memory and time a process takes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/switching-protocols/websocket/examples/cluster/internal/process"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("measure: ")
	room := flag.Int("room", 1000, "clients in the room whose messages are counted")
	lost := flag.Int("lost", 3000, "clients of the node that is killed")
	duration := flag.Duration("duration", 20*time.Second, "how long messages are counted")
	flag.Parse()
	dir, err := os.MkdirTemp("", "measure")
	if err != nil {
		log.Fatal(err)
	}
	err = run(dir, *room, *lost, *duration)
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
}

func run(dir string, room, lost int, duration time.Duration) error {
	command := filepath.Join(dir, "cluster")
	build := exec.Command("go", "build", "-o", command, "github.com/switching-protocols/websocket/examples/cluster")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %v\n%s", err, out)
	}
	fmt.Printf("%s, %s/%s, %d processors\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, names := range [][]string{{"single"}, {"a", "b", "c"}} {
		if err := measure(dir, command, names, room, lost, duration); err != nil {
			return err
		}
	}
	return nil
}

// measure starts nodes, and measures them.
func measure(dir, command string, names []string, room, lost int, duration time.Duration) error {
	nodes, err := process.New(dir, command, nil, names...)
	if err != nil {
		return err
	}
	defer func() {
		for _, n := range nodes {
			n.Kill()
		}
	}()
	if err := process.Start(nodes...); err != nil {
		return err
	}
	fmt.Printf("\nnodes: %d\n", len(nodes))
	if err := measureMemory(nodes, lost); err != nil {
		return err
	}
	return measureMessages(nodes, room, duration)
}

// measureMemory fills the first node with clients. If there are others, it kills that node then, and measures how
// long the clients are without one.
func measureMemory(nodes []*process.Node, count int) error {
	first := nodes[0]
	// The room is open at the other nodes already, as a room with many clients is.
	others := startClients(len(nodes)-1, "idle", func(i int) []string { return []string{nodes[i+1].URL} })
	defer others.close()
	if err := others.wait(len(nodes) - 1); err != nil {
		return err
	}
	before, err := memory(first.Cmd.Process.Pid)
	if err != nil {
		return err
	}
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.URL)
	}
	clients := startClients(count, "idle", func(int) []string { return urls })
	defer clients.close()
	if err := clients.wait(count); err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // until the node has given back what it needed for the handshakes
	after, err := memory(first.Cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("memory: %.0f MB without clients, and %.1f KB more for each of %d idle clients\n",
		float64(before)/1e6, float64(after-before)/1e3/float64(count), count)
	if len(nodes) == 1 {
		return nil
	}

	clients.forget()
	killed := time.Now()
	first.Kill()
	if err := clients.wait(count); err != nil {
		return err
	}
	var waits []time.Duration
	for _, t := range clients.times() {
		waits = append(waits, t.Sub(killed))
	}
	slices.Sort(waits)
	fmt.Printf("after a node is killed: half of its %d clients are connected again after %.1f s, all after %.1f s\n",
		count, waits[count/2].Seconds(), waits[count-1].Seconds())
	return process.Start(first)
}

// measureMessages counts the messages that all clients of a room have got.
func measureMessages(nodes []*process.Node, count int, duration time.Duration) error {
	clients := startClients(count, "busy", func(i int) []string { return []string{nodes[i%len(nodes)].URL} })
	defer clients.close()
	if err := clients.wait(count); err != nil {
		return err
	}
	clients.talk()
	time.Sleep(duration / 4) // until it runs smoothly
	before, err := take(nodes, clients)
	if err != nil {
		return err
	}
	time.Sleep(duration)
	after, err := take(nodes, clients)
	if err != nil {
		return err
	}
	sent := float64(after.messages-before.messages) * float64(count)
	if sent == 0 {
		return errors.New("no message has come to all clients")
	}
	elapsed := after.time.Sub(before.time).Seconds()
	forNodes, forClients := (after.nodes - before.nodes).Seconds(), (after.clients - before.clients).Seconds()
	fmt.Printf("messages: %.0f a second to each of %d clients\n", sent/float64(count)/elapsed, count)
	fmt.Printf("processor time for one message to one client: %.1f µs of the nodes, %.1f µs of the clients; they had %.1f and %.1f processors\n",
		forNodes/sent*1e6, forClients/sent*1e6, forNodes/elapsed, forClients/elapsed)
	return nil
}

// sample is what was counted up to a time.
type sample struct {
	time     time.Time
	messages int64         // that all clients have got
	nodes    time.Duration // processor time of all nodes
	clients  time.Duration // processor time of this process
}

func take(nodes []*process.Node, clients *clients) (s sample, err error) {
	s.time, s.messages = time.Now(), clients.complete.Load()
	if s.clients, err = processorTime(os.Getpid()); err != nil {
		return s, err
	}
	for _, n := range nodes {
		t, err := processorTime(n.Cmd.Process.Pid)
		if err != nil {
			return s, err
		}
		s.nodes += t
	}
	return s, nil
}
