package peers

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

var gobwas = library("gobwas/ws", "github.com/gobwas/ws")

// A gobwasEndpoint is a client, which is put together from the parts of the library.
type gobwasEndpoint struct {
	nc         net.Conn
	protocol   string
	compressed bool
	state      wsflate.MessageState // says whether the message being read is compressed
	reader     *wsutil.Reader
	control    wsutil.FrameHandlerFunc
	pong       func()
}

func dialGobwas(ctx context.Context, url, path string) (endpoint, int, error) {
	// wsflate has no context takeover.
	parameters := wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	d := ws.Dialer{Extensions: []httphead.Option{parameters.Option()}}
	if path == "subprotocol" {
		d.Protocols = offeredSubprotocols
	}
	nc, br, hs, err := d.Dial(ctx, url)
	if err != nil {
		var status ws.StatusError
		errors.As(err, &status)
		return nil, int(status), err
	}
	nc.SetDeadline(time.Now().Add(patience))
	var in io.Reader = nc
	if br != nil { // it has what was received behind the handshake
		in = br
	}
	e := &gobwasEndpoint{nc: nc, protocol: hs.Protocol, compressed: len(hs.Extensions) > 0}
	state := ws.StateClientSide
	if e.compressed {
		state |= ws.StateExtended
	}
	e.control = wsutil.ControlFrameHandler(nc, state)
	e.reader = &wsutil.Reader{
		Source: in, State: state, Extensions: []wsutil.RecvExtension{&e.state}, OnIntermediate: e.handle,
	}
	return e, 0, nil
}

// handle handles a control frame.
func (e *gobwasEndpoint) handle(h ws.Header, r io.Reader) error {
	if h.OpCode == ws.OpPong && e.pong != nil {
		e.pong()
	}
	err := e.control(h, r)
	var closed wsutil.ClosedError
	if errors.As(err, &closed) {
		err = &closedError{int(closed.Code), closed.Reason}
	}
	return err
}

func (e *gobwasEndpoint) read() (text bool, p []byte, err error) {
	for {
		h, err := e.reader.NextFrame()
		if err != nil {
			return false, nil, err
		}
		if h.OpCode.IsControl() {
			if err := e.handle(h, e.reader); err != nil {
				return false, nil, err
			}
			continue
		}
		var in io.Reader = e.reader
		if e.state.IsCompressed() {
			in = wsflate.NewReader(in, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
		}
		p, err = io.ReadAll(in)
		return h.OpCode == ws.OpText, p, err
	}
}

func gobwasOpcode(text bool) ws.OpCode {
	if text {
		return ws.OpText
	}
	return ws.OpBinary
}

// writeFrame sends a frame with a masking key.
func (e *gobwasEndpoint) writeFrame(f ws.Frame) error {
	return ws.WriteFrame(e.nc, ws.MaskFrame(f))
}

func (e *gobwasEndpoint) write(text bool, p []byte) error {
	f := ws.NewFrame(gobwasOpcode(text), true, bytes.Clone(p))
	if e.compressed {
		var err error
		if f, err = wsflate.CompressFrame(f); err != nil {
			return err
		}
	}
	return e.writeFrame(f)
}

func (e *gobwasEndpoint) writeParts(text bool, parts [][]byte) error {
	opcode := gobwasOpcode(text)
	for i, p := range parts {
		if err := e.writeFrame(ws.NewFrame(opcode, i == len(parts)-1, p)); err != nil {
			return err
		}
		opcode = ws.OpContinuation
	}
	return nil
}

func (e *gobwasEndpoint) ping(pong func()) error {
	e.pong = pong
	return e.writeFrame(ws.NewPingFrame([]byte("from the peer")))
}

func (e *gobwasEndpoint) shutdown(code int, reason string) error {
	err := e.writeFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
	if err != nil {
		return err
	}
	var closed *closedError
	if _, _, err = e.read(); errors.As(err, &closed) && closed.code == code {
		return nil
	}
	return err
}

func (e *gobwasEndpoint) subprotocol() string { return e.protocol }
func (e *gobwasEndpoint) close()              { e.nc.Close() }
