package main

// The protocol. Every WebSocket message is a text message that holds one JSON
// object, and its "type" says what it is. From the page:
//
//	{"type":"join", "name":"Ann", "key":"s3cret"}     first, and once
//	{"type":"say", "id":"a1", "text":"Hello"}
//	{"type":"probe"}                                  is the server still there?
//
// From the server:
//
//	{"type":"welcome", "run":"6fd2", "you":"p1",
//	 "people":[{"id":"p1", "name":"Ann"}], "messages":[MESSAGE, ...]}
//	{"type":"joined", "person":{"id":"p2", "name":"Bob"}}
//	{"type":"left", "person":{"id":"p2", "name":"Bob"}}
//	{"type":"said", "message":MESSAGE}                to everyone, its author too
//	{"type":"refused", "id":"a1", "reason":"..."}     a message that was not accepted
//	{"type":"alive"}                                  the answer to a probe
//
//	MESSAGE = {"seq":1, "id":"a1", "from":"p1", "name":"Ann", "text":"Hello", "time":1767225600000}
//
// No message is lost silently. A page keeps what it has sent until it sees it
// again, in a "said" or in the messages of a "welcome", and sends it again
// after it has reconnected. The hub and the pages know a message by its author
// and id, so a message that is sent twice is shown once. seq counts up without
// gaps in one run of the server: a page that finds one knows that the history
// no longer reaches back to what it saw last.
//
// A person is known by a hash of the name and of the key, a secret that the
// page has made up. So a page that comes back is the same person, two
// connections may belong to one person, and nobody can pose as somebody else.
//
// The server ends a connection with the close code 1001 when it stops, 1008
// when the page breaks these rules, and 1013 when the page reads too slowly.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/switching-protocols/websocket"
)

const (
	maxName    = 32   // runes
	maxText    = 2000 // runes
	maxID      = 64   // bytes, of a message's id and of a person's key
	maxHistory = 50   // messages
	maxQueue   = 64   // events that may wait for one member
)

type person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type message struct {
	Seq  int64  `json:"seq"`
	ID   string `json:"id"`
	From string `json:"from"`
	Name string `json:"name"`
	Text string `json:"text"`
	Time int64  `json:"time"` // milliseconds since 1970
}

// A request is what a page sends.
type request struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Key  string `json:"key"`
	ID   string `json:"id"`
	Text string `json:"text"`
}

// An event is what the server sends.
type event struct {
	Type     string    `json:"type"`
	Run      string    `json:"run,omitempty"`
	You      string    `json:"you,omitempty"`
	People   []person  `json:"people,omitempty"`
	Messages []message `json:"messages,omitempty"`
	Person   *person   `json:"person,omitempty"`
	Message  *message  `json:"message,omitempty"`
	ID       string    `json:"id,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// A member is one connection. The hub fills its queue and the connection's
// writer empties it.
type member struct {
	queue chan []byte   // never closed
	gone  chan struct{} // closed when the hub has let the member go

	// Why the hub let the member go; set before gone is closed.
	code   int
	reason string

	person person // guarded by the hub's mutex; zero until the member has joined
}

// A hub is one room. It never waits for a member: a member whose queue is full
// is let go. Its methods may be called from any goroutine.
type hub struct {
	run     string // differs each time the server starts
	serving sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	members map[*member]bool
	people  map[person]int // connections per person
	history []message
	seq     int64
}

func newHub() *hub {
	return &hub{
		run:     strconv.FormatUint(rand.Uint64(), 36),
		members: make(map[*member]bool),
		people:  make(map[person]int),
	}
}

var (
	errClosed    = errors.New("the server is stopping")
	errJoinFirst = errors.New("join first")
	errJoinOnce  = errors.New("joined already")
)

// connect makes a member that has not joined yet: it hears nothing and nobody
// sees it. Who calls connect calls disconnect in the end.
func (h *hub) connect() (*member, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	m := &member{
		queue: make(chan []byte, maxQueue),
		gone:  make(chan struct{}),
	}
	h.members[m] = true
	h.serving.Add(1)
	return m, nil
}

// disconnect lets m go, if the hub has not done so before, and tells the others.
func (h *hub) disconnect(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked(m, websocket.CloseNormalClosure, "")
	h.serving.Done()
}

// reject lets m go because its page breaks the protocol.
func (h *hub) reject(m *member, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked(m, websocket.ClosePolicyViolation, reason)
}

// close lets everyone go and refuses newcomers. It does not wait.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for m := range h.members {
		h.dropLocked(m, websocket.CloseGoingAway, errClosed.Error())
	}
}

// wait returns when all members have disconnected. Call close before it.
func (h *hub) wait() { h.serving.Wait() }

// join gives m a name. m is sent a welcome and the others are told, unless the
// person is in the room already.
func (h *hub) join(m *member, name, key string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	if key == "" || len(key) > maxID {
		return errors.New("the key is missing or too long")
	}
	sum := sha256.Sum256([]byte(key + "\x00" + name))
	p := person{ID: hex.EncodeToString(sum[:8]), Name: name}

	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.members[m] {
		return nil // let go while the request was on its way
	}
	if m.person != (person{}) {
		return errJoinOnce
	}
	if h.people[p] == 0 {
		h.broadcastLocked(event{Type: "joined", Person: &p})
	}
	m.person = p
	h.people[p]++
	h.sendLocked(m, event{
		Type: "welcome", Run: h.run, You: p.ID,
		People: h.presentLocked(), Messages: h.history,
	})
	return nil
}

// say tells everyone what m says. A message that cannot be accepted is refused
// to m alone; the error is for a member that breaks the protocol.
func (h *hub) say(m *member, id, text string) error {
	if id == "" || len(id) > maxID {
		return errors.New("the message's id is missing or too long")
	}
	text, refusal := cleanText(text)

	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.members[m] {
		return nil
	}
	if m.person == (person{}) {
		return errJoinFirst
	}
	if refusal != nil {
		h.sendLocked(m, event{Type: "refused", ID: id, Reason: refusal.Error()})
		return nil
	}
	known := slices.IndexFunc(h.history, func(old message) bool {
		return old.From == m.person.ID && old.ID == id
	})
	if known >= 0 {
		h.sendLocked(m, event{Type: "said", Message: &h.history[known]})
		return nil
	}

	h.seq++
	said := message{
		Seq: h.seq, ID: id, From: m.person.ID, Name: m.person.Name,
		Text: text, Time: time.Now().UnixMilli(),
	}
	if len(h.history) == maxHistory {
		h.history = slices.Delete(h.history, 0, 1)
	}
	h.history = append(h.history, said)
	h.broadcastLocked(event{Type: "said", Message: &said})
	return nil
}

// probe tells m that the server is still there.
func (h *hub) probe(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members[m] {
		h.sendLocked(m, event{Type: "alive"})
	}
}

// presentLocked returns the people in the room by name.
func (h *hub) presentLocked() []person {
	people := make([]person, 0, len(h.people))
	for p := range h.people {
		people = append(people, p)
	}
	slices.SortFunc(people, func(a, b person) int {
		return strings.Compare(a.Name+a.ID, b.Name+b.ID)
	})
	return people
}

func (h *hub) broadcastLocked(e event) {
	data := encode(e)
	var slow []*member
	for m := range h.members {
		if m.person != (person{}) && !m.offer(data) {
			slow = append(slow, m)
		}
	}
	for _, m := range slow {
		h.dropSlowLocked(m)
	}
}

func (h *hub) sendLocked(m *member, e event) {
	if !m.offer(encode(e)) {
		h.dropSlowLocked(m)
	}
}

func (h *hub) dropSlowLocked(m *member) {
	h.dropLocked(m, websocket.CloseTryAgainLater, "reads too slowly")
}

// dropLocked lets m go, once: the code and reason of the first call count.
func (h *hub) dropLocked(m *member, code int, reason string) {
	if !h.members[m] {
		return
	}
	delete(h.members, m)
	m.code, m.reason = code, reason
	close(m.gone)

	p := m.person
	if p == (person{}) {
		return
	}
	h.people[p]--
	if h.people[p] > 0 {
		return
	}
	delete(h.people, p)
	if !h.closed {
		h.broadcastLocked(event{Type: "left", Person: &p})
	}
}

// offer reports whether there was room in m's queue for data.
func (m *member) offer(data []byte) bool {
	select {
	case m.queue <- data:
		return true
	default:
		return false
	}
}

func encode(e event) []byte {
	data, err := json.Marshal(e)
	if err != nil {
		panic("chat: BUG: " + err.Error()) // strings and integers can always be encoded
	}
	return data
}

// cleanName returns name without the white space around it.
func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if utf8.RuneCountInString(name) > maxName {
		return "", errors.New("the name is longer than 32 characters")
	}
	// Control characters, and those that turn the direction of the text around
	// them, could make a name look like something else.
	deceptive := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
	if strings.ContainsFunc(name, deceptive) {
		return "", errors.New("the name has characters that cannot be shown")
	}
	if !strings.ContainsFunc(name, unicode.IsGraphic) {
		return "", errors.New("the name is empty")
	}
	return name, nil
}

// cleanText returns text without the white space at its end.
func cleanText(text string) (string, error) {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	if text == "" {
		return "", errors.New("the message is empty")
	}
	if utf8.RuneCountInString(text) > maxText {
		return "", errors.New("the message is longer than 2,000 characters")
	}
	return text, nil
}
