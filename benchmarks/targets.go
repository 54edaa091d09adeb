package main

import (
	"fmt"
	"math"
	"strings"
)

// target is something that this library is to reach.
type target struct {
	what     string
	scenario string
	library  string                                // ours; "" is the plain one
	want     string                                // in words
	measure  func(*scenarioResult, string) float64 // of the library; 0 where it was not measured
	most     float64                               // reached up to here
	least    float64                               // or from here on, where most is 0
	format   string
}

// plain is the way to use this library that its README shows.
const plain = "websocket"

var targets = listTargets()

func listTargets() (list []target) {
	for _, size := range []string{"16", "125", "1k", "16k", "64k"} {
		s := "echo-" + size
		list = append(list,
			atMost("echo "+size+", AppendMessage", s, plain, "frame1", 1.05),
			notAbovePeers("echo "+size+", AppendMessage", s, plain),
			atMost("echo "+size+", NextReader", s, "websocket-nextreader", "frame1", 1.05),
			atMost("echo "+size+", ReadMessage", s, "websocket-readmessage", "frame1", 1.15),
		)
	}
	for _, s := range []string{"burst-125-16x100", "burst-1k-16x100", "burst-125-64x1", "burst-1k-64x1"} {
		list = append(list, atMost(s, s, plain, "frame", 1.5))
	}
	return append(list,
		cheaper("burst-125-16x100", "burst-125-16x100", 6),
		cheaper("burst-125-64x1", "burst-125-64x1", 10),
		notAbovePeers("1 MiB messages", "large-1m", plain),
		target{
			what: "1 MiB messages, peak memory per connection", scenario: "large-1m", want: "at most two messages",
			measure: resident, most: 2 << 20, format: "%.0f B",
		},
		atMost("broadcast by PreparedMessage", "broadcast", plain, "raw", 1.03),
		atMost("handshake", "handshake", plain, "hijack", 1),
		atMost("Upgrade alone", "upgrade", plain, "gorilla", 1),
		allocations("Upgrade alone", "upgrade", plain, 3),
		atMost("read of a 16 B frame, in process", "read-16", plain, "gobwas", 1.3),
		atMost("read of a 1 KiB frame, in process", "read-1k", plain, "gobwas", 1.3),
		atMost("read of a 64 KiB frame, in process", "read-64k", plain, "gobwas", 1.3),
		atMost("write of 16 B, in process", "write-16", plain, "gobwas", 1),
		atMost("write of 1 KiB, in process", "write-1k", plain, "gobwas", 1),
		atMost("write of 64 KiB, in process", "write-64k", plain, "gobwas", 1),
		allocations("AppendMessage", "read-1k", plain, 0),
		allocations("NextReader", "read-1k", "websocket-nextreader", 0),
		allocations("ReadMessage", "read-1k", "websocket-readmessage", 1),
		allocations("WriteMessage", "write-1k", plain, 0),
		atMost("idle, with HandlerFunc, resident", "idle", plain, "lean", 1.15),
		atMost("idle over TLS, with HandlerFunc, resident", "idle-tls", plain, "lean", 1.03),
		atMost("idle, echo in a function of its own", "idle-helper", plain, "parked", 1.15),
		atMost("idle, ReadMessage and a switch", "idle-switch", plain, "parked", 1.15),
		atMost("idle, ReadJSON and WriteJSON", "idle-json", plain, "parked", 1.15),
		atMost("idle, NextReader to NextWriter", "idle-stream", plain, "parked", 1.3),
		target{
			what: "64 goroutines writing to one connection, messages per CPU second", scenario: "contended",
			want: "at least 5 x those of a mutex around each write", measure: overMutex, least: 5, format: "%.2f x",
		},
	)
}

// elsewhere are the targets that are checked by the tests and benchmarks in the root.
const elsewhere = "The size of Conn, masking (`go test -bench Mask .`) and the other allocations are checked\nby the tests and benchmarks in the root."

func atMost(what, scenario, library, base string, most float64) target {
	return target{
		what: what, scenario: scenario, library: library, want: fmt.Sprintf("at most %.2f x %s", most, base),
		measure: func(s *scenarioResult, name string) float64 { return asPrinted(s.ratio(name, base)) },
		most:    most, format: "%.2f x",
	}
}

func notAbovePeers(what, scenario, library string) target {
	return target{
		what: what, scenario: scenario, library: library, want: "at or below every Go peer",
		measure: overBestPeer, most: 1, format: "%.2f x the best",
	}
}

func cheaper(what, scenario string, least float64) target {
	return target{
		what: what, scenario: scenario, want: fmt.Sprintf("at least %.0f x cheaper than the best Go peer", least),
		measure: func(s *scenarioResult, name string) float64 {
			if over := overBestPeer(s, name); over > 0 {
				return 1 / over
			}
			return 0
		},
		least: least, format: "%.1f x",
	}
}

func allocations(what, scenario, library string, most float64) target {
	return target{
		what: what + ", allocations", scenario: scenario, library: library, want: fmt.Sprintf("at most %.0f", most),
		measure: func(s *scenarioResult, name string) float64 {
			l := s.library(name)
			if l == nil || len(l.values(sample.main)) == 0 {
				return 0
			}
			return l.median(func(x sample) float64 { return x.Allocs + tiny })
		},
		most: most + 0.5, format: "%.0f",
	}
}

// tiny tells nothing that was measured from nothing measured.
const tiny = 1e-9

// peers are the Go libraries of others in the scenario.
func (s *scenarioResult) peers() (list []*libraryResult) {
	for _, l := range s.Libraries {
		known := findLibrary(l.Name)
		if known != nil && !known.limit && known.script == "" && known.module != websocketModule {
			list = append(list, l)
		}
	}
	return list
}

// overBestPeer is the ratio to the peer that needs least.
func overBestPeer(s *scenarioResult, name string) float64 {
	worst := 0.0
	for _, peer := range s.peers() {
		worst = max(worst, s.ratio(name, peer.Name))
	}
	return asPrinted(worst)
}

// asPrinted is a ratio with as many digits as are printed, so that what is judged
// is what is read.
func asPrinted(ratio float64) float64 { return math.Round(100*ratio) / 100 }

// overMutex compares the messages of a CPU second with those of the best library
// that has a mutex around each write.
func overMutex(s *scenarioResult, name string) float64 {
	if over := overBestPeer(s, name); over > 0 {
		return 1 / over
	}
	return 0
}

func resident(s *scenarioResult, name string) float64 {
	l := s.library(name)
	if l == nil {
		return 0
	}
	return median(l.values(func(x sample) float64 { return x.Resident }))
}

// verdict says what was measured, and whether that is enough. A difference of 5 %
// cannot be told from noise where a server's CPU time is compared.
func (t target) verdict(r *results) (measured, verdict string) {
	s := r.scenario(t.scenario)
	if s == nil {
		return "", "not measured"
	}
	name := t.library
	if name == "" {
		name = plain
	}
	v := t.measure(s, name)
	if v == 0 {
		return "", "not measured"
	}
	measured = fmt.Sprintf(t.format, v)
	switch {
	case t.most > 0 && v <= t.most, t.most == 0 && v >= t.least:
		return measured, "reached"
	case t.most > 0 && v <= 1.05*t.most && s.timed():
		return measured, "missed by less than the noise of 5 %"
	}
	return measured, "**not reached**"
}

// timed reports whether the scenario compares CPU times of servers.
func (s *scenarioResult) timed() bool { return !s.inProcess() && !strings.HasPrefix(s.Name, "idle") }

// writeTargets writes those that were measured, if any.
func (r *results) writeTargets(b *strings.Builder) {
	rows := new(strings.Builder)
	for _, t := range targets {
		measured, verdict := t.verdict(r)
		if verdict != "not measured" {
			fmt.Fprintf(rows, "| %s | %s | %s | %s |\n", t.what, t.want, measured, verdict)
		}
	}
	if rows.Len() > 0 {
		fmt.Fprintf(b, "## Targets\n\n| | target | measured | |\n|---|---|---:|---|\n%s\n%s\n\n", rows, elsewhere)
	}
}
