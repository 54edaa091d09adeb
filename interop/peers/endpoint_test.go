package peers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// An endpoint is a connection of another Go library.
type endpoint interface {
	// read returns the next message. The error is a closedError if the peer has closed the connection.
	read() (text bool, p []byte, err error)
	write(text bool, p []byte) error
	// writeParts sends a message whose fragments are the parts.
	writeParts(text bool, parts [][]byte) error
	// ping sends a ping, and has pong called when the answer has come. The program reads meanwhile.
	ping(pong func()) error
	// shutdown sends a Close frame and waits for the answer, as far as the library can.
	shutdown(code int, reason string) error
	subprotocol() string
	// close closes the network connection.
	close()
}

// A closedError is the peer's Close frame.
type closedError struct {
	code   int
	reason string
}

func (e *closedError) Error() string { return fmt.Sprintf("closed with %d %q", e.code, e.reason) }

// playEndpoint does what a peer does in a scenario.
func playEndpoint(e endpoint, path string) result {
	defer e.close()
	if path == "subprotocol" && e.subprotocol() != subprotocol {
		return fail(fmt.Sprintf("got the subprotocol %q", e.subprotocol()))
	}
	for {
		text, p, err := e.read()
		if err != nil {
			return wantClosed(path, err)
		}
		switch path {
		case "send-fragments":
			third := len(p) / 3
			err = e.writeParts(text, [][]byte{p[:third], p[third : 2*third], p[2*third:]})
		case "send-ping":
			err = e.ping(func() { e.write(true, []byte("pong")) })
		case "send-close":
			if err := e.shutdown(4002, "done"); err != nil {
				return fail(err.Error())
			}
			return pass()
		default:
			err = e.write(text, p)
		}
		if err != nil {
			return fail(err.Error())
		}
	}
}

// wantClosed returns the result for the error with which reading has ended.
func wantClosed(path string, err error) result {
	want := closedError{code: 1000}
	if path == "read-close" {
		want = closedError{4001, "bye"}
	}
	var closed *closedError
	if !errors.As(err, &closed) || *closed != want {
		return fail(fmt.Sprintf("got error %v, want %v", err, &want))
	}
	return pass()
}

// A dialFunc connects to a URL. The status is that of the answer, if there is one.
type dialFunc func(ctx context.Context, url, path string) (e endpoint, status int, err error)

// An upgradeFunc answers a request of net/http.
type upgradeFunc func(w http.ResponseWriter, r *http.Request, path string) (endpoint, error)

// library returns a peer that is another Go library, which go.mod requires.
func library(name, module string) peer {
	return peer{name: name, version: moduleVersion(module), pinned: true}
}

// client returns the client of the library.
func (p peer) client(dial dialFunc) peer {
	p.dial = func(t *testing.T, s *server, r reports) {
		for _, sc := range scenarios {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			e, status, err := dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+"/"+sc.path, sc.path)
			cancel()
			switch {
			case err == nil:
				r.report(sc.path, playEndpoint(e, sc.path))
			case sc.path == refusal && status == http.StatusForbidden:
				r.report(sc.path, pass())
			default:
				r.report(sc.path, fail(fmt.Sprintf("got error %v and status %d", err, status)))
			}
		}
	}
	return p
}

// server returns the server of the library, with net/http.
func (p peer) server(upgrade upgradeFunc) peer {
	p.serve = func(t *testing.T, reports reports) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := strings.TrimPrefix(r.URL.Path, "/")
			if path == refusal {
				http.Error(w, "refused", http.StatusForbidden)
				reports.report(path, pass())
				return
			}
			e, err := upgrade(w, r, path)
			if err != nil {
				reports.report(path, fail(err.Error()))
				return
			}
			reports.report(path, playEndpoint(e, path))
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	return p
}

// moduleVersion returns the version of a module that go.mod requires.
func moduleVersion(module string) func(t *testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		mod, err := os.ReadFile("go.mod")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(mod), "\t"+module+" v")
		if !ok {
			t.Fatalf("go.mod does not require %s", module)
		}
		return strings.Fields(rest)[0]
	}
}
