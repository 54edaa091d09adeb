package main

import (
	"fmt"
	"os"
	"time"
)

// progress shows how far a run is: in one line that changes on a terminal, else in a line every so often.
type progress struct {
	out      *os.File
	terminal bool
	every    time.Duration
	next     time.Time
}

func newProgress(out *os.File, o *options) *progress {
	info, err := out.Stat()
	return &progress{
		out:      out,
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		every:    max(o.duration/20, 5*time.Second),
	}
}

func (p *progress) show(line string) {
	switch now := time.Now(); {
	case p.terminal:
		fmt.Fprint(p.out, "\r\x1b[K", line)
	case now.After(p.next):
		fmt.Fprintln(p.out, line)
		p.next = now.Add(p.every)
	}
}

// done ends the line that changes.
func (p *progress) done() {
	if p.terminal {
		fmt.Fprintln(p.out)
	}
}
