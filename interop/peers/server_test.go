package peers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// A server of this library has a path for each scenario. It has one client, and plays each scenario once.
type server struct {
	url      string // of the relay before it
	relay    *relay
	verdicts map[string]chan error // by path
	mux      *http.ServeMux
}

func newServer(t *testing.T) *server {
	s := &server{verdicts: make(map[string]chan error), mux: http.NewServeMux()}
	var group websocket.Group
	for _, sc := range scenarios {
		s.verdicts[sc.path] = make(chan error, 1)
		s.mux.Handle("/"+sc.path, s.handler(sc, &group))
	}
	hs := httptest.NewUnstartedServer(s.mux)
	s.relay = newRelay(t, hs.Listener.Addr().String())
	s.url = s.relay.url
	hs.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := group.Shutdown(ctx); err != nil {
			t.Errorf("closing the connections: %v", err)
		}
		hs.Close()
	})
	return s
}

// handshakeOnly is the query of clients that make the handshake and nothing else.
const handshakeOnly = "handshake"

func (s *server) handler(sc scenario, group *websocket.Group) http.Handler {
	u := websocket.Upgrader{Group: group, EnableCompression: sc.compressed()}
	u.Compression.ContextTakeover = true
	switch sc.path {
	case "subprotocol":
		u.Subprotocols = []string{subprotocol}
	case refusal:
		u.CheckOrigin = func(*http.Request) bool { return false }
		return s.refuse(u.HandlerFunc(func(*websocket.Conn, *http.Request) {}))
	}
	return u.HandlerFunc(func(c *websocket.Conn, r *http.Request) {
		c.SetReadDeadline(time.Now().Add(patience))
		c.SetWriteDeadline(time.Now().Add(patience))
		if r.URL.RawQuery == handshakeOnly {
			s.decide(sc.path, nil)
			return
		}
		err := sc.play(c)
		if err == nil {
			theirs, ours := s.relay.connection(sc.path)
			err = sc.checkWire(ours, theirs)
		}
		s.decide(sc.path, err)
	})
}

// refuse returns a handler that wants a complete request for an upgrade, and has h refuse it.
func (s *server) refuse(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		if !websocket.IsWebSocketUpgrade(r) {
			err = errors.New("got a request without an upgrade")
		}
		s.decide(refusal, err)
		h.ServeHTTP(w, r)
	})
}

// decide says what became of a scenario, unless it is known.
func (s *server) decide(path string, verdict error) {
	select {
	case s.verdicts[path] <- verdict:
	default:
	}
}

// result returns the result of a scenario of which the client has said what it could, or nothing.
func (s *server) result(path string, r reports) result {
	report, ok := r.get(path)
	if !ok {
		report = fail("says nothing")
	}
	if report.outcome == "passes" { // so there was a connection, whose end may not have been seen here
		select {
		case verdict := <-s.verdicts[path]:
			return combine(report, verdict)
		case <-time.After(patience):
			return fail("this library has seen no connection, or no end of it")
		}
	}
	select {
	case verdict := <-s.verdicts[path]:
		return combine(report, verdict)
	default:
		return report
	}
}
