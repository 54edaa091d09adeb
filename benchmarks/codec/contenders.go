package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/lxzan/gws"
	"github.com/switching-protocols/websocket"
)

// contender sends messages from one side to the other, and returns when all have been received there. It
// counts the bytes on the wire.
type contender struct {
	send func(messages [][]byte) error
	wire *atomic.Int64
	stop func()
}

// countingConn counts what is written.
type countingConn struct {
	net.Conn
	written *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// serve serves the handler on a free port of the loopback interface.
func serve(h http.Handler) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h}
	go server.Serve(l)
	return l.Addr().String(), func() { server.Close() }, nil
}

// ours returns this library with the options, or without compression if they are nil.
func ours(o *websocket.CompressionOptions) (*contender, error) {
	received := make(chan int, 1000)
	u := websocket.Upgrader{}
	d := websocket.Dialer{}
	if o != nil {
		u.EnableCompression, u.Compression = true, *o
		d.EnableCompression, d.Compression = true, *o
	}
	address, stop, err := serve(u.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		var p []byte
		for {
			var err error
			if _, p, err = c.AppendMessage(p[:0]); err != nil {
				return
			}
			received <- len(p)
		}
	}))
	if err != nil {
		return nil, err
	}
	wire := new(atomic.Int64)
	d.NetDial = func(network, address string) (net.Conn, error) {
		nc, err := net.Dial(network, address)
		return countingConn{nc, wire}, err
	}
	c, _, err := d.Dial("ws://"+address, nil)
	if err != nil {
		return nil, err
	}
	return &contender{
		send: func(messages [][]byte) error {
			for _, m := range messages {
				if err := c.WriteMessage(websocket.BinaryMessage, m); err != nil {
					return err
				}
			}
			return await(messages, received)
		},
		wire: wire,
		stop: func() { c.Close(); stop() },
	}, nil
}

// await waits until all messages have been received.
func await(messages [][]byte, received <-chan int) error {
	for _, m := range messages {
		if n := <-received; n != len(m) {
			return fmt.Errorf("a message of %d bytes was received with %d", len(m), n)
		}
	}
	return nil
}

type gwsHandler struct {
	gws.BuiltinEventHandler
	received chan int
}

func (h gwsHandler) OnMessage(_ *gws.Conn, m *gws.Message) {
	h.received <- m.Data.Len()
	m.Close()
}

// ofGws returns gws as its users get it, with the options.
func ofGws(o gws.PermessageDeflate) (*contender, error) {
	h := gwsHandler{received: make(chan int, 1000)}
	u := gws.NewUpgrader(h, &gws.ServerOption{PermessageDeflate: o})
	address, stop, err := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := u.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}))
	if err != nil {
		return nil, err
	}
	wire := new(atomic.Int64)
	c, _, err := gws.NewClient(gwsHandler{received: make(chan int, 1000)}, &gws.ClientOption{
		Addr:              "ws://" + address,
		PermessageDeflate: o,
		NewDialer:         func() (gws.Dialer, error) { return countingDialer{wire}, nil },
	})
	if err != nil {
		return nil, err
	}
	go c.ReadLoop()
	return &contender{
		send: func(messages [][]byte) error {
			for _, m := range messages {
				if err := c.WriteMessage(gws.OpcodeBinary, m); err != nil {
					return err
				}
			}
			return await(messages, h.received)
		},
		wire: wire,
		stop: func() { c.NetConn().Close(); stop() },
	}, nil
}

type countingDialer struct{ written *atomic.Int64 }

func (d countingDialer) Dial(network, address string) (net.Conn, error) {
	nc, err := net.Dial(network, address)
	return countingConn{nc, d.written}, err
}

// compressor and decompressor are those of compress/flate and of what has its interface.
type compressor interface {
	io.Writer
	Flush() error
	Reset(w io.Writer)
}

// tail is what ends a message that was flushed and is not sent, and an empty last block.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// direct compresses and decompresses without a connection: as commit 1859a8c did, with one writer, and a
// reader whose dictionary is the end of the messages before, where the context is taken over.
func direct(w compressor, r io.ReadCloser, takeover bool) *contender {
	wire := new(atomic.Int64)
	var compressed bytes.Buffer
	var before, out []byte
	w.Reset(&compressed)
	return &contender{
		send: func(messages [][]byte) error {
			for _, m := range messages {
				compressed.Reset()
				if !takeover {
					w.Reset(&compressed)
				}
				w.Write(m)
				w.Flush()
				wire.Add(int64(compressed.Len() - 4))
				in := io.MultiReader(bytes.NewReader(compressed.Bytes()[:compressed.Len()-4]), bytes.NewReader([]byte(tail)))
				if err := r.(flate.Resetter).Reset(in, before); err != nil {
					return err
				}
				if cap(out) < len(m)+1 {
					out = make([]byte, len(m)+1)
				}
				n, err := io.ReadFull(r, out[:len(m)+1])
				if err != io.ErrUnexpectedEOF || !bytes.Equal(out[:n], m) {
					return fmt.Errorf("a message of %d bytes became one of %d, %v", len(m), n, err)
				}
				if takeover {
					before = append(before, m...)
					before = before[max(0, len(before)-32<<10):]
				}
			}
			return nil
		},
		wire: wire,
		stop: func() {},
	}
}
