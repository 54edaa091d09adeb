package peers

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// playCurl has curl make the handshakes. It gives the bytes of frames out as they are, and so plays nothing else.
func playCurl(t *testing.T, s *server, r reports) {
	for _, sc := range scenarios {
		switch sc.path {
		case "subprotocol":
			// The key and its answer are those of RFC 6455, 1.3.
			r.report(sc.path, curlHandshake(t, s.url+"/subprotocol?"+handshakeOnly, "101",
				"\r\nSec-WebSocket-Protocol: a.example\r\n",
				"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
		case refusal:
			r.report(sc.path, curlHandshake(t, s.url+"/refusal", "403"))
		default:
			r.report(sc.path, cannot("The test uses curl for handshakes only."))
		}
	}
}

// curlHandshake wants an answer with the status and the header's lines.
func curlHandshake(t *testing.T, url, status string, lines ...string) result {
	cmd := exec.CommandContext(t.Context(), "curl", "--silent", "--show-error", "--include", "--http1.1",
		"--noproxy", "*", "--max-time", fmt.Sprint(patience.Seconds()),
		"--header", "Connection: Upgrade", "--header", "Upgrade: websocket",
		"--header", "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"--header", "Sec-WebSocket-Protocol: b.example, a.example", url)
	out, err := cmd.Output()
	good := strings.HasPrefix(string(out), "HTTP/1.1 "+status+" ")
	for _, line := range lines {
		good = good && strings.Contains(string(out), line)
	}
	if !good {
		return fail(fmt.Sprintf("got %q and error %v", out, err))
	}
	return pass()
}
