package websocket

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
