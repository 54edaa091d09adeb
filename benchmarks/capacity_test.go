package main

import (
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot/plotter"
)

func TestHeld(t *testing.T) {
	tests := []struct {
		name  string
		limit int
		want  []int
	}{
		{"room for all", 1 << 20, []int{1000, 5000, 10_000, 20_000}},
		{"just room for all", 20_100, []int{1000, 5000, 10_000, 20_000}},
		{"no room for the most", 20_000, []int{1000, 5000, 10_000, 19_900}},
		{"no room for two", 10_000, []int{1000, 5000, 9900}},
		{"no room for the least", 1024, []int{924}},
	}
	for _, tt := range tests {
		if got := held(tt.limit); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSome(t *testing.T) {
	list := []int{0, 1, 2, 3, 4, 5}
	for n, want := range map[int][]int{2: {0, 3}, 4: {0, 1, 3, 4}, 9: list} {
		if got := some(list, n); !slices.Equal(got, want) {
			t.Errorf("%d: got %v, want %v", n, got, want)
		}
	}
}

// A schedule has as many messages per second as it was asked for, at moments of which
// one does not tell the next, and the same ones each time.
func TestSchedule(t *testing.T) {
	const n, perSecond = 100_000, 50_000
	const mean = time.Second / perSecond
	a, b := newSchedule(perSecond), newSchedule(perSecond)
	var last time.Duration
	short := 0
	for range n {
		at := a.next()
		if again := b.next(); at != again {
			t.Fatalf("got %v, and %v in another schedule of the same rate", at, again)
		}
		if at < last {
			t.Fatalf("%v comes after %v", at, last)
		}
		if at-last < mean {
			short++
		}
		last = at
	}
	if want := n * mean; last < want*99/100 || last > want*101/100 {
		t.Errorf("the last is at %v, want about %v", last, want)
	}
	// Of gaps between events that are independent, 1-1/e are below the mean.
	if got := float64(short) / n; math.Abs(got-(1-1/math.E)) > 0.01 {
		t.Errorf("%.3f of the gaps are below the mean, want about 0.632", got)
	}
}

func TestLastWithin(t *testing.T) {
	curve := func(p99s ...float64) (list []point) {
		for i, p99 := range p99s {
			if p99 > 0 { // else the load was not carried
				list = append(list, point{Load: loads[i], P99: p99})
			}
		}
		return list
	}
	tests := []struct {
		name       string
		curve      []point
		last, next float64
	}{
		{"rising", curve(10, 11, 15, 21, 40, 90, 800, 900), 0.5, 0.7},
		{"just within", curve(10, 11, 15, 20, 40, 90, 800), 0.7, 0.8},
		{"a disturbed load below", curve(10, 99, 15, 19, 40, 90, 800), 0.7, 0.8},
		{"what follows is not carried", curve(10, 11, 15, 19, 0, 0, 0), 0.7, 0.8},
		{"none but the tenth", curve(10, 30, 40, 50, 60, 70, 80), 0.1, 0.3},
		{"all", curve(10, 11, 12, 13, 14, 15, 16, 17), 1.1, 1.1},
		{"all but the last", curve(10, 11, 12, 13, 14, 15, 16, 80), 1, 1.1},
	}
	for _, tt := range tests {
		last, next := lastWithin(tt.curve, 20)
		if last.Load != tt.last || next != tt.next {
			t.Errorf("%s: got %v and %v, want %v and %v", tt.name, last.Load, next, tt.last, tt.next)
		}
	}
}

func TestBisect(t *testing.T) {
	for _, edge := range []float64{0, 0.2, 0.51, 0.77, 1} {
		best := 0.0
		var tried []float64
		err := bisect(0, 1, 10, func(v float64) (bool, error) {
			tried = append(tried, v)
			if v <= edge {
				best = max(best, v)
			}
			return v <= edge, nil
		})
		if err != nil || len(tried) != 10 || best > edge || edge-best > 1.0/1024 {
			t.Errorf("edge %v: got %v in %d steps, error %v, want at most 1/1024 below, in 10", edge, best, len(tried), err)
		}
	}
	failure := errors.New("failure")
	calls := 0
	err := bisect(0, 1, 10, func(float64) (bool, error) { calls++; return true, failure })
	if err != failure || calls != 1 {
		t.Errorf("a step fails: got %v after %d calls, want its error after one", err, calls)
	}
}

// The results of -capacity are written to files of their own, with the charts of what was measured.
func TestWriteCapacity(t *testing.T) {
	held := func(name string, conns int, ours, theirs float64) scenarioResult {
		return scenarioResult{Name: name, Limit: capacityBase, Conns: conns, Libraries: []*libraryResult{
			{Name: "websocket", Samples: []sample{{Resident: ours, P50: 2000, P99: 3000}}},
			{Name: "gorilla", Samples: []sample{{Resident: theirs, P50: 2000, P99: 3000}}},
		}}
	}
	rate := sample{Rate: 800, Saturation: 1000, P50: 2e4, P99: 5e4, Curve: []point{{0.1, 1e4, 3e4}, {0.9, 4e4, 9e5}}}
	r := &results{Report: capacityReport.name, Scenarios: []scenarioResult{
		held("idle-tcp-1000", 1000, 4000, 8000),
		held("idle-tcp-5000", 5000, 3000, 6000),
		{Name: "rate-125", Limit: capacityBase, Libraries: []*libraryResult{
			{Name: "gorilla", Samples: []sample{rate}},
		}},
	}}
	dir := t.TempDir()
	if err := r.writeDir(dir); err != nil {
		t.Fatal(err)
	}
	var names []string
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	want := []string{
		"CAPACITY.md", "capacity-125-dark.svg", "capacity-125-light.svg",
		"capacity-tcp-dark.svg", "capacity-tcp-light.svg", "capacity.json",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got the files %v, want %v", names, want)
	}
	report, err := os.ReadFile(dir + "/CAPACITY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"# Capacity\n",
		"| library | of gorilla | p50 | p99 | resident bytes |\n",
		"| websocket | 0.50 x | 2 us | 3 us | 4,000 |\n",
		"| library | of gorilla | messages/s | saturation | p99 at a tenth | p50 | p99 |\n",
		"| gorilla | 1.00 x | 800 | 1,000 | 30 us | 20 us | 50 us |\n",
	} {
		if !strings.Contains(string(report), line) {
			t.Errorf("the report has no line %q:\n%s", line, report)
		}
	}
	if again, err := readResults(dir + "/capacity.json"); err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("read again: got %+v, error %v, want %+v", again, err, r)
	}
}

// A curve has the loads that were carried in more than half of the rounds, over parts of the saturation.
func TestP99Of(t *testing.T) {
	samples := []sample{
		{Saturation: 1000, Curve: []point{{0.1, 0, 3e3}, {0.5, 0, 5e3}, {0.9, 0, 8e3}}},
		{Saturation: 3000, Curve: []point{{0.1, 0, 1e3}, {0.5, 0, 7e3}}},
		{Saturation: 2000, Curve: []point{{0.1, 0, 2e3}}},
	}
	r := &results{Scenarios: []scenarioResult{
		{Name: "rate-125", Libraries: []*libraryResult{{Name: "gws", Samples: samples}}},
	}}
	want := plotter.XYs{{X: 200, Y: 2}, {X: 1000, Y: 6}}
	if got := p99Of("rate-125")(r, "gws"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := p99Of("rate-125")(r, "gorilla"); len(got) > 0 {
		t.Errorf("not measured: got %v, want none", got)
	}
}
