package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// gobwasQueued serves a connection that has a queue of frames, and a goroutine that writes them.
func gobwasQueued(nc net.Conn, serve func(q queue[[]byte], read reader), read reader) {
	q := newQueue[[]byte]()
	defer close(q)
	go gobwasWriteQueued(nc, q)
	serve(q, read)
}

// gobwasWriteQueued writes what is in the queue, until that is closed: together what has come together.
func gobwasWriteQueued(nc net.Conn, q queue[[]byte]) {
	var buf []byte
	for frame := range q {
		buf = append(buf[:0], frame...)
		for range len(q) {
			buf = append(buf, <-q...)
		}
		nc.SetWriteDeadline(writeDeadline())
		if _, err := nc.Write(buf); err != nil {
			nc.Close() // ends the reading, and so the queue
		}
	}
}

var errGobwasFragment = errors.New("a message in more than one frame")

// gobwasReader returns a function that reads messages into memory that is used again.
func gobwasReader(nc net.Conn) reader {
	e := newGobwasEchoer(nc, bufio.NewReaderSize(nc, 4<<10))
	return func() ([]byte, error) {
		_, p, err := e.message()
		return p, err
	}
}

// message reads a message of one frame, and answers the pings before it.
func (e *gobwasEchoer) message() (h ws.Header, payload []byte, err error) {
	for {
		h, err := e.read()
		if err != nil {
			return h, nil, err
		}
		payload := e.room(int(h.Length))
		switch {
		case h.OpCode == ws.OpClose:
			return h, nil, io.EOF
		case h.OpCode == ws.OpPing:
			if err := gobwasWrite(e, ws.NewPongFrame(payload)); err != nil {
				return h, nil, err
			}
		case h.OpCode == ws.OpPong:
		case !h.Fin || h.OpCode == ws.OpContinuation:
			return h, nil, errGobwasFragment
		default:
			return h, payload, nil
		}
	}
}

// gobwasWrite writes a frame with one call, which is atomic on a net.Conn.
func gobwasWrite(w io.Writer, f ws.Frame) error {
	b, err := ws.CompileFrame(f)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func gobwasChat() func(net.Listener) error {
	c := chat[[]byte]{prepare: func(p []byte) ([]byte, error) { return ws.CompileFrame(ws.NewTextFrame(p)) }}
	return onGobwas(func(nc net.Conn) { gobwasQueued(nc, c.serve, gobwasReader(nc)) })
}

func gobwasMarket() func(net.Listener) error {
	m := marketOf[[]byte]{prepare: func(p []byte) ([]byte, error) { return ws.CompileFrame(ws.NewBinaryFrame(p)) }}
	return onGobwas(func(nc net.Conn) { gobwasQueued(nc, m.serve, gobwasReader(nc)) })
}

func gobwasGame() func(net.Listener) error {
	var g game
	serve := func(q queue[[]byte], read reader) {
		g.serve(func(state []byte) { q.post(ws.MustCompileFrame(ws.NewBinaryFrame(state))) }, read)
	}
	return onGobwas(func(nc net.Conn) { gobwasQueued(nc, serve, gobwasReader(nc)) })
}

func gobwasRPC(nc net.Conn) {
	serveRPC(gobwasReader(nc), func(p []byte) error { return gobwasWrite(nc, ws.NewBinaryFrame(p)) })
}

func gobwasUpload(nc net.Conn) {
	in := bufio.NewReaderSize(nc, 4<<10)
	buf := make([]byte, uploadBuffer)
	for {
		answer, err := gobwasReceiveUpload(in, buf)
		if err != nil {
			return
		}
		if err := gobwasWrite(nc, ws.NewBinaryFrame(answer[:])); err != nil {
			return
		}
	}
}

// gobwasReceiveUpload reads a message in pieces, whatever its frames are.
func gobwasReceiveUpload(in io.Reader, buf []byte) (receipt, error) {
	sum, length := uint32(0), int64(0)
	for state := ws.StateServerSide; ; state |= ws.StateFragmented {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return receipt{}, err
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return receipt{}, err
		}
		if h.OpCode.IsControl() {
			return receipt{}, io.EOF
		}
		for pos := int64(0); pos < h.Length; {
			n, err := in.Read(buf[:min(int64(len(buf)), h.Length-pos)])
			if err != nil {
				return receipt{}, err
			}
			ws.Cipher(buf[:n], h.Mask, int(pos))
			sum = crc32.Update(sum, crc32.IEEETable, buf[:n])
			pos += int64(n)
		}
		if length += h.Length; h.Fin {
			return newReceipt(length, sum), nil
		}
	}
}

// gobwasChatDeflate compresses each message once, by compressors from a pool.
func gobwasChatDeflate() func(net.Listener) error {
	c := chat[[]byte]{prepare: gobwasCompressed}
	return perConnection(func(nc net.Conn) {
		e := wsflate.Extension{Parameters: wsflate.DefaultParameters}
		u := ws.Upgrader{Negotiate: e.Negotiate}
		if _, err := u.Upgrade(nc); err != nil {
			nc.Close()
			return
		}
		go func() { // with a fresh stack
			defer nc.Close()
			gobwasQueued(nc, c.serve, gobwasInflatedReader(nc))
		}()
	})
}

var gobwasDeflaters = sync.Pool{New: func() any {
	return wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
		c, err := flate.NewWriter(w, flate.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		return c
	})
}}

// gobwasCompressed is the frame of a compressed text message.
func gobwasCompressed(p []byte) ([]byte, error) {
	w := gobwasDeflaters.Get().(*wsflate.Writer)
	defer gobwasDeflaters.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	if _, err := w.Write(p); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	f := ws.NewTextFrame(b.Bytes())
	f.Header.Rsv = ws.Rsv(true, false, false)
	return ws.CompileFrame(f)
}

// gobwasInflater is a decompressor that wsflate can use again.
type gobwasInflater struct{ io.ReadCloser }

func (i gobwasInflater) Reset(r io.Reader) { i.ReadCloser.(flate.Resetter).Reset(r, nil) }

var gobwasInflaters = sync.Pool{New: func() any {
	return wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return gobwasInflater{flate.NewReader(r)} })
}}

// gobwasInflatedReader returns a function that reads messages, compressed or not.
func gobwasInflatedReader(nc net.Conn) reader {
	e := newGobwasEchoer(nc, bufio.NewReaderSize(nc, 4<<10))
	var b bytes.Buffer
	return func() ([]byte, error) {
		e.state |= ws.StateExtended
		h, p, err := e.message()
		if err != nil {
			return nil, err
		}
		compressed, err := wsflate.IsCompressed(h)
		if err != nil || !compressed {
			return p, err
		}
		r := gobwasInflaters.Get().(*wsflate.Reader)
		defer gobwasInflaters.Put(r)
		r.Reset(bytes.NewReader(p))
		b.Reset()
		_, err = b.ReadFrom(r)
		return b.Bytes(), err
	}
}
