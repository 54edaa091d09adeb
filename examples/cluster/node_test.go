package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/switching-protocols/websocket"
)

// The tests in this file run one node in the test's process.

// startNode returns the URL of a node, and a function that stops it.
func startNode(t *testing.T) (url string, stop func()) {
	t.Helper()
	output := log.Writer()
	log.SetOutput(io.Discard)
	c, err := parseFlags([]string{"-listen", "127.0.0.1:0", "-data", t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { // ends with ctx
		err := run(ctx, c, w)
		w.Close()
		ended <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("the node does not serve: %v", <-ended)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the node ends with %v", err)
		}
		log.SetOutput(output)
	})
	t.Cleanup(stop)
	_, url, _ = strings.Cut(strings.TrimSpace(line), "open ")
	return strings.TrimSuffix(url, "/"), stop
}

// member is a client whose steps a test decides.
type member struct {
	*websocket.Conn
	t    *testing.T
	last uint64 // the number of the last message that say or readTo has read
}

func dial(t *testing.T, url string) *member {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return &member{Conn: conn, t: t}
}

func (m *member) send(req request) {
	m.t.Helper()
	if err := m.WriteJSON(req); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) want(eventType string) event {
	m.t.Helper()
	var e event
	if err := m.ReadJSON(&e); err != nil {
		m.t.Fatalf("got error %v, want an event of the type %q", err, eventType)
	}
	if e.Type != eventType {
		m.t.Fatalf("got event %+v, want type %q", e, eventType)
	}
	return e
}

func (m *member) wantSaid(text string) uint64 {
	m.t.Helper()
	e := m.want("said")
	var got message
	if err := json.Unmarshal(e.Message, &got); err != nil || got.Text != text {
		m.t.Fatalf("got message %s, want the text %q", e.Message, text)
	}
	return e.Number
}

func (m *member) wantClose(code int) {
	m.t.Helper()
	for {
		if _, _, err := m.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, code) {
				m.t.Errorf("got error %v, want close code %d", err, code)
			}
			return
		}
	}
}

// enter joins a room after a message of a stream.
func enter(t *testing.T, url, name, stream string, after uint64) (*member, event) {
	t.Helper()
	m := dial(t, url)
	m.send(request{Type: "join", Room: "test", Name: name, Key: "key", Stream: stream, After: after})
	return m, m.want("welcome")
}

// say says something, and returns the number when the message is accepted. It reads what comes until then.
func (m *member) say(id, text string) uint64 {
	m.t.Helper()
	m.send(request{Type: "say", ID: id, Text: text})
	for {
		var e event
		if err := m.ReadJSON(&e); err != nil {
			m.t.Fatal(err)
		}
		if e.Type == "accepted" && e.ID == id {
			return e.Number
		}
		m.last = max(m.last, e.Number)
	}
}

// readTo reads until the message with the number has come.
func (m *member) readTo(number uint64) {
	m.t.Helper()
	for m.last < number {
		m.last = m.want("said").Number
	}
}

func TestConversation(t *testing.T) {
	url, _ := startNode(t)
	ann, welcome := enter(t, url, "Ann", "", 0)
	if !welcome.Complete || welcome.Node != "node" || len(welcome.Nodes) != 1 || welcome.Nodes[0] != url {
		t.Errorf("got welcome %+v, want that of the only node %s", welcome, url)
	}
	bob, _ := enter(t, url, "Bob", "", 0)
	number := ann.say("1", "Hello")
	if got := bob.wantSaid("Hello"); got != number {
		t.Errorf("got message %d, want %d, as accepted", got, number)
	}
	bob.send(request{Type: "say", ID: "1", Text: " \n"})
	if got := bob.want("refused"); got.ID != "1" || got.Reason == "" {
		t.Errorf("got %+v, want the id and a reason", got)
	}
	bob.send(request{Type: "probe"})
	bob.want("alive")
}

// A client sends a message again if it does not know whether it was accepted. Ids of another author are other ids.
func TestMessageSentTwice(t *testing.T) {
	url, _ := startNode(t)
	ann, _ := enter(t, url, "Ann", "", 0)
	bob, _ := enter(t, url, "Bob", "", 0)
	first := ann.say("1", "one")
	if again := ann.say("1", "one"); again != first {
		t.Errorf("got number %d the second time, want %d", again, first)
	}
	bob.wantSaid("one")
	if got := bob.say("1", "two"); got <= first {
		t.Errorf("got number %d, want one above %d", got, first)
	}
}

// A client gets the messages after the number that it names: from memory, from the stream, and those that come while
// it is being sent the others. The stream has one room, so the numbers have no gaps.
func TestJoinWhileOthersTalk(t *testing.T) {
	url, _ := startNode(t)
	ann, welcome := enter(t, url, "Ann", "", 0)
	const messages = 2 * maxRecent
	for i := range messages {
		ann.say(fmt.Sprint(i), "text")
	}
	var group sync.WaitGroup
	defer group.Wait()
	const more = 300
	for after := uint64(1); after < messages; after += 47 {
		bob, again := enter(t, url, "Bob", welcome.Stream, after)
		if !again.Complete {
			t.Errorf("got a welcome that is not complete after message %d", after)
		}
		group.Go(func() {
			for want := after + 1; want <= messages+more; want++ {
				var e event
				if err := bob.ReadJSON(&e); err != nil || e.Number != want {
					t.Errorf("got %+v, %v after message %d, want message %d", e, err, after, want)
					return
				}
			}
		})
		for i := range more / 11 {
			ann.say(fmt.Sprint("more ", after, i), "text")
		}
	}
	for i := ann.say("last", "text"); i < messages+more; i++ {
		ann.say(fmt.Sprint("last ", i), "text")
	}
}

func TestNewClientGetsTheNewestMessages(t *testing.T) {
	url, _ := startNode(t)
	ann, _ := enter(t, url, "Ann", "", 0)
	var last uint64
	for i := range maxFirst + 10 {
		last = ann.say(fmt.Sprint(i), "text")
	}
	ann.readTo(last) // an accepted message may still be on its way to the room
	bob, _ := enter(t, url, "Bob", "", 0)
	for want := last - maxFirst + 1; want <= last; want++ {
		if got := bob.wantSaid("text"); got != want {
			t.Fatalf("got message %d, want %d", got, want)
		}
	}
}

// A client is told when messages may be missing: the stream is another one, or its messages were removed.
func TestMessagesAreMissing(t *testing.T) {
	url, _ := startNode(t)
	ann, welcome := enter(t, url, "Ann", "", 0)
	number := ann.say("1", "Hello")
	for _, tt := range []struct {
		name, stream string
		after        uint64
		complete     bool
	}{
		{"up to date", welcome.Stream, number, true},
		{"a number that another node knows already", welcome.Stream, number + 5, true},
		{"a stream that is no more", "another", 5, false},
		{"new", "", 0, true},
	} {
		if _, got := enter(t, url, "Bob", tt.stream, tt.after); got.Complete != tt.complete {
			t.Errorf("%s: got complete %t, want %t", tt.name, got.Complete, tt.complete)
		}
	}
}

// Messages that a client has missed were removed from the stream: some of them, or all.
func TestMessagesAreRemoved(t *testing.T) {
	nc, disconnect, err := natsConfig{name: "node", dir: t.TempDir()}.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer disconnect()
	store, err := newStore(t.Context(), nc, 1)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{name: "node", store: store, rooms: newRooms(store), peers: &peers{}}
	srv := httptest.NewServer(n.handler())
	defer srv.Close()

	ann, welcome := enter(t, srv.URL, "Ann", "", 0)
	const messages = maxRecent + 100
	for i := range messages {
		ann.say(fmt.Sprint(i), "text")
	}
	ann.readTo(messages) // the first 100 of them are not in memory any more
	stream, err := store.js.Stream(t.Context(), streamName)
	if err != nil {
		t.Fatal(err)
	}
	remove := func(before uint64) {
		t.Helper()
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(before)); err != nil {
			t.Fatal(err)
		}
	}
	remove(50)
	for after, complete := range map[uint64]bool{40: false, 50: true, 99: true, 100: true, 300: true} {
		bob, got := enter(t, srv.URL, "Bob", welcome.Stream, after)
		if got.Complete != complete {
			t.Errorf("got complete %t after message %d, want %t", got.Complete, after, complete)
		}
		if first, want := bob.wantSaid("text"), max(after+1, 50); first != want {
			t.Errorf("got message %d after message %d, want %d", first, after, want)
		}
		bob.Close()
	}

	remove(messages + 1)
	again := &node{name: "again", store: store, rooms: newRooms(store), peers: &peers{}} // has nothing in memory
	srvAgain := httptest.NewServer(again.handler())
	defer srvAgain.Close()
	for after, complete := range map[uint64]bool{300: false, messages: false, messages + 1: true, 0: true} {
		bob, got := enter(t, srvAgain.URL, "Bob", welcome.Stream, after)
		if got.Complete != complete {
			t.Errorf("got complete %t after message %d in an empty room, want %t", got.Complete, after, complete)
		}
		bob.Close()
	}
	ann.Close()
	for _, n := range []*node{n, again} {
		if err := n.group.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestRules(t *testing.T) {
	url, _ := startNode(t)
	join := `{"type":"join","room":"test","name":"Ann","key":"k"}`
	for _, tt := range []struct {
		name string
		send []string
		code int
	}{
		{"no join", []string{`{"type":"say","id":"1","text":"a"}`}, websocket.ClosePolicyViolation},
		{"no name", []string{`{"type":"join","room":"test","key":"k"}`}, websocket.ClosePolicyViolation},
		{"no key", []string{`{"type":"join","room":"test","name":"Ann"}`}, websocket.ClosePolicyViolation},
		{"a subject with a wildcard", []string{`{"type":"join","room":"*","name":"Ann","key":"k"}`}, websocket.ClosePolicyViolation},
		{"two joins", []string{join, join}, websocket.ClosePolicyViolation},
		{"no id", []string{join, `{"type":"say","text":"a"}`}, websocket.ClosePolicyViolation},
		{"too large", []string{join, `{"text":"` + strings.Repeat("a", readLimit) + `"}`}, websocket.CloseMessageTooBig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := dial(t, url)
			for _, text := range tt.send {
				if err := m.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			m.wantClose(tt.code)
		})
	}
}

// A node that stops tells its clients, and leaves nothing in its temporary directory.
func TestStop(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	url, stop := startNode(t)
	ann, _ := enter(t, url, "Ann", "", 0)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		ann.wantClose(websocket.CloseGoingAway)
	}()
	stop()
	<-closed
	if left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "cluster*")); err != nil || len(left) > 0 {
		t.Errorf("got %q, %v, want no files", left, err)
	}
}

// Pages of the cluster may connect to any of its nodes, and other pages to none.
func TestOrigins(t *testing.T) {
	self, _ := startNode(t)
	host, err := url.Parse(self)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{peers: &peers{heard: map[string]time.Time{"https://b.example": time.Now()}}}
	for origin, want := range map[string]bool{
		"": true, self: true, "https://b.example": true, "http://b.example": false, "https://evil.example": false, "null": false,
	} {
		r := &http.Request{Host: host.Host, Header: http.Header{}}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if got := n.checkOrigin(r); got != want {
			t.Errorf("origin %q: got %t, want %t", origin, got, want)
		}
	}
}
