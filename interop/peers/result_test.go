package peers

import (
	"errors"
	"strings"
	"time"
)

// A result is that of a scenario with a peer.
type result struct {
	outcome string // passes, cannot or fails
	reason  string // of the other two
}

func pass() result                { return result{outcome: "passes"} }
func cannot(reason string) result { return result{"cannot", reason} }
func fail(reason string) result   { return result{"fails", reason} }

// parseReport parses what a peer says of a scenario: "pass", "fail: reason" or "cannot: reason".
func parseReport(text string) result {
	switch word, reason, _ := strings.Cut(text, ": "); word {
	case "pass":
		return pass()
	case "cannot":
		return cannot(reason)
	case "fail":
		return fail(reason)
	}
	return fail("says " + text)
}

// Reports are what a peer says of the scenarios, by their paths.
type reports map[string]chan result

func newReports() reports {
	r := make(reports)
	for _, s := range scenarios {
		r[s.path] = make(chan result, 1)
	}
	return r
}

// add adds a line of a peer, "path: report". It returns false for any other line.
func (r reports) add(line string) bool {
	path, report, _ := strings.Cut(line, ": ")
	if r[path] == nil {
		return false
	}
	r.report(path, parseReport(report))
	return true
}

// report adds the result of a scenario, unless there is one.
func (r reports) report(path string, res result) {
	select {
	case r[path] <- res:
	default:
	}
}

// get returns the report of a scenario, if there is one.
func (r reports) get(path string) (res result, ok bool) {
	select {
	case res = <-r[path]:
		return res, true
	default:
		return res, false
	}
}

// wait waits for the report of a scenario.
func (r reports) wait(path string) result {
	select {
	case res := <-r[path]:
		return res
	case <-time.After(patience):
		return fail("says nothing")
	}
}

// A cannotError is the verdict on a peer that cannot play a scenario, and does nothing wrong.
type cannotError struct{ reason string }

func (e *cannotError) Error() string { return e.reason }

var (
	errNoCompression     = &cannotError{"The peer does not negotiate compression."}
	errNothingCompressed = &cannotError{"The peer negotiates compression, and compresses nothing that it sends."}
)

// combine returns the result of a scenario from the peer's report and what this library has seen.
func combine(report result, verdict error) result {
	var unable *cannotError
	switch {
	case errors.As(verdict, &unable):
		return cannot(unable.reason)
	case report.outcome == "passes" && verdict != nil:
		return fail("seen by this library: " + verdict.Error())
	case report.outcome == "fails" && verdict != nil:
		return fail(report.reason + "; seen by this library: " + verdict.Error())
	}
	return report
}
