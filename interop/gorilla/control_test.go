package gorilla

import (
	"errors"
	"fmt"
	"time"
)

// showHandlers notes what comes in control messages, and answers as the default does.
func (s *side) showHandlers() {
	ping, pong, closed := s.PingHandler(), s.PongHandler(), s.CloseHandler()
	s.SetPingHandler(func(data string) error {
		err := ping(data)
		s.note("ping handler %s, the default one: %s", show([]byte(data)), s.lib.describe(err))
		return err
	})
	s.SetPongHandler(func(data string) error {
		err := pong(data)
		s.note("pong handler %s, the default one: %s", show([]byte(data)), s.lib.describe(err))
		return err
	})
	s.SetCloseHandler(func(code int, text string) error {
		err := closed(code, text)
		s.note("close handler %d %q, the default one: %s", code, text, s.lib.describe(err))
		return err
	})
}

// ways are the two directions.
func (x *exchange) ways() [][2]*side { return [][2]*side{{x.client, x.server}, {x.server, x.client}} }

var _ = scenes(
	scenario{name: "pings and pongs", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			from, to := way[0], way[1]
			from.showHandlers()
			for _, data := range []string{"", "hello", filler(125)} {
				from.control(pingMessage, data, time.Time{})
				from.control(pongMessage, data, time.Time{})
			}
			from.control(pingMessage, filler(126), time.Time{})
			from.control(pongMessage, filler(126), time.Time{})
			from.write(pingMessage, "by WriteMessage")
			from.write(pongMessage, "by WriteMessage")
			from.write(pingMessage, filler(126))
			from.write(textMessage, "the end")
			to.read()
			to.write(textMessage, "the answers are there")
			from.read()
		}
	}},
	scenario{name: "handlers are called in the middle of a message", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			from, to := way[0], way[1]
			to.showHandlers()
			w := from.writer(textMessage)
			w.write(filler(5000))
			from.control(pingMessage, "between fragments", time.Now().Add(time.Minute))
			from.control(pongMessage, "between fragments", time.Now().Add(time.Minute))
			w.close()
			to.read()
		}
	}},
	scenario{name: "handlers that were set", run: func(x *exchange) {
		x.connect()
		s := x.server
		s.SetPingHandler(func(data string) error { s.note("ping %q", data); return nil })
		s.SetPongHandler(func(data string) error { s.note("pong %q", data); return nil })
		s.SetCloseHandler(func(code int, text string) error { s.note("close %d %q", code, text); return nil })
		x.client.control(pingMessage, "a", time.Time{})
		x.client.control(pongMessage, "b", time.Time{})
		x.client.closing(4000, "c")
		s.readAll()
		s.write(textMessage, "no Close frame has gone out")
		s.noteErr("CloseHandler", s.CloseHandler()(1000, ""))
		s.write(textMessage, "still none")
		x.client.read()
		x.client.read()
	}},
	scenario{name: "handlers that were set and unset", run: func(x *exchange) {
		x.connect()
		s := x.server
		s.SetPingHandler(func(string) error { return errors.New("ping handler") })
		s.SetPongHandler(func(string) error { return errors.New("pong handler") })
		s.SetCloseHandler(func(int, string) error { return errors.New("close handler") })
		s.SetPingHandler(nil)
		s.SetPongHandler(nil)
		s.SetCloseHandler(nil)
		x.client.control(pingMessage, "a", time.Time{})
		x.client.control(pongMessage, "b", time.Time{})
		x.client.closing(1000, "c")
		s.readAll()
		x.client.readAll()
	}},
	scenario{name: "a ping handler's error", run: func(x *exchange) {
		x.connect()
		x.server.SetPingHandler(func(string) error { return errors.New("enough") })
		x.client.control(pingMessage, "", time.Time{})
		x.client.write(textMessage, "not read")
		x.server.readAll()
		x.server.write(textMessage, "writing goes on")
		x.client.read()
	}},
	scenario{name: "a pong handler's error", run: func(x *exchange) {
		x.connect()
		x.client.SetPongHandler(func(string) error { return errors.New("enough") })
		x.client.control(pingMessage, "", time.Time{})
		x.client.write(textMessage, "hello")
		x.server.read()
		x.client.readAll()
	}},
	scenario{name: "a pong handler's error within a message", run: func(x *exchange) {
		x.connect()
		x.client.SetPongHandler(func(string) error { return errors.New("enough") })
		w := x.server.begun()
		x.server.control(pongMessage, "", time.Time{})
		w.close()
		r := x.client.reader()
		r.read(4000)
		r.all()
		r.one()
		x.client.readAll()
	}},
	scenario{name: "a close handler's error", run: func(x *exchange) {
		x.connect()
		x.server.SetCloseHandler(func(code int, text string) error {
			return fmt.Errorf("closed with %d %s", code, text)
		})
		x.client.closing(1001, "bye")
		x.server.readAll()
		x.server.write(textMessage, "writing goes on")
		x.client.read()
	}},
	scenario{name: "a handler that sends", run: func(x *exchange) {
		x.connect()
		x.server.SetPingHandler(func(data string) error {
			x.server.write(textMessage, "pinged with "+data)
			x.server.control(pongMessage, data, time.Now().Add(time.Minute))
			return nil
		})
		x.client.showHandlers()
		x.client.control(pingMessage, "a", time.Time{})
		x.client.write(textMessage, "b")
		x.server.read()
		x.client.read()
		x.server.write(textMessage, "the end")
		x.client.read()
	}},
	scenario{name: "default handlers that a program calls", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			s.noteErr("PingHandler", s.PingHandler()("data"))
			s.noteErr("PongHandler", s.PongHandler()("data"))
			s.noteErr("CloseHandler", s.CloseHandler()(1008, "text"))
			s.noteErr("PingHandler", s.PingHandler()("data"))
			s.noteErr("CloseHandler", s.CloseHandler()(1000, "text"))
			s.write(textMessage, "x")
		}
		x.client.readAll()
		x.server.readAll()
	}},
	scenario{name: "default handlers after Close", run: func(x *exchange) {
		x.connect()
		x.client.close()
		x.client.noteErr("PongHandler", x.client.PongHandler()("data"))
		x.client.noteErr("CloseHandler", x.client.CloseHandler()(1000, ""))
		x.client.noteErr("PingHandler", x.client.PingHandler()("data"))
	}},
	scenario{name: "a pong that is owed when the connection is closed", run: func(x *exchange) {
		x.connect()
		x.client.closing(1000, "")
		x.server.control(pingMessage, "too late to answer", time.Time{})
		x.server.write(textMessage, "hello")
		x.client.read()
		x.server.read()
		x.client.read()
	}},
)
