package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// traffic is what the load of a service sends and receives. All its messages have the time when they were due, in
// ns on the clock of monotonic.
type traffic struct {
	service  *service
	inFlight int // requests on each connection, of which each answer makes a new one
	interval time.Duration
	slow     int // how many connections, the last ones, read slowly

	parsers []messageParser // of the connections
	frames  []byte          // room for those that are sent next
	due     int64           // when the next paced message is
	next    int             // the connection that sends it
	readAt  int64           // when the slow connections read next
}

const (
	// A slow connection reads slowRead bytes at a time, and so 10 KiB a second.
	slowRead   = 1 << 10
	slowPeriod = 100 * time.Millisecond

	// It has segments as on an Ethernet, and a small buffer: both ends would otherwise buffer megabytes.
	slowSegment = 1460
	slowBuffer  = 4 << 10
)

// measureService lets the connections send at their rate, or keep requests in flight.
func measureService(s *scenario, srv *server, p plan) (sample, error) {
	before, err := srv.status("VmRSS")
	if err != nil {
		return sample{}, err
	}
	conns, err := dialAll(srv.address, s.conns-s.slow, false, s.deflates())
	if err != nil {
		return sample{}, err
	}
	for range s.slow {
		nc, err := dialSlow(srv.address)
		if err != nil {
			closeAll(conns)
			return sample{}, err
		}
		conns = append(conns, nc)
	}
	l, err := newLoad(conns, nil, 0)
	if err != nil {
		return sample{}, err
	}
	defer l.close()
	l.traffic = newTraffic(s)
	result, err := l.measure(srv, p)
	if err != nil {
		return sample{}, err
	}
	after, err := srv.status("VmRSS")
	result.Resident = perConn(after, before, s.conns)
	return result, err
}

// dialSlow opens a connection that will be read slowly.
func dialSlow(address string) (net.Conn, error) {
	d := net.Dialer{Timeout: setup, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		cerr := raw.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, slowSegment),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, slowBuffer),
			)
		})
		return errors.Join(cerr, err)
	}}
	return dialWith(d, address, false, false)
}

func newTraffic(s *scenario) *traffic {
	t := &traffic{service: s.service, inFlight: s.inFlight, slow: s.slow, parsers: make([]messageParser, s.conns)}
	if s.rate > 0 {
		t.interval = time.Duration(float64(time.Second) / s.rate / float64(s.conns))
	}
	return t
}

// start sends the first messages: those in flight, or one that starts a server which then sends by itself.
func (t *traffic) start(l *load) error {
	t.due = monotonic()
	t.readAt = t.due
	for i := range t.slow {
		i = len(l.conns) - 1 - i
		event := unix.EpollEvent{Fd: int32(i)} // errors only
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, l.conns[i].fd, &event); err != nil {
			return err
		}
	}
	if t.inFlight == 0 && t.interval == 0 {
		return t.write(l, 0, 1, t.due)
	}
	for i := range l.conns {
		if err := t.write(l, i, t.inFlight, t.due); err != nil {
			return err
		}
	}
	return nil
}

// send sends what is due, and lets the slow connections read.
func (t *traffic) send(l *load) error {
	now := monotonic()
	for t.interval > 0 && t.due <= now {
		if err := t.write(l, t.next, 1, t.due); err != nil {
			return err
		}
		t.due += int64(t.interval)
		t.next = (t.next + 1) % len(l.conns)
	}
	if t.slow == 0 || now < t.readAt {
		return nil
	}
	t.readAt += int64(slowPeriod)
	return t.readSlowly(l)
}

// readSlowly reads a little from each slow connection.
func (t *traffic) readSlowly(l *load) error {
	for i := len(l.conns) - t.slow; i < len(l.conns); i++ {
		n, err := unix.Read(l.conns[i].fd, l.in[:slowRead])
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return fmt.Errorf("read of a slow connection: %d bytes, %v", n, err)
		}
		if err := t.receive(l, i, l.in[:n]); err != nil {
			return err
		}
	}
	return nil
}

// write sends so many messages with a time, behind those that wait.
func (t *traffic) write(l *load, i, messages int, due int64) error {
	if messages == 0 {
		return nil
	}
	c := &l.conns[i]
	waiting := len(c.pending) > 0
	if !waiting {
		c.pending = t.frames[:0]
	}
	for range messages {
		c.pending = t.service.appendFrame(c.pending, due)
	}
	if waiting {
		return nil
	}
	t.frames = c.pending[:0]
	err := l.write(i)
	if len(c.pending) > 0 {
		t.frames = nil // they are the connection's until they are sent
	}
	return err
}

// receive takes in what has come, and sends a new request for each answer.
func (t *traffic) receive(l *load, i int, b []byte) error {
	c := &l.conns[i]
	c.counter.bytes += int64(len(b))
	now := monotonic()
	messages := 0
	err := t.parsers[i].parse(b, func(payload []byte, compressed bool) error {
		messages++
		due, err := t.service.timeOf(payload, compressed)
		if err == nil && l.recording && i < len(l.conns)-t.slow && len(l.latencies) < cap(l.latencies) {
			l.latencies = append(l.latencies, time.Duration(now-due))
		}
		return err
	})
	if err != nil {
		return err
	}
	l.messages += int64(messages)
	if t.inFlight == 0 {
		return nil
	}
	return t.write(l, i, messages, now)
}
