package websocket

import "sync/atomic"

// handler returns the program's handler, or nil.
func handler[F any](c *Conn, which func(*extras) *atomic.Pointer[F]) *F {
	if x := c.extras.Load(); x != nil {
		return which(x).Load()
	}
	return nil
}

func pingOf(x *extras) *atomic.Pointer[func(string) error]       { return &x.ping }
func pongOf(x *extras) *atomic.Pointer[func(string) error]       { return &x.pong }
func closeOf(x *extras) *atomic.Pointer[func(int, string) error] { return &x.close }

func setHandler[F any](p *atomic.Pointer[F], h F, isDefault bool) {
	if isDefault {
		p.Store(nil)
	} else {
		p.Store(&h)
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
	setHandler(&c.ownExtras().ping, h, h == nil)
}

// PingHandler returns the function that is called for pings.
func (c *Conn) PingHandler() func(appData string) error {
	if h := handler(c, pingOf); h != nil {
		return *h
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
	setHandler(&c.ownExtras().pong, h, h == nil)
}

// PongHandler returns the function that is called for pongs.
func (c *Conn) PongHandler() func(appData string) error {
	if h := handler(c, pongOf); h != nil {
		return *h
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
	setHandler(&c.ownExtras().close, h, h == nil)
}

// CloseHandler returns the function that is called for the peer's Close frame.
func (c *Conn) CloseHandler() func(code int, text string) error {
	if h := handler(c, closeOf); h != nil {
		return *h
	}
	return func(code int, _ string) error {
		c.replyClose(code)
		return nil
	}
}
