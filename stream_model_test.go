//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// streamModel is a run in which two goroutines write to a stream.
type streamModel struct {
	*model
	s    net.Conn
	sent [2]int   // by writer
	errs [2]error // by writer
	torn bool     // a ping was ended within its frame, so that the connection has failed
}

// modelByte is byte i of a writer.
func modelByte(writer, i int) byte { return byte(writer<<7 | i%127) }

// takeBytes takes bytes of both writers.
func (p *modelPeer) takeBytes(b []byte) {
	for _, x := range b {
		i := &p.bytes[x>>7]
		if want := modelByte(int(x>>7), *i); x != want {
			p.m.problem("byte %d of writer %d is %#x, want %#x", *i, x>>7, x, want)
			return
		}
		*i++
	}
}

// write writes until the stream has ended.
func (m *streamModel) write(r *rand.Rand, writer int) {
	for n := 0; n < 40 && m.errs[writer] == nil; n++ {
		err := m.writeBytes(writer, modelSize(r))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			m.errs[writer] = err
		}
		if err != nil || r.IntN(4) == 0 {
			time.Sleep(modelPause(r))
		}
	}
}

func (m *streamModel) writeBytes(writer, size int) error {
	b := make([]byte, size)
	for i := range b {
		b[i] = modelByte(writer, m.sent[writer]+i)
	}
	n, err := m.s.Write(b)
	if m.sent[writer] += n; (err == nil) != (n == size) {
		m.problem("Write of %d bytes: %d, %v", size, n, err)
	}
	return err
}

func (m *streamModel) read() {
	for buf := make([]byte, 5000); ; {
		if _, err := m.s.Read(buf); errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(100 * time.Microsecond)
		} else if err != nil {
			return
		}
	}
}

// disturb sets deadlines and sends pings until done is closed.
func (m *streamModel) disturb(r *rand.Rand, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(modelPause(r)):
		}
		switch r.IntN(5) {
		case 0, 1:
			m.s.SetWriteDeadline(m.moment(r))
		case 2:
			m.s.SetDeadline(m.moment(r))
		case 3:
			m.s.SetReadDeadline(m.moment(r))
		case 4:
			ctx, cancel := context.WithTimeout(context.Background(), modelPause(r))
			_, err := m.c.Ping(ctx)
			cancel()
			m.torn = m.torn || err != nil && strings.Contains(err.Error(), "within a frame")
		}
	}
}

// run has two goroutines write, and ends the connection.
func (m *streamModel) run() {
	var peer, reader, writers, disturber sync.WaitGroup
	defer m.start(&peer).Stop()
	done := make(chan struct{})
	reader.Go(m.read)
	disturber.Go(func() { m.disturb(m.source(3), done) })
	for i := range m.sent {
		writers.Go(func() { m.write(m.source(10+uint64(i)), i) })
	}
	errs := []error{m.end(&writers)}
	writers.Wait()
	close(done)
	disturber.Wait()
	m.s.SetDeadline(time.Time{})
	switch m.ending {
	case "close":
		errs = append(errs, m.writeBytes(0, 1))
	case "peer":
		reader.Wait()
	}
	m.s.Close()
	reader.Wait()
	peer.Wait()
	m.check(append(errs, m.errs[:]...))
}

// check compares what was counted with what has arrived.
func (m *streamModel) check(errs []error) {
	p := m.peer
	for _, err := range errs {
		closed := err == ErrCloseSent || errors.Is(err, net.ErrClosed)
		if m.cut || err == nil || closed && m.ending != "close" {
			continue
		}
		if m.failed = true; !m.torn {
			m.problem("the stream has failed: %v", err)
		}
	}
	if h, payload, _ := p.frame(); isData(int(h.opcode)) && !h.rsv1 {
		p.takeBytes(payload) // of a frame that is cut off
	}
	lossy := m.cut || m.failed || m.ending == "close" && !m.memory // Close waits for a second
	for i, n := range m.sent {
		if p.bytes[i] > n || p.bytes[i] < n && !lossy {
			m.problem("got %d bytes of writer %d, want %d", p.bytes[i], i, n)
		}
	}
	if !lossy && !p.isClosed() {
		m.problem("the peer has got no Close frame")
	}
}

// Whatever deadlines pass, the bytes of a stream arrive as Write has counted them.
func TestStreamModel(t *testing.T) {
	eachModel(t, func(m *model) {
		m.stream, m.short = true, true
		(&streamModel{model: m, s: NewStream(m.c, BinaryMessage)}).run()
	})
}
