package websocket

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"sync"
	"time"
)

// handlers are the program's handlers for control frames; nil means the default.
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

// setHandlers changes the program's handlers by calling set.
func (c *Conn) setHandlers(set func(h *handlers)) {
	p := &c.ownExtras().handlers
	for {
		old, h := p.Load(), c.handlers()
		if set(&h); p.CompareAndSwap(old, &h) {
			return
		}
	}
}

// control delivers a control frame. Its answer goes into the slot, which is flushed, or corked with
// other frames, before the reader waits or a message begins. Shutdown does not call the program's handlers.
func (c *Conn) control(op opcode, payload []byte) error {
	byProgram := !c.readLock.has(stateShutdownReads)
	switch op {
	case opPing:
		if h := c.handlers().ping; h != nil && byProgram {
			return c.handle(phaseFailed, func() error { return h(string(payload)) })
		}
		c.send.postReply(opPong, payload)
		return nil
	case opPong:
		if x := c.extras.Load(); x != nil {
			x.pings.received(payload, time.Now())
		}
		if h := c.handlers().pong; h != nil && byProgram {
			return c.handle(phaseFailed, func() error { return h(string(payload)) })
		}
		return nil
	}
	return c.peerClosed(payload, byProgram)
}

// peerClosed ends the reading because of the peer's Close frame, and answers it: by the program's handler
// if mayHandle is set and there is one.
func (c *Conn) peerClosed(payload []byte, mayHandle bool) error {
	code, text, err := parseClosePayload(payload)
	if err != nil {
		return c.failReading(err)
	}
	closed := c.stopReading(phaseClosed, &CloseError{Code: code, Text: text})
	if h := c.handlers().close; h != nil && mayHandle {
		if err := c.handle(phaseClosed, func() error { return h(code, text) }); err != nil {
			return err
		}
	} else {
		c.replyClose(code)
	}
	return closed
}

// handle calls a handler of the program. Nothing is read meanwhile, so the keepalive timeout does not run.
// An error of the handler ends the reading with the phase p.
func (c *Conn) handle(p phase, h func() error) error {
	c.send.tryFlush()
	c.reading(false)
	returned := false
	defer func() {
		if !returned { // h panics or calls runtime.Goexit
			if w := c.readWatch; w != nil && w.end() {
				c.restoreReadDeadline()
			}
			if m := &c.message; m.state == messageBegun && m.reader == nil && c.recv.total > 0 {
				c.stopReading(phaseFailed, errHandlerPanic) // the part of the message that was read is lost
			}
			c.unlockRead()
		}
	}()
	err := h()
	returned = true
	c.reading(true)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = finalError("a handler has failed", err)
		}
		c.stopReading(p, err)
		c.readLock.replace(p, err) // of a reading that has ended before: by the peer's Close frame, or during h
	}
	return err
}

// reply posts a control frame that answers the peer. It does not block.
func (c *Conn) reply(op opcode, payload []byte) {
	c.send.postReply(op, payload)
	c.send.tryFlush()
}

// SetPingHandler sets the function that is called with the payload of each ping,
// in the goroutine that reads. Its error ends the reading and is returned by all
// reads. If h is nil, pings are answered with pongs, which is the default. Any
// goroutine may call SetPingHandler at any time.
func (c *Conn) SetPingHandler(h func(appData string) error) {
	c.setHandlers(func(all *handlers) { all.ping = h })
}

// PingHandler returns the function that is called for pings. It is never nil.
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
// reads. If h is nil, nothing is done, which is the default. Any goroutine
// may call SetPongHandler at any time.
func (c *Conn) SetPongHandler(h func(appData string) error) {
	c.setHandlers(func(all *handlers) { all.pong = h })
}

// PongHandler returns the function that is called for pongs. It is never nil.
func (c *Conn) PongHandler() func(appData string) error {
	if h := c.handlers().pong; h != nil {
		return h
	}
	return func(string) error { return nil }
}

// SetCloseHandler sets the function that is called with the code and the reason of
// the peer's Close frame, in the goroutine that reads; the code is
// CloseNoStatusReceived if the frame had none. If h is nil, the Close frame is answered with
// one of the same code, which is the default. The read then returns the *CloseError, or the
// function's error if that is not nil. Any goroutine may call SetCloseHandler at any time.
func (c *Conn) SetCloseHandler(h func(code int, text string) error) {
	c.setHandlers(func(all *handlers) { all.close = h })
}

// CloseHandler returns the function that is called for the peer's Close frame. It is never nil.
func (c *Conn) CloseHandler() func(code int, text string) error {
	if h := c.handlers().close; h != nil {
		return h
	}
	return func(code int, _ string) error {
		c.replyClose(code)
		return nil
	}
}

// pings are the calls of Ping that wait for their pongs, in the order in which the pings were
// sent.
type pings struct {
	mu      sync.Mutex
	waiting []*ping
}

type ping struct {
	payload [16]byte      // cannot be guessed
	done    chan struct{} // closed when pong or err is set
	pong    time.Time     // when the pong was received
	err     error
}

// Ping sends a ping, waits for its pong until the context ends, and returns the time
// between the two. The write deadline does not apply. Any number of goroutines may call
// Ping, and each gets the time of its own ping. The goroutine that reads receives the
// pong: if no goroutine reads, Ping waits until the context ends.
//
// The error wraps the context's error and its cause, or it is that of the write, or that
// of the read that has ended the reading. If the context ends while the ping is being sent,
// see WriteMessageContext.
func (c *Conn) Ping(ctx context.Context) (rtt time.Duration, err error) {
	p := &ping{done: make(chan struct{})}
	rand.Read(p.payload[:]) // never fails: it crashes the program rather
	all, l := &c.ownExtras().pings, &limit{ctx: ctx}
	if _, err := c.send.lock.acquire(modeFrame, nil, l); err != nil {
		return 0, err
	}
	// While the lock is held, so that the list is in the order of the frames.
	all.add(p)
	defer all.remove(p)
	sent := time.Now()
	if c.readLock.phase() >= phaseClosed { // stopReading may have run before add
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

// received ends the wait of the ping that the pong answers, and of all pings before it:
// the peer "MAY elect to send a Pong frame for only the most recently processed Ping
// frame" (RFC 6455, 5.5.3). A pong that answers none is ignored.
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
