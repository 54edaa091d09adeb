//go:build go1.25

package websocket

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// conversation is how the bytes of FuzzConversation come, and what the endpoint is that reads them.
type conversation struct {
	server, eof, handlers bool
	compressed, takeover  bool
	bits                  int // of the peer's window
	limit                 int64
	chunk                 int  // bytes that come at once; 0 means all
	early                 int  // bytes that come with the handshake
	timeouts              bool // one comes before each chunk
	quick                 bool // replies wait for the end of a burst
	ways                  []byte
}

// newConversation is the conversation that the flags stand for.
func newConversation(flags uint32, ways []byte) (c conversation) {
	take := func(bits uint) int {
		v := flags & (1<<bits - 1)
		flags >>= bits
		return int(v)
	}
	c.ways = ways
	c.server = take(1) == 1
	compression := take(2)
	c.compressed, c.takeover = compression > 1, compression == 3
	c.bits = minWindowBits + take(3)
	limit := take(2)
	c.limit = []int64{0, -1, 10, 1000}[limit]
	if c.compressed {
		c.limit = []int64{70_000, 5000, 10, 1000}[limit]
	}
	c.chunk = []int{0, 1, 1, 2, 3, 7, 50, 200}[take(3)]
	c.timeouts = take(1) == 1
	c.early = 20 * take(1)
	c.quick = take(2) == 1
	c.eof = take(1) == 1
	c.handlers = take(1) == 1
	return c
}

// way is how the program reads a message: the kind in the lowest three bits, and a number.
func (c *conversation) way(number int) byte {
	if len(c.ways) == 0 {
		return 0
	}
	return c.ways[number%len(c.ways)]
}

// abandons reports whether the program may read a part of a message only.
func (c *conversation) abandons(number int) bool { return c.way(number)&7 >= 6 }

// method returns a message, or a part of it.
func (c *conversation) method(number int) scriptMethod {
	way := c.way(number)
	kind, n := way&7, int(way>>3)
	if kind < 4 {
		return scriptMethods[kind]
	}
	return scriptMethod{read: func(a *scriptApp) (int, []byte, error) {
		for range n {
			if !c.timeouts {
				break
			}
			// A reader has what had come of the message before this was interrupted.
			if messageType, p, err := a.c.ReadMessage(); !a.again(err) {
				return messageType, p, err
			}
		}
		switch kind {
		case 4:
			return a.read(n/3 + 1)
		case 5:
			return a.read(0)
		case 6:
			return a.readOnce(n/3 + 1)
		}
		return scriptSkip.read(a)
	}}
}

// readOnce reads a message's first bytes, up to size.
func (a *scriptApp) readOnce(size int) (messageType int, data []byte, err error) {
	var r io.Reader
	for r == nil {
		if messageType, r, err = a.c.NextReader(); err != nil && !a.again(err) {
			return messageType, nil, err
		}
	}
	for {
		data = make([]byte, size)
		n, err := r.Read(data)
		if err == io.EOF {
			err = nil
		}
		if !a.again(err) {
			return messageType, data[:n], err
		}
	}
}

// noteHandlers sets handlers that note what they are called with, and do what the default ones do.
func (s *scriptTransport) noteHandlers() {
	note := func(what, data string) {
		s.events() // the replies before it have left
		s.note(scriptEvent{kind: '@', what: what, data: []byte(data)})
	}
	ping, pong, closed := s.c.PingHandler(), s.c.PongHandler(), s.c.CloseHandler()
	s.c.SetPingHandler(func(data string) error {
		note("ping", data)
		return ping(data)
	})
	s.c.SetPongHandler(func(data string) error {
		note("pong", data)
		return pong(data)
	})
	s.c.SetCloseHandler(func(code int, text string) error {
		note(fmt.Sprint("close ", code), text)
		return closed(code, text)
	})
}

// play has a connection read the bytes, and returns the events and what is wrong whatever they are.
func (c *conversation) play(in []byte, o connOptions) (events []scriptEvent, wrong string) {
	s := &scriptTransport{in: in, pos: min(c.early, len(in)), interrupt: c.timeouts, eof: c.eof}
	if c.chunk > 0 {
		for at := s.pos; at < len(in); at += c.chunk {
			s.breaks = append(s.breaks, at)
		}
	}
	o.readLimit, o.writeThrough = c.limit, !c.quick
	s.c = newConn(s, c.server, bytes.Clone(in[:s.pos]), o)
	s.c.burst.quick = c.quick
	defer s.c.Close()
	if c.handlers {
		s.noteHandlers()
	}
	a := &scriptApp{c: s.c, t: s}
	end := a.readAll(c.method, 2*len(in)+2)
	if events = slices.Clone(s.events()); end == nil {
		return events, "got more events than bytes"
	}
	a.afterError(end, 1)
	return events, a.wrong
}

// compare returns the first difference of the events and the reference's.
func (c *conversation) compare(got, want []scriptEvent, undecided bool) string {
	gotMessages, gotRest := splitEvents(got)
	messages, rest := splitEvents(want)
	if undecided {
		gotMessages = gotMessages[:min(len(gotMessages), len(messages))]
	}
	some := undecided
	for i := range messages {
		if i < len(gotMessages) && c.abandons(i) {
			some = true
			g, w := &gotMessages[i], &messages[i]
			g.what, w.what = lastWord(g.what), lastWord(w.what)
			if bytes.HasPrefix(w.data, g.data) {
				w.data = g.data
			}
		}
	}
	switch {
	case some:
		if wrong := diffEvents(gotMessages, messages, false, false); wrong != "" || undecided {
			return wrong
		}
		return diffEvents(gotRest, rest, false, false)
	case c.quick:
		return diffEvents(framesLast(got), framesLast(want), false, false)
	}
	fault := slices.ContainsFunc(want, func(e scriptEvent) bool { return strings.HasPrefix(e.what, "upto ") })
	return diffEvents(got, want, c.chunk == 1 && c.early == 0 && !(fault && c.compressed), false)
}

func lastWord(s string) string { return s[strings.LastIndexByte(s, ' ')+1:] }

// Whatever comes, in whatever pieces, and however the program reads: the messages, the replies and the error
// are those of the reference.
func FuzzConversation(f *testing.F) {
	flags := uint32(0)
	add := func(file string, compression uint32) {
		eachTranscript(f, file, func(tr *transcript) {
			flags += 0x9e3779b1 // for any
			if flags>>31 == 1 || len(tr.in) > 100 {
				return // the fuzzer plays half of them at the beginning
			}
			side := uint32(0)
			if tr.side == "server" {
				side = 1
			}
			f.Add(tr.in, flags&^7|compression<<1|side, []byte{byte(flags >> 24)})
		})
	}
	add("wire/*", 0)
	for range 4 {
		add("rfc7692/no-takeover", 2)
		add("rfc7692/takeover", 3)
		add("rfc7692/vectors", 3)
	}
	text := textLike(600, 1)
	var in []byte
	for _, payload := range deflateMessages(9, text, text[:100], text) {
		h := header{fin: true, rsv1: true, opcode: opText, length: int64(len(payload))}
		in = append(h.append(in), payload...)
	}
	in = append(in, "\x88\x7b\x03\xe8"+strings.Repeat("b", 121)...)
	for bits := range uint32(8) {
		f.Add(in, 3<<1|bits<<3, []byte{byte(bits)})
	}
	f.Fuzz(func(t *testing.T, in []byte, flags uint32, ways []byte) {
		in = in[:min(len(in), 4000)]
		c := newConversation(flags, ways)
		r := &reference{in: in, eof: c.eof, server: c.server, limit: c.limit, handlers: c.handlers}
		var o connOptions
		if c.compressed {
			o.agreed.deflate = &deflateParams{!c.takeover, !c.takeover, c.bits, c.bits}
			r.inflater = &strictInflater{bits: c.bits, takeover: c.takeover}
		}
		got, wrong := c.play(in, o)
		if wrong != "" {
			t.Fatalf("%+v: % x: %s", c, in, wrong)
		}
		r.seen, r.unread = got, func(number int) bool { return c.abandons(number - 1) }
		want := r.read()
		if wrong := c.compare(got, want, r.undecided); wrong != "" {
			t.Errorf("%+v: % x: %s\ngot  %v\nwant %v", c, in, wrong, got, want)
		}
	})
}
