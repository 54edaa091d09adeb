package transcripts

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"time"
)

// patience bounds each connection. Nothing waits for it unless a library hangs.
const patience = 20 * time.Second

// settings are those of a connection.
type settings struct {
	limit    int64 // the read limit, none if negative
	compress bool
	takeover bool // with context takeover, where the library has it
}

// library is a library, or how an application uses it: it reads messages, and closes the
// connection when a read fails.
type library struct {
	name  string
	serve func(w http.ResponseWriter, r *http.Request, s settings) (outcome, error)
	dial  func(url string, s settings) (outcome, error)
}

// extensions returns a line of the header that offers compression or answers an offer, with
// the parameters where there is context takeover.
func (s settings) extensions(parameters string) string {
	switch {
	case s.takeover:
		return "Sec-WebSocket-Extensions: permessage-deflate" + parameters + "\r\n"
	case s.compress:
		return "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	}
	return ""
}

// errNotNegotiated is returned where a library does not agree on context takeover for what
// it receives.
var errNotNegotiated = errors.New("not negotiated")

// play sends the bytes to the library, which plays the side, and then ends the stream. It
// returns what came of them.
func (l *library) play(side string, s settings, b []byte) (outcome, error) {
	if side == "server" {
		return l.playServer(s, b)
	}
	return l.playClient(s, b)
}

// result is what the library's end returns.
type result struct {
	outcome
	failed error // no connection came of the handshake
}

func (l *library) playServer(s settings, b []byte) (outcome, error) {
	results := make(chan result, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, err := l.serve(w, r, s)
		results <- result{o, err}
	}))
	defer srv.Close()
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		return outcome{}, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
		srv.Listener.Addr(), s.extensions("; client_max_window_bits"))
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return outcome{}, err
	}
	resp.Body.Close()
	answer := resp.Header.Get("Sec-WebSocket-Extensions")
	if resp.StatusCode != http.StatusSwitchingProtocols || s.compress != strings.HasPrefix(answer, "permessage-deflate") {
		return outcome{}, fmt.Errorf("got status %d with extensions %q", resp.StatusCode, answer)
	}
	if s.takeover && strings.Contains(answer, "client_no_context_takeover") {
		return outcome{}, errNotNegotiated
	}
	return exchange(nc.(*net.TCPConn), br, false, b, results)
}

func (l *library) playClient(s settings, b []byte) (outcome, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return outcome{}, err
	}
	defer ln.Close()
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	results := make(chan result, 1)
	go func() {
		o, err := l.dial("ws://"+ln.Addr().String()+"/", s)
		results <- result{o, err}
	}()
	nc, err := ln.Accept()
	if err != nil {
		return outcome{}, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	br := bufio.NewReader(nc)
	req, err := http.ReadRequest(br)
	if err != nil {
		return outcome{}, err
	}
	offer := req.Header.Get("Sec-WebSocket-Extensions")
	if s.compress != strings.HasPrefix(offer, "permessage-deflate") {
		return outcome{}, fmt.Errorf("got the offer %q", offer)
	}
	if s.takeover && strings.Contains(offer, "server_no_context_takeover") {
		return outcome{}, errNotNegotiated
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n%s\r\n", base64.StdEncoding.EncodeToString(sum[:]), s.extensions(""))
	return exchange(nc.(*net.TCPConn), br, true, b, results)
}

// exchange sends the bytes and the end of the stream, and receives frames up to the end of
// the connection. For a library that waits for more, the end of the stream is what ends the
// wait, so nothing depends on time.
func exchange(nc *net.TCPConn, br *bufio.Reader, masked bool, b []byte, results <-chan result) (outcome, error) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		nc.Write(b) // fails where the library has closed the connection
		nc.CloseWrite()
	}()
	var sent outcome
	err := sent.receive(br, masked)
	<-written
	if err != io.EOF && !errors.Is(err, syscall.ECONNRESET) { // or it was closed before all bytes had been read
		return outcome{}, err
	}
	select {
	case r := <-results:
		r.pongs, r.closed = sent.pongs, sent.closed
		// A library that has sent the code of an error has failed, whatever it calls it.
		if r.end == endWaits && r.closed > "1001" {
			r.end = endFails
		}
		return r.outcome, r.failed
	case <-time.After(patience):
		return outcome{}, errors.New("the library does not return")
	}
}

// receive reads the library's frames.
func (o *outcome) receive(br *bufio.Reader, masked bool) error {
	for {
		head, err := br.Peek(2)
		if err != nil {
			return err
		}
		size, isMasked := 2+int(head[1]&0x7f), head[1]&0x80 != 0
		if isMasked {
			size += 4
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(br, b); err != nil {
			return fmt.Errorf("a frame that is cut off: %v", err)
		}
		if isMasked != masked && o.closed == "" {
			o.closed = badMask
			continue
		}
		if err := o.add(b); err != nil {
			return err
		}
	}
}

// add adds a frame that the library sends, which is a pong or a Close frame.
func (o *outcome) add(b []byte) error {
	f, _ := nextFrame(b)
	switch {
	case !f.whole || f.size != len(b):
		return fmt.Errorf("got %x, want a frame", b)
	case f.first == 0x8a && o.closed == "":
		o.pongs = append(o.pongs, string(f.payload))
	case f.first == 0x88 && o.closed == "" && len(f.payload) == 0:
		o.closed = noStatus
	case f.first == 0x88 && o.closed == "" && len(f.payload) > 1:
		o.closed = fmt.Sprint(binary.BigEndian.Uint16(f.payload))
	default:
		return fmt.Errorf("got the unexpected frame %x", b)
	}
	return nil
}
