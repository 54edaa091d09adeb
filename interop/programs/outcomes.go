package main

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// pass is the outcome of a test that passes; others are "fail" and "skip".
const pass = "pass"

// outcomes is the outcome of each test, by package and name.
type outcomes map[string]string

// readOutcomes reads what go test -json prints, and copies the tests' output to printed.
func readOutcomes(r io.Reader, printed io.Writer) (outcomes, error) {
	list := make(outcomes)
	for d := json.NewDecoder(r); ; {
		var event struct{ Action, Package, Test, Output string }
		if err := d.Decode(&event); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		switch event.Action {
		case pass, "fail", "skip":
			if event.Test != "" {
				list[event.Package+" "+event.Test] = event.Action
			}
		case "output":
			io.WriteString(printed, event.Output)
		}
	}
}

// compareOutcomes compares the tests with gorilla and those here. A test that is missing here has not passed.
func compareOutcomes(with, here outcomes) (r result) {
	r.tests = len(with)
	for test, outcome := range with {
		if outcome != pass {
			continue
		}
		r.passGorilla++
		if here[test] == pass {
			r.passHere++
		} else {
			r.failHere = append(r.failHere, test)
		}
	}
	slices.Sort(r.failHere)
	return r
}
