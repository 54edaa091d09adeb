package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// readSystem sets what the kernel knows.
func (u *usage) readSystem() {
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		names, _ := dir.Readdirnames(-1)
		dir.Close()
		u.Descriptors = len(names) - 1 // without that of the directory
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		fmt.Sscan(rest, &u.Resident)
		u.Resident <<= 10
	}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
}

// raiseDescriptorLimit raises the limit of the process as far as so many connections need.
func raiseDescriptorLimit(connections int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	needed := descriptorsFor(connections)
	if limit.Max < needed {
		return fmt.Errorf("%d connections need %d file descriptors in each process, but the hard limit is %d: "+
			"raise it, for instance with \"ulimit -Hn %[2]d\" as root, or use fewer -connections", connections, needed, limit.Max)
	}
	if limit.Cur >= needed {
		return nil
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
