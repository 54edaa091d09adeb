package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

var lxzan = library("gws", "github.com/lxzan/gws")

type gwsEndpoint struct {
	*events
	c *gws.Conn
}

// A gwsHandler gets the events of a connection from gws.
type gwsHandler struct {
	gws.BuiltinEventHandler
	*events
}

func (h gwsHandler) OnMessage(_ *gws.Conn, m *gws.Message) {
	h.messages <- event{m.Opcode == gws.OpcodeText, bytes.Clone(m.Bytes())}
	m.Close()
}

func (h gwsHandler) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

func (h gwsHandler) OnPong(_ *gws.Conn, payload []byte) {
	if string(payload) == "from the peer" {
		h.pong <- struct{}{}
	}
}

func (h gwsHandler) OnClose(_ *gws.Conn, err error) {
	var closed *gws.CloseError
	if errors.As(err, &closed) {
		err = &closedError{int(closed.Code), string(closed.Reason)}
	}
	h.finish(err)
}

// Messages are compressed where that is negotiated, whatever their size.
var gwsCompression = gws.PermessageDeflate{
	Enabled: true, Threshold: 1, ServerContextTakeover: true, ClientContextTakeover: true,
}

func dialGws(_ context.Context, url, path string) (endpoint, int, error) {
	o := gws.ClientOption{Addr: url, HandshakeTimeout: patience, PermessageDeflate: gwsCompression}
	if path == "subprotocol" {
		o.RequestHeader = http.Header{"Sec-Websocket-Protocol": {"b.example, a.example"}}
	}
	h := gwsHandler{events: newEvents()}
	c, resp, err := gws.NewClient(h, &o)
	if err != nil {
		return nil, statusOf(resp), err
	}
	return newGws(c, h.events), 0, nil
}

func upgradeGws(w http.ResponseWriter, r *http.Request, path string) (endpoint, error) {
	o := gws.ServerOption{PermessageDeflate: gwsCompression}
	if path == "subprotocol" {
		o.SubProtocols = []string{subprotocol} // with which clients are refused that ask for none
	}
	h := gwsHandler{events: newEvents()}
	u := gws.NewUpgrader(h, &o)
	c, err := u.Upgrade(w, r)
	if err != nil {
		return nil, err
	}
	return newGws(c, h.events), nil
}

func newGws(c *gws.Conn, e *events) endpoint {
	c.SetDeadline(time.Now().Add(patience))
	go c.ReadLoop() // ends with the connection
	return &gwsEndpoint{e, c}
}

func gwsOpcode(text bool) gws.Opcode {
	if text {
		return gws.OpcodeText
	}
	return gws.OpcodeBinary
}

func (e *gwsEndpoint) write(text bool, p []byte) error {
	return e.c.WriteMessage(gwsOpcode(text), p)
}

// writeParts sends what each Read of a reader returns in a fragment.
func (e *gwsEndpoint) writeParts(text bool, parts [][]byte) error {
	var readers []io.Reader
	for _, p := range parts {
		readers = append(readers, bytes.NewReader(p))
	}
	return e.c.WriteFile(gwsOpcode(text), io.MultiReader(readers...))
}

func (e *gwsEndpoint) ping(pong func()) error {
	e.onPong(pong)
	return e.c.WritePing([]byte("from the peer"))
}

// shutdown does not wait for the answer, as gws closes the network connection.
func (e *gwsEndpoint) shutdown(code int, reason string) error {
	return e.c.WriteClose(uint16(code), []byte(reason))
}

func (e *gwsEndpoint) subprotocol() string { return e.c.SubProtocol() }

func (e *gwsEndpoint) close() {
	e.c.NetConn().Close()
	<-e.ended
}
