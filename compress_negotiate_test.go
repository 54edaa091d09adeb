package websocket

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ngInvalid are options that are a mistake of the program, and what is said of them.
var ngInvalid = []struct {
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
	{CompressionOptions{Threshold: -1, Level: 10, PeerWindowBits: 99, ContextTakeover: true}, "Compression.PeerWindowBits is 99, which is not from 8 to 15"},
}

// ngValid are options at the ends of what is allowed.
var ngValid = []CompressionOptions{
	{},
	{WindowBits: 8, PeerWindowBits: 8, Level: -2},
	{WindowBits: 15, PeerWindowBits: 15, Level: 9},
	{Level: -1, Threshold: 1 << 30},
}

// What is a mistake of the program is said, with the field and what it may be.
func TestCompressionOptionsInvalid(t *testing.T) {
	for _, tt := range ngInvalid {
		if got := tt.options.invalid(); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.options, got, tt.want)
		}
	}
	for _, o := range ngValid {
		if got := o.invalid(); got != "" {
			t.Errorf("%+v: got %q, want nothing", o, got)
		}
	}
}

// ngBad are parameters that RFC 7692, 7.1, allows neither in an offer nor in an answer.
var ngBad = func() (bad []string) {
	for _, name := range []string{"server_max_window_bits", "client_max_window_bits"} {
		// "a decimal integer value without leading zeroes between 8 to 15, inclusive"
		for _, value := range []string{
			"0", "1", "7", "16", "80", "150", "256", "264", "4294967304", "18446744073709551624", "-8", "-0", "+9", "09", "010", "0008", `"09"`, `"+9"`,
			"8.0", "15.0", "8.", ".8", "1e1", "0x8", "0xf", "0b1000", "0o10", "1_0", "1_5", "8a", "a8", "x", "true", "''",
		} {
			bad = append(bad, name+"="+value)
		}
		// "multiple extension parameters with the same name", be they equal.
		bad = append(bad, name+"=9; "+name+"=9", name+"=9; "+name+"=10", name+"=9; "+name, name+`=9; server_no_context_takeover; `+name+`="9"`)
	}
	bad = append(bad, "server_max_window_bits", "client_max_window_bits; client_max_window_bits", "client_max_window_bits; client_max_window_bits=9")
	for _, name := range []string{"server_no_context_takeover", "client_no_context_takeover"} {
		for _, value := range []string{"true", "false", "1", "0", `"x"`, name} {
			bad = append(bad, name+"="+value)
		}
		bad = append(bad, name+"; "+name, name+"; "+strings.ToUpper(name), name+"; server_max_window_bits=10; "+name)
	}
	// "an extension parameter not defined for use": a name in another case is another.
	return append(bad,
		"x", "x=1", "no_context_takeover", "max_window_bits=10", "permessage-deflate", "mux", "__proto__", "server_max_window_bit=10", "server_max_window_bits_=10",
		"Server_max_window_bits=10", "SERVER_MAX_WINDOW_BITS=10", "server_max_window_bits=10; Server_Max_Window_Bits=10",
		"Client_Max_Window_Bits", "server-max-window-bits=10", "Server_No_Context_Takeover", "server_max_window_bits=10; x", "x; server_max_window_bits=10")
}()

// A client that has offered nothing gets nothing (RFC 6455, 4.1).
func TestNegotiationClientThatOffersNothing(t *testing.T) {
	if got, reason := ngCheckAnswer(CompressionOptions{}, false, nil); got != "no compression" || reason != "" {
		t.Errorf("got %q and error %q, want no compression", got, reason)
	}
	if got, reason := ngCheckAnswer(CompressionOptions{}, false, []string{"permessage-deflate"}); reason != "extension permessage-deflate was not offered" {
		t.Errorf("got %q and error %q, want an extension that was not offered", got, reason)
	}
}

// A client whose WindowBits are set has client_max_window_bits in each of its offers, with a value where
// that is less than the largest window. Every value in an answer is obeyed, and no window that is used is
// larger than either of the two (7.1.2.2).
func TestNegotiationClientOffersItsWindow(t *testing.T) {
	for _, o := range ngAllOptions() {
		limit := ngOrDefault(o.WindowBits)
		want := limit
		if limit == 15 {
			want = -1 // without a value
		}
		for _, offer := range strings.Split(o.offers(), ", ") {
			if got, ok := ngParams(t, offer)["client_max_window_bits"]; ok != (o.WindowBits != 0) || ok && got != want {
				t.Errorf("%+v: got offer %s, want client_max_window_bits with %d in it, -1 for no value, if WindowBits are set", o, offer, want)
			}
		}
		for bits := 8; bits <= 15; bits++ {
			line := fmt.Sprintf("permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=%d", bits)
			want := fmt.Sprintf("sends %d, receives 15", min(limit, bits))
			if got, reason := ngCheckAnswer(o, true, []string{line}); got != want || reason != "" {
				t.Errorf("%+v, %s: got %q, error %q, want %q", o, line, got, reason, want)
			}
		}
	}
}

// ngParams takes permessage-deflate apart, without the code that is tested. The value of a
// parameter without one is -1.
func ngParams(t *testing.T, s string) map[string]int {
	t.Helper()
	name, rest, _ := strings.Cut(s, ";")
	if name != "permessage-deflate" {
		t.Fatalf("got %q, want permessage-deflate", s)
	}
	params := make(map[string]int)
	for _, param := range strings.Split(rest, ";") {
		if param = strings.TrimSpace(param); param == "" {
			continue
		}
		name, value, hasValue := strings.Cut(param, "=")
		n := -1
		if hasValue {
			var err error
			if n, err = strconv.Atoi(value); err != nil || n < 8 || n > 15 {
				t.Fatalf("got %q, want values from 8 to 15", s)
			}
		}
		if _, twice := params[name]; twice {
			t.Fatalf("got %q, want each parameter once", s)
		}
		params[name] = n
	}
	return params
}

// ngWindow is the window that a parameter leaves.
func ngWindow(params map[string]int, name string) int {
	if n, ok := params[name]; ok && n > 0 {
		return n
	}
	return 15
}

// ngAllOptions are all options that have to do with the negotiation.
func ngAllOptions() (all []CompressionOptions) {
	for _, takeover := range []bool{false, true} {
		for _, bits := range []int{0, 8, 9, 10, 11, 12, 13, 14, 15} {
			for _, peer := range []int{0, 8, 9, 10, 11, 12, 13, 14, 15} {
				all = append(all, CompressionOptions{ContextTakeover: takeover, WindowBits: bits, PeerWindowBits: peer})
			}
		}
	}
	return all
}

// ngAllOffers are all offers, but for the order of the parameters.
func ngAllOffers() (all []string) {
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

// ngOrDefault is what 0 stands for in the options.
func ngOrDefault(bits int) int {
	if bits == 0 {
		return 15
	}
	return bits
}

// ngAnswerIsWrong says which rule of RFC 7692, 7.1, or of CompressionOptions the answer
// breaks, or nothing.
func ngAnswerIsWrong(o CompressionOptions, offer, answer map[string]int) string {
	has := func(params map[string]int, name string) bool { _, ok := params[name]; return ok }
	flags, windows := 0, 0
	for _, side := range []string{"server", "client"} {
		flag, window := side+"_no_context_takeover", side+"_max_window_bits"
		// 7.1.1.1: an offer with the parameter is accepted "by including" it. 7.1.1.2: the
		// client announces that it keeps nothing, so this side need not either.
		if has(answer, flag) != (has(offer, flag) || !o.ContextTakeover) {
			return "takeover by the " + side + " where it was not wanted, or none where it was"
		}
		if has(answer, flag) {
			flags++
			if answer[flag] != -1 {
				return flag + " has a value"
			}
		}
		if has(answer, window) {
			windows++
			if answer[window] == -1 {
				return window + " has no value"
			}
		}
	}
	if len(answer) != flags+windows {
		return "an unknown parameter"
	}

	ours, offered := ngOrDefault(o.WindowBits), ngWindow(offer, "server_max_window_bits")
	switch got := ngWindow(answer, "server_max_window_bits"); {
	case has(offer, "server_max_window_bits") && !has(answer, "server_max_window_bits"):
		return "server_max_window_bits was offered and not answered (7.1.2.1)"
	case got > offered:
		return "server_max_window_bits is larger than in the offer (7.1.2.1)"
	case got > ours:
		return "server_max_window_bits is larger than WindowBits"
	case got != ours && got != offered:
		return "server_max_window_bits is smaller than need be"
	case !has(offer, "server_max_window_bits") && ours == 15 && has(answer, "server_max_window_bits"):
		return "server_max_window_bits says nothing"
	}

	theirs, hint := ngOrDefault(o.PeerWindowBits), ngWindow(offer, "client_max_window_bits")
	got := ngWindow(answer, "client_max_window_bits")
	switch {
	case !has(offer, "client_max_window_bits") && has(answer, "client_max_window_bits"):
		return "client_max_window_bits was answered and not offered (7.1.2.2)"
	case !has(offer, "client_max_window_bits"):
	case got > theirs:
		return "client_max_window_bits is larger than PeerWindowBits"
	case got > hint:
		return "client_max_window_bits is larger than the client will use (7.1.2.2)"
	case got != theirs && got != hint:
		return "client_max_window_bits is smaller than need be"
	case got == 15 && has(answer, "client_max_window_bits"):
		return "client_max_window_bits says nothing"
	}
	return ""
}

// Whatever the offer and whatever the options, the answer obeys the rules, and a client
// that has made such an offer accepts it.
func TestNegotiationOfEveryOffer(t *testing.T) {
	options := ngAllOptions()
	for _, text := range ngAllOffers() {
		params := ngParams(t, text)
		offers, err := parseExtensions([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		offer, err := parseDeflateParams(offers[0], true)
		if err != nil || !maps.Equal(ngParams(t, string(offer.append(nil))), params) {
			t.Fatalf("got %+v and error %v, want %s", offer, err, text)
		}
		for _, o := range options {
			answer, ok := o.answerOffers(offers)
			if !ok {
				t.Fatalf("%s with %+v: got no answer, want one", text, o)
			}
			got := string(answer.append(nil))
			if wrong := ngAnswerIsWrong(o, params, ngParams(t, got)); wrong != "" {
				t.Fatalf("%s with %+v: got %s: %s", text, o, got, wrong)
			}
			answers, err := parseExtensions([]string{got})
			if err != nil {
				t.Fatal(err)
			}
			if checked, agreed, err := checkAnswer(true, answers); err != nil || !agreed || checked != answer {
				t.Fatalf("%s answered with %s: got %+v, %v, error %v from the client, want it accepted", text, got, checked, agreed, err)
			}
		}
	}
}

// With any options on both sides, both do the same: nobody uses a window that the other
// does not keep, and nobody keeps what is never used.
func TestNegotiationBothSidesAgree(t *testing.T) {
	options := ngAllOptions()
	for _, so := range options {
		for _, co := range options {
			agreed := negotiate(t, so, co)
			s, c := newCompression(so, agreed, true), newCompression(co, agreed, false)
			takeover := so.ContextTakeover && co.ContextTakeover
			switch {
			case s.sendBits != c.recvBits || c.sendBits != s.recvBits:
				t.Fatal("windows of different sizes:", so, co, ngDescribe(s), ngDescribe(c))
			case s.sendBits != min(ngOrDefault(so.WindowBits), ngOrDefault(co.PeerWindowBits)):
				t.Fatal("a window of the server that neither asked for:", so, co, ngDescribe(s))
			case co.WindowBits == 0 && c.sendBits != 15 || co.WindowBits != 0 && c.sendBits != min(co.WindowBits, ngOrDefault(so.PeerWindowBits)):
				t.Fatal("a window of the client that neither asked for:", so, co, ngDescribe(c))
			case s.sendTakeover != takeover || s.recvTakeover != takeover || c.sendTakeover != takeover || c.recvTakeover != takeover:
				t.Fatal("takeover where not both want it, or none:", so, co, ngDescribe(s), ngDescribe(c))
			}
		}
	}
}

// A header from the network is answered, accepted or refused; an answer is right for the
// offer that it accepts.
func FuzzNegotiation(f *testing.F) {
	for _, c := range []string{"", "permessage-deflate", "permessage-deflate; client_max_window_bits", "foo, permessage-deflate; server_max_window_bits=\"1\\0\"",
		"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_no_context_takeover; client_max_window_bits=8"} {
		f.Add(c, uint8(0))
		f.Add(c, uint8(161))
	}
	options := ngAllOptions()
	f.Fuzz(func(t *testing.T, header string, option uint8) {
		o := options[int(option)%len(options)]
		list, err := parseExtensions([]string{header})
		if err != nil {
			return
		}

		if answer, agreed, err := checkAnswer(true, list); agreed && err == nil {
			k := newCompression(o, answer, false)
			if !validWindowBits(k.sendBits) || !validWindowBits(k.recvBits) || k.sendBits > ngOrDefault(o.WindowBits) {
				t.Errorf("got %s, want windows from 8 to 15", ngDescribe(k))
			}
		} else if agreed {
			t.Errorf("got an agreement and error %v, want one of them", err)
		}

		answer, ok := o.answerOffers(list)
		first := slices.IndexFunc(list, func(e extension) bool {
			_, err := parseDeflateParams(e, true)
			return e.name == "permessage-deflate" && err == nil
		})
		if ok != (first >= 0) {
			t.Fatalf("got an answer: %v, want %v", ok, first >= 0)
		}
		if !ok {
			return
		}
		offer, _ := parseDeflateParams(list[first], true)
		got := string(answer.append(nil))
		if wrong := ngAnswerIsWrong(o, ngParams(t, string(offer.append(nil))), ngParams(t, got)); wrong != "" {
			t.Errorf("got %s: %s", got, wrong)
		}
		if got, reason := ngCheckAnswer(o, true, []string{got}); reason != "" || got == ngDescribe(nil) {
			t.Errorf("got %q and error %q from the client, want it accepted", got, reason)
		}
	})
}
