//go:build go1.25

package websocket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bhPrepare prepares a message that can be prepared.
func bhPrepare(t testing.TB, messageType int, data string) *PreparedMessage {
	t.Helper()
	pm, err := NewPreparedMessage(messageType, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return pm
}

// One frame of any size, and again the same when sent again. A server writes it at once, a large
// one, of which it makes no copy, in two parts.
func TestWritePreparedMessage(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		for _, messageType := range []int{TextMessage, BinaryMessage} {
			for _, size := range []int{0, 1, 125, 126, 4081, 4082, 4083, 65535, 65536, 200_000} {
				data := strings.Repeat("abc", size/3+1)[:size]
				pm := bhPrepare(t, messageType, data)
				for range 2 {
					before := wire.in.writes
					if err := c.WritePreparedMessage(pm); err != nil {
						t.Fatal(err)
					}
					want := 1
					if size > maxCopied {
						want = 2
					}
					if n := wire.in.writes - before; server && n != want {
						t.Errorf("%d bytes: got %d writes, want %d", size, n, want)
					}
					wantFrames(t, wire, fmt.Sprintf("fin=true op=%d masked=%v %q", messageType, !server, data))
				}
			}
		}
	})
}

// What NewPreparedMessage has not made is no message.
func TestWritePreparedNothing(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		if err := c.WritePreparedMessage(new(PreparedMessage)); err != errBadMessageType || wire.in.writes > 0 {
			t.Errorf("got error %v and %d writes, want %v and none", err, wire.in.writes, errBadMessageType)
		}
	})
}

func TestWritePreparedControlMessages(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		c, wire := newTestConn(t, server)
		long := strings.Repeat("x", 125)
		for _, messageType := range []int{PingMessage, PongMessage, CloseMessage} {
			for _, data := range []string{"", long} {
				if messageType == CloseMessage && data == "" {
					continue
				}
				if err := c.WritePreparedMessage(bhPrepare(t, messageType, data)); err != nil {
					t.Fatal(err)
				}
				wantFrames(t, wire, fmt.Sprintf("fin=true op=%d masked=%v %q", messageType, !server, data))
			}
		}
		// The last was a Close frame.
		for _, messageType := range []int{TextMessage, PingMessage, CloseMessage} {
			if err := c.WritePreparedMessage(bhPrepare(t, messageType, "")); err != ErrCloseSent {
				t.Errorf("type %d after a Close frame: got %v, want ErrCloseSent", messageType, err)
			}
		}
		if err := c.WriteMessage(TextMessage, nil); err != ErrCloseSent {
			t.Errorf("WriteMessage: got %v, want ErrCloseSent", err)
		}
		wantFrames(t, wire)
	})
}

func TestNewPreparedMessageErrors(t *testing.T) {
	for _, tt := range []struct {
		messageType, size int
		want              string
	}{
		{-1, 0, "websocket: bad write message type"},
		{0, 0, "websocket: bad write message type"},
		{3, 0, "websocket: bad write message type"},
		{7, 200, "websocket: bad write message type"},
		{11, 0, "websocket: bad write message type"},
		{256 + 1, 0, "websocket: bad write message type"},
		{CloseMessage, 126, "websocket: invalid control frame"},
		{PingMessage, 126, "websocket: invalid control frame"},
		{PongMessage, 70_000, "websocket: invalid control frame"},
	} {
		pm, err := NewPreparedMessage(tt.messageType, make([]byte, tt.size))
		if pm != nil || err == nil || err.Error() != tt.want {
			t.Errorf("type %d, %d bytes: got %v and error %v, want %s", tt.messageType, tt.size, pm, err, tt.want)
		}
	}
}

// What was prepared is a copy, and sending does not change it.
func TestPreparedMessageKeepsACopy(t *testing.T) {
	data := []byte("hello")
	pm, err := NewPreparedMessage(TextMessage, data)
	if err != nil {
		t.Fatal(err)
	}
	copy(data, "-----")
	for range 2 {
		bothSides(t, func(t *testing.T, server bool) {
			c, wire := newTestConn(t, server)
			c.WritePreparedMessage(pm)
			wantFrames(t, wire, fmt.Sprintf("fin=true op=1 masked=%v %q", !server, "hello"))
		})
	}
	if string(data) != "-----" {
		t.Errorf("got %q, want the caller's data left alone", data)
	}
}

// RFC 6455, 5.3: "The masking key needs to be unpredictable", and a fresh one is for each
// frame, so a client's prepared bytes must not be sent twice.
func TestAttackPreparedMessageIsMaskedAnew(t *testing.T) {
	const payload = "the same each time"
	pm := bhPrepare(t, BinaryMessage, payload)
	keys := make(map[[4]byte]int)
	const conns, sends = 4, 50
	for range conns {
		c, wire := newTestConn(t, false)
		for range sends {
			if err := c.WritePreparedMessage(pm); err != nil {
				t.Fatal(err)
			}
			b := wire.take()
			if len(b) != 2+4+len(payload) || b[0] != 0x82 || b[1] != 0x80|byte(len(payload)) {
				t.Fatalf("got % x, want a masked frame of %d bytes", b, len(payload))
			}
			key := [4]byte(b[2:])
			keys[key]++
			plain := b[6:]
			for i := range plain {
				plain[i] ^= key[i%4]
			}
			if string(plain) != payload {
				t.Fatalf("got %q after unmasking, want %q", plain, payload)
			}
		}
	}
	// Of 200 keys of 32 bits, two are equal in one run of 200,000; three in none.
	if len(keys) < conns*sends-1 {
		t.Errorf("got %d different keys of %d, want all", len(keys), conns*sends)
	}
	if keys[[4]byte{}] > 1 {
		t.Errorf("got the key 0 %d times, want random ones", keys[[4]byte{}])
	}
}

// A message is for any number of connections of both sides, by any number of goroutines.
func TestPreparedMessageConcurrently(t *testing.T) {
	for _, size := range []int{100, 10_000} {
		data := strings.Repeat("x", size)
		message, ping := bhPrepare(t, TextMessage, data), bhPrepare(t, PingMessage, "ping")
		bye := bhPrepare(t, CloseMessage, string(FormatCloseMessage(CloseNormalClosure, "")))
		var all sync.WaitGroup
		for i := range 100 {
			near, far := newPipe(t, 1<<20)
			server := i%2 == 0
			c, peer := newConn(near, server, nil, connOptions{}), newConn(far, !server, nil, connOptions{})
			all.Go(func() {
				var writers sync.WaitGroup
				for range 3 {
					writers.Go(func() {
						if err := errors.Join(c.WritePreparedMessage(message), c.WritePreparedMessage(ping)); err != nil {
							t.Errorf("got error %v, want none", err)
						}
					})
				}
				writers.Wait()
				if err := c.WritePreparedMessage(bye); err != nil {
					t.Errorf("got error %v, want none", err)
				}
			})
			all.Go(func() {
				messages, pings := 0, 0
				peer.SetPingHandler(func(payload string) error {
					if payload == "ping" {
						pings++
					}
					return nil
				})
				for {
					messageType, p, err := peer.ReadMessage()
					if err != nil {
						if !IsCloseError(err, CloseNormalClosure) || messages != 3 || pings != 3 {
							t.Errorf("got %d messages, %d pings and error %v, want 3, 3 and close 1000", messages, pings, err)
						}
						return
					}
					if messageType == TextMessage && string(p) == data {
						messages++
					}
				}
			})
		}
		all.Wait()
	}
}

// Data waits for the turn of a message writer that is open, at most up to the write
// deadline, and then nothing has happened. Control messages pass.
func TestWritePreparedMessageWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, wire := newTestConn(t, true)
		text, ping := bhPrepare(t, TextMessage, "text"), bhPrepare(t, PingMessage, "ping")
		w, err := c.NextWriter(BinaryMessage)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, 10_000))
		wire.take()
		if err := c.WritePreparedMessage(ping); err != nil {
			t.Errorf("ping: got error %v, want none", err)
		}
		wantFrames(t, wire, `fin=true op=9 masked=false "ping"`)

		start := time.Now()
		c.SetWriteDeadline(start.Add(time.Second))
		err = c.WritePreparedMessage(text)
		if d := time.Since(start); err == nil || err.Error() != "websocket: write timeout" || d != time.Second {
			t.Errorf("got error %v after %v, want websocket: write timeout after 1s", err, d)
		}
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("got %T, want a net.Error that is a timeout", err)
		}
		wantFrames(t, wire)

		c.SetWriteDeadline(time.Time{})
		done := make(chan error)
		go func() { done <- c.WritePreparedMessage(text) }()
		synctest.Wait()
		wantFrames(t, wire)
		if err := w.Close(); err != nil {
			t.Errorf("got error %v, want the connection as good as before", err)
		}
		if err := <-done; err != nil {
			t.Errorf("got error %v, want none", err)
		}
		wantFrames(t, wire, `fin=true op=0 masked=false ""`, `fin=true op=1 masked=false "text"`)
	})
}

// The write deadline bounds the network, too, and then the connection has failed.
func TestWritePreparedMessageTimeout(t *testing.T) {
	for _, server := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a, wire := newPipe(t, 10)
			c := newConn(a, server, nil, connOptions{})
			pm := bhPrepare(t, TextMessage, "longer than the network takes")
			start := time.Now()
			c.SetWriteDeadline(start.Add(time.Second))
			err := c.WritePreparedMessage(pm)
			if d := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || d != time.Second {
				t.Errorf("got error %v after %v, want a timeout after 1s", err, d)
			}
			c.SetWriteDeadline(time.Time{})
			wire.take()
			if again := c.WritePreparedMessage(pm); again != err {
				t.Errorf("got %v, want the same error", again)
			}
			if again := c.WriteMessage(TextMessage, nil); again != err {
				t.Errorf("WriteMessage: got %v, want the same error", again)
			}
			wantFrames(t, wire)
		})
	}
}

// A pong that is posted while the prepared frame is on its way leaves behind it.
func TestWritePreparedMessageLetsRepliesOut(t *testing.T) {
	for _, server := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a, wire := newPipe(t, 100)
			c := newConn(a, server, nil, connOptions{})
			data := strings.Repeat("x", 300)
			done := make(chan error)
			go func() { done <- c.WritePreparedMessage(bhPrepare(t, BinaryMessage, data)) }()
			synctest.Wait()
			wire.Write(append(bhFrame(server, 0x89, "p"), bhFrame(server, 0x81, "")...))
			if _, _, err := c.ReadMessage(); err != nil {
				t.Fatal(err)
			}
			var got []byte
			for range 5 {
				got = append(got, wire.take()...)
				synctest.Wait()
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			wire.in.data = got
			wantFrames(t, wire, fmt.Sprintf("fin=true op=2 masked=%v %q", !server, data), fmt.Sprintf("fin=true op=10 masked=%v %q", !server, "p"))
		})
	}
}

func TestWritePreparedMessageAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for _, server := range []bool{true, false} {
		c := newConn(nullTransport{}, server, nil, connOptions{})
		for _, messageType := range []int{TextMessage, PingMessage} {
			for _, size := range []int{0, 100, 100_000} {
				if messageType == PingMessage && size > 125 {
					continue
				}
				pm := bhPrepare(t, messageType, strings.Repeat("x", size))
				if n := testing.AllocsPerRun(200, func() { c.WritePreparedMessage(pm) }); n >= 1 {
					t.Errorf("server=%v: type %d of %d bytes: got %v allocations, want 0", server, messageType, size, n)
				}
			}
		}
	}
}
