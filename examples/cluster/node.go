package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/switching-protocols/websocket"
)

const (
	// The longest request is a message of maxText runes, and JSON takes at most six bytes for each.
	readLimit = 16 << 10

	joinTimeout  = 10 * time.Second // from the upgrade to the join
	pingInterval = 20 * time.Second // without a sign of the client
	pongTimeout  = 10 * time.Second // after a ping
)

//go:embed page.html
var page string

// The page runs its own script only, and connects to any node.
var contentSecurityPolicy = "default-src 'none'; connect-src ws: wss:; img-src data:; " +
	"style-src " + source("<style>", "</style>") + "; " +
	"script-src " + source(`<script type="module">`, "</script>") + "; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// source names, as a Content-Security-Policy does, what is between two tags of the page.
func source(from, to string) string {
	_, rest, _ := strings.Cut(page, from)
	inline, _, _ := strings.Cut(rest, to)
	sum := sha256.Sum256([]byte(inline))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// node serves clients.
type node struct {
	name  string
	store *store
	rooms *rooms
	peers *peers
	group websocket.Group
}

// handler serves the page and the WebSocket, both at "/", and the state of the node at "/status".
func (n *node) handler() http.Handler {
	upgrader := websocket.Upgrader{
		ReadLimit:    readLimit,
		PingInterval: pingInterval,
		PongTimeout:  pongTimeout,
		Group:        &n.group,
		CheckOrigin:  n.checkOrigin,
	}
	serve := upgrader.HandlerFunc(n.serve)
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocketUpgrade(r) {
			serve(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		if _, err := io.WriteString(w, page); err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
		}
	})
	mux.HandleFunc("/status", n.status)
	return mux
}

// watchPeers tells all clients when other nodes have come or gone, until ctx ends.
func (n *node) watchPeers(ctx context.Context) {
	for told := n.peers.list(); sleep(ctx, announceInterval); {
		if now := n.peers.list(); !slices.Equal(now, told) {
			told = now
			n.rooms.sendAll(event{Type: "nodes", Nodes: now})
		}
	}
}

// checkOrigin accepts the pages of this node and of the others, and clients that are not browsers.
func (n *node) checkOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin == "" || err == nil && (u.Host == r.Host || n.peers.known(origin))
}

// serve is the life of one connection. This goroutine reads; it waits for nothing but the storage of a message that
// the client has sent, and for older messages that the client is sent.
func (n *node) serve(conn *websocket.Conn, r *http.Request) {
	c := &client{conn: conn}
	err := n.serveClient(r.Context(), c)
	var broken ruleError
	switch {
	case errors.As(err, &broken):
		c.shutdown(websocket.ClosePolicyViolation, broken.Error())
	case errors.Is(err, errUnavailable):
		log.Printf("%s: %v", r.RemoteAddr, err)
		c.shutdown(websocket.CloseTryAgainLater, errUnavailable.Error())
	}
}

// errUnavailable says that another node may be able to do what this one is not.
var errUnavailable = errors.New("the cluster does not answer")

// serveClient returns when the connection has ended, or is to be closed because of a ruleError or errUnavailable.
func (n *node) serveClient(ctx context.Context, c *client) error {
	if err := c.conn.SetReadDeadline(time.Now().Add(joinTimeout)); err != nil {
		return err
	}
	join, err := c.read()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ruleError("the client has not joined in time")
	}
	if err != nil {
		return err
	}
	author, err := checkJoin(join)
	if err != nil {
		return err
	}
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	room, err := n.rooms.enter(ctx, join.Room)
	if err != nil {
		return err
	}
	defer n.rooms.leave(room, c)
	welcome := event{Type: "welcome", Node: n.name, Nodes: n.peers.list(), You: author.id, Stream: n.store.id, Complete: true}
	if join.Stream != n.store.id {
		welcome.Complete = join.After == 0
		join.After = 0
	}
	if err := room.join(ctx, c, join.After, welcome); err != nil {
		return err
	}
	for {
		req, err := c.read()
		if err != nil {
			return err
		}
		switch req.Type {
		case "say":
			err = n.say(ctx, c, room, author, req)
		case "probe":
			c.send(prepare(event{Type: "alive", Nodes: n.peers.list()}))
		default:
			err = ruleError("unknown type of request")
		}
		if err != nil {
			return err
		}
	}
}

// say stores what a client says. The client is told when it is stored on most replicas.
func (n *node) say(ctx context.Context, c *client, room *room, a author, req request) error {
	if req.ID == "" || len(req.ID) > maxID {
		return ruleError("the id is missing or too long")
	}
	text, err := cleanText(req.Text)
	if err != nil {
		c.send(prepare(event{Type: "refused", ID: req.ID, Reason: err.Error()}))
		return nil
	}
	data, err := json.Marshal(message{ID: req.ID, From: a.id, Name: a.name, Text: text, Time: time.Now().UnixMilli()})
	if err != nil {
		return err
	}
	number, err := n.store.publish(ctx, room.name, room.name+"/"+a.id+"/"+req.ID, data)
	if err != nil {
		return fmt.Errorf("%w: %v", errUnavailable, err)
	}
	c.send(prepare(event{Type: "accepted", ID: req.ID, Number: number}))
	return nil
}

// status answers with the state of the node, for load balancers and people.
func (n *node) status(w http.ResponseWriter, r *http.Request) {
	leader, err := n.store.leader(r.Context())
	if err != nil {
		http.Error(w, errUnavailable.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	err = json.NewEncoder(w).Encode(state{Node: n.name, Leader: leader, Connections: n.group.Len(), Nodes: n.peers.list()})
	if err != nil {
		log.Printf("%s: %v", r.RemoteAddr, err)
	}
}

type state struct {
	Node        string   `json:"node"`
	Leader      string   `json:"leader"` // of the stream; "" if there is but one replica
	Connections int      `json:"connections"`
	Nodes       []string `json:"nodes"`
}
