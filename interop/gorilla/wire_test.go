package gorilla

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// lines says what was sent over the link, for a transcript.
func (l *link) lines(fragments bool) (client, server []string) {
	request, afterRequest := cutHead(l.toServer)
	response, afterResponse := cutHead(l.toPeer)
	key := headerLine(request, "Sec-Websocket-Key")
	client = append(client, headLines(request, key)...)
	for strings.HasPrefix(string(response), "HTTP/1.1 10") && !strings.Contains(string(response), " 101 ") {
		server = append(server, headLines(response, key)...)
		response, afterResponse = cutHead(afterResponse)
	}
	response, afterResponse = withoutAdvice(response, afterResponse)
	server = append(server, headLines(response, key)...)
	if strings.Contains(string(response), " 101 ") {
		return append(client, frameLines(afterRequest, fragments)...), append(server, frameLines(afterResponse, fragments)...)
	}
	return append(client, payloadLines(afterRequest)...), append(server, payloadLines(afterResponse)...)
}

func payloadLines(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return []string{"body " + show(b)}
}

// withoutAdvice takes from a refusal the line that says what to do about it, which gorilla's have not.
func withoutAdvice(head, body []byte) (newHead, newBody []byte) {
	if headerLine(head, "Sec-Websocket-Version") != "13" {
		return head, body
	}
	status, _, _ := bytes.Cut(body, []byte("\n"))
	body = body[:min(len(status)+1, len(body))]
	length := "Content-Length: " + headerLine(head, "Content-Length")
	return bytes.Replace(head, []byte(length), fmt.Appendf(nil, "Content-Length: %d", len(body)), 1), body
}

// cutHead splits b behind the empty line that ends an HTTP head.
func cutHead(b []byte) (head, rest []byte) {
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return b[:i], b[i+4:]
	}
	return nil, b
}

// headerLine returns the value of a field of an HTTP head.
func headerLine(head []byte, canonicalName string) string {
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok && http.CanonicalHeaderKey(name) == canonicalName {
			return value
		}
	}
	return ""
}

var validKey = regexp.MustCompile(`^[A-Za-z0-9+/]{22}==$`)

// headLines are the lines of an HTTP head, the fields in alphabetical order and
// without what differs from run to run. The names are as on the wire.
func headLines(head []byte, key string) []string {
	if len(head) == 0 {
		return nil
	}
	lines := strings.Split(withoutAddress(string(head)), "\r\n")
	for i, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		switch http.CanonicalHeaderKey(name) {
		case "Date":
			lines[i] = name + ": DATE"
		case "Sec-Websocket-Key":
			if validKey.MatchString(value) {
				lines[i] = name + ": KEY"
			}
		case "Sec-Websocket-Accept":
			if value == accept(key) {
				lines[i] = name + ": ACCEPT"
			}
		}
	}
	slices.Sort(lines[1:])
	return lines
}

// accept is the Sec-WebSocket-Accept for a key.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// frameLines decodes frames, of which the last may be unfinished. Where the
// fragments of a message are cut is left out, unless it is asked for.
func frameLines(b []byte, fragments bool) (lines []string) {
	var message *frame // in progress
	for len(b) > 0 {
		f, n := parseFrame(b)
		if n == 0 {
			lines = append(lines, fmt.Sprintf("a part of a frame: % x", b[:min(len(b), 20)]))
			break
		}
		b = b[n:]
		switch {
		case fragments || f.op&8 != 0 || f.fin && f.op != 0:
			lines = append(lines, f.String())
		case f.op != 0:
			message = &f
		case message == nil:
			lines = append(lines, f.String())
		default:
			message.payload = append(message.payload, f.payload...)
			if f.fin {
				message.fin = true
				lines = append(lines, message.String()+", in fragments")
				message = nil
			}
		}
	}
	if message != nil {
		lines = append(lines, message.String())
	}
	return lines
}

type frame struct {
	fin, masked bool
	rsv         byte // the three bits
	op          byte
	payload     []byte
}

// parseFrame decodes the frame at the start of b, and returns its size, or 0 where b is too short.
func parseFrame(b []byte) (f frame, size int) {
	if len(b) < 2 {
		return f, 0
	}
	f.fin, f.rsv, f.op = b[0]&0x80 != 0, b[0]&0x70, b[0]&0xf
	length, n := uint64(b[1]&0x7f), 2
	switch {
	case length == 126 && len(b) >= 4:
		length, n = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127 && len(b) >= 10:
		length, n = binary.BigEndian.Uint64(b[2:]), 10
	case length >= 126:
		return f, 0
	}
	var key [4]byte
	if b[1]&0x80 != 0 && len(b) >= n+4 {
		f.masked, key = true, [4]byte(b[n:])
		n += 4
	}
	if uint64(len(b)-n) < length {
		return f, 0
	}
	size = n + int(length)
	f.payload = slices.Clone(b[n:size])
	for i := range f.payload {
		f.payload[i] ^= key[i%4]
	}
	if f.fin && f.rsv == 0x40 && f.op&8 == 0 {
		f.payload = inflate(f.payload) // what a compressor makes of it is its own business
	}
	return f, size
}

var opcodes = map[byte]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}

func (f frame) String() string {
	s, ok := opcodes[f.op]
	if !ok {
		s = fmt.Sprintf("opcode %d", f.op)
	}
	if f.masked {
		s += " masked"
	}
	for i := range 3 {
		if f.rsv&(0x40>>i) != 0 {
			s += fmt.Sprintf(" rsv%d", i+1)
		}
	}
	if !f.fin {
		s += " unfinished"
	}
	switch {
	case f.op == closeMessage && len(f.payload) >= 2:
		return fmt.Sprintf("%s %d %s", s, binary.BigEndian.Uint16(f.payload), show(f.payload[2:]))
	case len(f.payload) > showAll:
		return fmt.Sprintf("%s %d bytes", s, len(f.payload))
	}
	return s + " " + show(f.payload)
}

// inflate returns what was compressed without a window from before (RFC 7692, 7.2.2).
func inflate(p []byte) []byte {
	tail := "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	inflated, err := io.ReadAll(flate.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader(tail)))))
	if err != nil {
		return fmt.Appendf(nil, "cannot be inflated: %v", err)
	}
	return inflated
}

// showAll is how many bytes a transcript shows. Of more it shows the checksum.
const showAll = 130

// show quotes bytes for a transcript.
func show(p []byte) string {
	if len(p) > showAll {
		return fmt.Sprintf("%d bytes with the checksum %08x", len(p), crc32.ChecksumIEEE(p))
	}
	return fmt.Sprintf("%q", p)
}
