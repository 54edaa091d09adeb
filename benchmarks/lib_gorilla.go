package main

import (
	"bytes"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

const gorillaModule = "github.com/gorilla/websocket"

var libGorilla = &library{
	name:     "gorilla",
	about:    "NextReader into a buffer that is used again, and WriteMessage; buffers of 4 KiB from net/http",
	module:   gorillaModule,
	services: "PreparedMessage for the chat and the market, one goroutine for each queue and one that reads, NextReader into a buffer that is used again; a mutex around the WriteMessage of RPC; uploads by NextReader",
	servers: withHandlers(servers{
		patternEcho:        onHTTP(gorillaEcho(&websocket.Upgrader{})),
		patternIdle:        onHTTP(gorillaEcho(&websocket.Upgrader{})),
		patternHandshake:   onHTTP(gorillaEcho(&websocket.Upgrader{})),
		patternDeflate:     onHTTP(gorillaEcho(&websocket.Upgrader{EnableCompression: true})),
		patternBroadcast:   onHTTP(gorillaBroadcast()),
		patternContended:   onHTTP(gorillaContended()),
		patternChat:        onHTTP(gorillaChat(&websocket.Upgrader{})),
		patternChatDeflate: onHTTP(gorillaChat(&websocket.Upgrader{EnableCompression: true})),
		patternMarket:      onHTTP(gorillaMarket()),
		patternGame:        onHTTP(gorillaGame()),
		patternRPC:         onHTTP(gorillaRPC()),
		patternUpload:      onHTTP(gorillaUpload()),
	}, func(serve func(messages)) func(net.Listener) error {
		return onHTTP(func(w http.ResponseWriter, r *http.Request) {
			c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer c.Close()
			serve(c)
		})
	}),
}

var libGorillaLean = &library{
	name:    "gorilla-lean",
	about:   "the handler returns and a goroutine reads; ReadBufferSize 256, a WriteBufferPool, ReadMessage",
	module:  gorillaModule,
	servers: servers{patternIdle: onHTTP(gorillaIdle())},
}

func gorillaEcho(u *websocket.Upgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
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
}

func gorillaIdle() http.HandlerFunc {
	u := websocket.Upgrader{ReadBufferSize: 256, WriteBufferSize: 4 << 10, WriteBufferPool: new(sync.Pool)}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		go gorillaRead(c)
	}
}

func gorillaRead(c *websocket.Conn) {
	defer c.Close()
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			return
		}
	}
}

// gorillaHandler serves connections in the handler, and closes them afterwards.
func gorillaHandler(serve func(c *websocket.Conn)) http.HandlerFunc {
	var u websocket.Upgrader
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		serve(c)
	}
}

func gorillaBroadcast() http.HandlerFunc {
	var all room[*websocket.Conn]
	return gorillaHandler(func(c *websocket.Conn) {
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
	})
}

func gorillaContended() http.HandlerFunc {
	return gorillaHandler(func(c *websocket.Conn) {
		if _, _, err := c.ReadMessage(); err != nil {
			return
		}
		p := make([]byte, contendedSize)
		contend(locked(func() error { return c.WriteMessage(websocket.BinaryMessage, p) }))
	})
}
