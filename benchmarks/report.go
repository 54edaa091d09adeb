package main

import (
	"fmt"
	"io"
	"strings"
)

// report is what a run measures, and the files that it writes.
type report struct {
	name, title string
	note        string // below the head
	scenarios   []*scenario
	use         func(*library) string // how the library is used
}

var resultsReport = &report{
	name: "results", title: "Results", scenarios: scenarios,
	use: func(l *library) string { return l.about },
}

var reports = []*report{resultsReport, servicesReport, capacityReport}

// findReport returns the report of a name, or that of the results.
func findReport(name string) *report {
	for _, r := range reports {
		if r.name == name {
			return r
		}
	}
	return resultsReport
}

// file is the name of the Markdown file.
func (r *report) file() string { return strings.ToUpper(r.name) + ".md" }

// column is one of a scenario's table. Its text is "" where there is nothing to say.
type column struct {
	title string
	text  func(*scenarioResult, *libraryResult) string
}

var columns = []column{
	{"CPU per message", func(s *scenarioResult, l *libraryResult) string {
		return nanoseconds(median(l.values(func(x sample) float64 { return x.CPU })))
	}},
	{"spread", func(s *scenarioResult, l *libraryResult) string {
		if len(l.values(sample.main)) < 2 {
			return ""
		}
		return fmt.Sprintf("%.0f %%", 100*spread(l.values(sample.main)))
	}},
	{"of the base", func(s *scenarioResult, l *libraryResult) string {
		if ratio := s.ratio(l.Name, s.Limit); ratio > 0 {
			return fmt.Sprintf("%.2f x", ratio)
		}
		return ""
	}},
	{"messages/s", of(func(x sample) float64 { return x.Rate }, grouped)},
	{"saturation", of(func(x sample) float64 { return x.Saturation }, grouped)},
	{"p99 at a tenth", of(sample.p99AtTenth, nanoseconds)},
	{"p50", of(func(x sample) float64 { return x.P50 }, nanoseconds)},
	{"p99", of(func(x sample) float64 { return x.P99 }, nanoseconds)},
	{"server busy", of(func(x sample) float64 { return x.Busy }, func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) })},
	{"reply bytes", func(s *scenarioResult, l *libraryResult) string {
		if !strings.Contains(s.Name, "deflate") {
			return ""
		}
		return grouped(median(l.values(func(x sample) float64 { return x.ReplyBytes })))
	}},
	{"resident bytes", of(func(x sample) float64 { return x.Resident }, grouped)},
	{"heap", of(func(x sample) float64 { return x.Heap }, grouped)},
	{"stack", of(func(x sample) float64 { return x.Stack }, grouped)},
	{"B/op", inProcessOnly(func(x sample) float64 { return x.AllocBytes })},
	{"allocs/op", inProcessOnly(func(x sample) float64 { return x.Allocs })},
}

// of is the text of the median of a figure that is not zero.
func of(figure func(sample) float64, text func(float64) string) func(*scenarioResult, *libraryResult) string {
	return func(_ *scenarioResult, l *libraryResult) string {
		values := l.values(figure)
		if len(values) == 0 {
			return ""
		}
		return text(median(values))
	}
}

// inProcessOnly is for figures of which zero is one.
func inProcessOnly(figure func(sample) float64) func(*scenarioResult, *libraryResult) string {
	return func(s *scenarioResult, l *libraryResult) string {
		if !s.inProcess() || len(l.values(sample.main)) == 0 {
			return ""
		}
		return grouped(l.median(figure))
	}
}

// inProcess reports whether there was no server: then there was no load either.
func (s *scenarioResult) inProcess() bool {
	for _, l := range s.Libraries {
		for _, x := range l.Samples {
			if x.Rate > 0 || x.Resident != 0 {
				return false
			}
		}
	}
	return true
}

// median is that of a figure over the samples that were taken.
func (l *libraryResult) median(figure func(sample) float64) float64 {
	var values []float64
	for _, x := range l.Samples {
		if x.main() != 0 {
			values = append(values, figure(x))
		}
	}
	return median(values)
}

func (s *scenarioResult) mainText(v float64) string {
	switch {
	case strings.HasPrefix(s.Name, "idle"):
		return grouped(v) + " B"
	case strings.HasPrefix(s.Name, "rate"):
		return grouped(v) + " /s"
	}
	return nanoseconds(v)
}

// writeMarkdown writes all that was measured.
func (r *results) writeMarkdown(w io.Writer) error {
	b := new(strings.Builder)
	r.writeHead(b)
	b.WriteString(findReport(r.Report).note)
	r.writeTargets(b)
	for i := range r.Scenarios {
		r.Scenarios[i].writeTable(b)
	}
	r.writeLibraries(b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *results) writeHead(b *strings.Builder) {
	e := r.Environment
	fmt.Fprintf(b, "# %s\n\n", findReport(r.Report).title)
	fmt.Fprintf(b, "%s on %s, Linux %s, %s;\n%s; %d rounds of %s.\n", e.Go, e.System, e.Kernel, e.CPU, e.Cores, e.Rounds, e.Window)
	fmt.Fprintf(b, "Medians over the rounds; a ratio is the median of the rounds' ratios.\nTo measure again, in benchmarks/: `%s`\n\n", e.Command)
	for _, warning := range r.warnings() {
		fmt.Fprintf(b, "> Warning: %s\n\n", warning)
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(b, "Not measured: %s.\n", s)
	}
	if len(r.Skipped) > 0 {
		b.WriteByte('\n')
	}
}

// What the machine may do without a warning.
const (
	quietSpread = 0.10
	quietSteal  = 0.01
	quietOthers = 0.03
)

func (r *results) warnings() (list []string) {
	if r.Environment.Stolen > quietSteal {
		list = append(list, fmt.Sprintf("the hypervisor gave %.1f %% of the time to others.", 100*r.Environment.Stolen))
	}
	if r.Environment.Others > quietOthers {
		list = append(list, fmt.Sprintf("other programs had %.0f %% of the machine.", 100*r.Environment.Others))
	}
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		if noise := s.noise(); noise > quietSpread {
			list = append(list, fmt.Sprintf("noise in %s: the quartiles of %s are %.0f %% apart.", s.Name, s.Limit, 100*noise))
		}
	}
	return list
}

// writeTable writes a table of the columns in which somebody has something.
func (s *scenarioResult) writeTable(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n`%s`", s.Title, s.Name)
	if s.Limit != "" {
		fmt.Fprintf(b, "; ratios to %s", s.Limit)
	}
	b.WriteString("\n\n| library |")
	rule := "|---|"
	var used []column
	for _, c := range columns {
		if s.uses(c) {
			used = append(used, c)
			fmt.Fprintf(b, " %s |", s.columnTitle(c))
			rule += "---:|"
		}
	}
	fmt.Fprintf(b, "\n%s\n", rule)
	for _, l := range s.Libraries {
		fmt.Fprintf(b, "| %s |", l.Name)
		for _, c := range used {
			fmt.Fprintf(b, " %s |", c.text(s, l))
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	for _, l := range s.Libraries {
		if l.Error != "" {
			fmt.Fprintf(b, "%s has failed in a round: %s\n\n", l.Name, l.Error)
		}
	}
}

func (s *scenarioResult) columnTitle(c column) string {
	switch c.title {
	case "of the base":
		return "of " + s.Limit
	case "CPU per message":
		if s.inProcess() {
			return "time"
		}
	}
	return c.title
}

func (s *scenarioResult) uses(c column) bool {
	for _, l := range s.Libraries {
		if c.text(s, l) != "" {
			return true
		}
	}
	return false
}

func (r *results) writeLibraries(b *strings.Builder) {
	b.WriteString("## How each is used\n\n| name | version | use |\n|---|---|---|\n")
	for _, i := range r.Libraries {
		fmt.Fprintf(b, "| %s | %s | %s |\n", i.Name, i.Version, i.About)
	}
}

// nanoseconds is a time with three digits.
func nanoseconds(v float64) string {
	switch {
	case v == 0:
		return ""
	case v >= 1e6:
		return fmt.Sprintf("%.3g ms", v/1e6)
	case v >= 1e5:
		return fmt.Sprintf("%.0f us", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.3g us", v/1e3)
	}
	return fmt.Sprintf("%.3g ns", v)
}

// grouped is a whole number with its thousands apart.
func grouped(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	digits := strings.TrimPrefix(text, "-")
	sign := text[:len(text)-len(digits)]
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
