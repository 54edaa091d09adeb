package websocket

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// keepalive detects that the peer is gone. A sign of the peer is any received byte, and any progress
// of a write that has had to wait for the network. If there was no sign for the interval, a ping is due;
// if there is none for the timeout after that, the peer is dead. The timeout runs only while a read is in
// progress, because frames are not noticed otherwise. The peer is also dead if a write waits for the interval
// and the timeout together without progress.
type keepalive struct {
	interval, timeout time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	last    time.Time     // the time of the last sign
	asked   time.Time     // when the first ping after last was due; zero before that
	pinged  time.Time     // when the last ping was due
	reader  time.Time     // the start of the read in progress, or zero
	waited  time.Duration // the duration of all reads between asked and reader
}

// step returns what is due at the time now: whether to send a ping, and when to call step again, or an
// error if the peer is dead. A write has been waiting since the time waits, unless that is zero.
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

// stepReading is step without regard to writes.
func (k *keepalive) stepReading(now time.Time) (ping bool, next time.Time, dead error) {
	if quiet := k.last.Add(k.interval); now.Before(quiet) {
		return false, quiet, nil
	}
	again := now.Add(k.interval)
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

// heard records a sign of the peer.
func (k *keepalive) heard(now time.Time) {
	k.mu.Lock()
	k.heardLocked(now)
	k.mu.Unlock()
}

func (k *keepalive) heardLocked(now time.Time) { k.last, k.asked, k.waited = now, time.Time{}, 0 }

// reading records the start or the end of a read.
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

// startKeepalive starts the keepalive of the connection. Its timer ends with the reading or with
// Close.
func (c *Conn) startKeepalive(interval, timeout time.Duration) {
	if timeout <= 0 {
		timeout = interval
	}
	timeout = min(timeout, math.MaxInt64-interval) // step adds them
	now := time.Now()
	k := &keepalive{interval: interval, timeout: timeout, last: now}
	c.keepalive = k
	c.send.ownDelayed().progress = &progress{start: now}
	k.mu.Lock() // until the timer is set
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(interval, func() { c.look(k) })
}

// look calls step and does what is due.
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
		// The ping is sent when the network accepts it. If frames are still waiting for that, no
		// further ping is needed.
		if !c.send.lock.has(statePosted) {
			c.send.tryPost(&frame{fin: true, opcode: opPing})
			c.send.tryFlush()
		}
	case dead != nil:
		c.send.end(dead, nil)
		c.stopReading(phaseFailed, dead)
		c.abort()
	}
}
