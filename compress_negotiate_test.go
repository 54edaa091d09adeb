package websocket

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// parseOptions reads options from a table, of which testdata/README.md has the format.
func parseOptions(t *testing.T, s string) (o CompressionOptions) {
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

// describeCompression is what a side does by an agreement.
func describeCompression(k *compression) string {
	if k == nil {
		return "no compression"
	}
	with := map[bool]string{true: " with takeover"}
	return fmt.Sprintf("sends %d%s, receives %d%s", k.sendBits, with[k.sendTakeover], k.recvBits, with[k.recvTakeover])
}

var tableLine = regexp.MustCompile(`^(.*?)(name:|options:|[<>=!])(?: (.*))?$`)

// eachTableLine calls f for each line of a table, with its mark and what stands before and behind that.
func eachTableLine(t *testing.T, file string, f func(before, mark, text string)) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := tableLine.FindStringSubmatch(line)
		if parts == nil {
			t.Fatalf("%s: %q is no line of a table", file, line)
		}
		f(parts[1], parts[2], parts[3])
	}
}

// A server answers the first offer that it can honour, with exactly what it will do.
func TestNegotiationServerTable(t *testing.T) {
	var name string
	var offers []string // lines of the header
	cases := 0
	eachTableLine(t, "testdata/negotiation/server.txt", func(before, mark, text string) {
		list, err := parseExtensions(offers)
		switch mark {
		case "name:":
			name, offers = text, nil
			cases++
		case ">":
			offers = append(offers, text)
		case "!":
			if fmt.Sprint(err) != text {
				t.Errorf("%s: got error %v, want %s", name, err, text)
			}
		case "<":
			o, got := parseOptions(t, before), "none"
			if answer, ok := o.answerOffers(list); ok {
				got = string(answer.append(nil))
			}
			if got != text || err != nil {
				t.Errorf("%s, with %+v: got %q and error %v, want %q", name, o, got, err, text)
			}
		}
	})
	if cases < 35 {
		t.Errorf("got %d cases, want 35 or more", cases)
	}
}

// A client offers what its options say, and accepts only what RFC 7692 lets a server
// answer to that. One that has offered nothing gets nothing (RFC 6455, 4.1).
func TestNegotiationClientTable(t *testing.T) {
	var name string
	var o CompressionOptions
	var lines []string // of the answer
	check := func(offered bool, want, wantReason string) {
		if got, reason := checkedAnswer(o, offered, lines); got != want || reason != wantReason {
			t.Errorf("%s, %q: got %q, error %q, want %q, error %q", name, lines, got, reason, want, wantReason)
		}
	}
	cases, answers, verdicts := 0, 0, 0
	eachTableLine(t, "testdata/negotiation/client.txt", func(_, mark, text string) {
		switch mark {
		case "name:":
			name = text
			cases++
		case "options:":
			o = parseOptions(t, text)
		case ">":
			if got := o.offers(); got != text {
				t.Errorf("%s: got offers %q, want %q", name, got, text)
			}
		case "<":
			lines = slices.DeleteFunc([]string{text}, func(line string) bool { return line == "none" })
			answers++
		case "=":
			check(true, text, "")
			verdicts++
		case "!":
			check(true, "", text)
			verdicts++
		}
	})
	if cases < 8 || answers != verdicts {
		t.Errorf("got %d cases with %d answers and %d verdicts, want 8 cases or more", cases, answers, verdicts)
	}
	name, lines = "no offer", nil
	check(false, "no compression", "")
	lines = []string{"permessage-deflate"}
	check(false, "", "extension permessage-deflate was not offered")
}

// checkedAnswer is what a client makes of an answer, or why the connection fails.
func checkedAnswer(o CompressionOptions, offered bool, lines []string) (got, reason string) {
	extensions, err := parseExtensions(lines)
	if err != nil {
		return "", err.Error()
	}
	answer, agreed, err := checkAnswer(offered, extensions)
	if err != nil {
		return "", err.Error()
	}
	if !agreed {
		return describeCompression(nil), ""
	}
	return describeCompression(newCompression(o, answer, false)), ""
}

// invalidOptions are options that are a mistake of the program, and what is said of them.
var invalidOptions = []struct {
	options CompressionOptions
	want    string
}{
	{CompressionOptions{WindowBits: 7}, "Compression.WindowBits is 7, which is not from 8 to 15"},
	{CompressionOptions{WindowBits: 16}, "Compression.WindowBits is 16, which is not from 8 to 15"},
	{CompressionOptions{WindowBits: -1}, "Compression.WindowBits is -1, which is not from 8 to 15"},
	{CompressionOptions{WindowBits: 32768}, "Compression.WindowBits is 32768, which is not from 8 to 15"},
	{CompressionOptions{PeerWindowBits: 7}, "Compression.PeerWindowBits is 7, which is not from 8 to 15"},
	{CompressionOptions{PeerWindowBits: 16}, "Compression.PeerWindowBits is 16, which is not from 8 to 15"},
	{CompressionOptions{PeerWindowBits: -1}, "Compression.PeerWindowBits is -1, which is not from 8 to 15"},
	{CompressionOptions{Level: -3}, "Compression.Level is -3, which is not from -2 to 9"},
	{CompressionOptions{Level: 10}, "Compression.Level is 10, which is not from -2 to 9"},
	{CompressionOptions{Threshold: -1}, "Compression.Threshold is -1"},
	{CompressionOptions{Threshold: -1, Level: 10}, "Compression.Level is 10, which is not from -2 to 9"},
	{CompressionOptions{Level: 10, PeerWindowBits: 99}, "Compression.PeerWindowBits is 99, which is not from 8 to 15"},
}

// validOptions are options at the ends of what is allowed.
var validOptions = []CompressionOptions{
	{},
	{WindowBits: 8, PeerWindowBits: 8, Level: -2},
	{WindowBits: 15, PeerWindowBits: 15, Level: 9},
	{Level: -1, Threshold: 1 << 30},
}

// What is a mistake of the program is said, with the field and what it may be.
func TestCompressionOptionsInvalid(t *testing.T) {
	for _, tt := range invalidOptions {
		if got := tt.options.invalid(); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.options, got, tt.want)
		}
	}
	for _, o := range validOptions {
		if got := o.invalid(); got != "" {
			t.Errorf("%+v: got %q, want nothing", o, got)
		}
	}
}

// badParameters are parameters that RFC 7692, 7.1, allows neither in an offer nor in an answer.
var badParameters = func() (bad []string) {
	for _, name := range []string{"server_max_window_bits", "client_max_window_bits"} {
		// "a decimal integer value without leading zeroes between 8 to 15, inclusive"
		for _, value := range strings.Fields(`0 1 7 16 80 150 256 264 4294967304 18446744073709551624 -8 -0 +9 09 010 0008
			"09" "+9" 8.0 15.0 8. .8 1e1 0x8 0xf 0b1000 0o10 1_0 1_5 8a a8 x true ''`) {
			bad = append(bad, name+"="+value)
		}
		// "multiple extension parameters with the same name", be they equal.
		bad = append(bad, name+"=9; "+name+"=9", name+"=9; "+name+"=10", name+"=9; "+name,
			name+`=9; server_no_context_takeover; `+name+`="9"`)
	}
	bad = append(bad, "server_max_window_bits", "client_max_window_bits; client_max_window_bits",
		"client_max_window_bits; client_max_window_bits=9")
	for _, name := range []string{"server_no_context_takeover", "client_no_context_takeover"} {
		for _, value := range []string{"true", "false", "1", "0", `"x"`, name} {
			bad = append(bad, name+"="+value)
		}
		bad = append(bad, name+"; "+name, name+"; "+strings.ToUpper(name), name+"; server_max_window_bits=10; "+name)
	}
	// "an extension parameter not defined for use": a name in another case is another.
	return append(bad,
		"x", "x=1", "no_context_takeover", "max_window_bits=10", "permessage-deflate", "mux", "__proto__",
		"server_max_window_bit=10", "server_max_window_bits_=10", "Server_max_window_bits=10",
		"SERVER_MAX_WINDOW_BITS=10", "server_max_window_bits=10; Server_Max_Window_Bits=10",
		"Client_Max_Window_Bits", "server-max-window-bits=10", "Server_No_Context_Takeover",
		"server_max_window_bits=10; x", "x; server_max_window_bits=10")
}()

// paramsOf takes permessage-deflate apart, without the code that is tested. The value of a
// parameter without one is -1.
func paramsOf(t *testing.T, s string) map[string]int {
	t.Helper()
	list := strings.Split(s, "; ")
	params := make(map[string]int)
	for _, param := range list[1:] {
		name, value, hasValue := strings.Cut(param, "=")
		params[name] = -1
		if hasValue {
			params[name], _ = strconv.Atoi(value)
		}
		if n := params[name]; hasValue && (n < 8 || n > 15) {
			t.Fatalf("got %q, want values from 8 to 15", s)
		}
	}
	if list[0] != "permessage-deflate" || len(params) < len(list)-1 {
		t.Fatalf("got %q, want permessage-deflate, and each parameter once", s)
	}
	return params
}

// windowOf is the window that a parameter leaves.
func windowOf(params map[string]int, name string) int {
	if n, ok := params[name]; ok && n > 0 {
		return n
	}
	return 15
}

// allOptions are all options that have to do with the negotiation.
func allOptions() (all []CompressionOptions) {
	windows := []int{0, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, takeover := range []bool{false, true} {
		for _, bits := range windows {
			for _, peer := range windows {
				all = append(all, CompressionOptions{ContextTakeover: takeover, WindowBits: bits, PeerWindowBits: peer})
			}
		}
	}
	return all
}

// allOffers are all offers, but for the order of the parameters.
func allOffers() (all []string) {
	server, client := []string{""}, []string{"", "; client_max_window_bits"}
	for bits := 8; bits <= 15; bits++ {
		server = append(server, fmt.Sprintf("; server_max_window_bits=%d", bits))
		client = append(client, fmt.Sprintf("; client_max_window_bits=%d", bits))
	}
	for _, a := range []string{"", "; server_no_context_takeover"} {
		for _, b := range []string{"", "; client_no_context_takeover"} {
			for _, c := range server {
				for _, d := range client {
					all = append(all, "permessage-deflate"+a+b+c+d)
				}
			}
		}
	}
	return all
}

// rightAnswer is the only right answer to an offer (RFC 7692, 7.1).
func rightAnswer(o CompressionOptions, offer map[string]int) map[string]int {
	has := func(name string) bool { _, ok := offer[name]; return ok }
	answer := make(map[string]int)
	// 7.1.1.1: an offer with the parameter is accepted "by including" it. 7.1.1.2: the
	// client announces that it keeps nothing, so this side need not either.
	for _, flag := range []string{"server_no_context_takeover", "client_no_context_takeover"} {
		if has(flag) || !o.ContextTakeover {
			answer[flag] = -1
		}
	}
	// The largest window that both sides allow. The server's must be in the answer to an offer that has it, the
	// client's must not be in the answer to one that has not (7.1.2.1, 7.1.2.2); else 15 need not be said.
	server := min(cmp.Or(o.WindowBits, 15), windowOf(offer, "server_max_window_bits"))
	if has("server_max_window_bits") || server < 15 {
		answer["server_max_window_bits"] = server
	}
	client := min(cmp.Or(o.PeerWindowBits, 15), windowOf(offer, "client_max_window_bits"))
	if has("client_max_window_bits") && client < 15 {
		answer["client_max_window_bits"] = client
	}
	return answer
}

// wantRightAnswer checks that the answer to an offer is the only right one, and that a client that has made it accepts it.
func wantRightAnswer(t *testing.T, o CompressionOptions, offer deflateParams, answer deflateParams) {
	t.Helper()
	made, got := string(offer.append(nil)), string(answer.append(nil))
	if want := rightAnswer(o, paramsOf(t, made)); !maps.Equal(paramsOf(t, got), want) {
		t.Fatalf("%s with %+v: got %s, want %v", made, o, got, want)
	}
	wantAccepted(t, answer)
}

// wantAccepted checks that a client that offers compression accepts the answer, as it is in a header.
func wantAccepted(t testing.TB, answer deflateParams) {
	t.Helper()
	list, err := parseExtensions([]string{string(answer.append(nil))})
	if err != nil {
		t.Fatal(err)
	}
	if checked, agreed, err := checkAnswer(true, list); err != nil || !agreed || checked != answer {
		t.Fatalf("got %+v, %v, error %v from the client for %+v", checked, agreed, err, answer)
	}
}

// Whatever the offer and whatever the options, the answer obeys the rules, and a client
// that has made such an offer accepts it.
func TestNegotiationOfEveryOffer(t *testing.T) {
	skipRace(t)
	options := allOptions()
	for _, text := range allOffers() {
		offers, err := parseExtensions([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		offer, err := parseDeflateParams(offers[0], true)
		if err != nil || !maps.Equal(paramsOf(t, string(offer.append(nil))), paramsOf(t, text)) {
			t.Fatalf("got %+v and error %v, want %s", offer, err, text)
		}
		for _, o := range options {
			answer, ok := o.answerOffers(offers)
			if !ok {
				t.Fatalf("%s with %+v: got no answer, want one", text, o)
			}
			wantRightAnswer(t, o, offer, answer)
		}
	}
}

// With any options on both sides, both do the same, and say so: nobody uses a window that the other does not keep,
// and nobody keeps what is never used. A client that has said nothing of its window uses the largest.
func TestNegotiationBothSidesAgree(t *testing.T) {
	skipRace(t)
	for _, so := range allOptions() {
		for _, co := range allOptions() {
			agreed := negotiate(t, so, co)
			ofServer, ofClient := min(cmp.Or(so.WindowBits, 15), cmp.Or(co.PeerWindowBits, 15)), 15
			if co.WindowBits != 0 {
				ofClient = min(co.WindowBits, cmp.Or(so.PeerWindowBits, 15))
			}
			takeover := so.ContextTakeover && co.ContextTakeover
			want := [2]CompressionState{
				{true, takeover, takeover, ofServer, ofClient}, {true, takeover, takeover, ofClient, ofServer},
			}
			server := Conn{compression: newCompression(so, agreed, true)}
			client := Conn{compression: newCompression(co, agreed, false)}
			if got := [2]CompressionState{server.CompressionState(), client.CompressionState()}; got != want {
				t.Fatalf("%+v and %+v: got %+v of server and client, want %+v", so, co, got, want)
			}
		}
	}
	if got := new(Conn).CompressionState(); got != (CompressionState{}) {
		t.Errorf("got %+v without compression, want nothing", got)
	}
}

// A header from the network is answered, accepted or refused; an answer is right for the
// offer that it accepts.
func FuzzNegotiation(f *testing.F) {
	for _, c := range []string{
		"", "permessage-deflate", "permessage-deflate; client_max_window_bits",
		`foo, permessage-deflate; server_max_window_bits="1\0"`,
		"permessage-deflate; server_max_window_bits=7, " +
			"permessage-deflate; server_no_context_takeover; client_max_window_bits=8",
	} {
		f.Add(c, uint8(0))
		f.Add(c, uint8(161))
	}
	options := allOptions()
	f.Fuzz(func(t *testing.T, header string, option uint8) {
		o := options[int(option)%len(options)]
		list, err := parseExtensions([]string{header})
		if err != nil {
			return
		}

		if answer, agreed, err := checkAnswer(true, list); agreed && err == nil {
			k := newCompression(o, answer, false)
			if !validWindowBits(k.sendBits) || !validWindowBits(k.recvBits) || k.sendBits > cmp.Or(o.WindowBits, 15) {
				t.Errorf("got %s, want windows from 8 to 15", describeCompression(k))
			}
		} else if agreed {
			t.Errorf("got an agreement and error %v, want one of them", err)
		}

		var offer *deflateParams // the first that is valid
		for _, e := range list {
			if p, err := parseDeflateParams(e, true); e.name == "permessage-deflate" && err == nil && offer == nil {
				offer = &p
			}
		}
		answer, ok := o.answerOffers(list)
		if ok != (offer != nil) {
			t.Fatalf("got an answer: %v, want %v", ok, offer != nil)
		}
		if ok {
			wantRightAnswer(t, o, *offer, answer)
		}
	})
}
