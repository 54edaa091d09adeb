//go:build go1.25

package websocket

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A handshake by a program that is not ours, as people try a server by hand.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	u := Upgrader{Subprotocols: []string{"chat"}}
	srv := httptest.NewServer(u.HandlerFunc(func(c *Conn, _ *http.Request) {
		if err := c.WriteMessage(TextMessage, []byte("Hello")); err != nil {
			t.Errorf("server: got error %v, want none", err)
		}
		c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), time.Time{})
	}))
	defer srv.Close()
	run := func(args ...string) (head, body string) {
		var stderr bytes.Buffer
		args = append([]string{"--silent", "--show-error", "--include", "--no-buffer", "--noproxy", "*", "--max-time", "20", "--http1.1"}, args...)
		cmd := exec.Command(curl, append(args, srv.URL)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("got error %v: %s", err, stderr.String())
		}
		head, body, _ = strings.Cut(string(out), "\r\n\r\n")
		return head + "\r\n", body
	}

	head, body := run("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
		"-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Sec-WebSocket-Protocol: chat")
	if want := hsAnswer101 + "Sec-WebSocket-Protocol: chat\r\n"; head != want {
		t.Errorf("got head %q, want %q", head, want)
	}
	if want := hsHello + hsClose; body != want {
		t.Errorf("got body %q, want %q", body, want)
	}

	head, body = run()
	if !strings.HasPrefix(head, "HTTP/1.1 426 Upgrade Required\r\n") || !strings.Contains(head, "\r\nUpgrade: websocket\r\n") || !strings.HasPrefix(body, "Upgrade Required\n") {
		t.Errorf("got %q with body %q for a plain GET, want 426 and a line of advice", head, body)
	}
}
