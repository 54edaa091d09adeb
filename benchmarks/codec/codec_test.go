package main

import (
	"io"
	"os"
	"testing"
	"time"
)

// Every contender runs, and each message that it has sent is received.
func TestContenders(t *testing.T) {
	*count, *rounds, *slice = 5, 1, time.Millisecond
	stdout := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	lines := make(chan int)
	go func() {
		out, _ := io.ReadAll(r)
		n := 0
		for _, c := range out {
			if c == '\n' {
				n++
			}
		}
		lines <- n
	}()
	for _, takeover := range []bool{false, true} {
		if err := compare(takeover); err != nil {
			t.Error(err)
		}
	}
	os.Stdout = stdout
	w.Close()
	if got, want := <-lines, 2*(5+8*len(kinds)); got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
}
