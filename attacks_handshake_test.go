//go:build go1.25

package websocket

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
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

// Request smuggling: what a client has sent together with a request whose upgrade is refused is HTTP, and what a server
// has sent together with a refusal is not read at all. Neither is taken for frames, which would be answered.
func TestAttackFramesBehindARefusal(t *testing.T) {
	const request = "GET /%d HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	const version = "Sec-WebSocket-Version: 13\r\n"
	for _, tt := range []struct {
		name, fields string
		status       int
	}{
		{"another version", "Sec-WebSocket-Version: 8\r\n\r\n", 426},
		{"another origin", version + "Origin: http://evil.example\r\n\r\n", 403},
		{"extensions that are no list", version + "Sec-WebSocket-Extensions: a b\r\n\r\n", 400},
		{"a second key", version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400},
		{"a body of frames", fmt.Sprintf("%sContent-Length: %d\r\n\r\n", version, len(hsMaskedHello)), 400},
		{"chunks", version + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400},
		{"an upgrade that the program refuses", version + "\r\n", 500},
	} {
		for _, compressed := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				near, far := newPipe(t, 1<<20)
				far.SetDeadline(time.Now().Add(hsPatience))
				l := newHSListener()
				u := Upgrader{EnableCompression: compressed}
				var calls atomic.Int32
				srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					calls.Add(1)
					header := http.Header{}
					if tt.status == 500 {
						header["Bad Name"] = []string{"1"}
					}
					if c, err := u.Upgrade(w, r, header); err == nil {
						hsEcho(c)
						c.Close()
					}
				})}
				go srv.Serve(l)
				defer srv.Close()
				l.conns <- near
				io.WriteString(far, fmt.Sprintf(request, 1)+tt.fields+hsMaskedHello+hsMaskedPing+hsMaskedClose+"\r\n\r\n")
				br := bufio.NewReader(far)
				resp, err := http.ReadResponse(br, nil)
				if err != nil || resp.StatusCode != tt.status {
					t.Fatalf("got %v and error %v, want status %d", resp, err, tt.status)
				}
				io.Copy(io.Discard, resp.Body)
				rest, err := io.ReadAll(br)
				if err != nil || len(rest) > 0 && !strings.HasPrefix(string(rest), "HTTP/1.1 400 Bad Request\r\n") {
					t.Errorf("got %q and error %v behind the refusal, want HTTP's answer to what is no request, or nothing", rest, err)
				}
				if n := calls.Load(); n != 1 {
					t.Errorf("got %d calls of the handler, want one", n)
				}
			})
		}
	}
	for name, answer := range map[string]string{
		"200":                            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"400 with a body":                "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
		"101 without Upgrade":            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
		"101 with another accept":        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
		"101 with what was not asked of": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: x\r\n\r\n",
		"101 with an extension":          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: foo\r\n\r\n",
	} {
		for _, compressed := range []bool{false, true} {
			near, far := newPipe(t, 1<<20)
			request := bhAnswer(far, func(key string) string {
				return strings.ReplaceAll(answer, "{accept}", acceptKey(key)) + hsHello + "\x89\x04ping" + hsClose
			})
			d := Dialer{EnableCompression: compressed, NetDial: func(string, string) (net.Conn, error) { return near, nil }}
			c, resp, err := d.Dial("ws://a.example/", nil)
			if c != nil || resp == nil || err != ErrBadHandshake || !near.in.readClosed() {
				t.Errorf("%s: got connection %v and error %v, want %v and the network connection closed", name, c, err, ErrBadHandshake)
			}
			request()
			if rest := far.take(); len(rest) > 0 {
				t.Errorf("%s: got %q sent behind the request, want nothing", name, rest)
			}
		}
	}
}
