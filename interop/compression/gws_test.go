package compression

import (
	"errors"
	"net/http"
	"testing"

	"github.com/lxzan/gws"
	"github.com/switching-protocols/websocket"
)

// gwsEcho is the handler of gws's events.
type gwsEcho struct {
	gws.BuiltinEventHandler
	ended chan<- int
}

func (e gwsEcho) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

func (e gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if string(m.Bytes()) == "close" {
		c.WriteClose(1000, []byte("done"))
		e.ended <- 1000
		return
	}
	c.WriteMessage(m.Opcode, m.Bytes())
}

func (e gwsEcho) OnClose(_ *gws.Conn, err error) {
	var closed *gws.CloseError
	if errors.As(err, &closed) {
		select {
		case e.ended <- int(closed.Code):
		default:
		}
	}
}

func gwsServer(o gws.PermessageDeflate) peer {
	o.Enabled, o.Threshold = true, 1
	return peer{serve: func(t *testing.T, ended chan<- int) string {
		u := gws.NewUpgrader(gwsEcho{ended: ended}, &gws.ServerOption{PermessageDeflate: o})
		return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			if c, err := u.Upgrade(w, r); err == nil {
				go c.ReadLoop() // ends with the connection
			}
		})
	}}
}

func gwsClient(o gws.PermessageDeflate) peer {
	o.Enabled, o.Threshold = true, 1
	return peer{dial: func(t *testing.T, url string, ended chan<- int) {
		c, _, err := gws.NewClient(gwsEcho{ended: ended}, &gws.ClientOption{Addr: url, PermessageDeflate: o})
		if err != nil {
			t.Fatal(err)
		}
		go c.ReadLoop() // ends with the connection
	}}
}

// With context takeover gws counts the payload of a pong among the bytes that are
// in the window (1.8.9), and from then on its messages are not what was sent. So our pings to it have
// no payload.
func TestGws(t *testing.T) {
	const (
		none        = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		ourTakeover = "permessage-deflate; client_max_window_bits"
	)
	both := gws.PermessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true}
	small := gws.PermessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: 10, ClientMaxWindowBits: 10}
	for _, n := range []negotiation{
		{name: "server", large: true, peer: gwsServer(gws.PermessageDeflate{}), offer: none, answer: none},
		{name: "server, our takeover", peer: gwsServer(gws.PermessageDeflate{}), options: takeover, offer: ourTakeover, answer: none},
		{name: "server, takeover", peer: gwsServer(both), options: takeover, offer: ourTakeover, answer: "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
		{name: "server, its windows", peer: gwsServer(small), options: takeover, offer: ourTakeover, answer: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"},
		{name: "client", large: true, peer: gwsClient(gws.PermessageDeflate{}), offer: none, answer: none},
		{name: "client, our takeover", peer: gwsClient(gws.PermessageDeflate{}), options: takeover, offer: none, answer: none},
		{name: "client, its takeover", peer: gwsClient(both), offer: ourTakeover, answer: none},
		{name: "client, takeover", overlooks: true, peer: gwsClient(both), options: takeover, offer: ourTakeover, answer: "permessage-deflate"},
		{name: "client, its windows", peer: gwsClient(small), options: takeover, offer: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10", answer: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"},
		{name: "client, our windows", peer: gwsClient(both), options: windows(11), offer: ourTakeover, answer: "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11"},
	} {
		n.emptyPings = true
		n.messages = exchangeOf(n.large)
		t.Run(n.name, n.run)
	}
}

// gws's server answers the windows of its own configuration, whatever the offer says. Two
// of these answers are ones that "the client [...] MUST _Fail the WebSocket Connection_"
// for (RFC 7692, 7.1 and 7.1.2.2).
func TestGwsAnswersWhatWasNotOffered(t *testing.T) {
	both := gws.PermessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true}
	for _, tc := range []struct {
		name    string
		options websocket.CompressionOptions
		answer  string
	}{
		{"a client's window without an offer", websocket.CompressionOptions{},
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12"},
		{"a server's window larger than the offer", windows(10),
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRelay(t, gwsServer(both).serve(t, make(chan int, 1)))
			c, _, err := ourDialer(tc.options).Dial(r.url(), nil)
			if err != websocket.ErrBadHandshake {
				t.Errorf("got error %v, want %v", err, websocket.ErrBadHandshake)
			}
			if err == nil {
				c.Close()
			}
			r.wait()
			server, err := readWire(r.fromServer.Bytes(), false)
			if err != nil {
				t.Fatal(err)
			}
			if server.extensions != tc.answer {
				t.Errorf("got answer %q, want %q", server.extensions, tc.answer)
			}
		})
	}
}
