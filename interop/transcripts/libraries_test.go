package transcripts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	"github.com/switching-protocols/websocket"
)

var libraries = []*library{ours, gorillas, coders, gobwas, gwss}

var ours = &library{
	name: "this library",
	serve: func(w http.ResponseWriter, r *http.Request, s settings) (outcome, error) {
		u := websocket.Upgrader{
			ReadLimit: s.limit, EnableCompression: s.compress,
			Compression: websocket.CompressionOptions{ContextTakeover: s.takeover},
		}
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return outcome{}, err
		}
		return readOurs(c), nil
	},
	dial: func(url string, s settings) (outcome, error) {
		d := websocket.Dialer{
			ReadLimit: s.limit, EnableCompression: s.compress,
			Compression: websocket.CompressionOptions{ContextTakeover: s.takeover},
		}
		c, _, err := d.Dial(url, nil)
		if err != nil {
			return outcome{}, err
		}
		return readOurs(c), nil
	},
}

func readOurs(c *websocket.Conn) (o outcome) {
	defer c.Close()
	for {
		messageType, p, err := c.ReadMessage()
		if err == nil {
			o.messages = append(o.messages, message{binary: messageType == websocket.BinaryMessage, data: string(p)})
			continue
		}
		o.end, o.err = endFails, err
		if closed := new(websocket.CloseError); errors.As(err, &closed) {
			o.end = endClose(closed.Code, closed.Text)
			if closed.Code == websocket.CloseAbnormalClosure {
				o.end = endWaits
			}
		}
		return o
	}
}

var gorillas = &library{
	name: "gorilla/websocket",
	serve: func(w http.ResponseWriter, r *http.Request, s settings) (outcome, error) {
		u := gorilla.Upgrader{EnableCompression: s.compress}
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return outcome{}, err
		}
		return readGorilla(c, s), nil
	},
	dial: func(url string, s settings) (outcome, error) {
		d := gorilla.Dialer{EnableCompression: s.compress}
		c, _, err := d.Dial(url, nil)
		if err != nil {
			return outcome{}, err
		}
		return readGorilla(c, s), nil
	},
}

func readGorilla(c *gorilla.Conn, s settings) (o outcome) {
	defer c.Close()
	c.SetReadLimit(max(0, s.limit)) // 0 is none
	for {
		messageType, p, err := c.ReadMessage()
		if err == nil {
			o.messages = append(o.messages, message{binary: messageType == gorilla.BinaryMessage, data: string(p)})
			continue
		}
		o.end, o.err = endFails, err
		if closed := new(gorilla.CloseError); errors.As(err, &closed) {
			o.end = endClose(closed.Code, closed.Text)
			if closed.Code == gorilla.CloseAbnormalClosure {
				o.end = endWaits
			}
		}
		return o
	}
}

var coders = &library{
	name: "coder/websocket",
	serve: func(w http.ResponseWriter, r *http.Request, s settings) (outcome, error) {
		c, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: coderMode(s)})
		if err != nil {
			return outcome{}, err
		}
		return readCoder(c, s), nil
	},
	dial: func(url string, s settings) (outcome, error) {
		c, _, err := coder.Dial(context.Background(), url, &coder.DialOptions{CompressionMode: coderMode(s)})
		if err != nil {
			return outcome{}, err
		}
		return readCoder(c, s), nil
	},
}

func coderMode(s settings) coder.CompressionMode {
	switch {
	case s.takeover:
		return coder.CompressionContextTakeover
	case s.compress:
		return coder.CompressionNoContextTakeover
	}
	return coder.CompressionDisabled
}

func readCoder(c *coder.Conn, s settings) (o outcome) {
	defer c.CloseNow()
	c.SetReadLimit(s.limit)
	for {
		messageType, p, err := c.Read(context.Background())
		if err == nil {
			o.messages = append(o.messages, message{binary: messageType == coder.MessageBinary, data: string(p)})
			continue
		}
		o.end, o.err = endFails, err
		var closed coder.CloseError
		switch {
		case errors.As(err, &closed):
			o.end = endClose(int(closed.Code), closed.Reason)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			o.end = endWaits
		case strings.Contains(err.Error(), "previous message not read to completion"):
			// The end of the stream was taken for the end of the message that was returned.
			o.end = endWaits
		}
		return o
	}
}

var gwss = &library{
	name: "gws",
	serve: func(w http.ResponseWriter, r *http.Request, s settings) (o outcome, err error) {
		c, err := gws.NewUpgrader(&gwsHandler{o: &o}, &gws.ServerOption{
			ReadMaxPayloadSize: gwsLimit(s), CheckUtf8Enabled: true, PermessageDeflate: gwsDeflate(s),
		}).Upgrade(w, r)
		if err == nil {
			readGws(c, &o)
		}
		return o, err
	},
	dial: func(url string, s settings) (o outcome, err error) {
		c, _, err := gws.NewClient(&gwsHandler{o: &o}, &gws.ClientOption{
			Addr: url, ReadMaxPayloadSize: gwsLimit(s), CheckUtf8Enabled: true, PermessageDeflate: gwsDeflate(s),
		})
		if err == nil {
			readGws(c, &o)
		}
		return o, err
	},
}

func readGws(c *gws.Conn, o *outcome) {
	defer func() {
		if p := recover(); p != nil { // the process would end
			c.NetConn().Close()
			o.end, o.err = endPanics, fmt.Errorf("panic: %v", p)
		}
	}()
	c.ReadLoop()
}

// gwsLimit is the read limit. gws has always one, which is 16 MiB where none is set.
func gwsLimit(s settings) int { return int(min(max(0, s.limit), math.MaxInt32)) }

func gwsDeflate(s settings) gws.PermessageDeflate {
	return gws.PermessageDeflate{
		Enabled: s.compress, ServerContextTakeover: s.takeover, ClientContextTakeover: s.takeover,
		ServerMaxWindowBits: 15, ClientMaxWindowBits: 15,
	}
}

// gwsHandler is the application of gws, which calls it from its ReadLoop.
type gwsHandler struct {
	gws.BuiltinEventHandler
	o *outcome
}

// OnPing answers a ping. gws leaves this to the application; what it does by default is a
// pong without the payload.
func (h *gwsHandler) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

func (h *gwsHandler) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	h.o.messages = append(h.o.messages, message{binary: m.Opcode == gws.OpcodeBinary, data: string(m.Bytes())})
}

func (h *gwsHandler) OnClose(_ *gws.Conn, err error) {
	h.o.end, h.o.err = endFails, err
	closed := new(gws.CloseError)
	switch {
	case errors.As(err, &closed):
		code := closed.Code
		if code == 0 { // it got none
			code = 1005
		}
		h.o.end = endClose(code, string(closed.Reason))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		h.o.end = endWaits
	}
}
