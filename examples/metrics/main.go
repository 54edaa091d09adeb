// Command metrics is a server whose clients get each other's messages, and that counts what happens:
//
//	go run . -addr 127.0.0.1:8080
//
// in this directory. The WebSockets are at ws://127.0.0.1:8080/ws. Prometheus scrapes http://127.0.0.1:8080/metrics; with -stdout the same measurements are also
// printed once a minute by OpenTelemetry's exporter, which stands for any other one.
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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on; port 0 chooses a free one")
	stdout := flag.Bool("stdout", false, "also print the measurements once a minute")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("metrics: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, *stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr string, stdout bool) error {
	handler, provider, err := newHandler(stdout)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("listening on ws://%s/ws, metrics at http://%[1]s/metrics\n", ln.Addr())
	srv := &http.Server{Handler: handler, ReadTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ends with srv.Shutdown
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Shutdown(ctx) }()
	return errors.Join(handler.room.group.Shutdown(ctx), <-stopped, provider.Shutdown(ctx))
}

// handler serves the room and the metrics.
type handler struct {
	*http.ServeMux
	room *room
}

func newHandler(stdout bool) (*handler, *sdk.MeterProvider, error) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		return nil, nil, err
	}
	options := []sdk.Option{sdk.WithReader(exporter)}
	if stdout {
		printer, err := stdoutmetric.New()
		if err != nil {
			return nil, nil, err
		}
		options = append(options, sdk.WithReader(sdk.NewPeriodicReader(printer)))
	}
	provider := sdk.NewMeterProvider(options...)
	m, err := newMetrics(provider.Meter("github.com/switching-protocols/websocket/examples/metrics"))
	if err != nil {
		return nil, nil, err
	}
	h := &handler{http.NewServeMux(), newRoom(m)}
	h.Handle("/ws", h.room.handler())
	h.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return h, provider, nil
}
