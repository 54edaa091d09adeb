package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
)

// The limits do the least that a server can do with the same connections, and
// check nothing. No library can be expected to need less.

var limitRaw = &library{
	name:  "raw",
	about: "limit: sends back the bytes that it reads; one goroutine per connection on a net.Conn",
	limit: true,
	servers: servers{
		patternEcho:      perConnection(rawEcho),
		patternBroadcast: rawBroadcast(),
		patternContended: perConnection(rawContended),
	},
}

var limitFrame = &library{
	name:    "frame",
	about:   "limit: parses frames, unmasks in place, answers all that one read brought with one write",
	limit:   true,
	servers: servers{patternEcho: perConnection(func(nc net.Conn) { frameEcho(nc, together) })},
}

var limitFrame1 = &library{
	name:    "frame1",
	about:   "limit: parses frames, unmasks in place, answers each with a write of its own",
	limit:   true,
	servers: servers{patternEcho: perConnection(func(nc net.Conn) { frameEcho(nc, each) })},
}

var limitFrame1New = &library{
	name:    "frame1-new",
	about:   "limit: frame1 that takes new memory for each message, as ReadMessage has to",
	limit:   true,
	servers: servers{patternEcho: perConnection(func(nc net.Conn) { frameEcho(nc, eachInNewMemory) })},
}

var limitLean = &library{
	name:    "lean",
	about:   "limit: a parked goroutine per connection on a bare net.Conn, and nothing else",
	limit:   true,
	servers: servers{patternIdle: perConnection(leanEcho)},
}

var limitHijack = &library{
	name:    "hijack",
	about:   "limit: the minimal handler of net/http: hijacks, answers 101, reads to the end",
	limit:   true,
	servers: servers{patternHandshake: onHTTP(hijack)},
}

// acceptKey is the answer to a client's key (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func switchingProtocols(key string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(key) + "\r\n\r\n"
}

// handshake answers the client's opening handshake on a connection of its own.
func handshake(nc net.Conn) error {
	r := bufio.NewReaderSize(nc, 1<<10)
	var key string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "\r\n" {
			_, err := nc.Write([]byte(switchingProtocols(key)))
			return err
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Sec-WebSocket-Key") {
			key = strings.TrimSpace(value)
		}
	}
}

func hijack(w http.ResponseWriter, r *http.Request) {
	nc, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer nc.Close()
	b := append([]byte(nil), switchingProtocols(r.Header.Get("Sec-WebSocket-Key"))...)
	if _, err := nc.Write(b); err != nil {
		return
	}
	nc.Read(b[:1])
}

func rawEcho(nc net.Conn) {
	defer nc.Close()
	if handshake(nc) != nil {
		return
	}
	b := make([]byte, framerMin)
	for {
		n, err := nc.Read(b)
		if err != nil {
			return
		}
		if _, err := nc.Write(b[:n]); err != nil {
			return
		}
		if n == len(b) && n < framerMax {
			b = make([]byte, 2*n) // there is probably more
		}
	}
}

// rawBroadcast sends the bytes of a frame, unmasked, to all.
func rawBroadcast() func(net.Listener) error {
	var all room[net.Conn]
	return perConnection(func(nc net.Conn) {
		defer nc.Close()
		if handshake(nc) != nil {
			return
		}
		all.join(nc)
		defer all.leave(nc)
		var in framer
		for {
			err := in.read(nc)
			if err != nil {
				return
			}
			for {
				frame := in.next()
				if frame == nil {
					break
				}
				all.each(func(nc net.Conn) error { _, err := nc.Write(frame); return err })
			}
		}
	})
}

// rawContended writes a ready frame; the lock is that which net.Conn has for writes.
func rawContended(nc net.Conn) {
	defer nc.Close()
	if handshake(nc) != nil {
		return
	}
	if _, err := nc.Read(make([]byte, 256)); err != nil {
		return
	}
	frame := append(appendHeader(nil, finBit|opBinary, contendedSize, 0), make([]byte, contendedSize)...)
	contend(func() error { _, err := nc.Write(frame); return err })
}

// answering is what frameEcho makes of the frames that one read brought.
type answering int

const (
	each answering = iota
	eachInNewMemory
	together
)

// frameEcho answers frames.
func frameEcho(nc net.Conn, how answering) {
	defer nc.Close()
	if handshake(nc) != nil {
		return
	}
	var in framer
	for {
		if in.read(nc) != nil {
			return
		}
		var out []byte
		for {
			frame := in.next()
			if frame == nil {
				break
			}
			switch {
			case how != together:
				if how == eachInNewMemory {
					frame = append([]byte(nil), frame...)
				}
				if _, err := nc.Write(frame); err != nil {
					return
				}
			case out == nil:
				out = frame
			default:
				out = append(out, frame...) // in place: it is never longer than what came
			}
		}
		if out == nil {
			continue
		}
		if _, err := nc.Write(out); err != nil {
			return
		}
	}
}

// framer turns frames of a client into frames of a server, in place.
type framer struct {
	buf        []byte
	start, end int // of what was read and is not consumed yet
}

// The buffers of the limits grow as far as reads fill them, so that no connection
// walks over more memory than it needs.
const (
	framerMin = 4 << 10
	framerMax = 128 << 10
)

// read reads once, behind what there is already.
func (f *framer) read(nc net.Conn) error {
	switch {
	case f.buf == nil:
		f.buf = make([]byte, framerMin)
	case f.start == f.end:
		f.start, f.end = 0, 0
	case f.start > 0:
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	if h, n := parseFrameHeader(f.buf[f.start:f.end]); n > 0 && n+int(h.length) > len(f.buf) {
		f.grow(n + int(h.length))
	}
	n, err := nc.Read(f.buf[f.end:])
	f.end += n
	if f.start == 0 && f.end == len(f.buf) && f.end >= framerMin && f.end < framerMax {
		f.grow(2 * f.end) // there is probably more
	}
	return err
}

func (f *framer) grow(size int) {
	grown := make([]byte, size)
	copy(grown, f.buf[:f.end])
	f.buf = grown
}

// next returns the next complete frame as a server sends it, or nil.
func (f *framer) next() []byte {
	h, n := parseFrameHeader(f.buf[f.start:f.end])
	if n == 0 || f.end-f.start-n < int(h.length) {
		return nil
	}
	payload := f.buf[f.start+n : f.start+n+int(h.length)]
	maskWords(payload, h.key)
	first := f.start + n - serverHeaderSize(h.length)
	f.start += n + len(payload)
	appendHeader(f.buf[first:first], h.first, h.length, 0)
	return f.buf[first:f.start]
}

// leanEcho keeps a goroutine and the room for one small frame per connection. The
// handshake has a goroutine of its own, so that this one keeps its first stack.
func leanEcho(nc net.Conn) {
	if handshake(nc) != nil {
		nc.Close()
		return
	}
	go leanServe(nc)
}

func leanServe(nc net.Conn) {
	in := framer{buf: make([]byte, leanSize)}
	for in.read(nc) == nil {
		for {
			frame := in.next()
			if frame == nil {
				break
			}
			if frame[0] == finBit|opPing {
				frame[0] = finBit | opPong
			}
			nc.Write(frame) // where it fails, so does the next read
		}
	}
	nc.Close()
}

// leanSize is room for the message of the idle scenarios.
const leanSize = 48
