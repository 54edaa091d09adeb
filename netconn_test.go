//go:build go1.25

package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// streamPair returns two streams with each other.
func streamPair(near, far net.Conn, messageType int) (server, client net.Conn) {
	return NewStream(newConn(near, true, nil, connOptions{}), messageType),
		NewStream(newConn(far, false, nil, connOptions{}), messageType)
}

// tlsConfigs returns those of a server and a client that trusts it.
func tlsConfigs() (server, client *tls.Config) {
	srv := httptest.NewTLSServer(nil) // for its certificate
	defer srv.Close()
	client = hsTLSConfig(srv)
	client.ServerName = "example.com"
	return &tls.Config{Certificates: srv.TLS.Certificates}, client
}

// tlsPair returns two connections with each other over TLS, on near and far.
func tlsPair(t testing.TB, near, far net.Conn, serverConfig, clientConfig *tls.Config) (server, client *tls.Conn) {
	t.Helper()
	server, client = tls.Server(near, serverConfig), tls.Client(far, clientConfig)
	done := make(chan error)
	go func() { done <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return server, client
}

// Bytes that are written in any sizes come out in any sizes, in both directions at a
// time, on every kind of transport.
func TestStreamCarriesBytes(t *testing.T) {
	for name, pair := range map[string]func() (near, far net.Conn){
		"pipe": func() (near, far net.Conn) { return newPipe(t, 1000) },
		"tcp":  func() (near, far net.Conn) { return tcpPair(t) },
		"tls": func() (near, far net.Conn) {
			server, client := tlsConfigs()
			near, far = tcpPair(t)
			return tls.Server(near, server), tls.Client(far, client)
		},
		"wrapped": func() (near, far net.Conn) { near, far = tcpPair(t); return wrappedConn{near}, wrappedConn{far} },
	} {
		for messageType, typeName := range map[int]string{TextMessage: "text", BinaryMessage: "binary"} {
			t.Run(name+" "+typeName, func(t *testing.T) {
				near, far := pair()
				server, client := streamPair(near, far, messageType)
				var group sync.WaitGroup
				group.Go(func() { carryBytes(t, server, client, 1) })
				group.Go(func() { carryBytes(t, client, server, 2) })
				group.Wait()
				server.Close()
				client.Close()
			})
		}
	}
}

// carryBytes writes ASCII to one stream and reads it from the other.
func carryBytes(t *testing.T, from, to net.Conn, seed uint64) {
	sizes := []int{1, 0, 125, 126, 1000, 65521, 65522, 65523, 65535, 65536, 2, 150_000}
	sent := make([]byte, 500_000)
	for i := range sent {
		sent[i] = 'a' + byte(uint64(i*i)%23+seed)
	}
	var writer sync.WaitGroup
	defer writer.Wait()
	writer.Go(func() {
		p := sent
		for i := 0; len(p) > 0; i++ {
			chunk := p[:min(len(p), sizes[i%len(sizes)])]
			if n, err := from.Write(chunk); n != len(chunk) || err != nil {
				t.Errorf("Write of %d bytes: got %d, %v", len(chunk), n, err)
				return
			}
			p = p[len(chunk):]
		}
	})
	random := rand.New(rand.NewPCG(seed, 1))
	got := make([]byte, 0, len(sent))
	for len(got) < len(sent) {
		space := got[len(got):min(cap(got), len(got)+random.IntN(40_000))]
		n, err := to.Read(space)
		if err != nil || n == 0 && len(space) > 0 {
			t.Errorf("Read after %d bytes: got %d, %v", len(got), n, err)
			return
		}
		got = got[:len(got)+n]
	}
	if !bytes.Equal(got, sent) {
		t.Error("got other bytes than those that were written")
	}
}

// newTestStream returns a server's stream and the other end of its transport.
func newTestStream(t testing.TB, messageType int) (net.Conn, *Conn, *pipeConn) {
	c, wire := newTestConn(t, true)
	return NewStream(c, messageType), c, wire
}

// Messages and fragments may begin and end anywhere and be empty, and control frames
// be among them.
func TestStreamMessagesMeanNothing(t *testing.T) {
	s, _, wire := newTestStream(t, TextMessage)
	wire.Write(unhex(t, "81 80 00000000"))        // an empty message
	wire.Write(unhex(t, "01 82 00000000 6f6e"))   // "on"
	wire.Write(unhex(t, "89 81 00000000 70"))     // a ping
	wire.Write(unhex(t, "00 80 00000000"))        // an empty fragment
	wire.Write(unhex(t, "80 82 00000000 6520"))   // "e "
	wire.Write(unhex(t, "81 80 00000000"))        // an empty message
	wire.Write(unhex(t, "81 83 00000000 74776f")) // "two"
	wire.Write(unhex(t, "8a 80 00000000"))        // a pong
	wire.Write(unhex(t, "88 80 00000000"))        // the end
	got, err := io.ReadAll(s)
	if string(got) != "one two" || err != nil {
		t.Errorf("got %q, %v, want \"one two\", nil", got, err)
	}
	wantFrames(t, wire, `fin=true op=10 masked=false "p"`, `fin=true op=8 masked=false ""`)
}

// A Write is one message, or several where it has more than 64 KiB. An empty one is none.
func TestStreamWriteSendsMessages(t *testing.T) {
	s, _, wire := newTestStream(t, TextMessage)
	for _, text := range []string{"", "one", "two"} {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("got %d, %v, want %d, nil", n, err, len(text))
		}
	}
	wantFrames(t, wire, `fin=true op=1 masked=false "one"`, `fin=true op=1 masked=false "two"`)
	for size, want := range map[int][]int{64 << 10: {64 << 10}, 140_000: {64 << 10, 64 << 10, 140_000 - 128<<10}} {
		s.Write(make([]byte, size))
		var got []int
		for b := wire.takeFrames(len(want)); len(b) > 0; {
			h, n, _ := parseHeader(b)
			got, b = append(got, int(h.length)), b[n+int(h.length):]
		}
		if !slices.Equal(got, want) {
			t.Errorf("a Write of %d bytes: got messages of %d bytes, want %d", size, got, want)
		}
	}
}

// The read limit is for messages, and those mean nothing.
func TestStreamHasNoReadLimit(t *testing.T) {
	a, wire := newPipe(t, 1000)
	s := NewStream(newConn(a, true, nil, connOptions{readLimit: 3}), BinaryMessage)
	wire.Write(unhex(t, "82 84 00000000 01020304"))
	if n, err := io.ReadFull(s, make([]byte, 4)); n != 4 || err != nil {
		t.Errorf("got %d, %v, want 4, nil", n, err)
	}
}

// RFC 6455, 7.4.1: 1003 is for "a type of data it cannot accept".
func TestStreamWrongMessageType(t *testing.T) {
	for messageType, in := range map[int]string{TextMessage: "82 81 00000000 61", BinaryMessage: "81 80 00000000"} {
		s, _, wire := newTestStream(t, messageType)
		wire.Write(unhex(t, in))
		for range 2 {
			n, err := s.Read(make([]byte, 10))
			if n != 0 {
				t.Errorf("got %d bytes, want none", n)
			}
			wantProtocolError(t, err, CloseUnsupportedData, "websocket: message of the wrong type in a stream")
		}
		wantFrames(t, wire, `fin=true op=8 masked=false "\x03\xebmessage of the wrong type in a stream"`)
	}
}

// The same while Shutdown looks after the connection: the race detector sees to it
// that only one of them does at a time.
func TestStreamWrongMessageTypeDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, wire := newTestStream(t, BinaryMessage)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan error)
		go func() { done <- c.Shutdown(ctx, CloseNormalClosure, "") }()
		synctest.Wait()
		wire.Write(unhex(t, "81 80 00000000"))
		_, err := s.Read(make([]byte, 1))
		wantProtocolError(t, err, CloseUnsupportedData, "websocket: message of the wrong type in a stream")
		wire.Close()
		<-done
	})
}

// The end of the connection, as a byte stream has it.
func TestStreamEnds(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"1000", "88 82 00000000 03e8", io.EOF},
		{"1001 with a reason", "88 85 00000000 03e9 627965", io.EOF},
		{"no code", "88 80 00000000", io.EOF},
		{"no Close frame", "", io.ErrUnexpectedEOF},
		{"no Close frame within a header", "82", io.ErrUnexpectedEOF},
		{"no Close frame within a message", "82 83 00000000", io.ErrUnexpectedEOF},
		{"1002", "88 82 00000000 03ea", &CloseError{CloseProtocolError, ""}},
		{"1012", "88 82 00000000 03f4", &CloseError{CloseServiceRestart, ""}},
		{"4000 with a reason", "88 85 00000000 0fa0 627965", &CloseError{4000, "bye"}},
		{"a protocol error", "8380", &protocolError{CloseProtocolError, "unknown opcode 3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _, wire := newTestStream(t, BinaryMessage)
			wire.Write(unhex(t, "82 82 00000000 6162"))
			wire.Write(unhex(t, tt.in))
			wire.out.set(func(h *pipeHalf) { h.writeEnd.closed = true })
			b := make([]byte, 10)
			if n, err := s.Read(b); string(b[:n]) != "ab" || err != nil {
				t.Errorf("got %q, %v, want \"ab\", nil", b[:n], err)
			}
			for range 2 {
				if n, err := s.Read(b); n != 0 || !reflect.DeepEqual(err, tt.want) {
					t.Errorf("got %d, %v, want 0, %v", n, err, tt.want)
				}
			}
		})
	}
}

func TestNewStreamPanics(t *testing.T) {
	c, _ := newTestConn(t, true)
	for _, messageType := range []int{-1, 0, 3, CloseMessage, PingMessage, PongMessage} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.HasPrefix(got, "websocket: NewStream with a message type") {
					t.Errorf("%d: got panic %q, want one that says why", messageType, got)
				}
			}()
			NewStream(c, messageType)
		}()
	}
}

// wantTimeout: programs look for either.
func wantTimeout(t *testing.T, err error) {
	t.Helper()
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
}

// A read deadline that passes at any byte of a header or a payload loses nothing.
func TestStreamReadInterruptedAtEveryByte(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		script := &scriptTransport{interrupt: true, eof: true}
		var want []byte
		for i, size := range []int{3, 0, 130, 1} {
			h := header{fin: i != 1, opcode: opBinary, masked: server, key: [4]byte{1, 2, 3, byte(i)}, length: int64(size)}
			if i == 2 {
				h.opcode = opContinuation
			}
			payload := bytes.Repeat([]byte{byte('a' + i)}, size)
			want = append(want, payload...)
			if server {
				maskEach(payload, h.key, 0)
			}
			script.in = append(h.append(script.in), payload...)
		}
		for i := range script.in {
			script.breaks = append(script.breaks, i)
		}
		s := NewStream(newConn(script, server, nil, connOptions{}), BinaryMessage)
		var got []byte
		b := make([]byte, 100)
		n, err := 0, error(nil)
		for err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			n, err = s.Read(b)
			got = append(got, b[:n]...)
		}
		if !bytes.Equal(got, want) || err != io.ErrUnexpectedEOF {
			t.Errorf("got %q, %v, want %q and the end", got, err, want)
		}
		if script.timeouts != len(script.in) {
			t.Errorf("got %d timeouts, want %d", script.timeouts, len(script.in))
		}
	})
}

// Reads end at their deadline, and at one that is set meanwhile.
func TestStreamReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, wire := newTestStream(t, BinaryMessage)
		start := time.Now()
		wantEnd := func(after time.Duration, why string) {
			t.Helper()
			_, err := s.Read(make([]byte, 1))
			wantTimeout(t, err)
			if got := time.Since(start); got != after {
				t.Errorf("got the end after %v, want %v: %s", got, after, why)
			}
		}
		s.SetReadDeadline(start.Add(time.Second))
		wantEnd(time.Second, "the deadline")
		wantEnd(time.Second, "it has passed")
		s.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { s.SetDeadline(time.Now()) })
		wantEnd(2*time.Second, "another goroutine has set one")
		s.SetReadDeadline(start.Add(time.Hour))
		time.AfterFunc(time.Second, func() { wire.Write(unhex(t, "82 81 00000000 61")) })
		if n, err := s.Read(make([]byte, 2)); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1, nil: the stream goes on", n, err)
		}
	})
}

func TestStreamAddrs(t *testing.T) {
	near, far := tcpPair(t)
	s, _ := streamPair(near, far, BinaryMessage)
	if s.LocalAddr() != near.LocalAddr() || s.RemoteAddr() != near.RemoteAddr() {
		t.Errorf("got %v and %v, want %v and %v", s.LocalAddr(), s.RemoteAddr(), near.LocalAddr(), near.RemoteAddr())
	}
}

// A Write takes no memory of its own.
func TestStreamWriteAllocatesNothing(t *testing.T) {
	bothSides(t, func(t *testing.T, server bool) {
		s := NewStream(newConn(nullTransport{}, server, nil, connOptions{}), BinaryMessage)
		p := make([]byte, 1000)
		allocs := testing.AllocsPerRun(100, func() { s.Write(p) })
		if allocs >= 1 && !raceEnabled {
			t.Errorf("got %v allocations, want 0", allocs)
		}
	})
}
