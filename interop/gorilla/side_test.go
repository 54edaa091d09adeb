package gorilla

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// side is one end. Its methods do what those of the connection do that are spelled
// alike, and note the outcome.
type side struct {
	x    *exchange
	name string
	lib  *library
	conn
	raw net.Conn // instead of lib and conn
}

func (s *side) note(format string, args ...any) { s.x.note(s.name, format, args...) }

// noteErr notes the outcome of a call.
func (s *side) noteErr(call string, err error) { s.note("%s: %s", call, s.lib.describe(err)) }

// dialed takes what Dial has returned.
func (s *side) dialed(c conn, resp *http.Response, err error) {
	s.noteErr("Dial", err)
	if resp != nil {
		body, err := io.ReadAll(resp.Body)
		if resp.Header.Get("Sec-Websocket-Version") != "" { // a refusal, whose advice only one library gives
			status, _, _ := bytes.Cut(body, []byte("\n"))
			body = body[:min(len(status)+1, len(body))]
		}
		s.note("response %s with the body %s, read: %s", resp.Status, show(body), s.lib.describe(err))
	}
	if c != nil {
		s.x.own(c)
		s.conn = c
		s.note("Subprotocol: %q", c.Subprotocol())
	}
}

var messageTypes = map[int]string{-1: "none", 0: "0", 1: "text", 2: "binary", 3: "3", 8: "close", 9: "ping", 10: "pong", 11: "11"}

func (s *side) read() error {
	messageType, p, err := s.ReadMessage()
	s.note("ReadMessage: %s %s, %s", messageTypes[messageType], show(p), s.lib.describe(err))
	return err
}

// readAll reads until the error, and sees whether it stays.
func (s *side) readAll() {
	var first error
	for first == nil {
		first = s.read()
	}
	for range 2 {
		messageType, p, err := s.ReadMessage()
		if messageType != -1 || p != nil || s.lib.describe(err) != s.lib.describe(first) {
			s.note("ReadMessage again: %s %q, %s", messageTypes[messageType], p, s.lib.describe(err))
		}
	}
}

func (s *side) write(messageType int, data string) {
	err := s.WriteMessage(messageType, []byte(data))
	s.noteErr(fmt.Sprintf("WriteMessage %s %s", messageTypes[messageType], show([]byte(data))), err)
}

func (s *side) control(messageType int, data string, deadline time.Time) {
	err := s.WriteControl(messageType, []byte(data), deadline)
	s.noteErr(fmt.Sprintf("WriteControl %s %s", messageTypes[messageType], show([]byte(data))), err)
}

// closing sends a Close frame.
func (s *side) closing(code int, text string) {
	s.control(closeMessage, string(s.lib.formatClose(code, text)), time.Time{})
}

func (s *side) close() { s.noteErr("Close", s.Close()) }

func (s *side) writeJSON(v any) { s.noteErr("WriteJSON", s.WriteJSON(v)) }

// readJSON reads into what v points to.
func (s *side) readJSON(v any) {
	err := s.ReadJSON(v)
	s.note("ReadJSON: %s, %s", jsonText(v), s.lib.describe(err))
}

// writer is a message writer that notes the outcome of its calls.
type writer struct {
	s *side
	io.WriteCloser
}

func (s *side) writer(messageType int) writer {
	w, err := s.NextWriter(messageType)
	s.noteErr("NextWriter "+messageTypes[messageType], err)
	return writer{s, w}
}

// begun is a text message of which a fragment of 4082 bytes was sent, and no more.
// It is for servers: that of a client has another size.
func (s *side) begun() writer {
	w := s.writer(textMessage)
	for range 3 {
		w.write(filler(2000))
	}
	return w
}

func (w writer) write(data string) {
	n, err := w.Write([]byte(data))
	w.s.note("writer.Write %s: %d, %s", show([]byte(data)), n, w.s.lib.describe(err))
}

func (w writer) writeString(data string) {
	n, err := w.WriteCloser.(io.StringWriter).WriteString(data)
	w.s.note("writer.WriteString %s: %d, %s", show([]byte(data)), n, w.s.lib.describe(err))
}

func (w writer) readFrom(r io.Reader) {
	n, err := w.WriteCloser.(io.ReaderFrom).ReadFrom(r)
	w.s.note("writer.ReadFrom: %d, %s", n, w.s.lib.describe(err))
}

func (w writer) close() { w.s.noteErr("writer.Close", w.Close()) }

// reader is a message reader that notes the outcome of its calls.
type reader struct {
	s *side
	io.Reader
}

func (s *side) reader() reader {
	messageType, r, err := s.NextReader()
	s.note("NextReader: %s, %s", messageTypes[messageType], s.lib.describe(err))
	return reader{s, r}
}

// read reads exactly n bytes: how many come at once is not the program's to know.
func (r reader) read(n int) {
	p := make([]byte, n)
	n, err := io.ReadFull(r.Reader, p)
	r.s.note("reader.Read: %s, %s", show(p[:n]), r.s.lib.describe(err))
}

// one reads once, where no more than one byte can come.
func (r reader) one() {
	var p [1]byte
	n, err := r.Read(p[:])
	r.s.note("reader.Read of 1 byte: %q, %s", p[:n], r.s.lib.describe(err))
}

func (r reader) all() {
	p, err := io.ReadAll(r.Reader)
	r.s.note("reader to the end: %s, %s", show(p), r.s.lib.describe(err))
}

// sendRaw sends text as it is.
func (s *side) sendRaw(text string) {
	_, err := s.raw.Write([]byte(text))
	s.x.fatal(err)
}

// sendHex sends bytes that are written in hexadecimal, with spaces.
func (s *side) sendHex(text string) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	s.x.fatal(err)
	s.sendRaw(string(b))
}

// frame is a frame as this end has to send it: masked, with a key of zeros that
// leaves the payload legible, if this is the client.
func (s *side) frame(b0 byte, payload string) string {
	head := []byte{b0, byte(len(payload))}
	if len(payload) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{b0, 126}, uint16(len(payload)))
	}
	if s == s.x.client {
		head[1] |= 0x80
		head = append(head, 0, 0, 0, 0)
	}
	return string(head) + payload
}

// end makes the stream of a raw end stop.
func (s *side) end() { s.x.fatal(s.raw.(*net.TCPConn).CloseWrite()) }
