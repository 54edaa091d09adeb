package main

import (
	"io"
	"log"
	"os"
	"strconv"
	"testing"
	"time"
)

// The servers of TestMemory are this program.
func TestMain(m *testing.M) {
	if i, err := strconv.Atoi(os.Getenv(serveVariable)); err == nil {
		if err := serveMemory(i); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// Every server echoes what fills its windows, and says what it holds.
func TestMemory(t *testing.T) {
	for i, s := range echoServers() {
		if _, err := residentPerConnection(i, 2); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	if _, err := residentPerConnection(0, 1); err == nil {
		t.Error("the memory of one connection is no difference")
	}
}

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
