//go:build linux

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/switching-protocols/websocket"
)

// The tests' binary is the server's, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if sabotage := sabotages[os.Getenv(sabotageVariable)]; sabotage != nil {
			sabotage()
		}
		main()
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // of the servers under the race detector
	os.Exit(m.Run())
}

// soakUntil runs with the options until enough has happened.
func soakUntil(t *testing.T, enough func(*soaking) bool, args ...string) *report {
	t.Helper()
	o, err := parseOptions(args)
	if err != nil {
		t.Fatal(err)
	}
	o.enough, o.show = enough, func(string) {}
	r, err := run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A run with every kind of traffic and of ending passes, and is reported.
func TestSoak(t *testing.T) {
	r := soakUntil(t, func(run *soaking) bool {
		s := run.ledger.snapshot()
		return len(s.ended) == int(endings)-2 && len(s.dropped) == 2 // closedByGroup comes at the end
	}, "-connections", "50", "-duration", "1s", "-tls", "0.5", "-compress", "0.6", "-slow", "0.3", "-restart", "15", "-tear", "30",
		"-rate", "10", "-pushes", "5", "-write-timeout", "200ms", "-ping-interval", "100ms")
	if len(r.failures) > 0 || r.totals.lost > 0 {
		t.Errorf("got %d messages lost and the failures %q, want none", r.totals.lost, r.failures)
	}
	for e := closedByClient; e < endings; e++ {
		if r.totals.ended[e.String()] == 0 {
			t.Errorf("no connection was %v", e)
		}
	}
	received := r.totals.received
	if received.Requests == 0 || received.Echoes == 0 || received.Pushes == 0 || r.pings == 0 || r.compressing == 0 || r.overTLS == 0 {
		t.Errorf("got %+v received, %d pings, %d connections with compression and %d with TLS, want some of each",
			received, r.pings, r.compressing, r.overTLS)
	}

	dir := t.TempDir()
	if err := r.writeDir(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "SOAK.md"))
	if err != nil || !bytes.Contains(text, []byte("**Passed.**")) || !bytes.Contains(text, []byte("soak.svg")) {
		t.Errorf("got %v and the report\n%s\nwant that the run has passed, and the chart", err, text)
	}
	if chart, err := os.ReadFile(filepath.Join(dir, "soak.svg")); err != nil || !bytes.Contains(chart, []byte("</svg>")) {
		t.Errorf("got %v and %d bytes, want a chart", err, len(chart))
	}
}

// sabotageVariable names what is wrong with a server.
const sabotageVariable = "SOAK_TEST_SABOTAGE"

var kept struct {
	sync.Mutex
	files  []*os.File
	memory [][]byte
}

var echoes atomic.Int64

// sabotages make the server do what a check is to find.
var sabotages = map[string]func(){
	"echo lost": onceInAWhile(func(c *websocket.Conn, messageType int, p []byte) error { return nil }),
	"all echoes lost": func() {
		writeEcho = func(*websocket.Conn, int, []byte, *rand.Rand) error { return nil }
	},
	"echo corrupt": onceInAWhile(func(c *websocket.Conn, messageType int, p []byte) error {
		p[len(p)-1] ^= 1
		return c.WriteMessage(messageType, p)
	}),
	"echo twice": onceInAWhile(func(c *websocket.Conn, messageType int, p []byte) error {
		c.WriteMessage(messageType, p)
		return c.WriteMessage(messageType, p)
	}),
	"network connection closed": onceInAWhile(func(c *websocket.Conn, messageType int, p []byte) error {
		return c.NetConn().Close()
	}),
	"goroutine": func() {
		handlerEnded = func(*websocket.Conn) { go func() { select {} }() }
	},
	"descriptor": func() {
		handlerEnded = func(*websocket.Conn) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				panic(err)
			}
			kept.Lock()
			defer kept.Unlock()
			kept.files = append(kept.files, f)
		}
	},
	"memory": func() {
		handlerEnded = func(*websocket.Conn) {
			kept.Lock()
			defer kept.Unlock()
			kept.memory = append(kept.memory, make([]byte, heapAllowance/4))
		}
	},
	"connection": func() {
		handlerEnded = func(*websocket.Conn) { select {} }
	},
}

// onceInAWhile makes the server send one in 10 echoes in another way.
func onceInAWhile(write func(c *websocket.Conn, messageType int, p []byte) error) func() {
	return func() {
		writeEcho = func(c *websocket.Conn, messageType int, p []byte, pieces *rand.Rand) error {
			if echoes.Add(1)%10 == 0 {
				return write(c, messageType, p)
			}
			return writeMessage(c, messageType, p, pieces)
		}
	}
}

// Each check finds what it is for.
func TestSabotage(t *testing.T) {
	for _, tt := range []struct{ sabotage, want string }{
		{"echo lost", "client: out of order: message r"},
		{"all echoes lost", "echoes lost before a Close frame"},
		{"echo corrupt", "client: corrupt: message"},
		{"echo twice", "client: out of order: message r"},
		{"network connection closed", "client, ended early: reading ended with"},
		{"goroutine", "in the server, there are 20 goroutines more than at the start"},
		{"descriptor", "in the server, there are 20 descriptors more than at the start"},
		{"memory", "in the server, the heap has "},
		{"connection", "the server's Shutdown: context deadline exceeded"},
	} {
		t.Run(tt.sabotage, func(t *testing.T) {
			t.Setenv(sabotageVariable, tt.sabotage)
			r := soakUntil(t, func(run *soaking) bool { return run.fleet.received.Load() > 400 },
				"-connections", "20", "-duration", "100ms", "-tls", "0", "-compress", "0", "-slow", "0",
				"-restart", "0", "-tear", "0", "-rate", "20", "-pushes", "20", "-patience", "1s")
			r.wantFailure(t, tt.want)
		})
	}
}

func (r *report) wantFailure(t *testing.T, want string) {
	t.Helper()
	if !strings.Contains(strings.Join(r.failures, "\n"), want) {
		t.Errorf("got the failures %q, want %q", r.failures, want)
	}
	var text bytes.Buffer
	if r.write(&text); !strings.Contains(text.String(), "**Failed.**") {
		t.Errorf("got the report\n%s\nwant that the run has failed", &text)
	}
}

// A connection whose client was torn away, and that the server does not close, is found.
func TestTornConnectionKept(t *testing.T) {
	t.Setenv(sabotageVariable, "connection")
	r := soakUntil(t, nil, "-connections", "20", "-duration", "500ms", "-slow", "0", "-restart", "0", "-tear", "300", "-patience", "1s")
	r.wantFailure(t, "connections, and the clients")
}

// A client that stops reading and is not dropped is found.
func TestSlowClientKept(t *testing.T) {
	r := soakUntil(t, func(run *soaking) bool { return len(run.ledger.problems()) > 0 },
		"-connections", "8", "-duration", "0s", "-slow", "1", "-write-timeout", "1h", "-ping-interval", "1h", "-patience", "1s")
	r.wantFailure(t, "it has stopped reading, and was not dropped in time")
}

// The ledger judges a connection by what its two sides know.
func TestLedger(t *testing.T) {
	sent := tally{Requests: 5, Echoes: 4, Pushes: 3}
	for _, tt := range []struct {
		name           string
		client, server record
		lost, tail     uint64
		want           string // the failure, if any
	}{
		{
			name:   "closed properly",
			client: record{Sent: tally{Requests: 5}, Received: tally{Echoes: 4, Pushes: 3}, Closed: true, proper: true},
			server: record{Sent: tally{Echoes: 4, Pushes: 3}, Received: tally{Requests: 5}, Closed: true},
		},
		{
			name:   "request lost",
			client: record{Sent: sent, Closed: true, proper: true},
			server: record{Received: tally{Requests: 3}, Closed: true},
			lost:   2, want: "requests lost before a Close frame, ",
		},
		{
			name:   "push lost",
			client: record{Received: tally{Pushes: 2}, Closed: true, proper: true},
			server: record{Sent: tally{Pushes: 3}, Closed: true},
			lost:   1, want: "pushes lost before a Close frame, ",
		},
		{
			name:   "one side has the Close frame of the other",
			client: record{Sent: sent},
			server: record{Received: tally{Requests: 4}, Closed: true},
			lost:   1, want: "requests lost before a Close frame, ",
		},
		{
			name:   "torn",
			client: record{Sent: sent},
			server: record{Sent: tally{Echoes: 2}, Received: tally{Requests: 3}},
			tail:   4,
		},
		{
			name:   "a write that has failed when its message was sent",
			client: record{Sent: sent},
			server: record{Received: tally{Requests: 6}},
		},
		{
			name:   "more received than sent",
			client: record{Sent: sent},
			server: record{Received: tally{Requests: 7}},
			want:   "2 more requests received than sent",
		},
		{
			name:   "more received than sent before a Close frame",
			client: record{Sent: sent, proper: true, Closed: true},
			server: record{Received: tally{Requests: 6}, Closed: true},
			want:   "1 more requests received than sent",
		},
		{
			name:   "the server has no Close frame",
			client: record{proper: true, Closed: true},
			server: record{End: "EOF"},
			want:   `: the closing handshake is not complete; the server's reading ended with "EOF"`,
		},
		{
			name:   "dropped",
			client: record{proper: true, stops: true},
			server: record{Dropped: "keepalive"},
		},
		{
			name:   "dropped although it reads",
			client: record{proper: true},
			server: record{Dropped: "keepalive"},
			want:   "a client that reads was dropped: keepalive",
		},
		{
			name:   "the server's Shutdown has discarded messages",
			client: record{Sent: sent, proper: true, Closed: true},
			server: record{Received: tally{Requests: 3}, Discarded: true},
			tail:   2,
		},
		{name: "error of the client", client: record{Error: "client: corrupt"}, want: "client: corrupt"},
		{name: "error of the server", server: record{Error: "server: corrupt"}, want: "server: corrupt"},
	} {
		for _, clientFirst := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				l := newLedger()
				ended := l.ended(0)
				client, server := tt.client, tt.server
				if clientFirst {
					l.addClient(&client)
				}
				l.addServer(&server)
				if !clientFirst {
					l.addClient(&client)
				}
				<-ended
				l.finish()
				if got := strings.Join(l.problems(), "\n"); got != tt.want {
					t.Errorf("got the failures %q, want %q", got, tt.want)
				}
				if s := l.snapshot(); s.lost != tt.lost || s.tail != tt.tail {
					t.Errorf("got %d lost and a tail of %d, want %d and %d", s.lost, s.tail, tt.lost, tt.tail)
				}
			})
		}
	}
}

// A side that never ends is found.
func TestLedgerOneSide(t *testing.T) {
	l := newLedger()
	l.addClient(&record{ID: 1})
	l.addClient(&record{ID: 2})
	l.addServer(&record{ID: 3})
	l.finish()
	const want = "2 times: the server's side of a connection has not ended\nthe client's side of a connection has not ended"
	if got := strings.Join(l.problems(), "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A change of any byte of a message is found, and so is a message of another connection or of the other type.
func TestParseMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := newBodies(1)
	for _, n := range []int{headerSize, 17, 1000} {
		messageType, body := b.take(r, n)
		p := appendMessage(nil, 7, kindPush, 300, messageType, body)
		if kind, number, err := parseMessage(7, messageType, p); kind != kindPush || number != 300 || err != nil {
			t.Fatalf("got %c%d, %v, want p300", kind, number, err)
		}
		for i := range p {
			p[i] ^= 1
			if _, _, err := parseMessage(7, messageType, p); err == nil {
				t.Errorf("byte %d of %d is changed: got no error", i, len(p))
			}
			p[i] ^= 1
		}
		for i := range p {
			if _, _, err := parseMessage(7, messageType, p[:i]); err == nil {
				t.Errorf("%d of %d bytes: got no error", i, len(p))
			}
		}
		if _, _, err := parseMessage(8, messageType, p); err == nil {
			t.Error("another connection: got no error")
		}
		if _, _, err := parseMessage(7, websocket.TextMessage+websocket.BinaryMessage-messageType, p); err == nil {
			t.Error("the other type: got no error")
		}
	}
}

// What is more than at the start is found.
func TestExceeds(t *testing.T) {
	start := usage{Heap: 1000, Goroutines: 3, Descriptors: 9}
	for _, tt := range []struct {
		end  usage
		want string
	}{
		{start, ""},
		{usage{Heap: 1000 + heapAllowance, Goroutines: 2, Descriptors: 8}, ""},
		{usage{Heap: 1001 + heapAllowance}, "the heap has 1048577 bytes more than at the start"},
		{usage{Goroutines: 4}, "there are 1 goroutines more than at the start"},
		{usage{Descriptors: 11}, "there are 2 descriptors more than at the start"},
	} {
		if got := strings.Join(tt.end.exceeds(start), "\n"); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.end, got, tt.want)
		}
	}
}

// If there can be too few descriptors, the error says what to do.
func TestDescriptorLimit(t *testing.T) {
	err := raiseDescriptorLimit(1 << 40)
	if err == nil || !strings.Contains(err.Error(), "raise it") {
		t.Errorf("got %v, want that the limit must be raised", err)
	}
	if err := raiseDescriptorLimit(10); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, arg := range []string{"-tls=1.1", "-compress=-1", "-slow=2", "-connections=0", "-rate=0", "-pushes=-1", "-tear=-1", "more"} {
		if _, err := parseOptions([]string{arg}); err == nil {
			t.Errorf("%s: got no error", arg)
		}
	}
}
