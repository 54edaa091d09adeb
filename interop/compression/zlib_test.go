package compression

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/switching-protocols/websocket"
)

// TestZlibDecides damages compressed messages in many ways. zlib says which of them are still messages,
// and what they become; the library must say the same.
func TestZlibDecides(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import zlib").Run(); err != nil {
		missing(t, python)
	}
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	payloads := damaged(rand.New(rand.NewPCG(seed, 0)), 4000)
	var all bytes.Buffer
	for _, p := range payloads {
		all.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(p))))
		all.Write(p)
	}
	zlib := exec.Command(python, "testdata/inflate.py")
	zlib.Stdin = &all
	verdicts, err := zlib.Output()
	if err != nil {
		t.Fatal(err)
	}
	receive := receiver(t)
	accepted := 0
	for _, p := range payloads {
		n := binary.LittleEndian.Uint32(verdicts)
		verdicts = verdicts[4:]
		got, err := receive(p)
		if n == 1<<32-1 {
			if !errors.Is(err, errCorrupt) {
				t.Errorf("% x: got %d bytes, %v, want that it is corrupt, as zlib says", p, len(got), err)
			}
			continue
		}
		accepted++
		want := verdicts[:n]
		verdicts = verdicts[n:]
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("% x: got %d bytes, %v, want %d, as from zlib", p, len(got), err, n)
		}
		ofGo, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
		if err == nil && !bytes.HasPrefix(got, ofGo) { // which stops at BFINAL
			t.Errorf("% x: got %d bytes that are not those of compress/flate", p, len(got))
		}
	}
	if accepted < 100 || len(payloads)-accepted < 100 {
		t.Errorf("got %d messages of %d accepted, want some of both", accepted, len(payloads))
	}
}

// damaged returns payloads of compressed messages with up to three defects.
func damaged(r *rand.Rand, n int) (payloads [][]byte) {
	var whole [][]byte
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		for _, size := range []int{5, 60, 700, 3000} {
			var text, payload bytes.Buffer
			for text.Len() < size {
				fmt.Fprintf(&text, "%d %s, ", r.IntN(1000), []string{"bread", "butter", "honey", "milk"}[r.IntN(4)])
			}
			w, _ := flate.NewWriter(&payload, level)
			w.Write(text.Bytes()[:size])
			w.Flush()
			whole = append(whole, payload.Bytes()[:payload.Len()-4])
		}
	}
	for len(payloads) < n {
		p := bytes.Clone(whole[r.IntN(len(whole))])
		for range r.IntN(4) {
			if len(p) == 0 {
				break
			}
			i := r.IntN(min(len(p), []int{10, 60, 1 << 20}[r.IntN(3)]))
			switch r.IntN(4) {
			case 0:
				p[i] ^= 1 << r.IntN(8)
			case 1:
				p[i] = byte(r.Uint32())
			case 2:
				p = p[:i]
			case 3:
				p = append(p[:i], p[i+1:]...)
			}
		}
		payloads = append(payloads, p)
	}
	return payloads
}

// errCorrupt stands for a Close frame with 1007.
var errCorrupt = errors.New("the message is corrupt")

// receiver returns a function that has a server receive a compressed message, on a connection of its own.
func receiver(t *testing.T) func(payload []byte) ([]byte, error) {
	type message struct {
		data []byte
		err  error
	}
	received := make(chan message, 1)
	upgrader := websocket.Upgrader{EnableCompression: true}
	server := httptest.NewServer(upgrader.HandlerFunc(func(c *websocket.Conn, _ *http.Request) {
		_, data, err := c.ReadMessage()
		received <- message{data, err}
	}))
	t.Cleanup(server.Close)
	return func(payload []byte) ([]byte, error) {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			return nil, err
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
		answer := bufio.NewReader(c)
		if resp, err := http.ReadResponse(answer, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("got %v, %v, want an upgrade", resp, err)
		}
		frame := []byte{0xc2, 0x80 | byte(len(payload))}
		if len(payload) > 125 {
			frame = binary.BigEndian.AppendUint16([]byte{0xc2, 0x80 | 126}, uint16(len(payload)))
		}
		frame = append(frame, 0, 0, 0, 0) // the key, which changes nothing
		c.Write(append(frame, payload...))
		m := <-received
		if m.err != nil {
			head := make([]byte, 4)
			if _, err := io.ReadFull(answer, head); err == nil && binary.BigEndian.Uint16(head[2:]) == websocket.CloseInvalidFramePayloadData {
				return m.data, errCorrupt
			}
		}
		return m.data, m.err
	}
}
