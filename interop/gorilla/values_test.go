package gorilla

import (
	"bufio"
	"io"
	"math"
	"strings"
	"time"
)

var _ = scenes(
	scenario{name: "JSON values", run: func(x *exchange) {
		x.connect()
		type point struct {
			X, Y int
			Name string `json:"name,omitempty"`
		}
		for _, way := range x.ways() {
			way[0].writeJSON(point{1, 2, "<&>"})
			way[0].writeJSON([]any{nil, true, 1.5, "text", map[string]any{"b": 1, "a": 2}})
			way[0].writeJSON(nil)
			way[0].writeJSON(time.Unix(0, 0).UTC())
			x.client.noteErr("the deprecated WriteJSON", way[0].lib.oldWriteJSON(way[0].conn, 7))
			var p point
			way[1].readJSON(&p)
			var list any
			way[1].readJSON(&list)
			way[1].readJSON(&list)
			var at time.Time
			way[1].readJSON(&at)
			var n int
			x.client.noteErr("the deprecated ReadJSON", way[1].lib.oldReadJSON(way[1].conn, &n))
			x.client.note("the number is %d", n)
		}
	}},
	scenario{name: "a large JSON value", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			way[0].writeJSON(filler(10000))
			var s string
			err := way[1].ReadJSON(&s)
			way[1].note("ReadJSON: %s, %s", show([]byte(s)), way[1].lib.describe(err))
		}
	}},
	scenario{name: "messages that are no JSON", run: func(x *exchange) {
		x.connect()
		for _, m := range []string{"", " \n", "{", `"text`, "[1,", "no", "1 2", `{"a":1} trailing`, "[1]]", "\x00"} {
			x.client.write(textMessage, m)
			x.client.write(binaryMessage, m)
			var v any
			x.server.readJSON(&v)
			x.server.readJSON(&v)
		}
		x.client.write(textMessage, `"a string"`)
		n := 7
		x.server.readJSON(&n)
		x.client.write(textMessage, "1")
		x.server.noteErr("ReadJSON into no pointer", x.server.ReadJSON(n))
		x.client.write(textMessage, "1")
		x.server.noteErr("ReadJSON into nil", x.server.ReadJSON(nil))
		exchanged(x, textMessage, "still good")
	}},
	scenario{name: "a value that has no JSON", run: func(x *exchange) {
		x.connect()
		x.client.writeJSON(make(chan int))
		x.client.writeJSON(math.NaN())
		x.client.write(textMessage, "1")
		x.server.read()
	}},
	scenario{name: "JSON and the end of the connection", run: func(x *exchange) {
		x.connect()
		x.client.closing(1000, "")
		x.client.writeJSON(1)
		v := 7
		x.server.readJSON(&v)
		x.server.readJSON(&v)
		x.server.writeJSON(1)
		x.client.close()
		x.client.writeJSON(1)
		x.client.readJSON(&v)
	}},
	scenario{name: "JSON and the end in the middle of a message", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.client.sendRaw(x.client.frame(0x01, `{"a":`))
		x.client.end()
		var v any
		x.server.readJSON(&v)
		x.server.readJSON(&v)
	}},
	scenario{name: "JSON and a value that ends before its message", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.client.sendRaw(x.client.frame(0x01, "1 ") + x.client.frame(0x80, "2") + x.client.frame(0x81, "3"))
		var v any
		x.server.readJSON(&v)
		x.server.readJSON(&v)
	}},
)

var _ = scenes(
	scenario{name: "joined messages", run: func(x *exchange) {
		x.connect()
		for _, m := range []string{"one", "", "two", filler(3000), "three"} {
			x.client.write(textMessage, m)
		}
		x.client.closing(1000, "bye")
		p, err := io.ReadAll(x.server.lib.join(x.server.conn, ""))
		x.server.note("JoinMessages: %s, %s", show(p), x.server.lib.describe(err))
	}},
	scenario{name: "joined messages with a term", run: func(x *exchange) {
		x.connect()
		for _, m := range []string{"one", "", "two"} {
			x.client.write(binaryMessage, m)
		}
		x.client.close()
		lines := bufio.NewReader(x.server.lib.join(x.server.conn, "; "))
		for range 5 {
			p, err := lines.ReadString(' ')
			x.server.note("JoinMessages: %q, %s", p, x.server.lib.describe(err))
		}
	}},
	scenario{name: "prepared messages", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			data := []byte("prepared")
			s.prepared(textMessage, data)
			s.prepared(binaryMessage, nil)
			s.prepared(pingMessage, []byte("ping"))
			s.prepared(pingMessage, []byte(filler(125)))
			s.prepared(pingMessage, []byte(filler(126)))
			s.prepared(binaryMessage, []byte(filler(4000)))
			s.prepared(closeMessage, []byte("\x03\xe8bye"))
			s.prepared(textMessage, []byte("after Close"))
		}
		x.client.readAll()
		x.server.readAll()
	}},
	scenario{name: "a large prepared message", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			way[0].prepared(binaryMessage, []byte(filler(10000)))
			way[1].read()
		}
	}},
	scenario{name: "a prepared message while a writer is open", run: func(x *exchange) {
		x.connect()
		w := x.client.writer(textMessage)
		w.write("not closed")
		x.client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)) // see "a message while a writer is open"
		x.client.prepared(textMessage, []byte("prepared"))
		x.client.SetWriteDeadline(time.Time{})
		w.close()
		x.client.closing(1000, "")
		x.server.readAll()
	}},
	scenario{name: "a prepared message for several connections", run: func(x *exchange) {
		data := []byte(strings.Repeat("many ", 20))
		pm, err := x.server.lib.prepare(textMessage, data)
		x.server.noteErr("NewPreparedMessage", err)
		copy(data, "changed")
		for range 3 {
			x.connect()
			x.server.noteErr("WritePreparedMessage", x.server.lib.send(x.server.conn, pm))
			x.server.noteErr("WritePreparedMessage", x.server.lib.send(x.server.conn, pm))
			x.client.read()
			x.client.read()
		}
	}},
)

// prepared sends a prepared message, which does not change with data.
func (s *side) prepared(messageType int, data []byte) {
	pm, err := s.lib.prepare(messageType, data)
	s.noteErr("NewPreparedMessage "+messageTypes[messageType]+" "+show(data), err)
	if err != nil {
		return
	}
	clear(data)
	s.noteErr("WritePreparedMessage", s.lib.send(s.conn, pm))
}
