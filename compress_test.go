package websocket

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// compressedPair returns the ends of a connection in memory whose sides have negotiated
// compression with the options.
func compressedPair(t testing.TB, server, client CompressionOptions) (s, c *Conn) {
	t.Helper()
	near, far := newPipe(t, 1<<20)
	answer := negotiate(t, server, client)
	s = newConn(near, true, nil, connOptions{agreed: agreement{deflate: &answer}, compression: server})
	c = newConn(far, false, nil, connOptions{agreed: agreement{deflate: &answer}, compression: client})
	return s, c
}

// negotiate returns the answer of a server to a client, by way of their headers.
func negotiate(t testing.TB, server, client CompressionOptions) deflateParams {
	t.Helper()
	offers, err := parseExtensions([]string{client.offers()})
	if err != nil {
		t.Fatal(err)
	}
	answer, ok := server.answerOffers(offers)
	if !ok {
		t.Fatalf("got no answer to %v", offers)
	}
	answers, err := parseExtensions([]string{string(answer.append(nil))})
	if err != nil {
		t.Fatal(err)
	}
	checked, agreed, err := checkAnswer(true, answers)
	if err != nil || !agreed || checked != answer {
		t.Fatalf("got %v, %v, %v for the answer %v", checked, agreed, err, answer)
	}
	return answer
}

// textLike returns n bytes that compress well, but not to nothing, and differ with the seed.
func textLike(n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	words := []string{"frame", "message", "masking key", "payload", "window", "the", "of", "connection", "\n"}
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%s %x ", words[random.IntN(len(words))], random.IntN(100))
	}
	return b.Bytes()[:n]
}

// Messages of all sizes, through every way of writing and reading, arrive as they were.
func TestCompressedRoundTrip(t *testing.T) {
	if raceEnabled {
		t.Skip("it has no second goroutine, and takes half a minute")
	}
	for _, o := range []CompressionOptions{
		{},
		{ContextTakeover: true},
		{ContextTakeover: true, WindowBits: 8, PeerWindowBits: 9, Level: 6},
		{WindowBits: 10, Level: -2},
		{Threshold: 100, ContextTakeover: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			s, c := compressedPair(t, o, o)
			for _, ends := range [][2]*Conn{{s, c}, {c, s}} {
				from, to := ends[0], ends[1]
				for i, size := range []int{0, 1, 5, 50, 125, 126, 1000, 4096, 5000, 65535, 70000, 300000} {
					message := textLike(size, uint64(i))
					pm, err := NewPreparedMessage(TextMessage, message)
					if err != nil {
						t.Fatal(err)
					}
					for _, write := range []func() error{
						func() error { return from.WriteMessage(TextMessage, message) },
						func() error { return from.WritePreparedMessage(pm) },
						func() error {
							w, err := from.NextWriter(TextMessage)
							if err != nil {
								return err
							}
							for p := message; len(p) > 0; {
								n := min(len(p), 3000)
								if _, err := w.Write(p[:n]); err != nil {
									return err
								}
								p = p[n:]
							}
							return w.Close()
						},
						func() error {
							w, err := from.NextWriter(TextMessage)
							if err != nil {
								return err
							}
							if _, err := w.Write(message); err != nil {
								return err
							}
							return w.Close()
						},
					} {
						for _, read := range []func() ([]byte, error){
							func() ([]byte, error) { _, p, err := to.ReadMessage(); return p, err },
							func() ([]byte, error) { _, p, err := to.AppendMessage(make([]byte, 0, 100)); return p, err },
							func() ([]byte, error) {
								_, r, err := to.NextReader()
								if err != nil {
									return nil, err
								}
								return io.ReadAll(r)
							},
						} {
							done := make(chan error, 1)
							go func() { done <- write() }()
							p, err := read()
							if err != nil || !bytes.Equal(p, message) {
								t.Fatalf("size %d: got %d bytes and %v", size, len(p), err)
							}
							if err := <-done; err != nil {
								t.Fatal(err)
							}
						}
					}
				}
			}
		})
	}
}

// A program can ask what the handshake has agreed on.
func TestCompressionState(t *testing.T) {
	plain, _ := newTestConn(t, true)
	if got := plain.CompressionState(); got != (CompressionState{}) {
		t.Errorf("got %+v without compression, want nothing", got)
	}
	server := CompressionOptions{ContextTakeover: true, WindowBits: 14, PeerWindowBits: 12}
	s, c := compressedPair(t, server, CompressionOptions{ContextTakeover: true, WindowBits: 11, PeerWindowBits: 13})
	if got, want := s.CompressionState(), (CompressionState{true, true, true, 13, 11}); got != want {
		t.Errorf("got %+v of the server, want %+v", got, want)
	}
	if got, want := c.CompressionState(), (CompressionState{true, true, true, 11, 13}); got != want {
		t.Errorf("got %+v of the client, want %+v", got, want)
	}
	s, _ = compressedPair(t, CompressionOptions{}, CompressionOptions{ContextTakeover: true})
	if got, want := s.CompressionState(), (CompressionState{true, false, false, 15, 15}); got != want {
		t.Errorf("got %+v without takeover, want %+v", got, want)
	}
}
