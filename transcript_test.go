package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// errScriptExhausted is what the transport returns to a read of more than the
// transcript has: an error in place of the wait for more. Where a transcript ends
// with an error, the endpoint must not have asked for more.
var errScriptExhausted = errors.New("the endpoint waits for more")

// scriptTransport plays the peer. Nobody waits for anything in it, except that a Read waits until
// the endpoint's replies have left.
type scriptTransport struct {
	c         *Conn // the endpoint
	in        []byte
	pos       int
	breaks    []int // ascending positions where a Read ends at the latest
	interrupt bool  // at each of them a timeout comes first
	timeouts  int   // how many were returned
	eof       bool

	mu  sync.Mutex
	log []scriptEvent
}

// note logs an event.
func (s *scriptTransport) note(e scriptEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.at = s.pos
	s.log = append(s.log, e)
}

// events returns the log, once the endpoint's replies have left, unless they wait for the end of
// a burst.
func (s *scriptTransport) events() []scriptEvent {
	if s.c != nil {
		s.c.send.awaitFlush()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

func (s *scriptTransport) Read(p []byte) (n int, err error) {
	s.events()
	for len(s.breaks) > 0 && s.breaks[0] <= s.pos {
		due := s.breaks[0] == s.pos
		s.breaks = s.breaks[1:]
		if due && s.interrupt {
			s.timeouts++
			return 0, os.ErrDeadlineExceeded
		}
	}
	if s.pos == len(s.in) && s.eof {
		return 0, io.EOF
	}
	if s.pos == len(s.in) {
		return 0, errScriptExhausted
	}
	end := len(s.in)
	if len(s.breaks) > 0 {
		end = s.breaks[0]
	}
	n = copy(p, s.in[s.pos:end])
	s.pos += n
	for i := n; i < min(len(p), n+256); i++ {
		p[i] = 0xdb // an io.Reader may use all of p as scratch space
	}
	if s.pos == len(s.in) && s.eof && len(s.breaks) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Write takes whole frames.
func (s *scriptTransport) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		frame := rest
		if h, n, err := parseHeader(rest); err == nil && n > 0 && h.length <= int64(len(rest)-n) {
			frame = rest[:n+int(h.length)]
		}
		rest = rest[len(frame):]
		if !s.c.recv.server {
			var err error
			if frame, err = unmaskFrames(frame); err != nil {
				frame = []byte(err.Error())
			}
		}
		s.note(scriptEvent{kind: '<', data: bytes.Clone(frame)})
	}
	return len(p), nil
}

func (s *scriptTransport) Close() error                     { return nil }
func (s *scriptTransport) SetReadDeadline(time.Time) error  { return nil }
func (s *scriptTransport) SetWriteDeadline(time.Time) error { return nil }

// scriptApp is the application that reads.
type scriptApp struct {
	c        *Conn
	t        *scriptTransport
	calls    int
	timeouts int    // how many it has seen
	wrong    string // the first thing that is wrong whatever the transcript says
}

func (a *scriptApp) expect(ok bool, format string, args ...any) {
	if !ok && a.wrong == "" {
		a.wrong = fmt.Sprintf(format, args...)
	}
}

// again reports whether err is a timeout, after which the call is to be repeated.
func (a *scriptApp) again(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || a.timeouts == a.t.timeouts {
		return false
	}
	a.timeouts++
	a.expect(a.timeouts == a.t.timeouts, "got timeout %d of the transport, want %d", a.timeouts, a.t.timeouts)
	return true
}

// scriptMethod reads a message. With an error it returns what had come of it.
type scriptMethod struct {
	name string
	read func(a *scriptApp) (messageType int, data []byte, err error)
}

const scriptPrefix = "prefix"

var scriptMethods = []scriptMethod{
	{"ReadMessage", func(a *scriptApp) (int, []byte, error) { return a.append(nil) }},
	{"AppendMessage", func(a *scriptApp) (int, []byte, error) {
		return a.append(func() []byte { return append(make([]byte, 0, len(scriptPrefix)), scriptPrefix...) })
	}},
	{"AppendMessage with room", func(a *scriptApp) (int, []byte, error) {
		return a.append(func() []byte { return append(make([]byte, 0, 64), scriptPrefix...) })
	}},
	// A call that was interrupted is continued by another one with another slice.
	{"ReadMessage and AppendMessage", func(a *scriptApp) (int, []byte, error) {
		return a.append(func() []byte {
			if a.calls++; a.calls%3 == 0 {
				return nil
			}
			return append(make([]byte, 0, 13*a.calls%50+len(scriptPrefix)), scriptPrefix...)
		})
	}},
	// Or by a reader, which then has what had come.
	{"ReadMessage and Read", func(a *scriptApp) (int, []byte, error) {
		a.calls++
		for range 9 + a.calls*5%7 {
			messageType, data, err := a.c.ReadMessage()
			if !a.again(err) {
				return messageType, data, err
			}
		}
		return a.read(7)
	}},
	{"Read of 1 byte", func(a *scriptApp) (int, []byte, error) { return a.read(1) }},
	{"Read of 7 bytes", func(a *scriptApp) (int, []byte, error) { return a.read(7) }},
	{"io.ReadAll", func(a *scriptApp) (int, []byte, error) { return a.read(0) }},
}

// scriptSkip is for an application that wants to know the messages' types only.
var scriptSkip = scriptMethod{"NextReader", func(a *scriptApp) (int, []byte, error) {
	for {
		messageType, _, err := a.c.NextReader()
		if !a.again(err) {
			return messageType, nil, err
		}
	}
}}

func (a *scriptApp) append(dst func() []byte) (messageType int, data []byte, err error) {
	for {
		var d []byte
		if dst == nil {
			messageType, data, err = a.c.ReadMessage()
		} else {
			d = dst()
			messageType, data, err = a.c.AppendMessage(d)
		}
		a.expect(bytes.HasPrefix(data, d), "got %q, want what was there, %q, in front", data, d)
		a.expect(err != nil || data != nil, "got a nil message")
		if err == nil && len(d) > 0 && len(data) <= cap(d) {
			a.expect(&d[0] == &data[0], "got new memory of %d bytes, of %d the caller's has enough", cap(data), cap(d))
		}
		if !a.again(err) {
			return messageType, data[min(len(d), len(data)):], err
		}
		a.expect(messageType == -1 && len(data) == len(d), "got type %d and %d bytes with a timeout, want -1 and %d", messageType, len(data), len(d))
		for i := range d[:cap(d)] {
			d[:cap(d)][i] = 0xdb // it is the caller's again
		}
	}
}

// read reads a message through a reader with a buffer of size bytes, or by io.ReadAll.
func (a *scriptApp) read(size int) (messageType int, data []byte, err error) {
	var r io.Reader
	for {
		messageType, r, err = a.c.NextReader()
		if err == nil {
			break
		}
		if !a.again(err) {
			a.expect(r == nil, "got a reader and the error %v", err)
			return messageType, nil, err
		}
	}
	for {
		var n int
		var p []byte
		if size == 0 {
			p, err = io.ReadAll(r)
			n = len(p)
			if err == nil {
				err = io.EOF
			}
		} else {
			p = make([]byte, size)
			n, err = r.Read(p)
			a.expect(n == 0 || err == nil, "Read returned %d bytes and the error %v", n, err)
			a.expect(n > 0 || err != nil, "Read returned neither bytes nor an error")
		}
		data = append(data, p[:n]...)
		if err == nil || a.again(err) {
			continue
		}
		_, err2 := r.Read(make([]byte, 1))
		a.expect(err2 == err, "the reader returned %v and then %v", err, err2)
		if err == io.EOF {
			err = nil
		}
		return messageType, data, err
	}
}

// scriptDelivery is how the bytes of a transcript come in.
type scriptDelivery struct {
	name     string
	exact    bool // events are to happen exactly where the transcript has them
	timeouts bool
	quick    bool // replies wait for the end of a burst
	cut      func(in []byte, ends []int) (early int, breaks []int)
}

var scriptDeliveries = []scriptDelivery{
	{"whole", false, false, false, func([]byte, []int) (int, []int) { return 0, nil }},
	{"with the handshake", false, false, false, func(in []byte, _ []int) (int, []int) { return len(in), nil }},
	{"by bytes", true, false, false, scriptBytes},
	{"interrupted", true, true, false, scriptBytes},
	{"as a burst", false, false, true, func([]byte, []int) (int, []int) { return 0, nil }},
}

// scriptBytes cuts between all bytes, except in the middle of a long line.
func scriptBytes(in []byte, ends []int) (early int, breaks []int) {
	const few, many = 32, 1021
	start := 0
	for _, end := range ends {
		step := max(many, (end-start)/8)
		for pos := start; pos < end; {
			breaks = append(breaks, pos)
			if end-start > 2*many && pos-start >= few && pos < end-few {
				pos = min(pos+step, end-few)
			} else {
				pos++
			}
		}
		start = end
	}
	return 0, append(breaks, len(in))
}

// scriptCut delivers k bytes at once, and the rest after a timeout.
func scriptCut(k int, withHandshake bool) scriptDelivery {
	d := scriptDelivery{name: fmt.Sprintf("%d bytes, then the rest", k), timeouts: true}
	early := 0
	if withHandshake {
		d.name += ", with the handshake"
		early = k
	}
	d.cut = func([]byte, []int) (int, []int) { return early, []int{k} }
	return d
}

// play plays the transcript to a connection, which then is read from again many
// times, and returns what was wrong, or "".
func (tr *transcript) play(d scriptDelivery, m scriptMethod, again int) string {
	return tr.playTo(connOptions{}, d, m, again)
}

// playTo is play to a connection with the options.
func (tr *transcript) playTo(o connOptions, d scriptDelivery, m scriptMethod, again int) string {
	in, ends, want := tr.in, tr.ends, tr.want
	early, breaks := d.cut(in, ends)
	s := &scriptTransport{in: in, pos: early, breaks: breaks, interrupt: d.timeouts, eof: tr.eof}
	o.readLimit, o.writeThrough = tr.limit, !d.quick
	s.c = newConn(s, tr.side == "server", bytes.Clone(in[:early]), o)
	s.c.burst.quick = d.quick
	a := &scriptApp{c: s.c, t: s}

	end := a.readAll(func(int) scriptMethod { return m }, len(want))
	exact := d.exact
	for _, e := range want {
		// Of a compressed message nothing or something may have come before its error.
		exact = exact && !(o.agreed.deflate != nil && strings.HasPrefix(e.what, "upto "))
	}
	got := s.events()
	if d.quick {
		got, want = framesLast(got), framesLast(want)
	}
	if diff := diffEvents(got, want, exact, m.name == scriptSkip.name); diff != "" {
		return diff
	}
	if a.wrong == "" {
		a.afterError(end, again)
	}
	return a.wrong
}

// readAll reads messages, each by the method for its number, and notes them, until an error, or until there
// are more events than most.
func (a *scriptApp) readAll(method func(number int) scriptMethod, most int) (end error) {
	s := a.t
	for number := 0; end == nil && len(s.events()) <= most; number++ {
		messageType, data, err := method(number).read(a)
		s.events()
		e := scriptEvent{kind: '=', what: scriptMessageType(messageType), data: data}
		if err != nil {
			e.what = "part " + e.what
		}
		if err == nil || messageType != -1 || len(data) > 0 {
			s.note(e)
		}
		if end = err; err != nil {
			s.note(scriptEvent{kind: '!', what: err.Error()})
		}
	}
	return end
}

func scriptMessageType(messageType int) string {
	switch messageType {
	case TextMessage:
		return "text"
	case BinaryMessage:
		return "binary"
	}
	return fmt.Sprint("type ", messageType)
}

// afterError checks what holds of a connection whose reads have failed.
func (a *scriptApp) afterError(err error, again int) {
	var closeError *CloseError
	text := err.Error()
	a.expect(errors.As(err, &closeError) == strings.HasPrefix(text, "websocket: close "), "got %#v with the text %q", err, text)
	a.expect(text != ErrReadLimit.Error() || err == ErrReadLimit, "got %#v, want ErrReadLimit", err)

	log := a.t.events()
	wrote := len(log)
	prefix := []byte("x")
	for i := range again {
		messageType, p, err1 := a.c.AppendMessage(prefix)
		if messageType != -1 || string(p) != "x" || err1 != err {
			a.expect(false, "AppendMessage %d after the error returned %d, %q, %v", i, messageType, p, err1)
		}
		messageType, p, err1 = a.c.ReadMessage()
		if messageType != -1 || p != nil || err1 != err {
			a.expect(false, "ReadMessage %d after the error returned %d, %q, %v", i, messageType, p, err1)
		}
		messageType, r, err1 := a.c.NextReader()
		if messageType != -1 || r != nil || err1 != err {
			a.expect(false, "NextReader %d after the error returned %d, %v, %v", i, messageType, r, err1)
		}
	}
	if wrote > 1 && log[wrote-2].kind == '<' && log[wrote-2].data[0] == 0x88 {
		err := a.c.WriteMessage(TextMessage, []byte("x"))
		a.expect(err == ErrCloseSent, "got %v from a write after the Close frame, want ErrCloseSent", err)
	}
	log = a.t.events()
	a.expect(len(log) == wrote, "after the error the endpoint wrote %v", log[wrote:])
}

// sides returns the transcript, prepared, for each side on which it is to be played.
func (tr *transcript) sides(t testing.TB) (list []*transcript) {
	t.Helper()
	if tr.side != "client" {
		server := *tr
		server.side = "server"
		list = append(list, &server)
	}
	if tr.side != "server" {
		client, err := tr.forClient()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, client)
	}
	for _, tr := range list {
		tr.prepare()
	}
	return list
}

// run plays the transcript in all ways, a long one by some methods only.
func (tr *transcript) run(t *testing.T) {
	for _, tr := range tr.sides(t) {
		methods := append(scriptMethods, scriptSkip)
		if len(tr.in) > 16<<10 {
			methods = []scriptMethod{scriptMethods[0], scriptMethods[3], scriptMethods[7]}
		}
		for _, d := range scriptDeliveries {
			t.Run(tr.side+"/"+d.name, func(t *testing.T) {
				for i, m := range methods {
					again := 1
					if d.name == "whole" && i == 0 {
						again = 400 // of three reads: another library panics at the 1,000th
					}
					if wrong := tr.play(d, m, again); wrong != "" {
						t.Errorf("%s: %s: %s", tr.where, m.name, wrong)
					}
				}
			})
		}
		if len(tr.in) > 64 {
			continue
		}
		t.Run(tr.side+"/cut", func(t *testing.T) {
			for k := range tr.in {
				for i, m := range []scriptMethod{scriptMethods[0], scriptMethods[6], scriptMethods[3], scriptSkip} {
					d := scriptCut(k, i%2 == k%2)
					if wrong := tr.play(d, m, 1); wrong != "" {
						t.Fatalf("%s: %s, %s: %s", tr.where, d.name, m.name, wrong)
					}
				}
			}
		})
	}
}

// readTranscripts returns the transcripts of a file in testdata.
func readTranscripts(t *testing.T, file string) []*transcript {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseTranscripts(filepath.Base(file), string(text))
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: got %d transcripts (%v)", file, len(list), err)
	}
	return list
}

// wireTranscripts returns the files of transcripts without compression.
func wireTranscripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files of transcripts (%v)", len(files), err)
	}
	return files
}

func TestTranscript(t *testing.T) {
	for _, file := range wireTranscripts(t) {
		list := readTranscripts(t, file)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			for _, tr := range list {
				t.Run(tr.name, tr.run)
			}
		})
	}
}
