package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// check runs a server of the pattern and sees that it does what the others do: a
// server that answers wrongly is not measured.
func check(l *library, pattern string) error {
	s, err := startServer(l, pattern, false, 1)
	if err != nil {
		return err
	}
	defer s.stop()
	nc, err := dial(s.address, false, deflates(pattern))
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(setup))
	c := &checker{Conn: nc, r: bufio.NewReader(nc)}

	switch {
	case l == limitRaw && pattern == patternEcho, pattern == patternHandshake:
		return nil // of raw, which knows no frames, the load counts them
	case pattern == patternIdle+"-json":
		return c.reply(`{"ID":123456789,"Status":200}` + "\n")
	case l == limitLean, strings.HasPrefix(pattern, patternIdle+"-"):
		return c.reply(idlePayload)
	case pattern == patternDeflate:
		return c.deflated()
	case pattern == patternBroadcast:
		return c.broadcast(s)
	case pattern == patternContended:
		return c.contended()
	}
	if serviceCheck := serviceChecks[pattern]; serviceCheck != nil {
		return serviceCheck(c, s)
	}
	return c.all()
}

// checker is a client that looks at all that comes.
type checker struct {
	net.Conn
	r *bufio.Reader
}

// all checks messages of every kind of header, and a fragmented one.
func (c *checker) all() error {
	for _, size := range []int{0, 1, 125, 126, 4096, 65535, 65536, 1 << 20} {
		for _, opcode := range []int{opText, opBinary} {
			if err := c.echo(opcode, size); err != nil {
				return err
			}
		}
	}
	want := payload(300)
	b := appendClientFrame(nil, opBinary, want[:100])
	b = appendClientFrame(b, opContinuation, want[100:200])
	b = appendClientFrame(b, finBit|opContinuation, want[200:])
	if _, err := c.Write(b); err != nil {
		return err
	}
	return c.want("a fragmented message", opBinary, want)
}

func (c *checker) echo(opcode, size int) error {
	p := payload(size)
	if _, err := c.Write(appendClientFrame(nil, finBit|byte(opcode), p)); err != nil {
		return err
	}
	return c.want(fmt.Sprintf("a message of %d bytes", size), opcode, p)
}

// reply checks the answer to the message of idle connections.
func (c *checker) reply(text string) error {
	if _, err := c.Write(appendClientFrame(nil, finBit|opText, []byte(idlePayload))); err != nil {
		return err
	}
	return c.want("a small message", opText, []byte(text))
}

func (c *checker) broadcast(s *server) error {
	other, err := dial(s.address, false, false)
	if err != nil {
		return err
	}
	defer other.Close()
	other.SetDeadline(time.Now().Add(setup))
	if err := c.echo(opBinary, broadcastSize); err != nil {
		return err
	}
	second := &checker{Conn: other, r: bufio.NewReader(other)}
	if err := second.echo(opBinary, broadcastSize); err != nil {
		return err
	}
	return c.want("a broadcast of another connection", opBinary, payload(broadcastSize))
}

func (c *checker) contended() error {
	if _, err := c.Write(appendClientFrame(nil, finBit|opBinary, payload(1))); err != nil {
		return err
	}
	for range 10 * writers {
		if err := c.want("a message of several writers", opBinary, make([]byte, contendedSize)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) deflated() error {
	want := text(1 << 10)
	if _, err := c.Write(deflateFrame(want)); err != nil {
		return err
	}
	h, got, err := c.inflated()
	if err != nil {
		return err
	}
	return same("a compressed message", h.opcode(), opText, got, want)
}

// want reads a message and compares it.
func (c *checker) want(what string, opcode int, want []byte) error {
	h, got, err := c.message()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return same(what, h.opcode(), opcode, got, want)
}

func same(what string, opcode, wantOpcode int, got, want []byte) error {
	if opcode != wantOpcode {
		return fmt.Errorf("%s: got opcode %d, want %d", what, opcode, wantOpcode)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: the %d bytes that came back are not those that were sent", what, len(got))
	}
	return nil
}

// inflated reads a message, and decompresses it if it is compressed.
func (c *checker) inflated() (first frameHeader, p []byte, err error) {
	first, p, err = c.message()
	if err == nil && first.first&rsv1Bit != 0 {
		p, err = new(inflater).inflate(p)
	}
	return first, p, err
}

// message reads a message, in as many frames as it has. The header is that of the first.
func (c *checker) message() (first frameHeader, p []byte, err error) {
	for i := 0; ; i++ {
		h, err := c.header()
		if err != nil {
			return first, nil, err
		}
		switch {
		case h.masked:
			return first, nil, errors.New("a server's frame is masked")
		case (h.opcode() == opContinuation) != (i > 0):
			return first, nil, fmt.Errorf("opcode %d in frame %d of a message", h.opcode(), i)
		}
		if i == 0 {
			first = h
		}
		n := len(p)
		p = append(p, make([]byte, h.length)...)
		if _, err := io.ReadFull(c.r, p[n:]); err != nil {
			return first, nil, err
		}
		if h.fin() {
			return first, p, nil
		}
	}
}

func (c *checker) header() (frameHeader, error) {
	for n := 2; ; n++ {
		b, err := c.r.Peek(n)
		if err != nil {
			return frameHeader{}, err
		}
		if h, size := parseFrameHeader(b); size > 0 {
			_, err := c.r.Discard(size)
			return h, err
		}
	}
}

// pattern is a payload that is text, too, and in which no piece is like the one before.
func payload(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, n)
	for i := range p {
		p[i] = 'a' + byte(random.IntN(26))
	}
	return p
}

// text is something like JSON, which compresses well, but not to nothing.
func text(n int) []byte {
	random := rand.New(rand.NewPCG(3, 4))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"symbol":"%s","price":%.2f,"bid":%d,"ask":%d,"active":true},`,
			random.IntN(1e6), payload(26)[random.IntN(20):][:4], 100*random.Float64(), random.IntN(1000), random.IntN(1000))
	}
	return b[:n]
}

// deflateFrame is a client's frame of a compressed text message (RFC 7692, 7.2.1).
func deflateFrame(p []byte) []byte {
	return appendClientFrame(nil, finBit|rsv1Bit|opText, new(deflater).deflate(p))
}
