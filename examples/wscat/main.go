// Command wscat talks to a WebSocket server from a terminal or a script:
//
//	go run ./examples/wscat [flags] URL
//
// Each line of the standard input is sent as a text message, and each message is printed as a line. At the end of the
// input the connection is closed in an orderly way, so that what the server has answered by then is printed:
//
//	echo Hello | go run ./examples/wscat ws://127.0.0.1:8080/
//
// Where the URL has no scheme, ws:// is put in front of it. Lines that begin with a slash are commands:
//
//	/hex 48 65 6c 6c 6f   sends a binary message
//	/json {"a": 1}        sends a text message, if it is JSON
//	/ping                 sends a ping, and prints the round-trip time
//	/wait 500ms           waits before the next line
//	/close 4001 bye       closes the connection with a code and a reason; the code is 1000 if there is none
//	//text                sends a text that begins with a slash
//
// The exit status is 0 after a Close frame with 1000 or 1001, or none at all if the command itself has closed the
// connection; 1 if the server was not reached; 2 for a mistake in the arguments or the input; 3 if the server refused
// the handshake, whose answer is printed; 4 after a Close frame with another code; and 5 if the connection ended without
// a Close frame or was failed. The exit status of go run is 1 instead of each of these but 0, so a script runs the
// program that go build ./examples/wscat writes to the working directory.
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/switching-protocols/websocket"
)

// The exit codes.
const (
	exitOK = iota
	exitUnreachable
	exitUsage
	exitRefused
	exitClosed
	exitFailed
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// options are what the flags say.
type options struct {
	url      string
	header   http.Header
	dialer   websocket.Dialer
	pretty   bool
	interval time.Duration // of pings
	verbose  bool
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{header: make(http.Header), dialer: websocket.Dialer{Proxy: http.ProxyFromEnvironment}}
	flags := flag.NewFlagSet("wscat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: wscat [flags] URL\n\nflags:")
		flags.PrintDefaults()
	}
	flags.Func("H", "add a `field` to the request, as in 'Cookie: a=b'; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("want Name: value")
		}
		o.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	flags.Func("s", "ask for a `subprotocol`; may be repeated", func(s string) error {
		o.dialer.Subprotocols = append(o.dialer.Subprotocols, s)
		return nil
	})
	flags.BoolVar(&o.dialer.EnableCompression, "c", false, "offer compression, with context takeover")
	insecure := flags.Bool("k", false, "accept any certificate")
	ca := flags.String("cacert", "", "accept certificates that those in the `file` have signed (PEM)")
	flags.BoolVar(&o.pretty, "j", false, "print JSON indented")
	flags.DurationVar(&o.interval, "p", 0, "send a ping at this `interval`, and print the round-trip times")
	flags.DurationVar(&o.dialer.HandshakeTimeout, "t", 10*time.Second, "the `time` limit of the handshake")
	flags.BoolVar(&o.verbose, "v", false, "print the handshake, its timing, TLS and the end of the connection")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return nil, fmt.Errorf("got %d arguments, want the URL", flags.NArg())
	}
	o.url = flags.Arg(0)
	if !strings.Contains(o.url, "://") {
		o.url = "ws://" + o.url
	}
	o.dialer.Compression.ContextTakeover = true
	o.dialer.TLSClientConfig = &tls.Config{InsecureSkipVerify: *insecure}
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			return nil, err
		}
		o.dialer.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !o.dialer.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", *ca)
		}
	}
	return o, nil
}

// run is main, and returns the exit code. When ctx ends, the connection is closed.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "wscat:", err)
		return exitUsage
	}
	t := &timing{start: time.Now()}
	c, resp, err := o.dialer.DialContext(t.trace(ctx), o.url, o.header)
	if o.verbose {
		t.print(stderr)
		printResponse(stderr, resp)
	}
	if errors.Is(err, websocket.ErrBadHandshake) {
		fmt.Fprintln(stderr, "wscat: the server refused the handshake:", resp.Status)
		io.Copy(stderr, resp.Body)
		return exitRefused
	}
	if err != nil {
		fmt.Fprintln(stderr, "wscat:", err)
		return exitUnreachable
	}
	defer c.Close()
	if o.verbose {
		printConnection(stderr, c)
	}

	s := &session{Conn: c, options: o, stdout: stdout, stderr: stderr}
	ended := make(chan struct{})
	var readErr error
	go func() { // ends with the connection
		defer close(ended)
		readErr = s.receive()
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.interval > 0 {
		go s.pings(ctx)
	}
	typed := make(chan error, 1)
	go func() { typed <- s.send(ctx, stdin) }() // may wait for the terminal until the process ends
	select {
	case <-ended:
		if !s.closing.Load() {
			return s.explain(readErr)
		}
		err = <-typed // the server has answered /close
	case err = <-typed:
	case <-ctx.Done():
		err = nil
	}
	code := s.close()
	<-ended // all messages are printed
	if err != nil {
		fmt.Fprintln(stderr, "wscat:", err)
		return exitUsage
	}
	return code
}

// session is a connection at work.
type session struct {
	*websocket.Conn
	*options
	stdout, stderr io.Writer
	closing        atomic.Bool // shutdown was called
}

// receive prints the messages until the connection ends, and returns its read error.
func (s *session) receive() error {
	for {
		messageType, p, err := s.ReadMessage()
		if err != nil {
			return err
		}
		switch {
		case messageType == websocket.BinaryMessage:
			fmt.Fprintf(s.stdout, "% x\n", p)
		case s.pretty && json.Valid(p):
			var v any
			json.Unmarshal(p, &v)
			indented, _ := json.MarshalIndent(v, "", "  ")
			fmt.Fprintf(s.stdout, "%s\n", indented)
		default:
			fmt.Fprintf(s.stdout, "%s\n", p)
		}
	}
}

// errClose is what send returns for the command that closes the connection.
var errClose = errors.New("close")

// send sends the lines of the input, and returns at its end.
func (s *session) send(ctx context.Context, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		err := s.line(ctx, lines.Text())
		var refused inputError
		switch {
		case err == errClose:
			return nil
		case errors.As(err, &refused):
			return fmt.Errorf("line %d: %w", n, err)
		case err != nil:
			<-ctx.Done() // the connection has ended: receive says why
			return nil
		}
	}
	return lines.Err()
}

// inputError is a mistake in a line of the input.
type inputError struct{ error }

// line does what a line of the input says.
func (s *session) line(ctx context.Context, line string) error {
	command, argument, _ := strings.Cut(line, " ")
	switch {
	case !strings.HasPrefix(line, "/"):
		return s.WriteMessage(websocket.TextMessage, []byte(line))
	case strings.HasPrefix(line, "//"):
		return s.WriteMessage(websocket.TextMessage, []byte(line[1:]))
	case command == "/hex":
		p, err := hex.DecodeString(strings.ReplaceAll(argument, " ", ""))
		if err != nil {
			return inputError{err}
		}
		return s.WriteMessage(websocket.BinaryMessage, p)
	case command == "/json":
		if !json.Valid([]byte(argument)) {
			return inputError{errors.New("this is not JSON: " + argument)}
		}
		return s.WriteMessage(websocket.TextMessage, []byte(argument))
	case command == "/ping":
		return s.ping(ctx)
	case command == "/wait":
		d, err := time.ParseDuration(argument)
		if err != nil {
			return inputError{err}
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		return nil
	case command == "/close":
		code, reason, _ := strings.Cut(argument, " ")
		n, err := strconv.Atoi(cmp.Or(code, "1000"))
		if err != nil {
			return inputError{fmt.Errorf("bad close code %q", code)}
		}
		if err := s.shutdown(n, reason); err != nil && strings.Contains(err.Error(), "must not be sent") {
			return inputError{err}
		}
		return errClose
	}
	return inputError{fmt.Errorf("unknown command %s", command)}
}

func (s *session) ping(ctx context.Context) error {
	rtt, err := s.Ping(ctx)
	if err == nil {
		fmt.Fprintf(s.stderr, "pong after %v\n", rtt.Round(time.Microsecond))
	}
	return err
}

// pings sends pings until ctx or the connection ends.
func (s *session) pings(ctx context.Context) {
	for {
		select {
		case <-time.After(s.interval):
			if s.ping(ctx) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// closeTime is how long the server has to answer a Close frame.
const closeTime = 10 * time.Second

func (s *session) shutdown(code int, reason string) error {
	s.closing.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return s.Shutdown(ctx, code, reason)
}

// close closes the connection, unless that has been done, and returns the exit code.
func (s *session) close() int {
	if err := s.shutdown(websocket.CloseNormalClosure, ""); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		fmt.Fprintln(s.stderr, "wscat:", err)
		return exitFailed
	}
	return exitOK
}

// explain says how the server has ended the connection, and returns the exit code.
func (s *session) explain(err error) int {
	code := exitFailed
	switch {
	case websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived):
		code = exitOK
	case websocket.IsUnexpectedCloseError(err, websocket.CloseAbnormalClosure):
		code = exitClosed
	}
	if code != exitOK || s.verbose {
		fmt.Fprintln(s.stderr, "wscat:", err)
	}
	return code
}
