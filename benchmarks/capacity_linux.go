package main

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// descriptors is how many this process and its servers may have: Go raises the limit
// to the highest that is allowed when a program starts.
func descriptors() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int(min(limit.Max, 1<<30))
}

// pacedLoad sends messages at the moments of a schedule, whether or not those before
// have been answered.
type pacedLoad struct {
	*load
	due      []dueTimes // of each connection
	inFlight int
}

// maxInFlight is how many messages of one connection may wait for their answers: with
// more, the server has long been too slow.
const maxInFlight = 64

// dueTimes are when the messages in flight of a connection were to be sent, from the
// beginning, as a ring whose oldest is first.
type dueTimes struct {
	at       [maxInFlight]time.Duration
	first, n int
}

func newPacedLoad(conns []net.Conn, frame []byte) (*pacedLoad, error) {
	l, err := newLoad(conns, frame, maxInFlight)
	if err != nil {
		return nil, err
	}
	l.answering = false
	return &pacedLoad{load: l, due: make([]dueTimes, len(conns))}, nil
}

// measure sends so many messages per second for d, waits for the answers, and returns
// how long after its moment each has come. The load is not carried where there is no
// room for one more message in flight: then measure sends no more.
func (l *pacedLoad) measure(perSecond float64, d time.Duration) (times []time.Duration, carried bool, err error) {
	times = make([]time.Duration, 0, int(1.2*perSecond*d.Seconds())+100)
	plan := newSchedule(perSecond)
	begun := time.Now()
	next, sent := plan.next(), 0
	var events [16]unix.EpollEvent // few, so that none keeps the next message long
	for carried = true; ; {
		now := time.Since(begun)
		for carried && next <= min(now, d) {
			if carried, err = l.sendAt(next, sent%len(l.conns)); err != nil {
				return nil, false, err
			}
			next, sent = plan.next(), sent+1
		}
		done := !carried || next > d
		switch {
		case done && l.inFlight == 0:
			return times, carried, nil
		case now > d+setup:
			return nil, false, errors.New("the server has stopped answering")
		}
		n, err := unix.EpollWait(l.epoll, events[:], min(cores.patience(), 1))
		if err != nil && err != unix.EINTR {
			return nil, false, err
		}
		for _, event := range events[:max(n, 0)] {
			i, before := int(event.Fd), l.messages
			if err := l.serve(i, event.Events); err != nil {
				return nil, false, err
			}
			times = l.answered(times, i, int(l.messages-before), time.Since(begun))
		}
	}
}

// sendAt sends a message that was due at that moment, if there is room.
func (l *pacedLoad) sendAt(at time.Duration, i int) (sent bool, err error) {
	q := &l.due[i]
	if q.n == len(q.at) {
		return false, nil
	}
	q.at[(q.first+q.n)%len(q.at)] = at
	q.n++
	l.inFlight++
	return true, l.send(i, 1)
}

// answered takes messages of a connection out of those in flight.
func (l *pacedLoad) answered(times []time.Duration, i, messages int, now time.Duration) []time.Duration {
	q := &l.due[i]
	for range messages {
		times = append(times, now-q.at[q.first])
		q.first = (q.first + 1) % len(q.at)
		q.n--
		l.inFlight--
	}
	return times
}
