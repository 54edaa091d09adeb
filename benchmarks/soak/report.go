package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// sample is what both processes use at a time.
type sample struct {
	at             time.Duration // since the begin of the run
	server, client usage
	connections    int   // of the server
	received       int64 // messages, by clients
}

// footprint is what a process uses at the start, at most and at the end.
type footprint struct{ start, peak, end usage }

// report is the result of a run.
type report struct {
	options                      *options
	connected, trafficEnded      time.Duration // since the begin of the run
	samples                      []sample
	server, client               footprint
	opened, overTLS, compressing int64 // connections
	pings                        int64 // answered
	totals                       totals
	failures                     []string // the run has passed if there are none
}

func (r *report) add(s sample) {
	r.samples = append(r.samples, s)
	r.server.peak = r.server.peak.max(s.server)
	r.client.peak = r.client.peak.max(s.client)
}

// counts takes over what was counted.
func (r *report) counts(f *fleet, l *ledger) {
	r.opened, r.overTLS, r.compressing = f.opened.Load(), f.openedTLS.Load(), f.compressing.Load()
	r.pings = f.pings.Load()
	r.totals = l.snapshot()
}

// complete judges the run.
func (r *report) complete(l *ledger) {
	r.failures = l.problems()
	for _, text := range r.server.end.exceeds(r.server.start) {
		r.failures = append(r.failures, "in the server, "+text)
	}
	for _, text := range r.client.end.exceeds(r.client.start) {
		r.failures = append(r.failures, "in the client, "+text)
	}
}

// steady returns the first and the last sample at which all clients were connected and the traffic had not ended.
func (r *report) steady() (first, last sample) {
	for _, s := range r.samples {
		if s.at < r.connected || s.at > r.trafficEnded {
			continue
		}
		if first.at == 0 {
			first = s
		}
		last = s
	}
	return first, last
}

// cores returns how many cores a process has used meanwhile.
func (r *report) cores(of func(sample) usage) float64 {
	first, last := r.steady()
	if last.at == first.at {
		return 0
	}
	return float64(of(last).CPU-of(first).CPU) / float64(last.at-first.at)
}

func ofServer(s sample) usage { return s.server }
func ofClient(s sample) usage { return s.client }

// line is the progress: the last sample, and how the server's heap has changed.
func (r *report) line() string {
	var rate float64
	last := r.samples[len(r.samples)-1]
	if n := len(r.samples); n > 1 {
		before := r.samples[n-2]
		rate = float64(last.received-before.received) / (last.at - before.at).Seconds()
	}
	return fmt.Sprintf("%v  %d connections  %.0f messages/s  heap %s %s",
		last.at.Round(time.Second), last.connections, rate, megabytes(last.server.Heap), r.sparkline(30))
}

// sparkline draws the server's heap over time in so many characters.
func (r *report) sparkline(width int) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	width = min(width, len(r.samples))
	line := make([]rune, width)
	for i := range line {
		s := r.samples[(i+1)*len(r.samples)/width-1]
		line[i] = bars[s.server.Heap*uint64(len(bars)-1)/max(r.server.peak.Heap, 1)]
	}
	return string(line)
}

// write writes the report in Markdown.
func (r *report) write(w io.Writer) {
	o := r.options
	fmt.Fprintf(w, "# Soak\n\n%s on %s/%s, Linux %s,\n%s, %d cores.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		kernel(), processor(), runtime.NumCPU())
	fmt.Fprintf(w, "To run it again, in benchmarks/:\n`%s`\n\n", strings.Join(append([]string{"go run ./soak"}, o.args...), " "))
	fmt.Fprintf(w, "**%s** Seed %d. All clients were connected after %v. The traffic then lasted %v:\n", r.verdict(), o.seed,
		r.connected.Round(100*time.Millisecond), (r.trafficEnded - r.connected).Round(time.Second))
	fmt.Fprintf(w, "the clients received %.0f messages a second, and used %.2f cores; the server used %.2f.\n\n",
		r.rate(), r.cores(ofClient), r.cores(ofServer))
	for _, text := range r.failures[:min(len(r.failures), mostFailures)] {
		fmt.Fprintf(w, "- %s\n", text)
	}
	if n := len(r.failures) - mostFailures; n > 0 {
		fmt.Fprintf(w, "- and %d others\n", n)
	}
	if len(r.failures) > 0 {
		fmt.Fprintln(w)
	}
	r.writeMessages(w)
	r.writeConnections(w)
	r.writeUsage(w)
}

// mostFailures is how many failures are reported.
const mostFailures = 20

func (r *report) verdict() string {
	if len(r.failures) > 0 {
		return "Failed."
	}
	return "Passed."
}

// rate returns how many messages the clients have received in a second.
func (r *report) rate() float64 {
	first, last := r.steady()
	seconds := (last.at - first.at).Seconds()
	if seconds == 0 {
		return 0
	}
	return float64(last.received-first.received) / seconds
}

func (r *report) writeMessages(w io.Writer) {
	t := &r.totals
	fmt.Fprintln(w, "| messages | sent | received |\n|---|---:|---:|")
	for _, row := range []struct {
		name           string
		sent, received uint64
	}{
		{"from clients", t.sent.Requests, t.received.Requests},
		{"sent back by the server", t.sent.Echoes, t.received.Echoes},
		{"from the server of itself", t.sent.Pushes, t.received.Pushes},
		{"all", t.sent.sum(), t.received.sum()},
	} {
		fmt.Fprintf(w, "| %s | %s | %s |\n", row.name, grouped(row.sent), grouped(row.received))
	}
	fmt.Fprintf(w, "\nLost on connections that were closed properly: **%s**. Not received on connections that were torn, or "+
		"dropped\nbecause the client had stopped reading: %s. Received: %s bytes. Pings answered: %s.\n\n",
		grouped(t.lost), grouped(t.tail), grouped(t.bytes), grouped(uint64(r.pings)))
	if t.discarded > 0 {
		fmt.Fprintf(w, "Connections on which Shutdown has discarded messages, because the side that called it did not get to read\n"+
			"for a second: %d. The machine was overloaded.\n\n", t.discarded)
	}
}

func (r *report) writeConnections(w io.Writer) {
	fmt.Fprintf(w, "| connections | |\n|---|---:|\n| at the same time | %s |\n| opened | %s |\n| with TLS | %s |\n| with compression | %s |\n",
		grouped(uint64(r.options.connections)), grouped(uint64(r.opened)), grouped(uint64(r.overTLS)), grouped(uint64(r.compressing)))
	for _, name := range slices.Sorted(maps.Keys(r.totals.ended)) {
		fmt.Fprintf(w, "| %s | %s |\n", name, grouped(uint64(r.totals.ended[name])))
	}
	for _, name := range slices.Sorted(maps.Keys(r.totals.dropped)) {
		fmt.Fprintf(w, "| dropped by the server: %s | %s |\n", name, grouped(uint64(r.totals.dropped[name])))
	}
	fmt.Fprintln(w)
}

func (r *report) writeUsage(w io.Writer) {
	fmt.Fprintln(w, "| | start | peak | end |\n|---|---:|---:|---:|")
	for _, p := range []struct {
		name string
		f    footprint
	}{{"server", r.server}, {"client", r.client}} {
		for _, row := range []struct {
			name string
			of   func(usage) uint64
		}{
			{"heap, bytes", func(u usage) uint64 { return u.Heap }},
			{"goroutines", func(u usage) uint64 { return uint64(u.Goroutines) }},
			{"descriptors", func(u usage) uint64 { return uint64(u.Descriptors) }},
			{"stacks, bytes", func(u usage) uint64 { return u.Stacks }},
			{"resident, bytes", func(u usage) uint64 { return u.Resident }},
		} {
			fmt.Fprintf(w, "| %s: %s | %s | %s | %s |\n", p.name, row.name,
				grouped(row.of(p.f.start)), grouped(row.of(p.f.peak)), grouped(row.of(p.f.end)))
		}
	}
}

// writeDir writes the report and the chart.
func (r *report) writeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	r.write(&b)
	b.WriteString("\n![Memory of the server over time](soak.svg)\n")
	if err := os.WriteFile(filepath.Join(dir, "SOAK.md"), b.Bytes(), 0o644); err != nil {
		return err
	}
	return r.writeChart(filepath.Join(dir, "soak.svg"))
}

// grouped writes a number with a comma before each three digits.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(n uint64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(b), "model name\t: ")
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}
