package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockBase is the time of CLOCK_MONOTONIC at clockStarted. Go's own clock is the same, but does not tell it.
var clockStarted, clockBase = time.Now(), readMonotonic()

func readMonotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // every Linux has it
	}
	return t.Nano()
}

// monotonic is the time in ns, on a clock that all processes share.
func monotonic() int64 { return clockBase + int64(time.Since(clockStarted)) }
