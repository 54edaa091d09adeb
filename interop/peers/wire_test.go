package peers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gobwas/ws"
)

// A wire has the headers of the frames of a connection, as this library and the peer have sent them.
type wire struct {
	ours, theirs []ws.Header
}

// readWire reads what both sides have sent.
func readWire(ours, theirs []byte) (w wire, err error) {
	if w.ours, err = readFrames(ours); err != nil {
		return w, fmt.Errorf("frames of this library: %w", err)
	}
	if w.theirs, err = readFrames(theirs); err != nil {
		return w, fmt.Errorf("frames of the peer: %w", err)
	}
	return w, nil
}

// readFrames reads the headers of all frames behind a handshake.
func readFrames(b []byte) (headers []ws.Header, err error) {
	_, rest, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("got no handshake")
	}
	in := bufio.NewReader(bytes.NewReader(rest))
	for {
		h, err := ws.ReadHeader(in)
		if err == io.EOF {
			return headers, nil
		}
		if err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, in, h.Length); err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
}

// wantFrame wants a frame with the property among the frames of a side.
func wantFrame(frames []ws.Header, what string, property func(h ws.Header) bool) error {
	if !slices.ContainsFunc(frames, property) {
		return fmt.Errorf("got frames %+v, want %s", frames, what)
	}
	return nil
}

func wantFragments(frames []ws.Header) error {
	return wantFrame(frames, "fragments", func(h ws.Header) bool { return h.OpCode == ws.OpContinuation })
}

func wantPing(frames []ws.Header) error {
	return wantFrame(frames, "a ping", func(h ws.Header) bool { return h.OpCode == ws.OpPing })
}

func wantPong(frames []ws.Header) error {
	return wantFrame(frames, "a pong", func(h ws.Header) bool { return h.OpCode == ws.OpPong })
}

func wantCompressed(frames []ws.Header) error {
	return wantFrame(frames, "a compressed message", func(h ws.Header) bool { return h.OpCode.IsData() && h.Rsv1() })
}
