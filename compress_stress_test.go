//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"testing"
	"time"
)

const mixedWriters = 16

// mixedMessage is message j of writer i. Its first two bytes are i and j; some become no
// shorter, and all have something in common with others.
func mixedMessage(i, j int) []byte {
	size := []int{2, 3, 50, 125, 300, 1000, 4096, 9000, 40_000}[(i*3+j)%9]
	p := textLike(size, uint64(j%3))
	if (i+j)%5 == 0 {
		p = noise(size, uint64(i))
	}
	p[0], p[1] = byte(i), byte(j)
	return p
}

// writeMixed sends a message in one of the ways. NextWriter is for one goroutine.
func writeMixed(c *Conn, i, j int) error {
	w := sendWays[j%3]
	if i == 0 {
		w = sendWays[j%len(sendWays)]
	}
	return w.write(c, BinaryMessage, mixedMessage(i, j))
}

// Many goroutines write to one connection, with and without takeover, while others send
// control frames and both sides read: every message is whole, and those of a goroutine in order.
func TestManyWritersOfACompressedConnection(t *testing.T) {
	messages := 25
	if raceEnabled {
		messages = 8
	}
	for _, o := range []CompressionOptions{
		{},
		{ContextTakeover: true},
		{ContextTakeover: true, WindowBits: 9, PeerWindowBits: 10, Level: 4, Threshold: 100},
	} {
		s, c := compressedPair(t, o, o)
		var all sync.WaitGroup
		for _, ends := range [][2]*Conn{{s, c}, {c, s}} {
			from, to := ends[0], ends[1]
			for i := range mixedWriters {
				all.Go(func() {
					for j := range messages {
						if err := writeMixed(from, i, j); err != nil {
							t.Errorf("writer %d, message %d: %v", i, j, err)
							from.Close()
							return
						}
						if j%5 == i%5 {
							from.WriteControl(PingMessage, []byte{byte(i), byte(j)}, time.Time{})
						}
					}
				})
			}
			all.Go(func() {
				var next [mixedWriters]int
				for n := range mixedWriters * messages {
					_, p, err := receiveWays[n%len(receiveWays)].read(to)
					if err != nil || len(p) < 2 {
						t.Errorf("after %d messages: got %d bytes, %v", n, len(p), err)
						to.Close()
						return
					}
					i, j := int(p[0]), int(p[1])
					if i >= mixedWriters || j != next[i] || !bytes.Equal(p, mixedMessage(i, j)) {
						t.Errorf("got message %d of writer %d, whole %v, want message %d", j, i, bytes.Equal(p, mixedMessage(i, j)), next[i%mixedWriters])
						to.Close()
						return
					}
					next[i]++
				}
			})
		}
		all.Wait()
		s.Close()
		c.Close()
	}
}

// Contexts that end at any moment of a compressed write: the message is there or it is not,
// and what comes behind it can be read.
func TestCompressedWritesRaceWithContexts(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		near, far := tcpPair(t)
		o := CompressionOptions{ContextTakeover: takeover}
		answer := negotiate(t, o, o)
		c := newConn(near, true, nil, connOptions{agreed: agreement{deflate: &answer}, compression: o})
		peer := newConn(far, false, nil, connOptions{agreed: agreement{deflate: &answer}, compression: o})
		message := func(i uint32) []byte { return binary.BigEndian.AppendUint32(textLike(400, 1), i) }
		sent := make(chan uint32, 1000)
		go func() {
			defer close(sent)
			for i := range uint32(1000) {
				ctx, cancel := context.WithCancel(context.Background())
				go cancel()
				switch err := c.WriteMessageContext(ctx, BinaryMessage, message(i)); err {
				case nil:
					sent <- i
				case context.Canceled:
				default:
					t.Errorf("message %d: got %v, want nil or context.Canceled", i, err)
				}
			}
			c.WriteControl(CloseMessage, nil, time.Time{})
		}()
		for i := range sent {
			if _, p, err := peer.ReadMessage(); err != nil || !bytes.Equal(p, message(i)) {
				t.Fatalf("takeover %v: got %d bytes, %v, want message %d", takeover, len(p), err, i)
			}
		}
		if _, p, err := peer.ReadMessage(); !IsCloseError(err, CloseNoStatusReceived) {
			t.Errorf("got %d bytes, %v, want nothing that was said not to be sent", len(p), err)
		}
	}
}

// Close while others write and read, at any moment: each codec is returned once.
func TestCloseWhileOthersAreAtWork(t *testing.T) {
	before := codecsOnLoan.Load()
	for i := range 60 {
		o := CompressionOptions{ContextTakeover: i%2 == 0}
		s, c := compressedPair(t, o, o)
		var all sync.WaitGroup
		for _, end := range []*Conn{s, c} {
			for j := range 3 {
				all.Go(func() {
					for n := 0; writeMixed(end, j, n) == nil; n++ {
					}
				})
			}
			all.Go(func() {
				for n := 0; ; n++ {
					_, r, err := end.NextReader()
					if err != nil {
						return
					}
					io.CopyN(io.Discard, r, int64(n*100))
				}
			})
		}
		time.AfterFunc(time.Duration(i)*20*time.Microsecond, func() { s.Close() })
		time.AfterFunc(time.Duration(i)*25*time.Microsecond, func() { c.Close() })
		all.Wait()
		s.Close()
		c.Close()
	}
	if n := codecsOnLoan.Load() - before; n != 0 {
		t.Errorf("got %d codecs that were not returned, want none", n)
	}
}
