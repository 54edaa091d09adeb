//go:build go1.25

package websocket

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ngUpgrade upgrades a request with the lines of offers over a connection in memory, and
// returns the answer as it is on the wire.
func ngUpgrade(t *testing.T, u Upgrader, offers []string) (c *Conn, answer string, err error) {
	t.Helper()
	r := hsRequest()
	if offers != nil {
		r.Header["Sec-Websocket-Extensions"] = offers
	}
	near, far := newPipe(t, 1<<20)
	c, err = u.Upgrade(&hsHijacker{ResponseRecorder: httptest.NewRecorder(), conn: near}, r, nil)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, string(far.take()), err
}

// The answer of RFC 6455, 1.2, with the extension of RFC 7692, byte for byte.
func TestUpgradeCompressionAnswer(t *testing.T) {
	u := Upgrader{
		Subprotocols:      []string{"chat"},
		EnableCompression: true,
		Compression:       CompressionOptions{ContextTakeover: true, WindowBits: 9, PeerWindowBits: 10},
	}
	r := hsRequest()
	r.Header.Set("Sec-Websocket-Protocol", "chat")
	r.Header.Set("Sec-Websocket-Extensions", "permessage-deflate; client_max_window_bits; client_no_context_takeover")
	const want = "HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Protocol: chat\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10\r\n" +
		"Set-Cookie: a=1\r\n" +
		"\r\n"
	if got := hsUpgradeOver(t, u, r, http.Header{"Set-Cookie": {"a=1"}}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The table of negotiations, from the request to the answer on the wire, and to what the
// connection then does.
func TestUpgradeNegotiationTable(t *testing.T) {
	for _, tc := range ngServerCases(t) {
		if tc.refused != "" {
			_, _, err := ngUpgrade(t, Upgrader{EnableCompression: true}, tc.offers)
			want := HandshakeError{"websocket: not a websocket handshake: 'Sec-WebSocket-Extensions' header: " + tc.refused}
			if err != want {
				t.Errorf("%s: got error %v, want %v", tc.name, err, want)
			}
		}
		for _, want := range tc.answers {
			c, answer, err := ngUpgrade(t, Upgrader{EnableCompression: true, Compression: want.options}, tc.offers)
			if err != nil {
				t.Errorf("%s: got error %v, want a connection", tc.name, err)
				continue
			}
			fields, wantFields, does := hsFields(answer, "Sec-WebSocket-Extensions"), "", ngDescribe(nil)
			if want.answer != "" {
				wantFields = "Sec-WebSocket-Extensions: " + want.answer
				does = ngDoesServer(t, want.answer)
			}
			if got := strings.Join(fields, "\n"); got != wantFields {
				t.Errorf("%s, with %+v: got %q, want %q", tc.name, want.options, got, wantFields)
			}
			if got := ngDescribe(c.compression); got != does {
				t.Errorf("%s, with %+v: got a connection that %s, want %s", tc.name, want.options, got, does)
			}
		}
	}
}

// ngDoesServer is what the answer says that the server does.
func ngDoesServer(t *testing.T, answer string) string {
	params := ngParams(t, answer)
	return ngDescribe(&compression{
		sendTakeover: params["server_no_context_takeover"] == 0,
		recvTakeover: params["client_no_context_takeover"] == 0,
		sendBits:     ngWindow(params, "server_max_window_bits"),
		recvBits:     ngWindow(params, "client_max_window_bits"),
	})
}

// Without EnableCompression nothing is answered, whatever Compression says.
func TestUpgradeWithoutEnableCompression(t *testing.T) {
	for _, o := range []CompressionOptions{{}, {ContextTakeover: true, WindowBits: 10}, {WindowBits: 77, Level: 100, Threshold: -1}} {
		c, answer, err := ngUpgrade(t, Upgrader{Compression: o}, []string{"permessage-deflate; client_max_window_bits"})
		if err != nil {
			t.Errorf("%+v: got error %v, want a connection", o, err)
			continue
		}
		if fields := hsFields(answer, "Sec-WebSocket-Extensions"); fields != nil || c.compression != nil {
			t.Errorf("%+v: got %q, and a connection with %s, want none", o, fields, ngDescribe(c.compression))
		}
	}
}

// What is not negotiated of Compression reaches the connection as well.
func TestUpgradeCompressionLevelAndThreshold(t *testing.T) {
	for _, tt := range []struct {
		options          CompressionOptions
		level, threshold int
	}{
		{CompressionOptions{}, 1, 0},
		{CompressionOptions{ContextTakeover: true}, 2, 0},
		{CompressionOptions{Level: 9, Threshold: 100}, 9, 100},
		{CompressionOptions{Level: -2, ContextTakeover: true}, -2, 0},
	} {
		server, _, err := ngUpgrade(t, Upgrader{EnableCompression: true, Compression: tt.options}, []string{"permessage-deflate"})
		if err != nil {
			t.Fatal(err)
		}
		client, _, err := ngDial(t, Dialer{EnableCompression: true, Compression: tt.options}, []string{"permessage-deflate"})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*Conn{server, client} {
			if level, threshold := int(c.compression.level.Load()), c.compression.threshold; level != tt.level || threshold != tt.threshold {
				t.Errorf("%+v: got level %d and threshold %d, want %d and %d", tt.options, level, threshold, tt.level, tt.threshold)
			}
		}
	}
}

// Options that are a mistake are refused with 500, since the client is not to blame,
// whether it offers compression or not.
func TestUpgradeInvalidCompressionOptions(t *testing.T) {
	for _, tt := range ngInvalid {
		for _, offers := range [][]string{nil, {"permessage-deflate"}} {
			r, w := hsRequest(), httptest.NewRecorder()
			r.Header["Sec-Websocket-Extensions"] = offers
			u := Upgrader{EnableCompression: true, Compression: tt.options}
			want := HandshakeError{"websocket: Upgrader." + tt.want}
			c, err := u.Upgrade(w, r, nil)
			if c != nil || err != want || w.Code != http.StatusInternalServerError || w.Body.String() != "Internal Server Error\nUpgrader."+tt.want+"\n" {
				t.Errorf("%+v: got %d, %q and error %v, want 500 and %v", tt.options, w.Code, w.Body, err, want)
			}

			var status int
			var reason error
			u.Error = func(_ http.ResponseWriter, _ *http.Request, s int, err error) { status, reason = s, err }
			if _, err := u.Upgrade(httptest.NewRecorder(), r, nil); err != want || reason != want || status != http.StatusInternalServerError {
				t.Errorf("%+v: got %d and error %v for Upgrader.Error, want 500 and %v", tt.options, status, reason, want)
			}
		}
	}
	for _, o := range ngValid {
		if c, _, err := ngUpgrade(t, Upgrader{EnableCompression: true, Compression: o}, []string{"permessage-deflate"}); err != nil || c.compression == nil {
			t.Errorf("%+v: got error %v, want a connection with compression", o, err)
		}
	}
}
