//go:build go1.25

package websocket

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ngDial dials a server at the other end of a connection in memory, which answers with
// the lines of extensions. It returns the lines of the request.
func ngDial(t *testing.T, d Dialer, answer []string) (c *Conn, request []string, err error) {
	t.Helper()
	near, far := newPipe(t, 1<<20)
	far.SetDeadline(time.Now().Add(hsPatience))
	sent := bhAnswer(far, func(key string) string {
		s := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(key) + "\r\n"
		for _, line := range answer {
			s += "Sec-WebSocket-Extensions: " + line + "\r\n"
		}
		return s + "\r\n"
	})
	d.NetDial = func(string, string) (net.Conn, error) { return near, nil }
	c, resp, err := d.Dial("ws://a.example/", nil)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	} else if c != nil || resp == nil || !near.in.readClosed() {
		t.Errorf("got connection %v and response %v with error %v, want the response alone, and the network connection closed", c, resp, err)
	}
	return c, hsFields(sent(), "Sec-WebSocket-Extensions"), err
}

// The table of negotiations, from the request on the wire to what the connection then
// does. Each answer that is not right is ErrBadHandshake.
func TestDialNegotiationTable(t *testing.T) {
	for _, tc := range ngClientCases(t) {
		for _, a := range tc.answers {
			c, request, err := ngDial(t, Dialer{EnableCompression: true, Compression: tc.options}, a.lines)
			if got, want := strings.Join(request, "\n"), "Sec-WebSocket-Extensions: "+tc.offers; got != want {
				t.Errorf("%s: got request %q, want %q", tc.name, got, want)
			}
			switch {
			case a.reason != "":
				if err != ErrBadHandshake {
					t.Errorf("%s, %q: got error %v, want %v", tc.name, a.lines, err, ErrBadHandshake)
				}
			case err != nil:
				t.Errorf("%s, %q: got error %v, want a connection", tc.name, a.lines, err)
			case ngDescribe(c.compression) != a.want:
				t.Errorf("%s, %q: got a connection that %s, want %s", tc.name, a.lines, ngDescribe(c.compression), a.want)
			}
		}
	}
}

// The lines of a header are one list: an extension that is answered on two of them is
// answered twice.
func TestDialCompressionOnSeveralLines(t *testing.T) {
	for _, tt := range []struct {
		answer []string
		want   error
	}{
		{[]string{"permessage-deflate"}, nil},
		{[]string{"", "permessage-deflate"}, nil},
		{[]string{"permessage-deflate", ","}, nil},
		{[]string{"permessage-deflate", "permessage-deflate"}, ErrBadHandshake},
		{[]string{"permessage-deflate", "foo"}, ErrBadHandshake},
		{[]string{"permessage-deflate", ";"}, ErrBadHandshake},
	} {
		c, _, err := ngDial(t, Dialer{EnableCompression: true}, tt.answer)
		if err != tt.want || err == nil && c.compression == nil {
			t.Errorf("%q: got error %v, want %v, or else compression", tt.answer, err, tt.want)
		}
	}
}

// Without EnableCompression nothing is offered, whatever Compression says, and so
// nothing is accepted.
func TestDialWithoutEnableCompression(t *testing.T) {
	for _, o := range []CompressionOptions{{}, {ContextTakeover: true, PeerWindowBits: 10}, {WindowBits: 77, Level: 100, Threshold: -1}} {
		c, request, err := ngDial(t, Dialer{Compression: o}, nil)
		if err != nil {
			t.Errorf("%+v: got error %v, want a connection", o, err)
		} else if request != nil || c.compression != nil {
			t.Errorf("%+v: got request %q, and a connection with %s, want none", o, request, ngDescribe(c.compression))
		}
		if _, _, err := ngDial(t, Dialer{Compression: o}, []string{"permessage-deflate"}); err != ErrBadHandshake {
			t.Errorf("%+v: got error %v, want %v", o, err, ErrBadHandshake)
		}
	}
}

// The extension is negotiated by EnableCompression alone: a program cannot offer it in
// the request's header.
func TestDialCompressionInRequestHeader(t *testing.T) {
	d := Dialer{EnableCompression: true, NetDial: func(string, string) (net.Conn, error) {
		t.Error("dialed, want it refused before")
		return nil, net.ErrClosed
	}}
	const want = "websocket: duplicate header not allowed: Sec-Websocket-Extensions"
	if _, _, err := d.Dial("ws://a.example/", http.Header{"Sec-Websocket-Extensions": {"permessage-deflate"}}); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

// Options that are a mistake are an error before anything is dialed.
func TestDialInvalidCompressionOptions(t *testing.T) {
	for _, tt := range ngInvalid {
		d := Dialer{EnableCompression: true, Compression: tt.options, NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%+v: dialed, want it refused before", tt.options)
			return nil, net.ErrClosed
		}}
		c, resp, err := d.Dial("ws://a.example/", nil)
		if want := "websocket: Dialer." + tt.want; c != nil || resp != nil || err == nil || err.Error() != want {
			t.Errorf("%+v: got error %v, want %s", tt.options, err, want)
		}
	}
	for _, o := range ngValid {
		if c, _, err := ngDial(t, Dialer{EnableCompression: true, Compression: o}, []string{"permessage-deflate"}); err != nil || c.compression == nil {
			t.Errorf("%+v: got error %v, want a connection with compression", o, err)
		}
	}
}

// Over the network: the answer is what both sides have asked for, and messages pass.
func TestDialCompressionOverLoopback(t *testing.T) {
	for _, tt := range []struct {
		server, client CompressionOptions
		want           string
	}{
		{want: "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{CompressionOptions{PeerWindowBits: 9}, CompressionOptions{WindowBits: 15},
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9"},
		{CompressionOptions{ContextTakeover: true, WindowBits: 9}, CompressionOptions{ContextTakeover: true, PeerWindowBits: 8}, "permessage-deflate; server_max_window_bits=8"},
		{CompressionOptions{ContextTakeover: true}, CompressionOptions{WindowBits: 8},
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=8"},
	} {
		addr, _ := hsServe(t, Upgrader{EnableCompression: true, Compression: tt.server})
		d := Dialer{EnableCompression: true, Compression: tt.client}
		c, resp, err := d.Dial("ws://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetReadDeadline(time.Now().Add(hsPatience))
		if got := strings.Join(resp.Header["Sec-Websocket-Extensions"], "\n"); got != tt.want || c.compression == nil {
			t.Errorf("got answer %q, want %q", got, tt.want)
		}
		for i := range 3 {
			hsWantEcho(t, c, string(textLike(2000, uint64(i))))
		}
	}
}
