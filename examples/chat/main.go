// Command chat is a room in which everyone who opens the page can talk.
//
//	go run ./examples/chat
//
// Then open the address that it prints, in two windows. The page and its
// WebSocket have the same address; hub.go describes what goes over it. When the
// server is stopped and started again, the pages reconnect by themselves.
package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/switching-protocols/websocket"
)

//go:embed page.html
var page string

// The page loads nothing from elsewhere and runs its own script only, and the
// browser is told to refuse anything else.
var contentSecurityPolicy = "default-src 'none'; connect-src 'self'; img-src data:; " +
	"style-src " + source("<style>", "</style>") + "; " +
	"script-src " + source(`<script type="module">`, "</script>") + "; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// stopTimeout is longer than a connection needs to end in serve.go.
const stopTimeout = 5 * time.Second

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on; port 0 chooses a free one")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("chat: ")

	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second Ctrl-C ends the process at once
	if err := run(ctx, *addr, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves the room until ctx ends, and then says goodbye to everyone. It
// writes one line to stdout when it listens.
func run(ctx context.Context, addr string, stdout io.Writer) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "chat: open %s\n", address(ln.Addr())); err != nil {
		return errors.Join(err, ln.Close())
	}
	h := newHub()
	srv := &http.Server{Handler: newHandler(h), ReadTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ends when stop closes the listener

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return stop(srv, h)
}

func stop(srv *http.Server, h *hub) error {
	h.close() // the server's Shutdown knows nothing of WebSocket connections
	// Browsers open connections in advance, for which Shutdown would wait long.
	quick, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := srv.Shutdown(quick)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if err != nil {
		return err
	}

	empty := make(chan struct{})
	go func() { // ends with the last connection, or with the process
		h.wait()
		close(empty)
	}()
	select {
	case <-empty:
		return nil
	case <-time.After(stopTimeout):
		return errors.New("some connections did not end in time")
	}
}

// newHandler serves the page and the room, both at "/".
func newHandler(h *hub) http.Handler {
	// Without CheckOrigin or OriginPatterns only our own page may connect.
	upgrader := websocket.Upgrader{
		ReadLimit:    readLimit,
		PingInterval: pingInterval,
		PongTimeout:  pongTimeout,
	}
	room := upgrader.HandlerFunc(h.serve)

	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocketUpgrade(r) {
			room(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", contentSecurityPolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		if _, err := io.WriteString(w, page); err != nil {
			log.Printf("%s: %v", r.RemoteAddr, err)
		}
	})
	return mux
}

// source names, as a Content-Security-Policy does, what is between two tags of
// the page.
func source(from, to string) string {
	_, rest, _ := strings.Cut(page, from)
	inline, _, _ := strings.Cut(rest, to)
	sum := sha256.Sum256([]byte(inline))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// address returns the URL that a browser on this machine opens.
func address(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return fmt.Sprintf("http://%s/", a)
	}
	return fmt.Sprintf("http://127.0.0.1:%d/", tcp.Port)
}
