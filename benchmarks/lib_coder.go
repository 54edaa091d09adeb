package main

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coder/websocket"
)

var libCoder = &library{
	name:     "coder",
	about:    "Reader into a buffer that is used again, and Write; no read limit",
	module:   "github.com/coder/websocket",
	services: "Write with a timeout, one goroutine for each queue, Reader into a buffer that is used again; Write in the goroutine of each RPC request; uploads by Reader; messages of all sizes compressed",
	servers: servers{
		patternEcho:        onHTTP(coderEcho(nil)),
		patternIdle:        onHTTP(coderEcho(nil)),
		patternHandshake:   onHTTP(coderEcho(nil)),
		patternDeflate:     onHTTP(coderEcho(&websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover})),
		patternBroadcast:   onHTTP(coderBroadcast()),
		patternContended:   onHTTP(coderContended()),
		patternChat:        onHTTP(coderChat(nil)),
		patternChatDeflate: onHTTP(coderChat(&websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1})),
		patternMarket:      onHTTP(coderMarket()),
		patternGame:        onHTTP(coderGame()),
		patternRPC:         onHTTP(coderRPC()),
		patternUpload:      onHTTP(coderUpload()),
	},
}

func coderEcho(o *websocket.AcceptOptions) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, o)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		ctx := context.Background()
		var b bytes.Buffer
		for {
			messageType, r, err := c.Reader(ctx)
			if err != nil {
				return
			}
			b.Reset()
			if _, err := b.ReadFrom(r); err != nil {
				return
			}
			if err := c.Write(ctx, messageType, b.Bytes()); err != nil {
				return
			}
		}
	}
}

func coderBroadcast() http.HandlerFunc {
	var all room[*websocket.Conn]
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		all.join(c)
		defer all.leave(c)
		ctx := context.Background()
		for {
			messageType, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			all.each(func(c *websocket.Conn) error { return c.Write(ctx, messageType, p) })
		}
	}
}

func coderContended() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx := context.Background()
		if _, _, err := c.Read(ctx); err != nil {
			return
		}
		p := make([]byte, contendedSize)
		contend(func() error { return c.Write(ctx, websocket.MessageBinary, p) })
	}
}
