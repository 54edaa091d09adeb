//go:build go1.25

package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// start returns the application of an endpoint that has the transcript's bytes come.
func (tr *transcript) start(o connOptions, d scriptDelivery) *scriptApp {
	s := &scriptTransport{in: tr.in, interrupt: d.timeouts, eof: tr.eof}
	s.pos, s.breaks = d.cut(tr.in, tr.ends)
	o.readLimit, o.writeThrough = tr.limit, !d.quick
	s.c = newConn(s, tr.side == "server", bytes.Clone(s.in[:s.pos]), o)
	s.c.burst.quick = d.quick
	return &scriptApp{c: s.c, t: s}
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

var scriptMethods = []scriptMethod{
	{"ReadMessage", appending(nil)},
	{"AppendMessage", appending(func(int) int { return 0 })},
	{"AppendMessage with room", appending(func(int) int { return 58 })},
	// A call that was interrupted is continued by another one with another slice.
	{"AppendMessage in turns", appending(func(call int) int {
		if call%3 == 0 {
			return -1
		}
		return 13 * call % 50
	})},
	// Or by a reader, which then has what had come.
	{"ReadMessage and Read", func(a *scriptApp) (int, []byte, error) {
		a.calls++
		return a.readMessages(9+a.calls*5%7, reading(7, true))
	}},
	{"Read of 1 byte", reading(1, true)},
	{"Read of 7 bytes", reading(7, true)},
	{"io.ReadAll", reading(0, true)},
}

// scriptSkip is for an application that wants to know the messages' types only.
var scriptSkip = scriptMethod{"NextReader", func(a *scriptApp) (int, []byte, error) {
	messageType, _, err := a.next()
	return messageType, nil, err
}}

// appending reads by AppendMessage, with the room behind what stands in the slice already, or with no slice if the
// room is negative. If room is nil, it reads by ReadMessage.
func appending(room func(call int) int) func(a *scriptApp) (messageType int, data []byte, err error) {
	const prefix = "prefix"
	return func(a *scriptApp) (messageType int, data []byte, err error) {
		for {
			a.calls++
			var d []byte
			if room == nil {
				messageType, data, err = a.c.ReadMessage()
			} else {
				if n := room(a.calls); n >= 0 {
					d = append(make([]byte, 0, len(prefix)+n), prefix...)
				}
				messageType, data, err = a.c.AppendMessage(d)
			}
			a.expect(bytes.HasPrefix(data, d), "got %q, want what was there, %q, in front", data, d)
			a.expect(err != nil || data != nil, "got a nil message")
			if err == nil && len(d) > 0 && len(data) <= cap(d) {
				a.expect(&d[0] == &data[0], "got new memory, want the caller's %d bytes for %d", cap(d), len(data))
			}
			if !a.again(err) {
				return messageType, data[min(len(d), len(data)):], err
			}
			a.expect(messageType == -1 && len(data) == len(d),
				"got type %d and %d bytes with a timeout, want -1 and %d", messageType, len(data), len(d))
			for i := range d[:cap(d)] {
				d[:cap(d)][i] = 0xdb // it is the caller's again
			}
		}
	}
}

// readMessages reads a message by up to n calls of ReadMessage, and by rest if they are interrupted.
func (a *scriptApp) readMessages(n int, rest func(a *scriptApp) (int, []byte, error)) (int, []byte, error) {
	for range n {
		if messageType, data, err := a.c.ReadMessage(); !a.again(err) {
			return messageType, data, err
		}
	}
	return rest(a)
}

// next returns the reader of the next message.
func (a *scriptApp) next() (messageType int, r io.Reader, err error) {
	for {
		messageType, r, err = a.c.NextReader()
		a.expect(r == nil || err == nil, "got a reader and the error %v", err)
		if !a.again(err) {
			return messageType, r, err
		}
	}
}

// reading reads through a reader with a buffer of size bytes, or by io.ReadAll; all of the message, or by one call.
func reading(size int, all bool) func(a *scriptApp) (messageType int, data []byte, err error) {
	return func(a *scriptApp) (messageType int, data []byte, err error) {
		messageType, r, err := a.next()
		for goesOn := err == nil; goesOn; goesOn = all && err == nil {
			var p []byte
			p, err = a.readFrom(r, size)
			data = append(data, p...)
		}
		if err == io.EOF {
			err = nil
		}
		return messageType, data, err
	}
}

// readFrom is a Read of up to size bytes, which is repeated after a timeout, or io.ReadAll.
func (a *scriptApp) readFrom(r io.Reader, size int) (data []byte, err error) {
	for {
		var p []byte
		if size == 0 {
			if p, err = io.ReadAll(r); err == nil {
				err = io.EOF
			}
		} else {
			p = make([]byte, size)
			var n int
			n, err = r.Read(p)
			a.expect((n > 0) == (err == nil), "Read returned %d bytes and the error %v", n, err)
			p = p[:n]
		}
		data = append(data, p...)
		if a.again(err) {
			continue
		}
		if err != nil {
			_, err2 := r.Read(make([]byte, 1))
			a.expect(err2 == err, "the reader returned %v and then %v", err, err2)
		}
		return data, err
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

// playTo plays the transcript to a connection with the options, which then is read from again many
// times, and returns what was wrong, or "".
func (tr *transcript) playTo(o connOptions, d scriptDelivery, m scriptMethod, again int) string {
	a := tr.start(o, d)
	end := a.readAll(func(int) scriptMethod { return m }, len(tr.want))
	skip := m.name == scriptSkip.name
	if diff := d.diff(a.t.events(), tr.want, o.agreed.deflate != nil, skip); diff != "" {
		return diff
	}
	if a.wrong == "" {
		a.afterError(end, again)
	}
	return a.wrong
}

// diff returns the first difference of the events and those of the transcript.
func (d scriptDelivery) diff(got, want []scriptEvent, compressed, skip bool) string {
	// Of a compressed message nothing or something may have come before its error.
	fault := slices.ContainsFunc(want, func(e scriptEvent) bool { return strings.HasPrefix(e.what, "upto ") })
	exact := d.exact && !d.quick && !(compressed && fault)
	if d.quick {
		got, want = framesLast(got), framesLast(want)
	}
	return diffEvents(got, want, exact, skip)
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
	a.expect(errors.As(err, &closeError) == strings.HasPrefix(text, "websocket: close "),
		"got %#v with the text %q", err, text)
	a.expect(text != ErrReadLimit.Error() || err == ErrReadLimit, "got %#v, want ErrReadLimit", err)

	log := a.t.events()
	wrote := len(log)
	for i := range again {
		messageType, p, err1 := a.c.AppendMessage([]byte("x"))
		a.expect(messageType == -1 && string(p) == "x" && err1 == err,
			"AppendMessage %d after the error returned %d, %q, %v", i, messageType, p, err1)
		messageType, p, err1 = a.c.ReadMessage()
		a.expect(messageType == -1 && p == nil && err1 == err,
			"ReadMessage %d after the error returned %d, %q, %v", i, messageType, p, err1)
		messageType, r, err1 := a.c.NextReader()
		a.expect(messageType == -1 && r == nil && err1 == err,
			"NextReader %d after the error returned %d, %v, %v", i, messageType, r, err1)
	}
	if wrote > 1 && log[wrote-2].kind == '<' && log[wrote-2].data[0] == 0x88 {
		err := a.c.WriteMessage(TextMessage, []byte("x"))
		a.expect(err == ErrCloseSent, "got %v from a write after the Close frame, want ErrCloseSent", err)
	}
	log = a.t.events()
	a.expect(len(log) == wrote, "after the error the endpoint wrote %v", log[wrote:])
}

// run plays the transcript in all ways, a long one, and each under the race detector, by some methods only.
func (tr *transcript) run(t *testing.T) {
	for _, tr := range tr.sides(t) {
		methods := append(scriptMethods, scriptSkip)
		if raceEnabled || len(tr.in) > 16<<10 {
			methods = []scriptMethod{scriptMethods[0], scriptMethods[3], scriptMethods[7]}
		}
		if raceEnabled && len(tr.in) > 16<<10 {
			methods = methods[:1]
		}
		for _, d := range scriptDeliveries {
			t.Run(tr.side+"/"+d.name, func(t *testing.T) {
				for i, m := range methods {
					again := 1
					if d.name == "whole" && i == 0 {
						again = 400 // of three reads: another library panics at the 1,000th
					}
					if wrong := tr.playTo(connOptions{}, d, m, again); wrong != "" {
						t.Errorf("%s: %s: %s", tr.where, m.name, wrong)
					}
				}
			})
		}
		if raceEnabled || len(tr.in) > 64 {
			continue
		}
		t.Run(tr.side+"/cut", func(t *testing.T) {
			for k := range tr.in {
				for i, m := range []scriptMethod{scriptMethods[0], scriptMethods[6], scriptMethods[3], scriptSkip} {
					d := scriptCut(k, i%2 == k%2)
					if wrong := tr.playTo(connOptions{}, d, m, 1); wrong != "" {
						t.Fatalf("%s: %s, %s: %s", tr.where, d.name, m.name, wrong)
					}
				}
			}
		})
	}
}

// playBriefly plays frames of the peer in some of the ways, which differ with their number. What the endpoint is to
// make of them the reference says.
func playBriefly(t *testing.T, name string, frames ...peerFrame) {
	t.Helper()
	for i, side := range []string{"server", "client"} {
		tr := &transcript{side: side, in: peerFrames(side == "server", frames...)}
		tr.ends = []int{len(tr.in)}
		tr.want = tr.reference().read()
		for _, d := range []scriptDelivery{scriptDeliveries[0], scriptDeliveries[3]} {
			i++
			m := scriptMethods[(i+len(frames))%len(scriptMethods)]
			if wrong := tr.playTo(connOptions{}, d, m, 1); wrong != "" {
				t.Errorf("%s, %s, %s, %s: %s", name, side, d.name, m.name, wrong)
			}
		}
	}
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

// Text is checked byte by byte, wherever it is cut into frames (RFC 6455, 8.1), between which others may come.
func TestTranscriptUTF8Table(t *testing.T) {
	for _, l := range readUTF8Table(t) {
		play := func(splits ...int) {
			var frames []peerFrame
			op, start := opText, 0
			for _, split := range splits {
				frames = append(frames, peerFrame{false, op, string(l.b[start:split])}, pingFrame(""))
				op, start = opContinuation, split
			}
			frames = append(frames, peerFrame{true, op, string(l.b[start:])})
			playBriefly(t, fmt.Sprintf("%s split at %d", l.where, splits), frames...)
		}
		var all []int
		play()
		for i := range len(l.b) + 1 {
			if all = append(all, i); !raceEnabled {
				play(i)
			}
		}
		play(all...)
	}
}

// What the code of a Close frame may be (RFC 6455, 7.4, and its registry), and what the answer to it is.
func TestTranscriptCloseCodes(t *testing.T) {
	skipRace(t)
	for code := range 5002 {
		if code == 5001 {
			code = 65535
		}
		payload := []byte{byte(code >> 8), byte(code), 'b', 'y', 'e'}
		playBriefly(t, fmt.Sprint("close code ", code), peerFrame{true, opClose, string(payload)})
	}
}

// The transcripts are right over every kind of transport; over TLS every third is played.
func TestTranscriptLinks(t *testing.T) {
	if raceEnabled {
		t.Skip("a thousand handshakes of TLS take ten seconds under the race detector")
	}
	options := CompressionOptions{ContextTakeover: true}
	agreed := negotiate(t, options, options)
	compressed := connOptions{agreed: agreement{deflate: &agreed}, compression: options}
	eachLink(t, func(t *testing.T, l testLink) {
		t.Parallel()
		for _, file := range wireTranscripts(t) {
			l.play(t, file, connOptions{})
		}
		l.play(t, "testdata/rfc7692/vectors.txt", compressed)
		l.play(t, "testdata/rfc7692/takeover.txt", compressed)
	})
}

// play plays the transcripts of the link's side, to a connection each.
func (l testLink) play(t *testing.T, file string, o connOptions) {
	for i, tr := range readTranscripts(t, file) {
		if strings.HasSuffix(t.Name(), "/tls") && i%3 > 0 {
			continue // a handshake takes longer than all the rest
		}
		for _, tr := range tr.sides(t) {
			if l.server == (tr.side == "server") {
				if wrong := tr.playOver(t, l, o); wrong != "" {
					t.Errorf("%s: %s", tr.where, wrong)
				}
			}
		}
	}
}

// playOver has a peer send the bytes of the transcript and end its direction, and returns what was wrong, or "".
// Frames are compared behind all else, since the transport may have them later.
func (tr *transcript) playOver(t *testing.T, l testLink, o connOptions) string {
	o.readLimit = tr.limit
	c, peer := l.conn(t, o)
	deadline := time.Now().Add(patience)
	peer.SetDeadline(deadline)
	c.SetReadDeadline(deadline)
	go func() {
		peer.Write(tr.in) // an endpoint that has failed need not take all of it
		peer.Conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	sent := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(peer)
		sent <- b
	}()

	a := &scriptApp{c: c, t: &scriptTransport{c: c}} // which notes what happens
	a.readAll(func(int) scriptMethod { return scriptMethods[0] }, len(tr.want))
	c.Close()
	a.t.Write(<-sent)
	want := framesLast(tr.want)
	if last := &want[len(ofKinds(want, "=!"))-1]; last.what == errScriptExhausted.Error() {
		last.what = "websocket: close 1006 (abnormal closure): unexpected EOF"
	}
	if wrong := diffEvents(a.t.log, want, false, false); wrong != "" {
		return wrong
	}
	return a.wrong
}
