package websocket

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// ngServerCase is what a server that gets the lines of offers does with the options.
// testdata/README.md has the format of the tables.
type ngServerCase struct {
	name    string
	offers  []string // lines of the header
	refused string   // why they are no list of extensions, or ""
	answers []ngServerAnswer
}

type ngServerAnswer struct {
	options CompressionOptions
	answer  string // "" where compression is not used
}

// ngClientCase is what a client with the options offers, and makes of answers.
type ngClientCase struct {
	name    string
	options CompressionOptions
	offers  string
	answers []ngClientAnswer
}

type ngClientAnswer struct {
	lines  []string // of the header
	want   string   // as ngDescribe has it, or ""
	reason string   // why the connection fails, or ""
}

// ngOptions reads options from a table.
func ngOptions(t *testing.T, s string) (o CompressionOptions) {
	t.Helper()
	for _, word := range strings.Fields(s) {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		switch {
		case word == "zero":
		case word == "takeover":
			o.ContextTakeover = true
		case name == "bits" && err == nil:
			o.WindowBits = n
		case name == "peer" && err == nil:
			o.PeerWindowBits = n
		default:
			t.Fatalf("%q is no option", word)
		}
	}
	return o
}

// ngDescribe is what a side does by an agreement.
func ngDescribe(k *compression) string {
	if k == nil {
		return "no compression"
	}
	takeover := map[bool]string{true: " with takeover"}
	return fmt.Sprintf("sends %d%s, receives %d%s", k.sendBits, takeover[k.sendTakeover], k.recvBits, takeover[k.recvTakeover])
}

// ngLines calls f for each line of a table with its mark, which is one of the marks or
// "name:", and with what stands before and behind that.
func ngLines(t *testing.T, file string, marks []string, f func(before, mark, text string)) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "name: "); ok {
			f("", "name:", name)
			continue
		}
		at, mark := len(line), ""
		for _, m := range marks {
			if i := strings.Index(line, m); i >= 0 && i < at {
				at, mark = i, m
			}
		}
		if mark == "" {
			t.Fatalf("%s: %q is no line of a table", file, line)
		}
		f(line[:at], mark, strings.TrimPrefix(line[at+len(mark):], " "))
	}
}

func ngServerCases(t *testing.T) (cases []*ngServerCase) {
	var c *ngServerCase
	ngLines(t, "testdata/negotiation/server.txt", []string{">", "<", "!"}, func(before, mark, text string) {
		switch mark {
		case "name:":
			c = &ngServerCase{name: text}
			cases = append(cases, c)
		case ">":
			c.offers = append(c.offers, text)
		case "<":
			c.answers = append(c.answers, ngServerAnswer{ngOptions(t, before), strings.TrimPrefix(text, "none")})
		case "!":
			c.refused = text
		}
	})
	return cases
}

func ngClientCases(t *testing.T) (cases []*ngClientCase) {
	var c *ngClientCase
	ngLines(t, "testdata/negotiation/client.txt", []string{"options:", ">", "<", "=", "!"}, func(_, mark, text string) {
		switch mark {
		case "name:":
			c = &ngClientCase{name: text}
			cases = append(cases, c)
		case "options:":
			c.options = ngOptions(t, text)
		case ">":
			c.offers = text
		case "<":
			var lines []string
			if text != "none" {
				lines = []string{text}
			}
			c.answers = append(c.answers, ngClientAnswer{lines: lines})
		case "=":
			c.answers[len(c.answers)-1].want = text
		case "!":
			c.answers[len(c.answers)-1].reason = text
		}
	})
	return cases
}

// A server answers the first offer that it can honour, with exactly what it will do.
func TestNegotiationServerTable(t *testing.T) {
	cases := ngServerCases(t)
	if len(cases) < 35 {
		t.Errorf("got %d cases, want 35 or more", len(cases))
	}
	for _, c := range cases {
		offers, err := parseExtensions(c.offers)
		reason := ""
		if err != nil {
			reason = err.Error()
		}
		if reason != c.refused {
			t.Errorf("%s: got error %q, want %q", c.name, reason, c.refused)
		}
		if (c.refused == "") != (len(c.answers) > 0) {
			t.Errorf("%s: got %d answers and refusal %q, want one of them", c.name, len(c.answers), c.refused)
		}
		for _, want := range c.answers {
			got := ""
			if answer, ok := want.options.answerOffers(offers); ok {
				got = string(answer.append(nil))
			}
			if got != want.answer {
				t.Errorf("%s, with %+v: got %q, want %q", c.name, want.options, got, want.answer)
			}
		}
	}
}

// A client offers what its options say, and accepts only what RFC 7692 lets a server
// answer to that.
func TestNegotiationClientTable(t *testing.T) {
	cases := ngClientCases(t)
	if len(cases) < 8 {
		t.Errorf("got %d cases, want 8 or more", len(cases))
	}
	for _, c := range cases {
		if got := c.options.offers(); got != c.offers {
			t.Errorf("%s: got offers %q, want %q", c.name, got, c.offers)
		}
		for _, a := range c.answers {
			if (a.want == "") == (a.reason == "") {
				t.Errorf("%s, %q: got result %q and reason %q in the table, want one of them", c.name, a.lines, a.want, a.reason)
			}
			got, reason := ngCheckAnswer(c.options, true, a.lines)
			if got != a.want || reason != a.reason {
				t.Errorf("%s, %q: got %q, error %q, want %q, error %q", c.name, a.lines, got, reason, a.want, a.reason)
			}
		}
	}
}

// ngCheckAnswer is what a client makes of an answer, or why the connection fails.
func ngCheckAnswer(o CompressionOptions, offered bool, lines []string) (got, reason string) {
	extensions, err := parseExtensions(lines)
	if err != nil {
		return "", err.Error()
	}
	answer, agreed, err := checkAnswer(offered, extensions)
	switch {
	case err != nil:
		return "", err.Error()
	case !agreed:
		return ngDescribe(nil), ""
	}
	return ngDescribe(newCompression(o, answer, false)), ""
}
