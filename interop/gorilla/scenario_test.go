package gorilla

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	textMessage   = 1
	binaryMessage = 2
	closeMessage  = 8
	pingMessage   = 9
	pongMessage   = 10
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// scenario is what two ends do, of which the libraries play one or both.
type scenario struct {
	name    string
	ends    ends
	tcpOnly bool // it is about TCP connections
	run     func(x *exchange)
}

// ends are those that the libraries play.
type ends int

const (
	both       ends = iota
	serverOnly      // the scenario is the client
	clientOnly      // the scenario is the server
)

// pairing is a set of ways in which this library takes part.
type pairing int

const (
	ourClient pairing = 1 << iota // with gorilla's server, or no library's
	ourServer                     // with gorilla's client, or no library's
	ourBoth

	asClient = ourClient | ourBoth
	asServer = ourServer | ourBoth
	anywhere = ourClient | ourServer | ourBoth
)

var scenarios []scenario

// scenes adds scenarios. Each file of them initialises a variable with it.
func scenes(s ...scenario) bool {
	scenarios = append(scenarios, s...)
	return true
}

func TestScenarios(t *testing.T) {
	seen := make(map[string]ends)
	var played atomic.Int32 // fewer than all with go test -run
	for _, s := range scenarios {
		if _, ok := seen[s.name]; ok {
			t.Errorf("two scenarios are named %q", s.name)
		}
		seen[s.name] = s.ends
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			played.Add(1)
			client, server := gorilla, gorilla
			switch s.ends {
			case serverOnly:
				client = nil
			case clientOnly:
				server = nil
			}
			reference := s.play(t, client, server, false)
			for _, p := range []pairing{ourClient, ourServer, ourBoth} {
				client, server := client, server
				if p != ourServer && client != nil {
					client = here
				}
				if p != ourClient && server != nil {
					server = here
				}
				if p == ourBoth && s.ends != both || client != here && server != here {
					continue // these ends are not played
				}
				compare(t, s, p, reference, s.play(t, client, server, false))
				if !s.tcpOnly {
					compare(t, s, p, reference, s.play(t, client, server, true))
				}
			}
		})
	}
	t.Cleanup(func() { // when all scenarios have run
		for _, d := range generalDifferences {
			if int(played.Load()) == len(scenarios) && !d.applied.Load() {
				t.Errorf("gorilla never says %q, so the general difference is not there", d.theirs)
			}
		}
	})
	for _, d := range differences {
		for _, name := range d.scenarios {
			ends, ok := seen[name]
			if !ok {
				t.Errorf("a difference is listed for %q, which is no scenario", name)
			}
			if d.where&ourServer == 0 && ends == serverOnly || d.where&ourClient == 0 && ends == clientOnly {
				t.Errorf("a difference is listed for %q with this library at an end that is not played", name)
			}
		}
	}
}

// play runs the scenario once and returns the transcript.
func (s scenario) play(t *testing.T, client, server *library, wrapped bool) string {
	t.Helper()
	x := newExchange(t, client, server)
	x.wrapped = wrapped
	timeout := time.AfterFunc(patience, func() {
		t.Errorf("the scenario is stuck")
		x.stop()
	})
	defer timeout.Stop()
	func() {
		defer x.finish()
		s.run(x)
	}()
	return x.transcript()
}

// compare checks that got is what the reference becomes by the listed differences.
func compare(t *testing.T, s scenario, p pairing, reference, got string) {
	t.Helper()
	want := applyGeneral(reference, p)
	var removed, added []string
	for _, d := range differences {
		if d.where&p != 0 && slices.Contains(d.scenarios, s.name) {
			removed = append(removed, marked(d.lines, "-")...)
			added = append(added, marked(d.lines, "+")...)
		}
	}
	removed, added = without(removed, added), without(added, removed)
	foundRemoved, foundAdded, ordered := changed(want, got)
	if !sameLines(removed, foundRemoved) || !sameLines(added, foundAdded) {
		t.Errorf("%v: found these differences from gorilla:\n%s\nThe list has\n- %s\n+ %s", p, diff(want, got),
			strings.Join(removed, "\n- "), strings.Join(added, "\n+ "))
	} else if !ordered {
		t.Errorf("%v: the order of the lines is not gorilla's:\n%s", p, diff(want, got))
	}
}

func (p pairing) String() string {
	switch p {
	case ourClient:
		return "our client"
	case ourServer:
		return "our server"
	}
	return "our client and our server"
}

// diff shows the lines that are only in want (-) or only in got (+), and the ones before them.
func diff(want, got string) string {
	a, b := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out strings.Builder
	before := ""
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			before = "  " + a[i]
			i++
			j++
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprint(&out, before, "- ", a[i])
			before = ""
			i++
		default:
			fmt.Fprint(&out, before, "+ ", b[j])
			before = ""
			j++
		}
	}
	return out.String()
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
