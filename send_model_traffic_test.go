//go:build go1.25

package websocket

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

var modelText = strings.Repeat("what the messages have in common, so that they can be compressed, ", 2000)

// modelPayload is a number and some text.
func modelPayload(id, size int) []byte {
	if size == 0 {
		return []byte{}
	}
	return append(fmt.Appendf(nil, "%07d ", id), modelText[id%1000:][:size-8]...)
}

func (m *model) source(goroutine uint64) *rand.Rand { return rand.New(rand.NewPCG(m.seed, goroutine)) }

func modelPause(r *rand.Rand) time.Duration {
	return time.Duration(r.Int64N(int64([]time.Duration{300 * time.Microsecond, 2 * time.Millisecond}[r.IntN(2)])))
}

func modelSize(r *rand.Rand) int {
	if r.IntN(40) == 0 {
		return []int{4082, 16<<10 - 14, 16<<10 - 13, 64<<10 - 1, 100_000}[r.IntN(5)]
	}
	return 8 + r.IntN([]int{100, 100, 100, 300, 300, 5000, 20_000, 50_000}[r.IntN(8)])
}

// moment is a deadline: none, a far one, one in the past, or a near one.
func (m *model) moment(r *rand.Rand) time.Time {
	switch k := r.IntN(10); {
	case k < 4 || m.calm:
		return time.Time{}
	case k < 7:
		return time.Now().Add(24 * time.Hour)
	case k < 8 || !m.short:
		return time.Now().Add(-modelPause(r) - 1)
	}
	return time.Now().Add(modelPause(r))
}

// context is one that ends before a call, during it, or not.
func (m *model) context(r *rand.Rand) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if k := r.IntN(6); k < 2 && m.short {
		time.AfterFunc(modelPause(r), cancel)
	} else if k < 3 && !m.calm {
		cancel()
	}
	return ctx, cancel
}

// write makes calls, and when the connection has failed or was closed a few more.
func (m *model) write(r *rand.Rand) {
	final := 0
	for n := 0; n < 40 && final < 3; n++ {
		if err := m.writeSome(r); err == ErrCloseSent || err != nil && !nothingSent(err) {
			final++
		}
	}
}

func (m *model) writeSome(r *rand.Rand) error {
	size := modelSize(r)
	switch k := r.IntN(100); {
	case k < 12:
		m.setWriteDeadline(m.moment(r))
	case k < 22:
		time.Sleep(modelPause(r))
	case k < 37:
		ctx, cancel := m.context(r)
		defer cancel()
		return m.call(&modelCall{what: "WriteMessageContext", size: size, ctx: ctx},
			func(p []byte) error { return m.c.WriteMessageContext(ctx, TextMessage, p) })
	case k < 50:
		return m.ping(min(size, maxControlPayload), m.moment(r))
	case k < 56:
		return m.call(&modelCall{what: "WritePreparedMessage", size: size}, func(p []byte) error {
			pm, err := NewPreparedMessage(TextMessage, p)
			if err != nil {
				return err
			}
			return m.c.WritePreparedMessage(pm)
		})
	case k < 60:
		select {
		case m.writer <- struct{}{}:
			defer func() { <-m.writer }()
			return m.call(&modelCall{what: "NextWriter", size: size}, func(p []byte) error { return m.writeFragments(r, p) })
		default:
		}
	case k < 66:
		m.c.Cork()
		for range r.IntN(6) {
			m.writeMessage("WriteMessage", 8+r.IntN(1000))
		}
		return m.flush()
	default:
		return m.writeMessage("WriteMessage", size)
	}
	return nil
}

func (m *model) writeFragments(r *rand.Rand, p []byte) error {
	w, err := m.c.NextWriter(TextMessage)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		n, err := w.Write(p[:min(len(p), 1+r.IntN(6000))])
		if err != nil {
			if w.Close() == nil {
				m.problem("Close sends a message although Write has returned %v", err)
			}
			return err
		}
		if p = p[n:]; r.IntN(4) == 0 {
			time.Sleep(modelPause(r))
		}
	}
	return w.Close()
}

// read reads what the peer sends up to its last message, and answers some of it.
func (m *model) read(r *rand.Rand) error {
	for next := 0; ; {
		if r.IntN(4) == 0 {
			m.c.SetReadDeadline(m.moment(r))
		}
		var p []byte
		var err error
		if r.IntN(2) == 0 {
			_, p, err = m.c.AppendMessage(make([]byte, 0, r.IntN(1000)))
		} else {
			ctx, cancel := m.context(r)
			_, p, err = m.c.ReadMessageContext(ctx)
			cancel()
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.Canceled):
			continue
		case err != nil:
			return err
		case string(p) == "last":
			return nil
		case !bytes.Equal(p, modelPayload(next, len(p))):
			m.problem("read %.20q and so on, want message %d", p, next)
		}
		if next++; r.IntN(2) == 0 {
			m.writeMessage("answer", 8+r.IntN(500))
		}
	}
}

// modelPeer is the peer in a model. It takes the bytes apart on its own.
type modelPeer struct {
	m       *model
	rest    []byte // not a whole frame yet
	message []byte // the fragments that have come
	open    bool   // the message goes on
	deflate bool   // it is compressed
	window  []byte
	arrived []int         // the numbers of messages and pings
	bytes   [2]int        // the numbers of a stream's bytes, by writer
	pong    int           // the last one
	closed  chan struct{} // closed when a Close frame has come
	end     chan struct{} // closed when no more comes
}

// read reads, sometimes nothing for a while.
func (p *modelPeer) read(r *rand.Rand) {
	defer close(p.end)
	for buf := make([]byte, 64<<10); ; {
		if k := r.IntN(20); k < 8 && !p.m.hurry.Load() {
			time.Sleep(modelPause(r) * time.Duration(1+k/7*10))
		}
		n, err := p.m.far.Read(buf[:1+r.IntN(len(buf))])
		p.rest = append(p.rest, buf[:n]...)
		for p.next() {
		}
		if err != nil {
			return
		}
	}
}

// frame returns the first frame of rest: its header, what has come of its payload, and its size.
func (p *modelPeer) frame() (h header, payload []byte, size int) {
	h, n, err := parseHeader(p.rest)
	if err == nil && len(p.rest) >= 2 {
		err = h.check(frameContext{server: !p.m.server, inMessage: p.open, compression: p.m.deflate})
	}
	if err != nil {
		p.m.problem("the peer got a bad frame: %v", err)
	}
	if n == 0 {
		return h, nil, 0
	}
	size = n + int(min(h.length, 1<<30)) // where bytes are missing, any may be the length
	payload = p.rest[n:min(size, len(p.rest))]
	if h.masked {
		payload = slices.Clone(payload)
		maskEach(payload, h.key, 0)
	}
	return h, payload, size
}

// next takes a frame, if all of it has come.
func (p *modelPeer) next() bool {
	h, payload, size := p.frame()
	if size == 0 || size > len(p.rest) {
		return false
	}
	p.rest = p.rest[size:]
	switch {
	case p.isClosed():
		p.m.problem("the peer got a frame with opcode %d after a Close frame", h.opcode)
	case h.opcode == opClose:
		close(p.closed)
	case h.opcode == opPing:
		p.take(payload)
	case h.opcode == opPong:
		id, _ := strconv.Atoi(string(payload))
		if id <= p.pong || id > int(p.m.pings.Load()) {
			p.m.problem("the peer got pong %q after %d", payload, p.pong)
		}
		p.pong = id
	default:
		if !p.open {
			p.message, p.deflate = nil, h.rsv1
		}
		p.message, p.open = append(p.message, payload...), !h.fin
		if p.open {
			break
		}
		if p.deflate {
			p.inflate()
		}
		if p.m.stream {
			p.takeBytes(p.message)
		} else {
			p.take(p.message)
		}
	}
	return true
}

func (p *modelPeer) inflate() {
	const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff" // RFC 7692, 7.2.2, and an empty block that ends it
	r := io.MultiReader(bytes.NewReader(p.message), strings.NewReader(tail))
	b, err := io.ReadAll(flate.NewReaderDict(r, p.window))
	if err != nil {
		p.m.problem("the peer cannot inflate a message: %v", err)
	}
	p.message = b
	p.window = append(p.window, b...)
	p.window = p.window[max(0, len(p.window)-32<<10):]
}

// take takes a message or a ping.
func (p *modelPeer) take(b []byte) {
	id, _ := strconv.Atoi(string(b[:min(len(b), 7)]))
	switch {
	case len(b) == 0 || len(b) >= 8 && bytes.Equal(b, modelPayload(id, len(b))):
		p.arrived = append(p.arrived, id)
	case !p.m.stream: // else it is a ping of Conn.Ping
		p.m.problem("the peer got %d bytes, %.20q and so on, which nobody has sent", len(b), b)
	}
}

func (p *modelPeer) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// send sends bursts of messages and pings, a last message, and a Close frame.
func (p *modelPeer) send(r *rand.Rand) {
	m, last, sent, closing := p.m, p.m.last, 0, false
	write := func(list ...peerFrame) { m.far.Write(peerFrames(m.server, list...)) }
	ping := func() peerFrame { return peerFrame{true, opPing, fmt.Sprint(m.pings.Add(1))} }
	for !p.isClosed() {
		select {
		case <-p.end:
			return
		case <-p.closed:
		case <-last:
			last = nil
			if closing = m.ending == "peer"; closing {
				write(peerClose)
			} else {
				write(ping(), peerFrame{true, opBinary, "last"})
			}
		case <-time.After(modelPause(r)):
			if last == nil {
				continue
			}
			var burst []peerFrame
			for range r.IntN(8) {
				if r.IntN(3) == 0 {
					burst = append(burst, ping())
				} else {
					burst = append(burst, peerFrame{true, opBinary, string(modelPayload(sent, 8+r.IntN(300)))})
					sent++
				}
			}
			write(burst...)
		}
	}
	if !closing {
		write(peerClose)
	}
	if !m.server {
		m.far.Close() // "the server [...] closes the TCP connection first" (RFC 6455, 7.1.1)
	}
}
