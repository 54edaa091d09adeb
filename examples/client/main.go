// Command client receives numbered messages and connects again whenever the connection ends, without losing one:
//
//	go run ./examples/client
//
// starts a server of its own, too, and kills it every few seconds. -url has it receive from another one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/switching-protocols/websocket"
)

func main() {
	url := flag.String("url", "", "address of the server; by default one is started, and killed every now and then")
	topic := flag.String("topic", "news", "what to receive")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("client: ")

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *url == "" {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		*url = "ws://" + ln.Addr().String()
		go demonstrate(ctx, ln, *topic)
	}
	c := &client{
		url:    *url,
		dialer: &websocket.Dialer{HandshakeTimeout: 10 * time.Second, PingInterval: 20 * time.Second},
		topics: map[string]uint64{*topic: 0},
		got:    func(m message) { fmt.Printf("%s %d: %s\n", m.Topic, m.Number, m.Text) },
		log:    log.Printf,
		min:    100 * time.Millisecond,
		max:    30 * time.Second,
	}
	if err := c.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// demonstrate publishes messages, and serves them over servers that live for three seconds each, until ctx ends.
func demonstrate(ctx context.Context, ln net.Listener, topic string) {
	f := newFeed()
	go func() {
		for ctx.Err() == nil {
			f.publish(topic, time.Now().Format(time.StampMilli))
			time.Sleep(300 * time.Millisecond)
		}
	}()
	for ctx.Err() == nil {
		var upgrader websocket.Upgrader
		srv := &http.Server{Handler: upgrader.HandlerFunc(f.serve), ConnState: closeWith(3 * time.Second)}
		time.AfterFunc(3*time.Second, func() { srv.Close() })
		srv.Serve(ln)
		time.Sleep(500 * time.Millisecond) // nobody listens
		var err error
		if ln, err = net.Listen("tcp", ln.Addr().String()); err != nil {
			log.Fatal(err)
		}
	}
}

// closeWith returns a hook that closes the connections of a server that is killed after d: Close of a server
// leaves those that were upgraded alone.
func closeWith(d time.Duration) func(net.Conn, http.ConnState) {
	end := time.Now().Add(d)
	return func(nc net.Conn, state http.ConnState) {
		if state == http.StateNew {
			time.AfterFunc(time.Until(end), func() { nc.Close() })
		}
	}
}
