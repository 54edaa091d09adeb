package main

import (
	"net"
	"net/http"

	"github.com/lxzan/gws"
)

var libGws = &library{
	name:     "gws",
	about:    "OnMessage and WriteMessage, ReadLoop in a goroutine of its own, one message at a time, UTF-8 checked; a Broadcaster for broadcasts",
	module:   "github.com/lxzan/gws",
	services: "its own queues: Broadcaster for the chat and the market, WriteAsync for the game; WriteMessage in the goroutine of each RPC request; uploads as whole messages; messages of all sizes compressed",
	servers: servers{
		patternEcho:        onGws(gwsOption(), gwsEcho{}),
		patternIdle:        onGws(gwsOption(), gwsEcho{}),
		patternHandshake:   onGws(gwsOption(), gwsEcho{}),
		patternDeflate:     onGws(gwsDeflate(), gwsEcho{}),
		patternBroadcast:   onGws(gwsOption(), new(gwsBroadcast)),
		patternContended:   onGws(gwsOption(), gwsContended{}),
		patternChat:        onGws(gwsOption(), new(gwsChat)),
		patternChatDeflate: onGws(gwsSmall(), new(gwsChat)),
		patternMarket:      onGws(gwsOption(), new(gwsMarket)),
		patternGame:        onGws(gwsOption(), new(gwsGame)),
		patternRPC:         onGws(gwsOption(), gwsRPC{}),
		patternUpload:      onGws(gwsOption(), gwsUpload{}),
	},
}

func gwsOption() *gws.ServerOption { return &gws.ServerOption{CheckUtf8Enabled: true} }

func gwsDeflate() *gws.ServerOption {
	o := gwsOption()
	o.PermessageDeflate = gws.PermessageDeflate{Enabled: true}
	return o
}

func onGws(option *gws.ServerOption, events gws.Event) func(net.Listener) error {
	u := gws.NewUpgrader(events, option)
	return onHTTP(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r)
		if err != nil {
			return
		}
		go c.ReadLoop()
	})
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.WriteMessage(m.Opcode, m.Bytes()) // where it fails, OnClose is called
}

// OnPing answers a ping: gws leaves that to the program.
func (gwsEcho) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

type gwsBroadcast struct {
	gws.BuiltinEventHandler
	all room[*gws.Conn]
}

func (b *gwsBroadcast) OnOpen(c *gws.Conn)           { b.all.join(c) }
func (b *gwsBroadcast) OnClose(c *gws.Conn, _ error) { b.all.leave(c) }

func (b *gwsBroadcast) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	message := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer message.Close()
	b.all.each(message.Broadcast)
}

type gwsContended struct{ gws.BuiltinEventHandler }

func (gwsContended) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	p := make([]byte, contendedSize)
	contend(func() error { return c.WriteMessage(gws.OpcodeBinary, p) })
}
