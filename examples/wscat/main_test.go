package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switching-protocols/websocket"
)

// serve starts a server, over TLS if that is set, and returns its URL.
func serve(t *testing.T, u websocket.Upgrader, tls bool, f func(*websocket.Conn, *http.Request)) *httptest.Server {
	srv := httptest.NewUnstartedServer(u.HandlerFunc(f))
	if tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

func echo(c *websocket.Conn, _ *http.Request) {
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(messageType, p) != nil {
			return
		}
	}
}

// closeWith returns a function for a server that closes the connection.
func closeWith(code int, reason string) func(*websocket.Conn, *http.Request) {
	return func(c *websocket.Conn, _ *http.Request) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c.Shutdown(ctx, code, reason)
	}
}

// neverEnds is an input of a terminal at which nobody types.
type neverEnds struct{}

func (neverEnds) Read([]byte) (int, error) { select {} }

func TestRun(t *testing.T) {
	u := websocket.Upgrader{Subprotocols: []string{"chat"}, EnableCompression: true}
	plain := serve(t, u, false, echo)
	secure := serve(t, u, true, echo)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	header := serve(t, u, false, func(c *websocket.Conn, r *http.Request) {
		c.WriteMessage(websocket.TextMessage, []byte(r.Header.Get("X-Name")+" "+r.Header.Get("Cookie")))
	})
	full := serve(t, u, false, closeWith(websocket.CloseTryAgainLater, "full"))
	lost := serve(t, u, false, func(c *websocket.Conn, _ *http.Request) { c.Close() })
	binary := serve(t, u, false, func(c *websocket.Conn, _ *http.Request) { c.WriteMessage(websocket.BinaryMessage, []byte{1, 0xff}) })
	notFound := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(notFound.Close)

	for _, tt := range []struct {
		name   string
		args   string
		stdin  string // neverEnds if it is "-"
		code   int
		stdout string
		stderr string // what it has, line by line
	}{
		{name: "lines", args: plain.URL, stdin: "Hello\n\nbye\n", stdout: "Hello\n\nbye\n"},
		{name: "a line without an end", args: plain.URL, stdin: "Hello", stdout: "Hello\n"},
		{name: "without a scheme", args: strings.TrimPrefix(plain.URL, "http://"), stdin: "Hello", stdout: "Hello\n"},
		{name: "commands", args: plain.URL, stdin: "/hex 01 ff\n/json {\"a\":1}\n//x\n/wait 1ms\n", stdout: "01 ff\n{\"a\":1}\n/x\n"},
		{name: "JSON", args: "-j " + plain.URL, stdin: "{\"a\":[1]}\n{", stdout: "{\n  \"a\": [\n    1\n  ]\n}\n{\n"},
		{name: "binary", args: binary.URL, stdin: "-", stdout: "01 ff\n"},
		{name: "ping", args: plain.URL, stdin: "/ping\n", stderr: "pong after "},
		{name: "close", args: plain.URL, stdin: "a\n/close 4001 bye\nb\n", stdout: "a\n"},
		{name: "close without a code", args: plain.URL, stdin: "a\n/close\nb\n", stdout: "a\n"},
		{name: "header", args: "-H X-Name:Ann -H Cookie:a=b " + header.URL, stdin: "-", stdout: "Ann a=b\n"},
		{name: "closed by the server", args: full.URL, stdin: "-", code: exitClosed, stderr: "wscat: websocket: close 1013: full"},
		{name: "lost", args: lost.URL, stdin: "-", code: exitFailed, stderr: "wscat: websocket: close 1006 (abnormal closure): unexpected EOF"},
		{name: "refused", args: notFound.URL, code: exitRefused, stderr: "wscat: the server refused the handshake: 404 Not Found\n404 page not found"},
		{name: "no server", args: "ws://127.0.0.1:1/", code: exitUnreachable, stderr: "connection refused"},
		{name: "no URL", args: "-v", code: exitUsage, stderr: "usage: wscat [flags] URL\nwscat: got 0 arguments, want the URL"},
		{name: "help", args: "-h", stderr: "usage: wscat [flags] URL\n-cacert"},
		{name: "a bad header", args: "-H x " + plain.URL, code: exitUsage, stderr: "want Name: value"},
		{name: "a bad file", args: "-cacert main.go " + secure.URL, code: exitUsage, stderr: "wscat: main.go has no certificate in PEM"},
		{name: "a bad command", args: plain.URL, stdin: "a\n/x\n", code: exitUsage, stdout: "a\n", stderr: "wscat: line 2: unknown command /x"},
		{name: "bad hex", args: plain.URL, stdin: "/hex 0\n", code: exitUsage, stderr: "wscat: line 1: encoding/hex: odd length hex string"},
		{name: "bad JSON", args: plain.URL, stdin: "/json {\n", code: exitUsage, stderr: "wscat: line 1: this is not JSON: {"},
		{name: "a bad code", args: plain.URL, stdin: "/close 1006\n", code: exitUsage, stderr: "wscat: line 1: websocket: close code 1006 must not be sent"},
		{name: "not a code", args: plain.URL, stdin: "/close x\n", code: exitUsage, stderr: `wscat: line 1: bad close code "x"`},
		{name: "TLS", args: "-k " + secure.URL, stdin: "Hello\n", stdout: "Hello\n"},
		{name: "TLS with an authority", args: "-cacert " + ca + " " + secure.URL, stdin: "Hello\n", stdout: "Hello\n"},
		{name: "TLS without", args: secure.URL, code: exitUnreachable, stderr: "certificate signed by unknown authority"},
		{
			name: "verbose", args: "-v -k -c -s other -s chat " + secure.URL, stdin: "Hello\n", stdout: "Hello\n",
			stderr: "> Sec-WebSocket-Protocol: other, chat\n* connected after \n* TLS after \n* answered after \n< HTTP/1.1 101 Switching Protocols\n" +
				"< Upgrade: websocket\n* TLS 1.3, \n* certificate of O=Acme Co\n* subprotocol chat\n* compression: sends with takeover ",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdin interface{ Read([]byte) (int, error) } = strings.NewReader(tt.stdin)
			if tt.stdin == "-" {
				stdin = neverEnds{}
			}
			var stdout, stderr bytes.Buffer
			if got := run(context.Background(), strings.Fields(tt.args), stdin, &stdout, &stderr); got != tt.code {
				t.Errorf("got exit code %d, want %d; it printed\n%s", got, tt.code, &stderr)
			}
			if got := stdout.String(); got != tt.stdout {
				t.Errorf("got output %q, want %q", got, tt.stdout)
			}
			for _, want := range strings.Split(tt.stderr, "\n") {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("got errors\n%s\nwant %q", &stderr, want)
				}
			}
			if tt.stderr == "" && stderr.Len() > 0 {
				t.Errorf("got errors\n%s\nwant none", &stderr)
			}
		})
	}
}

// Ctrl-C closes the connection in an orderly way, while nobody types and pings are sent.
func TestInterrupted(t *testing.T) {
	ended := make(chan error, 1)
	srv := serve(t, websocket.Upgrader{}, false, func(c *websocket.Conn, _ *http.Request) {
		_, _, err := c.ReadMessage()
		ended <- err
	})
	ctx, cancel := context.WithCancel(context.Background())
	var stdout bytes.Buffer
	pong := &writerFunc{f: cancel}
	if got := run(ctx, []string{"-p", "1ms", srv.URL}, neverEnds{}, &stdout, pong); got != exitOK {
		t.Errorf("got exit code %d, want 0", got)
	}
	if err := <-ended; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("got error %v on the server, want 1000", err)
	}
}

// writerFunc calls f at each Write.
type writerFunc struct{ f func() }

func (w *writerFunc) Write(p []byte) (int, error) {
	w.f()
	return len(p), nil
}
