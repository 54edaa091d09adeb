package main

import (
	"maps"
	"reflect"
	"strings"
	"testing"
)

func TestReadOutcomes(t *testing.T) {
	const in = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestOne"}
{"Action":"output","Package":"a","Test":"TestOne","Output":"one\n"}
{"Action":"pass","Package":"a","Test":"TestOne","Elapsed":0}
{"Action":"fail","Package":"a","Test":"TestTwo/sub"}
{"Action":"skip","Package":"b","Test":"TestOne"}
{"Action":"fail","Package":"a"}
`
	var printed strings.Builder
	got, err := readOutcomes(strings.NewReader(in), &printed)
	want := outcomes{"a TestOne": "pass", "a TestTwo/sub": "fail", "b TestOne": "skip"}
	if err != nil || !maps.Equal(got, want) || printed.String() != "one\n" {
		t.Errorf("got %v, %v and output %q, want %v and one line", got, err, printed.String(), want)
	}
	if _, err := readOutcomes(strings.NewReader("{"), &printed); err == nil {
		t.Error("got no error for events that are cut off, want one")
	}
}

// A test that passes with gorilla must pass here; others are not looked at.
func TestCompareOutcomes(t *testing.T) {
	with := outcomes{"same": "pass", "fails": "pass", "missing": "pass", "skipped": "pass", "always fails": "fail", "mended": "fail"}
	here := outcomes{"same": "pass", "fails": "fail", "skipped": "skip", "always fails": "fail", "mended": "pass", "new": "pass"}
	got := compareOutcomes(with, here)
	want := result{tests: 6, passGorilla: 4, passHere: 1, failHere: []string{"fails", "missing", "skipped"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Each program can be asked for.
func TestPrograms(t *testing.T) {
	names := make(map[string]bool)
	for _, p := range programs {
		if names[p.name] || p.name == "" || p.module == "" || p.version == "" || p.kind == "" || len(p.packages) == 0 {
			t.Errorf("got %+v, want a program with a name of its own, and all that it takes to run it", p)
		}
		names[p.name] = true
	}
	if len(programs) < 10 {
		t.Errorf("got %d programs, want ten or more", len(programs))
	}
}
