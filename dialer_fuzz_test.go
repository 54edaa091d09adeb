//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// The key of RFC 6455, 1.3, and what stands for the right Sec-WebSocket-Accept in the answers of FuzzDialResponse.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// answeredConn is a client's connection to a server whose answer, and what follows it, is there at once.
type answeredConn struct {
	proxyConn
	template string
	key      string
	sent     []byte // behind the request
}

func (c *answeredConn) Write(p []byte) (int, error) {
	if c.key != "" {
		c.sent = append(c.sent, p...)
		return len(p), nil
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p)))
	if err != nil {
		return 0, err
	}
	c.key = req.Header.Get("Sec-Websocket-Key")
	hash := sha1.Sum([]byte(c.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c.template = strings.ReplaceAll(c.template, sampleAccept, base64.StdEncoding.EncodeToString(hash[:]))
	c.answer = c.template
	return len(p), nil
}

func (c *answeredConn) Close() error                     { return nil }
func (c *answeredConn) LocalAddr() net.Addr              { return pipeAddr{} }
func (c *answeredConn) RemoteAddr() net.Addr             { return pipeAddr{} }
func (c *answeredConn) SetDeadline(time.Time) error      { return nil }
func (c *answeredConn) SetReadDeadline(time.Time) error  { return nil }
func (c *answeredConn) SetWriteDeadline(time.Time) error { return nil }

// referenceAnswer is another reading of RFC 6455, 4.1, on top of net/http.
type referenceAnswer struct {
	err         error // there is no answer in the bytes
	status      int
	body        []byte // at most 1,024 bytes of it
	accepted    bool
	extensions  bool // there is such a field, so that accepted says only that the rest is right
	subprotocol string
	rest        []byte // behind the head
}

func readReferenceAnswer(b []byte, accept string, subprotocols []string) (a referenceAnswer) {
	r := bufio.NewReader(bytes.NewReader(b[:min(len(b), 64<<10)]))
	var resp *http.Response
	for interim := 0; ; interim++ {
		if resp, a.err = http.ReadResponse(r, nil); a.err != nil {
			return a
		}
		if resp.StatusCode < 100 || interim == 6 {
			a.err = errors.New("no answer")
			return a
		}
		if resp.StatusCode >= 200 || resp.StatusCode == 101 {
			break
		}
	}
	a.status = resp.StatusCode
	a.body = make([]byte, 1024)
	n, _ := io.ReadFull(resp.Body, a.body)
	a.body = a.body[:n]
	if a.status == 101 {
		rest, _ := io.ReadAll(r)
		a.rest = b[min(len(b), 64<<10)-len(rest):]
	}

	is := func(value, want string) bool { return len(value) == len(want) && strings.EqualFold(value, want) }
	one := func(name string) string { // the value of a field that is there once
		if values := resp.Header.Values(name); len(values) == 1 {
			return values[0]
		}
		return ""
	}
	connection := strings.Split(strings.Join(resp.Header.Values("Connection"), ","), ",")
	upgrades := slices.ContainsFunc(connection, func(s string) bool { return is(strings.Trim(s, " \t"), "upgrade") })
	protocols := resp.Header.Values("Sec-WebSocket-Protocol")
	a.subprotocol = one("Sec-WebSocket-Protocol")
	a.accepted = a.status == 101 && resp.ProtoMajor == 1 && upgrades && is(one("Upgrade"), "websocket") &&
		one("Sec-WebSocket-Accept") == accept && (len(protocols) == 0 || slices.Contains(subprotocols, a.subprotocol))
	a.extensions = strings.Trim(strings.Join(resp.Header.Values("Sec-WebSocket-Extensions"), ""), " \t,") != ""
	return a
}

// Whatever a server answers, in whatever pieces: the Dialer makes of it what another reading of the RFC does,
// in bounded memory, and what follows the head are frames.
func FuzzDialResponse(f *testing.F) {
	const good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + sampleAccept + "\r\n"
	f.Add([]byte(good+"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n\xc1\x07\xf2H\xcd\xc9\xc9\x07\x00"), true, uint(0))
	f.Add([]byte(good+"Sec-WebSocket-Protocol: chat\r\n\r\n\x89\x04ping\x81\x05Hello\x88\x02\x03\xe8"), false, uint(5))
	f.Add([]byte(good+strings.Repeat("a:\n", 2000)+"\r\n"), false, uint(0))
	files, err := filepath.Glob("testdata/dial/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("got %d files and error %v, want some files", len(files), err)
	}
	for _, file := range files {
		for i, c := range hsParseCases(f, file) {
			if b := c.wire(f, "answer", sampleKey); len(b) < 2000 {
				f.Add([]byte(b), i%2 == 0, uint(i%4))
			}
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte, compression bool, chunk uint) {
		if len(answer) > 20_000 {
			chunk = 0
		}
		nc := &answeredConn{template: string(answer)}
		nc.chunk, nc.end = int(chunk%1000), io.EOF
		d := Dialer{
			NetDial:           func(string, string) (net.Conn, error) { return nc, nil },
			Subprotocols:      []string{"chat", "superchat"},
			EnableCompression: compression,
			Compression:       CompressionOptions{ContextTakeover: true},
			ReadLimit:         5000,
		}
		var before, after runtime.MemStats
		large := len(answer) > 2000
		if large {
			runtime.ReadMemStats(&before)
		}
		c, resp, err := d.Dial("ws://example.com/", nil)
		if large {
			runtime.ReadMemStats(&after)
			if n := int(after.TotalAlloc - before.TotalAlloc); n > 128<<10+64*len(answer) {
				t.Errorf("got %d bytes allocated for an answer of %d", n, len(answer))
			}
		}
		if nc.read > maxResponseHead {
			t.Errorf("got %d bytes read, want at most %d", nc.read, maxResponseHead)
		}
		answer = []byte(nc.template)
		want := readReferenceAnswer(answer, acceptKey(nc.key), d.Subprotocols)
		switch {
		case want.err != nil:
			if c != nil || resp != nil || err == nil || len(err.Error()) > 300 {
				t.Errorf("got a connection: %v, a response: %v, and error %v, want an error like %v", c != nil, resp != nil, err, want.err)
			}
			if ended := nc.read == len(answer) && len(answer) < maxResponseHead; errors.Is(err, io.ErrUnexpectedEOF) && !ended {
				t.Errorf("got error %v, want no end of %d bytes, of which %d were read", err, len(answer), nc.read)
			}
			return
		case resp == nil:
			t.Fatalf("got error %v, want the response with status %d", err, want.status)
		case want.extensions && want.accepted && compression: // whether it is right, FuzzNegotiation checks
			want.accepted = err == nil && c.CompressionState().Enabled
		case want.extensions:
			want.accepted = false
		}
		body, bodyErr := io.ReadAll(resp.Body)
		if bodyErr != nil || c != nil && len(body) > 0 || c == nil && !bytes.Equal(body, want.body) || resp.StatusCode != want.status {
			t.Errorf("got status %d and body %.50q, %v, want %d and %.50q", resp.StatusCode, body, bodyErr, want.status, want.body)
		}
		if (c != nil) != want.accepted || (err == ErrBadHandshake) == want.accepted || c == nil && err == nil {
			t.Fatalf("got a connection: %v, and error %v, want %v", c != nil, err, want.accepted)
		}
		if c != nil {
			defer c.Close()
			if c.Subprotocol() != want.subprotocol {
				t.Errorf("got subprotocol %q, want %q", c.Subprotocol(), want.subprotocol)
			}
			compareFrames(t, c, nc, want.rest)
		}
	})
}

// compareFrames compares what the connection makes of the bytes that follow the head with the reference.
func compareFrames(t *testing.T, c *Conn, nc *answeredConn, rest []byte) {
	t.Helper()
	var got []scriptEvent
	for end := error(nil); end == nil; {
		messageType, p, err := c.ReadMessage()
		switch {
		case err == nil:
			got = append(got, scriptEvent{kind: '=', what: scriptMessageType(messageType), data: p})
		case messageType != noMessage:
			got = append(got, scriptEvent{kind: '=', what: "part " + scriptMessageType(messageType), data: p})
		}
		if end = err; err != nil {
			got = append(got, scriptEvent{kind: '!', what: err.Error()})
		}
	}
	c.send.awaitFlush()
	sent, err := unmaskFrames(nc.sent)
	if err != nil {
		t.Fatal(err)
	}
	for len(sent) > 0 { // control frames
		size := 2 + int(sent[1])
		got = append(got, scriptEvent{kind: '<', data: sent[:size]})
		sent = sent[size:]
	}
	r := &reference{in: rest, eof: true, limit: 5000, seen: got, unread: func(int) bool { return false }}
	if s := c.CompressionState(); s.Enabled {
		r.inflater = &strictInflater{bits: s.ReceiveWindowBits, takeover: s.ReceiveTakeover}
	}
	want := r.read()
	if r.undecided {
		return
	}
	if wrong := diffEvents(framesLast(got), framesLast(want), false, false); wrong != "" {
		t.Errorf("% x: %s", rest, wrong)
	}
}
