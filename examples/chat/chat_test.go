package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// The tests in this file use the hub without a network: what a member is sent
// is in its queue when the hub's method returns.

func connect(t *testing.T, h *hub) *member {
	t.Helper()
	m, err := h.connect()
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return m
}

// enter makes a member that has joined and has read its welcome.
func enter(t *testing.T, h *hub, name, key string) (*member, event) {
	t.Helper()
	m := connect(t, h)
	if err := h.join(m, name, key); err != nil {
		t.Fatalf("join as %q: %v", name, err)
	}
	return m, next(t, m, "welcome")
}

// next takes one event from m's queue and checks its type.
func next(t *testing.T, m *member, wantType string) event {
	t.Helper()
	select {
	case data := <-m.queue:
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatalf("event %s: %v", data, err)
		}
		if e.Type != wantType {
			t.Fatalf("got event %s, want type %q", data, wantType)
		}
		return e
	default:
		t.Fatalf("got no event, want type %q", wantType)
		panic("unreachable")
	}
}

func wantNothing(t *testing.T, m *member, why string) {
	t.Helper()
	if n := len(m.queue); n > 0 {
		t.Errorf("got %d events, the first %s; want none: %s", n, <-m.queue, why)
	}
}

func wantGone(t *testing.T, m *member, code int) {
	t.Helper()
	select {
	case <-m.gone:
	default:
		t.Fatalf("the member is still there, want it gone with code %d", code)
	}
	if m.code != code {
		t.Errorf("got code %d, want %d", m.code, code)
	}
}

func say(t *testing.T, h *hub, m *member, id, text string) {
	t.Helper()
	if err := h.say(m, id, text); err != nil {
		t.Fatalf("say %q: %v", text, err)
	}
}

func names(people []person) []string {
	var names []string
	for _, p := range people {
		names = append(names, p.Name)
	}
	return names
}

func TestJoinAndLeave(t *testing.T) {
	h := newHub()
	ann, welcome := enter(t, h, "Ann", "key a")
	if got, want := names(welcome.People), []string{"Ann"}; !slices.Equal(got, want) {
		t.Errorf("Ann's welcome: got people %q, want %q", got, want)
	}
	wantNothing(t, ann, "nobody is told of his own joining")

	bob, welcome := enter(t, h, "Bob", "key b")
	if got, want := names(welcome.People), []string{"Ann", "Bob"}; !slices.Equal(got, want) {
		t.Errorf("Bob's welcome: got people %q, want %q", got, want)
	}
	if got := next(t, ann, "joined").Person; got.Name != "Bob" || got.ID != welcome.You {
		t.Errorf("joined: got %+v, want Bob with id %q", got, welcome.You)
	}

	h.disconnect(bob)
	if got := next(t, ann, "left").Person; got.Name != "Bob" {
		t.Errorf("left: got %q, want Bob", got.Name)
	}
	h.disconnect(ann)
	h.wait()
	if len(h.members) != 0 || len(h.people) != 0 {
		t.Errorf("got %d members and %d people in the end, want none", len(h.members), len(h.people))
	}
}

func TestPersonWithTwoConnections(t *testing.T) {
	h := newHub()
	bob, _ := enter(t, h, "Bob", "key b")
	first, one := enter(t, h, "Ann", "key a")
	next(t, bob, "joined")

	second, two := enter(t, h, "Ann", "key a")
	if one.You != two.You {
		t.Errorf("got ids %q and %q for one name and key, want the same", one.You, two.You)
	}
	h.disconnect(first)
	wantNothing(t, bob, "Ann has been there all the time")
	h.disconnect(second)
	next(t, bob, "left")

	_, other := enter(t, h, "Ann", "another key")
	if other.You == one.You {
		t.Errorf("got id %q for another key too, want another id", one.You)
	}
}

func TestHistory(t *testing.T) {
	h := newHub()
	ann, _ := enter(t, h, "Ann", "key a")
	for i := range maxHistory + 10 {
		say(t, h, ann, fmt.Sprint("id", i), fmt.Sprint("text ", i))
		next(t, ann, "said")
	}
	_, welcome := enter(t, h, "Bob", "key b")
	if got := len(welcome.Messages); got != maxHistory {
		t.Fatalf("got %d messages in the welcome, want %d", got, maxHistory)
	}
	for i, got := range welcome.Messages {
		want := message{
			Seq: int64(i + 11), ID: fmt.Sprint("id", i+10), From: ann.person.ID, Name: "Ann",
			Text: fmt.Sprint("text ", i+10), Time: got.Time,
		}
		if got != want {
			t.Errorf("message %d: got %+v, want %+v", i, got, want)
		}
	}
}

// A page sends a message again when it does not know whether it arrived.
func TestMessageSentTwice(t *testing.T) {
	h := newHub()
	ann, _ := enter(t, h, "Ann", "key a")
	bob, _ := enter(t, h, "Bob", "key b")
	next(t, ann, "joined")

	say(t, h, ann, "id", "Hello")
	first := next(t, ann, "said").Message
	next(t, bob, "said")
	say(t, h, ann, "id", "Hello")
	if again := next(t, ann, "said").Message; *again != *first {
		t.Errorf("got %+v the second time, want %+v as before", again, first)
	}
	wantNothing(t, bob, "he has the message")

	say(t, h, bob, "id", "Hello")
	if got := next(t, ann, "said").Message.Name; got != "Bob" {
		t.Errorf("got a message by %q, want Bob's: another author's id is another id", got)
	}
}

func TestSlowMemberIsLetGo(t *testing.T) {
	h := newHub()
	ann, _ := enter(t, h, "Ann", "key a")
	slow, _ := enter(t, h, "Slow", "key s")
	next(t, ann, "joined")

	for i := range maxQueue {
		say(t, h, ann, fmt.Sprint(i), "Hello")
		next(t, ann, "said")
	}
	wantNothing(t, ann, "a full queue is not yet too full")
	say(t, h, ann, "last", "Hello")
	next(t, ann, "said")
	next(t, ann, "left")
	wantGone(t, slow, websocket.CloseTryAgainLater)
	if got := len(slow.queue); got != maxQueue {
		t.Errorf("got %d events in the queue, want %d", got, maxQueue)
	}

	say(t, h, slow, "late", "Me too")
	wantNothing(t, ann, "who was let go is not heard")
	h.disconnect(slow)
	h.disconnect(ann)
	h.wait()
}

// Members that are let go while others are told of it must not upset the loop.
func TestAllMembersSlow(t *testing.T) {
	h := newHub()
	var all []*member
	for i := range 5 {
		m, _ := enter(t, h, fmt.Sprint("Slow ", i), "key")
		all = append(all, m)
	}
	for i := range 2 * maxQueue {
		say(t, h, all[0], fmt.Sprint(i), "Hello")
	}
	for _, m := range all {
		wantGone(t, m, websocket.CloseTryAgainLater)
	}
	if len(h.members) != 0 || len(h.people) != 0 {
		t.Errorf("got %d members and %d people, want none", len(h.members), len(h.people))
	}
}

func TestClose(t *testing.T) {
	h := newHub()
	ann, _ := enter(t, h, "Ann", "key a")
	bob, _ := enter(t, h, "Bob", "key b")
	next(t, ann, "joined")
	unnamed := connect(t, h)
	h.close()
	wantNothing(t, ann, "it is no news that everyone leaves")
	wantNothing(t, bob, "it is no news that everyone leaves")
	wantGone(t, ann, websocket.CloseGoingAway)
	wantGone(t, unnamed, websocket.CloseGoingAway)
	if _, err := h.connect(); err != errClosed {
		t.Errorf("connect after close: got error %v, want %v", err, errClosed)
	}
}

func TestOrderOfRequests(t *testing.T) {
	h := newHub()
	m := connect(t, h)
	if err := h.say(m, "id", "Hello"); err != errJoinFirst {
		t.Errorf("say before join: got error %v, want %v", err, errJoinFirst)
	}
	if err := h.join(m, "Ann", "key"); err != nil {
		t.Errorf("join: %v", err)
	}
	if err := h.join(m, "Ann", "key"); err != errJoinOnce {
		t.Errorf("join twice: got error %v, want %v", err, errJoinOnce)
	}
	if err := h.do(m, request{Type: "shout"}); err == nil {
		t.Error("unknown request: got no error")
	}
}

func TestKeyAndIDLimits(t *testing.T) {
	h := newHub()
	for _, bad := range []string{"", strings.Repeat("k", maxID+1)} {
		if err := h.join(connect(t, h), "Ann", bad); err == nil {
			t.Errorf("join with a key of %d bytes: got no error", len(bad))
		}
	}
	ann, _ := enter(t, h, "Ann", strings.Repeat("k", maxID))
	for _, bad := range []string{"", strings.Repeat("i", maxID+1)} {
		if err := h.say(ann, bad, "Hello"); err == nil {
			t.Errorf("say with an id of %d bytes: got no error", len(bad))
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string // empty where the name is refused
	}{
		{"plain", "Ann", "Ann"},
		{"white space around it", "  Ann Lee\n", "Ann Lee"},
		{"longest", strings.Repeat("é", maxName), strings.Repeat("é", maxName)},
		{"too long", strings.Repeat("é", maxName+1), ""},
		{"empty", "", ""},
		{"only white space", " \t\u00a0", ""},
		{"control character", "An\x00n", ""},
		{"new line", "Ann\nBob", ""},
		{"turns the direction", "Ann\u202enioj", ""},
		{"nothing to see", "\u200b\u200d", ""},
		{"joined emoji", "👩\u200d💻", "👩\u200d💻"},
		{"right to left", "שלום", "שלום"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cleanName(tt.in)
			if got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
			if (err == nil) != (tt.want != "") {
				t.Errorf("got error %v for the name %q", err, tt.in)
			}
		})
	}
}

// A text that cannot be accepted is refused to its author, who stays.
func TestTexts(t *testing.T) {
	tests := []struct {
		name    string
		in      string
		want    string
		refused bool
	}{
		{"plain", "Hello", "Hello", false},
		{"keeps its lines", "  one\n  two\n", "  one\n  two", false},
		{"markup is text", "<b>&amp;</b>\u2028", "<b>&amp;</b>", false},
		{"longest", strings.Repeat("🎉", maxText), strings.Repeat("🎉", maxText), false},
		{"too long", strings.Repeat("a", maxText+1), "", true},
		{"empty", "", "", true},
		{"only white space", " \n\t", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub()
			ann, _ := enter(t, h, "Ann", "key a")
			before := time.Now().UnixMilli()
			say(t, h, ann, "id", tt.in)
			if tt.refused {
				if e := next(t, ann, "refused"); e.ID != "id" || e.Reason == "" {
					t.Errorf("got %+v, want the id of the message and a reason", e)
				}
				wantNothing(t, ann, "a refused message is not said")
				return
			}
			got := next(t, ann, "said").Message
			if got.Text != tt.want {
				t.Errorf("got text %q, want %q", got.Text, tt.want)
			}
			if now := time.Now().UnixMilli(); got.Time < before || got.Time > now {
				t.Errorf("got time %d, want one from %d to %d", got.Time, before, now)
			}
		})
	}
}
