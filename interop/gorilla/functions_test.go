package gorilla

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// The functions that are about neither a client nor a server are compared call by call.

func TestFormatCloseMessage(t *testing.T) {
	for code := -1; code <= 1<<16; code++ {
		for _, text := range []string{"", "text", "\xff", filler(200)} {
			got, want := here.formatClose(code, text), gorilla.formatClose(code, text)
			if string(got) != string(want) || (got == nil) != (want == nil) {
				t.Errorf("FormatCloseMessage(%d, %q): got %q, want %q", code, text, got, want)
			}
		}
	}
}

func TestCloseErrors(t *testing.T) {
	for code := -1; code <= 5000; code++ {
		for _, text := range []string{"", "text"} {
			got, want := here.newClose(code, text), gorilla.newClose(code, text)
			if got.Error() != want.Error() {
				t.Errorf("(&CloseError{%d, %q}).Error(): got %q, want %q", code, text, got, want)
			}
		}
	}
	codes := [][]int{nil, {1000}, {1001}, {1000, 1001}}
	for _, make := range []func(l *library) error{
		func(*library) error { return nil },
		func(*library) error { return io.EOF },
		func(*library) error { return errors.New("websocket: close 1000 (normal)") },
		func(l *library) error { return l.errCloseSent },
		func(l *library) error { return l.newClose(1000, "") },
		func(l *library) error { return l.newClose(1001, "") },
		func(l *library) error { return l.newClose(1002, "") },
		func(l *library) error { return fmt.Errorf("wrapped: %w", l.newClose(1000, "")) },
	} {
		ours, theirs := make(here), make(gorilla)
		for _, c := range codes {
			if got, want := here.isClose(ours, c...), gorilla.isClose(theirs, c...); got != want {
				t.Errorf("IsCloseError(%v, %v): got %v, want %v", ours, c, got, want)
			}
			if got, want := here.isUnexpectedClose(ours, c...), gorilla.isUnexpectedClose(theirs, c...); got != want {
				t.Errorf("IsUnexpectedCloseError(%v, %v): got %v, want %v", ours, c, got, want)
			}
		}
	}
}

func TestErrorTexts(t *testing.T) {
	for _, e := range [][2]error{
		{here.errCloseSent, gorilla.errCloseSent},
		{here.errReadLimit, gorilla.errReadLimit},
		{here.errBadHandshake, gorilla.errBadHandshake},
	} {
		if e[0].Error() != e[1].Error() {
			t.Errorf("got %q, want %q", e[0], e[1])
		}
	}
}

func TestIsWebSocketUpgrade(t *testing.T) {
	for _, connection := range [][]string{nil, {""}, {"Upgrade"}, {"upgrade"}, {"keep-alive, Upgrade"}, {"Upgrade , x"},
		{"keep-alive", "upgrade"}, {"upgraded"}, {"x upgrade"}, {"upgrade;q=1"}, {"\tupgrade\t"}, {"UPGRADE"}} {
		for _, upgrade := range [][]string{nil, {"websocket"}, {"WebSocket"}, {"h2c, websocket"}, {"h2c", "websocket"}, {"websocket/13"}, {"web socket"}} {
			r := &http.Request{Header: http.Header{"Connection": connection, "Upgrade": upgrade}}
			if got, want := here.isUpgrade(r), gorilla.isUpgrade(r); got != want {
				t.Errorf("IsWebSocketUpgrade(%q): got %v, want %v", r.Header, got, want)
			}
		}
	}
}

func TestSubprotocols(t *testing.T) {
	for _, test := range []struct {
		lines        []string
		ours, theirs []string // where they differ
		why          reason
	}{
		{lines: nil},
		{lines: []string{""}},
		{lines: []string{"chat"}},
		{lines: []string{"chat, superchat"}},
		{lines: []string{" chat ,\tsuperchat"}},
		{lines: []string{"a,b"}},
		{lines: []string{"a b, c"}},
		{lines: []string{"a", "b, c"}, ours: []string{"a", "b", "c"}, theirs: []string{"a"}, why: subprotocolList},
		{lines: []string{"a,,b, "}, ours: []string{"a", "b"}, theirs: []string{"a", "", "b", ""}, why: subprotocolList},
	} {
		r := &http.Request{Header: http.Header{"Sec-Websocket-Protocol": test.lines}}
		got, want := here.subprotocols(r), gorilla.subprotocols(r)
		if test.why == "" {
			test.ours, test.theirs = want, want
		}
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", test.ours) {
			t.Errorf("Subprotocols(%q): got %#v, want %#v", test.lines, got, test.ours)
		}
		if fmt.Sprintf("%#v", want) != fmt.Sprintf("%#v", test.theirs) || test.why != "" && fmt.Sprint(got) == fmt.Sprint(want) {
			t.Errorf("Subprotocols(%q): gorilla says %#v, so the difference (%s) is not there", test.lines, want, test.why)
		}
	}
}
