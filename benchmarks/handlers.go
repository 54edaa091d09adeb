package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
)

// messages is what handlers use of a connection: *websocket.Conn of this library and of gorilla.
type messages interface {
	ReadMessage() (messageType int, p []byte, err error)
	WriteMessage(messageType int, data []byte) error
	ReadJSON(v any) error
	WriteJSON(v any) error
	NextReader() (messageType int, r io.Reader, err error)
	NextWriter(messageType int) (io.WriteCloser, error)
	io.Closer
}

// handler is a way in which programs are written. How much stack it takes, and so the memory of an
// idle connection, is the program's choice and not only the library's: a stack of 2 KiB is doubled for
// the first frame that does not fit into it.
type handler struct {
	name  string
	what  string
	serve func(c messages)
}

var handlers = []handler{
	{"helper", "echo in a function of its own", func(c messages) {
		for echoOne(c) == nil {
		}
	}},
	{"switch", "ReadMessage and a switch on what the message says", func(c messages) {
		var count, unknown int
		for {
			_, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			switch string(p[:min(len(p), 4)]) {
			case "add ":
				count += len(p)
			case "get ":
				err = c.WriteMessage(opText, fmt.Appendf(nil, "%d, and %d unknown", count, unknown))
			default:
				unknown++
				err = c.WriteMessage(opText, p)
			}
			if err != nil {
				return
			}
		}
	}},
	{"json", "ReadJSON and WriteJSON", func(c messages) {
		for {
			var request struct{ ID int }
			if c.ReadJSON(&request) != nil {
				return
			}
			reply := struct{ ID, Status int }{request.ID, 200}
			if c.WriteJSON(reply) != nil {
				return
			}
		}
	}},
	{"stream", "io.Copy from NextReader to NextWriter", func(c messages) {
		for {
			messageType, r, err := c.NextReader()
			if err != nil {
				return
			}
			w, err := c.NextWriter(messageType)
			if err != nil {
				return
			}
			if _, err := io.Copy(w, r); err != nil {
				return
			}
			if err := w.Close(); err != nil {
				return
			}
		}
	}},
}

//go:noinline
func echoOne(c messages) error {
	messageType, p, err := c.ReadMessage()
	if err != nil {
		return err
	}
	return c.WriteMessage(messageType, p)
}

// pattern is that of servers which idle in the handler.
func (h handler) pattern() string { return patternIdle + "-" + h.name }

// withHandlers adds to s a server for each handler, which run makes, and returns it.
func withHandlers(s servers, run func(serve func(messages)) func(net.Listener) error) servers {
	for _, h := range handlers {
		s[h.pattern()] = run(h.serve)
	}
	return s
}

// handlerScenarios are the idle scenarios of the handlers.
func handlerScenarios() (list []*scenario) {
	for _, h := range handlers {
		list = append(list, &scenario{
			name: h.pattern(), title: "Idle connection, " + h.what, pattern: h.pattern(), limit: "parked",
			measure: measureIdle, rounds: 3, conns: idleConns,
		})
	}
	return list
}

var limitParked = &library{
	name:  "parked",
	about: "limit: the same handler, in a parked goroutine on a bare net.Conn with room for one small frame",
	limit: true,
	servers: withHandlers(servers{}, func(serve func(messages)) func(net.Listener) error {
		return perConnection(func(nc net.Conn) {
			if handshake(nc) != nil {
				nc.Close()
				return
			}
			go func() { // with a stack that the handshake has not grown
				c := &parked{Conn: nc, in: framer{buf: make([]byte, leanSize)}}
				defer c.Close()
				serve(c)
			}()
		})
	}),
}

// parked is a connection that knows small messages of one frame.
type parked struct {
	net.Conn
	in framer
}

func (c *parked) ReadMessage() (messageType int, p []byte, err error) {
	for {
		if frame := c.in.next(); frame != nil {
			return int(frame[0] &^ finBit), frame[2:], nil
		}
		if err := c.in.read(c.Conn); err != nil {
			return 0, nil, err
		}
	}
}

func (c *parked) WriteMessage(messageType int, p []byte) error {
	_, err := c.Write(append([]byte{finBit | byte(messageType), byte(len(p))}, p...))
	return err
}

func (c *parked) ReadJSON(v any) error {
	_, p, err := c.ReadMessage()
	if err != nil {
		return err
	}
	return json.Unmarshal(p, v)
}

func (c *parked) WriteJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.WriteMessage(opText, append(p, '\n'))
}

func (c *parked) NextReader() (messageType int, r io.Reader, err error) {
	messageType, p, err := c.ReadMessage()
	return messageType, bytes.NewReader(p), err
}

func (c *parked) NextWriter(messageType int) (io.WriteCloser, error) {
	return &parkedWriter{c: c, messageType: messageType}, nil
}

// parkedWriter is a message of parked.
type parkedWriter struct {
	bytes.Buffer
	c           *parked
	messageType int
}

func (w *parkedWriter) Close() error { return w.c.WriteMessage(w.messageType, w.Bytes()) }
