package websocket

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// pings are the pings of Ping that wait for their pongs, in the order in which they
// were sent.
type pings struct {
	mu      sync.Mutex
	waiting []*ping
}

type ping struct {
	payload [16]byte      // cannot be guessed
	done    chan struct{} // closed when one of the following is set
	pong    time.Time
	err     error
}

// Ping sends a ping and waits for its pong, as long as the context does; the write
// deadline is not for it. It returns the time between the two. Any number
// of goroutines may call it, and each gets the time of its own ping. The pong is
// seen by the goroutine that reads: without one, Ping waits until the context ends.
//
// The error is the context's with its cause, that of the write, or that of the read
// that has ended the reading. A context that ends while the ping is being sent is as
// for WriteMessageContext.
func (c *Conn) Ping(ctx context.Context) (rtt time.Duration, err error) {
	p := &ping{done: make(chan struct{})}
	rand.Read(p.payload[:]) // never fails: it crashes the program rather
	all, l := &c.ownExtras().pings, &limit{ctx: ctx}
	if _, err := c.send.lock.acquire(lockFrame, nil, l); err != nil {
		return 0, err
	}
	// With the lock held, so that the order of the list is that of the frames.
	all.add(p)
	defer all.remove(p)
	sent := time.Now()
	if c.readLock.phase() >= phaseClosed { // after add: stop may not have seen it
		err = c.readLock.err()
	} else {
		err = c.send.writeLocked(&frame{fin: true, opcode: opPing, payload: p.payload[:]}, l)
	}
	c.send.unlock()
	if err != nil {
		return 0, err
	}
	select {
	case <-p.done:
		if p.err != nil {
			return 0, p.err
		}
		return p.pong.Sub(sent), nil
	case <-ctx.Done():
		return 0, contextError(ctx)
	}
}

func (a *pings) add(p *ping) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, p)
}

func (a *pings) remove(p *ping) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = slices.DeleteFunc(a.waiting, func(q *ping) bool { return q == p })
}

// received ends the wait of the ping that the pong answers, and of those before it:
// the peer "MAY elect to send a Pong frame for only the most recently processed Ping
// frame" (RFC 6455, 5.5.3). A pong that answers none is nothing.
func (a *pings) received(payload []byte, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.waiting, func(p *ping) bool { return string(p.payload[:]) == string(payload) })
	for _, p := range a.waiting[:i+1] {
		p.pong = now
		close(p.done)
	}
	a.waiting = slices.Delete(a.waiting, 0, i+1)
}

// fail ends all waits with err.
func (a *pings) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.waiting {
		p.err = err
		close(p.done)
	}
	a.waiting = nil
}
