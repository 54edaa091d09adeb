package main

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"nothing", nil, 0.5, 0},
		{"one value", []float64{7}, 0.9, 7},
		{"the middle of an odd number", []float64{9, 1, 5}, 0.5, 5},
		{"between the two in the middle", []float64{4, 1, 3, 2}, 0.5, 2.5},
		{"a quartile between two values", []float64{1, 2, 3, 4}, 0.25, 1.75},
		{"the least", []float64{3, 1, 2}, 0, 1},
		{"the greatest", []float64{3, 1, 2}, 1, 3},
	}
	for _, tt := range tests {
		if got := quantile(tt.values, tt.q); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := spread([]float64{8, 10, 12, 10, 10}); got != 0 {
		t.Errorf("one outlier at each end: got %v, want 0", got)
	}
	if got := spread([]float64{5, 10, 15}); got != 0.5 {
		t.Errorf("quartiles of 7.5 and 12.5 around 10: got %v, want 0.5", got)
	}
	if got := spread(nil); got != 0 {
		t.Errorf("nothing: got %v, want 0", got)
	}
}

func TestPercentile(t *testing.T) {
	var sorted []time.Duration
	for i := range 101 {
		sorted = append(sorted, time.Duration(i))
	}
	if got := percentile(sorted, 99); got != 99 {
		t.Errorf("got %v, want 99", got)
	}
	if got := percentile(nil, 99); got != 0 {
		t.Errorf("nothing: got %v, want 0", got)
	}
}

// A ratio is the median of the ratios within a round, not the ratio of the medians,
// and a round in which one of the two has failed does not count.
func TestRatioIsOfTheSameRound(t *testing.T) {
	s := scenarioResult{Libraries: []*libraryResult{
		{Name: "a", Samples: []sample{{CPU: 2}, {CPU: 40}, {CPU: 600}, {}}},
		{Name: "b", Samples: []sample{{CPU: 1}, {CPU: 10}, {CPU: 200}, {CPU: 5}}},
	}}
	if got := s.ratio("a", "b"); got != 3 {
		t.Errorf("got %v, want 3", got)
	}
	if got := s.ratio("a", "c"); got != 0 {
		t.Errorf("no such library: got %v, want 0", got)
	}
}

func TestVerdict(t *testing.T) {
	results := func(ours, limit float64) *results {
		return &results{Scenarios: []scenarioResult{{Name: "echo-1k", Limit: "frame1", Libraries: []*libraryResult{
			{Name: "frame1", Samples: []sample{{CPU: limit, Rate: 1}}},
			{Name: "websocket", Samples: []sample{{CPU: ours, Rate: 1}}},
		}}}}
	}
	target := atMost("echo", "echo-1k", plain, "frame1", 1.05)
	tests := []struct {
		ours, limit float64
		want        string
	}{
		{100, 100, "reached"},
		{108, 100, "missed by less than the noise of 5 %"},
		{120, 100, "**not reached**"},
		{0, 100, "not measured"},
	}
	for _, tt := range tests {
		if _, got := target.verdict(results(tt.ours, tt.limit)); got != tt.want {
			t.Errorf("%v of %v: got %q, want %q", tt.ours, tt.limit, got, tt.want)
		}
	}
}

func TestClockSince(t *testing.T) {
	then := machineClock{total: 1000, stolen: 5, busy: 300, own: 200}
	now := machineClock{total: 1200, stolen: 15, busy: 400, own: 250}
	if stolen, others := now.since(then); stolen != 0.05 || others != 0.25 {
		t.Errorf("got %v stolen, %v of others, want 0.05, 0.25", stolen, others)
	}
	if stolen, others := then.since(then); stolen != 0 || others != 0 {
		t.Errorf("no time: got %v, %v, want 0, 0", stolen, others)
	}
}
