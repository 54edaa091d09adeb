package gorilla

import (
	"slices"
	"strings"
	"sync/atomic"
)

// difference is one that is on purpose. In all scenarios with the names, this
// library's transcript has not the lines that are marked with "- ", and has those
// that are marked with "+ ", as compare prints them.
type difference struct {
	why       reason
	where     pairing
	lines     string
	scenarios []string
}

var differences []difference

// differ lists a difference. Each file of them initialises a variable with it.
func differ(why reason, where pairing, lines string, scenarios ...string) bool {
	differences = append(differences, difference{why, where, lines, scenarios})
	return true
}

// differAlike lists a difference of a server, from scenarios whose names end with
// "to a server", and the same one of a client.
func differAlike(why reason, lines string, scenarios ...string) bool {
	var masked []string
	for line := range strings.SplitSeq(lines, "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		rest = strings.Replace(rest, "server", "client", 1)
		if opcode, payload, ok := strings.Cut(strings.TrimPrefix(rest, "client sends: "), " "); ok && strings.HasPrefix(rest, "client sends: ") {
			rest = "client sends: " + opcode + " masked " + payload
		}
		masked = append(masked, mark+" "+rest)
	}
	for _, s := range scenarios {
		differ(why, asServer, lines, s+", to a server")
		differ(why, asClient, strings.Join(masked, "\n"), s+", to a client")
	}
	return true
}

// marked returns the lines with the mark, without it.
func marked(lines, mark string) (with []string) {
	for line := range strings.SplitSeq(lines, "\n") {
		if rest, ok := strings.CutPrefix(line, mark+" "); ok {
			with = append(with, rest)
		}
	}
	return with
}

// without returns the elements of a that are not in b, each as often as it is there too often.
func without(a, b []string) (rest []string) {
	b = slices.Clone(b)
	for _, s := range a {
		if i := slices.Index(b, s); i >= 0 {
			b = slices.Delete(b, i, i+1)
		} else {
			rest = append(rest, s)
		}
	}
	return rest
}

// changed compares transcripts. It returns the lines that are in one of them only,
// and whether the others are in the same order.
func changed(want, got string) (removed, added []string, ordered bool) {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	removed, added = without(w, g), without(g, w)
	differing := func(s string) bool { return slices.Contains(removed, s) || slices.Contains(added, s) }
	return removed, added, slices.Equal(slices.DeleteFunc(w, differing), slices.DeleteFunc(g, differing))
}

// sameLines reports whether a and b have the same elements, in any order.
func sameLines(a, b []string) bool {
	return len(without(a, b)) == 0 && len(without(b, a)) == 0
}

// generalDifference is one that is found wherever this library's end says
// something, in any scenario: where gorilla says theirs, it says ours.
type generalDifference struct {
	why          reason
	theirs, ours string
	applied      *atomic.Bool
}

var generalDifferences = []generalDifference{
	general(timeoutsAreFound, "(net.Error with Timeout)", "(is os.ErrDeadlineExceeded, net.Error with Timeout)"),
	general(wording, "RSV1 set", "reserved bit RSV1 is set"),
	general(wording, "RSV2 set", "reserved bit RSV2 is set"),
	general(wording, "RSV3 set", "reserved bit RSV3 is set"),
	general(wording, "bad opcode", "unknown opcode"),
	general(wording, "len > 125 for control", "control frame is longer than 125 bytes"),
	general(wording, "FIN not set on control", "control frame is fragmented"),
	general(wording, "continuation after FIN", "continuation frame without a message to continue"),
	general(wording, "data before FIN", "new message before the end of the one before"),
}

func general(why reason, theirs, ours string) generalDifference {
	return generalDifference{why, theirs, ours, new(atomic.Bool)}
}

// applyGeneral makes of a reference what our ends say of it.
func applyGeneral(transcript string, p pairing) string {
	lines := strings.Split(transcript, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "client") && p&asClient == 0 || strings.HasPrefix(line, "server") && p&asServer == 0 {
			continue
		}
		for _, d := range generalDifferences {
			if strings.Contains(line, d.theirs) {
				line = strings.ReplaceAll(line, d.theirs, d.ours)
				d.applied.Store(true)
			}
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}
