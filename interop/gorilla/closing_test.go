package gorilla

import (
	"sync"
	"time"
)

// everyWrite notes the outcome of all ways to write.
func (s *side) everyWrite() {
	s.write(textMessage, "x")
	s.write(pingMessage, "x")
	s.write(closeMessage, "")
	s.control(pingMessage, "x", time.Time{})
	s.control(closeMessage, "", time.Now().Add(time.Minute))
	_, err := s.NextWriter(textMessage)
	s.noteErr("NextWriter", err)
	_, err = s.NextWriter(pingMessage)
	s.noteErr("NextWriter ping", err)
	s.writeJSON("x")
	prepared, err := s.lib.prepare(textMessage, []byte("x"))
	s.noteErr("NewPreparedMessage", err)
	s.noteErr("WritePreparedMessage", s.lib.send(s.conn, prepared))
}

var _ = scenes(
	scenario{name: "the client closes", run: func(x *exchange) {
		x.connect()
		x.client.showHandlers()
		x.server.showHandlers()
		x.client.closing(1000, "bye")
		x.server.readAll()
		x.client.readAll()
		x.server.close()
		x.client.close()
	}},
	scenario{name: "the server closes", run: func(x *exchange) {
		x.connect()
		x.client.showHandlers()
		x.server.showHandlers()
		x.server.closing(1001, "restart")
		x.client.readAll()
		x.server.readAll()
		x.client.close()
		x.server.close()
	}},
	scenario{name: "both close at the same time", run: func(x *exchange) {
		x.connect()
		x.client.closing(1000, "client")
		x.server.closing(1001, "server")
		x.client.readAll()
		x.server.readAll()
	}},
	scenario{name: "close by WriteMessage", run: func(x *exchange) {
		x.connect()
		x.client.write(closeMessage, string(x.client.lib.formatClose(1000, "bye")))
		x.server.readAll()
		x.client.readAll()
	}},
	scenario{name: "close with the longest reason", run: func(x *exchange) {
		x.connect()
		x.server.closing(4999, filler(124))
		x.server.closing(4999, filler(123))
		x.client.read()
		x.server.read()
	}},
	scenario{name: "close without a code", run: func(x *exchange) {
		x.connect()
		x.client.showHandlers()
		x.server.showHandlers()
		x.client.control(closeMessage, "", time.Time{})
		x.server.readAll()
		x.client.readAll()
	}},
	scenario{name: "close with 1005", run: func(x *exchange) {
		x.connect()
		x.client.closing(1005, "dropped")
		x.server.readAll()
		x.client.readAll()
	}},
	scenario{name: "writes after a Close frame", run: func(x *exchange) {
		x.connect()
		w := x.client.writer(textMessage)
		w.write("unfinished")
		x.client.closing(1000, "")
		w.write(" and stopped")
		w.write(filler(5000))
		w.close()
		w.close()
		x.client.everyWrite()
		x.server.read()
		x.server.everyWrite()
		x.client.read()
		x.client.everyWrite()
	}},
	scenario{name: "reads after a Close frame was sent", run: func(x *exchange) {
		x.connect()
		x.client.closing(1000, "")
		x.server.write(textMessage, "one more")
		x.server.write(binaryMessage, "and one")
		x.server.read()
		x.client.readAll()
	}},
	scenario{name: "a Close frame in the middle of a message", run: func(x *exchange) {
		x.connect()
		x.server.begun()
		x.server.closing(1001, "interrupted")
		x.client.readAll()
		x.server.readAll()
	}},
	scenario{name: "Close without a Close frame", run: func(x *exchange) {
		x.connect()
		x.client.close()
		x.client.close()
		x.client.readAll()
		x.server.readAll()
		x.server.close()
		x.server.readAll()
	}},
	scenario{name: "writes after Close", run: func(x *exchange) {
		x.connect()
		w := x.client.writer(textMessage)
		w.write("unfinished")
		x.client.close()
		w.write(" and stopped")
		w.close()
		x.client.write(textMessage, "x")
		x.client.write(textMessage, "x")
		x.client.control(pingMessage, "x", time.Now().Add(time.Minute))
		x.client.writeJSON("x")
		_, err := x.client.NextWriter(textMessage)
		x.client.noteErr("NextWriter", err)
	}},
	scenario{name: "a read after Close, behind a message that has come", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.client.sendRaw(x.client.frame(0x81, "one") + x.client.frame(0x81, "two"))
		x.server.read()
		x.server.close()
		x.server.read()
	}},
	scenario{name: "Close in the middle of a message", run: func(x *exchange) {
		x.connect()
		x.server.begun()
		x.server.close()
		x.client.readAll()
	}},
	scenario{name: "Close while reading", run: func(x *exchange) {
		for _, s := range []*side{x.client, x.server} {
			x.connect()
			var read sync.WaitGroup
			read.Go(func() { s.read() })
			err := s.Close()
			read.Wait()
			s.noteErr("Close", err)
			x.stopEnds()
		}
	}},
	scenario{name: "a reader after the connection was closed", run: func(x *exchange) {
		x.connect()
		x.client.write(textMessage, "hello")
		x.client.closing(1000, "")
		r := x.server.reader()
		r.all()
		x.server.readAll()
		r.one()
	}},
	scenario{name: "the end of the peer in what is discarded", ends: serverOnly, run: func(x *exchange) {
		x.connect()
		x.client.sendHex("81 fe 2000 00000000 68656c6c6f")
		x.client.end()
		r := x.server.reader()
		r.read(5)
		x.server.readAll()
		r.one()
	}},
	scenario{name: "an answer to a Close frame that finds a write at its end", ends: serverOnly, run: func(x *exchange) {
		x.stall = &stall{begun: make(chan struct{}), release: make(chan struct{})}
		x.connect()
		x.stall.armed.Store(true)
		var both sync.WaitGroup
		both.Go(func() { x.fatal(x.server.WriteMessage(textMessage, []byte("hello"))) })
		<-x.stall.begun
		x.client.sendRaw(x.client.frame(0x88, "\x03\xe8"))
		closed := make(chan struct{})
		both.Go(func() {
			x.server.readAll()
			x.server.Close()
			close(closed)
		})
		select { // who does not wait for the write closes before it has returned
		case <-closed:
		case <-time.After(50 * time.Millisecond):
		}
		close(x.stall.release)
		both.Wait()
	}},
	scenario{name: "close codes", run: func(x *exchange) {
		for _, code := range []int{0, 999, 1000, 1001, 1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1011,
			1012, 1013, 1015, 1016, 2999, 3000, 3999, 4000, 4999, 5000, 65535} {
			x.connect()
			x.client.closing(code, "reason")
			x.server.read()
			x.client.read()
			x.stopEnds()
		}
	}},
	scenario{name: "close code 1014", run: func(x *exchange) {
		x.connect()
		x.client.closing(1014, "reason")
		x.server.read()
		x.client.read()
	}},
)
