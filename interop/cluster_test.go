//go:build unix

package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// startCluster starts three nodes of examples/cluster as processes, and returns their addresses and a function that
// kills one of them.
func startCluster(t *testing.T) (urls []string, kill func(node int)) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "cluster")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Dir = "../examples/cluster"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var nodes []*exec.Cmd
	var lines []*bufio.Reader
	kill = func(i int) {
		nodes[i].Process.Kill()
		nodes[i].Wait()
	}
	addrs := freeAddrs(t, 6)
	listen, cluster := addrs[:3], addrs[3:]
	stderr := make([]bytes.Buffer, len(listen))
	for i, name := range []string{"a", "b", "c"} {
		// A server may have a route to itself, which it finds out.
		cmd := exec.Command(binary, "-name", name, "-listen", listen[i], "-data", t.TempDir(), "-cluster", cluster[i],
			"-routes", strings.Join(cluster, ","))
		cmd.Stderr = &stderr[i]
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		nodes, lines = append(nodes, cmd), append(lines, bufio.NewReader(stdout))
		t.Cleanup(func() { kill(i) })
		urls = append(urls, "http://"+listen[i]+"/")
	}
	for i := range nodes {
		late := time.AfterFunc(2*patience, func() { nodes[i].Process.Kill() }) // a cluster elects a leader first
		line, err := lines[i].ReadString('\n')
		late.Stop()
		if err != nil {
			kill(i)
			t.Fatalf("node %d does not serve: %q, %v\n%s", i, line, err, stderr[i].Bytes())
		}
	}
	return urls, kill
}

// freeAddrs returns addresses whose ports are outside the range from which systems take those of clients.
func freeAddrs(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for attempts := 0; len(addrs) < n && attempts < 1000; attempts++ {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.N(12_000)))
		if err != nil {
			continue
		}
		defer ln.Close() // all at the end, so that no port is chosen twice
		addrs = append(addrs, ln.Addr().String())
	}
	if len(addrs) < n {
		t.Fatal("got no free ports")
	}
	return addrs
}

// A page whose node is killed goes to another one. What was written meanwhile arrives once.
func TestClusterPageChangesNodes(t *testing.T) {
	b := startBrowser(t)
	urls, kill := startCluster(t)
	enter := func(name, url string) *tab {
		t.Helper()
		p := b.open(name, url+"#tea")
		p.do("write the name", chromedp.SendKeys(chromedp.CSS("#who-name"), name))
		p.do("enter", chromedp.Click(chromedp.CSS("#who-form button")))
		p.waitState("connected")
		return p
	}
	ann, bob := enter("Ann", urls[0]), enter("Bob", urls[1])
	ann.waitNode("to node a, 1 of 3") // so it has learned of the others
	bob.waitNode("to node b, 1 of 3")
	ann.sayInRoom("Hello")
	ann.waitDelivered("Hello")
	bob.waitMessage("Ann", "Hello")
	bob.checkLayout(t, "cluster", 360)
	for _, p := range []*tab{ann, bob} {
		if got := p.problems(); len(got) > 0 {
			t.Errorf("%s: got %q on the console, want nothing", p.name, got)
		}
	}

	kill(0)
	ann.sayInRoom("Are you there?")
	ann.wait("another node", "document.querySelector('#state').dataset.state === 'connected' && "+
		"/^to node [bc],/.test(document.querySelector('#node').textContent)")
	ann.waitDelivered("Are you there?")
	bob.waitMessage("Ann", "Are you there?")
	bob.sayInRoom("Yes")
	ann.waitMessage("Bob", "Yes")
	ann.waitDelivered("Hello")
}

func (p *tab) waitNode(text string) {
	p.t.Helper()
	p.wait("the node", fmt.Sprintf("document.querySelector('#node').textContent === %q", text))
}

func (p *tab) sayInRoom(text string) {
	p.t.Helper()
	p.typeText(text)
	p.do("send it", chromedp.Click(chromedp.CSS("#composer button")))
}
