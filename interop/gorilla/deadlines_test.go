package gorilla

import (
	"sync"
	"time"
)

func (s *side) readDeadline(t time.Time)  { s.noteErr("SetReadDeadline", s.SetReadDeadline(t)) }
func (s *side) writeDeadline(t time.Time) { s.noteErr("SetWriteDeadline", s.SetWriteDeadline(t)) }

var _ = scenes(
	scenario{name: "read deadline", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			s.readDeadline(time.Now().Add(time.Hour))
			s.readDeadline(past)
			s.readAll()
			_, _, err := s.NextReader()
			s.noteErr("NextReader", err)
		}
	}},
	scenario{name: "read deadline that is lifted in time", run: func(x *exchange) {
		x.connect()
		x.server.readDeadline(past)
		x.server.readDeadline(time.Time{})
		x.client.write(textMessage, "hello")
		x.server.read()
	}},
	scenario{name: "read deadline that passes and is lifted", run: func(x *exchange) {
		x.connect()
		x.server.readDeadline(past)
		x.server.read()
		x.server.readDeadline(time.Time{})
		x.client.write(textMessage, "hello")
		x.server.read()
	}},
	scenario{name: "read deadline that passes during a read", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			var read sync.WaitGroup
			read.Go(func() { s.read() })
			err := s.SetReadDeadline(past)
			read.Wait()
			s.noteErr("SetReadDeadline", err)
		}
	}},
	scenario{name: "read deadline that passes during a message", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.client.sendRaw(x.client.frame(0x01, "hello"))
		r := x.server.reader()
		r.read(5)
		x.server.readDeadline(past)
		r.one()
		x.server.readDeadline(time.Time{})
		x.client.sendRaw(x.client.frame(0x80, ", world"))
		r.all()
	}},
	scenario{name: "ReadMessage and a deadline that passes during a message", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.server.SetPongHandler(func(string) error { return x.server.SetReadDeadline(past) })
		x.client.sendRaw(x.client.frame(0x01, "hello") + x.client.frame(0x8a, ""))
		x.server.read()
		x.fatal(x.server.SetReadDeadline(time.Time{}))
		x.client.sendRaw(x.client.frame(0x80, ", world"))
		x.server.read()
	}},
	scenario{name: "read deadline that the pong handler moves", run: func(x *exchange) {
		x.connect()
		s := x.server
		s.SetPongHandler(func(data string) error {
			s.note("pong %q", data)
			return s.SetReadDeadline(time.Time{})
		})
		x.client.control(pongMessage, "alive", time.Time{})
		x.client.write(textMessage, "hello")
		s.readDeadline(time.Now().Add(time.Hour))
		s.read()
	}},
	scenario{name: "writing after a read deadline", run: func(x *exchange) {
		x.connect()
		x.server.readDeadline(past)
		x.server.read()
		x.server.write(textMessage, "still possible")
		x.client.read()
	}},
	scenario{name: "write deadline", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			s.write(textMessage, "in time")
			s.writeDeadline(past)
			s.write(textMessage, "too late")
			s.writeDeadline(time.Time{})
			s.everyWrite()
		}
		x.client.read()
		x.server.read()
	}},
	scenario{name: "write deadline of a message writer", run: func(x *exchange) {
		x.connect()
		w := x.client.writer(textMessage)
		x.client.writeDeadline(past)
		w.write("buffered")
		w.close()
		w.close()
		w.write("x")
		x.client.write(textMessage, "x")
	}},
	scenario{name: "write deadline of a fragment", run: func(x *exchange) {
		x.connect()
		w := x.client.writer(textMessage)
		x.client.writeDeadline(past)
		w.write(filler(5000))
		w.write("x")
		w.close()
		w.close()
		x.client.write(textMessage, "x")
	}},
	scenario{name: "write deadline that is lifted in time", run: func(x *exchange) {
		x.connect()
		x.client.writeDeadline(past)
		x.client.writeDeadline(time.Time{})
		x.client.write(textMessage, "hello")
		x.client.writeDeadline(past)
		x.client.control(pingMessage, "has its own", time.Time{})
		x.client.writeDeadline(time.Now().Add(time.Hour))
		x.client.write(textMessage, "world")
		x.server.read()
		x.server.read()
	}},
	scenario{name: "write deadline and an answer to a ping", run: func(x *exchange) {
		x.connect()
		x.client.showHandlers()
		x.server.writeDeadline(past)
		x.client.control(pingMessage, "hello", time.Time{})
		x.client.write(textMessage, "hello")
		x.server.read()
		x.server.control(pingMessage, "hello", time.Time{})
		x.server.writeDeadline(time.Time{})
		x.server.write(textMessage, "hello")
		x.client.read()
	}},
	scenario{name: "WriteControl too late", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			for _, messageType := range []int{closeMessage, pingMessage, pongMessage} {
				s.control(messageType, "", past)
			}
			s.control(pingMessage, filler(126), past)
			s.control(textMessage, "", past)
		}
		exchanged(x, textMessage, "still good")
	}},
	scenario{name: "reading after a write deadline", run: func(x *exchange) {
		x.connect()
		x.server.writeDeadline(past)
		x.server.write(textMessage, "too late")
		x.client.control(pingMessage, "cannot be answered", time.Time{})
		x.client.write(textMessage, "hello")
		x.client.closing(1000, "")
		x.server.readAll()
	}},
	scenario{name: "writing to a peer that does not read", tcpOnly: true, run: func(x *exchange) {
		x.programsOnly = true // how much fits in between is the machine's business
		x.connect()
		big := make([]byte, 1<<20)
		var err error
		for err == nil { // each has its time, so that it passes within a message
			x.server.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			err = x.server.WriteMessage(binaryMessage, big)
		}
		x.server.noteErr("WriteMessage in the end", err)
		x.server.SetWriteDeadline(time.Time{})
		x.server.write(textMessage, "x")
		x.server.control(pingMessage, "x", time.Time{})
	}},
)
