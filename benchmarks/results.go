package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// results are what results.json has.
type results struct {
	Report      string           `json:"report,omitempty"` // its name; none is that of the results
	Environment environment      `json:"environment"`
	Libraries   []libraryInfo    `json:"libraries"`
	Skipped     []string         `json:"skipped,omitempty"`
	Scenarios   []scenarioResult `json:"scenarios"`
}

type environment struct {
	Go      string  `json:"go"`
	System  string  `json:"system"`
	CPU     string  `json:"cpu"`
	Kernel  string  `json:"kernel"`
	Cores   string  `json:"cores"`
	Rounds  int     `json:"rounds"`
	Window  string  `json:"window"`
	Stolen  float64 `json:"stolen"` // part of the time that the hypervisor gave to others
	Others  float64 `json:"others"` // part of the machine that other programs had
	Command string  `json:"command"`
}

type libraryInfo struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	Version string `json:"version,omitempty"`
	Limit   bool   `json:"limit,omitempty"`
}

type scenarioResult struct {
	Name      string           `json:"name"`
	Title     string           `json:"title"`
	Limit     string           `json:"limit,omitempty"`
	Conns     int              `json:"conns,omitempty"`
	Libraries []*libraryResult `json:"libraries"`
}

// libraryResult is what was measured of a library in a scenario: in the same place
// of all libraries' samples are those of the same round.
type libraryResult struct {
	Name    string   `json:"name"`
	Error   string   `json:"error,omitempty"`
	Samples []sample `json:"samples"`
}

func newEnvironment(o options) environment {
	return environment{
		Go:      runtime.Version(),
		System:  runtime.GOOS + "/" + runtime.GOARCH,
		CPU:     firstMatch("/proc/cpuinfo", "model name"),
		Kernel:  kernel(),
		Cores:   cores.String(),
		Rounds:  o.rounds,
		Window:  o.window.String(),
		Command: strings.TrimSpace("go run . " + strings.Join(os.Args[1:], " ")),
	}
}

// firstMatch is the value of a field in a file of "name : value" lines.
func firstMatch(path, name string) string {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if field, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(field) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func (r *results) addLibrary(l *library, version string) {
	if !slices.ContainsFunc(r.Libraries, func(i libraryInfo) bool { return i.Name == l.name }) {
		r.Libraries = append(r.Libraries, libraryInfo{l.name, findReport(r.Report).use(l), version, l.limit})
	}
}

// result lists the libraries in their usual order.
func (s *scenario) result(entrants []entrant) scenarioResult {
	result := scenarioResult{Name: s.name, Title: s.title, Limit: s.limit, Conns: s.conns}
	for _, l := range libraries {
		for _, e := range entrants {
			if e.library == l {
				result.Libraries = append(result.Libraries, e.result)
			}
		}
	}
	return result
}

func (r *results) scenario(name string) *scenarioResult {
	for i := range r.Scenarios {
		if r.Scenarios[i].Name == name {
			return &r.Scenarios[i]
		}
	}
	return nil
}

func (s *scenarioResult) library(name string) *libraryResult {
	for _, l := range s.Libraries {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// main is the figure that a scenario is about: the rate that is carried, CPU time, or
// else memory.
func (x sample) main() float64 {
	switch {
	case x.Saturation > 0:
		return x.Rate
	case x.CPU > 0:
		return x.CPU
	}
	return x.Resident
}

// values are those of the rounds that have one.
func (l *libraryResult) values(of func(sample) float64) (list []float64) {
	for _, x := range l.Samples {
		if v := of(x); v > 0 {
			list = append(list, v)
		}
	}
	return list
}

// ratios are those of the main figures of two libraries in the same round.
func ratios(l, to *libraryResult) (list []float64) {
	for i := range min(len(l.Samples), len(to.Samples)) {
		if a, b := l.Samples[i].main(), to.Samples[i].main(); a > 0 && b > 0 {
			list = append(list, a/b)
		}
	}
	return list
}

// ratio is the median of the library's ratios to another one; 0 where there are none.
func (s *scenarioResult) ratio(name, to string) float64 {
	l, base := s.library(name), s.library(to)
	if l == nil || base == nil {
		return 0
	}
	return median(ratios(l, base))
}

// noise is the spread of what the ratios are of.
func (s *scenarioResult) noise() float64 {
	base := s.library(s.Limit)
	if base == nil {
		return 0
	}
	return spread(base.values(sample.main))
}

// brief is a line for the one who waits.
func (s *scenarioResult) brief() string {
	text := s.Title
	for _, l := range s.Libraries {
		text += fmt.Sprintf("\n    %-22s %10s", l.Name, s.mainText(median(l.values(sample.main))))
		if ratio := s.ratio(l.Name, s.Limit); ratio > 0 {
			text += fmt.Sprintf("  %6.2f x", ratio)
		}
		if l.Error != "" {
			text += "  " + l.Error
		}
	}
	return text
}

func readResults(path string) (*results, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(results)
	return r, json.Unmarshal(b, r)
}

func (r *results) writeFile(path string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// writeDir writes everything.
func (r *results) writeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	kind := findReport(r.Report)
	if err := r.writeFile(filepath.Join(dir, kind.name+".json")); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, kind.file()))
	if err != nil {
		return err
	}
	if err := r.writeMarkdown(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return r.writeCharts(dir)
}
