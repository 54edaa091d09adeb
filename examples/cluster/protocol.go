package main

// The protocol. Every WebSocket message is a text message with one JSON object, whose "type" says what it is. From a
// client:
//
//	{"type":"join", "room":"lobby", "name":"Ann", "key":"s3cret", "stream":"d1x", "after":17}    first, and once
//	{"type":"say", "id":"a1", "text":"Hello"}
//	{"type":"probe"}                                     does the node still answer?
//
// From a node:
//
//	{"type":"welcome", "node":"a", "nodes":["http://10.0.0.1:8080", ...], "you":"p1", "stream":"d1x", "complete":true}
//	{"type":"said", "number":18, "message":MESSAGE}      to all clients in the room, also to the author
//	{"type":"accepted", "id":"a1", "number":18}          the message is stored, and will not be lost
//	{"type":"refused", "id":"a1", "reason":"..."}        the message is not stored
//	{"type":"alive", "nodes":[...]}                      the answer to a probe
//	{"type":"nodes", "nodes":[...]}                      the nodes of the cluster have changed
//
//	MESSAGE = {"id":"a1", "from":"p1", "name":"Ann", "text":"Hello", "time":1767225600000}
//
// Messages of a room are received in the order of their numbers, which have gaps, since all rooms are numbered
// together; a client ignores a message whose number is not above that of the last. A client that connects again, to
// any node, names the number of the last message that it has received, and gets those that followed; complete is
// false if some of them are no longer stored. A client without a number gets the newest messages. Numbers are those of
// a stream: if the stream is a new one, the client is a new one, too.
//
// A client sends a message again, with the same id, until the message is accepted. It is stored once, if that takes
// less than dedupeWindow. An author is a hash of name and key, so nobody can use another author's ids.
//
// A node closes a connection with 1001 when it stops, with 1008 if the client breaks these rules, and with 1013 if
// the client reads too slowly or the cluster does not answer. After 1001 and 1013 a client connects again.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/switching-protocols/websocket"
)

const (
	maxName = 32   // runes
	maxText = 2000 // runes
	maxID   = 64   // bytes, of the id of a message and of the key of an author
)

// A request is sent by a client.
type request struct {
	Type   string `json:"type"`
	Room   string `json:"room"`
	Name   string `json:"name"`
	Key    string `json:"key"`
	Stream string `json:"stream"`
	After  uint64 `json:"after"`
	ID     string `json:"id"`
	Text   string `json:"text"`
}

// An event is sent by a node.
type event struct {
	Type     string          `json:"type"`
	Node     string          `json:"node,omitempty"`
	Nodes    []string        `json:"nodes,omitempty"`
	You      string          `json:"you,omitempty"`
	Stream   string          `json:"stream,omitempty"`
	Complete bool            `json:"complete,omitempty"`
	Number   uint64          `json:"number,omitempty"`
	Message  json.RawMessage `json:"message,omitempty"`
	ID       string          `json:"id,omitempty"`
	Reason   string          `json:"reason,omitempty"`
}

// A message is what the stream stores.
type message struct {
	ID   string `json:"id"`
	From string `json:"from"`
	Name string `json:"name"`
	Text string `json:"text"`
	Time int64  `json:"time"` // milliseconds since 1970
}

// prepare encodes an event once for all clients that are sent it.
func prepare(e event) *websocket.PreparedMessage {
	data, err := json.Marshal(e)
	if err != nil {
		panic("cluster: BUG: " + err.Error()) // the stream has nothing but JSON
	}
	m, err := websocket.NewPreparedMessage(websocket.TextMessage, data)
	if err != nil {
		panic("cluster: BUG: " + err.Error())
	}
	return m
}

// ruleError says which rule of the protocol a client has broken.
type ruleError string

func (e ruleError) Error() string { return string(e) }

var roomName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`) // one token of a NATS subject

// checkJoin returns the author that the first request of a client names. The error is a ruleError.
func checkJoin(req request) (author, error) {
	name := strings.TrimSpace(req.Name)
	switch {
	case req.Type != "join":
		return author{}, ruleError("join first")
	case !roomName.MatchString(req.Room):
		return author{}, ruleError("a room has a name of 1 to 32 letters a to z, digits, - and _")
	case utf8.RuneCountInString(name) > maxName:
		return author{}, ruleError("the name is longer than 32 characters")
	case strings.ContainsFunc(name, deceptive):
		return author{}, ruleError("the name has characters that cannot be shown")
	case !strings.ContainsFunc(name, unicode.IsGraphic):
		return author{}, ruleError("the name is empty")
	case req.Key == "" || len(req.Key) > maxID:
		return author{}, ruleError("the key is missing or too long")
	}
	sum := sha256.Sum256([]byte(req.Key + "\x00" + name))
	return author{id: hex.EncodeToString(sum[:8]), name: name}, nil
}

type author struct{ id, name string }

// deceptive reports whether r could make a name look like something else.
func deceptive(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

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
