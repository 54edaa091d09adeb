package websocket

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// handlers are the program's handlers, or nil for the default ones.
type handlers struct {
	ping, pong func(appData string) error
	close      func(code int, text string) error
}

// handlers returns the program's handlers.
func (c *Conn) handlers() handlers {
	if x := c.extras.Load(); x != nil {
		if h := x.handlers.Load(); h != nil {
			return *h
		}
	}
	return handlers{}
}

// setHandlers has set change the program's handlers.
func (c *Conn) setHandlers(set func(h *handlers)) {
	p := &c.ownExtras().handlers
	for {
		old, h := p.Load(), c.handlers()
		if set(&h); p.CompareAndSwap(old, &h) {
			return
		}
	}
}

// control delivers a control frame. Its answer goes into the slot, which is emptied
// before the reader waits or a message is delivered. Shutdown reads without the program's handlers.
func (c *Conn) control(op opcode, payload []byte) error {
	c.heard()
	own := !c.readLock.has(draining)
	switch op {
	case opPing:
		if h := c.handlers().ping; h != nil && own {
			return c.handle(phaseFailed, func() error { return h(string(payload)) })
		}
		c.send.reply(opPong, payload)
		return nil
	case opPong:
		if x := c.extras.Load(); x != nil {
			x.pings.received(payload, time.Now())
		}
		if h := c.handlers().pong; h != nil && own {
			return c.handle(phaseFailed, func() error { return h(string(payload)) })
		}
		return nil
	}
	return c.peerClosed(payload, own)
}

// peerClosed answers the peer's Close frame, by the program's handler if that may run, and ends the
// reading.
func (c *Conn) peerClosed(payload []byte, mayHandle bool) error {
	code, text, err := parseClosePayload(payload)
	if err != nil {
		return c.fail(err)
	}
	closed := c.stop(phaseClosed, &CloseError{Code: code, Text: text})
	if h := c.handlers().close; h != nil && mayHandle {
		if err := c.handle(phaseClosed, func() error { return h(code, text) }); err != nil {
			return err
		}
	} else {
		c.replyClose(code)
	}
	return closed
}

// handle calls a handler of the program, during which nothing is read, and keepalive does not count.
// The handler's error ends the reading with the phase.
func (c *Conn) handle(p phase, h func() error) error {
	c.send.tryFlush()
	c.reading(false)
	returned := false
	defer func() {
		if !returned { // it panics, or ends the goroutine
			if w := c.readWatch; w != nil && w.end() {
				c.restoreReadDeadline()
			}
			if c.message.state == begun && c.recv.total > 0 {
				c.stop(phaseFailed, errHandlerPanic) // what ReadMessage had of the message is lost
			}
			c.endRead()
		}
	}()
	err := h()
	returned = true
	c.reading(true)
	if err != nil {
		c.stop(p, err)
		if p == phaseClosed {
			c.readLock.replaceErr(err) // the Close frame's *CloseError
		}
	}
	return err
}

// reply posts a control frame that answers the peer. It waits for nothing.
func (c *Conn) reply(op opcode, payload []byte) {
	c.send.reply(op, payload)
	c.send.tryFlush()
}

// SetPingHandler sets the function that is called with the payload of each ping,
// in the goroutine that reads. Its error ends the reading and is returned by all
// reads. The default, also for nil, answers with a pong. Any
// goroutine may set it at any time.
func (c *Conn) SetPingHandler(h func(appData string) error) {
	c.setHandlers(func(all *handlers) { all.ping = h })
}

// PingHandler returns the function that is called for pings.
func (c *Conn) PingHandler() func(appData string) error {
	if h := c.handlers().ping; h != nil {
		return h
	}
	return func(appData string) error {
		c.reply(opPong, []byte(appData))
		return nil
	}
}

// SetPongHandler sets the function that is called with the payload of each pong, in
// the goroutine that reads. Its error ends the reading and is returned by all
// reads. The default, also for nil, does nothing. Any goroutine
// may set it at any time.
func (c *Conn) SetPongHandler(h func(appData string) error) {
	c.setHandlers(func(all *handlers) { all.pong = h })
}

// PongHandler returns the function that is called for pongs.
func (c *Conn) PongHandler() func(appData string) error {
	if h := c.handlers().pong; h != nil {
		return h
	}
	return func(string) error { return nil }
}

// SetCloseHandler sets the function that is called with the code and the reason of
// the peer's Close frame, in the goroutine that reads; the code is
// CloseNoStatusReceived where the frame had none. The default, also for nil,
// answers with a Close frame of the same code. Where the function returns nil, the
// read returns the *CloseError all the same; else the function's error. Any
// goroutine may set it at any time.
func (c *Conn) SetCloseHandler(h func(code int, text string) error) {
	c.setHandlers(func(all *handlers) { all.close = h })
}

// CloseHandler returns the function that is called for the peer's Close frame.
func (c *Conn) CloseHandler() func(code int, text string) error {
	if h := c.handlers().close; h != nil {
		return h
	}
	return func(code int, _ string) error {
		c.replyClose(code)
		return nil
	}
}

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
