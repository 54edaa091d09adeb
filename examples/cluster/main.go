// Command cluster is a chat that runs on more machines than one. Rooms are subjects of NATS, whose JetStream keeps
// their messages:
//
//	go run .
//
// in this directory is one node, with a NATS server of its own. Open the address that it prints in two windows. Three
// nodes, which together lose no message when one of them is killed, are
//
//	go run . -name a -listen 127.0.0.1:8081 -data /tmp/a -cluster 127.0.0.1:6221 -routes 127.0.0.1:6222,127.0.0.1:6223
//	go run . -name b -listen 127.0.0.1:8082 -data /tmp/b -cluster 127.0.0.1:6222 -routes 127.0.0.1:6221,127.0.0.1:6223
//	go run . -name c -listen 127.0.0.1:8083 -data /tmp/c -cluster 127.0.0.1:6223 -routes 127.0.0.1:6221,127.0.0.1:6222
//
// A node waits until two of them run, which it says, and then prints its address. A page connects to another node when
// its own is gone. -nats uses a NATS cluster that is there already. protocol.go describes what goes over a WebSocket,
// and room.go how the messages of a room reach its clients.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stopTimeout is how long clients have for the closing handshake when the node stops.
const stopTimeout = 5 * time.Second

type config struct {
	listen   string
	public   string
	replicas int
	nats     natsConfig
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("cluster: ")
	c, err := parseFlags(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second Ctrl-C ends the process at once
	if err := run(ctx, c, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func parseFlags(args []string) (config, error) {
	var c config
	f := flag.NewFlagSet("cluster", flag.ExitOnError)
	f.StringVar(&c.listen, "listen", "127.0.0.1:8080", "address for clients; port 0 chooses a free one")
	f.StringVar(&c.public, "public", "", "URL by which clients reach this node; by default http:// and the address")
	f.IntVar(&c.replicas, "replicas", 0, "nodes that store each message; by default 3 with -cluster, and 1 without")
	f.StringVar(&c.nats.url, "nats", "", "URL of a NATS cluster with JetStream; by default a server is started")
	f.StringVar(&c.nats.name, "name", "node", "name of this node, which no other one may have")
	f.StringVar(&c.nats.dir, "data", "", "directory for messages; by default a temporary one, which is removed")
	f.BoolVar(&c.nats.sync, "sync", false, "write each message to the disk at once, in case that all nodes lose power")
	f.StringVar(&c.nats.cluster, "cluster", "", "address for the other nodes, on a network that only they can reach")
	f.StringVar(&c.nats.routes, "routes", "", "addresses of -cluster of the other nodes, with commas between them")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if (c.nats.cluster == "") != (c.nats.routes == "") {
		return c, errors.New("-cluster and -routes belong together")
	}
	if c.replicas == 0 {
		c.replicas = 1
		if c.nats.cluster != "" {
			c.replicas = 3
		}
	}
	return c, nil
}

// run serves until ctx ends, and then tells all clients to go elsewhere. It writes a line to stdout when it serves.
func run(ctx context.Context, c config, stdout io.Writer) error {
	if c.nats.dir == "" {
		dir, err := os.MkdirTemp("", "cluster")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		c.nats.dir = dir
	}
	nc, disconnect, err := c.nats.connect()
	if err != nil {
		return err
	}
	defer disconnect()
	store, err := newStore(ctx, nc, c.replicas)
	if err != nil {
		return err
	}
	// Clients that connect before the node can serve them should get an error, and go elsewhere.
	ln, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	if c.public == "" {
		c.public = "http://" + ln.Addr().String()
	}
	peers, err := newPeers(ctx, nc, c.public)
	if err != nil {
		return err
	}
	n := &node{name: c.nats.name, store: store, rooms: newRooms(store), peers: peers}
	return n.run(ctx, ln, c.public, stdout)
}

func (n *node) run(ctx context.Context, ln net.Listener, public string, stdout io.Writer) error {
	srv := &http.Server{Handler: n.handler(), ReadTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ends with stop
	go n.watchPeers(ctx)
	if _, err := fmt.Fprintf(stdout, "cluster: node %s, open %s/\n", n.name, public); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return n.stop(srv)
	}
}

// stop closes all connections with 1001. Messages that are being stored are stored before.
func (n *node) stop(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Shutdown(ctx) }() // ends with ctx
	err := n.group.Shutdown(ctx)
	if closed := <-stopped; errors.Is(closed, context.DeadlineExceeded) {
		return errors.Join(err, srv.Close()) // browsers open connections in advance
	}
	return err
}
