package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestErrorText(t *testing.T) {
	for err, want := range map[error]string{
		&CloseError{1000, ""}:               "websocket: close 1000 (normal)",
		&CloseError{1000, "bye"}:            "websocket: close 1000 (normal): bye",
		&CloseError{1001, ""}:               "websocket: close 1001 (going away)",
		&CloseError{1002, ""}:               "websocket: close 1002 (protocol error)",
		&CloseError{1003, ""}:               "websocket: close 1003 (unsupported data)",
		&CloseError{1005, ""}:               "websocket: close 1005 (no status)",
		&CloseError{1006, "unexpected EOF"}: "websocket: close 1006 (abnormal closure): unexpected EOF",
		&CloseError{1007, ""}:               "websocket: close 1007 (invalid payload data)",
		&CloseError{1008, ""}:               "websocket: close 1008 (policy violation)",
		&CloseError{1009, ""}:               "websocket: close 1009 (message too big)",
		&CloseError{1010, ""}:               "websocket: close 1010 (mandatory extension missing)",
		&CloseError{1011, ""}:               "websocket: close 1011 (internal server error)",
		&CloseError{1012, ""}:               "websocket: close 1012",
		&CloseError{1015, ""}:               "websocket: close 1015 (TLS handshake error)",
		&CloseError{4999, "mine"}:           "websocket: close 4999: mine",
		errWriteTimeout:                     "websocket: write timeout",
		errMessageTimeout:                   "websocket: write timeout within a message",
		&keepaliveError{"no pong"}:          "websocket: no pong",
		protocolErrorf("reason %d", 1):      "websocket: reason 1",
		errInvalidUTF8:                      "websocket: text is not valid UTF-8",
		errEmptyFragments:                   "websocket: too many empty fragments in a message",
		contextError(cancelled(errMine)):    "websocket: context canceled: mine",
		// A HandshakeError is made by Upgrade alone, with its prefix.
		HandshakeError{"websocket: not a websocket handshake: x"}: "websocket: not a websocket handshake: x",
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The network connection that ended without a Close frame is what other readers call io.ErrUnexpectedEOF.
func TestCloseErrorIsUnexpectedEOF(t *testing.T) {
	if err := fmt.Errorf("reading: %w", errUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		t.Errorf("%v: got another error, want io.ErrUnexpectedEOF", err)
	}
	if err := error(&CloseError{Code: CloseGoingAway}); errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v: got io.ErrUnexpectedEOF, want another error", err)
	}
}

func TestIsCloseError(t *testing.T) {
	goingAway := &CloseError{Code: CloseGoingAway}
	for _, tt := range []struct {
		name           string
		err            error
		codes          []int
		is, unexpected bool
	}{
		{"one of the codes", goingAway, []int{1000, 1001}, true, false},
		{"another code", goingAway, []int{1000}, false, true},
		{"no codes", goingAway, nil, false, true},
		{"nil", nil, []int{1001}, false, false},
		{"another error", io.EOF, []int{1001}, false, false},
	} {
		is, unexpected := IsCloseError(tt.err, tt.codes...), IsUnexpectedCloseError(tt.err, tt.codes...)
		if is != tt.is || unexpected != tt.unexpected {
			t.Errorf("%s: got %v, unexpected %v, want %v, %v", tt.name, is, unexpected, tt.is, tt.unexpected)
		}
	}
}

// isTemporary reports what a net.Error says of itself that is deprecated, and that old loops look at.
func isTemporary(err error) bool {
	t, ok := err.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

// Our own timeouts are those of a net.Conn, and temporary as gorilla/websocket's are.
func TestWriteTimeoutIsATimeout(t *testing.T) {
	for _, err := range []error{errWriteTimeout, errMessageTimeout} {
		wantTimeout(t, err)
		if !isTemporary(err) {
			t.Errorf("got %#v, want a temporary error", err)
		}
	}
}

// Two verdicts that the peer is gone call themselves timeouts, but no later read will go better.
func TestOnlyDeadlinesAreTimeouts(t *testing.T) {
	dead := &keepaliveError{"no pong"}
	for err, want := range map[error]bool{
		os.ErrDeadlineExceeded: true,
		&net.OpError{Op: "of a net.Conn", Err: os.ErrDeadlineExceeded}:         true,
		&net.OpError{Op: "of a transport", Err: &timeoutError{"mux: timeout"}}: true,
		deadlineError{}: true, // no net.Error
		&net.OpError{Op: "of the kernel", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}: false,
		&net.OpError{Op: "of keepalive on a connection below", Err: dead}:                     false,
		io.EOF:        false,
		net.ErrClosed: false,
	} {
		if got := isTimeout(err); got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
	if ne := net.Error(dead); !ne.Timeout() || isTemporary(dead) {
		t.Errorf("got timeout %v, temporary %v of keepalive's, want true, false", ne.Timeout(), isTemporary(dead))
	}
}

// deadlineError is os.ErrDeadlineExceeded only for errors.Is.
type deadlineError struct{}

func (deadlineError) Error() string        { return "too late" }
func (deadlineError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

func TestCloseCodeForErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		code   int
		reason string
	}{
		{protocolErrorf("reason %d", 1), 1002, "reason 1"},
		{errInvalidUTF8, 1007, "text is not valid UTF-8"},
		{errEmptyFragments, 1008, "too many empty fragments in a message"},
		{ErrReadLimit, 1009, ""},
		{io.EOF, 0, ""},
		{net.ErrClosed, 0, ""},
	} {
		if code, reason := closeCodeFor(tt.err); code != tt.code || reason != tt.reason {
			t.Errorf("%v: got %d %q, want %d %q", tt.err, code, reason, tt.code, tt.reason)
		}
	}
}

// The end of the stream is a closed connection without a Close frame; what else the transport says is its own.
func TestReadError(t *testing.T) {
	for err, want := range map[error]error{
		io.EOF:              errUnexpectedEOF,
		io.ErrUnexpectedEOF: io.ErrUnexpectedEOF,
		net.ErrClosed:       net.ErrClosed,
	} {
		if got := readError(err); got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
}

// TestErrorText has the text of one with a cause.
func TestContextErrorHasTheCause(t *testing.T) {
	if err := contextError(cancelled(nil)); err != context.Canceled {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := contextError(cancelled(errMine)); !errors.Is(err, context.Canceled) || !errors.Is(err, errMine) {
		t.Errorf("got %v, want context.Canceled and the cause in it", err)
	}
}
