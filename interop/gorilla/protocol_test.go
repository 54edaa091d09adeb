package gorilla

import (
	"fmt"
	"strings"
)

// violations are what a raw end sends, as frames for s.frame.
var violations = []struct {
	name   string
	frames func(s *side) string
}{
	{"reserved bit RSV1", func(s *side) string { return s.frame(0xc1, "hello") }},
	{"reserved bit RSV2", func(s *side) string { return s.frame(0xa1, "hello") }},
	{"reserved bit RSV3", func(s *side) string { return s.frame(0x91, "hello") }},
	{"all reserved bits", func(s *side) string { return s.frame(0xf1, "hello") }},
	{"a reserved bit on a ping", func(s *side) string { return s.frame(0xa9, "") }},
	{"a reserved bit on a continuation", func(s *side) string { return s.frame(0x01, "a") + s.frame(0x90, "b") }},
	{"opcode 3", func(s *side) string { return s.frame(0x83, "hello") }},
	{"opcode 7", func(s *side) string { return s.frame(0x87, "") }},
	{"opcode 11", func(s *side) string { return s.frame(0x8b, "") }},
	{"opcode 15", func(s *side) string { return s.frame(0x8f, "") }},
	{"opcode 3 in a message", func(s *side) string { return s.frame(0x01, "a") + s.frame(0x83, "") }},
	{"a ping of 126 bytes", func(s *side) string { return s.frame(0x89, filler(126)) }},
	{"a pong of 126 bytes", func(s *side) string { return s.frame(0x8a, filler(126)) }},
	{"a close of 126 bytes", func(s *side) string { return s.frame(0x88, "\x03\xe8"+filler(124)) }},
	{"a ping in fragments", func(s *side) string { return s.frame(0x09, "a") + s.frame(0x80, "b") }},
	{"a close in fragments", func(s *side) string { return s.frame(0x08, "\x03\xe8") + s.frame(0x80, "") }},
	{"a continuation of nothing", func(s *side) string { return s.frame(0x80, "hello") }},
	{"a continuation behind a message", func(s *side) string { return s.frame(0x81, "hello") + s.frame(0x00, "hello") }},
	{"a text in a text", func(s *side) string { return s.frame(0x01, "one") + s.frame(0x81, "two") }},
	{"a binary in a text", func(s *side) string { return s.frame(0x01, "one") + s.frame(0x02, "two") }},
	{"a close of 1 byte", func(s *side) string { return s.frame(0x88, "x") }},
	{"a close with a reason that is not UTF-8", func(s *side) string { return s.frame(0x88, "\x03\xe8\xff") }},
	{"a close with code 1005", func(s *side) string { return s.frame(0x88, "\x03\xed") }},
	{"a close with code 999", func(s *side) string { return s.frame(0x88, "\x03\xe7bye") }},
	{"a text that is not UTF-8 over fragments", func(s *side) string { return s.frame(0x01, "\xe2\x82") + s.frame(0x80, "x") }},
	{"a character over fragments", func(s *side) string { return s.frame(0x01, "\xe2\x82") + s.frame(0x80, "\xac") + s.frame(0x88, "") }},
	{"a text that ends in a character", func(s *side) string { return s.frame(0x81, "\xe2\x82") + s.frame(0x88, "") }},
	{"empty fragments", func(s *side) string {
		return s.frame(0x02, "") + s.frame(0x00, "") + s.frame(0x00, "x") + s.frame(0x80, "") + s.frame(0x88, "")
	}},
	{"1001 empty fragments", func(s *side) string {
		return s.frame(0x02, "") + strings.Repeat(s.frame(0x00, ""), 1000) + s.frame(0x80, "") + s.frame(0x88, "")
	}},
	{"pings without end", func(s *side) string { return strings.Repeat(s.frame(0x89, "hello"), 20) + s.frame(0x88, "") }},
	{"a message behind a close", func(s *side) string { return s.frame(0x88, "") + s.frame(0x81, "hello") }},
	{"two closes", func(s *side) string { return s.frame(0x88, "\x03\xe8one") + s.frame(0x88, "\x03\xe9two") }},
}

var _ = func() bool {
	for _, v := range violations {
		scenes(scenario{name: v.name + ", to a server", ends: serverOnly, run: func(x *exchange) {
			x.connect()
			x.client.sendRaw(v.frames(x.client))
			x.client.end()
			x.server.readAll()
			x.server.write(textMessage, "x")
		}}, scenario{name: v.name + ", to a client", ends: clientOnly, run: func(x *exchange) {
			x.connect()
			x.server.sendRaw(v.frames(x.server))
			x.server.end()
			x.client.readAll()
			x.client.write(textMessage, "x")
		}})
	}
	return true
}()

// headers are the first bytes of frames to a server, which then get no more.
var headers = []struct{ name, hex string }{
	{"no mask", "81 05 68656c6c6f"},
	{"no mask and a reserved bit", "c1 05 68656c6c6f"},
	{"no mask on a ping", "89 00"},
	{"the length 5 in two bytes", "81 fe 0005 00000000 68656c6c6f"},
	{"the length 5 in eight bytes", "81 ff 0000000000000005 00000000 68656c6c6f"},
	{"the length 1000 in eight bytes", "82 ff 00000000000003e8 00000000"},
	{"the length 2^63-1", "82 ff 7fffffffffffffff 00000000 00"},
	{"the length 2^63", "82 ff 8000000000000000 00000000 00"},
	{"the length 2^64-1", "82 ff ffffffffffffffff 00000000 00"},
	{"the length 2^63-1 in two fragments", "02 82 00000000 0000 80 ff 7fffffffffffffff 00000000 00"},
	{"a ping of 2^63 bytes", "89 ff 8000000000000000 00000000"},
}

var _ = func() bool {
	for _, h := range headers {
		scenes(scenario{name: "a frame with " + h.name, ends: serverOnly, run: func(x *exchange) {
			x.connect()
			x.server.SetReadLimit(0)
			x.client.sendHex(h.hex)
			x.client.end()
			x.server.readAll()
		}})
	}
	return scenes(
		scenario{name: "a masked frame to a client", ends: clientOnly, run: func(x *exchange) {
			x.connect()
			x.server.sendHex("81 85 01020304 696f6f686e")
			x.server.end()
			x.client.readAll()
		}},
		scenario{name: "masking keys", ends: serverOnly, run: func(x *exchange) {
			x.connect()
			x.client.sendHex("01 85 37fa213d 7f9f4d5158 80 82 ffffffff dede")
			x.server.read()
		}},
	)
}()

// unfinished are beginnings of what ends in the middle.
var unfinished = []struct{ name, hex string }{
	{"nothing", ""},
	{"the first byte", "81"},
	{"the length", "81 fe 04"},
	{"the long length", "81 ff 00000000"},
	{"the masking key", "81 85 0000"},
	{"the payload", "81 85 00000000 6865"},
	{"an empty payload", "81 85 00000000"},
	{"two fragments", "01 82 00000000 6865"},
	{"a continuation", "01 82 00000000 6865 80 83 00000000 6c"},
	{"a ping", "89 85 00000000 6865"},
	{"a ping in a message", "01 82 00000000 6865 89 85 00000000 68"},
	{"a close", "88 82 00000000 03"},
}

var _ = func() bool {
	for _, u := range unfinished {
		scenes(scenario{name: "an end in " + u.name, ends: serverOnly, run: func(x *exchange) {
			x.connect()
			x.client.sendHex(u.hex)
			x.client.end()
			x.server.readAll()
			x.server.write(textMessage, "writing goes on")
		}}, scenario{name: "an end in " + u.name + ", for NextReader", ends: serverOnly, run: func(x *exchange) {
			x.connect()
			x.client.sendHex(u.hex)
			x.client.end()
			if r := x.server.reader(); r.Reader != nil {
				r.all()
				r.one()
			}
			x.server.reader()
		}})
	}
	return true
}()

var _ = scenes(
	scenario{name: "reading on after an error", run: func(x *exchange) {
		x.connect()
		x.client.close()
		defer func() { x.server.note("panic: %v", recover()) }()
		for i := range 2000 {
			_, _, err := x.server.ReadMessage()
			if i == 0 || i == 1999 {
				x.server.noteErr(fmt.Sprintf("ReadMessage %d", i), err)
			}
		}
	}},
	scenario{name: "writing on after an error", run: func(x *exchange) {
		x.connect()
		x.client.close()
		x.client.write(textMessage, "x")
		for range 2000 {
			_ = x.client.WriteMessage(textMessage, nil)
		}
		x.client.write(textMessage, "x")
	}},
)
