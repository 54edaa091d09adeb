package transcripts

import (
	"compress/flate"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// gobwas is used as in its example that is run by the Autobahn testsuite: a wsutil.Reader
// that checks headers and text, with a wsutil.ControlFrameHandler. Sending a Close frame when
// a read fails is left to the application, which here does it with the code for the error.
var gobwas = &library{
	name: "gobwas/ws",
	serve: func(w http.ResponseWriter, r *http.Request, s settings) (outcome, error) {
		e := wsflate.Extension{Parameters: gobwasParameters}
		u := ws.HTTPUpgrader{}
		if s.compress {
			u.Negotiate = e.Negotiate
		}
		nc, rw, _, err := u.Upgrade(r, w)
		if err != nil {
			return outcome{}, err
		}
		return readGobwas(nc, rw.Reader, ws.StateServerSide, s), nil
	},
	dial: func(url string, s settings) (outcome, error) {
		var d ws.Dialer
		if s.compress {
			d.Extensions = []httphead.Option{gobwasParameters.Option()}
		}
		nc, br, _, err := d.Dial(context.Background(), url)
		if err != nil {
			return outcome{}, err
		}
		var r io.Reader = nc
		if br != nil { // it has bytes behind the handshake
			r = br
		}
		return readGobwas(nc, r, ws.StateClientSide, s), nil
	},
}

// gobwasParameters are those of wsflate, which has no context takeover.
var gobwasParameters = wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}

// endedReader notes the end of the stream, which looks like the end of a compressed message.
type endedReader struct {
	io.Reader
	ended bool
}

func (r *endedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.ended = r.ended || err == io.EOF
	return n, err
}

func readGobwas(nc net.Conn, r io.Reader, state ws.State, s settings) (o outcome) {
	defer nc.Close()
	src := &endedReader{Reader: r}
	control := wsutil.ControlFrameHandler(nc, state)
	closing := false
	handle := func(h ws.Header, r io.Reader) error {
		closing = closing || h.OpCode == ws.OpClose
		return control(h, r)
	}
	rd := &wsutil.Reader{Source: src, State: state, CheckUTF8: !s.compress, OnIntermediate: handle}
	if s.limit > 0 {
		rd.MaxFrameSize, rd.MaxMessageSize = s.limit, s.limit
	}
	var compressed wsflate.MessageState
	if s.compress {
		rd.State = rd.State.Set(ws.StateExtended)
		rd.Extensions = []wsutil.RecvExtension{&compressed}
	}
	for o.err == nil {
		var m message
		var ok bool
		if m, ok, o.err = nextGobwas(rd, handle, &compressed, s); ok {
			o.messages = append(o.messages, m)
		}
	}

	o.end = endFails
	var closed wsutil.ClosedError
	switch {
	case errors.As(o.err, &closed):
		o.end = endClose(int(closed.Code), closed.Reason)
	case src.ended && (errors.Is(o.err, io.EOF) || errors.Is(o.err, io.ErrUnexpectedEOF)):
		o.end = endWaits
	case !closing: // the handler of Close frames has not answered
		f := ws.NewCloseFrame(ws.NewCloseFrameBody(gobwasCode(o.err), ""))
		if state.ClientSide() {
			f = ws.MaskFrameInPlace(f)
		}
		ws.WriteFrame(nc, f)
	}
	return o
}

// gobwasCode returns the code for an error of a read.
func gobwasCode(err error) ws.StatusCode {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, wsutil.ErrInvalidUTF8), errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		return ws.StatusInvalidFramePayloadData
	case errors.Is(err, wsutil.ErrFrameTooLarge), errors.Is(err, wsutil.ErrMessageTooLarge):
		return ws.StatusMessageTooBig
	}
	return ws.StatusProtocolError
}

// nextGobwas reads a message, or handles a control frame, for which ok is false.
func nextGobwas(rd *wsutil.Reader, handle wsutil.FrameHandlerFunc, compressed *wsflate.MessageState, s settings) (m message, ok bool, err error) {
	h, err := rd.NextFrame()
	if err != nil {
		return m, false, err
	}
	if h.OpCode.IsControl() {
		return m, false, handle(h, rd)
	}
	src := io.Reader(rd)
	if compressed.IsCompressed() {
		src = wsflate.NewReader(rd, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
	}
	var text *wsutil.UTF8Reader
	if s.compress && h.OpCode == ws.OpText { // or else rd does it
		text = wsutil.NewUTF8Reader(src)
		src = text
	}
	p, err := io.ReadAll(src)
	if err == nil && text != nil && !text.Valid() {
		err = wsutil.ErrInvalidUTF8
	}
	return message{binary: h.OpCode == ws.OpBinary, data: string(p)}, err == nil, err
}
