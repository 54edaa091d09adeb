package main

import (
	"fmt"
	"os"
	"time"
)

// progress says how far the measurement is: in one line that changes on a
// terminal, else in a line for each scenario.
type progress struct {
	out      *os.File
	terminal bool
	begun    time.Time
	done     float64
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{
		out:      out,
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		begun:    time.Now(),
	}
}

const clearLine = "\r\x1b[K"

// show replaces the line that changes. Done is the part that is done, or negative
// where it is as before.
func (p *progress) show(done float64, what string) {
	if done >= 0 {
		p.done = done
	}
	if !p.terminal {
		return
	}
	fmt.Fprintf(p.out, "%s%3.0f %%", clearLine, 100*p.done)
	if p.done > 0.02 {
		fmt.Fprintf(p.out, ", %v left", remaining(p.begun, p.done))
	}
	fmt.Fprintf(p.out, "  %.60s", what)
}

// line prints a line that stays.
func (p *progress) line(text string) {
	if p.terminal {
		fmt.Fprint(p.out, clearLine)
	}
	fmt.Fprintln(p.out, text)
}
