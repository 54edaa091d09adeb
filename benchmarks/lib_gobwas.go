package main

import (
	"bufio"
	"io"
	"net"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

const gobwasModule = "github.com/gobwas/ws"

var libGobwas = &library{
	name:     "gobwas",
	about:    "the low level: ws.Upgrader on a net.Listener; a 4 KiB reader, ws.ReadHeader, ws.Cipher, and header and payload in one write, with buffers that are used again; no buffer where connections idle",
	module:   gobwasModule,
	services: "the low level: frames compiled once for all connections, one goroutine for each queue, which writes together what has come together; one write in the goroutine of each RPC request; compressed once, by compressors from a pool; uploads in pieces of 64 KiB",
	servers: servers{
		patternEcho:        onGobwas(gobwasEcho),
		patternIdle:        onGobwas(gobwasIdle),
		patternHandshake:   onGobwas(gobwasIdle),
		patternDeflate:     perConnection(gobwasDeflate),
		patternBroadcast:   gobwasBroadcast(),
		patternContended:   onGobwas(gobwasContended),
		patternChat:        gobwasChat(),
		patternChatDeflate: gobwasChatDeflate(),
		patternMarket:      gobwasMarket(),
		patternGame:        gobwasGame(),
		patternRPC:         onGobwas(gobwasRPC),
		patternUpload:      onGobwas(gobwasUpload),
	},
}

var libGobwasWsutil = &library{
	name:    "gobwas-wsutil",
	about:   "wsutil.ReadClientData and wsutil.WriteServerMessage",
	module:  gobwasModule,
	servers: servers{patternEcho: onGobwas(gobwasWsutilEcho)},
}

// onGobwas is a server that hands each connection to serve after the handshake.
func onGobwas(serve func(net.Conn)) func(net.Listener) error {
	return perConnection(func(nc net.Conn) {
		if _, err := ws.Upgrade(nc); err != nil {
			nc.Close()
			return
		}
		go func() { // with a fresh stack
			defer nc.Close()
			serve(nc)
		}()
	})
}

func gobwasEcho(nc net.Conn) {
	newGobwasEchoer(nc, bufio.NewReaderSize(nc, 4<<10)).run()
}

// gobwasIdle reads from the connection itself.
func gobwasIdle(nc net.Conn) { newGobwasEchoer(nc, nc).run() }

// gobwasEchoer echoes frame by frame, and so messages.
type gobwasEchoer struct {
	net.Conn
	in     io.Reader
	state  ws.State
	header [ws.MaxHeaderSize]byte // as it comes
	buf    []byte                 // room for a header, and the payload
	out    sliceWriter
}

func newGobwasEchoer(nc net.Conn, in io.Reader) *gobwasEchoer {
	return &gobwasEchoer{Conn: nc, in: in, state: ws.StateServerSide}
}

func (e *gobwasEchoer) run() {
	for {
		h, err := e.read()
		if err != nil || h.OpCode == ws.OpClose {
			return
		}
		h.Masked, h.Mask = false, [4]byte{}
		if e.write(h) != nil {
			return
		}
	}
}

// read reads a frame, whose payload is in the buffer then.
func (e *gobwasEchoer) read() (ws.Header, error) {
	h, err := ws.ReadHeaderBuffer(e.in, e.header[:])
	if err != nil {
		return h, err
	}
	if err := ws.CheckHeader(h, e.state); err != nil {
		return h, err
	}
	if h.OpCode.IsData() {
		e.state = ws.StateServerSide
		if !h.Fin {
			e.state |= ws.StateFragmented
		}
	}
	payload := e.room(int(h.Length))
	if _, err := io.ReadFull(e.in, payload); err != nil {
		return h, err
	}
	ws.Cipher(payload, h.Mask, 0)
	return h, nil
}

// room is the place of the payload.
func (e *gobwasEchoer) room(length int) []byte {
	if need := ws.MaxHeaderSize + length; need > len(e.buf) {
		e.buf = make([]byte, need)
	}
	return e.buf[ws.MaxHeaderSize:][:length]
}

// write sends a frame with the payload that is in the buffer.
func (e *gobwasEchoer) write(h ws.Header) error {
	first := ws.MaxHeaderSize - ws.HeaderSize(h)
	e.out.b = e.buf[first:first]
	if err := ws.WriteHeader(&e.out, h); err != nil {
		return err
	}
	_, err := e.Write(e.buf[first : ws.MaxHeaderSize+int(h.Length)])
	return err
}

// sliceWriter appends to a slice.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func gobwasWsutilEcho(nc net.Conn) {
	for {
		p, opcode, err := wsutil.ReadClientData(nc)
		if err != nil {
			return
		}
		if err := wsutil.WriteServerMessage(nc, opcode, p); err != nil {
			return
		}
	}
}

func gobwasBroadcast() func(net.Listener) error {
	var all room[net.Conn]
	return onGobwas(func(nc net.Conn) {
		all.join(nc)
		defer all.leave(nc)
		for {
			p, opcode, err := wsutil.ReadClientData(nc)
			if err != nil {
				return
			}
			frame, err := ws.CompileFrame(ws.NewFrame(opcode, true, p))
			if err != nil {
				return
			}
			all.each(func(nc net.Conn) error { _, err := nc.Write(frame); return err })
		}
	})
}

// gobwasContended writes each frame with one call, which is atomic on a net.Conn.
func gobwasContended(nc net.Conn) {
	if _, _, err := wsutil.ReadClientData(nc); err != nil {
		return
	}
	p := make([]byte, contendedSize)
	contend(func() error {
		frame, err := ws.CompileFrame(ws.NewBinaryFrame(p))
		if err != nil {
			return err
		}
		_, err = nc.Write(frame)
		return err
	})
}

// gobwasDeflate is as the example in gobwas's README has it.
func gobwasDeflate(nc net.Conn) {
	defer nc.Close()
	e := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	u := ws.Upgrader{Negotiate: e.Negotiate}
	if _, err := u.Upgrade(nc); err != nil {
		return
	}
	in := bufio.NewReaderSize(nc, 4<<10)
	for {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return
		}
		frame := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
		if _, err := io.ReadFull(in, frame.Payload); err != nil {
			return
		}
		frame = ws.UnmaskFrameInPlace(frame)
		if frame, err = wsflate.DecompressFrame(frame); err != nil {
			return
		}
		if frame, err = wsflate.CompressFrame(ws.NewFrame(frame.Header.OpCode, true, frame.Payload)); err != nil {
			return
		}
		b, err := ws.CompileFrame(frame)
		if err != nil {
			return
		}
		if _, err := nc.Write(b); err != nil {
			return
		}
	}
}
