package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// responseError says what is wrong with the answer of a server or a proxy. Its text has no prefix "websocket: ".
type responseError struct{ error }

func (e responseError) Unwrap() error { return e.error }

// responseReader reads the response of a server or of a proxy.
type responseReader struct {
	*bufio.Reader
	head responseHead
}

// responseHead reads from the connection no more bytes than the head of a response may have.
type responseHead struct {
	conn io.Reader
	left int
	err  error // of conn
}

func (h *responseHead) Read(p []byte) (n int, err error) {
	if h.left == 0 {
		return 0, io.EOF
	}
	n, h.err = h.conn.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, h.err
}

func newResponseReader(conn io.Reader) *responseReader {
	r := &responseReader{head: responseHead{conn: conn, left: maxResponseHead}}
	r.Reader = bufio.NewReader(&r.head)
	return r
}

// response reads the final response to a request. "A client MUST be able to parse one or more 1xx
// responses received prior to a final response, even if the client does not expect one" (RFC 9110,
// 15.2). A 101 is final.
func (r *responseReader) response(req *http.Request) (*http.Response, error) {
	for range maxInterimResponses + 1 {
		resp, err := http.ReadResponse(r.Reader, req)
		switch {
		case err != nil:
			return nil, r.explain(err)
		case resp.StatusCode < 100:
			return nil, responseError{fmt.Errorf("malformed HTTP status code %q", resp.Status[:3])}
		case resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, nil
		}
	}
	return nil, responseError{fmt.Errorf("more than %d interim responses", maxInterimResponses)}
}

// explain returns the reason for an error of http.ReadResponse, which reports what is wrong with the bytes received
// before the end or an error of the connection.
func (r *responseReader) explain(err error) error {
	switch {
	case r.head.err != nil && r.head.err != io.EOF:
		return r.head.err
	case r.head.left == 0:
		return responseError{fmt.Errorf("the header of the response is longer than %d bytes", maxResponseHead)}
	case err == io.ErrUnexpectedEOF:
		return err
	}
	if text := err.Error(); len(text) > maxQuoted {
		err = responseError{errors.New(text[:maxQuoted] + " (and more)")}
	}
	if r.head.err == io.EOF {
		err = fmt.Errorf("%w: %w", err, io.ErrUnexpectedEOF)
	}
	return err
}

const (
	// maxResponseHead bounds the memory for an answer: the size of its head, and of the interim
	// responses before it.
	maxResponseHead = 64 << 10
	// maxInterimResponses is how many 1xx responses are skipped.
	maxInterimResponses = 5
	// maxQuoted is about how many bytes of an answer an error quotes.
	maxQuoted = 200
)
