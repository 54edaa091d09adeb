// Package peers plays the same scenarios with many other implementations of WebSocket, and writes INTEROP.md.
package peers

import (
	"testing"
)

// A peer is another implementation in one role.
type peer struct {
	name string
	// version ends the test if the peer is not installed. The version is pinned if it is the same on all machines.
	version func(t *testing.T) string
	pinned  bool
	// Either it is a client, which plays all scenarios with the server.
	dial func(t *testing.T, s *server, r reports)
	// Or it is a server, whose address is returned.
	serve func(t *testing.T, r reports) (address string)
}

// TestPeers plays all scenarios with all peers. INTEROP.md has the results.
func TestPeers(t *testing.T) {
	d := readDocument(t)
	t.Run("peers", func(t *testing.T) {
		for _, p := range clients {
			t.Run("client "+p.name, func(t *testing.T) {
				t.Parallel()
				d.check(t, clientsTable, row{p, p.version(t), p.playClient(t)})
			})
		}
		for _, p := range servers {
			t.Run("server "+p.name, func(t *testing.T) {
				t.Parallel()
				d.check(t, serversTable, row{p, p.version(t), p.playServer(t)})
			})
		}
	})
	if !t.Failed() {
		d.finish(t)
	}
}

// playClient returns the results of a client, in the order of the scenarios.
func (p peer) playClient(t *testing.T) (results []result) {
	t.Helper()
	s, r := newServer(t), newReports()
	p.dial(t, s, r)
	for _, sc := range scenarios {
		results = append(results, s.result(sc.path, r))
	}
	return results
}

// playServer returns the results of a server, in the order of the scenarios.
func (p peer) playServer(t *testing.T) (results []result) {
	t.Helper()
	r := newReports()
	relay := newRelay(t, p.serve(t, r))
	for _, sc := range scenarios {
		if report, ok := r.get(sc.path); ok { // said before it is tried
			results = append(results, report)
			continue
		}
		if err := playAsClient(relay, sc); err != nil {
			results = append(results, combine(fail("did not pass"), err))
		} else {
			results = append(results, r.wait(sc.path))
		}
	}
	return results
}
