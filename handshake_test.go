//go:build go1.25

package websocket

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The key of RFC 6455, 1.3, and the Sec-WebSocket-Accept that answers it.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// Frames of a client, as in the examples of RFC 6455, 5.7, and of a server.
const (
	maskedHello      = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
	maskedPing       = "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
	maskedClose      = "\x88\x82\x37\xfa\x21\x3d\x34\x12" // 1000
	helloFrame       = "\x81\x05Hello"
	normalCloseFrame = "\x88\x02\x03\xe8"
)

// handshakeCase is one named exchange of a file in testdata. Such a file looks like this:
//
//	# A comment.
//	== the name of the case
//	setting: key=value,value
//	-- section
//	lines
//	-- another section
//	lines
//
// Braces stand for what a text file cannot show well: {"\x81\x00"} for a Go string,
// {1000*"x"} for a repeated one, {key} for the Sec-WebSocket-Key of the request, and
// {accept} for the Sec-WebSocket-Accept that is due. A line that is nothing but
// braces has no line end.
type handshakeCase struct {
	name     string
	settings map[string]string
	sections map[string][]string
}

var caseBraces = regexp.MustCompile(`\{(?:key|accept|(?:([0-9]+)\*)?("(?:[^"\\]|\\.)*"))\}`)

// expandBraces puts in what the braces of a line stand for.
func expandBraces(t testing.TB, line, key string) string {
	return caseBraces.ReplaceAllStringFunc(line, func(braces string) string {
		switch braces {
		case "{key}":
			return key
		case "{accept}":
			return acceptKey(key)
		}
		m := caseBraces.FindStringSubmatch(braces)
		s, err := strconv.Unquote(m[2])
		if err != nil {
			t.Fatalf("%s: %v", braces, err)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			n = 1
		}
		return strings.Repeat(s, n)
	})
}

// wire returns a section's bytes as they are sent: each line ends in CRLF.
func (c *handshakeCase) wire(t testing.TB, section, key string) string {
	var b strings.Builder
	for _, line := range c.sections[section] {
		b.WriteString(expandBraces(t, line, key))
		if line == "" || caseBraces.ReplaceAllString(line, "") != "" {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

// lines returns the lines of a section that are not empty.
func (c *handshakeCase) lines(t testing.TB, section string) (lines []string) {
	for _, line := range c.sections[section] {
		if line != "" {
			lines = append(lines, expandBraces(t, line, ""))
		}
	}
	return lines
}

// setting returns the values of a key of a setting; nil if it is not there, which no empty list is.
func (c *handshakeCase) setting(name, key string) []string {
	for _, field := range strings.Fields(c.settings[name]) {
		if list, ok := strings.CutPrefix(field, key+"="); ok {
			return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
		}
	}
	return nil
}

// caseFiles returns the names of the files in the folder.
func caseFiles(t testing.TB, folder string) []string {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files and error %v, want some files", len(files), err)
	}
	return files
}

// eachCase runs f as a subtest for every case of every file in the folder.
func eachCase(t *testing.T, folder string, f func(t *testing.T, c *handshakeCase)) {
	for _, file := range caseFiles(t, folder) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for _, c := range parseCases(t, file) {
				t.Run(c.name, func(t *testing.T) { f(t, c) })
			}
		})
	}
}

func parseCases(t testing.TB, file string) (cases []*handshakeCase) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c *handshakeCase
	section := ""
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		name, isCase := strings.CutPrefix(line, "== ")
		head, isSection := strings.CutPrefix(line, "-- ")
		switch key, value, isSetting := strings.Cut(line, ": "); {
		case isCase:
			if slices.ContainsFunc(cases, func(c *handshakeCase) bool { return c.name == name }) {
				t.Fatalf("%s:%d: two cases are named %q", file, i+1, name)
			}
			c, section = &handshakeCase{name, make(map[string]string), make(map[string][]string)}, ""
			cases = append(cases, c)
		case isSection && c != nil:
			section = head
		case section != "":
			c.sections[section] = append(c.sections[section], line)
		case line == "" || strings.HasPrefix(line, "#"):
		case isSetting && c != nil:
			c.settings[key] = value
		default:
			t.Fatalf("%s:%d: %q is no setting", file, i+1, line)
		}
	}
	return cases
}

// The requests of testdata/handshake, played to a net/http server byte for byte, at once
// and one at a time. Behind every answer the client sends frames: a connection answers
// them, and after a refusal nothing of them is parsed, nor is the handler called again
// (request smuggling).
func TestHandshakeCases(t *testing.T) {
	eachCase(t, "handshake", func(t *testing.T, c *handshakeCase) {
		request := c.wire(t, "request", "")
		playRequest(t, c, func(nc net.Conn) { io.WriteString(nc, request) })
		if raceEnabled || len(request) > 1024 {
			return
		}
		t.Run("byte by byte", func(t *testing.T) {
			playRequest(t, c, func(nc net.Conn) {
				for i := range len(request) {
					io.WriteString(nc, request[i:i+1])
				}
			})
		})
	})
}

func playRequest(t *testing.T, c *handshakeCase, send func(net.Conn)) {
	u := Upgrader{Subprotocols: c.setting("upgrader", "subprotocols"), OriginPatterns: c.setting("upgrader", "origins")}
	if answer := c.setting("upgrader", "checkorigin"); answer != nil {
		u.CheckOrigin = func(*http.Request) bool { return answer[0] == "yes" }
	}
	addr, upgrades := serveEcho(t, u)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))

	send(nc)
	br := bufio.NewReader(nc)
	method, _, _ := strings.Cut(c.sections["request"][0], " ")
	answer, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("got error %v, want an answer", err)
	}
	if answer.ContentLength > 0 {
		io.Copy(io.Discard, answer.Body)
	}
	head := bytes.NewBufferString(answer.Proto + " " + answer.Status + "\r\n")
	answer.Header.Write(head)
	spelled := strings.ReplaceAll(head.String(), "Sec-Websocket-", "Sec-WebSocket-") // as in the RFC
	wantHead(t, c.name, spelled, c.lines(t, "answer"))
	accepted := answer.StatusCode == http.StatusSwitchingProtocols
	wantError := strings.Join(c.lines(t, "error"), "\n")
	want := upgradeResult{subprotocol: strings.Join(answer.Header["Sec-Websocket-Protocol"], "+")}
	if wantError != "" {
		want = upgradeResult{err: HandshakeError{wantError}}
	}
	if accepted || wantError != "" {
		if got := <-upgrades; got != want {
			t.Errorf("got %+v from Upgrade, want %+v", got, want)
		}
	}

	io.WriteString(nc, maskedHello+maskedPing+maskedClose)
	if !accepted {
		io.WriteString(nc, "\r\n\r\n") // so that an HTTP server has something to refuse
		nc.(*net.TCPConn).CloseWrite()
	}
	rest, err := io.ReadAll(br)
	// A server that closes without having read all resets the connection.
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got error %v after %q, want the end", err, rest)
	}
	switch {
	case accepted:
		if want := helloFrame + "\x8a\x05Hello" + normalCloseFrame; string(rest) != want {
			t.Errorf("got %q behind the answer, want %q", rest, want)
		}
	case wantError == "":
		if bytes.ContainsFunc(rest, func(r rune) bool { return r >= 0x80 }) {
			t.Errorf("got %q behind net/http's refusal, want text at most", rest)
		}
	case len(rest) > 0 && !strings.HasPrefix(string(rest), "HTTP/1.1 400 Bad Request\r\n"):
		t.Errorf("got %q for frames after a refusal, want nothing or HTTP's 400", rest)
	}
	if len(upgrades) > 0 {
		t.Errorf("got another call of the handler with error %v, want none", (<-upgrades).err)
	}
}

// wantHead checks the head of a request or of an answer: its first line, of which the lines may have the beginning,
// and the fields that they name, all lines of each, or "no Name".
func wantHead(t *testing.T, name, head string, lines []string) {
	t.Helper()
	want := make(map[string][]string)
	for _, line := range lines {
		absent, isAbsent := strings.CutPrefix(line, "no ")
		name, _, isField := strings.Cut(line, ": ")
		switch {
		case isAbsent:
			want[absent] = nil
		case isField:
			want[name] = append(want[name], line)
		case !strings.HasPrefix(head, line):
			t.Errorf("%s: got %q, want it to begin with %q", name, head, line)
		}
	}
	for field, lines := range want {
		got := fieldLines(head, field)
		if field == "Cookie" && len(got) == 1 { // the order is that of a map
			cookies := strings.Split(strings.TrimPrefix(got[0], "Cookie: "), "; ")
			slices.Sort(cookies)
			got[0] = "Cookie: " + strings.Join(cookies, "; ")
		}
		if !slices.Equal(got, lines) {
			t.Errorf("%s: got %q, want %q", name, got, lines)
		}
	}
}

// The answers of testdata/dial: what the Dialer makes of each, when it arrives at once, and byte by byte.
func TestDialAnswerCases(t *testing.T) {
	eachCase(t, "dial", func(t *testing.T, c *handshakeCase) {
		playAnswer(t, c, 0)
		t.Run("byte by byte", func(t *testing.T) {
			chunk := 1
			if len(c.wire(t, "answer", "")) > 1<<17 {
				chunk = 997 // so that the race detector is done in time
			}
			playAnswer(t, c, chunk)
		})
	})
}

// answerResult is a result section: what the Dialer has made of an answer.
type answerResult struct {
	err, status, subprotocol, body string
	compressed                     string // "true" or "false"
	messages                       []string
	count                          string // of messages that are not given
	end                            string // the error of the read behind them
}

func parseResult(t *testing.T, c *handshakeCase) answerResult {
	r := answerResult{compressed: "false", end: errUnexpectedEOF.Error()}
	fields := map[string]*string{"error": &r.err, "status": &r.status, "subprotocol": &r.subprotocol, "body": &r.body,
		"compressed": &r.compressed, "messages": &r.count, "end": &r.end}
	for _, line := range c.sections["result"] {
		key, value, _ := strings.Cut(line, ": ")
		value = expandBraces(t, value, "")
		switch field := fields[key]; {
		case key == "message":
			r.messages = append(r.messages, value)
		case field != nil:
			*field = value
		case line != "":
			t.Fatalf("%q is no line of a result", line)
		}
	}
	return r
}

func playAnswer(t *testing.T, c *handshakeCase, chunk int) {
	want := parseResult(t, c)
	key := newKey()
	answer := c.wire(t, "answer", key)
	nc := newAnsweredConn(answer, key, chunk)
	d := Dialer{
		NetDial:           nc.dial,
		Subprotocols:      c.setting("dialer", "subprotocols"),
		EnableCompression: c.setting("dialer", "compression") != nil,
	}
	conn, resp, err := d.Dial("ws://a.example/", nil)
	if (conn == nil) != (err != nil) || nc.closed != (err != nil) || resp != nil && err != nil && err != ErrBadHandshake {
		t.Fatalf("got connection %v, closed: %v, and error %#v, want one of them, ErrBadHandshake for a response",
			conn, nc.closed, err)
	}
	got := answerResult{compressed: "false", end: want.end}
	if err != nil {
		got.err = err.Error()
		if prefix, open := strings.CutSuffix(want.err, "..."); open && strings.HasPrefix(got.err, prefix) {
			got.err = want.err // the rest of it is net/http's
		}
	}
	if resp != nil {
		body, err := io.ReadAll(resp.Body)
		if closed := resp.Body.Close(); err != nil || closed != nil {
			t.Errorf("got errors %v and %v of the response's body, want none", err, closed)
		}
		got.status, got.body = fmt.Sprint(resp.StatusCode), string(body)
	}
	if conn != nil {
		defer conn.Close()
		got.subprotocol, got.compressed = conn.Subprotocol(), fmt.Sprint(conn.CompressionState().Enabled)
		if n := cap(conn.recv.b); n >= 1024 && len(answer) < 1000 {
			t.Errorf("got %d bytes held for the frames that came with the answer, want about as many as they have", n)
		}
		for got.end = ""; got.end == ""; {
			messageType, p, err := conn.ReadMessage()
			if err == nil || messageType != noMessage {
				got.messages = append(got.messages, string(p))
			}
			if err != nil {
				got.end = err.Error()
			}
		}
		if want.count != "" {
			got.count, got.messages = fmt.Sprint(len(got.messages)), nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+.100q\nwant %+.100q", got, want)
	}
}

// What Upgrade makes of a request that is wrong in every way, and is mended step by step: it fails on each check in
// turn, and ends at the ResponseWriter. A refused client is told the status in words, which rule is broken and what to
// do about it, and the version that it should speak; where Upgrader.Error is set, that is told instead.
func TestUpgradeChecksInOrder(t *testing.T) {
	var u Upgrader
	r := sampleRequest()
	header := http.Header{"Sec-Websocket-Extensions": {"foo"}, "Set-Cookie": {"not in a refusal"}}
	r.ProtoMinor = 0
	r.Method = http.MethodConnect
	r.ContentLength = 5
	r.Header = http.Header{
		// What a page can put into its Origin is not to disturb who reads the answer.
		"Origin":                   {"http://evil.example\xff\n<script>" + strings.Repeat("x", 300)},
		":protocol":                {"websocket"},
		"Sec-Websocket-Key":        {"x"},
		"Sec-Websocket-Version":    {"8"},
		"Sec-Websocket-Protocol":   {"a b"},
		"Sec-Websocket-Extensions": {"a b"},
	}
	set := func(name string, values ...string) func() { return func() { r.Header[name] = values } }
	mend := map[string]func(){
		"HTTP/1.0":                        func() { r.ProtoMajor, r.Proto = 2, "HTTP/2.0" },
		"an extended CONNECT":             set(":protocol"),
		"HTTP/2":                          func() { r.ProtoMajor, r.ProtoMinor = 1, 1 },
		"no Connection and no Upgrade":    set("Upgrade", "websocket"),
		"no Connection":                   func() { r.Header["Upgrade"], r.Header["Connection"] = nil, []string{"Upgrade"} },
		"no Upgrade":                      set("Upgrade", "websocket"),
		"another method":                  func() { r.Method = http.MethodGet },
		"a body":                          func() { r.ContentLength = -1 },
		"a body of unknown length":        func() { r.ContentLength = 0 },
		"another version":                 set("Sec-Websocket-Version", "13"),
		"a page of another site":          func() { u.CheckOrigin = func(*http.Request) bool { return false } },
		"a page that CheckOrigin refuses": func() { u.CheckOrigin, u.OriginPatterns = nil, []string{"["} },
		"a malformed pattern of origins": func() {
			r.Header.Set("Origin", "http://evil.example")
			u.OriginPatterns = []string{"evil.example"}
		},
		"no key":                               set("Sec-Websocket-Key", sampleKey),
		"a malformed subprotocol":              set("Sec-Websocket-Protocol", "a, b"),
		"a malformed extension":                set("Sec-Websocket-Extensions", "a, b"),
		"an extension in the program's header": func() { header.Del("Sec-Websocket-Extensions") },
	}
	asks := false
	steps := parseCases(t, "testdata/refusals.txt")
	for i, step := range steps {
		// It looks at the two fields that ask for the upgrade, and at nothing that may be wrong with it.
		asks = asks || step.name == "another method"
		if got := IsWebSocketUpgrade(r); got != asks {
			t.Errorf("%s: got %v from IsWebSocketUpgrade, want %v", step.name, got, asks)
		}
		want := HandshakeError{strings.Join(step.lines(t, "error"), "\n")}
		w, toldW := httptest.NewRecorder(), httptest.NewRecorder()
		c, err := u.Upgrade(w, r, header)
		if c != nil || err != want || fmt.Sprint(w.Code) != step.settings["status"] {
			t.Fatalf("%s: got status %d and error %v, want %s and %v", step.name, w.Code, err, step.settings["status"], want)
		}
		if got, want := w.Body.String(), strings.Join(step.lines(t, "body"), "\n")+"\n"; got != want {
			t.Errorf("%s: got body %q, want %q", step.name, got, want)
		}
		fields := http.Header{"Sec-Websocket-Version": {"13"}, "Content-Type": {"text/plain; charset=utf-8"}}
		switch w.Code {
		case 426:
			fields["Upgrade"], fields["Connection"] = []string{"websocket"}, []string{"Upgrade"}
		case 405:
			fields["Allow"] = []string{"GET"}
		}
		w.Header().Del("X-Content-Type-Options") // of http.Error
		if got := w.Header(); !reflect.DeepEqual(got, fields) {
			t.Errorf("%s: got header %v, want %v", step.name, got, fields)
		}
		told := false
		silent := u
		silent.Error = func(w2 http.ResponseWriter, r2 *http.Request, status int, reason error) {
			told = !told && w2 == toldW && r2 == r && status == w.Code && reason == want
		}
		if _, err := silent.Upgrade(toldW, r, header); err != want || !told || toldW.Body.Len() > 0 {
			t.Errorf("%s: got error %v and body %q, want one call of Error, and nothing written", step.name, err, toldW.Body)
		}
		if mend[step.name] != nil {
			mend[step.name]()
		} else if i != len(steps)-1 || len(mend) != i {
			t.Fatalf("%s: nothing is mended after it", step.name)
		}
	}
}

// The example of RFC 6455, 1.3, appended to whatever stands before it.
func TestAcceptKey(t *testing.T) {
	if got := acceptKey(sampleKey); got != sampleAccept {
		t.Errorf("got %q, want %q", got, sampleAccept)
	}
	if got, want := string(appendAcceptKey([]byte("x: "), sampleKey)), "x: "+sampleAccept; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// testdata/handshake/key.txt has more of what is no key; here is what cannot be sent in a header, too.
func TestValidKey(t *testing.T) {
	for want, keys := range map[bool][]string{
		true: {sampleKey, "AAAAAAAAAAAAAAAAAAAAAA==", "+/+/+/+/+/+/+/+/+/+/+w=="},
		false: {
			"AAAAAAAAAAAAAAAAAAAAAAAA", // 18 bytes
			"========================", "AAAAAAAAAAAAAAAAAAAAAA==A", "AAAAAAAAAAA\x00AAAAAAAAAA==",
			"AAAAAAAAAAAAAAAAAAAA\u00e4==",
			// Line breaks, which the decoder passes over.
			"AAAAAAAAAAAAAAAAAAAAA\n==", "AAAAAAAAAAAAAAAAAAAAA==\n", "AAAAAAAAAAAA\nAAAAAAAAAA==",
			"AAAAAAAAAAAAAAAAAAAAAA\r\n==", strings.Repeat("\n", 24),
		},
	} {
		for _, key := range keys {
			if got := validKey(key); got != want {
				t.Errorf("got %v for %q, want %v", got, key, want)
			}
		}
	}
}

// "The nonce MUST be selected randomly for each connection" (RFC 6455, 4.1): no two are equal, and no bit is constant.
func TestNewKey(t *testing.T) {
	seen := make(map[string]bool)
	var bits [2][keySize]byte // that were set, and that were not
	for range 1000 {
		key := newKey()
		if !validKey(key) || seen[key] {
			t.Fatalf("got %q, want the base64 of 16 bytes, new each time", key)
		}
		seen[key] = true
		nonce, _ := base64.StdEncoding.DecodeString(key)
		for i, b := range nonce {
			bits[0][i] |= b
			bits[1][i] |= ^b
		}
	}
	if all := [keySize]byte(bytes.Repeat([]byte{0xff}, keySize)); bits[0] != all || bits[1] != all {
		t.Errorf("got the bits %x set and %x not set, want all of them", bits[0], bits[1])
	}
}

// Cross-site hijacking, of pages that other servers let in (CVE-2018-14732, CVE-2025-24010, CVE-2023-0957): where
// Upgrader.CheckOrigin is nil, the upgrade is refused with 403, and net/http keeps the connection. The Origins are
// those of testdata/origins.txt, and some others.
func TestAttackCrossSiteOrigin(t *testing.T) {
	check := func(name, host string, patterns, origins []string, want bool) {
		r := sampleRequest()
		r.Host = host
		r.Header["Origin"] = origins
		if got, refused := checkOrigin(r, patterns); got != want || refused != nil {
			t.Errorf("%s: got %v and %+v for %q at %q with %q, want %v", name, got, refused, origins, host, patterns, want)
		}
		if u := (Upgrader{OriginPatterns: patterns}); want {
			wantAnswer(t, u, r, nil, "")
		} else {
			wantRefused(t, u, r, nil, 403, "websocket: request origin not allowed by Upgrader.CheckOrigin")
		}
	}
	n := 0
	for _, c := range parseCases(t, "testdata/origins.txt") {
		for section, want := range map[string]bool{"accepted": true, "refused": false} {
			for _, origin := range c.lines(t, section) {
				check(c.name, c.settings["host"], strings.Fields(c.settings["patterns"]), []string{origin}, want)
				n++
			}
		}
	}
	if n < 100 {
		t.Errorf("got %d origins, want all of them", n)
	}
	// Who sends no Origin is no browser, or asks on behalf of no page.
	check("no line", "a.example", nil, nil, true)
	// No browser sends several: which of them is meant is anybody's guess.
	for _, second := range []string{"http://a.example", "http://evil.example", ""} {
		check("two lines", "a.example", []string{"*"}, []string{"http://a.example", second}, false)
		check("two lines", "a.example", []string{"*"}, []string{second, "http://a.example"}, false)
	}
}

// A pattern that is malformed or can match no origin is the program's mistake, whatever the origin: it is not to
// pass for one that does not match.
func TestCheckOriginMalformedPattern(t *testing.T) {
	for want, patterns := range map[string][]string{
		"is malformed": {"[", "[]", "[a", "[a-", "[-a]", `\`, `example.com\`, "*.example.com[", "[://a",
			"https://["},
		"matches no origin: it has no host": {"", "http://", "https://"},
		"matches no origin: it has more than a scheme, a host and a port": {"https://example.com/", "example.com/chat",
			"user@example.com", "example.com#a", "example.com:", "file:///"},
		"matches no origin: an international name is written in punycode there": {"b\u00fccher.example", " example.com",
			"example.com\x7f"},
		"matches no origin: the scheme of a page is http or https, or that of an application": {"://example.com",
			"ws://example.com", "WSS://example.com"},
	} {
		for _, pattern := range patterns {
			for _, origins := range [][]string{nil, {"https://www.example.com"}, {"https://a.example"}} {
				r := &http.Request{Host: "a.example", Header: http.Header{"Origin": origins}}
				ok, got := checkOrigin(r, []string{"*.example.com", pattern})
				reason := fmt.Sprintf("Upgrader.OriginPatterns has %q, which %s", pattern, want)
				if ok || got == nil || got.status != 500 || got.reason != reason {
					t.Errorf("%q: got %v, %+v, want %s", pattern, ok, got, reason)
				}
			}
		}
	}
}

// elements is another reading of the list in all lines of a field.
func elements(lines []string) (list []string) {
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if element = strings.Trim(element, " \t"); element != "" {
			list = append(list, element)
		}
	}
	return list
}

func hasToken(lines []string, token string) bool {
	return slices.ContainsFunc(elements(lines), func(s string) bool {
		return len(s) == len(token) && strings.EqualFold(s, token)
	})
}

// Whatever the header, a request is accepted if and only if it is a handshake by another reading of RFC 6455,
// 4.2.1.
func FuzzUpgradeRequest(f *testing.F) {
	const good = "Connection: Upgrade\nUpgrade: websocket\nSec-Websocket-Version: 13\n" +
		"Sec-Websocket-Key: " + sampleKey + "\n"
	f.Add(http.MethodGet, int64(0), good)
	f.Add(http.MethodGet, int64(0), good+"Origin: http://a.example\nSec-Websocket-Protocol: chat, superchat\n"+
		"Sec-Websocket-Extensions: foo; bar=\"1\", baz")
	f.Add(http.MethodGet, int64(0), good+"Sec-Websocket-Protocol: a b\nSec-Websocket-Extensions: foo; bar=\"1")
	f.Add(http.MethodGet, int64(-1), good+"Connection: close")
	f.Add(http.MethodPost, int64(5), good+"Upgrade: h2c")
	f.Add(http.MethodGet, int64(0), "Upgrade: web\u017foc\u212aet\n"+good)
	f.Add(http.MethodGet, int64(0), strings.Replace(good, "Key: d", "Key: \n", 1))
	f.Fuzz(func(t *testing.T, method string, length int64, lines string) {
		r := &http.Request{Method: method, ProtoMajor: 1, ProtoMinor: 1, Host: "a.example", ContentLength: length}
		r.Header = make(http.Header)
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ":")
			name = http.CanonicalHeaderKey(name)
			r.Header[name] = append(r.Header[name], strings.Trim(value, " \t"))
		}
		checkOrigin(r, []string{"*.example"})
		refused := checkRequest(r)
		key, protocols, _, refusedFields := checkRequestFields(r)
		for _, refusal := range []*refusal{refused, refusedFields} {
			if refusal != nil && (refusal.status < 400 || refusal.reason == "") {
				t.Errorf("got refusal %+v, want a status and a reason", refusal)
			}
		}
		good := method == "GET" && length == 0 && hasToken(r.Header["Connection"], "upgrade") &&
			hasToken(r.Header["Upgrade"], "websocket") && slices.Equal(r.Header["Sec-Websocket-Version"], []string{"13"})
		if (refused == nil) != good {
			t.Errorf("got refusal %+v, want none: %v", refused, good)
		}

		keys := r.Header["Sec-Websocket-Key"]
		wantProtocols := elements(r.Header["Sec-Websocket-Protocol"])
		_, err := parseExtensions(r.Header["Sec-Websocket-Extensions"]) // see FuzzParseExtensions
		good = err == nil && len(keys) == 1 && regexp.MustCompile("^[A-Za-z0-9+/]{22}==$").MatchString(keys[0]) &&
			len(wantProtocols) <= 64 && !regexp.MustCompile(`[^!-~]`).MatchString(strings.Join(wantProtocols, ""))
		if (refusedFields == nil) != good {
			t.Errorf("got refusal %+v, want none: %v", refusedFields, good)
		}
		if good && (key != keys[0] || !slices.Equal(protocols, wantProtocols)) {
			t.Errorf("got key %q and subprotocols %q, want %q and %q", key, protocols, keys[0], wantProtocols)
		}
	})
}

// What a peer has written is shown without control characters, and not all of it.
func TestVisible(t *testing.T) {
	for s, want := range map[string]string{
		"HTTP/2.0":               "HTTP/2.0",
		"a\x1f ~\x7f\x80\u00e9":  "a? ~???", // what is no UTF-8 is one character for each byte
		strings.Repeat("a", 201): strings.Repeat("a", 200),
	} {
		if got := visible(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}
