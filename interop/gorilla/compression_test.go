package gorilla

import (
	"bytes"
	"compress/flate"
	"net/http"
	"strings"
	"time"
)

var _ = scenes(
	scenario{name: "compression that nobody asked for", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			s.EnableWriteCompression(true)
			s.EnableWriteCompression(false)
			for level := -4; level <= 11; level++ {
				s.noteErr("SetCompressionLevel", s.SetCompressionLevel(level))
			}
			s.EnableWriteCompression(true)
		}
		exchanged(x, textMessage, filler(1000))
	}},
	scenario{name: "compression that only the client asks for", run: func(x *exchange) {
		x.dialer.EnableCompression = true
		x.connect()
		exchanged(x, textMessage, filler(1000))
	}},
	scenario{name: "compression that only the server asks for", run: func(x *exchange) {
		x.upgrader.EnableCompression = true
		x.connect()
		exchanged(x, textMessage, filler(1000))
	}},
	scenario{name: "compression", run: func(x *exchange) {
		x.dialer.EnableCompression = true
		x.upgrader.EnableCompression = true
		x.connect()
		exchanged(x, textMessage, filler(1000))
		exchanged(x, binaryMessage, "")
		for _, s := range []*side{x.client, x.server} {
			s.EnableWriteCompression(false)
		}
		exchanged(x, textMessage, filler(1000))
		for _, s := range []*side{x.client, x.server} {
			s.EnableWriteCompression(true)
			s.noteErr("SetCompressionLevel", s.SetCompressionLevel(9))
		}
		exchanged(x, textMessage, filler(1000))
	}},
	scenario{name: "compression at every level", run: func(x *exchange) {
		x.compress()
		x.connect()
		for level := -2; level <= 9; level++ {
			for _, s := range []*side{x.client, x.server} {
				s.noteErr("SetCompressionLevel", s.SetCompressionLevel(level))
			}
			exchanged(x, textMessage, filler(1000))
		}
	}},
	scenario{name: "compression of short messages", run: func(x *exchange) {
		x.compress()
		x.connect()
		for _, m := range []string{"a", "hello", "aaaaaaaaaa"} {
			exchanged(x, textMessage, m)
		}
		x.client.control(pingMessage, strings.Repeat("a", 100), time.Time{})
		x.client.closing(1000, strings.Repeat("a", 100))
		x.server.readAll()
		x.client.readAll()
	}},
	scenario{name: "compression of large messages", run: func(x *exchange) {
		x.compress()
		x.connect()
		exchanged(x, binaryMessage, strings.Repeat("a", 1<<20))
	}},
	scenario{name: "compression of a large JSON value", run: func(x *exchange) {
		x.compress()
		x.connect()
		for _, way := range x.ways() {
			way[0].writeJSON(strings.Repeat("a", 3000))
			var s string
			way[1].noteErr("ReadJSON", way[1].ReadJSON(&s))
			way[1].note("the value is %s", show([]byte(s)))
		}
	}},
	scenario{name: "compression of prepared messages", run: func(x *exchange) {
		x.compress()
		x.connect()
		for _, way := range x.ways() {
			way[0].prepared(textMessage, []byte(filler(1000)))
			way[1].read()
			way[0].EnableWriteCompression(false)
			way[0].prepared(textMessage, []byte(filler(1000)))
			way[1].read()
		}
	}},
	scenario{name: "compression of what a message writer writes", run: func(x *exchange) {
		x.programsOnly = true // where the fragments are cut depends on the compressor
		x.compress()
		x.connect()
		for _, way := range x.ways() {
			w := way[0].writer(textMessage)
			for range 5 {
				w.write(filler(2000))
			}
			way[0].control(pingMessage, "ping", time.Time{})
			w.write(filler(7000))
			way[0].EnableWriteCompression(false) // not for a message that has begun
			w.close()
			way[1].read()
			exchanged(x, textMessage, filler(1000))
		}
	}},
	scenario{name: "compressed messages that are read in pieces", run: func(x *exchange) {
		x.compress()
		x.connect()
		for range 3 {
			x.client.write(textMessage, filler(3000))
		}
		r := x.server.reader()
		r.read(100)
		r.read(1000)
		x.server.reader().all()
		r.one()
		x.server.read()
	}},
	scenario{name: "read limit of a compressed message", run: func(x *exchange) {
		x.compress()
		x.connect()
		x.server.SetReadLimit(999)
		x.client.write(textMessage, strings.Repeat("a", 999))
		x.client.write(textMessage, strings.Repeat("a", 1000))
		x.client.closing(1000, "")
		x.server.readAll()
		x.client.readAll()
	}},
)

// compress has both libraries ask for compression.
func (x *exchange) compress() {
	x.dialer.EnableCompression = true
	x.upgrader.EnableCompression = true
}

// deflated is a message as its frame has it, compressed without a window from before.
func deflated(text string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write([]byte(text))
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// compressedFrames are what a raw end sends, as frames for s.frame.
var compressedFrames = []struct {
	name   string
	frames func(s *side) string
}{
	{"a compressed message", func(s *side) string { return s.frame(0xc1, deflated("hello")) }},
	{"an empty compressed message", func(s *side) string { return s.frame(0xc1, "\x00") }},
	{"a compressed message in fragments", func(s *side) string {
		p := deflated("hello, hello")
		return s.frame(0x41, p[:3]) + s.frame(0x89, "ping") + s.frame(0x00, "") + s.frame(0x80, p[3:])
	}},
	{"messages with and without compression", func(s *side) string {
		return s.frame(0xc1, deflated("one")) + s.frame(0x82, "two") + s.frame(0xc2, deflated("three"))
	}},
	{"RSV1 on a continuation", func(s *side) string { return s.frame(0x41, deflated("hello")) + s.frame(0xc0, "") }},
	{"RSV1 on a ping, with compression", func(s *side) string { return s.frame(0xc9, "hello") }},
	{"RSV2 with compression", func(s *side) string { return s.frame(0xa1, "hello") }},
	{"compressed text that is not UTF-8", func(s *side) string { return s.frame(0xc1, deflated("\xff")) }},
	{"a corrupt compressed message", func(s *side) string { return s.frame(0xc1, "\x07") + s.frame(0x81, "behind it") }},
}

var _ = func() bool {
	for _, c := range compressedFrames {
		scenes(scenario{name: c.name + ", to a server", ends: serverOnly, run: func(x *exchange) {
			x.upgrader.EnableCompression = true
			x.rawRequest(request(alone))
			x.client.sendRaw(c.frames(x.client) + x.client.frame(0x88, ""))
			x.client.end()
			x.server.readAll()
			x.server.write(textMessage, "x")
		}}, scenario{name: c.name + ", to a client", ends: clientOnly, run: func(x *exchange) {
			x.dialer.EnableCompression = true
			x.answerWith(strings.Replace(good, "\r\n\r\n", "\r\n"+alone+"\r\n\r\n", 1))
			x.connect()
			x.server.sendRaw(c.frames(x.server) + x.server.frame(0x88, ""))
			x.server.end()
			x.client.readAll()
			x.client.write(textMessage, "x")
		}})
	}
	return true
}()

// compressionOffers are Sec-WebSocket-Extensions of requests.
var compressionOffers = []string{
	"permessage-deflate",
	"permessage-deflate; client_max_window_bits",
	"permessage-deflate; server_no_context_takeover",
	"x-unknown, permessage-deflate; client_no_context_takeover",
	"permessage-deflate; server_max_window_bits=10",
	"permessage-deflate; unknown",
	"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=12",
	"Permessage-Deflate",
}

// compressionAnswers are Sec-WebSocket-Extensions of answers to a client that offers compression.
var compressionAnswers = []string{
	"permessage-deflate; client_no_context_takeover; server_no_context_takeover",
	"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
	"permessage-deflate",
	"permessage-deflate; server_no_context_takeover",
	"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12",
	"permessage-deflate; server_no_context_takeover; client_no_context_takeover; unknown",
	"x-unknown",
}

var _ = func() bool {
	for _, offer := range compressionOffers {
		scenes(scenario{name: "the offer " + offer, ends: serverOnly, run: func(x *exchange) {
			x.upgrader.EnableCompression = true
			x.rawRequest(request("Sec-WebSocket-Extensions: " + offer))
		}})
	}
	for _, answer := range compressionAnswers {
		scenes(scenario{name: "the answer " + answer, ends: clientOnly, run: func(x *exchange) {
			x.dialer.EnableCompression = true
			x.answer = func(r *http.Request) string {
				return strings.Replace(switching(r), "\r\n\r\n", "\r\nSec-WebSocket-Extensions: "+answer+"\r\n\r\n", 1)
			}
			x.handshake()
		}})
	}
	return true
}()
