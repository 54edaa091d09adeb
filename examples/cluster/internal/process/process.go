// Package process runs nodes of the cluster as processes, for tests and measurements, which kill them.
package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// patience is how long a node may take to serve. A cluster elects a leader first.
const patience = 2 * time.Minute

// Node is a node that can be started, killed and started again, with the same name, addresses and directory.
type Node struct {
	Name string
	URL  string
	Cmd  *exec.Cmd // that of the last start

	command []string
	env     []string
	stderr  bytes.Buffer
}

// New returns nodes that form a cluster, or a node on its own if there is but one name. A node runs the command with
// further arguments and environment variables, and keeps messages in a directory in dir.
func New(dir, command string, env []string, names ...string) ([]*Node, error) {
	ports, err := freePorts(2 * len(names))
	if err != nil {
		return nil, err
	}
	listen, cluster := ports[:len(names)], ports[len(names):]
	var nodes []*Node
	for i, name := range names {
		n := &Node{Name: name, URL: "http://" + listen[i], env: env}
		n.command = []string{command, "-name", name, "-listen", listen[i], "-data", dir + "/" + name}
		if len(names) > 1 {
			// A server may have a route to itself, which it finds out.
			n.command = append(n.command, "-cluster", cluster[i], "-routes", strings.Join(cluster, ","))
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// freePorts returns addresses whose ports are outside the range from which systems take those of clients: a node that
// is started again must find its ports free.
func freePorts(n int) (addrs []string, err error) {
	for attempts := 0; len(addrs) < n && attempts < 1000; attempts++ {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.N(12_000)))
		if err != nil {
			continue
		}
		defer ln.Close() // all at the end, so that no port is chosen twice
		addrs = append(addrs, ln.Addr().String())
	}
	if len(addrs) < n {
		return nil, errors.New("no free ports")
	}
	return addrs, nil
}

// Start starts the nodes and returns when they serve. The caller must kill them in the end, also after an error.
func Start(nodes ...*Node) error {
	var outputs []*bufio.Reader
	for _, n := range nodes {
		n.Cmd = exec.Command(n.command[0], n.command[1:]...)
		n.Cmd.Env = append(os.Environ(), n.env...)
		n.Cmd.Stderr = &n.stderr
		if _, err := n.Cmd.StdinPipe(); err != nil { // it is closed when this process ends
			return err
		}
		stdout, err := n.Cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := n.Cmd.Start(); err != nil {
			return err
		}
		outputs = append(outputs, bufio.NewReader(stdout))
	}
	for i, n := range nodes {
		late := time.AfterFunc(patience, func() { n.Cmd.Process.Kill() })
		_, err := outputs[i].ReadString('\n')
		late.Stop()
		if err != nil {
			n.Kill()
			return fmt.Errorf("node %s does not serve: %v\n%s", n.Name, err, n.stderr.Bytes())
		}
	}
	return nil
}

// Kill ends the process at once, if there is one that has not ended yet.
func (n *Node) Kill() {
	if n.Cmd != nil && n.Cmd.Process != nil {
		n.Cmd.Process.Kill()
		n.Cmd.Wait()
	}
}

// Stop asks the process to end, and returns when it has ended.
func (n *Node) Stop() error {
	if err := n.Cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	late := time.AfterFunc(patience, func() { n.Cmd.Process.Kill() })
	defer late.Stop()
	if err := n.Cmd.Wait(); err != nil {
		return fmt.Errorf("node %s ends with %v\n%s", n.Name, err, n.stderr.Bytes())
	}
	return nil
}
