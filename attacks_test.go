//go:build go1.25

package websocket

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The tests named TestAttack show that what has broken other implementations does not break this one.
// CONFORMANCE.md lists them.

// attack is the connection that is attacked.
type attack struct {
	server      bool
	compression *CompressionOptions // nil without compression
}

// eachAttack runs f for a server and a client, without compression, with it, and with context takeover.
// What f has begun must have ended then.
func eachAttack(t *testing.T, f func(t *testing.T, a attack)) {
	bothSides(t, func(t *testing.T, server bool) {
		for name, o := range map[string]*CompressionOptions{"plain": nil, "compressed": {}, "takeover": {ContextTakeover: true}} {
			goroutines, codecs := 0, codecsOnLoan.Load()
			for range 10 { // while others end it may miss some
				runtime.Gosched()
				goroutines = max(goroutines, runtime.NumGoroutine())
			}
			t.Run(name, func(t *testing.T) { f(t, attack{server, o}) })
			for start := time.Now(); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
				if time.Since(start) > patience {
					t.Fatalf("%s: got %d goroutines, want the %d of before", name, runtime.NumGoroutine(), goroutines)
				}
			}
			if n := codecsOnLoan.Load(); n != codecs {
				t.Errorf("%s: got %d codecs that were not returned, want none", name, n-codecs)
			}
		}
	})
}

// options returns o with what was agreed on.
func (a attack) options(t testing.TB, o connOptions) connOptions {
	if a.compression != nil {
		answer := negotiate(t, *a.compression, *a.compression)
		o.agreed.deflate, o.compression = &answer, *a.compression
	}
	return o
}

// pipe returns the connection over memory, and the peer's end.
func (a attack) pipe(t testing.TB, o connOptions) (*Conn, *pipeConn) {
	near, far := newPipe(t, 4<<20)
	c := newConn(near, a.server, nil, a.options(t, o))
	t.Cleanup(func() { c.Close() })
	return c, far
}

// frame returns a frame of the peer with the first byte. That of a message is marked as compressed if
// compression was agreed on.
func (a attack) frame(first byte, payload string) []byte {
	if op := opcode(first & 0x0f); a.compression != nil && (op == opText || op == opBinary) {
		first |= 0x40
	}
	return closingFrame(a.server, string([]byte{first})+payload)
}

// header returns the header of such a frame, with a length as it is on the wire: its first byte has no mask bit.
func (a attack) header(first byte, length []byte) []byte {
	b := append(a.frame(first, "")[:1], length...)
	if a.server {
		b[1] |= 0x80
		b = append(b, 1, 2, 3, 4)
	}
	return b
}

// payload returns the payload of a message, as it is on the wire without masking.
func (a attack) payload(message string) string {
	if a.compression == nil {
		return message
	}
	return string(deflateMessages(1, []byte(message))[0])
}

// emptyBlock returns a block of DEFLATE without data in fragments of a byte. A message of such blocks becomes no
// longer, so only the limit of what is compressed ends it.
func (a attack) emptyBlock() (b []byte) {
	for _, c := range []byte("\x00\x00\x00\xff\xff") {
		b = append(b, a.frame(0x00, string([]byte{c}))...)
	}
	return b
}

// attackTransport is a transport whose peer sends what in has, and then nothing more: a read returns end.
type attackTransport struct {
	nullTransport
	in    io.Reader
	end   error
	bytes int // that were read
	reads int
	waits func() // called before each read, unless it is nil

	mu   sync.Mutex
	sent []byte
}

func newAttackTransport(in io.Reader) *attackTransport {
	return &attackTransport{in: in, end: errScriptExhausted}
}

func (a *attackTransport) Read(p []byte) (int, error) {
	if a.waits != nil {
		a.waits()
	}
	n, err := a.in.Read(p)
	a.reads++
	a.bytes += n
	if err == io.EOF {
		err = a.end
	}
	return n, err
}

func (a *attackTransport) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, p...)
	return len(p), nil
}

func (a *attackTransport) Close() error { return nil }

// wantFailed checks that c has failed with err, for good, and has sent a Close frame with the code and the
// reason, and nothing else.
func (a *attackTransport) wantFailed(t testing.TB, what string, c *Conn, got, want error) {
	t.Helper()
	if got == nil || got.Error() != want.Error() || (want == ErrReadLimit) != (got == ErrReadLimit) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
		return
	}
	if _, _, again := c.ReadMessage(); again != got {
		t.Errorf("%s: got error %v of the next read, want the same", what, again)
	}
	c.send.awaitFlush()
	a.mu.Lock()
	defer a.mu.Unlock()
	code, reason := closeCodeFor(want)
	frame, rest := cutFrame(a.sent)
	if want := "8 " + string(FormatCloseMessage(code, reason)); frame != want || len(rest) > 0 {
		t.Errorf("%s: got frame %q and %d bytes, want %q alone", what, frame, len(rest), want)
	}
}

// allocated returns the bytes that f allocates, and so no less than the memory that it needs at any time.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// nhooyr 1.8.7: pongs that are unsolicited, guessed, cut, or come twice answer nothing, and the reading goes on.
func TestAttackPongs(t *testing.T) {
	eachAttack(t, func(t *testing.T, a attack) {
		a.pingTest(t, func(tc *pingScript) {
			tc.pong("unsolicited")
			tc.pong("")
			p := tc.ping(tc.Context())
			for _, payload := range []string{"", p.payload[:15], p.payload + "x", "0123456789abcdef", "0123456789abcdef", strings.Repeat("x", 125)} {
				tc.pong(payload)
			}
			tc.want("none of them answers it", p, false, 0)
			tc.wire.Write(bytes.Repeat(a.frame(0x8a, p.payload), 3)) // before its goroutine runs
			tc.want("its pong is here", p, true, 0)
			tc.pong(p.payload)
			later := tc.ping(tc.Context())
			tc.pong(p.payload)
			tc.want("that was the pong of an earlier one", later, false, 0)
			tc.pong(later.payload)
			tc.want("its pong is here", later, true, 0)
			tc.pong(later.payload)
			if len(tc.pongs) != 15 {
				tc.Errorf("got %d pongs in the handler, want all 15", len(tc.pongs))
			}
			tc.wire.Write(a.frame(0x89, "alive"))
			synctest.Wait()
			if got := describeFrames(tc, tc.wire.take()); got != "10 alive" {
				tc.Errorf("got the frames %q, want that the reading goes on, and no other", got)
			}
		})
	})
}

// Buffers go from connection to connection, and what was in them does not: neither is it sent, nor does it lie
// behind a message that the program gets. When one is given back, it is overwritten with 0xdb here.
func TestAttackNoBufferReachesAnotherConnection(t *testing.T) {
	secret := bytes.Repeat([]byte("the secret of a connection, of which no other has a byte"), 200)
	old := func(b []byte) bool {
		return bytes.Contains(b, secret[:8]) || bytes.Contains(b, []byte("\xdb\xdb\xdb\xdb"))
	}
	eachAttack(t, func(t *testing.T, a attack) {
		for _, size := range []int{0, 1, 125, 126, 1000, 5000, 70_000} {
			message := textLike(size, 1)
			for i, w := range sendWays {
				r := receiveWays[i%len(receiveWays)]
				c, wire := a.pipe(t, connOptions{})
				w.write(c, TextMessage, secret)
				wire.Write(a.frame(0x81, a.payload(string(secret))))
				if _, p, err := r.read(c); !bytes.Equal(p, secret) || err != nil {
					t.Fatal(err)
				}
				c.Close()

				c, wire = a.pipe(t, connOptions{})
				if err := w.write(c, TextMessage, message); err != nil {
					t.Fatal(err)
				}
				if list := wantSent(t, wire, &strictInflater{bits: 15}, message); old(list[0].payload) {
					t.Errorf("%s, %d bytes: got old bytes sent", w.name, size)
				}
				wire.Write(a.frame(0x81, a.payload(string(message))))
				if _, p, err := r.read(c); !bytes.Equal(p, message) || err != nil || old(p[:cap(p)]) {
					t.Errorf("%s: got %d of %d bytes, %v, want the message of %d and nothing old behind it", r.name, len(p), cap(p), err, size)
				}
				c.Close()
			}
		}
	})
}
