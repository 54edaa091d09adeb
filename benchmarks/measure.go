package main

import (
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// measureEcho keeps messages in flight on all connections.
func measureEcho(s *scenario, srv *server, p plan) (sample, error) {
	deflate := s.pattern == patternDeflate
	conns, err := dialAll(srv.address, s.conns, false, deflate)
	if err != nil {
		return sample{}, err
	}
	frame := appendClientFrame(nil, finBit|opBinary, payload(s.size))
	if deflate {
		frame = deflateFrame(text(s.size))
	}
	l, err := newLoad(conns, frame, s.inFlight)
	if err != nil {
		return sample{}, err
	}
	defer l.close()
	before, err := srv.status("VmRSS")
	if err != nil {
		return sample{}, err
	}
	result, err := l.measure(srv, p)
	if err != nil || s.size < 1<<20 {
		return result, err
	}
	peak, err := srv.status("VmHWM")
	result.Resident = perConn(peak, before, s.conns)
	return result, err
}

// measureBroadcast lets one connection send what all get, one after the other.
func measureBroadcast(s *scenario, srv *server, p plan) (sample, error) {
	conns, err := dialAll(srv.address, s.conns, false, false)
	if err != nil {
		return sample{}, err
	}
	l, err := newLoad(conns, appendClientFrame(nil, finBit|opBinary, payload(s.size)), 1)
	if err != nil {
		return sample{}, err
	}
	defer l.close()
	l.broadcast = true
	return l.measure(srv, p)
}

// measureContended only reads what 64 goroutines write.
func measureContended(s *scenario, srv *server, p plan) (sample, error) {
	conns, err := dialAll(srv.address, s.conns, false, false)
	if err != nil {
		return sample{}, err
	}
	l, err := newLoad(conns, appendClientFrame(nil, finBit|opBinary, payload(1)), 0)
	if err != nil {
		return sample{}, err
	}
	defer l.close()
	return l.measure(srv, p)
}

// measure runs the load, and takes the window after the warm-up.
func (l *load) measure(srv *server, p plan) (sample, error) {
	if err := l.start(); err != nil {
		return sample{}, err
	}
	if err := l.run(p.warmUp); err != nil {
		return sample{}, err
	}
	l.latencies, l.recording = make([]time.Duration, 0, 1<<20), true
	messages, replies := l.messages, l.bytes()
	w, err := beginWindow(srv)
	if err != nil {
		return sample{}, err
	}
	if err := l.run(p.window); err != nil {
		return sample{}, err
	}
	result, err := w.end(l.messages-messages, l.latencies)
	result.ReplyBytes = float64(l.bytes()-replies) / float64(l.messages-messages)
	return result, err
}

// bytes is how many have come on all connections.
func (l *load) bytes() (n int64) {
	for i := range l.conns {
		n += l.conns[i].counter.bytes
	}
	return n
}

// window is the time in which is measured.
type window struct {
	srv   *server
	begun time.Time
	cpu   time.Duration
}

func beginWindow(srv *server) (window, error) {
	cpu, err := srv.cpu()
	return window{srv: srv, begun: time.Now(), cpu: cpu}, err
}

// end is the sample of so many messages.
func (w window) end(messages int64, latencies []time.Duration) (sample, error) {
	cpu, err := w.srv.cpu()
	wall := time.Since(w.begun)
	if err != nil {
		return sample{}, err
	}
	if messages == 0 {
		return sample{}, fmt.Errorf("no message in %v", wall)
	}
	used := cpu - w.cpu
	slices.Sort(latencies)
	return sample{
		CPU:  float64(used) / float64(messages),
		Rate: float64(messages) / wall.Seconds(),
		Busy: used.Seconds() / wall.Seconds(),
		P50:  percentile(latencies, 50),
		P99:  percentile(latencies, 99),
	}, nil
}

// percentile is that of sorted times, in ns; 0 where there are none.
func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)-1)*percent/100])
}

// measureHandshake connects, upgrades and closes, one at a time.
func measureHandshake(_ *scenario, srv *server, p plan) (sample, error) {
	h, err := newHandshaker(srv.address)
	if err != nil {
		return sample{}, err
	}
	for end := time.Now().Add(p.warmUp); time.Now().Before(end); {
		if err := h.once(); err != nil {
			return sample{}, err
		}
	}
	w, err := beginWindow(srv)
	if err != nil {
		return sample{}, err
	}
	var latencies []time.Duration
	for end := w.begun.Add(p.window); len(latencies) == 0 || time.Now().Before(end); {
		begun := time.Now()
		if err := h.once(); err != nil {
			return sample{}, err
		}
		latencies = append(latencies, time.Since(begun))
	}
	return w.end(int64(len(latencies)), latencies)
}

// measureIdle measures the memory of idle connections.
func measureIdle(s *scenario, srv *server, _ plan) (sample, error) { return idle(s, srv, nil) }

// idle compares the server with many connections that have echoed one message each,
// with the same that had but one. It calls then, if there is one, with the connections.
func idle(s *scenario, srv *server, then func([]net.Conn) error) (sample, error) {
	if err := echoOnAll(srv, 1, s.tls, nil); err != nil {
		return sample{}, err
	}
	empty, emptyResident, err := srv.memory()
	if err != nil {
		return sample{}, err
	}
	var result sample
	err = echoOnAll(srv, s.conns, s.tls, func(conns []net.Conn) error {
		full, resident, err := srv.memory()
		result.Resident = perConn(resident, emptyResident, s.conns)
		result.Heap = perConn(full.Heap, empty.Heap, s.conns)
		result.Stack = perConn(full.Stack, empty.Stack, s.conns)
		if err != nil || then == nil {
			return err
		}
		return then(conns)
	})
	return result, err
}

// echoOnAll opens n connections, echoes a message on each, calls then with them,
// if there is one, and closes them.
func echoOnAll(srv *server, n int, overTLS bool, then func([]net.Conn) error) error {
	conns, err := dialAll(srv.address, n, overTLS, false)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	frame := appendClientFrame(nil, finBit|opText, []byte(idlePayload))
	reply := make([]byte, 2+125) // the longest with the shortest header
	for _, nc := range conns {
		nc.SetDeadline(time.Now().Add(setup))
		if _, err := nc.Write(frame); err != nil {
			return err
		}
		if _, err := io.ReadFull(nc, reply[:2]); err != nil {
			return err
		}
		if _, err := io.ReadFull(nc, reply[2:2+reply[1]]); err != nil {
			return err
		}
		nc.SetDeadline(time.Time{})
	}
	if then == nil {
		return nil
	}
	return then(conns)
}

func perConn(after, before uint64, n int) float64 {
	return (float64(after) - float64(before)) / float64(n)
}
