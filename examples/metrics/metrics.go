package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/switching-protocols/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the instruments of the server. A Conn keeps no counters: the program counts where it reads and writes.
type metrics struct {
	connections metric.Int64UpDownCounter
	refusals    metric.Int64Counter // by status and reason
	messages    metric.Int64Counter // by direction
	bytes       metric.Int64Counter // by direction
	closes      metric.Int64Counter // by code
	dropped     metric.Int64Counter
	limited     metric.Int64Counter
	pings       metric.Float64Histogram
}

func newMetrics(meter metric.Meter) (*metrics, error) {
	var m metrics
	var errs [8]error
	m.connections, errs[0] = meter.Int64UpDownCounter("websocket.connections",
		metric.WithDescription("Open connections."))
	m.refusals, errs[1] = meter.Int64Counter("websocket.refusals",
		metric.WithDescription("Requests that were not upgraded."))
	m.messages, errs[2] = meter.Int64Counter("websocket.messages",
		metric.WithDescription("Messages received (in) and sent (out)."))
	m.bytes, errs[3] = meter.Int64Counter("websocket.payload",
		metric.WithUnit("By"), metric.WithDescription("Bytes of messages, decompressed."))
	m.closes, errs[4] = meter.Int64Counter("websocket.closes",
		metric.WithDescription("Ended connections, by the code of the client's Close frame; 1006 without one."))
	m.dropped, errs[5] = meter.Int64Counter("websocket.slow_consumers",
		metric.WithDescription("Clients disconnected because their queue was full."))
	m.limited, errs[6] = meter.Int64Counter("websocket.rate_limited",
		metric.WithDescription("Messages that had to wait for their client's rate limit."))
	m.pings, errs[7] = meter.Float64Histogram("websocket.ping", metric.WithUnit("s"),
		metric.WithDescription("Round-trip times of pings."),
		metric.WithExplicitBucketBoundaries(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3))
	return &m, errors.Join(errs[:]...)
}

// in and out are the directions.
var (
	in  = metric.WithAttributeSet(attribute.NewSet(attribute.String("direction", "in")))
	out = metric.WithAttributeSet(attribute.NewSet(attribute.String("direction", "out")))
)

func (m *metrics) received(ctx context.Context, p []byte) {
	m.messages.Add(ctx, 1, in)
	m.bytes.Add(ctx, int64(len(p)), in)
}

func (m *metrics) sent(ctx context.Context, p []byte) {
	m.messages.Add(ctx, 1, out)
	m.bytes.Add(ctx, int64(len(p)), out)
}

// refused counts a refusal. There are few reasons: none quotes more of the request than a character.
func (m *metrics) refused(ctx context.Context, status int, reason error) {
	m.refusals.Add(ctx, 1, metric.WithAttributes(attribute.Int("status", status), attribute.String("reason", reason.Error())))
}

// ended counts the end of a connection whose reads have returned err.
func (m *metrics) ended(ctx context.Context, err error) {
	code := "error" // of the network, or this side's verdict
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		code = strconv.Itoa(closed.Code)
	}
	m.closes.Add(ctx, 1, metric.WithAttributes(attribute.String("code", code)))
}

func (m *metrics) ping(ctx context.Context, rtt time.Duration) { m.pings.Record(ctx, rtt.Seconds()) }
