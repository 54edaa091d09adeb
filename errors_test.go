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

func TestCloseErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  CloseError
		want string
	}{
		{CloseError{1000, ""}, "websocket: close 1000 (normal)"},
		{CloseError{1000, "bye"}, "websocket: close 1000 (normal): bye"},
		{CloseError{1001, ""}, "websocket: close 1001 (going away)"},
		{CloseError{1002, ""}, "websocket: close 1002 (protocol error)"},
		{CloseError{1003, ""}, "websocket: close 1003 (unsupported data)"},
		{CloseError{1005, ""}, "websocket: close 1005 (no status)"},
		{CloseError{1006, "unexpected EOF"}, "websocket: close 1006 (abnormal closure): unexpected EOF"},
		{CloseError{1007, ""}, "websocket: close 1007 (invalid payload data)"},
		{CloseError{1008, ""}, "websocket: close 1008 (policy violation)"},
		{CloseError{1009, ""}, "websocket: close 1009 (message too big)"},
		{CloseError{1010, ""}, "websocket: close 1010 (mandatory extension missing)"},
		{CloseError{1011, ""}, "websocket: close 1011 (internal server error)"},
		{CloseError{1012, ""}, "websocket: close 1012"},
		{CloseError{1015, ""}, "websocket: close 1015 (TLS handshake error)"},
		{CloseError{4999, "mine"}, "websocket: close 4999: mine"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
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
		if got := IsCloseError(tt.err, tt.codes...); got != tt.is {
			t.Errorf("%s: IsCloseError: got %v, want %v", tt.name, got, tt.is)
		}
		if got := IsUnexpectedCloseError(tt.err, tt.codes...); got != tt.unexpected {
			t.Errorf("%s: IsUnexpectedCloseError: got %v, want %v", tt.name, got, tt.unexpected)
		}
	}
}

func TestWriteTimeoutIsATimeout(t *testing.T) {
	var ne net.Error
	if !errors.As(errWriteTimeout, &ne) || !ne.Timeout() {
		t.Errorf("got %v, want a net.Error that is a timeout", errWriteTimeout)
	}
	if !errors.Is(errWriteTimeout, os.ErrDeadlineExceeded) {
		t.Error("got false, want os.ErrDeadlineExceeded in it")
	}
	if temporary, ok := errWriteTimeout.(interface{ Temporary() bool }); !ok || !temporary.Temporary() {
		t.Error("got none that is temporary, want what gorilla/websocket's is")
	}
	if got, want := errWriteTimeout.Error(), "websocket: write timeout"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The kernel's ETIMEDOUT calls itself a timeout, but no later read will go better.
func TestOnlyDeadlinesAreTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"deadline", os.ErrDeadlineExceeded, true},
		{"deadline of a net.Conn", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true},
		{"a transport's own", &net.OpError{Op: "read", Err: &timeoutError{"mux: timeout"}}, true},
		{"a transport's own that is no net.Error", deadlineError{}, true},
		{"the kernel's", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}, false},
		{"end", io.EOF, false},
		{"closed", net.ErrClosed, false},
	} {
		if got := isTimeout(tt.err); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
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
		reason string // that of a protocolError is its text, too
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
		if got := tt.err.Error(); tt.reason != "" && got != "websocket: "+tt.reason {
			t.Errorf("got %q, want the prefix and %q", got, tt.reason)
		}
	}
}

// The end of the stream is a closed connection without a Close frame; what else the transport says is its own.
func TestReadError(t *testing.T) {
	for _, tt := range []struct{ err, want error }{
		{io.EOF, errUnexpectedEOF},
		{io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		{net.ErrClosed, net.ErrClosed},
	} {
		if got := readError(tt.err); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}

// A HandshakeError is made by Upgrade alone, with its prefix.
func TestHandshakeErrorText(t *testing.T) {
	const want = "websocket: not a websocket handshake: the request has a body"
	if err := error(HandshakeError{want}); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestContextErrorHasTheCause(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := contextError(ctx); err != context.Canceled {
		t.Errorf("got %v, want context.Canceled", err)
	}
	cause := fmt.Errorf("the user has left")
	ctx2, cancel2 := context.WithCancelCause(context.Background())
	cancel2(cause)
	err := contextError(ctx2)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
		t.Errorf("got %v, want context.Canceled and the cause in it", err)
	}
	if got, want := err.Error(), "websocket: context canceled: the user has left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
