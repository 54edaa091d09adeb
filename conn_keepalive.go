package websocket

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// keepalive finds out that the peer is gone: when nothing came for the interval, a
// ping is due, and when then nothing comes for the timeout, the peer is dead. The
// timeout counts only while somebody reads, since else nothing is seen to come.
// What the peer takes, where a write has had to wait for that, is a sign as well; if it takes nothing for
// the interval and the timeout while a write waits, it is dead, too.
type keepalive struct {
	interval, timeout time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	last    time.Time     // when the last sign came
	asked   time.Time     // when the first ping since then was due; zero before
	pinged  time.Time     // when the last one was
	reader  time.Time     // since when somebody reads; zero where nobody does
	waited  time.Duration // how long somebody has read since asked, up to reader
}

// step says what is due at the time now, where a write has waited since the time waits, unless that is
// zero, and when to look again. An error is the verdict that the peer is dead.
func (k *keepalive) step(now, waits time.Time) (ping bool, next time.Time, dead error) {
	ping, next, dead = k.stepReading(now)
	if dead != nil || waits.IsZero() {
		return ping, next, dead
	}
	most := k.interval + k.timeout
	limit := later(waits, k.last).Add(most)
	if !now.Before(limit) {
		return false, time.Time{}, &keepaliveError{fmt.Sprintf("the peer has taken nothing for %v", most)}
	}
	return ping, earlier(next, limit), nil
}

// stepReading is step as far as reading goes. Each case has a return.
func (k *keepalive) stepReading(now time.Time) (ping bool, next time.Time, dead error) {
	if quiet := k.last.Add(k.interval); now.Before(quiet) {
		return false, quiet, nil
	}
	again := now.Add(k.interval) // it may have been answered by then
	if k.asked.IsZero() {
		k.asked, k.pinged = now, now
		return true, earlier(again, now.Add(k.timeout)), nil
	}
	if k.reader.IsZero() {
		// The pong may be waiting to be read. Another ping keeps the path open.
		if due := k.pinged.Add(k.interval); now.Before(due) {
			return false, due, nil
		}
		k.pinged = now
		return true, again, nil
	}
	left := k.timeout - k.waited - now.Sub(later(k.reader, k.asked))
	if left > 0 {
		return false, earlier(again, now.Add(left)), nil
	}
	return false, time.Time{}, &keepaliveError{fmt.Sprintf("nothing came for %v after a ping", k.timeout)}
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

// heard says that a sign came.
func (k *keepalive) heard(now time.Time) {
	k.mu.Lock()
	k.heardLocked(now)
	k.mu.Unlock()
}

func (k *keepalive) heardLocked(now time.Time) { k.last, k.asked, k.waited = now, time.Time{}, 0 }

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
	timeout = min(timeout, math.MaxInt64-interval) // their sum is a time, too
	now := time.Now()
	k := &keepalive{interval: interval, timeout: timeout, last: now}
	c.keepalive = k
	c.send.ownDelayed().progress = &progress{start: now}
	k.mu.Lock() // until the timer is set
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(interval, func() { c.look(k) })
}

// look does what is due.
func (c *Conn) look(k *keepalive) {
	now := time.Now()
	waits, last := c.send.delayed.Load().progress.times()
	k.mu.Lock()
	if k.stopped {
		k.mu.Unlock()
		return
	}
	if last.After(k.last) {
		k.heardLocked(last)
	}
	ping, next, dead := k.step(now, waits)
	if dead == nil {
		k.timer.Reset(next.Sub(now))
	}
	k.mu.Unlock()

	switch {
	case ping:
		// It leaves when the network takes it. Where one waits for that already, it is enough.
		if !c.send.lock.has(posted) {
			c.send.tryPost(&frame{fin: true, opcode: opPing})
			c.send.tryFlush()
		}
	case dead != nil:
		c.send.lock.end(phaseFailed, dead, nil)
		c.stop(phaseFailed, dead)
		c.abort()
	}
}
