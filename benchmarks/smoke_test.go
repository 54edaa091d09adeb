//go:build linux

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// The tests' binary is the server's, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // of the servers under the race detector
	os.Exit(m.Run())
}

// Every library that is written in Go does what is measured, in every pattern.
func TestLibrariesEcho(t *testing.T) {
	for _, l := range libraries {
		for pattern := range l.servers {
			t.Run(l.name+"/"+pattern, func(t *testing.T) {
				if err := check(l, pattern); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A library that answers wrongly is found.
func TestCheckFindsAWrongAnswer(t *testing.T) {
	wrong := *limitRaw // which sends masked frames back
	if err := check(&wrong, patternEcho); err == nil || !strings.Contains(err.Error(), "masked") {
		t.Errorf("got %v, want that a frame is masked", err)
	}
}

// One round of each kind of measurement gives a figure of every library, and a report.
func TestMeasure(t *testing.T) {
	for _, name := range []string{"echo-1k", "burst-125-16x100", "broadcast", "handshake", "contended", "read-1k", "upgrade"} {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions([]string{"-scenario", "^" + name + "$", "-library", "^(websocket|gorilla|gws)$", "-rounds", "1", "-duration", "200ms"})
			if err != nil {
				t.Fatal(err)
			}
			r, err := measureAll(o, &progress{out: nullFile(t), begun: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range r.Scenarios[0].Libraries {
				if l.Error != "" || l.Samples[0].CPU <= 0 {
					t.Errorf("%s: got %+v, error %q, want a CPU time", l.Name, l.Samples[0], l.Error)
				}
			}
			var b bytes.Buffer
			if err := r.writeMarkdown(&b); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b.String(), "| websocket |") {
				t.Errorf("the report has no line for websocket:\n%s", &b)
			}
		})
	}
}

// The memory of idle connections is measured over TCP and TLS. There are so many that a buffer of
// 128 KiB that a collection has taken from the pools makes little difference.
func TestMeasureIdle(t *testing.T) {
	for _, overTLS := range []bool{false, true} {
		s := scenario{name: "idle", pattern: patternIdle, measure: measureIdle, conns: 1000, tls: overTLS}
		x, err := s.sample(libWebsocket, plan{})
		if err != nil {
			t.Fatal(err)
		}
		if x.Heap <= 0 || x.Stack < 1500 {
			t.Errorf("TLS %v: got %+v, want some heap, and stacks of about 2 KiB at least", overTLS, x)
		}
	}
}

// Each service gives all figures. The times are those of messages that were answered, or sent by the server.
func TestMeasureServices(t *testing.T) {
	for _, s := range serviceScenarios {
		t.Run(s.name, func(t *testing.T) {
			small := *s
			small.conns, small.slow = min(s.conns, 20), min(s.slow, 5)
			x, err := small.sample(libWebsocket, plan{warmUp: 50 * time.Millisecond, window: 200 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if x.CPU <= 0 || x.Rate <= 0 || x.P50 <= 0 || x.P99 < x.P50 || x.Resident == 0 {
				t.Errorf("got %+v, want a CPU time, a rate, times and memory", x)
			}
		})
	}
}

// The report of the services says how each library is used in them, and has a file of its own.
func TestServicesReport(t *testing.T) {
	o, err := parseOptions([]string{"-services"})
	if err != nil {
		t.Fatal(err)
	}
	r := &results{Report: o.report.name}
	for _, l := range libraries {
		if !l.offers(patternChat) {
			continue
		}
		if r.addLibrary(l, ""); l.services == "" {
			t.Errorf("%s does not say how it is used", l.name)
		}
	}
	dir := t.TempDir()
	if err := r.writeDir(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(dir + "/SERVICES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Services\n", servicesNote, libGorilla.services} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report does not contain %q:\n%s", want, b)
		}
	}
}

// All is written, and can be read again.
func TestWriteDir(t *testing.T) {
	dir := t.TempDir()
	r := &results{Scenarios: []scenarioResult{{Name: "echo-1k", Limit: "frame1", Libraries: []*libraryResult{
		{Name: "frame1", Samples: []sample{{CPU: 100, Rate: 1}}},
		{Name: "websocket", Samples: []sample{{CPU: 104, Rate: 1}}},
	}}}}
	if err := r.writeDir(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"RESULTS.md", "echo-light.svg", "echo-dark.svg"} {
		if info, err := os.Stat(dir + "/" + name); err != nil || info.Size() == 0 {
			t.Errorf("%s: got %v, want a file", name, err)
		}
	}
	again, err := readResults(dir + "/results.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Scenarios[0].ratio("websocket", "frame1"); got != 1.04 {
		t.Errorf("got a ratio of %v, want 1.04", got)
	}
}

func nullFile(t *testing.T) *os.File {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// One round of each kind of the capacity scenarios gives its figures, and a report.
func TestMeasureCapacity(t *testing.T) {
	plausible := map[string]func(sample) bool{
		"rate-125": func(x sample) bool {
			return x.Rate > 0 && x.Saturation > 0 && x.P50 > 0 && x.P99 >= x.P50 && x.P99 <= 2*x.p99AtTenth()
		},
		"upgrades": func(x sample) bool { return x.Rate > 0 && x.CPU > 0 && x.P50 > 0 && x.P99 >= x.P50 },
	}
	for name, ok := range plausible {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions([]string{"-capacity", "-scenario", "^" + name + "$", "-rounds", "1", "-duration", "30ms"})
			if err != nil {
				t.Fatal(err)
			}
			r, err := measureAll(o, &progress{out: nullFile(t), begun: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Scenarios) != 1 || len(r.Scenarios[0].Libraries) != 4 {
				t.Fatalf("got %+v, want one scenario of three libraries and a limit", r.Scenarios)
			}
			for _, l := range r.Scenarios[0].Libraries {
				if l.Error != "" || !ok(l.Samples[0]) {
					t.Errorf("%s: got %+v, error %q, want a rate, and times in their order", l.Name, l.Samples[0], l.Error)
				}
			}
		})
	}
}

// Idle connections are held, and answer pings, over TCP and TLS, of each library that is measured.
func TestMeasureHeld(t *testing.T) {
	for _, l := range []*library{limitLean, libWebsocket, libGorilla, libGorillaLean, libGws} {
		for _, overTLS := range []bool{false, true} {
			s := scenario{pattern: patternIdle, measure: measureHeld, conns: 200, tls: overTLS}
			x, err := s.sample(l, plan{})
			if err != nil {
				t.Fatalf("%s, TLS %v: %v", l.name, overTLS, err)
			}
			if x.P50 <= 0 || x.P99 < x.P50 || x.Stack <= 0 {
				t.Errorf("%s, TLS %v: got %+v, want times of pings, and stacks", l.name, overTLS, x)
			}
		}
	}
}
