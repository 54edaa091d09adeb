package main

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// usage is what a process uses.
type usage struct {
	Heap        uint64        // bytes of reachable objects, as the last garbage collection has found them
	Stacks      uint64        // bytes of goroutines' stacks
	Resident    uint64        // bytes of the process in memory
	Goroutines  int           //
	Descriptors int           // open files and sockets
	CPU         time.Duration // in user and system mode, since the start of the process
}

// heapAllowance is how much larger the heap may be at the end than at the start: memory that packages of Go take once
// and keep, such as tables of crypto/tls and net/http, and that warmUp does not make them take. The pools of the
// library have no share in it, since objects in a sync.Pool are gone after two collections. Goroutines and
// descriptors have no allowance.
const heapAllowance = 1 << 20

// sampleUsage returns what the process uses now.
func sampleUsage() usage {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	u := usage{
		Heap:       samples[0].Value.Uint64(),
		Stacks:     samples[1].Value.Uint64(),
		Goroutines: runtime.NumGoroutine(),
	}
	u.readSystem()
	return u
}

// measureUsage returns what the process uses when its garbage was collected.
func measureUsage() usage {
	runtime.GC() // sync.Pool keeps what it has for one collection more
	debug.FreeOSMemory()
	return sampleUsage()
}

// awaitUsage waits until the process uses no more than at the start, for a while.
func awaitUsage(start usage, patience time.Duration) usage {
	for limit := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		u := measureUsage()
		if len(u.exceeds(start)) == 0 || time.Now().After(limit) {
			return u
		}
	}
}

// exceeds returns what is more than at the start.
func (u usage) exceeds(start usage) (problems []string) {
	if u.Heap > start.Heap+heapAllowance {
		problems = append(problems, fmt.Sprintf("the heap has %d bytes more than at the start", u.Heap-start.Heap))
	}
	if n := u.Goroutines - start.Goroutines; n > 0 {
		problems = append(problems, fmt.Sprintf("there are %d goroutines more than at the start", n))
	}
	if n := u.Descriptors - start.Descriptors; n > 0 {
		problems = append(problems, fmt.Sprintf("there are %d descriptors more than at the start", n))
	}
	return problems
}

// max returns the larger of each of two values.
func (u usage) max(v usage) usage {
	return usage{
		Heap:        max(u.Heap, v.Heap),
		Stacks:      max(u.Stacks, v.Stacks),
		Resident:    max(u.Resident, v.Resident),
		Goroutines:  max(u.Goroutines, v.Goroutines),
		Descriptors: max(u.Descriptors, v.Descriptors),
		CPU:         max(u.CPU, v.CPU),
	}
}

// warmUp makes the runtime take what it keeps: the descriptors of its poller, and half a kilobyte for each of the
// goroutines that there are at the same time. There are two for each connection, and others for timers and contexts,
// which are many at once when the machine is busy.
func warmUp(connections int) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	release := make(chan struct{})
	var all sync.WaitGroup
	for range 4*connections + 1000 {
		all.Go(func() { <-release })
	}
	close(release)
	all.Wait()
	return ln.Close()
}

// descriptorsFor returns how many descriptors a process needs for so many connections. Some that are being closed and
// opened again are there twice, and there are a few others.
func descriptorsFor(connections int) uint64 { return uint64(connections + connections/50 + 100) }
