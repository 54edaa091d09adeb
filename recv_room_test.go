package websocket

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// Messages of mixed sizes, whole and in fragments, several at once and with pings between, are
// read into one slice of the caller, behind what it has already. What came with a message
// and is not of it is not lost, and not left in that slice.
func TestAppendMessageIntoTheSameMemory(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		near, far := tcpPair(t)
		c := newConn(near, server, nil, connOptions{})
		peer := newConn(far, !server, nil, connOptions{})
		random := rand.New(rand.NewPCG(1, 2))
		sizes := []int{16 << 10, 16 << 10, 20_000, 64 << 10, 64 << 10, 1, 100, 200_000, 5000, 0, 9000, 16 << 10, 30_000}
		var messages [][]byte
		for range 20 {
			for _, size := range sizes {
				message := make([]byte, size+random.IntN(100))
				for i := range message {
					message[i] = byte(random.Uint32())
				}
				messages = append(messages, message)
			}
		}
		go func() {
			for i, message := range messages {
				if i%5 == 0 {
					peer.Cork()
				}
				switch i % 3 {
				case 0:
					peer.WriteMessage(BinaryMessage, message)
				case 1:
					largeSend(t, peer, BinaryMessage, message, 1+len(message)/3)
				case 2:
					peer.WriteControl(PingMessage, []byte("between"), time.Time{})
					peer.WriteMessage(BinaryMessage, message)
				}
				if i%5 == 4 {
					peer.Flush()
				}
			}
			peer.Flush()
		}()
		prefix := []byte("before ")
		p := append([]byte(nil), prefix...)
		for i, message := range messages {
			var err error
			if _, p, err = c.AppendMessage(p[:len(prefix)]); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(p, prefix) || !bytes.Equal(p[len(prefix):], message) {
				t.Fatalf("message %d of %d bytes: got %d others behind %q", i, len(message), len(p)-len(prefix), p[:len(prefix)])
			}
			clear(p[len(prefix):cap(p)]) // it is the caller's
		}
	})
}
