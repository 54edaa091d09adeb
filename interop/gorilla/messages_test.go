package gorilla

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing/iotest"
	"time"
)

// filler is n bytes of ASCII.
func filler(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789\n"
	return strings.Repeat(alphabet, n/len(alphabet)+1)[:n]
}

// exchanged has data go both ways. It is for any size: both ends read while the other writes.
func exchanged(x *exchange, messageType int, data string) {
	for _, way := range x.ways() {
		var written sync.WaitGroup
		written.Go(func() { way[0].write(messageType, data) })
		way[1].read()
		written.Wait()
	}
}

var _ = scenes(
	scenario{name: "messages of up to 4096 bytes", run: func(x *exchange) {
		x.connect()
		for _, size := range []int{0, 1, 2, 124, 125, 126, 127, 1000, 4000, 4082, 4083, 4096} {
			exchanged(x, textMessage, filler(size))
			exchanged(x, binaryMessage, filler(size))
		}
	}},
	scenario{name: "messages of more than 4096 bytes", run: func(x *exchange) {
		x.connect()
		for _, size := range []int{4097, 65535, 65536, 1 << 20} {
			exchanged(x, binaryMessage, filler(size))
		}
	}},
	scenario{name: "messages with buffers of 16 KiB", run: func(x *exchange) {
		x.upgrader.ReadBufferSize, x.upgrader.WriteBufferSize = 16<<10, 16<<10
		x.dialer.ReadBufferSize, x.dialer.WriteBufferSize = 16<<10, 16<<10
		x.upgrader.WriteBufferPool, x.dialer.WriteBufferPool = &sync.Pool{}, &sync.Pool{}
		x.connect()
		exchanged(x, binaryMessage, filler(16000))
		exchanged(x, textMessage, filler(40000))
	}},
	scenario{name: "messages with buffers of 16 bytes", run: func(x *exchange) {
		x.upgrader.ReadBufferSize, x.upgrader.WriteBufferSize = 16, 16
		x.dialer.ReadBufferSize, x.dialer.WriteBufferSize = 16, 16
		x.connect()
		exchanged(x, binaryMessage, filler(40))
	}},
	scenario{name: "text of several scripts", run: func(x *exchange) {
		x.connect()
		exchanged(x, textMessage, "Grüße, Ελλάδα, 世界, 😀, \x00 \u007f \ufffd")
	}},
	scenario{name: "binary messages of any bytes", run: func(x *exchange) {
		x.connect()
		exchanged(x, binaryMessage, "\x00\xff\xfe\x80\xc0\xed\xa0\x80")
	}},
	scenario{name: "text that is not UTF-8", run: func(x *exchange) {
		x.connect()
		x.client.write(textMessage, "\xff")
		x.server.read()
		x.client.write(textMessage, "good")
		x.server.read()
	}},
	scenario{name: "bad message types", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			for _, messageType := range []int{-1, 0, 3, 11} {
				s.write(messageType, "x")
				_, err := s.NextWriter(messageType)
				s.noteErr(fmt.Sprintf("NextWriter %d", messageType), err)
				_, err = s.lib.prepare(messageType, nil)
				s.noteErr(fmt.Sprintf("NewPreparedMessage %d", messageType), err)
				s.control(messageType, "x", time.Time{})
			}
			s.control(textMessage, "x", time.Time{})
			s.control(binaryMessage, "x", time.Time{})
		}
		exchanged(x, textMessage, "still good")
	}},
	scenario{name: "the caller's slice is left alone", run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			p := []byte("hello")
			s.noteErr("WriteMessage", s.WriteMessage(textMessage, p))
			s.noteErr("WriteControl", s.WriteControl(pingMessage, p, time.Time{}))
			w := s.writer(textMessage)
			_, err := w.Write(p)
			s.noteErr("Write", err)
			s.note("the slice is %q", p)
			copy(p, "other")
			w.close()
		}
		x.server.read()
		x.server.read()
	}},
)

var _ = scenes(
	scenario{name: "a message writer", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			w := way[0].writer(textMessage)
			w.write("one, ")
			w.write("")
			w.writeString("two, ")
			w.writeString("")
			w.readFrom(strings.NewReader("three"))
			w.close()
			way[1].read()
			w.write("x")
			w.writeString("x")
			w.readFrom(strings.NewReader("x"))
			w.close()
			way[0].writer(binaryMessage).close()
			way[1].read()
		}
	}},
	scenario{name: "a message writer of more than its buffer", run: func(x *exchange) {
		x.fragments = true
		x.connect()
		for _, way := range x.ways() {
			w := way[0].writer(textMessage)
			for range 6 {
				w.write(filler(2000))
			}
			w.close()
			way[1].read()
		}
	}},
	scenario{name: "a message writer that is just filled", run: func(x *exchange) {
		x.fragments = true
		x.connect()
		for _, size := range []int{4081, 4082, 4083, 4095, 4096, 4097} {
			w := x.server.writer(binaryMessage)
			w.write(filler(size - 1))
			w.write("x")
			w.close()
			x.client.read()
			w = x.server.writer(binaryMessage)
			w.write(filler(size))
			w.close()
			x.client.read()
		}
	}},
	scenario{name: "a message writer that is given much at once", run: func(x *exchange) {
		x.fragments = true
		x.connect()
		for _, way := range x.ways() {
			w := way[0].writer(binaryMessage)
			w.write("a little")
			w.write(filler(20000))
			w.write("a little")
			w.close()
			way[1].read()
		}
	}},
	scenario{name: "a message writer that reads", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			w := way[0].writer(textMessage)
			w.readFrom(iotest.OneByteReader(strings.NewReader("by bytes")))
			w.readFrom(iotest.DataErrReader(strings.NewReader(", with the end")))
			w.readFrom(iotest.ErrReader(errors.New("the source is broken")))
			w.readFrom(strings.NewReader(filler(10000)))
			w.close()
			way[1].read()
		}
	}},
	scenario{name: "a message writer that is forgotten", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			forgotten := way[0].writer(textMessage)
			forgotten.write("forgotten")
			w := way[0].writer(textMessage)
			w.write("the next")
			forgotten.write("x")
			forgotten.close()
			w.close()
			way[1].read()
			way[1].read()
		}
	}},
	scenario{name: "a message while a writer is open", run: func(x *exchange) {
		x.connect()
		w := x.client.writer(textMessage)
		w.write("not closed")
		// Where the message waits for the writer, it does so until the deadline.
		x.client.noteErr("SetWriteDeadline", x.client.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
		x.client.write(textMessage, "x")
		x.client.noteErr("SetWriteDeadline", x.client.SetWriteDeadline(time.Time{}))
		w.close()
		x.server.read()
	}},
	scenario{name: "control messages by a message writer", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			way[1].showHandlers()
			for _, messageType := range []int{pingMessage, pongMessage} {
				w := way[0].writer(messageType)
				w.write("he")
				w.writeString("ll")
				w.readFrom(strings.NewReader("o"))
				w.close()
			}
			for _, size := range []int{125, 126} {
				w := way[0].writer(pingMessage)
				w.write(filler(size))
				w.close()
				w.close()
			}
			way[0].write(textMessage, "after them")
			way[1].read()
		}
		w := x.client.writer(closeMessage)
		w.write("\x03\xe8bye")
		w.close()
		x.server.read()
		x.client.read()
	}},
	scenario{name: "a control message by a writer, long", run: func(x *exchange) {
		x.connect()
		w := x.client.writer(pingMessage)
		w.write(filler(1000))
		w.close()
		w = x.client.writer(pingMessage)
		w.readFrom(bytes.NewReader(make([]byte, 127)))
		w.close()
		exchanged(x, textMessage, "still good")
	}},
)

var _ = scenes(
	scenario{name: "a message reader", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			way[0].write(textMessage, "hello, world")
			way[0].write(binaryMessage, "")
			way[0].write(binaryMessage, "the last")
			first := way[1].reader()
			first.read(5)
			first.all()
			first.one()
			empty := way[1].reader()
			empty.all()
			last := way[1].reader()
			first.one()
			empty.one()
			last.all()
			last.one()
		}
	}},
	scenario{name: "messages that are not read to their end", run: func(x *exchange) {
		x.connect()
		for _, way := range x.ways() {
			way[0].write(textMessage, "hello, world")
			w := way[0].writer(binaryMessage)
			for range 4 {
				w.write(filler(3000))
			}
			w.close()
			way[0].write(textMessage, "the next")
			first := way[1].reader()
			first.read(5)
			second := way[1].reader()
			first.one()
			second.read(4000)
			way[1].read()
			first.one()
			second.one()
		}
	}},
	scenario{name: "a read of no bytes", run: func(x *exchange) {
		x.connect()
		x.client.write(textMessage, "hello")
		r := x.server.reader()
		n, err := r.Read(nil)
		x.server.note("Read of nothing: %d, %s", n, x.server.lib.describe(err))
		r.all()
	}},
	scenario{name: "reader and writer of io.Copy", run: func(x *exchange) {
		x.connect()
		x.client.write(binaryMessage, filler(3000))
		r := x.server.reader()
		w := x.server.writer(binaryMessage)
		n, err := io.Copy(w.WriteCloser, r.Reader)
		x.server.note("io.Copy: %d, %s", n, x.server.lib.describe(err))
		w.close()
		x.client.read()
	}},
	scenario{name: "the ends of the connection", tcpOnly: true, run: func(x *exchange) {
		x.connect()
		for _, s := range []*side{x.client, x.server} {
			s.note("NetConn is a %T, and UnderlyingConn the same: %v", s.NetConn(), s.UnderlyingConn() == s.NetConn())
			s.note("LocalAddr is that of NetConn: %v", s.LocalAddr() == s.NetConn().LocalAddr())
			s.note("RemoteAddr is that of NetConn: %v", s.RemoteAddr() == s.NetConn().RemoteAddr())
		}
	}},
)
