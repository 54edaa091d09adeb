//go:build go1.25

package websocket

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pooled is a connection that holds codecs, in a bubble, and the other end of its wire.
type pooled struct {
	t        *testing.T
	c        *Conn
	wire     *pipeConn
	server   bool
	takeover bool

	open bool           // the peer's message has not ended
	r    io.Reader      // of a message that was read in part
	w    io.WriteCloser // of a message that was written in part
}

const pooledRoom = 32 << 10 // what the network takes

// pooledLarge is more than that, also when it is compressed.
var pooledLarge = sync.OnceValue(func() []byte { return textLike(200_000, 1) })

// receive has the peer send compressed data: a message, or the end of the one that is open.
func (p *pooled) receive(payload []byte) {
	first := "\xc2"
	if p.open {
		first = "\x80"
	}
	p.open = false
	p.wire.Write(closingFrame(p.server, first+string(payload)))
}

// write writes a message that the network does not take, or some more of the one that is open.
func (p *pooled) write(ctx context.Context) error {
	data := pooledLarge()
	if p.w != nil {
		return second(p.w.Write(data))
	}
	return p.c.WriteMessageContext(ctx, BinaryMessage, data)
}

// readUntilError reads as a program does whose connection ends.
func (p *pooled) readUntilError() {
	for {
		if _, _, err := p.c.ReadMessage(); err != nil {
			return
		}
	}
}

// pooledStates are what a connection may be doing when it ends.
var pooledStates = []struct {
	name  string
	enter func(p *pooled)
}{
	{"fresh", func(*pooled) {}},
	{"after messages", (*pooled).exchange},
	{"a message was read in part", (*pooled).readPart},
	{"a message has come in part", func(p *pooled) {
		payload := deflateMessages(1, textLike(5000, 2))[0]
		p.wire.Write(closingFrame(p.server, "\x42"+string(payload[:len(payload)/2])))
		p.c.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := p.c.ReadMessage(); !isTimeout(err) {
			p.t.Fatalf("got %v, want a timeout", err)
		}
		p.c.SetReadDeadline(time.Time{})
		p.open = true
	}},
	{"a message was written in part", (*pooled).writePart},
	{"both in part", func(p *pooled) { p.exchange(); p.readPart(); p.writePart() }},
}

func (p *pooled) exchange() {
	for range 3 {
		if err := p.c.WriteMessage(TextMessage, textLike(3000, 1)); err != nil {
			p.t.Fatal(err)
		}
		p.receive(deflateMessages(1, textLike(3000, 1))[0])
		if _, _, err := p.c.ReadMessage(); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *pooled) readPart() {
	p.receive(deflateMessages(1, textLike(20_000, 2))[0])
	_, r, err := p.c.NextReader()
	if err == nil {
		_, err = io.ReadFull(r, make([]byte, 100))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.r = r
}

func (p *pooled) writePart() {
	w, err := p.c.NextWriter(TextMessage)
	if err == nil {
		_, err = w.Write(textLike(10_000, 3))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.w = w
}

// pooledEnds are ways for a connection to end. Behind each comes Close, where it is not a part of it.
var pooledEnds = []struct {
	name string
	end  func(p *pooled)
}{
	{"Close", func(*pooled) {}},
	{"the peer's Close frame", func(p *pooled) {
		p.wire.Write(closingFrame(p.server, closeFrame(CloseNormalClosure, "")))
		p.readUntilError()
	}},
	{"the end of the network connection", func(p *pooled) {
		p.wire.Close()
		p.readUntilError()
	}},
	{"corrupt data", func(p *pooled) {
		p.receive([]byte{6, 0xff, 0xff, 0xff})
		p.readUntilError()
	}},
	{"the read limit", func(p *pooled) {
		p.c.SetReadLimit(50)
		p.receive(deflateMessages(1, make([]byte, 51))[0])
		p.readUntilError()
	}},
	{"a write error", func(p *pooled) {
		p.wire.Close()
		p.write(context.Background())
	}},
	{"a write deadline", func(p *pooled) {
		p.c.SetWriteDeadline(time.Now().Add(time.Second))
		p.write(context.Background())
	}},
	{"a context within a write", func(p *pooled) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if p.w != nil {
			p.c.SetWriteDeadline(time.Now().Add(time.Second))
		}
		p.write(ctx)
	}},
	{"Shutdown that the peer answers", func(p *pooled) {
		p.wire.Write(closingFrame(p.server, closeFrame(CloseNormalClosure, "")))
		p.c.Shutdown(context.Background(), CloseNormalClosure, "")
	}},
	{"Shutdown that the peer does not answer", func(p *pooled) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		p.c.Shutdown(ctx, CloseNormalClosure, "")
	}},
	{"Group.Shutdown", func(p *pooled) {
		var g Group
		g.enter()
		g.leave(p.c)
		p.wire.Write(closingFrame(p.server, closeFrame(CloseNormalClosure, "")))
		g.Shutdown(context.Background())
	}},
	{"keepalive", func(p *pooled) {
		p.c.startKeepalive(time.Minute, time.Second)
		p.readUntilError()
	}},
	{"Close while another goroutine reads", func(p *pooled) {
		go p.readUntilError()
		synctest.Wait()
		p.c.Close()
		synctest.Wait()
	}},
	{"Close while another goroutine writes", func(p *pooled) {
		go p.write(context.Background())
		synctest.Wait()
		p.c.Close()
		synctest.Wait()
	}},
	{"Close while others wait for their turn to write", func(p *pooled) {
		for range 3 {
			go p.c.WriteMessage(TextMessage, pooledLarge())
		}
		synctest.Wait()
		p.c.Close()
		synctest.Wait()
	}},
	{"a handler that panics", func(p *pooled) {
		p.c.SetPingHandler(func(string) error { panic(errMine) })
		p.wire.Write(closingFrame(p.server, "\x89"))
		defer func() { recover() }()
		p.readUntilError()
	}},
	{"a stream", func(p *pooled) {
		s := NewStream(p.c, BinaryMessage)
		if !p.open && p.r == nil {
			p.receive(deflateMessages(1, textLike(20_000, 2))[0])
			s.Read(make([]byte, 100))
		}
		s.SetWriteDeadline(time.Now().Add(time.Second))
		s.Write(make([]byte, 1000))
		s.Close()
	}},
	{"a stream that is closed while it writes", func(p *pooled) {
		s := NewStream(p.c, BinaryMessage)
		go s.Write(make([]byte, 2*pooledRoom))
		synctest.Wait()
		s.Close()
		synctest.Wait()
	}},
	{"everything after Close", func(p *pooled) {
		p.c.Close()
		p.write(context.Background())
		if w, err := p.c.NextWriter(TextMessage); err == nil {
			w.Write(textLike(10_000, 1))
			w.Close()
		}
		p.readUntilError()
		if p.r != nil {
			p.r.Read(make([]byte, 1))
		}
	}},
}

// Every way for a connection to end returns each codec. That none is returned twice,
// release itself sees to.
func TestAttackEveryEndReturnsTheCodecs(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		for _, state := range pooledStates {
			for _, end := range pooledEnds {
				bothSides(t, func(t *testing.T, server bool) {
					synctest.Test(t, func(t *testing.T) {
						before := codecsOnLoan.Load()
						near, far := newPipe(t, pooledRoom)
						o := CompressionOptions{ContextTakeover: takeover}
						answer := negotiate(t, o, o)
						c := newConn(near, server, nil, connOptions{agreed: agreement{deflate: &answer}, compression: o})
						p := &pooled{t: t, c: c, wire: far, server: server, takeover: takeover}
						state.enter(p)
						end.end(p)
						isClosed := false
						near.in.set(func(h *pipeHalf) { isClosed = h.readEnd.closed })
						if !isClosed {
							c.Close()
						}
						synctest.Wait()
						if n := codecsOnLoan.Load() - before; n != 0 {
							t.Errorf("takeover %v, %s, %s: got %d codecs that were not returned", takeover, state.name, end.name, n)
						}
						if got := borrowed(c); got != "" {
							t.Errorf("takeover %v, %s, %s: got that %s was not given back", takeover, state.name, end.name, got)
						}
					})
				})
			}
		}
	}
}

// Without takeover a connection that waits holds no codec and no window. With it, it holds a
// deflater from the first compressed message on, and a window that is no larger than agreed.
func TestCodecsOfAnIdleConnection(t *testing.T) {
	for _, bits := range []int{8, 9, 12, 15} {
		for _, takeover := range []bool{false, true} {
			before := codecsOnLoan.Load()
			o := CompressionOptions{ContextTakeover: takeover, PeerWindowBits: bits, WindowBits: bits}
			s, c := compressedPair(t, o, o)
			ends := []*Conn{s, c}
			for _, end := range ends {
				end.EnableWriteCompression(false)
			}
			transfer(t, "plain", s, c, 0, textLike(100, 1))
			if n := codecsOnLoan.Load() - before; n != 0 {
				t.Errorf("takeover %v: got %d codecs before the first compressed message, want 0", takeover, n)
			}
			for _, end := range ends {
				end.EnableWriteCompression(true)
			}
			for i, size := range []int{100, 500, 3000, 20_000, 1234, 100_000, 10_000, 9000, 27_000, 1 << bits, 1<<bits - 1, 5} {
				for j, end := range ends {
					transfer(t, "compressed", end, ends[1-j], i, textLike(size, uint64(i)))
				}
				want := int64(0)
				if takeover {
					want = 2
				}
				if n := codecsOnLoan.Load() - before; n != want {
					t.Errorf("takeover %v: got %d codecs of two connections after %d messages, want %d", takeover, n, i+1, want)
				}
				for _, end := range ends {
					switch n := cap(end.compression.window.b); {
					case !takeover && n > 0:
						t.Errorf("got a window of %d bytes without takeover", n)
					case n > 1<<bits:
						t.Errorf("%d bits: got a window of %d bytes, want %d at most", bits, n, 1<<bits)
					}
				}
			}
			s.Close()
			c.Close()
			if n := codecsOnLoan.Load() - before; n != 0 {
				t.Errorf("got %d codecs after Close, want 0", n)
			}
		}
	}
}

// A connection that waits holds the windows that were agreed on, and the tables of what it sends.
func TestCompressionMemory(t *testing.T) {
	const connections = 50
	large := textLike(60_000, 1)
	heap := func() uint64 {
		var m runtime.MemStats
		for range 4 { // the pools keep what was given back for two
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, tt := range []struct {
		sendBits, recvBits, level, most int
		takeover                        bool
	}{
		{15, 15, 1, 600, false},
		{15, 15, 1, 88 << 10, true},
		{14, 15, 1, 66 << 10, true},
		{12, 12, 1, 30 << 10, true},
		{15, 15, 6, 168 << 10, true},
	} {
		measure := func() int {
			conns := make([]*Conn, connections)
			d := acquireDeflater(1, tt.recvBits)
			payload := deflate(d, large)
			releaseDeflater(d)
			for i := range conns {
				near, far := newPipe(t, 1<<20)
				answer := deflateParams{serverNoContextTakeover: !tt.takeover, clientNoContextTakeover: !tt.takeover,
					serverMaxWindowBits: tt.sendBits, clientMaxWindowBits: tt.recvBits}
				c := newConn(near, true, nil, connOptions{agreed: agreement{deflate: &answer}, compression: CompressionOptions{Level: tt.level}})
				c.WriteMessage(TextMessage, large)
				far.Write(closingFrame(true, "\xc1"+string(payload)))
				if _, _, err := c.ReadMessage(); err != nil {
					t.Fatal(err)
				}
				far.Close()
				near.in.set(func(h *pipeHalf) { h.data = nil })
				near.out.set(func(h *pipeHalf) { h.data = nil })
				conns[i] = c
			}
			with := heap()
			for _, c := range conns {
				c.dropInflater()
				c.compression.drop()
				c.compression = nil
			}
			without := heap()
			runtime.KeepAlive(conns)
			return (int(with) - int(without)) / connections
		}
		got := measure()
		for range 4 { // what other tests have left may be freed meanwhile
			if got <= tt.most {
				break
			}
			got = measure()
		}
		if got > tt.most {
			t.Errorf("%+v: got %d bytes of heap, want at most %d", tt, got, tt.most)
		}
	}
}

// What is released twice would have two owners.
func TestSecondReleaseOfACodecPanics(t *testing.T) {
	for name, release := range map[string]func(){
		"deflater": func() { d := acquireDeflater(1, 15); releaseDeflater(d); releaseDeflater(d) },
		"inflater": func() { z := acquireInflater(nil); releaseInflater(z); releaseInflater(z) },
	} {
		func() {
			before := codecsOnLoan.Load()
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "BUG") {
					t.Errorf("%s: got %q, want a panic that says BUG", name, text)
				}
				if n := codecsOnLoan.Load(); n != before {
					t.Errorf("%s: got %d codecs on loan, want %d", name, n, before)
				}
			}()
			release()
		}()
	}
}

// What a connection has sent or received, another's codecs know nothing of.
func TestAttackNoWindowReachesAnotherConnection(t *testing.T) {
	secret := []byte("the secret of a connection, of which no other has a byte")
	for _, level := range []int{-2, -1, 1, 2, 4, 6, 9} {
		o := CompressionOptions{ContextTakeover: true, Level: level}
		for i := range 4 {
			from, to := compressedPair(t, o, o)
			for j := range sendWays {
				transfer(t, "the first", from, to, j, append(textLike(i*10_000, 1), secret...))
			}
			from.Close() // with its deflater
			to.Close()

			// What another one sends can be read without what the first has sent.
			o.ContextTakeover = i%2 == 0
			c, wire := newCompressedConn(t, i%4 < 2, o)
			for _, w := range sendWays {
				if err := w.write(c, TextMessage, secret); err != nil {
					t.Fatal(err)
				}
			}
			s := &strictInflater{bits: 15, takeover: o.ContextTakeover}
			all := make([][]byte, len(sendWays))
			for j := range all {
				all[j] = secret
			}
			wantSent(t, wire, s, all...)
			c.Close()
		}
	}
}

// A message that refers to what was before its connection gets nothing of it.
func TestAttackNoMessageRefersToAnotherConnection(t *testing.T) {
	secret := "the secret of a connection, of which no other has a byte"
	step := 1021
	if raceEnabled {
		step = 8191 // it takes long
	}
	for gap := 0; gap+len(secret) <= 1<<15; gap += step { // else it cannot be referred to
		payloads := deflateMessages(9, []byte(secret+string(textNone(gap))), []byte(secret))
		for _, r := range receiveWays {
			for _, takeover := range []bool{false, true} {
				o := CompressionOptions{ContextTakeover: takeover}
				for _, server := range []bool{true, false} {
					victim, wire := newCompressedConn(t, server, o)
					wire.Write(closingFrame(server, "\xc2"+string(payloads[0])))
					if _, _, err := r.read(victim); err != nil {
						t.Fatal(err)
					}
					other, wire := newCompressedConn(t, server, o)
					wire.Write(closingFrame(server, "\xc2"+string(payloads[1])))
					_, got, err := r.read(other)
					if !errors.Is(err, errCorruptMessage) || strings.Contains(secret, string(got)) && len(got) > 2 {
						t.Fatalf("%s, gap %d: got %q, %v, want that the message is corrupt", r.name, gap, got, err)
					}
				}
			}
		}
	}
}
