package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsConfig says which NATS a node uses: that at a URL, or a server in this process.
type natsConfig struct {
	url string

	name    string
	dir     string // for the messages
	sync    bool   // writes each message to the disk before it is accepted
	cluster string // address for the other servers; "" for a server on its own
	routes  string // addresses of the other servers, with commas between them
}

// connect returns a connection, and a function that closes it and stops the server in this process.
func (c natsConfig) connect() (*nats.Conn, func(), error) {
	options := []nats.Option{
		nats.Name("cluster " + c.name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(retryDelay),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Printf("NATS: %v", err) }),
	}
	if c.url != "" {
		nc, err := nats.Connect(c.url, options...)
		if err != nil {
			return nil, nil, err
		}
		return nc, nc.Close, nil
	}
	srv, err := c.start()
	if err != nil {
		return nil, nil, err
	}
	stop := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	if !srv.ReadyForConnections(10 * time.Second) {
		stop()
		return nil, nil, errors.New("the NATS server does not start; is its address in use?")
	}
	nc, err := nats.Connect("", append(options, nats.InProcessServer(srv))...)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return nc, func() {
		nc.Close()
		stop()
	}, nil
}

// start starts a NATS server in this process. From the network it accepts other servers only.
func (c natsConfig) start() (*server.Server, error) {
	options := &server.Options{
		ServerName: c.name,
		DontListen: true,
		NoSigs:     true,
		JetStream:  true,
		StoreDir:   c.dir,
		SyncAlways: c.sync,
	}
	if c.cluster != "" {
		host, port, err := net.SplitHostPort(c.cluster)
		if err != nil {
			return nil, fmt.Errorf("-cluster: %w", err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, fmt.Errorf("-cluster: %w", err)
		}
		options.Cluster = server.ClusterOpts{Name: "rooms", Host: host, Port: n, NoAdvertise: true}
		// A server that does not listen for clients does not listen for other servers either.
		options.DontListen, options.Host, options.Port = false, "127.0.0.1", server.RANDOM_PORT
		for _, route := range strings.Split(c.routes, ",") {
			options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: route})
		}
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	srv.SetLogger(serverLog{}, false, false)
	srv.Start()
	return srv, nil
}

// serverLog prints what a NATS server has to say about problems.
type serverLog struct{}

func (serverLog) Noticef(string, ...any)            {}
func (serverLog) Debugf(string, ...any)             {}
func (serverLog) Tracef(string, ...any)             {}
func (serverLog) Warnf(format string, args ...any)  { log.Printf("NATS: "+format, args...) }
func (serverLog) Errorf(format string, args ...any) { log.Printf("NATS: "+format, args...) }
func (serverLog) Fatalf(format string, args ...any) { log.Fatalf("NATS: "+format, args...) }
