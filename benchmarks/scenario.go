package main

import (
	"fmt"
	"slices"
	"time"
)

// scenario is one thing that is measured, of every library that offers it.
type scenario struct {
	name, title string
	pattern     string
	limit       string   // what the ratios are of
	also        []string // further limits
	measure     func(*scenario, *server, plan) (sample, error)
	quick       bool // part of the quick run
	rounds      int  // where more say nothing; 0 means as many as asked for

	conns, inFlight, size int
	tls                   bool
	procs                 int           // of the server; more than one means that it is not pinned
	settle                time.Duration // the least warm-up, where TCP has to find its windows

	// Of a service.
	service *service
	rate    float64 // messages that each connection sends in a second
	slow    int     // connections that read slowly

	bench benchmarks // of a scenario without a server
}

// sample is one measurement. What does not apply is zero.
type sample struct {
	CPU        float64 `json:"cpu_ns,omitempty"` // of the server per message, ns
	Rate       float64 `json:"rate,omitempty"`   // messages per second
	P50        float64 `json:"p50_ns,omitempty"` // from sending a message to its answer
	P99        float64 `json:"p99_ns,omitempty"`
	Busy       float64 `json:"busy,omitempty"`        // part of the time that the server ran
	ReplyBytes float64 `json:"reply_bytes,omitempty"` // per message, on the wire
	Saturation float64 `json:"saturation,omitempty"`  // messages per second at which the server is always busy
	Curve      []point `json:"curve,omitempty"`       // what the time to the answer is at parts of that
	Resident   float64 `json:"resident,omitempty"`    // bytes per connection
	Heap       float64 `json:"heap,omitempty"`
	Stack      float64 `json:"stack,omitempty"`
	Allocs     float64 `json:"allocs,omitempty"` // per operation
	AllocBytes float64 `json:"alloc_bytes,omitempty"`
}

const (
	idleConns     = 5000
	broadcastSize = 128
)

// idlePayload is the message that each connection has echoed that then idles, or a handler has answered.
const idlePayload = `{"id":123456789}`

var scenarios = slices.Concat(
	echoes(),
	[]*scenario{
		{
			name: "large-1m", title: "Echo of 1 MiB, 8 connections, one in flight", pattern: patternEcho, limit: "frame1", also: []string{"raw"},
			measure: measureEcho, conns: 8, inFlight: 1, size: 1 << 20, settle: time.Second,
		},
		{
			name: "broadcast", title: "Broadcast of 128 B to 1,000 connections, per delivery", pattern: patternBroadcast, limit: "raw",
			measure: measureBroadcast, conns: 1000, size: broadcastSize, quick: true,
		},
		{
			name: "handshake", title: "Handshake, connect to close, one at a time", pattern: patternHandshake, limit: "hijack",
			measure: measureHandshake, quick: true,
		},
		{
			name: "contended", title: "64 goroutines writing 125 B to one connection, one core", pattern: patternContended, limit: "raw",
			measure: measureContended, conns: 1, quick: true,
		},
		{
			name: "contended-cores", title: "64 goroutines writing 125 B to one connection, all cores", pattern: patternContended, limit: "raw",
			measure: measureContended, conns: 1, procs: 2,
		},
		{
			name: "deflate-1k", title: "Echo of 1 KiB of JSON, permessage-deflate, 100 connections", pattern: patternDeflate,
			measure: measureEcho, conns: 100, inFlight: 1, size: 1 << 10,
		},
		{
			name: "deflate-16k", title: "Echo of 16 KiB of JSON, permessage-deflate, 100 connections", pattern: patternDeflate,
			measure: measureEcho, conns: 100, inFlight: 1, size: 16 << 10,
		},
		{
			name: "idle", title: "Idle connection, 5,000 of them, each has echoed one message", pattern: patternIdle, limit: "lean",
			measure: measureIdle, rounds: 3, conns: idleConns, quick: true,
		},
		{
			name: "idle-tls", title: "Idle connection over TLS", pattern: patternIdle, limit: "lean",
			measure: measureIdle, rounds: 3, conns: idleConns, tls: true,
		},
	},
	handlerScenarios(),
	inProcess,
)

// echoes are the echo scenarios of small and middle sizes.
func echoes() (list []*scenario) {
	for _, size := range []int{16, 125, 1 << 10, 16 << 10, 32 << 10, 64 << 10, 65 << 10, 128 << 10} {
		list = append(list, &scenario{
			name:    "echo-" + shortSize(size),
			title:   fmt.Sprintf("Echo of %s, 100 connections, one in flight", longSize(size)),
			pattern: patternEcho, limit: "frame1", also: []string{"raw", "frame1-new"},
			measure: measureEcho, conns: 100, inFlight: 1, size: size,
			quick: size == 1<<10 || size == 16<<10,
		})
	}
	for _, c := range []struct{ size, conns int }{
		{1 << 10, 1000}, {16 << 10, 1000}, {64 << 10, 1000}, {1 << 20, 1}, {1 << 20, 10},
	} {
		s := &scenario{
			name:    fmt.Sprintf("echo-%s-x%d", shortSize(c.size), c.conns),
			title:   fmt.Sprintf("Echo of %s, %d connection%s, one in flight", longSize(c.size), c.conns, plural(c.conns)),
			pattern: patternEcho, limit: "frame1", also: []string{"raw", "frame1-new"},
			measure: measureEcho, conns: c.conns, inFlight: 1, size: c.size,
		}
		if c.size >= 1<<20 {
			s.settle = time.Second
		}
		list = append(list, s)
	}
	for _, c := range []struct{ size, inFlight, conns int }{
		{125, 16, 100}, {1 << 10, 16, 100}, {125, 64, 1}, {1 << 10, 64, 1},
	} {
		list = append(list, &scenario{
			name:    fmt.Sprintf("burst-%s-%dx%d", shortSize(c.size), c.inFlight, c.conns),
			title:   fmt.Sprintf("Echo of %s, %d in flight, %d connection%s", longSize(c.size), c.inFlight, c.conns, plural(c.conns)),
			pattern: patternEcho, limit: "frame", also: []string{"raw", "frame1"},
			measure: measureEcho, conns: c.conns, inFlight: c.inFlight, size: c.size,
			quick: c.size == 125,
		})
	}
	return list
}

// has reports whether the library is measured in the scenario.
func (s *scenario) has(l *library) bool {
	if s.bench != nil {
		return s.bench[l.name] != nil
	}
	if !l.offers(s.pattern) || s.tls && l.script != "" {
		return false
	}
	return !l.limit || l.name == s.limit || slices.Contains(s.also, l.name)
}

// deflates reports whether the connections have permessage-deflate.
func (s *scenario) deflates() bool { return deflates(s.pattern) }

func deflates(pattern string) bool { return pattern == patternDeflate || pattern == patternChatDeflate }

// plan is how long a measurement takes.
type plan struct {
	warmUp, window time.Duration
}

func shortSize(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dm", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dk", n>>10)
	}
	return fmt.Sprint(n)
}

func longSize(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
