package main

import (
	"hash/crc32"
	"sync/atomic"

	"github.com/lxzan/gws"
)

// gwsMember is a connection with the queue that gws has for it, and which has no bound: the messages are counted.
type gwsMember struct {
	conn   *gws.Conn
	queued atomic.Int32
	sent   func() // counts a message that is not queued any more
}

const gwsSession = "member"

func newGwsMember(c *gws.Conn) *gwsMember {
	m := &gwsMember{conn: c}
	m.sent = func() { m.queued.Add(-1) }
	return m
}

// enter reports whether there is room for a message in the queue, and counts it.
func (m *gwsMember) enter() bool {
	if m.queued.Load() >= queueLength {
		return false
	}
	m.queued.Add(1)
	return true
}

// post adds the message to the queue, or skips it if the queue is full.
func (m *gwsMember) post(b *gws.Broadcaster) {
	if !m.enter() {
		return
	}
	m.conn.SetWriteDeadline(writeDeadline())
	b.Broadcast(m.conn)
	m.conn.Async(m.sent) // behind the message
}

// gwsBroadcastTo queues a message for all in the room.
func gwsBroadcastTo(in *room[*gwsMember], opcode gws.Opcode, p []byte) {
	b := gws.NewBroadcaster(opcode, p)
	defer b.Close()
	in.each(func(m *gwsMember) error {
		m.post(b)
		return nil
	})
}

// gwsChat is the chat.
type gwsChat struct {
	gws.BuiltinEventHandler
	rooms rooms[*gwsMember]
}

// gwsSeat is a member of the chat in its room.
type gwsSeat struct {
	*gwsMember
	in *room[*gwsMember]
}

func (h *gwsChat) OnOpen(c *gws.Conn) {
	m := newGwsMember(c)
	in, _ := h.rooms.join(m, chatRoom)
	c.Session().Store(gwsSession, gwsSeat{m, in})
}

func (h *gwsChat) OnClose(c *gws.Conn, _ error) {
	if seat, ok := gwsStored[gwsSeat](c); ok {
		seat.in.leave(seat.gwsMember)
	}
}

func (h *gwsChat) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	seat, _ := gwsStored[gwsSeat](c)
	p, err := forwarded(m.Bytes())
	if err != nil {
		c.WriteClose(1007, nil)
		return
	}
	gwsBroadcastTo(seat.in, gws.OpcodeText, p)
}

// gwsStored is what the connection's session has.
func gwsStored[T any](c *gws.Conn) (v T, ok bool) {
	stored, _ := c.Session().Load(gwsSession)
	v, ok = stored.(T)
	return v, ok
}

type gwsMarket struct {
	gws.BuiltinEventHandler
	market
	readers room[*gwsMember]
}

func (h *gwsMarket) OnOpen(c *gws.Conn) {
	m := newGwsMember(c)
	c.Session().Store(gwsSession, m)
	h.readers.join(m)
}

func (h *gwsMarket) OnClose(c *gws.Conn, _ error) {
	if m, ok := gwsStored[*gwsMember](c); ok {
		h.readers.leave(m)
	}
}

func (h *gwsMarket) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	h.receive(m.Bytes(), func(p []byte) { gwsBroadcastTo(&h.readers, gws.OpcodeBinary, p) })
}

type gwsGame struct {
	gws.BuiltinEventHandler
	game
}

// gwsPlayer is a player, and how it leaves.
type gwsPlayer struct {
	*player
	leave func()
}

func (h *gwsGame) OnOpen(c *gws.Conn) {
	m := newGwsMember(c)
	sent := func(error) { m.queued.Add(-1) }
	p, leave := h.join(func(state []byte) {
		if m.enter() {
			c.SetWriteDeadline(writeDeadline())
			c.WriteAsync(gws.OpcodeBinary, state, sent)
		}
	})
	c.Session().Store(gwsSession, gwsPlayer{p, leave})
}

func (h *gwsGame) OnClose(c *gws.Conn, _ error) {
	if p, ok := gwsStored[gwsPlayer](c); ok {
		p.leave()
	}
}

func (h *gwsGame) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if p, ok := gwsStored[gwsPlayer](c); ok {
		p.receive(m.Bytes())
	}
}

type gwsRPC struct{ gws.BuiltinEventHandler }

func (gwsRPC) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	id, ok := rpcID(m.Bytes())
	if !ok {
		c.WriteClose(1003, nil)
		return
	}
	go func() { c.WriteMessage(gws.OpcodeBinary, handleRPC(id)[:]) }()
}

type gwsUpload struct{ gws.BuiltinEventHandler }

func (gwsUpload) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	answer := newReceipt(int64(m.Data.Len()), crc32.ChecksumIEEE(m.Bytes()))
	c.WriteMessage(gws.OpcodeBinary, answer[:])
}

// gwsSmall compresses small messages, too.
func gwsSmall() *gws.ServerOption {
	o := gwsDeflate()
	o.PermessageDeflate.Threshold = 1
	return o
}
