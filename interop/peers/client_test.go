package peers

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/switching-protocols/websocket"
)

// playAsClient plays a scenario with the client of this library, and the server behind the relay. The result is what
// this library has seen.
func playAsClient(r *relay, sc scenario) error {
	d := websocket.Dialer{HandshakeTimeout: patience, EnableCompression: sc.compressed()}
	d.Compression.ContextTakeover = true
	if sc.path == "subprotocol" {
		d.Subprotocols = offeredSubprotocols
	}
	c, resp, err := d.Dial(r.url+"/"+sc.path, nil)
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
	if err := sc.play(c); err != nil {
		return err
	}
	return sc.checkWire(r.connection(sc.path))
}
