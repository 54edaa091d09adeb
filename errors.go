package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// Close codes (RFC 6455, 7.4.1 and 11.7, and the registry that it created).
const (
	CloseNormalClosure           = 1000
	CloseGoingAway               = 1001
	CloseProtocolError           = 1002
	CloseUnsupportedData         = 1003
	CloseNoStatusReceived        = 1005 // never sent: the Close frame had no code
	CloseAbnormalClosure         = 1006 // never sent: the connection ended without a Close frame
	CloseInvalidFramePayloadData = 1007
	ClosePolicyViolation         = 1008
	CloseMessageTooBig           = 1009
	CloseMandatoryExtension      = 1010
	CloseInternalServerErr       = 1011
	CloseServiceRestart          = 1012
	CloseTryAgainLater           = 1013
	CloseBadGateway              = 1014
	CloseTLSHandshake            = 1015 // never sent
)

// closeCodeNames are the names in a CloseError's text.
var closeCodeNames = map[int]string{
	CloseNormalClosure:           "normal",
	CloseGoingAway:               "going away",
	CloseProtocolError:           "protocol error",
	CloseUnsupportedData:         "unsupported data",
	CloseNoStatusReceived:        "no status",
	CloseAbnormalClosure:         "abnormal closure",
	CloseInvalidFramePayloadData: "invalid payload data",
	ClosePolicyViolation:         "policy violation",
	CloseMessageTooBig:           "message too big",
	CloseMandatoryExtension:      "mandatory extension missing",
	CloseInternalServerErr:       "internal server error",
	CloseTLSHandshake:            "TLS handshake error",
}

// CloseError is the read error after the peer has closed the connection. It has the
// code and the reason of the peer's Close frame, CloseNoStatusReceived if that frame was
// empty, or CloseAbnormalClosure if the network connection ended without a Close frame.
// Violations of the protocol by the peer are never reported as a CloseError.
type CloseError struct {
	// Code is defined in RFC 6455, section 11.7.
	Code int

	// Text is the reason, which may be empty.
	Text string
}

func (e *CloseError) Error() string {
	s := "websocket: close " + strconv.Itoa(e.Code)
	if name := closeCodeNames[e.Code]; name != "" {
		s += " (" + name + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Is reports whether target is io.ErrUnexpectedEOF and the network connection ended without a Close frame,
// so that errors.Is finds the error that other readers return then.
func (e *CloseError) Is(target error) bool {
	return e.Code == CloseAbnormalClosure && target == io.ErrUnexpectedEOF
}

// IsCloseError reports whether err is a *CloseError with one of the codes.
func IsCloseError(err error, codes ...int) bool {
	e, ok := err.(*CloseError)
	return ok && slices.Contains(codes, e.Code)
}

// IsUnexpectedCloseError reports whether err is a *CloseError with none of the
// expected codes. It is false for every other error, and for nil.
func IsUnexpectedCloseError(err error, expectedCodes ...int) bool {
	e, ok := err.(*CloseError)
	return ok && !slices.Contains(expectedCodes, e.Code)
}

// HandshakeError is the reason why Upgrade refused a request.
type HandshakeError struct {
	message string
}

func (e HandshakeError) Error() string { return e.message }

var (
	// ErrBadHandshake is returned by Dial when the server's answer does not
	// complete the opening handshake.
	ErrBadHandshake = errors.New("websocket: bad handshake")

	// ErrCloseSent is returned by every write after a Close frame was sent, whether by
	// the program, in answer to the peer's, or because the peer broke the protocol.
	ErrCloseSent = errors.New("websocket: close sent")

	// ErrReadLimit is returned by reads when a message is longer than the read
	// limit. The peer was sent a Close frame with CloseMessageTooBig.
	ErrReadLimit = errors.New("websocket: read limit exceeded")
)

var (
	errBadMessageType      = errors.New("websocket: bad write message type")
	errInvalidControlFrame = errors.New("websocket: invalid control frame")
	errWriteClosed         = errors.New("websocket: write closed")
	errWriteTimeout        = error(&timeoutError{"websocket: write timeout"})
	errHandlerPanic        = errors.New("websocket: a handler has panicked within a message")
	errMessageTimeout      = error(&timeoutError{"websocket: write timeout within a message"})
)

// errUnexpectedEOF is the error when the network connection ends without a Close
// frame: "_The WebSocket Connection Close Code_ is considered to be 1006" (7.1.5).
var errUnexpectedEOF = &CloseError{Code: CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}

// timeoutError is a net.Error for a wait that ended at its deadline.
type timeoutError struct{ message string }

func (e *timeoutError) Error() string     { return e.message }
func (e *timeoutError) Timeout() bool     { return true }
func (e *timeoutError) Temporary() bool   { return true }
func (e *timeoutError) Is(err error) bool { return err == os.ErrDeadlineExceeded }

// protocolError says that the peer has broken a rule, of the protocol or of this connection. The reason is sent in
// the Close frame, so it has at most maxCloseReason bytes.
type protocolError struct {
	code   int
	reason string
}

func (e *protocolError) Error() string { return "websocket: " + e.reason }

func protocolErrorf(format string, args ...any) error {
	return &protocolError{CloseProtocolError, fmt.Sprintf(format, args...)}
}

var (
	errInvalidUTF8    = &protocolError{CloseInvalidFramePayloadData, "text is not valid UTF-8"}
	errEmptyFragments = &protocolError{ClosePolicyViolation, "too many empty fragments in a message"}
)

// closeCodeFor returns the code and the reason of the Close frame to send because of err, or 0
// if none is sent.
func closeCodeFor(err error) (code int, reason string) {
	var p *protocolError
	switch {
	case errors.As(err, &p):
		return p.code, p.reason
	case err == ErrReadLimit:
		return CloseMessageTooBig, ""
	}
	return 0, ""
}

// contextError returns the error of a call that was ended by its context: the context's
// error, with its cause if that differs.
func contextError(ctx context.Context) error {
	err := contextCause(ctx)
	if err == ctx.Err() {
		return err
	}
	return fmt.Errorf("websocket: %w", err)
}

// contextCause is contextError without a prefix, as a part of another error.
func contextCause(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// readError translates an error of the transport's Read to the error for the program. An io.ErrUnexpectedEOF
// is left as it is: crypto/tls returns it for an end within a record.
func readError(err error) error {
	if err == io.EOF {
		return errUnexpectedEOF
	}
	return err
}

// isTimeout reports whether err says that a deadline has passed, so that nothing is lost and the operation can
// be repeated. Two other errors have a Timeout method that returns true, but are final: the kernel's ETIMEDOUT, and the
// error of keepalive on an underlying WebSocket connection.
func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var ne net.Error
	var dead *keepaliveError
	return errors.As(err, &ne) && ne.Timeout() && !errors.Is(err, syscall.ETIMEDOUT) && !errors.As(err, &dead)
}

// finalError returns an error with the text of err, the reason why all later reads fail. It does not wrap err: a program
// repeats a read whose error matches os.ErrDeadlineExceeded.
func finalError(what string, err error) error { return fmt.Errorf("websocket: %s: %v", what, err) }

// keepaliveError says that the peer is silent. It is a net.Error, but does not match
// os.ErrDeadlineExceeded: the connection has failed.
type keepaliveError struct{ reason string }

func (e *keepaliveError) Error() string { return "websocket: " + e.reason }

func (e *keepaliveError) Timeout() bool { return true }

func (e *keepaliveError) Temporary() bool { return false }
