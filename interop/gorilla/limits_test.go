package gorilla

import "time"

var _ = scenes(
	scenario{name: "read limit", run: func(x *exchange) {
		x.connect()
		x.server.SetReadLimit(10)
		x.client.write(textMessage, filler(10))
		x.client.write(textMessage, filler(11))
		x.server.readAll()
		x.server.write(textMessage, "x")
		x.client.readAll()
	}},
	scenario{name: "read limit of a client", run: func(x *exchange) {
		x.connect()
		x.client.SetReadLimit(10)
		x.server.write(binaryMessage, filler(11))
		x.client.readAll()
		x.server.readAll()
	}},
	scenario{name: "read limit over fragments", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.server.SetReadLimit(10)
		x.client.sendRaw(x.client.frame(0x01, "12345") + x.client.frame(0x00, "") + x.client.frame(0x80, "67890"))
		x.client.sendRaw(x.client.frame(0x01, "12345") + x.client.frame(0x00, "67890") + x.client.frame(0x80, "!"))
		x.server.read()
		r := x.server.reader()
		r.read(3)
		r.all()
		r.one()
		x.server.readAll()
	}},
	scenario{name: "read limit of what is discarded", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.server.SetReadLimit(5000)
		x.client.sendRaw(x.client.frame(0x01, filler(3000)) + x.client.frame(0x80, filler(3000)))
		x.client.end()
		x.server.reader().read(10)
		x.server.readAll()
	}},
	scenario{name: "read limit that is changed and lifted", run: func(x *exchange) {
		x.connect()
		for _, limit := range []int64{100, 10, 0, -1} {
			x.server.SetReadLimit(limit)
			x.client.write(textMessage, filler(10))
			x.server.read()
		}
		x.client.write(textMessage, filler(3000))
		x.server.read()
		x.server.SetReadLimit(10)
		x.client.write(textMessage, filler(3000))
		x.server.read()
	}},
	scenario{name: "read limit and control frames", run: func(x *exchange) {
		x.connect()
		x.server.SetReadLimit(10)
		x.client.control(pingMessage, filler(125), time.Time{})
		x.client.write(textMessage, filler(10))
		x.server.read()
	}},
	scenario{name: "read limit where the program has not set one", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.client.sendHex("82 ff 0000000002000001 00000000 00") // 32 MiB and a byte
		x.client.end()
		x.server.readAll()
	}},
)
