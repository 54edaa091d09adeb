package websocket

import (
	"fmt"
	"sync"
	"time"
)

// keepalive finds out that the peer is gone: when nothing came for the interval, a
// ping is due, and when then nothing comes for the timeout, the peer is dead. The
// timeout counts only while somebody reads, since else nothing is seen to come.
type keepalive struct {
	interval, timeout time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	last    time.Time     // when something came last
	asked   time.Time     // when the first ping since then was due; zero before
	pinged  time.Time     // when the last one was
	reader  time.Time     // since when somebody reads; zero where nobody does
	waited  time.Duration // how long somebody has read since asked, up to reader
}

// step says what is due at the time now, and when to look again. Each case has a return.
func (k *keepalive) step(now time.Time) (ping, dead bool, next time.Time) {
	if quiet := k.last.Add(k.interval); now.Before(quiet) {
		return false, false, quiet
	}
	again := now.Add(k.interval) // it may have been answered by then
	if k.asked.IsZero() {
		k.asked, k.pinged = now, now
		return true, false, earlier(again, now.Add(k.timeout))
	}
	if k.reader.IsZero() {
		// The pong may be waiting to be read. Another ping keeps the path open.
		if due := k.pinged.Add(k.interval); now.Before(due) {
			return false, false, due
		}
		k.pinged = now
		return true, false, again
	}
	left := k.timeout - k.waited - now.Sub(later(k.reader, k.asked))
	if left > 0 {
		return false, false, earlier(again, now.Add(left))
	}
	return false, true, time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// heard says that something came.
func (k *keepalive) heard(now time.Time) {
	k.mu.Lock()
	k.last, k.asked, k.waited = now, time.Time{}, 0
	k.mu.Unlock()
}

// reading says whether somebody reads from now on.
func (k *keepalive) reading(yes bool, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reader.IsZero() && !k.asked.IsZero() {
		k.waited += now.Sub(later(k.reader, k.asked))
	}
	k.reader = time.Time{}
	if yes {
		k.reader = now
	}
}

func (k *keepalive) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	k.timer.Stop()
}

// startKeepalive has a timer, which ends with the reading or with Close, look after
// the connection.
func (c *Conn) startKeepalive(interval, timeout time.Duration) {
	if timeout <= 0 {
		timeout = interval
	}
	now := time.Now()
	k := &keepalive{interval: interval, timeout: timeout, last: now}
	c.keepalive = k
	k.mu.Lock() // until the timer is set
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(interval, func() { c.look(k) })
}

// look does what is due.
func (c *Conn) look(k *keepalive) {
	now := time.Now()
	k.mu.Lock()
	if k.stopped {
		k.mu.Unlock()
		return
	}
	ping, dead, next := k.step(now)
	if !dead {
		k.timer.Reset(next.Sub(now))
	}
	k.mu.Unlock()

	switch {
	case ping:
		// A slow peer is not a dead one: the ping leaves when the network takes it.
		l := until(now.Add(k.timeout))
		c.send.post(&frame{fin: true, opcode: opPing}, &l, false)
	case dead:
		err := &keepaliveError{k.timeout}
		c.send.lock.end(phaseFailed, err, nil)
		c.stop(phaseFailed, err)
		c.abort()
	}
}

// keepaliveError is the verdict on a peer that is silent. It is a net.Error, but no
// os.ErrDeadlineExceeded: the connection has failed.
type keepaliveError struct{ timeout time.Duration }

func (e *keepaliveError) Error() string {
	return fmt.Sprintf("websocket: nothing came for %v after a ping", e.timeout)
}
func (e *keepaliveError) Timeout() bool   { return true }
func (e *keepaliveError) Temporary() bool { return false }
