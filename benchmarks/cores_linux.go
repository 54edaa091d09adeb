package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// coreSet says on which cores the servers and the load run: one for each, where
// the machine has two that are not halves of the same.
type coreSet struct {
	all          unix.CPUSet
	server, load int // -1: anywhere
}

var cores = findCores()

func findCores() coreSet {
	c := coreSet{server: -1, load: -1}
	if unix.SchedGetaffinity(0, &c.all) != nil {
		return c
	}
	var free []int
	for cpu := range 1024 {
		if c.all.IsSet(cpu) {
			free = append(free, cpu)
		}
	}
	for i := len(free) - 1; i > 0; i-- {
		for j := range i {
			if !siblings(free[i], free[j]) {
				c.server, c.load = free[i], free[j]
				return c
			}
		}
	}
	return c
}

// siblings reports whether two CPUs are threads of one core.
func siblings(a, b int) bool {
	path := "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list"
	x, errX := os.ReadFile(fmt.Sprintf(path, a))
	y, errY := os.ReadFile(fmt.Sprintf(path, b))
	return errX == nil && errY == nil && string(x) == string(y)
}

func (c *coreSet) String() string {
	if c.server < 0 {
		return "not pinned: there are no two cores"
	}
	return fmt.Sprintf("server on CPU %d, load on CPU %d", c.server, c.load)
}

// pinLoad puts this process on the core of the load.
func (c *coreSet) pinLoad() {
	if c.load < 0 {
		return
	}
	threads, _ := filepath.Glob("/proc/self/task/*")
	for _, thread := range threads {
		id, _ := strconv.Atoi(filepath.Base(thread))
		setAffinity(id, only(c.load))
	}
	runtime.GOMAXPROCS(1)
}

// patience is for how many milliseconds the load sleeps when nothing has come. On a
// core of its own it does not: waking it would be charged to the server, and where
// the machine is a virtual one that costs more than all else.
func (c *coreSet) patience() int {
	if c.load < 0 {
		return 100
	}
	return 0
}

// onServerCore calls start so that the process it starts runs on the servers' core:
// a process inherits the core of the thread that starts it.
func (c *coreSet) onServerCore(start func() error) error {
	if c.server < 0 {
		return start()
	}
	return withAffinity(only(c.server), start)
}

// unpinned calls start so that the process it starts runs on all cores.
func (c *coreSet) unpinned(start func() error) error {
	return withAffinity(&c.all, start)
}

func withAffinity(set *unix.CPUSet, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return f()
	}
	setAffinity(0, set)
	defer setAffinity(0, &before)
	return f()
}

// setAffinity does what the system allows: the measurement is noisier without it.
func setAffinity(thread int, set *unix.CPUSet) { unix.SchedSetaffinity(thread, set) }

func only(cpu int) *unix.CPUSet {
	set := new(unix.CPUSet)
	set.Set(cpu)
	return set
}

// processCPU reads the CPU clock of another process: see clock_getcpuclockid(3).
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// readClock reads the time that the machine has had so far, and who had it.
func readClock() machineClock {
	var c machineClock
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return c
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, field := range strings.Fields(line) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil || i > 8 { // "cpu", and guests, which are in user time already
			continue
		}
		c.total += n
		switch i {
		case 1, 2, 3: // user, nice, system
			c.busy += n
		case 8:
			c.stolen = n
		}
	}
	// The counts are in hundredths of a second.
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			c.own += 100 * (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
		}
	}
	return c
}
