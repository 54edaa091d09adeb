//go:build go1.25

package websocket

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// attackServer returns what a server with compression makes of the lines of offers: the extension that it answers
// with, or the status and the error of its refusal.
func attackServer(t *testing.T, o CompressionOptions, lines ...string) (answer string, status int, err error) {
	t.Helper()
	r := hsRequest()
	r.Header["Sec-Websocket-Extensions"] = lines
	w, far, err := hsTryUpgrade(t, Upgrader{EnableCompression: true, Compression: o}, r)
	sent := string(far.take())
	if err != nil {
		if sent != "" {
			t.Errorf("%q: got %q on the connection with error %v, want nothing", lines, sent, err)
		}
		return "", w.Code, err
	}
	return strings.TrimPrefix(strings.Join(hsFields(sent, "Sec-WebSocket-Extensions"), "\n"), "Sec-WebSocket-Extensions: "), 101, nil
}

// CVE-2026-2229: the bits of a window, and all other parameters, that are out of range, not in decimal, there
// twice, without a value or with one. The client fails the handshake. The server declines the offer, and looks
// at the next (RFC 7692, 7.1 and 5.1); what is no list of extensions it refuses.
func TestAttackWindowBits(t *testing.T) {
	const flags = "; server_no_context_takeover; client_no_context_takeover"
	for _, o := range []CompressionOptions{{}, {ContextTakeover: true}, {ContextTakeover: true, WindowBits: 15, PeerWindowBits: 14}} {
		for _, bad := range append(slices.Clone(ngBad), "client_max_window_bits") {
			line := "permessage-deflate; " + bad
			if c, _, err := ngDial(t, Dialer{EnableCompression: true, Compression: o}, []string{line}); err != ErrBadHandshake {
				t.Errorf("%s: got %v, %v from the client, want %v", line, c, err, ErrBadHandshake)
			}
			if bad == "client_max_window_bits" {
				continue // an offer may have it without a value
			}
			for _, tt := range []struct {
				lines []string
				want  string
			}{
				{[]string{line}, ""},
				{[]string{line + ", permessage-deflate; server_max_window_bits=11"}, "; server_max_window_bits=11"},
				{[]string{line, "permessage-deflate; server_max_window_bits=11"}, "; server_max_window_bits=11"},
				{[]string{"permessage-deflate" + flags, line}, flags},
			} {
				want := tt.want
				if want != "" {
					if !o.ContextTakeover && want != flags {
						want = flags + want
					}
					want = "permessage-deflate" + want
				}
				if answer, _, err := attackServer(t, o, tt.lines...); answer != want || err != nil {
					t.Errorf("%q: got %q and error %v from the server, want %q", tt.lines, answer, err, want)
				}
			}
		}
		for _, name := range []string{"server_max_window_bits", "client_max_window_bits"} {
			for _, tt := range []struct{ value, want string }{
				{`=""`, "a quoted value is not a token"},
				{`="8 "`, "a quoted value is not a token"},
				{`="8`, "a quoted value does not end"},
				{"=", "a name or value is missing at the end"},
				{"=; x", "unexpected ';' where a name or value begins"},
				{"=8 9", "unexpected '9' after an extension"},
				{"==8", "unexpected '=' where a name or value begins"},
			} {
				line := "permessage-deflate; " + name + tt.value
				want := HandshakeError{"websocket: not a websocket handshake: 'Sec-WebSocket-Extensions' header: " + tt.want}
				for _, lines := range [][]string{{line}, {"permessage-deflate", line}} {
					if answer, status, err := attackServer(t, o, lines...); answer != "" || status != 400 || err != want {
						t.Errorf("%q: got %q, status %d and error %v from the server, want 400 and %v", lines, answer, status, err, want)
					}
				}
				if c, _, err := ngDial(t, Dialer{EnableCompression: true, Compression: o}, []string{line}); err != ErrBadHandshake {
					t.Errorf("%s: got %v, %v from the client, want %v", line, c, err, ErrBadHandshake)
				}
			}
		}
	}
}

// ws 3.3.1: names that mean something in other places mean nothing here, as an extension or as a parameter, once,
// twice, or with a quoted value.
func TestAttackExtensionNames(t *testing.T) {
	const deflate = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, name := range []string{
		"__proto__", "constructor", "prototype", "hasOwnProperty", "toString", "valueOf", "__defineGetter__", "length", "null", "undefined",
		"true", "0", "-1", "NaN", "nil", "self", "__class__", "%s", "%n", "$where", "..", "*", "!", "|", "~", "^", "`", "'", "''", "#", "&", "+",
		"PERMESSAGE-DEFLATE", "permessage-deflate-", "x-permessage-deflate", "Permessage-Deflate", strings.Repeat("a", 10_000),
	} {
		for _, line := range []string{name, name + "; " + name, name + "; " + name + "=" + name, name + `; a="1"; a="\2"; a`, name + ", " + name} {
			if answer, _, err := attackServer(t, CompressionOptions{}, line); answer != "" || err != nil {
				t.Errorf("%.80s: got %q and error %v from the server, want no extension", line, answer, err)
			}
			if answer, _, err := attackServer(t, CompressionOptions{}, line, "permessage-deflate"); answer != deflate || err != nil {
				t.Errorf("%.80s: got %q and error %v from the server, want permessage-deflate", line, answer, err)
			}
			for _, lines := range [][]string{{line}, {line, "permessage-deflate"}, {"permessage-deflate", line}} {
				if _, _, err := ngDial(t, Dialer{EnableCompression: true}, lines); err != ErrBadHandshake {
					t.Errorf("%.80q: got error %v from the client, want %v", lines, err, ErrBadHandshake)
				}
			}
		}
		for _, param := range []string{name, name + "=1", name + `="1"`, name + "; " + name, "server_no_context_takeover; " + name} {
			line := "permessage-deflate; " + param
			if answer, _, err := attackServer(t, CompressionOptions{}, line); answer != "" || err != nil {
				t.Errorf("%.80s: got %q and error %v from the server, want it declined", line, answer, err)
			}
			if _, _, err := ngDial(t, Dialer{EnableCompression: true}, []string{line}); err != ErrBadHandshake {
				t.Errorf("%.80s: got error %v from the client, want %v", line, err, ErrBadHandshake)
			}
		}
	}
	// A quoted value is the token in it, and may have backslashes.
	const quoted = `permessage-deflate; server_max_window_bits="1\2"; client_max_window_bits="1\1"`
	const want = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=11"
	if answer, _, err := attackServer(t, CompressionOptions{}, quoted); answer != want || err != nil {
		t.Errorf("%s: got %q and error %v from the server, want %q", quoted, answer, err, want)
	}
	if c, _, err := ngDial(t, Dialer{EnableCompression: true, Compression: CompressionOptions{WindowBits: 15}}, []string{quoted}); err != nil {
		t.Errorf("%s: got error %v from the client, want a connection", quoted, err)
	} else if got := c.CompressionState(); got.SendWindowBits != 11 || got.ReceiveWindowBits != 12 {
		t.Errorf("%s: got %+v of the client, want windows of 11 and 12 bits", quoted, got)
	}
}

// What follows a request that was refused is a request, and no frames.
func TestAttackFramesBehindARefusal(t *testing.T) {
	var upgrader Upgrader
	srv := httptest.NewServer(upgrader.HandlerFunc(func(*Conn, *http.Request) { t.Error("got a connection, want none") }))
	defer srv.Close()
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const request = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	io.WriteString(nc, request+request+string(peerFrames(true, textFrame("hello")))+"\r\n\r\n")
	nc.SetReadDeadline(time.Now().Add(patience))
	answers, _ := io.ReadAll(nc)
	if n := strings.Count(string(answers), "HTTP/1.1 426 "); n != 2 || strings.Count(string(answers), "HTTP/1.1 400 ") != 1 {
		t.Errorf("got %q, want two refusals, and then a bad request", answers)
	}
}
