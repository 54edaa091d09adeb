package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"

	"github.com/lxzan/gws"
	"github.com/switching-protocols/websocket"
)

// echoServer is a server of which compareMemory measures the memory, in a process of its own.
type echoServer struct {
	name    string
	handler http.Handler
}

// serveVariable makes the process such a server: the one with this index.
const serveVariable = "WEBSOCKET_CODEC_SERVER"

func echoServers() []echoServer {
	echo := func(c *websocket.Conn, _ *http.Request) {
		for {
			messageType, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(messageType, p) != nil {
				return
			}
		}
	}
	var plain websocket.Upgrader
	ours := func(o websocket.CompressionOptions) http.Handler {
		u := websocket.Upgrader{EnableCompression: true, Compression: o}
		return u.HandlerFunc(echo)
	}
	theirs := func(o gws.PermessageDeflate) http.Handler {
		u := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{PermessageDeflate: o})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := u.Upgrade(w, r); err == nil {
				go c.ReadLoop()
			}
		})
	}
	takeover := gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true}
	large := takeover
	large.ServerMaxWindowBits, large.ClientMaxWindowBits = 15, 15
	return []echoServer{
		{"websocket, no compression", plain.HandlerFunc(echo)},
		{"websocket, no takeover", ours(websocket.CompressionOptions{})},
		{"websocket, takeover, 15 bits", ours(websocket.CompressionOptions{ContextTakeover: true})},
		{"websocket, takeover, sending with 14 bits", ours(websocket.CompressionOptions{ContextTakeover: true, WindowBits: 14})},
		{"websocket, takeover, 12 bits", ours(websocket.CompressionOptions{ContextTakeover: true, WindowBits: 12, PeerWindowBits: 12})},
		{"gws, no takeover", theirs(gws.PermessageDeflate{Enabled: true})},
		{"gws, takeover, default (12 bits)", theirs(takeover)},
		{"gws, takeover, 15 bits", theirs(large)},
	}
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	c.WriteMessage(m.Opcode, m.Bytes())
	m.Close()
}

// serveMemory serves the i-th server until the input ends. For each line of input it prints the resident bytes of
// the process, without garbage.
func serveMemory(i int) error {
	address, stop, err := serve(echoServers()[i].handler)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println(address)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		debug.FreeOSMemory()
		debug.FreeOSMemory() // sync.Pool keeps what it has for one collection more
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err
		}
		_, resident, _ := strings.Cut(string(status), "VmRSS:")
		var kb int
		if _, err := fmt.Sscan(resident, &kb); err != nil {
			return err
		}
		fmt.Println(kb << 10)
	}
	return nil
}

// compareMemory prints what an idle connection holds after messages that fill its windows.
func compareMemory(connections int) error {
	fmt.Printf("\nmemory of %d connections\n\n", connections)
	fmt.Println("| server | resident KB per connection |")
	fmt.Println("|---|---|")
	for i, s := range echoServers() {
		n, err := residentPerConnection(i, connections)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("| %s | %.1f |\n", s.name, n/1e3)
	}
	return nil
}

// residentPerConnection starts the i-th server and returns what each connection but the first adds to the resident
// bytes of its process.
func residentPerConnection(i, connections int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	server := exec.Command(self)
	server.Env = append(os.Environ(), fmt.Sprintf("%s=%d", serveVariable, i))
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		return 0, err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := server.Start(); err != nil {
		return 0, err
	}
	defer server.Wait()
	defer in.Close() // which ends it
	out := bufio.NewScanner(stdout)
	if !out.Scan() {
		return 0, io.ErrUnexpectedEOF
	}
	url := "ws://" + out.Text()
	first := 0
	for n := range connections {
		c, err := echoWindows(url)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		if n != 0 && n != connections-1 {
			continue
		}
		resident := 0
		fmt.Fprintln(in)
		if !out.Scan() {
			return 0, io.ErrUnexpectedEOF
		}
		if _, err := fmt.Sscan(out.Text(), &resident); err != nil {
			return 0, err
		}
		if n > 0 {
			return float64(resident-first) / float64(n), nil
		}
		first = resident
	}
	return 0, fmt.Errorf("%d connections are too few", connections)
}

// echoWindows dials and has messages echoed that fill the windows in both directions.
func echoWindows(url string) (*websocket.Conn, error) {
	// WindowBits lets the server choose.
	o := websocket.CompressionOptions{ContextTakeover: true, WindowBits: 15}
	d := websocket.Dialer{EnableCompression: true, Compression: o}
	c, _, err := d.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	for _, m := range kinds[1].messages(40) {
		if err := c.WriteMessage(websocket.TextMessage, m); err != nil {
			return nil, err
		}
		if _, p, err := c.ReadMessage(); err != nil || !bytes.Equal(p, m) {
			return nil, fmt.Errorf("a message of %d bytes came back as one of %d, %v", len(m), len(p), err)
		}
	}
	return c, nil
}
