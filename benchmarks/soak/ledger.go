package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// record is what one side knows about a connection that has ended.
type record struct {
	ID             uint64
	Sent, Received tally  // only writes without an error count
	Bytes          uint64 // of the messages received
	Closed         bool   // the peer's Close frame was received
	End            string // the plan of the client, or the error that has ended the server's reading
	Error          string // what must not happen
	Dropped        string // why the server has given up a client that does not read
	Discarded      bool   // messages, by Shutdown: this side has not got to read for a second, as the package documents
	proper         bool   // of the client: the closing handshake is to be complete
	stops          bool   // of the client: it was to stop reading until it is dropped
}

// totals are the sums over connections that have ended.
type totals struct {
	sent, received tally
	bytes          uint64
	lost           uint64         // messages that were sent before a Close frame that was received, and were not received
	tail           uint64         // messages that were sent and not received, on connections that were torn or dropped
	discarded      int            // connections on which Shutdown has discarded messages
	ended          map[string]int // by the client's plan
	dropped        map[string]int // by the reason
}

// ledger compares what the two sides of each connection know when it has ended.
type ledger struct {
	mu             sync.Mutex
	client, server map[uint64]*record // those whose counterpart is missing
	watched        map[uint64]chan struct{}
	totals         totals
	failures       map[string]int // what must not happen, and how often it did
}

func newLedger() *ledger {
	return &ledger{
		client:   make(map[uint64]*record),
		server:   make(map[uint64]*record),
		watched:  make(map[uint64]chan struct{}),
		totals:   totals{ended: make(map[string]int), dropped: make(map[string]int)},
		failures: make(map[string]int),
	}
}

// fail counts what must not happen.
func (l *ledger) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failLocked(format, args...)
}

func (l *ledger) failLocked(format string, args ...any) { l.failures[fmt.Sprintf(format, args...)]++ }

// problems returns what has happened and must not, the most frequent first.
func (l *ledger) problems() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	texts := slices.SortedFunc(maps.Keys(l.failures), func(a, b string) int {
		if n := l.failures[b] - l.failures[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for i, text := range texts {
		if n := l.failures[text]; n > 1 {
			texts[i] = fmt.Sprintf("%d times: %s", n, text)
		}
	}
	return texts
}

// ended returns a channel that is closed when the server's side of the connection has ended. It is called before
// addClient, and once for a connection.
func (l *ledger) ended(id uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch := make(chan struct{})
	if l.server[id] != nil {
		close(ch)
	} else {
		l.watched[id] = ch
	}
	return ch
}

func (l *ledger) addClient(c *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.server[c.ID]; s != nil {
		delete(l.server, c.ID)
		l.compare(c, s)
		return
	}
	l.client[c.ID] = c
}

func (l *ledger) addServer(s *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ch := l.watched[s.ID]; ch != nil {
		close(ch)
		delete(l.watched, s.ID)
	}
	if c := l.client[s.ID]; c != nil {
		delete(l.client, s.ID)
		l.compare(c, s)
		return
	}
	l.server[s.ID] = s
}

// snapshot returns the totals so far.
func (l *ledger) snapshot() totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.totals
	t.ended, t.dropped = maps.Clone(t.ended), maps.Clone(t.dropped)
	return t
}

// finish counts the connections of which only one side has told its end.
func (l *ledger) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range l.client {
		l.failLocked("the server's side of a connection has not ended")
	}
	for range l.server {
		l.failLocked("the client's side of a connection has not ended")
	}
}

// compare judges a connection by what its two sides know. The caller holds l.mu.
func (l *ledger) compare(client, server *record) {
	t := &l.totals
	for _, r := range []*record{client, server} {
		t.sent.add(r.Sent)
		t.received.add(r.Received)
		t.bytes += r.Bytes
	}
	for _, text := range []string{client.Error, server.Error} {
		if text != "" {
			l.failLocked("%s", text)
		}
	}
	l.compareCounts("requests", client, client.Sent.Requests, server.Received.Requests, server.Closed)
	l.compareCounts("echoes", client, server.Sent.Echoes, client.Received.Echoes, client.Closed)
	l.compareCounts("pushes", client, server.Sent.Pushes, client.Received.Pushes, client.Closed)

	if server.Dropped != "" {
		t.dropped[server.Dropped]++
		if !client.stops {
			l.failLocked("a client that reads was dropped: %s", server.Dropped)
		}
		return
	}
	t.ended[client.End]++
	if server.Discarded || client.Discarded {
		t.discarded++
		return
	}
	if client.proper && !(client.Closed && server.Closed) {
		l.failLocked("%s: the closing handshake is not complete; the server's reading ended with %q", client.End, server.End)
	}
}

// compareCounts compares how many messages of a kind were sent and received. If the receiver has the sender's Close
// frame, it has all messages. A write that has returned an error may have sent its message all the same, if the
// connection was torn, but at most one.
func (l *ledger) compareCounts(kind string, client *record, sent, received uint64, closed bool) {
	switch {
	case received > sent+1, closed && received > sent:
		l.failLocked("%d more %s received than sent", received-sent, kind)
	case received >= sent:
	case closed:
		l.totals.lost += sent - received
		l.failLocked("%s lost before a Close frame, %s", kind, client.End)
	default:
		l.totals.tail += sent - received
	}
}
