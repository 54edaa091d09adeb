package peers

import (
	"strings"
	"testing"
)

// python is Debian's, for which Debian has the package websockets, and not another one that may come first in the path.
const python = "/usr/bin/python3"

// Programs that are in packages of npm. Debian's node may be too old to have a client.
const (
	node = "node_modules/.bin/node"
	bun  = "node_modules/.bin/bun"
)

func nodeVersion(t *testing.T) string { return versionOf(t, 0, node, "--version") }
func bunVersion(t *testing.T) string  { return versionOf(t, 0, bun, "--version") }
func javaVersion(t *testing.T) string { return versionOf(t, 1, "java", "--version") }
func curlVersion(t *testing.T) string { return versionOf(t, 1, "curl", "--version") }

func wsVersion(t *testing.T) string {
	return versionOf(t, 0, node, "-p", "require('ws/package.json').version")
}

func websocketsVersion(t *testing.T) string {
	return versionOf(t, 0, python, "-c", "import websockets.version; print(websockets.version.version)")
}

// clientProgram is a client that reports in its output.
func clientProgram(command func(url string) []string) func(t *testing.T, s *server, r reports) {
	return func(t *testing.T, s *server, r reports) {
		start(t, command(s.url)...).report(r)
	}
}

// serverProgram is a server that says at which address it listens, and reports in its output.
func serverProgram(command ...string) func(t *testing.T, r reports) string {
	return func(t *testing.T, r reports) string {
		p := start(t, command...)
		for line, ok := p.line(); ok; line, ok = p.line() {
			if address, ok := strings.CutPrefix(line, "listening: "); ok {
				reported := make(chan struct{})
				go func() { // ends with the process
					defer close(reported)
					for line := range p.lines {
						r.add(line)
					}
				}()
				t.Cleanup(func() { p.kill(); <-reported })
				return address
			}
			r.add(line)
		}
		t.Fatalf("%s does not listen", command[0])
		return ""
	}
}

var clients = []peer{
	{name: "Chromium", version: chromiumVersion, dial: playChromium},
	{name: "Firefox", version: firefoxVersion, dial: playFirefox},
	{name: "node's WebSocket", version: nodeVersion, pinned: true, dial: clientProgram(func(url string) []string {
		return []string{node, "testdata/client.mjs", url}
	})},
	{name: "ws", version: wsVersion, pinned: true, dial: clientProgram(func(url string) []string {
		return []string{node, "testdata/client.mjs", url, "ws"}
	})},
	{name: "Bun", version: bunVersion, pinned: true, dial: clientProgram(func(url string) []string {
		return []string{bun, "testdata/client.mjs", url}
	})},
	{name: "Python's websockets", version: websocketsVersion, dial: clientProgram(func(url string) []string {
		return []string{python, "-B", "testdata/client.py", url}
	})},
	{name: "java.net.http", version: javaVersion, dial: clientProgram(func(url string) []string {
		// The program runs for so short a time that the options make it faster.
		return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "testdata/Client.java", url}
	})},
	{name: "curl", version: curlVersion, dial: playCurl},
	gorilla.client(dialGorilla),
	coder.client(dialCoder),
	gobwas.client(dialGobwas),
	lxzan.client(dialGws),
}

var servers = []peer{
	{name: "ws", version: wsVersion, pinned: true, serve: serverProgram(node, "testdata/server-ws.mjs")},
	{name: "Bun", version: bunVersion, pinned: true, serve: serverProgram(bun, "testdata/server-bun.mjs")},
	{name: "Python's websockets", version: websocketsVersion, serve: serverProgram(python, "-B", "testdata/server.py")},
	gorilla.server(upgradeGorilla),
	coder.server(upgradeCoder),
	lxzan.server(upgradeGws),
	nbio,
}
