package main

import (
	"bytes"
	"io"
	"net"
	"net/http"

	"github.com/switching-protocols/websocket"
)

const websocketModule = "github.com/switching-protocols/websocket"

var libWebsocket = &library{
	name:     "websocket",
	about:    "this library: Upgrader.HandlerFunc; AppendMessage into one slice per connection and WriteMessage; ReadMessage where connections idle",
	module:   websocketModule,
	services: "PreparedMessage for the chat and the market, one goroutine for each queue, which writes together what has come together (Cork and Flush), AppendMessage; WriteMessage in the goroutine of each RPC request; uploads by NextReader",
	servers: withHandlers(servers{
		patternEcho:        onHTTP(websocketAppend(&websocket.Upgrader{})),
		patternIdle:        onHTTP(websocketRead(&websocket.Upgrader{})),
		patternHandshake:   onHTTP(websocketRead(&websocket.Upgrader{})),
		patternDeflate:     onHTTP(websocketAppend(&websocket.Upgrader{EnableCompression: true})),
		patternBroadcast:   onHTTP(websocketBroadcast()),
		patternContended:   onHTTP(websocketContended()),
		patternChat:        onHTTP(websocketChat(&websocket.Upgrader{})),
		patternChatDeflate: onHTTP(websocketChat(&websocket.Upgrader{EnableCompression: true})),
		patternMarket:      onHTTP(websocketMarket()),
		patternGame:        onHTTP(websocketGame()),
		patternRPC:         onHTTP(websocketRPC()),
		patternUpload:      onHTTP(websocketUpload()),
	}, func(serve func(messages)) func(net.Listener) error {
		return onHTTP(new(websocket.Upgrader).HandlerFunc(func(c *websocket.Conn, _ *http.Request) { serve(c) }))
	}),
}

var libReadMessage = &library{
	name:    "websocket-readmessage",
	about:   "this library: ReadMessage and WriteMessage",
	module:  websocketModule,
	servers: servers{patternEcho: onHTTP(websocketRead(&websocket.Upgrader{}))},
}

var libNextReader = &library{
	name:    "websocket-nextreader",
	about:   "this library: NextReader into a buffer that is used again, and WriteMessage",
	module:  websocketModule,
	servers: servers{patternEcho: onHTTP(websocketNextReader(&websocket.Upgrader{}))},
}

var libStream = &library{
	name:    "websocket-stream",
	about:   "this library: io.Copy from NextReader to NextWriter, which never has the whole message",
	module:  websocketModule,
	servers: servers{patternEcho: onHTTP(websocketStream(&websocket.Upgrader{}))},
}

func websocketAppend(u *websocket.Upgrader) http.HandlerFunc {
	return u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		var buf []byte
		for {
			messageType, p, err := c.AppendMessage(buf[:0])
			if err != nil {
				return
			}
			buf = p
			if err := c.WriteMessage(messageType, p); err != nil {
				return
			}
		}
	})
}

func websocketRead(u *websocket.Upgrader) http.HandlerFunc {
	return u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			if err := c.WriteMessage(messageType, p); err != nil {
				return
			}
		}
	})
}

func websocketNextReader(u *websocket.Upgrader) http.HandlerFunc {
	return u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
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
	})
}

func websocketStream(u *websocket.Upgrader) http.HandlerFunc {
	return u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		for {
			messageType, r, err := c.NextReader()
			if err != nil {
				return
			}
			w, err := c.NextWriter(messageType)
			if err != nil {
				return
			}
			if _, err := io.Copy(w, r); err != nil {
				return
			}
			if err := w.Close(); err != nil {
				return
			}
		}
	})
}

func websocketBroadcast() http.HandlerFunc {
	var u websocket.Upgrader
	var all room[*websocket.Conn]
	return u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
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

func websocketContended() http.HandlerFunc {
	var u websocket.Upgrader
	return u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		if _, _, err := c.ReadMessage(); err != nil {
			return
		}
		p := make([]byte, contendedSize)
		contend(func() error { return c.WriteMessage(websocket.BinaryMessage, p) })
	})
}
