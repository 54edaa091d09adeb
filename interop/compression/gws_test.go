package compression

import (
	"bytes"
	"errors"
	"fmt"
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
// in the window (1.8.9 and 1.9.1), and from then on its messages are not what was sent. So our pings to it have
// no payload.
func TestGws(t *testing.T) {
	const (
		none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	)
	both := gws.PermessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true}
	small := gws.PermessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: 10, ClientMaxWindowBits: 10}
	for _, n := range []negotiation{
		{name: "server", large: true, peer: gwsServer(gws.PermessageDeflate{}), offer: ourNone, answer: none},
		{name: "server, our takeover", peer: gwsServer(gws.PermessageDeflate{}), options: takeover, offer: ourTakeover, answer: none},
		{name: "server, its takeover", peer: gwsServer(both), offer: ourNone, answer: none + "; server_max_window_bits=12; client_max_window_bits=12"},
		{name: "server, takeover", peer: gwsServer(both), options: takeover, offer: ourTakeover, answer: "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
		{name: "server, its windows", peer: gwsServer(small), options: takeover, offer: ourTakeover, answer: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"},
		// A window that fits only the second of the offers.
		{name: "server, small windows", peer: gwsServer(both), options: windows(10), offer: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10, permessage-deflate; client_max_window_bits=10", answer: "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"},
		{name: "client", large: true, peer: gwsClient(gws.PermessageDeflate{}), offer: none, answer: none},
		{name: "client, our takeover", peer: gwsClient(gws.PermessageDeflate{}), options: takeover, offer: none, answer: none},
		{name: "client, its takeover", peer: gwsClient(both), offer: windowsOffer, answer: none},
		{name: "client, takeover", overlooks: true, peer: gwsClient(both), options: takeover, offer: windowsOffer, answer: "permessage-deflate"},
		{name: "client, its windows", peer: gwsClient(small), options: takeover, offer: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10", answer: "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"},
		{name: "client, our windows", peer: gwsClient(both), options: windows(11), offer: windowsOffer, answer: "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11"},
	} {
		n.emptyPings = true
		n.messages = exchangeOf(n.large)
		t.Run(n.name, n.run)
	}
}

// gws's server answers the windows of its own configuration, whatever the offer says. What we
// send keeps to them, with and without takeover; gws itself would not notice within a
// message, since its decompressor always has a window of 32 KiB.
func TestGwsWindowsInWhatWeSend(t *testing.T) {
	const none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	both := gws.PermessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true}
	small := gws.PermessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: 10, ClientMaxWindowBits: 10}
	for _, tc := range []struct {
		negotiation
		bits int
	}{
		{negotiation{name: "none", peer: gwsServer(gws.PermessageDeflate{}), offer: ourNone, answer: none}, 15},
		{negotiation{name: "12", peer: gwsServer(both), offer: ourNone, answer: none + "; server_max_window_bits=12; client_max_window_bits=12"}, 12},
		{negotiation{name: "10", peer: gwsServer(small), offer: ourNone, answer: none + "; server_max_window_bits=10; client_max_window_bits=10"}, 10},
		{
			negotiation{
				name: "12, takeover", peer: gwsServer(both), options: takeover, offer: ourTakeover,
				answer: "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
			}, 12,
		},
	} {
		t.Run(tc.name, func(t *testing.T) { checkWindow(t, tc.negotiation, tc.bits) })
	}
}

// checkWindow checks that we, as the client, find what comes again in a message where the
// window of that many bits reaches, and nowhere else.
func checkWindow(t *testing.T, n negotiation, bits int) {
	t.Helper()
	const size = 16384
	lags := []int{256, 2048, 8192}
	for _, lag := range lags {
		data := bytes.Repeat(digits(source(fmt.Sprint("lag ", lag)), lag), size/lag)
		n.messages = append(n.messages, message{messageType: websocket.BinaryMessage, data: data, compressible: lag < 1<<bits})
	}
	c, r, ended := n.connect(t)
	for i, m := range n.messages {
		if !echoed(t, c, i, m, "") {
			return
		}
	}
	n.close(t, c, ended)
	n.checkWire(t, r, 0)
	client, err := readWire(r.fromClient.Bytes(), true)
	if err != nil || len(client.data) != len(lags) {
		t.Fatalf("got %d messages and error %v, want %d", len(client.data), err, len(lags))
	}
	for i, lag := range lags {
		// A digit has four bits, so less than half of the size needs a window.
		if got := client.data[i].length; lag >= 1<<bits && got < size/2 {
			t.Errorf("got %d bytes for %d that come again after %d, want no reference beyond %d", got, size, lag, 1<<bits)
		}
	}
}
