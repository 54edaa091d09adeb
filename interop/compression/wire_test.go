package compression

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The opcodes of RFC 6455, 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// A wireMessage is a message as it was on the wire.
type wireMessage struct {
	opcode     byte
	compressed bool // RSV1 of its first frame
	frames     int
	length     int    // of the payload
	payload    string // of a control frame
}

// A wireHalf is one direction of a connection on the wire.
type wireHalf struct {
	extensions string // the header's value
	data       []wireMessage
	control    []wireMessage
}

// readWire reads what one side has sent: the head of a request or response, and frames.
func readWire(b []byte, request bool) (w wireHalf, err error) {
	r := bufio.NewReader(bytes.NewReader(b))
	var header http.Header
	if request {
		req, err := http.ReadRequest(r)
		if err != nil {
			return w, err
		}
		header = req.Header
	} else {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return w, err
		}
		resp.Body.Close()
		header = resp.Header
		if resp.StatusCode != http.StatusSwitchingProtocols {
			w.extensions = strings.Join(header["Sec-Websocket-Extensions"], "\n")
			return w, nil
		}
	}
	w.extensions = strings.Join(header["Sec-Websocket-Extensions"], "\n")
	for {
		err := w.readFrame(r, request)
		if err == io.EOF {
			return w, nil
		}
		if err != nil {
			return w, err
		}
	}
}

// readFrame reads a frame, and adds it to what there is. The error is io.EOF at the end.
func (w *wireHalf) readFrame(r *bufio.Reader, masked bool) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	fin, rsv, opcode := head[0]&0x80 != 0, head[0]&0x70, head[0]&0x0f
	if got := head[1]&0x80 != 0; got != masked {
		return fmt.Errorf("got a frame with MASK %v, want %v", got, masked)
	}
	payload, err := readPayload(r, head[1]&0x7f, masked)
	if err != nil {
		return err
	}

	// "RSV1 [...] is set only on the first frame" (RFC 7692, 6), and "[a]n endpoint MUST
	// NOT set the 'Per-Message Compressed' bit of control frames" (5 and 6).
	const rsv1 = 0x40
	first := opcode == opText || opcode == opBinary
	if rsv != 0 && (rsv != rsv1 || !first) {
		return fmt.Errorf("got RSV bits %#x in a frame with opcode %#x", rsv, opcode)
	}
	switch {
	case opcode >= opClose:
		w.control = append(w.control, wireMessage{opcode: opcode, frames: 1, length: len(payload), payload: string(payload)})
	case first:
		w.data = append(w.data, wireMessage{opcode: opcode, compressed: rsv == rsv1, frames: 1, length: len(payload)})
	case len(w.data) == 0:
		return errors.New("got a continuation of nothing")
	default:
		last := &w.data[len(w.data)-1]
		last.frames++
		last.length += len(payload)
	}
	if !fin && opcode >= opClose {
		return errors.New("got a fragmented control frame")
	}
	return nil
}

// readPayload reads the rest of a frame. The error is never io.EOF.
func readPayload(r io.Reader, length byte, masked bool) ([]byte, error) {
	n := uint64(length)
	var err error
	switch length {
	case 126:
		var v uint16
		err = binary.Read(r, binary.BigEndian, &v)
		n = uint64(v)
	case 127:
		err = binary.Read(r, binary.BigEndian, &n)
	}
	var key [4]byte
	if err == nil && masked {
		_, err = io.ReadFull(r, key[:])
	}
	payload := make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(r, payload)
	}
	if err != nil {
		return nil, fmt.Errorf("got a frame that does not end: %v", err)
	}
	if length <= 125 { // the payload of larger frames is not looked at
		for i := range payload {
			payload[i] ^= key[i%4]
		}
	}
	return payload, nil
}

// closeCode returns the code of the Close frame that ends the direction, or 0.
func (w *wireHalf) closeCode() int {
	if len(w.control) == 0 {
		return 0
	}
	last := w.control[len(w.control)-1]
	if last.opcode != opClose || last.length < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16([]byte(last.payload)))
}

// count returns the number of control frames with the opcode and payload.
func (w *wireHalf) count(opcode byte, payload string) (n int) {
	for _, m := range w.control {
		if m.opcode == opcode && m.payload == payload {
			n++
		}
	}
	return n
}
