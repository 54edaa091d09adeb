package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/switching-protocols/websocket"
)

// playAsClient plays a scenario with the client of this library. The result is what it has seen.
func playAsClient(base string, sc scenario) error {
	d := websocket.Dialer{
		HandshakeTimeout: patience,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &recorder{Conn: nc}, nil
		},
	}
	if sc.path == "subprotocol" {
		d.Subprotocols = offeredSubprotocols
	}
	d.EnableCompression = sc.compressed()
	d.Compression.ContextTakeover = true
	c, resp, err := d.Dial(base+"/"+sc.path, nil)
	if sc.path == refusal {
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, websocket.ErrBadHandshake) || resp.StatusCode != http.StatusForbidden {
			return fmt.Errorf("got answer %+v and error %v, want %v with 403", resp, err, websocket.ErrBadHandshake)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("got answer %+v and error %w", resp, err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	c.SetWriteDeadline(time.Now().Add(patience))
	return sc.play(c)
}
