//go:build !linux

package main

import (
	"errors"
	"net"
	"time"
)

// Servers are measured on Linux only: its clocks say what another process takes.
// The benchmarks in process run everywhere.

var errLinuxOnly = errors.New("servers are measured on Linux only")

type coreSet struct{}

var cores coreSet

func (*coreSet) String() string                        { return "not pinned" }
func (*coreSet) pinLoad()                              {}
func (*coreSet) onServerCore(start func() error) error { return start() }
func (*coreSet) unpinned(start func() error) error     { return start() }
func processCPU(int) (time.Duration, error)            { return 0, errLinuxOnly }
func readClock() machineClock                          { return machineClock{} }

type load struct {
	conns     []loadConn
	messages  int64
	latencies []time.Duration
	recording bool
	broadcast bool
}

type loadConn struct{ counter frameCounter }

func newLoad(conns []net.Conn, _ []byte, _ int) (*load, error) {
	closeAll(conns)
	return nil, errLinuxOnly
}

func (*load) close()                  {}
func (*load) start() error            { return errLinuxOnly }
func (*load) run(time.Duration) error { return errLinuxOnly }

func measureService(*scenario, *server, plan) (sample, error) { return sample{}, errLinuxOnly }
func dialSlow(string) (net.Conn, error)                       { return nil, errLinuxOnly }
func monotonic() int64                                        { return 0 }

type handshaker struct{}

func newHandshaker(string) (*handshaker, error) { return nil, errLinuxOnly }
func (*handshaker) once() error                 { return errLinuxOnly }
func (*handshaker) from(net.IP)                 {}

func descriptors() int { return 1024 }

type pacedLoad struct{}

func newPacedLoad(conns []net.Conn, _ []byte) (*pacedLoad, error) {
	closeAll(conns)
	return nil, errLinuxOnly
}

func (*pacedLoad) close() {}

func (*pacedLoad) measure(float64, time.Duration) ([]time.Duration, bool, error) {
	return nil, false, errLinuxOnly
}
