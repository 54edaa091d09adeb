package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// load moves the bytes of all connections of a scenario in one thread, with as few
// system calls as there can be, so that the servers are busy and not the load.
type load struct {
	epoll int
	conns []loadConn
	in    []byte

	messages  int64           // that have come
	latencies []time.Duration // of messages, while recording, as many as there is room for
	recording bool
	answering bool // what comes is answered

	// Of a broadcast: the first connection sends again when so many have come.
	broadcast bool
	left      int

	// Of a service: what is sent and received instead of the same frame again and again.
	traffic *traffic
}

// loadConn is a connection of the load. It keeps a number of messages in flight: it
// sends as many as have come, together as far as they have come together.
type loadConn struct {
	fd      int
	counter frameCounter
	frames  []byte // one for each message in flight
	size    int    // of a frame
	pending []byte // what the kernel has not taken of what was sent
	owed    int    // frames to send after that
	polled  bool   // for writing, too

	// When the messages in flight were sent, as a ring whose oldest is first.
	sent  []time.Time
	first int
}

// newLoad takes the connections over. With none in flight, each gets one frame only.
func newLoad(conns []net.Conn, frame []byte, inFlight int) (*load, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	l := &load{epoll: epoll, in: make([]byte, 256<<10), answering: inFlight > 0}
	frames := bytes.Repeat(frame, max(inFlight, 1))
	defer closeAll(conns) // the load has descriptors of its own
	for i, nc := range conns {
		fd, err := descriptor(nc)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, loadConn{
			fd: fd, frames: frames, size: len(frame), sent: make([]time.Time, max(inFlight, 1)),
		})
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// descriptor duplicates that of nc, so that Go's own poller does not hear of it.
func descriptor(nc net.Conn) (fd int, err error) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return 0, errors.New("not a TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(s uintptr) { fd, err = unix.Dup(int(s)) })
	return fd, errors.Join(cerr, err)
}

func (l *load) close() {
	for i := range l.conns {
		unix.Close(l.conns[i].fd)
	}
	unix.Close(l.epoll)
}

// start sends the first messages of each connection, or of the first one in a broadcast.
func (l *load) start() error {
	if l.broadcast {
		l.left = len(l.conns)
		l.conns[0].sent[0] = time.Now()
		return l.send(0, 1)
	}
	if l.traffic != nil {
		return l.traffic.start(l)
	}
	now := time.Now()
	for i := range l.conns {
		for j := range l.conns[i].sent {
			l.conns[i].sent[j] = now
		}
		if err := l.send(i, len(l.conns[i].sent)); err != nil {
			return err
		}
	}
	return nil
}

// run goes on for d, and until a message has come. Messages stay in flight when it returns.
func (l *load) run(d time.Duration) error {
	var events [256]unix.EpollEvent
	first, lastMessage := l.messages, l.messages
	lastTime := time.Now()
	for end := lastTime.Add(d); ; {
		n, err := unix.EpollWait(l.epoll, events[:], l.patience())
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, event := range events[:max(n, 0)] {
			if err := l.serve(int(event.Fd), event.Events); err != nil {
				return err
			}
		}
		if l.traffic != nil {
			if err := l.traffic.send(l); err != nil {
				return err
			}
		}
		now := time.Now()
		if now.After(end) && l.messages > first {
			return nil
		}
		if l.messages != lastMessage {
			lastMessage, lastTime = l.messages, now
		} else if now.Sub(lastTime) > setup {
			return errors.New("the server has stopped answering")
		}
	}
}

// patience is for how many milliseconds the load sleeps when nothing has come.
func (l *load) patience() int {
	if l.traffic != nil {
		return 0 // it has to send in time
	}
	return cores.patience()
}

func (l *load) serve(i int, events uint32) error {
	c := &l.conns[i]
	if events&unix.EPOLLOUT != 0 {
		if err := l.write(i); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	n, err := unix.Read(c.fd, l.in)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return io.ErrUnexpectedEOF
	}
	if l.traffic != nil {
		return l.traffic.receive(l, i, l.in[:n])
	}
	messages := c.counter.count(l.in[:n])
	if c.counter.closed {
		return errors.New("the server has sent a Close frame")
	}
	l.messages += int64(messages)
	switch {
	case messages == 0 || !l.answering:
		return nil
	case l.broadcast:
		if l.left -= messages; l.left > 0 {
			return nil
		}
		l.left = len(l.conns)
		l.came(&l.conns[0], 1)
		return l.send(0, 1)
	}
	l.came(c, messages)
	return l.send(i, messages)
}

// came notes how long messages were in flight that have come back.
func (l *load) came(c *loadConn, messages int) {
	now := time.Now()
	for range messages {
		if l.recording && len(l.latencies) < cap(l.latencies) {
			l.latencies = append(l.latencies, now.Sub(c.sent[c.first]))
		}
		c.first = (c.first + 1) % len(c.sent)
	}
	// Their places in the ring are those of the next, which are sent now.
	for i := range messages {
		c.sent[(c.first-1-i+2*len(c.sent))%len(c.sent)] = now
	}
}

// send sends so many messages, behind those that wait.
func (l *load) send(i, messages int) error {
	c := &l.conns[i]
	if c.owed += messages; len(c.pending) > 0 {
		return nil
	}
	return l.write(i)
}

// write gives the kernel what it takes of what there is to send.
func (l *load) write(i int) error {
	c := &l.conns[i]
	for {
		if len(c.pending) == 0 {
			if c.owed == 0 {
				return l.poll(c, i, false)
			}
			c.pending = c.frames[:c.owed*c.size]
			c.owed = 0
		}
		n, err := unix.Write(c.fd, c.pending)
		switch err {
		case nil:
			c.pending = c.pending[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return l.poll(c, i, true)
		default:
			return fmt.Errorf("write: %w", err)
		}
	}
}

// poll waits for room to write, or no longer.
func (l *load) poll(c *loadConn, i int, writing bool) error {
	if c.polled == writing {
		return nil
	}
	c.polled = writing
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if writing {
		event.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &event)
}
