package main

import (
	"bytes"
	"net"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

var libFasthttp = &library{
	name:   "fasthttp",
	about:  "gorilla's code on a fasthttp.Server, used as gorilla is",
	module: "github.com/fasthttp/websocket",
	servers: servers{
		patternEcho:      onFasthttp(&websocket.FastHTTPUpgrader{}, fasthttpEcho),
		patternIdle:      onFasthttp(&websocket.FastHTTPUpgrader{}, fasthttpEcho),
		patternHandshake: onFasthttp(&websocket.FastHTTPUpgrader{}, fasthttpEcho),
		patternDeflate:   onFasthttp(&websocket.FastHTTPUpgrader{EnableCompression: true}, fasthttpEcho),
		patternBroadcast: onFasthttp(&websocket.FastHTTPUpgrader{}, fasthttpBroadcast()),
		patternContended: onFasthttp(&websocket.FastHTTPUpgrader{}, fasthttpContended),
	},
}

func onFasthttp(u *websocket.FastHTTPUpgrader, serve func(*websocket.Conn)) func(net.Listener) error {
	return func(ln net.Listener) error {
		return fasthttp.Serve(ln, func(ctx *fasthttp.RequestCtx) {
			u.Upgrade(ctx, serve) // which answers with an error where it returns one
		})
	}
}

func fasthttpEcho(c *websocket.Conn) {
	var b bytes.Buffer
	for {
		messageType, r, err := c.NextReader()
		if err != nil {
			return
		}
		b.Reset()
		if _, err := b.ReadFrom(r); err != nil {
			return
		}
		if err := c.WriteMessage(messageType, b.Bytes()); err != nil {
			return
		}
	}
}

func fasthttpBroadcast() func(*websocket.Conn) {
	var all room[*websocket.Conn]
	return func(c *websocket.Conn) {
		all.join(c)
		defer all.leave(c)
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			m, err := websocket.NewPreparedMessage(messageType, p)
			if err != nil {
				return
			}
			all.each(func(c *websocket.Conn) error { return c.WritePreparedMessage(m) })
		}
	}
}

func fasthttpContended(c *websocket.Conn) {
	if _, _, err := c.ReadMessage(); err != nil {
		return
	}
	p := make([]byte, contendedSize)
	contend(locked(func() error { return c.WriteMessage(websocket.BinaryMessage, p) }))
}
